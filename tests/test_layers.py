"""Layers: gradients against differences, texts, states, refusals."""

import math
import pickle

import numpy as np
import pytest
from tools import slope

import convlib
from convlib import SpecError, layers
from convlib.textbook import comp_conv2d

SEEDED = {"rng": 0, "dtype": "float64"}

#: Name without rank, positional arguments, options, spatial size of the input per axis.
LAYERS = [
    ("Conv", (4, 3), {"padding": 1, "stride": 2, **SEEDED}, 5),
    ("Conv", (4, 2), {"groups": 2, "dilation": 2, "bias": False, **SEEDED}, 5),
    ("Conv", (4, 3), {"padding": "same", "padding_mode": "reflect", "layout": "last", **SEEDED}, 4),
    ("Conv", (2, 2), {"padding": 1, "pad_value": 3, **SEEDED}, 3),
    ("Conv", (6, 2), {"w_layout": "HWIO", "groups": 2, **SEEDED}, 4),
    ("Conv", (8, 3), {"w_layout": "HWCM", "groups": 4, **SEEDED}, 4),
    ("ConvTranspose", (4, 3), {"padding": 1, "stride": 2, "output_padding": 1, **SEEDED}, 3),
    ("ConvTranspose", (3, 2), {"w_layout": "HWOI", "stride": 2, **SEEDED}, 3),
    ("ConvTranspose", (4, 2), {"groups": 2, "dilation": 3, "output_padding": 2, "bias": False, **SEEDED}, 2),
    ("ConvTranspose", (2, 3), {"padding": "same_upper", "stride": 2, "layout": "last", **SEEDED}, 2),
    ("ConvTranspose", (2, 2), {"padding": "same_lower", "stride": 3, **SEEDED}, 2),
    ("Conv", (4, 3), {"activation": "relu", "padding": 1, **SEEDED}, 5),
    ("Conv", (4, 3), {"activation": "relu6", "pad_value": 40, "padding": 1, **SEEDED}, 4),
    ("Conv", (4, 3), {"activation": "hardsigmoid", "pad_value": 20, "padding": 1, **SEEDED}, 4),
    ("Conv", (4, 3), {"activation": "hardswish", "pad_value": 20, "padding": 1, "layout": "last", **SEEDED}, 4),
    ("ConvTranspose", (2, 2), {"activation": "hardswish", "stride": 2, **SEEDED}, 2),
    ("ConvTranspose", (2, 2), {"activation": "relu", "stride": 2, **SEEDED}, 2),
    ("MaxPool", (3,), {"stride": 2, "padding": 1}, 5),
    ("MinPool", (2,), {"ceil_mode": True, "layout": "last"}, 5),
    ("AvgPool", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, 5),
    ("AvgPool", (2,), {"divisor_override": 3, "layout": "last"}, 4),
    ("SumPool", (2,), {"dilation": 2, "stride": 1}, 5),
    ("LpPool", (3, 2), {"stride": 1}, 4),
    ("AdaptiveMaxPool", (2,), {}, 5),
    ("AdaptiveAvgPool", (3,), {"layout": "last"}, 5),
    ("GlobalMaxPool", (), {}, 3),
    ("GlobalAvgPool", (), {"layout": "last"}, 3),
]


def make(name, nd, args, options):
    options = dict(options)
    if "rng" in options:
        options["rng"] = np.random.default_rng(options["rng"])
    if options.get("layout") == "last":
        options["layout"] = "NHWC"
    return getattr(layers, f"{name}{nd}d")(*args, **options)


def an_input(nd, options, size):
    spatial = tuple(size + axis for axis in range(nd))
    shape = (2, *spatial, 4) if options.get("layout") == "last" else (2, 4, *spatial)
    rng = np.random.default_rng(5)
    count = math.prod(shape)
    # Distinct values away from 0: no kink of a maximum or a norm lies within a difference.
    return ((rng.permutation(count) + 1) * rng.choice([-1, 1], count) / count).reshape(shape)


