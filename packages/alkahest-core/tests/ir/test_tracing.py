"""Tracing: types, structures, static inputs, boxes, leaks; nothing runs; user types; threads, tasks, long programs."""

from __future__ import annotations

import asyncio
import copy
import functools
import math
import pickle
import sys
import threading
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree
import pytest

import alkahest as af
from alkahest.base.avals import register_trace_type
from alkahest.errors import (
    LeakedValueError,
    MissingRuleError,
    OperandTypeError,
    StaticInputError,
    TracedAttributeError,
    TracedValueError,
    TraceError,
    TreeError,
)
from alkahest.extend import (
    PYTREE_NAMESPACE,
    AVal,
    BoolAVal,
    Columns,
    FloatAVal,
    IntAVal,
    Prim,
    StrAVal,
    Zero,
    concat_p,
    format_p,
    is_irvar,
    match_p,
    rules,
)

# ----------------------------------------------------------------------------------------------- types, structures


@pytest.mark.parametrize(
    ("value", "aval"), [("a", StrAVal()), (1, IntAVal()), (1.0, FloatAVal()), (True, BoolAVal()), (False, BoolAVal())]
)
def test_inputs_have_the_type_of_the_example_exactly(value, aval):
    ir = af.trace(lambda x: x)(value)
    (x,) = ir.in_ir_tree
    assert x.aval == aval
    assert hash(x.aval) == hash(aval)
    assert ir.out_ir_tree is x
    assert repr(aval) == f"{type(aval).__name__}()"


@pytest.mark.parametrize("value", [b"bytes", 1j, object(), {1, 2}, range(3), StrAVal])
def test_other_types_are_no_inputs(value):
    with pytest.raises(OperandTypeError, match=type(value).__name__) as caught:
        af.trace(lambda x: x)(value)
    assert "register_trace_type" in caught.value.remedy


@dataclass
class Point:
    x: Any
    y: Any


class Bag:
    def __init__(self, items):
        self.items = items


optree.register_pytree_node(
    Bag, lambda b: (tuple(b.items), None), lambda _, c: Bag(list(c)), namespace=PYTREE_NAMESPACE
)
Named = namedtuple("Named", "p q")


def test_structures_of_all_kinds_go_in_and_out():
    def program(d, p, bag, named):
        assert list(d) == ["b", "a"]
        assert isinstance(p, Point)
        return {"z": Point(p.y, [d["a"], None]), "y": (Bag([bag.items[0] + "!"]), named.q), "x": d["b"]}

    args = ({"b": ("1",), "a": "2"}, Point("3", 4), Bag(["5", None]), Named("6", 7.0))
    ir = af.trace(program)(*args)
    out = ir.call({"b": ("x",), "a": "y"}, Point("z", 9), Bag(["w", None]), Named("v", 8.0))
    assert out["z"] == Point(9, ["y", None])
    assert out["y"][0].items == ["w!"]
    assert (out["y"][1], out["x"]) == (8.0, ("x",))
    assert set(out) == {"x", "y", "z"}


def test_dict_entries_come_in_the_order_of_their_keys():
    ir = af.trace(lambda d: d)({"b": "1", "a": 2})
    (d,) = ir.in_ir_tree
    assert [v.aval for v in optree.tree_leaves(ir.in_ir_tree, namespace=PYTREE_NAMESPACE)] == [IntAVal(), StrAVal()]
    assert d["a"].aval == IntAVal()


def test_one_argument_unpacks_and_none_is_a_structure():
    (x,) = af.trace(lambda x: x)("a").in_ir_tree
    assert is_irvar(x)
    ir = af.trace(lambda x, y: (x, y))(None, "a")
    assert ir.call(None, "b") == (None, "b")
    with pytest.raises(TreeError):
        ir.call("a", "b")
    assert af.trace(lambda: "fixed")().call() == "fixed"


def test_literals_stand_in_the_output_and_lists_are_rebuilt():
    shared = ["a", 1]
    ir = af.trace(lambda x: (x, shared, 2.5, None, True))("")
    shared.append("later")
    assert ir.call("b") == ("b", ["a", 1], 2.5, None, True)
    out = ir.call("b")
    out[1].append("more")
    assert ir.call("b")[1] == ["a", 1]


def test_a_literal_that_cannot_be_hashed_is_refused():
    with pytest.raises(OperandTypeError, match=r"set.*cannot be hashed"):
        af.trace(lambda x: (x, {1, 2}))("")
    with pytest.raises(OperandTypeError, match=r"concat|set"):
        af.trace(lambda x: concat_p.bind((x, {1, 2})))("")
    with pytest.raises(TypeError):
        af.trace(lambda x: (x, np.ones(3)))("")


