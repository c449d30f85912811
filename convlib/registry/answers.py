"""What backends say to a call: whether they serve it, and by which algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import config
from ..backends.base import Backend
from ..errors import BackendError, did_you_mean
from ..spec import WindowSpec
from .plugins import backends, get_backend, load, of_arrays, said

STRICT = "accuracy='strict' forbids algorithms that round more than direct summation"


@dataclass(frozen=True)
class Verdict:
    """What one backend says to a call."""

    backend: str
    serves: bool
    reason: str
    rule: str = ""  # what decided against one that serves, in words


def refusal(backend: Backend, op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> str | None:
    """Return None if a backend serves a call, else why not."""
    if backend.array_type != array_type:
        return f"takes {backend.array_type} arrays, not {array_type} arrays; convert them first"
    reason: str | None = said(backend, "supports", str, op, spec, dtype)
    return reason


def algorithm_refusal(
    backend: Backend, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
) -> str | None:
    """Return None if an algorithm serves a call that its backend serves, else why not."""
    if config.get_accuracy() == "strict" and not sums_directly(backend, algorithm):
        return STRICT
    known = backend.algorithms.get(op, ())
    for name in algorithm.split("+"):
        if name not in known:
            valid = ", ".join(known) or "none"
            return f"it has no algorithm {name!r} for {op}; valid: {valid}{did_you_mean(name, known)}"
    reason: str | None = said(backend, "supports_algorithm", str, algorithm, op, spec, dtype)
    return reason


def sums_directly(backend: Backend, algorithm: str | None) -> bool:
    """Return whether a backend, or an algorithm of it, rounds no more than direct summation."""
    return backend.exact if algorithm is None else bool(said(backend, "exact_algorithm", bool, algorithm))


def algorithm_of(
    backend: Backend, op: str, spec: WindowSpec, dtype: np.dtype[Any], *, prepared: bool = False
) -> tuple[str | None, str]:
    """Return the algorithm that a backend takes for a call it serves, and why."""
    asked = ("choose_prepared", tuple, spec, dtype) if prepared else ("choose", tuple, op, spec, dtype)
    match said(backend, *asked):
        case (str() | None as algorithm, str() as why):
            return algorithm, why
        case answer:
            raise BackendError(
                f"backend {backend.name!r} is broken: its {asked[0]} answered {answer!r}; expected (algorithm or None, "
                "reason)"
            )


def verdicts(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str, skip: str = "") -> tuple[Verdict, ...]:
    """Return what each backend but `skip` says to a call; of one that cannot even say it, what went wrong."""
    return tuple(_verdict(name, op, spec, dtype, array_type) for name in backends() if name != skip)


def serving(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> list[str]:
    """Return the names of the backends that serve a call; those of other arrays are not asked."""
    found = (_verdict(name, op, spec, dtype, array_type) for name in of_arrays(array_type))
    return [verdict.backend for verdict in found if verdict.serves]


def _verdict(name: str, op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> Verdict:
    try:
        backend = load(name)
        if backend.array_type == array_type:  # else it need not be asked, which may import a large library
            backend = get_backend(name)
        reason = refusal(backend, op, spec, dtype, array_type)
        if backend.array_type != array_type and find_spec(backend.array_type) is None:
            reason = f"takes {backend.array_type} arrays, and {backend.array_type} is not installed"
        if reason is not None:
            return Verdict(name, False, reason)
        algorithm, why = algorithm_of(backend, op, spec, dtype)
    except (BackendError, MemoryError) as error:
        return Verdict(name, False, str(error) or type(error).__name__)
    return Verdict(name, True, f"would use {algorithm}: {why}" if algorithm else "supports it")
