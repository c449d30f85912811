"""What a plan ends with, on sums that are still near: the bits of doing it after, by every implementation that can."""

import numpy as np
import pytest

import convlib

RNG = np.random.default_rng(0)

#: By implementation: shapes of input and weights, and options; sizes are no multiples of tiles, threads share the work.
CASES = {
    "gemm_panels": [
        ((2, 9, 31, 33), (21, 9, 3, 3), {"padding": 1}), ((1, 400, 20, 21), (19, 400, 1, 1), {}),
        ((2, 8, 17, 19), (12, 4, 3, 3), {"groups": 2, "stride": 2}),
        # cut among threads by output channels alone, by pixels alone, and by both
        ((1, 16, 14, 14), (389, 16, 1, 1), {}), ((1, 24, 61, 61), (17, 24, 1, 1), {}),
        ((1, 770, 14, 14), (33, 770, 1, 1), {}),
    ],
    "gemm_broadcast": [
        ((2, 9, 31, 33), (21, 9, 3, 3), {"padding": 1}), ((3, 70, 5, 7), (37, 70, 1, 1), {}),
        ((2, 31, 17, 9), (12, 9, 3, 3), {"layout": "NHWC"}), ((5, 40), (33, 40, 1), {}),
        ((2, 8, 17, 19), (12, 4, 3, 3), {"groups": 2, "stride": 2}),
    ],
    "gemm_nopack": [
        # an odd pixel and blocks of channels; less than a vector; vectors that overlap
        ((1, 400, 7, 7), (37, 400, 1, 1), {}), ((2, 24, 3, 3), (10, 12, 1, 1), {"groups": 2}),
        ((3, 40, 14, 13), (21, 40, 1, 1), {}),
    ],
    "gemm_strips": [
        ((2, 3, 31, 33), (21, 3, 3, 3), {"padding": 1, "stride": 2}), ((1, 4, 20, 70), (10, 2, 5, 5), {"groups": 2}),
    ],
    "depthwise_rows": [
        ((2, 5, 37, 41), (5, 1, 3, 3), {"padding": 1}), ((3, 7, 9, 6), (7, 1, 3, 3), {"stride": 2}),
        ((1, 6, 60, 150), (6, 1, 5, 5), {}),
    ],
    "winograd": [
        ((2, 9, 31, 33), (21, 9, 3, 3), {"padding": 1}), ((1, 8, 20, 23), (12, 8, 5, 5), {}),
        ((2, 31, 17, 9), (12, 9, 3, 3), {"layout": "NHWC"}), ((1, 16, 40, 30), (7, 16, 3, 3), {"dilation": 2}),
        ((2, 9, 37, 40), (21, 9, 3, 3), {"padding": 1, "stride": 2}), ((1, 9, 8, 9), (21, 9, 3, 3), {"stride": 2}),
        ((2, 9, 17, 19), (21, 9, 1, 7), {"padding": (0, 3)}), ((2, 9, 17, 19), (21, 9, 7, 1), {"padding": (3, 0)}),
    ],
}  # fmt: skip
FLAT = [
    (name, *case, dtype)
    for name, cases in CASES.items()
    for case in cases
    for dtype in (("float32",) if name == "winograd" else ("float32", "float64"))
]
AFTER = {None: lambda y: y, "relu": lambda y: np.maximum(y, 0), "relu6": lambda y: np.clip(y, 0, 6)}


def planned(name, x_shape, w_shape, options, dtype, **more):
    """Return an input, weights, and a plan by an implementation."""
    if len(x_shape) == 2:
        x_shape = (*x_shape, 1)
    options = {"groups": x_shape[1], **options} if name.startswith("depthwise") else options
    x, w = (RNG.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape))
    bias = RNG.standard_normal(len(w)).astype(dtype)
    make = getattr(convlib, f"plan_conv{len(x_shape) - 2}d")
    return x, lambda **ends: make(x_shape, w, bias, backend=f"native:{name}", **options, **more, **ends)


def served(isa, make):
    """Return a plan without an ending, where the instruction set has the implementation."""
    try:
        return make()
    except convlib.UnsupportedError as error:
        if isa != "scalar":
            raise
        pytest.skip(f"the scalar engine has few implementations: {error}")


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("name", "x_shape", "w_shape", "options", "dtype"), FLAT)
def test_bits_are_those_of_doing_it_after(isa, name, x_shape, w_shape, options, dtype, threads):
    with convlib.num_threads(threads):
        x, make = planned(name, x_shape, w_shape, options, dtype)
        plain = served(isa, make)(x)
        residual = RNG.standard_normal(plain.shape).astype(dtype)
        for activation, after in AFTER.items():
            plan = make(activation=activation)
            for added in (None, residual) if activation else (residual,):
                expected = after(plain if added is None else plain + added)
                assert plan._ended(x, None, added, activation).tobytes() == expected.tobytes()
                out = np.full_like(plain, 7)
                assert plan(x, out, added) is out
                assert out.tobytes() == expected.tobytes()


def test_numbers_that_are_not_finite_end_as_well(isa):
    """Winograd leaves them to another implementation, which may need a pass of its own."""
    x, make = planned("winograd", (1, 16, 60, 60), (16, 16, 3, 3), {"padding": 1}, "float32")
    x[0, ::2, ::3, ::3] = np.nan
    x[0, 1, 5] = np.inf
    plain = served(isa, make)(x)
    residual = RNG.standard_normal(plain.shape).astype(np.float32)
    got = make(activation="relu6")(x, None, residual)
    np.testing.assert_array_equal(got, np.clip(plain + residual, 0, 6))
    assert np.isnan(got).any()
    x[...] = np.inf
    x[0, :, 30:] = 1
    np.testing.assert_array_equal(make(activation="relu")(x), np.maximum(make()(x), 0))


def test_what_cannot_be_ended_near_is_ended_after():
    """Other implementations, strided arrays and other activations take a pass of their own."""
    x, w = RNG.standard_normal((2, 8, 12, 12)).astype(np.float32), RNG.standard_normal((4, 8, 3, 3)).astype(np.float32)
    for name, activation, given in (
        ("direct", "relu", x), ("gemm_panels", "hardswish", x), ("gemm_panels", "relu", x[:, ::-1]),
    ):  # fmt: skip
        plan = convlib.plan_conv2d(x.shape, w, backend=f"native:{name}", activation=activation)
        plain = convlib.plan_conv2d(x.shape, w, backend=f"native:{name}")(given)
        assert plan._ended(given, None, None, activation) is None
        after = {"relu": lambda y: np.maximum(y, 0), "hardswish": lambda y: y * np.clip(y + 3, 0, 6) / 6}[activation]
        np.testing.assert_array_equal(plan(given), after(plain))


def test_the_short_way_looks_at_shapes():
    """What it cannot take as it is, it leaves to the plan."""
    x, make = planned("gemm_panels", (1, 9, 20, 21), (19, 9, 1, 1), {}, "float32")
    plan = make(activation="relu")
    short, residual = plan.short(), RNG.standard_normal(plan.spec.y_shape).astype(np.float32)
    np.testing.assert_array_equal(short(x, 2, 1 << 26, residual=residual), plan(x, None, residual))
    np.testing.assert_array_equal(short(x, 2, 1 << 26), plan(x))
    assert short(x[:, :, :19], 2, 1 << 26) is None
    for wrong in (residual[:, :-1], residual[:, :, ::-1], residual.astype(np.float64), residual[0], residual.tolist()):
        assert short(x, 2, 1 << 26, residual=wrong) is None
    assert make(activation="hardswish").short() is None
