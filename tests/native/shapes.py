"""Shapes at the edges of tiles and vectors: for every implementation, and more for some families."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from convlib._ext import _native as native

from .common import Problem, edges, lanes, shapes, sizes

#: One of each kind.
KINDS = (
    sizes(2, 1, 5, 9, (13, 11), (3, 3), lo=1), sizes(1, 1, 40, 16, (6, 70), (3, 3), lo=1),
    sizes(1, 1, 130, 17, (7, 7), (3, 3), lo=1), sizes(1, 1, 3, 4, (9, 20), (3, 3)),
    sizes(2, 1, 4, 8, (15, 33), (3, 3), 2, lo=1), sizes(1, 1, 4, 8, (15, 53), (3, 2), 3, lo=1),
    sizes(1, 1, 6, 8, (14, 37), (1, 1), 2),
    # dilation, groups, depthwise, a stem
    sizes(1, 1, 4, 8, (15, 21), (3, 3), 1, 2, 2), sizes(1, 1, 4, 8, (15, 21), (3, 3), 2, 2, 2),
    sizes(2, 3, 4, 5, (9, 8), (3, 3), lo=1), sizes(2, 7, 1, 1, (9, 8), (3, 3), lo=1),
    sizes(1, 1, 3, 16, (31, 30), (7, 7), 2, lo=3),
    # padding wider than the kernel, on one side, behind and far behind the input
    sizes(1, 1, 2, 3, (3, 2), (2, 2), lo=4), sizes(1, 1, 2, 3, (6, 7), (3, 3), lo=2, hi=0),
    sizes(2, 1, 5, 9, (14,), (1,), hi=2), sizes(1, 2, 5, 9, (40,), (1,), hi=70),
    # one column, one axis, three axes
    sizes(1, 1, 3, 4, (40, 1), (3, 1), lo=0), sizes(2, 1, 5, 6, (70,), (9,), lo=4),
    sizes(1, 1, 5, 6, (70,), (3,), 1, 7, 7), sizes(1, 1, 5, 9, (5, 6, 7), (3, 3, 3), lo=1),
    sizes(1, 2, 3, 4, (5, 6, 17), (3, 3, 3), 2, lo=1), sizes(2, 1, 5, 9, (5, 6, 7), (1, 1, 1)),
    # a kernel larger than a block, one output, one pixel
    sizes(1, 1, 1, 3, (30, 25), (25, 20)), sizes(1, 1, 7, 3, (3, 3), (3, 3)), sizes(1, 1, 40, 50, (3, 3), (3, 3)),
    sizes(9, 1, 12, 48, (1,), (1,)),
    # few pixels, many channels
    sizes(1, 1, 40, 50, (7, 7), (3, 3), lo=1), sizes(1, 1, 500, 70, (7, 7), (1, 1)),
    sizes(5, 1, 33, 70, (9, 9), (3, 3), 2, lo=1), sizes(2, 2, 9, 49, (5, 6), (3, 3), lo=1),
    sizes(1, 1, 3, 97, (4, 3, 3), (3, 3, 3), lo=1),
    # groups of a vector and more
    sizes(2, 3, 5, 16, (9, 14), (3, 3), lo=1), sizes(1, 2, 7, 13, (30, 7), (3, 3), lo=1),
    sizes(1, 2, 20, 16, (11, 17), (3, 2), 2, lo=1), sizes(1, 2, 9, 32, (13, 9), (3, 3), lo=1),
    sizes(1, 2, 6, 30, (20, 21), (3, 3), 2, 2, 2), sizes(2, 1, 70, 61, (9, 30), (3, 3), lo=1),
    sizes(1, 1, 300, 16, (12, 40), (5, 5), lo=2), sizes(1, 2, 4, 16, (5, 6, 8), (3, 3, 3), 2, lo=1),
)  # fmt: skip


def general(dtype: str, whole: bool) -> Iterator[Problem]:
    """Cross output channels with columns at the edges of vectors; the rest takes turns, or is crossed as a whole."""
    vector = lanes(dtype)
    windows = list(itertools.product((3, 1, 5, 7), (1, 2, 3), (1, 2)))  # kernel, stride, dilation
    turn = itertools.cycle(windows)
    inputs = itertools.cycle((1, 2, 5, 16, 17, 33, 4))
    images = itertools.cycle(((1, 3), (2, 1), (1, 2), (1, 7), (3, 1)))
    groups, paddings = itertools.cycle((1, 1, 2, 1, 3, 1, 1)), itertools.cycle(((0, 0), (1, 1), (2, 0), (0, 3), (3, 3)))
    for ocg, width in itertools.product((1, 2, *edges(8, vector, 3 * vector)), (1, *edges(vector, 4 * vector))):
        for k, stride, dil in windows if whole else (next(turn),):
            (n, height), (lo, hi) = next(images), next(paddings)
            span = dil * (k - 1) - lo - hi
            size = [max(1, stride * (out - 1) + 1 + span) for out in (height, width)]
            lo = max(lo, dil * (k - 1) + 1 - size[0], dil * (k - 1) + 1 - size[1])
            yield sizes(n, next(groups), next(inputs), ocg, (size[0], size[1]), (k, k), stride, dil, lo, hi)


def pointwise(dtype: str, whole: bool) -> Iterator[Problem]:
    """Rows of one element's windows: tiles of 4 or 8 channels by up to 3 vectors; blocks of 384 products."""
    depths = itertools.cycle((1, 5, 33, 400))
    for pixels, ocg in itertools.product(edges(lanes(dtype), 3 * lanes(dtype)), (1, *edges(8))):
        yield sizes(1, 1, next(depths), ocg, (pixels,), (1,))
        yield sizes(2, 2, next(depths), ocg, (pixels,), (1,))


