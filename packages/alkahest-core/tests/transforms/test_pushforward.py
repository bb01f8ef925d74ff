"""pushforward: every rule by hand, numbers against SymPy, symbolic zeros, rules of users."""

from __future__ import annotations

import asyncio

import pytest

import alkahest as af
from alkahest.errors import MissingRuleError, OperandTypeError, RuleError, StaticInputError, TreeError
from alkahest.extend import FloatAVal, IntAVal, Prim, StrAVal, Zero, is_zero, materialize, rules

TEXT, NUMBER = Zero(StrAVal()), Zero(FloatAVal())


def push(ir, primals, tangents):
    out = af.pushforward(ir).call(primals, tangents)
    assert asyncio.run(af.pushforward(ir).acall(primals, tangents)) == out
    return out


def test_a_tangent_runs_through_format_as_the_text_does():
    ir = af.trace(lambda x, y: af.format("<{}|{name}>", x, name=y))("", "")
    assert push(ir, ("a", "b"), ("s", "t")) == ("<a|b>", "<s|t>")
    assert push(ir, ("a", "b"), ("s", TEXT)) == ("<a|b>", "<s|>")


def test_concat_and_match():
    ir = af.trace(lambda x, y: (x + "!" + y, x == y))("", "")
    assert push(ir, ("a", "b"), ("s", "t")) == (("a!b", False), ("st", Zero(af.extend.BoolAVal())))


def test_an_equation_whose_tangents_are_zero_is_not_differentiated():
    ir = af.trace(lambda x, y: (x + "!", y + "?"))("", "")
    assert push(ir, ("a", "b"), (TEXT, "t")) == (("a!", "b?"), (TEXT, "t"))
    (eqn,) = af.pushforward(ir).ir_eqns
    assert eqn.prim is af.extend.pushforward_call_p


def test_literal_outputs_and_static_inputs_have_zero_tangents():
    ir = af.trace(lambda x, n: (x, "literal", n), static=(False, True))("", 3)
    program = af.pushforward(ir)
    assert push(ir, ("a", 3), ("t", Zero(IntAVal()))) == (("a", "literal", 3), ("t", TEXT, Zero(IntAVal())))
    with pytest.raises(StaticInputError):
        program.call(("a", 4), ("t", Zero(IntAVal())))


def test_format_of_a_number_whose_tangent_is_zero_weakness_4():
    ir = af.trace(lambda n, x: af.format("{}: {}", n, x))(1, "")
    assert push(ir, (3, "a"), (Zero(IntAVal()), "t")) == ("3: a", "0: t")


def test_stop_gradient_checkpoint_depends():
    ir = af.trace(lambda x, y: (af.stop_gradient(x), af.checkpoint(x, key="k"), af.depends(x, y)))("", "")
    with af.collect(collection=...) as seen:
        assert af.pushforward(ir).call(("a", "b"), ("s", "t")) == (("a", "a", "a"), (TEXT, "s", "s"))
    assert seen == {"k": ["a", "s"]}


def test_switch_pushes_through_the_branch_that_is_taken():
    branches = {"x": af.trace(lambda x, y: x + "1")("", ""), "y": af.trace(lambda x, y: af.format("[{}]", y))("", "")}
    ir = af.trace(lambda key, x, y: af.switch(key, branches, x, y))("x", "", "")
    assert push(ir, ("x", "a", "b"), (TEXT, "s", "t")) == ("a1", "s")
    assert push(ir, ("y", "a", "b"), ("ignored", "s", "t")) == ("[b]", "[t]")


def test_while_loop_pushes_state_and_tangent_weakness_4():
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "t": ""})
    body = af.trace(lambda s: {"n": s["n"] - 1, "t": "<" + s["t"] + ">"})({"n": 1, "t": ""})
    ir = af.trace(lambda n, t: af.while_loop(cond, body, {"n": n, "t": t}, max_iters=5)["t"])(1, "")
    assert push(ir, (2, "a"), (Zero(IntAVal()), "t")) == ("<<a>>", "t")
    assert push(ir, (0, "a"), (Zero(IntAVal()), "t")) == ("a", "t")


