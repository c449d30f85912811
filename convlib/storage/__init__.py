"""Arrays of types that are stored but not computed in: float16, bfloat16, integers, what else a backend does not take.

A call on such arrays is cut into calls on parts of them, whose copies in the compute type fit the scratch bound, and
nothing else of them is ever converted.  Both compute in float32.  Sums of integers are exact: they compute in
float32 or float64 where no partial sum can leave the integers that these hold, for backends that like floats better,
and in int64 else.  Padding that is no zeros is written into the same parts.

The functions take a backend, and then what its operation of the same name takes.
"""

from ..backends.base.checks import Quantised
from .calls import (
    check_residual,
    col2im,
    conv,
    conv_grad_input,
    conv_grad_weight,
    conv_transpose,
    conv_transpose_grad_input,
    conv_transpose_grad_weight,
    finish,
    pool,
    pool_grad_input,
    prepare_conv,
    unpool,
)
from .copies import Copy, copies
from .quantised import requantise, way
from .scratch import scratch, terms
from .weights import plain_weights, stored_weights

__all__ = [
    "Copy", "Quantised", "check_residual", "col2im", "conv", "conv_grad_input", "conv_grad_weight", "conv_transpose",
    "conv_transpose_grad_input", "conv_transpose_grad_weight", "copies", "finish", "plain_weights", "pool",
    "pool_grad_input", "prepare_conv", "requantise", "scratch", "stored_weights", "terms", "unpool", "way",
]  # fmt: skip
