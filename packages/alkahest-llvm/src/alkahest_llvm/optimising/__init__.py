"""From a tape to a cheaper tape."""
