"""The store of generated code when something is wrong: damage, killed writers, full disks, strangers, many at once."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from alkahest.compile.code_store import CodeStore
from alkahest.errors import FileAccessError

ROOM = 1 << 20
posix = pytest.mark.skipif(os.name == "nt", reason="owners and modes of files are POSIX's")


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


# -- damage


def test_no_flipped_bit_goes_unnoticed(store):
    store.put("key", b"machine code")
    (path,) = files(store)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
            assert store.get("key") is None, (at, bit)
    assert store.info().damaged == 1
    store.put("key", b"machine code")
    assert store.get("key") == b"machine code"
    assert store.info().damaged == 0


def test_no_wrong_length_goes_unnoticed(store):
    store.put("key", b"machine code")
    (path,) = files(store)
    whole = path.read_bytes()
    for wrong in [*(whole[:n] for n in range(len(whole))), whole + b"\0", whole + whole]:
        path.write_bytes(wrong)
        assert store.get("key") is None, len(wrong)


def test_an_entry_under_the_name_of_another_is_not_taken_for_it(store):
    store.put("a", b"for a")
    (a,) = files(store)
    store.put("b", b"for b")
    (b,) = [f for f in files(store) if f != a]
    b.write_bytes(a.read_bytes())
    assert store.get("b") is None
    assert store.info().damaged == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_file_is_no_entry(store, tmp_path):
    store.put("a", b"1")
    (path,) = files(store)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert store.get("a") is None
    path.unlink()
    os.mkfifo(path)
    assert store.get("a") is None
    path.unlink()
    path.mkdir()
    assert store.get("a") is None
    store.put("a", b"1")
    assert store.get("a") is None
    assert f"{store.directory} cannot be written: {os.strerror(errno.EISDIR)}." in store.info().problems[0]


# -- writers that do not finish

_WRITER = """
import os, sys
from pathlib import Path
from alkahest.compile import code_store
from alkahest.compile.code_store import CodeStore
write = os.write
os.write = lambda handle, data: write(handle, data[:4096])
store = CodeStore(Path(sys.argv[1]), 1 << 26)
print("ready", flush=True)
k = 0
while True:
    store.put(f"key {k % 7}", f"data {k % 7} ".encode() * 100_000)
    k += 1
