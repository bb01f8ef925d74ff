"""Object code on disk: a second process compiles nothing, and what is wrong with the disk spoils nothing else."""

import ctypes
import errno
import json
import os

import llvmlite
import numpy as np
import pytest

from alkahest.extend import CodeStore, CompileOptions, Instr, Tape, code_store, lowering_rules, prim_names, scalar_p
from alkahest.testing.corpus import op_domain, op_tape, sample
from alkahest.testing.suites import run
from alkahest_llvm import targets
from alkahest_llvm.backend import LLVMBackend
from alkahest_llvm.blocks import kernels
from alkahest_llvm.blocks.backend import LLVMFastBackend
from alkahest_llvm.emitting.lowering import missing_ops
from alkahest_llvm.loading import batch_entry, engine, library, units
from alkahest_llvm.loading.kernel import LLVMKernel
from alkahest_llvm.targets import Target

OPS = [op for op in prim_names() if not missing_ops(op_tape(op))]
# sin(x) * exp(y) + x / 3: kernels of the library, a constant, a multiply-add.
TAPE = Tape(
    ("x", "y"),
    (3.0,),
    (Instr("sin", (0,)), Instr("exp", (1,)), Instr("mul", (3, 4)), Instr("div", (0, 2)), Instr("add", (5, 6))),
    (7,),
)
POINT = [0.7, -1.3]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("ALKAHEST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ALKAHEST_CACHE_BYTES", str(64 << 20))
    return tmp_path / "cache" / "code"


@pytest.fixture
def new_process(monkeypatch):
    """Return a function that forgets what this process has loaded, as if it had just begun."""

    def forget():
        monkeypatch.setattr(library, "_loaded", {})
        monkeypatch.setattr(kernels, "_sets", {})
        batch_entry.drivers.clear()

    forget()
    yield forget
    batch_entry.drivers.clear()


@pytest.fixture
def compilations():
    """Return a function that tells how often was compiled since it was last asked."""
    seen = engine.compilations

    def count():
        nonlocal seen
        before, seen = seen, engine.compilations
        return seen - before

    return count


def call_style(tape=TAPE, options=None, level=0, style="call", width=4):
    return LLVMKernel(tape, options or CompileOptions(), level=level, style=style, width=width)


def values(kernel, *columns):
    columns = columns or ([0.7, -1.0, 2.5, 1e10, 0.0], [-1.3, 0.5, 1.0, 0.25, 0.0])
    arrays = [np.array(c) for c in columns]
    batch = run(kernel, arrays, len(arrays[0]))
    return np.array(batch).tobytes(), [
        kernel.scalar([float(a[k]) for a in arrays]).hex() for k in range(len(arrays[0]))
    ]


# -- found again


def test_what_was_compiled_is_loaded_with_the_same_bits(new_process, compilations):
    first = call_style()
    expected = values(first)
    assert first.origin == "compiled"
    assert compilations() >= 5  # the tape twice, sin, exp, the driver
    new_process()
    second = call_style()
    assert values(second) == expected
    assert second.origin == "loaded"
    assert compilations() == 0
    assert dict(second.artifacts) == dict(first.artifacts)


@pytest.mark.parametrize("backend", [LLVMBackend, LLVMFastBackend])
def test_a_new_process_compiles_nothing_and_links_once(backend, new_process, compilations, monkeypatch):
    x, y = np.linspace(-1, 1, 40), np.linspace(0, 3, 40)
    expected = backend().compile(TAPE, CompileOptions()).arrays.call(np.empty(40), x, y)
    assert compilations() > 0
    new_process()
    links, link = [], engine.link
    monkeypatch.setattr(engine, "link", lambda *parts: links.append(parts) or link(*parts))
    kernel = backend().compile(TAPE, CompileOptions())
    np.testing.assert_array_equal(run(kernel, [x, y], 40)[0], expected)
    np.testing.assert_array_equal(kernel.arrays.call(np.empty(40), x, y), expected)
    assert (compilations(), len(links)) == (0, 1)


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_loaded_with_the_same_bits(op, compilations):
    points = sample(op_domain(op), 20)
    columns = [np.array(c) for c in zip(*points, strict=True)]
    found = []
    for _ in range(2):
        kernel = LLVMBackend().compile(op_tape(op), CompileOptions())
        found.append((*values(kernel, *columns), kernel.artifacts["llvm-ir"]))
    assert found[0] == found[1]
    assert kernel.origin == "loaded"


def test_the_names_of_inputs_do_not_count_but_errors_have_the_right_ones():
    call_style().scalar([1.0, 2.0])
    renamed = call_style(Tape(("a", "b"), TAPE.consts, TAPE.instrs, TAPE.outputs))
    assert renamed.origin == "loaded"
    with pytest.raises(TypeError, match=r"takes 2 inputs \(a, b\)"):
        renamed.scalar([1.0])


