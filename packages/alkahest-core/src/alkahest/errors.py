"""Every error Alkahest raises on purpose: a sentence, what to do, a stable code.

Each class is also the built-in error a caller would expect, so `except ValueError` keeps working.
"""

from __future__ import annotations

from typing import Any


class AlkahestError(Exception):
    """Base of all errors raised on purpose.

    `str(error)` is "what happened  what to do  [code]"; the parts are the attributes `message`, `remedy` and `code`.
    """

    code = "E-ALKAHEST-000"

    def __init__(self, message: str, *, remedy: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        parts = [self.message, self.where, self.remedy, f"[{self.code}]"]
        return " ".join(p for p in parts if p)

    @property
    def position(self) -> int | None:
        """Offset in the text that was read, from 0, where the error is about one."""
        return self.details.get("position")

    @property
    def where(self) -> str:
        """The equation of a program that failed, its tags, and the item and input, where the error is about one."""
        return self.details.get("where", "")

    @property
    def partial(self) -> Any:
        """Where a batch failed: the outputs of the items that were done, by index."""
        return self.details.get("partial")

    @property
    def line(self) -> int | None:
        """Line in the text that was read, from 1, where the error is about one."""
        return self.details.get("line")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.remedy, self.details)


def _rebuild(cls: type[AlkahestError], message: str, remedy: str, details: dict[str, Any]) -> AlkahestError:
    return cls(message, remedy=remedy, **details)


class ArityError(AlkahestError, TypeError, ValueError):
    """A function was called with the wrong number of arguments."""

    code = "E-CALL-001"


class ArrayError(AlkahestError, ValueError):
    """An argument is no rectangular array of numbers."""

    code = "E-ARRAY-001"


class DtypeError(AlkahestError, TypeError):
    """An array holds a type that real formulas cannot take, complex numbers for one."""

    code = "E-ARRAY-002"


class ShapeError(AlkahestError, ValueError):
    """Arrays whose shapes do not broadcast, or a buffer of the wrong size."""

    code = "E-ARRAY-003"


class LiteralError(AlkahestError, ValueError):
    """A literal that is no number: nan or an infinity."""

    code = "E-NUM-001"


class NumberOverflowError(AlkahestError, OverflowError):
    """An exact number too large for a float."""

    code = "E-NUM-002"


class OperandError(AlkahestError, TypeError):
    """A value that has no place in an expression."""

    code = "E-EXPR-001"


class ControlFlowError(AlkahestError, TypeError):
    """Python control flow asked a symbolic value for its truth or size."""

    code = "E-EXPR-002"


class ComparisonError(AlkahestError, TypeError):
    """`==` between an expression and a number."""

    code = "E-EXPR-003"


class PoolMismatchError(AlkahestError, ValueError):
    """Expressions of two pools in one place."""

    code = "E-POOL-001"


class UnknownDomainError(AlkahestError, ValueError):
    """A symbol's domain that is none of the known ones."""

    code = "E-POOL-002"


class SymbolNameError(AlkahestError, ValueError):
    """A name that cannot name a symbol."""

    code = "E-POOL-003"


class UnknownSymbolError(AlkahestError, ValueError):
    """A symbol that has no value, is no input, or is not known."""

    code = "E-SYM-001"


class DuplicateInputError(AlkahestError, ValueError):
    """One symbol stands twice among the inputs."""

    code = "E-SYM-002"


class NotASymbolError(AlkahestError, TypeError):
    """An expression stands where a symbol is needed."""

    code = "E-SYM-003"


class UnknownFunctionError(AlkahestError, ValueError):
    """A function that no primitive implements."""

    code = "E-FUNC-001"


class MissingRuleError(AlkahestError, KeyError):
    """A primitive has no rule in the table that was asked."""

    code = "E-RULE-001"


class DuplicateRuleError(AlkahestError, ValueError):
    """A rule is set already and `replace=True` was not given."""

    code = "E-RULE-002"


class ParseError(AlkahestError, ValueError):
    """Text that is no formula. `position` (0-based offset) and `line` (1-based) say where."""

    code = "E-PARSE-001"


class FPCoreError(ParseError):
    """Text that is no FPCore of the supported subset."""

    code = "E-FPCORE-001"


class DataFileError(ParseError):
    """A data file that does not follow its published layout."""

    code = "E-DATA-001"


class FileFormatError(AlkahestError, ValueError):
    """A saved file that is damaged or of another kind. `offset` says where."""

    code = "E-IO-001"

    @property
    def offset(self) -> int | None:
        """Byte offset of the damage, where known."""
        return self.details.get("offset")


class FileAccessError(AlkahestError, OSError):
    """A file that cannot be written where it was asked for."""

    code = "E-IO-002"


class DifferentiationError(AlkahestError, TypeError, ValueError):
    """A derivative that does not exist or was asked with respect to a non-symbol."""

    code = "E-DIFF-001"


class IdentityError(AlkahestError, ValueError):
    """An identity whose two sides or conditions do not fit together."""

    code = "E-SIMP-001"


class AssumptionError(AlkahestError, ValueError):
    """What cannot be assumed, or contradicts what is assumed already."""

    code = "E-SIMP-002"


