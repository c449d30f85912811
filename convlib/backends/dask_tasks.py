"""What runs on a Dask worker: put a block together from pieces, serve it, bring it into shape.

Functions and their fixed arguments travel to other processes; they know nothing of Dask's graph.
"""

from __future__ import annotations

import contextvars
import multiprocessing
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, product
from typing import Any

import numpy as np

from .. import config
from ..errors import BackendError, SpecError
from ..threads import get_num_threads, num_threads

Array = Any


@dataclass(frozen=True)
class Call:
    """What a block inherits from the call that it is a part of.

    Attributes
    ----------
    serve : callable
        Takes this call, a block's spec and its arrays, and gives the block of the result.
    op, method : str
        The operation, and the method of `Backend` that serves it.
    dtype : dtype
        The type it computes in.
    algorithm : str or None
        The backend that was named for the blocks.
    accuracy, workspace : str and int
        The settings that held where the call was made.
    rest : tuple
        What the method takes between `out` and the algorithm.
    widen : bool
        Whether results stay in the type it computes in, for sums to be made of them.
    """

    serve: Callable[..., Any] = field(repr=False)  # which names the call in graphs: the same in every process
    op: str
    method: str
    dtype: np.dtype[Any]
    algorithm: str | None
    accuracy: str
    workspace: int
    rest: tuple[Any, ...] = ()
    widen: bool = False

    def __call__(self, spec: Any, *arrays: Any) -> Any:
        """Serve a block; `use_backend` and other settings around the computation do not reach it."""
        if self.widen:
            arrays = tuple(a.astype(self.dtype, copy=False) if isinstance(a, np.ndarray) else a for a in arrays)
        return contextvars.Context().run(self._run, share(), spec, arrays)

    def _run(self, threads: int, spec: Any, arrays: tuple[Any, ...]) -> Any:
        with num_threads(threads), config.accuracy(self.accuracy), config.max_workspace(self.workspace):
            return self.serve(self, spec, *arrays)


def share() -> int:
    """Return how many threads a task may use, so that those that Dask runs side by side do not crowd each other out.

    All threads of the process where it runs one task at a time, which is the synchronous scheduler; a worker's share on
    a cluster; one where the tasks of a pool run side by side.
    """
    threads = get_num_threads()
    workers = _workers()
    if workers:
        return max(1, threads // sum(workers))
    alone = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    return threads if alone else 1


def _workers() -> list[int]:
    """Return the number of threads of each worker of a cluster in this process, if this is one of them."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return []
    try:
        here = distributed.get_worker()
    except ValueError:
        return []
    return [worker.state.nthreads for worker in type(here)._instances] or [here.state.nthreads]


def refuse_lost_scheduler() -> None:
    """Refuse to go on with a client of a cluster whose scheduler is gone: Dask would wait, and then compute here."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return
    try:
        client = distributed.Client.current()
    except ValueError:
        return
    if client.status == "connecting" and not client.asynchronous:
        raise BackendError(
            f"the Dask client has lost its scheduler at {client.scheduler.address}, and this call would be computed "
            "there; connect a new distributed.Client to a scheduler that runs, or client.close() it to compute here"
        )


# --------------------------------------------------------------------------------------------------
# Arrays
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joint:
    """How the pieces of one argument make up what a block needs of it.

    Attributes
    ----------
    name : str
        The argument's name.
    dtype : dtype
        The type that its elements are said to have.
    lengths : tuple of tuple of int
        Lengths of the pieces along each axis.
    places : tuple of tuple of int
        Per axis, the place of each element that is worked on; an empty tuple for all as they are.
    """

    name: str
    dtype: np.dtype[Any]
    lengths: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, ...], ...]

    def __call__(self, pieces: Sequence[Array]) -> Array:
        """Put the pieces together."""
        joined = self._joined(pieces)
        for axis, places in enumerate(self.places):
            if places:
                joined = joined.take(places, axis)
        return joined

    def _joined(self, pieces: Sequence[Array]) -> Array:
        for piece, lengths in zip(pieces, product(*self.lengths), strict=True):
            self._check(piece, lengths)
        if len(pieces) == 1:
            return pieces[0]
        joined = np.empty([sum(lengths) for lengths in self.lengths], self.dtype)
        axes = ([*map(slice, (0, *accumulate(lengths)), accumulate(lengths))] for lengths in self.lengths)
        for place, piece in zip(product(*axes), pieces, strict=True):
            joined[place] = piece
        return joined

    def _check(self, piece: Any, lengths: tuple[int, ...]) -> None:
        found = getattr(piece, "shape", None), getattr(piece, "dtype", None), type(piece).__name__
        if not isinstance(piece, np.ndarray) or found[:2] != (lengths, self.dtype):
            raise SpecError(
                f"a block of {self.name} is {found[2]} {found[0]} of {found[1]}, but its Dask array says ndarray "
                f"{lengths} of {self.dtype}; correct the chunks and the dtype where that array is made"
            )


