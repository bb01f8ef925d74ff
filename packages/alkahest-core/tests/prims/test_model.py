"""Model calls, forward and backward: what is sent, how often, and what comes back."""

import asyncio
import dataclasses
import json
import threading
from typing import Any

import pytest

import alkahest.prims.standard
import alkahest.transforms.reverse_control  # noqa: F401 - arithmetic in programs, and batches and loops backward
from alkahest.base.avals import BOOL, FLOAT, INT, STR
from alkahest.base.rules import TABLES, pull_bwd_rules, pull_fwd_rules, push_rules
from alkahest.base.zero import Zero, materialize
from alkahest.errors import (
    BudgetError,
    ClientError,
    OperandTypeError,
    ProviderError,
    SchemaError,
    SchemaViolationError,
)
from alkahest.ir.ir import IRVar
from alkahest.ir.tracing import trace_program as trace
from alkahest.models.budgets import Budget
from alkahest.models.client import lm_client
from alkahest.prims.control import stop_gradient, while_loop
from alkahest.prims.cotangents import materialize_p
from alkahest.prims.feedback import lm_call_p, lm_feedback_p, lm_schema_call_p
from alkahest.prims.groups import non_dce_primitives, non_memoizable_primitives, waiting_primitives
from alkahest.prims.model import lm_call, lm_schema_call
from alkahest.prims.schema import Doc
from alkahest.prims.schema_nodes import Bool, Enum, Float, Int, Str
from alkahest.prims.text import format
from alkahest.transforms.batching import batch
from alkahest.transforms.forward import pushforward
from alkahest.transforms.memory import memoize
from alkahest.transforms.pruning import dce
from alkahest.transforms.reverse import pullback
from alkahest.transforms.scheduling import sched


class Provider:
    """Counts requests, and answers with `answer(messages)`."""

    def __init__(self, answer):
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def completion(self, **request):
        self.requests.append(request)
        found = self.answer(request["messages"])
        return {"choices": [{"message": {"content": found}}]}

    async def acompletion(self, **request):
        return self.completion(**request)

    @property
    def prompts(self):
        return [[m["content"] for m in r["messages"]] for r in self.requests]


def wrapped(messages):
    """Answer so that answers show what was asked: feedback requests by their feedback."""
    last = messages[-1]["content"]
    if "<feedback>" in last:
        return f"fb({last.split('<feedback>')[1].split('</feedback>')[0].strip()})"
    return f"<{'|'.join(m['content'] for m in messages)}>"


@pytest.fixture
def provider():
    made = Provider(wrapped)
    with lm_client(made, retries=0):
        yield made


@pytest.fixture(params=["call", "acall"])
def run(request):
    """Run a program, synchronously or asynchronously: the same tests hold for both."""
    if request.param == "call":
        return lambda ir, *args: ir.call(*args)
    return lambda ir, *args: asyncio.run(ir.acall(*args))


def user(content):
    return {"role": "user", "content": content}


def system(content):
    return {"role": "system", "content": content}


def ask(x):
    return lm_call([user(x)], model="m")


def guided(x):
    return lm_call([system("Be kind."), user(format("Q: {}", x))], model="m")


# ---------------------------------------------------------------------------------------------------------- lm_call


def test_a_call_sends_messages_and_model_and_nothing_else(provider, run):
    assert run(trace(guided)("x"), "why") == "<Be kind.|Q: why>"
    assert provider.requests == [{"messages": [system("Be kind."), user("Q: why")], "model": "m"}]


def test_nothing_is_asked_while_tracing_and_the_equation_reads_well(provider):
    ir = trace(guided)("x")
    assert provider.requests == []
    eqn = ir.ir_eqns[-1]
    assert (eqn.prim, eqn.params) == (lm_call_p, {"roles": ("system", "user")})
    contents, model = eqn.in_ir_tree
    assert contents[0] == "Be kind."
    assert model == "m"
    assert eqn.out_ir_tree.aval == STR


