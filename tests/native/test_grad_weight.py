"""Every implementation of a weight gradient in the engine's list, by name, bit for bit on small integers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_conv as conv

from .common import (
    CHANNELS_LAST,
    UNTOUCHED,
    WORKSPACE,
    Problem,
    Way,
    among_others,
    edges,
    kernels,
    laid,
    lanes,
    pairs,
    refusal,
    shapes,
    sizes,
    tap_views,
    traced,
)  # fmt: skip
from .shapes import KINDS

OP = "conv_grad_weight"
ENOUGH = 20

CASES = (
    *KINDS,
    sizes(3, 1, 9, 33, (9, 20), (1, 1)), sizes(2, 3, 4, 16, (9, 8), (3, 3), lo=1),
    sizes(1, 1, 70, 97, (5, 7), (3, 3), lo=1), sizes(1, 1, 2, 16, (2, 700), (1, 3)),
    sizes(2, 1, 5, 49, (70,), (9,), lo=4),
    # depthwise: planes, stride, dilation, one row
    sizes(2, 7, 1, 1, (14, 37), (3, 3), lo=1), sizes(2, 5, 1, 1, (14, 37), (3, 3), 2, lo=1),
    sizes(1, 3, 1, 1, (20, 50), (7, 7), 1, 2, 6), sizes(1, 3, 1, 1, (1, 50), (1, 6), lo=2),
    # few outputs, in groups, with stride 3, in three axes
    sizes(2, 1, 6, 5, (9, 40), (5, 5), lo=2), sizes(2, 2, 3, 2, (9, 40), (2, 4), 3, lo=1),
    sizes(1, 1, 2, 3, (4, 5, 18), (3, 3, 3), lo=1),
    # a batch of which so many images are copied at a time
    sizes(5, 1, 3, 16, (20, 20), (3, 3), lo=1),
)  # fmt: skip


def problems(dtype: str) -> Iterator[Problem]:
    """Panels of up to 3 vectors of output channels; tiles of 4 or 8 inputs; blocks of 320 pixels; long sums."""
    yield from CASES
    channels = itertools.cycle((1, *edges(4, 8)))
    for ocg, pixels in itertools.product((1, 4, *edges(lanes(dtype), 3 * lanes(dtype))), (1, *edges(16, 320))):
        yield sizes(1, 1, next(channels), ocg, (pixels,), (1,))
    windows = itertools.cycle(itertools.product((3, 5, 7), (1, 2, 3), (1, 2)))
    for ocg, width in itertools.product((1, 2, 5, *edges(lanes(dtype))), (1, *edges(lanes(dtype)))):
        k, stride, dil = next(windows)
        size = 2 * stride + 1, stride * (width - 1) + 1 + dil * (k - 1) - 2
        lo = max(1, dil * (k - 1) - min(size) + 1)
        yield sizes(2, 1 + ocg % 2, next(channels), ocg, size, (k, k), stride, dil, lo)
    # depthwise of stride 2: taps are even and odd numbers of pairs of vectors; blocks of 14 rows, 3 or 1 of a kernel
    heights, paddings = itertools.cycle((1, 13, 14, 15, 29)), itertools.cycle((0, 1, 2, 3))
    for k, width in itertools.product((3, 4, 5, 7, 9), (1, *edges(lanes(dtype), 2 * lanes(dtype)))):
        lo, rest = min(next(paddings), k // 2), width % 2
        size = 2 * next(heights) + k - 2 - lo, max(1, 2 * width + k - 2 - 2 * lo + rest)
        yield sizes(1 + rest, 2, 1, 1, size, (k, k), 2, 1, lo)
    # one output and strides from 3 on: taps fewer and more than a stride, than three of them; strides not served so
    for k, stride, width in itertools.product((1, 3, 5, 10), (3, 4, 7, 8, 9), edges(lanes(dtype))):
        lo = min(next(paddings), k // 2)
        size = stride * (next(heights) % 4) + k, stride * (width - 1) + k - 2 * lo + width % stride
        yield sizes(1 + width % 2, 2, 1 + k % 2, 1, size, (k, k), stride, 1, lo)


@lru_cache(maxsize=512)
def posed(problem: Problem) -> tuple[Any, Any, Any]:
    """Return small integers for x and grad_y, and the sums of products of shifted slices."""
    n, g, icg, ocg, _, k, out, *_ = problem
    rng = np.random.default_rng(icg + ocg)
    x = rng.integers(-3, 4, shapes(problem)[0]).astype("f4")
    grad = rng.integers(-3, 4, (n, g * ocg, *out)).astype("f4")
    expected = np.zeros((g, ocg, icg, *k))
    for tap, part in tap_views(problem, x):
        expected[(..., *tap)] = np.einsum(
            "ngop,ngip->goi", grad.reshape(n, g, ocg, -1).astype("f8"), part.reshape(n, g, icg, -1)
        )
    return x, grad, expected.reshape(g * ocg, icg, *k)


def check(problem: Problem, name: str, dtype: str, way: Way) -> bool:
    """Run a problem, and return whether it is served; a refusal must be what the engine says."""
    said = f"{name}, {problem}, {dtype}, {way}"
    reason, p = refusal(OP, problem, name, dtype, way), conv.ConvProblem(*problem, way.last)
    if reason is not None:
        code = ord(np.dtype(dtype).char)
        assert p.chosen(OP, code, name, False, True, way.threads, way.workspace) is None, said
        return False
    x, grad, expected = posed(problem)
    whole = np.full(expected.size + 64, UNTOUCHED, dtype)
    made = whole[32:-32].reshape(expected.shape)
    given = laid(x.astype(dtype), way.last), laid(grad.astype(dtype), way.last)
    if way.framed:
        given = tuple(np.repeat(a, 2, -1)[..., ::2] for a in given)
    served = traced(
        name, way.workspace, lambda: conv.gradient(OP, p, given[0], made, given[1], name, way.threads, way.workspace)
    )
    assert served is not None, said
    np.testing.assert_array_equal(made, expected, err_msg=said)
    made[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"
    return True


@pytest.mark.parametrize(("isa", "name", "dtype"), kernels(OP, "float32", "float64"))
def test_plain_sums(isa: str, name: str, dtype: str, record_property: Callable[[str, int], None]) -> None:
    runs = 0
    with under_isa(isa):
        for turn, problem in enumerate(dict.fromkeys(problems(dtype))):
            for way in (Way(threads=1 + turn % 4), Way(last=True), Way(framed=True), Way(workspace=1 << 17)):
                runs += check(problem, name, dtype, way)
    assert runs >= 4 * ENOUGH
    record_property("runs", runs)


def test_every_implementation_has_kernels_under_every_instruction_set() -> None:
    tried = {(isa, name) for isa, name, dtype in kernels(OP, "float32") if dtype}
    assert tried == set(pairs(OP))
    assert {name for _, name in tried} == {name for name, *_ in native.implementations(OP)}


@pytest.mark.parametrize(("isa", "name"), pairs(OP))
def test_long_sums_round_little(isa: str, name: str) -> None:
    """A running sum of a hundred thousand products would err some hundred times more."""
    rng = np.random.default_rng(7)
    problem = sizes(2, 1, 2, 3, (200, 250), (1, 1))
    x, grad = rng.random((2, 2, 200, 250), "f4"), rng.random((2, 3, 200, 250), "f4")
    made = np.empty((3, 2, 1, 1), "f4")
    with under_isa(isa):
        p = conv.ConvProblem(*problem)
        assert traced(name, WORKSPACE, lambda: conv.gradient(OP, p, x, made, grad, name, 2, WORKSPACE)) is not None
    expected = np.einsum("nohw,nihw->oi", grad.astype("f8"), x.astype("f8")).reshape(made.shape)
    np.testing.assert_allclose(made, expected, rtol=3e-6)


@pytest.mark.parametrize(("isa", "name"), pairs(OP))
@pytest.mark.parametrize("value", [0.3, 0.517, 0.7, 1.0, 1.93])
@pytest.mark.parametrize(
    ("channels", "outputs", "size", "kernel", "stride", "groups"),
    [
        (1, 1, 700, 1, 1, 1), (2, 2, 500, 3, 1, 1), (2, 2, 500, 3, 2, 2), (4, 2, 400, 5, 1, 1), (2, 2, 500, 2, 3, 1),
        (8, 40, 200, 1, 1, 1), (3, 8, 35, 3, 1, 1),
    ],
)  # fmt: skip
def test_equal_numbers_lose_less_than_a_millionth(
    isa: str, name: str, value: float, channels: int, outputs: int, size: int, kernel: int, stride: int, groups: int
) -> None:
    """They round in one direction for long: by 1.92e-6 at worst over 128 of them in a row, by 0.98e-6 over 64."""
    out = (size - kernel) // stride + 1
    x = np.full((1, channels, size, size), 0.1, np.float32)
    grad_y = np.full((1, outputs, out, out), value, np.float32)
    w_shape = (outputs, channels // groups, kernel, kernel)
    with under_isa(isa):
        got = convlib.conv2d_grad_weight(grad_y, x, w_shape, stride=stride, groups=groups, backend=f"native:{name}")
    exact = float(x.flat[0]) * float(grad_y.flat[0]) * out**2
    assert abs(got / exact - 1).max() <= 1e-6


@pytest.mark.parametrize(
    ("channels", "size", "groups", "name"),
    [(64, 56, 1, "pixel_gemm"), (128, 28, 1, "pixel_gemm"), (512, 7, 1, "pixel_gemm"), (144, 56, 144, "dots")],
)
@pytest.mark.parametrize("batch", [1, 8])
def test_what_is_chosen(isa: str, batch: int, channels: int, size: int, groups: int, name: str) -> None:
    """By a predicted time, which once was a third of the dot products' time, so that they served dense layers."""
    x = batch, channels, size, size
    w = channels, channels // groups, 3, 3
    said = convlib.explain("conv2d_grad_weight", x, x, w, padding=1, groups=groups, backend="native")
    assert said.algorithm == name


