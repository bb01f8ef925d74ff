"""From a tape to something that runs: protocols, dispatch, the compiled function, tracing, gradients."""
