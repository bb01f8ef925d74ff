"""The layers of core, read from its imports: a module imports only from its own row or rows below."""

import ast
from pathlib import Path

import alkahest

ROOT = Path(alkahest.__file__).parent
ROWS = [
    {"errors", "settings"},
    {"base", "plugins"},
    {"expr", "ir", "models"},
    {"prims"},
    {"symbolic", "emitting", "transforms", "machine"},
    {"compile"},
    {"__init__", "extend", "builtin", "cli", "fitting", "intervals", "testing"},
]
ROW = {name: k for k, names in enumerate(ROWS) for name in names}

# Imports that point upwards on purpose; each is late, inside a function.
UPWARDS = {
    ("emitting", "compile"): "the plugin describes the `c` tier by an import string, its module lives in compile",
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "alkahest":
                yield from (f"alkahest.{alias.name}" for alias in node.names)


def part(path):
    relative = path.relative_to(ROOT).with_suffix("").parts
    return relative[0]


def test_every_module_stands_in_a_row():
    assert {part(p) for p in ROOT.rglob("*.py")} <= set(ROW)


def test_imports_point_downwards():
    wrong = []
    for path in ROOT.rglob("*.py"):
        mine = part(path)
        for name in imported(path):
            pieces = name.split(".")
            if pieces[0] != "alkahest" or len(pieces) < 2 or pieces[1] not in ROW:
                continue
            if ROW[pieces[1]] > ROW[mine] and (mine, pieces[1]) not in UPWARDS:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_formulas_and_programs_meet_in_the_bridge_alone():
    crossing = set()
    for mine, other in (("expr", "ir"), ("ir", "expr")):
        for path in (ROOT / mine).rglob("*.py"):
            if any(name == f"alkahest.{other}" or name.startswith(f"alkahest.{other}.") for name in imported(path)):
                crossing.add(path.relative_to(ROOT).as_posix())
    assert crossing == {"ir/bridge.py"}


def test_clients_of_models_know_nothing_of_programs():
    for path in (ROOT / "models").rglob("*.py"):
        known = {name.split(".")[1] for name in imported(path) if name.startswith("alkahest.")}
        assert not known & {"ir", "expr"}, path


def test_egglog_is_imported_by_one_module_at_most():
    users = [p.name for p in ROOT.rglob("*.py") if any(n.split(".")[0] == "egglog" for n in imported(p))]
    assert set(users) <= {"bindings.py"}


def test_no_package_imports_sympy():
    packages = ROOT.parents[2]
    for path in packages.glob("*/src/**/*.py"):
        assert not any(n.split(".")[0] == "sympy" for n in imported(path)), path


def test_backends_import_the_facade_alone():
    packages = ROOT.parents[2]
    for name in ("llvm", "gpu", "jax"):
        for path in (packages / f"alkahest-{name}" / "src").rglob("*.py"):
            for module in imported(path):
                if module.split(".")[0] == "alkahest":
                    assert module in ("alkahest", "alkahest.extend") or module.startswith("alkahest.extend."), path


def test_no_file_has_the_stem_of_a_public_name():
    stems = {p.stem for p in ROOT.glob("*.py")} | {p.name for p in ROOT.iterdir() if p.is_dir()}
    assert not stems & set(alkahest._WHERE)
