"""Reverse Polish notation for Alkahest: a text format, a tier that runs it, and one more function."""

from alkahest_rpn.functions import softplus as softplus
