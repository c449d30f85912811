"""What may follow a convolution in its call: a residual that is added, then an activation."""

from __future__ import annotations

from typing import Any

from ..errors import SpecError
from .arguments import Ints, choice

#: The names of activations: every one is made of sums, products, maxima and minima, which all backends round alike.
ACTIVATIONS = ("relu", "relu6", "hardsigmoid", "hardswish")


def check_ending(activation: Any, residual_shape: Ints | None, y_shape: Ints) -> str | None:
    """Return the name of an activation, or None; refuse a residual that has not the shape of the result."""
    if residual_shape is not None and residual_shape != y_shape:
        raise SpecError(f"residual has the shape {residual_shape}; the result, to which it is added, has {y_shape}")
    return None if activation is None else choice("activation", activation, ACTIVATIONS)
