"""The file of a `CompileCache`: the tapes and settings of its functions, from which they are compiled again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from alkahest.base.block_file import damaged, read_blocks, write_blocks
from alkahest.compile.compiled import CompiledFn
from alkahest.compile.dispatch import CompileConfig
from alkahest.expr.tape import Instr, Tape

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
        except (KeyError, TypeError, ValueError, LookupError) as error:
            raise damaged(f"a function makes no sense ({type(error).__name__}: {error})", block.offset) from None
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
        Instr(str(op), tuple([int(a) for a in args]), tuple([(str(k), v) for k, v in params]))
        for op, args, params in content["instrs"]
    ]
    tape = Tape(
        tuple([str(n) for n in content["inputs"]]),
        tuple([float.fromhex(c) for c in content["consts"]]),
        tuple(instrs),
        tuple([int(o) for o in content["outputs"]]),
    )
    return tape, CompileConfig(**content["config"]), content["digest"]
