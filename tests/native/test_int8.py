"""The kernels of 8-bit integers, called directly: exact sums at the edges of their tiles, under every set."""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_conv as conv, _native_int8 as int8

from .common import (
    ISAS,
    WORKSPACE,
    Problem,
    edges,
    emulated,
    framed_like,
    laid,
    lanes,
    shapes,
    sizes,
    tap_views,
    traced,
    turned,
)

NAMES = [name for name, *_ in native.implementations("conv_int8")]


def served_here() -> list[tuple[str, str]]:
    """Return (instruction set, implementation) for all that serve int8 weights here."""
    found = []
    for isa in ISAS:
        with under_isa(isa):
            tiny = conv.ConvProblem(*sizes(1, 1, 1, 1, (3, 3), (3, 3)))
            said = tiny.verdicts("conv_int8", ord("b"), True, 1, WORKSPACE)
            found += [(isa, name) for name, _, refusal, *_ in said if refusal is None]
    return found


WINOGRAD = "int8_winograd"
HERE = served_here()


@pytest.fixture(params=HERE, ids="-".join)
def name(request: pytest.FixtureRequest) -> Any:
    isa, name = request.param
    with under_isa(isa):
        yield name


@pytest.fixture(params=[isa for isa, name in HERE if name == WINOGRAD])
def transform(request: pytest.FixtureRequest) -> Any:
    with under_isa(request.param):
        yield WINOGRAD


class Way(NamedTuple):
    """Types of x and y, zero points, padding, and how the call is made."""

    x: str = "u1"
    y: str = "i4"
    shifted: bool = False
    zero: int = 3
    padding: int = 3
    last: bool = False
    packed: bool = False
    framed: bool = False
    turned: int = 0
    bias: bool = True
    threads: int = 2
    workspace: int = WORKSPACE


def numbers(problem: Problem, way: Way, extreme: bool = False) -> tuple[Any, Any, Any, Any]:
    """Return x, w, its zero points and the bias, anywhere in their range or at its ends."""
    rng = np.random.default_rng(problem.icg + 7 * problem.ocg)
    found = []
    outputs = problem.groups * problem.ocg
    for kind, shape in zip((way.x, "i1", "i2"), (*shapes(problem), outputs), strict=True):
        least, most = (-255, 127) if kind == "i2" else (np.iinfo(kind).min, np.iinfo(kind).max)
        a = rng.choice([least, most], shape) if extreme else rng.integers(least, most + 1, shape)
        found.append(a.astype("i4" if kind == "i2" else kind))
    return *found, rng.integers(-(2**20), 2**20, outputs).astype("i4")


def answer(problem: Problem, way: Way, x: Any, w: Any, bias: Any) -> Any:
    """Return the sums in int64, one line per tap."""
    n, g, icg, ocg, _, _, out, *_ = problem
    y = np.zeros((n, g, ocg, *out), np.int64)
    padded = x.astype(np.int64) - way.padding  # so that zeros stand for the padding
    for tap, part in tap_views(problem, padded):
        taps = part.astype(np.int64) + (way.padding - way.zero)
        y += np.einsum("ngi...,goi->ngo...", taps, w[(..., *tap)].reshape(g, ocg, icg).astype(np.int64))
    y = y.reshape(n, g * ocg, *out)
    return y + bias.reshape(-1, *(1,) * len(out)) if way.bias else y


USUAL = Way()
ASKED = "x", "shifted", "zero", "padding", "bias"  # what the sums depend on


@functools.lru_cache(maxsize=4)
def asked(problem: Problem, way: Way, extreme: bool) -> tuple[Any, ...]:
    """Return the numbers of a problem and its sums, which many ways to make a call share."""
    x, w, zeros, b = numbers(problem, way, extreme)
    if not way.shifted:
        zeros = None
    less = w if zeros is None else w - zeros.reshape(-1, *(1,) * (w.ndim - 1))
    return x, w, zeros, b, answer(problem, way, x, less, b)


def served(problem: Problem, name: str, way: Way) -> bool:
    """Return whether an implementation takes such a problem."""
    three = problem.kernel[-2:] == (3, 3) and set(problem.stride[-2:]) == {1}
    return name != WINOGRAD or (three and not way.shifted)