def some_places(a, rng, count=25):
    places = list(np.ndindex(a.shape))
    return [places[i] for i in rng.permutation(len(places))[:count]]


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize(("name", "args", "options", "size"), LAYERS)
def test_gradients(name, args, options, size, nd):
    layer, x, rng = make(name, nd, args, options), an_input(nd, options, size), np.random.default_rng(6)
    grad_y = rng.standard_normal(layer(x).shape)
    grad_x = layer.backward(grad_y)
    assert grad_x.shape == x.shape

    def loss():
        return (layer.forward(x) * grad_y).sum()

    for place in some_places(x, rng):
        assert slope(loss, x, place) == pytest.approx(grad_x[place], rel=1e-5, abs=1e-8)
    for parameter in layer.parameters():
        assert parameter.grad.shape == parameter.value.shape
        for place in some_places(parameter.value, rng):
            assert slope(loss, parameter.value, place) == pytest.approx(parameter.grad[place], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize(("name", "args", "options", "size"), LAYERS)
def test_repr_makes_the_same_layer(name, args, options, size, nd):
    layer, x = make(name, nd, args, options), an_input(nd, options, size)
    y = layer(x)
    again = eval(repr(layer), vars(layers))
    assert repr(again) == repr(layer)
    again.load_state(layer.state())
    np.testing.assert_array_equal(again(x), y)


@pytest.mark.parametrize(("name", "args", "options", "size"), LAYERS)
def test_pickle_and_npz(name, args, options, size, tmp_path):
    layer, x = make(name, 2, args, options), an_input(2, options, size)
    fresh = pickle.loads(pickle.dumps(layer))
    y = layer(x)
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(copy) == repr(layer)
    np.testing.assert_array_equal(copy(x), y)
    np.testing.assert_array_equal(fresh(x), y)  # a lazy layer takes its random generator along
    layer.save(tmp_path / "layer.npz")
    restored = make(name, 2, args, {**options, "rng": 99} if "rng" in options else options)
    restored.load(tmp_path / "layer.npz")
    np.testing.assert_array_equal(restored(x), y)


def test_pickles_leave_activations_behind():
    layer = layers.MaxPool2d(2)
    layer(np.ones((8, 64, 64, 64)))
    assert len(pickle.dumps(layer)) < 1000
    with pytest.raises(RuntimeError, match="forward before"):
        pickle.loads(pickle.dumps(layer)).backward(np.ones((8, 64, 32, 32)))


def test_repr():
    assert repr(layers.Conv2d(8, 3)) == "Conv2d(8, 3)"
    layer = layers.Conv2d(8, (3, 5), padding=[1, 2], groups=2, bias=False, dtype=np.float64)
    layer(np.ones((1, 6, 4, 4)))
    assert repr(layer) == "Conv2d(8, (3, 5), in_channels=6, padding=(1, 2), groups=2, bias=False, dtype='float64')"
    assert repr(layers.MaxPool1d(2, stride=1, padding=((1, 0),))) == "MaxPool1d(2, stride=1, padding=((1, 0),))"
    assert repr(layers.GlobalAvgPool3d()) == "GlobalAvgPool3d()"
    assert repr(layers.LpPool2d(2.0, 3)) == "LpPool2d(2.0, 3)"


def test_lazy_channels():
    layer = layers.Conv2d(6, 3, groups=3, rng=np.random.default_rng(1))
    assert layer.weight is None
    assert layer.parameters() == []
    layer(np.ones((1, 9, 5, 5), np.float32))
    assert layer.weight.shape == (6, 3, 3, 3)
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    same = layers.Conv2d(6, 3, in_channels=9, groups=3, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(layer.weight, same.weight)
    bound = 1 / math.sqrt(3 * 9)
    assert 0.5 * bound < np.abs(layer.weight).max() <= bound
    with pytest.raises(SpecError, match="channel"):
        layer(np.ones((1, 6, 5, 5)))


def test_the_lectures_shapes():
    X = np.random.default_rng(0).random((8, 8))
    for options, expected in (
        ({"kernel_size": 3, "padding": 1}, (8, 8)),
        ({"kernel_size": (5, 3), "padding": (2, 1)}, (8, 8)),
        ({"kernel_size": 3, "padding": 1, "stride": 2}, (4, 4)),
        ({"kernel_size": (3, 5), "padding": (0, 1), "stride": (3, 4)}, (2, 2)),
    ):
        assert comp_conv2d(layers.Conv2d(1, **options), X).shape == expected
    X = np.arange(16.0).reshape(1, 1, 4, 4)
    pooled = layers.MaxPool2d(3, padding=1, stride=2)(np.concatenate([X, X + 1], 1))
    assert pooled.tolist() == [[[[5, 7], [13, 15]], [[6, 8], [14, 16]]]]


@pytest.mark.parametrize("seed", range(5))
def test_learning_the_edge_kernel(seed):
    """The lectures' example: ten steps of gradient descent find the kernel that made the edges."""
    X = np.ones((1, 1, 6, 8), np.float32)
    X[..., 2:6] = 0
    Y = convlib.conv2d(X, np.array([[[[1, -1]]]], np.float32))
    layer = layers.Conv2d(1, (1, 2), bias=False, rng=np.random.default_rng(seed))
    losses = []
    for _ in range(10):
        error = layer(X) - Y
        losses.append((error**2).sum())
        layer.backward(2 * error)
        for parameter in layer.parameters():
            parameter.value -= 3e-2 * parameter.grad
    assert ((layer(X) - Y) ** 2).sum() * 20 <= losses[0]
    np.testing.assert_allclose(layer.weight.reshape(1, 2), [[1, -1]], atol=0.2)


def test_gradients_replace_each_other():
    layer, x = layers.Conv1d(2, 3, rng=np.random.default_rng(0)), np.ones((1, 1, 5), np.float32)
    for _ in range(2):
        y = layer(x)
        layer.backward(np.ones_like(y))
        assert layer.grads["bias"].tolist() == [3, 3]


def test_unbatched():
    layer = layers.Conv2d(3, 3, padding=1, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).random((2, 5, 5)).astype(np.float32)
    y = layer(x)
    assert y.shape == (3, 5, 5)
    assert layer.backward(np.ones_like(y)).shape == x.shape
    assert layer.grads["bias"].tolist() == [25, 25, 25]


EAGER = [
    (lambda: layers.Conv2d(0, 3), "out_channels=0"),
    (lambda: layers.Conv2d(4, 0), "kernel_size=0"),
    (lambda: layers.Conv2d(4, (3, 3, 3)), "kernel_size=.*one integer or 2"),
    (lambda: layers.Conv2d(4, 3, stride=0), "stride=0"),
    (lambda: layers.Conv2d(4, 3, padding=-1), "padding=-1"),
    (lambda: layers.Conv2d(4, 3, padding="same", stride=2), "same_upper"),
    (lambda: layers.Conv2d(4, 3, padding_mode="mirror"), "padding_mode='mirror'"),
    (lambda: layers.Conv2d(4, 3, groups=3), "groups=3"),
    (lambda: layers.Conv2d(4, 3, in_channels=3, groups=2), "groups=2"),
    (lambda: layers.Conv2d(4, 3, layout="HWC"), "layout='HWC'"),
    (lambda: layers.Conv2d(4, 3, activation="gelu"), "activation='gelu'"),
    (lambda: layers.ConvTranspose2d(4, 3, stride=2, output_padding=2), "output_padding"),
    (lambda: layers.ConvTranspose2d(4, 3, groups=3), "groups=3"),
    (lambda: layers.MaxPool2d(2, padding=2), "padding"),
    (lambda: layers.AvgPool1d(2, divisor_override=0), "divisor_override=0"),
    (lambda: layers.LpPool1d(0, 2), "p=0"),
    (lambda: layers.AdaptiveAvgPool2d(0), "output_size=0"),
    (lambda: layers.GlobalMaxPool2d(layout="NCX"), "layout='NCX'"),
]


@pytest.mark.parametrize(("call", "words"), EAGER)
def test_options_are_refused_at_once(call, words):
    with pytest.raises(SpecError, match=words):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: layers.Conv2d(4, 3, rng=0),
        lambda: layers.Conv2d(4, 3, bias=1),
        lambda: layers.Conv2d(4, 3, dtype="int32"),
        lambda: layers.Conv2d(4, 3, stride=1.5),
        lambda: layers.Conv2d(4.0, 3),
        lambda: layers.MaxPool2d(2, ceil_mode=1),
    ],
)
def test_wrong_types(call):
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize(("name", "args", "options", "size"), LAYERS)
def test_a_gradient_of_another_shape(name, args, options, size):
    layer, x = make(name, 2, args, options), an_input(2, options, size)
    with pytest.raises(RuntimeError, match="forward before"):
        layer.backward(np.ones((1, 1, 1, 1)))
    y = layer(x)
    for shape in ((1, *y.shape[1:]), (*y.shape[:2], y.shape[2] + 1, y.shape[3]), y.shape[1:]):
        with pytest.raises(SpecError):
            layer.backward(np.ones(shape))


