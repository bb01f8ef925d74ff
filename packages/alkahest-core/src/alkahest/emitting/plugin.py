"""What core's C emitter offers, said as any plugin says it; the entry point `c` of core's metadata names this module."""

from __future__ import annotations

from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import BackendInfo, Cost, EmitterInfo

ALKAHEST_API = 1


@hookimpl
def alkahest_emitters() -> list[EmitterInfo]:
    """Describe the text format "c"."""
    return [
        EmitterInfo(
            name="c",
            factory="alkahest.emitting.c:emit_c",
            description="C99 functions that need <math.h> alone",
        )
    ]


@hookimpl
def alkahest_backends() -> list[BackendInfo]:
    """Describe the tier `c`: the emitted text, compiled by the machine's C compiler."""
    return [
        BackendInfo(
            name="c",
            factory="alkahest.compile.c_backend:CBackend",
            targets=frozenset({"cpu"}),
            lowers="c",
            cost=Cost(setup=1, per_node=1, launch=1, per_op=1),
            install="a C compiler: apt install gcc, dnf install gcc, or xcode-select --install",
            dtypes=frozenset({"f64", "f32"}),
            automatic=False,
        )
    ]
