"""The memory of released results serves later ones, and never one that is still looked at."""

import gc
import threading

import numpy as np
import pytest

from alkahest.compile import results
from alkahest.compile.results import SMALLEST, KeptMemory

N = SMALLEST // 8
F64 = np.dtype("float64")


def test_released_memory_is_used_again():
    memory = KeptMemory()
    first = memory.empty((N,), F64)
    address = first.ctypes.data
    del first
    assert memory.kept_bytes() > 0
    assert memory.empty((N,), F64).ctypes.data == address


@pytest.mark.parametrize("view", [lambda a: a[3:9], lambda a: a[::-2], lambda a: a.reshape(2, -1)[1], memoryview])
def test_memory_that_is_looked_at_is_not_used_again(view):
    memory = KeptMemory()
    first = memory.empty((N,), F64)
    first[:] = 7.0
    seen = view(first)
    del first
    second = memory.empty((N,), F64)
    second[:] = 1.0
    assert np.all(np.asarray(seen) == 7.0)
    del seen
    gc.collect()
    assert memory.kept_bytes() > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2 * N,), (3, N), (2, N, 2)])
def test_arrays_are_ordinary(shape, dtype):
    array = results.empty_result(shape, np.dtype(dtype))
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert type(array) is np.ndarray
    assert array.ctypes.data % 64 == 0
    array[:] = 2.0
    assert np.all(array.copy() == 2.0)


def test_small_results_are_numpys():
    assert results.empty_result((10,), F64).flags.owndata


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setenv("ALKAHEST_KEPT_RESULT_BYTES", str(3 * SMALLEST))
    memory = KeptMemory()
    held = [memory.empty((N,), F64) for _ in range(8)]
    held.clear()
    assert memory.kept_bytes() <= 3 * SMALLEST
    assert memory.empty((4 * N,), F64).flags.owndata


def test_nothing_is_kept_where_that_is_switched_off(monkeypatch):
    monkeypatch.setenv("ALKAHEST_KEPT_RESULT_BYTES", "0")
    memory = KeptMemory()
    assert memory.empty((N,), F64).flags.owndata
    assert memory.kept_bytes() == 0


def test_a_much_larger_block_does_not_serve_a_small_result():
    memory = KeptMemory()
    large = memory.empty((8 * N,), F64)
    del large
    small = memory.empty((N,), F64)
    assert small.base._block.size < 3 * SMALLEST


def test_threads_get_memory_of_their_own():
    memory = KeptMemory()
    wrong = []

    def work(mark):
        for _ in range(10):
            array = memory.empty((N,), F64)
            array[:] = mark
            if not np.all(array == mark):
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
