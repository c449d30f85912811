"""Time every implementation of the native engine, and tell how good its choice is.

    python benchmarks/choices.py SUITE ...

For each layer of the suites: the predicted and the measured time of each implementation that serves it, which one is
chosen, and the regret: the time of the chosen one over the fastest.  ``--plan`` prepares the weights; ``CONVLIB_ISA``
chooses the instruction set.  All runs share a process, as they are the engine's own; rounds alternate, and medians are
compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

import numpy as np

import convlib
from convlib.comparison.problems import suite
from convlib.problem import Problem, parse

ROUNDS, SECONDS = 5, 0.003

#: Layers that no suite has: narrow groups, dilation, long rows, odd windows, channels last.
MORE = """
n1 ic256 ih28 iw28 oc256 g32 kh3 kw3 ph1
n1 ic512 ih14 iw14 oc512 g32 kh3 kw3 ph1
n1 ic64 ih28 iw28 oc64 g16 kh3 kw3 ph1
n1 ic64 ih28 iw28 oc128 g64 kh3 kw3 ph1
n1 ic256 ih33 iw33 oc256 kh3 kw3 ph12 dh12
n1 ic128 ih17 iw17 oc192 kh1 kw7 pw3
n1 ic128 ih17 iw17 oc192 kh7 kw1 ph3 pw0
n1 ic32 ih56 iw56 oc32 kh5 kw5 ph2
n1 ic16 ih28 iw28 oc16 kh3 kw3 ph1
n1 ic8 ih28 iw28 oc8 kh3 kw3 ph1
n1 ic4 ih64 iw64 oc4 kh3 kw3 ph1
n1 ic3 ih227 iw227 oc96 kh11 kw11 sh4
n8 ic1 ih28 iw28 oc6 kh5 kw5 ph2
n8 ic6 ih14 iw14 oc16 kh5 kw5
n1 ic64 ih56 iw56 oc64 g64 kh7 kw7 ph3
n1 ic64 ih56 iw56 oc64 g64 kh31 kw31 ph15
n1 ic512 ih7 iw7 oc512 g512 kh5 kw5 ph2
n1 ic96 ih14 iw14 oc96 g96 kh3 kw3 ph1
n1 ic16 iw4000 oc16 kw9 pw4
n1 ic1 iw100000 oc1 kw101 pw50
n1 ic32 id16 ih28 iw28 oc32 kd3 kh3 kw3 pd1 ph1 pw1
n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1 nhwc
n1 ic256 ih14 iw14 oc256 kh3 kw3 ph1 nhwc
n1 ic64 ih56 iw56 oc256 kh1 kw1 nhwc
n1 ic144 ih56 iw56 oc144 g144 kh3 kw3 ph1 nhwc
n1 ic3 ih224 iw224 oc64 kh7 kw7 sh2 ph3 nhwc
maxpool n1 ic48 ih55 iw55 kh3 kw3 sh2
maxpool n4 ic64 iw8000 kw4 sw4
avgpool n1 ic64 ih57 iw57 kh2 kw2
maxpool n1 ic64 ih56 iw56 kh5 kw5 sh1 ph2
maxpool n1 ic64 ih56 iw56 kh7 kw7 sh1 ph3
maxpool n1 ic64 ih112 iw112 kh13 kw13 sh1 ph6
avgpool n8 ic256 ih7 iw7 kh7 kw7 nhwc
avgpool n1 ic64 ih56 iw56 kh3 kw3 sh2 ph1 nhwc
maxpool n1 ic64 ih56 iw56 kh3 kw3 sh1 ph1 nhwc
"""


def runs(problem: Problem, name: str | None, plan: bool, data: dict[str, Any]) -> Any:
    """Return a function that runs the problem by one implementation, or by the one that is chosen."""
    backend = f"native:{name}" if name else "native"
    function, words = getattr(convlib, problem.function), problem.keywords
    if problem.is_pool:
        return lambda: function(data["x"], problem.k, backend=backend, **words)
    if plan:
        made = getattr(convlib, f"plan_conv{problem.nd}d")(problem.x_shape, data["w"], backend=backend, **words)
        return lambda: made(data["x"])
    return lambda: function(data["x"], data["w"], backend=backend, **words)


def timed(functions: dict[str, Any]) -> dict[str, float]:
    """Return the median seconds of each function; rounds alternate."""
    for run in functions.values():
        run()
    counts = {}
    for name, run in functions.items():
        start = time.perf_counter()
        run()
        counts[name] = max(1, math.ceil(SECONDS / (time.perf_counter() - start)))
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, run in functions.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                run()
            found[name].append((time.perf_counter() - start) / counts[name])
    return {name: statistics.median(times) for name, times in found.items()}


def race(problem: Problem, plan: bool) -> float | None:
    """Print what each implementation takes, and return the regret."""
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal(problem.x_shape).astype("f4")}
    args: tuple[Any, ...] = (problem.x_shape, problem.k)
    if not problem.is_pool:
        data["w"] = rng.standard_normal(problem.w_shape).astype("f4")
        args = problem.x_shape, problem.w_shape
    said = convlib.explain(problem.function, *args, backend="native", **problem.keywords)
    able = {row.name: row for row in said.implementations if row.refusal is None and row.seconds < 0.3}
    functions = {name: runs(problem, name, plan, data) for name in able if not plan or name != "gemm_columns"}
    chosen = said.algorithm
    if plan and not problem.is_pool:
        chosen = getattr(convlib, f"plan_conv{problem.nd}d")(
            problem.x_shape, data["w"], backend="native", **problem.keywords
        ).explain().algorithm  # fmt: skip
    if chosen not in functions:
        return None
    times = timed(functions)
    regret = times[chosen] / min(times.values())
    parts = [
        f"{'*' if name == chosen else ''}{name} {1e6 * able[name].seconds:.0f}/{1e6 * seconds:.0f}"
        for name, seconds in sorted(times.items(), key=lambda item: item[1])
    ]
    print(f"{regret:5.2f}  {problem}: {'  '.join(parts)}", flush=True)
    return regret


def main() -> None:
    """Race the layers and print the regrets' mean and worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=[])
    parser.add_argument("--plan", action="store_true", help="weights are prepared once")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    convlib.set_num_threads(options.threads)
    problems = [task.problem for name in options.suites for task in suite(name)]
    problems += [parse(line) for line in MORE.split("\n") if line]
    print("regret, problem: implementation predicted/measured us, * the chosen one")
    regrets = [found for problem in problems if (found := race(problem, options.plan)) is not None]
    mean = math.exp(statistics.mean(map(math.log, regrets)))
    print(f"regret: geometric mean {mean:.3f}, worst {max(regrets):.2f}, {len(regrets)} layers")


if __name__ == "__main__":
    main()
