"""The fft backend: against naive within a bound, non-finite input, refusals, memory."""

import numpy as np
import pytest

import convlib
from convlib.backends.fft import FftBackend, tile_size
from convlib.spec import ConvSpec

CASES = [
    ("conv1d", (1, 1, 300), (1, 1, 63), {}),
    ("conv1d", (1, 2, 5000), (2, 2, 40), {"stride": 3, "padding": "causal"}),
    ("conv2d", (2, 4, 20, 23), (6, 2, 5, 4), {"groups": 2, "padding": ((2, 1), (0, 3)), "stride": (2, 1)}),
    ("conv2d", (3, 20, 21), (2, 3, 4, 5), {"dilation": (3, 2), "padding": "full", "flip": True}),
    ("conv2d", (1, 20, 20, 3), (3, 1, 7, 7), {"groups": 3, "layout": "NHWC", "padding_mode": "wrap", "padding": 3}),
    ("conv2d", (0, 1, 9, 9), (1, 1, 3, 3), {}),
    ("conv3d", (1, 2, 6, 7, 8), (3, 2, 3, 2, 3), {"padding": "same_upper", "stride": 2}),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize(("op", "x_shape", "w_shape", "options"), CASES)
def test_agrees_with_naive(op, x_shape, w_shape, options, dtype):
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    bias = rng.standard_normal(w_shape[0]).astype(dtype)
    call = getattr(convlib, op)
    expected = call(x, w, bias, backend="naive", **options)
    got = call(x, w, bias, backend="fft", **options)
    assert got.dtype == expected.dtype
    # Transforms err by about eps * log2(length) of the tile's norm, which this bounds generously.
    scale = np.abs(x).max(initial=1) * np.abs(w).max(initial=1) * np.sqrt(w[0].size)
    tolerance = 40 * np.finfo(dtype).eps * float(scale)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_non_finite_input_reaches_only_its_windows():
    x = np.ones((1, 1, 90, 70), np.float32)
    x[0, 0, 2, 3], x[0, 0, 60, 40] = np.nan, np.inf
    w = np.ones((1, 1, 9, 9), np.float32)
    y = convlib.conv2d(x, w, padding="same", backend="fft")
    expected = np.full(y.shape, False)
    expected[0, 0, :7, :8] = True
    assert (np.isnan(y) == expected).all()
    assert np.isinf(y).sum() == 81
    assert y[0, 0, 30, 30] == pytest.approx(81, rel=1e-5)


def test_integers_are_refused():
    with pytest.raises(convlib.UnsupportedError, match="must be exact"):
        convlib.conv2d(np.ones((1, 1, 9, 9), int), np.ones((1, 1, 3, 3), int), backend="fft")


def test_many_tiles():
    spec = ConvSpec.make((1, 1, 3000, 2000), (1, 1, 65, 65))
    assert tile_size(spec)[0] < 1100  # not the whole image in one transform
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 1, 1500, 40)).astype(np.float32)
    w = rng.standard_normal((1, 1, 65, 3)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x[0, 0].astype(float), (65, 3))
    y = convlib.conv2d(x, w, backend="fft")
    np.testing.assert_allclose(y[0, 0], np.einsum("abij,ij->ab", windows, w[0, 0].astype(float)), atol=3e-4)


def test_workspace_is_bounded():
    spec = ConvSpec.make((8, 64, 512, 512), (64, 64, 63, 63))
    with convlib.max_workspace(8 << 20):
        assert "max_workspace" in FftBackend().supports("conv", spec, np.dtype("float32"))
