"""Own vector math: elementary functions written once, for any vector width and for GPUs (see README.md here)."""
