"""How the fft backend cuts a call: transform lengths, blocks of the kernel and of channels, so that scratch fits.

All sizes here are those of transforms; the call's own come from the spec.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..spec import ConvSpec, effective_kernel
from .transforms import scipy_fft

Array = Any  # numpy.ndarray, indexed by computed tuples that its stubs cannot follow

Ints = tuple[int, ...]

# Some outputs of one image: (image, first output per axis, outputs per axis).
Block = tuple[int, Ints, Ints]

#: Tiles that hold more bytes go through the transforms in slabs of rows.
CHUNK_BYTES = 4 << 20

#: Tiles of images that are transformed together hold about so many bytes, more than which leave the nearer caches.
_NEAR_BYTES = 3 << 20

#: Longer tiles would win little, unless the kernel itself is long.
TILE_ELEMENTS = 1 << 20

#: More tiles than this at once win nothing.
_MOST_TILES = 512

#: Transform lengths tried per axis, so that there are some hundreds at most.
_TRIES = {1: 10, 2: 10, 3: 6}

#: How much longer a multiple of 16 may be: it takes a tenth less for each element (384 beside 375).
_EVEN = 1.05

#: Bytes for what is computed of a tile piece by piece, and for the sums of single outputs by other kernels.
SMALL = 512 << 10

#: Nanoseconds, fitted to 300 plans on one thread of an AMD EPYC: of a group of channels, of a tile of it, of a row that
#: is copied, of a byte that is transformed, for each doubling of the tile, and of one that is multiplied.
_GROUP, _TILE, _ROW, _TRANSFORMED, _MULTIPLIED = 4e5, 2.6e4, 60, 0.04, 0.13


@dataclass(frozen=True)
class Plan:
    """One way to cut a call; every size is at least 1."""

    length: Ints  # of a transform, per axis
    taps: Ints  # of a block of the kernel, per axis
    counts: Ints  # outputs that one tile yields, per axis
    ins: int  # input channels of a block
    outs: int  # output channels of a block, whose spectra are kept
    tiles: int  # transformed together
    together: int  # output channels of them that are transformed back together
    rows: int  # of the first axis, transformed along the others together
    nbytes: int = 0

    @property
    def in_place(self) -> bool:
        """Whether products replace the spectrum of the input."""
        return self.ins == self.outs == 1


def spectrum_shape(length: Ints, real: bool) -> Ints:
    """Return the shape of a tile's spectrum."""
    return (*length[:-1], length[-1] // 2 + 1) if real else length


def complex_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the spectra of arrays of `dtype`."""
    return np.result_type(dtype, np.complex64)


@lru_cache(maxsize=1024)
def make_plan(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> Plan:
    """Return the plan of least predicted time among those whose scratch fits `bound`, or else the one with the least.

    The kernel is cut, and its blocks' results are added up, only where no tile around the whole kernel fits.
    """
    taps, found = spec.kernel, []
    while True:
        plans = [_fitted(spec, dtype, bound, taps, length) for length in _lengths(spec, taps)]
        fit = [plan for plan in plans if plan.nbytes <= bound]
        if fit:
            return min(fit, key=lambda plan: nanoseconds(spec, dtype, plan))
        found += plans
        longest = max(taps)
        if longest == 1:
            return min(found, key=lambda plan: plan.nbytes)
        taps = tuple(-(-k // 2) if 2 * k > longest else k for k in taps)


def _fast(length: int) -> int:
    """Return a length that is transformed fast: a multiple of 16 is worth a few more elements."""
    fast: int = scipy_fft.next_fast_len(length, real=True)
    even: int = 16 * scipy_fft.next_fast_len(-(-length // 16), real=True)
    return even if even <= _EVEN * fast else fast


def _lengths(spec: ConvSpec, taps: Ints) -> Iterator[Ints]:
    """Yield transform lengths, per axis, for blocks of so many taps."""
    axes: list[list[int]] = []
    for ke, out, stride in zip(effective_kernel(taps, spec.dilation), spec.out_size, spec.stride, strict=True):
        positions = (out - 1) * stride + 1  # of stride 1; a larger stride keeps every stride-th
        whole = _fast(positions + ke - 1)
        shortest = min(whole, _fast(ke + max(1, ke // 4)))
        row = 1 < spec.nd == len(axes) + 1  # long ones are copied fast
        limit = math.floor(min(whole, max((1 + row) * _root(TILE_ELEMENTS, spec.nd), 4 * ke)))
        # The shortest that makes do with so many tiles, from the fewest on.
        most, tiles = -(-positions // (shortest - ke + 1)), -(-positions // (limit - ke + 1))
        step = max(1.125, _root(most / tiles, _TRIES[spec.nd]))
        lengths = {shortest}
        while tiles < most:
            length = _fast(-(-positions // tiles) + ke - 1)
            lengths.update({length} if length <= limit else ())
            tiles = max(tiles + 1, math.floor(tiles * step))
        axes.append(sorted(lengths))
    yield from product(*axes)


def _fitted(spec: ConvSpec, dtype: np.dtype[Any], bound: int, taps: Ints, length: Ints) -> Plan:
    """Return a plan for these blocks and lengths, with as many channels at once as fit `bound`."""
    ke = effective_kernel(taps, spec.dilation)
    counts = tuple(len(range(0, f - e + 1, s)) for f, e, s in zip(length, ke, spec.stride, strict=True))
    tile, first = math.prod(length) * dtype.itemsize, length[0]
    slab = min(CHUNK_BYTES, bound // 16)
    rows = first if spec.nd == 1 or tile <= slab else max(1, slab * first // tile)
    plan = Plan(length, taps, counts, max(1, spec.icg), max(1, spec.ocg), 1, 1, rows)
    plan = replace(plan, nbytes=_nbytes(plan, dtype, ke[0]))
    while plan.nbytes > bound and max(plan.ins, plan.outs) > 1:
        ins, outs = plan.ins, plan.outs
        plan = replace(plan, ins=-(-ins // 2)) if ins > outs else replace(plan, outs=-(-outs // 2))
        plan = replace(plan, nbytes=_nbytes(plan, dtype, ke[0]))
    if rows < first:
        return plan
    most = spec.n * math.prod(-(-out // count) for out, count in zip(spec.out_size, counts, strict=True))
    near = slab if spec.nd == 1 else min(slab, _NEAR_BYTES)
    tiles = max(1, min(most, _MOST_TILES, near // (tile * plan.ins)))
    for wide in (replace(plan, tiles=tiles), replace(plan, tiles=tiles, together=plan.outs)):
        wide = replace(wide, nbytes=_nbytes(wide, dtype, ke[0]))
        if wide.nbytes <= bound and wide.tiles * wide.together * tile <= CHUNK_BYTES:
            plan = wide
    return plan


def _nbytes(plan: Plan, dtype: np.dtype[Any], taps: int) -> int:
    """Return what a call allocates: spectra of weights, input and products, and slabs on their way there and back.

    Weights have `taps` rows; those of one output are transformed before there are spectra of input.
    """
    real = dtype.kind == "f"
    unit = math.prod(spectrum_shape(plan.length, real)) * complex_type(dtype).itemsize
    tile = math.prod(plan.length) * dtype.itemsize
    slab, slab_unit = (size // plan.length[0] * plan.rows for size in (tile, unit))
    rows = min(taps, plan.rows)
    weights = plan.ins * (slab_unit + (slab + slab_unit) // plan.rows * rows)
    held = plan.tiles * (plan.ins + (0 if plan.in_place else plan.together)) * unit
    there = plan.tiles * plan.ins * (slab + (slab_unit if plan.rows < plan.length[0] else 0))
    back = plan.tiles * plan.together * (slab if real or plan.rows < plan.length[0] else 0)
    multiply = plan.tiles * plan.together * slab_unit if plan.ins > 1 else 0
    return plan.outs * plan.ins * unit + max(weights, held + max(there, back, multiply)) + SMALL


def _root(value: float, degree: int) -> float:
    return float(np.power(float(value), 1 / degree))  # powers and logarithms of Python's own floats clear errno


def nanoseconds(spec: ConvSpec, dtype: np.dtype[Any], plan: Plan) -> float:
    """Predict what a call takes on one thread: of groups, tiles and rows, and of bytes transformed and multiplied.

    Half of the work on an image is along its rows, which those of zeros and those that are not kept are spared.
    Signals are transformed as many at once as a vector holds, and those left over take twice as long.
    """
    size = math.prod(plan.length) * dtype.itemsize
    tiles = spec.n * math.prod(-(-out // count) for out, count in zip(spec.out_size, plan.counts, strict=True))
    kernels = math.prod(-(-k // t) for k, t in zip(spec.kernel, plan.taps, strict=True))
    in_blocks, out_blocks = -(-spec.icg // plan.ins), -(-spec.ocg // plan.outs)
    there, back = tiles * kernels * spec.icg * out_blocks, tiles * kernels * spec.ocg * in_blocks
    weights = kernels * spec.icg * spec.ocg
    if spec.nd > 1:
        seen = effective_kernel(plan.taps, spec.dilation)[0]
        kept = back * plan.counts[0] + weights * seen
        transforms = there + (back + weights + kept / plan.length[0]) / 2
    else:
        lanes = 16 * (1 + (dtype.kind == "c")) // dtype.itemsize
        transforms = sum(lines + lines % lanes for lines in (there, back, weights))
    transformed = size * transforms * (float(np.log2(float(math.prod(plan.length)))) + 2)
    multiplied = size * tiles * kernels * spec.icg * spec.ocg
    parts = tiles * kernels * in_blocks * out_blocks
    rows = (there + back) * math.prod(plan.length[:-1])
    work = _ROW * rows + _TRANSFORMED * transformed + _MULTIPLIED * multiplied
    return spec.groups * (_GROUP + _TILE * parts + work)


def blocks(spec: ConvSpec, plan: Plan) -> Iterator[Block]:
    """Yield the blocks of outputs of all images, each of which a tile serves."""
    starts = [range(0, out, count) for out, count in zip(spec.out_size, plan.counts, strict=True)]
    for n, first in product(range(spec.n), product(*starts)):
        sizes = (min(c, out - o) for c, out, o in zip(plan.counts, spec.out_size, first, strict=True))
        yield n, first, tuple(sizes)


def cut_out(image: Array, starts: Sequence[int], lengths: Sequence[int]) -> tuple[Array, Ints]:
    """Return what of an image (C, *in) lies in a box, which may reach beyond it, and where in the box that begins."""
    source, begin = [slice(None)], []
    for start, length, size in zip(starts, lengths, image.shape[1:], strict=True):
        inside = min(max(0, start), size)
        source.append(slice(inside, max(inside, min(size, start + length))))
        begin.append(min(max(0, -start), length))
    return image[tuple(source)], tuple(begin)


def cuts(size: int, part: int) -> list[slice]:
    """Return the parts of a size."""
    return [slice(start, min(start + part, size)) for start in range(0, size, part)]


def keep_pages(nbytes: int) -> None:
    """Have freed memory kept for the arrays of the next call: new pages for all cost as much as the transforms.

    Where glibc's malloc frees a block of more than 128 KiB (and less than 32 MiB), it keeps up to twice as much in the
    process from then on.  Elsewhere this does nothing.
    """
    np.empty(nbytes, np.uint8)
