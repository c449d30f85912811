"""Factors that are not finite over zero padding: the zeros take part, 0 * inf is NaN; gradients follow the formula."""

import itertools
from functools import cache

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native

BACKENDS = ("naive", "cython", "im2col", "native")

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


#: What the engine has an implementation of its own for.
ENGINE = [
    *PROBLEMS,
    ((1, 8, 9, 9), (8, 1, 3, 3), {"padding": 1, "groups": 8}),
    ((1, 8, 12, 12), (16, 8, 3, 3), {"padding": 1}),
    ((1, 3, 20), (4, 3, 7), {"padding": 3}),
    ((1, 4, 1, 1), (4, 4, 3, 3), {"padding": 1}),
]


@cache
def engine_case(case, bad):
    """Return arrays of small integers, two with a factor that is not finite, and the three results by the formula."""
    x_shape, w_shape, options = ENGINE[case]
    rng, nd = np.random.default_rng(len(w_shape) + w_shape[0]), len(x_shape) - 2
    x, w, wild = (rng.integers(1, 9, s).astype("f4") for s in (x_shape, w_shape, w_shape))
    wild.flat[rng.integers(w.size)] = bad
    grad_y = spoilt(rng, getattr(convlib, f"conv{nd}d")(x, w, backend="naive", **options).shape, bad).astype("f4")
    y, grad_x = formula("y", x, wild, grad_y, **options), formula("x", x, wild, grad_y, **options)
    return x, wild, grad_y, y, grad_x, formula("w", x, w, grad_y, **options)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("case", range(len(ENGINE)))
@pytest.mark.parametrize("isa", _native.detected_isas())
def test_every_implementation(isa, case, bad, last):
    """Sums, both gradients and plans by each implementation that serves, in both layouts."""
    _, w_shape, options = ENGINE[case]
    nd = len(w_shape) - 2
    x, wild, grad_y, y, grad_x, grad_w = engine_case(case, bad)

    def laid(a):
        return np.ascontiguousarray(np.moveaxis(a, 1, -1)) if last else a

    more = {**options, "layout": ("NWC", "NHWC", "NDHWC")[nd - 1] if last else "NCHW"[:2] + "DHW"[3 - nd :]}
    calls = [
        ("conv", f"conv{nd}d", (laid(x), wild), laid(y)),
        ("conv", f"conv{nd}d_grad_input", (laid(grad_y), wild, laid(x).shape), laid(grad_x)),
        ("conv_grad_weight", f"conv{nd}d_grad_weight", (laid(grad_y), laid(x), w_shape), grad_w),
    ]
    served, refused = 0, []
    with under_isa(isa):
        for op, function, arrays, expected in calls:
            for name in ["native", *(f"native:{row[0]}" for row in _native.implementations(op))]:
                try:
                    got = getattr(convlib, function)(*arrays, backend=name, **more)
                    if function == f"conv{nd}d":
                        plan = getattr(convlib, f"plan_conv{nd}d")(arrays[0].shape, wild, backend=name, **more)
                        np.testing.assert_array_equal(plan(arrays[0]), got, err_msg=f"{name} {function} by a plan")
                except (convlib.UnsupportedError, MemoryError) as error:
                    refused.append(f"{name} {function}: {error}")
                    continue
                served += 1
                rounded = np.round(got.astype("f8"), 2)  # transforms round
                np.testing.assert_array_equal(rounded, expected, err_msg=f"{name} {function}")
    assert served >= 6, refused


@pytest.mark.parametrize("backend", [*BACKENDS, "fft"])
def test_complex_weights(backend):
    x, w = np.ones((1, 1, 4, 4), np.complex64), np.ones((1, 1, 3, 3), np.complex64)
    w[0, 0, 0, 0] = complex(0, np.inf)
    y = convlib.conv2d(x, w, padding=1, backend=backend)[0, 0]
    assert np.isnan(y[0]).all()
    assert np.isnan(y[:, 0]).all()
    assert not np.isfinite(y[1:, 1:]).any()  # infinite or NaN, as products of complex infinities are


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_wild_weight_sends_only_its_channel_by_loops(layout, groups):
    """The other channels keep the bits that the engine gives them where it sums directly, as it does beside loops."""
    rng = np.random.default_rng(0)
    shape = (2, 8, 12, 12) if layout == "NCHW" else (2, 12, 12, 8)
    grad_y, w = rng.standard_normal(shape).astype("f4"), rng.standard_normal((8, 8 // groups, 3, 3)).astype("f4")
    options = {"padding": 1, "groups": groups, "layout": layout}
    with convlib.accuracy("strict"):
        clean = convlib.conv2d_grad_input(grad_y, w, shape, backend="native", **options)
    w[1, 3, 0, 1] = np.inf
    found, expected = (
        convlib.conv2d_grad_input(grad_y, w, shape, backend=name, **options) for name in ("native", "cython")
    )
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    axis = 1 if layout == "NCHW" else 3
    others = np.delete(np.arange(8), 3)
    np.testing.assert_array_equal(np.take(found, others, axis), np.take(clean, others, axis))
    assert not np.isfinite(np.take(found, 3, axis)).all()
