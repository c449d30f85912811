"""Gradients of pooling over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes, registry, storage
from ..spec import PoolSpec, frozen, make_adaptive, make_pool, make_scatter, shape
from ._common import Array, ArrayLike, per_rank, take
from ._short import short_gradient
from .pool import windows

_INDEXED = """Return the gradient of `<op><nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C, <out_axes>)
        Gradient with respect to the result.
    indices : array_like of int, shape of `grad_y`
        Where each extreme was found, as `<source><nd>d` returns it; -1 stands for an empty window.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        Each gradient at the place where its extreme was found; gradients that meet there add up.

    Raises
    ------
    SpecError
        If the shapes do not fit, or an index lies outside the plane of `x_shape`.
    TypeError
        If an argument has a wrong type, or the indices are no integers.
    BackendError
        If the backend asked for is unknown or cannot serve the call.

    See Also
    --------
    max_unpool<nd>d : Put values, not gradients, back.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import <op><nd>d_grad_input
    >>> indices = np.zeros((1, 1, <two>), int)
    >>> <op><nd>d_grad_input(np.ones(indices.shape), indices, (1, 1, <four>)).max().item()
    <taps>.0
"""


def _indexed(
    op: str, source: str
) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]:
    """Make the gradient functions of a pooling whose indices say all about it."""

    def grad_input(
        nd: int, grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW",
        out: Array | None = None, backend: str | None = None,
    ) -> Array:  # fmt: skip
        array_type, (grad_y, indices) = take(grad_y=grad_y, indices=indices)
        spec = make_scatter(nd, grad_y.shape, shape("x_shape", x_shape), layout)
        dtypes.check("grad_y", grad_y.dtype)
        dtype = dtypes.for_pool("sum", grad_y.dtype)[1]
        choice = registry.select("unpool", spec, dtype, backend, array_type)
        grad_x: Array = storage.unpool(choice.backend, spec, grad_y, indices, out, True, choice.named)
        return grad_x

    grad_input.__name__ = f"_{op}nd_grad_input"
    grad_input.__doc__ = _INDEXED.replace("<op>", op).replace("<source>", source)
    return per_rank(grad_input)


def _grad(
    array_type: str, spec: PoolSpec, grad_y: Any, x: Any, y: Any, out: Array | None, backend: str | None
) -> Array:
    dtypes.check("grad_y", grad_y.dtype)
    spec.check_grad("grad_y", grad_y.shape)
    spec = spec.of_gradient()
    dtype = dtypes.for_pool(spec.kind, grad_y.dtype)[1]
    choice = registry.select("pool_grad_input", spec, dtype, backend, array_type)
    grad_x: Array = storage.pool_grad_input(choice.backend, spec, grad_y, x, y, out, choice.named)
    return grad_x


def _sum_grad(
    nd: int, kind: str, grad_y: Any, x_shape: Any, options: tuple[Any, ...], out: Array | None, backend: str | None
) -> Array:
    """Return the gradient of averages or sums."""
    short = short_gradient("pool_grad_input", _sum_spec, nd, grad_y, None, x_shape, (kind, *options), backend, out=out)
    if short is not None:
        return short
    array_type, (grad_y,) = take(grad_y=grad_y)
    spec = make_pool(nd, kind, shape("x_shape", x_shape), *options)
    return _grad(array_type, spec, grad_y, None, None, out, backend)


def _sum_spec(nd: int, grad_y: tuple[int, ...], _: None, x_shape: Any, *options: Any) -> PoolSpec:
    spec = make_pool(nd, options[0], shape("x_shape", x_shape), *options[1:])
    spec.check_grad("grad_y", grad_y)
    return spec.of_gradient()


def _avg_poolnd_grad_input(
    nd: int, grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None,
    count_include_pad: bool = True, divisor_override: int | None = None, layout: str = "NCHW",
    out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `avg_pool<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C, <out_axes>)
        Gradient with respect to the result.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <windows>
    count_include_pad : bool, default True
        As in `avg_pool<nd>d`.
    divisor_override : int, optional
        As in `avg_pool<nd>d`.
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        For each element the sum over the windows that hold it of their gradient, divided as the average was.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import avg_pool<nd>d_grad_input
    >>> grad_x = avg_pool<nd>d_grad_input(np.ones((1, 1, <two>)), (1, 1, <four>), 2)
    >>> grad_x.shape, grad_x.max().item() == 1 / <taps>
    ((1, 1, <four>), True)
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, count_include_pad, divisor_override,
        mode=padding_mode, value=pad_value,
    )  # fmt: skip
    return _sum_grad(nd, "avg", grad_y, x_shape, options, out, backend)


