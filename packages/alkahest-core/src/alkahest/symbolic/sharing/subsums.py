"""Common parts of sums: a + b + c and a + b + d share a + b, and so do a - b + c and 2*b - 2*a."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations

from alkahest.symbolic.exact import Exact, normal
from alkahest.symbolic.sharing.network import ONE, Terms, Work

_GROUP = 48  # of so many sums the common parts are looked for
_MAX_CANDIDATES = 400

Pair = frozenset[tuple[int, Exact]]


def share_parts(sums: dict[int, Terms], new_key: Callable[[], int], work: Work) -> dict[int, Terms]:
    """Return sums by key, with common parts, up to a factor, as sums of their own, which have new keys.

    >>> from itertools import count
    >>> share_parts({1: {7: 1, 8: -1, 9: 1}, 2: {7: -1, 8: 1, 6: 1}}, count(100).__next__, Work(100))
    {2: {6: 1, 100: -1}, 1: {9: 1, 100: 1}, 100: {7: 1, 8: -1}}
    """
    keys = sorted(sums, key=lambda k: (sorted(sums[k]), k))
    out: dict[int, Terms] = {}
    for start in range(0, len(keys), _GROUP):
        group = {k: dict(sums[k]) for k in keys[start : start + _GROUP]}
        _share(group, new_key, work)
        out |= group
    return out


def _share(sums: dict[int, Terms], new_key: Callable[[], int], work: Work) -> None:
    while True:
        best, saved = None, 0
        candidates = _candidates(sums)
        if not work.spend(len(sums) * (len(sums) + len(candidates))):
            return
        for part in candidates:
            s = sum([operations(m) - operations(new) for m in sums.values() if (new := _without(m, part, -1))])
            s -= operations(part)
            if s > saved or (s == saved and best is not None and _name(part) > _name(best)):
                best, saved = part, s
        if best is None:
            return
        key = new_key()
        for k, m in sums.items():
            sums[k] = _without(m, best, key) or m
        sums[key] = best


def operations(terms: Terms) -> int:
    """Return how many operations a sum takes beside those of the products in it."""
    return len(terms) - 1 + sum([k != ONE and c not in (1, -1) for k, c in terms.items()])


def _name(part: Terms) -> list[tuple[int, Exact]]:
    return sorted(part.items())


def _candidates(sums: dict[int, Terms]) -> list[Terms]:
    """Return what two sums have in common, up to a factor, with at least two terms."""
    found: dict[Pair, Terms] = {}
    for a, b in combinations(sums.values(), 2):
        if len(a) > len(b):
            a, b = b, a
        by_ratio: dict[Exact, Terms] = {}
        for k, c in a.items():
            other = b.get(k)
            if other is not None:
                ratio = 1 if c == other else -1 if c == -other else Fraction(c) / other
                by_ratio.setdefault(ratio, {})[k] = c
        for part in by_ratio.values():
            if len(part) > 1:
                scaled = _divided(part, _unit(part))
                found.setdefault(frozenset(scaled.items()), scaled)
        if len(found) >= _MAX_CANDIDATES:
            break
    return list(found.values())


def _unit(part: Terms) -> Exact:
    """Return the coefficient that becomes 1: the size of most, with the sign of the first."""
    first = min(part)
    sizes = sorted([abs(c) for c in part.values()])
    size = max(sizes, key=sizes.count)
    return size if part[first] > 0 else -size


def _divided(part: Terms, unit: Exact) -> Terms:
    if unit in (1, -1):
        return {k: c * unit for k, c in part.items()}
    return {k: normal(Fraction(c) / unit) for k, c in part.items()}


def _without(terms: Terms, part: Terms, key: int) -> Terms | None:
    """Return a sum with a part of it, or a multiple, replaced by a key; None where it does not have it."""
    first = next(iter(part))
    if first not in terms or len(terms) < len(part):
        return None
    c = terms[first] if part[first] == 1 else normal(Fraction(terms[first]) / part[first])
    if any([terms.get(k, 0) != c * b for k, b in part.items()]):
        return None
    return {k: b for k, b in terms.items() if k not in part} | {key: c}
