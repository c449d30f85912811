"""The choice of a backend for a call.

Order of precedence: the ``backend=`` argument, `use_backend`, the environment variable ``CONVLIB_BACKEND``, the type of
the arrays, the automatic policy.  A backend that was asked for by name and cannot serve raises; only the automatic
choice falls through to the next.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from .. import config
from ..backends.base import Backend
from ..errors import BackendError, UnsupportedError, quote
from ..spec import WindowSpec
from ..threads import get_num_threads
from . import policy
from .answers import STRICT, Verdict, algorithm_of, algorithm_refusal, refusal, serving, sums_directly
from .plugins import PassingError, backends, changed, get_backend, load, version

#: Names of backends and algorithms, and the seconds that they took, the fastest first.
Ranking: TypeAlias = tuple[tuple[str, float], ...]
#: What a call is to a choice: operation, spec, type it computes in, threads, whether its weights are prepared.
Kind: TypeAlias = tuple[str, WindowSpec, np.dtype[Any], int, bool]

_measured: list[Callable[[Kind], Ranking]] = []  # who knows what was measured: none or one
_listeners: list[Callable[[Kind], None]] = []  # who wants to know what was asked for


def measured_by(ask: Callable[[Kind], Ranking]) -> None:
    """Let the automatic choice ask `ask` what was measured."""
    _measured[:] = [ask]
    changed()


@contextmanager
def listened(listener: Callable[[Kind], None]) -> Iterator[None]:
    """Tell `listener` of every kind of call that the automatic choice serves in this block, each at least once."""
    changed()
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@dataclass(frozen=True)
class Choice:
    """What serves a call; `named` is the algorithm if the caller named it, which then serves every part of the call."""

    backend: Backend
    algorithm: str | None
    source: str
    reason: str
    named: str | None = None
    rule: policy.Rule | None = None  # of the automatic policy
    measured: float | None = None  # seconds, if it was
    ranking: Ranking = ()  # all that were measured, the fastest first


class _ForNow(Exception):
    """A choice made while better backends failed in passing: no cache may keep it."""

    def __init__(self, choice: Choice, failures: list[str]) -> None:
        self.choice, self.failures = choice, failures


_context: config.Variable[str] = ContextVar("convlib_backend", default=None)


def use_backend(name: str) -> config.Setting[str]:
    """Use the backend `name`, or "name:algorithm", for all calls in this block (this thread or task only).

    Parameters
    ----------
    name : str
        One of `backends`, or "name:algorithm".

    Returns
    -------
    setting : context manager
        For a ``with`` statement.

    Raises
    ------
    BackendError
        If it is unknown or not available.

    Examples
    --------
    >>> import convlib, numpy as np
    >>> with convlib.use_backend("naive"):
    ...     convlib.max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2).item()
    3.0
    """
    parse(name)
    return config.Setting(_context, name)


def select(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], requested: Any, array_type: str, *, prepared: bool = False
) -> Choice:
    """Decide who serves a call.

    Parameters
    ----------
    op : str
        One of `convlib.backends.base.OPERATIONS`.
    spec : WindowSpec
        The call's sizes and options.
    dtype : dtype
        The type that the call computes in.
    requested : str or None
        The ``backend=`` argument.
    array_type : str
        Top-level module of the arrays' type.
    prepared : bool, default False
        Whether the weights of a convolution will be prepared once, for many calls.

    Returns
    -------
    choice : Choice
        Backend, algorithm and reason.

    Raises
    ------
    BackendError
        If the backend asked for is unknown or cannot serve.

    Warns
    -----
    RuntimeWarning
        If a backend that the automatic choice prefers could not be loaded this time, and another one serves.
    """
    source = "argument"
    if requested is None:
        requested, source = asked()
    elif not isinstance(requested, str):
        parse(requested)  # refuses it; the cache below could not even hash some
    # Accuracy, memory bound and threads are part of the cache key: `supports` and `choose` may depend on them.
    settings = config.get_accuracy(), config.get_max_workspace(), get_num_threads(), config.get_tuning()
    try:
        return _choose(op, spec, dtype, requested, source, array_type, settings, prepared, version())
    except _ForNow as found:
        changed()  # so that no other cache keeps it either
        served = f"{found.choice.backend.name!r} serves this {op} for now"
        warnings.warn(f"{served}: {'; '.join(found.failures)}", RuntimeWarning, stacklevel=2)
        return found.choice


def state() -> tuple[Any, ...]:
    """Return all that `select` depends on beside its arguments, as a key for caches of what it chose."""
    return _context.get() and config.current(_context), config.settings(), version()


def asked() -> tuple[str | None, str]:
    """Return the backend that calls are to use that name none, if any, and where it was set."""
    requested = config.current(_context)
    if requested is None:
        return config.environment("CONVLIB_BACKEND"), "CONVLIB_BACKEND"
    return requested, "use_backend"


def parse(name: Any) -> tuple[Backend, str | None]:
    """Return the backend and the algorithm that "name" or "name:algorithm" stands for."""
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name such as 'im2col', not {type(name).__name__} ({quote(name)})")
    base, colon, algorithm = name.partition(":")
    return get_backend(base), algorithm if colon else None


@lru_cache(maxsize=8192)
def _choose(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], requested: str | None, source: str, array_type: str,
    settings: tuple[str, int, int, bool], prepared: bool, known: int,
) -> Choice:  # fmt: skip
    if requested is not None:
        return _named(op, spec, dtype, requested, source, array_type, prepared)
    if array_type != "numpy":
        return _by_array_type(op, spec, dtype, array_type)
    kind: Kind = (op, spec, dtype, settings[2], prepared)
    for listener in _listeners:
        listener(kind)
    ranking = _measured[0](kind) if settings[3] and _measured else ()
    for name, seconds in ranking:
        found = _of_measured(name, seconds, kind, ranking)
        if found is not None:
            return found
    return _automatic(op, spec, dtype, settings[0] == "strict", prepared)


def _named(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], requested: str, source: str, array_type: str, prepared: bool
) -> Choice:
    try:
        backend, algorithm = parse(requested)
    except BackendError as error:
        raise BackendError(f"{error} (named by: {source})") from error.__cause__
    reason = refusal(backend, op, spec, dtype, array_type)
    if algorithm is not None and reason is None:
        reason = algorithm_refusal(backend, algorithm, op, spec, dtype)
    if reason is not None:
        able = ", ".join(serving(op, spec, dtype, array_type))
        advice = f"These can: {able}" if able else "No backend can"
        end = "" if reason.endswith("?") else "."
        raise UnsupportedError(
            f"backend {requested!r} (named by: {source}) cannot serve this {op}: {reason}{end} {advice}", reason
        )
    if algorithm is not None:
        return Choice(backend, algorithm, source, f"named by: {source}; named", algorithm)
    algorithm, why = algorithm_of(backend, op, spec, dtype, prepared=prepared)
    return Choice(backend, algorithm, source, f"named by: {source}; {why}")


def _of_measured(name: str, seconds: float, kind: Kind, ranking: Ranking) -> Choice | None:
    """Return the choice of what was measured, unless it is gone or may not serve now."""
    op, spec, dtype, _, prepared = kind
    try:
        backend, algorithm = parse(name)
        if refusal(backend, op, spec, dtype, "numpy") is not None:
            return None
        if algorithm is not None:
            if algorithm_refusal(backend, algorithm, op, spec, dtype) is not None:
                return None
            shown = algorithm
        else:
            shown, _ = algorithm_of(backend, op, spec, dtype, prepared=prepared)  # type: ignore[assignment]
            if config.get_accuracy() == "strict" and not sums_directly(backend, shown):
                return None
    except BackendError:
        return None
    reason = f"the fastest of {len(ranking)} that were measured on this machine"
    return Choice(backend, shown, "measured", reason, algorithm, measured=seconds, ranking=ranking)


def _automatic(op: str, spec: WindowSpec, dtype: np.dtype[Any], strict: bool, prepared: bool) -> Choice:
    refusals: list[str] = []
    passing: list[str] = []
    for rule in policy.POLICY:
        if rule.op not in ("*", op) or not rule.applies(spec, dtype):
            continue
        try:
            backend = get_backend(rule.backend)
            reason = refusal(backend, op, spec, dtype, "numpy")
            if reason is None:
                algorithm, why = algorithm_of(backend, op, spec, dtype, prepared=prepared)
                if strict and not sums_directly(backend, algorithm):
                    reason = STRICT
        except BackendError as error:
            (passing if isinstance(error, PassingError) else refusals).append(str(error))
            continue
        if reason is not None:
            refusals.append(f"{backend.name}: {reason}")
            continue
        reasons = dict.fromkeys([rule.reason, why] if algorithm else [rule.reason])
        choice = Choice(backend, algorithm, "automatic", "; ".join(reasons), rule=rule)
        if passing:
            raise _ForNow(choice, passing)
        return choice
    raise BackendError(f"no backend can serve this {op} in {dtype}: {'; '.join([*passing, *refusals])}")


def decided(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], choice: Choice
) -> tuple[str, Callable[[Verdict], str]]:
    """Return what decided for a choice, in words, and a function that says what decided against another backend."""
    if choice.ranking:
        times = {name.partition(":")[0]: seconds for name, seconds in reversed(choice.ranking)}
        return "measured on this machine", lambda verdict: (
            f"measured: {1e6 * times[verdict.backend]:.4g} us" if verdict.backend in times else ""
        )
    if choice.rule is None:
        words = {
            "argument": "backend= names it", "use_backend": "use_backend names it",
            "CONVLIB_BACKEND": "CONVLIB_BACKEND names it",
            "array type": "it takes arrays of this type",
        }[choice.source]  # fmt: skip
        return words, lambda verdict: ""
    rules = list(policy.POLICY)
    place = next(at for at, rule in enumerate(rules) if rule is choice.rule)

    def against(verdict: Verdict) -> str:
        own = [(at, rule) for at, rule in enumerate(rules) if rule.backend == verdict.backend and rule.op in ("*", op)]
        if not verdict.serves:
            return ""
        if not own:
            return "the policy has no line for it: name it to use it"
        applying = [at for at, rule in own if rule.applies(spec, dtype)]
        if not applying:
            return f"its line of the policy asks for {own[0][1].condition}"
        if applying[0] < place:
            return f"line {applying[0] + 1} of the policy is for it, but accuracy='strict' forbids it"
        return f"its line {applying[0] + 1} of the policy comes after line {place + 1}"

    return f"line {place + 1} of the policy: {choice.rule}", against


def _by_array_type(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> Choice:
    reasons = []
    for name in backends():
        try:
            if load(name).array_type != array_type:
                continue
            backend = get_backend(name)
            reason = refusal(backend, op, spec, dtype, array_type)
            if reason is None:
                algorithm, why = algorithm_of(backend, op, spec, dtype)
                return Choice(backend, algorithm, "array type", f"it takes {array_type} arrays; {why}")
        except BackendError as error:
            reason = str(error)
        reasons.append(f"{name}: {reason}")
    raise BackendError(
        f"no backend takes {array_type} arrays for {op} ({'; '.join(reasons) or 'none is known'}); "
        "convert them to NumPy arrays"
    )
