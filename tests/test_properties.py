"""What must hold for every input: linearity, adjoints, identities, gradients; on small integers, hence exactly."""

import functools
import itertools

import numpy as np
import pytest
from conftest import skip_refusal
from hypothesis import assume, given, settings, strategies as st
from tools import differences

import convlib


def served(test):
    """Skip at once where the backend does not serve a call, before hypothesis looks for the simplest such call."""

    @functools.wraps(test)
    def call(*args, **kwargs):
        try:
            return test(*args, **kwargs)
        except convlib.UnsupportedError as error:
            skip_refusal(error, kwargs["backend"])

    return call


class Problem:
    """A convolution that fits: shapes, options and small integers to fill them with."""

    def __init__(self, nd, n, groups, icg, ocg, axes, seed, flip, last):
        self.nd, self.flip = nd, flip
        kernel, stride, dilation, lo, hi, spare = zip(*axes, strict=True)
        span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        size = [max(1, e + extra - a - b) for e, extra, a, b in zip(span, spare, lo, hi, strict=True)]
        order = (lambda c, s: (n, *s, c)) if last else (lambda c, s: (n, c, *s))
        self.x_shape = order(groups * icg, size)
        self.w_shape = (groups * ocg, icg, *kernel)
        self.options = {
            "stride": stride, "dilation": dilation, "padding": tuple(zip(lo, hi, strict=True)), "groups": groups,
            "layout": "NHWC" if last else "NCHW",
        }  # fmt: skip
        self.y_shape = convlib.conv_output_shape(self.x_shape, self.w_shape, **self.options)
        self.rng = np.random.default_rng(seed)

    def array(self, shape, dtype="int64"):
        return self.rng.integers(-3, 4, shape).astype(dtype)

    def call(self, name, *args, backend, **more):
        function = getattr(convlib, name.replace("nd", f"{self.nd}d"))
        return function(*args, **{**self.options, **more}, backend=backend)

    def __repr__(self):
        return f"x {self.x_shape} w {self.w_shape} {self.options} flip={self.flip}"


axis = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)
)  # kernel, stride, dilation, lo, hi, elements beyond the window


def some(groups, last):
    return st.integers(1, 3).flatmap(
        lambda nd: st.builds(
            Problem, st.just(nd), st.integers(1, 2), groups, st.integers(1, 2), st.integers(1, 3),
            st.lists(axis, min_size=nd, max_size=nd), st.integers(0, 2**32), st.booleans(), last,
        )
    )  # fmt: skip


problems = some(st.integers(1, 2), st.booleans())
channels_first = some(st.integers(1, 2), st.just(False))


def dot(a, b):
    return (a * b).sum()


# ------------------------------------------------------------------------------- convolution


@given(problem=problems)
@served
def test_convolution_is_bilinear(problem, backend):
    x, other = problem.array(problem.x_shape), problem.array(problem.x_shape)
    w, v = problem.array(problem.w_shape), problem.array(problem.w_shape)

    def conv(x, w):
        return problem.call("convnd", x, w, backend=backend, flip=problem.flip)

    np.testing.assert_array_equal(conv(2 * x - 3 * other, w), 2 * conv(x, w) - 3 * conv(other, w))
    np.testing.assert_array_equal(conv(x, w + v), conv(x, w) + conv(x, v))


@given(problem=problems)
@served
def test_gradients_are_the_adjoints_of_the_convolution(problem, backend):
    x, w, y = (problem.array(shape) for shape in (problem.x_shape, problem.w_shape, problem.y_shape))
    flip = {"flip": problem.flip, "backend": backend}
    value = dot(problem.call("convnd", x, w, **flip), y)
    assert value == dot(problem.call("convnd_grad_input", y, w, x.shape, **flip), x)
    assert value == dot(problem.call("convnd_grad_weight", y, x, w.shape, **flip), w)


