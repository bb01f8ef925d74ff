"""What every backend promises, for the tier `xla`."""

from alkahest.testing import BackendSuite
from alkahest_jax import plugin


class TestXla(BackendSuite):
    info = plugin.alkahest_backends()[0]
    flushes_denormals = True
