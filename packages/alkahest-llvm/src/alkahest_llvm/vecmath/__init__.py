"""Own vector math: elementary functions written once, for any vector width and for GPUs (see README.md here)."""

LARGEST_POLYGAMMA_ORDER = 30  # there are kernels polygamma1, polygamma2, … up to this order
