# Written by tests/stubs.py from the functions themselves.
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..config import Setting
from ..registry import Explanation
from .kept import PlanCache
from .plan import ConvPlan as ConvPlan
from .stream import ConvStream as ConvStream

class _Lazy(Protocol):  # a Dask array
    @property
    def chunks(self) -> Any: ...
    def compute(self) -> Any: ...

class _OnDevice(Protocol):  # a CuPy array
    @property
    def device(self) -> Any: ...
    def get(self) -> Any: ...

Array: TypeAlias = NDArray[Any]
ArrayLike: TypeAlias = Any
_Integers: TypeAlias = NDArray[np.integer[Any] | np.bool]
_S = TypeVar("_S", bound=np.generic)
_F = TypeVar("_F", np.float16, np.float32, np.float64, np.complex64, np.complex128)
_D = TypeVar("_D", bound=_Lazy | _OnDevice)

__all__ = [
    "ConvPlan", "ConvStream", "adaptive_avg_pool1d", "adaptive_avg_pool1d_grad_input", "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad_input", "adaptive_avg_pool3d", "adaptive_avg_pool3d_grad_input", "adaptive_max_pool1d",
    "adaptive_max_pool1d_grad_input", "adaptive_max_pool2d", "adaptive_max_pool2d_grad_input", "adaptive_max_pool3d",
    "adaptive_max_pool3d_grad_input", "avg_pool1d", "avg_pool1d_grad_input", "avg_pool2d", "avg_pool2d_grad_input",
    "avg_pool3d", "avg_pool3d_grad_input", "col2im", "conv1d", "conv1d_grad_input", "conv1d_grad_weight", "conv2d",
    "conv2d_grad_input", "conv2d_grad_weight", "conv3d", "conv3d_grad_input", "conv3d_grad_weight", "conv_output_shape",
    "conv_transpose1d", "conv_transpose1d_grad_input", "conv_transpose1d_grad_weight", "conv_transpose2d",
    "conv_transpose2d_grad_input", "conv_transpose2d_grad_weight", "conv_transpose3d", "conv_transpose3d_grad_input",
    "conv_transpose3d_grad_weight", "explain", "filter2d", "global_avg_pool1d", "global_avg_pool1d_grad_input",
    "global_avg_pool2d", "global_avg_pool2d_grad_input", "global_avg_pool3d", "global_avg_pool3d_grad_input",
    "global_max_pool1d", "global_max_pool1d_grad_input", "global_max_pool2d", "global_max_pool2d_grad_input",
    "global_max_pool3d", "global_max_pool3d_grad_input", "im2col", "lp_pool1d", "lp_pool1d_grad_input", "lp_pool2d",
    "lp_pool2d_grad_input", "lp_pool3d", "lp_pool3d_grad_input", "max_pool1d", "max_pool1d_grad_input", "max_pool2d",
    "max_pool2d_grad_input", "max_pool3d", "max_pool3d_grad_input", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "min_pool1d", "min_pool1d_grad_input", "min_pool2d", "min_pool2d_grad_input", "min_pool3d", "min_pool3d_grad_input",
    "plan_cache", "plan_conv1d", "plan_conv2d", "plan_conv3d", "pool_output_shape", "requantize", "sum_pool1d",
    "sum_pool1d_grad_input", "sum_pool2d", "sum_pool2d_grad_input", "sum_pool3d", "sum_pool3d_grad_input",
]  # fmt: skip

