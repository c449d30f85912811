"""The spec of a convolution, and of its adjoint, the transposed convolution."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..errors import SpecError
from .adjoint import Phases, phases
from .arguments import (
    Ints,
    cached,
    channels_last as is_channels_last,
    check_bytes,
    choice,
    flag,
    frozen,
    integer,
    per_axis,
    real,
    shape,
    split,
)
from .padding import PADDING_MODES, effective_kernel, out_size, resolve_padding
from .windows import WindowSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec(WindowSpec):
    """One convolution: everything about it but the numbers.

    Make one with `ConvSpec.make`; the constructor trusts its arguments.  `c` counts the input channels.
    """

    oc: int
    groups: int
    padding_mode: str = "constant"
    pad_value: float = 0.0
    flip: bool = False

    __hash__ = WindowSpec.__hash__

    @classmethod
    def make(cls, x_shape: Sequence[int], w_shape: Sequence[int], **options: Any) -> ConvSpec:
        """Check the shapes and options of a convolution and derive all sizes.

        Parameters
        ----------
        x_shape : sequence of int
            ``(N, C, *spatial)`` or ``(C, *spatial)``; channels last with ``layout="NHWC"``.
        w_shape : sequence of int
            ``(OC, C / groups, *kernel)``.
        **options
            ``stride, padding, dilation, groups, padding_mode, pad_value, flip, layout`` as in `conv2d`.

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

    def phases(self) -> Phases:
        """Return the convolutions of stride 1 over the outputs that together are the adjoint in the input.

        There are never more than taps.
        """
        return phases(self)

    def check_grad(self, grad_shape: Ints) -> None:
        """Raise SpecError unless `grad_shape` is the shape of the result."""
        if grad_shape != self.y_shape:
            raise SpecError(
                f"grad_y has the shape {grad_shape}; this convolution of x {self.x_shape} with w {self.w_shape} gives "
                f"{self.y_shape}"
            )


@cached
def make_conv(
    nd: int, x_shape: Ints, w_shape: Ints, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1,
    padding_mode: Any = "constant", pad_value: Any = 0.0, flip: Any = False, layout: Any = "NCHW",
) -> ConvSpec:  # fmt: skip
    """Make the spec of a convolution from hashable arguments; see `ConvSpec.make`."""
    if nd < 1 or len(w_shape) != nd + 2:
        raise SpecError(f"w has {len(w_shape)} axes {w_shape}; expected {max(nd, 1) + 2}: (OC, C / groups, *kernel)")
    channels_last = is_channels_last(layout, nd)
    batched, n, c, in_size = split("x", x_shape, nd, channels_last)
    kernel = per_axis("the kernel size of w", w_shape[2:], nd, 1)
    stride = per_axis("stride", stride, nd, 1)
    dilation = per_axis("dilation", dilation, nd, 1)
    groups, oc = integer("groups", groups), w_shape[0]
    if groups < 1 or c % groups or oc % groups:
        raise SpecError(
            f"groups={groups} must be at least 1 and divide both channel counts, {c} of x {x_shape} and {oc} of w "
            f"{w_shape}; valid: any divisor of {math.gcd(c, oc)}"
        )
    if w_shape[1] * groups != c:
        raise SpecError(
            f"channel mismatch: x {x_shape} has {c} channels and groups={groups}, so w {w_shape} must have "
            f"{c // groups} on its second axis, not {w_shape[1]}"
        )
    mode = PADDING_MODES[choice("padding_mode", padding_mode, tuple(PADDING_MODES))]
    ke = effective_kernel(kernel, dilation)
    lo, hi = resolve_padding(padding, in_size, ke, stride)
    if mode != "constant" and any(size == 0 and p + q for size, p, q in zip(in_size, lo, hi, strict=True)):
        raise SpecError(f"padding_mode={padding_mode!r} cannot extend an empty axis of x {x_shape}; use 'constant'")
    spec = ConvSpec(
        n=n, c=c, oc=oc, groups=groups, in_size=in_size, kernel=kernel, stride=stride, dilation=dilation,
        pad_lo=lo, pad_hi=hi, out_size=out_size(in_size, ke, stride, lo, hi), padding_mode=mode,
        pad_value=real("pad_value", pad_value), flip=flag("flip", flip), channels_last=channels_last, batched=batched,
    )  # fmt: skip
    check_bytes("x with its padding", (n, c, *spec.unpadded().in_size))
    check_bytes("w", w_shape)
    check_bytes("the result", spec.y_shape)
    return spec


