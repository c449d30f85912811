"""Norms of windows by the engine's sums: powers of a part of the input, the sums of their windows, and the roots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import config
from ..spec import PoolSpec
from . import pool_slabs

Array = Any

#: Bytes of powers at once: they stay in a core's own cache, and a part repays what NumPy's calls cost.
_BYTES = 1 << 20


def serves(op: str, spec: PoolSpec, dtype: np.dtype[Any]) -> bool:
    """Return whether a pooling is one of these norms.

    The exponent is rounded to the type of the numbers, which changes no digit of a norm where p is 1 or more.
    """
    p = spec.norm
    return op == "pool" and dtype.kind == "f" and bool(np.isfinite(p)) and (p >= 1 or float(dtype.type(p)) == p)


def scratch(spec: PoolSpec, itemsize: int, adding: Callable[[PoolSpec], int]) -> int:
    """Return the bytes that `pool` takes; ``adding(spec)`` is what a sum takes."""
    kinds = {part: _nbytes(part, itemsize) for part, _, _ in _parts(spec, itemsize)}
    with config.scratch(_rest()):
        own = max((nbytes + adding(_sum(part)) for part, nbytes in kinds.items()), default=0)
    return max(own, pool_slabs.scratch(spec))


def power_of(value: float, spec: PoolSpec, dtype: np.dtype[Any]) -> float:
    """Return the power of a number as `pool_planes` has it."""
    with np.errstate(all="ignore"):
        return float(_powers(np.full(1, value, dtype), _norm(spec, dtype))[0])


def planes_at_once(spec: PoolSpec, itemsize: int) -> int:
    """Return the planes of a part of whole planes, 0 where one is too large; parts but the last are alike."""
    planes, one = spec.n * spec.c, _nbytes(replace(spec, n=1, c=1), itemsize)
    most = min(planes, _most() // one)
    return -(-planes // -(-planes // most)) if most else 0


def _norm(spec: PoolSpec, dtype: np.dtype[Any]) -> float:
    """Return the norm as numbers of this type have it, which may be infinite."""
    with np.errstate(over="ignore"):
        return float(dtype.type(spec.norm))


def pool_planes(
    part: PoolSpec, x: Array, y: Array, add: Callable[..., Any], widen: Callable[[Array], Array] | None
) -> bool:
    """Do as `pool` with planes without their padding, which ``add(powers, out=y)`` sees to; False if it cannot.

    ``widen(x)`` is a copy with that padding, of the sizes of `part`, if it holds anything.
    """
    p = _norm(part, x.dtype)
    with np.errstate(all="ignore"):
        powers = _powers(x, p)
        if add(powers, out=y) is None:
            return False
        exact = p == 1 or _exact(part, x, powers, y)
        if exact:
            _root(y, p)
    del powers
    if not exact:
        wide = x if widen is None else widen(x)
        with config.scratch(config.get_max_workspace() - (0 if widen is None else wide.nbytes)):
            pool_slabs.pool(part, wide, y, None)
    return True


def scratch_of_planes(part: PoolSpec, itemsize: int) -> int:
    """Return the bytes that `pool_planes` takes where powers are not exact."""
    nbytes = math.prod(part.x_shape) * itemsize
    with config.scratch(config.get_max_workspace() - nbytes):
        return nbytes + pool_slabs.scratch(part)


def pool(spec: PoolSpec, x: Array, y: Array, add: Callable[[PoolSpec, Array, Array], None]) -> None:
    """Fill `y` (N, C, *out) from `x` (N, C, *in); ``add(spec, powers, y)`` is a sum pooling.

    Powers have the type of `x`.  A part where one overflows, or a window's are so small that digits are lost, goes by
    powers of quotients in double precision.
    """
    p = _norm(spec, x.dtype)
    for part, at, to in _parts(spec, x.itemsize):
        values, total = x[at], y[to]
        with np.errstate(all="ignore"), config.scratch(_rest()):
            powers = _powers(values, p)
            add(_sum(part), powers, total)
            exact = p == 1 or _exact(part, values, powers, total)
        del powers
        if exact:
            with np.errstate(all="ignore"):
                _root(total, p)
        else:
            pool_slabs.pool(part, values, total, None)


def _sum(part: PoolSpec) -> PoolSpec:
    return replace(part, kind="sum", norm=0.0)


def _rest() -> int:
    return config.get_max_workspace() // 2


def _parts(spec: PoolSpec, itemsize: int) -> Iterator[Any]:
    return pool_slabs.parts(spec, lambda part: _nbytes(part, itemsize), _most())


def _most() -> int:
    return min(_BYTES, config.get_max_workspace() // 4)


def _nbytes(part: PoolSpec, itemsize: int) -> int:
    """Return the bytes of the powers, and of what is found out about the sums."""
    return part.n * part.c * (int(np.prod(part.in_size)) * itemsize + part.out_count)


def _powers(x: Array, p: float) -> Array:
    if p in (2, 3, 4):
        powers = np.square(x)
        if p == 4:
            np.square(powers, out=powers)
        elif p == 3:
            np.multiply(powers, x, out=powers)
            np.abs(powers, out=powers)
        return powers
    powers = np.abs(x)
    return powers if p == 1 else np.power(powers, p, out=powers)


def _root(total: Array, p: float) -> None:
    if p in (2, 4):
        np.sqrt(total, out=total)
        if p == 4:
            np.sqrt(total, out=total)
    elif p == 3:
        np.cbrt(total, out=total)
    elif p != 1:  # in double precision: the logarithm of a large sum has no digits to spare
        np.power(total, 1 / p, out=total, dtype=np.float64, casting="unsafe")


def _exact(part: PoolSpec, x: Array, powers: Array, total: Array) -> bool:
    """Return whether no power overflowed, and what underflowed is nothing beside the sum of its window."""
    if not total.size:
        return True
    least = 4 * part.taps_count * float(np.finfo(total.dtype).tiny)
    if not total.max() < np.inf:
        return False
    if total.min() >= least:
        return True
    if np.count_nonzero(total) != np.count_nonzero(total >= least):
        return False
    return bool(np.count_nonzero(powers) == np.count_nonzero(x))  # sums of 0 are those of zeros
