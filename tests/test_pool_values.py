"""Pooling where values, sizes or memory are extreme: long sums, norms of large and tiny numbers, huge windows."""

import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import convlib
from convlib.backends import native_norms, pool_grads, pool_slabs
from convlib.spec import PoolSpec

FAST = ("cython", "im2col")
ALL = (*FAST, "naive")
NORMS = (*ALL, "native")

# ------------------------------------------------------------------------------- long sums


@pytest.mark.parametrize(
    ("backend", "dtype"), [*itertools.product(FAST, ("float32", "complex64")), ("native", "float32")]
)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_long_sums_do_not_saturate(backend, dtype, layout):
    shape = (1, 1, 4500, 4500) if layout == "NCHW" else (1, 4500, 4500, 1)
    x = np.full(shape, 0.1, dtype)
    mean = float(np.float32(0.1))
    got = convlib.global_avg_pool2d(x, layout=layout, backend=backend).item()
    assert abs(got / mean - 1) <= 1e-6
    got = convlib.sum_pool2d(x, 4500, layout=layout, backend=backend).item()
    assert abs(got / (4500**2 * mean) - 1) <= 1e-6


def test_naive_sums_are_double():
    x = np.full((1, 1, 300, 300), 0.1, np.float32)
    assert convlib.sum_pool2d(x, 300, backend="naive").item() == np.float32(90_000 * float(np.float32(0.1)))


@pytest.mark.parametrize("backend", FAST)
def test_long_weight_gradients_do_not_saturate(backend):
    grad_y, x = np.full((1, 1, 4500, 4500), 0.1, np.float32), np.ones((1, 1, 4501, 4500), np.float32)
    got = convlib.conv2d_grad_weight(grad_y, x, (1, 1, 2, 1), backend=backend)
    exact = 4500**2 * float(np.float32(0.1))
    np.testing.assert_allclose(got.astype(float).ravel(), [exact, exact], rtol=1e-6)


# ------------------------------------------------------------------------------- norms


def exact_norm(values, p):
    """Return the p-norm of numbers by exact quotients, one root of a sum between 1 and their count."""
    top = max(abs(Fraction(float(v))) for v in values)
    if not top:
        return 0.0
    total = sum((abs(Fraction(float(v))) / top) ** p for v in values)
    return float(top) * float(total) ** (1 / p)


