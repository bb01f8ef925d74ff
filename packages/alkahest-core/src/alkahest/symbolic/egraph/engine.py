"""Saturation: expressions and identities go into egglog's e-graph, a graph of plain Python objects comes out.

One e-graph per thread and set of identities, with its rules ready; each call works between a push and a pop. Within
the engine nothing can be interrupted, so one iteration is one call: time, size and Ctrl-C are heeded in between.
Whatever goes wrong inside costs the result, never a wrong one: the answer is None.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.traversal import reachable
from alkahest.symbolic.egraph.axioms import axioms, settled
from alkahest.symbolic.egraph.bindings import EngineFailure, bindings, parsed, run
from alkahest.symbolic.egraph.definedness import wholes
from alkahest.symbolic.egraph.encoding import (
    ATOM,
    CONSTANT,
    NUMBER,
    Direction,
    Terms,
    Words,
    directions,
    encode,
    has_conditions,
    knowledge,
    rule_commands,
    widens,
    word,
)
from alkahest.symbolic.facts.analysis import Knowledge
from alkahest.symbolic.facts.fact import Fact
from alkahest.symbolic.rules.identity import Identity

_log = logging.getLogger(__name__)
# Nodes of several roots are kept apart by the number of the root.
_PER_ROOT = 1 << 40
# E-graphs with their rules that a thread keeps.
_KEPT = 24
# Where the graph is larger than this part of the budget, sums and products are no longer rearranged.
_ROOM = 3
# Growth is looked at from this part of the budget on.
_NEAR = 4


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What saturation may cost: iterations, rows of the e-graph per root, seconds in all."""

    iterations: int = 8
    nodes: int = 3000
    seconds: float = 1.0


class ENode(NamedTuple):
    """One way to write a class: an op of classes, a number, or an atom (a node of the pool)."""

    op: str
    children: tuple[int, ...]
    value: Any = None


class Graph(NamedTuple):
    """Classes of equal terms, what was looked at in `root`, and the names of the identities that fired, in order."""

    root: int
    classes: dict[int, list[ENode]]
    fired: tuple[str, ...]


def saturate(
    pool: ExprPool,
    roots: Sequence[int],
    identities: Sequence[Identity],
    *,
    facts: Mapping[int, Fact] | None = None,
    budget: Budget | None = None,
    plain: bool = False,
    strict: bool = False,
) -> Graph | None:
    """Return the e-graph of one root, None where the engine failed; see `saturate_all`."""
    return saturate_all(pool, roots[:1], identities, facts=facts, budget=budget, plain=plain, strict=strict)[0]


def saturate_all(
    pool: ExprPool,
    roots: Sequence[int],
    identities: Sequence[Identity],
    *,
    facts: Mapping[int, Fact] | Sequence[Mapping[int, Fact]] | None = None,
    budget: Budget | None = None,
    plain: bool = False,
    strict: bool = False,
    atoms: Sequence[Iterable[int]] | None = None,
) -> list[Graph | None]:
    """Return what equals each root by the identities, one graph per root; None for each where the engine failed.

    The roots share the cost of a call and nothing else: what is known of one, or follows where it has a value, is
    never used for another. `facts` are those of all roots, or one mapping per root; `atoms` are, per root, the nodes
    not to be looked into. `plain` keeps every op as it is written, else sums, products and powers stand for
    differences, quotients and roots. `strict` leaves out what may widen the domain.
    """
    budget = budget or Budget()
    used = tuple([i for i in identities if not (strict and widens(i))])
    tables = _tables(roots, facts)
    cut = atoms or [()] * len(roots)
    try:
        engine = _engine(used, plain, strict)
        return engine.saturate(pool, list(roots), tables, [set(c) for c in cut], budget)
    except EngineFailure as failure:
        _log.debug("the e-graph gave up: %s", failure)
        return [None] * len(roots)


def _tables(
    roots: Sequence[int], facts: Mapping[int, Fact] | Sequence[Mapping[int, Fact]] | None
) -> list[Mapping[int, Fact]]:
    if facts is None:  # what the domains of symbols say follows from itself
        return [{}] * len(roots)
    if isinstance(facts, Mapping):
        return [facts] * len(roots)
    return list(facts)


