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
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from .. import config, dtypes
from ..errors import UnsupportedError
from ..spec import ConvSpec, PoolSpec, WindowSpec, blocks, needs_padding
from . import dask_graph as graph, dask_large, dask_tasks as tasks
from .base import OPERATIONS, Backend
from .base.checks import check_indices, sum_types

Array = Any


class DaskBackend(Backend):
    """Every operator but columns on Dask arrays.

    It takes the place of the operations themselves: what `Backend` does around its hooks needs numbers.

    Parameters
    ----------
    serve : callable
        Serves a block, given a `Call`, its spec and its arrays.
    refusal : callable
        Returns why a backend that is named for the blocks cannot serve a call, or None.
    names : callable
        Returns, for an operation, what may be named for the blocks.
    """

    name = "dask"
    array_type = "dask"
    lazy = True
    operations: ClassVar[tuple[str, ...]] = tuple(op for op in OPERATIONS if op not in ("im2col", "col2im"))

    def __init__(
        self, serve: Callable[..., Any], refusal: Callable[..., str | None], names: Callable[[str], tuple[str, ...]]
    ) -> None:
        self._serve, self._refusal, self._names = serve, refusal, names

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
        if op.startswith("pool") and needs_padding(spec):
            return "pools no padding that holds something; extend x first: dask.array.pad(x, pairs, mode)"
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
        return self._refusal(op, spec, dtype, algorithm)

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
        result, compute = sum_types(x.dtype, w.dtype, bias, spec.oc)
        call = self._call("conv", "conv", compute, out, algorithm)
        made = graph.Graph(self._name(call, spec, x, w, bias), spec, *self._forward(spec, x))
        return self._summed(made, call, result, made.argument("x", x), w, bias)

    def conv_transpose(  # type: ignore[misc]
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_transpose`."""
        result, compute = sum_types(x.dtype, w.dtype, bias, spec.c)
        call = self._call("conv_grad_input", "conv_transpose", compute, out, algorithm)
        made = graph.Graph(self._name(call, spec, x, w, bias), spec, *self._adjoint_cuts(spec, x))
        return self._summed(made, call, result, made.argument("x", x), w, bias, above=True)

    def conv_grad_input(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_grad_input`."""
        result, compute = dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype)
        call = self._call("conv_grad_input", "conv_grad_input", compute, out, algorithm)
        copied = blocks.copied_padding(spec)  # elements that are still to be added up
        call = replace(call, widen=copied)
        made = graph.Graph(self._name(call, spec, grad_y, w), spec, *self._adjoint_cuts(spec, grad_y))
        dtype = compute if copied else result
        found = self._summed(made, call, dtype, made.argument("grad_y", grad_y), w, None, above=True)
        return self._folded(spec, found, result) if copied else found

    def conv_grad_weight(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_grad_weight`: each block's part, then their sums."""
        dtype, compute = dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype)
        call = self._call("conv_grad_weight", "conv_grad_weight", compute, out, algorithm)
        return self._weight_sums(call, spec, dtype, ("grad_y", grad_y), ("x", x))

    def conv_transpose_grad_weight(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_transpose_grad_weight`."""
        dtype, compute = dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype)
        call = self._call("conv_grad_weight", "conv_transpose_grad_weight", compute, out, algorithm)
        return self._weight_sums(call, spec, dtype, ("x", x), ("grad_y", grad_y))

    def conv_transpose_grad_input(  # type: ignore[misc]
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.conv_transpose_grad_input`."""
        dtype, compute = dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype)
        call = self._call("conv", "conv_transpose_grad_input", compute, out, algorithm)
        made = graph.Graph(self._name(call, spec, grad_y, w), spec, *self._forward(spec, grad_y))
        return self._summed(made, call, dtype, made.argument("grad_y", grad_y), w, None)

    def pool(  # type: ignore[misc]
        self, spec: PoolSpec, x: Array, indices: bool, out: Any, algorithm: str | None = None
    ) -> Any:
        """See `Backend.pool`."""
        result, compute = dtypes.for_pool(spec.kind, x.dtype)
        call = self._call("pool", "pool", compute, out, algorithm)
        made = graph.Graph(self._name(call, spec, x, indices), spec, *self._forward(spec, x))
        given = made.argument("x", x)
        for cell in made.cells():
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            if dask_large.is_large(part, x.dtype.itemsize):
                dask_large.add(made, call, given, cell, part, indices, result)
                continue
            joint, keys = given.take([cut.x for cut in cell.along])
            begin = tuple(cut.x[0].start for cut in cell.axes)
            task = partial(tasks.pool, call, part, begin, spec.in_size, joint, indices)
            made.layer[made.name, *cell.number] = (task, keys)
        found = made.array(result)
        if not indices:
            return found
        return tuple(self._picked(found, number, dtype) for number, dtype in enumerate((result, dtypes.INT64)))

    def pool_grad_input(  # type: ignore[misc]
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Any, algorithm: str | None = None
    ) -> Array:
        """See `Backend.pool_grad_input`."""
        dtypes.check("grad_y", grad_y.dtype)
        common = grad_y.dtype if x is None or y is None else np.result_type(grad_y.dtype, x.dtype, y.dtype)
        result, compute = dtypes.for_pool(spec.kind, common)
        call = self._call("pool_grad_input", "pool_grad_input", compute, out, algorithm)
        axes = [blocks.gradient(spec, a, sizes) for a, sizes in self._spatial(spec, grad_y)]
        made = graph.Graph(self._name(call, spec, grad_y, x, y), spec, *self._separate(spec, grad_y), axes)
        named = [("grad_y", grad_y), ("x", x), ("y", y)]
        given = [made.argument(label, a) for label, a in named if a is not None]
        for cell in made.cells():
            xs, ys = [cut.x for cut in cell.along], [cut.y for cut in cell.along]
            taken = [argument.take(xs if argument.name == "x" else ys) for argument in given]
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            joints = tuple(joint for joint, _ in taken)
            task = partial(tasks.pool_grad, call, part, joints, *blocks.overlap(cell.along))
            made.layer[made.name, *cell.number] = (task, *(keys for _, keys in taken))
        return made.array(result)

    def unpool(  # type: ignore[misc]
        self, spec: PoolSpec, x: Array, indices: Array, out: Any, add: bool, algorithm: str | None = None
    ) -> Array:
        """See `Backend.unpool`: plane by plane, for an index may point to any place of its plane."""
        result, compute = dtypes.for_pool("sum" if add else "max", x.dtype)
        check_indices(spec, indices)
        call = replace(self._call("unpool", "unpool", compute, out, algorithm), rest=(add,))
        axes = [blocks.whole(spec, a) for a in range(spec.nd)]
        made = graph.Graph(self._name(call, spec, x, indices), spec, *self._separate(spec, x), axes)
        given = made.argument("x", x), made.argument("indices", indices)
        for cell in made.cells():
            taken = [argument.take([cut.y for cut in cell.along]) for argument in given]
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            task = partial(tasks.plain, call, part, tuple(joint for joint, _ in taken))
            made.layer[made.name, *cell.number] = (task, *(keys for _, keys in taken))
        return made.array(result)

    # ------------------------------------------------------------------ shared by them

    def _call(
        self, op: str, method: str, dtype: np.dtype[Any], out: Any, algorithm: str | None
    ) -> tasks.Call:
        if out is not None:
            raise UnsupportedError(
                f"out must be None, not {type(out).__name__}: the result is a lazy Dask array; store it with "
                "y.store(out) or y.to_zarr(...)"
            )
        tasks.refuse_lost_scheduler()
        settings = config.get_accuracy(), config.get_max_workspace()
        return tasks.Call(self._serve, op, method, dtype, algorithm, *settings)

    def _name(self, call: tasks.Call, spec: WindowSpec, *given: Any) -> str:
        from dask.base import tokenize

        return f"convlib-{call.method}-{tokenize(repr(spec), repr(call), *given)}"

    def _spatial(self, spec: WindowSpec, a: Array) -> Any:
        """Return (axis, sizes of its blocks) for each spatial axis."""
        sizes = graph.sizes(spec, a)
        return [(axis, sizes[axis]) for axis in range(spec.nd)]

    def _separate(self, spec: WindowSpec, a: Array) -> tuple[blocks.Cuts, blocks.Cuts]:
        """Cut images and the channels of a pooling."""
        sizes = graph.sizes(spec, a)
        return blocks.images(spec.n, sizes["n"]), blocks.images(spec.c, sizes["c"])

    def _forward(self, spec: Any, x: Array) -> tuple[blocks.Cuts, blocks.Cuts, list[blocks.Cuts]]:
        """Cut the outputs of a convolution or a pooling."""
        n, c = self._separate(spec, x)
        if isinstance(spec, ConvSpec):
            c = blocks.channels(spec, graph.sizes(spec, x)["c"], "y")
        return n, c, [blocks.forward(spec, a, sizes) for a, sizes in self._spatial(spec, x)]

    def _adjoint_cuts(self, spec: ConvSpec, y: Array) -> tuple[blocks.Cuts, blocks.Cuts, list[blocks.Cuts]]:
        """Cut the inputs of a convolution, which are the result of its adjoint."""
        sizes = graph.sizes(spec, y)
        n, c = blocks.images(spec.n, sizes["n"]), blocks.channels(spec, sizes["c"], "x")
        return n, c, [blocks.adjoint(spec, a, sizes[a]) for a in range(spec.nd)]

    def _summed(
        self, made: graph.Graph, call: tasks.Call, dtype: np.dtype[Any], given: graph.Argument, w: Array,
        bias: Array | None, above: bool = False,
    ) -> Array:  # fmt: skip
        """Return a convolution, or with `above` an adjoint."""
        weights = made.whole("w", w) + made.whole("bias", bias)
        for cell in made.cells():
            along = [cut.y if above else cut.x for cut in cell.along]
            joint, keys = given.take(along, [cut.places for cut in cell.along])
            part = blocks.part(made.spec, cell.n, cell.c, cell.axes, above=above)
            task = partial(tasks.conv, call, part, joint, cell.c.y[0], cell.c.target)
            made.layer[made.name, *cell.number] = (task, keys, *weights)
        return made.array(dtype)

    def _weight_sums(
        self, call: tasks.Call, spec: ConvSpec, dtype: np.dtype[Any], outputs: tuple[str, Array],
        inputs: tuple[str, Array],
    ) -> Array:  # fmt: skip
        """Return a gradient with respect to weights, of arrays on the side of the outputs and of the inputs."""
        call = replace(call, widen=True)
        made = graph.Graph(self._name(call, spec, outputs[1], inputs[1]), spec, *self._forward(spec, inputs[1]))
        y_side, x_side = made.argument(*outputs), made.argument(*inputs)
        parts: dict[int, list[Any]] = {}
        for cell in made.cells():
            taken = {
                y_side.name: y_side.take([cut.y for cut in cell.along]),
                x_side.name: x_side.take([cut.x for cut in cell.along], [cut.places for cut in cell.along]),
            }
            (grad_joint, grad_keys), (x_joint, x_keys) = taken["grad_y"], taken["x"]
            part = blocks.part(spec, cell.n, cell.c, cell.axes)
            key = (f"{made.name}-part", *cell.number)
            made.layer[key] = (partial(tasks.plain, call, part, (grad_joint, x_joint)), grad_keys, x_keys)
            parts.setdefault(cell.c.target.start, []).append(key)
        rows = tuple(cut.target.stop - cut.target.start for cut in made.channels)
        for number, keys in enumerate(parts.values()):
            target = (made.name, number, *(0,) * (spec.nd + 1))
            graph.add_up(made.layer, made.name, keys, target, dtype)
        return made.array(dtype, (rows, *((size,) for size in spec.w_shape[1:])))

    def _folded(self, spec: ConvSpec, wide: Array, dtype: np.dtype[Any]) -> Array:
        """Add a gradient with respect to inputs with their padding up to that of the inputs."""
        axes = [blocks.folds(spec, a, sizes) for a, sizes in self._spatial(spec, wide)]
        made = graph.Graph(f"convlib-fold-{wide.name}", spec, *self._separate(spec, wide), axes)
        given = made.argument("grad_x", wide)
        for cell in made.cells():
            joint, keys = given.take([cut.x for cut in cell.along], [cut.places for cut in cell.along])
            shape = tuple(cut.target.stop - cut.target.start for cut in cell.along)
            made.layer[made.name, *cell.number] = (partial(tasks.fold, joint, shape, dtype), keys)
        return made.array(dtype)

    def _picked(self, pairs: Array, number: int, dtype: np.dtype[Any]) -> Array:
        """Return the array of the results or that of the indices of blocks that hold both."""
        name = f"{pairs.name}-{number}"
        layer = {(name, *key[1:]): (itemgetter(number), key) for key in graph.keys(pairs)}
        return graph.new(layer, name, pairs.chunks, dtype, [pairs])
