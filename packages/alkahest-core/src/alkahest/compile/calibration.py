"""What tiers cost on this machine: measured by `alkahest calibrate`, kept in a file, read by dispatch."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from alkahest import settings
from alkahest.compile.protocols import Backend, CompileOptions, Kernel
from alkahest.errors import ConfigError
from alkahest.expr.tape import Instr, Tape
from alkahest.plugins.infos import Cost

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
FILE_NAME = "calibration.json"

NODES = (8, 32, 128)
POINTS = 20_000
# One operation in eight is a sine; the rest is arithmetic, as in common formulas. Values stay of moderate size.
_PATTERN = (("mul", 2), ("add", 0), ("mul", 1), ("sub", 2), ("sin", None), ("add", 1), ("mul", 2), ("add", 0))


@dataclass(frozen=True)
class Calibration:
    """A calibration file as read: costs by tier, where and when they were measured, what is wrong with it."""

    path: Path | None
    costs: Mapping[str, Cost] = field(default_factory=dict[str, Cost])
    machine: str = ""
    date: str = ""
    fault: str = ""


_read: dict[str | None, Calibration] = {}  # by ALKAHEST_CONFIG_DIR


def config_directory() -> Path:
    """Return the folder of this user's settings: `ALKAHEST_CONFIG_DIR`, else the platform's place for them.

    Raises `ConfigError` where neither that variable nor a home directory is known.
    """
    named = settings.config_directory()
    if named:
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            f"no folder for settings is known: {error}", remedy="Set ALKAHEST_CONFIG_DIR to a folder."
        ) from None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "alkahest"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "alkahest"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "alkahest"


def calibration() -> Calibration:
    """Return what the calibration file of this user says, read once in a process; none gives no costs.

    A file that cannot be read or is damaged gives no costs either, and its `fault` says why (`alkahest doctor`
    shows it).
    """
    key = os.environ.get("ALKAHEST_CONFIG_DIR")
    found = _read.get(key)
    if found is None:
        found = _read[key] = _load()
    return found


def calibrated_costs() -> Mapping[str, Cost]:
    """Return the measured cost of each calibrated tier, by name, from the calibration file; empty without one."""
    return calibration().costs


def forget_calibration() -> None:
    """Read the file again at the next need."""
    _read.clear()


def _load() -> Calibration:
    try:
        path = config_directory() / FILE_NAME
    except ConfigError:  # no folder, no file
        return Calibration(None)
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Calibration(path)
    except (OSError, ValueError) as error:
        return Calibration(path, fault=f"cannot be read: {error}")
    try:
        if data["version"] != VERSION:
            return Calibration(path, fault=f"has version {data['version']!r}; this core reads {VERSION}")
        costs = {str(name): _cost(figures) for name, figures in data["costs"].items()}
        return Calibration(path, costs, str(data["machine"]), str(data["date"]))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return Calibration(path, fault=f"is damaged: {type(error).__name__}: {error}")


def _cost(figures: Mapping[str, Any]) -> Cost:
    values = {f.name: float(figures[f.name]) for f in fields(Cost)}
    wrong = [name for name, value in values.items() if not 0.0 <= value < math.inf]
    if wrong:
        raise ValueError(f"{wrong[0]} is {values[wrong[0]]!r}")
    return Cost(**values)


def write_calibration(costs: Mapping[str, Cost]) -> Path:
    """Write `costs` for this user, beside those of tiers measured earlier, and return the file. Atomic.

    Raises `ConfigError` where the file cannot be written.
    """
    path = config_directory() / FILE_NAME
    merged = {**_load().costs, **costs}
    data = {
        "version": VERSION,
        "machine": f"{platform.node()} ({platform.machine()}, {os.cpu_count()} processors)",
        "date": time.strftime("%Y-%m-%d"),
        "costs": {name: asdict(cost) for name, cost in sorted(merged.items())},
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(data, indent=2), encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error}.",
            remedy="Set ALKAHEST_CONFIG_DIR to a folder that you may write to.",
        ) from error
    forget_calibration()
    return path


# -- measuring


def probe_tape(nodes: int, constant: float = 0.625) -> Tape:
    """Return a chain of `nodes` operations on two inputs, the program that calibration times.

    >>> print(probe_tape(3))
    tape(x, y)
      %2 = 0.625
      %3 = mul %0, %2
      %4 = add %3, %0
      %5 = mul %4, %1
      return %5
    """
    instrs: list[Instr] = []
    for k in range(nodes):
        op, other = _PATTERN[k % len(_PATTERN)]
        previous = k + 2 if k else 0
        instrs.append(Instr(op, (previous,) if other is None else (previous, other)))
    return Tape(("x", "y"), (constant,), tuple(instrs), (nodes + 2,))


def measure(backend: Backend, dtype: str = "f64") -> Cost:
    """Return what a tier costs here, in seconds, from timing compilations and runs of a few sizes.

    Each time is the least of several, and lines are fitted by least squares of relative residuals. `per_op` is the
    dearer of one point at a time and many at once, because the auction does not know which will be asked for.
    """
    options = CompileOptions(dtype=dtype)
    backend.compile(probe_tape(2, 0.5), options)  # what a process pays once is no cost of a function
    compiling = [min(_time_to_compile(backend, nodes, k, options) for k in range(3)) for nodes in NODES]
    setup, per_node = fit_line(NODES, compiling)
    kernels = [backend.compile(probe_tape(nodes), options) for nodes in NODES]
    many = [_least(_run_columns(kernel, POINTS, dtype)) for kernel in kernels]
    _, per_op = fit_line([nodes * POINTS for nodes in NODES], many)
    one = [_least(_run_one(kernel, dtype)) for kernel in kernels]
    launch, per_op_alone = fit_line(NODES, one)
    return Cost(setup=setup, per_node=per_node, launch=launch, per_op=max(per_op, per_op_alone))


def _time_to_compile(backend: Backend, nodes: int, attempt: int, options: CompileOptions) -> float:
    tape = probe_tape(nodes, 0.6 + 0.01 * attempt)  # another constant: a backend may keep what it has compiled
    start = time.perf_counter()
    kernel = backend.compile(tape, options)
    _run_one(kernel, options.dtype)()  # a backend may put off its work until the first call
    return time.perf_counter() - start


def fit_line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return intercept and slope, neither negative, of the line nearest to the points in relative distance.

    >>> a, b = fit_line([1.0, 2.0, 4.0], [5.0, 7.0, 11.0])
    >>> round(a, 9), round(b, 9)
    (3.0, 2.0)
    """
    weights = [1.0 / (y * y) for y in ys]
    total = sum(weights)
    mean_x = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    mean_y = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, x in zip(weights, xs, strict=True))
    common = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in zip(weights, xs, ys, strict=True))
    slope = max(common / spread, 0.0)
    intercept = mean_y - slope * mean_x
    if intercept < 0.0:  # the best line through the origin
        along = sum(w * x * y for w, x, y in zip(weights, xs, ys, strict=True))
        return 0.0, along / sum(w * x * x for w, x in zip(weights, xs, strict=True))
    return intercept, slope


