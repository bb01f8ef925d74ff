"""Functions of your own as primitives: custom."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, STR, AVal
from alkahest.base.prim import Prim, _prims
from alkahest.base.rules import AsyncTwin, Rule, RuleTable, batch_rules, impl_rules, pull_bwd_rules, push_rules
from alkahest.errors import OperandTypeError, RuleError, TraceError
from alkahest.ir.ir import IR
from alkahest.transforms.custom_rules import (
    awaited,
    checked_output,
    claim_forward,
    default_rule,
    opaque_rules,
    traced_rules,
)
from alkahest.transforms.plans import expansions

_TYPES: dict[Any, AVal] = {str: STR, int: INT, float: FLOAT, bool: BOOL}
MISSING = object()


class CustomFunction:
    """A function that is one equation of a program, with rules of its own; what `custom` gives.

    `func` is the function, `prim` its primitive. Each `set_…` and `aset_…` method takes a rule, sync and async, puts it
    in place of any before, and returns it; a sync rule serves asynchronous runs too, until there is an async one.
    """

    def __init__(self, func: Callable[..., Any], out: Any, *, waits: bool, keep: bool, memoizable: bool) -> None:
        if not callable(func):
            raise OperandTypeError(
                f"custom was given a {type(func).__name__}.", remedy="Write @custom above a function."
            )
        functools.update_wrapper(self, func, updated=())
        self.func = func
        self.out = out
        self.opaque = out is not MISSING
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
            opaque_rules(self.prim, is_async, waits, keep, memoizable)
        else:
            traced_rules(self.prim, keep)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Carry out the function, or record one equation of it inside a trace."""
        if kwargs:
            raise OperandTypeError(
                f"{self.prim} takes positional arguments; {', '.join(kwargs)} came by name.",
                remedy="Pass every argument by position.",
            )
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
            return checked_output(call, await func(*in_tree))

        impl_rules.aset(self.prim, aimpl, replace=True)
        return func

    def _set(self, kind: str, table: RuleTable, rule: Rule) -> Rule:
        if inspect.iscoroutinefunction(rule):
            raise RuleError(
                f"the {kind} rule of {self.prim} is async.", remedy="Set it with the method that begins with aset_."
            )
        self._claim(kind)
        table.set(self.prim, rule, replace=True)
        if kind not in self._own_async:
            table.aset(self.prim, AsyncTwin(rule), replace=True)
        self._own.add(kind)
        return rule

    def _aset(self, kind: str, table: RuleTable, rule: Rule) -> Rule:
        self._claim(kind)
        table.aset(self.prim, rule, replace=True)
        if kind not in self._own:
            table.set(self.prim, awaited(rule) if self.opaque else default_rule(kind), replace=True)
        self._own_async.add(kind)
        return rule

    def _claim(self, kind: str) -> None:
        """Let equations stand where the user has a rule for them; a backward rule comes with a forward one."""
        expansions.pop(self.prim, None)
        if kind == "pull":
            claim_forward(self.prim)


@overload
def custom(func: Callable[..., Any], /) -> CustomFunction: ...


@overload
def custom(
    *, out: Any = ..., waits: bool = False, keep: bool = False, memoizable: bool = True
) -> Callable[[Callable[..., Any]], CustomFunction]: ...


def custom(
    func: Any = None, /, *, out: Any = MISSING, waits: bool = False, keep: bool = False, memoizable: bool = True
) -> Any:
    """Make a function one equation of programs, which transforms can be given rules for.

    Plain `@custom`: the function is made of primitives. Transforms use its body, as if it were written in place, but
    for the rules that are set: `set_pushforward`, `set_pullback`, `set_batch` and their async twins. Its Python may not
    look at what primitives give: where the function is traced, and in asynchronous runs, `if answer == "yes"` raises
    `TracedValueError`, though a plain call gets by. Such functions need `out=`.

    `@custom(out=…)`: the function is any Python, and is never traced. `out` says what it returns: `str`, `int`,
    `float`, `bool` or an abstract value, in the structure of the result. `waits=True` says that it spends its time
    waiting: a batch then runs it in threads, side by side; an async function waits anyway. `keep=True` keeps the
    equation though nobody uses its result, `memoizable=False` carries it out each time: what acts on the world needs
    both.

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
    avals = out if out is MISSING else trees.map_leaves(_aval_of_type, out)

    def wrap(given: Any) -> CustomFunction:
        return CustomFunction(given, avals, waits=waits, keep=keep, memoizable=memoizable)

    return wrap if func is None else wrap(func)


def _prim_name(func: Any) -> str:
    """Return the function's name, with its module where a registered primitive is called the same: tapes go by name."""
    name = getattr(func, "__name__", type(func).__name__)
    return f"{func.__module__}.{name}" if name in _prims else name


def _aval_of_type(leaf: Any) -> AVal:
    if isinstance(leaf, AVal):
        return leaf
    aval = _TYPES.get(leaf) if isinstance(leaf, type) else None
    if aval is None:
        raise OperandTypeError(
            f"out= of custom holds {leaf!r}.",
            remedy="Use str, int, float, bool or an abstract value, such as StrAVal().",
        )
    return aval
