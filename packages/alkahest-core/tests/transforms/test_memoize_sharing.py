"""memoize among threads and tasks: identical calls under way are one."""

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from alkahest.transforms.memory import memoize


def in_threads(n, call):
    contexts = [contextvars.copy_context() for _ in range(n)]
    with ThreadPoolExecutor(n) as pool:
        futures = [pool.submit(c.run, call) for c in contexts]
        return [f.exception() or f.result() for f in futures]


def test_threads_share_a_call_under_way(counted):
    barrier = threading.Barrier(8)
    f = counted(impl=lambda x: time.sleep(0.1) or x + "!")

    def call():
        barrier.wait()
        return f("a")

    with memoize() as memo:
        assert in_threads(8, call) == ["a!"] * 8
    assert f.calls == ["a"]
    assert (memo.hits, memo.misses) == (7, 1)


def test_threads_that_share_a_call_share_its_error(counted):
    barrier = threading.Barrier(4)

    def fail(x):
        time.sleep(0.05)
        raise RuntimeError("no")

    f = counted(impl=fail)

    def call():
        barrier.wait()
        return f("a")

    with memoize():
        errors = in_threads(4, call)
        assert [type(e) for e in errors] == [RuntimeError] * 4
        assert len(f.calls) == 1
        with pytest.raises(RuntimeError):
            f("a")
    assert len(f.calls) == 2


def test_an_interrupted_call_is_taken_over_by_a_waiter(counted):
    started = threading.Event()

    def slow(x):
        if len(f.calls) == 1:
            started.set()
            time.sleep(0.1)
            raise KeyboardInterrupt
        return "done"

    f = counted(impl=slow)
    with memoize():
        context = contextvars.copy_context()
        out = []

        def interrupted():
            with pytest.raises(KeyboardInterrupt):
                context.run(f, "a")

        first = threading.Thread(target=interrupted)
        first.start()
        started.wait(5)
        second = contextvars.copy_context()
        waiter = threading.Thread(target=lambda: out.append(second.run(f, "a")))
        waiter.start()
        first.join(5)
        waiter.join(5)
    assert out == ["done"]
    assert len(f.calls) == 2


def test_tasks_share_a_call_under_way(counted):
    async def slow(x):
        await asyncio.sleep(0.02)
        return x + "!"

    f = counted(aimpl=slow)

    async def main():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(20)])

    with memoize() as memo:
        assert asyncio.run(main()) == ["a!"] * 20
    assert f.calls == ["a"]
    assert (memo.hits, memo.misses) == (19, 1)


def test_tasks_that_share_a_call_share_its_error(counted):
    async def fail(x):
        await asyncio.sleep(0.01)
        raise RuntimeError("no")

    f = counted(aimpl=fail)

    async def main():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(3)], return_exceptions=True)

    with memoize():
        assert [type(e) for e in asyncio.run(main())] == [RuntimeError] * 3
        assert len(f.calls) == 1
        assert [type(e) for e in asyncio.run(main())] == [RuntimeError] * 3
        assert len(f.calls) == 2


@pytest.mark.parametrize("who", [0, 1])
def test_a_cancelled_caller_takes_nobody_along(counted, who):
    async def slow(x):
        await asyncio.sleep(0.05)
        return x + "!"

    f = counted(aimpl=slow)

    async def main():
        tasks = [asyncio.create_task(f.prim.abind("a")) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[who].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with memoize():
        out = asyncio.run(main())
        assert [type(o) for o in out] == [asyncio.CancelledError if k == who else str for k in range(3)]
        assert len(f.calls) == 1
        assert asyncio.run(main())[1 - who] == "a!"
    assert len(f.calls) == 1


def test_work_that_nobody_waits_for_any_more_is_given_up(counted):
    ended = []

    async def slow(x):
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(x)

    f = counted(aimpl=slow)

    async def main():
        tasks = [asyncio.create_task(f.prim.abind("a")) for _ in range(2)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ended == ["a"]
        f.aimpl = done
        return await f.prim.abind("a")

    async def done(x):
        return "again"

    with memoize():
        assert asyncio.run(main()) == "again"
    assert len(f.calls) == 2


def test_event_loops_in_threads_do_not_wait_for_each_other(counted):
    async def slow(x):
        await asyncio.sleep(0.05)
        return x + "!"

    f = counted(aimpl=slow)

    async def several():
        return await asyncio.gather(*[f.prim.abind("a") for _ in range(3)])

    with memoize():
        out = in_threads(3, lambda: asyncio.run(several()))
    assert out == [["a!"] * 3] * 3
    assert 1 <= len(f.calls) <= 3


def test_a_sync_call_in_an_event_loop_does_not_wait_for_a_task_of_it(counted):
    async def slow(x):
        await asyncio.sleep(0.05)
        return "async"

    f = counted(impl=lambda x: "sync", aimpl=slow)

    async def main():
        task = asyncio.create_task(f.prim.abind("a"))
        await asyncio.sleep(0.01)
        return f("a"), await task

    with memoize():
        assert asyncio.run(main())[0] == "sync"
    assert len(f.calls) == 2


def test_a_thread_and_a_loop_do_not_wait_for_each_other(counted):
    async def slow(x):
        await asyncio.sleep(0.05)
        return "out"

    f = counted(impl=lambda x: time.sleep(0.05) or "out", aimpl=slow)

    async def main():
        return await asyncio.gather(asyncio.to_thread(f, "a"), f.prim.abind("a"))

    with memoize():
        assert asyncio.run(main()) == ["out", "out"]
        assert f("a") == "out"
    assert len(f.calls) <= 2
