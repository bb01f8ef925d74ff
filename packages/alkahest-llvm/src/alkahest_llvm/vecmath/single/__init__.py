"""Math kernels of floats: the most used functions, computed in single precision."""
