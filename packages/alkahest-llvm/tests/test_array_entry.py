"""The array entry: NumPy arrays as they are, into the first; None, with nothing written, for all others."""

import ctypes
import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alkahest.extend import CompileOptions, Instr, Tape
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.loading.array_entry import MOST_ARRAYS, MOST_COLUMNS

# x*y + x and x - y
TWO = Tape(("x", "y"), (), (Instr("mul", (0, 1)), Instr("add", (2, 0)), Instr("sub", (0, 1))), (3, 4))
ONE = Tape(("x", "y"), (), (Instr("sub", (0, 1)),), (2,))


@pytest.fixture(params=[LLVMBackend, LLVMFastBackend])
def compiled(request):
    return lambda tape, **options: request.param().compile(tape, CompileOptions(contract=False, **options))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).integers(-50, 50, shape).astype(float)


TAKEN = {
    "a number": (draw(1), draw(1)),
    "some": (draw(9), draw(9)),
    "many": (draw(5001), draw(5001)),
    "none": (draw(0), draw(0)),
    "with gaps": (draw(18)[::2], draw(9)),
    "backwards": (draw(9)[::-1], draw(18)[::-2]),
    "one for all": (draw(9), draw()),
    "one for all, first": (draw(1), draw(9)),
    "axes": (draw(3, 4, 5), draw(3, 4, 5)),
    "axes and one": (draw(3, 4), draw(1, 1)),
    "no axes": (draw(), draw()),
    "an axis of none": (draw(3, 0), draw(3, 0)),
    "broadcast": (np.broadcast_to(2.0, (9,)), draw(9)),
}


@pytest.mark.parametrize("x", [2.5, -0.0, float("nan"), float("inf"), 1e300])
def test_floats(compiled, x):
    y = draw(2, 9)
    out = np.empty((2, 9))
    assert compiled(ONE).arrays.call(out, x, y) is out
    np.testing.assert_array_equal(out, x - y)
    assert compiled(ONE).arrays.call(out, y, x) is out
    np.testing.assert_array_equal(out, y - x)
    single = np.empty((2, 9), "f4")
    assert compiled(ONE, dtype="f32").arrays.call(single, y.astype("f4"), x) is single
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(single, y.astype("f4") - np.float32(x))


@pytest.mark.parametrize("arrays", TAKEN.values(), ids=TAKEN)
def test_arrays_as_they_are(compiled, arrays):
    x, y = arrays
    x.flags.writeable = False
    shape = np.broadcast(x, y).shape
    one, two = np.full(shape, np.nan), np.full((2, *shape), np.nan)
    assert compiled(ONE).arrays.call(one, x, y) is one
    assert compiled(TWO).arrays.call(two, x, y) is two
    np.testing.assert_array_equal(one, x - y)
    np.testing.assert_array_equal(two, np.stack(np.broadcast_arrays(x * y + x, x - y)))


def test_single_precision(compiled):
    x, y = draw(9).astype("f4"), draw(9, seed=1).astype("f4")
    out = np.empty(9, "f4")
    call = compiled(ONE, dtype="f32").arrays.call
    assert call(out, x, y) is out
    np.testing.assert_array_equal(out, x - y)
    assert call(np.empty(9), x, y) is None
    assert call(out, x.astype(float), y) is None


FROZEN = np.empty(9)
FROZEN.flags.writeable = False
NOT_TAKEN = {
    "misaligned": (np.empty(9), np.frombuffer(b"?" + draw(9).tobytes(), offset=1), draw(9)),
    "ints": (np.empty(9), np.arange(9), draw(9)),
    "single precision": (np.empty(9), draw(9).astype("f4"), draw(9)),
    "big-endian": (np.empty(9), draw(9), draw(9).astype(">f8")),
    "complex": (np.empty(9), draw(9) + 0j, draw(9)),
    "objects": (np.empty(9), draw(9).astype(object), draw(9)),
    "dates": (np.empty(9), np.zeros(9, "M8[s]"), draw(9)),
    "a list": (np.empty(9), draw(9).tolist(), draw(9)),
    "an int": (np.empty(9), draw(9), 1),
    "a subclass of float": (np.empty(9), draw(9), np.float64(1.0)),
    "no array": (np.empty(()), 2.0, 1.0),
    "nothing": (np.empty(9), None, draw(9)),
    "masked": (np.empty(9), np.ma.array(draw(9), mask=True), draw(9)),
    "a subclass": (np.empty(9), draw(9).view(np.recarray), draw(9)),
    "too few": (np.empty(9), draw(9)),
    "too many": (np.empty(9), draw(9), draw(9), draw(9)),
    "no arguments": (),
    "other lengths": (np.empty(9), draw(9), draw(8)),
    "a shorter result": (np.empty(8), draw(9), draw(9)),
    "a longer result": (np.empty(10), draw(9), draw(9)),
    "other axes": (np.empty((3, 3)), draw(3, 3), draw(3)),
    "more axes than the result": (np.empty(9), draw(9), draw(1, 1)),
    "axes in another order": (np.empty((3, 4)), draw(4, 3).T, draw(3, 4)),
    "nothing of the result's shape": (np.empty(9), draw(1), draw(1)),
    "a result with gaps": (np.empty(18)[::2], draw(9), draw(9)),
    "a result in another order": (np.empty((4, 3)).T, draw(3, 4), draw(3, 4)),
    "a result that is read-only": (FROZEN, draw(9), draw(9)),
    "a result of another type": (np.empty(9, "f4"), draw(9), draw(9)),
    "a result that is a list": ([0.0] * 9, draw(9), draw(9)),
}


