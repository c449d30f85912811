"""Kinds of arguments that several commands take: each reads a text, or says what a valid one is."""

from __future__ import annotations

import argparse
import math
from typing import Any, TypeAlias

#: What `add` of a command gets: argparse's class for it is not public.
Commands: TypeAlias = Any


def positive(text: str) -> int:
    """Read a whole number, at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 1")
    return number


def seconds(text: str) -> float:
    """Read a number of seconds, at most an hour."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, above 0 and at most 3600")
    return number


def names(text: str) -> list[str]:
    """Read a list with commas, each name once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
