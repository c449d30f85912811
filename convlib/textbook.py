"""Convolution and pooling as a learner writes them first: a few lines of NumPy each, straight from the formula.

Nothing here uses the rest of the library, so that each function can be read on its own; the tests hold them against it.
Arrays are small by intention: one image ``(h, w)``, or its channels ``(c, h, w)``, no batches and no options.

Names follow the lectures: `X` is the input, `K` the kernel, `Y` the result, ``c_i`` and ``c_o`` count input and
output channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

__all__ = [
    "Conv2D", "comp_conv2d", "corr2d", "corr2d_multi_in", "corr2d_multi_in_out", "corr2d_multi_in_out_1x1", "pool2d",
]  # fmt: skip


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

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in
    >>> corr2d_multi_in(np.ones((3, 4, 4)), np.ones((3, 2, 2))).max().item()
    12.0
    """
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

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in_out
    >>> corr2d_multi_in_out(np.ones((3, 4, 4)), np.ones((5, 3, 2, 2))).shape
    (5, 3, 3)
    """
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

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d_multi_in_out_1x1
    >>> corr2d_multi_in_out_1x1(np.ones((3, 2, 2)), np.ones((2, 3, 1, 1))).tolist()
    [[[3.0, 3.0], [3.0, 3.0]], [[3.0, 3.0], [3.0, 3.0]]]
    """
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
    ValueError
        If `mode` is neither "max" nor "avg".

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import pool2d
    >>> pool2d(np.arange(9.0).reshape(3, 3), (2, 2))
    array([[4., 5.],
           [7., 8.]])
    """
    if mode not in ("max", "avg"):
        raise ValueError(f"mode={mode!r} is unknown; valid: 'max', 'avg'")
    p_h, p_w = pool_size
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

    Examples
    --------
    >>> import numpy as np
    >>> import convlib
    >>> from convlib.textbook import comp_conv2d
    >>> w = np.ones((1, 1, 3, 3))
    >>> comp_conv2d(lambda x: convlib.conv2d(x, w, padding=1, stride=2), np.ones((8, 8))).shape
    (4, 4)
    """
    X = X.reshape((1, 1, *X.shape))
    Y = conv2d(X)
    return Y.reshape(Y.shape[2:])


class Conv2D:
    """A convolutional layer: one kernel and one number added to every output.

    Parameters
    ----------
    kernel_size : tuple of two int
        Height and width of the kernel.
    bias : bool, default True
        Whether to add (and learn) a bias.
    rng : numpy.random.Generator, optional
        Where the kernel's first numbers come from, uniform between 0 and 1.

    Attributes
    ----------
    weight : ndarray, shape `kernel_size`
        The kernel: what is learned.
    bias : ndarray of shape (1,) or None
        Starts at 0.

    Examples
    --------
    Learn to find edges from one image and its edges:

    >>> import numpy as np
    >>> from convlib.textbook import Conv2D, corr2d
    >>> X = np.ones((6, 8))
    >>> X[:, 2:6] = 0
    >>> Y = corr2d(X, np.array([[1.0, -1.0]]))
    >>> layer = Conv2D((1, 2), bias=False, rng=np.random.default_rng(0))
    >>> losses = [layer.learn(X, Y, lr=0.03) for step in range(10)]
    >>> losses[0] / losses[-1] > 20
    True
    >>> bool(np.abs(layer.weight - [[1, -1]]).max() < 0.2)
    True
    """

    def __init__(
        self, kernel_size: tuple[int, int], *, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        rng = np.random.default_rng() if rng is None else rng
        self.weight: Array = rng.random(kernel_size)
        self.bias: Array | None = np.zeros(1) if bias else None

    def forward(self, X: Array) -> Array:
        """Return the feature map of an image, shape (n_h - k_h + 1, n_w - k_w + 1)."""
        Y = corr2d(X, self.weight)
        return Y if self.bias is None else Y + self.bias

    __call__ = forward

    def backward(self, X: Array, grad_Y: Array) -> tuple[Array, Array]:
        """Return the gradients of the kernel and of the bias, given that of the result.

        Parameters
        ----------
        X : ndarray, shape (n_h, n_w)
            The image that `forward` saw.
        grad_Y : ndarray, shape of the result
            By how much the loss grows with each output.

        Returns
        -------
        grad_weight : ndarray, shape of `weight`
            ``K[a, b]`` meets ``X[i + a, j + b]`` in ``Y[i, j]``, so its gradient is the sum of
            ``grad_Y[i, j] * X[i + a, j + b]``: the cross-correlation of the image with `grad_Y`.
        grad_bias : ndarray, shape (1,)
            The bias goes into every output once: the sum of `grad_Y`.
        """
        return corr2d(X, grad_Y), grad_Y.sum().reshape(1)

    def learn(self, X: Array, Y: Array, lr: float) -> float:
        """Take one step of gradient descent on the squared loss ``sum((forward(X) - Y) ** 2)``.

        Parameters
        ----------
        X : ndarray, shape (n_h, n_w)
            Image.
        Y : ndarray, shape of the result
            What the layer should return for it.
        lr : float
            Learning rate: how far to go against the gradient.

        Returns
        -------
        loss : float
            The squared loss before the step.
        """
        error = self.forward(X) - Y
        grad_weight, grad_bias = self.backward(X, 2 * error)
        self.weight -= lr * grad_weight
        if self.bias is not None:
            self.bias -= lr * grad_bias
        return float((error**2).sum())
