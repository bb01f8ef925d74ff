"""pullback: every rule by hand, feedback that adds up, what costs nothing, numbers against SymPy, compositions."""

from __future__ import annotations

import asyncio

import pytest

import alkahest as af
from alkahest.errors import MissingRuleError, OperandTypeError, RuleError, TreeError, ZeroError
from alkahest.extend import BoolAVal, FloatAVal, IntAVal, Prim, StrAVal, Zero, rules

TEXT, NUMBER, INT = Zero(StrAVal()), Zero(FloatAVal()), Zero(IntAVal())


def pull(ir, primals, cotangent):
    out = af.pullback(ir).call(primals, cotangent)
    assert asyncio.run(af.pullback(ir).acall(primals, cotangent)) == out
    return out


class Critic:
    """A primitive whose backward rule asks somebody: it counts what is asked."""

    def __init__(self, name="test_critic"):
        self.forward, self.backward, self.under_way, self.peak = [], [], 0, 0
        self.prim = rules(
            Prim(name),
            impl=lambda text: f"<{text}>",
            abstract=lambda text: StrAVal(),
            push=lambda in_tree: (f"<{in_tree[0]}>", f"<{in_tree[1]}>"),
            pull=(self._forward, self._backward),
            apull=(self._aforward, self._abackward),
            register=False,
        )

    def _forward(self, text, /):
        self.forward.append(text)
        return f"<{text}>", text

    def _backward(self, in_tree, /):
        self.backward.append(in_tree)
        return "{1} about {0}".format(*in_tree)

    async def _aforward(self, text, /):
        return self._forward(text)

    async def _abackward(self, in_tree, /):
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self._backward(in_tree)

    def __call__(self, x):
        return self.prim.bind(x)


# ------------------------------------------------------------------------------------------------------------ rules


def test_every_input_of_a_text_receives_the_whole_feedback():
    ir = af.trace(lambda x, y, n: (af.format("{}{name}{}", x, n, name=y), x + "!" + y))("", "", 1)
    out, cotangents = pull(ir, ("a", "b", 3), ("f", TEXT))
    assert out == ("ab3", "a!b")
    assert cotangents == ("f", "f", INT)  # words say nothing about a number that was passed in
    assert pull(ir, ("a", "b", 3), (TEXT, "g"))[1] == ("g", "g", INT)


def test_feedback_adds_up_output_uses_first_then_from_the_last_equation():
    ir = af.trace(lambda x: (x + "1", x + "2", x))("")
    assert pull(ir, ("a",), ("f1", "f2", "fx")) == (("a1", "a2", "a"), ("fx\nf2\nf1",))


def test_feedback_format_joins_and_bounds_weakness_12():
    ir = af.trace(lambda x: (x + "1", x + "2"))("")
    with af.feedback_format(separator=" ++ "):
        assert pull(ir, ("a",), ("f", "g"))[1] == ("g ++ f",)
    with af.feedback_format(limit=200):
        (joined,) = af.pullback(ir).call(("a",), ("f" * 5000, "g" * 5000))[1]
    assert len(joined) < 300
    assert "cut" in joined
    assert joined.startswith("g")
    assert joined.endswith("f")


def test_match_stop_gradient_and_unused_inputs_give_zeros():
    ir = af.trace(lambda x, y, z: (af.match(x, y), af.stop_gradient(y)))("", "", "")
    assert pull(ir, ("a", "a", "c"), (True, "f")) == ((True, "a"), (TEXT, TEXT, TEXT))


def test_static_inputs_and_literals_give_zeros():
    ir = af.trace(lambda x, n: (x * 1 if False else af.format("{}" * n, *[x] * n), n), static=(False, True))("", 2)
    assert pull(ir, ("a", 2), ("f", INT)) == (("aa", 2), ("f\nf", INT))


def test_depends_and_checkpoint():
    ir = af.trace(lambda x, y: af.depends(af.checkpoint(x, key="k"), y))("", "")
    with af.collect(collection=...) as seen:
        assert af.pullback(ir).call(("a", "b"), "f") == ("a", ("f", TEXT))
    assert seen == {"k": ["a", "f"]}


def test_structures_come_back_in_the_structure_of_the_inputs():
    ir = af.trace(lambda d: {"a": d["k"][0] + d["k"][1], "b": (d["n"], None)})({"k": ["", ""], "n": 1.0})
    assert pull(ir, ({"k": ["x", "y"], "n": 2.0},), {"a": "f", "b": (5.0, None)}) == (
        {"a": "xy", "b": (2.0, None)},
        ({"k": ["f", "f"], "n": 5.0},),
    )


