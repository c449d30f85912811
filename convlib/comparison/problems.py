"""What is compared: a list of named problems from a text, a suite, a file or shapes; changed, and swept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import SpecError, did_you_mean, quote
from ..problem import OPERATIONS, OPTIONS, Problem, parse
from ..spec import ConvSpec, PoolSpec

_AXES = {1: "w", 2: "hw", 3: "dhw"}
_MOST_VALUES = 1000
_RANGE = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9})(?:([:*])(\d{1,9}))?)?")


@dataclass(frozen=True)
class Task:
    """A problem with its name, how many layers of a network it stands for, and what a sweep set in it."""

    name: str
    problem: Problem
    count: int = 1
    value: int | None = None


@dataclass(frozen=True)
class Sweep:
    """Words of a problem that take the same value, and the values."""

    words: tuple[str, ...]
    values: tuple[int, ...]

    def __str__(self) -> str:
        return "=".join(self.words)


def suites() -> tuple[str, ...]:
    """Return the names of the suites that come with the package."""
    found = (entry.name.removesuffix(".txt") for entry in files("convlib").joinpath("suites").iterdir())
    return tuple(sorted(name for name in found if not name.startswith("_")))


def suite(name: str) -> list[Task]:
    """Return the problems of a suite that comes with the package, or of a file like one.

    Each line is a problem; a line that starts with ``#`` names the problem in the next line.
    """
    if name in suites():
        return _listed(files("convlib").joinpath("suites", f"{name}.txt").read_text(encoding="utf-8"), name)
    path = Path(name)
    if not name or not path.is_file():
        valid = f"{', '.join(suites())}, or a file with a problem per line"
        raise SpecError(f"unknown suite {name!r}; valid: {valid}{did_you_mean(name, suites())}")
    try:
        return _listed(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the suite {name!r}: {error}") from None


def _listed(text: str, source: str) -> list[Task]:
    title, found = "", []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line:
            try:
                found.append(Task(title or line, parse(line)))
            except SpecError as error:
                raise SpecError(f"line {number} of the suite {source!r}: {error}") from None
            title = ""
    if not found:
        raise SpecError(f"the suite {source!r} holds no problem; write one per line, as in: n1 ic3 ih32 oc8 kh3")
    return found


def of_shapes(op: str, shapes: Sequence[Sequence[int]], options: dict[str, Any]) -> Problem:
    """Return the problem of a call on arrays of these shapes.

    Parameters
    ----------
    op : str
        Name of a public function, as `operation` takes it.
    shapes : sequence of sequence of int
        Of x, w and perhaps the bias for a convolution and its gradients; of x alone for a pooling.
    options : dict
        Keywords of the public function; `kernel_size` for a pooling.
    """
    word, nd = operation(op)
    options = dict(options)
    bias = len(shapes) > 2 and word == "conv"
    if not 1 <= len(shapes) <= 2 + bias or (len(shapes) == 1) != word.endswith("pool"):
        raise SpecError(f"{op} takes {'x' if word.endswith('pool') else 'x and w'}, not {len(shapes)} arrays")
    if word.endswith("pool"):
        if "kernel_size" not in options:
            raise SpecError(f"{op} needs kernel_size, such as kernel_size=2")
        flags = [("ceil", bool(options.get("ceil_mode"))), ("nopad", options.get("count_include_pad") is False)]
        size = options.pop("kernel_size")
        spec: Any = PoolSpec.make(word[:3], shapes[0], size, nd=len(shapes[0]) - 2 if nd is None else nd, **options)
        if spec.divisor is not None or spec.kind == "lp":
            raise SpecError("no problem names a pooling with divisor_override or a norm")
        channels, groups = (spec.c, spec.c), 1
    else:
        flags = [("bias", bias)]
        spec = ConvSpec.make(shapes[0], shapes[1], **options)
        if spec.flip or (spec.padded and (spec.padding_mode, spec.pad_value) != ("constant", 0)):
            raise SpecError("no problem names flip or padding other than zeros: leave them out")
        channels, groups = (spec.c, spec.oc), spec.groups
    if nd not in (None, spec.nd) or not spec.batched:
        raise SpecError(f"{op} is compared on x of {(nd or spec.nd) + 2} axes: (N, C, *spatial)")
    given = dict(flags) | {"nhwc": spec.channels_last}
    return Problem(
        word, spec.n, *channels, groups, spec.in_size, spec.kernel, spec.stride, spec.dilation, spec.pad_lo,
        spec.pad_hi, tuple(option for option in OPTIONS if given.get(option)),
    )  # fmt: skip


def operation(name: str) -> tuple[str, int | None]:
    """Return (operation word, number of axes or None) of an operation as users may write it.

    Examples
    --------
    >>> operation("conv2d"), operation("grad_input"), operation("max_pool1d"), operation("avgpool")
    (('conv', 2), ('gradx', None), ('maxpool', 1), ('avgpool', None))
    """
    stem = re.sub(r"([123])d", "", name)
    rank = re.search(r"([123])d", name)
    written = {"grad_input": "gradx", "grad_weight": "gradw"}
    for word, (first, ending) in OPERATIONS.items():
        written |= {word: word, first + ending: word}
    if stem not in written:
        valid = "conv2d, grad_input, grad_weight, max_pool2d, min_pool2d, avg_pool2d, sum_pool2d"
        raise SpecError(f"unknown operation {quote(name)}; valid: {valid}, with 1d, 2d, 3d or without")
    return written[stem], int(rank[1]) if rank else None


def changed(task: Task, *, batch: int | None = None, op: str | None = None, layout: str | None = None) -> Task:
    """Return a task with another batch size, operation or layout.

    The operation keeps all sizes it has: a pooling takes the input channels, the windows and the strides of a
    convolution, and a convolution made of a pooling has as many output as input channels.
    """
    problem = task.problem
    if batch is not None:
        problem = replace(problem, n=batch)
    options = set(problem.options)
    if op is not None:
        word, nd = operation(op)
        if nd not in (None, problem.nd):
            raise SpecError(f"--op {op} does not fit {task.name!r}, which has {problem.nd} spatial axes")
        kept = {"nhwc"} | {"conv": {"bias"}}.get(word, {"ceil", "nopad"} if word == "avgpool" else {"ceil"})
        options &= kept if word.endswith("pool") or word == "conv" else {"nhwc"}
        pool = word.endswith("pool")
        problem = replace(problem, op=word, oc=problem.ic if pool else problem.oc, g=1 if pool else problem.g)
    if layout is not None:
        options = options - {"nhwc"} | ({"nhwc"} if _last(layout) else set())
    problem = replace(problem, options=tuple(option for option in OPTIONS if option in options))
    return replace(task, problem=_checked(problem, task.name))


def _last(layout: str) -> bool:
    if not re.fullmatch(r"N(C(D?H)?W|(D?H)?WC)", layout):
        raise SpecError(f"--layout {layout!r} is unknown; valid: NCHW and NHWC, and their 1-d and 3-d forms")
    return layout.endswith("C")


def _checked(problem: Problem, name: str) -> Problem:
    try:
        return parse(str(problem))
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from None


def sweep(text: str) -> Sweep:
    """Read what to vary: words joined by ``=`` and their values, listed with commas or as a range.

    Examples
    --------
    >>> sweep("kh=kw=1..7:2")
    Sweep(words=('kh', 'kw'), values=(1, 3, 5, 7))
    >>> sweep("ic=16..64*2,96").values
    (16, 32, 64, 96)
    """
    *words, listed = (part.strip() for part in text.split("="))
    known = ("n", "ic", "oc", "g", *(role + axis for role in "iksdp" for axis in "dhw"))
    for word in words:
        if word not in known:
            raise SpecError(f"--sweep {text!r}: unknown word {word!r}; valid: {' '.join(known)}")
    values = [value for part in listed.split(",") for value in _range(part.strip(), text)]
    if not words or not values or len(values) > _MOST_VALUES:
        raise SpecError(f"--sweep {text!r} must name words and 1 to {_MOST_VALUES} values, as in kh=kw=1..31")
    return Sweep(tuple(words), tuple(dict.fromkeys(values)))


def _range(part: str, text: str) -> Iterator[int]:
    match = _RANGE.fullmatch(part)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    step = int(match[4] or 1) if match else 1
    if match is None or first > last or step < 1 or (match[3] == "*" and (step < 2 or first < 1)):
        valid = "3, 1..31, 1..31:2 (steps), 16..512*2 (factors)"
        raise SpecError(f"--sweep {text!r}: {part!r} is no range; valid: {valid}")
    if (last - first) // step > _MOST_VALUES and match[3] != "*":
        raise SpecError(f"--sweep {text!r}: {part!r} has more than {_MOST_VALUES} values")
    while first <= last:
        yield first
        first = first * step if match[3] == "*" else first + step


def swept(task: Task, over: Sweep) -> list[Task]:
    """Return the task with each value of a sweep.  Padding that keeps the size of an axis goes on doing so."""
    found = []
    for value in over.values:
        problem = task.problem
        for word in over.words:
            problem = _set(problem, word, value)
        if not {word[0] for word in over.words} & {"p"}:
            problem = _same(task.problem, problem)
        label = f"{over}={value}"
        found.append(replace(task, name=label, problem=_checked(problem, f"--sweep {label}"), value=value))
    return found


def _set(problem: Problem, word: str, value: int) -> Problem:
    if word in ("n", "ic", "oc", "g"):
        if problem.is_pool and word in ("oc", "g"):
            raise SpecError(f"--sweep {word}: {problem.op} has no such size; a pooling has only ic")
        sizes: dict[str, Any] = {word: value} | ({"oc": value} if problem.is_pool and word == "ic" else {})
        return replace(problem, **sizes)
    axes = _AXES[problem.nd]
    if word[1] not in axes:
        raise SpecError(f"--sweep {word}: the problem has the axes {', '.join(axes)} only")
    at = axes.index(word[1])
    names = ("lo", "hi") if word[0] == "p" else (word[0],)
    changes: dict[str, Any] = {}
    for name in names:
        before = getattr(problem, name)
        changes[name] = (*before[:at], value, *before[at + 1 :])
    return replace(problem, **changes)


def _same(before: Problem, after: Problem) -> Problem:
    lo, hi = list(after.lo), list(after.hi)
    for at in range(before.nd):
        kept = before.s[at] == 1 and before.lo[at] + before.hi[at] == (before.k[at] - 1) * before.d[at]
        if kept and (before.k[at], before.d[at]) != (after.k[at], after.d[at]):
            total = max(0, (after.k[at] - 1) * after.d[at])
            lo[at], hi[at] = total // 2, total - total // 2
    return replace(after, lo=tuple(lo), hi=tuple(hi))
