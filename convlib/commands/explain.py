"""``convlib explain``: which backend serves a problem, and why not the others."""

from __future__ import annotations

import argparse
import json

from .arguments import Commands
from .statuses import AGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    explain = commands.add_parser("explain", help="say which backend serves a problem, and why not the others")
    explain.add_argument("problem")
    explain.add_argument("--backend")
    explain.add_argument("--dtype", default="float32")
    explain.add_argument("--json", action="store_true", help="print it as data")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation, and return the exit status."""
    from ..functional import explain
    from ..problem import parse

    problem = parse(arguments.problem)
    shapes, words = problem.call
    said = explain(problem.function, *shapes, dtype=arguments.dtype, backend=arguments.backend, **words)
    print(json.dumps(said.as_dict(), indent=1) if arguments.json else said)
    return AGREE
