"""Tables for the documentation: Markdown between two comments that name a section."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *[f"| {' | '.join(row)} |" for row in rows]])


def replace_section(path: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- name: begin -->` and `<!-- name: end -->` of a file, which must hold both."""
    old = path.read_text()
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        raise SystemExit(f"{path} has no section between {begin} and {end}.")
    path.write_text(pattern.sub(lambda _: f"{begin}\n{text.rstrip()}\n{end}", old, count=1))


def machine() -> str:
    """Return the processor and the Python version, as a reader of a table wants to know them."""
    from alkahest_llvm.targets import host_target

    found = re.search(r"model name\s*:\s*(.*)", _cpuinfo())
    name = found.group(1) if found else platform.processor() or platform.machine()
    return f"{name} (LLVM calls it {host_target().cpu}), Python {platform.python_version()}"


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
