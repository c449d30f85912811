"""Put what was measured into the pages: tables and charts from the files in benchmarks/results.

Run:  python docs/make_figures.py

The files come from the commands that the pages show; `tests/test_figures.py` compares pages and files.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from convlib.comparison.result import Comparison, Report, load
from convlib.comparison.summary import best, level, ratios, warnings

ROOT = Path(__file__).parents[1]
RESULTS, FIGURES = ROOT / "benchmarks/results", ROOT / "docs/figures"
PAGES = (ROOT / "README.md", ROOT / "docs/benchmarks.md", ROOT / "docs/use/accuracy.md")
#: The suites, in the order of the table, with what they hold.
SUITES = {"resnet50": "layers", "vgg16": "layers", "mobilenetv2": "layers", "filters": "sizes", "pools": "kinds"}
PEERS = {
    "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ncnn": "ncnn",
    "cv2.dnn": "OpenCV's dnn", "opencv": "OpenCV",
}  # fmt: skip
COLOURS = {
    "torch": "#d1495b", "onnxruntime": "#2e6fb7", "openvino": "#7b52ab", "ncnn": "#e08a1e", "cv2.dnn": "#6b7a8f",
    "opencv": "#3c8d53",
}  # fmt: skip
KINDS = {"normal": "#2e6fb7", "positive": "#3c8d53", "wide range": "#d1495b"}
MARKED = re.compile(r"(<!-- figures of (\w+), by docs/make_figures.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def report(suite: str) -> Report:
    """Return what `convlib compare --json` wrote about a suite."""
    return load(str(RESULTS / f"{suite}.json"))


def reports() -> dict[str, Report]:
    """Return the report of each suite."""
    return {suite: report(suite) for suite in SUITES}


# ------------------------------------------------------------------------------- tables


def mean(found: Sequence[tuple[str, float]]) -> str:
    """Return the geometric mean of ratios as a cell."""
    return f"{statistics.geometric_mean(ratio for _, ratio in found):.3g}" if found else ""


def speed() -> str:
    """Return the table of ratios: a line per suite, a column per peer, the fastest peer and the worst problem."""
    lines = [f"| suite | {' | '.join(PEERS.values())} | fastest peer | worst |", "|---|" + "---|" * (len(PEERS) + 2)]
    for suite, found in reports().items():
        all_peers = ratios(found.comparisons, *PEERS)
        name, least = min(all_peers, key=lambda pair: pair[1])
        cells = [mean(ratios(found.comparisons, peer)) for peer in PEERS]
        title = f"`{suite}`, {len(found.comparisons)} {SUITES[suite]}"
        lines.append(f"| {title} | {' | '.join(cells)} | {mean(all_peers)} | {least:.2f}, {name} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return where and with what the suites were measured."""
    lines = ["| what | |", "|---|---|"]
    found = list(reports().values())
    about = found[0].machine
    versions = {name: version for one in found for name, version in one.machine["versions"].items()}
    peaks = [peak for one in found for peak in one.peaks]
    facts = {
        "processor": f"{about['processor']}, {about['cpus']} processors, instruction set `{about['instruction_set']}`",
        "system": f"`{about['system']}`",
        "threads": "of each contender: " + ", ".join(str(n) for n in found[0].arguments["threads"]),
        "element type": ", ".join(found[0].arguments["dtypes"]),
        "peak": f"{max(p.flops for p in peaks) / 1e9:.0f} GFLOP/s of float32 multiply-adds, "
        f"{max(p.copy for p in peaks) / 1e9:.0f} GB/s of copies, measured between the rounds",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "dates": ", ".join(f"`{suite}` {one.created[:10]}" for suite, one in reports().items()),
    }
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in facts.items()]) + "\n"


def doubt() -> str:
    """Return what belongs below ratios that `compare` warned of."""
    folds: dict[str, float] = {}
    for row in (row for one in reports().values() for c in one.comparisons for row in c.timed):
        folds[row.contender] = max(row.fold, folds.get(row.contender, 1.0))
    found = [text for one in reports().values() for text in warnings(one)]
    if not found:
        return ""
    others = "Others used the machine at the same time. " if any("load rose" in text for text in found) else ""
    worst = PEERS.get(name := max(folds, key=folds.__getitem__), name)
    return f"{others}`compare` warned of noise: ratios of {worst} suffer most.\n"


def noise() -> str:
    """Return what makes the numbers doubtful."""
    told = [f"- `{suite}`: {'; '.join(found)}" for suite, one in reports().items() if (found := warnings(one))]
    return "\n".join(told or ["- no warning"]) + "\n"


def commands() -> str:
    """Return the command behind each file."""
    lines = []
    for suite, found in reports().items():
        asked = found.arguments
        ours = ",".join(name for name in asked["contenders"] if name not in PEERS)
        peers = ",".join(name for name in asked["contenders"] if name in PEERS)
        more = f" --threads {','.join(map(str, asked['threads']))} --time {asked['seconds']:g}"
        lines.append(f"convlib compare --suite {suite} --backends {ours} --vs {peers}{more} \\")
        lines.append(f"    --json benchmarks/results/{suite}.json")
    return "```text\n" + "\n".join(lines) + "\n```\n"


