"""``convlib compare``: check backends against float64 truth, then time them side by side."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import sys
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from ..threads import machine_threads
from .arguments import Commands, names, positive, seconds
from .statuses import AGREE, DISAGREE, INTERRUPTED

if TYPE_CHECKING:
    from ..comparison.race import Race, Request
    from ..comparison.result import Comparison, Report

#: Arguments that say what is measured, which a report that is resumed holds already.
ASKED = (
    "problem", "suite", "onnx", "input_shape", "op", "backends", "vs", "batch", "layout", "dtype", "threads", "sweep",
    "time",
)  # fmt: skip


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    compare = commands.add_parser(
        "compare", help="check backends against float64 truth, then time them side by side",
        epilog="Example: convlib compare 'n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1' --vs torch --sweep kh=kw=1..7:2",
    )  # fmt: skip
    what = compare.add_argument_group("what is computed")
    what.add_argument("problem", nargs="?", help="such as 'n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1'")
    what.add_argument(
        "--suite", metavar="NAME|FILE",
        help="problems: resnet50, vgg16, mobilenetv2, dilated, lenet, filters, pools, or a file with one per line",
    )  # fmt: skip
    what.add_argument("--onnx", metavar="FILE", help="the convolutions and poolings of an ONNX model")
    what.add_argument("--input-shape", metavar="SIZES", help="of the model's input, such as 1,3,224,224")
    what.add_argument("--sweep", metavar="WORDS=VALUES", help="vary sizes of a problem, such as kh=kw=1..31")
    what.add_argument("--op", help="operation in place of the problems': conv2d, grad_input, max_pool2d, ...")
    what.add_argument("--batch", type=positive, help="batch size in place of the problems'")
    what.add_argument("--layout", help="NCHW or NHWC in place of the problems'")
    what.add_argument("--dtype", help="float32 (the default), float64, or both with a comma")
    who = compare.add_argument_group("who computes it")
    who.add_argument("--backends", help="with commas: backends, native:* for each algorithm, plan; by default all")
    who.add_argument("--vs", help="peers, with commas: torch, onnxruntime, openvino, ncnn, cv2.dnn, opencv, scipy")
    who.add_argument("--threads", help="per contender, such as 2, or 1,2 for both; by default the machine's")
    who.add_argument("--time", type=seconds, metavar="SECONDS", help="per problem and contender; 0.15 by default")
    out = compare.add_argument_group("what comes out, besides the table")
    out.add_argument("--json", metavar="FILE", help="everything, written after each problem")
    out.add_argument("--csv", metavar="FILE", help="a line per problem and contender")
    out.add_argument("--plot", metavar="FILE", help="a picture (png, svg, pdf)")
    out.add_argument("--html", metavar="FILE", help="one page, with sortable tables and pictures")
    more = compare.add_argument_group("instead of the problems and contenders")
    more.add_argument("--resume", metavar="FILE", help="go on with what the report from --json left out")
    more.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"), help="what got slower between two reports")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and return the exit status."""
    from ..comparison import result
    from ..comparison.race import Race  # loads the compiled probe: only when needed

    if arguments.diff is not None:
        return _diff(arguments)
    paths = [path for path in (arguments.json, arguments.csv, arguments.plot, arguments.html) if path is not None]
    result.writable(paths)
    if arguments.plot is not None:
        from ..comparison import plot

        plot.check(arguments.plot)
    if arguments.resume is None:
        race = Race(_request(arguments))
    else:
        race = _resumed(arguments)
        arguments.json = arguments.json or arguments.resume
    return _carry_out(race, arguments)


