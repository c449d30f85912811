"""Race the gradients and transposed convolutions against PyTorch: ``python benchmarks/gradients.py [WORD ...]``.

Each contender runs in a process of its own, with two threads or `--threads`; rounds of both alternate, and the medians
are compared.  The rate is that of the products of the convolution whose gradients they are; of pools there is none.
With `--channels-last` all arrays but weights have their channels last, in PyTorch by its memory format.  Words select
the cases whose label holds one of them.  Needs the extra ``compare`` (torch).
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from contenders import Contenders, median_seconds

#: Convolutions: label, x shape, w shape, stride, padding, groups.
CONVS: tuple[tuple[str, tuple[int, ...], tuple[int, ...], int, int, int], ...] = (
    ("3x3 64@56", (8, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1),
    ("3x3 256@14", (8, 256, 14, 14), (256, 256, 3, 3), 1, 1, 1),
    ("3x3 128@56 s2", (8, 128, 56, 56), (128, 128, 3, 3), 2, 1, 1),
    ("1x1 256-64@56", (8, 256, 56, 56), (64, 256, 1, 1), 1, 0, 1),
    ("7x7 3-64@224 s2", (8, 3, 224, 224), (64, 3, 7, 7), 2, 3, 1),
    ("depthwise 144@56", (8, 144, 56, 56), (144, 1, 3, 3), 1, 1, 144),
    ("depthwise 7x7 96@56", (8, 96, 56, 56), (96, 1, 7, 7), 1, 3, 96),
    ("depthwise s2 96@112 batch 8", (8, 96, 112, 112), (96, 1, 3, 3), 2, 1, 96),
    ("depthwise s2 144@56", (1, 144, 56, 56), (144, 1, 3, 3), 2, 1, 144),
    ("depthwise s2 96@112", (1, 96, 112, 112), (96, 1, 3, 3), 2, 1, 96),
    ("depthwise s2 192@28", (1, 192, 28, 28), (192, 1, 3, 3), 2, 1, 192),
    ("depthwise s2 5x5 144@56", (1, 144, 56, 56), (144, 1, 5, 5), 2, 2, 144),
    ("depthwise s2 7x7 64@112", (1, 64, 112, 112), (64, 1, 7, 7), 2, 3, 64),
    ("LeNet 5x5 6-16@14", (8, 6, 14, 14), (16, 6, 5, 5), 1, 0, 1),
)

#: Pools: label, kind, x shape, kernel, stride, padding.
POOLS: tuple[tuple[str, str, tuple[int, ...], int, int, int], ...] = (
    ("max 2x2 s2 64@112", "max", (8, 64, 112, 112), 2, 2, 0),
    ("max 3x3 s2 64@112", "max", (8, 64, 112, 112), 3, 2, 1),
    ("avg 2x2 s2 64@112", "avg", (8, 64, 112, 112), 2, 2, 0),
    ("avg 3x3 s1 64@56", "avg", (8, 64, 56, 56), 3, 1, 1),
)


def labels() -> Iterator[str]:
    """Name every case."""
    for what in ("input", "weight", "transposed"):
        yield from (f"{what} {case[0]}" for case in CONVS)
    yield from (f"pool {case[0]}" for case in POOLS)


def data(*shape: int) -> Any:
    """Return the same random numbers in every process."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def laid_out(array: Any, last: bool) -> Any:
    """Return an array with its channels last, if wanted."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if last else array


def gigaflops(label: str) -> float:
    """Return the billions of operations of a case's products, which are those of the convolution; 0 for pools."""
    what, _, name = label.partition(" ")
    if what == "pool":
        return 0.0
    _, (n, _, height, width), w_shape, stride, padding, _ = next(case for case in CONVS if case[0] == name)
    outputs = math.prod((size + 2 * padding - w_shape[2]) // stride + 1 for size in (height, width))
    return 2e-9 * n * outputs * math.prod(w_shape)


def ours(label: str, threads: int, last: bool) -> Callable[[], Any]:
    """Return convlib's call for a case."""
    import convlib

    convlib.set_num_threads(threads)
    layout: Any = {"layout": "NHWC" if last else "NCHW"}
    what, _, name = label.partition(" ")
    if what == "pool":
        _, kind, shape, size, stride, padding = next(case for case in POOLS if case[0] == name)
        x = laid_out(data(*shape), last)
        if kind == "max":
            y, indices = convlib.max_pool2d(x, size, stride=stride, padding=padding, return_indices=True, **layout)
            grad = data(*y.shape)
            return lambda: convlib.max_pool2d_grad_input(grad, indices, x.shape, **layout)
        grad = data(*convlib.avg_pool2d(x, size, stride=stride, padding=padding, **layout).shape)
        return lambda: convlib.avg_pool2d_grad_input(grad, x.shape, size, stride=stride, padding=padding, **layout)
    _, x_shape, w_shape, stride, padding, groups = next(case for case in CONVS if case[0] == name)
    options: Any = {"stride": stride, "padding": padding, "groups": groups, **layout}
    x, w = laid_out(data(*x_shape), last), data(*w_shape)
    grad = data(*convlib.conv2d(x, w, **options).shape)
    if what == "input":
        return lambda: convlib.conv2d_grad_input(grad, w, x.shape, **options)
    if what == "weight":
        return lambda: convlib.conv2d_grad_weight(grad, x, w_shape, **options)
    return lambda: convlib.conv_transpose2d(grad, w, output_size=x_shape[2:], **options)


def torchs(label: str, threads: int, last: bool) -> Callable[[], Any]:
    """Return PyTorch's call for a case."""
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    memory = torch.channels_last if last else torch.contiguous_format

    def array(*shape: int) -> Any:
        return torch.from_numpy(data(*shape)).contiguous(memory_format=memory)

    what, _, name = label.partition(" ")
    if what == "pool":
        _, kind, shape, size, stride, padding = next(case for case in POOLS if case[0] == name)
        x = array(*shape)
        pair = [size, size], [stride, stride], [padding, padding]
        if kind == "max":
            y, indices = torch.nn.functional.max_pool2d(x, size, stride, padding, return_indices=True)
            grad = array(*y.shape)
            return lambda: torch.ops.aten.max_pool2d_with_indices_backward(grad, x, *pair, [1, 1], False, indices)
        grad = array(*torch.nn.functional.avg_pool2d(x, size, stride, padding).shape)
        return lambda: torch.ops.aten.avg_pool2d_backward(grad, x, *pair, False, True, None)
    _, x_shape, w_shape, stride, padding, groups = next(case for case in CONVS if case[0] == name)
    x, w = array(*x_shape), torch.from_numpy(data(*w_shape))
    grad = array(*torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups).shape)
    if what == "transposed":
        extra = [(size + 2 * padding - kernel) % stride for size, kernel in zip(x_shape[2:], w_shape[2:], strict=True)]
        return lambda: torch.nn.functional.conv_transpose2d(grad, w, None, stride, padding, extra, groups)
    want = [what == "input", what == "weight", False]
    window = [stride, stride], [padding, padding], [1, 1], False, [0, 0], groups, want
    return lambda: torch.ops.aten.convolution_backward(grad, x, w, None, *window)


