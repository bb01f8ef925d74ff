"""Twenty things that programs over text do better here: a test or two for each, as docs/compared.md lists them."""

import ast
import asyncio
import gc
import pickle
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

import alkahest as af
from alkahest.extend import FloatAVal, IntAVal, Prim, StrAVal, ir_digest, ir_from_json, ir_to_json, rules

PAGE = Path(__file__).parents[3] / "docs" / "compared.md"
SOURCE = Path(af.__file__).parent
WAIT = 60  # seconds after which something that should come is taken not to come


@pytest.fixture
def model():
    """Return `make(answers)`, an embedded model that answers to every name."""
    made = []

    def make(answers="ok"):
        found = af.local_model(f"compared-{len(made)}", answers)
        made.append(found)
        client = af.lm_client(found)
        client.__enter__()
        made.append(client)
        return found

    yield make
    for thing in reversed(made):
        thing.remove() if hasattr(thing, "remove") else thing.__exit__()


def ask(content, *more):
    return af.lm_call([{"role": "user", "content": c} for c in (content, *more)], model="any")


def both(x):
    """Two calls with a constant model, which do not need each other."""
    return ask(x + "a"), ask(x + "b")


def text_of(messages):
    return messages[-1]["content"]


def test_01_schedules_with_constants_go_through_every_transform(model):
    model(lambda messages: text_of(messages).upper())
    ir = af.trace(both)("")
    assert af.batch(af.sched(ir)).call(["x", "y"]) == af.batch(ir).call(["x", "y"]) == (["XA", "YA"], ["XB", "YB"])
    assert af.sched(af.batch(ir)).call(["x", "y"]) == af.batch(ir).call(["x", "y"])
    assert af.pushforward(af.sched(ir)).call(("x",), ("y",)) == af.pushforward(ir).call(("x",), ("y",))
    assert af.pullback(af.sched(ir)).call(("x",), ("f", "g")) == af.pullback(ir).call(("x",), ("f", "g"))


def test_02_cotangents_of_structures_add_up_leaf_by_leaf():
    inner = af.batch(af.trace(lambda x: x + "!")("a"))
    ir = af.trace(lambda x: (inner.call(x), inner.call(x)))(["a", "b"])
    _, (found,) = af.pullback(ir).call((["p", "q"],), (["h0", "h1"], ["g0", "g1"]))
    assert [set(text.split("\n")) for text in found] == [{"h0", "g0"}, {"h1", "g1"}]


def test_03_an_input_that_is_the_same_for_all_items_has_one_cotangent():
    ir = af.trace(lambda x, y: af.format("{}{}", x, y))("a", "b")
    _, (items, shared) = af.pullback(af.batch(ir, in_axes=(True, False))).call((["p", "q"], "y"), ["f", "g"])
    assert items == ["f", "g"]
    assert shared.split("\n") == ["f", "g"]


def test_04_loops_and_numbers_have_derivatives():
    below = af.trace(lambda x: x < 100.0)(1.0)
    square = af.trace(lambda x: x * x)(1.0)
    loop = af.trace(lambda x: af.while_loop(below, square, x, max_iters=9))(1.0)
    # 3 → 9 → 81 → 6561 = 3**8, whose derivative is 8 * 3**7.
    assert af.pushforward(loop).call((3.0,), (1.0,)) == (6561.0, 8 * 3.0**7)
    assert af.pullback(loop).call((3.0,), 1.0) == (6561.0, (8 * 3.0**7,))
    assert af.materialize((af.Zero(IntAVal()), af.Zero(FloatAVal()))) == (0, 0.0)
    count = af.trace(lambda n: af.format("{} items", n))(1)
    assert af.pushforward(count).call((2,), (0,)) == ("2 items", "0 items")
    assert af.pullback(count).call((2,), "too many") == ("2 items", (af.Zero(IntAVal()),))


async def awaits(x):
    return x


@pytest.mark.parametrize(
    ("fn", "names"),
    [
        (lambda x: 1 if x else 2, "switch"),
        (lambda x: f"{x}", "format"),
        (str, "format"),
        (len, "primitive of your own"),
        (list, "primitive of your own"),
        (lambda x: x.upper(), "primitive of your own"),
        (awaits, "acall"),
    ],
)
def test_05_what_python_cannot_record_is_refused(fn, names):
    with pytest.raises(af.AlkahestError, match=names):
        af.trace(fn)("a")


