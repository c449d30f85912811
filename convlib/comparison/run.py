"""The comparison itself: one process per contender, checks first, then interleaved rounds of timing."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from .._ext import _native, _probe
from ..errors import SpecError
from ..problem import Problem, parse

ROUNDS = 5
FEW_ROUNDS = 2  # for calls of more than a tenth of a second, whose own length evens disturbances out
Progress = Callable[[int, int, str], None]


@dataclass
class Row:
    """What one contender did on one problem; times in seconds, scratch in bytes."""

    contender: str
    status: str  # "ok", "wrong", "cannot"
    note: str = ""
    algorithm: str = ""
    error: float = 0.0
    bound: float = 0.0
    scratch: int | None = None
    flops: int = 0
    part: str | None = None
    times: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median over the rounds of each round's median."""
        return statistics.median(self.times) if self.times else float("nan")

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.flops / self.seconds if self.times else float("nan")


@dataclass
class Comparison:
    """All rows of one problem."""

    name: str
    problem: str
    fma_peak: float  # operations per second, measured beside the rows
    rows: list[Row]


def suites() -> tuple[str, ...]:
    """Return the names of the suites that come with the package."""
    found = (entry.name.removesuffix(".txt") for entry in files("convlib").joinpath("suites").iterdir())
    return tuple(sorted(name for name in found if not name.startswith("_")))


def suite(name: str, batch: int | None = None) -> list[tuple[str, Problem]]:
    """Return (layer name, problem) of a suite, with another batch size if one is given."""
    if name not in suites():
        raise SpecError(f"unknown suite {name!r}; valid: {', '.join(suites())}")
    title, found = "", []
    for raw in files("convlib").joinpath("suites", f"{name}.txt").read_text().splitlines():
        line = raw.strip()
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line:
            found.append((title or line, with_batch(parse(line), batch)))
            title = ""
    return found


def with_batch(problem: Problem, batch: int | None) -> Problem:
    """Return the problem with another batch size."""
    if batch is None:
        return problem
    words = str(problem).split()
    at = next(i for i, word in enumerate(words) if word[0] == "n" and word[1:].isdigit())
    words[at] = f"n{batch}"
    return parse(" ".join(words))


def _search_path() -> str:
    """Return a search path on which a child finds this very package, not one that lies in the current folder."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


class Contender:
    """A contender's process, seen from the parent."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        environment = {
            **os.environ, "CONVLIB_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "PYTHONPATH": _search_path(),
        }  # fmt: skip
        environment.pop("CONVLIB_BACKEND", None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "convlib.comparison.worker", name, str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"wrong": f"its process ended with status {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()  # waits, and closes the pipes


def compare(
    problems: Sequence[tuple[str, Problem]], contenders: Sequence[str], *, dtype: str, threads: int, seconds: float,
    progress: Progress,
) -> list[Comparison]:  # fmt: skip
    """Check and time contenders on problems.

    Parameters
    ----------
    problems : sequence of (str, Problem)
        Name and problem.
    contenders : sequence of str
        Backends and peers.
    dtype : str
        Element type.
    threads : int
        Threads per contender.
    seconds : float
        Timing budget per problem and contender.
    progress : callable
        Called with (steps done, steps in all, what is being done).

    Returns
    -------
    comparisons : list of Comparison
        One per problem.
    """
    workers = [Contender(name, threads) for name in contenders]
    results = []
    try:
        for number, (name, problem) in enumerate(problems):
            progress(number, len(problems), name)
            results.append(_one(name, problem, workers, dtype, threads, seconds))
        progress(len(problems), len(problems), "done")
    finally:
        for worker in workers:
            worker.close()
    return results


def _one(
    name: str, problem: Problem, workers: list[Contender], dtype: str, threads: int, seconds: float
) -> Comparison:
    rows = [_checked(worker, problem, dtype) for worker in workers]
    # The peak of the instruction set that the engine uses: CONVLIB_ISA lowers both.
    peaks, widest = [], _native.vector_bytes()
    # Rounds of A B C, B C A, …: a disturbance of the machine hits all contenders alike, and none always follows the
    # same one, whose threads may still look for work.
    pairs = list(zip(workers, rows, strict=True))
    for number in range(ROUNDS):
        peaks.append(_probe.fma_peak(0.01, threads, widest))
        turn = number % len(pairs)
        for worker, row in pairs[turn:] + pairs[:turn]:
            if row.status != "ok" or (number >= FEW_ROUNDS and row.seconds > 0.1):
                continue
            answer = worker.ask(time=seconds / ROUNDS)
            if "times" in answer:
                row.times.append(statistics.median(answer["times"]))
            else:
                row.status, row.note = "wrong", answer.get("wrong", answer.get("cannot", ""))
    return Comparison(name, str(problem), statistics.median(peaks), rows)


def _checked(worker: Contender, problem: Problem, dtype: str) -> Row:
    answer = worker.ask(check=str(problem), dtype=dtype)
    if "cannot" in answer:
        return Row(worker.name, "cannot", answer["cannot"])
    row = Row(worker.name, "wrong" if "wrong" in answer else "ok", answer.pop("wrong", ""))
    for key, value in answer.items():
        setattr(row, key, value)
    return row
