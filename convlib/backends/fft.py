"""Convolution with large kernels by the fast Fourier transform: overlap-save tiles over `scipy.fft`.

A tile of ``f`` input elements per axis yields ``f - ke + 1`` outputs per axis, so that the cost per output hardly
depends on the kernel size.  Real input uses real transforms in its own precision.  What a transform would ruin,
`fft_range` finds, and the outputs that see it are summed directly; how a call is cut, `fft_plan` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import numpy as np

from .. import config
from .._ext import PURE
from ..spec import ConvSpec, WindowSpec, effective_kernel
from . import fft_range
from .base import Backend
from .base.pieces import finite
from .fft_plan import (
    SMALL,
    Block,
    Ints,
    Plan,
    blocks,
    complex_type,
    cut_out,
    cuts,
    keep_pages,
    make_plan,
    nanoseconds,
    spectrum_shape,
)
from .fft_spoilt import SMALL_TILE, call_spoilt, tile_spoilt
from .taps import FORWARD, convolve
from .transforms import back, in_place, scipy_fft, there

Array = Any  # numpy.ndarray, indexed by computed tuples that its stubs cannot follow


class FftBackend(Backend):
    """Overlap-save convolution for large kernels, floats and complex numbers."""

    name = "fft"
    determinism = "the same for any number of threads"
    operations: ClassVar[tuple[str, ...]] = ("conv",)
    strided = True
    exact = False

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        reason = super().supports(op, spec, dtype)
        if reason is not None:
            return reason
        if spec.nd > 3:
            return f"sums what a transform would ruin along 1 to 3 spatial axes, not {spec.nd}"
        if dtype.kind not in "fc":
            return f"transforms round, and {dtype} results must be exact"
        need, bound = self.workspace(op, spec, dtype), config.get_max_workspace()
        if need > bound:
            return f"the smallest tiles need {need} bytes of scratch, more than max_workspace={bound}"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        assert isinstance(spec, ConvSpec)
        return make_plan(spec, dtype, config.get_max_workspace()).nbytes

    def predicted(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> float | None:
        """See `Backend.predicted`."""
        assert isinstance(spec, ConvSpec)
        return 1e-9 * nanoseconds(spec, dtype, make_plan(spec, dtype, config.get_max_workspace()))

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        assert isinstance(spec, ConvSpec)
        plan = make_plan(spec, dtype, config.get_max_workspace())
        cut = "" if plan.taps == spec.kernel else f", the kernel in blocks of {' x '.join(map(str, plan.taps))}"
        return None, f"overlap-save with tiles of {' x '.join(map(str, plan.length))}{cut}"

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not spec.reduction or not y.size:
            y[...] = 0
        else:
            plan = make_plan(spec, x.dtype, config.get_max_workspace())
            plain = x.flags.c_contiguous and y.flags.c_contiguous
            if call_spoilt(spec, plan, x) and plain and _native_serves(spec, x.dtype):
                _natively(spec, x, w, bias, y)
                return
            keep_pages(plan.nbytes - SMALL)
            for group in range(spec.groups):
                ins = slice(group * spec.icg, (group + 1) * spec.icg)
                outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
                with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # the result's own, as of any sum
                    _Group(spec, plan, x[:, ins], w[outs], y[:, outs]).run()
        if bias is not None:
            y += bias.reshape(-1, *(1,) * spec.nd)


class _Group:
    """One group of channels of one call."""

    def __init__(self, spec: ConvSpec, plan: Plan, x: Array, w: Array, y: Array) -> None:
        self.spec = replace(spec, c=spec.icg, oc=spec.ocg, groups=1, channels_last=False, batched=True)
        self.plan, self.x, self.w, self.y = plan, x, w, y
        #: Per block, the box of outputs that are summed directly: first and end per axis.
        self.direct: dict[Block, tuple[Ints, Ints]] = {}

    def run(self) -> None:
        """Fill `y`."""
        every = list(blocks(self.spec, self.plan))
        if finite(self.w):
            for outs, ins, taps in self._parts():
                first = ins.start == 0 and not any(t.start for t in taps)
                _Part(self, outs, ins, taps, first).run(every)
        else:  # a transform would make NaN of every infinity
            self.direct = {block: ((0,) * self.spec.nd, block[2]) for block in every}
        for (n, start, _), (begin, end) in self.direct.items():
            first = tuple(s + b for s, b in zip(start, begin, strict=True))
            box = n, first, tuple(e - b for b, e in zip(begin, end, strict=True))
            _direct(self.spec, self.x, self.w, self.y, box, self.plan.nbytes)

    def _parts(self) -> Iterator[tuple[slice, slice, tuple[slice, ...]]]:
        spec, plan = self.spec, self.plan
        return product(
            cuts(spec.oc, plan.outs), cuts(spec.c, plan.ins),
            product(*(cuts(k, t) for k, t in zip(spec.kernel, plan.taps, strict=True))),
        )  # fmt: skip

    def add_direct(self, block: Block, begin: Ints, end: Ints) -> None:
        """Note a box of a block's outputs."""
        if block in self.direct:
            old_begin, old_end = self.direct[block]
            begin, end = tuple(map(min, begin, old_begin)), tuple(map(max, end, old_end))
        self.direct[block] = begin, end

    def wholly_direct(self, block: Block) -> bool:
        """Return whether no output of a block is left for a transform."""
        return self.direct.get(block) == ((0,) * self.spec.nd, block[2])


