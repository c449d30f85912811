"""What every backend shares: checking `out`, making inputs usable, allocating results.

A backend subclasses `Backend` and fills in the hooks (`_conv`, `_pool`, ...).  A hook receives a spec and arrays that
are ready to use: ``x`` and ``y`` as ``(N, C, *spatial)``, the compute type, aligned, in native byte order, and zero
padding only (other padding modes and flipped kernels are resolved here).  It fills its last array and returns nothing.
No hook computes a size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from .. import dtypes
from ..errors import SpecError
from ..spec import ConvSpec, PoolSpec, WindowSpec, needs_padding, zero_padded
from . import halves
from .halves import Types

Array = Any  # the backend's own array type: numpy.ndarray, or cupy.ndarray on a GPU
SpecT = TypeVar("SpecT", bound=WindowSpec)

OPERATIONS = (
    "conv", "conv_grad_input", "conv_grad_weight", "pool", "pool_grad_input", "unpool", "im2col", "col2im",
)  # fmt: skip


class Backend:
    """One way through all operators.

    Attributes
    ----------
    name : str
        What callers write in ``backend=``.
    array_type : str
        Top-level module of the arrays it takes, such as "numpy".
    operations : tuple of str
        The entries of `OPERATIONS` whose hooks it fills.
    strided : bool
        Whether hooks take any strides; if not, arrays arrive C-contiguous.
    channels_last : bool
        Whether hooks take contiguous channels-last memory (seen as ``(N, C, *spatial)``) without a copy.
    exact : bool
        Whether sums of small integers held in floats come out exactly, as they do by direct summation.
    whole_unpool : bool
        Whether `_unpool` itself zeroes the result and refuses indices outside their plane, by `_check_places`.
    algorithms : dict of str to tuple of str
        Names that may follow the colon in "name:algorithm", per operation.
    """

    name: ClassVar[str] = ""
    array_type: ClassVar[str] = "numpy"
    operations: ClassVar[tuple[str, ...]] = ()
    strided: ClassVar[bool] = False
    channels_last: ClassVar[bool] = False
    exact: ClassVar[bool] = True
    whole_unpool: ClassVar[bool] = False
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = {}
    xp: ModuleType = np

    # ------------------------------------------------------------------ what a backend says of itself

    def available(self) -> str | None:
        """Return None if the backend can run on this machine, else the reason in words and what would help."""
        return None

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """Return None if the backend can serve the call, else the reason in words.

        Parameters
        ----------
        op : str
            One of `OPERATIONS`.
        spec : WindowSpec
            The call's sizes and options.
        dtype : dtype
            The type that the call computes in.
        """
        return None if op in self.operations else f"does not implement {op}"

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """Return the algorithm the backend would take for a call that it supports, and why."""
        return None, "its only algorithm"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """Return None if the named algorithm can serve a call that the backend supports, else the reason."""
        return None

    def exact_algorithm(self, algorithm: str) -> bool:
        """Return whether sums of small integers held in floats come out exactly by the named algorithm."""
        return self.exact

    def choose_prepared(self, spec: ConvSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """Return what `choose` would for a convolution whose weights a plan prepares once for many calls."""
        return self.choose("conv", spec, dtype)

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """Return the scratch memory of a call in bytes, beside inputs and result; None is the algorithm of `choose`."""
        return 0

    def takes_halves(self, op: str, spec: WindowSpec, algorithm: str | None, bias: bool) -> bool:
        """Return whether the hook takes and gives float16 arrays as they are, and sums in float32."""
        return False

    @final
    def scratch(
        self, op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], algorithm: str | None
    ) -> int:
        """Return `workspace` and, for float16 arrays, the copies in the type `dtype` that the call computes in."""
        return halves.scratch(self, op, spec, storage, dtype, algorithm)

    def prepare_conv(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None], Array]:
        """Return a function of (x, out) for inputs of one shape and dtype; a backend may prepare the weights here."""
        return lambda x, out: self.conv(spec, x, w, bias, out, algorithm)

    def quick_conv(
        self, spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[..., Array | None] | None:
        """Return a short way through `conv` for plain arrays, or None if there is none.

        It takes (x, threads, max_workspace, w, bias), checks all it needs, and returns None where `conv` must serve.
        """
        return None

    def quick_pool(self, spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Callable[..., Any] | None:
        """Return a short way through `pool` for plain arrays of `dtype`, or None if there is none.

        It takes (x, threads, indices), checks all it needs, and returns None where `pool` must serve.
        """
        return None

    def from_numpy(self, a: Array) -> Array:
        """Return a NumPy array as one of the backend's own type; the conformance suite moves its arrays by this."""
        return a

    def to_numpy(self, a: Array) -> Array:
        """Return an array of the backend's own type as a NumPy array."""
        return a

    # ------------------------------------------------------------------ public operations

    @final
    def conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Cross-correlate `x` with `w`, add `bias`, return ``spec.y_shape``."""
        types = self._sum_types(x, w, bias, spec.oc)
        self._check_out(out, spec.y_shape, types.result, x, w, bias)
        types, cut = halves.storage(self, "conv", spec, types, algorithm, bias is not None, x.dtype)
        call = partial(self._conv_whole, types, algorithm)
        if cut:
            places = (x, "x"), (w, "w"), (bias, "bias")
            return halves.run(self, "conv", spec, types, algorithm, out, "y", call, *places)
        return call(spec, x, w, bias, out)

    def _conv_whole(
        self, types: Types, algorithm: str | None, spec: ConvSpec, x: Array, w: Array, bias: Array | None,
        out: Array | None,
    ) -> Array:  # fmt: skip
        result, dtype = types
        x, w = self._input(x, dtype, spec), self._weights(w, dtype, spec)
        bias = None if bias is None else self._usable(bias, dtype, False)
        spec, x = self._explicit_padding(spec, x)
        if dtype == dtypes.INT64:  # after padding, whose value takes part in the sums
            self._check_range(spec.reduction, x, w, bias)
        y, finish = self._result(spec.y_shape, dtype, result, spec, out)
        self._conv(spec, x, w, bias, y, algorithm)
        return finish()

    @final
    def conv_transpose(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Apply the adjoint of the convolution `spec` to `x`, add `bias`, return ``spec.x_shape``."""
        return self._adjoint(spec, x, w, bias, out, self._sum_types(x, w, bias, spec.c), algorithm)

    @final
    def conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient with respect to the input: the adjoint of `conv` in `x`, ``spec.x_shape``."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype))
        return self._adjoint(spec, grad_y, w, None, out, types, algorithm)

    def _adjoint(
        self, spec: ConvSpec, grad_y: Array, w: Array, bias: Array | None, out: Array | None, types: Types,
        algorithm: str | None,
    ) -> Array:  # fmt: skip
        self._check_out(out, spec.x_shape, types.result, grad_y, w, bias)
        types, cut = halves.storage(self, "conv_grad_input", spec, types, algorithm, bias is not None, grad_y.dtype)
        call = partial(self._adjoint_whole, types, algorithm)
        if cut:
            places = (grad_y, "y"), (w, "w"), (bias, "bias")
            return halves.run(self, "conv_grad_input", spec, types, algorithm, out, "x", call, *places)
        return call(spec, grad_y, w, bias, out)

    def _adjoint_whole(
        self, types: Types, algorithm: str | None, spec: ConvSpec, grad_y: Array, w: Array, bias: Array | None,
        out: Array | None,
    ) -> Array:  # fmt: skip
        result, dtype = types
        grad_y, w = self._input(grad_y, dtype, spec), self._weights(w, dtype, spec)
        bias = None if bias is None else self._usable(bias, dtype, False)
        if dtype == dtypes.INT64:
            self._check_range(spec.ocg * spec.taps_count, grad_y, w, bias)
        grad_x, finish = self._result(spec.x_shape, dtype, result, spec, out)
        if needs_padding(spec):
            inner = zero_padded(spec)
            wide = self.xp.empty((inner.n, inner.c, *inner.in_size), dtype)
            self._conv_grad_input(inner, grad_y, w, wide, algorithm)
            grad_x[...] = self._fold_padding(spec, wide)
        else:
            self._conv_grad_input(spec, grad_y, w, grad_x, algorithm)
        if bias is not None:
            grad_x += bias.reshape(-1, *(1,) * spec.nd)
        return finish()

    @final
    def conv_grad_weight(
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient with respect to the weights: the adjoint of `conv` in `w`, ``spec.w_shape``."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype))
        self._check_out(out, spec.w_shape, types.result, grad_y, x)
        types, cut = halves.storage(self, "conv_grad_weight", spec, types, algorithm, False, grad_y.dtype, x.dtype)
        call = partial(self._grad_weight_whole, types, algorithm)
        if cut:
            return halves.grad_weight(self, spec, types, algorithm, out, call, grad_y, x)
        return call(spec, grad_y, x, out)

    def _grad_weight_whole(
        self, types: Types, algorithm: str | None, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None
    ) -> Array:
        result, dtype = types
        grad_y, x = self._input(grad_y, dtype, spec), self._input(x, dtype, spec)
        spec, x = self._explicit_padding(spec, x)
        if dtype == dtypes.INT64:
            self._check_range(spec.n * spec.out_count, grad_y, x, None)
        grad_w = self.xp.empty(spec.w_shape, dtype)
        self._conv_grad_weight(spec, x, grad_y, grad_w, algorithm)
        if spec.flip:
            grad_w = self._flipped(grad_w)
        return self._deliver(grad_w, result, out)

    @final
    def pool(
        self, spec: PoolSpec, x: Array, indices: bool, out: Array | None, algorithm: str | None = None
    ) -> Array | tuple[Array, Array]:
        """Pool `x`; with `indices` also return where each extreme was found, int64, ``spec.y_shape``."""
        types = Types(*dtypes.for_pool(spec.kind, x.dtype))
        self._check_out(out, spec.y_shape, types.result, x)
        if halves.stored(x.dtype):
            return halves.pool(self, spec, types, algorithm, x, indices, out)
        return self._pool_whole(types, algorithm, indices, spec, x, out)

    def _pool_whole(
        self, types: Types, algorithm: str | None, indices: bool, spec: PoolSpec, x: Array, out: Array | None
    ) -> Array | tuple[Array, Array]:
        result, dtype = types
        narrow = 8 * x.dtype.itemsize + spec.taps_count.bit_length() <= 63  # too narrow for sums to leave int64
        x = self._input(x, dtype, spec)
        if dtype == dtypes.INT64 and spec.kind == "sum" and not narrow:
            self._check_range(spec.taps_count, x, None, None)
        y, finish = self._result(spec.y_shape, dtype, result, spec, out)
        if not indices:
            self._pool(spec, x, y, None, algorithm)
            return finish()
        places, finish_places = self._result(spec.y_shape, dtypes.INT64, dtypes.INT64, spec, None)
        self._pool(spec, x, y, places, algorithm)
        return finish(), finish_places()

    @final
    def unpool(
        self, spec: PoolSpec, x: Array, indices: Array, out: Array | None, add: bool, algorithm: str | None = None
    ) -> Array:
        """Scatter `x` to the plane positions `indices` of zeros, ``spec.x_shape``; with `add` duplicates sum up.

        No hook has several algorithms for it; `algorithm` is for backends that hand calls on.
        """
        types = Types(*dtypes.for_pool("sum" if add else "max", x.dtype))
        self._check_out(out, spec.x_shape, types.result, x, indices)
        self._check_indices(spec, indices)
        if not self.whole_unpool:
            self._check_places(spec, indices)
        call = partial(self._unpool_whole, types, add)
        if halves.stored(x.dtype):
            return halves.run(self, "unpool", spec, types, None, out, "x", call, (x, "y"), (indices, "y"))
        return call(spec, x, indices, out)

    def _unpool_whole(
        self, types: Types, add: bool, spec: PoolSpec, x: Array, indices: Array, out: Array | None
    ) -> Array:
        result, dtype = types
        x, places = self._input(x, dtype, spec), self._input(indices, dtypes.INT64, spec)
        if add and dtype == dtypes.INT64:
            self._check_range(spec.out_count, x, None, None)
        y, finish = self._result(spec.x_shape, dtype, result, spec, out)
        if not self.whole_unpool:
            y[...] = 0
        self._unpool(spec, x, places, y, add)
        return finish()

    @final
    def pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Array | None,
        algorithm: str | None = None,
    ) -> Array:  # fmt: skip
        """Return the gradient of an average, a sum or a norm (which needs `x` and `y`), ``spec.x_shape``.

        No hook has several algorithms for it; `algorithm` is for backends that hand calls on.
        """
        dtypes.check("grad_y", grad_y.dtype)
        common = grad_y.dtype if x is None or y is None else np.result_type(grad_y.dtype, x.dtype, y.dtype)
        types = Types(*dtypes.for_pool(spec.kind, common))
        self._check_out(out, spec.x_shape, types.result, grad_y, x, y)
        call = partial(self._pool_grad_whole, types)
        if halves.stored(types.result):
            places = (grad_y, "y"), (x, "x"), (y, "y")
            return halves.run(self, "pool_grad_input", spec, types, None, out, "x", call, *places)
        return call(spec, grad_y, x, y, out)

    def _pool_grad_whole(
        self, types: Types, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Array | None
    ) -> Array:
        result, dtype = types
        grad_y = self._input(grad_y, dtype, spec)
        x, y = (None if a is None else self._input(a, dtype, spec) for a in (x, y))
        if dtype == dtypes.INT64:
            self._check_range(spec.taps_count, grad_y, None, None)
        grad_x, finish = self._result(spec.x_shape, dtype, result, spec, out)
        self._pool_grad_input(spec, grad_y, x, y, grad_x)
        return finish()

    @final
    def im2col(self, spec: WindowSpec, x: Array) -> Array:
        """Lay the windows of `x` out as columns, ``(N, C * prod(kernel), L)``; padding reads as zero."""
        dtypes.check("x", x.dtype)
        dtype = x.dtype.newbyteorder("=")
        x = self._input(x, dtype, spec)
        cols = self.xp.empty((spec.n, spec.c * spec.taps_count, spec.out_count), dtype)
        self._im2col(spec, x, cols)
        return cols if spec.batched else cols[0]

    @final
    def col2im(self, spec: WindowSpec, cols: Array) -> Array:
        """Sum columns back into an input: the adjoint of `im2col`, ``spec.x_shape``."""
        result, dtype = dtypes.for_sums(cols=cols.dtype)
        cols = self._usable(cols if spec.batched else cols[None], dtype, False)
        if dtype == dtypes.INT64:
            self._check_range(spec.taps_count, cols, None, None)
        x = self.xp.zeros((spec.n, spec.c, *spec.in_size), dtype)
        self._col2im(spec, cols, x)
        return (x if spec.batched else x[0]).astype(result, copy=False)

    # ------------------------------------------------------------------ hooks

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        """Fill `y` (N, OC, *out) with ``bias[o] + sum(x * w[o])`` over each window."""
        raise NotImplementedError

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        """Fill `grad_x` (N, C, *in) with the adjoint of `_conv` in `x`."""
        raise NotImplementedError

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        """Fill `grad_w` (OC, C / groups, *kernel) with the adjoint of `_conv` in `w`."""
        raise NotImplementedError

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        """Fill `y` (N, C, *out), and `indices` if there are any, with one number per window."""
        raise NotImplementedError

    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array
    ) -> None:
        """Fill `grad_x` (N, C, *in) with the adjoint of an average or a sum, or the gradient of a norm at `x`."""
        raise NotImplementedError

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        """Write or `add` ``x[n, c, o]`` to place ``indices[n, c, o]`` of the zeroed plane ``y[n, c]``, -1 skipped."""
        raise NotImplementedError

    def _im2col(self, spec: WindowSpec, x: Array, cols: Array) -> None:
        """Fill `cols` (N, C * taps, L) with the window elements of `x`."""
        raise NotImplementedError

    def _col2im(self, spec: WindowSpec, cols: Array, x: Array) -> None:
        """Add `cols` to the zeroed `x` (N, C, *in) where `_im2col` would read them."""
        raise NotImplementedError

    # ------------------------------------------------------------------ arrays in

    def _usable(self, a: Array, dtype: np.dtype[Any], strided: bool) -> Array:
        """Return `a` in `dtype`, aligned and, unless `strided`, C-contiguous; copy only if it is not."""
        if a.dtype == dtype and self._aligned(a) and (strided or a.flags.c_contiguous):
            return a
        if dtype == dtypes.INT64 and a.dtype == np.uint64 and a.size and int(a.max()) >= 2**63:
            raise SpecError(f"the uint64 value {int(a.max())} does not fit int64; scale it down or convert to float64")
        return np.array(a, dtype=dtype, order="C", copy=True)

    def _input(self, x: Array, dtype: np.dtype[Any], spec: WindowSpec) -> Array:
        if not spec.channels_last:
            x = self._usable(x, dtype, self.strided)
            return x if spec.batched else x[None]
        if self.channels_last or self.strided:
            return _channels_first(self._usable(x, dtype, self.strided), spec)
        return self._usable(_channels_first(x, spec), dtype, False)

    def _weights(self, w: Array, dtype: np.dtype[Any], spec: ConvSpec) -> Array:
        return self._usable(self._flipped(w) if spec.flip else w, dtype, self.strided)

    def _flipped(self, w: Array) -> Array:
        return w[(slice(None), slice(None)) + (slice(None, None, -1),) * (w.ndim - 2)]

    def _explicit_padding(self, spec: ConvSpec, x: Array) -> tuple[ConvSpec, Array]:
        """Write any padding but zeros into a copy of `x`, so that hooks know zero padding only."""
        if not needs_padding(spec):
            return spec, x
        pairs = ((0, 0), (0, 0), *zip(spec.pad_lo, spec.pad_hi, strict=True))
        value: float | int = spec.pad_value
        if x.dtype == dtypes.INT64 and spec.padding_mode == "constant":
            if not float(value).is_integer():
                raise TypeError(f"pad_value={value} is not an integer, but x and w are; use an integer or float arrays")
            value = int(value)
        return zero_padded(spec), self._padded(x, pairs, spec.padding_mode, value)

    def _padded(self, x: Array, pairs: tuple[tuple[int, int], ...], mode: str, value: float) -> Array:
        """Return a copy of `x` with ``(lo, hi)`` elements more per axis."""
        if mode != "constant":
            return self.xp.pad(x, pairs, mode=mode)
        return self.xp.pad(x, pairs, constant_values=value)

    def _fold_padding(self, spec: ConvSpec, wide: Array) -> Array:
        """Apply the adjoint of the padding: each padded element returns to the element it was copied from."""
        xp = self.xp
        for axis, (lo, hi, size) in enumerate(zip(spec.pad_lo, spec.pad_hi, spec.in_size, strict=True), start=2):
            wide = xp.moveaxis(wide, axis, 0)
            if spec.padding_mode == "constant":
                narrow = wide[lo : lo + size]
            else:
                narrow = xp.zeros((size, *wide.shape[1:]), wide.dtype)
                xp.add.at(narrow, xp.pad(xp.arange(size), (lo, hi), mode=spec.padding_mode), wide)
            wide = xp.moveaxis(narrow, 0, axis)
        return wide

    # ------------------------------------------------------------------ arrays out

    def _result(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], result: np.dtype[Any], spec: WindowSpec, out: Array | None
    ) -> tuple[Array, Any]:
        """Return the array that a hook fills, as (N, C, *spatial), and a function that delivers it to the caller."""
        if spec.channels_last and not (self.strided or self.channels_last):
            view = self.xp.empty((spec.n, shape[-1], *shape[-1 - spec.nd : -1]), dtype)

            def finish() -> Array:
                turned = self.xp.empty(shape, result) if out is None else out
                _channels_first(turned, spec)[...] = view
                return turned

            return view, finish
        target = out
        if out is None or out.dtype != dtype or not (self.strided or out.flags.c_contiguous) or not self._aligned(out):
            target = self.xp.empty(shape, dtype)
        assert target is not None
        view = _channels_first(target, spec) if spec.channels_last else target if spec.batched else target[None]
        return view, lambda: target if target is out else self._deliver(target, result, out)

    def _deliver(self, a: Array, result: np.dtype[Any], out: Array | None) -> Array:
        if out is None:
            return a if a.dtype == result else a.astype(result)
        if a is not out:
            out[...] = a
        return out

    # ------------------------------------------------------------------ checks that need the arrays

    def _sum_types(self, x: Array, w: Array, bias: Array | None, channels: int) -> Types:
        if bias is None:
            return Types(*dtypes.for_sums(x=x.dtype, w=w.dtype))
        if bias.shape != (channels,):
            raise SpecError(f"bias has the shape {bias.shape}; expected ({channels},), one number per output channel")
        return Types(*dtypes.for_sums(x=x.dtype, w=w.dtype, bias=bias.dtype))

    def _check_out(
        self, out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any], *inputs: Array | None
    ) -> None:
        if out is None:
            return
        if not isinstance(out, self.xp.ndarray):
            raise TypeError(f"out must be a {self.xp.__name__} array, not {type(out).__name__}")
        if out.shape != shape:
            raise SpecError(f"out has the shape {out.shape}; the result has {shape}")
        if out.dtype != dtype:
            raise TypeError(f"out has dtype {out.dtype}; the result has {dtype}")
        self._check_memory(out, *inputs)

    def _check_memory(self, out: Array, *inputs: Array | None) -> None:
        if not self._writable(out):
            raise SpecError("out is read-only; give a writable array of the result's shape, or none")
        if any(stride == 0 and size > 1 for stride, size in zip(out.strides, out.shape, strict=True)):
            raise SpecError(f"out has stride 0 on an axis (strides {out.strides}); its elements must not share memory")
        for a in inputs:
            if a is not None and self._shares_memory(out, a):
                raise SpecError("out overlaps an input in memory; give an array of its own, or none")

    def _aligned(self, a: Array) -> bool:
        return bool(a.flags.aligned)

    def _writable(self, a: Array) -> bool:
        return bool(a.flags.writeable)

    def _shares_memory(self, a: Array, b: Array) -> bool:
        if not np.may_share_memory(a, b):
            return False
        try:
            return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # stubs: only -1 and 0
        except np.exceptions.TooHardError:
            return True

    def _bound(self, terms: int, x: Array, w: Array | None, bias: Array | None) -> int:
        """Return what no partial sum of `terms` integer products exceeds."""
        bound = terms * dtypes.magnitude(x) * (1 if w is None else dtypes.magnitude(w))
        return bound + (0 if bias is None else dtypes.magnitude(bias))

    def _check_range(self, terms: int, x: Array, w: Array | None, bias: Array | None) -> None:
        """Refuse integer sums that could leave int64: results are exact or there is none."""
        if x.size == 0 or (w is not None and w.size == 0):
            return
        bound = self._bound(terms, x, w, bias)
        if bound >= 2**63:
            raise SpecError(
                f"integer overflow is possible: {terms} terms with these magnitudes can reach {bound}, more than int64 "
                "holds; scale the integers down or convert them to float64"
            )

    def _check_indices(self, spec: PoolSpec, indices: Array) -> None:
        if indices.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, not {indices.dtype}")
        if indices.shape != spec.y_shape:
            raise SpecError(f"indices has the shape {indices.shape}; expected {spec.y_shape}, that of the pooled array")

    def _check_places(self, spec: PoolSpec, indices: Array) -> None:
        plane = int(np.prod(spec.in_size, dtype=object))
        if indices.size and not (int(indices.min()) >= -1 and int(indices.max()) < plane):
            raise SpecError(
                f"indices must lie between -1 (empty window) and {plane - 1}, the last position of the plane "
                f"{spec.in_size}; found {int(indices.min())} to {int(indices.max())}"
            )


def _channels_first(a: Array, spec: WindowSpec) -> Array:
    """See an array in the caller's order as (N, C, *spatial), without a copy."""
    a = a if spec.batched else a[None]
    return a.transpose(0, a.ndim - 1, *range(1, a.ndim - 1)) if spec.channels_last else a
