"""Tests of the tests: a backend with a way of its own for bytes that is wrong must fail the conformance suite."""

from itertools import product

import numpy as np
import pytest

import convlib
from convlib.backends.base import Implementation
from convlib.backends.cython import CythonBackend
from convlib.testing import ConformanceError, check_backend

SELECTED = "conv1d- or conv2d-"


class Bytes(CythonBackend):
    """Has a way of its own for bytes, which subclasses fill."""

    def quantised_way(self, spec, x, w, quantised, algorithm, prepared):
        return None if spec.channels_last or not spec.batched else Implementation("bytes", None, 1e-3, 1234)


def as_bytes(shift, add=CythonBackend.conv):
    """Return a way of its own for bytes: `shift` says what the numbers stand for, `add` convolves them."""

    def prepare_quantised(self, spec, w, bias, dtype, quantised, algorithm, prepared):
        def run(x, out):
            padded, plain = shift(spec, x, quantised)
            zeros = np.reshape(quantised.w_zero, (-1, *(1,) * (w.ndim - 1)))
            y = add(self, plain, padded, w - zeros, bias, None).astype(quantised.result)
            if out is None:
                return y
            out[...] = y
            return out

        return run

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


class PaddingIsNotTheZeroPoint(Bytes):
    prepare_quantised = as_bytes(unpadded)


class BytesWithoutSign(Bytes):
    """Takes input without a sign for one with it."""

    prepare_quantised = as_bytes(lambda spec, x, quantised: shifted(spec, x.view(np.int8), quantised))


class ZeroPointForgotten(Bytes):
    prepare_quantised = as_bytes(lambda spec, x, quantised: (x, spec))


class PairsSaturate(Bytes):
    prepare_quantised = as_bytes(shifted, in_pairs)


class ZeroPointOfTheFirstChannel(Bytes):
    def prepare_quantised(self, spec, w, bias, dtype, quantised, algorithm, prepared):
        first = quantised._replace(w_zero=quantised.w_zero[:1])
        return as_bytes(shifted)(self, spec, w, bias, dtype, first, algorithm, prepared)


WRONG = [kind for kind in list(globals().values()) if isinstance(kind, type) and kind.__base__ is Bytes]


#: What reports say of the ways whose fault can be guessed.
SAID = {
    ZeroPointOfTheFirstChannel: "with a zero point per output channel",
    BytesWithoutSign: "with the largest numbers of a type",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_way_for_bytes_fails(kind, register):
    kind.name = "wrong"
    with pytest.raises(ConformanceError) as caught:
        check_backend(register(kind), select=SELECTED)
    report = caught.value.report
    assert all("zero_points" in name or "int8" in name for name, _ in report.failed)  # the rest is never asked
    if kind in SAID:
        assert f"wrong numbers {SAID[kind]}" in report.causes[0].what


class Right(Bytes):
    """Counts what it serves."""

    name = "right"
    taken = 0

    def prepare_quantised(self, *args):
        Right.taken += 1
        return as_bytes(shifted)(self, *args)


def test_a_right_way_for_bytes_conforms(register):
    report = check_backend(register(Right), select=SELECTED, strict=False)
    assert not report.failed, report.details()
    assert Right.taken > 30


def test_the_way_for_bytes_is_said(register):
    """Where the types, and the bias, say that no sum leaves int32; the other calls are widened."""
    register(Right)
    x, w, bias = np.ones((1, 2, 4, 4), np.uint8), np.ones((3, 2, 3, 3), np.int8), np.array([1, 2**31 - 1, 0])
    options = {"backend": "right", "x_zero_point": 1, "out_dtype": "int32"}
    before = Right.taken
    for some in (None, bias[:1].repeat(3)):
        said = convlib.explain("conv2d", x, w, some, **options)
        plan = convlib.plan_conv2d(x.shape, w, some, dtype="uint8", **options)
        for one in (said, plan.explain()):
            assert (one.algorithm, one.dtype, one.workspace_nbytes, one.copies) == ("bytes", "int32", 1234, ())
            assert (one.predicted, one.implementations[0].name) == (1e-3, "bytes")
        assert plan.workspace_nbytes == 1234
        assert "chosen right:bytes" in str(said)
    assert Right.taken == before + 2  # the plans
    said = convlib.explain("conv2d", x.shape, w.shape, dtype="int8", backend="right")
    assert said.algorithm == "bytes"
    for said in (
        convlib.explain("conv2d", x, w, bias, backend="right"), convlib.explain("conv2d", x.astype("i2"), w, **options)
    ):  # fmt: skip
        assert (said.algorithm, said.dtype) == (None, "int64")
        assert {copy.array for copy in said.copies} >= {"x", "w"}
    reasons = {copy.array: copy.reason for copy in said.copies}
    assert reasons["x"] == "int16 becomes int64, its zero point is subtracted"
    assert "int64 becomes int32" in reasons["result"]


def test_every_call_that_goes_by_bytes_says_so(register):
    """Filters are convolutions; the gradients of a transposed convolution are, too, but are not asked."""

    class Anything(Right):
        def quantised_way(self, *args):
            return Implementation("bytes", None, 1e-3, 1234)

    register(Anything)
    image, w, grad_y = np.ones((5, 6, 3), np.uint8), np.ones((3, 2, 3, 3), np.int8), np.ones((1, 2, 6, 6), np.uint8)
    for call, arrays, asked in (
        ("conv2d", (grad_y, w), True), ("filter2d", (image, w[0, 0]), True),
        ("conv_transpose2d_grad_input", (grad_y, w, (1, 3, 4, 4)), False),
        ("conv_transpose2d", (grad_y[:, :1], w[:1]), False),
    ):  # fmt: skip
        before = Right.taken
        y = getattr(convlib, call)(*arrays, backend="right")
        np.testing.assert_array_equal(y, getattr(convlib, call)(*arrays, backend="naive"))
        assert Right.taken == before + asked, call
        assert (convlib.explain(call, *arrays, backend="right").algorithm == "bytes") is asked, call
