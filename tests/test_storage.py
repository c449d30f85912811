"""float16 arrays are computed block by block: the scratch stays below its bound, the results are those of one piece.

Bits are compared where every sum is made alike whatever the block: forward convolution and pooling by backends of our
own loops.  BLAS and gradients sum in an order that depends on the size of their matrices, and so does native where
the weights outnumber the pixels, or a block has another implementation than the whole: they get small integers.
"""

import itertools
import tracemalloc

import numpy as np
import pytest

import convlib
from convlib import config
from convlib.spec import ConvSpec, PoolSpec

MIB = 1 << 20
#: Far below what may be asked for: every call below is cut into many blocks.
TINY = 6000
OWN = ("naive", "cython", "native")


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float16)


def integers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float16)


def in_one_piece(function, arrays, *args, **options):
    wide = [a.astype(np.float32) if a.dtype == np.float16 else a for a in arrays]
    found = function(*wide, *args, **options)
    results = found if isinstance(found, tuple) else (found,)
    return [a.astype(np.float16) if a.dtype == np.float32 else a for a in results]


def same(function, arrays, *args, cuts, bound=TINY, **options):
    """Compare blocks with one piece, both under the same bound."""
    with config.scratch(bound):
        expected = in_one_piece(function, arrays, *args, **options)
        found = function(*arrays, *args, **options)
    for a, b in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert cuts[-1] > 1


CONVS = {
    "plain": ((3, 4, 17, 14), (5, 4, 3, 3), {"padding": 1}),
    "stride, dilation": ((2, 3, 25, 19), (4, 3, 3, 2), {"stride": (2, 3), "dilation": (2, 1), "padding": (3, 0)}),
    "gaps between windows": ((1, 8, 30, 31), (4, 8, 2, 2), {"stride": (4, 5), "padding": 1}),
    "groups": ((1, 12, 13, 12), (18, 2, 3, 3), {"groups": 6, "padding": 1}),
    "depthwise": ((1, 16, 20, 11), (16, 1, 5, 3), {"groups": 16, "padding": (2, 1)}),
    "padding beyond the window": ((2, 6, 9, 8), (3, 6, 2, 2), {"padding": 3}),
    "reflect": ((3, 4, 12, 11), (3, 4, 3, 3), {"padding": 2, "padding_mode": "reflect"}),
    "edge, nothing padded": ((3, 4, 12, 11), (3, 4, 3, 3), {"padding_mode": "edge"}),
    "pad_value": ((3, 4, 12, 11), (3, 4, 3, 3), {"padding": 1, "pad_value": 2}),
    "flip": ((2, 4, 15, 14), (3, 4, 3, 2), {"flip": True}),
    "many outputs": ((1, 8, 6, 6), (90, 8, 3, 3), {"padding": 1}),
    "one dimension": ((2, 6, 400), (4, 6, 9), {"stride": 2, "padding": 4}),
    "three dimensions": ((1, 3, 9, 10, 8), (4, 3, 3, 2, 3), {"padding": 1, "stride": (1, 2, 1)}),
}


@pytest.mark.parametrize("name", CONVS)
def test_convolution(backend, name, cuts):
    x, w, options = CONVS[name]
    other_order = backend == "native" and name in ("many outputs", "pad_value")
    make = integers if backend not in OWN or other_order else floats
    function = getattr(convlib, f"conv{len(x) - 2}d")
    arrays = [make(*x), make(*w, seed=1), make(w[0], seed=2)]
    same(function, arrays, cuts=cuts, backend=backend, **options)