@pytest.mark.parametrize("arguments", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_is_not_taken_is_left_alone(compiled, arguments):
    call = compiled(ONE).arrays.call
    out = arguments[0] if arguments else None
    if isinstance(out, np.ndarray) and out.flags.writeable:
        out[...] = 7.0
    assert call(*arguments) is None
    if isinstance(out, np.ndarray) and out.flags.writeable:
        assert (out == 7.0).all()


def test_rows_of_several_outputs(compiled):
    call = compiled(TWO).arrays.call
    for out in (np.empty(9), np.empty((3, 9)), np.empty((9, 2)), np.empty((2, 10))):
        assert call(out, draw(9), draw(9)) is None


def test_buffers_are_given_back(compiled):
    """An array whose buffer is held cannot be resized, and references are balanced."""
    call = compiled(ONE).arrays.call
    for arguments in ((np.empty(9), draw(9), draw(9)), (np.empty(9), draw(9), draw(8)), (np.empty(9), draw(9), None)):
        before = [sys.getrefcount(a) for a in arguments if a is not None]
        for _ in range(50):
            call(*arguments)
        assert [sys.getrefcount(a) for a in arguments if a is not None] == before
    loose = np.empty(9)
    call(loose, draw(9), draw(9))
    loose.resize(20, refcheck=False)


def test_memory_does_not_grow(compiled):
    call, x = compiled(ONE).arrays.call, draw(9)
    out = np.empty(9)
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(2000):
        call(out, x, x)
        call(out, x, 1.0)
        call(out, x, 1)
    assert sys.getallocatedblocks() - blocks < 100


def test_as_many_columns_as_there_are(compiled):
    def total(n):
        names = tuple(f"x{k}" for k in range(n))
        instrs = [Instr("add", (0, 1))] + [Instr("add", (n - 2 + k, k)) for k in range(2, n)]
        return Tape(names, (), tuple(instrs), (2 * n - 2,))

    n = MOST_ARRAYS - 1
    columns = [draw(9, seed=k) for k in range(n)]
    out = np.empty(9)
    assert compiled(total(n)).arrays.call(out, *columns) is out
    np.testing.assert_array_equal(out, np.sum(columns, axis=0))
    assert compiled(total(n + 1)).arrays is None
    rows = MOST_COLUMNS - 1
    many = np.empty((rows, 9))
    assert compiled(Tape(("x",), (), (), (0,) * rows)).arrays.call(many, columns[0]) is many
    np.testing.assert_array_equal(many, np.tile(columns[0], (rows, 1)))
    assert compiled(Tape(("x",), (), (), (0,) * (rows + 1))).arrays is None
    assert compiled(Tape((), (1.0,), (), (0,))).arrays is None


def test_threads(compiled):
    """Short batches hold the lock, long ones let others run."""
    call = compiled(TWO).arrays.call

    def work(k):
        n = 10 ** (k % 6)
        x, y = draw(n, seed=k), draw(n, seed=k + 1)
        out = np.empty((2, n))
        assert call(out, x, y) is out
        return np.array_equal(out, [x * y + x, x - y])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(120)))


@pytest.mark.parametrize("n", [0, 1, 64, 1000, 100_003])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_share_a_batch(compiled, n, workers):
    """Each part is taken once: the results are written by somebody, and the counter has passed the end."""
    share = compiled(TWO).arrays.share
    x, y = draw(2 * n)[::2], draw(n, seed=1)
    out = np.full((2, n), np.nan)
    counter = (ctypes.c_int64 * 3)(0, 64, 0)
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(share, ctypes.addressof(counter), out, x, y) for _ in range(workers)]
        assert all(task.result() is out for task in tasks)
    np.testing.assert_array_equal(out, [x * y + x, x - y])
    assert counter[0] >= n
    assert list(counter[1:]) == [64, n]


def test_a_share_goes_on_from_the_counter(compiled):
    x = draw(1000)
    out = np.full(1000, 7.0)
    counter = (ctypes.c_int64 * 3)(640, 128, 640)
    assert compiled(ONE).arrays.share(ctypes.addressof(counter), out, x, 0.0) is out
    assert (out[:640] == 7.0).all()
    np.testing.assert_array_equal(out[640:], x[640:])
    assert counter[2] == 1000


@pytest.mark.parametrize("arguments", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_is_not_shared_is_left_alone(compiled, arguments):
    counter = (ctypes.c_int64 * 3)(0, 64, 0)
    assert compiled(ONE).arrays.share(ctypes.addressof(counter), *arguments) is None
    assert compiled(ONE).arrays.share() is None
    assert list(counter) == [0, 64, 0]


def test_the_function_outlives_its_kernel(compiled):
    kernel = compiled(ONE)
    call, seen = kernel.arrays.call, weakref.ref(kernel)
    del kernel
    gc.collect()
    assert seen() is None
    for other in range(50):  # memory of the kernel, if freed, would be used again
        compiled(Tape(("x",), (float(other),), (Instr("add", (0, 1)),), (2,)))
    x, y = draw(9), draw(9, seed=1)
    np.testing.assert_array_equal(call(np.empty(9), x, y), x - y)


def linger_of(compiled):
    linger = compiled(ONE).arrays.linger
    if linger is None:
        pytest.skip("this machine's counter of cycles is not for programs")
    return linger


def test_lingering_ends_when_called(compiled):
    linger, word = linger_of(compiled), ctypes.c_int64(1)
    assert linger(ctypes.addressof(word)) is None


def test_lingering_lets_other_threads_run_and_ends_by_itself(compiled):
    linger, word, ran = linger_of(compiled), ctypes.c_int64(0), []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: [linger(ctypes.addressof(word)) for _ in range(20)])
        while not waiting.done():
            ran.append(1)
    assert waiting.result() == [None] * 20
    assert ran
    assert word.value == 0
