"""Printed programs: what people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import optree

import alkahest as af
from alkahest.extend import IR, PYTREE_NAMESPACE, AVal, IREqn, IRVar, Prim, StrAVal, Zero
from alkahest.ir.printing import eqn_text, ir_text


class Point(NamedTuple):
    x: str
    y: str


@dataclass
class Card:
    title: str
    lines: list[str]


class Box:
    def __init__(self, value):
        self.value = value


optree.register_pytree_node(
    Box, lambda b: ((b.value,), None, ("value",)), lambda _, c: Box(*c), namespace=PYTREE_NAMESPACE
)


def test_a_program_with_structures(golden):
    def program(pair, card, mode):
        line = af.format("{} and {name!r}", pair.x, name=card.lines[0])
        same = pair.y == "yes"
        with af.tag("hot", 3):
            line = line + card.title
        return {"same": same, "lines": [line, "end"], "at": Point(line, pair.y), "none": None, "mode": mode}

    ir = af.trace(program, static=(False, False, True))(Point("a", "b"), Card("t", ["l"]), "loud")
    golden("structures.txt", str(ir) + "\n")
    assert repr(ir) == str(ir) == ir_text(ir)


def test_programs_inside_are_printed_once(golden):
    loud = af.trace(lambda x: x + "!")("a")
    again = af.trace(lambda y: y + "!")("b")
    calm = af.trace(lambda x: af.switch(x, {"loud": loud, "again": again}, x))("a")
    cond = af.trace(lambda x: x != "stop")("a")

    def program(key, x):
        x = af.switch(key, {"loud": loud, "calm": calm, "again": again}, x)
        return af.while_loop(cond, loud, x, max_iters=3)

    ir = af.trace(program)("loud", "a")
    golden("nested.txt", f"{ir}\n\n{af.pullback(af.batch(ir, in_axes=(False, True)))}\n")


def test_a_schedule_shows_its_stages(golden):
    inner = af.trace(lambda x: (x + "1", x + "2"))("a")

    def program(x, y):
        first, second = af.switch(y, {"k": inner}, x)
        marked = af.checkpoint(y, key="seen")
        return af.concat(first, second, af.format("{}-{}", x, "literal")), marked

    ir = af.trace(program)("a", "k")
    golden("scheduled.txt", f"{af.sched(ir)}\n\n{af.sched(ir, cond=lambda eqn: eqn.prim.name != 'format')}\n")
    # A member with more than one equation stands as a call of a program below.
    x, y, a, b = (IRVar(aval=StrAVal()) for _ in range(4))
    two = IR([IREqn(Prim("p"), (x,), y), IREqn(Prim("q"), (y,), a)], (x,), a)
    outer = IR([IREqn(af.extend.gather_p, ((b,),), (x,), {"irs": (two,)})], (b,), x)
    golden("gathered.txt", f"{outer}\n")


def test_a_pushforward_of_twelve_levels_stays_short():
    ir = af.trace(lambda x: x + "!")("a")
    for _ in range(12):
        ir = af.pushforward(ir)
    assert len(str(ir)) < 10_000
    assert "… 4080 more" in str(ir)


def test_shared_programs_do_not_explode():
    ir = af.trace(lambda k, x: x + "!")("a", "a")
    for _ in range(200):
        ir = af.trace(lambda k, x, inner=ir: af.switch(k, {"a": inner, "b": inner}, k, x))("a", "a")
    assert str(ir).count("program(") == 1
    assert len(str(ir)) < 40_000
    assert "@200(a:str, b:str):" in str(ir)


def test_long_literals_and_structures_are_shortened():
    ir = af.trace(lambda x: af.concat("q" * 500, x, *["many"] * 40))("a")
    (line,) = [line for line in str(ir).splitlines() if "concat" in line]
    assert "(502 characters)" in line
    assert "… 26 more)" in line  # 42 inputs, of which 16 are shown
    assert len(line) < 300


def test_names_go_on_after_z_and_are_no_keywords():
    ir = af.trace(af.concat)(*["a"] * 16)
    for _ in range(600):
        ir = IR([*ir.ir_eqns, IREqn(Prim("p"), (), IRVar(aval=StrAVal()))], ir.in_ir_tree, ir.out_ir_tree)
    lines = str(ir).splitlines()
    names = [line.split(":")[0].strip() for line in lines[2:-1]]
    assert len(set(names)) == 600
    assert not {"as", "if", "in", "is", "or"} & set(names)
    assert "z" in names
    assert "aa" in names


def test_batched_variables_and_types_of_others_are_visible():
    @dataclass(frozen=True)
    class ArrayAVal(AVal):
        shape: tuple[int, ...]

        @property
        def label(self):
            return "f8" + str(list(self.shape))

    ir = af.batch(af.batch(af.trace(lambda x: x + "!")("a")))
    assert "[[str]]" in str(ir)
    a, b = IRVar(aval=ArrayAVal((3,))), IRVar(aval=ArrayAVal((2, 2)), depth=1)
    assert str(IR([IREqn(Prim("p"), (a,), b)], (a,), b)) == "program(a:f8[3]):\n  b:[f8[2, 2]] = p(a)\n  return b"


def test_an_equation_by_itself():
    x, y = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
    inner = af.trace(lambda x: x + "!")("a")
    eqn = IREqn(Prim("p"), {"x": x, "z": Zero(StrAVal())}, (y,), {"ir": inner, "k": 1}, frozenset({"t"}))
    text = "(b:str,) = p({'x': a:str, 'z': zero(str)}, ir=<program of 1 equation(s)>, k=1) tags={'t'}"
    assert repr(eqn) == text
    assert eqn_text(eqn, limit=20) == repr(eqn)[:19] + "…"
    assert eqn_text(IREqn(Prim("p"), (), ())) == "p()"
    assert eqn_text(IREqn(Prim("p"), (), (), {"k": ()})) == "p(k=())"


def test_nothing_of_this_process_is_printed():
    def function(x):
        return x

    a = IRVar(aval=StrAVal())
    params = {"call": function, "thing": object(), "set": frozenset({"a", "b", "c"}), "box": Box(1), "prim": Prim("q")}
    text = repr(IREqn(Prim("p"), (a,), a, params))
    assert "call=function" in text
    assert "thing=<object object>" in text
    assert "set={'a', 'b', 'c'}" in text
    assert "box=Box('value': 1)" in text
    assert "prim=q" in text
    assert str(a.id) not in text


def test_printing_does_not_recurse_over_nested_programs():
    ir = af.trace(lambda x: x + "!")("a")
    for k in range(3000):
        a, b = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
        ir = IR([IREqn(Prim("p"), (a,), b, {"ir": ir, "k": k})], (a,), b)
    assert str(ir).count("\n\n") == 3000


def test_deep_structures_are_cut():
    tree = IRVar(aval=StrAVal())
    inside = tree
    for _ in range(200):
        tree = (tree,)
    assert "…" in str(IR([], (inside,), tree))
