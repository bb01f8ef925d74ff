"""Control flow: switch, while_loop, stop_gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.errors import BranchError, LoopError, OperandTypeError, TreeError
from alkahest.ir.ir import IR, Flow, IRVar, ir_aval, ir_type
from alkahest.prims.rules import rules, staged

switch_p = Prim("switch")
while_loop_p = Prim("while_loop")
stop_gradient_p = Prim("stop_gradient")

# ------------------------------------------------------------------------------------------------ stop_gradient


def stop_gradient(value: Any, /) -> Any:
    """Return `value`; tangents and cotangents stop here and become symbolic zeros.

    >>> stop_gradient({"a": 1})
    {'a': 1}
    """
    return stop_gradient_p.bind(value)


def zeros_like(tree: Any) -> Any:
    """Return `tree` with a symbolic zero in place of each leaf."""
    return trees.map_leaves(lambda leaf: Zero(find_aval(leaf) or StrAVal()), tree)


def _identity(in_tree: Any, /, **_: Any) -> Any:
    return in_tree


rules(
    stop_gradient_p,
    impl=_identity,
    abstract=_identity,
    push=staged(lambda in_tree: (stop_gradient_p.bind(in_tree[0]), zeros_like(in_tree[0]))),
    pull=(
        staged(lambda in_tree: (stop_gradient_p.bind(in_tree), zeros_like(in_tree))),
        staged(lambda in_tree: in_tree[0]),
    ),
    batch=lambda in_tree: (in_tree[2], in_tree[1]),
)

# ------------------------------------------------------------------------------------------------------- switch


def switch(key: Any, branches: Mapping[Any, IR], /, *operands: Any) -> Any:
    """Return what the branch called `key` makes of `operands`; only that branch runs.

    `branches` maps keys (all str, all int, or True and False) to programs with the same structures of inputs and
    outputs and the same output types. A key that no branch has raises `BranchError` when the program runs.

    >>> import alkahest as af
    >>> loud = af.trace(lambda x: x + "!")("hi")
    >>> calm = af.trace(lambda x: x + ".")("hi")
    >>> ir = af.trace(lambda key, x: af.switch(key, {"loud": loud, "calm": calm}, x))("loud", "hi")
    >>> ir.call("loud", "hi"), ir.call("calm", "hi")
    ('hi!', 'hi.')
    """
    chosen = _checked_branches(branches)
    _check_key(key, chosen)
    first = next(iter(chosen.values()))
    _check_operands(first, operands)
    return switch_p.bind((key, operands), branches=chosen)


def _checked_branches(branches: Any) -> dict[Any, IR]:
    if not isinstance(branches, Mapping) or not branches:
        raise OperandTypeError(
            "switch was given no branches.", remedy="Pass a dict of programs by key, each made by alkahest.trace."
        )
    found = dict(cast("Mapping[Any, Any]", branches))
    for key, ir in found.items():
        if not isinstance(ir, IR):
            raise OperandTypeError(
                f"branch {key!r} of switch is a {type(ir).__name__}, not a program.",
                remedy="Trace it first: alkahest.trace(fn)(*example_args).",
            )
    kinds: set[type] = {key.__class__ for key in found}
    if len(kinds) > 1 or not kinds <= {str, int, bool}:
        names = ", ".join(sorted(k.__name__ for k in kinds))
        raise OperandTypeError(
            f"the keys of switch are {names}.", remedy="Use all texts, all integers, or True and False."
        )
    (name, first), *others = found.items()
    for other_name, other in others:
        _check_same(name, first, other_name, other)
    return found


def _check_same(name: Any, first: IR, other_name: Any, other: IR) -> None:
    for what, a, b in (
        ("inputs", first.in_ir_tree, other.in_ir_tree),
        ("outputs", first.out_ir_tree, other.out_ir_tree),
    ):
        leaves, treedef = trees.flatten(a)
        others, other_treedef = trees.flatten(b)
        if treedef != other_treedef:
            raise TreeError(
                f"branches {name!r} and {other_name!r} of switch have {what} of different structure.",
                remedy="Let all branches take and return the same structure.",
            )
        for x, y in zip(leaves, others, strict=True):
            if not _agree(ir_aval(x), ir_aval(y)):
                raise OperandTypeError(
                    f"branches {name!r} and {other_name!r} of switch have {what} of different types: "
                    f"{_label(x)} and {_label(y)}.",
                    remedy="Let all branches take and return the same types.",
                )


def _agree(a: Any, b: Any) -> bool:
    x, y = find_aval(a), find_aval(b)
    return x == y or x is None or y is None


def _label(leaf: Any) -> str:
    aval = find_aval(leaf)
    return aval.label if aval is not None else repr(leaf)


def _check_key(key: Any, branches: Mapping[Any, IR]) -> None:
    wanted = find_aval(next(iter(branches)))
    given = find_aval(key)
    if given != wanted:
        raise OperandTypeError(
            f"switch was given a {_label(key) if given else type(key).__name__} for a key, and its branches are keyed "
            f"by {_label(next(iter(branches)))}.",
            remedy="Pass a key of the type of the branches' keys.",
        )


def _check_operands(ir: IR, operands: tuple[Any, ...]) -> None:
    wanted = ir.in_ir_tree
    if len(operands) != len(wanted):
        raise TreeError(
            f"the branches of switch take {len(wanted)} argument(s) and it was given {len(operands)} operand(s).",
            remedy="Pass to switch, after the branches, what each branch takes.",
        )
    _check_given(wanted, operands, "the operands of switch")


def _check_given(wanted: Any, given: Any, what: str) -> None:
    """Raise `TreeError` or `OperandTypeError` where programs that take `wanted` cannot take `given`."""
    for leaf, value in zip(trees.leaves(wanted), _flatten_like(wanted, given, what), strict=True):
        if leaf.__class__ is not IRVar or leaf.depth or isinstance(leaf.source, Flow) or value.__class__ is Zero:
            continue
        aval = find_aval(value)
        if aval is None and not trees.is_leaf(value):
            raise _other_structure(what, f"a {type(value).__name__} stands for a {leaf.aval.label}")
        plain = isinstance(aval, _PLAIN) or isinstance(leaf.aval, _PLAIN)
        if aval is not None and plain and aval != leaf.aval and not _widens(leaf.aval, aval):
            raise OperandTypeError(
                f"{what} hold a {aval.label} where its programs take a {leaf.aval.label}.",
                remedy="Pass the types the programs were traced with.",
            )


_PLAIN = (StrAVal, IntAVal, FloatAVal, BoolAVal)


def _flatten_like(like: Any, given: Any, what: str) -> list[Any]:
    _, treedef = trees.flatten(like)
    try:
        return treedef.flatten_up_to(given)
    except ValueError as error:
        raise _other_structure(what, str(error).splitlines()[0].rstrip(".")) from None


def _other_structure(what: str, why: str) -> TreeError:
    return TreeError(
        f"{what} do not have the structure its programs take: {why}.",
        remedy="Pass the structure the programs were traced with.",
    )


def branch(branches: Mapping[Any, IR], key: Any) -> IR:
    """Return the branch called `key`, or raise `BranchError`."""
    try:
        return branches[key]
    except KeyError:
        raise BranchError(
            f"switch has no branch {key!r}.",
            remedy=f"Use one of {', '.join(map(repr, branches))}, or add that branch.",
        ) from None


def _switch_impl(in_tree: Any, /, *, branches: Mapping[Any, IR]) -> Any:
    key, operands = in_tree
    return branch(branches, key).call(*operands)


async def _switch_aimpl(in_tree: Any, /, *, branches: Mapping[Any, IR]) -> Any:
    key, operands = in_tree
    return await branch(branches, key).acall(*operands)


def _switch_abstract(in_tree: Any, /, *, branches: Mapping[Any, IR]) -> Any:
    columns = [trees.flatten(ir.out_ir_tree)[0] for ir in branches.values()]
    _, treedef = trees.flatten(next(iter(branches.values())).out_ir_tree)
    return treedef.unflatten([_joined(list(leaves)) for leaves in zip(*columns, strict=True)])


def _joined(leaves: list[Any]) -> Any:
    """Return what is known of one output in all branches: the literal they share, or its abstract value."""
    first = leaves[0]
    if first.__class__ is not IRVar and all(_same_literal(leaf, first) for leaf in leaves):
        return first
    avals = [find_aval(ir_type(leaf)) for leaf in leaves if leaf.__class__ is not Zero]
    return avals[0] if avals else find_aval(first)


def _same_literal(a: Any, b: Any) -> bool:
    """Tell whether no primitive could tell two literals apart: 1 and 1.0 differ, as do 0.0 and -0.0."""
    return a.__class__ is b.__class__ and a == b and (not isinstance(a, float) or repr(a) == repr(b))


rules(switch_p, impl=_switch_impl, aimpl=_switch_aimpl, abstract=_switch_abstract)

# --------------------------------------------------------------------------------------------------- while_loop


def while_loop(cond_ir: IR, body_ir: IR, init: Any, /, *, max_iters: int | None = None) -> Any:
    """Return the state after running `body_ir` on it as long as `cond_ir` says so, at most `max_iters` times.

    Both programs take one argument, the state, which starts as `init`; `cond_ir` gives a truth value, `body_ir` a state
    of the same structure. `max_iters` is required: a loop over a model's answers may never end by itself; with 0,
    `init` is returned.

    >>> import alkahest as af
    >>> cond = af.trace(lambda x: x != "aaaa")("a")
    >>> body = af.trace(lambda x: x + "a")("a")
    >>> af.trace(lambda x: af.while_loop(cond, body, x, max_iters=10))("a").call("a")
    'aaaa'
    """
    if max_iters is None:
        raise LoopError(
            "while_loop was given no max_iters, and might never end.",
            remedy="Pass max_iters=, the most iterations it may take.",
        )
    if not isinstance(max_iters, int) or isinstance(max_iters, bool) or max_iters < 0:
        raise LoopError(f"max_iters is {max_iters!r}.", remedy="Pass an integer of at least 0.")
    _check_loop(cond_ir, body_ir)
    _check_given(body_ir.in_ir_tree[0], init, "the parts of the initial value of while_loop")
    return while_loop_p.bind((init,), cond_ir=cond_ir, body_ir=body_ir, max_iters=max_iters)


def _check_loop(cond_ir: Any, body_ir: Any) -> None:
    for name, ir in (("condition", cond_ir), ("body", body_ir)):
        if not isinstance(ir, IR):
            raise LoopError(
                f"the {name} of while_loop is a {type(ir).__name__}, not a program.",
                remedy="Trace it first: alkahest.trace(fn)(example_state).",
            )
        if len(ir.in_ir_tree) != 1:
            raise LoopError(
                f"the {name} of while_loop takes {len(ir.in_ir_tree)} arguments.",
                remedy="Let it take one, the state, which may be a structure.",
            )
    if find_aval(cond_ir.out_ir_tree) != BoolAVal():
        raise LoopError(
            "the condition of while_loop gives no truth value.",
            remedy="Let it return one, such as `x == 'done'` or `n < 3`.",
        )
    leaves, treedef = trees.flatten(body_ir.in_ir_tree[0])
    outs, out_treedef = trees.flatten(body_ir.out_ir_tree)
    if treedef != out_treedef or trees.structure(cond_ir.in_ir_tree[0]) != treedef:
        raise LoopError(
            "the programs of while_loop do not take and return states of one structure.",
            remedy="Let the condition take, and the body take and return, the structure of init.",
        )
    for a, b in zip(leaves, outs, strict=True):
        if not _agree(ir_aval(a), ir_aval(b)) and not _widens(a, b):
            raise LoopError(
                f"the body of while_loop takes a {_label(a)} and returns a {_label(b)} in its place.",
                remedy="Let the body return the types it takes.",
            )


def _widens(a: Any, b: Any) -> bool:
    return isinstance(find_aval(ir_aval(a)), FloatAVal) and isinstance(find_aval(ir_aval(b)), IntAVal)


def _while_impl(in_tree: Any, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    (state,) = in_tree
    for _ in range(max_iters):
        if not cond_ir.call(state):
            break
        state = body_ir.call(state)
    return state


async def _while_aimpl(in_tree: Any, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    (state,) = in_tree
    for _ in range(max_iters):
        if not await cond_ir.acall(state):
            break
        state = await body_ir.acall(state)
    return state


def _while_abstract(in_tree: Any, /, *, cond_ir: IR, body_ir: IR, max_iters: int) -> Any:
    # A literal in the initial state is not one afterwards: types come from the body's inputs.
    # A symbolic zero is: derivatives of loops carry zeros that stay zero.
    return trees.map_leaves(
        lambda leaf: leaf if leaf.__class__ is Zero else find_aval(ir_type(leaf)) or leaf, body_ir.in_ir_tree[0]
    )


rules(while_loop_p, impl=_while_impl, aimpl=_while_aimpl, abstract=_while_abstract)
