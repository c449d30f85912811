"""Sums over so many elements that a plain sum in float32 saturates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convlib


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("value", [0.1, 1 / 3])
def test_long_sums_of_all_implementations(isa: str, layout: str, value: float) -> None:
    """Whole planes, with padding beside them, windows that overlap, windows that share, under every instruction set."""
    shape = (1, 2, 600, 4500) if layout == "NCHW" else (1, 600, 4500, 2)
    x, mean = np.full(shape, value, np.float32), float(np.float32(value))
    more: Any = {"layout": layout, "backend": "native"}
    means = {
        "global": convlib.global_avg_pool2d(x, **more),
        "padded": convlib.avg_pool2d(x, (600, 4500), padding=1, count_include_pad=False, **more),
        "narrower": convlib.avg_pool2d(x, (600, 4499), stride=1, **more),
        "overlapping": convlib.avg_pool2d(x, (590, 4000), stride=(5, 250), **more),
        "shared": convlib.adaptive_avg_pool2d(x, (2, 3), **more),
        "sum": convlib.sum_pool2d(x, (600, 4490), stride=5, **more).astype(float) / (600 * 4490),
    }
    assert {what: y for what, y in means.items() if not np.allclose(y / mean, 1, rtol=0, atol=1e-6)} == {}


def test_long_sums_over_many_channels(isa: str) -> None:
    x = np.full((1, 100, 200, 515), 0.1, np.float32)
    y = convlib.avg_pool2d(x, (100, 200), layout="NHWC", backend="native")
    np.testing.assert_allclose(y / float(np.float32(0.1)), 1, rtol=0, atol=1e-6)
