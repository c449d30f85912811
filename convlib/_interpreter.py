"""Refuse to be imported by a subinterpreter, where SciPy waits for a lock for ever and NumPy warns of subtle bugs."""

from __future__ import annotations

import sys
from importlib import import_module


def check() -> None:
    """Raise ImportError in any interpreter but the main one."""
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    try:
        interpreters = import_module(name)
    except ImportError:
        return  # this Python has none, or does not tell
    if interpreters.get_current() != interpreters.get_main():
        raise ImportError(
            "convlib runs in the main interpreter only, for NumPy and SciPy support no subinterpreters; use threads, "
            "which compute side by side, or processes (under mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )


check()
