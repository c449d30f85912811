"""``convlib compare``: check backends against float64 truth, then time them side by side."""

from __future__ import annotations

import argparse
import json
import sys

from .. import registry
from ..errors import ConvlibError, SpecError
from ..threads import MAX_THREADS, machine_threads
from .arguments import Commands, names, positive, seconds
from .statuses import AGREE, DISAGREE


def add(commands: Commands) -> None:
    """Describe the command and its arguments."""
    compare = commands.add_parser("compare", help="check backends against float64 truth, then time them side by side")
    compare.add_argument("problem", nargs="?", help="such as 'n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1'")
    compare.add_argument("--suite", help="a list of problems: resnet50, vgg16, mobilenetv2, lenet, filters, pools")
    compare.add_argument("--backends", help="comma-separated; by default all that are available")
    compare.add_argument("--vs", default="", help="comma-separated peers: torch, onnxruntime, openvino, opencv, scipy")
    compare.add_argument("--batch", type=positive, help="batch size in place of the problem's")
    compare.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    compare.add_argument("--threads", type=positive, default=machine_threads(), help="per contender")
    compare.add_argument("--time", type=seconds, default=0.15, metavar="SECONDS", help="per problem and contender")
    compare.add_argument("--plot", metavar="FILE", help="write a bar chart (png, svg, pdf)")
    compare.add_argument("--json", metavar="FILE", help="write all numbers")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and return the exit status."""
    from ..comparison import report, run as race  # loads the compiled probe: only when needed
    from ..comparison.contenders import PEERS, PLAN, missing
    from ..info import show_config
    from ..problem import parse

    if (arguments.problem is None) == (arguments.suite is None):
        raise SpecError("name either one problem or one --suite, as in: convlib compare --suite resnet50")
    if arguments.threads > MAX_THREADS:
        raise SpecError(f"--threads {arguments.threads} must lie between 1 and {MAX_THREADS}")
    if arguments.suite is not None:
        problems = race.suite(arguments.suite, arguments.batch)
    else:
        problem = race.with_batch(parse(arguments.problem), arguments.batch)
        problems = [("problem", problem)]
    peers = names(arguments.vs)
    for peer in peers:
        if peer not in PEERS:
            raise SpecError(f"unknown peer {peer!r} in --vs; valid: {', '.join(PEERS)}")
        reason = missing(peer)
        if reason is not None:
            raise SpecError(f"the peer {peer!r} is {reason}")
    backends = _usable_backends() if arguments.backends is None else names(arguments.backends)
    if not backends:
        raise SpecError(f"--backends {arguments.backends!r} names none; valid: {', '.join(registry.backends())}")
    for name in backends:
        if name != PLAN:
            registry.get_backend(name.partition(":")[0])
    comparisons = race.compare(
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
