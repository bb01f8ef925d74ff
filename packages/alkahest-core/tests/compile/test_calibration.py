"""Measured costs: the fit recovers what a simulated tier costs, and a bad file does no harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alkahest.compile import calibration
from alkahest.compile.calibration import calibrated_costs, config_directory, fit_line, measure, write_calibration
from alkahest.errors import ConfigError
from alkahest.plugins.infos import Cost

COST = Cost(setup=3e-3, per_node=2e-5, launch=4e-6, per_op=5e-9)


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("ALKAHEST_CONFIG_DIR", str(tmp_path))
    calibration.forget_calibration()
    return tmp_path / "calibration.json"


class Simulated:
    """A tier that takes exactly what COST says, by a clock of its own."""

    def __init__(self, monkeypatch, alone=None):
        self.now = 0.0
        self.alone = alone
        monkeypatch.setattr(calibration.time, "perf_counter", lambda: self.now)

    def compile(self, tape, options):
        backend, nodes = self, len(tape.instrs)
        backend.now += COST.setup + COST.per_node * nodes

        class Kernel:
            n_inputs, n_outputs, artifacts = 2, 1, {}

            def call_columns(self, n, columns, out):
                backend.now += COST.launch + COST.per_op * nodes * n

        if self.alone is not None:

            def scalar(point):
                backend.now += COST.launch + self.alone * nodes

            Kernel.scalar = staticmethod(scalar)
        return Kernel()


@pytest.mark.parametrize("alone", [None, COST.per_op / 10, COST.per_op * 10])
def test_measuring_recovers_the_cost(monkeypatch, alone):
    measured = measure(Simulated(monkeypatch, alone))
    # Compiling is timed up to the end of the first call, in which a backend may still do some of it.
    assert measured.setup == pytest.approx(COST.setup + COST.launch, rel=1e-6)
    assert measured.per_node == pytest.approx(COST.per_node + (alone or COST.per_op), rel=1e-6)
    assert measured.launch == pytest.approx(COST.launch, rel=1e-6)
    assert measured.per_op == pytest.approx(max(COST.per_op, alone or 0.0), rel=1e-6)


@given(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3))
def test_a_line_is_recovered_from_its_points(intercept, slope):
    xs = [8.0, 32.0, 128.0]
    a, b = fit_line(xs, [intercept + slope * x for x in xs])
    scale = intercept + slope * 8
    assert a == pytest.approx(intercept, abs=1e-9 * scale)
    assert b == pytest.approx(slope, abs=1e-9 * scale)


@given(st.lists(st.floats(1e-9, 1.0), min_size=3, max_size=3))
def test_no_cost_is_negative(ys):
    a, b = fit_line([8.0, 32.0, 128.0], ys)
    assert a >= 0.0
    assert b >= 0.0
    assert a + b > 0.0


def test_no_file_no_costs():
    assert calibrated_costs() == {}
    assert calibration.calibration().fault == ""


def test_what_is_written_is_read_and_later_tiers_are_added(settings):
    assert write_calibration({"one": COST}) == settings
    assert calibrated_costs() == {"one": COST}
    other = Cost(setup=1, per_node=2, launch=3, per_op=4)
    write_calibration({"two": other})
    assert calibrated_costs() == {"one": COST, "two": other}
    assert calibration.calibration().machine
    assert [file.name for file in settings.parent.iterdir()] == ["calibration.json"]


GOOD = {
    "version": 1,
    "machine": "m",
    "date": "d",
    "costs": {"one": {"setup": 1, "per_node": 1, "launch": 1, "per_op": 1}},
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("\udcff", "cannot be read"),
        ("[]", "damaged"),
        ("3", "damaged"),
        (json.dumps(GOOD | {"version": 2}), "version 2"),
        (json.dumps(GOOD | {"costs": []}), "damaged"),
        (json.dumps(GOOD | {"costs": {"one": {}}}), "damaged: KeyError"),
        (json.dumps(GOOD).replace('"setup": 1', '"setup": -1'), "damaged: ValueError: setup is -1.0"),
        (json.dumps(GOOD).replace('"setup": 1', '"setup": NaN'), "setup is nan"),
        (json.dumps(GOOD).replace('"setup": 1', '"setup": "x"'), "damaged: ValueError"),
    ],
)
def test_a_bad_file_is_no_obstacle(settings, text, said):
    settings.write_bytes(text.encode(errors="surrogateescape"))
    assert calibrated_costs() == {}
    assert said in calibration.calibration().fault
    write_calibration({"one": COST})
    assert calibrated_costs() == {"one": COST}


def test_where_settings_are_kept(monkeypatch, tmp_path):
    assert config_directory() == tmp_path
    monkeypatch.delenv("ALKAHEST_CONFIG_DIR")
    monkeypatch.setattr(calibration.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config_directory() == tmp_path / "xdg" / "alkahest"


def test_without_a_home_there_is_no_calibration_and_no_failure(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ALKAHEST_CONFIG_DIR")
    monkeypatch.setattr(calibration.Path, "home", homeless)
    calibration.forget_calibration()
    assert calibrated_costs() == {}
    with pytest.raises(ConfigError, match="ALKAHEST_CONFIG_DIR"):
        write_calibration({"one": COST})
    calibration.forget_calibration()