class _Part:
    """Some output channels of a group, and what some input channels and a block of the kernel add to them."""

    def __init__(self, group: _Group, outs: slice, ins: slice, taps: tuple[slice, ...], first: bool) -> None:
        self.group, self.spec, self.plan = group, group.spec, group.plan
        self.x, self.w, self.y = group.x[:, ins], group.w[(outs, ins, *taps)], group.y[:, outs]
        self.first = first  # whether it sets the outputs, instead of adding to them
        self.whole = self.plan.rows >= self.plan.length[0]  # tiles are transformed along all axes at once
        self.real = self.x.dtype.kind == "f"
        self.ke = effective_kernel(self.w.shape[2:], self.spec.dilation)
        self.offset = tuple(
            t.start * d - lo for t, d, lo in zip(taps, self.spec.dilation, self.spec.pad_lo, strict=True)
        )
        # Each output channel of the weights is a tile of its own, of which nothing is left out.
        sizes = iter(self.w) if self.real else map(np.abs, self.w)
        extremes = [(float(size.min()), float(size.max())) for size in sizes]
        self.shifts = np.array([fft_range.shift_of(max(-low, high)) for low, high in extremes])
        self.signs = np.array([fft_range.sign_of(low, high) if self.real else 0 for low, high in extremes])

    def run(self, blocks: list[Block]) -> None:
        """Transform, multiply and transform back, some tiles at a time."""
        plan, (outs, ins), kind = self.plan, self.w.shape[:2], complex_type(self.x.dtype)
        shape = spectrum_shape(plan.length, self.real)
        spectra = np.empty((outs, ins, *shape), kind)
        for o in range(outs):
            place = spectra[o : o + 1]
            # Multiplying by conj(F(conj(w))) correlates with w instead of convolving.
            np.conjugate(self._forward(None if self.whole else place, self._weights(o)), out=place)
        signal = None if self.whole else np.empty((plan.tiles, ins, *shape), kind)
        sums = None if plan.in_place else np.empty((plan.tiles, plan.together, *shape), kind)
        for start in range(0, len(blocks), plan.tiles):
            chunk = [block for block in blocks[start : start + plan.tiles] if not self.group.wholly_direct(block)]
            if chunk:
                self._chunk(chunk, spectra, signal, sums)

    def _chunk(self, blocks: list[Block], spectra: Array, signal: Array | None, sums: Array | None) -> None:
        few = int(np.prod(self.w.shape[1:]))
        tiles = self._gather(blocks, 0, self.plan.length[0]) if self.whole else None
        ranges = fft_range.judge(self._seen(blocks[0])[0][None] if tiles is None else tiles, few)
        for block, found in zip(blocks, ranges, strict=True):
            if found.limit is not None and not self._direct(block):
                self._leave_out(block, found.limit)
        if all(self.group.wholly_direct(block) for block in blocks):
            return
        signal = self._forward(signal, self._slabs(blocks, ranges, tiles))
        del tiles
        for start in range(0, len(spectra), self.plan.together):
            some = slice(start, min(start + self.plan.together, len(spectra)))
            if sums is None:
                product_ = np.multiply(signal, spectra[None, 0], out=signal)
            else:
                product_ = sums[: len(blocks), : some.stop - some.start]
                self._multiply(signal, spectra[some], product_)
            self._back(product_, blocks, ranges, some)

    # ------------------------------------------------------------------ there

    def _weights(self, o: int) -> Iterator[tuple[int, Array]]:
        """Yield slabs of the weights of an output channel, dilated and scaled, from row to row; zeros follow."""
        w, d, ke = self.w[o], self.spec.dilation, self.ke
        for row in range(0, ke[0], self.plan.rows):
            slab = np.zeros((1, len(w), min(self.plan.rows, ke[0] - row), *ke[1:]), w.dtype)
            first = -(-row // d[0])  # the first tap in the slab
            taps = w[:, first : -(-(row + slab.shape[2]) // d[0])]
            slab[0][(slice(None), slice(first * d[0] - row, None, d[0]), *(slice(None, None, s) for s in d[1:]))] = taps
            fft_range.scale(slab, -int(self.shifts[o]))
            if not self.real:
                np.conjugate(slab, out=slab)
            yield row, slab

    def _slabs(
        self, blocks: list[Block], ranges: list[fft_range.Range], tiles: Array | None
    ) -> Iterator[tuple[int, Array]]:
        """Yield slabs of the tiles, without what is left out, and scaled, from row to row."""
        for row in range(0, self.plan.length[0], self.plan.rows):
            slab = self._gather(blocks, row, self.plan.rows) if tiles is None else tiles
            for tile, found in zip(slab, ranges, strict=True):
                if found.limit is not None:
                    fft_range.clear(tile, found.limit)
                fft_range.scale(tile, -found.shift)
            yield row, slab

    def _forward(self, out: Array | None, slabs: Iterator[tuple[int, Array]]) -> Array:
        """Transform tiles (T, C, *length), which come in slabs of rows, into `out`; whole tiles need none."""
        end = 0
        for row, slab in slabs:
            if out is None:
                return there(slab, self.plan.length)
            end = row + slab.shape[2]
            out[:, :, row:end] = there(slab, self.plan.length[1:])
        if out is not None:
            out[:, :, end:] = 0
            in_place(scipy_fft.fft, out, 2)
        return out

    def _gather(self, blocks: list[Block], row: int, rows: int) -> Array:
        """Copy some rows of the input that each block sees, zeros where it reaches into the padding."""
        rows = min(rows, self.plan.length[0] - row)
        slab = np.zeros((len(blocks), len(self.x[0]), rows, *self.plan.length[1:]), self.x.dtype)
        for tile, block in zip(slab, blocks, strict=True):
            seen, begin = self._seen(block, row, rows)
            _at(tile, begin, seen.shape[1:])[...] = seen
        return slab

    def _seen(self, block: Block, row: int = 0, rows: int | None = None) -> tuple[Array, Ints]:
        """Return the input under some rows of a block's tile, and where in these rows it begins."""
        n, first, _ = block
        lengths = (self.plan.length[0] if rows is None else rows, *self.plan.length[1:])
        starts = [o * s + shift for o, s, shift in zip(first, self.spec.stride, self.offset, strict=True)]
        starts[0] += row
        return cut_out(self.x[n], starts, lengths)

    # ------------------------------------------------------------------ and back

    def _multiply(self, signal: Array, spectra: Array, total: Array) -> None:
        """Multiply (tiles, channels, *f) by (outputs, channels, *f) and sum over the channels."""
        for row in range(0, self.plan.length[0], self.plan.rows):
            rows = (slice(None), slice(None), slice(row, row + self.plan.rows))
            part, factors, result = signal[rows], spectra[rows], total[rows]
            np.multiply(part[:, None, 0], factors[None, :, 0], out=result)
            for c in range(1, part.shape[1]):
                result += part[:, None, c] * factors[None, :, c]

    def _back(self, product_: Array, blocks: list[Block], ranges: list[fft_range.Range], outs: slice) -> None:
        """Transform the products back and deliver the outputs of the channels `outs`; `product_` is lost."""
        plan, stride = self.plan, self.spec.stride
        if self.whole:
            values = back(product_, plan.length, plan.counts, stride, self.real)
            for value, block, found in zip(values, blocks, ranges, strict=True):
                self._deliver(value, block, found, outs, 0)
            return
        in_place(scipy_fft.ifft, product_, 2)
        (block,), (found,) = blocks, ranges
        for row in range(0, block[2][0], plan.rows):
            end = min(row + plan.rows, block[2][0])
            rows = product_[0, :, row * stride[0] : (end - 1) * stride[0] + 1 : stride[0]]
            values = back(rows, plan.length[1:], plan.counts[1:], stride[1:], self.real)
            self._deliver(values, block, found, outs, row)

    def _deliver(self, value: Array, block: Block, found: fft_range.Range, outs: slice, row: int) -> None:
        """Put rows of a tile's outputs where they belong, those of the channels `outs` from row `row` on."""
        n, first, counts = block
        value = value[(slice(None), slice(counts[0] - row), *map(slice, counts[1:]))]
        each = (slice(None), *(None,) * self.spec.nd)
        signs, shifts = found.sign * self.signs[outs], found.shift + self.shifts[outs]
        if shifts.any():
            value = fft_range.scaled(value, shifts[each])
        starts = (first[0] + row, *first[1:])
        target = _at(self.y[n, outs], starts, (value.shape[1], *counts[1:]))
        place = target if self.first else value
        if signs.any():  # sums of products of one sign have it, too
            low, high = (np.where(signs == sign, 0, -sign * np.inf).astype(value.dtype) for sign in (1, -1))
            np.clip(value, low[each], high[each], out=place)
        elif self.first:
            target[...] = value
        if not self.first:
            target += value

    # ------------------------------------------------------------------ what is summed directly

    def _direct(self, block: Block) -> bool:
        """Sum a block directly as a whole, if few of its outputs are left for a transform; return whether."""
        seen = self._seen(block)[0]
        if seen.size <= SMALL_TILE or not tile_spoilt(seen, self.ke, math.prod(self.w.shape[1:])):
            return False
        self.group.add_direct(block, (0,) * self.spec.nd, block[2])
        return True

    def _leave_out(self, block: Block, limit: float) -> None:
        """Note the outputs that see an element left out, as one box."""
        seen, begin = self._seen(block)
        marks = [np.zeros(size, bool) for size in seen.shape[1:]]
        rows = max(1, self.plan.rows // 4)  # so that what is computed of them is small beside a slab
        for channel, row in product(seen, range(0, seen.shape[1], rows)):
            out = fft_range.left_out(channel[row : row + rows], limit)
            for axis, mark in enumerate(marks):
                part = mark[row : row + rows] if axis == 0 else mark
                part |= out.any(axis=tuple(a for a in range(out.ndim) if a != axis))
        starts, ends = [], []
        for mark, at, ke, s, count in zip(marks, begin, self.ke, self.spec.stride, block[2], strict=True):
            (places,) = np.nonzero(mark)
            starts.append(max(0, -(-(int(places[0]) + at - ke + 1) // s)))
            ends.append(min(count, (int(places[-1]) + at) // s + 1))
        if all(end > start for start, end in zip(starts, ends, strict=True)):
            self.group.add_direct(block, tuple(starts), tuple(ends))


def _at(a: Array, starts: Sequence[int], sizes: Sequence[int]) -> Array:
    """See a box of an array (C, *spatial)."""
    return a[(slice(None), *(slice(start, start + size) for start, size in zip(starts, sizes, strict=True)))]


#: What sums directly by faster loops, where the build has it.
_NATIVE: Backend | None = None
if not PURE:
    from .native import NativeBackend

    _NATIVE = NativeBackend()


def _native_serves(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    """Return whether native kernels sum a call directly within the scratch bound."""
    with config.accuracy("strict"):
        return _NATIVE is not None and _NATIVE.available() is None and not _NATIVE.supports("conv", spec, dtype)


def _natively(spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Sum a call that native kernels serve, over arrays without gaps."""
    assert _NATIVE is not None
    with config.accuracy("strict"):
        _NATIVE._conv(spec, x, np.ascontiguousarray(w), bias, y, None)


def _direct(spec: ConvSpec, x: Array, w: Array, y: Array, block: Block, bound: int) -> None:
    """Sum a box of outputs by the formula, within `bound` bytes: by native kernels over a copy, else by loops."""
    n, first, counts = block
    reach = tuple((c - 1) * s + spec.extent(a) for a, (c, s) in enumerate(zip(counts, spec.stride, strict=True)))
    zero = (0,) * spec.nd
    inside = replace(spec, n=1, in_size=reach, out_size=counts, pad_lo=zero, pad_hi=zero)
    target = y[(slice(n, n + 1), slice(None), *(slice(o, o + c) for o, c in zip(first, counts, strict=True)))]
    if _native_serves(inside, x.dtype):
        copies = (spec.c * math.prod(reach) + target.size) * x.dtype.itemsize
        with config.scratch(max(0, bound - copies)):
            if copies <= bound and _native_serves(inside, x.dtype):
                tile, values = np.zeros((1, spec.c, *reach), x.dtype), np.empty(target.shape, x.dtype)
                starts = [o * s - lo for o, s, lo in zip(first, spec.stride, spec.pad_lo, strict=True)]
                seen, begin = cut_out(x[n], starts, reach)
                _at(tile[0], begin, seen.shape[1:])[...] = seen
                _natively(inside, tile, w, None, values)
                target[...] = values
                return
        if max(counts) > 1:
            axis = counts.index(max(counts))
            for part in cuts(counts[axis], -(-counts[axis] // 2)):
                begin = (*first[:axis], first[axis] + part.start, *first[axis + 1 :])
                size = (*counts[:axis], part.stop - part.start, *counts[axis + 1 :])
                _direct(spec, x, w, y, (n, begin, size), bound)
            return
    lo = tuple(p - o * s for p, o, s in zip(spec.pad_lo, first, spec.stride, strict=True))
    target[...] = 0
    convolve(FORWARD, replace(spec, n=1, out_size=counts, pad_lo=lo), x[n : n + 1], w, target)
