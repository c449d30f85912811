"""Graphs of Dask: which pieces of which blocks become one block of a result, and by which task."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, product
from typing import Any, NamedTuple

import numpy as np

from ..spec import WindowSpec
from ..spec.blocks import Cut, Cuts
from .dask_tasks import Joint, cast, piece, total

Array = Any  # dask.array.Array
Layer = dict[Any, Any]

#: How many parts of a gradient one task adds up.
FAN_IN = 8


class Stretch(NamedTuple):
    """Part of one block along one axis."""

    block: int
    start: int
    stop: int
    whole: bool


def order(spec: WindowSpec) -> tuple[Any, ...]:
    """Return the axes of an array in the caller's order: "n", "c", and numbers for spatial axes."""
    spatial = tuple(range(spec.nd))
    axes = (*spatial, "c") if spec.channels_last else ("c", *spatial)
    return ("n", *axes) if spec.batched else axes


def sizes(spec: WindowSpec, a: Array) -> dict[Any, tuple[int, ...]]:
    """Return the sizes of an array's blocks along each axis; the batch axis is always there."""
    found: dict[Any, tuple[int, ...]] = {"n": (1,)}
    found.update(zip(order(spec), a.chunks, strict=True))
    return found


class Argument:
    """A Dask array of which tasks take pieces.

    Parameters
    ----------
    name : str
        The argument's name.
    a : dask.array.Array
        The argument.
    prefix : str
        What the keys of its pieces begin with.
    layer : dict
        Where their tasks go.
    """

    name: str
    array: Array
    prefix: str
    layer: Layer

    def __init__(self, name: str, a: Array, prefix: str, layer: Layer) -> None:
        self.name, self.array, self.prefix, self.layer = name, a, f"{prefix}-{name}", layer
        self._ends = [[*accumulate(chunks)] for chunks in a.chunks]

    def take(
        self, parts: Sequence[tuple[slice, ...]], places: Sequence[tuple[int, ...]] | None = None
    ) -> tuple[Joint, list[Any]]:
        """Return how to join the pieces that hold these parts of each axis, and their keys."""
        axes = [self._along(axis, part) for axis, part in enumerate(parts)]
        lengths = tuple(tuple(s.stop - s.start for s in axis) for axis in axes)
        joint = Joint(self.name, self.array.dtype, lengths, tuple(places) if places else ((),) * len(parts))
        return joint, [self._key(stretches) for stretches in product(*axes)]

    def _along(self, axis: int, parts: tuple[slice, ...]) -> list[Stretch]:
        ends, found = self._ends[axis], []
        for part in parts:
            block = bisect_right(ends, part.start)
            while block < len(ends) and (start := ends[block - 1] if block else 0) < part.stop:
                first, last = max(start, part.start) - start, min(ends[block], part.stop) - start
                found.append(Stretch(block, first, last, last - first == ends[block] - start))
                block += 1
        return found or [Stretch(0, 0, 0, ends[0] == 0)]

    def _key(self, stretches: tuple[Stretch, ...]) -> Any:
        block = (self.array.name, *(s.block for s in stretches))
        if all(s.whole for s in stretches):
            return block
        key = (self.prefix, *(number for s in stretches for number in s[:3]))
        self.layer[key] = (partial(piece, where=tuple(slice(s.start, s.stop) for s in stretches)), block)
        return key


class Cell(NamedTuple):
    """One block of the result: its index and its cuts, by name and in the caller's order of axes."""

    number: tuple[int, ...]
    n: Cut
    c: Cut
    axes: tuple[Cut, ...]
    along: list[Cut]


class Graph:
    """The graph of one call.

    Parameters
    ----------
    name : str
        Name of the result.
    spec : WindowSpec
        The call's sizes and options.
    n, c, axes : Cuts and sequence of Cuts
        How the result is cut, along the batch, the channels and each spatial axis.
    """

    name: str
    spec: WindowSpec

    def __init__(self, name: str, spec: WindowSpec, n: Cuts, c: Cuts, axes: Sequence[Cuts]) -> None:
        self.name, self.spec = name, spec
        self.layer: Layer = {}
        self._given: list[Array] = []
        self._cuts: dict[Any, Cuts] = {"n": n, "c": c, **dict(enumerate(axes))}

    def argument(self, name: str, a: Array) -> Argument:
        """Add a Dask array of which tasks take pieces."""
        self._given.append(a)
        return Argument(name, a, self.name, self.layer)

    def whole(self, name: str, a: Any) -> list[Any]:
        """Add an array that every block takes whole: one node, whatever the number of blocks; none for None."""
        if a is None:
            return []
        if isinstance(a, np.ndarray):
            key = f"{self.name}-{name}"
            self.layer[key] = a.copy()  # later changes to the caller's array do not reach the graph
            return [key]
        self._given.append(a.rechunk(-1))
        return [next(keys(self._given[-1]))]

    def cells(self) -> Iterator[Cell]:
        """Yield the blocks of the result."""
        names = order(self.spec)
        for numbers in product(*(range(len(self._cuts[name])) for name in names)):
            along: dict[Any, Cut] = {"n": self._cuts["n"][0]}
            along |= {name: self._cuts[name][number] for name, number in zip(names, numbers, strict=True)}
            axes = tuple(along[axis] for axis in range(self.spec.nd))
            yield Cell(numbers, along["n"], along["c"], axes, [along[name] for name in names])

    @property
    def channels(self) -> Cuts:
        """How the channels are cut."""
        return self._cuts["c"]

    def array(self, dtype: np.dtype[Any], chunks: Any = None) -> Array:
        """Return the result, whose blocks lie in `layer` under its name and their number."""
        sizes = tuple(tuple(cut.target.stop - cut.target.start for cut in self._cuts[a]) for a in order(self.spec))
        return new(self.layer, self.name, chunks or sizes, dtype, self._given)


def keys(a: Array) -> Iterator[Any]:
    """Yield the keys of an array's blocks."""
    yield from ((a.name, *index) for index in product(*(range(len(sizes)) for sizes in a.chunks)))


def new(layer: Layer, name: str, chunks: Any, dtype: np.dtype[Any], given: Sequence[Array]) -> Array:
    """Return the Dask array whose blocks `layer` makes out of those of the arrays `given`."""
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    return da.Array(HighLevelGraph.from_collections(name, layer, dependencies=given), name, chunks, dtype=dtype)


def add_up(layer: Layer, prefix: str, keys: list[Any], target: Any, dtype: np.dtype[Any]) -> None:
    """Add tasks that sum the arrays at `keys`, a few at a time, into `target` of type `dtype`."""
    level = 0
    while len(keys) > 1:
        groups = [keys[first : first + FAN_IN] for first in range(0, len(keys), FAN_IN)]
        keys = [(f"{prefix}-sum", level, *target[1:2], number) for number in range(len(groups))]
        layer.update({key: (total, group) for key, group in zip(keys, groups, strict=True)})
        level += 1
    layer[target] = (partial(cast, dtype=dtype), keys[0])
