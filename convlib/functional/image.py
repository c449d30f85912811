"""Filtering of images as image people hold them: H×W or H×W×C."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..errors import SpecError, quote
from ..spec import make_filter
from ._common import Array, ArrayLike, plain, take
from ._words import hinting
from .conv import conv2d


@hinting
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
    spec = make_filter(image.shape, kernel.shape, mode, boundary, flip)
    dtypes.for_sums(image=image.dtype, kernel=kernel.dtype)  # refuses what are no numbers, by these names
    grey = image.ndim == 2
    target = plain(out)
    if out is not None:
        given, shape = getattr(out, "shape", None), spec.out_size if grey else spec.y_shape
        if given is None:
            raise TypeError(f"out must be an array, not {type(out).__name__}")
        if given != shape:
            raise SpecError(f"out has the shape {quote(given)}; the result has {shape}")
        target = target[:, :, None] if grey else target
    w = np.broadcast_to(kernel, (spec.c, 1, *kernel.shape))
    y = conv2d(
        image[:, :, None] if grey else image, w, padding=mode, groups=spec.groups, padding_mode=boundary, flip=flip,
        layout="NHWC", out=target, backend=backend,
    )  # fmt: skip
    if out is not None:
        return out
    return y[:, :, 0] if grey else y