def test_states_that_do_not_fit():
    layer = layers.Conv2d(4, 3, in_channels=2, rng=np.random.default_rng(0))
    before = layer.state()
    for state in (
        {"weight": before["weight"]},
        {**before, "scale": np.ones(1)},
        {"weight": before["weight"][:, :1], "bias": before["bias"]},
        {"weight": before["weight"], "bias": np.ones(3)},
        {"weight": np.ones(4), "bias": before["bias"]},
    ):
        with pytest.raises(SpecError):
            layer.load_state(state)
    for name, array in layer.state().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(SpecError, match="no parameters"):
        layers.MaxPool2d(2).load_state(before)
    with pytest.raises(SpecError, match="weight has the shape"):
        layers.Conv2d(4, 3).load_state({"weight": np.ones(4), "bias": np.ones(4)})


def test_every_layer_is_documented():
    for name in layers.__all__:
        text = getattr(layers, name).__doc__
        assert text
        assert "<" not in text, name


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_bias_gradients_are_summed_in_double(layout):
    x = np.ones((1, 1, 4500, 4500) if layout == "NCHW" else (1, 4500, 4500, 1), np.float32)
    layer = layers.Conv2d(2, 1, in_channels=1, layout=layout)
    y = layer(x)
    layer.backward(np.full_like(y, 0.1))
    assert layer.grads["bias"].dtype == np.float32
    np.testing.assert_allclose(layer.grads["bias"], 4500**2 * float(np.float32(0.1)), rtol=1e-6)


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "hardsigmoid", "hardswish"])
def test_activations_are_those_of_the_call(activation):
    layer = layers.Conv2d(3, 3, activation=activation, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((1, 4, 9, 9)).astype(np.float32) * 4
    y = layer(x)
    np.testing.assert_array_equal(y, convlib.conv2d(x, layer.weight, layer.bias, activation=activation))
    assert y.dtype == x.dtype
