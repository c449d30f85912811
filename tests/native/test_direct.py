"""Direct sums with few channels in a group: tiles of outputs that share each load."""

from __future__ import annotations

import itertools

import pytest

from .common import check, edges, lanes, sizes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_of_channels(isa: str, dtype: str) -> None:
    """Tiles of 4 or 8 channels by up to 4 vectors of a row."""
    kernels = itertools.cycle((2, 3, 4))
    steps = itertools.cycle(((1, 1), (2, 1), (1, 2), (2, 2), (3, 1)))  # stride and dilation
    for ocg, width in itertools.product(edges(4, 8), (5, *edges(lanes(dtype)))):
        for last in (False, False, True):
            kernel, (stride, dil) = next(kernels), next(steps)
            problem = sizes(2, 3, 3, ocg, (6, width + dil * (kernel - 1)), (kernel, kernel), stride, dil, lo=1)
            check(problem, "direct", dtype, last=last)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_of_rows(isa: str, dtype: str) -> None:
    """One channel: tiles of 4 rows, which share an input row where stride and dilation let them."""
    for height, (stride, dil) in itertools.product(edges(4), ((1, 1), (2, 1), (1, 2), (2, 2), (3, 2))):
        size = (stride * (height - 1) + 1 + dil * 3, 40)
        check(sizes(1, 1, 2, 1, size, (4, 3), stride, dil), "direct", dtype, framed=height % 2 == 0)
