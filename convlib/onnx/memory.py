"""Memory for results that is used again once nobody holds them.

ONNX's evaluator keeps every result to the end of a run and then drops all at once, so that the memory goes back to the
system and each run begins with fresh pages; faults on those take longer than many a layer.
"""

from __future__ import annotations

import math
import weakref
from collections import defaultdict, deque
from typing import Any

import numpy as np

from .. import config
from ..dtypes import is_bfloat16

Array = np.ndarray[Any, Any]

#: What is computed as it is, and whose results lie in such memory.
PLAIN = tuple(np.dtype(name) for name in ("float32", "float64", "float16"))


def planned(dtype: np.dtype[Any]) -> bool:
    """Return whether convolutions of a type are planned: of the plain ones, and of bfloat16."""
    return dtype in PLAIN or is_bfloat16(dtype)


#: Smaller results come from where all small objects do.
LEAST = 1 << 16

_free: defaultdict[int, deque[Array]] = defaultdict(deque)


def new(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array that holds anything; its memory is kept for the next one when it and all its views are gone.

    No more is kept than `convlib.max_workspace` says.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < LEAST:
        return np.empty(shape, dtype)
    try:
        block = _free[nbytes].pop()
    except IndexError:
        block = np.empty(nbytes, np.uint8)
    whole = np.asarray(_Lent(block))  # all views hold it, and not the block: when it goes, they are gone
    weakref.finalize(whole, _keep, block).atexit = False
    array: Array = whole.view(dtype).reshape(shape)
    return array


class _Lent:
    """What stands between a block and its views: no array, so that NumPy looks no further for their owner."""

    def __init__(self, block: Array) -> None:
        self.block = block
        self.__array_interface__ = block.__array_interface__


def _keep(block: Array) -> None:
    kept = sum(nbytes * len(blocks) for nbytes, blocks in list(_free.items()))
    if kept + block.nbytes <= config.get_max_workspace():
        _free[block.nbytes].append(block)
