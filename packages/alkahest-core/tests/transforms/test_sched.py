"""Schedules: stages of independent equations, and what runs them."""

from __future__ import annotations

import asyncio

import pytest

import alkahest as af
from alkahest.errors import OperandTypeError
from alkahest.extend import IR, IREqn, IRVar, Prim, StrAVal, concat_p, gather_p, is_irvar, rules
from alkahest.ir.checking import check


def stages(ir):
    """Return the equations as names: of a gather, those of its members."""
    return [
        [m.prim.name for inner in eqn.params["irs"] for m in inner.ir_eqns] if eqn.prim is gather_p else eqn.prim.name
        for eqn in ir.ir_eqns
    ]


def test_independent_equations_stand_together():
    def program(x, y):
        a = x + "1"
        b = af.format("{}", y)
        c = a + b
        d = af.match(a, y)
        e = af.format("{}", c)
        return e, d

    ir = af.trace(program)("", "")
    made = af.sched(ir)
    assert stages(made) == [["concat", "format"], ["concat", "match"], "format"]
    assert made.in_ir_tree is ir.in_ir_tree
    assert made.ordered == frozenset()
    assert made.call("a", "b") == ir.call("a", "b") == ("a1b", False)


def test_literals_stay_inside_their_equation():
    ir = af.sched(af.trace(lambda x: (af.concat(x, "lit", x), af.concat("lit", x)))(""))
    (eqn,) = ir.ir_eqns
    (x,) = ir.in_ir_tree
    assert eqn.in_ir_tree == ((x,), (x,))
    for inner, args in zip(eqn.params["irs"], eqn.in_ir_tree, strict=True):
        assert all(is_irvar(leaf) for leaf in inner.in_ir_tree)
        assert len(inner.in_ir_tree) == len(args)


@pytest.mark.parametrize("first", [af.batch, af.pushforward, af.pullback, af.weighted])
def test_schedules_with_constants_transform_like_any_program(first):
    ir = af.trace(lambda x: (af.concat(x, "lit"), af.concat("lit", x, "end")))("")
    args = {
        af.batch: (["a", "b"],),
        af.pushforward: (("a",), ("t",)),
        af.pullback: (("a",), ("s", "t")),
        af.weighted: ("a",),
    }[first]
    expected = first(ir).call(*args)
    for made in (first(af.sched(ir)), af.sched(first(ir)), af.sched(first(af.sched(ir)))):
        assert made.call(*args) == expected
        assert asyncio.run(made.acall(*args)) == expected


def test_what_fails_the_condition_follows_its_stage_in_order():
    def program(x):
        a = af.match(x, "a")
        b = x + "1"
        c = af.match(x, "c")
        d = x + "2"
        e = af.format("{}{}", a, b)
        return c, d, e

    made = af.sched(af.trace(program)(""), cond=lambda eqn: eqn.prim.name != "match")
    assert stages(made) == [["concat", "concat"], "match", "match", "format"]
    assert [eqn.in_ir_tree[1] for eqn in made.ir_eqns[1:3]] == ["a", "c"]
    assert made.ordered == {1, 2}
    # A second schedule with the same condition leaves the stages alone; without it, stages go into stages.
    assert stages(af.sched(made)) == [["gather", "match", "match"], "format"]
    assert af.sched(made).call("a") == made.call("a") == (False, "a2", "Truea1")
    again = af.sched(made, cond=lambda eqn: eqn.prim.name != "match")
    assert stages(again) == stages(made)
    assert again.ordered == made.ordered
    none = af.sched(af.trace(program)(""), cond=lambda eqn: False)
    assert gather_p not in {eqn.prim for eqn in none.ir_eqns}
    assert none.ordered == {0, 1, 2, 3, 4}
    assert none.call("a") == af.trace(program)("").call("a")


def test_marks_stay_out_and_wait_for_their_inputs_alone():
    def program(x, y):
        a, b = x + "1", y + "2"
        a = af.checkpoint(a, key="a")
        b = af.checkpoint(b, key="b")
        af.factor(0.5)
        af.factor(0.25)
        return a + b

    made = af.sched(af.trace(program)("", ""))
    assert stages(made) == [["concat", "concat"], "factor", "factor", "checkpoint", "checkpoint", "concat"]
    assert made.ordered == frozenset()
    assert af.weighted(made).call("x", "y") == ("x1y2", 0.125)


