"""Shapes: the only place where a size, a padding amount or an output shape is computed.

A *spec* is made once per distinct call, cached, and handed down unchanged.  Everything is a Python
``int``: no arrays and no NumPy here.  All normalising and all refusals happen in this module, so
that backends receive finished integers.

Notation, per spatial axis: input size ``i``, kernel size ``k``, stride ``s``, dilation ``d`` (1 means
none), padding ``lo`` before and ``hi`` after, and the effective kernel ``ke = (k - 1) * d + 1``.  The
output size is ``(i + lo + hi - ke) // s + 1``.  With ``ceil_mode`` the division rounds up, and the last
window is dropped if it would start behind the input and its low padding (the rule of PyTorch and of ONNX
since operator set 22).
"""


from .adjoint import Phase, Phases
from .arguments import frozen, shape
from .conv import ConvSpec, check_bias, make_conv, make_filter, make_transpose
from .ending import ACTIVATIONS, check_ending
from .padding import PADDING_MODES, PADDING_NAMES, effective_kernel, origin, resolve_padding, runs, window_counts
from .pool import PoolSpec, make_adaptive, make_pool, make_scatter, make_unpool
from .weights import WeightOrder, weight_order
from .windows import WindowSpec, make_col2im, make_columns, needs_padding, plain_padded, repeats, rim, zero_padded

__all__ = [
    "ACTIVATIONS", "PADDING_MODES", "PADDING_NAMES", "ConvSpec", "Phase", "Phases", "PoolSpec", "WeightOrder",
    "WindowSpec", "check_bias", "check_ending", "effective_kernel", "frozen", "make_adaptive", "make_col2im",
    "make_columns", "make_conv", "make_filter", "make_pool", "make_scatter", "make_transpose", "make_unpool",
    "needs_padding", "origin", "plain_padded", "repeats", "resolve_padding", "rim", "runs", "shape", "weight_order",
    "window_counts", "zero_padded",
]  # fmt: skip
