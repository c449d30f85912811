"""The operations of a backend on arrays of any type, within the scratch bound."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from itertools import groupby
from typing import Any, TypeVar, cast

import numpy as np

from .. import config, dtypes
from ..backends.base import Backend
from ..backends.base.checks import (
    Quantised,
    Types,
    bound,
    check_indices,
    check_places,
    check_residual_type,
    padding_value,
    sum_types,
)
from ..backends.base.contract import Array
from ..backends.base.operations import pool_grad_types
from ..spec import ConvSpec, PoolSpec, WindowSpec, needs_padding, repeats
from .asked import RESULTS, Call
from .job import Job
from .quantised import UNSHIFTED, lazily, way
from .scatter import scattered, too_large
from .scratch import column_blocks, terms
from .unprepared import unprepared
from .windows import pooled

Function = TypeVar("Function", bound=Callable[..., Any])


def _handed_on(function: Function) -> Function:
    """Hand calls on arrays that hold no numbers yet to the operation of the backend as they are."""
    name = function.__name__

    @wraps(function)
    def call(backend: Backend, *arguments: Any) -> Any:
        return getattr(backend, name)(*arguments) if backend.lazy else function(backend, *arguments)

    return cast(Function, call)


def conv(
    backend: Backend, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None,
    quantised: Quantised | None = None,
) -> Array:  # fmt: skip
    """See `Backend.conv`; integers may be `quantised`."""
    if backend.lazy:
        if quantised is not None:
            return lazily(backend, spec, x, w, bias, out, algorithm, quantised)
        return backend.conv(spec, x, w, bias, out, algorithm)
    types = sum_types(x.dtype, w.dtype, bias, spec.oc)
    if quantised is not None:
        types = types._replace(result=quantised.result)
    if types.compute == dtypes.INT64 and way(backend, spec, (x.dtype, w.dtype), bias, quantised, algorithm):
        backend.check_out(out, spec.y_shape, types.result, x, w, bias)
        return backend.prepare_quantised(spec, w, bias, x.dtype, quantised or UNSHIFTED, algorithm, False)(x, out)
    places = (x, "x"), (w, "w"), (bias, "bias")
    return _sums(backend.conv, "conv", spec, types, algorithm, out, *places, quantised=quantised)


@_handed_on
def conv_transpose(
    backend: Backend, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None
) -> Array:
    """See `Backend.conv_transpose`."""
    types = sum_types(x.dtype, w.dtype, bias, spec.c)
    places = (x, "y"), (w, "w"), (bias, "bias")
    return _sums(backend.conv_transpose, "conv_grad_input", spec, types, algorithm, out, *places)


@_handed_on
def conv_grad_input(
    backend: Backend, spec: ConvSpec, grad_y: Array, w: Array, out: Array | None, algorithm: str | None
) -> Array:
    """See `Backend.conv_grad_input`."""
    types, places = _grad_types(grad_y=grad_y, w=w), ((grad_y, "y"), (w, "w"))
    return _sums(backend.conv_grad_input, "conv_grad_input", spec, types, algorithm, out, *places, conjugated="w")


@_handed_on
def conv_grad_weight(
    backend: Backend, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None, algorithm: str | None
) -> Array:
    """See `Backend.conv_grad_weight`."""
    types, places = _grad_types(grad_y=grad_y, x=x), ((grad_y, "y"), (x, "x"))
    return _sums(backend.conv_grad_weight, "conv_grad_weight", spec, types, algorithm, out, *places, conjugated="x")


@_handed_on
def conv_transpose_grad_input(
    backend: Backend, spec: ConvSpec, grad_y: Array, w: Array, out: Array | None, algorithm: str | None
) -> Array:
    """See `Backend.conv_transpose_grad_input`."""
    types, places = _grad_types(grad_y=grad_y, w=w), ((grad_y, "x"), (w, "w"))
    return _sums(backend.conv_transpose_grad_input, "conv", spec, types, algorithm, out, *places, conjugated="w")


@_handed_on
def conv_transpose_grad_weight(
    backend: Backend, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None, algorithm: str | None
) -> Array:
    """See `Backend.conv_transpose_grad_weight`."""
    types, places = _grad_types(grad_y=grad_y, x=x), ((grad_y, "x"), (x, "y"))
    method = backend.conv_transpose_grad_weight
    return _sums(method, "conv_grad_weight", spec, types, algorithm, out, *places, conjugated="y")


def _grad_types(**arrays: Array) -> Types:
    return Types(*dtypes.for_sums(**{name: a.dtype for name, a in arrays.items()}))


def check_residual(
    backend: Backend, shape: tuple[int, ...], result: np.dtype[Any], residual: Array | None, out: Array | None
) -> None:
    """Refuse a residual that would change the type of a result, or that `out` would overwrite."""
    if residual is not None:
        check_residual_type(residual.dtype, result)
        if not backend.lazy:
            backend.check_out(out, shape, result, residual)


def finish(backend: Backend, y: Array, residual: Array | None, activation: str | None) -> Array:
    """See `Backend.finish`."""
    return backend.finish(y, residual, activation)


def prepare_conv(
    backend: Backend, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None,
    quantised: Quantised | None = None,
) -> Callable[[Array, Array | None], Array]:  # fmt: skip
    """See `Backend.prepare_conv`, which serves the types and layouts that the backend takes as they are."""
    types = sum_types(dtype, w.dtype, bias, spec.oc)
    if types.compute == dtypes.INT64 and not backend.lazy:
        run = _prepare_integers(backend, spec, w, bias, dtype, algorithm, quantised)
        if run is not None:
            return run
    compute = types.compute
    if types.result == dtypes.FLOAT16 and backend.takes_halves("conv", spec, algorithm, bias is not None):
        compute = dtypes.FLOAT16
    if set("pxy") & set(Call(backend, "conv", spec, types, compute, algorithm).assumed(dtype)):
        whole = partial(conv, backend, spec, algorithm=algorithm, quantised=None)
        return unprepared(backend, spec, w, bias, dtype, algorithm, whole)
    return backend.prepare_conv(spec, w, bias, dtype, algorithm)


def _prepare_integers(
    backend: Backend, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None,
    quantised: Quantised | None,
) -> Callable[[Array, Array | None], Array] | None:  # fmt: skip
    """Return what serves integers otherwise than `Backend.prepare_conv`, if anything does."""
    if way(backend, spec, (dtype, w.dtype), bias, quantised, algorithm, True):
        asked = quantised or UNSHIFTED
        run = backend.prepare_quantised(spec, w, bias, dtype, asked, algorithm, True)

        def served(x: Array, out: Array | None) -> Array:
            backend.check_out(out, spec.y_shape, asked.result, x)  # the plan's weights are its own
            return run(x, out)

        return served
    if quantised is None and not backend.integers_as_floats("conv", spec, algorithm):
        return None
    return lambda x, out: conv(backend, spec, x, w, bias, out, algorithm, quantised)


@_handed_on
def pool(
    backend: Backend, spec: PoolSpec, x: Array, indices: bool, out: Array | None, algorithm: str | None
) -> Array | tuple[Array, Array]:
    """See `Backend.pool`."""
    types = Types(*dtypes.for_pool(spec.kind, x.dtype))
    backend.check_out(out, spec.y_shape, types.result, x)
    call = Call(backend, "pool", spec, types, types.compute, algorithm, indices)
    copied = call.copied(x=x, out=out)
    job = Job(call, copied) if copied or call.pads else None
    if job is None or job.whole:
        return _whole(job, backend.pool, spec, x, indices, out, algorithm)
    if types.compute == dtypes.INT64 and spec.kind == "sum":
        bound(spec.taps_count, x)
    y = backend.xp.empty(spec.y_shape, types.result) if out is None else out
    places = backend.xp.empty(spec.y_shape, np.int64) if indices and not job.around else None
    with job.running() as blocks:
        if job.around:
            found = backend.pool(job.inner, x, indices, y, job.named)
            if indices:
                places = found[1]
        for _, same in groupby(blocks, key=lambda block: block.y):
            room = job.room(y)
            block, values, found = pooled(job, same, x, indices, room)
            if room is None or job.around:
                job.put(y, block, values)
            if indices:
                job.put(places, block, found)
            del found, values  # before the next block is there
    return (y, places) if indices else y


@_handed_on
def unpool(
    backend: Backend, spec: PoolSpec, x: Array, indices: Array, out: Array | None, add: bool, algorithm: str | None
) -> Array:
    """See `Backend.unpool`."""
    types = Types(*dtypes.for_pool("sum" if add else "max", x.dtype))
    backend.check_out(out, spec.x_shape, types.result, x, indices)
    check_indices(spec, indices)
    call = Call(backend, "unpool", spec, types, types.compute, algorithm)
    copied = call.copied(y=x, out=out)
    if not copied and not backend.takes(indices, dtypes.INT64, spec):
        copied = "y"
    job = Job(call, copied) if copied else None
    if job is None or job.whole:
        return _whole(job, backend.unpool, spec, x, indices, out, add, algorithm)
    check_places(spec, indices)
    if add and types.compute == dtypes.INT64:
        bound(spec.out_count, x)
    if too_large(job):
        target = backend.xp.empty(spec.x_shape, types.result) if out is None else out
        return scattered(spec, x, indices, target, add, types.compute, config.get_max_workspace())

    def method(part: PoolSpec, x: Array, indices: Array, room: Array | None) -> Array:
        return backend.unpool(part, x, indices, room, add, algorithm)

    return _parts(job, spec.x_shape, out, method, (x, "y"), (indices, "indices"))


@_handed_on
def pool_grad_input(
    backend: Backend, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Array | None,
    algorithm: str | None,
) -> Array:  # fmt: skip
    """See `Backend.pool_grad_input`."""
    types = pool_grad_types(spec, grad_y, x, y)
    backend.check_out(out, spec.x_shape, types.result, grad_y, x, y)
    call = Call(backend, "pool_grad_input", spec, types, types.compute, algorithm)
    copied = call.copied(x=x, y=(grad_y, y), out=out)
    job = Job(call, copied) if copied or call.pads else None
    if job is None or job.whole:
        return _whole(job, backend.pool_grad_input, spec, grad_y, x, y, out, algorithm)
    if types.compute == dtypes.INT64:
        bound(spec.taps_count * repeats(spec), grad_y)

    def method(part: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, room: Array | None) -> Array:
        return backend.pool_grad_input(part, grad_y, x, y, room, algorithm)

    return _parts(job, spec.x_shape, out, method, (grad_y, "y"), (x, "x"), (y, "y"))


@_handed_on
def col2im(backend: Backend, spec: WindowSpec, cols: Array) -> Array:
    """See `Backend.col2im`; columns that it would copy are served by images and channels, within the scratch bound."""
    dtype = dtypes.for_sums(cols=cols.dtype)[1]
    parts = column_blocks(spec, cols.dtype, (cols,))
    if parts is None or parts.whole:
        return backend.col2im(spec, cols)
    if dtype == dtypes.INT64:
        bound(spec.taps_count, cols)
    x = backend.xp.empty(spec.x_shape, dtypes.for_sums(cols=cols.dtype)[0])
    given, target = (cols, x) if spec.batched else (cols[None], x[None])
    given = given.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)  # a view, as axes are only split
    for block in parts:
        part, (n, c, *outs) = block.spec, block.y
        columns = given[(n, c, slice(None), *outs)].astype(dtype, order="C")
        target[block.x] = backend.col2im(part, columns.reshape(part.n, part.c * part.taps_count, part.out_count))
        del columns
    return x


# --------------------------------------------------------------------------------------------------


def _whole(job: Job | None, method: Callable[..., Any], *arguments: Any) -> Any:
    """Serve a call in one piece, of which nothing is copied if there is no job."""
    if job is None:
        return method(*arguments)
    with job.running():
        return method(*arguments)


def _sums(
    method: Callable[..., Array], op: str, spec: ConvSpec, types: Types, algorithm: str | None, out: Array | None,
    *arrays: tuple[Array | None, str], conjugated: str = "", quantised: Quantised | None = None,
) -> Array:  # fmt: skip
    """Serve a sum of products by a method of a backend, whose arrays come with the names of their places."""
    backend: Backend = method.__self__  # type: ignore[attr-defined]  # it is bound
    shape = {"x": spec.x_shape, "y": spec.y_shape, "w": spec.w_shape}[RESULTS[op]]
    backend.check_out(out, shape, types.result, *(a for a, _ in arrays))
    given = {place: a for a, place in arrays}
    bias = given.pop("bias", None)
    largest: int | None = None
    dtype = types.compute
    if types.result == dtypes.FLOAT16 and backend.takes_halves(op, spec, algorithm, bias is not None):
        dtype = dtypes.FLOAT16
    elif dtype == dtypes.INT64 and (quantised or backend.integers_as_floats(op, spec, algorithm)):
        largest = _largest(op, spec, given, bias, quantised)
        if backend.integers_as_floats(op, spec, algorithm):
            dtype = dtypes.exact_float(largest) or dtype
    if conjugated and given[conjugated].dtype.kind != "c":  # type: ignore[union-attr]  # only a bias may be None
        conjugated = ""
    shifted = "" if quantised is None else quantised.shifted
    transposed = method.__name__.startswith("conv_transpose")
    call = Call(backend, op, spec, types, dtype, algorithm, False, conjugated, shifted, transposed)
    copied = call.copied(**given, out=out)
    job = Job(call, copied, quantised) if copied or conjugated or call.pads else None
    if job is None or job.whole:
        return _whole(job, method, spec, *(a for a, _ in arrays), out, algorithm)
    if dtype == dtypes.INT64 and largest is None and not job.around:
        _largest(op, spec, given, bias)
    if job.around:
        target = _around(job, method, out, *arrays)
        if op != "conv_grad_weight" or np.isfinite(target).all():
            return target
        # What is not finite makes NaN of the zeros that stood for padding: sums of the padding itself do not.
        job, out = job.without_zeros(), target
    if op == "conv_grad_weight":
        return _weights(job, out, lambda *a: method(*a, None, algorithm), *arrays)
    return _parts(job, shape, out, lambda *a: method(*a, algorithm), *arrays)


def _largest(
    op: str, spec: ConvSpec, given: dict[str, Array], bias: Array | None, quantised: Quantised | None = None
) -> int:
    """Return what no partial sum of integers exceeds, and refuse what could leave int64 or the result's type."""
    constant = op != "conv_grad_input" and needs_padding(spec) and spec.padding_mode == "constant"
    padding = padding_value(spec, dtypes.INT64) if constant else 0
    x, other = (given.get(name) for name in ("y", "w")) if op == "conv_grad_input" else (
        given["x"], given["w" if op == "conv" else "y"]
    )  # fmt: skip
    found = bound(terms(op, spec), x, other, bias, padding, quantised)
    if op == "conv_grad_input" and needs_padding(spec):  # whose parts add up in int64
        bound(terms(op, spec) * repeats(spec), x, other)
    if quantised is not None:
        quantised.check(terms(op, spec), found)
    return found


