"""The embedded model's JSON satisfies the schema that is asked for."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.errors import ProviderError
from alkahest.models.client import lm_client
from alkahest.models.json_answers import json_answer
from alkahest.models.pattern_samples import samples


def answer(schema, text="a text", context=None):
    return json.loads(json_answer(schema, text, [text] if context is None else context))


def obj(**properties):
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def holds(schema, value):
    """Check a value against the parts of JSON schema that the tests use, as the specification defines them."""
    kinds = {"string": str, "integer": int, "number": int | float, "boolean": bool, "object": dict, "array": list}
    kind = schema.get("type")
    if "enum" in schema:
        return value in schema["enum"]
    assert isinstance(value, kinds[kind]), (schema, value)
    assert kind == "boolean" or not isinstance(value, bool)
    if kind == "object":
        assert set(value) == set(schema["properties"])
        return all(holds(inner, value[name]) for name, inner in schema["properties"].items())
    if kind == "array":
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return all(holds(schema["items"], item) for item in value)
    if kind == "string":
        assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return re.search(schema.get("pattern", ""), value) is not None
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


def ranges(numbers):
    return st.tuples(numbers, numbers).map(sorted).map(lambda r: {"minimum": r[0], "maximum": r[1]})


finite = st.floats(-1e6, 1e6, allow_nan=False)
leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "string"}),
    ranges(st.integers(0, 40)).map(lambda r: {"type": "string", "minLength": r["minimum"], "maxLength": r["maximum"]}),
    ranges(st.integers(-(10**20), 10**20)).map(lambda r: {"type": "integer", **r}),
    ranges(finite).map(lambda r: {"type": "number", **r}),
    st.lists(st.text() | st.integers(), min_size=1).map(lambda options: {"enum": options}),
    st.sampled_from(["^[a-z]+$", r"\d{4}-\d\d-\d\d", "(yes|no)!?", "[^a-c]x*", r"\w+@\w+\.(com|org)"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
)
schemas = st.recursive(
    leaves,
    lambda inner: (
        st.dictionaries(st.text(min_size=1), inner, max_size=4).map(lambda p: obj(**p))
        | inner.map(lambda item: {"type": "array", "items": item, "minItems": 2, "maxItems": 3})
    ),
    max_leaves=12,
)


@given(schema=schemas, text=st.text())
def test_the_answer_satisfies_the_schema(schema, text):
    found = answer(schema, text)
    assert holds(schema, found)
    assert found == answer(schema, text)


def test_other_messages_give_other_answers():
    schema = obj(score={"type": "integer", "minimum": 0, "maximum": 10**6}, ok={"type": "boolean"})
    answers = [answer(schema, f"item {k}") for k in range(40)]
    assert len({a["score"] for a in answers}) > 35
    assert {a["ok"] for a in answers} == {True, False}
    assert answer(schema, "same", ["system A", "same"]) != answer(schema, "same", ["system B", "same"])


@pytest.mark.parametrize(
    "text",
    [
        "Name: Ada Lovelace\nAge: 36\nMember: yes\nKind: gold",
        '- name = "Ada Lovelace"\n- AGE: 36\n- member: true\n- kind: gold',
        'Given {"name": "Ada Lovelace", "age": 36, "member": true, "kind": "gold"} say so',
        'Broken {"name": then\nName: Ada Lovelace\nage: 36,\nmember: TRUE\nkind: gold',
    ],
)
def test_what_the_message_states_is_used(text):
    schema = obj(
        name={"type": "string", "minLength": 3},
        age={"type": "integer", "minimum": 0, "maximum": 150},
        member={"type": "boolean"},
        kind={"type": "string", "enum": ["silver", "gold"]},
    )
    found = answer(schema, text)
    assert (found["name"].strip('"'), found["age"], found["member"], found["kind"]) == (
        "Ada Lovelace",
        36,
        True,
        "gold",
    )


def test_what_is_stated_but_not_allowed_is_not_used():
    schema = obj(age={"type": "integer", "minimum": 0, "maximum": 150}, ok={"type": "boolean"}, n={"type": "integer"})
    found = answer(schema, "age: 151\nok: 1\nn: true")
    assert 0 <= found["age"] <= 150
    assert isinstance(found["ok"], bool)
    assert type(found["n"]) is int


def test_the_one_option_that_is_named_is_chosen():
    schema = obj(tool={"type": "string", "enum": ["search", "calculate", "finish"]})
    for k in range(10):
        assert answer(schema, f"Please Calculate the sum number {k}.") == {"tool": "calculate"}


def test_references_choices_and_constants():
    schema = {
        "type": "object",
        "properties": {
            "point": {"$ref": "#/$defs/point"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "kind": {"const": "fixed"},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}]},
            "open": {"type": ["string", "null"]},
            "above": {"type": "integer", "exclusiveMinimum": 3, "maximum": 4},
            "even": {"type": "integer", "multipleOf": 2, "minimum": 5, "maximum": 7},
            "none": {"type": "null"},
        },
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}}},
    }
    found = answer(schema)
    assert isinstance(found["point"]["x"], float)
    assert found["maybe"] is None or isinstance(found["maybe"], int)
    assert found["kind"] == "fixed"
    assert [type(x) for x in found["pair"]] == [str, bool]
    assert isinstance(found["open"], str)
    assert (found["above"], found["even"], found["none"]) == (4, 6, None)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "number", "minimum": 3, "maximum": 2},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "pattern": "^a{3}$", "maxLength": 2},
        {"type": "string", "pattern": "(?!)"},
        {"enum": []},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#"},
    ],
)
def test_a_schema_that_nothing_satisfies(schema):
    with pytest.raises(ProviderError, match=r"cannot satisfy the schema at \$\['a'\]"):
        answer(obj(a=schema))


def test_a_schema_that_contains_itself():
    with pytest.raises(ProviderError, match="without end"):
        answer({"type": "object", "properties": {"again": {"$ref": "#"}}})


def test_through_a_client(ask):
    schema = obj(score={"type": "integer", "minimum": 1, "maximum": 5})
    form = {"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": schema}}
    for model in ("local/template", "local/echo"):
        assert json.loads(ask(lm_client(), "Score: 4", model, response_format=form)) == {"score": 4}
    loose = json.loads(ask(lm_client(), "x", "local/template", response_format={"type": "json_object"}))
    assert isinstance(loose["answer"], str)
    assert ask(lm_client(), "x", "local/echo", response_format={"type": "text"}) == "x"


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "abc",
        r"^\d{3}-\d{4}$",
        "[A-Z][a-z]+( [A-Z][a-z]+)*",
        r"(?P<year>19|20)\d\d",
        r"[^\W\d]+\s\S",
        "a?b*?c+",
        r"\D\W.",
        "(?:x|yz){2,3}",
        r"[\d_][^\s]",
        "(?=a)[a-c]",
        r"\bword\b",
    ],
)
@given(seed=st.integers(0, 2**64 - 1))
def test_samples_match_their_pattern(pattern, seed):
    assert re.fullmatch(pattern, next(samples(pattern, seed)))


def test_samples_meet_a_wanted_length():
    schema = {"type": "string", "pattern": "^[a-z]*$", "minLength": 40, "maxLength": 60}
    assert 40 <= len(answer(schema)) <= 60
