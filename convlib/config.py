"""Settings that hold for a block of code: memory bound, accuracy and backend choice.

Each setting is looked up in the same order: the context (a ``with`` block), the environment, the default.
The environment is read once, on import: a look-up costs a microsecond, which small calls would feel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import SpecError

DEFAULT_WORKSPACE = 64 << 20

_NAMES = ("BACKEND", "ACCURACY", "MAX_WORKSPACE", "NUM_THREADS")
_environment: dict[str, str] = {}
_readings = 0  # of the environment

_workspace: ContextVar[int | None] = ContextVar("convlib_max_workspace", default=None)
_accuracy: ContextVar[str | None] = ContextVar("convlib_accuracy", default=None)

ACCURACIES = ("fast", "strict")


def read_environment() -> None:
    """Read the variables ``CONVLIB_*`` again, and ``OMP_NUM_THREADS``."""
    global _readings  # what `state` tells apart
    _readings += 1
    _environment.clear()
    for name in (*(f"CONVLIB_{name}" for name in _NAMES), "OMP_NUM_THREADS"):
        value = os.environ.get(name)
        if value:
            _environment[name] = value


def environment(name: str) -> str | None:
    """Return a variable as it was when `read_environment` last ran; None if unset or empty."""
    return _environment.get(name)


read_environment()


def state() -> tuple[int | None, str | None, int]:
    """Return all that accuracy, memory bound and the environment depend on, as a key for caches."""
    return _workspace.get(), _accuracy.get(), _readings


def get_max_workspace() -> int:
    """Return the bound on scratch memory per call, in bytes (default 64 MiB, ``CONVLIB_MAX_WORKSPACE``)."""
    value = _workspace.get()
    if value is None:
        text = environment("CONVLIB_MAX_WORKSPACE")
        return DEFAULT_WORKSPACE if text is None else _bytes("CONVLIB_MAX_WORKSPACE", text)
    return value


def get_accuracy() -> str:
    """Return "fast", which lets the automatic choice use Winograd, or "strict" (``CONVLIB_ACCURACY``)."""
    value = _accuracy.get() or environment("CONVLIB_ACCURACY") or "fast"
    if value not in ACCURACIES:
        raise SpecError(f"accuracy={value!r} is unknown; valid: {', '.join(map(repr, ACCURACIES))}")
    return value


@contextmanager
def max_workspace(nbytes: int) -> Iterator[None]:
    """Bound the scratch memory of calls in this block.

    Parameters
    ----------
    nbytes : int
        Upper bound per call, in bytes; at least 1 MiB.
    """
    token = _workspace.set(_bytes("nbytes", nbytes))
    try:
        yield
    finally:
        _workspace.reset(token)


@contextmanager
def accuracy(level: str) -> Iterator[None]:
    """Allow ("fast") or forbid ("strict") algorithms whose rounding errors exceed those of direct summation.

    Parameters
    ----------
    level : {"fast", "strict"}
        What the automatic choice may use in this block.
    """
    if level not in ACCURACIES:
        raise SpecError(f"accuracy={level!r} is unknown; valid: {', '.join(map(repr, ACCURACIES))}")
    token = _accuracy.set(level)
    try:
        yield
    finally:
        _accuracy.reset(token)


def _bytes(name: str, value: int | str) -> int:
    try:
        nbytes = int(value)
    except ValueError:
        raise SpecError(f"{name}={value!r} must be a number of bytes, such as {DEFAULT_WORKSPACE}") from None
    if nbytes < 1 << 20:
        raise SpecError(f"{name}={nbytes} must be at least {1 << 20} bytes (1 MiB)")
    return nbytes
