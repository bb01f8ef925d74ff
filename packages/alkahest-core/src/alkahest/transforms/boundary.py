"""Functions of your own as primitives: custom."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, overload

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, STR, AVal, avalof
from alkahest.base.interpreter import active_tags, using_interpreter
from alkahest.base.prim import Prim
from alkahest.base.rules import (
    AsyncTwin,
    Rule,
    RuleTable,
    batch_rules,
    impl_rules,
    pull_bwd_rules,
    push_rules,
)
from alkahest.errors import OperandTypeError, RuleError, TraceError
from alkahest.ir.boxes import Traced
from alkahest.ir.columns import Columns, itemwise
from alkahest.ir.ir import IR, NO_TAGS, IRVar, ir_aval
from alkahest.ir.tracing import TracingInterpreter
from alkahest.prims.rules import rules, staged
from alkahest.transforms.keys import tree_key

_TYPES: dict[Any, AVal] = {str: STR, int: INT, float: FLOAT, bool: BOOL}
_BODIES = 256  # how many programs of its body a custom function keeps
_MISSING = object()


class CustomFunction:
    """A function that is one equation of a program, with rules of its own; what `custom` gives.

    `func` is the function, `prim` its primitive. Each `set_…` and `aset_…` method takes a rule, sync and async, puts it
    in place of any before, and returns it; a sync rule serves asynchronous runs too, until there is an async one.
    """

    def __init__(
        self, func: Callable[..., Any], out: Any, *, waits: bool, keep: bool, memoizable: bool
    ) -> None:
        if not callable(func):
            raise OperandTypeError(
                f"custom was given a {type(func).__name__}.", remedy="Write @custom above a function."
            )
        functools.update_wrapper(self, func, updated=())
        self.func = func
        self.out = None if out is _MISSING else _avals_of_types(out)
        self.opaque = out is not _MISSING
        self._own: set[str] = set()
        self._own_async: set[str] = set()
        self._bodies: dict[Any, IR] = {}
        self.prim = Prim(_prim_name(func))
        is_async = inspect.iscoroutinefunction(func)
        if is_async and not self.opaque:
            raise TraceError(
                f"{func.__name__} is async, and what it awaits cannot be recorded.",
                remedy="Say what it returns, @custom(out=str), so that it is carried out without being traced.",
            )
        if self.opaque:
            _opaque_rules(self.prim, is_async, waits, keep, memoizable)
        else:
            _traced_rules(self.prim, keep)

    def __call__(self, /, *args: Any) -> Any:
        """Carry out the function, or record one equation of it inside a trace."""
        return self.prim.bind(args, call=self)

    def __repr__(self) -> str:
        return f"custom {self.prim.name}"

    def has(self, kind: str) -> bool:
        """Tell whether the user set a rule, sync or async: "push", "pull" or "batch"."""
        return kind in self._own or kind in self._own_async

    def set_pushforward(self, rule: Rule) -> Rule:
        """Set `rule((primals, tangents), *, call)`, which returns output and output tangent."""
        return self._set("push", push_rules, rule)

    def aset_pushforward(self, rule: Rule) -> Rule:
        """Set the async side of `set_pushforward`."""
        return self._aset("push", push_rules, rule)

    def set_pullback(self, rule: Rule) -> Rule:
        """Set `rule(((primals, output), cotangent), *, call)`, which returns a cotangent for each argument."""
        return self._set("pull", pull_bwd_rules, rule)

    def aset_pullback(self, rule: Rule) -> Rule:
        """Set the async side of `set_pullback`."""
        return self._aset("pull", pull_bwd_rules, rule)

    def set_batch(self, rule: Rule) -> Rule:
        """Set `rule((size, axes, values), *, call)`, which returns the output and its axes, a bool for each leaf."""
        return self._set("batch", batch_rules, rule)

    def aset_batch(self, rule: Rule) -> Rule:
        """Set the async side of `set_batch`."""
        return self._aset("batch", batch_rules, rule)

    def aset_impl(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Let asynchronous runs await `func`, an async function of the same arguments."""

        async def aimpl(in_tree: Any, /, *, call: CustomFunction) -> Any:
            return _checked(call, await func(*in_tree))

        impl_rules.aset(self.prim, aimpl, replace=True)
        return func

    def _set(self, kind: str, table: RuleTable, rule: Rule) -> Rule:
        if inspect.iscoroutinefunction(rule):
            raise RuleError(
                f"the {kind} rule of {self.prim.name} is async.", remedy="Set it with the method that begins with aset_."
            )
        table.set(self.prim, rule, replace=True)
        if kind not in self._own_async:
            table.aset(self.prim, AsyncTwin(rule), replace=True)
        self._own.add(kind)
        return rule

    def _aset(self, kind: str, table: RuleTable, rule: Rule) -> Rule:
        table.aset(self.prim, rule, replace=True)
        self._own_async.add(kind)
        return rule