def test_a_kernel_of_the_library_is_compiled_once_whoever_asks(new_process, compilations):
    library.addresses({("sin", 4), ("exp", 4)})
    assert compilations() > 0
    new_process()
    library.addresses({("exp", 4), ("sin", 4)})
    new_process()
    library.addresses({("sin", 4)})
    assert compilations() == 0


# -- kept apart


def test_whatever_the_code_depends_on_keeps_it_apart(compilations):
    assert call_style().origin == "compiled"
    variants = [
        {"options": CompileOptions(contract=False)},
        {"options": CompileOptions(accuracy="4ulp")},
        {"options": CompileOptions(dtype="f32")},
        {"level": 2},
        {"style": "inline"},
        {"style": 0},
        {"width": 8},
        {"tape": Tape(TAPE.inputs, (4.0,), TAPE.instrs, TAPE.outputs)},
        {"tape": Tape(TAPE.inputs, TAPE.consts, TAPE.instrs, (6,))},
        {"tape": Tape(("x", "y", "z"), TAPE.consts, TAPE.instrs, (6,))},
    ]
    assert [call_style(**v).origin for v in variants] == ["compiled"] * len(variants)
    assert [call_style(**v).origin for v in variants] == ["loaded"] * len(variants)
    single = call_style(options=CompileOptions(dtype="f32"))
    assert abs(single.scalar(POINT) - call_style().scalar(POINT)) > 0.0


def test_code_for_another_processor_is_not_loaded(monkeypatch):
    expected = values(call_style())
    lesser = Target("host", lanes=4)  # the baseline of the architecture
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(targets, "instead", lesser)
        elsewhere.setattr(library, "_loaded", {})
        there = call_style()
        assert there.origin == "compiled"
        assert values(there) == expected
        assert call_style().origin == "loaded"
    assert call_style().origin == "loaded"


@pytest.mark.parametrize("name", ["__version__", "llvm_version_info"])
def test_code_of_another_llvm_is_not_loaded(monkeypatch, name):
    call_style()
    monkeypatch.setattr(llvmlite if name == "__version__" else engine.prepare(), name, (99, 0, 0))
    engine._fingerprint.cache_clear()
    try:
        assert call_style().origin == "compiled"
    finally:
        monkeypatch.undo()
        engine._fingerprint.cache_clear()


def test_code_of_other_sources_is_not_loaded(monkeypatch, new_process, compilations):
    values(call_style())
    made = []
    for others in ("others", "others", "yet others"):
        for module in ("kernel", "library"):
            monkeypatch.setattr(f"alkahest_llvm.loading.{module}.sources", lambda others=others: others)
        new_process()
        compilations()
        values(call_style())
        made.append(compilations())
    assert made[0] == made[2] > 2
    assert made[1] == 0


def test_any_change_of_the_sources_is_seen(tmp_path):
    package = tmp_path / "package"
    (package / "deeper" / "__pycache__").mkdir(parents=True)
    sources = [package / "a.py", package / "deeper" / "b.py"]
    for path in sources:
        path.write_text("x = 1\n")
    seen = {tuple(sorted(units._source_files(package)))}
    (package / "deeper" / "__pycache__" / "b.py").write_text("compiled")
    (package / "notes.txt").write_text("no source")
    assert {tuple(sorted(units._source_files(package)))} == seen
    for path in sources:
        before = path.stat().st_mtime_ns
        path.write_text("x = 10\n")
        os.utime(path, ns=(before, before))
        seen.add(tuple(sorted(units._source_files(package))))
        os.utime(path, ns=(before, before + 1))
        seen.add(tuple(sorted(units._source_files(package))))
        path.write_text("x = 11\n")  # as long, and with the time that it had
        os.utime(path, ns=(before, before + 1))
        seen.add(tuple(sorted(units._source_files(package))))
    sources[1].rename(package / "deeper" / "c.py")
    seen.add(tuple(sorted(units._source_files(package))))
    sources[0].rename(package / "a.pyc")
    seen.add(tuple(sorted(units._source_files(package))))
    assert len(seen) == 9
    assert units.sources() == units.sources()


def test_an_archive_of_sources_is_seen_to_change(tmp_path):
    archive = tmp_path / "packages.zip"
    seen = set()
    for text in ("one", "two", "more"):
        archive.write_text(text)
        seen.add(tuple(units._source_files(archive / "alkahest_llvm")))
    assert len(seen) == 3
    assert () not in seen


def test_rules_of_others_are_not_taken_for_what_they_were(monkeypatch, compilations):
    """A third party's rule is in no source of this package: its code is kept by what it wrote."""
    mine = scalar_p("stored_third", impl=lambda x: x / 3, partials=lambda x, out: (1 / 3,), arity=1)
    tape = Tape(("x",), (), (Instr("stored_third", (0,)),), (1,))
    for divisor in (3.0, 4.0):
        lowering_rules("llvm").set(mine, lambda b, x, d=divisor: x / d, replace=True)
        kernel = LLVMBackend().compile(tape, CompileOptions())
        assert kernel.scalar([6.0]) == 6.0 / divisor
    compilations()
    kernel = LLVMBackend().compile(tape, CompileOptions())
    assert kernel.scalar([6.0]) == 1.5
    assert kernel.origin == "loaded"
    assert compilations() == 0