def test_a_loop_whose_tangent_begins_as_zero():
    """The tangent of the sum is zero at first and fed by the other part of the state in each round."""
    cond = af.trace(lambda s: s[2] > 0)((1.0, 1.0, 1))
    body = af.trace(lambda s: (s[0], s[1] + s[0] * s[0], s[2] - 1))((1.0, 1.0, 1))
    ir = af.trace(lambda x: af.while_loop(cond, body, (x, 0.0, 3), max_iters=9)[1])(1.0)
    assert push(ir, (2.0,), (1.0,)) == (12.0, 12.0)


def test_numbers_follow_the_derivative(sympy):
    x, y = sympy.symbols("x y")
    f = sympy.sin(x * y) / (1 + x**2) + sympy.exp(y)
    ir = af.trace(lambda x, y: af.sin(x * y) / (1.0 + x**2) + af.exp(y))(1.0, 1.0)
    at = {x: 0.7, y: -1.3}
    out, tangent = push(ir, (0.7, -1.3), (2.0, 3.0))
    assert out == pytest.approx(float(f.subs(at)), rel=1e-14)
    assert tangent == pytest.approx(float((2 * f.diff(x) + 3 * f.diff(y)).subs(at)), rel=1e-13)


@pytest.mark.parametrize("order", [2, 3])
def test_higher_derivatives_by_nesting(order, sympy):
    x = sympy.symbols("x")
    f = sympy.sin(x) * sympy.exp(2 * x) + x**4
    ir = af.trace(lambda x: af.sin(x) * af.exp(2.0 * x) + x**4)(1.0)
    args = (0.4,)
    for _ in range(order):
        ir = af.pushforward(ir)
        args = (args, _ones(args))
    out = ir.call(*args)
    for _ in range(order):
        out = out[-1]
    # Nested duals whose tangents are all 1 stand for f(x + (1 + t1)(1 + t2)… - 1): the last tangent is its mixed
    # derivative by all t.
    t = sympy.symbols(f"t:{order}")
    shifted = f.subs(x, x + sympy.prod([1 + s for s in t]) - 1)
    wanted = sympy.diff(shifted, *t).subs(dict.fromkeys(t, 0)).subs(x, 0.4)
    assert out == pytest.approx(float(wanted), rel=1e-12)


def _ones(tree):
    return tuple([_ones(part) for part in tree]) if isinstance(tree, tuple) else 1.0


# ------------------------------------------------------------------------------------------------- rules of users


def test_a_rule_of_a_user_sees_concrete_values():
    def rule(in_tree, /, *, times):
        text, tangent = in_tree
        return text * times, f"{tangent}×{times}" if tangent.startswith("t") else tangent

    prim = rules(
        Prim("test_push_user"),
        impl=lambda text, times: text * times,
        abstract=lambda text, times: StrAVal(),
        push=rule,
        register=False,
    )
    ir = af.trace(lambda x: prim.bind(x, times=2))("")
    assert push(ir, ("a",), ("t",)) == ("aa", "t×2")
    assert push(ir, ("a",), ("u",)) == ("aa", "u")


def test_a_rule_of_a_user_is_not_called_where_nothing_flows_though_that_is_known_late():
    calls = []

    def rule(in_tree, /):
        calls.append(in_tree)
        return in_tree[0], in_tree[1]

    prim = rules(Prim("test_push_late"), impl=lambda x: x, abstract=lambda x: StrAVal(), push=rule, register=False)
    branches = {"x": af.trace(lambda x: x)(""), "none": af.trace(af.stop_gradient)("")}
    ir = af.trace(lambda key, x: prim.bind(af.switch(key, branches, x)))("x", "")
    out, tangent = push(ir, ("none", "a"), (TEXT, "t"))
    assert out == "a"
    assert materialize(tangent) == ""
    assert calls == []
    assert push(ir, ("x", "a"), (TEXT, "t")) == ("a", "t")