@pytest.mark.parametrize("rows", [1, 13, 14, 15, 29])
@pytest.mark.parametrize("kernel", [3, 5, 6])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_kernel_rows_that_share_rows_of_the_input(isa: str, dilation: int, rows: int, kernel: int) -> None:
    """Around the number of rows that are taken at a time, with padding above and below that no row meets."""
    reach = (kernel - 1) * dilation
    rng = np.random.default_rng(rows)
    x = rng.integers(-4, 5, (2, 3, 2, rows, 37)).astype("f4")
    w = 3, 1, 2, kernel, 3
    options: dict[str, Any] = {"padding": (1, reach, 1), "dilation": (1, dilation, 1), "groups": 3}
    y = rng.integers(-4, 5, (2, 3, 3, rows + reach, 37)).astype("f4")
    found = convlib.conv3d_grad_weight(y, x, w, backend="native:dots", **options)
    np.testing.assert_array_equal(found, convlib.conv3d_grad_weight(y, x, w, backend="cython", **options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 15, 31, 32, 33, 64, 65, 66, 131])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 0), (0, 1)), ((2, 3), (3, 2)), ((1, 1), (1, 1))])
def test_pairs_of_taps_under_stride_two(isa: str, padding: tuple[tuple[int, int], ...], width: int, dtype: str) -> None:
    """Neighbours of a row lie under neighbouring taps; what no output's window holds, such as a NaN, stays out."""
    rng = np.random.default_rng(width)
    size = 31, max(width, 3 - sum(padding[1]))
    given: dict[str, Any] = {"stride": 2, "padding": padding, "groups": 3}
    x = rng.integers(-4, 5, (2, 3, *size)).astype(dtype)
    y = rng.integers(-4, 5, convlib.conv_output_shape(x.shape, (3, 1, 3, 3), **given)).astype(dtype)
    for axis in (0, 1):
        seen = (y.shape[2 + axis] - 1) * 2 + 3 - padding[axis][0]  # numbers along the axis, the last one in a window
        x[(..., *(slice(None) if a != axis else slice(seen, None) for a in (0, 1)))] = np.nan
    found = convlib.conv2d_grad_weight(y, x, (3, 1, 3, 3), backend="native:dots", **given)
    np.testing.assert_array_equal(found, convlib.conv2d_grad_weight(y, x, (3, 1, 3, 3), backend="cython", **given))
    assert np.isfinite(found).all()


