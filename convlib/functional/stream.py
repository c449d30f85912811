"""Streams: a convolution over one axis that takes its input chunk by chunk."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes, registry
from ..errors import BackendError, SpecError, UnsupportedError
from ..spec import ConvSpec, effective_kernel, make_conv, window_counts
from ._common import Array, ArrayLike, take
from ._words import explain_shortage

if TYPE_CHECKING:
    from .plan import ConvPlan

#: What makes each sum by itself and serves inputs of any length, so that the bits of a sum depend neither on where its
#: window lies nor on how many there are: implementations of `native`, and other backends as a whole.  Products by BLAS,
#: transforms and the other implementations do not.
STEADY = (
    "native:gemm_panels", "native:gemm_broadcast", "native:depthwise_channels", "native:direct", "cython", "naive",
)  # fmt: skip

#: Lengths of chunks that a stream keeps plans for.
LENGTHS = 4


class ConvStream:
    """A convolution over one axis, chunk by chunk, with the state carried along; made by ``plan.stream()``.

    Whatever the chunks, the results in a row are bit for bit the same: each window is summed by the same
    implementation, `backend`.  Where that is the plan's own, they are what the plan gives for the whole input.

    Parameters
    ----------
    plan : ConvPlan
        What is to be computed.
    state : array_like, optional
        As in `reset`.

    Attributes
    ----------
    backend : str or None
        The implementation that makes every sum, by its name; None for integers, which are exact by any.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import plan_conv1d
    >>> plan = plan_conv1d((1, 1, 6), np.array([[[1, 10, 100]]]), padding="causal")
    >>> stream = plan.stream()
    >>> [stream(chunk).tolist() for chunk in (np.array([[[1, 2]]]), np.array([[[3]]]), np.array([[[4, 5, 6]]]))]
    [[[[100, 210]]], [[[321]]], [[[432, 543, 654]]]]
    >>> stream.state
    array([[[5, 6]]])
    """

    def __init__(self, plan: ConvPlan, state: ArrayLike | None = None) -> None:
        spec = getattr(plan, "spec", None)
        if not isinstance(spec, ConvSpec):
            raise TypeError(f"plan must be one that plan_conv1d returned, not {type(plan).__name__}")
        if spec.nd != 1:
            raise SpecError(f"a plan over {spec.nd} axes has no stream; make it with plan_conv1d")
        self._reach = effective_kernel(spec.kernel, spec.dilation)[0]
        if spec.pad_hi[0]:
            raise SpecError(
                f"padding=({spec.pad_lo[0]}, {spec.pad_hi[0]}): a stream has no end to pad; use 'causal' or 'valid'"
            )
        if spec.pad_lo[0] and spec.padding_mode != "constant":
            raise SpecError(f"padding_mode={spec.padding_mode!r} needs input that is not there yet; use 'constant'")
        if spec.stride[0] > self._reach:
            raise SpecError(f"stride={spec.stride[0]} leaves out inputs; a stream needs at most {self._reach}")
        self._plan, self._axis = plan, -2 if spec.channels_last else -1
        self._plans: dict[int, ConvPlan] = {}
        self.backend = _steady(plan)
        self.reset(state)

    @property
    def state(self) -> Array:
        """What later windows need of the input so far: a copy, for `reset`."""
        return self._state.copy()

    def reset(self, state: ArrayLike | None = None) -> None:
        """Start anew.

        Parameters
        ----------
        state : array_like, optional
            Input to go before what comes, as `state` tells it; by default the padding of the plan.
        """
        spec = self._plan.spec
        if state is None:
            shape = self._shape(spec.pad_lo[0])
            self._state = np.full(shape, self._padding()).astype(self._plan.dtype)
        else:
            given = self._checked("state", state)
            if given.shape[self._axis] >= self._reach:
                most = self._reach - 1
                raise SpecError(f"state has the shape {given.shape}; windows need at most {most} elements of it")
            self._state = given.copy()

    def _padding(self) -> float:
        """Return what the padding holds, as an input; constant padding counts from the zero point."""
        plan = self._plan
        value = plan.spec.pad_value
        if plan._quantised is None or not plan._quantised.x_zero:
            return value
        return dtypes.whole("x_zero_point + pad_value", value + plan._quantised.x_zero, plan.dtype)

    def __call__(self, x: ArrayLike) -> Array:
        """Take a chunk of any length, and return the results of the windows that end in it.

        After an error the stream stands where it stood: the chunk, or parts of it, may be given again.
        """
        try:
            return self._after(x)
        except MemoryError as error:
            explain_shortage("a stream", error, _CALL, {})
            raise

    def _after(self, x: ArrayLike) -> Array:
        spec, axis = self._plan.spec, self._axis
        held = np.concatenate((self._state, self._checked("x", x)), axis=axis)
        length = held.shape[axis]
        (windows,) = window_counts((length,), (self._reach,), spec.stride, (0,), (0,))
        if windows < 1:
            self._state = held
            return np.empty(self._shape(0, spec.oc), self._result)
        used = (windows - 1) * spec.stride[0] + self._reach
        y = self._planned(used)(self._part(held, 0, used))
        self._state = self._part(held, windows * spec.stride[0], length).copy()
        return y

    @property
    def _result(self) -> np.dtype[Any]:
        return self._plan._types[0]

    def _shape(self, length: int, channels: int | None = None) -> tuple[int, ...]:
        spec = self._plan.spec
        channels = spec.c if channels is None else channels
        shape = (length, channels) if spec.channels_last else (channels, length)
        return (spec.n, *shape) if spec.batched else shape

    def _checked(self, name: str, x: ArrayLike) -> Array:
        """Return a chunk, which must have the plan's type and its shape but for the length."""
        kind, (a,) = take(**{name: x})
        if kind != "numpy":
            raise TypeError(f"{name} is a {kind} array; a stream takes NumPy arrays")
        expected = self._shape(a.shape[self._axis] if a.ndim == len(self._plan.spec.x_shape) else 0)
        if a.shape != expected:
            raise SpecError(f"{name} has the shape {a.shape}; expected {self._plan.spec.x_shape}, of any length")
        if a.dtype.newbyteorder("=") != self._plan.dtype:
            raise TypeError(f"{name} has dtype {a.dtype}; this plan was made for {self._plan.dtype}")
        array: Array = a
        return array

    def _part(self, a: Array, start: int, stop: int) -> Array:
        return a[..., start:stop, :] if self._axis == -2 else a[..., start:stop]

    def _planned(self, length: int) -> ConvPlan:
        """Return the plan for so many inputs."""
        if length not in self._plans:
            while len(self._plans) >= LENGTHS:
                del self._plans[next(iter(self._plans))]
            plan, spec = self._plan, self._plan.spec
            made = make_conv(
                1, self._shape(length), spec.w_shape, spec.stride, 0, spec.dilation, spec.groups, "constant", 0.0,
                spec.flip, "NHWC" if spec.channels_last else "NCHW",
            )  # fmt: skip
            self._plans[length] = type(plan)(
                made, plan._w, plan._bias, plan.dtype, self.backend, plan.activation, plan._quantised
            )
        return self._plans[length]

    def __repr__(self) -> str:
        return f"<ConvStream of {self._plan!r}, {self._state.shape[self._axis]} elements held>"


