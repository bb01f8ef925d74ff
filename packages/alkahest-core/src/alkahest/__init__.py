"""Alkahest: write a Python function once; read it, transform it, run it wherever it is cheapest.

This module only lists names; each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alkahest.base.trees import PYTREE_NAMESPACE as PYTREE_NAMESPACE
    from alkahest.base.zero import Zero as Zero
    from alkahest.base.zero import feedback_format as feedback_format
    from alkahest.base.zero import materialize as materialize
    from alkahest.compile.cache import CompileCache as CompileCache
    from alkahest.compile.compiled import CompiledFn as CompiledFn
    from alkahest.compile.context import active_pool as active_pool
    from alkahest.compile.context import context as context
    from alkahest.compile.context import symbol as symbol
    from alkahest.compile.dispatch import CompileConfig as CompileConfig
    from alkahest.compile.functions import compile_expr as compile_expr
    from alkahest.compile.functions import eval_expr as eval_expr
    from alkahest.compile.functions import explain as explain
    from alkahest.compile.functions import flatten_exprs as flatten_exprs
    from alkahest.compile.functions import map_exprs as map_exprs
    from alkahest.compile.functions import numpy_eval as numpy_eval
    from alkahest.compile.functions import numpy_eval_par as numpy_eval_par
    from alkahest.compile.functions import unflatten_exprs as unflatten_exprs
    from alkahest.compile.gradients import GradTracedFn as GradTracedFn
    from alkahest.compile.gradients import grad as grad
    from alkahest.compile.gradients import hessian as hessian
    from alkahest.compile.gradients import jacobian as jacobian
    from alkahest.compile.gradients import value_and_grad as value_and_grad
    from alkahest.compile.tracing import TracedFn as TracedFn
    from alkahest.compile.tracing import jit as jit
    from alkahest.compile.tracing import trace as trace
    from alkahest.compile.tracing import trace_fn as trace_fn
    from alkahest.emitting.c import emit_c as emit_c
    from alkahest.emitting.formats import emit as emit
    from alkahest.errors import AlkahestError as AlkahestError
    from alkahest.errors import ArityError as ArityError
    from alkahest.errors import ArrayError as ArrayError
    from alkahest.errors import AssumptionError as AssumptionError
    from alkahest.errors import BackendUnavailableError as BackendUnavailableError
    from alkahest.errors import BatchError as BatchError
    from alkahest.errors import BranchError as BranchError
    from alkahest.errors import BudgetError as BudgetError
    from alkahest.errors import ClientError as ClientError
    from alkahest.errors import ComparisonError as ComparisonError
    from alkahest.errors import CompileError as CompileError
    from alkahest.errors import ConfigError as ConfigError
    from alkahest.errors import ContextError as ContextError
    from alkahest.errors import ControlFlowError as ControlFlowError
    from alkahest.errors import DataFileError as DataFileError
    from alkahest.errors import DifferentiationError as DifferentiationError
    from alkahest.errors import DomainError as DomainError
    from alkahest.errors import DtypeError as DtypeError
    from alkahest.errors import DuplicateBackendError as DuplicateBackendError
    from alkahest.errors import DuplicateInputError as DuplicateInputError
    from alkahest.errors import DuplicateRuleError as DuplicateRuleError
    from alkahest.errors import EmitError as EmitError
    from alkahest.errors import FactorError as FactorError
    from alkahest.errors import FileAccessError as FileAccessError
    from alkahest.errors import FileFormatError as FileFormatError
    from alkahest.errors import FitError as FitError
    from alkahest.errors import FPCoreError as FPCoreError
    from alkahest.errors import IdentifierError as IdentifierError
    from alkahest.errors import IdentityError as IdentityError
    from alkahest.errors import LeakedValueError as LeakedValueError
    from alkahest.errors import LiteralError as LiteralError
    from alkahest.errors import LoopError as LoopError
    from alkahest.errors import MarkError as MarkError
    from alkahest.errors import MemoError as MemoError
    from alkahest.errors import MissingPackageError as MissingPackageError
    from alkahest.errors import MissingRuleError as MissingRuleError
    from alkahest.errors import ModelTimeoutError as ModelTimeoutError
    from alkahest.errors import NotASymbolError as NotASymbolError
    from alkahest.errors import NumberOverflowError as NumberOverflowError
    from alkahest.errors import OperandError as OperandError
    from alkahest.errors import OperandTypeError as OperandTypeError
    from alkahest.errors import ParseError as ParseError
    from alkahest.errors import PolynomialError as PolynomialError
    from alkahest.errors import PoolMismatchError as PoolMismatchError
    from alkahest.errors import ProgramError as ProgramError
    from alkahest.errors import ProviderError as ProviderError
    from alkahest.errors import RuleError as RuleError
    from alkahest.errors import SchemaError as SchemaError
    from alkahest.errors import SchemaViolationError as SchemaViolationError
    from alkahest.errors import SerializationError as SerializationError
    from alkahest.errors import ShapeError as ShapeError
    from alkahest.errors import StabilityError as StabilityError
    from alkahest.errors import StaticInputError as StaticInputError
    from alkahest.errors import SymbolNameError as SymbolNameError
    from alkahest.errors import TracedAttributeError as TracedAttributeError
    from alkahest.errors import TracedValueError as TracedValueError
    from alkahest.errors import TraceError as TraceError
    from alkahest.errors import TreeError as TreeError
    from alkahest.errors import UnknownDomainError as UnknownDomainError
    from alkahest.errors import UnknownFormatError as UnknownFormatError
    from alkahest.errors import UnknownFunctionError as UnknownFunctionError
    from alkahest.errors import UnknownModelError as UnknownModelError
    from alkahest.errors import UnknownSymbolError as UnknownSymbolError
    from alkahest.errors import ZeroError as ZeroError
    from alkahest.expr.expression import Expr as Expr
    from alkahest.expr.fpcore import FPCore as FPCore
    from alkahest.expr.fpcore import FPCoreList as FPCoreList
    from alkahest.expr.fpcore import from_fpcore as from_fpcore
    from alkahest.expr.fpcore_writer import to_fpcore as to_fpcore
    from alkahest.expr.parsing import parse as parse
    from alkahest.expr.pool import ExprPool as ExprPool
    from alkahest.intervals.evaluation import interval_eval as interval_eval
    from alkahest.intervals.rendering import Shape as Shape
    from alkahest.intervals.rendering import inside as inside
    from alkahest.ir.ir import IR as IR
    from alkahest.machine.progress import progress as progress
    from alkahest.models.budgets import Budget as Budget
    from alkahest.models.client import lm_client as lm_client
    from alkahest.models.litellm_executor import litellm_provider as litellm_provider
    from alkahest.models.local import local_model as local_model
    from alkahest.models.usage import Usage as Usage
    from alkahest.prims.arithmetic import abs as abs
    from alkahest.prims.arithmetic import ceil as ceil
    from alkahest.prims.arithmetic import copysign as copysign
    from alkahest.prims.arithmetic import floor as floor
    from alkahest.prims.arithmetic import fma as fma
    from alkahest.prims.arithmetic import fmax as fmax
    from alkahest.prims.arithmetic import fmin as fmin
    from alkahest.prims.arithmetic import fmod as fmod
    from alkahest.prims.arithmetic import max as max
    from alkahest.prims.arithmetic import min as min
    from alkahest.prims.arithmetic import pow as pow
    from alkahest.prims.arithmetic import remainder as remainder
    from alkahest.prims.arithmetic import round as round
    from alkahest.prims.arithmetic import round_away as round_away
    from alkahest.prims.arithmetic import sign as sign
    from alkahest.prims.arithmetic import trunc as trunc
    from alkahest.prims.comparison import and_ as and_
    from alkahest.prims.comparison import eq as eq
    from alkahest.prims.comparison import ge as ge
    from alkahest.prims.comparison import gt as gt
    from alkahest.prims.comparison import le as le
    from alkahest.prims.comparison import lt as lt
    from alkahest.prims.comparison import ne as ne
    from alkahest.prims.comparison import not_ as not_
    from alkahest.prims.comparison import or_ as or_
    from alkahest.prims.comparison import piecewise as piecewise
    from alkahest.prims.comparison import where as where
    from alkahest.prims.control import stop_gradient as stop_gradient
    from alkahest.prims.control import switch as switch
    from alkahest.prims.control import while_loop as while_loop
    from alkahest.prims.elementary import acos as acos
    from alkahest.prims.elementary import acosh as acosh
    from alkahest.prims.elementary import asin as asin
    from alkahest.prims.elementary import asinh as asinh
    from alkahest.prims.elementary import atan as atan
    from alkahest.prims.elementary import atan2 as atan2
    from alkahest.prims.elementary import atanh as atanh
    from alkahest.prims.elementary import cbrt as cbrt
    from alkahest.prims.elementary import cos as cos
    from alkahest.prims.elementary import cosh as cosh
    from alkahest.prims.elementary import exp as exp
    from alkahest.prims.elementary import expm1 as expm1
    from alkahest.prims.elementary import hypot as hypot
    from alkahest.prims.elementary import log as log
    from alkahest.prims.elementary import log1p as log1p
    from alkahest.prims.elementary import log2 as log2
    from alkahest.prims.elementary import log10 as log10
    from alkahest.prims.elementary import sin as sin
    from alkahest.prims.elementary import sinh as sinh
    from alkahest.prims.elementary import sqrt as sqrt
    from alkahest.prims.elementary import tan as tan
    from alkahest.prims.elementary import tanh as tanh
    from alkahest.prims.marks import checkpoint as checkpoint
    from alkahest.prims.marks import factor as factor
    from alkahest.prims.model import lm_call as lm_call
    from alkahest.prims.model import lm_schema_call as lm_schema_call
    from alkahest.prims.ordering import depends as depends
    from alkahest.prims.schema import Doc as Doc
    from alkahest.prims.schema_nodes import Bool as Bool
    from alkahest.prims.schema_nodes import Enum as Enum
    from alkahest.prims.schema_nodes import Float as Float
    from alkahest.prims.schema_nodes import Int as Int
    from alkahest.prims.schema_nodes import Str as Str
    from alkahest.prims.special import digamma as digamma
    from alkahest.prims.special import erf as erf
    from alkahest.prims.special import erfc as erfc
    from alkahest.prims.special import gamma as gamma
    from alkahest.prims.special import lgamma as lgamma
    from alkahest.prims.special import polygamma as polygamma
    from alkahest.prims.text import concat as concat
    from alkahest.prims.text import format as format
    from alkahest.prims.text import match as match
    from alkahest.symbolic.derivation import Derivation as Derivation
    from alkahest.symbolic.derivation import Step as Step
    from alkahest.symbolic.derivative import diff as diff
    from alkahest.symbolic.egraph.costs import OpCost as OpCost
    from alkahest.symbolic.egraph.costs import SizeCost as SizeCost
    from alkahest.symbolic.facts.assumptions import assuming as assuming
    from alkahest.symbolic.polynomials.estrin import estrin as estrin
    from alkahest.symbolic.polynomials.horner import horner as horner
    from alkahest.symbolic.polynomials.series import series as series
    from alkahest.symbolic.rational.cancel import cancel as cancel
    from alkahest.symbolic.rational.collecting import collect_terms as collect_terms
    from alkahest.symbolic.rational.expand import expand as expand
    from alkahest.symbolic.rules.identity import Identity as Identity
    from alkahest.symbolic.simplification import simplify as simplify
    from alkahest.symbolic.simplification import simplify_log_exp as simplify_log_exp
    from alkahest.symbolic.simplification import simplify_trig as simplify_trig
    from alkahest.symbolic.stability.stabilize import StabilityCost as StabilityCost
    from alkahest.symbolic.stability.stabilize import Stabilized as Stabilized
    from alkahest.symbolic.stability.stabilize import stabilize as stabilize
    from alkahest.transforms.batching import batch as batch
    from alkahest.transforms.batching import return_exceptions as return_exceptions
    from alkahest.transforms.boundary import custom as custom
    from alkahest.transforms.forward import pushforward as pushforward
    from alkahest.transforms.intercept import collect as collect
    from alkahest.transforms.intercept import inject as inject
    from alkahest.transforms.memory import memoize as memoize
    from alkahest.transforms.pruning import dce as dce
    from alkahest.transforms.reverse import pullback as pullback
    from alkahest.transforms.scheduling import sched as sched
    from alkahest.transforms.tagging import fold as fold
    from alkahest.transforms.tagging import tag as tag
    from alkahest.transforms.weighting import weighted as weighted

__version__ = "0.1.0"

_MODULES = {
    "base.trees": "PYTREE_NAMESPACE",
    "base.zero": "Zero feedback_format materialize",
    "compile.cache": "CompileCache",
    "compile.compiled": "CompiledFn",
    "compile.context": "active_pool context symbol",
    "compile.dispatch": "CompileConfig",
    "compile.functions": (
        "compile_expr eval_expr explain flatten_exprs map_exprs numpy_eval numpy_eval_par unflatten_exprs"
    ),
    "compile.gradients": "GradTracedFn grad hessian jacobian value_and_grad",
    "compile.tracing": "TracedFn jit trace trace_fn",
    "emitting.c": "emit_c",
    "emitting.formats": "emit",
    "errors": (
        "AlkahestError ArityError ArrayError AssumptionError BackendUnavailableError BatchError BranchError "
        "BudgetError ClientError ComparisonError CompileError ConfigError ContextError ControlFlowError DataFileError "
        "DifferentiationError DomainError DtypeError DuplicateBackendError DuplicateInputError "
        "DuplicateRuleError EmitError FPCoreError FactorError FileAccessError FileFormatError FitError "
        "IdentifierError IdentityError LeakedValueError LiteralError LoopError MarkError MemoError MissingPackageError "
        "MissingRuleError ModelTimeoutError NotASymbolError NumberOverflowError OperandError OperandTypeError "
        "ParseError PolynomialError PoolMismatchError ProgramError ProviderError RuleError SchemaError "
        "SchemaViolationError SerializationError ShapeError StabilityError StaticInputError SymbolNameError "
        "TraceError TracedAttributeError TracedValueError TreeError UnknownDomainError UnknownFormatError "
        "UnknownFunctionError UnknownModelError UnknownSymbolError ZeroError"
    ),
    "expr.expression": "Expr",
    "expr.fpcore": "FPCore FPCoreList from_fpcore",
    "expr.fpcore_writer": "to_fpcore",
    "expr.parsing": "parse",
    "expr.pool": "ExprPool",
    "intervals.evaluation": "interval_eval",
    "intervals.rendering": "Shape inside",
    "ir.ir": "IR",
    "machine.progress": "progress",
    "models.budgets": "Budget",
    "models.client": "lm_client",
    "models.litellm_executor": "litellm_provider",
    "models.local": "local_model",
    "models.usage": "Usage",
    "prims.arithmetic": "abs ceil copysign floor fma fmax fmin fmod max min pow remainder round round_away sign trunc",
    "prims.comparison": "and_ eq ge gt le lt ne not_ or_ piecewise where",
    "prims.control": "stop_gradient switch while_loop",
    "prims.elementary": (
        "acos acosh asin asinh atan atan2 atanh cbrt cos cosh exp expm1 hypot log log10 log1p log2 sin sinh "
        "sqrt tan tanh"
    ),
    "prims.marks": "checkpoint factor",
    "prims.model": "lm_call lm_schema_call",
    "prims.ordering": "depends",
    "prims.schema": "Doc",
    "prims.schema_nodes": "Bool Enum Float Int Str",
    "prims.special": "digamma erf erfc gamma lgamma polygamma",
    "prims.text": "concat format match",
    "symbolic.derivation": "Derivation Step",
    "symbolic.derivative": "diff",
    "symbolic.egraph.costs": "OpCost SizeCost",
    "symbolic.facts.assumptions": "assuming",
    "symbolic.polynomials.estrin": "estrin",
    "symbolic.polynomials.horner": "horner",
    "symbolic.polynomials.series": "series",
    "symbolic.rational.cancel": "cancel",
    "symbolic.rational.collecting": "collect_terms",
    "symbolic.rational.expand": "expand",
    "symbolic.rules.identity": "Identity",
    "symbolic.simplification": "simplify simplify_log_exp simplify_trig",
    "symbolic.stability.stabilize": "StabilityCost Stabilized stabilize",
    "transforms.batching": "batch return_exceptions",
    "transforms.boundary": "custom",
    "transforms.forward": "pushforward",
    "transforms.intercept": "collect inject",
    "transforms.memory": "memoize",
    "transforms.pruning": "dce",
    "transforms.reverse": "pullback",
    "transforms.scheduling": "sched",
    "transforms.tagging": "fold tag",
    "transforms.weighting": "weighted",
}
_WHERE = {name: f"alkahest.{module}" for module, names in _MODULES.items() for name in names.split()}

# A star import must not shadow Python's own functions.
_SHADOWING = {"abs", "format", "max", "min", "pow", "round"}
__all__ = sorted(set(_WHERE) - _SHADOWING)  # noqa: PLE0605  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module 'alkahest' has no attribute {name!r}")
    importlib.import_module("alkahest.prims.standard")  # declares the primitives
    if where.startswith(("alkahest.transforms.", "alkahest.machine.")):
        importlib.import_module("alkahest.transforms.every")  # and what transforms do with each

    value = getattr(importlib.import_module(where), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
