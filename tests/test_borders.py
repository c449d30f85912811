"""Padding that is no zeros, and axes of one element: what they cost, and that they change no number."""

from __future__ import annotations

import tracemalloc
from functools import cache
from typing import Any

import numpy as np
import pytest
from tools import padded, small

import convlib
from convlib import config

MIB = 1 << 20
MODES = ("reflect", "symmetric", "edge", "wrap")
OPTIONS: tuple[dict[str, Any], ...] = (
    {"padding": 1}, {"padding": 2, "stride": 2}, {"padding": ((0, 2), (3, 1)), "dilation": 2},
    {"padding": ((2, 0), (0, 0)), "stride": 3, "flip": True},
)  # fmt: skip


@cache
def truth(mode: str, at: int) -> Any:
    """Return the input, the weights, the bias and the result under a mode and the options at a place of the list."""
    options = OPTIONS[at]
    x, w, bias = small(2, 3, 21, 23), small(4, 3, 3, 3, seed=1), small(4, seed=2)
    rest = {key: value for key, value in options.items() if key != "padding"}
    return x, w, bias, convlib.conv2d(padded(x, options["padding"], mode), w, bias, backend="naive", **rest)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("backend", ["native", "cython", "im2col", "fft"])
def test_values(way: str, backend: str, layout: str, mode: str, options: dict[str, Any]) -> None:
    x, w, bias, expected = truth(mode, OPTIONS.index(options))
    if layout == "NHWC":
        x, expected = np.moveaxis(x, 1, -1).copy(), np.moveaxis(expected, 1, -1)
    if mode == "constant":
        options = {**options, "pad_value": 3}
    for out in (None, np.empty(expected.shape, "f4")):
        y = convlib.conv2d(x, w, bias, padding_mode=mode, layout=layout, backend=backend, out=out, **options)
        assert out is None or y is out
        if backend == "fft":
            np.testing.assert_allclose(y, expected, atol=1e-3)
        else:
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
def test_gradients_are_adjoints(backend: str, layout: str, mode: str, options: dict[str, Any]) -> None:
    x, w = small(2, 3, 21, 23), small(4, 3, 3, 3, seed=1)
    x = x if layout == "NCHW" else np.moveaxis(x, 1, -1).copy()
    options = {**options, "padding_mode": mode, "layout": layout, "backend": backend}
    y = convlib.conv2d(x, w, **options)
    grad_y = small(*y.shape, seed=3)
    for kind in ("f4", "i2"):
        grad_x = convlib.conv2d_grad_input(grad_y.astype(kind), w.astype(kind), x.shape, **options)
        assert (grad_x * x).sum(dtype="f8") == (y * grad_y).sum(dtype="f8")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_short_way(mode: str, options: dict[str, Any], dtype: str) -> None:
    x, w = small(2, 3, 11, 13).astype(dtype), small(4, 3, 3, 3, seed=1).astype(dtype)
    rest = {key: value for key, value in options.items() if key != "padding"}
    expected = convlib.conv2d(padded(x, options["padding"], mode), w, backend="naive", **rest)
    options = {**options, "padding_mode": mode, **({"pad_value": 3} if mode == "constant" else {})}
    np.testing.assert_array_equal(convlib.conv2d(x, w, **options), expected)
    np.testing.assert_array_equal(convlib.conv2d(x[0], w, **options), expected[0])
    turned = np.moveaxis(convlib.conv2d(np.moveaxis(x, 1, -1).copy(), w, layout="NHWC", **options), -1, 1)
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(convlib.conv2d(np.asfortranarray(x), w, **options), expected)


def test_elements_that_are_not_finite_reach_the_windows_that_repeat_them(way: str) -> None:
    x, w = np.ones((1, 1, 20, 20), "f4"), np.ones((1, 1, 3, 3), "f4")
    x[0, 0, 0, 19] = np.nan
    for mode in MODES:
        y = convlib.conv2d(x, w, padding=1, padding_mode=mode)
        expected = convlib.conv2d(padded(x, 1, mode), w, backend="naive")
        np.testing.assert_array_equal(y, expected)
    w[0, 0, 0, 0] = np.inf  # over padding of zeros it would make NaN
    assert np.isposinf(convlib.conv2d(np.ones_like(x), w, padding=1, padding_mode="edge")).all()


def test_a_gradient_that_is_not_finite_meets_no_zeros(way: str) -> None:
    x, grad_y = small(1, 2, 30, 40), small(1, 2, 30, 40, seed=1)
    grad_y[0, 0, 0, 5] = np.inf  # over padding of zeros it would make NaN
    for mode in MODES:
        grad_w = convlib.conv2d_grad_weight(grad_y, x, (2, 2, 3, 3), padding=1, padding_mode=mode)
        expected = convlib.conv2d_grad_weight(grad_y, padded(x, 1, mode), (2, 2, 3, 3), backend="naive")
        np.testing.assert_array_equal(grad_w, expected)


