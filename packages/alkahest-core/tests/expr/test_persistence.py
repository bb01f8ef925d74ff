"""Pools in files, expressions in pickles."""

import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alkahest
from alkahest import ExprPool
from alkahest.base import prim as registry
from alkahest.errors import AlkahestError, FileAccessError, FileFormatError, UnknownFunctionError
from alkahest.expr.persistence import FORMAT_VERSION, pack_exprs, unpack_expr, unpack_exprs
from alkahest.expr.pool import live_pool
from alkahest.testing import strategies


def example():
    """A pool with a node of every kind."""
    pool = ExprPool()
    x, y = pool.symbol("x"), pool.symbol("λ*", domain="positive")
    numbers = [pool.integer(-(7**2000)), pool.rational(-22, 7), pool.float(-0.0), pool.float(0.1), pool.float(5e-324)]
    return pool, sum(numbers, start=alkahest.where(x < y, alkahest.sin(x) ** pool.pi, pool.e))


def contents(pool):
    return [pool.node(k) for k in range(len(pool))]


# -- files


def test_what_is_loaded_is_what_was_saved(tmp_path):
    pool, e = example()
    pool.save(tmp_path / "pool")
    back = ExprPool.load(tmp_path / "pool")
    assert contents(back) == contents(pool)
    assert [repr(n) for n in contents(back)] == [repr(n) for n in contents(pool)]  # -0.0 equals 0.0, not so its text
    assert back.node(e.id) == pool.node(e.id)
    assert back.find_symbol("x").id == pool.symbol("x").id
    assert back.symbol("x").id == pool.symbol("x").id
    assert back.symbol("new").id == len(pool)


@given(strategies.exprs())
def test_any_pool_is_kept(tmp_path_factory, e):
    path = tmp_path_factory.mktemp("any") / "pool"
    e.pool.save(path)
    assert contents(ExprPool.load(str(path))) == contents(e.pool)


def test_an_empty_pool_is_a_pool(tmp_path):
    ExprPool().save(tmp_path / "pool")
    assert len(ExprPool.load(tmp_path / "pool")) == 0


def test_the_uuid_is_kept_unless_that_pool_is_alive(tmp_path):
    pool, e = example()
    pool.save(tmp_path / "pool")
    uuid = pool.uuid
    beside = ExprPool.load(tmp_path / "pool")
    assert beside.uuid != uuid
    assert live_pool(uuid) is pool
    packed = pickle.dumps(e)
    del pool, e
    gc.collect()
    back = ExprPool.load(tmp_path / "pool")
    assert back.uuid == uuid
    assert pickle.loads(packed).pool is back


