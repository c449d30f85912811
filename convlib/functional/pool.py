"""Pooling over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import config, dtypes, registry, storage
from ..spec import PoolSpec, frozen, make_pool
from ..spec.arguments import flag
from ..threads import get_num_threads
from ._common import Array, ArrayLike, per_rank, take


def pool(
    make: Callable[..., PoolSpec], nd: int, kind: str, x: Any, options: tuple[Any, ...], indices: bool,
    out: Array | None, backend: str | None,
) -> Any:  # fmt: skip
    """Pool `x` by the spec that ``make(nd, kind, x.shape, *options)`` gives."""
    if type(x) is np.ndarray:
        try:
            served, run, max_workspace, y_shape = _quick(
                make, nd, kind, x.shape, x.dtype, indices, backend, registry.state(), *options
            )
        except TypeError:  # the long way says which argument is wrong
            run = None
        found = None
        if run is not None and out is None:
            found = run(x, get_num_threads(), indices, max_workspace)
        elif run is not None and not indices and type(out) is np.ndarray and out.flags.c_contiguous:
            served.check_out(out, y_shape, x.dtype, x)
            found = run(x, get_num_threads(), indices, max_workspace, out=out)
        if found is not None:
            return found
    indices = flag("return_indices", indices)
    array_type, (x,) = take(x=x)
    spec = make(nd, kind, x.shape, *options).with_places(indices)
    dtype = dtypes.for_pool(kind, x.dtype)[1]
    choice = registry.select("pool", spec, dtype, backend, array_type)
    return storage.pool(choice.backend, spec, x, indices, out, choice.named)


@lru_cache(maxsize=4096, typed=True)
def _quick(
    make: Callable[..., PoolSpec], nd: int, kind: str, x_shape: tuple[int, ...], x_dtype: np.dtype[Any],
    indices: bool, backend: str | None, _: Any, *options: Any,
) -> tuple[Any, Callable[..., Any] | None, int, tuple[int, ...]]:  # fmt: skip
    """Return the backend of a pooling of arrays, its short way, if it has one, the bound, and the result's shape."""
    spec = make(nd, kind, x_shape, *options).with_places(flag("return_indices", indices))
    choice = registry.select("pool", spec, dtypes.for_pool(kind, x_dtype)[1], backend, "numpy")
    run = choice.backend.quick_pool(spec, x_dtype, choice.named)
    return choice.backend, run, config.get_max_workspace(), spec.y_shape


def windows(
    kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, layout: Any, counting: Any = True,
    divisor: Any = None, norm: Any = 0.0, mode: Any = "constant", value: Any = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the options of `make_pool`, in its order."""
    return (
        kernel_size if type(kernel_size) is int else frozen(kernel_size),
        stride if stride is None or type(stride) is int else frozen(stride),
        padding if type(padding) is int else frozen(padding), dilation if type(dilation) is int else frozen(dilation),
        ceil_mode, counting, divisor, norm, layout, mode, value,
    )  # fmt: skip


def _max_poolnd(
    nd: int, x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None,
    return_indices: bool = False, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any:  # fmt: skip
    """Take the maximum of each window over <over>.

    Parameters
    ----------
    <x>
    <windows>
    return_indices : bool, default False
        Also return where each maximum was found.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>), dtype of `x`
        Padding never wins unless it holds something.  NaN wins always.  A window without any element of the input,
        which dilation can produce, gives minus infinity or the type's minimum.
    indices : ndarray of int64, shape of `y`
        Only with `return_indices`: the flat position in the unpadded plane (<axes>); the first of equal maxima, the
        last of several NaNs.  What padding repeats lies where the element lies that it repeats; -1 for `pad_value` and
        for an empty window.

    Raises
    ------
    <errors>

    See Also
    --------
    max_unpool<nd>d : Put maxima back where they were found.

    Notes
    -----
    Shape rule, ties and NaN follow PyTorch's ``max_pool<nd>d``; padding may be as large as the effective window minus 1
    (PyTorch stops at half of it, ONNX does not).

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import max_pool<nd>d
    >>> max_pool<nd>d(np.ones((1, 1, <four>)), 2).shape
    (1, 1, <two>)
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, mode=padding_mode, value=pad_value
    )
    return pool(make_pool, nd, "max", x, options, return_indices, out, backend)


