"""Schemas: the vocabulary, the JSON schema it makes (judged by `jsonschema` where installed), and the parser."""

import copy
import dataclasses
import enum
import json
import math
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict, namedtuple
from typing import Any

import optree
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.base import trees
from alkahest.base.avals import BOOL, FLOAT, INT, STR
from alkahest.errors import SchemaError, SchemaViolationError
from alkahest.prims.schema import Doc, Documented, schema_from_data, schema_to_data
from alkahest.prims.schema_json import make_json_schema_and_parser, schema_avals, schema_leaves
from alkahest.prims.schema_nodes import Bool, Enum, Float, Int, SchemaNode, Str


@dataclasses.dataclass(frozen=True)
class Verdict:
    score: Any
    why: Any


Pair = namedtuple("Pair", ["left", "right"])


class Basket:
    """A container whose entries have names of the user's choice."""

    def __init__(self, **items):
        self.items = items

    def __eq__(self, other):
        return isinstance(other, Basket) and self.items == other.items

    __hash__ = None


optree.register_pytree_node(
    Basket,
    lambda b: (tuple(b.items.values()), tuple(b.items), tuple(b.items)),
    lambda names, children: Basket(**dict(zip(names, children, strict=True))),
    namespace=trees.PYTREE_NAMESPACE,
)

# Generated schemas, values that satisfy them, and what a provider would write for the values.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**70), 2**70)


def between(values):
    return st.lists(st.none() | values, min_size=2, max_size=2).map(
        lambda b: sorted(b) if None not in b else b  # [min, max]
    )


leaf_schemas = st.one_of(
    st.builds(lambda b: Str(min=b[0], max=b[1]), between(st.integers(0, 8))),
    st.just(Str(pattern="[a-c]+")),
    between(whole).map(lambda b: Int(min=b[0], max=b[1])),
    between(finite).map(lambda b: Float(min=b[0], max=b[1])),
    st.just(Bool()),
    st.one_of(
        *[st.lists(values, min_size=1, max_size=4, unique=True) for values in (texts, whole, finite, st.booleans())]
    ).map(lambda values: Enum(*values)),
)
keys = st.dictionaries(
    st.text("ab 'é\"", max_size=3) | st.integers(0, 20) | st.booleans(), st.none(), max_size=3
).filter(lambda d: len({str(k) for k in d}) == len(d))


def documented(schemas):
    return st.tuples(schemas, texts).map(lambda pair: pair[0] @ Doc(pair[1]))


def containers(inner):
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        keys.flatmap(lambda names: st.fixed_dictionaries(dict.fromkeys(names, inner))),
        st.builds(Verdict, inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(lambda a, b: Basket(a=a, b=b), inner, inner),
        st.none(),
        documented(inner),
    )


schemas = st.recursive(leaf_schemas | documented(leaf_schemas), containers, max_leaves=8)


def values_of(leaf):
    match leaf:
        case Str(pattern=None):
            return st.text(
                st.characters(exclude_categories=["Cs"]),
                min_size=leaf.min or 0,
                max_size=8 if leaf.max is None else leaf.max,
            )
        case Str():
            return st.from_regex(leaf.pattern)
        case Int():
            return st.integers(leaf.min, leaf.max)
        case Float():
            return st.floats(leaf.min, leaf.max, allow_nan=False, allow_infinity=False)
        case Bool():
            return st.booleans()
    return st.sampled_from(leaf.values)


@st.composite
def cases(draw):
    schema = draw(schemas)
    leaves, treedef = schema_leaves(schema)
    return schema, treedef.unflatten([draw(values_of(leaf.node)) for leaf in leaves])