def _request(arguments: argparse.Namespace) -> Request:
    from ..comparison import asked

    tasks = asked.tasks(
        arguments.problem, suite=arguments.suite, onnx=arguments.onnx, op=arguments.op, batch=arguments.batch,
        input_shape=None if arguments.input_shape is None else _numbers("--input-shape", arguments.input_shape),
        layout=arguments.layout, sweep=arguments.sweep,
    )  # fmt: skip
    return asked.request(
        tasks, backends=None if arguments.backends is None else names(arguments.backends),
        vs=names(arguments.vs or ""), dtypes=names(arguments.dtype or "float32"), sweep=arguments.sweep,
        threads=[machine_threads()] if arguments.threads is None else _numbers("--threads", arguments.threads),
        seconds=0.15 if arguments.time is None else arguments.time,
    )  # fmt: skip


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [positive(part) for part in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise SpecError(f"{option} {text!r}: {error}") from None


def _resumed(arguments: argparse.Namespace) -> Race:
    from ..comparison.contenders import check
    from ..comparison.race import Race, Request, machine
    from ..comparison.result import load

    given = [name for name in ASKED if getattr(arguments, name) is not None]
    if given:
        listed = ", ".join(name if name == "problem" else "--" + name.replace("_", "-") for name in given)
        raise SpecError(f"--resume goes on with what the report asked for; leave out {listed}")
    before = load(arguments.resume)
    request = Request.from_data(before.arguments)
    check(request.contenders)
    now = machine(request.contenders)
    differs = [key for key in now if now[key] != before.machine.get(key)]
    if differs:
        raise SpecError(
            f"--resume {arguments.resume!r} was measured elsewhere: {', '.join(differs)} differ; new times cannot "
            "stand beside its own"
        )
    return Race(request, before)


def _carry_out(race: Race, arguments: argparse.Namespace) -> int:
    """Run the race; whatever ends it, what was measured is kept."""
    view = _view(arguments.json)
    try:
        race.run(view)
    except KeyboardInterrupt:
        _write(race.report, arguments)
        view.finish(race.report)
        print("convlib compare: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError:  # nobody reads the table any more
        view.stop()
        _write(race.report, arguments)
        raise
    finally:
        view.stop()
    report = race.report
    _write(report, arguments)
    view.finish(report)
    for comparison, row in report.failures:
        kind = "DISAGREEMENT" if row.status == "wrong" else "CRASH"
        print(f"{kind}: {row.contender} on {comparison.name}: {row.note}", file=sys.stderr)
    return DISAGREE if report.failures else AGREE


def _write(report: Report, arguments: argparse.Namespace) -> None:
    from ..comparison import result

    if arguments.json is not None:
        result.save(arguments.json, report.to_json())
    if arguments.csv is not None:
        result.save(arguments.csv, report.to_csv())
    if arguments.html is not None:
        result.save(arguments.html, report.to_html())
    if arguments.plot is not None and report.comparisons:
        report.plot(arguments.plot)


def _diff(arguments: argparse.Namespace) -> int:
    from ..comparison import diff, result

    given = [name for name in (*ASKED, "json", "csv", "plot", "html", "resume") if getattr(arguments, name) is not None]
    if given:
        raise SpecError(f"--diff compares two reports and measures nothing; leave out {', '.join(given)}")
    found = diff.compare(*(result.load(path) for path in arguments.diff))
    print("\n".join(diff.text(found, _width())))
    return DISAGREE if found.worse else AGREE


def _width() -> int:
    """Return how many columns a text may take: a terminal's, else always as many, unless COLUMNS says so."""
    from ..comparison.text import WIDTH

    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(40, shutil.get_terminal_size((WIDTH, 24)).columns)
    return WIDTH


def _view(json: str | None) -> Any:
    """Return who shows the race: the terminal, or lines of text; each saves the report as it grows."""
    from ..comparison import terminal

    view: Any = terminal.Terminal() if terminal.available() else _Lines(_width())
    return view if json is None else _Saving(view, json)


class _Lines:
    """A watcher that prints each comparison as it is complete."""

    def __init__(self, width: int) -> None:
        self.width = width
        # A pipe may end at the same terminal: what goes on is shown only where it cannot mix with the table.
        apart = sys.stdout.isatty() or _is_file(sys.stdout)
        self.live = apart and sys.stderr.isatty()
        self.number = self.total = 0

    def begin(self, report: Report, total: int) -> None:
        from ..comparison.text import block, head

        self.total, self.number = total, len(report.comparisons)
        lines = head(report, self.width)
        for comparison in report.comparisons:  # of a report that is resumed
            lines += block(report, comparison, self.width)
        print("\n".join(lines), flush=True)

    def step(self, comparison: Comparison, doing: str) -> None:
        if self.live:
            room = shutil.get_terminal_size().columns - 1
            line = f"{self.number + 1}/{self.total} {comparison.name}: {doing}"
            print(f"\r{line[:room]:<{room}}", end="", file=sys.stderr, flush=True)

    def done(self, report: Report, comparison: Comparison) -> None:
        from ..comparison.text import block

        self.number += 1
        self.stop()
        print("\n".join(block(report, comparison, self.width)), flush=True)

    def stop(self) -> None:
        if self.live:
            room = shutil.get_terminal_size().columns - 1
            print("\r" + " " * room + "\r", end="", file=sys.stderr, flush=True)

    def finish(self, report: Report) -> None:
        from ..comparison.text import closing

        print("\n".join(closing(report, self.width)), flush=True)


def _is_file(stream: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # a stream without a file
        return False


class _Saving:
    """A watcher that writes the report before it lets another show what is new."""

    def __init__(self, view: Any, path: str) -> None:
        self.view, self.path = view, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def done(self, report: Report, comparison: Comparison) -> None:
        from ..comparison.result import save

        save(self.path, report.to_json())
        self.view.done(report, comparison)

