"""The race itself: one process per contender, checks first, then interleaved rounds until they agree."""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, Protocol

from ..errors import SpecError
from ..info import show_config
from ..problem import parse
from . import probe
from .peers import PEERS
from .problems import Task
from .result import Comparison, Peak, Report, Row

#: Rounds that there are always, and at most; more are run while some contender's quartiles lie further apart than
#: STEADY of its median.
ROUNDS, MOST_ROUNDS, STEADY = 5, 15, 0.1

#: Calls longer than this, in seconds, even disturbances out by their own length and get FEW_ROUNDS.
LONG_CALL, FEW_ROUNDS = 0.1, 3

#: Whether a contender is stopped until it is asked again.  Some let their threads look for work long after a round.
#: Only Linux ends what is stopped together with this process.
STOPS = sys.platform.startswith("linux")

#: A process that answers nothing for this long, in seconds, is ended.
PATIENCE = 600.0


@dataclass(frozen=True)
class Request:
    """What is asked for; `Report.arguments` holds it as plain data.

    Attributes
    ----------
    tasks : tuple of Task
        The problems.
    contenders : tuple of str
        As `contenders.contenders` returns them.
    dtypes, threads : tuple of str, tuple of int
        Each problem is raced with each of them.
    seconds : float
        Timing budget per problem and contender, before more rounds are added.
    sweep : str or None
        What the tasks vary.
    """

    tasks: tuple[Task, ...]
    contenders: tuple[str, ...]
    dtypes: tuple[str, ...]
    threads: tuple[int, ...]
    seconds: float
    sweep: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "problems": [asdict(task) | {"problem": str(task.problem)} for task in self.tasks],
            "contenders": list(self.contenders), "dtypes": list(self.dtypes), "threads": list(self.threads),
            "seconds": self.seconds, "sweep": self.sweep,
        }  # fmt: skip

    @classmethod
    def from_data(cls, data: Any) -> Request:
        """Return what `as_data` wrote."""
        try:
            tasks = tuple(Task(**task | {"problem": parse(task["problem"])}) for task in data["problems"])
            lists = {key: tuple(data[key]) for key in ("contenders", "dtypes", "threads")}
            return cls(tasks, seconds=data["seconds"], sweep=data["sweep"], **lists)
        except (KeyError, TypeError) as error:
            raise SpecError(f"the arguments in the report are damaged: {error}") from None


class Watcher(Protocol):
    """Who is told how a race goes on."""

    def begin(self, report: Report, total: int) -> None:
        """See the report before the first comparison; `total` comparisons are asked for."""

    def step(self, comparison: Comparison, doing: str) -> None:
        """See a comparison that is under way."""

    def done(self, report: Report, comparison: Comparison) -> None:
        """See a comparison that is complete, and the report that holds it."""


