"""How the memo's store writes: text alone. What diskcache finds, it would unpickle, and so run what was put there."""

from __future__ import annotations

from typing import Any

import diskcache

from alkahest.errors import FileFormatError

Cache: Any = diskcache.Cache
Timeout: type[Exception] = diskcache.Timeout

_RAW = 1  # diskcache's mode of values that stand in the database as they are


class TextDisk(diskcache.Disk):
    """Keys and values are str, in the database itself."""

    def put(self, key: Any) -> Any:
        """Return the key as the database holds it."""
        return str(key), True

    def get(self, key: Any, raw: Any) -> str:
        """Return the key that the database holds."""
        return str(key)

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        """Return size, mode, file and value for the table."""
        return 0, _RAW, None, value  # 0: there is no file beside the database

    def fetch(self, mode: int, filename: Any, value: Any, read: bool) -> str:
        """Return the value that the table holds; anything but text raises `FileFormatError`."""
        if mode != _RAW or value.__class__ is not str:
            raise FileFormatError("an entry of the memo is no text.", remedy="It is left out, and made anew.")
        return value
