"""Padding amounts and output sizes, per axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..errors import SpecError, quote
from .arguments import Ints, choice, integer, per_axis, real

Padding: TypeAlias = int | str | Sequence[int] | Sequence[tuple[int, int]]

PADDING_NAMES = ("valid", "same", "same_upper", "same_lower", "full", "causal")
PADDING_MODES = {
    "constant": "constant", "zeros": "constant", "reflect": "reflect", "symmetric": "symmetric",
    "edge": "edge", "replicate": "edge", "wrap": "wrap", "circular": "wrap",
}  # fmt: skip
#: What `scipy.ndimage` and `scipy.signal` call them.  Their "reflect" is "symmetric" here, which no name can tell.
OTHER_MODES = {
    "mirror": "reflect", "nearest": "edge", "grid-mirror": "symmetric", "grid-wrap": "wrap",
    "grid-constant": "constant", "symm": "symmetric", "fill": "constant",
}  # fmt: skip

#: What others call them: SAME of TensorFlow and JAX takes any stride, "same" only stride 1.
OTHER_PADDINGS = {"same": "same_upper", "notset": "valid", "half": "same"}


def resolve_mode(
    padding_mode: Any, pad_value: Any, unset: float | None, x_shape: Ints, in_size: Ints, lo: Ints, hi: Ints
) -> tuple[str, Any]:
    """Return what padding holds: a mode by `numpy.pad`'s name, and the value of constant padding.

    Where none is given the value is `unset`: 0 in sums of products, None for padding that takes no part.
    """
    mode = PADDING_MODES[choice("padding_mode", padding_mode, tuple(PADDING_MODES), OTHER_MODES)]
    value = None if pad_value is None and unset is None else real("pad_value", pad_value)
    if mode != "constant" and value != unset:
        raise SpecError(
            f"pad_value={quote(pad_value)} has no effect with padding_mode={padding_mode!r}; leave it out, or use "
            f"padding_mode='constant'"
        )
    if mode != "constant" and any(size == 0 and p + q for size, p, q in zip(in_size, lo, hi, strict=True)):
        raise SpecError(f"padding_mode={padding_mode!r} cannot extend an empty axis of x {x_shape}; use 'constant'")
    return mode, value


def effective_kernel(kernel: Ints, dilation: Ints) -> Ints:
    """Return how many input elements a dilated kernel spans, per axis."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def _same_total(size: int, ke: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + ke - size, 0)


def resolve_padding(
    padding: Any, in_size: Ints, ke: Ints, stride: Ints, strided: str = "ceil(size / stride)"
) -> tuple[Ints, Ints]:
    """Turn any form of `padding` into low and high amounts per axis.

    Parameters
    ----------
    padding : int, str, sequence of int or sequence of pairs
        One amount for all sides, one per axis, ``(lo, hi)`` pairs, or one of `PADDING_NAMES`.
    in_size, ke, stride : tuple of int
        Input size, effective kernel and stride per axis, in elements.
    strided : str
        What size "same_upper" gives, for a message.

    Returns
    -------
    lo, hi : tuple of int
        Elements added before and after each axis.

    Raises
    ------
    SpecError
        If the form is unknown, an amount is negative, or "same" meets a stride other than 1.

    Notes
    -----
    "same_upper" and "same_lower" follow ONNX's ``auto_pad``: the output has ``ceil(i / s)`` elements and an
    odd element of padding goes to the end or the start.  "same" is PyTorch's: stride 1, odd element at the end.
    """
    nd = len(in_size)
    if isinstance(padding, str):
        name = choice("padding", padding, PADDING_NAMES, OTHER_PADDINGS)
        if name == "same" and any(s != 1 for s in stride):
            raise SpecError(
                f"padding='same' keeps the size only for stride 1, not stride={stride}; "
                f"use 'same_upper' or 'same_lower', which give {strided}"
            )
        if name == "valid":
            return (0,) * nd, (0,) * nd
        if name == "full":
            return tuple(e - 1 for e in ke), tuple(e - 1 for e in ke)
        if name == "causal":
            return tuple(e - 1 for e in ke), (0,) * nd
        totals = [_same_total(*axis) for axis in zip(in_size, ke, stride, strict=True)]
        small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
        return (large, small) if name == "same_lower" else (small, large)
    if isinstance(padding, tuple) and any(isinstance(item, tuple) for item in padding):
        if len(padding) != nd or not all(isinstance(item, tuple) and len(item) == 2 for item in padding):
            raise SpecError(f"padding={quote(padding)} must hold {nd} (lo, hi) pairs, one per spatial axis")
        pairs = tuple(tuple(integer("padding", amount) for amount in pair) for pair in padding)
        if min(map(min, pairs)) < 0:
            raise SpecError(f"padding={padding} is too small: every entry must be at least 0")
        return tuple(lo for lo, _ in pairs), tuple(hi for _, hi in pairs)
    if isinstance(padding, tuple) and nd == 1 and len(padding) == 2:
        raise SpecError(f"padding={padding} is ambiguous for one axis; write the (lo, hi) pair as ({padding},)")
    both = per_axis("padding", padding, nd, 0)
    return both, both


