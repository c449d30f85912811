"""A backend as its callers see it: the public operations, each around one hook of the contract.

An operation takes arrays of any element type and memory order, checks `out`, makes the arrays ready for the hook, and
delivers what it filled.  Whatever has to be copied is copied whole: `convlib.storage` cuts large calls into parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from ... import dtypes
from ...errors import BackendError
from ...spec import ConvSpec, PoolSpec, WindowSpec, needs_padding, repeats, zero_padded
from .arrays import Arrays
from .checks import (
    Quantised,
    Types,
    bound,
    check_finish,
    check_indices,
    check_places,
    sum_types,
)
from .contract import OPERATIONS, Array, Implementation
from .ending import FUNCTIONS
from .pieces import assign


class Backend(Arrays):
    """One way through all operators: a subclass fills hooks, and its attributes say what it is; see `Contract`."""

    # ------------------------------------------------------------------ convolution

    @final
    def conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Cross-correlate `x` with `w`, add `bias`, return ``spec.y_shape``."""
        types = sum_types(x.dtype, w.dtype, bias, spec.oc)
        self.check_out(out, spec.y_shape, types.result, x, w, bias)
        result, dtype = types
        if result == dtypes.FLOAT16 and self.takes_halves("conv", spec, algorithm, bias is not None):
            dtype = result
        x, w = self._input(x, dtype, spec), self._weights(w, dtype, spec, algorithm)
        bias = None if bias is None else self._usable(bias, dtype, False)
        spec, x = self._explicit_padding(spec, x)
        if dtype == dtypes.INT64:  # after padding, whose value takes part in the sums
            bound(spec.reduction, x, w, bias)
        y, finish = self._result(spec.y_shape, dtype, result, spec, out)
        _fill(y, w, self._conv, spec, x, w, bias, y, self.settled(algorithm, "conv", spec, dtype))
        if bias is not None and not spec.reduction:
            y += bias.reshape(-1, *(1,) * spec.nd)
        return finish()

    @final
    def conv_transpose(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Apply the transpose of the convolution `spec` to `x`, add `bias`, return ``spec.x_shape``."""
        return self._transpose(spec, x, w, bias, out, sum_types(x.dtype, w.dtype, bias, spec.c), algorithm)

    @final
    def conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient with respect to the input: the adjoint of `conv` in `x`, ``spec.x_shape``."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, w=w.dtype))
        return self._transpose(spec, grad_y, _conjugate(w), None, out, types, algorithm)

    def _transpose(
        self, spec: ConvSpec, y: Array, w: Array, bias: Array | None, out: Array | None, types: Types,
        algorithm: str | None,
    ) -> Array:  # fmt: skip
        self.check_out(out, spec.x_shape, types.result, y, w, bias)
        result, dtype = types
        if result == dtypes.FLOAT16 and self.takes_halves("conv_grad_input", spec, algorithm, bias is not None):
            dtype = result
        y, w = self._input(y, dtype, spec), self._weights(w, dtype, spec, algorithm)
        bias = None if bias is None else self._usable(bias, dtype, False)
        if dtype == dtypes.INT64:
            bound(spec.ocg * spec.taps_count * repeats(spec), y, w, bias)
        x, finish = self._result(spec.x_shape, dtype, result, spec, out)
        algorithm = self.settled(algorithm, "conv_grad_input", zero_padded(spec), dtype)
        if needs_padding(spec):
            inner = zero_padded(spec)
            wide = self.xp.empty((inner.n, inner.c, *inner.in_size), dtype)
            _fill(wide, y, self._conv_grad_input, inner, y, w, wide, algorithm)
            self._put_folded(spec, wide, x)
        else:
            _fill(x, y, self._conv_grad_input, spec, y, w, x, algorithm)
        if bias is not None:
            x += bias.reshape(-1, *(1,) * spec.nd)
        return finish()

    @final
    def conv_grad_weight(
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient with respect to the weights: the adjoint of `conv` in `w`, ``spec.w_shape``."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype))
        self.check_out(out, spec.w_shape, types.result, grad_y, x)
        return self._correlate(spec, grad_y, _conjugate(x), out, types, algorithm)

    @final
    def conv_transpose_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient of `conv_transpose` with respect to its input: its adjoint in `x`, ``spec.y_shape``."""
        return self.conv(spec, grad_y, _conjugate(w), None, out, algorithm)

    @final
    def conv_transpose_grad_weight(
        self, spec: ConvSpec, grad_y: Array, x: Array, out: Array | None, algorithm: str | None = None
    ) -> Array:
        """Return the gradient of `conv_transpose` with respect to the weights: its adjoint in `w`, ``spec.w_shape``."""
        types = Types(*dtypes.for_sums(grad_y=grad_y.dtype, x=x.dtype))
        self.check_out(out, spec.w_shape, types.result, grad_y, x)
        return self._correlate(spec, _conjugate(x), grad_y, out, types, algorithm)

    def _correlate(
        self, spec: ConvSpec, y: Array, x: Array, out: Array | None, types: Types, algorithm: str | None
    ) -> Array:
        """Return the sum, for each weight, of the products of what it ties together in `x` and `y`."""
        result, dtype = types
        if result == dtypes.FLOAT16 and self.takes_halves("conv_grad_weight", spec, algorithm, False):
            dtype = result
        y, x = self._input(y, dtype, spec), self._input(x, dtype, spec)
        spec, x = self._explicit_padding(spec, x)
        if dtype == dtypes.INT64:
            bound(spec.n * spec.out_count, y, x)
        w = self.xp.empty(spec.w_shape, dtype)
        algorithm = self.settled(algorithm, "conv_grad_weight", spec, dtype)
        _fill(w, y, self._conv_grad_weight, spec, x, y, w, algorithm)
        return self._deliver(self._flipped(w) if spec.flip else w, result, out)

    def prepare_conv(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None], Array]:
        """Return a function of (x, out) for inputs of one shape and dtype; a backend may prepare the weights here."""
        return lambda x, out: self.conv(spec, x, w, bias, out, algorithm)

    def quantised_way(
        self, spec: ConvSpec, x: np.dtype[Any], w: np.dtype[Any], quantised: Quantised, algorithm: str | None,
        prepared: bool,
    ) -> Implementation | None:  # fmt: skip
        """Return what `prepare_quantised` would run on arrays of these types, with all that it takes as scratch."""
        return None

    def prepare_quantised(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], quantised: Quantised,
        algorithm: str | None, prepared: bool,
    ) -> Callable[[Array, Array | None], Array]:  # fmt: skip
        """Return a function of (x, out) that convolves 8-bit integers as they are, once or, if `prepared`, often.

        Asked only where `quantised_way` names a way, and no sum of numbers of these types can leave int32.  Elsewhere
        arrays are converted part by part, less their zero points, for `conv`.
        """
        raise NotImplementedError

    def quick_conv(
        self, spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[..., Array | None] | None:
        """Return a short way through `conv` for plain arrays, or None if there is none.

        It takes (x, threads, max_workspace, w, bias) and, if one is given, an `out` that `check_out` has passed and
        that has no gaps, checks all else it needs, and returns None where `conv` must serve.
        """
        return None

    def quick_pool(self, spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Callable[..., Any] | None:
        """Return a short way through `pool` for plain arrays of `dtype`, or None if there is none.

        It takes (x, threads, indices, max_workspace) and an `out` as `quick_conv` does, checks all else it needs, and
        returns None where `pool` must serve.
        """
        return None

    def quick_gradient(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None, Array | None], Array | None] | None:
        """Return a short way through the gradient `op` for plain arrays of `dtype`, or None if there is none.

        It takes `grad_y`, the weights, the input or, of poolings, None, of the spec's shapes, and an `out` or None,
        checks all else it needs, and returns None where the operation must serve.
        """
        return None

    @final
    def finish(self, y: Array, residual: Array | None, activation: str | None) -> Array:
        """Return the result `y` of a convolution after a residual was added and an activation applied, in place.

        Both are done in the type of the result, as they would be outside the call.
        """
        if y.dtype.kind != "f":
            check_finish(y, residual, activation)
        if residual is not None and residual.dtype != y.dtype:
            residual = residual.astype(y.dtype)
        if self.lazy:
            y = y if residual is None else y + residual
            return y if activation is None else FUNCTIONS[activation](y).astype(y.dtype)
        if y.size:
            self._finish(y, residual, activation)
        return y

    # ------------------------------------------------------------------ pooling

    @final
    def pool(
        self, spec: PoolSpec, x: Array, indices: bool, out: Array | None, algorithm: str | None = None
    ) -> Array | tuple[Array, Array]:
        """Pool `x`; with `indices` also return where each extreme was found, int64, ``spec.y_shape``."""
        result, dtype = dtypes.for_pool(spec.kind, x.dtype)
        self.check_out(out, spec.y_shape, result, x)
        narrow = 8 * x.dtype.itemsize + spec.taps_count.bit_length() <= 63  # too narrow for sums to leave int64
        outer, (spec, x) = spec, self._explicit_padding(spec, self._input(x, dtype, spec))
        if dtype == dtypes.INT64 and spec.kind == "sum" and not (narrow and outer.pad_value is None):
            bound(spec.taps_count, x)
        y, finish = self._result(spec.y_shape, dtype, result, spec, out)
        algorithm = self.settled(algorithm, "pool", spec, dtype)
        if not indices:
            _fill(y, y, self._pool, spec, x, y, None, algorithm)
            return finish()
        places, finish_places = self._result(spec.y_shape, dtypes.INT64, dtypes.INT64, spec, None)
        _fill(y, y, self._pool, spec, x, y, places, algorithm)
        if needs_padding(outer):
            places[...] = self.origins(places, outer)
        return finish(), finish_places()

    @final
    def unpool(
        self, spec: PoolSpec, x: Array, indices: Array, out: Array | None, add: bool, algorithm: str | None = None
    ) -> Array:
        """Scatter `x` to the plane positions `indices` of zeros, ``spec.x_shape``; with `add` duplicates sum up."""
        result, dtype = dtypes.for_pool("sum" if add else "max", x.dtype)
        self.check_out(out, spec.x_shape, result, x, indices)
        check_indices(spec, indices)
        if not self.whole_unpool:
            check_places(spec, indices)
        x, places = self._input(x, dtype, spec), self._input(indices, dtypes.INT64, spec)
        if add and dtype == dtypes.INT64:
            bound(spec.out_count, x)
        y, finish = self._result(spec.x_shape, dtype, result, spec, out)
        if not self.whole_unpool:
            assign(y, 0)
        _fill(y, x, self._unpool, spec, x, places, y, add, *_named(algorithm))
        return finish()

    @final
    def pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, out: Array | None,
        algorithm: str | None = None,
    ) -> Array:  # fmt: skip
        """Return the gradient of an average, a sum or a norm (which needs `x` and `y`), ``spec.x_shape``."""
        result, dtype = pool_grad_types(spec, grad_y, x, y)
        self.check_out(out, spec.x_shape, result, grad_y, x, y)
        grad_y = self._input(grad_y, dtype, spec)
        x, y = (None if a is None else self._input(a, dtype, spec) for a in (x, y))
        if dtype == dtypes.INT64:
            bound(spec.taps_count * repeats(spec), grad_y)
        grad_x, finish = self._result(spec.x_shape, dtype, result, spec, out)
        if not needs_padding(spec):
            _fill(grad_x, grad_y, self._pool_grad_input, spec, grad_y, x, y, grad_x, *_named(algorithm))
            return finish()
        inner, x = self._explicit_padding(spec, x)
        wide, _ = self._result(inner.x_shape, dtype, dtype, inner, None)
        _fill(wide, grad_y, self._pool_grad_input, inner, grad_y, x, y, wide, *_named(algorithm))
        self._put_folded(spec, wide, grad_x)
        return finish()

    # ------------------------------------------------------------------ columns

    @final
    def im2col(self, spec: WindowSpec, x: Array) -> Array:
        """Lay the windows of `x` out as columns, ``(N, C * prod(kernel), L)``; padding reads as zero."""
        dtypes.check("x", x.dtype)
        dtype = x.dtype.newbyteorder("=")
        if not self.any_columns:
            x = self._input(x, dtype, spec)
        elif not spec.batched:
            x = x[None]
        cols = self.xp.empty((spec.n, spec.c * spec.taps_count, spec.out_count), dtype)
        _fill(cols, cols, self._im2col, spec, x, cols)
        return cols if spec.batched else cols[0]

    @final
    def col2im(self, spec: WindowSpec, cols: Array) -> Array:
        """Sum columns back into an input: the adjoint of `im2col`, ``spec.x_shape``."""
        result, dtype = dtypes.for_sums(cols=cols.dtype)
        cols = self._usable(cols if spec.batched else cols[None], dtype, False)
        if dtype == dtypes.INT64:
            bound(spec.taps_count, cols)
        x = self.xp.zeros((spec.n, spec.c, *spec.in_size), dtype)
        _fill(x, cols, self._col2im, spec, cols, x)
        return self._deliver(x if spec.batched else x[0], result, None)


