"""A report as plain text: stable lines that fit a width, for pipes, files and terminals without rich."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from .result import Comparison, Report, Row
from .summary import against_peers, crossovers, groups, plural, scaling, standings, verdict, warnings

#: Columns of a text that goes to no terminal.
WIDTH = 100

_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))


@dataclass(frozen=True)
class Column:
    """A column of the table of a problem.

    Attributes
    ----------
    title : str
        Its heading.
    width : int
        In characters; 0 for what is left.
    rank : int
        Columns of higher rank are left out first where the width is short.
    cell : callable
        Makes the text of a row of a comparison, given the FMA peak.
    """

    title: str
    width: int
    rank: int
    cell: Callable[[Comparison, Row, float], str]


def time_text(seconds: float, unit: str | None = None) -> str:
    """Return a time with three digits, in the unit that fits or in the one given.

    Examples
    --------
    >>> time_text(0.00123), time_text(2e-6), time_text(0.00123, "us")
    ('1.23 ms', '2.00 us', '1230 us')
    """
    name, size = next(pair for pair in _UNITS if pair[0] == (unit or unit_of(seconds)))
    return f"{figure(seconds / size)} {name}"


def unit_of(seconds: float) -> str:
    """Return the unit that fits a time."""
    return next((name for name, size in _UNITS if seconds >= size), "us")


def figure(value: float) -> str:
    """Return three significant digits, without an exponent.

    Examples
    --------
    >>> figure(1234.5), figure(12.345), figure(0.5), figure(0.001)
    ('1234', '12.3', '0.500', '0.00100')
    """
    for digits, least in ((0, 99.95), (1, 9.995), (2, 0.9995), (3, 0.09995), (4, 0.009995)):
        if value >= least:
            return f"{value:.{digits}f}"
    return f"{value:.5f}" if value >= 5e-6 else "0"


def size_text(nbytes: int) -> str:
    """Return a number of bytes in the unit that fits."""
    return f"{nbytes / 2**20:.1f} MiB" if nbytes >= 2**20 else f"{nbytes / 2**10:.1f} KiB"


def _time(comparison: Comparison, row: Row, peak: float) -> str:
    return time_text(row.seconds, unit_of(comparison.timed[0].seconds))


def _times(comparison: Comparison, row: Row, peak: float) -> str:
    return figure(row.seconds / comparison.timed[0].seconds)


def _rate(comparison: Comparison, row: Row, peak: float) -> str:
    return figure(comparison.flops / row.seconds / 1e9) + ("e" if row.effective else "")


def share(comparison: Comparison, row: Row, peak: float) -> str:
    """Return the share of the FMA peak in percent, "-" for an effective rate and for one above what was measured."""
    rate = comparison.flops / row.seconds
    return "-" if row.effective or not rate <= peak else f"{100 * rate / peak:.0f}"


def algorithm(row: Row) -> str:
    """Return what served a contender, but for what its name says already."""
    backend = row.contender.partition(":")[0]
    return "" if row.algorithm in (backend, row.contender) else row.algorithm.removeprefix(f"{backend}:")


#: In their order; the contender stands before them.
COLUMNS = (
    Column("time", 10, 0, _time),
    Column("× fastest", 9, 1, _times),
    Column("IQR", 5, 2, lambda comparison, row, peak: f"{100 * row.spread:.0f}%"),
    Column("GFLOP/s", 8, 3, _rate),
    Column("% peak", 6, 6, share),
    Column("error", 7, 4, lambda comparison, row, peak: "-" if row.error is None else f"{row.error:.0e}"),
    Column("scratch", 9, 7, lambda comparison, row, peak: "-" if row.scratch is None else size_text(row.scratch)),
    Column("algorithm", 0, 5, lambda comparison, row, peak: algorithm(row)),
)


def columns(name_width: int, width: int, longest: int) -> list[Column]:
    """Return the columns that fit; the longest algorithm has `longest` characters, and some can be cut off."""
    left = width - name_width - 2
    chosen = []
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        need = (column.width or max(len(column.title), min(longest, 16))) + 2
        if need <= left and (column.width or longest):
            chosen.append(column)
            left -= need
    return [column for column in COLUMNS if column in chosen]


def head(report: Report, width: int = WIDTH) -> list[str]:
    """Return what the numbers depend on."""
    versions = report.machine["versions"]
    names = {"convlib": "convlib", "numpy": "NumPy", "python": "Python"}
    peers = {name: name for name in versions if name in report.arguments["contenders"]}
    told = ", ".join(f"{shown} {versions[name]}" for name, shown in (names | peers).items() if name in versions)
    return [*_wrapped(told, width), *_wrapped(place(report), width)]


def place(report: Report) -> str:
    """Return the processor and the setting of all comparisons."""
    machine, threads, dtypes = report.machine, report.arguments["threads"], report.arguments["dtypes"]
    setting = f"{' and '.join(map(str, threads))} {'thread' if threads == [1] else 'threads'}, {' and '.join(dtypes)}"
    processor = f"{machine['processor']} ({machine['instruction_set']}, {plural(machine['cpus'] or 1, 'processor')})"
    return f"{processor}, {setting}, {report.created[:10]}"


def block(report: Report, comparison: Comparison, width: int = WIDTH) -> list[str]:
    """Return the table of one problem, with an empty line before it."""
    return ["", *title(report, comparison, width), *_rows(report, comparison, width), *remarks(comparison, width)]


def title(report: Report, comparison: Comparison, width: int) -> list[str]:
    """Return what a problem is called, and how it is raced if that differs."""
    kinds = len(report.arguments["threads"]) * len(report.arguments["dtypes"]) > 1
    setting = f" ({comparison.dtype}, {plural(comparison.threads, 'thread')})" if kinds else ""
    layers = f" ×{comparison.count}" if comparison.count > 1 else ""
    name = "" if comparison.name == comparison.problem else f"{comparison.name}{layers}: "
    return _wrapped(f"{name}{comparison.problem}{setting}", width)


def _rows(report: Report, comparison: Comparison, width: int) -> list[str]:
    timed, peak = comparison.timed, report.peak(comparison)
    if not timed:
        return []
    names = name_width(report)
    shown = columns(names, width, max(len(algorithm(row)) for row in timed))
    titles = [column.title.rjust(column.width) if column.width else column.title for column in shown]
    lines = ["  ".join(["  " + "contender".ljust(names), *titles]).rstrip()]
    for row in timed:
        cells = [column.cell(comparison, row, peak).rjust(column.width) for column in shown]
        mark = "* " if row is timed[0] else "  "
        line = "  ".join([mark + row.contender.ljust(names), *cells]).rstrip()
        lines.append(line if len(line) <= width else f"{line[: width - 1]}…")
    return lines


def name_width(report: Report) -> int:
    """Return how many characters the contenders' names take."""
    return max(len("contender"), *(len(name) for name in report.arguments["contenders"]))


