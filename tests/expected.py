"""How many conformance cases each backend, and each algorithm of it, must serve: the list `expected.toml`.

Serving fewer is a loss that no other test would notice, since a refusal is no error; serving more wants the list
written again.  ``PYTHONPATH=. python tests/expected.py`` measures what runs here and writes it, keeping what does not
(other instruction sets, GPUs).  The backend `cupy` is measured on the processor:

    python tests/cuda_shim/build.py FOLDER
    CONVLIB_SHIM=FOLDER PYTHONPATH=.:tests/cuda_shim:tests/cuda_shim/frontend python tests/expected.py

A section is headed by a name, or by NAME@ISA for an instruction set under which the engine serves others than under
`scalar`, which every machine has.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import convlib
from convlib import registry, testing
from convlib._ext import _native
from convlib.registry.plugins import changed
from convlib.testing.checks import operator_of

FILE = Path(__file__).with_name("expected.toml")
COMMAND = "PYTHONPATH=. python tests/expected.py"
PLAIN = "scalar"

Counts = dict[str, int]

LIST: dict[str, Counts] = tomllib.loads(FILE.read_text()) if FILE.exists() else {}


@contextmanager
def under_isa(isa: str) -> Iterator[None]:
    """Run the native engine under an instruction set; what was chosen under another is forgotten."""
    before = _native.active_isa()
    _native.set_isa(isa)
    changed()
    try:
        yield
    finally:
        _native.set_isa(before)
        changed()


def names() -> list[str]:
    """Return the built-in backends that run here, each followed by its algorithms as "name:algorithm"."""
    found = []
    for name in convlib.backends():
        try:
            backend = registry.get_backend(name)
        except convlib.BackendError:
            continue
        if type(backend).__module__.startswith("convlib."):
            algorithms = dict.fromkeys(a for known in backend.algorithms.values() for a in known)
            found += [name, *(f"{name}:{algorithm}" for algorithm in algorithms)]
    return found


def isas(name: str) -> tuple[str, ...]:
    """Return the instruction sets under which a backend must be looked at, the best first."""
    return _native.detected_isas() if name.partition(":")[0] == "native" else (PLAIN,)


@cache
def served(name: str, isa: str = PLAIN) -> tuple[str, ...]:
    """Return the names of the cases that are served."""
    with under_isa(isa):
        return tuple(case.name for case in testing.served_cases(name))


def measured(name: str, isa: str = PLAIN) -> Counts:
    """Return how many cases of each operator are served."""
    operators = {case.name: operator_of(case.call) for case in testing.cases()}
    return dict(Counter(operators[case] for case in served(name, isa)))


def expected(name: str, isa: str = PLAIN) -> Counts:
    """Return what must be served; nothing for a name that the list does not hold."""
    return LIST.get(f"{name}@{isa}", LIST.get(name, {}))


def update() -> dict[str, Counts]:
    """Return the list as it is here and now."""
    found = dict(LIST)
    for name in names():
        found[name] = measured(name)
        for isa in isas(name):
            key = f"{name}@{isa}"
            found.pop(key, None)
            counts = measured(name, isa)
            if counts != found[name]:
                found[key] = counts
    return found


def text(found: dict[str, Counts]) -> str:
    """Return the list as TOML."""
    lines = ["# Conformance cases that must be served, by backend and operator.  Written by tests/expected.py."]
    for key in sorted(found):
        lines += ["", f'["{key}"]', *(f"{operator} = {count}" for operator, count in found[key].items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(update()))