# --------------------------------------------------------------------------------------------------------- engines


class _Kept(threading.local):
    """The engines of one thread: an e-graph must not cross threads, nor a fork."""

    def __init__(self) -> None:
        self.engines: OrderedDict[Any, _Engine] = OrderedDict()
        self.pid = os.getpid()


_kept = _Kept()


def _engine(identities: tuple[Identity, ...], plain: bool, strict: bool) -> _Engine:
    if _kept.pid != os.getpid():
        _abandoned.append(_kept.engines)
        _kept.engines, _kept.pid = OrderedDict(), os.getpid()
    key = (identities, plain, strict)
    found = _kept.engines.get(key)
    if found is None:
        found = _kept.engines[key] = _Engine(identities, plain, strict, key)
        if len(_kept.engines) > _KEPT:
            _kept.engines.popitem(last=False)
    else:
        _kept.engines.move_to_end(key)
    return found


# What a forked process inherits must not even be freed there: that too waits for threads which are gone.
_abandoned: list[Any] = []


class _Engine:
    """One e-graph with its rules."""

    def __init__(self, identities: Sequence[Identity], plain: bool, strict: bool, key: Any) -> None:
        self.plain, self.strict = plain, strict
        self.key = key
        self.words = Words()
        self.graph: Any = bindings().EGraph()
        self.names: list[str] = []
        self.ops: dict[str, int] = {}
        ways = [d for identity in identities for d in directions(identity)]
        self.signs = any([has_conditions(i) for i in identities])
        self.axioms = axioms(plain=plain, strict=strict, signs=self.signs)
        self._declare(ways)
        commands: list[Any] = []
        for way in ways:
            commands += rule_commands(self.words, way, str(len(self.names)), "identities", plain=plain)
            self.names.append(way.identity.name)
        run(self.graph, commands)
        rulesets = ("facts", "numbers", "identities") if self.signs else ("numbers", "identities")
        self.steps = [self._run(r) for r in rulesets]
        self.structure = [self._run("structure")]

    def _run(self, ruleset: str) -> Any:
        b, span = self.words.b, self.words.span
        return b.RunSchedule(b.Run(span, b.RunConfig(ruleset, None)))

    def _declare(self, ways: list[Direction]) -> None:
        """Declare the sort, and all ops that the identities know."""
        text = "(datatype E (E.number BigRat) (E.atom i64)) (function node (i64) E :no-merge)"
        text += "".join([f"(ruleset {r})" for r in ("load", "facts", "numbers", "identities", "structure")])
        text += "".join([f"(relation {knowledge(r)} (E))" for r in ("pos", "neg", "nonneg", "nonpos", "nz", "int")])
        run(self.graph, parsed(self.graph, text))
        known: dict[str, int] = {} if self.plain else {"add": 2, "mul": 2, "pow": 2}
        for way in ways:
            pool = way.left.pool
            terms = Terms(plain=self.plain, strict=self.strict)
            sides = [way.left.id, way.right.id, *[c.id for c in way.identity.where]]
            for i in reachable(pool, sides):
                if pool.node(i)[0] in ("lt", "le", "gt", "ge") and i in sides[2:]:
                    terms.call("sub", (terms.atom(0), terms.atom(1)))
            encode(terms, pool, sides[:2], {s.id: s.id for s in way.identity.symbols})
            encode(terms, pool, sides[2:], {s.id: s.id for s in way.identity.symbols})
            known.update({t.op: len(t.args) for t in terms.rows})
        self._know(known)

    def _know(self, ops: Mapping[str, int]) -> None:
        """Declare ops that are new."""
        fresh = {op: n for op, n in ops.items() if op not in self.ops and op not in (ATOM, NUMBER)}
        b, span = self.words.b, self.words.span
        run(
            self.graph,
            [b.Constructor(span, word(op), b.Schema(["E"] * n, "E"), None, False) for op, n in fresh.items()],
        )
        self.ops.update(fresh)
        if not self.plain and fresh:
            run(self.graph, parsed(self.graph, "".join([settled(word(op), n) for op, n in fresh.items() if n])))
        ready = [(needed, text) for needed, text in self.axioms if needed <= self.ops.keys()]
        if ready:
            self.axioms = [axiom for axiom in self.axioms if axiom not in ready]
            run(self.graph, parsed(self.graph, " ".join([text for _, text in ready])))

    # -- one call

    def saturate(
        self,
        pool: ExprPool,
        roots: list[int],
        facts: list[Mapping[int, Fact]],
        cut: list[set[int]],
        budget: Budget,
    ) -> list[Graph | None]:
        """Return the graphs of some roots."""
        terms, actions = self._load(pool, roots, facts, cut)
        done = False
        b, span = self.words.b, self.words.span
        try:
            self._know({t.op: len(t.args) for t in terms.rows})
            run(self.graph, [b.Push(1)])
            run(self.graph, [b.RuleCommand(b.Rule(span, actions, [], "load", "load")), self._run("load")])
            fired = self._iterate(budget, len(roots))
            found = self._read(pool, len(roots), fired)
            run(self.graph, [b.Pop(span, 1)])
            done = True
        finally:
            if not done:  # in whatever state it is, the next call starts with a new one
                _kept.engines.pop(self.key, None)
        return found

    def _load(
        self, pool: ExprPool, roots: list[int], facts: list[Mapping[int, Fact]], cut: list[set[int]]
    ) -> tuple[Terms, list[Any]]:
        """Return the table of terms, and the actions that enter them and name the roots."""
        terms = Terms(plain=self.plain, strict=self.strict)
        known: list[tuple[str, int]] = []
        tops: list[int] = []
        known_of = Knowledge(pool._nodes)
        for k, root in enumerate(roots):
            order = _region(pool, root, cut[k])
            if k == 0 or facts[k] is not facts[k - 1]:
                known_of = Knowledge(pool._nodes, facts[k])
            atoms = {i: k * _PER_ROOT + i for i in _atoms(pool, order, root, known_of, cut[k])}
            places = encode(terms, pool, [root], atoms)
            tops.append(places[root])
            if self.signs:
                known += [(relation, place) for i, place in places.items() for relation in _relations(known_of.fact(i))]
        words, b = self.words, self.words.b
        actions = [
            b.Let(words.span, f"t{place}", words.term(term, words.place)) for place, term in enumerate(terms.rows)
        ]
        actions += [b.Set(words.span, "node", [words.int(k)], words.place(top)) for k, top in enumerate(tops)]
        actions += [
            b.Expr_(words.span, words.call(knowledge(relation), [words.place(place)]))
            for relation, place in dict.fromkeys(known)
            if terms.rows[place].op != NUMBER
        ]
        return terms, actions

    def _iterate(self, budget: Budget, roots: int) -> list[str]:
        """Run until nothing changes or the budget is spent; return the names of the identities that fired."""
        b, span = self.words.b, self.words.span
        end = time.monotonic() + budget.seconds
        limit = budget.nodes * roots
        size = 0
        fired: dict[str, None] = {}
        for _ in range(budget.iterations):
            small = self.plain is False and size * _ROOM < limit
            *reports, sizes = run(
                self.graph, [*self.steps, *(self.structure if small else []), b.PrintSize(span, None)]
            )
            for name in _matches(reports):
                if name.isdigit():
                    fired[self.names[int(name)]] = None
            before, size = size, sum([n for _, n in sizes.sizes])
            if not any([r.report.updated for r in reports]) or time.monotonic() > end:
                break
            if size > limit or (before and size * _NEAR > limit and size * size > before * limit):
                break  # the next iteration would go far beyond the limit
        return list(fired)

    def _read(self, pool: ExprPool, roots: int, fired: list[str]) -> list[Graph | None]:
        """Return the e-graph as plain objects, one graph per root."""
        classes: dict[Any, int] = {}
        rows: dict[int, list[ENode]] = {}
        tops: dict[int, int] = {}
        for name, function in self.graph.freeze().functions.items():
            if name == "node":
                for row in function.rows:
                    tops[self.graph.value_to_i64(row.inputs[0])] = classes.setdefault(row.output, len(classes))
            elif function.output_sort == "E":
                read = self._reader(pool, name.removeprefix("E."), classes)
                for row in function.rows:
                    rows.setdefault(classes.setdefault(row.output, len(classes)), []).append(read(row.inputs))
        if any([len([n for n in ways if n.op == NUMBER]) > 1 for ways in rows.values()]):
            return [None] * roots  # two numbers that differ are equal: a root has no value anywhere, or a rule is wrong
        return [_graph_of(tops[k], rows, tuple(fired), k) for k in range(roots)]

    def _reader(self, pool: ExprPool, op: str, classes: dict[Any, int]) -> Callable[[Any], ENode]:
        if op == NUMBER:
            return lambda inputs: ENode(NUMBER, (), Fraction(self.graph.value_to_bigrat(inputs[0])))
        if op == ATOM:
            return lambda inputs: ENode(ATOM, (), self.graph.value_to_i64(inputs[0]))
        if op.startswith(CONSTANT):
            constant = pool.constant(op.removeprefix(CONSTANT)).id
            return lambda inputs: ENode(ATOM, (), -1 - constant)
        return lambda inputs: ENode(op, tuple([classes.setdefault(v, len(classes)) for v in inputs]))