@given(problem=problems, mode=st.sampled_from(["symmetric", "edge", "wrap"]))
@served
def test_gradients_are_adjoint_for_every_padding_mode(problem, mode, backend):
    x, w, y = (problem.array(shape) for shape in (problem.x_shape, problem.w_shape, problem.y_shape))
    more = {"padding_mode": mode, "backend": backend}
    value = dot(problem.call("convnd", x, w, **more), y)
    assert value == dot(problem.call("convnd_grad_input", y, w, x.shape, **more), x)
    assert value == dot(problem.call("convnd_grad_weight", y, x, w.shape, **more), w)


@given(problem=problems)
@served
def test_transposed_convolution_is_the_adjoint(problem, backend):
    x, w, y = (problem.array(shape) for shape in (problem.x_shape, problem.w_shape, problem.y_shape))
    size = x.shape[1:-1] if problem.options["layout"] == "NHWC" else x.shape[2:]
    back = problem.call("conv_transposend", y, w, backend=backend, output_size=size)
    assert dot(problem.call("convnd", x, w, backend=backend), y) == dot(x, back)


@given(problem=problems)
@served
def test_padding_is_the_same_as_explicit_zeros(problem, backend):
    x, w = problem.array(problem.x_shape), problem.array(problem.w_shape)
    pads = problem.options["padding"]
    wide = np.pad(x, ((0, 0), *pads, (0, 0)) if problem.options["layout"] == "NHWC" else ((0, 0), (0, 0), *pads))
    np.testing.assert_array_equal(
        problem.call("convnd", x, w, backend=backend), problem.call("convnd", wide, w, backend=backend, padding=0)
    )


@given(problem=problems, mode=st.sampled_from(["reflect", "symmetric", "edge", "wrap"]))
@served
def test_padding_modes_are_those_of_numpy(problem, mode, backend):
    x, w = problem.array(problem.x_shape), problem.array(problem.w_shape)
    pads = problem.options["padding"]
    pads = ((0, 0), *pads, (0, 0)) if problem.options["layout"] == "NHWC" else ((0, 0), (0, 0), *pads)
    np.testing.assert_array_equal(
        problem.call("convnd", x, w, backend=backend, padding_mode=mode),
        problem.call("convnd", np.pad(x, pads, mode=mode), w, backend=backend, padding=0),
    )


@given(problem=problems)
@served
def test_flip_is_correlation_with_the_flipped_kernel(problem, backend):
    x, w = problem.array(problem.x_shape), problem.array(problem.w_shape)
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    np.testing.assert_array_equal(
        problem.call("convnd", x, w, backend=backend, flip=True), problem.call("convnd", x, flipped, backend=backend)
    )


@given(problem=channels_first)
@served
def test_groups_are_separate_convolutions(problem, backend):
    x, w, g = problem.array(problem.x_shape), problem.array(problem.w_shape), problem.options["groups"]
    parts = [
        problem.call("convnd", a, b, backend=backend, groups=1)
        for a, b in zip(np.split(x, g, 1), np.split(w, g, 0), strict=True)
    ]
    np.testing.assert_array_equal(problem.call("convnd", x, w, backend=backend), np.concatenate(parts, 1))


@given(problem=problems)
@served
def test_the_layouts_agree(problem, backend):
    first, last = (0, problem.nd + 1, *range(1, problem.nd + 1)), (0, *range(2, problem.nd + 2), 1)
    there, other = (first, "NCHW") if problem.options["layout"] == "NHWC" else (last, "NHWC")
    back = last if there is first else first
    x, w = problem.array(problem.x_shape), problem.array(problem.w_shape)
    y = problem.call("convnd", x.transpose(there), w, backend=backend, layout=other)
    np.testing.assert_array_equal(problem.call("convnd", x, w, backend=backend), y.transpose(back))


def test_a_1x1_kernel_is_a_matrix_product(backend):
    rng = np.random.default_rng(1)
    x, w = rng.integers(-3, 4, (2, 5, 4, 3)).astype(np.float32), rng.integers(-3, 4, (6, 5, 1, 1)).astype(np.float32)
    expected = (w[:, :, 0, 0] @ x.reshape(2, 5, 12)).reshape(2, 6, 4, 3)
    np.testing.assert_allclose(convlib.conv2d(x, w, backend=backend), expected, atol=2e-5)


