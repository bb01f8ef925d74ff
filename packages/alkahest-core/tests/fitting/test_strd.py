"""Reading files of the StRD layout: what is in them, and what is wrong with them."""

import math
import pickle

import pytest

from alkahest.errors import DataFileError
from alkahest.fitting import DataFileAccessError, read_strd
from alkahest.fitting.model import build_model

# Misra1a as NIST publishes it, less the description and the last rows of data.
TEXT = """\
NIST/ITL StRD
Dataset Name:  Misra1a           (Misra1a.dat)

File Format:   ASCII
               Starting Values   (lines 17 to 18)
               Certified Values  (lines 17 to 23)
               Data              (lines 26 to 29)

Data:          1 Response Variable  (y = volume)
               Lower Level of Difficulty
Model:         Exponential Class
               2 Parameters (b1 and b2)

               y = b1*(1-exp[-b2*x])  +  e
          Starting values                  Certified Values
        Start 1     Start 2           Parameter     Standard Deviation
  b1 =   500         250           2.3894212918E+02  2.7070075241E+00
  b2 =     0.0001      0.0005      5.5015643181E-04  7.2668688436E-06

Residual Sum of Squares:                    1.2455138894E-01
Residual Standard Deviation:                1.0187876330E-01
Degrees of Freedom:                                2
Number of Observations:                            4

Data:   y               x
      10.07E0      77.6E0
      14.73E0     114.9E0
      17.94E0     141.1E0
      23.93E0     190.8E0
"""
MODEL_LINE = 14


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.dat"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def with_model(write):
    """Return a function that writes the file with another model, given as one or two lines."""

    def with_model(text, columns="y               x", row_end=""):
        lines = TEXT.splitlines()
        lines[MODEL_LINE - 2 : MODEL_LINE] = ["", text] if "\n" not in text else text.split("\n")
        lines[24] = f"Data:   {columns}"
        lines[25:] = [f"{line} {row_end}" for line in lines[25:]]
        return write("\n".join(lines))

    return with_model


def test_a_file_as_published(write):
    problem = read_strd(write(TEXT))
    assert problem.name == "Misra1a"
    assert problem.level == "Lower"
    assert problem.parameters == ("b1", "b2")
    assert problem.starts == ((500.0, 0.0001), (250.0, 0.0005))
    assert problem.certified.values == (2.3894212918e02, 5.5015643181e-04)
    assert problem.certified.sds == (2.7070075241e00, 7.2668688436e-06)
    assert problem.certified.rss == 1.2455138894e-01
    assert problem.certified.residual_sd == 1.0187876330e-01
    assert problem.certified.dof == 2
    assert (problem.response, problem.predictors) == ("y", ("x",))
    assert problem.data.tolist() == [[10.07, 14.73, 17.94, 23.93], [77.6, 114.9, 141.1, 190.8]]
    assert problem.model_text == "y = b1*(1-exp[-b2*x]) + e"
    assert problem.first_data_line == 26
    with pytest.raises(ValueError, match="read-only"):
        problem.data[0, 0] = 0.0


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems(write, newline):
    assert read_strd(write(TEXT.replace("\n", newline))).data.shape == (2, 4)


def test_byte_order_mark_and_trailing_blank_lines(write):
    assert read_strd(write("\ufeff" + TEXT + "\n   \n\n")).data.shape == (2, 4)


def test_a_file_without_certified_values_and_second_start(write):
    lines = TEXT.splitlines()
    lines[5] = ""
    lines[16:18] = ["  b1 = 500", "  b2 = 1e-4"]
    lines[18:23] = [""] * 5
    problem = read_strd(write("\n".join(lines), "own data.dat"))
    assert problem.certified is None
    assert problem.starts == ((500.0, 0.0001),)


def test_problems_pickle(write):
    problem = read_strd(write(TEXT))
    again = pickle.loads(pickle.dumps(problem))
    assert again.parameters == problem.parameters
    assert (again.data == problem.data).all()