def test_the_model_is_an_input_of_the_program(provider, run):
    ir = trace(lambda x, model: lm_call([user(x)], model=model))("x", "m")
    run(ir, "a", "small")
    assert provider.requests[0]["model"] == "small"


def test_a_call_outside_of_a_program(provider):
    assert lm_call((user("hi"),), model="m") == "<hi>"


@pytest.mark.parametrize("call", [lm_call, lambda m, *, model: lm_schema_call(m, model=model, schema=Str())])
@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ("hello", "a value of type str"),
        ([], "no messages"),
        ([user("a"), "b"], "messages[1]"),
        ([{"role": "user"}], "messages[0] of"),
        ([{"role": "user"}], "'content'"),
        ([user("a"), {"content": "b"}], "messages[1] of"),
        ([{"role": "user", "content": "a", "name": "Ada"}], "has 'name'"),
        ([{"role": 1, "content": "a"}], "messages[0]['role']"),
        ([user("a"), user(2)], "messages[1]['content']"),
        ([user(None)], "messages[0]['content']"),
    ],
)
def test_messages_of_another_form_are_refused_with_their_place(provider, call, messages, named):
    for attempt in (lambda: call(messages, model="m"), trace(lambda: call(messages, model="m"))):
        with pytest.raises(OperandTypeError) as caught:
            attempt()
        assert named in caught.value.message
        assert caught.value.remedy
    assert provider.requests == []


def test_a_model_that_is_no_text_is_refused(provider):
    with pytest.raises(OperandTypeError) as caught:
        lm_call([user("a")], model=None)
    assert "model of lm_call" in caught.value.message


def test_traced_values_of_other_types_are_refused_while_tracing():
    with pytest.raises(OperandTypeError) as caught:
        trace(lambda n: lm_call([user(n)], model="m"))(3)
    assert "messages[0]['content']" in caught.value.message
    with pytest.raises(OperandTypeError) as caught:
        trace(lambda role: lm_call([{"role": role, "content": "a"}], model="m"))("user")
    assert "messages[0]['role']" in caught.value.message
    assert "fixed" in caught.value.remedy
    with pytest.raises(OperandTypeError):
        trace(lambda messages: lm_call(messages, model="m"))("a")


def test_a_content_that_turns_out_to_be_no_text_is_not_sent(provider):
    with pytest.raises(OperandTypeError) as caught:
        lm_call_p.bind((["a", 3], "m"), roles=("system", "user"))
    assert "messages[1]['content']" in caught.value.message
    assert provider.requests == []


def test_a_provider_that_fails_for_good_names_the_equation(run):
    def fail(messages):
        raise OSError("no route")

    with lm_client(Provider(fail), retries=0), pytest.raises(ProviderError) as caught:
        run(trace(guided)("x"), "a")
    assert "lm_call" in caught.value.where
    assert isinstance(caught.value.__cause__, OSError)


def test_programs_with_calls_can_be_saved(provider):
    import pickle

    schema = {"score": Int(min=0) @ Doc("0 is worst")}
    ir = trace(lambda x: (guided(x), lm_schema_call([user(x)], model="m", schema=schema, repairs=2)))("x")
    again = pickle.loads(pickle.dumps(pullback(ir)))
    inner = again.ir_eqns[0].params["ir"].ir_eqns
    assert inner[1].params["roles"] == ("system", "user")
    assert inner[2].params["schema"] == schema
    assert inner[2].params["repairs"] == 2


# --------------------------------------------------------------------------------------------- lm_call, backward


def test_feedback_on_the_answer_becomes_feedback_on_the_message(provider, run):
    assert run(pullback(trace(ask)("x")), ("why",), "too long") == ("<why>", ("fb(too long)",))
    ((prompt,),) = provider.prompts[1:]
    for part in ("why", "<why>", "too long", '"user"', "concise", "actionable"):
        assert part in prompt
    assert provider.requests[1]["messages"][0]["role"] == "user"
    assert provider.requests[1]["model"] == "m"


