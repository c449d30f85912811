"""Zero points and results of int32: what convolutions of integers subtract, return and refuse.

Truths are worked out by hand, or made by Python integers; `tests/test_onnx_cases.py` has those of ONNX.
"""

import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from test_integers import TINY, numbers, truth

import convlib
from convlib import config

#: A row of bytes and a kernel of two taps: zero points 10 and 1.
X, W = np.array([[[10, 12, 7, 255]]], np.uint8), np.array([[[3, -1]]], np.int8)
#: (0, 2, -3, 245) with (2, -2).
Y = [[[-4, 10, -496]]]


def test_by_hand(backend):
    y = convlib.conv1d(X, W, x_zero_point=10, w_zero_point=1, backend=backend)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y, Y)
    y = convlib.conv1d(X, W, np.array([5]), x_zero_point=10, w_zero_point=1, out_dtype=np.int32, backend=backend)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, np.array(Y) + 5)
    two = np.concatenate([W, W])
    y = convlib.conv1d(X, two, x_zero_point=10, w_zero_point=[1, 3], out_dtype="int32", backend=backend)
    np.testing.assert_array_equal(y, [[*Y[0], [-8, 12, -980]]])


def test_padding_counts_from_the_zero_point(backend):
    """That of ONNX holds the zero point, so that it adds nothing; `pad_value` is added to it."""
    options = {"x_zero_point": 10, "w_zero_point": 1, "out_dtype": "int32", "backend": backend, "padding": 1}
    np.testing.assert_array_equal(convlib.conv1d(X, W, **options), [[[0, *Y[0][0], 490]]])
    np.testing.assert_array_equal(convlib.conv1d(X, W, pad_value=3, **options), [[[6, *Y[0][0], 484]]])
    # Elements that are repeated are shifted as these are: (0, 0, 2, -3, 245, 245) and (2, 0, 2, -3, 245, -3).
    np.testing.assert_array_equal(convlib.conv1d(X, W, padding_mode="edge", **options), [[[0, *Y[0][0], 0]]])
    np.testing.assert_array_equal(convlib.conv1d(X, W, padding_mode="reflect", **options), [[[4, *Y[0][0], 496]]])


@pytest.mark.parametrize("mode", ["constant", "reflect", "wrap"])
@pytest.mark.parametrize(
    ("x_type", "w_type", "x_zero", "w_zero"),
    [
        ("uint8", "int8", 200, (-5, 0, 127, 3, -128)), ("int8", "int8", -128, (4,)),
        ("uint16", "uint8", 0, (0, 1, 2, 3, 4)), ("int32", "int64", -7, (9,)),
        ("int64", "uint64", 2**40, (1, 2, 3, 4, 5)), ("int16", "bool", 30_000, (0,)),
    ],
)  # fmt: skip
def test_in_blocks_within_the_scratch_bound(backend, mode, x_type, w_type, x_zero, w_zero, cuts):
    """The truth is that of differences made before the call, by Python integers."""
    x, w, bias = numbers(x_type, 3, 4, 31, 28), numbers(w_type, 5, 4, 3, 3, seed=1), numbers("int32", 5, seed=2)
    zero = np.array(w_zero, object).reshape(-1, 1, 1, 1)
    more = {} if w_type == "bool" else {"w_zero_point": w_zero if len(w_zero) > 1 else w_zero[0]}
    wide = np.pad(x.astype(object) - x_zero, ((0, 0), (0, 0), (1, 1), (1, 1)), mode=mode)
    expected = truth(wide, w.astype(object) - zero, 2) + bias.astype(object).reshape(-1, 1, 1)
    options = {"stride": 2, "padding": 1, "padding_mode": mode, "x_zero_point": x_zero, **more, "backend": backend}
    with config.scratch(TINY):
        y = convlib.conv2d(x, w, bias, **options)
        if cuts:
            assert cuts[-1] > 1
        else:  # bytes that native takes as they are, in strips of its own
            said = convlib.explain("conv2d", x, w, bias, **options)
            assert backend == "native"
            assert not said.copies
            assert 0 < said.workspace_nbytes <= TINY
        plan = convlib.plan_conv2d(x.shape, w, bias, dtype=x_type, **options)
        np.testing.assert_array_equal(plan(x), expected.astype(np.int64))
    np.testing.assert_array_equal(y, expected.astype(np.int64))
    last = np.moveaxis(convlib.conv2d(np.moveaxis(x, 1, -1), w, bias, layout="NHWC", **options), -1, 1)
    np.testing.assert_array_equal(last, y)


