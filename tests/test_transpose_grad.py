"""Transposed convolution and its gradients are adjoints of each other, exactly on integers."""

import math

import numpy as np
import pytest

import convlib

CASES = [
    ((2, 3, 5), (3, 2, 3), {"stride": 2, "padding": 1}),
    ((1, 2, 3, 4), (2, 3, 3, 2), {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}),
    ((1, 2, 3, 3), (2, 1, 2, 2), {"dilation": 3, "output_padding": 2}),
    ((1, 2, 3, 3), (2, 1, 3, 3), {"stride": 2, "output_size": (8, 7)}),
    ((1, 4, 3, 3), (4, 3, 3, 3), {"groups": 2, "padding": ((1, 0), (0, 2)), "stride": 2}),
    ((1, 1, 3, 3), (1, 2, 3, 3), {"stride": 2, "padding": "same_upper"}),
    ((1, 1, 3, 3), (1, 2, 2, 2), {"stride": 3, "padding": "same_lower", "flip": True}),
    ((2, 3, 3, 2), (2, 2, 2, 3), {"stride": 2, "layout": "NHWC"}),
    ((2, 3, 4), (2, 3, 2, 2), {"padding": 1}),
    ((1, 2, 2, 3, 2), (2, 2, 2, 2, 3), {"stride": 2, "padding": (0, 1, 1)}),
]


@pytest.mark.parametrize("backend", ["naive", "cython", "im2col", None])
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CASES)
def test_adjoints(x_shape, w_shape, options, backend):
    nd, rng = len(w_shape) - 2, np.random.default_rng(1)
    forward, grad_input, grad_weight = (
        getattr(convlib, f"conv_transpose{nd}d{suffix}") for suffix in ("", "_grad_input", "_grad_weight")
    )
    x, w = rng.integers(-9, 10, x_shape), rng.integers(-9, 10, w_shape)
    y = forward(x, w, backend=backend, **options)
    grad_y = rng.integers(-9, 10, y.shape)
    loss = (y * grad_y).sum()
    assert (grad_input(grad_y, w, x_shape, backend=backend, **options) * x).sum() == loss
    assert (grad_weight(grad_y, x, w_shape, backend=backend, **options) * w).sum() == loss


def test_out_and_float16():
    grad_y, w, out = np.ones((1, 1, 4, 4), np.float16), np.ones((1, 1, 2, 2), np.float16), np.zeros((1, 1, 2, 2), "f2")
    assert convlib.conv_transpose2d_grad_input(grad_y, w, (1, 1, 2, 2), stride=2, out=out) is out
    assert out.tolist() == [[[[4, 4], [4, 4]]]]


@pytest.mark.parametrize("shape", [(1, 2, 5, 5), (2, 1, 5, 5), (1, 1, 5, 6), (1, 5, 5)])
def test_impossible_gradients(shape):
    grad_y = np.ones(shape)
    with pytest.raises(convlib.SpecError, match=r"gives \(1, 1, 5, 5\)"):
        convlib.conv_transpose2d_grad_input(grad_y, np.ones((3, 1, 3, 3)), (1, 3, 2, 2), stride=2)
    with pytest.raises(convlib.SpecError, match=r"gives \(1, 1, 5, 5\)"):
        convlib.conv_transpose2d_grad_weight(grad_y, np.ones((1, 3, 2, 2)), (3, 1, 3, 3), stride=2)


def test_against_differences():
    rng = np.random.default_rng(2)
    x, w, options = rng.random((1, 2, 3, 2)), rng.random((2, 2, 3, 3)), {"stride": 2, "padding": 1, "output_padding": 1}
    y = convlib.conv_transpose2d(x, w, **options)
    grad_y = rng.random(y.shape)
    for a, grad in (
        (x, convlib.conv_transpose2d_grad_input(grad_y, w, x.shape, **options)),
        (w, convlib.conv_transpose2d_grad_weight(grad_y, x, w.shape, **options)),
    ):
        for place in np.ndindex(a.shape):
            start, losses = a[place], []
            for change in (1e-6, -1e-6):
                a[place] = start + change
                losses.append((convlib.conv_transpose2d(x, w, **options) * grad_y).sum())
            a[place] = start
            assert math.isclose((losses[0] - losses[1]) / 2e-6, grad[place], rel_tol=1e-6)


def test_explain():
    shapes = (1, 1, 5, 5), (3, 1, 3, 3), (1, 3, 2, 2)
    assert convlib.explain("conv_transpose2d_grad_input", *shapes, stride=2).op == "conv"
    shapes = (1, 1, 5, 5), (1, 3, 2, 2), (3, 1, 3, 3)
    assert convlib.explain("conv_transpose2d_grad_weight", *shapes, stride=2).op == "conv_grad_weight"
