"""What whole networks cost: a row per layer, with shares and totals."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from . import functional
from .costs import Cost, cost_of
from .errors import SpecError, quote
from .functional._common import element_type
from .functional.described import Description, described
from .geometry import ReceptiveField, Residual, elementwise, joined, name_of, through
from .spec import ConvSpec, PoolSpec, WindowSpec, shape
from .spec.arguments import Ints, channels_last, flag, integer, split

__all__ = ["NetworkCost", "Residual", "Row", "onnx_cost", "onnx_field"]


@dataclass(frozen=True)
class Row:
    """One layer of a network.

    Attributes
    ----------
    name : str
        What it is, indented where it lies on a path of a `Residual`.
    y_shape : tuple of int
        Shape of its result.
    cost : Cost
        What it costs; element by element: no multiply-adds, its result and what it reads.
    count : int
        How many layers it stands for.
    known : bool
        Whether it is a layer that convlib knows; of others it is assumed that they work element by element.
    """

    name: str
    y_shape: Ints
    cost: Cost
    count: int = 1
    known: bool = True


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs; ``str()`` gives a table.

    Attributes
    ----------
    x_shape : tuple of int
        Shape of its input.
    rows : tuple of Row
        Its layers in order.
    """

    x_shape: Ints
    rows: tuple[Row, ...]

    @property
    def total(self) -> Cost:
        """The sum over all layers; bytes are those of layers that run one after another, each through memory."""
        names = [field.name for field in fields(Cost)]
        return Cost(*(sum(row.count * getattr(row.cost, name) for row in self.rows) for name in names))

    @property
    def y_shape(self) -> Ints:
        """Shape of the result."""
        return self.rows[-1].y_shape if self.rows else self.x_shape

    def __str__(self) -> str:
        total = self.total
        table: list[tuple[str, ...]] = [
            ("layer", "result", "parameters", "multiply-adds", "share", "bytes", "per byte")
        ]
        for row in self.rows:
            share = row.count * row.cost.macs / total.macs if total.macs else 0.0
            times = f" ({row.count} times)" if row.count > 1 else ""
            name = f"{row.name}{times}{'' if row.known else ' ?'}"
            table.append(_cells(name, row.y_shape, row.cost, share, row.count))
        table.append(_cells("total", self.y_shape, total, 1.0 if total.macs else 0.0, 1))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(c.ljust(w) if at < 2 else c.rjust(w) for at, (c, w) in enumerate(zip(cells, widths, strict=True)))
            for cells in table
        ]
        lines.insert(1, "-" * len(lines[0]))
        lines.insert(-1, "-" * len(lines[0]))
        unknown = list(dict.fromkeys(row.name.strip() for row in self.rows if not row.known))
        if unknown:
            lines.append(f"? taken to work element by element: {', '.join(unknown)}")
        return "\n".join(line.rstrip() for line in lines)


def _cells(name: str, y_shape: Ints, cost: Cost, share: float, count: int) -> tuple[str, ...]:
    numbers = (f"{count * n:,}".replace(",", " ") for n in (cost.parameters, cost.macs, cost.nbytes))
    parameters, macs, nbytes = numbers
    result = "×".join(map(str, y_shape))
    return name, result, parameters, macs, f"{share:.1%}", nbytes, f"{cost.intensity:.1f}"


def network_cost(layers: Iterable[Any], x_shape: Any, dtype: Any = "float32") -> NetworkCost:
    """Count what a list of layers costs; see `convlib.cost`."""
    given = shape("x_shape", x_shape)
    rows = list(_rows(layers, given, element_type("dtype", dtype), 0))
    return NetworkCost(given, tuple(rows))


def onnx_cost(path: str, input_shape: Sequence[int] | None = None, dtype: Any = "float32") -> NetworkCost:
    """Count what the convolutions and poolings of an ONNX model cost.

    Parameters
    ----------
    path : str
        The model; needs the package onnx.
    input_shape : sequence of int, optional
        Shape of its first input, where the model leaves sizes open.
    dtype : dtype, default "float32"
        Element type.

    Returns
    -------
    cost : NetworkCost
        A row per distinct layer, with the number of times that it occurs.
    """
    from .comparison.models import layers

    rows = []
    x_shape: Ints = ()
    for task in layers(path, input_shape):
        shapes, words = task.problem.call
        call = described(task.problem.function, shapes, words)
        x_shape = x_shape or call.shapes.get("x", ())
        bias = "bias" in task.problem.options
        count = cost_of(task.problem.function, call.operation, call.spec, element_type("dtype", dtype), bias)
        rows.append(Row(task.name, call.spec.y_shape, count, task.count))  # type: ignore[attr-defined]
    return NetworkCost(x_shape, tuple(rows))


def onnx_field(path: str) -> ReceptiveField:
    """Compute what an output of an ONNX model's last layer of windows sees, through all its branches.

    Parameters
    ----------
    path : str
        The model; needs the package onnx.

    Returns
    -------
    field : ReceptiveField
        Of the last tensor with spatial axes: what dense layers and global pooling come after.

    Raises
    ------
    SpecError
        If a tensor adds up what does not lie alike, or there is no layer of windows.
    """
    from .comparison.models import windows

    first: ReceptiveField | None = None
    known: dict[str, ReceptiveField] = {}
    last: ReceptiveField | None = None
    for name, inputs, output, options, size in windows(path):
        nd = len(size)
        if first is None:
            first = ReceptiveField((1,) * nd, (1,) * nd, (0,) * nd)
        before = [known.get(tensor, first) for tensor in inputs]
        seen = before[0]
        for other in before[1:]:
            seen = joined(name, seen, other)
        if options is not None:
            seen, _, _ = through([{"name": name, **options}], seen, size, nd)
        known[output] = last = seen
    if last is None:
        raise SpecError(f"{path!r} has no layer with windows")
    return last


