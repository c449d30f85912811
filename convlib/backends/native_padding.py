"""The short ways where padding holds something: a copy with padding, of few channels at a time, or borders alone.

Windows of 2×2, 3×3 and 5×5 with stride 1, and maxima with places of 3×3, are pooled as they lie, the engine sees to
their padding on its way; nothing is copied.
Channels that are served alone are copied a few at a time, with their padding, which then lie in a near cache.  Of large
planes nothing is copied but what lies under the outputs that padding changes; all else is served with zeros round it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .._ext import _native_pad, _native_pieces, _native_pool
from ..spec import ConvSpec, PoolSpec, needs_padding, plain_padded, zero_padded
from ..threads import get_num_threads
from . import native_apart, native_norms
from .base.arrays import changed, copied_whole, padding_sources, short_axes
from .native_calls import Call, conv_problem, filled, pool_problem

Array = Any
Run = Callable[..., Any]
Ints = tuple[int, ...]

#: Bytes of padded input that are copied at once where channels are served alone: they stay in the second cache.
PIECE = 1 << 17

#: Numbers of all padded inputs that repay the waking of a thread.
WORTH = 1 << 16

#: Poolings that add up.
SUMS = ("sum", "avg", "lp")

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
    if framed(spec, dtype, algorithm):
        return _framed(spec, shapes, dtype, algorithm)
    if getattr(spec, "kind", "") == "lp":
        return None  # more than a sum
    each = groups_at_once(spec, dtype)
    if each:
        return _pieces(spec, each, shapes, dtype, algorithm)
    if not copied_whole(spec, dtype.itemsize):
        return _strips(spec, shapes, dtype, algorithm, runner)
    if isinstance(spec, PoolSpec) and (spec.places or dtype.kind != "f"):
        return None
    border = border_of(spec, shapes[0], shapes[1], dtype, *_planes(spec, spec.n, spec.c))
    run: Run = _native_pad.PaddedRunner(runner(zero_padded(spec), shapes[1]), *border)
    return run


def _planes(spec: Any, images: int, channels: int) -> tuple[int, int]:
    """Return how many planes there are, and numbers side by side in each place of one."""
    return (images, channels) if spec.channels_last else (images * channels, 1)


def border_of(
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


# ------------------------------------------------------------------------------- no copy


def framed(spec: Any, dtype: np.dtype[Any], algorithm: str | None) -> bool:
    """Return whether the engine pools an input as it lies, and sees to its padding on the way."""
    if not isinstance(spec, PoolSpec) or spec.kind not in (*SUMS, "max", "min") or dtype.kind != "f":
        return False
    if spec.channels_last or spec.nd != 2 or len(spec.live_axes) != 2 or not filled(spec):
        return False
    if spec.kind == "lp":
        power = native_norms.power_of(spec.pad_value or 0, spec, dtype)
        if not (norm_planes(spec, dtype) and power < math.inf and bool(power) == bool(spec.pad_value)):
            return False
    alike = plain_padded(spec), zero_padded(spec)
    plans = [Call(pool_problem(part), "pool", dtype, spec.places).plan(algorithm, True) for part in alike]
    return None not in plans and plans[0].frames and plans[0].name == plans[1].name


def _framed(spec: Any, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None) -> Run | None:
    if spec.kind == "lp":
        return norms(spec, shapes[2], dtype, algorithm)
    pool = _summing(spec, shapes, dtype, algorithm)
    return lambda x, threads, max_workspace, w, bias, out=None: pool(x, threads, spec.places, max_workspace, out)


def _summing(spec: PoolSpec, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None) -> Run:
    border = _native_pad.Border(*border_of(spec, shapes[0], shapes[1], dtype, spec.n * spec.c, 1))
    problem = pool_problem(plain_padded(spec))
    run: Run = _native_pool.PoolRunner(problem, algorithm, shapes[0], shapes[2], dtype, border)
    return run


def norm_planes(spec: PoolSpec, dtype: np.dtype[Any]) -> int:
    """Return of how many planes of norms there are powers at once, where nothing is copied; 0 for large ones."""
    return native_norms.planes_at_once(zero_padded(spec), dtype.itemsize)


def norms_scratch(spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> int:
    """Return the bytes that norms take where nothing is copied unless powers are not exact; else 0."""
    if not (needs_padding(spec) and short_axes(spec) and framed(spec, dtype, algorithm)):
        return 0
    part = replace(zero_padded(spec), n=1, c=norm_planes(spec, dtype), batched=True)
    return native_norms.scratch_of_planes(part, dtype.itemsize)


def norms(spec: PoolSpec, y_shape: Ints, dtype: np.dtype[Any], algorithm: str | None) -> Run | None:
    """Return a short way of norms: the roots of sums of powers, of some planes at a time; None of large planes."""
    planes, each, pads = spec.n * spec.c, norm_planes(spec, dtype), needs_padding(spec)
    plan = Call(pool_problem(zero_padded(spec)), "pool", dtype).plan(algorithm, True)
    if not each or plan is None or spec.channels_last:
        return None

    def made(count: int) -> tuple[PoolSpec, Run, Any]:
        part = replace(spec, n=1, c=count, batched=True)
        inner, power = zero_padded(part), native_norms.power_of(spec.pad_value or 0, spec, dtype)
        shapes = [part.x_shape, inner.x_shape, part.y_shape]
        if not pads:
            return inner, _native_pool.PoolRunner(pool_problem(inner), plan.name, shapes[0], shapes[2], dtype), None
        powers = replace(part, pad_value=power) if spec.pad_value else part
        border = _native_pad.Border(*border_of(part, shapes[0], shapes[1], dtype, count, 1))
        return inner, _summing(powers, shapes, dtype, plan.name), border

    parts = {count: made(count) for count in {each, planes % each} - {0}}

    def call(x: Array, threads: int, max_workspace: int, w: Any, bias: Any, out: Array | None = None) -> Array | None:
        if not (x.flags.c_contiguous and x.flags.aligned):
            return None
        y = np.empty(y_shape, dtype) if out is None else out
        x, total = x.reshape(1, planes, *spec.in_size), y.reshape(1, planes, *spec.out_size)
        for first in range(0, planes, each):
            at = (slice(None), slice(first, first + each))
            part, pool, border = parts[min(each, planes - first)]
            add = partial(pool, threads=threads, indices=False, max_workspace=max_workspace // 2)
            widen = partial(border.wide, threads=threads) if pads else None
            if not native_norms.pool_planes(part, x[at], total[at], add, widen):
                return None
        return y

    return call


# ------------------------------------------------------------------------------- a few channels at a time


def _groups(spec: Any) -> tuple[int, int]:
    """Return how many groups of channels are served alone, and the input channels of each; one if these come last."""
    if isinstance(spec, ConvSpec):
        return spec.groups, spec.icg
    return (1, spec.c) if spec.channels_last else (spec.c, 1)


def groups_at_once(spec: Any, dtype: np.dtype[Any]) -> int:
    """Return how many groups of channels are copied at once with their padding, 0 where the short way has no such."""
    conv, (groups, channels) = isinstance(spec, ConvSpec), _groups(spec)
    floats = dtype.kind == "f" and dtype.itemsize >= 4 and getattr(spec, "kind", "") != "lp"  # more than a sum
    if not floats or (conv and (spec.channels_last or groups == 1 or not 0 < channels <= FEW or spec.flip)):
        return 0
    if spec.channels_last:  # an image at a time, where it is for the places
        return int(spec.places and copied_whole(spec, dtype.itemsize))
    most = int(min(groups, PIECE // (channels * math.prod(zero_padded(spec).in_size) * dtype.itemsize)))
    return -(-groups // -(-groups // most)) if most else 0  # pieces alike, so that threads have as much to do


def _wakes(spec: Any) -> bool:
    """Return whether pieces are so large that each thread takes some."""
    return bool(spec.n * spec.c * math.prod(zero_padded(spec).in_size) >= WORTH)


def pieces(spec: Any, dtype: np.dtype[Any], algorithm: str | None) -> tuple[int, int, int] | None:
    """See `Backend.padded_pieces`."""
    if not needs_padding(spec) or not short_axes(spec):
        return None
    if isinstance(spec, PoolSpec) and native_apart.pays(zero_padded(spec), dtype.itemsize):
        return None
    if framed(spec, dtype, algorithm):
        return 0, 1, 0
    each = groups_at_once(spec, dtype)
    if not each:
        return _said_of_strips(spec, dtype)
    groups, channels = _groups(spec)
    plane, parts = math.prod(zero_padded(spec).in_size), spec.n * -(-groups // each)
    table = 4 * (1 + plane) if getattr(spec, "places", False) else 0
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
            part = replace(inner, n=1, c=count * channels)
            whole, some = (Call(pool_problem(s), "pool", dtype, places) for s in (inner, part))
        chosen = whole.plan(algorithm, True)
        within = threads if alone else 1, max_workspace
        return None if chosen is None else some.plan(chosen.name, True, False, within)

    border = border_of(spec, shapes[0], shapes[1], dtype, *_planes(spec, 1, channels))
    weights = math.prod(spec.w_shape) // groups if conv else 0
    sizes = spec.n, groups, each, weights, outs
    run: Run = _native_pieces.PiecesRunner(plans, shapes[2], places, _wakes(spec), *sizes, *border)
    return run


# ------------------------------------------------------------------------------- borders alone


def _strips(
    spec: Any, shapes: list[Ints], dtype: np.dtype[Any], algorithm: str | None, runner: Callable[[Any, Ints], Run]
) -> Run | None:
    """Serve all with zeros, and then once more what padding changes: the rows and columns at the ends of each axis."""
    conv, inner, places = isinstance(spec, ConvSpec), zero_padded(spec), bool(getattr(spec, "places", False))
    found = _strips_of(spec, shapes[0], dtype)
    if not found:
        return None
    op, problem = ("conv", conv_problem) if conv else ("pool", pool_problem)

    def plans() -> tuple[list[Any], int] | None:
        """Return the plans of the borders, by the implementation that serves the whole, and the scratch of that."""
        chosen = Call(problem(inner), op, dtype, places).plan(algorithm, True)
        if chosen is None:
            return None
        calls = [Call(problem(part), op, dtype, places) for part, *_ in found]
        made = [call.plan(chosen.name, True, False, (1, chosen.scratch)) for call in calls]
        return None if None in made else (made, chosen.scratch)

    run: Run = _strips_runner(spec, found, shapes[0], dtype, runner(plain_padded(spec), shapes[0]), plans)
    return run


def _strips_runner(
    spec: Any, strips: list[Any], x_shape: Ints, dtype: np.dtype[Any], run: Run | None, plans: Run | None
) -> Any:
    outs = spec.oc if isinstance(spec, ConvSpec) else spec.c
    sizes = _planes(spec, spec.n, outs)
    y_shape = (spec.n, *spec.out_size, outs) if spec.channels_last else (spec.n, outs, *spec.out_size)
    # What is said of weights that are turned round has one border at a time.
    how = bool(getattr(spec, "places", False)), not getattr(spec, "flip", False)
    borders = [strip[1:] for strip in strips]
    return _native_pieces.StripsRunner(run, plans, x_shape, y_shape, dtype, *how, *sizes, spec.out_size, borders)


def _said_of_strips(spec: Any, dtype: np.dtype[Any]) -> tuple[int, int, int] | None:
    """Return how many borders are copied, how many at once, and the bytes; None where none is served so."""
    batch = replace(spec, batched=True)
    if copied_whole(spec, dtype.itemsize) or getattr(spec, "flip", False):
        return None
    strips = _strips_of(spec, batch.x_shape, dtype) if getattr(spec, "kind", "") != "lp" else []
    if not strips:
        return None
    workers = min(get_num_threads(), len(strips))
    each = _strips_runner(spec, strips, batch.x_shape, dtype, None, None).nbytes
    return len(strips), workers, workers * each


def _strips_of(spec: Any, x_shape: Ints, dtype: np.dtype[Any]) -> list[tuple[Any, Any, Ints, Ints]]:
    """Return of each border its problem, what lies under it, and where in the result it begins and how large it is.

    No border where they are the larger part, or are not served so.
    """
    if dtype.kind != "f" or dtype.itemsize < 4 or 2 * changed(spec) > spec.out_count:
        return []
    inner, boxes = zero_padded(spec), list(spec.borders())
    planes = _planes(spec, spec.n, spec.c)
    strips = []
    for outs in boxes[::2] + boxes[1::2]:  # so that each of two threads has one of either kind
        part, box, _ = inner.under(outs)
        part = replace(part, batched=True)
        border = _native_pad.Border(*border_of(spec, x_shape, part.x_shape, dtype, *planes, box))
        strips.append((part, border, tuple(s.start for s in outs), part.out_size))
    return strips
