"""Dask arrays: whatever the chunks, results are those of the whole, bit for bit, and nothing is computed early.

Small integers in floats, so that every order of summation gives the same bits.
"""

import math
import sys
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings

import convlib
from convlib import testing

da = pytest.importorskip("dask.array", reason="Dask is not installed")

MODES = ("constant", "reflect", "symmetric", "edge", "wrap")
PADDINGS = ("valid", "same_upper", "same_lower", "full", "causal")


def values(shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


@st.composite
def chunkings(draw, shape):
    """Cut each axis anywhere, most often into few blocks and sometimes into single elements."""
    found = []
    for size in shape:
        most = draw(st.sampled_from((0, 1, 2, 4, size)))
        cuts = draw(st.lists(st.integers(1, max(1, size - 1)), max_size=most)) if size > 1 else []
        bounds = sorted({0, size, *cuts})
        found.append(tuple(b - a for a, b in pairwise(bounds)) or (0,))
    return tuple(found)


@st.composite
def windows(draw, most_padding=None):
    """Draw sizes and options that fit together: (spatial size, kernel, options)."""
    nd = draw(st.integers(1, 3))
    size = tuple(draw(st.integers(1, (40, 14, 8)[nd - 1])) for _ in range(nd))
    kernel = tuple(draw(st.integers(1, (9, 4, 3)[nd - 1])) for _ in range(nd))
    dilation = tuple(draw(st.integers(1, 3)) for _ in range(nd))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = []
    for i, e in zip(size, reach, strict=True):
        most = e - 1 if most_padding is None else most_padding
        lo, hi = draw(st.integers(0, most)), draw(st.integers(0, most))
        pads.append((lo, max(hi, e - i - lo)) if most_padding is not None else (lo, hi))
    stride = tuple(draw(st.integers(1, 4)) for _ in range(nd))
    return size, kernel, {"stride": stride, "dilation": dilation, "padding": tuple(pads)}


def lazy(draw, array):
    return da.from_array(array, chunks=draw(chunkings(array.shape)))


def compare(function, arrays, *args, data, lazily=None, **options):
    """Compare blocks with the whole; `lazily` says which arguments are Dask arrays, all by default."""
    expected = function(*arrays, *args, **options)
    count = len(arrays) if lazily is None else lazily
    given = [lazy(data.draw, a) if k < count and a is not None else a for k, a in enumerate(arrays)]
    found = function(*given, *args, **options)
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, expected)), strict=True):
        assert isinstance(a, da.Array)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        got = a.compute(scheduler="synchronous")
        assert got.dtype == b.dtype
        np.testing.assert_array_equal(got, b)


def shaped(data, spatial, channels):
    """Return a shape, with or without a batch, channels first or last, and the layout."""
    n, last = data.draw(st.sampled_from((None, 0, 1, 3))), data.draw(st.booleans())
    inner = (*spatial, channels) if last else (channels, *spatial)
    return (inner if n is None else (n, *inner)), "NHWC" if last else "NCHW"


def fitting(function, *args, **options):
    """Call a function; reject the example if its windows do not fit, or nothing would be left."""
    try:
        return function(*args, **options)
    except convlib.SpecError:
        reject()


def function(name, nd, suffix=""):
    return getattr(convlib, f"{name}{nd}d{suffix}")


# ------------------------------------------------------------------------------- any chunks


@given(windows(most_padding=9), st.sampled_from(MODES), st.sampled_from((1, 2)), st.data())
def test_convolution(problem, mode, groups, data):
    size, kernel, options = problem
    shape, layout = shaped(data, size, 2 * groups)
    w, bias = values((3 * groups, 2, *kernel), 1), values(3 * groups, 2)
    options |= {"groups": groups, "padding_mode": mode, "layout": layout, "flip": data.draw(st.booleans())}
    if mode == "constant":
        options["pad_value"] = data.draw(st.sampled_from((0, 2)))
    compare(function("conv", len(size)), [values(shape), w, bias], data=data, lazily=1, **options)


