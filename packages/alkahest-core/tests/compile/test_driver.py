"""The driver: fallback that can be seen, adaptation, policies of plugins, debugging aids. No hardware needed."""

import numpy as np
import pytest

import alkahest
from alkahest import CompileConfig, ExprPool, compile_expr
from alkahest.compile.driver import compile_tape, forget_backends
from alkahest.errors import BackendUnavailableError, CompileError
from alkahest.extend import BackendInfo, Cost, Instr, Tape, hookimpl
from alkahest.plugins.manager import plugins, reset_plugins
from alkahest.testing.null_backend import NullBackend, null_tier

NATIVE = Cost(setup=1e-3, per_node=1e-5, launch=1e-6, per_op=1e-9)


@pytest.fixture(autouse=True)
def only_core(monkeypatch):
    """Leave out what is installed beside core: the tiers of these tests are the only ones."""
    monkeypatch.setenv("ALKAHEST_PLUGINS", "")
    reset_plugins()
    forget_backends()
    yield
    monkeypatch.undo()
    reset_plugins()
    forget_backends()


@pytest.fixture
def expr():
    x, y = ExprPool().symbols("x y")
    return x * y + 1, [x, y]


def test_the_cheapest_tier_runs(expr):
    with null_tier("free") as backend:
        assert compile_expr(*expr).tier == "free"
        assert len(backend.tapes) == 1


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (NullBackend(missing="no such device"), "no such device"),
        (NullBackend(refused_ops=frozenset({"mul"})), "cannot lower mul"),
        (NullBackend(failure=RuntimeError("the assembler gave up")), "the assembler gave up"),
    ],
    ids=["unavailable", "refuses", "fails"],
)
def test_a_tier_that_cannot_falls_back_visibly(expr, backend, reason):
    with null_tier("broken", backend):
        f = compile_expr(*expr)
        assert f.tier == "interpreter"
        assert f([2.0, 3.0]) == 7.0
        assert f.explain().fell_back
        assert reason in str(f.explain())
        with pytest.raises(BackendUnavailableError, match=reason):
            compile_expr(*expr, backend="broken", fallback=False)


@pytest.mark.parametrize("question", ["unavailable", "refuses"])
def test_a_tier_that_breaks_when_asked_falls_back(expr, question):
    class Crashes(NullBackend):
        pass

    def crash(*_):
        raise RuntimeError("probe crashed")

    setattr(Crashes, question, crash)
    with null_tier("broken", Crashes()):
        f = compile_expr(*expr)
        assert f.tier == "interpreter"
        assert "probe crashed" in str(f.explain())


def test_a_factory_that_cannot_be_imported_falls_back(expr):
    class Plugin:
        ALKAHEST_API = 1

        @hookimpl
        def alkahest_backends(self):
            free = Cost(setup=0, per_node=0, launch=0, per_op=0)
            cpu = frozenset({"cpu"})
            return [
                BackendInfo(
                    name="ghost", factory="no_such_package.x:B", targets=cpu, cost=free, install="pip install it"
                )
            ]

    plugins().register(Plugin(), "ghost plugin")
    try:
        f = compile_expr(*expr)
        assert f.tier == "interpreter"
        assert "no_such_package" in str(f.explain())
        assert "pip install it" in str(f.explain())
    finally:
        plugins().unregister("ghost plugin")


def test_no_tier_at_all_is_an_error_with_every_reason():
    tape = Tape(("x",), (), (Instr("unheard_of", (0,)),), (1,))
    with null_tier("broken", NullBackend(missing="gone")), pytest.raises(CompileError) as caught:
        compile_tape(tape, CompileConfig())
    assert "gone" in str(caught.value)
    assert "unheard_of" in str(caught.value)


def test_a_target_that_cannot_be_had_falls_back_to_the_host(expr):
    with null_tier("device", NullBackend(missing="no driver"), targets=frozenset({"device"})):
        f = compile_expr(*expr, target="device")
        assert f.tier != "device"
        assert "no driver" in str(f.explain())
        with pytest.raises(BackendUnavailableError, match="no driver"):
            compile_expr(*expr, target="device", fallback=False)


def test_a_target_is_served_only_when_asked(expr):
    with null_tier("device", targets=frozenset({"device"})):
        assert compile_expr(*expr).tier != "device"
        assert compile_expr(*expr, target="device").tier == "device"


def test_a_function_moves_to_a_faster_tier_as_it_is_called(expr):
    with null_tier("native", cost=NATIVE) as backend:
        f = compile_expr(*expr)
        assert f.tier == "interpreter"
        f.call_batch([np.ones(3), np.ones(3)])
        assert f.tier == "interpreter"
        f.call_batch([np.ones(1_000_000), 2.0])
        assert f.tier == "native"
        g = compile_expr(*expr)
        for _ in range(100_000):
            g.scalar([1.0, 2.0])
        assert g.tier == "native"
        h = compile_expr(*expr, adapt=False)
        h.call_batch([np.ones(1_000_000), 2.0])
        assert h.tier == "interpreter"
        assert len(backend.tapes) == 2


def test_jit_asks_for_native_code_at_once(expr):
    with null_tier("native", cost=NATIVE):
        f = alkahest.jit(alkahest.trace_fn(lambda x: x + 1, ExprPool()))
        assert f(1.0) == 2.0
        assert f.explain().tier == "native"


def test_a_policy_plugin_reorders_the_candidates(expr):
    class Policy:
        ALKAHEST_API = 1

        @hookimpl
        def alkahest_rank(self, features, config, candidates):
            return sorted(candidates, key=lambda c: c.name == "free")

    with null_tier("free"):
        plugins().register(Policy(), "policy")
        try:
            assert compile_expr(*expr).tier == "interpreter"
        finally:
            plugins().unregister("policy")
        assert compile_expr(*expr).tier == "free"


def test_explain_asks_every_tier_without_compiling(expr):
    with null_tier("free", NullBackend(refused_ops=frozenset({"add"}))) as backend:
        text = str(alkahest.explain(*expr, expected_evals=10))
        assert "cannot lower add" in text
        assert not backend.tapes


def test_debugging_aids(expr, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ALKAHEST_DEBUG", "3")
    monkeypatch.setenv("ALKAHEST_DUMP", str(tmp_path / "dump"))
    f = compile_expr(*expr)
    shown = capsys.readouterr().err
    assert "runs on" in shown
    assert "mul %" in shown
    assert [p.read_text() for p in (tmp_path / "dump").iterdir() if p.name == f"{f.tape.digest[:16]}.tape"] == [
        f"{f.tape}\n"
    ]