@pytest.mark.parametrize(("row", "column"), list(itertools.product(range(3), range(4))))
def test_a_delta_kernel_shifts(row, column, backend):
    x = np.arange(1.0, 43.0).reshape(1, 1, 6, 7)
    w = np.zeros((1, 1, 3, 4))
    w[0, 0, row, column] = 1
    y = convlib.conv2d(x, w, backend=backend)
    np.testing.assert_allclose(y, x[:, :, row : row + 4, column : column + 4], rtol=1e-12)


def test_numpy_and_scipy_agree_in_one_dimension(backend):
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal(23), rng.standard_normal(6)
    y = convlib.conv1d(x[None], w[None, None], padding="full", flip=True, backend=backend)[0]
    np.testing.assert_allclose(y, np.convolve(x, w), atol=1e-12)
    y = convlib.conv1d(x[None], w[None, None], backend=backend)[0]
    np.testing.assert_allclose(y, np.correlate(x, w, "valid"), atol=1e-12)


@pytest.mark.parametrize(("boundary", "mode"), [("symmetric", "reflect"), ("reflect", "mirror"), ("edge", "nearest"),
                                                ("wrap", "grid-wrap"), ("constant", "constant")])  # fmt: skip
def test_filter2d_is_scipys_correlate_under_its_own_names(boundary, mode, backend):
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(3)
    image, kernel = rng.integers(0, 9, (9, 8)).astype(float), rng.integers(-2, 3, (5, 3)).astype(float)
    y = convlib.filter2d(image, kernel, boundary=boundary, backend=backend)
    np.testing.assert_allclose(y, ndimage.correlate(image, kernel, mode=mode), atol=1e-11)
    y = convlib.filter2d(image, kernel, boundary=boundary, flip=True, backend=backend)
    np.testing.assert_allclose(y, ndimage.convolve(image, kernel, mode=mode), atol=1e-11)


# ------------------------------------------------------------------------------- columns


@given(problem=channels_first)
@served
def test_col2im_is_the_adjoint_of_im2col(problem, backend):
    kernel = problem.w_shape[2:]
    options = {name: problem.options[name] for name in ("stride", "padding", "dilation")}
    x = problem.array(problem.x_shape)
    columns = convlib.im2col(x, kernel, **options, backend=backend)
    other = problem.array(columns.shape)
    back = convlib.col2im(other, x.shape[2:], kernel, **options, backend=backend)
    assert dot(columns, other) == dot(x, back)


@given(problem=some(st.just(1), st.just(False)))
@served
def test_a_convolution_is_a_matrix_product_with_the_columns(problem, backend):
    x, w = problem.array(problem.x_shape), problem.array(problem.w_shape)
    options = {name: problem.options[name] for name in ("stride", "padding", "dilation")}
    columns = convlib.im2col(x, w.shape[2:], **options, backend=backend)
    y = problem.call("convnd", x, w, backend=backend)
    np.testing.assert_array_equal(y.reshape(*y.shape[:2], -1), w.reshape(len(w), -1) @ columns)


# ------------------------------------------------------------------------------- pooling


POOLS = ("max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d")
planes = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 7), st.integers(1, 7))
seeds = st.integers(0, 2**32)


def plane(shape, seed):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float64)


@pytest.mark.parametrize("op", POOLS)
@given(shape=planes, seed=seeds)
@served
def test_a_window_of_one_element_changes_nothing(op, shape, seed, backend):
    x = plane(shape, seed)
    np.testing.assert_array_equal(getattr(convlib, op)(x, 1, backend=backend), x)


