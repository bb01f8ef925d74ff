"""Settings read from the environment, in one place."""

from __future__ import annotations

import os


def plugin_allowlist() -> frozenset[str] | None:
    """Return the plugins named by `ALKAHEST_PLUGINS`: None for all, an empty set for none."""
    text = os.environ.get("ALKAHEST_PLUGINS")
    if text is None:
        return None
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def config_directory() -> str | None:
    """Return the folder of `ALKAHEST_CONFIG_DIR`, in which this user's settings are kept, or None for the usual one."""
    return os.environ.get("ALKAHEST_CONFIG_DIR") or None


def cache_directory() -> str | None:
    """Return the folder of `ALKAHEST_CACHE_DIR`, in which generated code is kept, or None for the usual one."""
    return os.environ.get("ALKAHEST_CACHE_DIR") or None


def cache_bytes() -> str | None:
    """Return the text of `ALKAHEST_CACHE_BYTES`, how much generated code is kept, or None where it is not set."""
    return os.environ.get("ALKAHEST_CACHE_BYTES") or None


def debug_level() -> int:
    """Return `ALKAHEST_DEBUG`: 0 silent, 1 dispatch, 2 tapes, 3 generated code as well."""
    text = os.environ.get("ALKAHEST_DEBUG", "0")
    return int(text) if text.isdigit() else 0


def dump_directory() -> str | None:
    """Return the directory of `ALKAHEST_DUMP`, in which tapes and generated code are written, or None."""
    return os.environ.get("ALKAHEST_DUMP") or None


def check_programs() -> bool:
    """Tell whether `ALKAHEST_CHECK` asks to verify each program that a transform makes."""
    return os.environ.get("ALKAHEST_CHECK", "0") not in ("", "0")


def kept_result_bytes() -> int:
    """Return `ALKAHEST_KEPT_RESULT_BYTES`: how much memory of released results may wait for later ones."""
    text = os.environ.get("ALKAHEST_KEPT_RESULT_BYTES", "")
    return int(text) if text.isdigit() else 256 << 20
