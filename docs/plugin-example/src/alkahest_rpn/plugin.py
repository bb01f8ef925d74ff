"""What this distribution offers. Alkahest imports it to list plugins, so it imports nothing heavy."""

from alkahest.extend import BackendInfo, Cost, EmitterInfo, hookimpl

ALKAHEST_API = 1


@hookimpl
def alkahest_backends():
    """Describe the tier."""
    return [
        BackendInfo(
            name="rpn",
            factory="alkahest_rpn.machine:RpnBackend",
            targets=frozenset({"cpu"}),
            lowers="rpn",
            # From `alkahest calibrate rpn`, rounded.
            cost=Cost(setup=1e-4, per_node=1e-6, launch=5e-5, per_op=4e-7),
        )
    ]


@hookimpl
def alkahest_emitters():
    """Describe the text format."""
    return [EmitterInfo(name="rpn", factory="alkahest_rpn.machine:emit", description="reverse Polish notation")]


@hookimpl
def alkahest_primitives():
    """Declare softplus."""
    import alkahest_rpn.functions  # noqa: F401


@hookimpl
def alkahest_lowerings(target):
    """Set the rules of the language; rules for other targets are none of ours."""
    if target == "rpn":
        import alkahest_rpn.words  # noqa: F401


@hookimpl
def alkahest_rewrites():
    """Give the simplifier what is known of softplus."""
    from alkahest_rpn.functions import IDENTITIES

    return IDENTITIES