def test_switch_goes_back_through_the_branch_that_was_taken():
    branches = {
        "x": af.trace(lambda x, y: x + "1")("", ""),
        "y": af.trace(lambda x, y: af.format("[{}{}]", y, y))("", ""),
    }
    ir = af.trace(lambda key, x, y: af.switch(key, branches, x, y))("x", "", "")
    assert pull(ir, ("x", "a", "b"), "f") == ("a1", (TEXT, "f", TEXT))
    assert pull(ir, ("y", "a", "b"), "f") == ("[bb]", (TEXT, TEXT, "f\nf"))


def _loop():
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "t": ""})
    body = af.trace(lambda s: {"n": s["n"] - 1, "t": s["t"] + s["t"]})({"n": 1, "t": ""})
    return af.trace(lambda n, t: af.while_loop(cond, body, {"n": n, "t": t}, max_iters=9)["t"])(1, "")


def test_a_loop_goes_back_round_by_round():
    with af.feedback_format(separator="+"):
        assert pull(_loop(), (2, "a"), "f") == ("aaaa", (INT, "f+f+f+f"))
        assert pull(_loop(), (0, "a"), "f") == ("a", (INT, "f"))


def test_numbers_follow_the_derivative(sympy):
    x, y = sympy.symbols("x y")
    f, g = sympy.atan(x * y) * x, sympy.log(x**2 + y**2)
    ir = af.trace(lambda x, y: (af.atan(x * y) * x, af.log(x**2 + y**2)))(1.0, 1.0)
    at = {x: 0.6, y: -1.1}
    _, (cx, cy) = pull(ir, (0.6, -1.1), (2.0, -3.0))
    assert cx == pytest.approx(float((2 * f.diff(x) - 3 * g.diff(x)).subs(at)), rel=1e-13)
    assert cy == pytest.approx(float((2 * f.diff(y) - 3 * g.diff(y)).subs(at)), rel=1e-13)


@pytest.mark.parametrize("order", [2, 3])
def test_higher_derivatives_of_numbers_by_reverse_over_forward(order, sympy):
    """d/dx of the n-th forward derivative, by pullback of nested pushforwards."""
    x = sympy.symbols("x")
    f = sympy.exp(sympy.sin(x)) * x**3
    ir = af.trace(lambda x: af.exp(af.sin(x)) * x**3)(1.0)
    for _ in range(order - 1):
        inner = ir
        ir = af.trace(lambda x, inner=inner: af.pushforward(inner).call((x,), (1.0,))[1])(1.0)
    _, (cotangent,) = pull(ir, (0.8,), 1.0)
    assert cotangent == pytest.approx(float(f.diff(x, order).subs(x, 0.8)), rel=1e-11)
    inner2 = ir
    reverse = af.trace(lambda x: af.pullback(inner2).call((x,), 1.0)[1][0])(1.0)
    _, (third,) = pull(reverse, (0.8,), 1.0)
    assert third == pytest.approx(float(f.diff(x, order + 1).subs(x, 0.8)), rel=1e-10)


def test_a_newton_loop_differentiates_like_its_unrolled_formula(sympy):
    """Three steps of Newton's method for a square root, as a loop: the derivative by its number, from SymPy."""
    cond = af.trace(lambda s: s[2] > 0)((1.0, 1.0, 1))
    body = af.trace(lambda s: (s[0], (s[1] + s[0] / s[1]) / 2.0, s[2] - 1))((1.0, 1.0, 1))
    ir = af.trace(lambda a: af.while_loop(cond, body, (a, a, 3), max_iters=3)[1])(1.0)
    a = sympy.symbols("a")
    y = a
    for _ in range(3):
        y = (y + a / y) / 2
    out, (cotangent,) = pull(ir, (3.0,), 1.0)
    assert out == pytest.approx(float(y.subs(a, 3)), rel=1e-14)
    assert cotangent == pytest.approx(float(y.diff(a).subs(a, 3)), rel=1e-13)
    _, tangent = af.pushforward(ir).call((3.0,), (1.0,))
    assert tangent == pytest.approx(cotangent, rel=1e-14)
    second = af.trace(lambda a: af.pullback(ir).call((a,), 1.0)[1][0])(1.0)
    assert af.pullback(second).call((3.0,), 1.0)[1][0] == pytest.approx(float(y.diff(a, 2).subs(a, 3)), rel=1e-12)


