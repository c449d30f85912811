"""What the races share: a process for each contender, rounds in turn, and the median time of one round."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

ROUND_SECONDS = 0.05


def median_seconds(call: Callable[[], Any], seconds: float = ROUND_SECONDS) -> float:
    """Return the median time of a call over one round of so many seconds, or of three calls."""
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Contenders:
    """A process of a script for each contender, which answers a line with a line.

    Parameters
    ----------
    script : str
        Run with ``--worker NAME``, and what else is said.
    names : iterable of str
        The contenders.
    *more : str
        What each is told behind its name.
    """

    def __init__(self, script: str, names: Iterable[str], *more: str) -> None:
        self._workers = {
            name: subprocess.Popen(
                [sys.executable, script, "--worker", name, *more],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for name in names
        }  # fmt: skip

    def _ask(self, name: str, line: str) -> list[str]:
        pipes = self._workers[name]
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        print(line, file=pipes.stdin, flush=True)
        return pipes.stdout.readline().split()

    def rounds(self, line: str, count: int) -> dict[str, list[list[str]]]:
        """Return the answers of each contender to a line that is asked `count` times, in turn."""
        said: dict[str, list[list[str]]] = {name: [] for name in self._workers}
        for turn in range(count):
            for name in sorted(self._workers, reverse=bool(turn % 2)):
                said[name].append(self._ask(name, line))
        return said

    def numbers(self, line: str, count: int = 1) -> dict[str, list[float]]:
        """Return the answers of one number each."""
        return {name: [float(number) for (number,) in said] for name, said in self.rounds(line, count).items()}

    def end(self) -> None:
        """Let all processes end."""
        for process in self._workers.values():
            process.communicate()
