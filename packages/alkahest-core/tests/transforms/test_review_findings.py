"""What a second reader found: each test is named after what went wrong once."""

import asyncio

import pytest

import alkahest as af
from alkahest.base.avals import StrAVal
from alkahest.base.zero import Zero
from alkahest.extend import active_tags

COND = af.trace(lambda s: s != "never")("x")


def both(ir, *args):
    """Return the output, which must be the same run synchronously and asynchronously."""
    out = ir.call(*args)
    assert asyncio.run(ir.acall(*args)) == out
    return out


def counter():
    count = iter(range(1, 1000))

    @af.custom(out=str, keep=True, memoizable=False)
    def tick():
        return str(next(count))

    return tick


def test_an_equation_without_inputs_runs_each_time_round_a_loop():
    for make in (lambda ir: ir.call("x"), lambda ir: af.batch(ir).call(["x"])[0]):
        tick = counter()
        body = af.trace(lambda s, tick=tick: s + tick())("x")
        ir = af.trace(lambda x, body=body: af.while_loop(COND, body, x, max_iters=3))("x")
        assert make(ir) == "x123"


def test_an_integer_in_a_float_state_of_a_loop_is_a_float_in_a_batch_too():
    body = af.trace(lambda s: (s[0] + 1, af.format("{}{};", s[1], s[0])))((0.0, ""))
    cond = af.trace(lambda s: s[0] < 3)((0.0, ""))
    ir = af.trace(lambda x: af.while_loop(cond, body, (0, x), max_iters=9))("x")
    assert both(ir, "x") == (3.0, "x0.0;1.0;2.0;")
    assert both(af.batch(ir), ["x", "y"]) == ([3.0, 3.0], ["x0.0;1.0;2.0;", "y0.0;1.0;2.0;"])


def test_the_derivative_stands_beside_words_in_a_batch_too():
    ir = af.trace(lambda x: (x * x, af.format("{}", x)))(1.0)
    nothing = Zero(StrAVal())
    assert af.pullback(ir).call((3.0,), (1.0, nothing))[1] == (6.0,)
    assert af.pullback(af.batch(ir)).call(([3.0],), ([1.0], [nothing]))[1] == ([6.0],)
    assert af.pullback(af.batch(ir)).call(([3.0],), ([1.0], ["words"]))[1] == ([6.0],)


def test_words_and_numbers_in_one_column_are_refused():
    ir = af.batch(af.pullback(af.trace(lambda x: x * x)(1.0)))
    with pytest.raises(TypeError, match="words for some items and numbers for others"):
        ir.call(([3.0, 3.0],), ["words", 1.0])


def test_injecting_what_was_collected_changes_nothing_in_a_switch():
    a = af.trace(lambda x: af.checkpoint(x + "A", key="k"))("x")
    b = af.trace(lambda x: af.checkpoint(x + "B", key="k"))("x")
    ir = af.batch(af.trace(lambda key, x: af.switch(key, {"a": a, "b": b}, x))("a", "x"))
    args = ["a", "b", "a"], ["0", "1", "2"]
    with af.collect(collection=None) as marked:
        out = ir.call(*args)
    assert marked["k"] == out == ["0A", "1B", "2A"]
    with af.inject(collection=None, values={"k": marked["k"]}):
        assert ir.call(*args) == out


def test_a_schedule_keeps_the_order_of_marks_in_a_loop():
    body = af.trace(lambda s: af.checkpoint(af.checkpoint(s + "1", key="k") + "2", key="k"))("x")
    ir = af.trace(lambda x: af.while_loop(COND, body, x, max_iters=2))("x")
    for program in (ir, af.sched(ir)):
        with af.collect(collection=None) as marked:
            program.call("x")
        assert marked["k"] == ["x1", "x12", "x121", "x1212"]


def test_a_failing_item_does_not_make_the_others_run_twice():
    log = []

    @af.custom(out=str, keep=True)
    def send(x):
        log.append(x)
        if x == "c":
            raise ValueError("no c")
        return x

    ir = af.batch(af.trace(send)("a"))
    with pytest.raises(ValueError, match="no c") as caught:
        ir.call(["a", "b", "c", "d"])
    assert log == ["a", "b", "c"]
    assert "for item 2 of the batch" in caught.value.__notes__[0]
    log.clear()
    with af.return_exceptions():
        out = ir.call(["a", "b", "c", "d"])
    assert [out[0], out[1], str(out[2]), out[3]] == ["a", "b", "no c", "d"]
    assert log == ["a", "b", "c", "d"]


def test_a_failure_shared_by_one_branch_is_that_of_its_items_alone():
    @af.custom(out=str, waits=True)
    def ask(x):
        raise KeyError(x)

    bad = af.trace(lambda x, s: ask(s))("a", "b")
    good = af.trace(lambda x, s: x + "!")("a", "b")
    ir = af.trace(lambda key, x, s: af.switch(key, {"bad": bad, "good": good}, x, s))("bad", "x", "s")
    program = af.batch(ir, in_axes=(True, True, False))
    with af.return_exceptions():
        out = program.call(["good", "bad", "good"], ["1", "2", "3"], "q")
    assert (out[0], out[2]) == ("1!", "3!")
    assert isinstance(out[1], KeyError)


@pytest.mark.parametrize("form", ["switch", "loop", "batch", "pullback"])
def test_tags_reach_the_programs_inside_a_tagged_equation(form):
    seen = []

    @af.custom(out=str)
    def look(x):
        seen.append(active_tags.get())
        return x

    inner = af.trace(look)("a")
    forms = {
        "switch": lambda x: af.switch("a", {"a": inner}, x),
        "loop": lambda x: af.while_loop(COND, inner, x, max_iters=1),
        "batch": lambda x: af.batch(inner).call([x])[0],
        "pullback": lambda x: af.pullback(inner).call((x,), Zero(StrAVal()))[0],
    }

    def program(x):
        with af.tag("outer"):
            return forms[form](x)

    ir = af.trace(program)("x")
    ir.call("x")
    af.batch(ir).call(["x"])
    af.sched(ir).call("x")
    assert seen == [frozenset({"outer"})] * 3


@pytest.mark.parametrize("form", ["plain", "sched", "batch"])
def test_what_is_injected_goes_to_marks_in_the_order_in_which_they_were_written(form):
    @af.custom(out=str, waits=True)
    def ask(x):
        return x

    def program(x):
        return af.checkpoint(ask(x), key="k"), af.checkpoint(x, key="k")

    ir = af.trace(program)("x")
    with af.inject(collection=None, values={"k": ["first", "second"]}):
        if form == "batch":
            assert af.batch(ir).call(["x"]) == (["first"], ["second"])
        else:
            assert (ir if form == "plain" else af.sched(ir)).call("x") == ("first", "second")
