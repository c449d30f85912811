"""Depthwise convolution: lanes of pixels, and lanes of channels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from convlib._ext import _native as native

from .common import UNTOUCHED, WORKSPACE, check, check_bits, edges, lanes, posed, run, sizes

DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_lanes_of_pixels(isa: str, dtype: str, kernel: int, stride: int) -> None:
    """Columns of up to 4 vectors, two planes in one where rows are short; strips of 32 rows."""
    # Planes and height: odd numbers of planes, one strip of rows and two; a row of its own.
    images = itertools.cycle(((1, 3), (5, 1), (6, 2), (3, 37)))
    vector = lanes(dtype)
    for width in sorted({1, 2, *edges(vector // 2, vector, 4 * vector)}):
        for lo, hi in ((0, 0), (1, 1), (2, 0), (3, 3), (0, 4), (6, 2)):
            planes, height = next(images)
            size = max(height, kernel - lo - hi), max(width, kernel - lo - hi)
            problem = sizes(2, planes, 1, 1, size, (kernel, kernel), stride, lo=lo, hi=hi)
            check(problem, "direct", dtype, bias=planes != 6, framed=planes == 5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_channels_last(isa: str, dtype: str, kernel: int, stride: int) -> None:
    """Blocks of one vector of channels or of two."""
    images = itertools.cycle(((1, 6), (9, 3), (8, 8)))
    blocks = edges(lanes(dtype), 2 * lanes(dtype))
    for channels, (lo, hi) in itertools.product(blocks, ((0, 0), (1, 1), (3, 3), (6, 0))):
        height, width = (max(size, kernel - lo - hi) for size in next(images))
        problem = sizes(2, channels, 1, 1, (height, width), (kernel, kernel), stride, lo=lo, hi=hi)
        check(problem, "direct", dtype, last=True, bias=channels % 8 > 0, framed=lo == 1)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", WINDOWS, ids=str)
def test_lanes_of_channels(isa: str, dtype: str, case: Any) -> None:
    kernel, size, (lo, hi) = case
    for n, channels in zip((1, 2, 3, 1), edges(lanes(dtype)), strict=False):
        problem = sizes(n, channels, 1, 1, size, kernel, lo=lo, hi=hi)
        check(problem, "direct", dtype, threads=5, bias=channels % 2 > 0)
        check(problem, "direct", dtype, last=True)
    check(sizes(2, 19, 1, 1, size[1:], kernel[1:], lo=lo, hi=hi), "direct", dtype)


@pytest.mark.parametrize(
    ("kernel", "channels", "size"),
    [(7, 16, (150, 140)), (7, 9, (33, 700)), (11, 16, (900, 20)), (11, 9, (150, 140)), (40, 9, (200, 48))],
)
def test_lanes_of_channels_in_strips(isa: str, kernel: int, channels: int, size: tuple[int, int]) -> None:
    problem = sizes(1, channels, 1, 1, size, (kernel, kernel), lo=kernel // 2, hi=3)
    for last in (False, True):
        check(problem, "direct", last=last)


@pytest.mark.parametrize("last", [False, True])
def test_lanes_of_channels_of_any_strides(isa: str, last: bool) -> None:
    """Every number of input and result, and every second one."""
    for channels, size, kernel in itertools.product((5, 16, 33), ((9, 7), (3, 20)), ((7, 7), (9, 12))):
        problem = sizes(1, channels, 1, 1, size, kernel, lo=6)
        x, w, _, expected = posed(problem)
        out = problem.out
        for step in (1, 2):
            if last:
                frame = np.full((1, out[0] + 2, out[1] + 2, step * channels + 40), UNTOUCHED, "f4")
                y = np.moveaxis(frame[:, 1:-1, 1:-1, 20 : 20 + step * channels : step], -1, 1)
                source = np.moveaxis(np.repeat(np.moveaxis(x, 1, -1), step, -1)[..., ::step], -1, 1)
            else:
                frame = np.full((1, channels, out[0] + 2, step * out[1] + 40), UNTOUCHED, "f4")
                y = frame[:, :, 1:-1, 20 : 20 + step * out[1] : step]
                source = np.repeat(x, step, -1)[..., ::step]
            run(problem, "direct", source, w, None, y)
            np.testing.assert_array_equal(y, expected, err_msg=f"{problem}, step {step}")
            y[...] = UNTOUCHED
            assert (frame == UNTOUCHED).all(), f"{problem}, step {step}"


def test_scratch_stays_below_its_bound(isa: str) -> None:
    """Fewer threads where scratch is short, pixels as lanes where there is not enough for one; always the same bits."""
    problem = sizes(1, 40, 1, 1, (30, 31), (9, 9), lo=4)
    p = native.ConvProblem(*problem)
    one = native.workspace(p, "direct", ord("f"), 1, WORKSPACE, False)
    assert one > 0
    bounds = (1 << 10, one, 2 * one + 100, WORKSPACE)
    for bound in bounds:
        assert native.workspace(p, "direct", ord("f"), 4, bound, False) <= bound
    check_bits(problem, "direct", [(4, bound) for bound in bounds])


@pytest.mark.parametrize("kernel", [3, 5, 7, 12, 31])
def test_the_bits_do_not_depend_on_threads(isa: str, kernel: int) -> None:
    for size in ((14, 14), (7, 7), (112, 30), (9, 200)):
        problem = sizes(2, 63, 1, 1, size, (kernel, kernel), lo=kernel // 2)
        check_bits(problem, "direct", [(threads, WORKSPACE) for threads in (1, 2, 3, 7)])