@pytest.mark.parametrize("backend", NORMS)
@pytest.mark.parametrize("p", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_of_any_magnitude(backend, p, dtype):
    tiny, huge = (1e-38, 3e38) if dtype == "float32" else (1e-300, 1e308)
    rows = [[1e4, 1e4, -3e3], [tiny, 2 * tiny, 0], [huge / 2, huge / 3, 1], [0, 0, 0], [1, huge / 3, tiny]]
    x = np.array(rows, dtype).reshape(1, 5, 3)
    got = convlib.lp_pool1d(x, p, 3, backend=backend)[0, :, 0]
    np.testing.assert_allclose(got.astype(float), [exact_norm(row, p) for row in x[0]], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("backend", NORMS)
@pytest.mark.parametrize("p", [2, 3, 100, 5000, 0.25])
def test_norms_beside_larger_windows(backend, p):
    """Windows of one plane from 1e-30 to 1e30, each right to the last digits; the scale of one is none for another."""
    x = np.array([[10.0 ** (e // 2) * (1 + e % 2 / 4) for e in range(-60, 61)]])
    got = convlib.lp_pool1d(x, p, 2, stride=1, backend=backend)[0]
    tops = np.maximum(x[0, :-1], x[0, 1:])
    pairs = zip(x[0, :-1], x[0, 1:], tops, strict=True)
    expected = tops * np.array([math.fsum([(a / t) ** p, (b / t) ** p]) for a, b, t in pairs]) ** (1 / p)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("backend", NORMS)
def test_norms_of_what_is_not_finite(backend):
    x = np.array([[np.inf, 1, 1, -np.inf, np.nan, 2, 3, 4]])
    np.testing.assert_allclose(
        convlib.lp_pool1d(x, 2, 2, backend=backend)[0], [np.inf, np.inf, np.nan, 5], equal_nan=True
    )


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("p", [1, 2, 3, 4, 1.5, 0.5])
def test_norms_by_sums_in_parts(monkeypatch, layout, p):
    """Of small integers, some rows large or tiny, which go by quotients; each part for itself."""
    rng = np.random.default_rng(7)
    x = rng.integers(-3, 4, (2, 20, 30, 5) if layout == "NHWC" else (2, 5, 20, 30)).astype(np.float32)
    x[1, ..., 3:, :] *= np.float32(2e-30)
    x[0, ..., :2] *= np.float32(3e35)
    by_quotients = []
    pool = pool_slabs.pool
    monkeypatch.setattr(native_norms, "_BYTES", 1 << 12)
    monkeypatch.setattr(pool_slabs, "pool", lambda *arguments: by_quotients.append(pool(*arguments)))
    options = {"stride": 2, "padding": 1, "layout": layout}
    got = convlib.lp_pool2d(x, p, 3, **options)
    assert convlib.explain("lp_pool2d", x.shape, p, 3, **options).backend == "native"
    expected = convlib.lp_pool2d(x.astype(float), p, 3, backend="naive", **options)
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(np.float32).eps)
    assert bool(by_quotients) == (p > 1)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_windows_channels_last_are_cut_by_channels(dtype, dilation):
    """Parts of neighbouring windows would all hold most of the input; lines of memory stay whole."""
    spec = PoolSpec.make("lp", (1, 112, 112, 128), (31, 31), stride=1, dilation=dilation, norm=2, layout="NHWC")
    parts = [part for part, _, _ in native_norms._parts(spec, np.dtype(dtype).itemsize)]
    held = sum(part.n * part.c * math.prod(part.in_size) for part in parts)
    assert held < 4 * 128 * 112 * 112
    assert min(part.c for part in parts) >= 8
    x = np.random.default_rng(0).integers(-9, 10, (1, 70, 66, 40)).astype(dtype)
    found = convlib.lp_pool2d(x, 2, 31, stride=1, dilation=dilation, layout="NHWC", backend="native")
    right = convlib.lp_pool2d(np.moveaxis(x, -1, 1), 2, 31, stride=1, dilation=dilation, backend="cython")
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), right, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("bound", [1 << 20, 1 << 26])
@pytest.mark.parametrize("value", [1.0, 1e-200])
def test_norms_take_what_they_say(bound, value):
    x = np.full((2, 3, 400, 500), value)
    with convlib.max_workspace(bound):
        said = convlib.explain("lp_pool2d", x.shape, 3, 3, stride=2, dtype="float64").workspace_nbytes
        convlib.lp_pool2d(x[:, :, :9], 3, 3, stride=2)
        tracemalloc.start()
        try:
            found = convlib.lp_pool2d(x, 3, 3, stride=2)
            peak = tracemalloc.get_traced_memory()[1] - found.nbytes
        finally:
            tracemalloc.stop()
    np.testing.assert_allclose(found, value * 9 ** (1 / 3))
    assert peak <= said + (64 << 10)  # Python's own objects
    assert said <= bound


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize(("value", "p"), [(1e4, 100), (1e-200, 2), (1e200, 3)])
def test_gradients_of_norms_of_any_magnitude(backend, value, p):
    x = np.array([[value, -value]])
    y = convlib.lp_pool1d(x, p, 2, backend=backend)
    got = convlib.lp_pool1d_grad_input(np.ones_like(y), x, y, p, 2, backend=backend)
    slope = 2.0 ** (1 / p - 1)  # of a vector of two equal elements
    np.testing.assert_allclose(got, [[slope, -slope]], rtol=1e-12)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(("kind", "norm"), [("lp", (2,)), ("lp", (math.inf,)), ("avg", ())])
@pytest.mark.parametrize("bound", [1 << 20, 1 << 26])
def test_gradients_take_what_they_say(backend, kind, norm, bound):
    x = np.random.default_rng(0).standard_normal((1, 1, 700, 900))
    y = getattr(convlib, f"{kind}_pool2d")(x, *norm, 3, stride=2)
    spec = PoolSpec.make(kind, x.shape, 3, nd=2, stride=2, **({"norm": norm[0]} if norm else {}))
    args = (np.ones_like(y), x, y, *norm, 3) if norm else (np.ones_like(y), x.shape, 3)
    call = getattr(convlib, f"{kind}_pool2d_grad_input")
    call(*args, stride=2, backend=backend)
    with convlib.max_workspace(bound):
        said = pool_grads.scratch(spec)
        tracemalloc.start()
        try:
            found = call(*args, stride=2, backend=backend)
            peak = tracemalloc.get_traced_memory()[1] - found.nbytes
        finally:
            tracemalloc.stop()
    assert peak <= said + (64 << 10)  # Python's own objects
    assert said <= bound


# ------------------------------------------------------------------------------- windows of all sizes, piece by piece

SHAPES = [
    ((2, 3, 40, 50), (7, 5), {"stride": (2, 3), "padding": 2}),
    ((1, 2, 60, 31), (3, 4), {"dilation": (17, 5), "padding": (16, 2), "stride": 1}),
    ((1, 1, 64, 64), 50, {"stride": 3}),
    ((1, 2, 33, 20), 4, {"stride": 3, "ceil_mode": True, "padding": 1}),
    ((1, 1, 3, 3), 2, {"dilation": 5, "padding": 2, "stride": 1}),  # windows without an element
]


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize(("shape", "kernel", "options"), SHAPES)
def test_extremes_in_parts(monkeypatch, kind, shape, kernel, options):
    rng = np.random.default_rng(4)
    x = rng.integers(-3, 4, shape).astype(float)
    x[rng.random(shape) < 0.01] = np.nan
    call = getattr(convlib, f"{kind}_pool2d")
    expected = call(x, kernel, return_indices=True, backend="naive", **options)
    monkeypatch.setattr(pool_slabs, "_SCRATCH", 1 << 14)
    for got, right in zip(call(x, kernel, return_indices=True, backend="im2col", **options), expected, strict=True):
        np.testing.assert_equal(got, right)
    np.testing.assert_equal(call(x, kernel, backend="im2col", **options), expected[0])


@pytest.mark.parametrize(("kind", "norm"), [("lp", 2), ("lp", 3), ("lp", math.inf), ("avg", None), ("sum", None)])
@pytest.mark.parametrize(("shape", "kernel", "options"), SHAPES)
def test_gradients_in_parts(monkeypatch, kind, norm, shape, kernel, options):
    rng = np.random.default_rng(4)
    x = rng.integers(-9, 10, shape).astype(float)
    norms = () if norm is None else (norm,)
    y = getattr(convlib, f"{kind}_pool2d")(x, *norms, kernel, **options)
    grad_y = rng.integers(-9, 10, y.shape).astype(float)
    args = (grad_y, x, y, norm, kernel) if norms else (grad_y, x.shape, kernel)
    call = getattr(convlib, f"{kind}_pool2d_grad_input")
    expected = call(*args, backend="naive", **options)
    monkeypatch.setattr(pool_grads, "_SCRATCH", 1 << 14)
    np.testing.assert_allclose(call(*args, backend="cython", **options), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("more", [{}, {"count_include_pad": False}, {"divisor_override": 3}])
@pytest.mark.parametrize(("shape", "kernel", "options"), SHAPES)
def test_averages_in_parts(monkeypatch, shape, kernel, options, more):
    x = np.random.default_rng(4).integers(-9, 10, shape).astype(float)
    expected = convlib.avg_pool2d(x, kernel, backend="naive", **options, **more)
    monkeypatch.setattr(pool_slabs, "_SCRATCH", 1 << 14)
    np.testing.assert_equal(convlib.avg_pool2d(x, kernel, backend="im2col", **options, **more), expected)


@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.parametrize(("kernel", "options"), [(8, {"dilation": 80}), (500, {"stride": 60}), (2, {}), (600, {})])
def test_scratch_of_pooling_is_bounded(kernel, options, indices):
    x = np.ones((1, 1, 600, 600), np.uint8)
    spec = PoolSpec.make("max", x.shape, kernel, nd=2, **{"stride": 1, **options})
    call = {"return_indices": indices, "backend": "im2col", "stride": 1, **options}
    convlib.max_pool2d(x, kernel, **call)
    with convlib.max_workspace(1 << 20):
        said = pool_slabs.scratch(spec)
        tracemalloc.start()
        try:
            found = convlib.max_pool2d(x, kernel, **call)
            results = sum(a.nbytes for a in found) if indices else found.nbytes
            peak = tracemalloc.get_traced_memory()[1] - results
        finally:
            tracemalloc.stop()
    assert peak <= said + (64 << 10)  # Python's own objects
    assert said <= 1 << 20
