"""What tests of transforms share: primitives that count their calls."""

import pytest

from alkahest.base.avals import STR
from alkahest.base.prim import Prim
from alkahest.prims.groups import waiting_primitives
from alkahest.prims.rules import rules


class Counted:
    """A primitive that tells its calls, and does what it is told."""

    def __init__(self, name="counted", impl=None, aimpl=None, *, waits=False):
        self.calls = []
        self.impl = impl or (lambda x: f"<{x}>")
        self.aimpl = aimpl
        self.prim = rules(
            Prim(name),
            impl=self._impl,
            aimpl=self._aimpl if aimpl else None,
            abstract=lambda x, **_: STR,
            waits=waits,
            register=False,
        )

    def _impl(self, in_tree, /, **_):
        self.calls.append(in_tree)
        return self.impl(in_tree)

    async def _aimpl(self, in_tree, /, **_):
        self.calls.append(in_tree)
        return await self.aimpl(in_tree)

    def __call__(self, x, **params):
        return self.prim.bind(x, **params)


@pytest.fixture
def counted():
    """Return `counted(name, impl, aimpl, waits=…)`, which makes a primitive that counts its calls."""
    made = []

    def make(*args, **kwargs):
        made.append(Counted(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        waiting_primitives.discard(one.prim)


@pytest.fixture
def waiting(counted):
    """Return the same for primitives that wait, as a model call does."""
    return lambda **kwargs: counted(waits=True, **kwargs)


@pytest.fixture
def sympy():
    """Return SymPy, the oracle of derivatives, which core's own environment does not have."""
    return pytest.importorskip("sympy", reason="SymPy is not installed")