# ------------------------------------------------------------------------------------------------------------ static


def test_static_inputs_are_python_values():
    def program(x, n, loud):
        return af.concat(*[x] * n) + ("!" if loud else "")

    ir = af.trace(program, static=(False, True, True))("a", 3, True)
    assert ir.in_ir_tree[1:] == (3, True)
    assert ir.call("b", 3, True) == "bbb!"
    for args in [("b", 2, True), ("b", 3, False), ("b", 3, 1), ("b", 3.0, True)]:
        with pytest.raises(StaticInputError, match=r"args\[[12]\]") as caught:
            ir.call(*args)
        assert caught.value.code == "E-PROG-002"


def test_static_may_be_a_prefix_and_reaches_into_structures():
    ir = af.trace(lambda d, y: af.format("{}{}{}", d["a"], d["b"], y), static=({"a": True, "b": False}, False))(
        {"a": "fix", "b": ""}, ""
    )
    assert ir.call({"a": "fix", "b": "1"}, "2") == "fix12"
    with pytest.raises(StaticInputError, match=r"args\[0\]\['a'\]"):
        ir.call({"a": "other", "b": "1"}, "2")
    assert af.trace(lambda x, y: x + y, static=True)("a", "b").call("a", "b") == "ab"


def test_static_prefixes_of_another_structure_and_values_that_cannot_be_hashed():
    for static in [(True,), (True, False, True), {"x": True}]:
        with pytest.raises(TreeError, match="static="):
            af.trace(lambda x, y: x, static=static)("a", "b")
    with pytest.raises(OperandTypeError, match="static="):
        af.trace(lambda x, y: x, static=("yes", False))("a", "b")
    with pytest.raises(TypeError, match="hashed"):
        af.trace(lambda x: "a", static=True)(np.ones(2))


# ------------------------------------------------------------------------------------------------- what runs when


def test_nothing_runs_while_tracing():
    ran = []
    prim = rules(
        Prim("test_ran"), impl=lambda x: ran.append(x) or x, abstract=lambda x: StrAVal(), waits=True, register=False
    )
    inner = af.trace(prim.bind)("")
    branches = {"a": inner, "b": af.trace(lambda x: prim.bind(x) + "!")("")}
    cond = af.trace(lambda x: prim.bind(x) == "end")("")

    def program(key, x):
        x = af.while_loop(cond, inner, af.switch(key, branches, x), max_iters=3)
        out, hints = af.pullback(af.trace(lambda y: y + "!")("")).call((x,), "f")
        return af.batch(inner).call([out, x]), hints

    ir = af.trace(program)("a", "x")
    for transform in (af.batch, af.pushforward, af.sched, af.weighted, af.dce):
        transform(ir)
    assert ran == []


def test_a_primitive_without_an_abstract_rule_is_named():
    prim = rules(Prim("test_no_abstract"), impl=lambda x: x, register=False)
    with pytest.raises(MissingRuleError, match="'test_no_abstract' has no abstract rule"):
        af.trace(prim.bind)("")


def test_calling_a_program_inside_a_trace_inlines_its_equations():
    inner = af.trace(lambda x: x + "!")("")
    ir = af.trace(lambda x: inner.call(inner.call(x)))("")
    assert [eqn.prim for eqn in ir.ir_eqns] == [concat_p, concat_p]
    assert ir.call("a") == "a!!"

    async def main():
        return await inner.acall("b")

    assert asyncio.run(main()) == "b!"


def test_nested_traces_keep_their_values_apart():
    def outer(x):
        inner = af.trace(lambda y: y + "?")("")
        return inner.call(x), af.trace(lambda y: y)("").call("plain")

    assert af.trace(outer)("").call("a") == ("a?", "plain")


def test_equations_know_their_place_and_errors_tell_it():
    ir = af.trace(lambda x: x + "!")("")
    (eqn,) = ir.ir_eqns
    assert eqn.where[0] == __file__
    prim = rules(Prim("test_failing"), impl=lambda x: 1 / 0, abstract=lambda x: StrAVal(), register=False)

    def program(x):
        with af.tag("here", 7):
            return prim.bind(x)

    with pytest.raises(ZeroDivisionError) as caught:
        af.trace(program)("").call("a")
    (note,) = caught.value.__notes__
    line = program.__code__.co_firstlineno + 2
    assert f"{__file__}:{line}" in note
    assert "test_failing" in note
    assert "tagged 'here', 7" in note


# ------------------------------------------------------------------------------------------- what cannot be traced


async def _coroutine(x):
    return x


