"""Reads FPCore 2.0, the interchange format of the floating-point community, in its scalar part without loops.

The standard: https://fpbench.org/spec/fpcore-2.0.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from alkahest.errors import FPCoreError, OperandError
from alkahest.expr.fpcore_vocabulary import (
    BINARY,
    COMPARISONS,
    COMPOSED,
    CONSTANTS,
    DTYPES,
    LOGIC,
    RANGES,
    REFUSED,
    TERNARY,
    UNARY,
    is_operation,
)
from alkahest.expr.parsing import parse
from alkahest.expr.sexpr import (
    Atom,
    Form,
    Node,
    data,
    exact_number,
    fault,
    is_minus_zero,
    is_symbol,
    read_forms,
    scaled,
    unsupported,
)

if TYPE_CHECKING:
    from alkahest.expr.expression import Expr
    from alkahest.expr.pool import ExprPool


@dataclass(frozen=True, kw_only=True)
class FPCore:
    """One FPCore: a function of real numbers with what is known of it.

    `symbols` are the arguments in order, `expr` the body, `pre` the condition under which the function is meant (or
    None). `properties` holds all properties as written: quoted text as `str`, bare symbols as `Word` (a `str`),
    numbers as `int` or `Fraction`, lists as tuples. `precision` is "binary64" where none is given; "real" asks for
    exact arithmetic and is computed in binary64. `str(core)` is FPCore text again.
    """

    symbols: list[Expr]
    expr: Expr
    name: str | None = None
    pre: Expr | None = None
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    precision: str = "binary64"
    identifier: str | None = None
    line: int = 1

    @property
    def dtype(self) -> str:
        """What to compile it for: "f64" or "f32"."""
        return DTYPES[self.precision]

    def __str__(self) -> str:
        from alkahest.expr.fpcore_writer import to_fpcore

        return to_fpcore(
            self.expr,
            self.symbols,
            name=self.name,
            pre=self.pre,
            properties=self.properties,
            precision=self.precision,
        )


class RefusedCore(NamedTuple):
    """An FPCore that is not of the subset read here: its name, the line of what is not supported, and the reason."""

    name: str | None
    line: int
    reason: str


class FPCoreList(list[FPCore]):
    """The cores of a text in order; `refused` tells of those that could not be read."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[RefusedCore] = []


def from_fpcore(text: str, pool: ExprPool, *, strict: bool = False) -> FPCoreList:
    """Return the FPCores of `text` as records whose expressions are in `pool`.

    Read are all scalar operations and constants of FPCore 2.0, `let`, `let*` and `if`, and calls of earlier cores;
    numbers are exact, but for `-0.0`, which becomes a float. Arguments are real symbols, one for each name,
    whichever core uses it.

    A core with loops, tensors, `!` annotations, infinities or nan, numbers beyond all bounds, another rounding than
    nearestEven, or a precision other than binary32, binary64 and real is refused with its line in `.refused`, as is
    one that calls such a core; the others are kept. With `strict=True` the first such raises `FPCoreError`.

    What is no FPCore raises `FPCoreError` with its line in either case: text without any core, brackets that do not
    match, names that are not bound, operations that do not exist or have the wrong number of arguments.

    >>> from alkahest.expr.pool import ExprPool
    >>> cores = from_fpcore('(FPCore (x) :name "root" :pre (<= 0 x 1) (sqrt (+ 1 x)))', ExprPool())
    >>> cores[0].name, cores[0].expr, cores[0].pre
    ('root', sqrt(1 + x), (0 <= x) & (x <= 1))
    """
    if not isinstance(text, str):
        raise OperandError(
            f"from_fpcore reads text and was given {type(text).__name__}.", remedy="Read the file with read_text()."
        )
    out = FPCoreList()
    reader = _Reader(pool)
    forms = read_forms(text)
    if not forms:
        raise fault("the text holds no FPCore", "Write (FPCore (arguments) properties body).", 1)
    for form in forms:
        try:
            out.append(reader.core(form))
        except FPCoreError as error:
            if strict or not error.details.get("unsupported"):
                raise
            reader.refuse(form)
            out.refused.append(RefusedCore(_name_of(form), error.line or form.line, error.details["reason"]))
    return out


def _name_of(form: Node) -> str | None:
    for key, value in pairwise(form) if isinstance(form, Form) else ():
        if isinstance(key, Atom) and key.text == ":name" and isinstance(value, Atom):
            return value.text
    return None


