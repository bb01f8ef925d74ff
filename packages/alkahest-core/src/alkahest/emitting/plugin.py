"""What core's C emitter offers, said as any plugin says it; the entry point `c` of core's metadata names it."""

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
            # Seconds with GCC 12 on an x86-64 virtual machine; `alkahest calibrate` measures them on yours.
            cost=Cost(setup=4e-2, per_node=1e-4, launch=5e-6, per_op=2e-9),
            install="a C compiler: apt install gcc, dnf install gcc, or xcode-select --install",
            dtypes=frozenset({"f64", "f32"}),
            automatic=False,
        )
    ]
