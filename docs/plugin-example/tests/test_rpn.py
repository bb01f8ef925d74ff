"""The example keeps the promises of every backend, and does what its tutorial says."""

import math

import pytest
from alkahest_rpn import plugin, softplus
from alkahest_rpn.functions import IDENTITIES

from alkahest import CompileConfig, ExprPool, compile_expr, diff, emit, exp, sin
from alkahest.extend import AlkahestError
from alkahest.testing import BackendSuite, check_identity


class TestRpn(BackendSuite):
    info = plugin.alkahest_backends()[0]


@pytest.fixture
def xy():
    return ExprPool().symbols("x y")


def test_text(xy):
    x, y = xy
    assert emit(x**2 + sin(y), [x, y], format="rpn") == "x 2 ^ y sin +"
    assert emit(-(x - 0.5) / y, xy, format="rpn") == "x 0.5 - chs y /"


def test_what_is_used_twice_is_computed_once(xy):
    x, _ = xy
    s = sin(x)
    assert emit([s * s, s], [x], format="rpn") == "x sin =t1 t1 * t1"


def test_an_input_called_like_a_word():
    x = ExprPool().symbol("sin")
    with pytest.raises(AlkahestError) as caught:
        emit(sin(x), [x], format="rpn")
    assert caught.value.code == "E-EMIT-002"


def test_the_new_function_differentiates_and_runs(xy):
    x, y = xy
    f = compile_expr([softplus(x) * y, diff(softplus(x), x)], xy, config=CompileConfig(backend="rpn", fallback=False))
    assert f.tier == "rpn"
    value, slope = f([1.5, 2.0])
    assert value == pytest.approx(2 * math.log(1 + math.exp(1.5)), rel=1e-15)
    assert slope == pytest.approx(1 / (1 + math.exp(-1.5)), rel=1e-15)


def test_a_formula_it_has_no_word_for_runs_elsewhere(xy):
    from alkahest import erf

    x, y = xy
    f = compile_expr(erf(x) + exp(y), xy, config=CompileConfig(backend="rpn"))
    assert f.tier != "rpn"
    assert "has no word for erf" in str(f.explain())
    assert f([0.5, 1.0]) == pytest.approx(math.erf(0.5) + math.e, rel=1e-15)


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: i.name)
def test_identities_hold(identity):
    check_identity(identity)
