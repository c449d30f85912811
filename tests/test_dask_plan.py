"""Chunks that are planned: what they need is what a worker uses, and advice is good when followed."""

import tracemalloc

import numpy as np
import pytest

import convlib

da = pytest.importorskip("dask.array", reason="Dask is not installed")
from convlib.dask import MOST_BLOCKS, plan_chunks  # noqa: E402

MIB = 1 << 20
PROBLEMS = {
    "filter2d": ((1500, 1600), "filter2d", ((15, 15),), {}),
    "colour": ((1000, 900, 3), "filter2d", ((5, 5),), {"boundary": "edge"}),
    "conv2d": ((6, 4, 500, 400), "conv2d", ((8, 4, 3, 3),), {"padding": 1}),
    "strided": ((1, 2, 1500, 1300), "conv2d", ((2, 2, 7, 7),), {"stride": 3, "padding": "same_upper"}),
    "wrapped": ((1, 1, 1500, 1600), "conv2d", ((1, 1, 9, 9),), {"padding": "same", "padding_mode": "wrap"}),
    "depthwise": ((1, 32, 300, 300), "conv2d", ((32, 1, 3, 3),), {"groups": 32}),
    "grown": ((1, 4, 400, 500), "conv_transpose2d", ((4, 2, 2, 2),), {"stride": 2}),
    "pool": ((1, 16, 64, 96, 80), "max_pool3d", (3,), {"stride": 2, "ceil_mode": True}),
    "sound": ((2, 1, 3_000_000), "conv1d", ((1, 1, 301),), {}),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("memory", [12 * MIB, 40 * MIB])
def test_a_worker_stays_within_its_memory(name, memory):
    """One worker, one task at a time: the most that it holds where blocks come from a file and are let go."""
    shape, op, args, options = PROBLEMS[name]
    chunks = plan_chunks(shape, op, *args, memory=memory, **options)
    assert len(chunks) == len(shape)
    assert all(1 <= chunk <= size for chunk, size in zip(chunks, shape, strict=True))
    arrays = [np.ones(arg, np.float32) for arg in args if isinstance(arg, tuple)]
    rest = [arg for arg in args if not isinstance(arg, tuple)]
    x = da.zeros(shape, chunks=chunks, dtype="f4")
    y = getattr(convlib, op)(x, *arrays, *rest, **options)
    total = y.sum()  # blocks of the result are let go
    total.compute(scheduler="synchronous")  # caches fill
    tracemalloc.start()
    total.compute(scheduler="synchronous")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most <= memory


def test_more_memory_gives_larger_chunks_and_more_threads_smaller_ones():
    def plan(memory, threads=1):
        return np.prod(plan_chunks((20000, 20000), "filter2d", (9, 9), memory=memory, threads=threads))

    assert plan("256 MiB") < plan("1 GiB") < plan("8 GB")
    assert plan("1 GiB", threads=8) < plan("1 GiB")
    assert plan("1 TiB") == 20000**2


def test_chunks_are_aligned_and_hold_whole_groups():
    chunks = plan_chunks((1, 2, 9000, 9000), "conv2d", (2, 2, 3, 3), memory="50 MB", stride=3)
    assert chunks[1] == 2
    assert all(chunk % 12 == 0 for chunk in chunks[2:])
    chunks = plan_chunks((1, 64, 500, 500), "conv2d", (64, 4, 3, 3), memory="20 MB", groups=16)
    assert chunks[1] % 4 == 0


@pytest.mark.parametrize(("chunks", "words"), [
    (10, "smaller than what windows share on axis 0, 62 elements"),
    ((-1, -1), "bytes, more than memory="),
    ((62, 62), f"blocks, more than the {MOST_BLOCKS}"),
])  # fmt: skip
def test_chunks_that_make_no_sense_are_refused_with_the_nearest_good_ones(chunks, words):
    problem = {"shape": (40000, 40000), "memory": "1 GiB"}
    with pytest.raises(convlib.SpecError, match="the nearest good ones:") as caught:
        plan_chunks(problem["shape"], "filter2d", (63, 63), memory=problem["memory"], chunks=chunks)
    assert words in str(caught.value)
    good = eval(str(caught.value).rpartition(": ")[2])
    assert plan_chunks(problem["shape"], "filter2d", (63, 63), memory=problem["memory"], chunks=good) == good


def test_part_of_a_group_is_refused():
    with pytest.raises(convlib.SpecError, match=r"hold part of a group of channels.*\(1, 4, 50, 50\)"):
        plan_chunks((1, 8, 100, 100), "conv2d", (8, 4, 3, 3), memory="1 GB", groups=2, chunks=(1, 2, 50, 50))


@pytest.mark.parametrize(("change", "error", "words"), [
    ({"memory": "10 kB"}, convlib.SpecError, r"memory=10000 is too little for 1 tasks at a time.*give that much"),
    ({"memory": "plenty"}, convlib.SpecError, r"memory='plenty' must be a number of bytes, or text such as '2 GiB'"),
    ({"memory": 0}, convlib.SpecError, "memory=0 must be at least 1"),
    ({"memory": None}, TypeError, "memory must be an integer"),
    ({"threads": 0}, convlib.SpecError, "threads=0 must be at least 1"),
    ({"chunks": 0}, convlib.SpecError, r"chunks=\(0, 0\) must be at least 1 on every axis, or -1"),
    ({"chunks": (1, 2, 3)}, convlib.SpecError, r"chunks=\(1, 2, 3\) has 3 entries"),
    ({"chunks": 2.5}, TypeError, "chunks must be an integer"),
    ({"mode": "some"}, convlib.SpecError, "'some' is unknown"),
    ({"dtype": "O"}, TypeError, "object"),
])  # fmt: skip
def test_bad_arguments(change, error, words):
    with pytest.raises(error, match=words):
        plan_chunks((2000, 2000), "filter2d", (9, 9), **{"memory": "1 GiB", **change})


@pytest.mark.parametrize("op", ["conv2d_grad_input", "max_unpool2d", "im2col", "conv4d"])
def test_operators_that_are_not_planned(op):
    args = {"conv2d_grad_input": ((1, 1, 3, 3), (1, 1, 10, 10)), "im2col": (3,)}.get(op, ((1, 1, 8, 8), 2))
    with pytest.raises(convlib.SpecError, match="op="):
        plan_chunks((1, 1, 8, 8), op, *args, memory="1 GiB")
