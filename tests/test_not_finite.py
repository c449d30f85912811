"""Factors that are not finite over zero padding: the zeros take part, 0 * inf is NaN; gradients follow the formula."""

import itertools

import numpy as np
import pytest

import convlib

BACKENDS = ("naive", "cython", "im2col")

PROBLEMS = [
    ((1, 2, 6), (3, 2, 3), {"padding": 2}),
    ((2, 1, 5, 4), (2, 1, 3, 2), {"padding": ((1, 0), (0, 2)), "stride": (2, 1)}),
    ((1, 4, 6, 6), (2, 2, 3, 3), {"padding": 2, "dilation": 2, "groups": 2}),
    ((1, 1, 3, 4, 3), (2, 1, 2, 3, 2), {"padding": 1}),
    ((1, 2, 5, 5), (2, 2, 3, 3), {}),
]


def windows(x_shape, w_shape, stride=1, padding=0, dilation=1, groups=1):
    """Yield (y index, w index, x index or None in the padding) over all products of the formula."""
    nd = len(x_shape) - 2
    pads = [(p, p) if isinstance(p, int) else p for p in ([padding] * nd if isinstance(padding, int) else padding)]
    s, d = ((v,) * nd if isinstance(v, int) else v for v in (stride, dilation))
    sizes = [x + sum(p) - (k - 1) * e for x, p, k, e in zip(x_shape[2:], pads, w_shape[2:], d, strict=True)]
    outs = [range(len(range(0, size, step))) for size, step in zip(sizes, s, strict=True)]
    ocg, icg = w_shape[0] // groups, w_shape[1]
    for n, o, c in itertools.product(range(x_shape[0]), range(w_shape[0]), range(icg)):
        for out, tap in itertools.product(itertools.product(*outs), itertools.product(*map(range, w_shape[2:]))):
            at = [i * a + t * e - p[0] for i, a, t, e, p in zip(out, s, tap, d, pads, strict=True)]
            inside = all(0 <= i < size for i, size in zip(at, x_shape[2:], strict=True))
            yield (n, o, *out), (o, c, *tap), (n, o // ocg * icg + c, *at) if inside else None


def formula(kind, x, w, y, **options):
    """Return y, the gradient of w or that of x by the formula, in Python's double precision."""
    result = {"y": np.zeros(y.shape), "w": np.zeros(w.shape), "x": np.zeros(x.shape)}[kind]
    with np.errstate(invalid="ignore"):
        for at_y, at_w, at_x in windows(x.shape, w.shape, **options):
            value = 0.0 if at_x is None else x[at_x]
            if kind == "y":
                result[at_y] += value * w[at_w]
            elif kind == "w":
                result[at_w] += value * y[at_y]
            elif at_x is not None:  # the gradient of a zero of the padding is nobody's
                result[at_x] += y[at_y] * w[at_w]
    return result


def spoilt(rng, shape, bad):
    a = rng.integers(1, 9, shape).astype(float)
    a.flat[rng.integers(a.size)] = bad
    return a


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), PROBLEMS)
@pytest.mark.parametrize("backend", [*BACKENDS, "fft"])
def test_sums(backend, x_shape, w_shape, options, bad, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(1, 9, x_shape).astype(float), spoilt(rng, w_shape, bad)
    call = getattr(convlib, f"conv{len(x_shape) - 2}d")
    y = call(x, w, backend=backend, **options)
    np.testing.assert_equal(np.round(y), formula("y", x, w, y, **options))  # transforms round


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), PROBLEMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients(backend, x_shape, w_shape, options, bad, seed):
    rng, nd = np.random.default_rng(seed), len(x_shape) - 2
    x, w = rng.integers(1, 9, x_shape).astype(float), rng.integers(1, 9, w_shape).astype(float)
    shape = getattr(convlib, f"conv{nd}d")(x, w, backend="naive", **options).shape
    grad_y = spoilt(rng, shape, bad)
    got = getattr(convlib, f"conv{nd}d_grad_weight")(grad_y, x, w_shape, backend=backend, **options)
    np.testing.assert_equal(got, formula("w", x, w, grad_y, **options))
    w = spoilt(rng, w_shape, bad)
    got = getattr(convlib, f"conv{nd}d_grad_input")(grad_y, w, x_shape, backend=backend, **options)
    np.testing.assert_equal(got, formula("x", x, w, grad_y, **options))


@pytest.mark.parametrize("backend", [*BACKENDS, "fft"])
def test_complex_weights(backend):
    x, w = np.ones((1, 1, 4, 4), np.complex64), np.ones((1, 1, 3, 3), np.complex64)
    w[0, 0, 0, 0] = complex(0, np.inf)
    y = convlib.conv2d(x, w, padding=1, backend=backend)[0, 0]
    assert np.isnan(y[0]).all()
    assert np.isnan(y[:, 0]).all()
    assert not np.isfinite(y[1:, 1:]).any()  # infinite or NaN, as products of complex infinities are
