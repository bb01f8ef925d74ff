"""Plugins: the hooks they implement, what they describe, and the records of what became of each."""
