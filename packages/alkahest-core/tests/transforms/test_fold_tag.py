"""tag and fold: names on equations, and running while tracing."""

import asyncio

import pytest

from alkahest.base.interpreter import EVAL, Interpreter, active_interpreter, active_tags, using_interpreter
from alkahest.base.prim import Prim
from alkahest.errors import MarkError, TracedValueError
from alkahest.ir.ir import IR
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims.control import switch
from alkahest.prims.rules import rules
from alkahest.prims.text import concat, concat_p, format
from alkahest.transforms.batching import batch
from alkahest.transforms.intercept import collect
from alkahest.transforms.memory import memoize
from alkahest.transforms.scheduling import sched
from alkahest.transforms.tagging import fold, tag

tags_p = rules(
    Prim("tags_now"),
    impl=lambda x: x + "/".join(sorted(map(str, active_tags.get()))),
    abstract=lambda x: trace(lambda y: y)("a").in_ir_tree[0].aval,
    register=False,
)


class Count(Interpreter):
    def __init__(self):
        self.parent = active_interpreter.get()
        self.seen = []

    def interpret(self, prim, in_tree, /, **params):
        self.seen.append(prim)
        return self.parent.interpret(prim, in_tree, **params)

    async def ainterpret(self, prim, in_tree, /, **params):
        self.seen.append(prim)
        return await self.parent.ainterpret(prim, in_tree, **params)


def test_tags_stand_on_equations_and_nested_blocks_add_up():
    def program(x):
        with tag("a", 1):
            x = x + "1"
            with tag("b"):
                x = x + "2"
        return x + "3"

    ir = trace(program)("x")
    assert [eqn.tags for eqn in ir.ir_eqns] == [{"a", 1}, {"a", 1, "b"}, frozenset()]


@pytest.mark.parametrize("run", [lambda ir: ir.call("x"), lambda ir: asyncio.run(ir.acall("x"))])
def test_tags_are_active_again_while_the_equation_runs(run):
    def program(x):
        with tag("inner"):
            return tags_p.bind(x + ":")

    ir = trace(program)("x")
    assert run(ir) == "x:inner"
    with tag("outer"):
        assert run(ir) == "x:inner/outer"
    assert active_tags.get() == frozenset()
    assert batch(ir).call(["a", "b"]) == ["a:inner", "b:inner"]
    assert run(sched(ir)) == "x:inner"


def test_tags_are_restored_after_an_error_and_can_decorate():
    with pytest.raises(ZeroDivisionError), tag("a"):
        raise ZeroDivisionError
    assert active_tags.get() == frozenset()

    @tag("whole")
    def program(x):
        return x + "!"

    (eqn,) = trace(program)("a").ir_eqns
    assert eqn.tags == {"whole"}


def test_what_cannot_be_a_tag():
    with pytest.raises(MarkError) as caught, tag([]):
        pass
    assert isinstance(caught.value, TypeError)

    def program(x):
        with tag(x):
            return x

    with pytest.raises(MarkError):
        trace(program)("a")


# --------------------------------------------------------------------------------------------------------- fold


def test_fold_computes_now():
    def program(x):
        with fold():
            prefix = concat("A", "B")
        assert prefix == "AB"
        return concat(prefix, x)

    ir = trace(program)("x")
    assert [eqn.prim for eqn in ir.ir_eqns] == [concat_p]
    assert ir.ir_eqns[0].in_ir_tree[0] == "AB"
    assert ir.call("C") == "ABC"


def test_python_may_decide_by_what_was_folded():
    classify = trace(lambda x: x + "!")("a")

    def program(kind, x):
        with fold():
            chosen = classify.call(kind)
        return x + "yes" if chosen == "a!" else x + "no"

    assert trace(program, static=(True, False))("a", "x").call("a", ">") == ">yes"
    assert trace(program, static=(True, False))("b", "x").call("b", ">") == ">no"