def test_text_feedback_on_a_number_goes_on_to_the_text_it_came_from_weakness_4():
    def parse(text, /):
        return float(len(text))

    prim = rules(
        Prim("test_score"),
        impl=parse,
        abstract=lambda text: FloatAVal(),
        pull=(lambda text: (parse(text), text), lambda in_tree: f"score of {in_tree[0]}: {in_tree[1]}"),
        register=False,
    )
    ir = af.trace(prim.bind)("")
    assert pull(ir, ("abc",), "too low") == (3.0, ("score of abc: too low",))
    assert pull(af.batch(ir), (["abc", "d"],), ["low", "lower"]) == (
        [3.0, 1.0],
        (["score of abc: low", "score of d: lower"],),
    )


def test_words_on_a_computed_number_leave_its_derivative_as_it_is():
    """The number is shown in a text and given as a number: words about the text say nothing about arithmetic."""

    def program(x):
        y = x * 2.0
        return af.format("{} {}", x, y), y, x

    ir = af.trace(program)(1.0)
    assert pull(ir, (3.0,), ("unclear", 1.0, 10.0)) == (("3.0 6.0", 6.0, 3.0), (12.0,))
    assert pull(ir, (3.0,), ("unclear", NUMBER, NUMBER)) == (("3.0 6.0", 6.0, 3.0), (NUMBER,))


# ------------------------------------------------------------------------------------------------------ what it costs


def test_nothing_is_asked_for_a_zero_cotangent_weakness_8():
    critic = Critic()
    ir = af.trace(lambda x: (critic(x + "1"), critic(x + "2")))("")
    assert pull(ir, ("a",), (TEXT, "f")) == (("<a1>", "<a2>"), ("f about a2",))
    assert critic.backward == [("a2", "f")] * 2
    critic.backward.clear()
    assert pull(ir, ("a",), (TEXT, TEXT)) == (("<a1>", "<a2>"), (TEXT,))
    assert critic.backward == []


def test_nothing_is_asked_for_an_equation_that_nobody_uses_weakness_8():
    critic = Critic()

    def program(x):
        critic(x + "unused")
        return critic(x)

    assert pull(af.trace(program)(""), ("a",), "f") == ("<a>", ("f about a",))
    assert critic.backward == [("a", "f")] * 2


def test_nothing_is_asked_about_a_constant_weakness_9():
    critic = Critic()
    ir = af.trace(lambda x: critic("constant") + x)("")
    assert pull(ir, ("a",), "f") == ("<constant>a", ("f",))
    assert critic.backward == []


def test_nothing_is_asked_in_a_branch_for_which_no_feedback_comes():
    critic = Critic()
    branches = {"a": af.trace(lambda x: (critic(x), x))(""), "b": af.trace(lambda x: (x, x))("")}
    ir = af.trace(lambda key, x: af.switch(key, branches, x))("a", "")
    assert pull(ir, ("a", "x"), (TEXT, "f")) == (("<x>", "x"), (TEXT, "f"))
    assert critic.backward == []


def test_nothing_is_asked_for_a_zero_in_one_item_of_a_batch():
    critic = Critic()
    ir = af.batch(af.pullback(af.trace(critic)("")))
    for run in (ir.call, lambda *a: asyncio.run(ir.acall(*a))):
        assert run((["a", "b"],), [TEXT, "f"]) == (["<a>", "<b>"], ([TEXT, "f about b"],))
    assert critic.backward == [("b", "f")] * 2


def test_pullback_of_pullback_runs_the_forward_rule_once_weakness_8():
    critic = Critic()
    twice = af.pullback(af.pullback(af.trace(critic)("")))
    out = twice.call((("a",), "f"), ("g", ("h",)))
    # The nesting algebra: the pullback for the cotangent of the output, the pushforward along that of the feedback.
    assert out == (("<a>", ("f about a",)), (("g about a",), "<h>"))
    assert critic.forward == ["a"]
    assert critic.backward == [("a", "f"), ("a", "g")]


def test_backward_rules_of_independent_equations_run_side_by_side_in_a_schedule():
    critic = Critic()
    ir = af.sched(af.pullback(af.trace(lambda x, y: (critic(x), critic(y)))("", "")))
    assert asyncio.run(ir.acall(("a", "b"), ("f", "g"))) == (("<a>", "<b>"), ("f about a", "g about b"))
    assert critic.peak == 2


# ------------------------------------------------------------------------------------------------------- composition


def _essay(critic):
    return af.trace(lambda topic: critic(af.format("Write about {}", topic)))("")