def _run_columns(kernel: Kernel, n: int, dtype: str) -> Callable[[], object]:
    import numpy as np

    kind = "float64" if dtype == "f64" else "float32"
    arrays: list[NDArray[Any]] = [np.linspace(0.2, 0.9, n, dtype=kind), np.linspace(0.3, 1.1, n, dtype=kind)]
    result = np.empty(n, dtype=kind)
    columns = [(a.ctypes.data, a.itemsize) for a in arrays]
    out = [(result.ctypes.data, result.itemsize)]

    def run() -> object:
        kernel.call_columns(n, columns, out)
        return arrays, result  # which own the memory

    return run


def _run_one(kernel: Kernel, dtype: str) -> Callable[[], object]:
    scalar = cast("Callable[[list[float]], object] | None", getattr(kernel, "scalar", None))
    if scalar is None:
        return _run_columns(kernel, 1, dtype)
    point = [0.4, 0.7]
    return lambda: scalar(point)


def _least(run: Callable[[], object], repeats: int = 5, at_least: float = 2e-3) -> float:
    """Return the least time of one call, each repeat long enough for the clock."""
    run()
    loops = 1
    best = math.inf
    while repeats:
        start = time.perf_counter()
        for _ in range(loops):
            run()
        elapsed = time.perf_counter() - start
        if elapsed < at_least and loops < 1 << 20:
            loops *= 2
            continue
        best = min(best, elapsed / loops)
        repeats -= 1
    return best
