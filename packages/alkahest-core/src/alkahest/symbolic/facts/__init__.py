"""What is known of the values of expressions."""