class _Reader:
    """Reads one core after the other; those with an identifier can be called by later ones."""

    def __init__(self, pool: ExprPool) -> None:
        self._pool = pool
        self._callable: dict[str, FPCore | None] = {}  # None for one that is refused

    def core(self, form: Node) -> FPCore:
        """Return the record of one core."""
        items = list(form) if isinstance(form, Form) else []
        if not items or _word(items[0]) != "FPCore":
            raise fault("this is no FPCore", "Write (FPCore (arguments) properties body).", form.line)
        identifier = _word(items[1]) if len(items) > 1 else None
        rest = items[1 if identifier is None else 2 :]
        if not rest or not isinstance(rest[0], Form):
            raise fault("this FPCore has no list of arguments", "Write (FPCore (x y) body).", form.line)
        names = _argument_names(rest[0])
        properties, body = _properties(rest[1:], form.line)
        precision = _precision(properties)
        symbols = [self._pool.symbol(name) for name in names]
        scope = {str(s.name): [s.id] for s in symbols}
        translate = _Translator(self._pool, scope, self._callable, precision)
        pre = properties.get("pre")
        described = {key: data(value) for key, value in properties.items()}
        name = described.get("name", identifier)
        core = FPCore(
            symbols=symbols,
            expr=translate(body),
            name=None if name is None else str(name),
            pre=None if pre is None else translate(pre),
            properties=described,
            precision=precision,
            identifier=identifier,
            line=form.line,
        )
        if identifier is not None:
            self._callable[identifier] = core
        return core

    def refuse(self, form: Node) -> None:
        """Remember that a core was refused: those that call it are refused as well."""
        identifier = _word(form[1]) if isinstance(form, Form) and len(form) > 1 else None
        if identifier is not None:
            self._callable[identifier] = None


def _word(node: Node) -> str | None:
    """Return the text of a symbol, None for all else."""
    return node.text if isinstance(node, Atom) and not node.quoted and is_symbol(node.text) else None


def _argument_names(form: Form) -> list[str]:
    names: list[str] = []
    for item in form:
        name = _word(item)
        if name is None:
            described = isinstance(item, Form) and item and _word(item[0]) is not None
            what = "an argument is annotated or a tensor" if described else "an argument is no name"
            raise (unsupported if described else fault)(what, "List plain names as arguments.", item.line)
        if name in names:
            raise fault(f"the argument {name} is listed twice", "Give each argument a name of its own.", item.line)
        names.append(name)
    return names


def _properties(items: list[Node], line: int) -> tuple[dict[str, Node], Node]:
    found: dict[str, Node] = {}
    while items and (_word(items[0]) or "").startswith(":"):
        if len(items) < 2:
            raise fault("a property has no value", "Write :property value.", items[0].line)
        found[str(_word(items[0]))[1:]] = items[1]
        items = items[2:]
    if len(items) != 1:
        where = items[1].line if items else line
        raise fault(f"an FPCore has one body, this one {len(items)}", "Write the expression last.", where)
    return found, items[0]


def _precision(properties: dict[str, Node]) -> str:
    """Return the precision that is asked for; one we do not compute in, or another rounding, is refused."""
    asked = {key: (_word(properties[key]), properties[key].line) for key in ("precision", "round") if key in properties}
    rounding, line = asked.get("round", ("nearestEven", 0))
    if rounding != "nearestEven":
        raise unsupported(f"rounding {rounding or 'of this kind'} is not supported", "Use nearestEven.", line)
    precision, line = asked.get("precision", ("binary64", 0))
    if precision not in DTYPES:
        raise unsupported(
            f"the precision {precision or 'given here'} is not supported", f"Use one of {', '.join(DTYPES)}.", line
        )
    return precision


