"""`alkahest cache`, and what `alkahest doctor` says of the cache."""

import errno
import json
import os

import pytest

from alkahest.compile.code_store import code_store
from alkahest.plugins import manager

pytest.importorskip("click", reason="needs the extra `cli`")
pytest.importorskip("rich", reason="needs the extra `cli`")

from click.testing import CliRunner

from alkahest.cli.app import app


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A cache of its own, and no plugins but core's."""
    monkeypatch.setenv("ALKAHEST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ALKAHEST_CACHE_BYTES", "1000000")
    monkeypatch.setenv("ALKAHEST_PLUGINS", "core")
    manager.reset_plugins()
    yield tmp_path / "cache" / "code"
    manager.reset_plugins()


def run(*arguments):
    return CliRunner().invoke(app, arguments, prog_name="alkahest")


def test_info_of_what_is_there(folder):
    for k in range(3):
        code_store().put(f"{k}", bytes(1000))
    next(folder.iterdir()).write_bytes(b"damaged")
    done = run("cache", "info", "--json")
    assert done.exit_code == 0
    found = json.loads(done.output)
    size = sum(f.stat().st_size for f in folder.iterdir())
    assert found == {
        "directory": str(folder),
        "limit": 1_000_000,
        "entries": 3,
        "bytes": size,
        "damaged": 1,
        "problems": [],
    }
    shown = run("cache", "info")
    assert shown.exit_code == 0
    assert str(folder) in shown.output
    assert f"{size:,}" in shown.output
    assert "1,000,000 bytes" in shown.output


def test_info_of_a_cache_that_is_switched_off(monkeypatch, folder):
    monkeypatch.setenv("ALKAHEST_CACHE_BYTES", "0")
    done = run("cache", "info")
    assert done.exit_code == 0
    assert "switched off" in done.output
    assert not folder.exists()


def test_clear(folder):
    for k in range(3):
        code_store().put(f"{k}", b"code")
    assert run("cache", "clear").output == "3 entries removed.\n"
    assert list(folder.iterdir()) == []
    code_store().put("0", b"code")
    assert json.loads(run("cache", "clear", "--json").output) == {"removed": 1}
    assert run("cache", "clear").output == "0 entries removed.\n"


def test_clear_says_what_it_cannot_remove(monkeypatch, folder):
    code_store().put("0", b"code")
    (entry,) = folder.iterdir()

    def refuse(path, **_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        done = run("cache", "clear")
    assert done.exit_code == 2
    assert done.stderr == (
        f"alkahest: {entry} cannot be removed: {os.strerror(errno.EACCES)}.\n"
        "Check the permissions of that folder. [E-IO-002]\n"
    )


@pytest.fixture(params=["a file in the way", "a full disk", "a size that is none", "a folder for everybody"])
def fault(request, monkeypatch, folder):
    """One thing that is wrong, and what must be said of it."""
    if request.param == "a file in the way":
        folder.parent.write_text("mine")
        return f"{folder} cannot be written: a file stands in its way."
    if request.param == "a size that is none":
        monkeypatch.setenv("ALKAHEST_CACHE_BYTES", "much")
        return "ALKAHEST_CACHE_BYTES is 'much'"
    if request.param == "a folder for everybody":
        if os.name == "nt":
            pytest.skip("modes of files are POSIX's")
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return f"{folder} belongs to somebody else, or others may write to it"

    def full(handle, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    return f"{folder} cannot be written: {os.strerror(errno.ENOSPC)}."


def test_info_and_doctor_say_what_is_wrong(fault):
    done = run("cache", "info")
    assert done.exit_code == 1
    assert f"PROBLEM: {fault}" in done.output
    found = run("cache", "info", "--json")
    assert found.exit_code == 1
    (problem,) = json.loads(found.output)["problems"]
    assert problem.startswith(fault)
    checked = run("doctor", "--json")
    assert checked.exit_code == 1
    assert json.loads(checked.output)["problems"] == [f"code cache: {problem}"]


def test_doctor_shows_the_cache(monkeypatch, folder):
    code_store().put("0", b"code")
    size = next(folder.iterdir()).stat().st_size
    found = json.loads(run("doctor", "--json").output)
    assert found["settings"]["code cache"] == f"{folder}: 1 entry, {size} of 1,000,000 bytes"
    assert found["problems"] == []
    monkeypatch.setenv("ALKAHEST_CACHE_BYTES", "0")
    assert json.loads(run("doctor", "--json").output)["settings"]["code cache"] == "switched off"
