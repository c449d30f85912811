"""Plans whose backend has nothing to prepare: each of their calls is served as any call would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import config
from ..backends.base import Backend
from ..backends.base.contract import Array
from ..spec import ConvSpec
from ..threads import get_num_threads


def unprepared(
    backend: Backend, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None,
    whole: Callable[..., Array],
) -> Callable[[Array, Array | None], Array]:  # fmt: skip
    """Return what serves a plan by the backend's short way for calls, if it has one, or else by `whole`."""
    plain = type(w) is np.ndarray and (bias is None or (type(bias) is np.ndarray and bias.dtype == dtype))
    short = backend.quick_conv(spec, dtype, w.dtype, algorithm) if plain else None

    def run(x: Array, out: Array | None) -> Array:
        if short is not None and type(x) is np.ndarray and (out is None or out.flags.c_contiguous):
            if out is not None:
                backend.check_out(out, spec.y_shape, dtype, x)  # the plan's weights are its own
            given = x, get_num_threads(), config.get_max_workspace(), w, bias
            found = short(*given) if out is None else short(*given, out=out)
            if found is not None:
                return found
        return whole(x, w, bias, out)

    return run