def test_braces_in_texts_stay_as_they_are(provider):
    pullback(trace(ask)("x")).call(("{role} {0}",), "use {braces}")
    assert "{role} {0}" in provider.prompts[1][0]
    assert "use {braces}" in provider.prompts[1][0]


def test_a_constant_system_prompt_costs_no_feedback_call(provider, run):
    assert run(pullback(trace(guided)("x")), ("why",), "c") == ("<Be kind.|Q: why>", ("fb(c)",))
    assert len(provider.requests) == 2


def test_every_traced_message_has_feedback_of_its_own(provider, run):
    ir = trace(lambda s, u: lm_call([system(s), user(u)], model="m"))("s", "u")
    assert run(pullback(ir), ("S", "U"), "c") == ("<S|U>", ("fb(c)", "fb(c)"))
    assert '"system"' in provider.prompts[1][0] + provider.prompts[2][0]
    assert len(provider.requests) == 3


def test_the_model_has_a_zero_and_costs_nothing(provider, run):
    ir = trace(lambda model: lm_call([user("fixed")], model=model))("m")
    assert run(pullback(ir), ("m",), "c") == ("<fixed>", (Zero(STR),))
    assert len(provider.requests) == 1


def test_a_zero_cotangent_costs_nothing(provider, run):
    assert run(pullback(trace(ask)("x")), ("a",), Zero(STR)) == ("<a>", (Zero(STR),))
    assert len(provider.requests) == 1


def test_a_call_that_nobody_uses_costs_nothing_backward(provider, run):
    def used_once(x):
        ask(x)
        return ask(format("{}!", x))

    assert run(pullback(trace(used_once)("x")), ("a",), "c") == ("<a!>", ("fb(c)",))
    assert provider.prompts.count(["a"]) <= 1
    assert len([p for p in provider.prompts if "<feedback>" in p[0]]) == 1


def test_dce_removes_calls_that_nobody_uses(provider, run):
    ir = trace(lambda x: (ask(x), ask(format("{}!", x)))[1])("x")
    assert run(dce(ir), "a") == "<a!>"
    assert provider.prompts == [["a!"]]
    assert not {lm_call_p, lm_schema_call_p, lm_feedback_p} & non_dce_primitives


def test_feedback_of_an_input_that_nobody_uses_is_not_asked_for(provider, run):
    plan = dce(pullback(trace(ask)("x")), out_used=(True, (False,)))
    assert materialize(run(plan, ("a",), "c")[0]) == "<a>"
    assert len(provider.requests) == 1


def test_feedback_stops_at_stop_gradient(provider, run):
    ir = trace(lambda x: ask(stop_gradient(x)))("x")
    assert run(pullback(ir), ("a",), "c") == ("<a>", (Zero(STR),))
    assert len(provider.requests) == 1


def test_a_chain_passes_feedback_on(provider, run):
    ir = trace(lambda x: ask(ask(x)))("x")
    assert run(pullback(ir), ("a",), "c") == ("<<a>>", ("fb(fb(c))",))
    assert len(provider.requests) == 4


def test_a_number_as_feedback_is_refused(provider, run):
    with pytest.raises(OperandTypeError) as caught:
        run(pullback(trace(ask)("x")), ("a",), 0.5)
    assert "feedback" in caught.value.message


def test_a_pullback_of_a_pullback_reuses_the_forward_pass(provider, run):
    """One call forward, its feedback, the feedback on the output, and the tangent: four."""
    twice = pullback(pullback(trace(ask)("x")))
    got = run(twice, (("x",), "c"), ("c_out", ("c_in",)))
    assert got == (("<x>", ("fb(c)",)), (("fb(c_out)",), "<c_in>"))
    assert len(provider.requests) == 4


