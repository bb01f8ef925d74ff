"""Rearranging formulas so that they keep their digits."""
