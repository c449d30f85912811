"""Pools under padding that holds something: what it means, which element an index names, what it costs."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from tools import padded, small

import convlib
from convlib import UnsupportedError
from convlib.errors import BackendError, SpecError

MODES = ("reflect", "symmetric", "edge", "wrap")
BACKENDS = ("naive", "native", "cython", "im2col")
KINDS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("max", ()), ("min", ()), ("avg", ()), ("sum", ()), ("lp", (1,)), ("lp", (math.inf,)),
)  # fmt: skip
OPTIONS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (3, {"padding": 1, "stride": 1}),
    ((2, 4), {"padding": ((1, 0), (2, 3)), "stride": (1, 2)}),
    ((3, 2), {"padding": ((0, 2), (1, 0)), "stride": 2, "dilation": (1, 2)}),
)  # fmt: skip


def filled(mode: str) -> dict[str, Any]:
    return {"padding_mode": mode, **({"pad_value": 3} if mode == "constant" else {})}


def by_hand(mode: str) -> list[float]:
    """Return the sums of 3 neighbours of 1, 2, 4 with what stands beside them."""
    before, after = {"reflect": (2, 2), "symmetric": (1, 4), "edge": (1, 4), "wrap": (4, 1), "constant": (3, 3)}[mode]
    return [before + 1 + 2, 7, 2 + 4 + after]


@pytest.mark.parametrize("backend", [None, *BACKENDS])
@pytest.mark.parametrize("mode", [*MODES, "constant"])
def test_values_by_hand(backend: str | None, mode: str) -> None:
    x = np.array([[[1.0, 2.0, 4.0]]])
    options = {"stride": 1, "padding": 1, "backend": backend, **filled(mode)}
    sums = by_hand(mode)
    assert convlib.sum_pool1d(x, 3, **options).ravel().tolist() == sums
    assert convlib.avg_pool1d(x, 3, **options).ravel().tolist() == [value / 3 for value in sums]
    lowest = {"reflect": [1, 1, 2], "symmetric": [1, 1, 2], "edge": [1, 1, 2], "wrap": [1, 1, 1], "constant": [1, 1, 2]}
    y, places = convlib.min_pool1d(x, 3, return_indices=True, **options)
    assert y.ravel().tolist() == lowest[mode]
    assert places.ravel().tolist() == [0, 0, 0 if mode == "wrap" else 1]


@lru_cache
def pooled(kind: str, norm: Any, mode: str, number: int) -> Any:
    """Return what `naive` makes of an input that holds its padding, once for all backends; see `OPTIONS`."""
    kernel, options = OPTIONS[number]
    rest = {key: value for key, value in options.items() if key != "padding"}
    x = padded(small(2, 3, 15, 17), options["padding"], mode)
    return getattr(convlib, f"{kind}_pool2d")(x, *norm, kernel, backend="naive", **rest)


@pytest.mark.parametrize("number", range(len(OPTIONS)))
@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize(("kind", "norm"), KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_values(way: str, backend: str, kind: str, norm: Any, mode: str, number: int) -> None:
    x, expected = small(2, 3, 15, 17), pooled(kind, norm, mode, number)
    call = getattr(convlib, f"{kind}_pool2d")
    kernel, options = OPTIONS[number]
    for layout in ("NCHW", "NHWC"):
        turned = x if layout == "NCHW" else np.moveaxis(x, 1, -1).copy()
        right = expected if layout == "NCHW" else np.moveaxis(expected, 1, -1)
        for out in (None, np.empty(right.shape, "f4")):
            y = call(turned, *norm, kernel, layout=layout, backend=backend, out=out, **filled(mode), **options)
            assert out is None or y is out
            np.testing.assert_allclose(y, right, rtol=0 if kind in ("max", "min", "sum") else 1e-6)
    np.testing.assert_allclose(
        call(x[0], *norm, kernel, backend=backend, **filled(mode), **options), expected[0], rtol=1e-6
    )


@pytest.mark.parametrize(("kernel", "options"), OPTIONS)
@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_indices_name_elements(
    way: str, backend: str, kind: str, mode: str, kernel: Any, options: dict[str, Any]
) -> None:
    """Each index leads to the extreme itself; -1 only where the value of the padding is the extreme."""
    x = np.random.default_rng(1).permutation(2 * 15 * 17).reshape(1, 2, 15, 17).astype("i4") - 250
    options = {**options, **filled(mode), "return_indices": True}
    y, places = getattr(convlib, f"{kind}_pool2d")(x, kernel, backend=backend, **options)
    flat = np.concatenate([x.reshape(1, 2, -1), np.full((1, 2, 1), 3)], -1)  # whose last element stands for -1
    np.testing.assert_array_equal(np.take_along_axis(flat, places.reshape(1, 2, -1), -1).reshape(y.shape), y)
    assert (places == -1).any() == (mode == "constant")


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge"])
def test_padding_that_changes_no_extreme_is_left_out(mode: str) -> None:
    """Of all small windows: where it is left out, extremes and their places are those of the padded input."""
    left_out, kept, rng = 0, 0, np.random.default_rng(0)
    for n, k, stride, lo, hi, ceil in itertools.product((1, 2, 5), (1, 2, 3, 5), (1, 3), (0, 1, 2), (0, 1, 2), (0, 1)):
        options = {"nd": 1, "stride": stride, "padding": ((lo, hi),), "ceil_mode": bool(ceil), "padding_mode": mode}
        if max(lo, hi) >= k or n + lo + hi < k or (mode == "reflect" and max(lo, hi) >= n > 1):
            continue  # no such windows
        spec = convlib.PoolSpec.make("max", (1, 3, n), k, **options)
        left_out += spec.with_places(False).padding_mode == "constant"
        kept += spec.with_places(False).padding_mode != "constant"
        x = rng.integers(0, 3, (1, 3, n)).astype("f4")
        pads, own = ((0, 0), (0, 0), (lo, hi)), np.arange(3 * n).reshape(x.shape)
        wide, origins = (np.pad(a, pads, mode=mode) for a in (x, own))
        windows = [slice(o * stride, o * stride + k) for o in range(spec.out_size[0])]
        del options["nd"]
        y, places = convlib.max_pool1d(x, k, return_indices=True, **options)
        np.testing.assert_array_equal(y, np.stack([wide[..., w].max(-1) for w in windows], -1))
        np.testing.assert_array_equal(convlib.max_pool1d(x, k, **options), y)
        first = [np.take_along_axis(origins[..., w], wide[..., w].argmax(-1)[..., None], -1)[..., 0] for w in windows]
        np.testing.assert_array_equal(places, np.stack(first, -1) % n)
    assert left_out >= 100
    assert kept > 20 or mode == "edge"


@pytest.mark.parametrize(("kernel", "options"), OPTIONS)
@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["f8", "i4"])
def test_gradients_are_adjoints(backend: str, mode: str, kernel: Any, options: dict[str, Any], dtype: str) -> None:
    x, options = small(2, 3, 15, 17).astype(dtype), {**options, **filled(mode), "backend": backend}
    zero = convlib.sum_pool2d(0 * x, kernel, **options)  # what the padding adds
    y = convlib.sum_pool2d(x, kernel, **options) - zero
    grad_y = small(*y.shape, seed=3).astype(dtype)
    grad_x = convlib.sum_pool2d_grad_input(grad_y, x.shape, kernel, **options)
    assert (grad_x * x).sum() == (y * grad_y).sum()
    averaged = convlib.avg_pool2d_grad_input(grad_y, x.shape, kernel, **options)
    np.testing.assert_allclose(averaged * np.prod(np.broadcast_to(kernel, 2)), grad_x, atol=1e-12)


@pytest.mark.parametrize("mode", [*MODES, "constant"])
@pytest.mark.parametrize("norm", [1, 3, math.inf])
def test_gradients_by_differences(mode: str, norm: float) -> None:
    x = np.random.default_rng(5).permutation(np.arange(1.0, 31)).reshape(1, 1, 5, 6)
    options = {"stride": 2, "padding": 1, **filled(mode)}
    y = convlib.lp_pool2d(x, norm, 3, **options)
    grad_y = np.random.default_rng(6).normal(size=y.shape)
    found = convlib.lp_pool2d_grad_input(grad_y, x, y, norm, 3, **options)
    _, places = convlib.max_pool2d(x, 3, return_indices=True, **options)
    largest = convlib.max_pool2d_grad_input(grad_y, places, x.shape)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-4
        for call, args, grad in ((convlib.lp_pool2d, (norm, 3), found), (convlib.max_pool2d, (3,), largest)):
            above, below = (call(x + sign * step, *args, **options) for sign in (1, -1))
            np.testing.assert_allclose(((above - below) * grad_y).sum() / 2e-4, grad[at], atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ceil_mode_counts_the_padding_and_nothing_behind_it(backend: str) -> None:
    x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    options: dict[str, Any] = {"stride": 3, "padding": 1, "ceil_mode": True, "padding_mode": "edge", "backend": backend}
    # over 1 1 2 3 4 4 lie the windows 1 1 2 3 and 3 4 4, whose last tap is behind the padding
    assert convlib.avg_pool1d(x, 4, **options).ravel().tolist() == [7 / 4, 11 / 3]
    assert convlib.max_pool1d(x, 4, **options).ravel().tolist() == [3, 4]


def test_zero_takes_part_in_extremes_alone() -> None:
    x = np.array([[[-5.0, -7.0]]])
    options: dict[str, Any] = {"stride": 1, "padding": 1}
    assert convlib.max_pool1d(x, 3, **options).ravel().tolist() == [-5, -5]
    assert convlib.max_pool1d(x, 3, pad_value=0, **options).ravel().tolist() == [0, 0]
    assert convlib.sum_pool1d(x, 3, pad_value=0, **options).ravel().tolist() == [-12, -12]
    assert convlib.avg_pool1d(x, 3, pad_value=1, divisor_override=1, **options).ravel().tolist() == [-11, -11]


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_types(backend: str | None) -> None:
    for dtype, value in (("int8", -128), ("uint8", 255), ("bool", 1), ("float16", 2), ("int64", 7)):
        x = np.zeros((1, 1, 4), dtype)
        y = convlib.max_pool1d(x, 2, stride=1, padding=1, pad_value=value, backend=backend)
        assert y.dtype == dtype
        assert y.ravel().tolist() == [max(value, 0), 0, 0, 0, max(value, 0)]
    with pytest.raises(SpecError, match=r"pad_value=128\.0 does not fit int8; use -128 to 127"):
        convlib.max_pool1d(np.zeros((1, 1, 4), "i1"), 2, padding=1, pad_value=128, backend=backend)
    for value in (2**63, -(2**53), 2**53):
        with nullcontext() if value < 2**63 else pytest.raises(SpecError, match=f"use {-(2**53)} to {2**53}"):
            convlib.max_pool1d(np.zeros((1, 1, 4), "i8"), 2, padding=1, pad_value=value, backend=backend)
    with pytest.raises(TypeError, match=r"pad_value=0.5 is not an integer"):
        convlib.sum_pool1d(np.zeros((1, 1, 4), "i1"), 2, padding=1, pad_value=0.5, backend=backend)
    with pytest.raises(SpecError, match="overflow"):
        convlib.sum_pool1d(np.zeros((1, 1, 4), "i1"), 5000, padding=4999, pad_value=2**53, backend=backend)
    half = convlib.avg_pool1d(np.zeros((1, 1, 4), "i1"), 2, padding=1, pad_value=0.5, backend=backend)
    assert half.ravel().tolist() == [0.25, 0, 0.25]


def test_refusals() -> None:
    x = np.ones((1, 1, 4, 4), "f4")
    for options, text in (
        ({"padding_mode": "mirror"}, "padding_mode='mirror'"),
        ({"padding_mode": "edge", "pad_value": 1}, "pad_value=1 has no effect with padding_mode='edge'"),
        ({"padding_mode": "edge", "count_include_pad": False}, "padding_mode='edge' has no effect"),
        ({"pad_value": 2, "count_include_pad": False}, "pad_value=2 has no effect"),
    ):
        with pytest.raises(SpecError, match=text):
            convlib.avg_pool2d(x, 2, padding=1, **options)
        with pytest.raises(SpecError, match=text):
            convlib.avg_pool2d_grad_input(x[..., :3, :3], x.shape, 2, padding=1, **options)
    with pytest.raises(SpecError, match="cannot extend an empty axis"):
        convlib.max_pool2d(x[:, :, :0], 2, padding=1, stride=1, padding_mode="edge")


@pytest.mark.parametrize(("kind", "indices"), [("max", False), ("max", True), ("avg", False)])
@pytest.mark.parametrize("mode", ["reflect", "constant"])
@pytest.mark.parametrize("shape", [(1, 2, 1200, 1300), (1, 1200, 1300, 2)])
def test_large_images_are_not_copied(kind: str, indices: bool, mode: str, shape: Any) -> None:
    x, options = np.ones(shape, "f4"), {"stride": 1, "padding": 1, **filled(mode)}
    if shape[-1] == 2:
        options["layout"] = "NHWC"
    if indices:
        options["return_indices"] = True
    call = getattr(convlib, f"{kind}_pool2d")
    said = convlib.explain(f"{kind}_pool2d", shape, 3, **options).workspace_nbytes
    call(x, 3, **options)  # caches fill
    tracemalloc.start()
    y = call(x, 3, **options)
    most = tracemalloc.get_traced_memory()[1] - sum(a.nbytes for a in (y if indices else (y,)))
    tracemalloc.stop()
    assert most <= said + (64 << 10) < x.nbytes / 4


def test_dask_refuses_with_the_way() -> None:
    dask_array = pytest.importorskip("dask.array", reason="Dask is an extra")
    x = dask_array.ones((1, 1, 8, 8), chunks=4)
    with pytest.raises((UnsupportedError, BackendError), match=r"dask\.array\.pad"):
        convlib.max_pool2d(x, 3, padding=1, padding_mode="wrap")
    x = dask_array.from_array(small(1, 1, 8, 8), chunks=4)  # whose edge repeats what windows hold anyway
    served, expected = (convlib.max_pool2d(a, 3, padding=1, padding_mode="edge") for a in (x, x.compute()))
    np.testing.assert_array_equal(served.compute(), expected)


@pytest.mark.parametrize("name", ["MaxPool2d", "MinPool2d", "AvgPool2d", "SumPool2d"])
@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_layers(name: str, mode: str) -> None:
    x, options = small(1, 2, 6, 7), {"stride": 2, "padding": 1, **filled(mode)}
    layer = getattr(convlib.layers, name)(3, **options)
    call = getattr(convlib, f"{name[:3].lower()}_pool2d")
    y = layer.forward(x)
    np.testing.assert_array_equal(y, call(x, 3, **options))
    grad_x = layer.backward(np.ones_like(y))
    if name in ("AvgPool2d", "SumPool2d"):
        gradient = getattr(convlib, f"{call.__name__}_grad_input")
        np.testing.assert_array_equal(grad_x, gradient(np.ones_like(y), x.shape, 3, **options))
    else:
        assert 0 < grad_x.sum() <= y.size


@pytest.mark.parametrize("kind", ["max", "min"])
def test_places_of_channels_that_come_last_take_the_short_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(-9, 9, (2, 9, 11, 5)).astype("f4")
    options: dict[str, Any] = {"padding": 1, "padding_mode": "wrap", "layout": "NHWC", "return_indices": True}
    call = getattr(convlib, f"{kind}_pool2d")
    expected = call(x, 3, backend="naive", **options)

    def long_way(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the pool takes the long way")

    monkeypatch.setattr(convlib.storage, "pool", long_way)
    for found, right in zip(call(x, 3, backend="native", **options), expected, strict=True):
        np.testing.assert_array_equal(found, right)
