"""Dask arrays: how to cut them, for the memory of the workers.

The operators themselves take Dask arrays as they take NumPy arrays; see docs/dask.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import dtypes, registry, storage
from .backends.dask import DaskBackend
from .backends.dask_graph import order
from .backends.dask_tasks import Call
from .errors import BackendError, SpecError, UnsupportedError
from .functional.described import describe
from .spec import ConvSpec, blocks, frozen, shape as as_shape
from .spec.arguments import integer

__all__ = ["plan_chunks"]

#: More blocks than this keep Dask's scheduler busy for minutes, about a millisecond each.
MOST_BLOCKS = 100_000

#: Chunks that are planned end at multiples of this many windows, so that Winograd's tiles lie as in one piece.
ALIGNED = 4

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def plan_chunks(
    shape: Sequence[int], op: str, *args: Any, memory: int | str, dtype: Any = "float32", threads: int = 1,
    chunks: Any = None, **options: Any,
) -> tuple[int, ...]:  # fmt: skip
    """Plan the chunks of a Dask array for an operator, so that a worker stays within its memory.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    op : str
        Name of the operator, such as "conv2d", "max_pool2d", "conv_transpose2d" or "filter2d".
    *args
        What it takes by position behind the array, with shapes in place of arrays.
    memory : int or str
        What a worker may use, in bytes or as in "2 GiB".
    dtype : dtype, default "float32"
        Element type of the array.
    threads : int, default 1
        Tasks that a worker runs at the same time.
    chunks : int or sequence of int, optional
        Chunks to check instead; -1 stands for the whole axis.
    **options
        As in the operator.

    Returns
    -------
    chunks : tuple of int
        One size per axis, for `dask.array.from_array` or ``x.rechunk``: the largest found by halving that fit.

    Raises
    ------
    SpecError
        If no chunks fit, with the memory that would do, or if those given make no sense, with the nearest good ones.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    Counted are, for each task at the same time, a block with its halo, its result and the scratch of the backend;
    the weights; and twice a row of blocks, or a layer of them, which wait for the halos of the next.

    Examples
    --------
    >>> from convlib.dask import plan_chunks
    >>> plan_chunks((20000, 20000), "filter2d", (9, 9), memory="1 GiB", threads=2)
    (2500, 5000)
    """
    sizes = as_shape("shape", shape)
    case = _case(sizes, op, args, options, np.dtype(dtype))
    limit, threads = _nbytes(memory), integer("threads", threads)
    if threads < 1:
        raise SpecError(f"threads={threads} must be at least 1")
    wanted = sizes if chunks is None else _given(chunks, sizes)
    good = case.fitting(case.raised(wanted), limit, threads)
    if chunks is not None and good != wanted:
        fault = case.fault(wanted, limit, threads)
        raise SpecError(f"chunks={wanted} of {sizes} {fault}; the nearest good ones: {good}")
    return good


class _Case(NamedTuple):
    """An operator over an array that is to be cut."""

    op: str
    spec: Any
    kind: str
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    axes: tuple[Any, ...]

    def least(self) -> tuple[int, ...]:
        """Return the smallest chunks that make sense: as wide as a halo, and a whole group of channels."""
        spec, found = self.spec, []
        for name, size in zip(self.axes, self.sizes, strict=True):
            if name == "n":
                smallest = 1
            elif name == "c":
                groups = spec.groups if isinstance(spec, ConvSpec) else max(1, size)
                smallest = size // groups
            else:
                shared, stride = spec.extent(name) - spec.stride[name], spec.stride[name]
                smallest = -(-max(shared, 0) // stride) if self.op == "conv_grad_input" else max(shared, stride)
            found.append(min(size, max(1, smallest)))
        return tuple(found)

    def step(self, name: Any) -> int:
        """Return what planned chunks are multiples of."""
        if name == "c":
            return max(1, self.least()[self.axes.index("c")])
        if name == "n":
            return 1
        return ALIGNED if self.op == "conv_grad_input" else ALIGNED * int(self.spec.stride[name])

    def count(self, chunks: tuple[int, ...]) -> int:
        """Return how many blocks there are."""
        return math.prod(-(-size // max(1, chunk)) for size, chunk in zip(self.sizes, chunks, strict=True))

    def raised(self, chunks: tuple[int, ...]) -> tuple[int, ...]:
        """Return chunks that are no smaller than makes sense, nor too many."""
        found = [max(pair) for pair in zip(chunks, self.least(), strict=True)]
        while self.count(tuple(found)) > MOST_BLOCKS:
            axis = max(range(len(found)), key=lambda a: self.sizes[a] / max(1, found[a]))
            found[axis] = min(self.sizes[axis], 2 * found[axis])
        return tuple(found)

    def fitting(self, chunks: tuple[int, ...], limit: int, threads: int) -> tuple[int, ...]:
        """Return chunks halved, images first, then channels, then the longest axis, until they fit."""
        while (needed := self.nbytes(chunks, threads)) > limit:
            smaller = self._halved(chunks)
            if smaller == chunks or self.count(smaller) > MOST_BLOCKS:
                raise SpecError(
                    f"memory={limit} is too little for {threads} tasks at a time: even chunks of {chunks} need "
                    f"{needed} bytes; give that much, fewer threads, or smaller windows"
                )
            chunks = smaller
        return chunks

    def _halved(self, chunks: tuple[int, ...]) -> tuple[int, ...]:
        least = self.least()
        spatial = sorted((a for a, name in enumerate(self.axes) if isinstance(name, int)), key=lambda a: -chunks[a])
        for axis in [a for name in ("n", "c") if name in self.axes for a in [self.axes.index(name)]] + spatial:
            step = self.step(self.axes[axis])
            half = max(least[axis], -(-chunks[axis] // 2 // step) * step)
            if half < chunks[axis]:
                return (*chunks[:axis], half, *chunks[axis + 1 :])
        return chunks

    def nbytes(self, chunks: tuple[int, ...], threads: int) -> int:
        """Return what a worker needs for blocks of this size."""
        spec, adjoint = self.spec, self.op == "conv_grad_input"
        split: dict[Any, tuple[int, ...]] = {"n": (1,), "c": (1,)}
        split |= {name: _split(size, chunk) for name, size, chunk in zip(self.axes, self.sizes, chunks, strict=True)}
        conv = isinstance(spec, ConvSpec)
        n = blocks.images(spec.n, split["n"])
        c = blocks.channels(spec, split["c"], "x" if adjoint else "y") if conv else blocks.images(spec.c, split["c"])
        cut = blocks.adjoint if adjoint else blocks.forward
        axes = [max(cut(spec, a, split[a]), key=lambda cut: _reach(cut, adjoint)) for a in range(spec.nd)]
        part = blocks.part(spec, n[0], c[0], axes, above=adjoint)
        result, compute = dtypes.for_pool(self.kind, self.dtype) if self.kind else dtypes.for_sums(x=self.dtype)
        inputs, outputs = math.prod(part.x_shape), math.prod(part.y_shape)
        if adjoint:
            inputs, outputs = outputs, inputs
        copies = 0 if compute == self.dtype else compute.itemsize
        task = inputs * (2 * self.dtype.itemsize + copies) + outputs * (result.itemsize + (compute != result) * copies)
        choice = registry.select(self.op, part, compute, None, "numpy")
        task += storage.scratch(choice.backend, self.op, part, self.dtype, compute, choice.named)
        weights = math.prod(spec.w_shape) * self.dtype.itemsize if conv else 0
        return int(threads * task) + weights + 2 * self._row(chunks) * self.dtype.itemsize

    def _row(self, chunks: tuple[int, ...]) -> int:
        """Return the elements of the blocks that lie between neighbours along the first spatial axis that is cut."""
        cut = [a for a, name in enumerate(self.axes) if isinstance(name, int) and chunks[a] < self.sizes[a]]
        return math.prod(self.sizes[a] if a in cut[1:] else chunk for a, chunk in enumerate(chunks))

    def fault(self, chunks: tuple[int, ...], limit: int, threads: int) -> str:
        """Return what is wrong with chunks that were given."""
        least = self.least()
        for axis, (chunk, smallest) in enumerate(zip(chunks, least, strict=True)):
            if chunk < smallest:
                channels = self.axes[axis] == "c"
                what = "hold part of a group of channels" if channels else "are smaller than what windows share"
                return f"{what} on axis {axis}, {smallest} elements"
        if self.count(chunks) > MOST_BLOCKS:
            return f"make {self.count(chunks)} blocks, more than the {MOST_BLOCKS} that a scheduler serves in good time"
        return f"need {self.nbytes(chunks, threads)} bytes, more than memory={limit}"


def _reach(cut: blocks.Cut, adjoint: bool) -> int:
    parts = cut.y if adjoint else cut.x
    return len(cut.places) or sum(part.stop - part.start for part in parts)


def _split(size: int, chunk: int) -> tuple[int, ...]:
    """Return the sizes of the blocks of an axis: all but the last of `chunk`."""
    return tuple(min(chunk, size - start) for start in range(0, size, max(1, chunk))) or (0,)


def _case(sizes: tuple[int, ...], op: str, args: tuple[Any, ...], options: dict[str, Any], dtype: Any) -> _Case:
    if op == "filter2d":
        operation, spec, kind = _filter(sizes, *args, **options)
    else:
        operation, spec, kind = describe(op, sizes, *args, **options)
    backend_options = {"conv", "conv_grad_input", "pool"}
    if operation not in backend_options or "grad" in op:
        raise SpecError(f"op={op!r} is not planned; plan the operator whose gradient it is: the same chunks serve both")
    axes = order(spec) if op != "filter2d" or len(sizes) == 3 else (0, 1)
    return _Case(operation, spec, kind, dtype, sizes, axes)


def _filter(
    sizes: tuple[int, ...], kernel: Any, *, mode: str = "same", boundary: str = "reflect", flip: bool = False
) -> tuple[str, Any, str]:
    """Return what `describe` does, of the convolution that `filter2d` is."""
    height_width, colours = (sizes, 1) if len(sizes) == 2 else (sizes[:2], sizes[-1])
    w = (colours, 1, *as_shape("kernel", kernel))
    return describe(
        "conv2d", (*height_width, colours), w, padding=mode, padding_mode=boundary, flip=flip, layout="NHWC",
        groups=max(1, colours),
    )  # fmt: skip


def _given(chunks: Any, sizes: tuple[int, ...]) -> tuple[int, ...]:
    given = frozen(chunks)
    found = given if isinstance(given, tuple) else (given,) * len(sizes)
    if len(found) != len(sizes):
        raise SpecError(f"chunks={found} has {len(found)} entries; give one integer or one per axis of {sizes}")
    found = tuple(integer("chunks", chunk) for chunk in found)
    if any(chunk < 1 and chunk != -1 for chunk in found):
        raise SpecError(f"chunks={found} must be at least 1 on every axis, or -1 for the whole of it")
    return tuple(size if chunk == -1 else min(chunk, size) for chunk, size in zip(found, sizes, strict=True))


def _nbytes(memory: Any) -> int:
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", memory.lower())
        if match is None or match[2] not in _UNITS:
            raise SpecError(f"memory={memory!r} must be a number of bytes, or text such as '2 GiB' or '500 MB'")
        memory = int(float(match[1]) * _UNITS[match[2]])
    found = integer("memory", memory)
    if found < 1:
        raise SpecError(f"memory={found} must be at least 1 byte, such as '2 GiB'")
    return found


# --------------------------------------------------------------------------------------------------
# The backend, which knows neither the registry nor the others
# --------------------------------------------------------------------------------------------------


def _serve(call: Call, spec: Any, *arrays: Any) -> Any:
    """Serve a block."""
    choice = registry.select(call.op, spec, call.dtype, call.algorithm, "numpy")
    return getattr(storage, call.method)(choice.backend, spec, *arrays, None, *call.rest, choice.named)


def _refusal(op: str, spec: Any, dtype: np.dtype[Any], algorithm: str) -> str | None:
    """Return why a backend that is named for the blocks cannot serve a call."""
    try:
        registry.select(op, spec, dtype, algorithm, "numpy")
    except UnsupportedError as error:
        return error.reason
    return None


def _ways(op: str) -> tuple[str, ...]:
    """Return the backends of NumPy arrays, with and without their algorithms for an operation."""
    found = []
    for name in registry.backends():
        try:
            backend = registry.get_backend(name) if name != "dask" else None
        except BackendError:
            continue
        if backend is not None and backend.array_type == "numpy":
            found += [name, *(f"{name}:{algorithm}" for algorithm in backend.algorithms.get(op, ()))]
    return tuple(found)


#: What the registry knows as "dask".
backend: DaskBackend = DaskBackend(_serve, _refusal, _ways)