def test_the_example_of_the_issue_batch_of_pullback():
    topics, critiques = ["cats", "dogs"], ["too long", "too dull"]
    outputs, (hints,) = af.batch(af.pullback(_essay(Critic()))).call((topics,), critiques)
    assert outputs == ["<Write about cats>", "<Write about dogs>"]
    assert hints == ["too long about Write about cats", "too dull about Write about dogs"]


@pytest.mark.parametrize("make", [lambda ir: af.pullback(af.batch(ir)), lambda ir: af.sched(af.batch(af.pullback(ir)))])
def test_the_other_orders_give_the_same(make):
    ir, wanted = _essay(Critic()), af.batch(af.pullback(_essay(Critic()))).call((["a", "b"],), ["f", "g"])
    assert make(ir).call((["a", "b"],), ["f", "g"]) == wanted
    assert asyncio.run(make(ir).acall((["a", "b"],), ["f", "g"])) == wanted


def test_a_broadcast_input_gets_one_accumulated_cotangent_weakness_3():
    ir = af.trace(lambda style, topic: af.format("{} {}", style, topic))("", "")
    program = af.pullback(af.batch(ir, in_axes=(False, True)))
    assert program.call(("plain", ["a", "b", "c"]), ["f", "g", "h"]) == (
        ["plain a", "plain b", "plain c"],
        ("f\ng\nh", ["f", "g", "h"]),
    )
    numeric = af.trace(lambda w, x: w * x)(1.0, 1.0)
    assert af.pullback(af.batch(numeric, in_axes=(False, True))).call((2.0, [1.0, 3.0]), [1.0, 10.0]) == (
        [2.0, 6.0],
        (31.0, [2.0, 20.0]),
    )
    nested = af.batch(af.batch(numeric, in_axes=(False, True)), in_axes=(False, True))
    assert af.pullback(nested).call((2.0, [[1.0], [3.0, 5.0]]), [[1.0], [1.0, 1.0]])[1][0] == 9.0


def test_a_broadcast_input_of_a_switch_and_one_that_is_unused():
    branches = {"a": af.trace(lambda s, x: s + x)("", ""), "b": af.trace(lambda s, x: x)("", "")}
    ir = af.trace(lambda k, s, x, unused: af.switch(k, branches, s, x))("a", "", "", "")
    program = af.pullback(af.batch(ir, in_axes=(True, False, True, False)))
    out, (key, style, x, unused) = program.call((["a", "b", "a"], "s", ["1", "2", "3"], "u"), ["f", "g", "h"])
    assert out == ["s1", "2", "s3"]
    assert (style, x, unused) == ("f\nh", ["f", "g", "h"], TEXT)
    assert key == TEXT


def test_cotangents_of_a_batch_used_twice_add_up_item_by_item_weakness_2():
    inner = af.batch(af.trace(lambda x: x + "!")(""))
    ir = af.trace(lambda xs: (inner.call(xs), inner.call(xs)))(["", ""])
    _, (cotangent,) = pull(ir, (["a", "b"],), (["g0", "g1"], ["h0", "h1"]))
    assert cotangent == ["h0\ng0", "h1\ng1"]


def test_constants_in_parallel_equations_of_a_schedule_weakness_1():
    critic = Critic()
    ir = af.trace(lambda x: (critic(af.format("{} {}", "constant", x)), critic(x + "constant"), critic("constant")))("")
    wanted = af.pullback(ir).call(("a",), ("f", "g", "h"))
    assert af.pullback(af.sched(ir)).call(("a",), ("f", "g", "h")) == wanted
    assert af.sched(af.pullback(ir)).call(("a",), ("f", "g", "h")) == wanted
    for program in (af.batch(af.sched(ir)), af.sched(af.batch(ir)), af.sched(af.batch(af.sched(ir)))):
        assert program.call(["a", "b"]) == tuple([list(c) for c in zip(ir.call("a"), ir.call("b"), strict=True)])
    assert af.pushforward(af.sched(ir)).call(("a",), ("t",)) == af.pushforward(ir).call(("a",), ("t",))


def test_feedback_comes_in_the_order_of_the_program_scheduled_or_not():
    """In the schedule, the second use of x stands before the first one: it needs less."""
    ir = af.trace(lambda x, y: ((y + "1") + x, x + "!"))("", "")
    args = ("a", "b"), ("f", "g")
    wanted = pull(ir, *args)
    assert wanted[1][0] == "g\nf"
    for program in (af.pullback(af.sched(ir)), af.sched(af.pullback(ir)), af.pullback(af.sched(af.sched(ir)))):
        assert program.call(*args) == wanted


