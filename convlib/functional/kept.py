"""Plans kept for convolutions whose weights cannot be written, so that plain calls pack them once."""

from __future__ import annotations

import weakref
from collections import OrderedDict, deque
from contextvars import ContextVar
from functools import lru_cache, partial
from threading import Lock
from typing import Any

import numpy as np

from .. import config, registry, storage
from ..errors import SpecError, quote
from ..spec import make_conv, weight_order
from ..spec.arguments import integer
from ._common import Array
from .plan import ConvPlan, of_plain_weights

_context: config.Variable[PlanCache] = ContextVar("convlib_plan_cache", default=None)


def plan_cache(maxsize: int = 64) -> config.Setting[PlanCache]:
    """Keep plans of the convolutions in this block whose weights are read-only, and run repeated calls by them.

    A call of `conv1d`, `conv2d` or `conv3d` on NumPy arrays looks for a plan of the same weights, shapes and options.
    ``CONVLIB_PLAN_CACHE`` sets `maxsize` of a cache for the whole process.

    Parameters
    ----------
    maxsize : int, default 64
        Plans that are kept at most; those used longest ago go first.  Each holds the weights twice, plain and packed.

    Returns
    -------
    setting : context manager
        For a ``with`` statement; all plans go with it.

    Raises
    ------
    SpecError
        If `maxsize` is less than 1.

    Notes
    -----
    Weights are told apart by identity: by the array that owns their memory, and by where, in which shape and strides
    they lie in it.  What could change under a plan is never kept:

    - Weights count as read-only if neither they nor any array that they are a view of can be written
      (``w.flags.writeable = False`` on the owner), and their memory belongs to an array or to `bytes`.  That is looked
      at in every call; a call that finds them writable drops their plans and packs anew.
    - A plan holds a weak reference to the owner and goes when the owner is freed, so that another array at the same
      address never meets it.
    - A bias is compared by its numbers.

    Two things cannot be seen: an array that is made writable, changed and made read-only again between two calls, and
    a view that was made while its array could be written, and can itself still be.  Leave the block before you write
    by either.

    Examples
    --------
    >>> import convlib, numpy as np
    >>> x, w = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)
    >>> w.flags.writeable = False
    >>> with convlib.plan_cache(8):
    ...     first, second = convlib.conv1d(x, w), convlib.conv1d(x, w)
    >>> bool((first == second).all())
    True
    """
    return config.Setting(_context, PlanCache(_size("maxsize", maxsize)))


def active() -> PlanCache | None:
    """Return the cache of the innermost block, or that of the process."""
    found = None if _context.get() is None else config.current(_context)  # most calls are in no block
    if found is None:
        text = config.environment("CONVLIB_PLAN_CACHE")
        return None if text is None else _of_process(text)
    return found


@lru_cache(maxsize=1)
def _of_process(text: str) -> PlanCache:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SpecError(f"CONVLIB_PLAN_CACHE={quote(text)} must be a number of plans, such as 64")
    return PlanCache(_size("CONVLIB_PLAN_CACHE", int(text)))


def _size(name: str, value: Any) -> int:
    size = integer(name, value)
    if size < 1:
        raise SpecError(f"{name}={size} must be at least 1")
    return size


def _owner(w: Array) -> tuple[Array, bool]:
    """Return the array at the end of the views, and whether nothing can write its memory."""
    safe = not w.flags.writeable
    base: Any = w.base
    while isinstance(base, np.ndarray):
        w, base = base, base.base
        safe &= not w.flags.writeable
    if isinstance(base, memoryview):
        base = base.obj
    return w, safe and (w.flags.owndata if base is None else isinstance(base, bytes))


class PlanCache:
    """Plans by the identity of their weights, the latest used last.

    Parameters
    ----------
    maxsize : int
        Plans at most.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize, self._lock = maxsize, Lock()
        self._plans: OrderedDict[tuple[Any, ...], tuple[weakref.ref[Array], ConvPlan]] = OrderedDict()
        self._freed: deque[int] = deque()  # owners that were freed while the lock was taken

    def __len__(self) -> int:
        return len(self._plans)

    def plan(
        self, nd: int, x: Array, w: Array, bias: Array | None, options: tuple[Any, ...], backend: str | None,
        quantised: storage.Quantised | None = None,
    ) -> ConvPlan | None:  # fmt: skip
        """Return a plan for a call, made now if there is none; None if its weights may be written."""
        owner, safe = _owner(w)
        if not safe:
            self._drop(id(owner))
            return None
        place = w.__array_interface__["data"][0], w.shape, w.strides, w.dtype
        added = None if bias is None else (bias.shape, bias.dtype, bias.tobytes())
        kinds = tuple(map(type, options))  # True and 1.0 equal 1, and are refused
        key = (id(owner), nd, *place, added, x.shape, x.dtype, options, kinds, backend, quantised, registry.state())
        try:
            hash(key)
        except TypeError:
            return None  # the call itself says which option is wrong
        with self._lock:
            self._forget_freed()
            kept = self._plans.get(key)
            if kept is not None and kept[0]() is owner:
                self._plans.move_to_end(key)
                return kept[1]
        spec = make_conv(nd, x.shape, w.shape, *options)
        plain = storage.plain_weights(w, weight_order(nd, options[-1]))
        made = of_plain_weights(spec, plain, bias, x.dtype, backend, quantised=quantised)
        with self._lock:
            self._plans[key] = weakref.ref(owner, partial(self._gone, id(owner))), made
            while len(self._plans) > self.maxsize:
                self._plans.popitem(last=False)
        return made

    def _gone(self, owner: int, _: object) -> None:
        """Drop the plans of a freed array; this may be called at any point of any thread, so it never waits."""
        self._freed.append(owner)
        if self._lock.acquire(blocking=False):
            try:
                self._forget_freed()
            finally:
                self._lock.release()

    def _forget_freed(self) -> None:
        while self._freed:
            self._remove(self._freed.popleft())

    def _drop(self, owner: int) -> None:
        with self._lock:
            self._forget_freed()
            self._remove(owner)

    def _remove(self, owner: int) -> None:
        for key in [key for key in self._plans if key[0] == owner]:
            del self._plans[key]
