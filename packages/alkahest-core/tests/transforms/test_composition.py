"""Transforms in any order and depth: a corpus of programs, chains of transforms, loops for the oracle.

`sched` and `dce` change nothing of what a program gives, `batch` commutes with everything but `weighted`: with these
two laws each chain is compared with the same chain without them, item by item. What single transforms give is checked
by hand-written values in the other files.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import alkahest as af
from alkahest.base import trees
from alkahest.extend import Prim, StrAVal, is_irvar, is_zero, materialize, rules

TRANSFORMS = {
    "batch": af.batch,
    "push": af.pushforward,
    "pull": af.pullback,
    "sched": af.sched,
    "weighted": af.weighted,
    "dce": af.dce,
}

# --------------------------------------------------------------------------------------------- primitives of users


def _shout_push(in_tree, /):
    text, tangent = in_tree
    if isinstance(tangent, str) and tangent.startswith("z"):  # concrete Python: the rule sees values
        return text.upper(), "Z" + tangent
    return text.upper(), tangent


def _shout_bwd(in_tree, /):
    residual, cotangent = in_tree
    return f"{cotangent} on {residual}" if len(residual) > 1 else cotangent


shout_p = rules(
    Prim("test_shout"),
    impl=lambda text: text.upper(),
    abstract=lambda text: StrAVal(),
    push=_shout_push,
    pull=(lambda text: (text.upper(), text), _shout_bwd),
    register=False,
)

slow_p = rules(
    Prim("test_slow"),
    impl=lambda text: f"<{text}>",
    abstract=lambda text: StrAVal(),
    push=lambda in_tree: (f"<{in_tree[0]}>", f"<{materialize(in_tree[1])}>"),
    pull=(lambda text: (f"<{text}>", text), lambda in_tree: f"{in_tree[1]}~{in_tree[0]}"),
    waits=True,
    register=False,
)


async def _ask(text, /):
    await asyncio.sleep(0)
    return f"[{text}]"


async def _ask_push(in_tree, /):
    await asyncio.sleep(0)
    return f"[{in_tree[0]}]", f"[{materialize(in_tree[1])}]"


async def _ask_fwd(text, /):
    await asyncio.sleep(0)
    return f"[{text}]", text


async def _ask_bwd(in_tree, /):
    await asyncio.sleep(0)
    return f"{in_tree[1]}@{in_tree[0]}"


ask_p = rules(
    Prim("test_ask"),
    impl=lambda text: f"[{text}]",
    aimpl=_ask,
    abstract=lambda text: StrAVal(),
    push=lambda in_tree: (f"[{in_tree[0]}]", f"[{materialize(in_tree[1])}]"),
    apush=_ask_push,
    pull=(lambda text: (f"[{text}]", text), lambda in_tree: f"{in_tree[1]}@{in_tree[0]}"),
    apull=(_ask_fwd, _ask_bwd),
    register=False,
)

# ------------------------------------------------------------------------------------------------------ the corpus


@dataclass(frozen=True)
class Program:
    name: str
    ir: Any
    variants: tuple[tuple[Any, ...], ...]
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass
class Pair:
    left: Any
    right: Any


def _text(x, y):
    return {"b": [x + "!", y], "a": af.format("{} and {name}", x, name=y + x), "c": (x,)}


def _structures(tree, pair):
    return Pair([tree["k"][0], None, 3], {"z": pair.left + tree["k"][1], "lit": "literal"}), af.match(pair.right, "r")


def _switch(key, x, y):
    branches = {
        "one": af.trace(lambda x, y: (x + "1", y))("", ""),
        "two": af.trace(lambda x, y: (af.format("{0}{0}", y), "const"))("", ""),
    }
    return af.switch(key, branches, x, y)


def _loop(text, n):
    cond = af.trace(lambda s: s["n"] > 0)({"n": 1, "t": ""})
    body = af.trace(lambda s: {"n": s["n"] - 1, "t": "*" + s["t"] + s["t"]})({"n": 1, "t": ""})
    return af.while_loop(cond, body, {"n": n, "t": text}, max_iters=3)


def _numeric(x, y):
    return af.sin(x) * y + x**2, x / y


def _numeric_flow(x, n):
    big = af.trace(lambda x: x * x)(1.0)
    small = af.trace(lambda x: af.exp(x) + 1.0)(1.0)
    cond = af.trace(lambda s: s[1] > 0)((1.0, 1))
    body = af.trace(lambda s: (s[0] * s[0] * 0.5, s[1] - 1))((1.0, 1))
    return af.while_loop(cond, body, (af.switch(x > 1.0, {True: big, False: small}, x), n), max_iters=4)[0]


def _factors(x, w, key):
    def heavy(x, w):
        af.factor(w)
        return x + "h"

    branches = {"h": af.trace(heavy)("", 1.0), "l": af.trace(lambda x, w: x + "l")("", 1.0)}

    def step(s):
        af.factor(w_step, name="step")
        return s + "."

    w_step = 0.5
    cond, body = af.trace(lambda s: s != "ab..")(""), af.trace(step)("")
    af.factor(w, name="first")
    out = af.switch(key, branches, x, w)
    return out, af.while_loop(cond, body, x, max_iters=2)


def _users(x, y):
    return shout_p.bind(x + y), slow_p.bind(x) + ask_p.bind(y), ask_p.bind(shout_p.bind(y))


def _marks(x, y):
    x = af.checkpoint(x, key="x")
    return af.depends(af.stop_gradient(x) + y, x), af.checkpoint({"y": y}, key="y")


_inner = af.trace(lambda x, y: (af.format("{}/{}", x, y), ask_p.bind(x)))("", "")


def _inner_batch(xs, y):
    return af.batch(_inner, in_axes=(True, False)).call(xs, y)


def _deep(key, x):
    """A waiting call in a switch in a loop."""
    ask = af.trace(lambda s: (ask_p.bind(s[0]), s[1]))(("", ""))
    stay = af.trace(lambda s: (s[0] + "-", slow_p.bind(s[1])))(("", ""))
    body = af.trace(lambda s: (s[0], *af.switch(s[0], {"ask": ask, "stay": stay}, (s[1], s[2]))))(("", "", ""))
    cond = af.trace(lambda s: s[1] != "[[u]]")(("", "", ""))
    return af.while_loop(cond, body, (key, x, x), max_iters=3)


def _transforms(x, y):
    """Transforms inside a traced function."""
    ir = af.trace(lambda x, y: af.format("{}+{}", x, y + "?"))("", "")
    _, (left, right) = af.pullback(ir).call((x, y), y)
    out, tangent = af.pushforward(ir).call((x, "lit"), (y, "t"))
    return left, right, out, tangent


_TEXTS = (("ab", "c"), ("u", "vw"), ("z", "zz"))
CORPUS = [
    Program("text", af.trace(_text)("", ""), _TEXTS),
    Program(
        "structures",
        af.trace(_structures)({"k": ["", ""]}, Pair("", "")),
        tuple([({"k": [a, b]}, Pair(b, "r" if a == "u" else a)) for a, b in _TEXTS]),
    ),
    Program(
        "switch",
        af.trace(_switch)("one", "", ""),
        tuple([(k, *v) for k, v in zip(("one", "two", "one"), _TEXTS, strict=True)]),
    ),
    Program("loop", af.trace(_loop)("", 1), (("a", 2), ("b", 0), ("c", 5))),
    Program("numeric", af.trace(_numeric)(1.0, 1.0), ((0.5, 2.0), (1.5, -1.0), (-0.25, 0.75))),
    Program("numeric_flow", af.trace(_numeric_flow)(1.0, 1), ((0.5, 2), (1.5, 0), (1.25, 3))),
    Program(
        "factors",
        af.trace(_factors)("", 1.0, "h"),
        (("ab", 0.5, "h"), ("c", 3.0, "l"), ("ab.", 2.0, "h")),
        (0.5 * 0.5 * 0.25, 3.0 * 0.25, 4.0 * 0.5),
    ),
    Program("users", af.trace(_users)("", ""), _TEXTS),
    Program("marks", af.trace(_marks)("", ""), _TEXTS),
    Program(
        "inner_batch", af.trace(_inner_batch)(["", ""], ""), ((["a", "b"], "c"), (["d", "e"], "f"), (["g", "h"], "i"))
    ),
    Program("deep", af.trace(_deep)("ask", ""), (("ask", "u"), ("stay", "v"), ("ask", "w"))),
    Program("transforms", af.trace(_transforms)("", ""), _TEXTS),
    Program("constant", af.trace(lambda x: (x, "const", 3, x))(""), (("a",), ("b",), ("c",))),
]

# ------------------------------------------------------------------------------------------------------ the oracle


def _rotated(variants, k):
    return [*variants[k:], *variants[:k]]


def _columns(ir_tree, rows):
    """Return one tree of lists for a list of trees."""
    leaves, treedef = trees.flatten(ir_tree)
    columns = [list(c) for c in zip(*[treedef.flatten_up_to(r) for r in rows], strict=True)]
    return treedef.unflatten([c if is_irvar(leaf) else leaf for leaf, c in zip(leaves, columns, strict=True)])


def _item(ir_tree, tree, k):
    leaves, treedef = trees.flatten(ir_tree)
    columns = treedef.flatten_up_to(tree)
    columns = [leaf if not is_irvar(leaf) else c for leaf, c in zip(leaves, columns, strict=True)]
    entries = [c[k] if is_irvar(leaf) and not is_zero(c) else c for leaf, c in zip(leaves, columns, strict=True)]
    return treedef.unflatten(entries)


def _outputs(ir_tree, rows):
    """Return one tree of lists for a list of outputs."""
    treedef = trees.structure(ir_tree)
    return treedef.unflatten([list(c) for c in zip(*[treedef.flatten_up_to(r) for r in rows], strict=True)])


def _flows_into(ir_tree, tree):
    """Return a tangent or cotangent: `tree`, with symbolic zeros where a program has literals."""
    leaves, treedef = trees.flatten(ir_tree)
    values = treedef.flatten_up_to(tree)
    return treedef.unflatten([v if is_irvar(leaf) else leaf for leaf, v in zip(leaves, values, strict=True)])


def applied(program, chain):
    """Return the program under a chain of transforms, and three variants of arguments for it."""
    ir, variants = program.ir, list(program.variants)
    for name in chain:
        if name == "batch":
            variants = [_columns(ir.in_ir_tree, _rotated(variants, k)) for k in range(3)]
        elif name == "push":
            tangents = [_flows_into(af.pushforward(ir).in_ir_tree[1], v) for v in _rotated(variants, 1)]
            variants = list(zip(variants, tangents, strict=True))
        elif name == "pull":
            outs = [_flows_into(af.pullback(ir).in_ir_tree[1], ir.call(*v)) for v in variants]
            variants = list(zip(variants, _rotated(outs, 1), strict=True))
        ir = TRANSFORMS[name](ir)
    return ir, variants


def expected(program, chain, args):
    """Return what the chain gives: no sched, no dce, and the outermost batch as a loop."""
    chain = [name for name in chain if name not in ("sched", "dce")]
    if "batch" not in chain:
        return applied_ir(program, chain).call(*args)
    at = len(chain) - 1 - chain[::-1].index("batch")
    rest = [*chain[:at], *chain[at + 1 :]]
    one = applied_ir(program, rest)
    rows = [expected(program, rest, _item(one.in_ir_tree, args, k)) for k in range(3)]
    out = _outputs(one.out_ir_tree, rows)
    if "weighted" in chain[at:]:
        return (out[0], math.prod(out[1]))
    return out


def applied_ir(program, chain):
    ir = program.ir
    for name in chain:
        ir = TRANSFORMS[name](ir)
    return ir


def decided(chain):
    """Tell whether the oracle covers a chain: derivatives of a product over a batch are checked elsewhere."""
    names = [name for name in chain if name not in ("sched", "dce")]
    if "weighted" in names and "batch" in names[: names.index("weighted")]:
        return names[-1] == "weighted" and names.count("weighted") == 1
    return True


def normal(tree):
    """Return a tree that compares: rounded numbers, zeros by value, and one zero for a batch of nothing else."""
    if isinstance(tree, list) and tree:
        entries = [normal(entry) for entry in tree]
        return entries[0] if all(not e and e == entries[0] for e in entries) else entries
    if isinstance(tree, tuple):
        return tuple([normal(entry) for entry in tree])
    if isinstance(tree, dict):
        return {key: normal(entry) for key, entry in tree.items()}
    if isinstance(tree, Pair):
        return Pair(normal(tree.left), normal(tree.right))
    if is_zero(tree):
        return materialize(tree)
    return round(tree, 9) if type(tree) is float else tree


CHAINS = [c for n in (1, 2) for c in itertools.product(TRANSFORMS, repeat=n)]
LONG = [
    c
    for c in itertools.product(TRANSFORMS, repeat=3)
    if (c.count("sched") + c.count("dce") + c.count("weighted") < 2 and len({"push", "pull"} & {*c}) < 2)
    or c[1] == "batch"
]


def check_chain(program, chain):
    ir, variants = applied(program, chain)
    got = ir.call(*variants[0])
    assert normal(asyncio.run(ir.acall(*variants[0]))) == normal(got)
    if decided(chain):
        assert normal(got) == normal(expected(program, chain, variants[0]))


@pytest.mark.parametrize("program", CORPUS, ids=lambda p: p.name)
@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_chain_equals_its_oracle(program, chain):
    check_chain(program, chain)


@pytest.mark.parametrize("program", CORPUS, ids=lambda p: p.name)
@pytest.mark.parametrize("chain", LONG, ids="-".join)
def test_long_chain_equals_its_oracle(program, chain):
    check_chain(program, chain)


# ------------------------------------------------------------------------------------------- programs at random


class Plain:
    """What programs at random are written in, in plain Python: the oracle."""

    format = staticmethod(str.format)
    concat = staticmethod(lambda *parts: "".join(parts))
    match = staticmethod(lambda a, b: a == b)

    @staticmethod
    def switch(key, branches, *operands):
        return branches[key](*operands)

    @staticmethod
    def while_loop(cond, body, state, *, max_iters):
        for _ in range(max_iters):
            if not cond(state):
                break
            state = body(state)
        return state

    @staticmethod
    def program(fn, *examples):
        return fn


class Traced(Plain):
    """The same, traced."""

    format, concat, match = staticmethod(af.format), staticmethod(af.concat), staticmethod(af.match)
    switch, while_loop = staticmethod(af.switch), staticmethod(af.while_loop)

    @staticmethod
    def program(fn, *examples):
        return af.trace(fn)(*examples)


OPS = st.lists(
    st.tuples(
        st.sampled_from(["format", "concat", "match", "flow", "loop", "number", "join"]),
        st.integers(0, 50),
        st.integers(0, 50),
        st.text("ab{", max_size=2),
    ),
    min_size=1,
    max_size=8,
)


def at_random(lang, ops):
    """Return a function of two texts and a number, made of `ops`."""

    def grow(texts, numbers, op):
        kind, i, j, literal = op
        a, b, n = texts[i % len(texts)], texts[j % len(texts)], numbers[j % len(numbers)]
        if kind == "format":
            texts.append(lang.format("{}" + literal.replace("{", "{{") + "{k}", a, k=b))
        elif kind == "concat":
            texts.append(lang.concat(a, literal, b))
        elif kind == "match":
            branches = {
                True: lang.program(lambda x, y: lang.concat(x, "="), "", ""),
                False: lang.program(lambda x, y: lang.concat(y, literal), "", ""),
            }
            texts.append(lang.switch(lang.match(a, b), branches, a, b))
        elif kind == "flow":
            branches = {
                True: lang.program(lambda m: m * 2.0, 1.0),
                False: lang.program(lambda m: m - 1.5, 1.0),
            }
            numbers.append(lang.switch(n > 1.0, branches, n))
        elif kind == "loop":
            cond = lang.program(lambda s: s["n"] > 0.0, {"n": 1.0, "t": ""})
            body = lang.program(lambda s: {"n": s["n"] - 1.0, "t": lang.concat(s["t"], literal)}, {"n": 1.0, "t": ""})
            state = lang.while_loop(cond, body, {"n": n, "t": a}, max_iters=i % 4)
            texts.append(state["t"])
            numbers.append(state["n"])
        elif kind == "number":
            numbers.append(n * 0.5 + numbers[i % len(numbers)])
        else:
            texts.append(lang.format("{:.3f}|{}", n, a))

    def program(x, y, n):
        texts, numbers = [x, y], [n]
        for op in ops:
            grow(texts, numbers, op)
        return {"texts": texts[2:], "last": texts[-1], "number": numbers[-1]}

    return program


ROWS = st.lists(
    st.tuples(st.text("ab", max_size=2), st.text("ab", max_size=2), st.integers(-4, 8).map(lambda k: k / 2)),
    min_size=1,
    max_size=4,
)


@given(OPS, ROWS)
@settings(max_examples=60)
def test_programs_at_random_are_what_python_says(ops, rows):
    ir = af.trace(at_random(Traced, ops))("", "", 1.0)
    wanted = [at_random(Plain, ops)(*row) for row in rows]
    assert [ir.call(*row) for row in rows] == wanted
    columns = [list(c) for c in zip(*rows, strict=True)]
    batched = _outputs(ir.out_ir_tree, wanted)
    assert af.batch(ir).call(*columns) == batched
    assert asyncio.run(af.batch(ir).acall(*columns)) == batched
    assert af.sched(af.batch(af.dce(ir))).call(*columns) == batched
    assert af.weighted(ir).call(*rows[0]) == (wanted[0], 1.0)


@given(OPS, ROWS)
@settings(max_examples=40)
def test_derivatives_of_programs_at_random_are_the_same_in_a_batch_and_alone(ops, rows):
    # Words on a number that is formatted, and numbers on the same one elsewhere, do not add up: that is an error.
    ops = [op for op in ops if op[0] != "join"] or [("concat", 0, 1, "")]
    program = Program("random", af.trace(at_random(Traced, ops))("", "", 1.0), tuple((rows * 3)[:3]))
    for chain in (
        ("pull", "batch"),
        ("batch", "pull"),
        ("push", "batch"),
        ("batch", "push"),
        ("sched", "pull"),
        ("pull", "sched"),
    ):
        check_chain(program, chain)


ARITHMETIC = st.lists(
    st.tuples(st.sampled_from("+-*/n"), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=10
)


APPLY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b * 0.5,
    "n": lambda a, b: -a,
    "/": lambda a, b: a / (b * b + 1.0),
}


def arithmetic(ops, x, y):
    values = [x, y]
    for symbol, i, j in ops:
        values.append(APPLY[symbol](values[i % len(values)], values[j % len(values)]))
    return values[-1]


@given(ARITHMETIC, st.floats(-2, 2), st.floats(-2, 2))
@settings(max_examples=80)
def test_derivatives_of_arithmetic_at_random_are_those_of_complex_steps(ops, x, y):
    h = 1e-30
    by_x = arithmetic(ops, complex(x, h), complex(y)).imag / h
    by_y = arithmetic(ops, complex(x), complex(y, h)).imag / h
    ir = af.trace(lambda x, y: arithmetic(ops, x, y))(1.0, 1.0)
    out, tangent = af.pushforward(ir).call((x, y), (1.0, 2.0))
    again, (cx, cy) = materialize(af.pullback(ir).call((x, y), 1.0))
    assert out == again == arithmetic(ops, x, y)
    assert math.isclose(tangent, by_x + 2 * by_y, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(cx, by_x, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(cy, by_y, rel_tol=1e-9, abs_tol=1e-9)
