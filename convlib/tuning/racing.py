"""Racing all that can serve a kind of call."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import config, registry, storage, threads as counting
from ..backends.base import Backend
from ..errors import BackendError, SpecError, quote
from ..functional._common import element_type
from ..functional._problem import problem_of
from ..functional.described import describe
from ..problem import Problem, parse
from ..registry import Kind, Ranking
from ..registry.answers import algorithm_refusal, refusal
from ..spec import WindowSpec
from ..spec.arguments import integer, real
from . import store

ROUNDS = 5
#: A contender that takes so many times as long as the fastest is not timed further.
HOPELESS = 3.0
#: What the policy chooses stays unless another one takes less than this share of its time.
CLEARLY = 0.97
#: Whose loops in Python are never the fastest.
_SLOW = ("naive",)


@dataclass(frozen=True)
class Tuned:
    """What was measured of one kind of call.

    Attributes
    ----------
    what : str
        The problem, or the operation and its spec.
    before, after : str
        What the policy chooses, and what is chosen now.
    seconds_before, seconds_after : float
        Their times.
    ranking : tuple of (str, float)
        All that were timed, with seconds, the fastest first but for a policy's choice that is as fast.
    """

    what: str
    before: str
    after: str
    seconds_before: float
    seconds_after: float
    ranking: Ranking

    @property
    def gain(self) -> float:
        """How many times as fast it is now."""
        return self.seconds_before / self.seconds_after


def tune(
    calls: Iterable[str | Problem | Kind], *, threads: int | None = None, dtype: Any = "float32",
    seconds: float = 0.1, progress: Callable[[int, int, str], None] | None = None,
) -> list[Tuned]:  # fmt: skip
    """Measure what serves calls fastest on this machine, and store it for the automatic choice.

    Parameters
    ----------
    calls : iterable of str, Problem or kinds of calls
        Problem strings, or what `recorded` gives.
    threads : int, optional
        By default those of the next call; kinds of calls keep theirs.
    dtype : dtype, default "float32"
        Element type of the problems.
    seconds : float, default 0.1
        Timing budget per contender.
    progress : callable, optional
        Called with (calls done, calls in all, what is being done).

    Returns
    -------
    tuned : list of Tuned
        One per kind of call; a convolution also as a plan.

    Raises
    ------
    SpecError
        If a problem string is none, or an option breaks a rule.
    OSError
        If the cache directory cannot be written.

    Examples
    --------
    >>> from convlib.tuning import tune
    >>> first, plan = tune(["n1 ic2 ih6 iw6 oc2 kh3 kw3"], seconds=0.001)     # doctest: +SKIP
    """
    count = counting.get_num_threads() if threads is None else integer("threads", threads)
    element, budget = element_type("dtype", dtype), real("seconds", seconds)
    if count < 1 or not 0 <= budget < math.inf:
        raise SpecError(f"threads={count} must be at least 1, and seconds={seconds} a time, such as 0.1")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be a function or None, not {type(progress).__name__}")
    kinds: dict[Kind, str] = {}
    for call in _listed(calls):
        if isinstance(call, tuple):
            kinds.setdefault(call, _said(call))
        else:
            kinds |= _kinds(parse(call) if isinstance(call, str) else call, element, count)
    found = []
    for done, (kind, what) in enumerate(kinds.items()):
        if progress is not None:
            progress(done, len(kinds), what)
        tuned = _race(kind, what, seconds)
        if tuned is not None:
            found.append(tuned)
            store.write({store.key(kind): tuned.ranking}, kind[3])
    if progress is not None:
        progress(len(kinds), len(kinds), "done")
    return found


def _listed(calls: Any) -> list[str | Problem | Kind]:
    """Return calls in a list; refuse what none is."""
    if isinstance(calls, str):
        raise TypeError(f"calls must be a list, such as [{quote(calls)}], not a string")
    found = list(calls)
    for call in found:
        made = isinstance(call, tuple) and len(call) == 5 and isinstance(call[1], WindowSpec)
        if not (made or isinstance(call, (str, Problem))):
            raise TypeError(f"calls holds {quote(call)}; valid: problem strings, and what tuning.recorded gives")
    return found


def _said(kind: Kind) -> str:
    """Return a kind of call in words: the problem that it is, if one says it."""
    op, spec, dtype, _, prepared = kind
    problem = problem_of(op, spec)
    words = f"{op} {spec}" if problem is None else str(problem)
    return f"{words} {dtype}{' (plan)' if prepared else ''}"


def _kinds(problem: Problem, dtype: np.dtype[Any], count: int) -> dict[Kind, str]:
    shapes, words = problem.call
    operation, spec, _ = describe(problem.function, *shapes, **words)
    kinds: dict[Kind, str] = {(operation, spec, dtype, count, False): str(problem)}
    if operation == "conv":
        kinds[operation, spec, dtype, count, True] = f"{problem} (plan)"
    return kinds


@contextmanager
def recorded() -> Iterator[list[Kind]]:
    """Collect the kinds of calls that the automatic choice serves in this block.

    Returns
    -------
    kinds : context manager
        Its value is a list that fills while the block runs; `tune` takes it.

    Examples
    --------
    >>> import convlib, numpy as np
    >>> from convlib.tuning import recorded
    >>> with recorded() as kinds:
    ...     y = convlib.max_pool2d(np.ones((1, 1, 4, 4)), 2)
    >>> [kind[0] for kind in kinds]
    ['pool']
    """
    kinds: dict[Kind, None] = {}
    found: list[Kind] = []

    def listen(kind: Kind) -> None:
        if kind not in kinds:
            kinds[kind] = None
            found.append(kind)

    with registry.listened(listen):
        yield found


def _race(kind: Kind, what: str, seconds: float) -> Tuned | None:
    """Time all contenders in interleaved rounds; None if there is nothing to choose among."""
    op, spec, dtype, count, prepared = kind
    with counting.num_threads(count), config.use_tuning(False):
        chosen = registry.select(op, spec, dtype, None, "numpy", prepared=prepared)
        default = chosen.backend.name + (f":{chosen.algorithm}" if chosen.algorithm else "")
        arrays = _arrays(op, spec, dtype)
        calls = {}
        for name, backend, algorithm in _contenders(kind, default):
            call = _call(kind, backend, algorithm, arrays)
            try:
                call()
                calls[name] = call
            except BackendError:
                continue
        if not calls:
            return None
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(ROUNDS):
            best = min((statistics.median(t) for t in times.values() if t), default=np.inf)
            for name in _turned(list(calls), number):
                if number and statistics.median(times[name]) > HOPELESS * best:
                    continue
                times[name].append(_seconds(calls[name], seconds / ROUNDS))
    ranked = sorted((statistics.median(t), name) for name, t in times.items())
    usual = default if default in times else ranked[0][1]
    before = statistics.median(times[usual])
    if ranked[0][0] > CLEARLY * before:
        ranked = [(before, usual), *(row for row in ranked if row[1] != usual)]
    ranking = tuple((name, took) for took, name in ranked)
    return Tuned(what, usual, ranking[0][0], before, ranking[0][1], ranking)


def _turned(names: list[str], number: int) -> list[str]:
    turn = number % len(names)
    return names[turn:] + names[:turn]


def _seconds(call: Callable[[], Any], budget: float) -> float:
    """Return the median of as many calls as fit the budget, at least one after another that warms up."""
    call()
    found: list[float] = []
    began = time.perf_counter()
    while not found or (time.perf_counter() - began < budget and len(found) < 1000):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _contenders(kind: Kind, default: str) -> Iterator[tuple[str, Backend, str | None]]:
    """Yield (name, backend, algorithm or None) of all that serve a kind of call with NumPy arrays."""
    op, spec, dtype, _, prepared = kind
    for name in registry.backends():
        try:
            if name in _SLOW or registry.plugins.load(name).array_type != "numpy":
                continue
            backend = registry.get_backend(name)
            if refusal(backend, op, spec, dtype, "numpy") is not None:
                continue
            rows = backend.implementations(op, spec, dtype, prepared)
            algorithms = [row.name for row in rows if row.refusal is None]
            base, _, chosen = default.partition(":")
            if name == base and chosen and chosen not in algorithms:
                algorithms.append(chosen)
            if not rows:
                yield name if name != base or not chosen else default, backend, None
            for algorithm in algorithms:
                if rows and algorithm_refusal(backend, algorithm, op, spec, dtype) is None:
                    yield f"{name}:{algorithm}", backend, algorithm
        except BackendError:
            continue  # `convlib info` says why


def _arrays(op: str, spec: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
    rng = np.random.default_rng(0)

    def numbers(shape: tuple[int, ...]) -> Any:
        return rng.integers(-3, 4, shape).astype(dtype) if dtype.kind in "iub" else (
            rng.standard_normal(shape).astype(dtype)
        )  # fmt: skip

    arrays = {"x": numbers(spec.x_shape), "y": numbers(getattr(spec, "y_shape", (1,)))}
    if op.startswith("conv"):
        arrays["w"] = numbers(spec.w_shape)
    if op == "unpool":
        arrays["indices"] = rng.integers(0, int(np.prod(spec.in_size)), spec.y_shape)
    return arrays


def _call(kind: Kind, backend: Backend, algorithm: str | None, arrays: dict[str, Any]) -> Callable[[], Any]:
    """Return what a call of this kind does, without the way to it."""
    op, spec, dtype, _, prepared = kind
    x, y, w = arrays["x"], arrays["y"], arrays.get("w")
    made: Any = spec
    both: Any = (x, y) if getattr(made, "kind", "") == "lp" else (None, None)
    if prepared:
        run = storage.prepare_conv(backend, made, w, None, dtype, algorithm)
        return lambda: run(x, None)
    return {
        "conv": lambda: storage.conv(backend, made, x, w, None, None, algorithm),
        "conv_grad_input": lambda: storage.conv_grad_input(backend, made, y, w, None, algorithm),
        "conv_grad_weight": lambda: storage.conv_grad_weight(backend, made, y, x, None, algorithm),
        "pool": lambda: storage.pool(backend, made, x, made.places, None, algorithm),
        "pool_grad_input": lambda: storage.pool_grad_input(backend, made, y, both[0], both[1], None, algorithm),
        "unpool": lambda: storage.unpool(backend, made, y, arrays["indices"], None, True, algorithm),
        "im2col": lambda: backend.im2col(made, x),
        "col2im": lambda: backend.col2im(made, backend.im2col(made, x)),
    }[op]
