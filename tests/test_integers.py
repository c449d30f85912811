"""Integers and padding within the scratch bound: exact at every size of number, and never converted as a whole.

The truth of sums is made by Python integers, element by element, or stands in the test.
"""

import tracemalloc

import numpy as np
import pytest

import convlib
from convlib import config
from convlib.backends.base import Backend

MIB = 1 << 20
#: Less than the arrays of any call below take as int64.
TINY = 40_000
TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def numbers(dtype, *shape, most=3, seed=0):
    rng = np.random.default_rng(seed)
    low = 0 if np.dtype(dtype).kind in "bu" else -most
    return rng.integers(low, 2 if dtype == "bool" else most + 1, shape).astype(dtype)


def truth(x, w, stride=1, pads=(0, 0)):
    """Correlate in Python integers."""
    x = np.pad(x.astype(object), ((0, 0), (0, 0), pads, pads))
    kh, kw = w.shape[2:]
    y = np.zeros((len(x), len(w), (x.shape[2] - kh) // stride + 1, (x.shape[3] - kw) // stride + 1), object)
    for i, j in np.ndindex(kh, kw):
        seen = x[:, :, i :: stride, j :: stride][:, :, : y.shape[2], : y.shape[3]]
        y += np.einsum("nchw,oc->nohw", seen, w[:, :, i, j].astype(object))
    return y


@pytest.mark.parametrize("dtype", TYPES)
def test_convolution_and_gradients_of_every_type_in_blocks(backend, dtype, cuts):
    x, w, bias = numbers(dtype, 3, 4, 31, 28), numbers("int8", 5, 4, 3, 3, seed=1), numbers(dtype, 5, seed=2)
    with config.scratch(TINY):
        y = convlib.conv2d(x, w, bias, stride=2, padding=1, backend=backend)
        if backend == "native" and dtype in ("int8", "uint8"):
            assert not cuts, "these are taken as they are"
        else:
            assert dtype == "int64" or cuts[-1] > 1
        expected = truth(x, w, 2, (1, 1)) + bias.astype(object).reshape(-1, 1, 1)
        np.testing.assert_array_equal(y, expected.astype(np.int64))
        assert y.dtype == np.int64
        grad_y = numbers(dtype, *y.shape, seed=3)
        grad_x = convlib.conv2d_grad_input(grad_y, w, x.shape, stride=2, padding=1, backend=backend)
        grad_w = convlib.conv2d_grad_weight(grad_y, x, w.shape, stride=2, padding=1, backend=backend)
    # <conv(a, b), grad_y> is linear in each: basis vectors would do, random ones find the same errors.
    other_x, other_w = numbers("int16", *x.shape, seed=4), numbers("int16", *w.shape, seed=5)
    dot = (truth(other_x, w, 2, (1, 1)) * grad_y.astype(object)).sum()
    assert dot == (grad_x.astype(object) * other_x).sum()
    assert (truth(x, other_w, 2, (1, 1)) * grad_y.astype(object)).sum() == (grad_w.astype(object) * other_w).sum()


@pytest.mark.parametrize("magnitude", [2**11, 2**12, 2**13, 2**25, 2**26, 2**27, 2**30])
def test_sums_are_exact_on_both_sides_of_what_floats_hold(backend, magnitude):
    """Sums of one term lie around 2**24, 2**53 and far above; one more in the last place tells a rounded one."""
    x = np.array([[[[magnitude + 1, 1, magnitude - 1, -magnitude]]]])
    w = np.array([[[[magnitude - 1, 1]]]])
    expected = [[[[magnitude**2, magnitude + magnitude - 2, (magnitude - 1) ** 2 - magnitude]]]]
    np.testing.assert_array_equal(convlib.conv2d(x, w, backend=backend), expected)
    grad_w = convlib.conv2d_grad_weight(np.array([[[[magnitude - 1, 0, 1]]]]), x, w.shape, backend=backend)
    np.testing.assert_array_equal(grad_w, [[[[magnitude**2 + magnitude - 2, -1]]]])
    grad_x = convlib.conv2d_grad_input(np.array([[[[magnitude + 1, 0, 0]]]]), w, x.shape, backend=backend)
    np.testing.assert_array_equal(grad_x, [[[[magnitude**2 - 1, magnitude + 1, 0, 0]]]])


def test_the_automatic_choice_sums_integers_as_floats(register):
    seen = []

    class Watching(Backend):
        name = "watching"
        operations = ("conv",)

        def integers_as_floats(self, op, spec, algorithm):
            return True

        def _conv(self, spec, x, w, bias, y, algorithm):
            seen.append((x.dtype.name, w.dtype.name, y.dtype.name))
            y[...] = 7

    register(Watching)
    for power, kind in ((20, "float32"), (22, "float32"), (23, "float64"), (51, "float64"), (52, "int64")):
        most = 2**power
        y = convlib.conv1d(np.array([[[most, 0, -1]]]), np.array([[[1, 1]]], "i1"), backend="watching")
        assert seen.pop() == (kind, kind, kind), most
        assert y.dtype == np.int64
        assert (y == 7).all()
    with pytest.raises(convlib.SpecError, match="overflow is possible"):
        convlib.conv1d(np.array([[[2**62, 0, -1]]]), np.array([[[1, 1]]]), backend="watching")
    assert not seen


def test_what_padding_holds_counts(backend):
    """A constant far larger than the input must not leave the float that the input alone would fit."""
    x, w = np.array([[[1, 1]]], np.uint8), np.array([[[2**12 + 1, 1]]])
    for value in (2**20 + 1, 2**45 + 1):
        y = convlib.conv1d(x, w, padding=1, pad_value=value, backend=backend)
        np.testing.assert_array_equal(y, [[[(2**12 + 1) * value + 1, 2**12 + 2, 2**12 + 1 + value]]])
    with pytest.raises(convlib.SpecError, match=r"overflow is possible|does not fit int64"):
        convlib.conv1d(x, w, padding=1, pad_value=2.0**62, backend=backend)
    with pytest.raises(convlib.SpecError, match="does not fit int64"):
        convlib.conv1d(x, w, padding=1, pad_value=2.0**63, backend=backend)
    with pytest.raises(TypeError, match="not an integer"):
        convlib.conv1d(x, w, padding=1, pad_value=0.5, backend=backend)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap", "constant"])
def test_padding_in_blocks_is_that_of_numpy(mode, dtype, layout, cuts):
    padding = ((3, 2), (4, 7))
    x, w = numbers(dtype, 2, 3, 49, 38), numbers(dtype, 4, 3, 3, 2, seed=1)
    options = {"constant_values": 3} if mode == "constant" else {"mode": mode}
    wide = np.pad(x, ((0, 0), (0, 0), *padding), **options)
    with config.scratch(1 << 30):
        expected = convlib.conv2d(wide, w, dilation=2, backend="cython")  # without padding, where naive takes a second
    given = x if layout == "NCHW" else np.moveaxis(x, 1, -1)
    extra = {"pad_value": 3} if mode == "constant" else {"padding_mode": mode}
    for name in ("cython", "im2col", "native"):
        with config.scratch(TINY):
            y = convlib.conv2d(given, w, dilation=2, padding=padding, layout=layout, backend=name, **extra)
        assert cuts[-1] > 1
        np.testing.assert_array_equal(y if layout == "NCHW" else np.moveaxis(y, -1, 1), expected)


def peak(function, *args, **options):
    """Return the most memory that a call holds beside its result."""
    function(*args, **options)  # caches fill
    tracemalloc.start()
    result = function(*args, **options)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - sum(a.nbytes for a in (result if isinstance(result, tuple) else (result,)))


def memory_calls(dtype):
    x, grad_y = numbers(dtype, 2, 4, 200, 256), numbers(dtype, 2, 4, 200, 256, seed=2)
    w = numbers("int8" if np.dtype(dtype).kind in "iu" else dtype, 4, 4, 3, 3, seed=1)
    places = np.arange(2 * 4 * 100 * 128).reshape(2, 4, 100, 128) % (200 * 256)
    yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1}
    yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1, "padding_mode": "reflect"}
    yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1, "pad_value": 1}
    yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1, "flip": True}
    if np.dtype(dtype).kind in "iu":
        zeros = {"x_zero_point": 1, "w_zero_point": (0, 1, 2, 3)}
        yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1, **zeros}
        zeros |= {"padding_mode": "wrap", "out_dtype": "int32"}
        yield "conv2d", (x, w), (x.shape, w.shape), {"padding": 1, **zeros}
    yield "conv2d_grad_input", (grad_y, w, x.shape), (grad_y.shape, w.shape, x.shape), {"padding": 1}
    yield "conv2d_grad_weight", (grad_y, x, w.shape), (grad_y.shape, x.shape, w.shape), {"padding": 1}
    yield "conv_transpose2d", (grad_y, w), (grad_y.shape, w.shape), {"padding": 1}
    yield "avg_pool2d", (x, 3), (x.shape, 3), {}
    yield "sum_pool2d", (x, 3), (x.shape, 3), {}
    if x.dtype.kind == "c":
        return  # which has no order
    yield "max_pool2d", (x, 2), (x.shape, 2), {"return_indices": True}
    yield "max_unpool2d", (x[:, :, ::2, ::2].copy(), places, 2), (places.shape, places.shape, 2), {}


