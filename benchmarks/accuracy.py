"""Measure the rounding errors that docs/use/accuracy.md tells, on this machine: ``python benchmarks/accuracy.py``.

With ``--json FILE`` they go into a file, too, which docs/make_figures.py reads.

Each figure is the largest error of an output, against sums in float64 (in long double for float64), in units of the
type's rounding (2**-24, 2**-53) times the sum of the absolute products of that output.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import convlib

#: The algorithms, and the largest kernel that each is measured with.
CONTENDERS = (
    ("naive", 3), ("cython", 31), ("im2col", 31), ("native:direct", 31), ("native:gemm", 31), ("native:winograd", 5),
    ("fft", 127),
)  # fmt: skip
KERNELS = (3, 5, 9, 31, 127)
KINDS = ("normal", "positive", "wide range")
Array = np.ndarray


def inputs(rng: np.random.Generator, kind: str, k: int) -> tuple[Array, Array]:
    """Return an input and weights; of a wide range, nine of ten elements lie within a factor of 700."""
    channels, size = (8, 24 + k) if k <= 9 else (1, 3 * k)
    shape, kernel = (1, channels, size, size), (channels, channels, k, k)
    if kind == "positive":
        return rng.random(shape), rng.random(kernel)
    x = np.exp(rng.normal(0, 2, shape)) if kind == "wide range" else rng.standard_normal(shape)
    return x, rng.standard_normal(kernel)


def exact(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the sums and the sums of absolute products, in a wider type, tap by tap."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    k, outs = w.shape[-1], x.shape[-1] - w.shape[-1] + 1
    total, absolute = np.zeros((2, 1, len(w), outs, outs), wide)
    for i, j in np.ndindex(k, k):
        part, taps = x[:, :, i : i + outs, j : j + outs].astype(wide), w[:, :, i, j].astype(wide)
        total += np.einsum("ncij,oc->noij", part, taps)
        absolute += np.einsum("ncij,oc->noij", np.abs(part), np.abs(taps))
    return total, absolute


def kernels(dtype: str) -> tuple[int, ...]:
    """Return the kernels to measure with."""
    return KERNELS if dtype == "float32" else KERNELS[:-1]  # long doubles are slow


def worst(dtype: str) -> dict[tuple[str, str], float]:
    """Return the largest error by algorithm and kind of input, over all kernels."""
    rng, found = np.random.default_rng(0), {}
    for k in kernels(dtype):
        for kind in KINDS:
            x, w = (a.astype(dtype) for a in inputs(rng, kind, k))
            total, absolute = exact(x, w)
            for contender, largest in CONTENDERS:
                if k > largest:
                    continue
                try:
                    y = convlib.conv2d(x, w, backend=contender)
                except convlib.UnsupportedError:
                    continue
                error = float((np.abs(y - total) / absolute).max() / (np.finfo(dtype).eps / 2))
                found[contender, kind] = max(error, found.get((contender, kind), 0.0))
    return found


def table(dtype: str, found: dict[tuple[str, str], float]) -> str:
    """Return the errors of a type as a table."""
    lines = [f"| {dtype} | {' | '.join(KINDS)} |", f"|---|{'---|' * len(KINDS)}"]
    for contender, largest in CONTENDERS:
        figures = [f"{found[contender, kind]:.1f}" if (contender, kind) in found else "" for kind in KINDS]
        if any(figures):
            most = min(largest, max(kernels(dtype)))
            lines.append(f"| `{contender}`, to {most}×{most} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print one table per type."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures, too")
    options = parser.parse_args()
    found = {dtype: worst(dtype) for dtype in ("float32", "float64")}
    for dtype, errors in found.items():
        print(f"\n{table(dtype, errors)}", end="")
    if options.json:
        isa = convlib.show_config("dict")["engine"]["instruction_set"]
        data = {
            "created": datetime.now(UTC).date().isoformat(), "instruction_set": isa, "numpy": np.__version__,
            "errors": {
                dtype: [[*key, round(error, 2)] for key, error in errors.items()] for dtype, errors in found.items()
            },
        }  # fmt: skip
        text = json.dumps(data, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
