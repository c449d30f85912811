"""Settings that hold for a block of code: memory bound, accuracy and backend choice.

Each setting is looked up in the same order: the context (a ``with`` block), the environment, the default.
The environment is read once, on import: a look-up costs a microsecond, which small calls would feel.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from operator import index
from threading import Lock
from typing import Any, Generic, TypeAlias, TypeVar

from .errors import SpecError, quote

DEFAULT_WORKSPACE = 64 << 20

T = TypeVar("T")

_NAMES = ("BACKEND", "ACCURACY", "MAX_WORKSPACE", "NUM_THREADS", "PLAN_CACHE", "TUNING", "CACHE_DIR")
_environment: dict[str, str] = {}  # never changed but replaced: other threads look into it
_reads = 0  # how often it was read
_reading = Lock()

#: One entering of a setting: the setting, what tells this entering from others, and the block that it lies in.
Block: TypeAlias = "tuple[Setting[T], object, Block[T] | None]"
Variable: TypeAlias = "ContextVar[Block[T] | None]"
_workspace: Variable[int] = ContextVar("convlib_max_workspace", default=None)
_accuracy: Variable[str] = ContextVar("convlib_accuracy", default=None)
_tuning: Variable[bool] = ContextVar("convlib_tuning", default=None)

ACCURACIES = ("fast", "strict")


def read_environment() -> None:
    """Read the variables ``CONVLIB_*`` again, and ``OMP_NUM_THREADS``."""
    global _reads, _environment
    names = (*(f"CONVLIB_{name}" for name in _NAMES), "OMP_NUM_THREADS")
    with _reading:
        _environment = {name: os.environ[name] for name in names if os.environ.get(name)}
        _reads += 1


def environment(name: str) -> str | None:
    """Return a variable as it was when `read_environment` last ran; None if unset or empty."""
    return _environment.get(name)


def reads() -> int:
    """Return how often the environment was read."""
    return _reads


read_environment()


def get_max_workspace() -> int:
    """Return the bound on scratch memory per call, in bytes (default 64 MiB, ``CONVLIB_MAX_WORKSPACE``)."""
    value = None if _workspace.get() is None else current(_workspace)  # most calls are in no block
    if value is None:
        text = environment("CONVLIB_MAX_WORKSPACE")
        return DEFAULT_WORKSPACE if text is None else _bytes("CONVLIB_MAX_WORKSPACE", text)
    return value


def get_accuracy() -> str:
    """Return "fast", which lets the automatic choice use Winograd, or "strict" (``CONVLIB_ACCURACY``)."""
    return current(_accuracy) or _level("CONVLIB_ACCURACY", environment("CONVLIB_ACCURACY") or "fast")


def get_tuning() -> bool:
    """Return whether the automatic choice uses what was measured on this machine (default; ``CONVLIB_TUNING=off``)."""
    wanted = current(_tuning)
    if wanted is not None:
        return wanted
    text = environment("CONVLIB_TUNING") or "on"
    if text not in ("on", "off"):
        raise SpecError(f"CONVLIB_TUNING={quote(text)} is unknown; valid: 'on', 'off'")
    return text == "on"


def settings() -> tuple[Any, ...]:
    """Return all that accuracy, memory bound and environment depend on, unchecked: a key for caches."""
    tuning = _tuning.get() and current(_tuning)
    return _accuracy.get() and current(_accuracy), _workspace.get() and current(_workspace), tuning, _reads


class _Release:
    """The ``__exit__`` of a setting: for a ``with`` block that of its lock, which is one step.

    An interrupt may arrive before the first line of an ``__exit__`` written in Python, and the value would stay.
    `contextlib.ExitStack` looks it up in the class and calls it with the setting.
    """

    def __get__(self, setting: Setting[Any] | None, owner: type | None = None) -> Callable[..., None]:
        return self.__call__ if setting is None else setting._lock.__exit__

    def __call__(self, setting: Setting[Any], *details: Any) -> None:
        setting._lock.__exit__(*details)


class Setting(ContextDecorator, Generic[T]):
    """A value for a ``with`` block, or for the calls of a function; it holds as long as its lock is taken."""

    __slots__ = ("_entering", "_lock", "_value", "_variable")
    __exit__: _Release = _Release()

    def __init__(self, variable: Variable[T], value: T) -> None:
        self._variable, self._value = variable, value
        self._entering: object = None
        self._lock = Lock()

    def _recreate_cm(self) -> Setting[T]:  # for each call of a decorated function
        return Setting(self._variable, self._value)

    def __enter__(self) -> None:
        outer = _innermost(self._variable)
        if not self._lock.acquire(blocking=False):
            raise SpecError("this setting holds already; make another one for a block inside its own")
        try:
            self._entering = entering = object()
            self._variable.set((self, entering, outer))
        except BaseException:
            self._lock.release()
            raise


def _innermost(variable: Variable[T]) -> Block[T] | None:
    """Return the innermost block that has not ended; a setting that was entered anew has left its blocks before."""
    block = variable.get()
    while block is not None:
        setting, entering, outer = block
        if setting._entering is entering and setting._lock.locked():
            break
        block = outer
    return block


def current(variable: Variable[T]) -> T | None:
    """Return the value of the innermost block that sets a variable, or None."""
    block = _innermost(variable)
    return None if block is None else block[0]._value


def max_workspace(nbytes: int) -> Setting[int]:
    """Bound the scratch memory of calls in this block.

    Parameters
    ----------
    nbytes : int
        Upper bound per call, in bytes; at least 1 MiB.

    Returns
    -------
    setting : context manager
        For a ``with`` statement.

    Raises
    ------
    SpecError
        If it is no such number.

    Examples
    --------
    >>> import convlib
    >>> with convlib.max_workspace(1 << 20):
    ...     convlib.explain("conv2d", (8, 64, 224, 224), (64, 64, 3, 3), padding=1).workspace_nbytes <= 1 << 20
    True
    """
    return Setting(_workspace, _bytes("nbytes", nbytes))


def scratch(nbytes: int) -> Setting[int]:
    """Bound the scratch memory of a part of a call, which shares the call's bound with others."""
    return Setting(_workspace, nbytes)


