"""Pictures of what `convlib.geometry` computes; they need Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import SpecError

if TYPE_CHECKING:
    from .geometry import ReceptiveField


def plot_field(seen: ReceptiveField, path: str, size: Sequence[int] | None = None) -> None:
    """Draw the fields of the layers' outputs, one inside the other; see `ReceptiveField.plot`."""
    if len(seen.size) != 2:
        raise SpecError(f"a picture has two axes; the field has {len(seen.size)}: use text()")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise SpecError('pictures need Matplotlib; pip install ".[plot]"') from None
    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # Centred on the field of the whole stack: what each layer's output in the middle sees.
    distinct: dict[tuple[int, ...], str] = {}
    for name, step in seen.steps or (("field", seen),):
        distinct.setdefault(step.size, name)
    shades = [0.15 + 0.7 * at / max(1, len(distinct) - 1) for at in range(len(distinct))]
    if size is not None:
        h, w = size
        axes.add_patch(Rectangle((-w / 2, -h / 2), w, h, facecolor="0.93", edgecolor="0.4", label=f"input {h} × {w}"))
    for (field, name), shade in zip(reversed(distinct.items()), shades, strict=True):
        h, w = field
        colour = (0.85 - 0.75 * shade, 0.90 - 0.55 * shade, 0.98 - 0.25 * shade)
        label = f"{name}: {h} × {w}"
        corner = (-w / 2, -h / 2)
        axes.add_patch(Rectangle(corner, w, h, facecolor=colour, edgecolor="white", linewidth=0.6, label=label))
    largest = [max(*pair) for pair in zip(seen.size, size or seen.size, strict=True)]
    axes.set_xlim(-largest[1] * 0.52, largest[1] * 0.52)
    axes.set_ylim(largest[0] * 0.52, -largest[0] * 0.52)
    axes.set_aspect("equal")
    axes.set_xlabel("input elements from the middle")
    axes.set_title(f"field {seen.size[0]} × {seen.size[1]}, next output {seen.jump[0]} × {seen.jump[1]} on")
    figure.legend(loc="outside right upper", fontsize="small", title="field after")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot write the picture {path!r}: {error}") from None
