"""Work that makes many objects and no cycles, without the collector of cycles looking through them again and again."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    """Suspend the collector of cycles, in all threads; where it is off already, leave it off.

    Lists of some ten thousand instructions set it off several times, which takes as long as what is done with them.

    >>> import gc
    >>> with no_collection():
    ...     gc.isenabled()
    False
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
