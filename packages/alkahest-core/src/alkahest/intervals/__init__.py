"""Interval arithmetic: enclosures of what a formula gives over boxes, and pictures made by them."""
