"""The example draws what it says, with both methods alike, and says in a line what is wrong with a call."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="the extra `plot` is not installed")
EXAMPLES = Path(__file__).parent.parent / "examples"
PROSPERO = EXAMPLES / "fpcore" / "prospero.fpcore"
GYROID = EXAMPLES / "fpcore" / "gyroid-sphere.fpcore"
llvm = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")


def start(*arguments):
    """Return the command, carried out."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "prospero.py"), *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def draw(path, *arguments):
    """Return the picture as an array, and what was printed."""
    done = start("--out", path, "--quiet", *arguments)
    assert done.returncode == 0, done.stderr
    with Image.open(path) as picture:
        return np.asarray(picture), done.stdout


def test_it_runs_alone_and_shows_its_progress(tmp_path):
    out = tmp_path / "hi.png"
    done = start("--size", 128, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "0 pixels differ" in done.stdout
    assert "16384/16384" in done.stdout
    with Image.open(out) as picture:
        assert picture.size == (128, 128)


def test_the_letters_are_where_they_belong(tmp_path):
    picture, _ = draw(tmp_path / "hi.png", "--size", 200, "--method", "prune")
    assert not picture[100:].any(), "below the letters"
    assert not picture[:, :100].any(), "left of them"
    # x = .05, y = .9 is in the stem of the h, x = .775, y = .7 in the dot of the i, between them is nothing.
    assert picture[10, 105]
    assert picture[30, 177]
    assert not picture[30, 140]


@llvm
def test_the_monologue(tmp_path):
    picture, printed = draw(tmp_path / "p.png", PROSPERO, "--size", 256, "--compare", "--repeat", 1)
    assert picture.shape == (256, 256)
    assert "0 pixels differ" in printed
    assert re.search(r"prune is [\d.]+ times as fast as NumPy", printed)
    # "But this rough magic I" down to "I'll drown my book.": margins, an eighth of ink, the stems of the first and the
    # last letter of the first line, the full stop.
    assert not picture[:20].any()
    assert not picture[-20:].any()
    assert 0.12 < picture.mean() < 0.135
    assert picture[22:36, 24:26].any(axis=1).all()
    assert picture[22:36, 225:228].any(axis=1).all()
    assert picture[225:227, 217:219].all()


def test_other_sizes_and_inputs(tmp_path):
    call = (GYROID, "--at", "z=0.1", "--size", 90, "--height", 60, "--range", "-9e-1", "0.9", "-0.6", "0.6")
    picture, printed = draw(tmp_path / "g.png", *call)
    assert picture.shape == (60, 90)
    assert picture.any()
    assert "0 pixels differ" in printed
    again, _ = draw(tmp_path / "n.png", *call, "--backend", "interpreter", "--method", "brute")
    assert (again != picture).mean() < 0.01


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.fpcore"], "nowhere.fpcore cannot be read: No such file"),
        ([EXAMPLES], "cannot be read: Is a directory"),
        ([EXAMPLES / "prospero.py"], "this is no FPCore"),
        ([GYROID], "Gyroid sphere has 3 inputs: say where to cut it, as with --at z=0"),
        ([GYROID, "--at", "z=here"], "write NAME=NUMBER"),
        (["--at", "z=1"], "--at z: the inputs after the first two, x and y, are: none"),
        (["--out", "no/such/folder/a.png"], "there is no folder"),
        (["--range", "1", "0", "0", "1"], "with lo < hi"),
        (["--size", "0"], "'0' is no whole number above 0"),
        (["--size", "many"], "'many' is no whole number above 0"),
        (["--size", "-3"], "'-3' is no whole number above 0"),
        (["--size", "99999999"], "too many for any memory"),
        (["--method", "guess"], "invalid choice"),
        (["--backend", "nosuch"], "no tier is called 'nosuch'"),
        (["--size", "8", "--quiet", "--out", "no/such/folder.png"], "cannot be written"),
    ],
)
def test_a_wrong_call_gets_one_line(arguments, said):
    done = start(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_formula_of_one_input(tmp_path):
    path = tmp_path / "line.fpcore"
    path.write_text("(FPCore (x) (- x 1))", encoding="utf-8")
    done = start(path)
    assert done.returncode == 2
    assert "has 1 input(s), and a picture has two axes" in done.stderr