@overload
def custom(func: Callable[..., Any], /) -> CustomFunction: ...


@overload
def custom(
    *, out: Any = ..., waits: bool = False, keep: bool = False, memoizable: bool = True
) -> Callable[[Callable[..., Any]], CustomFunction]: ...


def custom(
    func: Any = None, /, *, out: Any = _MISSING, waits: bool = False, keep: bool = False, memoizable: bool = True
) -> Any:
    """Make a function one equation of programs, which transforms can be given rules for.

    Plain `@custom`: the function is made of primitives. Transforms use its body, as if it were written in place, but
    for the rules that are set: `set_pushforward`, `set_pullback`, `set_batch` and their async twins.

    `@custom(out=…)`: the function is any Python, and is never traced. `out` says what it returns: `str`, `int`,
    `float`, `bool` or an abstract value, in the structure of the result. `waits=True` says that it spends its time
    waiting: a batch then runs it in threads, side by side; an async function waits anyway. `keep=True` keeps the
    equation though nobody uses its result, `memoizable=False` carries it out each time, as what acts on the world needs.

    Arguments are positional. What can be neither, and a result that is not what `out` says, raises an `AlkahestError`.

    >>> import alkahest as af
    >>> @af.custom(out=str)
    ... def shout(text):
    ...     return " ".join(word.upper() for word in text.split())
    >>> @shout.set_pullback
    ... def feedback(in_tree, /, *, call):
    ...     (primals, output), cotangent = in_tree
    ...     return (f"{cotangent} (of {output!r})",)
    >>> ir = af.trace(lambda x: shout(x) + "!")("a")
    >>> ir.call("hello you")
    'HELLO YOU!'
    >>> af.pullback(ir).call(("hello",), "too loud")
    ('HELLO!', ("too loud (of 'HELLO')",))
    """

    def wrap(given: Any) -> CustomFunction:
        return CustomFunction(given, out, waits=waits, keep=keep, memoizable=memoizable)

    return wrap if func is None else wrap(func)


def _prim_name(func: Any) -> str:
    """Return the function's name, with its module where a primitive is called the same: tapes look rules up by name."""
    name = getattr(func, "__name__", type(func).__name__)
    return f"{func.__module__}.{name}" if name in impl_rules else name


def _avals_of_types(out: Any) -> Any:
    return trees.map_leaves(_aval_of_type, out)


def _aval_of_type(leaf: Any) -> AVal:
    if isinstance(leaf, AVal):
        return leaf
    aval = _TYPES.get(leaf) if isinstance(leaf, type) else None
    if aval is None:
        raise OperandTypeError(
            f"out= of custom holds {leaf!r}.", remedy="Use str, int, float, bool or an abstract value, such as StrAVal()."
        )
    return aval


# -------------------------------------------------------------------------------------------- functions of any kind


def _opaque_rules(prim: Prim, is_async: bool, waits: bool, keep: bool, memoizable: bool) -> None:
    rules(
        prim,
        impl=_run_async if is_async else _run,
        aimpl=_arun if is_async else None,
        abstract=lambda in_tree, call: call.out,
        waits=waits or is_async,
        keep=keep,
        memoizable=memoizable,
        register=False,
    )
    pull_fwd = staged(_forward)
    _set_forward(prim, pull_fwd)


def _set_forward(prim: Prim, rule: Rule) -> None:
    from alkahest.base.rules import pull_fwd_rules

    pull_fwd_rules.set(prim, rule)
    pull_fwd_rules.aset(prim, rule)


