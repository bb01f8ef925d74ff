"""The batch driver and the array entry as one object: one module to compile, and one link for both."""

from __future__ import annotations

from alkahest_llvm.loading import engine
from alkahest_llvm.loading.array_text import ENTRY
from alkahest_llvm.loading.driver_text import driver_text
from alkahest_llvm.loading.python_functions import python_names
from alkahest_llvm.loading.units import Unit, kept, sources
from alkahest_llvm.targets import reads_cycles

DRIVE, ARRAYS, SHARE, LINGER = "alkahest_drive", "alkahest_arrays", "alkahest_share", "alkahest_linger"

MOST_ARRAYS = 32
MOST_COLUMNS = 128

# How often a thread looks for the end of others' parts: some ten microseconds, less than waking a thread takes.
_LOOKS = 20_000

# For how many cycles a helper's thread stays awake between two batches: a millisecond or two. To wake one from sleep
# takes a tenth of that on a virtual machine, which is much of a batch of a million points. Only an x86 processor lets
# programs read its counter of cycles; elsewhere helpers sleep.
_LINGER = 1 << 22
_PAUSE = "call void @llvm.x86.sse2.pause()"


def entries(real: str, streamed_bytes: int) -> Unit:
    """Return the code for columns of "double" or "float"; large outputs are those of batches of so many bytes."""

    def compile_now() -> Unit:
        # Their few instructions a call are as fast unoptimised, and are compiled several times faster.
        text = driver_text(real, streamed_bytes) + _array_text(real)
        code = engine.compile_object(text, level=0)
        return Unit(code, (DRIVE, ARRAYS, SHARE, LINGER), python=python_names(text))

    named = f"entries for {real}, streams from {streamed_bytes}"
    return kept(f"{named} machine {engine.machine()} sources {sources()}", compile_now)


def _array_text(real: str) -> str:
    lingers = reads_cycles()
    words = {
        "MOST_ARRAYS": str(MOST_ARRAYS),
        "MOST_COLUMNS": str(MOST_COLUMNS),
        "LOOKS": str(_LOOKS),
        "ROUND": "fptrunc" if real == "float" else "bitcast",
        "REAL": real,
        "LINGER": str(_LINGER),
        "PAUSE.DECLARED": f"declare {_PAUSE[5:]}" if lingers else "",
        "PAUSE": _PAUSE if lingers else "",
    }
    text = ENTRY
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text
