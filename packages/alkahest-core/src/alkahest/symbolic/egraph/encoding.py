"""From expressions and identities to terms of the e-graph.

A *term* is an entry of a table: an op with the places of its arguments, a number, or an atom (what is taken as a
whole). Expressions and both sides of identities go through the same table, so that they meet in the same form.

*Algebraic* terms know sums, products and powers only: `a - b` is `a + -1*b`, `a/b` is `a * b^-1`, `sqrt(a)` is
`a^(1/2)`; numbers are folded where that changes no domain. *Plain* terms keep every op as it stands.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false
from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.errors import AlkahestError, IdentityError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.egraph.bindings import bindings
from alkahest.symbolic.rules.identity import Identity

ATOM, NUMBER = "atom", "number"
CONSTANT = "const."  # and its name: an op without arguments
HALF = Fraction(1, 2)
# Exponents and numbers beyond these are not folded: squaring in a loop must not make numbers of a million digits.
_MAX_EXPONENT = 16
_MAX_BITS = 512


class Term(NamedTuple):
    """One entry of a table of terms: its arguments are places in the table."""

    op: str
    args: tuple[int, ...] = ()
    value: Any = None  # of a number a Fraction; of an atom what names it


class Terms:
    """A table of terms in which the same term is the same place, arguments before what uses them."""

    def __init__(self, *, plain: bool, strict: bool = False) -> None:
        self.plain = plain
        self.strict = strict
        self.rows: list[Term] = []
        self._index: dict[Term, int] = {}

    def intern(self, op: str, args: tuple[int, ...] = (), value: Any = None) -> int:
        """Return the place of a term."""
        term = Term(op, args, value)
        place = self._index.get(term)
        if place is None:
            place = self._index[term] = len(self.rows)
            self.rows.append(term)
        return place

    def atom(self, name: Any) -> int:
        """Return what is taken as a whole and known by `name`."""
        return self.intern(ATOM, (), name)

    def number(self, value: Fraction | int) -> int:
        """Return a number."""
        return self.intern(NUMBER, (), Fraction(value))

    def call(self, op: str, args: tuple[int, ...]) -> int:
        """Return `op(*args)`, in the form that this table writes it."""
        rule = None if self.plain else _ALGEBRAIC.get(op)
        return self.intern(op, args) if rule is None else rule(self, *args)

    # -- algebraic forms

    def value(self, place: int) -> Fraction | None:
        """Return the number at a place, None where there is something else."""
        term = self.rows[place]
        return term.value if term.op == NUMBER else None

    def add(self, a: int, b: int) -> int:
        """Return a sum."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.number(x + y)
        if x == 0:
            return b
        return a if y == 0 else self.intern("add", (a, b))

    def mul(self, a: int, b: int) -> int:
        """Return a product; a number comes first, and two of them are one."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.number(x * y)
        if y is not None:
            a, b, x = b, a, y
        if x is None:
            term = self.rows[a]
            if term.op == "mul" and self.value(term.args[0]) is not None:  # the number comes to the front
                return self.mul(term.args[0], self.mul(term.args[1], b))
            term = self.rows[b]
            if term.op == "mul" and self.value(term.args[0]) is not None:
                return self.mul(term.args[0], self.mul(a, term.args[1]))
            return self.intern("mul", (a, b))
        if x == 1:
            return b
        term = self.rows[b]
        inner = self.value(term.args[0]) if term.op == "mul" else None
        return self.intern("mul", (a, b)) if inner is None else self.mul(self.number(x * inner), term.args[1])

    def power(self, base: int, exponent: Fraction | int) -> int:
        """Return a power with an exact exponent; integer powers of products and powers are multiplied out."""
        q = Fraction(exponent)
        if q == 1:
            return base
        if q.denominator != 1:
            return self.intern("pow", (base, self.number(q)))
        done: dict[int, int] = {}
        stack = [base]
        while stack:
            i = stack[-1]
            term = self.rows[i]
            missing = [a for a in term.args if a not in done] if term.op == "mul" else []
            if missing:
                stack += missing
                continue
            stack.pop()
            done[i] = self.mul(done[term.args[0]], done[term.args[1]]) if term.op == "mul" else self._power(i, q)
        return done[base]

    def _power(self, base: int, q: Fraction) -> int:
        term = self.rows[base]
        if term.op == NUMBER and (term.value or q > 0) and abs(q) <= _MAX_EXPONENT:
            found = term.value ** int(q)
            if found.numerator.bit_length() + found.denominator.bit_length() <= _MAX_BITS:
                return self.number(found)
        inner = self.value(term.args[1]) if term.op == "pow" else None
        if inner and q and (q == -1 or inner.denominator == 1) and not (self.strict and inner < 0 and q < 0):
            return self.power(term.args[0], inner * q)
        return self.intern("pow", (base, self.number(q)))

    def power_of(self, base: int, exponent: int) -> int:
        """Return a power."""
        q = self.value(exponent)
        return self.intern("pow", (base, exponent)) if q is None else self.power(base, q)


_ALGEBRAIC: dict[str, Callable[..., int]] = {
    "add": Terms.add,
    "mul": Terms.mul,
    "pow": Terms.power_of,
    "neg": lambda t, a: t.mul(t.number(-1), a),
    "sub": lambda t, a, b: t.add(a, t.mul(t.number(-1), b)),
    "div": lambda t, a, b: t.mul(a, t.power(b, -1)),
    "sqrt": lambda t, a: t.power(a, HALF),
    "fma": lambda t, a, b, c: t.add(t.mul(a, b), c),
}


def encode(terms: Terms, pool: ExprPool, roots: list[int], atoms: Mapping[int, Any]) -> dict[int, int]:
    """Enter what is below `roots` into a table and return the places; nodes in `atoms` by the names these give.

    Symbols and floats that `atoms` does not name are atoms named by their ids.
    """
    nodes = pool._nodes
    places: dict[int, int] = {}
    for i in _needed(pool, roots, atoms):
        node = nodes[i]
        if i in atoms:
            places[i] = terms.atom(atoms[i])
        elif node[0] == "integer":
            places[i] = terms.number(node[1])
        elif node[0] == "rational":
            places[i] = terms.number(Fraction(node[1], node[2]))
        elif node[0] == "const":
            places[i] = terms.intern(CONSTANT + node[1])
        elif node[0] in LEAVES:
            places[i] = terms.atom(i)
        else:
            places[i] = terms.call(node[0], tuple([places[c] for c in node[1:]]))
    return places


def _needed(pool: ExprPool, roots: list[int], atoms: Mapping[int, Any]) -> list[int]:
    """Return the ids below `roots`, down to atoms, children first."""
    if not atoms:
        return reachable(pool, roots)
    seen = set(roots)
    stack = list(seen)
    while stack:
        i = stack.pop()
        node = pool._nodes[i]
        if i not in atoms and node[0] not in LEAVES:
            fresh = [c for c in node[1:] if c not in seen]
            seen.update(fresh)
            stack += fresh
    return sorted(seen)


# ---------------------------------------------------------------------------------------------- the engine's words


def word(op: str) -> str:
    """Return the engine's name for an op: its own primitives have names such as `abs`."""
    return f"E.{op}"


