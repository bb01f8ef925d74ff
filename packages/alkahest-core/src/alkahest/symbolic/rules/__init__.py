"""Identities: what may be rewritten, as expressions."""
