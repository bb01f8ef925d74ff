"""The functions users call: compile, evaluate, evaluate on arrays, explain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from alkahest.base import trees
from alkahest.base.collecting import no_collection
from alkahest.compile import driver
from alkahest.compile.compiled import CompiledFn, Progress
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.driver import Explanation
from alkahest.compile.interpreter import InterpreterBackend
from alkahest.compile.points import number
from alkahest.compile.preparing import tape_of
from alkahest.compile.threads import cores
from alkahest.compile.tracing import TracedFn, check_config
from alkahest.errors import (
    ConfigError,
    DomainError,
    DuplicateInputError,
    NotASymbolError,
    OperandError,
    UnknownSymbolError,
)
from alkahest.expr.expression import Expr, number_like
from alkahest.expr.pool import ExprPool
from alkahest.expr.tape import linearize

if TYPE_CHECKING:
    from numpy.typing import NDArray


_FUNCTIONS = (CompiledFn, TracedFn)


def expressions(expr: Expr | float | Sequence[Expr | float], inputs: Iterable[Any]) -> tuple[list[Expr], list[Any]]:
    """Return outputs as expressions of one pool, and the inputs as a list.

    Numbers among the outputs become literals; the pool is that of the first expression in outputs or inputs.
    """
    outputs = _listed(expr, "the expression", "an Expr, a number, or a list of them") if not _is_one(expr) else [expr]
    symbols = _listed(inputs, "the inputs", "a list of symbols")
    pool = next((e.pool for e in (*outputs, *symbols) if isinstance(e, Expr)), None)
    if pool is None:
        raise OperandError("there is no expression to compile.", remedy="Pass an Expr or a list of them.")
    return [pool.expr(o) for o in outputs], symbols


def _is_one(expr: Any) -> bool:
    return isinstance(expr, Expr) or number_like(expr)


def _listed(value: Any, what: str, wanted: str) -> list[Any]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Set):
        return list(cast("Iterable[Any]", value))
    raise OperandError(f"{what} cannot be a {type(value).__name__}.", remedy=f"Pass {wanted}.")


def settings_of(config: Any, settings: dict[str, Any]) -> CompileConfig:
    """Return the settings given as a `CompileConfig` or one by one, or raise `ConfigError`."""
    if config is not None and settings:
        raise ConfigError(
            "both config= and single settings were given.", remedy="Put all settings in CompileConfig(…)."
        )
    return check_config(_config(settings) if config is None else config)


def _config(settings: dict[str, Any]) -> CompileConfig:
    known = CompileConfig.__dataclass_fields__
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}.", remedy=f"The settings are {', '.join(known)}.")
    evals = settings.get("expected_evals")
    if evals is not None and not isinstance(evals, Real):
        raise ConfigError(
            f"expected_evals is {evals!r}, which is no number.", remedy="Give the number of points, above 0, or None."
        )
    for name in ("backend", "target"):
        if not isinstance(settings.get(name), str | None):
            raise ConfigError(f"{name} is {settings[name]!r}, which is no name.", remedy="Pass a text, or None.")
    return CompileConfig(**settings)


def compile_expr(
    expr: Expr | float | Sequence[Expr | float],
    inputs: Sequence[Expr],
    config: CompileConfig | None = None,
    **settings: Any,
) -> CompiledFn:
    """Compile one expression, or a list of them, as a function of `inputs`.

    Settings are given as a `CompileConfig` or one by one (`expected_evals=1e6`, `backend="llvm"`). Dispatch picks the
    tier; see `CompiledFn.explain`. Numbers count as constant expressions.

    Raises `OperandError` for what is no expression, `DuplicateInputError`, `NotASymbolError`, `UnknownSymbolError` for
    a symbol that is no input, `PoolMismatchError`, `ConfigError` for settings that are none, `BackendUnavailableError`
    where `fallback=False` and the tier cannot run.

    >>> from alkahest import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> compile_expr([x + y, x * y], [x, y])([2.0, 3.0])
    [5.0, 6.0]
    """
    chosen = settings_of(config, settings)
    with no_collection():
        return CompiledFn(tape_of(*expressions(expr, inputs), chosen), chosen)


def explain(
    expr: Expr | float | Sequence[Expr | float],
    inputs: Sequence[Expr],
    config: CompileConfig | None = None,
    **settings: Any,
) -> Explanation:
    """Return which tier would run an expression, with every tier's prediction or reason, without compiling it.

    Takes and raises what `compile_expr` does, but for `BackendUnavailableError`.

    >>> from alkahest import ExprPool
    >>> x = ExprPool().symbol("x")
    >>> explain(x + 1, [x], expected_evals=1).tier
    'interpreter'
    """
    chosen = settings_of(config, settings)
    candidates = driver.candidates_for(tape_of(*expressions(expr, inputs), chosen), chosen, probe=True)
    tier = next((c.name for c in candidates if c.usable), "")
    return Explanation(tier, candidates, ())


def eval_expr(
    expr: Expr | float | Sequence[Expr | float], bindings: Mapping[Any, Any], *, allow_nonfinite: bool = False
) -> Any:
    """Return the value of `expr` where each symbol, or name, of `bindings` has its value; a float, or a list of them.

    Symbols that `expr` does not use may be bound as well, none twice. A result that is nan or infinite raises
    `DomainError`, unless `allow_nonfinite=True`.

    >>> from alkahest import ExprPool
    >>> x = ExprPool().symbol("x")
    >>> eval_expr(x**2, {x: 3.0})
    9.0
    """
    if not isinstance(bindings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OperandError(
            f"the bindings are a {type(bindings).__name__}, not a mapping.",
            remedy="Pass a dict from symbols, or their names, to numbers: {x: 1.0}.",
        )
    single = _is_one(expr)
    outputs = [expr] if single else _listed(expr, "the expression", "an Expr, a number, or a list of them")
    pool = next((e.pool for e in (*outputs, *bindings) if isinstance(e, Expr)), None) or ExprPool()
    exprs = [pool.expr(o) for o in outputs]
    values = _bindings(pool, bindings)
    kernel = InterpreterBackend().compile(linearize(exprs, list(values)), CompileConfig().options())
    found = kernel.point(list(values.values()))
    for value, out in zip(found, exprs, strict=True):
        if not allow_nonfinite and not math.isfinite(value):
            raise DomainError(
                f"{out.to_string(60)} is {value} there.",
                remedy="Check the point, or pass allow_nonfinite=True to get the value.",
            )
    return found[0] if single else found


def _bindings(pool: ExprPool, bindings: Mapping[Any, Any]) -> dict[Expr, float]:
    values: dict[Expr, float] = {}
    for key, value in bindings.items():
        symbol = pool.find_symbol(key) if isinstance(key, str) else key
        if isinstance(key, str) and symbol is None:
            raise UnknownSymbolError(f"no symbol of the pool is called {key!r}.", remedy="Bind symbols that exist.")
        if not isinstance(symbol, Expr) or symbol.op != "symbol":
            raise NotASymbolError(f"{key!r} is bound and is no symbol.", remedy="Bind symbols, or their names.")
        if pool.expr(symbol) in values:
            raise DuplicateInputError(
                f"the symbol {symbol} is bound twice.", remedy="Bind it by itself or by name, not both."
            )
        values[symbol] = number(value)
    return values


def numpy_eval(f: CompiledFn | TracedFn, *xs: Any, out: NDArray[Any] | None = None, progress: Progress = False) -> Any:
    """Evaluate `f` over arrays, one per input, broadcast as NumPy does; the result is a NumPy array.

    Anything with DLPack or `__array__` enters without a copy where dtype and layout allow; what must be converted or
    copied is so piece by piece, in little memory. Several outputs give a first axis of their number. A `CompiledFn`
    also takes `out`, which may be an input or a memory map. `progress=True` draws a bar, a function is called with
    how many points are done and how many there are. An interrupt is heeded between pieces.

    The dtype is float64, or float32 where `f` was compiled so; the shape is that of the broadcast inputs. Raises
    `ArityError` for another number of arrays, `ShapeError` for shapes that do not broadcast and for an `out` of another
    shape or dtype, `ArrayError` for what holds no numbers, `DtypeError` for complex ones, `OperandError` for an `f`
    that is no compiled function, `ConfigError` for a wrong `progress`.

    >>> from alkahest import ExprPool, compile_expr
    >>> x = ExprPool().symbol("x")
    >>> numpy_eval(compile_expr(x**2, [x]), [1.0, 2.0])
    array([1., 4.])
    """
    return _checked(f).evaluate(xs, out=out, progress=progress)


def numpy_eval_par(
    f: CompiledFn | TracedFn, *xs: Any, out: NDArray[Any] | None = None, progress: Progress = False
) -> Any:
    """Do what `numpy_eval` does on all cores, where the kernel releases the GIL; the values are the same.

    Raises what `numpy_eval` raises.

    >>> from alkahest import ExprPool, compile_expr
    >>> x = ExprPool().symbol("x")
    >>> numpy_eval_par(compile_expr(x**2, [x]), [1.0, 2.0])
    array([1., 4.])
    """
    return _checked(f).evaluate(xs, out=out, threads=cores(), progress=progress)


def _checked(f: CompiledFn | TracedFn) -> CompiledFn | TracedFn:
    if isinstance(f, _FUNCTIONS):
        return f
    raise OperandError(
        f"a {type(f).__name__} cannot be evaluated over arrays.",
        remedy="Pass what compile_expr, trace or jit return.",
    )


def flatten_exprs(tree: Any) -> tuple[list[Any], trees.TreeDef]:
    """Return the leaves of a structure of expressions and its tree definition, which compares.

    >>> from alkahest import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> leaves, treedef = flatten_exprs({"a": x, "b": [y, x * y]})
    >>> leaves
    [x, y, x*y]
    """
    return trees.flatten(tree)


def unflatten_exprs(leaves: Sequence[Any], treedef: trees.TreeDef) -> Any:
    """Return the structure `treedef` with `leaves` in it.

    >>> leaves, treedef = flatten_exprs({"a": 1, "b": [2]})
    >>> unflatten_exprs([3, 4], treedef)
    {'a': 3, 'b': [4]}
    """
    return trees.unflatten(leaves, treedef)


def map_exprs(fn: Any, tree: Any) -> Any:
    """Return `tree` with `fn` applied to each expression in it; other leaves stay.

    >>> from alkahest import ExprPool, simplify
    >>> x = ExprPool().symbol("x")
    >>> map_exprs(simplify, [x + x, {"k": x * 0}])
    [2*x, {'k': 0}]
    """
    return trees.map_leaves(lambda leaf: fn(leaf) if isinstance(leaf, Expr) else leaf, tree)
