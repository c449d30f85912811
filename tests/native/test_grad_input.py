"""Every implementation of an input gradient as a whole, by name, bit for bit on small integers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib import registry
from convlib._ext import _native as native, _native_conv as conv
from convlib.spec import ConvSpec

from .common import (
    CHANNELS_LAST,
    UNTOUCHED,
    WORKSPACE,
    Problem,
    Way,
    among_others,
    edges,
    framed_like,
    kernels,
    lanes,
    pairs,
    refusal,
    shapes,
    sizes,
    traced,
)  # fmt: skip
from .shapes import KINDS

OP = "conv_grad_input"
ENOUGH = 100

CASES = (
    *KINDS,
    # windows of all widths, even ones, and one that is too wide; one column and one row; outputs that end early
    *(sizes(1, 3, 1, 1, (9, 21), (3, k), 2, lo=k // 2) for k in range(1, 17)),
    sizes(2, 3, 1, 1, (9, 1), (3, 1), 2, lo=1), sizes(1, 3, 1, 1, (1, 9), (1, 3), 2, lo=1),
    sizes(1, 2, 1, 1, (8, 40), (3, 3), 2), Problem(1, 2, 1, 1, (9, 40), (3, 3), (2, 9), (2, 2), (1, 1), (1, 1)),
    # taps that reach no element, several outputs per input, one axis and three, other strides and dilations of these
    sizes(1, 2, 1, 1, (8, 40), (1, 1), 2), sizes(2, 3, 1, 4, (8, 37), (3, 3), 2, lo=1),
    sizes(2, 3, 1, 1, (70,), (5,), 2, lo=2), sizes(1, 2, 1, 2, (5, 6, 17), (3, 3, 3), 2, lo=1),
    *(
        Problem(1, 2, 1, 1, (13, 11, 19), (3, 4, 3), (3, 4, 9), (s, s + 1, 2), (d, d % 3 + 1, 1), (2, 1, lo))
        for s, d, lo in itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1))
    ),
    # padding wider than the window
    *(sizes(1, 2, 1, 1, (3, 20), (3, 3), 2, lo=lo) for lo in (3, 4, 7)),
)  # fmt: skip


def problems(dtype: str) -> Iterator[Problem]:
    """Pairs about one, two and more vectors, in rows of even and odd length; windows and padding in turn."""
    yield from CASES
    windows = itertools.cycle(itertools.product((3, 5, 2, 7, 4), (0, 1, 2, 3)))
    for pairs_, odd in itertools.product((1, *edges(*(n * lanes(dtype) for n in (1, 2, 3)))), (0, 1)):
        for k, lo in itertools.islice(windows, 3):
            yield sizes(2, 3, 1, 1, (3, max(k, 2 * pairs_ - odd)), (3, k), 2, lo=lo)


@lru_cache(maxsize=512)
def posed(problem: Problem) -> tuple[Any, Any, Any]:
    """Return small integers for w and grad_y, and what each tap adds to the padded input, summed."""
    n, g, icg, ocg, size, k, out, stride, dil, lo = problem
    rng = np.random.default_rng(sum(size) + ocg)
    w = rng.integers(-3, 4, shapes(problem)[1]).astype("f4")
    grad = rng.integers(-3, 4, (n, g * ocg, *out)).astype("f4")
    reach = [(o - 1) * s + d * (kk - 1) + 1 for o, s, d, kk in zip(out, stride, dil, k, strict=True)]
    wide = np.zeros((n, g, icg, *(max(r, s + a) for r, s, a in zip(reach, size, lo, strict=True))))
    by_group = w.reshape(g, ocg, icg, *k)
    for tap in itertools.product(*map(range, k)):
        at = (slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dil, out, stride, strict=True))
        wide[(..., *at)] += np.einsum("ngo...,goi->ngi...", grad.reshape(n, g, ocg, *out), by_group[(..., *tap)])
    inside = wide[(..., *(slice(a, a + s) for a, s in zip(lo, size, strict=True)))]
    return w, grad, inside.reshape(n, g * icg, *size)


def check(problem: Problem, name: str, dtype: str, way: Way) -> bool:
    """Run a problem, and return whether it is served; a refusal must be what the engine says."""
    said = f"{name}, {problem}, {dtype}, {way}"
    reason, p = refusal(OP, problem, name, dtype, way), conv.ConvProblem(*problem, way.last)
    plan = p.chosen(OP, ord(np.dtype(dtype).char), name, False, True, way.threads, way.workspace)
    assert (plan is None) == (reason is not None), said
    if plan is None:
        return False
    w, grad, expected = posed(problem)
    whole, made = framed_like(expected.shape, dtype, framed=way.framed)
    given = w.astype(dtype), np.repeat(grad.astype(dtype), 2, 1)[:, ::2] if way.framed else grad.astype(dtype)
    served: list[bool] = []
    fresh = conv.ConvProblem(*problem, way.last)  # which has no plan yet, so that its tables are seen
    peak = traced(
        name, way.workspace,
        lambda: served.append(conv.gradient(OP, fresh, made, *given, name, way.threads, way.workspace)),
    )  # fmt: skip
    assert served == [True], said
    assert way.framed or peak == plan.scratch, f"{said}: {peak} bytes of {plan.scratch}"
    np.testing.assert_array_equal(made, expected, err_msg=said)
    made[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"
    return True


@pytest.mark.parametrize(("isa", "name", "dtype"), kernels(OP, "float32", "float64"))
def test_plain_sums(isa: str, name: str, dtype: str, record_property: Callable[[str, int], None]) -> None:
    runs = 0
    with under_isa(isa):
        for turn, problem in enumerate(dict.fromkeys(problems(dtype))):
            for way in (Way(threads=1 + turn % 4), Way(last=True), Way(framed=True), Way(workspace=1 << 10)):
                runs += check(problem, name, dtype, way)
    assert runs >= ENOUGH
    record_property("runs", runs)


def test_every_implementation_has_kernels_under_every_instruction_set_that_it_may() -> None:
    tried = {(isa, name) for isa, name, dtype in kernels(OP, "float32") if dtype}
    assert tried == set(pairs(OP))
    assert {name for _, name in tried} == {name for name, *_ in native.implementations(OP)}


@pytest.mark.parametrize(("isa", "name"), pairs(OP))
def test_arrays_that_are_not_for_it_are_refused(isa: str, name: str) -> None:
    problem = sizes(1, 3, 1, 1, (9, 20), (3, 3), 2, lo=1)
    w, grad, expected = posed(problem)
    made = np.full((*expected.shape, 2), UNTOUCHED, "f4")[..., 0]
    with under_isa(isa):
        assert not conv.gradient(OP, conv.ConvProblem(*problem), made, w, grad, name, 2, WORKSPACE)
    assert (made == UNTOUCHED).all()
    with pytest.raises(TypeError, match="differ in type"):
        conv.gradient(OP, conv.ConvProblem(*problem), made, w, grad.astype("f8"), name, 2, WORKSPACE)


@pytest.mark.parametrize(("isa", "name"), pairs(OP))
def test_results_round_like_sums(isa: str, name: str) -> None:
    """Sums of 49 products at most: a few units in the last place of their terms."""
    rng = np.random.default_rng(3)
    x, w = (2, 9, 31, 40), rng.standard_normal((9, 1, 7, 7))
    grad = rng.standard_normal((2, 9, 16, 20))
    options: dict[str, Any] = {"stride": 2, "padding": 3, "groups": 9}
    expected = convlib.conv2d_grad_input(grad, w, x, backend="cython", **options)
    terms = convlib.conv2d_grad_input(abs(grad), abs(w), x, backend="cython", **options)
    with under_isa(isa):
        made = convlib.conv2d_grad_input(grad.astype("f4"), w.astype("f4"), x, backend=f"native:{name}", **options)
    assert (np.abs(made - expected) <= 10 * np.finfo("f4").eps * terms).all()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_numbers_that_are_not_finite_stay_where_they_belong(isa: str, value: float, kernel: int) -> None:
    """Of weights and of grad_y, at its edges, too, where taps meet nothing."""
    options: dict[str, Any] = {"stride": 2, "padding": kernel // 2, "groups": 4}
    for at, of in itertools.product(((0, 0), (3, 9), (6, 18)), ("grad", "w")):
        grad, w = np.ones((1, 4, 7, 19), "f4"), np.ones((4, 1, kernel, kernel), "f4")
        if of == "grad":
            grad[(0, 2, *at)] = value
        else:
            w[2, 0, at[0] % kernel, at[1] % kernel] = value
        found = convlib.conv2d_grad_input(grad, w, (1, 4, 13, 38), backend="native", **options)
        expected = convlib.conv2d_grad_input(grad, w, (1, 4, 13, 38), backend="naive", **options)
        np.testing.assert_array_equal(found, expected)


CHOSEN = [
    ((1, 144, 56, 56), (144, 1, 3, 3), True), ((8, 96, 112, 112), (96, 1, 3, 3), True),
    ((1, 192, 28, 28), (192, 1, 5, 5), True), ((1, 64, 112, 112), (64, 1, 7, 7), True),
    ((1, 64, 56, 56), (64, 64, 3, 3), False),
]  # fmt: skip


LAST: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 40, 9, 12), (3, 3), {"stride": 2, "padding": 1}),
    ((1, 32, 8, 11), (2, 5), {"stride": (1, 2), "padding": (0, 3), "dilation": (2, 1)}),
    ((3, 35, 7, 8), (7, 7), {"stride": 2, "padding": 5}),  # outputs under padding alone
    ((2, 64, 30), (4,), {"stride": 2}),
    ((1, 33, 4, 5, 9), (3, 1, 2), {"stride": (2, 1, 2), "padding": (2, 0, 1)}),
    ((1, 130, 5, 6), (1, 1), {"stride": (3, 2)}),  # elements that no output takes
    ((8, 96, 30, 28), (3, 3), {"stride": 2, "padding": 1}),  # for several threads
]


@pytest.mark.parametrize("isa", sorted({isa for isa, name in pairs(OP) if name == "depthwise_transposed"}))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel", "options"), LAST)
def test_depthwise_with_channels_last(
    isa: str, shape: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, Any], dtype: str
) -> None:
    """Lanes are channels, the last of which are met twice; parts of arrays are served as they lie."""
    rng, (nd, channels) = np.random.default_rng(len(shape)), (len(kernel), shape[1])
    w = rng.integers(-4, 5, (channels, 1, *kernel)).astype(dtype)
    grad = rng.integers(-4, 5, convlib.conv_output_shape(shape, w.shape, groups=channels, **options)).astype(dtype)
    call = getattr(convlib, f"conv{nd}d_grad_input")
    expected = np.moveaxis(call(grad, w, shape, groups=channels, backend="cython", **options), 1, -1)
    grad = among_others(np.moveaxis(grad, 1, -1))
    given = {"groups": channels, "layout": CHANNELS_LAST[nd], **options}
    for threads in (1, 3):
        with under_isa(isa), convlib.num_threads(threads):
            found = call(grad, w, expected.shape, backend="native:depthwise_transposed", **given)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("x", "w", "whole"), CHOSEN)
def test_what_is_chosen(isa: str, x: tuple[int, ...], w: tuple[int, ...], whole: bool) -> None:
    """Strided depthwise layers at once, where there are vectors; others by their phases."""
    options: dict[str, Any] = {"stride": 2, "padding": w[-1] // 2, "groups": x[1] // w[1]}
    y = *x[:2], x[2] // 2, x[3] // 2
    said = convlib.explain("conv2d_grad_input", y, w, x, backend="native", **options)
    assert ("depthwise_transposed" in said.algorithm.split("+")) == (whole and isa != "scalar")
    transposed = {**options, "output_padding": 1}
    same = convlib.explain("conv_transpose2d", y, w, backend="native", **transposed)
    assert same.algorithm == said.algorithm


def test_a_result_that_the_whole_does_not_serve_comes_by_phases(isa: str) -> None:
    """Where a hook is given elements of a row that are not neighbours; by its name it is refused."""
    rng = np.random.default_rng(1)
    w, grad = (rng.integers(-3, 4, shape).astype("f4") for shape in ((40, 1, 3, 3), (2, 40, 9, 30)))
    x, options = (2, 40, 18, 60), {"stride": 2, "padding": 1, "groups": 40}
    spec, backend = ConvSpec.make(x, w.shape, **options), registry.get_backend("native")
    out = np.zeros((*x, 2), "f4")[..., 0]
    backend._conv_grad_input(spec, grad, w, out, None)
    np.testing.assert_array_equal(out, convlib.conv2d_grad_input(grad, w, x, backend="cython", **options))
    with pytest.raises(MemoryError, match="cannot serve these arrays"):
        backend._conv_grad_input(spec, grad, w, out, "depthwise_transposed")


def test_the_bits_do_not_depend_on_threads(isa: str) -> None:
    rng = np.random.default_rng(0)
    w, grad = rng.standard_normal((40, 1, 3, 3), "f4"), rng.standard_normal((3, 40, 23, 100), "f4")
    bits = set()
    for threads in (1, 2, 3, 7):
        with convlib.num_threads(threads):
            made = convlib.conv2d_grad_input(
                grad, w, (3, 40, 46, 200), stride=2, padding=1, groups=40, backend="native"
            )
        bits.add(made.tobytes())
    assert len(bits) == 1


def test_an_input_that_no_window_meets_has_a_gradient_of_zero(isa: str) -> None:
    with under_isa(isa):
        ones = np.ones((1, 1, 2), np.float32)  # windows at the elements -1 and 3 of three
        found = convlib.conv1d_grad_input(ones, ones[..., :1], (1, 1, 3), stride=4, padding=1, backend="native")
    assert found.tolist() == [[[0.0, 0.0, 0.0]]]
