"""The fft backend: against naive within a bound, elements that transforms would ruin, refusals, memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.fft
from expected import under_isa
from tools import python

import convlib
from convlib._ext import _native
from convlib.backends import fft, fft_range, transforms
from convlib.backends.fft import FftBackend
from convlib.backends.fft_plan import make_plan
from convlib.functional.described import describe
from convlib.registry.policy import least_of_transforms
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
    plan = make_plan(spec, np.dtype("float32"), 64 << 20)
    assert plan.length[0] < 1100  # not the whole image in one transform
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 1, 1500, 40)).astype(np.float32)
    w = rng.standard_normal((1, 1, 65, 3)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x[0, 0].astype(float), (65, 3))
    y = convlib.conv2d(x, w, backend="fft")
    np.testing.assert_allclose(y[0, 0], np.einsum("abij,ij->ab", windows, w[0, 0].astype(float)), atol=3e-4)


# ------------------------------------------------------------------------------- what a transform would ruin

BOX = np.full((1, 1, 63, 63), 2.0**-12)


def image(dtype, value=1.0):
    return np.full((1, 1, 300, 310), value, dtype)


def box_sums(x):
    """Sum 63 x 63 windows in float64, by differences of running sums; x may hold no large numbers."""
    total = np.pad(np.asarray(x, np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return total[63:, 63:] - total[:-63, 63:] - total[63:, :-63] + total[:-63, :-63]


@pytest.mark.parametrize(("dtype", "value"), [("float32", 1e33), ("float32", 1e-36), ("float64", 1e303)])
def test_no_sum_leaves_the_range_of_floats(dtype, value):
    y = convlib.conv2d(image(dtype, value), BOX.astype(dtype), backend="fft")
    np.testing.assert_allclose(y / np.asarray(value, dtype), 63 * 63 / 2**12, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("large", [1e6, 1e8, 1e37, -3.4e38, np.nan, np.inf])
@pytest.mark.parametrize("where", [(150, 150), (0, 0), (slice(100, None), slice(50, None)), (slice(0, 300, 7), 200)])
def test_large_elements_reach_only_their_windows(large, where):
    x = image("float32")
    x[0, 0][where] = large
    y = convlib.conv2d(x, BOX.astype("float32"), backend="fft")[0, 0]
    seen = box_sums(x[0, 0] != 1) > 0.5
    np.testing.assert_allclose(y[~seen], 63 * 63 / 2**12, rtol=2e-6)
    ones, rest = box_sums(x[0, 0] == 1), box_sums(x[0, 0] != 1)
    if np.isfinite(large):  # exact: counts times a float32
        expected = (ones + rest * float(np.float32(large))) / 2**12
        # Single sums of 63 * 63 products in float32.
        np.testing.assert_allclose(y[seen].astype(float), expected[seen], rtol=63 * 63 * 2.0**-24)
    else:
        np.testing.assert_equal(y[seen], np.float32(large))


def test_a_complex_outlier_reaches_only_its_windows():
    x = image("complex64")
    x[0, 0, 150, 150] = 1e9j
    y = convlib.conv2d(x, BOX.astype("complex64"), backend="fft")[0, 0]
    np.testing.assert_allclose(y[:88], 63 * 63 / 2**12, rtol=2e-6)
    np.testing.assert_allclose(y[88:151, 88:151], (63 * 63 - 1 + 1e9j) / 2**12, rtol=2e-6)


def test_small_elements_beside_an_ocean_of_large_ones():
    x = image("float32", -3.4e38)
    x[0, 0, 100:180, 100:180] = 1
    y = convlib.conv2d(x, BOX.astype("float32"), backend="fft")[0, 0]
    np.testing.assert_allclose(y[100:118, 100:118], 63 * 63 / 2**12, rtol=2e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_means_of_masks_are_not_negative(sign):
    x = sign * (np.random.default_rng(0).random((1, 1, 300, 300)) < 0.001).astype(np.float32)
    x[..., :150] = 0
    assert (sign * convlib.conv2d(x, BOX.astype("float32"), backend="fft") >= 0).all()
    assert (sign * convlib.conv2d(x, -BOX.astype("float32"), backend="fft") <= 0).all()


@pytest.mark.parametrize("bad", [np.nan, 1e30])
@pytest.mark.parametrize(
    ("x_shape", "kernel"), [((1, 1, 500, 500), (31, 31)), ((2, 3, 20000), (301,)), ((1, 2, 60, 60, 60), (15, 15, 15))]
)
def test_images_full_of_what_transforms_would_ruin_are_summed_in_one_piece(bad, x_shape, kernel, monkeypatch):
    rng = np.random.default_rng(11)
    x, w = rng.random(x_shape, "f4"), rng.random((1, x_shape[1], *kernel), "f4")
    x[rng.random(x_shape) < 0.02] = bad
    conv = getattr(convlib, f"conv{len(kernel)}d")
    expected = conv(x, w, accuracy="strict", backend="native")

    def never(*_):
        raise AssertionError("a block is summed, or judged, by itself")

    monkeypatch.setattr(fft, "_direct", never)
    monkeypatch.setattr(fft.fft_range, "left_out", left_out_of_few)
    np.testing.assert_array_equal(conv(x, w, backend="fft"), expected)


def left_out_of_few(values, limit, real=fft_range.left_out):
    assert values.size < 1 << 12, "all elements of a tile are looked at"
    return real(values, limit)


def test_only_the_tiles_that_are_spoilt_are_summed_directly(monkeypatch):
    rng = np.random.default_rng(12)
    x, w = rng.standard_normal((1, 1, 900, 900)).astype("f4"), rng.standard_normal((1, 1, 41, 41)).astype("f4")
    x[..., :300, :][rng.random((1, 1, 300, 900)) < 0.05] = np.nan
    summed, direct = [], fft._direct
    monkeypatch.setattr(fft, "_direct", lambda *given: (summed.append(given[4]), direct(*given)))
    y = convlib.conv2d(x, w, backend="fft")
    exact = convlib.conv2d(x.astype(float), w.astype(float), backend="native")
    np.testing.assert_array_equal(np.isnan(y), np.isnan(exact))
    np.testing.assert_allclose(y[..., 300:, :], exact[..., 300:, :], atol=1e-3)
    assert 0 < sum(np.prod(size) for _, _, size in summed) < y.size


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_weights_meet_the_zeros_of_the_padding(bad):
    x, w = np.ones((1, 1, 6, 6), np.float32), np.ones((2, 1, 3, 3), np.float32)
    w[1, 0, 0, 0] = bad
    y = convlib.conv2d(x, w, padding=1, backend="fft")[0]
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1, 0]).all()
    assert np.isnan(y[1, :, 0]).all()
    np.testing.assert_equal(y[1, 1:, 1:], np.float32(bad))


# ------------------------------------------------------------------------------- memory


def scratch(function, x, w, **options):
    """Return the bytes that NumPy allocates during a call, at most, beside the result; and what `explain` says."""
    call = getattr(convlib, function)
    call(x, w, backend="fft", **options)
    tracemalloc.start()
    try:
        y = call(x, w, backend="fft", **options)
        peak = tracemalloc.get_traced_memory()[1] - y.nbytes
    finally:
        tracemalloc.stop()
    said = convlib.explain(function, x.shape, w.shape, dtype=x.dtype, backend="fft", **options).workspace_nbytes
    return peak, said


SIZES = [
    ("conv2d", (1, 1, 500, 500), (1, 1, 63, 63), {}),
    ("conv2d", (2, 8, 100, 100), (6, 8, 15, 15), {"padding": "same"}),
    ("conv2d", (1, 2, 200, 200), (2, 2, 87, 87), {"padding": "full", "stride": 2}),
    ("conv1d", (1, 1, 200_000), (4, 1, 301), {}),
    ("conv1d", (1, 1, 16_000), (1, 1, 12_000), {}),
    ("conv3d", (1, 1, 40, 40, 40), (1, 1, 15, 15, 15), {}),
    ("conv2d", (1, 1, 600, 500), (1, 1, 590, 490), {}),
    ("conv2d", (1, 3, 150, 300), (2, 3, 140, 300), {}),
]


@pytest.mark.parametrize("bound", [1 << 20, 4 << 20, 64 << 20])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(("function", "x_shape", "w_shape", "options"), SIZES)
def test_scratch_is_what_is_said(function, x_shape, w_shape, options, dtype, bound, monkeypatch):
    monkeypatch.setattr(fft, "keep_pages", lambda nbytes: None)  # it takes nearly all, and would hide less
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    for value in (0, np.nan):
        x.flat[x.size // 2] = value
        with convlib.max_workspace(bound):
            peak, said = scratch(function, x, w, **options)
        assert peak <= said <= bound
        # SciPy's own temporaries are not NumPy's; they are at most one of the three arrays that every plan has.
        assert peak >= said / 2 - (1 << 19) or value != 0


def test_kernels_larger_than_the_bound_are_cut():
    rng = np.random.default_rng(1)
    x, w = rng.integers(-9, 10, (2, 1, 3, 300, 300)).astype(float)
    w = w[:, :, :250, :240]
    with convlib.max_workspace(1 << 20):
        assert "kernel in blocks" in convlib.explain("conv2d", x.shape, w.shape, dtype=x.dtype, backend="fft").reason
        y = convlib.conv2d(x, w, padding=2, backend="fft")
    whole = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    expected = [[(whole[0, :, i : i + 250, j : j + 240] * w[0]).sum() for j in range(65)] for i in range(0, 55, 9)]
    np.testing.assert_allclose(y[0, 0, ::9], expected, atol=1e-6)


def test_an_autocorrelation_fits_the_default_bound():
    spec = ConvSpec.make((1, 1, 1024, 1024), (1, 1, 1024, 1024), padding="full")
    assert FftBackend().supports("conv", spec, np.dtype(float)) is None


def test_no_channels():
    y = convlib.conv2d(np.ones((2, 0, 9, 9)), np.ones((3, 0, 3, 3)), np.arange(3.0), backend="fft")
    np.testing.assert_equal(y, np.broadcast_to(np.arange(3.0)[:, None, None], (2, 3, 7, 7)))
    assert "workspace" not in str(convlib.explain("conv2d", (0, 0, 9, 9), (3, 0, 3, 3), dtype="float32", backend="fft"))


@pytest.mark.parametrize("isa", _native.detected_isas())
def test_the_choice_follows_the_instruction_set(isa):
    """Transforms take the same time under each; sums take the longer, the narrower vectors are."""
    with under_isa(isa), convlib.num_threads(1):
        chosen = {
            k: convlib.explain("conv2d", (1, 1, 1024, 1024), (1, 1, k, k), padding=k // 2, dtype="float32").backend
            for k in (3, 17, 63)
        }
    assert chosen == {3: "native", 17: "fft" if isa == "scalar" else "native", 63: "fft"}


def test_the_choice_depends_on_no_number_of_threads():
    """Nor do the bits, then."""
    chosen = {}
    for threads in (1, 2, 64):
        with convlib.num_threads(threads):
            chosen[threads] = [
                convlib.explain("conv2d", (1, 1, n, n), (1, 1, k, k), padding=k // 2, dtype="float32").backend
                for n in (128, 1024) for k in range(11, 50, 2)
            ]  # fmt: skip
    assert chosen[1] == chosen[2] == chosen[64]
    assert {"fft", "native"} == set(chosen[1])


def test_layers_that_no_transform_serves_do_not_load_it():
    """SciPy's transforms take 60 ms to load."""
    code = """
import sys, numpy as np, convlib
x, w = np.ones((1, 64, 56, 56), "f4"), np.ones((64, 64, 3, 3), "f4")
convlib.conv2d(x, w, padding=1)
convlib.plan_conv2d(x.shape, w, padding=1)
print("convlib.backends.fft" in sys.modules)
convlib.conv2d(np.ones((1, 1, 1024, 1024), "f4"), np.ones((1, 1, 63, 63), "f4"))
print("convlib.backends.fft" in sys.modules)
"""
    done = python("-c", code)
    assert done.stdout.split() == ["False", "True"], done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((1, 1, 1024, 1024), (1, 1, 31, 31), {}), ((2, 8, 100, 90), (6, 4, 9, 9), {"groups": 2}),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}), ((1, 3, 500, 500), (4, 3, 40, 40), {"stride": 3}),
        ((3, 2, 30, 30), (5, 2, 30, 30), {"padding": 20}), ((1, 16, 7, 300), (16, 16, 7, 100), {"dilation": (1, 2)}),
        ((1, 2, 20, 30, 40), (3, 2, 9, 9, 9), {}),
    ],
)  # fmt: skip
def test_the_least_is_no_more_than_predicted(x, w, options, dtype):
    spec, element = describe(f"conv{len(x) - 2}d", x, w, **options)[1], np.dtype(dtype)
    assert 0 < least_of_transforms(spec, element) <= FftBackend().predicted("conv", spec, element)


