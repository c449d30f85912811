"""Decisions as data: what serves a call, at what cost, by which rule, and what decided against all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes, storage
from ..backends.base import Implementation
from ..backends.base.contract import Array
from ..spec import ConvSpec, PoolSpec, WindowSpec
from .answers import Verdict, verdicts
from .plugins import answer
from .selection import Choice, decided, parse, select


class Asked(NamedTuple):
    """What a call is, beside its operation and spec."""

    function: str = ""  # public name
    shapes: Mapping[str, tuple[int, ...]] = {}
    problem: str | None = None
    places: Mapping[str, str] = {}  # argument -> x, y or w of the spec
    arrays: Mapping[str, tuple[Array, ...]] = {}  # those that were given, by place
    conjugated: str = ""  # the place of what complex gradients conjugate
    reshaped: str = ""  # the place of weights whose axes only a copy joins
    quantised: storage.Quantised | None = None  # what is subtracted from integers, and the type of the result
    kinds: tuple[np.dtype[Any], np.dtype[Any]] | None = None  # element types of x and w, of a convolution
    bias: Array | None = None  # if it was given


@dataclass(frozen=True)
class Copy:
    """An array that a call copies before its hooks see it, or a result that is not theirs.

    Attributes
    ----------
    array : str
        The argument, or "result".
    reason : str
        Why.
    parts : int
        In how many parts, one after another.
    nbytes : int
        Bytes at a time, at most.
    """

    array: str
    reason: str
    parts: int
    nbytes: int


@dataclass(frozen=True)
class Explanation:
    """Which backend serves a call, by which algorithm, and why not the others; ``str()`` gives readable text.

    Attributes
    ----------
    op, dtype : str
        The operation and the type it computes in.
    spec : WindowSpec
        Sizes and options, normalised.
    backend, algorithm : str or None
        What was chosen.
    source : str
        What decided: "argument", "use_backend", "CONVLIB_BACKEND", "array type", "measured" or "automatic".
    reason : str
        Why, in words.
    workspace_nbytes : int
        Scratch memory of the call, in bytes.
    others : tuple of Verdict
        What every other backend says, and which rule decided against it.
    implementations : tuple of Implementation
        What the backend says of each of its implementations: name, refusal or None, predicted seconds, scratch.
    function : str
        The public function.
    shapes : dict of str to tuple of int
        Shapes of the arrays, by argument.
    problem : str or None
        The problem string that says this call; None if there is none.
    rule : str
        The line of the automatic policy that decided, with its condition in words, or what else did.
    copies : tuple of Copy
        The copies that the call makes.
    predicted, measured : float or None
        Seconds: predicted by the backend for one thread; measured when this machine was tuned.
    error_bound : float
        What bounds the error of a result, as a share of the largest sum of absolute products; 0 if it is exact.
    determinism : str
        What holds for the bits of the result.
    measurements : dict of str to float, or None
        Seconds of all that were measured when this machine was tuned.
    """

    op: str
    dtype: str
    spec: WindowSpec
    backend: str
    algorithm: str | None
    source: str
    reason: str
    workspace_nbytes: int
    others: tuple[Verdict, ...]
    implementations: tuple[Implementation, ...] = ()
    function: str = ""
    shapes: Mapping[str, tuple[int, ...]] | None = None
    problem: str | None = None
    rule: str = ""
    copies: tuple[Copy, ...] = ()
    predicted: float | None = None
    measured: float | None = None
    error_bound: float = 0.0
    determinism: str = ""
    measurements: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        name = self.backend if self.algorithm is None else f"{self.backend}:{self.algorithm}"
        what = ", ".join(f"{array} {shape}" for array, shape in (self.shapes or {"x": self.spec.x_shape}).items())
        lines = [
            f"{self.function or self.op} of {what} in {self.dtype}: {name} (decided by: {self.source})",
            f"  rule:    {self.rule}",
            f"  because: {self.reason}",
            f"  problem: {self.problem or 'no problem string can say it'}",
            f"  time:    {self._time()}",
        ]
        for copy in self.copies:
            parts = f" in {copy.parts} parts" if copy.parts > 1 else ""
            lines.append(f"  copy:    {copy.array}{parts}, {_bytes(copy.nbytes)} at a time: {copy.reason}")
        bound = f"at most {self.error_bound:.1e} times the largest sum of absolute products"
        lines += [] if self.copies else ["  copies:  none"]
        lines += [
            f"  scratch: {_bytes(self.workspace_nbytes)}",
            f"  error:   {bound if self.error_bound else 'none, the result is exact'}",
            f"  bits:    {self.determinism or 'it says nothing of its bits'}",
        ]
        lines += [self._line(found) for found in self.implementations]
        lines += [_verdict(verdict) for verdict in self.others]
        return "\n".join(lines)

    def _time(self) -> str:
        said = [] if self.predicted is None else [f"{_seconds(self.predicted)} predicted on one thread"]
        said += [] if self.measured is None else [f"{_seconds(self.measured)} measured on this machine"]
        return ", ".join(said) or "neither predicted nor measured"

    def _line(self, found: Implementation) -> str:
        if found.refusal is not None:
            return f"  not {self.backend}:{found.name}: {found.refusal}"
        word = "chosen" if found.name in (self.algorithm or "").split("+") else "could"
        took = (self.measurements or {}).get(f"{self.backend}:{found.name}")
        measured = "" if took is None else f"{_seconds(took)} measured, "
        return (
            f"  {word} {self.backend}:{found.name}: {measured}{_seconds(found.seconds)} predicted on one thread, "
            f"{_bytes(found.scratch)} of scratch"
        )


def _verdict(verdict: Verdict) -> str:
    rule = f"; {verdict.rule}" if verdict.rule else ""
    return f"  {'could' if verdict.serves else 'not'} {verdict.backend}: {verdict.reason}{rule}"


def _seconds(seconds: float) -> str:
    size, unit = (1e6, "us") if seconds < 1e-3 else (1e3, "ms") if seconds < 1 else (1, "s")
    return f"{seconds * size:.4g} {unit}"


def _bytes(nbytes: int) -> str:
    if nbytes < 10_000:
        return f"{nbytes} bytes"
    return f"{nbytes / 1024:.1f} KiB" if nbytes < 1 << 20 else f"{nbytes / (1 << 20):.1f} MiB"


def explain_choice(
    op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any], requested: str | None,
    array_type: str | None = None, asked: Asked | None = None,
) -> Explanation:  # fmt: skip
    """Return the decision for a call on arrays of type `element` that computes in `dtype`, as data.

    They are NumPy arrays, or what the backend named takes, unless `array_type` names their kind.
    """
    if array_type is None:
        array_type = "numpy" if requested is None else parse(requested)[0].array_type
    return explained(op, spec, element, dtype, select(op, spec, dtype, requested, array_type), asked=asked)


def explained(
    op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any], choice: Choice, *,
    prepared: bool = False, asked: Asked | None = None,
) -> Explanation:  # fmt: skip
    """Return a decision already taken, as data."""
    backend, asked = choice.backend, asked or Asked()
    way = None
    if isinstance(spec, ConvSpec) and dtype == dtypes.INT64 and asked.kinds is not None:
        way = storage.way(backend, spec, asked.kinds, asked.bias, asked.quantised, choice.named, prepared)
    if way is not None:  # the arrays are taken as they are
        choice = replace(choice, algorithm=way.name, reason="integers of 8 bits as they are, summed in int32")
    nbytes = way.scratch if way is not None else answer(
        backend, "workspace", int,
        lambda: storage.scratch(
            backend, op, spec, element, dtype, choice.named, prepared=prepared, quantised=asked.quantised,
            arrays=asked.arrays,
        ),
    )  # fmt: skip
    found = answer(
        backend, "implementations", tuple, lambda: backend.implementations(op, spec, dtype, prepared)
    )  # fmt: skip
    found = found if way is None else (way, *found)
    predicted = next((row.seconds for row in found if row.name == choice.algorithm and row.refusal is None), None)
    others = verdicts(op, spec, dtype, backend.array_type, backend.name)
    rule, against = decided(op, spec, dtype, choice)
    copies = _copies(op, spec, element, dtype, choice, asked) if way is None else ()
    return Explanation(
        op, str(dtype if way is None else dtypes.INT32), spec, backend.name, choice.algorithm, choice.source,
        choice.reason, int(nbytes),
        tuple(replace(other, rule=against(other)) for other in others), found,
        function=asked.function, shapes=dict(asked.shapes) or None, problem=asked.problem, rule=rule,
        copies=copies, predicted=predicted, measured=choice.measured,
        error_bound=_error_bound(op, spec, element, dtype), determinism=backend.determinism,
        measurements=dict(choice.ranking) or None,
    )  # fmt: skip


def _copies(
    op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any], choice: Choice, asked: Asked
) -> tuple[Copy, ...]:
    copies = storage.copies(
        choice.backend, op, spec, element, dtype, choice.named, asked.arrays, asked.conjugated, asked.reshaped,
        asked.quantised,
    )  # fmt: skip
    names: dict[str, list[str]] = {}
    for argument, place in asked.places.items():
        names.setdefault(place, []).append(argument)
    return tuple(
        Copy(" and ".join(names.get(copy.array, ["result"])), copy.reason, copy.parts, copy.nbytes) for copy in copies
    )


def _error_bound(op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any]) -> float:
    if dtype.kind not in "fc" or op in ("im2col",):
        return 0.0
    if isinstance(spec, ConvSpec):
        count = storage.terms(op, spec) * (2 if dtype.kind == "c" else 1)  # a part sums both kinds of products
    elif isinstance(spec, PoolSpec) and (spec.kind in ("max", "min") and op == "pool"):
        return 0.0
    else:
        count = spec.out_count if op == "unpool" else spec.taps_count
    half = float(np.finfo(np.float16).eps) if element == dtypes.FLOAT16 else 0.0  # the result is rounded once more
    return dtypes.error_bound(count, dtype) + half