def test_the_transpose_of_feedback_sends_the_cotangent_in_the_place_of_its_message(provider):
    twice = pullback(pullback(trace(guided)("x")))
    _, (_, found) = twice.call((("x",), "c"), (Zero(STR), ("c_in",)))
    assert found == "<|Q: c_in>"
    assert provider.prompts[-1] == ["", "Q: c_in"]
    assert len(provider.requests) == 3


def test_a_pushforward_of_a_pullback_is_structural(provider, run):
    both = pushforward(pullback(trace(ask)("x")))
    (out, (fb,)), (tangent, (fb_tangent,)) = run(both, (("x",), "c"), (("t",), "tc"))
    assert (out, fb, tangent, fb_tangent) == ("<x>", "fb(c)", "<t>", "fb(tc)")
    run(both, (("x",), "c"), (("t",), Zero(STR)))
    assert len(provider.requests) == 4 + 3  # feedback that does not change is not asked for


# ---------------------------------------------------------------------------------------------- lm_call, forward mode


def test_tangents_are_sent_like_messages_with_empty_texts_for_zeros(provider, run):
    assert run(pushforward(trace(guided)("x")), ("why",), ("how",)) == ("<Be kind.|Q: why>", "<|Q: how>")
    assert sorted(provider.prompts) == [["", "Q: how"], ["Be kind.", "Q: why"]]


def test_the_tangent_of_a_model_alone_is_no_call(provider, run):
    ir = trace(lambda x, model: lm_call([user(x)], model=model))("x", "m")
    assert run(pushforward(ir), ("a", "m"), (Zero(STR), "other")) == ("<a>", Zero(STR))
    assert len(provider.requests) == 1


def test_no_tangent_is_no_call(provider, run):
    assert run(pushforward(trace(ask)("x")), ("a",), (Zero(STR),)) == ("<a>", Zero(STR))
    assert len(provider.requests) == 1


def test_an_empty_text_is_a_tangent_unlike_a_zero(provider, run):
    assert run(pushforward(trace(ask)("x")), ("a",), ("",)) == ("<a>", "<>")


# ------------------------------------------------------------------------------------------------ rules by themselves


def test_the_rules_on_values_give_feedback_on_every_message(provider):
    params = {"roles": ("system", "user")}
    out, residuals = pull_fwd_rules.get(lm_call_p)((["S", "U"], "m"), **params)
    assert out == "<S|U>"
    found = pull_bwd_rules.get(lm_call_p)((residuals, "c"), **params)
    assert found == (["fb(c)", "fb(c)"], Zero(STR))
    assert pull_bwd_rules.get(lm_call_p)((residuals, Zero(STR)), **params) == ([Zero(STR)] * 2, Zero(STR))
    assert len(provider.requests) == 3


def test_the_push_rule_on_values(provider):
    rule = push_rules.get(lm_call_p)
    primals = (["S", "U"], "m")
    assert rule((primals, ([Zero(STR), "t"], Zero(STR))), roles=("system", "user")) == ("<S|U>", "<|t>")
    assert rule((primals, ([Zero(STR)] * 2, "other")), roles=("system", "user")) == ("<S|U>", Zero(STR))


def test_the_forward_rule_records_one_equation_per_traced_content():
    ir = trace(lambda x, c: pull_bwd_rules.get(lm_call_p)(((["S", x], "m", "out"), c), roles=("system", "user")))(
        "x", "c"
    )
    assert [eqn.prim for eqn in ir.ir_eqns] == [lm_feedback_p]
    assert ir.ir_eqns[0].params == {"roles": ("system", "user"), "index": 1}
    (contents, model) = ir.out_ir_tree
    assert contents[0] == model == Zero(STR)
    assert isinstance(contents[1], IRVar)


def test_a_zero_met_when_the_program_runs_costs_nothing(provider):
    roles = ("system", "user")
    assert lm_feedback_p.bind(("a", "<a>", Zero(STR), "m"), roles=roles, index=0) == Zero(STR)
    assert lm_call_p.bind((["", Zero(STR)], "m"), roles=roles) == Zero(STR)
    assert lm_schema_call_p.bind(([Zero(STR)], "m"), roles=("user",), schema=[Int()]) == [Zero(INT)]
    assert provider.requests == []