def test_pullback_of_pushforward_pulls_back_value_and_tangent_apart():
    ir = af.trace(lambda x: x + "!")("")
    assert af.pullback(af.pushforward(ir)).call((("a",), ("t",)), ("f", "g")) == (("a!", "t"), (("f",), ("g",)))


def test_pushforward_of_pullback_runs_along_tangents_of_texts_and_feedback():
    ir = af.trace(lambda x: af.format("<{}>", x))("")
    out = af.pushforward(af.pullback(ir)).call((("a",), "f"), (("t",), "u"))
    assert out == (("<a>", ("f",)), ("<t>", ("u",)))


def test_feedback_in_words_on_numbers_through_transforms_of_transforms():
    ir = af.trace(lambda x: x * 2.0)(1.0)
    program = af.pullback(ir)
    assert program.call((3.0,), "too big") == (6.0, (NUMBER,))
    with pytest.raises(OperandTypeError, match="too big"):  # the tangent of words on a number is nothing
        af.pushforward(program).call(((3.0,), "too big"), ((1.0,), TEXT))
    assert af.sched(program).call((3.0,), "too big") == (6.0, (NUMBER,))
    assert af.batch(program).call(([3.0, 4.0],), ["too big", "too small"])[0] == [6.0, 8.0]


def test_a_zero_for_a_whole_batch_flows_through_a_switch():
    """One branch uses a batch, the other does not: its cotangent is one zero for all items."""
    inner = af.batch(af.trace(lambda x: x + "!")(""))
    branches = {
        "use": af.trace(lambda xs: inner.call(xs)[0])(["", ""]),
        "drop": af.trace(lambda xs: af.format("none"))(["", ""]),
    }
    ir = af.trace(lambda key, xs: af.switch(key, branches, inner.call(xs)))("use", ["", ""])
    assert pull(ir, ("use", ["a", "b"]), "f") == ("a!!", (TEXT, ["f", TEXT]))
    assert pull(ir, ("drop", ["a", "b"]), "f") == ("none", (TEXT, [TEXT, TEXT]))


# ---------------------------------------------------------------------------------------------------- rules of users


def test_rules_of_users_may_branch_on_values():
    def backward(in_tree, /):
        _, feedback = in_tree
        return feedback if feedback != "fine" else Zero(StrAVal())

    prim = rules(
        Prim("test_content"),
        impl=lambda x: x,
        abstract=lambda x: StrAVal(),
        pull=(lambda x: (x, x), backward),
        register=False,
    )
    ir = af.trace(prim.bind)("")
    assert pull(ir, ("a",), "fine") == ("a", (TEXT,))
    assert pull(ir, ("a",), "bad") == ("a", ("bad",))
    assert af.batch(af.pullback(ir)).call((["a", "b"],), ["fine", "bad"]) == (["a", "b"], ([TEXT, "bad"],))


def test_residuals_may_be_anything():
    class Kept:
        pass

    kept = Kept()
    prim = rules(
        Prim("test_kept"),
        impl=lambda x: x,
        abstract=lambda x: StrAVal(),
        pull=(lambda x: (x, {"any": [kept, None, lambda: 1]}), lambda t: "same" if t[0]["any"][0] is kept else "other"),
        register=False,
    )
    ir = af.trace(prim.bind)("")
    assert pull(ir, ("a",), "f") == ("a", ("same",))
    assert pull(af.batch(ir), (["a", "b"],), ["f", "g"]) == (["a", "b"], (["same", "same"],))


def test_async_rules_alone_serve_acall():
    async def aforward(x, /):
        return x, x

    async def abackward(in_tree, /):
        return f"{in_tree[1]} ({in_tree[0]})"

    async def aimpl(x, /):
        return x

    prim = rules(
        Prim("test_apull"), aimpl=aimpl, abstract=lambda x: StrAVal(), apull=(aforward, abackward), register=False
    )
    ir = af.pullback(af.trace(prim.bind)(""))
    assert asyncio.run(ir.acall(("a",), "f")) == ("a", ("f (a)",))
    with pytest.raises(MissingRuleError, match=r"'test_apull' has no pull_fwd rule.*other side"):
        ir.call(("a",), "f")


def test_a_missing_rule_names_primitive_and_table():
    prim = rules(Prim("test_no_pull"), impl=lambda x: x, abstract=lambda x: StrAVal(), register=False)
    with pytest.raises(MissingRuleError, match="'test_no_pull' has no pull_fwd rule"):
        af.pullback(af.trace(prim.bind)("")).call(("a",), "f")


