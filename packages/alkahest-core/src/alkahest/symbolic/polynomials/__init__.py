"""Polynomials in one symbol: Horner, Estrin, series."""