def knowledge(relation: str) -> str:
    """Return the engine's name for what is known of a term: its primitives have names such as `neg`."""
    return f"K.{relation}"


class Words:
    """Makes the engine's syntax trees."""

    def __init__(self) -> None:
        self.b = bindings()
        self.span = self.b.PanicSpan()
        self.numbers: dict[Fraction, Any] = {}
        self.variables: list[Any] = []

    def call(self, name: str, args: list[Any]) -> Any:
        """Return a call."""
        return self.b.Call(self.span, name, args)

    def int(self, value: int) -> Any:
        """Return a literal of 64 bits."""
        return self.b.Lit(self.span, self.b.Int(value))

    def var(self, name: str) -> Any:
        """Return a variable."""
        return self.b.Var(self.span, name)

    def place(self, place: int) -> Any:
        """Return the variable of a place in a table."""
        while len(self.variables) <= place:
            self.variables.append(self.var(f"t{len(self.variables)}"))
        return self.variables[place]

    def exact(self, value: Fraction) -> Any:
        """Return an exact number, of any size."""
        found = self.numbers.get(value)
        if found is None:
            found = self.call("bigrat", [self._integer(value.numerator), self._integer(value.denominator)])
            if len(self.numbers) < 1000:
                self.numbers[value] = found
        return found

    def _integer(self, value: int) -> Any:
        if -(2**62) < value < 2**62:
            return self.call("bigint", [self.int(value)])
        return self.call("from-string", [self.b.Lit(self.span, self.b.String(str(value)))])

    def term(self, term: Term, arg: Callable[[int], Any]) -> Any:
        """Return one term, its arguments as `arg` writes them."""
        if term.op == NUMBER:
            return self.call(word(NUMBER), [self.exact(term.value)])
        if term.op == ATOM:
            return self.call(word(ATOM), [self.int(term.value)])
        return self.call(word(term.op), [arg(a) for a in term.args])

    def pattern(self, terms: Terms, place: int, names: Mapping[int, str]) -> Any:
        """Return a whole term as one tree, atoms as the variables that `names` has for them."""
        trees: dict[int, Any] = {}
        for i, term in enumerate(terms.rows[: place + 1]):
            named = term.op == ATOM
            trees[i] = self.var(names[term.value]) if named else self.term(term, trees.__getitem__)
        return trees[place]


# ------------------------------------------------------------------------------------------------------ identities

_FACTS = {"positive": "pos", "nonnegative": "nonneg", "nonzero": "nz", "integer": "int"}
# A comparison says that a difference is positive, not negative, or not zero.
_CONDITIONS = {"gt": ("pos", False), "ge": ("nonneg", False), "lt": ("pos", True), "le": ("nonneg", True)}
# What has a value wherever its operands have one: only this may be written into the e-graph to ask for its sign.
_TOTAL = frozenset({"add", "sub", "mul", "neg"})