@pytest.mark.parametrize("name", ["plain", "groups", "reflect", "unbatched"])
def test_channels_last_unbatched_and_out(backend, name, cuts):
    x, w, options = CONVS.get(name, ((8, 25, 20), (5, 8, 3, 3), {"padding": 1}))
    arrays = [np.moveaxis(integers(*x), -3, -1).copy(), integers(*w, seed=1), integers(w[0], seed=2)]
    same(convlib.conv2d, arrays, cuts=cuts, backend=backend, layout="NHWC", **options)
    with convlib.accuracy("strict"):  # sums of integers are exact then, whatever room there is
        expected = convlib.conv2d(*arrays, layout="NHWC", backend=backend, **options)
        buffer = np.full((*expected.shape, 2), 7, np.float16)
        with config.scratch(TINY):
            convlib.conv2d(*arrays, layout="NHWC", backend=backend, out=buffer[..., 1], **options)
    np.testing.assert_array_equal(buffer[..., 1], expected)
    assert (buffer[..., 0] == 7).all()


@pytest.mark.parametrize("name", [name for name in CONVS if name != "pad_value"])
def test_gradients(backend, name, cuts):
    x, w, options = CONVS[name]
    x, w = integers(*x), integers(*w, seed=1)
    nd = x.ndim - 2
    forward, by_input, by_weight = (getattr(convlib, f"conv{nd}d{end}") for end in ("", "_grad_input", "_grad_weight"))
    grad_y = integers(*forward(x, w, **options).shape, seed=3)
    same(by_input, [grad_y, w], x.shape, cuts=cuts, backend=backend, **options)
    # So little that even single channels are cut: the sums of images add up.
    same(by_weight, [grad_y, x], w.shape, cuts=cuts, backend=backend, bound=2000, **options)


def test_transposed_convolution(backend, cuts):
    x, w, bias = integers(2, 6, 12, 11), integers(6, 4, 3, 3, seed=1), integers(4, seed=2)
    for options in ({"stride": 2, "padding": 1, "output_padding": 1}, {"stride": 3}, {"dilation": 2, "padding": 1}):
        same(convlib.conv_transpose2d, [x, w, bias], cuts=cuts, backend=backend, **options)


POOLS = {
    "overlap": {"stride": 1, "padding": 1},
    "ceil": {"stride": 2, "padding": 1, "ceil_mode": True},
    "dilation": {"stride": 2, "dilation": 2, "padding": 2},
    "plain": {},
}


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", POOLS)
def test_pooling_and_its_gradients(backend, name, layout, cuts):
    options = {**POOLS[name], "layout": layout, "backend": backend}
    x = floats(1, 2, 35, 37) if layout == "NCHW" else floats(1, 35, 37, 2)
    x.flat[::97] = np.nan
    same(convlib.max_pool2d, [x], 3, return_indices=True, cuts=cuts, **options)
    x = integers(*x.shape)
    for count in (True, False):
        same(convlib.avg_pool2d, [x], 3, count_include_pad=count, cuts=cuts, **options)
    y, places = convlib.max_pool2d(x, 3, return_indices=True, **{**options, "backend": None})
    same(convlib.max_pool2d_grad_input, [y, places], x.shape, cuts=cuts, layout=layout, backend=backend)
    same(convlib.avg_pool2d_grad_input, [y], x.shape, 3, cuts=cuts, **options)


def test_pooling_of_planes_with_windows_of_different_sizes(backend, cuts):
    same(convlib.adaptive_avg_pool2d, [integers(2, 5, 23, 17)], (4, 3), cuts=cuts, backend=backend)
    same(convlib.max_pool3d, [floats(1, 1, 14, 15, 9)], 3, stride=1, return_indices=True, cuts=cuts, backend=backend)