async def _generator(x):
    yield x


class _AsyncCall:
    async def __call__(self, x):
        return x


@pytest.mark.parametrize(
    "fn",
    [
        _coroutine,
        _generator,
        functools.partial(_coroutine),
        functools.partial(functools.partial(_coroutine)),
        _AsyncCall(),
        functools.partial(_AsyncCall()),
        lambda x: [_coroutine(x)][0],
    ],
)
@pytest.mark.filterwarnings("error")
def test_async_functions_are_refused_weakness_5(fn):
    with pytest.raises(TraceError) as caught:
        af.trace(fn)("a")
    assert caught.value.code == "E-TRACE-001"


def test_a_coroutine_inside_the_output_is_refused():
    with pytest.raises(TraceError, match="coroutine"):
        af.trace(lambda x: {"out": [_coroutine(x)]})("a")


@pytest.mark.parametrize("fn", [3, None, {"a": 1}])
def test_what_is_no_function_is_refused(fn):
    with pytest.raises(TraceError):
        af.trace(fn)


def test_arguments_by_name_are_refused():
    with pytest.raises(TypeError, match="position"):
        af.trace(lambda x: x)(x="a")


# ------------------------------------------------------------------------------------------------------------- boxes


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda x: "yes" if x else "no", "switch"),
        (lambda x: x and "b", "switch"),
        (lambda x: not x, "switch"),
        (lambda x: f"{x}", "format"),
        (lambda x: f"{x:>10}", "format"),
        (str, "format"),
        (lambda x: "%s" % x, "format"),  # noqa: UP031
        ("{}".format, "format"),
        (lambda x: x % 3, "format"),
        (len, "primitive"),
        (lambda x: [c for c in x], "primitive"),
        (lambda x: x[0], "primitive"),
        (lambda x: x[1:], "primitive"),
        (lambda x: "a" in x, "primitive"),
        (int, "primitive"),
        (float, "primitive"),
        (lambda x: [1, 2][x], "primitive"),
        (lambda x: x("call"), "primitive"),
        (copy.copy, "program"),
        (copy.deepcopy, "program"),
        (pickle.dumps, "program"),
    ],
)
def test_what_python_would_decide_now_names_the_way_weakness_5(use, named):
    with pytest.raises(TracedValueError) as caught:
        af.trace(use)("a")
    assert caught.value.code == "E-TRACE-002"
    assert isinstance(caught.value, TypeError)
    assert named in caught.value.remedy
    assert "traced str" in str(caught.value)


def test_joining_traced_texts_is_refused():
    with pytest.raises(TypeError):
        af.trace(lambda x: ", ".join([x, x]))("a")


def test_methods_of_the_value_are_refused_and_hasattr_says_no():
    with pytest.raises(TracedAttributeError, match="upper") as caught:
        af.trace(lambda x: x.upper())("a")
    assert isinstance(caught.value, AttributeError)
    assert af.trace(lambda x: (x, hasattr(x, "upper")))("a").call("b") == ("b", False)


def test_operators_stage_equations_by_type():
    ir = af.trace(lambda x, y: (x + "!", "<" + x, x + y, x == "a", x == "a", x != y))("a", "b")
    assert [eqn.prim for eqn in ir.ir_eqns][:4] == [concat_p, concat_p, concat_p, match_p]
    assert ir.call("a", "c") == ("a!", "<a", "ac", True, True, True)
    ir = af.trace(lambda a, n: (a + 1, 2 * a, a / n, a - n, -a, abs(a), a**2, a < n, n >= 3, n == 2))(1.0, 1)
    assert ir.call(3.0, 2) == (4.0, 6.0, 1.5, 1.0, -3.0, 3.0, 9.0, False, False, True)


@pytest.mark.parametrize(
    "use",
    [
        lambda x, n: x + n,
        lambda x, n: x - x,
        lambda x, n: x * 2,
        lambda x, n: x @ x,
        lambda x, n: x < x,
        lambda x, n: -x,
    ],
)
def test_operators_that_mean_nothing_are_refused(use):
    with pytest.raises(TypeError):
        af.trace(use)("a", 1)


def test_boxes_are_no_keys_of_sets_and_dicts():
    for use in (lambda x: {x: 1}, lambda x: {x}, lambda x: x in {"a"}, hash):
        with pytest.raises(TracedValueError):
            af.trace(use)("a")


def test_repr_of_a_box_says_what_it_is():
    seen = []
    af.trace(lambda x: seen.append(repr(x)) or x)("a")
    assert "traced str" in seen[0]


# ------------------------------------------------------------------------------------------------------------- leaks