def test_a_replaced_rule_is_not_taken_for_ours(monkeypatch):
    assert call_style().origin == "compiled"
    expected = call_style().scalar(POINT)
    table = lowering_rules("llvm")
    monkeypatch.setattr(table, "_by_name", {**table._by_name, "div": lambda b, x, y: x / y + 1.0})
    assert call_style().scalar(POINT) == pytest.approx(expected + 1.0)
    # As what a rule of ours becomes may depend on others, no tape is found by what it is.
    plain = Tape(("x",), (), (Instr("neg", (0,)),), (1,))
    monkeypatch.setattr(units, "sources", lambda: pytest.fail("looked up by what the tape is"))
    monkeypatch.setattr("alkahest_llvm.loading.kernel.sources", units.sources)
    assert call_style(plain).scalar([2.0]) == -2.0


# -- damage


def entries(folder):
    return sorted(folder.iterdir())


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_damaged_entries_are_compiled_again(folder, new_process, compilations, part):
    expected = values(call_style())
    compiled = compilations()
    for path in entries(folder):
        content = bytearray(path.read_bytes())
        content[int(part * len(content))] ^= 0x10
        path.write_bytes(content)
    new_process()
    kernel = call_style()
    assert kernel.origin == "compiled"
    assert values(kernel) == expected
    assert compilations() == compiled
    new_process()
    assert values(call_style()) == expected
    assert compilations() == 0


@pytest.mark.parametrize(
    "stored", [b"", b"junk", b"{}\ncode", b'{"entry": 1, "imports": 2}\n', b"[]\n", b"\xff\n" * 99]
)
def test_what_is_no_code_never_reaches_the_linker(folder, new_process, monkeypatch, stored):
    expected = values(call_style())
    keys = []
    get = CodeStore.get
    with monkeypatch.context() as patch:
        patch.setattr(CodeStore, "get", lambda self, key: keys.append(key) or get(self, key))
        new_process()
        values(call_style())
    assert len(keys) >= 5
    for key in keys:
        code_store().put(key, stored)
        assert code_store().get(key) == stored
    new_process()
    kernel = call_style()
    assert kernel.origin == "compiled"
    assert values(kernel) == expected


def test_a_truncated_and_an_emptied_cache(folder, new_process):
    expected = values(call_style())
    for k, path in enumerate(entries(folder)):
        path.write_bytes(path.read_bytes()[: 37 * k])
    new_process()
    assert values(call_style()) == expected
    code_store().clear()
    new_process()
    assert values(call_style()) == expected


# -- no cache to be had


@pytest.mark.parametrize("fault", ["full disk", "file in the way", "no room", "switched off"])
def test_without_a_cache_code_works_all_the_same(fault, tmp_path, monkeypatch, new_process, folder):
    expected = values(call_style())
    code_store().clear()
    new_process()
    if fault == "full disk":
        monkeypatch.setattr(os, "write", _full)
    elif fault == "file in the way":
        (tmp_path / "file").write_text("mine")
        monkeypatch.setenv("ALKAHEST_CACHE_DIR", str(tmp_path / "file"))
    else:
        monkeypatch.setenv("ALKAHEST_CACHE_BYTES", "100" if fault == "no room" else "0")
    for _ in range(2):
        kernel = call_style()
        assert values(kernel) == expected
        assert kernel.origin == "compiled"
    assert entries(folder) == []
    problems = code_store().info().problems
    assert len(problems) == (1 if fault in ("full disk", "file in the way") else 0)


def _full(handle, data):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- the parts


def test_objects_that_call_each_other_are_loaded_together():
    one = engine.compile_text("define i64 @one() { ret i64 1 }", 0)
    two = engine.compile_text(
        "declare i64 @one()\ndefine i64 @f() { %x = call i64 @one() %y = add i64 %x, 1 ret i64 %y }", 0
    )
    code = engine.link([two.code, one.code], ["f"], {})
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(code["f"])() == 2


def test_text_is_compiled_once_for_each_level_and_processor(monkeypatch):
    def origins():
        return [engine.compile_text("define i64 @one() { ret i64 1 }", level).origin for level in (0, 2)]

    assert origins() == ["compiled"] * 2
    assert origins() == ["loaded"] * 2
    monkeypatch.setattr(targets, "instead", Target("host", lanes=4))
    assert origins() == ["compiled"] * 2
    assert origins() == ["loaded"] * 2


def test_units_come_back_as_they_were():
    unit = units.Unit(b'\x7fELF\n{"a"}\n\x00', ("f", "g"), ("h",), (("sin", 8), ("exp", 1)), ("Py_IncRef",), 640)
    assert units._decoded(units._encoded(unit)) == unit._replace(origin="loaded")
    assert json.loads(units._encoded(unit).split(b"\n")[0])["exports"] == ["f", "g"]
