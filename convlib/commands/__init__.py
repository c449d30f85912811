"""The command line: one module per command, each with `add`, which describes it, and `run`, which carries it out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from .. import __version__
from ..errors import ConvlibError
from . import check, compare, explain, info, tune
from .statuses import AGREE, DISAGREE, INTERRUPTED, REFUSED, UNREAD

#: In the order of the help.
COMMANDS = {"compare": compare, "explain": explain, "tune": tune, "info": info, "check": check}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        status = UNREAD
        _silence()
    except OSError as error:
        status = REFUSED
        _silence()
        with suppress(OSError):
            print(f"convlib: the system says: {error}", file=sys.stderr)
    return status


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        status: int = COMMANDS[arguments.command].run(arguments)
        return status
    except (ConvlibError, TypeError, MemoryError) as error:
        print(f"convlib {arguments.command}: {str(error) or 'out of memory'}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"convlib {arguments.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _silence() -> None:
    """Send what is left of the output nowhere, or the interpreter would complain of it when it ends."""
    with suppress(OSError, ValueError, AttributeError):  # standard output may be no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convlib", description="Convolution and pooling for NumPy arrays.",
        epilog=f"Exit status: {AGREE} if all is well, {DISAGREE} if a contender disagrees or crashes, a check fails, "
        f"or --diff finds something slower, {REFUSED} if the command cannot be carried out or its output not be "
        f"written, {INTERRUPTED} if interrupted, {UNREAD} if the reader of the output went away.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"convlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.add(commands)
    return parser
