"""A broken plugin is recorded and stops no other; what plugins offer is checked before anybody uses it."""

import sys
import threading
import types
from importlib.metadata import EntryPoint

import pytest

from alkahest.errors import BackendUnavailableError, DuplicateBackendError, MissingPackageError
from alkahest.plugins import manager
from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import BackendInfo, Cost, EmitterInfo, ExecutorInfo
from alkahest.plugins.manager import BUILTINS, GROUP, Plugins, load_factory

FREE = Cost(setup=0.0, per_node=0.0, launch=0.0, per_op=0.0)


class Point:
    """An entry point whose plugin is at hand, or a function that fails."""

    def __init__(self, name, load, distribution=None):
        self.name = name
        self.value = f"{name}.plugin"
        self.group = GROUP
        self.load = load if callable(load) else lambda: load
        self.dist = types.SimpleNamespace(name=distribution or f"alkahest-{name}", version="1.2.3")


def module(api=1, **hooks):
    """Return a plugin module; each keyword is a hook and its implementation."""
    plugin = types.ModuleType("plugin")
    if api is not None:
        plugin.ALKAHEST_API = api
    for name, function in hooks.items():
        function.__name__ = name
        setattr(plugin, name, hookimpl(function))
    return plugin


def tier(name, **changes):
    fields = {"factory": "package.module:Backend", "targets": frozenset({"cpu"}), "cost": FREE}
    return BackendInfo(name=name, **(fields | changes))


def offering(*tiers):
    return module(alkahest_backends=lambda: list(tiers))


def record(plugins, name):
    (found,) = [r for r in plugins.records if r.name == name]
    return found


def raising(error):
    def load():
        raise error

    return load


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv("ALKAHEST_PLUGINS", raising=False)


# -- loading


def test_a_loaded_plugin_says_whence_it_comes():
    loaded = record(Plugins([Point("good", offering(tier("mine")))]), "good")
    assert (loaded.status, loaded.detail) == ("loaded", "")
    assert (loaded.distribution, loaded.version, loaded.entry_point) == (
        "alkahest-good",
        "1.2.3",
        "good.plugin",
    )


@pytest.mark.parametrize(
    ("load", "status", "said"),
    [
        (raising(ImportError("libcuda.so.1 not found")), "failed", "ImportError: libcuda.so.1 not found"),
        (raising(SyntaxError("bad input")), "failed", "SyntaxError: bad input"),
        (raising(SystemExit(3)), "failed", "SystemExit: 3"),
        (raising(BaseException("a panic")), "failed", "a panic"),
        (raising(ValueError("two\nlines")), "failed", "two lines"),
        (module(api=None), "incompatible", "states no ALKAHEST_API"),
        (module(api=2), "incompatible", "ALKAHEST_API 2"),
        (module(alkahest_primitives=lambda registry, extra: None), "failed", "extra"),
        (module(alkahest_backend=lambda: []), "failed", "did you mean alkahest_backends?"),
        (module(alkahest_zzz=lambda: []), "failed", "alkahest_zzz is no hook"),
    ],
)
def test_a_broken_plugin_is_recorded_and_the_others_work(load, status, said):
    plugins = Plugins([Point("broken", load), Point("good", offering(tier("mine")))])
    broken = record(plugins, "broken")
    assert broken.status == status
    assert said in broken.detail
    assert "\n" not in broken.detail
    assert broken.hooks == ()
    assert "mine" in plugins.backends()


def test_a_hook_without_its_mark_is_no_silent_loss():
    plugin = module()
    plugin.alkahest_backends = list
    unmarked = record(Plugins([Point("unmarked", plugin)]), "unmarked")
    assert (unmarked.status, unmarked.detail) == ("failed", "alkahest_backends is not marked with hookimpl")


def test_an_optional_hook_of_a_later_core_is_no_fault():
    plugin = module()
    plugin.alkahest_from_the_future = hookimpl(optionalhook=True)(lambda: [])
    assert record(Plugins([Point("ahead", plugin)]), "ahead").status == "loaded"


def test_a_hook_may_take_fewer_arguments():
    asked = []
    plugins = Plugins([Point("terse", module(alkahest_lowerings=lambda: asked.append("yes")))])
    plugins.load_lowerings("a target")
    assert asked == ["yes"]
    assert record(plugins, "terse").status == "loaded"


