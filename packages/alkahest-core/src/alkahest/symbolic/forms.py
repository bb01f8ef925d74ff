"""What the canonical form computes with: flat sums and products over atoms, and the workspace that holds them.

A *form* is an exact number, a `Product` or a `Sum`. An *atom* is a node of the pool that is taken as a whole: a
symbol, a function of canonical arguments, a sum that stands as a factor. A *key* names a product without its
coefficient: the id of an atom, or a negative number for all others, so that sums are dicts from ints to coefficients.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from alkahest.expr.pool import ExprPool
from alkahest.symbolic.exact import Exact, exact_node
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.definedness import Definedness
from alkahest.symbolic.facts.fact import Fact

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# A sum or product of up to this many operands is copied into the ones it occurs in. A larger one moves there if
# nothing else uses it and is an atom otherwise: cost and size stay linear in the DAG.
SMALL = 32
# What has more operands than this and is used elsewhere too is written once and used in both places.
REUSED = 8


class Undefined(Exception):
    """Raised where an operation has no value, such as a division by a literal zero."""


class Product:
    """`coef` times the product of base**exponent over `items`; bases are atoms, exponents nonzero.

    `flipped`, on large ones that nothing else uses: exponents are to be read with the other sign.
    """

    __slots__ = ("coef", "flipped", "id", "items", "key", "shared")

    def __init__(self, coef: Exact, items: dict[int, Exact], key: int | None = None, shared: bool = False) -> None:
        self.coef = coef
        self.items = items
        self.key = key
        self.id: int | None = None
        self.shared = shared  # `items` belongs to others too: copy before a change
        self.flipped = False

    def settle(self) -> Product:
        """Return it, with nothing left to be read with the other sign."""
        if self.flipped:
            self.flipped = False
            for base, exponent in self.items.items():
                self.items[base] = -exponent
        return self


class Sum:
    """`const` plus the sum of coefficient*key over `terms`.

    Coefficients are nonzero, but where the domain is kept: there a term that may have no value stays.

    Once it is written (`id`) or shared it must not change. `flipped`, on large ones that nothing else uses: all is to
    be read with the other sign.
    """

    __slots__ = ("const", "flipped", "id", "parts", "shared", "terms")

    def __init__(self, const: Exact, terms: dict[int, Exact]) -> None:
        self.const = const
        self.terms = terms
        self.parts: list[tuple[Sum, Exact]] = []  # sums that came in as a whole, and what by
        self.id: int | None = None
        self.shared = False
        self.flipped = False

    @property
    def is_free(self) -> bool:
        """Whether it may be changed."""
        return self.id is None and not self.shared

    def settle(self) -> Sum:
        """Return it, with nothing left to be read with the other sign."""
        if self.flipped:
            self.flipped = False
            self.const = -self.const
            for key, coef in self.terms.items():
                self.terms[key] = -coef
            self.parts = [(part, -c) for part, c in self.parts]
        return self


Form: TypeAlias = int | Fraction | Product | Sum


def is_exact(form: Form) -> TypeIs[Exact]:
    """Tell whether a form is a number."""
    kind = form.__class__
    return kind is int or kind is Fraction


class Workspace:
    """The tables of one canonicalisation, or of all that one thread does in one pool.

    It does not keep the pool alive once it is released; `intern` is the pool's until then.
    """

    def __init__(self, pool: ExprPool, *, reuses: bool, strict: bool = False) -> None:
        self.reuses = reuses  # the uses of every node are known
        self.strict = strict  # the domain is kept exactly
        self.max_factors = REUSED if reuses else SMALL  # of a shared product that is copied
        self.intern: Callable[[tuple[Any, ...]], int] = pool._intern
        self.nodes = pool._nodes
        self.forms: dict[int, Form] = {}  # by node
        self.bases: list[dict[int, Exact]] = []  # key -k-1 names bases[k]
        self.index: dict[tuple[tuple[int, Exact], ...], int] = {}
        self.sums: dict[int, Sum] = {}  # sums that have been written, by node
        self.special: dict[int, Form] = {}  # atoms to be opened once their exponent is an integer
        self.zeros: set[int] = set()  # float literals 0.0 and -0.0
        self.undefined: set[int] = set()  # atoms without a value
        self.closed: set[int] = set()  # what stayed whole because it is used elsewhere too
        self.knowledge = Knowledge(self.nodes)
        self.definedness = Definedness(self.knowledge)
        self.linear: dict[frozenset[tuple[int, Exact]], Fact] = {}  # what is assumed of sums, by their direction
        self.layouts: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.sort_keys: dict[int, tuple[bool, Exact, str]] = {}
        self.texts: dict[int, str] = {}

    def release(self) -> None:
        """Let go of the pool."""
        self.intern = _released

    def number(self, value: Exact) -> int:
        """Return the id of a literal."""
        return self.intern(exact_node(value))

    def product_of(self, key: int, coef: Exact = 1) -> Product:
        """Return `coef` times what `key` names."""
        if key >= 0:
            return Product(coef, {key: 1}, key)
        return Product(coef, self.bases[-key - 1], key, shared=True)

    def key_of(self, product: Product) -> int:
        """Return the key of a product, its coefficient left out."""
        key = product.key
        if key is None:
            items = product.settle().items
            if len(items) == 1:
                [(base, exponent)] = items.items()
                if exponent == 1:
                    product.key = base
                    return base
            name = tuple(sorted(items.items()))
            key = self.index.get(name)
            if key is None:
                self.bases.append(items)
                key = self.index[name] = -len(self.bases)
                product.shared = True
            product.key = key
        return key


def _released(node: tuple[Any, ...]) -> int:
    raise RuntimeError("a released workspace builds no nodes")


def atom(ident: int) -> Product:
    """Return a node as an atom."""
    return Product(1, {ident: 1}, ident)
