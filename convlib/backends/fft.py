"""Convolution with large kernels by the fast Fourier transform: overlap-save tiles over `scipy.fft`.

A tile of ``f`` input elements per axis yields ``f - ke + 1`` outputs per axis, so that the cost per output hardly
depends on the kernel size.  Real input uses real transforms in its own precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft as scipy_fft

from .. import config
from ..spec import ConvSpec, WindowSpec, effective_kernel
from ..threads import get_num_threads
from .base import Backend

Array: TypeAlias = Any  # numpy.ndarray, indexed by computed tuples that its stubs cannot follow
Ints = tuple[int, ...]

#: Tiles transformed in one call hold about this many bytes: they should stay in the second-level caches.
CHUNK_BYTES = 4 << 20

#: Longer tiles would win little and break the bound on scratch memory.
TILE_ELEMENTS = 1 << 20


class FftBackend(Backend):
    """Overlap-save convolution for large kernels, floats and complex numbers."""

    name = "fft"
    operations = ("conv",)
    strided = True
    exact = False

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        reason = super().supports(op, spec, dtype)
        if reason is not None:
            return reason
        if dtype.kind not in "fc":
            return f"transforms round, and {dtype} results must be exact"
        assert isinstance(spec, ConvSpec)
        need, bound = self.workspace(op, spec, dtype), config.get_max_workspace()
        if need > bound:
            return f"the transformed weights and one tile need {need} bytes, more than max_workspace={bound}"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        assert isinstance(spec, ConvSpec)
        return _weights_bytes(spec, dtype) + 4 * max(CHUNK_BYTES, _tile_bytes(spec, dtype))

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        assert isinstance(spec, ConvSpec)
        return None, f"overlap-save with tiles of {' x '.join(map(str, tile_size(spec)))}"

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        tile = tile_size(spec)
        axes = tuple(range(-spec.nd, 0))
        workers = get_num_threads()
        real = x.dtype.kind == "f"
        forward, backward = (scipy_fft.rfftn, scipy_fft.irfftn) if real else (scipy_fft.fftn, scipy_fft.ifftn)
        blocks = list(_blocks(spec, tile))
        step = max(1, CHUNK_BYTES // _tile_bytes(spec, x.dtype))
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            if not np.isfinite(w[outs]).all():  # a transform would make NaN of every infinity
                for block in blocks:
                    _direct(spec, x, w, y, group, block)
                continue
            # Multiplying by conj(F(conj(w))) correlates with w instead of convolving.
            spectrum = np.conj(forward(np.conj(_dilated(spec, w[outs])), tile, axes, workers=workers))
            for start in range(0, len(blocks), step):
                chunk = blocks[start : start + step]
                signal = _gather(spec, x, group, chunk, tile)
                finite = np.isfinite(signal).reshape(len(chunk), -1).all(axis=1)
                if not finite.all():
                    signal[~finite] = 0
                product_ = _multiply(forward(signal, tile, axes, workers=workers), spectrum)
                values = backward(product_, tile, axes, overwrite_x=True, workers=workers)
                _scatter(spec, values, y[:, outs], chunk)
                for block, ok in zip(chunk, finite, strict=True):
                    if not ok:  # a transform would spread one NaN over the whole tile
                        _direct(spec, x, w, y, group, block)
        if bias is not None:
            y += bias.reshape(-1, *(1,) * spec.nd)


# A block is (image, first output per axis, outputs per axis).
Block = tuple[int, Ints, Ints]


@lru_cache(maxsize=1024)
def tile_size(spec: ConvSpec) -> Ints:
    """Return the transform length per axis: the one with the least work per output.

    The model: a transform of length ``f`` costs ``f * (log2(f) + 2)`` (the 2 stands for the multiplication and the
    copies) and yields ``f - ke + 1`` outputs.
    """
    sizes, limit = [], TILE_ELEMENTS ** (1 / spec.nd)
    for ke, out, stride in zip(effective_kernel(spec.kernel, spec.dilation), spec.out_size, spec.stride, strict=True):
        positions = (out - 1) * stride + 1  # of stride 1; a larger stride keeps every stride-th
        whole = scipy_fft.next_fast_len(positions + ke - 1, real=True)
        shortest = scipy_fft.next_fast_len(ke + max(1, ke // 4), real=True)
        lengths = {whole} if whole <= max(limit, shortest) else {shortest}
        length = shortest
        while length < min(whole, limit):
            lengths.add(length)
            length = scipy_fft.next_fast_len(length + length // 8 + 1, real=True)
        sizes.append(min(lengths, key=lambda f: -(-positions // (f - ke + 1)) * f * (math.log2(f) + 2)))
    return tuple(sizes)


def _tile_bytes(spec: ConvSpec, dtype: np.dtype[Any]) -> int:
    return math.prod(tile_size(spec)) * dtype.itemsize * max(spec.icg, spec.ocg)


def _weights_bytes(spec: ConvSpec, dtype: np.dtype[Any]) -> int:
    return math.prod(tile_size(spec)) * dtype.itemsize * spec.ocg * spec.icg * 2


def _blocks(spec: ConvSpec, tile: Ints) -> Iterator[Block]:
    ke = effective_kernel(spec.kernel, spec.dilation)
    counts = [(f - e) // s + 1 for f, e, s in zip(tile, ke, spec.stride, strict=True)]
    starts = [range(0, out, count) for out, count in zip(spec.out_size, counts, strict=True)]
    for n, first in product(range(spec.n), product(*starts)):
        sizes = (min(c, out - o) for c, out, o in zip(counts, spec.out_size, first, strict=True))
        yield n, first, tuple(sizes)


def _dilated(spec: ConvSpec, w: Array) -> Array:
    if all(d == 1 for d in spec.dilation):
        return w
    wide: Array = np.zeros((*w.shape[:2], *effective_kernel(spec.kernel, spec.dilation)), w.dtype)
    wide[(..., *(slice(None, None, d) for d in spec.dilation))] = w
    return wide


def _gather(spec: ConvSpec, x: Array, group: int, chunk: list[Block], length: Ints) -> Array:
    """Copy the input that each block sees, zeros where it reaches into the padding."""
    tiles = np.zeros((len(chunk), spec.icg, *length), x.dtype)
    channels = slice(group * spec.icg, (group + 1) * spec.icg)
    for tile, (n, first, _) in zip(tiles, chunk, strict=True):
        source, target = _reach(spec, first, length)
        tile[(slice(None), *target)] = x[(n, channels, *source)]
    return tiles


def _reach(spec: ConvSpec, first: Ints, length: Ints) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the input that starts at output `first` lies in x, and where in a tile, `length` elements long."""
    source, target = [], []
    for o, s, lo, size, f in zip(first, spec.stride, spec.pad_lo, spec.in_size, length, strict=True):
        begin = o * s - lo
        inside, end = max(0, begin), max(0, min(size, begin + f))
        source.append(slice(inside, max(inside, end)))
        target.append(slice(inside - begin, inside - begin + max(0, end - inside)))
    return tuple(source), tuple(target)


