"""float32 in three parts of bfloat16 on a matrix unit: a real one, or the one in plain C."""

from __future__ import annotations

import numpy as np
import pytest

import convlib
from convlib._ext import _native_conv as conv

from .common import ISAS, WORKSPACE, lacking, pairs, reference, run, sizes, target

MATRIX = [isa for isa, name in pairs("conv") if name == "bf16x3"]


def test_the_unit_in_plain_c_is_always_there() -> None:
    assert "scalar" in MATRIX
    assert ("amx" in ISAS) == ("amx" in MATRIX)


@pytest.mark.parametrize("isa", MATRIX, indirect=True)
@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60, 2.0**100])
def test_small_and_large_numbers(isa: str, scale: float) -> None:
    rng = np.random.default_rng(6)
    problem = sizes(1, 1, 40, 17, (6, 6), (1, 1))
    x = (rng.integers(-99, 100, (1, 40, 6, 6)) * scale).astype("f4")
    w = rng.integers(-99, 100, (17, 40, 1, 1)).astype("f4")
    _, y = target(problem, "float32")
    assert run(problem, "bf16x3", x, w, None, y) is not None
    np.testing.assert_array_equal(y, reference(problem, x, w, None))


@pytest.mark.parametrize("isa", MATRIX, indirect=True)
def test_its_error_is_that_of_float32(isa: str) -> None:
    """Numbers of 24 bits: two parts of bfloat16 would err by 2 ** -17, three do by 2 ** -24."""
    rng = np.random.default_rng(8)
    problem = sizes(1, 1, 64, 16, (8, 8), (3, 3), lo=1)
    x, w = (rng.uniform(1, 2, shape).astype("f4") for shape in ((1, 64, 8, 8), (16, 64, 3, 3)))
    _, y = target(problem, "float32")
    assert run(problem, "bf16x3", x, w, None, y) is not None
    np.testing.assert_allclose(y, reference(problem, x, w.astype("f8"), None), rtol=2e-6)


@pytest.mark.parametrize("isa", MATRIX, indirect=True)
@pytest.mark.parametrize("threads", [1, 4])  # planes of each thread, planes that all share
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("tiny", ["x", "w"])
def test_numbers_whose_parts_would_underflow_are_summed_directly(isa: str, tiny: str, last: bool, threads: int) -> None:
    """The third part of 2 ** -120 lies below the smallest normal number: the error was 5e-5."""
    rng = np.random.default_rng(9)
    layout = "NHWC" if last else "NCHW"
    x, w = (rng.uniform(1, 2, shape).astype("f4") for shape in ((1, 40, 6, 6), (17, 40, 3, 3)))
    expected = convlib.conv2d(x.astype("f8"), w.astype("f8"), padding=1, backend="cython")
    small, large = np.float32(2.0**-120), np.float32(2.0**60)
    x, w = (x * small, w * large) if tiny == "x" else (x * large, w * small)
    if last:
        x, expected = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, expected))
    plan = convlib.plan_conv2d(x.shape, w, padding=1, layout=layout, backend="native:bf16x3")
    with convlib.num_threads(threads):
        fresh = convlib.conv2d(x, w, padding=1, layout=layout, backend="native:bf16x3")
        planned = plan(x)
    for y in fresh, planned:
        np.testing.assert_allclose(y, expected * 2.0**-60, rtol=2e-6)


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa not in MATRIX], indirect=True)
def test_it_is_refused_where_there_is_no_matrix_unit(isa: str) -> None:
    """A call and the preparation of its weights: it is the one implementation that others than scalar may lack."""
    assert lacking("conv") <= {"bf16x3", "depthwise_plane"}
    p = conv.ConvProblem(*sizes(1, 1, 2, 2, (5,), (3,)))
    x, w, y = (np.ones(s, "f4") for s in ((1, 2, 5), (2, 2, 3), (1, 2, 3)))
    with pytest.raises(MemoryError, match="bf16x3 cannot serve"):
        conv.conv(p, x, w, None, y, "bf16x3", False, 1, WORKSPACE)
    with pytest.raises(MemoryError, match="bf16x3 cannot serve"):
        conv.Packed(p, w, None, "bf16x3", False, 1, WORKSPACE)
