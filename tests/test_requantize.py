"""Sums of integers scaled to integers of few bits: rounded half to even, clipped, refused where that has no meaning."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

import convlib


def exactly(x, scale, zero, dtype):
    """Do it with fractions; Python rounds them half to even."""
    info = np.iinfo(dtype)
    return [min(max(round(value * Fraction(scale)) + zero, int(info.min)), int(info.max)) for value in x]


def test_by_hand():
    x = np.array([[-5, -3, -1, 0, 1, 3, 5, 1000]], np.int32)
    y = convlib.requantize(x, 0.5)
    assert y.dtype == np.int8
    assert y.tolist() == [[-2, -2, 0, 0, 0, 2, 2, 127]]
    y = convlib.requantize(x, 0.5, np.uint8(3))
    assert y.dtype == np.uint8
    assert y.tolist() == [[1, 1, 3, 3, 3, 5, 5, 255]]
    y = convlib.requantize(x, 2, -100, dtype="int16")
    assert y.tolist() == [[-110, -106, -102, -100, -98, -94, -90, 1900]]
    assert convlib.requantize([[1, 2]], [0.5], dtype=">i2").dtype == np.int16


@given(st.data())
def test_what_fractions_give(data):
    dtype = np.dtype(data.draw(st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "uint32"])))
    # Of 21 bits: products with sums of int32 are exact in doubles.
    scale = data.draw(st.integers(0, 2**21)) * 2.0 ** -data.draw(st.integers(0, 40))
    zero = data.draw(st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)))
    x = data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20))
    y = convlib.requantize(np.array(x, np.int32), scale, zero, dtype=dtype, axis=0)
    assert y.dtype == dtype
    assert y.tolist() == exactly(x, scale, zero, dtype)


@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3, 4, 5), 1), ((2, 4, 5, 3), -1), ((3, 40), 0), ((1, 3, 200, 300), 1)]
)
def test_a_scale_per_channel(shape, axis):
    x = np.random.default_rng(0).integers(-2000, 2000, shape, np.int32)
    scale = np.array([0.25, 0.03, 1.5])
    y = convlib.requantize(x, scale, 7, axis=axis)
    for channel, one in enumerate(scale):
        part = np.moveaxis(x, axis, 0)[channel]
        np.testing.assert_array_equal(np.moveaxis(y, axis, 0)[channel], convlib.requantize(part, one, 7))


def test_out_is_filled_and_no_large_copy_is_made():
    x = np.arange(1_000_000, dtype=np.int32).reshape(1, 4, 500, 500)
    out = np.zeros((500, 500, 4), np.uint8)
    view = np.moveaxis(out, -1, 0)[None]
    tracemalloc.start()
    assert convlib.requantize(x, [1e-4] * 4, 0, dtype="uint8", out=view) is view
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    np.testing.assert_array_equal(view, convlib.requantize(x, 1e-4, np.uint8(0)))
    with pytest.raises(TypeError, match="out has dtype uint8; the result has int8"):
        convlib.requantize(x, 1e-4, out=view)
    with pytest.raises(convlib.SpecError, match="out has the shape"):
        convlib.requantize(x, 1e-4, np.uint8(0), out=out)
    with pytest.raises(convlib.SpecError, match="out overlaps an input"):
        convlib.requantize(x, 1e-4, dtype="int32", out=x)


def test_empty_arrays():
    assert convlib.requantize(np.zeros((0, 3), np.int32), [1, 1, 1]).shape == (0, 3)


REFUSED = {
    "floats": (([1.5], 1), {}, TypeError, "x has dtype float64; it must be sums of integers"),
    "complex scale": (([1], 1j), {}, TypeError, "scale has dtype complex128; it must be real numbers"),
    "type": (([1], 1), {"dtype": "int64"}, TypeError, "dtype='int64' must be one of int8, uint8"),
    "float result": (([1], 1), {"dtype": "float32"}, TypeError, "dtype='float32' must be one of"),
    "zero of another type": (([1], 1, np.uint8(3)), {"dtype": "int8"}, TypeError, "zero_point has dtype uint8"),
    "zero does not fit": (([1], 1, 128), {}, convlib.SpecError, "zero_point=128 .* int8 holds -128 to 127"),
    "two zeros": (([1], 1, [1, 2]), {}, convlib.SpecError, r"zero_point has the shape \(2,\); it must be one number"),
    "scales": (([[1, 2]], [1.0, 2, 3]), {}, convlib.SpecError, r"scale has the shape \(3,\); .* shape \(2,\), one per"),
    "axis": (([[1, 2]], [1.0, 2]), {"axis": 2}, convlib.SpecError, r"axis=2 is none of x \(1, 2\); valid: -2 to 1"),
    "nan": (([1], np.nan), {}, convlib.SpecError, "scale holds nan; it must be finite and not negative"),
    "negative": (([[1, 2]], [1.0, -2]), {}, convlib.SpecError, r"scale holds -2\.0"),
    "name": (([1], 1), {"zeropoint": 1}, TypeError, "did you mean 'zero_point'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name):
    args, options, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        convlib.requantize(*args, **options)
