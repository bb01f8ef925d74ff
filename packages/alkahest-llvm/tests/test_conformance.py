"""Both tiers against core's conformance suite for backends."""

from alkahest.testing.suites import BackendSuite

from alkahest_llvm import plugin

OFFERS = {info.name: info for info in plugin.alkahest_backends()}


class TestLLVM(BackendSuite):
    info = OFFERS["llvm"]
    max_ulps = 1.5
    op_ulps = {"pow": 2.0}
    batch_invariant = True


class TestLLVMFast(BackendSuite):
    info = OFFERS["llvm-fast"]
    max_ulps = 1.5
    op_ulps = {"pow": 2.0}
    batch_invariant = True
