"""The public functions: what they refuse and how they say it, `out`, dtypes, strange arrays."""

import math
import re

import numpy as np
import pytest

import convlib
from convlib import SpecError

X = np.ones((1, 2, 5, 5), np.float32)
W = np.ones((3, 2, 3, 3), np.float32)
X_INT, W_INT = X.astype(int), W.astype(int)
W_TRANSPOSED = np.ones((2, 3, 3, 3), np.float32)
UNHASHABLE = {}


def conv(x=X, w=W, *args, **options):
    return lambda **more: convlib.conv2d(x, w, *args, **options, **more)


def transpose(**options):
    return lambda **more: convlib.conv_transpose2d(X, W_TRANSPOSED, **options, **more)


def pool(*args, op="max_pool2d", x=X, **options):
    return lambda **more: getattr(convlib, op)(x, *args, **options, **more)


#: call, class of the error, and what the message must name: the argument, the shapes, the rule or a valid value.
REFUSED = {
    # ranks and channels
    "x_rank": (conv(X[0, 0]), SpecError, ["x has 2 axes (5, 5)", "(N, C, H, W)", "without the batch axis"]),
    "x_rank_nhwc": (conv(X[None], layout="NHWC"), SpecError, ["5 axes", "(N, H, W, C)"]),
    "w_rank": (conv(w=W[0]), SpecError, ["w has 3 axes (2, 3, 3)", "(OC, C / groups, *kernel)"]),
    "channels": (conv(w=W[:, :1]), SpecError, ["channel mismatch", "(1, 2, 5, 5)", "(3, 1, 3, 3)", "2 on its second"]),
    "groups": (conv(groups=2), SpecError, ["groups=2", "(1, 2, 5, 5)", "(3, 2, 3, 3)", "valid: 1"]),
    "groups_zero": (conv(groups=0), SpecError, ["groups=0", "at least 1"]),
    "bias_shape": (conv(X, W, np.ones(2)), SpecError, ["bias has the shape (2,)", "(3,)"]),
    # windows
    "large_kernel": (conv(w=np.ones((3, 2, 7, 4))), SpecError, ["larger than the padded input", "(7, 4)", "at most 5"]),
    "large_dilated": (conv(dilation=3), SpecError, ["effective kernel (7, 7)", "lo + hi = 2", "at most 2 on axis 0"]),
    "large_pool": (pool(6), SpecError, ["input (5, 5)", "effective kernel (6, 6)", "at most 5"]),
    "empty_kernel": (conv(w=W[..., :0]), SpecError, ["kernel size of w", "at least 1"]),
    "pool_padding": (pool(2, padding=2), SpecError, ["padding", "effective kernel (2, 2)", "at most 1"]),
    # integers
    "zero_stride": (conv(stride=0), SpecError, ["stride=0", "at least 1"]),
    "negative_padding": (conv(padding=(0, -1)), SpecError, ["padding=(0, -1)", "at least 0"]),
    "zero_dilation": (conv(dilation=0), SpecError, ["dilation=0", "at least 1"]),
    "zero_kernel": (pool(0), SpecError, ["kernel_size=0", "at least 1"]),
    "float_stride": (conv(stride=1.0), TypeError, ["stride must be an integer", "float"]),
    "bool_stride": (conv(stride=True), TypeError, ["stride must be an integer", "bool"]),
    "text_stride": (conv(stride="2"), TypeError, ["stride", "'2'"]),
    "none_stride": (conv(stride=None), TypeError, ["stride must be an integer", "NoneType"]),
    "float_array_stride": (conv(stride=np.array([2.0, 1.0])), TypeError, ["must be an integer", "float"]),
    "three_strides": (conv(stride=(1, 2, 3)), SpecError, ["stride=(1, 2, 3)", "3 entries", "one integer or 2"]),
    "float_groups": (conv(groups=1.0), TypeError, ["groups must be an integer", "float"]),
    "unhashable_stride": (conv(stride=UNHASHABLE), TypeError, ["stride", "dict"]),
    "unhashable_groups": (conv(groups=[1]), TypeError, ["groups", "[1]"]),
    "unhashable_layout": (conv(layout=["NHWC"]), TypeError, ["layout"]),
    "mixed_padding": (conv(padding=((1, 2), 3)), SpecError, ["padding=((1, 2), 3)", "2 (lo, hi) pairs"]),
    "one_axis_pair": (
        lambda **more: convlib.conv1d(X[0, :, 0], W[:, :, 0], padding=(1, 2), **more),
        SpecError, ["ambiguous", "((1, 2),)"],
    ),
    # names
    "padding_name": (conv(padding="SAME"), SpecError, ["padding='SAME'", "'same_upper'"]),
    "same_stride": (conv(padding="same", stride=2), SpecError, ["stride 1", "'same_upper'", "'same_lower'"]),
    "padding_mode": (conv(padding_mode="mirror"), SpecError, ["padding_mode='mirror'", "'reflect'", "'circular'"]),
    "layout": (conv(layout="CHWN"), SpecError, ["layout='CHWN'", "'NCHW', 'NHWC'"]),
    "flip": (conv(flip=1), TypeError, ["flip must be True or False"]),
    "ceil_mode": (pool(2, ceil_mode="yes"), TypeError, ["ceil_mode must be True or False", "'yes'"]),
    "boundary": (
        lambda **more: convlib.filter2d(X[0, 0], W[0, 0], boundary="mirror", **more), SpecError, ["'mirror'", "'wrap'"]
    ),
    "mode": (
        lambda **more: convlib.filter2d(X[0, 0], W[0, 0], mode="wide", **more), SpecError, ["mode='wide'", "'full'"]
    ),
    # numbers
    "pad_value": (conv(pad_value=1j), TypeError, ["pad_value must be a real number", "complex"]),
    "pad_value_int": (conv(X_INT, W_INT, padding=1, pad_value=0.5), TypeError, ["pad_value=0.5", "integer"]),
    "pad_value_inf": (conv(X_INT, W_INT, padding=1, pad_value=math.inf), TypeError, ["pad_value=inf", "integer"]),
    "pad_value_nan": (conv(X_INT, W_INT, padding=1, pad_value=math.nan), TypeError, ["pad_value=nan", "integer"]),
    "pad_value_huge": (conv(padding=1, pad_value=10**400), SpecError, ["pad_value", "out of range"]),
    "pad_value_inexact": (conv(X_INT, W_INT, padding=1, pad_value=2**53 + 1), SpecError, ["pad_value", "2**53"]),
    "divisor": (pool(2, op="avg_pool2d", divisor_override=0), SpecError, ["divisor_override=0"]),
    "float_divisor": (pool(2, op="avg_pool2d", divisor_override=0.5), TypeError, ["divisor_override must be"]),
    "norm": (pool(0, 2, op="lp_pool2d"), SpecError, ["p=0", "positive"]),
    "norm_nan": (pool(math.nan, 2, op="lp_pool2d"), SpecError, ["p=nan", "positive"]),
    "norm_text": (pool("2", 2, op="lp_pool2d"), TypeError, ["p must be a real number", "str"]),
    # arrays
    "object": (conv(X.astype(object)), TypeError, ["x has dtype object", "float32"]),
    "text": (pool(2, x=X.astype(str)), TypeError, ["x has dtype <U", "valid"]),
    "dates": (pool(2, x=X.astype("M8[s]")), TypeError, ["x has dtype datetime64[s]"]),
    "records": (pool(2, x=np.zeros((1, 1, 2, 2), [("a", "f4")])), TypeError, ["x has dtype"]),
    "complex_max": (pool(2, x=X.astype("c8")), TypeError, ["complex64", "no order"]),
    "complex_lp": (pool(2, 2, op="lp_pool2d", x=X.astype("c8")), TypeError, ["complex64", "absolute value"]),
    "masked": (conv(np.ma.masked_array(X)), TypeError, ["x is a masked array", "x.filled(0)"]),
    "masked_bias": (conv(X, W, np.ma.zeros(3)), TypeError, ["bias is a masked array"]),
    "none": (conv(None), TypeError, ["x must be an array, not None"]),
    "ragged": (conv([[1, 2], [3]]), SpecError, ["x is no array"]),
    # integer overflow
    "overflow": (conv(X_INT * 2**40, W_INT * 2**40), SpecError, ["integer overflow", "18 terms", "float64"]),
    "overflow_bias": (conv(X_INT, W_INT, np.full(3, 2**63 - 1)), SpecError, ["integer overflow"]),
    "overflow_pad_value": (conv(X_INT, W_INT * 100, padding=1, pad_value=2**60), SpecError, ["integer overflow"]),
    "overflow_sum": (pool(2, op="sum_pool2d", x=X_INT * 2**62), SpecError, ["integer overflow", "4 terms"]),
    "overflow_transpose": (
        lambda **more: convlib.conv_transpose1d([[[1]]], [[[1]]], [2**63 - 1], **more), SpecError, ["integer overflow"]
    ),
    "overflow_col2im": (
        lambda **more: convlib.col2im(np.full((4, 4), 2**62), (3, 3), 2, **more), SpecError, ["integer overflow"]
    ),
    "uint64": (conv(X.astype("u8") * np.uint64(2**63), W_INT), SpecError, ["uint64 value 9223372036854775808"]),
    "uint64_bias": (conv(X_INT, W_INT, np.full(3, 2**63, "u8")), SpecError, ["uint64 value"]),
    # sizes that no memory holds, and positions that 64 bits cannot count
    "absurd_padding": (conv(padding=2**40), SpecError, ["2**62 bytes or more", "at most 43690 on axis 2"]),
    "absurd_integer": (conv(padding=2**70), SpecError, ["padding", "2**62"]),
    "absurd_output": (pool(2**40, op="adaptive_avg_pool2d"), SpecError, ["2**62 bytes or more"]),
    "absurd_transpose": (transpose(stride=2**40), SpecError, ["2**62 bytes or more"]),
    "absurd_reach": (pool(2, dilation=2**61, padding=2**61, stride=2**61), SpecError, ["stride", "2**62 bytes"]),
    "absurd_ceil": (pool(2, dilation=2**61, stride=2**61, ceil_mode=True), SpecError, ["dilation", "2**62 bytes"]),
    "absurd_columns": (
        lambda **more: convlib.im2col(X, 2, dilation=2**61, padding=2**61, **more), SpecError, ["2**62 bytes"]
    ),
    # adaptive, transposed, unpool, columns, gradients
    "adaptive_zero": (pool(0, op="adaptive_max_pool2d"), SpecError, ["output_size=0", "at least 1"]),
    "adaptive_empty": (pool(2, op="adaptive_avg_pool2d", x=X[:, :, :0]), SpecError, ["(1, 2, 0, 5)", "empty"]),
    "global_empty": (pool(op="global_avg_pool2d", x=X[:, :, :0]), SpecError, ["(1, 2, 0, 5)", "empty"]),
    "output_padding": (transpose(output_padding=1), SpecError, ["output_padding=(1, 1)", "at most 0"]),
    "output_size": (transpose(output_size=20), SpecError, ["output_size=(20, 20)", "from (7, 7) to (7, 7)"]),
    "transpose_padding": (transpose(padding=4), SpecError, ["reduce the padding"]),
    "transpose_channels": (
        lambda **more: convlib.conv_transpose2d(X, W, **more), SpecError, ["2 channels", "(3, 2, 3, 3)", "first axis"]
    ),
    "unpool_float": (lambda **more: convlib.max_unpool2d(X, X, 2, **more), TypeError, ["indices must be integers"]),
    "unpool_range": (
        lambda **more: convlib.max_unpool2d(X, np.full(X.shape, 100), 2, **more), SpecError, ["between -1", "99", "100"]
    ),
    "unpool_negative": (
        lambda **more: convlib.max_unpool2d(X, np.full(X.shape, -2), 2, **more), SpecError, ["between -1", "-2"]
    ),
    "unpool_shape": (
        lambda **more: convlib.max_unpool2d(X, X_INT[:, :, :2], 2, **more), SpecError, ["(1, 2, 2, 5)", "(1, 2, 5, 5)"]
    ),
    "unpool_size": (
        lambda **more: convlib.max_unpool2d(X, X_INT, 2, output_size=(10, 14), **more),
        SpecError, ["(10, 14)", "(9, 9) to (11, 11)"],
    ),
    "cols_rows": (lambda **more: convlib.col2im(np.ones((9, 4)), (3, 3), 2, **more), SpecError, ["9 rows", "of 4"]),
    "cols_count": (lambda **more: convlib.col2im(np.ones((8, 5)), (3, 3), 2, **more), SpecError, ["5 columns"]),
    "grad_shape": (
        lambda **more: convlib.conv2d_grad_input(X, W, (1, 2, 9, 9), **more), SpecError, ["grad_y", "(1, 3, 7, 7)"]
    ),
    "grad_weight_shape": (
        lambda **more: convlib.conv2d_grad_weight(X, X, (3, 2, 2, 2), **more), SpecError, ["grad_y", "(1, 3, 4, 4)"]
    ),
    # out
    "out_list": (conv(out=[1]), TypeError, ["out must be a numpy array", "list"]),
    "out_shape": (conv(out=np.ones((1, 3, 3), np.float32)), SpecError, ["out has the shape (1, 3, 3)", "(1, 3, 3, 3)"]),
    "out_dtype": (conv(out=np.ones((1, 3, 3, 3))), TypeError, ["out has dtype float64", "float32"]),
    "out_swapped": (conv(out=np.ones((1, 3, 3, 3), ">f4")), TypeError, ["out has dtype >f4"]),
    "out_overlap": (conv(w=np.ones((2, 2, 1, 1), np.float32), out=X), SpecError, ["out overlaps an input"]),
    "out_stride_0": (
        conv(out=np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1, 3, 3, 3), (0, 0, 0, 0))),
        SpecError, ["out has stride 0"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_argument_rule_and_valid_value(name):
    call, kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith("pad_value_inexact")])
