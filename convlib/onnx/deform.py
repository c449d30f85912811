"""DeformConv: a convolution whose taps lie where offsets say, between elements, by linear interpolation."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from ..errors import SpecError
from ..spec import effective_kernel, window_counts
from . import rules
from .memory import Array


def deform_conv(
    attributes: rules.Attributes, x: Array, w: Array, offset: Array, bias: Array | None = None,
    mask: Array | None = None,
) -> Array:  # fmt: skip
    """Return DeformConv over any number of spatial axes, one kernel tap at a time.

    Tap ``t`` of output ``j`` reads ``x`` at ``j * stride - lo + t * dilation + offset``; outside of the input it reads
    zeros.  `mask` multiplies what was read.
    """
    nd = x.ndim - 2
    kernel, groups = w.shape[2:], rules.groups(attributes)
    offset_groups, taps = rules.groups(attributes, "offset_group"), math.prod(kernel)
    stride, dilation = rules.ints(attributes, "strides", nd, 1), rules.ints(attributes, "dilations", nd, 1)
    pads = rules.pairs(attributes, nd)
    lo, hi = zip(*pads, strict=True)
    out = window_counts(x.shape[2:], effective_kernel(kernel, dilation), stride, lo, hi)
    _check(x, w, groups, offset_groups)
    shapes = {"offset": (x.shape[0], offset_groups * taps * nd, *out), "mask": (x.shape[0], offset_groups * taps, *out)}
    for name, given in (("offset", offset), ("mask", mask)):
        if given is not None and given.shape != shapes[name]:
            expected = f"with X {x.shape} and W {w.shape} expected {shapes[name]}"
            raise SpecError(f"{name} has the shape {given.shape}; {expected}")
    compute = np.result_type(x, np.float32)
    offsets = offset.reshape(x.shape[0], offset_groups, taps, nd, *out)
    masks = None if mask is None else mask.reshape(x.shape[0], offset_groups, taps, *out)
    # One matrix of weights per tap and group, and one of the samples that it multiplies.
    weights = w.astype(compute).reshape(groups, w.shape[0] // groups, w.shape[1], taps)
    y = np.zeros((x.shape[0], groups, w.shape[0] // groups, math.prod(out)), compute)
    grid = np.meshgrid(*(np.arange(o) * s - p for o, s, p in zip(out, stride, lo, strict=True)), indexing="ij")
    planes = x.astype(compute).reshape(*x.shape[:2], -1)
    for n, (number, tap) in product(range(x.shape[0]), enumerate(np.ndindex(*kernel))):
        at = [start + t * d + offsets[n, :, number, a].astype(compute)
              for a, (start, t, d) in enumerate(zip(grid, tap, dilation, strict=True))]  # fmt: skip
        read = _sampled(planes[n].reshape(offset_groups, -1, planes.shape[2]), x.shape[2:], at)
        if masks is not None:
            read *= masks[n, :, None, number].reshape(offset_groups, 1, -1)
        y[n] += weights[..., number] @ read.reshape(groups, w.shape[1], -1)
    y = y.reshape(x.shape[0], w.shape[0], *out)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * nd)
    return y.astype(x.dtype, copy=False)


def _check(x: Array, w: Array, groups: int, offset_groups: int) -> None:
    channels, outputs = x.shape[1], w.shape[0]
    if w.ndim != x.ndim or w.shape[1] * groups != channels or outputs % groups:
        raise SpecError(f"W {w.shape} does not fit X {x.shape} with group={groups}: (M, C / group, *kernel)")
    if channels % offset_groups:
        raise SpecError(f"offset_group={offset_groups} must divide the {channels} channels of X {x.shape}")


def _sampled(planes: Array, size: tuple[int, ...], at: list[Array]) -> Array:
    """Return each plane's values at real positions, by linear interpolation: (offset groups, channels, positions).

    `planes` is (offset groups, channels, elements); `at` holds one array (offset groups, *out) per axis.
    """
    at = [position.reshape(len(planes), -1) for position in at]
    floors = [np.floor(position) for position in at]
    read = np.zeros((*planes.shape[:2], at[0].shape[1]), planes.dtype)
    for corner in product((0, 1), repeat=len(size)):
        share: Any = 1
        place: Any = 0
        for i, up, position, floor in zip(size, corner, at, floors, strict=True):
            index = floor + up
            inside = (index >= 0) & (index < i)
            share = share * np.where(inside, position - floor if up else 1 - (position - floor), 0)
            place = place * i + np.where(inside, index, 0).astype(np.int64)
        read += share[:, None] * np.take_along_axis(planes, place[:, None], axis=2)
    return read
