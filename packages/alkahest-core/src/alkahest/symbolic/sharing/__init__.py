"""Common parts of sums and products, found and computed once."""
