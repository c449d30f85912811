"""What this machine can do at most, measured: float32 operations per second, and bytes copied."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .._ext import PURE

#: What the copy probe moves, in bytes, all threads together: more than caches hold.
COPIED = 1 << 28

if PURE:

    def fma_peak(seconds: float, threads: int) -> float:
        """Return float32 operations per second of a matrix product by BLAS, on as many threads as that takes."""
        a = np.ones((512, 512), np.float32)
        start = time.perf_counter()
        products, used = 0, 0.0
        while used < seconds:
            a @ a
            products, used = products + 1, time.perf_counter() - start
        return 2.0 * 512**3 * products / used

    def _copy_rate(seconds: float, nbytes: int) -> float:
        source, target = np.ones(nbytes, np.uint8), np.ones(nbytes, np.uint8)
        start = time.perf_counter()
        moved, used = 0, 0.0
        while used < seconds:
            np.copyto(target, source)
            moved, used = moved + 2 * nbytes, time.perf_counter() - start
        return moved / used

else:
    from .._ext import _native, _probe
    from .._ext._probe import copy_rate as _copy_rate

    def fma_peak(seconds: float, threads: int) -> float:
        """Return float32 operations per second of multiply-adds in registers of the instruction set in use.

        ``CONVLIB_ISA`` lowers it as it lowers the engine.
        """
        return _probe.fma_peak(seconds, threads, _native.vector_bytes())


def copy_rate(threads: int) -> float:
    """Return bytes per second, read and written, of threads that copy at the same time."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: _copy_rate(0.03, COPIED // threads), range(threads)))