@given(windows(), st.sampled_from(PADDINGS), st.sampled_from(MODES), st.data())
def test_every_form_of_padding(problem, padding, mode, data):
    size, kernel, options = problem
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, options["dilation"], strict=True)]
    size = tuple(max(i, e) for i, e in zip(size, reach, strict=True))
    options |= {"padding": padding, "padding_mode": mode}
    shape, options["layout"] = shaped(data, size, 2)
    compare(function("conv", len(size)), [values(shape), values((2, 2, *kernel), 1)], data=data, **options)


@given(windows(most_padding=6), st.sampled_from(MODES), st.sampled_from((1, 2)), st.data())
def test_gradients_of_convolution(problem, mode, groups, data):
    size, kernel, options = problem
    shape, layout = shaped(data, size, 2 * groups)
    nd, x, w = len(size), values(shape), values((3 * groups, 2, *kernel), 1)
    options |= {"groups": groups, "padding_mode": mode, "layout": layout, "flip": data.draw(st.booleans())}
    grad_y = values(function("conv", nd)(x, w, **options).shape, 3)
    compare(function("conv", nd, "_grad_input"), [grad_y, w], shape, data=data, lazily=1, **options)
    compare(function("conv", nd, "_grad_weight"), [grad_y, x], w.shape, data=data, **options)


def test_a_mode_of_padding_without_any():
    """Blocks of the gradient have padding where the whole has none."""
    w, grad_y = values((3, 2, 2), 1), values((3, 1), 3)
    expected = convlib.conv1d_grad_input(grad_y, w, (2, 2))
    found = convlib.conv1d_grad_input(da.from_array(grad_y), w, (2, 2), padding_mode="reflect")
    assert found.npartitions == 2
    np.testing.assert_array_equal(found, expected)


