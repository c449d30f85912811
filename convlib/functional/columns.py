"""Windows as columns and back, over any number of spatial axes."""

from __future__ import annotations

from typing import Any

from .. import dtypes, registry, storage
from ..spec import frozen, make_col2im, make_columns, shape
from ._common import Array, ArrayLike, take
from ._words import hinting


@hinting
def im2col(
    x: ArrayLike, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, backend: str | None = None
) -> Array:
    """Lay the windows of an input out as the columns of a matrix.

    Parameters
    ----------
    x : array_like, shape (N, C, *spatial) or (C, *spatial)
        Input with any number of spatial axes: as many as `kernel_size` has entries.  If that is one integer, the first
        two axes are N and C.
    kernel_size : int or sequence of int
        Size of the window.
    stride : int or sequence of int, default 1
        Step between windows.
    padding : int, sequence or str, default 0
        Zeros around the input, in any of the forms of `conv2d`.
    dilation : int or sequence of int, default 1
        Distance between the elements of a window; 1 means adjacent.
    backend : str, optional
        Name from `backends`; by default the automatic choice.

    Returns
    -------
    cols : ndarray, shape (N, C * prod(kernel_size), L), dtype of `x`
        One column per window, windows in row-major order; rows ordered by channel, then kernel position.

    Raises
    ------
    SpecError
        If sizes or options break a rule.

    See Also
    --------
    col2im : The adjoint.

    Notes
    -----
    Known as ``unfold`` in PyTorch.  A convolution is one matrix product with these columns; no backend of convlib needs
    them whole, so this function is for other uses.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import im2col
    >>> im2col(np.arange(9).reshape(1, 1, 3, 3), 2)
    array([[[0, 1, 3, 4],
            [1, 2, 4, 5],
            [3, 4, 6, 7],
            [4, 5, 7, 8]]])
    """
    array_type, (x,) = take(x=x)
    spec = make_columns(x.shape, frozen(kernel_size), frozen(stride), frozen(padding), frozen(dilation))
    dtypes.check("x", x.dtype)
    choice = registry.select("im2col", spec, x.dtype.newbyteorder("="), backend, array_type)
    columns: Array = choice.backend.im2col(spec, x)
    return columns


@hinting
def col2im(
    cols: ArrayLike, output_size: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    backend: str | None = None,
) -> Array:  # fmt: skip
    """Sum columns back to the places that `im2col` read them from.

    Parameters
    ----------
    cols : array_like, shape (N, C * prod(kernel_size), L) or (C * prod(kernel_size), L)
        Columns, as `im2col` makes them.
    output_size : int or sequence of int
        Spatial size of the result; its length is the number of spatial axes.
    kernel_size : int or sequence of int
        Size of the window.
    stride : int or sequence of int, default 1
        Step between windows.
    padding : int, sequence or str, default 0
        As in `im2col`; what falls into the padding is dropped.
    dilation : int or sequence of int, default 1
        Distance between the elements of a window; 1 means adjacent.
    backend : str, optional
        Name from `backends`; by default the automatic choice.

    Returns
    -------
    x : ndarray, shape (N, C, *output_size) or (C, *output_size)
        Each element is the sum of the columns' elements that stand for it.

    Raises
    ------
    SpecError
        If sizes or options break a rule.

    See Also
    --------
    im2col : The adjoint: ``sum(im2col(x) * cols) == sum(x * col2im(cols))``.

    Notes
    -----
    Known as ``fold`` in PyTorch and ``Col2Im`` in ONNX.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import col2im, im2col
    >>> col2im(im2col(np.ones((1, 3, 3)), (2, 2)), (3, 3), 2)
    array([[[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]]])
    """
    array_type, (cols,) = take(cols=cols)
    size = shape("output_size", [output_size] if isinstance(output_size, int) else output_size)
    spec = make_col2im(cols.shape, size, frozen(kernel_size), frozen(stride), frozen(padding), frozen(dilation))
    dtype = dtypes.for_sums(cols=cols.dtype)[1]
    choice = registry.select("col2im", spec, dtype, backend, array_type)
    image: Array = storage.col2im(choice.backend, spec, cols)
    return image
