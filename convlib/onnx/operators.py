"""ONNX's operators by convlib's functions: one table, and from it the classes for ONNX's evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import onnx.defs
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_add import Add as StockAdd
from onnx.reference.ops.op_relu import Relu as StockRelu

import convlib

from ..dtypes import is_bfloat16
from ..errors import ConvlibError, SpecError
from ..functional.kept import PlanCache
from ..spec.sizes import check_array
from . import deform, integer, rules
from .calls import by_rank, convolve, finished
from .errors import NodeError
from .memory import PLAIN, Array, new

#: Plans that are kept for a node, for as many shapes of its input; each holds its weights once or twice more.
SHAPES = 4


class Node(NamedTuple):
    """A node, as the operators see it."""

    op: str
    label: str
    attributes: rules.Attributes
    outputs: int = 1  # how many of its results are wanted
    plans: PlanCache | None = None  # kept for the calls of this node


def _conv(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    return convolve(node.attributes, x, w, bias, plans=node.plans)


def _conv_transpose(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    options = rules.conv_transpose(node.attributes, x.shape, w.shape)
    y: Array = by_rank("conv_transpose", x.ndim - 2)(x, w, bias, **options)
    return y


def _pool(family: str, x: Array, options: dict[str, Any], *first: Any, **more: Any) -> Any:
    empty = rules.empty_size(x.shape, options["kernel_size"], options)
    if empty is not None:
        shape = (*x.shape[:2], *empty)
        check_array("the result", shape)
        return (np.empty(shape, x.dtype), np.empty(shape, np.int64)) if more else np.empty(shape, x.dtype)
    return by_rank(family, x.ndim - 2)(x, *first, **options, **more)


def _max_pool(node: Node, x: Array) -> Any:
    options = rules.pool(node.attributes, x.shape)
    if node.outputs == 1:
        return _pool("max_pool", x, options)
    y, places = _pool("max_pool", x, options, return_indices=True)
    return y, _in_the_tensor(places, x.shape, bool(node.attributes.get("storage_order")))


def _in_the_tensor(places: Array, x_shape: tuple[int, ...], column_major: bool) -> Array:
    """Return places within a plane as places in the whole tensor; -1, of a window without elements, stays.

    Column-major counts the spatial axes the other way round; planes follow each other as they lie in memory.
    """
    none = places < 0
    if column_major:
        size = x_shape[2:]
        places = np.ravel_multi_index(np.unravel_index(np.where(none, 0, places), size), size, order="F")
    planes = np.arange(math.prod(x_shape[:2])) * math.prod(x_shape[2:])
    return np.where(none, -1, places + planes.reshape(*x_shape[:2], *(1,) * (len(x_shape) - 2)))


def _average_pool(node: Node, x: Array) -> Any:
    return _pool("avg_pool", x, rules.average(node.attributes, x.shape))


def _lp_pool(node: Node, x: Array) -> Any:
    options = rules.pool(node.attributes, x.shape)
    return _pool("lp_pool", x, {"p": rules.norm(node.attributes), **options})


def _global_pool(family: str) -> Callable[..., Array]:
    """Return a global pooling, over any number of spatial axes as if they were one."""

    def pool(node: Node, x: Array) -> Array:
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        options: dict[str, Any] = {}
        if family == "lp_pool":
            options = {"p": rules.norm(node.attributes), "kernel_size": flat.shape[2]}
        y: Array = by_rank(family, 1)(flat, **options)
        return y.reshape(*x.shape[:2], *(1,) * (x.ndim - 2))

    return pool


def _max_unpool(node: Node, x: Array, indices: Array, output_shape: Array | None = None) -> Array:
    """Scatter over the whole tensor, which is one axis here: that of a window as long as the tensor grows."""
    given = None if output_shape is None else output_shape.tolist()
    counted, result = rules.unpool(node.attributes, x.shape, given)
    total = math.prod(counted)
    if total < x.size:
        raise SpecError(f"X {x.shape} has more elements than the result {counted}; reduce pads")
    flat = x.reshape(1, 1, -1), indices.reshape(1, 1, -1)
    y: Array = convlib.max_unpool1d(*flat, total - x.size + 1, stride=1).reshape(counted)
    if result != counted:
        check_array("the result", result)
        whole = np.zeros(result, y.dtype)
        whole[tuple(slice(size) for size in counted)] = y
        return whole
    return y


def _col2im(node: Node, cols: Array, image_shape: Array, block_shape: Array) -> Array:
    size = tuple(image_shape.tolist())
    y: Array = convlib.col2im(cols, size, tuple(block_shape.tolist()), **rules.columns(node.attributes, size))
    return y.astype(cols.dtype, copy=False)  # integers were summed in int64


def _causal_conv(
    node: Node, x: Array, w: Array, bias: Array | None = None, past: Array | None = None
) -> tuple[Array, Array]:
    if x.ndim != 3 or w.ndim != 3:
        raise SpecError(f"input has the shape {x.shape} and weight {w.shape}; expected (N, C, L) and (C, 1, k)")
    state = (*x.shape[:2], w.shape[2] - 1)
    past = np.zeros(state, x.dtype) if past is None else past
    if past.shape != state:
        raise SpecError(f"past_state has the shape {past.shape}; expected {state}")
    padded = np.concatenate((past, x), axis=2)
    y = convlib.conv1d(padded, w, bias, groups=x.shape[1]) if x.shape[2] else np.empty_like(x)
    activation = node.attributes.get("activation") or "none"
    if activation in ("silu", "swish"):
        wide = y.astype(np.result_type(y, np.float32))
        y = (wide / (1 + np.exp(-wide))).astype(x.dtype)
    elif activation != "none":
        raise SpecError(f"activation={activation!r} is unknown; valid: none, silu, swish")
    return y, padded[:, :, padded.shape[2] - state[2] :]


def _with_attributes(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, *inputs: function(node.attributes, *inputs)


def _conv_integer(node: Node, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None) -> Array:
    return integer.integer_sums(node.attributes, x, w, x_zero, w_zero, None)


#: THE list of operators: each function takes the node and its inputs, None where one is left out.
TABLE: dict[str, Callable[..., Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "ConvInteger": _conv_integer,
    "QLinearConv": _with_attributes(integer.qlinear_conv),
    "DeformConv": _with_attributes(deform.deform_conv),
    "CausalConvWithState": _causal_conv,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LpPool": _lp_pool,
    "GlobalMaxPool": _global_pool("global_max_pool"),
    "GlobalAveragePool": _global_pool("global_avg_pool"),
    "GlobalLpPool": _global_pool("lp_pool"),
    "MaxUnpool": _max_unpool,
    "Col2Im": _col2im,
}


#: Operators that NumPy computes, for the most part.
BY_NUMPY = frozenset({"CausalConvWithState", "DeformConv"})


def serve(node: Node, inputs: tuple[Array | None, ...]) -> tuple[Array, ...]:
    """Run a node; what convlib refuses is a `NodeError` that names it."""
    halves = {a.dtype for a in inputs if a is not None and is_bfloat16(a.dtype)} if node.op in BY_NUMPY else None
    if halves:  # computed in float32 and rounded once, as convlib's functions do it themselves
        inputs = tuple(a.astype(np.float32) if a is not None and a.dtype in halves else a for a in inputs)
    with naming(node.label):
        found = TABLE[node.op](node, *inputs)
    results: tuple[Array, ...] = found if isinstance(found, tuple) else (found,)
    if halves:
        results = tuple(y.astype(*halves) if y.dtype == np.float32 else y for y in results)
    return results


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Name a node in the errors of a block."""
    try:
        yield
    except (ConvlibError, TypeError) as error:
        raise NodeError(f"{label}: {error}") from error


