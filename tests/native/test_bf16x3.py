"""float32 in three parts of bfloat16 on a matrix unit: a real one, or the one in plain C."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from expected import under_isa

from convlib._ext import _native as native

from .common import ISAS, check, pairs, posed, reference, run, sizes, target


@pytest.fixture(params=[isa for isa, name in pairs() if name == "bf16x3"])
def matrix_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with under_isa(request.param):
        yield request.param


def test_the_unit_in_plain_c_is_always_there() -> None:
    assert ("scalar", "bf16x3") in pairs()
    assert ("amx" in ISAS) == (("amx", "bf16x3") in pairs())


#: Blocks of rows, of columns, of images and of slices; tiles of 16 and of 32 outputs and pixels, one less and one more;
#: taps that count as channels along W, and all of them; channels that fill a block of 32, and one more.
EDGES = {
    "outputs 15": sizes(1, 1, 33, 15, (5, 31), (3, 3), lo=1),
    "outputs 16": sizes(1, 1, 32, 16, (4, 8), (1, 1)),
    "outputs 17": sizes(1, 1, 31, 17, (6, 3), (3, 3), lo=1),
    "outputs 33": sizes(2, 1, 64, 33, (3, 11), (1, 1)),
    "outputs 48": sizes(1, 2, 40, 48, (9, 9), (3, 3), 2, lo=1),
    "blocks of rows": sizes(1, 1, 33, 32, (34, 35), (3, 3), lo=1),
    "blocks of columns": sizes(1, 1, 70, 20, (1, 3000), (1, 1)),
    "blocks of images": sizes(9, 1, 64, 32, (14, 14), (3, 3), lo=1),
    "blocks of slices": sizes(1, 1, 32, 16, (8, 11, 12), (3, 3, 3), lo=1),
    "taps along W": sizes(1, 1, 3, 40, (30, 31), (7, 7), 2, lo=3),
    "all taps": sizes(1, 1, 3, 16, (20, 33), (3, 3), lo=1),
    "phases": sizes(2, 1, 35, 16, (17, 19), (3, 3), 2, lo=1),
    "phases of dilated taps": sizes(1, 1, 33, 16, (21, 22), (3, 4), 2, 3, 2),
    "more stride than kernel": sizes(1, 1, 32, 16, (22, 23), (2, 2), 3),
    "few pixels, many outputs": sizes(1, 1, 64, 200, (7, 7), (3, 3), lo=1),
}


@pytest.mark.parametrize("case", EDGES)
def test_at_its_edges(matrix_isa: str, case: str) -> None:
    for threads, packed, last in ((1, False, False), (2, True, False), (2, False, True), (5, True, True)):
        check(EDGES[case], "bf16x3", threads=threads, packed=packed, last=last, workspace=1 << 20)
        check(EDGES[case], "bf16x3", threads=threads, packed=packed, last=last, bias=False)


def test_weights_packed_for_channels_last_serve_other_arrays_too(matrix_isa: str) -> None:
    problem = sizes(1, 1, 40, 33, (6, 7), (3, 3), lo=1)
    x, w, _, expected = posed(problem)
    _, y = target(problem, "float32")
    run(problem, "bf16x3", x, w, None, y, last=True, packed=True)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60, 2.0**100])
def test_small_and_large_numbers(matrix_isa: str, scale: float) -> None:
    rng = np.random.default_rng(6)
    problem = sizes(1, 1, 40, 17, (6, 6), (1, 1))
    x = (rng.integers(-99, 100, (1, 40, 6, 6)) * scale).astype("f4")
    w = rng.integers(-99, 100, (17, 40, 1, 1)).astype("f4")
    _, y = target(problem, "float32")
    run(problem, "bf16x3", x, w, None, y)
    np.testing.assert_array_equal(y, reference(problem, x, w, None))


def check_refusal(dtype: str) -> None:
    """A call and the preparation of its weights must say what they lack."""
    p = native.ConvProblem(*sizes(1, 1, 2, 2, (5,), (3,)))
    x, w, y = (np.ones(s, dtype) for s in ((1, 2, 5), (2, 2, 3), (1, 2, 3)))
    with pytest.raises(ValueError, match="bf16x3 serves float32 on a matrix unit"):
        native.conv(p, x, w, None, y, "bf16x3", 1, 9)
    with pytest.raises(ValueError, match="bf16x3 serves float32 on a matrix unit"):
        native.Weights(p, w, "bf16x3", 1)


def test_it_is_refused_where_there_is_no_matrix_unit(isa: str) -> None:
    if native.has_bf16x3():
        pytest.skip(f"{isa} has one")
    check_refusal("float32")


def test_doubles_are_refused(isa: str) -> None:
    check_refusal("float64")
