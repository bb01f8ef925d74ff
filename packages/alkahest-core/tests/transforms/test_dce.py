"""Dead code elimination: what nobody needs goes, what has effects stays."""

from __future__ import annotations

import pytest

import alkahest as af
from alkahest.errors import OperandTypeError, ProgramError, RuleError, TreeError
from alkahest.extend import (
    IR,
    IREqn,
    IRVar,
    Prim,
    StrAVal,
    Zero,
    dce_rules,
    gather_p,
    non_dce_primitives,
    register_non_dce,
    rules,
)
from alkahest.ir.checking import check

calls = []


def _ask(text, /, *, name):
    calls.append(name)
    return f"<{text}>"


ask_p = rules(
    Prim("dce_ask"),
    impl=_ask,
    abstract=lambda text, *, name: StrAVal(),
    push=lambda in_tree, *, name: (ask_p.bind(in_tree[0], name=name), ask_p.bind(in_tree[1], name=f"{name} tangent")),
    pull=(
        lambda text, *, name: (ask_p.bind(text, name=name), text),
        lambda in_tree, *, name: ask_p.bind(in_tree[1], name=f"{name} cotangent"),
    ),
    register=False,
)


def ask(text, name):
    return ask_p.bind(text, name=name)


def names(ir):
    return [eqn.params.get("name", eqn.prim.name) for eqn in ir.ir_eqns]


def called(ir, *args):
    calls.clear()
    out = ir.call(*args)
    return out, list(calls)


def test_what_nobody_uses_goes():
    def program(x):
        used = ask(x, "used")
        ask(ask(used, "dead"), "dead too")
        return used

    ir = af.trace(program)("a")
    pruned = af.dce(ir)
    assert names(pruned) == ["used"]
    assert (pruned.in_ir_tree, pruned.out_ir_tree) == (ir.in_ir_tree, ir.out_ir_tree)
    assert af.dce(pruned) is pruned


def test_outputs_that_are_not_used_become_none_where_nothing_makes_them():
    ir = af.trace(lambda x, y: {"a": ask(x, "a"), "b": [ask(y, "b"), x, "literal"], "c": ask(x, "c")})("a", "b")
    pruned = af.dce(ir, out_used={"a": True, "b": [False, False, False], "c": False})
    assert names(pruned) == ["a"]
    assert pruned.in_ir_tree == ir.in_ir_tree
    assert pruned.call("x", "y") == {"a": "<x>", "b": [None, "x", "literal"], "c": None}
    nothing = af.dce(ir, out_used={"a": False, "b": [False, False, False], "c": False})
    assert nothing.ir_eqns == ()
    assert nothing.call("x", "y") == {"a": None, "b": [None, "x", "literal"], "c": None}


@pytest.mark.parametrize("out_used", [True, (True,), (True, True, True), [True, True], {"a": True}, ((True,), True)])
def test_out_used_has_exactly_the_structure_of_the_output(out_used):
    ir = af.trace(lambda x: (x + "!", x))("a")
    with pytest.raises(TreeError):
        af.dce(ir, out_used=out_used)


def test_out_used_holds_truth_values():
    with pytest.raises(OperandTypeError):
        af.dce(af.trace(lambda x: (x + "!", x))("a"), out_used=(1, True))
    with pytest.raises(OperandTypeError):
        af.dce("no program")


def test_a_used_variable_must_be_defined():
    x, y, z = (IRVar(aval=StrAVal()) for _ in range(3))
    with pytest.raises(ProgramError, match=r"used by the equation `b:str = dce_ask\(a:str\)`"):
        af.dce(IR([IREqn(ask_p, y, z)], (x,), z))
    with pytest.raises(ProgramError, match="used by the output"):
        af.dce(IR([], (x,), y))
    # An equation that comes after its use defines nothing for it.
    with pytest.raises(ProgramError):
        af.dce(IR([IREqn(ask_p, y, z), IREqn(ask_p, x, y)], (x,), z))
    # What is not used need not be defined.
    assert af.dce(IR([IREqn(ask_p, y, z)], (x,), x)).ir_eqns == ()


