"""The expression pool: a hash-consed DAG in which equality is identity and a child's id is below its parent's."""

from __future__ import annotations

import math
import threading
import uuid as uuids
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any

from alkahest.base.interpreter import box_types
from alkahest.base.prim import arity_of
from alkahest.errors import (
    ArityError,
    LiteralError,
    OperandError,
    OperandTypeError,
    PoolMismatchError,
    SymbolNameError,
    UnknownDomainError,
    UnknownFunctionError,
    UnknownSymbolError,
)

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr

Node = tuple[Any, ...]
DOMAINS = ("real", "positive", "nonnegative", "nonzero", "integer")
LEAVES = frozenset({"symbol", "integer", "rational", "float", "const"})
CONSTANTS = {"pi": math.pi, "e": math.e}

# How new nodes are built in the current thread or task: None as written, else a function (pool, op, args) -> Expr.
# `active` counts the blocks that set one anywhere, so that building pays for the lookup only while one is open.
Builder = Callable[["ExprPool", str, tuple[int, ...]], "Expr"]
builder: ContextVar[Builder | None] = ContextVar("alkahest_builder", default=None)
active_builders = [0]

_live: weakref.WeakValueDictionary[str, ExprPool] = weakref.WeakValueDictionary()


class ExprPool:
    """A set of expressions in which the same structure is the same node.

    Building simplifies nothing and keeps numbers exact. Nodes live as long as the pool; an `Expr` keeps its pool
    alive. A pool may be used from several threads.

    >>> pool = ExprPool()
    >>> x, y = pool.symbol("x"), pool.symbol("y", domain="positive")
    >>> x**2 + y
    x^2 + y
    >>> (x * y).id == (x * y).id
    True
    """

    def __init__(self, *, uuid: str | None = None) -> None:
        self._nodes: list[Node] = []
        self._index: dict[Node, int] = {}
        self._symbols: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self.uuid = uuid or uuids.uuid4().hex
        _live[self.uuid] = self

    # -- leaves

    def symbol(self, name: str, domain: str | None = None) -> Expr:
        """Return the symbol `name`; one name with two domains is two symbols.

        `domain` is "real" (the default), "positive", "nonnegative", "nonzero" or "integer"; any other raises
        `UnknownDomainError`.
        """
        if not isinstance(name, str) or not name or any(c.isspace() or c in "()[]{};,\"'`" for c in name):
            raise SymbolNameError(
                f"{name!r} cannot name a symbol.",
                remedy="Use a non-empty name without spaces, quotes or brackets.",
            )
        domain = "real" if domain is None else domain
        check_domain(domain)
        return self._expr(self._intern(("symbol", name, domain)))

    def symbols(self, names: str | Iterable[str], domain: str | None = None) -> list[Expr]:
        """Return one symbol per name; `names` is a text split at spaces and commas, or names.

        >>> ExprPool().symbols("x y z")
        [x, y, z]
        """
        parts = names.replace(",", " ").split() if isinstance(names, str) else list(names)
        return [self.symbol(n, domain) for n in parts]

    def integer(self, value: int) -> Expr:
        """Return the integer `value`, of any size."""
        return self._expr(self._intern(("integer", int(value.__index__()))))

    def rational(self, numerator: int, denominator: int) -> Expr:
        """Return the exact quotient in lowest terms, an integer where it is one; zero below: ZeroDivisionError."""
        return self._expr(self._intern(_exact_node(Fraction(numerator, denominator))))

    def float(self, value: float) -> Expr:
        """Return the float literal `value`, which must be finite; it stays a float."""
        return self._expr(self._intern(_float_node(float(value))))

    def constant(self, name: str) -> Expr:
        """Return the constant "pi" or "e"."""
        if name not in CONSTANTS:
            raise UnknownSymbolError(f"{name!r} is no constant.", remedy="The constants are 'pi' and 'e'.")
        return self._expr(self._intern(("const", name)))

    @property
    def pi(self) -> Expr:
        """The constant pi, exact."""
        return self.constant("pi")

    @property
    def e(self) -> Expr:
        """The constant e, exact."""
        return self.constant("e")

    def number(self, value: Any) -> Expr:
        """Return `value` as a literal: int, Fraction and Decimal exactly, float as a float.

        Scalars of NumPy and 0-d values of torch and JAX count as what their `.item()` is. Anything else raises
        `OperandError`, nan and infinities `LiteralError`.
        """
        node = number_node(value)
        if node is None:
            raise no_operand(value)
        return self._expr(self._intern(node))

    def expr(self, value: Any) -> Expr:
        """Return `value` as an expression of this pool: an `Expr` of it unchanged, a number as a literal."""
        return self._expr(self._id(value))

    # -- nodes

    def apply(self, op: str, *args: Any) -> Expr:
        """Return the node `op(*args)`; arguments are expressions of this pool or numbers.

        Unknown `op` raises `UnknownFunctionError`, a wrong number of arguments `ArityError`.
        """
        arity = arity_of(op)
        if arity is None:
            from alkahest.expr.vocabulary import known_arity

            arity = known_arity(op)  # a plugin may declare it, and nobody has asked for it yet
        if arity is None:
            raise UnknownFunctionError(
                f"no primitive is called {op!r}.",
                remedy="Declare it with alkahest.extend.scalar_p, or check the name.",
            )
        if arity != len(args):
            raise ArityError(
                f"{op} takes {arity} argument(s) and was given {len(args)}.",
                remedy="Pass one value per argument.",
            )
        return self._build(op, tuple([self._id(a) for a in args]))

    def node(self, ident: int) -> Node:
        """Return the node with this id: (op, argument ids…), ("symbol", name, domain), ("integer", n) and so on."""
        return self._nodes[ident]

    def __len__(self) -> int:
        return len(self._nodes)

    def __bool__(self) -> bool:
        return True  # also while it is empty: `pool or …` asks whether there is one

    def __repr__(self) -> str:
        return f"<ExprPool of {len(self._nodes)} nodes>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.uuid, list(self._nodes))

    def __copy__(self) -> ExprPool:
        return self  # expressions find their pool by identity

    def __deepcopy__(self, memo: Any) -> ExprPool:
        return self

    def __enter__(self) -> ExprPool:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def find_symbol(self, name: str) -> Expr | None:
        """Return the symbol of this name, None where there is none; two of different domains raise."""
        found = self._symbols.get(name, [])
        if len(found) > 1:
            domains = ", ".join(self._nodes[i][2] for i in found)
            raise UnknownSymbolError(
                f"{name!r} names several symbols of this pool ({domains}).",
                remedy="Pass the one you mean in `symbols`.",
            )
        return self._expr(found[0]) if found else None

    def save(self, path: Any) -> None:
        """Write the pool to a file, atomically; see `ExprPool.load`."""
        from alkahest.expr.persistence import save_pool

        save_pool(self, path)

    @classmethod
    def load(cls, path: Any) -> ExprPool:
        """Read a pool that `save` wrote; ids are as they were. A damaged file raises `FileFormatError`."""
        from alkahest.expr.persistence import load_pool

        return load_pool(path)

    # -- inside

    def _expr(self, ident: int) -> Expr:
        return _expression.Expr(self, ident)

    def _id(self, value: Any) -> int:
        pool = getattr(value, "pool", None)
        if pool is self:
            return value.id
        if pool is not None and hasattr(value, "id"):
            raise PoolMismatchError(
                "an expression of another pool cannot be used here.",
                remedy="Build all parts in one ExprPool.",
            )
        node = number_node(value)
        if node is None:
            return self.number(value).id
        return self._intern(node)

    def _intern(self, node: Node) -> int:
        ident = self._index.get(node)
        return self._append(node) if ident is None else ident

    def _append(self, node: Node) -> int:
        with self._lock:
            ident = self._index.get(node)
            if ident is None:
                ident = len(self._nodes)
                self._nodes.append(node)
                if node[0] == "symbol":
                    self._symbols.setdefault(node[1], []).append(ident)
                self._index[node] = ident
            return ident

    def _build(self, op: str, args: tuple[int, ...]) -> Expr:
        if active_builders[0]:
            build = builder.get()
            if build is not None:
                return build(self, op, args)
        return self._expr(self._intern((op, *args)))


