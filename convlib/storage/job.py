"""One call that is served in parts: each is copied into the type that it computes in, and nothing else ever is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .. import config, dtypes
from ..backends.base import Backend
from ..backends.base.arrays import SMALL_COPY, channels_first
from ..backends.base.checks import Quantised, Types, padding_value
from ..backends.base.contract import Array
from ..spec import PoolSpec, needs_padding, plain_padded, zero_padded
from . import pairs
from .cutting import INDEX_BYTES, Block, Blocks, Item, Size, Slices, blocks, borders
from .padding import fill, fold


class Call(NamedTuple):
    """What is asked of a backend."""

    backend: Backend
    op: str
    spec: Any
    types: Types  # as the backend would have them
    dtype: np.dtype[Any]  # what it shall compute in
    algorithm: str | None
    indices: bool = False  # of the extremes
    conjugated: str = ""  # which of x, y and w, if any
    shifted: str = ""  # which of x and w have zero points that are subtracted
    transposed: bool = False  # weights that are no adjoint's, as in `conv_transpose`

    @property
    def paired(self) -> bool:
        """Whether complex numbers go as pairs of floats, which all are copies."""
        asks = self.dtype.kind == "c" and self.op.startswith("conv")
        return asks and self.backend.complex_as_floats(self.op, self.spec, self.algorithm)

    def copied(self, x: Array = None, y: Array = None, w: Array = None, out: Array = None) -> str:
        """Name the arrays of which a hook sees a copy, if the call is served in one piece, result and padding included.

        Of the names the result's may be missing, and more than one array may stand for a name.  "p" is an input that is
        copied for its padding alone.
        """
        if self.paired:
            return "xyw"
        result = RESULTS[self.op]
        given = {"x": x, "y": y, "w": w}
        found = "".join(
            name for name in "xy"
            if name in self.shifted or not all(self._taken(a) and self._flat(a, name) for a in _listed(given[name]))
        )  # fmt: skip
        found += "w" * (w is not None and ("w" in self.shifted or not self._weights_taken(w)))
        kept = self.types.result == self.dtype and (out is None or (self._taken(out) and self._flat(out, result)))
        turned = self.spec.channels_last and not (self.backend.strided or self.backend.channels_last)
        if result not in found and not (kept and (result == "w" or not turned)):
            found += result
        return found + self._padding(found)

    def assumed(self, storage: np.dtype[Any], given: Mapping[str, tuple[Array, ...]] | None = None) -> str:
        """Name the same where arrays that are not `given` are contiguous and of type `storage`."""
        if self.paired:
            return "xyw"
        backend, given = self.backend, given or {}
        seen = self.copied(**{place: arrays if len(arrays) > 1 else arrays[0] for place, arrays in given.items()})
        turned = self.spec.channels_last and not (backend.strided or backend.channels_last)
        copied = {"x": turned, "y": turned} | ({"w": self.weights_turned} if self.op.startswith("conv") else {})
        copied |= dict.fromkeys(self.shifted, True)
        found = "".join(
            name for name in copied
            if (name in seen if name in given or name == RESULTS[self.op] else copied[name] or storage != self.dtype)
        )  # fmt: skip
        return found + self._padding(found)

    def _padding(self, found: str) -> str:
        return "p" * ("x" not in found and RESULTS[self.op] != "x" and self.pads)

    @property
    def pads(self) -> bool:
        """Whether the padding holds what hooks do not know."""
        return needs_padding(self.spec)

    def _taken(self, a: Array) -> bool:
        return self.backend.takes(a, self.dtype, self.spec)

    def _flat(self, a: Array, place: str) -> bool:
        """Whether a hook that wants its outputs along one axis sees them so."""
        if a is None or place != "y" or not (self.backend.flat and self.op.startswith("conv")):
            return True
        a = channels_first(a, self.spec)
        axes = [(size, step) for size, step in zip(a.shape[2:], a.strides[2:], strict=True) if size > 1]
        return all(outer == size * step for (_, outer), (size, step) in pairwise(axes))

    def _weights_taken(self, w: Array) -> bool:
        backend = self.backend
        lie = w.flags.c_contiguous or backend.strided_weights(self.spec)
        plain = backend.strided or (lie and not self.spec.flip)
        return bool(w.dtype == self.dtype and plain and backend._aligned(w))

    @property
    def weights_turned(self) -> bool:
        """Whether weights without gaps are copied once more, into the order that hooks take."""
        backend, spec = self.backend, self.spec
        if backend.strided or not self.op.startswith("conv"):
            return False
        return bool(spec.flip or (spec.w_memory and not self.paired and not backend.strided_weights(spec)))

    def item(self) -> Item:
        """Return what an element of each copy takes."""
        weights = 1 + (self.op == "conv_grad_weight") + self.weights_turned
        indices = (2 * INDEX_BYTES if self.pads else INDEX_BYTES) if self.indices else 8 if self.op == "unpool" else 0
        if self.paired:  # four floats for two; a gradient is made of such
            return Item(self.dtype.itemsize, 2 * weights, indices)
        return Item(self.dtype.itemsize, weights, indices, self.conjugated)


#: Which array of a call is its result.
RESULTS = {
    "conv": "y", "conv_grad_input": "x", "conv_grad_weight": "w", "pool": "y", "pool_grad_input": "x", "unpool": "x",
}  # fmt: skip


def _listed(a: Any) -> tuple[Any, ...]:
    return a if isinstance(a, tuple) else (a,)


class Job:
    """A call cut into blocks, each with copies that fit the scratch bound beside what the backend needs."""

    call: Call
    copied: str
    spec: Any
    rest: int
    around: Blocks | None
    blocks: Blocks
    named: str | None
    padding: bool

    def __init__(self, call: Call, copied: str, quantised: Quantised | None = None) -> None:
        self.call, self.copied, self._quantised = call, copied, quantised
        bound = config.get_max_workspace()
        named = _named(call)  # which may change with the instruction set
        self.spec, self.rest, self.around, self.blocks = _settled(call, copied, bound, named, config.settings())
        self.named = named if self.around else call.algorithm
        # What pads the input is written where parts of it are copied; its adjoint is the backend's.
        self.padding = call.pads and RESULTS[call.op] != "x"
        self.paired: bool = call.paired
        self._last = self.spec.channels_last
        self._weights: tuple[Slices, Array] | None = None

    @property
    def whole(self) -> bool:
        """Whether the backend itself may make the copies, as they fit and are those it would make."""
        types = self.call.types
        native = self.call.dtype in (types.compute, dtypes.FLOAT16) and not (self.call.shifted or self.paired)
        native = native and (types.result == types.compute or types.compute != dtypes.INT64)
        return self.blocks.whole and native and not self.padding and self.around is None

    @property
    def inner(self) -> Any:
        """The same call with the padding that hooks know."""
        return plain_padded(self.call.spec)

    @contextmanager
    def running(self) -> Iterator[Blocks]:
        """Bound the backend's own scratch, see that sums of integers come out exactly, and give the blocks."""
        exact = self.call.types.compute == dtypes.INT64 and self.call.op.startswith("conv")
        strict = config.accuracy("strict" if exact else config.get_accuracy())
        with config.scratch(self.rest), strict, np.errstate(all="ignore"):
            yield self.blocks

    def scratch(self) -> int:
        """Return the bytes that the copies of a block and the backend's own scratch take at most."""
        call, most = self.call, 0
        with config.scratch(self.rest):
            if self.around:
                most = call.backend.workspace(call.op, self.inner, call.dtype, self.named)
                size = Size(call.op, self.inner, call.item()._replace(indices=0))
                most += size.nbytes("w" if "w" in self.copied else "")
            for spec in self.blocks.kinds:
                size = Size(call.op, spec, call.item())
                copies = size.nbytes(self.copied if self.blocks.whole else "xyw")
                most = max(most, copies + call.backend.workspace(call.op, spec, call.dtype, self.named))
        return most

    def asked(self, block: Block) -> Any:
        """Return the call that a block is to a backend."""
        return block.spec.paired() if self.paired else block.spec

    def take(self, a: Array | None, block: Block, place: str) -> Array:
        """Return what a block takes of an array, in the compute type; integers that say places keep theirs."""
        call = self.call
        if a is None:
            return None
        if place == "bias":
            a = a[getattr(block, RESULTS[call.op])[1]].astype(call.dtype)
            return a.view(dtypes.real_type(call.dtype)) if self.paired else a
        if place == "w":
            if self._weights is None or self._weights[0] != block.w:
                self._weights = block.w, self._converted(a[block.w], "w", block)
            return self._weights[1]
        a = channels_first(a, call.spec)
        if place == "x" and self.padding:
            return self._padded(a, block)
        a = a[getattr(block, "y" if place == "indices" else place)]
        if self.paired and not self._last:
            part = call.backend.xp.empty(getattr(self.asked(block), f"{place}_shape"), dtypes.real_type(call.dtype))
            pairs.write(part, a)
            return part
        if self._last:
            a = a.transpose(0, *range(2, a.ndim), 1)
        if place == "indices":
            return a.astype(dtypes.INT64, order="C", copy=False)
        a = self._converted(a, place, block)
        return a.view(dtypes.real_type(call.dtype)) if self.paired else a  # pairs lie so where channels are last

    def _converted(self, a: Array, place: str, block: Block) -> Array:
        """Return a part of an array in the compute type, less its zero point; weights of pairs as matrices."""
        if self.paired and place == "w":
            return pairs.matrices(a, dtypes.real_type(self.call.dtype), self.call.transposed)
        if place not in self.call.shifted:
            return a.astype(self.call.dtype, order="K" if place == "w" else "C", copy=False)
        part = self.call.backend.xp.empty(a.shape, self.call.dtype)
        self._write(part, a, place, block)
        return part

    def _write(self, part: Array, a: Array, place: str, block: Block) -> None:
        """Write an array, less its zero point, to one of the compute type.

        Differences are made in int64 if a float might not hold the numbers themselves.
        """
        if place not in self.call.shifted or self._quantised is None:
            part[...] = a
            return
        xp = self.call.backend.xp
        zero = xp.asarray(self._quantised.x_zero if place == "x" else self._quantised.w_zero, dtypes.INT64)
        if zero.size > 1:
            zero = zero[block.w[0]].reshape(-1, *(1,) * (a.ndim - 1))
        dtype = part.dtype if a.dtype.itemsize <= 2 else dtypes.INT64
        xp.subtract(a, zero, out=part, dtype=dtype, casting="unsafe")

    def gaps(self, place: str, a: Array | None = None) -> bool:
        """Return whether parts of x, y or w are copied for their gaps alone; None is an array without any."""
        spec, images = self.call.spec, place != "w"
        if not images and self.call.backend.strided_weights(spec):
            return False  # `take` closes the gaps of images, whatever hooks take
        shape, itemsize = (getattr(spec, f"{place}_shape"), 1) if a is None else (a.shape, a.itemsize)
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))] if a is None else a.strides
        axes = [(1, 0)] * (images and not spec.batched) + [*zip(shape, strides, strict=True)]
        if images and spec.channels_last:
            axes.insert(1, axes.pop())
        for block in self.blocks.kinds.values():
            where = [cut.indices(size) for cut, (size, _) in zip(getattr(block, place), axes, strict=True)]
            part = [(stop - start, step) for (start, stop, _), (_, step) in zip(where, axes, strict=True)]
            if images and self._last:
                part.append(part.pop(1))
            expected = itemsize
            for size, step in reversed(part):
                if size > 1 and step != expected:
                    return True
                expected *= size
        return False

    def _padded(self, x: Array, block: Block) -> Array:
        """Return what a block takes of the input (N, C, *spatial) and its padding, in the backend's order."""
        spec, call = self.asked(block), self.call
        part = call.backend.xp.empty(spec.x_shape, dtypes.real_type(call.dtype) if self.paired else call.dtype)
        value = padding_value(call.spec, call.types.compute) if call.spec.padding_mode == "constant" else None
        rooms: Any = (channels_first(part, spec),)
        numbers: Any = (x,)
        if self.paired:
            rooms, numbers = pairs.channels(rooms[0]), pairs.parts(x)
        for room, found, around in zip(rooms, numbers, (value, 0), strict=False):
            if value is not None or found is None:
                room[...] = around
            if found is not None:
                fill(
                    room, found, call.spec, block.x, lambda target, source: self._write(target, source, "x", block)
                )  # fmt: skip
        return part

    def add(self, target: Array, block: Block, value: Array) -> None:
        """Add the gradient of a block of the padding to that of the elements which it repeats."""
        fold(channels_first(value, block.spec), channels_first(target, self.call.spec), self.call.spec, block.x)

    def places(self, found: Array, block: Block, spec: PoolSpec) -> Array:
        """Return the places that a block found in its planes as places in those of the whole, without padding."""
        found = shifted(found, block, spec)
        return self.call.backend.origins(found, self.call.spec) if self.padding else found

    def put(self, target: Array, block: Block, value: Array, change: Callable[..., Array] | None = None) -> None:
        """Write the result of a block to its place; ``change(values, block, spec)`` gives what it is there."""
        place = RESULTS[self.call.op]
        if place == "w":
            if self.paired:
                pairs.sums(value, target[block.w], self.call.transposed)
            else:
                target[block.w] = value
            return
        value = channels_first(value, block.spec)
        room = channels_first(target, self.call.spec)[getattr(block, place)]
        if self.paired:
            pairs.read(value, room)
        else:
            room[...] = change(value, block, self.spec) if change else value


