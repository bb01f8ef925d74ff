"""Rules in tables: what primitives do, one table per kind of interpretation, each with a sync and an async side."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from alkahest.errors import DuplicateRuleError, MissingRuleError

if TYPE_CHECKING:
    from alkahest.base.prim import Prim

Rule = Callable[..., Any]

_lock = threading.RLock()
_versions = itertools.count(1)
_current = [0]


def version() -> int:
    """Return a number that grows whenever a rule is set: what was derived from rules is checked against it."""
    return _current[0]


def touch() -> None:
    """Let what was derived from rules be made anew: call it where something else than a rule decided about it."""
    with _lock:
        _current[0] = next(_versions)


class AsyncTwin:
    """The async side of a rule that never waits: awaiting it calls the sync rule."""

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the sync rule."""
        return self.rule(*args, **kwargs)


class RuleTable:
    """Rules of one kind, keyed by primitive; an override must be asked for.

    The sync side (`set`, `get`) and the async side (`aset`, `aget`) are independent: neither falls back on the other.

    >>> from alkahest.extend import Prim
    >>> table, shout_p = RuleTable("impl"), Prim("shout")
    >>> rule = table.set(shout_p, lambda text: text.upper())
    >>> table.get(shout_p)("hello")
    'HELLO'
    """

    def __init__(self, kind: str = "user") -> None:
        self.kind = kind
        self._rules: dict[Prim, Any] = {}
        self._async: dict[Prim, Any] = {}
        self._by_name: dict[str, Any] = {}
        self._owners: dict[str, Prim] = {}

    def set(self, prim: Prim, rule: Any, /, *, replace: bool = False) -> Any:
        """Attach `rule` to `prim` and return it; a second rule needs `replace=True`."""
        with _lock:
            self._put(self._rules, prim, rule, replace, self.kind)
            # The first primitive of a name keeps it: a user's primitive may be called as a scalar one is.
            if self._owners.setdefault(prim.name, prim) is prim:
                self._by_name[prim.name] = rule
        return rule

    def aset(self, prim: Prim, rule: Any, /, *, replace: bool = False) -> Any:
        """Attach the async `rule` to `prim` and return it; a second rule needs `replace=True`."""
        with _lock:
            self._put(self._async, prim, rule, replace, f"async {self.kind}")
        return rule

    def _put(self, table: dict[Prim, Any], prim: Prim, rule: Any, replace: bool, kind: str) -> None:
        if prim in table and not replace:
            raise DuplicateRuleError(
                f"the {kind} rule of primitive {prim.name!r} is already set.",
                remedy="Pass replace=True to override it.",
            )
        table[prim] = rule
        _current[0] = next(_versions)

    def get(self, prim: Prim, /) -> Any:
        """Return the rule of `prim`, or raise `MissingRuleError` naming primitive and table."""
        try:
            return self._rules[prim]
        except KeyError:
            raise _missing(prim.name, self.kind, "set", prim in self._async) from None

    def aget(self, prim: Prim, /) -> Any:
        """Return the async rule of `prim`, or raise `MissingRuleError` naming primitive and table."""
        try:
            return self._async[prim]
        except KeyError:
            raise _missing(prim.name, f"async {self.kind}", "aset", prim in self._rules) from None

    def by_name(self, name: str) -> Any:
        """Return the rule of the primitive called `name`."""
        try:
            return self._by_name[name]
        except KeyError:
            raise _missing(name, self.kind, "set", False) from None

    def has_async(self, prim: Prim) -> bool:
        """Tell whether `prim` has an async rule."""
        return prim in self._async

    def __getitem__(self, prim: Prim) -> Any:
        return self.get(prim)

    def __setitem__(self, prim: Prim, rule: Any) -> None:
        self.set(prim, rule, replace=True)

    def __delitem__(self, prim: Prim) -> None:
        with _lock:
            self.get(prim)
            del self._rules[prim]
            if self._owners.get(prim.name) is prim:
                del self._owners[prim.name], self._by_name[prim.name]
            _current[0] = next(_versions)

    def __contains__(self, prim: Prim | str) -> bool:
        return prim in self._by_name if isinstance(prim, str) else prim in self._rules

    def __iter__(self) -> Iterator[Prim]:
        return iter(self._rules)


def _missing(name: str, kind: str, method: str, other_side: bool) -> MissingRuleError:
    side = " It has one on the other side, sync or async; neither stands in for the other." if other_side else ""
    return MissingRuleError(
        f"primitive {name!r} has no {kind} rule.{side}",
        remedy=f"Set one with {method}() of the {kind.removeprefix('async ')} table, or use a function that has one.",
    )


impl_rules = RuleTable("impl")
abstract_rules = RuleTable("abstract")
push_rules = RuleTable("push")
pull_fwd_rules = RuleTable("pull_fwd")
pull_bwd_rules = RuleTable("pull_bwd")
batch_rules = RuleTable("batch")
dce_rules = RuleTable("dce")
partials_rules = RuleTable("partials")

TABLES = {
    t.kind: t for t in (impl_rules, abstract_rules, push_rules, pull_fwd_rules, pull_bwd_rules, batch_rules, dce_rules)
}

_lowering_tables: dict[str, RuleTable] = {}


def lowering_rules(target: str) -> RuleTable:
    """Return the table of lowering rules for `target` ("c", "llvm", "stablehlo", …); it is made on first use."""
    return _lowering_tables.setdefault(target, RuleTable(f"lowering[{target}]"))
