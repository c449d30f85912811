"""The sizes of adjoints: the phases of a strided convolution, and the pooling that spreads what another one gathers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from .arguments import Ints, cached

if TYPE_CHECKING:
    from .conv import ConvSpec
    from .pool import PoolSpec


@dataclass(frozen=True, slots=True)
class Phase:
    """The inputs ``start, start + stride, ...`` of each axis: a convolution of stride 1 over the outputs gives them.

    Attributes
    ----------
    at : tuple of slice
        Where they lie along the spatial axes of the input.
    taps : tuple of slice
        The taps of the kernel that reach them, last first.
    kernel, dilation, lo, out_size : tuple of int
        Taps, their distance and the low padding in outputs, and how many inputs there are, per axis.
    """

    at: tuple[slice, ...]
    taps: tuple[slice, ...]
    kernel: Ints
    dilation: Ints
    lo: Ints
    out_size: Ints

    def __hash__(self) -> int:
        return hash((self.kernel, self.dilation, self.lo, self.out_size, *(s.start for s in (*self.at, *self.taps))))


class Phases(NamedTuple):
    """The phases that any tap reaches; inputs of none of them have the gradient 0."""

    reached: tuple[Phase, ...]
    covers_all: bool  # no input is left

    def __iter__(self) -> Iterator[Phase]:  # type: ignore[override]
        return iter(self.reached)


class _Residue(NamedTuple):
    """The inputs of one axis with one residue modulo the stride."""

    start: int
    taps: range
    dilation: int
    lo: int


@cached
def phases_of(spec: ConvSpec) -> Phases:
    """Cut the input by the residues modulo the stride; see `ConvSpec.phases`."""
    axes = [_residues(spec, axis) for axis in range(spec.nd)]
    found = tuple(_phase(spec, residues) for residues in product(*axes))
    every = all(len(axis) == min(s, i) for axis, s, i in zip(axes, spec.stride, spec.in_size, strict=True))
    return Phases(found, every)


def _residues(spec: ConvSpec, axis: int) -> list[_Residue]:
    """Find the residues that taps reach: tap k of output o lies on input ``o s + k d - p``."""
    s, d, p, k = spec.stride[axis], spec.dilation[axis], spec.pad_lo[axis], spec.kernel[axis]
    every = s // math.gcd(s, d)  # taps that reach the same residue
    found = []
    for first in range(min(every, k)):
        start = (first * d - p) % s
        if start < spec.in_size[axis]:
            taps, gap = range(first, k, every), every * d // s
            found.append(_Residue(start, taps, gap, (len(taps) - 1) * gap - (start + p - first * d) // s))
    return sorted(found)


def _phase(spec: ConvSpec, residues: tuple[_Residue, ...]) -> Phase:
    at = tuple(slice(r.start, None, s) for r, s in zip(residues, spec.stride, strict=True))
    left = [r.taps.start - r.taps.step for r in residues]
    return Phase(
        at,
        tuple(slice(r.taps[-1], end if end >= 0 else None, -r.taps.step) for r, end in zip(residues, left, strict=True)),
        tuple(len(r.taps) for r in residues),
        tuple(r.dilation for r in residues),
        tuple(r.lo for r in residues),
        tuple(-((r.start - i) // s) for r, i, s in zip(residues, spec.in_size, spec.stride, strict=True)),
    )


@cached
def pool_adjoint(spec: PoolSpec) -> PoolSpec | None:
    """Return the pooling that is the adjoint of an average or a sum; see `PoolSpec.adjoint`."""
    reach = [d * (k - 1) for d, k in zip(spec.dilation, spec.kernel, strict=True)]
    lo = tuple(r - p for r, p in zip(reach, spec.pad_lo, strict=True))
    hi = tuple(i + r - left - o for i, r, left, o in zip(spec.in_size, reach, lo, spec.out_size, strict=True))
    even = spec.kind == "sum" or spec.divisor or spec.count_include_pad or not spec.padded
    if spec.kind not in ("sum", "avg") or spec.adaptive or max(spec.stride) > 1 or not even or min(*lo, *hi) < 0:
        return None
    divisor = spec.divisor or spec.taps_count
    return replace(
        spec, in_size=spec.out_size, out_size=spec.in_size, pad_lo=lo, pad_hi=hi, count_include_pad=True,
        divisor=divisor if spec.kind == "avg" else None,
    )  # fmt: skip
