"""The k-th allocation fails: a call raises MemoryError, with what helps, or is right, and never ends the process."""

import os
import shutil
import subprocess
import sys

import pytest

#: Fails the k-th allocation of so many bytes.  Smaller ones are Python's objects, and iterators of NumPy, which then
#: returns without an exception.  It crashes where the buffers of a ufunc have no memory, and raises SystemError for
#: those of an index of several places: what is tried here needs neither.
SHIM = """
#include <errno.h>
#include <stddef.h>
static long left;
static size_t least;
void fail_kth(long k, size_t bytes) { left = k; least = bytes; }
static int fails(size_t bytes) { return left > 0 && bytes >= least && --left == 0; }
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { return fails(n) ? errno = ENOMEM, NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return fails(n * size) ? errno = ENOMEM, NULL : __libc_calloc(n, size); }
int posix_memalign(void **p, size_t a, size_t n) {
    return fails(n) || !(*p = __libc_memalign(a, n)) ? ENOMEM : 0;
}
"""

CALLS = """
import ctypes, os, numpy as np, convlib
fail = ctypes.CDLL(None).fail_kth
fail.argtypes = ctypes.c_long, ctypes.c_size_t
rng = np.random.default_rng(0)
def some(*shape): return rng.integers(-3, 4, shape).astype("f4")
x, w, y, half = some(2, 8, 24, 24), some(8, 8, 3, 3), some(2, 8, 22, 22), some(2, 8, 12, 12)
byte, wild = some(2, 8, 48, 48).astype("i1"), some(2, 8, 96, 96)
wild[0, 0, 0, 0] = np.nan
places = convlib.max_pool2d(x, 2, return_indices=True)[1]
wrong, failed, bare = 0, 0, 0
for call in (
    lambda: convlib.conv2d(x, w, backend=name), lambda: convlib.conv2d_grad_input(y, w, x.shape, backend=name),
    lambda: convlib.conv2d_grad_weight(y, x, w.shape, backend=name), lambda: convlib.max_pool2d(x, 3, backend=name),
    lambda: convlib.conv_transpose2d(x, w, stride=2, backend=name), lambda: convlib.avg_pool2d(x, 3, backend=name),
    lambda: convlib.max_pool2d(x, 3, stride=1, return_indices=True, backend=name)[1],
    lambda: convlib.max_unpool2d(half, places, 2, backend=name),
    lambda: convlib.conv2d_grad_weight(wild, wild, w.shape, padding=1, backend=name),
    lambda: convlib.conv2d(byte, w.astype("i1"), x_zero_point=1, padding=1, padding_mode="reflect", backend=name),
    lambda: convlib.conv2d_grad_input(x, w, x.shape, padding=1, padding_mode="wrap", backend=name),
):
    expected = call()
    for k in range(1, 13):
        fail(k, LEAST)
        try:
            found = call()
        except MemoryError as error:
            found = None
            bare += ": no memory for " not in str(error) or "max_workspace" not in str(error)
        fail(0, 0)
        failed += found is None
        wrong += not (found is None or np.array_equal(found, expected, equal_nan=True))
print("wrong:", wrong, "bare:", bare, "failed:", failed > 5)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="replaces the allocator of Linux's C library")
@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles the allocator that fails: no C compiler here")
@pytest.mark.parametrize("least", [1024, 8192])
@pytest.mark.parametrize("name", ["native", "cython"])
def test_the_kth_allocation_fails(name, least, tmp_path):
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"name, LEAST = {name!r}, {least}" + CALLS], capture_output=True, text=True,
        check=False, env={**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "wrong: 0 bare: 0 failed: True\n"), done.stderr[-2000:]
