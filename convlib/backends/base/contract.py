"""What a backend is: what it says of itself, and the hooks that it fills.

A hook receives a spec and arrays that are ready to use: ``x`` and ``y`` as ``(N, C, *spatial)``, the compute type,
aligned, in native byte order, and zero padding only (other padding modes and flipped kernels are resolved before).  It
fills its last array and returns nothing.  No hook computes a size.  Where `algorithms` names any for an operation, its
hook takes the name of one last, or None.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...spec import ConvSpec, PoolSpec, WindowSpec
from .ending import FUNCTIONS

Array = Any  # the backend's own array type: numpy.ndarray, or cupy.ndarray on a GPU

OPERATIONS = (
    "conv", "conv_grad_input", "conv_grad_weight", "pool", "pool_grad_input", "unpool", "im2col", "col2im",
)  # fmt: skip


class Implementation(NamedTuple):
    """What a backend says of one of its implementations of a call."""

    name: str  # which "backend:name" takes
    refusal: str | None  # why it cannot serve
    seconds: float  # predicted, where it can
    scratch: int  # bytes


class Contract:
    """One way through all operators.

    Attributes
    ----------
    name : str
        What callers write in ``backend=``.
    array_type : str
        Top-level module of the arrays it takes, such as "numpy".
    operations : tuple of str
        The entries of `OPERATIONS` whose hooks it fills.
    strided : bool
        Whether hooks take any strides; if not, arrays arrive C-contiguous.
    flat : bool
        Whether sums of products see the outputs of an image along one axis, which gaps of several sizes forbid.
    channels_last : bool
        Whether hooks take contiguous channels-last memory (seen as ``(N, C, *spatial)``) without a copy.
    exact : bool
        Whether sums of small integers held in floats come out exactly, as they do by direct summation.
    whole_unpool : bool
        Whether `_unpool` itself zeroes the result and refuses indices outside their plane, by `_check_places`.
    determinism : str
        What holds for the bits of its results, in words; "" says nothing.
    any_columns : bool
        Whether `_im2col` takes arrays of any strides, alignment and byte order, which it only copies from.
    lazy : bool
        Whether its arrays hold no numbers yet, so that its operations take them as they are, of any type.
    algorithms : dict of str to tuple of str
        Names that may follow the colon in "name:algorithm", per operation.
    """

    name: ClassVar[str] = ""
    array_type: ClassVar[str] = "numpy"
    operations: ClassVar[tuple[str, ...]] = ()
    strided: ClassVar[bool] = False
    flat: ClassVar[bool] = False
    channels_last: ClassVar[bool] = False
    exact: ClassVar[bool] = True
    whole_unpool: ClassVar[bool] = False
    any_columns: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    determinism: ClassVar[str] = ""
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = {}
    xp: ModuleType = np

    # ------------------------------------------------------------------ what a backend says of itself

    def available(self) -> str | None:
        """Return None if the backend can run on this machine, else the reason in words and what would help."""
        return None

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """Return None if the backend can serve the call, else the reason in words.

        Parameters
        ----------
        op : str
            One of `OPERATIONS`.
        spec : WindowSpec
            The call's sizes and options.
        dtype : dtype
            The type that the call computes in.
        """
        return None if op in self.operations else f"does not implement {op}"

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """Return the algorithm the backend would take for a call that it supports, and why."""
        return None, "its only algorithm"

    def settled(self, algorithm: str | None, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """Return the algorithm that a hook is given: the one that was named, or else that of `choose`."""
        return algorithm or self.choose(op, spec, dtype)[0]

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """Return None if the named algorithm can serve a call that the backend supports, else the reason."""
        return None

    def exact_algorithm(self, algorithm: str) -> bool:
        """Return whether sums of small integers held in floats come out exactly by the named algorithm."""
        return self.exact

    def choose_prepared(self, spec: ConvSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """Return what `choose` would for a convolution whose weights a plan prepares once for many calls."""
        return self.choose("conv", spec, dtype)

    def predicted(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> float | None:
        """Return the seconds that a call it supports is predicted to take on one thread; None where it cannot say."""
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """Return the scratch memory of a call in bytes, beside inputs and result; None is the algorithm of `choose`."""
        return 0

    def workspace_prepared(self, spec: ConvSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """Return what `workspace` would for a convolution whose weights a plan has prepared."""
        return self.workspace("conv", spec, dtype, algorithm)

    def padded_pieces(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None
    ) -> tuple[int, int, int] | None:
        """Return in how many pieces a short way copies the input with its padding, how many at once, and the bytes.

        No pieces where nothing is copied, None where what `convlib.storage` cuts is.
        """
        return None

    def implementations(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], prepared: bool = False
    ) -> tuple[Implementation, ...]:
        """Return what the backend says of each of its implementations of an operation, or nothing if it has one way.

        `prepared` asks of a convolution whose weights a plan prepares once.
        """
        return ()

    def strided_weights(self, spec: ConvSpec, algorithm: str | None = None) -> bool:
        """Return whether hooks, or an algorithm that is named, take the weights of a call with any strides."""
        return self.strided

    def takes_halves(self, op: str, spec: WindowSpec, algorithm: str | None, bias: bool) -> bool:
        """Return whether the hook takes and gives float16 arrays as they are, and sums in float32."""
        return False

    def integers_as_floats(self, op: str, spec: WindowSpec, algorithm: str | None) -> bool:
        """Return whether sums of integers come as floats wherever these hold them exactly, instead of as int64.

        Where they do not, the hook gets int64.
        """
        return False

    def complex_as_floats(self, op: str, spec: WindowSpec, algorithm: str | None) -> bool:
        """Return whether sums of complex numbers come as sums of floats: `ConvSpec.paired`, with no complex numbers.

        What the backend says of complex sums, by `supports`, `choose` or `workspace`, is then said of those.
        """
        return False

    def from_numpy(self, a: Array) -> Array:
        """Return a NumPy array as one of the backend's own type; the conformance suite moves its arrays by this."""
        return a

    def to_numpy(self, a: Array) -> Array:
        """Return an array of the backend's own type as a NumPy array."""
        return a

    # ------------------------------------------------------------------ hooks

    def _finish(self, y: Array, residual: Array | None, activation: str | None) -> None:
        """Add `residual` to the result `y`, in its type, and apply an activation, in place; any shape and strides."""
        if residual is not None:
            y += residual
        if activation is not None:
            y[...] = FUNCTIONS[activation](y)

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        """Fill `y` (N, OC, *out) with ``bias[o] + sum(x * w[o])`` over each window."""
        raise NotImplementedError

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        """Fill `grad_x` (N, C, *in) with the adjoint of `_conv` in `x`."""
        raise NotImplementedError

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        """Fill `grad_w` (OC, C / groups, *kernel) with the adjoint of `_conv` in `w`."""
        raise NotImplementedError

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        """Fill `y` (N, C, *out), and `indices` if there are any, with one number per window."""
        raise NotImplementedError

    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array
    ) -> None:
        """Fill `grad_x` (N, C, *in) with the adjoint of an average or a sum, or the gradient of a norm at `x`."""
        raise NotImplementedError

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        """Write or `add` ``x[n, c, o]`` to place ``indices[n, c, o]`` of the zeroed plane ``y[n, c]``, -1 skipped."""
        raise NotImplementedError

    def _im2col(self, spec: WindowSpec, x: Array, cols: Array) -> None:
        """Fill `cols` (N, C * taps, L) with the window elements of `x`."""
        raise NotImplementedError

    def _col2im(self, spec: WindowSpec, cols: Array, x: Array) -> None:
        """Add `cols` to the zeroed `x` (N, C, *in) where `_im2col` would read them."""
        raise NotImplementedError
