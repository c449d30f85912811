"""Windows that slide over an input: what im2col, pooling and convolution share."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

from ..errors import SpecError, quote
from .arguments import Ints, cached, per_axis, split
from .padding import effective_kernel, out_size, resolve_padding
from .sizes import check_array, check_windows, count_before

#: Steps from window to window, in sizes of a window, from which on what lies between them is left out of copies.
_FAR = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSpec:
    """Windows sliding over ``(n, c, *in_size)``: what im2col, pooling and convolution share.

    All tuples have one entry per spatial axis; sizes and amounts are in elements.
    """

    n: int
    c: int
    in_size: Ints
    kernel: Ints
    stride: Ints
    dilation: Ints
    pad_lo: Ints
    pad_hi: Ints
    out_size: Ints
    channels_last: bool = False
    batched: bool

    def __hash__(self) -> int:
        # Specs are dictionary keys on every call: a few telling fields hash faster than all.
        return hash((self.n, self.c, self.in_size, self.kernel, self.stride))

    @property
    def nd(self) -> int:
        """Number of spatial axes."""
        return len(self.in_size)

    @property
    def live_axes(self) -> Ints:
        """The spatial axes that matter: along the others there is one element, which is the window; at least one."""
        sizes = zip(self.in_size, self.kernel, self.out_size, self.pad_lo, self.pad_hi, strict=True)
        return tuple(axis for axis, size in enumerate(sizes) if size != (1, 1, 1, 0, 0)) or (self.nd - 1,)

    @property
    def x_shape(self) -> Ints:
        """Shape of the input as the caller has it."""
        return self._order(self.c, self.in_size)

    @property
    def padded(self) -> bool:
        """Whether any padding is added."""
        return any(self.pad_lo) or any(self.pad_hi)

    @property
    def taps_count(self) -> int:
        """Elements in one window."""
        return math.prod(self.kernel)

    @property
    def pointwise(self) -> bool:
        """Whether each output sees the one element in its place, so that the input is the matrix of columns.

        A transposed convolution may have a larger result: with dilation, `output_padding` adds places to its end.
        """
        return self.taps_count == 1 and self.in_size == self.out_size and not self.padded

    @property
    def out_count(self) -> int:
        """Windows per image and channel."""
        return math.prod(self.out_size)

    def _order(self, channels: int, spatial: Ints) -> Ints:
        shape = (*spatial, channels) if self.channels_last else (channels, *spatial)
        return (self.n, *shape) if self.batched else shape

    def taps(self, axis: int, o: int) -> range:
        """Return the positions on `axis` that window `o` holds, those inside the input only."""
        d = self.dilation[axis]
        first = o * self.stride[axis] - self.pad_lo[axis]
        start = first % d if first < 0 else first  # the first tap behind the low padding
        return range(start, min(first + self.kernel[axis] * d, self.in_size[axis]), d)

    def window(self, axis: int, o: int) -> list[tuple[int, int]]:
        """Return (tap number, position) of the elements of window `o` that lie inside the input."""
        first, d = o * self.stride[axis] - self.pad_lo[axis], self.dilation[axis]
        return [((position - first) // d, position) for position in self.taps(axis, o)]

    def reach(self, axis: int, tap: int) -> tuple[int, int]:
        """Return the half-open range of windows whose tap number `tap` lies inside the input."""
        s, offset = self.stride[axis], tap * self.dilation[axis] - self.pad_lo[axis]
        start = max(0, -(offset // s))  # the first o with o * s + offset >= 0
        stop = min(self.out_size[axis], -((offset - self.in_size[axis]) // s))
        return start, max(start, stop)

    def inside(self, axis: int) -> slice:
        """Return the windows of which the first tap and the last one lie inside the input along an axis."""
        first = self.reach(axis, 0)[0]
        return slice(first, max(first, self.reach(axis, self.kernel[axis] - 1)[1]))

    def borders(self) -> Iterator[tuple[slice, ...]]:
        """Return boxes of windows that together hold all that reach into the padding, each window once.

        Boxes at the ends of the rows' axis are two rows high, if there are so many: there are kernels that cut planes
        into rows.
        """
        inside = [self.inside(axis) for axis in range(self.nd)]
        if self.nd > 1:
            size, (start, stop) = self.out_size[-2], (inside[-2].start, inside[-2].stop)
            start = min(2, stop) if start == 1 else start
            inside[-2] = slice(start, max(start, size - 2) if size - stop == 1 else stop)
        return rim(inside, self.out_size)

    def live_taps(self, axis: int) -> Sequence[int]:
        """Return the taps that lie inside the input in some window, in order."""
        size, s, d = self.in_size[axis], self.stride[axis], self.dilation[axis]
        last = (self.out_size[axis] - 1) * s
        # The input as windows see it: one stretch of taps per window, which are one for strides up to its size.
        firsts = range(-self.pad_lo[axis], last - self.pad_lo[axis] + 1, s) if s > size else (last - self.pad_lo[axis],)
        stretch = size if s > size else size + last
        taps = (range(max(0, -(f // d)), min(self.kernel[axis], -((f - stretch) // d))) for f in firsts)
        return next(taps) if s <= size else sorted({tap for part in taps for tap in part})

    def tap_number(self, taps: Sequence[int]) -> int:
        """Return the place of a tap among all of a window."""
        number = 0
        for tap, k in zip(taps, self.kernel, strict=True):
            number = number * k + tap
        return number

    def taps_inside(self, axis: int) -> int:
        """Count the window elements inside the input, over all windows on `axis`."""
        lo, size = self.pad_lo[axis], self.in_size[axis]
        windows = self.out_size[axis], self.stride[axis], self.kernel[axis], self.dilation[axis]
        return count_before(lo + size, *windows) - count_before(lo, *windows)

    def extent(self, axis: int) -> int:
        """Return how many positions a window covers on `axis`, from its first tap to its last."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def divisible(self, axis: int) -> bool:
        """Return whether every window on `axis` covers elements of the input, so that any of them can be cut out."""
        return max(self.pad_lo[axis], self.pad_hi[axis]) < self.extent(axis)

    def span(self, axis: int, outputs: int) -> int:
        """Return how many inputs at most lie under so many neighbouring windows."""
        if outputs == self.out_size[axis]:
            return self.in_size[axis]
        return min(self.in_size[axis], (outputs - 1) * self.stride[axis] + self.extent(axis))

    def over(self, axis: int, inputs: int) -> int:
        """Return how many windows at most hold one of so many neighbouring inputs, and one more beside them."""
        return min(self.out_size[axis], (inputs + self.extent(axis) - 2) // self.stride[axis] + 2)

    def under(self, outputs: Sequence[slice]) -> tuple[Self, tuple[slice, ...], tuple[slice, ...]]:
        """Cut out a box of windows: return its spec, the inputs it needs, and the box; `divisible` axes only."""
        inputs, pads = [], []
        for a, box in enumerate(outputs):
            if box == slice(0, self.out_size[a]):
                inputs.append(slice(0, self.in_size[a]))
                pads.append((self.pad_lo[a], self.pad_hi[a]))
                continue
            begin = box.start * self.stride[a] - self.pad_lo[a]
            end = (box.stop - 1) * self.stride[a] - self.pad_lo[a] + self.extent(a)
            inside = slice(max(0, begin), min(self.in_size[a], end))
            inputs.append(inside)
            # Of the high padding all is left: an average may count it.
            pads.append((inside.start - begin, self.pad_hi[a] if inside.stop == self.in_size[a] else 0))
        return self._part(inputs, outputs, pads)

    def above(self, inputs: Sequence[slice]) -> tuple[Self, tuple[slice, ...], tuple[slice, ...]]:
        """Cut out a box of inputs: return its spec, the box, and the windows that hold its elements."""
        outputs, pads = [], []
        for a, box in enumerate(inputs):
            if box == slice(0, self.in_size[a]):
                outputs.append(slice(0, self.out_size[a]))
                pads.append((self.pad_lo[a], self.pad_hi[a]))
                continue
            s, lo, size = self.stride[a], self.pad_lo[a], box.stop - box.start
            # The first window begins at or before the box: no padding is negative.
            first = min(-(-(box.start + lo - self.extent(a) + 1) // s), (box.start + lo) // s, self.out_size[a] - 1)
            first = max(0, first)
            last = max(first + 1, min(self.out_size[a], -(-(box.stop + lo) // s)))
            outputs.append(slice(first, last))
            low = lo + box.start - first * s
            pads.append((low, max(0, (last - first - 1) * s + self.extent(a) - size - low)))
        return self._part(inputs, outputs, pads)

    def _part(
        self, inputs: Sequence[slice], outputs: Sequence[slice], pads: Sequence[tuple[int, int]]
    ) -> tuple[Self, tuple[slice, ...], tuple[slice, ...]]:
        spec = replace(
            self, in_size=tuple(s.stop - s.start for s in inputs), out_size=tuple(s.stop - s.start for s in outputs),
            pad_lo=tuple(lo for lo, _ in pads), pad_hi=tuple(hi for _, hi in pads),
        )  # fmt: skip
        return spec, tuple(inputs), tuple(outputs)

    def gathered(self) -> tuple[Self, tuple[int, ...]]:
        """Return the same windows over an input of nothing but what they hold, and the axes that this shortens.

        These are axes on which windows lie far apart, all of them inside the input; others stay as they are.
        """
        axes = tuple(axis for axis in range(self.nd) if self._apart(axis))
        if not axes:
            return self, ()
        size, stride, dilation, hi = (list(a) for a in (self.in_size, self.stride, self.dilation, self.pad_hi))
        for axis in axes:
            size[axis], stride[axis] = self.out_size[axis] * self.kernel[axis], self.kernel[axis]
            dilation[axis], hi[axis] = 1, 0
        found = replace(
            self, in_size=tuple(size), stride=tuple(stride), dilation=tuple(dilation), pad_hi=tuple(hi)
        )  # fmt: skip
        return found, axes

    def _apart(self, axis: int) -> bool:
        last = (self.out_size[axis] - 1) * self.stride[axis] + self.extent(axis)
        far = self.out_size[axis] > 1 and self.stride[axis] >= _FAR * self.kernel[axis]
        return far and not self.pad_lo[axis] and last <= self.in_size[axis]

    def unpadded(self) -> Self:
        """Return the same windows over an input that already holds its padding."""
        size = tuple(lo + i + hi for lo, i, hi in zip(self.pad_lo, self.in_size, self.pad_hi, strict=True))
        zero = (0,) * self.nd
        return replace(self, in_size=size, pad_lo=zero, pad_hi=zero)


def count_axes(x_shape: Ints, kernel_size: Any) -> int:
    """Return how many spatial axes a window of one integer, or of one per axis, has over an array of `x_shape`."""
    if isinstance(kernel_size, tuple):
        if not kernel_size:
            raise SpecError("kernel_size=() names no axis; give one size per spatial axis, such as (3, 3)")
        return len(kernel_size)
    if len(x_shape) < 3:
        raise SpecError(
            f"x has {len(x_shape)} axes {x_shape}, of which the first two are N and C if kernel_size is one integer; a "
            f"plane (H, W) is x[None, None], or x[None] with kernel_size=({quote(kernel_size)}, {quote(kernel_size)})"
        )
    return len(x_shape) - 2


def rim(inside: Sequence[slice], sizes: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield boxes that together are what lies around a box within these sizes."""
    for axis, size in enumerate(sizes):
        for end in (slice(0, inside[axis].start), slice(inside[axis].stop, size)):
            if end.start < end.stop:
                yield (*inside[:axis], end, *(slice(0, rest) for rest in sizes[axis + 1 :]))


@cached
def make_columns(
    x_shape: Ints, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> WindowSpec:
    """Make the spec of im2col; its adjoint col2im shares it."""
    nd = count_axes(x_shape, kernel_size)
    batched, n, c, in_size = split("x", x_shape, nd, False)
    kernel = per_axis("kernel_size", kernel_size, nd, 1)
    stride, dilation = per_axis("stride", stride, nd, 1), per_axis("dilation", dilation, nd, 1)
    ke = effective_kernel(kernel, dilation)
    lo, hi = resolve_padding(padding, in_size, ke, stride)
    spec = WindowSpec(
        n=n, c=c, in_size=in_size, kernel=kernel, stride=stride, dilation=dilation, pad_lo=lo, pad_hi=hi,
        out_size=out_size(in_size, kernel, stride, dilation, lo, hi), batched=batched,
    )  # fmt: skip
    check_array("x", spec.x_shape)
    check_array("the columns", (n, c * spec.taps_count, spec.out_count))
    check_windows(spec)
    return spec


@cached
def make_col2im(
    cols_shape: Ints, output_size: Ints, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> WindowSpec:
    """Make the spec of the im2col whose adjoint col2im applies."""
    if len(cols_shape) not in (2, 3):
        raise SpecError(
            f"cols has {len(cols_shape)} axes {cols_shape}; expected (N, C * prod(kernel_size), L), or 2 without N"
        )
    nd = len(output_size)
    if nd < 1:
        raise SpecError("output_size=() names no axis; give one size per spatial axis, such as (4, 4)")
    if isinstance(kernel_size, tuple) and len(kernel_size) != nd:
        raise SpecError(
            f"output_size={quote(output_size)} has {nd} entries and kernel_size={quote(kernel_size)} has "
            f"{len(kernel_size)}; give output_size one entry per spatial axis, as kernel_size has"
        )
    kernel = per_axis("kernel_size", kernel_size, nd, 1)
    rows, taps = cols_shape[-2], math.prod(kernel)
    if rows % taps:
        raise SpecError(
            f"cols {cols_shape} has {rows} rows; with kernel_size {kernel} they must be a multiple of {taps}"
        )
    spec = make_columns((*cols_shape[:-2], rows // taps, *output_size), kernel, stride, padding, dilation)
    if cols_shape[-1] != spec.out_count:
        raise SpecError(
            f"cols {cols_shape} has {cols_shape[-1]} columns; output_size {output_size} with these options has "
            f"{spec.out_count} windows {spec.out_size}"
        )
    return spec


# --------------------------------------------------------------------------------------------------
# Padding that holds something, of convolutions and poolings
# --------------------------------------------------------------------------------------------------


def needs_padding(spec: Any) -> bool:
    """Return whether the padding holds what hooks do not know, so that it must be written into a copy of the input.

    What they know are the zeros round a convolution, and padding that takes no part in a pooling.
    """
    return bool((spec.padding_mode != "constant" or spec.pad_value != spec.unset) and spec.padded)


def repeats(spec: Any) -> int:
    """Return how often an element of the input stands at most in the input with its padding."""
    copied = needs_padding(spec) and spec.padding_mode != "constant"
    return math.prod(lo + 1 + hi for lo, hi in zip(spec.pad_lo, spec.pad_hi, strict=True)) if copied else 1


@lru_cache(maxsize=256)
def plain_padded(spec: Any) -> Any:
    """Return the spec of the same call with the padding that hooks know."""
    return replace(spec, padding_mode="constant", pad_value=spec.unset)


@lru_cache(maxsize=256)
def zero_padded(spec: Any) -> Any:
    """Return the spec as hooks see it: padding that holds what they do not know is part of the input.

    Where nothing is padded, the mode is forgotten all the same: parts of an adjoint have padding of the ordinary kind.
    """
    return plain_padded(spec.unpadded() if needs_padding(spec) else spec)
