"""custom: functions as equations, with rules of their own."""

import asyncio

import pytest

from alkahest.base.avals import STR, IntAVal
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.zero import Zero
from alkahest.errors import RuleError, TracedValueError
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims import operators as operators
from alkahest.prims.marks import checkpoint, factor
from alkahest.prims.text import concat, format
from alkahest.transforms import reverse_control as reverse_control
from alkahest.transforms.batching import batch
from alkahest.transforms.boundary import custom
from alkahest.transforms.custom_rules import custom_body
from alkahest.transforms.forward import pushforward
from alkahest.transforms.intercept import collect
from alkahest.transforms.memory import memoize
from alkahest.transforms.pruning import dce
from alkahest.transforms.reverse import pullback
from alkahest.transforms.scheduling import sched
from alkahest.transforms.tagging import tag
from alkahest.transforms.weighting import weighted

RUNS = {"sync": lambda ir, *args: ir.call(*args), "async": lambda ir, *args: asyncio.run(ir.acall(*args))}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def made():
    @custom
    def bracket(text, mark="]"):
        """Put brackets around a text."""
        return concat("[", text, mark)

    return bracket


class Log(Interpreter):
    def __init__(self):
        self.parent = active_interpreter.get()
        self.seen = []

    def interpret(self, prim, in_tree, /, **params):
        self.seen.append(prim.name)
        return self.parent.interpret(prim, in_tree, **params)

    async def ainterpret(self, prim, in_tree, /, **params):
        self.seen.append(prim.name)
        return await self.parent.ainterpret(prim, in_tree, **params)


def test_it_looks_like_the_function():
    f = made()
    assert f.__name__ == f.prim.name == "bracket"
    assert f.__doc__ == "Put brackets around a text."
    assert f.func("a") == f("a") == "[a]"
    assert made().prim is not f.prim
    assert repr(f) == "custom bracket"


def test_a_plain_call_is_seen_by_interpreters():
    f = made()
    with using_interpreter(Log()) as log:
        assert f("a") == "[a]"
    assert log.seen == ["bracket", "concat"]


def test_a_call_is_one_equation():
    f = made()
    ir = trace(lambda x: f(f(x), ">"))("a")
    assert [eqn.prim for eqn in ir.ir_eqns] == [f.prim, f.prim]
    assert ir.ir_eqns[0].params == {"call": f}
    assert ir.ir_eqns[1].in_ir_tree[1] == ">"
    assert ir.out_ir_tree.aval == STR


@runs
def test_without_rules_transforms_use_the_body(run):
    f = made()
    ir = trace(lambda x: f(x) + "!")("a")
    assert run(ir, "a") == "[a]!"
    assert run(batch(ir), ["a", "b"]) == ["[a]!", "[b]!"]
    assert run(pushforward(ir), ("a",), ("da",)) == ("[a]!", "da")
    assert run(pullback(ir), ("a",), "g") == ("[a]!", ("g",))
    assert run(batch(pullback(ir)), (["a", "b"],), ["g", "h"]) == (["[a]!", "[b]!"], (["g", "h"],))
    assert run(sched(batch(ir)), ["a", "b"]) == ["[a]!", "[b]!"]
    assert run(dce(ir), "a") == "[a]!"


def test_numbers_follow_the_derivative_of_the_body():
    @custom
    def cube(x):
        return x * x * x

    ir = trace(lambda x: cube(x) + 1.0)(1.0)
    assert pushforward(ir).call((2.0,), (1.0,)) == (9.0, 12.0)
    assert pullback(ir).call((2.0,), 1.0) == (9.0, (12.0,))


@runs
def test_literals_decide_in_python(run):
    @custom
    def shout(text, how):
        return concat(text, "!" if how == "loud" else ".")

    ir = trace(lambda x: shout(x, "loud") + shout(x, "calm"))("a")
    assert run(ir, "a") == "a!a."
    assert run(batch(ir), ["a", "b"]) == ["a!a.", "b!b."]
    assert run(pullback(ir), ("a",), "g") == ("a!a.", ("g\ng",))

    @shout.set_pushforward
    def push(in_tree, *, call):
        return "p", "t"

    assert run(batch(ir), ["a", "b"]) == ["a!a.", "b!b."]
    assert run(pullback(ir), ("a",), "g") == ("a!a.", ("g\ng",))


