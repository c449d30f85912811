"""The native engine's gradient kernels against plain sums, bit for bit on small integers, for every instruction set."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib
from convlib._ext import _native as native, _native_pool as pooling

WORKSPACE = 64 << 20

#: n, groups, icg, ocg, input, kernel, stride, dilation, padding.
CASES: dict[str, tuple[Any, ...]] = {
    "3x3": (2, 1, 5, 17, (13, 11), (3, 3), 1, 1, 1),
    "no padding, in place": (2, 1, 5, 17, (13, 11), (3, 3), 1, 1, 0),
    "pointwise": (3, 1, 9, 33, (9, 20), (1, 1), 1, 1, 0),
    "pointwise, stride 2": (2, 1, 9, 20, (9, 21), (1, 1), 2, 1, 0),
    "stem": (2, 1, 3, 64, (31, 33), (7, 7), 2, 1, 3),
    "stride 3, dilation 2": (1, 1, 4, 12, (21, 25), (3, 3), 3, 2, 2),
    "groups": (2, 3, 4, 16, (9, 8), (3, 3), 1, 1, 1),
    "many channels": (1, 1, 70, 97, (5, 7), (3, 3), 1, 1, 1),
    "long rows": (1, 1, 2, 16, (2, 700), (1, 3), 1, 1, 0),
    "one pixel": (5, 1, 6, 48, (3, 3), (3, 3), 1, 1, 0),
    "1d": (2, 1, 5, 49, (70,), (9,), 1, 1, 4),
    "3d": (1, 1, 3, 24, (5, 6, 7), (3, 3, 3), 2, 1, 1),
    "padding wider than the kernel": (1, 1, 2, 16, (3, 2), (2, 2), 1, 1, 4),
    "depthwise": (2, 7, 1, 1, (14, 37), (3, 3), 1, 1, 1),
    "depthwise, stride 2": (2, 5, 1, 1, (14, 37), (3, 3), 2, 1, 1),
    "depthwise 7x7, dilated": (1, 3, 1, 1, (20, 50), (7, 7), 1, 2, 6),
    "depthwise, one row": (1, 3, 1, 1, (1, 50), (1, 6), 1, 1, 2),
    "few outputs": (2, 1, 6, 5, (9, 40), (5, 5), 1, 1, 2),
    "few outputs, groups, stride 3": (2, 2, 3, 2, (9, 40), (2, 4), 3, 1, 1),
    "few outputs 3d": (1, 1, 2, 3, (4, 5, 18), (3, 3, 3), 1, 1, 1),
}


@pytest.fixture(params=native.detected_isas())
def isa(request: pytest.FixtureRequest) -> Any:
    before = native.active_isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


def weight_gradient(
    case: tuple[Any, ...], dtype: str, last: bool = False, threads: int = 2, workspace: int = WORKSPACE
) -> tuple[Any, Any]:
    """Return the kernel's answer and plain sums of products of shifted slices."""
    n, g, icg, ocg, size, k, s, d, lo = case
    out = tuple((i + 2 * lo - d * (kk - 1) - 1) // s + 1 for i, kk in zip(size, k, strict=True))
    rng = np.random.default_rng(icg + ocg)
    x = rng.integers(-3, 4, (n, g * icg, *size)).astype(dtype)
    gy = rng.integers(-3, 4, (n, g * ocg, *out)).astype(dtype)
    wide = np.pad(x, [(0, 0), (0, 0), *[(lo, lo)] * len(k)])
    expected = np.zeros((g, ocg, icg, *k))
    for tap in itertools.product(*map(range, k)):
        at = tuple(slice(t * d, t * d + (o - 1) * s + 1, s) for t, o in zip(tap, out, strict=True))
        part = wide[(..., *at)].reshape(n, g, icg, -1).astype("f8")
        expected[(..., *tap)] = np.einsum("ngop,ngip->goi", gy.reshape(n, g, ocg, -1).astype("f8"), part)
    if last:
        x, gy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, gy))
    frame = np.full(expected.size + 64, 7, dtype)
    target = frame[32:-32].reshape(g * ocg, icg, *k)
    nd = len(k)
    problem = native.ConvProblem(n, g, icg, ocg, size, k, out, (s,) * nd, (d,) * nd, (lo,) * nd)
    native.grad_weight(problem, x, gy, target, threads, workspace)
    assert (frame[:32] == 7).all()
    assert (frame[-32:] == 7).all()
    return target, expected.reshape(target.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("case", CASES)
def test_weight_gradient(isa: str, case: str, last: bool, dtype: str) -> None:
    np.testing.assert_array_equal(*weight_gradient(CASES[case], dtype, last))


@pytest.mark.parametrize("ocg", [1, 4, 7, 8, 9, 15, 16, 17, 32, 33, 47, 48, 49, 96, 97])
@pytest.mark.parametrize("pixels", [1, 15, 16, 17, 319, 320, 321, 700])
def test_weight_gradient_at_tile_edges(isa: str, ocg: int, pixels: int) -> None:
    for icg in (1, 8, 9):
        np.testing.assert_array_equal(*weight_gradient((1, 1, icg, ocg, (pixels,), (1,), 1, 1, 0), "float32"))


def test_weight_gradient_of_a_batch_in_several_passes(isa: str) -> None:
    case = (5, 1, 3, 16, (20, 20), (3, 3), 1, 1, 1)
    np.testing.assert_array_equal(*weight_gradient(case, "float32", workspace=1))


def test_weight_gradient_has_the_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    for channels, groups in ((40, 1), (40, 40)):
        x = rng.standard_normal((3, 40, 23, 21), "f4")
        w_shape = (channels, channels // groups, 3, 3)
        grad = rng.standard_normal((3, 40, 23, 21), "f4")
        bits = []
        for threads in (1, 2, 3):
            with convlib.num_threads(threads):
                made = convlib.conv2d_grad_weight(grad, x, w_shape, padding=1, groups=groups, backend="native")
            bits.append(made.tobytes())
        assert len(set(bits)) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (9, 33)], ids=str)
