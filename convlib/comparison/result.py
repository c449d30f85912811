"""What a comparison found: the one data model, which texts, pictures, pages and files are made from."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import SpecError

#: Of the files that `Report.to_json` writes: raised when one that reads the old files cannot read the new.
SCHEMA = 1

_T = TypeVar("_T")


@dataclass(frozen=True)
class Row:
    """What one contender did on one problem.

    Attributes
    ----------
    contender : str
        Its name.
    status : {"ok", "wrong", "crashed", "cannot"}
        Whether it agreed with the float64 truth, did not, lost its process, or does not offer the problem.
    note : str
        Why, if not "ok".
    algorithm : str
        What served it, if that is known.
    error, bound : float or None
        Largest difference to the truth, and the largest that is no disagreement; relative to the largest sum of
        absolute products.
    scratch : int or None
        Bytes of scratch memory.
    effective : bool
        Whether it may do other operations than those that are counted: its rate is no share of the peak.
    part : str or None
        The part of the problem that was computed and timed, if the whole would take too long.
    scale : float
        Work of the problem over that of the part.
    rounds : tuple of float
        Seconds of a call, the median of each round, of what was computed.
    calls : int
        Number of calls that were timed.
    """

    contender: str
    status: str
    note: str = ""
    algorithm: str = ""
    error: float | None = None
    bound: float | None = None
    scratch: int | None = None
    effective: bool = False
    part: str | None = None
    scale: float = 1.0
    rounds: tuple[float, ...] = ()
    calls: int = 0

    @property
    def timed(self) -> bool:
        """Whether it computed the whole problem rightly and was timed: only such rows are compared."""
        return self.status == "ok" and bool(self.rounds) and self.part is None

    @property
    def seconds(self) -> float:
        """Median of the rounds, of what was computed."""
        return statistics.median(self.rounds)

    @property
    def extrapolated(self) -> float:
        """Seconds that the whole problem would take if they grew as the work does."""
        return self.seconds * self.scale

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of the rounds."""
        if len(self.rounds) < 2:
            return self.seconds, self.seconds
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """Distance of the quartiles over the median."""
        low, high = self.quartiles
        return (high - low) / self.seconds

    @property
    def fold(self) -> float:
        """Slowest round over the fastest."""
        return max(self.rounds) / min(self.rounds)


