"""What the tests of the engine share: problems, plain sums for their answers, and one door through which all run."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from expected import under_isa

from convlib._ext import _native as native

ISAS = native.detected_isas()
IMPLEMENTATIONS = native.ALGORITHMS
WORKSPACE = 64 << 20
UNTOUCHED = 7


class Problem(NamedTuple):
    """A convolution in the engine's words."""

    n: int
    groups: int
    icg: int
    ocg: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    lo: tuple[int, ...]


def sizes(
    n: int, g: int, icg: int, ocg: int, size: tuple[int, ...], k: tuple[int, ...],
    stride: int = 1, dil: int = 1, lo: int = 0, hi: int | None = None,
) -> Problem:  # fmt: skip
    """Return a problem with the same stride, dilation and padding on each axis."""
    hi = lo if hi is None else hi
    out = tuple((s + lo + hi - dil * (kk - 1) - 1) // stride + 1 for s, kk in zip(size, k, strict=True))
    nd = len(size)
    return Problem(n, g, icg, ocg, size, k, out, (stride,) * nd, (dil,) * nd, (lo,) * nd)


def edges(*tiles: int) -> list[int]:
    """Return the counts about which a tile may be wrong: one less, as many, one more, a multiple."""
    return sorted({count for tile in tiles for count in (tile - 1, tile, tile + 1, 2 * tile) if count > 0})


def lanes(dtype: str) -> int:
    """Return how many numbers a vector of the active instruction set holds."""
    return native.vector_bytes() // np.dtype(dtype).itemsize


def offered(name: str) -> bool:
    """Return whether the active instruction set has an implementation at all."""
    return name != "bf16x3" or native.has_bf16x3()


def pairs() -> list[tuple[str, str]]:
    """Return (instruction set, implementation) for all implementations that each has."""
    found = []
    for isa in ISAS:
        with under_isa(isa):
            found += [(isa, name) for name in IMPLEMENTATIONS if offered(name)]
    return found


def reference(problem: Problem, x: Any, w: Any, bias: Any) -> Any:
    """Sum shifted slices of a padded copy: one line per tap, exact for small integers."""
    n, g, icg, ocg, size, k, out, stride, dil, lo = problem
    need = [(o - 1) * s + d * (kk - 1) + 1 for o, s, d, kk in zip(out, stride, dil, k, strict=True)]
    wide = np.zeros((n, g * icg, *(max(q, a + b) for q, a, b in zip(need, size, lo, strict=True))))
    wide[(..., *(slice(a, a + s) for a, s in zip(lo, size, strict=True)))] = x
    y = np.zeros((n, g, ocg, *out))
    for tap in itertools.product(*map(range, k)):
        at = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dil, out, stride, strict=True)
        )
        part = wide[(..., *at)].reshape(n, g, icg, *out)
        y += np.einsum("ngi...,goi->ngo...", part, w[(..., *tap)].reshape(g, ocg, icg))
    y = y.reshape(n, g * ocg, *out)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(size))


def shapes(problem: Problem) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of x and w."""
    channels = problem.groups * problem.icg, problem.groups * problem.ocg
    return (problem.n, channels[0], *problem.size), (channels[1], problem.icg, *problem.kernel)


@lru_cache(maxsize=64)
def posed(problem: Problem) -> tuple[Any, Any, Any, Any]:
    """Return small integers for x, w and bias, and the answer without the bias."""
    rng = np.random.default_rng(sum(problem.size) + problem.icg + problem.ocg)
    x, w = (rng.integers(-3, 4, shape).astype("f4") for shape in shapes(problem))
    return x, w, rng.integers(-9, 9, len(w)).astype("f4"), reference(problem, x, w, None)


def laid(a: Any, last: bool) -> Any:
    """Return an array in memory that has its channels last, if asked for."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if last else a


def target(problem: Problem, dtype: str, last: bool = False, framed: bool = False) -> tuple[Any, Any]:
    """Return memory full of `UNTOUCHED` and, in the middle of it, an array for the result.

    framed : between its rows lies memory, too, so that it is not contiguous.
    """
    channels = problem.groups * problem.ocg
    shape = (problem.n, *problem.out, channels) if last else (problem.n, channels, *problem.out)
    if framed:
        whole = np.full([size + 2 for size in shape[:-1]] + [shape[-1] + 40], UNTOUCHED, dtype)
        y = whole[(*(slice(1, -1) for _ in shape[1:]), slice(20, -20))]
    else:
        whole = np.full(int(np.prod(shape)) + 128, UNTOUCHED, dtype)
        y = whole[64:-64].reshape(shape)
    return whole, np.moveaxis(y, -1, 1) if last else y


def run(
    problem: Problem, name: str, x: Any, w: Any, bias: Any, y: Any, *, last: bool = False, packed: bool = False,
    threads: int = 2, workspace: int = WORKSPACE,
) -> None:  # fmt: skip
    """Fill `y` by an implementation under the active instruction set.  No test calls the engine's `conv` elsewhere.

    packed : the weights are prepared first, as a plan does.
    """
    p = native.ConvProblem(*problem, last)
    weights = native.Weights(p, w, name, threads) if packed else w
    native.conv(p, x, weights, bias, y, name, threads, workspace)


def check(
    problem: Problem, name: str, dtype: str = "float32", *, last: bool = False, framed: bool = False,
    bias: bool = True, **how: Any,
) -> None:  # fmt: skip
    """Run a problem on small integers: the result must be that of plain sums, and nothing beside it be written.

    how : `packed`, `threads`, `workspace` of `run`.
    """
    x, w, b, expected = posed(problem)
    whole, y = target(problem, dtype, last, framed)
    run(problem, name, laid(x.astype(dtype), last), w.astype(dtype), b.astype(dtype) if bias else None, y,
        last=last, **how)  # fmt: skip
    if bias:
        expected = expected + b.reshape(-1, *(1,) * len(problem.size))
    said = f"{name}, {problem}, {dtype}, last={last}, framed={framed}, bias={bias}, {how}"
    if name == "winograd":  # which rounds
        scale = 9 * problem.icg * np.prod(problem.kernel)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6 * scale, err_msg=said)
    else:
        np.testing.assert_array_equal(y, expected, err_msg=said)
    y[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"


def check_bits(problem: Problem, name: str, ways: list[tuple[int, int]], dtype: str = "float32") -> None:
    """Run a problem on random numbers by so many (threads, bytes of scratch): all results must have the same bits."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in shapes(problem))
    results = {}
    for threads, workspace in ways:
        _, y = target(problem, dtype)
        run(problem, name, x, w, None, y, threads=threads, workspace=workspace)
        results[threads, workspace] = y.tobytes()
    assert len(set(results.values())) == 1, f"{name}, {problem}"
