"""The tier `xla` beyond the conformance suite: how it treats JAX, blocks of points, XLA's rewriting, and refusals."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import alkahest
from alkahest import CompileConfig, ExprPool, compile_expr, exp, grad, numpy_eval, sin, trace
from alkahest.extend import CompileOptions, Instr, Tape
from alkahest.testing.suites import run
from alkahest_jax.backend import BLOCKS, MAX_INSTRUCTIONS, XlaBackend, spans

ON_XLA = CompileConfig(target="xla", fallback=False)


def compiled(tape, **options):
    backend = XlaBackend()
    assert backend.refuses(tape) == ""
    return backend.compile(tape, CompileOptions(**options))


def python(code, **environment):
    """Run code in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_formula_and_its_gradient_on_xla():
    pool = ExprPool()

    @trace(pool)
    def f(x, y):
        return x**2 + sin(y) * exp(-x)

    x, y = np.linspace(0, 1, 1000), np.linspace(-3, 3, 1000)
    value = compile_expr(f.expr, f.symbols, config=ON_XLA)
    assert value.tier == "xla"
    np.testing.assert_allclose(numpy_eval(value, x, y), x**2 + np.sin(y) * np.exp(-x), rtol=1e-14, atol=1e-15)
    slopes = compile_expr(grad(f).exprs, f.symbols, config=ON_XLA)
    want = [2 * x - np.sin(y) * np.exp(-x), np.cos(y) * np.exp(-x)]
    np.testing.assert_allclose(numpy_eval(slopes, x, y), want, rtol=1e-14, atol=1e-15)
    assert slopes([0.5, 0.25]) == pytest.approx(
        [w for w in (1 - np.sin(0.25) * np.exp(-0.5), np.cos(0.25) * np.exp(-0.5))]
    )
    again = pickle.loads(pickle.dumps(value))
    np.testing.assert_array_equal(numpy_eval(again, x, y), numpy_eval(value, x, y))


def test_the_host_does_not_go_to_xla_unasked():
    pool = ExprPool()
    x = pool.symbol("x")
    f = compile_expr(sin(x), [x], config=CompileConfig(expected_evals=1e12))
    assert f.tier != "xla"


def test_settings_of_jax_stay_as_they_are():
    import jax
    import jax.numpy as jnp

    before = jnp.asarray(1.0).dtype
    (out,) = run(compiled(Tape(("x",), (), (Instr("sin", (0,)),), (1,))), [np.linspace(0, 1, 100)], 100)
    assert out.dtype == np.float64
    assert jnp.asarray(1.0).dtype == before
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("n", [1, 64, 65, 1000, 4096, 4097, 16_383, 65_535, 65_536, 65_537, 200_000])
def test_blocks_cover_any_number_of_points_once_or_twice(n):
    block, starts = spans(n)
    assert block in BLOCKS
    seen = np.zeros(max(n, block), int)
    for start in starts:
        seen[start : start + block] += 1
    assert seen.min() == 1
    assert seen.max() <= 2
    assert starts[-1] == max(n - block, 0)


@pytest.mark.parametrize("n", [1, 5, 64, 100, 70_000, 131_072 + 3])
def test_columns_of_any_kind(n):
    tape = Tape(("x", "y", "z"), (), (Instr("sub", (0, 1)), Instr("mul", (3, 2))), (4, 1, 2))
    draw = np.random.default_rng(n)
    x = draw.uniform(size=n)
    y = draw.uniform(size=3 * n)[::-3]
    z = np.broadcast_to(draw.uniform(), n)
    out = np.zeros((3, 2 * n))
    run(compiled(tape), [x, y, z], n, out=[row[::2] for row in out])
    np.testing.assert_array_equal(out[:, ::2], [(x - y) * z, y, z])
    assert (out[:, 1::2] == 0).all()


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 3.0, 1e308, -1e308, 1e-300, 0.1])
TWO_STEPS = {
    "sums are not regrouped": (("add", 1e16), ("sub", 1e16)),
    "factors are not regrouped": (("mul", 1e300), ("mul", 1e-300)),
    "quotients are no products": (("div", 3.0), ("div", 7.0)),
    "a product by zero stays": (("mul", 0.0), ("add", 1.0)),
    "plus zero stays": (("add", 0.0), ("mul", 1.0)),
    "minus zero stays": (("sub", 0.0), ("add", -0.0)),
    "division by zero": (("div", 0.0), ("div", -0.0)),
}
NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


@pytest.mark.parametrize("order", ["value first", "constant first"])
@pytest.mark.parametrize("steps", TWO_STEPS.values(), ids=TWO_STEPS)
def test_xla_rewrites_nothing(steps, order):
    """Operation by operation what NumPy gives, to the sign of a zero; XLA's own simplifier fails most of these."""
    (first, a), (second, b) = steps
    pairs = ((0, 1), (3, 2)) if order == "value first" else ((1, 0), (2, 3))
    tape = Tape(("x",), (a, b), (Instr(first, pairs[0]), Instr(second, pairs[1])), (4,))
    draw = np.random.default_rng(9)
    x = np.concatenate([SPECIAL, draw.uniform(0.5, 3.0, 1000)])
    turn = (lambda f: f) if order == "value first" else (lambda f: lambda u, v: f(v, u))
    with np.errstate(all="ignore"):
        want = turn(NUMPY[second])(turn(NUMPY[first])(x, a), b)
    (got,) = run(compiled(tape, contract=False), [x], len(x))
    np.testing.assert_array_equal(got, want)
    normal = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[normal]), np.signbit(want[normal]))