def _run(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return _checked(call, call.func(*in_tree))


async def _arun(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return _checked(call, await call.func(*in_tree))


def _run_async(in_tree: Any, /, *, call: CustomFunction) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_arun(in_tree, call=call))
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as thread:  # a loop runs here already: another one needs a thread of its own
        return thread.submit(context.run, asyncio.run, _arun(in_tree, call=call)).result()


def _checked(call: CustomFunction, out: Any) -> Any:
    """Return `out`, or raise `RuleError` where it is not what `out=` says."""
    if not call.opaque:
        return out
    avals, treedef = trees.flatten(call.out)
    try:
        parts = treedef.flatten_up_to(out)
    except ValueError as error:
        raise RuleError(
            f"{call.prim} returned another structure than out= says: {str(error).splitlines()[0].rstrip('.')}.",
            remedy="Let the function return that structure, or say another.",
        ) from None
    for aval, part in zip(avals, parts, strict=True):
        if not aval.accepts(part):
            raise RuleError(
                f"{call.prim} returned a {type(part).__name__} where out= says {aval.label}.",
                remedy="Let the function return that type, or say another.",
            )
    return out


def _forward(in_tree: Any, /, *, call: CustomFunction) -> Any:
    out = call.prim.bind(in_tree, call=call)
    return out, (in_tree, out)


# ------------------------------------------------------------------------------------- functions made of primitives


def _traced_rules(prim: Prim, keep: bool) -> None:
    rules(
        prim,
        impl=_run,
        aimpl=_aimpl_body,
        abstract=_abstract_body,
        push=staged(_push_body),
        pull=(staged(_forward), staged(_pull_body)),
        batch=_batch_body,
        abatch=_abatch_body,
        keep=keep,
        memoizable=False,  # what it binds is seen when it runs, and may be a checkpoint
        register=False,
    )


def trace_avals(func: Callable[..., Any], in_avals_tree: Any, /) -> IR:
    """Return the program that `func` is on inputs of these abstract values; other leaves are literals.

    Variables and traced values stand for their abstract values. Tags that are active do not count.
    """
    leaves, treedef = trees.flatten(in_avals_tree)
    tracer = TracingInterpreter(getattr(func, "__name__", type(func).__name__))
    boxes = [tracer.new_input(leaf) if isinstance(leaf, AVal) else leaf for leaf in leaves]
    token = active_tags.set(NO_TAGS)
    try:
        with using_interpreter(tracer):
            out = func(*treedef.unflatten(boxes))
    finally:
        active_tags.reset(token)
    ins = [box.var if box.__class__ is Traced else box for box in boxes]
    return IR(tracer.eqns, treedef.unflatten(ins), tracer.leave(out))


def custom_body(call: CustomFunction, in_avals_tree: Any, /) -> IR:
    """Return the body of a custom function as a program, for the tuple of arguments: abstract values and literals.

    Variables and traced values stand for their abstract values. The program is kept on the function.
    """
    if call.opaque:
        raise TraceError(
            f"{call.prim} was given out=, and is no program.",
            remedy="Set the rule that is needed on it: set_pushforward, set_pullback or set_batch.",
        )
    avals = trees.map_leaves(_aval_or_literal, in_avals_tree)
    key = tree_key(avals)
    body = call._bodies.get(key)
    if body is None:
        body = trace_avals(call.func, avals)
        if len(call._bodies) >= _BODIES:
            call._bodies.clear()
        call._bodies[key] = body
    return body


def _aval_or_literal(leaf: Any) -> Any:
    return leaf.aval if leaf.__class__ in (IRVar, Traced) else leaf


def _staged_body(call: CustomFunction, primals: Any) -> IR:
    """Return the body for the inputs of a rule: literals beside traced values stay, concrete values are abstracted."""
    traced = any(leaf.__class__ is Traced for leaf in trees.leaves(primals))
    return custom_body(call, primals if traced else trees.map_leaves(avalof, primals))


def _abstract_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    return trees.map_leaves(ir_aval, custom_body(call, in_tree).out_ir_tree)


async def _aimpl_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    # Traced at the values themselves, so that Python may look at them as it does in a plain call.
    values, treedef = trees.flatten(in_tree)
    known = [_hashable(value) for value in values]
    ir = trace_avals(
        call.func, treedef.unflatten([v if k else avalof(v) for v, k in zip(values, known, strict=True)])
    )
    return await ir.acall(*in_tree)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return value == value  # nan is no static input: it is not equal to itself


def _push_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    from alkahest.transforms.forward import pushforward

    primals, tangents = in_tree
    return pushforward(_staged_body(call, primals)).call(primals, tangents)


def _pull_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    from alkahest.transforms.reverse import pullback

    (primals, _), cotangent = in_tree
    return pullback(_staged_body(call, primals)).call(primals, cotangent)[1]


def _batched_body(in_tree: Any, call: CustomFunction) -> IR | None:
    """Return the batched body, or None where items are carried out one by one: none is batched, or there is none."""
    from alkahest.transforms.batching import batch

    columns = Columns(in_tree)
    if not columns.any or columns.size == 0:
        return None
    # What is not batched may be what Python decides by: it stays a literal.
    leaves = [
        avalof(value[0] if flag else value) if flag or value.__class__ not in (str, int, bool) else value
        for flag, value in zip(columns.flags, columns.columns, strict=True)
    ]
    return batch(custom_body(call, columns.treedef.unflatten(leaves)), in_axes=in_tree[1])


def _batch_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    ir = _batched_body(in_tree, call)
    if ir is None:
        return itemwise(Columns(in_tree), lambda row: call.prim.bind(row, call=call))
    return ir.call(*in_tree[2]), trees.map_leaves(lambda _: True, ir.out_ir_tree)


async def _abatch_body(in_tree: Any, /, *, call: CustomFunction) -> Any:
    ir = _batched_body(in_tree, call)
    if ir is None:
        return itemwise(Columns(in_tree), lambda row: call.prim.bind(row, call=call))
    return await ir.acall(*in_tree[2]), trees.map_leaves(lambda _: True, ir.out_ir_tree)