def test_a_zero_beside_a_tangent_is_an_empty_text(provider):
    assert lm_call_p.bind((["t", Zero(STR)], "m"), roles=("system", "user")) == "<t|>"


@pytest.mark.parametrize("prim", [lm_call_p, lm_schema_call_p, lm_feedback_p])
def test_every_table_has_both_sides(prim):
    for kind, table in TABLES.items():
        if kind != "dce":  # the default: kept where its output is used
            assert prim in table
            assert kind == "abstract" or table.has_async(prim)
    assert prim in waiting_primitives
    assert prim not in non_memoizable_primitives


# ---------------------------------------------------------------------------------------------------- composition


def test_feedback_for_a_batch(provider, run):
    ir = trace(guided)("x")
    assert run(batch(pullback(ir)), (["a", "b"],), ["c", "d"]) == (
        ["<Be kind.|Q: a>", "<Be kind.|Q: b>"],
        (["fb(c)", "fb(d)"],),
    )
    assert len(provider.requests) == 4


def test_items_of_a_batch_without_feedback_cost_nothing(provider, run):
    _, (found,) = run(batch(pullback(trace(ask)("x"))), (["a", "b", "c"],), ["x", Zero(STR), "z"])
    assert materialize(found) == ["fb(x)", "", "fb(z)"]
    assert len(provider.requests) == 3 + 2


def test_items_of_a_batch_without_tangents_cost_nothing(provider, run):
    out, tangents = run(batch(pushforward(trace(guided)("x"))), (["a", "b"],), (["t", Zero(STR)],))
    assert out == ["<Be kind.|Q: a>", "<Be kind.|Q: b>"]
    # What is formatted with a zero is a text, so the second item has a tangent: that of the template.
    assert tangents == ["<|Q: t>", "<|Q: >"]
    provider.requests.clear()
    _, tangents = run(batch(pushforward(trace(ask)("x"))), (["a", "b"],), (["t", Zero(STR)],))
    assert materialize(tangents) == ["<t>", ""]
    assert len(provider.requests) == 3


def test_one_model_for_a_batch_or_one_per_item(provider, run):
    ir = trace(lambda x, model: lm_call([user(x)], model=model))("x", "m")
    run(batch(ir), ["a", "b"], ["m1", "m2"])
    assert sorted((r["messages"][0]["content"], r["model"]) for r in provider.requests) == [("a", "m1"), ("b", "m2")]
    provider.requests.clear()
    run(batch(ir, in_axes=(False, True)), "a", ["m1", "m2"])
    assert sorted(r["model"] for r in provider.requests) == ["m1", "m2"]


def test_feedback_on_a_batch_reaches_a_shared_input_once(provider, run):
    ir = trace(lambda hint, x: ask(format("{} {}", hint, x)))("h", "x")
    shared = pullback(batch(ir, in_axes=(False, True)))
    _, (hint, xs) = run(shared, ("H", ["a", "b"]), ["c", "d"])
    assert xs == ["fb(c)", "fb(d)"]
    assert hint == "fb(c)\nfb(d)"
    assert len(provider.requests) == 4


def test_feedback_goes_backward_through_a_loop(provider, run):
    state = ("x", 0)
    body = trace(lambda s: (ask(s[0]), s[1] + 1))(state)
    cond = trace(lambda s: s[1] < 2)(state)
    ir = trace(lambda x: while_loop(cond, body, (x, 0), max_iters=5)[0])("x")
    assert run(pullback(ir), ("a",), "c") == ("<<a>>", ("fb(fb(c))",))
    assert len(provider.requests) == 4


def test_scheduled_feedback_is_the_same(provider, run):
    ir = trace(lambda x: format("{}{}", ask(x), ask(format("{}!", x))))("x")
    assert run(sched(pullback(ir)), ("a",), "c") == ("<a><a!>", ("fb(c)\nfb(c)",))
    assert len(provider.requests) == 4


