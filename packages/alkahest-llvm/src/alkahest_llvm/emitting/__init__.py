"""From a tape to LLVM IR text."""
