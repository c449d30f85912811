"""Convolution as a matrix product, in two ways: windows as columns, and the kernel as a sparse matrix."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SpecError
from ..functional import im2col as lay_out
from ..spec import ConvSpec, WindowSpec, frozen, make_columns, make_conv
from ..spec.arguments import Ints, per_axis
from .geometry import MOST, Given, check_seen, standing, steps, taps, wide_size
from .operators import planes, weights_of
from .scene import Frame, Panel, Scene, grid, number
from .windows import describe, index, joined, signed

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def im2col(x: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Scene:
    """Show how windows become the columns of a matrix, each window in a colour of its own.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape; then cells name the elements.
    kernel_size : int or two int
        Window.
    stride, padding, dilation : optional
        As in `convlib.im2col`.

    Returns
    -------
    scene : Scene
        One frame per window: it and its column are marked, columns to come are pale.

    Raises
    ------
    SpecError
        If a rule of `convlib.im2col` is broken, or there is too much to see.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.im2col([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 2).text(1))
    im2col: input 3 x 3, kernel 2 x 2, output 2 x 2
      input             columns
      1 [2][3]          1 [2] 4  5
      4 [5][6]   to     2 [3] 5  6
      7  8  9           4 [5] 7  8
                        5 [6] 8  9
    window 1 is column 1: x[0,1], x[0,2], x[1,1], x[1,2]
    """
    source, plain = planes(x)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    kernel = per_axis("kernel_size", frozen(kernel_size), 2, 1)
    spec = make_columns(source.shape, kernel, **{name: frozen(value) for name, value in options.items()})
    check_seen(spec, spec.c)
    _check_table(spec.c * spec.taps_count, spec.out_count)
    columns = None if source.values is None else lay_out(source.values, kernel, **options)
    frames = _Columns(spec, source.values, columns, plain)
    return Scene(describe("im2col", spec, spec.in_size, spec.out_size), spec.out_count, frames.frame)


class _Columns:
    """Frames of `im2col`."""

    def __init__(self, spec: WindowSpec, x: Any, columns: Any, plain: bool) -> None:
        self.spec, self.x, self.columns, self.plain = spec, x, columns, plain
        self.windows = steps(spec)

    def element(self, c: int, place: Ints | None) -> str:
        """Return the number or the name of an element of the input; of the padding, 0."""
        if place is None:
            return "0"
        if self.x is not None:
            return number(self.x[(c, *place)])
        return ",".join(map(str, place if self.plain else (c, *place)))

    def entry(self, row: int, column: int) -> str:
        if self.columns is not None:
            return number(self.columns[row, column])
        c, tap = divmod(row, self.spec.taps_count)
        return self.element(c, taps(self.spec, self.windows[column])[tap].element)

    def plane(self, c: int, step: int, inside: set[Ints]) -> Panel:
        spec, size = self.spec, wide_size(self.spec)

        def role(row: int, column: int) -> str:
            marked = (row - spec.pad_lo[0], column - spec.pad_lo[1]) in inside
            return "window" if marked else "padding" if standing(spec, row, column) is None else "input"

        roles = grid(size, role)
        return Panel(
            title="input" if self.plain else f"input, channel {c}",
            text=grid(size, lambda row, column: self.element(c, standing(spec, row, column))),
            role=roles,
            hue=grid(size, lambda row, column: step if roles[row][column] == "window" else -1),
        )

    def frame(self, step: int) -> Frame:
        spec, window = self.spec, taps(self.spec, self.windows[step])
        inside = {tap.place for tap in window}
        size = spec.c * spec.taps_count, spec.out_count
        table = Panel(
            title="columns",
            text=grid(size, self.entry),
            role=grid(size, lambda _, column: "window" if column == step else "zero" if column > step else "input"),
            hue=grid(size, lambda _, column: column if column <= step else -1),
        )
        channels = range(spec.c)
        read = [
            "0" if tap.element is None else index("x", tap.element, None if self.plain else (c,))
            for c in channels for tap in window
        ]  # fmt: skip
        return Frame(
            columns=(tuple(self.plane(c, step, inside) for c in channels), (table,)), signs=("to",),
            caption=f"window {step} is column {step}: {joined(read, ', ')}",
        )  # fmt: skip


def _check_table(rows: int, columns: int) -> None:
    """Raise SpecError if a matrix is too large to see."""
    if max(rows, columns) > MOST:
        raise SpecError(f"the matrix of {rows} x {columns} is too large to see; use sizes that give at most {MOST}")


def _linear(x_shape: Any, w: Any, options: dict[str, Any]) -> tuple[ConvSpec, Given, bool]:
    """Return the spec of a convolution of one image, its weights, and whether it has one channel only."""
    source, plain = planes(tuple(x_shape))
    weights = weights_of(w, plain, source.shape[0])
    spec = make_conv(2, source.shape, weights.shape, **{name: frozen(value) for name, value in options.items()})
    return spec, weights, plain and spec.oc == 1


def _entries(spec: ConvSpec) -> list[tuple[int, int, Ints]]:
    """Return (row, column, weight) of every product of a weight and an element of the input."""
    found = []
    elements = {place: k for k, place in enumerate(product(range(spec.c), *map(range, spec.in_size)))}
    for row, (channel, step) in enumerate(product(range(spec.oc), steps(spec))):
        first = channel // spec.ocg * spec.icg
        window = [tap for tap in taps(spec, step) if tap.element is not None]
        for c in range(spec.icg):
            for tap in window:
                column = elements[(first + c, *(tap.element or ()))]
                found.append((row, column, (channel, c, *tap.weight)))
    return found


def toeplitz_matrix(
    x_shape: Any, w: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", flip: bool = False,
) -> csr_array:  # fmt: skip
    """Return the sparse matrix that a convolution multiplies its input with.

    With stride 1 its blocks repeat along the diagonals, and within a block the weights do: doubly block Toeplitz.  Its
    transpose is the transposed convolution.

    Parameters
    ----------
    x_shape : two or three int
        (h, w) or (c, h, w) of one image.
    w : array_like, shape (kh, kw), (c, kh, kw) or (oc, c / groups, kh, kw)
        Kernel.
    stride, padding, dilation, groups, padding_mode, flip : optional
        As in `convlib.conv2d`; padding holds zeros or what `padding_mode` repeats.

    Returns
    -------
    A : scipy.sparse.csr_array, shape (oc * oh * ow, c * h * w)
        ``A @ x.ravel()`` is the result, raveled.

    Raises
    ------
    SpecError
        If a rule of `convlib.conv2d` is broken.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import show
    >>> A = show.toeplitz_matrix((3, 3), [[1, 2], [3, 4]])
    >>> A.toarray()
    array([[1, 2, 0, 3, 4, 0, 0, 0, 0],
           [0, 1, 2, 0, 3, 4, 0, 0, 0],
           [0, 0, 0, 1, 2, 0, 3, 4, 0],
           [0, 0, 0, 0, 1, 2, 0, 3, 4]])
    >>> A @ np.arange(9)
    array([27, 37, 57, 67])
    """
    from scipy.sparse import csr_array

    options = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": padding_mode,
        "flip": flip,
    }  # fmt: skip
    spec, weights, _ = _linear(x_shape, w, options)
    if weights.values is None:
        raise TypeError(f"w must be an array of numbers, not a shape {weights.shape}")
    size = spec.oc * spec.out_count, spec.c * math.prod(spec.in_size)
    entries = _entries(spec)
    if not entries:
        return csr_array(size, dtype=weights.values.dtype)
    rows, columns, places = zip(*entries, strict=True)
    values = weights.values[tuple(np.array(places).T)]
    return csr_array((values, (rows, columns)), shape=size)  # sums what falls on one place


def toeplitz(
    x: Any, w: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", flip: bool = False,
) -> Scene:  # fmt: skip
    """Show a convolution as a sparse matrix: each weight in a colour of its own, one frame per output.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape.
    w : array_like or tuple of int, shape (kh, kw), (c, kh, kw) or (oc, c / groups, kh, kw)
        Kernel, or its shape; then cells name the weights.
    stride, padding, dilation, groups, padding_mode, flip : optional
        As in `toeplitz_matrix`.

    Returns
    -------
    scene : Scene
        Frames in the order of rows.

    Raises
    ------
    SpecError
        If a rule of `convlib.conv2d` is broken, or there is too much to see.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.toeplitz([[1, 2, 3]], [[10, 1]]).text(1))
    toeplitz: input 1 x 3, kernel 1 x 2, output 1 x 2
      A                   x          y
      10   1   .          1          12
       . [10][ 1]   @    [2]   =    [23]
                         [3]
    y[0,1] = 10·2 + 1·3 = 23
    """
    options = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": padding_mode,
        "flip": flip,
    }  # fmt: skip
    source, one = planes(x)
    x_shape = source.shape[1:] if one else source.shape
    spec, weights, plain = _linear(x_shape, w, options)
    matrix = None if weights.values is None else toeplitz_matrix(x_shape, weights.values, **options).toarray()
    frames = _Matrix(spec, None if source.values is None else source.values.ravel(), matrix, plain)
    return Scene(describe("toeplitz", spec, spec.in_size, spec.out_size), frames.size[0], frames.frame)


class _Matrix:
    """Frames of `toeplitz`."""

    def __init__(self, spec: ConvSpec, x: Any, matrix: Any, plain: bool) -> None:
        self.spec, self.x, self.matrix, self.plain = spec, x, matrix, plain
        self.size = spec.oc * spec.out_count, spec.c * math.prod(spec.in_size)
        _check_table(*self.size)
        self.y = None if matrix is None or x is None else matrix @ x
        self.weights: dict[tuple[int, int], list[Ints]] = {}
        for row, column, weight in _entries(spec):
            self.weights.setdefault((row, column), []).append(weight)

    def entry(self, row: int, column: int) -> str:
        """Return the number or the names that stand at a place; nothing for a zero."""
        here = self.weights.get((row, column), [])
        if self.matrix is None or not here:
            return "+".join(index("w", place[-2:] if self.plain else place, None) for place in here)
        return number(self.matrix[row, column])

    def hue(self, row: int, column: int) -> int:
        """Count the weights, so that each has its own colour until the colours repeat."""
        here = self.weights.get((row, column))
        return -1 if here is None else int(np.ravel_multi_index(here[0], self.spec.w_shape))

    def role(self, row: int, column: int, step: int) -> str:
        return "zero" if (row, column) not in self.weights else "window" if row == step else "kernel"

    def frame(self, step: int) -> Frame:
        rows, columns = self.size
        seen = {column for row, column in self.weights if row == step}
        table = Panel(
            title="A", text=grid(self.size, self.entry), hue=grid(self.size, self.hue),
            role=grid(self.size, lambda row, column: self.role(row, column, step)),
        )  # fmt: skip
        vector = Panel(
            title="x", role=grid((columns, 1), lambda row, _: "window" if row in seen else "input"),
            text=grid((columns, 1), lambda row, _: "" if self.x is None else number(self.x[row])),
        )  # fmt: skip
        result = Panel(
            title="y", role=grid((rows, 1), lambda row, _: "now" if row == step else ("output", "later")[row > step]),
            text=grid((rows, 1), lambda row, _: "" if self.y is None else number(self.y[row])),
        )  # fmt: skip
        return Frame(columns=((table,), (vector,), (result,)), signs=("@", "="), caption=self.formula(step, seen))

    def formula(self, step: int, seen: set[int]) -> str:
        channel, place = divmod(step, self.spec.out_count)
        name = index("y", steps(self.spec)[place], None if self.plain else (channel,))
        factors = {c: f"x[{c}]" if self.x is None else number(self.x[c]) for c in sorted(seen)}
        end = "" if self.y is None else f" = {number(self.y[step])}"
        return f"{name} = {joined([f'{self.entry(step, c)}·{signed(factors[c])}' for c in factors])}{end}"
