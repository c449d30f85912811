"""From a fully connected layer to a convolution, in code: equivariance and locality, and what they remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import SpecError
from ..spec.arguments import integer
from ..spec.sizes import check_array
from .checks import Array, array, biases, check_size, pair


def dense(X: Array, W: Array, U: Any = 0.0) -> Array:
    """Connect every pixel of an image with every unit of a hidden layer: a fully connected layer.

    Parameters
    ----------
    X : ndarray, shape (h, w)
        Image.
    W : ndarray, shape (m, n, h, w)
        A weight for each pair of a unit and a pixel.
    U : float or ndarray, shape (m, n), default 0
        Bias of each unit.

    Returns
    -------
    H : ndarray, shape (m, n)
        ``H[i, j] = U[i, j] + sum(W[i, j, k, l] * X[k, l])`` over all ``k`` and ``l``.

    Raises
    ------
    SpecError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import dense
    >>> dense(np.ones((2, 3)), np.ones((2, 3, 2, 3)), 1)
    array([[7., 7., 7.],
           [7., 7., 7.]])
    """
    X, W = array("X", X, "(h, w)"), array("W", W, "(m, n, h, w)")
    if W.shape[2:] != X.shape:
        raise SpecError(f"W {W.shape} has weights for images of {W.shape[2:]}, and X is {X.shape}; they must agree")
    H: Array = biases(U, W.shape[:2]) + (W * X).sum((2, 3))
    return H


def offset_weights(W: Array) -> Array:
    """Sort the weights of a fully connected layer by offset: from ``W[i, j, k, l]`` to ``V[i, j, a, b]``.

    Parameters
    ----------
    W : ndarray, shape (h, w, h, w)
        A weight for each pair of a unit and a pixel; as many units as pixels.

    Returns
    -------
    V : ndarray, shape (h, w, 2h - 1, 2w - 1)
        The same weights: pixel ``k`` lies ``a = k - i`` below unit ``i``, so that ``V[i, j, a + h - 1, b + w - 1]`` is
        ``W[i, j, i + a, j + b]``.  Offsets that lead out of the image have the weight 0.

    Raises
    ------
    SpecError
        If there are not as many units as pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import offset_weights
    >>> W = np.arange(9).reshape(1, 3, 1, 3)  # three pixels in a row
    >>> W[0, :, 0]
    array([[0, 1, 2],
           [3, 4, 5],
           [6, 7, 8]])
    >>> offset_weights(W)[0, :, 0]  # offsets -2 to 2
    array([[0, 0, 0, 1, 2],
           [0, 3, 4, 5, 0],
           [6, 7, 8, 0, 0]])
    """
    W = array("W", W, "(h, w, h, w)")
    h, w = W.shape[:2]
    if W.shape[2:] != (h, w):
        raise SpecError(f"W {W.shape} connects {W.shape[2:]} pixels with {(h, w)} units; offsets need as many of both")
    V = np.zeros((h, w, 2 * h - 1, 2 * w - 1), W.dtype)
    for i in range(h):
        for j in range(w):
            V[i, j, h - 1 - i : 2 * h - 1 - i, w - 1 - j : 2 * w - 1 - j] = W[i, j]
    return V


def dense_by_offset(X: Array, V: Array, U: Any = 0.0) -> Array:
    """Do what `dense` does, with weights numbered by offset.

    Parameters
    ----------
    X : ndarray, shape (h, w)
        Image.
    V : ndarray, shape (h, w, 2h - 1, 2w - 1)
        Weights by offset, as `offset_weights` gives them.
    U : float or ndarray, shape (h, w), default 0
        Bias of each unit.

    Returns
    -------
    H : ndarray, shape (h, w)
        ``H[i, j] = U[i, j] + sum(V[i, j, a, b] * X[i + a, j + b])`` over the offsets inside the image.

    Raises
    ------
    SpecError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import dense, dense_by_offset, offset_weights
    >>> X, W = np.arange(6).reshape(2, 3), np.arange(36).reshape(2, 3, 2, 3)
    >>> bool((dense_by_offset(X, offset_weights(W)) == dense(X, W)).all())
    True
    """
    X, V = array("X", X, "(h, w)"), array("V", V, "(h, w, 2h - 1, 2w - 1)")
    h, w = X.shape
    if V.shape != (h, w, 2 * h - 1, 2 * w - 1):
        raise SpecError(f"V has the shape {V.shape}; for X {X.shape} it must be {(h, w, 2 * h - 1, 2 * w - 1)}")
    U = biases(U, (h, w))
    H: Array = np.zeros((h, w), np.result_type(X, V, U))
    for i in range(h):
        for j in range(w):
            H[i, j] = (V[i, j, h - 1 - i : 2 * h - 1 - i, w - 1 - j : 2 * w - 1 - j] * X).sum()
    H += U
    return H


def kernel_weights(K: Array, size: tuple[int, int]) -> Array:
    """Write a kernel as the weights of a fully connected layer: nearly all of them are 0, the others repeat.

    Parameters
    ----------
    K : ndarray, shape (k_h, k_w)
        Kernel.
    size : tuple of two int
        Height ``h`` and width ``w`` of the image.

    Returns
    -------
    W : ndarray, shape (h - k_h + 1, w - k_w + 1, h, w)
        ``dense(X, W)`` is ``corr2d(X, K)``.

    Raises
    ------
    SpecError
        If the kernel does not fit into the image.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d, dense, kernel_weights
    >>> X, K = np.arange(12.0).reshape(3, 4), np.array([[1, 2], [3, 4]])
    >>> W = kernel_weights(K, X.shape)
    >>> W.size, int(np.count_nonzero(W)), K.size
    (72, 24, 4)
    >>> bool((dense(X, W) == corr2d(X, K)).all())
    True
    """
    K, (h, w) = array("K", K, "(k_h, k_w)"), check_size("size", size)
    k_h, k_w = K.shape
    if k_h > h or k_w > w:
        raise SpecError(f"K {K.shape} fits nowhere into an image of {(h, w)}; use a kernel of at most that size")
    shape = h - k_h + 1, w - k_w + 1, h, w
    check_array("W", shape)
    W = np.zeros(shape, K.dtype)
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            W[i, j, i : i + k_h, j : j + k_w] = K
    return W


def shift(X: Array, by: tuple[int, int]) -> Array:
    """Move an image down and to the right; zeros come in where it leaves.

    Parameters
    ----------
    X : ndarray, shape (h, w)
        Image.
    by : tuple of two int
        Rows down and columns to the right; negative numbers move up and left.

    Returns
    -------
    moved : ndarray, shape (h, w)
        ``moved[i, j] = X[i - by[0], j - by[1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import shift
    >>> shift(np.array([[1, 2], [3, 4]]), (0, 1))
    array([[0, 1],
           [0, 3]])
    """
    X = array("X", X, "(h, w)")
    moved = np.zeros_like(X)
    (h, w), (down, right) = X.shape, pair("by", by, "down and to the right")
    if abs(down) < h and abs(right) < w:
        moved[max(0, down) : h + min(0, down), max(0, right) : w + min(0, right)] = X[
            max(0, -down) : h + min(0, -down), max(0, -right) : w + min(0, -right)
        ]
    return moved


def equivariance_error(f: Callable[[Array], Array], X: Array, by: tuple[int, int] = (1, 1), step: int = 1) -> float:
    """Measure how far a function is from commuting with shifts: it is translation equivariant where this is 0.

    Parameters
    ----------
    f : callable
        From an image to an image.
    X : ndarray, shape (h, w)
        Image.
    by : tuple of two int, default (1, 1)
        How far it is moved down and to the right; at least 0.
    step : int, default 1
        Stride of `f`: pixels of the image from one element of the result to the next; must divide `by`.

    Returns
    -------
    error : float
        Largest difference of ``f(shift(X, by))`` and ``shift(f(X), by / step)``, without the rows and columns that came
        in from outside.

    Raises
    ------
    SpecError
        If `step` does not divide `by`, or nothing is left to compare.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d, dense, equivariance_error
    >>> rng = np.random.default_rng(0)
    >>> X, K, W = rng.integers(0, 9, (6, 6)), rng.integers(0, 9, (3, 3)), rng.integers(0, 9, (6, 6, 6, 6))
    >>> equivariance_error(lambda X: corr2d(X, K), X)  # a convolution moves along
    0.0
    >>> equivariance_error(lambda X: dense(X, W), X) > 0  # a fully connected layer does not
    True
    """
    X, (down, right), step = array("X", X, "(h, w)"), pair("by", by, "down and to the right"), integer("step", step)
    if min(down, right) < 0 or step < 1 or down % step or right % step:
        raise SpecError(f"by={by} must be at least 0 and step={step} must divide it, such as by={(max(1, step),) * 2}")
    down, right = down // step, right // step
    before, after = f(X), f(shift(X, by))
    h, w = before.shape
    if down >= h or right >= w:
        raise SpecError(f"by={by} moves all of the result {before.shape} out of sight; move less, or use a larger X")
    return float(np.abs(after[down:, right:] - before[: h - down, : w - right]).max())


def influence(f: Callable[[Array], Array], X: Array, place: tuple[int, int]) -> Array:
    """Find the outputs that one pixel can change: a function is local where they are few and near.

    Parameters
    ----------
    f : callable
        From an image to an image.
    X : ndarray, shape (h, w)
        Image.
    place : tuple of two int
        Row and column of the pixel.

    Returns
    -------
    changed : ndarray of bool, shape of ``f(X)``
        Where the result differs once the pixel is larger by 1.

    Raises
    ------
    SpecError
        If the pixel lies outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.textbook import corr2d, influence
    >>> influence(lambda X: corr2d(X, np.ones((2, 2))), np.zeros((4, 5)), (1, 1)).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [0, 0, 0, 0]])
    """
    X = array("X", X, "(h, w)")
    place = pair("place", place, "row and column")
    if not (0 <= place[0] < X.shape[0] and 0 <= place[1] < X.shape[1]):
        raise SpecError(f"place={place} lies outside X {X.shape}; rows and columns count from 0")
    other = X.copy()
    other[place] += 1
    changed: Array = f(other) != f(X)
    return changed