def test_calls_of_a_batch_overlap_without_async():
    both = threading.Barrier(2, timeout=30)

    def answer(messages):
        both.wait()  # nobody passes alone
        return wrapped(messages)

    with lm_client(Provider(answer), retries=0):
        got = batch(pullback(trace(ask)("x"))).call((["a", "b"],), ["c", "d"])
    assert got == (["<a>", "<b>"], (["fb(c)", "fb(d)"],))


def test_a_memo_shares_calls_and_feedback(provider, run):
    ir = pullback(trace(lambda x: (ask(x), ask(x)))("x"))
    with memoize():
        assert run(ir, ("a",), ("c", "c")) == (("<a>", "<a>"), ("fb(c)\nfb(c)",))
        run(ir, ("a",), ("c", "c"))
    assert len(provider.requests) == 2


def test_feedback_calls_count_in_the_budget(run):
    made = Provider(wrapped)
    with lm_client(made, budget=Budget(calls=1)), pytest.raises(BudgetError):
        run(pullback(trace(ask)("x")), ("a",), "c")
    assert len(made.requests) == 1


# --------------------------------------------------------------------------------------------------- lm_schema_call

VERDICT = {"score": Int(min=0, max=10) @ Doc("10 is best"), "why": Str(), "sure": Bool(), "p": Float()}
ANSWER = {"p": 1, "score": 7, "sure": True, "why": "clear"}


def judge(x, **options):
    return lm_schema_call([user(x)], model="m", schema=VERDICT, **options)


def scripted(*answers):
    """Answer in turn; feedback requests as `wrapped` does."""
    left = list(answers)

    def answer(messages):
        return wrapped(messages) if "<feedback>" in messages[-1]["content"] else left.pop(0)

    return Provider(answer)


def test_a_schema_call_sends_the_schema_and_reads_the_answer(run):
    made = scripted(json.dumps(ANSWER))
    ir = trace(judge)("x")
    assert {name: var.aval for name, var in ir.out_ir_tree.items()} == {
        "score": INT,
        "why": STR,
        "sure": BOOL,
        "p": FLOAT,
    }
    with lm_client(made):
        got = run(ir, "text")
    assert got == {"p": 1.0, "score": 7, "sure": True, "why": "clear"}
    assert [type(got[k]) for k in ("p", "score", "sure")] == [float, int, bool]
    (request,) = made.requests
    assert request["messages"] == [user("text")]
    form = request["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["name"]
    schema = form["json_schema"]["schema"]
    assert schema["properties"]["score"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 10,
        "description": "10 is best",
    }
    assert schema["required"] == ["p", "score", "sure", "why"]


def test_the_schema_stays_the_object_it_is():
    ir = trace(judge)("x")
    assert ir.ir_eqns[0].params["schema"] is VERDICT
    assert set(ir.ir_eqns[0].params) == {"roles", "schema"}


@pytest.mark.parametrize(
    ("schema", "answer", "value"),
    [
        (Enum("a", "b"), '{"value": "b"}', "b"),
        ([Str(), (Int(), Bool())], '{"0": "x", "1": {"0": 1, "1": false}}', ["x", (1, False)]),
        ({}, "{}", {}),
        ({"a": None}, '{"a": {}}', {"a": None}),
    ],
)
def test_values_come_in_the_structure_of_the_schema(run, schema, answer, value):
    with lm_client(scripted(answer)):
        ir = trace(lambda x: lm_schema_call([user(x)], model="m", schema=schema))("x")
        assert run(ir, "a") == value


@dataclasses.dataclass(eq=False)
class Mutable:
    """Neither the class nor what it holds can be hashed."""

    entries: Any
    __hash__ = None  # type: ignore[assignment]


def test_a_schema_that_cannot_be_hashed(run):
    made = scripted('{"entries": {"0": 1}}', '{"entries": {"0": 2}}')
    ir = trace(lambda x: lm_schema_call([user(x)], model="m", schema=Mutable([Int()])))("x")
    with lm_client(made), memoize():
        assert run(ir, "a").entries == [1]
        found, (back,) = run(pullback(ir), ("b",), Mutable(["higher"]))
    assert found.entries == [2]
    assert back == "fb($['entries']['0'] = 2\n  feedback: 'higher')"


def test_what_is_no_schema_is_refused_while_tracing():
    with pytest.raises(SchemaError):
        trace(lambda x: lm_schema_call([user(x)], model="m", schema={"a": str}))("x")


@pytest.mark.parametrize("repairs", [-1, 1.0, True, "1"])
def test_repairs_that_make_no_sense_are_refused(repairs):
    with pytest.raises(ClientError):
        judge("x", repairs=repairs)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({**ANSWER, "score": 11}, "$['score']"),
        ({**ANSWER, "sure": 1}, "$['sure']"),
        ({"score": 1}, "$"),
    ],
)
def test_an_answer_that_violates_the_schema_names_model_and_path(run, answer, path):
    made = scripted(json.dumps(answer))
    with lm_client(made), pytest.raises(SchemaViolationError) as caught:
        run(trace(judge)("x"), "a")
    assert "'m'" in caught.value.message
    assert path in caught.value.message
    assert caught.value.details["path"] == path
    assert caught.value.details["answer"] == json.dumps(answer)
    assert "lm_schema_call" in caught.value.where
    assert len(made.requests) == 1


