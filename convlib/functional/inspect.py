"""Questions about a call that need no arrays: its shape, and who would serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import config, dtypes, registry, storage
from ..registry import Asked, Explanation
from ..spec import ConvSpec, PoolSpec, frozen, make_conv, make_pool, shape, weight_order
from ..spec.arguments import check_names, keywords
from ..spec.windows import count_axes
from ._common import element_type
from ._quantised import quantised
from .described import TYPED, Description, described


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
    """Say which backend would serve a call, by which algorithm and rule, at what cost, and why not the others.

    Nothing is computed: shapes may stand for arrays.

    Parameters
    ----------
    op : str
        Name of a public function, such as "conv2d", "max_pool2d_grad_input" or "filter2d".
    *args
        What the function takes: arrays, or shapes in their place.
    dtype : dtype, default "float32"
        Element type of the arrays that are given by shape.
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
        If the arguments do not fit the function.

    Examples
    --------
    >>> import convlib
    >>> said = convlib.explain("conv2d", (1, 8, 16, 16), (8, 8, 3, 3), backend="naive", padding=1)
    >>> said.rule, said.problem, said.copies
    ('backend= names it', 'n1 ic8 ih16 iw16 oc8 kh3 kw3 ph1', ())
    """
    from ._problem import problem_of  # only when asked

    call = described(op, args, options)
    element, compute = _types(call, given := element_type("dtype", dtype))
    problem = problem_of(call.operation, call.spec, bias="bias" in call.shapes)
    text = None if problem is None else str(problem)
    found = _by_place(call)
    integers = _quantised(call, given, options.get("out"))
    kinds = None
    if call.operation == "conv" and not op.startswith("conv_transpose"):
        names = {place: name for name, place in call.places.items()}
        x, w = (call.arrays[names[place]].dtype if names[place] in call.arrays else given for place in "xw")
        kinds = x, w
    asked = Asked(
        op, call.shapes, text, call.places, found, _conjugated(call), _reshaped(call, found), integers, kinds,
        call.arrays.get("bias"),
    )  # fmt: skip
    with config.accuracy(config.get_accuracy() if accuracy is None else accuracy):
        return registry.explain_choice(
            call.operation, call.spec, element, compute, backend, call.array_type, asked
        )


def _types(call: Description, element: np.dtype[Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the element type of a call's arrays, or what they have in common, and the type that it computes in."""
    found = {
        name: call.arrays[name].dtype if name in call.arrays else element for name in call.shapes if name != "indices"
    }
    if call.kind:
        common = next(iter(found.values())) if len(found) == 1 else np.result_type(*found.values())
        return common, dtypes.for_pool(call.kind, common)[1]
    result, compute = dtypes.for_sums(**found)
    if call.operation == "im2col":
        return found["x"].newbyteorder("="), found["x"].newbyteorder("=")
    widest = max(found.values(), key=lambda kind: kind.itemsize)
    return (widest if result.kind in "iu" else result), compute


def _quantised(call: Description, element: np.dtype[Any], out: Any) -> storage.Quantised | None:
    """Return the zero points and the result that a call asks for."""
    if "x_zero_point" not in call.options:
        return None
    assert isinstance(call.spec, ConvSpec)
    kinds: dict[str, Any] = {
        name: call.arrays[name].dtype if name in call.arrays else element for name in call.shapes if name != "residual"
    }
    x_zero_point, w_zero_point, out_dtype = (call.options[name] for name in TYPED)
    result = dtypes.for_sums(**kinds)[0]
    return quantised(x_zero_point, w_zero_point, out_dtype, out, call.spec.oc, result, **kinds)


#: Where the arrays stand that the gradients of complex numbers conjugate.
_CONJUGATED = {"conv_grad_input": "w", "conv_grad_weight": "x", "conv_transpose_grad_input": "w",
               "conv_transpose_grad_weight": "y"}  # fmt: skip


def _conjugated(call: Description) -> str:
    place = _CONJUGATED.get(call.function.replace(f"{call.spec.nd}d", ""), "")
    names = [name for name, where in call.places.items() if where == place]
    given = [call.arrays[name].dtype.kind == "c" for name in names if name in call.arrays]
    return place if any(given) else ""


def _reshaped(call: Description, found: Mapping[str, tuple[Any, ...]]) -> str:
    """Return the place of weights that were copied to have the order of hooks."""
    w = call.arrays.get("w")
    same = w is None or call.array_type != "numpy" or np.may_share_memory(w, found["w"][0])
    return "" if same else "w"


def _by_place(call: Description) -> dict[str, tuple[Any, ...]]:
    """Return the arrays that were given, as hooks would see them, by their place in the spec."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, array in call.arrays.items():
        if name == "image" and array.ndim == 2:
            array = array[:, :, None]
        elif name == "kernel":
            array = np.broadcast_to(array, (call.spec.c, 1, *array.shape))
        elif name == "w":
            transposed = call.function.startswith("conv_transpose")
            array = storage.plain_weights(array, weight_order(call.spec.nd, call.options["w_layout"], transposed))
        if name in call.places:
            place = call.places[name]
            found[place] = (*found.get(place, ()), array)
    return found