def test_structures_go_in_and_out():
    @custom
    def split(pair):
        return {"left": pair["a"] + "<", "right": [pair["b"] + ">"], "fixed": "c"}

    ir = trace(split)({"a": "x", "b": "y"})
    expected = {"left": "1<", "right": ["2>"], "fixed": "c"}
    assert ir.call({"a": "1", "b": "2"}) == split({"a": "1", "b": "2"}) == expected
    assert batch(ir).call({"a": ["1"], "b": ["2"]}) == {"left": ["1<"], "right": [["2>"]], "fixed": ["c"]}


def test_the_body_is_traced_once_per_types():
    calls = []

    @custom
    def double(x):
        calls.append(x)
        return x + x

    ir = trace(lambda x, n: (double(x), double(x), double(n)))("a", 1)
    assert len(calls) == 2
    assert [custom_body(double, (aval,)).out_ir_tree.aval for aval in (STR, IntAVal())] == [STR, IntAVal()]
    assert len(calls) == 2
    assert ir.call("b", 2) == ("bb", "bb", 4)


def test_the_body_runs_under_the_tags_of_its_call_alone():
    f = made()

    def program(x):
        with tag("first"):
            x = f(x)
        return f(x)

    ir = trace(program)("a")
    tags = [eqn.tags for eqn in custom_body(f, (STR,)).ir_eqns]
    assert tags == [frozenset()]

    class Tags(Log):
        def interpret(self, prim, in_tree, /, **params):
            from alkahest.base.interpreter import active_tags

            self.seen.append((prim.name, set(active_tags.get())))
            return self.parent.interpret(prim, in_tree, **params)

    with using_interpreter(Tags()) as log:
        batch(ir).call(["a"])
    assert [entry for entry in log.seen if entry[0] == "concat"] == [("concat", {"first"}), ("concat", set())]


@runs
def test_marks_in_the_body_count(run):
    @custom
    def marked(x):
        factor(0.5)
        return checkpoint(x + "!", key="k")

    ir = trace(marked)("a")
    with collect(collection=...) as seen, memoize():
        run(ir, "a")
        run(ir, "a")
        run(batch(ir), ["b", "c"])
    assert seen == {"k": ["a!", "a!", "b!", "c!"]}
    assert run(weighted(ir), "a") == ("a!", 0.5)
    assert run(batch(weighted(ir)), ["a", "b"]) == (["a!", "b!"], [0.5, 0.5])


def test_a_body_that_python_decides_in_needs_out():
    @custom
    def odd(x):
        return "yes" if x == "a" else "no"

    assert odd("a") == "yes"
    with pytest.raises(TracedValueError):
        trace(odd)("a")


# -------------------------------------------------------------------------------------------------- rules of one's own


@runs
def test_own_rules_take_the_place_of_the_body(run):
    f = made()

    @f.set_pushforward
    def push(in_tree, *, call):
        primals, (tangent, mark) = in_tree
        assert call is f
        assert mark == Zero(STR)
        return call(*primals), f"change: {tangent}"

    @f.set_pullback
    def pull(in_tree, *, call):
        (primals, output), cotangent = in_tree
        assert call is f
        return f"{cotangent} via {output} from {primals[0]}", Zero(STR)

    @f.set_batch
    def rows(in_tree, *, call):
        size, axes, (texts, mark) = in_tree
        assert (size, axes, mark) == (2, (True, False), ">")
        return [f"<{text}>" for text in texts], True

    assert [f.has(kind) for kind in ("push", "pull", "batch")] == [True] * 3
    assert callable(push)
    assert callable(pull)
    assert callable(rows)
    ir = trace(lambda x: f(x, ">"))("a")
    assert run(ir, "hi") == "[hi>"
    assert run(pushforward(ir), ("hi",), ("d",)) == ("[hi>", "change: d")
    assert run(pullback(ir), ("hi",), "bad") == ("[hi>", ("bad via [hi> from hi",))
    assert run(batch(ir), ["a", "b"]) == ["<a>", "<b>"]


def test_setting_a_rule_again_replaces_it_also_in_programs_that_ran():
    f = made()
    ir = pullback(trace(f)("a"))
    assert ir.call(("a",), "g") == ("[a]", ("g",))
    for word in ("one", "two"):
        f.set_pullback(lambda in_tree, *, call, word=word: (word,))
        assert ir.call(("a",), "g") == ("[a]", (word,))
        assert asyncio.run(ir.acall(("a",), "g")) == ("[a]", (word,))