def _region(pool: ExprPool, root: int, cut: set[int]) -> list[int]:
    """Return the ids below a root, children first, down to what is cut off."""
    if not cut:
        return reachable(pool, [root])
    seen = {root}
    stack = [root]
    while stack:
        i = stack.pop()
        node = pool.node(i)
        if node[0] not in LEAVES and (i not in cut or i == root):
            fresh = [c for c in node[1:] if c not in seen]
            seen.update(fresh)
            stack += fresh
    return sorted(seen)


def _atoms(pool: ExprPool, order: list[int], root: int, knowledge: Knowledge, cut: set[int]) -> set[int]:
    """Return which nodes of a region are taken as a whole."""
    found = wholes(pool, order, knowledge)
    found.update([i for i in order if pool.node(i)[0] in ("symbol", "float")])
    found.update(cut)
    if root in cut:
        found.discard(root)
    return found.intersection(order)


def _relations(fact: Fact) -> list[str]:
    """Return what the engine is told of a node."""
    found = ["int"] if fact.integer else []
    if fact.positive:
        return [*found, "pos"]
    if fact.negative:
        return [*found, "neg"]
    if fact.nonnegative:
        found.append("nonneg")
    if fact.nonpositive:
        found.append("nonpos")
    if fact.nonzero:
        found.append("nz")
    return found


