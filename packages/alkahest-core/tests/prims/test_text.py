"""format, concat, match: values against Python, what is refused while tracing, all rules column by column."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.errors import OperandTypeError
from alkahest.extend import (
    BoolAVal,
    StrAVal,
    Zero,
    batch_rules,
    concat_p,
    format_p,
    impl_rules,
    match_p,
    pull_bwd_rules,
    pull_fwd_rules,
    push_rules,
)

TEXTS = st.text(max_size=6)


def both(ir, *args):
    out = ir.call(*args)
    assert asyncio.run(ir.acall(*args)) == out
    return out


def test_names_and_params():
    assert [p.name for p in (format_p, concat_p, match_p)] == ["format", "concat", "match"]
    (eqn,) = af.trace(lambda x, y: af.format("{}{k}{z}", x, z="z", k=y))("", "").ir_eqns
    assert eqn.params == {"template": "{}{k}{z}", "keys": ("z", "k")}
    args, values = eqn.in_ir_tree
    assert len(args) == 1
    assert values[0] == "z"


@pytest.mark.parametrize(
    ("template", "args", "kwargs"),
    [
        ("plain", (), {}),
        ("{} {}", ("a", "b"), {}),
        ("{1}{0}{1}", ("a", "b"), {}),
        ("{a}-{b}", (), {"b": 1, "a": 2}),
        ("{}{a}{{}}", ("x",), {"a": True}),
        ("{:>5}|{:<4}|{x:05.2f}", ("a", 3), {"x": 2.5}),
        ("{0!r} {0!s:^7}", ("a",), {}),
        ("{:{width}}", ("a",), {"width": 4}),
    ],
)
def test_format_is_that_of_python(template, args, kwargs):
    wanted = template.format(*args, **kwargs)
    assert af.format(template, *args, **kwargs) == wanted
    names = tuple(kwargs)
    ir = af.trace(lambda a, k: af.format(template, *a, **dict(zip(names, k, strict=True))))(
        args, tuple(kwargs.values())
    )
    assert both(ir, args, tuple(kwargs.values())) == wanted


@given(st.lists(TEXTS, max_size=4), st.text(max_size=4))
def test_concat_and_match_are_those_of_python(parts, other):
    assert af.concat(*parts) == "".join(parts)
    ir = af.trace(lambda p, o: (af.concat(*p), af.concat(*p) == o))([""] * len(parts), "")
    joined = "".join(parts)
    assert both(ir, parts, other) == (joined, joined == other)
    assert both(ir, parts, joined)[1] is True


@pytest.mark.parametrize(
    ("template", "args", "kwargs"),
    [("{} {}", ("a",), {}), ("{a}", (), {"b": 1}), ("{", (), {}), ("}", (), {}), ("{0}{}", ("a", "b"), {})],
)
def test_a_template_that_does_not_fit_is_refused_while_tracing(template, args, kwargs):
    with pytest.raises(OperandTypeError, match="does not fit") as caught:
        af.trace(lambda a: af.format(template, *a, **kwargs))(args)
    assert caught.value.code == "E-PROG-001"
    assert "{{" in caught.value.remedy


@pytest.mark.parametrize("bad", [1, 1.5, True, None, b"a", ["a"]])
def test_what_is_no_text_is_refused(bad):
    for use in (lambda x: af.concat(x, bad), lambda x: af.match(bad, x), lambda x: af.match(x, bad)):
        with pytest.raises(OperandTypeError) as caught:
            af.trace(use)("a")
        assert "format" in caught.value.remedy
        with pytest.raises(OperandTypeError):
            use("a")


def test_traced_values_of_other_types_are_refused_as_texts():
    with pytest.raises(OperandTypeError, match="int"):
        af.trace(lambda n: af.concat("a", n))(1)
    with pytest.raises(OperandTypeError):
        af.trace(lambda n: "a" + n)(1)
    with pytest.raises(TypeError):
        af.format(3, "a")


def test_avals():
    ir = af.trace(lambda x: (af.format("{}", 1), x + "a", x == "a"))("")
    assert [v.aval for v in ir.out_ir_tree] == [StrAVal(), StrAVal(), BoolAVal()]


# ------------------------------------------------------------------------------------------- rules called directly


def test_batch_rules_return_the_container_of_the_batch():
    rule = batch_rules.get(format_p)
    flags = ((True, False), (True,))
    params = {"template": "{}{}{k}", "keys": ("k",)}
    assert rule((2, flags, ((["a", "b"], "-"), (["c", "d"],))), **params) == (["a-c", "b-d"], True)
    assert rule((2, flags, ((("a", "b"), "-"), (("c", "d"),))), **params) == (("a-c", "b-d"), True)
    pair = {"x": "a", "y": "b"}
    assert rule((2, flags, ((pair, "-"), ({"x": "c", "y": "d"},))), **params) == ({"x": "a-c", "y": "b-d"}, True)
    assert rule((2, ((False, False), (False,)), (("a", "-"), ("c",))), **params) == ("a-c", False)
    assert batch_rules.get(concat_p)((2, (True, False), (("a", "b"), "!"))) == (("a!", "b!"), True)
    assert batch_rules.get(match_p)((2, (True, True), (["a", "b"], ["a", "c"]))) == ([True, False], True)
    assert batch_rules.get(match_p)((2, (False, False), ("a", "a"))) == (True, False)
    assert batch_rules.get(concat_p)((3, (), ())) == ("", False)


def test_push_and_pull_rules_on_values():
    params = {"template": "{}:{k}", "keys": ("k",)}
    assert push_rules.get(format_p)(((("a",), ("b",)), (("s",), (Zero(StrAVal()),))), **params) == ("a:b", "s:")
    assert push_rules.get(concat_p)((("a", "b"), ("s", "t"))) == ("ab", "st")
    assert push_rules.get(match_p)((("a", "a"), ("s", "t"))) == (True, Zero(BoolAVal()))
    out, kept = pull_fwd_rules.get(format_p)((("a",), ("b",)), **params)
    assert out == "a:b"
    assert pull_bwd_rules.get(format_p)((kept, "f"), **params) == (("f",), ("f",))
    _, kept = pull_fwd_rules.get(concat_p)(("a", "literal"))
    assert pull_bwd_rules.get(concat_p)((kept, "f")) == ("f", "f")
    _, kept = pull_fwd_rules.get(match_p)(("a", "b"))
    assert pull_bwd_rules.get(match_p)((kept, True)) == (Zero(StrAVal()), Zero(StrAVal()))


def test_impl_rules_and_binding_outside_of_a_trace():
    assert impl_rules.get(concat_p)(("a", "b")) == concat_p.bind(("a", "b")) == "ab"
    assert asyncio.run(match_p.abind(("a", "a"))) is True
    assert format_p.bind((("a",), ()), template="<{}>", keys=()) == "<a>"


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_a_batch_is_a_loop_over_texts(rows):
    ir = af.trace(lambda x, y: (af.format("{}-{k}", x, k=y), x + y, x == y))("", "")
    wanted = [ir.call(*row) for row in rows]
    assert both(af.batch(ir), *[list(c) for c in zip(*rows, strict=True)]) == tuple(
        [list(c) for c in zip(*wanted, strict=True)]
    )
