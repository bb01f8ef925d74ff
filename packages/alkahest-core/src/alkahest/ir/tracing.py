"""Tracing: a Python function is called once with boxes, and what it binds becomes a program."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import AVal, DeepAVal, avalof
from alkahest.base.interpreter import Interpreter, active_interpreter, active_tags
from alkahest.base.prim import Prim
from alkahest.base.rules import abstract_rules
from alkahest.errors import OperandTypeError, RuleError, TracedValueError, TraceError
from alkahest.ir.boxes import MARK, Traced, refuse_placeholder
from alkahest.ir.ir import IR, IREqn, IRVar, broadcast_prefix

Parts = tuple[list[Any], Any]  # leaves and structure
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_NUMBERS = frozenset({int, float, bool, type(None)})


class TracingInterpreter(Interpreter):
    """Records what is bound as equations; nothing is carried out."""

    def __init__(self, name: str = "a function") -> None:
        self.name = name
        self.parent = active_interpreter.get()
        self.eqns: list[IREqn] = []
        self.where: tuple[str, int] | None = None  # the place to record where rules, not users, bind

    @property
    def ir_eqns(self) -> list[IREqn]:
        """The equations recorded so far."""
        return self.eqns

    def new_input(self, aval: AVal, source: Any = None, depth: int = 0) -> Traced:
        """Return a box for a new input of the program."""
        return Traced(IRVar(aval=aval, source=source, depth=depth), self)

    def interpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Append the equation and return boxes, or literals, for its outputs."""
        leaves, treedef = trees.flatten(in_tree)
        avals: list[Any] = []
        ins: list[Any] = []
        for leaf in leaves:
            if leaf.__class__ is Traced:
                if leaf.tracer is not self:
                    raise leaf.leaked()
                avals.append(leaf.aval)
                ins.append(leaf.var)
            else:
                if leaf.__class__ not in _NUMBERS:
                    _check_literal(leaf, prim)
                avals.append(leaf)
                ins.append(leaf)
        for name, value in params.items():
            if value.__class__ not in _NUMBERS:
                _check_param(prim, name, value)
        out = abstract_rules.get(prim)(treedef.unflatten(avals), **params)
        return self._append(prim, (ins, treedef), out, params)

    def _append(self, prim: Prim, ins: Parts, out: Any, params: dict[str, Any]) -> Any:
        if isinstance(out, AVal):  # by far the most frequent
            var = _variable(out)
            self._add(prim, ins, (var, ([var], trees.structure(var))), params)
            return Traced(var, self)
        out_leaves, out_treedef = trees.flatten(out)
        out_vars: list[Any] = []
        boxes: list[Any] = []
        for leaf in out_leaves:
            if isinstance(leaf, AVal):
                box = Traced(_variable(leaf), self)
                out_vars.append(box.var)
                boxes.append(box)
            else:
                if isinstance(leaf, type) and issubclass(leaf, AVal):
                    raise RuleError(
                        f"the abstract rule of {prim} returned the class {leaf.__name__}.",
                        remedy=f"Return an abstract value: {leaf.__name__}().",
                    )
                out_vars.append(leaf)
                boxes.append(leaf)
        self._add(prim, ins, (out_treedef.unflatten(out_vars), (out_vars, out_treedef)), params)
        return out_treedef.unflatten(boxes)

    def _add(self, prim: Prim, ins: Parts, outs: tuple[Any, Parts], params: dict[str, Any]) -> None:
        where = self.where or _caller()
        eqn = IREqn(prim, ins[1].unflatten(ins[0]), outs[0], params, active_tags.get(), where=where)
        eqn._in = ins
        eqn._out = outs[1]
        self.eqns.append(eqn)

    def record(self, prim: Prim, ins: list[Any], outs: list[Any], params: dict[str, Any]) -> tuple[Any, ...]:
        """Append an equation between flat tuples, whose types the caller knows, and return boxes for its outputs."""
        made = [_variable(leaf) if isinstance(leaf, AVal) else leaf for leaf in outs]
        parts = [leaf.var if leaf.__class__ is Traced else leaf for leaf in ins], _flat(len(ins))
        self._add(prim, parts, (tuple(made), (made, _flat(len(made)))), params)
        return tuple([Traced(leaf, self) if leaf.__class__ is IRVar else leaf for leaf in made])

    def copy(self, eqn: IREqn, ins: list[Any]) -> list[Any]:
        """Append `eqn` on the leaves `ins`, boxes and literals of the same types, and return those of its outputs."""
        outs, out_treedef = eqn.out_parts()
        made: list[Any] = []
        boxes: list[Any] = []
        for leaf in outs:
            if leaf.__class__ is IRVar:
                leaf = IRVar(aval=leaf.aval, depth=leaf.depth)
                boxes.append(Traced(leaf, self))
            else:
                boxes.append(leaf)
            made.append(leaf)
        parts = [leaf.var if leaf.__class__ is Traced else leaf for leaf in ins], eqn.in_parts()[1]
        self._add(eqn.prim, parts, (out_treedef.unflatten(made), (made, out_treedef)), eqn.params)
        return boxes

    async def ainterpret(self, prim: Prim, in_tree: Any, /, **params: Any) -> Any:
        """Append the equation, as `interpret` does."""
        return self.interpret(prim, in_tree, **params)

    def leave(self, out: Any) -> Any:
        """Return the structure `out` with variables in place of boxes."""
        return trees.map_leaves(self._out_leaf, out)

    def _out_leaf(self, leaf: Any) -> Any:
        if leaf.__class__ is Traced:
            if leaf.tracer is not self:
                raise leaf.leaked()
            return leaf.var
        if leaf.__class__ not in _NUMBERS:
            _check_literal(leaf, None)
        return leaf


