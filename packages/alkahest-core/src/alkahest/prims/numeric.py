"""Scalar primitives in programs: which type they give, what they compute for values of programs, batches of them.

Integers stay exact where Python's do; what Python would raise for floats, a division by zero or an overflow, gives an
infinity or nan by IEEE 754, as everywhere in Alkahest; conditions are truth values. A symbolic zero that reaches a
primitive when a program runs counts as 0, and makes a product zero whatever the other factor is: nothing flows there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from itertools import repeat
from typing import Any

from alkahest.base.avals import BOOL, FLOAT, INT, AVal, BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.base.prim import Prim, arity_of, prim_by_name
from alkahest.base.rules import (
    AsyncTwin,
    abstract_rules,
    batch_rules,
    impl_rules,
    pull_bwd_rules,
    pull_fwd_rules,
    push_rules,
)
from alkahest.base.zero import Zero
from alkahest.errors import ArityError, OperandTypeError
from alkahest.ir.boxes import Traced
from alkahest.ir.columns import Columns
from alkahest.prims.differentials import backward_rule, forward_rule, push_rule
from alkahest.prims.groups import cheap_primitives
from alkahest.prims.rules import staged
from alkahest.prims.scalar import Implementation, apply_values

# What gives an integer where all arguments are integers (truth values count as 0 and 1), exactly.
EXACT: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "min": lambda a, b: int(min(a, b)),
    "max": lambda a, b: int(max(a, b)),
    "floor": int,
    "ceil": int,
    "trunc": int,
    "round": int,
    "round_away": int,
}
# What gives truth values; Python compares integers with floats exactly.
CONDITIONS: dict[str, Callable[..., bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": operator.not_,
}


def program_rules(prim: Prim, rule: Implementation) -> None:
    """Give a scalar primitive all its rules for programs; `rule` becomes its `impl` rule."""
    rule.value = value_form(rule)
    batch = _batch_form(rule)
    impl_rules.set(prim, rule)
    impl_rules.aset(prim, AsyncTwin(rule))
    abstract = _abstract_form(prim)
    abstract_rules.set(prim, abstract)
    abstract_rules.aset(prim, AsyncTwin(abstract))
    batch_rules.set(prim, batch)
    batch_rules.aset(prim, AsyncTwin(batch))
    for table, made in ((push_rules, push_rule), (pull_fwd_rules, forward_rule), (pull_bwd_rules, backward_rule)):
        derivative = staged(made(prim))
        table.set(prim, derivative)
        table.aset(prim, derivative)
    cheap_primitives.add(prim)


def bind_traced(prim: Prim, xs: tuple[Any, ...]) -> Any:
    """Bind a primitive to operands of which some are traced; numbers of other types become Python's."""
    operands = tuple([x if x.__class__ in _AS_IT_IS else _literal(x) for x in xs])
    if prim.name == "pow" and _is_traced_int(operands[1]) and isinstance(find_aval(operands[0]), IntAVal | BoolAVal):
        # Whether a power of integers is one hangs on the sign of the exponent, which is not known: it is a float.
        operands = (operands[0], prim_by_name("add").bind((operands[1], 0.0)))
    return prim.bind(operands)


_AS_IT_IS = frozenset({Traced, float, int, bool, str, Zero})


def _is_traced_int(x: Any) -> bool:
    return x.__class__ is Traced and isinstance(x.aval, IntAVal)


def _literal(x: Any) -> Any:
    """Return a number that stands beside a traced value as Python's: NumPy's scalars, fractions and the like."""
    aval = find_aval(x)
    if aval is not None:
        python = getattr(aval, "python", None)
        return python(x) if python in (float, int) else x
    if getattr(x, "ndim", None) == 0 and hasattr(x, "item"):
        return x.item()
    return as_float(x) if hasattr(x, "as_integer_ratio") else x


# ------------------------------------------------------------------------------------------------------- values


def value_form(rule: Implementation) -> Callable[..., Any]:
    """Return what a primitive gives for values of programs."""
    if rule.name == "where":
        return _choice(rule)
    holds = CONDITIONS.get(rule.name)
    if holds is not None:
        return _condition(rule, holds)
    return _arithmetic(rule, _ON_INTEGERS.get(rule.name) or EXACT.get(rule.name))