def _too_large(axis: int, in_size: Ints, kernel: Ints, dilation: Ints, lo: Ints, hi: Ints, more: str = "") -> SpecError:
    """Return the refusal of a window that does not fit on `axis`, with what would fit."""
    ke = effective_kernel(kernel, dilation)
    padded = in_size[axis] + lo[axis] + hi[axis]
    smaller = f"use a kernel of at most {-(-padded // dilation[axis])} on axis {axis}, or " if padded else "use "
    return SpecError(
        f"the window is larger than the padded input: input {in_size}, padding lo {lo} hi {hi}, effective kernel {ke}"
        f"{more}; {smaller}a padding of lo + hi = {ke[axis] - in_size[axis]} on axis {axis}"
    )


def window_count(i: int, e: int, s: int, before: int, after: int, ceil_mode: bool = False) -> int:
    """Return how many windows fit along an axis: 0 or less where a window is larger than the padded input."""
    count = (i + before + after - e + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (count - 1) * s >= i + before:  # the last must start inside the input or its low padding
        return count - 1
    return count


def window_counts(in_size: Ints, ke: Ints, stride: Ints, lo: Ints, hi: Ints, ceil_mode: bool = False) -> Ints:
    """Return how many windows fit per axis."""
    axes = zip(in_size, ke, stride, lo, hi, strict=True)
    return tuple(window_count(*axis, ceil_mode) for axis in axes)


def out_size(in_size: Ints, kernel: Ints, stride: Ints, dilation: Ints, lo: Ints, hi: Ints) -> Ints:
    """Return the output size per axis: how many windows fit; raise SpecError if none does."""
    counts = window_counts(in_size, effective_kernel(kernel, dilation), stride, lo, hi)
    if min(counts) < 1:
        raise _too_large(next(a for a, count in enumerate(counts) if count < 1), in_size, kernel, dilation, lo, hi)
    return counts


def ceil_size(in_size: Ints, kernel: Ints, stride: Ints, dilation: Ints, lo: Ints, hi: Ints) -> Ints:
    """Return the output size per axis with ``ceil_mode``; raise SpecError if it would be empty."""
    counts = window_counts(in_size, effective_kernel(kernel, dilation), stride, lo, hi, True)
    if min(counts) < 1:
        raise _too_large(counts.index(min(counts)), in_size, kernel, dilation, lo, hi, ", ceil_mode=True")
    return counts


class Run(NamedTuple):
    """Neighbours in a padded axis that are neighbours in the axis itself, in one order or the other, or one element."""

    start: int  # in the padded axis, counted from the axis' own first element
    stop: int
    first: int  # the element that stands at `start`
    step: int  # from one to the next: 1, -1, or 0 where one element is repeated

    @property
    def source(self) -> slice:
        """Where the elements lie in the axis."""
        if not self.step:
            return slice(self.first, self.first + 1)
        end = self.first + self.step * (self.stop - self.start)
        return slice(self.first, end if end >= 0 else None, self.step)


def runs(mode: str, start: int, stop: int, size: int) -> Iterator[Run]:
    """Cut positions of an axis of `size` and beyond its ends into runs, by `numpy.pad`'s rules."""
    while start < stop:
        if size == 1:
            end = stop
        elif mode == "edge":
            end = 0 if start < 0 else size if start < size else stop
        elif mode == "wrap":
            end = start + size - start % size
        else:
            period = 2 * (size - 1 + (mode == "symmetric"))
            at = start % period
            end = start + (size if at < size else period) - at
        end = min(end, stop)
        first = origin(mode, start, size)
        yield Run(start, end, first, origin(mode, start + 1, size) - first if end - start > 1 else 1)
        start = end


def origin(mode: str, position: int, size: int) -> int:
    """Return which element of an axis of `size` stands at a `position` beyond its ends, by `numpy.pad`'s rules."""
    if mode == "wrap":
        return position % size
    if mode == "edge" or size == 1:
        return min(max(position, 0), size - 1)
    turn = 1 if mode == "symmetric" else 0
    position %= 2 * (size - 1 + turn)
    return position if position < size else 2 * size - 2 + turn - position
