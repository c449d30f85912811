"""Gradients of pooling: finite differences, adjoints, indices, refusals."""

import math

import numpy as np
import pytest
from tools import differences

import convlib
from convlib import SpecError

BACKENDS = ("naive", "cython", "im2col")

WINDOWS = [
    ((2, 3, 11), 3, {"stride": 2, "padding": 1}),
    ((1, 2, 6, 7), 2, {}),
    ((1, 2, 7, 6), 3, {"stride": (2, 1), "padding": ((1, 2), (0, 1))}),
    ((1, 2, 7, 8), (2, 3), {"dilation": (3, 2), "stride": 2, "padding": 1}),
    ((1, 1, 9, 9), 4, {"stride": 4, "padding": 2, "ceil_mode": True}),
    ((2, 7, 6, 3), 3, {"stride": 2, "padding": 1, "layout": "NHWC"}),
    ((2, 5, 6), (2, 3), {"stride": 1}),
    ((1, 2, 4, 3, 5), 2, {"stride": (1, 2, 2), "padding": (1, 0, 1)}),
    ((1, 1, 2, 2), 2, {"dilation": 3, "padding": 1, "stride": 1}),
]


def rank(x_shape, options):
    return 2 if options == {"stride": 1} else len(x_shape) - 2


@pytest.fixture
def data():
    """Distinct values, none near 0 and no two near each other, so that differences meet no kink."""

    def make(shape, seed=1):
        rng = np.random.default_rng(seed)
        values = rng.permutation(math.prod(shape)) + 1.0
        return (values * rng.choice([-1, 1], values.size) / 7).reshape(shape)

    return make


def named(kind, nd, suffix=""):
    return getattr(convlib, f"{kind}_pool{nd}d{suffix}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("x_shape", "kernel", "options"), WINDOWS)
def test_extremes(data, x_shape, kernel, options, backend):
    nd, x = rank(x_shape, options), data(x_shape)
    layout = {key: value for key, value in options.items() if key == "layout"}
    for kind in ("max", "min"):
        forward = named(kind, nd)
        y, indices = forward(x, kernel, return_indices=True, **options)
        grad_y = np.random.default_rng(2).standard_normal(y.shape)
        got = named(kind, nd, "_grad_input")(grad_y, indices, x.shape, backend=backend, **layout)
        expected = differences(lambda a, f=forward: f(a, kernel, **options), x, grad_y)
        np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("x_shape", "kernel", "options"), WINDOWS)
@pytest.mark.parametrize("more", [{}, {"count_include_pad": False}, {"divisor_override": -3}])
def test_averages(data, x_shape, kernel, options, more, backend):
    nd, x, options = rank(x_shape, options), data(x_shape), {**options, **more}
    y = named("avg", nd)(x, kernel, **options)
    grad_y = np.random.default_rng(2).standard_normal(y.shape)
    got = named("avg", nd, "_grad_input")(grad_y, x.shape, kernel, backend=backend, **options)
    expected = differences(lambda a: named("avg", nd)(a, kernel, **options), x, grad_y)
    np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("x_shape", "kernel", "options"), WINDOWS)
def test_sums_are_the_exact_adjoint(x_shape, kernel, options, backend):
    nd, rng = rank(x_shape, options), np.random.default_rng(3)
    x = rng.integers(-9, 10, x_shape)
    y = named("sum", nd)(x, kernel, **options)
    grad_y = rng.integers(-9, 10, y.shape)
    grad_x = named("sum", nd, "_grad_input")(grad_y, x.shape, kernel, backend=backend, **options)
    assert grad_x.dtype == np.int64
    assert (y * grad_y).sum() == (x * grad_x).sum()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("x_shape", "kernel", "options"), WINDOWS)
@pytest.mark.parametrize("p", [1, 2, 3.5, math.inf])
def test_norms(data, x_shape, kernel, options, p, backend):
    nd, x = rank(x_shape, options), data(x_shape)
    y = named("lp", nd)(x, p, kernel, **options)
    grad_y = np.random.default_rng(2).standard_normal(y.shape)
    got = named("lp", nd, "_grad_input")(grad_y, x, y, p, kernel, backend=backend, **options)
    expected = differences(lambda a: named("lp", nd)(a, p, kernel, **options), x, grad_y)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("p", [0.5, 1, 2, 20, math.inf])
