"""`Shape` and `inside`: which pixels of a picture lie where a function is below zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Protocol, cast

import numpy as np

from alkahest.compile import driver
from alkahest.compile.compiled import CompiledFn
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.functions import settings_of
from alkahest.errors import CompileError, ConfigError, DomainError, OperandError, ShapeError
from alkahest.expr.tape import Instr, Tape
from alkahest.intervals.evaluation import tape_and_bounds
from alkahest.intervals.interval import Reals, Truths
from alkahest.intervals.tiles import TiledShape
from alkahest.machine.progress import reporting

Report = Callable[[int, int], None]
METHODS = ("prune", "brute")
_BAND = 1 << 20  # pixels that are computed before progress is told
_MOST_PIXELS = 1 << 40  # a byte each
_PIXELS_EXPECTED = 1e6


class Renderer(Protocol):
    """A function of two inputs that can tell where it is below zero; a backend may make one, with `pruner`."""

    def below_zero(self, xs: Reals, ys: Reals, report: Report | None = None) -> Truths:
        """Return where it is below zero at the points (xs[j], ys[i]), as an array with a row for each of `ys`.

        `xs` and `ys` increase or decrease. `report` is told how many pixels are done, and how many there are.
        """
        ...


class Shape:
    """The shape in the plane where a function is below zero, made ready for pictures of any size.

    `f` is an expression, or a function of `trace`, `jit` or `compile_expr`, with one output. `axes` maps two of its
    symbols, or their names, to ranges (lo, hi), and any others to numbers: the first range goes from left to right, the
    second from bottom to top.

    `method="prune"` evaluates `f` over tiles in interval arithmetic, fills those that are decided, drops from `f` what
    cannot matter in the others (the side of a minimum that never wins, the branch that is never taken) and goes into
    these, as Matt Keeter's fidget does. `method="brute"` computes every pixel; both give the same picture. The work is
    done by the tier that `config`, or single settings as of `compile_expr`, ask for, else by the best one: the LLVM
    tiers prune natively, others through NumPy.

    Raises `DomainError` for ranges that are empty or not finite, `OperandError` where not exactly two symbols have
    ranges or there are several outputs, and what `compile_expr` raises.

    >>> from alkahest import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> disc = Shape(x**2 + y**2 - 1, {x: (-1.5, 1.5), y: (-1.0, 1.0)})
    >>> for row in disc.picture((12, 6)):
    ...     print("".join("-#"[int(pixel)] for pixel in row))
    ----####----
    ---######---
    --########--
    --########--
    ---######---
    ----####----
    """

    def __init__(
        self,
        f: Any,
        axes: Mapping[Any, Any],
        *,
        method: str = "prune",
        config: CompileConfig | None = None,
        **settings: Any,
    ) -> None:
        self.tape, self._ranges = _of_two(f, axes)
        chosen = settings_of(config, settings)
        if method not in METHODS:
            raise ConfigError(f"method {method!r} is not known.", remedy=f"Use one of {', '.join(METHODS)}.")
        if chosen.dtype != "f64":
            raise ConfigError("pictures are computed in double precision.", remedy="Leave dtype as it is.")
        chosen = chosen if chosen.expected_evals is not None else chosen.with_evals(_PIXELS_EXPECTED)
        self.tier, self._renderer = _pruner(self.tape, chosen) if method == "prune" else _brute(self.tape, chosen)

    def picture(self, size: tuple[int, int], *, progress: bool | Report = False) -> Truths:
        """Return the picture of `size` (width, height), an array of bool of shape (height, width), the top row first.

        A pixel stands for its centre, and is False where the function is zero, positive or nan there. `progress=True`
        draws a bar; a function is told the pixels done and their number. Raises `ShapeError` for a size that is no two
        positive integers, or more pixels than there is memory for.
        """
        width, height = _checked_size(size)
        xs, ys = _centres(self._ranges[0], width), _centres(self._ranges[1], height)[::-1]
        with reporting("pixels" if progress is True else progress or None) as report:
            try:
                return self._renderer.below_zero(xs, np.ascontiguousarray(ys), report)
            except MemoryError:
                raise ShapeError(
                    f"there is no memory for {width} x {height} pixels.", remedy="Draw the picture in parts."
                ) from None


def inside(
    f: Any,
    axes: Mapping[Any, Any],
    size: tuple[int, int],
    *,
    method: str = "prune",
    progress: bool | Report = False,
    config: CompileConfig | None = None,
    **settings: Any,
) -> Truths:
    """Return where `f` is below zero, as a picture of `size` (width, height): an array of bool, shape (height, width).

    It is `Shape(f, axes, …).picture(size, …)`; see there, also for what is raised.

    >>> from alkahest import ExprPool
    >>> x, y = ExprPool().symbols("x y")
    >>> inside(x + y, {x: (-1, 1), y: (-1, 1)}, (3, 2)).tolist()
    [[True, False, False], [True, True, False]]
    """
    return Shape(f, axes, method=method, config=config, **settings).picture(size, progress=progress)


def _of_two(f: Any, axes: Mapping[Any, Any]) -> tuple[Tape, list[tuple[float, float]]]:
    """Return the tape of `f` as a function of the two symbols that have ranges, in the order of `axes`, and these."""
    if not isinstance(axes, Mapping):
        raise OperandError(
            f"the axes are a {type(axes).__name__}, not a mapping.",
            remedy="Pass a dict from symbols to ranges: {x: (-1, 1), y: (-1, 1)}.",
        )
    tape, bounds = tape_and_bounds(f, axes)
    if len(tape.outputs) != 1:
        raise OperandError(f"the function has {len(tape.outputs)} outputs.", remedy="Pass one expression.")
    ranged = [k for k, value in enumerate(bounds) if isinstance(value, Sequence)]
    if len(ranged) != 2:
        raise OperandError(
            f"{len(ranged)} symbol(s) have a range, and a picture has two axes.",
            remedy="Give two symbols a pair (lo, hi), and any others a number.",
        )
    given: list[Any] = [value for value in axes.values() if isinstance(value, Sequence)]
    if bounds[ranged[0]] is not given[0]:
        ranged.reverse()
    ranges = [_checked_range(tape.inputs[k], cast("Sequence[Any]", bounds[k])) for k in ranged]
    fixed = {k: _checked_number(tape.inputs[k], v) for k, v in enumerate(bounds) if k not in ranged}
    return _restricted(tape, ranged, fixed), ranges


def _checked_range(name: str, value: Sequence[Any]) -> tuple[float, float]:
    lo, hi = (_checked_number(name, v) for v in value) if len(value) == 2 else (0.0, 0.0)
    if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
        raise DomainError(f"the range of {name} is {tuple(value)}.", remedy="Pass (lo, hi), finite, with lo < hi.")
    return lo, hi


def _checked_number(name: str, value: Any) -> float:
    if not isinstance(value, Real):
        raise OperandError(f"{name} is bound to {value!r}.", remedy="Pass a pair (lo, hi) for an axis, else a number.")
    return float(value)


def _checked_size(size: Any) -> tuple[int, int]:
    numbers = tuple(cast("Sequence[Any]", size)) if isinstance(size, Sequence) else ()
    if len(numbers) != 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in numbers):
        raise ShapeError(f"the size of a picture cannot be {size!r}.", remedy="Pass (width, height), both above 0.")
    width, height = map(int, numbers)
    if width * height > _MOST_PIXELS:
        raise ShapeError(f"{width} x {height} pixels are too many for any memory.", remedy="Draw the picture in parts.")
    return width, height


def _restricted(tape: Tape, ranged: list[int], fixed: dict[int, float]) -> Tape:
    """Return the tape with two inputs only; the others become constants."""
    first, n_consts = len(tape.inputs), len(tape.consts)
    order = {k: at for at, k in enumerate(ranged)} | {k: 2 + n_consts + at for at, k in enumerate(fixed)}

    def moved(slot: int) -> int:
        if slot < first:
            return order[slot]
        return slot - first + 2 + (0 if slot < first + n_consts else len(fixed))

    instrs = tuple([Instr(i.op, tuple([moved(a) for a in i.args]), i.params) for i in tape.instrs])
    names = tuple([tape.inputs[k] for k in ranged])
    return Tape(names, (*tape.consts, *fixed.values()), instrs, tuple([moved(o) for o in tape.outputs]))


def _centres(ends: tuple[float, float], n: int) -> Reals:
    """Return the coordinates of the centres of `n` pixels, in increasing order."""
    lo, hi = ends
    return np.minimum(lo + (np.arange(n) + 0.5) * ((hi - lo) / n), hi)


def _pruner(tape: Tape, config: CompileConfig) -> tuple[str, Renderer]:
    """Return the best tier that prunes, by name, and its renderer; NumPy where there is none."""
    infos = driver.backend_infos()
    for candidate in driver.candidates_for(tape, config):
        if candidate.usable and config.backend in (None, candidate.name):
            info = infos[candidate.name]
            pruner = getattr(driver.backend_of(info), "pruner", None)
            if pruner is not None and not driver.refusal(info, tape):
                try:
                    return info.name, pruner(tape, config.options())
                except CompileError:
                    continue  # the next tier, or NumPy, can
    return "interpreter", TiledShape(tape)


def _brute(tape: Tape, config: CompileConfig) -> tuple[str, Renderer]:
    compiled = CompiledFn(tape, config)
    return compiled.tier, _Brute(compiled)


class _Brute:
    """A function that is computed at every point."""

    def __init__(self, compiled: CompiledFn) -> None:
        self._compiled = compiled

    def below_zero(self, xs: Reals, ys: Reals, report: Report | None = None) -> Truths:
        """Return where it is below zero, band by band."""
        picture = np.empty((len(ys), len(xs)), np.bool_)
        rows = max(1, _BAND // len(xs))
        for start in range(0, len(ys), rows):
            band = self._compiled.evaluate([xs, ys[start : start + rows, np.newaxis]])
            np.less(band, 0.0, out=picture[start : start + rows])
            if report is not None:
                report(min(start + rows, len(ys)) * len(xs), picture.size)
        return picture
