"""Which arrays of a call are copied before a hook sees them, and why: what `explain` says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..backends.base import Backend
from ..backends.base.contract import Array
from ..spec import WindowSpec
from .cutting import Size
from .job import RESULTS, Call, Job
from .scratch import computed, types_of


class Copy(NamedTuple):
    """A copy that a call makes of an array, its result included."""

    array: str  # x, y or w of the spec
    reason: str
    parts: int  # blocks that it is made in, one after another
    nbytes: int  # at most at a time


def copies(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], algorithm: str | None,
    arrays: Mapping[str, tuple[Array, ...]], conjugated: str = "",
) -> tuple[Copy, ...]:  # fmt: skip
    """Return the copies of a call; places of which there are no `arrays` are contiguous and of type `storage`.

    For sums of integers that become floats where these hold them, the copies are those of such numbers.
    """
    if backend.lazy:
        return ()
    if op not in RESULTS:
        return _of_columns(backend, op, spec, storage, dtype, arrays)
    types = types_of(op, spec, storage, dtype)
    compute = computed(backend, op, spec, storage, types, algorithm)[0]
    call = Call(backend, op, spec, types, compute, algorithm)
    result = RESULTS[op]
    places = arrays.get("indices", ())
    arrays = {place: given for place, given in arrays.items() if place != "indices"}
    known = {place: given if len(given) > 1 else given[0] for place, given in arrays.items()}
    assumed, seen = call.assumed(storage), call.copied(**known)
    copied = "".join(p for p in "xwy" if p == conjugated or p in (seen if p in (*arrays, result) else assumed))
    found = [
        Copy("indices", f"{a.dtype} becomes int64" if a.dtype != dtypes.INT64 else "of its memory order", 1, 8 * a.size)
        for a in places if a.size and not backend.takes(a, dtypes.INT64, spec)
    ]  # fmt: skip
    folds = op == "conv_grad_input" and call.pads  # the hook fills a gradient with padding, which is then folded
    if not copied and not folds:
        return tuple(found)
    job = Job(call, copied)
    if not job.whole:  # parts are taken in C order
        gaps = [place for place in "xy" if any(not a.flags.c_contiguous for a in arrays.get(place, ()))]
        copied += "".join(place for place in gaps if place not in copied)
    if (folds or not job.whole) and result not in copied:
        copied += result
    for place in copied:
        sizes = [Size(op, block.spec, call.item()) for block in job.blocks]
        beside = [0 if folds and place == result else size.nbytes("") for size in sizes]
        nbytes = max((size.nbytes(place) - rest for size, rest in zip(sizes, beside, strict=True)), default=0)
        reasons = ["it is conjugated"] * (place == conjugated) + _reasons(call, place, storage, arrays.get(place, ()))
        if place == result and folds:
            reasons.append("padding is folded back")
        elif place == result and not job.whole:
            reasons.append("what the parts give is put in its place")
        if nbytes:
            found.append(Copy(place, ", ".join(reasons), len(job.blocks), nbytes))
    return tuple(found)


def _reasons(call: Call, place: str, storage: np.dtype[Any], arrays: tuple[Array, ...]) -> list[str]:
    backend, spec, found = call.backend, call.spec, []
    if place == RESULTS[call.op]:
        if call.types.result != call.dtype:
            found.append(f"{call.dtype} becomes {call.types.result}")
    else:
        kinds = dict.fromkeys(str(a.dtype) for a in arrays) if arrays else [str(storage)]
        found += [f"{kind} becomes {call.dtype}" for kind in kinds if kind != str(call.dtype)]
    if place == "w":
        if spec.flip and not backend.strided:
            found.append("the kernel is flipped")
    elif spec.channels_last and not (backend.strided or backend.channels_last):
        found.append("channels last become channels first")
    if place == "x" and place != RESULTS[call.op] and call.pads:
        mode = spec.padding_mode
        found.append(f"padding of {spec.pad_value:g}" if mode == "constant" else f"padding_mode={mode!r}")
    if not (backend.strided and found) and any(not a.flags.c_contiguous for a in arrays):
        found.append("it is not C-contiguous")
    if any(not a.flags.aligned for a in arrays):
        found.append("it is not aligned")
    return found


def _of_columns(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any],
    arrays: Mapping[str, tuple[Array, ...]],
) -> tuple[Copy, ...]:  # fmt: skip
    place = "x" if op == "im2col" else "y"
    given = arrays.get(place, ())
    strided = backend.strided and op == "im2col"
    kinds = dict.fromkeys(a.dtype for a in given) if given else [storage]
    reasons = [f"{kind} becomes {dtype}" for kind in kinds if kind != dtype]
    if not strided and any(not a.flags.c_contiguous for a in given):
        reasons.append("it is not C-contiguous")
    if any(not a.flags.aligned for a in given):
        reasons.append("it is not aligned")
    elements = spec.n * spec.c * math.prod(spec.in_size if op == "im2col" else (spec.taps_count, spec.out_count))
    found = [Copy(place, ", ".join(reasons), 1, elements * dtype.itemsize)] if reasons else []
    if op == "col2im" and dtypes.for_sums(cols=storage)[0] != dtype:
        result = dtypes.for_sums(cols=storage)[0]
        size = spec.n * spec.c * math.prod(spec.in_size) * result.itemsize
        found.append(Copy("x", f"{dtype} becomes {result}", 1, size))
    return tuple(found)