ABREAST: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 40, 9, 11), (3, 3), {"padding": 1}),
    ((1, 33, 9, 150), (2, 7), {"padding": (0, 5), "dilation": (1, 2)}),  # more columns than are summed in floats
    ((3, 17, 7, 8), (5, 5), {"stride": 2, "padding": 2}),
    ((2, 64, 30), (4,), {"stride": 3, "padding": 1}),
    ((1, 48, 3, 5, 6), (3, 1, 2), {"stride": (2, 1, 1), "padding": (2, 0, 1), "dilation": (2, 1, 1)}),
    ((1, 1000, 4, 3), (3, 3), {"padding": ((2, 0), (0, 4))}),  # several units, and outputs under padding alone
    ((1, 19, 2, 2), (9, 11), {"padding": (4, 5)}),
    ((1, 16, 5, 5), (75, 75), {"padding": 37}),  # whose sums are more than a MiB
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel", "options"), ABREAST)
def test_depthwise_with_channels_last(
    isa: str, shape: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, Any], dtype: str
) -> None:
    """Lanes are channels, the last vectors of which overlap, in arrays or parts of them; scratch may be too little."""
    rng, (nd, channels) = np.random.default_rng(len(shape)), (len(kernel), shape[1])
    x, w = rng.integers(-4, 5, shape).astype(dtype), (channels, 1, *kernel)
    y = rng.integers(-4, 5, convlib.conv_output_shape(shape, w, groups=channels, **options)).astype(dtype)
    call = getattr(convlib, f"conv{nd}d_grad_weight")
    expected = call(y, x, w, groups=channels, backend="cython", **options)
    last = {"layout": CHANNELS_LAST[nd], "groups": channels, "backend": "native:dots", **options}
    x, y = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, y))
    for threads, most in itertools.product((1, 3), (1 << 20, 1 << 26)):
        with convlib.num_threads(threads), convlib.max_workspace(most):
            np.testing.assert_array_equal(call(y, x, w, **last), expected)
    np.testing.assert_array_equal(call(y, among_others(x), w, **last), expected)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize(("shape", "dtype"), [((2, 24, 112, 112), "float32"), ((1, 24, 2, 80, 90), "float64")])
