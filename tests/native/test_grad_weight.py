"""Gradients of the weights against plain sums, bit for bit on small integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import convlib
from convlib._ext import _native as native

from .common import UNTOUCHED, WORKSPACE, Problem, edges, laid, lanes, sizes

CASES = {
    "3x3": sizes(2, 1, 5, 17, (13, 11), (3, 3), lo=1),
    "no padding, in place": sizes(2, 1, 5, 17, (13, 11), (3, 3)),
    "pointwise": sizes(3, 1, 9, 33, (9, 20), (1, 1)),
    "pointwise, stride 2": sizes(2, 1, 9, 20, (9, 21), (1, 1), 2),
    "stem": sizes(2, 1, 3, 64, (31, 33), (7, 7), 2, lo=3),
    "stride 3, dilation 2": sizes(1, 1, 4, 12, (21, 25), (3, 3), 3, 2, 2),
    "groups": sizes(2, 3, 4, 16, (9, 8), (3, 3), lo=1),
    "many channels": sizes(1, 1, 70, 97, (5, 7), (3, 3), lo=1),
    "long rows": sizes(1, 1, 2, 16, (2, 700), (1, 3)),
    "one pixel": sizes(5, 1, 6, 48, (3, 3), (3, 3)),
    "1d": sizes(2, 1, 5, 49, (70,), (9,), lo=4),
    "3d": sizes(1, 1, 3, 24, (5, 6, 7), (3, 3, 3), 2, lo=1),
    "padding wider than the kernel": sizes(1, 1, 2, 16, (3, 2), (2, 2), lo=4),
    "depthwise": sizes(2, 7, 1, 1, (14, 37), (3, 3), lo=1),
    "depthwise, stride 2": sizes(2, 5, 1, 1, (14, 37), (3, 3), 2, lo=1),
    "depthwise 7x7, dilated": sizes(1, 3, 1, 1, (20, 50), (7, 7), 1, 2, 6),
    "depthwise, one row": sizes(1, 3, 1, 1, (1, 50), (1, 6), lo=2),
    "few outputs": sizes(2, 1, 6, 5, (9, 40), (5, 5), lo=2),
    "few outputs, groups, stride 3": sizes(2, 2, 3, 2, (9, 40), (2, 4), 3, lo=1),
    "few outputs 3d": sizes(1, 1, 2, 3, (4, 5, 18), (3, 3, 3), lo=1),
}


def check(problem: Problem, dtype: str = "float32", last: bool = False, workspace: int = WORKSPACE) -> None:
    """Compare with sums of products of shifted slices; nothing beside the result may be written."""
    n, g, icg, ocg, size, k, out, stride, dil, lo = problem
    rng = np.random.default_rng(icg + ocg)
    x = rng.integers(-3, 4, (n, g * icg, *size)).astype(dtype)
    gy = rng.integers(-3, 4, (n, g * ocg, *out)).astype(dtype)
    wide = np.pad(x, [(0, 0), (0, 0), *((a, a) for a in lo)])
    expected = np.zeros((g, ocg, icg, *k))
    for tap in itertools.product(*map(range, k)):
        at = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dil, out, stride, strict=True)
        )
        part = wide[(..., *at)].reshape(n, g, icg, -1).astype("f8")
        expected[(..., *tap)] = np.einsum("ngop,ngip->goi", gy.reshape(n, g, ocg, -1).astype("f8"), part)
    whole = np.full(expected.size + 64, UNTOUCHED, dtype)
    made = whole[32:-32].reshape(g * ocg, icg, *k)
    native.grad_weight(native.ConvProblem(*problem), laid(x, last), laid(gy, last), made, 2, workspace)
    said = f"{problem}, {dtype}, last={last}"
    np.testing.assert_array_equal(made, expected.reshape(made.shape), err_msg=said)
    made[...] = UNTOUCHED
    assert (whole == UNTOUCHED).all(), f"memory beside the result was written: {said}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("case", CASES)
def test_plain_sums(isa: str, case: str, last: bool, dtype: str) -> None:
    check(CASES[case], dtype, last)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tile_edges(isa: str, dtype: str) -> None:
    """Panels of up to 3 vectors of output channels; tiles of 4 or 8 inputs; blocks of 320 pixels."""
    channels = itertools.cycle((1, *edges(4, 8)))
    for ocg, pixels in itertools.product((1, 4, *edges(lanes(dtype), 3 * lanes(dtype))), (1, *edges(16, 320))):
        check(sizes(1, 1, next(channels), ocg, (pixels,), (1,)), dtype)


def test_a_batch_in_several_passes(isa: str) -> None:
    check(sizes(5, 1, 3, 16, (20, 20), (3, 3), lo=1), workspace=1)


@pytest.mark.parametrize("groups", [1, 40])
def test_the_bits_do_not_depend_on_threads(isa: str, groups: int) -> None:
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal((3, 40, 23, 21), "f4") for _ in range(2))
    bits = set()
    for threads in (1, 2, 3):
        with convlib.num_threads(threads):
            made = convlib.conv2d_grad_weight(
                grad, x, (40, 40 // groups, 3, 3), padding=1, groups=groups, backend="native"
            )
        bits.add(made.tobytes())
    assert len(bits) == 1


def test_the_bridge_refuses_empty_problems() -> None:
    problem = native.ConvProblem(1, 1, 1, 1, (2, 2), (1, 1), (2, 2), (1, 1), (1, 1), (0, 0))
    y = np.ones((1, 1, 2, 2), "f4")
    with pytest.raises(ValueError, match="empty"):
        native.grad_weight(problem, y[:0], y, np.ones((1, 1, 1, 1), "f4"), 1, 9)