@given(st.data())
def test_bytes_of_any_kind(data):
    """Whatever serves bytes must give what differences in int64 give."""
    kinds = [np.dtype(data.draw(st.sampled_from(["int8", "uint8"]))) for _ in range(2)]
    zeros = [data.draw(st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))) for kind in kinds]
    groups, icg, ocg = (data.draw(st.integers(1, most)) for most in (2, 9, 9))
    k, stride, pad = (data.draw(st.integers(low, 3)) for low in (1, 1, 0))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = (
        rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape, kind)
        for kind, shape in zip(kinds, ((2, groups * icg, 7, 9), (groups * ocg, icg, k, k)), strict=True)
    )
    options = {"groups": groups, "stride": stride, "padding": pad}
    expected = convlib.conv2d(x.astype("i8") - zeros[0], w.astype("i8") - zeros[1], **options, backend="naive")
    y = convlib.conv2d(x, w, x_zero_point=zeros[0], w_zero_point=zeros[1], out_dtype="int32", **options)
    np.testing.assert_array_equal(y, expected)


def test_numbers_of_the_type_of_the_array_are_zero_points():
    for zero in (10, np.uint8(10), np.array(10, np.uint8), np.array([10], np.uint8), [10]):
        np.testing.assert_array_equal(convlib.conv1d(X, W, x_zero_point=zero, w_zero_point=np.array([1], "i1")), Y)
    swapped = X.astype(">u2"), W.astype(">i2")
    np.testing.assert_array_equal(convlib.conv1d(*swapped, x_zero_point=np.uint16(10), w_zero_point=np.int16(1)), Y)