@cached
def make_transpose(
    nd: int, x_shape: Ints, w_shape: Ints, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: Any = 1, flip: Any = False, layout: Any = "NCHW",
) -> ConvSpec:  # fmt: skip
    """Make the spec of the convolution whose adjoint is the transposed convolution asked for.

    In the spec returned, ``y_shape`` is the shape of the caller's `x` and ``x_shape`` that of the caller's result.
    """
    if len(w_shape) != nd + 2:
        raise SpecError(f"w has {len(w_shape)} axes {w_shape}; expected {nd + 2}: (C, OC / groups, *kernel)")
    channels_last = is_channels_last(layout, nd)
    batched, n, c, size = split("x", x_shape, nd, channels_last)
    kernel = per_axis("the kernel size of w", w_shape[2:], nd, 1)
    stride, dilation = per_axis("stride", stride, nd, 1), per_axis("dilation", dilation, nd, 1)
    extra = per_axis("output_padding", output_padding, nd, 0)
    groups = integer("groups", groups)
    if c != w_shape[0] or groups < 1 or c % groups:
        raise SpecError(
            f"x {x_shape} has {c} channels: w {w_shape} must have as many on its first axis, (C, OC / groups, *kernel),"
            f" and groups={groups} must be at least 1 and divide {c}"
        )
    if min(size) < 1:
        raise SpecError(f"x {x_shape} has an empty spatial axis: transposed convolution needs at least 1 element")
    ke = effective_kernel(kernel, dilation)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= max(s, d):
            raise SpecError(
                f"output_padding={extra} must be smaller than the stride {stride} or the dilation {dilation} on each "
                f"axis; use at most {max(s, d) - 1} there"
            )
    target = None if output_size is None else per_axis("output_size", output_size, nd, 1)
    grown = tuple((i - 1) * s + e for i, s, e in zip(size, stride, ke, strict=True))
    lo, hi, out = _transpose_sizes(size, stride, ke, padding, extra, target, grown)
    oc = w_shape[1] * groups
    spec = ConvSpec(
        n=n, c=oc, oc=c, groups=groups, in_size=out, kernel=kernel, stride=stride, dilation=dilation, pad_lo=lo,
        pad_hi=hi, out_size=size, flip=flag("flip", flip), channels_last=channels_last, batched=batched,
    )  # fmt: skip
    check_bytes("w", w_shape)
    check_bytes("the result", spec.x_shape)
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
        # The amounts that the convolution of stride 1 would add: what the forward operator padded is cut off here.
        lo, hi = resolve_padding(padding, size, ke, (1,) * len(size) if isinstance(padding, str) else stride)
        plain = tuple(g - p - q for g, p, q in zip(grown, lo, hi, strict=True))
        out = target or tuple(o + e for o, e in zip(plain, extra, strict=True))
        for o, least, s in zip(out, plain, stride, strict=True):
            if target is not None and not least <= o < least + s:
                raise SpecError(
                    f"output_size={target} cannot be reached: valid sizes run from {plain} up to, but not including, "
                    f"{tuple(p + t for p, t in zip(plain, stride, strict=True))}"
                )
    if min(out) < 1:
        raise SpecError(f"the result would have the spatial size {out}; reduce the padding (lo {lo}, hi {hi})")
    return lo, hi, out


def needs_padding(spec: ConvSpec) -> bool:
    """Return whether the padding holds anything but zeros, so that it must be written into a copy of the input."""
    return (spec.padding_mode != "constant" or spec.pad_value != 0) and spec.padded


@lru_cache(maxsize=256)
def zero_padded(spec: ConvSpec) -> ConvSpec:
    """Return the spec as hooks see it: padding that holds anything but zeros is part of the input."""
    if not needs_padding(spec):
        return spec
    return replace(spec.unpadded(), padding_mode="constant", pad_value=0.0)
