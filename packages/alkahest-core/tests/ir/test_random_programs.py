"""Laws that hold for any program: random ones over format, concat and match, checkpoints, branches and depends."""

from __future__ import annotations

import asyncio
import pickle

from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.base import trees
from alkahest.extend import BoolAVal, FloatAVal, StrAVal, gather_p, is_irvar
from alkahest.ir.checking import check
from alkahest.ir.graph import eqn_levels, ir_eqn_graph
from alkahest.ir.serialization import ir_digest, ir_from_json, ir_to_json

KINDS = ("format", "concat", "match", "checkpoint", "switch", "depends")


@st.composite
def programs(draw, kinds=KINDS, steps=10):
    """Return a program of two texts, and arguments for it."""
    table = draw(
        st.lists(
            st.tuples(
                st.sampled_from(kinds), st.integers(0, 99), st.integers(0, 99), st.text("ab{}\n\x00é", max_size=3)
            ),
            min_size=1,
            max_size=steps,
        )
    )
    picked = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4))
    ir = af.trace(lambda x, y: run(table, picked, x, y))("a", "b")
    return ir, (draw(st.text("ab", max_size=3)), draw(st.text("ab", max_size=3)))


def run(table, picked, x, y):
    """Carry the steps out; texts are taken by index from those made so far."""
    texts, others = [x, y], []
    for k, (kind, i, j, literal) in enumerate(table):
        a, b = texts[i % len(texts)], texts[j % len(texts)]
        if kind == "match":
            others.append(af.match(a, b))
        else:
            texts.append(STEPS[kind](a, b, literal, k))
    everything = [*texts, *others]
    return {"out": [everything[i % len(everything)] for i in picked], "literal": "fixed"}


TRANSFORMS = (af.batch, af.pushforward, af.pullback, af.weighted, af.sched, af.dce)

_SAME = af.trace(lambda a, b: (a + b, b + "unused"))("", "")
_MORE = af.trace(lambda a, b: (af.format("{}-{}", b, a), a + "unused"))("", "")

STEPS = {
    "format": lambda a, b, literal, k: af.format("{}|{x}|{}", a, literal, x=b),
    "concat": lambda a, b, literal, k: af.concat(a, literal, b),
    "checkpoint": lambda a, b, literal, k: af.checkpoint(a, key=k % 2),
    "switch": lambda a, b, literal, k: af.switch(af.match(a, b), {True: _SAME, False: _MORE}, a, b)[0],
    "depends": lambda a, b, literal, k: af.depends(a, b),
}


@given(programs())
def test_levels_are_longest_chains(case):
    ir, _ = case
    graph = ir_eqn_graph(ir)
    levels = dict(zip(ir.ir_eqns, eqn_levels(ir), strict=True))
    for eqn, users in graph.items():
        assert all(levels[user] > levels[eqn] for user in users)
    # One below each: else the level would be no longest chain.
    parents = {user: [p for p in graph if user in graph[p]] for user in graph}
    assert all(max([levels[p] + 1 for p in parents[eqn]], default=0) == levels[eqn] for eqn in graph)


@given(programs())
def test_transforms_of_traced_programs_are_well_formed(case):
    ir, _ = case
    for made in (
        ir,
        af.dce(ir),
        af.sched(ir),
        af.batch(ir),
        af.pushforward(ir),
        af.pullback(af.sched(ir)),
        af.weighted(ir),
    ):
        check(made)


@given(programs())
def test_dce_changes_nothing_of_what_comes_out(case):
    ir, args = case
    pruned = af.dce(ir)
    assert len(pruned.ir_eqns) <= len(ir.ir_eqns)
    assert pruned.in_ir_tree is ir.in_ir_tree
    with af.collect(collection=...) as seen:
        expected = ir.call(*args)
    with af.collect(collection=...) as seen_pruned:
        assert pruned.call(*args) == expected
    assert seen_pruned == seen
    assert af.dce(pruned) is pruned


