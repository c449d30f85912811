"""Weights in the orders that `w_layout` names: what they mean, what is refused, and who copies them."""

import numpy as np
import pytest
from expected import under_isa

import convlib
import convlib.layers
from convlib import SpecError
from convlib._ext import _native
from convlib.backends.native_calls import PLAIN_WEIGHTS

RNG = np.random.default_rng(0)
LARGE = {
    "conv2d": (((1, 48, 7, 9), (3, 3, 48, 64)), {"w_layout": "HWIO", "padding": 1}),
    "conv1d": (((2, 96, 40), (96, 5, 96)), {"w_layout": "OWI"}),
    "conv3d": (((1, 32, 4, 5, 6), (3, 3, 3, 32, 24)), {"w_layout": "HWIO"}),
}


def integers(*shape):
    return RNG.integers(-3, 4, shape).astype(np.float32)


def test_depthwise_weights_are_those_of_each_channel():
    x, w = integers(2, 3, 6, 7), integers(3, 2, 3, 2)
    y = convlib.conv2d(x, w, groups=3, w_layout="HWCM")
    for c, m in np.ndindex(3, 2):
        alone = convlib.conv2d(x[:, c : c + 1], w[:, :, c, m][None, None])
        np.testing.assert_array_equal(y[:, 2 * c + m], alone[:, 0])


@pytest.mark.parametrize("call", LARGE)
def test_what_explain_names_runs_on_weights_as_they_lie(call):
    shapes, options = LARGE[call]
    arrays = [integers(*shape) for shape in shapes]
    said = convlib.explain(call, *shapes, **options, accuracy="strict")
    _native.trace()
    try:
        y = getattr(convlib, call)(*arrays, **options, accuracy="strict")
    finally:
        ran, peak = _native.traced()
    assert ran == (said.algorithm,)
    assert peak <= said.workspace_nbytes
    order = convlib.spec.weight_order(int(call[4]), options["w_layout"])
    plain = np.ascontiguousarray(arrays[1].transpose(order.axes))
    options = {name: value for name, value in options.items() if name != "w_layout"}
    np.testing.assert_array_equal(y, getattr(convlib, call)(arrays[0], plain, **options, accuracy="strict"))


@pytest.mark.parametrize("view", [
    lambda w: np.asfortranarray(w), lambda w: np.moveaxis(np.ascontiguousarray(np.moveaxis(w, 0, -1)), -1, 0),
    lambda w: np.repeat(w, 2, axis=2)[:, :, ::2], lambda w: np.flip(np.flip(w, 3).copy(), 3),
    lambda w: np.broadcast_to(w[:1], w.shape),
])  # fmt: skip
def test_large_weights_of_any_strides(view):
    x, w = integers(1, 40, 9, 8), integers(48, 40, 3, 3)
    plain = np.ascontiguousarray(view(w))
    expected = convlib.conv2d(x, plain, padding=1, accuracy="strict")
    np.testing.assert_array_equal(convlib.conv2d(x, view(w), padding=1, accuracy="strict"), expected)


@pytest.mark.parametrize("isa", _native.detected_isas())
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_implementation_that_is_named_takes_large_weights_with_gaps(layout, isa):
    """Or they are copied for it, as is said."""
    x, w = integers(1, 16, 16, 16), integers(64, 16, 4, 8)[..., ::2]
    expected = convlib.conv2d(x, w, layout=layout, backend="cython")
    with under_isa(isa):
        rows = convlib.explain("conv2d", x, w, layout=layout, backend="native").implementations
        names = {row.name for row in rows if row.refusal is None}
        assert len(names) > 2
        for name in names:
            options = {"layout": layout, "backend": f"native:{name}"}
            np.testing.assert_allclose(convlib.conv2d(x, w, **options), expected, atol=1e-2)
            copies = {copy.array for copy in convlib.explain("conv2d", x, w, **options).copies}
            assert copies == ({"w"} if name in PLAIN_WEIGHTS else set())


@pytest.mark.parametrize("isa", _native.detected_isas())
@pytest.mark.parametrize(
    "window", [(3, 3), (5, 5), (4, 2), (1, 9), (7, 1), (1, 5), (3, 1, 3), (3, 2, 3), (17,)], ids=str
)
def test_windows_turned_round(window, isa):
    """As gradients of the input see them: each window backwards in memory, channels in and out swapped."""
    nd = len(window)
    x, w = integers(1, 20, *(12,) * (nd - 1), 40), integers(20, 37, *window)
    turned = np.flip(w, range(2, nd + 2)).swapaxes(0, 1)
    expected = np.round(getattr(convlib, f"conv{nd}d")(x, np.ascontiguousarray(turned), backend="cython"))
    served, refused = [], []
    with under_isa(isa):
        for name, *_ in _native.implementations("conv"):
            try:
                y = getattr(convlib, f"conv{nd}d")(x, turned, backend=f"native:{name}")
            except convlib.UnsupportedError as error:
                refused.append(f"{name}: {error}")
                continue
            served.append(name)
            np.testing.assert_array_equal(np.round(y), expected, err_msg=name)
    assert "gemm_panels" in served, refused
    assert "gemm_broadcast" in served or isa == "scalar"
    assert (window in [(3, 3), (5, 5), (7, 1), (1, 5), (3, 1, 3)]) == ("winograd" in served)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float16", "float64"])
