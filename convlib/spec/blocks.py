"""Calls in blocks: which elements of its arguments each block of a result needs, axis by axis.

An axis is cut where the blocks of the argument end, so that a block of the result lies over one of the argument and
needs little of its neighbours.  Blocks that would be narrower than what neighbouring windows share are joined.  Padding
is added at the true edges only: zeros by the spec of the block, copied elements by the places they are copied from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import gcd
from typing import Any

from .arguments import Ints
from .conv import ConvSpec
from .padding import origin
from .pool import PoolSpec
from .windows import WindowSpec, needs_padding, zero_padded


@dataclass(frozen=True, slots=True)
class Cut:
    """One block of one axis.

    Attributes
    ----------
    target : slice
        What it holds of the result.
    x, y : tuple of slice
        What it needs on the side of the inputs and on that of the outputs, in ascending order.
    places : tuple of int
        If not empty, where each element that it works on lies among those it needs: padding repeats some.
    """

    target: slice
    x: tuple[slice, ...]
    y: tuple[slice, ...]
    places: Ints = ()


Cuts = tuple[Cut, ...]


def copied_padding(spec: Any) -> bool:
    """Return whether the padding repeats elements of the input, which may lie in any block."""
    return needs_padding(spec) and spec.padding_mode != "constant" if isinstance(spec, ConvSpec) else False


def inner(spec: Any) -> Any:
    """Return the spec that blocks are cut from: padding that repeats elements is part of the input.

    What blocks of an adjoint have of padding stands for their neighbours, and is of the ordinary kind.
    """
    if not isinstance(spec, ConvSpec) or spec.padding_mode == "constant":
        return spec
    return replace(zero_padded(spec), padding_mode="constant")


# --------------------------------------------------------------------------------------------------
# Axes
# --------------------------------------------------------------------------------------------------


def images(count: int, sizes: Ints) -> Cuts:
    """Cut an axis along which nothing is shared where its blocks end: images, or the channels of a pooling."""
    bounds = [*dict.fromkeys((0, *accumulate(sizes)))] if count else [0, 0]
    return tuple(Cut(part, (part,), (part,)) for part in map(slice, bounds, bounds[1:]))


def channels(spec: Any, sizes: Ints, to: str) -> Cuts:
    """Cut the channels of a convolution between its groups; `to` is the side of the result, "x" or "y"."""
    given, wanted = (spec.icg, spec.ocg) if to == "y" else (spec.ocg, spec.icg)
    ends = [end // given for end in accumulate(sizes) if given and end % given == 0]
    bounds = [*dict.fromkeys((0, *ends, spec.groups))]
    cuts = []
    for first, last in pairwise(bounds):
        needs, target = slice(first * given, last * given), slice(first * wanted, last * wanted)
        x, y = (needs, target) if to == "y" else (target, needs)
        cuts.append(Cut(target, (x,), (y,)))
    return tuple(cuts)


def forward(spec: Any, axis: int, sizes: Ints) -> Cuts:
    """Cut the outputs of `axis`, whose inputs lie in blocks of these `sizes`."""
    if _adaptive(spec):
        boxes = _adaptive_boxes(spec, axis, sizes)
        return tuple(Cut(box, (_adaptive_reach(spec, axis, box),), (box,)) for box in boxes)
    whole, cuts = inner(spec), []
    for box in _output_boxes(spec, axis, sizes):
        reach = _alone(whole.under, whole.out_size, axis, box)[1]
        x, places = _copied(spec, axis, reach) if copied_padding(spec) else ((reach,), ())
        cuts.append(Cut(box, x, (box,), places))
    return tuple(cuts)


def adjoint(spec: Any, axis: int, sizes: Ints) -> Cuts:
    """Cut the inputs of `axis`, the result of an adjoint, whose outputs lie in blocks of these `sizes`.

    Where padding repeats elements, the inputs are those with their padding; `folds` brings it back.
    """
    whole = inner(spec)
    ends = (end * spec.stride[axis] + _lead(spec, axis) - whole.pad_lo[axis] for end in accumulate(sizes))
    cuts = []
    for box in _joined(ends, whole.in_size[axis], _wide_enough(spec, axis, 1)):
        y = _alone(whole.above, whole.in_size, axis, box)[2]
        cuts.append(Cut(box, (box,), (y,)))
    return tuple(cuts)


def folds(spec: ConvSpec, axis: int, sizes: Ints) -> Cuts:
    """Cut the inputs of `axis`, to which inputs with their padding, in blocks of these `sizes`, add up."""
    lo, size = spec.pad_lo[axis], spec.in_size[axis]
    origins = [origin(spec.padding_mode, p - lo, size) for p in range(lo + size + spec.pad_hi[axis])]
    cuts = []
    for box in _joined((end - lo for end in accumulate(sizes)), size, lambda first, last: True):
        needs = [p for p, q in enumerate(origins) if box.start <= q < box.stop]
        cuts.append(Cut(box, _runs(needs), (), tuple(origins[p] - box.start for p in needs)))
    return tuple(cuts)


def gradient(spec: PoolSpec, axis: int, sizes: Ints) -> Cuts:
    """Cut the inputs of `axis`, the gradient of a pooling: all inputs of each window are needed, for its divisor."""
    if spec.adaptive:
        return tuple(replace(cut, target=cut.x[0]) for cut in _periods(spec, axis, sizes, spec.out_size))
    ends = (end * spec.stride[axis] + _lead(spec, axis) - spec.pad_lo[axis] for end in accumulate(sizes))
    cuts = []
    for box in _joined(ends, spec.in_size[axis], _wide_enough(spec, axis, 1)):
        y = _alone(spec.above, spec.in_size, axis, box)[2]
        cuts.append(Cut(box, (_alone(spec.under, spec.out_size, axis, y)[1],), (y,)))
    return tuple(cuts)


def whole(spec: WindowSpec, axis: int) -> Cuts:
    """Leave an axis in one piece."""
    x, y = slice(0, spec.in_size[axis]), slice(0, spec.out_size[axis])
    return (Cut(x, (x,), (y,)),)


# --------------------------------------------------------------------------------------------------
# Blocks
# --------------------------------------------------------------------------------------------------


def part(spec: Any, n: Cut, c: Cut, axes: Sequence[Cut], *, above: bool = False) -> Any:
    """Return the spec of one block: of its outputs, or with `above` of its inputs."""
    base = inner(spec)
    if _adaptive(spec):
        base = _adaptive_part(spec, axes)
    elif above:
        base = base.above([cut.x[0] for cut in axes])[0]
    else:
        base = base.under([cut.y[0] for cut in axes])[0]
    sizes = {"n": _length(n.x[0]), "c": _length(c.x[0])}
    if isinstance(spec, ConvSpec):
        sizes["oc"] = _length(c.y[0])
        # A block of all channels may have none: its groups are those of the whole.
        sizes["groups"] = _length(c.y[0]) // spec.ocg if spec.ocg else spec.groups
    return replace(base, **sizes)


def split(cut: Cut, sizes: Ints) -> list[slice]:
    """Return the inputs of one window in pieces that end where the blocks of these `sizes` end."""
    start, stop = cut.x[0].start, cut.x[0].stop
    bounds = [start, *(end for end in accumulate(sizes) if start < end < stop), stop]
    return [*map(slice, bounds, bounds[1:])]


def window(part: PoolSpec, kind: Any, inputs: Sequence[slice]) -> PoolSpec:
    """Return the pooling of a piece of a window to one number."""
    size, zero = tuple(map(_length, inputs)), (0,) * part.nd
    return replace(part, kind=kind, in_size=size, kernel=size, stride=size, pad_lo=zero, pad_hi=zero, adaptive=False)


def overlap(cuts: Sequence[Cut]) -> tuple[Ints, tuple[slice, ...], tuple[slice, ...]]:
    """Return the shape of a block of a gradient, where its windows reach in it, and where that lies in their inputs."""
    shape, here, there = [], [], []
    for cut in cuts:
        inputs = cut.x[0]
        first, last = max(cut.target.start, inputs.start), min(cut.target.stop, inputs.stop)
        last = max(first, last)
        shape.append(_length(cut.target))
        here.append(slice(first - cut.target.start, last - cut.target.start))
        there.append(slice(first - inputs.start, last - inputs.start))
    return tuple(shape), tuple(here), tuple(there)


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _adaptive(spec: Any) -> bool:
    return getattr(spec, "adaptive", False)


def _alone(cut: Callable[..., Any], sizes: Ints, axis: int, box: slice) -> tuple[Any, slice, slice]:
    """Cut one axis and leave the others whole; return the spec, the inputs and the outputs of that axis."""
    boxes = [slice(0, size) for size in sizes]
    boxes[axis] = box
    spec, inputs, outputs = cut(boxes)
    return spec, inputs[axis], outputs[axis]


def _lead(spec: WindowSpec, axis: int) -> int:
    """Return which element of a window counts as its place: with as much padding as it spans, the last one."""
    return min(spec.pad_lo[axis], spec.extent(axis) - 1)


def _wide_enough(spec: WindowSpec, axis: int, step: int) -> Callable[[int, int], bool]:
    """Return whether a block, each of whose elements stands for `step` inputs, is as wide as what windows share."""
    shared = spec.extent(axis) - spec.stride[axis]
    return lambda first, last: (last - first) * step >= shared


def _output_boxes(spec: Any, axis: int, sizes: Ints) -> list[slice]:
    s, lo, out = spec.stride[axis], spec.pad_lo[axis], spec.out_size[axis]
    wide = _wide_enough(spec, axis, s)

    def fits(first: int, last: int) -> bool:
        """Return whether the block is wide enough, and lies over elements and not only over padding."""
        begin, end = first * s - lo, (last - 1) * s - lo + spec.extent(axis)
        return wide(first, last) and (copied_padding(spec) or (end > 0 and begin < spec.in_size[axis]))

    return _joined((-(-(end + lo - _lead(spec, axis)) // s) for end in accumulate(sizes)), out, fits)


def _joined(ends: Any, size: int, fits: Callable[[int, int], bool]) -> list[slice]:
    """Return blocks from 0 to `size` that end at some of `ends`, so that each of them fits, or one in all."""
    bounds = [0]
    for end in ends:
        end = min(end, size)
        if end > bounds[-1] and fits(bounds[-1], end):
            bounds.append(end)
    if len(bounds) == 1 or (bounds[-1] < size and not fits(bounds[-1], size)):
        bounds[max(1, len(bounds) - 1) :] = [size]
    elif bounds[-1] < size:
        bounds.append(size)
    return [*map(slice, bounds, bounds[1:])]


# --------------------------------------------------------------------------------------------------
# Padding that repeats elements
# --------------------------------------------------------------------------------------------------


def _copied(spec: ConvSpec, axis: int, reach: slice) -> tuple[tuple[slice, ...], Ints]:
    """Return the elements that a stretch of the padded axis is made of, and the place of each among them."""
    lo, size = spec.pad_lo[axis], spec.in_size[axis]
    if lo <= reach.start and reach.stop <= lo + size:
        return (slice(reach.start - lo, reach.stop - lo),), ()
    origins = [origin(spec.padding_mode, p - lo, size) for p in range(reach.start, reach.stop)]
    needs = sorted(set(origins))
    place = {q: k for k, q in enumerate(needs)}
    return _runs(needs), tuple(place[q] for q in origins)


def _runs(positions: Sequence[int]) -> tuple[slice, ...]:
    """Return ascending positions as slices."""
    starts = [p for k, p in enumerate(positions) if k == 0 or p != positions[k - 1] + 1]
    stops = [p + 1 for k, p in enumerate(positions) if k + 1 == len(positions) or p + 1 != positions[k + 1]]
    return tuple(map(slice, starts, stops))


# --------------------------------------------------------------------------------------------------
# Adaptive windows
# --------------------------------------------------------------------------------------------------


def _adaptive_reach(spec: PoolSpec, axis: int, box: slice) -> slice:
    return slice(spec.taps(axis, box.start).start, spec.taps(axis, box.stop - 1).stop)


def _periods(spec: PoolSpec, axis: int, sizes: Ints, of: Ints) -> list[Cut]:
    """Cut where the windows begin anew in the same way: no window reaches over such a place.

    `sizes` are those of the blocks of the inputs or of the outputs, whichever `of` gives.
    """
    periods = gcd(spec.in_size[axis], spec.out_size[axis])
    inputs, outputs = spec.in_size[axis] // periods, spec.out_size[axis] // periods
    ends = (-(-end * periods // of[axis]) for end in accumulate(sizes))
    cuts = []
    for box in _joined(ends, periods, lambda first, last: True):
        y = slice(box.start * outputs, box.stop * outputs)
        cuts.append(Cut(y, (slice(box.start * inputs, box.stop * inputs),), (y,)))
    return cuts


def _adaptive_boxes(spec: PoolSpec, axis: int, sizes: Ints) -> list[slice]:
    boxes = [cut.target for cut in _periods(spec, axis, sizes, spec.in_size)]
    if len(boxes) > 1 or spec.in_size[axis] <= max(sizes):
        return boxes
    return [slice(o, o + 1) for o in range(spec.out_size[axis])]  # one by one, they have no phase


def _adaptive_part(spec: PoolSpec, axes: Sequence[Cut]) -> PoolSpec:
    inputs = tuple(_length(cut.x[0]) for cut in axes)
    outputs = tuple(_length(cut.y[0]) for cut in axes)
    kernel = tuple(-(-i // o) for i, o in zip(inputs, outputs, strict=True))
    return replace(spec, in_size=inputs, out_size=outputs, kernel=kernel)