def test_an_unhashable_plugin_does_not_break_the_others():
    class Odd(list):
        ALKAHEST_API = 1

    plugins = Plugins([Point("odd", Odd()), Point("good", offering(tier("mine")))])
    assert "unhashable" in record(plugins, "odd").detail
    assert "mine" in plugins.backends()


def test_two_plugins_of_one_name():
    plugins = Plugins([Point("same", offering(tier("a")), "first"), Point("same", offering(tier("b")), "second")])
    kept, refused = [r for r in plugins.records if r.name == "same"]
    assert (kept.distribution, kept.status, refused.distribution, refused.status) == (
        "first",
        "loaded",
        "second",
        "failed",
    )
    assert "first" in refused.detail
    assert {"a"} == set(plugins.backends()) & {"a", "b"}


def test_one_module_under_two_names():
    plugin = offering(tier("mine"))
    plugins = Plugins([Point("a", plugin), Point("b", plugin)])
    assert "as 'a'" in record(plugins, "b").detail


def test_ctrl_c_while_a_plugin_loads_stops():
    with pytest.raises(KeyboardInterrupt):
        Plugins([Point("slow", raising(KeyboardInterrupt()))])


# -- core's own plugins and the allow-list


def test_builtins_come_first_even_where_core_is_not_installed():
    names = [(r.name, r.distribution, r.entry_point) for r in Plugins([Point("a", module())]).records]
    assert names == [*((n, "alkahest-core", v) for n, v in BUILTINS.items()), ("a", "alkahest-a", "a.plugin")]


def test_installed_builtins_are_not_loaded_twice():
    installed = [EntryPoint(name, value, GROUP) for name, value in BUILTINS.items()]
    assert [r.name for r in Plugins(installed).records] == list(BUILTINS)


def test_a_stranger_cannot_take_the_name_of_a_builtin():
    plugins = Plugins([Point("core", offering(tier("mine")), "stranger")])
    own, stranger = [r for r in plugins.records if r.name == "core"]
    assert own.distribution == "alkahest-core"
    assert (stranger.distribution, stranger.status) == ("stranger", "failed")


@pytest.mark.parametrize(
    ("setting", "statuses"),
    [
        ("", {}),
        ("a", {"a": "loaded"}),
        (" a , c ", {"c": "loaded", "a": "loaded"}),
        ("litellm", {"litellm": "loaded"}),
        ("a,zzz", {"a": "loaded", "zzz": "failed"}),
    ],
)
def test_allow_list(monkeypatch, setting, statuses):
    statuses = {"core": "loaded", **dict.fromkeys(("c", "litellm", "a", "b"), "disabled"), **statuses}
    monkeypatch.setenv("ALKAHEST_PLUGINS", setting)
    plugins = Plugins([Point("a", module()), Point("b", raising(AssertionError("must not be imported")))])
    assert {r.name: r.status for r in plugins.records} == statuses
    if "zzz" in statuses:
        assert "not installed; installed are a, b, c, core, litellm" in record(plugins, "zzz").detail


# -- what plugins offer


def test_backends_and_emitters_by_name():
    text = EmitterInfo(name="rpn", factory="m:emit", description="d")
    plugin = offering(tier("one"), tier("two"))
    plugin.alkahest_emitters = hookimpl(lambda: (text,))
    plugins = Plugins([Point("p", plugin)])
    assert {"one", "two"} <= set(plugins.backends())
    assert plugins.emitters()["rpn"] is text
    assert plugins.offers("p") == {"backends": ("one", "two"), "emitters": ("rpn",), "executors": ()}
    assert record(plugins, "p").hooks == ("alkahest_backends", "alkahest_emitters")
    assert plugins.offers("nobody") == {"backends": (), "emitters": (), "executors": ()}


def executing(*infos):
    return module(alkahest_executors=lambda: list(infos))


def speaker(name, **changes):
    return ExecutorInfo(name=name, **({"factory": "package.module:provider", "description": "d"} | changes))


def test_executors_by_name():
    mine = speaker("mine", models=("mine/*",))
    plugins = Plugins([Point("p", executing(mine))])
    assert plugins.executors()["mine"] is mine
    assert set(plugins.executors()) == {"local", "litellm", "mine"}
    assert plugins.offers("p")["executors"] == ("mine",)
    assert plugins.offers("core") == {"backends": ("interpreter",), "emitters": (), "executors": ("local",)}


