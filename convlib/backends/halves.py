"""float16 arrays, block by block: each block is computed in float32 and nothing else of them ever is.

A call on float16 arrays is cut into calls on parts of them, whose copies in float32 fit the scratch bound: groups of
images, then groups of channels, then boxes of results with the elements under their windows.  A result is summed as it
would be in one piece; no sum is cut, but those of a weight gradient whose single channels do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import config, dtypes
from ..spec import ConvSpec, PoolSpec, WindowSpec

if TYPE_CHECKING:
    from .base import Backend

Array = Any
Slices = tuple[slice, ...]

#: Boxes start at multiples of this many results per axis, so that Winograd's tiles lie as they would in one piece.
ALIGNED = 4

#: Bytes per output that the indices of a maximum need on their way from a block to the whole.
_INDEX_BYTES = 32


class Block(NamedTuple):
    """A part of a call: its spec, and where its arrays lie in those of the whole, (N, C, *spatial) and w."""

    spec: Any
    x: Slices
    y: Slices
    w: Slices


class Types(NamedTuple):
    """Element types of a call."""

    result: np.dtype[Any]
    compute: np.dtype[Any]


class Bounds(NamedTuple):
    """How a block's scratch is divided."""

    copies: int  # bytes for float32 copies
    rest: int  # what the backend may use in place of max_workspace


def stored(*types: np.dtype[Any]) -> bool:
    """Return whether any of these element types is float16."""
    return any(dtype.kind == "f" and dtype.itemsize == 2 for dtype in types)


def blocks(
    backend: Backend, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None, indices: bool = False
) -> tuple[Bounds, tuple[Block, ...]]:
    """Return the blocks of a call whose arrays are float16 and that computes in `dtype`."""
    bound, need = config.get_max_workspace(), backend.workspace(op, spec, dtype, algorithm)
    copies = max(bound - need, bound // 4)
    return Bounds(copies, bound - copies), _blocks(op, spec, dtype.itemsize, copies, indices)


def storage(
    backend: Backend, op: str, spec: WindowSpec, types: Types, algorithm: str | None, bias: bool, *given: np.dtype[Any]
) -> tuple[Types, bool]:
    """Return the types that a hook sees, and whether float16 arrays must be cut into blocks for it."""
    if not stored(*given, types.result):
        return types, False
    if types.result == dtypes.FLOAT16 and backend.takes_halves(op, spec, algorithm, bias):
        return Types(types.result, types.result), False
    return types, True


def scratch(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], algorithm: str | None
) -> int:
    """Return the scratch memory of a call on arrays of type `storage` that computes in `dtype`, in bytes."""
    if not stored(storage) or op not in _SHAPES or backend.takes_halves(op, spec, algorithm, False):
        return backend.workspace(op, spec, dtype, algorithm)
    bounds, parts = blocks(backend, op, spec, dtype, algorithm)
    with config.scratch(bounds.rest):
        found = (
            _Shape(op, part.spec, dtype.itemsize).bytes() + backend.workspace(op, part.spec, dtype, algorithm)
            for part in {part.spec: part for part in parts}.values()
        )
        return max(found, default=0)


def cut(a: Array | None, spec: WindowSpec, where: Slices) -> Any:
    """Return a part of an array in the caller's order, in that order, with a batch axis; None stays None."""
    if a is None:
        return None
    a = a if spec.batched else a[None]
    if spec.channels_last:
        return a[(where[0], *where[2:], where[1])]
    return a[where]


def run(
    backend: Backend, op: str, spec: WindowSpec, types: Types, algorithm: str | None, out: Array | None, to: str,
    call: Callable[..., Array], *arrays: tuple[Array | None, str],
) -> Array:  # fmt: skip
    """Run a call in blocks.

    Each of `arrays` comes with the name of its place in a `Block`, or "bias"; `to` is that of the result.  ``call(spec,
    *arrays, out)`` serves one block.
    """
    bounds, parts = blocks(backend, op, spec, types.compute, algorithm)
    if len(parts) == 1:
        return call(spec, *(a for a, _ in arrays), out)
    shape = {"x": spec.x_shape, "y": getattr(spec, "y_shape", ())}[to]
    target = backend.xp.empty(shape, types.result) if out is None else out
    with config.scratch(bounds.rest):
        for part in parts:
            given = (part_of(a, spec, part, place, to) for a, place in arrays)
            call(part.spec, *given, cut(target, spec, getattr(part, to)))
    return target


