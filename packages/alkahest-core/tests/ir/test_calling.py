"""Running programs: call, acall, walk; structural matching; what is refused, and how the error says so."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import alkahest as af
from alkahest.errors import LeakedValueError, MissingRuleError, OperandTypeError, ProgramError, RuleError, TreeError
from alkahest.extend import (
    IR,
    EvalInterpreter,
    Interpreter,
    IREqn,
    IRVar,
    Prim,
    StrAVal,
    abstract_rules,
    active_interpreter,
    concat_p,
    format_p,
    impl_rules,
    rules,
    using_interpreter,
    walk,
)

GREET = af.trace(lambda d, n: af.format("{}, {}{}", d["a"], d["b"][0], n) + "!")({"a": "", "b": ["", ""]}, 1)
ARGS = ({"a": "x", "b": ["y", "z"]}, 3)


def test_call_and_acall_give_the_same():
    assert GREET.call(*ARGS) == "x, y3!"
    assert inspect.iscoroutinefunction(GREET.acall)
    assert asyncio.run(GREET.acall(*ARGS)) == "x, y3!"


def test_a_program_matches_by_structure():
    match GREET:
        case IR(ir_eqns=[IREqn(prim=first, params={"template": template}), IREqn(prim=second, tags=tags)]):
            assert (first, template, second, tags) == (format_p, "{}, {}{}", concat_p, frozenset())
        case _:
            pytest.fail("no match")
    assert type(GREET.ir_eqns) is tuple
    assert isinstance(GREET.in_ir_tree, tuple)


def test_walk_goes_through_a_program_and_runs_nothing():
    for steps in (GREET.walk(*ARGS), walk(GREET)(*ARGS)):
        eqn, inputs = next(steps)
        assert eqn.prim is format_p
        assert inputs == (("x", "y", 3), ())
        eqn, inputs = steps.send("anything")
        assert (eqn.prim, inputs) == (concat_p, ("anything", "!"))
        assert steps.send("the end") == (None, "the end")
        with pytest.raises(StopIteration):
            steps.send(None)


def test_walk_drives_a_program_like_call():
    steps = GREET.walk(*ARGS)
    eqn, values = next(steps)
    while eqn is not None:
        eqn, values = steps.send(eqn.bind(values, **eqn.params))
    assert values == GREET.call(*ARGS)


@pytest.mark.parametrize("run", [lambda ir, *a: ir.call(*a), lambda ir, *a: asyncio.run(ir.acall(*a))])
class TestBadInput:
    @pytest.mark.parametrize(
        ("args", "text"),
        [
            ((), r"takes 2 argument\(s\).*called with 0"),
            ((ARGS[0],), r"takes 2 argument\(s\).*called with 1"),
            ((*ARGS, 1), r"takes 2 argument\(s\).*called with 3"),
            (({"a": "x"}, 3), "structure"),
            (({"a": "x", "b": ["y"]}, 3), "structure"),
            (({"a": "x", "b": ("y", "z")}, 3), "structure"),
            (("text", 3), "structure"),
            ((None, 3), "structure"),
        ],
    )
    def test_structures(self, run, args, text):
        with pytest.raises(TreeError, match=text) as caught:
            run(GREET, *args)
        assert isinstance(caught.value, ValueError)
        assert caught.value.code == "E-TREE-001"
        assert caught.value.remedy

    @pytest.mark.parametrize(
        ("args", "path"),
        [
            (({"a": 1, "b": ["y", "z"]}, 3), r"args\[0\]\['a'\].*int.*str"),
            (({"a": "x", "b": ["y", None]}, 3), "args|structure"),
            (({"a": "x", "b": ["y", 2.5]}, 3), r"args\[0\]\['b'\]\[1\].*float.*str"),
            ((ARGS[0], "3"), r"args\[1\].*str.*int"),
            ((ARGS[0], True), r"args\[1\].*bool.*int"),
            ((ARGS[0], 3.0), r"args\[1\].*float.*int"),
        ],
    )
    def test_types(self, run, args, path):
        with pytest.raises(TypeError, match=path):
            run(GREET, *args)

    def test_nothing_runs_before_the_inputs_are_checked(self, run):
        ran = []
        prim = rules(
            Prim("test_early"), impl=lambda x: ran.append(x) or x, abstract=lambda x: StrAVal(), register=False
        )
        ir = af.trace(lambda x, y: (prim.bind(x), y))("", "")
        with pytest.raises(OperandTypeError):
            run(ir, "a", 1)
        assert ran == []

    def test_a_primitive_that_returns_another_structure(self, run):
        prim = rules(Prim("test_shape"), impl=lambda x: (x,), abstract=lambda x: (StrAVal(), StrAVal()), register=False)
        with pytest.raises(RuleError, match=r"structure.*test_shape") as caught:
            run(af.trace(prim.bind)(""), "a")
        assert "test_shape" in caught.value.where


def test_arguments_by_name_are_refused():
    for run in (GREET.call, lambda **k: asyncio.run(GREET.acall(**k))):
        with pytest.raises(TypeError):
            run(d=ARGS[0], n=3)


def test_an_integer_may_stand_for_a_float_and_is_one_then():
    ir = af.trace(lambda x: (x, x * 2.0))(1.0)
    out = ir.call(3)
    assert out == (3.0, 6.0)
    assert [type(v) for v in out] == [float, float]
    with pytest.raises(OperandTypeError):
        ir.call(True)


def test_subclasses_of_str_are_texts():
    class Text(str):
        __slots__ = ()

    assert af.trace(lambda x: x + "!")("").call(Text("a")) == "a!"


def test_a_rule_on_one_side_only_is_reported_on_the_other():
    sync, other = Prim("test_sync_only"), Prim("test_async_only")
    impl_rules.set(sync, lambda x: x)

    async def aimpl(x, /):
        return x

    impl_rules.aset(other, aimpl)
    for prim in (sync, other):
        abstract_rules.set(prim, lambda x: StrAVal())
    one, two = [af.trace(lambda x, prim=prim: prim.bind(x))("") for prim in (sync, other)]
    assert one.call("a") == asyncio.run(two.acall("a")) == "a"
    with pytest.raises(MissingRuleError, match=r"'test_sync_only' has no async impl rule.*other side"):
        asyncio.run(one.acall("a"))
    with pytest.raises(MissingRuleError, match=r"'test_async_only' has no impl rule.*other side"):
        two.call("a")


def test_what_is_in_a_program_by_hand_is_checked_when_it_runs():
    x, y = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
    with pytest.raises(ProgramError, match="not defined"):
        IR([IREqn(concat_p, (y,), x)], (), x).call()
    with pytest.raises(ProgramError, match="defined twice"):
        IR([IREqn(concat_p, (x,), x)], (x,), x).call("a")
    assert IR([IREqn(concat_p, (x, "!"), y)], (x,), y).call("a") == "a!"


def test_every_equation_is_seen_by_the_active_interpreter():
    seen = []

    class Watching(Interpreter):
        def __init__(self):
            self.parent = active_interpreter.get()

        def interpret(self, prim, in_tree, /, **params):
            seen.append(prim)
            return self.parent.interpret(prim, in_tree, **params)

        async def ainterpret(self, prim, in_tree, /, **params):
            seen.append(prim)
            return await self.parent.ainterpret(prim, in_tree, **params)

    branches = {"a": af.trace(lambda x: x + "1")(""), "b": af.trace(lambda x: x)("")}
    ir = af.trace(lambda key, x: af.switch(key, branches, af.format("<{}>", x)))("a", "")
    with using_interpreter(Watching()):
        assert ir.call("a", "x") == "<x>1"
        first = list(seen)
        assert asyncio.run(ir.acall("a", "x")) == "<x>1"
        assert af.batch(ir).call(["a", "b"], ["x", "y"]) == ["<x>1", "<y>"]
    assert first == [format_p, af.extend.switch_p, concat_p]
    assert seen[3:6] == first
    assert seen.count(format_p) == 4
    assert isinstance(active_interpreter.get(), EvalInterpreter)


def test_tags_are_active_while_an_equation_runs_and_add_up():
    from alkahest.extend import active_tags

    prim = rules(
        Prim("test_tags"), impl=lambda x: repr(sorted(active_tags.get())), abstract=lambda x: StrAVal(), register=False
    )

    def program(x):
        with af.tag("in"):
            return prim.bind(x)

    ir = af.trace(program)("")
    assert ir.call("a") == "['in']"
    with af.tag("out"):
        assert ir.call("a") == asyncio.run(ir.acall("a")) == "['in', 'out']"
        assert af.batch(ir).call(["a"]) == ["['in', 'out']"]


def test_a_box_given_to_a_program_outside_of_its_trace():
    kept = []
    af.trace(lambda x: kept.append(x) or x)("")
    with pytest.raises(LeakedValueError):
        af.trace(lambda x: x + "!")("").call(kept[0])
