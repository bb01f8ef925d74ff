"""Flat products: like bases collected, with exact exponents, and powers of them.

What holds where (reals, 0**0 = 1, a fractional power of a negative number undefined; equal wherever the left is
defined): x**a * x**b = x**(a+b) · (x*y)**n = x**n * y**n and (x**a)**n = x**(a*n) for integer n ·
(x**n)**q = x**(n*q) for odd n, |x|**(n*q) for even n.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from alkahest.symbolic import exact
from alkahest.symbolic.exact import Exact, bounded, normal
from alkahest.symbolic.forms import SMALL, Form, Product, Sum, Undefined, Workspace, atom, is_exact
from alkahest.symbolic.parity import absolute_base
from alkahest.symbolic.signs import fact_of_atom
from alkahest.symbolic.strictness import nothing_of, split
from alkahest.symbolic.sums import add, as_base, closed_product, factor, owned_product, scale, simple
from alkahest.symbolic.writing import write

# Exponents above this are not merged: squaring in a loop must not make numbers of a million digits.
_MAX_EXPONENT = 1 << 64
_LITERALS = frozenset({"integer", "rational"})


def multiply(space: Workspace, f: Form, g: Form) -> Form:
    """Return `f * g`."""
    if is_exact(f):
        return scale(space, f, g)
    if is_exact(g):
        return scale(space, g, f)
    a = factor(space, f) if isinstance(f, Sum) else f
    b = factor(space, g) if isinstance(g, Sum) else g
    return simple(space, _merged(space, a, b))


def divide(space: Workspace, f: Form, g: Form) -> Form:
    """Return `f / g`; raises `Undefined` for a literal zero below."""
    if isinstance(g, Product) and not g.shared and len(g.items) > SMALL and not space.strict:
        coef = exact.power(g.coef, -1)
        if coef is not None and not _has_zero(space, g):
            g.coef, g.flipped, g.key, g.id = coef, not g.flipped, None, None
            return multiply(space, f, g)
    return multiply(space, f, power(space, g, -1))


def _merged(space: Workspace, f: Product, g: Product) -> Product:
    if len(f.items) < len(g.items):
        f, g = g, f
    f = owned_product(space, f)
    if g.shared and len(g.items) > space.max_factors:
        g = closed_product(space, g)
    coef = g.coef if f.coef == 1 else f.coef if g.coef == 1 else bounded(f.coef * g.coef)
    if coef is None:
        _merge(space, f.items, space.key_of(as_base(space, g.coef)), -1 if f.flipped else 1)
    else:
        f.coef = coef
    opened = False
    for base, exponent in g.settle().items.items():
        opened |= _merge(space, f.items, base, -exponent if f.flipped else exponent)
    return _opened(space, f.settle()) if opened else f


def _merge(space: Workspace, items: dict[int, Exact], base: int, exponent: Exact) -> bool:
    """Multiply by base**exponent; tell whether the new exponent lets a special base be opened."""
    old = items.get(base)
    if old is None:
        items[base] = exponent
        return False
    new = normal(old + exponent)
    if new == 0:
        del items[base]
    elif _mergeable(new):
        items[base] = new
        return base in space.special
    else:
        apart = space.intern(("pow", base, space.number(exponent)))
        items[apart] = items.get(apart, 0) + 1
    return False


def _mergeable(exponent: Exact) -> bool:
    return abs(exponent.numerator) < _MAX_EXPONENT and exponent.denominator < _MAX_EXPONENT


def _opened(space: Workspace, f: Product) -> Product:
    """Return a product with the integer powers of numbers, sums and products among its bases multiplied in."""
    for base in [b for b in f.items if b in space.special]:
        exponent = f.items[base]
        inner = space.special[base]
        if space.nodes[base][0] in _LITERALS:
            _fold_number(f, base, inner, exponent)
            continue
        inside = _inside(space, base, inner, exponent)
        if inside is not None:
            del f.items[base]
            f = _merged(space, f, inside)
    return f


def _inside(space: Workspace, base: int, inner: Form, exponent: Exact) -> Product | None:
    """Return base**exponent without its outer function, None where that must stay: |x|**2 is x**2, |x|**3 is not."""
    q: Exact = exponent
    head = space.nodes[base][0]
    if head == "abs" and exponent % 2:
        return None
    if head == "cbrt":
        q = normal(Fraction(exponent) / 3)
    if q.__class__ is not int:
        return None
    try:
        opened = power(space, inner, q)
    except Undefined:
        return None
    if isinstance(opened, Sum):
        return factor(space, opened)
    return opened if isinstance(opened, Product) else Product(opened, {})


def _fold_number(f: Product, base: int, value: Form, exponent: Exact) -> None:
    """Move the integer part of a number's exponent into the coefficient: 2**(3/2) is 2*sqrt(2)."""
    assert isinstance(value, int | Fraction)
    whole = floor(exponent)
    number = exact.power(value, whole)
    coef = None if number is None else bounded(f.coef * number)
    if coef is None:
        return
    f.coef = coef
    f.key = f.id = None
    rest = normal(exponent - whole)
    if rest == 0:
        del f.items[base]
    else:
        f.items[base] = rest


