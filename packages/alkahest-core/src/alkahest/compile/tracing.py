"""Tracing: a Python function, called once with symbols, becomes a `TracedFn`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from alkahest.base import trees
from alkahest.compile.columns import import_array
from alkahest.compile.compiled import CompiledFn, number
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.program import REQUIRED, Parameter, Program
from alkahest.errors import TraceError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import linearize

JIT_EVALS = 1e7  # what `jit` counts on where the user says nothing: enough for native code to pay


class TracedFn:
    """A traced function: `.expr` over `.symbols`, callable with numbers, arrays or expressions.

    Floats give a float, arrays (any mix, broadcast) an array, expressions an expression; several outputs come in the
    structure the function returned. It runs on the tier that dispatch picks, and moves to a faster one as it is
    called more.
    """

    kind = "TracedFn"

    def __init__(self, program: Program, config: CompileConfig | None = None) -> None:
        self.program = program
        self.config = config or CompileConfig()
        self._compiled: CompiledFn | None = None
        self._lock = threading.Lock()
        self._plain = all(p.treedef is None for p in program.parameters)
        self._one = program.out_tree.is_leaf()

    @property
    def pool(self) -> ExprPool:
        """The pool of its expressions."""
        return self.program.pool

    @property
    def symbols(self) -> list[Expr]:
        """The symbols of the inputs, named as in the function's signature."""
        return self.program.symbols

    @property
    def expr(self) -> Any:
        """The traced expression, or the structure of expressions that the function returned."""
        return self.program.expr

    @property
    def compiled(self) -> CompiledFn:
        """The compiled function behind it, made at first use."""
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    tape = linearize(self.program.outputs, self.program.symbols)
                    self._compiled = CompiledFn(tape, self.config)
        return self._compiled

    def explain(self) -> Any:
        """Return which tier runs it, and why."""
        return self.compiled.explain()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value at numbers, arrays or expressions, in the structure the function returned."""
        plain = self._plain and not kwargs and len(args) == len(self.program.parameters)
        leaves = list(args) if plain else self.program.bind(args, kwargs)
        kinds = {leaf.__class__ for leaf in leaves}
        if Expr in kinds:
            return self.program.substitute(leaves)
        if kinds <= _NUMBERS:
            return self._at_point([v if v.__class__ is float else number(v) for v in leaves])
        return self._on_arrays(leaves)

    def _at_point(self, point: list[float]) -> Any:
        out = self.compiled.scalar(point)
        if self._one:
            return out
        return trees.unflatten(out if isinstance(out, list) else [out], self.program.out_tree)

    def _on_arrays(self, leaves: list[Any]) -> Any:
        compiled = self.compiled
        arrays = [import_array(leaf, compiled.dtype) for leaf in leaves]
        out = compiled.evaluate(arrays)
        if self._one:
            return out if out.ndim else out[()]
        rows = [out] if compiled.n_outputs == 1 else list(out)
        return trees.unflatten(rows, self.program.out_tree)

    def with_config(self, config: CompileConfig) -> TracedFn:
        """Return the same function compiled with other settings."""
        return type(self)(self.program, config)

    def __repr__(self) -> str:
        names = ", ".join(str(s) for s in self.symbols)
        return f"{self.kind}({names}) -> {self.expr}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.program, self.config)


def _number_types() -> frozenset[type]:
    return frozenset({float, int, bool, Fraction})


_NUMBERS = _number_types()


class CompiledTracedFn(TracedFn):
    """A traced function that asks for native code from its first call; see `jit`."""

    kind = "CompiledTracedFn"


def trace(pool: ExprPool, **options: Any) -> Callable[[Callable[..., Any]], TracedFn]:
    """Return a decorator that traces a Python function into expressions of `pool`; options as in `trace_fn`.

    >>> import alkahest
    >>> pool = alkahest.ExprPool()
    >>> @alkahest.trace(pool)
    ... def f(x, y):
    ...     return x**2 + alkahest.sin(y)
    >>> f
    TracedFn(x, y) -> x^2 + sin(y)
    >>> f(3.0, 0.0)
    9.0
    """
    if not isinstance(pool, ExprPool):
        raise TraceError(
            f"trace was given a {type(pool).__name__}, not an ExprPool.",
            remedy="Write @trace(pool) above the function, or trace_fn(fn, pool).",
        )
    return lambda fn: trace_fn(fn, pool, **options)


def trace_fn(
    fn: Callable[..., Any],
    pool: ExprPool,
    *,
    like: Mapping[str, Any] | Sequence[Any] | None = None,
    domain: str | Mapping[str, str] | None = None,
) -> TracedFn:
    """Trace `fn` by calling it once with symbols named as its parameters.

    `like` gives, by parameter name or in order, an example of the structure of arguments that are no scalars: its
    leaves become symbols named by their path, `p_0` or `p_width`. `domain` is a domain for all symbols, or by name.
    A function with `*args`, a coroutine, or a result that is no structure of expressions and numbers raises
    `TraceError`; Python control flow on a symbolic value raises `ControlFlowError`.

    >>> from alkahest import ExprPool
    >>> line = trace_fn(lambda p, x: p["a"] * x + p["b"], ExprPool(), like={"p": {"a": 0, "b": 0}})
    >>> line.expr
    p_a*x + p_b
    >>> line({"a": 2.0, "b": 1.0}, 3.0)
    7.0
    """
    if inspect.iscoroutinefunction(fn):
        raise TraceError("an async function cannot be traced.", remedy="Trace a plain function.")
    names = _parameters(fn)
    examples = _examples(names, like)
    parameters: list[Parameter] = []
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in names:
        symbols, treedef, value = _symbols(pool, p.name, examples, domain)
        default = REQUIRED if p.default is inspect.Parameter.empty else p.default
        parameters.append(Parameter(p.name, tuple(symbols), treedef, default))
        if p.kind is inspect.Parameter.KEYWORD_ONLY:
            kwargs[p.name] = value
        else:
            args.append(value)
    leaves, out_tree = trees.flatten(fn(*args, **kwargs))
    name = getattr(fn, "__name__", "function")
    return TracedFn(Program(pool, name, tuple(parameters), (), out_tree).with_outputs(out_tree.unflatten(leaves)))


def _parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError) as error:
        raise TraceError(
            f"{fn!r} has no signature to trace: {error}.", remedy="Wrap it in a lambda with named arguments."
        ) from None
    for p in found:
        if p.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise TraceError(
                f"the traced function takes *{p.name}, whose length is not known.",
                remedy="Name each argument, or pass one structure and describe it with like=.",
            )
    return found


def _examples(names: list[inspect.Parameter], like: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Any]:
    if like is None:
        return {}
    known = [p.name for p in names]
    given = dict(like) if isinstance(like, Mapping) else dict(zip(known, like, strict=False))
    unknown = [k for k in given if k not in known]
    if unknown or (not isinstance(like, Mapping) and len(like) > len(known)):
        raise TraceError(
            f"like= describes {', '.join(map(str, unknown)) or f'{len(given)} arguments'}, which the function lacks.",
            remedy=f"Describe some of {', '.join(known)}.",
        )
    return given


def _symbols(
    pool: ExprPool, name: str, examples: dict[str, Any], domain: str | Mapping[str, str] | None
) -> tuple[list[Expr], Any, Any]:
    def make(symbol: str) -> Expr:
        chosen = domain if isinstance(domain, str) or domain is None else domain.get(symbol)
        return pool.symbol(symbol, chosen)

    if name not in examples or trees.is_leaf(examples[name]):
        symbol = make(name)
        return [symbol], None, symbol
    example = examples[name]
    _, treedef = trees.flatten(example)
    symbols = [make("_".join([name, *[str(part) for part in path]])) for path in trees.paths(example)]
    return symbols, treedef, trees.unflatten(symbols, treedef)


def jit(f: TracedFn, config: CompileConfig | None = None) -> Any:
    """Return `f` compiled to native code at its first call, for scalars as for arrays.

    Works on traced functions and on what `grad`, `jacobian`, `hessian` and `value_and_grad` return. Without a native
    backend it runs on what there is; `.explain()` tells.

    >>> import alkahest
    >>> f = jit(alkahest.trace_fn(lambda x, y: x * y, alkahest.ExprPool()))
    >>> f(2.0, 3.0)
    6.0
    """
    if not isinstance(f, TracedFn):
        raise TraceError(
            f"jit was given a {type(f).__name__}.",
            remedy="Trace the function first: jit(trace_fn(fn, pool)).",
        )
    settings = config or CompileConfig(expected_evals=JIT_EVALS)
    return _compiled_class(type(f))(f.program, settings)


def _compiled_class(kind: type[TracedFn]) -> type[TracedFn]:
    from alkahest.compile.gradients import CompiledGradTracedFn, GradTracedFn

    return CompiledGradTracedFn if issubclass(kind, GradTracedFn) else CompiledTracedFn