def part_of(a: Array | None, spec: WindowSpec, block: Block, place: str, to: str) -> Any:
    """Return what a block takes of an array."""
    if a is None:
        return None
    if place == "bias":
        return a[getattr(block, to)[1]]
    return a[block.w] if place == "w" else cut(a, spec, getattr(block, place))


def grad_weight(
    backend: Backend, spec: ConvSpec, types: Types, algorithm: str | None, out: Array | None,
    call: Callable[..., Array], grad_y: Array, x: Array,
) -> Array:  # fmt: skip
    """Run a weight gradient in blocks; blocks of images add up in the compute type."""
    bounds, parts = blocks(backend, "conv_grad_weight", spec, types.compute, algorithm)
    if len(parts) == 1:
        return call(spec, grad_y, x, out)
    target = backend.xp.empty(spec.w_shape, types.result) if out is None else out
    with config.scratch(bounds.rest):
        for _, same in groupby(parts, key=lambda part: str(part.w)):
            total: Array = None
            for part in same:
                wide = backend.xp.empty(part.spec.w_shape, types.compute)
                call(part.spec, cut(grad_y, spec, part.y), cut(x, spec, part.x), wide)
                total = wide if total is None else total + wide
            target[part.w] = total
    return target


def pool(
    backend: Backend, spec: PoolSpec, types: Types, algorithm: str | None, x: Array, indices: bool, out: Array | None
) -> Any:
    """Run a pooling in blocks, with the places of the extremes if `indices`."""
    bounds, parts = blocks(backend, "pool", spec, types.compute, algorithm, indices)
    if len(parts) == 1:
        return backend._pool_whole(types, algorithm, indices, spec, x, out)
    y = backend.xp.empty(spec.y_shape, types.result) if out is None else out
    places = backend.xp.empty(spec.y_shape, np.int64) if indices else None
    with config.scratch(bounds.rest):
        for part in parts:
            found = backend._pool_whole(
                types, algorithm, indices, part.spec, cut(x, spec, part.x), cut(y, spec, part.y)
            )
            if indices:
                cut(places, spec, part.y)[...] = shifted(found[1], part, spec)
    return (y, places) if indices else y


def shifted(places: Array, block: Block, spec: WindowSpec) -> Array:
    """Return indices into the planes of a block as indices into those of the whole."""
    found, rest, step = 0 * places, places, 1
    for axis in reversed(range(spec.nd)):
        size = block.spec.in_size[axis]
        found = found + (rest % size + block.x[axis + 2].start) * step
        rest, step = rest // size, step * spec.in_size[axis]
    found[places < 0] = -1
    return found


# --------------------------------------------------------------------------------------------------
# Cutting
# --------------------------------------------------------------------------------------------------

#: Per operation, which of a block's sizes may shrink, in this order: images "n", groups or planes "g", output and input
#: channels of a group "o" and "i", axes of the box of results "b".
_SHAPES = {
    "conv": "ngbo", "conv_grad_input": "ngbi", "conv_grad_weight": "goin", "pool": "ngb", "pool_grad_input": "ng",
    "unpool": "ng",
}  # fmt: skip


