"""What goes wrong says where: equation, tags, item, input path; what was done is kept; nothing hides an error."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import alkahest as af
from alkahest.errors import AlkahestError, BranchError, MissingRuleError, OperandTypeError, StaticInputError, TreeError
from alkahest.extend import FloatAVal, Prim, StrAVal, rules


class Flaky:
    """A primitive that fails for some inputs, and tells what it was asked."""

    def __init__(self, *bad, error=RuntimeError, waits=True):
        self.bad, self.asked = set(bad), []
        self.error = error

        def impl(text, /):
            self.asked.append(text)
            if text in self.bad:
                raise error(f"no answer to {text}")
            return f"<{text}>"

        self.prim = rules(
            Prim("test_flaky"),
            impl=impl,
            abstract=lambda text: StrAVal(),
            push=lambda t: (impl(t[0]), impl(t[1])),
            pull=(lambda text: (impl(text), text), lambda t: impl(t[1])),
            waits=waits,
            register=False,
        )

    def __call__(self, x):
        with af.tag("flaky"):
            return self.prim.bind(x)


def sync_run(ir, *args):
    return ir.call(*args)


def async_run(ir, *args):
    return asyncio.run(ir.acall(*args))


RUNS = pytest.mark.parametrize("run", [sync_run, async_run])


def _switch(ask):
    branches = {"a": af.trace(ask)(""), "b": af.trace(lambda x: x)("")}
    return af.trace(lambda x: af.switch("a", branches, x))("")


def _loop(ask):
    cond = af.trace(lambda s: s[0] > 0)((1, ""))
    body = af.trace(lambda s: (s[0] - 1, ask(s[1])))((1, ""))
    return af.trace(lambda x: af.while_loop(cond, body, (1, x), max_iters=2)[1])("")


SHAPES = {
    "plain": lambda ask: af.trace(ask)(""),
    "switch": _switch,
    "loop": _loop,
    "sched": lambda ask: af.sched(af.trace(lambda x: (ask(x), ask(x + "2")))("")),
    "transform": lambda ask: af.trace(lambda x: af.pullback(af.trace(ask)("")).call((x,), "f"))(""),
    "dce": lambda ask: af.dce(af.trace(ask)("")),
    "weighted": lambda ask: af.weighted(af.trace(ask)("")),
}


@RUNS
@pytest.mark.parametrize("shape", SHAPES)
def test_a_failure_names_its_equation_and_tags_everywhere(run, shape):
    ask = Flaky("bad")
    with pytest.raises(RuntimeError, match="no answer to bad") as caught:
        run(SHAPES[shape](ask), "bad")
    (note,) = caught.value.__notes__
    assert "flaky" in note
    assert "tagged 'flaky'" in note
    assert "test_failures.py:" in note
    assert "item" not in note


@RUNS
@pytest.mark.parametrize("shape", SHAPES)
def test_a_failure_in_a_batch_names_its_item_everywhere(run, shape):
    ask = Flaky("bad")
    with pytest.raises(RuntimeError, match="no answer to bad") as caught:
        run(af.batch(SHAPES[shape](ask)), ["good", "fine", "bad"])
    (note,) = caught.value.__notes__
    assert "tagged 'flaky'" in note
    assert "for item 2 of the batch" in note


@RUNS
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("waits", [True, False])
def test_a_failure_is_isolated_everywhere(run, shape, waits):
    ask = Flaky("bad", waits=waits)
    ir = SHAPES[shape](ask)
    wanted = [ir.call("good"), ir.call("fine")]
    with af.return_exceptions():
        out = run(af.batch(ir), ["good", "bad", "fine"])
    rows = _rows(ir, out, 3)
    assert [rows[0], rows[2]] == wanted
    assert isinstance(_first_leaf(rows[1]), RuntimeError)


def _rows(ir, out, n):
    from alkahest.base import trees

    treedef = trees.structure(ir.out_ir_tree)
    columns = treedef.flatten_up_to(out)
    return [treedef.unflatten([c[k] for c in columns]) for k in range(n)]


def _first_leaf(tree):
    from alkahest.base import trees

    return trees.leaves(tree)[0]


@RUNS
def test_failures_in_derivative_rules_say_so_too(run):
    ask = Flaky("bad feedback", "bad tangent")
    ir = af.trace(ask)("")
    for program, args in [
        (af.pullback(ir), (("x",), "bad feedback")),
        (af.pushforward(ir), (("x",), ("bad tangent",))),
        (af.batch(af.pullback(ir)), ((["x"],), ["bad feedback"])),
        (af.pullback(af.batch(ir)), ((["x", "y"],), ["fine", "bad feedback"])),
    ]:
        with pytest.raises(RuntimeError, match="no answer to bad") as caught:
            run(program, *args)
        (note,) = caught.value.__notes__
        assert "flaky" in note
        assert "tagged 'flaky'" in note


@RUNS
def test_what_was_answered_is_kept_in_the_memo(run):
    ask = Flaky("bad")
    ir = af.batch(af.trace(ask)(""))
    with af.memoize():
        with af.return_exceptions():
            first = run(ir, ["good", "bad", "fine"])
        ask.bad.clear()
        second = run(ir, ["good", "bad", "fine"])
    assert isinstance(first[1], RuntimeError)
    assert second == ["<good>", "<bad>", "<fine>"]
    assert sorted(ask.asked) == ["bad", "bad", "fine", "good"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: af.trace(lambda x: x if x else "")("a"), "E-TRACE-002"),
        (lambda: af.trace(lambda x: f"{x}")("a"), "E-TRACE-002"),
        (lambda: af.trace(lambda x: x)("a").call("a", "b"), "E-TREE-001"),
        (lambda: af.trace(lambda x: x)("a").call(1), "E-PROG-001"),
        (lambda: af.trace(lambda x: x, static=True)("a").call("b"), "E-PROG-002"),
        (lambda: af.switch("b", {"a": af.trace(lambda x: x)("")}, "x"), "E-PROG-003"),
        (lambda: af.while_loop(None, None, 1), "E-PROG-004"),
        (lambda: af.factor(-1), "E-PROG-005"),
        (lambda: af.batch(af.trace(lambda x: x)("")).call([]), "E-BATCH-001"),
        (lambda: af.batch(af.trace(lambda x: x)("")).call("ab"), "E-BATCH-001"),
        (lambda: Prim("test_bare").bind(1), "E-RULE-001"),
        (lambda: af.materialize(af.Zero(AnyAVal())), "E-ZERO-001"),
        (lambda: af.dce(af.trace(lambda x: x)(""), out_used=(True, True)), "E-TREE-001"),
    ],
)
def test_errors_have_code_and_remedy_and_can_be_pickled(make, code):
    with pytest.raises(AlkahestError) as caught:
        make()
    error = caught.value
    assert error.code == code
    assert error.remedy.endswith((".", "…)."))
    assert f"[{code}]" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


class AnyAVal(FloatAVal.__base__):
    __slots__ = ()


@pytest.mark.parametrize(
    "transform", [af.batch, af.pushforward, af.pullback, af.sched, af.weighted, af.dce], ids=lambda t: t.__name__
)
@pytest.mark.parametrize("thing", [None, "x", lambda x: x, [1]])
def test_transforms_of_what_is_no_program(transform, thing):
    with pytest.raises(OperandTypeError, match="not a program") as caught:
        transform(thing)
    assert "trace" in caught.value.remedy


@RUNS
@pytest.mark.parametrize(
    "transform",
    [lambda ir: ir, af.sched, af.dce, lambda ir: af.sched(af.sched(ir))],
    ids=["plain", "sched", "dce", "twice"],
)
def test_inputs_are_checked_the_same_under_transforms(run, transform):
    def program(x, n, d):
        return af.format("{}{}{}", x, n, d["k"])

    ir = transform(af.trace(program, static=(False, True, False))("", 2, {"k": ""}))
    assert run(ir, "a", 2, {"k": "b"}) == "a2b"
    with pytest.raises(StaticInputError, match=r"args\[1\]"):
        run(ir, "a", 3, {"k": "b"})
    with pytest.raises(TreeError):
        run(ir, "a", 2, {"j": "b"})
    with pytest.raises(OperandTypeError, match=r"args\[2\]\['k'\]"):
        run(ir, "a", 2, {"k": 7})


@RUNS
def test_a_type_that_only_shows_in_a_branch_is_refused_alone_and_in_a_batch(run):
    wrong = rules(Prim("test_wrong"), impl=lambda x: 5, abstract=lambda x: StrAVal(), register=False)
    branches = {"a": af.trace(lambda x: x + "!")("")}
    ir = af.trace(lambda x: af.switch("a", branches, wrong.bind(x)))("")
    for program, arg in ((ir, "a"), (af.batch(ir), ["a", "b"])):
        with pytest.raises(OperandTypeError, match=r"args\[0\].*int.*str") as caught:
            run(program, arg)
        assert "switch" in caught.value.where


@RUNS
def test_an_unknown_key_that_a_program_computes(run):
    ir = af.trace(lambda x: af.switch(x + "?", {"a?": af.trace(lambda y: y)("")}, x))("")
    assert run(ir, "a") == "a"
    with pytest.raises(BranchError, match=r"no branch 'b\?'"):
        run(ir, "b")
    with pytest.raises(BranchError, match=r"no branch 'b\?'"):
        run(af.pullback(ir), ("b",), "f")


def test_missing_rules_name_the_table_that_is_asked():
    prim = rules(Prim("test_only_impl"), impl=lambda x: x, abstract=lambda x: StrAVal(), register=False)
    ir = af.trace(prim.bind)("")
    with pytest.raises(MissingRuleError, match="push rule"):
        af.batch(af.pushforward(ir)).call((["a"],), (["t"],))
    with pytest.raises(MissingRuleError, match="pull_fwd rule"):
        af.sched(af.pullback(ir)).call(("a",), "f")
    with pytest.raises(MissingRuleError, match="pull_fwd rule"):
        af.pullback(af.pullback(ir)).call((("a",), "f"), ("g", ("h",)))


@RUNS
def test_errors_are_not_annotated_twice_or_shared_between_calls(run):
    ask = Flaky("bad")
    ir = af.batch(af.batch(_switch(ask)))
    for _ in range(2):
        with pytest.raises(RuntimeError) as caught:
            run(ir, [["good"], ["fine", "bad"]])
        (note,) = caught.value.__notes__
        assert note.count("It happened") == 1
        assert "item (1, 1) of the batch" in note
