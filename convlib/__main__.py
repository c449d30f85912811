"""The command line: ``convlib`` or ``python -m convlib``."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from . import __version__, registry
from .errors import ConvlibError, SpecError
from .threads import MAX_THREADS, machine_threads

#: Exit statuses, which the help explains.
AGREE, DISAGREE, REFUSED, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


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
    commands = {"compare": _compare, "explain": _explain, "info": _info, "check": _check}
    try:
        return commands[arguments.command](arguments)
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
        epilog="Exit status: 0 if all is well, 1 if a contender disagrees or a check fails, 2 if the command cannot be "
        "carried out or its output not be written, 130 if interrupted, 141 if the reader of the output went away.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"convlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    compare = commands.add_parser("compare", help="check backends against float64 truth, then time them side by side")
    compare.add_argument("problem", nargs="?", help="such as 'n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1'")
    compare.add_argument("--suite", help="a list of problems: resnet50, vgg16, mobilenetv2, lenet, filters, pools")
    compare.add_argument("--backends", help="comma-separated; by default all that are available")
    compare.add_argument("--vs", default="", help="comma-separated peers: torch, onnxruntime, openvino, opencv, scipy")
    compare.add_argument("--batch", type=_positive, help="batch size in place of the problem's")
    compare.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    compare.add_argument("--threads", type=_positive, default=machine_threads(), help="per contender")
    compare.add_argument("--time", type=_seconds, default=0.15, metavar="SECONDS", help="per problem and contender")
    compare.add_argument("--plot", metavar="FILE", help="write a bar chart (png, svg, pdf)")
    compare.add_argument("--json", metavar="FILE", help="write all numbers")

    explain = commands.add_parser("explain", help="say which backend serves a problem, and why not the others")
    explain.add_argument("problem")
    explain.add_argument("--backend")
    explain.add_argument("--dtype", default="float32")

    info = commands.add_parser("info", help="show versions, backends, threads and settings")
    info.add_argument("--json", action="store_true")

    check = commands.add_parser("check", help="run the conformance suite on backends")
    check.add_argument("backends", nargs="+", metavar="BACKEND")
    check.add_argument("--refusals", action="store_true", help="list what was refused, with reasons")
    return parser


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 1")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds, above 0 and at most 3600")
    return seconds


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _compare(arguments: argparse.Namespace) -> int:
    from .compare import report, run  # loads the compiled probe: only when needed
    from .compare.contenders import PEERS, PLAN, missing
    from .info import show_config
    from .problem import parse

    if (arguments.problem is None) == (arguments.suite is None):
        raise SpecError("name either one problem or one --suite, as in: convlib compare --suite resnet50")
    if arguments.threads > MAX_THREADS:
        raise SpecError(f"--threads {arguments.threads} must lie between 1 and {MAX_THREADS}")
    if arguments.suite is not None:
        problems = run.suite(arguments.suite, arguments.batch)
    else:
        problem = run.with_batch(parse(arguments.problem), arguments.batch)
        problems = [("problem", problem)]
    peers = _names(arguments.vs)
    for peer in peers:
        if peer not in PEERS:
            raise SpecError(f"unknown peer {peer!r} in --vs; valid: {', '.join(PEERS)}")
        reason = missing(peer)
        if reason is not None:
            raise SpecError(f"the peer {peer!r} is {reason}")
    backends = _usable_backends() if arguments.backends is None else _names(arguments.backends)
    if not backends:
        raise SpecError(f"--backends {arguments.backends!r} names none; valid: {', '.join(registry.backends())}")
    for name in backends:
        if name != PLAN:
            registry.get_backend(name.partition(":")[0])
    comparisons = run.compare(
        problems, [*backends, *peers], dtype=arguments.dtype, threads=arguments.threads, seconds=arguments.time,
        progress=_progress,
    )  # fmt: skip
    machine = show_config("dict") or {}
    versions = machine["versions"]
    print(
        f"convlib {versions['convlib']}, NumPy {versions['numpy']}, Python {versions['python']}, "
        f"{machine['machine']['processor']}, {arguments.threads} threads, {arguments.dtype}"
    )
    print(report.table(comparisons))
    if arguments.json:
        _write(arguments.json, json.dumps(report.as_data(comparisons, machine), indent=1))
    if arguments.plot:
        report.plot(comparisons, arguments.plot)
    wrong = [(c.name, row) for c in comparisons for row in c.rows if row.status == "wrong"]
    for name, row in wrong:
        print(f"DISAGREEMENT: {row.contender} on {name}: {row.note}", file=sys.stderr)
    return DISAGREE if wrong else AGREE


def _usable_backends() -> list[str]:
    names = []
    for name in registry.backends():
        try:
            if registry.get_backend(name).array_type == "numpy":
                names.append(name)
        except ConvlibError:
            continue  # not available here; `convlib info` says why
    return names


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text + "\n")
    except OSError as error:
        raise SpecError(f"cannot write {path!r}: {error.strerror}") from None


def _progress(done: int, steps: int, what: str) -> None:
    if sys.stderr.isatty():
        bar = "#" * (20 * done // max(1, steps))
        end = "\n" if done == steps else ""
        print(f"\r[{bar:<20}] {done}/{steps} {what[:48]:<48}", end=end, file=sys.stderr, flush=True)
    elif done % 5 == 0 or done == steps:
        print(f"{done}/{steps} {what}", file=sys.stderr, flush=True)


def _explain(arguments: argparse.Namespace) -> int:
    from .functional import explain
    from .problem import parse

    problem = parse(arguments.problem)
    shapes, words = problem.call
    print(explain(problem.function, *shapes, dtype=arguments.dtype, backend=arguments.backend, **words))
    return AGREE


def _info(arguments: argparse.Namespace) -> int:
    from .info import as_text, show_config

    data = show_config("dict") or {}
    print(json.dumps(data, indent=1) if arguments.json else as_text(data))
    return AGREE


def _check(arguments: argparse.Namespace) -> int:
    from .testing import check_backend

    status = AGREE
    for name in arguments.backends:
        report = check_backend(name, strict=False, progress=lambda done, steps: _check_progress(done, steps))
        print(report)
        for check, reason in report.failed:
            print(f"  FAILED {check}: {reason}")
        for check, reason in report.refused if arguments.refusals else ():
            print(f"  refused {check}: {reason}")
        if report.failed:
            status = DISAGREE
    return status


def _check_progress(done: int, steps: int) -> None:
    if sys.stderr.isatty() and (done % 10 == 0 or done == steps):
        print(f"\r{done}/{steps}", end="\r" if done == steps else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
