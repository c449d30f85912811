"""Run the conformance cases through a backend."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convlib

from ..errors import ConvlibError, UnsupportedError
from .cases import CONVS, Case, cases

Array = NDArray[Any]
ORACLE = "naive"

#: Operators whose results are sums of products: an inexact backend may round them.
_SUMS = ("conv", "filter2d", "avg_pool", "sum_pool", "lp_pool", "adaptive_avg", "global_avg", "col2im")


class ConformanceError(ConvlibError, AssertionError):
    """A backend broke the conformance suite; `report` holds the details."""

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = [f"  {name}: {reason}" for name, reason in report.failed]
        super().__init__(f"backend {report.backend!r} fails {len(lines)} checks:\n" + "\n".join(lines))


@dataclass
class Report:
    """What the suite found.

    Attributes
    ----------
    backend : str
        Its name.
    passed : int
        Number of checks that held.
    failed, skipped : list of (str, str)
        Check and reason; skipped are calls that the backend says it does not support.
    """

    backend: str
    passed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.backend}: {self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def check_backend(
    name: str, *, strict: bool = True, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Run the conformance suite on a backend.

    Parameters
    ----------
    name : str
        A backend's name, or "name:algorithm".
    strict : bool, default True
        Raise if anything fails; otherwise only report it.
    progress : callable, optional
        Called with (checks done, checks in all).

    Returns
    -------
    report : Report
        Counts and reasons.

    Raises
    ------
    ConformanceError
        If a check fails, or if the backend supports no case at all.
    BackendError
        If the backend is unknown or not available.

    Examples
    --------
    >>> from convlib.testing import check_backend
    >>> check_backend("cython").failed
    []
    """
    checks = list(all_checks(_is_exact(name)))
    report = Report(name)
    for done, (check, run) in enumerate(checks, start=1):
        try:
            reason = run(name)
        except UnsupportedError as error:
            report.skipped.append((check, str(error)))
            continue
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            report.passed += 1
        else:
            report.failed.append((check, reason))
        if progress is not None:
            progress(done, len(checks))
    if report.passed == 0:
        report.failed.append(("supports", "the backend supports none of the cases"))
    if strict and report.failed:
        raise ConformanceError(report)
    return report


Check = Callable[[str], str | None]


def _is_exact(name: str) -> bool:
    base, colon, algorithm = name.partition(":")
    backend = convlib.registry.get_backend(base)
    return backend.exact_algorithm(algorithm) if colon else backend.exact


def all_checks(exact: bool = True) -> Iterator[tuple[str, Check]]:
    """Yield (name, check) over the whole suite; a check takes a backend's name and returns what is wrong, or None."""
    for case in cases():
        yield case.name, lambda backend, case=case: _agrees(case, backend, exact)  # type: ignore[misc]
    for case in _varied():
        for kind, change in VARIANTS.items():
            yield f"{case.name}/{kind}", lambda backend, case=case, change=change: _agrees(case, backend, exact, change)  # type: ignore[misc]
        yield f"{case.name}/out", lambda backend, case=case: _fills_out(case, backend)  # type: ignore[misc]
    for case in RANDOM:
        yield f"{case.name}/random", lambda backend, case=case: _accurate(case, backend)  # type: ignore[misc]
    for name, refusal in REFUSALS.items():
        yield f"refuses-{name}", lambda backend, refusal=refusal: _refuses(refusal, backend)  # type: ignore[misc]
    yield "translation-equivariance", _equivariant
    yield "locality", _local
    yield "non-finite-stays-local", _non_finite


# --------------------------------------------------------------------------------------------------
# Data
# --------------------------------------------------------------------------------------------------


