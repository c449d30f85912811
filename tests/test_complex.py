"""Complex numbers: gradients are adjoints, which multiply by conjugates; transposed convolution is the transpose."""

import numpy as np
import pytest

import convlib
from convlib import config, layers

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


def integers(dtype, *shape, seed):
    """Make small (Gaussian) integers: their sums are exact in any order."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-4, 5, shape)
    return (a + 1j * rng.integers(-4, 5, shape) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def sizes(name):
    options = OPTIONS[name]
    x = (2, 8, 9, 4) if "layout" in options else (2, 4, 8, 9)
    return x, (6, 4 // options.get("groups", 1), 3, 2), options


@pytest.mark.parametrize(("type_x", "type_w"), TYPES)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("bound", [3000, 1 << 26])
def test_gradients_of_a_convolution_are_its_adjoints(backend, name, type_x, type_w, bound):
    x_shape, w_shape, options = sizes(name)
    x, w = integers(type_x, *x_shape, seed=0), integers(type_w, *w_shape, seed=1)
    y = convlib.conv2d(x, w, backend="naive", **options)
    grad_y = integers(type_x, *y.shape, seed=2)
    with config.scratch(bound):
        grad_x = convlib.conv2d_grad_input(grad_y, w, x.shape, backend=backend, **options)
        grad_w = convlib.conv2d_grad_weight(grad_y, x, w.shape, backend=backend, **options)
    assert np.vdot(grad_y, y) == np.vdot(grad_x, x)
    assert np.vdot(grad_y, y) == np.vdot(grad_w, w)


@pytest.mark.parametrize(("type_x", "type_w"), TYPES)
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "reflect"])
@pytest.mark.parametrize("bound", [3000, 1 << 26])
def test_gradients_of_a_transposed_convolution_are_its_adjoints(backend, name, type_x, type_w, bound):
    x_shape, w_shape, options = sizes(name)
    w_shape = (4, 6 // options.get("groups", 1), 3, 2)
    x, w = integers(type_x, *x_shape, seed=0), integers(type_w, *w_shape, seed=1)
    y = convlib.conv_transpose2d(x, w, backend="naive", **options)
    grad_y = integers(type_x, *y.shape, seed=2)
    with config.scratch(bound):
        grad_x = convlib.conv_transpose2d_grad_input(grad_y, w, x.shape, backend=backend, **options)
        grad_w = convlib.conv_transpose2d_grad_weight(grad_y, x, w.shape, backend=backend, **options)
    assert np.vdot(grad_y, y) == np.vdot(grad_x, x)
    assert np.vdot(grad_y, y) == np.vdot(grad_w, w)


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
