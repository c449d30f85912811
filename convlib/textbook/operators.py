"""The operators as a learner writes them first, straight from the formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import SpecError
from ..spec.arguments import choice
from .checks import Array, array, check_channels, check_fits, check_size


def corr2d(X: Array, K: Array) -> Array:
    """Compute the two-dimensional cross-correlation: slide the kernel over the image, multiply and add.

    Parameters
    ----------
    X : ndarray, shape (n_h, n_w)
        Image.
    K : ndarray, shape (k_h, k_w)
        Kernel, the convolution window.

    Returns
    -------
    Y : ndarray, shape (n_h - k_h + 1, n_w - k_w + 1)
        Feature map: ``Y[i, j] = sum(X[i + a, j + b] * K[a, b])`` over all ``a`` and ``b``.

    Raises
    ------
    SpecError
        If the shapes do not fit; the message says what would.

    See Also
    --------
    convlib.conv2d : The same with batches, channels and options, and fast.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d
    >>> corr2d(np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2))
    array([[19., 25.],
           [37., 43.]])
    """
    X, K = array("X", X, "(h, w)"), array("K", K, "(k_h, k_w)")
    check_fits("K", K.shape, X.shape)
    h, w = K.shape
    Y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def corr2d_multi_in(X: Array, K: Array) -> Array:
    """Cross-correlate each input channel with its own slice of the kernel and add the results.

    Parameters
    ----------
    X : ndarray, shape (c_i, n_h, n_w)
        Image with channels, such as red, green and blue.
    K : ndarray, shape (c_i, k_h, k_w)
        One window per input channel.

    Returns
    -------
    Y : ndarray, shape (n_h - k_h + 1, n_w - k_w + 1)
        One feature map that has seen all channels.

    Raises
    ------
    SpecError
        If the numbers of channels differ, or the windows do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in
    >>> corr2d_multi_in(np.ones((3, 4, 4)), np.ones((3, 2, 2))).max().item()
    12.0
    """
    X, K = array("X", X, "(c_i, h, w)"), array("K", K, "(c_i, k_h, k_w)")
    check_channels("K", K.shape, 0, X.shape)
    total: Array = sum(corr2d(x, k) for x, k in zip(X, K, strict=True))  # type: ignore[assignment]  # the start is 0
    return total


def corr2d_multi_in_out(X: Array, K: Array) -> Array:
    """Cross-correlate with one kernel per output channel and stack the results.

    Parameters
    ----------
    X : ndarray, shape (c_i, n_h, n_w)
        Image with channels.
    K : ndarray, shape (c_o, c_i, k_h, k_w)
        For each output channel, one window per input channel.

    Returns
    -------
    Y : ndarray, shape (c_o, n_h - k_h + 1, n_w - k_w + 1)
        One feature map per output channel.

    Raises
    ------
    SpecError
        If the numbers of channels differ, or the windows do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in_out
    >>> corr2d_multi_in_out(np.ones((3, 4, 4)), np.ones((5, 3, 2, 2))).shape
    (5, 3, 3)
    """
    X, K = array("X", X, "(c_i, h, w)"), array("K", K, "(c_o, c_i, k_h, k_w)")
    check_channels("K", K.shape, 1, X.shape)
    return np.stack([corr2d_multi_in(X, k) for k in K], 0)


def corr2d_multi_in_out_1x1(X: Array, K: Array) -> Array:
    """Do what `corr2d_multi_in_out` does for a 1×1 kernel: a fully connected layer over the channels of each pixel.

    Parameters
    ----------
    X : ndarray, shape (c_i, h, w)
        Image with channels.
    K : ndarray, shape (c_o, c_i, 1, 1)
        Kernel of one pixel: ``c_o * c_i`` numbers that mix the channels.

    Returns
    -------
    Y : ndarray, shape (c_o, h, w)
        The height and width stay; only the number of channels changes.

    Raises
    ------
    SpecError
        If the numbers of channels differ, or the windows are not of one pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in_out_1x1
    >>> corr2d_multi_in_out_1x1(np.ones((3, 2, 2)), np.ones((2, 3, 1, 1))).tolist()
    [[[3.0, 3.0], [3.0, 3.0]], [[3.0, 3.0], [3.0, 3.0]]]
    """
    X, K = array("X", X, "(c_i, h, w)"), array("K", K, "(c_o, c_i, 1, 1)")
    check_channels("K", K.shape, 1, X.shape)
    if K.shape[2:] != (1, 1):
        raise SpecError(f"K has windows of {K.shape[2:]}; this function takes (1, 1), others take corr2d_multi_in_out")
    c_i, h, w = X.shape
    c_o = K.shape[0]
    Y = K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)
    return Y.reshape(c_o, h, w)


def pool2d(X: Array, pool_size: tuple[int, int], mode: str = "max") -> Array:
    """Pool an image with stride 1: the maximum or the average of each window.

    Parameters
    ----------
    X : ndarray, shape (n_h, n_w)
        Image; pooling treats each channel on its own, so one is enough here.
    pool_size : tuple of two int
        Height ``p_h`` and width ``p_w`` of the window.
    mode : {"max", "avg"}, default "max"
        What becomes of the numbers in the window.  Pooling has no parameters to learn.

    Returns
    -------
    Y : ndarray, shape (n_h - p_h + 1, n_w - p_w + 1)
        One number per window.

    Raises
    ------
    SpecError
        If `mode` is neither "max" nor "avg", or the window does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import pool2d
    >>> pool2d(np.arange(9.0).reshape(3, 3), (2, 2))
    array([[4., 5.],
           [7., 8.]])
    """
    choice("mode", mode, ("max", "avg"))
    X = array("X", X, "(h, w)")
    p_h, p_w = check_size("pool_size", pool_size)
    check_fits("pool_size", (p_h, p_w), X.shape)
    Y = np.zeros((X.shape[0] - p_h + 1, X.shape[1] - p_w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + p_h, j : j + p_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


def comp_conv2d(conv2d: Callable[[Array], Array], X: Array) -> Array:
    """Apply a layer for batches with channels to one image without either.

    Parameters
    ----------
    conv2d : callable
        Takes and returns arrays of shape (1, 1, h, w), as `convlib.layers.Conv2d` with one output channel does.
    X : ndarray, shape (h, w)
        Image.

    Returns
    -------
    Y : ndarray, shape (o_h, o_w)
        The result without its first two axes, batch and channel.

    Raises
    ------
    SpecError
        If the layer returns more than one image or channel.

    Examples
    --------
    >>> import numpy as np
    >>> import convlib
    >>> from convlib.textbook import comp_conv2d
    >>> w = np.ones((1, 1, 3, 3))
    >>> comp_conv2d(lambda x: convlib.conv2d(x, w, padding=1, stride=2), np.ones((8, 8))).shape
    (4, 4)
    """
    X = array("X", X, "(h, w)")
    Y = conv2d(X.reshape((1, 1, *X.shape)))
    if np.ndim(Y) != 4 or Y.shape[:2] != (1, 1):
        raise SpecError(f"the layer returned the shape {np.shape(Y)}; it must be (1, 1, h, w), one image and channel")
    return Y.reshape(Y.shape[2:])
