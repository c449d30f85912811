"""Complex numbers as pairs of real ones, for backends whose hooks know only these.

The real parts are channels of their own, and so are the imaginary ones, each beside its real part.  A weight
``a + bi`` becomes the four numbers of the matrix that multiplies by it, ``[[a, -b], [b, a]]``: four real products
for one complex one, in one call whose every sum is as long as two of the parts.  Its adjoint is the transpose of that
matrix, which multiplies by the conjugate: gradients need no conjugates beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends.base.contract import Array


def parts(a: Array) -> tuple[Array, Array | None]:
    """Return views of the real and the imaginary parts of numbers, None of those that have none."""
    return (a.real, a.imag) if a.dtype.kind == "c" else (a, None)


def channels(a: Array) -> tuple[Array, Array]:
    """Return views of the channels (N, C, *spatial) that hold real parts, and of those that hold imaginary ones."""
    return a[:, 0::2], a[:, 1::2]


def write(target: Array, a: Array) -> None:
    """Write numbers (N, C, *spatial) to pairs of channels."""
    for room, numbers in zip(channels(target), parts(a), strict=True):
        room[...] = 0 if numbers is None else numbers


def read(pairs: Array, target: Array) -> None:
    """Write pairs of channels (N, C, *spatial) to complex numbers."""
    target.real[...], target.imag[...] = channels(pairs)


def matrices(w: Array, dtype: np.dtype[Any], transposed: bool) -> Array:
    """Return weights as the matrices that multiply pairs by them; `transposed` by their conjugates."""
    outs, ins, *kernel = w.shape
    found = np.empty((outs, 2, ins, 2, *kernel), dtype)
    real, imaginary = parts(w)
    found[:, 0, :, 0] = found[:, 1, :, 1] = real
    minus, plus = found[:, 0, :, 1], found[:, 1, :, 0]
    if transposed:
        minus, plus = plus, minus
    minus[...] = plus[...] = 0 if imaginary is None else imaginary
    np.multiply(minus, -1, out=minus)  # np.negative (2.4.6) reads other elements where steps are of 16 bytes
    return found.reshape(2 * outs, 2 * ins, *kernel)


def sums(grad: Array, target: Array, transposed: bool) -> None:
    """Write the gradient of weights, given that of their matrices, of which each number stands twice."""
    found = grad.reshape(len(grad) // 2, 2, grad.shape[1] // 2, 2, *grad.shape[2:])
    np.add(found[:, 0, :, 0], found[:, 1, :, 1], out=target.real)
    minus, plus = found[:, 0, :, 1], found[:, 1, :, 0]
    np.subtract(*((minus, plus) if transposed else (plus, minus)), out=target.imag)
