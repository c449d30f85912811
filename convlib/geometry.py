"""Questions about shapes: what an output sees of the input, and which options give a wanted size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import SpecError, quote
from .spec import PoolSpec, WindowSpec, effective_kernel, frozen, make_adaptive, make_columns, make_pool
from .spec.arguments import Ints, integer, number_of_axes, per_axis

#: More answers than this help nobody.
MOST_SOLUTIONS = 100_000


@dataclass(frozen=True)
class ReceptiveField:
    """What one output element sees, per spatial axis, in input elements.

    Attributes
    ----------
    size : tuple of int
        Elements from the first to the last that can change the output.
    jump : tuple of int
        Distance between the fields of neighbouring outputs: the product of the strides.
    start : tuple of int
        Where the field of the first output begins; negative inside the padding.
    """

    size: Ints
    jump: Ints
    start: Ints

    def of(self, *output: int) -> tuple[range, ...]:
        """Return the input positions that an output element sees, per axis; those outside the input are padding."""
        if len(output) != len(self.size):
            raise SpecError(f"output={output} has {len(output)} entries; give {len(self.size)}, one per spatial axis")
        return tuple(
            range(first + o * step, first + o * step + size)
            for o, size, step, first in zip(output, self.size, self.jump, self.start, strict=True)
        )


def receptive_field(layers: Iterable[Any], *, nd: int = 2, size: Any = None) -> ReceptiveField:
    """Compute what one output of a stack of layers sees of its input.

    Parameters
    ----------
    layers : iterable of layers, specs or mappings
        From input to output: layers of `convlib.layers`, `ConvSpec` and `PoolSpec` objects, or mappings with
        ``kernel_size`` and, if they differ from 1 and 0, ``stride``, ``dilation`` and ``padding``.
    nd : int, default 2
        Number of spatial axes.
    size : int or sequence of int, optional
        Spatial size of the input; needed if a layer's windows depend on it ("same_upper" with a stride, global and
        adaptive pooling).

    Returns
    -------
    field : ReceptiveField
        Size, jump and start per axis.

    Raises
    ------
    SpecError
        If a layer is not one of windows of one size (uneven adaptive pooling, transposed convolution), or needs `size`.

    Notes
    -----
    Layer by layer, with the effective kernel ``ke``: ``start -= lo * jump``, ``size += (ke - 1) * jump``,
    ``jump *= stride``.

    Examples
    --------
    >>> import convlib
    >>> convlib.receptive_field([{"kernel_size": 3}, {"kernel_size": 3}]).size
    (5, 5)
    >>> convlib.receptive_field([{"kernel_size": 7, "stride": 2, "padding": 3}, {"kernel_size": 3, "stride": 2}])
    ReceptiveField(size=(11, 11), jump=(4, 4), start=(-3, -3))
    """
    number_of_axes("nd", nd)
    field, jump, start = (1,) * nd, (1,) * nd, (0,) * nd
    current = None if size is None else per_axis("size", frozen(size), nd, 1)
    for layer in layers:
        spec = _windows(layer, nd, current)
        ke = effective_kernel(spec.kernel, spec.dilation)
        start = tuple(a - lo * j for a, lo, j in zip(start, spec.pad_lo, jump, strict=True))
        field = tuple(f + (e - 1) * j for f, e, j in zip(field, ke, jump, strict=True))
        jump = tuple(j * s for j, s in zip(jump, spec.stride, strict=True))
        current = None if current is None else spec.out_size
    return ReceptiveField(field, jump, start)


def _windows(layer: Any, nd: int, size: Ints | None) -> WindowSpec:
    """Return the windows of one layer over an input of `size`, or over one that just holds a window if that is None."""
    if isinstance(layer, WindowSpec):
        spec = layer
    elif isinstance(layer, Mapping):
        spec = _from_options(layer, layer, nd, size)
    elif hasattr(layer, "options") and hasattr(layer, "nd"):  # a Layer; convlib.layers loads only when it is used
        spec = _from_options(layer, layer.options, layer.nd, size)
    else:
        raise TypeError(f"a layer must be a Layer, a spec or a mapping, not {type(layer).__name__} ({quote(layer)})")
    if spec.nd != nd:
        raise SpecError(f"{layer!r} has {spec.nd} spatial axes, not nd={nd}")
    if isinstance(spec, PoolSpec) and spec.adaptive:
        raise SpecError(f"{layer!r} over {size} has windows of different sizes; make the output size divide the input")
    return spec


def _from_options(layer: Any, options: Mapping[str, Any], nd: int, size: Ints | None) -> WindowSpec:
    if "output_padding" in options:
        raise SpecError(f"{layer!r} spreads its input apart: its outputs see different numbers of elements")
    if "kernel_size" not in options:
        if isinstance(layer, Mapping):
            raise SpecError(f"{dict(layer)} names no kernel_size; add it, as in {{'kernel_size': 3}}")
        if size is None:
            raise SpecError(f"the windows of {layer!r} depend on the size of the input: give size=")
        return make_adaptive(nd, "avg", (1, *size), frozen(options.get("output_size", 1)))
    kernel = per_axis("kernel_size", frozen(options["kernel_size"]), nd, 1)
    dilation = per_axis("dilation", frozen(options.get("dilation", 1)), nd, 1)
    stride = frozen(options.get("stride", 1))
    stride = kernel if stride is None else per_axis("stride", stride, nd, 1)
    padding = frozen(options.get("padding", 0))
    if size is None and padding in ("same_upper", "same_lower") and max(stride) > 1:
        raise SpecError(f"padding={padding!r} with stride {stride} depends on the size of the input: give size=")
    if options.get("ceil_mode", False):
        shape = (1, *(size or effective_kernel(kernel, dilation)))
        return make_pool(nd, "max", shape, kernel, stride, padding, dilation, True)
    return make_columns((1, *(size or effective_kernel(kernel, dilation))), kernel, stride, padding, dilation)


class Solution(NamedTuple):
    """Options of one axis that give the wanted size."""

    kernel_size: int
    stride: int
    padding: int | tuple[tuple[int, int]]
    dilation: int
    output_padding: int


def solve_shape(
    size: int, out: int, *, kernel_size: int | None = None, stride: int | None = None, padding: int | None = None,
    dilation: int = 1, transposed: bool = False, max_kernel: int = 11,
) -> list[Solution]:  # fmt: skip
    """Find the options of one axis by which a convolution or pooling turns one size into another.

    Parameters
    ----------
    size, out : int
        Spatial size before and after.
    kernel_size, stride, padding : int, optional
        What is given; the others are searched.
    dilation : int, default 1
        Distance between the elements of a window.
    transposed : bool, default False
        Search a transposed convolution, with its ``output_padding``.
    max_kernel : int, default 11
        Largest kernel to try if `kernel_size` is not given.

    Returns
    -------
    solutions : list of Solution
        Usual ones first: padding the same on both sides, about half the kernel, small odd kernels, small strides, no
        output padding.  Empty if there are none.  Their ``padding`` can be passed on as it is.

    Raises
    ------
    SpecError
        If an argument is out of range, or there are more than 100 000 solutions.

    Examples
    --------
    >>> import convlib
    >>> convlib.solve_shape(224, 112, kernel_size=7)[0]
    Solution(kernel_size=7, stride=2, padding=3, dilation=1, output_padding=0)
    >>> [(s.stride, s.padding) for s in convlib.solve_shape(8, 8, kernel_size=3)]
    [(1, 1)]
    """
    for name, value in (("size", size), ("out", out), ("dilation", dilation), ("max_kernel", max_kernel)):
        if integer(name, value) < 1:
            raise SpecError(f"{name}={value} must be at least 1")
    if kernel_size is None and max_kernel > MOST_SOLUTIONS:
        raise SpecError(f"max_kernel={max_kernel} must be at most {MOST_SOLUTIONS}; larger kernels need kernel_size=")
    kernels = range(1, max_kernel + 1) if kernel_size is None else per_axis("kernel_size", frozen(kernel_size), 1, 1)
    given = None if stride is None else per_axis("stride", frozen(stride), 1, 1)
    pads = None if padding is None else per_axis("padding", frozen(padding), 1, 0)
    # A transposed convolution maps its output to its input as a convolution does.
    ends = (out, size) if transposed else (size, out)
    found: list[Solution] = []
    for k in kernels:
        for s in _strides(*ends, k, dilation, pads) if given is None else given:
            for total, extra in _totals(*ends, k, s, dilation, pads):
                lo, hi = total // 2, total - total // 2
                found.append(Solution(k, s, lo if lo == hi else ((lo, hi),), dilation, extra if transposed else 0))
                if len(found) > MOST_SOLUTIONS:
                    raise SpecError(
                        f"size={size} and out={out} have more than {MOST_SOLUTIONS} solutions; give kernel_size=, "
                        "stride= or padding="
                    )
    return sorted(found, key=_unusual)


def _strides(wide: int, narrow: int, k: int, dilation: int, pads: Ints | None) -> range:
    """Return the strides by which `narrow` windows may lie over `wide` elements and their padding."""
    (ke,) = effective_kernel((k,), (dilation,))
    least, most = (0, 2 * ke - 2) if pads is None else (2 * pads[0],) * 2
    too_short = (wide + least - ke) // narrow  # one window more would fit
    longest = wide if narrow == 1 else (wide + most - ke) // (narrow - 1)
    return range(max(0, too_short) + 1, longest + 1)


def _totals(
    wide: int, narrow: int, k: int, s: int, dilation: int, pads: Ints | None
) -> Iterator[tuple[int, int]]:
    """Yield each total padding that gives `narrow` windows, and the elements that then lie behind the last window."""
    (ke,) = effective_kernel((k,), (dilation,))
    least = (narrow - 1) * s + ke - wide
    # A window wholly inside the padding says nothing: each side stays below the effective kernel.
    totals = range(max(0, least), min(2 * ke - 1, least + s)) if pads is None else [2 * p for p in pads]
    yield from ((total, total - least) for total in totals if 0 <= total - least < s)


def _unusual(solution: Solution) -> tuple[Any, ...]:
    k, s, padding, dilation, extra = solution
    lo, hi = (padding, padding) if isinstance(padding, int) else padding[0]
    # Twice the distance from half the effective kernel: 0 for the padding that keeps windows centred.
    off = abs(lo + hi - (k - 1) * dilation)
    # A window shorter than the stride skips elements.
    return lo != hi, (k - 1) * dilation + 1 < s, min(off, lo + hi), extra, k % 2 == 0, off, k, s
