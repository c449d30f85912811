"""Convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError
from ..functional._common import Array, ArrayLike, element_type
from ..spec import check_ending, effective_kernel, make_conv, make_transpose, weight_order
from ..spec.arguments import Ints, channels_last, integer, per_axis
from .activation import ended, gradient
from .base import Layer


def _largest(padding: Any) -> int:
    """Return the largest amount in any form of `padding`; names count as 0, whatever else is wrong is refused later."""
    if isinstance(padding, tuple):
        return max(map(_largest, padding), default=0)
    return padding if isinstance(padding, int) else 0


class _Learned(Layer):
    """A layer with weights and, if wanted, a bias."""

    names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    transposed: ClassVar[bool] = False

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.weight: NDArray[Any] | None = None
        self.bias: NDArray[Any] | None = None
        self._rng: np.random.Generator | None = given["rng"]
        if not isinstance(self._rng, np.random.Generator | None):
            raise TypeError(
                f"rng must be a numpy.random.Generator, not {type(self._rng).__name__}; give "
                "numpy.random.default_rng(seed)"
            )
        if not isinstance(given["bias"], bool):
            raise TypeError(f"bias must be True or False, not {given['bias']!r}")
        self._dtype = element_type("dtype", given["dtype"])
        if self._dtype.kind not in "fc":
            raise TypeError(f"dtype={given['dtype']!r} cannot be learned; use a floating or complex type")
        self._given["dtype"] = self._dtype.name
        check_ending(given["activation"], None, ())
        self._kernel = per_axis("kernel_size", self._given["kernel_size"], self.nd, 1)
        self._order = weight_order(self.nd, self._given["w_layout"], self.transposed)
        self._oc, self._groups = integer("out_channels", given["out_channels"]), integer("groups", given["groups"])
        if self._oc < 1 or self._groups < 1:
            raise SpecError(f"out_channels={self._oc} and groups={self._groups} must be at least 1")
        c = given["in_channels"]
        if c is not None and integer("in_channels", c) < 1:
            raise SpecError(f"in_channels={c} must be at least 1, or None to take those of the first input")
        self._check(self._groups if c is None else c)
        if c is not None:
            self._materialise(c)

    def _plain_shape(self, c: int) -> Ints:
        """Return the shape of the weights in the order of backends."""
        raise NotImplementedError

    def _w_shape(self, c: int) -> Ints:
        return self._order.stored_shape(self._plain_shape(c), self._groups)

    def _check(self, c: int) -> None:
        """Refuse options that fit no input with `c` channels."""
        raise NotImplementedError

    def _materialise(self, c: int) -> None:
        shape = self._w_shape(c)
        rng = self._rng or np.random.default_rng()
        bound = 1 / math.sqrt(max(1, math.prod(self._plain_shape(c)[1:])))
        self.weight = rng.uniform(-bound, bound, shape).astype(self._dtype)
        self.bias = rng.uniform(-bound, bound, self._oc).astype(self._dtype) if self._given["bias"] else None
        self._given["in_channels"] = c
        self._rng = None

    def _ready(self, x: Array) -> NDArray[Any]:
        """Return the weights; make them for the input's channels if this is the first input."""
        if self.weight is None:
            if x.ndim not in (self.nd + 1, self.nd + 2):
                raise SpecError(
                    f"x has {x.ndim} axes {x.shape}; expected {self.nd + 2}, or {self.nd + 1} without the batch axis"
                )
            c = x.shape[self._axis()]
            self._check(c)
            self._materialise(c)
        assert self.weight is not None
        return self.weight

    def _axis(self) -> int:
        """Return the axis of the channels, counted from the end."""
        return -1 if channels_last(self._given["layout"], self.nd) else -self.nd - 1

    def _bias_grad(self, grad_y: Array) -> None:
        if self.bias is not None:
            channels = grad_y.ndim + self._axis()
            over = tuple(a for a in range(grad_y.ndim) if a != channels)
            if grad_y.dtype.kind in "fc":  # a long sum: in double precision
                total = grad_y.sum(axis=over, dtype=np.result_type(grad_y.dtype, np.float64))
                self.grads["bias"] = total.astype(grad_y.dtype)
            else:
                self.grads["bias"] = grad_y.sum(axis=over)

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """See `Layer.load_state`; a lazy layer takes its channels from the weights."""
        wanted = {"weight", "bias"} if self._given["bias"] else {"weight"}
        if set(state) != wanted:
            raise SpecError(f"the state holds {sorted(state)}; {self!r} has {sorted(wanted)}")
        arrays = {name: self._learned(name, value) for name, value in state.items()}
        c = self._given["in_channels"]
        c = self._channels_of(arrays["weight"]) if c is None else c
        shapes = {"weight": self._w_shape(c), "bias": (self._oc,)}
        for name, array in arrays.items():
            if array.shape != shapes[name]:
                raise SpecError(f"{name} has the shape {array.shape} in the state; {self!r} has {shapes[name]}")
        self._given["in_channels"] = c
        self.weight, self.bias = arrays["weight"], arrays.get("bias")
        self.grads: dict[str, Array] = {}
        self._rng = None

    def _learned(self, name: str, value: ArrayLike) -> Array:
        """Return a copy of an array of the state in the type of the layer."""
        array = self._array(**{name: value})
        if not np.can_cast(array.dtype, self._dtype, "same_kind"):
            raise TypeError(f"{name} has dtype {array.dtype} in the state, which {self._dtype} cannot hold")
        with np.errstate(all="ignore"):
            made = np.array(array, self._dtype)
        if not np.array_equal(np.isfinite(made), np.isfinite(array)):
            raise SpecError(f"{name} holds numbers in the state that are too large for {self._dtype}")
        return made

    def _channels_of(self, weight: Array) -> int:
        if weight.ndim != self.nd + 2:
            return 0  # the shape is refused, whatever the channels
        return self._channels(self._order.shape(weight.shape, self._groups))

    def _channels(self, w_shape: Ints) -> int:
        """Return the channels of the input by the shape of weights in the order of backends."""
        raise NotImplementedError


