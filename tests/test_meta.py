"""Tests of the tests: a backend that is wrong in one way must fail the conformance suite."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import convlib
from convlib.backends.cython import CythonBackend
from convlib.backends.naive import NaiveBackend
from convlib.testing import ConformanceError, cases, check_backend, served_cases


class FlippedKernel(CythonBackend):
    """Convolves where it should correlate."""

    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, self._flipped(w), bias, y, algorithm)


class PaddingOffByOne(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        wrong = tuple(lo + 1 if lo else 0 for lo in spec.pad_lo)
        super()._conv(replace(spec, pad_lo=wrong), x, w, bias, y, algorithm)


class PaddingSidesSwapped(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(replace(spec, pad_lo=spec.pad_hi, pad_hi=spec.pad_lo), x, w, bias, y, algorithm)


class DilationIgnored(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(replace(spec, dilation=(1,) * spec.nd), x, w, bias, y, algorithm)


class LastRowSkipped(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, w, bias, y, algorithm)
        if spec.out_size[0] > 8:
            y[:, :, -1] = 0


class BiasForgotten(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, w, None, y, algorithm)


class GroupsMixedUp(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, np.roll(w, spec.ocg, 0) if spec.groups > 1 else w, bias, y, algorithm)


class InputChanged(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, w, bias, y, algorithm)
        if x.flags.writeable:
            x[...] = 0


class StaleResult(CythonBackend):
    """Returns what it computed for the same sizes before."""

    def __init__(self):
        self.known = {}

    def _conv(self, spec, x, w, bias, y, algorithm):
        key = spec, x.dtype, bias is None
        if key in self.known:
            y[...] = self.known[key]
        else:
            super()._conv(spec, x, w, bias, y, algorithm)
            self.known[key] = y.copy()


class LowPrecision(CythonBackend):
    """Computes doubles in single precision."""

    def _conv(self, spec, x, w, bias, y, algorithm):
        if x.dtype != np.float64:
            return super()._conv(spec, x, w, bias, y, algorithm)
        bias = None if bias is None else bias.astype(np.float32)
        narrow = np.empty(y.shape, np.float32)
        super()._conv(spec, x.astype(np.float32), w.astype(np.float32), bias, narrow, algorithm)
        y[...] = narrow
        return None


class IntegersThroughDoubles(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        if x.dtype != np.int64:
            return super()._conv(spec, x, w, bias, y, algorithm)
        bias = None if bias is None else bias.astype(np.float64)
        wide = np.empty(y.shape)
        super()._conv(spec, x.astype(float), w.astype(float), bias, wide, algorithm)
        y[...] = wide
        return None


class NanSpreads(CythonBackend):
    """One NaN in an image spoils all of its outputs, as a transform over the whole image does."""

    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, w, bias, y, algorithm)
        if not np.isfinite(x).all():
            y[...] = np.nan


class NanSwallowed(CythonBackend):
    def _pool(self, spec, x, y, indices, algorithm):
        if x.dtype.kind == "f" and spec.kind in ("max", "min"):
            x = np.where(np.isnan(x), -np.inf if spec.kind == "max" else np.inf, x).astype(x.dtype)
        super()._pool(spec, x, y, indices, algorithm)


class WrongDivisor(CythonBackend):
    """Divides by the window size where a window of ceil_mode overhangs."""

    def _pool(self, spec, x, y, indices, algorithm):
        if spec.kind == "avg" and spec.divisor is None and spec.count_include_pad and not spec.adaptive:
            spec = replace(spec, divisor=spec.taps_count)
        super()._pool(spec, x, y, indices, algorithm)


class PaddingAlwaysCounts(CythonBackend):
    def _pool(self, spec, x, y, indices, algorithm):
        super()._pool(replace(spec, count_include_pad=True), x, y, indices, algorithm)


class PaddingWins(CythonBackend):
    """Takes padding for zeros in a maximum."""

    def _pool(self, spec, x, y, indices, algorithm):
        super()._pool(spec, x, y, indices, algorithm)
        if spec.kind == "max" and spec.padded and y.dtype.kind in "fi":
            np.maximum(y, 0, out=y)


class LastOfEqualMaxima(CythonBackend):
    def _pool(self, spec, x, y, indices, algorithm):
        super()._pool(spec, x, y, indices, algorithm)
        if indices is None:
            return
        for n, c, out in product(range(spec.n), range(spec.c), product(*map(range, spec.out_size))):
            for position in product(*(spec.taps(axis, o) for axis, o in enumerate(out))):
                if x[(n, c, *position)] == y[(n, c, *out)]:
                    indices[(n, c, *out)] = np.ravel_multi_index(position, spec.in_size)


class EmptyWindowsAreZero(CythonBackend):
    def _pool(self, spec, x, y, indices, algorithm):
        super()._pool(spec, x, y, indices, algorithm)
        if y.dtype.kind == "f":
            y[np.isinf(y)] = 0


class RunningSum(CythonBackend):
    """Sums windows by differences of a running sum, which smears an infinity over the rest of the row."""

    def _pool(self, spec, x, y, indices, algorithm):
        super()._pool(spec, x, y, indices, algorithm)
        if spec.kind == "sum" and x.dtype.kind == "f" and not np.isfinite(x).all():
            with np.errstate(invalid="ignore"):
                y += np.where(np.isfinite(np.cumsum(y, axis=-1)), 0, np.nan).astype(y.dtype)


class GradientOfAnotherStride(CythonBackend):
    """Drops the rows that no window ends on."""

    def _conv_grad_input(self, spec, grad_y, w, grad_x, algorithm):
        super()._conv_grad_input(spec, grad_y, w, grad_x, algorithm)
        if max(spec.stride) > 1:
            grad_x[..., -1] = 0


class WeightGradientOfOneImage(CythonBackend):
    def _conv_grad_weight(self, spec, x, grad_y, grad_w, algorithm):
        super()._conv_grad_weight(replace(spec, n=min(spec.n, 1)), x[:1], grad_y[:1], grad_w, algorithm)


class NormGradientLosesSigns(CythonBackend):
    def _pool_grad_input(self, spec, grad_y, x, y, grad_x):
        super()._pool_grad_input(spec, grad_y, None if x is None else np.abs(x), y, grad_x)


class NormGradientOfTheSum(CythonBackend):
    """Forgets the power: right for p = 1 alone."""

    def _pool_grad_input(self, spec, grad_y, x, y, grad_x):
        norm = 1 if spec.kind == "lp" and spec.norm < np.inf else spec.norm
        super()._pool_grad_input(replace(spec, norm=norm), grad_y, x, y, grad_x)


class ColumnsInAnotherOrder(CythonBackend):
    def _im2col(self, spec, x, cols):
        super()._im2col(spec, x, cols)
        cols[...] = cols[:, ::-1].copy()


class Col2imOverwrites(CythonBackend):
    def _col2im(self, spec, cols, x):
        super()._col2im(spec, cols, x)
        np.clip(x.real, -3, 3, out=x.real)


class UnpoolForgetsZeros(CythonBackend):
    def _unpool(self, spec, x, indices, y, add):
        super()._unpool(spec, x, indices, y, add)
        y[y == 0] = 1


class SilentRefusal(CythonBackend):
    """Serves nothing at all, which must not count as success."""

    def supports(self, op, spec, dtype):
        return "not today"


WRONG = [kind for kind in list(globals().values()) if isinstance(kind, type) and kind.__base__ is CythonBackend]


def registered(kind, register):
    kind.name = "wrong"
    return register(kind)


def reproduces(cause, *errors):
    """Run the lines of a cause, which must fail as they are and pass for a backend that is right."""
    lines = cause.reproducer.splitlines()
    assert len(lines) <= 3
    exec(cause.reproducer.replace("'wrong'", "'cython'"), {})
    try:
        exec(cause.reproducer, {})
    except errors:
        return True
    return False


#: What a report says of the backends that are wrong in a way that can be guessed.
SAID = {
    FlippedKernel: "right for a flipped kernel",
    PaddingSidesSwapped: "right if low and high padding are swapped",
    BiasForgotten: "wrong numbers with a bias; the bias is not added",
    GroupsMixedUp: "wrong numbers with more than one group",
    InputChanged: "an input was changed",
    LowPrecision: "wrong numbers of random floats",
    IntegersThroughDoubles: "with integers beyond 2**53",
    NanSwallowed: "with NaN in the input",
    PaddingAlwaysCounts: "right for the other value of count_include_pad",
    PaddingWins: "padding is taken for zeros, but it never wins",
    LastOfEqualMaxima: "with return_indices=True",
    ColumnsInAnotherOrder: "in calls of im2col",
}


def test_failures_of_one_cause_stand_together(register):
    (cause,) = check_backend(registered(BiasForgotten, register), strict=False).causes
    assert len(cause.checks) > 50
    text = str(cause)
    assert text.startswith(f"{len(cause.checks)} checks: ")
    assert len(text.splitlines()) <= 6


class Unfilled(CythonBackend):
    """Binds its last array to another one, so that the caller's is as it was."""

    def _conv(self, spec, x, w, bias, y, algorithm):
        y = np.zeros_like(y)
        super()._conv(spec, x, w, bias, y, algorithm)


