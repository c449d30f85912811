"""Complex numbers: gradients are adjoints, which multiply by conjugates; transposed convolution is the transpose."""

from functools import cache

import numpy as np
import pytest

import convlib
from convlib import config, layers
from convlib.backends.native import NativeBackend

OPTIONS = {
    "plain": {},
    "stride, padding": {"stride": 2, "padding": 1},
    "dilation": {"dilation": 2, "padding": ((1, 0), (2, 2))},
    "groups": {"groups": 2, "padding": 1},
    "flip": {"flip": True},
    "channels last": {"layout": "NHWC", "stride": 2},
    "reflect": {"padding": 2, "padding_mode": "reflect"},
}
#: Pairs of the types of x or y, and w.
TYPES = [("complex128", "complex128"), ("complex64", "complex64"), ("float64", "complex128"), ("complex128", "float32")]
#: Scratch that cuts calls into many blocks, and for which the types take turns, and scratch that does not.
CUT, WHOLE = 3000, 1 << 26


def calls(types, names):
    """List (name of options, types, bound of scratch): every pair in one piece, and one after the other in blocks."""
    whole = [(name, *pair, WHOLE) for name in names for pair in types]
    return whole + [(name, *types[turn % len(types)], CUT) for turn, name in enumerate(names)]


def integers(dtype, *shape, seed):
    """Make small (Gaussian) integers: their sums are exact in any order."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-4, 5, shape)
    return (a + 1j * rng.integers(-4, 5, shape) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def sizes(name):
    options = OPTIONS[name]
    x = (2, 8, 9, 4) if "layout" in options else (2, 4, 8, 9)
    return x, (6, 4 // options.get("groups", 1), 3, 2), options


@cache
def truth(op, name, type_x, type_w, with_bias):
    """Return x, w, bias and options of a call on integers of two types, and its result by the oracle."""
    x_shape, w_shape, options = sizes(name)
    make = {"conv": convlib.conv2d, "transpose": convlib.conv_transpose2d}[op]
    if op == "transpose":
        w_shape = (4, 6 // options.get("groups", 1), 3, 2)
    x, w = integers(type_x, *x_shape, seed=0), integers(type_w, *w_shape, seed=1)
    bias = integers(np.result_type(type_x, type_w), 6, seed=2) if with_bias else None
    return make, x, w, bias, options, make(x, w, bias, backend="naive", **options)


@pytest.mark.parametrize(("name", "type_x", "type_w", "bound"), calls(TYPES, OPTIONS))
def test_gradients_of_a_convolution_are_its_adjoints(backend, name, type_x, type_w, bound):
    _, x, w, _, options, y = truth("conv", name, type_x, type_w, False)
    grad_y = integers(type_x, *y.shape, seed=2)
    with config.scratch(bound):
        grad_x = convlib.conv2d_grad_input(grad_y, w, x.shape, backend=backend, **options)
        grad_w = convlib.conv2d_grad_weight(grad_y, x, w.shape, backend=backend, **options)
    assert np.vdot(grad_y, y) == np.vdot(grad_x, x)
    assert np.vdot(grad_y, y) == np.vdot(grad_w, w)


@pytest.mark.parametrize(("name", "type_x", "type_w", "bound"), calls(TYPES, [o for o in OPTIONS if o != "reflect"]))
def test_gradients_of_a_transposed_convolution_are_its_adjoints(backend, name, type_x, type_w, bound):
    _, x, w, _, options, y = truth("transpose", name, type_x, type_w, False)
    grad_y = integers(type_x, *y.shape, seed=2)
    with config.scratch(bound):
        grad_x = convlib.conv_transpose2d_grad_input(grad_y, w, x.shape, backend=backend, **options)
        grad_w = convlib.conv_transpose2d_grad_weight(grad_y, x, w.shape, backend=backend, **options)
    assert np.vdot(grad_y, y) == np.vdot(grad_x, x)
    assert np.vdot(grad_y, y) == np.vdot(grad_w, w)


@pytest.mark.parametrize(("name", "type_x", "type_w", "bound"), calls([*TYPES[1:3], ("int8", "complex64")], OPTIONS))
@pytest.mark.parametrize("op", ["conv", "transpose"])
def test_sums_are_those_of_the_formula(backend, op, name, type_x, type_w, bound):
    if op == "transpose" and name == "reflect":
        pytest.skip("a transposed convolution has no padding mode")
    make, x, w, bias, options, expected = truth(op, name, type_x, type_w, True)
    with config.scratch(bound), convlib.accuracy("strict"):
        found = make(x, w, bias, backend=backend, **options)
    assert found.dtype == expected.dtype
    if backend == "fft":  # which rounds
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_what_native_is_given_are_pairs(layout, monkeypatch):
    """Nothing complex reaches a hook, and results go to where `out` has them."""
    hooks, seen = NativeBackend, []

    def watched(name):
        hook = getattr(hooks, name)

        def call(self, spec, *arrays):
            seen.extend(a.dtype.kind for a in arrays if isinstance(a, np.ndarray))
            hook(self, spec, *arrays)

        return call

    for name in ("_conv", "_conv_grad_input", "_conv_grad_weight"):
        monkeypatch.setattr(hooks, name, watched(name))
    x = integers("complex64", *((2, 9, 8, 4) if layout == "NHWC" else (2, 4, 9, 8)), seed=0)
    w = integers("complex64", 6, 4, 3, 3, seed=1)
    options = {"padding": 1, "pad_value": 2, "layout": layout}
    expected = convlib.conv2d(x, w, backend="naive", **options)
    out = np.full((*expected.shape, 2), 7j, np.complex64)
    with convlib.accuracy("strict"):
        convlib.conv2d(x, w, backend="native", out=out[..., 1], **options)
        plan = convlib.plan_conv2d(x.shape, w, backend="native", **options)
        np.testing.assert_array_equal(plan(x), expected)
        convlib.conv2d_grad_input(expected, w, x.shape, padding=1, layout=layout, backend="native")
        convlib.conv2d_grad_weight(expected, x, w.shape, backend="native", **options)
    np.testing.assert_array_equal(out[..., 1], expected)
    assert (out[..., 0] == 7j).all()
    assert len(seen) == 12
    assert set(seen) == {"f"}


def test_complex_convolution_is_not_slow_by_choice():
    for op, arrays in (("conv2d", ((1, 8, 20, 20), (8, 8, 3, 3))), ("conv1d", ((1, 1, 900), (1, 1, 9)))):
        said = convlib.explain(op, *arrays, dtype="complex64")
        assert said.backend == "native"
        assert {copy.array for copy in said.copies} == {"x", "w", "result"}
        assert "complex64 becomes pairs of floats" in str(said)


def test_parts_have_the_error_that_explain_says(backend):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((2, *shape)) for shape in ((1, 8, 20, 20), (4, 8, 3, 3)))
    x, w = (x[0] + 1j * x[1]).astype("complex64"), (w[0] + 1j * w[1]).astype("complex64")
    exact = convlib.conv2d(x.astype(complex), w.astype(complex), backend="naive")
    largest = convlib.conv2d(abs(x).astype(float), abs(w).astype(float)).max()
    error = abs(convlib.conv2d(x, w, backend=backend) - exact).max()
    assert error <= convlib.explain("conv2d", x, w, backend=backend).error_bound * largest


def test_numbers_worked_out_by_hand(backend):
    one, number = np.array([[[1.0 + 0j]]]), np.array([[[3.0 + 4j]]])
    assert convlib.conv1d_grad_input(one, number, (1, 1, 1), backend=backend).item() == 3 - 4j
    assert convlib.conv1d_grad_weight(one, number, (1, 1, 1), backend=backend).item() == 3 - 4j
    assert convlib.conv_transpose1d(one, number, backend=backend).item() == 3 + 4j
    assert convlib.conv_transpose1d_grad_input(one, number, (1, 1, 1), backend=backend).item() == 3 - 4j
    assert convlib.conv_transpose1d_grad_weight(one, number, (1, 1, 1), backend=backend).item() == 3 - 4j


@pytest.mark.parametrize("kind", [layers.Conv1d, layers.ConvTranspose1d])
def test_a_complex_layer_learns(kind):
    """Gradient descent on the squared distance to what another layer gives comes to nothing but that layer."""
    rng = np.random.default_rng(0)
    made = {"in_channels": 2, "padding": 1, "dtype": "complex128"}
    teacher, layer = (kind(2, 3, rng=np.random.default_rng(seed), **made) for seed in (1, 2))
    for parameter in (*teacher.parameters(), *layer.parameters()):  # the first parameters are real
        parameter.value += 1j * rng.uniform(-0.4, 0.4, parameter.value.shape)
    x = rng.standard_normal((4, 2, 12)) + 1j * rng.standard_normal((4, 2, 12))
    goal = teacher(x)
    first = np.linalg.norm(layer(x) - goal)
    for _ in range(200):
        layer.backward(2 * (layer(x) - goal))
        for parameter in layer.parameters():
            parameter.value -= 0.002 * parameter.grad
    assert np.linalg.norm(layer(x) - goal) < 1e-3 * first


@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 33, 3, 4), (2, 2, 1, 2, 3)])
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_windows_of_one_element_over_channels_of_their_own(backend, shape, kind):
    """Each weight is a matrix alone, 16 bytes from the next: a step at which NumPy's `negative` has read others."""
    nd, channels = len(shape) - 2, shape[1]
    rng = np.random.default_rng(3)
    x, w = (
        (rng.integers(-5, 6, s) + 1j * rng.integers(-5, 6, s)).astype(kind) for s in (shape, (channels, 1, *[1] * nd))
    )
    y = getattr(convlib, f"conv{nd}d")(x, w, groups=channels, backend=backend)
    np.testing.assert_allclose(y, x * w.reshape(-1, *[1] * nd), atol=1e-4)  # transforms round


