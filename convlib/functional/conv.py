"""Convolution, its gradients and transposed convolution, for one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import config, dtypes, registry, storage
from ..spec import ConvSpec, check_ending, frozen, make_conv, make_transpose, shape, weight_order
from ..threads import get_num_threads
from . import kept
from ._common import Array, ArrayLike, per_rank, take
from ._quantised import is_quantised, quantised
from ._short import short_gradient

#: Types of options; those of other types may equal them, and are no such options.
_FROZEN, _NUMBERS = frozenset((int, tuple, str)), frozenset((int, float))


def _convnd(
    nd: int, x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None,
    x_zero_point: ArrayLike | None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None,
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Cross-correlate the input with a set of kernels over <over>.

    The operation that deep learning calls convolution: the kernel is not flipped (see `flip`).

    Parameters
    ----------
    <x>
    <w>
    <bias>
    <stride>
    <padding>
    <dilation>
    <groups>
    <padding_mode>
    <flip>
    <layout>
    <w_layout>
    <ending>
    <zero_points>
    out : ndarray, optional
        Array for the result; it is returned.  One of int32 asks integers for that type, as `out_dtype` does.
    <backend>
    <accuracy>

    Returns
    -------
    y : ndarray, shape (N, OC, <out_axes>)
        ``(i + lo + hi - ke) // stride + 1`` elements per axis, with the effective kernel
        ``ke = (k - 1) * dilation + 1``.  Floats keep their common type; integers and bool are exact and give int64, or
        int32 on request.

    Raises
    ------
    <errors>

    See Also
    --------
    conv<nd>d_grad_input, conv<nd>d_grad_weight : The gradients.
    conv_transpose<nd>d : The adjoint.
    explain : Which backend serves a call, and why.

    Notes
    -----
    ``y[n, o, j] = bias[o] + sum(w[o, c, t] * x[n, c, j * stride - lo + t * dilation])`` over the channels ``c`` of
    the group of ``o`` and the kernel positions ``t``.  It costs ``N * OC * prod(out) * C / groups * prod(k)``
    multiply-adds.  The shape rule is that of PyTorch's ``conv<nd>d``.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv<nd>d
    >>> y = conv<nd>d(np.ones((1, 1, <four>)), np.ones((1, 1, <two>)))
    >>> y.shape, y.max().item()
    ((1, 1, <three>), <taps>.0)
    """
    options = (
        stride if type(stride) is int else frozen(stride), padding if type(padding) is int else frozen(padding),
        dilation if type(dilation) is int else frozen(dilation), groups, padding_mode, pad_value, flip, layout, w_layout
    )  # fmt: skip
    floats = x_zero_point is w_zero_point is out_dtype is out is None
    integers = not floats and is_quantised(x_zero_point, w_zero_point, out_dtype, out)
    if activation is None and residual is None and not integers:
        return _sum(nd, x, w, bias, options, out, backend)[1]
    kind, (x, w, bias, residual) = take(x=x, w=w, bias=bias, residual=residual)
    spec, (result, compute) = make_conv(nd, x.shape, w.shape, *options), _types(x, w, bias)
    check_ending(activation, None if residual is None else residual.shape, spec.y_shape)
    asked = None
    if integers:
        kinds = {"x": x.dtype, "w": w.dtype, "bias": None if bias is None else bias.dtype}
        asked = quantised(x_zero_point, w_zero_point, out_dtype, out, spec.oc, result, **kinds)
    if residual is not None:
        choice = registry.select("conv", spec, compute, backend, kind)
        result = result if asked is None else asked.result
        storage.check_residual(choice.backend, spec.y_shape, result, residual, out)
    served, y = _sum(nd, x, w, bias, options, out, backend, asked)
    if activation is None and residual is None:
        return y
    finished: Array = storage.finish(served, y, residual, activation)
    return finished