# Infinities and zeros that come of overflow and underflow are results: whatever `numpy.errstate` its user has set, a
# call neither warns of them nor raises.
for _name in (*OPERATIONS, "finish", "conv_transpose", "conv_transpose_grad_input", "conv_transpose_grad_weight"):
    setattr(Backend, _name, np.errstate(all="ignore")(getattr(Backend, _name)))


def _fill(target: Array, source: Array, hook: Callable[..., None], *args: Any) -> None:
    """Call a hook that fills `target` from `source`; where one of them is empty, sums are zero and no hook is asked."""
    if not (target.size and source.size):
        target[...] = 0
        return
    try:
        returned: Any = hook(*args)  # type: ignore[func-returns-value]
    except Exception as error:
        owner, name = _called(hook)
        if not type(owner).__module__.startswith("convlib."):
            error.add_note(f"raised by {name} of backend {owner.name!r} ({type(owner).__module__})")
        raise
    if returned is not None:
        owner, name = _called(hook)
        raise BackendError(
            f"backend {owner.name!r} is broken: {type(owner).__module__}:{type(owner).__qualname__}.{name} returned "
            f"{type(returned).__name__}; a hook returns nothing and fills its array in place: {_FILLS[name]}[...] = ..."
        )


#: What the hooks call the array that they fill.
_FILLS = {
    "_conv": "y", "_conv_grad_input": "grad_x", "_conv_grad_weight": "grad_w", "_pool": "y",
    "_pool_grad_input": "grad_x", "_unpool": "y", "_im2col": "cols", "_col2im": "x",
}  # fmt: skip


def _called(hook: Any) -> tuple[Any, str]:
    """Return whose hook it is, and its name, whatever the function behind it is called."""
    owner = hook.__self__
    return owner, next(name for name in _FILLS if getattr(owner, name) == hook)


def _named(algorithm: str | None) -> tuple[str, ...]:
    """Return what hooks get last that take a name only if they have algorithms, as few do."""
    return () if algorithm is None else (algorithm,)


def pool_grad_types(spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None) -> Types:
    """Return the types of a pooling's gradient."""
    dtypes.check("grad_y", grad_y.dtype)
    common = grad_y.dtype if x is None or y is None else np.result_type(grad_y.dtype, x.dtype, y.dtype)
    return Types(*dtypes.for_pool(spec.kind, common))


def _conjugate(a: Array) -> Array:
    """Return the complex conjugate, which is what an adjoint multiplies by."""
    return a.conj() if a.dtype.kind == "c" else a
