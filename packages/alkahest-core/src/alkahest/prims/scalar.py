"""How a scalar primitive is declared and applied: one place for its value, derivatives and lowerings."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from alkahest.base.prim import Prim, register_prim
from alkahest.base.rules import impl_rules, lowering_rules, partials_rules
from alkahest.errors import ArrayError, DtypeError, NumberOverflowError, OperandTypeError, TracedValueError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import CONSTANTS
from alkahest.ir.boxes import Traced

Scalar: TypeAlias = Any  # a number, an array, an Expr, or a traced value of a program
Number = Callable[..., float]


class Implementation:
    """What a primitive computes: on floats now, on arrays once NumPy is wanted.

    It is the primitive's `impl` rule: called with a tuple of values of a program, it gives a value of the type that
    the abstract rule says. `arrays_by` tells who implements the array form on this machine.
    """

    def __init__(self, name: str, number: Number, array: tuple[str, ...]) -> None:
        self.name = name
        self._fast = number
        self._array_names = array
        self._array: Callable[..., Any] | None = None
        self.arrays_by = ""
        self.value: Callable[..., Any] = self.number  # replaced by what programs want; see `numeric`

    def __call__(self, in_tree: tuple[Any, ...], /, **_: Any) -> Any:
        """Return the value at the values of a program: integers exact, conditions True and False."""
        return self.value(*in_tree)

    def number(self, *xs: float) -> float:
        """Return the value at floats by IEEE rules: nan and infinities instead of exceptions."""
        try:
            return self._fast(*xs)
        except (ValueError, OverflowError, ZeroDivisionError):
            return self._ieee(*xs)

    def floats(self, columns: list[Any]) -> list[float]:
        """Return `number` of each row of columns of floats, bit by bit the same."""
        try:
            return list(map(float, map(self._fast, *columns)))
        except (ValueError, OverflowError, ZeroDivisionError):
            return [float(self.number(*row)) for row in zip(*columns, strict=False)]

    def array(self, *xs: Any) -> Any:
        """Return the value at NumPy arrays or scalars, broadcast, silently nan or inf where it is undefined."""
        import numpy as np

        with np.errstate(all="ignore"):
            return self.array_function()(*xs)

    def array_function(self) -> Callable[..., Any]:
        """Return the function behind `array`: NumPy's, else SciPy's where installed, else ours entry by entry."""
        if self._array is None:
            self._array = self._resolve()
        return self._array

    def _resolve(self) -> Callable[..., Any]:
        for path in self._array_names:
            module, _, attr = path.rpartition(".")
            try:
                found = getattr(importlib.import_module(module), attr)
            except ImportError:
                continue
            self.arrays_by = module
            return _as_numbers(found) if attr in _CONDITIONS else found
        self.arrays_by = "entry by entry"
        return _entry_by_entry(self.number)

    def _ieee(self, *xs: float) -> float:
        return float(self.array(*xs)) if self._array_names else math.nan


# NumPy's functions that give truth values; ours give 1.0 and 0.0 of the arguments' dtype.
_CONDITIONS = frozenset(
    "less less_equal greater greater_equal equal not_equal logical_and logical_or logical_not".split()
)


def _as_numbers(condition: Callable[..., Any]) -> Callable[..., Any]:
    def run(*xs: Any) -> Any:
        import numpy as np

        kind = np.result_type(*xs)
        return np.asarray(condition(*xs)).astype(kind if kind.kind == "f" else np.float64)

    return run


def _entry_by_entry(number: Number) -> Callable[..., Any]:
    def run(*xs: Any) -> Any:
        import numpy as np

        out = np.frompyfunc(lambda *v: number(*[float(e) for e in v]), len(xs), 1)(*xs)
        kind = np.result_type(*xs)
        return np.asarray(out, dtype=kind if kind.kind == "f" else np.float64)

    return run


@dataclass(frozen=True)
class Declaration:
    """What was declared of a scalar primitive, for documentation and the conformance suite."""

    prim: Prim
    arity: int
    domain: tuple[tuple[float, float], ...]


declarations: dict[str, Declaration] = {}


def scalar_p(
    name: str,
    *,
    impl: str | Number,
    partials: Callable[..., tuple[Any, ...]] | None = None,
    arity: int | None = None,
    array: str | tuple[str, ...] | None = None,
    domain: tuple[tuple[float, float], ...] | None = None,
    lower: Mapping[str, Any] | None = None,
) -> Prim:
    """Declare a scalar primitive in one place and return it.

    `impl` is the name of a function of `math` (its array form is NumPy's function of the same name) or a function of
    floats. `array` names the array form by import path, several in order of preference; without any the function is
    applied entry by entry. `partials(*args, out)` gives one derivative per argument, written with public functions,
    `out` being the value itself; None where there is no derivative. `domain` is an interval per argument, where the
    conformance suite samples. `lower` gives lowering rules by target; C takes a format string. In programs the
    primitive takes numbers and gives a float; its rules for programs are derived from all this.

    >>> softplus_p = scalar_p(
    ...     "doc_softplus",
    ...     impl=lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    ...     partials=lambda x, out: (1 / (1 + 2.718281828459045 ** (-x)),),
    ... )
    >>> apply(softplus_p, 0.0)
    0.6931471805599453
    """
    from alkahest.prims.numeric import program_rules  # late: it builds on this module

    if arity is None:
        arity = _arity_of_partials(name, partials)
    prim = register_prim(Prim(name), arity)
    if isinstance(impl, str):
        paths = (f"numpy.{impl}",) if array is None else _as_tuple(array)
        number: Number = getattr(math, impl)
    else:
        paths, number = _as_tuple(array), impl
    program_rules(prim, Implementation(name, number, paths))
    if partials is not None:
        partials_rules.set(prim, partials)
    for target, rule in (lower or {}).items():
        lowering_rules(target).set(prim, rule)
    declarations[name] = Declaration(prim, arity, domain or ((-2.0, 2.0),) * arity)
    return prim


def _arity_of_partials(name: str, partials: Callable[..., Any] | None) -> int:
    if partials is None:
        raise TypeError(f"scalar_p({name!r}) needs `partials` or `arity`")
    code = partials.__code__
    names = code.co_varnames[: code.co_argcount]
    return len([n for n in names if n != "out"])


def _as_tuple(paths: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if paths is None:
        return ()
    return (paths,) if isinstance(paths, str) else paths


def apply(prim: Prim, *xs: Scalar) -> Scalar:
    """Apply a scalar primitive: an `Expr` among `xs` gives an `Expr`, numbers give a float, arrays an array.

    A traced value among `xs` gives a traced value: the primitive becomes an equation of the program that is traced.
    Lists and anything that NumPy can read count as arrays. Complex or non-numeric values raise `DtypeError` or
    `ArrayError`, an integer beyond the range of floats `NumberOverflowError`, an `Expr` beside a traced value
    `OperandTypeError`.
    """
    numbers = True
    for x in xs:
        kind = x.__class__
        if kind is Expr:
            try:
                return x.pool.apply(prim.name, *xs)
            except TracedValueError:
                raise _beside_expression(prim) from None
        if kind is not float:
            if kind is Traced:
                return _bind_traced(prim, xs)
            numbers = False
    rule: Implementation = impl_rules.get(prim)
    if numbers:
        return float(rule.number(*xs))
    return apply_values(rule, xs)


def _bind_traced(prim: Prim, xs: tuple[Any, ...]) -> Any:
    from alkahest.prims.numeric import bind_traced

    if any(x.__class__ is Expr for x in xs):
        raise _beside_expression(prim)
    return bind_traced(prim, xs)


def _beside_expression(prim: Prim) -> OperandTypeError:
    return OperandTypeError(
        f"{prim.name} was given an expression beside a traced value of a program.",
        remedy="Turn the formula into a function with trace_fn, and call that with traced values.",
    )


def apply_values(rule: Implementation, xs: tuple[Any, ...]) -> Any:
    """Return the value at numbers of any type, or at arrays and what NumPy can read."""
    if any(hasattr(x, "pool") and hasattr(x, "id") for x in xs):
        raise ArrayError("an unknown kind of expression was passed.", remedy="Pass Expr, numbers or arrays.")
    values = [_plain_number(x) for x in xs]
    if all(v is not None for v in values):
        return float(rule.number(*[v for v in values if v is not None]))
    if rule.name == "where" and isinstance(xs[1], str):
        return rule.value(*xs)
    import numpy as np

    columns = [as_float_array(x) if v is None else v for x, v in zip(xs, values, strict=True)]
    try:
        out = np.asarray(rule.array(*columns))
    except ValueError as error:
        shapes = ", ".join(str(np.shape(c)) for c in columns)
        raise ArrayError(
            f"{rule.name} cannot combine shapes {shapes}: {error}.", remedy="Use shapes that broadcast."
        ) from None
    return out if out.ndim else out[()]


def _plain_number(x: Any) -> float | None:
    if isinstance(x, int | float | Fraction | Decimal):
        try:
            return float(x)
        except OverflowError:
            raise NumberOverflowError(
                "an exact number does not fit a float.", remedy="Scale it so that it stays below 1.8e308."
            ) from None
    return None


def as_float_array(value: Any) -> Any:
    """Return `value` as a NumPy array of real numbers; ragged, complex or non-numeric input raises."""
    import numpy as np

    try:
        out = np.asarray(value)
    except ValueError as error:
        raise ArrayError(
            f"the argument is no rectangular array: {str(error).rstrip('.')}.", remedy="Pass rows of one length."
        ) from None
    if out.dtype.kind == "c":
        raise DtypeError("the argument holds complex numbers.", remedy="Pass real and imaginary parts as two inputs.")
    if out.dtype.kind not in "fiub":
        raise ArrayError(
            f"the argument is no array of numbers (dtype {out.dtype}).",
            remedy="Pass real numbers: int, float or bool.",
        )
    return out


@dataclass(frozen=True)
class Select:
    """A partial derivative that is 1 where `condition` holds (`taken`) or does not (`not taken`), and 0 elsewhere.

    Derivatives choose by it instead of multiplying, so that a branch which is not taken may be nan.
    """

    condition: Any
    taken: bool


def fold(prim: Prim, a: Scalar, b: Scalar, more: tuple[Scalar, ...]) -> Scalar:
    """Apply a binary primitive to two or more arguments, from the left."""
    out = apply(prim, a, b)
    for x in more:
        out = apply(prim, out, x)
    return out


def literal(like: Scalar, value: int | str) -> Scalar:
    """Return a number, or the constant "pi" or "e", to go with `like`: exact beside an `Expr`, else a float."""
    if isinstance(like, Expr):
        return like.pool.constant(value) if isinstance(value, str) else like.pool.integer(value)
    return CONSTANTS[value] if isinstance(value, str) else float(value)
