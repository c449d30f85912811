"""The one place that says how large sizes and products of sizes may become.

Compiled code counts elements and bytes with as many bits as an address has, which are 64, or 32 in WebAssembly.  What
is checked here never leaves them, whatever is multiplied: arrays, padded arrays, columns, and what strides and windows
reach, all of the widest element type.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from ..errors import SpecError
from .arguments import Ints

if TYPE_CHECKING:
    from .windows import WindowSpec

ITEM = 16  # bytes of the widest element, complex128
# With 32 bits a bound is within reach: scratch may take some times the bytes of the arrays, so that more room is left.
BITS = 62 if sys.maxsize > 2**32 else 29
MOST = 2**BITS // ITEM  # elements
MUCH = 2**32  # window elements, from which on some must lie in the input


def check_array(what: str, shape: Ints) -> None:
    """Raise SpecError if an array of `shape` would have 2**BITS bytes or more."""
    # Zero sizes count as one: array libraries refuse such shapes as well.
    if math.prod(max(1, size) for size in shape) >= MOST:
        raise SpecError(f"{what} would have the shape {shape}, 2**{BITS} bytes or more; {_smaller(shape)}")


def _smaller(shape: Ints) -> str:
    """Return advice: how far the largest axis must shrink."""
    axis = max(range(len(shape)), key=shape.__getitem__)
    rest = math.prod(max(1, size) for at, size in enumerate(shape) if at != axis)
    most = (MOST - 1) // rest
    return f"use sizes that leave at most {most} on axis {axis}" if most else "use smaller sizes"


def check_windows(spec: WindowSpec, outputs: int = 0) -> None:
    """Raise SpecError if a product of what strides, windows and padding reach, and of planes, leaves 64 bits.

    Parameters
    ----------
    spec : WindowSpec
        The call.
    outputs : int, default 0
        Channels of the result, if they are not those of the input.
    """
    planes = max(1, spec.n) * max(1, spec.c, outputs)
    padded = tuple(i + lo + hi for i, lo, hi in zip(spec.in_size, spec.pad_lo, spec.pad_hi, strict=True))
    extent = tuple(spec.extent(axis) for axis in range(spec.nd))
    reach = tuple(map(max, spec.stride, padded, extent))
    if math.prod(reach) * planes < MOST:
        _check_work(spec, planes)
        return
    axis = max(range(spec.nd), key=reach.__getitem__)
    most = (MOST - 1) // (math.prod(reach) // reach[axis] * planes)
    k, d = spec.kernel[axis], spec.dilation[axis]
    # Padding of a window that reaches too far is a consequence: it must fit the window, not the other way round.
    if reach[axis] == padded[axis] and extent[axis] <= most:
        said, allowed, least = f"padding lo {spec.pad_lo} hi {spec.pad_hi}", most - spec.in_size[axis], 0
        said = said if allowed >= 0 else f"the spatial size {spec.in_size}"
    elif reach[axis] == spec.stride[axis] and extent[axis] <= most:
        said, allowed, least = f"stride {spec.stride}", most, 1
    elif k > 1 and d > 1:
        said, allowed, least = f"dilation {spec.dilation}", (most - 1) // (k - 1), 1
    else:
        said, allowed, least = f"kernel_size {spec.kernel}", most, 1
    amount = f"{'lo + hi of ' if said.startswith('padding') else ''}at most {allowed} on axis {axis}"
    raise SpecError(
        f"{said} reaches too far: {planes} planes of the elements {reach} that windows, strides and padding reach are "
        f"2**{BITS} bytes or more; use {amount if allowed >= least else 'smaller sizes on all axes'}"
    )


def _check_work(spec: WindowSpec, planes: int) -> None:
    """Refuse windows of which next to nothing lies in the input: their work would be to look at padding."""
    every = spec.out_count * spec.taps_count * planes
    if every < MUCH:
        return
    inside = [spec.taps_inside(axis) for axis in range(spec.nd)]
    part = math.prod(inside) * planes
    few = part * 2**16 < every
    if every < 2**62 and not few:
        return
    shares = [part / (o * k) for part, o, k in zip(inside, spec.out_size, spec.kernel, strict=True)]
    axis = shares.index(min(shares))
    size, k = max(1, spec.in_size[axis]), spec.kernel[axis]
    if k > size:
        advice = f"a kernel of at most {size}"
    elif spec.pad_lo[axis] + spec.pad_hi[axis] > size:
        advice = f"lo + hi of at most {size}"
    else:
        advice = f"a stride of at least {2 * spec.stride[axis]}"
    elements = f"{every} window elements over {planes} planes"
    said = f"of {elements} only {part} lie in the input" if few else f"{elements} are 2**62 or more"
    raise SpecError(
        f"{said}: kernel {spec.kernel}, stride {spec.stride}, padding lo {spec.pad_lo} hi {spec.pad_hi}; use {advice} "
        f"on axis {axis}"
    )


def _floor_sum(count: int, divisor: int, step: int, first: int) -> int:
    """Return ``sum((first + j * step) // divisor for j in range(count))`` for integers of at least 0."""
    total = 0
    while count > 0:
        total += count * (count - 1) // 2 * (step // divisor) + count * (first // divisor)
        step, first = step % divisor, first % divisor
        last = step * count + first
        # What is left counts lattice points under a line: look at it along the other axis.
        count, first, divisor, step = last // divisor, last % divisor, step, divisor
    return total


def count_before(limit: int, outputs: int, stride: int, taps: int, dilation: int) -> int:
    """Count the pairs (o, t) of a window and a tap in it with ``o * stride + t * dilation < limit``."""
    before = min(taps, max(0, -(-limit // dilation)))  # taps that lie there in the first window
    every = min(before, max(0, -(-(limit - (outputs - 1) * stride) // dilation)))  # and in the last one
    least = limit - (before - 1) * dilation
    return every * outputs + _floor_sum(before - every, stride, dilation, least + stride - 1)
