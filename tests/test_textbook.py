"""The lectures' functions with the lectures' numbers, and held against the library."""

import math
import re

import numpy as np
import pytest
from tools import slope

import convlib
from convlib import textbook
from convlib.textbook import Conv2D, comp_conv2d, corr2d, pool2d


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def edges():
    """The 6×8 image of ones with a block of zeros, and its vertical edges."""
    X = np.ones((6, 8))
    X[:, 2:6] = 0
    return X, corr2d(X, np.array([[1.0, -1.0]]))


def integers(rng, *shape):
    return rng.integers(-4, 5, shape).astype(float)


def test_corr2d_by_hand():
    X = np.array([[0.0, 1, 2], [3, 4, 5], [6, 7, 8]])
    K = np.array([[0.0, 1], [2, 3]])
    assert corr2d(X, K).tolist() == [[0 * 0 + 1 * 1 + 3 * 2 + 4 * 3, 25], [37, 4 * 0 + 5 * 1 + 7 * 2 + 8 * 3]]


def test_edge_image(edges):
    X, Y = edges
    assert Y.shape == (6, 7)
    assert Y.tolist() == [[0, 1, 0, 0, 0, -1, 0]] * 6
    assert not corr2d(X.T, np.array([[1.0, -1.0]])).any()  # the kernel sees vertical edges only


def test_multi_in_by_hand():
    X = np.stack([np.arange(9.0).reshape(3, 3), np.arange(1.0, 10.0).reshape(3, 3)])
    K = np.stack([np.arange(4.0).reshape(2, 2), np.arange(1.0, 5.0).reshape(2, 2)])
    assert textbook.corr2d_multi_in(X, K).tolist() == [[56, 72], [104, 120]]
    Y = textbook.corr2d_multi_in_out(X, np.stack([K, K + 1, K + 2]))
    assert Y.shape == (3, 2, 2)
    assert Y.tolist() == [[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]]


def test_1x1_is_a_matrix_product_over_channels(rng):
    X, K = integers(rng, 3, 3, 3), integers(rng, 2, 3, 1, 1)
    Y = textbook.corr2d_multi_in_out_1x1(X, K)
    np.testing.assert_array_equal(Y, textbook.corr2d_multi_in_out(X, K))
    assert Y.shape == (2, 3, 3)


def test_pool2d_numbers():
    X = np.array([[0.0, 1, 2], [3, 4, 5], [6, 7, 8]])
    assert pool2d(X, (2, 2)).tolist() == [[4, 5], [7, 8]]
    assert pool2d(X, (2, 2), "avg").tolist() == [[2, 3], [5, 6]]
    with pytest.raises(ValueError, match="mode='median'"):
        pool2d(X, (2, 2), "median")


@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_the_library(seed):
    rng = np.random.default_rng(seed)
    X, K = integers(rng, 3, *rng.integers(4, 9, 2)), integers(rng, 4, 3, *rng.integers(1, 5, 2))
    np.testing.assert_array_equal(textbook.corr2d_multi_in_out(X, K), convlib.conv2d(X, K))
    np.testing.assert_array_equal(textbook.corr2d_multi_in(X, K[0]), convlib.conv2d(X, K[:1])[0])
    np.testing.assert_array_equal(corr2d(X[0], K[0, 0]), convlib.conv2d(X[:1], K[:1, :1])[0])
    size = K.shape[2:]
    np.testing.assert_array_equal(pool2d(X[0], size), convlib.max_pool2d(X[:1], size, stride=1)[0])
    np.testing.assert_allclose(pool2d(X[0], size, "avg"), convlib.avg_pool2d(X[:1], size, stride=1)[0], atol=1e-14)


def test_max_pool_of_two_channels():
    X = np.arange(16.0).reshape(1, 1, 4, 4)
    X = np.concatenate([X, X + 1], axis=1)
    Y = convlib.max_pool2d(X, 3, padding=1, stride=2)
    assert Y.tolist() == [[[[5, 7], [13, 15]], [[6, 8], [14, 16]]]]
    assert convlib.max_pool2d(X, 3).tolist() == [[[[10]], [[11]]]]  # the stride is the window by default


@pytest.mark.parametrize(
    ("kernel", "options", "expected"),
    [
        ((3, 3), {"padding": 1}, (8, 8)),
        ((5, 3), {"padding": (2, 1)}, (8, 8)),
        ((3, 3), {"padding": 1, "stride": 2}, (4, 4)),
        ((3, 5), {"padding": (0, 1), "stride": (3, 4)}, (2, 2)),
    ],
)
def test_shapes_of_padding_and_stride(rng, kernel, options, expected):
    w = rng.random((1, 1, *kernel))
    assert comp_conv2d(lambda x: convlib.conv2d(x, w, **options), rng.random((8, 8))).shape == expected