class _Translator:
    """Turns one core's forms into nodes, with stacks of its own instead of recursion."""

    def __init__(
        self, pool: ExprPool, scope: dict[str, list[int]], cores: dict[str, FPCore | None], precision: str
    ) -> None:
        self._pool = pool
        self._scope = scope  # per name what it is bound to, innermost last
        self._cores = cores
        self._precision = precision
        self._values: list[int] = []
        self._tasks: list[tuple[Callable[[Any], None], Any]] = []

    def __call__(self, node: Node) -> Expr:
        self._tasks = [(self._evaluate, node)]
        while self._tasks:
            task, argument = self._tasks.pop()
            task(argument)
        return self._pool._expr(self._values.pop())

    def _then(self, *tasks: tuple[Callable[[Any], None], Any]) -> None:
        self._tasks.extend(reversed(tasks))

    def _evaluate(self, node: Node) -> None:
        if isinstance(node, Atom):
            self._values.append(self._atom(node))
            return
        head = _word(node[0]) if node else None
        if head is None:
            raise fault("a form begins with no operation", "Write (operation arguments…).", node.line)
        if head in REFUSED:
            raise unsupported(REFUSED[head], "Unroll or rewrite it as one expression.", node.line)
        if head in ("let", "let*"):
            self._let(node, sequential=head == "let*")
        elif head == "digits":
            self._values.append(self._digits(node))
        else:
            self._then(*[(self._evaluate, n) for n in node[1:]], (self._apply, node))

    def _atom(self, atom: Atom) -> int:
        bound = self._scope.get(atom.text)
        if bound and not atom.quoted:
            return bound[-1]
        if atom.quoted:
            raise fault(f"{atom.text!r} is neither number nor name", "Remove the quotes.", atom.line)
        if atom.text in CONSTANTS:
            return self._written(CONSTANTS[atom.text])
        try:
            value = exact_number(atom.text)
        except OverflowError:
            raise unsupported(f"the exponent of {atom.text} is out of range", "Scale the problem.", atom.line) from None
        if value is not None:
            return self._number(-0.0 if is_minus_zero(atom.text) else value)
        if atom.text in ("INFINITY", "NAN"):
            raise unsupported(f"{atom.text} is no finite number", "Pass it as an argument.", atom.line)
        known = is_symbol(atom.text)
        what = f"the variable {atom.text} is not bound" if known else f"{atom.text!r} is neither number nor name"
        raise fault(what, "List it among the arguments, or bind it with let.", atom.line)

    def _digits(self, form: Form) -> int:
        try:
            read = [exact_number(item.text) for item in form[1:] if isinstance(item, Atom)]
            significand, exponent, base = [v.numerator for v in read if v is not None and v.denominator == 1]
            if len(form) == 4 and base > 1:
                return self._number(scaled(significand, base, exponent))
        except OverflowError:
            raise unsupported("digits gives a number out of range", "Scale the problem.", form.line) from None
        except ValueError:
            pass  # said below
        raise fault("digits takes three integers", "Write (digits significand exponent base).", form.line)

    # -- bindings

    def _let(self, form: Form, *, sequential: bool) -> None:
        bindings = form[1] if len(form) == 3 else None
        if not isinstance(bindings, Form):
            raise fault("let takes bindings and a body", "Write (let ([name value] …) body).", form.line)
        names: list[str] = []
        values: list[Node] = []
        for binding in bindings:
            pair = binding if isinstance(binding, Form) else Form()
            name = _word(pair[0]) if len(pair) == 2 else None
            if name is None:
                raise fault("a binding is no pair of name and value", "Write [name value].", binding.line)
            names.append(name)
            values.append(pair[1])
        body = (self._evaluate, form[2])
        if sequential:
            steps = [s for n, v in zip(names, values, strict=True) for s in ((self._evaluate, v), (self._bind, [n]))]
            self._then(*steps, body, (self._unbind, names))
        else:
            if len(set(names)) != len(names):
                raise fault("let binds a name twice", "Use let*, or other names.", form.line)
            self._then(*[(self._evaluate, v) for v in values], (self._bind, names), body, (self._unbind, names))

    def _bind(self, names: list[str]) -> None:
        for name in reversed(names):
            self._scope.setdefault(name, []).append(self._values.pop())

    def _unbind(self, names: list[str]) -> None:
        for name in names:
            self._scope[name].pop()

    # -- operations

    def _apply(self, form: Form) -> None:
        count = len(form) - 1
        args = self._values[len(self._values) - count :]
        del self._values[len(self._values) - count :]
        head = str(_word(form[0]))
        self._values.append(self._operation(head, args, form.line))

    def _operation(self, head: str, args: list[int], line: int) -> int:
        count = len(args)
        op = (UNARY, BINARY, TERNARY)[count - 1].get(head) if 1 <= count <= 3 else None
        if op is not None:
            return self._build(op, *args)
        if head in COMPARISONS and count:
            return self._compare(COMPARISONS[head], args)
        if head in LOGIC and count:
            return reduce(lambda a, b: self._build(head, a, b), args)
        if (head, count) in COMPOSED:
            return self._written(COMPOSED[head, count], args)
        return self._call(head, args, line)

    def _compare(self, op: str, args: list[int]) -> int:
        """Compare every pair; where the relation is transitive, neighbours tell all."""
        found = [self._build(op, a, b) for a, b in (combinations(args, 2) if op == "ne" else pairwise(args))]
        return reduce(lambda a, b: self._build("and", a, b), found) if found else self._number(1)

    def _written(self, text: str, args: Iterable[int] = ()) -> int:
        """Return what a formula of ours says with the arguments put in."""
        given = {letter: self._pool._expr(arg) for letter, arg in zip("ab", args, strict=False)}
        return parse(text, self._pool, symbols={**RANGES[DTYPES[self._precision]], **given}).id

    def _build(self, op: str, *args: int) -> int:
        return self._pool._build(op, args).id

    def _number(self, value: Any) -> int:
        return self._pool._id(value)

    def _call(self, head: str, args: list[int], line: int) -> int:
        core = self._cores.get(head)
        if head in self._cores and core is None:
            raise unsupported(f"the core {head} is refused", "Rewrite that one.", line)
        if core is None:
            what = f"{head} does not take {len(args)} argument(s)"
            what = what if is_operation(head) else f"the operation {head} is not known"
            raise fault(what, "Use the scalar operations of FPCore 2.0.", line)
        if len(core.symbols) != len(args):
            what = f"{head} takes {len(core.symbols)} argument(s) and is given {len(args)}"
            raise fault(what, "Call it as it is defined.", line)
        if core.precision != self._precision:
            raise unsupported(f"{head} has another precision", "Give both cores one precision.", line)
        given = [self._pool._expr(arg) for arg in args]
        return core.expr.subs(dict(zip(core.symbols, given, strict=True))).id
