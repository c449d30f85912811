"""CuPy arrays on a GPU: dense products by cuDNN or cuBLAS, everything else by the kernels in the ``cupy_*.cu`` files.

Arrays stay on the device; nothing is copied to the host but the extremes of integer arrays and of indices, which the
promises of exactness and of checked indices need.  Floats never wait for the device.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import config, dtypes
from ..spec import ConvSpec, WindowSpec, zero_padded
from . import cupy_device as device
from .base import OPERATIONS
from .cupy_conv import CUBLAS_MOST, CupyConvolution, column_blocks, column_bytes, weight_parts
from .cupy_device import Launch, bits, channels_fastest, element, guarded, launch_of, layout
from .cupy_pool import CupyPooling

Array = Any


class CupyBackend(CupyConvolution, CupyPooling):
    """Every operator on CuPy arrays."""

    name = "cupy"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = {
        "conv": ("cudnn", "pointwise", "columns", "gemm", "direct"),
        "conv_grad_input": ("cudnn", "pointwise", "columns", "direct"),
        "conv_grad_weight": ("cudnn", "columns", "direct"),
    }

    # ------------------------------------------------------------------ what it says of itself

    def available(self) -> str | None:
        """See `Backend.available`."""
        return device.missing()

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if spec.nd > 3 and op not in ("im2col", "col2im"):
            return f"its kernels know 1 to 3 spatial axes, not {spec.nd}"
        return super().supports(op, spec, dtype)

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        if not isinstance(spec, ConvSpec):
            return None, "one thread per element"
        if dtype == dtypes.INT64:
            return "direct", "integers are summed as they are"
        if spec.ocg <= 4 or (spec.groups > 1 and spec.icg <= 4):
            return "direct", "groups too narrow for a matrix product"
        if self.supports_algorithm("cudnn", op, spec, dtype) is None:
            return "cudnn", "dense, and cuDNN has a plan for it"
        if self.supports_algorithm("columns", op, spec, dtype) is not None:
            return ("gemm" if op == "conv" else "direct"), "one column is larger than the scratch may be"
        if op != "conv_grad_weight" and self.supports_algorithm("pointwise", op, spec, dtype) is None:
            return "pointwise", "the input itself is the matrix of columns"
        return "columns", "columns in batches within max_workspace, products by cuBLAS"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        assert isinstance(spec, ConvSpec)
        if algorithm == "direct":
            return None
        if dtype == dtypes.INT64:
            return "products of 64-bit integers are made by direct alone, which is exact"
        if algorithm == "cudnn":
            return self._cudnn.refusal(op, zero_padded(spec), dtype)
        if algorithm == "columns" and column_bytes(spec, dtype) > config.get_max_workspace():
            return f"one column needs {column_bytes(spec, dtype)} bytes, more than max_workspace allows"
        if algorithm == "pointwise" and not spec.pointwise:
            return "pointwise needs a 1x1 kernel, no padding, and a result of the input's size"
        if algorithm == "pointwise" and max(spec.n * spec.out_count, spec.c, spec.oc) > CUBLAS_MOST:
            return f"cuBLAS takes at most {CUBLAS_MOST} columns"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        algorithm = algorithm or self.choose(op, spec, dtype)[0]
        if isinstance(spec, ConvSpec) and algorithm == "cudnn":
            return self._cudnn.workspace(op, zero_padded(spec), dtype)
        if isinstance(spec, ConvSpec) and algorithm == "columns":
            blocks = column_blocks(spec, dtype, config.get_max_workspace())
            return max((b.images * b.count for b in blocks), default=0) * column_bytes(spec, dtype)
        if isinstance(spec, ConvSpec) and op == "conv_grad_weight":
            parts, _ = weight_parts(spec, dtype, config.get_max_workspace())
            return parts * math.prod(spec.w_shape) * dtype.itemsize
        return 0

    def takes_halves(self, op: str, spec: WindowSpec, algorithm: str | None, bias: bool) -> bool:
        """See `Backend.takes_halves`."""
        algorithm = self.settled(algorithm, op, spec, dtypes.FLOAT32)
        if algorithm == "gemm":
            return True
        if algorithm != "cudnn" or bias or not isinstance(spec, ConvSpec):  # a bias would be added to rounded sums
            return False
        inner = zero_padded(spec)
        return (op == "conv" or inner is spec) and self._cudnn.refusal(op, inner, dtypes.FLOAT16) is None

    # ------------------------------------------------------------------ columns

    @guarded
    def _im2col(self, spec: WindowSpec, x: Array, cols: Array) -> None:
        if spec.nd > 3:
            super()._im2col(spec, x, cols)
            return
        launch = self._column_launch(spec, cols.size, cols, x)
        self._run("im2col", (bits(x.dtype),), launch, x, cols)

    @guarded
    def _col2im(self, spec: WindowSpec, cols: Array, x: Array) -> None:
        if spec.nd > 3:
            super()._col2im(spec, cols, x)
            return
        self._run("col2im", (element(x.dtype),), self._column_launch(spec, x.size, cols, x), cols, x)

    def _column_launch(self, spec: WindowSpec, total: int, cols: Array, x: Array) -> Launch:
        strides = (spec.c * spec.taps_count * spec.out_count, spec.out_count, 1, 0, 0)
        return launch_of(spec, total, cols.size, x=layout(x), y=strides, last=channels_fastest(x))
