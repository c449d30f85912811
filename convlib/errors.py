"""The library's own exception classes, and how their messages quote; standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    reason: str

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


def meant(word: Any, valid: Iterable[str], others: Mapping[str, str] | None = None) -> str | None:
    """Return the valid name that was probably meant by an unknown one, or None.

    Parameters
    ----------
    word : object
        What was written.
    valid : iterable of str
        The names there are.
    others : mapping of str to str, optional
        What other libraries say, in lower case, and what is said here.
    """
    import difflib  # slow to import, and needed only where something is refused

    if not isinstance(word, str):
        return None
    names, written = {name.lower(): name for name in valid}, word.strip().lower()
    found = (others or {}).get(written, "").lower()
    if found in names:
        return names[found]
    return next((names[name] for name in difflib.get_close_matches(written, names, 1, 0.7)), None)


def did_you_mean(word: Any, valid: Iterable[str], others: Mapping[str, str] | None = None) -> str:
    """Return the end of a message about an unknown name: "; did you mean 'x'?", or nothing; see `meant`."""
    found = meant(word, valid, others)
    return "" if found is None else f"; did you mean {found!r}?"
