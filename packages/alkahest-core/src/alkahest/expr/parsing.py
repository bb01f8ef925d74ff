"""Reads formulas: operator precedence with stacks of its own, so that no depth of brackets is too deep.

The method is Dijkstra's shunting yard (E. W. Dijkstra, "Making a translator for ALGOL 60", MR 34/61, 1961).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from alkahest.errors import (
    AlkahestError,
    ArityError,
    OperandError,
    ParseError,
    UnknownFunctionError,
    UnknownSymbolError,
)
from alkahest.expr.lexing import Source, Token
from alkahest.expr.naming import Names, suggestion
from alkahest.expr.numerals import exact_decimal, int_value
from alkahest.expr.vocabulary import (
    AND,
    COMPARISON,
    COMPOSED,
    CONSTANT_NAMES,
    FOLDED,
    INFIX,
    KEYWORDS,
    LOGIC,
    NON_FINITE,
    NOT,
    PIECEWISE,
    POWER,
    SIGN,
    TRUTHS,
    call_names,
    known_arity,
    meaning,
)

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import ExprPool


def parse(
    text: str,
    pool: ExprPool,
    *,
    symbols: Iterable[Expr] | Mapping[str, Any] | None = None,
    decimals: str = "exact",
) -> Expr:
    """Return the formula `text` as an expression of `pool`. Nothing in it is ever run as code.

    `+ - * / ^` (or `**`) bind as in Python: `^` from the right, `-x^2` is `-(x^2)`. A quotient of two integer
    literals is the exact rational number. Brackets are `( )` or `[ ]`; comparisons may be chained; `&` and `and`,
    `|` and `or` bind loosest; `~` or `not` negates. Functions have our names, or those of SymPy, NumPy and C;
    choices are `where(condition, a, b)` or `Piecewise((a, condition), …, (b, True))`. There is no implicit
    multiplication.

    Names are symbols of the pool, made where it has none; given `symbols`, expressions or a mapping from names to
    them, no other names are known. `pi` and `E` are the constants unless they name symbols. Decimals are exact
    numbers, but for `-0.0`, which only a float can be; with `decimals="float"` all are floats.

    Raises `ParseError`, `UnknownFunctionError`, `UnknownSymbolError` or `ArityError`, each with the position.

    >>> from alkahest.expr.pool import ExprPool
    >>> parse("b1*(1 - exp[-b2*x])", ExprPool())
    b1*(1 - exp(-b2*x))
    """
    if not isinstance(text, str):
        raise OperandError(
            f"parse reads text and was given {type(text).__name__}.", remedy="Pass the formula as a str."
        )
    if decimals not in ("exact", "float"):
        raise OperandError(
            f"decimals={decimals!r} is no way to read numbers.", remedy='Use decimals="exact" or "float".'
        )
    return _Parser(text, pool, Names(pool, symbols), decimals).run()


class _Operator(NamedTuple):
    op: str
    level: int
    arity: int


_BINARY = {sign: _Operator(op, level, 2) for op, (sign, level) in INFIX.items()} | {
    "**": _Operator("pow", POWER, 2),
    "==": _Operator("eq", COMPARISON, 2),
    "!=": _Operator("ne", COMPARISON, 2),
    "and": _Operator("and", AND, 2),
    "or": _Operator("or", INFIX["or"][1], 2),
}
_PREFIX = {
    "-": _Operator("neg", SIGN, 1),
    "+": _Operator("pos", SIGN, 1),
    "~": _Operator("not", SIGN, 1),
    "not": _Operator("not", NOT, 1),
}

# What stands on the stack of operands: a node, or a literal that a sign or a quotient may still become part of.
# A `_TRUTH` is a number that the text form marks as a condition: its value is that number.
_NODE, _INTEGER, _DECIMAL, _SIGNED, _COMPARED, _TRUE, _PAIR, _TRUTH = range(8)
_LITERALS = (_INTEGER, _DECIMAL, _SIGNED, _TRUE)


class _Operand(NamedTuple):
    kind: int
    value: Any  # a node's id, a literal's value, or the operands between brackets
    more: Any = None  # of a comparison: its right side, to which a chain is continued; of a pair: its position


class _Frame(NamedTuple):
    """An open bracket."""

    bracket: Token | None
    function: Token | None
    below: int  # how many operators wait outside
    args: list[_Operand]


class _Parser:
    def __init__(self, text: str, pool: ExprPool, names: Names, decimals: str) -> None:
        self._source = Source(text)
        self._pool = pool
        self._names = names
        self._float = decimals == "float"
        self._operands: list[_Operand] = []
        self._operators: list[_Operator] = []
        self._frames: list[_Frame] = [_Frame(None, None, 0, [])]
        self._function: Token | None = None  # a name whose bracket comes next

    def run(self) -> Expr:
        wants_value = True
        for token in self._source.tokens():
            wants_value = self._value(token) if wants_value else self._after_value(token)
        return self._pool._expr(self._id(self._operands.pop()))

    def _fault(self, what: str, remedy: str, token: Token, kind: type[AlkahestError] = ParseError) -> AlkahestError:
        return self._source.fault(what, remedy, token.position, kind, max(len(token.text), 1))

    # -- where a value is expected

    def _value(self, token: Token) -> bool:
        """Take a token; return whether a value is still expected."""
        if token.text in _PREFIX:
            return self._prefix(token)
        if token.kind == "number":
            return self._push(self._literal(token))
        if token.kind == "name" and token.text not in ("and", "or"):
            return self._name(token)
        if token.kind == "open":
            self._frames.append(_Frame(token, self._function, len(self._operators), []))
            self._function = None
            return True
        frame = self._frames[-1]
        fresh = not frame.args and len(self._operators) == frame.below
        if token.kind == "close" and frame.function is not None and fresh:
            self._close(token, [])
            return False
        raise self._missing_value(token)

    def _missing_value(self, token: Token) -> AlkahestError:
        if not self._source.text.strip():
            return self._fault("the text is empty", "Write a formula, x^2 + 1 for one.", token)
        found = "the text ends" if token.kind == "end" else f"{token.text!r} stands"
        return self._fault(f"{found} where a number, a name or a bracket is expected", "Complete or remove it.", token)

    def _push(self, operand: _Operand) -> bool:
        self._operands.append(operand)
        return False

    def _prefix(self, token: Token) -> bool:
        operator = _PREFIX[token.text]
        waiting = self._operators[-1].level if len(self._operators) > self._frames[-1].below else 0
        if operator.level == NOT and waiting > NOT:
            raise self._fault("'not' stands inside an operation", "Write (not a) in brackets.", token)
        self._operators.append(operator)
        return True

    def _literal(self, token: Token) -> _Operand:
        text = token.text
        if text.isdigit():
            return _Operand(_INTEGER, int_value(text))
        value = float(text) if self._float else exact_decimal(text)
        if value is None or value in (float("inf"), float("-inf")):
            raise self._fault(
                "the exponent of this number is out of range", "Scale the formula so that it fits.", token
            )
        return _Operand(_DECIMAL, value)

    def _name(self, token: Token) -> bool:
        if token.text in KEYWORDS:
            return self._push(_Operand(_TRUE, 1) if token.text == "True" else _Operand(_SIGNED, 0))
        if token.called:
            self._function = token
            return True
        name = token.text.strip("`")
        ident = self._lookup(name, token)
        if ident is None and name in NON_FINITE and token.text == name:
            raise self._fault(
                f"{name} is no finite number", "Formulas hold finite numbers; pass nan and inf as inputs.", token
            )
        ident = self._names.make(name) if ident is None else ident
        if ident is None:
            raise self._unknown_symbol(name, token)
        return self._push(_Operand(_NODE, ident))

    def _lookup(self, name: str, token: Token) -> int | None:
        try:
            return self._names.find(name)
        except UnknownSymbolError as error:  # symbols of several domains
            raise self._fault(error.message.rstrip("."), error.remedy, token, UnknownSymbolError) from None

    def _unknown_symbol(self, name: str, token: Token) -> AlkahestError:
        listed = self._names.listed()
        return self._fault(
            f"the name {name!r} is not among the symbols given",
            suggestion(name, listed) or f"Known are: {', '.join(listed[:12]) or 'none'}.",
            token,
            UnknownSymbolError,
        )

    # -- after a value

    def _after_value(self, token: Token) -> bool:
        operator = _BINARY.get(token.text) if token.kind in ("operator", "name") else None
        if operator is not None:
            # A power waits for what follows it; all others of its level are done, since they group from the left.
            self._reduce(operator.level + (operator.op == "pow"), token)
            self._operators.append(operator)
            return True
        if token.kind in ("close", "comma", "end"):
            return self._end_of_item(token)
        return self._juxtaposed(token)

    def _juxtaposed(self, token: Token) -> bool:
        what = f"{token.text!r} follows a value without an operator"
        if token.text in ("not", "~"):
            raise self._fault(what, "Write 'and' or 'or' between conditions.", token)
        raise self._fault(what, "Write * for a product: there is no implicit multiplication.", token)

    def _end_of_item(self, token: Token) -> bool:
        self._reduce(0, token)
        frame = self._frames[-1]
        if token.kind == "close":
            self._close(token, [*frame.args, self._operands.pop()])
            return False
        if token.kind == "comma":
            if frame.bracket is None:
                raise self._fault("a comma stands outside of brackets", "Parse one formula at a time.", token)
            frame.args.append(self._operands.pop())
            return True
        if frame.bracket is not None:
            raise self._fault("a bracket is never closed", "Close it.", frame.bracket)
        return False

    def _close(self, token: Token, args: list[_Operand]) -> None:
        frame = self._frames[-1]
        if frame.bracket is None:
            raise self._fault("a bracket closes that was never opened", "Remove it, or open it.", token)
        if (frame.bracket.text == "(") != (token.text == ")"):
            raise self._fault(f"{frame.bracket.text!r} is closed by {token.text!r}", "Match the brackets.", token)
        self._frames.pop()
        if frame.function is not None:
            self._push(self._marked(frame.function, args) or _Operand(_NODE, self._call(frame.function, args)))
        elif len(args) == 1:
            self._push(_Operand(_NODE, self._id(args[0])))
        else:
            self._push(_Operand(_PAIR, args, frame.bracket))

    # -- operations

    def _reduce(self, level: int, token: Token) -> None:
        below = self._frames[-1].below
        operators, operands = self._operators, self._operands
        while len(operators) > below and operators[-1].level >= level:
            operator = operators.pop()
            right = operands.pop()
            if operator.arity == 1:
                operands.append(self._signed(operator.op, right))
            else:
                operands.append(self._joined(operator, operands.pop(), right))

    def _signed(self, op: str, value: _Operand) -> _Operand:
        if op == "neg" and value.kind in (_INTEGER, _DECIMAL):
            minus_zero = value.kind == _DECIMAL and not value.value
            return _Operand(_SIGNED, -0.0 if minus_zero else -value.value)
        if op == "not":
            return _Operand(_NODE, self._build(op, self._condition(value)))
        if op == "pos":
            return value if value.kind in _LITERALS else _Operand(_NODE, self._id(value))
        return _Operand(_NODE, self._build(op, self._id(value)))

    def _joined(self, operator: _Operator, left: _Operand, right: _Operand) -> _Operand:
        op = operator.op
        if op == "div" and _whole(left) and _whole(right) and right.value != 0:
            return _Operand(_NODE, self._number(Fraction(left.value, right.value)))
        if op in LOGIC:
            return _Operand(_NODE, self._build(op, self._condition(left), self._condition(right)))
        if operator.level != COMPARISON:
            return _Operand(_NODE, self._build(op, self._id(left), self._id(right)))
        b = self._id(right)
        if left.kind != _COMPARED:
            return _Operand(_COMPARED, self._build(op, self._id(left), b), b)
        return _Operand(_COMPARED, self._build("and", left.value, self._build(op, left.more, b)), b)

    def _condition(self, operand: _Operand) -> int:
        return operand.value if operand.kind == _TRUTH else self._id(operand)

    def _id(self, operand: _Operand) -> int:
        if operand.kind in _LITERALS:
            return self._number(operand.value)
        if operand.kind == _TRUTH:
            return self._build("ne", operand.value, self._number(0))
        if operand.kind == _PAIR:
            raise self._fault(
                "several values stand between brackets that call no function",
                "Only Piecewise takes such pairs: Piecewise((value, condition), …, (value, True)).",
                operand.more,
            )
        return operand.value

    def _build(self, op: str, *args: int) -> int:
        return self._pool._build(op, args).id

    def _number(self, value: Any) -> int:
        return self._pool._id(value)

    # -- functions

    def _marked(self, function: Token, args: list[_Operand]) -> _Operand | None:
        """Return what `Ne(x, -0)` and `Piecewise([1, c], [0, True])` mark: see `printing`."""
        if function.text == "Ne" and len(args) == 2 and args[1].kind == _SIGNED and args[1].value.__class__ is int:
            return None if args[1].value else _Operand(_TRUTH, self._id(args[0]))
        if function.text != PIECEWISE or len(args) != 2:
            return None
        if not all(a.kind == _PAIR and a.more.text == "[" and len(a.value) == 2 for a in args):
            return None
        (one, condition), (zero, otherwise) = args[0].value, args[1].value
        if (one.kind, one.value, zero.kind, zero.value, otherwise.kind) != (_INTEGER, 1, _INTEGER, 0, _TRUE):
            return None
        truth = condition.kind in (_NODE, _COMPARED) and self._pool.node(condition.value)[0] in TRUTHS
        return _Operand(_NODE, condition.value) if truth else None

    def _call(self, token: Token, args: list[_Operand]) -> int:
        name, count = token.text.strip("`"), len(args)
        if name == PIECEWISE and token.text == name:
            return self._piecewise(token, args)
        ids = [self._id(a) for a in args]
        op = name if token.text != name else meaning(name, count)
        if op is None:
            return self._composed(name, ids)
        arity = known_arity(op)
        if op in FOLDED and count > 1:
            return self._fold(op, ids)
        if arity != count:
            raise self._no_such_call(name, op, token, count)
        return self._build(op, *ids)

    def _fold(self, op: str, args: list[int]) -> int:
        out = args[0]
        for arg in args[1:]:
            out = self._build(op, out, arg)
        return out

    def _composed(self, name: str, args: list[int]) -> int:
        meant = COMPOSED.get((name, len(args)))
        if meant is None:
            return self._pool.constant(CONSTANT_NAMES[name]).id
        given = {letter: self._pool._expr(arg) for letter, arg in zip("ab", args, strict=False)}
        return parse(meant, self._pool, symbols=given).id

    def _no_such_call(self, name: str, op: str, token: Token, count: int) -> AlkahestError:
        arity = known_arity(op)
        takes = {n for composed, n in COMPOSED if composed == name}
        takes.update([] if arity is None else [arity])
        if takes:
            numbers = "2 or more" if op in FOLDED else " or ".join(str(n) for n in sorted(takes))
            what = f"{name} takes {numbers} argument(s) and is given {count}"
            return self._fault(what, "Pass one value per argument.", token, ArityError)
        if self._names.find(name) is not None:
            what = f"{name!r} is no function and a bracket follows it"
            remedy = f"Write {name}*(…) for a product: there is no implicit multiplication."
            return self._fault(what, remedy, token)
        remedy = suggestion(name, call_names()) or "Check its name, or install the plugin that declares it."
        return self._fault(f"no function is called {name!r}", remedy, token, UnknownFunctionError)

    def _piecewise(self, token: Token, args: list[_Operand]) -> int:
        pairs = [a.value for a in args if a.kind == _PAIR and len(a.value) == 2]
        if not args or len(pairs) != len(args) or pairs[-1][1].kind != _TRUE:
            raise self._fault(
                "Piecewise takes pairs (value, condition), the last with the condition True",
                "Write Piecewise((a, x < 0), (b, True)).",
                token,
            )
        out = self._id(pairs[-1][0])
        for value, condition in reversed(pairs[:-1]):
            out = self._build("where", self._condition(condition), self._id(value), out)
        return out


def _whole(operand: _Operand) -> bool:
    return operand.kind == _INTEGER or (operand.kind == _SIGNED and isinstance(operand.value, int))
