"""Decisions as data, with the reasons of all backends that were not chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .. import storage
from ..backends.base import Implementation
from ..spec import WindowSpec
from .answers import Verdict, verdicts
from .plugins import answer
from .selection import Choice, parse, select


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
        What decided: "argument", "use_backend", "CONVLIB_BACKEND", "array type" or "automatic".
    reason : str
        Why, in words.
    workspace_nbytes : int
        Scratch memory of the call, in bytes.
    others : tuple of Verdict
        What every other backend says.
    implementations : tuple of Implementation
        What the backend says of each of its implementations: name, refusal or None, predicted seconds, scratch.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        name = self.backend if self.algorithm is None else f"{self.backend}:{self.algorithm}"
        lines = [
            f"{self.op} {self.spec.x_shape} {self.dtype}: {name} (decided by: {self.source})",
            f"  because: {self.reason}",
            f"  scratch: {self.workspace_nbytes} bytes",
        ]
        lines += [_line(self.backend, found) for found in self.implementations]
        lines += [f"  {'could' if v.serves else 'not'} {v.backend}: {v.reason}" for v in self.others]
        return "\n".join(lines)


def _line(backend: str, found: Implementation) -> str:
    if found.refusal is not None:
        return f"  not {backend}:{found.name}: {found.refusal}"
    predicted = f"{1e6 * found.seconds:.1f} us predicted on one thread"
    return f"  could {backend}:{found.name}: {predicted}, {found.scratch} bytes of scratch"


def explain_choice(
    op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any], requested: str | None
) -> Explanation:
    """Return the decision for a call on arrays of type `element` that computes in `dtype`, as data.

    They are NumPy arrays, or what the backend named takes.
    """
    array_type = "numpy" if requested is None else parse(requested)[0].array_type
    return explained(op, spec, element, dtype, select(op, spec, dtype, requested, array_type))


def explained(
    op: str, spec: WindowSpec, element: np.dtype[Any], dtype: np.dtype[Any], choice: Choice, *,
    prepared: bool = False,
) -> Explanation:  # fmt: skip
    """Return a decision already taken, as data."""
    nbytes = answer(
        choice.backend, "workspace", int,
        lambda: storage.scratch(choice.backend, op, spec, element, dtype, choice.named, prepared=prepared),
    )  # fmt: skip
    found = answer(
        choice.backend, "implementations", tuple,
        lambda: choice.backend.implementations(op, spec, dtype, prepared),
    )  # fmt: skip
    return Explanation(
        op, str(dtype), spec, choice.backend.name, choice.algorithm, choice.source, choice.reason, int(nbytes),
        verdicts(op, spec, dtype, choice.backend.array_type, choice.backend.name), found,
    )  # fmt: skip
