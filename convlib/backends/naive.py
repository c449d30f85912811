"""Plain Python loops, straight from the formulas: the text a learner reads and the oracle of all tests.

No cleverness and no speed.  Sums are Python numbers: exact for integers, double precision for floats.  The zeros of
the padding are multiplied like any other element, so that an infinite weight over them gives NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import dtypes
from ..spec import ConvSpec, PoolSpec, WindowSpec
from .base import OPERATIONS, Backend
from .base.pieces import assign

Array = NDArray[Any]
Index = tuple[int, ...]


def _windows(spec: WindowSpec, channels: int) -> Iterator[tuple[int, int, Index]]:
    """Yield (image, channel, output) of all windows."""
    for n, c in product(range(spec.n), range(channels)):
        for out in product(*map(range, spec.out_size)):
            yield n, c, out


def _taps(spec: WindowSpec, out: Index) -> Iterator[tuple[Index, Index]]:
    """Yield (tap, position) over all elements of one window, first axis slowest; positions may lie in the padding."""
    for tap in product(*map(range, spec.kernel)):
        yield tap, tuple(
            o * s + t * d - lo for o, s, t, d, lo in zip(out, spec.stride, tap, spec.dilation, spec.pad_lo, strict=True)
        )


def _pixel(x: Array, n: int, channels: slice, position: Index) -> list[Any]:
    """Return what some channels hold at one position, as Python numbers: zeros in the padding."""
    inside = all(0 <= p < size for p, size in zip(position, x.shape[2:], strict=True))
    where: Any = (n, channels, *position)
    return x[where].tolist() if inside else [0] * (channels.stop - channels.start)


def _channels(spec: ConvSpec, o: int) -> slice:
    """Return the input channels that output channel `o` sees: those of its group."""
    first = o // spec.ocg * spec.icg
    return slice(first, first + spec.icg)


def _window(spec: WindowSpec, out: Index) -> Iterator[tuple[Index, Index]]:
    """Yield (tap, position) over the elements of one window that lie inside the input, first axis slowest."""
    for pairs in product(*(spec.window(axis, o) for axis, o in enumerate(out))):
        yield tuple(tap for tap, _ in pairs), tuple(position for _, position in pairs)


class NaiveBackend(Backend):
    """Every operator and every spec in plain Python."""

    name = "naive"
    determinism = "the same for any number of threads"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    strided = True
    any_columns = True

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`: gradients are summed as Python numbers, each an object beside its place."""
        shapes = {"conv_grad_input": "x_shape", "pool_grad_input": "x_shape", "conv_grad_weight": "w_shape"}
        return 40 * math.prod(getattr(spec, shapes[op])) if op in shapes else 0

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        for n, o, out in _windows(spec, spec.oc):
            group = _channels(spec, o)
            total = 0 if bias is None else bias[o].item()
            for tap, position in _taps(spec, out):
                weights = w[o].T[tap[::-1]].tolist()  # of all channels
                total += sum(a * b for a, b in zip(_pixel(x, n, group, position), weights, strict=True))
            y[(n, o, *out)] = total

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        total = np.zeros(grad_x.shape, object)
        for n, o, out in _windows(spec, spec.oc):
            first = o // spec.ocg * spec.icg
            for c in range(spec.icg):
                for tap, position in _window(spec, out):
                    total[(n, first + c, *position)] += grad_y.item(n, o, *out) * w.item(o, c, *tap)
        assign(grad_x, total)

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        total = np.zeros(grad_w.shape, object)
        for n, o, out in _windows(spec, spec.oc):
            for tap, position in _taps(spec, out):
                for c, element in enumerate(_pixel(x, n, _channels(spec, o), position)):
                    total[(o, c, *tap)] += grad_y.item(n, o, *out) * element
        grad_w[...] = total

    def _finish(self, y: Array, residual: Array | None, activation: str | None) -> None:
        for index in np.ndindex(y.shape):
            value = y[index]  # a number of the result's type, in which every step rounds
            if residual is not None:
                value = value + residual[index]
            if activation in ("relu", "relu6"):
                value = _clipped(value, 6 if activation == "relu6" else math.inf)
            elif activation is not None:
                part = _clipped(value + 3, 6)
                value = (value * part if activation == "hardswish" else part) / 6
            y[index] = value

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        for n, c, out in _windows(spec, spec.c):
            positions = [p for p in product(*(spec.taps(axis, o) for axis, o in enumerate(out)))]
            values = [x.item(n, c, *position) for position in positions]
            if spec.kind in ("max", "min"):
                best = _extreme(spec.kind, values)
                y[(n, c, *out)] = dtypes.lowest(y.dtype, spec.kind) if best < 0 else values[best]
                if indices is not None:
                    indices[(n, c, *out)] = -1 if best < 0 else _flat(positions[best], spec.in_size)
            else:
                y[(n, c, *out)] = _reduce(spec, out, values)

    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array
    ) -> None:
        total = np.zeros(grad_x.shape, object)
        for n, c, out in _windows(spec, spec.c):
            places = [(n, c, *p) for p in product(*(spec.taps(axis, o) for axis, o in enumerate(out)))]
            if not places:
                continue
            grad = grad_y[(n, c, *out)].item()
            if x is not None and y is not None:
                slopes = _norm_slopes(spec.norm, [x[place].item() for place in places], y[(n, c, *out)].item())
            else:
                slopes = [1 / _divisor(spec, out, len(places)) if spec.kind == "avg" else 1] * len(places)
            for place, slope in zip(places, slopes, strict=True):
                total[place] += _scaled(grad, slope)
        assign(grad_x, total)

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        for n, c, out in _windows(spec, spec.c):
            place = int(indices[(n, c, *out)])
            if place >= 0:
                target = (n, c, *(int(p) for p in np.unravel_index(place, spec.in_size)))
                y[target] = y[target] + x[(n, c, *out)] if add else x[(n, c, *out)]

    def _im2col(self, spec: WindowSpec, x: Array, cols: Array) -> None:
        assign(cols, 0)
        for n, row, column, position in _columns(spec):
            cols[n, row, column] = x[position]

    def _col2im(self, spec: WindowSpec, cols: Array, x: Array) -> None:
        for n, row, column, position in _columns(spec):
            x[position] += cols[n, row, column]


