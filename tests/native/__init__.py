"""The native engine against plain sums: one file per family of kernels, and one for what all of them promise."""
