"""Lowering rules of target "jax": for each primitive a function of JAX arrays, called while `jax.jit` traces.

A rule takes one array, tracer or NumPy scalar (a constant of the tape) per argument and returns one array; truth
values may stay booleans. Most are JAX's own functions; `alkahest_jax.functions` and `alkahest_jax.rounding` hold those
that XLA lacks or computes with errors of hundreds of units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.special as jsp
from jax import lax

from alkahest.extend import lowering_rules, prim_by_name
from alkahest_jax import functions, rounding

RULES: dict[str, Callable[..., Any]] = {
    "add": functions.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "neg": jnp.negative,
    "pow": functions.power,
    "fma": rounding.fma,
    "abs": jnp.abs,
    "sign": functions.sign,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "trunc": jnp.trunc,
    "round": jnp.rint,
    "round_away": rounding.round_away,
    "min": jnp.minimum,
    "max": jnp.maximum,
    "fmin": jnp.fmin,
    "fmax": jnp.fmax,
    "copysign": jnp.copysign,
    "fmod": lax.rem,
    "remainder": rounding.remainder,
    "sqrt": jnp.sqrt,
    "cbrt": functions.cbrt,
    "hypot": jnp.hypot,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": functions.log1p,
    "log2": functions.log2,
    "log10": functions.log10,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": functions.asin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "atan2": jnp.arctan2,
    "sinh": functions.sinh,
    "cosh": functions.cosh,
    "tanh": jnp.tanh,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": functions.atanh,
    "erf": jsp.erf,
    "erfc": functions.erfc,
    "gamma": functions.gamma,
    "lgamma": functions.lgamma,
    "digamma": functions.digamma,
    "polygamma": functions.polygamma,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "and": lambda a, b: (a != 0) & (b != 0),
    "or": lambda a, b: (a != 0) | (b != 0),
    "not": lambda a: a == 0,
    "where": lambda condition, a, b: jnp.where(condition != 0, a, b),
}

for _name, _rule in RULES.items():
    lowering_rules("jax").set(prim_by_name(_name), _rule)