@lru_cache(maxsize=1024)
def _known_attributes(op: str, opset: int) -> frozenset[str] | None:
    """Return the attributes of an operator in an operator set, and None if the installed onnx does not know it."""
    try:
        return frozenset(onnx.defs.get_schema(op, opset, "").attributes)
    except onnx.defs.SchemaError:
        return None


class _Operator(OpRun):
    """An operator of ONNX's evaluator that convlib runs."""

    def __init__(self, onnx_node: Any, run_params: dict[str, Any], schema: Any = None) -> None:
        super().__init__(onnx_node, run_params, schema)
        self.label = rules.named(onnx_node.op_type, onnx_node.name, onnx_node.output)
        self.plans = PlanCache(SHAPES) if onnx_node.op_type == "Conv" else None
        opset = run_params["opsets"].get("", 1)
        known = _known_attributes(onnx_node.op_type, opset)
        unknown = [a.name for a in onnx_node.attribute if known is not None and a.name not in known]
        if unknown:
            raise NodeError(f"{self.label} has the attribute {unknown[0]!r}, which operator set {opset} does not know")

    def node(self, attributes: rules.Attributes) -> Node:
        """Return the node as the operators see it."""
        return Node(self.onnx_node.op_type, self.label, attributes, len(self.onnx_node.output), self.plans)

    def _run(self, *inputs: Any, **attributes: Any) -> tuple[Array, ...]:
        return serve(self.node(attributes), inputs)


class Relu(StockRelu):
    """Relu as ONNX's evaluator computes it, but of floats by all threads into memory that is used again."""

    def _run(self, x: Array) -> tuple[Array, ...]:
        if x.dtype not in PLAIN:
            found: tuple[Array, ...] = super()._run(x)
            return found
        y = new(x.shape, x.dtype)
        if not finished(y, x, None, "relu"):
            np.clip(x, x.dtype.type(0), x.dtype.type(np.inf), out=y)
        return (y,)


class Add(StockAdd):
    """Add as ONNX's evaluator computes it, but of floats of one shape by all threads into memory that is used again."""

    def _run(self, a: Array, b: Array) -> tuple[Array, ...]:
        if a.dtype not in PLAIN or (a.shape, a.dtype) != (b.shape, b.dtype):
            found: tuple[Array, ...] = super()._run(a, b)
            return found
        y = new(a.shape, a.dtype)
        if not finished(y, a, b, None):
            np.add(a, b, out=y)
        return (y,)


#: The classes for ``onnx.reference.ReferenceEvaluator(model, new_ops=OPS)``: one per operator, and what stands between
#: convolutions.
OPS: list[type[OpRun]] = [
    *(type(name, (_Operator,), {"__doc__": f"{name} by convlib."}) for name in TABLE), Relu, Add,
]  # fmt: skip