class _Conv(_Learned):
    """A convolution that learns its weights.

    Parameters
    ----------
    out_channels : int
        Number of kernels, ``OC``.
    kernel_size : int or sequence of <nd> int
        Size of a kernel.
    in_channels : int, optional
        Number of input channels, ``C``; by default it is taken from the first input.
    <stride>
    <padding>
    <dilation>
    <groups>
    bias : bool, default True
        Whether to learn a bias.
    <padding_mode>
    <layout>
    <w_layout>
    <layer_activation>
    dtype : dtype, default "float32"
        Type of the parameters.
    rng : numpy.random.Generator, optional
        Where the first parameters come from: uniform between plus and minus ``1 / sqrt(C / groups * prod(k))``.
    <layer_backend>

    Attributes
    ----------
    weight : ndarray, shape (OC, C / groups, <kernel>) or as `w_layout` says, or None
        The kernels; None before a layer without `in_channels` has seen its first input.
    bias : ndarray, shape (OC,), or None
        Added to each output channel.

    Raises
    ------
    SpecError
        At once if the options contradict each other or fit no input; from `forward` if they do not fit the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.layers import Conv<nd>d
    >>> layer = Conv<nd>d(8, 3, padding=1, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 5, <four>), np.float32)).shape
    (2, 8, <four>)
    >>> layer
    Conv<nd>d(8, 3, in_channels=5, padding=1)
    """

    def __init__(
        self, out_channels: int, kernel_size: Any, *, in_channels: int | None = None, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "constant",
        pad_value: float = 0, layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None,
        dtype: Any = "float32", rng: np.random.Generator | None = None, backend: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(locals())

    def _plain_shape(self, c: int) -> Ints:
        return (self._oc, c // self._groups, *self._kernel)

    def _channels(self, w_shape: Ints) -> int:
        return w_shape[1] * self._groups

    def _check(self, c: int) -> None:
        given = self._given
        ke = effective_kernel(self._kernel, per_axis("dilation", given["dilation"], self.nd, 1))
        size = (*ke, c) if self._axis() == -1 else (c, *ke)
        make_conv(
            self.nd, size, self._w_shape(c), given["stride"], given["padding"], given["dilation"], given["groups"],
            given["padding_mode"], given["pad_value"], False, given["layout"], given["w_layout"],
        )  # fmt: skip

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        w = self._ready(x)
        names = ("stride", "padding", "dilation", "groups", "padding_mode", "pad_value", "layout", "w_layout")
        call = partial(self._function("convnd"), x, w, self.bias, **self._picked(*names, "backend"))
        y, active = ended(self._given["activation"], call)
        self._kept = x, active
        return y

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        (x, active), grad_y = self._last(), self._array(grad_y=grad_y)
        grad_y = gradient(self._given["activation"], active, grad_y)
        w = self._ready(x)
        names = ("stride", "padding", "dilation", "groups", "padding_mode", "layout", "w_layout", "backend")
        options = self._picked(*names)
        grad_x: Array = self._function("convnd_grad_input")(grad_y, w, x.shape, **options)
        self.grads["weight"] = self._function("convnd_grad_weight")(
            grad_y, x, w.shape, pad_value=self._given["pad_value"], **options
        )
        self._bias_grad(grad_y)
        return grad_x


class Conv1d(_Conv, nd=1):
    """A convolution over one spatial axis that learns its weights."""


class Conv2d(_Conv, nd=2):
    """A convolution over two spatial axes that learns its weights."""


class Conv3d(_Conv, nd=3):
    """A convolution over three spatial axes that learns its weights."""


class _ConvTranspose(_Learned):
    """A transposed convolution that learns its weights.

    Parameters
    ----------
    out_channels : int
        Channels of the result, ``OC``.
    kernel_size : int or sequence of <nd> int
        Size of a kernel.
    in_channels : int, optional
        Number of input channels, ``C``; by default it is taken from the first input.
    <stride>
    padding : int, sequence or str, default 0
        As in `conv_transpose<nd>d`.
    output_padding : int or sequence of <nd> int, default 0
        Elements by which the result is longer at its end.
    <dilation>
    <groups>
    bias : bool, default True
        Whether to learn a bias.
    <layout>
    <w_layout_transposed>
    <layer_activation>
    dtype : dtype, default "float32"
        Type of the parameters.
    rng : numpy.random.Generator, optional
        Where the first parameters come from: uniform between plus and minus ``1 / sqrt(OC / groups * prod(k))``.
    <layer_backend>

    Attributes
    ----------
    weight : ndarray, shape (C, OC / groups, <kernel>) or as `w_layout` says, or None
        The kernels; None before a layer without `in_channels` has seen its first input.
    bias : ndarray, shape (OC,), or None
        Added to each output channel.

    Raises
    ------
    SpecError
        At once if the options contradict each other or fit no input; from `forward` if they do not fit the input.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib.layers import ConvTranspose<nd>d
    >>> layer = ConvTranspose<nd>d(8, 2, stride=2, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 5, <two>), np.float32)).shape
    (2, 8, <four>)
    """

    transposed = True

    def __init__(
        self, out_channels: int, kernel_size: Any, *, in_channels: int | None = None, stride: Any = 1,
        padding: Any = 0, output_padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        layout: str = "NCHW", w_layout: str = "IOHW", activation: str | None = None, dtype: Any = "float32",
        rng: np.random.Generator | None = None, backend: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(locals())

    def _plain_shape(self, c: int) -> Ints:
        if self._oc % self._groups:
            raise SpecError(f"groups={self._groups} must divide out_channels={self._oc}")
        return (c, self._oc // self._groups, *self._kernel)

    def _channels(self, w_shape: Ints) -> int:
        return w_shape[0]

    def _check(self, c: int) -> None:
        given = self._given
        size = (1024 + 2 * _largest(given["padding"]),) * self.nd
        make_transpose(
            self.nd, (*size, c) if self._axis() == -1 else (c, *size), self._w_shape(c), given["stride"],
            given["padding"], given["output_padding"], None, given["dilation"], given["groups"], False,
            given["layout"], given["w_layout"],
        )  # fmt: skip

    def _call(self) -> dict[str, Any]:
        names = ("stride", "padding", "output_padding", "dilation", "groups", "layout", "w_layout", "backend")
        return self._picked(*names)

    def forward(self, x: ArrayLike) -> Array:
        """See `Layer.forward`."""
        x = self._array(x=x)
        call = partial(self._function("conv_transposend"), x, self._ready(x), self.bias, **self._call())
        y, active = ended(self._given["activation"], call)
        self._kept = x, active
        return y

    def backward(self, grad_y: ArrayLike) -> Array:
        """See `Layer.backward`."""
        (x, active), grad_y = self._last(), self._array(grad_y=grad_y)
        grad_y = gradient(self._given["activation"], active, grad_y)
        w = self._ready(x)
        grad_x: Array = self._function("conv_transposend_grad_input")(grad_y, w, x.shape, **self._call())
        self.grads["weight"] = self._function("conv_transposend_grad_weight")(grad_y, x, w.shape, **self._call())
        self._bias_grad(grad_y)
        return grad_x


class ConvTranspose1d(_ConvTranspose, nd=1):
    """A transposed convolution over one spatial axis that learns its weights."""


class ConvTranspose2d(_ConvTranspose, nd=2):
    """A transposed convolution over two spatial axes that learns its weights."""


class ConvTranspose3d(_ConvTranspose, nd=3):
    """A transposed convolution over three spatial axes that learns its weights."""
