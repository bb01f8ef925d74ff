"""Picks formulas out of an e-graph by their errors at points, from the leaves upwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from alkahest.base.rules import impl_rules
from alkahest.expr.expression import Expr
from alkahest.expr.pool import ExprPool
from alkahest.symbolic.stability.alternatives import BITS_PER_COST, op_cost
from alkahest.symbolic.stability.budget import Deadline
from alkahest.symbolic.stability.error import ordinals
from alkahest.symbolic.stability.judging import Points
from alkahest.symbolic.stability.program import Op, Program, doubted, nearest_float, program_of
from alkahest.symbolic.stability.tidying import tidied
from alkahest.symbolic.stability.truth import truth

if TYPE_CHECKING:
    from alkahest.symbolic.egraph.engine import ENode, Graph

_ROUNDS = 24
_MOST_ROOTS = 16  # formulas told of one class
_LEAVES = ("atom", "number")


class Term(NamedTuple):
    """A formula picked for a class: immutable, so that what is built of terms has no cycles."""

    node: ENode
    args: tuple[Term, ...]
    floats: Any
    cost: float
    score: float


class _Row(NamedTuple):
    owner: int
    node: ENode


class Chooser:
    """A saturated e-graph with the true values of its classes at points."""

    def __init__(self, pool: ExprPool, graph: Graph, root: int, points: Points, deadline: Deadline) -> None:
        import numpy as np

        self._pool = pool
        self._points = points
        self._deadline = deadline
        self._root = root
        rows = _ordered_rows(graph, root)
        self._floats: dict[int, Any] = {}
        true = self._truths(rows)
        self._rows = [row for row in rows if row.owner in true]
        place = {owner: k for k, owner in enumerate(true)}
        values = np.array([true[owner] for owner in true]).reshape(len(true), points.count)
        self._known = ~np.isnan(values)
        self._true = ordinals(values)
        self._place = np.array([place[row.owner] for row in self._rows], dtype=np.int64)
        self._users: dict[int, list[int]] = defaultdict(list)
        for k, row in enumerate(self._rows):
            for c in set(row.node.children):
                self._users[c].append(k)

    @property
    def count(self) -> int:
        """How many points there are."""
        return self._points.count

    def _truths(self, rows: list[_Row]) -> dict[int, Any]:
        """Return the true values of each class, computed from the first of its nodes that can be."""
        atoms = [Expr(self._pool, r.node.value) for r in rows if r.node.op == "atom"]
        program, where = program_of(atoms, self._points.domain.inputs) if atoms else (Program([]), {})
        floats = program.floats(self._points.columns, doubtful=True)
        slot: dict[int, int] = {}
        for owner, node in rows:
            if node.op == "atom":
                self._floats[node.value] = floats[where[node.value]]
            if owner in slot or any(c not in slot for c in node.children):
                continue
            if node.op == "atom":
                slot[owner] = where[node.value]
                continue
            slot[owner] = len(program.ops)
            args = tuple([slot[c] for c in node.children])
            program.ops.append(Op(node.op, args, Fraction(node.value) if node.op == "number" else None))
        found = truth(program, self._points.columns, sorted(set(slot.values())), self._deadline, levels=3)
        return {owner: found.values[k] for owner, k in slot.items()}

    def pick(self, weights: Any) -> list[Expr]:
        """Return the root's formulas, best first; errors count by the weights of their points."""
        best: dict[int, Term] = {}
        todo: Iterable[int] = range(len(self._rows))
        for _ in range(_ROUNDS):
            changed: set[int] = set()
            for owner, term in self._terms(todo, best, weights):
                old = best.get(owner)
                if old is None or term.score < old.score - 1e-9:
                    best[owner] = term
                    changed.add(owner)
            todo = sorted({k for owner in changed for k in self._users.get(owner, ())})
            if not todo or self._deadline.expired:
                break
        roots = [t for _, t in self._terms(self._rows_of_root(), best, weights)]
        roots.sort(key=lambda t: t.score)
        return list(dict.fromkeys([tidied(_built(self._pool, t)) for t in roots[:_MOST_ROOTS]]))

    def _rows_of_root(self) -> list[int]:
        return [k for k, row in enumerate(self._rows) if row.owner == self._root]

    def _terms(self, rows: Iterable[int], best: dict[int, Term], weights: Any) -> list[tuple[int, Term]]:
        """Return terms for rows whose operands have some, all rows of one op at a time."""
        groups: dict[str, list[int]] = defaultdict(list)
        for k in rows:
            node = self._rows[k].node
            if all(c in best for c in node.children):
                groups[node.op].append(k)
        return [pair for op, group in groups.items() for pair in self._group(op, group, best, weights)]

    def _group(self, op: str, rows: list[int], best: dict[int, Term], weights: Any) -> list[tuple[int, Term]]:
        import numpy as np

        nodes = [self._rows[k].node for k in rows]
        args = [tuple([best[c] for c in node.children]) for node in nodes]
        with np.errstate(all="ignore"):
            if op in _LEAVES:
                floats = np.array([self._leaf(node) for node in nodes])
            else:
                columns = [np.array([row[k].floats for row in args]) for k in range(len(args[0]))]
                floats = doubted(op, impl_rules.by_name(op).array_function()(*columns))
            scores = self._errors(floats, self._place[rows]) @ weights / (float(weights.sum()) or 1.0)
        own = op_cost(op)
        out: list[tuple[int, Term]] = []
        for k, row in enumerate(rows):
            cost = own + sum([a.cost for a in args[k]])
            score = float(scores[k]) + BITS_PER_COST * min(cost, 1000.0)
            out.append((self._rows[row].owner, Term(nodes[k], args[k], floats[k], cost, score)))
        return out

    def _leaf(self, node: ENode) -> Any:
        import numpy as np

        if node.op == "atom":
            return self._floats[node.value]
        return np.full(self._points.count, nearest_float(Op("number", (), Fraction(node.value))))

    def _errors(self, floats: Any, place: Any) -> Any:
        """Return about `bits_of_error` of many rows at once; nan and infinities are far from all else."""
        import numpy as np

        a, b = ordinals(np.ascontiguousarray(floats)), self._true[place]
        apart = (np.maximum(a, b) - np.minimum(a, b)).view(np.uint64).astype(np.float64)
        return np.log2(1.0 + apart) * self._known[place]


