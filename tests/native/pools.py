"""Pooling problems, NumPy's answers to them, and one door through which they run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from convlib._ext import _native_pool as pooling

from .common import UNTOUCHED, WORKSPACE, edges, framed_like, laid, lanes, traced

FLOATS = ("float32", "float64")
TYPES = (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


class Pooling(NamedTuple):
    """A pooling in the engine's words."""

    n: int
    c: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    lo: tuple[int, ...]
    hi: tuple[int, ...]
    kind: str = "max"
    count_include_pad: bool = True
    divisor: float = 0
    adaptive: bool = False

    def taps(self, axis: int, o: int) -> range:
        """Return where the taps of a window lie on an axis, the padding included."""
        size, step = self.size[axis], self.dilation[axis]
        if self.adaptive:
            return range(o * size // self.out[axis], -(-(o + 1) * size // self.out[axis]))
        first = o * self.stride[axis] - self.lo[axis]
        return range(first, first + self.kernel[axis] * step, step)

    def inside(self) -> tuple[Any, Any]:
        """Return the places in the plane of all taps, as (*out, taps), and whether they are inside."""
        nd = len(self.size)
        grid: Any = np.zeros((1,) * 2 * nd, int)
        good: Any = np.ones_like(grid, bool)
        for axis, size in enumerate(self.size):
            taps = [self.taps(axis, o) for o in range(self.out[axis])]
            longest = max(map(len, taps))
            rows = np.array([[*row, *[-1] * (longest - len(row))] for row in taps])
            shape = [1] * 2 * nd
            shape[axis], shape[nd + axis] = rows.shape
            rows = rows.reshape(shape)
            grid, good = grid * size + rows.clip(0, size - 1), good & (rows >= 0) & (rows < size)
        return grid.reshape(*self.out, -1), good.reshape(*self.out, -1)

    def counted(self) -> Any:
        """Return how many taps of each output an average counts."""
        if self.adaptive or not self.count_include_pad:
            return self.inside()[1].sum(-1)
        count: Any = 1
        for axis, size in enumerate(self.size):
            bounds = range(-self.lo[axis], size + self.hi[axis])
            along = [sum(i in bounds for i in self.taps(axis, o)) for o in range(self.out[axis])]
            count = np.multiply.outer(count, along)
        return count


def pooled(
    n: int, c: int, size: tuple[int, ...], k: tuple[int, ...], stride: int = 1, dil: int = 1,
    lo: int = 0, hi: int | None = None, *, ceil: bool = False,
) -> Pooling:  # fmt: skip
    """Return a problem with the same stride, dilation and padding on each axis."""
    hi, nd = lo if hi is None else hi, len(size)
    out = []
    for s, kk in zip(size, k, strict=True):
        span = s + lo + hi - dil * (kk - 1) - 1
        count = (-(-span // stride) if ceil else span // stride) + 1
        out.append(count - (ceil and (count - 1) * stride >= s + lo))  # a window begins inside
    return Pooling(n, c, size, k, tuple(out), (stride,) * nd, (dil,) * nd, (lo,) * nd, (hi,) * nd)


def shared(n: int, c: int, size: tuple[int, ...], out: tuple[int, ...]) -> Pooling:
    """Return a problem of adaptive windows."""
    nd = len(size)
    longest = tuple(
        max(-(-(o + 1) * s // count) - o * s // count for o in range(count)) for s, count in zip(size, out, strict=True)
    )
    return Pooling(n, c, size, longest, out, (1,) * nd, (1,) * nd, (0,) * nd, (0,) * nd, adaptive=True)


def plane_of(dtype: str, whole: bool) -> Iterator[Pooling]:
    """Return windows of each size, stride, dilation and padding, at the edges of vectors of columns and channels."""
    vector = lanes(dtype)
    turn = itertools.cycle((1, 2, vector - 1 or 3, vector, vector + 1, 5, 2 * vector + 1))
    heights, paddings = itertools.cycle((1, 2, 3, 7, 12, 4)), itertools.cycle((0, 1, 4, 2, 0, 1, 3))
    windows = [(k, s, d) for k, s, d in itertools.product((1, 2, 3, 4, 5, 7, 9), (1, 2, 3), (1, 2)) if k > 1 or d == 1]
    for (k, stride, dil), width in itertools.product(windows, (1, *edges(vector, 2 * vector))):
        for lo in range(k // 2 + 1) if whole else (next(paddings) % (k // 2 + 1),):
            out = max(1, next(heights) if not whole else 3)
            size = [max(1, stride * (count - 1) + 1 + dil * (k - 1) - 2 * lo) for count in (out, width)]
            if 2 * lo + min(size) > dil * (k - 1):
                n, c, ceil = 1 + width % 2, next(turn), width % 3 == 0
                yield pooled(n, c, (size[0], size[1]), (k, k), stride, dil, lo, ceil=ceil)


#: Whole planes, pairs of rows, one and three axes, windows over all of an axis, an empty window, ragged ends, and rows
#: of some thousand elements.
KINDS = [
    *(pooled(n, c, plane, plane) for plane in ((1, 1), (1, 5), (7, 7), (3, 16), (4, 33), (20, 15))
      for n, c in ((1, 1), (1, 17), (3, 5), (2, 64))),
    *(pooled(n, c, size, (2, 2), 2) for n, c, size in (
        (1, 64, (14, 14)), (3, 7, (2, 2)), (1, 1, (6, 50)), (2, 5, (28, 28)), (1, 9, (2, 30)), (2, 3, (8, 4)),
        (1, 33, (16, 6)), (1, 2, (4, 126)), (1, 5, (2, 62)),
    )),
    *(pooled(2, 3, (19, width), (k, k), stride, lo=lo)  # pairs of columns first
      for width in (8, 33, 66) for k, stride, lo in ((4, 4, 0), (8, 8, 3), (6, 4, 1), (2, 4, 1), (4, 8, 2))),
    pooled(2, 515, (5, 6), (5, 6)), pooled(1, 530, (6, 5), (5, 4), 1, lo=1),  # many taps over many channels
    pooled(2, 5, (70,), (9,), 1, lo=4), pooled(2, 17, (33,), (3,), 2, ceil=True), pooled(1, 3, (9,), (9,)),
    pooled(1, 5, (5, 6, 7), (3, 3, 3), 1, lo=1), pooled(2, 9, (4, 6, 9), (2, 2, 2), 2),
    pooled(1, 3, (4, 5, 18), (3, 2, 5), 1),
    pooled(1, 3, (6, 40), (1, 21), 1, lo=0), pooled(1, 3, (40, 6), (21, 1), 1),
    pooled(1, 9, (30, 31), (13, 13), 1, lo=6),
    pooled(2, 3, (3, 3), (2, 2), 3, 2, 1), pooled(1, 2, (2, 2), (1, 1), 1, 1, 1), pooled(1, 2, (9, 9), (2, 2), 5, lo=1),
    pooled(1, 1, (3, 3000), (3, 3), 1, lo=1), pooled(1, 1, (3000, 3), (3, 3), 1, lo=1),
    pooled(1, 1, (6000, 1), (2, 1), 2), pooled(1, 1, (2500, 2, 2), (2, 2, 2), 1),
    pooled(1, 2, (150, 61), (3, 3), 2, lo=1, hi=0),
    pooled(1, 4, (23, 24), (18, 18), 1), pooled(1, 2, (40, 41), (31, 31), 1, lo=15),
]  # fmt: skip

ADAPTIVE = [
    *(shared(2, c, (h, w), (oh, ow)) for c in (1, 19) for h, oh, w, ow in (
        (5, 3, 7, 2), (40, 7, 33, 33), (1, 1, 70, 69), (9, 9, 16, 5), (3, 2, 2, 3), (2, 5, 3, 7), (6, 6, 31, 1),
        (12, 1, 12, 1), (7, 2, 15, 16), (4, 3, 17, 4),
    )),
    shared(1, 3, (11,), (4,)), shared(1, 5, (5, 4, 9), (2, 3, 2)), shared(2, 4, (64,), (5,)),
    *(shared(1, 2, (3, width), (2, parts)) for width in (8, 15, 16, 17, 33) for parts in (1, 2, 3)),
]  # fmt: skip


def poolings(dtype: str, whole: bool = False) -> list[Pooling]:
    """Return problems of all kinds for the active instruction set; the kinds of numbers take turns, or are crossed."""
    columns = edges(lanes(dtype) // 2, lanes(dtype), 2 * lanes(dtype) - 2)
    planes = itertools.product(columns, ((1, 9), (3, 4)))
    pairs = [pooled(1 + c % 2, c, (2 * rows, 2 * count), (2, 2), 2) for count, (rows, c) in planes]
    every = [*KINDS, *ADAPTIVE, *pairs]
    shapes = [*dict.fromkeys([*every, *plane_of(dtype, whole)])]
    if not whole and dtype not in FLOATS:  # one kernel is compiled for all types
        shapes = [*KINDS[::3], *ADAPTIVE, *shapes[len(every) :: 3]]
    kinds = ["max", "min"]
    if np.dtype(dtype).kind == "f":
        kinds += ["avg", "sum", "avg of inside", "avg by 4"]
    elif dtype == "int64":
        kinds += ["sum"]
    found = []
    for turn, shape in enumerate(shapes):
        taken = [kinds[turn % len(kinds)]]
        if whole or (turn < len(every) and dtype == "float32"):
            taken = kinds
        elif turn < len(every) and dtype == "float64":  # one extreme and one sum
            taken = [kinds[turn % 2], kinds[2 + turn % 4]]
        for kind in taken:
            problem = shape._replace(
                kind=kind.split()[0], count_include_pad=kind != "avg of inside", divisor=4 if kind == "avg by 4" else 0
            )
            if problem.kind != "avg" or problem.divisor or problem.counted().all():
                found.append(problem)
    return found


def lowest(dtype: Any, kind: str) -> Any:
    """Return what an empty window gives."""
    if dtype.kind == "f":
        return {"max": -np.inf, "min": np.inf}.get(kind, 0)
    if dtype.kind == "b":
        return kind == "min"
    return {"max": np.iinfo(dtype).min, "min": np.iinfo(dtype).max}.get(kind, 0)


@lru_cache(maxsize=2048)
def numbers(problem: Pooling, dtype: str) -> Any:
    """Return small integers, many of them equal, and a few that are not finite or extreme; averages of them are exact.

    Sums meet no infinities of both signs, whose order of adding up would show as NaN or infinity.
    """
    rng = np.random.default_rng(problem.c + sum(problem.size))
    shape = problem.n, problem.c, *problem.size
    x = rng.integers(0 if np.dtype(dtype).kind in "ub" else -3, 2 if dtype == "bool" else 4, shape).astype(dtype)
    if x.dtype.kind == "f":
        if sum(problem.size) % 2:  # the quick ways end where they meet one
            x[rng.random(shape) < 0.02] = np.nan
        if problem.kind in ("max", "min"):
            x[rng.random(shape) < 0.05] = -np.inf
            x[rng.random(shape) < 0.05] = np.inf
    elif problem.kind in ("max", "min"):
        x[rng.random(shape) < 0.05] = lowest(x.dtype, "min")
        x[rng.random(shape) < 0.05] = lowest(x.dtype, "max")
    return x


@lru_cache(maxsize=2048)
def answer(problem: Pooling, dtype: str) -> tuple[Any, Any]:
    """Return the result, window by window, and where in its plane each extreme comes first (-1: nowhere)."""
    x = numbers(problem, dtype)
    grid, good = problem.inside()
    windows = x.reshape(problem.n, problem.c, -1)[..., grid]
    if problem.kind in ("sum", "avg"):
        total = np.where(good, windows, windows.dtype.type(0)).sum(-1, dtype=x.dtype)
        if problem.kind == "sum":
            return total, None
        return total / np.asarray(problem.divisor or problem.counted()).astype(x.dtype), None
    y = getattr(np.where(good, windows, x.dtype.type(lowest(x.dtype, problem.kind))), problem.kind)(-1)
    hit = good & (windows == y[..., None])
    first = hit.argmax(-1)
    if x.dtype.kind == "f":  # the last NaN, as in other libraries
        hit |= good & np.isnan(windows)
        first = np.where(np.isnan(y), hit.shape[-1] - 1 - hit[..., ::-1].argmax(-1), first)
    places = np.take_along_axis(np.broadcast_to(grid, hit.shape), first[..., None], -1)[..., 0]
    return y, np.where(hit.any(-1), places, -1)


def check_pool(
    problem: Pooling, name: str, dtype: str, *, last: bool = False, indices: bool = False, framed: bool = False,
    threads: int = 2, workspace: int = WORKSPACE,
) -> bool:  # fmt: skip
    """Run a problem by an implementation, and return whether it serves it; a refusal must be what the engine says."""
    x = numbers(problem, dtype)
    said = f"{name}, {problem}, {dtype}, last={last}, indices={indices}, framed={framed}, threads={threads}"
    p = pooling.PoolProblem(*problem, last)
    verdicts = p.verdicts("pool", ord(x.dtype.char), x.itemsize, indices, threads, workspace)
    reason = next(refusal for row, _, refusal, *_ in verdicts if row == name)
    if reason is not None and not framed:
        assert p.chosen("pool", ord(x.dtype.char), x.itemsize, name, indices, False, threads, workspace) is None, said
        return False
    shape = (problem.n, problem.c, *problem.out)
    whole, y = framed_like(shape, dtype, last, framed)
    beside, places = framed_like(shape, "int64", last, framed) if indices else (None, None)
    given = laid(x, last)
    served = traced(name, workspace, lambda: pooling.pool(p, given, y, places, name, threads, workspace)) is not None
    assert served or framed, f"{said}: refused, but the engine has nothing to say against it"
    if not served:
        return False
    expected, where = answer(problem, dtype)
    if y.tobytes() != expected.tobytes():
        np.testing.assert_array_equal(y, expected, err_msg=said)
    y[...] = UNTOUCHED
    assert (whole == whole.dtype.type(UNTOUCHED)).all(), f"memory beside the result was written: {said}"
    if places is not None:
        assert (places == where).all(), said
        places[...] = UNTOUCHED
        assert (beside == UNTOUCHED).all(), f"memory beside the indices was written: {said}"
    return True
