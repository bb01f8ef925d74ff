"""For plugin authors: all that a backend, an emitter or a new primitive needs, and the only module to import from."""

from __future__ import annotations

from alkahest.base.prim import Prim as Prim
from alkahest.base.prim import arity_of as arity_of
from alkahest.base.prim import prim_by_name as prim_by_name
from alkahest.base.prim import prim_names as prim_names
from alkahest.base.rules import RuleTable as RuleTable
from alkahest.base.rules import impl_rules as impl_rules
from alkahest.base.rules import lowering_rules as lowering_rules
from alkahest.base.rules import partials_rules as partials_rules
from alkahest.base.trees import PYTREE_NAMESPACE as PYTREE_NAMESPACE
from alkahest.compile.columns import column_view as column_view
from alkahest.compile.columns import import_array as import_array
from alkahest.compile.dispatch import Candidate as Candidate
from alkahest.compile.dispatch import CompileConfig as CompileConfig
from alkahest.compile.dispatch import Features as Features
from alkahest.compile.protocols import Backend as Backend
from alkahest.compile.protocols import CompileOptions as CompileOptions
from alkahest.compile.protocols import DeviceKernel as DeviceKernel
from alkahest.compile.protocols import Kernel as Kernel
from alkahest.errors import AlkahestError as AlkahestError
from alkahest.errors import ArityError as ArityError
from alkahest.errors import BackendUnavailableError as BackendUnavailableError
from alkahest.errors import CompileError as CompileError
from alkahest.errors import ConfigError as ConfigError
from alkahest.errors import EmitError as EmitError
from alkahest.errors import IdentifierError as IdentifierError
from alkahest.errors import MissingPackageError as MissingPackageError
from alkahest.errors import MissingRuleError as MissingRuleError
from alkahest.expr.expression import Expr as Expr
from alkahest.expr.pool import ExprPool as ExprPool
from alkahest.expr.tape import Instr as Instr
from alkahest.expr.tape import Tape as Tape
from alkahest.expr.tape import linearize as linearize
from alkahest.plugins.hookspecs import hookimpl as hookimpl
from alkahest.plugins.infos import BackendInfo as BackendInfo
from alkahest.plugins.infos import Cost as Cost
from alkahest.plugins.infos import EmitterInfo as EmitterInfo
from alkahest.plugins.manager import load_lowerings as load_lowerings
from alkahest.prims import standard as standard
from alkahest.prims.scalar import Identity as Identity
from alkahest.prims.scalar import Scalar as Scalar
from alkahest.prims.scalar import apply as apply
from alkahest.prims.scalar import identity as identity
from alkahest.prims.scalar import literal as literal
from alkahest.prims.scalar import scalar_p as scalar_p
