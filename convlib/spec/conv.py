"""The spec of a convolution, and of its adjoint, the transposed convolution."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from ..errors import SpecError, quote
from .adjoint import Phases, phase_count, phases
from .arguments import (
    MOST_AXES,
    Ints,
    cached,
    channels_last as is_channels_last,
    check_names,
    choice,
    flag,
    frozen,
    integer,
    keywords,
    per_axis,
    shape,
    split,
)
from .padding import OTHER_MODES, PADDING_MODES, effective_kernel, out_size, resolve_mode, resolve_padding
from .sizes import check_array, check_windows
from .weights import WeightOrder, weight_order
from .windows import WindowSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec(WindowSpec):
    """One convolution: everything about it but the numbers.

    Make one with `ConvSpec.make`; the constructor trusts its arguments.  `c` counts the input channels.  `w_memory` has
    the axes of the weights from the slowest to the fastest of an array without gaps, or nothing if they lie in order.
    """

    oc: int
    groups: int
    padding_mode: str = "constant"
    pad_value: float = 0.0
    flip: bool = False
    w_memory: Ints = ()

    #: The value of padding that hooks know.
    unset: ClassVar[float] = 0.0

    __hash__: ClassVar[Callable[[WindowSpec], int]] = WindowSpec.__hash__

    @classmethod
    def make(cls, x_shape: Sequence[int], w_shape: Sequence[int], **options: Any) -> ConvSpec:
        """Check the shapes and options of a convolution and derive all sizes.

        Parameters
        ----------
        x_shape : sequence of int
            ``(N, C, *spatial)`` or ``(C, *spatial)``; channels last with ``layout="NHWC"``.
        w_shape : sequence of int
            ``(OC, C / groups, *kernel)``, or as `w_layout` says.
        **options
            ``stride, padding, dilation, groups, padding_mode, pad_value, flip, layout, w_layout`` as in `conv2d`.

        Returns
        -------
        spec : ConvSpec
            Immutable and hashable.

        Raises
        ------
        SpecError
            If a rule is broken; the message names the argument, the rule and a valid value.
        TypeError
            If an argument has a wrong type.

        Examples
        --------
        >>> ConvSpec.make((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3).y_shape
        (1, 64, 112, 112)
        """
        check_names("ConvSpec.make", options, keywords(make_conv, 3))
        w = shape("w_shape", w_shape)
        return make_conv(len(w) - 2, shape("x_shape", x_shape), w, **{k: frozen(v) for k, v in options.items()})

    @property
    def icg(self) -> int:
        """Input channels per group."""
        return self.c // self.groups

    @property
    def ocg(self) -> int:
        """Output channels per group."""
        return self.oc // self.groups

    @property
    def w_shape(self) -> Ints:
        """Shape of the weights."""
        return (self.oc, self.icg, *self.kernel)

    @property
    def y_shape(self) -> Ints:
        """Shape of the result as the caller gets it."""
        return self._order(self.oc, self.out_size)

    @property
    def reduction(self) -> int:
        """Products summed into one output element."""
        return self.icg * self.taps_count

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole call, padding taps included."""
        return self.n * self.oc * self.out_count * self.reduction

    def paired(self) -> ConvSpec:
        """Return the convolution of real numbers that this one of complex numbers is.

        Real and imaginary parts are channels of their own, one after the other; weights are contiguous, in order.
        """
        return _paired(self)

    def phases(self) -> Phases:
        """Return the convolutions of stride 1 over the outputs that together are the adjoint in the input.

        There are never more than taps.
        """
        return phases(self)

    @property
    def phase_count(self) -> int:
        """How many `phases` there are, and at most so many if padding or the input's end leaves some out."""
        return phase_count(self)

    def check_grad(self, grad_shape: Ints) -> None:
        """Raise SpecError unless `grad_shape` is the shape of the result."""
        if grad_shape != self.y_shape:
            raise SpecError(
                f"grad_y has the shape {grad_shape}; this convolution of x {self.x_shape} with w {self.w_shape} gives "
                f"{self.y_shape}"
            )


@lru_cache(maxsize=512)
def _paired(spec: ConvSpec) -> ConvSpec:
    """See `ConvSpec.paired`."""
    return replace(spec, c=2 * spec.c, oc=2 * spec.oc, w_memory=())


@cached
def make_conv(
    nd: int, x_shape: Ints, w_shape: Ints, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1,
    padding_mode: Any = "constant", pad_value: Any = 0.0, flip: Any = False, layout: Any = "NCHW",
    w_layout: Any = "OIHW",
) -> ConvSpec:  # fmt: skip
    """Make the spec of a convolution from hashable arguments; see `ConvSpec.make`."""
    order = weight_order(min(max(nd, 1), MOST_AXES), w_layout)
    order.check_rank(w_shape)
    channels_last = is_channels_last(layout, nd)
    batched, n, c, in_size = split("x", x_shape, nd, channels_last)
    given, w_shape = w_shape, order.shape(w_shape, groups)
    kernel = per_axis("the kernel size of w", w_shape[2:], nd, 1)
    stride = per_axis("stride", stride, nd, 1)
    dilation = per_axis("dilation", dilation, nd, 1)
    groups, oc = _check_channels(x_shape, given, w_shape, order, c, groups), w_shape[0]
    ke = effective_kernel(kernel, dilation)
    lo, hi = resolve_padding(padding, in_size, ke, stride)
    mode, value = resolve_mode(padding_mode, pad_value, 0.0, x_shape, in_size, lo, hi)
    spec = ConvSpec(
        n=n, c=c, oc=oc, groups=groups, in_size=in_size, kernel=kernel, stride=stride, dilation=dilation,
        pad_lo=lo, pad_hi=hi, out_size=out_size(in_size, kernel, stride, dilation, lo, hi), padding_mode=mode,
        pad_value=value, flip=flag("flip", flip), channels_last=channels_last, batched=batched,
        w_memory=order.memory,
    )  # fmt: skip
    check_array("x", x_shape)
    check_array("w", w_shape)
    check_array("the result", spec.y_shape)
    check_windows(spec, oc)
    return spec


def _check_channels(x_shape: Ints, given: Ints, w_shape: Ints, order: WeightOrder, c: int, value: Any) -> int:
    """Return the number of groups, which must fit the channels of x and of w, which has the shape `given`."""
    groups, oc, second = integer("groups", value), w_shape[0], w_shape[1]
    if groups < 1 or c % groups or oc % groups:
        fits = c // second if second and c % second == 0 else 0
        valid = fits if fits and oc % fits == 0 else f"any divisor of {math.gcd(c, oc) or 1}"
        raise SpecError(
            f"groups={groups} must be at least 1 and divide both channel counts, {c} of x {x_shape} and {oc} of w "
            f"{given}; valid: {valid}"
        )
    if second * groups != c:
        raise SpecError(
            f"channel mismatch: x {x_shape} has {c} channels and groups={groups}, so w {given} must have "
            f"{c // groups} on its {order.place(1)}, not {second}"
        )
    return groups


@cached
def make_filter(image_shape: Ints, kernel_shape: Ints, mode: Any, boundary: Any, flip: Any) -> ConvSpec:
    """Make the spec of `filter2d`, whose user knows neither x nor w."""
    if len(image_shape) not in (2, 3):
        raise SpecError(f"image has {len(image_shape)} axes {quote(image_shape)}; expected (H, W) or (H, W, C)")
    if len(kernel_shape) != 2:
        raise SpecError(f"kernel has {len(kernel_shape)} axes {quote(kernel_shape)}; expected (KH, KW)")
    if min(kernel_shape) < 1:
        raise SpecError(f"kernel has the shape {kernel_shape}; it must have at least 1 element on each axis")
    size, channels = image_shape[:2], image_shape[2] if len(image_shape) == 3 else 1
    padding = choice("mode", mode, ("same", "valid", "full"))
    extended = PADDING_MODES[choice("boundary", boundary, tuple(PADDING_MODES), OTHER_MODES)] != "constant"
    extended = extended and mode != "valid"
    if min(size) < 1 and extended:
        raise SpecError(f"boundary={boundary!r} cannot extend an empty axis of image {image_shape}; use 'constant'")
    lacking = [k > i for i, k in zip(size, kernel_shape, strict=True)]
    if mode == "valid" and any(lacking):
        most = tuple(map(min, size, kernel_shape))
        raise SpecError(
            f"kernel {kernel_shape} does not fit into image {image_shape} with mode='valid'; use mode='same'"
            + (f", or a kernel of at most {most}" if min(most) else "")
        )
    w_shape = (channels, min(channels, 1), *kernel_shape)
    return make_conv(
        2, (*size, channels), w_shape, 1, padding, 1, max(1, channels), boundary, 0.0, flag("flip", flip), "NHWC"
    )


@cached
def make_transpose(
    nd: int, x_shape: Ints, w_shape: Ints, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: Any = 1, flip: Any = False, layout: Any = "NCHW",
    w_layout: Any = "IOHW",
) -> ConvSpec:  # fmt: skip
    """Make the spec of the convolution whose adjoint is the transposed convolution asked for.

    In the spec returned, ``y_shape`` is the shape of the caller's `x` and ``x_shape`` that of the caller's result.
    """
    order = weight_order(nd, w_layout, True)
    order.check_rank(w_shape)
    channels_last = is_channels_last(layout, nd)
    batched, n, c, size = split("x", x_shape, nd, channels_last)
    given, w_shape = w_shape, order.shape(w_shape, groups)
    kernel = per_axis("the kernel size of w", w_shape[2:], nd, 1)
    stride, dilation = per_axis("stride", stride, nd, 1), per_axis("dilation", dilation, nd, 1)
    extra = per_axis("output_padding", output_padding, nd, 0)
    groups = integer("groups", groups)
    if c != w_shape[0] or groups < 1 or c % groups:
        raise SpecError(
            f"x {x_shape} has {c} channels: w {given} must have as many on its {order.place(0)}, {order.text}, and "
            f"groups={groups} must be at least 1 and divide {c}"
        )
    if min(size) < 1:
        raise SpecError(f"x {x_shape} has an empty spatial axis: transposed convolution needs at least 1 element")
    ke = effective_kernel(kernel, dilation)
    for axis, (e, s, d) in enumerate(zip(extra, stride, dilation, strict=True)):
        if e >= max(s, d):
            raise SpecError(
                f"output_padding={extra} must be smaller than the stride {stride} or the dilation {dilation} on each "
                f"axis; use at most {max(s, d) - 1} on axis {axis}"
            )
    target = None if output_size is None else per_axis("output_size", output_size, nd, 1)
    grown = tuple((i - 1) * s + e for i, s, e in zip(size, stride, ke, strict=True))
    lo, hi, out = _transpose_sizes(size, stride, ke, padding, extra, target, grown)
    oc = w_shape[1] * groups
    spec = ConvSpec(
        n=n, c=oc, oc=c, groups=groups, in_size=out, kernel=kernel, stride=stride, dilation=dilation, pad_lo=lo,
        pad_hi=hi, out_size=size, flip=flag("flip", flip), channels_last=channels_last, batched=batched,
        w_memory=order.memory,
    )  # fmt: skip
    check_array("x", x_shape)
    check_array("w", w_shape)
    check_array("the result", spec.x_shape)
    check_windows(spec, c)
    return spec


def _transpose_sizes(
    size: Ints, stride: Ints, ke: Ints, padding: Any, extra: Ints, target: Ints | None, grown: Ints
) -> tuple[Ints, Ints, Ints]:
    if padding in ("same_upper", "same_lower"):
        # ONNX ConvTranspose: the output has i * s elements, or output_size; the rest is cut off at both ends.
        out = target or tuple(i * s for i, s in zip(size, stride, strict=True))
        cut = [max(0, g + e - o) for g, e, o in zip(grown, extra, out, strict=True)]
        small, large = tuple(t // 2 for t in cut), tuple(t - t // 2 for t in cut)
        lo, hi = (large, small) if padding == "same_lower" else (small, large)
    else:
        # What the forward operator padded is cut off here.
        lo, hi = resolve_padding(padding, size, ke, stride, "size * stride")
        plain = tuple(g - p - q for g, p, q in zip(grown, lo, hi, strict=True))
        out = target or tuple(o + e for o, e in zip(plain, extra, strict=True))
        largest = tuple(p + (e if target is None else s - 1) for p, e, s in zip(plain, extra, stride, strict=True))
        if min(largest) < 1:
            axis = largest.index(min(largest))
            raise SpecError(
                f"the padding lo {lo} hi {hi} cuts all off: the result would have the spatial size {largest}; reduce "
                f"the padding to lo + hi of at most {grown[axis] - 1} on axis {axis}"
            )
        if target is not None and not all(p <= o <= q for o, p, q in zip(out, plain, largest, strict=True)):
            first = tuple(max(1, p) for p in plain)
            raise SpecError(f"output_size={target} cannot be reached; valid sizes run from {first} to {largest}")
    return lo, hi, out


def check_bias(bias_shape: Ints, channels: int) -> None:
    """Raise SpecError unless `bias_shape` is that of one number per output channel."""
    if bias_shape != (channels,):
        given = quote(bias_shape)
        raise SpecError(f"bias has the shape {given}; expected ({channels},), one number per output channel")
