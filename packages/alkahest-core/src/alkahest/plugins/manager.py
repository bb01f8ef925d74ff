"""Finds the plugins of this process and records what became of each; a broken one stops no other."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pluggy

from alkahest import settings
from alkahest.errors import BackendUnavailableError, DuplicateBackendError, MissingPackageError
from alkahest.plugins import hookspecs
from alkahest.plugins.checks import (
    Info,
    about,
    api_fault,
    checked_infos,
    checked_lists,
    checked_order,
    hook_fault,
    unchecked,
)
from alkahest.plugins.infos import BackendInfo, EmitterInfo, ExecutorInfo

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "alkahest.plugins"
CORE = "alkahest-core"
# What core itself brings. Its metadata says the same; these stand in where core runs without being installed.
BUILTINS = {"core": "alkahest.builtin", "c": "alkahest.emitting.plugin", "litellm": "alkahest.models.plugin"}
ALWAYS = frozenset({"core"})  # the interpreter and the embedded model: no setting takes them away
UNSTOPPABLE = (KeyboardInterrupt, GeneratorExit)

_lock = threading.RLock()
# Rules are tables of the process, and so is this: each plugin is asked once, however often they are listed.
_applied: set[Hashable] = set()


@dataclass(frozen=True)
class PluginRecord:
    """What became of one plugin.

    `status` is "loaded", "failed" (`detail` says why; those of its hooks that work stay in use),
    "incompatible" (written for another `ALKAHEST_API`) or "disabled" (left out by `ALKAHEST_PLUGINS`).
    `distribution`, `version` and `entry_point` are empty for a plugin registered in the process. `hooks` are
    the names of the hooks it implements; none where it was not let in.
    """

    name: str
    distribution: str
    version: str
    status: str
    detail: str = ""
    entry_point: str = ""
    hooks: tuple[str, ...] = ()


class Plugins:
    """The plugins of a process: each is loaded by itself and asked what it offers; faults are remembered.

    `entry_points` stands for the installed ones, for tests; core's own plugins are always among them.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._records: list[PluginRecord] = []
        self._answers: dict[str, tuple[tuple[str, Any], ...]] = {}
        self._faults: dict[str, list[str]] = {}  # of loaded plugins, by name
        self._load_all(_with_builtins(_installed() if entry_points is None else entry_points))

    # -- what became of them

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """One record per plugin: core's own, the others by name, then those registered in the process."""
        return tuple([self._with_faults(record) for record in self._records])

    def offers(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return the names of what the plugin `name` offers: {"backends": (…), "emitters": (…), "executors": (…)}."""
        described = {
            "backends": self._described("alkahest_backends", BackendInfo),
            "emitters": self._described("alkahest_emitters", EmitterInfo),
            "executors": self._described("alkahest_executors", ExecutorInfo),
        }
        return {kind: tuple(i.name for owner, i in infos if owner == name) for kind, infos in described.items()}

    # -- loading

    def register(self, module: Any, name: str) -> PluginRecord:
        """Add a plugin of this process, a module or any object with hooks, and return its record.

        It has to pass the checks that installed plugins pass. One that does not is not added; nothing is
        raised, its record says why.
        """
        with _lock:
            self._answers.clear()
            return self._admit(PluginRecord(name, "", "", "loaded"), lambda: module)

    def unregister(self, name: str) -> None:
        """Take the plugin `name` out again, with its record; primitives and rules that it has set stay."""
        with _lock:
            self._answers.clear()
            self._withdraw(name)
            self._faults.pop(name, None)
            self._records = [record for record in self._records if record.name != name]

    def _load_all(self, entry_points: list[EntryPoint]) -> None:
        allowed = settings.plugin_allowlist()
        for point in entry_points:
            record = _record_of(point)
            if allowed is None or point.name in allowed | ALWAYS:
                self._admit(record, point.load)
            else:
                left_out = replace(record, status="disabled", detail="not named in ALKAHEST_PLUGINS")
                self._records.append(left_out)
        known = sorted({point.name for point in entry_points})
        for name in sorted((allowed or frozenset()).difference(known)):
            detail = f"named in ALKAHEST_PLUGINS and not installed; installed are {', '.join(known)}"
            self._records.append(PluginRecord(name, "", "", "failed", detail))

    def _admit(self, record: PluginRecord, load: Callable[[], Any]) -> PluginRecord:
        try:
            plugin = load()
            fault = api_fault(plugin)
            status, detail = ("incompatible", fault) if fault else self._enter(plugin, record.name)
        except UNSTOPPABLE:
            raise
        except BaseException as error:  # also sys.exit, and panics of native code
            status, detail = "failed", about(error)
        hooks = self._hooks(record.name) if status == "loaded" else ()
        record = replace(record, status=status, detail=detail, hooks=hooks)
        self._records.append(record)
        return record

    def _enter(self, plugin: Any, name: str) -> tuple[str, str]:
        """Register with pluggy; return status and reason. A refused plugin leaves nothing behind."""
        hash(plugin)  # pluggy keeps plugins in sets
        if self._manager.has_plugin(name):
            return "failed", f"{self._owner(name)} has a plugin called {name!r} already"
        if self._manager.is_registered(plugin):
            return "failed", f"the same module is registered already, as {self._manager.get_name(plugin)!r}"
        try:
            self._manager.register(plugin, name=name)
            fault = hook_fault(plugin, self._manager)
        except pluggy.PluginValidationError as error:
            fault = " ".join(str(error).split())
        if fault:
            self._withdraw(name)  # pluggy may keep a plugin that it has refused
            return "failed", fault
        return "loaded", ""

    def _hooks(self, name: str) -> tuple[str, ...]:
        callers = self._manager.get_hookcallers(self._manager.get_plugin(name))
        return tuple(sorted(caller.name for caller in callers or ()))

    def _withdraw(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    # -- what they offer

    def backends(self) -> dict[str, BackendInfo]:
        """Return the tiers on offer, by name. Two of one name raise `DuplicateBackendError`."""
        return self._by_name("backend", self._described("alkahest_backends", BackendInfo))

    def emitters(self) -> dict[str, EmitterInfo]:
        """Return the text formats on offer, by name. Two of one name raise `DuplicateBackendError`."""
        return self._by_name("emitter", self._described("alkahest_emitters", EmitterInfo))

    def executors(self) -> dict[str, ExecutorInfo]:
        """Return who answers calls to language models, by name. Two of one name raise `DuplicateBackendError`."""
        return self._by_name("executor", self._described("alkahest_executors", ExecutorInfo))

    def load_primitives(self) -> None:
        """Let each plugin declare its primitives; each is asked once in a process."""
        # By import string: primitives are a layer above this one.
        registry = load_factory("alkahest.prims.scalar:scalar_p")
        self._apply_once("alkahest_primitives", "", {"registry": registry})

    def load_lowerings(self, target: str) -> None:
        """Let each plugin set its lowering rules for `target`; each is asked once per target in a process."""
        self._apply_once("alkahest_lowerings", target, {"target": target})

    def rewrites(self) -> tuple[Any, ...]:
        """Return the identities that plugins give; one that is broken is left out and noted in the record."""
        with _lock:
            if "alkahest_rewrites" not in self._answers:
                # By import string: identities are a layer above this one.
                fault_of = load_factory("alkahest.symbolic.egraph.encoding:fault_of")
                found: list[tuple[str, Any]] = []
                for name in self._implementers("alkahest_rewrites"):
                    answered, identities = self._call("alkahest_rewrites", name, {}, checked_lists)
                    for identity in identities if answered else ():
                        fault = fault_of(identity)
                        if fault:
                            self._fail(name, f"alkahest_rewrites: {fault}")
                        else:
                            found.append((name, identity))
                self._answers["alkahest_rewrites"] = tuple(found)
            return tuple([identity for _, identity in self._answers["alkahest_rewrites"]])

    def rank(self, features: Any, config: Any, candidates: Sequence[Any]) -> tuple[Any, ...]:
        """Return `candidates` with the usable ones in the order of the first plugin that has a preference.

        An answer that is no rearrangement of the usable candidates is refused and noted in the record.
        """
        usable = tuple(c for c in candidates if c.usable)
        # pluggy keeps implementations in reverse order of call.
        for name in reversed(self._implementers("alkahest_rank")):
            asked = {"features": features, "config": config, "candidates": usable}
            answered, order = self._call("alkahest_rank", name, asked, checked_order(usable))
            if answered and order is not None:
                return (*order, *(c for c in candidates if not c.usable))
        return tuple(candidates)

    def _described(self, hook: str, kind: type[Info]) -> tuple[tuple[str, Info], ...]:
        with _lock:
            if hook not in self._answers:
                found: list[tuple[str, Info]] = []
                for name in self._implementers(hook):
                    answered, infos = self._call(hook, name, {}, checked_infos(kind))
                    found += [(name, info) for info in infos] if answered else []
                self._answers[hook] = tuple(found)
            return self._answers[hook]

    def _by_name(self, what: str, described: tuple[tuple[str, Info], ...]) -> dict[str, Info]:
        owners: dict[str, str] = {}
        for owner, info in described:
            if info.name in owners:
                both = " and ".join(f"{self._owner(p)} (plugin {p!r})" for p in (owners[info.name], owner))
                raise DuplicateBackendError(
                    f"two plugins offer the {what} {info.name!r}: {both}.",
                    remedy="Uninstall one of them, or name the plugins to load in ALKAHEST_PLUGINS.",
                )
            owners[info.name] = owner
        return {info.name: info for _, info in described}

    def _apply_once(self, hook: str, what: str, arguments: dict[str, Any]) -> None:
        for name in self._implementers(hook):
            key = (hook, what, self._manager.get_plugin(name))
            with _lock:
                if key in _applied:
                    continue
                _applied.add(key)
                self._call(hook, name, arguments, unchecked)

    def _implementers(self, hook: str) -> tuple[str, ...]:
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return tuple(dict.fromkeys(impl.plugin_name for impl in impls))

    def _call(self, hook: str, name: str, arguments: dict[str, Any], check: Callable[[Any], Any]) -> tuple[bool, Any]:
        """Call one plugin's hook; return (True, what `check` makes of its answer), else record why not."""
        plugin = self._manager.get_plugin(name)
        try:
            others = self._manager.get_plugins() - {plugin}
            answer = self._manager.subset_hook_caller(hook, others)(**arguments)
            return True, check(answer)
        except UNSTOPPABLE:
            raise
        except BaseException as error:
            self._fail(name, f"{hook}: {about(error)}")
            return False, None

    def _fail(self, name: str, detail: str) -> None:
        faults = self._faults.setdefault(name, [])
        if detail not in faults:
            faults.append(detail)

    def _with_faults(self, record: PluginRecord) -> PluginRecord:
        faults = self._faults.get(record.name)
        if record.status != "loaded" or not faults:
            return record
        return replace(record, status="failed", detail="; ".join(faults))

    def _owner(self, name: str) -> str:
        """Return which distribution the loaded plugin `name` is of."""
        owners = [r.distribution for r in self._records if r.name == name and r.status == "loaded"]
        return next(iter(owners), "") or "this process"


_process: dict[str, Plugins] = {}
_listing: list[int] = []


def plugins() -> Plugins:
    """Return the plugins of this process; the first call looks for installed ones and loads them."""
    found = _process.get("plugins")
    return _first_plugins() if found is None else found


def _first_plugins() -> Plugins:
    with _lock:
        if _listing:
            raise BackendUnavailableError(
                "a plugin asked for the list of plugins while it was being loaded.",
                remedy="Let plugin.py only describe what it offers; do the work in its factories.",
            )
        if "plugins" not in _process:
            _listing.append(1)
            try:
                _process["plugins"] = Plugins()
            finally:
                _listing.clear()
        return _process["plugins"]


def reset_plugins() -> None:
    """Forget the plugins of this process, so that the next need looks for them again; for tests."""
    with _lock:
        _process.clear()


def backends() -> dict[str, BackendInfo]:
    """Return the tiers that this process's plugins offer, by name; see `Plugins.backends`."""
    return plugins().backends()


def emitters() -> dict[str, EmitterInfo]:
    """Return the text formats that this process's plugins offer, by name; see `Plugins.emitters`."""
    return plugins().emitters()


def executors() -> dict[str, ExecutorInfo]:
    """Return who this process's plugins let answer calls to language models, by name; see `Plugins.executors`."""
    return plugins().executors()


def rewrites() -> tuple[Any, ...]:
    """Return the identities that this process's plugins give the simplifier; see `Plugins.rewrites`."""
    return plugins().rewrites()


def load_primitives() -> None:
    """Let this process's plugins declare their primitives; see `Plugins.load_primitives`."""
    plugins().load_primitives()


def load_lowerings(target: str) -> None:
    """Let this process's plugins set their lowering rules for `target`; see `Plugins.load_lowerings`."""
    plugins().load_lowerings(target)


def rank(features: Any, config: Any, candidates: Sequence[Any]) -> tuple[Any, ...]:
    """Return `candidates` in the order that this process's plugins prefer; see `Plugins.rank`."""
    return plugins().rank(features, config, candidates)


def load_factory(path: str, install: str = "") -> Any:
    """Return what an import string "package.module:attribute" names.

    Raises `MissingPackageError` where a package is not installed, with the command `install` as its remedy,
    and `BackendUnavailableError` where the module breaks at import or lacks the attribute.

    >>> load_factory("math:sqrt")(2.25)
    1.5
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise BackendUnavailableError(
            f"{path!r} is no import string.",
            remedy="A plugin gives its factories as 'package.module:attribute'.",
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise MissingPackageError(
            f"{module_name} cannot be imported: {error}.",
            remedy=f"Install what it needs: {install}" if install else "Install the package it needs.",
        ) from error
    except UNSTOPPABLE:
        raise
    except BaseException as error:
        raise BackendUnavailableError(
            f"importing {module_name} fails: {about(error)}.",
            remedy="Reinstall it, or report it to its authors.",
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BackendUnavailableError(
                f"{module_name} has no attribute {attribute!r}.",
                remedy="Install versions of Alkahest and of the plugin that belong together.",
            )
        found = getattr(found, part)
    return found


def _installed() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _with_builtins(entry_points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Return the entry points in order of loading, core's own first, whether installed or not."""
    from importlib.metadata import EntryPoint

    points = sorted(entry_points, key=lambda p: (p.name, _record_of(p).distribution))
    own: list[EntryPoint] = []
    for name, value in BUILTINS.items():
        found = [p for p in points if (p.name, p.value) == (name, value)]
        own += found or [EntryPoint(name, value, GROUP)]
    return own + [p for p in points if BUILTINS.get(p.name) != p.value]


def _record_of(point: EntryPoint) -> PluginRecord:
    distribution = getattr(point, "dist", None)
    if distribution is None:
        name, version = (CORE if BUILTINS.get(point.name) == point.value else ""), ""
    else:
        name, version = str(distribution.name), str(distribution.version)
    return PluginRecord(point.name, name, version, "loaded", "", point.value)