def test_two_executors_of_one_name_name_both_distributions():
    plugins = Plugins([Point("a", executing(speaker("local")))])
    with pytest.raises(DuplicateBackendError, match=r"executor 'local': alkahest-core .* and alkahest-a"):
        plugins.executors()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (speaker("x", models="x/*"), "a str as models, not a tuple of patterns"),
        (speaker("x", models=["x/*"]), "a list as models"),
        (speaker("x", models=(7,)), "a tuple as models"),
        (speaker("x", factory="package.module"), "'package.module:attribute'"),
        ("x", "a str in it, not ExecutorInfo"),
    ],
)
def test_a_wrong_executor_is_recorded(info, said):
    plugins = Plugins([Point("bad", executing(info)), Point("good", executing(speaker("mine")))])
    assert set(plugins.executors()) == {"local", "litellm", "mine"}
    assert said in record(plugins, "bad").detail


def test_two_backends_of_one_name_name_both_distributions():
    plugins = Plugins([Point("a", offering(tier("same"))), Point("b", offering(tier("same")))])
    for _ in range(2):  # the second time as well
        with pytest.raises(DuplicateBackendError) as caught:
            plugins.backends()
    assert "alkahest-a" in str(caught.value)
    assert "alkahest-b" in str(caught.value)
    assert plugins.offers("b")["backends"] == ("same",)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: tier("x"), "gave a BackendInfo, not a list of BackendInfo"),
        (lambda: {"x": tier("x")}, "gave a dict"),
        (lambda: ["x"], "a str in it"),
        (lambda: [tier("x", targets="cpu")], "a str as targets, not a set of names"),
        (lambda: [tier("x", dtypes=["f64"])], "a list as dtypes"),
        (lambda: [tier("x", cost=1e-3)], "a float as cost"),
        (lambda: [tier("x", factory="package.module")], "'package.module:attribute'"),
        (lambda: [tier("")], "needs a name"),
    ],
)
def test_a_wrong_description_is_recorded(answer, said):
    plugins = Plugins([Point("bad", module(alkahest_backends=answer)), Point("good", offering(tier("mine")))])
    assert "mine" in plugins.backends()
    assert "x" not in plugins.backends()
    bad = record(plugins, "bad")
    assert bad.status == "failed"
    assert bad.detail.startswith("alkahest_backends: ")
    assert said in bad.detail


def test_hooks_that_work_stay_in_use_and_all_faults_are_kept():
    plugin = module(alkahest_backends=lambda: 1 / 0, alkahest_lowerings=lambda target: {}[target])
    plugin.alkahest_emitters = hookimpl(lambda: [EmitterInfo(name="rpn", factory="m:e", description="d")])
    plugins = Plugins([Point("half", plugin)])
    plugins.load_lowerings("somewhere")
    assert "half" not in plugins.backends()
    assert "rpn" in plugins.emitters()
    half = record(plugins, "half")
    assert half.status == "failed"
    assert "alkahest_backends: ZeroDivisionError" in half.detail
    assert "alkahest_lowerings: KeyError: 'somewhere'" in half.detail


def test_nothing_is_added_to_the_record_of_a_refused_namesake():
    points = [Point("same", module(alkahest_backends=lambda: 1 / 0), "a"), Point("same", module(), "b")]
    plugins = Plugins(points)
    plugins.backends()
    details = [r.detail for r in plugins.records if r.name == "same"]
    assert ["ZeroDivisionError" in d for d in details] == [True, False]


def test_lowerings_are_asked_once_per_target_in_a_process():
    asked = []

    def lower(target):
        asked.append(target)

    plugin = module(alkahest_lowerings=lower)
    for _ in range(2):  # a second manager, as after reset_plugins: the rules are set already
        plugins = Plugins([Point("p", plugin)])
        for target in ("c", "llvm", "c"):
            plugins.load_lowerings(target)
    assert asked == ["c", "llvm"]


def test_primitives_are_declared_once_with_the_registry():
    given = []

    def declare(registry):
        given.append(registry)

    plugins = Plugins([Point("p", module(alkahest_primitives=declare))])
    plugins.load_primitives()
    plugins.load_primitives()
    from alkahest.prims.scalar import scalar_p

    assert given == [scalar_p]


# -- ranking