def _matches(reports: list[Any]) -> list[str]:
    return [name for r in reports for name, count in r.report.num_matches_per_rule.items() if count]


def _graph_of(top: int, rows: dict[int, list[ENode]], fired: tuple[str, ...], root: int) -> Graph:
    """Return what is reachable from a root, without what belongs to other roots."""
    classes: dict[int, list[ENode]] = {}
    stack = [top]
    foreign = False
    while stack:
        c = stack.pop()
        if c in classes:
            continue
        ways: list[ENode] = []
        for way in rows[c]:
            if way.op == NUMBER:
                ways = [way]
                break
            if way.op == ATOM:
                owner, ident = divmod(way.value, _PER_ROOT) if way.value >= 0 else (root, -1 - way.value)
                if owner != root:
                    foreign = True
                    continue
                way = way._replace(value=ident)
            ways.append(way)
        classes[c] = ways
        stack += [child for way in ways for child in way.children]
    return Graph(top, _without_empty(top, classes) if foreign else classes, fired)


def _without_empty(top: int, classes: dict[int, list[ENode]]) -> dict[int, list[ENode]]:
    """Return the classes without ways that lead to none: they were other roots'."""
    users: dict[int, set[int]] = {}
    for c, ways in classes.items():
        for way in ways:
            for child in way.children:
                users.setdefault(child, set()).add(c)
    work = [c for c, ways in classes.items() if not ways]
    while work:
        empty = work.pop()
        for user in users.get(empty, ()):
            if classes[user]:
                classes[user] = [w for w in classes[user] if empty not in w.children]
                if not classes[user]:
                    work.append(user)
    return {c: ways for c, ways in classes.items() if ways or c == top}