def check(problem: Problem, name: str, way: Way = USUAL, extreme: bool = False) -> None:
    """Run a problem, compare every number, and see that nothing beside the result was written.

    A problem that an implementation does not take must be refused; tests in which it would take none skip it.
    """
    said = f"{name}, {problem}, {way}"
    if not served(problem, name, way):
        p = conv.ConvProblem(*problem, way.last)
        kinds = way.shifted, way.y == "i8"
        assert p.chosen("conv_int8", ord("b" if way.x == "i1" else "B"), name, True, True, 1, WORKSPACE, *kinds) is None
        return
    alike = USUAL._replace(**{field: getattr(way, field) for field in ASKED})
    x, w, zeros, b, expected = asked(problem, alike, extreme)
    whole, y = framed_like(expected.shape, way.y, way.last, way.framed)
    kinds = way.shifted, way.y == "i8"
    p = conv.ConvProblem(*problem, way.last)
    packed = None
    if way.packed:
        packed = int8.PackedInt8(p, ord(x.dtype.char), w, *kinds, name, way.threads, way.workspace)
    given = turned(w, problem.groups, way.turned) if way.turned else w
    bias = b if way.bias else None
    x = laid(x, way.last)
    before = x.copy()
    peak = traced(
        name, way.workspace,
        lambda: int8.conv_int8(
            p, x, way.zero, way.padding, given, zeros, bias, y, name, way.threads, way.workspace, packed
        ),
    )  # fmt: skip
    assert peak is not None, f"{said}: refused"
    if not (way.framed or way.turned or way.packed):
        plan = conv.ConvProblem(*problem, way.last).chosen(
            "conv_int8", ord(x.dtype.char), name, True, True, way.threads, way.workspace, *kinds
        )
        assert peak == plan.scratch, f"{said}: {peak} bytes allocated, {plan.scratch} said"
    assert (y == expected).all(), f"{said}: {(y != expected).sum()} of {y.size} differ"
    assert (x == before).all(), said
    y[...] = 7
    assert (whole == 7).all(), f"memory beside the result was written: {said}"


def test_every_row_serves_somewhere() -> None:
    """Every processor of this architecture has the pairs; the dot products are for those that have them."""
    ran = {name for _, name in HERE}
    assert {"int8_pairs", WINOGRAD} <= ran
    if "int8_dots" not in ran:
        pytest.skip("this processor has no dot products of bytes")
    assert ran == set(NAMES)


def test_edges_of_tiles(name: str) -> None:
    vector = lanes("int32")
    for ocg, (oh, ow) in itertools.product(edges(vector, 3 * vector), ((1, 1), (2, 3), (3, 7), (5, 17), (1, 50))):
        for shifted in (False, True):
            check(sizes(1, 1, 5, ocg, (oh, ow), (3, 3), lo=1), name, Way(shifted=shifted))
            check(sizes(2, 1, 5, ocg, (oh, ow), (1, 1)), name, Way(last=True, shifted=shifted))