def test_the_async_side_may_have_a_rule_of_its_own():
    f = made()

    @f.aset_pullback
    async def apull(in_tree, *, call):
        await asyncio.sleep(0)
        return ("async",)

    @f.aset_pushforward
    async def apush(in_tree, *, call):
        return call.func(*in_tree[0]), "async"

    @f.aset_batch
    async def abatch(in_tree, *, call):
        return ["async"] * in_tree[0], True

    assert [f.has(kind) for kind in ("push", "pull", "batch")] == [True] * 3
    ir = trace(f)("a")
    results = {
        pullback: ((("a",), "g"), ("[a]", ("g",)), ("[a]", ("async",))),
        pushforward: ((("a",), ("d",)), ("[a]", "d"), ("[a]", "async")),
        batch: ((["a", "b"],), ["[a]", "[b]"], ["async", "async"]),
    }
    for transform, (args, sync, other) in results.items():
        assert transform(ir).call(*args) == sync
        assert asyncio.run(transform(ir).acall(*args)) == other
    f.set_pullback(lambda in_tree, *, call: ("sync",))
    assert pullback(ir).call(("a",), "g") == ("[a]", ("sync",))
    assert asyncio.run(pullback(ir).acall(("a",), "g")) == ("[a]", ("async",))


def test_an_async_rule_on_the_sync_side_is_refused():
    f = made()

    async def rule(in_tree, *, call):
        return in_tree

    for set_rule in (f.set_pullback, f.set_pushforward, f.set_batch):
        with pytest.raises(RuleError, match="aset_"):
            set_rule(rule)


@runs
def test_a_rule_for_one_transform_leaves_the_others_to_the_body(run):
    calls = []

    @custom(out=str)
    def model(x):
        calls.append(x)
        return f"<{x}>"

    @model.set_pullback
    def critique(in_tree, *, call):
        (_, output), cotangent = in_tree
        return (f"{cotangent} on {output}",)

    @custom
    def ask(x):
        return model(x + "?") + "."

    ask.set_pushforward(lambda in_tree, *, call: (call(*in_tree[0]), "tangent"))
    ir = trace(ask)("a")
    assert run(pullback(ir), ("a",), "g") == ("<a?>.", ("g on <a?>",))
    assert calls == ["a?"]
    assert run(pushforward(ir), ("a",), ("d",)) == ("<a?>.", "tangent")
    assert run(batch(ir), ["a", "b"]) == ["<a?>.", "<b?>."]
    assert run(batch(pullback(ir)), (["a", "b"],), ["g", "h"]) == (
        ["<a?>.", "<b?>."],
        (["g on <a?>", "h on <b?>"],),
    )


def test_results_with_several_cotangents_of_which_some_are_zero():
    @custom
    def two(x, y):
        return x + "1", y + "2"

    two.set_pushforward(lambda in_tree, *, call: (call(*in_tree[0]), in_tree[1]))
    ir = trace(lambda x, y: two(x, y)[0])("a", "b")
    assert pullback(ir).call(("a", "b"), "g") == ("a1", ("g", Zero(STR)))


def test_a_custom_function_named_like_a_scalar_one_does_not_take_its_place():
    from alkahest.compile.functions import compile_expr
    from alkahest.expr.pool import ExprPool
    from alkahest.prims.elementary import exp as real

    @custom(out=float)
    def exp(x):
        return -1.0

    assert exp.prim.name == f"{__name__}.exp"
    x = ExprPool().symbol("x")
    assert compile_expr(real(x), [x])([0.0]) == 1.0


def test_format_in_rules_is_plain_text():
    f = made()
    f.set_pullback(lambda in_tree, *, call: (format("{} via {}", in_tree[1], in_tree[0][1]),))
    assert pullback(trace(f)("a")).call(("x",), "g") == ("[x]", ("g via [x]",))


def test_python_that_looks_at_what_primitives_give_needs_out():
    def short(text):
        return "short" if concat(text, "!") == "a!" else "long"

    plain = custom(short)
    assert plain("a") == "short"
    with pytest.raises(TracedValueError):
        trace(plain)("a")
    with pytest.raises(TracedValueError):
        asyncio.run(plain.prim.abind(("a",), call=plain))
    opaque = custom(out=str)(short)
    ir = trace(opaque)("a")
    assert [run(ir, x) for run in RUNS.values() for x in ("a", "b")] == ["short", "long"] * 2
