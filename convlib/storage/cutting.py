"""Cutting a call into blocks whose copies fit a bound: groups of images, then of channels, then boxes of results.

A block is a call of its own: a spec, and where its arrays lie in those of the whole.  A result is summed as it would be
in one piece; no sum is cut, but those of a weight gradient whose single channels do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from ..spec import ConvSpec, needs_padding

Slices = tuple[slice, ...]

#: Boxes start at multiples of this many results per axis, so that Winograd's tiles lie as they would in one piece.
ALIGNED = 4

#: Bytes per output that the indices of a maximum need on their way from a block to the whole.
INDEX_BYTES = 32

#: Per operation, which of a block's sizes may shrink, in this order: images "n", groups or planes "g", output and input
#: channels of a group "o" and "i", axes of the box of results "b".
SHAPES = {
    "conv": "ngbo", "conv_grad_input": "ngbi", "conv_grad_weight": "goin", "pool": "ngb", "pool_grad_input": "ng",
    "unpool": "ng",
}  # fmt: skip


class Block(NamedTuple):
    """A part of a call: its spec, and where its arrays lie in those of the whole, (N, C, *spatial) and w."""

    spec: Any
    x: Slices
    y: Slices
    w: Slices


class Item(NamedTuple):
    """What an element of each copy takes."""

    nbytes: int  # of the compute type
    weights: int = 1  # copies of the weights
    images: int = 1  # copies of x and y
    indices: int = 0  # bytes per output, for places in its window


class Size:
    """The sizes of a block, and what its copies take."""

    def __init__(self, op: str, spec: Any, item: Item) -> None:
        self.op, self.spec, self.item = op, spec, item
        self.conv = isinstance(spec, ConvSpec)
        self.n, self.g = spec.n, spec.groups if self.conv else spec.c
        self.o: int = spec.ocg if self.conv else 1
        self.i: int = spec.icg if self.conv else 1
        self.adjoint = op == "conv_grad_input"
        self.folds = self.conv and needs_padding(spec)  # the adjoint of a padding that is no zeros
        self.box: tuple[int, ...] = spec.in_size if self.adjoint else spec.out_size

    def nbytes(self, copied: str = "xyw") -> int:
        """Return the bytes of a block's copies of x, y and w, as far as they are `copied`."""
        spec = self.spec
        reach = [spec.over(a, size) if self.adjoint else spec.span(a, size) for a, size in enumerate(self.box)]
        ins, outs = (self.box, reach) if self.adjoint else (reach, self.box)
        inputs, outputs = self.n * self.g * self.i * math.prod(ins), self.n * self.g * self.o * math.prod(outs)
        total = self.item.images * (inputs * ("x" in copied) + outputs * ("y" in copied))
        if self.folds:  # the padded gradient, and what it becomes axis by axis
            total += 2 * self.n * self.g * self.i * math.prod(spec.unpadded().in_size)
        if self.op == "pool_grad_input" and spec.kind == "lp":  # x and y beside their gradients
            total += inputs + outputs
        total += self.weights() * ("w" in copied)
        return int(self.item.nbytes * total + self.item.indices * outputs)

    def weights(self) -> int:
        """Return the elements of all copies of the weights."""
        return int(self.item.weights * self.g * self.o * self.i * self.spec.taps_count) if self.conv else 0

    def shrink(self, limit: int) -> bool:
        """Make the block about half as large; return False if it is as small as it gets."""
        order = SHAPES[self.op]
        if self.item.nbytes * self.weights() > limit // 2:  # nothing else would help
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
        if self.folds or getattr(spec, "adaptive", False) or not spec.divisible(axis):
            return size
        step = ALIGNED * spec.stride[axis] if self.adjoint else ALIGNED
        half = -(-size // 2)
        return min(size, -(-half // step) * step)


def one_piece(spec: Any) -> Block:
    """Return the whole call as a block."""
    everything = (slice(None),) * (spec.nd + 2)
    return Block(replace(spec, batched=True), everything, everything, everything)


@lru_cache(maxsize=256)
def blocks(op: str, spec: Any, item: Item, copied: str, limit: int) -> tuple[Block, ...]:
    """Cut a call into blocks whose copies take at most `limit` bytes, if such there are.

    The call stays whole if what of it must be `copied` fits; parts of arrays are always copied.
    """
    size = Size(op, spec, item)
    if size.nbytes(copied) <= limit:
        return (one_piece(spec),)
    while size.nbytes() > limit and size.shrink(limit):
        pass
    return tuple(_cut(spec, size))


def _cut(spec: Any, size: Size) -> Iterator[Block]:
    box = spec.in_size if size.adjoint else spec.out_size
    channels = (spec.ocg, spec.icg) if size.conv else (1, 1)
    groups = spec.groups if size.conv else spec.c
    steps = product(
        _ranges(groups, size.g), _ranges(channels[0], size.o), _ranges(channels[1], size.i),
        _ranges(spec.n, size.n), *(_ranges(whole, part) for whole, part in zip(box, size.box, strict=True)),
    )  # fmt: skip
    for g, o, i, n, *boxes in steps:
        cut_box = spec.above if size.adjoint else spec.under
        part, ins, outs = cut_box(boxes)
        sizes = {"n": n.stop - n.start, "batched": True, "c": (g.stop - g.start) * (i.stop - i.start)}
        if size.conv:
            sizes |= {"oc": (g.stop - g.start) * (o.stop - o.start), "groups": g.stop - g.start}
        x, y = _channels(g, i, channels[1]), _channels(g, o, channels[0])
        w = (y, i, *(slice(None),) * spec.nd)
        yield Block(replace(part, **sizes), (n, x, *ins), (n, y, *outs), w)


def _ranges(size: int, part: int) -> list[slice]:
    return [slice(start, min(start + part, size)) for start in range(0, size, max(1, part))]


def _channels(groups: slice, part: slice, each: int) -> slice:
    """Return the channels `part` of some groups: a block of several groups holds all of theirs."""
    return slice(groups.start * each + part.start, (groups.stop - 1) * each + part.stop)
