"""Equality saturation over islands of an expression."""