def test_marks_stay_with_what_they_need():
    def program(x):
        af.checkpoint(ask(x, "for the mark"), key="k")
        af.factor(0.5)
        ask(x, "dead")
        return x

    assert names(af.dce(af.trace(program)("a"))) == ["for the mark", "checkpoint", None]
    log_p = rules(Prim("dce_log"), impl=lambda x: (), abstract=lambda x: (), register=False)

    def logged(x):
        log_p.bind(x)
        return "out"

    ir = af.trace(logged)("a")
    assert names(af.dce(ir)) == []
    register_non_dce(log_p)
    try:
        assert names(af.dce(ir)) == ["dce_log"]  # though the program was pruned before
    finally:
        non_dce_primitives.discard(log_p)


def test_marks_inside_programs_keep_the_equation():
    marked = af.trace(lambda x: (af.checkpoint(x, key="k"), ask(x, "dead"))[0])("a")
    plain = af.trace(lambda x: ask(x, "plain"))("a")

    def program(key, x):
        af.switch(key, {"marked": marked, "plain": plain}, x)
        af.switch(key, {"plain": plain}, x)
        return x

    ir = af.dce(af.trace(program)("plain", "a"))
    (eqn,) = ir.ir_eqns
    assert [names(inner) for inner in eqn.params["branches"].values()] == [["checkpoint"], []]
    assert eqn.out_ir_tree is None
    with af.collect(collection=...) as seen:
        assert ir.call("marked", "a") == "a"
    assert seen == {"k": ["a"]}


def test_depends_keeps_what_it_depends_on():
    ir = af.trace(lambda x: (af.depends(x, ask(x, "first")), ask(x, "other")))("a")
    assert names(af.dce(ir, out_used=(True, False))) == ["first", "depends"]
    assert names(af.dce(ir, out_used=(False, True))) == ["other"]


# ------------------------------------------------------------------------------------------- programs in programs


def two(x, y):
    """A program of two outputs that have nothing to do with each other."""
    return {"a": ask(x, "a"), "b": ask(y, "b")}


TWO = af.trace(two)("", "")


def only(ir, key):
    """Return the program pruned to one of the entries of its output, which are lists of two."""
    return af.dce(ir, out_used={"a": [key == "a"] * 2, "b": [key == "b"] * 2})


def test_branches_are_pruned_alike_and_lose_the_operands_that_none_needs():
    other = af.trace(lambda x, y: {"a": ask(y, "other a"), "b": "literal"})("", "")

    def program(key, x, y, z):
        found = af.switch(key, {"two": TWO, "other": other}, ask(x, "x"), ask(y, "y"))
        return found["a"], ask(z, "z")

    ir = af.trace(program)("two", "", "", "")
    both = af.dce(ir)
    check(both)
    assert called(both, "two", "1", "2", "3") == (("<<1>>", "<3>"), ["x", "y", "a", "z"])
    assert called(both, "other", "1", "2", "3") == (("<<2>>", "<3>"), ["x", "y", "other a", "z"])

    def same(key, x, y):
        return af.switch(key, {"two": TWO, "again": TWO}, ask(x, "x"), ask(y, "y"))["b"]

    pruned = af.dce(af.trace(same)("two", "", ""))
    check(pruned)
    assert called(pruned, "again", "1", "2") == ("<<2>>", ["y", "b"])
    (_, eqn) = pruned.ir_eqns
    assert eqn.in_ir_tree[1][0] is None
    first, second = eqn.params["branches"].values()
    assert first is second


def test_loops_stay_whole_and_are_pruned_inside():
    cond = af.trace(lambda s: (ask(s[0], "dead"), s[1] != "<<>>")[1])(("", ""))
    body = af.trace(lambda s: (ask(s[0], "dead"), (s[0], ask(s[1], "live")))[1])(("", ""))

    def program(x):
        left, _ = af.while_loop(cond, body, (x, ""), max_iters=5)
        af.while_loop(cond, body, (x, "unused"), max_iters=5)
        return left

    pruned = af.dce(af.trace(program)(""))
    check(pruned)
    assert called(pruned, "x") == ("x", ["live", "live"])


