"""Programs as text, for people.

    program(a:str, b:str):
      c:str = concat(a, '!')
      d:str = switch(b, (c,), branches={'loud': @1, 'calm': @2})
      return d

Variables are named in order of appearance, anew in each program, with their types where they are defined; `[str]` is a
batch of texts. Programs inside are printed once, below, under a name; those of a `gather` stand as its lines. Long
texts and structures are shortened.
"""

from __future__ import annotations

import dataclasses
import itertools
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from alkahest.base import trees
from alkahest.base.avals import AVal
from alkahest.base.prim import Prim
from alkahest.base.zero import Zero
from alkahest.ir.columns import one_level
from alkahest.ir.graph import nested_irs
from alkahest.ir.ir import IR, IREqn, IRVar

_TEXT = 72  # characters of a literal
_LEAVES = 16  # leaves of a structure
_DEPTH = 30  # levels of a structure
_ASIDE = "gather"
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

Pieces = list[str | int]
"""Text, with numbers that stand for the names of programs."""


def ir_text(ir: IR, /) -> str:
    """Return the printed form of `ir`; see this module."""
    programs = nested_irs(ir)
    numbers: dict[tuple[Any, ...], int] = {}
    texts: list[Pieces] = []
    known: dict[int, int] = {}
    # Inner programs come first, so that two with the same text are one.
    for program in programs:
        pieces = _program(program, known)
        number = numbers.setdefault(tuple(pieces), len(texts))
        if number == len(texts):
            texts.append(pieces)
        known[id(program)] = number
    return _assembled(texts, known[id(ir)])


def _assembled(texts: list[Pieces], root: int) -> str:
    """Return the text of the program `root` and, below, of those it refers to, named in order of appearance."""
    names: dict[int, str] = {root: "program"}
    queue = [root]
    out: list[str] = []
    for number in queue:  # grows as it goes
        for piece in texts[number]:
            if piece.__class__ is int and piece not in names:
                names[cast("int", piece)] = f"@{len(names)}"
                queue.append(cast("int", piece))
        body = "".join([names[p] if isinstance(p, int) else p for p in texts[number]])
        out.append(names[number] + body)
    return "\n\n".join(out)


def eqn_text(eqn: IREqn, /, limit: int | None = None) -> str:
    """Return the printed form of one equation, of at most `limit` characters; types are told at first appearance."""
    writer = _Writer({})
    writer.typed = True
    ins = writer.inputs(eqn)
    text = "".join([str(p) for p in [*writer.outputs(eqn), *ins]])
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _program(ir: IR, known: Mapping[int, int]) -> Pieces:
    writer = _Writer(known)
    args = _as_tuple(ir.in_ir_tree)
    lines: list[Pieces] = [[*writer.listed(args, define=True), ":" if ir.ordered is None else ", scheduled:"]]
    for position, eqn in enumerate(ir.ir_eqns):
        lines += writer.equation(eqn, "  # in order" if ir.ordered and position in ir.ordered else "")
    lines.append(["  return ", *writer.tree(ir.out_ir_tree)])
    pieces: Pieces = []
    for line in lines:
        pieces += line if not pieces else ["\n", *line]
    return pieces


