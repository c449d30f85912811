"""What must hold: each check takes a backend's name and returns what is wrong, or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

import convlib

from ..errors import UnsupportedError
from ..spec import ACTIVATIONS
from .arrays import VARIANTS, Array, arrays_of, broadcast, error_bound, integer_array, random_arrays
from .cases import Case, cases
from .refusals import REFUSALS

ORACLE = "naive"

#: What takes `activation` and `residual`.
FINISHED = tuple(f"{family}{nd}d" for family in ("conv", "conv_transpose") for nd in (1, 2, 3))
#: Types that are computed in float32 and rounded once, and how far that may take a number, as a share of it.
STORED = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
#: Operators whose results are sums of products: an inexact backend may round them.
_SUMS = ("conv", "filter2d", "avg_pool", "sum_pool", "lp_pool", "adaptive_avg", "global_avg", "col2im")


def operator_of(call: str) -> str:
    """Return a public function's name without its rank."""
    return re.sub(r"[123]d", "", call)


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes
    ----------
    name : str
        Unique, readable.
    operator : str
        What it calls, as `operator_of` has it; "" for errors that every backend must raise.
    run : callable
        Takes a backend's name and returns what is wrong, or None.
    case : Case or None
        The call it makes, if it is one of the list.
    variant : str
        How that differs from the plain call: one of `VARIANTS`, "out",
        "finished", "plan" or "random".
    """

    name: str
    operator: str
    run: Callable[[str], str | None]
    case: Case | None = None
    variant: str = ""


def all_checks(name: str) -> Iterator[Check]:
    """Yield the checks of the whole suite for one backend.

    The oracle is not compared with itself, only with itself under other circumstances: values worked out by hand and
    recorded from other libraries judge it.
    """
    exact = is_exact(name)
    for case in cases() if name != ORACLE else ():
        yield _of_case(case, "", partial(_agrees, case, exact))
    for case in _varied():
        for kind, change in VARIANTS.items():
            yield _of_case(case, kind, partial(_agrees, case, exact, change=change))
        yield _of_case(case, "out", partial(_fills_out, case))
        if case.call in FINISHED:
            yield _of_case(case, "finished", partial(_finishes, case))
        if hasattr(convlib, f"plan_{case.call}"):
            yield _of_case(case, "plan", partial(_plans, case))
    for case in RANDOM:
        yield _of_case(case, "random", partial(_accurate, case))
    for refusal, (error, call) in REFUSALS.items():
        yield Check(f"refuses-{refusal}", "", partial(_refuses, error, call))
    for function in (_translation_equivariance, _locality, _non_finite_stays_local):
        yield Check(function.__name__.strip("_").replace("_", "-"), "conv", function)


def _of_case(case: Case, variant: str, run: Callable[[str], str | None]) -> Check:
    return Check(f"{case.name}/{variant}" if variant else case.name, operator_of(case.call), run, case, variant)


def is_exact(name: str) -> bool:
    """Return whether a backend, or the algorithm named, sums small integers exactly."""
    base, colon, algorithm = name.partition(":")
    backend = convlib.registry.get_backend(base)
    return backend.exact_algorithm(algorithm) if colon else backend.exact


def _backend(name: str) -> Any:
    return convlib.registry.get_backend(name.partition(":")[0])


def _run(function: Callable[..., Any], arrays: list[Array], backend: str, *args: Any, **options: Any) -> tuple[Array, ...]:
    """Call a function with arrays of the backend's own type; return its results as NumPy arrays."""
    own = _backend(backend)
    result = function(*map(own.from_numpy, arrays), *args, **options, backend=backend)
    return tuple(own.to_numpy(a) for a in (result if isinstance(result, tuple) else (result,)))


def call_case(case: Case, arrays: list[Array], backend: str, **more: Any) -> tuple[Array, ...]:
    """Call a case with a backend; return its results as NumPy arrays."""
    return _run(getattr(convlib, case.call), arrays, backend, *case.args, **case.options, **more)


