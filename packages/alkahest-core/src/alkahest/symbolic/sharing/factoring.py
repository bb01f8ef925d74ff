"""Common factors of the terms of a sum taken out, the most frequent first: `a*x^2 + b*x + c` is `x*(a*x + b) + c`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

from alkahest.symbolic.exact import Exact, normal
from alkahest.symbolic.sharing.network import Factors, Network, Terms, Value


def factor_sums(net: Network, roots: Iterable[Value]) -> None:
    """Take common factors out of the sums that some values lead to, and out of what is left of them.

    Multivariate Horner schemes by greedy choice (Ceberio and Kreinovich 2004).
    """
    todo = [k for k in net.order(roots) if k in net.sums]
    uses = Counter([k for key in todo for k in net.sums[key]])
    while todo:
        key = todo.pop()
        terms = net.sums[key]
        while len(terms) > 1:
            found = _most_frequent(net, terms, uses)
            made = None if found is None else _taken_out(net, terms, found)
            if made is None:
                break
            terms, inner = made
            todo.append(inner)
        if len(terms) > 1:
            net.sums[key] = terms
        else:
            [(product, coef)] = terms.items()
            net.aliases[key] = Value(coef, product)
            del net.sums[key]


def _most_frequent(net: Network, terms: Terms, uses: Counter[int]) -> tuple[int, int] | None:
    """Return the base and the sign of the exponent that most terms have, which nothing else uses."""
    counts: Counter[tuple[int, int]] = Counter()
    for key in terms:
        if uses[key] < 2:
            counts.update([(k, 1 if e > 0 else -1) for k, e in net.factors(key).items()])
    if not counts:
        return None
    best = max(counts, key=lambda k: (counts[k], k[1], -k[0]))
    return best if counts[best] > 1 else None


def _taken_out(net: Network, terms: Terms, factor: tuple[int, int]) -> tuple[Terms, int] | None:
    """Return a sum with a factor taken out of the terms that have it, and the key of the sum in the parentheses."""
    base, sign = factor
    having = [k for k in terms if net.factors(k).get(base, 0) * sign > 0]
    least = min([abs(net.factors(k)[base]) for k in having]) * sign
    inner: Terms = {}
    for k in having:
        rest: Factors = dict(net.factors(k))
        rest[base] -= least
        inner[net.product(rest)] = terms[k]
    size = _common_size(inner)
    value = net.sum({k: normal(Fraction(c) / size) for k, c in inner.items()} if size != 1 else inner)
    if value.key == base:
        return None
    product = net.product({base: least, value.key: 1})
    out = {k: c for k, c in terms.items() if k not in having}
    if product in out:
        return None
    out[product] = normal(value.coef * size)
    return out, value.key


def _common_size(terms: Terms) -> Exact:
    """Return the size of the coefficients where they have one."""
    sizes = {Fraction(abs(c)) for c in terms.values()}
    return sizes.pop() if len(sizes) == 1 else 1