def use_tuning(wanted: bool) -> Setting[bool]:
    """Let the automatic choice use what `convlib.tuning` measured on this machine, or not.

    Parameters
    ----------
    wanted : bool
        Whether it shall in this block.

    Returns
    -------
    setting : context manager
        For a ``with`` statement.

    Raises
    ------
    TypeError
        If it is neither True nor False.

    Examples
    --------
    >>> import convlib
    >>> with convlib.use_tuning(False):
    ...     convlib.explain("conv2d", (1, 8, 9, 9), (8, 8, 3, 3)).source
    'automatic'
    """
    if not isinstance(wanted, bool):
        raise TypeError(f"wanted must be True or False, not {quote(wanted)}")
    return Setting(_tuning, wanted)


def accuracy(level: str) -> Setting[str]:
    """Allow ("fast") or forbid ("strict") algorithms whose rounding errors exceed those of direct summation.

    Parameters
    ----------
    level : {"fast", "strict"}
        What the automatic choice may use in this block.

    Returns
    -------
    setting : context manager
        For a ``with`` statement.

    Raises
    ------
    SpecError
        If it is neither of them.

    Examples
    --------
    >>> import convlib
    >>> with convlib.accuracy("strict"):
    ...     convlib.explain("conv2d", (1, 64, 56, 56), (64, 64, 3, 3)).algorithm == "winograd"
    False
    """
    return Setting(_accuracy, _level("accuracy", level))


def _level(name: str, level: Any) -> str:
    if not isinstance(level, str) or level not in ACCURACIES:
        raise SpecError(f"{name}={quote(level)} is unknown; valid: {', '.join(map(repr, ACCURACIES))}")
    return level


def _bytes(name: str, value: int | str) -> int:
    try:
        # Variables of the environment are texts; a float may be no number, or more than an integer holds.
        nbytes = int(value) if isinstance(value, str) else index(value)
    except ValueError:
        raise SpecError(f"{name}={quote(value)} must be a number of bytes, such as {DEFAULT_WORKSPACE}") from None
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name} must be an integer, not {kind}; such as {DEFAULT_WORKSPACE} bytes") from None
    if not 1 << 20 <= nbytes < 2**62:
        raise SpecError(f"{name}={quote(nbytes)} must be at least {1 << 20} bytes (1 MiB) and less than 2**62")
    return nbytes
