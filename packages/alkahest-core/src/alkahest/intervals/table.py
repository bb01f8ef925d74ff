"""The table of interval rules: which primitive has one, and how one is added.

A rule is a function of an `Interval` per argument (and of the primitive's static parameters) that returns an
`Interval`: a named tuple (lo, hi, defined) of arrays, of which `x._replace(lo=…, hi=…)` makes another. A third party
gives a rule with `lower={"interval": rule}` in `scalar_p`, or in the hook `alkahest_lowerings("interval")` with
`lowering_rules("interval").set(prim, rule)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from alkahest.base.prim import prim_by_name
from alkahest.base.rules import RuleTable, lowering_rules
from alkahest.plugins.manager import load_lowerings, load_primitives

IntervalRule: TypeAlias = Callable[..., Any]

TARGET = "interval"
_MODULES = ("arithmetic", "comparison", "elementary", "trigonometric", "power", "special")
_built_in: dict[str, IntervalRule] = {}


def interval_rule(name: str) -> Callable[[IntervalRule], IntervalRule]:
    """Make the decorated function the interval rule of the built-in primitive `name`."""

    def register(rule: IntervalRule) -> IntervalRule:
        _built_in[name] = rule
        return rule

    return register


def interval_rules() -> RuleTable:
    """Return the table of interval rules, with those of core and of all plugins in it."""
    _register()
    load_primitives()
    load_lowerings(TARGET)
    return lowering_rules(TARGET)


@cache
def _register() -> None:
    importlib.import_module("alkahest.prims.standard")
    for module in _MODULES:
        importlib.import_module(f"alkahest.intervals.{module}")
    table = lowering_rules(TARGET)
    for name, rule in _built_in.items():
        if name not in table:
            table.set(prim_by_name(name), rule)
