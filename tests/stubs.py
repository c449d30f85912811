"""Write convlib/functional/__init__.pyi: ``PYTHONPATH=. python tests/stubs.py``.

The public functions for one, two and three axes are made of one function each, which type checkers cannot follow.  The
stub gives each its own signature, as it is at run time, and says which array type comes back for which goes in.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import convlib
from convlib import functional

FILE = Path(functional.__file__).with_suffix(".pyi")

HEAD = '''
# Written by tests/stubs.py from the functions themselves.
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..config import Setting
from ..registry import Explanation
from .kept import PlanCache
from .plan import ConvPlan as ConvPlan
from .stream import ConvStream as ConvStream

class _Lazy(Protocol):  # a Dask array
    @property
    def chunks(self) -> Any: ...
    def compute(self) -> Any: ...

class _OnDevice(Protocol):  # a CuPy array
    @property
    def device(self) -> Any: ...
    def get(self) -> Any: ...

Array: TypeAlias = NDArray[Any]
ArrayLike: TypeAlias = Any
_Integers: TypeAlias = NDArray[np.integer[Any] | np.bool]
_S = TypeVar("_S", bound=np.generic)
_F = TypeVar("_F", np.float16, np.float32, np.float64, np.complex64, np.complex128)
_D = TypeVar("_D", bound=_Lazy | _OnDevice)
'''

#: Arrays whose types make the type of the result.
TYPED = ("x", "w", "grad_y", "image", "kernel", "cols", "y", "bias")
CONV = r"conv\d|conv_transpose|filter2d|sum_pool|col2im"


def parameters(function, changes):
    """Return the parameters of a function as text, some with other types than they have."""
    parts, star = [], False
    for name, p in inspect.signature(function).parameters.items():
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        kind = changes.get(name, p.annotation)
        default = "" if p.default is p.empty or kind.endswith("!") else f" = {p.default!r}".replace("'", '"')
        star = star or stars == "*"
        parts.append(f"{stars}{name}: {kind.rstrip('!')}{default}")
    return parts


def written(name, changes, result, overloaded):
    """Return a declaration, its lines broken where they must be."""
    parts = ", ".join(parameters(getattr(functional, name), changes))
    line = f"def {name}({parts}) -> {result}: ..."
    if len(line) > 120:
        body = textwrap.fill(parts, 115, break_long_words=False, break_on_hyphens=False)
        line = f"def {name}(\n{textwrap.indent(body, '    ')},\n) -> {result}: ..."
    return ("@overload\n" if overloaded else "") + line


def cases(name):
    """Yield (types of parameters, result) of the overloads of a function, the most telling first."""
    signature = inspect.signature(getattr(functional, name))
    arrays = [p for p, q in signature.parameters.items() if q.annotation.startswith("ArrayLike") and p in TYPED]
    plain = {"out_dtype": "None"} if "out_dtype" in signature.parameters else {}

    def typed(kind):
        return {p: f"{kind} | None" if p == "bias" else kind for p in arrays} | plain

    first = {arrays[0]: "_D"}
    if "return_indices" in signature.parameters:
        for types, result in ((typed("NDArray[_S]"), "NDArray[_S]"), (first, "_D")):
            places = "_D" if result == "_D" else "NDArray[np.int64]"
            yield types | {"return_indices": "Literal[False]"}, result
            yield types | {"return_indices": "Literal[True]!"}, f"tuple[{result}, {places}]"
        yield {}, "Any"
        return
    if re.search("max_|min_|im2col", name) and not name.endswith("grad_input"):
        yield typed("NDArray[_S]"), "NDArray[_S]"
    else:
        yield typed("NDArray[_F]"), "NDArray[_F]"
    if re.match(CONV, name):
        yield typed("_Integers"), "NDArray[np.int64]"
    yield first, "_D"
    yield {}, "Array"


def text():
    """Return the whole stub."""
    names = [name for name in functional.__all__ if not isinstance(getattr(functional, name), type)]
    blocks = []
    for name in names:
        result = inspect.signature(getattr(functional, name)).return_annotation.replace("config.", "")
        if result not in ("Array", "Any") or name == "requantize":
            blocks.append(written(name, {}, result, False))
        else:
            blocks += [written(name, changes, result, True) for changes, result in cases(name)]
    listed = textwrap.fill(", ".join(f'"{name}"' for name in functional.__all__), 116)
    public = f"__all__ = [\n{textwrap.indent(listed, '    ')},\n]  # fmt: skip"
    return HEAD.lstrip() + "\n" + public + "\n\n" + "\n".join(blocks) + "\n"


if __name__ == "__main__":
    assert convlib.functional is functional
    FILE.write_text(text())