def _sum_poolnd_grad_input(
    nd: int, grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `sum_pool<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C, <out_axes>)
        Gradient with respect to the result.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <windows>
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        For each element the sum of the gradients of the windows that hold it; exact for integers.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import sum_pool<nd>d_grad_input
    >>> sum_pool<nd>d_grad_input(np.ones((1, 1, <three>)), (1, 1, <four>), 2, stride=1).max().item()
    <taps>.0
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, mode=padding_mode, value=pad_value
    )
    return _sum_grad(nd, "sum", grad_y, x_shape, options, out, backend)


def _lp_poolnd_grad_input(
    nd: int, grad_y: ArrayLike, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None,
    padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant",
    pad_value: float | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `lp_pool<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C, <out_axes>)
        Gradient with respect to the result.
    <x>
    y : array_like, shape of `grad_y`
        The result, ``lp_pool<nd>d(x, p, kernel_size, ...)``.
    p : float
        The exponent, as in `lp_pool<nd>d`.
    <windows>
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape of `x`
        For each element the sum over its windows of ``grad_y * (abs(x) / y) ** (p - 1) * sign(x)``; 0 where `x` is 0.
        With ``p=math.inf`` each window's gradient goes to the first of its largest absolute values.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import lp_pool<nd>d, lp_pool<nd>d_grad_input
    >>> x = -np.ones((1, 1, <four>))
    >>> y = lp_pool<nd>d(x, 1, 2)
    >>> lp_pool<nd>d_grad_input(np.ones(y.shape), x, y, 1, 2).max().item()
    -1.0
    """
    array_type, (grad_y, x, y) = take(grad_y=grad_y, x=x, y=y)
    spec = make_pool(
        nd, "lp", x.shape, frozen(kernel_size), frozen(stride), frozen(padding), frozen(dilation), ceil_mode, norm=p,
        layout=layout, padding_mode=padding_mode, pad_value=pad_value,
    )  # fmt: skip
    spec.check_grad("y", y.shape)
    return _grad(array_type, spec, grad_y, x, y, out, backend)


def _adaptive_avg_poolnd_grad_input(
    nd: int, grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `adaptive_avg_pool<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C, <out_axes>)
        Gradient with respect to the result, whose spatial size is the output size.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        For each element the sum over the windows that hold it of their gradient, divided by the window's size.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import adaptive_avg_pool<nd>d_grad_input
    >>> adaptive_avg_pool<nd>d_grad_input(np.ones((1, 1, <three>)), (1, 1, <four>)).sum().item() == 3**<nd>
    True
    """
    array_type, (grad_y,) = take(grad_y=grad_y)
    sizes = shape("x_shape", x_shape)
    size = make_scatter(nd, grad_y.shape, sizes, layout).out_size
    return _grad(array_type, make_adaptive(nd, "avg", sizes, size, layout), grad_y, None, None, out, backend)


def _global_avg_poolnd_grad_input(
    nd: int, grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `global_avg_pool<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, C) and <nd> axes of size 1
        Gradient with respect to the result.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <layout>
    <out>
    <backend>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        The gradient of each channel, spread evenly.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import global_avg_pool<nd>d_grad_input
    >>> global_avg_pool<nd>d_grad_input(np.ones((1, 1) + (1,) * <nd>), (1, 1, <four>)).max().item() == 1 / 4**<nd>
    True
    """
    array_type, (grad_y,) = take(grad_y=grad_y)
    spec = make_adaptive(nd, "avg", shape("x_shape", x_shape), 1, layout)
    return _grad(array_type, spec, grad_y, None, None, out, backend)


max_pool1d_grad_input, max_pool2d_grad_input, max_pool3d_grad_input = _indexed("max_pool", "max_pool")
min_pool1d_grad_input, min_pool2d_grad_input, min_pool3d_grad_input = _indexed("min_pool", "min_pool")
adaptive_max_pool1d_grad_input, adaptive_max_pool2d_grad_input, adaptive_max_pool3d_grad_input = _indexed(
    "adaptive_max_pool", "adaptive_max_pool"
)
# Global maximum pooling is adaptive pooling to the size 1, which returns the indices.
global_max_pool1d_grad_input, global_max_pool2d_grad_input, global_max_pool3d_grad_input = _indexed(
    "global_max_pool", "adaptive_max_pool"
)
avg_pool1d_grad_input, avg_pool2d_grad_input, avg_pool3d_grad_input = per_rank(_avg_poolnd_grad_input)
sum_pool1d_grad_input, sum_pool2d_grad_input, sum_pool3d_grad_input = per_rank(_sum_poolnd_grad_input)
lp_pool1d_grad_input, lp_pool2d_grad_input, lp_pool3d_grad_input = per_rank(_lp_poolnd_grad_input)
adaptive_avg_pool1d_grad_input, adaptive_avg_pool2d_grad_input, adaptive_avg_pool3d_grad_input = per_rank(
    _adaptive_avg_poolnd_grad_input
)
global_avg_pool1d_grad_input, global_avg_pool2d_grad_input, global_avg_pool3d_grad_input = per_rank(
    _global_avg_poolnd_grad_input
)
