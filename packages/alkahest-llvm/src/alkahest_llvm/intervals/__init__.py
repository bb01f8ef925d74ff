"""Interval arithmetic, and leaving out what cannot matter."""
