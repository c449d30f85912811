"""What the tests of the engine share: the list, problems, plain sums as answers, and one door for convolutions."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from expected import under_isa

from convlib._ext import _native as native, _native_conv as conv, _native_pool as pooling

ISAS = native.detected_isas()
WORKSPACE = 64 << 20
UNTOUCHED = 7
CHANNELS_LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}  # layouts by the number of axes
ROUNDING = {name for name, _, _, rounds in native.implementations("conv") if rounds}


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


# ------------------------------------------------------------------ the list


def lacking(op: str) -> set[str]:
    """Return the implementations for which the active instruction set is declared to lack something."""
    tiny = (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), (0, 0)
    if op.startswith("conv"):
        found = conv.ConvProblem(1, 1, 1, 1, *tiny).verdicts(op, ord("f"), True, 1, WORKSPACE)
    else:
        found = pooling.PoolProblem(1, 1, *tiny, (0, 0), "max").verdicts(op, ord("f"), 4, False, 1, WORKSPACE)
    declared = f", not {native.active_isa()}"
    return {name for name, _, refusal, *_ in found if refusal and refusal.endswith(declared)}


def pairs(*ops: str) -> list[tuple[str, str]]:
    """Return (instruction set, implementation) for all implementations that each has."""
    found = []
    for isa, op in itertools.product(ISAS, ops):
        with under_isa(isa):
            without = lacking(op)
        found += [(isa, name) for name, *_ in native.implementations(op) if name not in without]
    return found


def emulated(name: str) -> bool:
    """Say whether an implementation is a matrix unit in plain C now, which takes minutes for what others are given."""
    return name in ("bf16x3", "int8_tiles") and native.active_isa() == "scalar"


def has_type(op: str, name: str, dtype: str) -> bool:
    """Return whether an implementation of a convolution has kernels for a type, in its own words."""
    return refusal(op, sizes(1, 1, 1, 1, (1, 1), (1, 1)), name, dtype, Way()) != "has no kernel for this type"


def kernels(op: str, *dtypes: str) -> list[tuple[str, str, str]]:
    """Return (instruction set, implementation, type) for all kernels of a convolution that there are."""
    found = []
    for (isa, name), dtype in itertools.product(pairs(op), dtypes):
        with under_isa(isa):
            if has_type(op, name, dtype):
                found.append((isa, name, dtype))
    return found


def family_of(op: str, name: str) -> str:
    """Return the family of an implementation."""
    return next(family for row, family, *_ in native.implementations(op) if row == name)


# ------------------------------------------------------------------ answers


def reference(problem: Problem, x: Any, w: Any, bias: Any) -> Any:
    """Sum shifted slices of a padded copy: one line per tap, exact for small integers."""
    n, g, icg, ocg, _, _, out, *_ = problem
    y = np.zeros((n, g, ocg, *out))
    for tap, part in tap_views(problem, x):
        y += np.einsum("ngi...,goi->ngo...", part, w[(..., *tap)].reshape(g, ocg, icg))
    y = y.reshape(n, g * ocg, *out)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(problem.size))


def tap_views(problem: Problem, x: Any) -> Any:
    """Yield each tap, and what it meets of the padded input as (n, groups, channels, *out)."""
    n, g, icg, _, size, k, out, stride, dil, lo = problem
    need = [(o - 1) * s + d * (kk - 1) + 1 for o, s, d, kk in zip(out, stride, dil, k, strict=True)]
    wide = np.zeros((n, g * icg, *(max(q, a + b) for q, a, b in zip(need, size, lo, strict=True))))
    wide[(..., *(slice(a, a + s) for a, s in zip(lo, size, strict=True)))] = x
    for tap in itertools.product(*map(range, k)):
        at = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dil, out, stride, strict=True)
        )
        yield tap, wide[(..., *at)].reshape(n, g, icg, *out)


def shapes(problem: Problem) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of x and w."""
    channels = problem.groups * problem.icg, problem.groups * problem.ocg
    return (problem.n, channels[0], *problem.size), (channels[1], problem.icg, *problem.kernel)


@lru_cache(maxsize=2048)
def posed(problem: Problem) -> tuple[Any, Any, Any, Any]:
    """Return small integers for x, w and bias, and the answer without the bias."""
    rng = np.random.default_rng(sum(problem.size) + problem.icg + problem.ocg)
    x, w = (rng.integers(-3, 4, shape).astype("f4") for shape in shapes(problem))
    return x, w, rng.integers(-9, 9, len(w)).astype("f4"), reference(problem, x, w, None)


# ------------------------------------------------------------------ arrays


def laid(a: Any, last: bool) -> Any:
    """Return an array in memory that has its channels last, if asked for."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if last else a


def among_others(array: Any) -> Any:
    """Return an array with channels last as a part of one that holds NaN beside its channels."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 5), np.nan, array.dtype)
    wide[..., 2:-3] = array
    return wide[..., 2:-3]


def framed_like(shape: tuple[int, ...], dtype: str, last: bool = False, framed: bool = False) -> tuple[Any, Any]:
    """Return memory full of `UNTOUCHED` and, in the middle of it, an array for a result of (N, C, *out).

    framed : between its rows lies memory, too, so that it is not contiguous.
    """
    shape = (shape[0], *shape[2:], shape[1]) if last else shape
    if framed:
        whole = np.full([size + 2 for size in shape[:-1]] + [shape[-1] + 40], UNTOUCHED, dtype)
        y = whole[(*(slice(1, -1) for _ in shape[1:]), slice(20, -20))]
    else:
        whole = np.full(int(np.prod(shape)) + 128, UNTOUCHED, dtype)
        y = whole[64:-64].reshape(shape)
    return whole, np.moveaxis(y, -1, 1) if last else y


