"""The table of math kernels: each name, how many arguments and results it has, and who computes it."""

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

    `body` writes it with `Value`s, at any width, or is None where the C library's `host_symbol` computes it.
    `lanewise` kernels are written for scalars only and applied to the lanes of a vector in turn. `inline=False` keeps
    large ones out of the code that uses them: they are always called.
    """

    name: str
    arity: int
    results: int = 1
    body: Callable[..., Value | tuple[Value, ...]] | None = None
    lanewise: bool = False
    inline: bool = True
    real: str = "double"

    @property
    def host_symbol(self) -> str:
        """The name under which the C library's function is known to the linker."""
        return f"alkahest_host_{self.name}"


KERNELS: dict[str, Kernel] = {}

# The kernels of floats, by the name of the kernel of doubles whose place they take in single precision.
_SINGLE: dict[str, str] = {}

# What the C library computes, lane by lane: the name there and the number of arguments.
HOST_FUNCTIONS: dict[str, tuple[str, int]] = {}

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
        KERNELS[name] = Kernel(name, arity, results, body, lanewise, inline)
        return body

    return register


def single_kernel(
    name: str, *, serves: tuple[str, ...] = (), results: int = 1, inline: bool = True
) -> Callable[..., Any]:
    """Register the decorated function as the kernel `name` of floats, which takes the place of those that it serves."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        arity = body.__code__.co_argcount
        KERNELS[name] = Kernel(name, arity, results, body, inline=inline, real="float")
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
    return found is not None and found.body is not None and found.inline


@cache
def _load_families() -> None:
    for host, (_, arity) in HOST_FUNCTIONS.items():
        KERNELS[host] = Kernel(host, arity)
    for family in _FAMILIES:
        importlib.import_module(f"alkahest_llvm.vecmath.{family}")
