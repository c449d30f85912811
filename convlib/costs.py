"""What an operator costs, counted exactly from its shapes: parameters, multiply-adds, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from . import dtypes
from .errors import SpecError
from .functional._common import element_type
from .functional.described import describe
from .spec import ConvSpec, PoolSpec, WindowSpec
from .spec.arguments import flag, integer, per_axis

if TYPE_CHECKING:
    from .networks import NetworkCost


@dataclass(frozen=True)
class Cost:
    """The cost of one call.

    Attributes
    ----------
    parameters : int
        Learned numbers: weights, and a bias if there is one.
    macs : int
        Multiply-adds with every tap of every window counted, those in the padding included, as most counters do.  For
        transposed convolution: before `padding` crops the result.  For pooling: additions or comparisons.
    macs_inside : int
        The same without taps that fall into the padding (or are cropped): the work that no algorithm of direct
        summation can avoid.
    nbytes : int
        Bytes that must move if each array is read or written once: input, weights, result, indices.
    """

    parameters: int
    macs: int
    macs_inside: int
    nbytes: int

    @property
    def flops(self) -> int:
        """Floating-point operations: two per multiply-add."""
        return 2 * self.macs

    @property
    def intensity(self) -> float:
        """Operations per byte, ``flops / nbytes``: low values mean that memory is the limit."""
        return self.flops / self.nbytes if self.nbytes else 0.0


@overload
def cost(op: str, *args: Any, dtype: Any = "float32", bias: bool = False, **options: Any) -> Cost: ...
@overload
def cost(op: Iterable[Any], *args: Any, dtype: Any = "float32") -> NetworkCost: ...


def cost(
    op: str | Iterable[Any], *args: Any, dtype: Any = "float32", bias: bool = False, **options: Any
) -> Cost | NetworkCost:
    """Count the parameters, multiply-adds and bytes of a call, or of a whole network.

    Parameters
    ----------
    op : str or iterable of layers
        Name of a public function, such as "conv2d", "conv_transpose1d", "max_pool2d" or "conv2d_grad_weight"; or the
        layers of a network from input to output: layers of `convlib.layers`, specs, mappings such as ``{"op": "conv2d",
        "out_channels": 8, "kernel_size": 3}``, and `convlib.networks.Residual` for paths that are added.  Anything else
        that can be called, and any name, is taken to work element by element, as activations do.
    *args
        What the function takes by position, with shapes in place of arrays; for a network the shape of its input.
    dtype : dtype, default "float32"
        Element type of the arrays.
    bias : bool, default False
        Whether a convolution has a bias.
    **options
        As in the function.

    Returns
    -------
    cost : Cost or NetworkCost
        Exact integers; of a network a row per layer and the total, which ``print`` shows as a table.

    Raises
    ------
    SpecError
        If the call would break a rule, or `bias` goes with an operator that has none.

    Examples
    --------
    >>> import convlib
    >>> c = convlib.cost("conv2d", (1, 64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> c.parameters, c.macs, c.macs_inside
    (36864, 115605504, 112869376)
    >>> from convlib.layers import AvgPool2d, Conv2d
    >>> print(convlib.cost([Conv2d(6, 5, padding=2), "sigmoid", AvgPool2d(2)], (1, 1, 28, 28)))
    layer      result     parameters  multiply-adds   share   bytes  per byte
    -------------------------------------------------------------------------
    Conv2d     1×6×28×28         156        117 600   96.2%  22 576      10.4
    sigmoid ?  1×6×28×28           0              0    0.0%  37 632       0.0
    AvgPool2d  1×6×14×14           0          4 704    3.8%  23 520       0.4
    -------------------------------------------------------------------------
    total      1×6×14×14         156        122 304  100.0%  83 728       2.9
    ? taken to work element by element: sigmoid
    """
    if not isinstance(op, str) and isinstance(op, Iterable):
        if len(args) != 1 or options or flag("bias", bias):
            raise TypeError("cost(layers, x_shape) takes the layers of a network and the shape of its input")
        from .networks import network_cost  # only when asked

        return network_cost(op, args[0], dtype)
    operation, spec, _ = describe(op, *args, **options)
    if flag("bias", bias) and not isinstance(spec, ConvSpec):
        raise SpecError(f"bias=True: {op} has no bias; leave it out")
    return cost_of(op, operation, spec, element_type("dtype", dtype), bias)


def cost_of(op: str, operation: str, spec: WindowSpec, element: np.dtype[Any], bias: bool) -> Cost:
    """Return what a call of the function `op` costs, whose spec is made."""
    if isinstance(spec, ConvSpec):
        weights = math.prod(spec.w_shape)
        # A transposed convolution is the adjoint of its spec: the bias goes into what the spec calls x.
        channels = (spec.c if op.startswith("conv_transpose") else spec.oc) if bias else 0
        elements = math.prod(spec.x_shape) + math.prod(spec.y_shape) + weights + channels
        inside = spec.n * spec.oc * spec.icg * _taps_inside(spec)
        return Cost(weights + channels, spec.macs, inside, elements * element.itemsize)
    if isinstance(spec, PoolSpec):
        return _pool_cost(operation, spec, element)
    # Columns: im2col copies, col2im adds up what does not fall into the padding.
    taps = spec.n * spec.c * spec.taps_count * spec.out_count
    nbytes = (math.prod(spec.x_shape) + taps) * element.itemsize
    return Cost(0, taps, spec.n * spec.c * _taps_inside(spec), nbytes) if op == "col2im" else Cost(0, 0, 0, nbytes)


def _pool_cost(operation: str, spec: PoolSpec, element: np.dtype[Any]) -> Cost:
    x, y = math.prod(spec.x_shape), math.prod(spec.y_shape)
    if operation == "unpool":
        return Cost(0, 0, 0, (x + y) * element.itemsize + y * dtypes.INT64.itemsize)
    inside = spec.n * spec.c * _taps_inside(spec)
    reads = 2 if operation == "pool_grad_input" and spec.kind == "lp" else 1  # the gradient of a norm needs x and y too
    every = inside if spec.adaptive else spec.n * spec.c * spec.out_count * spec.taps_count
    return Cost(0, every, inside, (x + y) * element.itemsize * reads)


def _taps_inside(spec: WindowSpec) -> int:
    """Count the window elements inside the input, over all windows of one plane: a product over the axes."""
    return math.prod(map(spec.taps_inside, range(spec.nd)))


class Connections(NamedTuple):
    """How many weights connect a single-channel image with a hidden layer of the same size."""

    fully_connected: int
    shared: int
    local: int


def connections(size: Any, delta: int, *, exact: bool = False) -> Connections:
    """Count the weights on the way from a fully connected layer to a convolution.

    Parameters
    ----------
    size : int or sequence of two int
        Height and width of the image.
    delta : int
        How far a convolution looks in each direction.
    exact : bool, default False
        Count every offset.  By default the leading terms, as the lectures write them: offsets from ``-n`` to ``n`` are
        ``2 * n`` of them.

    Returns
    -------
    counts : Connections
        ``fully_connected``: each pixel with each, ``(h * w) ** 2``.  ``shared``: translation equivariance leaves one
        weight per offset, ``2h * 2w``.  ``local``: locality leaves the offsets up to `delta`, ``4 * delta ** 2``.

    Raises
    ------
    SpecError
        If a size is below 1 or `delta` below 0.

    Examples
    --------
    >>> from convlib.costs import connections
    >>> connections(1000, 5)
    Connections(fully_connected=1000000000000, shared=4000000, local=100)
    >>> connections(1000, 5, exact=True)
    Connections(fully_connected=1000000000000, shared=3996001, local=121)
    """
    h, w = per_axis("size", tuple(size) if isinstance(size, list) else size, 2, 1)
    reach = integer("delta", delta)
    if reach < 0:
        raise SpecError(f"delta={reach} must be at least 0")
    if flag("exact", exact):
        return Connections((h * w) ** 2, (2 * h - 1) * (2 * w - 1), (2 * reach + 1) ** 2)
    return Connections((h * w) ** 2, 4 * h * w, 4 * reach**2)
