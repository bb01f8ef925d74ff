"""`Expr`: one node of a pool, with Python's operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

from alkahest.errors import ComparisonError, ControlFlowError, OperandError, PoolMismatchError
from alkahest.expr.pool import CONSTANTS, LEAVES, ExprPool, active_builders, number_node

if TYPE_CHECKING:
    from collections.abc import Iterator


class Expr:
    """A real scalar expression: a node of an `ExprPool`.

    Operators take int, float, Fraction, Decimal and NumPy scalars on either side. `==` is identity of structure;
    an equation is `alkahest.eq(a, b)`, a choice `alkahest.where(condition, a, b)`.

    >>> x = ExprPool().symbol("x")
    >>> 2**x - x / 3
    2^x - x/3
    """

    __slots__ = ("__weakref__", "id", "pool")
    __array_ufunc__ = None  # NumPy's operators leave the work to ours

    pool: ExprPool
    id: int

    def __init__(self, pool: ExprPool, ident: int) -> None:
        self.pool = pool
        self.id = ident

    # -- what it is

    @property
    def op(self) -> str:
        """The node's kind: "symbol", "integer", "rational", "float", "const", or the name of a primitive."""
        return self.pool._nodes[self.id][0]

    @property
    def args(self) -> tuple[Expr, ...]:
        """The arguments; empty for leaves."""
        node = self.pool._nodes[self.id]
        return () if node[0] in LEAVES else tuple([Expr(self.pool, i) for i in node[1:]])

    @property
    def name(self) -> str | None:
        """The name of a symbol, None for all else."""
        node = self.pool.node(self.id)
        return node[1] if node[0] == "symbol" else None

    @property
    def domain(self) -> str | None:
        """The domain of a symbol, None for all else."""
        node = self.pool.node(self.id)
        return node[2] if node[0] == "symbol" else None

    @property
    def value(self) -> int | float | Fraction | None:
        """The value of a literal (int, Fraction or float; constants as floats), None for all else."""
        node = self.pool.node(self.id)
        if node[0] in ("integer", "float"):
            return node[1]
        if node[0] == "rational":
            return Fraction(node[1], node[2])
        return CONSTANTS[node[1]] if node[0] == "const" else None

    @property
    def free_symbols(self) -> frozenset[Expr]:
        """The symbols it depends on."""
        from alkahest.expr.traversal import reachable

        nodes = self.pool._nodes
        return frozenset(Expr(self.pool, i) for i in reachable(self.pool, [self.id]) if nodes[i][0] == "symbol")

    def node_count(self) -> int:
        """Return the number of distinct nodes: the size of the DAG."""
        from alkahest.expr.traversal import reachable

        return len(reachable(self.pool, [self.id]))

    def tree_size(self) -> int:
        """Return the number of nodes with sharing written out, of any size; one linear pass."""
        from alkahest.expr.traversal import tree_size

        return tree_size(self)

    def subs(self, replacements: Mapping[Any, Any]) -> Expr:
        """Return it with each key replaced by its value, all at once; keys are expressions, values may be numbers.

        >>> x, y = ExprPool().symbols("x y")
        >>> (x**2 + y).subs({x: y, y: 3})
        y^2 + 3
        """
        from alkahest.expr.traversal import substitute

        return substitute(self, replacements)

    # -- text

    def __str__(self) -> str:
        from alkahest.expr.printing import DEFAULT_MAX_CHARS, to_text

        return to_text(self, max_chars=DEFAULT_MAX_CHARS)

    __repr__ = __str__

    def to_string(self, max_chars: int | None = None) -> str:
        """Return the whole text, or its first `max_chars` characters and an ellipsis."""
        from alkahest.expr.printing import to_text

        return to_text(self, max_chars=max_chars)

    def latex(self, max_chars: int | None = None) -> str:
        """Return the formula as LaTeX, without dollar signs."""
        from alkahest.expr.latex import to_latex

        return to_latex(self, max_chars=max_chars)

    def _repr_latex_(self) -> str:
        from alkahest.expr.printing import DEFAULT_MAX_CHARS

        return f"$\\displaystyle {self.latex(max_chars=DEFAULT_MAX_CHARS)}$"

    # -- identity

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Expr):
            return self.id == other.id and self.pool is other.pool
        if number_like(other):
            raise ComparisonError(
                f"== between an expression and the number {other!r} would compare structure, not values.",
                remedy="Write eq(a, b) for the equation, and where(condition, a, b) to choose by it.",
            )
        return NotImplemented

    def __hash__(self) -> int:
        return self.id

    def __reduce__(self) -> tuple[Any, ...]:
        from alkahest.expr.persistence import pack_exprs, unpack_expr

        return unpack_expr, (pack_exprs(self.pool, [self.id]),)

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: Any) -> Expr:
        return self

    # -- what a symbolic value cannot tell

    def __bool__(self) -> NoReturn:
        raise ControlFlowError(
            f"the truth of the symbolic value {self.to_string(60)} is not known while tracing.",
            remedy="Use where(condition, a, b) instead of if, and and_, or_, not_ instead of and, or, not.",
        )

    def __float__(self) -> float:
        value = self.value
        if value is None:
            raise ControlFlowError(
                f"the symbolic value {self.to_string(60)} is no number.",
                remedy="Evaluate it with eval_expr, or choose with where(condition, a, b).",
            )
        return float(value)

    def __int__(self) -> int:
        value = self.value
        return int(float(self) if value is None else value)

    def __iter__(self) -> Iterator[Expr]:
        raise ControlFlowError(
            "a symbolic value is a scalar and cannot be iterated or unpacked.",
            remedy="Pass a list of expressions; use where(condition, a, b) for choices.",
        )

    # -- arithmetic

    def __neg__(self) -> Expr:
        return self.pool._build("neg", (self.id,))

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return self.pool._build("abs", (self.id,))

    def __round__(self, ndigits: int | None = None) -> Expr:
        if ndigits is not None:
            raise OperandError("round(expr, ndigits) is not defined.", remedy="Round to integers: round(expr).")
        return self.pool._build("round", (self.id,))

    def __floor__(self) -> Expr:
        return self.pool._build("floor", (self.id,))

    def __ceil__(self) -> Expr:
        return self.pool._build("ceil", (self.id,))

    def __trunc__(self) -> Expr:
        return self.pool._build("trunc", (self.id,))

    def __invert__(self) -> Expr:
        return self.pool._build("not", (self.id,))

    def __floordiv__(self, other: Any) -> Any:
        return (self / other).__floor__()

    def __rfloordiv__(self, other: Any) -> Any:
        return (other / self).__floor__()

    def __mod__(self, other: Any) -> Any:
        return self - other * (self / other).__floor__()

    def __rmod__(self, other: Any) -> Any:
        return other - self * (other / self).__floor__()

    # Filled below from one template: the operators differ in the name of the primitive alone.
    __add__: Any
    __radd__: Any
    __sub__: Any
    __rsub__: Any
    __mul__: Any
    __rmul__: Any
    __truediv__: Any
    __rtruediv__: Any
    __pow__: Any
    __rpow__: Any
    __lt__: Any
    __le__: Any
    __gt__: Any
    __ge__: Any
    __and__: Any
    __rand__: Any
    __or__: Any
    __ror__: Any


