"""Questions about shapes: what an output sees of the input, and which options give a wanted size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple, TypeAlias

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
    #: What each layer made of it, by name; the input first.
    steps: tuple[tuple[str, ReceptiveField], ...] = field(default=(), repr=False, compare=False)

    def of(self, *output: int) -> tuple[range, ...]:
        """Return the input positions that an output element sees, per axis; those outside the input are padding."""
        if len(output) != len(self.size):
            raise SpecError(f"output={output} has {len(output)} entries; give {len(self.size)}, one per spatial axis")
        return tuple(
            range(first + o * step, first + o * step + size)
            for o, size, step, first in zip(output, self.size, self.jump, self.start, strict=True)
        )


    def text(self, axis: int = -1, width: int = 60) -> str:
        """Return how the field grows on one axis, a line per layer: its size, and where it lies.

        Parameters
        ----------
        axis : int, default -1
            The axis to draw.
        width : int, default 60
            Characters of the widest field.

        Returns
        -------
        picture : str
            Each line draws the field of one output as wide as it is, beside the largest one.

        Examples
        --------
        >>> import convlib
        >>> print(convlib.receptive_field([{"kernel_size": 3}, {"kernel_size": 3, "stride": 2}]).text())
        layer          size  jump  field
        input             1     1  #
        kernel_size=3     3     1  ###
        kernel_size=3     5     2  #####
        """
        steps = self.steps or (("field", self),)
        names = max(len("layer"), *(len(name) for name, _ in steps))
        widest = max(seen.size[axis] for _, seen in steps)
        lines = [f"{'layer':<{names}}  size  jump  field"]
        for name, seen in steps:
            bar = "#" * max(1, seen.size[axis] if widest <= width else round(seen.size[axis] * width / widest))
            lines.append(f"{name:<{names}}  {seen.size[axis]:4}  {seen.jump[axis]:4}  {bar}")
        return "\n".join(lines)

    def plot(self, path: str, size: Sequence[int] | None = None) -> None:
        """Draw the fields of the layers' outputs, one inside the other; needs Matplotlib.

        Parameters
        ----------
        path : str
            Picture to write: png, svg or pdf.
        size : sequence of int, optional
            Height and width of the input, which is drawn as well; the field is that of the output in the middle.

        Raises
        ------
        SpecError
            If the field has not two axes, or Matplotlib is missing.
        """
        from .pictures import plot_field  # which loads Matplotlib

        plot_field(self, path, size)


def receptive_field(layers: Iterable[Any], *, nd: int = 2, size: Any = None) -> ReceptiveField:
    """Compute what one output of a stack of layers sees of its input.

    Parameters
    ----------
    layers : iterable of layers, specs or mappings
        From input to output: layers of `convlib.layers`, `ConvSpec` and `PoolSpec` objects, or mappings with
        ``kernel_size`` and, if they differ from 1 and 0, ``stride``, ``dilation`` and ``padding``.  `Residual` stands
        for paths that are added.  Any other object that can be called, or has a ``forward``, and any name, is taken to
        work element by element, as activations do.
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
    current = None if size is None else per_axis("size", frozen(size), nd, 1)
    first = ReceptiveField((1,) * nd, (1,) * nd, (0,) * nd)
    seen, _, steps = through(layers, first, current, nd)
    return replace(seen, steps=(("input", first), *steps))


Steps: TypeAlias = list[tuple[str, ReceptiveField]]


def through(
    layers: Iterable[Any], seen: ReceptiveField, size: Ints | None, nd: int
) -> tuple[ReceptiveField, Ints | None, Steps]:
    """Return what an output of layers sees, given what an element of their input sees and how large that is."""
    steps: Steps = []
    for layer in layers:
        if isinstance(layer, Residual):
            seen, size = _added(layer, seen, size, nd)
        elif not elementwise(layer):
            spec = layer_windows(layer, nd, size)
            ke = effective_kernel(spec.kernel, spec.dilation)
            start = tuple(a - lo * j for a, lo, j in zip(seen.start, spec.pad_lo, seen.jump, strict=True))
            reach = tuple(f + (e - 1) * j for f, e, j in zip(seen.size, ke, seen.jump, strict=True))
            jump = tuple(j * s for j, s in zip(seen.jump, spec.stride, strict=True))
            seen, size = ReceptiveField(reach, jump, start), None if size is None else spec.out_size
        steps.append((name_of(layer), seen))
    return seen, size, steps


def _added(
    layer: Residual, seen: ReceptiveField, size: Ints | None, nd: int
) -> tuple[ReceptiveField, Ints | None]:
    """Return what the sum of paths sees: from where the first begins to where the last ends."""
    ends = [through(path, seen, size, nd)[:2] for path in (layer.branch, layer.shortcut)]
    (one, left), (other, right) = ends
    if left != right:
        raise SpecError(f"{layer!r} adds what does not lie alike: its paths give the sizes {left} and {right}")
    return joined(repr(layer), one, other), left


