"""Gradients of transposed convolution: it is the adjoint of a convolution, so they are the convolution itself."""

from __future__ import annotations

from typing import Any

from .. import dtypes, registry, storage
from ..errors import SpecError
from ..spec import ConvSpec, frozen, make_transpose, shape, weight_order
from ._common import Array, ArrayLike, per_rank, take


def _conv_transposend_grad_input(
    nd: int, grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "IOHW", out: Array | None = None, backend: str | None = None,
    accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `conv_transpose<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, OC, <out_axes>)
        Gradient with respect to the result.
    w : array_like, shape (C, OC / groups, <kernel>)
        Weights, as in `conv_transpose<nd>d`.
    x_shape : sequence of int
        Shape of the input, which the result has.
    <stride>
    <padding>
    output_padding, output_size : int or sequence of <nd> int, optional
        As in `conv_transpose<nd>d`.
    <dilation>
    <groups>
    <flip>
    <layout>
    <w_layout_transposed>
    <out>
    <backend>
    <accuracy>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        The convolution, whose adjoint the operator is, of `grad_y`.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv_transpose<nd>d_grad_input
    >>> w = np.ones((1, 1, <two>))
    >>> conv_transpose<nd>d_grad_input(np.ones((1, 1, <four>)), w, (1, 1, <two>), stride=2).max().item()
    <taps>.0
    """
    kind, (grad_y, w) = take(grad_y=grad_y, w=w)
    spec = make_transpose(
        nd, shape("x_shape", x_shape), w.shape, frozen(stride), frozen(padding), frozen(output_padding),
        frozen(output_size), frozen(dilation), groups, flip, layout, w_layout,
    )  # fmt: skip
    _check(spec, grad_y.shape)
    w = storage.plain_weights(w, weight_order(nd, w_layout, True))
    dtype = dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype)[1]
    choice = registry.select("conv", spec, dtype, backend, kind)
    grad_x: Array = storage.conv_transpose_grad_input(choice.backend, spec, grad_y, w, out, choice.named)
    return grad_x


def _conv_transposend_grad_weight(
    nd: int, grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "IOHW", out: Array | None = None, backend: str | None = None,
    accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `conv_transpose<nd>d` with respect to its weights.

    The gradient with respect to the bias is the sum of `grad_y` over all axes but the channels.

    Parameters
    ----------
    grad_y : array_like, shape (N, OC, <out_axes>)
        Gradient with respect to the result.
    <x>
    w_shape : sequence of int
        Shape of the weights, (C, OC / groups, <kernel>) or as `w_layout` says, which the result has.
    <stride>
    <padding>
    output_padding, output_size : int or sequence of <nd> int, optional
        As in `conv_transpose<nd>d`.
    <dilation>
    <groups>
    <flip>
    <layout>
    <w_layout_transposed>
    <out>
    <backend>
    <accuracy>

    Returns
    -------
    grad_w : ndarray, shape `w_shape`
        Each weight's gradient: the sum of `x` times the elements of `grad_y` that the weight reached.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv_transpose<nd>d_grad_weight
    >>> grad_y, x = np.ones((1, 1, <four>)), np.ones((1, 1, <two>))
    >>> conv_transpose<nd>d_grad_weight(grad_y, x, (1, 1, <two>), stride=2).max().item()
    <taps>.0
    """
    kind, (grad_y, x) = take(grad_y=grad_y, x=x)
    spec = make_transpose(
        nd, x.shape, shape("w_shape", w_shape), frozen(stride), frozen(padding), frozen(output_padding),
        frozen(output_size), frozen(dilation), groups, flip, layout, w_layout,
    )  # fmt: skip
    _check(spec, grad_y.shape)
    dtype = dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype)[1]
    choice = registry.select("conv_grad_weight", spec, dtype, backend, kind)
    order = weight_order(nd, w_layout, True)
    grad_w: Array = storage.conv_transpose_grad_weight(
        choice.backend, spec, grad_y, x, out if order.plain else None, choice.named
    )
    stored: Array = storage.stored_weights(grad_w, order, spec, out, choice.backend, grad_y, x)
    return stored


def _check(spec: ConvSpec, grad_shape: tuple[int, ...]) -> None:
    if grad_shape != spec.x_shape:
        raise SpecError(
            f"grad_y has the shape {grad_shape}; this transposed convolution of x {spec.y_shape} with w "
            f"{spec.w_shape} gives {spec.x_shape}"
        )


conv_transpose1d_grad_input, conv_transpose2d_grad_input, conv_transpose3d_grad_input = per_rank(
    _conv_transposend_grad_input
)
conv_transpose1d_grad_weight, conv_transpose2d_grad_weight, conv_transpose3d_grad_weight = per_rank(
    _conv_transposend_grad_weight
)
