"""Two reports side by side: what got slower or faster by more than the noise of both."""

from __future__ import annotations

import math
import statistics
import textwrap
from dataclasses import dataclass

from .result import Comparison, Report, Row
from .text import time_text, unit_of

#: Changes below this share are never called changes: two runs of one program differ so much on a quiet machine.
LEAST = 0.03

#: Machines whose peaks differ by more than this share did not run at the same clock.
CLOCK = 0.05


@dataclass(frozen=True)
class Change:
    """A contender on one problem in both reports.

    Attributes
    ----------
    name, contender : str
        Where.
    old, new : Row
        What was measured.
    """

    name: str
    contender: str
    old: Row
    new: Row

    @property
    def ratio(self) -> float:
        """New time over old time."""
        return self.new.seconds / self.old.seconds

    @property
    def noise(self) -> float:
        """The share that the ratio may differ from 1 by chance: the spreads of both, and what is always there."""
        return max(LEAST, math.hypot(self.old.spread, self.new.spread))

    @property
    def verdict(self) -> str:
        """Return "slower", "faster" or "same": whether the ratio exceeds the noise and the quartiles lie apart."""
        (old_low, old_high), (new_low, new_high) = self.old.quartiles, self.new.quartiles
        if self.ratio > 1 + self.noise and new_low > old_high:
            return "slower"
        return "faster" if 1 / self.ratio > 1 + self.noise and new_high < old_low else "same"


@dataclass(frozen=True)
class Difference:
    """All that differs between two reports.

    Attributes
    ----------
    changes : tuple of Change
        Contenders timed in both, on the same problem, element type and number of threads.
    statuses : tuple of str
        Who became wrong or right, in words.
    cautions : tuple of str
        Why the times may not be comparable.
    unmatched : int
        Rows timed in one report only.
    """

    changes: tuple[Change, ...]
    statuses: tuple[str, ...]
    cautions: tuple[str, ...]
    unmatched: int

    @property
    def worse(self) -> bool:
        """Whether something got slower or wrong."""
        return any(change.verdict == "slower" for change in self.changes) or any("now" in s for s in self.statuses)


def compare(old: Report, new: Report) -> Difference:
    """Return what differs."""
    changes, statuses, unmatched = [], [], 0
    befores, afters = _rows(old), _rows(new)
    for key, (comparison, after) in afters.items():
        before = befores[key][1] if key in befores else None
        if before is not None and before.timed and after.timed:
            changes.append(Change(comparison.name, after.contender, before, after))
        elif after.timed or (before is not None and before.timed):
            unmatched += 1
        failed = ("wrong", "crashed")
        if before is not None and (before.status in failed) != (after.status in failed):
            turned = f"now {after.status}: {after.note}" if after.status in failed else f"no longer {before.status}"
            statuses.append(f"{after.contender} on {comparison.name} is {turned}")
    unmatched += sum(row.timed for key, (_, row) in befores.items() if key not in afters)
    return Difference(tuple(changes), tuple(statuses), tuple(_cautions(old, new)), unmatched)


def _rows(report: Report) -> dict[tuple[object, ...], tuple[Comparison, Row]]:
    return {(*c.key, row.contender): (c, row) for c in report.comparisons for row in c.rows}


def _cautions(old: Report, new: Report) -> list[str]:
    found = [
        f"{what} differs: {old.machine.get(what)}, then {new.machine.get(what)}"
        for what in ("processor", "instruction_set", "cpus")
        if old.machine.get(what) != new.machine.get(what)
    ]
    for before in old.peaks:
        for after in (peak for peak in new.peaks if peak.threads == before.threads):
            ratio = after.flops / before.flops
            if abs(ratio - 1) > CLOCK:
                found.append(
                    f"the FMA peak at {before.threads} threads went from {before.flops / 1e9:.0f} to "
                    f"{after.flops / 1e9:.0f} GFLOP/s ({ratio:.2f} ×): the clock or the load was another"
                )
    return found


def text(difference: Difference, width: int) -> list[str]:
    """Return the difference in lines: what changed, the largest slowdown first, and the verdict last."""
    changed = [change for change in difference.changes if change.verdict != "same"]
    changed.sort(key=lambda change: -change.ratio)
    lines = [f"caution: {line}" for line in difference.cautions]
    for change in changed:
        lines += ["", *_line(change)]
    lines += ["", *difference.statuses] if difference.statuses else [""]
    if difference.unmatched:
        lines.append(f"{difference.unmatched} timed in one report only, not compared")
    counts = {kind: sum(c.verdict == kind for c in difference.changes) for kind in ("slower", "faster", "same")}
    if difference.changes:
        mean = statistics.geometric_mean(change.ratio for change in difference.changes)
        told = f"{counts['slower']} slower, {counts['faster']} faster, {counts['same']} the same within the noise"
        lines.append(
            f"Verdict: {told}; new time over old, geometric mean of {len(difference.changes)}: {mean:.3f}"
        )
    else:
        lines.append("Verdict: nothing was timed in both reports.")
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="    ") or [""]]


def _line(change: Change) -> list[str]:
    unit = unit_of(change.old.seconds)
    before, after = (time_text(row.seconds, unit) for row in (change.old, change.new))
    told = f"{change.contender} on {change.name}: {change.verdict}, {before} to {after}"
    by = ""
    if change.old.algorithm != change.new.algorithm:
        by = f"; {change.old.algorithm} before, {change.new.algorithm} now"
    return [f"{told}: {change.ratio:.2f} ×, noise {100 * change.noise:.0f}%{by}"]
