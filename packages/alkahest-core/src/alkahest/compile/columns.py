"""Columns: arrays that enter without a copy where they can, seen as address and stride."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

from alkahest.compile.protocols import Column
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
    import numpy as np

    array: NDArray[Any] = value if isinstance(value, np.ndarray) else _foreign(value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ArrayError("an argument has masked entries.", remedy="Fill them first, with array.filled(numpy.nan) say.")
    if array.dtype == dtype:
        return array
    if array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):  # a double beyond single precision is infinite there
            return array.astype(dtype)
    return _convert_odd(array, dtype)


def _convert_odd(value: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if value.dtype.kind == "c":
        raise DtypeError(
            f"an argument holds complex numbers ({value.dtype}).",
            remedy="Pass real and imaginary parts as two inputs.",
        )
    if value.dtype.kind == "O":
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
    raise ArrayError(
        f"an argument is no array of numbers (dtype {value.dtype}).",
        remedy="Pass real numbers: int, float or bool.",
    )


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


def broadcast_columns(arrays: Sequence[NDArray[Any]]) -> tuple[tuple[int, ...], list[NDArray[Any]]]:
    """Return the common shape and each array as a view that one stride walks, copying only where none does."""
    import numpy as np

    try:
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ShapeError(
            f"the arguments' shapes {shapes} do not broadcast.", remedy="Use shapes that NumPy broadcasts."
        ) from None
    return shape, [_one_stride(a, shape) for a in arrays]


def _one_stride(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    if array.ndim == 0 or (array.ndim == 1 and array.shape == shape) or array.size == 1:
        return array
    if array.shape != shape:
        array = np.broadcast_to(array, shape)
    return array if _flat_stride(array) is not None else np.ascontiguousarray(array)


def _flat_stride(array: NDArray[Any]) -> int | None:
    """Return the one byte stride that walks `array` in C order, or None where there is none."""
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


def as_column(array: NDArray[Any]) -> Column:
    """Return address and stride of an array made by `broadcast_columns`; one value has stride 0."""
    stride = 0 if array.size <= 1 else _flat_stride(array)
    return array.ctypes.data, stride or 0
