"""Writers of text in other languages: C, and what plugins add; nothing here runs what it writes."""
