"""What one output of a stack of layers sees of its input, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from ..errors import SpecError
from ..geometry import layer_windows
from ..spec import WindowSpec, frozen
from ..spec.arguments import Ints, per_axis
from .geometry import check_seen
from .scene import Frame, Panel, Scene, grid


def _paths(spec: WindowSpec, seen: dict[Ints, int]) -> dict[Ints, int]:
    """Return by how many ways each input of a layer reaches the output, given those of its results."""
    found: dict[Ints, int] = {}
    for output, ways in seen.items():
        for place in product(*(spec.taps(axis, o) for axis, o in enumerate(output))):
            found[place] = found.get(place, 0) + ways
    return found


def receptive_field(layers: Iterable[Any], size: Any, *, output: Any = None) -> Scene:
    """Show what one output sees: each cell says by how many ways it reaches that output.

    Parameters
    ----------
    layers : iterable of layers, specs or mappings
        From input to output, as in `convlib.receptive_field`, with two spatial axes.
    size : int or two int
        Spatial size of the input.
    output : two int, optional
        The output element; the middle one by default.

    Returns
    -------
    scene : Scene
        Frame n goes back n layers from the output.

    Raises
    ------
    SpecError
        If a layer is not one of windows of one size, or there is too much to see.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.receptive_field([{"kernel_size": 3}, {"kernel_size": 2}], (5, 4)).text(2))
    receptive field: layers 2, input 5 x 4, output 2 x 1
      input                after layer 1          output
      o  o  o  o           o  o                   o
     [1][2][2][1]         [1][1]                 [1]
     [2][4][4][2]   to    [1][1]           to
     [2][4][4][2]
     [1][2][2][1]
    y[1,0] sees 4 x 4 elements
    """
    current = per_axis("size", frozen(size), 2, 1)
    specs = []
    for layer in layers:
        specs.append(layer_windows(layer, 2, current))
        check_seen(specs[-1], 1)
        current = specs[-1].out_size
    if not specs:
        raise SpecError("there are no layers; give at least one, such as {'kernel_size': 3}")
    middle = tuple(o // 2 for o in current)
    place = middle if output is None else per_axis("output", frozen(output), 2, 0)
    if any(p >= o for p, o in zip(place, current, strict=True)):
        raise SpecError(f"output={place} lies outside the result of size {current}; use at most its size less 1")
    ways: list[dict[Ints, int]] = [{place: 1}]
    for spec in reversed(specs):
        ways.append(_paths(spec, ways[-1]))
    sizes = [specs[0].in_size, *(spec.out_size for spec in specs)]

    def frame(step: int) -> Frame:
        columns = []
        for depth, extent in enumerate(sizes):
            back = len(specs) - depth
            seen = ways[back] if back <= step else {}
            title = "input" if depth == 0 else "output" if back == 0 else f"after layer {depth}"
            usual, marked = ("output", "now") if back == 0 else ("input", "window")
            columns.append(
                Panel(
                    title=title,
                    text=grid(extent, lambda *at, seen=seen: str(seen.get(at, ""))),
                    role=grid(extent, lambda *at, seen=seen, usual=usual, marked=marked: (
                        marked if at in seen else usual
                    )),
                )
            )  # fmt: skip
        field = ways[step]
        spans = [len({at[axis] for at in field}) for axis in (0, 1)]
        name = f"y[{','.join(map(str, place))}]"
        where = "" if step == len(specs) else f" after layer {len(specs) - step}"
        return Frame(
            columns=tuple((panel,) for panel in columns), signs=("to",) * len(specs),
            caption=f"{name} sees {spans[0]} x {spans[1]} elements{where}" if step else f"{name} is one number",
        )  # fmt: skip

    first, last = (" x ".join(map(str, size)) for size in (sizes[0], sizes[-1]))
    title = f"receptive field: layers {len(specs)}, input {first}, output {last}"
    return Scene(title, len(specs) + 1, frame)