class Accumulates(CythonBackend):
    def _conv(self, spec, x, w, bias, y, algorithm):
        before = y.copy()
        super()._conv(spec, x, w, bias, y, algorithm)
        y += before


@pytest.mark.parametrize(
    ("kind", "words"), [(Unfilled, "fill it all, in place, as in y[...]"), (Accumulates, "set it first")]
)
def test_a_result_that_holds_what_was_there_before_is_recognised(kind, words, register):
    report = check_backend(registered(kind, register), select="conv2d", strict=False)
    assert words in str(report.causes[0])


def test_some_checks_can_be_selected_and_the_first_failure_be_the_last(register):
    wrong = registered(FlippedKernel, register)
    report = check_backend(wrong, select="conv2d-p and not random or nhwc_1x1", strict=False)
    names = {name for cause in report.causes for name in cause.checks}
    assert names
    assert all("conv2d-p" in name for name in names)
    assert report.passed + len(report.failed) < 30
    assert len(check_backend(wrong, stop=True, strict=False).failed) == 1
    with pytest.raises(convlib.SpecError, match=r"no check is called 'conv2d-plane'.*did you mean 'conv2d-plain'"):
        check_backend(wrong, select="conv2d-plane")


def test_what_the_oracle_answers_is_computed_once(monkeypatch):
    check_backend("cython")
    monkeypatch.setattr(NaiveBackend, "_conv", None)
    assert not check_backend("im2col").failed


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_backend_fails(kind, register):
    with pytest.raises(ConformanceError) as caught:
        check_backend(registered(kind, register))
    report = caught.value.report
    assert report.failed
    assert sorted(name for cause in report.causes for name in cause.checks) == sorted(name for name, _ in report.failed)
    for cause in report.causes:
        assert f"{cause.checks[0]}: {cause.reason}" in str(caught.value)
        assert cause.checks == ("supports",) or reproduces(cause, ConformanceError, AssertionError)
    if kind in SAID:
        assert SAID[kind] in report.causes[0].what
        assert len(report.causes) <= 5
    if kind is not SilentRefusal:
        # Only what is wrong fails: the other operators still pass.
        assert report.passed > len(report.failed)


