"""Runs the Python blocks of README.md, of docs/ and of the packages' own pages: `tox -e docs`.

The blocks of a page share a namespace, from top to bottom. A block that begins with `>>>` is a doctest; any
other is run, and must not fail.
"""

import doctest
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "packages/*/*.md", "packages/*/src/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)
SYBIL = Sybil([PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)])
LANGUAGE = re.compile(r"^ *```+ *(\S+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page, tmp_path, monkeypatch):
    document = SYBIL.parse(page)
    # Pages name files of this repository from its root, and write only to where they are told.
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_is_one_that_runs(page):
    unread = {"py", "python3", "pycon", "python-console", "ipython"}
    assert not unread & set(LANGUAGE.findall(page.read_text(encoding="utf-8"))), "write ```python"
