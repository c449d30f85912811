"""What a report says as a whole: means, wins, ratios to the peers, crossovers, warnings, the verdict in words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from .peers import PEERS
from .result import Comparison, Report, Row

#: Rounds that differ more than this are noise.
FOLD = 2.0


@dataclass(frozen=True)
class Standing:
    """How a contender did over several problems.

    Attributes
    ----------
    contender : str
        Its name.
    mean : float
        Geometric mean of its time over the fastest contender's.
    worst : float
        The largest of these ratios.
    wins, ran, problems : int
        Problems where it was fastest, which it computed whole, and which there are.
    """

    contender: str
    mean: float
    worst: float
    wins: int
    ran: int
    problems: int


def standings(comparisons: Sequence[Comparison]) -> list[Standing]:
    """Return how each contender did, the one with the most wins first."""
    ratios: dict[str, list[float]] = {}
    wins: dict[str, int] = {}
    for comparison in comparisons:
        for row in comparison.timed:
            ratios.setdefault(row.contender, []).append(row.seconds / comparison.timed[0].seconds)
        for row in comparison.timed[:1]:
            wins[row.contender] = wins.get(row.contender, 0) + 1
    found = [
        Standing(name, statistics.geometric_mean(r), max(r), wins.get(name, 0), len(r), len(comparisons))
        for name, r in ratios.items()
    ]
    return sorted(found, key=lambda s: (-s.wins, -s.ran, s.mean))


def groups(comparisons: Sequence[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """Return the comparisons by element type and number of threads, each group with its name."""
    kinds = dict.fromkeys((c.dtype, c.threads) for c in comparisons)
    return [
        (f"{dtype}, {plural(threads, 'thread')}", [c for c in comparisons if (c.dtype, c.threads) == (dtype, threads)])
        for dtype, threads in kinds
    ]


def plural(count: int, noun: str) -> str:
    """Return a number of things, as in "1 thread" and "2 threads"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def best(comparison: Comparison) -> Row | None:
    """Return convlib's fastest row."""
    return next((row for row in comparison.timed if row.contender not in PEERS), None)


def ratios(comparisons: Sequence[Comparison], *peers: str) -> list[tuple[str, float]]:
    """Return (problem name, time of the fastest of the peers / convlib's best time) where both sides ran."""
    found = []
    for comparison in comparisons:
        ours = best(comparison)
        theirs = next((row for row in comparison.timed if row.contender in peers), None)
        if ours is not None and theirs is not None:
            found.append((comparison.name, theirs.seconds / ours.seconds))
    return found


