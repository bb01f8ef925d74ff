"""How batches and scheduled programs run: by readiness, columns where nothing waits, side by side where something does."""
