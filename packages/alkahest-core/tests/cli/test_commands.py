"""The command line: help without weight, errors in two lines, exit codes."""

import dataclasses
import json
import subprocess
import sys

import pytest

from alkahest import builtin, cli, extend
from alkahest.plugins import manager
from alkahest.testing import NullBackend, null_tier

click = pytest.importorskip("click", reason="needs the extra `cli`")
pytest.importorskip("rich", reason="needs the extra `cli`")

from click.testing import CliRunner  # noqa: E402

from alkahest.cli.app import COMMANDS, app  # noqa: E402 - needs click

HEAVY = ("numpy", "scipy", "llvmlite", "jax", "torch", "triton", "egglog", "optree", "sympy", "rich")


@pytest.fixture(autouse=True)
def only_core(monkeypatch, tmp_path):
    """What else is installed or calibrated here is none of these tests' business."""
    monkeypatch.delenv("ALKAHEST_PLUGINS", raising=False)
    monkeypatch.setenv("ALKAHEST_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setattr(manager, "_installed", list)
    manager.reset_plugins()
    yield
    manager.reset_plugins()


def run(*arguments):
    return CliRunner().invoke(app, arguments, prog_name="alkahest")


def test_help_lists_every_command_and_imports_nothing_heavy():
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c"),
            "import sys; from alkahest.cli import main\n"
            "try: main()\n"
            f"except SystemExit as end: print(end.code, [m for m in {HEAVY} if m in sys.modules])",
            "--help",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


def test_version():
    import alkahest

    assert run("--version").output == f"alkahest {alkahest.__version__}\n"


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch, capsys):
    monkeypatch.setattr(cli, "NEEDED", ("click", "no_such_package"))
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert "needs no_such_package." in said
    assert 'pip install "./packages/alkahest-core[cli]"' in said


def raising(error):
    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            extend.ConfigError("a setting is wrong.", remedy="Mend it."),
            2,
            "alkahest: a setting is wrong.\nMend it. [E-CONFIG-001]\n",
        ),
        (extend.ConfigError("a setting is wrong."), 2, "alkahest: a setting is wrong. [E-CONFIG-001]\n"),
        (KeyboardInterrupt(), 130, "alkahest: interrupted\n"),
    ],
)
def test_errors_and_ctrl_c(monkeypatch, error, code, said):
    monkeypatch.setattr(type(app), "get_command", lambda self, ctx, name: raising(error))
    done = run("anything")
    assert (done.exit_code, done.stderr) == (code, said)


def test_an_unknown_command():
    done = run("bogus")
    assert done.exit_code == 2
    assert "No such command 'bogus'" in done.stderr


# -- plugins


def test_plugins_as_a_table():
    done = run("plugins")
    assert done.exit_code == 0
    assert "interpreter" in done.output
    assert "alkahest-core" in done.output


def test_plugins_as_json_with_a_broken_one(monkeypatch):
    monkeypatch.setattr(manager, "_installed", lambda: [Broken("broken"), Broken("broken_too")])
    manager.reset_plugins()
    done = run("plugins", "--json")
    assert done.exit_code == 0
    found = {entry["name"]: entry for entry in json.loads(done.output)["plugins"]}
    assert found["core"]["backends"] == ["interpreter"]
    assert found["core"]["hooks"] == ["alkahest_backends", "alkahest_executors"]
    assert found["c"]["emitters"] == ["c"]
    assert found["broken"] == {
        "name": "broken",
        "distribution": "alkahest-broken",
        "version": "9",
        "status": "failed",
        "detail": "OSError: no such library",
        "entry_point": "broken.plugin",
        "hooks": [],
        "backends": [],
        "emitters": [],
        "executors": [],
    }
    assert "broken_too (failed): OSError: no such library" in run("plugins").output


def test_plugins_tells_of_two_tiers_of_one_name():
    with null_tier("same"):
        manager.plugins().register(Twin(), "twin")
        (problem,) = json.loads(run("plugins", "--json").output)["problems"]
    assert "two plugins offer the backend 'same'" in problem
    assert "[E-PLUGIN-001]" in problem


class Twin:
    """A plugin with a tier called "same"."""

    ALKAHEST_API = 1

    @extend.hookimpl
    def alkahest_backends(self):
        (interpreter,) = builtin.alkahest_backends()
        return [dataclasses.replace(interpreter, name="same")]


class Broken:
    """An entry point that cannot be loaded."""

    group = manager.GROUP

    def __init__(self, name):
        from types import SimpleNamespace

        self.name, self.value = name, f"{name}.plugin"
        self.dist = SimpleNamespace(name=f"alkahest-{name}", version="9")

    def load(self):
        raise OSError("no such library")


# -- doctor


def doctor():
    done = run("doctor", "--json")
    found = json.loads(done.output)
    assert done.exit_code == (1 if found["problems"] else 0)
    return found


def test_doctor_finds_a_sound_installation():
    found = doctor()
    assert found["problems"] == []
    assert found["tiers"]["interpreter"] == {"targets": "cpu", "dtypes": "f32, f64", "state": "runs", "broken": False}
    assert found["packages"]["numpy"]
    assert {"system", "C compiler", "CUDA driver"} <= set(found["machine"])
    assert "No problem found." in run("doctor").output


