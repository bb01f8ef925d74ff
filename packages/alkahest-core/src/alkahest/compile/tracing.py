"""Tracing: a Python function, called once with symbols, becomes a `TracedFn`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast, overload

from alkahest.base import trees
from alkahest.compile import driver
from alkahest.compile.compiled import CompiledFn, Progress
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.own_class import plain_class
from alkahest.compile.points import number
from alkahest.compile.preparing import tape_of
from alkahest.compile.program import REQUIRED, Parameter, Program, Static
from alkahest.errors import ConfigError, TraceError
from alkahest.expr.expression import Expr, number_like
from alkahest.expr.pool import ExprPool
from alkahest.ir.boxes import Traced
from alkahest.ir.bridge import inline_exprs
from alkahest.ir.ir import IR
from alkahest.ir.tracing import trace_program

JIT_EVALS = 1e7  # what `jit` counts on where the user says nothing: enough for native code to pay


class TracedFn:
    """A traced function: `.expr` over `.symbols`, callable with numbers, arrays or expressions.

    Floats give a float, arrays (any mix, broadcast) an array, expressions an expression, traced values of a program
    traced values; several outputs come in the structure the function returned. It runs on the tier that dispatch
    picks, and moves to a faster one as it is called more.
    """

    kind = "TracedFn"

    def __init__(self, program: Program, config: CompileConfig | None = None) -> None:
        self.program = program
        self.config = config or CompileConfig()
        self._compiled: CompiledFn | None = None
        self._lock = threading.Lock()
        self._plain = program.by_position and all(p.treedef is None for p in program.parameters)
        self._one = program.out_tree.is_leaf()
        self._flat = not self._one and _is_list_of_leaves(program)
        self._enters_c = self._plain and (self._one or self._flat)

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
                    tape = tape_of(self.program.outputs, self.program.symbols, self.config)
                    self._compiled = CompiledFn(tape, self.config)
        return self._compiled

    def explain(self) -> Any:
        """Return which tier runs it, and why."""
        return self.compiled.explain()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value at numbers, arrays, expressions or traced values, in the structure the function returned."""
        out = self._at(*args, **kwargs)
        if self._enters_c and self._compiled is not None:
            self._compiled.enter_c(self, self._at, numbers=True, gives_list=self._flat)
        return out

    def _at(self, *args: Any, **kwargs: Any) -> Any:
        leaves = self._leaves(args, kwargs)
        kinds = set(map(type, leaves))
        others = kinds - _NUMBERS
        if all(map(_is_float, others)):
            return self._at_point([v if v.__class__ is float else number(v) for v in leaves])
        if Traced in kinds:
            return self._on_traced(leaves)
        if Expr in kinds:
            return self.program.substitute(leaves)
        return self._on_arrays(leaves)

    def _leaves(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        plain = self._plain and not kwargs and len(args) == len(self.program.parameters)
        return list(args) if plain else self.program.bind(args, kwargs)

    def _on_traced(self, leaves: list[Any]) -> Any:
        """Bind the formula as equations of the program that is being traced."""
        values = [leaf if leaf.__class__ is Traced else number(leaf) for leaf in leaves]
        found = inline_exprs(self.program.outputs, self.symbols, values)
        return trees.unflatten(found, self.program.out_tree)

    def _at_point(self, point: list[float]) -> Any:
        out = self.compiled.scalar(point)
        if self._one:
            return out
        return trees.unflatten(out if isinstance(out, list) else [out], self.program.out_tree)

    def _on_arrays(self, leaves: list[Any]) -> Any:
        out = (self._compiled or self.compiled).evaluate(leaves)
        if self._one:
            return out if out.ndim else out[()]
        return self._structured(out)

    def _structured(self, out: Any) -> Any:
        return trees.unflatten([out] if self.compiled.n_outputs == 1 else list(out), self.program.out_tree)

    def evaluate(self, arrays: Sequence[Any], *, out: Any = None, threads: int = 1, progress: Progress = False) -> Any:
        """Evaluate array-like arguments, broadcast, in the structure the function returned; see `numpy_eval`."""
        leaves = self._leaves(arrays, {})
        result = self.compiled.evaluate(leaves, out=out, threads=threads, progress=progress)
        return result if self._one else self._structured(result)

    def with_config(self, config: CompileConfig) -> TracedFn:
        """Return the same function compiled with other settings."""
        return plain_class(type(self))(self.program, check_config(config))

    def __repr__(self) -> str:
        names = ", ".join(str(s) for s in self.symbols)
        return f"{self.kind}({names}) -> {self.expr}"

    def __reduce__(self) -> tuple[Any, ...]:
        return plain_class(type(self)), (self.program, self.config)


@lru_cache
def _is_float(kind: type) -> bool:
    return issubclass(kind, float)


def _is_list_of_leaves(program: Program) -> bool:
    order = list(range(len(program.outputs)))
    made = trees.unflatten(order, program.out_tree)
    return made.__class__ is list and made == order


def _number_types() -> frozenset[type]:
    return frozenset({float, int, bool, Fraction})


_NUMBERS = _number_types()


class CompiledTracedFn(TracedFn):
    """A traced function that asks for native code from its first call; see `jit`."""

    kind = "CompiledTracedFn"


@overload
def trace(pool: ExprPool, /, **options: Any) -> Callable[[Callable[..., Any]], TracedFn]: ...


@overload
def trace(fn: Callable[..., Any], /, *, static: Any = False) -> Callable[..., IR]: ...


def trace(target: Any, /, **options: Any) -> Any:
    """Trace a Python function: `trace(fn)(*example_args)` into a program, `trace(pool)` into expressions.

    `trace(fn, static=…)` returns a function of example arguments, by position, that calls `fn` with boxes in place of
    their str, int, float and bool leaves (in any structure) and returns the `IR` of what it did; nothing is carried
    out. `static` is True, False or a structure of them matching the arguments (a prefix will do): what is True stays a
    Python value, fixed in the program. An async function, a value of a type that programs do not have, and Python
    control flow on a box raise.

    `trace(pool)` returns a decorator that traces a function into expressions of the `ExprPool`; options as in
    `trace_fn`.

    >>> import alkahest as af
    >>> ir = af.trace(lambda name: af.format("Hello, {}!", name))("you")
    >>> ir.call("Ada")
    'Hello, Ada!'
    >>> pool = af.ExprPool()
    >>> @af.trace(pool)
    ... def f(x, y):
    ...     return x**2 + af.sin(y)
    >>> f
    TracedFn(x, y) -> x^2 + sin(y)
    >>> f(3.0, 0.0)
    9.0
    """
    if isinstance(target, ExprPool):
        pool = target

        def decorate(fn: Callable[..., Any]) -> TracedFn:
            return trace_fn(fn, pool, **options)

        return decorate
    unknown = ", ".join(sorted(set(options) - {"static"}))
    if unknown:
        raise TraceError(
            f"trace of a program has no option {unknown}.",
            remedy="Pass static= alone, or an ExprPool to trace a formula with options.",
        )
    return trace_program(target, **options)


def _check_pool(pool: Any, name: str) -> None:
    if not isinstance(pool, ExprPool):
        raise TraceError(
            f"{name} was given a {type(pool).__name__}, not an ExprPool.",
            remedy="Write @trace(pool) above the function, or trace_fn(fn, pool).",
        )


def trace_fn(
    fn: Callable[..., Any],
    pool: ExprPool,
    *,
    like: Mapping[str, Any] | Sequence[Any] | None = None,
    domain: str | Mapping[str, str] | None = None,
) -> TracedFn:
    """Trace `fn` by calling it once with symbols named as its parameters.

    `like` gives, by parameter name or in order, an example of the structure of arguments that are no scalars: its
    leaves become symbols named by their path, `p_0` or `p_width`. `domain` is a domain for all symbols, or by name of
    the symbol.

    A default that is a number makes its parameter an input that may be left out. A parameter whose default is
    anything else (None, a text, a list) and that has no example is fixed: `fn` gets the default when it is traced,
    the parameter is no input, and passing a value for it raises `ArityError`.

    A function with `*args`, a coroutine, a result that is no structure of expressions and numbers, names in `like`
    or `domain` that the function lacks, and two arguments that would share a symbol's name raise `TraceError`;
    Python control flow on a symbolic value raises `ControlFlowError`.

    >>> from alkahest import ExprPool
    >>> line = trace_fn(lambda p, x: p["a"] * x + p["b"], ExprPool(), like={"p": {"a": 0, "b": 0}})
    >>> line.expr
    p_a*x + p_b
    >>> line({"a": 2.0, "b": 1.0}, 3.0)
    7.0
    >>> def power(x, how=None):
    ...     return x if how is None else x**how
    >>> trace_fn(power, ExprPool())
    TracedFn(x) -> x
    """
    _check_pool(pool, "trace_fn")
    if inspect.iscoroutinefunction(fn):
        raise TraceError("an async function cannot be traced.", remedy="Trace a plain function.")
    names = _parameters(fn)
    examples = _examples([p.name for p in names], like)
    maker = _SymbolMaker(pool, domain)
    parameters: list[Parameter] = []
    static: list[Static] = []
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in names:
        by_name = p.kind is inspect.Parameter.KEYWORD_ONLY
        if _is_static(p, examples):
            static.append(Static(p.name, None if by_name else len(parameters)))
            value = p.default
        else:
            symbols, treedef, value = maker.argument(p.name, examples)
            default = REQUIRED if p.default is inspect.Parameter.empty else p.default
            parameters.append(Parameter(p.name, tuple(symbols), treedef, default))
        if by_name:
            kwargs[p.name] = value
        else:
            args.append(value)
    maker.check_domain_names()
    result = fn(*args, **kwargs)
    name = getattr(fn, "__name__", "function")
    return TracedFn(Program(pool, name, tuple(parameters), (), None, tuple(static)).with_outputs(result))


def _is_static(p: inspect.Parameter, examples: dict[str, Any]) -> bool:
    return p.default is not inspect.Parameter.empty and p.name not in examples and not number_like(p.default)


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


def _examples(known: list[str], like: Any) -> dict[str, Any]:
    """Return the examples by parameter name."""
    if like is None:
        return {}
    if isinstance(like, Mapping):
        given: dict[Any, Any] = dict(cast("Mapping[Any, Any]", like))
        surplus = ", ".join([str(k) for k in given if k not in known])
    elif isinstance(like, Sequence) and not isinstance(like, str | bytes):
        examples = cast("Sequence[Any]", like)
        given = dict(zip(known, examples, strict=False))
        surplus = f"{len(examples)} arguments" if len(examples) > len(known) else ""
    else:
        raise TraceError(
            f"like= is a {type(like).__name__}.", remedy="Pass a dict of examples by parameter name, or a list of them."
        )
    if surplus:
        raise TraceError(
            f"like= describes {surplus}, and the function takes {len(known)} ({', '.join(known)}).",
            remedy="Give at most one example per parameter, under the parameter's name or in order.",
        )
    return given


class _SymbolMaker:
    """Makes the symbols of arguments, each name once."""

    def __init__(self, pool: ExprPool, domain: str | Mapping[str, str] | None) -> None:
        if domain is not None and not isinstance(domain, str | Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TraceError(
                f"domain= is a {type(domain).__name__}.", remedy="Pass one domain, or a dict of domains by symbol."
            )
        self._pool = pool
        self._domain = domain
        self._made: dict[str, str] = {}  # what each symbol stands for, by its name

    def argument(self, name: str, examples: dict[str, Any]) -> tuple[list[Expr], trees.TreeDef, Any]:
        """Return the symbols of a parameter, its structure (None for a scalar) and the value to trace with."""
        if name not in examples or trees.is_leaf(examples[name]):
            symbol = self._symbol(name, name)
            return [symbol], None, symbol
        example = examples[name]
        _, treedef = trees.flatten(example)
        symbols = [
            self._symbol("_".join([name, *[str(part) for part in path]]), name + "".join([f"[{k!r}]" for k in path]))
            for path in trees.paths(example)
        ]
        return symbols, treedef, trees.unflatten(symbols, treedef)

    def _symbol(self, symbol: str, origin: str) -> Expr:
        if symbol in self._made:
            raise TraceError(
                f"{self._made[symbol]} and {origin} would both be the symbol {symbol}.",
                remedy="Rename one of the two: a parameter, a key or a field.",
            )
        self._made[symbol] = origin
        domain = self._domain
        return self._pool.symbol(symbol, domain.get(symbol) if isinstance(domain, Mapping) else domain)

    def check_domain_names(self) -> None:
        """Raise where `domain` names what is no symbol."""
        unknown = [str(k) for k in self._domain if k not in self._made] if isinstance(self._domain, Mapping) else []
        if unknown:
            raise TraceError(
                f"domain= names {', '.join(unknown)}, which is no symbol of the function ({', '.join(self._made)}).",
                remedy="Name symbols as they are printed: x, or p_0 for an entry of a structure.",
            )


def check_config(config: Any) -> CompileConfig:
    """Return `config`, or raise `ConfigError` where it is no settings or asks a backend for a target it lacks."""
    if not isinstance(config, CompileConfig):
        raise ConfigError(
            f"a {type(config).__name__} stands where the settings belong.",
            remedy="Pass CompileConfig(…), or single settings by name: backend='llvm', expected_evals=1e6.",
        )
    if config.backend is not None and config.target is not None:
        info = driver.backend_infos().get(config.backend)
        if info is not None and config.target not in info.targets:
            raise ConfigError(
                f"the tier {config.backend} does not serve target {config.target!r} "
                f"(it serves {', '.join(sorted(info.targets))}).",
                remedy="Give the backend or the target, not both.",
            )
    return config


def jit(f: TracedFn, config: CompileConfig | None = None) -> Any:
    """Return `f` compiled to native code at its first call, for scalars as for arrays.

    Works on traced functions and on what `grad`, `jacobian`, `hessian` and `value_and_grad` return. Without a native
    backend it runs on what there is; `.explain()` tells. Numbers give floats; arrays, broadcast, give arrays of float64
    (or of the `dtype` in `config`).

    Raises `TraceError` for what is no traced function, `ConfigError` for a wrong `config`; calls raise what those of
    `f` do.

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
    settings = CompileConfig(expected_evals=JIT_EVALS) if config is None else check_config(config)
    return _compiled_class(plain_class(type(f)))(f.program, settings)


def _compiled_class(kind: type[TracedFn]) -> type[TracedFn]:
    from alkahest.compile.gradients import CompiledGradTracedFn, GradTracedFn

    return CompiledGradTracedFn if issubclass(kind, GradTracedFn) else CompiledTracedFn