def _clipped(value: Any, most: float) -> Any:
    """Return ``min(max(value, 0), most)``, or NaN."""
    return value if value != value else type(value)(0) if value <= 0 else type(value)(most) if value > most else value


def _extreme(kind: str, values: list[Any]) -> int:
    """Return the place of the extreme: the first of equals, but the last NaN; -1 if there are no values."""
    better: Callable[[Any, Any], bool] = (lambda a, b: a > b) if kind == "max" else (lambda a, b: a < b)
    best = -1
    for place, value in enumerate(values):
        if best < 0 or better(value, values[best]) or value != value:
            best = place
    return best


def _reduce(spec: PoolSpec, out: Index, values: list[Any]) -> Any:
    if spec.kind == "lp":
        sizes = [abs(value) for value in values]
        top = sizes[_extreme("max", sizes)] if sizes else 0.0
        if spec.norm == math.inf or top == 0 or not math.isfinite(top):
            return top
        # Quotients by the largest: their powers neither overflow nor vanish.
        return top * math.fsum((size / top) ** spec.norm for size in sizes) ** (1 / spec.norm)
    if spec.kind == "sum" or not values:
        return sum(values)
    total, divisor = sum(values), _divisor(spec, out, len(values))
    return complex(total.real / divisor, total.imag / divisor) if isinstance(total, complex) else total / divisor


def _scaled(value: Any, factor: float) -> Any:
    """Return a product with a real number, part by part: as a complex one it makes NaN beside an infinite part."""
    return complex(value.real * factor, value.imag * factor) if isinstance(value, complex) else value * factor


def _divisor(spec: PoolSpec, out: Index, inside: int) -> int:
    """Return what the sum over a window is divided by, of which `inside` elements lie inside the input."""
    if spec.divisor is not None:
        return spec.divisor
    return math.prod(spec.counted(axis, o) for axis, o in enumerate(out)) if spec.count_include_pad else inside


def _norm_slopes(p: float, values: list[float], norm: float) -> list[float]:
    """Return the derivative of a window's p-norm by each value; at 0, where there may be none, it counts as 0."""
    if p == math.inf:
        best = _extreme("max", [abs(value) for value in values])
        return [float(np.sign(value)) if place == best else 0.0 for place, value in enumerate(values)]
    return [0.0 if v == 0 else (abs(v) / norm) ** (p - 1) * float(np.sign(v)) for v in values]


def _flat(position: Index, size: Index) -> int:
    place = 0
    for p, i in zip(position, size, strict=True):
        place = place * i + p
    return place


def _columns(spec: WindowSpec) -> Iterator[tuple[int, int, int, Index]]:
    """Yield (image, row, column, position of x) over all column elements that lie inside the input."""
    for n, c in product(range(spec.n), range(spec.c)):
        for column, out in enumerate(product(*map(range, spec.out_size))):
            for tap, position in _window(spec, out):
                yield n, c * spec.taps_count + _flat(tap, spec.kernel), column, (n, c, *position)