def test_spreading(isa: str, size: tuple[int, int], layout: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for kernel, stride, padding, dilation in itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (1, 2)):
        if padding * 2 > kernel or min(size) + 2 * padding < dilation * (kernel - 1) + 1:
            continue
        window: Any = {"stride": stride, "padding": padding, "dilation": dilation, "layout": layout}
        shape = (2, 19, *size) if layout == "NCHW" else (2, *size, 19)
        x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
        y, places = convlib.max_pool2d(x, kernel, return_indices=True, **window)
        grad = (rng.integers(-9, 10, y.shape) * 36).astype(dtype)  # divisible by the taps of each window here
        for backend in ("native", "naive") if np.prod(size) < 40 and kernel > 1 else ("native", "cython"):
            with convlib.use_backend(backend):
                spread = convlib.avg_pool2d_grad_input(grad, shape, kernel, **window)
                scattered = convlib.max_pool2d_grad_input(grad, places, shape, layout=layout)
            if backend == "native":
                ours = spread, scattered
        np.testing.assert_array_equal(ours[0], spread)
        np.testing.assert_array_equal(ours[1], scattered)


@pytest.mark.parametrize("place", [-2, 4, 2**40, -(2**62)])
def test_a_place_outside_its_plane_is_refused_and_not_written(isa: str, place: int) -> None:
    frame = np.full(4 + 64, 7, "f4")
    x = frame[32:-32].reshape(1, 1, 2, 2)
    problem = pooling.PoolProblem(1, 1, (2, 2), (1, 1), (1, 3), (1, 1), (1, 1), (0, 0), (0, 0), "max")
    indices = np.array([0, place, -1]).reshape(1, 1, 1, 3)
    assert not pooling.pool_grad(problem, np.ones((1, 1, 1, 3), "f4"), indices, x, True, 1)
    assert (frame[:32] == 7).all()
    assert (frame[-32:] == 7).all()
    np.testing.assert_array_equal(x.ravel(), [1, 0, 0, 0])


def test_the_bridge_refuses_arrays_it_could_not_walk() -> None:
    problem = pooling.PoolProblem(1, 2, (2, 2), (1, 1), (2, 2), (1, 1), (1, 1), (0, 0), (0, 0), "max")
    y = np.ones((1, 2, 2, 2), "f4")
    with pytest.raises(ValueError, match="contiguous neither"):
        pooling.pool_grad(problem, y, None, np.ones((1, 2, 2, 4), "f4")[..., ::2], True, 1)
    with pytest.raises(ValueError, match="shape and strides"):
        pooling.pool_grad(problem, y, np.zeros((1, 2, 2, 3), int)[..., :2], y.copy(), True, 1)
    with pytest.raises(TypeError, match="float32"):
        pooling.pool_grad(problem, y, None, y.astype("f8"), True, 1)
    conv = native.ConvProblem(1, 1, 1, 1, (2, 2), (1, 1), (2, 2), (1, 1), (1, 1), (0, 0))
    with pytest.raises(ValueError, match="empty"):
        native.grad_weight(conv, y[:0, :1], y[:, :1], np.ones((1, 1, 1, 1), "f4"), 1, 9)