@functools.lru_cache(64)
def _flat(n: int) -> Any:
    return trees.structure((0,) * n)


def _variable(aval: AVal) -> IRVar:
    return IRVar(aval=aval.aval, depth=aval.depth) if isinstance(aval, DeepAVal) else IRVar(aval=aval)


def _check_literal(leaf: Any, prim: Prim | None) -> None:
    if leaf.__class__ is str:
        if MARK in leaf:
            refuse_placeholder(leaf)
        return
    try:
        hash(leaf)
    except TypeError:
        place = f"an input of {prim}" if prim else "the output of a traced function"
        raise OperandTypeError(
            f"{place} holds a {type(leaf).__name__}, which cannot be hashed and so cannot be a literal of a program.",
            remedy="Pass it as an argument of the traced function, or as str, int, float or bool.",
        ) from None


def _check_param(prim: Prim, name: str, value: Any) -> None:
    if value.__class__ is str:
        if MARK in value:
            refuse_placeholder(value)
        return
    cls = value.__class__
    if cls is Prim or cls is IR:
        return
    if cls is tuple or cls is dict:
        parts = value.values() if cls is dict else value
        if all([part.__class__ in _SIMPLE or (part.__class__ is tuple and not part) for part in parts]):
            return
    if not any([leaf.__class__ is Traced for leaf in trees.leaves(value)]):
        return
    for path, leaf in zip(trees.paths(value), trees.leaves(value), strict=True):
        if leaf.__class__ is Traced:
            place = name + "".join([f"[{part!r}]" for part in path])
            raise TracedValueError(
                f"parameter {place} of {prim} is {leaf.description}; parameters are fixed when a program is traced.",
                remedy="Pass it as an input, or mark the argument it comes from as static.",
            )


def _caller() -> tuple[str, int] | None:
    """Return file and line of the innermost frame outside Alkahest."""
    frame = sys._getframe(3)
    while frame is not None:
        if not frame.f_globals.get("__name__", "").startswith("alkahest."):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None


def trace_program(fn: Callable[..., Any], /, *, static: Any = False) -> Callable[..., IR]:
    """Return a function of example arguments that traces `fn` into a program; see `alkahest.trace`."""
    if not callable(fn):
        raise TraceError(
            f"trace was given a {type(fn).__name__}.", remedy="Pass a function, or an ExprPool to trace a formula."
        )
    if _is_async(fn):
        raise TraceError(
            f"{_name(fn)} is async, and what it awaits cannot be recorded.",
            remedy="Trace a plain function; run the program with await ir.acall(…).",
        )

    @functools.wraps(fn, updated=())
    def traced(*args: Any, **kwargs: Any) -> IR:
        if kwargs:
            raise TraceError(
                f"programs take positional arguments; {', '.join(kwargs)} came by name.",
                remedy="Pass every argument by position.",
            )
        return _trace(fn, args, static)

    return traced


def _trace(fn: Callable[..., Any], args: tuple[Any, ...], static: Any) -> IR:
    leaves, treedef = trees.flatten(args)
    fixed = _static_leaves(static, args, len(leaves))
    tracer = TracingInterpreter(_name(fn))
    boxes: list[Any] = []
    ins: list[Any] = []
    for leaf, is_fixed in zip(leaves, fixed, strict=True):
        if is_fixed:
            _check_literal(leaf, None)
            boxes.append(leaf)
            ins.append(leaf)
        else:
            box = tracer.new_input(avalof(leaf))
            boxes.append(box)
            ins.append(box.var)
    token = active_interpreter.set(_around(tracer))
    try:
        out = fn(*treedef.unflatten(boxes))
    finally:
        active_interpreter.reset(token)
    _refuse_coroutines(out, tracer.name)
    return IR(tracer.eqns, treedef.unflatten(ins), tracer.leave(out))


def _refuse_coroutines(out: Any, name: str) -> None:
    for leaf in trees.leaves(out):
        if inspect.isawaitable(leaf) or inspect.isasyncgen(leaf) or inspect.isgenerator(leaf):
            close = getattr(leaf, "close", None)
            if close is not None:
                close()
            raise TraceError(
                f"{name} returned a {type(leaf).__name__}.",
                remedy="Trace a plain function that returns values, without await and yield.",
            )


def _around(tracer: TracingInterpreter) -> Interpreter:
    """Return the tracer behind those active interpreters that work on what is traced, as `memoize` and `inject` do."""
    found: list[Interpreter] = []
    here = active_interpreter.get()
    while here is not None and not isinstance(here, TracingInterpreter):
        found.append(here)
        here = here.parent
    active: Interpreter = tracer
    for interpreter in reversed(found):
        active = interpreter.in_trace(active)
    return active


def _static_leaves(static: Any, args: tuple[Any, ...], n: int) -> list[bool]:
    if static.__class__ is bool:
        return [static] * n
    flags = broadcast_prefix(static, args, "static=")
    for flag in flags:
        if flag.__class__ is not bool:
            raise OperandTypeError(f"static= holds a {type(flag).__name__}.", remedy="Use True and False in it.")
    return flags


def _is_async(fn: Any) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    call = getattr(fn, "__call__", None)  # noqa: B004 - an object whose __call__ is async is as async as a function
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (fn, call))


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", None) or type(fn).__name__