def turned(a):
    """Move the channels of images, or of their shapes, to the end."""
    if isinstance(a, np.ndarray):
        return np.moveaxis(a, 1, -1).copy() if a.shape[-1] > 3 else a
    return (a[0], *a[2:], a[1]) if isinstance(a, tuple) and a[-1] > 3 else a


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32", "complex64"])
@pytest.mark.parametrize("name", [None, "cython"])
def test_memory_stays_below_the_bound_and_is_what_explain_says(name, dtype, layout):
    """As int64 or float64 the arrays of these calls would take several times the bound."""
    small = 40_000  # what Python objects and caches of blocks take
    with config.max_workspace(MIB):
        for function, arrays, shapes, options in memory_calls(dtype):
            if layout == "NHWC":
                arrays, shapes = list(map(turned, arrays)), list(map(turned, shapes))
            options = {**options, "backend": name, "layout": layout}
            said = convlib.explain(function, *shapes, dtype=dtype, **options).workspace_nbytes
            used = peak(getattr(convlib, function), *arrays, **options)
            assert used <= said + small, (function, options)
            assert said <= MIB, (function, options)
            if dtype in ("uint8", "int32", "float16") and function.startswith("conv"):
                assert said > 100_000, (function, options)  # there are copies, and it says so


def test_nothing_is_said_to_be_copied_that_is_not():
    def said(*args, **options):
        return convlib.explain(*args, **options).workspace_nbytes

    x, w, last = (1, 8, 64, 64), (8, 8, 3, 3), (1, 64, 64, 8)
    for dtype in ("float32", "float64", "int64"):
        assert said("conv2d", x, w, dtype=dtype, backend="cython") == 0
        assert said("conv2d", last, w, dtype=dtype, layout="NHWC", backend="cython") == 0
        assert said("conv2d", x, w, dtype=dtype, padding=1, padding_mode="wrap", backend="cython") > 0
    assert said("max_pool2d", x, 2, dtype="int8", backend="cython") == 0
    assert said("max_unpool2d", x, x, 2, dtype="int8", backend="cython") == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "call",
    [
        lambda x, one, **o: convlib.conv2d(x, one, **o), lambda x, one, **o: convlib.conv2d(one, x[..., :1, :1], **o),
        lambda x, one, **o: convlib.conv2d_grad_input(x, one, x.shape, **o),
        lambda x, one, **o: convlib.conv2d_grad_weight(x, x, one.shape, **o),
        lambda x, one, **o: convlib.conv_transpose2d(x, one, **o),
        lambda x, one, **o: convlib.sum_pool2d(x, 1, **o),
        lambda x, one, **o: convlib.sum_pool2d_grad_input(x, x.shape, 1, **o),
        lambda x, one, **o: convlib.max_pool2d_grad_input(x, np.zeros(x.shape, int), x.shape, **o),
        lambda x, one, **o: convlib.col2im(x.reshape(1, 1, 4), (2, 2), 1, **o),
        lambda x, one, **o: convlib.filter2d(x[0, 0], one[0, 0], **o),
    ],
)  # fmt: skip
def test_what_int64_does_not_hold_is_refused_in_any_byte_order(backend, call, order):
    x, one = np.full((1, 1, 2, 2), 2**63, f"{order}u8"), np.ones((1, 1, 1, 1), f"{order}u8")
    with pytest.raises(convlib.SpecError, match="uint64 value 9223372036854775808 does not fit int64"):
        call(x, one, backend=backend)