@pytest.mark.parametrize(
    ("outer", "inner", "function"),
    [
        ("log", "exp", lambda x: np.log(np.exp(x))),
        ("exp", "log", lambda x: np.exp(np.log(x))),
        ("sqrt", "exp", lambda x: np.sqrt(np.exp(x))),
        ("neg", "neg", lambda x: x),
    ],
)
def test_functions_of_functions_are_computed(outer, inner, function):
    tape = Tape(("x",), (), (Instr(inner, (0,)), Instr(outer, (1,))), (2,))
    x = np.array([1000.0, 0.3, 2.0, -0.0, 1e-20, 700.5])
    with np.errstate(all="ignore"):
        want = function(x)
    np.testing.assert_allclose(run(compiled(tape), [x], len(x))[0], want, rtol=4e-15)


def test_products_are_fused_only_when_they_may_be():
    """x*y - fl(x*y) is 0 rounded step by step, the rounding error of the product when fused."""
    product_twice = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("sub", (2, 2))), (3,))
    given = Tape(("x", "y", "p"), (), (Instr("mul", (0, 1)), Instr("sub", (3, 2))), (4,))
    x, y = np.random.default_rng(2).uniform(1, 2, (2, 1000))
    for dtype, kind in (("f64", np.float64), ("f32", np.float32)):
        a, b = x.astype(kind), y.astype(kind)
        (twice,) = run(compiled(product_twice, dtype=dtype), [a, b], 1000, dtype)
        np.testing.assert_array_equal(twice, 0)
        (apart,) = run(compiled(given, dtype=dtype, contract=False), [a, b, a * b], 1000, dtype)
        np.testing.assert_array_equal(apart, 0)


def test_single_precision_columns():
    tape = Tape(("x",), (0.1,), (Instr("mul", (0, 1)), Instr("sin", (2,))), (3,))
    x = np.linspace(0, 5, 300, dtype=np.float32)
    (got,) = run(compiled(tape, dtype="f32"), [x], 300, "f32")
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.sin(x * np.float32(0.1)), rtol=3e-7)


def test_artifacts_show_what_xla_was_given():
    kernel = compiled(Tape(("x",), (), (Instr("sin", (0,)),), (1,)))
    text = kernel.artifacts["stablehlo"]
    assert "stablehlo.sine" in text
    assert f"tensor<{BLOCKS[-1]}xf64>" in text


@pytest.mark.parametrize(
    ("tape", "reason"),
    [
        (Tape(("x",), (), (Instr("sin", (0,)),) * (MAX_INSTRUCTIONS + 1), (1,)), "has 2,001 operations"),
        (Tape(("n", "x"), (), (Instr("polygamma", (0, 1)),), (2,)), "whose order is no constant"),
        (Tape(("x",), (500.0,), (Instr("polygamma", (1, 0)),), (2,)), "order above 100"),
        (Tape(("x",), (), (Instr("unheard_of", (0,)),), (1,)), "no rule for unheard_of"),
    ],
)
def test_refusals_say_why(tape, reason):
    assert reason in XlaBackend().refuses(tape)


def test_a_primitive_of_a_third_party_comes_with_its_rule():
    import jax.numpy as jnp

    softsign = alkahest.extend.scalar_p(
        "softsign_of_a_test",
        impl=lambda x: x / (1 + abs(x)),
        partials=lambda x: (1 / (1 + abs(x)) ** 2,),
        lower={"jax": lambda x: x / (1 + jnp.abs(x))},
    )
    x = ExprPool().symbol("x")
    f = compile_expr(alkahest.extend.apply(softsign, x), [x], config=ON_XLA)
    assert f([-3.0]) == -0.75


NO_JAX = """
    import sys
    sys.modules["jax"] = None
    from alkahest import CompileConfig, ExprPool, compile_expr, sin
    x = ExprPool().symbol("x")
    try:
        compile_expr(sin(x), [x], config=CompileConfig(target="xla", fallback=False))
    except RuntimeError as error:
        print(type(error).__name__, error)
    print(compile_expr(sin(x), [x], config=CompileConfig(target="xla")).explain())
"""


def test_without_jax_the_error_says_what_to_install():
    said = python(NO_JAX)
    assert said.startswith("BackendUnavailableError")
    assert "JAX cannot be imported" in said
    assert "pip install ./packages/alkahest-core ./packages/alkahest-jax" in said
    assert "runs on" in said


def test_a_jax_that_breaks_at_import_is_unavailable(tmp_path):
    (tmp_path / "jax.py").write_text("raise RuntimeError('jaxlib version 0.1 is incompatible')")
    said = python(
        "from alkahest_jax.backend import XlaBackend; print(XlaBackend().unavailable())",
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    assert "JAX cannot be imported: jaxlib version 0.1 is incompatible" in said


def test_a_jax_without_devices_is_unavailable():
    said = python(
        "from alkahest_jax.backend import XlaBackend; print(XlaBackend().unavailable())", JAX_PLATFORMS="nonsense"
    )
    assert "JAX finds no device" in said
    assert "nonsense" in said


def test_describing_the_tier_imports_no_jax():
    heavy = python(
        """
        import sys
        from alkahest_jax import plugin
        plugin.alkahest_backends(); plugin.alkahest_lowerings("c")
        print(sorted(m for m in ("jax", "jaxlib", "numpy", "llvmlite") if m in sys.modules))
        """
    )
    assert heavy.strip() == "[]"