def test_what_is_looked_at_of_a_tile_is_not_its_padding_alone(monkeypatch):
    def never(*_):
        raise AssertionError("a sample of random numbers tells too little, so all of them are counted")

    monkeypatch.setattr(fft_range, "_cut", never)
    x = np.random.default_rng(5).standard_normal((1, 1, 60, 60, 60)).astype("f4")
    w = np.ones((1, 1, 9, 9, 9), "f4")
    y = convlib.conv3d(x, w, padding=4, backend="fft")
    np.testing.assert_allclose(y[0, 0, 30, 30, 30], x[0, 0, 26:35, 26:35, 26:35].sum(), rtol=1e-4)


@pytest.mark.parametrize("kind", ["f4", "f8", "c8", "c16"])
def test_axes_one_by_one_are_the_transforms_of_scipy(kind):
    rng = np.random.default_rng(6)
    a = (rng.standard_normal((2, 5, 7, 6)) * (1 + 1j if kind[0] == "c" else 1)).astype(kind)
    real, lengths = kind[0] == "f", (8, 9, 10)
    whole = (scipy.fft.rfftn if real else scipy.fft.fftn)(a, lengths, (1, 2, 3))
    got = transforms.there(a.copy(), lengths)
    np.testing.assert_allclose(got, whole, atol=1e-4)
    kept = transforms.back(got, lengths, (2, 4, 3), (3, 2, 1), real)
    assert kept.dtype == a.dtype
    np.testing.assert_allclose(kept, np.pad(a, ((0, 0), (0, 3), (0, 2), (0, 4)))[:, :4:3, :7:2, :3], atol=1e-5)