@given(shape=planes, seed=seeds, k=st.integers(1, 3), s=st.integers(1, 3), ceil=st.booleans())
@served
def test_maxima_and_minima_mirror_each_other(shape, seed, k, s, ceil, backend):
    x = plane(shape, seed)
    options = {"stride": s, "padding": k // 2, "ceil_mode": ceil, "return_indices": True, "backend": backend}
    assume(min(shape[2:]) + 2 * (k // 2) >= k)
    high, where = convlib.max_pool2d(x, k, **options)
    low, there = convlib.min_pool2d(-x, k, **options)
    np.testing.assert_array_equal(high, -low)
    np.testing.assert_array_equal(where, there)


@given(shape=planes, seed=seeds, k=st.integers(1, 3), s=st.integers(1, 3))
@served
def test_indices_lead_to_the_maxima(shape, seed, k, s, backend):
    assume(min(shape[2:]) >= k)
    x = plane(shape, seed)
    y, where = convlib.max_pool2d(x, k, stride=s, return_indices=True, backend=backend)
    flat = x.reshape(*shape[:2], -1)
    np.testing.assert_array_equal(np.take_along_axis(flat, where.reshape(*shape[:2], -1), 2).reshape(y.shape), y)
    assert (y >= convlib.avg_pool2d(x, k, stride=s, backend=backend) - 1e-12).all()


@given(shape=planes, seed=seeds, k=st.integers(1, 3))
@served
def test_unpooled_maxima_stand_where_they_stood(shape, seed, k, backend):
    assume(min(shape[2:]) >= k)
    x = plane(shape, seed)
    y, where = convlib.max_pool2d(x, k, return_indices=True, backend=backend)
    back = convlib.max_unpool2d(y, where, k, output_size=shape[2:], backend=backend)
    assert ((back == x) | (back == 0)).all()
    np.testing.assert_array_equal(back.sum((2, 3)), y.sum((2, 3)))


@given(shape=planes, seed=seeds, k=st.integers(1, 3), s=st.integers(1, 2), p=st.integers(0, 1), d=st.integers(1, 2))
@served
def test_sums_are_convolutions_with_ones(shape, seed, k, s, p, d, backend):
    span = (k - 1) * d + 1
    assume(min(shape[2:]) + 2 * p >= span > p)
    x, c = plane(shape, seed), shape[1]
    options = {"stride": s, "padding": p, "dilation": d, "backend": backend}
    sums = convlib.sum_pool2d(x, k, **options)
    np.testing.assert_array_equal(sums, convlib.conv2d(x, np.ones((c, 1, k, k)), groups=c, **options))
    averages = convlib.avg_pool2d(x, k, **options)
    np.testing.assert_allclose(averages * k * k, sums, atol=1e-12)


@given(shape=planes, seed=seeds)
@served
def test_adaptive_and_global_pooling_agree_with_numpy(shape, seed, backend):
    x = plane(shape, seed)
    np.testing.assert_allclose(convlib.global_avg_pool2d(x, backend=backend)[..., 0, 0], x.mean((2, 3)), atol=1e-12)
    np.testing.assert_array_equal(convlib.global_max_pool2d(x, backend=backend)[..., 0, 0], x.max((2, 3)))
    for size in (1, shape[2:]):
        expected = x if size == shape[2:] else x.max((2, 3), keepdims=True)
        np.testing.assert_array_equal(convlib.adaptive_max_pool2d(x, size, backend=backend), expected)


# ------------------------------------------------------------------------------- gradients


@settings(max_examples=5)
@given(problem=problems)
@served
def test_gradients_agree_with_finite_differences(problem, backend):
    rng = problem.rng
    x, w, y = (rng.standard_normal(shape) for shape in (problem.x_shape, problem.w_shape, problem.y_shape))
    assume(x.size <= 200)

    def conv(x, w):
        return problem.call("convnd", x, w, backend="cython")

    got = problem.call("convnd_grad_input", y, w, x.shape, backend=backend)
    np.testing.assert_allclose(got, differences(lambda a: conv(a, w), x, y), atol=1e-6)
    got = problem.call("convnd_grad_weight", y, x, w.shape, backend=backend)
    np.testing.assert_allclose(got, differences(lambda a: conv(x, a), w, y), atol=1e-6)