@given(programs(), st.data())
def test_dce_keeps_the_outputs_that_are_used(case, data):
    ir, args = case
    leaves, treedef = trees.flatten(ir.out_ir_tree)
    flags = data.draw(st.lists(st.booleans(), min_size=len(leaves), max_size=len(leaves)))
    pruned = af.dce(ir, out_used=treedef.unflatten(flags))
    check(pruned)
    expected = treedef.flatten_up_to(ir.call(*args))
    found = treedef.flatten_up_to(pruned.call(*args))
    assert all(a == b for a, b, flag in zip(expected, found, flags, strict=True) if flag)


@given(programs())
def test_sched_keeps_results_and_needs_what_came_before(case):
    ir, args = case
    made = af.sched(ir)
    check(made)
    with af.collect(collection=...) as seen:
        expected = ir.call(*args)
    for again in (made, af.sched(made), af.dce(made)):
        with af.collect(collection=...) as seen_again:
            assert again.call(*args) == expected
        assert seen_again == seen
    assert asyncio.run(made.acall(*args)) == expected
    defined = {leaf for leaf in trees.leaves(made.in_ir_tree) if is_irvar(leaf)}
    for eqn in made.ir_eqns:
        assert defined.issuperset(leaf for leaf in eqn.ins if is_irvar(leaf))
        defined.update(leaf for leaf in eqn.outs if is_irvar(leaf))


@given(programs())
def test_sched_puts_each_equation_into_the_stage_of_its_longest_chain(case):
    ir, _ = case
    made = af.sched(ir, cond=lambda eqn: eqn.prim.name != "match")
    stages = [[m for inner in e.params["irs"] for m in inner.ir_eqns] for e in made.ir_eqns if e.prim is gather_p]
    assert all(len(stage) > 1 for stage in stages)
    level_of = {leaf: n for n, e in zip(eqn_levels(ir), ir.ir_eqns, strict=True) for leaf in e.outs}
    for stage in stages:
        assert not {"match", "checkpoint"} & {eqn.prim.name for eqn in stage}
        # Two checkpoints of one key keep their order, which may put what follows off.
        if "checkpoint" not in {eqn.prim.name for eqn in ir.ir_eqns}:
            assert len({level_of[leaf] for eqn in stage for leaf in eqn.outs}) == 1
    matches = {k for k, eqn in enumerate(made.ir_eqns) if eqn.prim.name == "match"}
    assert made.ordered is not None
    assert matches <= made.ordered


@given(programs())
def test_saved_programs_are_the_same_programs(case):
    ir, args = case
    for made in (ir, af.sched(ir), af.pullback(ir)):
        again = ir_from_json(ir_to_json(made))
        pickled = pickle.loads(pickle.dumps(made))
        for copy in (again, pickled):
            check(copy)
            assert ir_digest(copy) == ir_digest(made)
            assert ir_to_json(copy) == ir_to_json(made)
            assert str(copy) == str(made)
    assert ir_from_json(ir_to_json(ir)).call(*args) == ir.call(*args)


VALUES = {StrAVal: st.text("ab", max_size=2), BoolAVal: st.booleans(), FloatAVal: st.floats(0, 1)}


def arguments(tree, data):
    """Return texts for the variables of an input, lists of two of them where it is a batch."""

    def fill(leaf):
        if not is_irvar(leaf):
            return leaf
        value = data.draw(VALUES[type(leaf.aval)])
        for _ in range(leaf.depth):
            value = [value, value]
        return value

    return trees.map_leaves(fill, tree)


@given(programs(), st.lists(st.sampled_from(TRANSFORMS), min_size=1, max_size=3), st.data())
def test_dce_of_transformed_programs_keeps_the_outputs_that_are_used(case, transforms, data):
    ir, _ = case
    for transform in transforms:
        ir = transform(ir)
    args = arguments(ir.in_ir_tree, data)
    leaves, treedef = trees.flatten(ir.out_ir_tree)
    flags = data.draw(st.lists(st.booleans(), min_size=len(leaves), max_size=len(leaves)))
    pruned = af.dce(ir, out_used=treedef.unflatten(flags))
    check(pruned)
    with af.collect(collection=...) as seen:
        expected = treedef.flatten_up_to(ir.call(*args))
    with af.collect(collection=...) as seen_pruned:
        found = treedef.flatten_up_to(pruned.call(*args))
    assert all(a == b for a, b, flag in zip(expected, found, flags, strict=True) if flag)
    assert seen_pruned == seen
