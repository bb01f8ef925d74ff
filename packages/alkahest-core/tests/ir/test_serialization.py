"""Programs that are saved and read again."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import optree
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest as af
from alkahest.errors import SerializationError
from alkahest.extend import IR, PYTREE_NAMESPACE, AVal, BoolAVal, FloatAVal, IREqn, IRVar, Prim, StrAVal, Zero, rules
from alkahest.ir.serialization import (
    ir_diff,
    ir_digest,
    ir_from_json,
    ir_from_state,
    ir_state,
    ir_to_json,
    register_aval_name,
    register_json_type,
)

echo_p = rules(Prim("saved_echo"), impl=lambda x, **_: x, abstract=lambda x, **_: x)


class Point(NamedTuple):
    x: object
    y: object


class NamedPoint(NamedTuple):
    x: object
    y: object


@dataclass(frozen=True)
class Card:
    title: object
    lines: object


@dataclass
class PlainCard:
    title: object


class Box:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Box) and self.value == other.value

    __hash__ = None


optree.register_pytree_node(Box, lambda b: ((b.value,), None), lambda _, c: Box(*c), namespace=PYTREE_NAMESPACE)


class Opaque:
    """A literal that only pickle can say."""

    def __eq__(self, other):
        return isinstance(other, Opaque)

    def __hash__(self):
        return 1


@dataclass(frozen=True)
class ArrayAVal(AVal):
    shape: tuple[int, ...]


register_json_type(NamedPoint)
register_json_type(Card, name="tests.Card")
register_aval_name(ArrayAVal, lambda aval: list(aval.shape), lambda data: ArrayAVal(tuple(data)), name="tests.Array")


def module_function(x):
    return x


def saved(ir):
    """Return the program as JSON and pickle give it again."""
    return [ir_from_json(ir_to_json(ir)), pickle.loads(pickle.dumps(ir)), copy.deepcopy(ir)]


def holding(value, **params):
    """Return a program with a literal, or structure, in an equation and in the output."""
    x, y = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
    return IR([IREqn(echo_p, x, y, {"value": value, **params})], (x,), (y, value))


def test_a_pipeline_is_the_same_after_a_round_trip():
    loud = af.trace(lambda x: x + "!")("a")
    calm = af.trace(lambda x: af.checkpoint(x, key=("k", 1), collection="c"))("a")
    cond = af.trace(lambda x: x != "stop")("a")

    def program(key, xs, mode):
        x = af.switch(key, {"loud": loud, "calm": calm}, xs["x"])
        x = af.while_loop(cond, loud, x, max_iters=2)
        with af.tag("t", 3):
            x = af.format("{} {m}", x, m=mode)
        af.factor(0.5, name="half")
        return {"x": [x, ("lit", 1.5, None)]}

    ir = af.trace(program, static=(False, False, True))("loud", {"x": "a"}, "mode")
    for made in (
        ir,
        af.batch(af.sched(ir), in_axes=(False, True, False)),
        af.pullback(ir),
        af.weighted(af.pushforward(ir)),
    ):
        for again in saved(made):
            assert str(again) == str(made)
            assert ir_digest(again) == ir_digest(made)
    for again in saved(ir):
        assert again.call("loud", {"x": "a"}, "mode") == ir.call("loud", {"x": "a"}, "mode")
        assert again.call("calm", {"x": "stop"}, "mode") == {"x": ["stop mode", ("lit", 1.5, None)]}
    for again in saved(af.pullback(ir)):
        cotangent = {"x": ["shorter", (Zero(StrAVal()), Zero(FloatAVal()), None)]}
        args = (("loud", {"x": "a"}, "mode"), cotangent)
        assert again.call(*args) == af.pullback(ir).call(*args)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(max_size=2), max_size=3)
    ),
    max_leaves=6,
)


@given(values)
def test_values_keep_value_and_type(value):
    ir = holding(value)
    again = ir_from_json(ir_to_json(ir)).ir_eqns[0].params["value"]
    assert again == value
    assert type(again) is type(value)
    assert "frozenset" in repr(value) or repr(again) == repr(value)


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, -0.0, 5e-324, 10**5000, -(2**53), 2**53 + 1, "\ud800", "\x00é", True, 1, 1.0, b"\x00\xff"],
    ids=range(13),
)
def test_literals_are_exact(value):
    for again in saved(holding(value)):
        found = again.ir_eqns[0].params["value"]
        assert type(found) is type(value)
        assert found == value
        assert not isinstance(value, float) or math.copysign(1, found) == math.copysign(1, value)


def test_nan_and_zeros():
    for again in saved(holding(math.nan)):
        assert math.isnan(again.ir_eqns[0].params["value"])
    for again in saved(holding((Zero(StrAVal()), Zero(BoolAVal()), StrAVal(), echo_p))):
        assert again.ir_eqns[0].params["value"] == (Zero(StrAVal()), Zero(BoolAVal()), StrAVal(), echo_p)


def test_abstract_values_of_third_parties():
    x = IRVar(aval=ArrayAVal((2, 3)), depth=2)
    ir = IR([], (x,), x)
    for again in saved(ir):
        (y,) = again.in_ir_tree
        assert (y.aval, y.depth) == (x.aval, 2)
        assert again.out_ir_tree is y
    unknown = type("UnknownAVal", (AVal,), {})()
    with pytest.raises(SerializationError, match=r"the inputs of the program.*register_aval_name"):
        ir_to_json(IR([], (IRVar(aval=unknown),), ()))


def test_structures_by_field_and_by_path():
    x, y = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
    registered = {"p": NamedPoint(x, "lit"), "c": Card(y, [x, None]), "o": OrderedDict(b=y, a=1)}
    for again in saved(IR([], (x, y), registered)):
        a, b = again.in_ir_tree
        assert again.out_ir_tree == {"p": NamedPoint(a, "lit"), "c": Card(b, [a, None]), "o": OrderedDict(b=b, a=1)}
    for structure in (Point(x, "lit"), PlainCard(x), Box([x, 1])):
        ir = IR([], (x,), structure)
        again = pickle.loads(pickle.dumps(ir))
        assert again.call("v") == IR([], (x,), structure).call("v")
        with pytest.raises(SerializationError, match=r"the output of the program.*register_json_type"):
            ir_to_json(ir)


def test_schemas():
    schema = {"score": af.Int(min=0, max=10) @ af.Doc("ten is best"), "tags": [af.Str(), af.Enum("a", "b")]}
    for again in saved(holding(schema @ af.Doc("a verdict"))):
        assert again.ir_eqns[0].params["value"] == schema @ af.Doc("a verdict")


def test_functions_are_refused_with_the_equation_named():
    with pytest.raises(SerializationError, match=r"the equation `.*saved_echo\(.*function module_function"):
        ir_to_json(holding(module_function))
    assert pickle.loads(pickle.dumps(holding(module_function))).ir_eqns[0].params["value"] is module_function
    for save in (ir_to_json, pickle.dumps):
        with pytest.raises(SerializationError, match=r"the equation `.*saved_echo"):
            save(holding(lambda x: x))
    call = af.custom(lambda x: x + "!")
    for save in (ir_to_json, pickle.dumps):
        with pytest.raises(SerializationError, match="the equation"):
            save(af.trace(call)("a"))


def test_literals_that_only_pickle_can_say():
    ir = holding(Opaque())
    assert pickle.loads(pickle.dumps(ir)).ir_eqns[0].params["value"] == Opaque()
    with pytest.raises(SerializationError, match="class Opaque"):
        ir_to_json(ir)


def test_primitives_that_nobody_registered_are_refused():
    x = IRVar(aval=StrAVal())
    ir = IR([IREqn(Prim("saved_nowhere"), x, IRVar(aval=StrAVal()))], (x,), ())
    for save in (ir_to_json, pickle.dumps):
        with pytest.raises(SerializationError, match="saved_nowhere"):
            save(ir)
    text = ir_to_json(holding(1)).replace("saved_echo", "saved_nowhere")
    with pytest.raises(SerializationError, match="no primitive is called 'saved_nowhere'"):
        ir_from_json(text)


def test_variables_keep_their_identity_and_what_flows_its_kind():
    x, y = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
    ir = IR([IREqn(echo_p, (x, x), (y, "lit"), {"ir": af.trace(lambda a: a)("b")})], (x,), [y, x, y])
    for again in saved(ir):
        (a,) = again.in_ir_tree
        (eqn,) = again.ir_eqns
        assert eqn.in_ir_tree == (a, a)
        b, _ = eqn.out_ir_tree
        assert again.out_ir_tree == [b, a, b]
        assert a is not x
    # Text feedback on a number is taken by the pullback that was saved, too.
    pulled = af.pullback(af.trace(lambda n: n)(1))
    for again in saved(pulled):
        assert again.call((1,), "rounder") == pulled.call((1,), "rounder")


def test_a_program_that_occurs_twice_stays_one():
    ir = af.trace(lambda x: x + "!")("a")
    for _ in range(60):
        ir = af.trace(lambda x, inner=ir: af.switch(x, {"a": inner, "b": inner}, x))("a")
    assert len(ir_to_json(ir)) < 20_000
    for again in saved(ir):
        a, b = again.ir_eqns[0].params["branches"].values()
        assert a is b
        assert ir_digest(again) == ir_digest(ir)


def test_nesting_does_not_recurse():
    ir = af.trace(lambda x: x + "!")("a")
    for _ in range(3000):
        a, b = IRVar(aval=StrAVal()), IRVar(aval=StrAVal())
        ir = IR([IREqn(echo_p, (a,), b, {"ir": ir})], (a,), b)
    for again in saved(ir):
        assert ir_digest(again) == ir_digest(ir)


def test_places_are_kept_by_pickle_alone():
    ir = af.trace(lambda x: x + "!")("a")
    assert ir.ir_eqns[0].where is not None
    by_json, by_pickle, _ = saved(ir)
    assert by_json.ir_eqns[0].where is None
    assert by_pickle.ir_eqns[0].where == ir.ir_eqns[0].where
    assert os.sep not in ir_to_json(ir)


def test_the_digest_tells_programs_apart_and_names_do_not_count():
    def one(x, y):
        return {"a": x + "!", "b": y}

    def other(left, right):
        shouted = left + "!"
        return {"b": right, "a": shouted}

    digest = ir_digest(af.trace(one)("a", "b"))
    assert digest == ir_digest(af.trace(other)("a", "b"))
    assert len(digest) == 64
    different = [
        af.trace(lambda x, y: {"a": x + "?", "b": y})("a", "b"),
        af.trace(lambda x, y: {"a": y + "!", "b": y})("a", "b"),
        af.trace(lambda x, y: {"a": x + "!", "b": y})("a", 1),
        af.trace(lambda x, y: {"a": x + "!", "b": y}, static=(False, True))("a", "b"),
        af.trace(lambda x, y: ("!" + x, y))("a", "b"),
        af.dce(af.trace(one)("a", "b"), out_used={"a": False, "b": True}),
        af.sched(af.trace(one)("a", "b")),
        af.batch(af.trace(one)("a", "b")),
    ]
    assert len({digest, *map(ir_digest, different)}) == 9
    assert len({ir_digest(holding(v)) for v in (1, True, 1.0, "1", (1,), [1], frozenset({1}), None)}) == 8


def test_the_digest_looks_into_programs_not_at_their_identity():
    def outer():
        a, b = af.trace(lambda x: x + "!")("a"), af.trace(lambda x: x + "!")("a")
        return af.trace(lambda x: af.switch(x, {"a": a, "b": b}, x))("a"), af.trace(
            lambda x: af.switch(x, {"b": a, "a": a}, x)
        )("a")

    two, one = outer()
    assert ir_digest(two) == ir_digest(one)


_OTHER_PROCESS = """
import sys
import alkahest.ir.serialization as s
ir = s.ir_from_json(sys.stdin.read())
print(s.ir_digest(ir))
print(s.ir_to_json(ir))
"""


def test_text_and_digest_are_the_same_in_another_process():
    ir = af.trace(lambda x: af.checkpoint(x, key=frozenset({"a", "b", "c", "d"})))("a")
    with af.tag("u", "v", "w"):
        ir = af.trace(lambda x, inner=ir: af.switch(x, {"k": inner}, x))("a")
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _OTHER_PROCESS],
            input=ir_to_json(ir),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout.splitlines() == [ir_digest(ir), ir_to_json(ir)]


def test_the_format_is_pinned(golden):
    inner = af.trace(lambda x: x + "!")("a")

    def program(key, x):
        with af.tag("t"):
            return {"n": 2**60, "out": [af.switch(key, {"k": inner}, x), Zero(StrAVal())]}

    ir = af.sched(af.batch(af.trace(program)("k", "a"), in_axes=(False, True)))
    golden("program.json", json.dumps(json.loads(ir_to_json(ir)), indent=1) + "\n")
    assert ir_digest(ir) == ir_digest(ir_from_json(ir_to_json(ir)))


# ------------------------------------------------------------------------------------------------------- damage


def sample():
    inner = af.trace(lambda x: x + "!")("a")
    return af.sched(
        af.batch(af.trace(lambda k, x: (af.switch(k, {"k": inner}, x), x + "?", 2**60, math.inf))("k", "a"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"text"',
        "{}",
        '{"format":"alkahest-program"}',
        "[" * 100_000,
        '{"format":[]}',
        "\x00",
    ],
    ids=range(11),
)
def test_what_is_no_program_is_refused(text):
    with pytest.raises(SerializationError):
        ir_from_json(text)
    with pytest.raises(SerializationError):
        ir_from_state(text)


def test_a_newer_version_is_refused_by_number():
    with pytest.raises(SerializationError, match="version 2 "):
        ir_from_json(ir_to_json(sample()).replace('"version":1', '"version":2'))


def test_no_bytes_no_json():
    with pytest.raises(SerializationError):
        ir_from_json(None)  # type: ignore[arg-type]


@given(st.data())
def test_damaged_json_is_an_error_or_a_program(data):
    text = ir_to_json(sample())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    middle = data.draw(st.text('0129-"{}[]:,nulvarxtpe', max_size=4))
    try:
        ir = ir_from_json(text[:start] + middle + text[end:])
    except SerializationError:
        return
    assert isinstance(ir, IR)
    assert isinstance(str(ir), str)


def _places(data, path=()):
    yield path
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from _places(value, (*path, key))


def _replaced(data, path, value):
    if not path:
        return value
    made = copy.copy(data)
    made[path[0]] = _replaced(data[path[0]], path[1:], value)
    return made


SPOILERS = [
    None,
    -1,
    999,
    1.5,
    "os.system",
    [],
    {},
    {"var": -1},
    {"pickled": 1},
    {"type": ["x", 1]},
    {"fields": [1, 2]},
]


@pytest.mark.parametrize("value", SPOILERS, ids=repr)
def test_every_part_may_be_spoilt(value):
    data = json.loads(ir_to_json(sample()))
    for path in _places(data):
        try:
            ir = ir_from_json(json.dumps(_replaced(data, path, value)))
        except SerializationError:
            continue
        assert isinstance(ir, IR)


def test_what_is_read_is_not_executed(tmp_path):
    target = tmp_path / "made"

    class Evil:
        def __reduce__(self):
            return target.touch, ()

    bomb = pickle.dumps(Evil()).hex()
    for body in ({"pickled": bomb}, {"container": [bomb, []]}, {"fields": [bomb, []]}):
        with pytest.raises(SerializationError):
            ir_from_json(ir_to_json(holding("here")).replace('"here"', json.dumps(body)))
    assert not target.exists()


def test_a_variable_defined_twice_is_damage():
    text = ir_to_json(holding(1)).replace('"out":{"var":1},"params"', '"out":{"var":0},"params"')
    with pytest.raises(SerializationError, match="defined twice"):
        ir_from_json(text)


# ------------------------------------------------------------------------------------------------ registrations


def test_names_are_given_once():
    with pytest.raises(SerializationError, match=r"tests\.Card"):
        register_json_type(Point, name="tests.Card")
    with pytest.raises(SerializationError, match="'str'"):
        register_aval_name(ArrayAVal, repr, repr, name="str")
    with pytest.raises(SerializationError, match="neither a dataclass nor a namedtuple"):
        register_json_type(Box)
    register_json_type(Card, name="tests.Card")  # once more, as when a module is loaded anew


def test_a_class_of_its_own_format():
    class Money:
        def __init__(self, cents):
            self.cents = cents

        def __eq__(self, other):
            return isinstance(other, Money) and self.cents == other.cents

        def __hash__(self):
            return hash(self.cents)

    register_json_type(Money, lambda m: m.cents, Money, name="tests.Money")
    assert ir_from_json(ir_to_json(holding(Money(5)))).ir_eqns[0].params["value"] == Money(5)
    with pytest.raises(SerializationError, match="nobody"):
        ir_from_json(ir_to_json(holding(Money(5))).replace("tests.Money", "nobody"))


def test_diff():
    a, b = af.trace(lambda x: x + "!")("a"), af.trace(lambda x: x + "?")("a")
    assert ir_diff(a, a) == ""
    assert "-  b:str = concat(a, '!')" in ir_diff(a, b).splitlines()
    assert "+  b:str = concat(a, '?')" in ir_diff(a, b).splitlines()


def test_the_state_is_plain_data_with_a_version():
    state = ir_state(af.trace(lambda x: x + "!")("a"))
    assert (state["format"], state["version"]) == ("alkahest-program", 1)
    assert ir_from_state(state).call("b") == "b!"
