"""Why checks failed: failures that share a cause stand together, with what they share and three lines to run.

A cause is found twice over: by what the failing calls have in common and the passing ones have not, and by trying on the
smallest of them what its result would be right for.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import convlib

from ..functional.described import describe
from .arrays import VARIANTS, Array, case_arrays
from .cases import Case
from .checks import ORACLE, Check, call_case, is_exact


@dataclass(frozen=True)
class Failure:
    """One check that failed, and why."""

    check: Check
    reason: str


class _Group(NamedTuple):
    kind: str
    guess: str
    words: list[str]
    members: list[Failure]


@dataclass(frozen=True)
class Cause:
    """Checks that failed for one reason.

    Attributes
    ----------
    what : str
        What they have in common, in words.
    checks : tuple of str
        Their names, the smallest call first.
    reason : str
        What the first of them says.
    reproducer : str
        Lines of Python that show it.
    """

    what: str
    checks: tuple[str, ...]
    reason: str
    reproducer: str

    def __str__(self) -> str:
        count, first = len(self.checks), self.checks[0]
        more = f"; also {', '.join(self.checks[1:4])}" + (f" and {count - 4} more" if count > 4 else "")
        lines = [f"{count} check{'s' * (count > 1)}: {self.what}", f"  {first}: {self.reason}"]
        lines += [f"  {more[2:]}"] if count > 1 else []
        return "\n".join([*lines, *(f"    {line}" for line in self.reproducer.splitlines())])


def causes(name: str, failures: Sequence[Failure], passed: Sequence[Check], setup: str = "") -> tuple[Cause, ...]:
    """Return the causes of failures, the one of most checks first.

    Parameters
    ----------
    name : str
        The backend's name.
    failures : sequence of Failure
        What failed.
    passed : sequence of Check
        What did not.
    setup : str
        Code that a reproducer needs first, such as the registration of the backend.
    """
    kinds: dict[str, list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(_kind(failure.reason), []).append(failure)
    good = [_features(check) for check in passed]
    groups: dict[tuple[str, ...], _Group] = {}
    for kind, failed in kinds.items():
        # The same words of an error are one cause; only wrong numbers must be told apart.
        for words, members in _shared(failed, good) if kind == VALUES else [(_common(failed), failed)]:
            members = sorted(members, key=_size)
            guess = _diagnosis(name, members) if kind == VALUES else ""
            # What one guess explains is one cause, whatever else tells the calls apart.
            group = groups.setdefault((kind, guess, "" if guess else words), _Group(kind, guess, [], []))
            group.words.append(words)
            group.members.extend(members)
    found = [_cause(name, group, setup) for group in groups.values()]
    return tuple(sorted(found, key=lambda cause: -len(cause.checks)))


VALUES = "wrong numbers"


def _kind(reason: str) -> str:
    """Return what kind of failure a reason is: its words without numbers."""
    if " differ, first at" in reason or re.match("error .* exceeds the bound", reason):
        return VALUES
    return re.sub(r"[-+\d.e]*\d[\d.e+-]*", "#", reason)


def _shared(failures: list[Failure], good: list[set[str]]) -> Iterator[tuple[str, list[Failure]]]:
    """Split failures of one kind by what tells them from the checks that passed."""
    features = [(failure, _features(failure.check)) for failure in failures]
    while features:
        words = {word for _, found in features for word in found}
        score = {}
        for word in words:
            bad = sum(word in found for _, found in features)
            share = bad / (bad + sum(word in found for found in good))
            score[word] = bad * share**3
        best = max(sorted(score), key=lambda word: score[word], default="")
        group = [failure for failure, found in features if best in found or not best]
        yield best, group
        features = [(failure, found) for failure, found in features if best and best not in found]


def _common(failures: list[Failure]) -> str:
    """Return the operator that all failures call, if it is one."""
    operators = {failure.check.operator for failure in failures}
    return f"in calls of {next(iter(operators))}" if len(operators) == 1 and operators != {""} else ""


#: What the names of array fills and memory layouts say.
_FILLS = {
    "nan": "NaN in the input", "inf": "infinities in the input", "extremes": "the largest numbers of a type",
    "ties": "equal elements", "large": "integers beyond 2**53", "indices": "",
}  # fmt: skip


def _features(check: Check) -> set[str]:
    """Return what characterises a check, in words that may follow "wrong numbers"."""
    case, found = check.case, {f"in calls of {check.operator}"} if check.operator else {"with an argument to refuse"}
    if check.variant:
        variants = {"out": "with an out array", "plan": "from a plan", "random": "of random floats",
                    "finished": "with a residual and an activation"}
        found.add(variants.get(check.variant, f"with arrays that are {check.variant}"))
    if case is None:
        return found
    options, kind = case.options, np.dtype(case.dtypes[0]).kind
    found |= {f"in calls of {case.call}", f"of element type {case.dtypes[0]}"}
    found.add({"b": "of integers", "i": "of integers", "u": "of integers", "c": "of complex numbers"}.get(kind, "of floats"))
    if case.call.startswith("conv") and "grad" not in case.call and len(case.arrays) > 2:
        found.add("with a bias")
    if math.prod(case.arrays[0]) == 0:
        found.add("of empty arrays")
    for word in ("stride", "dilation", "groups", "padding", "output_padding"):
        if options.get(word, 1) not in (0, 1):
            found.add("with more than one group" if word == "groups" else f"with a {word}")
    padding = options.get("padding")
    if isinstance(padding, str):
        found.add(f"with padding={padding!r}")
    elif isinstance(padding, tuple) and any(isinstance(pair, tuple) and pair[0] != pair[1] for pair in padding):
        found.add("with padding that differs on both sides")
    for word in ("padding_mode", "pad_value", "flip", "ceil_mode", "return_indices", "count_include_pad", "boundary"):
        if word in options:
            found.add(f"with {word}={options[word]!r}")
    if "x_zero_point" in options or "w_zero_point" in options:
        found.add("with zero points")
    if isinstance(options.get("w_zero_point"), tuple):
        found.add("with a zero point per output channel")
    if str(options.get("layout", "NC"))[1] != "C":
        found.add("with the channels last")
    if "unbatched" in case.name:
        found.add("without a batch axis")
    if _FILLS.get(case.fill):
        found.add(f"with {_FILLS[case.fill]}")
    return found


def _size(failure: Failure) -> tuple[Any, ...]:
    """Sort what a reader should see first to the front: a plain call of few elements, but of some."""
    case = failure.check.case
    size = sum(map(math.prod, case.arrays)) if case is not None else 10**9
    plain = case is not None and case.dtypes[0] == "float32" and case.fill == "small" and math.prod(case.arrays[0]) > 8
    return not plain, bool(failure.check.variant), size, failure.check.name


def _cause(name: str, group: _Group, setup: str) -> Cause:
    members = sorted(group.members, key=_size)
    first = members[0]
    what = VALUES if group.kind == VALUES else first.reason.partition(": ")[0]
    words = f" {group.words[0]}" if len(group.words) == 1 else ""
    return Cause(
        f"{what}{words.rstrip()}{group.guess and '; '}{group.guess}", tuple(failure.check.name for failure in members),
        first.reason, reproduce(name, first.check, setup),
    )  # fmt: skip


# ------------------------------------------------------------------------------- what would be right

#: As many calls are tried for a guess, which must hold for most of them.
TRIED = 4


def _diagnosis(name: str, group: list[Failure]) -> str:
    """Return what the wrong results of a group are right for, in words; nothing if no guess is."""
    own = convlib.registry.get_backend(name.partition(":")[0])
    plain = [failure.check.case for failure in group if failure.check.case is not None and not failure.check.variant]
    if own.array_type != "numpy" or not is_exact(name):
        return ""
    said = [_explained(name, case) for case in plain[:TRIED]]
    every = dict.fromkeys(words for one in said for words in one)
    # Not of all calls: some are served in parts, whose arrays are not the caller's.
    return next((words for words in every if 2 * sum(words in one for one in said) > len(said)), "")


def _explained(name: str, case: Case) -> list[str]:
    """Return all that would explain the wrong result of one call."""
    arrays = list(case_arrays(case.name))
    try:
        found = [left] if (left := _unfilled(name, case, arrays)) else []
        got = call_case(case, arrays, name)[0]
    except Exception:  # the failure itself says more
        return []
    for words, expected in _guesses(case, arrays):
        try:
            right = expected()[tuple(map(slice, got.shape))]
        except Exception:  # such a call does not exist
            continue
        if right.shape == got.shape and np.array_equal(right, got, equal_nan=got.dtype.kind in "fc"):
            found.append(words)
    return found


def _unfilled(name: str, case: Case, arrays: list[Array]) -> str:
    """Say whether the result depends on what its array held before."""
    expected = call_case(case, arrays, ORACLE)[0]
    if "return_indices" in case.options or "out" not in inspect.signature(getattr(convlib, case.call)).parameters:
        return ""
    marked = [np.full(expected.shape, mark, expected.dtype) for mark in (55, 77)]
    for out in marked:
        call_case(case, arrays, name, out=out)
    if np.array_equal(marked[0], marked[1], equal_nan=expected.dtype.kind in "fc"):
        return ""
    if np.array_equal(marked[0], expected + np.asarray(55, expected.dtype)):
        return "the hook adds to its last array, which holds anything before: set it first"
    return "the hook leaves elements of its last array as they were: fill it all, in place, as in y[...] = ..."


def _guesses(case: Case, arrays: list[Array]) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Yield what a backend may have done instead, in words and as a call of the oracle."""
    function, options = getattr(convlib, case.call), case.options

    def oracle(given: Sequence[Array] = arrays, **changed: Any) -> Array:
        result = function(*given, *case.args, **{**options, **changed}, backend=ORACLE)
        return result[0] if isinstance(result, tuple) else result  # type: ignore[no-any-return]

    if case.call.startswith("conv"):
        if "grad" not in case.call and len(arrays) > 2:
            yield "the bias is not added", lambda: oracle(arrays[:2])
        flip = not options.get("flip", False)
        yield "right for a flipped kernel, but hooks correlate: they never flip w", lambda: oracle(flip=flip)
        yield "right for dilation=1: spec.dilation is not used", lambda: oracle(dilation=1)
        w = arrays[1]
        yield "right if the last two axes of w are swapped; they are (kh, kw)", lambda: oracle(
            [arrays[0], np.ascontiguousarray(w.swapaxes(-1, -2)), *arrays[2:]]
        )
        yield "right if the channels are in reverse order", lambda: oracle(
            [arrays[0], np.ascontiguousarray(w[:, ::-1]), *arrays[2:]]
        )
    if options.get("padding"):
        spec = describe(case.call, *case.arrays, *case.args, **options)[1]
        swapped = tuple(zip(spec.pad_hi, spec.pad_lo, strict=True))
        if spec.pad_lo != spec.pad_hi:
            yield "right if low and high padding are swapped", lambda: oracle(padding=swapped)
    if case.call.startswith("avg_pool"):
        counted = not options.get("count_include_pad", True)
        yield "right for the other value of count_include_pad", lambda: oracle(count_include_pad=counted)
        total = getattr(convlib, case.call.replace("avg", "sum"))
        plain = {k: v for k, v in options.items() if k not in ("count_include_pad", "divisor_override")}
        yield "the sum, not the average", lambda: total(*arrays, *case.args, **plain, backend=ORACLE)
    if case.call.startswith(("max_pool", "min_pool")) and "grad" not in case.call:
        best = np.maximum if case.call.startswith("max") else np.minimum
        yield "padding is taken for zeros, but it never wins", lambda: best(oracle(), np.zeros_like(oracle()))
    yield "zero everywhere", lambda: np.zeros_like(oracle())


