"""Gradients where padding repeats elements: those of padding with zeros, and beside them what lies outside.

Of few channels and of large images the rows and columns outside alone are computed, and added to what they repeat or
to the weights.  Else there is a gradient of the input with all of its padding, which is folded; that of the weights
takes a copy of the input with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import config
from .._ext import _native, _native_frames, _native_pad
from ..spec import ConvSpec, plain_padded, zero_padded
from ..threads import get_num_threads
from .base.arrays import GRADIENT_COPY, padding_sources, short_axes
from .native_calls import filled, settings
from .native_padding import border_of

Array = Any
Run = Callable[..., Any]

#: Pairs of channels in a group up to which what lies outside is computed alone, by plain loops.
PAIRS = 16

#: The part of a convolution's products up to which these loops have the rest, if a copy is too large.
PART = 1 / 128

#: Nanoseconds of a line outside under a line of taps, and of an element of it; those of the copy of a plane, folded,
#: and of an element of that.  The parts of large gradients take longer: of pools twice, of convolutions eight times.
LINE, PLACE, PLANE, ELEMENT = 30, 0.8, 50, 0.22


def padded_gradient(
    backend: Any, op: str, spec: Any, dtype: np.dtype[Any], algorithm: str | None, gradient: Callable[..., None]
) -> Run | None:
    """Return a short way of a gradient of an input, or with one, whose padding repeats elements; None if it is long.

    It takes contiguous arrays, the last of which is the result, and returns whether it serves them.

    ``gradient(spec, grad_y, other, result)`` fills that of a spec whose padding is of zeros.
    """
    if not short_axes(spec):
        return None
    adds = adds_outside(op, spec, dtype)
    inner = plain_padded(spec) if adds else zero_padded(spec)
    nbytes = 0 if adds else math.prod(inner.x_shape) * dtype.itemsize
    if nbytes > min(GRADIENT_COPY, config.get_max_workspace() // 4):
        return None  # what is said is then served by parts
    border = _outside(spec, dtype) if adds else _border(spec, inner.x_shape, dtype)

    @lru_cache(maxsize=4)
    def fits(settled: tuple[bool, int, int], isa: str) -> bool:
        """Return whether there is room for the scratch of the engine, beside the copy, as it is set."""
        own = border.scratch(settled[1], op == "conv_grad_weight") if adds else nbytes
        return bool(backend.workspace(op, inner, dtype, algorithm) + own <= settled[2])

    def call(grad_y: Array, other: Array | None, result: Array) -> bool:
        if not fits(settings(), _native.active_isa()):
            return False
        threads = get_num_threads()
        if adds:
            gradient(inner, grad_y, other, result)
            add = border.add_weights if op == "conv_grad_weight" else border.add
            add(grad_y, other, result, threads)
        elif op == "conv_grad_weight":
            wide = border.wide(other, threads)
            if wide is None:
                return False
            gradient(inner, grad_y, wide, result)
        else:
            wide = border.room()
            gradient(inner, grad_y, other, wide)
            border.fold(wide, result, threads)
        return True

    return call


def _border(spec: Any, padded_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return _native_pad.Border(*border_of(spec, spec.x_shape, padded_shape, dtype, spec.n * spec.c, 1))


def adds_outside(op: str, spec: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether a gradient is that of zeros, to which that of the padding is added."""
    if spec.nd > 2 or dtype.kind != "f" or dtype.itemsize < 4 or not filled(spec):
        return False
    if op == "pool_grad_input":
        pairs, outs, most = 1, 1, 2
        if plain_padded(spec).adjoint() is None:
            return False
    else:
        pairs, outs, most = spec.icg * spec.ocg, spec.ocg, 8
    lines = [_lines(spec, axis) for axis in range(spec.nd)]
    large = math.prod(zero_padded(spec).x_shape) * dtype.itemsize > GRADIENT_COPY
    if op == "conv_grad_weight" and not large:  # over a copy kernels are the faster for having no edges
        return False
    if pairs > PAIRS:
        products = (count / (out * k) for count, out, k in zip(lines, spec.out_size, spec.kernel, strict=True))
        return bool(large and sum(products) <= PART)
    long = sum(spec.in_size) / spec.nd
    outside = sum(lines) * (LINE + PLACE * long) * (1 + outs) / 2
    return bool(outside <= (PLANE + ELEMENT * math.prod(spec.in_size)) * (most if large else 1))


def _lines(spec: Any, axis: int) -> float:
    """Return about how many lines outside there are on an axis, times the lines of taps that reach them."""
    pads = spec.pad_lo[axis], spec.pad_hi[axis]
    return float(sum(pad * min(spec.kernel[axis], (pad / spec.dilation[axis] + 1) / 2) for pad in pads))


def _outside(spec: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(spec, ConvSpec):
        channels, divisor = (spec.groups, spec.icg, spec.ocg), 0.0
    else:
        channels, divisor = (spec.c, 1, 1), 1.0 if spec.kind == "sum" else float(spec.divisor or spec.taps_count)
    sizes = spec.out_size, spec.kernel, spec.stride, spec.dilation, spec.n, *channels, divisor
    border = border_of(spec, spec.x_shape, zero_padded(spec).x_shape, dtype, spec.n * spec.c, 1)
    return _native_frames.Outside(*sizes, *border)


def pieces_outside(op: str, spec: Any, dtype: np.dtype[Any]) -> tuple[int, int, int] | None:
    """See `Backend.padded_pieces`."""
    if getattr(spec, "flip", False) or spec.channels_last or not (short_axes(spec) and adds_outside(op, spec, dtype)):
        return None
    return 0, 1, _outside(spec, dtype).scratch(get_num_threads(), op == "conv_grad_weight")


def folded(spec: Any, wide: Array, x: Array) -> bool:
    """Write the gradient of a padded input to that of the input by all threads; False for gaps or long axes."""
    if not short_axes(spec):
        return False
    sources = [padding_sources(spec, axis) for axis in range(spec.nd)]
    sizes = spec.in_size, zero_padded(spec).in_size, spec.pad_lo
    return _native_pad.fold(wide, x, *sizes, sources, get_num_threads())
