"""Scenes drawn by Matplotlib, which loads only when this module does."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SpecError, quote
from .scene import Frame, Panel

try:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
except ImportError as error:
    raise ImportError(f"pictures need Matplotlib, which is not here ({error}); .text() draws without it") from None

INK, FAINT, PAPER = "#1c1c1c", "#9a9a9a", "#ffffff"
#: Fill of a cell by its role; dark letters are read on every one of them.
FILLS = {
    "input": "#dbe7f5", "padding": "#f6f6f6", "window": "#f6b45e", "kernel": "#cbe5cf", "output": "#e4dcf1",
    "now": "#ef7d66", "later": "#f8f6fb", "zero": PAPER, "image": PAPER,
}  # fmt: skip
#: Colours told apart by number, light enough for dark letters and different in lightness too.
HUES = ("#f6b45e", "#8ecbe8", "#9bd3a5", "#f0e06a", "#e6a3c6", "#b9b3e6", "#e8957d", "#7fbfb0", "#d2c19a")
SIGNED: Any = LinearSegmentedColormap.from_list("signed", ["#2456b5", "#ffffff", "#c8321e"])
GREY: Any = LinearSegmentedColormap.from_list("grey", ["#000000", "#ffffff"])

#: Everything is measured in cells; a cell is so many inches.
INCH = 0.42
GAP, SIGN, LINE = 0.9, 1.0, 0.75
LETTERS = 72  # of a line below a narrow picture
SIGNS = {"to": "\N{RIGHTWARDS ARROW}", "*": "\N{ASTERISK OPERATOR}", "add": "\N{RIGHTWARDS ARROW}"}


def draw(title: str, frame: Frame) -> Figure:
    """Return a frame as a figure."""
    height, width, places = _layout(frame)
    letters = max(LETTERS, int(width / 0.19))
    captions = [part for line in frame.caption.splitlines() for part in textwrap.wrap(line, letters)]
    wide = max(width, 0.22 * len(title), 0.19 * max(map(len, captions), default=0))
    whole = height + LINE * (1.4 + len(captions)) + 0.5
    # Letters of SVG stay letters: smaller files that can be searched and read aloud.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "convlib", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=((wide + 1) * INCH, whole * INCH), facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.5, wide + 0.5), ylim=(whole - LINE * 1.4, -LINE * 1.4))
        axes.axis("off")
        axes.text(0, -0.6 * LINE, title, color=INK, fontsize=11, fontweight="bold", va="center")
        for panel, left, top in places:
            _panel(axes, panel, left, top)
        for sign, left in _signs(frame):
            middle = (height + LINE) / 2
            axes.text(left, middle, SIGNS.get(sign, sign), color=INK, fontsize=15, ha="center", va="center")
        for row, line in enumerate(captions):
            top = height + LINE * (0.8 + row)
            axes.text(0, top, line, color=INK, fontsize=9, va="center", family="DejaVu Sans Mono")
    return figure


def _size(panel: Panel) -> tuple[float, float]:
    """Return height and width in cells, title included: large images shrink."""
    rows, columns = panel.shape
    scale = _scale(panel)
    return rows * scale + LINE, max(columns * scale, 0.17 * len(panel.title))


def _scale(panel: Panel) -> float:
    return 1.0 if panel.shade is None else min(1.0, 6 / max(panel.shape))


def _layout(frame: Frame) -> tuple[float, float, list[tuple[Panel, float, float]]]:
    """Return height, width, and where each panel's corner lies."""
    places, left, height = [], 0.0, 0.0
    stacks = [sum(_size(panel)[0] for panel in column) + GAP * (len(column) - 1) for column in frame.columns]
    for number, column in enumerate(frame.columns):
        # Sheets of images are rows, which begin at the top; what a sign connects is centred.
        top = (max(stacks) - stacks[number]) / 2 if any(frame.signs) else 0.0
        for panel in column:
            places.append((panel, left, top + LINE))
            top += _size(panel)[0] + GAP
        left += max(_size(panel)[1] for panel in column)
        if number < len(frame.signs):
            left += _space(frame.signs[number])
    height = max(stacks)
    return height, left, places


def _space(sign: str) -> float:
    return GAP + SIGN if sign else GAP / 2


