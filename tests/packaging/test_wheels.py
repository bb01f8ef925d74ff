"""The wheels of this tree, and what is installed from them alone. `tox -e wheels` builds the wheelhouse."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEELHOUSE = os.environ.get("ALKAHEST_WHEELHOUSE")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
TOP_LEVEL = {
    "alkahest": set(),
    "alkahest_core": {"alkahest"},
    "alkahest_gpu": {"alkahest_gpu"},
    "alkahest_jax": {"alkahest_jax"},
    "alkahest_llvm": {"alkahest_llvm"},
}

pytestmark = pytest.mark.skipif(not WHEELHOUSE, reason="needs the wheelhouse that `tox -e wheels` builds")

# What a user does first. It runs where the installed wheels can be seen and nothing else.
SMOKE = """
import importlib.metadata, math, pathlib, sys
import alkahest

owners = importlib.metadata.packages_distributions()["alkahest"]
assert set(owners) == {"alkahest-core"}, owners
assert pathlib.Path(alkahest.__file__).is_relative_to(sys.prefix), alkahest.__file__
plugins = {point.name for point in importlib.metadata.entry_points(group="alkahest.plugins")}
assert plugins == set(sys.argv[1].split(",")), plugins

pool = alkahest.ExprPool()
x, y = pool.symbol("x"), pool.symbol("y")
f = alkahest.compile_expr(x**2 + alkahest.sin(y), [x, y], config=alkahest.CompileConfig(backend=sys.argv[2]))
got = f([3.0, 0.5])
assert abs(got - (9.0 + math.sin(0.5))) <= 4e-15, got
"""


class Environment:
    """A fresh virtual environment: no packages but pip, no configuration, no index."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        # Also without PYTHON*: the tree must not be importable from here.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "ALKAHEST_"))}
        self.environ = kept | {
            "PIP_CONFIG_FILE": os.devnull,
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
        }
        self.folder = folder

    def run(self, *command, check=True):
        """Run a program of the environment, away from the source tree; return status and output."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command} failed:\n{done.stdout}\n{done.stderr}"
        return done

    def install(self, *requirements):
        self.run("python", "-m", "pip", "install", "--no-index", "--find-links", WHEELHOUSE, *requirements)


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("cpu"))
    environment.install("alkahest[llvm]")
    return environment


@pytest.mark.parametrize("stem", TOP_LEVEL)
def test_contents_of_the_wheel(stem):
    path = Path(WHEELHOUSE) / f"{stem}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        info = f"{stem}-{VERSION}.dist-info"
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert {name.split("/")[0] for name in names} - {info} == TOP_LEVEL[stem]
    assert {f"{package}/py.typed" for package in TOP_LEVEL[stem]} <= names
    assert f"{info}/licenses/LICENSE" in names
    assert metadata["Name"] == stem.replace("_", "-")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload().strip(), "the README is the long description"
    assert [name for name in names if "/tests/" in name or name.endswith(".pyc")] == []


def test_cpu_backend_from_the_wheelhouse_alone(cpu):
    cpu.run("python", "-W", "error", "-c", SMOKE, "core,c,litellm,llvm", "llvm")
    cpu.run("python", "-m", "pip", "check")


def test_gpu_backend_from_the_wheelhouse_alone(tmp_path):
    environment = Environment(tmp_path)
    environment.install("alkahest[gpu]")
    environment.run("python", "-W", "error", "-c", SMOKE, "core,c,litellm,llvm,gpu", "llvm")
    environment.run("python", "-m", "pip", "check")


def test_the_command_works_with_its_extra_and_says_so_without(cpu):
    done = cpu.run("alkahest", "doctor", check=False)
    assert done.returncode != 0
    assert "alkahest-core[cli]" in done.stderr
    assert "Traceback" not in done.stderr
    cpu.install("alkahest[cli]")
    assert "alkahest-core" in cpu.run("alkahest", "doctor").stdout
    assert "llvm" in cpu.run("alkahest", "plugins").stdout


def test_first_command_of_the_readme(tmp_path):
    """In a fresh environment, with the index that the machine is set up for, from the root of the tree."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^```(?:bash|sh|console)\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[1]
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ALKAHEST_"))}
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=ROOT,
        env=kept | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    # Every file the pattern named is in the table: the fit command stands for "the main job".
    files = sorted(path.stem for path in ROOT.glob("examples/nist_strd/*.dat"))
    assert files
    assert [name for name in files if name not in done.stdout] == []