@dataclass(frozen=True)
class Comparison:
    """All rows of one problem in one element type with one number of threads.

    Attributes
    ----------
    name, problem : str
        What it is called, and the problem string.
    dtype : str
        Element type.
    threads : int
        Threads of each contender.
    flops, nbytes : int
        Operations that are counted, and bytes that a call must touch at least: each input and the result once.
    rows : tuple of Row
        One per contender.
    count : int
        Layers of a network that it stands for.
    value : int or None
        What a sweep set.
    load : float
        Highest load average of the machine seen during the rounds.
    complete : bool
        Whether all rounds were run.
    """

    name: str
    problem: str
    dtype: str
    threads: int
    flops: int
    nbytes: int
    rows: tuple[Row, ...]
    count: int = 1
    value: int | None = None
    load: float = 0.0
    complete: bool = True

    @property
    def timed(self) -> list[Row]:
        """The rows that can be compared, fastest first."""
        return sorted((row for row in self.rows if row.timed), key=lambda row: row.seconds)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes it the same comparison as one in another report."""
        return self.name, self.problem, self.dtype, self.threads


@dataclass(frozen=True)
class Peak:
    """The most that the machine showed with a number of threads: before, between and after the rounds.

    Attributes
    ----------
    threads : int
        Threads that worked at the same time.
    flops : float
        Operations per second of float32 multiply-adds in registers.
    copy : float
        Bytes per second, read and written, of copies larger than the caches.
    probes : int
        How often it was measured.
    """

    threads: int
    flops: float
    copy: float
    probes: int


@dataclass(frozen=True)
class Report:
    """A whole comparison; ``str()`` gives the text that the command line prints.

    Attributes
    ----------
    created : str
        Date and time of the start, in UTC.
    arguments : dict
        What was asked for: problems, contenders, dtypes, threads, seconds, sweep.
    machine : dict
        Processor, instruction set, system, and the versions of everything that took part.
    comparisons : tuple of Comparison
        One per problem, element type and number of threads.
    peaks : tuple of Peak
        One per number of threads.
    load : float
        Load average of the machine before the start.
    complete : bool
        Whether everything that was asked for was measured.
    """

    created: str
    arguments: Mapping[str, Any]
    machine: Mapping[str, Any]
    comparisons: tuple[Comparison, ...]
    peaks: tuple[Peak, ...]
    load: float = 0.0
    complete: bool = True

    def __str__(self) -> str:
        from .text import whole

        return whole(self)

    @property
    def failures(self) -> list[tuple[Comparison, Row]]:
        """Rows that are wrong or whose process was lost."""
        return [(c, row) for c in self.comparisons for row in c.rows if row.status in ("wrong", "crashed")]

    def peak(self, comparison: Comparison) -> float:
        """Return the FMA peak that a comparison's rates are a share of: a vector holds half as many float64."""
        found = max((peak.flops for peak in self.peaks if peak.threads == comparison.threads), default=float("nan"))
        return found / 2 if comparison.dtype == "float64" else found

    def to_json(self) -> str:
        """Return everything as JSON, from which `from_json` makes an equal report."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line of CSV per contender and problem; times in seconds, ``estimate`` extrapolated from a part."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for comparison in self.comparisons:
            fastest = next((row.seconds for row in comparison.timed), None)
            for row in comparison.rows:
                writer.writerow(_cells(comparison, row, fastest))
        return text.getvalue()

    def plot(self, path: str) -> None:
        """Draw the report; the ending of `path` names the format.  Needs Matplotlib."""
        from .plot import check, draw

        check(path)
        draw(self, path)

    def to_html(self) -> str:
        """Return a page that needs no other file."""
        from .page import page

        return page(self)


_COLUMNS = (
    "name", "problem", "dtype", "threads", "contender", "status", "algorithm", "seconds", "quartile1", "quartile3",
    "rounds", "times_fastest", "flops_per_second", "effective", "estimate", "part", "error", "bound", "scratch", "note",
)  # fmt: skip


def _cells(comparison: Comparison, row: Row, fastest: float | None) -> list[Any]:
    times: list[Any] = [""] * 6
    if row.timed and fastest is not None:
        times = [row.seconds, *row.quartiles, len(row.rounds), row.seconds / fastest, comparison.flops / row.seconds]
    estimate = row.extrapolated if row.status == "ok" and row.rounds and row.part else ""
    return [
        comparison.name, comparison.problem, comparison.dtype, comparison.threads, row.contender, row.status,
        row.algorithm, *times, int(row.effective), estimate, row.part, row.error, row.bound, row.scratch, row.note,
    ]  # fmt: skip


def from_json(text: str, source: str = "the text") -> Report:
    """Return the report that `Report.to_json` wrote.

    Raises
    ------
    SpecError
        If the text is none, or of a schema that this version does not know; `source` names it.
    """
    try:
        data = json.loads(text)
        schema = data.pop("schema")
    except (ValueError, AttributeError, KeyError, TypeError):
        raise SpecError(f"{source} is no report of convlib compare; --json writes one") from None
    if schema != SCHEMA:
        raise SpecError(f"{source} has the schema {schema!r}; this version of convlib reads {SCHEMA}")
    try:
        comparisons = tuple(
            _made(Comparison, c | {"rows": tuple(_made(Row, r | {"rounds": tuple(r["rounds"])}) for r in c["rows"])})
            for c in data["comparisons"]
        )
        peaks = tuple(_made(Peak, peak) for peak in data["peaks"])
        return _made(Report, data | {"comparisons": comparisons, "peaks": peaks})
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"{source} is damaged: {type(error).__name__} {error}") from None


def _made(kind: type[_T], data: Mapping[str, Any]) -> _T:
    unknown = set(data) - {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**data)


def load(path: str) -> Report:
    """Read a report from a file that `save` or ``--json`` wrote."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}") from None
    return from_json(text, path)


def save(path: str, text: str) -> None:
    """Write a file so that it holds the old or the new text whatever happens."""
    target = Path(path)
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if target.exists() and not target.is_file():  # such as /dev/stdout
            target.write_text(text, encoding="utf-8")
            return
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SpecError(f"cannot write {path!r}: {error.strerror}") from None


def writable(paths: Iterable[str]) -> None:
    """Raise SpecError unless each file can be written, before anything is measured; none is made or changed."""
    for path in paths:
        target = Path(path)
        folder = target.parent
        if target.is_dir():
            raise SpecError(f"cannot write {path!r}: it is a folder")
        if not folder.is_dir():
            raise SpecError(f"cannot write {path!r}: there is no folder {str(folder)!r}")
        if not os.access(target if target.exists() else folder, os.W_OK):
            raise SpecError(f"cannot write {path!r}: no permission")