LARGE = {
    "whole": ((1, 2, 90, 80), (90, 80), {}),
    "overlap and padding": ((1, 1, 90, 80), (70, 66), {"stride": (30, 20), "padding": (12, 9)}),
    "dilation": ((1, 1, 90, 80), (30, 20), {"dilation": (3, 4), "stride": 1}),
    "no window without gaps": ((1, 1, 90, 80), (2, 3), {"dilation": (85, 39), "stride": 2, "padding": (60, 0)}),
    "ceil": ((1, 1, 90, 80), (70, 61), {"stride": 50, "padding": 20, "ceil_mode": True}),
    "reflect": ((1, 1, 90, 80), (90, 80), {"padding": 5, "padding_mode": "reflect", "stride": 5}),
    "one axis": ((2, 1, 9000), (9000,), {}),
    "three axes": ((1, 1, 20, 30, 12), (20, 30, 12), {}),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("name", LARGE)
def test_windows_larger_than_the_bound(backend, layout, name, cuts):
    """Windows are cut, too: the first of equals stays, and the last NaN."""
    shape, kernel, options = LARGE[name]
    nd, more = len(kernel), {**options, "cuts": cuts, "backend": backend, "bound": 16_000}
    x = integers(*shape)
    if layout == "last":
        x, more["layout"] = np.moveaxis(x, 1, -1).copy(), {1: "NWC", 2: "NHWC", 3: "NDHWC"}[nd]
    for counting in (True, False) if name != "reflect" else (True,):
        same(getattr(convlib, f"avg_pool{nd}d"), [x], kernel, count_include_pad=counting, **more)
    same(getattr(convlib, f"sum_pool{nd}d"), [np.maximum(x, 1)], kernel, **more)
    if name != "ceil":  # norms of such windows take as much scratch beside the powers
        same(getattr(convlib, f"lp_pool{nd}d"), [x], 1.0, kernel, **more)
    for kind in ("max", "min"):
        pool = getattr(convlib, f"{kind}_pool{nd}d")
        same(pool, [x], kernel, return_indices=True, **more)
        wild = x.copy()
        wild.reshape(-1)[[50, 4000, 7000]] = np.nan
        same(pool, [wild], kernel, return_indices=True, **more)


def test_large_windows_of_different_sizes(cuts):
    x = integers(1, 1, 601, 701)
    with config.scratch(400_000):
        for name in ("adaptive_max_pool2d", "adaptive_avg_pool2d"):
            same(getattr(convlib, name), [x], 2, cuts=cuts, bound=400_000)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_hold_what_their_windows_need(seed):
    """Every product of a box is one of the whole, and none is missing, for boxes of outputs and of inputs."""
    pick = np.random.default_rng(seed).integers
    size, kernel, stride, dilation = int(pick(4, 30)), int(pick(1, 5)), int(pick(1, 5)), int(pick(1, 4))
    extent = (kernel - 1) * dilation + 1
    padding = (int(pick(0, extent)), int(pick(0, extent)))
    if size + sum(padding) < extent:
        size = extent
    spec = ConvSpec.make((1, 1, size), (1, 1, kernel), stride=stride, dilation=dilation, padding=(padding,))

    def products(s, shift_in=0, shift_out=0):
        return {(o + shift_out, tap, p + shift_in) for o in range(s.out_size[0]) for tap, p in s.window(0, o)}

    everything = products(spec)
    for start, stop in itertools.combinations(range(spec.out_size[0] + 1), 2):
        box, (inputs,), (outputs,) = spec.under([slice(start, stop)])
        assert products(box, inputs.start, outputs.start) == {p for p in everything if start <= p[0] < stop}
        assert inputs.stop - inputs.start <= spec.span(0, stop - start)
        assert min(box.pad_lo + box.pad_hi) >= 0
    for start, stop in itertools.combinations(range(size + 1), 2):
        box, (inputs,), (outputs,) = spec.above([slice(start, stop)])
        assert products(box, inputs.start, outputs.start) == {p for p in everything if start <= p[2] < stop}
        assert outputs.stop - outputs.start <= spec.over(0, stop - start)
        assert min(box.pad_lo + box.pad_hi) >= 0


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_an_average_counts_the_padding_of_the_whole(ceil_mode):
    spec = PoolSpec.make("avg", (1, 1, 11), 4, nd=1, stride=3, padding=2, ceil_mode=ceil_mode)
    for start, stop in itertools.combinations(range(spec.out_size[0] + 1), 2):
        box, _, _ = spec.under([slice(start, stop)])
        assert [box.counted(0, o) for o in range(stop - start)] == [spec.counted(0, o) for o in range(start, stop)]


def peak(function, *args, **options):
    """Return the most memory that a call holds beside its result."""
    function(*args, **options)  # caches fill
    tracemalloc.start()
    result = function(*args, **options)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - sum(a.nbytes for a in (result if isinstance(result, tuple) else (result,)))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", ["cython", "im2col", "native", "native:gemm", "native:winograd"])
def test_scratch_stays_below_its_bound(name, layout):
    """In float32 the arrays of these calls would take several times the bound."""
    bound = 2 * MIB if name == "native:winograd" else MIB  # its transformed weights are not cut
    x, w = floats(2, 32, 96, 96), floats(32, 32, 3, 3, seed=1)
    x = x if layout == "NCHW" else np.moveaxis(x, 1, -1).copy()
    base = name.partition(":")[0]
    calls = [
        ("conv2d", (x, w), (x.shape, w.shape), {"padding": 1, "backend": name}),
        ("conv2d_grad_input", (x, w, x.shape), (x.shape, w.shape, x.shape), {"padding": 1, "backend": base}),
        ("max_pool2d", (x, 3), (x.shape, 3), {"stride": 1, "backend": base}),
        ("avg_pool2d", (x, 3), (x.shape, 3), {"stride": 2, "backend": base}),
    ]  # fmt: skip
    with config.max_workspace(bound):
        for function, arrays, shapes, options in calls:
            said = convlib.explain(function, *shapes, dtype="float16", layout=layout, **options).workspace_nbytes
            used = peak(getattr(convlib, function), *arrays, layout=layout, **options)
            assert 0 < said <= bound
            assert 0 < used <= bound


def test_a_plan_counts_its_copies():
    w = floats(8, 8, 3, 3)
    with config.max_workspace(MIB):
        half = convlib.plan_conv2d((1, 8, 64, 64), w, backend="cython")
        single = convlib.plan_conv2d((1, 8, 64, 64), w.astype(np.float32), backend="cython")
        assert 0 < half.workspace_nbytes <= MIB
        assert half.explain().workspace_nbytes == half.workspace_nbytes
        assert single.workspace_nbytes == 0


def test_an_input_alone_may_be_float16(backend, cuts):
    x, w = integers(3, 4, 17, 14), integers(5, 4, 3, 3, seed=1)
    with config.scratch(TINY):
        y = convlib.conv2d(x, w.astype(np.float32), padding=1, backend=backend)
    assert y.dtype == np.float32
    assert cuts[-1] > 1
    np.testing.assert_array_equal(y, convlib.conv2d(x.astype(np.float32), w.astype(np.float32), padding=1))


#: Shapes of x and w of which no image, input or output channel is left.
NOTHING = {"images": ((0, 6, 9, 8), (90, 6, 3, 3)), "inputs": ((2, 0, 9, 8), (90, 0, 3, 3)),
           "outputs": ((2, 90, 9, 8), (0, 90, 3, 3))}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", ">f4", "complex64", "int16"])
@pytest.mark.parametrize("name", NOTHING)
def test_sums_of_nothing_are_written_too(backend, name, dtype):
    """Blocks of a call none of whose products exist: what they leave out would hold what memory held before."""
    x_shape, w_shape = NOTHING[name]
    x, w, bias = (np.ones(shape, dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    grad_y = np.ones(convlib.conv_output_shape(x_shape, w_shape), dtype)
    calls = {
        "conv2d": ((x, w, bias), 1), "conv2d_grad_input": ((grad_y, w, x_shape), 0),
        "conv2d_grad_weight": ((grad_y, x, w_shape), 0), "conv_transpose2d": ((grad_y, w), 0),
    }  # fmt: skip
    for call, (arguments, value) in calls.items():
        function = getattr(convlib, call)
        expected = function(*arguments)
        out = np.full_like(expected, 7)
        with config.scratch(TINY):
            function(*arguments, out=out, backend=backend)
        np.testing.assert_array_equal(out, np.full_like(expected, value), err_msg=call)
