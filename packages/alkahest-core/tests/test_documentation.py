"""The tables of the documentation say what the code says."""

import ast
import importlib
import inspect
import os
import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

import alkahest
from alkahest import CompileConfig, errors
from alkahest.base.prim import Prim
from alkahest.base.rules import impl_rules
from alkahest.plugins import hookspecs
from alkahest.plugins.checks import HOOKS
from alkahest.prims.standard import MODULES

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs"
SOURCE = Path(alkahest.__file__).parent
CODE = re.compile(r"`([^`]*)`")
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not here")
# The public call of a primitive where it is not its name.
OPERATORS = {"add": "a + b", "sub": "a - b", "mul": "a * b", "div": "a / b", "neg": "-a"}
NAMES = {"and": "and_", "or": "or_", "not": "not_"}


def tables(page):
    """Yield (heading, first row, further rows) for each table of a page; a row is a list of cells."""
    heading, rows = "", []
    for line in [*(DOCS / page).read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
            continue
        if rows:
            yield heading, rows[0], rows[2:]
            rows = []
        if line.startswith("#"):
            heading = line.lstrip("# ")


def table(page, *first_row):
    """Return the rows of the table that begins with these headings."""
    (found,) = [rows for _, head, rows in tables(page) if tuple(head[: len(first_row)]) == first_row]
    return found


def codes(cell):
    return CODE.findall(cell)


def plain(cell):
    return cell.replace("`", "")


def core_primitives():
    declared = {p.name for module in MODULES for p in vars(module).values() if isinstance(p, Prim)}
    assert len(declared) > 50
    return declared


def arrays_by(name):
    """Return in words who computes the arrays of a primitive, from the import paths it declares."""
    paths = impl_rules.by_name(name)._array_names
    if not paths:
        return "entry by entry"
    if "scipy" in paths[0]:
        return "SciPy where installed, else entry by entry"
    return "NumPy" if paths[0].startswith("numpy.") else "ours, with NumPy"


def test_the_table_of_functions_lists_every_primitive():
    rows = table("expressions.md", "call", "primitive", "value", "arrays by")
    assert sorted(plain(row[1]) for row in rows) == sorted(core_primitives())
    for call, primitive, _, by in rows:
        name = plain(primitive)
        assert by == arrays_by(name), name
        if name in OPERATORS:
            assert plain(call) == OPERATORS[name]
        else:
            function = plain(call).partition("(")[0]
            assert function == NAMES.get(name, name)
            assert callable(getattr(alkahest, function))


def test_calls_in_the_table_have_the_parameters_of_the_functions():
    for call, primitive, *_ in table("expressions.md", "call", "primitive", "value", "arrays by"):
        if plain(primitive) in OPERATORS:
            continue
        name, _, rest = plain(call).rstrip(")").partition("(")
        parameters = inspect.signature(getattr(alkahest, name)).parameters.values()
        wanted = ["…" if p.kind is p.VAR_POSITIONAL else p.name for p in parameters]
        assert rest.split(", ") in (wanted, ["c", "a", "b"] if name == "where" else wanted), call


def declared_errors():
    """Yield (class, module) for every error of Alkahest, those declared outside of errors.py too."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                module = ".".join(["alkahest", *path.relative_to(SOURCE).with_suffix("").parts])
                found = getattr(importlib.import_module(module), node.name)
                assert issubclass(found, errors.AlkahestError), f"{module}.{node.name} is no AlkahestError"
                yield found


def builtin_bases(cls):
    """Return the built-in errors that a class is, without those which these are anyway."""
    found = [b for b in cls.__mro__ if b.__module__ == "builtins"]
    return {b.__name__ for b in found if not any(c is not b and issubclass(c, b) for c in found)}


def test_the_table_of_errors_lists_every_class():
    rows = {plain(row[0]): row[1:] for row in table("errors.md", "class", "code", "also a")}
    known = {c.__name__: c for c in declared_errors()}
    assert set(rows) == set(known)
    for name, (code, bases, raised, remedy) in rows.items():
        assert code == known[name].code
        assert set(codes(bases)) == builtin_bases(known[name]), name
        assert raised
        assert remedy


def test_codes_of_errors_are_their_own():
    listed = [c.code for c in declared_errors()]
    assert len(listed) == len(set(listed))


def test_the_table_of_settings_lists_every_field():
    rows = table("code-generation.md", "field", "default")
    listed = [(plain(row[0]), ast.literal_eval(plain(row[1]))) for row in rows]
    assert listed == [(f.name, f.default) for f in fields(CompileConfig)]


def test_the_table_of_hooks_lists_every_hook():
    listed = {plain(row[0]) for row in table("backends.md", "hook")}
    parameters = {name: inspect.signature(getattr(hookspecs, name)).parameters for name in HOOKS}
    assert listed == {f"{name}({', '.join(names)})" for name, names in parameters.items()}


def test_the_table_of_the_environment_lists_what_is_read():
    listed = {plain(row[0]) for row in table("code-generation.md", "environment variable")}
    read = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call | ast.Subscript) and "environ" in ast.unparse(node):
                read |= set(re.findall(r"'(ALKAHEST_\w+)'", ast.unparse(node)))
    assert listed == read


def test_the_table_of_layers_is_the_one_that_is_checked():
    rows = table("architecture.md", "row", "parts")
    checked = runpy.run_path(str(Path(__file__).with_name("test_layers.py")))["ROWS"]
    assert [(int(row), set(codes(parts))) for row, parts in reversed(rows)] == list(enumerate(checked))


def test_every_file_has_a_line():
    sources = REPOSITORY.glob("packages/*/src")
    present = {path.relative_to(source).as_posix() for source in sources for path in source.rglob("*.py")}
    # Folders are described by headings, so that of all `__init__.py` only the public table of names has a line.
    present = {name for name in present if not name.endswith("__init__.py")} | {"alkahest/__init__.py"}
    listed = {
        f"{heading}/{plain(row[0])}"
        for heading, head, rows in tables("architecture.md")
        if head[0] == "file"
        for row in rows
    }
    assert sorted(present - listed) == []
    assert sorted(listed - present) == []


def pages():
    patterns = ("*.md", "docs/**/*.md", "packages/*/*.md", "benchmarks/*.md", "examples/**/*.md")
    return sorted(page for pattern in patterns for page in REPOSITORY.glob(pattern))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            assert os.path.exists(page.parent / target), target


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_in_the_pages_exist(page):
    """Each `alkahest …` in a console block is a command with those options."""
    pytest.importorskip("click", reason="the extra `cli` is not installed")
    pytest.importorskip("rich", reason="the extra `cli` is not installed")
    from alkahest.cli.app import app

    for block in re.findall(r"```(?:console|bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for command, rest in re.findall(r"(?:^\$ |^|&& )alkahest +([a-z]+)([^#\n]*)", block, re.MULTILINE):
            found = app.get_command(None, command)
            assert found is not None, command
            options = {option for parameter in found.params for option in parameter.opts}
            assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options, rest


def test_what_a_command_writes_is_written():
    """No section that a benchmark fills is empty."""
    found = 0
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for name, content in re.findall(r"<!-- ([\w-]+): begin -->(.*?)<!-- \1: end -->", text, re.DOTALL):
            found += 1
            assert content.strip().startswith(tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ|")), f"{page.name}: {name} is empty"
    assert found >= 4
