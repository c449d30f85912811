"""More than 2**31 elements: planned without memory, and computed on maps of files that are nearly all holes."""

import math
import sys
import tracemalloc

import numpy as np
import pytest
from tools import python

import convlib

LARGE = 2**31 + 2**20 + 3

PLANS = [
    ("conv1d", (1, 1, LARGE), (1, 1, 3), {"stride": 2**16}),
    ("conv2d", (1, 8, 2**16, 2**15 + 1), (8, 8, 3, 3), {"padding": 1}),
    ("conv2d", (2**20, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ("conv3d", (1, 1, 2**11, 2**11, 2**10), (2, 1, 3, 3, 3), {"groups": 1}),
    ("conv_transpose2d", (1, 8, 2**15, 2**14), (8, 8, 3, 3), {"stride": 2}),
]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("function", "x_shape", "w_shape", "options"), PLANS)
def test_plans_are_made_on_paper(function, x_shape, w_shape, options, dtype):
    said = convlib.explain(function, x_shape, w_shape, dtype=dtype, **options)
    assert math.prod(said.spec.x_shape) >= 2**31 or math.prod(said.spec.y_shape) >= 2**31
    assert 0 <= said.workspace_nbytes <= 64 << 20
    cost = convlib.cost(function, x_shape, w_shape, dtype=dtype, **options)
    spec = said.spec
    assert cost.macs == spec.n * spec.oc * spec.out_count * spec.icg * math.prod(spec.kernel)
    if function.startswith("conv2d"):
        w = np.ones(w_shape, dtype)
        assert convlib.plan_conv2d(x_shape, w, dtype=dtype, **options).spec.y_shape == spec.y_shape


def test_an_input_that_repeats_one_element():
    """A broadcast array has the shape without the memory, and the engine takes it as it is."""
    x = np.broadcast_to(np.float32(2), (1, 1, 2**17, 2**16))
    y = convlib.conv2d(x, np.ones((1, 1, 2, 2), np.float32), stride=2**13)
    assert y.shape == (1, 1, 16, 8)
    assert (y == 8).all()


def holes(folder, dtype, shape):
    """Return a map of a file that takes no room, but for what is written."""
    return np.memmap(folder / "holes", dtype, "w+", shape=shape)


sparse_files = pytest.mark.skipif(sys.platform != "linux", reason="needs files with holes")


#: All of a file of 2 or 8 GB is read: for numbers that are not finite, or for a bound on the sums of integers.
CASES = [("native", "int8"), ("native", "float32"), ("cython", "float32"), ("im2col", "float32")]


@sparse_files
@pytest.mark.slow
@pytest.mark.parametrize(("backend", "dtype"), CASES)
def test_what_lies_behind_two_to_the_31_is_found(tmp_path, dtype, backend):
    """Windows far apart, so that few pages are looked at."""
    x = holes(tmp_path, dtype, (1, 1, LARGE))
    last = (LARGE - 3) // 2**18 * 2**18
    x[0, 0, last : last + 3] = 1, 2, 3
    w = np.array([[[1, 10, 100]]], dtype)
    y = convlib.conv1d(x, w, stride=2**18, backend=backend)
    assert y.shape == (1, 1, last // 2**18 + 1)
    assert np.flatnonzero(y).tolist() == [y.size - 1]
    assert y[0, 0, -1] == 321
    top, place = convlib.max_pool1d(x, 3, stride=2**18, return_indices=True, backend=backend)
    assert (top[0, 0, -1], place[0, 0, -1]) == (3, last + 2)
    assert np.flatnonzero(top).tolist() == [y.size - 1]


@sparse_files
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "cython"])
def test_every_element_of_a_large_row_is_seen(tmp_path, backend):
    """All 2**31 bytes are read, windows of 2**16 side by side."""
    x = holes(tmp_path, np.int8, (1, 1, LARGE))
    places = [0, 2**31 - 1, 2**31, LARGE // 2**16 * 2**16 - 1]
    x[0, 0, places] = 5
    y, found = convlib.max_pool1d(x, 2**16, return_indices=True, backend=backend)
    assert found[y == 5].tolist() == places


@pytest.mark.parametrize("backend", ["native", "cython", "im2col"])
def test_places_of_windows_far_apart_take_no_memory_for_the_gaps(backend):
    x = np.broadcast_to(np.float32(1), (1, 1, 2**23))
    with convlib.max_workspace(4 << 20):
        convlib.max_pool1d(x[..., :64], 3, return_indices=True, backend=backend)  # what is imported and kept
        tracemalloc.start()
        y, places = convlib.max_pool1d(x, 3, stride=2**13, return_indices=True, backend=backend)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert places.tolist() == [[list(range(0, 2**23, 2**13))]]
    assert most <= (4 << 20) + y.nbytes + places.nbytes


def test_an_index_of_32_bits_would_be_noticed():
    """As a kernel computes an offset whose integers wrap."""
    offset = np.array([LARGE - 1], np.int64)
    assert offset.astype(np.int32)[0] != LARGE - 1


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
@pytest.mark.parametrize(
    ("layout", "shape", "stride"),
    [("NWC", (1, 2**25, 2), 2**15), ("NCW", (1, 2, 2**25), 2**15), ("NHWC", (1, 2**12, 2**13, 2), 2**8),
     ("NDHWC", (1, 2**24, 1, 2, 2), (2**15, 1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["f4", "f2"])  # which is copied
def test_windows_far_apart_touch_what_they_hold_and_no_more(dtype, layout, shape, stride):
    """Of at least 2**15 pages of 4 KiB, 512 windows and more have a few each."""
    nd = len(layout) - 2
    kernel = (3,) if nd == 1 else (3, 3) if nd == 2 else (3, 1, 1)
    done = python("-c", f"""
import mmap, resource
import numpy as np
import convlib

def sparse():
    memory = mmap.mmap(-1, 2**26 * np.dtype({dtype!r}).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, {dtype!r}).reshape{shape}

def faults(call):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

w = np.ones((3, 2, *{kernel}), {dtype!r})
conv = lambda x: convlib.conv{nd}d(x, w, stride={stride}, layout={layout!r}, backend="native")
pool = lambda x: convlib.avg_pool{nd}d(x, {kernel}, stride={stride}, layout={layout!r}, backend="native")
for call in conv, pool if {dtype!r} == "f2" else conv:
    call(sparse())  # plans, and threads start
    print(faults(lambda x=sparse(): call(x)) < 2**13)
print(faults(sparse().max) >= 2**15)
""")  # fmt: skip
    assert done.stdout == "True\n" * 3, done.stderr[-2000:]
