"""Algebra on expressions: derivatives, cheap folding, the canonical form, polynomials."""
