"""custom with out=: any Python as an equation, functions that wait, async ones."""

import asyncio
import contextvars
import threading
import time

import pytest

from alkahest.base.avals import STR, AVal, FloatAVal
from alkahest.errors import AlkahestError, OperandTypeError, RuleError, TraceError
from alkahest.ir.tracing import trace_program as trace
from alkahest.prims import operators as operators
from alkahest.prims.control import switch
from alkahest.prims.groups import waiting_primitives
from alkahest.transforms import reverse_control as reverse_control
from alkahest.transforms.batching import batch
from alkahest.transforms.boundary import custom
from alkahest.transforms.custom_rules import custom_body
from alkahest.transforms.forward import pushforward
from alkahest.transforms.memory import memoize
from alkahest.transforms.pruning import dce
from alkahest.transforms.reverse import pullback

RUNS = {"sync": lambda ir, *args: ir.call(*args), "async": lambda ir, *args: asyncio.run(ir.acall(*args))}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


@runs
def test_any_python_with_out(run):
    @custom(out=str)
    def grade(text):
        return "long" if len(text) > 3 else "short"

    long, short = (trace(lambda x, m=m: x + m)("a") for m in ("+", "-"))
    ir = trace(lambda x: switch(grade(x), {"long": long, "short": short}, x))("a")
    assert run(ir, "abcd") == "abcd+"
    assert run(batch(ir), ["a", "abcd"]) == ["a-", "abcd+"]
    assert run(pullback(ir), ("a",), "g") == ("a-", ("g",))  # nothing flows back to the key: no rule is missed


def test_out_may_be_a_structure_and_abstract_values():
    class Money(AVal):
        pass

    @custom(out={"n": int, "x": [float, FloatAVal()], "m": Money()})
    def facts(text):
        return {"n": len(text), "x": [0.5, 1], "m": object}

    ir = trace(facts)("a")
    assert ir.call("abc") == {"n": 3, "x": [0.5, 1], "m": object}
    assert isinstance(ir.out_ir_tree["m"].aval, Money)


@pytest.mark.parametrize("result", [1, None, ["a"], ("a", "b"), True])
@runs
def test_a_result_that_is_not_what_out_says(run, result):
    wrong = custom(out=str)(lambda x: result)
    with pytest.raises(RuleError) as caught:
        run(trace(wrong)("a"), "a")
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
    with pytest.raises(OperandTypeError, match="by name"):
        custom(lambda text: text)(text="a")
    with pytest.raises(AlkahestError):
        custom_body(custom(out=str)(lambda x: x), (STR,))


@runs
def test_a_missing_rule_is_named(run):
    plain = custom(out=str)(lambda x: x)
    ir = trace(plain)("a")
    for transform, second in ((pushforward, ("d",)), (pullback, "g")):
        with pytest.raises(AlkahestError, match=rf"<lambda>\.set_{transform.__name__}"):
            run(transform(ir), ("a",), second)


@runs
def test_own_rules_of_any_python(run):
    f = custom(out=str)(lambda x: x.upper())
    f.set_pullback(lambda in_tree, *, call: (f"{in_tree[1]} ({in_tree[0][1]})",))
    f.aset_pushforward(_apush)
    ir = trace(f)("a")
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
        assert run(batch(trace(slow)("a")), list("abcde")) == [f"{x}!" for x in "abcde"]
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
        ir = trace(fetch)("a")
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

    ir = trace(f)("a")
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

    ir = trace(body)("a")

    async def main():
        return await asyncio.gather(ir.acall("a"), ir.acall("b"))

    try:
        assert asyncio.run(main()) == ["a!", "b!"]
        assert events == ["in a", "in b", "out a", "out b"]
    finally:
        waiting_primitives.discard(slow.prim)