@pytest.fixture
def leaked():
    kept = []
    af.trace(lambda x: kept.append(x) or x)("a")
    return kept[0]


def test_a_leaked_value_is_refused_at_once(leaked):
    uses = [
        lambda: af.trace(lambda x: x + leaked)("a"),
        lambda: af.trace(lambda x: leaked)("a"),
        lambda: af.trace(lambda x: af.format("{}", leaked))("a"),
        lambda: af.trace(lambda x: {"k": [leaked]})("a"),
        lambda: leaked + "!",
        lambda: af.format("{}", leaked),
        lambda: af.trace(lambda x: x)("a").call(leaked),
        lambda: asyncio.run(af.trace(lambda x: x)("a").acall(leaked)),
        lambda: af.batch(af.trace(lambda x: x)("a")).call([leaked]),
        lambda: af.pullback(af.trace(lambda x: x)("a")).call(("a",), leaked),
    ]
    for k, use in enumerate(uses):
        with pytest.raises(TraceError) as caught:
            use()
        assert isinstance(caught.value, LeakedValueError | TracedValueError), k
        assert caught.value.remedy


def test_values_of_the_outer_trace_in_an_inner_one_are_refused():
    with pytest.raises(LeakedValueError, match="outside the trace") as caught:
        af.trace(lambda x: af.trace(lambda y: y + x)("a").call(x))("a")
    assert caught.value.code == "E-TRACE-003"
    assert "argument" in caught.value.remedy


def test_params_with_traced_values_are_refused_with_their_path():
    prim = rules(Prim("test_params"), impl=lambda x, **_: x, abstract=lambda x, **_: StrAVal(), register=False)
    with pytest.raises(TracedValueError, match=r"parameter how\['a'\]\[1\] of test_params"):
        af.trace(lambda x: prim.bind(x, how={"a": [1, x]}))("a")
    with pytest.raises(TracedValueError, match="parameter keys"):
        af.trace(lambda x: prim.bind(x, keys=(x,)))("a")
    with pytest.raises(TypeError):
        af.trace(lambda x: af.format(x, "a"))("a")


def test_a_failed_trace_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        af.trace(lambda x: 1 / 0)("a")
    assert af.format("{}", "a") == "a"
    assert af.extend.active_interpreter.get().__class__.__name__ == "EvalInterpreter"


# --------------------------------------------------------------------------------------------------- types of users


@dataclass(frozen=True)
class ArrayAVal(AVal):
    shape: tuple[int, ...]
    dtype: str

    def accepts(self, value):
        return isinstance(value, np.ndarray) and (value.shape, value.dtype.str[1:]) == (self.shape, self.dtype)


@pytest.fixture(autouse=True, scope="module")
def arrays_are_traced_as_arrays():
    """Register them when this module's tests begin: other modules register them otherwise."""
    register_trace_type(np.ndarray, lambda a: ArrayAVal(a.shape, a.dtype.str[1:]))


def _scale(in_tree, /, *, by):
    return in_tree * by


scale_p = rules(
    Prim("test_scale"),
    impl=_scale,
    abstract=lambda aval, by: aval,
    push=lambda t, by: (t[0] * by, t[1] * by),
    pull=(lambda x, by: (x * by, ()), lambda t, by: t[1] * by),
    register=False,
)
norm_p = rules(
    Prim("test_norm"), impl=lambda x: float(np.linalg.norm(x)), abstract=lambda aval: FloatAVal(), register=False
)


def test_an_array_type_of_a_user_traces_runs_and_transforms():
    ir = af.trace(lambda x: (scale_p.bind(x, by=2.0), norm_p.bind(scale_p.bind(x, by=3.0))))(np.zeros(2))
    (x,) = ir.in_ir_tree
    assert x.aval == ArrayAVal((2,), "f8")
    assert "ArrayAVal(shape=(2,), dtype='f8')" in repr(ir)
    doubled, norm = ir.call(np.array([3.0, 4.0]))
    assert doubled.tolist() == [6.0, 8.0]
    assert norm == 15.0
    outs, norms = af.batch(ir).call([np.array([3.0, 4.0]), np.array([0.0, 1.0])])
    assert [o.tolist() for o in outs] == [[6.0, 8.0], [0.0, 2.0]]
    assert norms == [15.0, 3.0]
    twice = af.trace(lambda x: scale_p.bind(scale_p.bind(x, by=2.0), by=5.0))(np.zeros(2))
    assert af.pushforward(twice).call((np.ones(2),), (np.array([1.0, 2.0]),))[1].tolist() == [10.0, 20.0]
    assert af.pullback(twice).call((np.ones(2),), np.array([1.0, 2.0]))[1][0].tolist() == [10.0, 20.0]
    for wrapped in (af.pushforward(twice), af.batch(twice), af.pullback(twice)):
        leaves = optree.tree_leaves((wrapped.in_ir_tree, wrapped.out_ir_tree), namespace=PYTREE_NAMESPACE)
        assert all(leaf.aval is twice.in_ir_tree[0].aval or leaf.aval == x.aval for leaf in leaves)


