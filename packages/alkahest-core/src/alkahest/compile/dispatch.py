"""Dispatch as an auction, as a pure function: no probing, no clock, no globals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alkahest.compile.protocols import CompileOptions
from alkahest.errors import ConfigError
from alkahest.expr.tape import Tape
from alkahest.plugins.infos import Cost

LAST_RESORT = "interpreter"


@dataclass(frozen=True, kw_only=True)
class CompileConfig:
    """How to compile.

    `expected_evals` is the number of points that will be evaluated in all; None means one. `target` is where to run,
    "cpu", "cuda", "xla"; None is where the data lives, the host. `backend` names a tier. `fallback=False` forbids
    another tier than the one asked for. `dtype` is "f64" or "f32"; `contract` and `accuracy` as in `CompileOptions`.
    `adapt=True` lets a function that is called more often than expected move to a faster tier. `simplify=True` compiles
    what `simplify` makes of the expressions, `stable=True` what `stabilize` makes of each.

    Raises `ConfigError` for a value that a setting cannot have.

    >>> CompileConfig(expected_evals=1e6, backend="llvm", fallback=False).accuracy
    '1ulp'
    """

    expected_evals: float | None = None
    target: str | None = None
    backend: str | None = None
    fallback: bool = True
    dtype: str = "f64"
    contract: bool = True
    accuracy: str = "1ulp"
    adapt: bool = True
    simplify: bool = False
    stable: bool = False

    def __post_init__(self) -> None:
        evals = self.expected_evals
        if evals is not None and not (isinstance(evals, int | float) and evals > 0):
            raise ConfigError(
                f"expected_evals is {self.expected_evals!r}.",
                remedy="Give the number of points, above 0, or None.",
            )
        for name in ("fallback", "contract", "adapt", "simplify", "stable"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {getattr(self, name)!r}.", remedy="Give True or False.")
        self.options()

    def options(self) -> CompileOptions:
        """Return the part of the settings that backends see."""
        return CompileOptions(dtype=self.dtype, contract=self.contract, accuracy=self.accuracy)

    def with_evals(self, evals: float) -> CompileConfig:
        """Return the same settings with another `expected_evals`."""
        return replace(self, expected_evals=evals)


@dataclass(frozen=True)
class Features:
    """What the auction knows of a tape."""

    nodes: int
    inputs: int
    outputs: int
    ops: frozenset[str]

    @classmethod
    def of(cls, tape: Tape) -> Features:
        """Return the features of `tape`."""
        return cls(len(tape.instrs), len(tape.inputs), len(tape.outputs), tape.ops)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A tier's bid: what it serves, what it costs, and why it cannot run here, as far as that is known."""

    name: str
    targets: frozenset[str]
    cost: Cost
    dtypes: frozenset[str] = frozenset({"f64"})
    automatic: bool = True
    refusal: str = ""


@dataclass(frozen=True)
class Candidate:
    """A tier's place in the auction: usable or not, predicted seconds, and the reason."""

    name: str
    usable: bool
    seconds: float
    reason: str


def predicted_seconds(cost: Cost, features: Features, evals: float) -> float:
    """Return set-up + per node + one launch + per operation and point."""
    return cost.setup + cost.per_node * features.nodes + cost.launch + cost.per_op * features.nodes * evals


def plan(features: Features, config: CompileConfig, offers: Iterable[Offer]) -> tuple[Candidate, ...]:
    """Return all offers as candidates: usable ones first, by predicted seconds, then name; refused ones after.

    The tier asked for by name comes first. The interpreter competes where it is in question and else stays behind
    all others as the last resort.
    """
    evals = 1.0 if config.expected_evals is None else config.expected_evals
    ranked: list[tuple[tuple[bool, bool, bool, float, str], Candidate]] = []
    for offer in offers:
        seconds = predicted_seconds(offer.cost, features, evals)
        outside = _not_in_question(offer, config)
        last_resort = bool(outside) and offer.name == LAST_RESORT and config.fallback
        why = offer.refusal or ("" if last_resort else outside)
        reason = why or f"{seconds:.2e} s predicted for {evals:g} evaluation(s) of {features.nodes} operation(s)"
        candidate = Candidate(offer.name, not why, seconds, reason)
        ranked.append(((bool(why), offer.name != config.backend, last_resort, seconds, offer.name), candidate))
    return tuple([candidate for _, candidate in sorted(ranked, key=lambda r: r[0])])


def _not_in_question(offer: Offer, config: CompileConfig) -> str:
    if config.dtype not in offer.dtypes:
        return f"does not compute in {config.dtype}"
    if config.backend is not None:
        return "" if config.backend == offer.name else f"tier {config.backend!r} was asked for"
    if config.target is not None:
        return "" if config.target in offer.targets else f"does not serve target {config.target!r}"
    if "cpu" not in offer.targets:
        return f"runs only when target={min(offer.targets)!r} is asked for"
    return "" if offer.automatic else f"runs only when backend={offer.name!r} is asked for"
