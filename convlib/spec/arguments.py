"""Turn what callers write into plain integers, or refuse it with a reason."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from numbers import Real
from operator import index
from typing import Any, ParamSpec, TypeAlias, TypeVar

from ..errors import SpecError, did_you_mean, quote

Ints: TypeAlias = tuple[int, ...]
IntOrAxes: TypeAlias = int | Sequence[int]

AXES = {1: "W", 2: "HW", 3: "DHW"}
MOST_AXES = 62  # of the 64 that NumPy has, two are the batch and the channels

P = ParamSpec("P")
R = TypeVar("R")


def cached(make: Callable[P, R]) -> Callable[P, R]:
    """Cache a maker of specs; an option that cannot be a cache key is refused by name."""
    remembered = lru_cache(maxsize=4096, typed=True)(make)

    @wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return remembered(*args, **kwargs)  # type: ignore[arg-type]
        except TypeError:
            for name, value in inspect.signature(make).bind(*args, **kwargs).arguments.items():
                try:
                    hash(value)
                except TypeError:
                    kind = type(value).__name__
                    raise TypeError(
                        f"{name} must be a number, a string or a tuple, not {kind} ({quote(value)})"
                    ) from None
            raise

    return call


#: What other libraries call an argument, in lower case, and what it is called here.
OTHER_NAMES = {
    "strides": "stride", "subsample": "stride", "window_strides": "stride", "pad": "padding", "pads": "padding",
    "border_mode": "padding", "auto_pad": "padding", "dilations": "dilation", "dilation_rate": "dilation",
    "rhs_dilation": "dilation", "rate": "dilation", "group": "groups", "feature_group_count": "groups",
    "data_format": "layout", "ksize": "kernel_size", "kernel_shape": "kernel_size", "pool_size": "kernel_size",
    "window_shape": "kernel_size", "cval": "pad_value", "fill_value": "pad_value", "constant_values": "pad_value",
    "weight": "w", "weights": "w", "kernel": "w", "input": "x", "inputs": "x", "input_size": "x_shape",
    "weight_size": "w_shape", "norm_type": "p", "algorithm": "backend", "engine": "backend", "filters": "out_channels",
}  # fmt: skip


def check_names(function: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise TypeError in the words of a public function if a keyword is none of the `valid` ones."""
    valid = tuple(valid)
    for name in names:
        if name not in valid:
            hint = did_you_mean(name, valid, OTHER_NAMES)
            raise TypeError(
                f"{function}(): got an unexpected keyword argument {name!r}{hint or '; valid: ' + ', '.join(valid)}"
            )


def keywords(make: Callable[..., Any], positional: int) -> tuple[str, ...]:
    """Return the names of the arguments of a maker of specs behind its first ones."""
    return tuple(inspect.signature(make).parameters)[positional:]


