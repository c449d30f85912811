"""The library's own exception classes; standard library only."""

from __future__ import annotations


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
