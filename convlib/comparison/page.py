"""A report as one HTML page that needs no other file: sortable tables, pictures in SVG, light and dark."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from .result import Comparison, Report, Row
from .summary import against_peers, crossovers, groups, plural, scaling, standings, verdict, warnings
from .text import algorithm, figure, head, share, size_text, time_text, unit_of

#: Width of the pictures in the rows, and of that of a sweep with its height, in pixels.
LANE, CURVE, TALL = 180, 860, 340

_HEADINGS = (
    "problem", "contender", "time", "× fastest", "IQR", "time, log scale", "GFLOP/s", "% peak", "error", "scratch",
    "algorithm or reason",
)  # fmt: skip

#: Headings over columns of figures.
_FIGURES = {"time", "× fastest", "IQR", "GFLOP/s", "% peak", "error", "scratch", "mean", "worst", "wins", "ran"}


def page(report: Report) -> str:
    """Return the page."""
    template = Template(files("convlib.comparison").joinpath("page.html").read_text(encoding="utf-8"))
    colours = {name: f"c{at % 8}" for at, name in enumerate(report.arguments["contenders"])}
    noise = "".join(f"<p class=warning>{_safe(line)}</p>" for line in warnings(report))
    sections = [_setting(title, members, report, colours) for title, members in groups(report.comparisons)]
    return template.substitute(
        verdict=_safe(verdict(report)), head="<br>".join(_safe(line) for line in head(report, 10_000)), noise=noise,
        state="" if report.complete else "<p class=warning>Not everything that was asked for was measured.</p>",
        sections="".join(sections), scaling="".join(f"<p>{_safe(line)}</p>" for line in scaling(report.comparisons)),
        peaks="; ".join(
            f"{plural(peak.threads, 'thread')} {peak.flops / 1e9:.0f} GFLOP/s, {peak.copy / 1e9:.1f} GB/s of copies"
            for peak in report.peaks
        ),
        data=report.to_json().replace("</", "<\\/"),
    )  # fmt: skip


def _safe(text: object) -> str:
    return html.escape(str(text))


def _setting(title: str, members: list[Comparison], report: Report, colours: dict[str, str]) -> str:
    """Return what is said of one element type and number of threads."""
    swept = report.arguments["sweep"]
    parts = [f"<h2>{_safe(title)}</h2>"]
    if swept:
        parts.append(_curves(members, swept, colours))
        parts += [f"<p>fastest at {_safe(line)}</p>" for line in crossovers(members, swept)]
    if len(members) > 1:
        parts.append(_standings(members))
    parts += [f"<p>{_safe(line)}</p>" for line in against_peers(members)]
    rows = "".join(_rows(comparison, report, colours) for comparison in members)
    return "".join(parts) + _table("times", _HEADINGS, rows)


def _table(kind: str, headings: Iterable[str], rows: str) -> str:
    cells = "".join(
        f'<th scope="col"{" class=n" if text in _FIGURES else ""}><button type="button">{_safe(text)}</button></th>'
        for text in headings
    )
    return f'<div class=wide><table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(text: str, key: object = None, kind: str = "") -> str:
    """Return a cell; the table is sorted by its key, or by its text."""
    name = f' class="{kind}"' if kind else ""
    return f"<td{name}>{text}</td>" if key is None else f'<td{name} data-key="{_safe(key)}">{text}</td>'


def _standings(members: list[Comparison]) -> str:
    rows = "".join(
        "<tr>" + _cell(_safe(s.contender)) + _cell(figure(s.mean), s.mean, "n") + _cell(figure(s.worst), s.worst, "n")
        + _cell(f"{s.wins} ({100 * s.wins / s.problems:.0f}%)", s.wins, "n") + _cell(str(s.ran), s.ran, "n") + "</tr>"
        for s in standings(members)
    )  # fmt: skip
    headings = ("contender", "mean", "worst", "wins", "ran")
    return "<p>time over the fastest one's, geometric mean:</p>" + _table("standings", headings, rows)


def _rows(comparison: Comparison, report: Report, colours: dict[str, str]) -> str:
    timed = comparison.timed
    count = f" ×{comparison.count}" if comparison.count > 1 else ""
    name = _safe(comparison.name + count)
    if comparison.name != comparison.problem:
        name += f"<small>{_safe(comparison.problem)}</small>"
    untimed = [row for row in comparison.rows if not row.timed]
    lines = []
    for row in (*timed, *untimed):
        contender = _cell(f'<i class="{colours[row.contender]}"></i>{_safe(row.contender)}', row.contender)
        if row.timed:
            cells = _measured(comparison, row, report.peak(comparison), colours)
        else:
            cells = _cell("", math.inf, "n") * 8 + _cell(_safe(_why(row)))
        kind = "fastest" if timed and row is timed[0] else row.status if not row.timed else ""
        lines.append(f'<tr class="{kind}">{_cell(name, comparison.name)}{contender}{cells}</tr>')
    return "".join(lines)


def _why(row: Row) -> str:
    if row.status == "ok":
        return f"≈ {time_text(row.extrapolated)}, extrapolated from {row.part}" if row.rounds else "not timed"
    return f"{row.status}: {row.note}"


def _measured(comparison: Comparison, row: Row, peak: float, colours: dict[str, str]) -> str:
    times, rate = row.seconds / comparison.timed[0].seconds, comparison.flops / row.seconds / 1e9
    percent = share(comparison, row, peak)
    return "".join((
        _cell(time_text(row.seconds, unit_of(comparison.timed[0].seconds)), row.seconds, "n"),
        _cell(figure(times), times, "n"), _cell(f"{100 * row.spread:.0f}%", row.spread, "n"),
        _cell(_lane(comparison, row, colours), row.seconds),
        _cell(figure(rate) + ("<abbr title='effective rate'>e</abbr>" if row.effective else ""), rate, "n"),
        _cell(percent, -1 if percent == "-" else percent, "n"),
        _cell("" if row.error is None else f"{row.error:.0e}", row.error, "n"),
        _cell("" if row.scratch is None else size_text(row.scratch), -1 if row.scratch is None else row.scratch, "n"),
        _cell(_safe(algorithm(row))),
    ))  # fmt: skip


class _Scale:
    """From times to pixels, by their logarithms, with some room at both ends."""

    def __init__(self, times: Iterable[float], start: float, end: float) -> None:
        times = list(times)
        self._low = math.log(min(times) * 0.9)
        self._span = math.log(max(times) * 1.1) - self._low
        self._start, self._end = start, end

    def __call__(self, seconds: float) -> float:
        return self._start + (self._end - self._start) * (math.log(seconds) - self._low) / self._span


def _lane(comparison: Comparison, row: Row, colours: dict[str, str]) -> str:
    """Return a picture of a row: its median and quartiles among the times of the problem."""
    scale = _Scale((end for r in comparison.timed for end in (*r.quartiles, r.seconds)), 4, LANE - 4)
    low, high = (scale(quartile) for quartile in row.quartiles)
    told = f"{row.contender}: median {time_text(row.seconds)}, quartiles " + " to ".join(map(time_text, row.quartiles))
    return (
        f'<svg width="{LANE}" height="18" role="img"><title>{_safe(told)}</title><line class="axis" x1="0" y1="9" '
        f'x2="{LANE}" y2="9"/><g class="{colours[row.contender]}"><line x1="{low:.1f}" y1="9" x2="{high:.1f}" y2="9" '
        f'stroke-width="5" opacity=".45"/><circle cx="{scale(row.seconds):.1f}" cy="9" r="4.5"/></g></svg>'
    )


def _curves(members: list[Comparison], swept: str, colours: dict[str, str]) -> str:
    """Return the picture of a sweep: a curve per contender."""
    points: dict[str, list[tuple[int, Row]]] = {}
    for comparison in members:
        for row in comparison.timed:
            points.setdefault(row.contender, []).append((comparison.value or 0, row))
    if not points:
        return ""
    values = sorted({value for found in points.values() for value, _ in found})
    y = _Scale((row.seconds for found in points.values() for _, row in found), TALL - 40, 12)
    wide, first = max(values[-1] - values[0], 1), values[0]
    shapes = []
    for value in values[:: max(1, len(values) // 12)]:
        x = 60 + (CURVE - 220) * (value - first) / wide
        shapes.append(f'<text x="{x:.1f}" y="{TALL - 20}" text-anchor="middle">{value}</text>')
    for seconds in _round_times(row.seconds for found in points.values() for _, row in found):
        shapes.append(f'<line class="axis" x1="60" x2="{CURVE - 160}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}"/>')
        shapes.append(f'<text x="54" y="{y(seconds) + 4:.1f}" text-anchor="end">{time_text(seconds)}</text>')
    below = -math.inf
    for name, found in sorted(points.items(), key=lambda item: -item[1][-1][1].seconds):
        places = [(60 + (CURVE - 220) * (value - first) / wide, y(row.seconds)) for value, row in found]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3"/>' for px, py in places)
        below = max(places[-1][1] + 4, below + 13)
        told = f"{name} {time_text(found[-1][1].seconds)}"
        shapes.append(f'<g class="{colours[name]}"><polyline fill="none" points="{line}"/>{dots}<text '
                      f'x="{places[-1][0] + 8:.1f}" y="{below:.1f}">{_safe(told)}</text></g>')  # fmt: skip
    shapes.append(f'<text x="{CURVE / 2 - 50:.0f}" y="{TALL - 4}" text-anchor="middle">{_safe(swept)}</text>')
    inside = "".join(shapes)
    return f'<div class=wide><svg class="sweep" width="{CURVE}" height="{TALL}" role="img">{inside}</svg></div>'


def _round_times(times: Iterable[float]) -> list[float]:
    """Return powers of ten between the smallest and the largest time, and halves of them if these are few."""
    listed = list(times)
    powers = range(math.floor(math.log10(min(listed))), math.ceil(math.log10(max(listed))) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    inside = [step * 10.0**power for power in powers for step in steps]
    return [seconds for seconds in inside if min(listed) <= seconds <= max(listed)]