def worker(contender: str, threads: int, last: bool) -> None:
    """Answer case labels on standard input with the median time of one round each."""
    make = {"convlib": ours, "torch": torchs}[contender]
    label, call = "", None
    for line in sys.stdin:
        if line.strip() != label or call is None:
            label = line.strip()
            call = make(label, threads, last)
            call()
            call()
        print(median_seconds(call), flush=True)


def race(words: list[str], rounds: int, threads: int, last: bool) -> None:
    """Time every selected case and print the table."""
    contenders = Contenders(
        __file__, ("convlib", "torch"), "--threads", str(threads), *["--channels-last"] * last
    )
    ratios: dict[str, list[float]] = {}
    print(f"{'case':<32}{'convlib ms':>12}{'torch ms':>12}{'torch / convlib (quartiles)':>30}{'GFLOP/s':>9}")
    for label in labels():
        if words and not any(word in label for word in words):
            continue
        said = contenders.rounds(label, rounds)
        times = {name: [float(seconds) for (seconds,) in answers] for name, answers in said.items()}
        each = sorted(theirs / own for own, theirs in zip(times["convlib"], times["torch"], strict=True))
        own, theirs = (statistics.median(times[name]) * 1e3 for name in ("convlib", "torch"))
        rate = f"{work / own * 1e3:.0f}" if (work := gigaflops(label)) else ""
        low, high = each[len(each) // 4], each[-1 - len(each) // 4]
        ratio = f"{theirs / own:.2f} ({low:.2f} to {high:.2f})"
        print(f"{label:<32}{own:>12.3f}{theirs:>12.3f}{ratio:>30}{rate:>9}", flush=True)
        ratios.setdefault(label.split()[0], []).append(theirs / own)
    for what, values in ratios.items():
        mean = math.exp(statistics.fmean(math.log(value) for value in values))
        print(f"{what}: geometric mean {mean:.2f}, worst {min(values):.2f}")
    contenders.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.threads, arguments.channels_last)
    else:
        race(arguments.words, arguments.rounds, arguments.threads, arguments.channels_last)