@lru_cache(maxsize=256)
def _settled(
    call: Call, copied: str, bound: int, named: str | None, _: Any
) -> tuple[Any, int, Blocks | None, Blocks]:
    """Return the spec that blocks are cut from, the bytes that the backend may use, `Job.around`, and all blocks."""
    need = call.backend.workspace(call.op, call.spec, call.dtype, call.algorithm)
    # What the backend may use in place of max_workspace: a block may be served otherwise than the whole.
    rest = min(max(need, bound // 2), bound - bound // 4)
    last = call.spec.channels_last and call.backend.channels_last  # else copies are turned round as they are made
    spec = replace(call.spec, channels_last=last)
    around = _borders(call, spec, copied, bound - rest, named)
    if call.pads and (around or RESULTS[call.op] != "x"):
        spec = zero_padded(spec)
    return spec, rest, around, around or blocks(call.op, spec, call.item(), copied, bound - rest)


def _named(call: Call) -> str | None:
    """Return the algorithm of all parts of a call: that of the whole, which is what is said of it."""
    if not call.pads:
        return call.algorithm
    return call.algorithm or call.backend.choose(call.op, zero_padded(call.spec), call.dtype)[0]


def _borders(call: Call, spec: Any, copied: str, limit: int, named: str | None) -> Blocks | None:
    """Return the blocks that padding other than zeros changes, if the rest is better served in one piece.

    That needs no copy of the images; small ones are sooner copied than served in several calls.
    """
    result = RESULTS[call.op]
    if not call.pads or result == "w" or call.op == "pool_grad_input" or set(copied) - {"p", "w"} or call.shifted:
        return None
    if call.dtype != call.types.result or Size(call.op, spec, call.item()).weights() * call.dtype.itemsize > limit // 2:
        return None
    if math.prod(zero_padded(spec).x_shape) * call.dtype.itemsize <= min(SMALL_COPY, limit):
        return None
    found = borders(call.op, spec, call.item(), limit)
    for part in () if found is None else (plain_padded(call.spec), *found.kinds):
        if call.backend.supports(call.op, part, call.dtype) is not None:
            return None
        if named and call.backend.supports_algorithm(named, call.op, part, call.dtype):
            return None
    return found


def shifted(places: Array, block: Block, spec: PoolSpec) -> Array:
    """Return indices into the planes of a block as indices into those of the whole."""
    found, rest, step = 0 * places, places, 1
    for axis in reversed(range(spec.nd)):
        size = block.spec.in_size[axis]
        found = found + (rest % size + (block.x[axis + 2].start or 0)) * step
        rest, step = rest // size, step * spec.in_size[axis]
    found[places < 0] = -1
    return found
