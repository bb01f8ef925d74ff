"""Settings for every test of the repository, and the golden files."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A developer's own calibration must not change what dispatch is tested to do.
os.environ["ALKAHEST_CONFIG_DIR"] = str(Path(tempfile.gettempdir()) / "alkahest-tests-no-settings")

# Nor may tests use a developer's cache of code, or one another's: what they test is to be compiled. Tests of the cache
# itself set both for themselves.
os.environ["ALKAHEST_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "alkahest-tests-no-code")
os.environ["ALKAHEST_CACHE_BYTES"] = "0"

# Each transform of a program verifies what it made.
os.environ.setdefault("ALKAHEST_CHECK", "1")

# No deadline: a first call compiles. `ci` (what tox uses) draws the same examples every time.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("dev")


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files instead of comparing with them"
    )


@pytest.fixture
def golden(request):
    """Return `check(name, text)`, which compares a text with the file `golden/<name>` beside the test."""
    folder = request.path.parent / "golden"

    def check(name, text):
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: `pytest --update-golden` writes it"
        assert text == path.read_text(encoding="utf-8")

    return check
