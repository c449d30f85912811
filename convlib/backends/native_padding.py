"""The short ways where padding holds something: a copy with padding, of few channels at a time, or borders alone.

Channels that are served alone are copied a few at a time, with their padding, which then lie in a near cache.  Of large
planes nothing is copied but what lies under the outputs that padding changes; all else is served with zeros round it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import config
from .._ext import _native_conv, _native_pad, _native_pieces, _native_pool
from ..spec import ConvSpec, PoolSpec, needs_padding, plain_padded, zero_padded
from ..threads import get_num_threads
from .base.arrays import GRADIENT_COPY, SMALL_COPY, channels_first, padding_sources, short_axes
from .native_calls import Call, conv_problem, pool_problem

Array = Any
Run = Callable[..., Any]
Ints = tuple[int, ...]

#: Bytes of padded input that are copied at once where channels are served alone: they stay in the second cache.
PIECE = 1 << 17

#: Numbers of all padded inputs that repay the waking of a thread.
WORTH = 1 << 16

#: Channels of a group up to which groups are served alone: the work is little beside the copy.
FEW = 4


def padded(
    spec: Any, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None, runner: Callable[[Any, Ints], Run]
) -> Run | None:
    """Return a short way of (x, threads, max_workspace, w, bias, out) for an input with padding, None if none serves.

    ``runner(spec, x_shape)`` gives that of padding which hooks know; `shapes` are those of input, padded input and
    result.
    """
    if not short_axes(spec):  # whose tables would be as large as the input
        return None
    each = groups_at_once(spec, dtype)
    if each:
        return _pieces(spec, each, shapes, dtype, algorithm)
    if math.prod(shapes[1]) * dtype.itemsize > SMALL_COPY:
        return _strips(spec, shapes, dtype, algorithm, runner)
    if isinstance(spec, PoolSpec) and (spec.places or dtype.kind != "f"):
        return None
    planes, side = (spec.n, spec.c) if spec.channels_last else (spec.n * spec.c, 1)
    border = _border(spec, shapes[0], shapes[1], dtype, planes, side)
    run: Run = _native_pad.PaddedRunner(runner(zero_padded(spec), shapes[1]), *border)
    return run


def _border(
    spec: Any, x_shape: Ints, padded_shape: Ints, dtype: np.dtype[Any], planes: int, side: int,
    box: tuple[slice, ...] | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Return what `_native_pad.Border` is made of; `box` is the part of the padded input, which is all of it."""
    sources = [padding_sources(spec, axis) for axis in range(spec.nd)]
    lo = spec.pad_lo
    if box is not None:
        sources = [source[part] for source, part in zip(sources, box, strict=True)]
        lo = tuple(min(max(0, at - part.start), part.stop - part.start) for at, part in zip(lo, box, strict=True))
    value = spec.pad_value or 0.0
    return x_shape, padded_shape, dtype, planes, side, spec.in_size, [len(s) for s in sources], lo, sources, value


# ------------------------------------------------------------------------------- a few channels at a time


def _groups(spec: Any) -> tuple[int, int]:
    """Return how many groups of channels are served alone, and the input channels of each."""
    return (spec.groups, spec.icg) if isinstance(spec, ConvSpec) else (spec.c, 1)


