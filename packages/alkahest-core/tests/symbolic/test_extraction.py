"""Extraction: cheapest by any cost model, shared parts once, the same answer each time."""

from fractions import Fraction

import pytest

from alkahest import ExprPool, exp, sin, sqrt
from alkahest.symbolic.egraph.costs import OpCost, SizeCost, cost_of
from alkahest.symbolic.egraph.engine import ENode, Graph
from alkahest.symbolic.egraph.extraction import built, extract


class Table:
    """Costs by op."""

    def __init__(self, **costs):
        self.costs = costs

    def node(self, op, args):
        return self.costs.get(op, 1.0)


def graph(root, **classes):
    return Graph(root, {int(k[1:]): ways for k, ways in classes.items()}, ())


X = ENode("atom", (), 0)


def test_the_cost_model_decides():
    g = graph(2, c0=[X], c1=[ENode("sin", (0,))], c2=[ENode("exp", (0,)), ENode("abs", (1,))])
    assert extract(g, Table(exp=5.0)).choice[2].op == "abs"
    assert extract(g, Table(exp=2.0)).choice[2].op == "exp"


def test_shared_nodes_cost_once():
    # f = sin(x) + sin(x) costs 10 once; as a tree 20, and then g, 15, would win.
    g = graph(2, c0=[X], c1=[ENode("sin", (0,))], c2=[ENode("add", (1, 1)), ENode("exp", (0,))])
    found = extract(g, Table(sin=10.0, exp=15.0, atom=0.0))
    assert (found.choice[2].op, found.cost) == ("add", 11.0)


def test_sixty_levels_of_sharing_do_not_overflow():
    classes = {f"c{k}": [ENode("mul", (k - 1, k - 1))] for k in range(1, 2000)}
    found = extract(graph(1999, c0=[X], **classes), SizeCost())
    assert found.cost == 2000.0
    pool = ExprPool()
    pool.symbol("x")
    assert built(pool, found).node_count() == 2000


def test_cycles_are_never_chosen():
    g = graph(1, c0=[X], c1=[ENode("sin", (2,)), ENode("exp", (0,))], c2=[ENode("abs", (1,))])
    found = extract(g, Table(exp=100.0, sin=0.0, abs=0.0))
    assert found.choice[1].op == "exp"


def test_what_cannot_be_written_is_none():
    assert extract(graph(0, c0=[ENode("sin", (0,))]), SizeCost()) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_ties_are_broken_by_structure(order):
    ways = [ENode("sin", (0,)), ENode("cos", (0,))]
    g = graph(1, c0=[X], c1=[ways[k] for k in order])
    assert extract(g, SizeCost()).choice[1].op == extract(graph(1, c0=[X], c1=ways), SizeCost()).choice[1].op


def test_costs_of_targets():
    x, y = ExprPool().symbols("x y")
    model = OpCost()
    assert cost_of([x / y], model) > cost_of([x * y], model)
    assert cost_of([x**2], model) < cost_of([x**7], model) < cost_of([x**y], model)
    assert cost_of([exp(x)], model) > cost_of([sqrt(x)], model) > cost_of([x + y], model)
    assert cost_of([x * y + x], model) < cost_of([x * y], model) + 1  # one fused operation
    assert cost_of([x / y], OpCost("gpu")) > cost_of([x / y], model)
    assert model.node("mul", (Fraction(-1), "atom")) == 0  # a sign


def test_size_counts_shared_nodes_once():
    x = ExprPool().symbol("x")
    assert cost_of([sin(x) * sin(x)], SizeCost()) == 5.0
