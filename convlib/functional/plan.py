"""Plans: a convolution whose shapes, weights and backend are settled once and that is then called many times."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import config, dtypes, registry, storage
from ..errors import SpecError, UnsupportedError
from ..registry import Choice, Explanation
from ..spec import ConvSpec, check_bias, check_ending, frozen, make_conv, shape, weight_order
from ._common import Array, ArrayLike, adapted, element_type, per_rank, plain, take
from ._quantised import is_quantised, quantised
from ._words import explain_shortage
from .stream import ConvStream


class ConvPlan:
    """One convolution, ready to run; made by `plan_conv1d`, `plan_conv2d` and `plan_conv3d`.

    Thread-safe and picklable.  The weights are copied, so later changes to the caller's array do not reach the plan.

    Parameters
    ----------
    spec : ConvSpec
        Sizes and options.
    w, bias : ndarray
        Weights; `bias` may be None.
    dtype : dtype
        Element type of the inputs.
    backend : str or None
        As in `conv2d`.
    activation : str or None
        As in `conv2d`.
    quantised : Quantised or None
        Zero points and the type of the result.
    """

    def __init__(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], backend: str | None,
        activation: str | None = None, quantised: storage.Quantised | None = None,
    ) -> None:  # fmt: skip
        if bias is not None:
            check_bias(bias.shape, spec.oc)
        self.activation = check_ending(activation, None, spec.y_shape)
        self.spec, self.dtype = spec, dtype.newbyteorder("=")
        self._kind = take(w=w)[0]
        self._w = w.copy(order="C")
        self._bias = None if bias is None else bias.copy(order="C")
        self._requested, self._accuracy, self._quantised = backend, config.get_accuracy(), quantised
        self._choice: Choice = registry.select(
            "conv", spec, self._compute, backend, self._kind, prepared=True
        )
        self._run = storage.prepare_conv(
            self._choice.backend, spec, self._w, self._bias, self.dtype, self._choice.named, quantised
        )
        self._result, self._y_shape = self._types[0], spec.y_shape
        # What a backend prepared may know shorter ways for plain arrays, which need no checks from here.
        self._ended: Callable[..., Array | None] | None = getattr(self._run, "ended", None)
        self._quick: Callable[[Any, Array | None], Array | None] | None = getattr(self._run, "quick", None)

    @property
    def _types(self) -> tuple[np.dtype[Any], np.dtype[Any]]:
        bias = {} if self._bias is None else {"bias": self._bias.dtype}
        result, compute = dtypes.for_sums(x=self.dtype, w=self._w.dtype, **bias)
        return (result if self._quantised is None else self._quantised.result), compute

    @property
    def _compute(self) -> np.dtype[Any]:
        return self._types[1]

    @property
    def backend(self) -> Any:
        """What serves the calls."""
        return self._choice.backend

    def __call__(self, x: ArrayLike, out: Array | None = None, residual: ArrayLike | None = None) -> Array:
        """Convolve `x`, of the plan's shape and dtype; see `conv2d` for `out` and `residual`."""
        try:
            if residual is None and self.activation is None:
                return self._sum(x, out)
            usual = type(residual) is np.ndarray and residual.dtype == self._result and residual.shape == self._y_shape
            if residual is not None and (out is not None or not usual):
                residual = self._taken(residual, out)
            if self._ended is not None:
                found = self._ended(x, plain(out), residual, self.activation)
                if found is not None:
                    return found if out is None else out
            y = self._sum(x, out)
            storage.finish(self.backend, plain(y), residual, self.activation)
        except MemoryError as error:
            explain_shortage("a plan", error, _CALL, {"out": out})
            raise
        return y

    def short(self) -> Callable[..., Array | None] | None:
        """Return the shortest way for many calls under settings that are looked up once, or None.

        It takes `x`, the number of threads, the bound on scratch memory, and `residual=`: plain arrays of the plan's
        shapes and types. For others, and where what follows the sums takes a pass of its own, it gives None.
        """
        make = getattr(self._run, "short", None)
        return None if make is None else make(self.activation)

    def _taken(self, residual: ArrayLike, out: Array | None) -> Array:
        kind, (array,) = take(residual=residual)
        if kind != self._kind:
            raise TypeError(f"residual is a {kind} array, but the weights of this plan are {self._kind}")
        array = adapted("residual", residual, array, self._result) if isinstance(residual, (list, tuple)) else array
        check_ending(None, array.shape, self._y_shape)
        storage.check_residual(self.backend, self._y_shape, self._result, array, plain(out))
        return array

    def _sum(self, x: ArrayLike, out: Array | None) -> Array:
        if self._quick is not None and (out is None or type(out) is np.ndarray):
            found = self._quick(x, out)
            if found is not None:
                return found
        kind, (array,) = take(x=x)
        x = adapted("x", x, array, self.dtype) if isinstance(x, (list, tuple)) else array
        if kind != self._kind:
            raise TypeError(f"x is a {kind} array, but the weights of this plan are {self._kind}; convert x")
        if x.shape != self.spec.x_shape:
            raise SpecError(f"x has the shape {x.shape}; this plan was made for {self.spec.x_shape}")
        if x.dtype.newbyteorder("=") != self.dtype:
            raise TypeError(f"x has dtype {x.dtype}; this plan was made for {self.dtype}")
        y: Array = self._run(x, plain(out))
        return y if out is None else out

    def stream(self, state: ArrayLike | None = None) -> ConvStream:
        """Return what takes the input of a convolution over one axis chunk by chunk, and carries its state along.

        Parameters
        ----------
        state : array_like, optional
            Input to go before what comes; by default the padding of the plan.

        Returns
        -------
        stream : ConvStream
            ``stream(chunk)`` gives the results of the windows that end in the chunk, which may have any length.

        Raises
        ------
        SpecError
            If the plan has another number of axes, padding at the end, or a stride larger than its windows.
        UnsupportedError
            If the plan's backend was named and its sums depend on the length.
        """
        return ConvStream(self, state)

    @property
    def workspace_nbytes(self) -> int:
        """Scratch memory of a call, in bytes."""
        backend, named = self._choice.backend, self._choice.named
        if self._compute == dtypes.INT64:
            kinds = self.dtype, self._w.dtype
            way = storage.way(backend, self.spec, kinds, self._bias, self._quantised, named, True)
            if way is not None:
                return way.scratch
        return storage.scratch(
            backend, "conv", self.spec, self.dtype, self._compute, named, prepared=True, quantised=self._quantised
        )

    def explain(self) -> Explanation:
        """Return what the plan chose, and why, as `convlib.explain` does."""
        from ._problem import problem_of  # only when asked

        spec, shapes = self.spec, {"x": self.spec.x_shape, "w": self.spec.w_shape}
        problem = problem_of("conv", spec, bias=self._bias is not None)
        asked = registry.Asked(
            f"plan_conv{spec.nd}d", shapes, None if problem is None else str(problem), {"x": "x", "w": "w"},
            quantised=self._quantised, kinds=(self.dtype, self._w.dtype), bias=self._bias,
        )  # fmt: skip
        return registry.explained("conv", spec, self.dtype, self._compute, self._choice, prepared=True, asked=asked)

    def __reduce__(self) -> tuple[Any, ...]:
        made = self.spec, self._w, self._bias, self.dtype, self._requested, self.activation, self._quantised
        return _restored, (self._accuracy, *made)

    def __repr__(self) -> str:
        name = self._choice.backend.name + (f":{self._choice.algorithm}" if self._choice.algorithm else "")
        return f"<ConvPlan {self.spec.x_shape} * {self.spec.w_shape} -> {self.spec.y_shape} {self.dtype}, {name}>"