def test_norms_of_zeros_and_extremes(p, backend):
    x = np.array([[[0, 0, 1e-30, 1e-30, 1e30, 0]]], np.float32)
    y = convlib.lp_pool1d(x, math.inf, 2)  # any y > 0 will do
    grad = convlib.lp_pool1d_grad_input(np.ones_like(y), x, y, p, 2, backend=backend)
    assert grad[0, 0, [0, 1, 5]].tolist() == [0, 0, 0]
    assert grad[0, 0, 2] == grad[0, 0, 4] == 1
    assert grad[0, 0, 3] == (0 if p == math.inf else 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1, (3, 4), (9, 8)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_adaptive(data, size, layout, backend):
    x = data((2, 7, 6, 3))
    for kind in ("avg", "max"):
        forward = getattr(convlib, f"adaptive_{kind}_pool2d")
        y = forward(x, size, layout=layout)
        grad_y = np.random.default_rng(2).standard_normal(y.shape)
        given = (grad_y,)
        if kind == "max":
            given += (forward(x, size, layout=layout, return_indices=True)[1],)
        expected = differences(lambda a, f=forward: f(a, size, layout=layout), x, grad_y)
        for op in ("adaptive", "global") if size == 1 else ("adaptive",):
            backward = getattr(convlib, f"{op}_{kind}_pool2d_grad_input")
            got = backward(*given, x.shape, layout=layout, backend=backend)
            np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_and_nan_go_where_the_forward_operator_looked(backend):
    x = np.array([[[1, np.nan, 5, np.nan, 2, 2]]])
    _, indices = convlib.max_pool1d(x, 3, stride=2, padding=1, return_indices=True)
    grad = convlib.max_pool1d_grad_input(np.array([[[1.0, 2, 4]]]), indices, x.shape, backend=backend)
    assert grad.tolist() == [[[0, 1, 0, 6, 0, 0]]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [-2, 16, 2**40, -(2**40)])
def test_indices_out_of_range(bad, backend):
    guarded = np.full((3, 4, 4), 7.0)
    indices = np.zeros((1, 1, 2, 2), np.int64)
    indices[0, 0, 1, 1] = bad
    for call in (
        lambda: convlib.max_pool2d_grad_input(
            np.ones((1, 1, 2, 2)), indices, (1, 1, 4, 4), out=guarded[1][None, None], backend=backend
        ),
        lambda: convlib.max_unpool2d(np.ones((1, 1, 2, 2)), indices, 2, out=guarded[1][None, None], backend=backend),
    ):
        with pytest.raises(ValueError, match="indices must lie between -1"):
            call()
        assert (guarded == 7).all()


REFUSALS = [
    (lambda: convlib.avg_pool2d_grad_input(np.ones((1, 2, 3, 3)), (1, 2, 8, 8), 2), r"gives \(1, 2, 4, 4\)"),
    (lambda: convlib.sum_pool2d_grad_input(np.ones((1, 2, 4)), (1, 2, 8, 8), 2), r"gives \(1, 2, 4, 4\)"),
    (lambda: convlib.lp_pool1d_grad_input(np.ones((1, 2, 4)), np.ones((1, 2, 8)), np.ones((1, 2, 3)), 2, 2), "y has"),
    (lambda: convlib.lp_pool1d_grad_input(np.ones((1, 2, 3)), np.ones((1, 2, 8)), np.ones((1, 2, 4)), 2, 2), "grad_y"),
    (lambda: convlib.global_avg_pool2d_grad_input(np.ones((1, 2)), (1, 2, 8, 8)), r"gives \(1, 2, 1, 1\)"),
    (lambda: convlib.adaptive_avg_pool2d_grad_input(np.ones((1, 3, 4, 4)), (1, 2, 8, 8)), "cannot come from x"),
    (lambda: convlib.max_pool2d_grad_input(np.ones((2, 4, 4)), np.ones((2, 4, 4), int), (1, 2, 8, 8)), "cannot come"),
    (lambda: convlib.max_pool2d_grad_input(np.ones((1, 2, 4, 4)), np.ones((1, 2, 4, 3), int), (1, 2, 8, 8)), "indices"),
    (lambda: convlib.avg_pool2d_grad_input(np.ones((1, 1, 2, 2)), (1, 1, 4, -4), 2), "negative size"),
    (lambda: convlib.avg_pool2d_grad_input(np.ones((1, 1, 2, 2)), (1, 1, 4, 4), 2, out=np.ones((1, 1, 4, 3))), "out"),
    (lambda: convlib.sum_pool1d_grad_input(np.full((1, 1, 2), 2**62), (1, 1, 3), 2, stride=1), "overflow"),
    (lambda: convlib.max_pool1d_grad_input(np.full((1, 1, 2), 2**62), np.zeros((1, 1, 2), int), (1, 1, 3)), "overflow"),
]


@pytest.mark.parametrize(("call", "words"), REFUSALS)
def test_refusals(call, words):
    with pytest.raises(SpecError, match=words):
        call()


def test_wrong_types():
    with pytest.raises(TypeError, match="indices must be integers"):
        convlib.max_pool1d_grad_input(np.ones((1, 1, 2)), np.ones((1, 1, 2)), (1, 1, 3))
    with pytest.raises(TypeError, match="x_shape must be a shape"):
        convlib.avg_pool1d_grad_input(np.ones((1, 1, 2)), 4, 2)
    with pytest.raises(TypeError, match="grad_y has dtype object"):
        convlib.avg_pool1d_grad_input(np.ones((1, 1, 2), object), (1, 1, 4), 2)


def test_explain_knows_the_gradients():
    assert convlib.explain("avg_pool2d_grad_input", (1, 1, 2, 2), (1, 1, 4, 4), 2).op == "pool_grad_input"
    assert convlib.explain("max_pool2d_grad_input", (1, 1, 2, 2), (1, 1, 2, 2), (1, 1, 4, 4)).op == "unpool"
    assert convlib.explain("lp_pool1d_grad_input", (1, 1, 2), (1, 1, 4), (1, 1, 2), 2, 2).op == "pool_grad_input"
    assert convlib.explain("global_avg_pool1d_grad_input", (1, 1, 1), (1, 1, 4)).op == "pool_grad_input"


def test_scratch_is_cut_into_blocks(monkeypatch):
    from convlib.backends import pool_grads

    rng = np.random.default_rng(4)
    grad_y = rng.integers(-3, 4, (3, 5, 6, 7)).astype(float)
    whole = convlib.avg_pool2d_grad_input(grad_y, (3, 5, 12, 14), 2, backend="im2col")
    for scratch in (1, 8 * 2 * 12 * 14 * 2, 8 * 2 * 12 * 14 * 7):
        monkeypatch.setattr(pool_grads, "_SCRATCH", scratch)
        parts = convlib.avg_pool2d_grad_input(grad_y, (3, 5, 12, 14), 2, backend="im2col")
        np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_batch_unpools(backend):
    empty = np.ones((0, 2, 3, 3))
    assert convlib.max_unpool2d(empty, empty.astype(int), 2, backend=backend).shape == (0, 2, 6, 6)