def test_a_batch_is_pruned_inside():
    def program(xs, y):
        return af.batch(TWO, in_axes=(True, False)).call(xs, ask(y, "y"))

    ir = af.trace(program)(["", ""], "")
    first = only(ir, "a")
    check(first)
    assert called(first, ["1", "2"], "3") == ({"a": ["<1>", "<2>"], "b": [None, None]}, ["a", "a"])
    # The size of the batch comes from the inputs that are batched, needed inside or not.
    second = only(ir, "b")
    check(second)
    assert second.call(["1", "2"], "3") == {"a": [None, None], "b": ["<<3>>", "<<3>>"]}


def test_of_two_batched_inputs_one_is_enough():
    ir = af.trace(lambda xs, ys: af.batch(TWO).call([ask(x, "x") for x in xs], ys))(["", ""], ["", ""])
    second = only(ir, "b")
    check(second)
    assert called(second, ["1", "2"], ["3", "4"]) == ({"a": [None, None], "b": ["<3>", "<4>"]}, ["b", "b"])


def test_a_weighted_program_is_pruned_but_for_its_factors():
    def scored(x, y):
        af.factor(0.5)
        return two(x, y)

    inner = af.trace(scored)("", "")
    ir = af.trace(lambda x, y: af.weighted(inner).call(x, ask(y, "y")))("", "")
    pruned = af.dce(ir, out_used=({"a": True, "b": False}, True))
    check(pruned)
    assert called(pruned, "1", "2") == (({"a": "<1>", "b": None}, 0.5), ["a"])
    # Factors count for the weight inside: without it, they are no reason to stay.
    assert af.dce(ir, out_used=({"a": False, "b": False}, False)).ir_eqns == ()


def test_a_pushforward_is_pruned_inside():
    ir = af.pushforward(TWO)
    first = af.dce(ir, out_used=({"a": True, "b": False}, {"a": True, "b": False}))
    check(first)
    assert called(first, ("1", "2"), ("s", "t")) == (
        ({"a": "<1>", "b": None}, {"a": "<s>", "b": None}),
        ["a", "a tangent"],
    )
    values = af.dce(ir, out_used=({"a": True, "b": False}, {"a": False, "b": False}))
    check(values)
    (out, _), seen = called(values, ("1", "2"), ("s", "t"))
    assert (out, seen) == ({"a": "<1>", "b": None}, ["a"])  # no model is asked for a tangent that nobody uses


def test_a_pullback_is_pruned_where_no_cotangent_is_used():
    ir = af.pullback(TWO)
    no_cotangents = ({"a": True, "b": False}, (False, False))
    values = af.dce(ir, out_used=no_cotangents)
    check(values)
    (out, _), seen = called(values, ("1", "2"), {"a": "s", "b": "t"})
    assert (out, seen) == ({"a": "<1>", "b": None}, ["a"])
    whole = af.dce(ir, out_used=({"a": False, "b": False}, (True, False)))
    check(whole)
    (_, cotangents), _ = called(whole, ("1", "2"), {"a": "s", "b": "t"})
    assert cotangents[0] == "<s>"


@pytest.mark.parametrize("transform", [af.pushforward, af.pullback])
def test_marks_of_tangents_and_cotangents_stay(transform):
    ir = transform(af.trace(lambda x: (af.checkpoint(x, key="k"), ask(x, "dead"))[0])(""))
    args = (("a",), ("t",)) if transform is af.pushforward else (("a",), "t")
    flags = (True, False) if transform is af.pushforward else (True, (False,))
    with af.collect(collection=...) as seen:
        af.dce(ir, out_used=flags).call(*args)
    assert seen == {"k": ["a", "t"]}


