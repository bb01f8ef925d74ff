"""How batches and scheduled programs run: columns where nothing waits, side by side where something does."""