@pytest.mark.parametrize("flip", [False, True])
def test_large_weights_of_other_types(dtype, flip):
    scale = 2**26 if dtype == "int64" else 1  # past what doubles hold
    x, w = scale * integers(1, 40, 7, 6).astype(dtype), integers(3, 3, 40, 48).astype(dtype)
    plain = np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    options = {"padding": 1, "flip": flip, "accuracy": "strict"}
    y = convlib.conv2d(x, plain, backend="cython", **options)
    np.testing.assert_array_equal(convlib.conv2d(x, w, w_layout="HWIO", backend="native", **options), y)
    y = convlib.conv2d_grad_input(y // 64 if dtype == "int64" else y, plain, x.shape, backend="cython", **options)
    grad_y = convlib.conv2d(x, plain, backend="cython", **options)
    grad_y = grad_y // 64 if dtype == "int64" else grad_y
    got = convlib.conv2d_grad_input(grad_y, w, x.shape, w_layout="HWIO", backend="native", **options)
    np.testing.assert_array_equal(got, y)


def test_gradients_come_in_the_order_and_to_out():
    x, grad_y = integers(1, 3, 6, 6), integers(1, 4, 4, 4)
    expected = convlib.conv2d_grad_weight(grad_y, x, (4, 3, 3, 3))
    got = convlib.conv2d_grad_weight(grad_y, x, (3, 3, 3, 4), w_layout="HWIO")
    np.testing.assert_array_equal(got, expected.transpose(2, 3, 1, 0))
    out = np.empty((3, 3, 3, 4), np.float32)
    assert convlib.conv2d_grad_weight(grad_y, x, out.shape, w_layout="HWIO", out=out) is out
    np.testing.assert_array_equal(out, got)
    with pytest.raises(SpecError, match=r"out has the shape \(4, 3, 3, 3\); the result has \(3, 3, 3, 4\)"):
        convlib.conv2d_grad_weight(grad_y, x, (3, 3, 3, 4), w_layout="HWIO", out=expected)


X, W = np.ones((1, 2, 5, 5)), np.ones((3, 3, 2, 4))
WRONG = {
    "name": (lambda: convlib.conv2d(X, W, w_layout="IHWO"), r"'OIHW', 'HWIO', 'OHWI', 'HWCM'"),
    "letters of another rank": (lambda: convlib.conv2d(X, W, w_layout="WIO"), "w_layout='WIO' is unknown"),
    "rank": (lambda: convlib.conv2d(X, W[0], w_layout="HWIO"), r"expected 4: \(\*kernel, C / groups, OC\)"),
    "channels": (lambda: convlib.conv2d(X[:, :1], W, w_layout="HWIO"), "must have 1 on its third axis, not 2"),
    "groups": (lambda: convlib.conv2d(X, W, w_layout="HWCM"), "use groups=2, one group per channel"),
    "transposed": (lambda: convlib.conv_transpose2d(X, W, w_layout="HWIO"), "are 'HWOI'"),
    "transposed channels": (lambda: convlib.conv_transpose2d(X, W, w_layout="HWOI"), "as many on its fourth axis"),
    "gradient": (lambda: convlib.conv2d_grad_weight(X, X, (2, 2, 1, 1), w_layout="HWIO"), "on its third axis"),
    "plan": (lambda: convlib.plan_conv2d(X.shape, W, w_layout=3), "w_layout=3 is unknown"),
    "shape": (lambda: convlib.conv_output_shape(X.shape, W.shape, w_layout="hwio"), "w_layout='hwio' is unknown"),
    "layer": (lambda: convlib.layers.ConvTranspose2d(4, 3, w_layout="OIHW"), "are 'IOHW'"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_refusals(wrong):
    call, words = WRONG[wrong]
    with pytest.raises(SpecError, match=words):
        call()


def test_shapes_and_costs_know_the_order():
    assert convlib.conv_output_shape(X.shape, W.shape, w_layout="HWIO") == (1, 4, 3, 3)
    plain = convlib.cost("conv2d", X.shape, (4, 2, 3, 3))
    assert convlib.cost("conv2d", X.shape, W.shape, w_layout="HWIO") == plain
