"""From what a user asks for, in Python or on the command line, to a checked request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import SpecError, quote
from ..problem import parse
from ..threads import MAX_THREADS, machine_threads
from .contenders import contenders
from .models import layers
from .problems import Task, changed, of_shapes, suite as listed, sweep as read_sweep, swept
from .race import Race, Request
from .result import Comparison, Report

DTYPES = ("float32", "float64")


def tasks(
    problem: Any = None, *, suite: str | None = None, onnx: str | None = None, input_shape: Sequence[int] | None = None,
    op: str | None = None, batch: int | None = None, layout: str | None = None, sweep: str | None = None,
) -> tuple[Task, ...]:  # fmt: skip
    """Return what is to be computed, from exactly one source, after all changes."""
    if sum(source is not None for source in (problem, suite, onnx)) != 1:
        raise SpecError(
            "name either one problem or one --suite or one --onnx model, as in: convlib compare --suite resnet50"
        )
    if input_shape is not None and onnx is None:
        raise SpecError("--input-shape is for --onnx; sizes of a problem stand in its text")
    if suite is not None:
        found = listed(suite)
    elif onnx is not None:
        found = layers(onnx, input_shape)
    elif isinstance(problem, str):
        found = [Task(str(parse(problem)), parse(problem))]
    elif isinstance(problem, Mapping):
        found = [Task(str(name), parse(text)) for name, text in problem.items()]
    else:
        found = [Task(str(parse(text)), parse(text)) for text in problem]
    found = [changed(task, batch=batch, op=op, layout=layout) for task in found]
    if isinstance(problem, str):  # it has no other name than its text
        found = [replace(task, name=str(task.problem)) for task in found]
    if sweep is not None:
        if len(found) != 1:
            raise SpecError(f"--sweep varies one problem, and here are {len(found)}")
        found = swept(found[0], read_sweep(sweep))
    if not found:
        raise SpecError("there is no problem to compare")
    return tuple(_distinct(found))


def _distinct(found: Sequence[Task]) -> list[Task]:
    """Drop what is there already: the same problem under the same name, which a sweep may give."""
    return list({(task.name, str(task.problem)): task for task in found}.values())


def request(
    found: Sequence[Task], *, backends: Sequence[str] | None, vs: Sequence[str], dtypes: Sequence[str],
    threads: Sequence[Any], seconds: float, sweep: str | None,
) -> Request:  # fmt: skip
    """Return the request, checked: who takes part is known and can run."""
    for count in threads:
        if not isinstance(count, int) or not 1 <= count <= MAX_THREADS:
            raise SpecError(f"--threads {quote(count)} must lie between 1 and {MAX_THREADS}")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise SpecError(f"--dtype {quote(dtype)} is unknown; valid: {', '.join(DTYPES)}")
    if not 0 < seconds <= 3600:
        raise SpecError(f"seconds={quote(seconds)} must be above 0 and at most 3600")
    names = contenders(backends, vs, [task.problem for task in found])
    label = None if sweep is None else str(read_sweep(sweep))
    kinds, counts = (tuple(dict.fromkeys(listed)) for listed in (dtypes, threads))
    return Request(tuple(found), tuple(names), kinds, counts, float(seconds), label)


class _Quiet:
    """A watcher that tells a function of texts, if there is one."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.tell = tell

    def begin(self, report: Report, total: int) -> None:
        """See `race.Watcher`."""

    def step(self, comparison: Comparison, doing: str) -> None:
        """See `race.Watcher`."""
        if self.tell is not None:
            self.tell(f"{comparison.name}: {doing}")

    def done(self, report: Report, comparison: Comparison) -> None:
        """See `race.Watcher`."""


def carry_out(
    problem: Any, *, op: str | None, dtype: Any, threads: Any, backends: Any, vs: Any, sweep: str | None,
    seconds: float, progress: Callable[[str], None] | None, options: dict[str, Any], **source: Any,
) -> Report:  # fmt: skip
    """Do what `convlib.compare` promises."""
    for name, value in (("backends", backends), ("vs", vs)):
        if isinstance(value, str):
            raise TypeError(f"{name} must be a sequence of names, such as [{value!r}], not a str")
    dtypes = [dtype] if isinstance(dtype, str) else dtype
    arrays = [problem] if isinstance(problem, np.ndarray) else problem
    if isinstance(arrays, Sequence) and not isinstance(arrays, str) and any(isinstance(a, np.ndarray) for a in arrays):
        if op is None:
            raise SpecError('arrays need op=, the function that they are for, such as op="conv2d"')
        of_arrays = of_shapes(op, [np.shape(array) for array in arrays], options)
        dtypes = [str(np.asarray(arrays[0]).dtype)] if dtypes is None else dtypes
        found = tasks(str(of_arrays), sweep=sweep, **source)
    elif options:
        raise TypeError(f"compare() got {', '.join(sorted(options))}, which are for arrays with op=")
    else:
        found = tasks(problem, op=op, sweep=sweep, **source)
    counts = [machine_threads()] if threads is None else [threads] if isinstance(threads, int) else list(threads)
    asked = request(
        found, backends=backends, vs=vs, dtypes=["float32"] if dtypes is None else list(map(str, dtypes)),
        threads=counts, seconds=seconds, sweep=sweep,
    )  # fmt: skip
    return Race(asked).run(_Quiet(progress))
