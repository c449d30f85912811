"""The spec of a pooling."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

from ..errors import SpecError
from .adjoint import pool_adjoint
from .arguments import (
    IntOrAxes,
    Ints,
    cached,
    channels_last as is_channels_last,
    check_names,
    choice,
    flag,
    frozen,
    integer,
    keywords,
    number_of_axes,
    per_axis,
    real,
    shape,
    split,
)
from .padding import ceil_size, effective_kernel, out_size, resolve_mode, resolve_padding
from .sizes import check_array, check_windows
from .windows import WindowSpec

PoolKind: TypeAlias = Literal["max", "min", "avg", "sum", "lp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec(WindowSpec):
    """One pooling: everything about it but the numbers.

    Make one with `PoolSpec.make` or `make_adaptive`; the constructor trusts its arguments.
    """

    kind: PoolKind
    count_include_pad: bool = True
    divisor: int | None = None
    norm: float = 0.0
    adaptive: bool = False
    places: bool = False
    padding_mode: str = "constant"
    pad_value: float | None = None  # None: constant padding takes no part

    #: The value of padding that hooks know.
    unset: ClassVar[None] = None

    __hash__: ClassVar[Callable[[WindowSpec], int]] = WindowSpec.__hash__

    @classmethod
    def make(cls, kind: str, x_shape: Sequence[int], kernel_size: IntOrAxes, **options: Any) -> PoolSpec:
        """Check the shapes and options of a pooling and derive all sizes.

        Parameters
        ----------
        kind : {"max", "min", "avg", "sum", "lp"}
            How a window becomes one number.
        x_shape : sequence of int
            ``(N, C, *spatial)`` or ``(C, *spatial)``; channels last with ``layout="NHWC"``.
        kernel_size : int or sequence of int
            Window size per axis.
        **options
            ``nd`` (the number of spatial axes, needed if `kernel_size` is one integer), ``stride, padding, dilation,
            ceil_mode, count_include_pad, divisor_override, norm, layout, padding_mode, pad_value`` as in `avg_pool2d`.

        Returns
        -------
        spec : PoolSpec
            Immutable and hashable.

        Raises
        ------
        SpecError
            If a rule is broken; the message names the argument, the rule and a valid value.
        TypeError
            If an argument has a wrong type.

        Examples
        --------
        >>> PoolSpec.make("avg", (1, 1, 9, 9), 4, nd=2, stride=4, padding=2, ceil_mode=True).out_size
        (3, 3)
        """
        kernel = frozen(kernel_size)
        nd = options.pop("nd", None)
        if nd is None:
            if not isinstance(kernel, tuple):
                raise SpecError("kernel_size is one integer: name the number of spatial axes with nd=1, 2 or 3")
            nd = len(kernel)
        check_names("PoolSpec.make", options, keywords(make_pool, 4))
        frozen_options = {k: frozen(v) for k, v in options.items()}
        return make_pool(number_of_axes("nd", nd), kind, shape("x_shape", x_shape), kernel, **frozen_options)

    @property
    def y_shape(self) -> Ints:
        """Shape of the result as the caller gets it."""
        return self._order(self.c, self.out_size)

    @property
    def longest(self) -> Ints:
        """Size of the longest window per axis, which in an adaptive pooling may be one element longer than others."""
        if not self.adaptive:
            return self.kernel
        return tuple(min(k + 1, size) for k, size in zip(self.kernel, self.in_size, strict=True))

    def of_gradient(self) -> PoolSpec:
        """Return the spec of the same pooling for its gradient, to which a value that was padded gives nothing."""
        held = self.pad_value is None or self.norm == math.inf  # it may be the largest element
        return self if held else replace(self, pad_value=None)

    def with_places(self, places: bool) -> PoolSpec:
        """Return the spec of the same pooling, with the place of each extreme wanted or not.

        Padding that repeats what windows hold anyway, as it mostly does, is left out: no extreme depends on it.
        """
        if places == self.places and self.padding_mode == "constant":
            return self
        return _with_places(self, places)

    def adjoint(self) -> PoolSpec | None:
        """Return the pooling of the outputs that is the adjoint, or None if there is none.

        With stride 1 and one divisor, an input takes the sum or average of the windows round it.
        """
        return pool_adjoint(self)

    def check_grad(self, name: str, grad_shape: Ints) -> None:
        """Raise SpecError unless `grad_shape`, that of the argument `name`, is the shape of the result."""
        if grad_shape != self.y_shape:
            raise SpecError(
                f"{name} has the shape {grad_shape}; this pooling of x {self.x_shape} gives {self.y_shape}"
            )

    def taps(self, axis: int, o: int) -> range:
        """Return the positions on `axis` that window `o` holds, those inside the input only."""
        if not self.adaptive:
            return WindowSpec.taps(self, axis, o)
        size, out = self.in_size[axis], self.out_size[axis]
        return range(o * size // out, -(-(o + 1) * size // out))

    def taps_inside(self, axis: int) -> int:
        """Count the window elements inside the input, over all windows on `axis`."""
        if not self.adaptive:
            return WindowSpec.taps_inside(self, axis)
        # Neighbouring windows share one element where their border lies within it.
        size, out = self.in_size[axis], self.out_size[axis]
        return size + out - math.gcd(size, out)

    def counted(self, axis: int, o: int) -> int:
        """Return how many taps of window `o` count in an average with ``count_include_pad``.

        Those inside the input and its padding; a window that reaches further, which ``ceil_mode``
        allows, does not count the taps behind the padding (PyTorch's and ONNX's rule).
        """
        if self.adaptive:
            return len(self.taps(axis, o))
        first = o * self.stride[axis] - self.pad_lo[axis]
        return min(self.kernel[axis], -((first - self.in_size[axis] - self.pad_hi[axis]) // self.dilation[axis]))


@cached
def _with_places(spec: PoolSpec, places: bool) -> PoolSpec:
    idle = spec.kind in ("max", "min") and spec.padding_mode in ("edge", *_OVERLAP) and all(
        _holds_what_is_repeated(spec, axis) for axis in range(spec.nd)
    )  # fmt: skip
    if idle and (spec.padding_mode == "edge" or not places):  # mirrored, the first of equals may lie elsewhere
        spec = replace(spec, padding_mode="constant")
    return replace(spec, places=places)


#: By how many elements a window must reach further into the input than into its padding, to hold what that repeats.
_OVERLAP = {"reflect": 1, "symmetric": 0}


def _holds_what_is_repeated(spec: PoolSpec, axis: int) -> bool:
    """Return whether each window holds the elements on `axis` that its padding repeats."""
    if spec.dilation[axis] != 1:
        return False
    if spec.padding_mode == "edge":
        return True  # no window sees nothing but padding
    k, overlap = spec.kernel[axis], _OVERLAP[spec.padding_mode]
    before = spec.pad_lo[axis]
    after = (spec.out_size[axis] - 1) * spec.stride[axis] - before + k - spec.in_size[axis]  # of the last window
    return 2 * before + overlap <= k and after + min(after, spec.pad_hi[axis]) + overlap <= k


@cached
def make_pool(
    nd: int, kind: Any, x_shape: Ints, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: Any = False, count_include_pad: Any = True, divisor_override: Any = None, norm: Any = 0.0,
    layout: Any = "NCHW", padding_mode: Any = "constant", pad_value: Any = None,
) -> PoolSpec:  # fmt: skip
    """Make the spec of a pooling from hashable arguments; see `PoolSpec.make`."""
    kind = choice("kind", kind, ("max", "min", "avg", "sum", "lp"))
    channels_last = is_channels_last(layout, nd)
    batched, n, c, in_size = split("x", x_shape, nd, channels_last)
    kernel = per_axis("kernel_size", kernel_size, nd, 1)
    stride = kernel if stride is None else per_axis("stride", stride, nd, 1)
    dilation = per_axis("dilation", dilation, nd, 1)
    ke = effective_kernel(kernel, dilation)
    lo, hi = resolve_padding(padding, in_size, ke, stride)
    for axis, (e, before, after) in enumerate(zip(ke, lo, hi, strict=True)):
        if max(before, after) >= e:
            raise SpecError(
                f"padding lo {lo} hi {hi} must be smaller than the effective kernel {ke}, or a window would see "
                f"nothing but padding; use at most {e - 1} on axis {axis}"
            )
    sizes = ceil_size if flag("ceil_mode", ceil_mode) else out_size
    divisor = None if divisor_override is None else integer("divisor_override", divisor_override)
    if divisor == 0:
        raise SpecError("divisor_override=0: an average cannot be divided by zero; use None or another integer")
    norm = real("p", norm)
    if kind == "lp" and not norm > 0:
        raise SpecError(f"p={norm!r} must be a positive number, such as 2; math.inf gives the maximum of |x|")
    mode, value = resolve_mode(padding_mode, pad_value, None, x_shape, in_size, lo, hi)
    counting = flag("count_include_pad", count_include_pad)
    if kind == "avg" and divisor is None and not counting and (mode, value) != ("constant", None):
        given = f"{padding_mode=}" if value is None else f"{pad_value=}"
        raise SpecError(
            f"count_include_pad=False leaves padding out of averages, so that {given} has no effect; leave one of them "
            "out"
        )
    if value == 0 and kind not in ("max", "min"):
        value = None  # zeros change no sum
    spec = PoolSpec(
        kind=kind, n=n, c=c, in_size=in_size, kernel=kernel, stride=stride, dilation=dilation, pad_lo=lo, pad_hi=hi,
        out_size=sizes(in_size, kernel, stride, dilation, lo, hi), divisor=divisor,
        count_include_pad=counting, norm=norm, channels_last=channels_last, batched=batched, padding_mode=mode,
        pad_value=value,
    )  # fmt: skip
    check_array("x", spec.x_shape)
    check_array("the result", spec.y_shape)
    check_windows(spec)
    return spec


@cached
def make_adaptive(nd: int, kind: Any, x_shape: Ints, output_size: Any, layout: Any = "NCHW") -> PoolSpec:
    """Make the spec of a pooling to a given output size; global pooling is the output size 1."""
    kind = choice("kind", kind, ("max", "avg"))
    channels_last = is_channels_last(layout, nd)
    batched, n, c, in_size = split("x", x_shape, nd, channels_last)
    if isinstance(output_size, tuple) and len(output_size) == nd:
        output_size = tuple(i if o is None else o for i, o in zip(in_size, output_size, strict=True))
    out = in_size if output_size is None else per_axis("output_size", output_size, nd, 1)
    if min(in_size) < 1:
        raise SpecError(f"x {x_shape} has an empty spatial axis: adaptive and global pooling need at least 1 element")
    # Windows of equal size and step are ordinary pooling, which every backend knows best.
    even = all(i % o == 0 for i, o in zip(in_size, out, strict=True))
    kernel = tuple(-(-i // o) for i, o in zip(in_size, out, strict=True))
    zero, one = (0,) * nd, (1,) * nd
    spec = PoolSpec(
        kind=kind, n=n, c=c, in_size=in_size, kernel=kernel, stride=kernel if even else one, dilation=one,
        pad_lo=zero, pad_hi=zero, out_size=out, adaptive=not even, channels_last=channels_last, batched=batched,
    )  # fmt: skip
    check_array("x", spec.x_shape)
    check_array("the result", spec.y_shape)
    check_windows(spec)
    return spec


@cached
def make_unpool(
    nd: int, x_shape: Ints, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None,
    layout: Any = "NCHW",
) -> PoolSpec:  # fmt: skip
    """Make the spec of the max pooling that `max_unpool` partially inverts.

    In the spec returned, ``y_shape`` is the shape of the caller's `x` and ``x_shape`` that of the caller's result.
    """
    channels_last = is_channels_last(layout, nd)
    batched, n, c, size = split("x", x_shape, nd, channels_last)
    kernel = per_axis("kernel_size", kernel_size, nd, 1)
    stride = kernel if stride is None else per_axis("stride", stride, nd, 1)
    lo, hi = resolve_padding(padding, size, kernel, stride)
    plain = tuple(
        (i - 1) * s - p - q + k for i, s, p, q, k in zip(size, stride, lo, hi, kernel, strict=True)
    )
    out = plain if output_size is None else per_axis("output_size", output_size, nd, 1)
    if any(abs(o - p) >= s for o, p, s in zip(out, plain, stride, strict=True)) or min(out) < 1:
        least = tuple(max(1, p - s + 1) for p, s in zip(plain, stride, strict=True))
        most = tuple(p + s - 1 for p, s in zip(plain, stride, strict=True))
        valid = f"use {least} to {most}" if min(most) >= 1 else f"use less padding than lo {lo} hi {hi}"
        raise SpecError(f"output_size={out} does not fit x {x_shape}, kernel {kernel} and stride {stride}; {valid}")
    spec = PoolSpec(
        kind="max", n=n, c=c, in_size=out, kernel=kernel, stride=stride, dilation=(1,) * nd, pad_lo=lo, pad_hi=hi,
        out_size=size, channels_last=channels_last, batched=batched,
    )  # fmt: skip
    check_array("the result", spec.x_shape)
    check_windows(spec)
    return spec


@cached
def make_scatter(nd: int, grad_shape: Ints, x_shape: Ints, layout: Any = "NCHW") -> PoolSpec:
    """Make the spec for the gradient of a pooling whose indices were kept: they stand in for its windows."""
    channels_last = is_channels_last(layout, nd)
    batched, n, c, size = split("grad_y", grad_shape, nd, channels_last)
    if len(x_shape) != len(grad_shape) or split("x", x_shape, nd, channels_last)[:3] != (batched, n, c):
        raise SpecError(
            f"grad_y {grad_shape} cannot come from x {x_shape}: pooling keeps the number of axes, the batch and the "
            f"channels"
        )
    one, zero = (1,) * nd, (0,) * nd
    spec = PoolSpec(
        kind="max", n=n, c=c, in_size=split("x", x_shape, nd, channels_last)[3], kernel=one, stride=one, dilation=one,
        pad_lo=zero, pad_hi=zero, out_size=size, channels_last=channels_last, batched=batched,
    )  # fmt: skip
    check_array("x", spec.x_shape)
    check_array("grad_y", spec.y_shape)
    return spec
