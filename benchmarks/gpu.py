"""On a GPU: the conformance suite, then the race against PyTorch with cuDNN: ``python benchmarks/gpu.py [FILE.md]``.

Every way that serves a call runs, so that the one taken by default can be chosen by these numbers.
Needs convlib with the extra ``cuda12`` or ``cuda13`` and PyTorch for CUDA.  Times are medians of device events, warm,
both contenders in turn; host overhead is the time until a call returns.  TF32 is off for both.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib import resources
from typing import Any

import numpy as np

import convlib
from convlib import registry
from convlib.errors import BackendError, UnsupportedError
from convlib.problem import Problem, parse
from convlib.testing import check_backend

ROUNDS, CALLS = 7, 10
BATCHES = (1, 32, 128)
SUITES = ("resnet50", "mobilenetv2", "vgg16", "pools")
Call = Callable[[], Any]


def problems(suite: str) -> Iterator[str]:
    """Yield the problems of a suite."""
    text = resources.files("convlib").joinpath("suites", f"{suite}.txt").read_text("utf-8")
    yield from (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def ways(op: str, call: Callable[[str], Any]) -> Iterator[tuple[str, Call]]:
    """Yield (name, call) of the default and of every named algorithm that serves a call."""
    for name in ("cupy", *(f"cupy:{way}" for way in registry.get_backend("cupy").algorithms.get(op, ()))):
        try:
            call(name)
        except UnsupportedError:
            continue
        yield name, lambda name=name: call(name)  # type: ignore[misc]


def calls(problem: Problem, n: int, dtype: str, cupy: Any, torch: Any) -> Iterator[tuple[str, str, Call, Call]]:
    """Yield (operator, way, convlib's call, PyTorch's call) of a problem with symmetric padding in two dimensions."""
    functional, rng = torch.nn.functional, np.random.default_rng(0)
    pad, stride = list(problem.lo), list(problem.s)
    x = cupy.asarray(rng.standard_normal((n, problem.ic, *problem.i), np.float32).astype(dtype))
    xt = torch.from_dlpack(x)
    if problem.op != "conv":
        kind = problem.op.removesuffix("pool")
        ours: dict[str, Any] = {"stride": problem.s, "padding": problem.lo}
        theirs = (list(problem.k), stride, pad)
        ours_pool = getattr(convlib, f"{kind}_pool2d")
        torch_pool = getattr(functional, f"{kind}_pool2d")
        yield problem.op, "cupy", lambda: ours_pool(x, problem.k, **ours), lambda: torch_pool(xt, *theirs)
        return
    w = cupy.asarray(rng.standard_normal((problem.oc, problem.ic // problem.g, *problem.k), np.float32).astype(dtype))
    wt = torch.from_dlpack(w)
    options: Any = {"stride": problem.s, "padding": problem.lo, "dilation": problem.d, "groups": problem.g}
    window = (stride, pad, list(problem.d))
    y = convlib.conv2d(x, w, **options)
    yt = torch.from_dlpack(y)
    back = torch.ops.aten.convolution_backward
    rest = (None, *window, False, [0, 0], problem.g)
    pairs: tuple[tuple[str, Callable[[str], Any], Call], ...] = (
        (
            "conv", lambda name: convlib.conv2d(x, w, backend=name, **options),
            lambda: functional.conv2d(xt, wt, None, *window, problem.g),
        ),
        (
            "conv_grad_input", lambda name: convlib.conv2d_grad_input(y, w, x.shape, backend=name, **options),
            lambda: back(yt, xt, wt, *rest, [True, False, False]),
        ),
        (
            "conv_grad_weight", lambda name: convlib.conv2d_grad_weight(y, x, w.shape, backend=name, **options),
            lambda: back(yt, xt, wt, *rest, [False, True, False]),
        ),
    )  # fmt: skip
    for op, own, peer in pairs:
        for name, call in ways(op, own):
            yield op, name, call, peer


def race(ours: Call, theirs: Call, cupy: Any, torch: Any) -> tuple[float, float, float]:
    """Return the median milliseconds on the device of both, and convlib's host microseconds per call."""
    events: tuple[Any, Any] = (cupy.cuda.Event, lambda: torch.cuda.Event(enable_timing=True))
    found: tuple[list[float], list[float]] = ([], [])
    host = []
    for turn in range(ROUNDS + 1):
        for which, call in sorted(enumerate((ours, theirs)), reverse=bool(turn % 2), key=lambda pair: pair[0]):
            start, end = events[which](), events[which]()
            start.record()
            began = time.perf_counter()
            for _ in range(CALLS):
                call()
            took = time.perf_counter() - began
            end.record()
            end.synchronize()
            if turn:  # the first is warm-up
                elapsed = cupy.cuda.get_elapsed_time(start, end) if which == 0 else start.elapsed_time(end)
                found[which].append(elapsed / CALLS)
                if which == 0:
                    host.append(took / CALLS * 1e6)
    return statistics.median(found[0]), statistics.median(found[1]), min(host)


def ceilings(cupy: Any) -> tuple[float, float]:
    """Return this device's TFLOP/s of a large float32 product, and GB/s of a copy, read and write counted."""
    a = cupy.ones((8192, 8192), cupy.float32)
    b = cupy.empty_like(a)

    def best(call: Call) -> float:
        times = []
        for _ in range(10):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(cupy.cuda.get_elapsed_time(start, end) / 1e3)
        return min(times)

    product, copy = best(lambda: cupy.matmul(a, a, out=b)), best(lambda: cupy.copyto(b, a))
    return 2 * 8192**3 / product / 1e12, 2 * a.nbytes / copy / 1e9


def main() -> int:
    """Check, race, and write the table."""
    try:
        registry.get_backend("cupy")
    except BackendError as error:
        print(error, file=sys.stderr)
        return 1
    import cupy
    import torch

    if not torch.cuda.is_available():
        print("PyTorch finds no GPU; install its build for CUDA", file=sys.stderr)
        return 1
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    report = check_backend("cupy", strict=False)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    flops, copied = ceilings(cupy)
    lines = [
        f"# convlib {convlib.__version__} on {name}, {date.today()}", "",
        f"CuPy {cupy.__version__}, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}; "
        f"cuBLAS float32 {flops:.1f} TFLOP/s, copy {copied:.0f} GB/s.  Conformance: {report}.", "",
        "| suite | dtype | batch | operator | way | problem | convlib ms | PyTorch ms | ratio | host us |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    ratios: dict[tuple[str, ...], list[float]] = {}
    for suite in SUITES:
        for text in problems(suite):
            for n in BATCHES:
                for dtype in ("float32", "float16"):
                    for operator, way, ours, theirs in calls(parse(text), n, dtype, cupy, torch):
                        own, peer, host = race(ours, theirs, cupy, torch)
                        row: tuple[str, ...] = (suite, dtype, str(n), operator, way)
                        ratios.setdefault(row, []).append(peer / own)
                        cells = (*row, text, f"{own:.4f}", f"{peer:.4f}", f"{peer / own:.2f}", f"{host:.0f}")
                        lines.append(f"| {' | '.join(cells)} |")
                        print(lines[-1], flush=True)
                    cupy.get_default_memory_pool().free_all_blocks()
    lines += ["", "| suite | dtype | batch | operator | way | geometric mean of the ratios |"]
    lines += ["|---|---|---|---|---|---|"]
    for row, values in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, values)))
        lines.append(f"| {' | '.join(row)} | {mean:.2f} |")
        print(lines[-1])
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            print(*lines, sep="\n", file=file)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
