"""What is measured of programs: the same work for this project and for a peer whose names are the same.

A case is a function of a library and of sizes. It returns `fresh`, which makes what a round needs, untimed, and `run`,
which is timed and returns what both sides must agree on, or None.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

Fresh = Callable[[], Any]
Run = Callable[[Any], Any]
Make = Callable[[Any, "Sizes"], tuple[Fresh, Run]]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    equations: int = 200
    items: tuple[int, ...] = (100, 300, 1000, 3000)
    large: int = 10_000  # equations for dce
    wide: int = 1000  # independent equations for sched, waiting items for the large batch
    waiting: int = 100  # model calls under way at once
    milliseconds: float = 20.0  # how long each takes
    nested: int = 12  # pushforwards around each other, for their text

    def shrunk(self, by: int) -> Sizes:
        """Return sizes for trying out whether all of it runs."""
        return replace(
            self,
            equations=max(self.equations // by, 2),
            items=tuple([max(n // by, 2) for n in self.items]),
            large=max(self.large // by, 10),
            wide=max(self.wide // by, 4),
            waiting=max(self.waiting // by, 4),
            milliseconds=self.milliseconds / by,
            nested=max(self.nested // by, 2),
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of the table."""

    name: str
    make: Make
    unit: str = "ms"
    per: Callable[[Sizes], float] = field(default=lambda _: 1.0)  # what the time is divided by
    wanted: float | None = None


CASES: list[Case] = []
LOOP: asyncio.Runner = asyncio.Runner()


def case(name: str, **fields: Any) -> Callable[[Make], Make]:
    """Add a function to the cases."""

    def add(make: Make) -> Make:
        CASES.append(Case(name=name, make=make, **fields))
        return make

    return add


def per_equation(name: str, wanted: float | None = None) -> Callable[[Make], Make]:
    """Add a function to the cases whose time is told per equation of the program."""
    return case(name, unit="us/eqn", per=lambda s: s.equations, wanted=wanted)


def run_async(coroutine: Any) -> Any:
    """Run on one event loop for all rounds, in the present context: a client's block counts."""
    return LOOP.run(coroutine, context=contextvars.copy_context())


def same(value: Any) -> Fresh:
    """Return a `fresh` that gives `value` in every round."""
    return lambda: value


def chain(lib: Any, n: int) -> Callable[[str], Any]:
    """Return a function of `n` equations in a row: a template and a joining, by turns."""

    def fn(x: str) -> Any:
        for k in range(n):
            x = lib.concat(x, "-") if k % 2 else lib.format("{}+", x)
        return x

    return fn


def traced(lib: Any, n: int) -> Any:
    """Return the program of `chain`."""
    return lib.trace(chain(lib, n))("x")


# ------------------------------------------------------------------------------------------------- run one by one


