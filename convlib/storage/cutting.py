"""Cutting a call into blocks whose copies fit a bound: groups of images, then of channels, then boxes of results.

A block is a call of its own: a spec, and where its arrays lie in those of the whole.  A result is summed as it would be
in one piece; no sum is cut, but those of a weight gradient, whose parts add up in the compute type, and pooling windows
that alone exceed the bound, whose parts are pooled, and then what these gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from ..spec import ConvSpec, PoolSpec, rim, zero_padded

Slices = tuple[slice, ...]

#: Boxes start at multiples of this many results per axis, so that Winograd's tiles lie as they would in one piece.
ALIGNED = 4

#: Bytes per output that the indices of a maximum need on their way from a block to the whole.
INDEX_BYTES = 32

#: Per operation, which of a block's sizes may shrink, in this order: images "n", groups or planes "g", output and input
#: channels of a group "o" and "i", axes of the box of results "b".
SHAPES = {
    "conv": "ngbo", "conv_grad_input": "ngbi", "conv_grad_weight": "nbgoi", "pool": "ngb", "pool_grad_input": "ngb",
    "unpool": "ng", "col2im": "ngb",
}  # fmt: skip


class Block(NamedTuple):
    """A part of a call: its spec, and where its arrays lie in those of the whole, (N, C, *spatial) and w."""

    spec: Any
    x: Slices
    y: Slices
    w: Slices
    #: Of a pooling's gradient, whose windows reach beyond it: where its own elements lie in `x`, and in the whole.
    own: tuple[Slices, Slices] | None = None
    #: Of a part of a window: the pooling of what its parts give, which follow one another with the same `y`.
    joining: PoolSpec | None = None


class Item(NamedTuple):
    """What an element of each copy takes."""

    nbytes: int  # of the compute type
    weights: int = 1  # copies of the weights
    indices: int = 0  # bytes per output, for places in its window
    conjugated: str = ""  # which of x, y and w is copied once more, to be conjugated
    rounded: bool = False  # results whose parts add up, each to another type of float


class Size:
    """The sizes of a block, and what its copies take."""

    op: str
    spec: Any
    item: Item
    conv: bool
    n: int
    g: int
    adjoint: bool
    domain: Slices

    def __init__(self, op: str, spec: Any, item: Item, domain: Slices | None = None, adjoint: bool = False) -> None:
        self.op, self.spec, self.item = op, spec, item
        self.conv = isinstance(spec, ConvSpec)
        self.n, self.g = spec.n, spec.groups if self.conv else spec.c
        self.o: int = spec.ocg if self.conv else 1
        self.i: int = spec.icg if self.conv else 1
        self.adjoint = adjoint or op.endswith("grad_input") or op == "col2im"
        whole = spec.in_size if self.adjoint else spec.out_size
        #: What of the results is asked for, and the size of a block of it.
        self.domain = tuple(slice(0, size) for size in whole) if domain is None else domain
        self.box: tuple[int, ...] = tuple(part.stop - part.start for part in self.domain)
        #: Where windows are cut, which then are served one by one: taps per axis of a part.
        self.taps: tuple[int, ...] = ()

    def count(self, weights: bool = False) -> int:
        """Return how many blocks of this size there are, or how many parts of the weights they share."""
        if self.taps:
            return math.prod((self.spec.n, self.spec.c, *map(self._parts, range(self.spec.nd))))
        axes = self.axes()[: 3 if weights else None]
        return math.prod(max(1, -(-(whole.stop - whole.start) // max(1, part))) for whole, part in axes)

    def axes(self) -> list[tuple[slice, int]]:
        """Return what of groups, output and input channels, images and results is asked for, and the block's share."""
        spec = self.spec
        groups, outs, ins = (spec.groups, spec.ocg, spec.icg) if self.conv else (spec.c, 1, 1)
        counts = (groups, self.g), (outs, self.o), (ins, self.i), (spec.n, self.n)
        return [*((slice(0, whole), part) for whole, part in counts), *zip(self.domain, self.box, strict=True)]

    def nbytes(self, copied: str = "xyw") -> int:
        """Return the bytes of a block's copies of x, y and w, as far as they are `copied`."""
        spec = self.spec
        if self.taps:
            reach = [min(spec.in_size[a], (taps - 1) * spec.dilation[a] + 1) for a, taps in enumerate(self.taps)]
            inputs = math.prod(reach) * (copied.count("x") + copied.count("p"))
            return int(self.item.nbytes * (inputs + copied.count("y")) + self.item.indices)
        reach = [spec.over(a, size) if self.adjoint else spec.span(a, size) for a, size in enumerate(self.box)]
        ins, outs = (self.box, reach) if self.adjoint else (reach, self.box)
        if self.op == "pool_grad_input":  # all inputs of each window, for its divisor or norm
            ins = [spec.span(a, size) for a, size in enumerate(reach)]
        if self.box == (spec.in_size if self.adjoint else spec.out_size):  # all of both
            ins, outs = spec.in_size, spec.out_size
        inputs, outputs = self.n * self.g * self.i * math.prod(ins), self.n * self.g * self.o * math.prod(outs)
        if self.op == "col2im":  # a column each
            outputs *= spec.taps_count
        copies = copied + self.item.conjugated
        total = inputs * (copies.count("x") + copies.count("p")) + outputs * copies.count("y")
        if self.op == "pool_grad_input" and spec.kind == "lp":  # x and y beside their gradients
            total += inputs + outputs
        total += self.weights() if "w" in copied else self._each() * copies.count("w")
        return int(self.item.nbytes * total + self.item.indices * outputs)

    def weights(self) -> int:
        """Return the elements of all copies of the weights."""
        return self._each() * (self.item.weights + self.item.conjugated.count("w"))

    def _each(self) -> int:
        return int(self.g * self.o * self.i * self.spec.taps_count) if self.conv else 0

    def shrink(self, limit: int) -> bool:
        """Make the block about half as large; return False if it is as small as it gets."""
        order = SHAPES[self.op]
        if self.item.rounded:
            order = order.replace("b", "") + "b"
        if self.item.nbytes * self.weights() > limit // 2:  # nothing else would help
            order = "g" + order.replace("g", "") if self.g > 1 else "".join(sorted(order, key=lambda c: c not in "oi"))
        for name in order:
            if name == "b":
                if self._shrink_box(ALIGNED):
                    return True
            elif getattr(self, name) > 1:
                setattr(self, name, -(-getattr(self, name) // 2))
                return True
        if "b" in order and self._shrink_box(1):  # windows so large that few results are too many
            return True
        return self.op == "pool" and self._shrink_window()

    def _shrink_window(self) -> bool:
        """Halve parts along the first axis that they are not yet thin on, so that elements stay in order."""
        if not self.taps:
            if self.spec.adaptive and self.spec.taps_count < _LARGE:
                return False
            self.taps, self.box = self.spec.longest, (1,) * self.spec.nd
            return True
        axis = next((axis for axis, taps in enumerate(self.taps) if taps > 1), None)
        if axis is not None:
            self.taps = (*self.taps[:axis], -(-self.taps[axis] // 2), *self.taps[axis + 1 :])
        return axis is not None

    def _parts(self, axis: int) -> int:
        """Return the parts of all windows along an axis."""
        taps = (len(self.spec.taps(axis, o)) for o in range(self.domain[axis].start, self.domain[axis].stop))
        return sum(max(1, -(-count // self.taps[axis])) for count in taps)

    def _shrink_box(self, multiple: int) -> bool:
        for axis, size in enumerate(self.box):
            smaller = self._smaller(axis, size, multiple)
            if smaller < size:
                self.box = (*self.box[:axis], smaller, *self.box[axis + 1 :])
                return True
        return False

    def _smaller(self, axis: int, size: int, multiple: int) -> int:
        spec = self.spec
        if getattr(spec, "adaptive", False) or not spec.divisible(axis):
            return size
        step = multiple * spec.stride[axis] if self.adjoint else multiple
        half = -(-size // 2)
        return min(size, -(-half // step) * step)


def one_piece(spec: Any) -> Block:
    """Return the whole call as a block."""
    everything = (slice(None),) * (spec.nd + 2)
    return Block(replace(spec, batched=True), everything, everything, everything)


class Blocks:
    """The blocks of a call, made one after the other: of a huge call there are many."""

    def __init__(self, spec: Any, sizes: tuple[Size, ...]) -> None:
        self._spec, self._sizes = spec, sizes  # no sizes: it stays whole
        self._kinds: dict[Any, Block] | None = None
        self._few: tuple[Block, ...] | None = None  # if they are few, they are made once

    @property
    def whole(self) -> bool:
        """Whether the call stays in one piece."""
        return not self._sizes

    def __iter__(self) -> Iterator[Block]:
        if self._few is None and self.count() <= _FEW:
            self._few = tuple(self._made(0))
        return iter(self._few) if self._few is not None else self._made(0)

    def _made(self, ends: int) -> Iterator[Block]:
        if self.whole:
            yield one_piece(self._spec)
        for size in self._sizes:
            yield from (_cut_windows if size.taps else _cut)(self._spec, size, ends)

    def count(self, weights: bool = False) -> int:
        """Return how many blocks there are, or how many parts of the weights they take one after another."""
        return 1 if self.whole else sum(size.count(weights) for size in self._sizes)

    @property
    def kinds(self) -> dict[Any, Block]:
        """A block of each spec, of long rows of them from those at the ends: others are like these."""
        if self._kinds is None:
            self._kinds = {block.spec: block for block in self._made(_ENDS)}
        return self._kinds


#: Blocks at either end of a row of them that padding may reach, and how many are kept.
_ENDS, _FEW = 4, 64

#: Elements of adaptive windows that repay a call for each.
_LARGE = 1 << 16


@lru_cache(maxsize=256)
def blocks(op: str, spec: Any, item: Item, copied: str, limit: int) -> Blocks:
    """Cut a call into blocks whose copies take at most `limit` bytes, if such there are.

    The call stays whole if what of it must be `copied` fits; parts of arrays are always copied.
    """
    size = Size(op, spec, item)
    if size.nbytes(copied) <= limit:
        return Blocks(spec, ())
    return Blocks(spec, (_shrunk(size, limit, "xyw" + "x" * (copied.count("x") - 1)),))


def _shrunk(size: Size, limit: int, copied: str = "xyw") -> Size:
    while size.nbytes(copied) > limit and size.shrink(limit):
        pass
    return size


@lru_cache(maxsize=256)
def borders(op: str, spec: ConvSpec, item: Item, limit: int) -> Blocks | None:
    """Cut out what padding other than zeros makes differ from zeros; None where that is not the smaller part.

    These are the outputs whose windows reach into the padding, or of gradients the inputs that lie in it.  `spec` has
    the padding; the blocks are those of an input that holds it.
    """
    inner, adjoint = zero_padded(spec), op.startswith("conv_grad")
    if adjoint:
        own = [slice(lo, lo + size) for lo, size in zip(spec.pad_lo, spec.in_size, strict=True)]
        domains = list(rim(own, inner.in_size))
    else:
        domains = list(spec.borders())
    changed = sum(math.prod(part.stop - part.start for part in domain) for domain in domains)
    if 2 * changed > math.prod(inner.in_size if adjoint else inner.out_size):
        return None
    return Blocks(inner, tuple(_shrunk(Size(op, inner, item, domain, adjoint), limit) for domain in domains))


def _cut(spec: Any, size: Size, ends: int = 0) -> Iterator[Block]:
    """Yield the blocks of a size, or of each row of them so many at either end."""
    channels = (spec.ocg, spec.icg) if size.conv else (1, 1)
    for g, o, i, n, *boxes in product(*(_steps(whole, part, ends) for whole, part in size.axes())):
        cut_box = spec.above if size.adjoint else spec.under
        part, ins, outs = cut_box(boxes)
        own = None
        if size.op == "pool_grad_input":
            part, ins, outs, own = _windows(spec, boxes, outs)
        sizes = {"n": n.stop - n.start, "batched": True, "c": (g.stop - g.start) * (i.stop - i.start)}
        if size.conv:
            sizes |= {"oc": (g.stop - g.start) * (o.stop - o.start), "groups": g.stop - g.start}
        x, y = _channels(g, i, channels[1]), _channels(g, o, channels[0])
        w = (y, i, *(slice(None),) * spec.nd)
        yield Block(replace(part, **sizes), (n, x, *ins), (n, y, *outs), w, own and (own[0], (n, x, *own[1])))


def _windows(spec: Any, box: Sequence[slice], outs: Slices) -> tuple[Any, Slices, Slices, tuple[Slices, Slices]]:
    """Return the spec of all windows that hold elements of a box, their inputs and outputs, and `Block.own`."""
    part, ins, outs = spec.under(outs)
    ends = [(max(own.start, x.start), min(own.stop, x.stop)) for own, x in zip(box, ins, strict=True)]
    there = tuple(slice(start, max(start, stop)) for start, stop in ends)
    here = tuple(slice(own.start - x.start, own.stop - x.start) for own, x in zip(there, ins, strict=True))
    return part, ins, outs, ((slice(None), slice(None), *here), there)


def _cut_windows(spec: PoolSpec, size: Size, ends: int = 0) -> Iterator[Block]:
    """Yield the parts of each window, those that hold its first elements first."""
    one, zero, axes = (1,) * spec.nd, (0,) * spec.nd, range(spec.nd)
    images, channels = slice(0, spec.n), slice(0, spec.c)
    kind: Any = "sum" if spec.kind == "avg" else spec.kind
    plain = replace(spec, n=1, c=1, batched=True, stride=one, pad_lo=zero, pad_hi=zero, out_size=one, adaptive=False)
    for n, c, *outs in product(*(_steps(whole, 1, ends) for whole in (images, channels, *size.domain))):
        at, taps = (n, c, *outs), [spec.taps(axis, box.start) for axis, box in enumerate(outs)]
        counts = (len(taps[a]) if not spec.count_include_pad else spec.counted(a, outs[a].start) for a in axes)
        divisor = (spec.divisor or math.prod(counts)) if spec.kind == "avg" else None
        cuts = [
            [along[i : i + part] for i in range(0, len(along), part)]
            for along, part in zip(taps, size.taps, strict=True)
        ]
        sizes = tuple(map(len, cuts))
        joining = replace(plain, in_size=sizes, kernel=sizes, dilation=one, channels_last=False, divisor=divisor)
        for parts in product(*cuts):
            ins = tuple(slice(part[0], part[-1] + 1) for part in parts)
            extent = tuple(inside.stop - inside.start for inside in ins)
            alone = replace(plain, kind=kind, in_size=extent, kernel=tuple(map(len, parts)))
            yield Block(alone, (n, c, *ins), at, (), None, joining)
        if 0 in sizes:  # an empty window
            part, ins, _ = spec.under(outs)
            yield Block(replace(part, n=1, c=1, batched=True), (n, c, *ins), at, ())


def _steps(whole: slice, part: int, ends: int) -> list[slice]:
    """Return the shares of an axis; one of nothing is a share too: sums over no image or channel are zeros, or bias."""
    starts: Sequence[int] = range(whole.start, whole.stop, max(1, part)) or [whole.start]
    if 0 < 2 * ends < len(starts):
        starts = [*starts[:ends], *starts[-ends:]]
    return [slice(start, min(start + part, whole.stop)) for start in starts]


def _channels(groups: slice, part: slice, each: int) -> slice:
    """Return the channels `part` of some groups: a block of several groups holds all of theirs."""
    return slice(groups.start * each + part.start, (groups.stop - 1) * each + part.stop)