# -- powers


def power(space: Workspace, f: Form, q: Exact) -> Form:
    """Return `f**q`; raises `Undefined` where no real number is that."""
    if q == 0:
        return add(space, 1, nothing_of(space, f))
    if q == 1:
        return f
    if isinstance(f, Sum):
        return _power_of_sum(space, f.settle(), q)
    if not isinstance(f, Product):
        return _power_of_number(space, f, q)
    if not _mergeable(q):
        return atom(space.intern(("pow", write(space, f), space.number(q))))
    f.settle()
    if q.__class__ is int:
        return simple(space, _integer_power(space, f, int(q)))
    return _root(space, f, q)


def _power_of_sum(space: Workspace, f: Sum, q: Exact) -> Form:
    if not _mergeable(q):
        return atom(space.intern(("pow", write(space, f), space.number(q))))
    if q.__class__ is int:
        return _integer_power(space, factor(space, f), int(q))
    return _composite(space, f, q)


def _composite(space: Workspace, f: Product | Sum, q: Exact) -> Product:
    """Return a fractional power of a sum or product, which is opened again once its exponent is an integer."""
    ident = write(space, f)
    f.shared = True
    base, exponent = split(space, ident, q)
    if base == ident and (isinstance(f, Product) or factor(space, f).coef != 1):
        space.special[ident] = f
    return Product(1, {base: exponent})


def _power_of_number(space: Workspace, value: Exact, q: Exact) -> Form:
    number = exact.power(value, q)
    if number is not None:
        return number
    if value == 0 or (value < 0 and q.__class__ is not int):
        raise Undefined
    if not _mergeable(q):
        return atom(space.intern(("pow", space.number(value), space.number(q))))
    if value.numerator == 1:
        value, q = value.denominator, -q
    if q.__class__ is not int:
        return _surd(space, value, q)
    ident = space.number(value)
    space.special[ident] = value
    return Product(1, {ident: q})


def _surd(space: Workspace, value: Exact, q: Exact) -> Product:
    """Return a root of a number as roots of its primes, so that like ones meet: sqrt(8) is 2*sqrt(2)."""
    product = Product(1, {})
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, count in exact.small_factors(number):
            ident = space.number(prime)
            space.special[ident] = prime
            product.items[ident] = exponent = normal(sign * count * q)
            _fold_number(product, ident, prime, exponent)
    return product


def _integer_power(space: Workspace, f: Product, n: int) -> Product:
    if len(f.items) > (space.max_factors if f.shared else SMALL):
        f = closed_product(space, f)
    if n < 0 and _has_zero(space, f):
        raise Undefined
    items: dict[int, Exact] = {}
    apart: list[int] = []
    opened = False
    for base, exponent in f.items.items():
        new = normal(exponent * n)
        if _mergeable(new):
            base, new = split(space, base, new)
            items[base] = items.get(base, 0) + new
            opened |= base in space.special
        else:
            apart.append(write(space, Product(1, {base: exponent})))
    for base in apart:
        items[base] = items.get(base, 0) + n
    coef = exact.power(f.coef, n)
    if coef is not None and exact.fits(coef):
        out = Product(coef, items)
    else:
        base = space.key_of(as_base(space, f.coef))
        items[base] = items.get(base, 0) + n
        out = Product(1, items)
    return _opened(space, out) if opened else out


