"""Programs: equations over variables and literals, in structures."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alkahest.base import trees
from alkahest.base.avals import AVal, DeepAVal
from alkahest.base.interpreter import active_tags
from alkahest.base.prim import Prim
from alkahest.errors import MarkError, OperandTypeError, TreeError

if TYPE_CHECKING:
    from alkahest.ir.code import Code

_ids = itertools.count()
NO_TAGS: frozenset[Hashable] = frozenset()


class IRVar(trees.Leaf):
    """A variable of a program: it has an abstract value, is defined once, and is equal to itself alone.

    `source` is what the variable was made for, where a transform made it: often a variable of the program that was
    transformed. `depth` counts the batches around it: 1 for a list of such values, 2 for lists of lists.
    """

    __slots__ = ("__weakref__", "aval", "depth", "id", "source")

    def __init__(self, *, aval: AVal, source: Any = None, depth: int = 0) -> None:
        self.id = next(_ids)
        self.aval = aval
        self.source = source
        self.depth = depth

    @classmethod
    def fresh(cls, *, aval: AVal, source: Any = None, depth: int = 0) -> IRVar:
        """Return a new variable; ids grow in order of creation, over all threads."""
        return cls(aval=aval, source=source, depth=depth)

    def __repr__(self) -> str:
        return f"IRVar(id={self.id}, aval={self.aval!r})"


def is_irvar(value: Any) -> bool:
    """Tell whether `value` is a variable of a program."""
    return value.__class__ is IRVar


def ir_aval(value: Any) -> Any:
    """Return the abstract value of a variable, and anything else as it is."""
    return value.aval if value.__class__ is IRVar else value


def ir_type(value: Any) -> Any:
    """Return what abstract rules see of a variable: its abstract value, in batches where it is in some."""
    if value.__class__ is not IRVar:
        return value
    return DeepAVal(value.aval, value.depth) if value.depth else value.aval


class Flow:
    """The source of a variable that holds a tangent or cotangent of another variable."""

    __slots__ = ("kind", "var")

    def __init__(self, kind: str, var: Any) -> None:
        self.kind = kind
        self.var = var

    def __repr__(self) -> str:
        return f"{self.kind} of {self.var!r}"


class IREqn:
    """One equation: a primitive, its inputs and outputs (structures of variables and literals), its parameters.

    `bind` carries it out on values, while its tags are active; parameters are given by the caller, who usually passes
    `**eqn.params`. `where` is the place in the user's text, (file, line), where it is known.
    """

    __slots__ = ("_in", "_in_vars", "_out", "_out_vars", "in_ir_tree", "out_ir_tree", "params", "prim", "tags", "where")

    def __init__(
        self,
        prim: Prim,
        in_ir_tree: Any,
        out_ir_tree: Any,
        params: Mapping[str, Any] | None = None,
        tags: frozenset[Hashable] = NO_TAGS,
        *,
        where: tuple[str, int] | None = None,
    ) -> None:
        if not isinstance(tags, frozenset):
            raise MarkError(f"the tags of an equation are a {type(tags).__name__}.", remedy="Pass a frozenset.")
        self.prim = prim
        self.in_ir_tree = in_ir_tree
        self.out_ir_tree = out_ir_tree
        self.params: dict[str, Any] = {} if params is None else dict(params)
        self.tags = tags
        self.where = where
        self._in: tuple[list[Any], Any] | None = None
        self._out: tuple[list[Any], Any] | None = None
        self._in_vars: list[IRVar] | None = None
        self._out_vars: list[IRVar] | None = None

    @property
    def ins(self) -> list[Any]:
        """The leaves of the inputs: variables and literals."""
        return self.in_parts()[0]

    @property
    def outs(self) -> list[Any]:
        """The leaves of the outputs: variables and literals."""
        return self.out_parts()[0]

    @property
    def in_vars(self) -> list[IRVar]:
        """The variables among the leaves of the inputs."""
        if self._in_vars is None:
            self._in_vars = [leaf for leaf in self.ins if leaf.__class__ is IRVar]
        return self._in_vars

    @property
    def out_vars(self) -> list[IRVar]:
        """The variables among the leaves of the outputs."""
        if self._out_vars is None:
            self._out_vars = [leaf for leaf in self.outs if leaf.__class__ is IRVar]
        return self._out_vars

    def in_parts(self) -> tuple[list[Any], Any]:
        """Return the leaves and the structure of the inputs."""
        if self._in is None:
            self._in = trees.flatten(self.in_ir_tree)
        return self._in

    def out_parts(self) -> tuple[list[Any], Any]:
        """Return the leaves and the structure of the outputs."""
        if self._out is None:
            self._out = trees.flatten(self.out_ir_tree)
        return self._out

    def bind(self, in_tree: Any, /, **params: Any) -> Any:
        """Carry out the primitive on `in_tree` with `params`, under the equation's tags and those already active."""
        if not self.tags:
            return self.prim.bind(in_tree, **params)
        token = active_tags.set(active_tags.get() | self.tags)
        try:
            return self.prim.bind(in_tree, **params)
        finally:
            active_tags.reset(token)

    async def abind(self, in_tree: Any, /, **params: Any) -> Any:
        """Carry out the primitive asynchronously; see `bind`."""
        if not self.tags:
            return await self.prim.abind(in_tree, **params)
        token = active_tags.set(active_tags.get() | self.tags)
        try:
            return await self.prim.abind(in_tree, **params)
        finally:
            active_tags.reset(token)

    def using(self, **params: Any) -> IREqn:
        """Return the same equation with `params` in place of parameters of those names."""
        return self.replace(params={**self.params, **params})

    def replace(self, **fields: Any) -> IREqn:
        """Return the same equation with other fields."""
        given: dict[str, Any] = {
            "prim": self.prim,
            "in_ir_tree": self.in_ir_tree,
            "out_ir_tree": self.out_ir_tree,
            "params": self.params,
            "tags": self.tags,
            "where": self.where,
            **fields,
        }
        made = IREqn(**given)
        if made.in_ir_tree is self.in_ir_tree:
            made._in = self._in
        if made.out_ir_tree is self.out_ir_tree:
            made._out = self._out
        return made

    def __repr__(self) -> str:
        from alkahest.ir.printing import eqn_text

        return eqn_text(self)


