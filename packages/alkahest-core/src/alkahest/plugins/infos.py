"""What a plugin describes: light, frozen, keyword-only; nothing here imports a compiler."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a tier costs, in seconds, as the auction sees it.

    `setup + per_node * nodes` once to compile, then `launch` a call and `per_op` per node and point.
    `alkahest calibrate` measures these on a machine.
    """

    setup: float
    per_node: float
    launch: float
    per_op: float


@dataclass(frozen=True, kw_only=True)
class BackendInfo:
    """One tier that may run a tape.

    `factory` is an import string "module:attr" of a callable without arguments that returns a `Backend`; it
    is loaded when dispatch first needs the tier. `targets` is where it runs: "cpu", "cuda", "xla", or a name
    of your own. `lowers` names the lowering table the tier reads, or is None where it reads none. `install`
    is the command that installs what it needs. `automatic=False` keeps a tier out of the auction unless it,
    or its target, is asked for.
    """

    name: str
    factory: str
    targets: frozenset[str]
    lowers: str | None = None
    cost: Cost
    install: str = ""
    dtypes: frozenset[str] = field(default_factory=lambda: frozenset({"f64"}))
    automatic: bool = True


@dataclass(frozen=True, kw_only=True)
class EmitterInfo:
    """One text format for `alkahest.emit(expr, inputs, format=name)`.

    `factory` is an import string "module:attr" of a function `emit(outputs, inputs, **options) -> str`.
    """

    name: str
    factory: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ExecutorInfo:
    """One way to have calls to language models answered.

    `factory` is an import string "module:attr" of a callable without arguments that returns a provider: an
    object with `completion(messages=, model=, response_format=)`, the last only where a schema is asked for, and
    an awaitable twin `acompletion`. It is loaded when a call is first routed to it. `models` are the patterns
    (as of `fnmatch`) of the model names that it answers where `lm_client` is given no routes: the longest
    pattern that matches a name wins, so claim a prefix of your own. `install` is the command that installs what
    it needs.
    """

    name: str
    factory: str
    models: tuple[str, ...] = ()
    description: str
    install: str = ""
