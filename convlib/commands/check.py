"""``convlib check``: the conformance suite on backends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from ..errors import BackendError
from ..registry import backends, get_backend
from .arguments import Commands
from .statuses import AGREE, DISAGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    check = commands.add_parser("check", help="run the conformance suite on backends")
    check.add_argument(
        "backends", nargs="*", metavar="BACKEND",
        help="a name, name:algorithm, or module:Class of one that is not installed, found from the current folder, "
        "too; by default every backend that can run",
    )  # fmt: skip
    check.add_argument(
        "-k", dest="select", default="", metavar="EXPR",
        help="only the checks whose names hold a text; texts may be joined by and, or, not",
    )  # fmt: skip
    check.add_argument("-x", dest="stop", action="store_true", help="stop at the first failure")
    check.add_argument("--refusals", action="store_true", help="list what was refused, with reasons")


def run(arguments: argparse.Namespace) -> int:
    """Check each backend, and return the exit status."""
    from ..info import settings
    from ..testing import check_backend

    settings()  # what is wrong with a variable is no fault of a backend
    status = AGREE
    for name in arguments.backends or _runnable():
        report = check_backend(
            name, select=arguments.select, stop=arguments.stop, strict=False, progress=_progress
        )
        print(report)
        for check, reason in report.refused if arguments.refusals else ():
            print(f"  refused {check}: {reason}")
        if report.failed:
            print(report.details())
            status = DISAGREE
    return status


def _runnable() -> Iterator[str]:
    """Yield the names of the backends that can run; say of the others why they cannot."""
    for name in backends():
        try:
            get_backend(name)
        except BackendError as error:
            print(f"{name}: not checked: {error}")
        else:
            yield name


def _progress(done: int, steps: int) -> None:
    if sys.stderr.isatty() and (done % 10 == 0 or done == steps):
        print(f"\r{done}/{steps}", end="\r" if done == steps else "", file=sys.stderr, flush=True)
