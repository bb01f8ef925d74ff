"""Whatever arrays are like, every tier gives NumPy's values or one clear error, and touches nothing else."""

import array
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkahest import ExprPool, compile_expr, numpy_eval, numpy_eval_par
from alkahest.compile.batches import pieces
from alkahest.errors import AlkahestError, ArrayError, DtypeError, NumberOverflowError, ShapeError
from alkahest.testing.backends import offered_backends

N = 35
LENGTHS = [0, 1, N, 1000]


@pytest.fixture(scope="module")
def compiled():
    """Return what compiles (x*y + x, x - y), exact in every tier, for one tier, once."""
    made = {}

    def compiled(tier, dtype="f64"):
        if (tier, dtype) not in made:
            x, y = ExprPool().symbols("x y")
            try:
                f = compile_expr([x * y + x, x - y], [x, y], backend=tier, dtype=dtype, contract=False, fallback=False)
            except AlkahestError as error:
                f = error
            made[tier, dtype] = f
        if isinstance(made[tier, dtype], AlkahestError):
            pytest.skip(f"{tier}: {made[tier, dtype]}")
        return made[tier, dtype]

    return compiled


@pytest.fixture(params=offered_backends(target=None))
def tier(request):
    return request.param


@pytest.fixture(params=[numpy_eval, numpy_eval_par], ids=["numpy_eval", "numpy_eval_par"])
def evaluate(request):
    return request.param


@pytest.fixture
def f(compiled, tier):
    return compiled(tier)


def numbers(n, seed=0):
    """Return whole numbers that every type of element can hold, as floats."""
    return np.random.default_rng(seed).integers(0, 100, n).astype(float)


def expected(x, y, dtype=np.float64):
    x, y = np.broadcast_arrays(np.asarray(x, dtype), np.asarray(y, dtype))
    return np.stack([x * y + x, x - y])


# ---------------------------------------------------------------------------------------------- one axis, any memory


def misaligned(values):
    return np.frombuffer(b"?" + values.tobytes(), np.float64, offset=1)


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def of_records(values):
    records = np.zeros(len(values), np.dtype([("tag", "i1"), ("value", "f8"), ("rest", "i2")]))
    records["value"] = values
    return records["value"]