def against_peers(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a line per peer, and one for the fastest of several: its time over convlib's best on several problems."""
    if len(comparisons) < 2:
        return []
    ran = [peer for peer in PEERS if ratios(comparisons, peer)]
    lines = []
    for title, peers in [*((peer, [peer]) for peer in ran), *([("fastest peer", ran)] if len(ran) > 1 else [])]:
        found = ratios(comparisons, *peers)
        name, worst = min(found, key=lambda pair: pair[1])
        mean = statistics.geometric_mean(ratio for _, ratio in found)
        told = f"geometric mean {mean:.2f} over {len(found)}, worst {worst:.2f} ({name})"
        lines.append(f"{title} time / convlib's best: {told}")
    return lines


def scaling(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a line per contender and number of threads: how many times as fast as with the fewest threads."""
    counts = sorted({c.threads for c in comparisons})
    times = {
        (row.contender, c.threads, (c.name, c.problem, c.dtype)): row.seconds for c in comparisons for row in c.timed
    }
    lines = []
    for name in dict.fromkeys(contender for contender, _, _ in times):
        few = {key: seconds for (who, threads, key), seconds in times.items() if (who, threads) == (name, counts[0])}
        for more in counts[1:]:
            gains = [few[key] / times[name, more, key] for key in few if (name, more, key) in times]
            if gains:
                mean = statistics.geometric_mean(gains)
                lines.append(f"{name}: {more} threads {mean:.2f} × as fast as {counts[0]}, over {len(gains)}")
    return lines


def crossovers(comparisons: Sequence[Comparison], swept: str) -> list[str]:
    """Return who is fastest over which values of a sweep, in runs of neighbouring values."""
    winners = [(c.value, c.timed[0].contender) for c in comparisons if c.value is not None and c.timed]
    lines = []
    for name, run in groupby(winners, key=lambda pair: pair[1]):
        values = [value for value, _ in run]
        span = f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"
        lines.append(f"{swept} {span}: {name}")
    return lines


def warnings(report: Report) -> list[str]:
    """Return what makes the numbers doubtful, in words."""
    return [*_load(report), *_rounds(report), *_beyond_the_peak(report)]


def _load(report: Report) -> list[str]:
    found = []
    cpus = report.machine.get("cpus") or 1
    if report.load > cpus:
        found.append(f"the load was {report.load:.1f} before the start, above the {plural(cpus, 'processor')}")
    # While it runs, the contender itself keeps as many processors busy as it has threads.
    heavy = [c for c in report.comparisons if c.load > cpus + 1]
    if heavy:
        worst = max(c.load for c in heavy)
        found.append(
            f"the load rose to {worst:.1f} on {plural(cpus, 'processor')} during {_some(c.name for c in heavy)}"
        )
    return found


def _rounds(report: Report) -> list[str]:
    apart = [(c, row) for c in report.comparisons for row in c.rows if row.rounds and row.fold > FOLD]
    if not apart:
        return []
    c, row = max(apart, key=lambda pair: pair[1].fold)
    more = f", and of {len(apart) - 1} more" if len(apart) > 1 else ""
    return [f"rounds of {row.contender} on {c.name} differ {row.fold:.1f}-fold{more}"]


def _beyond_the_peak(report: Report) -> list[str]:
    above = [
        f"{row.contender} on {c.name}" for c in report.comparisons for row in c.timed
        if not row.effective and c.flops / row.seconds > report.peak(c)
    ]  # fmt: skip
    return [f"{_some(above)} went beyond the FMA peak that was measured: its probes were disturbed"] if above else []


def _some(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def level(first: Row, second: Row) -> bool:
    """Return whether two rows cannot be told apart: the quartiles of their rounds overlap."""
    return second.quartiles[0] <= first.quartiles[1]


def verdict(report: Report) -> str:
    """Return the result in a sentence or two."""
    sentences = []
    failed = list(dict.fromkeys(row.contender for _, row in report.failures))
    if failed:
        sentences.append(f"{', '.join(failed)} failed: see above.")
    kinds = groups(report.comparisons)
    for title, members in kinds:
        prefix = f"{title}: " if len(kinds) > 1 else ""
        sentences.append(prefix + (_of_one(members[0]) if len(members) == 1 else _of_many(members)))
    if not report.comparisons:
        sentences.append("nothing was measured.")
    if not report.complete:
        sentences.append("Not everything was measured.")
    if _doubtful(report):
        sentences.append("The machine was noisy: measure again.")
    return " ".join(sentences)


def _doubtful(report: Report) -> bool:
    """Return whether the noise may have changed who is fastest: rounds of those far behind do not count."""
    near = (row for c in report.comparisons for row in c.timed if row.seconds < FOLD * c.timed[0].seconds)
    return bool(_load(report) or _beyond_the_peak(report)) or any(row.fold > FOLD for row in near)


def _of_one(comparison: Comparison) -> str:
    rows = comparison.timed
    if not rows:
        return "nobody computed the whole problem."
    first = rows[0]
    if len(rows) == 1:
        return f"only {first.contender} computed the whole problem."
    second = rows[1]
    times = second.seconds / first.seconds
    if level(first, second):
        same = [row.contender for row in rows if level(first, row)]
        return f"{', '.join(same[:-1])} and {same[-1]} cannot be told apart: their rounds overlap."
    return f"{first.contender} is fastest; {second.contender}, the next, takes {times:.2f} × its time."


def _of_many(comparisons: Sequence[Comparison]) -> str:
    table = standings(comparisons)
    if not table:
        return "nobody computed a whole problem."
    first = table[0]
    text = f"{first.contender} is fastest in {first.wins} of {first.problems}"
    if len(table) == 1:
        return f"only {first.contender} computed whole problems."
    others = [s for s in table[1:] if s.wins]
    if others:
        text += ", " + ", ".join(f"{s.contender} in {s.wins}" for s in others[:3])
    most = max(s.ran for s in table)
    means = sorted((s for s in table if s is first or s.ran == most), key=lambda s: s.mean)[:3]
    told = (f"{s.contender} {s.mean:.3g}" + (f" (over {s.ran})" if s.ran < most else "") for s in means)
    return f"{text}; time over the fastest, geometric mean: {', '.join(told)}."
