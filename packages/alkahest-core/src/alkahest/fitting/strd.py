"""Files in the layout of NIST's Statistical Reference Datasets for nonlinear regression.

The layout (https://www.itl.nist.gov/div898/strd/nls/nls_info.shtml) states in its header on which lines the starting
values, the certified values and the data stand; the text between names the model. The header is taken at its word
and everything it says is checked, so that a shifted or truncated file is refused instead of misread.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from alkahest.errors import DataFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RANGE = re.compile(r"(Starting Values|Certified Values|Data)\s*\(\s*lines?\s+(\d+)\s+to\s+(\d+)\s*\)", re.IGNORECASE)
_COUNT = re.compile(r"\s*(\d+)\s+Parameters?\b", re.IGNORECASE)
_STARTING = re.compile(r"\s*Starting\s+values\b", re.IGNORECASE)
_LAYOUT = (
    "Use a file in the layout of NIST's StRD nonlinear regression collection, whose header says on which lines the "
    "starting values and the data stand."
)
_T = TypeVar("_T", int, float)


class DataFileAccessError(DataFileError, OSError):
    """A data file that is not there, is a directory, or cannot be read."""

    code = "E-DATA-002"


@dataclass(frozen=True)
class Certified:
    """What NIST certifies of a problem: 11 digits of each figure.

    `values` and `sds` are the parameters and their standard deviations, `rss` is the residual sum of squares,
    `residual_sd` the residual standard deviation. `dof` are the degrees of freedom as stated; they are not checked,
    because NIST's Rat43 states 9 where its 15 observations and 4 parameters leave 11, of which its residual standard
    deviation is computed.
    """

    values: tuple[float, ...]
    sds: tuple[float, ...]
    rss: float
    residual_sd: float
    dof: int


@dataclass(frozen=True, eq=False)
class StrdProblem:
    """A regression problem as its file states it.

    `name` is the dataset's name, `path` the file, `level` the level of difficulty ("Lower", "Average", "Higher", or
    "" where none is stated). `model_lines` holds (line number, text) of the lines that state the model. `starts` holds
    one tuple of starting values per published start, in the order of `parameters`. `certified` is None in a file that
    has no certified values. `columns` names the columns of the data, the response first; `data` is a read-only float64
    array of shape (len(columns), observations), and its row k stands on line `first_data_line + k` of the file.
    """

    name: str
    path: str
    level: str
    model_lines: tuple[tuple[int, str], ...]
    parameters: tuple[str, ...]
    starts: tuple[tuple[float, ...], ...]
    certified: Certified | None
    columns: tuple[str, ...]
    data: NDArray[np.float64]
    first_data_line: int

    @property
    def response(self) -> str:
        """The name of the response."""
        return self.columns[0]

    @property
    def predictors(self) -> tuple[str, ...]:
        """The names of the predictors."""
        return self.columns[1:]

    @property
    def model_text(self) -> str:
        """The text that states the model, on one line; a semicolon stands before each further equation."""
        joined = "".join([f"{'; ' if '=' in text else ' '}{text.strip()}" for _, text in self.model_lines])
        return " ".join(joined.lstrip("; ").split())


def file_error(path: str, message: str, *, remedy: str, line: int, **details: Any) -> DataFileError:
    """Return the error for one line of a file; it carries `path` and `line`, and `column` where given."""
    column = f", column {details['column']}" if "column" in details else ""
    where = f"{os.path.basename(path)}, line {line}{column}"
    return DataFileError(f"{where}: {message}", remedy=remedy, path=path, line=line, **details)


def read_strd(path: str | os.PathLike[str]) -> StrdProblem:
    """Return the problem that a file of the StRD nonlinear regression layout states.

    The file is one of NIST's as published, or one's own in the same layout, with the certified values and the second
    start left out where there are none. Raises `DataFileError`, with the line, where the file does not follow the
    layout or contradicts its own header, and `DataFileAccessError`, an OSError as well, where it cannot be read.

    >>> import pathlib, tempfile
    >>> text = '''File Format:   ASCII
    ...                Starting Values   (lines 9 to 10)
    ...                Data              (lines 12 to 14)
    ... Model:
    ...                2 Parameters (b1 and b2)
    ...                y = b1*(1-exp[-b2*x])  +  e
    ...           Starting values
    ...         Start 1     Start 2
    ...   b1 =   500         250
    ...   b2 =     0.0001      0.0005
    ... Data:   y               x
    ...       10.07E0      77.6E0
    ...       14.73E0     114.9E0
    ...       17.94E0     141.1E0
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "mine.dat"
    ...     _ = file.write_text(text)
    ...     problem = read_strd(file)
    >>> problem.name, problem.parameters, problem.starts[1], problem.columns, problem.data.shape
    ('mine', ('b1', 'b2'), (250.0, 0.0005), ('y', 'x'), (2, 3))
    """
    return _Reader(os.fspath(path)).problem()


class _Reader:
    """One file while it is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = _lines(path)
        self.ranges = self._ranges()

    def problem(self) -> StrdProblem:
        start = self._range("Starting Values")
        model_lines, model_at, stated = self._model_lines(start[0])
        rows = [self._parameter_row(n) for n in range(start[0], start[1] + 1)]
        names = tuple([name for name, _ in rows])
        self._check_parameters(names, stated, model_at, start)
        values = self._values(start[0], rows)
        columns, data = self._data(self._range("Data"))
        for name in columns:
            if name in names:
                line = self._range("Data")[0] - 1
                self.fail(line, f"{name} names a column and a parameter.", "Give each a name of its own.")
        certified = self._certified(values, data.shape[1]) if "certified values" in self.ranges else None
        starts = values[:-2] if certified else values
        return StrdProblem(
            name=self._dataset_name(),
            path=self.path,
            level=self._level(),
            model_lines=model_lines,
            parameters=names,
            starts=tuple(starts),
            certified=certified,
            columns=columns,
            data=data,
            first_data_line=self._range("Data")[0],
        )

    def line(self, number: int) -> str:
        return self.lines[number - 1]

    def fail(self, line: int, message: str, remedy: str) -> NoReturn:
        raise file_error(self.path, message, remedy=remedy, line=line)

    # -- header

    def _ranges(self) -> dict[str, tuple[int, int, int]]:
        """Return (first line, last line, line that says so) of each section the header names."""
        found: dict[str, tuple[int, int, int]] = {}
        for number, text in enumerate(self.lines, 1):
            match = _RANGE.search(text)
            if match is None:
                continue
            section, first, last = match[1], int(match[2]), int(match[3])
            if not 1 <= first <= last:
                self.fail(
                    number, f"lines {first} to {last} are no range.", f"Write on which lines the {section} stand."
                )
            found.setdefault(section.lower(), (first, last, number))
        if not found:
            raise file_error(
                self.path, "this is no file of the StRD layout: its header names no sections.", remedy=_LAYOUT, line=1
            )
        return found

    def _range(self, section: str) -> tuple[int, int, int]:
        if section.lower() not in self.ranges:
            line = min(r[2] for r in self.ranges.values())
            self.fail(
                line,
                f"the header has no section {section!r}.",
                f"Add a line such as '{section}   (lines 41 to 43)' to the header.",
            )
        first, last, said = self.ranges[section.lower()]
        if section != "Data" and last > len(self.lines):
            self.fail(
                said,
                f"the header says that {section} end on line {last}, and the file has {len(self.lines)} lines.",
                "Restore the missing lines, or correct the header.",
            )
        return first, last, said

    def _dataset_name(self) -> str:
        for text in self.lines[:10]:
            match = re.match(r"\s*Dataset Name:\s*(\S+)", text)
            if match:
                return match[1]
        return Path(self.path).stem

    def _level(self) -> str:
        for text in self.lines:
            match = re.match(r"\s*(\w+)\s+Level of Difficulty", text)
            if match:
                return match[1]
        return ""

    # -- model

    def _model_lines(self, before: int) -> tuple[tuple[tuple[int, str], ...], int, int]:
        """Return the lines that state the model, the line of the parameter count, and that count."""
        head = next((n for n in range(1, before) if self.line(n).lstrip().startswith("Model:")), None)
        if head is None:
            self.fail(
                before,
                "there is no line 'Model:' above the starting values.",
                "Add the section 'Model:' with the number of parameters and the formula.",
            )
        counts = [(n, int(m[1])) for n in range(head, before) if (m := _COUNT.match(self.line(n)))]
        if not counts:
            self.fail(
                head,
                "the section 'Model:' does not state the number of parameters.",
                "Add a line such as '3 Parameters (b1 to b3)' above the formula.",
            )
        counted, stated = counts[0]
        end = next((n for n in range(counted + 1, before) if _STARTING.match(self.line(n))), before)
        lines = tuple([(n, self.line(n)) for n in range(counted + 1, end) if self.line(n).strip()])
        if not lines:
            self.fail(
                counted,
                "no formula stands between the number of parameters and the starting values.",
                "Add one such as 'y = b1*(1-exp[-b2*x]) + e'.",
            )
        return lines, counted, stated

    # -- starting and certified values

    def _parameter_row(self, number: int) -> tuple[str, list[float]]:
        name, equals, rest = self.line(number).partition("=")
        if not equals or not name.strip().isidentifier():
            first, last, said = self.ranges["starting values"]
            self.fail(
                number,
                f"a parameter's starting values are expected here (line {said} says lines {first} to {last}).",
                "Write 'b1 = ' and the values, or correct the lines in the header.",
            )
        return name.strip(), self._numbers(number, rest)

    def _check_parameters(self, names: Sequence[str], stated: int, model_at: int, start: tuple[int, int, int]) -> None:
        for k, name in enumerate(names):
            if name in names[:k]:
                self.fail(start[0] + k, f"the parameter {name} is listed twice.", "List each parameter once.")
        if len(names) != stated:
            self.fail(
                model_at,
                f"the model states {stated} parameter(s) and {len(names)} have starting values "
                f"(lines {start[0]} to {start[1]}).",
                f"List each parameter once, and correct this number or line {start[2]}.",
            )

    def _values(self, first: int, rows: Sequence[tuple[str, list[float]]]) -> list[tuple[float, ...]]:
        """Return the columns of the table: the starts, and where the header announces them value and deviation."""
        with_certified = "certified values" in self.ranges
        allowed = (3, 4) if with_certified else (1, 2)
        width = len(rows[0][1])
        for k, (name, numbers) in enumerate(rows):
            if len(numbers) not in allowed or len(numbers) != width:
                want = "one or two starting values, a certified value and its standard deviation"
                self.fail(
                    first + k,
                    f"the row of {name} holds {len(numbers)} number(s){f', the first row {width}' if k else ''}.",
                    f"Give {want if with_certified else 'one or two starting values'}, as many in each row"
                    f"{'' if with_certified else ' (certified values need a section of their own in the header)'}.",
                )
        return [tuple(column) for column in zip(*[numbers for _, numbers in rows], strict=True)]

    def _certified(self, values: Sequence[tuple[float, ...]], n: int) -> Certified:
        certified = Certified(
            values=values[-2],
            sds=values[-1],
            rss=self._figure("Residual Sum of Squares", float)[0],
            residual_sd=self._figure("Residual Standard Deviation", float)[0],
            dof=self._figure("Degrees of Freedom", int)[0],
        )
        stated, line = self._figure("Number of Observations", int)
        if stated != n:
            self.fail(
                line, f"{stated} observations are stated and the file holds {n}.", "Correct the number or the data."
            )
        return certified

    def _figure(self, label: str, kind: Callable[[str], _T]) -> tuple[_T, int]:
        first, last, said = self._range("Certified Values")
        for number in range(first, last + 1):
            name, colon, rest = self.line(number).partition(":")
            if not colon or name.strip().lower() != label.lower():
                continue
            try:
                value = kind(rest.strip())
            except ValueError:
                value = kind("-1")
            if not (math.isfinite(value) and value >= 0):
                self.fail(number, f"{rest.strip()!r} is no {label}.", "Write a number that is not negative.")
            return value, number
        self.fail(
            said,
            f"lines {first} to {last} have no line '{label}:'.",
            "Add it to the certified values, or correct their lines in the header.",
        )

    # -- data

    def _data(self, section: tuple[int, int, int]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        first, last, said = section
        columns = self._heading(first, said)
        end = len(self.lines)
        while end >= first and not self.line(end).strip():
            end -= 1
        rows = [self._data_row(n, columns) for n in range(first, min(last, end) + 1)]
        if end != last:
            self.fail(
                said,
                f"the header says that the data stand on lines {first} to {last}, which is {last - first + 1} rows, "
                f"and they stand on lines {first} to {end}, which is {max(0, end - first + 1)}.",
                "Correct the lines in the header, or restore the rows.",
            )
        import numpy as np

        data = np.array(rows, dtype=np.float64).T.copy()
        data.setflags(write=False)
        return columns, data

    def _heading(self, first: int, said: int) -> tuple[str, ...]:
        above = self.line(first - 1) if 1 < first <= len(self.lines) + 1 else ""
        label, colon, rest = above.partition(":")
        columns = tuple(rest.split())
        if label.strip().lower() != "data" or not colon or not columns:
            self.fail(
                said,
                f"by the header the data begin on line {first}, and the line above is no heading such as 'Data: y x'.",
                "Name the columns on the line above the data, or correct the lines in the header.",
            )
        for k, name in enumerate(columns):
            if not name.isidentifier() or name in columns[:k]:
                self.fail(
                    first - 1,
                    f"{name!r} cannot name a column.",
                    "Use each name once: letters and digits, a letter first.",
                )
        if len(columns) < 2:
            self.fail(first - 1, "the data have no predictor.", "Name the response and at least one predictor.")
        return columns

    def _data_row(self, number: int, columns: Sequence[str]) -> list[float]:
        row = self._numbers(number, self.line(number))
        if len(row) != len(columns):
            self.fail(
                number,
                f"this row holds {len(row)} number(s), and the columns are {', '.join(columns)}.",
                "Give one number per column on each line.",
            )
        return row

    def _numbers(self, number: int, text: str) -> list[float]:
        out: list[float] = []
        for word in text.split():
            try:
                value = float(word) if "_" not in word else math.nan
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                self.fail(
                    number, f"{word!r} is no finite number.", "Write numbers such as 10.07 or 1.007E1, without units."
                )
            out.append(value)
        return out


def _lines(path: str) -> list[str]:
    name = os.path.basename(path) or path
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataFileAccessError(f"there is no file {path}.", remedy="Check the name.", path=path) from None
    except IsADirectoryError:
        raise DataFileAccessError(
            f"{path} is a directory.", remedy=f"Name the files in it: {os.path.join(path, '*.dat')}.", path=path
        ) from None
    except OSError as error:
        raise DataFileAccessError(
            f"{path} cannot be read: {error.strerror}.", remedy="Check the file and its permissions.", path=path
        ) from None
    if not raw.strip():
        raise DataFileError(f"{name} is empty.", remedy=_LAYOUT, path=path)
    try:
        return re.split(r"\r\n|\n|\r", raw.decode("utf-8-sig"))  # not splitlines, which also breaks at form feeds
    except UnicodeDecodeError as error:
        raise file_error(
            path,
            f"this is no UTF-8 text (byte {error.start}).",
            remedy="Save the file as plain text.",
            line=raw.count(b"\n", 0, error.start) + 1,
        ) from None