def _parts(
    job: Job, shape: tuple[int, ...], out: Array | None, method: Callable[..., Array],
    *arrays: tuple[Array | None, str],
) -> Array:  # fmt: skip
    target = job.call.backend.xp.empty(shape, job.call.types.result) if out is None else out
    if job.call.adds or job.call.op == "pool_grad_input":  # not all of whose elements windows hold
        target[...] = 0
    with job.running() as blocks:
        for block in blocks:
            room = job.room(target)
            part = method(job.asked(block), *(job.take(a, block, place) for a, place in arrays), room)
            if job.call.adds:
                job.add(target, block, part)
            elif room is None:
                job.put(target, block, part)
            del part  # before the next block is there
    return target


def _around(
    job: Job, method: Callable[..., Array], out: Array | None, *arrays: tuple[Array | None, str]
) -> Array:
    """Serve a call as if zeros were its padding, and then what other padding changes."""
    with job.running() as blocks:
        target = method(job.inner, *(a for a, _ in arrays), out, job.named)
        for block in blocks:
            part = method(block.spec, *(job.take(a, block, place) for a, place in arrays), None, job.named)
            if job.call.op == "conv_grad_weight":
                target[block.w] += part
            elif job.padding:
                job.put(target, block, part)
            else:
                job.add(target, block, part)
    return target


def _weights(
    job: Job, out: Array | None, method: Callable[..., Array], *arrays: tuple[Array | None, str]
) -> Array:
    """Add up, in the compute type, what the blocks of images give to the same weights."""
    call = job.call
    target = call.backend.xp.empty(call.spec.w_shape, call.types.result) if out is None else out
    with job.running() as blocks:
        for _, same in groupby(blocks, key=lambda block: str(block.w)):
            total: Array = None
            for block in same:
                part = method(job.asked(block), *(job.take(a, block, place) for a, place in arrays))
                if total is None:
                    total = part
                else:
                    total += part
                del part
            job.put(target, block, total)
    return target
