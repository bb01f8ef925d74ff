"""The file of a `CompileCache`: the tapes and settings of its functions, from which they are compiled again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from alkahest.base.block_file import Block, damaged, read_blocks, write_blocks
from alkahest.compile.compiled import CompiledFn
from alkahest.compile.dispatch import CompileConfig
from alkahest.errors import FileFormatError
from alkahest.expr.tape import Instr, Tape
from alkahest.expr.vocabulary import known_arity

KIND = "alkahest-cache"
FORMAT_VERSION = 1


def save_functions(path: Any, functions: Iterable[CompiledFn]) -> None:
    """Write the tapes and settings of `functions`, atomically."""
    write_blocks(path, KIND, FORMAT_VERSION, (_plain(f.tape, f.config) for f in functions))


def load_functions(path: Any) -> Iterator[tuple[Tape, CompileConfig]]:
    """Yield the tapes and settings of a file; a damaged one raises `FileFormatError` with the offset."""
    for block in read_blocks(path, KIND, FORMAT_VERSION, written_by="CompileCache.save"):
        try:
            tape, config, digest = _read(block.content)
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise damaged(f"a function makes no sense ({type(error).__name__}: {error})", block.offset) from None
        _check(tape, block)
        if tape.digest != digest:
            raise damaged("a function is not the one that was saved", block.offset)
        yield tape, config


def _plain(tape: Tape, config: CompileConfig) -> dict[str, Any]:
    return {
        "inputs": tape.inputs,
        "consts": [c.hex() for c in tape.consts],
        "instrs": tape.instrs,
        "outputs": tape.outputs,
        "digest": tape.digest,
        "config": asdict(config),
    }


def _read(content: Any) -> tuple[Tape, CompileConfig, str]:
    instrs = [
        Instr(_text(op), tuple([_slot(a) for a in args]), tuple([(_text(k), v) for k, v in params]))
        for op, args, params in content["instrs"]
    ]
    tape = Tape(
        tuple([_text(n) for n in content["inputs"]]),
        tuple([float.fromhex(c) for c in content["consts"]]),
        tuple(instrs),
        tuple([_slot(o) for o in content["outputs"]]),
    )
    return tape, CompileConfig(**content["config"]), content["digest"]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _slot(value: Any) -> int:
    if value.__class__ is not int:
        raise TypeError(f"{value!r} is no slot")
    return value


def _check(tape: Tape, block: Block) -> None:
    """Raise `FileFormatError` unless the tape can be run: backends trust what they are given."""
    own = len(tape.inputs) + len(tape.consts)
    for op, count in {(i.op, len(i.args)) for i in tape.instrs}:
        arity = known_arity(op)
        if arity is None:
            raise FileFormatError(
                f"this file uses the primitive {op!r}, which nothing installed declares (at byte {block.offset}).",
                remedy="Install the plugin that declares it, and name it in ALKAHEST_PLUGINS where that is set.",
                offset=block.offset,
            )
        if arity != count:
            raise damaged(f"a function gives {op} {count} argument(s), which takes {arity}", block.offset)
    for slot, instr in enumerate(tape.instrs, own):
        if not all(0 <= arg < slot for arg in instr.args):
            raise damaged(f"a function reads a slot before it is computed, in slot {slot}", block.offset)
    if not all(0 <= out < tape.n_slots for out in tape.outputs):
        raise damaged("a function returns a slot that it does not have", block.offset)
