"""Costs: the lectures' counts, other counters' known cases, and counting by hand."""

import math

import numpy as np
import pytest

import convlib
from convlib import SpecError, cost, layers
from convlib.costs import connections


def test_the_lectures_parameter_counts():
    counts = connections(1000, 10)
    assert counts.fully_connected == 10**12
    assert counts.shared == 4 * 10**6
    assert counts.local == 4 * 10**2
    for delta in range(1, 10):
        assert connections((1000, 1000), delta).local == 4 * delta**2
        exact = connections(1000, delta, exact=True).local
        kernel = 2 * delta + 1
        assert cost("conv2d", (1, 1, 1000, 1000), (1, 1, kernel, kernel)).parameters == exact


def test_every_offset_is_counted():
    h, w = 5, 7
    pairs = [(i, j, k, m) for i in range(h) for j in range(w) for k in range(h) for m in range(w)]
    offsets = {(k - i, m - j) for i, j, k, m in pairs}
    near = {(a, b) for a, b in offsets if abs(a) <= 2 and abs(b) <= 2}
    assert connections((h, w), 2, exact=True) == (len(pairs), len(offsets), len(near))


@pytest.mark.parametrize("bad", [(0, 1), (-3, 1), (10, -1)])
def test_connections_refuse(bad):
    with pytest.raises(SpecError):
        connections(*bad)


@pytest.mark.parametrize(("h", "w", "k", "c_i", "c_o"), [(56, 48, 3, 16, 32), (28, 28, 5, 1, 6), (8, 9, 1, 64, 10)])
def test_the_lectures_complexity(h, w, k, c_i, c_o):
    """O(h * w * k**2 * c_i * c_o), exactly so when padding keeps the size."""
    count = cost("conv2d", (1, c_i, h, w), (c_o, c_i, k, k), padding="same")
    assert count.macs == h * w * k**2 * c_i * c_o
    assert count.parameters == k**2 * c_i * c_o
    biased = cost("conv2d", (1, c_i, h, w), (c_o, c_i, k, k), padding="same", bias=True)
    assert biased.parameters == c_o + k**2 * c_i * c_o


@pytest.mark.parametrize(
    ("x", "w", "options", "macs"),
    [
        ((1, 32, 1, 1), (32, 1, 3, 3), {}, 288),
        ((2, 4, 8, 8), (4, 6, 4, 4), {"stride": 2, "padding": 1}, 49152),
        ((2, 4, 8, 8), (4, 1, 3, 3), {"stride": 2, "output_padding": 1, "groups": 4}, 4608),
        ((2, 6, 8, 8), (6, 2, 2, 2), {"stride": 2, "groups": 3}, 6144),
    ],
)
def test_transposed_convolution(x, w, options, macs):
    """Cases in which other counters went wrong: each input element meets each weight of its group once."""
    count = cost("conv_transpose2d", x, w, **options)
    assert count.macs == macs == math.prod(x) * math.prod(w[1:])
    assert count.macs_inside <= macs
    channels = w[1] * options.get("groups", 1)
    assert cost("conv_transpose2d", x, w, bias=True, **options).parameters == math.prod(w) + channels


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((2, 4, 7, 6), (6, 2, 3, 2), {"padding": ((2, 1), (0, 3)), "groups": 2}),
        ((1, 2, 8, 9), (3, 2, 2, 3), {"stride": (3, 2), "dilation": (2, 1), "padding": 1}),
        ((1, 3, 4), (2, 3, 3), {"padding": 4}),
        ((1, 1, 3, 4, 5), (2, 1, 2, 2, 2), {"padding": 1, "stride": 2}),
    ],
)
def test_macs_by_counting(x, w, options):
    """A convolution of ones counts the taps inside; in a padding of ones it counts them all."""
    conv = getattr(convlib, f"conv{len(w) - 2}d")
    count = cost(f"conv{len(w) - 2}d", x, w, **options)
    assert conv(np.ones(x, int), np.ones(w, int), **options).sum() == count.macs_inside
    assert conv(np.ones(x, int), np.ones(w, int), pad_value=1, **options).sum() == count.macs


@pytest.mark.parametrize(
    "options", [{"padding": 1}, {"ceil_mode": True, "padding": (1, 0)}, {"dilation": 2, "stride": 1}]
)
def test_pools_by_counting(options):
    shape = (2, 3, 7, 8)
    count = cost("max_pool2d", shape, 3, **options)
    y = convlib.sum_pool2d(np.ones(shape, int), 3, **options)
    assert count.macs_inside == y.sum()
    assert count.macs == y.size * 9
    assert count.parameters == 0
    assert count.nbytes == 4 * (math.prod(shape) + y.size)


def test_adaptive_pools():
    count = cost("adaptive_avg_pool2d", (1, 2, 7, 5), (3, 2))
    assert count.macs == count.macs_inside == 2 * (3 + 3 + 3) * (3 + 3)
    assert cost("global_avg_pool1d", (1, 2, 7)).macs == 14


def test_bytes():
    shapes = (1, 64, 56, 56), (64, 64, 1, 1)
    for dtype, size in (("float32", 4), ("float64", 8), ("float16", 2)):
        count = cost("conv2d", *shapes, dtype=dtype)
        assert count.nbytes == size * (2 * 64 * 56 * 56 + 64 * 64)
    assert cost("conv2d", *shapes, bias=True).nbytes - cost("conv2d", *shapes).nbytes == 4 * 64
    count = cost("conv2d", *shapes)
    assert count.flops == 2 * count.macs
    assert count.intensity == count.flops / count.nbytes
    assert cost("max_pool2d_grad_input", (1, 2, 2, 2), (1, 2, 2, 2), (1, 2, 4, 4)).nbytes == 4 * (32 + 8) + 8 * 8
    assert cost("lp_pool2d_grad_input", (1, 2, 2, 2), (1, 2, 4, 4), (1, 2, 2, 2), 2, 2).nbytes == 2 * 4 * (32 + 8)


@pytest.mark.parametrize("suffix", ["_grad_input", "_grad_weight"])
def test_gradients_cost_what_the_operator_costs(suffix):
    x, w, options = (2, 4, 9, 9), (6, 2, 3, 3), {"stride": 2, "padding": 1, "groups": 2}
    y = convlib.conv_output_shape(x, w, **options)
    arrays = (y, w, x) if suffix == "_grad_input" else (y, x, w)
    assert cost("conv2d" + suffix, *arrays, **options) == cost("conv2d", x, w, **options)


def test_empty_and_wrong():
    assert cost("conv2d", (0, 3, 5, 5), (2, 3, 3, 3)).macs == 0
    assert cost("max_pool1d", (0, 0, 5), 2).intensity == 0
    with pytest.raises(SpecError, match="no bias"):
        cost("max_pool2d", (1, 1, 4, 4), 2, bias=True)
    with pytest.raises(SpecError, match="unknown"):
        cost("linear", (1, 2), (3, 2))
    with pytest.raises(SpecError, match="channel mismatch"):
        cost("conv2d", (1, 3, 4, 4), (2, 4, 3, 3))
    with pytest.raises(TypeError):
        cost("conv2d", (1, 3, 4, 4), (2, 3, 3, 3), dtype=object)


def test_a_layers_parameters():
    layer = layers.Conv2d(6, (5, 3), in_channels=4, groups=2)
    count = cost("conv2d", (1, 4, 9, 9), (6, 2, 5, 3), groups=2, bias=True)
    assert sum(p.value.size for p in layer.parameters()) == count.parameters
