"""A layer that learns its kernel."""

from __future__ import annotations

import numpy as np

from ..errors import SpecError
from ..spec.arguments import flag
from ..spec.sizes import check_array
from .checks import Array, check_size
from .operators import corr2d


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
        if not isinstance(rng, np.random.Generator | None):
            raise TypeError(f"rng must be a numpy.random.Generator or None, not {type(rng).__name__}")
        rng = np.random.default_rng() if rng is None else rng
        kernel_size = check_size("kernel_size", kernel_size)
        check_array("the kernel", kernel_size)
        self.weight: Array = rng.random(kernel_size)
        self.bias: Array | None = np.zeros(1) if flag("bias", bias) else None

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
        found = self.forward(X)
        if np.shape(Y) != found.shape:
            raise SpecError(f"Y has the shape {np.shape(Y)}; from X {np.shape(X)} this layer makes {found.shape}")
        error = found - Y
        grad_weight, grad_bias = self.backward(X, 2 * error)
        self.weight -= lr * grad_weight
        if self.bias is not None:
            self.bias -= lr * grad_bias
        return float((error**2).sum())