def written(value):
    """Return what JSON holds for `value`: every structure is an object."""
    match value:
        case None:
            return {}
        case Verdict():
            return {f.name: written(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case Pair():
            return {name: written(entry) for name, entry in value._asdict().items()}
        case Basket():
            return {name: written(entry) for name, entry in value.items.items()}
        case dict():
            return {str(key): written(entry) for key, entry in value.items()}
        case list() | tuple():
            return {str(k): written(entry) for k, entry in enumerate(value)}
    return value


def answer(value):
    made = written(value)
    return made if isinstance(made, dict) else {"value": made}


def places(answer, path="$", parent=None, name=None):
    """Iterate over the path, the holder and the name of every entry."""
    yield path, parent, name
    if isinstance(answer, dict):
        for key in answer:
            yield from places(answer[key], f"{path}[{key!r}]", answer, key)


@given(cases())
def test_a_satisfying_answer_is_read_back(case):
    schema, value = case
    _, parse = make_json_schema_and_parser(schema)
    read = parse(json.dumps(answer(value)))
    assert read == value
    assert [type(leaf) for leaf in trees.leaves(read)] == [type(leaf) for leaf in trees.leaves(value)]
    assert trees.structure(read) == trees.structure(value)
    assert str(trees.structure(read)) == str(trees.structure(value))  # types of keys too
    assert parse(json.dumps(answer(value), ensure_ascii=False, indent=2)) == value
    assert parse(f"\n```json\n{json.dumps(answer(value))}\n```\n") == value


@given(cases(), st.data())
def test_each_mutation_is_refused_at_its_path(case, data):
    schema, value = case
    json_schema, parse = make_json_schema_and_parser(schema)
    mutated = answer(value)
    path, parent, name = data.draw(st.sampled_from(list(places(mutated))))
    here = mutated if parent is None else parent[name]
    kinds = (
        ["array", "null"] + (["surplus"] if isinstance(here, dict) else ["object"]) + (["missing"] if parent else [])
    )
    match data.draw(st.sampled_from(kinds)):
        case "surplus":
            here["not in any schema"] = 0
        case "missing":
            del parent[name]
            path, here = path.removesuffix(f"[{name!r}]"), name
        case kind:
            wrong = {"array": [here], "null": None, "object": {"value": here}}[kind]
            if parent is None:
                mutated = wrong
            else:
                parent[name] = wrong
    if not isinstance(mutated, dict) and trees.is_leaf(bare(schema)):
        path = "$['value']"
    with pytest.raises(SchemaViolationError) as refused:
        parse(json.dumps(mutated))
    assert refused.value.details["path"] == path
    assert refused.value.message.startswith(f"{path}: expected ")
    assert not judged(json_schema, mutated)


def bare(schema):
    return trees.map_leaves(lambda leaf: leaf, schema)


def judged(json_schema, value):
    """Tell whether `jsonschema` takes the value; where it is not installed, only our own parser judges."""
    try:
        import jsonschema
    except ImportError:
        return False
    jsonschema.Draft202012Validator.check_schema(json_schema)
    return jsonschema.Draft202012Validator(json_schema).is_valid(value)


@given(cases())
def test_jsonschema_agrees(case):
    pytest.importorskip("jsonschema", reason="the outside judge of JSON schemas, which litellm brings")
    schema, value = case
    json_schema, _ = make_json_schema_and_parser(schema)
    assert judged(json_schema, answer(value))


NEARLY = [
    (Str(min=2), ["ab", "𝄞𝄞"], ["a", "𝄞", ""]),
    (Str(max=2), ["", "éé", "𝄞𝄞"], ["abc"]),
    (Str(pattern="b+"), ["abc"], ["ac", ""]),
    (Str(pattern="^b+$"), ["bb"], ["abb"]),
    (Int(min=0, max=10), [0, 10], [-1, 11, 0.5]),
    (Float(min=-0.5, max=2), [-0.5, 2, 2.0], [-0.6, 2.1]),
    (Enum("a", "b"), ["a"], ["A", "", "ab", 1]),
    (Enum(1, 2), [1], [3, "1", True]),
    (Enum(True), [True], [False, 1, "true"]),
    (Enum(0.5, 1.0), [0.5, 1.0], [0.75, True]),
]


@pytest.mark.parametrize(("leaf", "good", "wrong"), NEARLY, ids=[repr(case[0]) for case in NEARLY])
def test_bounds_of_leaves(leaf, good, wrong):
    json_schema, parse = make_json_schema_and_parser({"x": leaf})
    for value in good:
        assert parse(json.dumps({"x": value})) == {"x": value}
    for value in wrong:
        assert not judged(json_schema, {"x": value})
        with pytest.raises(SchemaViolationError, match=r"^\$\['x'\]: expected .*, found "):
            parse(json.dumps({"x": value}))


@pytest.mark.parametrize(
    ("leaf", "text"),
    [(Int(), "1.0"), (Int(), "1e3"), (Int(), "true"), (Float(), "true"), (Bool(), "1"), (Bool(), '"true"'),
     (Str(), "1"), (Enum(1), "1.0"), (Enum(1.5), '"1.5"'), (Float(), '"1"'), (Float(), "NaN"), (Float(), "-Infinity"),
     (Int(), "NaN"),
     (Str(), "NaN"), (Enum("NaN"), "NaN"), (Float(), "1e999"), (Float(), "9" * 400), (Int(), "9" * 5000),
     (Float(), "9" * 5000), (Str(), r'"\ud800"'), (Str(), r'"a\udfffb"'), (Str(), "null"), (Int(), "[1]")],
)  # fmt: skip
def test_types_are_exact(leaf, text):
    _, parse = make_json_schema_and_parser({"x": leaf})
    with pytest.raises(SchemaViolationError) as refused:
        parse(f'{{"x": {text}}}')
    assert refused.value.details["path"] == "$['x']"
    assert len(str(refused.value)) < 500
    str(refused.value).encode()


def test_integers_become_floats_where_a_float_is_asked_for():
    _, parse = make_json_schema_and_parser([Float(), Enum(1.0, 2.0), Int()])
    read = parse('{"0": 3, "1": 2, "2": 12345678901234567890123}')
    assert read == [3.0, 2.0, 12345678901234567890123]
    assert [type(value) for value in read] == [float, float, int]


def test_surrogate_pairs_are_one_character():
    _, parse = make_json_schema_and_parser(Str(max=1))
    assert parse(r'{"value": "\ud834\udd1e"}') == "𝄞"


def test_json_schema_of_a_nested_schema():
    schema = {
        "b": Verdict(Int(min=0, max=10) @ Doc("10 is best"), Str(min=1, max=9, pattern="x")),
        "a": (Float(min=0), Enum("u", "v")),
        3: [Bool(), None],
    } @ Doc("All of it.")
    json_schema, _ = make_json_schema_and_parser(schema)

    def an_object(**properties):
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    assert json_schema == {
        **an_object(
            **{
                "3": an_object(**{"0": {"type": "boolean"}, "1": an_object()}),
                "a": an_object(**{"0": {"type": "number", "minimum": 0}, "1": {"type": "string", "enum": ["u", "v"]}}),
                "b": an_object(
                    score={"type": "integer", "minimum": 0, "maximum": 10, "description": "10 is best"},
                    why={"type": "string", "minLength": 1, "maxLength": 9, "pattern": "x"},
                ),
            }
        ),
        "description": "All of it.",
    }
    assert json_schema["required"] == [str(key) for key in trees.structure(bare(schema)).entries()]
    assert list(json_schema["properties"]) == json_schema["required"]


@given(schemas)
def test_json_schemas_keep_to_strict_structured_output(schema):
    json_schema, _ = make_json_schema_and_parser(schema)
    assert json_schema["type"] == "object"
    pending = [json_schema]
    while pending:
        part = pending.pop()
        if part["type"] == "object":
            assert set(part) <= {"type", "properties", "required", "additionalProperties", "description"}
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
            pending.extend(part["properties"].values())


def test_a_single_leaf_is_wrapped_in_an_object():
    json_schema, parse = make_json_schema_and_parser(Int(min=1) @ Doc("how many"))
    assert json_schema == {
        "type": "object",
        "properties": {"value": {"type": "integer", "minimum": 1, "description": "how many"}},
        "required": ["value"],
        "additionalProperties": False,
    }
    assert parse('{"value": 3}') == 3
    assert parse(" 3 ") == 3
    for text in ("0", '{"value": 0}'):
        with pytest.raises(SchemaViolationError, match=r"\$\['value'\]: expected an integer of at least 1, found 0"):
            parse(text)
    with pytest.raises(SchemaViolationError, match=r"misses 'value' and has 'x'"):
        parse('{"x": 3}')


def test_a_dataclass_comes_back_as_one():
    _, parse = make_json_schema_and_parser({"all": [Verdict(Int(), Str())]})
    assert parse('{"all": {"0": {"why": "clear", "score": 3}}}') == {"all": [Verdict(3, "clear")]}


def test_missing_and_surplus_names_are_both_told():
    _, parse = make_json_schema_and_parser({"items": [{"score": Int(), "why": Str()}]})
    with pytest.raises(SchemaViolationError) as refused:
        parse('{"items": {"0": {"scores": 1, "why": "", "extra": 2}}}')
    assert refused.value.message == (
        "$['items']['0']: expected 'score', 'why'; "
        "the object misses 'score' and has 'scores', 'extra', which the schema does not name."
    )


def test_a_name_given_twice_is_refused():
    _, parse = make_json_schema_and_parser({"a": {"b": Int()}})
    with pytest.raises(SchemaViolationError, match=r"^\$\['a'\]: .* found 'b' more than once"):
        parse('{"a": {"b": 1, "b": 1}}')


@given(cases())
def test_truncated_answers_say_where(case):
    schema, value = case
    _, parse = make_json_schema_and_parser(schema)
    text = json.dumps(answer(value))
    for end in range(len(text)):
        with pytest.raises(SchemaViolationError) as refused:
            parse(text[:end])
        assert 0 <= refused.value.position <= end
        assert refused.value.line == 1


def test_the_error_of_text_that_is_no_json():
    _, parse = make_json_schema_and_parser({"a": Str(), "b": Int()})
    with pytest.raises(SchemaViolationError) as refused:
        parse('```json\n{"a": "x",\n "b": }\n```')
    assert refused.value.position == 25
    assert refused.value.line == 3
    assert """(position 25, line 3), at '}\\n```', after '```json\\n{"a": "x",\\n "b": '""" in refused.value.message
    with pytest.raises(SchemaViolationError, match=r"position 16.*cut off: allow the model a longer answer"):
        parse('{"a": "x", "b": ')
    with pytest.raises(SchemaViolationError, match="cut off"):
        parse('{"a": "x')
    with pytest.raises(SchemaViolationError, match=r"empty text.*Ask the model again"):
        parse(" ")


FENCED = '{"a": "```\\n"}'


@pytest.mark.parametrize(
    "text",
    [f"```json\n{FENCED}\n```", f"```\n{FENCED}\n```", f"  ```JSON \r\n{FENCED}\r\n```\r\n",
     f"````json\n{FENCED}\n````", f"```json\n{FENCED}```", f"```json\n{FENCED}\n", FENCED, f"\n\t{FENCED}\n"],
)  # fmt: skip
def test_code_fences_are_taken_off(text):
    assert make_json_schema_and_parser({"a": Str()})[1](text) == {"a": "```\n"}


@pytest.mark.parametrize(
    "text",
    [f"Here you are:\n```json\n{FENCED}\n```", f"```json\n{FENCED}\n```\nAnything else?", f"```python\n{FENCED}\n```",
     f"{FENCED} {FENCED}", f"```json {FENCED} ```", "", "```", "```json\n```", "{'a': 'x'}", '{"a": "x",}', "\ufeff{}",
     '{"a": "x"}`', '{"a": "line\nbreak"}', "\ud800"],
)  # fmt: skip
def test_nothing_else_is_guessed(text):
    with pytest.raises(SchemaViolationError, match=r"no JSON: .*position"):
        make_json_schema_and_parser({"a": Str()})[1](text)


def test_an_answer_that_was_decoded_already():
    _, parse = make_json_schema_and_parser({"a": Str(), "b": Float()})
    assert parse({"a": "x", "b": 1}) == {"a": "x", "b": 1.0}
    for wrong in ({"a": "x"}, {"a": 1, "b": 1.0}, {"a": "x", "b": float("nan")}, {"a": object(), "b": 1.0}):
        with pytest.raises(SchemaViolationError):
            parse(wrong)


@pytest.mark.parametrize("text", [None, b'{"a": ""}', ["a"]])
def test_an_answer_that_is_no_text(text):
    with pytest.raises(SchemaViolationError, match="no text but a"):
        make_json_schema_and_parser({"a": Str()})[1](text)


def test_deep_answers_and_schemas_raise_no_recursion_error():
    _, parse = make_json_schema_and_parser({"a": Str()})
    for text in ("[" * 200_000, '{"a":' * 200_000):
        with pytest.raises(SchemaViolationError):
            parse(text)
    schema, value = Int(), 3
    for _ in range(100):
        schema, value = [schema], [value]
    assert make_json_schema_and_parser(schema)[1](json.dumps(written(value))) == value
    assert schema_from_data(schema_to_data(schema)) == schema
    loop: dict[str, Any] = {}
    loop["again"] = loop
    data: dict[str, Any] = {"type": "list"}
    data["items"] = [data]
    for use, deep in (
        (make_json_schema_and_parser, [schema]),
        (make_json_schema_and_parser, loop),
        (schema_to_data, loop),
        (schema_from_data, data),
        (Doc("round").__rmatmul__, loop),
    ):
        with pytest.raises(SchemaError, match="nested too deep"):
            use(deep)


# The vocabulary.


@pytest.mark.parametrize(
    "make",
    [lambda: Str(min=-1), lambda: Str(min=3, max=2), lambda: Str(min=True), lambda: Str(max=1.0),
     lambda: Str(pattern="("), lambda: Str(pattern=3), lambda: Str(pattern="\ud800"), lambda: Str(pattern=10**5000),
     lambda: Int(min=True),
     lambda: Int(min=0.5), lambda: Int(max="3"), lambda: Int(min=3, max=2), lambda: Int(max=10**5000),
     lambda: Float(min=math.nan), lambda: Float(max=math.inf), lambda: Float(min=False), lambda: Float(min="1"),
     lambda: Float(min=2, max=1.5), lambda: Float(min=10**400), Enum, lambda: Enum(["a", "b"]),
     lambda: Enum("a", "a"), lambda: Enum(0.0, -0.0), lambda: Enum("a", 1), lambda: Enum(1, 1.0), lambda: Enum(1, True),
     lambda: Enum(None), lambda: Enum(math.nan), lambda: Enum("\ud800"), lambda: Doc(3), lambda: Doc("\ud800"),
     lambda: Doc("a") @ Str(), lambda: Doc("a") @ Doc("b"), lambda: "a" @ Doc("b"), lambda: {"a": str} @ Doc("b"),
     lambda: Documented(Str(), 3)],
)  # fmt: skip
def test_constructors_refuse(make):
    with pytest.raises(SchemaError) as refused:
        make()
    assert refused.value.remedy
    assert isinstance(refused.value, TypeError)
    assert isinstance(refused.value, ValueError)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("schema", "said"),
    [({"a": str}, r"the class str at \$\['a'\]"), ([Str(), "text"], r"a str, 'text', at \$\['1'\]"),
     (Verdict(Int(), 3), r"a int, 3, at \$\['why'\]"), (Verdict, r"the class Verdict at \$\."),
     ({"a": Doc("x")}, "Doc by"), ([{"x": {1, 2}}], r"a set, \{1, 2\}, at \$\['0'\]\['x'\]"),
     ({1: Str(), "1": Str()}, "two entries .* the name '1'"), ({"a": {1.5: Str(), "1.5": Str()}}, r"at \$\['a'\]"),
     ({"\ud800": Str()}, "lone surrogate")],
)  # fmt: skip
def test_what_is_no_schema(schema, said):
    for use in (make_json_schema_and_parser, schema_leaves, schema_to_data, Doc("x").__rmatmul__):
        with pytest.raises(SchemaError, match=said):
            use(schema)


def test_the_remedy_names_the_vocabulary():
    with pytest.raises(SchemaError, match=r"Str\(\), Int\(\), Float\(\), Bool\(\) and Enum"):
        make_json_schema_and_parser({"name": str})


@given(schemas)
def test_nodes_are_values(schema):
    namespace = {"Verdict": Verdict, "Pair": Pair, "Doc": Doc, **{c.__name__: c for c in (Str, Int, Float, Bool, Enum)}}
    if "Basket" not in repr(schema):
        again = eval(repr(schema), namespace)
        assert again == schema
        assert repr(again) == repr(schema)
    for other in (pickle.loads(pickle.dumps(schema)), copy.deepcopy(schema)):
        assert other == schema
        assert trees.structure(other) == trees.structure(schema)
        for leaf, same in zip(trees.leaves(other), trees.leaves(schema), strict=True):
            assert (leaf, hash(leaf), repr(leaf)) == (same, hash(same), repr(same))
        if isinstance(schema, Documented):
            assert hash(other) == hash(schema)


def test_nodes_differ_by_what_they_allow():
    nodes = [Str(), Str(min=1), Str(max=1), Str(pattern="1"), Int(), Int(min=1), Float(), Float(min=1), Bool(), Enum(1),
             Enum(1.0), Enum(True), Enum("1"), Enum("1", "2"), Enum("2", "1"), Doc("a"), Str() @ Doc("a"),
             Str() @ Doc("b"), {"a": Str()} @ Doc("a"), [Str()] @ Doc("a")]  # fmt: skip
    assert all((a == b) == (k == m) for k, a in enumerate(nodes) for m, b in enumerate(nodes))
    assert len(set(nodes)) == len(nodes)


def test_nodes_are_immutable():
    for node in (Str(), Int(), Float(), Bool(), Enum(1), Doc("a"), Str() @ Doc("a")):
        for name in ("min", "text", "values", "other"):
            with pytest.raises(AttributeError):
                setattr(node, name, 3)
    with pytest.raises(TypeError, match="abstract"):
        SchemaNode()


def test_documented_nodes_are_transparent():
    plain = {"a": [Int(), (Str(),)], "b": Verdict(Bool(), None)}
    spoken = {"a": [Int() @ Doc("i"), (Str() @ Doc("s") @ Doc("t"),) @ Doc("p")] @ Doc("l"),
              "b": Verdict(Bool() @ Doc("y"), None @ Doc("n"))} @ Doc("all")  # fmt: skip
    assert trees.leaves(spoken) == trees.leaves(plain)
    assert optree.tree_map(lambda leaf: leaf, spoken, namespace=trees.PYTREE_NAMESPACE) == plain
    assert schema_leaves(spoken)[1] == trees.structure(plain)
    text = '{"a": {"0": 1, "1": {"0": "x"}}, "b": {"score": true, "why": {}}}'
    assert make_json_schema_and_parser(spoken)[1](text) == {"a": [1, ("x",)], "b": Verdict(True, None)}
    json_schema, _ = make_json_schema_and_parser(spoken)
    a = json_schema["properties"]["a"]
    assert (json_schema["description"], a["description"]) == ("all", "l")
    assert a["properties"]["1"]["properties"]["0"] == {"type": "string", "description": "s\nt"}
    assert json_schema["properties"]["b"]["properties"]["why"]["description"] == "n"


def test_leaves_and_abstract_values():
    schema = {"n": (Int(), Enum(1.5)), "v": Verdict(Bool() @ Doc("sure?"), Str())}
    leaves, treedef = schema_leaves(schema)
    assert [(leaf.path, leaf.python, leaf.doc) for leaf in leaves] == [
        ("$['n']['0']", int, None), ("$['n']['1']", float, None), ("$['v']['score']", bool, "sure?"),
        ("$['v']['why']", str, None)]  # fmt: skip
    assert [leaf.node for leaf in leaves] == trees.leaves(schema)
    assert schema_avals(schema) == {"n": (INT, FLOAT), "v": Verdict(BOOL, STR)}
    assert treedef == trees.structure(bare(schema))
    assert [leaf.path for leaf in schema_leaves(Pair(Str(), Enum("a")))[0]] == ["$['left']", "$['right']"]
    assert schema_leaves(Str())[0][0].path == "$"


# The cache.


def test_equal_schemas_share_their_work_but_not_the_dict():
    first, parse = make_json_schema_and_parser({"a": [Int(min=1) @ Doc("x")]})
    first["properties"].clear()
    second, again = make_json_schema_and_parser({"a": [Int(min=1) @ Doc("x")]})
    assert again is parse
    assert list(second["properties"]) == ["a"]
    assert make_json_schema_and_parser({"a": [Int(min=1) @ Doc("y")]})[1] is not parse
    assert make_json_schema_and_parser({"a": (Int(min=1) @ Doc("x"),)})[1] is not parse


def test_schemas_that_only_look_equal_are_kept_apart():
    read = [make_json_schema_and_parser({key: Int()})[1](f'{{"{key}": 1}}') for key in (1, True, 1.0)]
    assert [type(key) for entry in read for key in entry] == [int, bool, float]
    assert [make_json_schema_and_parser(Enum(value))[1](text) for value, text in ((1, "1"), (True, "true"))] == [
        1,
        True,
    ]


def test_a_schema_changed_later_is_another():
    schema: list[Any] = [Int()]
    _, parse = make_json_schema_and_parser(schema)
    schema.append(Str())
    assert make_json_schema_and_parser(schema)[1]('{"0": 1, "1": ""}') == [1, ""]
    assert parse('{"0": 1}') == [1]


class Uncomparable:
    __hash__ = None

    def __eq__(self, other):
        raise ValueError("ambiguous")


class Tagged:
    def __init__(self, value, tag):
        self.value, self.tag = value, tag


optree.register_pytree_node(
    Tagged,
    lambda t: ((t.value,), t.tag, ("value",)),
    lambda tag, children: Tagged(children[0], tag),
    namespace=trees.PYTREE_NAMESPACE,
)


def test_containers_that_keep_what_cannot_be_hashed_or_compared():
    tag = Uncomparable()
    for _ in range(2):
        read = make_json_schema_and_parser(Tagged(Int(), tag))[1]('{"value": 3}')
        assert (read.value, read.tag is tag) == (3, True)
        assert make_json_schema_and_parser(Tagged(Int(), Uncomparable()))[1]('{"value": 3}').value == 3


def test_threads_share_one_parser():
    start = threading.Barrier(8)
    parsers = []

    def work():
        start.wait()
        parsers.append(make_json_schema_and_parser({"threads": [Str(min=7)]} @ Doc("t"))[1])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [parse('{"threads": {"0": "1234567"}}') for parse in parsers] == [{"threads": ["1234567"]}] * 8


# Saving.


def plain_keys(schema):
    try:
        schema_to_data(schema)
    except SchemaError:
        return False
    return True


@given(schemas.filter(plain_keys))
def test_a_saved_schema_is_the_same(schema):
    again = schema_from_data(json.loads(json.dumps(schema_to_data(schema))))
    assert again == schema
    assert str(trees.structure(again)) == str(trees.structure(schema))


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "schema",
    [Verdict(Int(), Str()), [Pair(Int(), Str())], OrderedDict(a=Int()), Basket(a=Int()), {Colour.RED: Int()},
     {(1, 2): Int()}, {math.inf: Int()}],
)  # fmt: skip
def test_containers_that_cannot_be_saved(schema):
    with pytest.raises(SchemaError, match="cannot be saved"):
        schema_to_data(schema)
    make_json_schema_and_parser(schema)


