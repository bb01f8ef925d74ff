"""The primitives of core: importing this module declares them all, so that tapes and texts can name them."""

from __future__ import annotations

from alkahest.prims import arithmetic, comparison, elementary, special
from alkahest.prims import operators as operators  # operators on traced values

MODULES = (arithmetic, comparison, elementary, special)
