"""A program made ready to run: its kernels loaded, its record filled in."""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

from alkahest_llvm.blocks.forms import Setting
from alkahest_llvm.blocks.kernels import kernel_set
from alkahest_llvm.blocks.machine import BLOCKS, CELLS, HALT
from alkahest_llvm.blocks.program import WORD, Program

# What a place holds: larger blocks were slower. All places together should stay in the second-level cache.
BLOCK_BYTES = 1024
_FRAME_BYTES = 2 << 20

_CACHE_LINE = 64


class Code(NamedTuple):
    """Machine code for one program: the address of the code and the context and memory that it wants to be called with.

    `keep` must live as long as the code is called.
    """

    address: int
    context: int
    frame_bytes: int
    keep: Any


def block_code(program: Program, setting: Setting) -> Code:
    """Return code over columns, in the signature of batch code with `setting.lanes` (see `loading.batch_entry`)."""
    block = _block_bytes(program.n_places, setting.group_bytes)
    tables = WORD * (program.n_places + program.n_columns + program.n_inputs)
    temporaries = -(-tables // _CACHE_LINE) * _CACHE_LINE
    inputs = temporaries + block * (program.n_places - program.n_columns)
    frame_bytes = inputs + block * program.n_inputs + _CACHE_LINE
    return _code(BLOCKS, program, setting, (block, temporaries, inputs), frame_bytes)


def _block_bytes(n_places: int, group_bytes: int) -> int:
    wanted = min(BLOCK_BYTES, _FRAME_BYTES // max(n_places, 1))
    return max(wanted // group_bytes, 1) * group_bytes


def cell_code(program: Program, setting: Setting) -> Code:
    """Return code over single numbers, in the signature of scalar code (see `loading.scalar_entry`).

    The setting must be one without blocks. The code takes eight bytes a place of its caller's stack.
    """
    return _code(CELLS, program, setting, (), 0)


def _code(entry: str, program: Program, setting: Setting, sizes: tuple[int, ...], frame_bytes: int) -> Code:
    kernels = kernel_set(setting)
    addresses = kernels.addresses(program.forms)
    table = array("q", [kernels.machine(HALT), *addresses])
    places = (program.n_inputs, program.n_columns, program.n_places)
    record = array("q", [program.words.buffer_info()[0], table.buffer_info()[0], *places, *sizes])
    keep = (program, kernels, table, record)
    return Code(kernels.machine(entry), record.buffer_info()[0], frame_bytes, keep)
