"""The conformance cases: one list, data only.

A case names a public function and what it is called with; `why` says which edge it stands on.  Arrays are given by
shape and filled with small integers, so that every backend must return the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from .case import Case
from .conv import BFLOAT16, CONVS, DTYPES, GRADIENTS, QUANTISED, TRANSPOSED, WEIGHTS
from .pool import NORM_GRADIENTS, POOL_GRADIENTS, UNPOOLS, pools

__all__ = ["Case", "cases"]

LARGE = (
    Case("conv2d-large_integers", "conv2d", ((1, 3, 6, 5), (4, 3, 3, 3), (4,)), (), {"padding": 1}, ("int64", "int8"), "large", "a detour over doubles rounds"),
    Case("conv2d_grad_input-large_integers", "conv2d_grad_input", ((1, 4, 4, 3), (4, 3, 3, 3)), ((1, 3, 6, 5),), {}, ("int64", "int8"), "large"),
    Case("conv2d_grad_weight-large_integers", "conv2d_grad_weight", ((1, 4, 4, 3), (1, 3, 6, 5)), ((4, 3, 3, 3),), {}, ("int64", "int8"), "large"),
    Case("max_pool2d-large_integers", "max_pool2d", ((1, 3, 6, 5),), (3,), {"stride": 2, "return_indices": True}, ("int64",), "large"),
    Case("min_pool2d-large_integers", "min_pool2d", ((1, 3, 6, 5),), (3,), {"stride": 2, "return_indices": True}, ("uint64",), "large"),
    Case("sum_pool2d-large_integers", "sum_pool2d", ((1, 3, 6, 5),), (3,), {"padding": 1}, ("int64",), "large"),
    Case("col2im-large_integers", "col2im", ((1, 12, 12),), ((5, 4), 2), {}, ("int64",), "large"),
)  # fmt: skip

COLUMNS = (
    *(
        Case(f"im2col-{name}", "im2col", (x,), (kernel,), options, dtypes)
        for name, x, kernel, options, dtypes in (
            ("2d", (2, 3, 6, 5), (3, 2), {"stride": 2, "padding": 1}, ("float32",)),
            ("1d", (2, 3, 9), (4,), {"dilation": 2, "padding": "same"}, ("float64",)),
            ("3d", (1, 2, 4, 3, 5), 2, {"padding": ((1, 0), (0, 1), (2, 2))}, ("int16",)),
            ("4d", (1, 1, 3, 3, 2, 3), (2, 2, 1, 2), {}, ("float32",)),
            ("unbatched", (2, 5, 4), (2, 2), {}, ("bool",)),
            ("complex", (1, 2, 5, 4), (2, 2), {}, ("complex64",)),
            ("n_zero", (0, 2, 5, 4), (2, 2), {}, ("float32",)),
        )
    ),
    *(
        Case(f"col2im-{name}", "col2im", (cols,), (size, kernel), options, dtypes)
        for name, cols, size, kernel, options, dtypes in (
            ("2d", (2, 18, 9), (6, 5), (3, 2), {"stride": 2, "padding": 1}, ("float32",)),
            ("1d", (2, 6, 8), (9,), (2,), {}, ("int8",)),
            ("3d", (1, 16, 9), (2, 3, 4), 2, {"padding": ((0, 0), (0, 1), (0, 0)), "stride": (1, 1, 1)}, ("float64",)),
            ("unbatched", (8, 12), (5, 4), (2, 2), {}, ("float16",)),
        )
    ),
)  # fmt: skip

IMAGES = tuple(
    Case(f"filter2d-{name}", "filter2d", shapes, (), options, dtypes)
    for name, shapes, options, dtypes in (
        ("grey", ((7, 6), (3, 3)), {}, ("float32",)),
        ("colour", ((7, 6, 3), (3, 3)), {"boundary": "symmetric"}, ("float32",)),
        ("even_flip", ((7, 6), (2, 4)), {"flip": True, "boundary": "wrap"}, ("float64",)),
        ("full", ((4, 5, 3), (3, 2)), {"mode": "full", "boundary": "constant"}, ("float32",)),
        ("valid_int", ((6, 5), (3, 2)), {"mode": "valid"}, ("uint8", "int8")),
    )
)


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Return all conformance cases; those of bfloat16 only where ml_dtypes is installed.

    Returns
    -------
    cases : tuple of Case
        In the order in which they run.
    """
    try:
        import_module("ml_dtypes")  # NumPy knows the name of the type from then on
        narrow = BFLOAT16
    except ImportError:
        narrow = ()
    return (
        *CONVS, *DTYPES, *QUANTISED, *LARGE, *UNPOOLS, *GRADIENTS, *TRANSPOSED, *WEIGHTS, *pools(), *POOL_GRADIENTS,
        *NORM_GRADIENTS, *COLUMNS, *IMAGES, *narrow,
    )  # fmt: skip
