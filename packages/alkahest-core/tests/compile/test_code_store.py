"""The store of generated code: what comes back is what was put, the bound holds, settings are heeded."""

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest import settings
from alkahest.compile import code_store as module
from alkahest.compile.code_store import DEFAULT_BYTES, CodeStore, code_store, default_directory

ROOM = 1 << 20


@pytest.fixture
def store(tmp_path):
    return CodeStore(tmp_path / "cache" / "code", ROOM)


def files(store):
    return sorted(store.directory.iterdir()) if store.directory.is_dir() else []


def size(store):
    return sum(f.stat().st_size for f in files(store))


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


# -- what is put comes back


@given(st.dictionaries(st.text(), st.binary(), max_size=5))
def test_what_is_put_comes_back_in_this_store_and_another(entries):
    with tempfile.TemporaryDirectory() as folder:
        first, second = CodeStore(Path(folder) / "code", ROOM), CodeStore(Path(folder) / "code", ROOM)
        for key, data in entries.items():
            assert first.get(key) is None
            first.put(key, b"older")
            first.put(key, data)
        assert {key: second.get(key) for key in entries} == entries
        assert second.get("another key") is None or "another key" in entries


def test_nothing_is_made_before_something_is_put(store):
    assert store.get("a") is None
    assert not store.directory.parent.exists()


def test_a_folder_that_is_removed_while_a_process_runs_is_made_again(store):
    store.put("a", b"1")
    files(store)[0].unlink()
    store.directory.rmdir()
    for _ in range(2):  # the first only finds out
        store.put("a", b"2")
    assert store.get("a") == b"2"
    assert store.info().problems == ()


def test_another_version_of_alkahest_finds_nothing(store, monkeypatch):
    store.put("a", b"1")
    monkeypatch.setattr(module, "__version__", "0.0.1")
    assert store.get("a") is None
    monkeypatch.undo()
    assert store.get("a") == b"1"


# -- the bound


def test_the_least_recently_used_go_first(store):
    for k in range(12):
        store.put(f"{k}", bytes([k]) * (ROOM // 16))
        for path in files(store):
            age(path, 600 + time.time() - path.stat().st_mtime)
    assert store.get("0") == bytes(ROOM // 16)  # used: older entries go before it
    for k in range(12, 18):
        store.put(f"{k}", bytes([k]) * (ROOM // 16))
    assert size(store) <= ROOM
    assert store.get("0") is not None
    assert store.get("1") is None
    assert store.get("17") is not None


def test_reading_writes_only_now_and_then(store, monkeypatch):
    store.put("a", b"1")
    (path,) = files(store)
    touched = []
    utime = os.utime
    monkeypatch.setattr(os, "utime", lambda *args: touched.append(args) or utime(*args))
    for _ in range(5):
        assert store.get("a") == b"1"
    assert not touched
    age(path, 3600)
    touched.clear()
    for _ in range(5):
        assert store.get("a") == b"1"
    assert len(touched) == 1


def test_the_bound_holds_without_listing_the_folder_at_every_entry(tmp_path, monkeypatch):
    limit, length = 400_000, 1000
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    # Each entry is put by a store of its own, as by a process that compiles one function.
    for k in range(1200):
        CodeStore(tmp_path / "code", limit).put(f"{k}", bytes(length))
    found = CodeStore(tmp_path / "code", limit)
    assert limit // 2 < size(found) < 1.25 * limit
    assert len(listed) < 200


def test_what_is_larger_than_the_bound_is_not_kept(store):
    store.put("large", bytes(ROOM))
    assert store.get("large") is None
    assert files(store) == []
    assert store.info().problems == ()


def test_a_bound_of_zero_keeps_nothing(tmp_path):
    store = CodeStore(tmp_path / "code", 0)
    store.put("a", b"1")
    assert store.get("a") is None
    assert not store.directory.exists()
    assert store.info().problems == ()


# -- looking at it and emptying it


def test_info_counts_and_clear_empties(store):
    for k in range(3):
        store.put(f"{k}", bytes(1000))
    foreign = store.directory / "notes.txt"
    foreign.write_text("mine")
    store.get("0")
    store.get("nothing")
    found = store.info()
    assert (found.entries, found.damaged, found.hits, found.misses, found.problems) == (3, 0, 1, 1, ())
    assert 3000 < found.bytes < 4000
    assert found.bytes == size(store) - 4
    assert store.clear() == 3
    assert store.clear() == 0
    assert store.get("0") is None
    assert files(store) == [foreign]


def test_looking_at_entries_does_not_count_as_using_them(store):
    store.put("a", b"1")
    (path,) = files(store)
    age(path, 3600)
    before = path.stat().st_mtime
    store.info()
    assert path.stat().st_mtime == before


# -- settings


@pytest.fixture
def no_settings(monkeypatch):
    for name in ("ALKAHEST_CACHE_DIR", "ALKAHEST_CACHE_BYTES", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_environment_says_where_and_how_much(no_settings, tmp_path):
    no_settings.setenv("ALKAHEST_CACHE_DIR", str(tmp_path))
    assert (code_store().directory, code_store().limit) == (tmp_path / "code", DEFAULT_BYTES)
    assert code_store() is code_store()
    no_settings.setenv("ALKAHEST_CACHE_BYTES", "12345")
    assert (code_store().directory, code_store().limit) == (tmp_path / "code", 12345)
    no_settings.setenv("ALKAHEST_CACHE_BYTES", "0")
    assert code_store().limit == 0
    assert settings.cache_bytes() == "0"


def test_a_size_beyond_all_disks_and_the_home_directory(no_settings, tmp_path):
    no_settings.setenv("HOME", str(tmp_path))
    no_settings.setenv("ALKAHEST_CACHE_DIR", "~/kept")
    no_settings.setenv("ALKAHEST_CACHE_BYTES", "9" * 5000)
    assert code_store().directory == tmp_path / "kept" / "code"
    code_store().put("a", b"1")
    assert code_store().get("a") == b"1"


@pytest.mark.parametrize("text", ["lots", "-1", "1e9", "1.5", "١٢x"])
def test_a_size_that_is_none_is_told_and_not_used(no_settings, tmp_path, text):
    no_settings.setenv("ALKAHEST_CACHE_DIR", str(tmp_path))
    no_settings.setenv("ALKAHEST_CACHE_BYTES", text)
    store = code_store()
    assert store.limit == DEFAULT_BYTES
    store.put("a", b"1")
    assert store.get("a") == b"1"
    assert f"ALKAHEST_CACHE_BYTES is {text!r}" in store.info().problems[0]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG specification's folders")
def test_the_usual_folder_is_the_specifications(no_settings, tmp_path):
    no_settings.setenv("HOME", str(tmp_path))
    assert default_directory() == tmp_path / ".cache" / "alkahest"
    no_settings.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_directory() == tmp_path / "x" / "alkahest"
    no_settings.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
    assert default_directory() == tmp_path / ".cache" / "alkahest"


def test_without_a_home_nothing_is_kept_and_it_is_told(no_settings):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    no_settings.setattr(Path, "home", nowhere)
    no_settings.setenv("LOCALAPPDATA", "")
    module._store.cache_clear()
    try:
        store = code_store()
    finally:
        module._store.cache_clear()
    store.put("a", b"1")
    assert store.get("a") is None
    assert (store.info().directory, store.info().entries, store.clear()) == ("", 0, 0)
    assert "No folder for generated code is known" in store.info().problems[0]
