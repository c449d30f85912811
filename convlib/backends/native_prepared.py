"""What a plan of the native engine calls: a convolution whose weights are packed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import config
from .._ext import _finish, _native_conv
from ..spec import ConvSpec
from ..threads import get_num_threads
from .native_calls import conv_problem, settings

Array = Any


class Prepared:
    """A convolution whose weights are packed."""

    def __init__(self, backend: Any, spec: ConvSpec, packed: Any, dtype: np.dtype[Any]) -> None:
        self._backend, self._spec, self._dtype = backend, spec, dtype
        x_shape, y_shape = (shape if spec.batched else (1, *shape) for shape in (spec.x_shape, spec.y_shape))
        self._runner = _native_conv.Runner(conv_problem(spec), packed, None, False, x_shape, y_shape, dtype)

    def __call__(self, x: Array, out: Array | None) -> Array:
        """Return the result, which is `out` if given."""
        spec = self._spec
        self._backend.check_out(out, spec.y_shape, self._dtype, x)
        x = np.require(x, self._dtype, ["A", "C"])
        target = out if out is None or spec.batched else out[None]
        y: Array = self._runner(x if spec.batched else x[None], *settings()[1:], None, None, target)
        return out if out is not None else y if spec.batched else y[0]

    def ended(self, x: Any, out: Array | None, residual: Array | None, activation: str | None) -> Array | None:
        """Return the result for plain arrays, ended in the same pass, or None where that takes a pass of its own."""
        code = _finish.ACTIVATIONS.get(activation)
        if code is None or not self._spec.batched or type(x) is not np.ndarray:
            return None
        if out is not None:
            self._backend.check_out(out, self._spec.y_shape, self._dtype, x)
        rest = None, None, out, residual, code
        return self._runner(x, get_num_threads(), config.get_max_workspace(), *rest)

    def short(self, activation: str | None) -> Callable[..., Array | None] | None:
        """Return what takes `x`, threads and bound on memory, and `residual=`, and ends with an activation.

        It gives None where it cannot take the arrays as they are, or has to end them in a pass of its own.
        """
        code = _finish.ACTIVATIONS.get(activation)
        return None if code is None or not self._spec.batched else partial(self._runner, activation=code)

    def quick(self, x: Any, out: Array | None) -> Array | None:
        """Return the result for an array of the plan's very shape and dtype, None for anything else."""
        if out is not None:
            return self.ended(x, out, None, None)
        return self._runner(x, get_num_threads(), config.get_max_workspace())