# What to replace in the file, the line at fault, and words of the message or remedy.
MALFORMED = {
    "starts missing in header": ("Starting Values   (lines 17 to 18)", "", 6, "'Starting Values'"),
    "data missing in header": ("Data              (lines 26 to 29)", "", 5, "'Data'"),
    "reversed range": ("lines 17 to 23", "lines 23 to 17", 6, "no range"),
    "range beyond the file": ("lines 17 to 18", "lines 17 to 99", 5, "has 30 lines"),
    "starts elsewhere": ("lines 17 to 18", "lines 16 to 18", 16, "line 5 says lines 16 to 18"),
    "start is no number": ("   500  ", "   five  ", 17, "'five' is no finite number"),
    "start is nan": ("   500  ", "   nan  ", 17, "'nan' is no finite number"),
    "digit groups": ("   500  ", "   5_00  ", 17, "'5_00' is no finite number"),
    "certified value missing": ("2.3894212918E+02  2.7070075241E+00", "", 17, "holds 2 number(s)"),
    "one certified value missing": ("  7.2668688436E-06", "", 18, "the first row 4"),
    "one parameter twice": ("  b2 =  ", "  b1 =  ", 18, "b1 is listed twice"),
    "parameters miscounted": ("2 Parameters (b1 and b2)", "3 Parameters (b1 to b3)", 12, "states 3 parameter(s) and 2"),
    "no parameter count": ("2 Parameters (b1 and b2)", "", 11, "number of parameters"),
    "no model section": ("Model: ", "Form: ", 17, "no line 'Model:'"),
    "no formula": ("y = b1*(1-exp[-b2*x])  +  e", "", 12, "no formula"),
    "no RSS": ("Residual Sum of Squares:  ", "RSS:  ", 6, "'Residual Sum of Squares:'"),
    "RSS no number": ("1.2455138894E-01", "?", 20, "'?' is no Residual Sum of Squares"),
    "negative RSS": ("1.2455138894E-01", "-1.0", 20, "'-1.0' is no Residual Sum of Squares"),
    "observations miscounted": ("Observations:                            4", "Observations: 5", 23, "5 observations"),
    "degrees of freedom no number": ("Freedom:                                2", "Freedom: 2.5", 22, "'2.5' is no"),
    "row too short": ("14.73E0     114.9E0", "14.73E0", 27, "holds 1 number(s)"),
    "row too long": ("114.9E0", "114.9E0 1", 27, "holds 3 number(s)"),
    "row no number": ("114.9E0", "n/a", 27, "'n/a' is no finite number"),
    "row blank": ("      14.73E0     114.9E0", "", 27, "holds 0 number(s)"),
    "row missing": (
        "      23.93E0     190.8E0\n",
        "",
        7,
        "which is 4 rows, and they stand on lines 26 to 28",
    ),
    "row added": ("190.8E0\n", "190.8E0\n  1 2\n", 7, "they stand on lines 26 to 30, which is 5"),
    "no rows": (TEXT[TEXT.index("      10.07E0") :], "", 7, "which is 0"),
    "no heading": ("Data:   y               x\n", "\n", 7, "no heading"),
    "heading elsewhere": ("Data:   y               x\n", "Data:   y               x\n\n", 26, "holds 0 number(s)"),
    "bad column name": ("Data:   y               x\n", "Data:   y               2x\n", 25, "'2x' cannot name a column"),
    "column twice": ("Data:   y               x\n", "Data:   y               y\n", 25, "'y' cannot name a column"),
    "column named as a parameter": ("Data:   y               x\n", "Data:   y  b2\n", 25, "b2 names a column and"),
    "no predictor": ("Data:   y               x\n", "Data:   y\n", 25, "no predictor"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_with_the_line(write, name):
    old, new, line, words = MALFORMED[name]
    assert TEXT.count(old) == 1
    with pytest.raises(DataFileError) as caught:
        read_strd(write(TEXT.replace(old, new)))
    error = caught.value
    assert error.line == line
    assert str(error).startswith(f"mine.dat, line {line}: ")
    assert words in str(error)
    assert error.remedy
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("text", ["hello\n", "a,b\n1,2\n", "\x00\x01"])
def test_other_files_are_told_apart(write, text):
    with pytest.raises(DataFileError, match="no file of the StRD layout"):
        read_strd(write(text))


@pytest.mark.parametrize("raw", [b"", b"  \n\n"])
def test_empty_files(write, raw):
    with pytest.raises(DataFileError, match=r"mine\.dat is empty"):
        read_strd(write(raw))


def test_files_that_are_no_text(write):
    raw = TEXT.encode().replace(b"volume", b"vol\xffme")
    with pytest.raises(DataFileError, match=r"mine\.dat, line 9: this is no UTF-8 text \(byte \d+\)"):
        read_strd(write(raw))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(DataFileAccessError, match=r"there is no file .*none\.dat"):
        read_strd(tmp_path / "none.dat")
    with pytest.raises(OSError, match="is a directory"):
        read_strd(tmp_path)


def test_unreadable_file(write):
    with pytest.raises(DataFileAccessError, match=r"cannot be read: \w+"):
        read_strd(write(TEXT) / "below a file.dat")


# -- the model's text

POINT = (2.0, 0.5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Values by Python's own arithmetic: y = 10.07, x = 77.6 in the first row.
        ("y = b1*(1-exp[-b2*x])  +  e", 2.0 * (1 - 2.718281828459045 ** (-0.5 * 77.6)) - 10.07),
        ("y = b1*x**b2 + e", 2.0 * 77.6**0.5 - 10.07),
        ("y = b1*x +\n   b2*x**2  +  e", 2.0 * 77.6 + 0.5 * 77.6**2 - 10.07),
        ("y = b1*x\n   + b2*x**2  +  e", 2.0 * 77.6 + 0.5 * 77.6**2 - 10.07),
        ("y = b1 * x / b2", 2.0 * 77.6 / 0.5 - 10.07),
        ("k = 3E0\n y = k*b1*x + b2  +  e", 6.0 * 77.6 + 0.5 - 10.07),
        ("pi = 3.0\n y = pi*b1*x + b2  +  e", 6.0 * 77.6 + 0.5 - 10.07),
        ("y = pi*b1*x + b2*1E1  +  e", 3.141592653589793 * 2.0 * 77.6 + 5.0 - 10.07),
        ("log[y] = b1 + b2*x  +  e", 2.0 + 0.5 * 77.6 - math.log(10.07)),
        ("y**2 = b1 + b2*x  +  e", 2.0 + 0.5 * 77.6 - 10.07**2),
    ],
)
def test_models_as_stated(with_model, text, value):
    import numpy as np

    model = build_model(read_strd(with_model(text)))
    assert model.residuals(np.array(POINT))[0] == pytest.approx(value, rel=1e-10)


def test_names_may_be_any_words_even_of_python(write):
    import numpy as np

    model = build_model(read_strd(write(TEXT.replace("b1", "σ").replace("b2", "lambda"))))
    assert model.problem.parameters == ("σ", "lambda")
    assert model.residuals(np.array(POINT))[0] == pytest.approx(2.0 * (1 - math.exp(-0.5 * 77.6)) - 10.07)


def test_a_column_named_e_is_no_error_term(with_model):
    import numpy as np

    model = build_model(read_strd(with_model("y = b1*x*b2 + e", "y  x  e", "3")))
    assert model.residuals(np.array(POINT))[0] == pytest.approx(77.6 + 3 - 10.07)


def test_the_jacobian_is_that_of_the_residuals(with_model):
    import numpy as np

    model = build_model(read_strd(with_model("y = b1*(1-exp[-b2*x])  +  e")))
    x = model.problem.data[1]
    by_hand = np.stack([1 - np.exp(-0.001 * x), 2.0 * x * np.exp(-0.001 * x)], axis=1)
    np.testing.assert_allclose(model.derivatives(np.array([2.0, 0.001])), by_hand, rtol=1e-12)


def test_two_predictors(with_model):
    import numpy as np

    model = build_model(read_strd(with_model("log[y] = b1 - b2*x1 * exp[-x2]  +  e", "y  x1  x2", "0.25")))
    expected = 2.0 - 0.5 * 77.6 * np.exp(-0.25) - np.log(10.07)
    assert model.residuals(np.array(POINT))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("y = b1*(1-exp[-b2*x]  +  e", 14, 8, "never closed"),
        ("y = b1*x +\n  b2*)*x + e", 14, 6, "')' stands where"),
        ("y = b1*x + b2 $ 3 + e", 14, 15, "'$' has no meaning"),
        ("y = b1*x + b3*b2 + e", 14, 12, "b3"),
        ("y = b1*sinn(x) + b2 + e", 14, 8, "sinn"),
        ("y = b1*x + e", 14, None, "does not depend on b2"),
        ("y = b1*y + b2*x + e", 14, 8, "y"),
        ("z = b1*x + b2 + e", 14, 1, "z"),
        ("b1*x + b2", 14, None, "does not begin with 'name ='"),
        ("= b1*x + b2", 14, None, "does not begin with 'name ='"),
        ("1 = b1*x + b2", 14, None, "left side"),
        ("y =+ e", 14, 3, "empty"),
        ("y =", 14, 4, "empty"),
        ("y = b1*e**(-b2*x)", 14, 8, "error term"),
        ("y = b1*x + b2 * e", 14, 17, "error term"),
        ("b1 = 3\ny = b1*x + b2 + e", 13, None, "'b1' cannot be defined"),
        ("log[y-17.94] = b1*x + b2 + e", 26, None, "not finite"),
    ],
)
def test_models_with_mistakes_are_refused_with_their_place(with_model, text, line, column, words):
    problem = read_strd(with_model(text))
    with pytest.raises(DataFileError) as caught:
        build_model(problem)
    error = caught.value
    assert error.line == line
    assert error.details.get("column") == column
    place = f"line {line}" + ("" if column is None else f", column {column}")
    assert str(error).startswith(f"mine.dat, {place}: ")
    assert words in str(error)
    assert "\n" not in str(error)
    assert error.remedy
