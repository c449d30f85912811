"""What `im2col` and `fft` take from the compiled parts, by NumPy: for the pure-Python build.

Arrays have three spatial axes, as in `convlib._ext`, whose functions of the same names these match.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray, indexed by computed tuples that its stubs cannot follow

#: Bytes of a product that is on its way into a sum: little beside any `max_workspace`.
PIECE_BYTES = 1 << 16


def gemm(a: Array, ta: bool, b: Array, tb: bool, c: Array, add: bool) -> None:
    """Set c to op(a) @ op(b), or add it; op transposes if asked."""
    left, right = a.T if ta else a, b.T if tb else b
    if not add:
        np.matmul(left, right, out=c)
        return
    for rows in _pieces(len(c), c.shape[1] * c.itemsize):
        c[rows] += left[rows] @ right


def columns(
    x: Array, cols: Array, taps: array[int], kernel: tuple[int, ...], stride: tuple[int, ...], oh: int, ow: int,
    start: int, count: int, add: bool,
) -> None:  # fmt: skip
    """Copy windows of the images `x` (N, C, D, H, W) into `cols` (C * taps, N * count), or add `cols` to them.

    The columns are the outputs `start` to ``start + count`` of each image, flat over the output's axes.
    """
    images, channels = x.shape[:2]
    by_tap = cols.reshape(channels, *kernel, images, count)
    if not add:
        cols.fill(0)
    for box in _boxes(start, start + count, oh, ow):
        part = by_tap[..., box.at - start : box.at - start + box.size]
        for tap, outputs, inputs in _meetings(taps, kernel, stride, box.axes):
            view = part[(slice(None), *tap)].reshape(channels, images, *(len(axis) for axis in box.axes))
            inside = tuple(slice(o.start - a.start, o.stop - a.start) for o, a in zip(outputs, box.axes, strict=True))
            held, seen = view[(..., *inside)], x[(..., *inputs)].swapaxes(0, 1)
            if add:
                seen += held
            else:
                held[...] = seen


def conv(
    direction: int, x: Array, w: Array, y: Array, taps: array[int], groups: int, sd: int, sh: int, sw: int
) -> None:
    """Add the sums over all windows of `x` to `y`; direction 0, the only one wanted here."""
    if direction:
        raise NotImplementedError("only forward")
    kernel, stride = w.shape[2:], (sd, sh, sw)
    icg, ocg = w.shape[1], w.shape[0] // groups
    for tap, outputs, inputs in _meetings(taps, kernel, stride, [range(size) for size in y.shape[2:]]):
        for n, o, c in product(range(y.shape[0]), range(y.shape[1]), range(icg)):
            sums, seen = y[(n, o, *outputs)], x[(n, o // ocg * icg + c, *inputs)]
            for plane in range(len(sums)):
                for rows in _pieces(sums.shape[1], sums.shape[2] * sums.itemsize):
                    sums[plane, rows] += seen[plane, rows] * w[(o, c, *tap)]


def _pieces(count: int, each: int) -> Iterator[slice]:
    """Cut rows of so many bytes into pieces of about `PIECE_BYTES`."""
    step = max(1, PIECE_BYTES // max(1, each))
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))


class _Box(NamedTuple):
    """Outputs that lie side by side: a range per axis, and the first of them, flat."""

    at: int
    axes: tuple[range, range, range]

    @property
    def size(self) -> int:
        return len(self.axes[0]) * len(self.axes[1]) * len(self.axes[2])


def _boxes(start: int, stop: int, oh: int, ow: int) -> Iterator[_Box]:
    """Cut outputs that follow each other, flat over planes and rows, into boxes: at most five."""
    while start < stop:
        plane, row, column = start // (oh * ow), start // ow % oh, start % ow
        if column or stop - start < ow:  # a piece of a row
            end = min(stop, start - column + ow)
            yield _Box(start, (range(plane, plane + 1), range(row, row + 1), range(column, column + end - start)))
        elif row or stop - start < oh * ow:  # rows of a plane
            rows = min(oh - row, (stop - start) // ow)
            end = start + rows * ow
            yield _Box(start, (range(plane, plane + 1), range(row, row + rows), range(ow)))
        else:
            planes = (stop - start) // (oh * ow)
            end = start + planes * oh * ow
            yield _Box(start, (range(plane, plane + planes), range(oh), range(ow)))
        start = end


def _meetings(
    taps: array[int], kernel: Sequence[int], stride: Sequence[int], box: Sequence[range]
) -> Iterator[tuple[tuple[int, ...], list[slice], list[slice]]]:
    """Yield each tap with the outputs of a box that meet it inside the input, and the inputs they meet there."""
    first = (0, kernel[0], kernel[0] + kernel[1])
    for tap in np.ndindex(*kernel):
        outputs, inputs = [], []
        for axis, outs in enumerate(box):
            begin, end, offset = taps[3 * (first[axis] + tap[axis]) :][:3]
            begin, end = max(begin, outs.start), min(end, outs.stop)
            if begin >= end:
                break
            step = stride[axis]
            outputs.append(slice(begin, end))
            inputs.append(slice(begin * step + offset, (end - 1) * step + offset + 1, step))
        else:
            yield tap, outputs, inputs