def _types(x: Array, w: Array, bias: Array | None) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return (result type, compute type) of a convolution."""
    if bias is None:
        return dtypes.for_sums(x=x.dtype, w=w.dtype)
    return dtypes.for_sums(x=x.dtype, w=w.dtype, bias=bias.dtype)


def _sum(
    nd: int, x: ArrayLike, w: ArrayLike, bias: ArrayLike | None, options: tuple[Any, ...], out: Array | None,
    backend: str | None, asked: storage.Quantised | None = None,
) -> tuple[Any, Array]:  # fmt: skip
    """Return the backend that served a convolution, and its result."""
    cache, order = kept.active(), options[-1]
    if cache is not None and type(x) is type(w) is np.ndarray and (bias is None or type(bias) is np.ndarray):
        plan = cache.plan(nd, x, w, bias, options, backend, asked)
        if plan is not None:
            return plan.backend, plan(x, out)
    if asked is None and type(x) is np.ndarray and type(w) is np.ndarray:
        stride, padding, dilation, groups, _, value, flip, _, _ = options
        usual = (
            type(stride) in _FROZEN and type(padding) in _FROZEN and type(dilation) in _FROZEN and type(groups) is int
            and type(value) in _NUMBERS and type(flip) is bool
        )  # fmt: skip
        kinds = None if usual else tuple(map(type, options))
        try:
            served, run, max_workspace, y_shape = _quick(
                nd, x.shape, x.dtype, w.shape, w.dtype, options, kinds, backend, registry.state()
            )
        except TypeError:  # the long way says which argument is wrong
            run = None
        if run is not None and (out is None or _plain(out, x, bias)):
            given = x, get_num_threads(), max_workspace, w, bias
            if order != "OIHW":
                given = *given[:3], storage.plain_weights(w, weight_order(nd, order)), bias
            if out is not None:
                served.check_out(out, y_shape, x.dtype, x, w, bias)
            found: Array | None = run(*given) if out is None else run(*given, out=out)
            if found is not None:
                return served, found
    kind, (x, w, bias) = take(x=x, w=w, bias=bias)
    spec = make_conv(nd, x.shape, w.shape, *options)
    w = storage.plain_weights(w, weight_order(nd, order))
    choice = registry.select("conv", spec, _types(x, w, bias)[1], backend, kind)
    return choice.backend, storage.conv(choice.backend, spec, x, w, bias, out, choice.named, asked)


def _plain(out: Any, x: Array, bias: Any) -> bool:
    """Whether `out` has no gaps, and a bias does not widen the result."""
    return type(out) is np.ndarray and out.flags.c_contiguous and (
        bias is None or (type(bias) is np.ndarray and bias.dtype == x.dtype)
    )


@lru_cache(maxsize=4096)
def _quick(
    nd: int, x_shape: tuple[int, ...], x_dtype: np.dtype[Any], w_shape: tuple[int, ...], w_dtype: np.dtype[Any],
    options: tuple[Any, ...], kinds: tuple[type, ...] | None, backend: str | None, state: tuple[Any, ...],
) -> tuple[Any, Callable[..., Array | None] | None, int, tuple[int, ...]]:  # fmt: skip
    """Return the backend of a convolution of arrays, its short way, if it has one, the bound, and the result's shape.

    `kinds` and `state` tell calls apart that are alike in all else.
    """
    dtype = dtypes.for_sums(x=x_dtype, w=w_dtype)[1]
    spec = make_conv(nd, x_shape, w_shape, *options)
    choice = registry.select("conv", spec, dtype, backend, "numpy")
    run = choice.backend.quick_conv(spec, x_dtype, w_dtype, choice.named)
    return choice.backend, run, config.get_max_workspace(), spec.y_shape


def _conv_transposend(
    nd: int, x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None,
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Apply the adjoint of a convolution over <over>: transposed convolution.

    Each input element adds its multiple of the kernel to the result; `stride` spreads them apart.

    Parameters
    ----------
    <x>
    w : array_like, shape (C, OC / groups, <kernel>)
        Weights: those of the convolution whose adjoint this is, in its own order, or in that of `w_layout`.
    <bias>
    <stride>
    padding : int, sequence or str, default 0
        Elements that the convolution would add around its input, and that are cut off here.  With "same_upper" or
        "same_lower" the result has ``i * stride`` elements per axis, or `output_size`.
    output_padding : int or sequence of <nd> int, default 0
        Elements by which the result is longer at its end; smaller than the stride or the dilation.
    output_size : int or sequence of <nd> int, optional
        The spatial size of the result, which takes the place of `output_padding`.
    <dilation>
    <groups>
    <flip>
    <layout>
    <w_layout_transposed>
    <ending>
    <out>
    <backend>
    <accuracy>

    Returns
    -------
    y : ndarray, shape (N, OC, <out_axes>)
        ``(i - 1) * stride - lo - hi + ke + output_padding`` elements per axis.

    Raises
    ------
    <errors>

    See Also
    --------
    conv<nd>d : The convolution.

    Notes
    -----
    ``sum(conv(a) * b) == sum(a * conv_transpose(b))`` for the same weights and options.  Shape rules: PyTorch's
    ``conv_transpose<nd>d``; "same_upper" and "same_lower" are those of ONNX ConvTranspose.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv_transpose<nd>d
    >>> conv_transpose<nd>d(np.ones((1, 1, <two>)), np.ones((1, 1, <two>)), stride=2).shape
    (1, 1, <four>)
    """
    options = (
        frozen(stride), frozen(padding), frozen(output_padding), frozen(output_size), frozen(dilation), groups, flip,
        layout, w_layout,
    )  # fmt: skip
    if residual is None and activation is None and out is None:
        short = short_gradient("conv_grad_input", _transpose_spec, nd, x, w, None, options, backend, bias)
        if short is not None:
            return short
    kind, (x, w, bias, residual) = take(x=x, w=w, bias=bias, residual=residual)
    spec = _transpose_spec(nd, x.shape, w.shape, None, *options)
    check_ending(activation, None if residual is None else residual.shape, spec.x_shape)
    w = storage.plain_weights(w, weight_order(nd, w_layout, True))
    result, dtype = _types(x, w, bias)
    choice = registry.select("conv_grad_input", spec, dtype, backend, kind)
    storage.check_residual(choice.backend, spec.x_shape, result, residual, out)
    y: Array = storage.conv_transpose(choice.backend, spec, x, w, bias, out, choice.named)
    return y if activation is None and residual is None else storage.finish(choice.backend, y, residual, activation)


