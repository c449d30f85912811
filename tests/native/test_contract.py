"""What every implementation of a convolution promises, whatever it is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from expected import under_isa

from convlib._ext import _native as native, _native_conv as conv

from .common import (
    ISAS,
    ROUNDING,
    WORKSPACE,
    Problem,
    Way,
    check,
    check_bits,
    emulated,
    laid,
    pairs,
    posed,
    reference,
    run,
    shapes,
    sizes,
    target,
)  # fmt: skip

#: For each implementation the first that it serves is taken.
PLAIN = (
    sizes(2, 1, 40, 24, (20, 21), (3, 3), lo=1), sizes(2, 63, 1, 1, (14, 15), (3, 3), lo=1),
    sizes(1, 1, 40, 300, (14, 14), (1, 1)),
)  # fmt: skip

#: The same for a matrix unit in plain C: images, tiles and channels that are not full.
FEW = (sizes(2, 1, 33, 17, (4, 5), (3, 3), lo=1), sizes(1, 2, 40, 9, (3, 7), (1, 1)))


@pytest.fixture(params=pairs("conv"), ids=lambda pair: "-".join(pair))
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name each implementation, under each instruction set that has it."""
    isa, name = request.param
    with under_isa(isa):
        yield name


def served(name: str, *problems: Problem) -> tuple[Problem, bool]:
    """Return the first problem that an implementation serves, and whether with channels last only."""
    for last, problem in itertools.product((False, True), problems):
        p = conv.ConvProblem(*problem, last)
        if p.chosen("conv", ord("f"), name, False, True, 2, WORKSPACE) is not None:
            return problem, last
    raise AssertionError(f"{name} serves none of {problems}")


def test_the_bits_depend_on_neither_threads_nor_scratch_nor_packing(name: str) -> None:
    problem, last = served(name, *(FEW if emulated(name) else PLAIN))
    ways = [Way(threads=threads, last=last) for threads in (1, 2, 3, 7)]
    ways += [Way(workspace=bound, last=last) for bound in (1 << 20, 1 << 18, 1)]
    ways += [Way(packed=True, last=last), Way(turned=1, last=last)]
    assert check_bits(problem, name, ways) >= 4


#: Whose copies are larger for few threads than for many, and others.
TIGHT = (
    Problem(2, 2, 3, 14, (26, 240), (3, 7), (6, 48), (5, 5), (1, 1), (1, 1)),
    sizes(1, 1, 3, 32, (56, 58), (7, 7), 2, lo=3), *PLAIN,
)  # fmt: skip


def test_little_scratch_is_kept_to(name: str) -> None:
    """Packed weights and the copies of all threads share it; which problems fit depends on no number of threads."""
    if emulated(name):
        pytest.skip("a matrix unit in plain C takes minutes for so many calls")
    bounds = [int(20_000 * 1.5**step) for step in range(10)]
    for problem, packed in itertools.product(TIGHT, (False, True)):
        for bound in bounds:
            ways = [Way(threads=threads, workspace=bound, packed=packed) for threads in (1, 2, 8)]
            fits = [check(problem, name, "float32", way) for way in ways]
            assert len(set(fits)) == 1 or bound < 1 << 16, f"{problem}, {bound} bytes: {fits}"


def test_scratch_said_is_scratch_allocated(name: str) -> None:
    """And it stays below its bound, or the call is refused; fresh weights and packed, tables and parts."""
    compared = 0
    problems = FEW if emulated(name) else (*PLAIN, sizes(1, 2, 70, 90, (9, 9), (3, 3), lo=1))
    for problem, last, packed, (threads, bound) in itertools.product(
        problems, (False, True), (False, True),
        ((1, WORKSPACE), (3, WORKSPACE), (3, 1 << 18), (2, 1 << 14)),
    ):  # fmt: skip
        way = Way(last=last, packed=packed, threads=threads, workspace=bound)
        x, w, *_ = posed(problem)
        _, y = target(problem, "float32", last)
        plan = conv.ConvProblem(*problem, last).chosen("conv", ord("f"), name, False, not packed, threads, bound)
        took = run(problem, name, laid(x, last), w, None, y, way)
        assert (took is None) == (plan is None), f"{name}, {problem}, {way}"
        if plan is not None:
            assert took == plan.scratch <= bound, f"{name}, {problem}, {way}: {took} of {plan.scratch}"
            compared += 1
    assert compared >= 4