def test_05_comparisons_are_recorded_and_leaks_refused():
    assert af.trace(lambda x: x == "a")("b").call("a") is True
    leaked = []
    af.trace(leaked.append)("a")
    with pytest.raises(af.LeakedValueError):
        af.trace(lambda x: leaked[0] + x)("a")


def test_06_errors_are_classes_that_name_the_equation():
    broken = rules(Prim("compared_broken"), impl=lambda x: 1 / 0, abstract=lambda x: StrAVal(), register=False)
    calm = af.trace(lambda x: x)("a")

    def program(key, x):
        with af.tag("here"):
            return af.switch(key, {"calm": calm}, x)

    with pytest.raises(af.BranchError) as info:
        af.trace(program)("calm", "a").call("loud", "a")
    assert info.value.code == "E-PROG-003"
    assert info.value.remedy
    assert "switch" in info.value.where
    assert "'here'" in info.value.where
    assert Path(__file__).name in info.value.where
    with pytest.raises(ZeroDivisionError) as info:
        af.trace(broken.bind)("a").call("a")
    assert "compared_broken" in "".join(info.value.__notes__)


def test_06_no_assert_reports_a_users_mistake():
    folders = ("base", "ir", "machine", "models", "prims", "transforms")
    for path in (path for folder in folders for path in (SOURCE / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("ab", ["c"]), "a str is no batch"),
        ((["a"], ["b", "c"]), "1 items.* 2"),
        ((["a"], ("b",)), "different containers"),
        (([], []), "no items|without items|0 items"),
    ],
)
def test_07_batches_are_refused_for_what_is_wrong_with_them(args, says):
    ir = af.batch(af.trace(lambda x, y: x + y)("a", "b"))
    with pytest.raises(af.BatchError, match=says):
        ir.call(*args)


def test_08_no_call_is_made_that_nobody_needs(model):
    asked = model()
    ir = af.trace(lambda x: (ask(x), ask(x + "!"))[0])("")  # the second answer is unused
    zero = af.Zero(StrAVal())
    af.dce(ir).call("q")
    assert len(asked.requests) == 1
    for cotangent, calls in ((zero, 1), ("vague", 2)):
        asked.requests.clear()
        af.dce(af.pullback(ir)).call(("q",), cotangent)
        assert len(asked.requests) == calls
    # Forward, feedback, and each of the two once more in the direction of a tangent: nothing is computed twice.
    asked.requests.clear()
    af.pullback(af.pullback(af.trace(ask)(""))).call((("q",), "f"), ("c", ("d",)))
    contents = [text_of(messages) for messages in asked.requests]
    assert len(contents) == len(set(contents)) <= 4


def test_09_feedback_on_constants_is_not_asked_for(model):
    asked = model()
    ir = af.trace(lambda x: ask("You are brief.", x))("")
    assert af.pullback(ir).call(("q",), "vague") == ("ok", ("ok",))
    assert len(asked.requests) == 2


def test_10_identical_calls_under_way_share_one_and_disk_keeps_them(model, tmp_path):
    asked = model()
    ir = af.trace(ask)("")

    async def twice():
        with af.memoize():
            return await asyncio.gather(ir.acall("q"), ir.acall("q"))

    assert asyncio.run(twice()) == ["ok", "ok"]
    assert len(asked.requests) == 1
    for _ in range(2):
        with af.memoize(path=tmp_path / "kept"):
            ir.call("r")
    assert len(asked.requests) == 2


def test_11_concurrency_budget_and_usage(model):
    under_way, most = [], []
    lock = threading.Lock()

    def answer(messages):
        with lock:
            under_way.append(1)
            most.append(len(under_way))
        with lock:
            under_way.pop()
        return "ok"

    program = af.batch(af.trace(ask)(""))
    with af.lm_client(model(answer), max_concurrency=3, budget=af.Budget(calls=50)) as client:
        program.call([str(k) for k in range(50)])
        with pytest.raises(af.BudgetError):
            program.call(["one more"])
    assert max(most) <= 3
    assert client.usage.calls == 50
    assert client.usage.prompt_tokens > 0


def test_12_feedback_is_joined_readably_and_within_a_limit():
    ir = af.trace(lambda x: tuple(x + str(k) for k in range(10)))("a")
    long = tuple("b" * 200 for _ in range(10))
    _, (free,) = af.pullback(ir).call(("a",), long)
    assert free.split("\n") == list(long)
    with af.feedback_format(separator=" | ", limit=500):
        _, (short,) = af.pullback(ir).call(("a",), long)
    assert len(short) <= 520
    assert len(short.split(" | ")) == 10