def _multiply(signal: Array, spectrum: Array) -> Array:
    """Multiply (tiles, channels, *f) by (outputs, channels, *f) and sum over the channels."""
    total = signal[:, None, 0] * spectrum[None, :, 0] if signal.shape[1] else np.zeros(
        (len(signal), len(spectrum), *signal.shape[2:]), signal.dtype
    )  # fmt: skip
    for c in range(1, signal.shape[1]):
        total += signal[:, None, c] * spectrum[None, :, c]
    return total


def _scatter(spec: ConvSpec, values: Array, y: Array, chunk: list[Block]) -> None:
    for value, (n, first, counts) in zip(values, chunk, strict=True):
        kept = tuple(slice(0, (c - 1) * s + 1, s) for c, s in zip(counts, spec.stride, strict=True))
        target = tuple(slice(o, o + c) for o, c in zip(first, counts, strict=True))
        y[(n, slice(None), *target)] = value[(slice(None), *kept)]


def _direct(spec: ConvSpec, x: Array, w: Array, y: Array, group: int, block: Block) -> None:
    """Compute one block by the formula."""
    n, first, counts = block
    ke = effective_kernel(spec.kernel, spec.dilation)
    length = tuple((c - 1) * s + e for c, s, e in zip(counts, spec.stride, ke, strict=True))
    (tile,) = _gather(spec, x, group, [block], length)
    axes = tuple(range(1, spec.nd + 1))
    windows: Array = sliding_window_view(tile, ke, axis=axes)
    windows = windows[(slice(None), *(slice(None, None, s) for s in spec.stride))]
    windows = windows[(..., *(slice(None, None, d) for d in spec.dilation))]
    outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
    taps = tuple(range(1, spec.nd + 1))
    target = tuple(slice(o, o + c) for o, c in zip(first, counts, strict=True))
    for o in range(outs.start, outs.stop):
        with np.errstate(invalid="ignore"):  # infinities of opposite sign
            total = sum(
                np.tensordot(windows[c], w[o, c], (tuple(t + spec.nd - 1 for t in taps), tuple(t - 1 for t in taps)))
                for c in range(spec.icg)
            )
        y[(n, o, *target)] = total
