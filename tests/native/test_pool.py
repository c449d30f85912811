"""Pooling against NumPy, under every instruction set."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib

from .common import edges, laid, lanes

FLOATS = ["float32", "float64"]
INTEGERS = ["int8", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def pool(name: str, x: Any, *args: Any, **options: Any) -> Any:
    return getattr(convlib, f"{name}_pool2d")(x, *args, **options, backend="native")


def windows_of(x: Any, k: int, lo: int, fill: float) -> Any:
    """Return all windows of stride 1 over the last two axes."""
    wide = np.pad(x, ((0, 0), (0, 0), (lo, lo), (lo, lo)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(wide, (k, k), (2, 3))


@pytest.mark.parametrize("shape", [(1, 512, 14, 14), (3, 7, 2, 2), (1, 1, 6, 50), (2, 5, 28, 28)], ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_pairs_of_rows(isa: str, dtype: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).integers(-9, 10, shape).astype(dtype)
    x[0, 0, 1, 0] = np.nan
    windows = x.reshape(*shape[:2], shape[2] // 2, 2, shape[3] // 2, 2)
    strided = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    for source in (x, strided):
        np.testing.assert_array_equal(pool("max", source, 2), windows.max((3, 5)))
        np.testing.assert_array_equal(pool("min", source, 2), windows.min((3, 5)))
        np.testing.assert_array_equal(pool("avg", source, 2), windows.mean((3, 5)))


def check_stride_1(x: Any, k: int, lo: int) -> None:
    """Compare every kind of pool with NumPy's answer; x is read in place and from rows with gaps."""
    said = f"{x.dtype} {x.shape}, window {k}, padding {lo}"
    real = x.dtype.kind == "f"
    low, high = (-np.inf, np.inf) if real else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
    gaps = np.full((2, 3, x.shape[2] + 2, x.shape[3] + 1), 7, x.dtype)[:, :, 1:-1, :-1]
    gaps[...] = x
    expected = {"max": windows_of(x, k, lo, low).max((-2, -1)), "min": windows_of(x, k, lo, high).min((-2, -1))}
    if x.dtype not in (np.uint32, np.uint64):  # the sums of these wrap around at -1
        expected["sum"] = windows_of(x if real else x.astype("i8"), k, lo, 0).sum((-2, -1))
    if real:
        expected["avg"] = expected["sum"] / np.array(k * k, x.dtype)
    for source, (name, answer) in itertools.product((x, gaps), expected.items()):
        got = pool(name, source, k, stride=1, padding=lo)
        np.testing.assert_array_equal(got, answer, err_msg=f"{name}, {said}")
    if real:
        inside = windows_of(np.ones_like(x), k, lo, 0).sum((-2, -1))
        got = pool("avg", gaps, k, stride=1, padding=lo, count_include_pad=False)
        np.testing.assert_array_equal(got, expected["sum"] / inside, err_msg=said)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 7, 9, 13, 18, 21])