def test_nothing_outside_the_result_is_written(name: str) -> None:
    ran = 0
    outputs, counts = ((1, 1), (3, 5), (7, 16), (5, 17), (2, 50)), (1, 9, 16, 19, 48)
    if emulated(name):
        outputs, counts = (*outputs[:2], (2, 17)), counts[1:4]
    for (oh, ow), channels, last in itertools.product(outputs, counts, (False, True)):
        for problem in (
            sizes(1, 1, 3, channels, (oh, ow), (3, 3), lo=1), sizes(1, channels, 1, 1, (oh, ow), (3, 3), lo=1),
            sizes(1, 1, 3, channels, (oh, ow), (1, 1)),
        ):  # fmt: skip
            ran += sum(check(problem, name, way=Way(last=last, framed=framed)) for framed in (True, False))
    assert ran >= 10


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_non_finite_input_stays_in_its_windows(name: str, value: float) -> None:
    problem, last = served(
        name, sizes(1, 1, 8, 9, (15, 13), (3, 3), lo=1), sizes(1, 8, 1, 1, (15, 13), (3, 3), lo=1),
        sizes(1, 1, 8, 9, (15, 13), (1, 1)),
    )  # fmt: skip
    for threads in (1, 2):
        (x_shape, w_shape), reach = shapes(problem), problem.kernel[0] // 2
        x, w = np.ones(x_shape, "f4"), np.ones(w_shape, "f4")
        x[0, 3, 9, 10] = value
        _, y = target(problem, "float32", last)
        assert run(problem, name, laid(x, last), w, None, y, Way(last=last, threads=threads)) is not None
        inside = np.zeros(y.shape, bool)
        channels = slice(3, 4) if problem.groups > 1 else slice(None)
        inside[:, channels, 9 - reach : 10 + reach, 10 - reach : 11 + reach] = True
        assert np.isfinite(y[~inside]).all()
        np.testing.assert_array_equal(y[inside], np.full(inside.sum(), value, "f4"))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_weights_that_are_not_finite_poison_their_channel_and_no_other(name: str, value: float) -> None:
    """Where they meet padding alone, too, some implementations may form a product of 0 and infinity: not beyond."""
    problem, last = served(
        name, sizes(1, 1, 4, 3, (11, 11), (3, 3)), sizes(1, 4, 1, 1, (11, 11), (3, 3)),
        sizes(1, 4, 1, 1, (11, 11), (3, 3), lo=1), sizes(1, 1, 4, 3, (11, 11), (1, 1)),
    )  # fmt: skip
    (x_shape, w_shape) = shapes(problem)
    x, w = np.ones(x_shape, "f4"), np.ones(w_shape, "f4")
    w[1, -1, 0, 0] = value
    _, y = target(problem, "float32", last)
    assert run(problem, name, laid(x, last), w, None, y, Way(last=last)) is not None
    start = problem.lo[0]
    with np.errstate(invalid="ignore"):
        expected = reference(problem, x, w, None)
    np.testing.assert_allclose(y[..., start:, start:], expected[..., start:, start:], rtol=1e-6)
    assert np.isfinite(y[:, [0, 2]]).all()


def test_results_round_like_sums(name: str) -> None:
    """Random numbers against sums in double precision; dropping low parts of numbers errs a hundred times so."""
    rng = np.random.default_rng(5)
    problem, last = served(
        name, sizes(1, 1, 96, 20, (9, 10), (3, 3), lo=1), sizes(1, 96, 1, 1, (9, 10), (3, 3), lo=1),
        sizes(1, 1, 800, 20, (9, 10), (1, 1)),
    )  # fmt: skip
    x, w = (rng.standard_normal(shape).astype("f4") for shape in shapes(problem))
    _, y = target(problem, "float32", last)
    assert run(problem, name, laid(x, last), w, None, y, Way(last=last)) is not None
    expected = reference(problem, x.astype("f8"), w.astype("f8"), None)
    assert np.sqrt(((y - expected) ** 2).mean()) < 12 * np.finfo("f4").eps * expected.std()


def test_arrays_of_any_strides(name: str) -> None:
    """Every second number of input and result, images backwards, broadcast channels: served, or refused by its name."""
    problems = FEW if emulated(name) else (*PLAIN, sizes(1, 33, 1, 1, (3, 20), (9, 7), lo=4))
    for problem, last in itertools.product(problems, (False, True)):
        x, w, _, expected = posed(problem)
        gaps = laid(np.repeat(x, 2, -1), last)[..., ::2]
        backwards = laid(np.ascontiguousarray(x[:, :, ::-1]), last)[:, :, ::-1]
        for given in (gaps, backwards):
            whole, y = target(problem, "float32", last)
            if run(problem, name, given, w, None, y, Way(last=last)) is None:
                assert name not in ("direct", "gemm_panels"), "these serve any strides"
                continue
            margin = 2e-5 * problem.icg * 9 if name in ROUNDING else 0
            assert (np.abs(y - expected) <= margin).all(), f"{name}, {problem}"
            y[...] = 7
            assert (whole == 7).all()


def test_vectors_are_as_wide_as_the_instruction_set_says(isa: str) -> None:
    widths = {"amx": 64, "avx512": 64, "avx2": 32, "neon": 16, "simd128": 16, "scalar": 16}
    assert native.vector_bytes() == widths[isa]


def test_isa_names() -> None:
    assert ISAS[-1] == "scalar"
    with pytest.raises(ValueError, match="cannot run here"):
        native.set_isa("mmx")


def test_padding_that_is_copied_is_counted(isa: str) -> None:
    """Windows far beyond the input, in steps that no copy of it should have: the direct sums are the least."""
    for icg in (1, 2, 4):
        p = conv.ConvProblem(2, 16, icg, 8, (8,), (3,), (7832,), (274175,), (137087,), (2**30,))
        said = p.verdicts("conv", ord("f"), True, 2, WORKSPACE)
        times = {row: time for row, _, refusal, time, _ in said if not refusal}
        assert times["direct"] * 5 < times.get("gemm_broadcast", float("inf")), times  # it takes 9 times as long
