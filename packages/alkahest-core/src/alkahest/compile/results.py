"""Memory for results, used again once nobody holds the result any more.

A large array that is made for every call costs more in page faults than many functions take to compute: the operating
system gets the memory back at once and hands out new pages, zeroed one by one, at the next call. So the memory of a
released result serves the next one. What is kept for that is bounded by `settings.kept_result_bytes`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from alkahest import settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 6 << 20  # bytes: such results are written past the caches, so it does not matter that this is in none
_ALIGNMENT = 64  # a cache line, and the widest vector


class _Block:
    """Memory for a result: `size` bytes from an aligned `address` on."""

    __slots__ = ("_memory", "address", "size")

    def __init__(self, size: int) -> None:
        import numpy as np

        self._memory = np.empty(size + _ALIGNMENT, np.uint8)
        address = int(self._memory.ctypes.data)
        self.address, self.size = address + -address % _ALIGNMENT, size


class _Lease:
    """Owns the memory of one result as long as any array looks into it."""

    __slots__ = ("__array_interface__", "_block", "_kept")

    def __init__(self, kept: KeptMemory, block: _Block, shape: tuple[int, ...], typestr: str) -> None:
        self._kept, self._block = kept, block
        self.__array_interface__ = {"data": (block.address, False), "shape": shape, "typestr": typestr, "version": 3}

    def __del__(self) -> None:
        self._kept.release(self._block)


class KeptMemory:
    """Blocks that no result uses, oldest first.

    Blocks come back whenever an array dies, in any thread and in the middle of anything, so there is no lock: each
    step is one operation of a deque. A call that finds a block does little else: after a large batch nothing of the
    interpreter is in the processor's caches, and each line of Python takes its time.
    """

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._most = 0  # bytes; kept here, because blocks also come back when the process ends and modules are empty
        self._asarray: Any = None

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array whose numbers are yet to be written."""
        size = dtype.itemsize
        for length in shape:
            size *= length
        block = self._take(size) if size >= SMALLEST else None
        if block is None:
            self._most = settings.kept_result_bytes()
            if size < SMALLEST or size > self._most:
                import numpy as np

                return np.empty(shape, dtype)
            block = _Block(size)
        return self._as_array()(_Lease(self, block, shape, dtype.str))

    def _as_array(self) -> Any:
        if self._asarray is None:
            import numpy as np

            self._asarray = np.asarray
        return self._asarray

    def _take(self, size: int) -> _Block | None:
        for _ in range(len(self._blocks)):
            try:
                block = self._blocks.pop()
            except IndexError:  # another thread took the last
                break
            if size <= block.size <= 2 * size:
                return block
            self._blocks.appendleft(block)
        return None

    def release(self, block: _Block) -> None:
        """Keep a block for a later result, and let the oldest go where that is too much."""
        self._blocks.append(block)
        while self.kept_bytes() > self._most:
            try:
                self._blocks.popleft()
            except IndexError:  # another thread took it
                return

    def kept_bytes(self) -> int:
        """Return how many bytes wait for a result."""
        return sum([block.size for block in list(self._blocks)])


_kept = KeptMemory()


def empty_result(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array for a result, in memory of an earlier one where that fits.

    It is an ordinary array but that it does not own its memory (`array.base` does), so `ndarray.resize` refuses it.
    """
    return _kept.empty(shape, dtype)
