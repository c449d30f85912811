"""Convolution and pooling as a learner writes them first: a few lines of NumPy each, straight from the formula.

Nothing here uses the rest of the library, so that each function can be read on its own; the tests hold them against it.
Arrays are small by intention: one image ``(h, w)``, or its channels ``(c, h, w)``, no batches and no options.

Names follow the lectures: `X` is the input, `K` the kernel, `Y` the result, ``c_i`` and ``c_o`` count input and
output channels; `H` is a hidden layer, `W` the weights that connect all with all, `V` the same by offset.
"""

from __future__ import annotations

from .layer import Conv2D
from .operators import (
    comp_conv2d,
    corr2d,
    corr2d_multi_in,
    corr2d_multi_in_out,
    corr2d_multi_in_out_1x1,
    pool2d,
)
from .principles import dense, dense_by_offset, equivariance_error, influence, kernel_weights, offset_weights, shift

__all__ = [
    "Conv2D", "comp_conv2d", "corr2d", "corr2d_multi_in", "corr2d_multi_in_out", "corr2d_multi_in_out_1x1", "dense",
    "dense_by_offset", "equivariance_error", "influence", "kernel_weights", "offset_weights", "pool2d", "shift",
]  # fmt: skip
