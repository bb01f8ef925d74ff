"""`CompiledFn`: calling, arrays, errors, lifetime."""

import gc
import pickle
import threading
import warnings

import numpy as np
import pytest

import alkahest
from alkahest import CompileConfig, CompiledFn, ExprPool, compile_expr, eval_expr, numpy_eval, numpy_eval_par
from alkahest.compile import driver, own_class
from alkahest.errors import (
    ArityError,
    ArrayError,
    BackendUnavailableError,
    ConfigError,
    DomainError,
    DtypeError,
    DuplicateInputError,
    NotASymbolError,
    NumberOverflowError,
    PoolMismatchError,
    ShapeError,
    UnknownSymbolError,
)
from alkahest.expr.tape import linearize


@pytest.fixture
def pool():
    return ExprPool()


@pytest.fixture
def f(pool):
    x, y = pool.symbols("x y")
    return compile_expr(x**2 + alkahest.sin(y), [x, y])


@pytest.fixture
def two(pool):
    x, y = pool.symbols("x y")
    return compile_expr([x + y, x * y], [x, y])


def test_a_point_gives_a_float_or_a_list_of_floats(f, two):
    assert f([3.0, 0.0]) == 9.0
    assert type(f((3, 0))) is float
    assert f(np.array([3.0, 0.0])) == 9.0
    assert two([2.0, 3.0]) == [5.0, 6.0]
    assert f.scalar([3.0, 0.0]) == 9.0
    assert f.scalar(3.0, 0.0) == 9.0
    assert np.asarray(f([1.0, 0.0])).shape == ()


def test_batches_have_the_documented_shapes(f, two):
    xs, ys = np.arange(4.0), np.zeros(4)
    np.testing.assert_array_equal(f.call_batch([xs, ys]), xs**2)
    np.testing.assert_array_equal(f.call_bulk(np.stack([xs, ys])), xs**2)
    np.testing.assert_array_equal(f.call_batch_raw(np.concatenate([xs, ys]), 2, 4), xs**2)
    assert two.call_batch([xs, 2.0]).shape == (2, 4)
    assert two.call_batch([xs[:0], ys[:0]]).shape == (2, 0)
    assert f.call_batch([1.0, 0.0]).shape == (1,)
    assert two.call_batch([1.0, 0.0]).shape == (2, 1)


def test_arrays_broadcast_as_in_numpy(f, two):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 1, 4)), rng.normal(size=(5, 1))
    expected = x**2 + np.sin(y)
    np.testing.assert_allclose(numpy_eval(f, x, y), expected, rtol=1e-15)
    assert numpy_eval(two, x, y).shape == (2, 3, 5, 4)
    assert numpy_eval(f, 1.0, 0.0).shape == ()
    big = rng.normal(size=(7, 6))
    for view in (big.T, big[::-1], big[:, ::2], big[::3, ::-2], np.asfortranarray(big), np.broadcast_to(1.5, (7, 6))):
        np.testing.assert_allclose(numpy_eval(f, view, 0.5), view**2 + np.sin(0.5), rtol=1e-15)


def test_dtypes_are_converted_and_read_only_input_is_fine(f):
    frozen = np.arange(3)
    frozen.flags.writeable = False
    for array in (frozen, frozen.astype(np.float32), frozen.astype(np.uint8), frozen.astype(bool), [0, 1, 2]):
        out = numpy_eval(f, array, 0.0)
        assert out.dtype == np.float64
        np.testing.assert_array_equal(out, np.asarray(array, dtype=float) ** 2)


def test_single_precision_throughout(pool):
    x = pool.symbol("x")
    f = compile_expr(x / 3, [x], dtype="f32")
    out = numpy_eval(f, np.ones(3))
    assert out.dtype == np.float32
    assert out[0] == np.float32(1) / np.float32(3)


def test_single_precision_is_the_same_for_a_point_and_a_column(pool):
    x = pool.symbol("x")
    f = compile_expr(x / 3 + 0.1, [x], dtype="f32", backend="interpreter")
    assert f([1.0]) == float(numpy_eval(f, [1.0])[0]) == float(np.float32(1) / np.float32(3) + np.float32(0.1))
    with np.errstate(all="raise"):
        assert numpy_eval(f, [1e300])[0] == np.inf


