"""Both tiers against core's conformance suite for backends."""

from alkahest.testing.suites import BackendSuite
from alkahest_llvm import plugin

# x^4 is two products, off by up to 2 ulp, and the interpreter's by half an ulp; the interpreter's cube root, the C
# library's, is up to 4 ulp off itself.
ULPS = {"pow": 2.5, "cbrt": 4.0}
OFFERS = {info.name: info for info in plugin.alkahest_backends()}


class TestLLVM(BackendSuite):
    info = OFFERS["llvm"]
    max_ulps = 1.5
    op_ulps = ULPS
    batch_invariant = True


class TestLLVMFast(BackendSuite):
    info = OFFERS["llvm-fast"]
    max_ulps = 1.5
    op_ulps = ULPS
    batch_invariant = True
