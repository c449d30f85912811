"""Activations on arrays, in the type of the result: what a backend does that has nothing faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def relu(y: Array) -> Array:
    """``max(y, 0)``; NaN stays."""
    return np.maximum(y, 0)


def relu6(y: Array) -> Array:
    """``min(max(y, 0), 6)``."""
    return np.minimum(np.maximum(y, 0), 6)


def hardsigmoid(y: Array) -> Array:
    """``relu6(y + 3) / 6``, as PyTorch has it."""
    return relu6(y + 3) / 6


def hardswish(y: Array) -> Array:
    """``y * relu6(y + 3) / 6``, as PyTorch has it."""
    return y * relu6(y + 3) / 6


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    function.__name__: function for function in (relu, relu6, hardsigmoid, hardswish)
}
