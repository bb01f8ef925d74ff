"""From a tape to the body of a C function: what to write inline, what to name, one pass, no recursion."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import alkahest.prims.standard  # noqa: F401  # pyright: ignore[reportUnusedImport] - declares core's rules
from alkahest.base.rules import lowering_rules
from alkahest.emitting.c_helpers import HELPERS, helper_texts
from alkahest.emitting.c_names import free_prefix
from alkahest.emitting.c_parts import Names, Statement, assemble
from alkahest.emitting.c_templates import (
    CHOICE,
    CONDITION,
    EQUALITY,
    PRIMARY,
    UNARY,
    Fragment,
    MalformedRule,
    Template,
    read_rule,
    read_text,
)
from alkahest.errors import EmitError, IdentifierError, NumberOverflowError
from alkahest.expr.tape import Instr, Tape

# What is used once is written where it is used, until the text nests deeper or grows longer than this. Compilers
# and readers recurse over expressions; C99 (5.2.4.1) promises 63 levels of parentheses.
MAX_DEPTH = 16
MAX_TEXT = 100
REALS = {"f64": "double", "f32": "float"}


class CFunction(NamedTuple):
    """One emitted function and what has to stand before it."""

    headers: tuple[str, ...]
    helpers: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        headers = "".join([f"#include <{h}>\n" for h in self.headers])
        return "\n".join([part for part in (headers, *self.helpers, self.text) if part])


def unwritable(tape: Tape) -> list[str]:
    """Return the names of the primitives of `tape` that have no rule in the lowering table "c"."""
    rules = lowering_rules("c")
    return sorted(op for op in tape.ops if op not in rules)


def write_function(
    tape: Tape, names: Sequence[str], fn_name: str, dtype: str, *, returns: bool, static: bool = False
) -> CFunction:
    """Return the C function that computes `tape`.

    `returns=True` is for one output, which the function returns; otherwise each goes through a pointer. Raises
    `EmitError` where a primitive cannot be written, `NumberOverflowError` where a constant is too large for `dtype`,
    `IdentifierError` where a name is that of a function which a rule calls.
    """
    taken = [*names, fn_name]
    body = _Body(tape, names, free_prefix("t", taken), dtype == "f32")
    results = body.results()
    real, out = REALS[dtype], free_prefix("out", taken)
    if returns:
        head, ends = real, [f"return {results[0]};"]
        pointers: list[str] = []
    else:
        head, ends = "void", [f"*{out}{k} = {text};" for k, text in enumerate(results)]
        pointers = [f"{real} *{out}{k}" for k in range(len(results))]
    parameters = ", ".join([f"{real} {name}" for name in names] + pointers) or "void"
    signature = f"{'static ' if static else ''}{head} {fn_name}({parameters}) {{"
    text = assemble(Names(fn_name, real, names), signature, body.unused(), body.statements, ends)
    used = frozenset(body.used)
    for name in used.intersection(taken):
        raise IdentifierError(
            f"the name {name!r} is that of a function which the text calls.",
            remedy="Pass other names in fn_name and var_names.",
        )
    helpers = helper_texts(used & HELPERS, dtype == "f32")
    return CFunction(("math.h",) if used else (), tuple(helpers), text)


class _Body:
    """Writes the statements of one function."""

    def __init__(self, tape: Tape, names: Sequence[str], prefix: str, single: bool) -> None:
        self.tape = tape
        self.names = names
        self.statements: list[Statement] = []
        self.used: set[str] = set()  # functions and macros
        self._prefix = prefix
        self._single = single
        self._uses = _count_uses(tape)
        self._templates: dict[str, Template] = {}
        self._rules = lowering_rules("c")
        self._zero, self._one = ("0.0f", "1.0f") if single else ("0.0", "1.0")

    def unused(self) -> list[str]:
        """Return statements that keep compilers from warning of inputs without use."""
        return [f"(void){name};" for k, name in enumerate(self.names) if not self._uses[k]]

    def results(self) -> list[str]:
        """Write all temporaries and return the texts of the outputs."""
        slots = [Fragment(name) for name in self.names]
        slots += [self._literal(c) for c in self.tape.consts]
        for instr in self.tape.instrs:
            uses = self._uses[len(slots)]
            if not uses:
                slots.append(Fragment(""))
                continue
            fragment = self._instr(instr, slots)
            slots.append(fragment if uses == 1 else self._bound(fragment))
        return [self._number(slots[o]).text for o in self.tape.outputs]

    # -- one instruction

    def _instr(self, instr: Instr, slots: list[Fragment]) -> Fragment:
        args = [slots[a] for a in instr.args]
        if instr.op == "pow":
            product = self._as_product(self._constant(instr.args[1]), args[0])
            if product is not None:
                return product
        rule = self._rule(instr.op)
        if callable(rule):
            return self._called(instr, rule, args)
        if instr.params:
            raise EmitError(
                f"the primitive {instr.op!r} has static parameters, which a format string cannot say.",
                remedy="Give it a callable as rule: it gets them as keywords.",
            )
        return self._filled(self._template(instr.op, rule, len(args)), args)

    def _constant(self, slot: int) -> float | None:
        k = slot - len(self.tape.inputs)
        return self.tape.consts[k] if 0 <= k < len(self.tape.consts) else None

    def _as_product(self, exponent: float | None, base: Fragment) -> Fragment | None:
        """Return the powers -1, 2 and 3 as a quotient and products, None for all others.

        They agree with `pow` at nan, infinities and zeros; 2 and -1 are rounded once, 3 twice.
        """
        if exponent == -1.0:
            return self._operation("div", [Fragment(self._one), base])
        if exponent not in (2.0, 3.0):
            return None
        base = self._atom(self._number(base))
        square = self._operation("mul", [base, base])
        return square if exponent == 2.0 else self._operation("mul", [square, base])

    def _operation(self, op: str, args: list[Fragment]) -> Fragment:
        return self._filled(self._template(op, self._rule(op), len(args)), args)

    def _rule(self, op: str) -> Any:
        if op not in self._rules:
            raise EmitError(
                f"the primitive {op!r} cannot be written as C: the lowering table 'c' has no rule for it.",
                remedy="Set one, lowering_rules('c').set(prim, 'name({0})'), or leave it out of the expression.",
            )
        return self._rules.by_name(op)

    def _template(self, op: str, rule: Any, arity: int) -> Template:
        found = self._templates.get(op)
        if found is None:
            try:
                found = read_rule(rule, arity, self._single)
            except (MalformedRule, ValueError, TypeError) as error:
                raise _bad_rule(op, str(error)) from None
            self._templates[op] = found
        return found

    def _called(self, instr: Instr, rule: Callable[..., object], args: list[Fragment]) -> Fragment:
        """Apply a rule that is a callable; it may repeat its arguments, so each is a name or a number."""
        atoms = [self._atom(self._number(a)).within(PRIMARY) for a in args]
        text = rule(atoms, **dict(instr.params))
        if not isinstance(text, str):
            raise _bad_rule(instr.op, f"it gave {type(text).__name__} instead of text")
        template = read_text(text, self._single)
        self.used |= template.names.difference(atoms)
        return template.fill([])

    def _filled(self, template: Template, args: list[Fragment]) -> Fragment:
        self.used |= template.names
        kinds = [self._truth(a) if k in template.asks else self._number(a) for k, a in enumerate(args)]
        ready = [self._atom(a) if k in template.repeated else a for k, a in enumerate(kinds)]
        return template.fill(self._fitting(ready))

    def _fitting(self, args: list[Fragment]) -> list[Fragment]:
        """Return `args`, the deepest and then the longest named, until an expression of them keeps the limits."""
        while True:
            inline = [k for k, a in enumerate(args) if a.depth]
            deepest = max(inline, key=lambda k: args[k].depth, default=None)
            if deepest is None:
                return args
            if args[deepest].depth >= MAX_DEPTH:
                args[deepest] = self._bound(args[deepest])
            elif sum([len(a.text) for a in args]) > MAX_TEXT:
                longest = max(inline, key=lambda k: len(args[k].text))
                args[longest] = self._bound(args[longest])
            else:
                return args

    # -- pieces

    def _atom(self, fragment: Fragment) -> Fragment:
        return self._bound(fragment) if fragment.depth else fragment

    def _bound(self, fragment: Fragment) -> Fragment:
        """Give a fragment a name, and return that."""
        name = f"{self._prefix}{len(self.statements)}"
        kind = "int" if fragment.condition else "float" if self._single else "double"
        self.statements.append(Statement(kind, name, fragment.text))
        return Fragment(name, condition=fragment.condition)

    def _number(self, fragment: Fragment) -> Fragment:
        if not fragment.condition:
            return fragment
        text = f"{fragment.within(CONDITION)} ? {self._one} : {self._zero}"
        return Fragment(text, CHOICE, fragment.depth + 1)

    def _truth(self, fragment: Fragment) -> Fragment:
        if fragment.condition:
            return fragment
        return Fragment(f"{fragment.within(EQUALITY)} != {self._zero}", EQUALITY, fragment.depth + 1, True)

    def _literal(self, value: float) -> Fragment:
        if not math.isfinite(value):
            text = "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
            self.used.add("INFINITY")
        else:
            text = _float_text(value) if self._single else repr(value)
        return Fragment(text, UNARY if text[0] == "-" else PRIMARY)


def _bad_rule(op: str, why: str) -> EmitError:
    return EmitError(
        f"the rule of the primitive {op!r} in the lowering table 'c' is malformed: {why}.",
        remedy="A rule is a format string such as 'name({0}, {1})', or a callable from a list of texts to a text.",
    )


def _float_text(value: float) -> str:
    """Return the shortest literal of type float that is `value` rounded to single precision."""
    rounded = _to_single(value)
    if math.isinf(rounded):
        raise NumberOverflowError(
            f"the constant {value!r} does not fit a single-precision float.", remedy="Use dtype='f64', or scale it."
        )
    shortest = next(s for n in range(1, 10) if _to_single(s := float(f"{rounded:.{n}g}")) == rounded)
    return f"{shortest!r}f"


def _to_single(value: float) -> float:
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _count_uses(tape: Tape) -> list[int]:
    """Return how often each slot is read by outputs and by instructions that outputs depend on."""
    uses = [0] * tape.n_slots
    for o in tape.outputs:
        uses[o] += 1
    slot = tape.n_slots
    for instr in reversed(tape.instrs):
        slot -= 1
        if uses[slot]:
            for a in instr.args:
                uses[a] += 1
    return uses
