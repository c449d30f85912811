"""Questions about a call that need no arrays: its shape, and who would serve it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import config, dtypes, registry
from ..registry import Explanation
from ..spec import ConvSpec, PoolSpec, frozen, make_conv, make_pool, shape
from ..spec.arguments import check_names, keywords
from ..spec.windows import count_axes
from ._common import element_type
from .described import described


def conv_output_shape(x_shape: Sequence[int], w_shape: Sequence[int], **options: Any) -> tuple[int, ...]:
    """Return the shape of a convolution's result.

    Parameters
    ----------
    x_shape, w_shape : sequence of int
        Shapes of the input and the weights.
    **options
        ``stride, padding, dilation, groups, layout`` and the others of `conv2d`.

    Returns
    -------
    shape : tuple of int
        As `conv1d`, `conv2d` or `conv3d` would return it.

    Raises
    ------
    SpecError
        If a rule is broken.

    Examples
    --------
    >>> from convlib import conv_output_shape
    >>> conv_output_shape((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    (1, 64, 112, 112)
    """
    check_names("conv_output_shape", options, keywords(make_conv, 3))
    return ConvSpec.make(x_shape, w_shape, **options).y_shape


def pool_output_shape(x_shape: Sequence[int], kernel_size: Any, **options: Any) -> tuple[int, ...]:
    """Return the shape of a pooling's result.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of the input.
    kernel_size : int or sequence of int
        Size of the window; with one integer the first two axes of the input are N and C.
    **options
        ``stride, padding, dilation, ceil_mode, layout`` as in `max_pool2d`.

    Returns
    -------
    shape : tuple of int
        As the pooling would return it.

    Raises
    ------
    SpecError
        If a rule is broken.

    Examples
    --------
    >>> from convlib import pool_output_shape
    >>> pool_output_shape((1, 64, 112, 112), 3, stride=2, padding=1)
    (1, 64, 56, 56)
    """
    check_names("pool_output_shape", options, keywords(make_pool, 4))
    sizes = shape("x_shape", x_shape)
    kernel = frozen(kernel_size)
    return PoolSpec.make("max", sizes, kernel, nd=count_axes(sizes, kernel), **options).y_shape


def explain(
    op: str, *args: Any, dtype: Any = "float32", backend: str | None = None, accuracy: str | None = None, **options: Any
) -> Explanation:
    """Say which backend would serve a call, by which algorithm, and why not the others.

    Parameters
    ----------
    op : str
        Name of a public function, such as "conv2d" or "max_pool2d".
    *args
        What the function takes by position, with shapes in place of arrays.
    dtype : dtype, default "float32"
        Element type of the arrays.
    backend, accuracy : str, optional
        As in the function.
    **options
        As in the function.

    Returns
    -------
    explanation : Explanation
        The decision as data; ``print`` it for readable text.

    Raises
    ------
    SpecError
        If the call would break a rule.
    BackendError
        If the call would find no backend; the message holds all reasons.
    TypeError
        If an array is given where its shape belongs.

    Examples
    --------
    >>> import convlib
    >>> convlib.explain("conv2d", (1, 8, 16, 16), (8, 8, 3, 3), backend="naive").reason
    'named by: argument; its only algorithm'
    """
    _, operation, spec, kind, *_ = described(op, args, options)
    element = element_type("dtype", dtype)
    compute = dtypes.for_pool(kind, element)[1] if kind else dtypes.for_sums(x=element)[1]
    with config.accuracy(config.get_accuracy() if accuracy is None else accuracy):
        return registry.explain_choice(operation, spec, element, compute, backend)
