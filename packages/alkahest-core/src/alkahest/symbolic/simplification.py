"""`simplify`: the front door of the simplifier."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal, cast, overload

from alkahest.errors import ConfigError, OperandError, PoolMismatchError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES
from alkahest.expr.traversal import reachable
from alkahest.symbolic.canonical import canonical
from alkahest.symbolic.derivation import Derivation, Step
from alkahest.symbolic.egraph.costs import CostModel, SizeCost, cost_of
from alkahest.symbolic.facts.assumptions import assumed_facts, conditions_now
from alkahest.symbolic.facts.definedness import has_none
from alkahest.symbolic.facts.fact import Fact
from alkahest.symbolic.rules.identity import GROUPS, Identity

Rules = Iterable["str | Identity"]

# Identities for rounding trade the shape of a formula for its digits: they are `stabilize`'s.
_USUAL = tuple([group for group in GROUPS if group != "stability"])
# But for those that cost less as well.
_AS_ACCURATE = frozenset({
    "exponential less one", "one less an exponential", "logarithm beside one", "logarithm below one",
})  # fmt: skip
_ROUNDS = 4
# Quotients are brought into lowest terms where identities about arithmetic are used.
_RATIONAL = "arithmetic"
_SUMS = frozenset({"add", "sub"})
_NUMBERS = frozenset({"integer", "rational"})
_PRODUCTS = frozenset({"mul", "neg", "pow"})


@overload
def simplify(
    expr: Expr,
    *,
    rules: Rules | None = None,
    cost: CostModel | None = None,
    assumptions: Iterable[Expr] = (),
    strict: bool = False,
    steps: Literal[False] = False,
) -> Expr: ...


@overload
def simplify(
    expr: Expr,
    *,
    rules: Rules | None = None,
    cost: CostModel | None = None,
    assumptions: Iterable[Expr] = (),
    strict: bool = False,
    steps: Literal[True],
) -> Derivation: ...


@overload
def simplify(
    expr: Expr,
    *,
    rules: Rules | None = None,
    cost: CostModel | None = None,
    assumptions: Iterable[Expr] = (),
    strict: bool = False,
    steps: bool,
) -> Expr | Derivation: ...


def simplify(
    expr: Expr,
    *,
    rules: Rules | None = None,
    cost: CostModel | None = None,
    assumptions: Iterable[Expr] = (),
    strict: bool = False,
    steps: bool = False,
) -> Expr | Derivation:
    """Return `expr` as small as the identities make it, or the `Derivation` with `steps=True`.

    The result equals `expr` wherever `expr` has a real value, and may have one in more places (`x/x` becomes 1);
    `strict=True` keeps the domain exactly. Floats keep their value and are not merged with other numbers.

    `rules` are names of groups of identities, or identities; all of core's and the plugins' unless given, `()` for the
    canonical form alone: exact constants folded, like terms and like bases collected, in time linear in the DAG.
    `cost` is what is made small: `SizeCost()` unless given, `OpCost()`, `StabilityCost(domain)`, or your own model.
    `assumptions` are comparisons that hold, beside those of `assuming`.

    Raises `OperandError` for anything but an `Expr`, `ConfigError` for rules and costs that are none,
    `AssumptionError` for conditions that cannot be assumed or contradict each other.

    >>> from alkahest import ExprPool, cos, log, sin, sqrt
    >>> x, y = ExprPool().symbols("x y")
    >>> simplify(x * y * x / x + 3 * y - y / 3 - sin(-y))
    x*y + 8*y/3 + sin(y)
    >>> simplify(y * sin(x) ** 2 + y * cos(x) ** 2 + (x**2 - 1) / (x - 1))
    x + y + 1
    >>> simplify(sqrt(x**2), assumptions=[x > 0])
    x
    """
    done = _Request(rules, cost, assumptions, strict).derive(expr)
    return done if steps else done.expr


_simplify: Callable[..., Any] = simplify


def simplify_trig(expr: Expr, **options: Any) -> Any:
    """Return `expr` simplified with the identities of trigonometric and hyperbolic functions; options as `simplify`.

    >>> from alkahest import ExprPool, cos, sin
    >>> x = ExprPool().symbol("x")
    >>> simplify_trig(2 * sin(x) * cos(x))
    sin(2*x)
    """
    return _simplify(expr, rules=("trigonometric", "hyperbolic"), **options)


def simplify_log_exp(expr: Expr, **options: Any) -> Any:
    """Return `expr` simplified with the identities of exponentials, logarithms and powers; options as `simplify`.

    >>> from alkahest import ExprPool, exp, log
    >>> x, y = ExprPool().symbols("x y")
    >>> simplify_log_exp(log(exp(x) * exp(y)))
    x + y
    """
    return _simplify(expr, rules=("exponential", "roots"), **options)


def simplified(exprs: Sequence[Expr], *, cost: CostModel | None = None) -> list[Expr]:
    """Return expressions of one pool simplified together and arranged so that common parts are computed once."""
    from alkahest.symbolic.rules.registry import identities_of
    from alkahest.symbolic.sharing.share import share

    request = _Request(None, cost, (), strict=False)
    request.own = tuple([i for i in identities_of(["stability"]) if i.name in _AS_ACCURATE])
    return share(request.run(list(exprs))[0])


class _Request:
    """What `simplify` was asked for."""

    def __init__(self, rules: Rules | None, cost: CostModel | None, assumptions: Iterable[Expr], strict: bool) -> None:
        self.groups, self.own = ((), ()) if rules is None else _rules(rules)
        self.is_usual = rules is None
        self.cost = SizeCost() if cost is None else cost
        self.conditions = conditions_now()
        self.assumptions = tuple(assumptions)
        self.strict = strict
        _check_cost(self.cost)

    def derive(self, expr: Any) -> Derivation:
        """Return the simplified expression and its derivation."""
        if not isinstance(expr, Expr):
            raise OperandError(
                f"a value of type {type(expr).__name__} is no expression.",
                remedy="Pass an Expr; pool.expr(value) makes one of a number.",
            )
        stabilizes = getattr(self.cost, "best", None)
        if stabilizes is not None:
            found = stabilizes(expr)
            return Derivation(found.expr, tuple(found.steps))
        [out], steps = self.run([expr])
        return Derivation(out, tuple(steps))

    def run(self, exprs: list[Expr]) -> tuple[list[Expr], list[Step]]:
        """Return expressions simplified together, and the steps."""
        if not exprs:
            return [], []
        pool = exprs[0].pool
        conditions = (*self.conditions, *self.assumptions)
        if any([isinstance(c, Expr) and c.pool is not pool for c in self.assumptions]):
            raise PoolMismatchError(
                "an assumption is an expression of another pool.", remedy="Build it in the pool of the expression."
            )
        assumed = assumed_facts(conditions, pool) if conditions else None
        now = canonical(exprs, assumed=assumed, strict=self.strict)
        steps = [Step("canonical form", b, a) for b, a in zip(exprs, now, strict=True) if a.id != b.id]
        if self.is_usual:
            if _are_expanded(now):
                return now, steps
            self.groups = _usual_groups()
        elif not self.groups and not self.own:
            return now, steps
        if _has_undefined(now):
            return now, steps  # it stays as it is written, and nothing is concluded from it
        for _ in range(_ROUNDS):
            before = now
            now = self._improved(now, assumed, steps)
            now = self._reduced(now, steps)
            if all([a.id == b.id for a, b in zip(now, before, strict=True)]) or (self.is_usual and _are_expanded(now)):
                break
        return now, steps

    def _improved(self, exprs: list[Expr], assumed: dict[int, Fact] | None, steps: list[Step]) -> list[Expr]:
        from alkahest.symbolic.egraph.islands import improve
        from alkahest.symbolic.rules.registry import identities_of

        identities = (*identities_of(self.groups), *self.own)
        out, made = improve(exprs, identities=identities, cost=self.cost, assumed=assumed, strict=self.strict)
        steps += made
        return out

    def _reduced(self, exprs: list[Expr], steps: list[Step]) -> list[Expr]:
        """Return what is left of quotients and sums once equal parts and common factors are gone."""
        if _RATIONAL not in self.groups or self.strict:
            return exprs
        from alkahest.symbolic.rational.factored import compact
        from alkahest.symbolic.rational.reducing import cancelled

        out = [cancelled(e) for e in exprs]
        out = [compact(e, self.cost) if _is_quotient(e) else e for e in out]
        if all([a.id == b.id for a, b in zip(out, exprs, strict=True)]):
            return exprs
        if cost_of(out, self.cost) > cost_of(exprs, self.cost):
            return exprs
        steps += [Step("lowest terms", b, a) for b, a in zip(exprs, out, strict=True) if a.id != b.id]
        return out


def _are_expanded(exprs: Sequence[Expr]) -> bool:
    """Tell whether expressions are sums of products of powers: the canonical form leaves nothing to find in these."""
    pool = exprs[0].pool
    nodes = pool._nodes
    for i in reachable(pool, [e.id for e in exprs]):
        op = nodes[i][0]
        if op in LEAVES or op in _SUMS:
            continue
        if op not in _PRODUCTS or any([nodes[c][0] in _SUMS for c in nodes[i][1:]]):
            return False
    return len(exprs) == 1


def _is_quotient(expr: Expr) -> bool:
    """Tell whether something is divided by what is no number, in an expression in canonical form."""
    nodes = expr.pool._nodes
    for i in reachable(expr.pool, [expr.id]):
        node = nodes[i]
        if (node[0] == "div" and nodes[node[2]][0] not in _NUMBERS) or node[0] == "pow":
            return True
    return False


def _has_undefined(exprs: Sequence[Expr]) -> bool:
    """Tell whether there is an operation on literals that has no value."""
    pool = exprs[0].pool
    nodes = pool._nodes
    return any([has_none(nodes, nodes[i]) for i in reachable(pool, [e.id for e in exprs])])


def _usual_groups() -> tuple[str, ...]:
    from alkahest.symbolic.rules.registry import all_identities

    return (*_USUAL, *dict.fromkeys([i.group for i in all_identities() if i.group not in GROUPS]))


def _check_cost(cost: Any) -> None:
    if hasattr(cost, "best"):
        return
    try:
        trial = [cost.node("atom", ()), cost.node("sin", ("atom",)), cost.node("mul", (Fraction(2), "atom"))]
        good = all([isinstance(c, int | float) and 0 <= c < math.inf for c in trial])
    except Exception as error:
        raise ConfigError(
            f"{cost!r} is no cost: {type(error).__name__}: {error}.",
            remedy="Pass SizeCost(), OpCost(), StabilityCost(domain), or an object whose `node` returns numbers.",
        ) from error
    if not good:
        raise ConfigError(f"{cost!r} gives {trial} as costs.", remedy="Let `node` return finite numbers, 0 or more.")


def _rules(rules: Rules) -> tuple[tuple[str, ...], tuple[Identity, ...]]:
    """Return the groups and the single identities that are asked for."""
    if not isinstance(rules, Iterable):
        rules = [rules] if isinstance(rules, Identity) else [cast("Any", rules)]
    asked: list[Any] = [rules] if isinstance(rules, str) else list(rules)
    groups = tuple([r for r in asked if isinstance(r, str)])
    own = tuple([r for r in asked if isinstance(r, Identity)])
    if len(groups) + len(own) != len(asked):
        wrong = next(r for r in asked if not isinstance(r, str | Identity))
        raise ConfigError(f"{wrong!r} is no rule.", remedy="Name groups of identities, or pass Identity objects.")
    _check_groups(groups)
    return groups, own


def _check_groups(groups: tuple[str, ...]) -> None:
    unknown = [g for g in groups if g not in GROUPS]
    if not unknown:
        return
    from alkahest.symbolic.rules.registry import all_identities

    known = {*GROUPS, *[i.group for i in all_identities()]}
    for name in unknown:
        if name not in known:
            raise ConfigError(
                f"no group of identities is called {name!r}.", remedy=f"There are {', '.join(sorted(known))}."
            )