def _unpickled(uuid: str, nodes: list[Node]) -> ExprPool:
    """Return the live pool of that uuid, or a new one with these nodes."""
    pool = live_pool(uuid)
    if pool is None:
        pool = ExprPool(uuid=uuid)
        for node in nodes:
            pool._intern(node)
    return pool


def live_pool(uuid: str) -> ExprPool | None:
    """Return the pool of this process with that uuid, if there is one."""
    return _live.get(uuid)


def check_domain(domain: str) -> None:
    """Raise `UnknownDomainError` unless `domain` is one of `DOMAINS`."""
    if domain not in DOMAINS:
        raise UnknownDomainError(f"{domain!r} is no domain of symbols.", remedy=f"Use one of {', '.join(DOMAINS)}.")


def no_operand(value: Any) -> OperandError:
    """Return the error for a value that is neither a number nor an expression."""
    return OperandError(
        f"a value of type {type(value).__name__} has no place in an expression.",
        remedy="Use int, float, Fraction, Decimal, a NumPy scalar or an Expr.",
    )


def number_node(value: Any) -> Node | None:
    """Return the leaf node of a number, or None where `value` is none."""
    kind = value.__class__
    if kind is int:
        return ("integer", value)
    if kind is float:
        return _float_node(value)
    return _other_number_node(value)


def _other_number_node(value: Any) -> Node | None:
    if value.__class__ in box_types:
        raise OperandTypeError(
            "an expression beside a traced value of a program is neither.",
            remedy="Trace the formula by itself, with trace_fn, and call it on the traced value.",
        )
    if isinstance(value, float):  # numpy.float64 is one
        return _float_node(float(value))
    if isinstance(value, Fraction):
        return _exact_node(value)
    if isinstance(value, Decimal):
        return _exact_node(Fraction(value)) if value.is_finite() else _float_node(float(value))
    if isinstance(value, _expression.Expr):
        return None
    if hasattr(value, "item"):
        return _array_node(value)
    if hasattr(value, "__index__"):
        return ("integer", int(value.__index__()))
    return None


def _array_node(value: Any) -> Node | None:
    """Return the node of a NumPy scalar or a 0-d array of any library, None for larger arrays, dates and durations."""
    if getattr(value, "ndim", None) != 0 and getattr(value, "shape", None) != ():
        return None
    if getattr(getattr(value, "dtype", None), "kind", "?") in "mM":
        return None
    item = value.item()
    if item.__class__ is not value.__class__:
        return number_node(item)
    # NumPy's extended precision has no Python type and comes back as it is.
    return _float_node(float(item)) if isinstance(item, Real) else None


def _exact_node(value: Fraction) -> Node:
    if value.denominator == 1:
        return ("integer", value.numerator)
    return ("rational", value.numerator, value.denominator)


def _float_node(value: float) -> Node:
    if not math.isfinite(value):
        raise LiteralError(f"{value!r} is no finite number.", remedy="Use finite literals; pass nan and inf as inputs.")
    # 0.0 and -0.0 hash alike: the sign keeps them apart.
    return ("float", value, math.copysign(1.0, value))


# Last, because the two modules need each other: expressions hold their pool, the pool makes expressions.
import alkahest.expr.expression as _expression  # noqa: E402