def test_a_right_backend_passes(register):
    kind = type("Right", (CythonBackend,), {})
    seen = []
    report = check_backend(registered(kind, register), progress=lambda done, total: seen.append((done, total)))
    assert not report.failed
    assert not report.refused
    assert seen[-1] == (report.passed, report.passed)
    assert str(report) == f"wrong: {report.passed} passed, 0 refused, 0 failed"


def test_what_a_backend_does_not_support_is_refused_with_its_reason(register):
    class OneAxis(CythonBackend):
        def supports(self, op, spec, dtype):
            return None if spec.nd == 1 else "has one axis only"

    report = check_backend(registered(OneAxis, register))
    assert report.passed > 10
    assert len(report.refused) > 100
    assert all("has one axis only" in reason for _, reason in report.refused)


def test_one_refusal_too_many_is_seen(register):
    class Shy(CythonBackend):
        def supports(self, op, spec, dtype):
            return "not ten outputs" if op == "pool" and spec.out_size == (3, 4) else super().supports(op, spec, dtype)

    shy = registered(Shy, register)
    assert not check_backend(shy).failed
    lost = {case.name for case in cases()} - {case.name for case in served_cases(shy)}
    assert "max_pool2d-plain" in lost
    assert all("pool" in name for name in lost)


def test_the_report_can_be_had_without_an_error(register):
    report = check_backend(registered(FlippedKernel, register), strict=False)
    assert any(name.startswith("conv2d-plain") for name, _ in report.failed)
    assert any("expected" in reason for _, reason in report.failed)


def test_a_crash_is_a_failure_not_an_end(register):
    class Crashes(CythonBackend):
        def _pool(self, spec, x, y, indices, algorithm):
            raise ZeroDivisionError("in the backend")

    report = check_backend(registered(Crashes, register), strict=False)
    assert ("max_pool2d-plain", "ZeroDivisionError: in the backend") in report.failed
    assert report.passed > 100


def test_errors_are_assertion_errors_of_convlib():
    assert issubclass(ConformanceError, AssertionError)
    assert issubclass(ConformanceError, convlib.ConvlibError)