REFUSED = {
    "type": ({"x_zero_point": np.int8(3)}, TypeError, "dtype int8; it must be that of x, uint8"),
    "signedness": ({"w_zero_point": np.uint8(3)}, TypeError, "dtype uint8; it must be that of w, int8"),
    "float": ({"x_zero_point": 3.0}, TypeError, "x_zero_point must be an integer or an array of uint8"),
    "bool": ({"w_zero_point": True}, TypeError, "w_zero_point must be an integer"),
    "text": ({"w_zero_point": "3"}, TypeError, "w_zero_point must be an integer"),
    "negative": ({"x_zero_point": -1}, convlib.SpecError, "=-1 must be a value of x: uint8 holds 0 to 255"),
    "large": ({"w_zero_point": 128}, convlib.SpecError, "=128 must be a value of w: int8 holds -128 to 127"),
    "huge": ({"w_zero_point": 2**90}, convlib.SpecError, "int8 holds -128 to 127"),
    "x per channel": ({"x_zero_point": [1, 2]}, convlib.SpecError, r"shape \(2,\); it must be one number$"),
    "too many": ({"w_zero_point": [1, 2, 3]}, convlib.SpecError, r"\(3,\).* one number, or have the shape \(2,\)"),
    "two axes": ({"w_zero_point": np.ones((2, 1), "i1")}, convlib.SpecError, r"shape \(2, 1\); it must be one number"),
    "none": ({"w_zero_point": []}, convlib.SpecError, r"the shape \(0,\); it must be one number"),
    "out_dtype": ({"out_dtype": "int8"}, TypeError, "out_dtype='int8' is no type .* valid: int64, int32"),
    "no type": ({"out_dtype": "integer?"}, TypeError, "out_dtype='integer\\?' is no element type"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_zero_points_are_refused(name):
    options, kind, words = REFUSED[name]
    two = np.concatenate([W, W])
    with pytest.raises(kind, match=words):
        convlib.conv1d(X, two, **options)
    with pytest.raises(kind, match=words):
        convlib.plan_conv1d(X.shape, two, dtype=X.dtype, **options)
    with pytest.raises(kind, match=words):
        convlib.explain("conv1d", X, two, **options)


def test_floats_have_no_zero_points():
    x = X.astype(np.float32)
    with pytest.raises(TypeError, match="x_zero_point needs integers, and x has dtype float32"):
        convlib.conv1d(x, W, x_zero_point=0)
    with pytest.raises(TypeError, match="w_zero_point needs integers, and bias has dtype float64"):
        convlib.conv1d(X, W, np.ones(1), w_zero_point=1)
    with pytest.raises(TypeError, match="x_zero_point needs integers, and x has dtype bool"):
        convlib.conv1d(X > 9, W, x_zero_point=0)
    with pytest.raises(TypeError, match=r"out_dtype='int32' is no type .* valid: float32, or write y\.astype"):
        convlib.conv1d(x, W, out_dtype=np.int32)
    assert convlib.conv1d(x, W, out_dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="out has dtype int32; the result has float32"):
        convlib.conv1d(x, W, out=np.zeros((1, 1, 3), np.int32))


def test_the_type_of_out_is_that_of_the_result(backend):
    out = np.zeros((1, 1, 3), np.int32)
    assert convlib.conv1d(X, W, x_zero_point=10, w_zero_point=1, out=out, backend=backend) is out
    np.testing.assert_array_equal(out, Y)
    assert convlib.conv1d(X, W, out=out, backend=backend) is out
    np.testing.assert_array_equal(out, [[[18, 29, -234]]])
    with pytest.raises(TypeError, match="out has dtype int32; the result has int64"):
        convlib.conv1d(X, W, out_dtype="int64", out=out, backend=backend)
    with pytest.raises(TypeError, match="out has dtype int64; the result has int32"):
        convlib.conv1d(X, W, out_dtype="int32", out=out.astype("i8"), backend=backend)
    with pytest.raises(TypeError, match="out has dtype int16; the result has int64"):
        convlib.conv1d(X, W, out=out.astype("i2"), backend=backend)
    with pytest.raises(convlib.SpecError, match="out overlaps an input"):
        convlib.conv1d(out, W, padding="causal", out=out, backend=backend)


def test_sums_that_could_leave_int32_are_refused(backend):
    """The largest sum is K * max|x - zx| * max|w - zw| + max|bias|; one less in the bias, and it fits."""
    x, w = np.full((1, 2, 4), 2**15 + 100, np.int32), np.full((1, 2, 1), 2**14 - 9, np.int32)
    options = {"x_zero_point": 100, "w_zero_point": -9, "backend": backend}
    fits, over = np.array([2**30 - 1]), np.array([2**30])
    y = convlib.conv1d(x, w, fits, out_dtype=np.int32, **options)
    np.testing.assert_array_equal(y, np.full((1, 1, 4), 2**31 - 1))
    said = r"out_dtype='int32': sums of 2 products .* can reach 2147483648, .*\(2147483647\); use out_dtype='int64'"
    with pytest.raises(convlib.SpecError, match=said):
        convlib.conv1d(x, w, over, out_dtype=np.int32, **options)
    with pytest.raises(convlib.SpecError, match=said):
        convlib.conv1d(x, w, over, out=np.zeros((1, 1, 4), np.int32), **options)
    with pytest.raises(convlib.SpecError, match=said):
        convlib.plan_conv1d(x.shape, w, over, out_dtype=np.int32, **options)(x)
    np.testing.assert_array_equal(convlib.conv1d(x, w, over, **options), np.full((1, 1, 4), 2**31))
    for value in (0.5, np.inf):
        with pytest.raises(TypeError, match=r"pad_value=.* is not an integer"):
            convlib.conv1d(X, W, padding=1, pad_value=value, x_zero_point=1, out_dtype=np.int32, backend=backend)
    with pytest.raises(convlib.SpecError, match="can reach"):  # by what the padding holds
        convlib.conv1d(x, w, padding=1, pad_value=2**31, out_dtype=np.int32, **options)


def test_differences_may_not_leave_int64(backend):
    x, w = np.array([[[2**62, 1]]]), np.array([[[1]]])
    y = convlib.conv1d(x, w, x_zero_point=-(2**62) + 1, backend=backend)
    np.testing.assert_array_equal(y, [[[2**63 - 1, 2**62]]])
    with pytest.raises(convlib.SpecError, match="integer overflow is possible"):
        convlib.conv1d(x, w, x_zero_point=-(2**62), backend=backend)
    with pytest.raises(convlib.SpecError, match="uint64 value 9223372036854775808 does not fit int64"):
        convlib.conv1d(x.astype("u8") * 2, w, x_zero_point=2**62, backend=backend)
    with pytest.raises(convlib.SpecError, match="x_zero_point=9223372036854775808 must be a value of x"):
        convlib.conv1d(x.astype("u8"), w, x_zero_point=2**63, backend=backend)


def test_a_residual_and_an_activation_follow(backend):
    residual = np.array([[[4, -20, 500]]], np.int32)
    options = {"x_zero_point": 10, "w_zero_point": 1, "out_dtype": "int32", "activation": "relu"}
    y = convlib.conv1d(X, W, residual=residual, **options, backend=backend)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [[[0, 0, 4]]])
    plan = convlib.plan_conv1d(X.shape, W, dtype="uint8", **options, backend=backend)
    np.testing.assert_array_equal(plan(X, residual=residual), y)
    with pytest.raises(TypeError, match=r"residual has dtype int64, which cannot be added to a result of int32"):
        convlib.conv1d(X, W, residual=residual.astype("i8"), **options, backend=backend)


def test_a_plan_keeps_its_zero_points(backend):
    options = {"x_zero_point": 10, "w_zero_point": [1], "out_dtype": "int32", "padding": "causal"}
    plan = convlib.plan_conv1d(X.shape, W, dtype="uint8", **options, backend=backend)
    expected = [[[0, *Y[0][0]]]]
    out = np.zeros((1, 1, 4), np.int32)
    assert plan(X, out) is out
    for result in (out, plan(X), pickle.loads(pickle.dumps(plan))(X)):
        assert result.dtype == np.int32
        np.testing.assert_array_equal(result, expected)
    stream = plan.stream()
    parts = [stream(X[..., :1]), stream(X[..., 1:1]), stream(X[..., 1:])]
    assert {part.dtype for part in parts} == {np.dtype(np.int32)}
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), expected)


