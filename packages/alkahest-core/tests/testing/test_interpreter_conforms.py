"""The interpreter over columns agrees with the interpreter over floats: the suite, run on its own oracle."""

from alkahest import builtin
from alkahest.testing import BackendSuite


class TestInterpreter(BackendSuite):
    (info,) = builtin.alkahest_backends()
