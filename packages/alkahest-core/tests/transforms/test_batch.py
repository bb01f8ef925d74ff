"""batch: containers, in_axes, columns, work that is not repeated, control flow, batches in batches, bad batches."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.base.rules import batch_rules, impl_rules
from alkahest.errors import BatchError, BranchError, MissingRuleError, OperandTypeError, StaticInputError, TreeError
from alkahest.extend import Columns, Prim, StrAVal, abstract_rules, rules


def both(ir, *args):
    """Return what a program gives, the same from `call` and from `acall`."""
    out = ir.call(*args)
    assert asyncio.run(ir.acall(*args)) == out
    return out


@pytest.fixture
def counted():
    """Return `make(batch=…)`: a primitive that shouts, and the list of the inputs its rules were given."""

    def make(*, batch=False, **options):
        calls = []

        def impl(text, /):
            calls.append(text)
            return text.upper()

        def column(in_tree, /):
            calls.append(in_tree)
            columns = Columns(in_tree)
            return columns.pack([row.upper() for row in columns.rows()]), True

        prim = rules(
            Prim("test_counted"),
            impl=impl,
            abstract=lambda text: StrAVal(),
            batch=column if batch else None,
            register=False,
            **options,
        )
        return prim, calls

    return make


greet = af.trace(lambda greeting, name: af.format("{}, {}!", greeting, name))("", "")
bang = af.trace(lambda x: x + "!")("")

# ------------------------------------------------------------------------------------------------------ containers


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["a", "b"], ["a!", "b!"]),
        (("a", "b"), ("a!", "b!")),
        ({"y": "a", "x": "b"}, {"y": "a!", "x": "b!"}),
        (["a"], ["a!"]),
    ],
)
def test_outputs_come_in_the_container_of_the_inputs(given, wanted):
    out = both(af.batch(bang), given)
    assert out == wanted
    assert type(out) is type(wanted)


def test_every_output_leaf_is_batched_literals_too():
    ir = af.trace(lambda x: {"out": (x, "literal", 3), "none": None})("")
    assert both(af.batch(ir), ("a", "b")) == {"out": (("a", "b"), ("literal",) * 2, (3, 3)), "none": None}


def test_an_output_of_unbatched_inputs_alone_is_broadcast():
    ir = af.trace(lambda x, y: (x + "!", y + "?"))("", "")
    assert both(af.batch(ir, in_axes=(False, True)), "a", ["b", "c"]) == (["a!", "a!"], ["b?", "c?"])


@pytest.mark.parametrize("axes", [False, (False, False)])
def test_without_a_batched_axis_it_is_a_plain_call(axes):
    ir = af.trace(lambda x, y: (x + y, "literal"))("", "")
    assert both(af.batch(ir, in_axes=axes), "a", "b") == ("ab", "literal")


def test_a_text_is_an_item_and_not_a_batch():
    for program in (bang, af.trace(lambda x: (x, x))("")):
        with pytest.raises(BatchError, match="str is no batch") as caught:
            af.batch(program).call("abc")
        assert caught.value.code == "E-BATCH-001"
        assert "list" in caught.value.remedy


# --------------------------------------------------------------------------------------------------------- in_axes


@pytest.mark.parametrize(
    ("axes", "args", "wanted"),
    [
        ((True, False), (["a", "b"], "c"), ["a, c!", "b, c!"]),
        ((False, True), ("a", ["b", "c"]), ["a, b!", "a, c!"]),
        (True, (["a", "b"], ["c", "d"]), ["a, c!", "b, d!"]),
        ((True, True), (("a", "b"), ("c", "d")), ("a, c!", "b, d!")),
    ],
)
def test_in_axes_says_what_is_batched(axes, args, wanted):
    assert both(af.batch(greet, in_axes=axes), *args) == wanted


def test_in_axes_may_be_a_prefix_of_the_inputs():
    ir = af.trace(lambda d, y: af.format("{}{}{}", d["a"], d["b"][0], y))({"a": "", "b": [""]}, "")
    assert both(af.batch(ir, in_axes=(True, False)), {"a": ["1", "2"], "b": [["3", "4"]]}, "-") == ["13-", "24-"]
    assert both(af.batch(ir, in_axes=({"a": True, "b": False}, True)), {"a": ["1", "2"], "b": ["x"]}, ["y", "z"]) == [
        "1xy",
        "2xz",
    ]


@pytest.mark.parametrize("axes", [(True,), (True, True, False), {"a": True}, (True, {"x": True})])
def test_in_axes_of_another_structure_is_refused(axes):
    with pytest.raises(TreeError) as caught:
        af.batch(greet, in_axes=axes)
    assert "in_axes" in str(caught.value)
    assert caught.value.code == "E-TREE-001"


@pytest.mark.parametrize("axes", [1, None, "all", (1, 0), (True, "no")])
def test_in_axes_of_other_values_is_refused(axes):
    with pytest.raises((OperandTypeError, TreeError), match="in_axes"):
        af.batch(greet, in_axes=axes)


def test_static_inputs_are_never_batched():
    ir = af.trace(lambda x, times: af.format("{}" * times, *[x] * times), static=(False, True))("", 2)
    assert both(af.batch(ir), ["a", "b"], 2) == ["aa", "bb"]
    with pytest.raises(StaticInputError):
        af.batch(ir).call(["a", "b"], 3)


def test_batch_of_something_else_is_refused():
    with pytest.raises(OperandTypeError, match="trace"):
        af.batch(lambda x: x)


# ------------------------------------------------------------------------------------------- columns, shared work


def test_a_pure_equation_over_a_batch_is_one_rule_call(counted):
    prim, calls = counted(batch=True)
    ir = af.batch(af.trace(lambda x: prim.bind(prim.bind(x + "!")))(""))
    assert both(ir, [str(k) for k in range(1000)]) == [f"{k}!" for k in range(1000)]
    assert len(calls) == 4  # two equations, sync and async
    assert [size for size, _, _ in calls] == [1000] * 4


def test_format_over_a_thousand_items_is_one_call_of_its_rule_weakness_16(monkeypatch):
    calls = []
    rule = batch_rules.get(af.extend.format_p)
    monkeypatch.setitem(
        batch_rules._rules, af.extend.format_p, lambda in_tree, **p: calls.append(1) or rule(in_tree, **p)
    )
    monkeypatch.setitem(impl_rules._rules, af.extend.format_p, lambda *a, **k: pytest.fail("item by item"))
    out = af.batch(greet).call(["a"] * 1000, [str(k) for k in range(1000)])
    assert out == [f"a, {k}!" for k in range(1000)]
    assert len(calls) == 1


def test_an_equation_of_unbatched_inputs_runs_once(counted):
    prim, calls = counted()
    ir = af.trace(lambda x, y: prim.bind(x) + y)("", "")
    assert af.batch(ir, in_axes=(False, True)).call("a", ["b"] * 50) == ["Ab"] * 50
    assert calls == ["a"]


def test_an_unbatched_equation_runs_once_in_a_batch_in_a_batch(counted):
    prim, calls = counted()
    ir = af.trace(lambda x, y: prim.bind(x) + y)("", "")
    inner = af.batch(ir, in_axes=(False, True))
    outer = af.batch(inner, in_axes=(False, True))
    assert outer.call("a", [["b", "c"], ["d"]]) == [["Ab", "Ac"], ["Ad"]]
    assert calls == ["a"]
    calls.clear()
    assert af.batch(inner, in_axes=(True, False)).call(["a", "z"], ["b", "c"]) == [["Ab", "Ac"], ["Zb", "Zc"]]
    assert sorted(calls) == ["a", "z"]  # once per item of the outer batch, not once per item of both


def test_an_unbatched_switch_takes_one_branch_once(counted):
    prim, calls = counted()
    branches = {"up": af.trace(prim.bind)(""), "same": af.trace(lambda x: x)("")}
    ir = af.trace(lambda key, x, y: af.switch(key, branches, x) + y)("up", "", "")
    assert af.batch(ir, in_axes=(False, False, True)).call("up", "a", ["b", "c"]) == ["Ab", "Ac"]
    assert calls == ["a"]


def test_a_primitive_without_a_batch_rule_goes_item_by_item(counted):
    prim, calls = counted()
    assert both(af.batch(af.trace(prim.bind)("")), ("a", "b", "c")) == ("A", "B", "C")
    assert calls == ["a", "b", "c"] * 2


def test_a_batch_rule_may_say_that_its_output_is_not_batched():
    prim = rules(
        Prim("test_same_for_all"),
        impl=lambda text: ("x", text),
        abstract=lambda text: (StrAVal(), StrAVal()),
        batch=lambda in_tree: (("x", in_tree[2]), (False, True)),
        register=False,
    )
    assert both(af.batch(af.trace(prim.bind)("")), ["a", "b"]) == (["x", "x"], ["a", "b"])


@pytest.mark.parametrize("lost", [lambda c: c[:-1], lambda c: [*c, "more"], lambda c: []])
def test_a_batch_rule_that_loses_or_invents_items_is_reported(lost):
    prim = rules(
        Prim("test_lossy"),
        impl=lambda text: text,
        abstract=lambda text: StrAVal(),
        batch=lambda in_tree: (lost(in_tree[2]), True),
        register=False,
    )
    with pytest.raises(BatchError, match=r"test_lossy.*items for 3"):
        af.batch(af.trace(prim.bind)("")).call(["a", "b", "c"])


def test_a_batch_rule_of_another_structure_is_reported():
    prim = rules(
        Prim("test_other_structure"),
        impl=lambda text: text,
        abstract=lambda text: (StrAVal(), StrAVal()),
        batch=lambda in_tree: ([in_tree[2]], [True]),
        register=False,
    )
    with pytest.raises(ValueError, match="structure"):
        af.batch(af.trace(prim.bind)("")).call(["a", "b", "c"])


def test_a_missing_batch_rule_is_named_with_its_table():
    prim = Prim("test_no_batch")
    impl_rules.set(prim, lambda text: text)
    abstract_rules.set(prim, lambda text: StrAVal())
    ir = af.trace(prim.bind)("")
    assert ir.call("a") == "a"
    with pytest.raises(MissingRuleError, match=r"'test_no_batch' has no batch rule") as caught:
        af.batch(ir).call(["a", "b"])
    assert isinstance(caught.value, KeyError)
    assert caught.value.code == "E-RULE-001"


# ------------------------------------------------------------------------------------------------------ control flow


def _chosen():
    branches = {
        "up": af.trace(lambda x, y: (x + "^", y))("", ""),
        "down": af.trace(lambda x, y: (y + "v", "const"))("", ""),
    }
    return af.trace(lambda key, x, y: af.switch(key, branches, x, y))("up", "", "")


def test_a_batched_key_takes_the_branch_of_each_item():
    out = both(af.batch(_chosen()), ["up", "down", "up"], ["a", "b", "c"], ["1", "2", "3"])
    assert out == (["a^", "2v", "c^"], ["1", "const", "3"])


def test_a_key_that_is_not_batched_takes_one_branch_for_all():
    ir = af.batch(_chosen(), in_axes=(False, True, False))
    assert both(ir, "up", ("a", "b"), "y") == (("a^", "b^"), ("y", "y"))
    assert both(ir, "down", ("a", "b"), "y") == (("yv", "yv"), ("const", "const"))


def test_a_batched_key_over_operands_that_are_not():
    ir = af.batch(_chosen(), in_axes=(True, False, False))
    assert both(ir, ["down", "up"], "x", "y") == (["yv", "x^"], ["const", "y"])


def test_only_the_branches_that_are_taken_run(counted):
    prim, calls = counted()
    branches = {"a": af.trace(prim.bind)(""), "b": af.trace(lambda x: x)("")}
    ir = af.batch(af.trace(lambda key, x: af.switch(key, branches, x))("a", ""))
    assert ir.call(["b", "b", "a"], ["x", "y", "z"]) == ["x", "y", "Z"]
    assert calls == ["z"]


def test_an_unknown_key_of_one_item_names_item_and_key():
    with pytest.raises(BranchError, match=r"no branch 'left'.*item 1 of the batch") as caught:
        af.batch(_chosen()).call(["up", "left", "up"], ["a", "b", "c"], ["1", "2", "3"])
    assert "switch" in caught.value.where


def _countdown(limit=100):
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "t": ""})
    body = af.trace(lambda s: {"n": s["n"] - 1, "t": s["t"] + "*"})({"n": 1, "t": ""})
    return af.trace(lambda n, t: af.while_loop(cond, body, {"n": n, "t": t}, max_iters=limit))(1, "")


@pytest.mark.parametrize("container", [list, tuple])
def test_a_loop_runs_until_each_item_is_done(container):
    out = both(af.batch(_countdown()), container([3, 0, 1]), container(["a", "b", "c"]))
    assert out == {"n": container([0, 0, 0]), "t": container(["a***", "b", "c*"])}


def test_a_loop_stops_each_item_at_its_limit():
    assert both(af.batch(_countdown(2), in_axes=(True, False)), [3, 1], "") == {"n": [1, 0], "t": ["**", "*"]}
    assert both(af.batch(_countdown(0)), [3, 1], ["a", "b"]) == {"n": [3, 1], "t": ["a", "b"]}


def test_the_body_runs_as_often_as_each_item_needs(counted):
    prim, calls = counted()
    cond = af.trace(lambda s: s[0] > 0)((1, ""))
    body = af.trace(lambda s: (s[0] - 1, prim.bind(s[1])))((1, ""))
    ir = af.trace(lambda n, t: af.while_loop(cond, body, (n, t), max_iters=9))(1, "")
    af.batch(ir).call([3, 0, 1], ["a", "b", "c"])
    assert sorted(calls) == ["A", "A", "a", "c"]


def test_a_literal_of_the_body_is_broadcast():
    body = af.trace(lambda s: (s[0], "done"))(("", ""))
    cond = af.trace(lambda s: s[1] == s[0])(("", ""))
    ir = af.trace(lambda x, y: af.while_loop(cond, body, (x, y), max_iters=3))("", "")
    assert both(af.batch(ir), ["a", "b", "done"], ["a", "c", "done"]) == (["a", "b", "done"], ["done", "c", "done"])


def test_a_switch_in_a_loop_in_a_switch():
    stay = af.trace(lambda s: (s[0], s[1] + "-"))(("", ""))
    leave = af.trace(lambda s: ("end", s[1] + "!"))(("", ""))
    body = af.trace(lambda s: af.switch(s[0], {"stay": stay, "leave": leave}, s))(("", ""))
    cond = af.trace(lambda s: s[0] != "end")(("", ""))
    loop = af.trace(lambda s: af.while_loop(cond, body, s, max_iters=3))(("", ""))
    other = af.trace(lambda s: s)(("", ""))
    ir = af.trace(lambda which, s: af.switch(which, {"loop": loop, "other": other}, s))("loop", ("", ""))
    keys, starts = ["loop", "other", "loop"], (["stay", "stay", "leave"], ["a", "b", "c"])
    wanted = [ir.call(k, s) for k, s in zip(keys, zip(*starts, strict=True), strict=True)]
    assert wanted == [("stay", "a---"), ("stay", "b"), ("end", "c!")]
    assert both(af.batch(ir), keys, starts) == tuple([list(c) for c in zip(*wanted, strict=True)])


# -------------------------------------------------------------------------------------------------- nested batches


def test_ragged_batches_in_a_batch():
    ir = af.batch(af.batch(bang))
    assert both(ir, [["a", "b", "c"], ["d"], ["e", "f"]]) == [["a!", "b!", "c!"], ["d!"], ["e!", "f!"]]
    assert both(ir, (["a"], ["b", "c"])) == (["a!"], ["b!", "c!"])
    assert both(ir, [("a",), {"k": "b"}]) == [("a!",), {"k": "b!"}]


def test_three_deep_with_axes_of_all_kinds():
    ir = af.batch(af.batch(af.batch(greet, in_axes=(True, False)), in_axes=(False, True)))
    assert both(ir, [["a", "b"], ["c"]], [["x", "y"], ["z"]]) == [
        [["a, x!", "b, x!"], ["a, y!", "b, y!"]],
        [["c, z!"]],
    ]


def test_a_batch_inside_a_traced_function():
    inner = af.batch(greet, in_axes=(False, True))
    ir = af.trace(inner.call)("", ["", ""])
    assert both(ir, "a", ["b", "c"]) == ["a, b!", "a, c!"]
    assert both(af.batch(ir), ["a", "z"], [["b", "d"], ["c", "e"]]) == [["a, b!", "z, d!"], ["a, c!", "z, e!"]]


def test_an_empty_batch_inside_a_batch_names_the_outer_item():
    with pytest.raises(BatchError, match=r"without items.*item 1 of the batch"):
        af.batch(af.batch(bang)).call([["a"], [], ["b"]])


# ------------------------------------------------------------------------------------------------------ bad batches


@pytest.mark.parametrize("empty", [[], (), {}])
def test_a_batch_without_items_is_refused(empty):
    for run in (af.batch(bang).call, lambda x: asyncio.run(af.batch(bang).acall(x))):
        with pytest.raises(BatchError, match="without items") as caught:
            run(empty)
        assert caught.value.code == "E-BATCH-001"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((["a", "b"], ["c"]), "2.*1"),
        ((["a", "b"], ("c", "d")), "different containers"),
        (({"a": "x"}, {"b": "y"}), "different containers"),
        ((["a", "b"], "cd"), "str is no batch"),
        (("ab", "cd"), "str is no batch"),
        ((["a"], 3), "int is no batch"),
        ((["a", "b"], None), "batch"),
        ((["a"], []), "without items"),
    ],
)
def test_uneven_and_other_batches_are_refused_with_what_is_wrong(args, text):
    with pytest.raises(BatchError, match=text) as caught:
        af.batch(greet).call(*args)
    assert isinstance(caught.value, ValueError)
    assert caught.value.remedy


def test_a_value_of_the_wrong_type_names_item_and_input():
    with pytest.raises(OperandTypeError, match=r"item 1 of args\[1\].*int.*str"):
        af.batch(greet).call(["a", "b"], ["c", 4])
    ir = af.trace(lambda d: d["k"][0] + "!")({"k": [""]})
    with pytest.raises(OperandTypeError, match=r"item 0 of args\[0\]\['k'\]\[0\]"):
        af.batch(ir).call({"k": [[True, "a"]]})


def test_wrong_numbers_of_arguments():
    with pytest.raises(TreeError, match=r"takes 2 argument\(s\).*called with 1"):
        af.batch(greet).call(["a"])
    with pytest.raises(TypeError):
        af.batch(greet).call(["a"], ["b"], extra=1)


def test_a_branch_checks_its_static_input_in_a_batch_as_alone():
    branch = af.trace(lambda x, n: af.format("{}" * n, *[x] * n), static=(False, True))("", 2)
    ir = af.trace(lambda key, x, n: af.switch(key, {"a": branch}, x, n))("a", "", 1)
    assert both(af.batch(ir), ["a", "a"], ["x", "y"], [2, 2]) == ["xx", "yy"]
    with pytest.raises(StaticInputError):
        ir.call("a", "x", 3)
    with pytest.raises(StaticInputError):
        af.batch(ir).call(["a", "a"], ["x", "y"], [2, 3])


# ------------------------------------------------------------------------------------------- programs at random


@given(
    st.lists(
        st.tuples(st.sampled_from(["up", "down"]), st.text(max_size=4), st.text(max_size=4)), min_size=1, max_size=7
    )
)
def test_a_batch_is_a_loop(rows):
    ir = _chosen()
    wanted = [ir.call(*row) for row in rows]
    assert both(af.batch(ir), *[list(c) for c in zip(*rows, strict=True)]) == tuple(
        [list(c) for c in zip(*wanted, strict=True)]
    )


@given(st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_ragged_batch_is_a_loop_in_a_loop(rows):
    assert both(af.batch(af.batch(bang)), rows) == [[x + "!" for x in row] for row in rows]
