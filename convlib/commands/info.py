"""``convlib info``: versions, backends, threads and settings."""

from __future__ import annotations

import argparse
import json

from .arguments import Commands
from .statuses import AGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    info = commands.add_parser("info", help="show versions, backends, threads and settings")
    info.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """Print what is installed and set, and return the exit status."""
    from ..info import as_text, show_config

    data = show_config("dict") or {}
    print(json.dumps(data, indent=1) if arguments.json else as_text(data))
    return AGREE