def integer(name: str, value: Any) -> int:
    """Return `value` as a plain integer; floats and bools are refused."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not the bool {value}")
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__} ({quote(value)})") from None
    if abs(number) >= 2**62:
        raise SpecError(f"{name}={quote(number)} is out of range: it must stay below 2**62")
    return number


def file_name(name: str, value: Any) -> str:
    """Return the name of a file as text, if any file can have it."""
    try:
        text = os.fsdecode(value)
        possible = b"\0" not in os.fsencode(text)
    except TypeError:
        raise TypeError(f"{name} must be the path of a file, not {type(value).__name__} ({quote(value)})") from None
    except UnicodeError:
        possible = False
    if not possible:
        raise SpecError(f"{name}={quote(value)} is no file name; use text that can be encoded, without null characters")
    return text


def number_of_axes(name: str, value: Any) -> int:
    """Return a number of spatial axes."""
    nd = integer(name, value)
    if not 1 <= nd <= MOST_AXES:
        raise SpecError(f"{name}={nd} is out of range; valid: 1 to {MOST_AXES} spatial axes")
    return nd


def real(name: str, value: Any) -> float:
    """Return `value` as a float that is equal to it; NaN and the infinities are allowed."""
    whole = isinstance(value, int)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, not {type(value).__name__} ({quote(value)})")
    try:
        number = float(value)
    except OverflowError:
        raise SpecError(f"{name} is out of range: it must stay below 1.8e308") from None
    if whole and number != value:
        raise SpecError(f"{name}={quote(value)} is not exact in double precision; use at most 2**53")
    return number


def frozen(value: Any, depth: int = 0) -> Any:
    """Turn lists, ranges and integer arrays into tuples, so that `value` can be a cache key.

    Entries become plain integers here: ``(1.0,)`` and ``(True,)`` equal ``(1,)`` and would share its place in a cache.
    """
    if type(value) is int or value is None or isinstance(value, (int, str, float)):
        return value
    if type(value) is tuple and all(type(item) is int for item in value):
        return value
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        value = value.tolist()
    if isinstance(value, (list, tuple, range)):
        if depth > 2:  # pairs per axis lie deepest; a list may hold itself
            raise TypeError("an option is nested too deep; valid: a number, one per axis, or (lo, hi) pairs")
        return tuple(_entry(item, value, depth) for item in value)
    return value


def _entry(item: Any, whole: Any, depth: int) -> Any:
    if type(item) is int or item is None or isinstance(item, str):
        return item
    return frozen(item, depth + 1) if hasattr(item, "__len__") else integer("an entry of " + quote(whole), item)


def per_axis(name: str, value: Any, nd: int, minimum: int) -> Ints:
    """Return one integer per spatial axis, each at least `minimum`; one integer stands for all axes."""
    if isinstance(value, str):
        raise TypeError(f"{name} must be an integer or {nd} integers, not the string {quote(value)}")
    if isinstance(value, tuple):
        if len(value) != nd:
            raise SpecError(
                f"{name}={quote(value)} has {len(value)} entries; give one integer or {nd}, one per spatial axis"
            )
        axes = tuple(integer(name, item) for item in value)
    else:
        axes = (integer(name, value),) * nd
    if min(axes) < minimum:
        raise SpecError(f"{name}={quote(value)} is too small: every entry must be at least {minimum}")
    return axes


def shape(name: str, value: Any) -> Ints:
    """Return `value` as a shape: a tuple of integers of which none is negative."""
    shape = frozen(value)
    if not isinstance(shape, tuple):
        raise TypeError(f"{name} must be a shape (a tuple of integers), not {type(value).__name__} ({quote(value)})")
    sizes = tuple(integer(name, item) for item in shape)
    if any(size < 0 for size in sizes):
        raise SpecError(f"{name}={quote(sizes)} has a negative size; sizes are at least 0")
    return sizes


def flag(name: str, value: Any) -> bool:
    """Return `value`, which must be a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {quote(value)}")
    return bool(value)


def choice(name: str, value: Any, valid: Sequence[str], others: Mapping[str, str] | None = None) -> str:
    """Return `value`, which must be one of the `valid` names; `others` are what other libraries call them."""
    if not isinstance(value, str) or value not in valid:
        hint = did_you_mean(value, valid, others)
        raise SpecError(f"{name}={quote(value)} is unknown; valid: {', '.join(map(repr, valid))}{hint}")
    return value


def channels_last(layout: Any, nd: int) -> bool:
    """Return whether `layout` names an axis order with the channels last, such as "NHWC"."""
    axes = AXES.get(nd, "HW")
    first, last = ("NCHW", f"NC{axes}"), ("NHWC", f"N{axes}C")
    others = {"channels_first": first[1], "channels_last": last[1]}
    return choice("layout", layout, (*dict.fromkeys(first), *dict.fromkeys(last)), others) in last


def split(what: str, shape: Ints, nd: int, channels_last: bool) -> tuple[bool, int, int, Ints]:
    """Return (batched, n, channels, spatial sizes) of an array shape."""
    if len(shape) not in (nd + 1, nd + 2):
        order = ", ".join(AXES.get(nd, ("*spatial",)))
        full = f"(N, {order}, C)" if channels_last else f"(N, C, {order})"
        plane = f"; a single plane ({order}) is {what}[{'..., None' if channels_last else 'None'}]"
        raise SpecError(
            f"{what} has {len(shape)} axes {quote(shape)}; expected {nd + 2} axes {full}, or {nd + 1} without the "
            f"batch axis{plane if len(shape) == nd else ''}"
        )
    batched = len(shape) == nd + 2
    n, rest = (shape[0], shape[1:]) if batched else (1, shape)
    return (batched, n, rest[-1], rest[:-1]) if channels_last else (batched, n, rest[0], rest[1:])
