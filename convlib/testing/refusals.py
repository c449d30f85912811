"""Calls that every backend must refuse with the same class of error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import convlib

from .arrays import Array, read_only

_X, _W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)


def _read_only_out() -> Array:
    return read_only(np.zeros((1, 3, 3, 3), np.float32))


REFUSALS: dict[str, tuple[type[Exception], Callable[[str], Any]]] = {
    "rank": (convlib.SpecError, lambda b: convlib.conv2d(_X[0, 0], _W, backend=b)),
    "channels": (convlib.SpecError, lambda b: convlib.conv2d(_X[:, :1], _W, backend=b)),
    "groups": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, groups=2, backend=b)),
    "large-window": (convlib.SpecError, lambda b: convlib.conv2d(_X, np.ones((1, 2, 6, 6)), backend=b)),
    "zero-stride": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, stride=0, backend=b)),
    "negative-padding": (convlib.SpecError, lambda b: convlib.max_pool2d(_X, 2, padding=-1, backend=b)),
    "float-stride": (TypeError, lambda b: convlib.conv2d(_X, _W, stride=1.5, backend=b)),
    "bias-shape": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, np.ones(2), backend=b)),
    "object-dtype": (TypeError, lambda b: convlib.conv2d(_X.astype(object), _W, backend=b)),
    "string-dtype": (TypeError, lambda b: convlib.max_pool2d(_X.astype(str), 2, backend=b)),
    "complex-maximum": (TypeError, lambda b: convlib.max_pool2d(_X.astype(complex), 2, backend=b)),
    "out-shape": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, out=np.ones((1, 3, 2, 3), np.float32), backend=b)),
    "out-dtype": (TypeError, lambda b: convlib.conv2d(_X, _W, out=np.ones((1, 3, 3, 3)), backend=b)),
    "out-read-only": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, out=_read_only_out(), backend=b)),
    "out-overlap": (convlib.SpecError, lambda b: convlib.max_pool2d(_X, 1, out=_X, backend=b)),
    "index-range": (convlib.SpecError, lambda b: convlib.max_unpool2d(_X, np.full(_X.shape, 100), 1, backend=b)),
    "integer-overflow": (convlib.SpecError, lambda b: convlib.conv2d(np.full((1, 1, 3, 3), 2**40), np.full((1, 1, 3, 3), 2**40), backend=b)),
}  # fmt: skip
