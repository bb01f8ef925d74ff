"""Importing it registers all rules of transforms: those of a primitive may live in several modules."""

from alkahest.transforms import (
    batching,
    boundary,
    forward,
    intercept,
    memory,
    pruning,
    reverse,
    reverse_control,
    scheduling,
    tagging,
    weighting,
)

__all__ = [
    "batching",
    "boundary",
    "forward",
    "intercept",
    "memory",
    "pruning",
    "reverse",
    "reverse_control",
    "scheduling",
    "tagging",
    "weighting",
]