"""


def test_a_writer_that_is_killed_leaves_whole_entries_or_none(tmp_path):
    draw = random.Random(3)
    store = CodeStore(tmp_path / "code", 1 << 26)
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(store.directory)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 0.1))
            writer.kill()
        for k in range(7):
            assert store.get(f"key {k}") in (None, f"data {k} ".encode() * 100_000)
    assert store.info().damaged == 0
    store.put("key 0", b"new")
    assert store.get("key 0") == b"new"
    store.clear()
    assert files(store) == []


def test_what_an_unfinished_writer_left_goes_when_it_is_old(store):
    store.put("a", b"1")
    abandoned, fresh = [store.directory / f"{'0' * 64}.{k}.partial" for k in range(2)]
    for path in (abandoned, fresh):
        path.write_bytes(b"half")
    age(abandoned, 2 * 3600)
    store.put("large", bytes(ROOM // 16))
    assert not abandoned.exists()
    assert fresh.exists()
    assert store.info().entries == 2


# -- a disk that does not do as it should


@contextmanager
def failing(monkeypatch, code, after=0):
    """Let os.write fail after so many bytes."""
    write, written = os.write, 0

    def limited(handle, data):
        nonlocal written
        if written >= after:
            raise OSError(code, os.strerror(code))
        written += write(handle, data[: after - written])
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", limited)
        yield


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_costs_the_entry_and_nothing_else(store, monkeypatch, code):
    store.put("a", b"1")
    with failing(monkeypatch, code, after=10):
        store.put("a", b"2" * 100)
        store.put("b", b"3" * 100)
        assert (store.get("a"), store.get("b")) == (b"1", None)
        (problem, *others) = store.info().problems
    assert f"{store.directory} cannot be written: {os.strerror(code)}." in problem
    assert not others
    assert [f.suffix for f in files(store)] == [""]
    store.put("b", b"3")
    assert store.get("b") == b"3"
    assert store.info().problems == ()


def test_a_limit_of_the_kernel_on_what_may_be_written(tmp_path):
    resource = pytest.importorskip("resource")
    store = CodeStore(tmp_path / "code", ROOM)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        store.put("small", bytes(1000))
        store.put("large", bytes(10_000))
        problems = store.info().problems
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.get("small") == bytes(1000)
    assert store.get("large") is None
    assert len(files(store)) == 1
    assert os.strerror(errno.EFBIG) in problems[0]


@pytest.mark.parametrize("at", ["", "cache"])
def test_a_file_where_the_folder_should_be(tmp_path, at):
    (tmp_path / "in the way").write_text("mine")
    store = CodeStore(tmp_path / "in the way" / at, ROOM)
    store.put("a", b"1")
    assert store.get("a") is None
    assert "a file stands in its way" in store.info().problems[0]
    assert store.clear() == 0
    assert (tmp_path / "in the way").read_text() == "mine"


@contextmanager
def somebody():
    """Act as a user whom permissions bind: root is bound by none."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def everybodys():
    """A folder that any user can reach and write to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@posix
def test_a_folder_that_may_only_be_read_is_read(everybodys):
    with somebody():
        store = CodeStore(everybodys / "code", ROOM)
        store.put("a", b"1")
        age(files(store)[0], 3600)
        os.chmod(store.directory, 0o500)
        try:
            store.put("b", b"2")
            assert (store.get("a"), store.get("b")) == (b"1", None)
            assert f"{store.directory} cannot be written: {os.strerror(errno.EACCES)}." in store.info().problems[0]
            with pytest.raises(FileAccessError, match="cannot be removed") as raised:
                store.clear()
            assert raised.value.remedy
            assert CodeStore(store.directory, ROOM).get("a") == b"1"
        finally:
            os.chmod(store.directory, 0o700)


@posix
def test_a_folder_under_one_that_may_not_be_written(everybodys):
    with somebody():
        locked = everybodys / "locked"
        locked.mkdir(mode=0o500)
        store = CodeStore(locked / "code", ROOM)
        store.put("a", b"1")
        assert store.get("a") is None
        assert f"{store.directory} cannot be written: {os.strerror(errno.EACCES)}." in store.info().problems[0]


# -- who may have written it


@posix
def test_only_this_user_may_write(store):
    before = os.umask(0)
    try:
        store.put("a", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(files(store)[0].stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_not_used(store, mode):
    store.put("a", b"1")
    store.directory.chmod(mode)
    fresh = CodeStore(store.directory, ROOM)
    assert fresh.get("a") is None
    fresh.put("b", b"2")
    (problem,) = fresh.info().problems
    assert "others may write to it" in problem
    assert "chmod 700" in problem
    store.directory.chmod(0o700)
    assert len(files(store)) == 1
    assert CodeStore(store.directory, ROOM).get("a") == b"1"


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_is_not_used(store, mode):
    store.put("a", b"1")
    files(store)[0].chmod(mode)
    assert store.get("a") is None
    store.put("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can make files that are somebody else's")
@pytest.mark.parametrize("what", ["folder", "entry"])
def test_what_belongs_to_somebody_else_is_not_used(store, what):
    store.put("a", b"1")
    target = store.directory if what == "folder" else files(store)[0]
    os.chown(target, 65534, 65534)
    fresh = CodeStore(store.directory, ROOM)
    assert fresh.get("a") is None
    if what == "folder":
        assert "belongs to somebody else" in fresh.info().problems[0]


# -- many processes

_HAMMER = """
import random, sys
from pathlib import Path
from alkahest.compile.code_store import CodeStore
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(seed)
store = CodeStore(folder, 200_000)

def data(k):
    return random.Random(k).randbytes(1 + 997 * k % 20_000)

for step in range(600):
    k = draw.randrange(60)
    found = store.get(str(k))
    assert found in (None, data(k)), k
    if found is None:
        store.put(str(k), data(k))
    if seed == 0 and step % 100 == 99:
        store.clear()
assert store._failure == "", store._failure
print(store.hits, store.misses)
"""


def test_processes_that_read_write_and_clear_one_folder(tmp_path):
    folder = tmp_path / "code"
    hammers = [
        subprocess.Popen([sys.executable, "-c", _HAMMER, str(folder), str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    counts = [hammer.communicate(timeout=120)[0].split() for hammer in hammers]
    assert [hammer.returncode for hammer in hammers] == [0] * 4
    assert sum(int(hits) for hits, _ in counts) > 0
    store = CodeStore(folder, 200_000)
    # What one process put while another listed the folder may be over the bound, by an entry each.
    assert size(store) <= 200_000 + 4 * 20_000
    assert not [f for f in files(store) if f.suffix == ".partial"]
    assert store.info().damaged == 0


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals that stop a process")
def test_an_entry_that_is_being_written_is_not_seen(tmp_path):
    store = CodeStore(tmp_path / "code", 1 << 26)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(store.directory)], stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout.readline() == b"ready\n"
        until = time.monotonic() + 60
        while not (store.directory.is_dir() and any(f.suffix == ".partial" for f in files(store))):
            assert time.monotonic() < until
        writer.send_signal(signal.SIGSTOP)
        assert {store.get(f"key {k}") for k in range(7)} <= {None, *(f"data {k} ".encode() * 100_000 for k in range(7))}
        writer.kill()