def _min_poolnd(
    nd: int, x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None,
    return_indices: bool = False, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any:  # fmt: skip
    """Take the minimum of each window over <over>.

    Parameters
    ----------
    <x>
    <windows>
    return_indices : bool, default False
        Also return where each minimum was found.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>), dtype of `x`
        Padding never wins unless it holds something.  NaN wins always.  An empty window gives infinity or the type's
        maximum.
    indices : ndarray of int64, shape of `y`
        Only with `return_indices`; as in `max_pool<nd>d`.

    Raises
    ------
    <errors>

    See Also
    --------
    max_pool<nd>d : The maximum, by the same rules.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import min_pool<nd>d
    >>> min_pool<nd>d(np.ones((1, 1, <four>)), 2).shape
    (1, 1, <two>)
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, mode=padding_mode, value=pad_value
    )
    return pool(make_pool, nd, "min", x, options, return_indices, out, backend)


def _avg_poolnd(
    nd: int, x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None,
    count_include_pad: bool = True, divisor_override: int | None = None, layout: str = "NCHW",
    out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Take the average of each window over <over>.

    Parameters
    ----------
    <x>
    <windows>
    count_include_pad : bool, default True
        Divide by the number of window elements inside the padded input; if False, by those inside the input, and
        then padding may hold nothing.
    divisor_override : int, optional
        Divide by this number instead.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>)
        Floats keep their type; integers and bool give float64.  An empty window gives 0.

    Raises
    ------
    <errors>

    See Also
    --------
    sum_pool<nd>d : The sum, exact for integers.

    Notes
    -----
    Shape rule and divisor follow PyTorch's ``avg_pool<nd>d``: what a window of `ceil_mode` reaches behind the padding
    never counts.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import avg_pool<nd>d
    >>> avg_pool<nd>d(np.ones((1, 1, <four>)), 2).shape
    (1, 1, <two>)
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, count_include_pad, divisor_override,
        mode=padding_mode, value=pad_value,
    )
    y: Array = pool(make_pool, nd, "avg", x, options, False, out, backend)
    return y


def _sum_poolnd(
    nd: int, x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW",
    out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Sum each window over <over>.

    Parameters
    ----------
    <x>
    <windows>
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>)
        Floats keep their type; integers and bool are exact and give int64.

    Raises
    ------
    <errors>

    See Also
    --------
    avg_pool<nd>d : The average.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import sum_pool<nd>d
    >>> sum_pool<nd>d(np.ones((1, 1, <four>)), 2).max().item()
    <taps>.0
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, mode=padding_mode, value=pad_value
    )
    y: Array = pool(make_pool, nd, "sum", x, options, False, out, backend)
    return y


def _lp_poolnd(
    nd: int, x: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW",
    out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Take the p-norm of each window over <over>.

    Parameters
    ----------
    <x>
    p : float
        The exponent, above 0; `math.inf` gives the largest absolute value.
    <windows>
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>)
        ``sum(abs(x) ** p) ** (1 / p)``; floats keep their type, integers and bool give float64.

    Raises
    ------
    <errors>

    Notes
    -----
    Absolute values are taken, as in ONNX LpPool; PyTorch's ``lp_pool<nd>d`` takes none and gives NaN for odd `p`.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import lp_pool<nd>d
    >>> lp_pool<nd>d(-np.ones((1, 1, <four>)), 1, 2).max().item()
    <taps>.0
    """
    options = windows(
        kernel_size, stride, padding, dilation, ceil_mode, layout, norm=p, mode=padding_mode, value=pad_value
    )
    y: Array = pool(make_pool, nd, "lp", x, options, False, out, backend)
    return y


max_pool1d, max_pool2d, max_pool3d = per_rank(_max_poolnd)
min_pool1d, min_pool2d, min_pool3d = per_rank(_min_poolnd)
avg_pool1d, avg_pool2d, avg_pool3d = per_rank(_avg_poolnd)
sum_pool1d, sum_pool2d, sum_pool3d = per_rank(_sum_poolnd)
lp_pool1d, lp_pool2d, lp_pool3d = per_rank(_lp_poolnd)
