"""Arrays as images: kernels in two colours round zero, feature maps in grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import SpecError
from ..spec.arguments import flag, integer
from .geometry import given
from .scene import Frame, Panel, Scene, grid, number

MOST_IMAGES, MOST_PIXELS = 256, 512


def _images(name: str, arrays: Any, axes: tuple[int, ...]) -> Any:
    """Return an array of images as (images, rows, columns)."""
    found = given(name, arrays, axes)
    if found.values is None:
        raise TypeError(f"{name} must be an array of numbers, not a shape {found.shape}")
    if found.values.dtype.kind == "c":
        raise TypeError(f"{name} holds complex numbers, which have no shade; give their absolute values")
    values = found.values.reshape(math.prod(found.shape[:-2]), *found.shape[-2:])
    if not 0 < len(values) <= MOST_IMAGES or not values.size or max(values.shape[1:]) > MOST_PIXELS:
        raise SpecError(
            f"{name} {found.shape} holds {len(values)} images; a picture shows 1 to {MOST_IMAGES}, of at most "
            f"{MOST_PIXELS} pixels a side"
        )
    if not np.isfinite(values).all():
        raise SpecError(f"{name} holds NaN or infinity, which has no shade; replace it, as numpy.nan_to_num does")
    return values.astype(np.float64)


def _panel(title: str, values: Any, seen: Any, signed: bool) -> Panel:
    """Shade an image by what is `seen` along with it: round zero, or from the least number to the largest."""
    low, high = float(seen.min()), float(seen.max())
    scaled = values / (max(-low, high) or 1) if signed else (values - low) / ((high - low) or 1)
    small, size = values.size <= 100, values.shape
    return Panel(
        title=title,
        text=grid(size, lambda row, column: number(round(values[row, column], 2)) if small else ""),
        role=grid(size, lambda *_: "image"),
        shade=grid(size, lambda row, column: round(float(scaled[row, column]), 3)),
        signed=signed,
    )


def _sheet(title: str, values: Any, titles: Sequence[str], columns: int, together: bool, signed: bool) -> Scene:
    """Return a scene of one frame with all images, in rows of so many."""
    if len(titles) != len(values):
        raise SpecError(f"titles has {len(titles)} entries; give {len(values)}, one per image")
    width = min(integer("columns", columns), len(values))
    if width < 1:
        raise SpecError(f"columns={columns} must be at least 1")
    panels = [
        _panel(name, image, values if flag("together", together) else image, signed)
        for name, image in zip(titles, values, strict=True)
    ]
    stacks = tuple(tuple(panels[column::width]) for column in range(width))
    frame = Frame(columns=stacks, signs=("",) * (width - 1))
    return Scene(title, 1, lambda _: frame)


def kernels(w: Any, *, titles: Sequence[str] | None = None, columns: int = 8) -> Scene:
    """Show kernels in one scale: red is positive, white is zero, blue is negative.

    Parameters
    ----------
    w : array_like, shape (kh, kw), (k, kh, kw) or (oc, c, kh, kw)
        Kernels; numbers stand in those of at most 100 elements.
    titles : sequence of str, optional
        What stands above each.
    columns : int, default 8
        Kernels in a row.

    Returns
    -------
    scene : Scene
        One frame.

    Raises
    ------
    SpecError
        If there are too many, or one holds NaN or infinity.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.kernels([[1, -1]], titles=["edge"]).frame(0).columns[0][0].shade)
    ((1.0, -1.0),)
    """
    values = _images("w", w, (2, 3, 4))
    shape = np.shape(w)
    if titles is None:
        inner = shape[1] if len(shape) == 4 else 1
        titles = [
            f"{k}" if inner == 1 else f"{k // inner},{k % inner}" for k in range(len(values))
        ]
    return _sheet("kernels", values, titles, columns, True, True)


def feature_maps(y: Any, *, titles: Sequence[str] | None = None, columns: int = 8, together: bool = False) -> Scene:
    """Show feature maps: grey from the least to the largest, or red and blue round zero if there are negative numbers.

    Parameters
    ----------
    y : array_like, shape (h, w), (c, h, w) or (1, c, h, w)
        Maps, or any images.
    titles : sequence of str, optional
        What stands above each; their numbers by default.
    columns : int, default 8
        Maps in a row.
    together : bool, default False
        Whether all have one scale; by default each has its own.

    Returns
    -------
    scene : Scene
        One frame.

    Raises
    ------
    SpecError
        If there are too many, or one holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import show
    >>> print(show.feature_maps(np.eye(3)))
    feature maps
      0
      @@
        @@
          @@
    """
    values = _images("y", y, (2, 3, 4))
    names = [str(k) for k in range(len(values))] if titles is None else titles
    return _sheet("feature maps", values, names, columns, together, bool(values.min() < 0))
