"""Scenes for a terminal."""

from __future__ import annotations

from itertools import zip_longest

from .scene import ROLES, SHADES, Frame, Panel

#: Roles whose cells stand in brackets.
MARKED = {"window", "now"}
GAP = 3


def draw(title: str, frame: Frame) -> str:
    """Return a frame as lines of text."""
    columns = [_column(panels) for panels in frame.columns]
    widths = [max(map(len, column), default=0) for column in columns]
    height = max(map(len, columns))
    lines = []
    for row, parts in enumerate(zip_longest(*columns, fillvalue="")):
        line = parts[0].ljust(widths[0])
        for sign, part, width in zip(frame.signs, parts[1:], widths[1:], strict=True):
            shown = sign if row == height // 2 else ""
            line += " " * GAP + shown.ljust(len(sign)) + " " * GAP + part.ljust(width)
        lines.append(line.rstrip())
    return "\n".join(filter(None, [title, *lines, *frame.caption.splitlines()]))


def _column(panels: tuple[Panel, ...]) -> list[str]:
    lines: list[str] = []
    for panel in panels:
        lines += [""] if lines else []
        lines += [f"  {panel.title}", *_rows(panel)]
    return lines


def _rows(panel: Panel) -> list[str]:
    if panel.shade is not None:
        # A character is about twice as high as it is wide.
        return ["  " + "".join(SHADES[round(abs(s) * (len(SHADES) - 1))] * 2 for s in row) for row in panel.shade]
    cells = [
        [text or ROLES[role] for text, role in zip(*row, strict=True)]
        for row in zip(panel.text, panel.role, strict=True)
    ]
    width = max(len(cell) for row in cells for cell in row)
    return [
        " "
        + "".join(
            f"[{cell:>{width}}]" if role in MARKED else f" {cell:>{width}} "
            for cell, role in zip(*row, strict=True)
        )
        for row in zip(cells, panel.role, strict=True)
    ]
