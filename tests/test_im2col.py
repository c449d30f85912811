"""The im2col backend reads and writes arrays where they lie, whatever their strides."""

import tracemalloc

import numpy as np
import pytest

import convlib


def views(rng, shape):
    """Yield arrays of small integers of one shape, of every kind of strides."""
    n, c, h, w = shape
    yield rng.integers(-9, 10, shape).astype(np.float32)
    yield rng.integers(-9, 10, (n, h, w, c)).astype(np.float32).transpose(0, 3, 1, 2)
    yield rng.integers(-9, 10, (n, c, 2 * h, 3 * w)).astype(np.float32)[:, :, ::2, ::-3]
    yield rng.integers(-9, 10, (c, n, h, w)).astype(np.float32).transpose(1, 0, 2, 3)[:, ::-1]
    yield np.broadcast_to(rng.integers(-9, 10, (n, 1, h, w)).astype(np.float32), shape)
    wide = rng.integers(-9, 10, (n, c, h, 2 * w)).astype(np.float32)
    yield np.lib.stride_tricks.sliding_window_view(wide, w, axis=3)[:, :, :, 1]


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_any_strides_in_and_out(kernel, groups):
    rng = np.random.default_rng(0)
    x_shape, w_shape, y_shape = (2, 4, 3, 4), (2, 4 // groups, kernel, kernel), (2, 2, 3, 4)
    options = {"groups": groups, "padding": kernel // 2}
    results = [np.empty(y_shape, np.float32), np.empty((2, 3, 4, 2), np.float32).transpose(0, 3, 1, 2)]
    results.append(np.empty((2, 2, 3, 8), np.float32)[..., ::-2])
    for x in views(rng, x_shape):
        for w, grad_y in zip(views(rng, w_shape), views(rng, y_shape), strict=True):
            expected = convlib.conv2d(x, w, backend="naive", **options)
            for out in results:
                convlib.conv2d(x, w, out=out, backend="im2col", **options)
                np.testing.assert_array_equal(out, expected)
            expected = convlib.conv2d_grad_weight(grad_y, x, w_shape, backend="naive", **options)
            got = convlib.conv2d_grad_weight(grad_y, x, w_shape, backend="im2col", **options)
            np.testing.assert_array_equal(got, expected)
            expected = convlib.conv2d_grad_input(grad_y, w, x_shape, backend="naive", **options)
            out = np.ones((2, 3, 4, 4), np.float32).transpose(0, 3, 1, 2)
            convlib.conv2d_grad_input(grad_y, w, x_shape, out=out, backend="im2col", **options)
            np.testing.assert_array_equal(out, expected)


def test_a_broadcast_of_any_size_is_not_copied():
    x = np.broadcast_to(np.float32(2), (1, 1, 200_000, 200_000))
    options = {"stride": 100_000, "backend": "im2col"}
    assert convlib.conv2d(x, np.ones((1, 1, 3, 3), np.float32), **options).tolist() == [[[[18, 18], [18, 18]]]]
    assert convlib.max_pool2d(x, 2, **options).tolist() == [[[[2, 2], [2, 2]]]]
    assert convlib.im2col(x, (2, 2), **options).tolist() == [[[2] * 4] * 4]


def test_a_view_is_not_copied():
    x, w = np.ones((1, 1, 1500, 3000), np.float64)[..., ::2], np.ones((1, 1, 3, 3))
    convlib.conv2d(x, w, backend="im2col")
    said = convlib.explain("conv2d", x.shape, w.shape, dtype="float64", backend="im2col").workspace_nbytes
    tracemalloc.start()
    try:
        y = convlib.conv2d(x, w, backend="im2col")
        peak = tracemalloc.get_traced_memory()[1] - y.nbytes
    finally:
        tracemalloc.stop()
    assert peak <= said + (64 << 10)


@pytest.mark.parametrize("kernel", [1, 3])
def test_scratch_of_weight_gradients_is_what_is_said(kernel):
    x = np.ones((2, 16, 200, 200), np.float32)
    shape, options = (16, 16, kernel, kernel), {"padding": kernel // 2, "backend": "im2col"}
    convlib.conv2d_grad_weight(x, x, shape, **options)
    tracemalloc.start()
    try:
        convlib.conv2d_grad_weight(x, x, shape, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = convlib.explain("conv2d_grad_weight", x.shape, x.shape, shape, dtype="float32", **options).workspace_nbytes
    assert peak <= said + (64 << 10)
