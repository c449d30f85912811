"""What several files of tests need: slopes by differences, padding by NumPy, Python in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import convlib


def slope(function: Callable[[], Any], a: Any, place: tuple[int, ...], step: float = 1e-6) -> Any:
    """Return the central difference of `function` as ``a[place]`` moves; where both sides are one infinity it is 0."""
    start = a[place]
    a[place] = start + step
    ahead = function()
    a[place] = start - step
    behind = function()
    a[place] = start
    with np.errstate(invalid="ignore"):
        return np.where(ahead == behind, 0, ahead - behind) / (2 * step)


def differences(function: Callable[[Any], Any], a: Any, grad: Any) -> Any:
    """Return the gradient of ``sum(function(a) * grad)`` by central differences."""
    moved, result = a.copy(), np.empty_like(a)
    for place in np.ndindex(a.shape):
        result[place] = (slope(lambda: function(moved), moved, place) * grad).sum()
    return result


def python(*arguments: str, path: tuple[Path, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with folders in front of its path, and this package behind them, but not the current folder."""
    paths = [*map(str, path), str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    return subprocess.run(
        [sys.executable, "-P", *arguments], env=env, capture_output=True, text=True, timeout=600, check=False
    )


def small(*shape: int, seed: int = 0) -> Any:
    """Return small whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype("f4")


def padded(x: Any, padding: Any, mode: str) -> Any:
    """Pad (N, C, H, W) by NumPy; the mode "constant" stands for the value 3."""
    pairs = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    options = {"constant_values": 3} if mode == "constant" else {}
    return np.pad(x, ((0, 0), (0, 0), *pairs), mode=mode, **options)


#: The time of a process, as text that it runs and as its parent sees it: processor time, to which no load of the
#: machine adds, where that of another process can be read.
CLOCK = "time.process_time()" if sys.platform == "linux" else "time.time()"


def clock_of(pid: int) -> float:
    return time.clock_gettime(~pid << 3 | 2) if sys.platform == "linux" else time.time()  # as clock_getcpuclockid does