class Worker:
    """The process of a contender; one that was lost is started again for the next problem."""

    name: str
    threads: int

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self._process: subprocess.Popen[str] | None = None
        self._said: Any = None

    def _start(self) -> subprocess.Popen[str]:
        count = str(self.threads)
        environment = os.environ | {
            "CONVLIB_NUM_THREADS": count, "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count,
            "MKL_NUM_THREADS": count, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }  # fmt: skip
        environment.pop("CONVLIB_BACKEND", None)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "convlib.comparison.worker", self.name, count], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._said, text=True, env=environment,
            start_new_session=True,  # Ctrl-C is answered here, which ends it
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer; ``crashed`` in it says that the process is lost."""
        if self._process is None:
            self._process = self._start()
        elif STOPS:
            self._process.send_signal(signal.SIGCONT)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            if not select.select([stdout], [], [], PATIENCE)[0]:
                self.close()
                return {"crashed": f"gave no answer within {PATIENCE:.0f} s and was ended"}
            answer: dict[str, Any] = json.loads(stdout.readline() or "null") or {"crashed": self._end()}
            if STOPS and self._process is not None:
                self._process.send_signal(signal.SIGSTOP)
        except (BrokenPipeError, ValueError):
            answer = {"crashed": self._end()}
        return answer

    def _end(self) -> str:
        """Return what became of a process that is gone, and the last line it wrote."""
        assert self._process is not None
        status = self._process.wait()
        try:
            ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        except ValueError:
            ended = f"signal {-status}"
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        self.close()
        return f"its process ended with {ended}" + (f": {last[:200]}" if last else "")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # waits, and closes the pipes
            self._said.close()
            self._process = None


class Race:
    """A request that is being carried out; `report` is what is known so far, also after an interruption.

    Parameters
    ----------
    request : Request
        What to do.
    before : Report, optional
        A report of the same request whose complete comparisons are taken over.
    """

    def __init__(self, request: Request, before: Report | None = None) -> None:
        self.request = request
        kept = () if before is None else tuple(c for c in before.comparisons if c.complete)
        self._finished: list[Comparison] = list(kept)
        self._open: Comparison | None = None
        self._peaks = {peak.threads: peak for peak in (() if before is None else before.peaks)}
        self._load = load_average() if before is None else max(before.load, load_average())
        self._created = datetime.now(UTC).isoformat(timespec="seconds") if before is None else before.created
        self._machine = machine(request.contenders)
        self._total = len(request.tasks) * len(request.dtypes) * len(request.threads)

    @property
    def report(self) -> Report:
        """What was measured so far."""
        begun = [self._open] if self._open is not None and any(row.rounds for row in self._open.rows) else []
        return Report(
            self._created, self.request.as_data(), self._machine, (*self._finished, *begun),
            tuple(self._peaks[threads] for threads in sorted(self._peaks)), self._load,
            complete=len(self._finished) >= self._total,
        )  # fmt: skip

    def run(self, watcher: Watcher) -> Report:
        """Measure what is not measured yet."""
        for threads in self.request.threads:
            self._probe(threads, copy=True)
        watcher.begin(self.report, self._total)
        there = {c.key for c in self._finished}
        for threads in self.request.threads:
            workers = [Worker(name, threads) for name in self.request.contenders]
            try:
                for dtype, task in product(self.request.dtypes, self.request.tasks):
                    if (task.name, str(task.problem), dtype, threads) not in there:
                        self._race(task, dtype, threads, workers, watcher)
            finally:
                for worker in workers:
                    worker.close()
            self._probe(threads, copy=True)
        return self.report

    def _race(self, task: Task, dtype: str, threads: int, workers: Sequence[Worker], watcher: Watcher) -> None:
        problem = task.problem
        nbytes = problem.elements * (8 if dtype == "float64" else 4)
        self._open = comparison = Comparison(
            task.name, str(problem), dtype, threads, problem.flops, nbytes, (), task.count, task.value, complete=False
        )
        rows: list[Row] = []
        for worker in workers:
            watcher.step(comparison, f"check {worker.name}")
            rows.append(_checked(worker, comparison))
            self._open = comparison = replace(comparison, rows=tuple(rows))
        pairs = list(zip(workers, range(len(rows)), strict=True))
        for number in range(MOST_ROUNDS):
            if number >= ROUNDS and _steady(rows):
                break
            self._probe(threads)
            # Rounds of A B C, B C A, …: a disturbance of the machine hits all contenders alike, and none always
            # follows the same one, whose threads may still look for work.
            turn = number % len(pairs)
            for worker, at in pairs[turn:] + pairs[:turn]:
                if _wants_round(rows[at], number):
                    watcher.step(comparison, f"round {number + 1}, {worker.name}")
                    rows[at] = _timed(worker, rows[at], self.request.seconds / ROUNDS)
                    self._open = comparison = replace(
                        comparison, rows=tuple(rows), load=max(comparison.load, load_average())
                    )
        self._probe(threads)
        comparison = replace(comparison, complete=True)
        self._finished.append(comparison)
        self._open = None
        watcher.done(self.report, comparison)

    def _probe(self, threads: int, *, copy: bool = False) -> None:
        """Measure the peak once more; the largest counts, since disturbances only ever make it smaller."""
        found = probe.fma_peak(0.01, threads)
        peak = self._peaks.get(threads, Peak(threads, 0.0, 0.0, 0))
        rate = probe.copy_rate(threads) if copy else 0.0
        self._peaks[threads] = Peak(threads, max(peak.flops, found), max(peak.copy, rate), peak.probes + 1)


def load_average() -> float:
    """Return how many threads wanted a processor during the last minute; 0 where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return 0.0


#: Beginnings of the environment variables that change what contenders do.
SETTINGS = ("ATEN_CPU_", "CONVLIB_", "DNNL_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_")


def machine(contenders: Sequence[str]) -> dict[str, Any]:
    """Return what the numbers depend on: processor, instruction set, system, versions and settings of all."""
    from .. import __version__ as convlib_version

    known = show_config("dict") or {}
    peers = {name: PEERS[name].version for name in contenders if name in PEERS}
    versions = known["versions"] | {"convlib": convlib_version} | peers
    environment = {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)}
    settings = known["settings"] | environment
    return {**known["machine"], **known["engine"], "versions": versions, "settings": settings}


def _checked(worker: Worker, comparison: Comparison) -> Row:
    answer = worker.ask(check=comparison.problem, dtype=comparison.dtype)
    for status in ("cannot", "crashed", "wrong"):
        if status in answer:
            note = answer.pop(status)
            return Row(worker.name, status, note, **answer)
    return Row(worker.name, "ok", **answer)


def _timed(worker: Worker, row: Row, seconds: float) -> Row:
    answer = worker.ask(time=seconds)
    if "times" not in answer:
        status, note = next(iter(answer.items()))
        return replace(row, status="crashed" if status == "crashed" else "wrong", note=note)
    times = answer["times"]
    return replace(row, rounds=(*row.rounds, statistics.median(times)), calls=row.calls + len(times))


def _wants_round(row: Row, number: int) -> bool:
    return row.status == "ok" and (number < FEW_ROUNDS or row.seconds <= LONG_CALL)


def _steady(rows: Sequence[Row]) -> bool:
    return all(row.spread <= STEADY for row in rows if row.status == "ok" and row.seconds <= LONG_CALL)
