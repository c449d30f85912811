"""A module that fails on import, as one with a missing dependency would."""

raise RuntimeError("a library is missing")
