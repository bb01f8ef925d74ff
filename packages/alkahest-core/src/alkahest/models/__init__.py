"""Language models: who answers a request, within which limits."""
