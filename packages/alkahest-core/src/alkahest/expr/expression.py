"""`Expr`: one node of a pool, with Python's operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

from alkahest.errors import ComparisonError, ControlFlowError, OperandError, PoolMismatchError
from alkahest.expr.pool import CONSTANTS, LEAVES, ExprPool, active_builders, no_operand, number_node

if TYPE_CHECKING:
    from collections.abc import Iterator


class Expr:
    """A real scalar expression: a node of an `ExprPool`.

    Operators take int, float, Fraction, Decimal, NumPy scalars and 0-d values of torch and JAX on either side, and
    NumPy arrays entry by entry. `==` is identity of structure; an equation is `alkahest.eq(a, b)`, a choice
    `alkahest.where(condition, a, b)`.

    >>> x = ExprPool().symbol("x")
    >>> 2**x - x / 3
    2^x - x/3
    """

    __slots__ = ("__weakref__", "id", "pool")

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

    def __format__(self, spec: str) -> str:
        if spec:
            raise ControlFlowError(
                f"an expression has no digits to format as {spec!r}.",
                remedy="Format its text, f'{str(x):>20}', or its value, f'{eval_expr(x, bindings):.3f}'.",
            )
        return str(self)

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
        # Numbers hash below sys.hash_info.modulus, 2**61 - 1: a dict of both never has to compare x with a number.
        return self.id | 0x4000_0000_0000_0000

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

    def __index__(self) -> int:
        value = self.value
        if isinstance(value, int):
            return value
        raise ControlFlowError(
            f"the symbolic value {self.to_string(60)} is no known integer, which a range, an index or a count must be.",
            remedy="Use a Python integer there, and where(condition, a, b) to choose by a symbolic value.",
        )

    def __len__(self) -> NoReturn:
        raise ControlFlowError(
            "a symbolic value is a scalar and has no length.",
            remedy="Take the length of a list of expressions; trace structures with like=.",
        )

    def __getitem__(self, key: Any) -> NoReturn:
        raise ControlFlowError(
            "a symbolic value is a scalar and has no entries.",
            remedy="Index a list of expressions; a traced argument with entries wants an example, like={'p': [0, 0]}.",
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

    def __divmod__(self, other: Any) -> NoReturn:
        raise OperandError("divmod of an expression is not defined.", remedy="Write the pair: (x // y, x % y).")

    __rdivmod__ = __divmod__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Carry out NumPy's operators, which come here from `array + expr` and `numpy.add`; refuse its functions."""
        from alkahest.expr.ufuncs import run_ufunc

        return run_ufunc(ufunc, method, inputs, kwargs)

    # Filled below from one template: the operators differ in the name of the primitive alone.
    __add__: Any
    __radd__: Any
    __sub__: Any
    __rsub__: Any
    __mul__: Any
    __rmul__: Any
    __truediv__: Any
    __rtruediv__: Any
    __floordiv__: Any
    __rfloordiv__: Any
    __mod__: Any
    __rmod__: Any
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
    """Return the id of an operand in `pool`, None where it is no number."""
    if value.__class__ is Expr:
        if value.pool is pool:
            return value.id
        raise PoolMismatchError(
            "expressions of two pools cannot be combined.", remedy="Build all parts in one ExprPool."
        )
    node = number_node(value)
    return None if node is None else pool._intern(node)


def _beside(value: Any, operator: Callable[[Any], Any], theirs: str = "") -> Any:
    """Return what an operator gives beside a value that is no number.

    A NumPy array gives `operator` of its entries, a type with a reflected operator `theirs` of its own is left to
    that, and all else raises `OperandError`.
    """
    cls: Any = value.__class__
    module = cls.__module__.partition(".")[0]
    if module == "numpy":
        if getattr(getattr(value, "dtype", None), "kind", "?") in "biufO":
            import numpy as np

            return np.frompyfunc(operator, 1, 1)(value)
    elif module != "builtins" and theirs and getattr(cls, theirs, None) is not getattr(object, theirs, None):
        return NotImplemented
    raise no_operand(value)


def _binary(op: str, theirs: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the operator of a primitive and its reflection; `theirs` names the operand's method for the former."""

    def forward(self: Expr, other: Any) -> Any:
        pool = self.pool
        if other.__class__ is Expr and other.pool is pool:
            ident = other.id
        else:
            ident = _operand(pool, other)
            if ident is None:
                return _beside(other, lambda entry: forward(self, entry), theirs)
        if active_builders[0]:
            return pool._build(op, (self.id, ident))
        node = (op, self.id, ident)
        found = pool._index.get(node)
        return Expr(pool, pool._append(node) if found is None else found)

    def reflected(self: Expr, other: Any) -> Any:
        ident = _operand(self.pool, other)
        if ident is None:
            return _beside(other, lambda entry: reflected(self, entry))
        return self.pool._build(op, (ident, self.id))

    return forward, reflected


def _composed(build: Callable[[Expr, Expr], Expr], theirs: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Do what `_binary` does for an operator that `build` writes with others."""

    def forward(self: Expr, other: Any) -> Any:
        ident = _operand(self.pool, other)
        if ident is None:
            return _beside(other, lambda entry: forward(self, entry), theirs)
        return build(self, Expr(self.pool, ident))

    def reflected(self: Expr, other: Any) -> Any:
        ident = _operand(self.pool, other)
        if ident is None:
            return _beside(other, lambda entry: reflected(self, entry))
        return build(Expr(self.pool, ident), self)

    return forward, reflected


def _floored_quotient(a: Expr, b: Expr) -> Expr:
    return a.pool._build("div", (a.id, b.id)).__floor__()


def _remainder(a: Expr, b: Expr) -> Expr:
    build = a.pool._build
    return build("sub", (a.id, build("mul", (b.id, _floored_quotient(a, b).id)).id))


Expr.__add__, Expr.__radd__ = _binary("add", "__radd__")
Expr.__sub__, Expr.__rsub__ = _binary("sub", "__rsub__")
Expr.__mul__, Expr.__rmul__ = _binary("mul", "__rmul__")
Expr.__truediv__, Expr.__rtruediv__ = _binary("div", "__rtruediv__")
Expr.__pow__, Expr.__rpow__ = _binary("pow", "__rpow__")
Expr.__lt__, _ = _binary("lt", "__gt__")
Expr.__le__, _ = _binary("le", "__ge__")
Expr.__gt__, _ = _binary("gt", "__lt__")
Expr.__ge__, _ = _binary("ge", "__le__")
Expr.__and__, Expr.__rand__ = _binary("and", "__rand__")
Expr.__or__, Expr.__ror__ = _binary("or", "__ror__")
Expr.__floordiv__, Expr.__rfloordiv__ = _composed(_floored_quotient, "__rfloordiv__")
Expr.__mod__, Expr.__rmod__ = _composed(_remainder, "__rmod__")
