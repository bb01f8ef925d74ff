"""Alkahest on XLA: runs a tape as one jitted JAX function, as the tier `xla` of target "xla".

Nothing here needs to be imported by name: the plugin announces the tier, and
`compile_expr(expr, inputs, config=CompileConfig(target="xla"))` uses it.
"""
