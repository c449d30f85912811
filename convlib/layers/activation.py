"""Slopes of the activations that a layer ends with, for its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends.base.ending import FUNCTIONS
from ..functional._common import Array

#: By what comes out of the activation.
BY_RESULT: dict[str, Callable[[Array], Any]] = {
    "relu": lambda y: y > 0,
    "relu6": lambda y: (y > 0) & (y < 6),
    "hardsigmoid": lambda y: ((y > 0) & (y < 1)) / 6,
}
#: By what goes in: its result does not tell.
BY_INPUT: dict[str, Callable[[Array], Any]] = {
    "hardswish": lambda z: np.where(abs(z) < 3, (2 * z + 3) / 6, z >= 3),
}


def ended(activation: str | None, call: Callable[..., Array]) -> tuple[Array, Array | None]:
    """Return the result of a convolution that ends with an activation, and what `gradient` needs."""
    if activation in BY_INPUT:
        z = call()
        return FUNCTIONS[activation](z).astype(z.dtype), z
    y = call(activation=activation)
    return y, None if activation is None else y


def gradient(activation: str | None, kept: Array | None, grad_y: Array) -> Array:
    """Return the gradient before an activation; one of another shape as it is, for the convolution to refuse."""
    if activation is None or kept is None or grad_y.shape != kept.shape:
        return grad_y
    result: Array = grad_y * (BY_RESULT | BY_INPUT)[activation](kept).astype(grad_y.dtype)
    return result