def _arithmetic(rule: Implementation, on_integers: Callable[..., Any] | None) -> Callable[..., Any]:
    number = rule.number

    def mixed(xs: tuple[Any, ...]) -> Any:
        if on_integers is not None and all([isinstance(x, int) for x in xs]):
            return on_integers(*xs)
        if all([isinstance(x, float | int) for x in xs]):
            return float(number(*[as_float(x) for x in xs]))
        return _unusual(rule, xs)

    def value(*xs: Any) -> Any:
        for x in xs:
            if x.__class__ is not float:
                return mixed(xs)
        return float(number(*xs))

    return value


def as_float(x: float) -> float:
    """Return the nearest float; an integer beyond their range gives an infinity, as rounding does."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _quotient(a: int, b: int) -> float:
    """Return the quotient of integers rounded once, where dividing their floats would round three times."""
    if b == 0:
        return math.nan if a == 0 else math.copysign(math.inf, a)
    try:
        return a / b
    except OverflowError:
        return math.inf if (a > 0) == (b > 0) else -math.inf


def _power(a: int, b: int) -> Any:
    return a**b if b >= 0 else impl_rules.by_name("pow").number(as_float(a), as_float(b))


_ON_INTEGERS: dict[str, Callable[..., Any]] = {"div": _quotient, "pow": _power}


def _condition(rule: Implementation, holds: Callable[..., bool]) -> Callable[..., Any]:
    def value(*xs: Any) -> Any:
        for x in xs:
            if x.__class__ is not float and not isinstance(x, float | int):
                return _unusual(rule, xs)
        return bool(holds(*xs))

    return value


def _choice(rule: Implementation) -> Callable[..., Any]:
    """Choice takes values of any type: numbers, texts, arrays; the one that is not taken does not matter."""

    def value(condition: Any, a: Any, b: Any) -> Any:
        if not isinstance(condition, float | int):
            if condition.__class__ is Zero:
                return value(0, a, b)
            return _unusual(rule, (condition, _plain(a), _plain(b)))
        taken = a if condition else b
        if a.__class__ is b.__class__ or Zero in (a.__class__, b.__class__):
            return taken
        if isinstance(a, float | int) and isinstance(b, float | int):
            return as_float(taken) if isinstance(a, float) or isinstance(b, float) else int(taken)
        if isinstance(a, str) or isinstance(b, str):
            return taken
        return _unusual(rule, (condition, a, b))

    return value


def _unusual(rule: Implementation, xs: tuple[Any, ...]) -> Any:
    """Return the value where operands are no plain numbers: symbolic zeros, arrays, types of third parties."""
    if any([x.__class__ is Zero for x in xs]):
        return _with_zeros(rule, xs)
    for x in xs:
        if isinstance(x, str):
            raise _no_number(rule.name, "a text")
    return apply_values(rule, xs)


def _with_zeros(rule: Implementation, xs: tuple[Any, ...]) -> Any:
    others = [x for x in xs if x.__class__ is not Zero]
    if rule.name in ("mul", "neg") or not others:
        return next(x for x in xs if x.__class__ is Zero)
    if rule.name == "add":
        return others[0]
    return rule.value(*[_plain(x) for x in xs])


def _plain(x: Any) -> Any:
    return 0.0 if x.__class__ is Zero else x


# -------------------------------------------------------------------------------------------------------- types


def _abstract_form(prim: Prim) -> Callable[..., AVal]:
    name = prim.name

    def abstract(in_tree: Any, /, **_: Any) -> AVal:
        if not isinstance(in_tree, tuple) or len(in_tree) != arity_of(name):  # pyright: ignore[reportUnknownArgumentType]
            n = len(in_tree) if isinstance(in_tree, tuple) else 1  # pyright: ignore[reportUnknownArgumentType]
            raise ArityError(f"{name} takes {arity_of(name)} argument(s) and was given {n}.", remedy="Pass as many.")
        operands: tuple[Any, ...] = in_tree  # pyright: ignore[reportUnknownVariableType]
        ranks = [_RANKS.get(x.__class__, OTHER) for x in operands]
        if OTHER in ranks or name == "where":
            return _unusual_aval(name, operands)
        return _number_aval(name, ranks, operands)

    return abstract


BOOL_RANK, INT_RANK, FLOAT_RANK, OTHER = 0, 1, 2, -1
_AVALS = (BOOL, INT, FLOAT)
_RANKS = {
    BoolAVal: BOOL_RANK,
    bool: BOOL_RANK,
    IntAVal: INT_RANK,
    int: INT_RANK,
    FloatAVal: FLOAT_RANK,
    float: FLOAT_RANK,
}


def _number_aval(name: str, ranks: list[int], operands: tuple[Any, ...]) -> AVal:
    if name in CONDITIONS:
        return BOOL
    if FLOAT_RANK not in ranks and (name in EXACT or (name == "pow" and _is_count(operands[1]))):
        return INT
    return FLOAT


def _unusual_aval(name: str, operands: tuple[Any, ...]) -> AVal:
    avals = [_aval(name, x) for x in operands]
    if name == "where":
        return _choice_aval(avals)
    if any([isinstance(a, StrAVal) for a in avals]):
        raise _no_number(name, "a text")
    ranks = [_rank(a) for a in avals]
    if OTHER in ranks:
        return _common_aval(name, [a for a, rank in zip(avals, ranks, strict=True) if rank == OTHER])
    return _number_aval(name, ranks, operands)


def _rank(aval: AVal) -> int:
    """Return the place of a number's type among truth values, integers and floats, subclasses too, or OTHER."""
    if isinstance(aval, FloatAVal):
        return FLOAT_RANK
    return INT_RANK if isinstance(aval, IntAVal) else BOOL_RANK if isinstance(aval, BoolAVal) else OTHER