def test_sums_of_padding_that_may_leave_int64_are_refused() -> None:
    """Each of them fits; the element that stands for all of them has their sum."""
    grad_y, w = np.full((1, 1, 9), 2**31), np.full((1, 1, 1), 2**30)
    options: dict[str, Any]
    for backend in ("native", "cython", "naive"):
        options = {"padding": 4, "padding_mode": "edge", "backend": backend}
        with pytest.raises(convlib.SpecError, match="overflow"):
            convlib.conv1d_grad_input(grad_y, w, (1, 1, 1), **options)


LARGE: tuple[tuple[str, str, Any, Any, dict[str, Any]], ...] = (
    ("conv2d", "f4", (1, 2, 1200, 1300), (2, 2, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ("conv2d", "f4", (1, 2, 1200, 1300), (2, 2, 5, 5), {"padding": 2, "pad_value": 2}),
    ("conv2d", "f4", (1, 1200, 1300, 2), (2, 2, 3, 3), {"padding": 1, "padding_mode": "edge", "layout": "NHWC"}),
    ("conv2d", "c8", (1, 1, 1200, 900), (1, 1, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ("conv1d", "f8", (1, 1, 10**6), (1, 1, 31), {"padding": 15, "padding_mode": "wrap"}),
    ("conv3d", "f4", (1, 1, 120, 120, 120), (1, 1, 3, 3, 3), {"padding": 1, "padding_mode": "symmetric"}),
)


@pytest.mark.parametrize("gradient", ["", "_grad_input", "_grad_weight"])
@pytest.mark.parametrize(("name", "dtype", "x_shape", "w_shape", "options"), LARGE)
def test_large_arrays_are_not_copied(
    name: str, dtype: str, x_shape: Any, w_shape: Any, options: dict[str, Any], gradient: str
) -> None:
    x, w = np.ones(x_shape, dtype), np.ones(w_shape, dtype)
    if gradient == "_grad_input":
        options = {key: value for key, value in options.items() if key != "pad_value"}
    call = getattr(convlib, name + gradient)
    # The result has the shape of x.
    arrays: Any = {"": (x, w), "_grad_input": (x, w, x_shape), "_grad_weight": (x, x, w_shape)}[gradient]
    shapes = [a if isinstance(a, tuple) else a.shape for a in arrays]
    said = convlib.explain(call.__name__, *shapes, dtype=dtype, **options).workspace_nbytes
    call(*arrays, **options)  # caches fill
    tracemalloc.start()
    y = call(*arrays, **options)
    most = tracemalloc.get_traced_memory()[1] - y.nbytes
    tracemalloc.stop()
    # complex numbers are taken apart, in blocks
    assert most <= said + (96 << 10) < (x.nbytes / 4 if x.dtype.kind == "f" else config.get_max_workspace())


def test_huge_calls_are_explained_at_once() -> None:
    x, w = (1, 64, 10**6, 10**6), (64, 64, 3, 3)
    for options in ({"padding_mode": "reflect"}, {"dtype": "float16"}, {"dtype": "int8"}):
        assert convlib.explain("conv2d", x, w, padding=1, **options).workspace_nbytes <= config.get_max_workspace()
    shapes = (1, 2, 6, 2**53), (1, 64, 2**40, 2**10), (2**45, 3, 5, 5), (2**33, 2, 6, 6, 6)
    for x, w in ((x, (3, x[1], *(3,) * (len(x) - 2))) for x in shapes):
        assert convlib.explain(f"conv{len(x) - 2}d", x, w, padding=1, backend="native").workspace_nbytes >= 0
    said = convlib.explain("conv1d_grad_input", (1, 1, 10**9), (1, 1, 31), (1, 1, 10**9), padding=15, dtype="int16")
    assert said.workspace_nbytes <= config.get_max_workspace()


COLUMNS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("conv2d", ((1, 1, 5000), (1, 1, 9)), {}),
    ("conv2d", ((2, 8, 300), (8, 8, 3)), {"stride": 2, "padding": 1}),
    ("conv2d", ((2, 8, 300), (8, 1, 3)), {"groups": 8, "dilation": 3}),
    ("conv2d_grad_input", ((2, 8, 298), (8, 4, 3), (2, 4, 300)), {}),
    ("conv2d_grad_input", ((2, 8, 150), (8, 4, 3), (2, 4, 300)), {"stride": 2, "padding": 1}),
    ("conv2d_grad_weight", ((2, 8, 298), (2, 4, 300), (8, 4, 3)), {}),
    ("max_pool2d", ((2, 3, 3000), (3,)), {"stride": 1}),
    ("avg_pool2d", ((2, 3, 3000), (2,)), {"stride": 2}),
    ("avg_pool2d_grad_input", ((2, 3, 1500), (2, 3, 3000), (2,)), {"stride": 2}),
    ("max_pool2d", ((2, 3, 300), (9,)), {"stride": 4, "return_indices": True}),
)


def upright(options: dict[str, Any], last: bool) -> dict[str, Any]:
    """Return options for windows on one axis and one element on another, which comes last or before it."""
    found = dict(options)
    for key in {"stride", "padding", "dilation"} & options.keys():
        none = 0 if key == "padding" else 1
        found[key] = (options[key], none) if last else (none, options[key])
    return found


@pytest.mark.parametrize("backend", [None, "native", "cython", "im2col"])
@pytest.mark.parametrize(("name", "shapes", "options"), COLUMNS)
def test_columns_are_served_as_rows(name: str, shapes: Any, options: dict[str, Any], backend: str | None) -> None:
    """An axis of one element is none: the same implementation and scratch, and the same numbers."""
    results, said = [], []
    given = 1 if "pool" in name else 2  # arrays; what follows are shapes or sizes
    for last in (False, True):
        shapes_there = [(*shape, 1) if last else (*shape[:-1], 1, shape[-1]) for shape in shapes]
        found = convlib.explain(name, *shapes_there, backend=backend, **upright(options, last))
        said.append((found.backend, found.algorithm, found.workspace_nbytes))
        arguments = [small(*shape, seed=at) if at < given else shape for at, shape in enumerate(shapes_there)]
        y = getattr(convlib, name)(*arguments, backend=backend, **upright(options, last))
        results.append([a.reshape(-1) for a in (y if isinstance(y, tuple) else (y,))])
    if backend in (None, "native"):
        assert said[0] == said[1]
    for row, column in zip(*results, strict=True):
        np.testing.assert_array_equal(row, column)


def gaps(shape: Any) -> Any:
    """Return a view whose rows and elements lie apart, by gaps of two sizes."""
    return np.zeros((*shape[:2], shape[2] + 3, 2 * shape[3] + 1), "f4")[:, :, : shape[2], : 2 * shape[3] : 2]


@pytest.mark.parametrize(
    "case", ["conv2d to gaps", "conv2d_grad_input from gaps", "conv2d_grad_weight from gaps", "col2im", "col2im int8"]
)
def test_views_with_gaps_are_copied_within_the_bound(case: str) -> None:
    x, w, y = small(1, 4, 400, 300), small(8, 4, 1, 1), gaps((1, 8, 400, 300))
    cols = np.random.default_rng(0).integers(-9, 9, (9, 9 * 12, 58 * 58)).astype("i1" if "int8" in case else "f4")
    if case == "col2im":
        cols = np.repeat(cols, 2, -1)[..., ::2]
    calls: dict[str, Any] = {
        "conv2d to gaps": (convlib.conv2d, (x, w), {"out": y}),
        "conv2d_grad_input from gaps": (convlib.conv2d_grad_input, (y, w, x.shape), {}),
        "conv2d_grad_weight from gaps": (convlib.conv2d_grad_weight, (y, x, w.shape), {}),
    }
    call, arrays, options = calls.get(case, (convlib.col2im, (cols, (60, 60), 3), {}))
    y[...] = small(*y.shape, seed=4)
    naive = {key: value.copy() if key == "out" else value for key, value in options.items()}
    expected = call(*arrays, backend="cython", **naive)
    with config.max_workspace(MIB):
        call(*arrays, backend="im2col", **options)
        tracemalloc.start()
        found = call(*arrays, backend="im2col", **options)
        most = tracemalloc.get_traced_memory()[1] - (0 if "out" in options else found.nbytes)
        tracemalloc.stop()
    assert most <= MIB + (32 << 10)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["conv1d", "conv1d_grad_input", "conv1d_grad_weight"])
def test_long_axes_have_no_tables(name: str) -> None:
    """A place for each element would be twice as large as the input, and kept for the next call."""
    x, w, options = np.ones((1, 1, 900_000), "f4"), np.ones((1, 1, 9), "f4"), {"padding": 4, "padding_mode": "reflect"}
    arrays: Any = {"conv1d": (x, w), "conv1d_grad_input": (x, w, x.shape), "conv1d_grad_weight": (x, x, w.shape)}[name]
    shapes = [getattr(a, "shape", a) for a in arrays]
    said = convlib.explain(name, *shapes, **options).workspace_nbytes
    tracemalloc.start()
    result = getattr(convlib, name)(*arrays, **options)
    most = tracemalloc.get_traced_memory()[1] - result.nbytes
    tracemalloc.stop()
    assert most <= said + (320 << 10)
