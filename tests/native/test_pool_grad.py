"""Every implementation that spreads numbers over windows or to places, by name, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_pad, _native_pool as pooling
from convlib.backends.base.arrays import padding_sources
from convlib.spec import make_pool

from .common import UNTOUCHED, WORKSPACE, edges, framed_like, laid, lanes, pairs, traced
from .pools import FLOATS, Pooling, pooled, poolings

ENOUGH = 20


def spread_out(problem: Pooling, grad: Any) -> Any:
    """Add each number, or its share in an average, to all elements of its window."""
    grid, good = problem.inside()
    share = grad / (problem.divisor or problem.counted()) if problem.kind == "avg" else grad
    found = np.zeros((problem.n, problem.c, int(np.prod(problem.size))), share.dtype)
    every = np.broadcast_to(share[..., None], (*share.shape, grid.shape[-1]))
    np.add.at(found, (..., grid[good]), every[..., good])
    return found.reshape(problem.n, problem.c, *problem.size)


def scattered(problem: Pooling, grad: Any, places: Any, add: bool) -> tuple[Any, Any]:
    """Add each number to its place, or set it there; also return how many numbers each place met."""
    lead, plane = problem.n * problem.c, int(np.prod(problem.size))
    found, met = np.zeros((lead, plane)), np.zeros((lead, plane), int)
    rows = np.broadcast_to(np.arange(lead)[:, None], (lead, int(np.prod(problem.out))))
    there, numbers = places.reshape(lead, -1), grad.reshape(lead, -1)
    at = rows[there >= 0], there[there >= 0]
    np.add.at(met, at, 1)
    np.add.at(found, at, numbers[there >= 0])
    shape = problem.n, problem.c, *problem.size
    return (found if add else np.where(met > 1, np.nan, found)).reshape(shape), met.reshape(shape)


def check(problem: Pooling, name: str, dtype: str, last: bool, threads: int, add: bool) -> bool:
    """Run a problem by an implementation, with places if it takes them; return whether it serves it."""
    rng = np.random.default_rng(problem.c)
    shape, places = (problem.n, problem.c, *problem.out), None
    grad = rng.integers(-9, 10, shape)
    if problem.kind == "avg":
        grad = grad * (np.int64(problem.divisor) or problem.counted())
    p = pooling.PoolProblem(*problem, last)
    if problem.kind == "max":
        places = laid(rng.integers(-1, np.prod(problem.size), shape), last)
    said = f"{name}, {problem}, {dtype}, last={last}, threads={threads}, add={add}"
    code, size = ord(np.dtype(dtype).char), np.dtype(dtype).itemsize
    verdicts = p.verdicts("spread", code, size, places is not None, threads, WORKSPACE)
    reason = next(refusal for row, _, refusal, *_ in verdicts if row == name)
    if reason is not None:
        assert p.chosen("spread", code, size, name, places is not None, add, threads, WORKSPACE) is None, said
        return False
    whole, x = framed_like((problem.n, problem.c, *problem.size), dtype, last)
    y, fine = laid(grad.astype(dtype), last), []
    traced(name, WORKSPACE, lambda: fine.append(pooling.spread(p, y, places, x, add, name, threads, WORKSPACE)))
    assert fine == [True], said
    if places is None:
        np.testing.assert_array_equal(x, spread_out(problem, grad), err_msg=said)
    else:
        expected, met = scattered(problem, grad, places, add)
        alone = np.full(met.shape, True) if add else met <= 1  # else one of the numbers stays
        np.testing.assert_array_equal(x[alone], expected[alone], err_msg=said)
    x[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"
    return True


@pytest.mark.parametrize(
    ("isa", "name", "dtype"),
    [(*way, dtype) for way in pairs("spread") for dtype in (*FLOATS, "int64")[: 2 + (way[1] == "spread")]],
)
def test_spreading(isa: str, name: str, dtype: str, record_property: Callable[[str, int], None]) -> None:
    runs = 0
    with under_isa(isa):
        for turn, problem in enumerate(poolings(dtype)[::2]):
            if problem.kind == "min" or problem.adaptive:
                continue  # the same problem as a maximum; no gradient of such windows
            for last in (False, True):
                runs += check(problem, name, dtype, last, 1 + turn % 3, bool(turn % 2))
    assert runs >= (ENOUGH if dtype == "int64" else 4 * ENOUGH)  # of integers no averages
    record_property("runs", runs)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kernel", range(1, 6))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_sums_are_spread_whether_windows_overlap_touch_or_leave_gaps(
    isa: str, stride: int, kernel: int, dtype: str
) -> None:
    """Rows met first are written, others added to, those never met zeroed; rows two apart go in pairs."""
    vector = lanes(dtype)
    for turn, count in enumerate((1, 2, *edges(vector, 2 * vector))):
        for lo in range(kernel // 2 + 1):
            rest = (0, 1, 2 * vector)[(turn + lo) % 3]
            size = max(1, (count - 1) * stride + kernel - lo + rest)
            # one channel more than lie side by side: a block of one, which has little scratch
            shape = pooled(1, 1 + 64 // np.dtype(dtype).itemsize, (size,), (kernel,), stride, lo=lo)
            deep = pooled(2, 2, (5 + rest % 4, size + kernel), (1 + turn % 3, kernel), stride, 1 + turn % 2)
            for problem in (shape, deep):
                assert check(problem._replace(kind="sum"), "spread", dtype, problem is shape, 1, False)


def test_every_implementation_serves_under_every_instruction_set() -> None:
    assert {name for _, name in pairs("spread")} == {name for name, *_ in native.implementations("spread")}


@pytest.mark.parametrize("place", [-2, 4, 2**40, -(2**62)])
def test_a_place_outside_its_plane_is_refused_and_not_written(isa: str, place: int) -> None:
    frame = np.full(4 + 64, 7, "f4")
    x = frame[32:-32].reshape(1, 1, 2, 2)
    problem = pooling.PoolProblem(1, 1, (2, 2), (1, 1), (1, 3), (1, 1), (1, 1), (0, 0), (0, 0), "max")
    indices = np.array([0, place, -1]).reshape(1, 1, 1, 3)
    for threads in (1, 2):
        assert not pooling.spread(problem, np.ones((1, 1, 1, 3), "f4"), indices, x, True, None, threads, WORKSPACE)
        assert (frame[:32] == 7).all()
        assert (frame[-32:] == 7).all()
        np.testing.assert_array_equal(x.ravel(), [1, 0, 0, 0])


def test_the_bridge_refuses_arrays_it_could_not_walk() -> None:
    problem = pooling.PoolProblem(1, 2, (2, 2), (1, 1), (2, 2), (1, 1), (1, 1), (0, 0), (0, 0), "max")
    y = np.ones((1, 2, 2, 2), "f4")
    with pytest.raises(MemoryError, match="native cannot serve these arrays"):
        pooling.spread(problem, y, None, np.ones((1, 2, 2, 4), "f4")[..., ::2], True, None, 1, WORKSPACE)
    with pytest.raises(ValueError, match="shape and strides"):
        pooling.spread(problem, y, np.zeros((1, 2, 2, 3), int)[..., :2], y.copy(), True, None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="differ in type"):
        pooling.spread(problem, y, None, y.astype("f8"), True, None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="indices must be int64"):
        pooling.spread(problem, y, np.zeros(y.shape, "i4"), y.copy(), True, None, 1, WORKSPACE)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"dilation": 2}, {"stride": 2}, {"stride": 4, "padding": 1}])
def test_gradients_of_integer_sums_are_exact(isa: str, options: dict[str, int]) -> None:
    """With stride 1 an input takes the sum of the windows round it; else each number is spread over its window."""
    x, options = np.random.default_rng(0).integers(-(2**55), 2**55, (2, 5, 17, 19)), {"stride": 1, **options}
    y = convlib.sum_pool2d(x, 3, **options)
    native.trace()
    found = convlib.sum_pool2d_grad_input(y, x.shape, 3, backend="native", **options)
    (row,) = native.traced()[0]
    assert row.startswith("pool") if options["stride"] == 1 else row == "spread"
    expected = convlib.sum_pool2d_grad_input(y, x.shape, 3, backend="cython", **options)
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap"])
@pytest.mark.parametrize("size", [(5,), (4, 6), (40, 70), (3, 5, 4)])
def test_gradients_of_padding_are_folded_in_one_pass(size: tuple[int, ...], mode: str) -> None:
    nd, lead = len(size), (2, 150 if size == (40, 70) else 3)  # the larger one by several threads
    spec = make_pool(nd, "sum", (*lead, *size), 4, 1, ((2, 3),) * nd, padding_mode=mode)
    sources = [padding_sources(spec, axis) for axis in range(nd)]
    padded = tuple(map(len, sources))
    origins: Any = np.ix_(*sources)
    for dtype in FLOATS:
        wide = np.random.default_rng(0).integers(-9, 10, (*lead, *padded)).astype(dtype)
        expected, (whole, x) = np.zeros((*lead, *size), dtype), framed_like((*lead, *size), dtype, False)
        np.add.at(expected, (slice(None), slice(None), *origins), wide)
        assert _native_pad.fold(wide, x, size, padded, spec.pad_lo, sources, 2)
        np.testing.assert_array_equal(x, expected)
        x[...] = UNTOUCHED
        assert (whole == UNTOUCHED).all(), "memory beside the result was written"
    assert not _native_pad.fold(wide.astype(int), x, size, padded, spec.pad_lo, sources, 2)
    with pytest.raises(ValueError, match="sizes that were given"):
        _native_pad.fold(wide[:1], x, size, padded, spec.pad_lo, sources, 2)
