"""Calls of public functions, described by shapes: what `explain` and `cost` ask about without running anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..errors import SpecError, did_you_mean, quote
from ..spec import (
    PoolSpec,
    WindowSpec,
    check_bias,
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
from ..spec.conv import ConvSpec
from ._common import take
from ._words import bound

#: Arguments that are arrays, which a shape may stand for.
ARRAYS = ("x", "w", "bias", "residual", "grad_y", "y", "indices", "image", "kernel", "cols")
#: Arguments that are shapes.
_SHAPES = ("x_shape", "w_shape")
#: Arguments that say how and where a call runs, not what it computes.
_HOW = ("out", "backend", "accuracy")
#: Arguments whose types count.
TYPED = ("x_zero_point", "w_zero_point", "out_dtype")

KINDS = {f"{kind}_pool": kind for kind in ("max", "min", "avg", "sum", "lp")}
FAMILIES = {
    "conv", "conv_transpose", "max_unpool", "adaptive_avg_pool", "adaptive_max_pool", "global_avg_pool",
    "global_max_pool", *KINDS,
}  # fmt: skip


class Description(NamedTuple):
    """A call of a public function."""

    function: str
    operation: str  # of a backend
    spec: WindowSpec
    kind: str  # of a pooling, else ""
    shapes: dict[str, tuple[int, ...]]  # of the arrays, by argument
    arrays: dict[str, Any]  # those that were given as arrays
    array_type: str | None  # of these
    options: dict[str, Any]  # all other arguments, those that were left out with their defaults

    @property
    def places(self) -> dict[str, str]:
        """Where the arrays of the call stand in its spec: argument -> x, y or w."""
        family, _, suffix = _split(self.function) or (self.function, 0, "")
        if family == "conv_transpose":  # the adjoint of its spec
            turned = {"": {"x": "y", "w": "w"}, "_grad_input": {"grad_y": "x", "w": "w"}}
            return turned.get(suffix, {"grad_y": "x", "x": "y"})
        if family == "max_unpool":
            return {"x": "y", "indices": "indices"}
        return {
            name: {"grad_y": "y", "image": "x", "kernel": "w", "cols": "y"}.get(name, name)
            for name in self.shapes if name not in ("bias", "residual")
        }  # fmt: skip


@lru_cache(maxsize=1)
def public() -> tuple[str, ...]:
    """Return the names of the functions that can be described."""
    names = import_module(__package__).__all__
    return tuple(name for name in names if name in ("im2col", "col2im", "filter2d") or _split(name) is not None)


def describe(op: str, *args: Any, **options: Any) -> tuple[str, WindowSpec, str]:
    """Return (backend operation, spec, kind of pooling or "") of a call of a public function."""
    return described(op, args, options)[1:4]


def described(op: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Description:
    """Describe a call of a public function, given as it would be called, with shapes in place of arrays or with arrays.

    Raises
    ------
    SpecError
        If the function is unknown, or the call would break a rule.
    TypeError
        If the arguments do not fit the function.
    """
    if not isinstance(op, str):
        raise TypeError(f"op must be the name of a public function, not {type(op).__name__} ({quote(op)})")
    if op not in public():
        others = {name.replace("2d", ""): name for name in public() if "2d" in name}
        others |= {"unfold": "im2col", "fold": "col2im", "correlate": "conv2d", "convolve": "conv2d"}
        raise SpecError(
            f"op={quote(op)} is unknown; valid: public functions such as 'conv2d' and 'max_pool2d'"
            f"{did_you_mean(op, public(), others)}"
        )
    signature = inspect.signature(getattr(import_module(__package__), op))
    given = bound(op, signature, args, options)
    shapes: dict[str, tuple[int, ...]] = {}
    arrays: dict[str, Any] = {}
    for name in [name for name, value in given.items() if name in ARRAYS and value is not None]:
        value = given.pop(name)
        if _is_shape(name, value):
            shapes[name] = shape(name, frozen(value))
        else:
            arrays[name] = value
    for name, parameter in signature.parameters.items():
        if name in ARRAYS and parameter.default is parameter.empty and name not in (*shapes, *arrays):
            raise TypeError(f"{name} must be an array or its shape, not None")
    array_type = None
    if arrays:
        array_type, taken = take(**arrays)
        arrays = dict(zip(arrays, taken, strict=True))
        shapes |= {name: tuple(a.shape) for name, a in arrays.items()}
    plain = {name: value for name, value in given.items() if name not in _HOW and name not in ARRAYS}
    plain |= {name: frozen(value) for name, value in plain.items() if name not in TYPED}
    for name in _SHAPES:
        if name in plain:
            plain[name] = shape(name, plain[name])
    defaults = {
        name: p.default for name, p in signature.parameters.items()
        if p.default is not p.empty and name not in (*ARRAYS, *_HOW)
    }  # fmt: skip
    plain = {**defaults, **plain}
    operation, spec, kind = _specified(op, shapes, plain)
    return Description(op, operation, spec, kind, shapes, arrays, array_type, plain)


def _is_shape(name: str, value: Any) -> bool:
    """Return whether an argument is a shape in place of an array: integers, but for a bias of numbers."""
    if isinstance(value, (tuple, list, range)):
        return all(isinstance(item, (int, np.integer)) and not isinstance(item, bool) for item in value)
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu" and name != "bias"


@lru_cache(maxsize=64)
def _taken(make: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(make).parameters)


def _made(make: Callable[..., Any], values: Mapping[str, Any], **more: Any) -> Any:
    """Call a maker of specs with those of the arguments that it takes."""
    values = {**values, **more}
    return make(**{name: values[name] for name in _taken(make) if name in values})


def _split(op: str) -> tuple[str, int, str] | None:
    """Split the name of a public function into family, rank and "_grad_input", "_grad_weight" or nothing."""
    for suffix in ("_grad_input", "_grad_weight", ""):
        stem = op.removesuffix(suffix) if op.endswith(suffix) else ""
        if stem[-1:] == "d" and stem[-2:-1] in ("1", "2", "3") and stem[:-2] in FAMILIES:
            return stem[:-2], int(stem[-2]), suffix
    return None


def _specified(op: str, shapes: dict[str, tuple[int, ...]], plain: dict[str, Any]) -> tuple[str, WindowSpec, str]:
    """Return (backend operation, spec, kind of pooling or "")."""
    if op == "im2col":
        return op, _made(make_columns, plain, x_shape=shapes["x"]), ""
    if op == "col2im":
        size = plain["output_size"]
        size = shape("output_size", [size] if isinstance(size, int) else size)
        return op, _made(make_col2im, plain, cols_shape=shapes["cols"], output_size=size), ""
    if op == "filter2d":
        return "conv", _made(make_filter, plain, image_shape=shapes["image"], kernel_shape=shapes["kernel"]), ""
    family, nd, suffix = _split(op) or ("", 0, "")
    if family.startswith("conv"):
        return _convolution(family, nd, suffix, shapes, plain)
    if suffix:
        return _pooling_gradient(family, nd, shapes, plain)
    x = shapes["x"]
    if family == "max_unpool":
        return "unpool", _made(make_unpool, plain, nd=nd, x_shape=x), "max"  # indices have the shape of x
    places = bool(plain.get("return_indices", False))
    if family in KINDS:
        kind = KINDS[family]
        spec = _made(make_pool, plain, nd=nd, kind=kind, x_shape=x, norm=plain.get("p", 0.0))
    else:
        kind = "avg" if "avg" in family else "max"
        size = plain.get("output_size") if family.startswith("adaptive") else 1
        spec = _made(make_adaptive, plain, nd=nd, kind=kind, x_shape=x, output_size=size)
    return "pool", spec.with_places(places), kind


def _convolution(
    family: str, nd: int, suffix: str, shapes: dict[str, tuple[int, ...]], plain: dict[str, Any]
) -> tuple[str, WindowSpec, str]:
    transposed = family == "conv_transpose"
    x, w = plain.get("x_shape", shapes.get("x")), plain.get("w_shape", shapes.get("w"))
    spec: ConvSpec = _made(make_transpose if transposed else make_conv, plain, nd=nd, x_shape=x, w_shape=w)
    # A transposed convolution is the adjoint of its spec, whose x is the caller's result.
    result, channels = (spec.x_shape, spec.c) if transposed else (spec.y_shape, spec.oc)
    if "bias" in shapes:
        check_bias(shapes["bias"], channels)
    check_ending(plain.get("activation"), shapes.get("residual"), result)
    if "grad_y" in shapes and shapes["grad_y"] != result:
        raise SpecError(f"grad_y has the shape {shapes['grad_y']}; the result has {result}")
    operation = "conv" + suffix
    if transposed:
        operation = {"": "conv_grad_input", "_grad_input": "conv", "_grad_weight": "conv_grad_weight"}[suffix]
    return operation, spec, ""


def _pooling_gradient(
    family: str, nd: int, shapes: dict[str, tuple[int, ...]], plain: dict[str, Any]
) -> tuple[str, WindowSpec, str]:
    kind, grad_y = KINDS.get(family, ""), shapes["grad_y"]
    x = plain.get("x_shape", shapes.get("x"))
    if "max" in family or kind == "min":
        return "unpool", _made(make_scatter, plain, nd=nd, grad_shape=grad_y, x_shape=x), "sum"
    if kind:
        spec: PoolSpec = _made(make_pool, plain, nd=nd, kind=kind, x_shape=x, norm=plain.get("p", 0.0))
        return "pool_grad_input", spec.of_gradient(), kind
    size = _made(make_scatter, plain, nd=nd, grad_shape=grad_y, x_shape=x).out_size
    return "pool_grad_input", _made(make_adaptive, plain, nd=nd, kind="avg", x_shape=x, output_size=size), "avg"