def remarks(comparison: Comparison, width: int) -> list[str]:
    """Return why rows stand in no column of times, those with the same reason together."""
    lines = []
    for why, members in groupby((row for row in comparison.rows if not row.timed), key=_remark):
        told = ", ".join(row.contender for row in members)
        lines += textwrap.wrap(f"{told}: {why}", width, initial_indent="- ", subsequent_indent="    ")
    return lines


def _remark(row: Row) -> str:
    if row.status == "ok" and row.rounds:
        part = f"from 1/{row.scale:.0f} of the work, {row.part}" if row.part else ""
        return f"≈ {time_text(row.extrapolated)}, extrapolated {part}"
    shown = {"ok": "not timed", "cannot": "cannot", "wrong": "WRONG", "crashed": "CRASHED"}[row.status]
    return f"{shown}: {row.note}" if row.note else shown


def closing(report: Report, width: int = WIDTH) -> list[str]:
    """Return what is said of all problems together; the last line is the verdict."""
    lines: list[str] = [""]
    if any(row.effective for c in report.comparisons for row in c.timed):
        lines.append("e: effective rate, of the operations of plain sums, where an algorithm does fewer or other ones")
    lines += [
        f"measured peak of {plural(peak.threads, 'thread')}: {peak.flops / 1e9:.0f} GFLOP/s of float32 multiply-adds, "
        f"{peak.copy / 1e9:.1f} GB/s of copies; the largest of {plural(peak.probes, 'probe')}"
        for peak in report.peaks
    ]
    kinds = groups(report.comparisons)
    for title, members in kinds:
        prefix = f"{title}: " if len(kinds) > 1 else ""
        if len(members) > 1:
            lines += standing_lines(prefix, members)
        if report.arguments["sweep"]:
            lines += [f"{prefix}fastest at {line}" for line in crossovers(members, report.arguments["sweep"])]
        lines += [prefix + line for line in against_peers(members)]
    lines += scaling(report.comparisons)
    lines += [f"warning: {line}" for line in warnings(report)]
    lines.append(f"Verdict: {verdict(report)}")
    return [part for line in lines for part in _wrapped(line, width)]


def standing_lines(prefix: str, members: list[Comparison]) -> list[str]:
    """Return a table of how each contender did over all problems."""
    found = standings(members)
    names = max(9, *(len(s.contender) for s in found)) if found else 9
    lines = [f"{prefix}over {plural(len(members), 'problem')}, time over the fastest one's:"]
    lines.append(f"  {'contender':<{names}}  {'mean':>6}  {'worst':>6}  {'wins':>12}  {'ran':>4}")
    for s in found:
        wins = f"{s.wins} ({100 * s.wins / s.problems:.0f}%)"
        lines.append(f"  {s.contender:<{names}}  {figure(s.mean):>6}  {figure(s.worst):>6}  {wins:>12}  {s.ran:>4}")
    return lines if found else []


def whole(report: Report, width: int = WIDTH) -> str:
    """Return the whole report."""
    lines = head(report, width)
    for comparison in report.comparisons:
        lines += block(report, comparison, width)
    return "\n".join([*lines, *closing(report, width)])


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="    ", drop_whitespace=True) if len(line) > width else [line]