class _Shape:
    """The sizes of a block, and what its copies take."""

    def __init__(self, op: str, spec: Any, itemsize: int) -> None:
        self.op, self.spec, self.itemsize = op, spec, itemsize
        self.conv = isinstance(spec, ConvSpec)
        self.own_padding = self.conv and spec.padded and (spec.padding_mode != "constant" or spec.pad_value != 0)
        self.n, self.g = spec.n, spec.groups if self.conv else spec.c
        self.o: int = spec.ocg if self.conv else 1
        self.i: int = spec.icg if self.conv else 1
        self.adjoint = op == "conv_grad_input"
        self.box: tuple[int, ...] = spec.in_size if self.adjoint else spec.out_size
        self.indices = 0

    def bytes(self) -> int:
        """Return the bytes of a block's copies in the compute type."""
        spec = self.spec
        reach = [spec.over(a, size) if self.adjoint else spec.span(a, size) for a, size in enumerate(self.box)]
        ins, outs = (self.box, reach) if self.adjoint else (reach, self.box)
        inputs, outputs = self.n * self.g * self.i * math.prod(ins), self.n * self.g * self.o * math.prod(outs)
        if self.op == "pool_grad_input" and spec.kind == "lp":  # x and y too
            inputs, outputs = 2 * inputs, 2 * outputs
        if self.own_padding:
            inputs += self.n * self.g * self.i * math.prod(spec.unpadded().in_size)
        return int(self.itemsize * (inputs + outputs + self.weights()) + self.indices * outputs)

    def weights(self) -> int:
        return int(self.g * self.o * self.i * self.spec.taps_count) if self.conv else 0

    def shrink(self, copies: int) -> bool:
        """Make the block about half as large; return False if it is as small as it gets."""
        order = _SHAPES[self.op]
        if self.itemsize * self.weights() > copies // 2:  # nothing else would help
            order = "g" + order.replace("g", "") if self.g > 1 else "".join(sorted(order, key=lambda c: c not in "oi"))
        for name in order:
            if name == "b":
                for axis, size in enumerate(self.box):
                    smaller = self._smaller(axis, size)
                    if smaller < size:
                        self.box = (*self.box[:axis], smaller, *self.box[axis + 1 :])
                        return True
            elif getattr(self, name) > 1:
                setattr(self, name, -(-getattr(self, name) // 2))
                return True
        return False

    def _smaller(self, axis: int, size: int) -> int:
        spec = self.spec
        if self.own_padding or getattr(spec, "adaptive", False) or not spec.divisible(axis):
            return size
        step = ALIGNED * spec.stride[axis] if self.adjoint else ALIGNED
        half = -(-size // 2)
        return min(size, -(-half // step) * step)


@lru_cache(maxsize=256)
def _blocks(op: str, spec: Any, itemsize: int, copies: int, indices: bool) -> tuple[Block, ...]:
    shape = _Shape(op, spec, itemsize)
    shape.indices = _INDEX_BYTES if indices else 0
    whole = True
    while shape.bytes() > copies and shape.shrink(copies):
        whole = False
    if whole:
        all_ = (slice(None),) * (spec.nd + 2)
        return (Block(spec, all_, all_, all_),)
    return tuple(_cut(op, spec, shape))


def _cut(op: str, spec: Any, shape: _Shape) -> Iterator[Block]:
    box = spec.in_size if shape.adjoint else spec.out_size
    channels = (spec.ocg, spec.icg) if shape.conv else (1, 1)
    groups = spec.groups if shape.conv else spec.c
    steps = product(
        _ranges(groups, shape.g), _ranges(channels[0], shape.o), _ranges(channels[1], shape.i),
        _ranges(spec.n, shape.n), *(_ranges(size, part) for size, part in zip(box, shape.box, strict=True)),
    )  # fmt: skip
    for g, o, i, n, *boxes in steps:
        cut_box = spec.above if shape.adjoint else spec.under
        part, ins, outs = cut_box(boxes)
        sizes = {"n": n.stop - n.start, "batched": True, "c": (g.stop - g.start) * (i.stop - i.start)}
        if shape.conv:
            sizes |= {"oc": (g.stop - g.start) * (o.stop - o.start), "groups": g.stop - g.start}
        x, y = _channels(g, i, channels[1]), _channels(g, o, channels[0])
        w = (y, i, *(slice(None),) * spec.nd)
        yield Block(replace(part, **sizes), (n, x, *ins), (n, y, *outs), w)


def _ranges(size: int, part: int) -> list[slice]:
    return [slice(start, min(start + part, size)) for start in range(0, size, max(1, part))]


def _channels(groups: slice, part: slice, each: int) -> slice:
    """Return the channels `part` of some groups: a block of several groups holds all of theirs."""
    return slice(groups.start * each + part.start, (groups.stop - 1) * each + part.stop)