def test_13_synchronous_calls_overlap_and_their_threads_see_the_client(model):
    together = threading.Barrier(4, timeout=WAIT)

    def answer(messages):
        together.wait()
        return threading.current_thread().name

    model(answer)  # a client of this context, which the threads of the batch ask
    assert len(set(af.batch(af.trace(ask)("")).call(list("abcd")))) == 4
    assert af.sched(af.trace(lambda x: tuple(ask(x + k) for k in "abcd"))("")).call("x")


def test_14_no_barriers_between_stages_or_items(model):
    asked = {name: threading.Event() for name in ("later", "other")}

    def answer(messages):
        text = text_of(messages)
        if text.startswith("first"):
            assert asked["later"].wait(WAIT), "a stage waits for its slowest member"
        if text.startswith("second"):
            asked["later"].set()
        return "second" if text.startswith("quick") else "done"

    model(answer)
    program = af.sched(af.trace(lambda x: (ask("first" + x), ask(ask("quick" + x))))(""))
    assert program.call("") == ("done", "done")
    # The same for the items of a batch: the one that is slow at its first call does not hold up the other's second.
    asked["later"].clear()
    chain = af.batch(af.trace(lambda x: ask(ask(x)))(""))
    assert chain.call(["first", "quick"]) == ["done", "done"]


def test_15_a_failure_stops_its_siblings_or_stands_alone(model):
    ended = []

    async def wait(key):
        if key == "bad":
            raise ValueError(key)
        try:
            await asyncio.sleep(WAIT)
        except asyncio.CancelledError:
            ended.append(key)
            raise

    wait_p = rules(
        Prim("compared_wait"), impl=lambda key: key, aimpl=wait, abstract=lambda key: StrAVal(), register=False
    )
    program = af.batch(af.trace(wait_p.bind)(""))
    with pytest.raises(ValueError, match="bad"):
        asyncio.run(program.acall(["slow", "bad"]))
    assert ended == ["slow"]
    calm = af.batch(af.trace(lambda key, x: af.switch(key, {"a": af.trace(lambda x: x + "!")("")}, x))("a", ""))
    with af.return_exceptions():
        out = calm.call(["a", "b"], ["x", "y"])
    assert out[0] == "x!"
    assert isinstance(out[1], af.BranchError)


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_16_a_pure_equation_is_one_call_per_batch(size):
    calls = []

    def batch_rule(in_tree):
        n, _flags, texts = in_tree
        calls.append(n)
        return [text + "." for text in texts], True

    dot_p = rules(
        Prim("compared_dot"), impl=lambda x: x + ".", abstract=lambda x: StrAVal(), batch=batch_rule, register=False
    )
    program = af.batch(af.trace(lambda x: dot_p.bind(dot_p.bind(x) + "!"))("a"))
    assert program.call([str(k) for k in range(size)]) == [f"{k}.!." for k in range(size)]
    assert calls == [size, size]


def test_17_what_is_worked_out_about_a_program_dies_with_it():
    def run():
        ir = af.trace(lambda x: x + "!")("a")
        af.batch(af.pullback(af.sched(ir))).call((["a"],), ["f"])
        af.weighted(af.pushforward(ir)).call(("a",), ("b",))
        return weakref.ref(ir)

    found = run()
    gc.collect()
    assert found() is None


def test_18_programs_are_saved_compared_and_sent_to_other_processes():
    ir = af.trace(lambda x: (ask(x), af.format("<{}>", x)))("a")
    for again in (pickle.loads(pickle.dumps(ir)), ir_from_json(ir_to_json(ir))):
        assert repr(again) == repr(ir)
        assert ir_digest(again) == ir_digest(ir)
    program = af.trace(lambda x: af.format("<{}>", x))("a")
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).call('b'))"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(program), capture_output=True, check=True)
    assert done.stdout.decode().strip() == "<b>"


def test_19_importing_loads_no_provider():
    code = "import alkahest, sys; print([m for m in ('litellm', 'openai', 'pydantic', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_20_nested_programs_are_printed_once():
    ir = af.trace(lambda x: x + "!")("a")
    for _ in range(12):
        ir = af.pushforward(ir)
    assert repr(ir).count("concat") == 1


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not here")
def test_the_page_lists_these_tests():
    listed = re.findall(r"`(test_\d\d\w+)`", PAGE.read_text(encoding="utf-8"))
    assert listed == sorted(name for name in globals() if re.match(r"test_\d\d", name))
