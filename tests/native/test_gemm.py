"""The implicit GEMM, with pixels or output channels as lanes, at the edges of its tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .common import check, edges, lanes, reference, run, sizes, target

DTYPES = ["float32", "float64"]

#: Ways to run a problem: channels last, packed weights, threads.  Each pair of them comes up.
WAYS = [(False, False, 1), (True, False, 2), (False, True, 2), (True, True, 5)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pointwise_at_tile_edges(isa: str, dtype: str) -> None:
    """Tiles of 4 or 8 channels by up to 3 vectors; 384 products in a block."""
    depths = itertools.cycle((1, 5, 33, 400))
    for pixels, ocg in itertools.product(edges(lanes(dtype), 3 * lanes(dtype)), (1, *edges(8))):
        check(sizes(1, 1, next(depths), ocg, (pixels,), (1,)), "gemm", dtype)
        check(sizes(2, 2, next(depths), ocg, (pixels,), (1,)), "gemm", dtype, threads=3, packed=True)


def test_pointwise_of_rows_that_are_not_packed(isa: str) -> None:
    """Rows of the image end before, at and after a vector, and other numbers lie behind them."""
    rng = np.random.default_rng(0)
    for pixels, pitch in ((196, 196), (197, 200), (5, 7), (255, 256)):
        problem = sizes(2, 1, 200, 19, (pixels,), (1,))
        x = rng.integers(-3, 4, (2, 200, pitch)).astype("f4")[..., :pixels]
        w = rng.integers(-3, 4, (1, 200, 19, 1)).astype("f4").swapaxes(1, 2)
        expected = reference(problem, x, w, None)
        for threads in (1, 2, 5):
            whole, y = target(problem, "float32", framed=True)
            run(problem, "gemm", x, w, None, y, threads=threads)
            np.testing.assert_array_equal(y, expected, err_msg=f"{problem}, {threads} threads")
            y[...] = 7
            assert (whole == 7).all(), f"{problem}, {threads} threads"


#: Where lanes are output channels: strips of images, slices, rows and columns; runs under rows of taps and apart, cut
#: and whole; panels of one, two and three vectors, full and not; windows in place and copied; channels past a vector.
STRIPS = {
    "strips of images": sizes(9, 1, 70, 48, (15, 14), (3, 3), lo=1),
    "strips of slices": sizes(1, 1, 100, 33, (9, 10, 11), (3, 3, 3), lo=1),
    "strips of rows": sizes(1, 1, 130, 40, (40, 41), (3, 3), 2, lo=1),
    "strips of columns": sizes(1, 1, 40, 16, (9000,), (5,), lo=2),
    "strips of one pixel": sizes(1, 1, 2500, 16, (3, 3), (3, 3), lo=1),
    "long runs": sizes(2, 1, 3000, 24, (4, 2), (1, 1)),
    "long runs under rows of taps": sizes(1, 1, 600, 17, (5, 5), (3, 4), lo=1),
    "taps apart": sizes(1, 1, 33, 32, (20, 21), (3, 3), 1, 3, 3),
    "taps apart, in groups": sizes(2, 3, 17, 20, (9, 9), (3, 3)),
    "stride without taps": sizes(2, 1, 40, 64, (15, 14, 13), (1, 1, 1), 3),
    "stride past the window": sizes(1, 1, 40, 33, (20, 20), (2, 2), 3, lo=1),
    "one axis of taps": sizes(1, 1, 40, 16, (12, 13), (1, 5), 2, lo=2),
    "padding only": sizes(1, 1, 80, 16, (2, 3), (1, 1), lo=3),
    "three channels": sizes(2, 1, 3, 32, (30, 31), (5, 5), 2, lo=2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", STRIPS)
def test_lanes_of_output_channels(isa: str, dtype: str, case: str) -> None:
    for last, packed, threads in WAYS:
        check(STRIPS[case], "gemm", dtype, last=last, packed=packed, threads=threads, bias=threads == 2)
    check(STRIPS[case], "gemm", dtype, packed=True, workspace=100 << 10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lanes_of_output_channels_at_their_edges(isa: str, dtype: str) -> None:
    """Panels of up to 3 vectors of channels; tiles of 4 to 8 pixels, in all and in part."""
    kernels = itertools.cycle(((1, 1), (3, 3)))
    for ocg, width in itertools.product(edges(lanes(dtype), 3 * lanes(dtype)), (1, 5, 8, 14, 29)):
        for (last, packed, threads), framed in zip(WAYS, (True, True, False, True), strict=True):
            k = next(kernels)
            problem = sizes(1, 1, 21, ocg, (width, 4), k, 2, lo=k[0] // 2)
            check(problem, "gemm", dtype, last=last, packed=packed, threads=threads, framed=framed, bias=packed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_small_maps(isa: str, dtype: str) -> None:
    """Few pixels under many output channels; from 257 pixels on, panels are packed."""
    for pixels in sorted({*edges(lanes(dtype), 3 * lanes(dtype)), 255, 256, 257} - {1}):
        for n, g, icg, k, stride in ((1, 1, 35, 3, 1), (2, 2, 5, 5, 1), (1, 1, 9, 3, 2), (1, 1, 70, 1, 2)):
            problem = sizes(n, g, icg, n * pixels + 9, (stride * (pixels - 1) + 1,), (k,), stride, lo=k // 2)
            check(problem, "gemm", dtype, threads=1 + pixels % 3)
    for rows in (2, 9, 33):
        check(sizes(1, 1, 40, 300, (rows, 9), (3, 3), 2, lo=1), "gemm", dtype)
        check(sizes(1, 1, 10, 300, (rows // 4 + 2, 5, 4), (3, 3, 3), lo=1), "gemm", dtype)