def test_marks_of_one_key_keep_their_order():
    def program(x, y):
        late = af.checkpoint(x + "1" + "2" + "3", key="k")
        early = af.checkpoint(y, key="k")
        return early + "4", late

    ir = af.trace(program)("", "")
    made = af.sched(ir)
    check(made)
    for each in (ir, made, af.sched(made)):
        with af.collect(collection=...) as seen:
            assert each.call("x", "y") == ("y4", "x123")
        assert seen == {"k": ["x123", "y"]}
        with af.collect(collection=...) as seen:
            assert asyncio.run(each.acall("x", "y")) == ("y4", "x123")
        assert seen == {"k": ["x123", "y"]}
    marks = [k for k, eqn in enumerate(made.ir_eqns) if eqn.prim.name == "checkpoint"]
    assert made.ordered == set(marks)


def test_programs_inside_are_scheduled_with_the_same_condition():
    inner = af.trace(lambda x: (x + "1", x + "2", af.match(x, "a")))("")
    body = af.trace(lambda s: (s[0] + "1", s[1] + "2"))(("", ""))
    cond = af.trace(lambda s: s[0] != "11")(("", ""))

    def program(x, y):
        return af.switch(x, {"k": inner}, x), af.while_loop(cond, body, (x, y), max_iters=3)

    ir = af.trace(program)("", "")
    made = af.sched(af.batch(ir), cond=lambda eqn: eqn.prim.name != "match")
    (batched,) = made.ir_eqns
    ((switch, loop),) = [[m.ir_eqns[0] for m in eqn.params["irs"]] for eqn in batched.params["ir"].ir_eqns]
    branch = switch.params["branches"]["k"]
    assert stages(branch) == [["concat", "concat"], "match"]
    assert branch.ordered == {1}
    assert stages(loop.params["body_ir"]) == [["concat", "concat"]]
    args = (["k", "k"], ["", "b"])
    assert made.call(*args) == af.batch(ir).call(*args)


def test_programs_that_are_shared_stay_shared():
    ir = af.trace(lambda k, x: x + "!")("a", "")
    for _ in range(60):
        ir = af.trace(lambda k, x, inner=ir: af.switch(k, {"a": inner, "b": inner}, k, x))("a", "")
    a, b = af.sched(ir).ir_eqns[0].params["branches"].values()
    assert a is b


def test_nesting_does_not_recurse():
    outer_p = rules(Prim("sched_outer"), impl=lambda x, **_: x, abstract=lambda x, **_: x, register=False)
    ir = af.trace(lambda x: x + "!")("a")
    for _ in range(3000):
        a, b = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
        ir = IR([IREqn(outer_p, (a,), (b,), {"ir": ir})], (a,), b)
    assert af.sched(ir).ordered == frozenset()


def test_degenerate_programs():
    assert af.sched(IR([], (), ())).ir_eqns == ()
    ir = af.trace(lambda x: x + "!")("")
    assert af.sched(ir).ir_eqns == ir.ir_eqns
    with pytest.raises(OperandTypeError):
        af.sched("no program")
    with pytest.raises(OperandTypeError):
        af.sched(ir, cond=True)  # type: ignore[arg-type]


def test_depends_orders_what_no_data_orders():
    ir = af.trace(lambda x, y: af.depends(y, x + "!") + "?")("", "")
    assert stages(af.sched(ir)) == ["concat", "depends", "concat"]


# ------------------------------------------------------------------------------------------------ gather, depends


def gather(*bodies):
    """Return a gather of programs of one text each, as a program."""
    irs = tuple(af.trace(body)("") for body in bodies)
    return af.trace(lambda *xs: gather_p.bind(tuple((x,) for x in xs), irs=irs))(*[""] * len(irs))


def test_gather_runs_its_members():
    ir = gather(lambda x: x + "!", lambda x: {"a": x, "b": "literal"})
    expected = ("1!", {"a": "2", "b": "literal"})
    assert ir.call("1", "2") == expected
    assert asyncio.run(ir.acall("1", "2")) == expected
    assert gather_p.bind((("1",), ("2",)), irs=ir.ir_eqns[0].params["irs"]) == expected
    assert af.batch(ir).call(["1", "3"], ["2", "4"]) == (["1!", "3!"], {"a": ["2", "4"], "b": ["literal", "literal"]})


