"""Columns: arrays that enter without a copy where they can, seen as address and stride."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

from alkahest.errors import ArrayError, DtypeError, NumberOverflowError, ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Array = Any  # numpy.ndarray; NumPy is imported late, so its types are kept to annotations


def column_view(address: int, stride: int, n: int, dtype: str = "float64") -> NDArray[Any]:
    """Return `n` numbers at `address`, `stride` bytes apart, as a NumPy array without a copy; stride 0 repeats one.

    The memory must outlive the array.
    """
    import numpy as np

    kind = np.dtype(dtype)
    if n == 0:
        return np.empty(0, kind)
    low = address + min(0, stride * (n - 1))
    size = abs(stride) * (n - 1) + kind.itemsize
    buffer = (ctypes.c_char * size).from_address(low)
    return np.ndarray((n,), kind, memoryview(buffer), address - low, (stride,))


def import_array(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return anything array-like as a NumPy array of `dtype`, without a copy where type and layout allow.

    NumPy arrays, memory maps, DLPack exporters (torch, JAX, CuPy, …) and objects with `__array__` (pandas, Polars)
    are taken; arrays on a device are copied to the host; int, bool and other floats are converted.
    """
    return convert(as_array(value), dtype)


def as_array(value: Any) -> NDArray[Any]:
    """Return anything array-like as a plain NumPy array of real numbers, or of objects, of whatever type it has.

    What cannot hold real numbers raises `ArrayError` or `DtypeError`.
    """
    import numpy as np

    array: NDArray[Any] = value if isinstance(value, np.ndarray) else _foreign(value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ArrayError("an argument has masked entries.", remedy="Fill them first, with array.filled(numpy.nan) say.")
    if array.dtype.kind not in "fiubO":
        raise _no_numbers(array.dtype)
    return np.asarray(array)


def convert(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what `as_array` returned as an array of `dtype`: itself where it is one, else a copy."""
    import numpy as np

    if array.dtype == dtype:
        return array
    if array.dtype.kind == "O":
        return _convert_objects(array, dtype)
    with np.errstate(all="ignore"):  # a double beyond single precision is infinite there
        return array.astype(dtype)


def _no_numbers(dtype: np.dtype[Any]) -> ArrayError | DtypeError:
    if dtype.kind == "c":
        return DtypeError(
            f"an argument holds complex numbers ({dtype}).",
            remedy="Pass real and imaginary parts as two inputs.",
        )
    return ArrayError(
        f"an argument is no array of numbers (dtype {dtype}).",
        remedy="Pass real numbers: int, float or bool.",
    )


def _convert_objects(value: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    _check_entries(value)
    try:
        return value.astype(dtype)
    except OverflowError:
        raise NumberOverflowError(
            "an argument holds an integer that does not fit a float.",
            remedy="Scale it so that it stays below 1.8e308.",
        ) from None
    except (TypeError, ValueError) as error:
        raise ArrayError(
            f"an argument holds something that is no number: {error}.", remedy="Pass real numbers."
        ) from None


def _check_entries(value: NDArray[Any]) -> None:
    """Refuse entries that NumPy would turn into numbers though they are none: None, text; and complex numbers."""
    for entry in value.flat:
        if isinstance(entry, Complex) and not isinstance(entry, Real):
            raise DtypeError(
                "an argument holds complex numbers.", remedy="Pass real and imaginary parts as two inputs."
            )
        if entry is None or isinstance(entry, str | bytes):
            raise ArrayError(f"an argument holds {entry!r}, which is no number.", remedy="Pass real numbers.")


def _foreign(value: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        found = _from_dlpack(value)
        if found is not None:
            return found
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ArrayError(
            f"an argument is no rectangular array: {str(error).rstrip('.')}.", remedy="Pass rows of one length."
        ) from None
    except (TypeError, RuntimeError) as error:
        raise ArrayError(
            f"an argument of type {type(value).__name__} cannot be read as an array: {error}.",
            remedy="Pass a NumPy array, or an object with DLPack or __array__.",
        ) from None


def _from_dlpack(value: Any) -> NDArray[Any] | None:
    """Return a DLPack exporter's data on the host, or None to let `__array__` try."""
    import numpy as np

    if hasattr(value, "detach"):  # torch: the values, not the graph
        value = value.detach()
    device = int(value.__dlpack_device__()[0])
    if device != 1:  # 1 is kDLCPU in the DLPack header
        return _to_host(value)
    try:
        return np.from_dlpack(value)
    except (BufferError, TypeError, ValueError, RuntimeError, AttributeError):
        return None


def _to_host(value: Any) -> NDArray[Any] | None:
    import numpy as np

    for method in ("cpu", "get"):  # torch; CuPy
        if hasattr(value, method):
            return np.asarray(getattr(value, method)())
    return None


def common_shape(arrays: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """Return the shape that arrays broadcast to, or raise `ShapeError`."""
    import numpy as np

    shapes = {a.shape for a in arrays}
    if len(shapes) == 1:
        return shapes.pop()
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(str(a.shape) for a in arrays)
        raise ShapeError(
            f"the arguments' shapes {listed} do not broadcast.", remedy="Use shapes that NumPy broadcasts."
        ) from None


def flat_stride(array: NDArray[Any]) -> int | None:
    """Return the one byte stride that walks `array` in C order, or None where there is none; 0 for one number."""
    step: int | None = None
    span = 0
    for size, stride in zip(reversed(array.shape), reversed(array.strides), strict=True):
        if size == 1:
            continue
        if step is None:
            step, span = stride, stride * size
        elif stride != span:
            return None
        else:
            span *= size
    return 0 if step is None else step