def _has_zero(space: Workspace, f: Product) -> bool:
    return any([zero in f.items for zero in space.zeros])


def _root(space: Workspace, f: Product, q: Exact) -> Form:
    """Return a fractional power: perfect powers of the coefficient come out, and what is known to be positive."""
    f.shared = True
    size, items = abs(f.coef), f.items
    outside, inside = _separated(space, f)
    outer = exact.power(size, q)
    inner = Product(1 if f.coef > 0 else -1, inside)
    root: Form = 1
    if outer is None:
        outer = 1
        if inside or f.coef < 0:
            inner.coef = f.coef
        else:
            root = _power_of_number(space, size, q)
    if len(items) == len(inside):
        inner = Product(inner.coef, items, f.key if inner.coef == f.coef else None, shared=True)
    if inside or inner.coef < 0:
        root = _root_of_rest(space, inner, q)
    for base, exponent in outside.items():
        root = multiply(space, root, _root_of_power(space, base, exponent, q))
    return scale(space, outer, root)


def _separated(space: Workspace, f: Product) -> tuple[dict[int, Exact], dict[int, Exact]]:
    """Return the factors whose roots may be taken one by one, and the others.

    sqrt(a*b) is sqrt(a)*sqrt(b) where a > 0, or where both are known not to be negative: at a = 0 it is 0, whatever
    the sign of b.
    """
    if len(f.items) == 1 and f.coef > 0:
        return {}, f.items
    outside: dict[int, Exact] = {}
    doubtful: dict[int, Exact] = {}
    inside: dict[int, Exact] = {}
    for base, exponent in f.items.items():
        fact = fact_of_atom(space, base)
        even = exponent.denominator == 1 and exponent.numerator % 2 == 0
        if fact.positive or (even and fact.not_zero):
            outside[base] = exponent
        elif fact.nonnegative or even:
            doubtful[base] = exponent
        else:
            inside[base] = exponent
    if inside or f.coef < 0:
        return outside, {base: e for base, e in f.items.items() if base not in outside}
    return f.items, {}


def _root_of_rest(space: Workspace, inner: Product, q: Exact) -> Form:
    if inner.coef == 1 and len(inner.items) == 1:
        [(base, exponent)] = inner.items.items()
        return _root_of_power(space, base, exponent, q)
    alone = simple(space, inner)
    if is_exact(alone):
        return _power_of_number(space, alone, q)
    return _composite(space, alone, q)


def _root_of_power(space: Workspace, base: int, exponent: Exact, q: Exact) -> Product:
    """Return (base**exponent)**q for a fractional q."""
    new = normal(exponent * q)
    if not _mergeable(new):
        return _composite(space, Product(1, {base: exponent}), q)
    fact = fact_of_atom(space, base) if exponent != 1 else None
    if fact is None or fact.nonnegative:
        return _single(space, base, new)
    if exponent.__class__ is not int:  # sqrt(sqrt(x)) costs less than x^(1/4)
        return _composite(space, Product(1, {base: exponent}), q)
    if exponent.numerator % 2:
        if space.strict:
            return _composite(space, Product(1, {base: exponent}), q)
        return Product(1, {base: new})
    if new.denominator == 1 and (new.numerator % 2 == 0 or fact.nonpositive):
        root = _single(space, base, new)
        root.coef = -1 if new.numerator % 2 else 1
        return root
    return _single(space, absolute_base(space, base), new)


def _single(space: Workspace, base: int, exponent: Exact) -> Product:
    base, exponent = split(space, base, exponent)
    root = Product(1, {base: exponent})
    return _opened(space, root) if base in space.special else root