@lru_cache(maxsize=1024)
def truth_of(name: str, repeated: bool = False) -> tuple[Array, ...]:
    """Return what the oracle says to a case, computed once in a process; `repeated` is of arrays with stride 0."""
    case = next(case for case in cases() if case.name == name)
    arrays = arrays_of(case)
    return call_case(case, [broadcast(a).copy() for a in arrays] if repeated else arrays, ORACLE)


def _agrees(
    case: Case, exact: bool, backend: str, change: Callable[[Array], Array] | None = None
) -> str | None:
    arrays = arrays_of(case)
    if change is not None:
        arrays = [change(a) for a in arrays]
    before = [a.copy() for a in arrays]
    own = _backend(backend)
    given = [own.from_numpy(a) for a in arrays]
    result = getattr(convlib, case.call)(*given, *case.args, **case.options, backend=backend)
    got = tuple(own.to_numpy(a) for a in (result if isinstance(result, tuple) else (result,)))
    for a, b in zip(map(own.to_numpy, given), before, strict=True):
        if not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"):
            return "an input was changed"
    # Roots are irrational: lp pooling is exact for no one.
    rounded = (not exact and case.call.startswith(_SUMS)) or case.call.startswith("lp_pool")
    # A broadcast array repeats one element: its truth is its own.
    return _differs(case, backend, got, truth_of(case.name, change is broadcast), rounded)


def _differs(case: Case, backend: str, got: tuple[Array, ...], expected: tuple[Array, ...], rounded: bool) -> str | None:
    """Compare results, which may differ by rounding, too, if the backend itself takes an algorithm that rounds."""
    reason = _compare(got, expected, rounded)
    if reason is None or rounded or not _takes_rounding(case, backend):
        return reason
    return _compare(got, expected, rounded=True)


def _takes_rounding(case: Case, name: str) -> bool:
    """Return whether a backend, of which no algorithm is named, takes one that rounds for a case."""
    if ":" in name or not case.call.startswith(_SUMS):
        return False
    own = _backend(name)
    arrays = map(own.from_numpy, arrays_of(case))
    algorithm = convlib.explain(case.call, *arrays, *case.args, **case.options, backend=name).algorithm
    return algorithm is not None and not own.exact_algorithm(algorithm)


def _compare(got: tuple[Array, ...], expected: tuple[Array, ...], rounded: bool) -> str | None:
    if len(got) != len(expected):
        return f"{len(got)} results instead of {len(expected)}"
    for part, (a, b) in enumerate(zip(got, expected, strict=True)):
        which = "indices" if part else "result"
        if a.shape != b.shape:
            return f"{which}: shape {a.shape}, expected {b.shape}"
        if a.dtype != b.dtype:
            return f"{which}: dtype {a.dtype}, expected {b.dtype}"
        stored = STORED.get(a.dtype.name, 0.0)
        if rounded and (a.dtype.kind in "fc" or stored):
            eps = float(np.finfo(np.float32 if stored else a.dtype).eps)
            a, b = (y.astype(np.float32) if stored else y for y in (a, b))
            scale = float(np.abs(b[np.isfinite(b)]).max(initial=1.0))
            same = np.isclose(a, b, rtol=stored, atol=scale * 512 * eps, equal_nan=True)
        else:
            same = (a == b) | ((a != a) & (b != b))
        if not same.all():
            place = tuple(int(i) for i in np.argwhere(~same)[0])
            wrong = f"{int((~same).sum())} of {same.size} differ"
            return f"{which}: {wrong}, first at {place}: {a[place]}, expected {b[place]}"
    return None


