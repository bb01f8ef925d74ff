"""Files of compiled functions: what is forged with right checksums is still refused."""

import json
import math
import zlib

import pytest

import alkahest
from alkahest import CompileCache, ExprPool
from alkahest.compile.cache_file import load_functions, save_functions
from alkahest.errors import FileFormatError
from alkahest.expr.tape import Instr, Tape


def entry(**changes):
    """One function as it stands in a file, with the digest that belongs to it."""
    content = {"inputs": ["x"], "consts": ["0x1p+0"], "instrs": [["add", [0, 1], []]], "outputs": [2], "config": {}}
    content.update(changes)
    try:
        instrs = tuple(Instr(op, tuple(args), tuple(params)) for op, args, params in content["instrs"])
        consts = tuple(map(float.fromhex, content["consts"]))
        digest = Tape(tuple(content["inputs"]), consts, instrs, tuple(content["outputs"])).digest
    except (TypeError, ValueError, ArithmeticError):
        digest = ""
    return {**content, "digest": digest}


def forged(path, content):
    blocks = [json.dumps(c).encode() + b"\n" for c in (content, None)]
    path.write_bytes(b"alkahest-cache 1\n" + b"".join(b"%08x %08x\n" % (len(b), zlib.crc32(b)) + b for b in blocks))
    return path


def test_a_sound_entry_is_read(tmp_path):
    ((tape, _),) = load_functions(forged(tmp_path / "cache", entry()))
    assert tape == Tape(("x",), (1.0,), (Instr("add", (0, 1)),), (2,))


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"instrs": [["add", [0, 2], []]]}, "before it is computed"),
        ({"instrs": [["add", [0, 3], []], ["neg", [2], []]]}, "before it is computed"),
        ({"instrs": [["add", [0, -1], []]]}, "before it is computed"),
        ({"instrs": [["add", [0, 10**9], []]]}, "before it is computed"),
        ({"instrs": [["add", [0, 1.0], []]]}, "no slot"),
        ({"instrs": [["add", [0, True], []]]}, "no slot"),
        ({"instrs": [["add", [0], []]]}, "takes 2"),
        ({"instrs": [["soft_plus", [0], []]]}, "soft_plus"),
        ({"instrs": [[7, [0], []]]}, "no text"),
        ({"instrs": [["add", [0, 1]]]}, "makes no sense"),
        ({"outputs": [3]}, "returns a slot"),
        ({"outputs": [-1]}, "returns a slot"),
        ({"outputs": ["0"]}, "no slot"),
        ({"inputs": [7]}, "no text"),
        ({"consts": ["0x1p9999"]}, "makes no sense"),
        ({"consts": [1.0]}, "makes no sense"),
        ({"config": {"dtype": "f16"}}, "makes no sense"),
        ({"config": {"colour": "red"}}, "makes no sense"),
    ],
)
def test_tapes_that_make_no_sense_are_refused(tmp_path, changes, hint):
    path = forged(tmp_path / "cache", entry(**changes))
    with pytest.raises(FileFormatError, match=hint) as caught:
        CompileCache.load(path)
    assert caught.value.offset == len(b"alkahest-cache 1\n")


@pytest.mark.parametrize("content", [[], 7, "x", {}])
def test_blocks_that_hold_no_function_are_refused(tmp_path, content):
    with pytest.raises(FileFormatError):
        CompileCache.load(forged(tmp_path / "cache", content))


def test_another_function_than_was_saved_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="not the one that was saved"):
        CompileCache.load(forged(tmp_path / "cache", {**entry(), "digest": "0" * 64}))


def test_constants_need_not_be_finite(tmp_path):
    ((tape, _),) = load_functions(forged(tmp_path / "cache", entry(consts=["nan", "-inf", "-0x0p+0"], outputs=[4])))
    assert math.isnan(tape.consts[0])
    assert tape.consts[1] == -math.inf
    assert math.copysign(1.0, tape.consts[2]) == -1.0


def test_what_is_saved_is_read(tmp_path):
    x, y = ExprPool().symbols("x y")
    f = CompileCache().compile([alkahest.sin(x) * y, x], [x, y])
    save_functions(tmp_path / "cache", [f])
    ((tape, config),) = load_functions(tmp_path / "cache")
    assert (tape, config) == (f.tape, f.config)