INFINITE = [complex(np.inf, 1), complex(-1, -np.inf), complex(np.inf, -np.inf), complex(np.nan, 2)]
#: Calls that only add, place or divide by a real number; they are given an array of (1, 2, 4, 4).
PARTS = {
    "sum": lambda a, backend: convlib.sum_pool2d(a, 2, backend=backend),
    "avg": lambda a, backend: convlib.avg_pool2d(a, 3, stride=1, padding=1, backend=backend),
    "adaptive": lambda a, backend: convlib.adaptive_avg_pool2d(a, 3, backend=backend),
    "global": lambda a, backend: convlib.global_avg_pool2d(a, backend=backend),
    "sum gradient": lambda a, backend: convlib.sum_pool2d_grad_input(a, (1, 2, 8, 8), 2, backend=backend),
    "avg gradient": lambda a, backend: convlib.avg_pool2d_grad_input(a, (1, 2, 8, 8), 2, backend=backend),
    "max gradient": lambda a, backend: convlib.max_pool2d_grad_input(
        a, np.arange(32).reshape(a.shape) // 2, (1, 2, 8, 8), backend=backend
    ),
    "columns": lambda a, backend: convlib.im2col(a, (2, 2), padding=1, backend=backend),
    "summed columns": lambda a, backend: convlib.col2im(
        a.reshape(1, 8, 4), (3, 3), (2, 2), backend=backend
    ),
}  # fmt: skip


@pytest.mark.parametrize("value", INFINITE)
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
@pytest.mark.parametrize("call", PARTS)
def test_an_infinite_part_does_not_reach_the_other(backend, call, kind, value):
    a = integers(kind, 1, 2, 4, 4, seed=4)
    a[0, 1, 1, 2] = value
    found = PARTS[call](a, backend)
    for part in ("real", "imag"):
        np.testing.assert_allclose(getattr(found, part), PARTS[call](getattr(a, part), "naive"), rtol=1e-6)
