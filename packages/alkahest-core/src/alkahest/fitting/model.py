"""From the text of a model to compiled residuals and Jacobian."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import alkahest.prims.standard  # noqa: F401  # pyright: ignore[reportUnusedImport] - declares core's primitives
from alkahest.compile.dispatch import CompileConfig
from alkahest.compile.gradients import grad
from alkahest.compile.tracing import TracedFn, trace_fn
from alkahest.errors import AlkahestError
from alkahest.expr.expression import Expr
from alkahest.expr.parsing import parse
from alkahest.expr.pool import ExprPool
from alkahest.fitting.strd import StrdProblem, file_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What a fit evaluates, in multiples of the data: tells dispatch how much compiling may cost.
EVALUATIONS = 100

_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")
_ERROR_TERM = re.compile(r"\+\s*e\s*$")
_PLACE_IN_TEXT = re.compile(r" \((?:line \d+, )?column \d+\):.*", re.DOTALL)  # the parser's; ours is the file's
_STRAY_ERROR = re.compile(r"(?<![\w.])e(?!\w)")


@dataclass(frozen=True)
class _Text:
    """A piece of the file's text, each character with its place (line, column) there."""

    text: str
    places: tuple[tuple[int, int], ...]

    def __getitem__(self, part: slice) -> _Text:
        return _Text(self.text[part], self.places[part])

    def __add__(self, other: _Text) -> _Text:
        return _Text(self.text + other.text, self.places + other.places)

    def place(self, offset: int | None) -> tuple[int, int]:
        """Return line and column of a character; the end of the text counts as its last one."""
        at = 0 if offset is None else min(offset, len(self.places) - 1)
        return self.places[at]


@dataclass(frozen=True)
class _Formula:
    """A model as stated: definitions such as pi = 3.14, then left = right."""

    problem: StrdProblem
    definitions: tuple[tuple[str, _Text], ...]
    left: _Text
    right: _Text

    def expr(self, pool: ExprPool, side: _Text, values: Mapping[str, Expr]) -> Expr:
        """Return one side as an expression in `values`."""
        known = dict(values)
        for name, text in self.definitions:
            known[name] = self._parse(text, pool, known)
        return self._parse(side, pool, known)

    def _parse(self, text: _Text, pool: ExprPool, known: Mapping[str, Expr]) -> Expr:
        try:
            return parse(text.text, pool, symbols=dict(known))
        except AlkahestError as error:
            line, column = text.place(error.details.get("position"))
            what = _PLACE_IN_TEXT.sub("", error.message).rstrip(".")
            raise file_error(self.problem.path, f"{what}.", remedy=error.remedy, line=line, column=column) from None


class FitModel:
    """A problem's model as traced functions and their compiled forms; made by `build_model`.

    `residual` is model minus response, over parameters and then columns of the data; `jacobian` is its gradient by the
    parameters; `curve` is the model alone, and `response` what it models: the response, or the function of it that
    stands on the left of the model. `seconds` is what reading, differentiating and compiling took.
    """

    def __init__(
        self, problem: StrdProblem, residual: TracedFn, jacobian: TracedFn, curve: TracedFn, response: TracedFn
    ) -> None:
        self.problem = problem
        self.residual = residual
        self.jacobian = jacobian
        self.curve = curve
        self.response = response
        self.seconds = 0.0
        self._columns = list(problem.data)

    @property
    def tier(self) -> str:
        """The tiers that run residual and Jacobian, one name where they are the same."""
        tiers = dict.fromkeys([self.residual.compiled.tier, self.jacobian.compiled.tier])
        return " + ".join(tiers)

    def residuals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the residuals, of shape (observations,), for `values` of the parameters."""
        return self.residual.compiled.evaluate([*values.reshape(-1, 1), *self._columns])

    def derivatives(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return their derivatives by the parameters, of shape (observations, parameters)."""
        rows = self.jacobian.compiled.evaluate([*values.reshape(-1, 1), *self._columns])
        return rows.reshape(len(self.problem.parameters), -1).T

    def predict(self, values: Sequence[float], predictors: Sequence[Any]) -> NDArray[np.float64]:
        """Return the model's value for `values` of the parameters at columns of the predictors."""
        import numpy as np

        return np.asarray(self.curve(*values, *predictors), dtype=np.float64)

    def observed(self) -> NDArray[np.float64]:
        """Return what the model predicts, as observed: the response, or the stated function of it."""
        import numpy as np

        return np.asarray(self.response(self.problem.data[0]), dtype=np.float64)


