"""custom: functions as equations, with rules of their own."""

import asyncio
import contextvars
import threading
import time

import pytest
from alkahest.base.avals import STR, AVal, FloatAVal, IntAVal
from alkahest.base.interpreter import Interpreter, active_interpreter, using_interpreter
from alkahest.base.zero import Zero
from alkahest.errors import AlkahestError, MissingRuleError, OperandTypeError, RuleError, TraceError, TracedValueError
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims import operators as operators
from alkahest.prims.control import switch
from alkahest.prims.groups import waiting_primitives
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
    assert run(pushforward(ir), ("a",), ("da",)) == ("[a]!", "[da]!")
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

    ir = trace(lambda p: split(p))({"a": "x", "b": "y"})
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

    ir = trace(lambda x: marked(x))("a")
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
        trace(lambda x: odd(x))("a")


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
    ir = pullback(trace(lambda x: f(x))("a"))
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
    ir = trace(lambda x: f(x))("a")
    results = {
        pullback: ((("a",), "g"), ("[a]", ("g",)), ("[a]", ("async",))),
        pushforward: ((("a",), ("d",)), ("[a]", "[d]"), ("[a]", "async")),
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
    ir = trace(lambda x: ask(x))("a")
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


# -------------------------------------------------------------------------------------------------- any Python


@runs
def test_any_python_with_out(run):
    @custom(out=str)
    def grade(text):
        return "long" if len(text) > 3 else "short"

    long, short = (trace(lambda x, m=m: x + m)("a") for m in ("+", "-"))
    ir = trace(lambda x: switch(grade(x), {"long": long, "short": short}, x))("a")
    assert run(ir, "abcd") == "abcd+"
    assert run(batch(ir), ["a", "abcd"]) == ["a-", "abcd+"]


def test_out_may_be_a_structure_and_abstract_values():
    class Money(AVal):
        pass

    @custom(out={"n": int, "x": [float, FloatAVal()], "m": Money()})
    def facts(text):
        return {"n": len(text), "x": [0.5, 1], "m": object}

    ir = trace(lambda x: facts(x))("a")
    assert ir.call("abc") == {"n": 3, "x": [0.5, 1], "m": object}
    assert isinstance(ir.out_ir_tree["m"].aval, Money)


@pytest.mark.parametrize("result", [1, None, ["a"], ("a", "b"), True])
@runs
def test_a_result_that_is_not_what_out_says(run, result):
    wrong = custom(out=str)(lambda x: result)
    with pytest.raises(RuleError) as caught:
        run(trace(lambda x: wrong(x))("a"), "a")
    assert "returned" in caught.value.message


@pytest.mark.parametrize("out", [bytes, "str", 1, {"a": object}])
def test_an_out_that_says_nothing(out):
    with pytest.raises(OperandTypeError):
        custom(out=out)


def test_what_cannot_be_custom():
    with pytest.raises(OperandTypeError):
        custom("name")

    async def coroutine(x):
        return x

    with pytest.raises(TraceError, match="out="):
        custom(coroutine)
    with pytest.raises(TypeError):
        made()(text="a")
    with pytest.raises(AlkahestError):
        custom_body(custom(out=str)(lambda x: x), (STR,))


@runs
def test_a_missing_rule_is_named(run):
    plain = custom(out=str)(lambda x: x)
    ir = trace(lambda x: plain(x))("a")
    for transform, second in ((pushforward, ("d",)), (pullback, "g")):
        with pytest.raises(MissingRuleError, match=r"<lambda>"):
            run(transform(ir), ("a",), second)


@runs
def test_own_rules_of_any_python(run):
    f = custom(out=str)(lambda x: x.upper())
    f.set_pullback(lambda in_tree, *, call: (f"{in_tree[1]} ({in_tree[0][1]})",))
    f.aset_pushforward(_apush)
    ir = trace(lambda x: f(x))("a")
    assert run(pullback(ir), ("a",), "g") == ("A", ("g (A)",))
    assert run(pushforward(ir), ("a",), ("d",)) == ("A", "d!")


async def _apush(in_tree, *, call):
    await asyncio.sleep(0)
    return call(*in_tree[0]), in_tree[1][0] + "!"


@runs
def test_what_waits_runs_side_by_side(run):
    under_way, most = [0], [0]
    lock = threading.Lock()

    @custom(out=str, waits=True)
    def slow(x):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.05)
        with lock:
            under_way[0] -= 1
        return x + "!"

    try:
        assert run(batch(trace(lambda x: slow(x))("a")), list("abcde")) == [f"{x}!" for x in "abcde"]
        assert most[0] > 1
    finally:
        waiting_primitives.discard(slow.prim)


@runs
def test_async_functions(run):
    variable = contextvars.ContextVar("variable", default="unset")

    @custom(out=str)
    async def fetch(x):
        await asyncio.sleep(0.001)
        return f"{x}:{variable.get()}"

    try:
        ir = trace(lambda x: fetch(x))("a")
        token = variable.set("set")
        assert run(ir, "a") == "a:set"
        assert run(batch(ir), ["a", "b"]) == ["a:set", "b:set"]
        assert fetch("c") == "c:set"

        async def in_a_loop():
            return fetch("d")

        assert asyncio.run(in_a_loop()) == "d:set"
        variable.reset(token)
    finally:
        waiting_primitives.discard(fetch.prim)


def test_aset_impl():
    f = custom(out=str)(lambda x: "sync")

    @f.aset_impl
    async def twin(x):
        await asyncio.sleep(0)
        return "async" if x == "a" else 1

    ir = trace(lambda x: f(x))("a")
    assert ir.call("a") == "sync"
    assert asyncio.run(ir.acall("a")) == "async"
    with pytest.raises(RuleError):
        asyncio.run(ir.acall("b"))


def test_keep_and_memoizable():
    calls = []

    def program(f):
        return dce(trace(lambda x: (f(x), x)[1])("a"))

    act = custom(out=str, keep=True, memoizable=False)(lambda x: calls.append(x) or x)
    look = custom(out=str)(lambda x: calls.append(x) or x)
    assert [len(program(f).ir_eqns) for f in (act, look)] == [1, 0]
    with memoize():
        for f in (act, look):
            f("a"), f("a")
    assert calls == ["a"] * 3


def test_an_async_run_awaits_what_the_body_binds():
    events = []

    @custom(out=str)
    async def slow(x):
        events.append(f"in {x}")
        await asyncio.sleep(0.01)
        events.append(f"out {x}")
        return x

    @custom
    def body(x):
        return slow(x) + "!"

    ir = trace(lambda x: body(x))("a")

    async def main():
        return await asyncio.gather(ir.acall("a"), ir.acall("b"))

    try:
        assert asyncio.run(main()) == ["a!", "b!"]
        assert events == ["in a", "in b", "out a", "out b"]
    finally:
        waiting_primitives.discard(slow.prim)


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
    assert pullback(trace(lambda x: f(x))("a")).call(("x",), "g") == ("[x]", ("g via [x]",))
