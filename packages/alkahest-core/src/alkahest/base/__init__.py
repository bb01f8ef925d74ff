"""What everything stands on: primitives and their rule tables."""