# ------------------------------------------------------------------------------- lines to run


def reproduce(name: str, check: Check, setup: str = "") -> str:
    """Return three lines of Python that fail as a check does."""
    first = "import numpy as np, convlib" + (f", {setup}" if setup else "")
    case, numpy = check.case, convlib.registry.get_backend(name.partition(":")[0]).array_type == "numpy"
    if case is None or not numpy or check.variant in ("random", "finished"):
        return f"{first}\nconvlib.testing.check_backend({name!r}, select={check.name!r})"
    function = getattr(convlib, case.call)
    names = list(inspect.signature(function).parameters)[: len(case.arrays)]
    arguments = ", ".join([*names, *map(repr, case.args), *(f"{k}={v!r}" for k, v in case.options.items())])
    call = f"convlib.{case.call}({arguments}, backend={{!r}})".replace("inf,", "np.inf,")
    got = call.format(name)
    if check.variant == "out":
        got = call.format(name)[:-1] + f", out=np.full_like({call.format(ORACLE)}, 77))"
    elif check.variant == "plan":
        given = ", ".join(["x.shape", *names[1:], "dtype=x.dtype", *(f"{k}={v!r}" for k, v in case.options.items())])
        got = f"convlib.plan_{case.call}({given}, backend={name!r})(x)"
    shown = check.name if check.variant in VARIANTS else case.name
    exact = is_exact(name) and not case.call.startswith("lp_pool")
    compare, how = ("assert_array_equal", "strict=True") if exact else ("assert_allclose", "atol=1e-4, rtol=1e-4")
    return "\n".join([
        first, f"{', '.join(names)}{',' * (len(names) == 1)} = convlib.testing.case_arrays({shown!r})",
        f"np.testing.{compare}({got}, {call.format(ORACLE)}, {how})",
    ])  # fmt: skip