class Exporter:
    """Another library's array: nothing but DLPack."""

    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class Convertible:
    """Another library's column: nothing but `__array__`."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return self._values if dtype is None else self._values.astype(dtype)


FORMS = {
    "plain": np.array,
    "with gaps": lambda v: np.repeat(v, 3)[::3],
    "backwards": lambda v: v[::-1].copy()[::-1],
    "backwards with gaps": lambda v: np.repeat(v[::-1], 2)[::-2],
    "one column of many": lambda v: np.stack([v, v + 1, v + 2], axis=1)[:, 1] - 1,
    "a column in place": lambda v: np.stack([v + 1, v, v + 2], axis=1)[:, 1],
    "misaligned": misaligned,
    "of records": of_records,
    "read-only": read_only,
    "subclass": lambda v: np.asarray(v).view(type("Sub", (np.ndarray,), {})),
    "nothing masked": np.ma.array,
    "memory view": memoryview,
    "array module": lambda v: array.array("d", v.tolist()),
    "list": lambda v: v.tolist(),
    "tuple": lambda v: tuple(v.tolist()),
    "list of ints": lambda v: [int(e) for e in v],
    "DLPack": lambda v: Exporter(v.copy()),
    "__array__": Convertible,
    "objects": lambda v: np.array([Fraction(int(e)) for e in v] + [None], object)[:-1],
    "ints as objects": lambda v: np.array([*(int(e) for e in v), None], object)[:-1],
}
TYPES = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "g", ">f8", ">i4", ">f4", ">u2", "<f8"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", LENGTHS)
def test_forms_of_a_column(f, evaluate, form, n):
    x, y = numbers(n), numbers(n, 1)
    given_x, given_y = FORMS[form](x), FORMS[form](y)
    for one, other in ((given_x, given_y), (given_x, y), (x, given_y)):
        got = evaluate(f, one, other)
        assert type(got) is np.ndarray
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, expected(x, y))
        np.testing.assert_array_equal(f.call_batch([one, other]), got)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("kind", TYPES)
def test_types_of_elements(compiled, tier, evaluate, kind, dtype):
    f = compiled(tier, dtype)
    for n in (N, 1000):
        x, y = numbers(n).astype(kind), numbers(n, 1)
        wide = np.zeros(3 * n, kind)
        wide[1::3] = x
        for given_x in (x, x[::-1].copy()[::-1], wide[1::3]):
            np.testing.assert_array_equal(evaluate(f, given_x, y), expected(x, y, f.dtype))


def test_numbers_beyond_single_precision_are_infinite(compiled, tier, evaluate):
    f = compiled(tier, "f32")
    want = expected([np.inf, 1.0], 2.0, np.float32)
    for huge in (np.array([1e300, 1.0]), np.array([1e300, 1.0], ">f8"), np.longdouble([1e300, 1.0]), [1e300, 1.0]):
        np.testing.assert_array_equal(evaluate(f, huge, 2.0), want)
    np.testing.assert_array_equal(evaluate(f, 1e300, np.float32([2.0, 2.0])), want[:, [0, 0]])


# ------------------------------------------------------------------------------------------------------ several axes

BIG = np.arange(7.0 * 6 * 5).reshape(7, 6, 5)
SHAPES = {
    "C order": (BIG, 0.5),
    "Fortran order": (np.asfortranarray(BIG), 0.5),
    "transposed": (BIG.T, 0.5),
    "every other": (BIG[:, ::2], 0.5),
    "backwards": (BIG[::-1, :, ::-1], 0.5),
    "two orders": (BIG[:, :, 0], np.asfortranarray(BIG[:, :, 1])),
    "rows and columns": (BIG[0, 0], BIG[:6, 1, :1]),
    "a row for all": (BIG, BIG[0, 0]),
    "a column for all": (BIG[:, :, 0], BIG[0, :, 0]),
    "one element": (BIG, BIG[:1, :1, :1]),
    "more axes": (BIG[:1], np.ones((2, 1, 6, 1))),
    "no axes": (np.float64(3.0), np.array(2)),
    "an axis of none": (BIG[:, :0], 1.0),
    "broadcast": (np.broadcast_to(2.0, (4, 3)), np.broadcast_to([1.0, 2.0, 3.0], (4, 3))),
    "converted": (BIG.astype(np.int16)[:, ::2], BIG.astype(">f8")[:, ::-2]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_several_axes(f, evaluate, shape):
    x, y = SHAPES[shape]
    np.testing.assert_array_equal(evaluate(f, x, y), expected(x, y))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_an_array(f, evaluate):
    x = np.asmatrix(BIG[0])
    got = evaluate(f, x, 2.0)
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, expected(BIG[0], 2.0))


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    points=st.integers(1, 40),
)
def test_pieces_make_up_the_whole(shape, points):
    flat = np.arange(np.prod(shape)).reshape(shape)
    seen = []
    for piece in pieces(shape, points):
        part = flat[piece.place].reshape(-1)
        assert len(part) == piece.points <= points
        assert part[0] == piece.start
        seen += part.tolist()
    assert seen == flat.reshape(-1).tolist()


# --------------------------------------------------------------------------------------------------------------- out


def places(n):
    """Return arrays of shape (2, n) to write to, each with the memory around it, which is to stay as it is."""
    whole = np.full(10 * n + 64, -7.0)
    yield whole, whole[5 : 5 + 2 * n].reshape(2, n)
    yield whole, whole[: 6 * n].reshape(2, n, 3)[:, :, 1]
    yield whole, whole[: 2 * n].reshape(2, n)[:, ::-1]
    yield whole, whole[: 2 * n].reshape(n, 2).T
    raw = np.full(16 * n + 9, 7, np.uint8)
    yield raw, raw[1 : 1 + 16 * n].view(np.float64).reshape(2, n)


@pytest.mark.parametrize("n", LENGTHS)
def test_out_of_any_layout(f, evaluate, n):
    x, y = numbers(n), numbers(n, 1)
    for given_x in (x, x.astype(np.int32), np.repeat(x, 2)[::2]):
        for whole, out in places(n):
            beside = np.ones(whole.shape, bool)
            marked = out.copy()
            before = whole.copy()
            out[...] = np.nan
            beside[whole != before] = False
            whole[...] = before
            out[...] = marked
            assert evaluate(f, given_x, y, out=out) is out
            np.testing.assert_array_equal(out, expected(x, y))
            np.testing.assert_array_equal(whole[beside], before[beside])


def test_out_may_be_a_memory_map(f, evaluate, tmp_path):
    x, y = numbers(1000), numbers(1000, 1)
    out = np.memmap(tmp_path / "out.bin", np.float64, "w+", shape=(2, 1000))
    assert evaluate(f, x.astype(np.int16), y, out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.bin").reshape(2, 1000), expected(x, y))


def wrong_outs():
    frozen = np.empty((2, N))
    frozen.flags.writeable = False
    return {
        "a list": [[0.0] * N] * 2,
        "too short": np.empty((2, N - 1)),
        "one row": np.empty(N),
        "other axes": np.empty((N, 2)),
        "single precision": np.empty((2, N), np.float32),
        "big-endian": np.empty((2, N), ">f8"),
        "objects": np.empty((2, N), object),
        "read-only": frozen,
        "one place": np.lib.stride_tricks.as_strided(np.empty(2), (2, N), (8, 0)),
    }


@pytest.mark.parametrize("wrong", wrong_outs())
def test_wrong_outs(f, evaluate, wrong):
    with pytest.raises(ShapeError, match="out") as caught:
        evaluate(f, numbers(N), numbers(N), out=wrong_outs()[wrong])
    assert caught.value.remedy


@pytest.mark.parametrize("tier", offered_backends())
@settings(max_examples=60)
@given(data=st.data())
def test_results_that_overlap_inputs(compiled, tier, data):
    """Views of one memory as inputs and result: the values are those of copies."""
    f = compiled(tier)
    memory = numbers(200)

    def view(rows):
        step = data.draw(st.sampled_from([-2, -1, 1, 2]))
        start = data.draw(st.integers(0, 40))
        part = memory[start : start + rows * N * abs(step)]
        return part[::step].reshape(rows, N) if rows > 1 else part[::step]

    out = view(2)
    x = data.draw(st.sampled_from([view(1), out[0], out[1], out[0][::-1], out[1].view(">f8"), memory[:1]]))
    y = data.draw(st.sampled_from([view(1), out[1], out[0], view(1).astype(np.int8)]))
    x = np.nan_to_num(x, posinf=1.0, neginf=1.0) if x.dtype.byteorder == ">" else x
    want = expected(x.copy(), y.copy())
    run = data.draw(st.sampled_from([numpy_eval, numpy_eval_par]))
    assert run(f, x, y, out=out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("n", [1000, 100_003])
def test_in_place_over_many_pieces(f, evaluate, n, monkeypatch):
    monkeypatch.setattr("alkahest.compile.batches.LONGEST_PIECE", 4096)
    x, y = numbers(n), numbers(n, 1)
    memory = np.stack([x, y])
    evaluate(f, memory[0], memory[1], out=memory)
    np.testing.assert_array_equal(memory, expected(x, y))
    memory = np.concatenate([x, [0.0]])
    out = np.empty((2, n))
    wide = np.concatenate([memory, y, y])
    evaluate(f, wide[:n], wide[n + 1 : 2 * n + 1], out=wide[1 : 2 * n + 1].reshape(2, n))
    np.testing.assert_array_equal(wide[1 : 2 * n + 1].reshape(2, n), expected(x, y))
    assert evaluate(f, x, y, out=out) is out


# ------------------------------------------------------------------------------------------------------------ errors

WRONG = {
    "complex": (np.ones(N) * 1j, DtypeError),
    "complex objects": (np.array([1j] * N, object), DtypeError),
    "text": (np.array(["1.0"] * N), ArrayError),
    "bytes": (np.array([b"1.0"] * N), ArrayError),
    "text as objects": (np.array(["1.0"] * N, object), ArrayError),
    "nothing": (np.array([None] * N, object), ArrayError),
    "dates": (np.array(["2020-01-01"] * N, "M8[D]"), ArrayError),
    "times": (np.array([3] * N, "m8[s]"), ArrayError),
    "records": (np.zeros(N, [("a", "f8")]), ArrayError),
    "huge ints": (np.array([10**400] * N, object), NumberOverflowError),
    "masked": (np.ma.array(np.ones(N), mask=[True] + [False] * (N - 1)), ArrayError),
    "ragged": ([[1.0], [1.0, 2.0]], ArrayError),
    "other length": (np.ones(N + 1), ShapeError),
    "other axes": (np.ones((N, 2)), ShapeError),
    "none": (None, ArrayError),
    "an object": (object(), ArrayError),
    "a set": ({1.0, 2.0}, ArrayError),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_column(f, evaluate, wrong):
    value, error = WRONG[wrong]
    for arguments in ((value, np.ones(N)), (np.ones(N), value)):
        with pytest.raises(error) as caught:
            evaluate(f, *arguments)
        assert caught.value.remedy
        assert caught.value.code.startswith("E-")
