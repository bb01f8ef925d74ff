"""Lowering rules of target "jax": for each primitive a function of JAX arrays, called while `jax.jit` traces.

A rule takes one array, tracer or NumPy scalar (a constant of the tape) per argument and returns one array; truth
values may stay booleans. Where XLA's own function keeps neither the special values nor a few ulps, the rule computes
the function from others; what is attained is in `tests/test_rules.py`, against mpmath.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from alkahest.extend import lowering_rules, prim_by_name
from jax import lax

from alkahest_jax import special
from alkahest_jax.rounding import fused_multiply_add

Array = Any  # a JAX array or tracer, or a NumPy scalar


def _add(x: Array, y: Array) -> Array:
    # XLA's front end drops x + 0.0, which is wrong at x = -0.0: a zero it cannot see through stays.
    return jnp.add(*[lax.optimization_barrier(v) if isinstance(v, np.generic) and v == 0 else v for v in (x, y)])


def _power(x: Array, y: Array) -> Array:
    if isinstance(y, np.generic) and y == 2:
        return jnp.multiply(x, x)
    return jnp.power(x, y)


def _sign(x: Array) -> Array:
    return jnp.where(x == 0, 0.0, jnp.sign(x))


def _round_away(x: Array) -> Array:
    whole = jnp.trunc(x)
    return jnp.where(jnp.abs(x - whole) >= 0.5, whole + jnp.copysign(1.0, x), whole)


def _remainder(x: Array, y: Array) -> Array:
    """IEEE remainder: `fmod` by 2y, which is exact, then at most two exact subtractions (as fdlibm's e_remainder.c)."""
    a, b = jnp.abs(x), jnp.abs(y)
    r = jnp.where(b <= jnp.finfo(b.dtype).max / 2, lax.rem(a, b + b), a)
    over = jnp.where(b < 1, r + r > b, r > b * 0.5)
    r = jnp.where(over, r - b, r)
    again = over & jnp.where(b < 1, r + r >= b, r >= b * 0.5)
    r = jnp.where(again, r - b, r)
    r = jnp.where(jnp.isfinite(x) & (b > 0), r, jnp.nan)
    r = jnp.where(jnp.isinf(b) & jnp.isfinite(x), a, r)
    return jnp.where(jnp.signbit(x), -r, r)
