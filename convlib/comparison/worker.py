"""One contender in a process of its own: reads requests as JSON lines, answers as JSON lines.

Requests: ``{"check": problem, "dtype": ...}`` prepares and checks a problem; ``{"time": seconds}`` times the one
prepared last.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ConvlibError
from ..problem import Problem, parse
from ..testing import error_bound
from .contenders import prepare
from .peers import PEERS, CannotError
from .race import STOPS
from .truth import inputs, truth

#: A call that would take longer than this, in seconds, is checked and timed on a part of the problem.
LONGEST = 0.3

#: Calls before the clock runs, in seconds: caches are cold, and threads asleep or, of others, awake.
WARM_UP = 0.015


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Worker:
    """The state between two requests: what was prepared."""

    name: str
    threads: int

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.call: Callable[[], Any] | None = None

    def check(self, text: str, dtype: str) -> dict[str, Any]:
        """Prepare a problem, run it once and compare with the truth."""
        self.call = None
        whole = parse(text)
        problem = self._fitting(whole, dtype)
        arrays = inputs(problem, dtype)
        prepared = prepare(self.name, problem, arrays, self.threads)
        got = np.asarray(prepared.call()).reshape(-1)
        expected, size = truth(problem, arrays)
        if got.size != expected.size:
            return {"wrong": f"{got.size} elements instead of {expected.size}"}
        error = float(np.abs(got - expected.reshape(-1)).max(initial=0.0)) / size
        terms = int(np.prod(problem.w_shape[1:])) if not problem.is_pool else int(np.prod(problem.k))
        terms = max(terms, problem.work // max(1, int(np.prod(problem.w_shape))) if problem.op == "gradw" else 0)
        bound = error_bound(terms, dtype)
        answer: dict[str, Any] = {
            "error": error if np.isfinite(error) else None, "bound": bound, "algorithm": prepared.algorithm,
            "scratch": prepared.scratch, "effective": prepared.effective or problem.is_pool,
            "part": None if problem == whole else str(problem), "scale": whole.work / max(1, problem.work),
        }  # fmt: skip
        if not error <= bound:
            answer["wrong"] = f"error {error:.2g} exceeds the bound {bound:.2g}"
        else:
            self.call = prepared.call
        return answer

    def _fitting(self, problem: Problem, dtype: str) -> Problem:
        """Return the problem, or a part that a slow contender computes fast enough."""
        if self.name in PEERS:
            return problem
        budget = 20_000
        while True:
            part = problem.crop(budget)
            arrays = inputs(part, dtype)
            call = prepare(self.name, part, arrays, self.threads).call
            call()
            rate = part.work / min(_seconds(call) for _ in range(3))  # one call may meet a disturbance
            if problem.work < rate * LONGEST:
                return problem
            if 4 * budget > rate * LONGEST / 4:  # the next part would take longer than is well spent on it
                return part
            budget *= 4

    def time(self, seconds: float) -> dict[str, Any]:
        """Time calls for about `seconds`, at least one and at most 1000."""
        assert self.call is not None
        times: list[float] = []
        began = time.perf_counter()
        while time.perf_counter() - began < WARM_UP:
            self.call()
        began = time.perf_counter()
        while not times or (time.perf_counter() - began < seconds and len(times) < 1000):
            start = time.perf_counter()
            self.call()
            times.append(time.perf_counter() - start)
        return {"times": times}


_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve requests until the input ends."""
    if STOPS:  # and stopped, it would not see the end of its input
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the answers
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "check" in request:
                answer = worker.check(request["check"], request["dtype"])
            else:
                answer = worker.time(request["time"])
        except (CannotError, ConvlibError) as error:
            answer = {"cannot": str(error)}
        except MemoryError as error:
            answer = {"cannot": f"out of memory: {error}" if str(error) else "out of memory"}
        except Exception as error:  # the parent shows it and goes on with the others
            answer = {"wrong": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
