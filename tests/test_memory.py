"""What calls take beside their arrays and results: within `max_workspace`, and no more than `explain` says.

Every operator, by every backend that serves it, for arrays that are stored but not computed in, have gaps, or need
their padding written, too.  NumPy's allocations are traced as Python sees them, the engine's by its own record; what
both held most is added up, though they need not have held it at the same time.
"""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convlib
from convlib import config
from convlib._ext import _native
from convlib.backends.base import arrays
from convlib.spec import ConvSpec

MIB = 1 << 20
#: Python's own objects, and the buffers in which NumPy's loops convert 8192 elements at a time, of up to 16 bytes.
SMALL = 320 << 10

Modes = tuple[dict[str, Any], ...]
MODES: Modes = ({}, {"pad_value": 1}, {"padding_mode": "reflect"}, {"padding_mode": "wrap"})
OTHER_MODES: Modes = ({"padding_mode": "symmetric"}, {"padding_mode": "edge"})
#: With room for all, what is taken is what is said; one type shows it.
BOUNDS = {"f4": (MIB, 64 * MIB), "f2": (MIB,), "i1": (MIB,), "c8": (MIB,)}
N, C, SIZE, OC = 2, 4, 160, 4
X, W, Y, HALF = (N, C, SIZE, SIZE), (OC, C, 3, 3), (N, OC, SIZE, SIZE), (N, C, SIZE // 2, SIZE // 2)
WIDE = (N, OC, 2 * SIZE - 1, 2 * SIZE - 1)

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def made(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """Return small whole numbers."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)


def padded_convolutions(dtype: str, modes: Modes) -> Iterator[Call]:
    x, w, grad_y = made(X, dtype), made(W, dtype, 1), made(Y, dtype, 2)
    for mode in modes:
        options = {"padding": 1, **mode}
        yield "conv2d", (x, w), options
        yield "conv2d_grad_weight", (grad_y, x, W), options
        if "pad_value" not in mode:
            yield "conv2d_grad_input", (grad_y, w, X), options


def convolutions(dtype: str) -> Iterator[Call]:
    x, w = made(X, dtype), made(W, dtype, 1)
    yield from padded_convolutions(dtype, MODES)
    yield "conv2d", (x, w), {"stride": 2, "dilation": 2, "padding": 2}
    yield "conv2d", (x, w[:, :1].copy()), {"groups": C}
    yield "conv_transpose2d", (x, w), {"stride": 2, "padding": 1}
    yield "conv_transpose2d_grad_input", (made(WIDE, dtype), w, X), {"stride": 2, "padding": 1}
    yield "conv_transpose2d_grad_weight", (made(WIDE, dtype), x, W), {"stride": 2, "padding": 1}
    yield "filter2d", (made((SIZE, 2 * SIZE, 3), dtype), made((5, 5), dtype)), {}
    yield "im2col", (x, 3), {}
    yield "col2im", (made((N, C * 9, (SIZE - 2) ** 2), dtype), (SIZE, SIZE), 3), {}


def padded_poolings(dtype: str, modes: Modes) -> Iterator[Call]:
    x, grad_y = made(X, dtype), made(HALF, dtype, 1)
    for mode in modes:
        options = {"stride": 2, "padding": 1, **mode}
        yield "max_pool2d", (x, 3), options
        yield "max_pool2d", (x, 3), {"return_indices": True, **options}
        yield "avg_pool2d", (x, 3), options
        yield "sum_pool2d", (x, 3), {**options, "stride": 1}
        yield "lp_pool2d", (x, 3.0, 3), options
        yield "avg_pool2d_grad_input", (grad_y, X, 3), options
        yield "sum_pool2d_grad_input", (grad_y, X, 3), options


def poolings(dtype: str) -> Iterator[Call]:
    x, grad_y = made(X, dtype), made(HALF, dtype, 1)
    places = np.broadcast_to(np.arange(grad_y[0, 0].size).reshape(HALF[2:]), HALF).copy()
    yield from padded_poolings(dtype, MODES)
    yield "lp_pool2d_grad_input", (grad_y, x, grad_y, 3.0, 3), {"stride": 2, "padding": 1}
    yield "min_pool2d", (x, 3), {"stride": 1}
    yield "adaptive_avg_pool2d", (x, 7), {}
    yield "adaptive_max_pool2d", (x, 7), {"return_indices": True}
    yield "global_avg_pool2d", (x,), {}
    yield "global_max_pool2d", (x,), {}
    yield "max_unpool2d", (grad_y, places, 2), {}
    yield "max_pool2d_grad_input", (grad_y, places, X), {}
    yield "max_unpool2d", (grad_y, places.astype("i4"), 2), {}
    yield "max_pool2d_grad_input", (grad_y, places.astype(">i8"), X), {}
    yield "adaptive_avg_pool2d_grad_input", (made((N, C, 7, 7), dtype), X), {}
    yield "global_avg_pool2d_grad_input", (made((N, C, 1, 1), dtype), X), {}


def of_channels_last(calls: Iterator[Call]) -> Iterator[Call]:
    """Turn images round, and what says their shape."""
    for name, args, options in calls:
        if name in ("filter2d", "im2col", "col2im"):
            continue
        weights = 1 if "conv" in name and not name.endswith("_weight") else None
        turned = [a if i == weights or np.ndim(a) == 0 else last(a) for i, a in enumerate(args)]
        if name.endswith("_weight"):
            turned[2] = args[2]
        yield name, tuple(turned), {**options, "layout": "NHWC"}


def last(a: Any) -> Any:
    return np.moveaxis(a, 1, -1).copy() if isinstance(a, np.ndarray) else (a[0], *a[2:], a[1])


def few_windows(dtype: str) -> Iterator[Call]:
    """Of arrays large enough to see a copy of them, and so few windows that loops of Python are through in no time."""
    large, small = (1, 2, 400, 600), (1, 2, 4, 6)
    x, w, y = made(large, dtype), made((2, 2, 3, 3), dtype), made(small, dtype)
    places = np.broadcast_to(np.arange(24).reshape(4, 6), small).copy()
    for mode in MODES:
        options = {"stride": 100, "padding": 1, **mode}
        yield "conv2d", (x, w), options
        yield "conv2d_grad_weight", (y, x, w.shape), options
        if "pad_value" not in mode:
            yield "conv2d_grad_input", (y, w, large), options
        yield "max_pool2d", (x, 3), {"return_indices": True, **options}
        yield "avg_pool2d", (x, 3), options
        yield "avg_pool2d_grad_input", (y, large, 3), options
    yield "max_pool2d_grad_input", (y, places, large), {}
    yield "im2col", (x, 3), {"stride": 100}


def spread(a: Any) -> Any:
    """Return an array with gaps between its elements."""
    if not isinstance(a, np.ndarray):
        return a
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 0] = a
    return wide[..., 0]


def taken(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> int:
    """Return the most bytes that a call takes beside its arrays and its results."""
    most, scratch = held(partial(getattr(convlib, name), *args, **options))
    # The short way of a filter may leave a call, whose padding it has written, to the long one.
    return max(most, scratch) if name == "filter2d" else most + scratch


def held(call: Callable[[], Any]) -> tuple[int, int]:
    """Return the most bytes that a call holds beside its results: those of NumPy, and those of the engine."""
    call()  # caches fill
    _native.trace()
    tracemalloc.start()
    try:
        result = call()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        scratch = _native.traced()[1]
    return most - sum(a.nbytes for a in (result if isinstance(result, tuple) else (result,))), scratch


def check(
    calls: Iterator[Call], backend: str | None, bounds: tuple[int, ...], gaps: bool, objects: tuple[str, ...] = ()
) -> int:
    """Compare what calls take with what is said of them and with the bounds; return how many were served.

    `objects` names calls that sum in Python numbers, each in an object of its own, which no bound is promised for.
    """
    served = 0
    for name, args, options in calls:
        given = tuple(map(spread, args)) if gaps else args
        for bound in bounds:
            with config.max_workspace(bound):
                try:
                    said = convlib.explain(name, *given, **options, backend=backend)
                except convlib.UnsupportedError:
                    continue
                used = taken(name, given, {**options, "backend": backend})
            told = f"{name} {given[0].dtype} {options} by {said.backend}:{said.algorithm}, max_workspace {bound}"
            assert used <= said.workspace_nbytes + SMALL, f"{told}: {used} taken, {said.workspace_nbytes} said"
            served += 1
            if name in objects:
                continue
            assert said.workspace_nbytes <= bound, f"{told}: {said.workspace_nbytes} said"
            assert used <= bound + SMALL, f"{told}: {used} taken"
    return served


def unpoolings_of_large_planes(dtype: str, kind: str) -> Iterator[Call]:
    """Of a plane whose numbers or places alone, in the type that is computed in, exceed the least bound."""
    shape, whole = (1, 1, 300, 400), (1, 1, 600, 800)
    places = np.random.default_rng(3).integers(-1, 600 * 800, shape).astype(kind)
    distinct = np.random.default_rng(4).permutation(600 * 800)[: 300 * 400].reshape(shape).astype(kind)
    yield "max_pool2d_grad_input", (made(shape, dtype), places, whole), {}
    if dtype != "c8":
        yield "max_unpool2d", (made(shape, dtype), distinct, 2), {"output_size": whole[2:]}


@pytest.mark.parametrize("kind", ["i4", ">i8"])
@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
def test_unpooling_of_large_planes(dtype: str, kind: str) -> None:
    for turn in (iter, of_channels_last):
        assert check(turn(unpoolings_of_large_planes(dtype, kind)), None, (MIB, 64 * MIB), False) == 4
        for name, args, options in turn(unpoolings_of_large_planes(dtype, kind)):
            whole = getattr(convlib, name)(*args, **options)
            with config.max_workspace(MIB):
                np.testing.assert_array_equal(getattr(convlib, name)(*args, **options), whole, strict=True)


@pytest.mark.parametrize("dtype", ["f4", "f2", "c8", "i1"])
@pytest.mark.parametrize("backend", ["native", "cython"])
def test_convolutions(backend: str, dtype: str) -> None:
    assert check(convolutions(dtype), backend, BOUNDS[dtype], False) > 15


@pytest.mark.parametrize(("backend", "dtype"), [("im2col", "f4"), ("im2col", "f2"), ("im2col", "i1"), ("fft", "f4")])
def test_convolutions_by_matrices_and_transforms(backend: str, dtype: str) -> None:
    assert check(convolutions(dtype), backend, (MIB,), False) > 7


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
def test_poolings(backend: str, dtype: str) -> None:
    assert check(poolings(dtype), backend, BOUNDS[dtype], False) > 20


@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
def test_arrays_with_gaps(backend: str) -> None:
    assert check(convolutions("f4"), backend, (MIB,), True) > 15
    assert check(poolings("f4"), backend, (MIB,), True) > 25


def off_by_a_byte(a: np.ndarray[Any, Any]) -> Any:
    """Return a copy that is not aligned."""
    wide = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    wide[...] = a
    return wide


@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
@pytest.mark.parametrize("change", [off_by_a_byte, lambda a: a.astype(">f4")], ids=["misaligned", "byte-swapped"])
def test_arrays_of_other_bytes(change: Callable[[Any], Any], backend: str) -> None:
    calls = [
        (name, tuple(change(a) if isinstance(a, np.ndarray) and a.dtype == "f4" else a for a in args), options)
        for name, args, options in (*convolutions("f4"), *poolings("f4"))
    ]
    assert check(iter(calls), backend, (MIB,), False) > 40


@pytest.mark.parametrize("backend", ["native", None])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_large_windows_of_broadcast_arrays(name: str, backend: str | None) -> None:
    """Four results per axis would take 16 MiB of an input that holds one number."""
    x = np.broadcast_to(np.float32(1), (1, 1, 6000, 6000))
    assert check(iter([(name, (x, 500), {})]), backend, (2 * MIB,), False) == 1


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
@pytest.mark.parametrize("backend", ["native", "cython", "im2col", None])
def test_windows_larger_than_the_bound(dtype: str, backend: str | None) -> None:
    """They are served in parts where arrays have gaps or another type."""
    x, large = made((1, 1, 900, 1000), dtype), made((1, 1, 400_000), dtype)
    calls: list[Call] = [(f"{kind}_pool2d", (x, (900, 1000)), {}) for kind in ("max", "min", "avg", "sum")]
    calls += [("max_pool2d", (x, (900, 1000)), {"return_indices": True}), ("lp_pool2d", (x, 2.0, (900, 1000)), {})]
    calls += [("max_pool2d", (x, 880), {"stride": (9, 40), "padding": 20, "padding_mode": "reflect"})]
    calls += [("avg_pool1d", (large, 390_000), {"stride": 5000}), ("adaptive_avg_pool2d", (x, (1, 3)), {})]
    assert check(iter(calls), backend, (MIB,), True) >= 7


@pytest.mark.parametrize("backend", ["native", None])
def test_large_windows_that_overlap(backend: str | None) -> None:
    """They are pooled along one axis after the other, with what is between."""
    x, apart = made((1, 1, 900, 1000), "f4"), {"stride": 1}
    calls: list[Call] = [(f"{kind}_pool2d", (x, (700, 650)), apart) for kind in ("max", "sum", "avg")]
    calls += [("max_pool2d", (x, (700, 650)), {"return_indices": True, **apart})]
    calls += [("lp_pool2d", (x, 2.0, (700, 650)), apart)]
    calls += [("sum_pool2d_grad_input", (made((1, 1, 201, 351), "f4"), x.shape, (700, 650)), apart)]
    assert check(iter(calls), backend, (MIB, 8 * MIB, 64 * MIB), False) == 3 * len(calls)


@pytest.mark.parametrize("dtype", ["f8", "c16", "i2", "i4", "i8", "u8", "?"])
def test_the_automatic_choice(dtype: str) -> None:
    assert check(convolutions(dtype), None, (MIB,), False) > 15
    if dtype != "c16":
        assert check(poolings(dtype), None, (MIB,), False) > 35


@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
def test_symmetric_and_edge_padding(backend: str) -> None:
    assert check(padded_convolutions("f4", OTHER_MODES), backend, (MIB,), False) == 6
    assert check(padded_poolings("f4", OTHER_MODES), backend, (MIB,), False) >= 12


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [("native", "f4"), ("native", "i1"), ("cython", "f4"), pytest.param("im2col", "f4", marks=pytest.mark.slow)],
)
def test_channels_last(backend: str, dtype: str) -> None:
    assert check(of_channels_last(convolutions(dtype)), backend, (MIB,), False) > 10
    assert check(of_channels_last(poolings(dtype)), backend, (MIB,), False) > 20


def test_bfloat16() -> None:
    dtype = pytest.importorskip("ml_dtypes", reason="bfloat16 is an extra").bfloat16
    assert check(convolutions(dtype), None, (MIB,), False) > 15
    assert check(poolings(dtype), None, (MIB,), False) > 35


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
def test_naive(dtype: str) -> None:
    objects = "conv2d_grad_input", "conv2d_grad_weight", "avg_pool2d_grad_input"
    assert check(few_windows(dtype), "naive", (MIB,), False, objects) > 20


@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
@pytest.mark.parametrize("dtype", ["f4", "f2", "i1"])
def test_plans(backend: str, dtype: str) -> None:
    x, w = made(X, dtype), made(W, dtype, 1)
    for mode in MODES:
        with config.max_workspace(MIB):
            plan = convlib.plan_conv2d(X, w, dtype=x.dtype, padding=1, backend=backend, **mode)
            used, said = sum(held(partial(plan, x))), plan.workspace_nbytes
        assert used <= said + SMALL, f"{mode}: {used} taken, {said} said"
        assert said <= MIB, f"{mode}: {said} said"


def test_large_weights_are_looked_through_in_pieces() -> None:
    """Whether they are finite is asked of 4 Mi numbers at a time: not of all, which gives an answer for each."""
    x, w = np.ones((1, 512, 4, 4), "f4"), np.ones((1536, 512, 4, 4), "f4")
    with config.max_workspace(4 * MIB):
        assert sum(held(partial(convlib.conv2d, x, w, backend="fft"))) < 9 * MIB < w.size


@pytest.mark.parametrize("call", ["conv2d", "max_pool2d"])
def test_what_is_kept_of_padding_is_its_axes(call: str) -> None:
    """The first call of a shape keeps 8 bytes for each place of a padded axis, as docs/use/memory.md says."""
    convlib.conv2d(made((1, 1, 9, 9), "f4"), made((1, 1, 3, 3), "f4"), padding=1, padding_mode="reflect")
    first = 16_000 if call == "conv2d" else 16_002  # tables are shared
    for width in (first, first + 1):  # the second is not the first of anything else
        x, w = made((1, 1, 9, width), "f4"), made((1, 1, 3, 3), "f4")
        args = (x, 3) if call == "max_pool2d" else (x, w)
        options = {"stride": 1, "padding": 1, "padding_mode": "wrap"}
        said = convlib.explain(call, *args, **options).workspace_nbytes
        _native.trace()
        tracemalloc.start()
        result = getattr(convlib, call)(*args, **options)
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        most += _native.traced()[1]
        tables = 8 * (9 + 2 + width + 2)
        assert kept - result.nbytes < tables + SMALL  # a dictionary of shapes may grow
        assert most - result.nbytes < said + 3 * tables + SMALL
    assert kept - result.nbytes > tables // 2, "no table was made"


def test_tables_of_padding_are_shared_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes that have an axis in common hold one table, and beyond a bound no shape gets the short way."""
    w, options = made((1, 1, 3, 3), "f4"), {"padding": 1, "padding_mode": "reflect"}
    arrays._kept_sources.cache_clear()
    gc.collect()  # runners of other tests that nothing holds
    before = set(arrays._TABLES)
    sizes = range(1301, 1309)
    for height, width in product(sizes, sizes):
        convlib.conv2d(made((1, 1, height, width), "f4"), w, **options)
    assert set(arrays._TABLES) - before == {("reflect", 1, size, 1) for size in sizes}
    x = made((1, 1, 1400, 1400), "f4")
    expected = convlib.conv2d(x, w, **options, backend="cython")
    monkeypatch.setattr(arrays, "_HELD", 0)
    spec = ConvSpec.make(x.shape, w.shape, **options)
    assert not arrays.short_axes(spec)
    np.testing.assert_array_equal(convlib.conv2d(x, w, **options), expected)


@pytest.mark.parametrize(("mib", "channels"), [(1, 32), (2, 64)])
def test_gradients_whose_borders_need_other_scratch_are_served(mib: int, channels: int) -> None:
    """What serves the padded input need not fit beside copies where it serves the input with zeros round it."""
    grad_y, w = np.ones((1, channels, 60, 60), "f4"), np.ones((channels, channels, 3, 3), "f4")
    options: dict[str, Any] = {"padding": 1, "padding_mode": "reflect"}
    expected = convlib.conv2d_grad_input(grad_y, w, grad_y.shape, **options)
    with convlib.max_workspace(mib << 20), convlib.num_threads(1):
        found = convlib.conv2d_grad_input(grad_y, w, grad_y.shape, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def _wished_huge() -> int:
    """Return the bytes of this process that are to lie in huge pages where there are some."""
    found = re.findall(r"^Size: +(\d+) kB$|^VmFlags:.*( hg)", Path("/proc/self/smaps").read_text(), re.MULTILINE)
    return sum(1024 * int(size) for (size, _), (_, huge) in pairwise(found) if size and huge)


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="the system has no huge pages")
def test_large_packed_weights_lie_in_huge_pages() -> None:
    w, before = np.ones((1024, 1024, 3, 3), "f4"), _wished_huge()  # 64 MiB packed: more than waits for a next call
    plan = convlib.plan_conv2d((1, 1024, 7, 7), w, padding=1, backend="native:winograd")
    assert _wished_huge() - before >= plan.spec.oc << 16
