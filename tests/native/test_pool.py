"""Every implementation of a pooling in the engine's list, by name, against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_pool as pooling

from .common import WORKSPACE, laid, lanes, pairs
from .pools import FLOATS, TYPES, Pooling, check_pool, poolings, shared

WAYS: tuple[dict[str, Any], ...] = (
    {"threads": 1}, {"last": True}, {"indices": True}, {"last": True, "indices": True, "threads": 3},
)  # fmt: skip
ODD: tuple[dict[str, Any], ...] = (
    {"framed": True}, {"framed": True, "indices": True}, {"framed": True, "last": True, "threads": 5},
    {"workspace": 256 << 10},
)  # fmt: skip

#: Whatever serves fewer problems of the lists is not tested: give it shapes of its own in `pools`.
ENOUGH = 20


def has_type(name: str, dtype: str) -> bool:
    """Return whether an implementation has kernels for a type, in its own words."""
    a = np.zeros(1, dtype)
    p = pooling.PoolProblem(*shared(1, 1, (1, 1), (1, 1)))
    said = p.verdicts("pool", ord(a.dtype.char), a.itemsize, False, 1, WORKSPACE)
    return next(refusal for row, _, refusal, *_ in said if row == name) != "has no kernel for this type"


def kernels() -> list[tuple[str, str, str]]:
    """Return (instruction set, implementation, type) for all kernels that there are.

    Those of a type follow each other: they share answers, of which only so many are kept.
    """
    found = []
    for dtype, (isa, name) in itertools.product(TYPES, pairs("pool")):
        with under_isa(isa):
            if has_type(name, dtype):
                found.append((isa, name, dtype))
    return found


KERNELS = kernels()


def check_all(isa: str, name: str, dtype: str, whole: bool) -> int:
    """Run an implementation on all problems in all ways, of which it must serve enough; return how many."""
    served: list[Pooling] = []
    runs, odd, plainly = 0, itertools.cycle(ODD), False
    with under_isa(isa):
        vector = lanes(dtype)
        for problem in poolings(dtype, whole):
            places = problem.kind in ("max", "min")
            ways = [way for way in (*WAYS, next(odd)) if places or not way.get("indices")]
            done = [(way, check_pool(problem, name, dtype, **way)) for way in ways]
            ran = sum(count for _, count in done)
            served, runs = served + [problem] * bool(ran), runs + ran
            plainly |= any(count and not way.get("indices") for way, count in done)
    assert len(served) >= ENOUGH, f"{name} served {len(served)} problems"
    kinds = {problem.kind for problem in served}
    wanted = {problem.kind for problem in poolings(dtype)} if plainly else {"max", "min"}  # which have places
    assert kinds == wanted, f"{name} served {kinds} only"
    across = ([p.out[-1] for p in served], [p.size[-1] for p in served], [p.c for p in served])
    wanted = {vector - 1, 0, 1 % vector}
    assert any(wanted <= {count % vector for count in counts} for counts in across) or vector > 16, name
    return runs


@pytest.mark.parametrize(("isa", "name", "dtype"), KERNELS)
def test_windows(isa: str, name: str, dtype: str, record_property: Callable[[str, int], None]) -> None:
    record_property("runs", check_all(isa, name, dtype, False))


@pytest.mark.slow
@pytest.mark.parametrize(("isa", "name", "dtype"), KERNELS)
def test_all_windows(isa: str, name: str, dtype: str) -> None:
    assert check_all(isa, name, dtype, True) > 4 * ENOUGH


def test_every_implementation_has_kernels_under_every_instruction_set_that_it_may() -> None:
    assert {(isa, name) for isa, name, dtype in KERNELS if dtype == "float32"} == set(pairs("pool"))
    assert {name for _, name, _ in KERNELS} == {name for name, *_ in native.implementations("pool")}


@pytest.mark.parametrize(("isa", "name"), pairs("pool"))
def test_the_bits_depend_on_neither_threads_nor_scratch(isa: str, name: str) -> None:
    """Rounded sums, and zeros of both signs."""
    compared = 0
    with under_isa(isa):
        last, places = name == "pool_channels", name.endswith("_places")
        for problem in poolings("float32")[::3]:
            x = np.random.default_rng(0).standard_normal((problem.n, problem.c, *problem.size)).astype("f4")
            x[..., ::3] *= -0.0
            p, results = pooling.PoolProblem(*problem, last), []
            for threads, workspace in ((1, WORKSPACE), (2, WORKSPACE), (7, WORKSPACE), (2, 1 << 20)):
                if p.chosen("pool", ord("f"), 4, name, places, False, threads, workspace) is not None:
                    y = laid(np.empty((problem.n, problem.c, *problem.out), "f4"), last)
                    found = laid(np.empty(y.shape, np.int64), last) if places else None
                    pooling.pool(p, laid(x, last), y, found, name, threads, workspace)
                    results.append(y.tobytes())
            assert len(set(results)) <= 1, f"{name}, {problem}"
            compared += len(results)
    assert compared >= ENOUGH


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
        window: Any = {"stride": 1, "padding": k // 2, "backend": "native"}
        total = convlib.sum_pool2d(x, k, **window)
        average = convlib.avg_pool2d(x, k, divisor_override=divisor, **window)
        expected = total / np.array(divisor or k * k, dtype)
        same = (average == expected) & (np.signbit(average) == np.signbit(expected))
        assert (same | (np.isnan(average) & np.isnan(expected))).all(), f"window {k}, divisor {divisor}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["max", "min", "avg"])
def test_pairs_of_columns_end_where_a_row_does(isa: str, kind: str, dtype: str) -> None:
    """The last vector of outputs computes some of them again; a NaN spoils its window alone, wherever it lies."""
    with under_isa(isa):
        vector = lanes(dtype)
    rng = np.random.default_rng(7)
    pool = getattr(convlib, f"{kind}_pool2d")
    backend = "native" if isa == "scalar" else "native:pool_windows"
    for outs in sorted({1, vector - 1, vector, vector + 1, 2 * vector - 1, 2 * vector, 3 * vector + 1} - {0}):
        x = rng.integers(-9, 10, (3, 2, 6, 2 * outs + 1)).astype(dtype)
        x[1, 0, 2, 2 * outs - 1] = x[1, 1, 5, 0] = x[2, 0, 1, rng.integers(2 * outs)] = np.nan
        for width in (2 * outs, 2 * outs + 1):
            for given in ({"padding": ((0, 0), (0, 0))}, {"padding": ((1, 1), (0, 0))}):
                y = pool(x[..., :width], 2, backend=backend, **given)
                np.testing.assert_array_equal(y, pool(x[..., :width], 2, backend="cython", **given), f"{outs}, {given}")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("height", "width"), [(2, 8), (1, 17), (3, 7), (5, 9), (16, 16), (1, 257)])
def test_channels_of_few_windows_are_cut_for_threads(isa: str, height: int, width: int, dtype: str) -> None:
    """Around the taps that go over the channels together, with a NaN, and channels that fill no vector."""
    rng = np.random.default_rng(height)
    wide = (192 << 10) // (height * width * np.dtype(dtype).itemsize)  # from then on
    for channels in (1, 31, 64, 129, wide - 1, wide + 1, 13 * wide + 67):
        x = rng.integers(-9, 10, (1, height + 1, width + 2, channels)).astype(dtype)
        x[0, height - 1, width - 1, -1] = np.nan
        windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), (1, 2))[:, :, ::2]
        given: dict[str, Any] = {"stride": (1, 2), "layout": "NHWC", "backend": "native"}
        for threads in (1, 3):
            with convlib.num_threads(threads):
                total = convlib.sum_pool2d(x, (height, width), **given)
                most = convlib.max_pool2d(x, (height, width), **given)
                average = convlib.avg_pool2d(x, (height, width), **given)
                found, places = convlib.max_pool2d(x, (height, width), return_indices=True, **given)
            np.testing.assert_array_equal(total, windows.sum((-2, -1)))
            np.testing.assert_array_equal(average, windows.sum((-2, -1)) / np.array(height * width, dtype))
            np.testing.assert_array_equal(most, windows.max((-2, -1)))
            np.testing.assert_array_equal(found, most)
            flat = x.reshape(-1, channels)
            at = np.take_along_axis(flat, places.reshape(-1, channels), 0).reshape(found.shape)
            np.testing.assert_array_equal(at, found)


def test_integer_sums_are_exact_or_refused(isa: str) -> None:
    x = np.full((1, 2, 9, 9), 2**60, "i8")
    for _ in range(2):
        with pytest.raises(convlib.SpecError, match="integer overflow"):
            convlib.sum_pool2d(x, 3, stride=1, backend="native")
    assert (convlib.sum_pool2d(x // 4 + 1, 3, stride=1, backend="native") == 9 * (2**58 + 1)).all()