def test_an_array_of_another_shape_is_refused():
    ir = af.trace(lambda x: scale_p.bind(x, by=2.0))(np.zeros(2))
    with pytest.raises(OperandTypeError, match=r"args\[0\]"):
        ir.call(np.zeros(3))
    with pytest.raises(OperandTypeError, match="item 1"):
        af.batch(ir).call([np.zeros(2), np.zeros(3)])


def test_the_zero_of_a_user_type_and_a_batch_rule_over_it():
    assert Zero(ArrayAVal((2,), "f8")) == Zero(ArrayAVal((2,), "f8"))
    calls = []

    def column(in_tree, /):
        calls.append(in_tree)
        columns = Columns(in_tree)
        stacked = np.stack([row for row in columns.rows()])
        return columns.pack(list(stacked.sum(axis=1))), True

    total_p = rules(
        Prim("test_total"),
        impl=lambda x: float(x.sum()),
        abstract=lambda aval: FloatAVal(),
        batch=column,
        register=False,
    )
    out = af.batch(af.trace(total_p.bind)(np.zeros(2))).call([np.ones(2), np.arange(2.0)])
    assert out == [2.0, 1.0]
    assert len(calls) == 1


# -------------------------------------------------------------------------------------------- threads, tasks, length


def _program(name, rounds, meet):
    def program(x):
        for k in range(rounds):
            meet()
            x = af.format("{}" + name + str(k), x)
        return x

    return program


def test_threads_trace_and_run_at_once_without_seeing_each_other():
    n, rounds = 4, 50
    barrier = threading.Barrier(n)
    out, errors = {}, []

    def work(name):
        try:
            ir = af.trace(_program(name, rounds, lambda: barrier.wait(30)))("")
            with af.collect(collection=...) as seen:
                marked = af.trace(lambda x: af.checkpoint(x + name, key=name))("")
                barrier.wait(30)
                marked.call("m")
            out[name] = (len(ir.ir_eqns), ir.call(name), dict(seen))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"[:n]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for name, (size, result, seen) in out.items():
        assert size == rounds
        assert result == name + "".join([f"{name}{k}" for k in range(rounds)])
        assert seen == {name: ["m" + name]}


def test_tasks_run_at_once_without_seeing_each_other():
    async def ask(text, /):
        await asyncio.sleep(0)
        return text

    prim = rules(Prim("test_task"), impl=lambda x: x, aimpl=ask, abstract=lambda x: StrAVal(), register=False)

    def program(x):
        for _ in range(5):
            x = af.checkpoint(prim.bind(x + "."), key="k")
        return x

    async def one(name):
        ir = af.trace(program)("")
        with af.collect(collection=...) as seen:
            out = await ir.acall(name)
        return out, seen["k"]

    async def main():
        return await asyncio.gather(*[one(name) for name in "abc"])

    for name, (out, seen) in zip("abc", asyncio.run(main()), strict=True):
        assert out == name + "....."
        assert seen == [name + "." * k for k in range(1, 6)]


def test_programs_of_a_hundred_thousand_equations():
    n = 100_000
    assert n > 10 * sys.getrecursionlimit()

    def program(x):
        for _ in range(n):
            x = x * 1.0
        return x

    ir = af.trace(program)(1.0)
    assert len(ir.ir_eqns) == n
    assert ir.call(2.0) == 2.0
    assert af.batch(ir).call([2.0, 3.0]) == [2.0, 3.0]
    assert af.pullback(ir).call((2.0,), 5.0) == (2.0, (5.0,))


def test_programs_nested_deep_in_transforms_print_and_run_weakness_20():
    ir = af.trace(lambda x: x * x)(1.0)
    for _ in range(6):
        ir = af.pushforward(ir)
    assert len(repr(ir)) < 20_000
    ir = af.trace(lambda x: x + "!")("")
    for _ in range(60):
        ir = af.batch(ir, in_axes=False)
    assert ir.call("a") == "a!"
    assert math.isfinite(len(repr(ir)))


def test_format_and_concat_of_literals_alone_are_equations_too():
    ir = af.trace(lambda x: (af.format("{}", "a"), x))("")
    assert [eqn.prim for eqn in ir.ir_eqns] == [format_p]
