"""Weights in the caller's order of axes and in that of backends."""

from __future__ import annotations

from ..backends.base import Backend
from ..backends.base.contract import Array
from ..spec import ConvSpec, WeightOrder


def plain_weights(w: Array, order: WeightOrder) -> Array:
    """See weights in the order of backends."""
    if order.plain:
        return w
    if order.depthwise:
        w = w.reshape(*w.shape[:-2], 1, w.shape[-2] * w.shape[-1])
    return w.transpose(order.axes)


def stored_weights(
    w: Array, order: WeightOrder, spec: ConvSpec, out: Array | None, backend: Backend, *inputs: Array
) -> Array:
    """Deliver what a backend returned in its order of weights in the caller's, to `out` if there is one."""
    if order.plain:
        return w
    if order.depthwise:
        w = w.reshape(spec.groups, spec.ocg, *spec.kernel).transpose(*range(2, spec.nd + 2), 0, 1)
    else:
        w = w.transpose(order.stored)
    if out is None:
        return w
    backend.check_out(out, w.shape, w.dtype, *inputs)
    out[...] = w
    return out
