"""Expressions: the pool that holds them, their text forms, their file form, and the flat tape backends see."""
