"""Activation and residual in the call: bit for bit what they are after it, and what is refused."""

import pickle

import numpy as np
import pytest

import convlib
from convlib import BackendError, SpecError
from convlib.spec import ACTIVATIONS

RNG = np.random.default_rng(0)

#: As a user would write them after the call.
AFTER = {
    None: lambda y: y,
    "relu": lambda y: np.maximum(y, 0),
    "relu6": lambda y: np.minimum(np.maximum(y, 0), 6),
    "hardsigmoid": lambda y: np.minimum(np.maximum(y + 3, 0), 6) / 6,
    "hardswish": lambda y: y * np.minimum(np.maximum(y + 3, 0), 6) / 6,
}


def arrays(dtype="float32", size=9):
    x, w = RNG.standard_normal((2, 8, size, size)), RNG.standard_normal((6, 8, 3, 3))
    return x.astype(dtype), w.astype(dtype), RNG.standard_normal((2, 6, size - 2, size - 2)).astype(dtype)


def same_bits(a, b):
    assert a.dtype == b.dtype
    return a.tobytes() == b.tobytes()


def test_every_activation_has_its_formula_here():
    assert {None, *ACTIVATIONS} == set(AFTER)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("backend", [None, "native", "im2col", "cython", "fft"])
@pytest.mark.parametrize("activation", AFTER)
def test_bits_are_those_of_doing_it_after(activation, backend, dtype):
    x, w, residual = arrays(dtype)
    options = {"backend": backend, "accuracy": None if backend == "fft" else "strict"}
    plain = convlib.conv2d(x, w, **options)
    for added in (None, residual, residual[:, ::-1][:, ::-1], np.asfortranarray(residual)):
        expected = AFTER[activation](plain if added is None else plain + added)
        got = convlib.conv2d(x, w, activation=activation, residual=added, **options)
        assert same_bits(got, expected)
        out = np.empty_like(plain)
        assert convlib.conv2d(x, w, activation=activation, residual=added, out=out, **options) is out
        assert same_bits(out, expected)
    transposed = convlib.conv_transpose2d(plain, w, **options)
    got = convlib.conv_transpose2d(plain, w, activation=activation, residual=x, **options)
    assert same_bits(got, AFTER[activation](transposed + x))


@pytest.mark.parametrize("activation", AFTER)
@pytest.mark.parametrize("size", [9, 130])  # one thread, and all
def test_plans(activation, size):
    x, w, residual = arrays(size=size)
    plan = convlib.plan_conv2d(x.shape, w, activation=activation)
    plain = convlib.plan_conv2d(x.shape, w)(x)
    for added in (None, residual, residual.astype("float16"), residual.tolist() if size == 9 else None):
        expected = AFTER[activation](plain if added is None else plain + np.asarray(added, "float32"))
        for call in (plan, pickle.loads(pickle.dumps(plan))):
            assert same_bits(call(x, residual=added), expected)
            out = np.empty_like(plain)
            assert call(x, out, added) is out
            assert same_bits(out, expected)


def test_a_kept_plan_serves_any_ending():
    x, w, residual = arrays()
    w.flags.writeable = False
    with convlib.plan_cache(4):
        plain = convlib.conv2d(x, w)
        assert same_bits(convlib.conv2d(x, w, residual=residual, activation="relu"), np.maximum(plain + residual, 0))


def test_nan_stays_and_integers_stay_exact():
    x = np.array([[[np.nan, -1.0, 9.0, 3.0]]])
    one = np.ones((1, 1, 1))
    for backend in ("naive", "native"):
        np.testing.assert_array_equal(
            convlib.conv1d(x, one, activation="relu6", backend=backend), [[[np.nan, 0, 6, 3]]]
        )
    found = convlib.conv1d(np.array([[[-3, 4]]]), np.ones((1, 1, 1), int), residual=np.array([[[1, 7]]], "int8"),
                           activation="relu")  # fmt: skip
    np.testing.assert_array_equal(found, [[[0, 11]]])
    assert found.dtype == np.int64


X, W = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
R = np.ones((1, 3, 2, 2), np.float32)
WRONG = {
    "name": ({"activation": "gelu"}, SpecError, "activation='gelu' is unknown; valid: 'relu', 'relu6'"),
    "callable": ({"activation": np.tanh}, SpecError, "activation=.* is unknown"),
    "shape": ({"residual": R[:, :1]}, SpecError, r"residual has the shape \(1, 1, 2, 2\); the result.* \(1, 3, 2, 2\)"),
    "wider": ({"residual": R.astype(float)}, TypeError, r"write residual.astype\('float32'\)"),
    "complex": ({"residual": R.astype("complex64")}, TypeError, "residual has dtype complex64"),
    "mask": ({"residual": np.ma.masked_equal(R, 1)}, TypeError, "residual is a masked array"),
    "overlap": ({"residual": R, "out": R}, SpecError, "out overlaps an input"),
}


@pytest.mark.parametrize("backend", [None, "naive", "native"])
@pytest.mark.parametrize("wrong", WRONG)
def test_refusals(wrong, backend):
    options, error, words = WRONG[wrong]
    with pytest.raises(error, match=words):
        convlib.conv2d(X, W, backend=backend, **options)
    with pytest.raises(error, match=words):
        convlib.plan_conv2d(X.shape, W, backend=backend, activation=options.get("activation"))(
            X, options.get("out"), options.get("residual")
        )


def test_types_without_order_or_fractions_are_refused():
    with pytest.raises(TypeError, match="has no order"):
        convlib.conv2d(X.astype("complex64"), W, activation="relu")
    with pytest.raises(TypeError, match="makes fractions of int64; valid: 'relu', 'relu6'"):
        convlib.conv2d(X.astype(int), W.astype(int), activation="hardswish")
    with pytest.raises(SpecError, match="result and residual together"):
        convlib.conv2d(X.astype(int), W.astype(int), residual=np.full(R.shape, 2**63 - 1))


def test_questions_take_both():
    plain = convlib.explain("conv2d", X.shape, W.shape).algorithm
    said = convlib.explain("conv2d", X.shape, W.shape, activation="relu", residual=(1, 3, 2, 2))
    assert said.algorithm == plain
    for wrong in ({"activation": "tanh"}, {"residual": (1, 3)}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            convlib.explain("conv2d", X.shape, W.shape, **wrong)
    with pytest.raises(BackendError, match="unknown backend"):
        convlib.conv2d(X, W, activation="relu", backend="nativ")
