"""What `alkahest doctor` finds out: plain data, so that it can be printed, saved and tested."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import alkahest
from alkahest.cli.cache_command import summary
from alkahest.cli.plugins_command import ask, duplicates
from alkahest.compile.c_backend import find_compiler
from alkahest.compile.calibration import calibration
from alkahest.compile.code_store import code_store
from alkahest.compile.driver import backend_of, refusal
from alkahest.compile.protocols import CompileOptions, Kernel
from alkahest.errors import DuplicateBackendError
from alkahest.extend import Instr, Tape
from alkahest.plugins.infos import BackendInfo
from alkahest.plugins.manager import CORE, plugins

LIBRARIES = (
    *("numpy", "scipy", "optree", "egglog", "pluggy", "llvmlite", "jax", "jaxlib", "torch", "triton"),
    *("matplotlib", "click", "rich", "hypothesis", "pytest"),
)
OURS = ("alkahest", "alkahest-core", "alkahest-llvm", "alkahest-gpu", "alkahest-jax")
# x*y + 1 at (3, 0.5): exact in every precision.
PROBE = Tape(("x", "y"), (1.0,), (Instr("mul", (0, 1)), Instr("add", (3, 2))), (4,))
POINT, VALUE = [3.0, 0.5], 2.5


@dataclass(frozen=True)
class Tier:
    """What became of a tier when it was tried: `state` is "runs" or the reason it does not."""

    targets: str
    dtypes: str
    state: str
    broken: bool


@dataclass
class Diagnosis:
    """The state of this installation; `problems` is what is broken, not what is merely absent."""

    packages: dict[str, str] = field(default_factory=dict[str, str])
    machine: dict[str, str] = field(default_factory=dict[str, str])
    tiers: dict[str, Tier] = field(default_factory=dict[str, Tier])
    settings: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])


def diagnose() -> Diagnosis:
    """Look at packages, plugins, tiers and settings; loads every tier that can be loaded."""
    found = Diagnosis(packages=_versions(), machine=_machine(), settings=_settings())
    found.problems += import_problems()
    found.problems += plugin_problems()
    found.tiers = _tiers()
    found.problems += [f"tier {name}: {tier.state}" for name, tier in found.tiers.items() if tier.broken]
    fault = calibration().fault
    if fault:
        found.problems.append(
            f"the calibration file {calibration().path} {fault}. Run `alkahest calibrate --write`, or remove it."
        )
    kept = code_store().info()
    found.settings["code cache"] = summary(kept)
    found.problems += [f"code cache: {problem}" for problem in kept.problems]
    return found


def import_problems() -> Iterator[str]:
    """Tell whether the imported `alkahest` is the one that alkahest-core installed."""
    here = Path(alkahest.__file__).resolve()
    try:
        core = metadata.distribution(CORE)
    except metadata.PackageNotFoundError:
        return  # run from a source tree; the table of packages says so
    if core.version != alkahest.__version__:
        yield f"alkahest-core {core.version} is installed, and {alkahest.__version__} is imported from {here.parent}."
    home = _home_of(core)
    if home is not None and not here.is_relative_to(home):
        yield f"`import alkahest` gives {here.parent}, which is not the installed alkahest-core in {home}."
    foreign = set(metadata.packages_distributions().get("alkahest", ())) - {CORE}
    if foreign:
        yield (
            f"the package `alkahest` is also installed by {', '.join(sorted(foreign))}, which is another project. "
            f"Uninstall it, then reinstall alkahest-core."
        )


def _home_of(core: metadata.Distribution) -> Path | None:
    """Return the folder from which an installed alkahest-core is imported, where its metadata tells."""
    module = Path("alkahest/__init__.py")
    if any(Path(file) == module for file in core.files or ()):
        return Path(str(core.locate_file(module))).resolve().parent
    text = core.read_text("direct_url.json")  # of an editable installation it names the source tree
    if text is None:
        return None
    url: str = json.loads(text)["url"]
    return Path(url2pathname(urlparse(url).path)).resolve()


def plugin_problems() -> Iterator[str]:
    """Tell which plugins failed, and which offer the same."""
    found = plugins()
    for record in ask(found):
        if record.status in ("failed", "incompatible"):
            yield f"plugin {record.name} ({record.distribution or 'not installed'}) {record.status}: {record.detail}"
    yield from duplicates(found)


def _versions() -> dict[str, str]:
    versions = {name: _version(name) for name in (*OURS, *LIBRARIES)}
    if not versions[CORE]:
        versions[CORE] = f"{alkahest.__version__}, not installed: imported from {Path(alkahest.__file__).parent}"
    return {"Python": platform.python_version(), **versions}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _machine() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "processors": str(os.cpu_count()),
        "C compiler": c_compiler(),
        "CUDA driver": cuda_driver(),
    }


def c_compiler() -> str:
    """Return the command and the first line of the version of the machine's C compiler, or "" where there is none."""
    command = find_compiler()
    if not command:
        return ""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=30, check=False)
    return f"{' '.join(command)} ({(done.stdout.splitlines() or ['version unknown'])[0]})"


def cuda_driver() -> str:
    """Return the CUDA version that the installed driver supports, or "" where there is no driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return ""
    version = ctypes.c_int()
    status = driver.cuDriverGetVersion(ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}" if status == 0 else f"error {status} of the driver"


def _tiers() -> dict[str, Tier]:
    try:
        infos = plugins().backends()
    except DuplicateBackendError:  # is among the problems already
        return {}
    return {name: examine(info) for name, info in sorted(infos.items())}


def examine(info: BackendInfo) -> Tier:
    """Return whether a tier runs here, by running it, or the reason it does not."""

    def tier(state: str, *, broken: bool = False) -> Tier:
        return Tier(", ".join(sorted(info.targets)), ", ".join(sorted(info.dtypes)), state, broken)

    dtype = "f64" if "f64" in info.dtypes else min(info.dtypes)
    try:
        why = refusal(info, PROBE)
        backend = backend_of(info)
        if why or isinstance(backend, str):
            return tier(why)
        got = _value(backend.compile(PROBE, CompileOptions(dtype=dtype)), dtype)
    except Exception as error:  # whatever a backend does wrong is the finding
        return tier(f"fails: {type(error).__name__}: {error}", broken=True)
    return tier("runs") if got == VALUE else tier(f"computes {got} instead of {VALUE}", broken=True)


def _value(kernel: Kernel, dtype: str) -> float:
    import numpy as np

    kind = {"f64": "float64", "f32": "float32"}[dtype]
    memory = np.array([*POINT, 0.0], kind)
    x, y, out = [(memory[k:].ctypes.data, memory.itemsize) for k in range(3)]
    kernel.call_columns(1, [x, y], [out])
    return float(memory[2])


def _settings() -> dict[str, str]:
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith("ALKAHEST_")}
    kept = calibration()
    if kept.costs:
        found["calibration"] = f"{kept.path}: {', '.join(sorted(kept.costs))} on {kept.machine}, {kept.date}"
    return found
