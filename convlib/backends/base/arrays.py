"""Arrays on their way to a hook and back: element types, memory order, padding.

Whatever a hook can take as it is, is never copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, final
from weakref import WeakValueDictionary

import numpy as np

from ... import dtypes
from ...spec import ConvSpec, WindowSpec, needs_padding, runs, zero_padded
from .checks import Checks, check_fits, padding_value
from .contract import Array
from .pieces import assign

#: Bytes of padded input that are copied in one piece, rather than that its borders are served by calls of their own.
SMALL_COPY = 1 << 20

#: The same of gradients, whose borders, narrow images, are slow by themselves.
GRADIENT_COPY = 4 * SMALL_COPY

#: A convolution whose borders have more multiply-adds per output of the whole is copied up to this many times as large:
#: they are narrow images, which kernels serve slowly, and the copy is little beside the sums.
_DENSE, _LARGER = 16, 16

#: Elements of a padded axis up to which the table of its sources is kept for the next call: 128 KiB.
_SHORT_AXIS = 1 << 14

#: Such tables as long as a short way of some shape holds them, and their bytes from which on no more ways are made.
_TABLES: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
_HELD = 32 << 20


def channels_first(a: Array, spec: WindowSpec) -> Array:
    """See an array in the caller's order as (N, C, *spatial), without a copy."""
    a = a if spec.batched else a[None]
    return a.transpose(0, a.ndim - 1, *range(1, a.ndim - 1)) if spec.channels_last else a


def copied_whole(spec: Any, itemsize: int) -> bool:
    """Return whether all of an input is sooner copied with its padding than its borders are served once more."""
    nbytes = math.prod(zero_padded(spec).x_shape) * itemsize
    if nbytes <= SMALL_COPY or nbytes > _LARGER * SMALL_COPY or not isinstance(spec, ConvSpec):
        return bool(nbytes <= SMALL_COPY)
    return bool(changed(spec) * spec.ocg * spec.taps_count > _DENSE * spec.out_count)


def changed(spec: Any) -> int:
    """Return how many outputs of a plane are served once more if borders are."""
    return sum(math.prod(part.stop - part.start for part in outs) for outs in spec.borders())


def short_axes(spec: Any) -> bool:
    """Return whether the tables of `padding_sources` are small, and so are all that are held by now."""
    return all(_is_short(spec, axis) for axis in range(spec.nd)) and sum(a.nbytes for a in _TABLES.values()) < _HELD


def _is_short(spec: Any, axis: int) -> bool:
    return bool(spec.pad_lo[axis] + spec.in_size[axis] + spec.pad_hi[axis] <= _SHORT_AXIS)


def padding_sources(spec: Any, axis: int) -> Any:
    """Return which element stands at each place of a padded axis, -1 for the value of constant padding; read-only."""
    make = _kept_sources if _is_short(spec, axis) else _sources
    return make(spec.padding_mode, spec.pad_lo[axis], spec.in_size[axis], spec.pad_hi[axis])


@lru_cache(maxsize=64)
def _kept_sources(*axis: Any) -> Any:
    """Return the table of an axis that anybody holds, or a new one: shapes that have an axis in common share it."""
    found = _TABLES.get(axis)
    return _TABLES.setdefault(axis, _sources(*axis)) if found is None else found


def _sources(mode: str, lo: int, size: int, hi: int) -> Any:
    places = np.full(lo + size + hi, -1)
    if mode == "constant":
        places[lo : lo + size] = np.arange(size)
    else:
        for run in runs(mode, -lo, size + hi, size):
            places[run.start + lo : run.stop + lo] = np.arange(size)[run.source]
    places.flags.writeable = False  # others may hold it, too
    return places


@lru_cache(maxsize=256)
def _repeats(spec: Any, axis: int) -> tuple[tuple[slice, slice, bool], ...]:
    """Return, in runs, the places of a padded axis that repeat elements, where these stand, and if it is one alone."""
    if spec.padding_mode == "constant":
        return ()
    lo, size, hi = spec.pad_lo[axis], spec.in_size[axis], spec.pad_hi[axis]
    outside = *runs(spec.padding_mode, -lo, 0, size), *runs(spec.padding_mode, size, size + hi, size)
    return tuple((slice(run.start + lo, run.stop + lo), run.source, not run.step) for run in outside)


def shifted(places: Any, size: tuple[int, ...], starts: Sequence[int], whole: tuple[int, ...]) -> Any:
    """Return indices into a part of a plane, of this `size`, as indices into the `whole`; -1 stays."""
    found, each, step = places.copy(), 1, 1
    for axis in reversed(range(len(size))):
        found += starts[axis] * step
        each *= size[axis]
        if axis and size[axis] != whole[axis]:  # what the whole has more, as often as the part was passed through
            found += places // each * ((whole[axis] - size[axis]) * step)
        step *= whole[axis]
    found[places < 0] = -1
    return found