@pytest.mark.parametrize("icg", [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65])
def test_channels_that_do_not_fill_a_lane_or_a_block(name: str, icg: int) -> None:
    size = (4, 9) if emulated(name) else (9, 19)  # more than two tiles of 16 pixels, and than one
    for k, dil, last, framed in itertools.product((1, 2, 3), (1, 2), (False, True), (False, True)):
        way = Way(last=last, framed=framed, shifted=framed)
        check(sizes(1, 2, icg, 9, size, (k, k), dil=dil, lo=k // 2), name, way)


def test_copies_leave_out_what_lies_between_taps(name: str) -> None:
    """Strips of few outputs, whose taps lie further apart than these reach, along one axis or both."""
    for size, kernel, dil in (((13, 16), (3, 3), 11), ((5, 30), (2, 3), 8), ((9, 40), (3, 3), 7)):
        problem = sizes(1, 1, 37, 9, size, kernel, dil=dil, lo=dil)
        whole = (size[0] + 2 * dil) * (size[1] + 2 * dil) * 37 + (64 << 10)
        for last, shifted, workspace in ((False, False, whole), (True, True, whole - whole // 3)):
            means = WORKSPACE if name == WINOGRAD else workspace
            check(problem, name, Way(last=last, shifted=shifted, threads=1, workspace=means))


@pytest.mark.parametrize("width", range(1, 34))
def test_rows_that_do_not_fill_a_block(name: str, width: int) -> None:
    """Rows of pixels are turned round 16 at a time, the last ones once more with some of those before."""
    for icg, k in itertools.product((3, 16, 20, 40), (1, 3)):
        check(sizes(1, 1, icg, 5, (3, width), (k, k), lo=k // 2), name, Way(shifted=k == 3 and name != WINOGRAD))


@pytest.mark.parametrize(("x", "y"), [*itertools.product(("i1", "u1"), ("i4", "i8"))])
def test_types_at_their_ends(name: str, x: str, y: str) -> None:
    """Two products of unsigned and signed bytes leave int16: what saturates there is wrong by far."""
    info, both = np.iinfo(x), (False, True)
    size = (3, 6) if emulated(name) else (9, 10)
    for shifted, last, zero, extreme in itertools.product(both, both, (info.min, 0, info.max), both):
        way = Way(x=x, y=y, shifted=shifted, zero=zero, padding=info.max, last=last)
        check(sizes(2, 1, 19, 33, size, (3, 3), lo=1), name, way, extreme)


def test_sums_that_reach_the_end_of_int32(name: str) -> None:
    """255 * -128 for 65793 products is the last sum that fits; corrections on the way there leave int32 and return."""
    if name == WINOGRAD:
        pytest.skip("serves 3x3 windows whose sums end earlier: see the next test")
    problem = sizes(1, 1, 65793, 1, (1, 2), (1, 1))
    x, w, y = np.full((1, 65793, 1, 2), 255, "u1"), np.full((1, 65793, 1, 1), -128, "i1"), np.empty((1, 1, 1, 2), "i4")
    for zero in (0, 255):
        int8.conv_int8(conv.ConvProblem(*problem), x, zero, zero, w, None, None, y, name, 1, WORKSPACE)
        assert (y == (255 - zero) * -128 * 65793).all()


@pytest.mark.parametrize("x", ["i1", "u1"])
def test_the_largest_sums_of_the_transform(transform: str, x: str) -> None:
    """The transform leaves sums modulo 2**30: one channel less than what it refuses comes near 2**29."""
    most = 2**29 // 2**14 // 9
    for value, weight in itertools.product((np.iinfo(x).min, np.iinfo(x).max), (-128, 127)):
        problem = sizes(1, 1, most, 1, (5, 6), (3, 3), lo=1)
        a, w = np.full((1, most, 5, 6), value, x), np.full((1, most, 3, 3), weight, "i1")
        y = np.empty((1, 1, 5, 6), "i4")
        for zero in (0, np.iinfo(x).max):
            int8.conv_int8(conv.ConvProblem(*problem), a, zero, value, w, None, None, y, transform, 1, WORKSPACE)
            assert (y == 9 * most * (int(value) - zero) * weight).all()
    p = conv.ConvProblem(*sizes(1, 1, most + 1, 1, (5, 6), (3, 3), lo=1))
    said = {row: refusal for row, _, refusal, *_ in p.verdicts("conv_int8", ord("B"), True, 1, WORKSPACE)}
    assert "2^29" in said[WINOGRAD]
    assert p.chosen("conv_int8", ord("B"), transform, True, True, 1, WORKSPACE) is None


@pytest.mark.parametrize("height", [*range(1, 10), 31, 32, 33])
def test_tiles_of_the_transform_and_blocks_of_them(transform: str, height: int) -> None:
    for width, icg in itertools.product((1, 3, 4, 5, 8, 9, 33), (1, 2 * lanes("int32") + 1)):
        way = Way(x="i1", packed=width % 2 == 0, threads=1 + height % 3)
        check(sizes(2, 1, icg, lanes("int32") + 1, (height, width), (3, 3), lo=1), transform, way)
    for depth, step in itertools.product((1, 2, 3), (1, 2)):
        problem = sizes(1, 2, 3, 5, (5, height, 9), (depth, 3, 3), lo=1)
        out = (7 - depth) // step + 1
        check(problem._replace(stride=(step, 1, 1), out=(out, *problem.out[1:])), transform, Way(last=step == 2))


@pytest.mark.parametrize(("nd", "stride"), [*itertools.product((1, 2, 3), (1, 2, 3))])
def test_axes_strides_and_dilations(name: str, nd: int, stride: int) -> None:
    if name == WINOGRAD and (nd == 1 or stride > 1):
        pytest.skip("serves two axes of stride 1")
    for dil, groups, last, order in itertools.product((1, 2), (1, 3), (False, True), (0, 1, 2)):
        problem = sizes(2, groups, 6, 10, (7, 9, 11)[-nd:], (3,) * nd, stride=stride, dil=dil, lo=2)
        check(problem, name, Way(last=last, turned=order, shifted=dil == stride and name != WINOGRAD))


def test_no_result_depends_on_threads_scratch_or_packing(name: str) -> None:
    """All of these compute the same integers; what is at stake are parts, strips, and where they meet."""
    problem = sizes(2, 2, 40, 70, (20, 21), (3, 3), lo=1)
    bounds = WORKSPACE, 1 << 20, 1 << 18, 1 << 16
    for threads, bound, packed in itertools.product((1, 2, 3, 7), bounds, (False, True)):
        p = conv.ConvProblem(*problem)
        if p.chosen("conv_int8", ord("B"), name, True, not packed, threads, bound) is None:
            assert bound <= 1 << (20 if name == WINOGRAD else 16), "refused although there is room"
            continue
        check(problem, name, Way(threads=threads, workspace=bound, packed=packed))
        check(problem, name, Way(threads=threads, workspace=bound, packed=packed, shifted=True))


def test_arrays_of_other_types_are_refused() -> None:
    p = conv.ConvProblem(*sizes(1, 1, 1, 1, (4, 4), (1, 1)))
    x, w, y = np.zeros((1, 1, 4, 4), "i1"), np.zeros((1, 1, 1, 1), "i1"), np.zeros((1, 1, 4, 4), "i4")
    eights, halves = np.zeros(1, "i8"), w.astype("i2")
    for bad in ((x.astype("i2"), w, None, None, y), (x, w.view("u1"), None, None, y), (x, halves, None, None, y),
                (x, w, eights, None, y), (x, w, None, eights, y), (x, w, None, None, y.astype("f4"))):  # fmt: skip
        with pytest.raises(TypeError, match="int8"):
            int8.conv_int8(p, bad[0], 0, 0, *bad[1:], None, 1, WORKSPACE)
    with pytest.raises(ValueError, match="size or type"):
        int8.conv_int8(p, x, 0, 0, w, np.zeros(2, "i4"), None, y, None, 1, WORKSPACE)


CALLS: dict[str, Any] = {
    "int8": ("i1", "i1", {}, 0), "bytes with zero points": ("u1", "i1", {"x_zero_point": 7, "out_dtype": "int32"}, 0),
    "weights of uint8": ("u1", "u1", {"w_zero_point": 3}, 1), "flipped": ("i1", "i1", {"flip": True}, 1),
    "the middle of uint8": ("i1", "u1", {"w_zero_point": 128}, 1), "padding": ("u1", "i1", {"pad_value": 5}, 0),
}  # fmt: skip


@pytest.mark.parametrize("called", CALLS)
def test_what_explain_says_is_what_runs(isa: str, called: str) -> None:
    """The name, and the bytes: those of the engine, and those of weights that are copied, of which each has so many."""
    x_type, w_type, options, copied = CALLS[called]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (1, 24, 9, 9)).astype(x_type)
    w = rng.integers(0, 100, (40, 24, 3, 3)).astype(w_type)
    said = convlib.explain("conv2d", x, w, padding=1, backend="native", **options)
    assert said.algorithm in NAMES
    native.trace()
    y = convlib.conv2d(x, w, padding=1, backend="native", **options)
    ran, peak = native.traced()
    assert ran == (said.algorithm,)
    tables = said.workspace_nbytes - copied * w.size - peak
    assert 0 <= tables <= 64, "a plan that is kept has its tables already"
    np.testing.assert_array_equal(y, convlib.conv2d(x, w, padding=1, backend="naive", **options), strict=True)


def test_plans_pack_their_weights_once(isa: str) -> None:
    x, w = np.full((1, 24, 9, 9), 200, "u1"), np.full((40, 24, 3, 3), -100, "i1")
    plan = convlib.plan_conv2d(x.shape, w, dtype="uint8", padding=1, backend="native", out_dtype="int32")
    fresh = convlib.explain("conv2d", x, w, padding=1, backend="native", out_dtype="int32")
    assert plan.explain().algorithm == fresh.algorithm
    assert plan.workspace_nbytes < fresh.workspace_nbytes - w.size
    y = convlib.conv2d(x, w, padding=1, backend="naive", out_dtype="int32")
    out = np.zeros((1, 40, 9, 18), "i4")[..., ::2]
    assert plan(x, out=out) is out
    assert (out == y).all()
    assert (plan(x) == y).all()


def test_windows_that_leave_lanes_empty_go_as_floats(isa: str) -> None:
    """A depthwise window has one channel a group: 15 of 16 lanes would be empty."""
    x, w = np.ones((1, 512, 40, 40), "u1"), np.ones((512, 1, 3, 3), "i1")
    said = convlib.explain("conv2d", x, w, groups=512, padding=1, backend="native")
    assert said.algorithm not in NAMES
