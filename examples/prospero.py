"""Draw a shape given as a formula: `python examples/prospero.py --help`.

The formula comes from an FPCore file, such as `examples/fpcore/prospero.fpcore`: some 6,000 operations that are
negative inside the letters of a monologue from The Tempest. The picture is made twice, by computing all pixels with
native code, and by interval pruning, which looks at tiles, fills what is decided, and forgets what cannot matter in the
rest.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import alkahest as ak
from alkahest.extend import Tape, impl_rules

HERE = Path(__file__).parent
BLOCK = 16384  # pixels that NumPy takes at a time: more leave the second-level cache, fewer are mostly overhead
MOST_BYTES = 4 << 30  # that NumPy may hold at a time
_SQUARE = 2.0


def main() -> None:
    """Draw what the command line says, and say how long it took."""
    options = _options()
    if not os.access(options.out.parent, os.W_OK):
        _stop(f"{options.out} cannot be written: there is no folder {options.out.parent} that one may write to")
    core, axes = _formula(options)
    size = options.size, options.height or options.size
    seconds: dict[str, float] = {}
    pictures: dict[str, Any] = {}
    for method in ("brute", "prune") if options.method == "both" else (options.method,):
        start = time.perf_counter()
        shape = ak.Shape(core.expr, axes, method=method, backend=options.backend)
        print(f"{method}: {len(shape.tape.instrs):,} operations on {shape.tier}, ready in {_since(start)}")
        progress = not options.quiet and find_spec("rich") is not None
        pictures[method] = shape.picture(size, progress=progress)
        # What is measured is neither compiling nor drawing a bar.
        seconds[method] = _best(lambda shape=shape: shape.picture(size), options.repeat)
        print(f"{method}: {size[0]} x {size[1]} pixels in {1e3 * seconds[method]:.1f} ms")
    if len(pictures) == 2:
        differing = int((pictures["brute"] != pictures["prune"]).sum())
        print(f"pruning is {seconds['brute'] / seconds['prune']:.1f} times as fast, {differing} pixels differ")
    if options.compare:
        for way, numpy_seconds in _numpy_seconds(shape.tape, size, axes, options.repeat).items():
            print(f"NumPy {way}: {numpy_seconds:.2f} s")
            for method, taken in seconds.items():
                print(f"{method} is {numpy_seconds / taken:.1f} times as fast as NumPy {way}")
    _save(next(reversed(pictures.values())), options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw where a formula is negative.")
    add = parser.add_argument
    add(
        "file", nargs="?", type=Path, default=HERE / "fpcore" / "hi.fpcore", help="FPCore file, of which the first core"
    )
    add("--size", type=_positive, default=1024, help="width in pixels, and height unless that is given (1024)")
    add("--height", type=_positive, help="height in pixels")
    add("--out", type=Path, default=Path("out.png"), help="the picture, a PNG file (out.png)")
    add("--method", choices=("prune", "brute", "both"), default="both", help="how to find the pixels (both)")
    add("--range", nargs=4, type=float, default=(-1.0, 1.0, -1.0, 1.0), metavar=("X0", "X1", "Y0", "Y1"))
    add("--at", action="append", default=[], metavar="NAME=NUMBER", help="value of an input after the first two")
    add("--compare", action="store_true", help="time NumPy over the same operations, too")
    add("--repeat", type=_positive, default=3, help="pictures that are timed; the fastest counts (3)")
    add("--backend", help="the tier to use, such as llvm")
    add("--quiet", action="store_true", help="draw no progress bar")
    return parser.parse_args([_argument(a) for a in sys.argv[1:]])


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text.strip()!r} is no whole number above 0")
    return int(text)


def _argument(text: str) -> str:
    """Return an argument so that argparse takes any negative number for one: -1e-3 and -inf look like options to it."""
    try:
        return f" {text}" if float(text) and text.startswith("-") else text
    except ValueError:
        return text


def _formula(options: argparse.Namespace) -> tuple[Any, dict[Any, Any]]:
    """Return the first core of the file, and what its inputs are bound to."""
    try:
        text = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _stop(f"{options.file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")
    try:
        cores = ak.from_fpcore(text, ak.ExprPool())
    except ak.AlkahestError as error:
        _stop(f"{options.file}: {error}")
    if not cores:
        reason = f": {cores.refused[0][2]}" if cores.refused else ""
        _stop(f"{options.file} holds no formula that can be drawn{reason}")
    core = cores[0]
    if len(core.symbols) < 2:
        _stop(f"{core.name or options.file} has {len(core.symbols)} input(s), and a picture has two axes")
    x, y, *others = core.symbols
    values = dict(_binding(text) for text in options.at)
    missing = [s.name for s in others if s.name not in values]
    if missing:
        given = " ".join(f"--at {name}=0" for name in missing)
        _stop(f"{core.name or options.file} has {len(core.symbols)} inputs: say where to cut it, as with {given}")
    unknown = set(values) - {s.name for s in others}
    if unknown:
        named = ", ".join(s.name for s in others) or "none"
        _stop(f"--at {', '.join(sorted(unknown))}: the inputs after the first two, {x} and {y}, are: {named}")
    x0, x1, y0, y1 = options.range
    return core, {x: (x0, x1), y: (y0, y1)} | {s: values[s.name] for s in others}


def _binding(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        _stop(f"--at {text}: write NAME=NUMBER")


def _best(run: Callable[[], Any], repeat: int) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def _since(start: float) -> str:
    return f"{1e3 * (time.perf_counter() - start):.0f} ms"


def _numpy_seconds(tape: Tape, size: tuple[int, int], axes: dict[Any, Any], repeat: int) -> dict[str, float]:
    """Return the seconds that NumPy takes, one array operation for each of the tape, by how it is used.

    It goes over whole arrays, where memory permits, and over blocks. Results are stored in arrays that are used again
    as soon as their content was read for the last time, so that no time is spent on getting memory.
    """
    ranges = [value for value in axes.values() if isinstance(value, tuple)]
    ends = [np.linspace(lo, hi, n) for (lo, hi), n in zip(ranges, size, strict=True)]
    columns = [grid.reshape(-1) for grid in np.meshgrid(*ends)]
    taken: dict[str, float] = {}
    for block, way in ((len(columns[0]), "over whole arrays"), (BLOCK, f"over blocks of {BLOCK:,} pixels")):
        plan = _numpy_plan(tape, block)
        held = 8 * block * sum(isinstance(array, np.ndarray) for array in plan[2])
        if held > MOST_BYTES:
            print(f"NumPy {way} would hold {held / 2**30:.0f} GiB")
            continue
        with np.errstate(all="ignore"):
            taken[way] = _best(lambda plan=plan, block=block: _run_numpy(*plan, columns, block), repeat)
    return taken


def _run_numpy(steps: list[Any], inputs: list[Any], arrays: list[Any], columns: list[Any], block: int) -> None:
    for first in range(0, len(columns[0]), block):
        for array, column in zip(inputs, columns, strict=True):
            part = column[first : first + block]
            array[: len(part)] = part
        for function, arguments, out in steps:
            arrays[out] = function(*[arrays[a] for a in arguments], out=arrays[out])


def _numpy_plan(tape: Tape, block: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the steps (function, places of arguments, place of result), the inputs' arrays, and all by place."""
    base = len(tape.inputs) + len(tape.consts)
    last = {a: k for k, instr in enumerate(tape.instrs) for a in instr.args}
    inputs = [np.zeros(block) for _ in tape.inputs]
    arrays: list[Any] = [*inputs, *tape.consts]
    place, free, steps = list(range(base)), [], []
    for k, instr in enumerate(tape.instrs):
        arguments = [place[a] for a in instr.args]
        free += {place[a] for a in instr.args if a >= base and last[a] == k}
        if not free:
            free.append(len(arrays))
            arrays.append(np.zeros(block))
        place.append(free.pop())
        squares = instr.op == "pow" and isinstance(arrays[arguments[1]], float) and arrays[arguments[1]] == _SQUARE
        function = np.square if squares else impl_rules.by_name(instr.op).array_function()
        steps.append((_with_out(function), arguments[: 1 if squares else None], place[-1]))
    return steps, inputs, arrays


def _with_out(function: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(function, np.ufunc):
        return function

    def without_out(*arguments: Any, out: Any) -> Any:
        return function(*arguments)

    return without_out


def _save(picture: Any, path: Path) -> None:
    try:
        from PIL import Image
    except ImportError:
        _stop("a picture needs Pillow, which comes with Matplotlib: pip install ./packages/alkahest-core[plot]")
    try:
        Image.fromarray(picture).save(path, format="PNG")
    except OSError as error:
        _stop(f"{path} cannot be written: {error.strerror}")
    print(f"{path} written")


def _stop(message: str) -> NoReturn:
    print(f"prospero: {message}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    try:
        main()
    except ak.AlkahestError as error:
        _stop(str(error))
