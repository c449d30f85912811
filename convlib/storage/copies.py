"""Which arrays of a call are copied before a hook sees them, and why: what `explain` says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..backends.base import Backend
from ..backends.base.checks import Quantised
from ..backends.base.contract import Array
from ..spec import WindowSpec
from .asked import RESULTS, Call
from .cutting import Item, Size
from .job import Job
from .scratch import column_blocks, computed, types_of

#: The gradient of a norm, which stands beside its input and is cut in the place of that.
_NORM = "result"


class Copy(NamedTuple):
    """A copy that a call makes of an array, its result included."""

    array: str  # x, y or w of the spec
    reason: str
    parts: int  # blocks that it is made in, one after another
    nbytes: int  # at most at a time


def copies(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], algorithm: str | None,
    arrays: Mapping[str, tuple[Array, ...]], conjugated: str = "", reshaped: str = "",
    quantised: Quantised | None = None,
) -> tuple[Copy, ...]:  # fmt: skip
    """Return the copies of a call; places of which there are no `arrays` are contiguous and of type `storage`.

    For sums of integers that become floats where these hold them, the copies are those of such numbers.  `reshaped` is
    the place of an array that had to be copied to have its axes as they are in `arrays`.
    """
    if backend.lazy:
        return ()
    if op not in RESULTS:
        return _of_columns(backend, op, spec, storage, dtype, arrays)
    types, shifted = types_of(op, spec, storage, dtype, quantised), "" if quantised is None else quantised.shifted
    compute = computed(backend, op, spec, storage, types, algorithm)[0]
    call = Call(backend, op, spec, types, compute, algorithm, conjugated=conjugated, shifted=shifted)
    if call.paired:  # the adjoint of the pairs conjugates
        conjugated = ""
    found = [
        Copy("indices", f"{a.dtype} becomes int64" if a.dtype != dtypes.INT64 else "of its memory order", 1, 8 * a.size)
        for a in arrays.get("indices", ()) if a.size and not backend.takes(a, dtypes.INT64, spec)
    ]  # fmt: skip
    arrays = {place: given for place, given in arrays.items() if place != "indices"}
    copied = call.assumed(storage, arrays)
    if not (copied or found or conjugated or reshaped or call.pads):
        return ()
    pieces = call.padded_pieces(copied)
    seen = ("x",) if RESULTS[op] == "y" else ("y", "w")
    if pieces is not None and all(a.flags.c_contiguous for place in seen for a in arrays.get(place, ())):
        if not pieces[0]:
            return ()
        return (Copy("x", ", ".join(_reasons(call, "x", False, storage, ())), pieces[0], pieces[2]),)
    job = Job(call, copied or "y" * bool(found))  # beside indices, it is y that is cut
    norm = op == "pool_grad_input" and getattr(spec, "kind", "") == "lp"
    result = _NORM if norm else RESULTS[op]
    folds = op in ("conv_grad_input", "pool_grad_input") and call.pads  # with padding, folded then
    taken = _taken(job, copied, result, arrays) | ({result} if folds else set())
    # What blocks share of the weights is converted once, but turned and conjugated for each.
    converted = arrays["w"][0].dtype != compute if "w" in arrays else storage != compute
    once = result == "w" or (converted and not (conjugated == "w" or call.weights_turned))
    for place in (*"xwy", *[_NORM] * norm):
        times = (place in taken) + (place == conjugated) + (place == reshaped)
        parts, nbytes = _sizes(job, place, once and place == "w") if times else (0, 0)
        if not nbytes:
            continue
        reasons = ["it is conjugated"] * (place == conjugated) + ["its axes are joined"] * (place == reshaped)
        reasons += _reasons(call, place, place == result, storage, arrays.get(place, ()))
        if place == result and folds:
            reasons.append("padding is folded back")
        elif place == result and not job.whole:
            reasons.append("what the parts give is put in its place")
        found.append(Copy(place, ", ".join(reasons) or "its parts have gaps", parts, times * nbytes))
    return tuple(found)


def _taken(job: Job, copied: str, result: str, arrays: Mapping[str, tuple[Array, ...]]) -> set[str]:
    """Return the places of which hooks see a copy, but for a result whose padding is folded."""
    call, taken = job.call, set(copied.replace("p", "x"))
    if result == _NORM:
        taken |= {"x"} if call.pads else set()
        taken |= {result} if call.backend._turns(call.spec) or call.types.result != call.dtype else set()
    if not job.whole:
        inputs = [place for place in ("xyw" if call.op.startswith("conv") else "xy") if place != result]
        taken |= {p for p in inputs if any(job.gaps(p, a) for a in arrays.get(p, (None,)))}
        taken |= set() if job.direct else {result}
    return taken


def _sizes(job: Job, place: str, shared: bool) -> tuple[int, int]:
    """Return how many copies of x, y or w there are, one after another, and the bytes of the largest."""
    call = job.call
    item = Item(call.dtype.itemsize, 1 if job.whole else call.item().weights)
    sizes = [Size(call.op, spec, item) for spec in job.blocks.kinds]
    parts = job.blocks.count(shared)
    if place == "w" and job.around:  # the call with zeros for padding takes them, too
        sizes, parts = [Size(call.op, job.inner, item)], parts + 1
    name = "x" if place == _NORM else place
    return parts, max((size.nbytes(name) - size.nbytes("") for size in sizes), default=0)


def _reasons(
    call: Call, place: str, result: bool, storage: np.dtype[Any], arrays: tuple[Array, ...]
) -> list[str]:
    backend, spec, found = call.backend, call.spec, []
    if result:
        if call.paired:
            found.append(f"pairs of floats become {call.dtype}")
        elif call.types.result != call.dtype:
            found.append(f"{call.dtype} becomes {call.types.result}")
    else:
        kinds = dict.fromkeys(str(a.dtype) for a in arrays) if arrays else [str(storage)]
        if call.paired:
            return [f"{kind} becomes pairs of floats" for kind in kinds]
        found += [f"{kind} becomes {call.dtype}" for kind in kinds if kind != str(call.dtype)]
    strided, gaps = backend.strided, any(not a.flags.c_contiguous for a in arrays)
    if place == "w" and not result:
        strided = backend.strided_weights(spec, call.algorithm)
        if spec.flip and not backend.strided:
            found, gaps = [*found, "the kernel is flipped"], False
        elif call.weights_turned and (gaps or not arrays):
            found, gaps = [*found, "its axes are put in another order"], False
    elif place != "w" and backend._turns(spec):
        found.append("channels last become channels first")
    if place in call.shifted:
        found.append("its zero point is subtracted")
    if place == "x" and not result and call.pads:
        mode = spec.padding_mode
        found.append(f"padding of {spec.pad_value:g}" if mode == "constant" else f"padding_mode={mode!r}")
    if gaps and not (strided and found):
        found.append("it is not C-contiguous")
    if any(not a.flags.aligned for a in arrays):
        found.append("it is not aligned")
    return found


def _of_columns(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any],
    arrays: Mapping[str, tuple[Array, ...]],
) -> tuple[Copy, ...]:  # fmt: skip
    if op == "im2col" and backend.any_columns:
        return ()
    place = "x" if op == "im2col" else "y"
    given = arrays.get(place, ())
    strided = backend.strided and op == "im2col"
    kinds = dict.fromkeys(a.dtype for a in given) if given else [storage]
    reasons = [f"{kind} becomes {dtype}" for kind in kinds if kind != dtype]
    if not strided and any(not a.flags.c_contiguous for a in given):
        reasons.append("it is not C-contiguous")
    if any(not a.flags.aligned for a in given):
        reasons.append("it is not aligned")
    if op == "im2col":
        nbytes = dtype.itemsize * spec.n * spec.c * math.prod(spec.in_size)
        return (Copy(place, ", ".join(reasons), 1, nbytes),) if reasons and nbytes else ()
    found = column_blocks(spec, storage, given)
    if found is None:
        return ()
    result, parts, several = dtypes.for_sums(cols=storage)[0], found.count(), not found.whole
    sizes = [Size(op, part, Item(dtype.itemsize)) for part in found.kinds]
    reasons = reasons or ["it is not C-contiguous"]
    made = [Copy(place, ", ".join(reasons), parts, max(size.nbytes("y") for size in sizes))]
    reasons = [f"{dtype} becomes {result}"] * (result != dtype)
    reasons += ["what the parts give is put in its place"] * several
    if reasons:
        made.append(Copy("x", ", ".join(reasons), parts, max(size.nbytes("x") for size in sizes)))
    return tuple(copy for copy in made if copy.nbytes)
