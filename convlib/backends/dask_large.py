"""Windows that no task should hold in one piece: each block is pooled, and the results are brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from math import inf
from typing import Any

import numpy as np

from .. import dtypes
from ..spec import PoolSpec, blocks
from . import dask_graph as graph, dask_tasks as tasks
from .slabs import averages

Array = Any

#: Bytes of a window, with those of the other images and channels of its block, above which it is not put together.
LARGE = 64 << 20


def is_large(part: Any, itemsize: int) -> bool:
    """Return whether a block is one window, all of its inputs, that is too large to be put together."""
    whole = part.out_count == 1 and all(len(part.taps(axis, 0)) == size for axis, size in enumerate(part.in_size))
    return bool(whole and int(np.prod(part.x_shape, dtype=object)) * itemsize > LARGE)


def add(
    made: graph.Graph, call: tasks.Call, given: graph.Argument, cell: graph.Cell, part: Any, indices: bool,
    dtype: np.dtype[Any],
) -> None:  # fmt: skip
    """Add the tasks for a block that is one large window."""
    spec: Any = made.spec
    kind, element = "sum" if spec.kind == "avg" else spec.kind, given.array.dtype
    sizes = graph.sizes(spec, given.array)
    boxes = [blocks.split(cut, sizes[axis]) for axis, cut in enumerate(cell.axes)]
    # Sums of float16 are rounded once, at the end.
    once = replace(call, dtype=dtypes.for_pool(kind, element)[1], widen=kind == "sum" and element.kind == "f")
    keys = []
    for number, inputs in enumerate(product(*boxes)):
        along: dict[Any, tuple[slice, ...]] = {"n": cell.n.x, "c": cell.c.x}
        along |= {axis: (piece,) for axis, piece in enumerate(inputs)}
        joint, pieces = given.take([along[axis] for axis in graph.order(spec)])
        window, begin = blocks.window(part, kind, inputs), tuple(piece.start for piece in inputs)
        keys.append((f"{made.name}-window", *cell.number, number))
        made.layer[keys[-1]] = (partial(tasks.pool, once, window, begin, spec.in_size, joint, indices), pieces)
    made.layer[made.name, *cell.number] = (partial(together, part, indices, dtype), keys)


def together(part: PoolSpec, indices: bool, dtype: np.dtype[Any], found: Sequence[Any]) -> Any:
    """Return the result of a window out of those of its blocks."""
    if indices:
        return _extreme(part.kind, found)
    if part.kind in ("max", "min"):
        better = np.maximum if part.kind == "max" else np.minimum  # a NaN wins
        return better.reduce(found)
    if part.kind == "lp":
        return _norm(part.norm, np.stack(found)).astype(dtype)
    total = tasks.total(found)
    return (averages(part, total) if part.kind == "avg" else total).astype(dtype)


def _extreme(kind: str, found: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the extreme and its place: the first of equals, the last of several NaNs."""
    y, at = found[0]
    for other, place in found[1:]:
        nan, was_nan = other != other, y != y
        wins = (other > y if kind == "max" else other < y) | nan
        wins = np.where(was_nan, nan & (place > at), wins | ((other == y) & (place < at)))
        y, at = np.where(wins, other, y), np.where(wins, place, at)
    return y, at


def _norm(p: float, norms: Array) -> Array:
    """Return the norm of numbers, the norms of whose parts these are."""
    largest = norms.max(axis=0)
    if p == inf:
        return largest
    safe = np.where((largest > 0) & (largest < inf), largest, 1)
    return np.where(safe == largest, safe * ((norms / safe) ** p).sum(axis=0) ** (1 / p), largest)
