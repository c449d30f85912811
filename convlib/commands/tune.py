"""``convlib tune``: measure what serves calls fastest on this machine, and let the automatic choice go by it."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any

from ..errors import SpecError
from .arguments import Commands, positive, seconds
from .statuses import AGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    tune = commands.add_parser(
        "tune", help="measure what serves calls fastest on this machine, and choose by it from then on",
        epilog="What was measured lies in the user's cache directory (CONVLIB_CACHE_DIR); CONVLIB_TUNING=off puts "
        "it out of use.",
    )  # fmt: skip
    tune.add_argument("what", nargs="?", metavar="SUITE", help="a suite, a file with a problem per line, or a problem")
    tune.add_argument("--onnx", metavar="FILE", help="the convolutions and poolings of a model")
    tune.add_argument(
        "--from-calls", metavar="FILE|CODE", help="the calls that a Python script, or a line of code, makes of convlib"
    )
    tune.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    tune.add_argument("--threads", type=positive, help="of the calls to come; by default as many as convlib would use")
    tune.add_argument("--time", type=seconds, default=0.1, metavar="SECONDS", help="per kind of call and contender")
    tune.add_argument("--forget", action="store_true", help="remove what was measured for this number of threads")


def run(arguments: argparse.Namespace) -> int:
    """Tune, and return the exit status."""
    from .. import tuning
    from ..threads import num_threads

    given = [arguments.what, arguments.onnx, arguments.from_calls]
    if arguments.forget and not any(given):
        with num_threads(arguments.threads) if arguments.threads else _nothing():
            tuning.forget()
        return AGREE
    if sum(option is not None for option in given) != 1:
        raise SpecError("name one of a suite, --onnx FILE and --from-calls FILE, as in: convlib tune resnet50")
    found = tuning.tune(
        _calls(arguments), threads=arguments.threads, dtype=arguments.dtype, seconds=arguments.time, progress=_progress
    )
    _print(found)
    print(f"stored in {tuning.path(arguments.threads)}")
    return AGREE


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _calls(arguments: argparse.Namespace) -> list[Any]:
    from ..comparison import models, problems
    from ..problem import parse

    if arguments.onnx is not None:
        return [task.problem for task in models.layers(arguments.onnx)]
    if arguments.from_calls is not None:
        return _recorded(arguments.from_calls)
    if arguments.what in problems.suites() or os.path.isfile(arguments.what) or len(arguments.what.split()) == 1:
        return [task.problem for task in problems.suite(arguments.what)]
    return [parse(arguments.what)]


def _recorded(text: str) -> list[Any]:
    """Run a script or a line of code, and return the kinds of calls that it made."""
    import runpy

    from ..tuning import recorded

    with recorded() as kinds:
        if os.path.isfile(text):
            argv, sys.argv = sys.argv, [text]
            sys.path.insert(0, os.path.dirname(os.path.abspath(text)))
            try:
                runpy.run_path(text, run_name="__main__")
            except SystemExit:
                pass  # as scripts end
            finally:
                sys.argv = argv
        else:
            try:
                code = compile(text, "--from-calls", "exec")
            except SyntaxError as error:
                raise SpecError(f"--from-calls {text!r} is neither a file nor Python: {error}") from None
            try:
                exec(code, {"__name__": "__main__"})
            except NameError as error:  # of a file, most of the time
                raise SpecError(f"--from-calls {text!r} is no file that is there, and as Python: {error}") from error
    if not kinds:
        raise SpecError(f"--from-calls {text!r} makes no call that convlib chooses a backend for")
    return list(kinds)


def _print(found: list[Any]) -> None:
    width = min(60, max((len(tuned.what) for tuned in found), default=10))
    for tuned in found:
        change = "as before"
        if tuned.after != tuned.before:
            change = f"{tuned.gain:.2f}x as fast as {tuned.before}"
        print(f"{tuned.what[:width]:<{width}}  {tuned.after}, {1e6 * tuned.seconds_after:.4g} us: {change}")
    if found:
        mean = math.exp(sum(math.log(tuned.gain) for tuned in found) / len(found))
        changed = sum(tuned.after != tuned.before for tuned in found)
        print(f"{len(found)} kinds of calls, {changed} choices changed, {mean:.2f}x as fast in the geometric mean")


def _progress(done: int, steps: int, what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{steps} {what[:60]:<60}", end="\n" if done == steps else "", file=sys.stderr, flush=True)