def test_stride_1(isa: str, dtype: str, k: int) -> None:
    """Strips for 2, 3 and 5, and doubling for larger windows; rows of a vector or two, and shorter than the window."""
    rng = np.random.default_rng(k)
    paddings = itertools.cycle((0, k // 2, 1))
    for width in sorted({1, k, *edges(lanes(dtype))}):
        for lo in {next(paddings), next(paddings)}:
            height = max(k - 2 * lo, width % 11 + 1)
            if width + 2 * lo < k:
                continue
            x = rng.integers(0, 9, (2, 3, height, width)).astype(dtype)
            if x.dtype.kind == "f":
                x[1, 1, height // 2, width // 2] = np.nan
            else:
                x[1, 1, height // 2] *= np.array(-1).astype(dtype)
            check_stride_1(x, k, lo)


def test_integer_sums_are_exact_or_refused(isa: str) -> None:
    x = np.full((1, 2, 9, 9), 2**60, "i8")
    for _ in range(2):
        with pytest.raises(convlib.SpecError, match="integer overflow"):
            pool("sum", x, 3, stride=1)
    assert (pool("sum", x // 4 + 1, 3, stride=1) == 9 * (2**58 + 1)).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("k", [2, 3])
def test_stride_2(isa: str, dtype: str, k: int) -> None:
    rng = np.random.default_rng(k)
    for width, lo in itertools.product(sorted({3, *edges(2 * lanes(dtype), 4 * lanes(dtype))}), range(k)):
        x = rng.integers(-9, 10, (2, 3, width % 9 + 3, width)).astype(dtype)
        x[1, 1, 1, width // 2], x[0, 2], x[1, 0, 0, 0] = np.nan, -np.inf, np.inf
        for name, fill in (("max", -np.inf), ("min", np.inf), ("sum", 0)):
            frame = np.full((2, 3, 12, width + 8), 7, dtype)
            expected = getattr(windows_of(x, k, lo, fill)[:, :, ::2, ::2], name)((4, 5))
            y = frame[:, :, 1 : 1 + expected.shape[2], 3 : 3 + expected.shape[3]]
            with np.errstate(invalid="ignore"):
                pool(name, x, k, stride=2, padding=lo, out=y)
            np.testing.assert_array_equal(y, expected, err_msg=f"{name}, width {width}, padding {lo}")
            y[...] = 7
            assert (frame == 7).all(), f"{name}, width {width}, padding {lo}"


@pytest.mark.parametrize("k", [3, 5, 13])
def test_nothing_outside_the_result_is_written(isa: str, k: int) -> None:
    for width in (1, *edges(lanes("f4"))):
        frame = np.full((1, 3, 12, width + 80), 7, "f4")
        y = frame[:, :, 2:9, 40 : 40 + width]
        pool("max", np.ones(y.shape, "f4"), k, stride=1, padding=k // 2, out=y)
        assert (y == 1).all(), width
        y[...] = 7
        assert (frame == 7).all(), width


@pytest.mark.parametrize("name", ["max", "min", "sum", "avg"])
def test_the_bits_do_not_depend_on_threads(isa: str, name: str) -> None:
    rng = np.random.default_rng(0)
    for k, stride, shape in ((3, 1, (1, 5, 150, 61)), (5, 1, (1, 40, 20, 20)), (13, 1, (1, 40, 50, 20)),
                             (7, 7, (3, 29, 7, 7)), (2, 2, (1, 90, 14, 14)), (3, 2, (1, 9, 60, 61))):  # fmt: skip
        x = rng.standard_normal(shape).astype("f4")
        x[:, :, ::3] *= -0.0
        results = set()
        for threads in (1, 2, 3, 7):
            with convlib.num_threads(threads):
                results.add(pool(name, x, k, stride=stride).tobytes())
        assert len(results) == 1, f"window {k}, stride {stride}, {shape}"


@pytest.mark.parametrize("dtype", FLOATS)
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
        total = pool("sum", x, k, stride=1, padding=k // 2)
        average = pool("avg", x, k, stride=1, padding=k // 2, divisor_override=divisor)
        expected = total / np.array(divisor or k * k, dtype)
        same = (average == expected) & (np.signbit(average) == np.signbit(expected))
        assert (same | (np.isnan(average) & np.isnan(expected))).all(), f"window {k}, divisor {divisor}"


def adaptive_by_hand(x: Any, oh: int, ow: int) -> tuple[Any, Any, Any]:
    """Return maxima, their places in the plane, and means of windows that tile each plane as evenly as can be."""
    n, c, h, w = x.shape
    shape = (n, c, oh, ow)
    y, where = np.empty(shape, x.dtype), np.empty(shape, "i8")
    means = np.empty(shape, x.dtype if x.dtype.kind == "f" else "f8")
    for a, b in itertools.product(range(oh), range(ow)):
        rows, columns = slice(a * h // oh, -(-(a + 1) * h // oh)), slice(b * w // ow, -(-(b + 1) * w // ow))
        window = x[:, :, rows, columns]
        y[:, :, a, b], means[:, :, a, b] = window.max((2, 3)), window.sum((2, 3)) / window[0, 0].size
        best = window.reshape(n, c, -1).argmax(2)
        across = window.shape[3]
        where[:, :, a, b] = (best // across + rows.start) * w + best % across + columns.start
    return y, where, means


@pytest.mark.parametrize("dtype", [*FLOATS, "int16", "uint32"])
@pytest.mark.parametrize("case", [(5, 3, 7, 2), (40, 7, 33, 33), (1, 1, 70, 69), (9, 9, 16, 5), (3, 2, 2, 3)], ids=str)
def test_adaptive_windows(isa: str, dtype: str, case: tuple[int, int, int, int]) -> None:
    h, oh, w, ow = case
    x = np.random.default_rng(h * w).integers(0, 9, (2, 19, h, w)).astype(dtype)
    if x.dtype.kind == "f":
        x[0, 1, h // 2, w // 2] = np.nan
    y, where, means = adaptive_by_hand(x, oh, ow)
    for source, threads in itertools.product((x, laid(x, True), x[:, :, ::-1][:, :, ::-1]), (1, 3)):
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


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("plane", [(1, 1), (1, 5), (7, 7), (3, 16), (4, 33), (20, 13)], ids=str)
def test_whole_planes(isa: str, dtype: str, plane: tuple[int, int]) -> None:
    for n, c in ((1, 1), (1, 17), (3, 5), (2, 64)):
        x = np.random.default_rng(c).integers(-9, 10, (n, c, *plane)).astype(dtype)
        x[-1, -1, -1, -1] = np.nan
        for source in (x, np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)):
            y = np.full((n, c, 1, 3), 7, dtype)
            for name, expected in (("max", x.max((2, 3))), ("min", x.min((2, 3))), ("avg", x.mean((2, 3)))):
                pool(name, source, plane, out=y[..., 1:2])
                np.testing.assert_array_equal(y[:, :, 0, 1], expected, err_msg=f"{name}, {x.shape}")
                assert (y[..., ::2] == 7).all(), f"{name}, {x.shape}"