@pytest.mark.parametrize("n", [5, 8, 11])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("p", [0, 1, 2, 4])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_shape_formulas(n, k, p, s):
    """The lectures' formulas, where p is the total padding of an axis."""
    (size,) = convlib.conv_output_shape((1, 1, n), (1, 1, k), padding=((p // 2, p - p // 2),), stride=s)[2:]
    assert size == math.floor((n - k + p + s) / s)
    if s == 1:
        assert size == n - k + p + 1
    if p == k - 1:
        assert size == math.floor((n + s - 1) / s)
        if n % s == 0:
            assert size == n / s


def test_forward_adds_the_bias(rng):
    layer = Conv2D((2, 3), rng=rng)
    assert layer.weight.shape == (2, 3)
    assert layer.bias.tolist() == [0]
    assert ((layer.weight >= 0) & (layer.weight < 1)).all()
    X = rng.random((4, 5))
    layer.bias[0] = 0.5
    np.testing.assert_array_equal(layer(X), corr2d(X, layer.weight) + 0.5)


def test_gradients_against_differences(rng):
    layer, X, grad_Y = Conv2D((2, 3), rng=rng), rng.random((5, 6)), rng.random((4, 4))
    grad_weight, grad_bias = layer.backward(X, grad_Y)
    for parameter, grad in ((layer.weight, grad_weight), (layer.bias, grad_bias)):
        for place in np.ndindex(parameter.shape):
            change = slope(lambda: (layer(X) * grad_Y).sum(), parameter, place)
            assert change == pytest.approx(grad[place], rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_learning_the_edge_kernel(edges, seed):
    X, Y = edges
    layer = Conv2D((1, 2), bias=False, rng=np.random.default_rng(seed))
    losses = [layer.learn(X, Y, lr=3e-2) for _ in range(10)]
    losses.append(float(((layer(X) - Y) ** 2).sum()))
    assert losses[0] >= 20 * losses[-1]
    np.testing.assert_allclose(layer.weight, [[1, -1]], atol=0.2)


def test_learning_with_a_bias(edges):
    X, Y = edges
    layer = Conv2D((1, 2), rng=np.random.default_rng(0))
    losses = [layer.learn(X, Y + 3, lr=5e-3) for _ in range(500)]
    assert losses[-1] < 1e-3 * losses[0]
    assert layer.bias[0] == pytest.approx(3, abs=0.1)


# ------------------------------------------------------------------------------- from dense to convolution


def test_offsets_number_the_same_weights(rng):
    X, W, U = integers(rng, 3, 4), integers(rng, 3, 4, 3, 4), integers(rng, 3, 4)
    V = textbook.offset_weights(W)
    by_hand = U.copy()
    for i, j, k, m in np.ndindex(W.shape):
        by_hand[i, j] += W[i, j, k, m] * X[k, m]
    np.testing.assert_array_equal(textbook.dense(X, W, U), by_hand)
    np.testing.assert_array_equal(textbook.dense_by_offset(X, V, U), by_hand)
    assert all(V[i, j, k - i + 2, m - j + 3] == W[i, j, k, m] for i, j, k, m in np.ndindex(W.shape))
    assert np.count_nonzero(V) == np.count_nonzero(W)


def test_a_kernel_is_a_dense_layer_with_shared_local_weights(rng):
    X, K = integers(rng, 5, 6), rng.integers(1, 9, (3, 2))
    W = textbook.kernel_weights(K, X.shape)
    np.testing.assert_array_equal(textbook.dense(X, W), corr2d(X, K))
    assert np.count_nonzero(W) == 3 * 5 * K.size
    matrix = convlib.show.toeplitz_matrix(X.shape, K)
    np.testing.assert_array_equal(W.reshape(15, 30), matrix.toarray())


def test_a_kernel_in_the_offsets_of_all_units_is_a_convolution_with_zero_padding(rng):
    """Weights that do not depend on i and j, and reach no further than 1: the two principles."""
    X, K = integers(rng, 5, 6), integers(rng, 3, 3)
    V = np.zeros((5, 6, 9, 11))
    V[:, :, 3:6, 4:7] = K
    expected = convlib.conv2d(X[None], K[None, None], padding=1)[0]
    np.testing.assert_array_equal(textbook.dense_by_offset(X, V), expected)


def test_who_moves_along(rng):
    X, K = integers(rng, 8, 8), integers(rng, 3, 3)
    error = textbook.equivariance_error
    assert error(lambda X: corr2d(X, K), X, (2, 1)) == 0
    assert error(lambda X: pool2d(X, (2, 2)), X) == 0
    assert error(lambda X: textbook.dense(X, integers(rng, 8, 8, 8, 8)), X) > 0
    halved = lambda X: convlib.max_pool2d(X[None], 2)[0]  # noqa: E731
    assert error(halved, X, (2, 2), step=2) == 0
    with pytest.raises(ValueError, match="step=2 must divide it"):
        error(halved, X, (1, 1), step=2)


@pytest.mark.parametrize("by", [(0, 0), (1, 2), (-1, 1), (0, -3), (9, 0)])
def test_shift_by_its_formula(rng, by):
    X = integers(rng, 4, 5)
    moved = textbook.shift(X, by)
    for i, j in np.ndindex(X.shape):
        k, m = i - by[0], j - by[1]
        assert moved[i, j] == (X[k, m] if 0 <= k < 4 and 0 <= m < 5 else 0)


def test_influence_is_local_for_a_convolution_only(rng):
    X = integers(rng, 6, 6)
    changed = textbook.influence(lambda X: corr2d(X, np.ones((3, 3))), X, (3, 2))
    assert np.argwhere(changed).min(0).tolist() == [1, 0]
    assert changed.sum() == 9
    assert textbook.influence(lambda X: textbook.dense(X, np.ones((6, 6, 6, 6))), X, (3, 2)).all()


ERRORS = {
    "kernel_too_large": (lambda: corr2d(np.ones((2, 5)), np.ones((3, 3))), "window of (3, 3), which fits nowhere"),
    "kernel_advice": (lambda: corr2d(np.ones((2, 5)), np.ones((3, 3))), "use one of at most (2, 3)"),
    "channels_in_corr2d": (lambda: corr2d(np.ones((3, 4, 4)), np.ones((2, 2))), "use corr2d_multi_in"),
    "empty": (lambda: corr2d(np.ones((0, 4)), np.ones((1, 1))), "no elements"),
    "channels_differ": (lambda: textbook.corr2d_multi_in(np.ones((3, 4, 4)), np.ones((2, 2, 2))), "axis 0 of K"),
    "channels_out": (
        lambda: textbook.corr2d_multi_in_out(np.ones((3, 4, 4)), np.ones((5, 2, 2, 2))), "axis 1 of K must be 3",
    ),
    "kernel_axes": (lambda: textbook.corr2d_multi_in_out(np.ones((3, 4, 4)), np.ones((3, 2, 2))), "K has 3 axes"),
    "one_by_one": (
        lambda: textbook.corr2d_multi_in_out_1x1(np.ones((3, 4, 4)), np.ones((2, 3, 3, 3))), "takes (1, 1)",
    ),
    "pool_too_large": (lambda: pool2d(np.ones((2, 2)), (3, 2)), "pool_size is a window of (3, 2)"),
    "pool_zero": (lambda: pool2d(np.ones((2, 2)), (0, 2)), "at least 1 high"),
    "one_image": (lambda: comp_conv2d(lambda x: np.ones((1, 2, 3, 3)), np.ones((3, 3))), "returned the shape"),
    "target": (
        lambda: Conv2D((2, 2)).learn(np.ones((4, 4)), np.ones((4, 4)), 0.1), "this layer makes (3, 3)",
    ),
    "dense": (lambda: textbook.dense(np.ones((2, 2)), np.ones((2, 2, 3, 3))), "images of (3, 3)"),
    "dense_bias": (lambda: textbook.dense(np.ones((2, 2)), np.ones((2, 2, 2, 2)), np.ones(3)), "U has the shape (3,)"),
    "offsets": (lambda: textbook.offset_weights(np.ones((2, 2, 3, 3))), "as many of both"),
    "by_offset": (lambda: textbook.dense_by_offset(np.ones((2, 2)), np.ones((2, 2, 2, 2))), "it must be (2, 2, 3, 3)"),
    "kernel_weights": (lambda: textbook.kernel_weights(np.ones((3, 3)), (2, 4)), "fits nowhere into an image"),
    "moved_out": (
        lambda: textbook.equivariance_error(lambda X: X, np.ones((3, 3)), (3, 0)), "out of sight",
    ),
    "place": (lambda: textbook.influence(lambda X: X, np.ones((3, 3)), (3, 0)), "outside X (3, 3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_that_a_student_understands(name):
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_errors_of_types():
    with pytest.raises(TypeError, match=r"pool_size=2 must be two integers, height and width, such as \(2, 2\)"):
        pool2d(np.ones((4, 4)), 2)
    with pytest.raises(TypeError, match="kernel_size=3"):
        Conv2D(3)
    with pytest.raises(TypeError, match="X must be an array of real numbers"):
        corr2d([["a"]], np.ones((1, 1)))


def test_lists_are_arrays_here_too():
    assert corr2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]]).tolist() == [[19, 25], [37, 43]]


def test_what_is_too_large_for_any_array_is_refused():
    with pytest.raises(convlib.SpecError, match="the kernel would have the shape"):
        textbook.Conv2D((2**60, 2**17))
    with pytest.raises(convlib.SpecError, match="W would have the shape"):
        textbook.kernel_weights(np.ones((2, 2)), (2**52, 5))