def behind(comparison: Comparison) -> tuple[float, str] | None:
    """Return the time of the fastest peer over convlib's best and a line of the table, where a peer is no slower."""
    ours, theirs = best(comparison), next((row for row in comparison.timed if row.contender in PEERS), None)
    if ours is None or theirs is None:
        return None
    first, second = sorted((ours, theirs), key=lambda row: row.seconds)
    same = level(first, second)
    if first is ours and not same:
        return None
    ratio = theirs.seconds / ours.seconds
    verdict = "cannot be told apart" if same else f"{1 / ratio:.2f} × as fast"
    who = PEERS[theirs.contender]
    return ratio, f"| {comparison.name} | `{comparison.problem}` | {who} | {verdict} |"


def lost() -> str:
    """Return the problems where a peer is as fast or faster."""
    found = sorted(filter(None, (behind(c) for one in reports().values() for c in one.comparisons)))
    count = sum(len(one.comparisons) for one in reports().values())
    head = f"Of {count} problems, a peer is at least as fast in {len(found)}:\n\n"
    table = ["| | problem | peer | is, against convlib's best |", "|---|---|---|---|", *(line for _, line in found)]
    return head + "\n".join(table) + "\n" if found else f"Of {count} problems, no peer is as fast in any.\n"


def accuracy() -> str:
    """Return the tables of rounding errors."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from accuracy import table

    data = errors()
    tables = [table(dtype, {(who, kind): error for who, kind, error in found}) for dtype, found in data.items()]
    return "\n".join(tables)


def errors() -> dict[str, list[tuple[str, str, float]]]:
    """Return the measured rounding errors: contender, kind of input and error, by element type."""
    return json.loads((RESULTS / "accuracy.json").read_text())["errors"]


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy, "speed": speed, "doubt": doubt, "machine": machine, "noise": noise,
    "commands": commands, "lost": lost,
}  # fmt: skip


def up_to_date(text: str) -> str:
    """Return a page with its tables as they should be."""
    return MARKED.sub(lambda found: found[1] + TABLES[found[2]](), text)


# ------------------------------------------------------------------------------- charts

LEFT, WIDTH, LINE, RIGHT = 190, 470, 26, 24


def chart(title: str, rows: dict[str, dict[str, float]], colours: dict[str, str], marked: float | None = None) -> str:
    """Return a chart as SVG: a line per row, a dot per series on a logarithmic axis, and one value marked."""
    values = [value for row in rows.values() for value in row.values()] + ([marked] if marked else [])
    low, high = math.floor(math.log10(min(values)) * 2) / 2, math.ceil(math.log10(max(values)) * 2) / 2
    place = lambda value: LEFT + (math.log10(value) - low) / (high - low) * WIDTH  # noqa: E731
    top, bottom = 64, 64 + LINE * len(rows)
    size = LEFT + WIDTH + RIGHT, bottom + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}"'
        f' height="{size[1]}" font-family="sans-serif" font-size="13">',
        f"<title>{title}</title>", '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" fill="#1c1c1c">{title}</text>',
    ]  # fmt: skip
    x = 12.0
    for name, colour in colours.items():
        parts.append(f'<circle cx="{x + 6:.0f}" cy="42" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16:.0f}" y="46" fill="#1c1c1c">{PEERS.get(name, name)}</text>')
        x += 34 + 7.5 * len(PEERS.get(name, name))
    for exponent in range(math.ceil(low), math.floor(high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**exponent
            if low <= math.log10(value) <= high:
                at = place(value)
                parts.append(f'<path d="M{at:.1f} {top - 6}V{bottom}" stroke="#dddddd"/>')
                text = f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#555555">{value:g}</text>'
                parts.append(text)
    if marked:
        parts.append(f'<path d="M{place(marked):.1f} {top - 6}V{bottom}" stroke="#1c1c1c" stroke-width="1.5"/>')
    for number, (label, row) in enumerate(rows.items()):
        y = top + LINE * number + LINE // 2
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end" fill="#1c1c1c">{label}</text>')
        parts.append(f'<path d="M{LEFT} {y}H{LEFT + WIDTH}" stroke="#eeeeee"/>')
        for name, value in row.items():
            dot = f'<circle cx="{place(value):.1f}" cy="{y}" r="5.5" fill="{colours[name]}" fill-opacity="0.85">'
            parts.append(f"{dot}<title>{label}: {PEERS.get(name, name)} {value:.3g}</title></circle>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def speed_chart() -> str:
    """Return the ratios as a chart."""
    rows: dict[str, dict[str, float]] = {}
    for suite, found in reports().items():
        rows[suite] = {
            peer: statistics.geometric_mean(ratio for _, ratio in one)
            for peer in PEERS if (one := ratios(found.comparisons, peer))
        }  # fmt: skip
    return chart("Time of a peer over convlib's, mean over a suite; right of 1: convlib is faster", rows, COLOURS, 1)


def accuracy_chart() -> str:
    """Return the errors in float32 as a chart."""
    rows: dict[str, dict[str, float]] = {}
    for who, kind, error in errors()["float32"]:
        rows.setdefault(who, {})[kind] = error
    return chart("Largest error in float32, in roundings of the sum of absolute products", rows, KINDS, 1)


CHARTS = {"speed.svg": speed_chart, "accuracy.svg": accuracy_chart}


def main() -> None:
    """Write tables and charts."""
    for path in PAGES:
        path.write_text(up_to_date(path.read_text()))
    for name, draw in CHARTS.items():
        (FIGURES / name).write_text(draw())


if __name__ == "__main__":
    main()