def test_every_backend_refuses_alike(name, backend):
    call, kind, _ = REFUSED[name]
    with pytest.raises((kind, convlib.UnsupportedError)):
        call(backend=backend)


def test_what_equals_an_option_is_refused_after_a_call_with_the_option():
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "flip": False, "pad_value": 0}
    convlib.conv2d(X, W, **usual)  # settled once for all calls like it
    for name, value in usual.items():
        for other in (bool(value), float(value), int(value)):
            if type(other) is type(value) or (name == "pad_value" and type(other) is float):
                continue
            with pytest.raises(TypeError, match=name):
                convlib.conv2d(X, W, **{**usual, name: other})


def test_refusals_leave_the_inputs_alone():
    assert X.sum() == X.size
    assert W.sum() == W.size


def test_errors_are_of_the_kinds_that_python_users_catch():
    assert issubclass(SpecError, ValueError)
    assert issubclass(convlib.UnsupportedError, NotImplementedError)
    assert issubclass(convlib.UnsupportedError, convlib.BackendError)
    assert issubclass(convlib.BackendError, convlib.ConvlibError)


def test_an_allocation_that_fails_is_a_memory_error_and_harms_nothing():
    with pytest.raises(MemoryError):
        convlib.adaptive_avg_pool2d(X, 2**22)
    assert convlib.conv2d(X, W).shape == (1, 3, 3, 3)