@pytest.mark.parametrize("bad", [lambda t: (t[1], t[1]), lambda t: None])
def test_a_backward_rule_of_another_structure_is_named(bad):
    prim = rules(
        Prim("test_bad_pull"),
        impl=lambda t: t[0] + t[1]["k"],
        abstract=lambda t: StrAVal(),
        pull=(lambda t: (t[0] + t[1]["k"], t), bad),
        register=False,
    )
    ir = af.pullback(af.trace(lambda x, y: prim.bind((x, {"k": y})))("", ""))
    with pytest.raises(RuleError, match="pull_bwd rule of test_bad_pull"):
        ir.call(("a", "b"), "f")


def test_a_forward_rule_that_returns_no_pair_is_named():
    prim = rules(
        Prim("test_bad_fwd"),
        impl=lambda t: t,
        abstract=lambda t: StrAVal(),
        pull=(lambda t: t, lambda t: t[1]),
        register=False,
    )
    with pytest.raises(RuleError, match="pull_fwd rule of test_bad_fwd returned a str"):
        af.pullback(af.trace(prim.bind)("")).call(("a",), "f")


# ---------------------------------------------------------------------------------------------------------- bad input


def test_structures_and_types_that_do_not_match():
    ir = af.pullback(af.trace(lambda x, y: (x + y, x))("", ""))
    for args in [(("a", "b"), "f"), (("a",), ("f", "g")), (("a", "b"),), (("a", "b"), ("f", "g", "h"))]:
        with pytest.raises(TreeError):
            ir.call(*args)
    with pytest.raises(OperandTypeError, match=r"args\[0\]\[1\]"):
        ir.call(("a", 1), ("f", "g"))
    with pytest.raises(OperandTypeError, match="trace"):
        af.pullback("program")


def test_words_and_numbers_on_one_value_are_an_error_that_says_so():
    prim = rules(
        Prim("test_mixed"),
        impl=lambda x: x,
        abstract=lambda x: StrAVal(),
        pull=(lambda x: (x, x), lambda t: 3.5),
        register=False,
    )
    ir = af.pullback(af.trace(lambda x: (prim.bind(x), x + "!"))(""))
    with pytest.raises(ZeroError, match="different types") as caught:
        ir.call(("a",), ("f", "g"))
    assert caught.value.code == "E-ZERO-001"


def test_bools_have_zero_cotangents():
    ir = af.trace(
        lambda b, x: af.switch(b, {True: af.trace(lambda x: x)(""), False: af.trace(lambda x: x + "")("")}, x)
    )(True, "")
    assert pull(ir, (False, "a"), "f") == ("a", (Zero(BoolAVal()), "f"))


@pytest.mark.parametrize("feedback", ["c", TEXT, 2.0])
@pytest.mark.parametrize("literal", ["L", 3, 2.5, True])
def test_feedback_on_a_literal_output_is_taken_and_goes_nowhere(literal, feedback):
    ir = af.trace(lambda x: (literal, x + "!"))("")
    assert pull(ir, ("a",), (feedback, "own")) == ((literal, "a!"), ("own",))
    alone = af.trace(lambda x: literal)("")
    assert pull(alone, ("a",), feedback) == (literal, (TEXT,))
    assert pull(af.sched(alone), ("a",), feedback) == (literal, (TEXT,))
    assert af.dce(af.pullback(alone)).call(("a",), feedback) == (literal, (TEXT,))


def test_feedback_on_a_literal_output_may_differ_by_item():
    ir = af.trace(lambda x: ("L", x + "!"))("")
    batched = af.batch(af.pullback(ir))
    expected = ((["L", "L"], ["a!", "b!"]), (["c", "d"],))
    assert batched.call((["a", "b"],), (["e", "f"], ["c", "d"])) == expected
    assert batched.call((["a", "b"],), (TEXT, ["c", "d"])) == expected
    assert af.pullback(af.batch(ir)).call((["a", "b"],), (["e", "f"], ["c", "d"])) == expected


def test_feedback_on_feedback_of_a_literal_output():
    twice = af.pullback(af.pullback(af.trace(lambda x: ("L", x + "!"))("")))
    out, (primals, cotangent) = twice.call((("a",), ("c", "d")), (("e", "f"), ("g",)))
    assert out == (("L", "a!"), ("d",))
    assert primals == ("f",)
    assert cotangent == (TEXT, "g")
