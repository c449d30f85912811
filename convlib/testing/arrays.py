"""The arrays of the conformance cases: what they hold, and how they lie in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import dtypes, functional
from ..errors import SpecError, did_you_mean
from ..functional._common import element_type
from ..spec.arguments import integer, shape as sizes
from ..spec.sizes import check_array
from .cases import Case, cases

Array = NDArray[Any]


def integer_array(shape: tuple[int, ...], dtype: Any, seed: int) -> Array:
    """Return small integers as `dtype`: sums of their products are exact in every floating type from float16 up.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype
        Type of its elements.
    seed : int
        The same seed gives the same integers.

    Returns
    -------
    a : ndarray
        Integers from -3 to 3, or from 0 if the type has no sign.

    Raises
    ------
    SpecError
        If a size or the seed is negative, or the array would have 2**62 bytes of the widest type or more.
    """
    shape, dtype = sizes("shape", shape), element_type("dtype", dtype)
    if integer("seed", seed) < 0:
        raise SpecError(f"seed={seed} must be at least 0")
    check_array("an integer_array", shape)
    rng = np.random.default_rng(seed)
    kind = dtype.kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    low = 0 if kind == "u" else -3
    if kind == "c":
        return (rng.integers(-3, 4, shape) + 1j * rng.integers(-3, 4, shape)).astype(dtype)
    return rng.integers(low, 4, shape).astype(dtype)


def error_bound(terms: int, dtype: Any) -> float:
    """Return the relative error that a sum of `terms` products may have, as a share of the sum of absolute products.

    ``(terms + 16) * eps`` bounds summation in any order (Higham, Accuracy and Stability of Numerical Algorithms,
    section 4.2); the suite measures it against the largest sum of absolute products of the call, which gives transforms
    (Winograd, Fourier) the room that their analysis asks for.

    Parameters
    ----------
    terms : int
        Products per sum.
    dtype : dtype
        The floating type that is computed in.

    Returns
    -------
    bound : float
        Relative error.
    """
    kind = element_type("dtype", dtype)
    if kind.kind not in "fc":
        raise TypeError(f"dtype={kind} does not round; give a floating type, such as 'float32'")
    return dtypes.error_bound(integer("terms", terms), kind)


def arrays_of(case: Case) -> list[Array]:
    """Return the arrays of a case, always the same ones."""
    seed = zlib.crc32(case.name.encode())
    made = []
    for position, shape in enumerate(case.arrays):
        dtype = case.dtypes[min(position, len(case.dtypes) - 1)]
        fill = "small" if case.fill == "large" and position else case.fill
        made.append(_filled(shape, dtype, seed + position, fill).copy())
    if case.fill == "norms":
        forward = getattr(functional, case.call.removesuffix("_grad_input"))
        made[-1] = forward(made[1], *case.args, **case.options, backend="naive")
    return made


def case_arrays(name: str) -> tuple[Array, ...]:
    """Return the arrays of a check of the conformance suite, by its name.

    Parameters
    ----------
    name : str
        As a report writes it: a case such as "conv2d-plain", or a variant of one such as "conv2d-plain/gaps".

    Returns
    -------
    arrays : tuple of ndarray
        Always the same ones.

    Raises
    ------
    SpecError
        If there is no such case.

    Examples
    --------
    >>> from convlib.testing import case_arrays
    >>> [a.shape for a in case_arrays("conv2d-plain")]
    [(2, 3, 7, 6), (4, 3, 3, 3), (4,)]
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be that of a case, such as 'conv2d-plain', not {type(name).__name__}")
    stem, _, variant = name.partition("/")
    known = {case.name: case for case in cases()}
    if variant == "random":
        stem, _, dtype = stem.rpartition("-")
        known = {case: replace(known[case], name=f"{case}-{dtype}", dtypes=(dtype,)) for case in known if case == stem}
    if stem not in known:
        raise SpecError(f"there is no case {stem!r}{did_you_mean(stem, known)}")
    made = random_arrays(known[stem]) if variant == "random" else arrays_of(known[stem])
    return tuple(VARIANTS[variant](a) if variant in VARIANTS else a for a in made)


@lru_cache(maxsize=4096)  # the same for every backend, and small
def _filled(shape: tuple[int, ...], dtype: str, seed: int, fill: str) -> Array:
    a = integer_array(shape, dtype, seed)
    rng = np.random.default_rng(seed + 99)
    if fill == "nan":
        a[rng.random(shape) < 0.1] = np.nan
    elif fill == "inf":
        a[rng.random(shape) < 0.1] = np.inf
        a[rng.random(shape) < 0.1] = -np.inf
    elif fill == "large":
        a += np.asarray(2**54, a.dtype)
    elif fill == "indices" and a.dtype.kind in "iu" and a.dtype.itemsize != 2:
        a[...] = rng.integers(-1 if a.dtype.kind == "i" else 0, 5, shape)
    elif fill == "ties":
        a[...] = rng.integers(0, 2, shape)
    elif fill == "extremes":
        info = np.finfo(a.dtype) if a.dtype.kind == "f" else np.iinfo(a.dtype)
        a[rng.random(shape) < 0.4] = info.min
        a[rng.random(shape) < 0.1] = info.max
    return a


def random_arrays(case: Case) -> list[Array]:
    """Return normally distributed arrays for a case, always the same ones."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    return [rng.standard_normal(shape).astype(case.dtypes[0]) for shape in case.arrays]


def read_only(a: Array) -> Array:
    """Return a copy that cannot be written."""
    a = a.copy()
    a.flags.writeable = False
    return a


def _gaps(a: Array) -> Array:
    wide = np.full(tuple(2 * size for size in a.shape), 99).astype(a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def _misaligned(a: Array) -> Array:
    buffer = np.empty(a.nbytes + 1, np.uint8)[1:]
    view = buffer.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def broadcast(a: Array) -> Array:
    """Return an array of the same shape that repeats its first elements with stride 0."""
    return np.broadcast_to(a[:1, :1, ...], a.shape) if a.ndim > 1 else a


VARIANTS: dict[str, Callable[[Array], Array]] = {
    "read-only": read_only,
    "fortran": np.asfortranarray,
    "gaps": _gaps,
    "negative-strides": lambda a: a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim],
    "misaligned": _misaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "stride-0": broadcast,
}
