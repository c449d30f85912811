"""What a prepared model does one after the other: each step takes values by name and puts its results back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..functional.plan import ConvPlan
from . import calls, integer
from .memory import PLAIN, Array, planned
from .operators import SHAPES, Node, naming, serve

Values: TypeAlias = MutableMapping[str, Any]
Short: TypeAlias = Callable[..., "Array | None"]

#: What a convolution can end with, by the limits it keeps.
ACTIVATIONS = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}


class Stage:
    """An elementwise node behind a convolution, whose result it overwrites: bit for bit what the node gives.

    Parameters
    ----------
    run : callable
        The node as ONNX's evaluator runs it, for element types that are not plain.
    bounds : pair of float, optional
        Limits, of Relu and Clip.
    other : str, optional
        What Add adds.
    """

    other: str | None

    def __init__(
        self, run: Callable[..., Any], bounds: tuple[float, float] | None = None, other: str | None = None
    ) -> None:
        self._run, self._bounds, self.other = run, bounds, other
        self.activation = None if bounds is None else ACTIVATIONS.get(bounds)

    def __call__(self, y: Array, other: Array | None) -> Array:
        """Return the result for `y`, which nobody else holds, and what is added."""
        more = [] if other is None else [other]
        if y.dtype not in PLAIN or any(_enlarges(a, y) for a in more):
            result: Array = self._run(y, *more)[0]
            return result
        if self._bounds is not None:
            # Two bounds always: NumPy's loop for one, or for a maximum with a number, takes four times as long.
            low, high = (y.dtype.type(bound) for bound in self._bounds)
            np.clip(y, low, high, out=y)
        for a in more:
            y += a
        return y


def ending(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the first stages, as many as a convolution itself can end with: an Add, then an activation."""
    count = int(bool(stages) and stages[0].other is not None)
    return (*stages[:count], *(stage for stage in stages[count : count + 1] if stage.activation))


class Layer:
    """A convolution with constant weights, which makes a plan per shape; nodes of the same weights share it.

    Parameters
    ----------
    node : Node
        The convolution, or the first of those that share it.
    *constants : ndarray or None
        Weights and bias, which may be None.
    stages : tuple of Stage
        What it ends with, as `ending` gives it.
    """

    def __init__(self, node: Node, *constants: Array | None, stages: tuple[Stage, ...] = ()) -> None:
        self._node, self._constants, self._stages = node, constants, stages
        self._plans: dict[tuple[Any, ...], tuple[Any, tuple[Stage, ...], Short | None]] = {}
        self._lock = threading.Lock()
        #: The shortest way of the plan used last, if it leaves no stages.
        self.short: Short | None = None

    def __call__(self, x: Array, residual: Array | None = None) -> Array:
        """Convolve `x`, of any shape that fits, and add `residual`, which the ending asks for."""
        key = (x.shape, x.dtype, None if residual is None else (residual.shape, residual.dtype))
        try:
            plan, stages, self.short = self._plans[key]
        except KeyError:
            plan, stages, self.short = self._make(key)
        if plan is None:
            y = serve(self._node, (x, *self._constants))[0]
        else:
            y = plan(x) if stages or residual is None else plan(x, None, residual)
        for stage in stages:
            y = stage(y, residual if stage.other else None)
        return y

    def _make(self, key: tuple[Any, ...]) -> tuple[Any, tuple[Stage, ...], Short | None]:
        """Make a plan, and forget the oldest if there are many; None where there can be none.

        With it go the stages that it leaves, and its shortest way.
        """
        with naming(self._node.label):
            plan, stages = self._planned(*key)
        made = plan, stages, None if stages or not isinstance(plan, ConvPlan) else plan.short()
        with self._lock:
            while len(self._plans) >= SHAPES:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = made
        return made

    def _planned(
        self, shape: tuple[int, ...], dtype: Any, residual: tuple[Any, Any] | None
    ) -> tuple[Any, tuple[Stage, ...]]:
        """Plan the ending, too, but for what is added and changes the shape or type of the result."""
        w, bias = self._constants
        assert w is not None
        whole = calls.result_shape(self._node.attributes, shape, w.shape)
        if whole is None or not planned(dtype) or w.dtype != dtype:
            return None, self._stages
        stages = self._stages if residual not in (None, (whole, dtype)) else ()
        activation = None if stages else next((stage.activation for stage in self._stages if stage.activation), None)
        return calls.plan(self._node.attributes, shape, dtype, w, bias, activation=activation), stages


class IntegerLayer(Layer):
    """ConvInteger or QLinearConv whose inputs but the first are constant.

    Parameters
    ----------
    node : Node
        It.
    *constants : ndarray or None
        The inputs behind the first.
    """

    def _planned(
        self, shape: tuple[int, ...], dtype: Any, residual: tuple[Any, Any] | None
    ) -> tuple[Any, tuple[Stage, ...]]:
        return integer.planned(self._node.op, self._node.attributes, shape, dtype, self._constants), ()


def _enlarges(a: Array, y: Array) -> bool:
    """Return whether the sum of both has another shape or type than `y`."""
    same = a.dtype == y.dtype and a.ndim <= y.ndim
    return not same or any(n not in (1, m) for n, m in zip(reversed(a.shape), reversed(y.shape), strict=False))


class Step:
    """One or several nodes of a model, which run at once.

    Parameters
    ----------
    run : callable
        Takes the inputs, gives a tuple of results.
    inputs, outputs : sequence of str
        Names of values; "" stands for none.
    stages : sequence of Stage
        What follows on the first result.
    context : sequence of str, optional
        Names that graphs inside the node read, which needs all values then.
    layer : Layer, optional
        What runs alone in it.

    Attributes
    ----------
    reads, writes : tuple of str
        Names of all values that it takes and gives.
    done : tuple of str
        Names of the values that no later step reads; set from outside.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def __init__(
        self, run: Callable[..., tuple[Any, ...]], inputs: Sequence[str], outputs: Sequence[str],
        stages: Sequence[Stage] = (), context: Sequence[str] | None = None, layer: Layer | None = None,
    ) -> None:  # fmt: skip
        self._run, self._inputs, self._outputs = run, tuple(inputs), tuple(outputs)
        self._stages, self._context = tuple(stages), context is not None
        others = (stage.other for stage in stages if stage.other)
        self.reads = (*filter(None, self._inputs), *others, *(context or ()))
        self.writes = tuple(filter(None, self._outputs))
        self.done: tuple[str, ...] = ()
        self._layer = None if stages else layer
        self._x, self._residual, self._y = (*self._inputs, "", "")[0], (*self._inputs, "", "")[1], self._outputs[0]

    def __call__(self, values: Values, threads: int, max_workspace: int) -> None:
        """Run on the values, add the results, and drop what is done with."""
        # Between two convolutions each line counts: by then the caches hold other things than Python.
        short = None if self._layer is None else self._layer.short
        y = None if short is None else short(values[self._x], threads, max_workspace, residual=values[self._residual])
        if y is None:
            self._run_whole(values)
        else:
            values[self._y] = y
        for name in self.done:
            values.pop(name, None)  # an optional result may not be there

    def _run_whole(self, values: Values) -> None:
        given = [values[name] for name in self._inputs]
        results = self._run(*given, context=values) if self._context else self._run(*given)
        del given
        if self._stages:
            y = results[0]
            for stage in self._stages:
                y = stage(y, None if stage.other is None else values[stage.other])
            results = (y,)
        # "" is no result, but what later nodes read where they leave an input out.
        values.update((name, y) for name, y in zip(self._outputs, results, strict=False) if name)