class Direction(NamedTuple):
    """One direction of an identity: `left` is looked for, `right` is put beside it."""

    identity: Identity
    left: Expr
    right: Expr

    @property
    def ops(self) -> dict[str, int]:
        """The ops of the left side, and how many distinct nodes of each there are, as plain terms."""
        pool = self.left.pool
        counts: dict[str, int] = {}
        for i in reachable(pool, [self.left.id]):
            op = pool._nodes[i][0]
            if op not in LEAVES:
                counts[op] = counts.get(op, 0) + 1
        return counts


def directions(identity: Identity) -> list[Direction]:
    """Return the directions in which an identity is used: a side that is a bare symbol or number is not looked for."""
    found = [Direction(identity, identity.left, identity.right)]
    if identity.both_ways:
        found.append(Direction(identity, identity.right, identity.left))
    return [d for d in found if d.left.op not in LEAVES]


def fault_of(identity: Any) -> str:
    """Return why something is no identity that the e-graph can use, or ""."""
    if not isinstance(identity, Identity):
        return f"gave a list with a {type(identity).__name__} in it, not Identity"
    try:
        ways = directions(identity)
        conditions_of(identity)
        for way in ways:
            _check_floats(way)
    except AlkahestError as error:
        return " ".join(str(error).split())
    return "" if ways else f"the identity {identity.name!r} has a symbol or number alone on its left"


def has_conditions(identity: Identity) -> bool:
    """Tell whether an identity holds under conditions only."""
    return bool(identity.where) or any([s.domain in _FACTS for s in identity.symbols])


def widens(identity: Identity) -> bool:
    """Tell whether the right side may have a value where the left has none: also where it drops a symbol.

    A symbol stands for any expression, `log(x)` too: sin(a)^2 + cos(a)^2 has no value where a has none, and 1 has.
    """
    pool = identity.pool
    kept = reachable(pool, [identity.right.id])
    return identity.widens or any([s.id not in kept for s in identity.symbols])


def rule_commands(words: Words, direction: Direction, name: str, ruleset: str, *, plain: bool) -> list[Any]:
    """Return the commands that make a direction of an identity a rule of the engine."""
    identity = direction.identity
    pool = identity.pool
    names = {s.id: f"v{k}" for k, s in enumerate(identity.symbols)}
    atoms = {i: i for i in names}
    _check_floats(direction)
    terms = Terms(plain=plain)
    left = encode(terms, pool, [direction.left.id], atoms)[direction.left.id]
    if terms.rows[left].op in (ATOM, NUMBER):
        return []
    right = encode(terms, pool, [direction.right.id], atoms)[direction.right.id]
    if left == right:
        return []
    out = words.var("out")
    match = words.b.Eq(words.span, out, words.pattern(terms, left, names))
    facts = [
        words.b.Fact(words.call(knowledge(_FACTS[s.domain]), [words.var(names[s.id])]))
        for s in identity.symbols
        if s.domain in _FACTS
    ]
    demands: list[Any] = []
    for relation, difference in conditions_of(identity):
        place = encode(terms, pool, [difference.id], atoms)[difference.id]
        tree = words.pattern(terms, place, names)
        facts.append(words.b.Fact(words.call(knowledge(relation), [tree])))
        if terms.rows[place].op not in (ATOM, NUMBER) and _is_total(difference):
            demands.append(words.b.Expr_(words.span, tree))
    head = [words.b.Union(words.span, out, words.pattern(terms, right, names))]
    rules = [words.b.Rule(words.span, head, [match, *facts], name, ruleset)]
    if demands:
        rules.append(words.b.Rule(words.span, demands, [match], f"{name} asks", ruleset))
    return [words.b.RuleCommand(rule) for rule in rules]


def _check_floats(direction: Direction) -> None:
    pool = direction.left.pool
    for i in reachable(pool, [direction.left.id, direction.right.id]):
        if pool._nodes[i][0] == "float":
            raise IdentityError(
                f"the identity {direction.identity.name!r} has the float {Expr(pool, i)}.",
                remedy="Write identities with exact numbers: pool.rational(1, 2), or x / 2.",
            )


def conditions_of(identity: Identity) -> list[tuple[str, Expr]]:
    """Return the conditions in `where` as (relation, what has it); raises `IdentityError` for anything else."""
    found: list[tuple[str, Expr]] = []
    work = list(identity.where)
    while work:
        condition = work.pop(0)
        if condition.op == "and":
            work += condition.args
            continue
        if condition.op not in (*_CONDITIONS, "ne"):
            raise IdentityError(
                f"the identity {identity.name!r} has the condition {condition}.",
                remedy="Use comparisons by <, <=, >, >= and alkahest.ne, joined by alkahest.and_.",
            )
        relation, swapped = _CONDITIONS.get(condition.op, ("nz", False))
        a, b = reversed(condition.args) if swapped else condition.args
        found.append((relation, a if b.value == 0 else a - b))
    return found


def _is_total(expr: Expr) -> bool:
    nodes = expr.pool._nodes
    return all([nodes[i][0] in LEAVES or nodes[i][0] in _TOTAL for i in reachable(expr.pool, [expr.id])])