def number_like(value: object) -> bool:
    """Tell whether `value` is a number that an expression may hold; nan and infinities count."""
    if isinstance(value, float):
        return True
    try:
        return number_node(value) is not None
    except (TypeError, ValueError):
        return False


def _operand(pool: ExprPool, value: Any) -> int | None:
    """Return the id of an operand that is no Expr of this pool, None where it is none of ours."""
    if value.__class__ is Expr:
        raise PoolMismatchError(
            "expressions of two pools cannot be combined.", remedy="Build all parts in one ExprPool."
        )
    node = number_node(value)
    return None if node is None else pool._intern(node)


def _elementwise(value: Any, operator: Callable[[Any], Any]) -> Any:
    """Apply `operator` to each entry of a NumPy array, for `expr + array`; NotImplemented for all else."""
    if type(value).__module__.partition(".")[0] != "numpy" or not getattr(value, "ndim", 0):
        return NotImplemented
    import numpy as np

    return np.frompyfunc(operator, 1, 1)(value)


def _binary(op: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Expr, other: Any) -> Any:
        pool = self.pool
        if other.__class__ is Expr and other.pool is pool:
            ident = other.id
        else:
            ident = _operand(pool, other)
            if ident is None:
                return _elementwise(other, lambda entry: forward(self, entry))
        if active_builders[0]:
            return pool._build(op, (self.id, ident))
        node = (op, self.id, ident)
        found = pool._index.get(node)
        return Expr(pool, pool._append(node) if found is None else found)

    def reflected(self: Expr, other: Any) -> Any:
        ident = _operand(self.pool, other)
        if ident is None:
            return _elementwise(other, lambda entry: reflected(self, entry))
        return self.pool._build(op, (ident, self.id))

    return forward, reflected


Expr.__add__, Expr.__radd__ = _binary("add")
Expr.__sub__, Expr.__rsub__ = _binary("sub")
Expr.__mul__, Expr.__rmul__ = _binary("mul")
Expr.__truediv__, Expr.__rtruediv__ = _binary("div")
Expr.__pow__, Expr.__rpow__ = _binary("pow")
Expr.__lt__, _ = _binary("lt")
Expr.__le__, _ = _binary("le")
Expr.__gt__, _ = _binary("gt")
Expr.__ge__, _ = _binary("ge")
Expr.__and__, Expr.__rand__ = _binary("and")
Expr.__or__, Expr.__ror__ = _binary("or")