@pytest.mark.parametrize(
    ("x", "w", "bias", "expected"),
    [
        ("f4", "f4", None, "f4"), ("f4", "f8", None, "f8"), ("f2", "f2", None, "f2"), ("f2", "f4", None, "f4"),
        ("i1", "i1", None, "i8"), ("?", "?", None, "i8"), ("u8", "i8", None, "i8"), ("i4", "f4", None, "f8"),
        ("c8", "f8", None, "c16"), (">f4", "f4", None, "f4"), ("i8", "i8", "f4", "f8"), ("f4", "f4", "c8", "c8"),
        ("f2", "f2", "f2", "f2"), ("i1", "i1", "f2", "f2"),
    ],
)  # fmt: skip
def test_result_types_of_sums(x, w, bias, expected, backend):
    b = None if bias is None else np.zeros(3, bias)
    y = convlib.conv2d(X.astype(x), W.astype(w), b, backend=backend)
    assert y.dtype == np.dtype(expected)
    assert y.dtype.isnative
    np.testing.assert_allclose(y, 18, rtol=1e-3)


def test_a_bias_of_a_wider_type_decides_who_serves():
    """The type that the call computes in is the one that backends are asked about."""
    y = convlib.conv2d(X, W, np.full(3, 1j), backend="im2col")
    np.testing.assert_array_equal(y, np.full((1, 3, 3, 3), 18 + 1j))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