@given(st.integers(1, 3), st.data())
def test_transposed_convolution_and_its_gradients(nd, data):
    draw = data.draw
    size = tuple(draw(st.integers(1, (20, 8, 5)[nd - 1])) for _ in range(nd))
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(nd)) for _ in range(3))
    padding = tuple(draw(st.integers(0, (k - 1) * d // 2)) for k, d in zip(kernel, dilation, strict=True))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    shape, layout = shaped(data, size, 4)
    x, w, bias = values(shape), values((4, 3, *kernel), 1), values(6, 2)
    options = {"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation, "groups": 2}
    options["layout"] = layout
    y = fitting(function("conv_transpose", nd), x, w, bias, **options)
    compare(function("conv_transpose", nd), [x, w, bias], data=data, lazily=1, **options)
    grad_y = values(y.shape, 3)
    compare(function("conv_transpose", nd, "_grad_input"), [grad_y, w], shape, data=data, lazily=1, **options)
    compare(function("conv_transpose", nd, "_grad_weight"), [grad_y, x], w.shape, data=data, **options)


@given(windows(), st.booleans(), st.data())
def test_pooling(problem, ceil_mode, data):
    size, kernel, options = problem
    shape, layout = shaped(data, size, 3)
    nd, x = len(size), values(shape)
    options |= {"ceil_mode": ceil_mode, "layout": layout}
    fitting(function("max_pool", nd), x, kernel, **options)
    compare(function("max_pool", nd), [x], kernel, data=data, return_indices=True, **options)
    compare(function("min_pool", nd), [x], kernel, data=data, **options)
    compare(function("sum_pool", nd), [x], kernel, data=data, **options)
    compare(function("lp_pool", nd), [x], math.inf, kernel, data=data, **options)
    counted = {"count_include_pad": data.draw(st.booleans()), "divisor_override": data.draw(st.sampled_from((None, 8)))}
    compare(function("avg_pool", nd), [x], kernel, data=data, **counted, **options)


@given(windows(), st.booleans(), st.data())
def test_gradients_of_pooling(problem, ceil_mode, data):
    size, kernel, options = problem
    shape, layout = shaped(data, size, 2)
    nd, x = len(size), values(shape)
    options |= {"ceil_mode": ceil_mode, "layout": layout}
    y, indices = fitting(function("max_pool", nd), x, kernel, return_indices=True, **options)
    grad_y = values(y.shape, 4)
    compare(function("max_pool", nd, "_grad_input"), [grad_y, indices], shape, data=data, layout=layout)
    compare(function("sum_pool", nd, "_grad_input"), [grad_y], shape, kernel, data=data, **options)
    counted = {"count_include_pad": data.draw(st.booleans()), "divisor_override": data.draw(st.sampled_from((None, 8)))}
    # each share is whole: up to 9 taps in one axis, 4 in each of two and 3 in each of three are counted, or 8
    shared = grad_y * (2520, 144, 216)[nd - 1]
    compare(function("avg_pool", nd, "_grad_input"), [shared], shape, kernel, data=data, **counted, **options)
    y = function("lp_pool", nd)(x, math.inf, kernel, **options)
    compare(function("lp_pool", nd, "_grad_input"), [grad_y, x, y], math.inf, kernel, data=data, **options)


def test_shares_that_round_are_added_up_to_their_last_bits():
    """A block of this gradient and the whole of it are served in two ways, in whose order of adding up 1/3 rounds."""
    grad_y, options = np.array([[[1, -3, -1, 3], [0, -3, 2, 2]]], "f4"), {"stride": 1, "padding": ((0, 1),)}
    whole = convlib.avg_pool1d_grad_input(grad_y, (1, 2, 5), 3, count_include_pad=False, **options)
    blocks = da.from_array(grad_y, chunks=(1, 2, (1, 1, 2)))
    found = convlib.avg_pool1d_grad_input(blocks, (1, 2, 5), 3, count_include_pad=False, **options)
    np.testing.assert_allclose(found.compute(), whole, rtol=1e-6, atol=1e-6)


def test_a_block_as_wide_as_its_windows_but_elsewhere():
    """The last block of inputs, two elements, lies one behind the two of its only window."""
    x, grad_y = values((1, 1, 4)), np.array([[[2, 3]]], "f4")
    options = {"stride": 2, "padding": ((1, 0),)}
    found = convlib.sum_pool1d_grad_input(da.from_array(grad_y, chunks=1), x.shape, 2, **options)
    assert found.compute().tolist() == [[[2, 3, 3, 0]]]


@given(st.integers(1, 3), st.data())
def test_adaptive_pooling(nd, data):
    size = tuple(data.draw(st.integers(1, (40, 14, 8)[nd - 1])) for _ in range(nd))
    wanted = tuple(data.draw(st.integers(1, i + 2)) for i in size)
    shape, layout = shaped(data, size, 2)
    x = values(shape)
    compare(function("adaptive_max_pool", nd), [x], wanted, data=data, return_indices=True, layout=layout)
    compare(function("adaptive_avg_pool", nd), [x], wanted, data=data, layout=layout)
    compare(function("global_max_pool", nd), [x], data=data, layout=layout)
    y = function("adaptive_avg_pool", nd)(x, wanted, layout=layout)
    compare(function("adaptive_avg_pool", nd, "_grad_input"), [values(y.shape, 5)], shape, data=data, layout=layout)


@pytest.fixture
def little(monkeypatch):
    """Take every window for one that is too large to be put together."""
    monkeypatch.setattr(sys.modules["convlib.backends.dask_large"], "LARGE", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3), st.sampled_from(("f4", "f2", "f8", "i4", "u1", "bool")), st.data())
def test_windows_that_are_larger_than_a_block(little, nd, dtype, data):
    size = tuple(data.draw(st.integers(1, (40, 14, 8)[nd - 1])) for _ in range(nd))
    shape, layout = shaped(data, size, 2)
    x = values(shape, dtype=dtype)
    if x.dtype.kind == "f" and x.size:
        x.flat[:: data.draw(st.integers(5, 90))] = data.draw(st.sampled_from((np.nan, -1, 9)))
    one = {"data": data, "layout": layout}
    compare(function("global_max_pool", nd), [x], **one)
    compare(function("global_avg_pool", nd), [x], **one)
    compare(function("adaptive_max_pool", nd), [x], data.draw(st.integers(1, 3)), return_indices=True, **one)
    compare(function("sum_pool", nd), [x], size, **one)
    compare(function("min_pool", nd), [x], size, return_indices=True, **one)
    compare(function("lp_pool", nd), [x], math.inf, size, **one)
    padding = tuple((data.draw(st.integers(0, i - 1)), 0) for i in size)
    compare(function("avg_pool", nd), [x], size, padding=padding, count_include_pad=data.draw(st.booleans()), **one)


def test_norms_of_windows_that_are_larger_than_a_block(little):
    x = np.random.default_rng(0).standard_normal((1, 2, 30, 30))
    x[0, 1] = 0
    for p in (1, 2, 3.5):
        expected = (np.abs(x[0, 0]) ** p).sum() ** (1 / p)
        found = convlib.lp_pool2d(da.from_array(x, chunks=7), p, 30).compute()
        np.testing.assert_allclose(found[0, :, 0, 0], [expected, 0], rtol=1e-12)


def test_a_large_window_is_not_put_together():
    x = da.ones((1, 1, 4800, 4800), chunks=(1, 1, 800, 800), dtype="f4")
    y = convlib.global_avg_pool2d(x)
    assert len([key for key in y.__dask_graph__() if "window" in str(key)]) == 36
    assert y.compute().item() == 1


@given(st.booleans(), st.sampled_from(("same", "valid", "full")), st.sampled_from(MODES), st.data())
def test_filter2d(colour, mode, boundary, data):
    image = values((11, 13, 3) if colour else (11, 13))
    compare(convlib.filter2d, [image, values((4, 3), 1)], data=data, lazily=1, mode=mode, boundary=boundary)


@given(st.data())
def test_unpooling(data):
    x, indices = convlib.max_pool2d(values((2, 3, 9, 8)), 2, return_indices=True)
    compare(convlib.max_unpool2d, [x, indices], 2, data=data, output_size=(9, 8))


# ------------------------------------------------------------------------------- types and algorithms


@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64", "int8", "uint16", "bool", ">f4"])
def test_element_types(dtype):
    x, w = values((2, 4, 13, 11)).astype(dtype), values((3, 4, 3, 3), 1).astype(dtype)
    given = da.from_array(x, chunks=(1, 2, 5, 4))
    for mode in ("constant", "reflect"):
        expected = convlib.conv2d(x, w, padding=2, padding_mode=mode)
        found = convlib.conv2d(given, w, padding=2, padding_mode=mode)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    grad_y = values((2, 3, 11, 9)).astype(dtype)
    lazily = da.from_array(grad_y, chunks=4)
    np.testing.assert_array_equal(
        convlib.conv2d_grad_weight(lazily, given, w.shape), convlib.conv2d_grad_weight(grad_y, x, w.shape)
    )
    for mode in ("constant", "symmetric"):
        options = {"padding": 1, "padding_mode": mode}
        np.testing.assert_array_equal(
            convlib.conv2d_grad_input(lazily, w, (2, 4, 11, 9), **options),
            convlib.conv2d_grad_input(grad_y, w, (2, 4, 11, 9), **options),
        )
    if np.dtype(dtype).kind != "c":
        np.testing.assert_array_equal(convlib.avg_pool2d(given, 2), convlib.avg_pool2d(x, 2))
        np.testing.assert_array_equal(convlib.min_pool2d(given, 3, stride=2), convlib.min_pool2d(x, 3, stride=2))


def test_halves_keep_the_bits_of_their_sums():
    """Gradients of float16 add up in float32 over the blocks, and are rounded once."""
    rng = np.random.default_rng(1)
    grad_y, w = rng.standard_normal((1, 2, 12, 12)).astype("f2"), rng.standard_normal((2, 2, 3, 3)).astype("f2")
    options = {"padding": 2, "padding_mode": "wrap", "backend": "naive"}
    expected = convlib.conv2d_grad_input(grad_y, w, (1, 2, 10, 10), **options)
    options["backend"] = "dask:naive"
    found = convlib.conv2d_grad_input(da.from_array(grad_y, chunks=5), w, (1, 2, 10, 10), **options)
    np.testing.assert_array_equal(found, expected)
    ones = np.ones((1, 1, 64, 64), "f2")  # 4096 is beyond where float16 counts one by one
    found = convlib.conv2d_grad_weight(*(da.from_array(ones, chunks=8),) * 2, (1, 1, 1, 1))
    assert found.compute().item() == 4096


@pytest.mark.parametrize("way", ["cython", "native", "native:direct", "native:gemm", "native:winograd", "im2col"])
def test_random_numbers_by_one_algorithm(way):
    """Forward sums of one algorithm do not depend on the block; Winograd's need 16 tiles of 4, where they would lie."""
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((1, 8, 60, 48)).astype("f4"), rng.standard_normal((8, 8, 3, 3)).astype("f4")
    given = da.from_array(x, chunks=(1, 8, 20, (16, 32)))
    try:
        expected = convlib.conv2d(x, w, padding=1, backend=way)
    except convlib.BackendError as error:
        pytest.skip(str(error))
    found = convlib.conv2d(given, w, padding=1, backend=f"dask:{way}")
    # BLAS sums in an order that depends on the size of its matrices, and native chooses by the size of a block
    if way in ("im2col", "native"):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(np.abs(expected).max()))
    else:
        np.testing.assert_array_equal(found, expected)


def test_nan_stays_where_its_windows_are():
    x = values((1, 1, 20, 20))
    x[0, 0, 9, 9] = np.nan
    given = da.from_array(x, chunks=5)
    np.testing.assert_array_equal(convlib.max_pool2d(given, 3, stride=1), convlib.max_pool2d(x, 3, stride=1))
    np.testing.assert_array_equal(
        np.isnan(convlib.conv2d(given, np.ones((1, 1, 3, 3), "f4"))), np.isnan(convlib.conv2d(x, np.ones((1, 1, 3, 3))))
    )


@pytest.mark.parametrize("way", ["cython", "native:gemm_panels", "native:direct"])
def test_sums_of_every_operator_are_made_as_in_one_piece(way):
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal((1, 8, size, 47)).astype("f4") for size in (55, 53))
    w = rng.standard_normal((8, 8, 3, 3)).astype("f4")
    pools = way.partition(":")[0]  # whose windows are summed in the same order, however they are cut
    for call, array, name in (
        (lambda x, **b: convlib.conv2d(x, w, stride=2, padding=1, **b), x, way),
        (lambda x, **b: convlib.conv_transpose2d(x, w, stride=2, **b), x, way),
        (lambda x, **b: convlib.conv2d_grad_input(x, w, x.shape, padding=1, **b), x, way),
        (lambda x, **b: convlib.avg_pool2d(x, 3, stride=1, padding=1, **b), x, pools),
        (lambda x, **b: convlib.sum_pool2d(x, 9, stride=2, **b), x, pools),
        (lambda x, **b: convlib.adaptive_avg_pool2d(x, (7, 5), **b), x, "cython"),
        (lambda y, **b: convlib.avg_pool2d_grad_input(y, (1, 8, 55, 49), 3, stride=1, **b), y, pools),
    ):
        found = call(da.from_array(array, chunks=(1, 8, 20, 17)), backend=f"dask:{name}")
        np.testing.assert_array_equal(found, call(array, backend=name))


#: What Dask arrays are refused for.
REFUSED = (
    "out must be None", "im2col", "col2im", "plan", "numpy arrays", "padding that holds something",
    "out_dtype='int32'", "zero_point",  # what depends on numbers that are not there yet
)  # fmt: skip


@pytest.mark.slow
def test_the_conformance_suite():
    report = testing.check_backend("dask")
    assert report.passed > 500
    assert not report.failed
    for _, reason in report.refused:
        assert any(word in reason for word in REFUSED), reason
