"""The library's own exception classes, and how their messages quote; standard library only."""

from __future__ import annotations

from typing import Any


class ConvlibError(Exception):
    """Base class of every error that convlib raises on its own account."""


class SpecError(ConvlibError, ValueError):
    """A size, shape or option breaks a rule; the message names it and a valid value."""


class BackendError(ConvlibError, RuntimeError):
    """A backend is unknown, unavailable or broken."""


class UnsupportedError(BackendError, NotImplementedError):
    """The backend that was asked for by name cannot serve this call.

    Parameters
    ----------
    message : str
        What is said to the user: why, and which backends can.
    reason : str, optional
        Why, alone; kept as an attribute.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        self.reason = reason or message
        super().__init__(message)


def quote(value: Any) -> str:
    """Return what a message says of a value that a caller wrote: its text, cut short if it is long."""
    if isinstance(value, (tuple, list)) and len(value) > 16:
        return f"a {type(value).__name__} of {len(value)} entries"
    try:
        text = repr(value)
    except Exception:  # integers of thousands of digits, and objects whose text is broken
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 200 else text[:200] + "..."
