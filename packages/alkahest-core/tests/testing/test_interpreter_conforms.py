"""The interpreter over columns agrees with the interpreter over floats: the suite, run on its own oracle."""

from importlib.util import find_spec

from alkahest import builtin
from alkahest.testing import BackendSuite


class TestInterpreter(BackendSuite):
    (info,) = builtin.alkahest_backends()
    deviations = {"lgamma": "SciPy's gammaln is -inf at -inf, and inf at denormals"} if find_spec("scipy") else {}
