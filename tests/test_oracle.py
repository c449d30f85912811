"""The oracle `naive`, which judges every other backend, against formulas in NumPy for every conformance case.

Sizes and padding amounts are the spec's, which tests/test_spec.py judges.  Gradients are the transposed matrix of what
they are the gradient of, column by column.  All formulas take arrays as (N, C, *spatial).
"""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import convlib
from convlib import ConvSpec, PoolSpec
from convlib.spec import make_adaptive, make_col2im, make_columns, make_transpose, make_unpool, needs_padding
from convlib.testing import cases
from convlib.testing.arrays import arrays_of

MODES = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}


def wide(*arrays):
    """Return the type in which sums of small integers are exact."""
    kinds = {a.dtype.kind if hasattr(a, "dtype") else np.dtype(a).kind for a in arrays}
    return "c16" if "c" in kinds else "f8" if kinds & {"f", "V"} else "i8"  # V: bfloat16


# ------------------------------------------------------------------------------- convolution, columns


def windows(spec, x, mode="constant", **more):
    """Return the windows of a padded copy of x: (N, C, *out, *kernel)."""
    padded = np.pad(x, [(0, 0), (0, 0), *zip(spec.pad_lo, spec.pad_hi, strict=True)], mode, **more)
    spans = [(k - 1) * d + 1 for k, d in zip(spec.kernel, spec.dilation, strict=True)]
    every = np.lib.stride_tricks.sliding_window_view(padded, spans, tuple(range(2, x.ndim)))
    steps = [slice(None, None, step) for step in (*spec.stride, *spec.dilation)]
    return every[(slice(None), slice(None), *steps)][(..., *map(slice, spec.out_size), *[slice(None)] * spec.nd)]


def conv(spec, x, w):
    """Multiply windows by weights, group by group."""
    x, w = x.astype(wide(x, w)), w.astype(wide(x, w))
    if spec.flip:
        w = np.flip(w, tuple(range(2, w.ndim)))
    mode = MODES.get(spec.padding_mode, spec.padding_mode)
    value = {"constant_values": spec.pad_value} if mode == "constant" else {}
    seen = np.moveaxis(windows(spec, x, mode, **value), 1, 1 + spec.nd)  # (N, *out, C, *kernel)
    seen = seen.reshape(len(x), *spec.out_size, spec.groups, spec.reduction)
    y = np.einsum("n...gk,gok->n...go", seen, w.reshape(spec.groups, spec.ocg, spec.reduction))
    return np.moveaxis(y.reshape(len(x), *spec.out_size, spec.oc), -1, 1)


def units(*shape):
    """Return every array of a shape that is 1 at one place."""
    size = math.prod(shape)
    return np.eye(size, dtype="i8").reshape(size, *shape)


def transposed(columns, grad, shape):
    """Return the products of each column with each image of grad, where the column has numbers."""
    columns = columns.reshape(len(columns), -1)
    grad = grad.reshape(len(grad), 1, columns.shape[1]).astype(wide(grad))
    return np.sum(grad * columns, axis=2, where=columns != 0).reshape(len(grad), *shape)


def conv_grad_input(spec, grad_y, w):
    shape = spec.c, *spec.in_size
    return transposed(conv(spec, units(*shape), w), grad_y, shape)


def conv_grad_weight(spec, grad_y, x):
    columns = np.array([conv(spec, x, w) for w in units(*spec.w_shape)])
    return transposed(columns, grad_y[None], spec.w_shape)[0]


def im2col(spec, x):
    seen = windows(spec, x)
    order = [*range(2 + spec.nd, 2 + 2 * spec.nd), *range(2, 2 + spec.nd)]
    return seen.transpose(0, 1, *order).reshape(len(x), seen.shape[1] * spec.taps_count, spec.out_count)


def col2im(spec, cols):
    grad = cols.reshape(spec.n * spec.c, spec.taps_count, spec.out_count)
    return transposed(im2col(spec, units(1, *spec.in_size)), grad, spec.in_size).reshape(spec.n, spec.c, *spec.in_size)


