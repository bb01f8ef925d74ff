"""The tier `c`: what a C compiler makes of emitted text, over columns of every layout."""

import math
import os
import tempfile
import threading

import numpy as np
import pytest

from alkahest.base.rules import lowering_rules
from alkahest.compile.c_backend import MAX_COLUMNS, MAX_INSTRS, CBackend, find_compiler
from alkahest.compile.protocols import CompileOptions, Kernel
from alkahest.errors import ArityError, BackendUnavailableError, CompileError, NumberOverflowError
from alkahest.expr.tape import Instr, Tape
from alkahest.plugins.infos import BackendInfo
from alkahest.plugins.manager import backends, emitters, load_factory

needs_compiler = pytest.mark.skipif(not find_compiler(), reason="no C compiler on this machine")
F64, F32 = CompileOptions(), CompileOptions(dtype="f32")

# f(x, y) = (x*y + 0.1, sin(x*y), x, 0.1, x*y): outputs that are an input, a constant, and a slot twice.
MIXED = Tape(
    ("x", "y"),
    (0.1,),
    (Instr("mul", (0, 1)), Instr("add", (3, 2)), Instr("sin", (3,))),
    (4, 5, 0, 2, 3),
)


def expected(x, y):
    product = x * y
    tenth = product.dtype.type(0.1)
    return [product + tenth, np.sin(product), x + 0 * y, tenth + 0 * product, product]


def column(array):
    return array.ctypes.data, array.strides[0]


def run(kernel, inputs, n, dtype=np.float64):
    """Run over arrays and numbers, which are broadcast, into columns with gaps."""
    arrays = [np.atleast_1d(np.asarray(a, dtype)) for a in inputs]
    columns = [(a.ctypes.data, 0) if a.size == 1 else column(a) for a in arrays]
    out = np.full((n, kernel.n_outputs, 2), np.nan, dtype)
    kernel.call_columns(n, columns, [column(out[:, k, 0]) for k in range(kernel.n_outputs)])
    assert np.isnan(out[:, :, 1]).all(), "wrote between the columns"
    return list(out[:, :, 0].T)


def agree(got, want, rtol):
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, np.broadcast_to(w, g.shape), rtol=rtol, atol=0)


@pytest.fixture(scope="module")
def mixed():
    return CBackend().compile(MIXED, F64)


@needs_compiler
def test_a_kernel_is_what_core_expects(mixed):
    assert isinstance(mixed, Kernel)
    assert (mixed.n_inputs, mixed.n_outputs, mixed.releases_gil) == (2, 5, True)
    assert "static void alkahest_f(double x0, double x1, double *out0" in mixed.artifacts["c"]


@needs_compiler
@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a,
        lambda a: a[::-1],
        lambda a: np.repeat(a, 3)[::3],
        lambda a: np.rec.fromarrays([np.zeros(a.size, "i1"), a])["f1"],  # a packed record: not aligned
    ],
    ids=["contiguous", "reversed", "strided", "unaligned"],
)
def test_layouts_of_columns(mixed, layout):
    rng = np.random.default_rng(1)
    x, y = layout(rng.normal(size=101)), layout(rng.normal(size=101))
    agree(run(mixed, [x, y], 101), expected(np.array(x), np.array(y)), 1e-15)


@needs_compiler
def test_one_number_serves_all_points(mixed):
    x = np.linspace(-1, 1, 7)
    agree(run(mixed, [x, 0.5], 7), expected(x, np.float64(0.5)), 1e-15)
    agree(run(mixed, [2.0, 0.5], 1), expected(np.float64(2.0), np.float64(0.5)), 1e-15)


@needs_compiler
def test_no_points_touch_nothing(mixed):
    mixed.call_columns(0, [(0, 0), (0, 8)], [(0, 8)] * 5)


@needs_compiler
def test_one_point(mixed):
    want = [6.1, math.sin(6.0), 2.0, 0.1, 6.0]
    assert mixed.scalar([2.0, 3.0]) == pytest.approx(want, rel=1e-15)
    assert mixed.scalar(2.0, 3) == mixed.scalar((2.0, np.float64(3.0))) == mixed.scalar([2.0, 3.0])
    for wrong in ([2.0], [1.0, 2.0, 3.0], []):
        with pytest.raises(ArityError):
            mixed.scalar(wrong)


@needs_compiler
def test_one_output_gives_a_float():
    kernel = CBackend().compile(Tape(("x",), (), (Instr("neg", (0,)),), (1,)), F64)
    assert kernel.scalar([0.0]) == 0.0
    assert math.copysign(1, kernel.scalar([0.0])) == -1
    assert isinstance(kernel.scalar(1.5), float)


@needs_compiler
def test_no_inputs():
    kernel = CBackend().compile(Tape((), (2.0,), (Instr("sqrt", (0,)),), (1,)), F64)
    assert kernel.scalar() == kernel.scalar([]) == math.sqrt(2.0)
    agree(run(kernel, [], 3), [np.full(3, math.sqrt(2.0))], 0)


@needs_compiler
def test_single_precision():
    kernel = CBackend().compile(MIXED, F32)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=50).astype("f4"), rng.normal(size=50).astype("f4")
    got = run(kernel, [x, y], 50, np.float32)
    want = expected(x, y)
    agree([got[k] for k in (0, 2, 3, 4)], [want[k] for k in (0, 2, 3, 4)], 0)
    np.testing.assert_allclose(got[1], want[1], rtol=3e-7)
    with pytest.raises(NumberOverflowError):
        CBackend().compile(Tape(("x",), (1e300,), (Instr("mul", (0, 1)),), (2,)), F32)


