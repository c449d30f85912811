"""``convlib explain``: which backend serves a problem, and why not the others."""

from __future__ import annotations

import argparse

from .arguments import Commands
from .statuses import AGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    explain = commands.add_parser("explain", help="say which backend serves a problem, and why not the others")
    explain.add_argument("problem")
    explain.add_argument("--backend")
    explain.add_argument("--dtype", default="float32")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation, and return the exit status."""
    from ..functional import explain
    from ..problem import parse

    problem = parse(arguments.problem)
    shapes, words = problem.call
    print(explain(problem.function, *shapes, dtype=arguments.dtype, backend=arguments.backend, **words))
    return AGREE
