"""Programs as plain data: for pickle, as JSON, and as a digest that equal programs share.

A document holds all programs once, inner ones before those that hold them, each with a list of its variables:

    {"format": "alkahest-program", "version": 1, "programs": [
        {"vars": ["str", "str"], "in": {"tuple": [{"var": 0}]}, "out": {"var": 1},
         "eqns": [{"prim": "concat", "in": {"tuple": [{"var": 0}, "!"]}, "out": {"var": 1}}]}]}

Places in the user's text (`IREqn.where`) are kept by pickle alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable
from typing import Any

from alkahest.errors import AlkahestError, SerializationError
from alkahest.ir.decoding import (
    Damage,
    PickleReader,
    Reader,
    clip,
    get_entry,
    get_index,
    get_list,
    get_pair,
    read_prim,
)
from alkahest.ir.encoding import DigestWriter, PickleWriter, Writer, sorted_data
from alkahest.ir.encoding import register_aval_name as register_aval_name
from alkahest.ir.encoding import register_json_type as register_json_type
from alkahest.ir.graph import nested_irs
from alkahest.ir.ir import IR, IREqn, check_ir

FORMAT = "alkahest-program"
VERSION = 1


def ir_to_json(ir: IR, /) -> str:
    """Return `ir` as JSON, the same text in every process; `ir_from_json` reads it.

    What JSON cannot say (functions, classes that `register_json_type` does not know) raises `SerializationError`, which
    names the equation.

    >>> import alkahest as af
    >>> ir = af.trace(lambda name: af.format("hello {}", name))("you")
    >>> ir_from_json(ir_to_json(ir)).call("Ada")
    'hello Ada'
    """
    return json.dumps(_document(check_ir(ir, "ir_to_json"), Writer()), separators=(",", ":"))


def ir_from_json(text: str, /) -> IR:
    """Return the program that `ir_to_json` wrote; nothing in `text` is executed.

    Text that is damaged, of another kind or of a newer version raises `SerializationError`, as do primitives that
    nothing here declares.
    """
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(f"it is no JSON: {error}") from None
    return _read(data, Reader())


def ir_state(ir: IR, /) -> dict[str, Any]:
    """Return `ir` as data for pickle: as in JSON, and structures and values that only pickle can say."""
    return _document(ir, PickleWriter())


def ir_from_state(state: Any, /) -> IR:
    """Return the program of `ir_state`; what is none raises `SerializationError`."""
    return _read(state, PickleReader())


def ir_digest(ir: IR, /) -> str:
    """Return the SHA-256, in hexadecimal, of what `ir` says: equal programs have equal digests, in every process.

    Names of variables, places in the user's text and the order in which dicts were built do not count.

    >>> import alkahest as af
    >>> ir_digest(af.trace(lambda x: x + "!")("a")) == ir_digest(af.trace(lambda y: y + "!")("b"))
    True
    """
    digests: dict[int, Any] = {}
    for program in nested_irs(check_ir(ir, "ir_digest")):
        data = _program(program, DigestWriter(digests))
        text = json.dumps(data, separators=(",", ":"), sort_keys=True)
        digests[id(program)] = hashlib.sha256(text.encode()).hexdigest()
    return digests[id(ir)]


def ir_diff(a: IR, b: IR, /) -> str:
    """Return how the printed forms of two programs differ, as a unified diff; empty where they do not.

    >>> import alkahest as af
    >>> print(ir_diff(af.trace(lambda x: x + "!")("a"), af.trace(lambda x: x + "?")("a")))
     program(a:str):
    -  b:str = concat(a, '!')
    +  b:str = concat(a, '?')
       return b
    """
    import difflib

    from alkahest.ir.printing import ir_text

    before, after = [ir_text(check_ir(ir, "ir_diff")).splitlines() for ir in (a, b)]
    return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=3))[3:])


# -- writing


def _document(ir: IR, writer: Writer) -> dict[str, Any]:
    programs: list[Any] = []
    for program in nested_irs(ir):
        programs.append(_program(program, writer))
        writer.programs[id(program)] = len(programs) - 1
    return {"format": FORMAT, "version": VERSION, "programs": programs}


def _program(ir: IR, writer: Writer) -> dict[str, Any]:
    writer.start()
    # Variables are numbered as they are met: inputs, then equation by equation.
    data: dict[str, Any] = {"in": _placed(writer, ir.in_ir_tree, "the inputs")}
    data["eqns"] = [_equation(eqn, writer) for eqn in ir.ir_eqns]
    data["out"] = _placed(writer, ir.out_ir_tree, "the output")
    if ir.ordered is not None:
        data["ordered"] = sorted(ir.ordered)
    return {"vars": writer.avals, **data}


def _equation(eqn: IREqn, writer: Writer) -> dict[str, Any]:
    try:
        data: dict[str, Any] = {"prim": writer.prim(eqn.prim), "in": writer.tree(eqn.in_ir_tree)}
        data["out"] = writer.tree(eqn.out_ir_tree)
        if eqn.params:
            data["params"] = {name: writer.tree(value) for name, value in eqn.params.items()}
        if eqn.tags:
            data["tags"] = _sorted_tags(eqn.tags, writer)
        if writer.keeps_places and eqn.where is not None:
            data["where"] = eqn.where
    except (SerializationError, RecursionError) as error:
        raise _unsaved(error, f"the equation `{eqn!r}`") from error
    return data


def _sorted_tags(tags: Iterable[Hashable], writer: Writer) -> list[Any]:
    made = [writer.tree(tag) for tag in tags]
    return made if writer.keeps_places else sorted_data(made)


def _placed(writer: Writer, tree: Any, place: str) -> Any:
    try:
        return writer.tree(tree)
    except (SerializationError, RecursionError) as error:
        raise _unsaved(error, f"{place} of the program") from error


def _unsaved(error: Exception, place: str) -> SerializationError:
    what = error.message if isinstance(error, SerializationError) else "a structure is nested too deep."
    remedy = error.remedy if isinstance(error, SerializationError) else "Nest less."
    return SerializationError(f"{place} cannot be saved: {what}", remedy=remedy)


# -- reading


def _read(data: Any, reader: Reader) -> IR:
    try:
        if get_entry(data, "format") != FORMAT:
            raise Damage(f"its format is {clip(data['format'])}")
        if get_entry(data, "version") != VERSION:
            raise SerializationError(
                f"the program is saved in version {clip(data['version'])} of the format, and {VERSION} is read here.",
                remedy="Read it with the Alkahest that wrote it, or a newer one.",
            )
        for program in get_list(get_entry(data, "programs")):
            reader.programs.append(_read_program(program, reader))
        if not reader.programs:
            raise Damage("it holds no program")
        return reader.programs[-1]
    except SerializationError:
        raise
    except (Damage, AlkahestError) as error:
        raise _damaged(error.message if isinstance(error, AlkahestError) else str(error)) from error
    except Exception as error:  # whatever goes wrong in reading is wrong with what is read
        raise _damaged(f"{type(error).__name__}: {error}") from error


def _read_program(data: Any, reader: Reader) -> IR:
    reader.vars = [reader.new_var(entry) for entry in get_list(get_entry(data, "vars"))]
    ins = reader.tree(get_entry(data, "in"))
    if not isinstance(ins, tuple):
        raise Damage("the inputs of a program are no tuple")
    eqns = [_read_equation(eqn, reader) for eqn in get_list(get_entry(data, "eqns"))]
    ordered = data.get("ordered")
    kept = None if ordered is None else frozenset([get_index(k, eqns) for k in get_list(ordered)])
    ir = IR(eqns, ins, reader.tree(get_entry(data, "out")), ordered=kept)
    _ = ir.code  # a variable that is defined twice, or not at all, is found here
    return ir


def _read_equation(data: Any, reader: Reader) -> IREqn:
    params = data.get("params", {})
    where = data.get("where")
    if where is not None:
        file, line = get_pair(where)
        where = (str(file), int(line))
    return IREqn(
        read_prim(get_entry(data, "prim")),
        reader.tree(get_entry(data, "in")),
        reader.tree(get_entry(data, "out")),
        {str(name): reader.tree(value) for name, value in params.items()},
        frozenset(reader.trees(data.get("tags", []))),
        where=where,
    )


def _damaged(what: str) -> SerializationError:
    return SerializationError(
        f"the saved program is damaged, or is none: {what}.", remedy="Save the program again with ir_to_json or pickle."
    )
