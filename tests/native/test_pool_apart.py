"""Large windows that overlap are pooled along one axis after the other: the same values and places, in parts, too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import convlib
from convlib import dtypes
from convlib.backends import native_apart
from convlib.backends.base.arrays import shifted
from convlib.backends.native_calls import calls_of
from convlib.spec import PoolSpec

MIB = 1 << 20
#: Shape, window and options; each window spans more than 128 KiB of float32.
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((1, 2, 210, 215), (190, 190), {"stride": 1}),
    "padding": ((1, 1, 200, 205), (190, 195), {"stride": 1, "padding": (20, 5)}),
    "stride": ((2, 1, 260, 301), (185, 190), {"stride": (5, 7), "padding": (9, 0)}),
    "dilation": ((1, 1, 250, 260), (41, 45), {"stride": 1, "dilation": (5, 4), "padding": 10}),
    "ceil": ((1, 1, 300, 300), (190, 190), {"stride": 13, "padding": 40, "ceil_mode": True}),
    "unbatched": ((2, 210, 215), (190, 190), {"stride": 2}),
    "reflect": ((1, 1, 210, 215), (190, 190), {"stride": 3, "padding": 4, "padding_mode": "reflect"}),
    "pad_value": ((1, 1, 210, 215), (190, 190), {"stride": 3, "padding": 4, "pad_value": 3}),
    "slices": ((1, 1, 12, 70, 75), (6, 60, 65), {"stride": 1, "padding": (1, 2, 0)}),
    "one slice": ((1, 1, 3, 210, 215), (1, 190, 190), {"stride": 1}),
}


def made(shape: tuple[int, ...], dtype: str) -> Any:
    return np.random.default_rng(0).integers(-20, 21, shape).astype(dtype)


def same(kind: str, x: Any, kernel: tuple[int, ...], **options: Any) -> None:
    call = getattr(convlib, f"{kind}_pool{len(kernel)}d")
    found, expected = (call(x, kernel, **options, backend=backend) for backend in ("native", "cython"))
    for a, b in zip(found if isinstance(found, tuple) else (found,), expected if isinstance(expected, tuple) else
                    (expected,), strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("bound", [MIB, 64 * MIB])
@pytest.mark.parametrize("name", CASES)
def test_values_and_places(name: str, bound: int) -> None:
    shape, kernel, options = CASES[name]
    x, nd = made(shape, "f4"), len(kernel)
    wild = x.copy()
    wild.flat[[50, 9000, 21003]] = np.nan, np.nan, np.inf
    wide = np.moveaxis(x, -1 - nd, -1).copy()
    layout = {"layout": {2: "NHWC", 3: "NDHWC"}[nd]}
    with convlib.max_workspace(bound):
        for kind in ("max", "min"):
            for values in (x, wild, x.astype("i2")):
                same(kind, values, kernel, return_indices=True, **options)
                same(kind, values, kernel, **options)
            same(kind, wide, kernel, return_indices=True, **options, **layout)
        for values in (x, x.astype("f8"), x.astype("i4")):
            same("sum", values, kernel, **options)
            same("avg", values, kernel, **options)
        same("avg", wide, kernel, **options, **layout)
        same("avg", x, kernel, **options, divisor_override=7)
        if name not in ("reflect", "pad_value"):
            same("avg", x, kernel, count_include_pad=False, **options)


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
def test_norms(p: float) -> None:
    x = made((1, 1, 210, 215), "f4")
    norms = [convlib.lp_pool2d(x, p, 190, stride=2, backend=backend) for backend in ("native", "cython")]
    np.testing.assert_allclose(*norms, rtol=1e-6)


def test_gradients_of_averages() -> None:
    grad_y, shape = made((1, 2, 21, 26), "f4"), (1, 2, 210, 215)
    for dtype in ("f4", "i4"):
        found, expected = (
            convlib.sum_pool2d_grad_input(grad_y.astype(dtype), shape, 190, stride=1, backend=backend)
            for backend in ("native", "cython")
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
@pytest.mark.parametrize("places", [False, True])
def test_huge_windows_take_the_short_way(dtype: str, places: bool) -> None:
    """A window of 4000 x 4000 takes thousands of seconds in one piece."""
    spec = PoolSpec.make("max", (1, 1, 5000, 5000), 4000, nd=2, stride=1).with_places(places)
    passes = calls_of("pool", spec, np.dtype(dtype))
    assert len(passes) == 2
    assert sum(call.plan(None, True).nanoseconds for call in passes) < 2e9
    said = convlib.explain("max_pool2d", spec.x_shape, 4000, stride=1, return_indices=places, dtype=dtype)
    assert said.backend == "native"
    assert "pool_double" in said.algorithm.split("+")


def test_windows_that_share_nothing_stay_in_one_piece() -> None:
    for stride, large in ((1000, False), (1, True)):
        spec = PoolSpec.make("max", (1, 1, 3000, 3000), 1000, nd=2, stride=stride)
        assert native_apart.pays(spec, dtypes.FLOAT32.itemsize) is large


def test_places_in_a_part_are_numbered_as_in_the_whole() -> None:
    """Of all parts of small planes of one to three axes."""
    for whole in ((5,), (3, 4), (2, 3, 3)):
        numbers = np.arange(math.prod(whole)).reshape(whole)
        for starts in np.ndindex(*whole):
            for size in np.ndindex(*(n - start for n, start in zip(whole, starts, strict=True))):
                part = numbers[tuple(slice(a, a + n + 1) for a, n in zip(starts, size, strict=True))]
                places = np.arange(-1, part.size)
                found = shifted(places, part.shape, starts, whole)
                np.testing.assert_array_equal(found, [-1, *part.flat])
                np.testing.assert_array_equal(places, np.arange(-1, part.size))
