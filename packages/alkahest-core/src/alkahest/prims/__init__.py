"""Primitives, each a declaration: name, what it computes, its partial derivatives, how targets say it."""
