"""The attributes of ONNX's operators, of every operator set, as convlib's keywords.

Standard library only, no arrays.  The rules are those of ONNX's operator specifications; where versions of them
contradict each other, the newest stands, and docs/onnx.md says so.  ``pads`` lists all starts and then all ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import SpecError
from ..spec import effective_kernel, resolve_padding, window_counts

Ints: TypeAlias = tuple[int, ...]
Attributes: TypeAlias = Mapping[str, Any]

AUTO_PAD = {"NOTSET": "", "VALID": "valid", "SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower"}

#: What convlib has functions for.
MOST_AXES = 3


def spatial_axes(x_shape: Ints) -> int:
    """Return the number of spatial axes of an input, which convlib must have."""
    nd = len(x_shape) - 2
    if not 1 <= nd <= MOST_AXES:
        raise SpecError(
            f"X has the shape {x_shape}, (N, C) and {max(nd, 0)} spatial axes; convlib serves 1 to {MOST_AXES}"
        )
    return nd


def ints(attributes: Attributes, name: str, nd: int, default: int, least: int = 1) -> Ints:
    """Return an attribute that holds one integer per spatial axis, each at least `least`."""
    given = attributes.get(name)
    if not given:
        return (default,) * nd
    if len(given) != nd:
        raise SpecError(f"{name}={list(given)} must have one entry per spatial axis: {nd}")
    if min(given) < least:
        raise SpecError(f"{name}={list(given)} must be at least {least} on every axis")
    return tuple(int(value) for value in given)


def groups(attributes: Attributes, name: str = "group") -> int:
    """Return a number of groups; 1 if it is left out."""
    given = attributes.get(name)
    if given is not None and given < 1:
        raise SpecError(f"{name}={given} must be at least 1")
    return 1 if given is None else int(given)


def pairs(attributes: Attributes, nd: int) -> tuple[tuple[int, int], ...]:
    """Return ``pads`` as one (start, end) pair per spatial axis."""
    pads = attributes.get("pads") or (0,) * (2 * nd)
    if len(pads) != 2 * nd:
        raise SpecError(f"pads={list(pads)} must hold the starts and then the ends of {nd} axes: {2 * nd} entries")
    if min(pads) < 0:
        raise SpecError(f"pads={list(pads)} must be at least 0")
    return tuple((int(pads[axis]), int(pads[axis + nd])) for axis in range(nd))


def auto_pad(attributes: Attributes) -> str:
    """Return the padding that ``auto_pad`` names in convlib's word, or "" if it leaves it to ``pads``."""
    name = attributes.get("auto_pad") or "NOTSET"
    if name not in AUTO_PAD:
        raise SpecError(f"auto_pad={name!r} is unknown; valid: {', '.join(AUTO_PAD)}")
    if AUTO_PAD[name] and any(attributes.get("pads") or ()):
        raise SpecError(f"auto_pad={name!r} and pads={list(attributes['pads'])} exclude each other; leave out one")
    return AUTO_PAD[name]


def windows(attributes: Attributes, nd: int) -> dict[str, Any]:
    """Return stride, padding and dilation."""
    return {
        "stride": ints(attributes, "strides", nd, 1),
        "padding": auto_pad(attributes) or pairs(attributes, nd),
        "dilation": ints(attributes, "dilations", nd, 1),
    }


def conv(attributes: Attributes, x_shape: Ints, w_shape: Ints) -> dict[str, Any]:
    """Return the keywords of a convolution, of Conv, ConvInteger, QLinearConv and ConvTranspose."""
    nd = spatial_axes(x_shape)
    if len(w_shape) != nd + 2:
        raise SpecError(f"W has the shape {w_shape}; with X {x_shape} it needs {nd + 2} axes")
    kernel = ints(attributes, "kernel_shape", nd, 0)
    if any(kernel) and kernel != w_shape[2:]:
        raise SpecError(f"kernel_shape={list(kernel)} is not that of W {w_shape}; leave it out or give {w_shape[2:]}")
    return {**windows(attributes, nd), "groups": groups(attributes)}