def integer_array(shape: tuple[int, ...], dtype: Any, seed: int) -> Array:
    """Return small integers as `dtype`: sums of their products are exact in every floating type from float16 up."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    low = 0 if kind == "u" else -3
    if kind == "c":
        return (rng.integers(-3, 4, shape) + 1j * rng.integers(-3, 4, shape)).astype(dtype)
    return rng.integers(low, 4, shape).astype(dtype)


def error_bound(terms: int, dtype: Any) -> float:
    """Return the relative error that a sum of `terms` products may have, as a share of the sum of absolute products.

    ``(terms + 16) * eps`` bounds summation in any order (Higham, Accuracy and Stability of Numerical Algorithms, section
    4.2); the suite measures it against the largest sum of absolute products of the call, which gives transforms
    (Winograd, Fourier) the room that their analysis asks for.
    """
    return (terms + 16) * float(np.finfo(dtype).eps)


def arrays_of(case: Case) -> list[Array]:
    """Return the arrays of a case, always the same ones."""
    seed = zlib.crc32(case.name.encode())
    made = []
    for position, shape in enumerate(case.arrays):
        dtype = case.dtypes[min(position, len(case.dtypes) - 1)]
        made.append(_filled(shape, dtype, seed + position, case.fill))
    return made


def _filled(shape: tuple[int, ...], dtype: str, seed: int, fill: str) -> Array:
    a = integer_array(shape, dtype, seed)
    rng = np.random.default_rng(seed + 99)
    if fill == "nan":
        a[rng.random(shape) < 0.1] = np.nan
    elif fill == "inf":
        a[rng.random(shape) < 0.1] = np.inf
        a[rng.random(shape) < 0.1] = -np.inf
    elif fill == "ties":
        a[...] = rng.integers(0, 2, shape)
    elif fill == "extremes":
        info = np.finfo(a.dtype) if a.dtype.kind == "f" else np.iinfo(a.dtype)  # type: ignore[type-var]
        a[rng.random(shape) < 0.4] = info.min
        a[rng.random(shape) < 0.1] = info.max
    return a


# --------------------------------------------------------------------------------------------------
# Checks
# --------------------------------------------------------------------------------------------------


def _call(case: Case, arrays: list[Array], backend: str, **more: Any) -> tuple[Array, ...]:
    result = getattr(convlib, case.call)(*arrays, *case.args, **case.options, **more, backend=backend)
    return result if isinstance(result, tuple) else (result,)


@lru_cache(maxsize=1024)
def _truth(name: str) -> tuple[Array, ...]:
    case = next(case for case in (*cases(), *RANDOM) if case.name == name)
    return _call(case, arrays_of(case), ORACLE)


def _agrees(
    case: Case, backend: str, exact: bool, change: Callable[[Array], Array] | None = None
) -> str | None:
    arrays = arrays_of(case)
    if change is not None:
        arrays = [change(a) for a in arrays]
    before = [a.copy() for a in arrays]
    got = _call(case, arrays, backend)
    for a, b in zip(arrays, before, strict=True):
        if not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"):
            return "an input was changed"
    # Roots are irrational: lp pooling is exact for no one.
    rounded = (not exact and case.call.startswith(_SUMS)) or case.call.startswith("lp_pool")
    # A broadcast array repeats one element: its truth is its own.
    expected = _truth(case.name) if change is not _broadcast else _call(case, before, ORACLE)
    return _compare(got, expected, rounded)


def _compare(got: tuple[Array, ...], expected: tuple[Array, ...], rounded: bool) -> str | None:
    if len(got) != len(expected):
        return f"{len(got)} results instead of {len(expected)}"
    for part, (a, b) in enumerate(zip(got, expected, strict=True)):
        which = "indices" if part else "result"
        if a.shape != b.shape:
            return f"{which}: shape {a.shape}, expected {b.shape}"
        if a.dtype != b.dtype:
            return f"{which}: dtype {a.dtype}, expected {b.dtype}"
        if rounded and a.dtype.kind in "fc":
            scale = float(np.abs(b[np.isfinite(b)]).max(initial=1.0))
            same = np.isclose(a, b, rtol=0, atol=scale * 512 * float(np.finfo(a.dtype).eps), equal_nan=True)
        else:
            same = (a == b) | ((a != a) & (b != b))
        if not same.all():
            place = tuple(int(i) for i in np.argwhere(~same)[0])
            return f"{which}: {int((~same).sum())} of {same.size} differ, first at {place}: {a[place]}, expected {b[place]}"
    return None


def _fills_out(case: Case, backend: str) -> str | None:
    if "return_indices" in case.options:
        return None
    (expected,) = _truth(case.name)
    for out in (np.empty_like(expected), np.empty((*expected.shape, 2), expected.dtype)[..., 0]):
        out.fill(77)
        (got,) = _call(case, arrays_of(case), backend, out=out)
        if got is not out:
            return "the result is not the array given as out"
        reason = _compare((out,), (expected,), rounded=not _is_exact(backend))
        if reason is not None:
            return f"out: {reason}"
    return None


def _accurate(case: Case, backend: str) -> str | None:
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    arrays = [rng.standard_normal(shape).astype(case.dtypes[0]) for shape in case.arrays]
    wide = [a.astype(np.float64) for a in arrays]
    (truth,) = _call(case, wide, ORACLE)
    (size,) = _call(case, [np.abs(a) for a in wide], ORACLE)
    (got,) = _call(case, arrays, backend)
    terms = int(np.prod(case.arrays[1][1:])) if len(case.arrays) > 1 else 64
    bound = error_bound(terms, case.dtypes[0]) * float(size.max())
    worst = float(np.abs(got - truth).max())
    return None if worst <= bound else f"error {worst:.3g} exceeds the bound {bound:.3g}"


def _refuses(refusal: tuple[type[Exception], Callable[[str], Any]], backend: str) -> str | None:
    kind, call = refusal
    try:
        call(backend)
    except UnsupportedError:
        raise
    except kind as error:
        return None if str(error) else "the error has no message"
    except Exception as error:
        return f"{type(error).__name__} instead of {kind.__name__}: {error}"
    return f"no error; expected {kind.__name__}"


def _equivariant(backend: str) -> str | None:
    """Shift the input, and the output shifts along (stride 1, away from the edges)."""
    w = integer_array((2, 1, 3, 3), "float32", 5)
    patch = integer_array((1, 1, 5, 5), "float32", 6)
    results = []
    for row, column in ((4, 4), (9, 6)):
        x = np.zeros((1, 1, 20, 20), np.float32)
        x[:, :, row : row + 5, column : column + 5] = patch
        y = convlib.conv2d(x, w, padding=1, backend=backend)
        results.append(y[:, :, row - 2 : row + 7, column - 2 : column + 7])
    return _compare((results[1],), (results[0],), rounded=not _is_exact(backend))


def _local(backend: str) -> str | None:
    """Change one input element, and only the outputs whose window holds it change."""
    x = integer_array((1, 1, 16, 18), "float32", 7)
    w = np.ones((1, 1, 3, 5), np.float32)
    before = convlib.conv2d(x, w, backend=backend)
    x[0, 0, 8, 9] += 64
    change = convlib.conv2d(x, w, backend=backend) - before
    expected = np.zeros_like(before)
    expected[0, 0, 6:9, 5:10] = 64
    return _compare((change,), (expected,), not _is_exact(backend))


def _non_finite(backend: str) -> str | None:
    """A NaN or infinity reaches the outputs whose window holds it, and no others."""
    x = integer_array((1, 8, 20, 22), "float32", 8)
    x[0, 3, 9, 10], x[0, 5, 2, 3] = np.nan, np.inf
    w = np.abs(integer_array((8, 8, 3, 3), "float32", 9)) + 1
    y = convlib.conv2d(x, w, padding=1, backend=backend)
    touched = np.zeros(y.shape, bool)
    touched[:, :, 8:11, 9:12] = touched[:, :, 1:4, 2:5] = True
    if not np.isfinite(y[~touched]).all():
        return "a non-finite value reached outputs whose window does not hold it"
    return "a non-finite value was lost" if np.isfinite(y[touched]).any() else None


# --------------------------------------------------------------------------------------------------
# Variants, random cases, refusals
# --------------------------------------------------------------------------------------------------


def _read_only(a: Array) -> Array:
    a = a.copy()
    a.flags.writeable = False
    return a


def _gaps(a: Array) -> Array:
    wide = np.full(tuple(2 * size for size in a.shape), 99).astype(a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def _misaligned(a: Array) -> Array:
    buffer = np.empty(a.nbytes + 1, np.uint8)[1:]
    view = buffer.view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _broadcast(a: Array) -> Array:
    return np.broadcast_to(a[:1, :1, ...], a.shape) if a.ndim > 1 else a


VARIANTS: dict[str, Callable[[Array], Array]] = {
    "read-only": _read_only,
    "fortran": np.asfortranarray,
    "gaps": _gaps,
    "negative-strides": lambda a: a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim],
    "misaligned": _misaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "stride-0": _broadcast,
}


def _varied() -> list[Case]:
    wanted = {
        "conv2d-plain", "conv2d-nhwc", "conv2d-kernel_1x1", "conv2d-groups_eq_channels", "conv3d-plain",
        "conv2d-dtype-int32-int32", "max_pool2d-overlap_pad", "avg_pool2d-nhwc", "sum_pool2d-dtype-int16",
        "conv2d_grad_input-plain", "conv2d_grad_weight-nhwc", "conv_transpose2d-plain",
    }  # fmt: skip
    return [case for case in cases() if case.name in wanted]


RANDOM: tuple[Case, ...] = tuple(
    Case(f"{case.name}-{dtype}", case.call, case.arrays, case.args, case.options, (dtype,))
    for case in CONVS
    if case.name in ("conv2d-many_channels", "conv2d-large_kernel", "conv2d-nhwc_groups", "conv1d-audio", "conv3d-same_3x3x3")
    for dtype in ("float32", "float64")
)  # fmt: skip

_X, _W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)


def _read_only_out() -> Array:
    return _read_only(np.zeros((1, 3, 3, 3), np.float32))


REFUSALS: dict[str, tuple[type[Exception], Callable[[str], Any]]] = {
    "rank": (convlib.SpecError, lambda b: convlib.conv2d(_X[0, 0], _W, backend=b)),
    "channels": (convlib.SpecError, lambda b: convlib.conv2d(_X[:, :1], _W, backend=b)),
    "groups": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, groups=2, backend=b)),
    "large-window": (convlib.SpecError, lambda b: convlib.conv2d(_X, np.ones((1, 2, 6, 6)), backend=b)),
    "zero-stride": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, stride=0, backend=b)),
    "negative-padding": (convlib.SpecError, lambda b: convlib.max_pool2d(_X, 2, padding=-1, backend=b)),
    "float-stride": (TypeError, lambda b: convlib.conv2d(_X, _W, stride=1.5, backend=b)),
    "bias-shape": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, np.ones(2), backend=b)),
    "object-dtype": (TypeError, lambda b: convlib.conv2d(_X.astype(object), _W, backend=b)),
    "string-dtype": (TypeError, lambda b: convlib.max_pool2d(_X.astype(str), 2, backend=b)),
    "complex-maximum": (TypeError, lambda b: convlib.max_pool2d(_X.astype(complex), 2, backend=b)),
    "out-shape": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, out=np.ones((1, 3, 2, 3), np.float32), backend=b)),
    "out-dtype": (TypeError, lambda b: convlib.conv2d(_X, _W, out=np.ones((1, 3, 3, 3)), backend=b)),
    "out-read-only": (convlib.SpecError, lambda b: convlib.conv2d(_X, _W, out=_read_only_out(), backend=b)),
    "out-overlap": (convlib.SpecError, lambda b: convlib.max_pool2d(_X, 1, out=_X, backend=b)),
    "index-range": (convlib.SpecError, lambda b: convlib.max_unpool2d(_X, np.full(_X.shape, 100), 1, backend=b)),
    "integer-overflow": (convlib.SpecError, lambda b: convlib.conv2d(np.full((1, 1, 3, 3), 2**40), np.full((1, 1, 3, 3), 2**40), backend=b)),
}  # fmt: skip
