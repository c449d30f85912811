"""A report on a terminal, by rich: a live table while it is measured, colours, bars.  Needs the package rich."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any

from .result import Comparison, Report, Row
from .text import algorithm, closing, columns, head, name_width, remarks, title

#: Columns that a bar takes, at least and at most.
BAR = (8, 40)


def available() -> bool:
    """Return whether standard output is a terminal that can show it, and rich is there."""
    capable = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return capable and importlib.util.find_spec("rich") is not None


class Terminal:
    """A watcher that shows the comparison under way, and leaves the complete ones above it."""

    console: Any

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = console or Console(highlight=False)
        self._live = Live(console=self.console, transient=True, refresh_per_second=8, redirect_stderr=False)
        self._report: Report | None = None
        self._total = 0

    def begin(self, report: Report, total: int) -> None:
        """See `race.Watcher`."""
        self._report, self._total = report, total
        for line in head(report, self.console.width):
            self._print(line, "dim")
        for comparison in report.comparisons:  # of a report that is resumed
            self._show(report, comparison)
        self._live.start()

    def step(self, comparison: Comparison, doing: str) -> None:
        """See `race.Watcher`."""
        from rich.console import Group
        from rich.text import Text

        assert self._report is not None
        number = len(self._report.comparisons)
        filled = 20 * number // max(1, self._total)
        bar = Text("━" * filled, "green") + Text("━" * (20 - filled), "bright_black")
        line = Text.assemble(bar, f" {number}/{self._total} ", (doing, "cyan"), no_wrap=True, overflow="ellipsis")
        self._live.update(Group(*self._parts(self._report, comparison), line))

    def done(self, report: Report, comparison: Comparison) -> None:
        """See `race.Watcher`."""
        self._report = report
        self._show(report, comparison)

    def stop(self) -> None:
        """End the live part of the screen."""
        self._live.stop()

    def finish(self, report: Report) -> None:
        """Show what is said of all problems together."""
        self.stop()
        lines = closing(report, self.console.width)
        at = next(number for number, line in enumerate(lines) if line.startswith("Verdict"))
        for line in lines[:at]:
            self._print(line, "yellow" if line.startswith("warning") else "")
        for line in lines[at:]:
            self._print(line, "bold red" if report.failures else "bold green")

    def _print(self, line: str, style: str) -> None:
        from rich.text import Text

        self.console.print(Text(line, style, no_wrap=True, overflow="ignore"), crop=False)

    def _show(self, report: Report, comparison: Comparison) -> None:
        for part in self._parts(report, comparison):
            self.console.print(part)

    def _parts(self, report: Report, comparison: Comparison) -> list[Any]:
        """Return title, table and remarks of a comparison."""
        from rich.text import Text

        width, timed = self.console.width, comparison.timed
        parts: list[Any] = [Text()] + [Text(line, "bold") for line in title(report, comparison, width)]
        if timed:
            parts.append(self._table(report, comparison, timed))
        for line in remarks(comparison, width):
            parts.append(Text(line, "red" if "WRONG" in line or "CRASHED" in line else "bright_black"))
        return parts

    def _table(self, report: Report, comparison: Comparison, timed: Sequence[Row]) -> Any:
        from rich.table import Table
        from rich.text import Text

        names = name_width(report)
        longest = max(len(algorithm(row)) for row in timed)
        shown = columns(names, self.console.width - BAR[0] - 2, longest)
        used = names + 2 + sum((column.width or max(len(column.title), longest)) + 2 for column in shown)
        bar = max(BAR[0], min(BAR[1], self.console.width - used - 2))
        room = max(0, self.console.width - (used - longest) - bar - 2)  # of the algorithm
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
        table.add_column("  contender", min_width=names + 2, no_wrap=True, header_style="dim")
        table.add_column("speed", width=bar, no_wrap=True, header_style="dim")
        for column in shown:
            kind: Any = "right" if column.width else "left"
            table.add_column(
                column.title, justify=kind, no_wrap=True, min_width=column.width, overflow="ellipsis",
                max_width=column.width or room, header_style="dim",
            )  # fmt: skip
        peak = report.peak(comparison)
        for row in timed:
            fastest = row is timed[0]
            style = "bold green" if fastest else colour(row.seconds / timed[0].seconds)
            cells = [column.cell(comparison, row, peak) for column in shown]
            table.add_row(
                Text(("▸ " if fastest else "  ") + row.contender, style), Text(bar_text(timed[0], row, bar), style),
                *(Text(cell, style if column.title in ("time", "× fastest") else "")
                  for column, cell in zip(shown, cells, strict=True)),
            )  # fmt: skip
        return table


def colour(times: float) -> str:
    """Return the colour of a contender that takes so many times the fastest one's time."""
    return "green" if times < 1.1 else "" if times < 2 else "yellow" if times < 10 else "red"


def bar_text(fastest: Row, row: Row, width: int) -> str:
    """Return a bar as long as the speed of a row, the fastest being `width` characters; eighths of one count."""
    eighths = max(1, round(8 * width * fastest.seconds / row.seconds))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
