"""Dask arrays: lazy, out of core or over a cluster; each block of a result is one call of another backend.

A block is cut out by `convlib.spec.blocks`, so that it sees exactly the elements under its windows and padding at true
edges only: results are those of the whole, whatever the chunks.  Nothing is computed here but shapes, types and
refusals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from .. import config, dtypes
from ..errors import UnsupportedError
from ..spec import ConvSpec, PoolSpec, WindowSpec, blocks
from . import dask_graph as graph, dask_tasks as tasks
from .base import OPERATIONS, Backend
from .halves import Block, Types

Array = Any


class DaskBackend(Backend):
    """Every operator but columns on Dask arrays.

    It takes the place of the operations themselves: what `Backend` does around its hooks needs numbers.

    Parameters
    ----------
    select : callable
        The registry's decision, by which each block finds its backend.
    names : callable
        Returns, for an operation, what may be named for the blocks.
    """

    name = "dask"
    array_type = "dask"
    operations = tuple(op for op in OPERATIONS if op not in ("im2col", "col2im"))

    def __init__(self, select: Callable[..., Any], names: Callable[[str], tuple[str, ...]]) -> None:
        self._select, self._names = select, names

    # ------------------------------------------------------------------ what it says of itself

    def available(self) -> str | None:
        """See `Backend.available`."""
        return None if find_spec("dask") else 'Dask is not installed; pip install "dask[array]"'

    @property
    def algorithms(self) -> dict[str, tuple[str, ...]]:  # type: ignore[override]
        """What may follow "dask:", the backends of the blocks."""
        return {op: self._names(op) for op in self.operations}

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if op not in self.operations:
            return f"does not implement {op}, whose columns no block holds; x.compute() gives a NumPy array"
        if config.environment("CONVLIB_BACKEND") == self.name:
            return 'its blocks are NumPy arrays: set CONVLIB_BACKEND to "dask:native" or another name for them'
        return None

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        return None, "each block is served by the automatic choice"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        try:
            self._select(op, spec, dtype, algorithm, "numpy")
        except UnsupportedError as error:
            return error.reason
        return None

    def from_numpy(self, a: Array) -> Array:
        """See `Backend.from_numpy`: in blocks of about a third of each axis."""
        import dask.array as da

        return da.from_array(a, chunks=tuple(max(1, -(-size // 3)) for size in a.shape))

    def to_numpy(self, a: Array) -> Array:
        """See `Backend.to_numpy`."""
        return a.compute(scheduler="synchronous")

    # ------------------------------------------------------------------ operations

    def conv(  # type: ignore[misc]
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv`."""
        types = self._sum_types(x, w, bias, spec.oc)
        call = self._call("conv", "conv", spec, types, out, algorithm)
        sizes = graph.sizes(spec, x)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.channels(spec, sizes["c"], "y")
        axes = [blocks.forward(spec, a, sizes[a]) for a in range(spec.nd)]
        return self._summed(call, spec, types.result, (n, c, axes), ("x", x), w, bias)

    def conv_transpose(  # type: ignore[misc]
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_transpose`."""
        types = self._sum_types(x, w, bias, spec.c)
        call = self._call("conv_grad_input", "conv_transpose", spec, types, out, algorithm)
        return self._adjoint_blocks(call, spec, types.result, ("x", x), w, bias)

    def conv_grad_input(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_grad_input`."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype))
        call = self._call("conv_grad_input", "conv_grad_input", spec, types, out, algorithm)
        if not blocks.copied_padding(spec):
            return self._adjoint_blocks(call, spec, types.result, ("grad_y", grad_y), w, None)
        wide = self._adjoint_blocks(replace(call, widen=True), spec, types.compute, ("grad_y", grad_y), w, None)
        return self._folded(spec, wide, types.result)

    def conv_grad_weight(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_grad_weight`: each block's part, then their sums."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype))
        call = self._call("conv_grad_weight", "conv_grad_weight", spec, types, out, algorithm)
        call = replace(call, widen=True)
        sizes, axes_order = graph.sizes(spec, x), graph.order(spec)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.channels(spec, sizes["c"], "y")
        axes = [blocks.forward(spec, a, sizes[a]) for a in range(spec.nd)]
        name, layer = self._name(call, spec, grad_y, x), {}
        given = graph.Argument("grad_y", grad_y, name, layer), graph.Argument("x", x, name, layer)
        parts: dict[Any, list[Any]] = {cut.target.start: [] for cut in c}
        for cell in graph.cells(spec, n, c, axes):
            along = cell.along(axes_order)
            y_joint, y_keys = given[0].take([cut.y for cut in along])
            x_joint, x_keys = given[1].take([cut.x for cut in along], [cut.places for cut in along])
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            key = (f"{name}-part", *cell.index)
            layer[key] = (partial(tasks.plain, call, part, (y_joint, x_joint)), y_keys, x_keys)
            parts[cell.c.target.start].append(key)
        for number, keys in enumerate(parts.values()):
            graph.add_up(layer, name, keys, (name, number, *(0,) * (spec.nd + 1)), types.result)
        rows = tuple(cut.target.stop - cut.target.start for cut in c)
        return graph.new(layer, name, (rows, *((size,) for size in spec.w_shape[1:])), types.result, grad_y, x)

    def pool(  # type: ignore[misc]
        self, spec: PoolSpec, x: Array, indices: bool, out: Any, algorithm: str | None = None
    ) -> Any:
        """See `Backend.pool`."""
        types = Types(*dtypes.for_pool(spec.kind, x.dtype))
        call = self._call("pool", "pool", spec, types, out, algorithm)
        sizes, axes_order = graph.sizes(spec, x), graph.order(spec)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.images(spec.c, sizes["c"])
        axes = [blocks.forward(spec, a, sizes[a]) for a in range(spec.nd)]
        name, layer = self._name(call, spec, x, indices), {}
        given = graph.Argument("x", x, name, layer)
        for cell in graph.cells(spec, n, c, axes):
            joint, keys = given.take([cut.x for cut in cell.along(axes_order)])
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            block = Block(part, (cell.n.x[0], cell.c.x[0], *(cut.x[0] for cut in cell.axes)), (), ())
            layer[name, *cell.index] = (partial(tasks.pool, call, block, spec, joint, indices), keys)
        chunks = graph.chunks(spec, n, c, axes)
        found = graph.new(layer, name, chunks, types.result, x)
        if not indices:
            return found
        return tuple(self._picked(found, number, dtype) for number, dtype in enumerate((types.result, dtypes.INT64)))

    def pool_grad_input(  # type: ignore[misc]
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Any
    ) -> Array:
        """See `Backend.pool_grad_input`."""
        dtypes.check("grad_y", grad_y.dtype)
        common = grad_y.dtype if x is None or y is None else np.result_type(grad_y.dtype, x.dtype, y.dtype)
        types = Types(*dtypes.for_pool(spec.kind, common))
        call = self._call("pool_grad_input", "pool_grad_input", spec, types, out, None, rest=())
        sizes, axes_order = graph.sizes(spec, grad_y), graph.order(spec)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.images(spec.c, sizes["c"])
        axes = [blocks.gradient(spec, a, sizes[a]) for a in range(spec.nd)]
        name, layer = self._name(call, spec, grad_y, x, y), {}
        named = [("grad_y", grad_y), ("x", x), ("y", y)]
        given = [graph.Argument(label, a, name, layer) for label, a in named if a is not None]
        for cell in graph.cells(spec, n, c, axes):
            along = cell.along(axes_order)
            sides = {"x": [cut.x for cut in along]}
            taken = [arg.take(sides.get(arg.name, [cut.y for cut in along])) for arg in given]
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            shape, here, there = blocks.overlap(along)
            task = partial(tasks.pool_grad, call, part, tuple(joint for joint, _ in taken), shape, here, there)
            layer[name, *cell.index] = (task, *(keys for _, keys in taken))
        return graph.new(layer, name, graph.chunks(spec, n, c, axes), types.result, grad_y, x, y)

    def unpool(self, spec: PoolSpec, x: Array, indices: Array, out: Any, add: bool) -> Array:  # type: ignore[misc]
        """See `Backend.unpool`: plane by plane, for an index may point to any place of its plane."""
        types = Types(*dtypes.for_pool("sum" if add else "max", x.dtype))
        self._check_indices(spec, indices)
        call = self._call("unpool", "unpool", spec, types, out, None, rest=(add,))
        sizes, axes_order = graph.sizes(spec, x), graph.order(spec)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.images(spec.c, sizes["c"])
        axes = [blocks.whole(spec, a) for a in range(spec.nd)]
        name, layer = self._name(call, spec, x, indices), {}
        given = [graph.Argument(label, a, name, layer) for label, a in (("x", x), ("indices", indices))]
        for cell in graph.cells(spec, n, c, axes):
            taken = [arg.take([cut.y for cut in cell.along(axes_order)]) for arg in given]
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            task = partial(tasks.plain, call, part, tuple(joint for joint, _ in taken))
            layer[name, *cell.index] = (task, *(keys for _, keys in taken))
        return graph.new(layer, name, graph.chunks(spec, n, c, axes), types.result, x, indices)

    # ------------------------------------------------------------------ shared by them

    def _call(
        self, op: str, method: str, spec: WindowSpec, types: Types, out: Any, algorithm: str | None,
        rest: tuple[Any, ...] | None = None,
    ) -> tasks.Call:  # fmt: skip
        if out is not None:
            raise UnsupportedError(
                f"out must be None, not {type(out).__name__}: the result is a lazy Dask array; store it with "
                "y.store(out) or y.to_zarr(...)"
            )
        settings = config.get_accuracy(), config.get_max_workspace()
        return tasks.Call(self._select, op, method, types.compute, algorithm, *settings, rest)

    def _name(self, call: tasks.Call, spec: WindowSpec, *given: Any) -> str:
        from dask.base import tokenize

        return f"convlib-{call.method}-{tokenize(repr(spec), repr(call), *given)}"

    def _summed(
        self, call: tasks.Call, spec: ConvSpec, dtype: np.dtype[Any], cuts: Any, data: tuple[str, Array], w: Array,
        bias: Array | None, above: bool = False,
    ) -> Array:  # fmt: skip
        """Return a convolution or an adjoint, cut like this; the spec of a block is that of its inputs if `above`."""
        label, a = data
        name, layer = self._name(call, spec, a, w, bias), {}
        given = graph.Argument(label, a, name, layer)
        weights, biases = graph.Weights("w", w, name, layer), graph.Weights("bias", bias, name, layer)
        axes_order = graph.order(spec)
        for cell in graph.cells(spec, *cuts):
            along = cell.along(axes_order)
            joint, keys = given.take([cut.y if above else cut.x for cut in along], [cut.places for cut in along])
            part = blocks.part(spec, cell.n, cell.c, cell.axes, above=above)
            task = partial(tasks.conv, call, part, joint, cell.c.y[0], cell.c.target)
            layer[name, *cell.index] = (task, keys, weights.key, *([] if bias is None else [biases.key]))
        return graph.new(layer, name, graph.chunks(spec, *cuts), dtype, a, weights.array, biases.array)

    def _adjoint_blocks(
        self, call: tasks.Call, spec: ConvSpec, dtype: np.dtype[Any], data: tuple[str, Array], w: Array,
        bias: Array | None,
    ) -> Array:  # fmt: skip
        sizes = graph.sizes(spec, data[1])
        n, c = blocks.images(spec.n, sizes["n"]), blocks.channels(spec, sizes["c"], "x")
        axes = [blocks.adjoint(spec, a, sizes[a]) for a in range(spec.nd)]
        return self._summed(call, spec, dtype, (n, c, axes), data, w, bias, above=True)

    def _folded(self, spec: ConvSpec, wide: Array, dtype: np.dtype[Any]) -> Array:
        """Add a gradient with respect to inputs with their padding up to that of the inputs."""
        sizes, axes_order = graph.sizes(spec, wide), graph.order(spec)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.images(spec.c, sizes["c"])
        axes = [blocks.folds(spec, a, sizes[a]) for a in range(spec.nd)]
        name, layer = f"convlib-fold-{wide.name}", {}
        given = graph.Argument("grad_x", wide, name, layer)
        for cell in graph.cells(spec, n, c, axes):
            along = cell.along(axes_order)
            joint, keys = given.take([cut.x for cut in along], [cut.places for cut in along])
            shape = tuple(cut.target.stop - cut.target.start for cut in along)
            layer[name, *cell.index] = (partial(tasks.fold, joint, shape, dtype), keys)
        return graph.new(layer, name, graph.chunks(spec, n, c, axes), dtype, wide)

    def _picked(self, pairs: Array, number: int, dtype: np.dtype[Any]) -> Array:
        """Return the array of the results or that of the indices of blocks that hold both."""
        from operator import itemgetter

        name = f"{pairs.name}-{number}"
        layer = {(name, *key[1:]): (itemgetter(number), key) for key in graph.keys(pairs)}
        return graph.new(layer, name, pairs.chunks, dtype, pairs)
