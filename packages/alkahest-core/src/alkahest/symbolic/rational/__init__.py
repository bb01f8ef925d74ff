"""Polynomials in several symbols and their quotients: expand, collect, cancel."""
