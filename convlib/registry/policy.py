"""The built-in backends and the automatic policy: one literal table each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import BackendError
from ..spec import ConvSpec, WindowSpec

#: Every built-in backend, in the order in which they are listed and tried: name, where it lives, what it is.
BUILTINS: tuple[tuple[str, str, str], ...] = (
    ("native", "convlib.backends.native:NativeBackend", "SIMD kernels in C with a thread pool of their own"),
    ("im2col", "convlib.backends.im2col:Im2colBackend", "blocked im2col packing and BLAS"),
    ("fft", "convlib.backends.fft:FftBackend", "overlap-save over scipy.fft: large kernels"),
    ("cython", "convlib.backends.cython:CythonBackend", "typed Cython loops: every operator, every real dtype"),
    ("cupy", "convlib.backends.cupy:CupyBackend", "CuPy arrays on a GPU: cuDNN, cuBLAS and own kernels"),
    ("dask", "convlib.dask:backend", "Dask arrays, lazily: exact blocks, out of core or over a cluster"),
    ("naive", "convlib.backends.naive:NaiveBackend", "plain Python loops from the formula: the oracle"),
)


def names() -> tuple[str, ...]:
    """Return the backends of the automatic policy, each once."""
    return tuple(dict.fromkeys(rule.backend for rule in POLICY))


class Rule(NamedTuple):
    """One line of the automatic policy."""

    backend: str
    op: str
    applies: Callable[[Any, np.dtype[Any]], bool]
    reason: str
    condition: str = "always"  # what `applies` asks, in words

    def __str__(self) -> str:
        return f"{self.backend} for {'everything' if self.op == '*' else self.op}, {self.condition}"


def _always(spec: WindowSpec, dtype: np.dtype[Any]) -> bool:
    return True


def _wide(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fc" and spec.ocg >= 4 and spec.macs >= 16_000


_WIDE = "floats or complex numbers, ocg >= 4, at least 16 000 multiply-adds"


def _wide_strided(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    phases, pixels = spec.phase_count, spec.n * spec.out_count
    small = spec.icg < 8 or (phases >= 64 and phases * phases >= 32 * pixels)
    return max(spec.stride) > 1 and small and _wide(spec, dtype)


_WIDE_STRIDED = (
    f"a stride above 1, icg < 8 or at least 64 phases whose square is 32 times the pixels of grad_y or more, {_WIDE}"
)


def _transforms_pay(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    per_transform = spec.taps_count * spec.icg * spec.ocg / max(1, spec.icg + spec.ocg)
    if dtype.kind not in "fc" or per_transform < 32:
        return False
    sums = _predicted("native", spec, dtype)
    if sums is None:
        sums = 1e-10 * spec.macs  # what BLAS or compiled loops take at best
    possible = sums > max(3e-4 * spec.groups, 1.25 * least_of_transforms(spec, dtype))
    transforms = _predicted("fft", spec, dtype) if possible else None
    # Threads share sums better than transforms; the choice, and so the bits, depend on no number of threads.
    return transforms is not None and 1.25 * transforms < sums


def least_of_transforms(spec: ConvSpec, dtype: np.dtype[Any]) -> float:
    """Return seconds that `fft` predicts at least: of the products of channels, however tiles are cut.

    By it most layers are settled without loading that backend, which takes as long as hundreds of their calls.
    """
    grid = math.prod((out - 1) * stride + 1 for out, stride in zip(spec.out_size, spec.stride, strict=True))
    return 1.3e-10 * dtype.itemsize * spec.n * spec.groups * spec.icg * spec.ocg * grid


def _predicted(name: str, spec: ConvSpec, dtype: np.dtype[Any]) -> float | None:
    """Return what a backend predicts of a convolution, in seconds; None where it does not serve it."""
    from .plugins import get_backend  # which reads the table below

    try:
        backend = get_backend(name)
    except BackendError:
        return None
    return backend.predicted("conv", spec, dtype) if backend.supports("conv", spec, dtype) is None else None


_TRANSFORMS_PAY = (
    "floats or complex numbers, taps * icg * ocg / (icg + ocg) >= 32, predicted to take four fifths of the time of "
    "`native` or less, under the instruction set in use"
)


def _many_phases(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fc" and spec.phase_count > 8 and spec.phase_count * 8000 > spec.macs


_MANY_PHASES = (
    "floats or complex numbers, more than 8 phases (the residues of the stride that taps reach), fewer than 8000 "
    "multiply-adds per phase"
)


#: The automatic policy: the first rule that applies and whose backend supports the call wins.  A number is where
#: the two contenders took the same time when measured on one machine with two cores.
POLICY: tuple[Rule, ...] = (
    Rule("fft", "conv", _transforms_pay, "a large window: transforms beat sums", _TRANSFORMS_PAY),
    Rule("native", "conv", _always, "SIMD kernels that pack while they multiply"),
    Rule("cython", "conv_grad_input", _many_phases, "fewer than 8000 products per phase of the stride: plain loops",
         _MANY_PHASES),
    Rule("im2col", "conv_grad_input", _wide_strided, "small phases: one GEMM for all of them, then col2im",
         _WIDE_STRIDED),
    Rule("native", "conv_grad_input", _always, "the forward kernels over grad_y, no zero is inserted"),
    Rule("native", "conv_grad_weight", _always, "one GEMM along the pixels, which reads the image in place"),
    Rule("native", "pool", _always, "SIMD kernels, a few operations per output whatever the window"),
    Rule("native", "pool_grad_input", _always, "each plane is filled by one thread, row by row"),
    Rule("native", "unpool", _always, "each plane is filled by one thread"),
    Rule("im2col", "conv", _wide, "4 or more output channels share each packed column: BLAS pays", _WIDE),
    Rule("im2col", "conv_grad_input", _wide, "the same GEMM, transposed", _WIDE),
    Rule("im2col", "conv_grad_weight", _wide, "the same GEMM, transposed", _WIDE),
    Rule("cython", "*", _always, "compiled loops without packing"),
    Rule("im2col", "*", _always, "NumPy and BLAS, where loops are not compiled"),
    Rule("naive", "*", _always, "serves everything that no faster backend does"),
)  # fmt: skip