def test_out_receives_the_result_even_where_it_is_an_input(f):
    x, y = np.arange(5.0), np.zeros(5)
    expected = x**2
    out = np.empty(5)
    assert numpy_eval(f, x, y, out=out) is out
    np.testing.assert_array_equal(out, expected)
    numpy_eval(f, x, y, out=x)
    np.testing.assert_array_equal(x, expected)
    wide = np.zeros((5, 2))
    numpy_eval(f, y, y, out=wide[:, 0])
    np.testing.assert_array_equal(wide, 0)
    frozen = np.empty(5)
    frozen.flags.writeable = False
    for wrong in (np.empty(4), np.empty(5, np.float32), frozen):
        with pytest.raises(ShapeError):
            numpy_eval(f, x, y, out=wrong)


def test_ieee_rules_without_warnings(pool):
    x = pool.symbol("x")
    f = compile_expr([alkahest.log(x), 1 / x, alkahest.sqrt(x), x ** alkahest.exp(x)], [x])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        point = f([-1.0])
        column = f.call_batch([[-1.0, 0.0, 1e300, np.inf, np.nan]])
    assert np.isnan(point[0])
    assert np.isnan(point[2])
    np.testing.assert_array_equal(column[0], [np.nan, -np.inf, np.log(1e300), np.inf, np.nan])
    np.testing.assert_array_equal(column[1], [-1.0, np.inf, 1e-300, 0.0, np.nan])


def test_eval_expr_is_strict_unless_asked(pool):
    x, y = pool.symbols("x y")
    assert eval_expr(x**2, {x: 3.0, y: 1}) == 9.0
    assert eval_expr([x, x + 1], {"x": 1}) == [1.0, 2.0]
    with pytest.raises(DomainError):
        eval_expr(alkahest.log(x), {x: -1.0})
    with pytest.raises(DomainError):
        eval_expr(x, {x: float("nan")})
    assert np.isnan(eval_expr(alkahest.log(x), {x: -1.0}, allow_nonfinite=True))
    with pytest.raises(UnknownSymbolError):
        eval_expr(x + y, {x: 1})
    with pytest.raises(NotASymbolError):
        eval_expr(x, {x + 1: 1})
    with pytest.raises(PoolMismatchError):
        eval_expr(x, {ExprPool().symbol("x"): 1})


def test_outlives_its_pool_works_in_threads_and_pickles(pool):
    x, y = pool.symbols("x y")
    f = compile_expr(x * y + alkahest.cos(y), [x, y])
    expected = 2.0 * 3.0 + np.cos(3.0)
    del pool, x, y
    gc.collect()
    results = []
    workers = [threading.Thread(target=lambda: results.append(f([2.0, 3.0]))) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert results == [expected] * 4
    again = pickle.loads(pickle.dumps(f))
    assert again([2.0, 3.0]) == expected
    assert again.inputs == ("x", "y")


def test_no_inputs_make_an_array(pool):
    f = compile_expr(pool.pi * 2, [])
    assert f([]) == 2 * np.pi
    assert f() == 2 * np.pi
    np.testing.assert_array_equal(np.asarray(f), 2 * np.pi)


def test_constants_and_inputs_as_outputs(pool):
    x, y = pool.symbols("x y")
    f = compile_expr([x, pool.number(7), y, x], [x, y])
    assert f([1.0, 2.0]) == [1.0, 7.0, 2.0, 1.0]
    np.testing.assert_array_equal(f.call_batch([[1, 2], [3, 4]]), [[1, 2], [7, 7], [3, 4], [1, 2]])


def test_parallel_equals_serial(f):
    x = np.random.default_rng(1).normal(size=100_001)
    np.testing.assert_array_equal(numpy_eval_par(f, x, 0.25), numpy_eval(f, x, 0.25))


def test_explain_names_the_tier_and_the_others(f):
    text = str(f.explain())
    assert text.startswith(f"runs on {f.tier}")
    assert f.explain().candidates[0].name == f.tier


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda f: f([1.0]), ArityError),
        (lambda f: f([1.0, 2.0, 3.0]), ArityError),
        (lambda f: f(1.0, 2.0), ArityError),
        (lambda f: f(1.0), ArityError),
        (lambda f: f(["a", 1.0]), ArrayError),
        (lambda f: f([None, 1.0]), ArrayError),
        (lambda f: f([1j, 1.0]), DtypeError),
        (lambda f: f([10**400, 1.0]), NumberOverflowError),
        (lambda f: numpy_eval(f, [1.0]), ArityError),
        (lambda f: numpy_eval(f, [[1.0], [1.0, 2.0]], 0.0), ArrayError),
        (lambda f: numpy_eval(f, ["a", "b"], 0.0), ArrayError),
        (lambda f: numpy_eval(f, [object()], 0.0), ArrayError),
        (lambda f: numpy_eval(f, np.ones(2) * 1j, 0.0), DtypeError),
        (lambda f: numpy_eval(f, np.array([1j], dtype=object), 0.0), DtypeError),
        (lambda f: numpy_eval(f, np.array([10**400], dtype=object), 0.0), NumberOverflowError),
        (lambda f: numpy_eval(f, np.array(["2020-01-01"], dtype="M8[D]"), 0.0), ArrayError),
        (lambda f: numpy_eval(f, np.ones(3), np.ones(2)), ShapeError),
        (lambda f: f([np.complex64(1j), 1.0]), DtypeError),
        (lambda f: f({1.0, 2.0}), ArityError),
        (lambda f: numpy_eval(f, None, 0.0), ArrayError),
        (lambda f: numpy_eval(f, [None, 1.0], 0.0), ArrayError),
        (lambda f: numpy_eval(f, np.array(["1.5", 2], dtype=object), 0.0), ArrayError),
        (lambda f: numpy_eval(f, np.ma.array([1.0, 2.0], mask=[0, 1]), 0.0), ArrayError),
        (lambda f: f.call_batch(3.0), ArityError),
        (lambda f: f.call_batch([np.ones(3)]), ArityError),
        (lambda f: f.call_batch([np.ones((2, 2)), np.ones(2)]), ShapeError),
        (lambda f: f.call_batch_raw(np.ones(5), 2, 3), ShapeError),
        (lambda f: f.call_batch_raw(np.ones(6), 3, 2), ArityError),
        (np.asarray, ArrayError),
    ],
)
def test_wrong_calls_say_what_to_do(f, call, error):
    with pytest.raises(error) as caught:
        call(f)
    assert caught.value.remedy
    assert caught.value.code.startswith("E-")