def test_a_stream_starts_with_what_the_padding_holds():
    plan = convlib.plan_conv1d(X.shape, W, dtype="uint8", x_zero_point=250, pad_value=5, padding="causal")
    np.testing.assert_array_equal(plan.stream()(X), plan(X))
    plan = convlib.plan_conv1d(X.shape, W, dtype="uint8", x_zero_point=250, pad_value=6, padding="causal")
    with pytest.raises(convlib.SpecError, match=r"x_zero_point \+ pad_value=256.* does not fit uint8"):
        plan.stream()


def test_the_plan_cache_tells_zero_points_apart():
    W.flags.writeable = False
    with convlib.plan_cache(8):
        for zero in (1, 2, 1):
            for kind in ("int32", "int64"):
                y = convlib.conv1d(X, W, x_zero_point=10, w_zero_point=zero, out_dtype=kind)
                assert y.dtype == kind
                np.testing.assert_array_equal(y, convlib.conv1d(X, W.copy(), x_zero_point=10, w_zero_point=zero))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_pools_of_bytes_stay_bytes(backend, dtype):
    """Maxima and minima of stored integers stand for those of the numbers, so that no zero point is needed."""
    info = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(info.min, info.max + 1, (2, 3, 7, 9), dtype)
    x[0, 0], x[0, 1] = info.min, info.max
    for op, fill, find in (("max", info.min, np.max), ("min", info.max, np.min)):
        wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=fill)
        expected = find(np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (2, 3)), (4, 5))
        y = getattr(convlib, f"{op}_pool2d")(x, 3, stride=1, padding=1, backend=backend)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, expected)
    peaks = convlib.global_max_pool2d(x, backend=backend)
    assert peaks.dtype == dtype
    np.testing.assert_array_equal(peaks[..., 0, 0], x.max((2, 3)))
    assert convlib.avg_pool2d(x, 2, backend=backend).dtype == np.float64
    assert convlib.sum_pool2d(x, 2, backend=backend).dtype == np.int64


def test_places_in_bytes():
    x = np.random.default_rng(0).permutation(200).astype(np.uint8).reshape(1, 2, 10, 10)
    for op in (convlib.adaptive_max_pool2d, convlib.max_pool2d):
        y, places = op(x, 2, return_indices=True)
        assert y.dtype == np.uint8
        np.testing.assert_array_equal(y.ravel(), np.take_along_axis(x.reshape(2, -1), places.reshape(2, -1), 1).ravel())
    back = convlib.max_unpool2d(y, places, 2)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(convlib.max_pool2d(back, 2), y)


def test_zero_points_follow_the_output_channels_of_any_order_of_weights():
    x, w = numbers("uint8", 2, 4, 6, 5), numbers("int8", 8, 1, 3, 3)
    zeros = list(range(8))
    expected = convlib.conv2d(x, w, groups=4, w_zero_point=zeros)
    hwcm = w.reshape(4, 2, 3, 3).transpose(2, 3, 0, 1)
    np.testing.assert_array_equal(convlib.conv2d(x, hwcm, groups=4, w_zero_point=zeros, w_layout="HWCM"), expected)
    ohwi = w.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(convlib.conv2d(x, ohwi, groups=4, w_zero_point=zeros, w_layout="OHWI"), expected)