def depthwise(dtype: str, whole: bool) -> Iterator[Problem]:
    """One channel in a group: planes in pairs, strips of rows, vectors of columns, and of channels."""
    vector = lanes(dtype)
    images = itertools.cycle(((1, 3), (5, 1), (6, 2), (3, 37), (vector, 4), (vector + 1, 3), (2 * vector, 2)))
    paddings = ((0, 0), (1, 1), (2, 0), (3, 3), (0, 4), (6, 2))
    turn = itertools.cycle(paddings)
    for k, stride, width in itertools.product((3, 5, 7), (1, 2), {1, 2, *edges(vector // 2 or 1, vector, 4 * vector)}):
        for lo, hi in paddings if whole else (next(turn), next(turn), (k // 2, k // 2)):
            planes, height = next(images)
            size = max(height, k - lo - hi), max(width, k - lo - hi)
            yield sizes(2, planes, 1, 1, size, (k, k), stride, lo=lo, hi=hi)
    for channels in {vector - 1 or 1, vector, vector + 1, 2 * vector + 1}:
        for k, size, lo in ((1, (3, 5), 0), (2, (5, 5), 1), (4, (8, 11), 2), (9, (4, 7), 4), (6, (2, 2), 12)):
            yield sizes(1, channels, 1, 1, size, (k, k), lo=lo)
        yield sizes(2, channels, 1, 1, (9, 10), (3, 5), lo=2, dil=2)


def wide(dtype: str) -> Iterator[Problem]:
    """Depthwise rows of many vectors, which are walked along: rows left over, strips of 36; planes near and far."""
    vector, size = lanes(dtype), np.dtype(dtype).itemsize
    heights = itertools.cycle((1, 2, 3, 5, 7, 8, 37, 75))
    for k, vectors in ((3, (5, 6, 7, 8, 9)), (5, (17, 18, 19, 21, 22))):
        for width in {count * vector + more for count in vectors for more in (-1, 0, 1)}:
            for lo, hi in ((k // 2, k // 2), (0, 0), (k + 1, 0)):
                yield sizes(1, 2, 1, 1, (max(next(heights), k - lo - hi), width), (k, k), lo=lo, hi=hi)
    # vectors of 64 bytes go along rows where planes are larger than half a MiB, and with 5x5 windows 8 MiB
    for k, vectors, nbytes in ((3, 7, 1 << 19), (3, 9, 1 << 19), (3, 10, 1 << 23), (5, 21, 1 << 23)):
        width = vectors * vector + 3
        yield sizes(1, 1, 1, 1, (nbytes // size // width + 1, width), (k, k), lo=k // 2)


#: Kernel, size, padding: tiles of 1 to 7 outputs and of 1 to 3 rows, one and many; kernels as wide as a tile, narrower
#: and wider, and larger than the image; rows and columns that lie in the padding, in part and whole; one axis.
WINDOWS = [
    ((5, 5), (9, 7), (2, 2)), ((5, 5), (3, 6), (4, 0)), ((7, 7), (7, 7), (3, 3)), ((7, 7), (14, 15), (3, 3)),
    ((7, 7), (6, 20), (0, 6)), ((7, 7), (22, 28), (3, 3)), ((4, 6), (8, 11), (2, 1)), ((6, 4), (11, 13), (2, 3)),
    ((9, 8), (2, 16), (7, 0)), ((8, 9), (16, 1), (0, 8)), ((11, 11), (5, 30), (5, 5)), ((13, 5), (3, 33), (6, 6)),
    ((31, 31), (7, 14), (15, 15)), ((31, 31), (3, 2), (40, 15)), ((5, 31), (31, 9), (0, 30)),
    ((15, 14), (15, 14), (0, 0)),
    ((1, 4), (1, 17), (0, 3)), ((1, 31), (4, 40), (15, 15)), ((9, 1), (9, 5), (1, 4)), ((2, 2), (5, 5), (1, 0)),
    ((1, 1), (3, 5), (0, 1)), ((3, 3), (6, 7), (1, 1)), ((6, 6), (2, 2), (12, 12)),
]  # fmt: skip


def deep(dtype: str) -> Iterator[Problem]:
    """Depthwise with lanes of channels: tiles, kernels about their size, and strips of large images."""
    for kernel, size, (lo, hi) in WINDOWS:
        for n, channels in zip((1, 2, 3, 1), edges(lanes(dtype)), strict=False):
            yield sizes(n, channels, 1, 1, size, kernel, lo=lo, hi=hi)
        yield sizes(2, 19, 1, 1, size[1:], kernel[1:], lo=lo, hi=hi)
    for k, channels, size in ((7, 9, (33, 700)), (11, 16, (300, 20)), (7, 16, (150, 140)), (40, 9, (100, 48))):
        yield sizes(1, channels, 1, 1, size, (k, k), lo=k // 2, hi=3)


def strips(dtype: str) -> Iterator[Problem]:
    """GEMMs: strips of images, slices, rows and columns; runs under rows of taps and apart; small and larger maps."""
    yield from (
        sizes(9, 1, 70, 48, (15, 14), (3, 3), lo=1), sizes(1, 1, 100, 33, (9, 10, 11), (3, 3, 3), lo=1),
        sizes(1, 1, 130, 40, (40, 41), (3, 3), 2, lo=1), sizes(1, 1, 40, 16, (9000,), (5,), lo=2),
        sizes(1, 1, 2500, 16, (3, 3), (3, 3), lo=1), sizes(2, 1, 3000, 24, (4, 2), (1, 1)),
        sizes(1, 1, 600, 17, (5, 5), (3, 4), lo=1), sizes(1, 1, 33, 32, (20, 21), (3, 3), 1, 3, 3),
        sizes(2, 3, 17, 20, (9, 9), (3, 3)), sizes(2, 1, 40, 64, (15, 14, 13), (1, 1, 1), 3),
        sizes(1, 1, 40, 33, (20, 20), (2, 2), 3, lo=1), sizes(1, 1, 40, 16, (12, 13), (1, 5), 2, lo=2),
        sizes(1, 1, 80, 16, (2, 3), (1, 1), lo=3), sizes(2, 1, 3, 32, (30, 31), (5, 5), 2, lo=2),
    )  # fmt: skip
    # tiles of 8, 6 or 4 pixels and of one less, none in vain from so many on; 16 in a block; in one image or two
    for pixels in (*range(2, 9), 11, 12, 13, 15, 17, 41, 42, 55, 57, 64, *edges(128), *edges(64)):
        vector = lanes(dtype)
        yield sizes(1, 1, 9, vector * (1 + pixels % 3) - pixels % 2, (pixels,), (3,), lo=1)
        yield sizes(2, 1, 17, 3 * vector + pixels % 2, (pixels // 2 or 1, 1), (1, 1))
    for pixels in sorted({*edges(lanes(dtype), 3 * lanes(dtype)), 255, 256, 257} - {1}):
        for n, g, icg, k, stride in ((1, 1, 35, 3, 1), (2, 2, 5, 5, 1), (1, 1, 9, 3, 2), (1, 1, 70, 1, 2)):
            yield sizes(n, g, icg, n * pixels + 9, (stride * (pixels - 1) + 1,), (k,), stride, lo=k // 2)
    # rows of outputs about vectors and tiles, copies split by the stride, in several strips; as many products as may be
    ways = itertools.cycle(((1, 1), (2, 1), (3, 1), (4, 2), (2, 3), (1, 2), (5, 1), (4, 1), (3, 2)))
    for width, height in itertools.product(edges(lanes(dtype), 3 * lanes(dtype)), (2, 19)):
        for k, (stride, dil) in zip((3, 4, 7, 2), ways, strict=False):
            size = height + dil * k, max(1, stride * (width - 1) + 1 + dil * (k - 3))
            yield sizes(2, 2, 3, 7 + k, size, (3, k), stride, dil, dil)
    yield from (sizes(1, 1, icg, 8, (6, 9), (4, 4), lo=1) for icg in (32, 33))
    for rows in (2, 9, 33):
        yield sizes(1, 1, 40, 300, (rows, 9), (3, 3), 2, lo=1)
        yield sizes(1, 1, 10, 300, (rows // 4 + 2, 5, 4), (3, 3, 3), lo=1)


def slices(n: int, size: tuple[int, ...], d: int, stride: int, dil: int, lo: int) -> Problem:
    """3x3 windows of stride 1 along H and W, and `d` taps along D with a stride and a dilation of their own."""
    out = ((size[0] + 2 * lo - dil * (d - 1) - 1) // stride + 1, size[1], size[2])
    return Problem(n, 1, 9, 5, size, (d, 3, 3), out, (stride, 1, 1), (dil, 1, 1), (lo, 1, 1))


#: Windows of which one axis is transformed.
lines = [(1, 3), (3, 1), (1, 5), (5, 1), (1, 7), (7, 1)]

#: Fewer tiles than a GEMM takes at once, as many, more; panels of output channels, full and in part; many
#: blocks, cut along each axis; dilation beyond the map; windows that span slices.
WINOGRAD = [
    *(sizes(n, g, icg, ocg, (h, w), (3, 3), lo=lo) for n, g, icg, ocg, h, w, lo in (
        (1, 1, 1, 1, 1, 1, 1), (1, 1, 5, 9, 7, 7, 1), (1, 1, 33, 17, 3, 3, 1), (2, 1, 3, 8, 14, 14, 1),
        (3, 2, 4, 5, 13, 29, 0), (2, 1, 8, 8, 60, 5, 2), (1, 1, 8, 8, 9, 200, 1), (1, 1, 16, 40, 28, 28, 1),
        (1, 3, 2, 2, 4, 3, 2), (1, 1, 2, 3, 16, 65, 1), (1, 1, 2, 3, 5, 8, 4), (16, 1, 3, 3, 4, 4, 1),
        (1, 1, 17, 97, 12, 13, 1), (1, 1, 2, 3, 4, 300, 1), (2, 2, 20, 70, 18, 18, 1), (5, 1, 4, 4, 14, 14, 1),
        *((1, 1, 3, 16 - tiles % 2, 2, 2 * tiles, 1) for tiles in range(2, 14)),
        # from 16 tiles on they may be neighbours in scratch, not a tile's channels
        *((1, 1, 7 + tiles % 4 * 5, 16 - tiles % 2, 4, 4 * tiles, 1) for tiles in range(15, 20)),
    )),
    *(sizes(n, g, icg, ocg, (h, w), (5, 5), lo=lo, hi=hi) for n, g, icg, ocg, h, w, lo, hi in (
        (1, 1, 1, 1, 1, 1, 2, 2), (1, 1, 17, 33, 9, 9, 2, 2), (2, 2, 5, 8, 28, 12, 0, 3), (1, 1, 3, 9, 40, 41, 4, 0),
    )),
    # lines: one tile in part, whole, and more; tiles of several blocks along the line and across it
    *(sizes(n, g, icg, ocg, size, k, dil=dil, lo=lo) for k in lines for n, g, icg, ocg, size, dil, lo in (
        (1, 1, 1, 1, (7, 7), 1, 0), (2, 2, 3, 5, (8, 11), 1, 0), (1, 1, 17, 33, (9, 70), 1, 1),
        (3, 1, 5, 9, (70, 9), 1, 3), (1, 1, 9, 97, (17, 17), 1, 2), (5, 1, 4, 3, (10, 10), 1, 0),
        (2, 1, 6, 18, (31, 32), 3, 7),
    )),
    *(sizes(1, 1, icg, 20, (1, width), (1, k), dil=dil, lo=0) for icg, width, k, dil in (
        (3, 7, 7, 1), (5, 400, 3, 1), (18, 131, 5, 2), (2, 1030, 7, 4),
    )),
    *(sizes(1, 1, icg, ocg, (h, w), (k, k), dil=dil, lo=lo) for icg, ocg, h, w, k, dil, lo in (
        (7, 9, 15, 17, 3, 2, 2), (17, 5, 9, 40, 3, 3, 3), (3, 3, 5, 5, 3, 7, 7), (2, 18, 20, 20, 5, 2, 4),
        (3, 4, 12, 90, 3, 12, 12),
    )),
    # stride 2: tiles of 2x2, and of 4x4 where there are enough; of several blocks; slices
    *(sizes(n, g, icg, ocg, (h, w), (3, 3), 2, lo=lo, hi=hi) for n, g, icg, ocg, h, w, lo, hi in (
        (1, 1, 1, 1, 3, 3, 0, 0), (1, 1, 5, 9, 7, 7, 1, 1), (1, 1, 33, 17, 4, 3, 1, 0), (2, 2, 4, 5, 13, 29, 0, 1),
        (1, 1, 17, 97, 12, 13, 1, 1), (1, 1, 8, 20, 32, 32, 1, 1), (2, 1, 6, 18, 31, 64, 1, 2),
        (3, 1, 9, 40, 16, 17, 0, 0), (1, 1, 3, 9, 130, 130, 1, 0), (1, 1, 2, 3, 16, 500, 1, 1),
        (17, 1, 4, 4, 8, 8, 1, 1), (1, 1, 2, 3, 5, 8, 4, 4),
        *((1, 1, 3, 16 - tiles % 2, 4, 4 * tiles, 1, 1) for tiles in range(2, 10)),
    )),
    sizes(1, 1, 9, 5, (5, 33, 34), (3, 3, 3), 2, lo=1), sizes(2, 1, 3, 5, (6, 9, 12), (2, 3, 3), 2, lo=1),
    slices(1, (4, 9, 9), 3, 1, 1, 1), slices(2, (9, 8, 8), 3, 2, 1, 0), slices(1, (7, 30, 6), 2, 1, 3, 2),
    slices(3, (5, 14, 14), 1, 1, 1, 0), slices(2, (5, 5, 5), 1, 2, 1, 1),
    sizes(2, 1, 3, 5, (6, 9, 12), (3, 1, 7), lo=1), sizes(1, 1, 9, 5, (5, 33, 4), (2, 5, 1), dil=2, lo=2),
]  # fmt: skip

#: Blocks of rows, columns, images and slices; tiles of 16 and 32 outputs and pixels, one less and one more; taps that
#: count as channels along W, and all of them; channels that fill a block of 32, and one more; phases of a stride.
MATRIX = [
    sizes(1, 1, 33, 15, (5, 31), (3, 3), lo=1), sizes(1, 1, 32, 16, (4, 8), (1, 1)),
    sizes(1, 1, 31, 17, (6, 3), (3, 3), lo=1), sizes(2, 1, 64, 33, (3, 11), (1, 1)),
    sizes(1, 2, 40, 48, (9, 9), (3, 3), 2, lo=1), sizes(1, 1, 33, 32, (34, 35), (3, 3), lo=1),
    sizes(1, 1, 70, 20, (1, 3000), (1, 1)), sizes(9, 1, 64, 32, (14, 14), (3, 3), lo=1),
    sizes(1, 1, 32, 16, (8, 11, 12), (3, 3, 3), lo=1), sizes(1, 1, 3, 40, (30, 31), (7, 7), 2, lo=3),
    sizes(1, 1, 3, 16, (20, 33), (3, 3), lo=1), sizes(2, 1, 35, 16, (17, 19), (3, 3), 2, lo=1),
    sizes(1, 1, 33, 16, (21, 22), (3, 4), 2, 3, 2), sizes(1, 1, 32, 16, (22, 23), (2, 2), 3),
    sizes(1, 1, 64, 200, (7, 7), (3, 3), lo=1),
]  # fmt: skip


def rows_of_tiles(dtype: str) -> Iterator[Problem]:
    """Direct sums: tiles of 4 or 8 channels by up to 4 vectors; of one channel by 4 rows, which may share inputs."""
    turn = itertools.cycle(itertools.product((2, 3, 4), ((1, 1), (2, 1), (1, 2), (2, 2), (3, 1))))
    for ocg, width in itertools.product(edges(4, 8), (5, *edges(lanes(dtype)))):
        k, (stride, dil) = next(turn)
        yield sizes(2, 3, 3, ocg, (6, width + dil * (k - 1)), (k, k), stride, dil, lo=1)
    for height, (stride, dil) in itertools.product(edges(4), ((1, 1), (2, 1), (1, 2), (2, 2), (3, 2))):
        yield sizes(1, 1, 2, 1, (stride * (height - 1) + 1 + dil * 3, 40), (4, 3), stride, dil)
    # runs of tiles without masks; the last output of some fills no vector, and taps of each height meet rows apart
    some = itertools.cycle(itertools.product((1, 2), (1, 0)))
    for (kh, kw), width in itertools.product(((1, 2), (2, 5), (3, 3), (4, 1), (6, 3)), edges(6 * lanes(dtype))):
        stride, lo = next(some)
        size = stride * 8 + kh - 2 * lo, stride * (width - 1) + kw - 2 * lo
        yield sizes(1, 2, 1, 1, size, (kh, kw), stride, lo=lo)
    # blocks of pixels, of which 16 KB of sums hold up to 4096, two vectors at a time, by four channels at a time
    for icg, width in itertools.product((9, 11, 12), (0, 1, lanes(dtype), 2 * lanes(dtype) - 1)):
        yield sizes(1, 2, icg, 3, (1, 1344 + width), (1, 1))
    for ocg, width in itertools.product((1, 2, 40), (-1, 0, 1)):
        yield sizes(2, 1, 10, ocg, (64, 64 + width), (1, 1))


#: What some families are tried on beside what all are.
MORE = {
    "depthwise": lambda dtype: (*deep(dtype), *wide(dtype)), "gemm": strips, "direct": rows_of_tiles,
    "winograd": lambda dtype: WINOGRAD, "bf16x3": lambda dtype: MATRIX,
}  # fmt: skip


def convolutions(family: str, dtype: str, whole: bool = False) -> list[Problem]:
    """Return all problems for the implementations of a family, under the active instruction set."""
    found = [*KINDS]
    for kind in (general, pointwise, depthwise):
        found += kind(dtype, whole)
    if native.active_isa() == "scalar":  # a matrix unit in plain C takes its time
        found = [p for p in found if whole or np.prod(shapes(p)[1]) * p.n * np.prod(p.out) < 1 << 17]
    return [*dict.fromkeys([*found, *MORE.get(family, lambda dtype: ())(dtype)])]
