"""The orders in which weights may lie: the one place that knows their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import SpecError, quote
from .arguments import AXES, Ints, choice

#: Orders of a convolution's weights, "*" standing for the spatial letters, and their axes.  The first is that of hooks.
CONV = {
    "OI*": "(OC, C / groups, *kernel)",
    "*IO": "(*kernel, C / groups, OC)",
    "O*I": "(OC, *kernel, C / groups)",
    "*CM": "(*kernel, C, OC / C)",  # depthwise
}
#: The same of a transposed convolution, whose input has I and whose result O channels.
TRANSPOSED = {
    "IO*": "(C, OC / groups, *kernel)",
    "*OI": "(*kernel, OC / groups, C)",
    "I*O": "(C, *kernel, OC / groups)",
}

_EXCHANGED = str.maketrans("OI", "IO")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, slots=True)
class WeightOrder:
    """How weights lie in the caller's array, against the order of hooks: output, input channels, spatial axes.

    Attributes
    ----------
    name : str
        As in ``w_layout=``, with "*" for the spatial letters.
    text : str
        The axes in symbols.
    axes : tuple of int
        ``w.transpose(axes)`` has the order of hooks.
    stored : tuple of int
        The inverse: the axes of hooks in the caller's order.
    depthwise : bool
        Whether the caller's last two axes are channels and multipliers, which hooks see as outputs of one channel each.
    """

    name: str
    text: str
    axes: Ints
    stored: Ints
    depthwise: bool

    @property
    def plain(self) -> bool:
        """Whether this is the order of hooks."""
        return self.name in ("OI*", "IO*")

    @property
    def memory(self) -> Ints:
        """The axes of hooks from the slowest to the fastest of an array without gaps; () if they lie in order."""
        return () if self.plain else self.stored

    def check_rank(self, w_shape: Ints) -> None:
        """Raise SpecError unless weights have as many axes as the order."""
        if len(w_shape) != len(self.axes):
            raise SpecError(f"w has {len(w_shape)} axes {quote(w_shape)}; expected {len(self.axes)}: {self.text}")

    def shape(self, w_shape: Ints, groups: Any) -> Ints:
        """Return the shape of weights in the order of hooks; w has the right rank."""
        if self.depthwise:
            if groups != w_shape[-2]:
                raise SpecError(
                    f"groups={quote(groups)} does not go with depthwise weights {w_shape}, which are {self.text}; use "
                    f"groups={w_shape[-2]}, one group per channel"
                )
            w_shape = (*w_shape[:-2], 1, w_shape[-2] * w_shape[-1])
        return tuple(w_shape[axis] for axis in self.axes)

    def stored_shape(self, w_shape: Ints, groups: int) -> Ints:
        """Return the caller's shape of weights that have `w_shape` in the order of hooks."""
        if self.depthwise:
            return (*w_shape[2:], groups, w_shape[0] // max(1, groups))
        return tuple(w_shape[axis] for axis in self.stored)

    def place(self, axis: int) -> str:
        """Return the number, in words, of the caller's axis that hooks see at `axis`."""
        at = self.axes[axis]
        return f"{_ORDINALS[at]} axis" if at < len(_ORDINALS) else f"axis {at}"


@lru_cache(maxsize=256, typed=True)
def weight_order(nd: int, w_layout: Any, transposed: bool = False) -> WeightOrder:
    """Return the order that a name such as "HWIO" stands for; the letters of two axes serve every rank."""
    orders = TRANSPOSED if transposed else CONV
    letters = dict.fromkeys(("HW", AXES.get(nd, "HW")))
    names = {name.replace("*", axes): name for axes in letters for name in orders}
    other = w_layout.translate(_EXCHANGED) if isinstance(w_layout, str) else ""
    if transposed and other in names and w_layout not in names:
        raise SpecError(
            f"w_layout={w_layout!r} is an order of a convolution's weights; in a transposed convolution I stands for "
            f"the channels of x and O for those of the result: weights {orders[names[other]]} are {other!r}"
        )
    name = names[choice("w_layout", w_layout, tuple(names))]
    first, second = ("I", "O") if transposed else ("O", "I")
    places = {first: (0,), second: (1,), "M": (0,), "C": (1,), "*": tuple(range(2, nd + 2))}
    stored = tuple(axis for letter in name for axis in places[letter])
    axes = tuple(stored.index(axis) for axis in range(nd + 2))
    return WeightOrder(name, orders[name], axes, stored, "M" in name)
