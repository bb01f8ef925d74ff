"""The five pyproject.toml files agree: one version, the same extras, plugins and licences declared."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORT_NAMES = {
    "alkahest-core": "alkahest",
    "alkahest-gpu": "alkahest_gpu",
    "alkahest-jax": "alkahest_jax",
    "alkahest-llvm": "alkahest_llvm",
}
FOLDERS = {"alkahest": ROOT} | {name: ROOT / "packages" / name for name in IMPORT_NAMES}
PYPROJECTS = {
    name: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for name, folder in FOLDERS.items()
}
PROJECTS = {name: data["project"] for name, data in PYPROJECTS.items()}
VERSION = PROJECTS["alkahest"]["version"]

every_distribution = pytest.mark.parametrize("name", PROJECTS)
every_package = pytest.mark.parametrize("name", IMPORT_NAMES)


def requirements(name):
    project = PROJECTS[name]
    return [*project["dependencies"], *chain(*project.get("optional-dependencies", {}).values())]


def test_every_package_folder_is_known_here():
    assert {path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")} == set(IMPORT_NAMES)


@every_distribution
def test_name_and_version(name):
    assert (PROJECTS[name]["name"], PROJECTS[name]["version"]) == (name, VERSION)


def test_changelog_has_the_version():
    assert PYPROJECTS["alkahest"]["tool"]["towncrier"]["version"] == VERSION


@every_distribution
def test_our_packages_are_required_in_exactly_this_version(name):
    ours = [r for r in requirements(name) if r.startswith("alkahest")]
    assert [r for r in ours if not re.fullmatch(rf"alkahest-[a-z]+(\[[a-z,]+\])?=={re.escape(VERSION)}", r)] == []


@every_distribution
def test_other_packages_have_a_lower_bound(name):
    others = [r for r in requirements(name) if not r.startswith("alkahest")]
    assert [r for r in others if ">=" not in r] == []


def test_lowest_versions_are_what_the_environment_lowest_installs():
    bounds = {
        re.sub(r"\[.*\]|,.*", "", r).replace(">=", "==") for r in chain(*map(requirements, PROJECTS)) if ">=" in r
    }
    text = (ROOT / "tests" / "packaging" / "lowest.txt").read_text(encoding="utf-8")
    assert {line for line in text.splitlines() if not line.startswith("#")} == bounds


@every_distribution
def test_licence_and_python_versions(name):
    project = PROJECTS[name]
    assert (project["license"], project["license-files"], project["requires-python"]) == (
        "Apache-2.0",
        ["LICENSE"],
        ">=3.11",
    )
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_root_forwards_every_extra_of_core():
    root, core = (PROJECTS[name]["optional-dependencies"] for name in ("alkahest", "alkahest-core"))
    assert {extra: root[extra] for extra in core} == {extra: [f"alkahest-core[{extra}]=={VERSION}"] for extra in core}


def test_all_is_the_union_of_the_extras():
    extras = PROJECTS["alkahest"]["optional-dependencies"]
    forwarded = ",".join(sorted(PROJECTS["alkahest-core"]["optional-dependencies"]))
    rest = {r for name, group in extras.items() if name != "all" for r in group if "[" not in r}
    assert set(extras["all"]) == rest | {f"alkahest-core[{forwarded}]=={VERSION}"}


def test_plugins_and_the_command_are_declared():
    entry_points = {
        name: project["entry-points"]["alkahest.plugins"]
        for name, project in PROJECTS.items()
        if "entry-points" in project
    }
    assert entry_points == {
        "alkahest-core": {
            "core": "alkahest.builtin",
            "c": "alkahest.emitting.plugin",
            "litellm": "alkahest.models.plugin",
        },
        "alkahest-gpu": {"gpu": "alkahest_gpu.plugin"},
        "alkahest-jax": {"jax": "alkahest_jax.plugin"},
        "alkahest-llvm": {"llvm": "alkahest_llvm.plugin"},
    }
    scripts = {name: project["scripts"] for name, project in PROJECTS.items() if "scripts" in project}
    assert scripts == {"alkahest-core": {"alkahest": "alkahest.cli:main"}}


@every_package
def test_a_package_holds_its_own_import_name_and_no_other(name):
    source = FOLDERS[name] / "src"
    assert [p.name for p in source.iterdir() if p.name != "__pycache__"] == [IMPORT_NAMES[name]]
    assert (source / IMPORT_NAMES[name] / "__init__.py").is_file()
    assert (source / IMPORT_NAMES[name] / "py.typed").is_file()


def test_ci_runs_the_test_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^pip install tox && tox$", readme, re.MULTILINE)
    assert re.search(r"^pip install --quiet tox$", ci, re.MULTILINE)
    assert re.search(r"^tox --recreate ", ci, re.MULTILINE)
