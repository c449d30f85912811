"""A report as a picture, by Matplotlib: times or a sweep, the roofline, error against time."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import SpecError
from .result import Comparison, Report, Row
from .summary import plural, verdict, warnings
from .text import place, time_text

#: Colours that eyes of every kind tell apart (Okabe and Ito), and markers that do without colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS = "osD^vP*X"

#: Values stand beside every dot of so many rows; in larger pictures beside the fastest ones.
LABELLED = 24


def check(path: str) -> None:
    """Raise SpecError unless a picture can be drawn in the format that the ending of `path` names."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise SpecError('--plot needs Matplotlib; pip install matplotlib, or ".[cli]" in the checkout') from None
    known = sorted(FigureCanvasBase.filetypes)
    if Path(path).suffix.lower().lstrip(".") not in known:
        raise SpecError(f"cannot write the picture {path!r}: the ending must be one of {', '.join(known)}")


def draw(report: Report, path: str) -> None:
    """Draw a report with at least one comparison, and write the picture."""
    from matplotlib.figure import Figure

    swept = report.arguments["sweep"] and any(c.value is not None for c in report.comparisons)
    tall = 4.5 if swept else 1.2 + sum(0.2 + 0.08 * len(c.timed) for c in report.comparisons)
    figure = Figure(figsize=(11, tall + 4.6), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=(tall, 4.2))
    styles = _styles(report)
    axes = parts[0].subplots()
    (_sweep if swept else _dots)(axes, report, styles)
    roof, errors = parts[1].subplots(1, 2)
    _roofline(roof, report, styles)
    _errors(errors, report, styles)
    handles, labels = axes.get_legend_handles_labels()
    parts[0].legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    figure.suptitle(textwrap.fill(verdict(report), 120), fontsize=9, ha="left", x=0.01)
    caption = [f"convlib {report.machine['versions']['convlib']} on {place(report)}", *warnings(report)]
    figure.supxlabel("\n".join(textwrap.fill(line, 150) for line in caption), fontsize=7.5, ha="left", x=0.01)
    try:
        figure.savefig(Path(path), dpi=130)
    except OSError as error:
        raise SpecError(f"cannot write the picture {path!r}: {error.strerror}") from None


def _styles(report: Report) -> dict[str, dict[str, Any]]:
    """Return colour and marker of each contender."""
    return {
        name: {"color": COLOURS[at % len(COLOURS)], "marker": MARKERS[at % len(MARKERS)]}
        for at, name in enumerate(report.arguments["contenders"])
    }


def _bars(row: Row) -> list[list[float]]:
    """Return how far the quartiles lie below and above the median."""
    low, high = row.quartiles
    return [[row.seconds - low], [high - row.seconds]]


def _label(report: Report, comparison: Comparison) -> str:
    kinds = len(report.arguments["threads"]) * len(report.arguments["dtypes"]) > 1
    setting = f"\n{comparison.dtype}, {plural(comparison.threads, 'thread')}" if kinds else ""
    return textwrap.fill(comparison.name, 34) + setting


def _dots(axes: Any, report: Report, styles: dict[str, dict[str, Any]]) -> None:
    """Draw a lane per problem, a dot with quartiles per contender."""
    every = sum(len(c.timed) for c in report.comparisons) <= LABELLED
    for lane, comparison in enumerate(report.comparisons):
        rows = comparison.timed
        if lane % 2:
            axes.axhspan(lane - 0.5, lane + 0.5, color="0.95", zorder=0)
        for number, row in enumerate(rows):
            at = lane + 0.8 * ((number + 0.5) / len(rows) - 0.5)
            axes.errorbar(row.seconds, at, xerr=_bars(row), linestyle="none", capsize=2, markersize=4.5,
                          elinewidth=1, **styles[row.contender])  # fmt: skip
            if every or row is rows[0]:
                axes.annotate(time_text(row.seconds), (max(row.quartiles[1], row.seconds), at), (5, 0),
                              textcoords="offset points", va="center", fontsize=6.5)  # fmt: skip
    axes.set_yticks(range(len(report.comparisons)), [_label(report, c) for c in report.comparisons], fontsize=7.5)
    axes.set_ylim(len(report.comparisons) - 0.5, -0.5)
    axes.margins(x=0.12)
    _times_axis(axes.xaxis, axes.set_xscale)
    axes.set_xlabel("time of a call, log scale (median and quartiles of the rounds; left is faster)", fontsize=8)
    _legend(axes, report, styles)


def _legend(axes: Any, report: Report, styles: dict[str, dict[str, Any]]) -> None:
    seen = {row.contender for c in report.comparisons for row in c.timed}
    for name in (name for name in styles if name in seen):
        axes.plot([], [], linestyle="none", label=name, **styles[name])
    apart = dict.fromkeys(row.contender for c in report.comparisons for row in c.rows if row.part and row.rounds)
    if apart:
        axes.plot([], [], linestyle="none", label="not shown where only a\npart was timed:\n" + "\n".join(apart))


