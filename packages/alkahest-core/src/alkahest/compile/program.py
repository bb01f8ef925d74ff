"""A traced program: symbols in, expressions out, both in the structures that the Python function has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from alkahest.base import trees
from alkahest.errors import ArityError, OperandError, TraceError, TreeError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool, number_node
from alkahest.expr.traversal import rebuild

REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter of the traced function: its name, default, structure, and the symbols of its leaves."""

    name: str
    symbols: tuple[Expr, ...]
    treedef: trees.TreeDef
    default: Any = REQUIRED


@dataclass(frozen=True)
class Static:
    """A parameter fixed to its default when the function was traced: its name, and how many inputs stand before it.

    `before` is None for a parameter that is passed by name only.
    """

    name: str
    before: int | None


@dataclass(frozen=True)
class Program:
    """What tracing finds out: parameters, and the outputs as leaves and structure; `static` ones are no inputs."""

    pool: ExprPool = field(repr=False)
    name: str
    parameters: tuple[Parameter, ...]
    outputs: tuple[Expr, ...]
    out_tree: trees.TreeDef
    static: tuple[Static, ...] = ()

    @property
    def symbols(self) -> list[Expr]:
        """The symbols of all parameters, in order."""
        return [s for p in self.parameters for s in p.symbols]

    @property
    def expr(self) -> Any:
        """The outputs in the structure the function returned them."""
        return trees.unflatten(self.outputs, self.out_tree)

    def with_outputs(self, tree: Any) -> Program:
        """Return a program of the same parameters with other outputs."""
        leaves, out_tree = trees.flatten(tree)
        outputs = tuple([as_output(self.pool, leaf) for leaf in leaves])
        return Program(self.pool, self.name, self.parameters, outputs, out_tree, self.static)

    @property
    def by_position(self) -> bool:
        """Whether the inputs can all be passed by position: no fixed parameter stands among them."""
        return all(s.before in (None, len(self.parameters)) for s in self.static)

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """Return one leaf per symbol for a call, or raise `ArityError` or `TreeError`."""
        values = self._by_parameter(args, kwargs)
        leaves: list[Any] = []
        for p, value in zip(self.parameters, values, strict=True):
            if p.treedef is None:
                leaves.append(value)
                continue
            found, treedef = trees.flatten(value)
            if treedef != p.treedef:
                raise TreeError(
                    f"the argument {p.name} has the structure {_short(treedef)}, not {_short(p.treedef)}.",
                    remedy="Pass the structure that `like=` was given when the function was traced.",
                )
            leaves += found
        return leaves

    def _by_parameter(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        names = [p.name for p in self.parameters]
        self._check_static(len(args), kwargs)
        unknown = [k for k in kwargs if k not in names]
        if len(args) > len(names) or unknown:
            what = f"was called with {len(args)}" if not unknown else f"has no parameter {unknown[0]}"
            raise ArityError(
                f"{self.name} takes {len(names)} argument(s) ({', '.join(names)}) and {what}.",
                remedy="Pass one value per parameter.",
            )
        twice = [k for k in kwargs if k in names[: len(args)]]
        if twice:
            raise ArityError(f"{self.name} was given {twice[0]} twice.", remedy="Pass each argument once.")
        values = [*args, *[kwargs.get(p.name, p.default) for p in self.parameters[len(args) :]]]
        missing = [p.name for p, v in zip(self.parameters, values, strict=True) if v is REQUIRED]
        if missing:
            raise ArityError(
                f"{self.name} takes {len(names)} argument(s) ({', '.join(names)}) and was called with "
                f"{len(names) - len(missing)}; {', '.join(missing)} is missing.",
                remedy="Pass one value per parameter.",
            )
        return values

    def _check_static(self, positional: int, kwargs: dict[str, Any]) -> None:
        for s in self.static:
            if s.name in kwargs or (s.before is not None and positional > s.before):
                raise ArityError(
                    f"the parameter {s.name} of {self.name} was fixed to its default, which is no number, when the "
                    "function was traced.",
                    remedy=f"Leave {s.name} out and pass what comes after it by name, or trace the function anew.",
                )

    def substitute(self, leaves: Sequence[Any]) -> Any:
        """Return the outputs with expressions put in for the symbols, in one pool with them."""
        target = next(leaf.pool for leaf in leaves if isinstance(leaf, Expr))
        table = {s.id: _expression(target, leaf) for s, leaf in zip(self.symbols, leaves, strict=True)}
        built = rebuild(list(self.outputs), table.get, into=target) if self.outputs else []
        return trees.unflatten(built, self.out_tree)

    def __reduce__(self) -> tuple[Any, ...]:
        from alkahest.expr.persistence import pack_exprs

        ids = [e.id for e in (*self.symbols, *self.outputs)]
        shapes = [
            (p.name, len(p.symbols), _skeleton(p.treedef), p.default is REQUIRED, _default(p)) for p in self.parameters
        ]
        return _unpack, (pack_exprs(self.pool, ids), self.name, shapes, _skeleton(self.out_tree), self.static)


def _default(p: Parameter) -> Any:
    return None if p.default is REQUIRED else p.default


def _skeleton(treedef: trees.TreeDef) -> Any:
    """Return the structure with numbered leaves: pickles by its classes, not by optree's registry."""
    return None if treedef is None else trees.unflatten(list(range(treedef.num_leaves)), treedef)


def _treedef(skeleton: Any) -> trees.TreeDef:
    return None if skeleton is None else trees.flatten(skeleton)[1]


def _unpack(packed: Any, name: str, shapes: list[Any], out_skeleton: Any, static: tuple[Static, ...]) -> Program:
    from alkahest.expr.persistence import unpack_exprs

    exprs = unpack_exprs(packed)
    at = 0
    parameters: list[Parameter] = []
    for pname, count, skeleton, required, default in shapes:
        symbols = tuple(exprs[at : at + count])
        at += count
        parameters.append(Parameter(pname, symbols, _treedef(skeleton), REQUIRED if required else default))
    out_tree = trees.flatten(out_skeleton)[1]
    pool = exprs[0].pool if exprs else ExprPool()
    return Program(pool, name, tuple(parameters), tuple(exprs[at:]), out_tree, static)


def _expression(pool: ExprPool, leaf: Any) -> Expr:
    if isinstance(leaf, Expr) or number_node(leaf) is not None:
        return pool.expr(leaf)
    raise OperandError(
        f"a value of type {type(leaf).__name__} cannot stand beside expressions.",
        remedy="Call with expressions and numbers only, or with numbers and arrays only.",
    )


def as_output(pool: ExprPool, leaf: Any) -> Expr:
    """Return one output leaf of a traced function as an expression of `pool`."""
    try:
        return pool.expr(leaf)
    except OperandError:
        raise TraceError(
            f"the traced function returned a {type(leaf).__name__}.",
            remedy="Return expressions, numbers, or lists, tuples, dicts and dataclasses of them.",
        ) from None


def _short(treedef: trees.TreeDef) -> str:
    return (
        str(treedef)
        .removeprefix("PyTreeSpec(")
        .removesuffix(")")
        .replace(f", namespace='{trees.PYTREE_NAMESPACE}'", "")
    )


Caller = Callable[..., Any]