def _plans(case: Case, backend: str) -> str | None:
    """Compare a plan, called twice, with the function."""
    x, *weights = arrays_of(case)
    own = _backend(backend)
    make = getattr(convlib, f"plan_{case.call}")
    plan = make(x.shape, *map(own.from_numpy, weights), dtype=x.dtype, **case.options, backend=backend)
    first, second = plan(own.from_numpy(x)), plan(own.from_numpy(x))
    for y in (first, second):
        reason = _differs(case, backend, (own.to_numpy(y),), truth_of(case.name), rounded=not is_exact(backend))
        if reason is not None:
            return reason
    first[...] = 0
    same = _differs(case, backend, (own.to_numpy(second),), truth_of(case.name), rounded=not is_exact(backend))
    return None if same is None else "two calls share one result"


def _fills_out(case: Case, backend: str) -> str | None:
    expected = truth_of(case.name)[0]
    own = _backend(backend)
    before = np.full((2, *expected.shape, 2), 77).astype(expected.dtype)
    buffer = own.from_numpy(before.copy())
    given = [own.from_numpy(a) for a in arrays_of(case)]
    for out in (buffer[0, ..., 0], own.from_numpy(np.full(expected.shape, 77).astype(expected.dtype))):
        got = getattr(convlib, case.call)(*given, *case.args, **case.options, backend=backend, out=out)
        if (got[0] if isinstance(got, tuple) else got) is not out:
            return "the result is not the array given as out"
        reason = _differs(case, backend, (own.to_numpy(out),), (expected,), rounded=not is_exact(backend))
        if reason is not None:
            return f"out: {reason}"
    before[0, ..., 0] = expected
    wrong = _differs(case, backend, (own.to_numpy(buffer),), (before,), rounded=not is_exact(backend))
    return wrong and "memory beside out was written"


@lru_cache(maxsize=256)
def _finished_truth(name: str, activation: str | None) -> tuple[Array, tuple[Array, ...]]:
    """Return a residual for a case, and what the oracle says with it."""
    case, plain = next(case for case in cases() if case.name == name), truth_of(name)[0]
    residual = integer_array(plain.shape, plain.dtype, 7)
    return residual, call_case(case, arrays_of(case), ORACLE, residual=residual, activation=activation)


def _finishes(case: Case, backend: str) -> str | None:
    """Compare every activation after a residual with the oracle's; a residual in another order of memory, too."""
    own, kind = _backend(backend), truth_of(case.name)[0].dtype.kind
    for name in (None, *(ACTIVATIONS if kind == "f" else ACTIVATIONS[:2])):
        residual, expected = _finished_truth(case.name, name)
        for given in (residual, np.asfortranarray(residual)):
            got = call_case(case, arrays_of(case), backend, residual=own.from_numpy(given), activation=name)
            reason = _differs(case, backend, got, expected, rounded=not is_exact(backend))
            if reason is not None:
                return f"activation={name!r}: {reason}"
    return None


@lru_cache(maxsize=64)
def _random_truth(name: str) -> tuple[Array, float, int]:
    """Return the result in double precision, the largest sum of absolute products, and the most terms in a sum."""
    case = next(case for case in RANDOM if case.name == name)
    wide = [a.astype(np.float64) for a in random_arrays(case)]
    truth, size = (call_case(case, arrays, ORACLE)[0] for arrays in (wide, [np.abs(a) for a in wide]))
    return truth, float(size.max()), _most_terms(case.name.rpartition("-")[0])


@lru_cache(maxsize=64)
def _most_terms(name: str) -> int:
    """Return the most terms in a sum: what ones sum up to."""
    case = next(case for case in cases() if case.name == name)
    return int(call_case(case, [np.ones(shape) for shape in case.arrays], ORACLE)[0].max())


def _accurate(case: Case, backend: str) -> str | None:
    arrays = random_arrays(case)
    truth, size, terms = _random_truth(case.name)
    (got,) = call_case(case, arrays, backend)
    bound = error_bound(terms, case.dtypes[0]) * size
    worst = float(np.abs(got - truth).max())
    return None if worst <= bound else f"error {worst:.3g} exceeds the bound {bound:.3g}"


