"""The driver: asks the plugins for offers, holds the auction, compiles with the winner, and keeps what happened."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from alkahest import settings
from alkahest.base.collecting import no_collection
from alkahest.compile.dispatch import LAST_RESORT, Candidate, CompileConfig, Features, Offer, plan
from alkahest.compile.protocols import Backend, Kernel
from alkahest.errors import AlkahestError, BackendUnavailableError, CompileError, ConfigError
from alkahest.expr.tape import Tape
from alkahest.plugins.infos import BackendInfo

LOADED = "loaded"  # what `Kernel.origin` says of code that was kept on disk

_instances: dict[str, Backend | str] = {}
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child has no thread that would release it
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@dataclass(frozen=True)
class Explanation:
    """Why a tier runs: the candidates in order, and what was tried. `str()` gives a table."""

    tier: str
    candidates: tuple[Candidate, ...]
    attempts: tuple[tuple[str, str], ...]

    @property
    def fell_back(self) -> bool:
        """Whether a tier that was preferred could not be used."""
        return len(self.attempts) > 1

    def __str__(self) -> str:
        width = max([len(c.name) for c in self.candidates], default=0)
        lines = [f"runs on {self.tier}" if self.tier else "nothing was compiled"]
        for c in self.candidates:
            mark = "*" if c.name == self.tier else ("+" if c.usable else "-")
            lines.append(f"  {mark} {c.name:<{width}}  {c.reason}")
        lines += [f"  {name}: {outcome}" for name, outcome in self.attempts if name != self.tier or outcome == LOADED]
        return "\n".join(lines)


def backend_infos() -> dict[str, BackendInfo]:
    """Return every tier the plugins describe, by name."""
    from alkahest.plugins.manager import backends

    return backends()


def backend_of(info: BackendInfo) -> Backend | str:
    """Return the backend of a tier, made once per process, or the reason that it cannot be loaded."""
    from alkahest.plugins.manager import load_factory

    with _lock:
        if info.name not in _instances:
            try:
                _instances[info.name] = load_factory(info.factory)()
            except AlkahestError as error:
                _instances[info.name] = f"cannot be loaded: {error}{_hint(info)}"
            except Exception as error:  # a plugin's code: whatever it raises, the other tiers stay in use
                _instances[info.name] = f"cannot be loaded: {type(error).__name__}: {error}{_hint(info)}"
        return _instances[info.name]


def _hint(info: BackendInfo) -> str:
    return f" ({info.install})" if info.install else ""


def forget_backends() -> None:
    """Drop the backends made so far, for tests that change the plugins."""
    with _lock:
        _instances.clear()


def refusal(info: BackendInfo, tape: Tape) -> str:
    """Return "" where the tier can compile the tape here, else the reason it cannot."""
    from alkahest.plugins.manager import load_lowerings, load_primitives

    backend = backend_of(info)
    if isinstance(backend, str):
        return backend
    try:
        why = backend.unavailable()
        if why:
            return why
        if info.lowers:
            load_primitives()
            load_lowerings(info.lowers)
        return backend.refuses(tape)
    except Exception as error:  # as above: a tier that breaks when it is asked is a tier that cannot run
        return f"breaks when asked: {type(error).__name__}: {error}"


def offers(infos: dict[str, BackendInfo], tape: Tape | None = None) -> list[Offer]:
    """Return the tiers as offers; with a tape each is asked whether it can take it."""
    from alkahest.compile.calibration import calibrated_costs

    measured = calibrated_costs()
    return [
        Offer(
            name=info.name,
            targets=info.targets,
            cost=measured.get(info.name, info.cost),
            dtypes=info.dtypes,
            automatic=info.automatic,
            refusal=refusal(info, tape) if tape is not None else "",
        )
        for info in infos.values()
    ]


def candidates_for(tape: Tape, config: CompileConfig, *, probe: bool = False) -> tuple[Candidate, ...]:
    """Return the candidates for `tape`; `probe=True` asks every tier, which loads them all."""
    from alkahest.plugins.manager import rank

    infos = backend_infos()
    _check_names(config, infos)
    features = Features.of(tape)
    found = offers(infos, tape if probe else None)
    candidates = plan(features, config, found)
    usable = [c for c in candidates if c.usable]
    if config.fallback and all(c.name == LAST_RESORT for c in usable):
        usable += _any_tier(features, config, found, usable)
    usable = list(rank(features, config, usable))
    names = {c.name for c in usable}
    return (*usable, *[c for c in candidates if c.name not in names])


def _any_tier(features: Features, config: CompileConfig, found: list[Offer], have: list[Candidate]) -> list[Candidate]:
    anywhere = CompileConfig(expected_evals=config.expected_evals, dtype=config.dtype)
    return [c for c in plan(features, anywhere, found) if c.usable and c.name not in {h.name for h in have}]


def _check_names(config: CompileConfig, infos: dict[str, BackendInfo]) -> None:
    if config.backend is not None and config.backend not in infos:
        raise BackendUnavailableError(
            f"no tier is called {config.backend!r} (there are {', '.join(sorted(infos))}).",
            remedy=_install_hint(config.backend),
        )
    targets = sorted(frozenset[str]().union(*[i.targets for i in infos.values()]))
    if config.target is not None and config.target not in targets:
        known = {"cpu": "llvm", "cuda": "gpu", "xla": "jax"}
        if config.target not in known:
            raise ConfigError(f"target {config.target!r} is not known.", remedy=f"Use one of {', '.join(targets)}.")
        raise BackendUnavailableError(
            f"no installed tier serves target {config.target!r}.", remedy=_install_hint(known[config.target])
        )


def _install_hint(name: str) -> str:
    package = {"llvm-fast": "llvm", "xla": "jax", "cuda": "gpu"}.get(name, name)
    if package in ("llvm", "jax", "gpu"):
        names = ["core", "llvm", "gpu"] if package == "gpu" else ["core", package]
        return "Install it from the source tree: pip install " + " ".join(f"./packages/alkahest-{n}" for n in names)
    return "Check the name with `alkahest plugins`."


@dataclass(frozen=True)
class Compilation:
    """A kernel and how it came about."""

    kernel: Kernel
    tier: str
    explanation: Explanation


def compile_tape(tape: Tape, config: CompileConfig) -> Compilation:
    """Compile with the best candidate; what fails is recorded and the next one is tried.

    Raises `BackendUnavailableError` where the tier asked for cannot run and `fallback=False`, `CompileError` where
    none could compile the tape.
    """
    infos = backend_infos()
    candidates = candidates_for(tape, config)
    attempts: list[tuple[str, str]] = []
    for candidate in candidates:
        if not candidate.usable:
            continue
        with no_collection():
            kernel = _attempt(tape, config, infos[candidate.name], attempts)
        if kernel is not None:
            compilation = Compilation(kernel, candidate.name, Explanation(candidate.name, candidates, tuple(attempts)))
            _report(tape, compilation)
            return compilation
    reasons = [f"{n}: {why}" for n, why in attempts] + [f"{c.name}: {c.reason}" for c in candidates if not c.usable]
    asked = config.backend or config.target
    error = BackendUnavailableError if asked else CompileError
    raise error(
        f"no tier can run this function{f' as asked ({asked})' if asked else ''}: {'; '.join(reasons)}.",
        remedy="Leave `backend`, `target` and `fallback` unset to let dispatch choose, or install what is missing.",
    )


def _attempt(tape: Tape, config: CompileConfig, info: BackendInfo, attempts: list[tuple[str, str]]) -> Kernel | None:
    why = refusal(info, tape)
    backend = backend_of(info)
    if why or isinstance(backend, str):
        attempts.append((info.name, why))
        return None
    try:
        kernel = backend.compile(tape, config.options())
    except Exception as error:  # any failure of any backend falls back, visibly
        attempts.append((info.name, f"failed: {type(error).__name__}: {error}"))
        return None
    attempts.append((info.name, getattr(kernel, "origin", "compiled")))
    return kernel


def _report(tape: Tape, compilation: Compilation) -> None:
    level = settings.debug_level()
    if level >= 1:
        sys.stderr.write(f"alkahest: {compilation.explanation}\n")
    if level >= 2:
        sys.stderr.write(f"{tape}\n")
    if level >= 3:
        for kind, text in compilation.kernel.artifacts.items():
            sys.stderr.write(f"alkahest: {kind}\n{text}\n")
    directory = settings.dump_directory()
    if directory:
        _dump(Path(directory), tape, compilation.kernel)


def _dump(directory: Path, tape: Tape, kernel: Kernel) -> None:
    os.makedirs(directory, exist_ok=True)
    stem = tape.digest[:16]
    for kind, text in {**kernel.artifacts, "tape": str(tape)}.items():
        (directory / f"{stem}.{kind}").write_text(f"{text}\n")
