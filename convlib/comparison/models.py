"""The convolution and pooling layers of an ONNX model as problems, by shape inference.  Needs the package onnx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import SpecError
from ..problem import Problem
from .problems import Task, of_shapes

_POOLS = {
    "MaxPool": "max_pool", "AveragePool": "avg_pool", "GlobalMaxPool": "max_pool", "GlobalAveragePool": "avg_pool"
}  # fmt: skip
_KINDS = {"Conv", "ConvTranspose", *_POOLS}


def layers(path: str, input_shape: Sequence[int] | None = None) -> list[Task]:
    """Return the distinct layers of a model in their order, each with the number of times it occurs.

    Parameters
    ----------
    path : str
        An ONNX file.
    input_shape : sequence of int, optional
        Shape of the first input, where the model leaves sizes open; an open batch size alone is 1 by itself.

    Raises
    ------
    SpecError
        If onnx is not installed, the file cannot be read, a size stays unknown, or there is no such layer.
    """
    graph, shapes = _shaped(path, input_shape)
    found: dict[Problem, Task] = {}
    for name, problem in _problems(graph, shapes):
        before = found.get(problem)
        found[problem] = Task(name, problem) if before is None else replace(before, count=before.count + 1)
    if not found:
        raise SpecError(f"--onnx {path!r} has none of the layers {', '.join(sorted(_KINDS))}")
    return list(found.values())


def _shaped(path: str, input_shape: Sequence[int] | None) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return the graph of a model, and the shapes of its tensors as far as they are known."""
    try:
        import onnx
    except ImportError:
        raise SpecError("--onnx needs the package onnx; pip install onnx") from None
    if not Path(path).is_file():
        raise SpecError(f"--onnx {path!r}: there is no such file")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common class
        raise SpecError(f"--onnx {path!r} is no ONNX model: {error}") from None
    _close_sizes(model, input_shape)
    try:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise SpecError(f"--onnx {path!r}: its shapes contradict each other: {error}") from None
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and all(dim.dim_value > 0 for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return graph, shapes


def _inputs(graph: Any) -> list[Any]:
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def _close_sizes(model: Any, input_shape: Sequence[int] | None) -> None:
    """Write sizes where the model leaves them open."""
    for position, value in enumerate(_inputs(model.graph)):
        dims = value.type.tensor_type.shape.dim
        if input_shape is not None and position == 0:
            if len(dims) != len(input_shape):
                raise SpecError(
                    f"--input-shape {','.join(map(str, input_shape))} has {len(input_shape)} axes; the input "
                    f"{value.name!r} has {len(dims)}"
                )
            for dim, size in zip(dims, input_shape, strict=True):
                dim.Clear()
                dim.dim_value = size
        elif dims and dims[0].dim_value <= 0:
            dims[0].Clear()
            dims[0].dim_value = 1


def _problems(graph: Any, shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, Problem]]:
    for node in graph.node:
        if node.op_type in _KINDS:
            name = node.name or node.output[0]
            needed = [*node.input[:1], *(node.input[1:2] if "Conv" in node.op_type else []), node.output[0]]
            unknown = [tensor for tensor in needed if tensor not in shapes]
            if unknown:
                raise SpecError(
                    f"the shape of {unknown[0]!r} at the layer {name!r} stays unknown; give --input-shape, such as "
                    "1,3,224,224"
                )
            if not 3 <= len(shapes[needed[0]]) <= 5:
                continue  # four or more spatial axes: no function computes them
            try:
                yield name, _problem(node, *(shapes[tensor] for tensor in needed))
            except SpecError as error:
                raise SpecError(f"the layer {name!r}: {error}") from None


def _problem(node: Any, x: tuple[int, ...], *others: tuple[int, ...]) -> Problem:
    from onnx import helper

    from ..onnx import rules  # what attributes mean, for the operators, too

    values = ((attribute.name, helper.get_attribute_value(attribute)) for attribute in node.attribute)
    given = {name: value.decode() if isinstance(value, bytes) else value for name, value in values}
    nd = len(x) - 2
    if node.op_type in _POOLS:
        function = f"{_POOLS[node.op_type]}{nd}d"
        if node.op_type.startswith("Global"):
            return of_shapes(function, [x], {"kernel_size": x[2:]})
        return of_shapes(function, [x], (rules.average if node.op_type == "AveragePool" else rules.pool)(given, x))
    w, y = others
    options = rules.conv(given, x, w)
    if node.op_type == "ConvTranspose":  # the adjoint of a convolution from its result to its input
        return of_shapes(f"conv{nd}d_grad_input", [y, w], options)
    return of_shapes(f"conv{nd}d", [x, w, *([w[:1]] if len(node.input) > 2 and node.input[2] else [])], options)


def windows(
    path: str, input_shape: Sequence[int] | None = None
) -> Iterator[tuple[str, list[str], str, dict[str, Any] | None, tuple[int, ...]]]:
    """Yield (name, tensors it reads, tensor it gives, windows or None, input size) of each node that keeps a map."""
    graph, shapes = _shaped(path, input_shape)
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        read = [name for name in node.input if name and name not in constants and len(shapes.get(name, ())) > 2]
        y = shapes.get(node.output[0], ())
        if not read or len(y) != len(shapes[read[0]]):
            continue  # constants, and what flattens the map
        name, size = node.name or node.output[0], shapes[read[0]][2:]
        if node.op_type in _KINDS and not node.op_type.startswith("Global"):
            if node.op_type == "ConvTranspose":
                raise SpecError(f"the layer {name!r} spreads its input apart: outputs see different numbers of it")
            needed = [*node.input[: 1 + (node.op_type == "Conv")], node.output[0]]
            problem = _problem(node, *(shapes[tensor] for tensor in needed))
            padding = tuple(zip(problem.lo, problem.hi, strict=True))
            options = {"kernel_size": problem.k, "stride": problem.s, "dilation": problem.d, "padding": padding}
            yield name, read, node.output[0], options, size
        elif y[2:] == size:
            yield name, read, node.output[0], None, size