@per_equation("trace", wanted=12)
def _trace(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(chain(lib, s.equations)), lambda fn: len(lib.trace(fn)("x").ir_eqns)


@per_equation("call, first")
def _first_call(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return lambda: traced(lib, s.equations), lambda ir: ir.call("y")


@per_equation("call", wanted=4)
def _call(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(traced(lib, s.equations)), lambda ir: ir.call("y")


@per_equation("acall")
def _acall(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(traced(lib, s.equations)), lambda ir: run_async(ir.acall("y"))


@per_equation("plain Python")
def _plain(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    python = SimpleNamespace(concat=lambda *parts: "".join(parts), format=str.format)
    return same(chain(python, s.equations)), lambda fn: fn("y")


# ---------------------------------------------------------------------------------------------------- derivatives


@per_equation("pullback, first call", wanted=25)
def _pullback_first(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return lambda: traced(lib, s.equations), lambda ir: lib.pullback(ir).call(("y",), "shorter")


@per_equation("pullback, later calls", wanted=25)
def _pullback(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(lib.pullback(traced(lib, s.equations))), lambda ir: ir.call(("y",), "shorter")


@per_equation("pushforward, first call")
def _pushforward_first(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return lambda: traced(lib, s.equations), lambda ir: lib.pushforward(ir).call(("y",), ("dy",))


@per_equation("pushforward, later calls")
def _pushforward(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(lib.pushforward(traced(lib, s.equations))), lambda ir: ir.call(("y",), ("dy",))


def nested_pushforward(lib: Any, ir: Any, depth: int) -> Any:
    """Return `pushforward` applied `depth` times."""
    for _ in range(depth):
        ir = lib.pushforward(ir)
    return ir


def _pair(values: Any, depth: int) -> Any:
    for _ in range(depth):
        values = (values, values)
    return values


@case("pushforward 4 times, 4 equations, first call")
def _nested_first(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    args = _pair(("y",), 4)
    return lambda: nested_pushforward(lib, traced(lib, 4), 4), lambda ir: ir.call(*args)


@case("pushforward 4 times, 4 equations, later calls")
def _nested(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    args = _pair(("y",), 4)
    return same(nested_pushforward(lib, traced(lib, 4), 4)), lambda ir: ir.call(*args)


@case("text of nested pushforwards", unit="bytes")
def _text(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    ir = nested_pushforward(lib, traced(lib, 4), s.nested)
    return same(ir), lambda ir: len(repr(ir).encode())


# -------------------------------------------------------------------------------------------------------- batches

EQUATIONS = 10
MIDDLE = 2  # of `Sizes.items`, the batch that the target is about


def _batch(position: int) -> Make:
    def make(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
        items = [f"item {k}" for k in range(s.items[position])]
        return same(lib.batch(traced(lib, EQUATIONS))), lambda ir: ir.call(items)

    return make


for _k, _n in enumerate(Sizes().items):
    _wanted = 60.0 if _k == MIDDLE else None
    case(f"batch of {_n}, 10 equations", wanted=_wanted)(_batch(_k))
for _k, _n in enumerate(Sizes().items):
    case(f"batch of {_n}: an item's equation", unit="us", per=lambda s, k=_k: s.items[k] * EQUATIONS)(_batch(_k))


@case("batch of 1000, 10 equations, acall", wanted=60)
def _abatch(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(s.items[MIDDLE])]
    return same(lib.batch(traced(lib, EQUATIONS))), lambda ir: run_async(ir.acall(items))


@case("the same 1000 items by a loop over call")
def _loop(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(s.items[MIDDLE])]
    return same(traced(lib, EQUATIONS)), lambda ir: [ir.call(item) for item in items]


def _feedback(lib: Any, s: Sizes) -> tuple[Any, Run]:
    items = [f"item {k}" for k in range(s.items[0])]
    notes = [f"note {k}" for k in range(s.items[0])]
    return lib.batch(lib.pullback(traced(lib, 20))), lambda ir: ir.call((items,), notes)


@case("batch(pullback), 20 equations x 100 items, first call")
def _batch_pullback_first(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return lambda: _feedback(lib, s)[0], _feedback(lib, s)[1]


@case("batch(pullback), 20 equations x 100 items, later calls")
def _batch_pullback(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    ir, run = _feedback(lib, s)
    return same(ir), run


# -------------------------------------------------------------------------------------------------- whole programs


@case("dce of 10,000 equations, half of them dead", wanted=60)
def _dce(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    def fn(x: str) -> Any:
        for _ in range(s.large // 2):
            lib.format("{}", x)
            x = lib.concat(x, "-")
        return x

    return lambda: lib.trace(fn)("x"), lambda ir: len(lib.dce(ir).ir_eqns)


@case("sched of 1,000 independent equations")
def _sched(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    def fn(x: str) -> Any:
        return [lib.concat(x, "-") for _ in range(s.wide)]

    return lambda: lib.trace(fn)("x"), lambda ir: len(lib.sched(ir).ir_eqns)


# --------------------------------------------------------------------------------------------------- model calls


class Waiting:
    """A client whose answers take as many milliseconds as the name of the model says."""

    def completion(self, *, messages: Any, model: str, **_: Any) -> Any:
        """Answer after a while."""
        time.sleep(float(model) / 1000)
        return _answer(messages)

    async def acompletion(self, *, messages: Any, model: str, **_: Any) -> Any:
        """Answer after a while, others meanwhile."""
        await asyncio.sleep(float(model) / 1000)
        return _answer(messages)


class Immediate:
    """A client that answers at once."""

    def completion(self, *, messages: Any, model: str, **_: Any) -> Any:
        """Answer."""
        return _answer(messages)

    async def acompletion(self, *, messages: Any, model: str, **_: Any) -> Any:
        """Answer."""
        return _answer(messages)


def _answer(messages: Any) -> Any:
    message = SimpleNamespace(content=messages[-1]["content"] + "!", role="assistant")
    return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")], usage=None)


def ask(lib: Any, text: Any, milliseconds: float) -> Any:
    """Bind a model call that takes so long."""
    return lib.lm_call([{"role": "user", "content": text}], model=str(milliseconds))


def with_client(lib: Any, client: Any, run: Run) -> Run:
    """Return `run` inside the client's block, which is entered anew each time."""

    def inside(ir: Any) -> Any:
        with lib.lm_client(client):
            return run(ir)

    return inside


@case("format + lm_call, a client that answers at once", unit="us", per=lambda s: s.equations)
def _overhead(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    ir = lib.trace(lambda x: ask(lib, lib.format("hello {}", x), 0))("x")
    return same(ir), with_client(lib, Immediate(), lambda ir: [ir.call("y") for _ in range(s.equations)][-1])


def _many(lib: Any, s: Sizes) -> Any:
    return lib.trace(lambda x: [ask(lib, x, s.milliseconds) for _ in range(s.waiting)])("x")


def _one(lib: Any, s: Sizes) -> Any:
    return lib.trace(lambda x: ask(lib, x, s.milliseconds))("x")


@case("100 model calls of 20 ms, sched + acall", wanted=35)
def _sched_acall(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(lib.sched(_many(lib, s))), with_client(lib, Waiting(), lambda ir: run_async(ir.acall("y")))


@case("100 model calls of 20 ms, batch + acall", wanted=35)
def _batch_acall(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(s.waiting)]
    return same(lib.batch(_one(lib, s))), with_client(lib, Waiting(), lambda ir: run_async(ir.acall(items)))


@case("100 model calls of 20 ms, sched + call")
def _sched_call(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    return same(lib.sched(_many(lib, s))), with_client(lib, Waiting(), lambda ir: ir.call("y"))


@case("100 model calls of 20 ms, batch + call")
def _batch_call(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(s.waiting)]
    return same(lib.batch(_one(lib, s))), with_client(lib, Waiting(), lambda ir: ir.call(items))


@case("1,000 model calls of 20 ms, batch + acall")
def _large_batch(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(s.wide)]
    return same(lib.batch(_one(lib, s))), with_client(lib, Waiting(), lambda ir: run_async(ir.acall(items)))


@case("10 calls x 10 items of 20 ms, batch(sched) + acall", wanted=35)
def _batch_sched(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    items = [f"item {k}" for k in range(10)]
    ir = lib.trace(lambda x: [ask(lib, x, s.milliseconds) for _ in range(10)])("x")
    return same(lib.batch(lib.sched(ir))), with_client(lib, Waiting(), lambda ir: run_async(ir.acall(items)))


@case("branches of 20 + 80 and of 80 + 20 ms, sched + acall", wanted=110)
def _uneven(lib: Any, s: Sizes) -> tuple[Fresh, Run]:
    def fn(x: str) -> Any:
        left, right = x, x
        for a, b in ((1, 4), (4, 1)):
            left, right = ask(lib, left, a * s.milliseconds), ask(lib, right, b * s.milliseconds)
        return left, right

    return same(lib.sched(lib.trace(fn)("x"))), with_client(lib, Waiting(), lambda ir: run_async(ir.acall("y")))
