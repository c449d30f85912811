"""Filtering of images as image people hold them: H×W or H×W×C."""

from __future__ import annotations

import numpy as np

from ..errors import SpecError
from ..spec.arguments import choice
from ._common import Array, ArrayLike, take
from .conv import conv2d


def filter2d(
    image: ArrayLike, kernel: ArrayLike, *, mode: str = "same", boundary: str = "reflect", flip: bool = False,
    out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Filter an image with one kernel, each colour channel on its own.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, C)
        Grey or colour image.
    kernel : array_like, shape (KH, KW)
        Filter weights.
    mode : {"same", "valid", "full"}, default "same"
        Size of the result: that of the image, of the positions where the kernel lies inside it, or of all where they
        touch.
    boundary : str, default "reflect"
        How the image goes on beyond its edge, by `numpy.pad`'s names as in `conv2d`; "constant" means zeros.
    flip : bool, default False
        Flip the kernel: true convolution instead of cross-correlation.
    out : ndarray, optional
        Where the result goes.
    backend : str, optional
        Name from `backends`; by default the automatic choice.

    Returns
    -------
    y : ndarray, shape (OH, OW) or (OH, OW, C)
        With an even kernel and "same" the odd element of padding lies at the end, as in `conv2d`.

    Raises
    ------
    SpecError
        If a shape or an option breaks a rule.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import filter2d
    >>> filter2d(np.array([[0, 1, 4, 9]]), [[-1, 1]], mode="valid")
    array([[1, 3, 5]])
    """
    _, (image, kernel) = take(image=image, kernel=kernel)
    if image.ndim not in (2, 3):
        raise SpecError(f"image has {image.ndim} axes {image.shape}; expected (H, W) or (H, W, C)")
    if kernel.ndim != 2:
        raise SpecError(f"kernel has {kernel.ndim} axes {kernel.shape}; expected (KH, KW)")
    padding = choice("mode", mode, ("same", "valid", "full"))
    x = image if image.ndim == 3 else image[:, :, None]
    channels = x.shape[2]
    w = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    if out is not None and image.ndim == 2:
        if getattr(out, "ndim", 0) != 2:
            raise SpecError(f"out must be an array of shape (OH, OW) like the image, not {np.shape(out)}")
        out = out[:, :, None]
    y = conv2d(
        x, w, padding=padding, groups=max(1, channels), padding_mode=boundary, flip=flip, layout="NHWC", out=out,
        backend=backend,
    )  # fmt: skip
    return y if image.ndim == 3 else y[:, :, 0]