def _signs(frame: Frame) -> list[tuple[str, float]]:
    found, left = [], 0.0
    for column, sign in zip(frame.columns, frame.signs, strict=False):
        left += max(_size(panel)[1] for panel in column)
        found.append((sign, left + _space(sign) / 2))
        left += _space(sign)
    return found


def _panel(axes: Any, panel: Panel, left: float, top: float) -> None:
    axes.text(left, top - 0.4 * LINE, panel.title, color=INK, fontsize=9, va="center")
    if panel.shade is not None:
        _image(axes, panel, left, top)
        return
    for row, roles in enumerate(panel.role):
        for column, role in enumerate(roles):
            hue = panel.hue[row][column] if panel.hue is not None else -1
            fill = HUES[hue % len(HUES)] if hue >= 0 else FILLS[role]
            dashed, marked = role == "padding", role in ("window", "now")
            axes.add_patch(
                Rectangle(
                    (left + column, top + row), 1, 1, facecolor=fill, edgecolor=FAINT if dashed else INK,
                    linewidth=2.2 if marked else 0.5 if dashed or role == "zero" else 0.9,
                    linestyle=":" if dashed else "-", zorder=3 if marked else 1 if dashed else 2,
                )
            )  # fmt: skip
            text = panel.text[row][column]
            faint = role in ("padding", "later", "zero") and hue < 0
            axes.text(
                left + column + 0.5, top + row + 0.5, text, color=FAINT if faint else INK, ha="center", va="center",
                fontsize=9 if len(text) <= 3 else 7 if len(text) <= 4 else 5.5, zorder=4,
            )  # fmt: skip


def _image(axes: Any, panel: Panel, left: float, top: float) -> None:
    rows, columns = panel.shape
    scale = _scale(panel)
    extent = left, left + columns * scale, top + rows * scale, top
    axes.imshow(
        panel.shade, cmap=SIGNED if panel.signed else GREY, vmin=-1 if panel.signed else 0, vmax=1,
        interpolation="nearest", extent=extent, aspect="auto", zorder=1,
    )  # fmt: skip
    axes.add_patch(
        Rectangle((left, top), columns * scale, rows * scale, fill=False, edgecolor=INK, linewidth=0.9, zorder=2)
    )
    if rows * columns > 100:
        return
    for row in range(rows):
        for column in range(columns):
            shade, text = (panel.shade or ())[row][column], panel.text[row][column]
            dark = abs(shade) > 0.6 if panel.signed else shade < 0.5
            axes.text(
                left + (column + 0.5) * scale, top + (row + 0.5) * scale, text, color=PAPER if dark else INK,
                ha="center", va="center", fontsize=8 if len(text) <= 4 else 6, zorder=3,
            )  # fmt: skip


def write(figure: Figure, path: Path, description: str = "") -> None:
    """Write a figure; the same picture gives the same bytes."""
    metadata: dict[str, Any] = {}
    if path.suffix == ".svg":
        metadata = {"Date": None, "Creator": "convlib.show", "Description": description or None}
    elif path.suffix == ".png":
        metadata = {"Software": "convlib.show", "Description": description}
    known = figure.canvas.get_supported_filetypes()
    if path.suffix and path.suffix.lower().lstrip(".") not in known:
        raise SpecError(f"path={quote(str(path))} ends as no kind of picture; known: {', '.join(known)}, gif, txt")
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "convlib"}):
        figure.savefig(path, dpi=120, facecolor=PAPER, metadata=metadata)


def animate(title: str, frames: Sequence[Frame], path: Path, seconds: float) -> None:
    """Write frames as a GIF that runs for ever."""
    from PIL import Image  # Matplotlib needs it, too

    pictures = []
    for frame in frames:
        figure = draw(title, frame)
        figure.canvas.draw()
        pictures.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"))
    size = tuple(max(picture.size[axis] for picture in pictures) for axis in (0, 1))
    sheets = []
    for picture in pictures:  # captions may be of different lengths
        sheet = Image.new("RGB", size, PAPER)
        sheet.paste(picture, (0, 0))
        sheets.append(sheet.quantize(64))
    first, *rest = sheets
    first.save(path, save_all=True, append_images=rest, duration=round(1000 * seconds), loop=0)
