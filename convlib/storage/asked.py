"""What is asked of a backend, and which arrays of it are copied."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..backends.base import Backend
from ..backends.base.arrays import channels_first
from ..backends.base.checks import Types
from ..backends.base.contract import Array
from ..spec import needs_padding
from .cutting import INDEX_BYTES, Item

#: Which array of a call is its result.
RESULTS = {
    "conv": "y", "conv_grad_input": "x", "conv_grad_weight": "w", "pool": "y", "pool_grad_input": "x", "unpool": "x",
}  # fmt: skip


class Call(NamedTuple):
    """What is asked of a backend."""

    backend: Backend
    op: str
    spec: Any
    types: Types  # as the backend would have them
    dtype: np.dtype[Any]  # what it shall compute in
    algorithm: str | None
    indices: bool = False  # of the extremes
    conjugated: str = ""  # which of x, y and w, if any
    shifted: str = ""  # which of x and w have zero points that are subtracted
    transposed: bool = False  # weights that are no adjoint's, as in `conv_transpose`

    @property
    def paired(self) -> bool:
        """Whether complex numbers go as pairs of floats, which all are copies."""
        asks = self.dtype.kind == "c" and self.op.startswith("conv")
        return asks and self.backend.complex_as_floats(self.op, self.spec, self.algorithm)

    def copied(self, x: Array = None, y: Array = None, w: Array = None, out: Array = None) -> str:
        """Name the arrays of which a hook sees a copy, if the call is served in one piece, result and padding included.

        Of the names the result's may be missing, and more than one array may stand for a name.  "p" is an input that is
        copied for its padding alone.
        """
        if self.paired:
            return "xyw"
        result = RESULTS[self.op]
        given = {"x": x, "y": y, "w": w}
        found = "".join(
            name for name in "xy"
            if name in self.shifted or not all(self._taken(a) and self._flat(a, name) for a in _listed(given[name]))
        )  # fmt: skip
        found += "w" * (w is not None and ("w" in self.shifted or not self._weights_taken(w)))
        kept = self.types.result == self.dtype and (out is None or (self._taken(out) and self._flat(out, result)))
        if result not in found and not (kept and (result == "w" or not self.backend._turns(self.spec))):
            found += result
        return found + self._padding(found)

    def assumed(self, storage: np.dtype[Any], given: Mapping[str, tuple[Array, ...]] | None = None) -> str:
        """Name the same where arrays that are not `given` are contiguous and of type `storage`."""
        if self.paired:
            return "xyw"
        given = given or {}
        seen = self.copied(**{place: arrays if len(arrays) > 1 else arrays[0] for place, arrays in given.items()})
        turned = self.backend._turns(self.spec)
        copied = {"x": turned, "y": turned} | ({"w": self.weights_turned} if self.op.startswith("conv") else {})
        copied |= dict.fromkeys(self.shifted, True)
        found = "".join(
            name for name in copied
            if (name in seen if name in given or name == RESULTS[self.op] else copied[name] or storage != self.dtype)
        )  # fmt: skip
        return found + self._padding(found)

    def _padding(self, found: str) -> str:
        if self.op.endswith("grad_input"):  # the gradient with its padding, which is folded beside the result
            return "p" * self.pads
        return "p" * ("x" not in found and RESULTS[self.op] != "x" and self.pads)

    @property
    def adds(self) -> bool:
        """Whether parts of a gradient add up to it, as padding repeats elements."""
        return self.op.endswith("grad_input") and self.pads

    @property
    def pads(self) -> bool:
        """Whether the padding holds what hooks do not know."""
        return needs_padding(self.spec)

    def padded_pieces(self, copied: str) -> tuple[int, int, int] | None:
        """Return what `Backend.padded_pieces` says where the input is copied for its padding alone."""
        alone = self.pads and copied == "p" and self.dtype == self.types.result
        return self.backend.padded_pieces(self.op, self.spec, self.dtype, self.algorithm) if alone else None

    def _taken(self, a: Array) -> bool:
        return self.backend.takes(a, self.dtype, self.spec)

    def _flat(self, a: Array, place: str) -> bool:
        """Whether a hook that wants its outputs along one axis sees them so."""
        if a is None or place != "y" or not (self.backend.flat and self.op.startswith("conv")):
            return True
        a = channels_first(a, self.spec)
        axes = [(size, step) for size, step in zip(a.shape[2:], a.strides[2:], strict=True) if size > 1]
        return all(outer == size * step for (_, outer), (size, step) in pairwise(axes))

    def _weights_taken(self, w: Array) -> bool:
        backend = self.backend
        lie = w.flags.c_contiguous or backend.strided_weights(self.spec, self.algorithm)
        plain = backend.strided or (lie and not self.spec.flip)
        return bool(w.dtype == self.dtype and plain and backend._aligned(w))

    @property
    def weights_turned(self) -> bool:
        """Whether weights without gaps are copied once more, into the order that hooks take."""
        backend, spec = self.backend, self.spec
        if backend.strided or not self.op.startswith("conv"):
            return False
        taken = backend.strided_weights(spec, self.algorithm)
        return bool(spec.flip or (spec.w_memory and not self.paired and not taken))

    def item(self) -> Item:
        """Return what an element of each copy takes."""
        weights = 1 + (self.op == "conv_grad_weight") + self.weights_turned
        indices = (2 * INDEX_BYTES if self.pads else INDEX_BYTES) if self.indices else 8 if self.op == "unpool" else 0
        if self.paired:  # four floats for two; a gradient is made of such
            return Item(self.dtype.itemsize, 2 * weights, indices)
        rounded = self.adds and self.types.result.kind not in "iu" and self.types.result != self.dtype
        return Item(self.dtype.itemsize, weights, indices, self.conjugated, rounded)


def _listed(a: Any) -> tuple[Any, ...]:
    return a if isinstance(a, tuple) else (a,)