@needs_compiler
def test_nothing_is_contracted():
    """a*a - b*b by two roundings each; a fused multiply-add would keep the low bits of one product."""
    tape = Tape(("a", "b"), (), (Instr("mul", (0, 0)), Instr("mul", (1, 1)), Instr("sub", (2, 3))), (4,))
    rng = np.random.default_rng(3)
    a = rng.uniform(1, 2, 1000)
    b = np.nextafter(a, 2)
    for contract in (True, False):
        kernel = CBackend().compile(tape, CompileOptions(contract=contract))
        np.testing.assert_array_equal(run(kernel, [a, b], 1000)[0], a * a - b * b)


@needs_compiler
def test_nan_infinities_and_signed_zeros_pass():
    tape = Tape(
        ("x", "y"),
        (),
        (Instr("lt", (0, 1)), Instr("where", (2, 0, 1)), Instr("div", (0, 1)), Instr("max", (0, 1))),
        (2, 3, 4, 5),
    )
    values = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0])
    x, y = [g.ravel() for g in np.meshgrid(values, values)]
    less, chosen, quotient, larger = run(CBackend().compile(tape, F64), [x, y], x.size)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(less, x < y)
        np.testing.assert_array_equal(np.signbit(chosen), np.signbit(np.where(x < y, x, y)))
        np.testing.assert_array_equal(chosen, np.where(x < y, x, y))
        np.testing.assert_array_equal(quotient, x / y)
        np.testing.assert_array_equal(larger, np.maximum(x, y))


@needs_compiler
def test_threads_may_call_at_once(mixed):
    rng = np.random.default_rng(4)
    data = [(rng.normal(size=20_000), rng.normal(size=20_000)) for _ in range(4)]
    results = {}

    def work(k):
        for _ in range(10):
            results[k] = run(mixed, data[k], 20_000)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, (x, y) in enumerate(data):
        agree(results[k], expected(x, y), 1e-15)


@needs_compiler
def test_nothing_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kernel = CBackend().compile(MIXED, F64)
    assert not list(tmp_path.iterdir())
    assert kernel.scalar([2.0, 3.0])[2] == 2.0


@needs_compiler
def test_the_largest_tapes_compile_in_parts():
    """x -> (x*0.5 + x) again and again: exact in Python's own arithmetic."""
    n = 4_000
    instrs = []
    last = 0
    for k in range(n):
        instrs.append(Instr("mul", (last, 1)))
        instrs.append(Instr("add", (2 + 2 * k, 0)))
        last = 3 + 2 * k
    want = at = 0.3
    for _ in range(n):
        want = want * 0.7 + at
    kernel = CBackend().compile(Tape(("x",), (0.7,), tuple(instrs), (last,)), F64)
    assert "alkahest_f_part1" in kernel.artifacts["c"]
    assert kernel.scalar(at) == want


# -- what it refuses


def test_refusals_name_the_reason():
    unknown = Tape(("x",), (), (Instr("no_such_function", (0,)),), (1,))
    assert "no_such_function" in CBackend().refuses(unknown)
    wide = Tape(tuple(f"x{k}" for k in range(MAX_COLUMNS)), (), (), (0,))
    assert str(MAX_COLUMNS) in CBackend().refuses(wide)
    long = Tape(("x",), (), (Instr("neg", (0,)),) * (MAX_INSTRS + 1), (1,))
    assert str(MAX_INSTRS) in CBackend().refuses(long)
    assert CBackend().refuses(MIXED) == ""


@pytest.mark.parametrize("named", [None, "no-such-compiler -m64", 'cc "'])
def test_without_a_compiler_the_reason_says_what_to_install(named, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    if named is None:
        monkeypatch.delenv("CC", raising=False)
    else:
        monkeypatch.setenv("CC", named)
    why = CBackend().unavailable()
    assert "install" in why
    assert named is None or repr(named) in why
    with pytest.raises(BackendUnavailableError):
        CBackend().compile(MIXED, F64)


@needs_compiler
def test_the_variable_cc_names_the_compiler(monkeypatch):
    command = find_compiler()
    monkeypatch.setenv("CC", f"{command[0]} -DUNUSED=1")
    assert find_compiler() == (command[0], "-DUNUSED=1")
    assert CBackend().unavailable() == ""
    assert CBackend().compile(MIXED, F64).scalar([1.0, 1.0])[2] == 1.0


def script(folder, text):
    path = folder / "broken-cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="writes a shell script")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'a note' >&2; echo 'kernel.c:3: error: out of cheese' >&2; exit 1", "kernel.c:3: error: out of cheese"),
        ("exit 3", "exit status 3"),
        ("exit 0", "cannot be loaded"),
    ],
)
def test_a_failing_compiler_is_quoted(text, said, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path, text))
    with pytest.raises(CompileError) as failed:
        CBackend().compile(MIXED, F64)
    assert said in str(failed.value)
    assert failed.value.remedy


@needs_compiler
def test_a_rule_that_calls_what_c_does_not_know_is_a_compile_error(monkeypatch):
    monkeypatch.setitem(lowering_rules("c")._by_name, "foreign", "no_such_function({0})")
    with pytest.raises(CompileError) as failed:
        CBackend().compile(Tape(("x",), (), (Instr("foreign", (0,)),), (1,)), F64)
    assert "no_such_function" in str(failed.value)


# -- how it is offered


def test_the_plugin_offers_the_tier_and_the_format():
    info = backends()["c"]
    assert isinstance(info, BackendInfo)
    assert (info.lowers, info.automatic, info.targets, info.dtypes) == ("c", False, {"cpu"}, {"f64", "f32"})
    assert isinstance(load_factory(info.factory)(), CBackend)
    assert load_factory(emitters()["c"].factory).__name__ == "emit_c"