def test_result_types_of_pools(dtype, backend):
    x = X.astype(dtype)
    for op in ("max_pool2d", "min_pool2d"):
        assert getattr(convlib, op)(x, 2, backend=backend).dtype == np.dtype(dtype)
    exact = np.dtype(dtype).kind in "iub"
    assert convlib.sum_pool2d(x, 2, backend=backend).dtype == np.dtype("i8" if exact else dtype)
    assert convlib.avg_pool2d(x, 2, backend=backend).dtype == np.dtype("f8" if exact else dtype)


def test_large_integers_are_exact(backend):
    """Beyond 2**53 a detour over doubles would show."""
    x = np.array([[[2**60 + 1, 3, 2**60 - 1]]])
    np.testing.assert_array_equal(convlib.conv1d(x, [[[1, -1]]], backend=backend), [[[2**60 - 2, 4 - 2**60]]])
    np.testing.assert_array_equal(convlib.sum_pool1d(x, 3, backend=backend), [[[2**61 + 3]]])
    np.testing.assert_array_equal(convlib.max_pool1d(x, 3, backend=backend), [[[2**60 + 1]]])


def test_unsigned_values_beyond_int64_keep_their_order(backend):
    x = np.array([[[2**63, 2**64 - 1, 5]]], np.uint64)
    y, where = convlib.max_pool1d(x, 3, return_indices=True, backend=backend)
    assert y.item() == 2**64 - 1
    assert where.item() == 1
    assert convlib.min_pool1d(x, 3, backend=backend).item() == 5