def _ordered_rows(graph: Graph, root: int) -> list[_Row]:
    """Return the nodes of the classes below a root, those that can be computed earliest first."""
    reached, stack = {root}, [root]
    while stack:
        for node in graph.classes.get(stack.pop(), ()):
            for c in node.children:
                if c not in reached:
                    reached.add(c)
                    stack.append(c)
    rows: list[_Row] = [_Row(owner, node) for owner in sorted(reached) for node in graph.classes.get(owner, ())]
    rows.sort(key=lambda r: (r.owner, r.node.op, r.node.children, str(r.node.value)))
    known: set[int] = set()
    out: list[_Row] = []
    while rows:
        before = set(known)
        ready: list[_Row] = [r for r in rows if all(c in before for c in r.node.children)]
        if not ready:
            break
        out += ready
        known |= {r.owner for r in ready}
        rows = [r for r in rows if any(c not in before for c in r.node.children)]
    return out


def _built(pool: ExprPool, root: Term) -> Expr:
    """Return a term as an expression."""
    done: dict[int, Expr] = {}
    stack = [root]
    while stack:
        term = stack[-1]
        missing = [a for a in term.args if id(a) not in done]
        if missing:
            stack += missing
            continue
        stack.pop()
        if term.node.op == "atom":
            done[id(term)] = Expr(pool, term.node.value)
        elif term.node.op == "number":
            done[id(term)] = pool.number(Fraction(term.node.value))
        else:
            done[id(term)] = pool.apply(term.node.op, *[done[id(a)] for a in term.args])
    return done[id(root)]
