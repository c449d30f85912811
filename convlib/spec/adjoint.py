"""Adjoints as forward problems: what turns a gradient of the input into convolutions and poolings of stride 1."""
from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from .arguments import Ints

if TYPE_CHECKING:
    from .conv import ConvSpec
    from .pool import PoolSpec


class Phase(NamedTuple):
    """The inputs that lie on one residue of the stride, on each axis.

    A convolution of stride 1 over the outputs, which are its input, gives them: it has the size `size`, the window
    `kernel` with `dilation`, and `lo` elements of zeros before the outputs.  A negative `lo` leaves outputs out.
    """

    inputs: tuple[slice, ...]  # where they lie in the input
    taps: tuple[slice, ...]  # of the kernel's axes, those that reach them, the last one first
    size: Ints
    kernel: Ints
    dilation: Ints
    lo: Ints


class Phases(NamedTuple):
    """The phases that any tap reaches; no input is in two of them."""

    phases: tuple[Phase, ...]
    covers_all: bool  # if not, inputs in none of them are zeros, which have to be written


class _AxisPhase(NamedTuple):
    inputs: slice
    taps: slice
    size: int
    kernel: int
    dilation: int
    lo: int


@lru_cache(maxsize=512)
def phases(spec: ConvSpec) -> Phases:
    """See `ConvSpec.phases`."""
    axes = [_axis(spec, axis) for axis in range(spec.nd)]
    parts = tuple(Phase(*zip(*found, strict=True)) for found in product(*axes))
    every = math.prod(min(s, i) for s, i in zip(spec.stride, spec.in_size, strict=True))
    return Phases(parts, len(parts) == every)


def phase_count(spec: ConvSpec) -> int:
    """See `ConvSpec.phase_count`; counted without making them, as there may be millions."""
    residues = (s // math.gcd(s, d) for s, d in zip(spec.stride, spec.dilation, strict=True))
    return math.prod(map(min, residues, spec.kernel, spec.in_size))


def _axis(spec: ConvSpec, axis: int) -> list[_AxisPhase]:
    """Cut one axis of the input by the residue modulo the stride: tap k of output o lies on input ``o s + k d - p``."""
    s, d, p, k = spec.stride[axis], spec.dilation[axis], spec.pad_lo[axis], spec.kernel[axis]
    size = spec.in_size[axis]
    every = s // math.gcd(s, d)  # taps that reach the same residue
    gap = every * d // s  # outputs between them
    found = []
    for first in range(min(every, k)):
        start = (first * d - p) % s
        if start < size:
            count = -(-(k - first) // every)
            last = first + (count - 1) * every
            lo = (count - 1) * gap - (start + p - first * d) // s
            taps = slice(last, None, -every)  # down to `first`
            found.append(_AxisPhase(slice(start, size, s), taps, -(-(size - start) // s), count, gap, lo))
    return sorted(found, key=lambda phase: phase.inputs.start)


@lru_cache(maxsize=512)
def pool_adjoint(spec: PoolSpec) -> PoolSpec | None:
    """See `PoolSpec.adjoint`."""
    one_divisor = spec.kind == "sum" or spec.divisor or spec.count_include_pad or not spec.padded
    if spec.kind not in ("sum", "avg") or spec.adaptive or max(spec.stride) > 1 or not one_divisor:
        return None
    reach = tuple(spec.extent(axis) - 1 for axis in range(spec.nd))
    lo = tuple(r - p for r, p in zip(reach, spec.pad_lo, strict=True))
    hi = tuple(i + r - p - o for i, r, p, o in zip(spec.in_size, reach, lo, spec.out_size, strict=True))
    if min(*lo, *hi) < 0:
        return None
    divisor = None if spec.kind == "sum" else spec.divisor or spec.taps_count
    return replace(
        spec, in_size=spec.out_size, out_size=spec.in_size, pad_lo=lo, pad_hi=hi, count_include_pad=True,
        divisor=divisor,
    )  # fmt: skip