_CALL = inspect.signature(ConvPlan.__call__)


def of_plain_weights(
    spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], backend: str | None,
    activation: str | None = None, quantised: storage.Quantised | None = None,
) -> ConvPlan:  # fmt: skip
    """Make a plan with weights that are seen in the order of backends, in which the plan copies them."""
    return ConvPlan(replace(spec, w_memory=()), w, bias, dtype, backend, activation, quantised)


def _restored(accuracy: str, *arguments: Any) -> ConvPlan:
    """Make a plan again as it was chosen."""
    with config.accuracy(accuracy):
        return ConvPlan(*arguments)


def _plan_convnd(
    nd: int, x_shape: Any, w: ArrayLike, bias: ArrayLike | None = None, *, dtype: Any = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1, padding_mode: str = "constant", pad_value: float = 0,
    flip: bool = False, layout: str = "NCHW", w_layout: str = "OIHW", activation: str | None = None,
    x_zero_point: ArrayLike | None = None, w_zero_point: ArrayLike | None = None, out_dtype: Any = None,
    backend: str | None = None, accuracy: str | None = None,
) -> ConvPlan:  # fmt: skip
    """Settle shapes, weights and backend of a convolution over <over> once, to call it many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of the inputs to come.
    <w>
    <bias>
    dtype : dtype, optional
        Element type of the inputs to come; by default that of `w`.
    <stride>
    <padding>
    <dilation>
    <groups>
    <padding_mode>
    <flip>
    <layout>
    <w_layout>
    <activation>
    <zero_points>
    <backend>
    <accuracy>

    Returns
    -------
    plan : ConvPlan
        ``plan(x, out=None, residual=None)`` gives what `conv<nd>d` gives.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import plan_conv<nd>d
    >>> plan = plan_conv<nd>d((1, 1, <four>), np.ones((1, 1, <two>)))
    >>> plan(np.ones((1, 1, <four>))).shape
    (1, 1, <three>)
    """
    given = w
    kind, (w, bias) = take(w=w, bias=bias)
    if kind == "dask":
        raise UnsupportedError(
            "a plan prepares weights for one shape of NumPy arrays, but w is a Dask array; give w.compute() and use "
            "the plan in map_blocks, or call the convolution itself"
        )
    dtypes.check("w", w.dtype)
    element = w.dtype if dtype is None else element_type("dtype", dtype)
    if isinstance(given, (list, tuple)):
        w = adapted("w", given, w, element)
    spec = make_conv(
        nd, shape("x_shape", x_shape), w.shape, frozen(stride), frozen(padding), frozen(dilation), groups, padding_mode,
        pad_value, flip, layout, w_layout,
    )  # fmt: skip
    w = storage.plain_weights(w, weight_order(nd, w_layout))
    asked = None
    if is_quantised(x_zero_point, w_zero_point, out_dtype, None):
        kinds = {"x": element, "w": w.dtype} | ({} if bias is None else {"bias": bias.dtype})
        result = dtypes.for_sums(**kinds)[0]
        asked = quantised(x_zero_point, w_zero_point, out_dtype, None, spec.oc, result, **kinds)
    return of_plain_weights(spec, w, bias, element, backend, activation, asked)


plan_conv1d, plan_conv2d, plan_conv3d = per_rank(_plan_convnd)
