"""switch, while_loop, stop_gradient: values by Python, what is refused while tracing, what at run time."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.errors import BranchError, LoopError, OperandTypeError, TreeError
from alkahest.extend import IntAVal, StrAVal, switch_p, while_loop_p

LOUD = af.trace(lambda x: x + "!")("")
CALM = af.trace(lambda x: x + ".")("")
BRANCHES = {"loud": LOUD, "calm": CALM}


def both(ir, *args):
    out = ir.call(*args)
    assert asyncio.run(ir.acall(*args)) == out
    return out


# ------------------------------------------------------------------------------------------------------------ switch


def test_switch_runs_the_branch_of_its_key():
    ir = af.trace(lambda key, x: af.switch(key, BRANCHES, x))("loud", "")
    assert both(ir, "loud", "a") == "a!"
    assert both(ir, "calm", "a") == "a."
    assert af.switch("calm", BRANCHES, "a") == "a."
    (eqn,) = ir.ir_eqns
    assert eqn.prim is switch_p
    assert eqn.params["branches"] == BRANCHES


@pytest.mark.parametrize(("keys", "example"), [((True, False), True), ((0, 1), 0), (("a", "b"), "a")])
def test_keys_are_texts_integers_or_truth_values(keys, example):
    ir = af.trace(lambda key, x: af.switch(key, dict(zip(keys, (LOUD, CALM), strict=True)), x))(example, "")
    assert [both(ir, key, "a") for key in keys] == ["a!", "a."]


def test_a_condition_chooses():
    ir = af.trace(lambda x: af.switch(x == "a", {True: LOUD, False: CALM}, x))("")
    assert (both(ir, "a"), both(ir, "b")) == ("a!", "b.")


@pytest.mark.parametrize("run", [lambda ir, *a: ir.call(*a), lambda ir, *a: asyncio.run(ir.acall(*a))])
def test_an_unknown_key_names_the_branches_there_are(run):
    ir = af.trace(lambda key, x: af.switch(key, BRANCHES, x))("loud", "")
    with pytest.raises(BranchError, match="no branch 'shy'") as caught:
        run(ir, "shy", "a")
    assert isinstance(caught.value, KeyError)
    assert caught.value.code == "E-PROG-003"
    assert "'loud'" in caught.value.remedy
    assert "switch" in caught.value.where


@pytest.mark.parametrize(
    ("branches", "error", "text"),
    [
        ({}, OperandTypeError, "no branches"),
        ([LOUD], OperandTypeError, "no branches"),
        ({"loud": lambda x: x}, OperandTypeError, "'loud'.*function"),
        ({"loud": LOUD, 1: CALM}, OperandTypeError, "int, str"),
        ({1.5: LOUD}, OperandTypeError, "float"),
        ({"loud": LOUD, "two": af.trace(lambda x, y: x)("", "")}, TreeError, "inputs of different structure"),
        ({"loud": LOUD, "two": af.trace(lambda x: (x, x))("")}, TreeError, "outputs of different structure"),
        ({"loud": LOUD, "two": af.trace(lambda x: x)(1)}, OperandTypeError, "inputs of different types"),
        ({"loud": LOUD, "two": af.trace(lambda x: 1)("")}, OperandTypeError, "outputs of different types: str and int"),
    ],
)
def test_branches_that_do_not_fit_together_are_refused_while_tracing(branches, error, text):
    with pytest.raises(error, match=text) as caught:
        af.trace(lambda x: af.switch("loud", branches, x))("")
    assert caught.value.remedy


def test_keys_and_operands_that_do_not_fit_are_refused_while_tracing():
    with pytest.raises(OperandTypeError, match=r"int for a key.*str"):
        af.trace(lambda n, x: af.switch(n, BRANCHES, x))(1, "")
    with pytest.raises(TreeError, match=r"1 argument\(s\).*2 operand\(s\)"):
        af.trace(lambda x: af.switch("loud", BRANCHES, x, x))("")
    with pytest.raises(TreeError, match="structure"):
        af.trace(lambda x: af.switch("loud", BRANCHES, (x,)))("")
    with pytest.raises(TypeError):
        af.trace(lambda x: af.switch("loud", BRANCHES, x=x))("")


def test_types_of_the_outputs_come_from_all_branches():
    same = {"a": af.trace(lambda x: (x, "lit", 3))(""), "b": af.trace(lambda x: ("lit", "lit", 4))("")}
    ir = af.trace(lambda key, x: af.switch(key, same, x))("a", "")
    first, second, third = ir.out_ir_tree
    assert (first.aval, second, third.aval) == (StrAVal(), "lit", IntAVal())
    assert both(ir, "b", "x") == ("lit", "lit", 4)


def test_operands_of_other_types_are_refused_while_tracing():
    with pytest.raises(OperandTypeError, match="hold a int where its programs take a str"):
        af.trace(lambda key, n: af.switch(key, BRANCHES, n))("loud", 3)
    with pytest.raises(OperandTypeError):
        af.trace(lambda key: af.switch(key, BRANCHES, True))("loud")
    assert af.trace(lambda n: af.switch("a", {"a": af.trace(lambda x: x * 2.0)(1.0)}, n))(1).call(3) == 6.0


# -------------------------------------------------------------------------------------------------------- while_loop


def _count(limit=50):
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "t": ""})
    body = af.trace(lambda s: {"n": s["n"] - 1, "t": s["t"] + "*"})({"n": 1, "t": ""})
    return af.trace(lambda n, t: af.while_loop(cond, body, {"n": n, "t": t}, max_iters=limit))(1, "")


@given(st.integers(-3, 12), st.text(max_size=3), st.integers(0, 8))
def test_a_loop_is_a_loop(n, t, limit):
    rounds = max(0, min(n, limit))
    assert both(_count(limit), n, t) == {"n": n - rounds, "t": t + "*" * rounds}


def test_no_iterations_return_the_state_as_it_is():
    assert both(_count(0), 3, "a") == {"n": 3, "t": "a"}
    (eqn,) = _count(0).ir_eqns
    assert (eqn.prim, eqn.params["max_iters"]) == (while_loop_p, 0)


def test_the_condition_is_asked_once_more_than_the_body_runs_but_for_the_limit():
    from alkahest.extend import Prim, rules

    asked = []
    prim = rules(Prim("test_asked"), impl=lambda n: asked.append(n) or n, abstract=lambda n: IntAVal(), register=False)
    cond = af.trace(lambda n: prim.bind(n) > 0)(1)
    body = af.trace(lambda n: n - 1)(1)
    af.trace(lambda n: af.while_loop(cond, body, n, max_iters=9))(1).call(2)
    assert asked == [2, 1, 0]
    asked.clear()
    af.trace(lambda n: af.while_loop(cond, body, n, max_iters=2))(1).call(5)
    assert asked == [5, 4]


COND = af.trace(lambda n: n > 0)(1)
BODY = af.trace(lambda n: n - 1)(1)


@pytest.mark.parametrize("bad", [-1, 1.5, True, "3"])
def test_limits_that_are_none_are_refused(bad):
    with pytest.raises(LoopError, match="max_iters"):
        af.trace(lambda n: af.while_loop(COND, BODY, n, max_iters=bad))(1)


def test_a_loop_without_a_limit_is_refused():
    with pytest.raises(LoopError, match="never end") as caught:
        af.trace(lambda n: af.while_loop(COND, BODY, n))(1)
    assert caught.value.code == "E-PROG-004"
    assert "max_iters=" in caught.value.remedy


@pytest.mark.parametrize(
    ("cond", "body", "text"),
    [
        (lambda n: n > 0, BODY, "condition.*function"),
        (COND, lambda n: n, "body.*function"),
        (af.trace(lambda n: n)(1), BODY, "no truth value"),
        (af.trace(lambda n, m: n > m)(1, 1), BODY, "condition.*takes 2 arguments"),
        (COND, af.trace(lambda n, m: n)(1, 1), "body.*takes 2 arguments"),
        (COND, af.trace(lambda n: (n, n))(1), "one structure"),
        (af.trace(lambda s: s[0] > 0)((1, 1)), BODY, "one structure"),
        (COND, af.trace(lambda n: "text")(1), "takes a int and returns a str"),
        (COND, af.trace(lambda n: n * 0.5)(1), "takes a int and returns a float"),
    ],
)
def test_parts_of_a_loop_that_do_not_fit_are_refused_while_tracing(cond, body, text):
    with pytest.raises((LoopError, TypeError), match=text):
        af.trace(lambda n: af.while_loop(cond, body, n, max_iters=3))(1)


def test_an_initial_state_of_another_structure_is_refused():
    with pytest.raises(TreeError, match="initial value"):
        af.trace(lambda n: af.while_loop(COND, BODY, (n, n), max_iters=3))(1)


def test_an_initial_state_of_another_type_is_refused_while_tracing():
    for value in ("text", 1.5, True):
        with pytest.raises(OperandTypeError, match="initial value"):
            af.trace(lambda x: af.while_loop(COND, BODY, x, max_iters=3))(value)


def test_a_loop_of_many_rounds_needs_no_stack():
    ir = af.trace(lambda n: af.while_loop(COND, BODY, n, max_iters=20_000))(1)
    assert ir.call(20_000) == 0
    step = af.trace(lambda s: (s[0] * 1.0, s[1] - 1))((1.0, 1))
    more = af.trace(lambda s: s[1] > 0)((1.0, 1))
    loop = af.trace(lambda x, n: af.while_loop(more, step, (x, n), max_iters=5_000)[0])(1.0, 1)
    assert af.pullback(loop).call((2.0, 5_000), 3.0)[1][0] == 3.0


# ----------------------------------------------------------------------------------------------------- stop_gradient


def test_stop_gradient_is_the_identity():
    tree = {"a": ["x", 1], "b": None}
    assert af.stop_gradient(tree) == tree
    ir = af.trace(af.stop_gradient)(tree)
    assert both(ir, tree) == tree
    assert both(af.batch(ir), {"a": [["x", "y"], [1, 2]], "b": None}) == {"a": [["x", "y"], [1, 2]], "b": None}


def test_zeros_of_either_sign_in_branches_are_two_literals():
    branches = {"a": af.trace(lambda x: 0.0)(1.0), "b": af.trace(lambda x: -0.0)(1.0)}
    ir = af.trace(lambda key, x: af.switch(key, branches, x))("a", 1.0)
    assert [math.copysign(1.0, both(ir, key, 1.0)) for key in "ab"] == [1.0, -1.0]
    batched = both(af.batch(ir), ["a", "b"], [1.0, 1.0])
    assert [math.copysign(1.0, x) for x in batched] == [1.0, -1.0]
    same = af.trace(lambda key, x: af.switch(key, {"a": branches["b"], "b": branches["b"]}, x))("a", 1.0)
    assert math.copysign(1.0, same.out_ir_tree) == -1.0  # what all branches agree on is known before