def _refuses(kind: type[Exception], call: Callable[[str], Any], backend: str) -> str | None:
    try:
        call(backend)
    except UnsupportedError:
        raise
    except kind as error:
        return None if str(error) else "the error has no message"
    except Exception as error:
        return f"{type(error).__name__} instead of {kind.__name__}: {error}"
    return f"no error; expected {kind.__name__}"


def _translation_equivariance(backend: str) -> str | None:
    """Shift the input, and the output shifts along (stride 1, away from the edges)."""
    w = integer_array((2, 1, 3, 3), "float32", 5)
    patch = integer_array((1, 1, 5, 5), "float32", 6)
    results = []
    for row, column in ((4, 4), (9, 6)):
        x = np.zeros((1, 1, 20, 20), np.float32)
        x[:, :, row : row + 5, column : column + 5] = patch
        (y,) = _run(convlib.conv2d, [x, w], backend, padding=1)
        results.append(y[:, :, row - 2 : row + 7, column - 2 : column + 7])
    return _compare((results[1],), (results[0],), rounded=not is_exact(backend))


def _locality(backend: str) -> str | None:
    """Change one input element, and only the outputs whose window holds it change."""
    x = integer_array((1, 1, 16, 18), "float32", 7)
    w = np.ones((1, 1, 3, 5), np.float32)
    (before,) = _run(convlib.conv2d, [x, w], backend)
    x[0, 0, 8, 9] += 64
    change = _run(convlib.conv2d, [x, w], backend)[0] - before
    expected = np.zeros_like(before)
    expected[0, 0, 6:9, 5:10] = 64
    return _compare((change,), (expected,), not is_exact(backend))


def _non_finite_stays_local(backend: str) -> str | None:
    """Plant a NaN and an infinity: they reach the outputs whose window holds them, and no others."""
    x = integer_array((1, 8, 20, 22), "float32", 8)
    x[0, 3, 9, 10], x[0, 5, 2, 3] = np.nan, np.inf
    w = np.abs(integer_array((8, 8, 3, 3), "float32", 9)) + 1
    (y,) = _run(convlib.conv2d, [x, w], backend, padding=1)
    touched = np.zeros(y.shape, bool)
    touched[:, :, 8:11, 9:12] = touched[:, :, 1:4, 2:5] = True
    if not np.isfinite(y[~touched]).all():
        return "a non-finite value reached outputs whose window does not hold it"
    return "a non-finite value was lost" if np.isfinite(y[touched]).any() else None


def _varied() -> list[Case]:
    wanted = {
        "conv2d-plain", "conv2d-nhwc", "conv2d-kernel_1x1", "conv2d-groups_eq_channels", "conv3d-plain",
        "conv2d-dtype-int32-int32", "max_pool2d-overlap_pad", "avg_pool2d-nhwc", "sum_pool2d-dtype-int16",
        "conv2d_grad_input-plain", "conv2d_grad_weight-nhwc", "conv_transpose2d-plain",
        "conv2d-zero_points_per_channel", "conv2d-zero_points_weights_only",
    }  # fmt: skip
    return [case for case in cases() if case.name in wanted]


_RANDOM = {
    "conv2d-ic_prime", "conv2d-large_kernel", "conv2d-nhwc_groups", "conv1d-audio", "conv3d-same_3x3x3",
    "conv2d_grad_input-dilation_groups", "conv2d_grad_weight-stride_pad", "conv_transpose2d-groups",
    "avg_pool2d-large_stride_1", "sum_pool2d-large_stride_1", "lp_pool2d-p2", "adaptive_avg_pool2d-uneven",
    "avg_pool2d_grad_input-overlap_pad", "col2im-2d", "filter2d-colour",
}  # fmt: skip
RANDOM: tuple[Case, ...] = tuple(
    Case(f"{case.name}-{dtype}", case.call, case.arrays, case.args, case.options, (dtype,))
    for case in cases()
    if case.name in _RANDOM
    for dtype in ("float32", "float64")
)  # fmt: skip