@pytest.mark.parametrize(
    "data",
    [None, 3, "Str", [], {}, {"type": "Nothing"}, {"type": ["Str"]}, {"type": "Str", "mix": 1},
     {"type": "Str", "min": "1"}, {"type": "Enum"}, {"type": "Enum", "values": []}, {"type": "list"},
     {"type": "list", "items": {}},
     {"type": "list", "items": [3]}, {"type": "dict", "items": [["a"]]},
     {"type": "dict", "items": [[["a"], {"type": "Int"}]]}, {"type": "dict", "items": [[1, {"type": "Int"}], ["1",
     {"type": "Int"}]]}, {"type": "None", "items": []},
     {"type": "Int", "doc": 3}, {"type": "list", "items": [], "more": 1}],
)  # fmt: skip
def test_data_that_describes_no_schema(data):
    with pytest.raises(SchemaError):
        schema_from_data(data)


def test_a_schema_can_be_built_and_unpickled_where_nothing_is_registered():
    saved = pickle.dumps({"a": Str() @ Doc("x")} @ Doc("y"))
    program = (
        "import pickle, sys\n"
        f"schema = pickle.loads({saved!r})\n"
        "from alkahest.prims.schema_json import make_json_schema_and_parser\n"
        "assert make_json_schema_and_parser(schema)[1]('{\"a\": \"b\"}') == {'a': 'b'}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_vocabulary_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from alkahest.prims.schema import Doc\n"
        "from alkahest.prims import schema_json, schema_nodes\n"
        "schema_nodes.Enum('a')\n"
        "assert not {'optree', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