def _as_tuple(tree: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", tree) if tree.__class__ is tuple else (tree,)


def _names() -> Iterator[str]:
    """Yield a, b, …, z, aa, ab and so on."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for n in itertools.count(1):
        for word in itertools.product(letters, repeat=n):
            name = "".join(word)
            if not keyword.iskeyword(name):
                yield name


class _Writer:
    """Writes one program: it knows the names of the variables so far."""

    def __init__(self, known: Mapping[int, int]) -> None:
        self.known = known
        self.names: dict[int, str] = {}
        self.fresh = _names()
        self.typed = False  # whether variables come with their types at first appearance, defined there or not

    def variable(self, var: IRVar, define: bool) -> str:
        name = self.names.get(var.id)
        first = name is None
        if name is None:
            name = self.names[var.id] = next(self.fresh)
        return f"{name}:{_type(var)}" if define or (first and self.typed) else name

    # -- equations

    def equation(self, eqn: IREqn, mark: str) -> list[Pieces]:
        """Return the lines of an equation of a program."""
        members = self._members(eqn)
        if members is not None:
            return [["  gather:", *_tags(eqn), mark], *members]
        ins = self.inputs(eqn)
        return [["  ", *self.outputs(eqn), *ins, mark]]

    def outputs(self, eqn: IREqn) -> Pieces:
        """Return what stands left of an equation: nothing where there is no output."""
        if not eqn.outs:
            return []
        return [*self.tree(eqn.out_ir_tree, define=True), " = "]

    def inputs(self, eqn: IREqn) -> Pieces:
        """Return what stands right of an equation."""
        given = _as_tuple(eqn.in_ir_tree)
        params: Pieces = []
        for name, value in eqn.params.items():
            params += [", ", f"{name}=", *self.tree(value)]
        return [eqn.prim.name, *self.listed(given, rest=params), *_tags(eqn)]

    def _members(self, eqn: IREqn) -> list[Pieces] | None:
        """Return a line for each program of a `gather`, or None for another equation."""
        irs = eqn.params.get("irs")
        if eqn.prim.name != _ASIDE or not isinstance(irs, tuple):
            return None
        programs = cast("tuple[IR, ...]", irs)
        ins, outs = eqn.in_ir_tree, eqn.out_ir_tree
        if not isinstance(ins, tuple) or not isinstance(outs, tuple) or not len(ins) == len(outs) == len(programs):
            return None
        return [self._member(*parts) for parts in zip(programs, cast("Any", ins), cast("Any", outs), strict=True)]

    def _member(self, ir: IR, ins: Any, outs: Any) -> Pieces:
        if len(ir.ir_eqns) == 1 and self._renames(ir, ins, outs):
            (eqn,) = ir.ir_eqns
            right = self.inputs(eqn)
            return ["    ", *self.outputs(eqn), *right]
        right = [self.known[id(ir)], *self.listed(ins)]
        return ["    ", *self.tree(outs, define=True), " = ", *right]

    def _renames(self, ir: IR, ins: Any, outs: Any) -> bool:
        """Give the variables of a one-equation program the names outside; tell whether that says all."""
        inner, outer = trees.leaves(ir.in_ir_tree), trees.leaves(ins)
        results, given = trees.leaves(ir.out_ir_tree), trees.leaves(outs)
        if any(leaf.__class__ is not IRVar for leaf in (*inner, *outer, *results, *given)):
            return False
        if len(inner) != len(outer) or len(results) != len(given):
            return False
        if {leaf.id for leaf in results} != {leaf.id for leaf in ir.ir_eqns[0].outs if leaf.__class__ is IRVar}:
            return False
        for mine, theirs in zip([*inner, *results], [*outer, *given], strict=True):
            self.names[mine.id] = self.variable(theirs, False)
        return True

    # -- structures

    def listed(self, args: tuple[Any, ...], *, define: bool = False, rest: Pieces | None = None) -> Pieces:
        """Return `(a, b, …)`."""
        inner = _Tree(self, define, args).entries([("", arg) for arg in args])
        more = list(rest or [])
        if not inner and more:
            more = more[1:]  # no comma before the first
        return ["(", *inner, *more, ")"]

    def tree(self, tree: Any, *, define: bool = False) -> Pieces:
        """Return a structure of variables, literals and programs."""
        return _Tree(self, define, tree).node(tree)

    def leaf(self, leaf: Any, define: bool) -> Pieces:
        """Return a variable, a literal or a program."""
        if leaf.__class__ is IRVar:
            return [self.variable(leaf, define)]
        if leaf.__class__ is IR:
            known = self.known.get(id(leaf))
            return [f"<program of {len(leaf.ir_eqns)} equation(s)>" if known is None else known]
        if leaf.__class__ is Zero:
            return [f"zero({_short(leaf.aval.label)})"]
        if isinstance(leaf, AVal):
            return [_short(leaf.label)]
        return [leaf.name if isinstance(leaf, Prim) else _literal(leaf)]


class _Tree:
    """Writes one structure, up to a number of leaves."""

    def __init__(self, writer: _Writer, define: bool, tree: Any) -> None:
        self.writer = writer
        self.define = define
        self.left = _LEAVES
        self.cut = False
        self.total = sum([leaf.__class__ is not IR for leaf in trees.leaves(tree)])

    def node(self, tree: Any, depth: int = 0) -> Pieces:
        """Return the text of a part of the structure."""
        if tree is None:
            return ["None"]
        if trees.is_leaf(tree):
            if tree.__class__ is not IR:  # a program is named in any case: it stands below
                self.left -= 1
            return self.writer.leaf(tree, self.define)
        opening, entries, closing = _opened(tree)
        return [opening, *(self.entries(entries, depth) if depth < _DEPTH else ["…"]), closing]

    def entries(self, entries: list[tuple[str, Any]], depth: int = 0) -> Pieces:
        """Return entries with commas between them, and once, where there are too many, how many more there are."""
        pieces: Pieces = []
        for prefix, child in entries:
            text: Pieces = []
            if self.left > 0 or child.__class__ is IR:
                text = [prefix, *self.node(child, depth + 1)]
            elif not self.cut:
                self.cut = True
                text = [f"… {self.total - _LEAVES} more"]
            if text:
                pieces += [", ", *text] if pieces else text
        return pieces


def _opened(tree: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Return how a structure begins, its entries with what stands before each, and how it ends."""
    cls: type[Any] = tree.__class__
    if cls is tuple:
        return "(", [("", child) for child in tree], ",)" if len(tree) == 1 else ")"
    if cls is list:
        return "[", [("", child) for child in tree], "]"
    if cls is dict:
        return "{", [(f"{_short(repr(key))}: ", child) for key, child in tree.items()], "}"
    parts = getattr(cls, "printed_parts", None)
    if parts is not None:
        return parts(tree)
    if dataclasses.is_dataclass(cls):
        return f"{cls.__name__}(", [(f"{f.name}=", getattr(tree, f.name)) for f in dataclasses.fields(cls)], ")"
    names: Any = getattr(cls, "_fields", None)
    if isinstance(tree, tuple) and names is not None:
        return f"{cls.__name__}(", [(f"{n}=", c) for n, c in zip(names, cast("Any", tree), strict=False)], ")"
    children, treedef = one_level(tree)
    keys: list[Any] = treedef.entries()
    return f"{cls.__name__}(", [(f"{_short(repr(k))}: ", c) for k, c in zip(keys, children, strict=True)], ")"


def _literal(leaf: Any) -> str:
    if isinstance(leaf, frozenset):
        return "{" + ", ".join(sorted([_literal(entry) for entry in cast("frozenset[Any]", leaf)])) + "}"
    name = getattr(leaf, "__name__", None)
    if callable(leaf) and isinstance(name, str):
        return name
    try:
        return _short(_ADDRESS.sub("", repr(leaf)))
    except ValueError:  # Python writes no integer of thousands of digits in decimal
        return _short(f"{leaf:#x}") if isinstance(leaf, int) else f"<{type(leaf).__name__}>"


def _type(var: IRVar) -> str:
    return "[" * var.depth + _short(var.aval.label) + "]" * var.depth


def _tags(eqn: IREqn) -> Pieces:
    return [" tags={", ", ".join(sorted([_literal(tag) for tag in eqn.tags])), "}"] if eqn.tags else []


def _short(text: str) -> str:
    """Return a literal on one line, without its middle where it is long."""
    text = text.replace("\n", " ")
    if len(text) <= _TEXT:
        return text
    return f"{text[: _TEXT - 20]}… ({len(text)} characters) …{text[-8:]}"
