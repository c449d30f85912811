"""Every implementation of a convolution in the engine's list, by name, at the edges of its tiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_conv as conv

from .common import (
    ISAS,
    WORKSPACE,
    Problem,
    Way,
    among_others,
    check,
    family_of,
    kernels,
    lacking,
    lanes,
    pairs,
    posed,
    reference,
    run,
    sizes,
    target,
)
from .shapes import convolutions

#: A problem is run in each of these; so many of a plain one's arrays have gaps, or weights in another order.
WAYS = (
    Way(threads=1), Way(last=True, packed=True, bias=False), Way(packed=True, threads=5), Way(last=True, threads=3),
)  # fmt: skip
ODD = (
    Way(framed=True), Way(turned=1, threads=3), Way(last=True, framed=True, bias=False), Way(workspace=100 << 10),
    Way(last=True, turned=1, workspace=1 << 20), Way(turned=2, threads=3),
)  # fmt: skip

#: Whatever serves fewer problems of the lists is not tested: give its family shapes of its own in `shapes.MORE`.
ENOUGH = 20


def at_the_edges(served: list[Problem], vector: int) -> bool:
    """Return whether one of the sizes that may be lanes was less than, as much as, and more than whole vectors."""
    across = ([p.ocg for p in served], [p.groups for p in served], [p.out[-1] for p in served])
    wanted = {vector - 1, 0, 1 % vector}
    return any(wanted <= {count % vector for count in counts} for counts in across)


def check_all(isa: str, name: str, dtype: str, whole: bool) -> int:
    """Run an implementation on all problems in all ways; it must serve enough; return how many runs there were."""
    served, runs, odd = [], 0, itertools.cycle(ODD)
    with under_isa(isa):
        vector = lanes(dtype)
        for problem in convolutions(family_of("conv", name), dtype, whole):
            ran = sum(check(problem, name, dtype, way) for way in (*WAYS, next(odd)))
            served, runs = served + [problem] * bool(ran), runs + ran
    assert len(served) >= ENOUGH, f"{name} served {len(served)} problems"
    assert at_the_edges(served, vector), f"{name}: {len(served)} problems, none of which stand about a vector"
    return runs


KERNELS = kernels("conv", "float32", "float64")


@pytest.mark.parametrize(("isa", "name", "dtype"), KERNELS)
def test_plain_sums(isa: str, name: str, dtype: str, record_property: Callable[[str, int], None]) -> None:
    record_property("runs", check_all(isa, name, dtype, False))


@pytest.mark.slow
@pytest.mark.parametrize(("isa", "name", "dtype"), KERNELS)
def test_plain_sums_of_all_windows(isa: str, name: str, dtype: str) -> None:
    assert check_all(isa, name, dtype, True) >= ENOUGH


BROADCAST = [kernel for kernel in KERNELS if kernel[1] == "gemm_broadcast"]


@pytest.mark.parametrize(("isa", "name", "dtype"), BROADCAST)
def test_tiles_whose_taps_lie_in_padding(isa: str, name: str, dtype: str) -> None:
    """Taps that are padding for all pixels of a tile are left out, along each axis; rows are short and long."""
    ways = Way(threads=1), Way(packed=True, threads=3), Way(last=True)
    with under_isa(isa):
        for nd, lo, dil, stride, width in itertools.product((2, 3), (1, 5), (1, 3), (1, 2), (1, 17)):
            problem = sizes(2, 1, 5, 9, (*(6,) * (nd - 1), width), (3,) * (nd - 1) + (1,), stride, dil, lo)
            assert all([check(problem, name, dtype, way) for way in ways]), problem
        for kernel, dil, stride in itertools.product(((1, 3), (3, 3), (2, 5)), (2, 7, 19, 40), (1, 3)):
            for lo, hi in ((dil, dil), (0, 2 * dil), ((kernel[1] - 1) * dil, 0), (3 * dil, 4)):
                problem = sizes(1, 2, 3, 33, (11, 19), kernel, stride, dil, lo, hi)
                if min(problem.out) > 0:
                    assert all([check(problem, name, dtype, way) for way in ways]), problem


@pytest.mark.parametrize(("isa", "name", "dtype"), BROADCAST)
def test_copies_leave_out_what_lies_between_taps(isa: str, name: str, dtype: str) -> None:
    """Strips of few outputs, whose taps lie further apart than these reach, along one axis or several."""
    with under_isa(isa):
        for size, kernel, dil in (((23, 26), (3, 3), 11), ((9, 60), (2, 3), 8), ((6, 7, 9), (3, 2, 3), 3)):
            problem = sizes(2, 1, 40, 9, size, kernel, dil=dil, lo=dil)
            whole = math.prod(s + 2 * dil for s in size) * 40 * np.dtype(dtype).itemsize
            ran = [check(problem, name, dtype, Way(workspace=whole // cut, threads=1)) for cut in (1, 2, 3, 5, 8)]
            assert sum(ran) >= 3, problem
            assert check(problem, name, dtype, Way(packed=True, threads=4))
        deep = conv.ConvProblem(*sizes(1, 1, 2048, 256, (33, 33), (3, 3), dil=18, lo=18))
        plan = deep.chosen("conv", ord(np.dtype(dtype).char), name, False, False, 1, WORKSPACE)
        assert plan.scratch < 25 * 25 * 2048 * np.dtype(dtype).itemsize  # a window with its gaps has 37 * 37 places


@pytest.mark.parametrize(("isa", "name", "dtype"), BROADCAST)
def test_dilations_as_large_as_the_map_cost_less(isa: str, name: str, dtype: str) -> None:
    """Neither what lies between taps is copied, nor what is padding multiplied, and the prediction heeds it."""
    with under_isa(isa):
        costs = []
        for rate in (6, 12, 18, 24, 36):
            problem = conv.ConvProblem(*sizes(1, 1, 256, 256, (33, 33), (3, 3), dil=rate, lo=rate))
            plan = problem.chosen("conv", ord(np.dtype(dtype).char), name, False, False, 1, WORKSPACE)
            costs.append(plan.nanoseconds)
        assert costs == sorted(costs, reverse=True)
        assert costs[-1] < costs[0] / 4


@pytest.mark.parametrize(("isa", "name", "dtype"), BROADCAST)
@pytest.mark.parametrize("dilation", [1, 5])
def test_padding_meets_weights_that_are_not_finite(isa: str, name: str, dtype: str, dilation: int) -> None:
    """Zero times infinity is no number, in whichever tile the padding lies."""
    problem = sizes(2, 1, 24, 40, (9, 9), (3, 3), dil=dilation, lo=2 * dilation)
    x, w, *_ = posed(problem)
    w = w.copy()
    w[3, 5, 0, 1], w[39, 0, 2, 2] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        expected = reference(problem, x, w, None)
    with under_isa(isa):
        for threads, packed in itertools.product((1, 2, 5), (False, True)):
            _, y = target(problem, dtype)
            arrays = (a.astype(dtype) for a in (x, w))
            assert run(problem, name, *arrays, None, y, Way(threads=threads, packed=packed)) is not None
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_depthwise_windows_with_dilation(isa: str, kernel: int, dtype: str) -> None:
    """Rows by phases, more of these than rows, and planes that share a vector; taps beyond the plane."""
    with under_isa(isa):
        here = {name for name, *_ in native.implementations("conv")} - lacking("conv")
        names = ("depthwise_rows", "direct") if kernel == 3 and "depthwise_rows" in here else ("direct",)
        for size, dil in itertools.product(((9, 3), (7, 16), (20, 33), (40, 21)), (2, 3, 5, 11)):
            for lo in (0, dil, (kernel - 1) * dil // 2, kernel * dil):
                problem = sizes(2, 5, 1, 1, size, (kernel, kernel), dil=dil, lo=lo)
                if min(problem.out) > 0:
                    ways = [Way(threads=1), Way(threads=3), Way(framed=True)]
                    ways = ways if problem.out[1] > 1 else ways[:2]  # a frame about one column leaves no rows
                    serve = names if dil < min(size) else ("direct",)
                    assert all([check(problem, name, dtype, way) for name in serve for way in ways]), problem
        many = sizes(1, 700, 1, 1, (20, 33), (kernel, kernel), dil=2, lo=kernel - 1)  # far: they are asked for
        assert all([check(many, name, dtype, Way(threads=1)) for name in names])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (4, 1), (9, 2), (1, 1)])
@pytest.mark.parametrize("channels", [1, 2])
def test_one_long_row(isa: str, channels: int, kernel: int, dilation: int, dtype: str) -> None:
    """Many vectors at a time: around how many that are, with a row's ends, and no output of a NaN but its own."""
    rng = np.random.default_rng(kernel)
    reach = (kernel - 1) * dilation
    with under_isa(isa):
        vector = lanes(dtype)
    w, bias = rng.integers(-4, 5, (1, channels, kernel)).astype(dtype), rng.integers(-4, 5, 1).astype(dtype)
    for vectors in (5, 6, 7, 8, 9, 10, 12, 13, 18, 24, 25, 40):
        for size in (vectors * vector - 1, vectors * vector, vectors * vector + 1):
            x = rng.integers(-4, 5, (2, channels, size)).astype(dtype)
            x[1, -1, rng.integers(size)] = np.nan
            for padding in (0, reach // 2, reach):
                if size + 2 * padding <= reach:
                    continue
                given = {"padding": padding, "dilation": dilation}
                found = convlib.conv1d(x, w, bias, backend="native:direct", **given)
                np.testing.assert_array_equal(found, convlib.conv1d(x, w, bias, backend="cython", **given))


@pytest.mark.parametrize(("channels", "map_size"), [(160, (50, 51)), (401, (32, 33))])
def test_inputs_that_are_asked_for_ahead(isa: str, channels: int, map_size: tuple[int, int]) -> None:
    """More than a megabyte of x whose channels lie far apart: blocks of pixels and of K, the last ones cut short."""
    problem = sizes(1, 1, channels, 9, map_size, (1, 1))
    x, w, *_ = posed(problem)
    expected = reference(problem, x, w, None)
    with under_isa(isa):
        for threads, packed in itertools.product((1, 3), (False, True)):
            _, y = target(problem, "float32")
            arrays = (a.astype("float32") for a in (x, w))
            assert run(problem, "gemm_panels", *arrays, None, y, Way(threads=threads, packed=packed)) is not None
            np.testing.assert_array_equal(y, expected)


def test_every_implementation_has_kernels_under_every_instruction_set_that_it_may() -> None:
    listed = {name for name, *_ in native.implementations("conv")}
    assert {(isa, name) for isa, name, dtype in KERNELS if dtype == "float32"} == set(pairs("conv"))
    without = listed - {name for _, name, _ in KERNELS}  # those of an instruction set that this processor lacks
    assert not without or "avx512" not in ISAS, without


NHWC: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 11, 19, 70), {"dilation": 2, "padding": 2}),
    ((1, 11, 19, 33), {"dilation": (5, 18), "padding": ((5, 0), (0, 18))}),  # nearly the map
    ((1, 9, 23, 16), {"dilation": (1, 4), "padding": (0, 1)}),
    ((3, 13, 7, 5), {"dilation": (6, 1), "padding": (9, 3)}),
    ((2, 120, 120, 80), {"dilation": 3, "padding": 3}),  # these are read row by row
    ((2, 120, 120, 80), {"stride": 2, "padding": 1}),
]


@pytest.mark.parametrize("isa", sorted({isa for isa, name, _ in KERNELS if name == "depthwise_nhwc"}))
@pytest.mark.parametrize(("shape", "options"), NHWC)
@pytest.mark.parametrize("threads", [1, 3])
def test_depthwise_with_channels_last(
    isa: str, threads: int, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    """Columns that lie a dilation apart, the rows of large maps read before they are met, in parts of arrays."""
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-4, 5, size).astype("f4") for size in (shape, (shape[-1], 1, 3, 3)))
    x = among_others(x)
    given: dict[str, Any] = {"groups": shape[-1], "layout": "NHWC", **options}
    with under_isa(isa), convlib.num_threads(threads):
        found = convlib.conv2d(x, w, backend="native:depthwise_nhwc", **given)
    np.testing.assert_array_equal(found, convlib.conv2d(x, w, backend="cython", **given))
