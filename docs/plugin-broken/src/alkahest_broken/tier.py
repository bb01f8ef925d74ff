"""Offers the cheapest tier of all, which fails."""

from alkahest.extend import BackendInfo, Cost, hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_backends():
    """Describe a tier that wins every auction."""
    free = Cost(setup=0.0, per_node=0.0, launch=0.0, per_op=0.0)
    return [BackendInfo(name="broken", factory="alkahest_broken.tier:Backend", targets=frozenset({"cpu"}), cost=free)]


class Backend:
    """Promises all and compiles nothing."""

    def unavailable(self):
        """Return that it can run."""
        return ""

    def refuses(self, tape):
        """Return that it takes anything."""
        return ""

    def compile(self, tape, options):
        """Fail."""
        raise RuntimeError("the compiler crashed")