# ------------------------------------------------------------------------------- pooling


def positions(spec, axis, o):
    """Return the elements under a window on one axis: of the input, or of the padded one where padding takes part."""
    size, out, lo = spec.in_size[axis], spec.out_size[axis], spec.pad_lo[axis]
    if spec.adaptive:
        return np.arange(o * size // out, -(-(o + 1) * size // out))
    taps = o * spec.stride[axis] - lo + np.arange(spec.kernel[axis]) * spec.dilation[axis]
    if needs_padding(spec):
        taps, size = taps + lo, lo + size + spec.pad_hi[axis]
    return taps[(taps >= 0) & (taps < size)]


def filled(spec, x, value):
    """Return x with its padding if that takes part."""
    if not needs_padding(spec):
        return x
    mode = MODES.get(spec.padding_mode, spec.padding_mode)
    more = {"constant_values": value} if mode == "constant" else {}
    pads = zip(spec.pad_lo, spec.pad_hi, strict=True)
    return np.pad(x, [(0, 0)] * (x.ndim - spec.nd) + list(pads), mode, **more)


def divisor(spec, out, inside):
    """Return what the sum over a window is divided by; what lies behind the padding never counts."""
    if spec.divisor is not None:
        return spec.divisor
    if not spec.count_include_pad or spec.adaptive:
        return inside
    counts = []
    for axis, o in enumerate(out):
        taps = o * spec.stride[axis] + np.arange(spec.kernel[axis]) * spec.dilation[axis]
        counts.append((taps < spec.pad_lo[axis] + spec.in_size[axis] + spec.pad_hi[axis]).sum())
    return math.prod(counts)


def reduced(spec, values, out):
    """Return sums, averages or norms of (N, C, elements of a window)."""
    if spec.kind == "lp":
        sizes = np.abs(values.astype("f8"))
        return sizes.max(2) if spec.norm == math.inf else (sizes**spec.norm).sum(2) ** (1 / spec.norm)
    total = values.astype(wide(values)).sum(2)
    return total / divisor(spec, out, values.shape[2]) if spec.kind == "avg" and values.shape[2] else total


def extreme(spec, values):
    """Return the places of the largest or smallest: the first of equals, but the last NaN."""
    best = values.argmax(2) if spec.kind == "max" else values.argmin(2)
    missing = values != values
    return np.where(missing.any(2), values.shape[2] - 1 - missing[..., ::-1].argmax(2), best)


def lowest(spec, dtype):
    """Return the extreme of no elements."""
    low = (-np.inf, np.inf) if dtype.kind == "f" else (0, 1) if dtype.kind == "b" else None
    low = low or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low[spec.kind == "min"]


def pool(spec, x):
    """Return the result and, of extremes, where they were found: flat in the plane, -1 for an empty window."""
    extremes = spec.kind in ("max", "min")
    y = np.zeros((*x.shape[:2], *spec.out_size), x.dtype if extremes else wide(x, np.float16(0)))
    if spec.kind == "sum":
        y = y.astype(wide(x))
    places = np.full(y.shape, -1)
    at_home = filled(spec, np.arange(math.prod(spec.in_size)).reshape(spec.in_size), -1)
    x = filled(spec, x, spec.pad_value)
    for out in np.ndindex(*spec.out_size):
        axes = np.ix_(*(positions(spec, axis, o) for axis, o in enumerate(out)))
        values = x[(slice(None), slice(None), *axes)].reshape(*x.shape[:2], math.prod(map(np.size, axes)))
        at = (slice(None), slice(None), *out)
        if not extremes:
            y[at] = reduced(spec, values, out)
        elif not values.shape[2]:
            y[at] = lowest(spec, x.dtype)
        else:
            best = extreme(spec, values)
            y[at] = np.take_along_axis(values, best[..., None], 2)[..., 0]
            places[at] = at_home[axes].ravel()[best]
    return y, places


def pool_grad_input(spec, grad_y):
    linear = replace(spec, pad_value=0) if needs_padding(spec) else spec  # what padding adds is no part of a gradient
    columns = pool(linear, units(1, *spec.in_size).astype("f8"))[0]
    grad = grad_y.reshape(spec.n * spec.c, *spec.out_size)
    return transposed(columns, grad, spec.in_size).reshape(spec.n, spec.c, *spec.in_size)


def slopes(values, norm, p):
    """Return the derivatives of the norms of (N, C, elements of a window) by each element."""
    if p == math.inf:
        first = np.abs(values).argmax(2)[..., None] == np.arange(values.shape[2])
        return np.where(first, np.sign(values), 0)
    ratio = np.abs(values) / np.where(norm > 0, norm, 1)[..., None]
    return np.where(values == 0, 0, np.where(ratio > 0, ratio, 1) ** (p - 1) * np.sign(values))


def norm_grad_input(spec, grad_y, x, y):
    grad = np.zeros((*x.shape[:2], math.prod(spec.in_size)))
    at_home = filled(spec, np.arange(math.prod(spec.in_size)).reshape(spec.in_size), -1)
    x = filled(spec, x.astype("f8"), spec.pad_value)
    for out in np.ndindex(*spec.out_size):
        axes = np.ix_(*(positions(spec, axis, o) for axis, o in enumerate(out)))
        home, at = at_home[axes].ravel(), (slice(None), slice(None), *out)
        values = x[(slice(None), slice(None), *axes)].reshape(*x.shape[:2], home.size)
        shares = grad_y[at][..., None] * slopes(values, y[at].astype("f8"), spec.norm)
        for place in np.flatnonzero(home >= 0):
            grad[..., home[place]] += shares[..., place]
    return grad.reshape(spec.n, spec.c, *spec.in_size)


def put(x, indices, shape, add):
    """Put numbers where indices say, -1 nowhere: their sum, or the last of them."""
    y = np.zeros((*x.shape[:2], math.prod(shape)), wide(x) if add else x.dtype)
    for n, c, *out in np.ndindex(x.shape):
        place, value = int(indices[(n, c, *out)]), x[(n, c, *out)]
        if place >= 0:
            y[n, c, place] = y[n, c, place] + value if add else value
    return y.reshape(*x.shape[:2], *shape)


# ------------------------------------------------------------------------------- calls


def pool_spec(case, nd, x_shape, args):
    kind = re.search("max|min|avg|sum|lp", case.call)[0]
    options = {name: value for name, value in case.options.items() if name != "return_indices"}
    if case.call.startswith(("adaptive", "global")):
        return make_adaptive(nd, kind, x_shape, args[0] if args else 1, **options)
    norm = {"norm": float(args[0])} if kind == "lp" else {}
    return PoolSpec.make(kind, x_shape, args[-1], nd=nd, **options, **norm)


def plain(case, w):
    """Return weights in another order as (OC, C / groups, *kernel), of a transposed convolution (C, OC / groups, …)."""
    order = case.options.get("w_layout")
    if order is None:
        return w
    if order.endswith("CM"):  # multiplier by multiplier of each channel
        return np.moveaxis(w.reshape(*w.shape[:-2], 1, -1), (-1, -2), (0, 1))
    letters = "IO" if case.call.startswith("conv_transpose") else "OI"
    return np.moveaxis(w, [order.index(letter) for letter in letters], (0, 1))


def spec_of(case, x, others):
    """Return the spec of a call."""
    nd, args, options = int(re.search(r"(\d)d|$", case.call)[1] or 0), case.args, case.options
    if case.call == "im2col":
        return make_columns(x.shape, *args, **options)
    if case.call == "col2im":
        return make_col2im(x.shape, *args, **options)
    if case.call.startswith("conv"):
        shapes = {"input": (*args, others[0].shape), "weight": (others[0].shape, *args)}
        given = shapes.get(case.call.rpartition("_")[2], (x.shape, others[0].shape))
        if case.call.startswith("conv_transpose"):
            return make_transpose(nd, *given, **options)
        return ConvSpec.make(*given, **options)
    if "unpool" in case.call:
        return make_unpool(nd, x.shape, *args, **options)
    if not case.call.endswith("grad_input"):
        return pool_spec(case, nd, x.shape, args)
    if case.call.startswith("lp"):
        return pool_spec(case, nd, others[0].shape, args)
    if "max" in case.call or "min" in case.call:
        return pool_spec(replace(case, call=f"adaptive_max_pool{nd}d"), nd, args[0], [x.shape[-nd:]])
    size = x.shape[1:-1] if case.options.get("layout", "")[-1:] == "C" else x.shape[-nd:]
    return pool_spec(case, nd, args[0], args[1:] or [size])


def formula(case, spec, x, others):
    """Return what a call must give, for arrays as (N, C, *spatial)."""
    for start, function in (("im2col", im2col), ("col2im", col2im)):
        if case.call == start:
            return (function(spec, x),)
    transpose = case.call.startswith("conv_transpose")  # the adjoint of its spec
    if case.call.endswith("grad_weight"):
        return (conv_grad_weight(spec, *((others[0], x) if transpose else (x, others[0]))),)
    if case.call.startswith("conv"):
        back = transpose != case.call.endswith("grad_input")
        y = (conv_grad_input if back else conv)(spec, x, others[0])
        return (y + others[1].reshape(-1, *(1,) * spec.nd) if others[1:] else y,)
    if case.call.startswith("lp") and others:
        return (norm_grad_input(spec, x, *others),)
    if others:
        return (put(x, others[0], spec.in_size, add="unpool" not in case.call),)
    if case.call.endswith("grad_input"):
        return (pool_grad_input(spec, x),)
    return pool(spec, x)


def without_zero_points(case, x, others):
    """Return a case that asks for no zero points, and its arrays, from which they are subtracted."""
    options = dict(case.options)
    zeros = [options.pop(name, 0) for name in ("x_zero_point", "w_zero_point")]
    options.pop("out_dtype", None)
    if options == case.options:
        return case, x, others
    w, *bias = others
    by_channel = np.asarray(zeros[1], "i8").reshape(-1, *(1,) * (w.ndim - 1))
    return replace(case, options=options), x.astype("i8") - zeros[0], [w.astype("i8") - by_channel, *bias]


#: filter2d is judged by SciPy, in tests/test_properties.py.
CASES = [case for case in cases() if case.call != "filter2d"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_naive_is_the_formula(case):
    x, *others = arrays_of(case)
    got = getattr(convlib, case.call)(x, *others, *case.args, **case.options, backend="naive")
    got = got if isinstance(got, tuple) else (got,)
    if "w_layout" in case.options:  # what is left is in the order of the formula
        if case.call.endswith("grad_weight"):
            got = tuple(plain(case, grad_w) for grad_w in got)
            case = replace(case, args=(got[0].shape,))
        else:
            others[0] = plain(case, others[0])
        case = replace(case, options={key: value for key, value in case.options.items() if key != "w_layout"})
    case, x, others = without_zero_points(case, x, others)
    spec = spec_of(case, x, others)
    weights = case.call.startswith("conv") and not case.call.endswith("grad_weight")

    def first(a):
        a = a if spec.batched else a[None]
        return np.moveaxis(a, -1, 1) if spec.channels_last else a

    with np.errstate(invalid="ignore"):
        expected = formula(case, spec, first(x), others if weights else [first(a) for a in others])
    assert len(got) <= len(expected)  # places are not always asked for
    for a, b in zip(got, expected, strict=False):
        a = a if case.call.endswith("grad_weight") else first(a)
        assert a.shape == b.shape
        if "lp" in case.call:
            rounding = max(1e-6, float(np.finfo(a.dtype).eps))
            np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding)  # slopes may cancel
        else:
            np.testing.assert_array_equal(a, b.astype(a.dtype))