def _steady(plan: ConvPlan) -> str | None:
    """Return the backend that makes every sum of a stream of this plan; raise if the one that is named cannot."""
    spec, compute, choice = plan.spec, plan._compute, plan._choice
    if plan._kind != "numpy":
        raise UnsupportedError(f"streams take NumPy arrays, but the weights of this plan are {plan._kind}")
    if compute == dtypes.INT64:
        return plan._requested
    wanted = "" if choice.source == "automatic" else ":".join(filter(None, (choice.backend.name, choice.named)))
    found: dict[str, float] = {}
    for full in STEADY:
        name, _, algorithm = full.partition(":")
        if wanted and wanted not in (name, full):
            continue
        try:
            backend = registry.select("conv", spec, compute, full, "numpy", prepared=True).backend
        except BackendError:
            continue
        said = backend.implementations("conv", spec, compute, True) if algorithm else ()
        found[full] = next((each.seconds for each in said if each.name == algorithm), math.inf)
    if not found:
        raise UnsupportedError(
            f"sums of {wanted} depend on the length of the input in their last bits, so that chunks would show; name "
            f"one of {', '.join(STEADY)}, or leave the choice"
        )
    return min(found, key=lambda full: found[full])  # of backends that predict no time, the first


_CALL = inspect.signature(ConvStream.__call__)