def groups_at_once(spec: Any, dtype: np.dtype[Any]) -> int:
    """Return how many groups of channels are copied at once with their padding, 0 where the short way has no such."""
    conv, (groups, channels) = isinstance(spec, ConvSpec), _groups(spec)
    floats = dtype.kind == "f" and dtype.itemsize >= 4 and getattr(spec, "kind", "") != "lp"  # more than a sum
    if spec.channels_last or not floats or (conv and (groups == 1 or channels > FEW or spec.flip)):
        return 0
    return int(min(groups, PIECE // (channels * math.prod(zero_padded(spec).in_size) * dtype.itemsize)))


def _wakes(spec: Any) -> bool:
    """Return whether pieces are so large that each thread takes some."""
    return bool(spec.n * spec.c * math.prod(zero_padded(spec).in_size) >= WORTH)


def pieces(spec: Any, dtype: np.dtype[Any]) -> tuple[int, int, int] | None:
    """See `Backend.padded_pieces`."""
    each = groups_at_once(spec, dtype) if needs_padding(spec) and short_axes(spec) else 0
    if not each:
        return None
    groups, channels = _groups(spec)
    plane, parts = math.prod(zero_padded(spec).in_size), spec.n * -(-groups // each)
    table = 4 * plane if getattr(spec, "places", False) else 0
    workers = min(get_num_threads(), parts) if _wakes(spec) else 1
    return parts, workers, workers * (each * channels * plane * dtype.itemsize + 63) + table


def _pieces(spec: Any, each: int, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None) -> Run:
    """Serve some groups of channels after the others, each copied together with its padding."""
    conv, inner, places = isinstance(spec, ConvSpec), zero_padded(spec), bool(getattr(spec, "places", False))
    (groups, channels), outs = _groups(spec), spec.ocg if conv else 1
    alone = spec.n * -(-groups // each) == 1

    def plans(count: int, threads: int, max_workspace: int) -> Any:
        """Return the plan of some groups, by the implementation that serves all of them."""
        if conv:
            part = replace(inner, n=1, c=count * channels, oc=count * outs, groups=count)
            whole, some = (Call(conv_problem(s), "conv", dtype) for s in (inner, part))
        else:
            whole, some = (Call(pool_problem(s), "pool", dtype, places) for s in (inner, replace(inner, n=1, c=count)))
        chosen = whole.plan(algorithm, True)
        within = threads if alone else 1, max_workspace
        return None if chosen is None else some.plan(chosen.name, True, False, within)

    border = _border(spec, shapes[0], shapes[1], dtype, channels, 1)
    weights = math.prod(spec.w_shape) // groups if conv else 0
    sizes = spec.n, groups, each, weights, outs
    run: Run = _native_pieces.PiecesRunner(plans, shapes[2], places, _wakes(spec), *sizes, *border)
    return run


# ------------------------------------------------------------------------------- borders alone


class _Strip(NamedTuple):
    """A part of the outputs that padding changes."""

    border: Any
    problem: Any
    where: tuple[slice, ...]  # in the result
    box: tuple[slice, ...]  # what lies under it, in the padded input
    shape: Ints  # of its outputs


def _strips(
    spec: Any, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None, runner: Callable[[Any, Ints], Run]
) -> Run | None:
    """Serve all with zeros, and then once more what padding changes: the rows and columns at the ends of each axis."""
    conv, inner, places = isinstance(spec, ConvSpec), zero_padded(spec), bool(getattr(spec, "places", False))
    if dtype.kind != "f" or dtype.itemsize < 4:
        return None
    strips = []
    planes, side = (spec.n, spec.c) if spec.channels_last else (spec.n * spec.c, 1)
    for outs in _changed(spec):
        part, box, _ = inner.under(outs)
        part = replace(part, batched=True)
        border = _border(spec, shapes[0], part.x_shape, dtype, planes, side, box)
        problem = conv_problem(part) if conv else pool_problem(part)
        where = slice(None), slice(None), *outs
        strips.append(_Strip(_native_pad.Border(*border), problem, where, box, part.y_shape))
    if not strips or _too_wide(spec, strips):
        return None
    op, whole = "conv" if conv else "pool", conv_problem(inner) if conv else pool_problem(inner)
    numbers = 1 + (8 // dtype.itemsize if places else 0)
    most = max(strip.border.nbytes + numbers * math.prod(strip.shape) * dtype.itemsize for strip in strips)
    run = runner(plain_padded(spec), shapes[0])

    def call(x: Array, threads: int, max_workspace: int, w: Array, bias: Array | None, out: Array | None = None) -> Any:
        chosen = Call(whole, op, dtype, places).plan(algorithm, True)
        calls = [Call(strip.problem, op, dtype, places) for strip in strips]
        within = threads, max_workspace - most
        if chosen is None or 4 * most > max_workspace or not all(a is None or a.flags.c_contiguous for a in (x, w)):
            return None
        if any(call.plan(chosen.name, True, False, within) is None for call in calls):
            return None
        found = run(x, threads, max_workspace, w, bias, out=out)
        if found is None:
            return None
        arrays = [channels_first(a, batch) for a in (found if places else (found,))]
        for strip in strips:
            wide = channels_first(strip.border.wide(x, threads), batch)
            parts = [channels_first(np.empty(strip.shape, a.dtype), batch) for a in arrays]
            if conv:
                _native_conv.conv(strip.problem, wide, w, bias, parts[0], chosen.name, False, *within)
            else:
                _native_pool.pool(strip.problem, wide, parts[0], parts[1] if places else None, chosen.name, *within)
            if places:
                parts[1] = _origins(spec, strip.box, parts[1])
            for result, part in zip(arrays, parts, strict=True):
                result[strip.where] = part
        return found

    batch = replace(spec, batched=True)
    return call


def _changed(spec: Any) -> Iterator[tuple[slice, ...]]:
    """Yield boxes of the outputs whose windows reach into the padding: together all of them, each output once."""
    inside = []
    for axis in range(spec.nd):
        first = spec.reach(axis, 0)[0]  # whose first tap lies inside; and from the end, whose last one does
        inside.append(slice(first, max(first, spec.reach(axis, spec.kernel[axis] - 1)[1])))
    for axis, size in enumerate(spec.out_size):
        for end in (slice(0, inside[axis].start), slice(inside[axis].stop, size)):
            if end.start < end.stop:
                yield (*inside[:axis], end, *(slice(0, rest) for rest in spec.out_size[axis + 1 :]))


def _too_wide(spec: Any, strips: list[_Strip]) -> bool:
    """Return whether the borders are the larger part."""
    return bool(2 * sum(math.prod(part.stop - part.start for part in s.where[2:]) for s in strips) > spec.out_count)


def _origins(spec: Any, box: tuple[slice, ...], places: Array) -> Array:
    """Return places in a part of the padded planes as places in those of the input, -1 where a value was padded."""
    table = np.zeros(1, np.int64)
    for axis, part in enumerate(box):
        source = padding_sources(spec, axis)[part]
        joined = table[:, None] * spec.in_size[axis] + source
        table = np.where((table[:, None] < 0) | (source < 0), -1, joined).reshape(-1)
    return np.where(places < 0, -1, table[places])


# ------------------------------------------------------------------------------- gradients


def padded_gradient(
    backend: Any, op: str, spec: Any, dtype: np.dtype[Any], algorithm: str | None, gradient: Callable[..., None]
) -> Run | None:
    """Return a short way of a gradient with a copy of the input, or of its gradient, that has padding; None if large.

    ``gradient(grad_y, other, result)`` fills that of an input which holds its padding.
    """
    inner = zero_padded(spec)
    nbytes = math.prod(inner.x_shape) * dtype.itemsize
    if not short_axes(spec) or nbytes > min(GRADIENT_COPY, config.get_max_workspace() // 4):
        return None  # what is said is then served by parts
    bound = config.get_max_workspace() - nbytes
    border = _native_pad.Border(*_border(spec, spec.x_shape, inner.x_shape, dtype, spec.n * spec.c, 1))

    def call(grad_y: Array, other: Array | None) -> Array | None:
        plain = all(a is None or (a.flags.c_contiguous and a.flags.aligned) for a in (grad_y, other))
        if not plain or backend.workspace(op, inner, dtype, algorithm) > bound:
            return None
        threads = get_num_threads()
        if op == "conv_grad_weight":
            wide, result = border.wide(other, threads), np.empty(spec.w_shape, dtype)
            if wide is None:
                return None
            gradient(grad_y, wide, result)
        else:
            wide, result = border.room(), np.empty(spec.x_shape, dtype)
            gradient(grad_y, other, wide)
            border.fold(wide, result, threads)
        return result

    return call


def folded(spec: Any, wide: Array, x: Array) -> bool:
    """Write the gradient of a padded input to that of the input by all threads; False for gaps or long axes."""
    if not short_axes(spec):
        return False
    sources = [padding_sources(spec, axis) for axis in range(spec.nd)]
    sizes = spec.in_size, zero_padded(spec).in_size, spec.pad_lo
    return _native_pad.fold(wide, x, *sizes, sources, get_num_threads())