def joined(name: str, one: ReceptiveField, other: ReceptiveField) -> ReceptiveField:
    """Return what a sum sees: from where the first of its terms begins to where the last ends."""
    if one.jump != other.jump:
        raise SpecError(f"{name} adds what does not lie alike: its paths have the steps {one.jump} and {other.jump}")
    start = tuple(map(min, one.start, other.start))
    ends = [tuple(a + s for a, s in zip(path.start, path.size, strict=True)) for path in (one, other)]
    size = tuple(max(b) - a for a, *b in zip(start, *ends, strict=True))
    return ReceptiveField(size, one.jump, start)


@dataclass(frozen=True)
class Residual:
    """Two paths from one place to another, whose results are added.

    Attributes
    ----------
    branch : sequence of layers
        As `receptive_field` and `cost` take them.
    shortcut : sequence of layers
        The other path; by default it does nothing.
    """

    branch: Sequence[Any]
    shortcut: Sequence[Any] = ()


def elementwise(layer: Any) -> bool:
    """Return whether a layer is taken to work element by element: what is no layer of convlib, spec or mapping."""
    if isinstance(layer, (WindowSpec, Mapping, Residual)) or (hasattr(layer, "options") and hasattr(layer, "nd")):
        return False
    return isinstance(layer, str) or callable(layer) or hasattr(layer, "forward")


def name_of(layer: Any) -> str:
    """Return a short name of a layer."""
    if isinstance(layer, Mapping):
        return str(layer.get("name") or f"kernel_size={layer.get('kernel_size')}")
    if isinstance(layer, str):
        return layer
    return str(getattr(layer, "__name__", type(layer).__name__))


def layer_windows(layer: Any, nd: int, size: Ints | None) -> WindowSpec:
    """Return the windows of one layer over an input of `size`, or over one that just holds a window if that is None."""
    if isinstance(layer, WindowSpec):
        spec = layer
    elif isinstance(layer, Mapping):
        spec = _from_options(layer, layer, nd, size)
    elif hasattr(layer, "options") and hasattr(layer, "nd"):  # a Layer; convlib.layers loads only when it is used
        spec = _from_options(layer, layer.options, layer.nd, size)
    else:
        raise TypeError(
            f"a layer must be a Layer, a spec, a mapping or something to call, not {type(layer).__name__} "
            f"({quote(layer)})"
        )
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
    dilation: int | None = 1, transposed: bool = False, max_kernel: int = 11, max_dilation: int = 4,
) -> list[Solution]:  # fmt: skip
    """Find the options of one axis by which a convolution or pooling turns one size into another.

    Parameters
    ----------
    size, out : int
        Spatial size before and after.
    kernel_size, stride, padding : int, optional
        What is given; the others are searched.
    dilation : int or None, default 1
        Distance between the elements of a window; None searches it, too.
    transposed : bool, default False
        Search a transposed convolution, with its ``output_padding``.
    max_kernel : int, default 11
        Largest kernel to try if `kernel_size` is not given.
    max_dilation : int, default 4
        Largest dilation to try if `dilation` is None.

    Returns
    -------
    solutions : list of Solution
        Usual ones first: padding the same on both sides, about half the kernel, small odd kernels, small strides, no
        output padding, no dilation.  Empty if there are none.  Their ``padding`` can be passed on as it is.

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
    least = 1 if dilation is None else dilation
    checked = {"size": size, "out": out, "dilation": least, "max_kernel": max_kernel, "max_dilation": max_dilation}
    for name, value in checked.items():
        if integer(name, value) < 1:
            raise SpecError(f"{name}={value} must be at least 1")
    if kernel_size is None and max_kernel > MOST_SOLUTIONS:
        raise SpecError(f"max_kernel={max_kernel} must be at most {MOST_SOLUTIONS}; larger kernels need kernel_size=")
    spread = range(1, max_dilation + 1) if dilation is None else (dilation,)
    kernels = range(1, max_kernel + 1) if kernel_size is None else per_axis("kernel_size", frozen(kernel_size), 1, 1)
    given = None if stride is None else per_axis("stride", frozen(stride), 1, 1)
    pads = None if padding is None else per_axis("padding", frozen(padding), 1, 0)
    # A transposed convolution maps its output to its input as a convolution does.
    ends = (out, size) if transposed else (size, out)
    found: list[Solution] = []
    for k, d in product(kernels, spread):
        if k == 1 and d > spread[0]:
            continue  # a window of one element has no distance
        for s in _strides(*ends, k, d, pads) if given is None else given:
            for total, extra in _totals(*ends, k, s, d, pads):
                lo, hi = total // 2, total - total // 2
                found.append(Solution(k, s, lo if lo == hi else ((lo, hi),), d, extra if transposed else 0))
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
    return lo != hi, (k - 1) * dilation + 1 < s, min(off, lo + hi), extra, dilation, k % 2 == 0, off, k, s