@overload
def adaptive_avg_pool1d(
    x: NDArray[_F], output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool1d(
    x: _D, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool1d(
    x: ArrayLike, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_avg_pool1d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool1d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool1d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_avg_pool2d(
    x: NDArray[_F], output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool2d(
    x: _D, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool2d(
    x: ArrayLike, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_avg_pool2d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool2d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool2d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_avg_pool3d(
    x: NDArray[_F], output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool3d(
    x: _D, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool3d(
    x: ArrayLike, output_size: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_avg_pool3d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_avg_pool3d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def adaptive_avg_pool3d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def adaptive_max_pool1d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def adaptive_max_pool1d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool1d(
    x: _D, output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def adaptive_max_pool1d(
    x: _D, output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> tuple[_D, _D]: ...
@overload
def adaptive_max_pool1d(
    x: ArrayLike, output_size: Any, *, return_indices: bool = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Any: ...
@overload
def adaptive_max_pool1d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_max_pool1d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def adaptive_max_pool1d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def adaptive_max_pool2d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def adaptive_max_pool2d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool2d(
    x: _D, output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def adaptive_max_pool2d(
    x: _D, output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> tuple[_D, _D]: ...
@overload
def adaptive_max_pool2d(
    x: ArrayLike, output_size: Any, *, return_indices: bool = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Any: ...
@overload
def adaptive_max_pool2d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_max_pool2d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def adaptive_max_pool2d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def adaptive_max_pool3d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def adaptive_max_pool3d(
    x: NDArray[_S], output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool3d(
    x: _D, output_size: Any, *, return_indices: Literal[False] = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def adaptive_max_pool3d(
    x: _D, output_size: Any, *, return_indices: Literal[True], layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> tuple[_D, _D]: ...
@overload
def adaptive_max_pool3d(
    x: ArrayLike, output_size: Any, *, return_indices: bool = False, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Any: ...
@overload
def adaptive_max_pool3d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def adaptive_max_pool3d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def adaptive_max_pool3d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def avg_pool1d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def avg_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True, divisor_override:
    int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool1d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def avg_pool1d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> NDArray[_F]: ...
@overload
def avg_pool1d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool1d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> Array: ...
@overload
def avg_pool2d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def avg_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True, divisor_override:
    int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool2d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def avg_pool2d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> NDArray[_F]: ...
@overload
def avg_pool2d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool2d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> Array: ...
@overload
def avg_pool3d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def avg_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True, divisor_override:
    int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool3d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def avg_pool3d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> NDArray[_F]: ...
@overload
def avg_pool3d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
    divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def avg_pool3d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool =
    True, divisor_override: int | None = None, layout: str = "NCHW", out: Array | None = None, backend: str | None =
    None,
) -> Array: ...
@overload
def col2im(
    cols: NDArray[_F], output_size: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def col2im(
    cols: _Integers, output_size: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def col2im(
    cols: _D, output_size: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, backend: str
    | None = None,
) -> _D: ...
@overload
def col2im(
    cols: ArrayLike, output_size: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    backend: str | None = None,
) -> Array: ...
@overload
def conv1d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0, dilation:
    Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str =
    "NCHW", w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point:
    ArrayLike | None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv1d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None, backend: str
    | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv1d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv1d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv1d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out:
    Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv1d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv1d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array | None
    = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv1d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv1d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv1d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv1d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str =
    "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv1d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv2d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0, dilation:
    Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str =
    "NCHW", w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point:
    ArrayLike | None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv2d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None, backend: str
    | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv2d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv2d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv2d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out:
    Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv2d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv2d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array | None
    = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv2d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv2d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv2d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv2d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str =
    "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv2d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv3d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0, dilation:
    Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str =
    "NCHW", w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point:
    ArrayLike | None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv3d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: None = None, out: Array | None = None, backend: str
    | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv3d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv3d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "OIHW", activation: str | None = None, residual: ArrayLike | None = None, x_zero_point: ArrayLike |
    None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None, out: Array | None = None, backend: str |
    None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv3d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out:
    Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv3d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv3d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array | None
    = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv3d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", out: Array |
    None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv3d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups:
    int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv3d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv3d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str =
    "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv3d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int
    = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False, layout: str = "NCHW", w_layout: str
    = "OIHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
def conv_output_shape(x_shape: Sequence[int], w_shape: Sequence[int], **options: Any) -> tuple[int, ...]: ...
@overload
def conv_transpose1d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout:
    str = "NCHW", w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array
    | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose1d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose1d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None, backend:
    str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose1d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose1d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose1d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose1d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose1d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose1d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose1d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose1d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose1d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose2d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout:
    str = "NCHW", w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array
    | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose2d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose2d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None, backend:
    str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose2d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose2d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose2d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose2d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose2d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose2d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose2d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose2d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose2d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose3d(
    x: NDArray[_F], w: NDArray[_F], bias: NDArray[_F] | None = None, *, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout:
    str = "NCHW", w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array
    | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose3d(
    x: _Integers, w: _Integers, bias: _Integers | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose3d(
    x: _D, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None, backend:
    str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose3d(
    x: ArrayLike, w: ArrayLike, bias: ArrayLike | None = None, *, stride: Any = 1, padding: Any = 0, output_padding:
    Any = 0, output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW",
    w_layout: str = "IOHW", activation: str | None = None, residual: ArrayLike | None = None, out: Array | None = None,
    backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose3d_grad_input(
    grad_y: NDArray[_F], w: NDArray[_F], x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose3d_grad_input(
    grad_y: _Integers, w: _Integers, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose3d_grad_input(
    grad_y: _D, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose3d_grad_input(
    grad_y: ArrayLike, w: ArrayLike, x_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
@overload
def conv_transpose3d_grad_weight(
    grad_y: NDArray[_F], x: NDArray[_F], w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[_F]: ...
@overload
def conv_transpose3d_grad_weight(
    grad_y: _Integers, x: _Integers, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def conv_transpose3d_grad_weight(
    grad_y: _D, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, output_size:
    Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout: str = "IOHW",
    out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> _D: ...
@overload
def conv_transpose3d_grad_weight(
    grad_y: ArrayLike, x: ArrayLike, w_shape: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False, layout: str = "NCHW", w_layout:
    str = "IOHW", out: Array | None = None, backend: str | None = None, accuracy: str | None = None,
) -> Array: ...
def explain(
    op: str, *args: Any, dtype: Any = "float32", backend: str | None = None, accuracy: str | None = None, **options:
    Any,
) -> Explanation: ...
@overload
def filter2d(
    image: NDArray[_F], kernel: NDArray[_F], *, mode: str = "same", boundary: str = "reflect", flip: bool = False, out:
    Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def filter2d(
    image: _Integers, kernel: _Integers, *, mode: str = "same", boundary: str = "reflect", flip: bool = False, out:
    Array | None = None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def filter2d(
    image: _D, kernel: ArrayLike, *, mode: str = "same", boundary: str = "reflect", flip: bool = False, out: Array |
    None = None, backend: str | None = None,
) -> _D: ...
@overload
def filter2d(
    image: ArrayLike, kernel: ArrayLike, *, mode: str = "same", boundary: str = "reflect", flip: bool = False, out:
    Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool1d(
    x: NDArray[_F], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool1d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_avg_pool1d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool1d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool1d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def global_avg_pool1d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool2d(
    x: NDArray[_F], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool2d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_avg_pool2d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool2d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool2d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def global_avg_pool2d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool3d(
    x: NDArray[_F], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool3d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_avg_pool3d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_avg_pool3d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def global_avg_pool3d_grad_input(
    grad_y: _D, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def global_avg_pool3d_grad_input(
    grad_y: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_max_pool1d(
    x: NDArray[_S], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def global_max_pool1d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_max_pool1d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_max_pool1d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def global_max_pool1d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def global_max_pool1d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def global_max_pool2d(
    x: NDArray[_S], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def global_max_pool2d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_max_pool2d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_max_pool2d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def global_max_pool2d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def global_max_pool2d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def global_max_pool3d(
    x: NDArray[_S], *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def global_max_pool3d(x: _D, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None) -> _D: ...
@overload
def global_max_pool3d(
    x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def global_max_pool3d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def global_max_pool3d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def global_max_pool3d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def im2col(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, backend: str | None =
    None,
) -> NDArray[_S]: ...
@overload
def im2col(
    x: _D, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, backend: str | None = None,
) -> _D: ...
@overload
def im2col(
    x: ArrayLike, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool1d(
    x: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool1d(
    x: _D, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool1d(
    x: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool1d_grad_input(
    grad_y: NDArray[_F], x: NDArray[_F], y: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding:
    Any = 0, dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool1d_grad_input(
    grad_y: _D, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool1d_grad_input(
    grad_y: ArrayLike, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool2d(
    x: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool2d(
    x: _D, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool2d(
    x: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool2d_grad_input(
    grad_y: NDArray[_F], x: NDArray[_F], y: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding:
    Any = 0, dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool2d_grad_input(
    grad_y: _D, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool2d_grad_input(
    grad_y: ArrayLike, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool3d(
    x: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool3d(
    x: _D, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool3d(
    x: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> Array: ...
@overload
def lp_pool3d_grad_input(
    grad_y: NDArray[_F], x: NDArray[_F], y: NDArray[_F], p: float, kernel_size: Any, *, stride: Any = None, padding:
    Any = 0, dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def lp_pool3d_grad_input(
    grad_y: _D, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def lp_pool3d_grad_input(
    grad_y: ArrayLike, x: ArrayLike, y: ArrayLike, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout:
    str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def max_pool1d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_pool1d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def max_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def max_pool1d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def max_pool1d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def max_pool1d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def max_pool1d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def max_pool2d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_pool2d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def max_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def max_pool2d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def max_pool2d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def max_pool2d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def max_pool2d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def max_pool3d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_pool3d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def max_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def max_pool3d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def max_pool3d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def max_pool3d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def max_pool3d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def max_unpool1d(
    x: NDArray[_S], indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_unpool1d(
    x: _D, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any = None,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_unpool1d(
    x: ArrayLike, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def max_unpool2d(
    x: NDArray[_S], indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_unpool2d(
    x: _D, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any = None,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_unpool2d(
    x: ArrayLike, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def max_unpool3d(
    x: NDArray[_S], indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def max_unpool3d(
    x: _D, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any = None,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def max_unpool3d(
    x: ArrayLike, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, output_size: Any =
    None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def min_pool1d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def min_pool1d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def min_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def min_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def min_pool1d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def min_pool1d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def min_pool1d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def min_pool1d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def min_pool2d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def min_pool2d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def min_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def min_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def min_pool2d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def min_pool2d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def min_pool2d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def min_pool2d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
@overload
def min_pool3d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False,
    layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> NDArray[_S]: ...
@overload
def min_pool3d(
    x: NDArray[_S], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[NDArray[_S], NDArray[np.int64]]: ...
@overload
def min_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[False] = False, layout: str
    = "NCHW", out: Array | None = None, backend: str | None = None,
) -> _D: ...
@overload
def min_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, return_indices: Literal[True], layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> tuple[_D, _D]: ...
@overload
def min_pool3d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, return_indices: bool = False, layout: str =
    "NCHW", out: Array | None = None, backend: str | None = None,
) -> Any: ...
@overload
def min_pool3d_grad_input(
    grad_y: NDArray[_F], indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> NDArray[_F]: ...
@overload
def min_pool3d_grad_input(
    grad_y: _D, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend: str |
    None = None,
) -> _D: ...
@overload
def min_pool3d_grad_input(
    grad_y: ArrayLike, indices: ArrayLike, x_shape: Any, *, layout: str = "NCHW", out: Array | None = None, backend:
    str | None = None,
) -> Array: ...
def plan_cache(maxsize: int = 64) -> Setting[PlanCache]: ...
def plan_conv1d(
    x_shape: Any, w: ArrayLike, bias: ArrayLike | None = None, *, dtype: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None, x_zero_point: ArrayLike | None = None,
    w_zero_point: ArrayLike | None = None, out_dtype: Any = None, backend: str | None = None, accuracy: str | None =
    None,
) -> ConvPlan: ...
def plan_conv2d(
    x_shape: Any, w: ArrayLike, bias: ArrayLike | None = None, *, dtype: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None, x_zero_point: ArrayLike | None = None,
    w_zero_point: ArrayLike | None = None, out_dtype: Any = None, backend: str | None = None, accuracy: str | None =
    None,
) -> ConvPlan: ...
def plan_conv3d(
    x_shape: Any, w: ArrayLike, bias: ArrayLike | None = None, *, dtype: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0, flip: bool = False,
    layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None, x_zero_point: ArrayLike | None = None,
    w_zero_point: ArrayLike | None = None, out_dtype: Any = None, backend: str | None = None, accuracy: str | None =
    None,
) -> ConvPlan: ...
def pool_output_shape(x_shape: Sequence[int], kernel_size: Any, **options: Any) -> tuple[int, ...]: ...
def requantize(
    x: ArrayLike, scale: ArrayLike, zero_point: ArrayLike = 0, *, dtype: Any = None, axis: int = 1, out: Array | None =
    None,
) -> Array: ...
@overload
def sum_pool1d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool1d(
    x: _Integers, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool1d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def sum_pool1d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> Array: ...
@overload
def sum_pool1d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool1d_grad_input(
    grad_y: _Integers, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool1d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> _D: ...
@overload
def sum_pool1d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def sum_pool2d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool2d(
    x: _Integers, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool2d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def sum_pool2d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> Array: ...
@overload
def sum_pool2d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool2d_grad_input(
    grad_y: _Integers, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool2d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> _D: ...
@overload
def sum_pool2d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> Array: ...
@overload
def sum_pool3d(
    x: NDArray[_F], kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool3d(
    x: _Integers, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool3d(
    x: _D, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> _D: ...
@overload
def sum_pool3d(
    x: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool =
    False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array | None =
    None, backend: str | None = None,
) -> Array: ...
@overload
def sum_pool3d_grad_input(
    grad_y: NDArray[_F], x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[_F]: ...
@overload
def sum_pool3d_grad_input(
    grad_y: _Integers, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> NDArray[np.int64]: ...
@overload
def sum_pool3d_grad_input(
    grad_y: _D, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode:
    bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out: Array |
    None = None, backend: str | None = None,
) -> _D: ...
@overload
def sum_pool3d_grad_input(
    grad_y: ArrayLike, x_shape: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW", out:
    Array | None = None, backend: str | None = None,
) -> Array: ...
