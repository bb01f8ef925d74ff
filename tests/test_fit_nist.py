"""The main job on real input: NIST's certified values judge the whole way from a file's text to its parameters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alkahest.errors import DataFileError, FitError, MissingPackageError
from alkahest.fitting import build_model, fit_problem, fit_table, plot_fit, read_strd, summary_table

FOLDER = Path(__file__).parent.parent / "examples" / "nist_strd"
FILES = sorted(FOLDER.glob("*.dat"))
NAMES = [path.stem for path in FILES]

# The residuals of Lanczos1 are about 160 roundings of its data in size, so that float64 holds two or three digits of
# their sum of squares, and as many of the standard deviations, which are proportional to its root.
ROUNDED = {"Lanczos1": 2.0}


def path_of(name):
    return str(FOLDER / f"{name}.dat")


def test_the_collection_is_whole():
    assert len(FILES) == 27


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("backend", [None, "interpreter"])
@pytest.mark.parametrize("name", NAMES)
def test_certified_values_are_reached(name, backend, start):
    result = fit_problem(read_strd(path_of(name)), start, backend=backend)
    assert result.doubt == ""
    # What NIST calls solved is 4 digits, what this project asks for is 6; 9 leave room for other processors.
    assert min(p.digits for p in result.parameters) >= 9
    enough = ROUNDED.get(name, 8)
    assert min(s.digits for s in result.sds) >= enough
    assert result.rss.digits >= enough
    assert result.residual_sd.digits >= enough


def test_a_start_of_ones_own_and_results_as_json():
    problem = read_strd(path_of("Misra1a"))
    result = fit_problem(problem, [300.0, 0.0004])
    assert result.start == 0
    assert result.digits >= 9
    assert "own start" in fit_table(result)
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["parameters"][1]["name"] == "b2"


def test_another_minimum_is_named_as_such():
    # From here ENSO's second cycle locks on to another period.
    problem = read_strd(path_of("ENSO"))
    result = fit_problem(problem, [*problem.starts[0][:3], 10.0, *problem.starts[0][4:]])
    assert result.digits < 6
    assert not result.reaches(6)
    assert result.remark.startswith("another minimum")
    assert result.rss.value > problem.certified.rss


def test_terms_that_changed_places_are_named_as_such():
    problem = read_strd(path_of("Gauss1"))
    b1, b2, b3, b4, b5, b6, b7, b8 = problem.starts[1]
    result = fit_problem(problem, [b1, b2, b6, b7, b8, b3, b4, b5])
    assert result.rss.digits >= 9
    assert result.remark.startswith("another minimum, as good as")


@pytest.mark.parametrize("start", [0, 3, [1.0], [1.0, 2.0, 3.0]])
def test_starts_that_the_file_does_not_have(start):
    with pytest.raises(FitError, match="start"):
        fit_problem(read_strd(path_of("Misra1a")), start)


def test_a_start_at_which_the_model_is_not_finite():
    with pytest.raises(FitError, match="data on line 61") as caught:
        fit_problem(read_strd(path_of("Misra1a")), [1.0, -1e300])
    assert caught.value.remedy


def test_fewer_observations_than_parameters(tmp_path):
    lines = (FOLDER / "Misra1a.dat").read_text().splitlines()
    lines[5] = ""
    lines[6] = "Data (lines 61 to 61)"
    lines[40:42] = ["b1 = 500", "b2 = 0.0001"]
    path = tmp_path / "one.dat"
    path.write_text("\n".join(lines[:61]))
    with pytest.raises(FitError, match="do not determine 2 parameters"):
        fit_problem(read_strd(path))


# -- the command


@pytest.fixture
def run():
    from click.testing import CliRunner

    from alkahest.cli.app import app

    return lambda *words: CliRunner().invoke(app, ["fit", *map(str, words)])


def test_the_command_prints_a_table(run):
    done = run(path_of("Nelson"))
    assert done.exit_code == 0
    assert "log[y] = b1 - b2*x1 * exp[-b3*x2]" in done.stdout
    assert "2.5906836021E+00   2.5906836021E+00" in done.stdout
    assert "2 of 2 fits reach 6 digits in every parameter." in done.stdout


def test_the_command_on_the_whole_collection(run):
    done = run("--json", *FILES)
    assert done.exit_code == 0
    fits = json.loads(done.stdout)["fits"]
    assert [(f["problem"], f["start"]) for f in fits] == [(n, s) for n in NAMES for s in (1, 2)]
    assert all(f["digits"] >= 6 for f in fits)
    assert all(f["tier"] and f["seconds"] > 0 for f in fits)


def test_the_command_in_a_process_of_its_own():
    command = [sys.executable, "-c", "from alkahest.cli import main; main()", "fit", "--summary", path_of("Bennett5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 fits" in done.stdout


def test_one_start_and_a_summary(run):
    done = run("--start", "2", "--summary", path_of("Rat42"), path_of("Rat43"))
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:3]] == [["Rat42", "2"], ["Rat43", "2"]]


def test_too_few_digits_are_exit_code_1(run):
    assert run("--min-digits", "11", path_of("Gauss2")).exit_code == 1
    assert run("--min-digits", "12", path_of("Gauss2")).exit_code == 2


def test_a_bad_file_does_not_stop_the_others(run, tmp_path):
    bad = tmp_path / "bad.dat"
    bad.write_text((FOLDER / "Misra1b.dat").read_text().replace("10.07E0", "ten"))
    done = run(bad, tmp_path, tmp_path / "none.dat", path_of("DanWood"))
    assert done.exit_code == 2
    assert "2 of 2 fits" in done.stdout
    bad_line, folder_line, none_line = done.stderr.splitlines()
    assert bad_line.startswith("alkahest: bad.dat, line 61: 'ten' is no finite number.")
    assert "is a directory" in folder_line
    assert "there is no file" in none_line


def test_an_unknown_tier(run):
    done = run("--backend", "abacus", *FILES)
    assert done.exit_code == 2
    assert done.stderr.count("abacus") == 1


def test_files_without_certified_values(run, tmp_path):
    lines = (FOLDER / "Misra1a.dat").read_text().splitlines()
    lines[5] = ""
    lines[40:49] = ["b1 = 500", "b2 = 0.0001", *[""] * 7]
    path = tmp_path / "own.dat"
    path.write_text("\n".join(lines))
    done = run(path)
    assert done.exit_code == 0
    assert "certified" not in done.stdout
    assert "2.38942129" in done.stdout
    assert run("--summary", path).exit_code == 0


@pytest.mark.parametrize("name", ["Gauss1", "Nelson"])
def test_plots(name, run, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    done = run("--start", "1", "--plot", tmp_path / "new" / "plots", path_of(name))
    assert done.exit_code == 0
    picture = tmp_path / "new" / "plots" / f"{name}-start1.png"
    assert str(picture) in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plots_into_what_is_no_directory(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    problem = read_strd(path_of("Misra1a"))
    model = build_model(problem)
    (tmp_path / "file").write_text("")
    with pytest.raises(FitError, match="cannot be written"):
        plot_fit(fit_problem(problem, model=model), model, tmp_path / "file")


def test_missing_matplotlib_is_said_before_the_work(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("--plot", tmp_path, *FILES)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "pip install 'matplotlib" in done.stderr


def test_missing_scipy_is_said_once(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingPackageError):
        fit_problem(read_strd(path_of("Misra1a")))
    done = run(*FILES)
    assert done.exit_code == 2
    assert done.stderr.count("SciPy") == 1


def test_a_model_that_does_not_parse_is_shown_with_its_place(tmp_path):
    path = tmp_path / "bad.dat"
    path.write_text((FOLDER / "Gauss1.dat").read_text().replace("+ b6*exp(", "+ b6*exq("))
    with pytest.raises(DataFileError, match=r"bad\.dat, line 35, column 41: no function is called 'exq'"):
        build_model(read_strd(path))


def test_the_summary_gives_a_reason_for_each_fit_that_falls_short():
    problem = read_strd(path_of("ENSO"))
    result = fit_problem(problem, [*problem.starts[0][:3], 10.0, *problem.starts[0][4:]])
    text = summary_table([result], 6)
    assert "0 of 1 fits reach 6 digits" in text
    assert "ENSO, own start: another minimum" in text