def conv_transpose(attributes: Attributes, x_shape: Ints, w_shape: Ints) -> dict[str, Any]:
    """Return the keywords of ConvTranspose.

    With ``output_shape``, ``pads`` are ignored and made from what is to be cut off: its odd element at the end for
    SAME_UPPER, and at the start for all else, NOTSET included.
    """
    options, nd = conv(attributes, x_shape, w_shape), len(x_shape) - 2
    if attributes.get("output_shape"):
        options["output_size"] = ints(attributes, "output_shape", nd, 1)
        options["padding"] = "same_upper" if attributes.get("auto_pad") == "SAME_UPPER" else "same_lower"
    return {**options, "output_padding": ints(attributes, "output_padding", nd, 0, 0)}


def pool(attributes: Attributes, x_shape: Ints) -> dict[str, Any]:
    """Return the keywords that all poolings share.

    ``ceil_mode`` matters beside ``pads`` only: the sizes that ``auto_pad`` gives are the same with and without it.
    """
    nd = spatial_axes(x_shape)
    kernel = attributes.get("kernel_shape")
    if not kernel:
        raise SpecError("kernel_shape is missing; give one size per spatial axis")
    options = windows(attributes, nd)
    ceil_mode = bool(attributes.get("ceil_mode")) and not isinstance(options["padding"], str)
    return {"kernel_size": ints(attributes, "kernel_shape", nd, 0), **options, "ceil_mode": ceil_mode}


def average(attributes: Attributes, x_shape: Ints) -> dict[str, Any]:
    """Return the keywords of AveragePool."""
    return {**pool(attributes, x_shape), "count_include_pad": bool(attributes.get("count_include_pad"))}


def norm(attributes: Attributes) -> float:
    """Return the exponent of LpPool and GlobalLpPool: an integer, but a float in operator set 1."""
    given = attributes.get("p")
    return 2 if given is None else float(given)


def empty_size(x_shape: Ints, kernel: Ints, options: Mapping[str, Any]) -> Ints | None:
    """Return the spatial size of a result that holds nothing, and None for any other.

    The specifications round ``(i + lo + hi - ke) / stride + 1``, which is 0 where a window is larger than the padded
    input by no more than a stride: the result is empty.  Where it is less than 0 there is no result.
    """
    size, stride, dilation = x_shape[2:], options["stride"], options["dilation"]
    ke = effective_kernel(kernel, dilation)
    lo, hi = resolve_padding(options["padding"], size, ke, stride)
    counts = window_counts(size, ke, stride, lo, hi, options.get("ceil_mode", False))
    return counts if min(counts) == 0 else None


def columns(attributes: Attributes, image_shape: Sequence[int]) -> dict[str, Any]:
    """Return the keywords of Col2Im."""
    return windows(attributes, len(image_shape))


def unpool(attributes: Attributes, x_shape: Ints, output_shape: Sequence[int] | None) -> tuple[Ints, Ints]:
    """Return the shape that the indices of MaxUnpool count in, and the shape of its result, which starts with it.

    ONNX's own case for ``output_shape`` reads the indices in the shape that kernel, strides and pads give, and puts
    zeros behind it.
    """
    nd = spatial_axes(x_shape)
    kernel, stride = ints(attributes, "kernel_shape", nd, 0), ints(attributes, "strides", nd, 1)
    pads = pairs(attributes, nd)
    grown = ((i - 1) * s + k - lo - hi for i, s, k, (lo, hi) in zip(x_shape[2:], stride, kernel, pads, strict=True))
    counted = (*x_shape[:2], *grown)
    if min(counted[2:]) < 1:
        raise SpecError(f"the result would have the shape {counted}; reduce pads={list(attributes['pads'])}")
    if output_shape is None:
        return counted, counted
    result = tuple(int(size) for size in output_shape)
    if len(result) != nd + 2 or result[:2] != x_shape[:2] or any(o < g for o, g in zip(result, counted, strict=True)):
        raise SpecError(f"output_shape={list(result)} must be at least {counted}, with N and C as in X {x_shape}")
    return counted, result


def named(op: str, name: str, outputs: Sequence[str]) -> str:
    """Return how a message calls a node: by its name, or by what it gives."""
    return f"{op} node {name!r}" if name else f"{op} node that gives {', '.join(map(repr, filter(None, outputs)))}"