def test_fold_runs_programs_with_branches_batches_and_async():
    loud = trace(lambda x: x + "!")("a")
    chosen = trace(lambda k, x: switch(k, {"l": loud}, x))("l", "a")

    def program(x):
        with fold():
            a = chosen.call("l", "a")
            b = batch(loud).call(["b", "c"])
            c = asyncio.run(chosen.acall("l", "d"))
            d = sched(loud).call("e")
        return concat(x, a, *b, c, d)

    ir = trace(program)("x")
    assert len(ir.ir_eqns) == 1
    assert ir.call(">") == ">a!b!c!d!e!"


def test_tracing_inside_fold_records_as_ever():
    def program(x):
        with fold():
            inner = trace(lambda y: y + "!")("a")
            assert isinstance(inner, IR)
            assert len(inner.ir_eqns) == 1
        return inner.call(x)

    assert trace(program)("a").call("b") == "b!"


def test_fold_names_the_primitive_that_needs_a_traced_value():
    def by_input(x):
        with fold():
            return concat(x, "!")

    def by_program(x):
        with fold():
            return trace(lambda y: y + "!")("a").call(x)

    def by_param(x):
        with fold():
            return format_p.bind((("a",), ()), template=x, keys=())

    from alkahest.prims.text import format_p

    for program, name in ((by_input, "concat"), (by_program, "concat"), (by_param, "template")):
        with pytest.raises(TracedValueError, match=name):
            trace(program)("a")


def test_fold_names_a_primitive_that_gives_a_traced_value():
    box = []
    leak_p = rules(Prim("leak"), impl=lambda _: box[0], register=False)

    def program(x):
        box.append(x)
        with fold():
            return leak_p.bind("a")

    with pytest.raises(TracedValueError, match="leak"):
        trace(program)("a")


def test_fold_outside_of_tracing_changes_nothing():
    with using_interpreter(Count()) as count, fold():
        assert active_interpreter.get() is count
        assert concat("A", "B") == "AB"
    assert count.seen == [concat_p]


def test_interpreters_outside_of_the_trace_see_what_is_folded_and_those_inside_without_over_do_not():
    def program(x):
        with using_interpreter(Count()) as inner, fold():
            word = concat("A", "B")
        assert inner.seen == []
        return word + x

    with using_interpreter(Count()) as outer:
        ir = trace(program)("a")
    assert outer.seen == [concat_p]
    assert ir.call("C") == "ABC"
    assert active_interpreter.get() is EVAL


def test_a_fold_in_an_inner_trace_does_not_record_in_the_outer_one():
    def outer(x):
        def inner(y):
            with fold():
                word = format("{}", "w")
            return y + word

        return trace(inner)("a").call(x)

    ir = trace(outer)("x")
    assert [eqn.prim for eqn in ir.ir_eqns] == [concat_p]
    assert ir.call("x") == "xw"


def test_memoize_and_fold_nest_in_either_order():
    calls = []
    slow_p = rules(Prim("slow_fold"), impl=lambda x: calls.append(x) or x + "!", register=False)

    def inside(x):
        with fold(), memoize() as memo:
            words = [slow_p.bind("a"), slow_p.bind("a")]
        assert (memo.hits, memo.misses) == (1, 1)
        return concat(x, *words)

    def outside(x):
        with collect(collection=...), memoize() as memo:
            with fold():
                first = slow_p.bind("b")
            with fold():
                second = slow_p.bind("b")
        assert (memo.hits, memo.misses) == (1, 1)
        return concat(x, first, second)

    assert trace(inside)("x").call(">") == ">a!a!"
    assert trace(outside)("x").call(">") == ">b!b!"
    assert calls == ["a", "b"]


def test_a_folded_result_is_not_taken_for_an_equation():
    def program(x):
        with memoize():
            literal = concat("a", "b")
            with fold():
                now = concat("a", "b")
        assert now == "ab"
        return concat(literal, now, x)

    assert trace(program)("x").call("c") == "ababc"
