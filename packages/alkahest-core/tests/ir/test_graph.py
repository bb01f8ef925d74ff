"""What depends on what in programs."""

from __future__ import annotations

import pytest

import alkahest as af
from alkahest.errors import ProgramError, TreeError
from alkahest.extend import IR, IREqn, IRVar, Prim, StrAVal
from alkahest.ir.graph import (
    ir_eqn_graph,
    ir_liveness,
    ir_tree_ir_vars,
    ir_var_producers,
    map_sub_irs,
    nested_irs,
    sub_irs,
    toposort_levels,
)


def var():
    return IRVar(aval=StrAVal())


def test_variables_of_a_structure_in_leaf_order():
    ir = af.trace(lambda p, q: {"b": p[1] + "!", "a": (p[0], "const")}, static=(False, True))(("x", "y"), "z")
    ((x, y), _) = ir.in_ir_tree
    assert ir_tree_ir_vars(ir.in_ir_tree) == (x, y)
    assert ir_tree_ir_vars(ir.out_ir_tree) == (x, ir.out_ir_tree["b"])


def test_producers_graph_and_levels():
    ir = af.trace(lambda x, y: (x + y + x, y + "!"))("a", "b")
    first, second, third = ir.ir_eqns
    assert ir_var_producers(ir) == {eqn.out_ir_tree: eqn for eqn in ir.ir_eqns}
    assert ir_eqn_graph(ir) == {first: [second], second: [], third: []}
    assert toposort_levels(ir) == [[first, third], [second]]
    assert toposort_levels(IR([], (), ())) == []


def test_a_user_is_listed_once_for_each_producer():
    ir = af.trace(lambda x: af.concat(*[x + "!"] * 3))("a")
    first, second = ir.ir_eqns
    assert ir_eqn_graph(ir)[first] == [second]


def test_two_producers_of_one_variable_are_refused():
    x = var()
    with pytest.raises(ProgramError, match="two equations"):
        ir_var_producers(IR([IREqn(Prim("p"), (), x), IREqn(Prim("q"), (), x)], (), x))


def test_liveness():
    ir = af.trace(lambda x, y: (x + "!", y + "?"))("a", "b")
    x, y = ir.in_ir_tree
    left, right = ir.out_ir_tree
    assert ir_liveness(ir) == [({x, y}, {y, left}), ({y, left}, {left, right})]
    assert ir_liveness(ir, out_used=(True, False)) == [({x, y}, {y, left}), ({y, left}, {left})]
    assert ir_liveness(IR([], (), ())) == []
    with pytest.raises(TreeError):
        ir_liveness(ir, out_used=(True, False, True))


def test_programs_inside_parameters():
    a, b = af.trace(lambda x: x)("x"), af.trace(lambda x: x)("y")
    eqn = IREqn(Prim("p"), (), (), {"ir": a, "irs": (b, a), "deep": {"k": [b]}, "n": 3, "names": ("x", "y")})
    assert sub_irs(eqn) == [a, b, a, b]
    assert map_sub_irs(eqn, lambda ir: ir) is eqn
    c = IR([], (), ())
    changed = map_sub_irs(eqn, lambda ir: c if ir is a else ir)
    assert changed.params == {"ir": c, "irs": (b, c), "deep": {"k": [b]}, "n": 3, "names": ("x", "y")}


def test_parameters_without_programs_keep_what_is_no_part_of_the_structure():
    schema = {"score": af.Int(min=0) @ af.Doc("of ten")}
    inner = af.trace(lambda x: x)("x")
    eqn = IREqn(Prim("p"), (), (), {"schema": schema, "ir": inner})
    changed = map_sub_irs(eqn, lambda ir: IR([], (), ()))
    assert changed.params["schema"] is schema


def test_nested_programs_come_inner_first_and_once():
    a = af.trace(lambda x: x)("x")
    b = IR([IREqn(Prim("p"), (), (), {"irs": (a, a)})], (), ())
    c = IR([IREqn(Prim("q"), (), (), {"ir": b}), IREqn(Prim("q"), (), (), {"ir": a})], (), ())
    assert nested_irs(c) == [a, b, c]
    for _ in range(5000):
        c = IR([IREqn(Prim("q"), (), (), {"ir": c})], (), ())
    assert len(nested_irs(c)) == 5003
