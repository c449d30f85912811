"""Unpooling of planes whose copies alone would exceed the scratch bound: band by band and piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from ..backends.base.arrays import channels_first
from ..backends.base.contract import Array
from ..spec import PoolSpec
from .job import Job

#: Bytes of an element of a piece: its place and its number, whether it falls into the band, and both again if it does.
_PLACE, _MARK = 16, 1

_LEAST = 1 << 10  # elements of a piece or a band


def too_large(job: Job) -> bool:
    """Return whether the copies of a plane alone exceed the scratch bound."""
    return bool(job.call.backend.xp is np and job.scratch() > config.get_max_workspace())


def scattered(
    spec: PoolSpec, x: Array, indices: Array, target: Array, add: bool, dtype: np.dtype[Any], limit: int
) -> Array:
    """Write `x` to the places `indices` of zeros, `target`; with `add` duplicates sum up, in `dtype`.

    Takes about `limit` bytes; the order of the sums is that of `x`.
    """
    x, indices, goal = (channels_first(a, spec) for a in (x, indices, target))
    piece = max(_LEAST, limit // 2 // (_PLACE + _MARK + 2 * dtype.itemsize))
    with np.errstate(all="ignore"):  # the result's own, as of any sum
        for at in np.ndindex(goal.shape[:2]):
            plane = goal[at]
            pieces = [_Piece(x[at], indices[at], slice(start, start + piece)) for start in range(0, x[at].size, piece)]
            if plane.dtype == dtype and plane.flags.c_contiguous:
                plane[...] = 0
                for part in pieces:
                    part.spread(plane.reshape(-1), 0, add)
                continue
            band = max(_LEAST, limit // 2 // dtype.itemsize)
            for start in range(0, plane.size, band):
                values = np.zeros(min(band, plane.size - start), dtype)
                for part in pieces:
                    part.spread(values, start, add)
                _flat(plane)[start : start + values.size] = values
    return target


class _Piece:
    """Some elements of a plane."""

    def __init__(self, x: Array, indices: Array, at: slice) -> None:
        self.x, self.indices, self.at = _flat(x), _flat(indices), at
        places = self.indices[at]
        self.first, self.last = int(places.min()), int(places.max())

    def spread(self, values: Array, start: int, add: bool) -> None:
        """Write what falls into `values`, which begin at the place `start`."""
        if self.last < start or self.first >= start + values.size:
            return
        places, given = self.indices[self.at].astype(np.int64), self.x[self.at].astype(values.dtype)
        places -= start
        if self.first < start or self.last >= start + values.size:
            inside = (places >= 0) & (places < values.size)
            places, given = places[inside], given[inside]
        if add:
            np.add.at(values, places, given)
        else:
            values[places] = given


def _flat(a: Array) -> Array:
    return a.reshape(-1) if a.flags.c_contiguous else a.flat  # which is slower
