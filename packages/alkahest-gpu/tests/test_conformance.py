"""What every backend promises: on a GPU where there is one, and everywhere through the stand-in for the driver."""

import pytest

from alkahest.testing import BackendSuite
from alkahest_gpu import plugin


@pytest.mark.gpu
class TestCuda(BackendSuite):
    info = plugin.alkahest_backends()[0]


class TestCudaOnTheHost(BackendSuite):
    """The same code paths and the same IR, without NVPTX's code generator and the hardware."""

    info = plugin.alkahest_backends()[0]
    batch_invariant = True

    @pytest.fixture(autouse=True)
    def _standin(self, standin):
        """Run this test with the stand-in."""
