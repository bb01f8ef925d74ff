"""Transformations: a program in, a program out."""