def _rows(layers: Iterable[Any], x: Ints, element: np.dtype[Any], depth: int) -> Iterator[Row]:
    indent = "  " * depth
    for number, layer in enumerate(layers, start=1):
        try:
            if isinstance(layer, Residual):
                paths = [list(_rows(path, x, element, depth + 1)) for path in (layer.branch, layer.shortcut)]
                ends = [path[-1].y_shape if path else x for path in paths]
                if ends[0] != ends[1]:
                    raise SpecError(f"its branch gives {ends[0]} and its shortcut {ends[1]}, which cannot be added")
                for path in paths:
                    yield from path
                row = Row(f"{indent}add", ends[0], _elements(ends[0], element, 2))
            elif elementwise(layer):
                row = Row(indent + name_of(layer), x, _elements(x, element, 1), known=False)
            else:
                row = _row(layer, x, element, indent)
        except (SpecError, TypeError) as error:
            raise type(error)(f"layer {number}, {name_of(layer)}, over an input of {x}: {error}") from None
        yield row
        x = row.y_shape


def _elements(x: Ints, element: np.dtype[Any], reads: int) -> Cost:
    return Cost(0, 0, 0, (1 + reads) * math.prod(x) * element.itemsize)


def _row(layer: Any, x: Ints, element: np.dtype[Any], indent: str) -> Row:
    if isinstance(layer, WindowSpec):
        if layer.x_shape != x:
            raise SpecError(f"the spec is of an input of {layer.x_shape}")
        operation = "pool" if isinstance(layer, PoolSpec) else "conv"
        y: Ints = layer.y_shape if isinstance(layer, (ConvSpec, PoolSpec)) else x
        return Row(indent + operation, y, cost_of(operation, operation, layer, element, False))
    if not (isinstance(layer, Mapping) or hasattr(layer, "options")):
        raise TypeError(
            f"a layer must be a Layer, a spec, a mapping or something to call, not {type(layer).__name__} "
            f"({quote(layer)})"
        )
    call, bias = _called(layer, x)
    transposed = call.function.startswith("conv_transpose")
    y = call.spec.x_shape if transposed else call.spec.y_shape  # type: ignore[attr-defined]
    name = name_of(layer) if not isinstance(layer, Mapping) or "name" in layer else call.function
    return Row(indent + name, y, cost_of(call.function, call.operation, call.spec, element, bias))


def _called(layer: Any, x: Ints) -> tuple[Description, bool]:
    """Return the call that a layer of convlib, or a mapping, makes on an input, and whether it adds a bias."""
    options = dict(layer if isinstance(layer, Mapping) else layer.options)
    if isinstance(layer, Mapping):
        op = options.pop("op", None)
        if op is None:
            op = "conv2d" if "out_channels" in options else ""
        if not isinstance(op, str):
            raise TypeError(f"op must be the name of a public function, such as 'max_pool2d', not {quote(op)}")
        if not op:
            raise SpecError(f"{quote(dict(layer))} names no op; add it, as in {{'op': 'max_pool2d', 'kernel_size': 2}}")
    else:
        op = _function(layer)
    nd = int(re.findall(r"([123])d", op)[0]) if re.search(r"[123]d", op) else 2
    bias = flag("bias", options.pop("bias", op.startswith("conv") and not isinstance(layer, Mapping)))
    arguments: list[Any] = [x]
    if op.startswith("conv"):
        arguments.append(_weights(op, options, x, nd))
    elif "p" in options:
        arguments.append(options.pop("p"))
    known = inspect.signature(getattr(functional, op, lambda: 0)).parameters
    if isinstance(layer, Mapping):
        options.pop("name", None)
    else:
        options = {name: value for name, value in options.items() if name in known and name != "backend"}
    return described(op, tuple(arguments), options), bias


def _weights(op: str, options: dict[str, Any], x: Ints, nd: int) -> Ints:
    last, groups = channels_last(options.get("layout", "NCHW"), nd), integer("groups", options.get("groups", 1))
    channels = split("x", x, nd, last)[2]
    wanted, oc, size = (options.pop(name, None) for name in ("in_channels", "out_channels", "kernel_size"))
    if wanted is not None and integer("in_channels", wanted) != channels:
        raise SpecError(f"in_channels={wanted}, but the input has {channels} channels")
    for name, value in (("out_channels", oc), ("kernel_size", size)):
        if value is None:
            raise SpecError(f"{op} needs {name}, such as {name}=3")
    oc = integer("out_channels", oc)
    kernel = tuple(size) if isinstance(size, (tuple, list)) else (size,) * nd
    first, second = (channels, oc) if op.startswith("conv_transpose") else (oc, channels)
    return (first, second // max(1, groups), *kernel)  # whoever checks the weights refuses no groups


def _function(layer: Any) -> str:
    """Return the public function that a layer calls, by the name of its class in `convlib.layers`."""
    name = next(kind.__name__ for kind in type(layer).__mro__ if re.fullmatch(r"[A-Z]\w*[123]d", kind.__name__))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
