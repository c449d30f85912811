"""Who takes part in a comparison: convlib's backends and plans by name, and the peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import convlib

from .. import registry
from ..errors import ConvlibError, SpecError, UnsupportedError
from ..problem import Problem
from .peers import PEERS, Array, Call, CannotError

#: The contender that calls a plan, made once, with the automatic choice of backend and algorithm.
PLAN = "plan"

#: Parts of an algorithm's name that say that it does other operations than those counted: transforms replace
#: multiplications, and a product of three bfloat16 is no multiply-add of float32.
OTHER_OPERATIONS = ("winograd", "fft", "bf16x3")


class Prepared(NamedTuple):
    """A call that computes a problem, what computes it, its scratch memory in bytes if known, and how it counts."""

    call: Call
    algorithm: str
    scratch: int | None
    effective: bool


def usable_backends() -> list[str]:
    """Return the backends for NumPy arrays that can run here; `show_config` says why the others cannot."""
    names = []
    for name in registry.backends():
        try:
            if registry.get_backend(name).array_type == "numpy":
                names.append(name)
        except ConvlibError:
            continue
    return names


def contenders(backends: Sequence[str] | None, peers: Sequence[str], problems: Sequence[Problem]) -> list[str]:
    """Return all contenders by name, each once, checked.

    Parameters
    ----------
    backends : sequence of str or None
        Backends, "backend:algorithm", "backend:*" for each algorithm that may serve one of the problems, "plan"; None
        means all that can run.
    peers : sequence of str
        Names from `PEERS`.
    problems : sequence of Problem
        What they will compute.

    Raises
    ------
    SpecError
        If a peer is unknown or not installed, or nobody is named.
    BackendError
        If a backend is unknown or cannot run.
    """
    for peer in peers:
        if peer not in PEERS:
            raise SpecError(f"unknown peer {peer!r} in --vs; valid: {', '.join(PEERS)}")
    named = usable_backends() if backends is None else list(backends)
    if not named:
        raise SpecError(f"--backends names none; valid: {', '.join((PLAN, *registry.backends()))}")
    check([*named, *peers])
    found: list[str] = []
    for name in named:
        stem, _, algorithm = name.partition(":")
        found += _every_algorithm(stem, problems) if algorithm == "*" else [name]
    return list(dict.fromkeys((*found, *peers)))


def check(names: Sequence[str]) -> None:
    """Raise unless each contender can run here: a peer is installed, a backend is there and has the algorithm."""
    lacking = [f"the peer {name!r} is {PEERS[name].missing}" for name in names if name in PEERS and PEERS[name].missing]
    if lacking:
        raise SpecError("; ".join(lacking))
    for name in names:
        if name != PLAN and name not in PEERS:
            stem, _, algorithm = name.partition(":")
            _check_backend(stem, algorithm)


def _check_backend(stem: str, algorithm: str) -> None:
    """Raise unless a backend can run on NumPy arrays and has the algorithms, which "+" joins, for some operation."""
    backend = registry.get_backend(stem)
    if backend.array_type != "numpy":
        raise SpecError(f"the backend {stem!r} takes {backend.array_type} arrays; compare races on NumPy arrays")
    known = list(dict.fromkeys(name for names in backend.algorithms.values() for name in names))
    for name in algorithm.split("+") if algorithm not in ("", "*") else ():
        if name not in known:
            valid = f"valid: {', '.join(known)}" if known else "it has none to choose from"
            raise SpecError(f"the backend {stem!r} has no algorithm {name!r}; {valid}")


def _every_algorithm(backend: str, problems: Sequence[Problem]) -> list[str]:
    """Return "backend:algorithm" for each algorithm that serves one of the problems."""
    names: list[str] = []
    for problem in problems:
        shapes, words = problem.call
        try:
            said = convlib.explain(problem.function, *shapes, backend=backend, **words)
        except UnsupportedError:
            continue
        if said.implementations:
            names += [row.name for row in said.implementations if row.refusal is None]
        else:
            names += registry.get_backend(backend).algorithms.get(said.op, ())
    if not names:
        raise SpecError(f"'{backend}:*' names nothing: {backend} has no algorithms to choose from here")
    return [f"{backend}:{name}" for name in dict.fromkeys(names)]


def prepare(name: str, problem: Problem, arrays: list[Array], threads: int) -> Prepared:
    """Return a contender's call for a problem.

    Parameters
    ----------
    name : str
        As `contenders` returns it.
    problem : Problem
        What to compute.
    arrays : list of ndarray
        As `convlib.comparison.truth.inputs` makes them.
    threads : int
        For peers that take it as an argument.

    Raises
    ------
    CannotError
        If it does not offer the problem.
    """
    if name in PEERS:
        peer = PEERS[name]
        if peer.missing is not None:
            raise CannotError(peer.missing)
        return Prepared(peer.prepare(problem, arrays, threads), "", None, peer.effective(problem))
    call, algorithm, scratch = _plan(problem, arrays) if name == PLAN else _backend(name, problem, arrays)
    return Prepared(call, algorithm, scratch, any(word in algorithm for word in OTHER_OPERATIONS))


def _plan(problem: Problem, arrays: list[Array]) -> tuple[Call, str, int]:
    if problem.op != "conv":
        raise CannotError(f"plans are for convolutions, not {problem.op}")
    x, w, *bias = arrays
    make = getattr(convlib, f"plan_{problem.function}")
    plan = make(x.shape, w, *bias, dtype=x.dtype, **problem.call[1])
    return lambda: plan(x), _full_name(plan.explain()), plan.workspace_nbytes


def _backend(name: str, problem: Problem, arrays: list[Array]) -> tuple[Call, str, int]:
    shapes, words = problem.call
    function = getattr(convlib, problem.function)
    # A call's positional arguments: arrays first, then what is given by numbers.
    positional = [*arrays[: 1 if problem.is_pool else 2], *shapes[1 if problem.is_pool else 2 :], *arrays[2:]]
    try:
        said = convlib.explain(problem.function, *shapes, dtype=arrays[0].dtype, backend=name, **words)
    except UnsupportedError as error:
        raise CannotError(error.reason) from None
    return lambda: function(*positional, backend=name, **words), _full_name(said), said.workspace_nbytes


def _full_name(said: Any) -> str:
    return f"{said.backend}:{said.algorithm}" if said.algorithm else str(said.backend)