def test_wrong_arity_is_a_type_error_and_a_value_error(f):
    for kind in (TypeError, ValueError):
        with pytest.raises(kind):
            f([1.0])


def test_wrong_inputs_are_refused(pool):
    x, y = pool.symbols("x y")
    for inputs, error in (
        ([x, x], DuplicateInputError),
        ([x], UnknownSymbolError),
        ([x, y + 1], NotASymbolError),
        ([x, "y"], NotASymbolError),
        ([x, ExprPool().symbol("y")], PoolMismatchError),
    ):
        with pytest.raises(error):
            compile_expr(x + y, inputs)


def test_unknown_tiers_targets_and_settings(pool):
    x = pool.symbol("x")
    with pytest.raises(BackendUnavailableError):
        compile_expr(x, [x], backend="no such tier")
    with pytest.raises(ConfigError):
        compile_expr(x, [x], target="moon")
    with pytest.raises(ConfigError):
        compile_expr(x, [x], optimise=True)
    with pytest.raises(ConfigError):
        compile_expr(x, [x], CompileConfig(), dtype="f32")


def test_exact_numbers_beyond_floats_are_refused(pool):
    x = pool.symbol("x")
    with pytest.raises(NumberOverflowError):
        compile_expr(x + 10**400, [x])
    tiny = compile_expr(x * pool.rational(10**400, 10**400 + 1), [x])
    assert tiny([1.0]) == 1.0


# ------------------------------------------------------------------------------- kernels with a C function of their own


class Entry:
    """A stand-in for a C function object: callable, no descriptor, with what makes others as its `__self__`."""

    def __init__(self, tape, refuses=False):
        self.tape, self.refuses, self.made = tape, refuses, []
        self.__self__ = self

    def __call__(self, *xs):
        xs = xs[0] if len(xs) == 1 and isinstance(xs[0], list | tuple) else xs
        return sum(xs)

    def call_entry(self, fallback, left, **form):
        if self.refuses:
            return None

        def call(*arguments, **keywords):
            exact = not keywords and len(arguments) == 1 and type(arguments[0]) is list
            if (
                not exact
                or len(arguments[0]) != 2
                or not all(type(v) is float for v in arguments[0])
                or left.value <= 0
            ):
                return fallback(*arguments, **keywords)
            left.value -= 1
            return sum(arguments[0])

        self.made.append((form, staticmethod(call)))
        return self.made[-1][1]


