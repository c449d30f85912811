"""The public functions: each makes a spec, asks the registry who serves it, and hands both on."""

from __future__ import annotations

from .columns import col2im, im2col
from .conv import (
    conv1d,
    conv1d_grad_input,
    conv1d_grad_weight,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv3d,
    conv3d_grad_input,
    conv3d_grad_weight,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)  # fmt: skip
from .image import filter2d
from .inspect import conv_output_shape, explain, pool_output_shape
from .kept import plan_cache
from .plan import ConvPlan, plan_conv1d, plan_conv2d, plan_conv3d
from .pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    min_pool1d,
    min_pool2d,
    min_pool3d,
    sum_pool1d,
    sum_pool2d,
    sum_pool3d,
)  # fmt: skip
from .pool_adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
)  # fmt: skip
from .pool_grad import (
    adaptive_avg_pool1d_grad_input,
    adaptive_avg_pool2d_grad_input,
    adaptive_avg_pool3d_grad_input,
    adaptive_max_pool1d_grad_input,
    adaptive_max_pool2d_grad_input,
    adaptive_max_pool3d_grad_input,
    avg_pool1d_grad_input,
    avg_pool2d_grad_input,
    avg_pool3d_grad_input,
    global_avg_pool1d_grad_input,
    global_avg_pool2d_grad_input,
    global_avg_pool3d_grad_input,
    global_max_pool1d_grad_input,
    global_max_pool2d_grad_input,
    global_max_pool3d_grad_input,
    lp_pool1d_grad_input,
    lp_pool2d_grad_input,
    lp_pool3d_grad_input,
    max_pool1d_grad_input,
    max_pool2d_grad_input,
    max_pool3d_grad_input,
    min_pool1d_grad_input,
    min_pool2d_grad_input,
    min_pool3d_grad_input,
    sum_pool1d_grad_input,
    sum_pool2d_grad_input,
    sum_pool3d_grad_input,
)  # fmt: skip
from .requantize import requantize
from .stream import ConvStream
from .transpose_grad import (
    conv_transpose1d_grad_input,
    conv_transpose1d_grad_weight,
    conv_transpose2d_grad_input,
    conv_transpose2d_grad_weight,
    conv_transpose3d_grad_input,
    conv_transpose3d_grad_weight,
)  # fmt: skip
from .unpool import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = [
    "ConvPlan", "ConvStream", "adaptive_avg_pool1d", "adaptive_avg_pool1d_grad_input", "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad_input", "adaptive_avg_pool3d", "adaptive_avg_pool3d_grad_input", "adaptive_max_pool1d",
    "adaptive_max_pool1d_grad_input", "adaptive_max_pool2d", "adaptive_max_pool2d_grad_input", "adaptive_max_pool3d",
    "adaptive_max_pool3d_grad_input", "avg_pool1d", "avg_pool1d_grad_input", "avg_pool2d", "avg_pool2d_grad_input",
    "avg_pool3d", "avg_pool3d_grad_input", "col2im", "conv1d", "conv1d_grad_input", "conv1d_grad_weight", "conv2d",
    "conv2d_grad_input", "conv2d_grad_weight", "conv3d", "conv3d_grad_input", "conv3d_grad_weight",
    "conv_output_shape", "conv_transpose1d", "conv_transpose1d_grad_input", "conv_transpose1d_grad_weight",
    "conv_transpose2d", "conv_transpose2d_grad_input", "conv_transpose2d_grad_weight", "conv_transpose3d",
    "conv_transpose3d_grad_input", "conv_transpose3d_grad_weight", "explain", "filter2d", "global_avg_pool1d",
    "global_avg_pool1d_grad_input", "global_avg_pool2d", "global_avg_pool2d_grad_input", "global_avg_pool3d",
    "global_avg_pool3d_grad_input", "global_max_pool1d", "global_max_pool1d_grad_input", "global_max_pool2d",
    "global_max_pool2d_grad_input", "global_max_pool3d", "global_max_pool3d_grad_input", "im2col", "lp_pool1d",
    "lp_pool1d_grad_input", "lp_pool2d", "lp_pool2d_grad_input", "lp_pool3d", "lp_pool3d_grad_input", "max_pool1d",
    "max_pool1d_grad_input", "max_pool2d", "max_pool2d_grad_input", "max_pool3d", "max_pool3d_grad_input",
    "max_unpool1d", "max_unpool2d", "max_unpool3d", "min_pool1d", "min_pool1d_grad_input", "min_pool2d",
    "min_pool2d_grad_input", "min_pool3d", "min_pool3d_grad_input", "plan_cache", "plan_conv1d", "plan_conv2d",
    "plan_conv3d", "pool_output_shape", "requantize", "sum_pool1d", "sum_pool1d_grad_input", "sum_pool2d",
    "sum_pool2d_grad_input", "sum_pool3d", "sum_pool3d_grad_input",
]  # fmt: skip