class Arrays(Checks):
    """What a backend's arrays go through; a backend of another array type has some ways of its own."""

    # ------------------------------------------------------------------ in

    @final
    def takes(self, a: Array | None, dtype: np.dtype[Any], spec: WindowSpec) -> bool:
        """Return whether hooks that compute in `dtype` see the array itself, not a copy of it."""
        if a is None:
            return True
        plain = self.strided or a.flags.c_contiguous
        return bool(a.dtype == dtype and plain and self._aligned(a) and not self._turns(spec))

    def _turns(self, spec: WindowSpec) -> bool:
        """Whether images have their channels last, and hooks take them first."""
        return spec.channels_last and not (self.strided or self.channels_last)

    def _usable(self, a: Array, dtype: np.dtype[Any], strided: bool) -> Array:
        """Return `a` in `dtype`, aligned and, unless `strided`, C-contiguous; copy only if it is not."""
        if a.dtype == dtype and self._aligned(a) and (strided or a.flags.c_contiguous):
            return a
        if dtype == dtypes.INT64:
            check_fits(a)
        copy = np.empty(a.shape, dtype)
        assign(copy, a)
        return copy

    def _input(self, x: Array, dtype: np.dtype[Any], spec: WindowSpec) -> Array:
        if not spec.channels_last:
            x = self._usable(x, dtype, self.strided)
            return x if spec.batched else x[None]
        if self.channels_last or self.strided:
            return channels_first(self._usable(x, dtype, self.strided), spec)
        return self._usable(channels_first(x, spec), dtype, False)

    def _weights(self, w: Array, dtype: np.dtype[Any], spec: ConvSpec, algorithm: str | None = None) -> Array:
        if spec.flip:
            return self._usable(self._flipped(w), dtype, self.strided)
        return self._usable(w, dtype, self.strided_weights(spec, algorithm))

    def _flipped(self, w: Array) -> Array:
        return w[(slice(None), slice(None)) + (slice(None, None, -1),) * (w.ndim - 2)]

    def _explicit_padding(self, spec: Any, x: Array) -> tuple[Any, Array]:
        """Write padding that hooks do not know into a copy of `x`."""
        if not needs_padding(spec) or x is None:
            return zero_padded(spec), x
        pairs = ((0, 0), (0, 0), *zip(spec.pad_lo, spec.pad_hi, strict=True))
        value = padding_value(spec, x.dtype) if spec.padding_mode == "constant" else 0
        return zero_padded(spec), self._padded(x, pairs, spec.padding_mode, value)

    def _padded(self, x: Array, pairs: tuple[tuple[int, int], ...], mode: str, value: float) -> Array:
        """Return a copy of `x` with ``(lo, hi)`` elements more per axis."""
        if mode != "constant":
            return self.xp.pad(x, pairs, mode=mode)
        return self.xp.pad(x, pairs, constant_values=value)

    def origins(self, places: Array, spec: Any) -> Array:
        """Return places in a plane with its padding as places in the plane itself, -1 where a value was padded."""
        found, rest, step, missing = 0 * places, places, 1, places < 0
        for axis in reversed(range(spec.nd)):
            sources = self.xp.asarray(padding_sources(spec, axis))
            origin = sources[rest % len(sources)]
            missing |= origin < 0
            found += origin * step
            rest, step = rest // len(sources), step * spec.in_size[axis]
        found[missing] = -1
        return found

    def _fold_padding(self, spec: Any, wide: Array) -> Array:
        """Apply the adjoint of the padding: each padded element returns to the element it was copied from.

        Returns a view of `wide`, whose axes are folded in place, one after the other.
        """
        for axis in range(spec.nd):
            at = (slice(None),) * (axis + 2)
            narrow = wide[(*at, slice(spec.pad_lo[axis], spec.pad_lo[axis] + spec.in_size[axis]))]
            for place, source, one in _repeats(spec, axis):
                values = wide[(*at, place)]
                total = values.sum(axis + 2, keepdims=True) if one else values.copy()
                total += narrow[(*at, source)].copy()  # for what `marks` says
                narrow[(*at, source)] = total
            wide = narrow
        return wide

    def _put_folded(self, spec: Any, wide: Array, x: Array) -> None:
        """Write the gradient `wide` of the padded input to that of the input, `x`."""
        assign(x, self._fold_padding(spec, wide))

    # ------------------------------------------------------------------ out

    def _result(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], result: np.dtype[Any], spec: WindowSpec, out: Array | None
    ) -> tuple[Array, Any]:
        """Return the array that a hook fills, as (N, C, *spatial), and a function that delivers it to the caller."""
        if self._turns(spec):
            view = self.xp.empty((spec.n, shape[-1], *shape[-1 - spec.nd : -1]), dtype)

            def finish() -> Array:
                turned = self.xp.empty(shape, result) if out is None else out
                assign(channels_first(turned, spec), view)
                return turned

            return view, finish
        target = out
        if out is None or out.dtype != dtype or not (self.strided or out.flags.c_contiguous) or not self._aligned(out):
            target = self.xp.empty(shape, dtype)
        assert target is not None
        view = channels_first(target, spec) if spec.channels_last else target if spec.batched else target[None]
        return view, lambda: target if target is out else self._deliver(target, result, out)

    def _deliver(self, a: Array, result: np.dtype[Any], out: Array | None) -> Array:
        if a is out or (out is None and a.dtype == result):
            return a
        target = self.xp.empty(a.shape, result) if out is None else out
        assign(target, a)
        return target