def test_half_precision_sums_in_single(backend):
    """4096 ones: float16 steps stop at 2048."""
    assert convlib.sum_pool1d(np.ones((1, 1, 4096), np.float16), 4096, backend=backend).item() == 4096
    x = np.full((1, 1, 64), 40000, np.float16)  # the sum overflows float16, the average does not
    assert convlib.avg_pool1d(x, 64, backend=backend).item() == np.float16(40000)


def test_lists_and_scalars_of_arrays():
    np.testing.assert_array_equal(convlib.conv1d([[1, 2, 3]], [[[1, 1]]], stride=np.int64(1)), [[3, 5]])
    assert convlib.conv2d(X, W, stride=np.array([2, 1]), padding=[[0, 1], (1, 0)]).shape == (1, 3, 2, 4)
    assert convlib.max_pool2d(memoryview(X[0]), range(1, 3)).shape == (2, 5, 2)
    assert convlib.conv2d(X, W, padding=1, pad_value=np.float32(0.5)).dtype == np.float32
    assert convlib.lp_pool2d(X, np.float32(2), 2).shape == (1, 2, 2, 2)


def test_memory_maps(tmp_path, backend):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    x[...] = X
    y = convlib.conv2d(x, W, backend=backend)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, 18, rtol=1e-5)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((1, 3, 3, 3), np.float32),
        np.empty((1, 3, 3, 6), np.float32)[..., ::2],
        np.empty((1, 3, 3, 3), np.float32)[..., ::-1],
        np.asfortranarray(np.empty((1, 3, 3, 3), np.float32)),
        np.empty(4 * 27 + 1, np.uint8)[1:].view(np.float32).reshape(1, 3, 3, 3),
    ],
    ids=["plain", "gaps", "reversed", "fortran", "misaligned"],
)
def test_out_is_filled_and_returned(out, backend):
    out[...] = 77
    assert convlib.conv2d(X, W, np.ones(3, np.float32), out=out, backend=backend) is out
    np.testing.assert_allclose(out, 19, rtol=1e-5)