class StabilityError(AlkahestError, ValueError):
    """A formula that cannot be sampled: no domain, or no point of it where the formula has a value."""

    code = "E-SIMP-003"


class PolynomialError(AlkahestError, ValueError):
    """An expression that is no polynomial in the given symbol."""

    code = "E-POLY-001"


class DomainError(AlkahestError, ValueError):
    """An evaluation gave nan or an infinity."""

    code = "E-EVAL-001"


class TraceError(AlkahestError, TypeError, ValueError):
    """A Python function that cannot be traced, or returned what no expression can hold."""

    code = "E-TRACE-001"


class TracedValueError(ControlFlowError, TraceError):
    """Python asked a traced value of a program for its truth, text, size or entries."""

    code = "E-TRACE-002"


class LeakedValueError(TraceError):
    """A traced value is used outside the trace that made it."""

    code = "E-TRACE-003"


class TracedAttributeError(AlkahestError, AttributeError):
    """A traced value was asked for a method or attribute of the value it stands for."""

    code = "E-TRACE-004"


class TreeError(AlkahestError, ValueError, TypeError):
    """A structure of arguments that differs from the one expected."""

    code = "E-TREE-001"


class ContextError(AlkahestError, RuntimeError):
    """Something that needs an active context was used without one."""

    code = "E-CTX-001"


class ConfigError(AlkahestError, ValueError):
    """A compile setting that is unknown or out of range."""

    code = "E-CONFIG-001"


class CompileError(AlkahestError, RuntimeError):
    """A backend failed and no other could take its place."""

    code = "E-COMPILE-001"


class BackendUnavailableError(AlkahestError, RuntimeError):
    """The backend or target that was asked for cannot be used here."""

    code = "E-BACKEND-001"


class DuplicateBackendError(AlkahestError, RuntimeError):
    """Two plugins offer a backend, emitter or primitive of one name."""

    code = "E-PLUGIN-001"


class UnknownFormatError(AlkahestError, ValueError):
    """A text format that no emitter offers."""

    code = "E-EMIT-001"


class IdentifierError(AlkahestError, ValueError):
    """A name that is no free identifier of the target language."""

    code = "E-EMIT-002"


class EmitError(AlkahestError, ValueError):
    """An expression that the target language cannot say."""

    code = "E-EMIT-003"


class MissingPackageError(AlkahestError, ImportError):
    """An optional package is needed and not installed."""

    code = "E-DEP-001"


class FitError(AlkahestError, ValueError):
    """A fit that cannot be set up."""

    code = "E-FIT-001"


class OperandTypeError(AlkahestError, TypeError):
    """A program or primitive was given a value of the wrong type."""

    code = "E-PROG-001"


class StaticInputError(AlkahestError, ValueError):
    """A program was called with another value for an input that was fixed when it was traced."""

    code = "E-PROG-002"


class BranchError(AlkahestError, KeyError):
    """A `switch` was given a key that none of its branches has."""

    code = "E-PROG-003"


class LoopError(AlkahestError, ValueError, TypeError):
    """A `while_loop` without a bound, or whose parts do not fit together."""

    code = "E-PROG-004"


class FactorError(AlkahestError, ValueError, TypeError):
    """A weight that is no finite number of at least zero."""

    code = "E-PROG-005"


class ProgramError(AlkahestError, ValueError, RuntimeError):
    """A program that is not well formed: an undefined variable, one defined twice, types that do not fit."""

    code = "E-PROG-006"


class SerializationError(AlkahestError, ValueError, TypeError):
    """A program that cannot be saved or read back."""

    code = "E-PROG-007"


class MarkError(AlkahestError, ValueError, TypeError):
    """A tag, checkpoint key or injected value that cannot be used."""

    code = "E-PROG-008"


class RuleError(AlkahestError, TypeError, ValueError):
    """A rule returned what its table does not allow."""

    code = "E-RULE-003"


class ZeroError(AlkahestError, TypeError):
    """An abstract value without a zero, or without a way to add its cotangents."""

    code = "E-ZERO-001"


class BatchError(AlkahestError, ValueError, TypeError):
    """Inputs that are no batch: no items, uneven lengths, different containers."""

    code = "E-BATCH-001"


class SchemaError(AlkahestError, ValueError, TypeError):
    """A schema that cannot be built."""

    code = "E-SCHEMA-001"


class SchemaViolationError(AlkahestError, ValueError):
    """A model's answer that is no JSON or does not follow the schema; `path` in the text says where."""

    code = "E-SCHEMA-002"


class ClientError(AlkahestError, TypeError, ValueError):
    """Something that is no language-model client, or settings of one that make no sense."""

    code = "E-LM-001"


class ProviderError(AlkahestError, RuntimeError):
    """A provider of language models failed for good; the cause is chained."""

    code = "E-LM-002"


class ModelTimeoutError(ProviderError, TimeoutError):
    """A model did not answer in time."""

    code = "E-LM-003"


class BudgetError(AlkahestError, RuntimeError):
    """The next model call would exceed the budget."""

    code = "E-LM-004"


class UnknownModelError(ProviderError, LookupError):
    """No provider answers to the model's name."""

    code = "E-LM-005"


class MemoError(AlkahestError, OSError, TypeError):
    """A memo that cannot be kept where it was asked for."""

    code = "E-MEMO-001"
