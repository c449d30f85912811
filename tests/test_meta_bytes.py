"""Tests of the tests: a backend with a way of its own for bytes that is wrong must fail the conformance suite."""

from itertools import product

import numpy as np
import pytest

from convlib.backends.cython import CythonBackend
from convlib.testing import ConformanceError, check_backend

SELECTED = "zero_points or int8"


def as_bytes(shift, add=CythonBackend.conv):
    """Return a way of its own for bytes: `shift` says what the numbers stand for, `add` convolves them."""

    def prepare_quantised(self, spec, w, bias, dtype, quantised, algorithm):
        def run(x, out):
            padded, plain = shift(spec, x, quantised)
            zeros = np.reshape(quantised.w_zero, (-1, *(1,) * (w.ndim - 1)))
            y = add(self, plain, padded, w - zeros, bias, None).astype(quantised.result)
            if out is None:
                return y
            out[...] = y
            return out

        return None if spec.channels_last or not spec.batched else run

    return prepare_quantised


def shifted(spec, x, quantised):
    return x - np.int64(quantised.x_zero), spec


def unpadded(spec, x, quantised):
    """Pad with zeros first."""
    if spec.padding_mode != "constant":
        return shifted(spec, x, quantised)
    pads = ((0, 0), (0, 0), *zip(spec.pad_lo, spec.pad_hi, strict=True))
    return np.pad(x - np.int64(quantised.x_zero), pads, constant_values=-quantised.x_zero), spec.unpadded()


def in_pairs(self, spec, x, w, bias, out):
    """Add products of two channels at a time, which saturate at 16 bits."""
    y = np.zeros(spec.y_shape, np.int64)
    for tap in product(*map(range, spec.kernel)):
        for first in range(0, spec.icg, 2):
            some = np.zeros_like(w)
            at = (slice(None), slice(first, first + 2), *tap)
            some[at] = w[at]
            y += np.clip(CythonBackend.conv(self, spec, x, some, None, None), -(2**15), 2**15 - 1)
    return y if bias is None else y + bias.reshape(-1, *(1,) * spec.nd)


class PaddingIsNotTheZeroPoint(CythonBackend):
    prepare_quantised = as_bytes(unpadded)


class BytesWithoutSign(CythonBackend):
    """Takes input without a sign for one with it."""

    prepare_quantised = as_bytes(lambda spec, x, quantised: shifted(spec, x.view(np.int8), quantised))


class ZeroPointForgotten(CythonBackend):
    prepare_quantised = as_bytes(lambda spec, x, quantised: (x, spec))


class PairsSaturate(CythonBackend):
    prepare_quantised = as_bytes(shifted, in_pairs)


class ZeroPointOfTheFirstChannel(CythonBackend):
    def prepare_quantised(self, spec, w, bias, dtype, quantised, algorithm):
        first = quantised._replace(w_zero=quantised.w_zero[:1])
        return as_bytes(shifted)(self, spec, w, bias, dtype, first, algorithm)


WRONG = [kind for kind in list(globals().values()) if isinstance(kind, type) and kind.__base__ is CythonBackend]


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_way_for_bytes_fails(kind, register):
    kind.name = "wrong"
    with pytest.raises(ConformanceError) as caught:
        check_backend(register(kind), select=SELECTED)
    assert all("zero_points" in name or "int8" in name for name, _ in caught.value.report.failed)


def test_a_right_way_for_bytes_conforms(register):
    class Right(CythonBackend):
        name = "right"
        taken = 0

        def prepare_quantised(self, *args):
            run = as_bytes(shifted)(self, *args)
            Right.taken += run is not None
            return run

    report = check_backend(register(Right), select=SELECTED, strict=False)
    assert not report.failed, report.details()
    assert Right.taken > 30