def build_model(problem: StrdProblem, *, backend: str | None = None) -> FitModel:
    """Return the compiled residual and Jacobian of a problem's model, as its file states it.

    `backend` names a tier; without it dispatch picks one. Raises `DataFileError`, with line and column, where the model
    does not parse, uses unknown names, leaves a parameter out, or is not finite in the response.
    """
    began = time.perf_counter()
    formula = _formula(problem)
    pool = ExprPool()
    config = CompileConfig(
        expected_evals=EVALUATIONS * max(1, problem.data.shape[1]), backend=backend, fallback=backend is None
    )

    def side(text: _Text, names: Sequence[str]) -> Callable[..., Expr]:
        return lambda *values: formula.expr(pool, text, dict(zip(names, values, strict=True)))

    inputs = (*problem.parameters, *problem.predictors)
    response = _trace(side(formula.left, problem.columns[:1]), problem.columns[:1], pool)
    curve = _trace(side(formula.right, inputs), inputs, pool)
    _check_use(problem, formula, curve, response)
    names = (*problem.parameters, *problem.columns)
    by_name = {str(s.name): s for s in (*curve.symbols, *response.symbols)}
    residual = _trace(lambda *_: curve.expr - response.expr, names, pool).with_config(config)
    jacobian = grad(residual, wrt=[by_name[p] for p in problem.parameters]).with_config(config)
    model = FitModel(problem, residual, jacobian, curve, response)
    _check_response(model, formula)
    for function in (residual, jacobian):
        function.compiled.explain()  # compiled at first use
    model.seconds = time.perf_counter() - began
    return model


def _trace(fn: Callable[..., Expr], names: Sequence[str], pool: ExprPool) -> TracedFn:
    """Trace a function whose parameters are named as the file names them."""
    kind = inspect.Parameter.POSITIONAL_ONLY  # which may be called lambda
    fn.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # pyright: ignore[reportFunctionMemberAccess]
    return trace_fn(fn, pool)


def _formula(problem: StrdProblem) -> _Formula:
    """Return the model's equations: lines with '=' begin one, other lines continue it."""
    equations: list[tuple[_Text, _Text]] = []
    for line, text in problem.model_lines:
        piece = _Text(f"{text} ", tuple([(line, column) for column in range(1, len(text) + 2)]))
        at = _EQUALS.search(text)
        if at is not None and text[: at.start()].strip():
            right = piece[at.start() :]
            # A blank for '=': no side is ever empty, so that every mistake has a place.
            equations.append((piece[: at.start()], _Text(f" {right.text[1:]}", right.places)))
        elif equations:
            left, right = equations[-1]
            equations[-1] = (left, right + piece)
        else:
            raise file_error(
                problem.path,
                "the model does not begin with 'name ='.",
                remedy=f"Write '{problem.response} = …' or a function of {problem.response} on the left.",
                line=line,
            )
    *before, (left, right) = equations
    definitions = tuple([(_defined_name(problem, name), value) for name, value in before])
    return _Formula(problem, definitions, left, _without_error_term(problem, right))


def _without_error_term(problem: StrdProblem, right: _Text) -> _Text:
    if "e" in (*problem.parameters, *problem.columns):
        return right
    term = _ERROR_TERM.search(right.text)
    right = right if term is None else right[: term.start()]
    stray = _STRAY_ERROR.search(right.text)
    if stray is not None:
        line, column = right.place(stray.start())
        raise file_error(
            problem.path,
            "e is the error term and stands last, as '+ e'.",
            remedy="Write exp(x) for the exponential, and the error term as the last one.",
            line=line,
            column=column,
        )
    return right


def _defined_name(problem: StrdProblem, left: _Text) -> str:
    name = left.text.strip()
    line, _ = left.place(None)
    if name in (*problem.parameters, *problem.columns) or not name.isidentifier():
        raise file_error(
            problem.path,
            f"{name!r} cannot be defined here.",
            remedy="Define names that are neither parameters nor columns, as in 'pi = 3.14159'; the model comes last.",
            line=line,
        )
    return name


def _check_use(problem: StrdProblem, formula: _Formula, curve: TracedFn, response: TracedFn) -> None:
    used = {s.name for s in curve.expr.free_symbols}
    unused = [p for p in problem.parameters if p not in used]
    if unused:
        raise file_error(
            problem.path,
            f"the model does not depend on {', '.join(unused)}, which has starting values.",
            remedy="Use every parameter in the model, or leave it out of the table.",
            line=formula.right.place(None)[0],
        )
    if not response.expr.free_symbols:
        raise file_error(
            problem.path,
            f"the left side of the model does not depend on the response {problem.response}.",
            remedy=f"Write '{problem.response} = …' or a function of {problem.response} on the left.",
            line=formula.left.place(None)[0],
        )


def _check_response(model: FitModel, formula: _Formula) -> None:
    import numpy as np

    bad = np.flatnonzero(~np.isfinite(model.observed()))
    if bad.size:
        problem = model.problem
        raise file_error(
            problem.path,
            f"{formula.left.text.strip()} is not finite at {problem.response} = {problem.data[0][bad[0]]!r}.",
            remedy="Leave out observations for which the model has no value.",
            line=problem.first_data_line + int(bad[0]),
        )
