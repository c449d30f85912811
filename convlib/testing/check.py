"""Run the conformance checks on a backend, and report what failed, by cause."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import convlib

from ..backends.base import Backend
from ..errors import BackendError, ConvlibError, SpecError, UnsupportedError, did_you_mean, quote
from ..registry.selection import parse
from .arrays import arrays_of
from .cases import Case, cases
from .causes import Cause, Failure, causes
from .checks import ORACLE, Check, all_checks, call_case, truth_of


class ConformanceError(ConvlibError, AssertionError):
    """A backend broke the conformance suite.

    Parameters
    ----------
    report : Report
        The details; kept as an attribute.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        count = len(report.failed)
        super().__init__(f"backend {report.backend!r} fails {count} check{'s' * (count > 1)}:\n{report.details()}")


@dataclass
class Report:
    """What the suite found.

    Attributes
    ----------
    backend : str
        Its name.
    passed : int
        Number of checks that held.
    refused, failed : list of (str, str)
        Check and reason; refused are calls that the backend says it does not support, which is no success.
    causes : tuple of Cause
        What the failures have in common, with lines to run.
    """

    backend: str
    passed: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    causes: tuple[Cause, ...] = ()

    def __str__(self) -> str:
        return f"{self.backend}: {self.passed} passed, {len(self.refused)} refused, {len(self.failed)} failed"

    def details(self) -> str:
        """Return the causes of what failed as text, numbered."""
        return "\n".join(f"{number}. {cause}" for number, cause in enumerate(self.causes, start=1))


def check_backend(
    backend: str | Backend | type[Backend], *, select: str = "", stop: bool = False, strict: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Report:  # fmt: skip
    """Run the conformance suite on a backend.

    Parameters
    ----------
    backend : str, Backend or subclass of Backend
        A backend's name, "name:algorithm", or "module:Class" of one that is not installed; or the backend itself.
    select : str, optional
        Run only the checks whose names hold this text; several texts may be joined by ``and``, ``or``, ``not``.
    stop : bool, default False
        Stop at the first failure.
    strict : bool, default True
        Raise if anything fails; otherwise only report it.
    progress : callable, optional
        Called with (checks done, checks in all).

    Returns
    -------
    report : Report
        Counts, reasons and causes.

    Raises
    ------
    ConformanceError
        If a check fails, or if the backend supports no case at all.
    BackendError
        If the backend is unknown, not available, or no backend that can be called.
    SpecError
        If `select` fits no check.

    Notes
    -----
    What the oracle answers is computed once in a process, whatever number of backends is checked.

    Examples
    --------
    >>> from convlib.testing import check_backend
    >>> check_backend("cython", select="pool2d").failed
    []
    >>> print(check_backend("fft", select="large_kernel and conv2d"))
    fft: 3 passed, 0 refused, 0 failed
    """
    with _known(backend) as (name, setup):
        report = _run(name, setup, select, stop, progress)
    if strict and report.failed:
        raise ConformanceError(report)
    return report


def _run(name: str, setup: str, select: str, stop: bool, progress: Callable[[int, int], None] | None) -> Report:
    checks = [check for check in all_checks(name) if selected(select, check.name)]
    if not checks:
        names = [check.name for check in all_checks(name)]
        raise SpecError(f"no check is called {quote(select)}; such as {names[0]!r}{did_you_mean(select, names)}")
    report, failures, passed = Report(name), [], []
    served = 0
    for done, check in enumerate(checks, start=1):
        reason = _reason(check, name, report)
        if reason is None:
            passed.append(check)
            served += bool(check.operator)
        elif reason:
            failures.append(Failure(check, reason))
        if progress is not None:
            progress(done, len(checks))
        if stop and failures:
            break
    report.passed = len(passed)
    report.failed = [(failure.check.name, failure.reason) for failure in failures]
    report.causes = causes(name, failures, passed, setup)
    if served == 0 and not select and not stop:
        why = f", such as {report.refused[0][0]}: {report.refused[0][1]}" if report.refused else ""
        nothing = "supports", f"the backend supports none of the cases{why}"
        report.failed.append(nothing)
        report.causes += (Cause("it supports nothing", nothing[:1], nothing[1], ""),)
    return report


def _reason(check: Check, name: str, report: Report) -> str | None:
    """Return what is wrong, None if nothing is, and "" if the backend refuses the call, which is noted."""
    try:
        return check.run(name)
    except UnsupportedError as error:
        report.refused.append((check.name, str(error)))
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def selected(expression: str, name: str) -> bool:
    """Return whether the name of a check fits an expression such as ``"pool and not nan or nhwc"``."""
    def holds(word: str) -> bool:
        negated = word.startswith("not ")
        return (word.removeprefix("not ").strip().lower() in name.lower()) != negated

    return any(all(holds(word.strip()) for word in part.split(" and ")) for part in expression.split(" or "))


@contextmanager
def _known(backend: Any) -> Iterator[tuple[str, str]]:
    """Give the name of a backend, and the code that registers it; one that is not known is, for this block."""
    setup = ""
    if isinstance(backend, str):
        module, colon, attribute = backend.partition(":")
        if module in convlib.backends() or not colon or not _importable(module):
            convlib.registry.get_backend(module)
            yield backend, ""
            return
        setup = f"{module}; convlib.register_backend({module}.{attribute})"
        backend = _imported(module, attribute)
    convlib.register_backend(backend)
    try:
        yield backend.name, setup
    finally:
        convlib.unregister_backend(backend.name)


def _importable(module: str) -> bool:
    """Return whether something looks like the name of a module, and no backend's."""
    from importlib.util import find_spec

    with _here():
        try:
            return all(part.isidentifier() for part in module.split(".")) and find_spec(module) is not None
        except (ImportError, ValueError):
            return False


def _imported(module: str, attribute: str) -> Any:
    with _here():
        try:
            found = vars(import_module(module))
        except (Exception, SystemExit) as error:
            raise BackendError(f"{module!r} could not be imported: {type(error).__name__}: {error}") from error
    if attribute not in found:
        names = [name for name, thing in found.items() if isinstance(thing, type) and issubclass(thing, Backend)]
        names = [name for name in names if found[name].__module__ == module]
        raise BackendError(f"the module {module!r} has no {attribute!r}; its backends: {', '.join(names) or 'none'}")
    return found[attribute]


@contextmanager
def _here() -> Iterator[None]:
    """Find modules in the current folder, too."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def served_cases(name: str) -> tuple[Case, ...]:
    """Call every conformance case and return those that a backend serves.

    Parameters
    ----------
    name : str
        A backend's name, or "name:algorithm".

    Returns
    -------
    served : tuple of Case
        The cases that it does not refuse; whether its answers are right is for `check_backend`.
    """
    parse(name)  # refuses what is none
    served = []
    for case in cases():
        try:
            if name == ORACLE:
                truth_of(case.name)  # kept for the checks of the others
            else:
                call_case(case, arrays_of(case), name)
        except UnsupportedError:
            continue
        served.append(case)
    return tuple(served)