def piece(block: Array, where: tuple[slice, ...]) -> Array:
    """Return a part of a block, as an array of its own: the block may be let go."""
    return block[where].copy()


def conv(call: Call, spec: Any, joint: Joint, rows: slice, channels: slice, x: Any, w: Any, bias: Any = None) -> Array:
    """Serve a block of a convolution or of its adjoint; `rows` are those of its weights, `channels` of its bias."""
    arrays = (w[rows],) if "grad" in call.method else (w[rows], None if bias is None else bias[channels])
    return call(spec, joint(x), *arrays)


def plain(call: Call, spec: Any, joints: tuple[Joint, ...], *arrays: Any) -> Array:
    """Serve a block of arguments that all come in pieces."""
    return call(spec, *(joint(a) for joint, a in zip(joints, arrays, strict=True)))


def total(parts: Sequence[Array]) -> Array:
    """Add up parts of a gradient; integers are exact or refused."""
    if parts[0].dtype.kind == "i":
        bound = sum(max(-int(a.min(initial=0)), int(a.max(initial=0))) for a in parts)
        if bound >= 2**63:
            raise SpecError(
                f"integer overflow is possible: the blocks of this gradient can add up to {bound}, more than int64 "
                "holds; scale the integers down or convert them to float64"
            )
    found = parts[0]
    for other in parts[1:]:
        found = found + other
    return found


def cast(a: Array, dtype: np.dtype[Any]) -> Array:
    """Return an array in another type."""
    return a.astype(dtype, copy=False)


def pool(call: Call, spec: Any, begin: Sequence[int], plane: Sequence[int], joint: Joint, indices: bool, x: Any) -> Any:
    """Serve a block of a pooling whose inputs `begin` there in the whole plane, of which indices are."""
    found = call(spec, joint(x), indices)
    if not indices:
        return found
    y, places = found
    if not places.size or not min(spec.in_size):  # no window has a place
        return y, places
    at = np.unravel_index(np.maximum(places, 0), spec.in_size)
    shifted = np.ravel_multi_index(tuple(a + start for a, start in zip(at, begin, strict=True)), tuple(plane))
    return y, np.where(places < 0, -1, shifted)


def pool_grad(
    call: Call, spec: Any, joints: tuple[Joint, ...], shape: tuple[int, ...], here: tuple[slice, ...],
    there: tuple[slice, ...], *arrays: Any,
) -> Array:  # fmt: skip
    """Return the gradient of a block of inputs, cut out of that of all inputs of its windows."""
    given = [joint(a) for joint, a in zip(joints, arrays, strict=True)]
    wide = call(spec, *given, *(None,) * (3 - len(given)))
    if wide.shape == shape and here == there:
        return wide
    found = np.zeros(shape, wide.dtype)
    found[here] = wide[there]
    return found


def fold(joint: Joint, shape: tuple[int, ...], dtype: np.dtype[Any], wide: Any) -> Array:
    """Add inputs with their padding up to those that the padding was copied from; `joint` has their places."""
    found = Joint(joint.name, joint.dtype, joint.lengths, ((),) * len(shape))(wide)
    for axis, places in enumerate(joint.places):
        if places:
            source = np.moveaxis(found, axis, 0)
            target = np.zeros((shape[axis], *source.shape[1:]), source.dtype)
            np.add.at(target, np.array(places), source)
            found = np.moveaxis(target, 0, axis)
    return np.ascontiguousarray(found, dtype)
