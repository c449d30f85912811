"""The public functions: each makes a spec, asks the registry who serves it, and hands both on."""

from __future__ import annotations

from .columns import col2im, im2col
from .conv import (
    conv1d, conv1d_grad_input, conv1d_grad_weight, conv2d, conv2d_grad_input, conv2d_grad_weight, conv3d,
    conv3d_grad_input, conv3d_grad_weight, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)  # fmt: skip
from .image import filter2d
from .inspect import conv_output_shape, explain, pool_output_shape
from .pool import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, avg_pool1d, avg_pool2d, avg_pool3d, global_avg_pool1d, global_avg_pool2d, global_avg_pool3d,
    global_max_pool1d, global_max_pool2d, global_max_pool3d, lp_pool1d, lp_pool2d, lp_pool3d, max_pool1d, max_pool2d,
    max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d, min_pool1d, min_pool2d, min_pool3d, sum_pool1d, sum_pool2d,
    sum_pool3d,
)  # fmt: skip

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "col2im", "conv1d", "conv1d_grad_input",
    "conv1d_grad_weight", "conv2d", "conv2d_grad_input", "conv2d_grad_weight", "conv3d", "conv3d_grad_input",
    "conv3d_grad_weight", "conv_output_shape", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "explain",
    "filter2d", "global_avg_pool1d", "global_avg_pool2d", "global_avg_pool3d", "global_max_pool1d", "global_max_pool2d",
    "global_max_pool3d", "im2col", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d", "min_pool1d", "min_pool2d", "min_pool3d", "pool_output_shape",
    "sum_pool1d", "sum_pool2d", "sum_pool3d",
]  # fmt: skip
