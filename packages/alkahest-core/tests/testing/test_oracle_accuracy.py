"""The allowances of the conformance suite rest on the oracle being better than they are: mpmath says how good it is."""

import random

import mpmath
import pytest

from alkahest import extend
from alkahest.testing.corpus import op_domain
from alkahest.testing.oracle import CROSS_ZERO, HARD, spacing

EXACT = {
    "gamma": mpmath.gamma,
    "lgamma": lambda x: mpmath.re(mpmath.loggamma(x)),
    "digamma": mpmath.digamma,
    "polygamma": mpmath.polygamma,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
}


@pytest.mark.parametrize("op", sorted(HARD))
def test_the_oracle_keeps_half_of_the_allowance(op):
    draw = random.Random(3)
    number = extend.impl_rules.by_name(op).number
    worst = 0.0
    with mpmath.workdps(40):
        for _ in range(400):
            point = [draw.uniform(low, high) for low, high in op_domain(op)]
            exact = EXACT[op](*(int(v) if op == "polygamma" and k == 0 else mpmath.mpf(v) for k, v in enumerate(point)))
            unit = spacing(max(abs(float(exact)), 1.0 if op in CROSS_ZERO else 0.0), "f64")
            worst = max(worst, float(abs(number(*point) - exact)) / unit)
    assert worst <= HARD[op] / 2