@pytest.mark.parametrize("answer", ['{"score": 7, "why": "cut o', ""])
def test_an_answer_that_is_no_json(run, answer):
    with lm_client(scripted(answer)), pytest.raises(SchemaViolationError) as caught:
        run(trace(judge)("x"), "a")
    assert "no JSON" in caught.value.message


def test_a_repair_tells_the_model_what_was_wrong(run):
    bad = json.dumps({**ANSWER, "score": 11})
    made = scripted(bad, json.dumps(ANSWER))
    with lm_client(made) as client:
        assert run(trace(lambda x: judge(x, repairs=1))("x"), "a")["score"] == 7
        assert client.usage.calls == 2
    first, second = made.requests
    assert second["messages"][:2] == [user("a"), {"role": "assistant", "content": bad}]
    assert second["messages"][2]["role"] == "user"
    assert "$['score']" in second["messages"][2]["content"]
    assert second["response_format"] == first["response_format"]


def test_repairs_come_to_an_end(run):
    made = scripted("", "{}", "{}", json.dumps(ANSWER))
    with lm_client(made), pytest.raises(SchemaViolationError) as caught:
        run(trace(lambda x: judge(x, repairs=2))("x"), "a")
    assert "asked 3 times" in caught.value.message
    assert len(made.requests) == 3
    assert [m["role"] for m in made.requests[2]["messages"]] == ["user", "user", "assistant", "user"]


def test_feedback_on_fields_becomes_feedback_on_the_message(run):
    made = scripted(json.dumps(ANSWER))
    ir = trace(lambda x: lm_schema_call([system("Judge."), user(x)], model="m", schema=VERDICT))("x")
    feedback = {"score": "too high", "why": "say 'more'", "sure": Zero(BOOL), "p": Zero(FLOAT)}
    with lm_client(made):
        out, (found,) = run(pullback(ir), ("text",), feedback)
    assert out["score"] == 7
    assert len(made.requests) == 2
    assert found.startswith("fb(")
    ((prompt,),) = made.prompts[1:]
    assert "text" in prompt
    assert "response_format" not in made.requests[1]
    block = prompt.split("<feedback>\n")[1].split("\n</feedback>")[0]
    assert block.splitlines() == [
        "$['p'] = 1.0",
        "  feedback: (no feedback)",
        "$['score'] = 7",
        "  feedback: 'too high'",
        "$['sure'] = True",
        "  feedback: (no feedback)",
        "$['why'] = 'clear'",
        "  feedback: \"say 'more'\"",
    ]