@pytest.mark.parametrize("dtype", TYPES)
def test_unpooling_moves_integers_as_they_are(backend, dtype):
    top = True if dtype == "bool" else np.iinfo(dtype).max
    bottom = False if dtype == "bool" else np.iinfo(dtype).min
    x = np.array([[[top, bottom, top]]], dtype)
    y = convlib.max_unpool1d(x, np.array([[[1, 2, 4]]]), 2, backend=backend)
    np.testing.assert_array_equal(y, np.array([[[0, top, bottom, 0, top, 0]]], dtype))
    assert y.dtype == dtype


def test_a_refusal_leaves_out_as_it_was():
    x = np.zeros((2, 1, 60, 60), np.int32)
    x[1] = 2**31 - 1
    out = np.full((2, 1, 1, 1), 5)
    with config.scratch(TINY), pytest.raises(convlib.SpecError, match="overflow"):
        convlib.conv2d(x, np.full((1, 1, 60, 60), 2**31 - 1, np.int32), out=out, backend="cython")
    assert (out == 5).all()
    values, places, out = np.ones((2, 1, 30), np.int8), np.zeros((2, 1, 30), int), np.full((2, 1, 60), 5, np.int8)
    places[1, 0, 29] = 60
    with config.scratch(100), pytest.raises(convlib.SpecError, match="indices must lie between"):
        convlib.max_unpool1d(values, places, 2, out=out)
    assert (out == 5).all()


@pytest.mark.parametrize("nbytes", [0, 100, 1000, 3000, 30_000])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_a_part_of_a_call_has_little_scratch(dtype, nbytes):
    """Where no implementation fits, loops without scratch serve, and explain names none."""
    x, w = np.arange(256, dtype=dtype).reshape(1, 4, 8, 8) % 5, np.arange(144, dtype=dtype).reshape(4, 4, 3, 3) % 3
    expected = convlib.conv2d(x, w, backend="naive")
    with config.scratch(nbytes):
        said = convlib.explain("conv2d", x.shape, w.shape, dtype=dtype, backend="native")
        loops = said.algorithm is None
        assert loops == (nbytes < 1000) or nbytes == 1000  # what fits in so much depends on the vectors' size
        assert ("exact loops: no implementation for floats fits max_workspace" in said.reason) == loops
        np.testing.assert_array_equal(convlib.conv2d(x, w, backend="native"), expected, strict=True)
        y = expected.astype(dtype) % 7
        same = convlib.conv2d_grad_weight(y, x, w.shape, backend="native")
        assert (same == convlib.conv2d_grad_weight(y, x, w.shape, backend="naive")).all()