ODD_ARRAYS = {
    "plain": lambda a: a,
    "gaps": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "fortran": np.asfortranarray,
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "misaligned": lambda a: np.frombuffer(b"." + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "list": lambda a: a.tolist(),
    "unbatched": lambda a: a[0],
}


@pytest.mark.parametrize("make", ODD_ARRAYS.values(), ids=ODD_ARRAYS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "?", "f2"])
def test_pools_without_out_are_those_with_out(make, dtype):
    """Calls of plain arrays take a shorter way."""
    a = np.random.default_rng(3).integers(-9, 9, (1, 3, 7, 6)).astype(dtype)
    x = make(a)
    shape = (1, 3, 6, 5)[np.ndim(x) == 3 :]
    for _ in range(2):
        for op in ("max", "sum", "avg"):
            pool = getattr(convlib, f"{op}_pool2d")
            y = pool(x, 2, stride=1)
            out = np.empty(shape, y.dtype)
            pool(x, 2, stride=1, out=out)
            np.testing.assert_array_equal(y, out)
        y, places = convlib.max_pool2d(x, 2, stride=1, return_indices=True)
        planes = a.reshape(3, -1)
        np.testing.assert_array_equal(np.take_along_axis(planes, places.reshape(3, -1), 1), y.reshape(3, -1))


def test_pools_heed_a_change_of_backend():
    x = X.copy()
    convlib.max_pool2d(x, 2)
    with pytest.raises(convlib.BackendError, match="does not implement pool"), convlib.use_backend("fft"):
        convlib.max_pool2d(x, 2)
    with pytest.raises(convlib.BackendError, match="does not implement pool"):
        convlib.max_pool2d(x, 2, backend="fft")


def test_out_beside_the_input_in_one_buffer(backend):
    """Interleaved memory that shares no element is no overlap."""
    buffer = np.zeros((1, 2, 5, 10), np.float32)
    buffer[..., ::2] = 3
    convlib.max_pool2d(buffer[..., ::2], 1, out=buffer[..., 1::2], backend=backend)
    assert (buffer == 3).all()


@pytest.mark.parametrize(
    ("op", "expected"),
    [("max_pool1d", [np.nan, np.nan, 6]), ("min_pool1d", [np.nan, np.nan, 5]), ("sum_pool1d", [np.nan, np.nan, 11])],
)
def test_nan_is_never_swallowed(op, expected, backend):
    x = np.array([[[1, np.nan, 5, 6]]], np.float32)
    np.testing.assert_array_equal(getattr(convlib, op)(x, 2, stride=1, backend=backend), [[expected]])


def test_nan_in_weights_reaches_all_outputs_of_its_channel(backend):
    w = W.copy()
    w[1, 0, 1, 1] = np.nan
    y = convlib.conv2d(X, w, backend=backend)
    assert np.isnan(y[:, 1]).all()
    np.testing.assert_allclose(y[:, ::2], 18, rtol=1e-5)


def test_infinite_weights_give_infinities(backend):
    w = np.zeros((1, 2, 3), np.float32)
    w[0, :, 0] = np.inf, -np.inf
    x = np.array([[[1, 1, 1, 2, 2], [-1, 1, -1, 1, -1]]], np.float32)
    y = convlib.conv1d(x, w, backend=backend)
    np.testing.assert_array_equal(y, [[[np.inf, np.nan, np.inf]]])


def test_functions_have_names_signatures_and_texts_of_their_own():
    for name in convlib.functional.__all__:
        function = getattr(convlib, name)
        assert function.__name__ == name
        assert function.__doc__
        assert not re.search(r"<[a-z_]+>", function.__doc__), name
