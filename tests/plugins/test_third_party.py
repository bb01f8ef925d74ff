"""Distributions of other people: the example of the documentation works, and broken ones are named and do no harm.

Both are built and installed with pip into a folder of their own, which only the processes started here see.
"""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "plugin-example"
BROKEN = ROOT / "docs" / "plugin-broken"

STATUSES = {
    "broken-exits": ("failed", "SystemExit: this plugin cannot go on"),
    "broken-hook": ("failed", "'flavour'"),
    "broken-import": ("failed", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"),
    "broken-liar": ("failed", "alkahest_backends: TypeError: gave a list with a dict in it, not BackendInfo"),
    "broken-missing": ("failed", "ModuleNotFoundError: No module named 'alkahest_broken.no_such_module'"),
    "broken-old": ("incompatible", "ALKAHEST_API 0"),
    "broken-tier": ("loaded", ""),
    "broken-typo": ("failed", "did you mean alkahest_backends?"),
}
# A third party's tier and function, and what core does, in a process full of broken plugins.
USE = """
import math
from alkahest import CompileConfig, ExprPool, compile_expr, diff, emit, eval_expr, parse, sin
from alkahest_rpn import softplus

pool = ExprPool()
x, y = pool.symbols("x y")
rpn = CompileConfig(backend="rpn", fallback=False)
f = compile_expr([softplus(x) + y, diff(softplus(x), x)], [x, y], config=rpn)
assert f.tier == "rpn"
value, slope = f([0.0, 1.0])
assert abs(value - (math.log(2.0) + 1.0)) <= 4e-16, value
assert abs(slope - 0.5) <= 2e-16, slope
assert emit(x * x + sin(y), [x, y], format="rpn") == "x x * y sin +"

cheapest = compile_expr(x * x + sin(y), [x, y])
assert "failed: RuntimeError: the compiler crashed" in str(cheapest.explain()), cheapest.explain()
assert cheapest([3.0, 0.0]) == 9.0
assert eval_expr(x + y, {x: 1.0, y: 2.0}) == 3.0
print("used", cheapest.tier)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    # Without hatchling here, pip fetches it for the build, as for any source distribution.
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    done = subprocess.run(
        [*command, *isolation, str(EXAMPLE), str(BROKEN)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def python(site, tmp_path):
    """Run Python with both distributions installed; return what it printed, and its exit code."""

    def run(*arguments, **settings):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALKAHEST_")}
        environ = kept | {"PYTHONPATH": str(site), "ALKAHEST_CONFIG_DIR": str(tmp_path)} | settings
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environ,
        )

    return run


@pytest.fixture
def alkahest(python):
    """Run the command line, which needs the extra `cli`."""
    pytest.importorskip("click", reason="needs the extra `cli`")
    pytest.importorskip("rich", reason="needs the extra `cli`")

    def run(*arguments, **settings):
        return python("-c", "from alkahest.cli import main; main()", *arguments, **settings)

    return run


def plugins_of(done):
    assert done.returncode == 0, done.stderr
    return {entry["name"]: entry for entry in json.loads(done.stdout)["plugins"]}


def test_every_plugin_is_listed_with_what_became_of_it(alkahest):
    found = plugins_of(alkahest("plugins", "--json"))
    rpn = found["rpn"]
    assert (rpn["status"], rpn["distribution"], rpn["version"]) == ("loaded", "alkahest-rpn-example", "0.1.0")
    assert (rpn["backends"], rpn["emitters"]) == (["rpn"], ["rpn"])
    assert rpn["hooks"] == [
        "alkahest_backends",
        "alkahest_emitters",
        "alkahest_lowerings",
        "alkahest_primitives",
        "alkahest_rewrites",
    ]
    for name, (status, said) in STATUSES.items():
        assert found[name]["distribution"] == "alkahest-broken-example"
        assert found[name]["status"] == status, name
        assert said in found[name]["detail"], name
    assert found["core"]["status"] == "loaded"


def test_a_plugin_works_beside_broken_ones(python):
    done = python("-c", USE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("used ")


def test_doctor_names_the_broken_ones_and_not_the_example(alkahest):
    done = alkahest("doctor", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    for name, (status, _) in STATUSES.items():
        assert any(p.startswith(f"plugin {name} ") for p in found["problems"]) is (status != "loaded"), name
    assert "tier broken: fails: RuntimeError: the compiler crashed" in found["problems"]
    assert found["tiers"]["rpn"]["state"] == "runs"


def test_the_allow_list_leaves_them_out(alkahest, python):
    found = plugins_of(alkahest("plugins", "--json", ALKAHEST_PLUGINS="c,rpn"))
    loaded = {name for name, entry in found.items() if entry["status"] == "loaded"}
    assert loaded == {"core", "c", "rpn"}
    assert {found[name]["status"] for name in STATUSES} == {"disabled"}
    found = plugins_of(alkahest("plugins", "--json", ALKAHEST_PLUGINS=""))
    assert {name for name, entry in found.items() if entry["status"] == "loaded"} == {"core"}
    alone = "from alkahest import ExprPool, compile_expr; x = ExprPool().symbol('x'); print(compile_expr(x, [x]).tier)"
    assert python("-c", alone, ALKAHEST_PLUGINS="").stdout == "interpreter\n"


def test_listing_plugins_imports_nothing_heavy(python):
    code = """
import sys
import alkahest.extend
assert "pluggy" in sys.modules
assert not [m for m in sys.modules if m.startswith("alkahest_")], "plugins are found at first need"
from alkahest.plugins.manager import plugins
plugins().backends()
assert "alkahest_rpn.plugin" in sys.modules
heavy = "numpy egglog optree llvmlite jax torch triton alkahest_rpn.machine".split()
print([m for m in heavy if m in sys.modules])
"""
    done = python("-c", code)
    assert done.stdout == "[]\n", done.stderr


def test_the_tests_of_the_example_pass(python):
    done = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(EXAMPLE / "tests")
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"\d+ passed", done.stdout)


def test_the_example_imports_the_facade_alone():
    for path in EXAMPLE.rglob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            core = {name for name in names if name and name.split(".")[0] == "alkahest"}
            assert core <= {"alkahest", "alkahest.extend"}, path


def test_the_tutorial_shows_the_files_as_they_are():
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL))
    assert {name: (EXAMPLE / name).read_text(encoding="utf-8") for name in shown} == shown
    files = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*.py")} | {"pyproject.toml"}
    assert files - set(shown) == {"src/alkahest_rpn/__init__.py"}
