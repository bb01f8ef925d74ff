"""A tier that every machine has and that does as it is told, for tests of dispatch, fallback and plugins."""

from __future__ import annotations

import types
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from alkahest.compile.driver import forget_backends
from alkahest.compile.interpreter import InterpreterBackend, InterpreterKernel
from alkahest.compile.protocols import CompileOptions
from alkahest.expr.tape import Tape
from alkahest.plugins.hookspecs import hookimpl
from alkahest.plugins.infos import BackendInfo, Cost
from alkahest.plugins.manager import plugins

FREE = Cost(setup=0.0, per_node=0.0, launch=0.0, per_op=0.0)
# Reached by the import strings "alkahest.testing.null_backend:factories.NAME".
factories = types.SimpleNamespace()


@dataclass
class NullBackend:
    """Unavailable, refusing or failing with the reasons given; else it computes as the interpreter does.

    `refused_ops` are primitives it cannot take. `tapes` are those it compiled.

    >>> NullBackend(missing="no such device").unavailable()
    'no such device'
    """

    missing: str = ""
    refused_ops: frozenset[str] = frozenset()
    failure: Exception | None = None
    tapes: list[Tape] = field(default_factory=list[Tape])

    def unavailable(self) -> str:
        """Return the reason given as `missing`."""
        return self.missing

    def refuses(self, tape: Tape) -> str:
        """Return which primitives of the tape are among those refused."""
        refused = sorted(tape.ops & self.refused_ops)
        return f"cannot lower {', '.join(refused)}" if refused else ""

    def compile(self, tape: Tape, options: CompileOptions) -> InterpreterKernel:
        """Return a kernel of the interpreter, or raise the failure given."""
        if self.failure is not None:
            raise self.failure
        self.tapes.append(tape)
        return InterpreterBackend().compile(tape, options)


@contextmanager
def null_tier(
    name: str = "null",
    backend: NullBackend | None = None,
    *,
    cost: Cost = FREE,
    targets: frozenset[str] = frozenset({"cpu"}),
    dtypes: frozenset[str] = frozenset({"f64"}),
    automatic: bool = True,
) -> Generator[NullBackend]:
    """Offer a tier in this process for the time of a `with` block; unless `cost` is given it costs nothing.

    >>> from alkahest import ExprPool, compile_expr
    >>> x = ExprPool().symbol("x")
    >>> with null_tier("free"):
    ...     compile_expr(x + 1, [x]).tier
    'free'
    """
    backend = backend or NullBackend()
    info = BackendInfo(
        name=name,
        factory=f"alkahest.testing.null_backend:factories.{name}",
        targets=targets,
        cost=cost,
        dtypes=dtypes,
        automatic=automatic,
    )
    setattr(factories, name, lambda: backend)
    plugin = _Plugin(info)
    forget_backends()
    plugins().register(plugin, f"null tier {name}")
    try:
        yield backend
    finally:
        plugins().unregister(f"null tier {name}")
        forget_backends()
        delattr(factories, name)


class _Plugin:
    ALKAHEST_API = 1

    def __init__(self, info: BackendInfo) -> None:
        self._info = info

    @hookimpl
    def alkahest_backends(self) -> list[BackendInfo]:
        return [self._info]