def test_fields_that_nobody_uses_have_no_feedback(run):
    made = scripted(json.dumps(ANSWER))
    with lm_client(made):
        _, (found,) = run(pullback(trace(lambda x: judge(x)["why"])("x")), ("text",), "vague")
    assert "$['why'] = 'clear'\n  feedback: 'vague'" in found
    assert found.count("(no feedback)") == 3


def test_no_feedback_on_any_field_costs_nothing(run):
    made = scripted(json.dumps(ANSWER))
    nothing = {"score": Zero(INT), "why": Zero(STR), "sure": Zero(BOOL), "p": Zero(FLOAT)}
    with lm_client(made):
        assert run(pullback(trace(judge)("x")), ("text",), nothing)[1] == (Zero(STR),)
    assert len(made.requests) == 1


def test_feedback_on_a_field_that_is_no_text_is_refused(run):
    nothing = {"score": 0.5, "why": Zero(STR), "sure": Zero(BOOL), "p": Zero(FLOAT)}
    with lm_client(scripted(json.dumps(ANSWER))), pytest.raises(OperandTypeError) as caught:
        run(pullback(trace(judge)("x")), ("text",), nothing)
    assert "$['score']" in caught.value.message


def test_tangents_of_a_schema_call(run):
    def answer(messages):
        return json.dumps([1, 2][messages[-1]["content"] == "t"])

    with lm_client(Provider(answer)):
        ir = trace(lambda x: lm_schema_call([user(x)], model="m", schema=Int()))("x")
        assert run(pushforward(ir), ("a",), ("t",)) == (1, 2)
        assert run(pushforward(ir), ("a",), (Zero(STR),)) == (1, Zero(INT))


def test_a_pullback_of_a_pullback_of_a_schema_call(run):
    made = scripted('{"a": "x"}', '{"a": "tangent"}')
    twice = pullback(pullback(trace(lambda x: lm_schema_call([user(x)], model="m", schema={"a": Str()}))("x")))
    with lm_client(made):
        (out, (fb,)), ((on_x,), on_c) = run(twice, (("q",), {"a": "c"}), ({"a": "c_out"}, ("c_in",)))
    assert out == {"a": "x"}
    assert "'c'" in fb
    assert "'c_out'" in on_x
    assert on_c == {"a": "tangent"}
    assert made.prompts[-2:].count(["c_in"]) + made.prompts[:-2].count(["c_in"]) == 1
    assert len(made.requests) == 4


def test_schema_calls_in_a_batch(run):
    def answer(messages):
        return json.dumps({"n": len(messages[-1]["content"])}) if "<" not in messages[-1]["content"] else "fb"

    made = Provider(answer)
    ir = trace(lambda x: lm_schema_call([user(x)], model="m", schema={"n": Int()}))("x")
    with lm_client(made):
        assert run(batch(ir), ["a", "bb"]) == {"n": [1, 2]}
        _, (found,) = run(batch(pullback(ir)), (["a", "bb"],), {"n": ["more", Zero(INT)]})
    assert materialize(found) == ["fb", ""]
    assert len(made.requests) == 2 + 3


def test_answers_steer_numbers(run):
    with lm_client(scripted("4")):
        ir = trace(lambda x: lm_schema_call([user(x)], model="m", schema=Int()) + 1)("x")
        assert run(ir, "a") == 5


def test_plans_hold_no_more_than_the_calls():
    """A traced tangent is not looked at before the call: it finds out itself."""
    from alkahest.transforms.forward import push_plan

    plan = push_plan(trace(ask)("x"), (False,))
    assert [eqn.prim for eqn in plan.ir_eqns] == [lm_call_p, lm_call_p]
    assert materialize_p not in {eqn.prim for eqn in plan.ir_eqns}
