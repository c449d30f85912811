"""What every implementation promises, whatever it is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from expected import under_isa

from convlib._ext import _native as native

from .common import ISAS, WORKSPACE, check, check_bits, laid, pairs, reference, run, shapes, sizes, target

PAIRS = pairs()

#: These serve every convolution of floats: a refusal is a failure.
GENERAL = ("gemm", "direct")

CASES = {
    "3x3": sizes(2, 1, 5, 9, (13, 11), (3, 3), lo=1),
    "3x3 wide": sizes(1, 1, 40, 16, (6, 70), (3, 3), lo=1),
    "3x3 deep": sizes(1, 1, 130, 17, (7, 7), (3, 3), lo=1),
    "valid": sizes(1, 1, 3, 4, (9, 20), (3, 3)),
    "stride 2": sizes(2, 1, 4, 8, (15, 33), (3, 3), 2, lo=1),
    "stride 3": sizes(1, 1, 4, 8, (15, 53), (3, 2), 3, lo=1),
    "pointwise stride 2": sizes(1, 1, 6, 8, (14, 37), (1, 1), 2),
    "dilation 2": sizes(1, 1, 4, 8, (15, 21), (3, 3), 1, 2, 2),
    "dilation 2 stride 2": sizes(1, 1, 4, 8, (15, 21), (3, 3), 2, 2, 2),
    "groups": sizes(2, 3, 4, 5, (9, 8), (3, 3), lo=1),
    "depthwise": sizes(2, 7, 1, 1, (9, 8), (3, 3), lo=1),
    "stem": sizes(1, 1, 3, 16, (31, 30), (7, 7), 2, lo=3),
    "padding wider than the kernel": sizes(1, 1, 2, 3, (3, 2), (2, 2), lo=4),
    "asymmetric": sizes(1, 1, 2, 3, (6, 7), (3, 3), lo=2, hi=0),
    "pointwise, padding behind": sizes(2, 1, 5, 9, (14,), (1,), hi=2),
    "pointwise, padding far behind": sizes(1, 2, 5, 9, (40,), (1,), hi=70),
    "one column": sizes(1, 1, 3, 4, (40, 1), (3, 1), lo=0),
    "1d": sizes(2, 1, 5, 6, (70,), (9,), lo=4),
    "1d dilated": sizes(1, 1, 5, 6, (70,), (3,), 1, 7, 7),
    "3d": sizes(1, 1, 5, 9, (5, 6, 7), (3, 3, 3), lo=1),
    "3d stride 2": sizes(1, 2, 3, 4, (5, 6, 17), (3, 3, 3), 2, lo=1),
    "3d pointwise": sizes(2, 1, 5, 9, (5, 6, 7), (1, 1, 1)),
    "kernel larger than a block": sizes(1, 1, 1, 3, (30, 25), (25, 20)),
    "one output": sizes(1, 1, 7, 3, (3, 3), (3, 3)),
    "few pixels": sizes(1, 1, 40, 50, (7, 7), (3, 3), lo=1),
    "few pixels, many channels": sizes(1, 1, 500, 70, (7, 7), (1, 1)),
    "few pixels, batch, stride": sizes(5, 1, 33, 70, (9, 9), (3, 3), 2, lo=1),
    "few pixels, groups": sizes(2, 2, 9, 49, (5, 6), (3, 3), lo=1),
    "few pixels 3d": sizes(1, 1, 3, 97, (4, 3, 3), (3, 3, 3), lo=1),
    "groups of one vector": sizes(2, 3, 5, 16, (9, 14), (3, 3), lo=1),
    "groups of most of a vector": sizes(1, 2, 7, 13, (30, 7), (3, 3), lo=1),
    "groups of a vector, odd width": sizes(1, 2, 20, 16, (11, 17), (3, 2), 2, lo=1),
    "groups of two vectors": sizes(1, 2, 9, 32, (13, 9), (3, 3), lo=1),
    "groups of two vectors, stride 2, dilation": sizes(1, 2, 6, 30, (20, 21), (3, 3), 2, 2, 2),
    "four vectors": sizes(2, 1, 70, 61, (9, 30), (3, 3), lo=1),
    "groups of a vector, many channels": sizes(1, 1, 300, 16, (12, 40), (5, 5), lo=2),
    "groups of a vector 3d": sizes(1, 2, 4, 16, (5, 6, 8), (3, 3, 3), 2, lo=1),
    "one pixel": sizes(1, 1, 40, 50, (3, 3), (3, 3)),
    "one pixel, batch": sizes(9, 1, 12, 48, (1,), (1,)),
}


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(pair))
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name each implementation, under each instruction set that has it."""
    isa, name = request.param
    with under_isa(isa):
        yield name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_every_problem_is_served_or_refused(name: str, case: str, dtype: str) -> None:
    try:
        for last in (False, True):
            check(CASES[case], name, dtype, last=last, bias=last)
            check(CASES[case], name, dtype, last=last, packed=True, framed=not last)
    except ValueError as error:
        if name in GENERAL or " serves " not in str(error):
            raise
        pytest.skip(f"{name}: {error}")


