"""What the races share: a process for each contender, rounds in turn, and the median time of one round."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

ROUND_SECONDS = 0.05


def median_seconds(call: Callable[[], Any]) -> float:
    """Return the median time of a call over one round."""
    times: list[float] = []
    while sum(times) < ROUND_SECONDS or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Contenders:
    """A process of a script for each contender, which answers a line with a line.

    Parameters
    ----------
    script : str
        Run with ``--worker NAME``.
    names : iterable of str
        The contenders.
    """

    def __init__(self, script: str, names: Iterable[str]) -> None:
        self._workers = {
            name: subprocess.Popen(
                [sys.executable, script, "--worker", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for name in names
        }

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

    def end(self) -> None:
        """Let all processes end."""
        for process in self._workers.values():
            process.communicate()
