"""Gradients of pools: sums spread over windows and scattered to places."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib
from convlib._ext import _native_pool as pooling


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
        np.testing.assert_array_equal(ours[0], spread, err_msg=f"kernel {kernel}, {window}")
        np.testing.assert_array_equal(ours[1], scattered, err_msg=f"kernel {kernel}, {window}")


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