class IR(trees.Leaf):
    """A program: its inputs (the tuple of arguments), equations in order, and outputs.

    `ordered` is None for a program whose equations that wait run one after the other, as they were written. In a
    scheduled one it is the set of positions of equations that keep that order among themselves; all others start as
    soon as their inputs are there.

    >>> import alkahest as af
    >>> ir = af.trace(lambda name: af.format("hello {}", name))("you")
    >>> ir.call("Ada")
    'hello Ada'
    >>> (name,) = ir.in_ir_tree
    >>> name.aval
    StrAVal()
    """

    __slots__ = ("__weakref__", "_code", "derived", "in_ir_tree", "ir_eqns", "ordered", "out_ir_tree")

    def __init__(
        self, ir_eqns: Iterable[IREqn], in_ir_tree: Any, out_ir_tree: Any, *, ordered: frozenset[int] | None = None
    ) -> None:
        self.ir_eqns = tuple(ir_eqns)
        self.in_ir_tree = in_ir_tree
        self.out_ir_tree = out_ir_tree
        self.ordered = ordered
        self._code: Code | None = None
        self.derived: dict[Any, Any] = {}  # what transforms worked out about this program; dies with it

    @property
    def code(self) -> Code:
        """The program flattened to slots, made at first use."""
        if self._code is None:
            from alkahest.ir.code import Code

            self._code = Code(self)
        return self._code

    def call(self, /, *args: Any) -> Any:
        """Run the program on `args` and return its output.

        A structure unlike `in_ir_tree` raises `TreeError`, a value of the wrong type `OperandTypeError`, another
        value for a static input `StaticInputError`, all before anything runs. What an equation raises says which.
        """
        return self.code.call(args)

    async def acall(self, /, *args: Any) -> Any:
        """Run the program asynchronously on `args` and return its output; see `call`."""
        return await self.code.acall(args)

    def walk(self, /, *args: Any) -> Generator[tuple[IREqn, Any], Any, None]:
        """Return a generator that goes through the program without running anything.

        `next` gives an equation and its inputs; `send(outputs)` takes what came out and gives the next pair; the last
        pair is `(None, output)`.

        >>> import alkahest as af
        >>> ir = af.trace(lambda x: x + "!")("a")
        >>> steps = ir.walk("hello")
        >>> eqn, inputs = next(steps)
        >>> eqn.prim, inputs
        (concat, ('hello', '!'))
        >>> steps.send(eqn.bind(inputs, **eqn.params))
        (None, 'hello!')
        """
        return self.code.walk(args)

    def __repr__(self) -> str:
        from alkahest.ir.printing import ir_text

        return ir_text(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from alkahest.ir.serialization import ir_from_state, ir_state

        return ir_from_state, (ir_state(self),)


def walk(ir: IR, /) -> Any:
    """Return `ir.walk`, as a function of the arguments."""
    return check_ir(ir, "walk").walk


def check_ir(ir: Any, name: str) -> IR:
    """Return `ir`, or raise `OperandTypeError` where it is no program."""
    if not isinstance(ir, IR):
        raise OperandTypeError(
            f"{name} was given a {type(ir).__name__}, not a program.",
            remedy="Trace the function first: alkahest.trace(fn)(*example_args).",
        )
    return ir


def broadcast_prefix(prefix: Any, tree: Any, what: str) -> list[Any]:
    """Return one entry of `prefix` per leaf of `tree`; where it is no prefix of `tree`, raise `TreeError`."""
    import optree

    _, treedef = trees.flatten(tree)
    try:
        full = treedef.unflatten([0] * treedef.num_leaves)
        return optree.broadcast_prefix(prefix, full, namespace=trees.PYTREE_NAMESPACE)
    except (ValueError, TypeError) as error:
        raise TreeError(
            f"{what} does not match the structure of the arguments: {str(error).splitlines()[0].rstrip('.')}.",
            remedy=f"Give {what} one entry per argument, or a single one for all.",
        ) from None
