"""Which primitive of programs has which rules: every hole is named here with its reason, and the page says the same.

`pytest packages/alkahest-core/tests/test_rule_coverage.py --update-golden` writes the table of docs/rule-coverage.md.
"""

import importlib
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

from alkahest import extend
from alkahest.base.prim import Prim, prim_names
from alkahest.base.rules import TABLES, AsyncTwin, batch_rules, impl_rules
from alkahest.prims.groups import waiting_primitives
from alkahest.prims.rules import BuiltinBatch, DerivedBatch, Staged

PAGE = Path(__file__).parents[3] / "docs" / "rule-coverage.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
SCALAR = "scalar primitives"
# Primitives whose parameters are programs.
HOLDING = {"switch", "while_loop", "gather", "batch_call", "pushforward_call", "pullback_call", "weighted_call"}

WHOLE = "the general rule does: an equation goes where no output is used, and needs all its inputs where one is"
PLANNED = "`pullback` and `pushforward` put the equations of its plan, or of its members, in its place first"

ABSENT = {
    **{
        (name, "dce"): WHOLE
        for name in (
            SCALAR,
            *("format", "concat", "match", "stop_gradient", "checkpoint", "factor", "depends", "lm_call"),
            *("lm_schema_call", "lm_feedback", "push", "pull_fwd", "pull_bwd", "accumulate", "materialize", "spread"),
            *("pack", "unpack", "extend_trail", "shorten_trail", "has_trail", "accumulate_items", "broadcast_like"),
            *("weight", "product", "item_product", "other_products", "leave_out", "join_left_out"),
        )
    },
    **{
        (name, table): PLANNED
        for name in ("gather", "pushforward_call", "pullback_call", "weighted_call")
        for table in ("push", "pull_fwd", "pull_bwd")
    },
}


def core_primitives():
    """Return the primitives that modules of core declare, by name; those of tests and plugins are not among them."""
    found = {}
    for package in ("base", "ir", "prims", "transforms", "machine"):
        folder = importlib.import_module(f"alkahest.{package}")
        for info in pkgutil.iter_modules(folder.__path__):
            if info.name in ("memo_disk", "scipy_forms"):  # imported late, for what they need; they declare nothing
                continue
            values = vars(importlib.import_module(f"alkahest.{package}.{info.name}")).values()
            found.update((value.name, value) for value in values if isinstance(value, Prim))
    return found


def is_scalar(name):
    return name in prim_names()


def ruled(prim, table):
    """Return whether the table has a rule of `prim` on both sides, as far as it has sides."""
    return prim in table and table.has_async(prim)


def batch_kind(prim):
    rule = batch_rules.get(prim)
    if isinstance(rule, BuiltinBatch):
        return "machine"
    if not isinstance(rule, DerivedBatch):
        return "columns"
    return "machine" if prim.name in HOLDING else "items"


def cell(prim, table):
    """Return how a primitive is ruled in a table, in a word; a dash for a hole."""
    if not ruled(prim, table):
        return "—"
    if table.kind == "batch":
        return batch_kind(prim)
    if table.kind == "impl":
        return "waits" if prim in waiting_primitives else "yes"
    return "staged" if isinstance(table.get(prim), Staged) else "yes"


def rows():
    """Return (name, cells) for each primitive, the scalar ones as one, and the holes."""
    primitives = core_primitives()
    public = {value.name for value in vars(extend).values() if isinstance(value, Prim)}
    programs = {name: prim for name, prim in primitives.items() if not is_scalar(name)}
    scalars = [prim for name, prim in primitives.items() if is_scalar(name)]
    shown = {tuple(cell(prim, t) for t in TABLES.values()) for prim in scalars}
    assert len(shown) == 1, "scalar primitives differ in their rules, and need rows of their own"
    listed = [(f"{SCALAR} ({len(scalars)})", shown.pop(), True)]
    for name in sorted(programs, key=lambda name: (name not in public, name)):
        listed.append((f"`{name}`", tuple(cell(programs[name], t) for t in TABLES.values()), name in public))
    return listed


def holes():
    return {
        (re.sub(r"`| \(\d+\)", "", name), kind)
        for name, cells, _ in rows()
        for kind, text in zip(TABLES, cells, strict=True)
        if text == "—"
    }


def table(listed):
    head = [f"| primitive | {' | '.join(TABLES)} |", f"|---|{'---|' * len(TABLES)}"]
    return [*head, *(f"| {name} | {' | '.join(cells)} |" for name, cells, _ in listed)]


def reasons():
    lines = []
    for reason in dict.fromkeys(ABSENT.values()):
        tables = dict.fromkeys(kind for (_, kind), why in ABSENT.items() if why == reason)
        names = dict.fromkeys(name for (name, _), why in ABSENT.items() if why == reason)
        told = ", ".join(name if name == SCALAR else f"`{name}`" for name in names)
        line = f"- {', '.join(tables)} of {told}: {reason}."
        lines += textwrap.wrap(line, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines


def text():
    listed = rows()
    parts = [
        *table([row for row in listed if row[2]]),
        "",
        "Primitives that only transforms put into programs:",
        "",
        *table([row for row in listed if not row[2]]),
        "",
        "What has a dash, and why:",
        "",
        *reasons(),
    ]
    return "\n".join(parts)


def test_every_hole_has_a_reason():
    assert holes() == set(ABSENT)


def test_rules_have_both_sides():
    for name, prim in core_primitives().items():
        for kind, rules in TABLES.items():
            assert (prim in rules) == rules.has_async(prim), f"{name}: {kind} has one side only"


def test_primitives_that_wait_can_be_awaited():
    for name, prim in core_primitives().items():
        if prim in waiting_primitives:
            assert not isinstance(impl_rules.aget(prim), AsyncTwin), name


def test_every_primitive_of_the_facade_is_in_the_table():
    found = core_primitives()
    missing = [n for n, value in vars(extend).items() if isinstance(value, Prim) and found.get(value.name) is not value]
    assert missing == []


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not here")
def test_the_page_says_the_same(request):
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    now, _, after = rest.partition(END)
    assert after, f"{PAGE} has no generated part"
    wanted = f"\n\n{text()}\n\n"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(before + BEGIN + wanted + END + after, encoding="utf-8")
        now = wanted
    assert now == wanted, "`pytest --update-golden` writes the table"
