"""Made-up measurements: reports for the tests of all that shows, stores and compares them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convlib.comparison.result import Comparison, Peak, Report, Row
from convlib.problem import parse

CONV = "n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1"
POOL = "maxpool n1 ic64 ih56 iw56 kh2 kw2"


def row(contender: str, seconds: float, spread: float = 0.0, **words: Any) -> Row:
    """Return a row of five rounds around a median; their quartiles lie `spread` of it apart."""
    rounds = tuple(seconds * (1 + spread * part) for part in (-1, -0.5, 0, 0.5, 1))
    return Row(contender, "ok", rounds=rounds, calls=50, **{"error": 1e-7, "bound": 1e-5, **words})


def comparison(*rows: Row, problem: str = CONV, **words: Any) -> Comparison:
    """Return the comparison of a problem."""
    known = parse(problem)
    given = {"name": problem, "dtype": "float32", "threads": 2, **words}
    return Comparison(problem=problem, flops=known.flops, nbytes=4 * known.elements, rows=rows, **given)


def report(*comparisons: Comparison, **words: Any) -> Report:
    """Return a report of comparisons, on a quiet machine with a peak of 200 GFLOP/s and 20 GB/s."""
    names = list(dict.fromkeys(row.contender for c in comparisons for row in c.rows))
    threads = sorted({c.threads for c in comparisons}) or [2]
    arguments = {
        "problems": [{"name": c.name, "problem": c.problem, "count": c.count, "value": c.value} for c in comparisons],
        "contenders": names or ["native"], "dtypes": list(dict.fromkeys(c.dtype for c in comparisons)) or ["float32"],
        "threads": threads, "seconds": 0.15, "sweep": words.pop("sweep", None),
    }  # fmt: skip
    machine = {
        "processor": "Example 3000", "cpus": 2, "system": "Linux", "instruction_set": "avx2",
        "versions": {"python": "3.13.1", "convlib": "0.1.0", "numpy": "2.4.0", "scipy": "1.17.0"}
        | {name: "2.0" for name in names if name in ("torch", "onnxruntime")},
    }  # fmt: skip
    peaks = tuple(Peak(count, 100e9 * count, 10e9 * count, 7) for count in threads)
    made = Report("2026-01-02T03:04:05+00:00", arguments, machine, comparisons, peaks, 0.5)
    return replace(made, **words)


def mixed() -> Report:
    """Return a report with a bit of everything."""
    return report(
        comparison(
            row("native", 1.5e-3, 0.02, algorithm="native:winograd", effective=True, scratch=2**21),
            row("im2col", 3e-3, 0.01, algorithm="im2col:packed", scratch=2**20),
            row("naive", 1e-3, part="n1 ic4 ih7 iw7 oc4 kh3 kw3 ph1", scale=16384.0, scratch=0),
            row("torch", 2e-3, 0.01),
            name="3x3", count=2,
        ),
        comparison(
            row("native", 2e-5, algorithm="native:pool_window", effective=True, scratch=0),
            Row("im2col", "cannot", "does not implement pool"),
            Row("naive", "wrong", "error 0.3 exceeds the bound 1e-5", error=0.3, bound=1e-5),
            Row("torch", "crashed", "its process ended with signal SIGSEGV"),
            name="max", problem=POOL,
        ),
    )  # fmt: skip
