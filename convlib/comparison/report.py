"""What a comparison looks like: a table, plain data, a picture."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import SpecError
from .contenders import PEERS
from .run import Comparison, Row

_HEAD = f"{'contender':<22}{'time':>11}{'GFLOP/s':>10}{'% peak':>8}{'error':>10}{'scratch':>11}  note"


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the readable table.

    Errors are the largest difference to the float64 truth, relative to the largest sum of absolute products.
    """
    lines = [_HEAD]
    for comparison in comparisons:
        lines.append(f"\n{comparison.name}: {comparison.problem}")
        lines += [_line(row, comparison.fma_peak) for row in comparison.rows]
    peak = statistics.median(c.fma_peak for c in comparisons)
    lines.append(f"\nmeasured FMA peak (float32): {peak / 1e9:.0f} GFLOP/s")
    lines += _summary(comparisons)
    return "\n".join(lines)


def _line(row: Row, peak: float) -> str:
    if row.status == "cannot":
        return f"{row.contender:<22}{'-':>11}{'':39}  {row.note}"
    if row.status == "wrong":
        return f"{row.contender:<22}{'WRONG':>11}{'':39}  {row.note}"
    notes = [f"algorithm {row.algorithm}"] if row.algorithm else []
    notes += [f"slow: a part was timed, {row.part}"] if row.part else []
    scratch = "" if row.scratch is None else _size(row.scratch)
    return (
        f"{row.contender:<22}{_time(row.seconds):>11}{_figure(row.rate / 1e9):>10}{_figure(100 * row.rate / peak):>8}"
        f"{row.error:>10.1e}{scratch:>11}  {'; '.join(notes)}"
    )


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds * 1e6:.1f} us"


def _figure(value: float) -> str:
    """Return three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.01 else "<0.01"


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB" if nbytes >= 2**20 else f"{nbytes / 2**10:.1f} KiB"


def best(comparison: Comparison) -> Row | None:
    """Return convlib's fastest row, of those that ran the whole problem."""
    rows = [r for r in comparison.rows if r.status == "ok" and not r.part and r.contender not in PEERS and r.times]
    return min(rows, key=lambda row: row.seconds, default=None)


def ratios(comparisons: Sequence[Comparison], *peers: str) -> list[tuple[str, float]]:
    """Return (problem name, time of the fastest of the peers / convlib's best time) where both sides ran."""
    found = []
    for comparison in comparisons:
        ours = best(comparison)
        theirs = [r.seconds for r in comparison.rows if r.contender in peers and r.status == "ok" and r.times]
        if ours is not None and theirs:
            found.append((comparison.name, min(theirs) / ours.seconds))
    return found


def _summary(comparisons: Sequence[Comparison]) -> list[str]:
    lines = []
    ran = [peer for peer in PEERS if ratios(comparisons, peer)]
    for peer in [*ran, *(["fastest peer"] if len(ran) > 1 else [])]:
        found = ratios(comparisons, peer) or ratios(comparisons, *ran)
        if found:
            worst = min(found, key=lambda pair: pair[1])
            mean = statistics.geometric_mean(ratio for _, ratio in found)
            text = f"geometric mean {mean:.2f} over {len(found)}, worst {worst[1]:.2f} ({worst[0]})"
            lines.append(f"{peer} time / convlib's best: {text}")
    return lines


def as_data(comparisons: Sequence[Comparison], machine: dict[str, Any]) -> dict[str, Any]:
    """Return everything as plain data, ready for JSON."""
    return {"machine": machine, "comparisons": [dataclasses.asdict(c) for c in comparisons]}


def plot(comparisons: Sequence[Comparison], path: str) -> None:
    """Write a bar chart of GFLOP/s per problem and contender; the ending of `path` names the format.

    Raises
    ------
    SpecError
        If matplotlib is not installed or the file cannot be written in this format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SpecError("--plot needs matplotlib; pip install matplotlib") from None
    names = list(dict.fromkeys(row.contender for c in comparisons for row in c.rows if row.status == "ok"))
    wide = max(6.0, 0.55 * len(comparisons) * max(1, len(names)) ** 0.5 + 3)
    figure = Figure(figsize=(wide, 5.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        rows = [(at, row) for at, c in enumerate(comparisons) for row in c.rows if row.contender == name]
        pairs = [(at, row.rate / 1e9) for at, row in rows if row.times]
        places = [at + (number - (len(names) - 1) / 2) * width for at, _ in pairs]
        axes.bar(places, [rate for _, rate in pairs], width, label=name)
    peak = statistics.median(c.fma_peak for c in comparisons) / 1e9
    axes.axhline(peak, color="grey", linestyle="--", linewidth=1, label=f"FMA peak, {peak:.0f} GFLOP/s")
    axes.set_yscale("log")
    axes.set_ylabel("GFLOP/s (higher is faster)")
    axes.set_xticks(range(len(comparisons)), [c.name for c in comparisons], rotation=60, ha="right", fontsize=8)
    axes.set_title("convlib compare: float operations per second")
    axes.legend(fontsize=8)
    try:
        figure.savefig(Path(path), dpi=120)
    except (ValueError, OSError) as error:
        raise SpecError(f"cannot write the picture {path!r}: {error}; use a name such as compare.png") from None