def _is_count(x: Any) -> bool:
    return isinstance(x, int) and x >= 0


def _aval(name: str, x: Any) -> AVal:
    found = find_aval(x)
    if found is None:
        raise _no_number(name, f"a {type(x).__name__}")
    return found


def _no_number(name: str, what: str) -> OperandTypeError:
    return OperandTypeError(
        f"{name} was given {what} where a number is needed.",
        remedy="Pass int, float or bool, or values of a type whose abstract rule says that it can be computed with.",
    )


def _common_aval(name: str, avals: list[AVal]) -> AVal:
    if all([a == avals[0] for a in avals]):
        return avals[0]
    raise OperandTypeError(
        f"what {name} gives for {' and '.join([a.label for a in avals])} is not known.",
        remedy=f"Set an abstract rule: abstract_rules.set(prim_by_name({name!r}), rule, replace=True).",
    )


def _choice_aval(avals: list[AVal]) -> AVal:
    condition, a, b = avals
    if isinstance(condition, StrAVal):
        raise _no_number("where", "a text")
    ranks = (_rank(a), _rank(b))
    if _rank(condition) == OTHER:  # an array of conditions
        return _common_aval("where", [x for x in avals if _rank(x) == OTHER])
    if a == b:
        return a
    if OTHER not in ranks:
        return _AVALS[max(ranks)]
    if isinstance(a, StrAVal) or isinstance(b, StrAVal):
        raise OperandTypeError(
            f"where would give {a.label} or {b.label}.", remedy="Choose between two values of one type."
        )
    return _common_aval("where", [x for x in (a, b) if _rank(x) == OTHER])


# ------------------------------------------------------------------------------------------------------ batches


def _batch_form(rule: Implementation) -> Callable[..., Any]:
    """Return the batch rule: one call for the whole column.

    NumPy's functions would be no gain on lists, and differ in the last bits from those of `math` which compute a
    single item; an item must not depend on whether it came in a batch.
    """
    plain = rule.name not in CONDITIONS and rule.name != "where"

    def batch(in_tree: Any, /, **_: Any) -> tuple[Any, bool]:
        columns = Columns(in_tree)
        if not columns.any:
            return rule.value(*columns.one()), False
        lists: list[Any] = []
        kinds: set[type] = set()
        for column, flag in zip(columns.columns, columns.flags, strict=True):
            lists.append(column if flag else repeat(column))
            kinds.update(map(type, column) if flag else (type(column),))
        if plain and kinds == {float}:
            return columns.pack(rule.floats(lists)), True
        return columns.pack(list(map(rule.value, *lists))), True

    return batch
