"""Measure the figures that convlib promises, on this machine, in one run: ``python benchmarks/promises.py``.

Ratios come from interleaved rounds (both contenders in turn), medians with the quartiles behind them; single times are
the best of many short runs.  A busy machine widens the quartiles: repeat until they are narrow.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import timeit
import tracemalloc
from collections.abc import Callable

import numpy as np

import convlib

#: ResNet-50's 3x3 and 1x1 layers of stride 1: input channels, output channels, height and width, kernel.
LAYERS = (
    (64, 64, 56, 3), (128, 128, 28, 3), (256, 256, 14, 3), (512, 512, 7, 3), (64, 64, 56, 1), (64, 256, 56, 1),
    (256, 64, 56, 1), (256, 128, 28, 1), (128, 512, 28, 1), (512, 128, 28, 1), (256, 1024, 14, 1), (1024, 256, 14, 1),
    (512, 2048, 7, 1), (2048, 512, 7, 1),
)  # fmt: skip
BATCH, ROUNDS = 8, 9


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def im2col_share() -> None:
    """Compare im2col with the bare matrix products of the same sizes."""
    rng = np.random.default_rng(0)
    print(f"im2col against A @ B of the same sizes, batch {BATCH}, float32, {ROUNDS} rounds (promised: at least 0.70)")
    shares = []
    for ic, oc, size, k in LAYERS:
        x = rng.standard_normal((BATCH, ic, size, size), np.float32)
        w = rng.standard_normal((oc, ic, k, k), np.float32)
        a = w.reshape(oc, -1)
        b = [rng.standard_normal((ic * k * k, size * size), np.float32) for _ in range(BATCH)]
        y = np.empty((BATCH, oc, size, size), np.float32)
        c = np.empty((BATCH, oc, size * size), np.float32)

        def product(a: np.ndarray = a, b: list[np.ndarray] = b, c: np.ndarray = c) -> None:
            for one, target in zip(b, c, strict=True):
                np.matmul(a, one, out=target)

        def conv(x: np.ndarray = x, w: np.ndarray = w, y: np.ndarray = y, pad: int = k // 2) -> None:
            convlib.conv2d(x, w, padding=pad, out=y, backend="im2col")

        product(), conv()
        pairs = [(seconds(product), seconds(conv)) for _ in range(ROUNDS)]
        ratios = sorted(p / q for p, q in pairs)
        low, share, high = statistics.quantiles(ratios, n=4)
        shares.append(share)
        flops = 2 * BATCH * oc * ic * k * k * size * size / 1e9
        rate = flops / statistics.median(q for _, q in pairs)
        print(f"  {k}x{k} {ic:4}->{oc:4} @{size:2}  {share:5.2f}  [{low:.2f}, {high:.2f}]  {rate:6.1f} GFLOP/s")
    print(f"  geometric mean {statistics.geometric_mean(shares):.2f}")


def cython_over_naive() -> None:
    """Compare the compiled loops with plain Python."""
    x, w = np.ones((1, 4, 16, 16), np.float32), np.ones((8, 4, 3, 3), np.float32)
    slow = min(seconds(lambda: convlib.conv2d(x, w, backend="naive")) for _ in range(3))
    fast = min(timeit.repeat(lambda: convlib.conv2d(x, w, backend="cython"), number=20, repeat=20)) / 20
    print(f"cython over naive, 4->8 channels 16x16 3x3: {slow / fast:.0f} times faster (promised: at least 100)")


def small_call() -> None:
    """Time a whole call on the smallest interesting input."""
    x, w = np.ones((1, 1, 8, 8), np.float32), np.ones((1, 1, 3, 3), np.float32)
    best = min(timeit.repeat(lambda: convlib.conv2d(x, w), number=200, repeat=100)) / 200
    print(f"conv2d on 1x1x8x8 with 3x3: {best * 1e6:.1f} us a call (promised: at most 10)")


def import_cost() -> None:
    """Time ``import convlib`` behind ``import numpy``, each in a fresh interpreter."""
    code = "import time, numpy; t = time.perf_counter(); import convlib; print(time.perf_counter() - t)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = [float(subprocess.check_output([sys.executable, "-c", code], env=environment)) for _ in range(10)][1:]
    print(f"import convlib over import numpy: {statistics.median(times) * 1e3:.0f} ms (promised: at most 30)")


def scratch() -> None:
    """Measure the scratch memory of im2col on inputs of growing size."""
    w = np.ones((16, 16, 3, 3), np.float32)
    for size in (64, 256, 768):
        x = np.ones((1, 16, size, size), np.float32)
        y = np.empty_like(x)
        tracemalloc.start()
        convlib.conv2d(x, w, padding=1, out=y, backend="im2col")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"im2col scratch, 16 channels {size}x{size}: {peak / 2**20:.1f} MiB (promised: at most 64)")


if __name__ == "__main__":
    print(f"convlib {convlib.__version__}, NumPy {np.__version__}, {convlib.get_num_threads()} threads")
    small_call()
    import_cost()
    cython_over_naive()
    scratch()
    im2col_share()
