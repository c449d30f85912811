"""What the functions of this package ask of their arguments, and how they say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import dtypes
from ..errors import SpecError, quote
from ..spec.arguments import integer

Array: TypeAlias = NDArray[Any]

#: Which function takes an image of so many axes.
ELSEWHERE = {"(h, w)": "with channels, use corr2d_multi_in", "(c_i, h, w)": "one channel alone is X[None]"}


def numbers(name: str, value: Any) -> Array:
    """Return an array of real numbers."""
    found = dtypes.as_array(name, value)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, not {type(value).__name__} of {found.dtype}")
    return found


def array(name: str, value: Any, axes: str) -> Array:
    """Return an array with the axes that are named, each of at least one element."""
    found = numbers(name, value)
    if found.ndim != axes.count(",") + 1:
        hint = ELSEWHERE.get(axes, "")
        raise SpecError(
            f"{name} has {found.ndim} axes {found.shape}; expected {axes.count(',') + 1}: {axes}"
            + (f"; {hint}" if hint and name == "X" else "")
        )
    if not found.size:
        raise SpecError(f"{name} has the shape {found.shape}, no elements; each axis needs at least 1")
    return found


def biases(U: Any, units: tuple[int, ...]) -> Array:
    """Return one number, or one per unit."""
    found = numbers("U", U)
    if found.shape not in ((), units):
        raise SpecError(f"U has the shape {found.shape}; expected one number, or {units}, one per unit")
    return found


def check_size(name: str, value: Any) -> tuple[int, int]:
    """Return a height and a width."""
    size = pair(name, value, "height and width")
    if min(size) < 1:
        raise SpecError(f"{name}={quote(value)} must be at least 1 high and 1 wide, such as (2, 2)")
    return size


def pair(name: str, value: Any, what: str) -> tuple[int, int]:
    """Return two integers, down and to the right."""
    found = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(found) != 2 or not all(isinstance(n, (int, np.integer)) for n in found):
        both = (value, value) if type(value) is int else (2, 2)
        raise TypeError(f"{name}={quote(value)} must be two integers, {what}, such as {both}")
    return integer(name, int(found[0])), integer(name, int(found[1]))


def check_fits(name: str, window: Sequence[int], image: Sequence[int]) -> None:
    """Raise SpecError unless a window fits into an image."""
    if window[0] > image[0] or window[1] > image[1]:
        most = min(window[0], image[0]), min(window[1], image[1])
        raise SpecError(
            f"{name} is a window of {tuple(window)}, which fits nowhere into X {tuple(image)}; use one of at most "
            f"{most}, or extend X, as np.pad(X, 1) does"
        )


def check_channels(name: str, shape: Sequence[int], axis: int, image: Sequence[int]) -> None:
    """Raise SpecError unless there is a window for each input channel."""
    if shape[axis] != image[0]:
        raise SpecError(
            f"X {tuple(image)} has {image[0]} channels and {name} {tuple(shape)} has windows for {shape[axis]}; axis "
            f"{axis} of {name} must be {image[0]}"
        )
