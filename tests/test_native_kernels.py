"""The native engine's kernels against plain loops, bit for bit on small integers, under every instruction set."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib
from convlib._ext import _native as native

ISAS = native.detected_isas()
WORKSPACE = 64 << 20


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Any:
    before = native.active_isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


@pytest.fixture(params=[name for name in ISAS if name in ("amx", "scalar")])
def matrix_isa(request: pytest.FixtureRequest) -> Any:
    """Give the instruction sets with a matrix unit: a real one, and one in plain C."""
    before = native.active_isa()
    native.set_isa(request.param)
    assert native.has_bf16x3()
    yield request.param
    native.set_isa(before)


def sizes(
    n: int, g: int, icg: int, ocg: int, size: tuple[int, ...], k: tuple[int, ...],
    stride: int = 1, dil: int = 1, lo: int = 0, hi: int | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    hi = lo if hi is None else hi
    out = tuple((s + lo + hi - dil * (kk - 1) - 1) // stride + 1 for s, kk in zip(size, k, strict=True))
    nd = len(size)
    return n, g, icg, ocg, size, k, out, (stride,) * nd, (dil,) * nd, (lo,) * nd


def reference(problem: tuple[Any, ...], x: Any, w: Any, bias: Any) -> Any:
    """Sum shifted slices of a padded copy: one line per tap, exact for small integers."""
    n, g, icg, ocg, size, k, out, stride, dil, lo = problem
    need = [(o - 1) * s + d * (kk - 1) + 1 for o, s, d, kk in zip(out, stride, dil, k, strict=True)]
    wide = np.zeros((n, g * icg, *(max(q, a + b) for q, a, b in zip(need, size, lo, strict=True))))
    wide[(..., *(slice(a, a + s) for a, s in zip(lo, size, strict=True)))] = x
    y = np.zeros((n, g, ocg, *out))
    for tap in itertools.product(*map(range, k)):
        at = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dil, out, stride, strict=True)
        )
        part = wide[(..., *at)].reshape(n, g, icg, *out)
        y += np.einsum("ngi...,goi->ngo...", part, w[(..., *tap)].reshape(g, ocg, icg))
    y = y.reshape(n, g * ocg, *out)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(size))


def run(
    problem: tuple[Any, ...], algorithm: str, dtype: str, *, last: bool = False, threads: int = 2, packed: bool = False,
    workspace: int = WORKSPACE, with_bias: bool = True, span: int = 3,
) -> None:  # fmt: skip
    n, g, icg, ocg, size, k, out, *_ = problem
    rng = np.random.default_rng(sum(size) + icg + ocg)
    x = rng.integers(-span, span + 1, (n, g * icg, *size)).astype(dtype)
    w = rng.integers(-span, span + 1, (g * ocg, icg, *k)).astype(dtype)
    bias = rng.integers(-9, 9, g * ocg).astype(dtype) if with_bias else None
    if last:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        y = np.moveaxis(np.full((n, *out, g * ocg), 7, dtype), -1, 1)
    else:
        frame = np.full((n, g * ocg, *out[:-1], out[-1]), 7, dtype)
        y = frame
    p = native.ConvProblem(*problem, last)
    weights = native.Weights(p, w, algorithm, threads) if packed else w
    native.conv(p, x, weights, bias, y, algorithm, threads, workspace)
    np.testing.assert_array_equal(y, reference(problem, x, w, bias))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pixels", [1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 48, 49, 96, 97, 145])
def test_pointwise_at_tile_edges(isa: str, dtype: str, pixels: int) -> None:
    for ocg, icg in ((1, 1), (7, 3), (8, 4), (9, 33), (17, 5), (16, 400)):
        run(sizes(1, 1, icg, ocg, (pixels,), (1,)), "gemm", dtype)
        run(sizes(2, 2, icg, ocg, (pixels,), (1,)), "gemm", dtype, threads=3, packed=True)


def test_pointwise_of_rows_that_are_not_packed(isa: str) -> None:
    rng = np.random.default_rng(0)
    for pixels, lanes in ((196, 196), (197, 200), (5, 7), (255, 256)):
        problem = sizes(2, 1, 200, 19, (pixels,), (1,))
        x = rng.integers(-3, 4, (2, 200, lanes)).astype("f4")[..., :pixels]
        w = rng.integers(-3, 4, (1, 200, 19, 1)).astype("f4").swapaxes(1, 2)
        frame = np.full((2, 19, pixels + 40), 7, "f4")
        y = frame[..., 20 : 20 + pixels]
        for threads in (1, 2, 5):
            native.conv(native.ConvProblem(*problem), x, w, None, y, "gemm", threads, WORKSPACE)
            np.testing.assert_array_equal(y, reference(problem, x, w, None))
            y[...] = 7
            assert (frame == 7).all()


CASES = {
    "3x3": sizes(2, 1, 5, 9, (13, 11), (3, 3), lo=1),
    "3x3 wide": sizes(1, 1, 40, 16, (6, 70), (3, 3), lo=1),
    "3x3 deep": sizes(1, 1, 130, 17, (7, 7), (3, 3), lo=1),
    "valid": sizes(1, 1, 3, 4, (9, 20), (3, 3)),
    "stride 2": sizes(2, 1, 4, 8, (15, 33), (3, 3), 2, lo=1),
    "stride 3": sizes(1, 1, 4, 8, (15, 53), (3, 2), 3, lo=1),
    "pointwise stride 2": sizes(1, 1, 6, 8, (14, 37), (1, 1), 2),
    "dilation 2": sizes(1, 1, 4, 8, (15, 21), (3, 3), 1, 2, 2),
    "dilation 2 stride 2": sizes(1, 1, 4, 8, (15, 21), (3, 3), 2, 2, 2),
    "groups": sizes(2, 3, 4, 5, (9, 8), (3, 3), lo=1),
    "stem": sizes(1, 1, 3, 16, (31, 30), (7, 7), 2, lo=3),
    "padding wider than the kernel": sizes(1, 1, 2, 3, (3, 2), (2, 2), lo=4),
    "asymmetric": sizes(1, 1, 2, 3, (6, 7), (3, 3), lo=2, hi=0),
    "pointwise, padding behind": sizes(2, 1, 5, 9, (14,), (1,), hi=2),
    "pointwise, padding far behind": sizes(1, 2, 5, 9, (40,), (1,), hi=70),
    "one column": sizes(1, 1, 3, 4, (40, 1), (3, 1), lo=0),
    "1d": sizes(2, 1, 5, 6, (70,), (9,), lo=4),
    "1d dilated": sizes(1, 1, 5, 6, (70,), (3,), 1, 7, 7),
    "3d": sizes(1, 1, 5, 9, (5, 6, 7), (3, 3, 3), lo=1),
    "3d stride 2": sizes(1, 2, 3, 4, (5, 6, 17), (3, 3, 3), 2, lo=1),
    "3d pointwise": sizes(2, 1, 5, 9, (5, 6, 7), (1, 1, 1)),
    "kernel larger than a block": sizes(1, 1, 1, 3, (30, 25), (25, 20)),
    "one output": sizes(1, 1, 7, 3, (3, 3), (3, 3)),
    "few pixels": sizes(1, 1, 40, 50, (7, 7), (3, 3), lo=1),
    "few pixels, many channels": sizes(1, 1, 500, 70, (7, 7), (1, 1)),
    "few pixels, batch, stride": sizes(5, 1, 33, 70, (9, 9), (3, 3), 2, lo=1),
    "few pixels, groups": sizes(2, 2, 9, 49, (5, 6), (3, 3), lo=1),
    "few pixels 3d": sizes(1, 1, 3, 97, (4, 3, 3), (3, 3, 3), lo=1),
    "groups of one vector": sizes(2, 3, 5, 16, (9, 14), (3, 3), lo=1),
    "groups of most of a vector": sizes(1, 2, 7, 13, (30, 7), (3, 3), lo=1),
    "groups of a vector, odd width": sizes(1, 2, 20, 16, (11, 17), (3, 2), 2, lo=1),
    "groups of two vectors": sizes(1, 2, 9, 32, (13, 9), (3, 3), lo=1),
    "groups of two vectors, stride 2, dilation": sizes(1, 2, 6, 30, (20, 21), (3, 3), 2, 2, 2),
    "four vectors": sizes(2, 1, 70, 61, (9, 30), (3, 3), lo=1),
    "groups of a vector, many channels": sizes(1, 1, 300, 16, (12, 40), (5, 5), lo=2),
    "groups of a vector 3d": sizes(1, 2, 4, 16, (5, 6, 8), (3, 3, 3), 2, lo=1),
    "one pixel": sizes(1, 1, 40, 50, (3, 3), (3, 3)),
    "one pixel, batch": sizes(9, 1, 12, 48, (1,), (1,)),
}


#: Where lanes are output channels: strips of images, slices, rows and columns; runs under rows of taps and apart, cut
#: and whole; panels of one, two and three vectors, full and not; windows in place and copied; channels past a vector.
PIXELS = {
    "strips of images": sizes(9, 1, 70, 48, (15, 14), (3, 3), lo=1),
    "strips of slices": sizes(1, 1, 100, 33, (9, 10, 11), (3, 3, 3), lo=1),
    "strips of rows": sizes(1, 1, 130, 40, (40, 41), (3, 3), 2, lo=1),
    "strips of columns": sizes(1, 1, 40, 16, (9000,), (5,), lo=2),
    "strips of one pixel": sizes(1, 1, 2500, 16, (3, 3), (3, 3), lo=1),
    "long runs": sizes(2, 1, 3000, 24, (4, 2), (1, 1)),
    "long runs under rows of taps": sizes(1, 1, 600, 17, (5, 5), (3, 4), lo=1),
    "taps apart": sizes(1, 1, 33, 32, (20, 21), (3, 3), 1, 3, 3),
    "taps apart, in groups": sizes(2, 3, 17, 20, (9, 9), (3, 3)),
    "stride without taps": sizes(2, 1, 40, 64, (15, 14, 13), (1, 1, 1), 3),
    "stride past the window": sizes(1, 1, 40, 33, (20, 20), (2, 2), 3, lo=1),
    "one axis of taps": sizes(1, 1, 40, 16, (12, 13), (1, 5), 2, lo=2),
    "padding only": sizes(1, 1, 80, 16, (2, 3), (1, 1), lo=3),
    "three channels": sizes(2, 1, 3, 32, (30, 31), (5, 5), 2, lo=2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", PIXELS)
def test_lanes_of_output_channels(isa: str, dtype: str, case: str) -> None:
    for last, packed, threads in itertools.product((False, True), (False, True), (1, 2, 5)):
        run(PIXELS[case], "gemm", dtype, last=last, packed=packed, threads=threads, with_bias=threads == 2)
    run(PIXELS[case], "gemm", dtype, packed=True, workspace=100 << 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ocg", [9, 13, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 80, 97])
def test_lanes_of_output_channels_at_their_edges(isa: str, dtype: str, ocg: int) -> None:
    for width, k in itertools.product((1, 3, 4, 5, 6, 7, 8, 13, 14, 15, 29), (1, 3)):
        problem = sizes(1, 1, 21, ocg, (width, 4), (k, k), 2, lo=k // 2)
        for last, packed in itertools.product((False, True), repeat=2):
            run(problem, "gemm", dtype, last=last, packed=packed, with_bias=packed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pixels", [8, 9, 15, 16, 17, 33, 47, 48, 49, 63, 64, 97, 145, 255, 256, 257])
def test_columns_of_small_maps(isa: str, dtype: str, pixels: int) -> None:
    for n, g, icg, k, stride in ((1, 1, 35, 3, 1), (2, 2, 5, 5, 1), (1, 1, 9, 3, 2), (1, 1, 70, 1, 2)):
        problem = sizes(n, g, icg, n * pixels + 9, (stride * (pixels - 1) + 1,), (k,), stride, lo=k // 2)
        run(problem, "gemm", dtype, threads=1 + pixels % 3)
    run(sizes(1, 1, 40, 300, (pixels // 4, 9), (3, 3), 2, lo=1), "gemm", dtype)
    run(sizes(1, 1, 10, 300, (pixels // 16 + 2, 5, 4), (3, 3, 3), lo=1), "gemm", dtype)


@pytest.mark.parametrize("last", [False, True])
def test_lanes_of_output_channels_write_nothing_outside_the_output(isa: str, last: bool) -> None:
    for (oh, ow), ocg, stride in itertools.product(((1, 1), (3, 5), (7, 7), (5, 40)), (16, 19, 48, 90), (1, 2)):
        problem = sizes(1, 1, 30, ocg, (oh * stride, ow * stride), (3, 3), stride, lo=1)
        x, w = np.ones((1, 30, oh * stride, ow * stride), "f4"), np.ones((ocg, 30, 3, 3), "f4")
        if last:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
            frame = np.full((1, oh + 2, ow + 2, ocg + 40), 7, "f4")
            y = np.moveaxis(frame[:, 1:-1, 1:-1, 20:-20], -1, 1)
        else:
            frame = np.full((1, ocg, oh + 2, ow + 40), 7, "f4")
            y = frame[:, :, 1:-1, 20:-20]
        p = native.ConvProblem(*problem, last)
        for weights in (w, native.Weights(p, w, "gemm", 2)):
            native.conv(p, x, weights, None, y, "gemm", 2, WORKSPACE)
            np.testing.assert_array_equal(y, reference(problem, x, w, None))
            y[...] = 7
            assert (frame == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_gemm(isa: str, dtype: str, case: str) -> None:
    for last, packed in itertools.product((False, True), repeat=2):
        run(CASES[case], "gemm", dtype, last=last, packed=packed, with_bias=packed)


@pytest.mark.parametrize("case", CASES)
def test_bf16x3(matrix_isa: str, case: str) -> None:
    for last, packed in itertools.product((False, True), repeat=2):
        run(CASES[case], "bf16x3", "float32", last=last, packed=packed, with_bias=packed)


#: Blocks of rows, of columns, of images and of slices; tiles of 16 and of 32 outputs and pixels, one less and one more;
#: taps that count as channels along W, and all of them; channels that fill a block of 32, and one more.
BF16X3 = {
    "outputs 15": sizes(1, 1, 33, 15, (5, 31), (3, 3), lo=1),
    "outputs 16": sizes(1, 1, 32, 16, (4, 8), (1, 1)),
    "outputs 17": sizes(1, 1, 31, 17, (6, 3), (3, 3), lo=1),
    "outputs 33": sizes(2, 1, 64, 33, (3, 11), (1, 1)),
    "outputs 48": sizes(1, 2, 40, 48, (9, 9), (3, 3), 2, lo=1),
    "blocks of rows": sizes(1, 1, 33, 32, (34, 35), (3, 3), lo=1),
    "blocks of columns": sizes(1, 1, 70, 20, (1, 3000), (1, 1)),
    "blocks of images": sizes(9, 1, 64, 32, (14, 14), (3, 3), lo=1),
    "blocks of slices": sizes(1, 1, 32, 16, (8, 11, 12), (3, 3, 3), lo=1),
    "taps along W": sizes(1, 1, 3, 40, (30, 31), (7, 7), 2, lo=3),
    "all taps": sizes(1, 1, 3, 16, (20, 33), (3, 3), lo=1),
    "phases": sizes(2, 1, 35, 16, (17, 19), (3, 3), 2, lo=1),
    "phases of dilated taps": sizes(1, 1, 33, 16, (21, 22), (3, 4), 2, 3, 2),
    "more stride than kernel": sizes(1, 1, 32, 16, (22, 23), (2, 2), 3),
    "few pixels, many outputs": sizes(1, 1, 64, 200, (7, 7), (3, 3), lo=1),
}


@pytest.mark.parametrize("case", BF16X3)
def test_bf16x3_at_its_edges(matrix_isa: str, case: str) -> None:
    # The unit in plain C is slow, and under sanitizers slower still.
    some = (1, 2, 5) if matrix_isa == "amx" else (2,)
    for threads, packed, last in itertools.product(some, (False, True), (False, True)):
        options = {"threads": threads, "packed": packed, "last": last}
        run(BF16X3[case], "bf16x3", "float32", workspace=1 << 20, **options)
        run(BF16X3[case], "bf16x3", "float32", with_bias=False, **options)


def test_weights_packed_for_channels_last_serve_other_arrays_too(matrix_isa: str) -> None:
    problem = sizes(1, 1, 40, 33, (6, 7), (3, 3), lo=1)
    rng = np.random.default_rng(2)
    x, w = (rng.integers(-3, 4, s).astype("f4") for s in ((1, 40, 6, 7), (33, 40, 3, 3)))
    p, y = native.ConvProblem(*problem, True), np.empty((1, 33, 6, 7), "f4")
    native.conv(p, x, native.Weights(p, w, "bf16x3", 2), None, y, "bf16x3", 2, WORKSPACE)
    np.testing.assert_array_equal(y, reference(problem, x, w, None))


def test_bf16x3_sums_like_float32(matrix_isa: str) -> None:
    """Two parts of each number instead of three, or three products instead of six, would err by 100 units and more."""
    rng = np.random.default_rng(5)
    problem = sizes(1, 1, 96, 20, (9, 10), (3, 3), lo=1)
    x, w = (rng.standard_normal(s).astype("f4") for s in ((1, 96, 9, 10), (20, 96, 3, 3)))
    y = np.empty((1, 20, 9, 10), "f4")
    native.conv(native.ConvProblem(*problem), x, w, None, y, "bf16x3", 2, WORKSPACE)
    expected = reference(problem, x.astype("f8"), w.astype("f8"), None)
    assert np.sqrt(((y - expected) ** 2).mean()) < 12 * np.finfo("f4").eps * expected.std()


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60, 2.0**100])
def test_bf16x3_of_small_and_large_numbers(matrix_isa: str, scale: float) -> None:
    rng = np.random.default_rng(6)
    x = (rng.integers(-99, 100, (1, 40, 6, 6)) * scale).astype("f4")
    w = rng.integers(-99, 100, (17, 40, 1, 1)).astype("f4")
    y = np.empty((1, 17, 6, 6), "f4")
    problem = sizes(1, 1, 40, 17, (6, 6), (1, 1))
    native.conv(native.ConvProblem(*problem), x, w, None, y, "bf16x3", 2, WORKSPACE)
    np.testing.assert_array_equal(y, reference(problem, x, w, None))


def test_bf16x3_is_refused_where_there_is_no_matrix_unit(isa: str) -> None:
    p = native.ConvProblem(*sizes(1, 1, 2, 2, (5,), (3,)))
    for dtype in ("f4", "f8"):
        if native.has_bf16x3() and dtype == "f4":
            continue
        x, w, y = (np.ones(s, dtype) for s in ((1, 2, 5), (2, 2, 3), (1, 2, 3)))
        with pytest.raises(ValueError, match="bf16x3 serves float32 on a matrix unit"):
            native.conv(p, x, w, None, y, "bf16x3", 1, WORKSPACE)
        with pytest.raises(ValueError, match="bf16x3 serves float32 on a matrix unit"):
            native.Weights(p, w, "bf16x3", 1)


def offered(algorithm: str) -> bool:
    return algorithm != "bf16x3" or native.has_bf16x3()


@pytest.mark.parametrize("algorithm", ["gemm", "winograd", "bf16x3"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_non_finite_input_stays_in_its_windows(isa: str, algorithm: str, value: float) -> None:
    if not offered(algorithm):
        return
    problem = sizes(1, 1, 8, 9, (20, 23), (3, 3), lo=1)
    x, w = np.ones((1, 8, 20, 23), "f4"), np.ones((9, 8, 3, 3), "f4")
    x[0, 3, 9, 10] = value
    inside = np.zeros((20, 23), bool)
    inside[8:11, 9:12] = True
    for last in (False, True):
        y = np.empty((1, 9, 20, 23), "f4")
        if last:
            x, y = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, y))
        native.conv(native.ConvProblem(*problem, last), x, w, None, y, algorithm, 2, WORKSPACE)
        assert np.isfinite(y[..., ~inside]).all()
        np.testing.assert_array_equal(y[..., inside], np.full((1, 9, 9), value, "f4"))


@pytest.mark.parametrize("shape", [(1, 512, 14, 14), (3, 7, 2, 2), (1, 1, 6, 50), (2, 5, 28, 28)], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_pooling_in_pairs_of_rows(isa: str, dtype: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).integers(-9, 10, shape).astype(dtype)
    x[0, 0, 1, 0] = np.nan
    windows = x.reshape(*shape[:2], shape[2] // 2, 2, shape[3] // 2, 2)
    strided = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    for source in (x, strided):
        for name in ("max", "min", "mean"):
            expected = getattr(windows, name)((3, 5))
            result = getattr(convlib, f"{name.replace('mean', 'avg')}_pool2d")(source, 2, backend="native")
            np.testing.assert_array_equal(result, expected)


def windows_of(x: Any, k: int, lo: int, fill: float) -> Any:
    """Return all windows of stride 1 over the last two axes."""
    wide = np.pad(x, ((0, 0), (0, 0), (lo, lo), (lo, lo)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(wide, (k, k), (2, 3))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i4", "i8", "u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 7, 9, 13, 18, 21])
def test_pooling_of_stride_1(isa: str, dtype: str, k: int) -> None:
    rng = np.random.default_rng(k)
    for width, lo in itertools.product((1, 3, 7, 8, 9, 15, 16, 17, 20, 33, 49, 65), (0, 1, k // 2)):
        height = max(k - 2 * lo, width % 11 + 1)
        if width + 2 * lo < k or lo >= k:
            continue
        x = rng.integers(0, 9, (2, 3, height, width)).astype(dtype)
        if dtype[0] == "f":
            x[1, 1, height // 2, width // 2] = np.nan
        else:
            x[1, 1, height // 2] *= np.array(-1).astype(dtype)
        low, high = (-np.inf, np.inf) if dtype[0] == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        frame = np.full((2, 3, height + 2, width + 1), 7, dtype)
        for source in (x, frame[:, :, 1:-1, :-1]):
            source[...] = x
            options = {"stride": 1, "padding": lo, "backend": "native"}
            expected = windows_of(x, k, lo, low).max((-2, -1))
            np.testing.assert_array_equal(convlib.max_pool2d(source, k, **options), expected)
            expected = windows_of(x, k, lo, high).min((-2, -1))
            np.testing.assert_array_equal(convlib.min_pool2d(source, k, **options), expected)
            if dtype not in ("u4", "u8"):  # the sums of these wrap around at -1
                total = windows_of(x.astype("i8") if dtype[0] != "f" else x, k, lo, 0).sum((-2, -1))
                np.testing.assert_array_equal(convlib.sum_pool2d(source, k, **options), total)
            if dtype[0] == "f":
                np.testing.assert_array_equal(convlib.avg_pool2d(source, k, **options), total / np.array(k * k, dtype))
                inside = windows_of(np.ones_like(x), k, lo, 0).sum((-2, -1))
                averages = convlib.avg_pool2d(source, k, count_include_pad=False, **options)
                np.testing.assert_array_equal(averages, total / inside)


def test_integer_sums_are_exact_or_refused(isa: str) -> None:
    x = np.full((1, 2, 9, 9), 2**60, "i8")
    for _ in range(2):
        with pytest.raises(convlib.SpecError, match="integer overflow"):
            convlib.sum_pool2d(x, 3, stride=1, backend="native")
    assert (convlib.sum_pool2d(x // 4 + 1, 3, stride=1, backend="native") == 9 * (2**58 + 1)).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("k", [2, 3])
def test_pooling_of_stride_2(isa: str, dtype: str, k: int) -> None:
    rng = np.random.default_rng(k)
    for width, lo in itertools.product((3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 34, 64, 65, 97), range(k)):
        x = rng.integers(-9, 10, (2, 3, width % 9 + 3, width)).astype(dtype)
        x[1, 1, 1, width // 2], x[0, 2], x[1, 0, 0, 0] = np.nan, -np.inf, np.inf
        for name, fill in (("max", -np.inf), ("min", np.inf), ("sum", 0)):
            frame = np.full((2, 3, 12, width + 8), 7, dtype)
            expected = getattr(windows_of(x, k, lo, fill)[:, :, ::2, ::2], name)((4, 5))
            y = frame[:, :, 1 : 1 + expected.shape[2], 3 : 3 + expected.shape[3]]
            with np.errstate(invalid="ignore"):
                getattr(convlib, f"{name}_pool2d")(x, k, stride=2, padding=lo, out=y, backend="native")
            np.testing.assert_array_equal(y, expected)
            y[...] = 7
            assert (frame == 7).all()


@pytest.mark.parametrize("k", [3, 5, 13])
def test_pooling_writes_nothing_outside(isa: str, k: int) -> None:
    for width in (1, 5, 16, 17, 40):
        frame = np.full((1, 3, 12, width + 80), 7, "f4")
        y = frame[:, :, 2:9, 40 : 40 + width]
        convlib.max_pool2d(np.ones(y.shape, "f4"), k, stride=1, padding=k // 2, out=y, backend="native")
        assert (y == 1).all()
        y[...] = 7
        assert (frame == 7).all()


@pytest.mark.parametrize("name", ["max", "min", "sum", "avg"])
def test_bits_of_pools_do_not_depend_on_threads(isa: str, name: str) -> None:
    rng = np.random.default_rng(0)
    for k, stride, shape in ((3, 1, (1, 5, 150, 61)), (5, 1, (1, 40, 20, 20)), (13, 1, (1, 40, 50, 20)),
                             (7, 7, (3, 29, 7, 7)), (2, 2, (1, 90, 14, 14)), (3, 2, (1, 9, 60, 61))):  # fmt: skip
        x = rng.standard_normal(shape).astype("f4")
        x[:, :, ::3] *= -0.0
        results = set()
        for threads in (1, 2, 3, 7):
            with convlib.num_threads(threads):
                results.add(getattr(convlib, f"{name}_pool2d")(x, k, stride=stride, backend="native").tobytes())
        assert len(results) == 1


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_averages_are_rounded_as_divisions_are(isa: str, dtype: str) -> None:
    """Large, tiny, infinite and signed zero sums among them; a single element is its window's sum."""
    rng = np.random.default_rng(5)
    info = np.finfo(dtype)
    x = rng.standard_normal((1, 1, 2000, 40)).astype(dtype)
    x[0, 0, :600:3] *= info.max / 8
    x[0, 0, 1:600:3] *= info.tiny
    x[0, 0, 2:600:3, ::2] *= -0.0
    x[0, 0, 700, 3] = np.inf
    x[0, 0, 800, 4] = np.nan
    for k, divisor in ((3, None), (5, None), (13, None), (3, 1), (3, 2**20), (3, 2**20 + 1), (3, -7), (5, 1000003)):
        total = convlib.sum_pool2d(x, k, stride=1, padding=k // 2, backend="native")
        average = convlib.avg_pool2d(x, k, stride=1, padding=k // 2, divisor_override=divisor, backend="native")
        expected = total / np.array(divisor or k * k, dtype)
        same = (average == expected) & (np.signbit(average) == np.signbit(expected))
        assert (same | (np.isnan(average) & np.isnan(expected))).all()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u4"])
@pytest.mark.parametrize("case", [(5, 3, 7, 2), (40, 7, 33, 33), (1, 1, 70, 69), (9, 9, 16, 5), (3, 2, 2, 3)], ids=str)
def test_adaptive_pooling(isa: str, dtype: str, case: tuple[int, int, int, int]) -> None:
    h, oh, w, ow = case
    rng = np.random.default_rng(h * w)
    x = rng.integers(0, 9, (2, 19, h, w)).astype(dtype)
    if dtype[0] == "f":
        x[0, 1, h // 2, w // 2] = np.nan
    y, where = np.empty((2, 19, oh, ow), dtype), np.empty((2, 19, oh, ow), "i8")
    means = np.empty(y.shape, dtype if dtype[0] == "f" else "f8")
    for a, b in itertools.product(range(oh), range(ow)):
        rows, columns = slice(a * h // oh, -(-(a + 1) * h // oh)), slice(b * w // ow, -(-(b + 1) * w // ow))
        window = x[:, :, rows, columns]
        y[:, :, a, b], means[:, :, a, b] = window.max((2, 3)), window.sum((2, 3)) / window[0, 0].size
        best = window.reshape(2, 19, -1).argmax(2)
        across = window.shape[3]
        where[:, :, a, b] = (best // across + rows.start) * w + best % across + columns.start
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    for source, threads in itertools.product((x, last, x[:, :, ::-1][:, :, ::-1]), (1, 3)):
        with convlib.num_threads(threads):
            found, places = convlib.adaptive_max_pool2d(source, (oh, ow), return_indices=True, backend="native")
            np.testing.assert_array_equal(found, y)
            np.testing.assert_array_equal(places, where)
            np.testing.assert_array_equal(convlib.adaptive_max_pool2d(source, (oh, ow), backend="native"), y)
            averages = convlib.adaptive_avg_pool2d(source, (oh, ow), backend="native")
            np.testing.assert_allclose(averages, means, rtol=1e-6)
    nhwc = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    found, places = convlib.adaptive_max_pool2d(nhwc, (oh, ow), return_indices=True, layout="NHWC", backend="native")
    np.testing.assert_array_equal(found, np.moveaxis(y, 1, -1))
    np.testing.assert_array_equal(places, np.moveaxis(where, 1, -1))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("plane", [(1, 1), (1, 5), (7, 7), (3, 16), (4, 33), (20, 13)], ids=str)
def test_pooling_of_whole_planes(isa: str, dtype: str, plane: tuple[int, int]) -> None:
    for n, c in ((1, 1), (1, 17), (3, 5), (2, 64)):
        x = np.random.default_rng(c).integers(-9, 10, (n, c, *plane)).astype(dtype)
        x[-1, -1, -1, -1] = np.nan
        for source in (x, np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)):
            y = np.full((n, c, 1, 3), 7, dtype)
            for name, expected in (("max", x.max((2, 3))), ("min", x.min((2, 3))), ("avg", x.mean((2, 3)))):
                pool = getattr(convlib, f"{name}_pool2d")
                pool(source, plane, out=y[..., 1:2], backend="native")
                np.testing.assert_array_equal(y[:, :, 0, 1], expected)
                assert (y[..., ::2] == 7).all()


def deep(n: int, size: tuple[int, ...], d: int, stride: int, dil: int, lo: int) -> tuple[Any, ...]:
    """3x3 windows of stride 1 along H and W, and `d` taps along D with a stride and a dilation of their own."""
    out = ((size[0] + 2 * lo - dil * (d - 1) - 1) // stride + 1, size[1], size[2])
    return n, 1, 9, 5, size, (d, 3, 3), out, (stride, 1, 1), (dil, 1, 1), (lo, 1, 1)


#: Fewer tiles than a GEMM takes at once, as many, more; panels of output channels, full and in part; many
#: blocks, cut along each axis; dilation beyond the map; windows that span slices.
WINOGRAD = [
    *(sizes(n, g, icg, ocg, (h, w), (3, 3), lo=lo) for n, g, icg, ocg, h, w, lo in (
        (1, 1, 1, 1, 1, 1, 1), (1, 1, 5, 9, 7, 7, 1), (1, 1, 33, 17, 3, 3, 1), (2, 1, 3, 8, 14, 14, 1),
        (3, 2, 4, 5, 13, 29, 0), (2, 1, 8, 8, 60, 5, 2), (1, 1, 8, 8, 9, 200, 1), (1, 1, 16, 40, 28, 28, 1),
        (1, 3, 2, 2, 4, 3, 2), (1, 1, 2, 3, 16, 65, 1), (1, 1, 2, 3, 5, 8, 4), (16, 1, 3, 3, 4, 4, 1),
        (1, 1, 17, 97, 12, 13, 1), (1, 1, 2, 3, 4, 300, 1), (2, 2, 20, 70, 18, 18, 1), (5, 1, 4, 4, 14, 14, 1),
    )),
    *(sizes(n, g, icg, ocg, (h, w), (5, 5), lo=lo, hi=hi) for n, g, icg, ocg, h, w, lo, hi in (
        (1, 1, 1, 1, 1, 1, 2, 2), (1, 1, 17, 33, 9, 9, 2, 2), (2, 2, 5, 8, 28, 12, 0, 3), (1, 1, 3, 9, 40, 41, 4, 0),
    )),
    *(sizes(1, 1, icg, ocg, (h, w), (k, k), dil=dil, lo=lo) for icg, ocg, h, w, k, dil, lo in (
        (7, 9, 15, 17, 3, 2, 2), (17, 5, 9, 40, 3, 3, 3), (3, 3, 5, 5, 3, 7, 7), (2, 18, 20, 20, 5, 2, 4),
        (3, 4, 12, 90, 3, 12, 12),
    )),
    deep(1, (4, 9, 9), 3, 1, 1, 1), deep(2, (9, 8, 8), 3, 2, 1, 0), deep(1, (7, 30, 6), 2, 1, 3, 2),
    deep(3, (5, 14, 14), 1, 1, 1, 0), deep(2, (5, 5, 5), 1, 2, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("case", WINOGRAD, ids=str)
def test_winograd(isa: str, case: tuple[Any, ...]) -> None:
    n, g, icg, ocg, size, k, out, *_ = case
    rng = np.random.default_rng(sum(size) + icg)
    x = rng.standard_normal((n, g * icg, *size)).astype("f4")
    weights = rng.standard_normal((g * ocg, icg, *k)).astype("f4")
    bias = rng.standard_normal(g * ocg).astype("f4")
    expected = reference(case, x, weights.astype("f8"), bias.astype("f8"))
    p = native.ConvProblem(*case)
    turned = np.empty((*k, icg, g * ocg), "f4").transpose(-1, -2, *range(len(k)))  # the same weights in another order
    turned[...] = weights
    results = []
    for threads, way, last in itertools.product((1, 2, 5), ("plain", "turned", "packed"), (False, True)):
        source, y = x, np.full((n, g * ocg, *out), np.nan, "f4")
        if last:
            source = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
            y = np.moveaxis(np.full((n, *out, g * ocg), np.nan, "f4"), -1, 1)
        given = turned.reshape(g, ocg, icg, *k) if way == "turned" else weights
        ready = native.Weights(p, weights, "winograd", threads) if way == "packed" else given
        native.conv(p, source, ready, bias, y, "winograd", threads, WORKSPACE if threads < 5 else 1)
        results.append(y.tobytes())
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5 * np.sqrt(icg * np.prod(k)))
    assert len(set(results)) == 1


@pytest.mark.parametrize(
    ("x", "w", "options", "call", "plan"),
    [
        ((1, 64, 56, 56), (64, 64, 3, 3), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 5, 5), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 2}, True, True),
        ((1, 32, 28, 28, 28), (32, 32, 3, 3, 3), {}, True, True),
        ((1, 56, 56, 64), (64, 64, 3, 3), {"layout": "NHWC"}, True, True),
        ((1, 512, 28, 28), (512, 16, 3, 3), {"groups": 32}, True, True),
        ((1, 512, 7, 7), (512, 512, 3, 3), {}, False, True),  # a call transforms too many weights
        ((1, 64, 56, 56), (64, 64, 3, 3), {"accuracy": "strict"}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 50}, False, False),  # one output to a tile
        ((1, 64, 56, 56), (64, 64, 3, 3), {"stride": 2}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dtype": "float64"}, False, False),
        ((1, 64, 56, 56), (64, 8, 3, 3), {"groups": 8}, False, False),
        ((1, 64, 56, 56), (64, 64, 7, 7), {}, False, False),
    ],
    ids=str,
)
def test_when_winograd_is_chosen(
    isa: str, x: tuple[int, ...], w: tuple[int, ...], options: dict[str, Any], call: bool, plan: bool
) -> None:
    if isa == "amx":
        return  # the matrix unit takes some of these
    rank = len(w) - 2
    options = {"padding": w[-1] // 2 * options.get("dilation", 1), "backend": "native", **options}
    dtype = options.setdefault("dtype", "float32")
    said = convlib.explain(f"conv{rank}d", x, w, **options)
    assert (said.algorithm == "winograd") == call
    ready = getattr(convlib, f"plan_conv{rank}d")(x, np.ones(w, dtype), **options)
    assert (ready.explain().algorithm == "winograd") == plan


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_winograd_keeps_infinities_in_their_windows(isa: str, kernel: int, dilation: int) -> None:
    problem = sizes(2, 2, 3, 19, (17, 18), (kernel, kernel), dil=dilation, lo=2)
    rng = np.random.default_rng(kernel)
    x, w = rng.integers(-3, 4, (2, 6, 17, 18)).astype("f4"), rng.integers(-3, 4, (38, 3, kernel, kernel)).astype("f4")
    x[0, 1, 8, 9], x[1, 5, 0, 17], x[1, 0, 16, 0] = np.inf, np.nan, -np.inf
    y = np.empty((2, 38, *problem[6]), "f4")
    native.conv(native.ConvProblem(*problem), x, w, None, y, "winograd", 2, WORKSPACE)
    with np.errstate(invalid="ignore"):
        expected = reference(problem, x, w.astype("f8"), None)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("algorithm", ["winograd", "bf16x3"])
def test_infinite_weights(isa: str, algorithm: str) -> None:
    if not offered(algorithm):
        return
    problem = sizes(1, 1, 4, 3, (11, 11), (3, 3))
    x, w = np.ones((1, 4, 11, 11), "f4"), np.ones((3, 4, 3, 3), "f4")
    w[1, 2, 0, 0] = np.inf
    y = np.empty((1, 3, 9, 9), "f4")
    native.conv(native.ConvProblem(*problem), x, w, None, y, algorithm, 2, WORKSPACE)
    np.testing.assert_allclose(y, reference(problem, x, w, None), rtol=1e-6)


@pytest.mark.parametrize(
    "change", [{"kernel": (5, 3)}, {"stride": (2, 1)}, {"dtype": "f8"}], ids=str
)
def test_winograd_refuses_what_it_has_no_kernel_for(change: dict[str, Any]) -> None:
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "dtype": "f4", **change}
    kernel = given["kernel"]
    p = native.ConvProblem(1, 1, 2, 2, (9, 9), kernel, (3, 3), given["stride"], given["dilation"], (0, 0))
    x, w, y = (np.ones(s, given["dtype"]) for s in ((1, 2, 9, 9), (2, 2, *kernel), (1, 2, 3, 3)))
    with pytest.raises(ValueError, match="winograd serves float32 with windows"):
        native.conv(p, x, w, None, y, "winograd", 1, WORKSPACE)
    with pytest.raises(ValueError, match="winograd serves float32 with windows"):
        native.Weights(p, w, "winograd", 1)


@pytest.mark.parametrize("algorithm", ["gemm", "direct", "winograd", "bf16x3"])
def test_bits_do_not_depend_on_threads_or_workspace(isa: str, algorithm: str) -> None:
    if not offered(algorithm):
        return
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 40, 30, 31)).astype("f4")
    w = rng.standard_normal((24, 40, 3, 3)).astype("f4")
    p = native.ConvProblem(*sizes(2, 1, 40, 24, (30, 31), (3, 3), lo=1))
    results = []
    for threads, workspace in ((1, WORKSPACE), (2, WORKSPACE), (3, WORKSPACE), (7, WORKSPACE), (2, 1 << 20)):
        y = np.empty((2, 24, 30, 31), "f4")
        native.conv(p, x, w, None, y, algorithm, threads, workspace)
        results.append(y.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("algorithm", ["gemm", "bf16x3"])
def test_nothing_outside_the_output_is_written(isa: str, algorithm: str) -> None:
    if not offered(algorithm):
        return
    for ow in (1, 5, 16, 17, 48, 50):
        frame = np.full((1, 9, 12, ow + 40), 7, "f4")
        y = frame[:, :, 2:7, 20 : 20 + ow]
        x, w = np.ones((1, 3, 5, ow), "f4"), np.ones((9, 3, 3, 3), "f4")
        p = native.ConvProblem(*sizes(1, 1, 3, 9, (5, ow), (3, 3), lo=1))
        native.conv(p, x, w, None, y, algorithm, 2, WORKSPACE)
        assert np.abs(y - reference(sizes(1, 1, 3, 9, (5, ow), (3, 3), lo=1), x, w, None)).max() < 1e-4
        y[...] = 7
        assert (frame == 7).all()


DEPTHWISE_WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 14, 15, 16, 17, 31, 33, 48, 63, 65, 80, 129, 134)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("width", DEPTHWISE_WIDTHS)
def test_depthwise_at_the_edges_of_vectors(isa: str, dtype: str, kernel: int, width: int) -> None:
    k = (kernel, kernel)
    for planes, height in ((1, 3), (5, 1), (6, 2), (3, 37)):  # odd numbers of planes, one strip of rows and two
        for stride, (lo, hi) in itertools.product((1, 2), ((0, 0), (1, 1), (2, 0), (3, 3), (0, 4), (6, 2))):
            if min(width, height) + lo + hi >= kernel:
                problem = sizes(2, planes, 1, 1, (height, width), k, stride, lo=lo, hi=hi)
                run(problem, "direct", dtype, with_bias=planes != 6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("channels", [2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 49, 80])
def test_depthwise_of_channels_last(isa: str, dtype: str, kernel: int, channels: int) -> None:
    k = (kernel, kernel)
    for size, stride, (lo, hi) in itertools.product(((1, 6), (9, 3), (8, 8)), (1, 2), ((0, 0), (1, 1), (3, 3), (6, 0))):
        if min(size) + lo + hi >= kernel:
            problem = sizes(2, channels, 1, 1, size, k, stride, lo=lo, hi=hi)
            run(problem, "direct", dtype, last=True, with_bias=channels != 8)


#: Kernel, size, padding: tiles of 1 to 7 outputs and of 1 to 3 rows, one and many; kernels as wide as a tile, narrower
#: and wider, and larger than the image; rows and columns that lie in the padding, in part and whole; one axis.
DEEP = [
    ((5, 5), (9, 7), (2, 2)), ((5, 5), (3, 6), (4, 0)), ((7, 7), (7, 7), (3, 3)), ((7, 7), (14, 15), (3, 3)),
    ((7, 7), (6, 20), (0, 6)), ((7, 7), (22, 28), (3, 3)), ((4, 6), (8, 11), (2, 1)), ((6, 4), (11, 13), (2, 3)),
    ((9, 8), (2, 16), (7, 0)), ((8, 9), (16, 1), (0, 8)), ((11, 11), (5, 30), (5, 5)), ((13, 5), (3, 33), (6, 6)),
    ((31, 31), (7, 14), (15, 15)), ((31, 31), (3, 2), (40, 15)), ((5, 31), (31, 9), (0, 30)),
    ((15, 14), (15, 14), (0, 0)),
    ((1, 4), (1, 17), (0, 3)), ((1, 31), (4, 40), (15, 15)), ((9, 1), (9, 5), (1, 4)), ((2, 2), (5, 5), (1, 0)),
    ((1, 1), (3, 5), (0, 1)), ((3, 3), (6, 7), (1, 1)), ((6, 6), (2, 2), (12, 12)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", DEEP, ids=str)
def test_depthwise_with_lanes_of_channels(isa: str, dtype: str, case: Any) -> None:
    kernel, size, (lo, hi) = case
    for n, channels in ((1, 3), (2, 4), (1, 5), (1, 8), (3, 15), (1, 16), (2, 17), (1, 31), (1, 50)):
        problem = sizes(n, channels, 1, 1, size, kernel, lo=lo, hi=hi)
        for last, threads in ((False, 2), (True, 2), (False, 5)):
            run(problem, "direct", dtype, last=last, threads=threads, with_bias=channels != 8)
    run(sizes(2, 19, 1, 1, size[1:], kernel[1:], lo=lo, hi=hi), "direct", dtype)


@pytest.mark.parametrize("kernel", [7, 11, 40])
def test_depthwise_with_lanes_of_channels_in_strips(isa: str, kernel: int) -> None:
    for channels, size in ((16, (150, 140)), (9, (33, 700)), (16, (900, 20))):
        problem = sizes(1, channels, 1, 1, size, (kernel, kernel), lo=kernel // 2, hi=3)
        for last in (False, True):
            run(problem, "direct", "float32", last=last)


@pytest.mark.parametrize("last", [False, True])
def test_depthwise_with_lanes_of_channels_of_any_strides(isa: str, last: bool) -> None:
    rng = np.random.default_rng(7)
    for channels, size, kernel in itertools.product((5, 16, 33), ((9, 7), (3, 20)), ((7, 7), (9, 12))):
        problem = sizes(1, channels, 1, 1, size, kernel, lo=6)
        x, w = (rng.integers(-3, 4, shape).astype("f4") for shape in ((1, channels, *size), (channels, 1, *kernel)))
        out = problem[6]
        for step in (1, 2):
            if last:
                frame = np.full((1, out[0] + 2, out[1] + 2, step * channels + 40), 7, "f4")
                y = np.moveaxis(frame[:, 1:-1, 1:-1, 20 : 20 + step * channels : step], -1, 1)
                source = np.moveaxis(np.repeat(np.moveaxis(x, 1, -1), step, -1)[..., ::step], -1, 1)
            else:
                frame = np.full((1, channels, out[0] + 2, step * out[1] + 40), 7, "f4")
                y = frame[:, :, 1:-1, 20 : 20 + step * out[1] : step]
                source = np.repeat(x, step, -1)[..., ::step]
            native.conv(native.ConvProblem(*problem), source, w, None, y, "direct", 2, WORKSPACE)
            np.testing.assert_array_equal(y, reference(problem, x, w, None))
            y[...] = 7
            assert (frame == 7).all()


def test_depthwise_with_lanes_of_channels_keeps_to_its_workspace(isa: str) -> None:
    """Fewer threads where scratch is short, pixels as lanes where there is not enough for one."""
    rng = np.random.default_rng(3)
    problem = sizes(1, 40, 1, 1, (30, 31), (9, 9), lo=4)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in ((1, 40, 30, 31), (40, 1, 9, 9)))
    p, results = native.ConvProblem(*problem), set()
    one = native.workspace(p, "direct", ord("f"), 1, WORKSPACE, False)
    assert one > 0
    for bound in (1 << 10, one, 2 * one + 100, WORKSPACE):
        assert native.workspace(p, "direct", ord("f"), 4, bound, False) <= bound
        y = np.empty((1, 40, 30, 31), "f4")
        native.conv(p, x, w, None, y, "direct", 4, bound)
        results.add(y.tobytes())
    assert len(results) == 1


def test_depthwise_of_channels_last_writes_nothing_outside_the_output(isa: str) -> None:
    for channels, stride in itertools.product((5, 16, 19, 40), (1, 2)):
        problem = sizes(1, channels, 1, 1, (6, 7), (3, 3), stride, lo=1)
        out = problem[6]
        frame = np.full((1, out[0] + 2, out[1] + 2, channels + 40), 7, "f4")
        y = np.moveaxis(frame[:, 1:-1, 1:-1, 20:-20], -1, 1)
        x = np.moveaxis(np.ones((1, 6, 7, channels), "f4"), -1, 1)
        w = np.ones((channels, 1, 3, 3), "f4")
        native.conv(native.ConvProblem(*problem), x, w, None, y, "direct", 2, WORKSPACE)
        np.testing.assert_array_equal(y, reference(problem, x, w, None))
        y[...] = 7
        assert (frame == 7).all()


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_depthwise_writes_nothing_outside_the_output(isa: str, kernel: int) -> None:
    for width, stride in itertools.product((1, 7, 8, 14, 16, 35, 70), (1, 2)):
        problem = sizes(1, 5, 1, 1, (6, width), (kernel, kernel), stride, lo=kernel // 2)
        out = problem[6]
        frame = np.full((1, 5, out[0] + 2, out[1] + 40), 7, "f4")
        y = frame[:, :, 1:-1, 20:-20]
        x, w = np.ones((1, 5, 6, width), "f4"), np.ones((5, 1, kernel, kernel), "f4")
        native.conv(native.ConvProblem(*problem), x, w, None, y, "direct", 2, WORKSPACE)
        np.testing.assert_array_equal(y, reference(problem, x, w, None))
        y[...] = 7
        assert (frame == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ocg", [2, 4, 5, 8, 9, 16, 19])
def test_direct_tiles_of_channels(isa: str, dtype: str, ocg: int) -> None:
    steps = (1, 1), (2, 1), (1, 2), (2, 2), (3, 1)  # stride and dilation
    for width, kernel, (stride, dil) in itertools.product((5, 16, 17, 33), (2, 3, 4), steps):
        run(sizes(2, 3, 3, ocg, (6, width), (kernel, kernel), stride, dil, lo=1), "direct", dtype, last=ocg == 5)


@pytest.mark.parametrize("size", [(14, 14), (7, 7), (112, 30), (9, 200)])
@pytest.mark.parametrize("kernel", [3, 5, 7, 12, 31])
def test_bits_of_depthwise_do_not_depend_on_threads(isa: str, kernel: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    problem = sizes(2, 63, 1, 1, size, (kernel, kernel), lo=kernel // 2)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in ((2, 63, *size), (63, 1, kernel, kernel)))
    results = []
    for threads in (1, 2, 3, 7):
        y = np.empty((2, 63, *problem[6]), "f4")
        native.conv(native.ConvProblem(*problem), x, w, None, y, "direct", threads, WORKSPACE)
        results.append(y.tobytes())
    assert len(set(results)) == 1


def test_vectors_are_as_wide_as_the_instruction_set_says(isa: str) -> None:
    assert native.vector_bytes() == {"amx": 64, "avx512": 64, "avx2": 32, "neon": 16, "scalar": 16}[isa]


def test_isa_names() -> None:
    assert ISAS[-1] == "scalar"
    with pytest.raises(ValueError, match="cannot run here"):
        native.set_isa("mmx")