def test_members_of_a_gather_are_pruned_and_dropped():
    ir = af.sched(af.trace(lambda x, y, z: (ask(x, "a"), ask(y, "b"), ask(z, "c")))("", "", ""))
    assert ir.ir_eqns[0].prim is gather_p
    pruned = af.dce(ir, out_used=(True, False, True))
    check(pruned)
    assert called(pruned, "1", "2", "3") == (("<1>", None, "<3>"), ["a", "c"])
    inner = af.sched(af.trace(lambda x, y: (af.switch(x, {"k": TWO}, x, y), ask(y, "other")))("k", ""))
    pruned = af.dce(inner, out_used=({"a": False, "b": True}, True))
    check(pruned)
    assert called(pruned, "k", "2") == (({"a": None, "b": "<2>"}, "<2>"), ["b", "other"])


def test_a_schedule_keeps_its_order():
    ir = af.sched(
        af.trace(lambda x: (ask(x, "a"), ask(x, "b"), ask(ask(x, "c"), "d")))(""),
        cond=lambda eqn: eqn.prim is not ask_p,
    )
    assert ir.ordered == {0, 1, 2, 3}
    pruned = af.dce(ir, out_used=(False, True, True))
    assert names(pruned) == ["b", "c", "d"]
    assert pruned.ordered == {0, 1, 2}


def test_narrowed_equations_hold_zero_for_what_does_not_flow():
    pruned = af.dce(af.pullback(TWO), out_used=({"a": True, "b": True}, (False, False)))
    (eqn,) = pruned.ir_eqns
    assert eqn.in_ir_tree[1] == {"a": Zero(StrAVal()), "b": Zero(StrAVal())}


# --------------------------------------------------------------------------------------------------- size, depth


def nested(depth):
    ir = af.trace(lambda k, x: (x + "!", x + "dead")[0])("a", "")
    for _ in range(depth):
        ir = af.trace(lambda k, x, inner=ir: (af.switch(k, {"a": inner, "b": inner}, k, x), x + "dead")[0])("a", "")
    return ir


def test_nested_programs_are_pruned_once_each():
    ir = nested(50)  # 2**50 programs, were they pruned wherever they occur
    pruned = af.dce(ir)
    check(pruned)
    assert names(pruned) == ["switch"]
    assert pruned.call("b", "x") == "x!"
    while names(pruned) == ["switch"]:
        pruned = pruned.ir_eqns[0].params["branches"]["a"]
    assert names(pruned) == ["concat"]


def test_long_programs():
    def program(x):
        for _ in range(10_000):
            x = (x + "a", x + "dead")[0]
        return x

    pruned = af.dce(af.trace(program)(""))
    assert len(pruned.ir_eqns) == 10_000


# ------------------------------------------------------------------------------------------------- users' own rules


def test_a_rule_of_ones_own():
    def half(eqn, out_used):
        left, right = out_used
        if left:
            return eqn, (True, right)
        return eqn.replace(in_ir_tree=(None, eqn.in_ir_tree[1])), (False, right)

    pair_p = rules(
        Prim("dce_pair"), impl=lambda t: t, abstract=lambda t: (StrAVal(), StrAVal()), dce=half, register=False
    )
    ir = af.trace(lambda x, y: pair_p.bind((ask(x, "x"), ask(y, "y"))))("", "")
    assert names(af.dce(ir, out_used=(False, True))) == ["y", "dce_pair"]
    assert names(af.dce(ir)) == ["x", "y", "dce_pair"]


def test_a_rule_that_returns_something_else():
    wrong_p = rules(
        Prim("dce_wrong"), impl=lambda t: t, abstract=lambda t: StrAVal(), dce=lambda eqn, used: (eqn, [True])
    )
    ir = af.trace(lambda x: wrong_p.bind((x, x)))("")
    with pytest.raises(RuleError, match="dce rule of 'dce_wrong'"):
        af.dce(ir)
    dce_rules.set(wrong_p, lambda eqn, used: (None, (True, True)), replace=True)
    with pytest.raises(RuleError):
        af.dce(ir)
