"""Pictures as plain data: grids of cells with words, roles and shades.

A *scene* is a number of frames; a frame is columns of panels; a panel is one grid.  Nothing here knows an operator or a
drawing library: other modules make scenes from the spec, others again draw them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from ..errors import SpecError
from ..spec.arguments import file_name, integer, real

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
Grid: TypeAlias = tuple[tuple[T, ...], ...]

#: What a cell is, and what a terminal shows of one without words.
ROLES = {
    "input": "o",  # an element of the input
    "padding": ".",  # an element round the input, or one that is cut off
    "window": "o",  # an element under the window of this step
    "kernel": "w",  # a weight
    "output": "o",  # an element of the result
    "now": "o",  # the element that this step computes, or, in a transposed convolution, spreads
    "later": "o",  # an element of the result that a later step computes
    "zero": ".",  # an element that is zero whatever the numbers are
    "image": " ",  # an element shown by its shade
}

#: Characters from nothing to full, by which a terminal shows a shade.
SHADES = " .:-=+*#%@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One grid of cells.

    Attributes
    ----------
    title : str
        Stands above it.
    text : tuple of tuples of str
        What each cell says; may be empty.
    role : tuple of tuples of str
        What each cell is, one of `ROLES`.
    hue : tuple of tuples of int, optional
        Number of the colour of each cell, -1 for that of its role.
    shade : tuple of tuples of float, optional
        Between 0 and 1, or between -1 and 1 if `signed`, for cells of the role "image".
    signed : bool
        Whether a shade of zero is the middle of two colours instead of the end of one.
    """

    title: str
    text: Grid[str]
    role: Grid[str]
    hue: Grid[int] | None = None
    shade: Grid[float] | None = None
    signed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.role), len(self.role[0]) if self.role else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture: columns of panels from left to right, a sign between neighbouring columns, and a line below."""

    columns: tuple[tuple[Panel, ...], ...]
    signs: tuple[str, ...]
    caption: str = ""


class Scene:
    """Frames that show one operator step by step, drawn as text or by Matplotlib.

    Parameters
    ----------
    title : str
        What is shown.
    count : int
        Number of frames.
    make : callable
        Returns a frame for its number.

    Examples
    --------
    >>> from convlib import show
    >>> scene = show.conv2d((3, 3), (2, 2))
    >>> len(scene)
    4
    >>> print(scene)
    conv2d: input 3 x 3, kernel 2 x 2, output 2 x 2
      input            kernel         output
     [o][o] o          w  w          [o] o
     [o][o] o    *     w  w     =     o  o
      o  o  o
    y[0,0] = w[0,0]·x[0,0] + w[0,1]·x[0,1] + w[1,0]·x[1,0] + w[1,1]·x[1,1]
    """

    def __init__(self, title: str, count: int, make: Callable[[int], Frame]) -> None:
        self.title = title
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        return map(self._make, range(self._count))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Scene of {len(self)} frames: {self.title}>"

    def frame(self, step: int) -> Frame:
        """Return one frame; negative numbers count from the last."""
        number = integer("step", step)
        if not -len(self) <= number < len(self):
            raise SpecError(f"step={number} is not there; this scene has the steps 0 to {len(self) - 1}")
        return self._make(number % len(self))

    def data(self) -> dict[str, Any]:
        """Return everything that is drawn as dictionaries, lists and numbers, for JSON."""
        return {"title": self.title, "frames": [asdict(frame) for frame in self]}

    def text(self, step: int = 0) -> str:
        """Return one frame for a terminal: the window in brackets, padding as dots."""
        from .text import draw

        return draw(self.title, self.frame(step))

    def plot(self, step: int = 0) -> Figure:
        """Return one frame as a Matplotlib figure; ImportError says that there is none."""
        from .figure import draw

        return draw(self.title, self.frame(step))

    def save(self, path: str | Path, step: int | None = None, *, seconds: float = 0.6) -> None:
        """Write a picture, or all frames as an animation.

        Parameters
        ----------
        path : str or Path
            Its end says what is written: ".gif" an animation of all frames, ".txt" text, any other that Matplotlib
            knows, such as ".svg" or ".png", one frame.
        step : int, optional
            The frame; the first by default.  Not for an animation.
        seconds : float, default 0.6
            How long an animation shows each frame.

        Raises
        ------
        SpecError
            If the step or the name of the file is none there can be, or Matplotlib cannot write such files.
        ImportError
            If Matplotlib is needed and not here.
        OSError
            If the file cannot be written.
        """
        path = Path(file_name("path", path))
        if path.suffix == ".gif":
            if step is not None:
                raise SpecError(f"step={step} has no effect on an animation; leave it out, or name a .png or .svg file")
            if not 0 < real("seconds", seconds) < 60:
                raise SpecError(f"seconds={seconds} must lie between 0 and 60, such as 0.6")
            from .figure import animate

            animate(self.title, list(self), path, seconds)
        elif path.suffix == ".txt":
            path.write_text(self.text(0 if step is None else step) + "\n", encoding="utf-8")
        else:
            from .figure import write

            write(self.plot(0 if step is None else step), path)


def grid(shape: Sequence[int], value: Callable[[int, int], T]) -> Grid[T]:
    """Fill a grid of (rows, columns)."""
    rows, columns = shape
    return tuple(tuple(value(row, column) for column in range(columns)) for row in range(rows))


def number(value: Any) -> str:
    """Return a number as short as a cell needs it."""
    if np.iscomplexobj(value) or not np.isfinite(value):
        return f"{value:.3g}"
    whole = round(float(value))
    return str(whole) if float(value) == whole and abs(whole) < 10**6 else f"{float(value):.3g}"
