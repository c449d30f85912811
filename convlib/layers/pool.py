"""Pooling layers: they learn nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..errors import SpecError
from ..functional._common import Array, ArrayLike
from ..spec import effective_kernel, make_adaptive, make_pool
from ..spec.arguments import channels_last, per_axis
from .base import Layer


class _Pool(Layer):
    """Pooling over windows; `kind` says how a window becomes one number."""

    kind: ClassVar[str] = ""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self._check()

    def _check(self) -> None:
        """Refuse options that fit no input."""
        given = self._given
        kernel = per_axis("kernel_size", given["kernel_size"], self.nd, 1)
        ke = effective_kernel(kernel, per_axis("dilation", given["dilation"], self.nd, 1))
        size = (*ke, 1) if channels_last(given["layout"], self.nd) else (1, *ke)
        options = {name: value for name, value in self._call().items() if name != "backend"}
        make_pool(self.nd, self.kind, size, kernel, norm=given.get("p", 0.0), **options)

    def _call(self) -> dict[str, Any]:
        first = ("kernel_size", "p")
        return {name: value for name, value in self._given.items() if name not in first}

    def _op(self, suffix: str = "") -> Any:
        return self._function(f"{self.kind}_poolnd{suffix}")


class _Extreme(_Pool):
    """Pooling that keeps the places of its extremes.

    Parameters
    ----------
    <windows>
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if the options contradict each other; from `forward` if they do not fit the input.
    """

    def __init__(
        self, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW",
        backend: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(locals())

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        y, indices = self._op()(x, self._given["kernel_size"], return_indices=True, **self._call())
        self._kept = x.shape, indices
        result: Array = y
        return result

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        shape, indices = self._last()
        options = self._picked("layout", "backend")
        grad_x: Array = self._op("_grad_input")(grad_y, indices, shape, **options)
        return grad_x


class _Sum(_Pool):
    """Pooling that sums.

    Parameters
    ----------
    <windows>
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if the options contradict each other; from `forward` if they do not fit the input.
    """

    kind = "sum"

    def __init__(
        self, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW",
        backend: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(locals())

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        y: Array = self._op()(x, self._given["kernel_size"], **self._call())
        self._kept = x.shape
        return y

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        kernel = self._given["kernel_size"]
        grad_x: Array = self._op("_grad_input")(grad_y, self._last(), kernel, **self._call())
        return grad_x


class _Avg(_Sum):
    """Pooling that averages.

    Parameters
    ----------
    <windows>
    count_include_pad : bool, default True
        Divide by the number of window elements inside the padded input; if False, by those inside the input.
    divisor_override : int, optional
        Divide by this number instead.
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if the options contradict each other; from `forward` if they do not fit the input.
    """

    kind = "avg"

    def __init__(
        self, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        padding_mode: str = "constant", pad_value: float | None = None, count_include_pad: bool = True,
        divisor_override: int | None = None, layout: str = "NCHW",
        backend: str | None = None,
    ) -> None:  # fmt: skip
        _Pool.__init__(self, locals())


class _Lp(_Pool):
    """Pooling that takes the p-norm.

    Parameters
    ----------
    p : float
        The exponent, above 0.
    <windows>
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if the options contradict each other; from `forward` if they do not fit the input.
    """

    kind = "lp"

    def __init__(
        self, p: float, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, padding_mode: str = "constant", pad_value: float | None = None, layout: str = "NCHW",
        backend: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(locals())

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        y: Array = self._op()(x, self._given["p"], self._given["kernel_size"], **self._call())
        self._kept = x, y
        return y

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        given = self._given
        grad_x: Array = self._op("_grad_input")(grad_y, *self._last(), given["p"], given["kernel_size"], **self._call())
        return grad_x


class _Adaptive(Layer):
    """Pooling to a given output size.

    Parameters
    ----------
    output_size : int or sequence of <nd> int
        Spatial size of the result; None on an axis keeps its size.
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if an option is invalid; from `forward` if it does not fit the input.
    """

    kind: ClassVar[str] = ""

    def __init__(self, output_size: Any, *, layout: str = "NCHW", backend: str | None = None) -> None:
        super().__init__(locals())
        make_adaptive(self.nd, self.kind, (1,) * (self.nd + 1), self._given["output_size"], layout)

    def _size(self) -> Any:
        return self._given["output_size"]

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        options = self._picked("layout", "backend")
        forward = self._function(f"adaptive_{self.kind}_poolnd")
        if self.kind == "max":
            y, indices = forward(x, self._size(), return_indices=True, **options)
            self._kept = indices, x.shape
        else:
            y = forward(x, self._size(), **options)
            self._kept = (x.shape,)
        self._y_shape = y.shape
        result: Array = y
        return result

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        kept, grad_y = self._last(), self._array(grad_y=grad_y)
        if grad_y.shape != self._y_shape:  # any size could come from some output size, but not from this layer's
            raise SpecError(f"grad_y has the shape {grad_y.shape}; {self!r} gave {self._y_shape}")
        options = self._picked("layout", "backend")
        grad_x: Array = self._function(f"adaptive_{self.kind}_poolnd_grad_input")(grad_y, *kept, **options)
        return grad_x


class _Global(_Adaptive):
    """Pooling of each channel to one number.

    Parameters
    ----------
    <layout>
    <layer_backend>

    Raises
    ------
    SpecError
        At once if an option is invalid; from `forward` if it does not fit the input.
    """

    def __init__(self, *, layout: str = "NCHW", backend: str | None = None) -> None:
        Layer.__init__(self, locals())
        channels_last(layout, self.nd)

    def _size(self) -> Any:
        return 1


class MaxPool1d(_Extreme, nd=1):
    """The maximum of each window over one spatial axis."""

    kind = "max"


class MaxPool2d(_Extreme, nd=2):
    """The maximum of each window over two spatial axes."""

    kind = "max"


class MaxPool3d(_Extreme, nd=3):
    """The maximum of each window over three spatial axes."""

    kind = "max"


class MinPool1d(_Extreme, nd=1):
    """The minimum of each window over one spatial axis."""

    kind = "min"


class MinPool2d(_Extreme, nd=2):
    """The minimum of each window over two spatial axes."""

    kind = "min"


class MinPool3d(_Extreme, nd=3):
    """The minimum of each window over three spatial axes."""

    kind = "min"


class AvgPool1d(_Avg, nd=1):
    """The average of each window over one spatial axis."""


class AvgPool2d(_Avg, nd=2):
    """The average of each window over two spatial axes."""


class AvgPool3d(_Avg, nd=3):
    """The average of each window over three spatial axes."""


class SumPool1d(_Sum, nd=1):
    """The sum of each window over one spatial axis."""


class SumPool2d(_Sum, nd=2):
    """The sum of each window over two spatial axes."""


class SumPool3d(_Sum, nd=3):
    """The sum of each window over three spatial axes."""


class LpPool1d(_Lp, nd=1):
    """The p-norm of each window over one spatial axis."""


class LpPool2d(_Lp, nd=2):
    """The p-norm of each window over two spatial axes."""


class LpPool3d(_Lp, nd=3):
    """The p-norm of each window over three spatial axes."""


class AdaptiveMaxPool1d(_Adaptive, nd=1):
    """Maxima of windows chosen for an output size over one spatial axis."""

    kind = "max"


class AdaptiveMaxPool2d(_Adaptive, nd=2):
    """Maxima of windows chosen for an output size over two spatial axes."""

    kind = "max"


class AdaptiveMaxPool3d(_Adaptive, nd=3):
    """Maxima of windows chosen for an output size over three spatial axes."""

    kind = "max"


class AdaptiveAvgPool1d(_Adaptive, nd=1):
    """Averages of windows chosen for an output size over one spatial axis."""

    kind = "avg"


class AdaptiveAvgPool2d(_Adaptive, nd=2):
    """Averages of windows chosen for an output size over two spatial axes."""

    kind = "avg"


class AdaptiveAvgPool3d(_Adaptive, nd=3):
    """Averages of windows chosen for an output size over three spatial axes."""

    kind = "avg"


class GlobalMaxPool1d(_Global, nd=1):
    """The maximum of each channel over one spatial axis."""

    kind = "max"


class GlobalMaxPool2d(_Global, nd=2):
    """The maximum of each channel over two spatial axes."""

    kind = "max"


class GlobalMaxPool3d(_Global, nd=3):
    """The maximum of each channel over three spatial axes."""

    kind = "max"


class GlobalAvgPool1d(_Global, nd=1):
    """The average of each channel over one spatial axis."""

    kind = "avg"


class GlobalAvgPool2d(_Global, nd=2):
    """The average of each channel over two spatial axes."""

    kind = "avg"


class GlobalAvgPool3d(_Global, nd=3):
    """The average of each channel over three spatial axes."""

    kind = "avg"