def test_an_async_rule_is_used_by_acall_alone():
    async def apush(in_tree, /):
        await asyncio.sleep(0)
        return in_tree[0], in_tree[1] + " (async)"

    async def aimpl(text, /):
        return text

    prim = rules(Prim("test_apush"), aimpl=aimpl, abstract=lambda x: StrAVal(), apush=apush, register=False)
    ir = af.pushforward(af.trace(prim.bind)(""))
    assert asyncio.run(ir.acall(("a",), ("t",))) == ("a", "t (async)")
    with pytest.raises(MissingRuleError, match=r"'test_apush' has no push rule.*other side"):
        ir.call(("a",), ("t",))
    assert asyncio.run(af.batch(ir).acall((["a", "b"],), (["s", "t"],))) == (["a", "b"], ["s (async)", "t (async)"])


def test_a_missing_rule_names_primitive_and_table():
    prim = rules(Prim("test_no_push"), impl=lambda x: x, abstract=lambda x: StrAVal(), register=False)
    ir = af.trace(prim.bind)("")
    with pytest.raises(MissingRuleError, match="'test_no_push' has no push rule") as caught:
        af.pushforward(ir).call(("a",), ("t",))
    assert "set()" in caught.value.remedy
    assert af.pushforward(ir).call(("a",), (TEXT,)) == ("a", TEXT)


@pytest.mark.parametrize("bad", [lambda t: t, lambda t: (t[0],), lambda t: (t[0], t[1], t[1]), lambda t: [t[0], t[1]]])
def test_a_rule_that_returns_something_else_is_named(bad):
    prim = rules(Prim("test_bad_push"), impl=lambda x: x, abstract=lambda x: StrAVal(), push=bad, register=False)
    ir = af.pushforward(af.trace(lambda x: prim.bind((x,)[0]))(""))
    if bad(("a", "b")) == ("a", "b"):
        return
    with pytest.raises(RuleError, match="push rule of test_bad_push") as caught:
        ir.call(("a",), ("t",))
    assert caught.value.code == "E-RULE-003"


def test_text_tangents_of_numbers_are_refused_or_taken_but_never_dropped():
    ir = af.trace(lambda x: x * 2.0)(1.0)
    with pytest.raises((TypeError, ValueError)):
        af.pushforward(ir).call((1.0,), ("text",))


def test_structures_that_do_not_match():
    ir = af.pushforward(af.trace(lambda x, y: x + y)("", ""))
    for args in [(("a",), ("s", "t")), (("a", "b"),), (("a", "b"), "st"), ("ab", ("s", "t")), (["a", "b"], ["s", "t"])]:
        with pytest.raises(TreeError):
            ir.call(*args)
    with pytest.raises(OperandTypeError):
        ir.call(("a", 1), ("s", "t"))


def test_the_signature_is_that_of_primals_and_tangents():
    ir = af.trace(lambda d, n: {"out": d["x"] + "!"}, static=(False, True))({"x": ""}, 2)
    program = af.pushforward(ir)
    (primals, tangents) = program.in_ir_tree
    assert primals[1] == 2
    assert is_zero(tangents[1])
    assert {v.aval for v in (primals[0]["x"], tangents[0]["x"])} == {StrAVal()}
    assert primals[0]["x"] is not ir.in_ir_tree[0]["x"]
    with pytest.raises(OperandTypeError, match="trace"):
        af.pushforward(lambda x: x)


@pytest.mark.parametrize(("pack", "first"), [(lambda a: [a, a], 0), (lambda a: {"k": a, "l": a}, "l")])
def test_a_batch_in_a_container_with_a_literal_output_has_a_zero_tangent(pack, first):
    inner = af.trace(lambda b: {"lit": "L", "own": b + "!"})("")
    ir = af.trace(lambda a: {name: part[first] for name, part in af.batch(inner).call(pack(a)).items()})("")
    expected = {"lit": "L", "own": "p!"}, {"lit": TEXT, "own": "t"}
    assert push(ir, ("p",), ("t",)) == expected
    assert push(af.sched(ir), ("p",), ("t",)) == expected
    (out, tangent) = af.batch(af.pushforward(ir)).call((["p", "q"],), (["t", "u"],))
    assert (out["own"], tangent["own"]) == (["p!", "q!"], ["t", "u"])
    alone = af.trace(lambda a: af.batch(af.trace(lambda b: "L")("")).call(pack(a))[first])("")
    assert push(alone, ("p",), ("t",)) == ("L", TEXT)
