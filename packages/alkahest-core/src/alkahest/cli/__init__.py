"""The command `alkahest`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("click", "rich")
INSTALL = 'pip install "./packages/alkahest-core[cli]"'


def main() -> None:
    """Run the command line; where its packages are missing, say how to install them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"alkahest: the command line needs {' and '.join(missing)}. Install it from the source tree: {INSTALL}\n"
        )
        raise SystemExit(2)
    try:
        from alkahest.cli.app import app

        app(prog_name="alkahest")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
