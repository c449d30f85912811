"""How many threads a call may use.

Order of precedence: `num_threads` (a ``with`` block), `set_num_threads`, ``CONVLIB_NUM_THREADS``, ``OMP_NUM_THREADS``,
and last what the machine gives this process: its CPU affinity, cut to the CPU quota of its control group.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from .config import Setting, Variable, current, environment, reads
from .errors import SpecError, quote

MAX_THREADS = 64

_context: Variable[int] = ContextVar("convlib_num_threads", default=None)
_process: int | None = None


def get_num_threads() -> int:
    """Return how many threads a call made here may use.

    Returns
    -------
    count : int
        At least 1.

    Examples
    --------
    >>> import convlib
    >>> with convlib.num_threads(1):
    ...     convlib.get_num_threads()
    1
    """
    chosen = (None if _context.get() is None else current(_context)) or _process
    return _unasked(reads()) if chosen is None else chosen


@lru_cache(maxsize=1)
def _unasked(_: int) -> int:
    """Return what the environment says, or the machine; once for each time that the environment was read."""
    for name in ("CONVLIB_NUM_THREADS", "OMP_NUM_THREADS"):
        text = environment(name)
        if text:
            return _from_environment(name, text)
    return machine_threads()


def set_num_threads(count: int | None) -> None:
    """Set how many threads calls of this process may use.

    Parameters
    ----------
    count : int or None
        1 to 64; None returns to the environment and the machine.

    Raises
    ------
    SpecError
        If `count` is out of range.
    TypeError
        If `count` is no integer.

    Examples
    --------
    >>> import convlib
    >>> convlib.set_num_threads(1)
    >>> convlib.get_num_threads()
    1
    >>> convlib.set_num_threads(None)
    """
    global _process  # one setting per process, as in every threading library
    _process = None if count is None else checked("count", count)


def num_threads(count: int) -> Setting[int]:
    """Use at most `count` threads per call in this block (this thread or task only).

    Parameters
    ----------
    count : int
        1 to 64.

    Returns
    -------
    setting : context manager
        For a ``with`` statement.

    Raises
    ------
    SpecError
        If `count` is out of range.
    TypeError
        If `count` is no integer.

    Examples
    --------
    >>> import convlib
    >>> with convlib.num_threads(1):
    ...     convlib.get_num_threads()
    1
    """
    return Setting(_context, checked("count", count))


@lru_cache(maxsize=1)
def machine_threads() -> int:
    """Return how many CPUs this process may use: affinity, cut to the control group's quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cpus = os.cpu_count() or 1
    quota = _cgroup_quota("/sys/fs/cgroup")
    return max(1, min(cpus, quota or cpus, MAX_THREADS))


def _cgroup_quota(root: str) -> int | None:
    """Return the CPU quota of the control group in whole CPUs, rounded up; None if there is none."""
    try:
        quota, period = _words(f"{root}/cpu.max")
    except (OSError, ValueError):
        try:  # version 1 of control groups
            (quota,) = _words(f"{root}/cpu/cpu.cfs_quota_us")
            (period,) = _words(f"{root}/cpu/cpu.cfs_period_us")
        except (OSError, ValueError):
            return None
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None  # "max" or -1: no limit
    return -(-int(quota) // int(period))


def _words(path: str) -> list[str]:
    with open(path) as file:
        return file.read().split()


def _from_environment(name: str, text: str) -> int:
    try:
        # OMP_NUM_THREADS may hold one number per nesting level; the first counts.
        return min(max(1, int(text.split(",")[0])), MAX_THREADS)
    except ValueError:
        raise SpecError(f"{name}={quote(text)} must be a number of threads, such as 2") from None


def checked(name: str, count: Any) -> int:
    """Return a number of threads, or refuse what is none."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name} must be an integer, not {type(count).__name__} ({quote(count)})")
    if not 1 <= count <= MAX_THREADS:
        raise SpecError(f"{name}={quote(count)} must lie between 1 and {MAX_THREADS}")
    return count