def _sweep(axes: Any, report: Report, styles: dict[str, dict[str, Any]]) -> None:
    """Draw a curve per contender over the values of the sweep, with the quartiles as a band."""
    kinds = dict.fromkeys((c.dtype, c.threads) for c in report.comparisons)
    lines, ends = ("-", "--", ":", "-."), []
    for kind, (dtype, threads) in enumerate(kinds):
        members = [c for c in report.comparisons if (c.dtype, c.threads) == (dtype, threads)]
        for name, style in styles.items():
            points = [(c.value, row) for c in members for row in c.timed if row.contender == name]
            if points:
                values = [value for value, _ in points]
                label = name if len(kinds) == 1 else f"{name}, {dtype}, {plural(threads, 'thread')}"
                medians = [row.seconds for _, row in points]
                axes.plot(values, medians, lines[kind % 4], label=label, markersize=4, **style)
                quartiles = [row.quartiles for _, row in points]
                low, high = zip(*quartiles, strict=True)
                axes.fill_between(values, low, high, color=style["color"], alpha=0.15, linewidth=0)
                ends.append((points[-1][1].seconds, values[-1], style["color"]))
    _times_axis(axes.yaxis, axes.set_yscale)
    axes.set_ylabel("time of a call, log scale", fontsize=8)
    axes.tick_params(axis="x", labelsize=7.5)
    if _grows_by_factors([c.value for c in report.comparisons if c.value is not None]):
        _figures_axis(axes.xaxis, axes.set_xscale)
    _end_labels(axes, ends)
    axes.set_xlabel(f"{report.arguments['sweep']} (lines: medians, bands: quartiles of the rounds)", fontsize=8)
    axes.margins(x=0.07)


def _grows_by_factors(values: Sequence[int]) -> bool:
    return 0 < 16 * min(values) <= max(values) and 2 * (values[1] - values[0]) < values[-1] - values[-2]


def _end_labels(axes: Any, ends: list[tuple[float, Any, str]]) -> None:
    """Write the last time of each curve beside it, apart from each other."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ends, places, before = sorted(ends, reverse=True), [], high
    for number, (seconds, _, _) in enumerate(ends):  # from above, with room for those that follow
        room = low + 0.032 * (high - low) * (len(ends) - number)
        before = max(room, min(math.log(seconds), before))
        places.append(before)
        before -= 0.032 * (high - low)
    for (seconds, value, colour), height in zip(ends, places, strict=True):
        axes.annotate(time_text(seconds), (value, math.exp(height)), (7, 0), textcoords="offset points", va="center",
                      fontsize=6.5, color=colour)  # fmt: skip


def _times_axis(axis: Any, set_scale: Any) -> None:
    _figures_axis(axis, set_scale, _short)


def _figures_axis(axis: Any, set_scale: Any, text: Callable[[float], str] = "{:g}".format) -> None:
    """Make an axis logarithmic, with ticks that are read at a glance."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    set_scale("log")
    axis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(labelsize=7.5)
    axis.grid(visible=True, color="0.88", linewidth=0.6)


def _short(seconds: float) -> str:
    value, _, unit = time_text(seconds * 1.0000001).partition(" ")
    return f"{float(value):g} {unit}"


def _points(report: Report) -> Sequence[tuple[Comparison, Row]]:
    return [(c, row) for c in report.comparisons for row in c.timed]


def _roofline(axes: Any, report: Report, styles: dict[str, dict[str, Any]]) -> None:
    """Draw rates over operations per byte, under the roofs that were measured; hollow where a rate is effective."""
    found = _points(report)
    for comparison, row in found:
        style = styles[row.contender]
        axes.plot(comparison.flops / comparison.nbytes, comparison.flops / row.seconds / 1e9, linestyle="none",
                  markersize=4.5, fillstyle="none" if row.effective else "full", **style)  # fmt: skip
    intensities = [c.flops / c.nbytes for c, _ in found] or [1.0]
    ends = [min(intensities) / 3, max(intensities) * 3]
    for peak in report.peaks:
        bend = peak.flops / peak.copy
        x = sorted([*ends, *([bend] if ends[0] < bend < ends[1] else [])])
        y = [min(peak.flops, peak.copy * value) / 1e9 for value in x]
        axes.plot(x, y, color="0.4", linewidth=1)
        told = f"{plural(peak.threads, 'thread')}: {peak.flops / 1e9:.0f} GFLOP/s, {peak.copy / 1e9:.0f} GB/s"
        axes.annotate(told, (x[-1], y[-1]), (0, 4), textcoords="offset points", ha="right", fontsize=6.5,
                      color="0.3", bbox={"color": "white", "alpha": 0.7, "pad": 0.5})  # fmt: skip
    _figures_axis(axes.xaxis, axes.set_xscale)
    _figures_axis(axes.yaxis, axes.set_yscale)
    axes.set_xlabel("float operations per byte of inputs and result", fontsize=8)
    axes.set_ylabel("GFLOP/s", fontsize=8)
    axes.set_title("roofline (float32 multiply-adds, copies); hollow: effective rate", fontsize=8)


def _errors(axes: Any, report: Report, styles: dict[str, dict[str, Any]]) -> None:
    """Draw the error against the time over the fastest one's."""
    found = [(c, row) for c, row in _points(report) if row.error is not None]
    least = min((row.error for _, row in found if row.error), default=1e-17)
    for comparison, row in found:
        times = row.seconds / comparison.timed[0].seconds
        axes.plot(times, row.error or least / 10, linestyle="none", markersize=4.5, **styles[row.contender])
    _figures_axis(axes.xaxis, axes.set_xscale)
    _figures_axis(axes.yaxis, axes.set_yscale)
    axes.set_xlabel("time over the fastest one's on the same problem", fontsize=8)
    axes.set_ylabel("largest error", fontsize=8)
    exact = "; lowest: exact" if any(row.error == 0 for _, row in found) else ""
    axes.set_title(f"error against time (of the largest sum of products{exact})", fontsize=8)
