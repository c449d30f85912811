"""Questions about a call that need no arrays: its shape, and who would serve it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config, dtypes, registry
from ..errors import SpecError, quote
from ..registry import Explanation
from ..spec import (
    ConvSpec,
    PoolSpec,
    WindowSpec,
    check_ending,
    frozen,
    make_adaptive,
    make_col2im,
    make_columns,
    make_conv,
    make_filter,
    make_pool,
    make_scatter,
    make_transpose,
    make_unpool,
    shape,
)  # fmt: skip
from ..spec.windows import count_axes
from ._common import element_type


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
    operation, spec, kind = describe(op, *args, **options)
    element = element_type("dtype", dtype)
    compute = dtypes.for_pool(kind, element)[1] if kind else dtypes.for_sums(x=element)[1]
    with config.accuracy(config.get_accuracy() if accuracy is None else accuracy):
        return registry.explain_choice(operation, spec, element, compute, backend)


def describe(op: str, *args: Any, **options: Any) -> tuple[str, WindowSpec, str]:
    """Return (backend operation, spec, kind of pooling or "") of a call of a public function, given by shapes."""
    if not isinstance(op, str):
        raise TypeError(f"op must be the name of a public function, not {type(op).__name__} ({quote(op)})")
    for arg in args:
        if isinstance(arg, np.ndarray) and (arg.ndim != 1 or arg.dtype.kind not in "iu"):
            raise TypeError(f"{op} is described by shapes in place of arrays; valid here: {arg.shape}")
    if op in ("im2col", "col2im"):
        return op, _describe_columns(op, args, options), ""
    if op == "filter2d":
        return "conv", _describe_filter(args, options), ""
    family, nd, suffix = _split_name(op)
    needed = _positional(family, suffix)
    if len(args) < needed:
        raise TypeError(f"explain({op!r}, ...) needs the {needed} positional arguments of {op}, shapes for arrays")
    given = [frozen(arg) for arg in args]
    given[0] = shape("x", given[0])
    named, indices = _frozen(options), bool(options.get("return_indices", False))
    if family == "conv":
        places = {"": (0, 1), "_grad_input": (2, 1), "_grad_weight": (1, 2)}[suffix]
        first, second = (given[place] for place in places)
        ending = {} if suffix else _ending(named)
        spec = make_conv(nd, shape("x", first), shape("w", second), **named)
        check_ending(ending.get("activation"), ending.get("residual"), spec.y_shape)
        return "conv" + suffix, spec, ""
    if family == "conv_transpose" and suffix:
        # The gradient of the adjoint by its input is the convolution itself.
        first, second = (given[2], given[1]) if suffix == "_grad_input" else (given[1], given[2])
        spec = make_transpose(nd, shape("x", first), shape("w", second), **named)
        return "conv" if suffix == "_grad_input" else "conv_grad_weight", spec, ""
    if family == "conv_transpose":
        ending = _ending(named)
        spec = make_transpose(nd, given[0], shape("w", given[1]), **named)
        check_ending(ending.get("activation"), ending.get("residual"), spec.x_shape)
        return "conv_grad_input", spec, ""
    if suffix:
        return _describe_pool_grad(nd, family, _KINDS.get(family, ""), given, named)
    if family == "max_unpool":
        return "unpool", make_unpool(nd, given[0], *given[2:], **named), "max"  # indices have the shape of x
    if family in _KINDS:
        kind = _KINDS[family]
        if kind == "lp":
            named["norm"] = given.pop(1)
        return "pool", make_pool(nd, kind, *given, **named).with_places(indices), kind
    kind = "avg" if "avg" in family else "max"
    size = given[1:] if family.startswith("adaptive") else [1]
    return "pool", make_adaptive(nd, kind, given[0], *size, **named).with_places(indices), kind


_KINDS = {f"{kind}_pool": kind for kind in ("max", "min", "avg", "sum", "lp")}
_FAMILIES = {
    "conv", "conv_transpose", "max_unpool", "adaptive_avg_pool", "adaptive_max_pool", "global_avg_pool",
    "global_max_pool", *_KINDS,
}  # fmt: skip


def _split_name(op: str) -> tuple[str, int, str]:
    """Split the name of a public function into family, rank and "_grad_input", "_grad_weight" or nothing."""
    family, rank, suffix = (op[:-2], op[-2], "") if op[-1:] == "d" and op[-2:-1] in "123" else ("", "", "")
    for ending in ("_grad_input", "_grad_weight"):
        if op.endswith(ending) and (op.startswith("conv") or ending == "_grad_input"):
            family, rank, suffix = op[: -len(ending) - 2], op[-len(ending) - 2], ending
    if family not in _FAMILIES or rank not in ("1", "2", "3"):
        raise SpecError(f"op={quote(op)} is unknown; valid: public functions such as 'conv2d' and 'max_pool2d'")
    return family, int(rank), suffix


def _describe_columns(op: str, args: tuple[Any, ...], options: dict[str, Any]) -> WindowSpec:
    needed = 2 if op == "im2col" else 3
    if len(args) < needed:
        raise TypeError(f"explain({op!r}, ...) needs the {needed} positional arguments of {op}, shapes for arrays")
    if op == "im2col":
        return make_columns(shape("x", args[0]), *map(frozen, args[1:]), **_frozen(options))
    size = [args[1]] if isinstance(args[1], int) else args[1]
    return make_col2im(shape("cols", args[0]), shape("output_size", size), frozen(args[2]), **_frozen(options))


def _describe_filter(args: tuple[Any, ...], options: dict[str, Any]) -> WindowSpec:
    if len(args) != 2:
        raise TypeError("explain('filter2d', ...) needs the 2 positional arguments of filter2d, shapes for arrays")
    unknown = options.keys() - {"mode", "boundary", "flip"}
    if unknown:
        raise TypeError(f"filter2d has no argument {', '.join(sorted(unknown))}; valid: mode, boundary, flip")
    named = {"mode": "same", "boundary": "reflect", "flip": False, **_frozen(options)}
    return make_filter(shape("image", args[0]), shape("kernel", args[1]), **named)


def _frozen(options: dict[str, Any]) -> dict[str, Any]:
    return {name: frozen(value) for name, value in options.items() if name != "return_indices"}


def _ending(named: dict[str, Any]) -> dict[str, Any]:
    """Take what follows a convolution, and is no part of its spec, out of the options."""
    return {name: named.pop(name) for name in ("activation", "residual") if name in named}


def _positional(family: str, suffix: str) -> int:
    """Return how many positional arguments a public function needs."""
    if suffix and family != "conv":
        return 5 if family == "lp_pool" else 2 if family in ("adaptive_avg_pool", "global_avg_pool") else 3
    return 1 if family.startswith("global") else 3 if suffix or family in ("lp_pool", "max_unpool") else 2


def _describe_pool_grad(
    nd: int, family: str, kind: str, given: list[Any], named: dict[str, Any]
) -> tuple[str, WindowSpec, str]:
    if family == "max_unpool":
        raise SpecError("max_unpool has no gradient function; its gradient takes grad_y at the indices")
    layout = named.get("layout", "NCHW")
    if "max" in family or kind == "min":  # (grad_y, indices, x_shape)
        return "unpool", make_scatter(nd, given[0], shape("x_shape", given[2]), layout), "sum"
    if kind == "lp":  # (grad_y, x, y, p, kernel_size)
        _, x, _, named["norm"], *rest = given
        return "pool_grad_input", make_pool(nd, kind, x, *rest, **named), kind
    if kind:
        return "pool_grad_input", make_pool(nd, kind, *given[1:], **named), kind
    size = make_scatter(nd, given[0], shape("x_shape", given[1]), layout).out_size
    return "pool_grad_input", make_adaptive(nd, "avg", given[1], size, layout), "avg"
