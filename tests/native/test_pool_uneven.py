"""Adaptive windows, and the window that is the plane: narrow and wide ones, however their elements lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib

from .common import pairs

#: What lies where (1, 2, rows, columns) are seen.
ORDERS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda a: a,
    "columns": lambda a: a.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2),
    "channels": lambda a: np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1),
    "reversed": lambda a: a[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "gaps": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
}
SIZES = ((1, 1), (3, 5), (7, 70), (70, 7), (1, 300), (9, 131))
ISAS = [isa for isa, name in pairs("pool") if name == "pool_uneven"]


def planes(rows: int, columns: int, dtype: str, seed: int) -> Any:
    """Return numbers of which many are equal, with zeros of both signs and NaN in one of two planes."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-4 if dtype[0] != "u" else 0, 5, (1, 2, rows, columns)).astype(dtype)
    if dtype[0] == "f":
        a[rng.random(a.shape) < 0.2] *= -1
        if seed % 2:
            a[0, 1][rng.random((rows, columns)) < 0.1] = np.nan
    if not seed % 3:  # nothing but the lowest number
        a[0, 0] = -np.inf if dtype[0] == "f" else np.iinfo(dtype).min
    return a


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("isa", ISAS)
def test_values_and_places(isa: str, dtype: str, order: str) -> None:
    with under_isa(isa):
        for seed, (rows, columns) in enumerate(SIZES):
            a = planes(rows, columns, dtype, seed)
            x = ORDERS[order](a)
            more: Any = {"backend": "native:pool_uneven"}
            for out in ((1, 1), (2, 3), (4, 1)):
                if out != (1, 1) and not (rows % out[0] or columns % out[1]):
                    continue  # windows of one size, which are not adaptive
                expected, places = convlib.adaptive_max_pool2d(a, out, return_indices=True, backend="naive")
                y, at = convlib.adaptive_max_pool2d(x, out, return_indices=True, **more)
                assert y.tobytes() == expected.tobytes(), (rows, columns, out)
                np.testing.assert_array_equal(at, places)
                np.testing.assert_array_equal(convlib.adaptive_max_pool2d(x, out, **more), expected)
            least, places = convlib.min_pool2d(a, (rows, columns), return_indices=True, backend="naive")
            found, at = convlib.min_pool2d(x, (rows, columns), return_indices=True, **more)
            assert found.tobytes() == least.tobytes()
            np.testing.assert_array_equal(at, places)
            if dtype in ("f4", "f8"):
                total = convlib.sum_pool2d(a, (rows, columns), backend="naive")
                np.testing.assert_array_equal(convlib.sum_pool2d(x, (rows, columns), **more), total)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u1", "i4", "i8"])
@pytest.mark.parametrize("isa", ISAS)
def test_windows_of_one_size(isa: str, dtype: str, order: str) -> None:
    """Narrow and wide, apart and overlapping, and over the edge."""
    shapes: Any = (
        ((7, 70), (3, 5), 3, 1), ((70, 7), (2, 3), (5, 1), ((1, 0), (1, 2))), ((3, 300), (2, 130), (1, 131), (0, 40)),
        ((9, 131), (4, 2), 2, ((3, 2), (1, 0))),
    )  # fmt: skip
    for seed, (size, kernel, stride, padding) in enumerate(shapes):
        a = planes(*size, dtype, seed)
        kinds = ("max", "min", "avg", "sum") if dtype[0] == "f" else ("max", "min")
        for kind in kinds:
            pool, options = getattr(convlib, f"{kind}_pool2d"), {"stride": stride, "padding": padding}
            places: Any = {"return_indices": True} if kind in ("max", "min") else {}
            expected = pool(a, kernel, backend="naive", **options, **places)
            with under_isa(isa):
                found = pool(ORDERS[order](a), kernel, backend="native:pool_uneven", **options, **places)
                alone = pool(ORDERS[order](a), kernel, backend="native:pool_uneven", **options)
            pairs_of = zip(expected, found, strict=True) if places else ((expected, found),)
            for one, other in pairs_of:
                np.testing.assert_array_equal(other, one)
            np.testing.assert_array_equal(alone, found[0] if places else found)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i8"])
def test_scalar_takes_a_plane_in_one_pass(dtype: str) -> None:
    """By shifts, in scratch, it took 3 to 70 times as long as loops."""
    with under_isa("scalar"):
        for places in (False, True):
            said = convlib.explain("max_pool2d", (1, 4, 90, 110), (90, 110), dtype=dtype, return_indices=places)
            assert (said.algorithm, said.workspace_nbytes < 4096) == ("pool_uneven", True)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_long_sums_keep_an_infinity(isa: str, layout: str) -> None:
    """Whatever implementation carries what a partial sum lost."""
    shape = (1, 2, 300, 310) if layout == "NCHW" else (1, 300, 310, 2)
    for value in (np.inf, -np.inf, 3e38):
        x = np.ones(shape, "f4")
        plane = np.moveaxis(x, -1, 1) if layout == "NHWC" else x
        plane[0, 0, 4, 5:8] = value
        with under_isa(isa), np.errstate(over="ignore"):
            for out, kernel in ((1, (300, 310)), ((2, 3), (150, 103))):
                y = convlib.adaptive_avg_pool2d(x, out, layout=layout, backend="native")
                z = convlib.sum_pool2d(x, kernel, stride=7, layout=layout, backend="native")
                for found in (y, z):
                    assert not np.isnan(found).any()
                    assert np.isinf(found).any()
