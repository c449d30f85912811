"""One call that is served in parts: each is copied into the type that it computes in, and nothing else ever is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from .. import config, dtypes
from ..backends.base.arrays import GRADIENT_COPY, channels_first, copied_whole, shifted
from ..backends.base.checks import Quantised, padding_value
from ..backends.base.contract import Array
from ..backends.base.pieces import MOST, assign, pieces
from ..spec import plain_padded, zero_padded
from . import pairs
from .asked import RESULTS, Call
from .cutting import Block, Blocks, Size, Slices, blocks, borders
from .gaps import seen
from .padding import fill, fold

#: Elements that lose their zero point at once, which takes as much as NumPy's own buffers do.
_LITTLE = 1 << 13


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
        # What pads the input is written where parts of it are copied.
        self.padding = call.pads and call.op not in ("conv_grad_input", "unpool")
        self.paired: bool = call.paired
        self._last = self.spec.channels_last
        self._weights: tuple[Slices, Array] | None = None

    @property
    def whole(self) -> bool:
        """Whether the backend itself may make the copies, as they fit and are those it would make."""
        types = self.call.types
        native = self.call.dtype in (types.compute, dtypes.FLOAT16) and not (self.call.shifted or self.paired)
        native = native and (types.result == types.compute or types.compute != dtypes.INT64)
        native = native and (RESULTS[self.call.op] == "x" or not self.padding)  # adjoints fold it, in one place
        return self.blocks.whole and native and self.around is None

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
                own = call.backend.workspace(call.op, self._gathered(spec)[0], call.dtype, self.named)
                most = max(most, copies + own)
        return most

    def asked(self, block: Block) -> Any:
        """Return the call that a block is to a backend."""
        return block.spec.paired() if self.paired else self._gathered(block.spec)[0]

    def _gathered(self, spec: Any) -> tuple[Any, tuple[int, ...]]:
        """Return what a block is without what lies between its windows, and the axes which that shortens."""
        call = self.call
        plain = not (self.padding or self.paired or self.around or call.algorithm or call.indices)
        alike = call.op in ("conv", "pool") and not getattr(spec, "adaptive", False)
        if not (plain and alike and call.backend.xp is np):
            return spec, ()
        found: tuple[Any, tuple[int, ...]] = spec.gathered()
        return found

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
        part, axes = self._gathered(block.spec) if place == "x" else (block.spec, ())
        if axes:
            a = seen(a, block.spec, axes)
        if self.paired and not self._last:
            part = call.backend.xp.empty(getattr(self.asked(block), f"{place}_shape"), dtypes.real_type(call.dtype))
            pairs.write(part, a)
            return part
        if self._last:
            a = a.transpose(0, *range(2, a.ndim), 1)
        if place == "indices":
            return a.astype(dtypes.INT64, order="C", copy=False)
        a = self._converted(a, place, block)
        if axes:
            a = a.reshape(part.x_shape)
        return a.view(dtypes.real_type(call.dtype)) if self.paired else a  # pairs lie so where channels are last

    def _converted(self, a: Array, place: str, block: Block) -> Array:
        """Return a part of an array in the compute type, less its zero point; weights of pairs as matrices."""
        if self.paired and place == "w":
            return pairs.matrices(a, dtypes.real_type(self.call.dtype), self.call.transposed)
        if place not in self.call.shifted:
            kept = place == "w" or (self.call.backend.strided and not self.call.backend.flat)
            if a.size <= MOST or (a.dtype == self.call.dtype and (kept or a.flags.c_contiguous)):
                return a.astype(self.call.dtype, order="K" if kept else "C", copy=False)
            part = self.call.backend.xp.empty_like(a, self.call.dtype, order="K" if kept else "C")
            assign(part, a)  # what one window takes is not cut, and Ctrl-C is to be answered
            return part
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
        dtype = part.dtype if a.dtype.itemsize <= 2 else dtypes.INT64
        zeros = (self._quantised.x_zero,) if place == "x" else self._quantised.w_zero
        if len(zeros) > 1:
            whole = zip(part, a, zeros[block.w[0]], strict=True)
        else:
            whole = zip((part,), (a,), zeros, strict=True)
        for target, source, zero in whole:
            for at in pieces(target, most=_LITTLE):
                moved = source[at].astype(dtype)  # first, as a ufunc that casts crashes where buffers have no memory
                moved -= zero
                target[at] = moved

    def gaps(self, place: str, a: Array | None = None) -> bool:
        """Return whether parts of x, y or w are copied for their gaps alone; None is an array without any."""
        spec, images = self.call.spec, place != "w"
        backend, algorithm = self.call.backend, self.call.algorithm
        if (backend.strided and not backend.flat) or (not images and backend.strided_weights(spec, algorithm)):
            return False
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

    def without_zeros(self) -> Job:
        """Return the same call served by blocks that hold their padding, which take no more than those around it."""
        size = max(Size(self.call.op, spec, self.call.item()).nbytes() for spec in self.blocks.kinds)
        found = copy(self)
        found.around, found.named = None, self.call.algorithm
        found.blocks = blocks(self.call.op, self.spec, self.call.item(), "xyw", size)
        return found

    def add(self, target: Array, block: Block, value: Array) -> None:
        """Add the gradient of a block, its padding included, to that of the elements which it repeats."""
        value, target, where = channels_first(value, block.spec), channels_first(target, self.call.spec), block.x
        if block.own is not None:
            value, where = value[block.own[0]], block.own[1]
        if self.paired:
            fold(pairs.channels(value)[0], target.real, self.call.spec, where)
            fold(pairs.channels(value)[1], target.imag, self.call.spec, where)
        else:
            fold(value, target, self.call.spec, where)

    def places(self, found: Array, block: Block) -> Array:
        """Return the places that a block found in its planes as places in those of the whole, without padding."""
        starts = [cut.start or 0 for cut in block.x[2:]]
        found = shifted(found, block.spec.in_size, starts, self.spec.in_size)
        return self.call.backend.origins(found, self.call.spec) if self.padding else found

    @property
    def direct(self) -> bool:
        """Whether a hook may write to the result itself, as there is one block and nothing is to be done to it."""
        result = RESULTS[self.call.op]
        moved = result == "w" or result in self.copied or self.paired or self.call.adds
        return self.blocks.whole and not moved

    def room(self, target: Array) -> Array | None:
        """Return the result as a hook may write that of a block to it, None where it must be put there."""
        if not self.direct:
            return None
        if self.call.spec.channels_last and not self._last:
            return channels_first(target, self.call.spec)
        return target if self.call.spec.batched else target[None]

    def put(self, target: Array, block: Block, value: Array) -> None:
        """Write the result of a block to its place."""
        place = RESULTS[self.call.op]
        if place == "w":
            if self.paired:
                pairs.sums(value, target[block.w], self.call.transposed)
            else:
                target[block.w] = value
            return
        value, where = channels_first(value, block.spec), getattr(block, place)
        if block.own is not None:
            value, where = value[block.own[0]], block.own[1]
        room = channels_first(target, self.call.spec)[where]
        if self.paired:
            pairs.read(value, room)
        else:
            room[...] = value


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
    with config.scratch(rest):  # as it will be
        around = _borders(call, spec, copied, bound - rest, named)
    if call.op != "unpool":
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
    if not call.pads or call.op == "pool_grad_input" or set(copied) - {"p", "w"} or call.shifted or call.conjugated:
        return None
    if call.dtype != call.types.result or Size(call.op, spec, call.item()).weights() * call.dtype.itemsize > limit // 2:
        return None
    nbytes = math.prod(zero_padded(spec).x_shape) * call.dtype.itemsize
    small = copied_whole(spec, call.dtype.itemsize) if RESULTS[call.op] == "y" else nbytes <= GRADIENT_COPY
    if small and nbytes <= limit:
        return None
    found = borders(call.op, spec, call.item(), limit)
    for part in () if found is None else (plain_padded(call.spec), *found.kinds):
        if call.backend.supports(call.op, part, call.dtype) is not None:
            return None
        if named and call.backend.supports_algorithm(named, call.op, part, call.dtype):
            return None
    return found
