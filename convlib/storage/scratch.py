"""What a call takes beside its arrays: its copies, and the backend's own scratch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .. import config, dtypes
from ..backends.base import Backend
from ..backends.base.checks import Quantised, Types
from ..backends.base.contract import Array
from ..spec import WindowSpec, plain_padded, zero_padded
from .asked import RESULTS, Call
from .cutting import Blocks, Item, Size, blocks
from .job import Job
from .scatter import too_large

#: What a call of complex numbers conjugates; a transposed convolution, which is an adjoint without it, nothing.
_CONJUGATED = {"conv_grad_input": ("", "w"), "conv_grad_weight": ("x",)}


def terms(op: str, spec: Any) -> int:
    """Return the products of which a sum of a convolution or a gradient has at most so many."""
    if op == "conv":
        return int(spec.reduction)
    return int(spec.ocg * spec.taps_count if op == "conv_grad_input" else spec.n * spec.out_count)


def column_blocks(spec: WindowSpec, storage: np.dtype[Any], arrays: tuple[Array, ...] = ()) -> Blocks | None:
    """Return in what blocks columns are copied, within the scratch bound; None if a hook sees them as they are."""
    result, dtype = dtypes.for_sums(cols=arrays[0].dtype if arrays else storage)
    # arrays on a device, which are always aligned, do not say so
    plain = (a.dtype == dtype and a.flags.c_contiguous and getattr(a.flags, "aligned", True) for a in arrays)
    if all(plain) and (arrays or storage == dtype):
        return None
    copies = "yx" if result == dtype else "yxx"
    return blocks("col2im", replace(spec, batched=True), Item(dtype.itemsize), copies, config.get_max_workspace())


def scratch(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], algorithm: str | None,
    *, prepared: bool = False, quantised: Quantised | None = None,
    arrays: Mapping[str, tuple[Array, ...]] | None = None,
) -> int:  # fmt: skip
    """Return the scratch memory of a call, its copies included, in bytes; for integers, at most.

    Places of which there are no `arrays` are contiguous and of type `storage`.

    `dtype` is the type that the call computes in, unless a backend takes float16 as it is, or integers as floats.
    """
    if op == "col2im" and not backend.lazy:
        found = column_blocks(spec, storage, (arrays or {}).get("y", ()))
        copies = "yx" if dtypes.for_sums(cols=storage)[0] == dtype else "yxx"
        sizes = [] if found is None else [Size(op, part, Item(dtype.itemsize)) for part in found.kinds]
        return max((size.nbytes(copies) for size in sizes), default=0)
    if op == "im2col" and not (backend.any_columns or backend.lazy):
        copied = sum(int(a.nbytes) for a in (arrays or {}).get("x", ()) if not backend.takes(a, dtype, spec))
        return backend.workspace(op, spec, dtype, algorithm) + copied
    if op not in RESULTS or backend.lazy:
        return backend.workspace(op, spec, dtype, algorithm)
    types = types_of(op, spec, storage, dtype, quantised)
    shifted = "" if quantised is None else quantised.shifted
    conjugated = _CONJUGATED.get(op, ("",)) if storage.kind == "c" else ("",)
    given = {place: found for place, found in (arrays or {}).items() if place != "indices"}
    indices = (arrays or {}).get("indices", ())
    least = "" if all(backend.takes(a, dtypes.INT64, spec) for a in indices) else "y"  # with what lies at these places
    places = bool(getattr(spec, "places", False))
    return max(
        _scratch(
            Call(backend, op, spec, types, compute, algorithm, places, name, shifted), storage, prepared, given, least
        )
        for compute in computed(backend, op, spec, storage, types, algorithm, bool(shifted))
        for name in conjugated
    )


def _scratch(
    call: Call, storage: np.dtype[Any], prepared: bool, arrays: Mapping[str, tuple[Array, ...]] | None, least: str
) -> int:
    copied = call.assumed(storage, arrays) or least
    most = 0
    if prepared and copied in ("", "w"):  # weights may be copied once, and be packed for another algorithm
        most = call.backend.workspace_prepared(call.spec, call.dtype, call.algorithm)
        if not copied:
            return most
    if copied or call.conjugated or call.pads:
        pieces = call.padded_pieces(copied)
        if pieces is not None:
            inner = (zero_padded if pieces[0] else plain_padded)(call.spec)  # without a copy, zeros are not part of x
            own = call.backend.workspace(call.op, inner, call.dtype, call.algorithm)
            most = min(pieces[2] + pieces[1] * own, config.get_max_workspace())  # else it goes the long way
        job = Job(call, copied)
        return max(most, config.get_max_workspace() if call.op == "unpool" and too_large(job) else job.scratch())
    return call.backend.workspace(call.op, call.spec, call.dtype, call.algorithm)


def types_of(
    op: str, spec: Any, storage: np.dtype[Any], dtype: np.dtype[Any], quantised: Quantised | None = None
) -> Types:
    """Return the types of a call on arrays of type `storage` that computes in `dtype`."""
    if op == "unpool":  # only gradients add, and integers that add are int64
        return Types(*dtypes.for_pool("sum" if dtype == dtypes.INT64 else "max", storage))
    if op.startswith("conv"):
        types = Types(*dtypes.for_sums(x=storage))
        return types if quantised is None else types._replace(result=quantised.result)
    return Types(*dtypes.for_pool(spec.kind, storage))


def computed(
    backend: Backend, op: str, spec: WindowSpec, storage: np.dtype[Any], types: Types, algorithm: str | None,
    shifted: bool = False,
) -> list[np.dtype[Any]]:
    """Return the types that the call may compute in, which for integers depends on their size."""
    if not op.startswith("conv"):
        return [types.compute]
    if types.result == dtypes.FLOAT16 and backend.takes_halves(op, spec, algorithm, False):
        return [dtypes.FLOAT16]
    if types.compute != dtypes.INT64 or not backend.integers_as_floats(op, spec, algorithm):
        return [types.compute]
    most = 1 if storage == dtypes.BOOL else max(-int(np.iinfo(storage).min), int(np.iinfo(storage).max))
    most *= 1 + shifted
    bound = terms(op, spec) * most**2 + most
    possible = [dtypes.exact_float(largest) for largest in (0, 2**24, 2**53) if largest <= bound]
    return [dtypes.INT64 if found is None else found for found in possible]