class Candidate(types.SimpleNamespace):
    __hash__ = object.__hash__


A, B, REFUSED = (Candidate(name=n, usable=n != "refused") for n in ("a", "b", "refused"))


def ranking(order, **options):
    plugin = module()
    plugin.alkahest_rank = hookimpl(**options)(lambda features, config, candidates: order(candidates))
    return plugin


def test_without_a_policy_the_order_stays():
    assert Plugins([]).rank("f", "c", [A, B, REFUSED]) == (A, B, REFUSED)


def test_a_policy_reorders_the_usable_ones():
    plugins = Plugins([Point("p", ranking(lambda candidates: candidates[::-1]))])
    assert plugins.rank("f", "c", [A, B, REFUSED]) == (B, A, REFUSED)


def test_the_first_policy_with_an_answer_wins():
    points = [
        Point("last", ranking(lambda c: [B, A], trylast=True)),
        Point("none", ranking(lambda c: None, tryfirst=True)),
        Point("site", ranking(lambda c: [A, B])),
    ]
    assert Plugins(points).rank("f", "c", [B, A]) == (A, B)


@pytest.mark.parametrize(
    "answer", [lambda c: [A], lambda c: [A, A], lambda c: [A, B, REFUSED], lambda c: 7, lambda c: {}[0]]
)
def test_a_wrong_policy_is_recorded_and_passed_over(answer):
    plugins = Plugins([Point("bad", ranking(answer, tryfirst=True)), Point("good", ranking(lambda c: [B, A]))])
    assert plugins.rank("f", "c", [A, B, REFUSED]) == (B, A, REFUSED)
    bad = record(plugins, "bad")
    assert bad.status == "failed"
    assert bad.detail.startswith("alkahest_rank: ")


# -- plugins of the process


def test_register_and_unregister():
    plugins = Plugins([])
    before = plugins.backends()
    assert plugins.register(offering(tier("mine")), "here").status == "loaded"
    assert set(plugins.backends()) == set(before) | {"mine"}
    plugins.unregister("here")
    assert plugins.backends() == before
    assert "here" not in {r.name for r in plugins.records}


def test_registering_a_faulty_plugin_gives_the_reason():
    plugins = Plugins([])
    assert plugins.register(module(api=None), "here").status == "incompatible"
    assert plugins.register(module(), "core").detail == "alkahest-core has a plugin called 'core' already"


def test_plugins_are_found_at_first_need_and_once(monkeypatch):
    scans = []
    monkeypatch.setattr(manager, "_installed", lambda: scans.append(1) or [])
    manager.reset_plugins()
    found = []
    threads = [threading.Thread(target=lambda: found.append(manager.plugins())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert scans == [1]
    manager.reset_plugins()
    assert manager.plugins() is not found[0]
    manager.reset_plugins()


def test_a_plugin_that_asks_for_the_list_while_loading(monkeypatch):
    monkeypatch.setattr(manager, "_installed", lambda: [Point("curious", manager.plugins)])
    manager.reset_plugins()
    try:
        assert "while it was being loaded" in record(manager.plugins(), "curious").detail
    finally:
        manager.reset_plugins()


# -- import strings


def test_load_factory_follows_dots():
    assert load_factory("collections:abc.Mapping") is __import__("collections.abc").abc.Mapping


@pytest.mark.parametrize("path", ["math", "math:", ":sqrt", ""])
def test_load_factory_refuses_what_is_no_import_string(path):
    with pytest.raises(BackendUnavailableError, match="no import string"):
        load_factory(path)


def test_load_factory_names_what_to_install():
    with pytest.raises(MissingPackageError) as caught:
        load_factory("no_such_package.backend:Backend", "pip install ./no-such-package")
    assert isinstance(caught.value, ImportError)
    assert "no_such_package" in caught.value.message
    assert caught.value.remedy.endswith("pip install ./no-such-package")


def test_load_factory_tells_a_missing_attribute():
    with pytest.raises(BackendUnavailableError, match="math has no attribute 'sine'"):
        load_factory("math:sine")


def test_load_factory_tells_a_module_that_breaks(tmp_path, monkeypatch):
    (tmp_path / "breaks_at_import.py").write_text("raise OSError('no such library')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailableError, match="OSError: no such library"):
        load_factory("breaks_at_import:Backend")
    assert "breaks_at_import" not in sys.modules