def test_planes_that_are_read_before_they_are_summed(
    isa: str, shape: tuple[int, ...], dtype: str, stride: int
) -> None:
    """Planes that leave the nearest cache, of arrays that leave the next."""
    rng, nd = np.random.default_rng(stride), len(shape) - 2
    x = rng.integers(-4, 5, shape).astype(dtype)
    options: dict[str, Any] = {"stride": stride, "padding": 1, "groups": 24}
    y = rng.integers(-4, 5, convlib.conv_output_shape(x.shape, (24, 1, *(3,) * nd), **options)).astype(dtype)
    call = getattr(convlib, f"conv{nd}d_grad_weight")
    found = call(y, x, (24, 1, *(3,) * nd), backend="native:dots", **options)
    np.testing.assert_array_equal(found, call(y, x, (24, 1, *(3,) * nd), backend="cython", **options))


@pytest.mark.parametrize(
    ("groups", "size", "layout"), [(1, 3, "NCHW"), (40, 3, "NCHW"), (40, 3, "NHWC"), (40, 31, "NHWC")]
)
def test_the_bits_do_not_depend_on_threads(isa: str, groups: int, size: int, layout: str) -> None:
    """Nor where scratch holds the sums of some threads, but not of all."""
    rng = np.random.default_rng(0)
    shape = (3, 40, 23, 21) if layout == "NCHW" else (3, 23, 21, 40)
    x, grad = (rng.standard_normal(shape, "f4") for _ in range(2))
    options: dict[str, Any] = {"padding": size // 2, "groups": groups, "layout": layout, "backend": "native"}
    bits = set()
    for threads in (1, 2, 3, 16):
        with convlib.num_threads(threads), convlib.max_workspace(1 << 20):
            made = convlib.conv2d_grad_weight(grad, x, (40, 40 // groups, size, size), **options)
        bits.add(made.tobytes())
    assert len(bits) == 1