def target(problem: Problem, dtype: str, last: bool = False, framed: bool = False) -> tuple[Any, Any]:
    """Return the same for the result of a convolution."""
    return framed_like((problem.n, problem.groups * problem.ocg, *problem.out), dtype, last, framed)


def turned(w: Any, groups: int, way: int = 1) -> Any:
    """Return the same weights as (groups, OC / groups, C / groups, *kernel), in another order in memory.

    way : 1 for (*kernel, C / groups, OC), 2 for (OC, *kernel, C / groups).
    """
    if way == 1:
        other = np.empty((*w.shape[2:], w.shape[1], w.shape[0]), w.dtype).transpose(-1, -2, *range(w.ndim - 2))
    else:
        other = np.moveaxis(np.empty((w.shape[0], *w.shape[2:], w.shape[1]), w.dtype), -1, 1)
    other[...] = w
    return other.reshape(groups, -1, *w.shape[1:])


# ------------------------------------------------------------------ the door


class Way(NamedTuple):
    """How a problem is run: what is packed, how arrays lie, and with what means."""

    last: bool = False
    packed: bool = False  # the weights are prepared first, as a plan does
    threads: int = 2
    framed: bool = False
    turned: int = 0  # how weights lie, as for `turned`; 0: in order
    bias: bool = True
    workspace: int = WORKSPACE


USUAL = Way()


def traced(name: str, workspace: int, call: Any) -> int | None:
    """Call, and return the most bytes that were allocated at once; None if the engine says that `name` does not fit.

    No test runs an implementation by name elsewhere: here it is seen that this one ran, and no other.
    """
    native.trace()
    try:
        call()
    except MemoryError as error:
        if "serve these arrays" not in str(error):
            raise
        return None
    finally:
        ran, peak = native.traced()
    # one that rounds more hands numbers that are not for it to another
    handed_on = name in ROUNDING and name in ran
    assert ran == (name,) or handed_on, f"asked for {name}, and {ran} ran"
    assert peak <= workspace, f"{name} took {peak} bytes of {workspace}"
    return int(peak)


def run(problem: Problem, name: str, x: Any, w: Any, bias: Any, y: Any, way: Way = USUAL) -> int | None:
    """Fill `y` by an implementation under the active instruction set; see `traced` for what returns."""
    p = conv.ConvProblem(*problem, way.last)
    if not way.packed:
        return traced(
            name, way.workspace,
            lambda: conv.conv(p, x, w, bias, y, name, False, way.threads, way.workspace),
        )  # fmt: skip
    if p.chosen("conv", ord(w.dtype.char), name, False, False, way.threads, way.workspace) is None:
        return None
    ready = conv.Packed(p, w, bias, name, False, way.threads, way.workspace)
    plain = (np.moveaxis(a, 1, -1) if way.last else a for a in (x, y))
    x, y = (np.ascontiguousarray(a) if a is x else a for a in plain)
    runner = conv.Runner(p, ready, None, False, x.shape, y.shape, x.dtype)
    found = []
    peak = traced(name, way.workspace, lambda: found.append(runner(x, way.threads, way.workspace, None, None, y)))
    assert found[0] is y, f"{name} packed its weights, and then refused"
    return peak


def refusal(op: str, problem: Problem, name: str, dtype: str, way: Way) -> str | None:
    """Return what the engine says against an implementation, for arrays without gaps."""
    p = conv.ConvProblem(*problem, way.last)
    said = p.verdicts(op, ord(np.dtype(dtype).char), not way.packed, way.threads, way.workspace)
    return next(reason for row, _, reason, *_ in said if row == name)


def check(problem: Problem, name: str, dtype: str = "float32", way: Way = USUAL) -> bool:
    """Run a problem on small integers, and return whether the implementation serves it.

    The result must be that of plain sums, and nothing beside it be written; a refusal must be what the engine says.
    """
    said = f"{name}, {problem}, {dtype}, {way}"
    plain = not (way.framed or way.turned)
    reason = refusal("conv", problem, name, dtype, way) if plain else None
    if reason is not None:
        p = conv.ConvProblem(*problem, way.last)
        code = ord(np.dtype(dtype).char)
        assert p.chosen("conv", code, name, False, not way.packed, way.threads, way.workspace) is None, said
        return False
    x, w, b, expected = posed(problem)
    whole, y = target(problem, dtype, way.last, way.framed)
    weights = w.astype(dtype)
    given = turned(weights, problem.groups, way.turned) if way.turned else weights
    bias = b.astype(dtype) if way.bias else None
    served = run(problem, name, laid(x.astype(dtype), way.last), given, bias, y, way) is not None
    assert served or not plain, f"{said}: refused, but the engine has nothing to say against it"
    if not served:
        return False
    if way.bias:
        expected = expected + b.reshape(-1, *(1,) * len(problem.size))
    margin = 2e-6 * 9 * problem.icg * np.prod(problem.kernel) if name in ROUNDING else 0
    same = np.abs(y - expected) <= margin
    assert same.all(), f"{said}: {(~same).sum()} of {same.size} differ, first at {np.argwhere(~same)[0]}"
    y[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"
    return True


def check_bits(problem: Problem, name: str, ways: list[Way], dtype: str = "float32") -> int:
    """Run a problem on random numbers in several ways, which must agree in every bit; return how many are served."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in shapes(problem))
    results = []
    for way in ways:
        _, y = target(problem, dtype, way.last)
        given = turned(w, problem.groups, way.turned) if way.turned else w
        if run(problem, name, laid(x, way.last), given, None, y, way) is not None:
            results.append(y.tobytes("C"))
    assert len(set(results)) <= 1, f"{name}, {problem}: the bits differ"
    return len(results)