def test_the_bits_depend_on_neither_threads_nor_scratch(name: str) -> None:
    problem = sizes(2, 1, 40, 24, (30, 31), (3, 3), lo=1)
    check_bits(problem, name, [(1, WORKSPACE), (2, WORKSPACE), (3, WORKSPACE), (7, WORKSPACE), (2, 1 << 20)])


@pytest.mark.parametrize("last", [False, True])
def test_nothing_outside_the_result_is_written(name: str, last: bool) -> None:
    for (oh, ow), ocg in itertools.product(((1, 1), (3, 5), (7, 16), (5, 17), (2, 50)), (1, 9, 16, 19, 48)):
        check(sizes(1, 1, 3, ocg, (oh, ow), (3, 3), lo=1), name, last=last, framed=True)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("last", [False, True])
def test_non_finite_input_stays_in_its_windows(name: str, value: float, last: bool) -> None:
    problem = sizes(1, 1, 8, 9, (20, 23), (3, 3), lo=1)
    x, w = np.ones((1, 8, 20, 23), "f4"), np.ones((9, 8, 3, 3), "f4")
    x[0, 3, 9, 10] = value
    inside = np.zeros((20, 23), bool)
    inside[8:11, 9:12] = True
    _, y = target(problem, "float32", last)
    run(problem, name, laid(x, last), w, None, y, last=last)
    assert np.isfinite(y[..., ~inside]).all()
    np.testing.assert_array_equal(y[..., inside], np.full((1, 9, 9), value, "f4"))


def test_infinite_weights_reach_all_outputs_of_their_channel(name: str) -> None:
    problem = sizes(1, 1, 4, 3, (11, 11), (3, 3))
    x, w = np.ones((1, 4, 11, 11), "f4"), np.ones((3, 4, 3, 3), "f4")
    w[1, 2, 0, 0] = np.inf
    _, y = target(problem, "float32")
    run(problem, name, x, w, None, y)
    np.testing.assert_allclose(y, reference(problem, x, w, None), rtol=1e-6)


def test_results_round_like_sums(name: str) -> None:
    """Random numbers against sums in double precision; dropping low parts of numbers errs a hundred times so."""
    rng = np.random.default_rng(5)
    problem = sizes(1, 1, 96, 20, (9, 10), (3, 3), lo=1)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in shapes(problem))
    _, y = target(problem, "float32")
    run(problem, name, x, w, None, y)
    expected = reference(problem, x.astype("f8"), w.astype("f8"), None)
    assert np.sqrt(((y - expected) ** 2).mean()) < 12 * np.finfo("f4").eps * expected.std()


def test_vectors_are_as_wide_as_the_instruction_set_says(isa: str) -> None:
    assert native.vector_bytes() == {"amx": 64, "avx512": 64, "avx2": 32, "neon": 16, "scalar": 16}[isa]


def test_isa_names() -> None:
    assert ISAS[-1] == "scalar"
    with pytest.raises(ValueError, match="cannot run here"):
        native.set_isa("mmx")
