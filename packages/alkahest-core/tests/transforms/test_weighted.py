"""weighted: the product of the factors that were reached, by a loop in Python; batches, control flow, derivatives."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.errors import FactorError
from alkahest.extend import FloatAVal, Prim, StrAVal, Zero, factor_p, rules


def both(ir, *args):
    out = ir.call(*args)
    assert asyncio.run(ir.acall(*args)) == out
    return out


def _program(x, w):
    af.factor(w, name="given")
    af.factor(0.5)
    return x + "!"


PLAIN = af.trace(_program)("", 1.0)


def _flow():
    """A switch with a factor in one branch and a loop with a factor per round; its oracle is `_flow_oracle`."""

    def heavy(x, w):
        af.factor(w)
        af.factor(2)
        return x + "h"

    def step(s):
        af.factor(s["w"])
        return {"n": s["n"] - 1, "w": s["w"] + 1.0}

    branches = {"h": af.trace(heavy)("", 1.0), "l": af.trace(lambda x, w: x + "l")("", 1.0)}
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "w": 1.0})
    body = af.trace(step)({"n": 1, "w": 1.0})

    def program(key, x, w, n):
        af.factor(w)
        out = af.switch(key, branches, x, w)
        return out, af.while_loop(cond, body, {"n": n, "w": w}, max_iters=5)["n"]

    return af.trace(program)("h", "", 1.0, 1)


def _flow_oracle(key, x, w, n):
    weights = [w]
    if key == "h":
        weights += [w, 2]
    for k in range(min(n, 5)):
        weights.append(w + k)
    return (x + key, n - min(n, 5)), math.prod(weights)


def test_the_weight_is_the_product_of_the_factors():
    assert both(af.weighted(PLAIN), "a", 0.25) == ("a!", 0.125)
    assert both(PLAIN, "a", 0.25) == "a!"


def test_without_a_factor_it_is_one_and_a_zero_makes_it_zero():
    out = both(af.weighted(af.trace(lambda x: x)("")), "a")
    assert out == ("a", 1.0)
    assert type(out[1]) is float
    assert both(af.weighted(PLAIN), "a", 0.0) == ("a!", 0.0)


@given(st.sampled_from("hl"), st.floats(0, 4), st.integers(-1, 7))
def test_control_flow_counts_what_was_reached(key, w, n):
    (out, rest), weight = af.weighted(_FLOW).call(key, "x", w, n)
    (wanted, _), product = _flow_oracle(key, "x", w, max(n, 0))
    assert out == wanted
    assert rest == (n if n < 0 else max(n - 5, 0))
    assert weight == pytest.approx(product, rel=1e-12)


_FLOW = _flow()
ROWS = [("h", "a", 0.5, 2), ("l", "b", 3.0, 0), ("h", "c", 2.0, 7), ("l", "d", 0.0, 1)]


def test_batch_of_weighted_gives_one_weight_per_item():
    (outs, rests), weights = both(af.batch(af.weighted(_FLOW)), *[list(c) for c in zip(*ROWS, strict=True)])
    wanted = [_flow_oracle(*row) for row in ROWS]
    assert weights == pytest.approx([w for _, w in wanted])
    assert list(zip(outs, rests, strict=True)) == [out for out, _ in wanted]


def test_weighted_of_batch_gives_one_product():
    rows = ROWS[:3]
    (outs, _), weight = both(af.weighted(af.batch(_FLOW)), *[list(c) for c in zip(*rows, strict=True)])
    assert outs == ["ah", "bl", "ch"]
    assert weight == pytest.approx(math.prod([_flow_oracle(*row)[1] for row in rows]))


def test_an_unbatched_factor_counts_once_in_the_product():
    def program(x, w, v):
        af.factor(w)
        af.factor(v)
        return x

    ir = af.trace(program)("", 1.0, 1.0)
    axes = (True, False, True)
    args = (["a", "b", "c"], 3.0, [2.0, 5.0, 7.0])
    assert both(af.weighted(af.batch(ir, in_axes=axes)), *args) == (["a", "b", "c"], 3.0 * 70.0)
    assert both(af.batch(af.weighted(ir), in_axes=axes), *args) == (["a", "b", "c"], [6.0, 15.0, 21.0])
    nested = af.weighted(af.batch(af.batch(ir, in_axes=axes), in_axes=axes))
    assert both(nested, [["a"], ["b", "c"]], 3.0, [[2.0], [5.0, 7.0]])[1] == 210.0


def test_an_unbatched_factor_in_a_branch_of_a_batched_switch_counts_per_item():
    def heavy(x, w):
        af.factor(w)
        return x

    branches = {"h": af.trace(heavy)("", 1.0), "l": af.trace(lambda x, w: x)("", 1.0)}
    ir = af.trace(lambda key, x, w: af.switch(key, branches, x, w))("h", "", 1.0)
    program = af.weighted(af.batch(ir, in_axes=(True, True, False)))
    assert both(program, ["h", "l", "h"], ["a", "b", "c"], 3.0)[1] == 9.0


def test_an_inner_weighted_consumes_its_factors():
    inner = af.weighted(PLAIN)

    def program(x):
        out, weight = inner.call(x, 0.5)
        af.factor(3.0)
        return out, weight

    assert both(af.weighted(af.trace(program)("")), "a") == (("a!", 0.25), 3.0)
    assert both(af.weighted(af.weighted(PLAIN)), "a", 0.5) == (("a!", 0.25), 1.0)


def test_differentiated_programs_count_each_factor_once():
    assert both(af.weighted(af.pullback(PLAIN)), ("a", 0.5), "f") == (("a!", ("f", Zero(FloatAVal()))), 0.25)
    assert both(af.weighted(af.pushforward(PLAIN)), ("a", 0.5), ("t", 1.0)) == (("a!", "t"), 0.25)


@pytest.mark.parametrize("schedule", [lambda ir: af.weighted(af.sched(ir)), lambda ir: af.sched(af.weighted(ir))])
def test_schedules_and_dce_leave_the_weight_as_it_is(schedule):
    for row in ROWS:
        assert both(schedule(_FLOW), *row)[1] == pytest.approx(_flow_oracle(*row)[1])
        assert both(af.dce(schedule(_FLOW)), *row)[1] == pytest.approx(_flow_oracle(*row)[1])


# ------------------------------------------------------------------------------------------------------- derivatives


def _numeric(x, n):
    af.factor(x)
    body_step = af.trace(lambda s: (_weigh(s[0] * s[0]), s[1] - 1))((1.0, 1))
    cond = af.trace(lambda s: s[1] > 0)((1.0, 1))
    y, _ = af.while_loop(cond, body_step, (x, n), max_iters=4)
    return y


def _weigh(y):
    af.factor(y + 1.0)
    return y


NUMERIC = af.trace(_numeric)(1.0, 1)


def _symbolic(n, sympy):
    x = sympy.symbols("x")
    y, weight = x, x
    for _ in range(n):
        y = y * y
        weight = weight * (y + 1)
    return x, y, weight


@pytest.mark.parametrize("n", [0, 1, 2])
def test_derivatives_go_through_the_weight(n, sympy):
    x, y, weight = _symbolic(n, sympy)
    program = af.weighted(NUMERIC)
    out, tangent = af.pushforward(program).call((0.7, n), (1.0, 0))
    assert out == pytest.approx((float(y.subs(x, 0.7)), float(weight.subs(x, 0.7))))
    assert tangent == pytest.approx((float(y.diff(x).subs(x, 0.7)), float(weight.diff(x).subs(x, 0.7))))
    _, (cotangent, _) = af.pullback(program).call((0.7, n), (2.0, 3.0))
    assert cotangent == pytest.approx(float((2 * y + 3 * weight).diff(x).subs(x, 0.7)))
    again = af.trace(lambda x: af.pullback(program).call((x, n), (2.0, 3.0))[1][0])(1.0)
    _, (second,) = af.pullback(again).call((0.7,), 1.0)
    assert second == pytest.approx(float((2 * y + 3 * weight).diff(x, 2).subs(x, 0.7)))


def test_derivatives_go_through_the_product_over_a_batch(sympy):
    ir = af.trace(lambda x: (_weigh(x), x)[1])(1.0)
    program = af.weighted(af.batch(ir))
    xs = sympy.symbols("x:3")
    weight = sympy.prod([x + 1 for x in xs])
    at = dict(zip(xs, (0.5, -1.0, 2.0), strict=True))  # one weight is zero: no division
    _, (cotangents,) = af.pullback(program).call(([0.5, -1.0, 2.0],), ([1.0, 0.0, 0.0], 10.0))
    assert cotangents == pytest.approx([float((xs[0] + 10 * weight).diff(x).subs(at)) for x in xs])
    _, (_, tangent) = af.pushforward(program).call(([0.5, -1.0, 2.0],), ([1.0, 2.0, 3.0],))
    assert tangent == pytest.approx(float(sum(c * weight.diff(x) for c, x in zip((1, 2, 3), xs, strict=True)).subs(at)))


def test_second_derivatives_of_the_product_over_a_batch(sympy):
    ir = af.trace(lambda x: (_weigh(x * x), x)[1])(1.0)
    program = af.pullback(af.weighted(af.batch(ir)))
    xs = sympy.symbols("x:3")
    values, along = (0.5, -1.5, 2.0), (1.0, 2.0, -1.0)
    weight = sympy.prod([x**2 + 1 for x in xs])
    at = dict(zip(xs, values, strict=True))
    zeros = [0.0, 0.0, 0.0]
    _, (_, (seconds,)) = af.pushforward(program).call((([*values],), (zeros, 1.0)), (([*along],), (zeros, 0.0)))
    wanted = [float(sum(c * weight.diff(x, y) for c, y in zip(along, xs, strict=True)).subs(at)) for x in xs]
    assert seconds == pytest.approx(wanted)


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("make", [lambda ir: ir, af.weighted, lambda ir: af.weighted(af.sched(ir))])
def test_a_weight_that_is_none_is_refused_where_it_is_reached(weight, make):
    with pytest.raises(FactorError) as caught:
        make(PLAIN).call("a", weight)
    assert caught.value.code == "E-PROG-005"
    assert "weight" in caught.value.where or "factor" in caught.value.where


def test_a_bad_weight_in_a_batch_names_its_item():
    for program in (af.batch(PLAIN), af.batch(af.weighted(PLAIN)), af.weighted(af.batch(PLAIN))):
        with pytest.raises(FactorError, match=r"negative.*item 1 of the batch"):
            program.call(["a", "b"], [0.5, -0.5])
    with af.return_exceptions():
        out, weights = af.batch(af.weighted(PLAIN)).call(["a", "b"], [0.5, -0.5])
    assert (out[0], weights[0]) == ("a!", 0.25)
    assert isinstance(weights[1], FactorError)


def test_a_factor_of_a_user_primitive_that_holds_a_program_is_refused_and_not_dropped():
    holder = rules(
        Prim("test_holder"),
        impl=lambda x, inner: inner.call(x, 0.5),
        abstract=lambda x, inner: StrAVal(),
        register=False,
    )
    ir = af.trace(lambda x: holder.bind(x, inner=PLAIN))("")
    assert ir.call("a") == "a!"
    with pytest.raises((TypeError, ValueError), match="test_holder"):
        af.weighted(ir).call("a")


def test_factors_stay_in_a_program_though_they_give_nothing():
    assert [eqn.prim for eqn in af.dce(PLAIN).ir_eqns].count(factor_p) == 2