def _convnd_grad_input(
    nd: int, grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `conv<nd>d` with respect to its input.

    Parameters
    ----------
    grad_y : array_like, shape (N, OC, <out_axes>)
        Gradient with respect to the result.
    <w>
    x_shape : sequence of int
        Shape of the input, which the result has.
    <stride>
    <padding>
    <dilation>
    <groups>
    padding_mode : str, default "constant"
        As in `conv<nd>d`.
    <flip>
    <layout>
    <w_layout>
    <out>
    <backend>
    <accuracy>

    Returns
    -------
    grad_x : ndarray, shape `x_shape`
        The adjoint of the convolution applied to `grad_y`.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv<nd>d_grad_input
    >>> grad_x = conv<nd>d_grad_input(np.ones((1, 1, <three>)), np.ones((1, 1, <two>)), (1, 1, <four>))
    >>> grad_x.shape, grad_x.max().item()
    ((1, 1, <four>), <taps>.0)
    """
    options = frozen(stride), frozen(padding), frozen(dilation), groups, padding_mode, 0, flip, layout, w_layout
    short = short_gradient("conv_grad_input", _input_spec, nd, grad_y, w, x_shape, options, backend, out=out)
    if short is not None:
        return short
    kind, (grad_y, w) = take(grad_y=grad_y, w=w)
    spec = _input_spec(nd, grad_y.shape, w.shape, x_shape, *options)
    w = storage.plain_weights(w, weight_order(nd, w_layout))
    dtype = dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype)[1]
    choice = registry.select("conv_grad_input", spec, dtype, backend, kind)
    grad_x: Array = storage.conv_grad_input(choice.backend, spec, grad_y, w, out, choice.named)
    return grad_x


def _convnd_grad_weight(
    nd: int, grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array:  # fmt: skip
    """Return the gradient of `conv<nd>d` with respect to its weights.

    The gradient with respect to the bias is the sum of `grad_y` over all axes but the channels.

    Parameters
    ----------
    grad_y : array_like, shape (N, OC, <out_axes>)
        Gradient with respect to the result.
    <x>
    w_shape : sequence of int
        Shape of the weights, in the order of `w_layout`, which the result has.
    <stride>
    <padding>
    <dilation>
    <groups>
    <padding_mode>
    <flip>
    <layout>
    <w_layout>
    <out>
    <backend>
    <accuracy>

    Returns
    -------
    grad_w : ndarray, shape `w_shape`
        Each weight's gradient: the sum of `grad_y` times the input elements that the weight met.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv<nd>d_grad_weight
    >>> conv<nd>d_grad_weight(np.ones((1, 1, <three>)), np.ones((1, 1, <four>)), (1, 1, <two>)).max().item() == 3**<nd>
    True
    """
    options = frozen(stride), frozen(padding), frozen(dilation), groups, padding_mode, pad_value, flip, layout, w_layout
    short = short_gradient("conv_grad_weight", _weight_spec, nd, grad_y, x, w_shape, options, backend, out=out)
    if short is not None:
        return short
    kind, (grad_y, x) = take(grad_y=grad_y, x=x)
    spec = _weight_spec(nd, grad_y.shape, x.shape, w_shape, *options)
    dtype = dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype)[1]
    choice = registry.select("conv_grad_weight", spec, dtype, backend, kind)
    order = weight_order(nd, w_layout)
    grad_w: Array = storage.conv_grad_weight(
        choice.backend, spec, grad_y, x, out if order.plain else None, choice.named
    )
    stored: Array = storage.stored_weights(grad_w, order, spec, out, choice.backend, grad_y, x)
    return stored


def _transpose_spec(nd: int, x: tuple[int, ...], w: tuple[int, ...], _: None, *options: Any) -> ConvSpec:
    return make_transpose(nd, x, w, *options)


def _input_spec(nd: int, grad_y: tuple[int, ...], w: tuple[int, ...], x_shape: Any, *options: Any) -> ConvSpec:
    spec = make_conv(nd, shape("x_shape", x_shape), w, *options)
    spec.check_grad(grad_y)
    return spec


def _weight_spec(nd: int, grad_y: tuple[int, ...], x: tuple[int, ...], w_shape: Any, *options: Any) -> ConvSpec:
    spec = make_conv(nd, x, shape("w_shape", w_shape), *options)
    spec.check_grad(grad_y)
    return spec


conv1d, conv2d, conv3d = per_rank(_convnd)
conv_transpose1d, conv_transpose2d, conv_transpose3d = per_rank(_conv_transposend)
conv1d_grad_input, conv2d_grad_input, conv3d_grad_input = per_rank(_convnd_grad_input)
conv1d_grad_weight, conv2d_grad_weight, conv3d_grad_weight = per_rank(_convnd_grad_weight)
