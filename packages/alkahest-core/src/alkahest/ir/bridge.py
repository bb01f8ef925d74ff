"""Between formulas and programs: expressions become equations, and equations of scalar primitives expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from alkahest.base import trees
from alkahest.base.avals import FLOAT, BoolAVal, FloatAVal, IntAVal, StrAVal, find_aval
from alkahest.base.interpreter import active_interpreter
from alkahest.base.prim import Prim, arity_of, prim_by_name
from alkahest.base.rules import abstract_rules
from alkahest.base.zero import Zero
from alkahest.errors import AlkahestError, PoolMismatchError, ProgramError, UnknownFunctionError, UnknownSymbolError
from alkahest.expr.expression import Expr
from alkahest.expr.pool import LEAVES, ExprPool
from alkahest.expr.tape import check_inputs, literal_float
from alkahest.expr.traversal import reachable
from alkahest.expr.vocabulary import TRUTHS, known_arity
from alkahest.ir.boxes import Traced
from alkahest.ir.ir import IR, IREqn, IRVar, check_ir
from alkahest.ir.tracing import TracingInterpreter

# ------------------------------------------------------------------------------------------ expressions to programs


def ir_from_exprs(outputs: Any, inputs: Iterable[Any]) -> IR:
    """Return the program that computes `outputs`, an expression or a structure of them, from the symbols `inputs`.

    Its inputs are floats, one per symbol; it has one equation per node. It gives the values that the compiled
    expression gives: numbers stand in it as ints where a float holds them exactly, else rounded to a float, pi and e
    too. A condition gives True or False, and where a formula computes with conditions alone an equation turns one of
    them into a float. Symbols that are no inputs raise `UnknownSymbolError`.

    >>> from alkahest import ExprPool, sin
    >>> x, y = ExprPool().symbols("x y")
    >>> ir_from_exprs(sin(x) * y + 1, [x, y]).call(0.0, 2.0)
    1.0
    """
    leaves, treedef = trees.flatten(outputs)
    symbols = list(inputs)
    exprs = [leaf for leaf in leaves if isinstance(leaf, Expr)]
    tracer = TracingInterpreter("a formula")
    boxes = [tracer.new_input(FLOAT) for _ in symbols]
    token = active_interpreter.set(tracer)
    try:
        found = iter(_inlined(exprs, symbols, boxes))
    finally:
        active_interpreter.reset(token)
    out = treedef.unflatten([next(found) if isinstance(leaf, Expr) else leaf for leaf in leaves])
    return IR(tracer.eqns, tuple([box.var for box in boxes]), tracer.leave(out))


def inline_exprs(outputs: Sequence[Expr], inputs: Sequence[Expr], values: Sequence[Any]) -> list[Any]:
    """Return `outputs` with values of the program that is being traced in place of the symbols `inputs`.

    What a formula computes with is floats: traced integers and truth values are turned into floats first.
    """
    return _inlined(outputs, inputs, [_as_float(value) for value in values])


def _as_float(value: Any) -> Any:
    if value.__class__ is not Traced:
        return float(value)
    return _float_of(value) if isinstance(value.aval, IntAVal | BoolAVal) else value


def _float_of(box: Traced) -> Any:
    return prim_by_name("add").bind((box, 0.0))


def _inlined(outputs: Sequence[Expr], inputs: Iterable[Any], values: Sequence[Any]) -> list[Any]:
    if not outputs:
        return []
    pool = outputs[0].pool
    if any(out.pool is not pool for out in outputs):
        raise PoolMismatchError("the outputs are of two pools.", remedy="Build all outputs in one ExprPool.")
    symbols = check_inputs(pool, inputs)
    known = {s.id: value for s, value in zip(symbols, values, strict=True)}
    build_nodes(pool, [out.id for out in outputs], known, _literal, _bind)
    return [known[out.id] for out in outputs]


def build_nodes(
    pool: ExprPool,
    roots: Sequence[int],
    known: dict[int, Any],
    literal: Callable[[ExprPool, int], Any],
    bind: Callable[[str, list[Any]], Any],
) -> None:
    """Fill `known`, values by id of the node, for all that `roots` need: a loop over ids, never a recursion."""
    nodes = pool._nodes
    for i in reachable(pool, roots):
        if i in known:
            continue
        node = nodes[i]
        known[i] = literal(pool, i) if node[0] in LEAVES else bind(node[0], [known[c] for c in node[1:]])


def _literal(pool: ExprPool, ident: int) -> Any:
    node = pool._nodes[ident]
    if node[0] == "symbol":
        raise UnknownSymbolError(
            f"the expression uses the symbol {node[1]}, which is no input.",
            remedy="Add it to the inputs, or substitute a value for it.",
        )
    value = literal_float(pool, ident)
    return node[1] if node[0] == "integer" and node[1] == value else value


def _bind(op: str, args: list[Any]) -> Any:
    """Bind a node: it gives a float, as it does in a formula, or a truth value, and never an integer."""
    prim = _scalar_prim(op)
    operands = args[1:] if op == "where" else args
    if op not in TRUTHS and not any([isinstance(find_aval(x), FloatAVal) for x in operands]):
        args = _in_floats(prim, args)
    return prim.bind(tuple(args))


def _scalar_prim(op: str) -> Prim:
    if known_arity(op) is None:
        raise UnknownFunctionError(
            f"no primitive is called {op!r}.", remedy="Import the plugin that declares it first."
        )
    return prim_by_name(op)


def _in_floats(prim: Prim, args: list[Any]) -> list[Any]:
    args = [float(x) if x.__class__ is int else x for x in args]
    avals = tuple([x.aval if x.__class__ is Traced else x for x in args])
    if not isinstance(abstract_rules.get(prim)(avals), IntAVal):
        return args
    last = len(args) - 1  # conditions alone: one of them as a float makes the result one
    return [*args[:last], _float_of(args[last])]


# ------------------------------------------------------------------------------------------ programs to expressions


def exprs_from_ir(ir: IR, pool: ExprPool) -> tuple[Any, list[Expr]]:
    """Return the outputs of `ir` as expressions in `pool`, in their structure, and the symbols of its inputs.

    The symbols are named by the place of the input: `x0`, `x1`, `x1_rate` for an entry of a structure; integers have
    the domain "integer". Formulas compute with floats: integers beyond 2^53 are not exact there. A program that holds
    anything but scalar primitives on numbers raises `ProgramError`, which names the first such equation.

    >>> from alkahest import ExprPool, sin
    >>> import alkahest as af
    >>> ir = af.trace(lambda x: 2 * sin(x))(1.0)
    >>> exprs_from_ir(ir, ExprPool())
    (2*sin(x0), [x0])
    """
    check_ir(ir, "exprs_from_ir")
    known: dict[int, Expr] = {}
    symbols: list[Expr] = []
    for path, leaf in zip(trees.paths(ir.in_ir_tree), trees.leaves(ir.in_ir_tree), strict=True):
        if leaf.__class__ is IRVar and not isinstance(leaf.aval, StrAVal):
            domain = "integer" if isinstance(leaf.aval, IntAVal) else None
            known[leaf.id] = pool.symbol("x" + "_".join([str(part) for part in path]), domain)
            symbols.append(known[leaf.id])
    for eqn in ir.ir_eqns:
        out = eqn.out_ir_tree
        if not _is_scalar(eqn) or out.__class__ is not IRVar:
            raise _no_formula(eqn, "is no scalar primitive")
        known[out.id] = pool.apply(eqn.prim.name, *[_operand(x, known, pool, eqn) for x in eqn.ins])
    return trees.map_leaves(lambda leaf: _operand(leaf, known, pool, None), ir.out_ir_tree), symbols


def _is_scalar(eqn: IREqn) -> bool:
    name = eqn.prim.name
    return arity_of(name) == len(eqn.ins) and prim_by_name(name) is eqn.prim and not eqn.params


def _operand(leaf: Any, known: dict[int, Expr], pool: ExprPool, eqn: IREqn | None) -> Expr:
    if leaf.__class__ is IRVar:
        if leaf.id in known:
            return known[leaf.id]
    elif leaf.__class__ is Zero:
        return pool.integer(0)
    elif leaf.__class__ is not str:
        try:
            return pool.number(leaf)
        except AlkahestError as error:
            raise _no_formula(eqn, f"holds {leaf!r}: {error.message.rstrip('.')}") from None
    raise _no_formula(eqn, "takes a text" if eqn is not None else "is a text")


def _no_formula(eqn: IREqn | None, why: str) -> ProgramError:
    what = "the output" if eqn is None else f"the equation `{eqn!r}`"
    return ProgramError(
        f"{what} {why}, so the program is no formula.",
        remedy="Keep numbers and scalar primitives in a program of their own, and make that one expressions.",
    )