def test_members_wait_together_and_one_that_fails_cancels_the_others():
    seen = []

    async def wait(x, /):
        seen.append(f"start {x}")
        if x == "bad":
            raise ValueError(x)
        try:
            await asyncio.Event().wait() if x == "long" else await asyncio.sleep(0)
        except asyncio.CancelledError:
            seen.append(f"cancelled {x}")
            raise
        return x

    wait_p = rules(Prim("sched_wait"), impl=lambda x: x, abstract=lambda x: x, aimpl=wait, register=False)
    irs = tuple(af.trace(wait_p.bind)("") for _ in range(3))

    async def run(*xs):
        return await gather_p.abind(tuple((x,) for x in xs), irs=irs)

    assert asyncio.run(run("a", "b", "c")) == ("a", "b", "c")
    seen.clear()
    with pytest.raises(ValueError, match="bad"):
        asyncio.run(run("long", "bad", "long"))
    assert seen == ["start long", "start bad", "start long", "cancelled long", "cancelled long"]


def test_depends_is_the_identity_on_its_value():
    assert af.depends({"a": 1}, "x", ["y"]) == {"a": 1}
    ir = af.trace(lambda x, y: af.depends({"v": x}, y, "lit"))("", "")
    assert ir.call("x", "y") == {"v": "x"}
    assert af.batch(ir, in_axes=(True, False)).call(["a", "b"], "y") == {"v": ["a", "b"]}
    assert af.pushforward(ir).call(("x", "y"), ("s", "t")) == ({"v": "x"}, {"v": "s"})
    out, (first, second) = af.pullback(ir).call(("x", "y"), {"v": "c"})
    assert (out, first, af.extend.materialize(second)) == ({"v": "x"}, "c", "")


def test_depends_on_a_literal_waits_all_the_same():
    ir = af.trace(lambda x: af.concat(af.depends("lit", x + "!"), "?"))("")
    assert [eqn.prim.name for eqn in ir.ir_eqns] == ["concat", "depends", "concat"]
    assert ir.ir_eqns[-1].prim is concat_p
    assert ir.call("x") == "lit?"


def _marked_by_a_custom_function():
    return af.custom(lambda x: af.checkpoint(x, key="k"))


MARK = af.trace(lambda x: af.checkpoint(x, key="k"))("")
DEEP = af.trace(lambda x: af.switch("a", {"a": MARK}, x))("")
NEVER = af.trace(lambda x: x == "")("")
HOLDERS = {
    "switch": lambda x: af.switch("a", {"a": MARK}, x),
    "switch in switch": lambda x: af.switch("a", {"a": DEEP}, x),
    "loop": lambda x: af.while_loop(af.trace(lambda x: x != "I1")(""), MARK, x, max_iters=2),
    "condition": lambda x: af.while_loop(
        af.trace(lambda x: af.checkpoint(x, key="k") == "")(""), af.trace(lambda x: x + "!")(""), x, max_iters=1
    ),
    "custom": _marked_by_a_custom_function(),
    "transformed": lambda x: af.pushforward(MARK).call((x,), ("t",))[0],
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_marks_inside_branches_loops_and_functions_keep_their_order(hold):
    def program(x):
        y = hold(x + "1" + "2")
        return y, af.checkpoint(x, key="k")

    ir = af.trace(program)("")
    values = {"k": ["I1", "I2", "I3", "I4"]}
    with af.inject(collection=None, values=values):
        expected = ir.call("x")
    with af.collect(collection=None) as told:
        ir.call("x")
    for made in (af.sched(ir), af.sched(af.sched(ir))):
        check(made)
        assert made.ir_eqns[-1].prim.name == "checkpoint"
        assert len(made.ordered) == 2
        with af.inject(collection=None, values=values):
            assert made.call("x") == expected
        with af.inject(collection=None, values=values):
            assert asyncio.run(made.acall("x")) == expected
        with af.collect(collection=None) as seen:
            made.call("x")
        assert seen == told


def test_branches_and_loops_without_marks_in_common_stand_together():
    other = af.trace(lambda x: af.checkpoint(x, key="other"))("")
    plain = af.trace(lambda x: x + "!")("")

    def program(x):
        return [af.switch("a", {"a": branch}, x) for branch in (MARK, other, plain, plain)]

    made = af.sched(af.trace(program)(""))
    assert stages(made) == [["switch"] * 4]
    assert made.ordered == frozenset()
