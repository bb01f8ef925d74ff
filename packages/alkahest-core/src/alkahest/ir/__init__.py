"""Programs: variables, equations, tracing, and how they run."""
