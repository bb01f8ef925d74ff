"""From IR text to code that runs in this process, and the ways into it."""
