"""The table of math kernels: each name, how many arguments and results it has, and what writes it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alkahest_llvm.emitting.builder import Value


@dataclass(frozen=True)
class Kernel:
    """One function of doubles, or of floats where `real` says so.

    `body` writes it with `Value`s, at any width. `lanewise` kernels are written for scalars only and applied to the
    lanes of a vector in turn. `inline=False` keeps large ones out of the code that uses them: they are always called.
    """

    name: str
    arity: int
    body: Callable[..., Value | tuple[Value, ...]]
    results: int = 1
    lanewise: bool = False
    inline: bool = True
    real: str = "double"


KERNELS: dict[str, Kernel] = {}

# The kernels of floats, by the name of the kernel of doubles whose place they take in single precision.
_SINGLE: dict[str, str] = {}

_FAMILIES = (
    "exponential",
    "logarithm",
    "power",
    "trigonometric",
    "argument_reduction",
    "inverse_trigonometric",
    "hyperbolic",
    "inverse_hyperbolic",
    "plane",
    "roots",
    "remainders",
    "error_function",
    "gamma_function",
    "digamma",
    "polygamma",
    "single.exponential",
    "single.logarithm",
    "single.trigonometric",
    "single.error_function",
)


def kernel(name: str, *, results: int = 1, lanewise: bool = False, inline: bool = True) -> Callable[..., Any]:
    """Register the decorated function as the body of the kernel `name`."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        arity = body.__code__.co_argcount
        KERNELS[name] = Kernel(name, arity, body, results, lanewise, inline)
        return body

    return register


def single_kernel(
    name: str, *, serves: tuple[str, ...] = (), results: int = 1, inline: bool = True
) -> Callable[..., Any]:
    """Register the decorated function as the kernel `name` of floats, which takes the place of those that it serves."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        arity = body.__code__.co_argcount
        KERNELS[name] = Kernel(name, arity, body, results, inline=inline, real="float")
        _SINGLE.update(dict.fromkeys((name, *serves), name))
        return body

    return register


def in_single_precision(name: str) -> str | None:
    """Return the name of the kernel of floats that takes the place of the kernel `name`, None where there is none."""
    _load_families()
    return _SINGLE.get(name)


def find(name: str) -> Kernel:
    """Return the kernel called `name`."""
    _load_families()
    return KERNELS[name]


def is_inlined(name: str) -> bool:
    """Return whether a kernel of this name exists and may be written into the code that uses it."""
    _load_families()
    found = KERNELS.get(name)
    return found is not None and found.inline


@cache
def _load_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"alkahest_llvm.vecmath.{family}")