class SumKernel:
    n_inputs, n_outputs, artifacts = 2, 1, {}

    def __init__(self, tape, **options):
        self.scalar = Entry(tape, **options)


@pytest.fixture
def add(pool):
    """Return what makes x + y around a kernel with a C function."""

    def add(**options):
        x, y = pool.symbols("x y")
        tape = linearize([x + y], [x, y])
        compilation = driver.Compilation(SumKernel(tape, **options), "sum", driver.Explanation("sum", (), ()))
        return CompiledFn(tape, CompileConfig(adapt=False), compilation)

    return add


def test_calls_go_to_the_entry_of_a_kernel(add):
    f = add()
    assert type(f) is CompiledFn
    assert f([1.0, 2.0]) == 3.0
    assert type(f) is not CompiledFn
    assert f([1.0, 2.0]) == f((1.0, 2.0)) == f(np.array([1.0, 2.0])) == 3.0
    assert f.scalar is f._kernel.scalar
    assert len(f._kernel.scalar.made) == 1
    for wrong in (["a", 1.0], [1.0], [1j, 1.0]):
        with pytest.raises((ArrayError, ArityError, DtypeError)):
            f(wrong)


def test_a_kernel_may_have_no_entry_after_all(add):
    f = add(refuses=True)
    assert f([1.0, 2.0]) == f([1.0, 2.0]) == 3.0
    assert type(f) is CompiledFn


def test_a_users_class_keeps_its_ways(add):
    plain = add()

    class Mine(CompiledFn):
        pass

    f = Mine(plain.tape, plain.config, plain._compilation)
    assert f([1.0, 2.0]) == f([1.0, 2.0]) == 3.0
    assert type(f) is Mine
    assert not plain._kernel.scalar.made


def test_an_own_class_makes_plain_functions(add):
    f, other = add(), add()
    f([1.0, 2.0])
    made = type(f)(other.tape, other.config, other._compilation)
    assert type(made) is CompiledFn
    assert made([2.0, 2.0]) == 4.0
    assert issubclass(type(f), CompiledFn)
    assert own_class.plain_class(type(f)) is CompiledFn
    assert own_class.plain_class(CompiledFn) is CompiledFn
    assert type(f).__name__ == "CompiledFn"


def test_an_own_class_that_is_emptied_is_filled_again(add):
    f = add()
    f([1.0, 2.0])
    own = type(f)
    own_class.empty(own)
    assert f([1.0, 2.0]) == 3.0
    assert type(f) is own
    assert len(f._kernel.scalar.made) == 2


def test_huge_numbers_of_evaluations(pool):
    x = pool.symbol("x")
    f = compile_expr(x + 1, [x], expected_evals=1e300)
    assert f([1.0]) == 2.0


# -- the interpreter's numbers


@pytest.mark.parametrize("bad", ["1", None, 1j, np.complex128(1 + 2j), 10**400, [1.0]])
def test_scalar_takes_real_numbers_only(pool, bad):
    x = pool.symbol("x")
    f = compile_expr(3 * x, [x], backend="interpreter")
    for arguments in ((bad,), ([bad],)) if not isinstance(bad, list) else (([bad],),):
        with pytest.raises((ArrayError, DtypeError, NumberOverflowError)):
            f.scalar(*arguments)


def test_functions_computed_entry_by_entry_are_rounded_to_the_dtype(pool):
    x, y, z = pool.symbols("x y z")
    point = [float(np.float32(v)) for v in (1.1, 1.3, 1.43)]
    f = compile_expr(alkahest.fma(x, y, 0) - z, [x, y, z], backend="interpreter", dtype="f32")
    assert f(point) == float(np.float32(np.float32(point[0] * point[1]) - np.float32(point[2])))


def test_a_number_beyond_single_precision_is_infinite_there_without_a_warning(pool):
    x = pool.symbol("x")
    f = compile_expr(x, [x], backend="interpreter", dtype="f32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f([1e300]) == float("inf")


def test_a_point_is_given_by_position(f):
    with pytest.raises(ArityError, match="by no name such as x"):
        f(x=1.0)
    with pytest.raises(ArityError, match="was given a dict"):
        f({1.0: "a", 2.0: "b"})