def test_doctor_tells_a_tier_that_is_absent_from_one_that_is_broken():
    with null_tier("absent", NullBackend(missing="no such device")):
        found = doctor()
    assert found["tiers"]["absent"]["state"] == "no such device"
    assert found["problems"] == []
    with null_tier("faulty", NullBackend(failure=RuntimeError("the compiler crashed"))):
        found = doctor()
    assert found["problems"] == ["tier faulty: fails: RuntimeError: the compiler crashed"]


class Wrong(NullBackend):
    """Adds one to what the interpreter computes."""

    def compile(self, tape, options):
        kernel = super().compile(tape, options)
        evaluate = kernel.call_columns

        def call_columns(n, columns, out):
            evaluate(n, columns, out)
            extend.column_view(*out[0], n)[...] += 1

        kernel.call_columns = call_columns
        return kernel


def test_doctor_finds_a_tier_that_computes_wrongly():
    with null_tier("wrong", Wrong()):
        assert doctor()["problems"] == ["tier wrong: computes 3.5 instead of 2.5"]


def test_doctor_names_a_broken_plugin(monkeypatch):
    monkeypatch.setattr(manager, "_installed", lambda: [Broken("broken")])
    manager.reset_plugins()
    problem = "plugin broken (alkahest-broken) failed: OSError: no such library"
    assert doctor()["problems"] == [problem]
    shown = run("doctor")
    assert shown.exit_code == 1
    assert f"PROBLEM: {problem}" in shown.output


def test_doctor_names_a_plugin_that_was_asked_for_and_is_not_there(monkeypatch):
    monkeypatch.setenv("ALKAHEST_PLUGINS", "c,nowhere")
    manager.reset_plugins()
    (problem,) = doctor()["problems"]
    assert problem.startswith("plugin nowhere (not installed) failed: named in ALKAHEST_PLUGINS")


def distribution(folder, name, version, *files):
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:  # from Python 3.12 on, metadata names only files that exist
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_doctor_finds_the_alkahest_of_another_project(monkeypatch, tmp_path):
    distribution(tmp_path, "alkahest", "3.12", "alkahest/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = doctor()["problems"]
    assert "also installed by alkahest, which is another project" in problem


def test_our_own_distribution_without_modules_is_no_other_project(monkeypatch, tmp_path):
    distribution(tmp_path, "alkahest", "0.1.0")
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor()["problems"] == []


def test_doctor_finds_that_another_alkahest_is_imported_than_installed(monkeypatch, tmp_path):
    distribution(tmp_path, "alkahest-core", "0.0.1", "alkahest/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    versions, place = doctor()["problems"]
    assert "alkahest-core 0.0.1 is installed" in versions
    assert "which is not the installed alkahest-core in" in place


def test_doctor_names_a_damaged_calibration(monkeypatch, tmp_path):
    (tmp_path / "calibration.json").write_text("{")
    monkeypatch.setenv("ALKAHEST_CONFIG_DIR", str(tmp_path))
    found = doctor()
    assert "calibration.json cannot be read" in found["problems"][0]
    assert found["settings"]["ALKAHEST_CONFIG_DIR"] == str(tmp_path)


# -- calibrate


def test_calibrate_prints_measured_beside_declared():
    done = run("calibrate", "interpreter")
    assert done.exit_code == 0
    assert "measured" in done.stdout
    assert "declared" in done.stdout


def test_what_calibrate_writes_is_what_dispatch_bids(tmp_path):
    from alkahest.compile.calibration import FILE_NAME, calibrated_costs
    from alkahest.compile.driver import offers

    done = run("calibrate", "--json", "--write", "interpreter")
    assert done.exit_code == 0
    measured = extend.Cost(**json.loads(done.stdout)["interpreter"])
    assert f"written to {tmp_path / 'settings' / FILE_NAME}" in done.stderr
    assert calibrated_costs() == {"interpreter": measured}
    (bid,) = [o for o in offers(manager.backends()) if o.name == "interpreter"]
    assert bid.cost == measured
    assert "calibration" in doctor()["settings"]


def test_calibrate_without_names_leaves_out_what_cannot_run():
    with (
        null_tier("absent", NullBackend(missing="no such device")),
        null_tier("faulty", NullBackend(failure=RuntimeError("the compiler crashed"))),
        null_tier("elsewhere", targets=frozenset({"cuda"})),
    ):
        done = run("calibrate", "--json")
    assert done.exit_code == 0
    assert "absent is left out: no such device" in done.stderr
    assert "faulty is left out: the compiler crashed" in done.stderr
    assert "elsewhere" not in done.stderr
    assert "interpreter" in json.loads(done.stdout)


def test_calibrate_of_a_tier_that_cannot_run():
    with null_tier("absent", NullBackend(missing="no such device")):
        done = run("calibrate", "absent")
    assert done.exit_code == 1
    assert "absent is left out: no such device" in done.stderr


def test_calibrate_knows_its_tiers():
    done = run("calibrate", "nope")
    assert done.exit_code == 2
    assert "no tier is called 'nope'" in done.stderr


def test_calibrate_says_where_it_cannot_write(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALKAHEST_CONFIG_DIR", str(tmp_path / "file"))
    done = run("calibrate", "--write", "interpreter")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
    assert "ALKAHEST_CONFIG_DIR" in done.stderr


def test_identities_are_listed_by_group():
    done = run("identities", "hyperbolic")
    assert done.exit_code == 0
    assert done.output.startswith("### hyperbolic\n")
    assert "### trigonometric" not in done.output
    assert "### trigonometric" in run("identities").output
    wrong = run("identities", "astrology")
    assert wrong.exit_code == 2
    assert "There are " in wrong.output