def test_another_process_reads_the_file(tmp_path):
    pool, e = example()
    pool.save(tmp_path / "pool")
    script = f"""
        import sys
        from alkahest import ExprPool
        from alkahest.expr.expression import Expr
        pool = ExprPool.load({str(tmp_path / "pool")!r})
        assert pool.uuid == {pool.uuid!r}
        assert ascii(Expr(pool, {e.id})) == {ascii(e)!r}
        assert not any(name in sys.modules for name in ("numpy", "optree", "llvmlite"))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def saved(tmp_path):
    pool, _ = example()
    path = tmp_path / "pool"
    pool.save(path)
    return path, path.read_bytes()


def refusal(path):
    with pytest.raises(FileFormatError) as caught:
        ExprPool.load(path)
    assert isinstance(caught.value.offset, int)
    assert str(caught.value.offset) in str(caught.value)
    return caught.value


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    path, raw = saved(tmp_path)
    for place in range(len(raw)):
        for bit in (0x01, 0x20, 0x80):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
            assert refusal(path).offset <= place


def test_a_file_cut_off_anywhere_is_noticed(tmp_path):
    path, raw = saved(tmp_path)
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        assert refusal(path).offset <= size


@pytest.mark.parametrize("tail", [b"\n", b"\0", b"alkahest-pool 1\n"])
def test_what_follows_the_end_is_noticed(tmp_path, tail):
    path, raw = saved(tmp_path)
    path.write_bytes(raw + tail)
    assert refusal(path).offset == len(raw)


def test_other_files_and_newer_ones_are_told_apart(tmp_path):
    path, raw = saved(tmp_path)
    path.write_bytes(b"PK\x03\x04 something else")
    assert "no alkahest-pool" in str(refusal(path))
    path.write_bytes(b"")
    assert "no alkahest-pool" in str(refusal(path))
    path.write_bytes(raw.replace(b"alkahest-pool 1", b"alkahest-pool 7", 1))
    error = refusal(path)
    assert f"formats up to {FORMAT_VERSION}" in str(error)
    assert "Update" in error.remedy
    with pytest.raises(FileNotFoundError):
        ExprPool.load(tmp_path / "nowhere")


def forged(*payloads):
    """A file with these blocks, whose checksums are right."""
    blocks = [p.encode() + b"\n" for p in payloads]
    return b"alkahest-pool 1\n" + b"".join(b"%08x %08x\n" % (len(b), zlib.crc32(b)) + b for b in blocks)


HEAD = '{"uuid":"u","nodes":%d}'


@pytest.mark.parametrize(
    "payloads",
    [
        ("null",),
        ("[]", "null"),
        ('{"uuid":"u"}', "null"),
        ('{"uuid":7,"nodes":0}', "null"),
        (HEAD % 1, "null"),
        (HEAD % 0, '[["symbol","x","real"]]', "null"),
        (HEAD % 1, '[["symbol","x","imaginary"]]', "null"),
        (HEAD % 1, '[["symbol",1,"real"]]', "null"),
        (HEAD % 1, '[["symbol","x"]]', "null"),
        (HEAD % 1, '[["integer",1]]', "null"),
        (HEAD % 1, '[["integer","xyz"]]', "null"),
        (HEAD % 1, '[["rational","2","4"]]', "null"),
        (HEAD % 1, '[["rational","2","0"]]', "null"),
        (HEAD % 1, '[["float","inf"]]', "null"),
        (HEAD % 1, '[["const","tau"]]', "null"),
        (HEAD % 1, '[["float","0x1p9999"]]', "null"),
        (HEAD % 1, '[["symbol","","real"]]', "null"),
        (HEAD % 1, '[["symbol","x y","real"]]', "null"),
        (HEAD % 1, '[["symbol","x`","real"]]', "null"),
        (HEAD % 1, '[["symbol","x",null]]', "null"),
        (HEAD % 1, "[[7]]", "null"),
        (HEAD % 1, '["sin"]', "null"),
        (HEAD % 1, "[" * 5000 + "]" * 5000, "null"),
        (HEAD % 1, '[["sin",0]]', "null"),
        (HEAD % 2, '[["symbol","x","real"],["sin",-1]]', "null"),
        (HEAD % 2, '[["symbol","x","real"],["sin",true]]', "null"),
        (HEAD % 2, '[["symbol","x","real"],["sin",0.0]]', "null"),
        (HEAD % 2, '[["symbol","x","real"],["sin",0,0]]', "null"),
        (HEAD % 2, '[["symbol","x","real"],["symbol","x","real"]]', "null"),
        (HEAD % 1, '[["symbol","x","real"]', "null"),
        (HEAD % 1, "[[]]", "null"),
        (HEAD % 1, "[7]", "null"),
        (HEAD % 1, '[["symbol","x","real"]]', "7"),
        (HEAD % 1, '[["symbol","x","real"]]'),
    ],
)
def test_nodes_that_make_no_sense_are_refused(tmp_path, payloads):
    path = tmp_path / "pool"
    path.write_bytes(forged(*payloads))
    refusal(path)


def test_a_primitive_that_nothing_declares_is_named(tmp_path):
    path = tmp_path / "pool"
    path.write_bytes(forged(HEAD % 2, '[["symbol","x","real"],["soft_plus",0]]', "null"))
    with pytest.raises(UnknownFunctionError, match="soft_plus") as caught:
        ExprPool.load(path)
    assert "plugin" in caught.value.remedy


def test_primitives_of_plugins_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_prims", dict(registry._prims))
    monkeypatch.setattr(registry, "_arity", dict(registry._arity))
    registry.register_prim(registry.Prim("soft_plus"), 1)
    pool = ExprPool()
    e = pool.apply("soft_plus", pool.symbol("x"))
    pool.save(tmp_path / "pool")
    assert ExprPool.load(tmp_path / "pool").node(e.id) == pool.node(e.id)


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path, raw = saved(tmp_path)
    pool, _ = example()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pool.save(path)
    assert path.read_bytes() == raw
    assert [p.name for p in tmp_path.iterdir()] == ["pool"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path, named in [
        (tmp_path / "missing" / "pool", f"{tmp_path / 'missing'} does not exist"),
        (tmp_path / "file" / "pool", f"{tmp_path / 'file'} is no folder"),
        (tmp_path, f"{tmp_path} is a folder"),
        ("", "names no file"),
    ]:
        with pytest.raises(FileAccessError) as caught:
            ExprPool().save(path)
        assert named in str(caught.value)
        assert "partial" not in str(caught.value)
        assert isinstance(caught.value, OSError)
        assert caught.value.code == "E-IO-002"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("enabled", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path, enabled):
    path, raw = saved(tmp_path)
    packed = pickle.dumps(example()[1])
    try:
        if not enabled:
            gc.disable()
        ExprPool.load(path)
        pickle.loads(packed)
        path.write_bytes(raw[:-1])
        refusal(path)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_saving_replaces_a_file(tmp_path):
    path, _ = saved(tmp_path)
    ExprPool().save(path)
    assert len(ExprPool.load(path)) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["pool"]


def test_saving_while_others_build(tmp_path):
    pool = ExprPool()
    x = pool.symbol("x")

    def build():
        e = x
        for _ in range(50_000):
            e = e + x

    thread = threading.Thread(target=build)
    thread.start()
    for k in range(5):
        pool.save(tmp_path / str(k))
    thread.join()
    for k in range(5):
        back = ExprPool.load(tmp_path / str(k))
        assert contents(back) == contents(pool)[: len(back)]


# -- pickles


@given(strategies.expr_lists())
def test_expressions_rejoin_their_pool(exprs):
    assert pickle.loads(pickle.dumps(exprs)) == exprs
    assert unpack_exprs(pack_exprs(exprs[0].pool, [e.id for e in exprs])) == exprs


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_without_their_pool_they_bring_what_they_need(protocol):
    pool, e = example()
    for k in range(100):
        pool.symbol(f"unused{k}")
    text, uuid, data = repr(e), pool.uuid, pickle.dumps([e, pool.symbol("x")], protocol)
    del pool, e
    gc.collect()
    assert live_pool(uuid) is None
    back, x = pickle.loads(data)
    assert back.pool is x.pool
    assert (repr(back), back.pool.uuid) == (text, uuid)
    assert back.node_count() == len(back.pool)
    assert pickle.loads(data)[0] == back


def test_the_empty_pool_of_a_uuid_is_found():
    pool = ExprPool()
    uuid, nodes, roots = pack_exprs(*(lambda e: (e.pool, [e.id]))(ExprPool().symbol("x")))
    assert unpack_expr((pool.uuid, nodes, roots)).pool is pool
    assert uuid != pool.uuid


def test_threads_unpack_into_one_pool():
    data = pickle.dumps(example()[1])
    gc.collect()
    barrier, found = threading.Barrier(8), []

    def load():
        barrier.wait()
        found.append(pickle.loads(data))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({id(e.pool) for e in found}) == 1
    assert len({e.id for e in found}) == 1


# -- size


@pytest.mark.parametrize("step", [lambda e, k: e * e + k, lambda e, k: alkahest.sin(e)])
def test_long_chains(tmp_path, step):
    pool = ExprPool()
    e = pool.symbol("x")
    for k in range(100_000):
        e = step(e, k)
    pool.save(tmp_path / "pool")
    assert contents(ExprPool.load(tmp_path / "pool")) == contents(pool)
    assert pickle.loads(pickle.dumps(e)) == e


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory, raw):
    path: Path = tmp_path_factory.mktemp("bytes") / "pool"
    for candidate in (raw, b"alkahest-pool 1\n" + raw):
        path.write_bytes(candidate)
        with pytest.raises(AlkahestError):
            ExprPool.load(path)
