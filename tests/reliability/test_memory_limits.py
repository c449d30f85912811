"""A bound on the address space, at every height: MemoryError or the right numbers, and all works when it is lifted."""

import resource
import sys

import pytest
from tools import python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds the address space as Linux does")

CODE = """
import gc, resource, sys
import numpy as np
import convlib

def ones(*shape): return np.ones(shape, "f4")

x, w, y = ones(1, 8, 256, 256), ones(8, 8, 3, 3), ones(1, 8, 254, 254)
calls = {
    "conv": lambda: convlib.conv2d(x, w, backend=name),
    "grad_input": lambda: convlib.conv2d_grad_input(y, w, x.shape, backend=name),
    "grad_weight": lambda: convlib.conv2d_grad_weight(y, x, w.shape, backend=name),
    "pool": lambda: convlib.max_pool2d(x, 3, stride=1, return_indices=True, backend=name)[1],
    "float16": lambda: convlib.conv2d(x.astype("f2"), w.astype("f2"), backend=name),
    "plan": lambda: convlib.plan_conv2d(x.shape, w, backend=name)(x),
}
expected = {key: call() for key, call in calls.items()}
soft, hard = resource.getrlimit(resource.RLIMIT_AS)

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

def attempt(key, room):
    gc.collect()
    resource.setrlimit(resource.RLIMIT_AS, (used() + room, hard))
    try:
        return calls[key]()
    except MemoryError:
        return None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

failed, served, wrong = 0, 0, []
for key in calls:
    for room in range(0, 24 << 20, STEP):
        found = attempt(key, room)
        failed += found is None
        served += found is not None
        if found is not None and not np.array_equal(found, expected[key]):
            wrong.append((key, room))
before = used()
for _ in range(20):
    for key in calls:
        attempt(key, 1 << 20)
grown = used() - before
again = all(np.array_equal(call(), expected[key]) for key, call in calls.items())
print(failed > 5, served > 5, wrong, again, grown < (8 << 20))
"""


#: Every large block comes from the system and goes back to it, so that the limit is felt.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}


@pytest.mark.parametrize("name", ["native", "cython", pytest.param("im2col", marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", [3 << 20, pytest.param(1 << 18, marks=pytest.mark.slow)])
def test_every_height_of_the_limit(name, step):
    done = python("-c", f"name, STEP = {name!r}, {step}\n{CODE}", **ENVIRONMENT)
    assert (done.returncode, done.stdout) == (0, "True True [] True True\n"), done.stderr[-3000:]


@pytest.mark.parametrize("dtype", ["i1", "f4"])
def test_the_first_product_has_no_memory(dtype):
    """OpenBLAS would end the process, or try for ever, where there is none for its buffer."""
    done = python("-c", f"""
import resource
import numpy as np
import convlib

x, w = np.ones((1, 16, 64, 64), {dtype!r}), np.ones((16, 16, 3, 3), {dtype!r})
convlib.registry.get_backend("im2col")
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))  # what tries for ever ends
for room in 16, 24:
    resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), hard))
    try:
        convlib.conv2d_grad_input(x, w, x.shape, padding=1, padding_mode="wrap", backend="im2col")
    except MemoryError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
print(convlib.conv2d(x, w, backend="im2col").sum() == 16 * 144 * 62 * 62)
""", **{**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "2"})  # fmt: skip
    told = "conv2d_grad_input: no memory for the buffer of BLAS, some 32 MiB; free some, or lower "
    lines = done.stdout.splitlines()
    assert [line[: len(told)] for line in lines] == [told, told, "True"], (done.returncode, done.stderr[-3000:])


@pytest.mark.parametrize("name", ["native", "fft"])
def test_there_is_no_room_to_load_blas(name):
    """OpenBLAS would end or interrupt the process, or try for ever."""
    done = python("-c", f"""
import resource
import numpy as np
import convlib

x, w = np.ones((1, 2, 8, 8), "f4"), np.ones((2, 2, 3, 3), "f4")
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # what tries for ever ends
for room in 40, 64, 80, 100, 112:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), hard))
    try:
        convlib.conv2d(x, w, backend={name!r})
    except convlib.BackendError as error:
        print("no memory to load the BLAS of SciPy, some 136 MiB" in str(error))
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
print(np.allclose(convlib.conv2d(x, w, backend={name!r}), 18))
""", OPENBLAS_NUM_THREADS="2")  # fmt: skip
    assert done.stdout.split() == ["True"] * 6, (done.returncode, done.stdout, done.stderr[-3000:])


def test_what_helps_against_too_large_results_does(tmp_path):
    """A file as `out`, or a part of the input, as the error says; what has too little scratch is told of its bound."""
    done = python("-c", """
import resource, sys
import numpy as np
import convlib

x, w = np.ones((1, 1, 2048, 2048), "f4"), np.ones((8, 1, 1, 1), "f4")
plan = convlib.plan_conv2d(x.shape, w)
convlib.conv2d(x, w[:1])  # threads start
with open("/proc/self/status") as file:
    held = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (96 << 20), -1))
for call in convlib.conv2d, plan:
    rest = (w,) if call is not plan else ()
    try:
        call(x, *rest)
    except MemoryError as error:
        print(error)
    out = np.memmap(sys.argv[1], "f4", "w+", shape=(1, 8, 2048, 2048))
    print(call(x, *rest, out=out).sum() == 2**25)
print(convlib.conv2d(x[:, :, :512], w).shape)
try:
    convlib.max_pool2d(np.broadcast_to(np.int8(1), (1, 1, 2**13, 2**13)), 1, return_indices=True)
except MemoryError as error:
    print(error)
try:
    convlib.filter2d(np.broadcast_to(np.float32(1), (2**13, 2**13)), np.ones((1, 1), "f4"))
except MemoryError as error:
    print(error)
""", str(tmp_path / "out"))  # fmt: skip
    asked = "no memory for 134217728 bytes, an array of shape (1, 8, 2048, 2048) and type float32; give parts of the "
    file = "arrays, or a numpy.memmap as out, which lies in a file"
    pooled = "no memory for 536870912 bytes, an array of shape (1, 1, 8192, 8192) and type int64; give parts of the "
    filtered = "no memory for 268435456 bytes, an array of shape (8192, 8192, 1) and type float32; give parts of the "
    assert done.stdout.splitlines() == [
        f"conv2d: {asked}{file}", "True", f"a plan: {asked}{file}", "True", "(1, 8, 512, 2048)",
        f"max_pool2d: {pooled}arrays", f"filter2d: {filtered}{file}",
    ], done.stderr[-3000:]  # fmt: skip


def test_a_call_that_dies_of_the_limit_would_be_noticed():
    """As a library does that writes to what malloc gave without a look."""
    died = python("-c", """
import ctypes, resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.getrlimit(resource.RLIMIT_AS)[1]))
ctypes.memset(libc.malloc(1 << 30) or 0, 0, 8)
""")  # fmt: skip
    assert died.returncode < 0
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 28
