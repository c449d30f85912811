"""What a conformance case is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One call that every backend must answer alike.

    Attributes
    ----------
    name : str
        Unique, readable: function and edge.
    call : str
        Name of a public function.
    arrays : tuple of shapes
        The positional array arguments, by shape.
    args : tuple
        Positional arguments after the arrays.
    options : dict
        Keyword arguments.
    dtypes : tuple of str
        Element type of each array; the last one holds for the rest.
    fill : str
        "small" integers, or "nan", "inf", "ties", "extremes" mixed into them; "large" adds 2**54 to the first array,
        where doubles are no longer exact; "indices" makes plane positions, and -1, of an integer array; "norms" makes the
        last array the result that the gradient of a p-norm belongs to.
    why : str
        What could go wrong here.
    """

    name: str
    call: str
    arrays: tuple[Shape, ...]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float32",)
    fill: str = "small"
    why: str = ""
