"""Winograd's transforms at the edges of their tiles and blocks, and when they are chosen."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib
from convlib._ext import _native as native

from .common import ISAS, WORKSPACE, Problem, laid, reference, run, shapes, sizes, target


def slices(n: int, size: tuple[int, ...], d: int, stride: int, dil: int, lo: int) -> Problem:
    """3x3 windows of stride 1 along H and W, and `d` taps along D with a stride and a dilation of their own."""
    out = ((size[0] + 2 * lo - dil * (d - 1) - 1) // stride + 1, size[1], size[2])
    return Problem(n, 1, 9, 5, size, (d, 3, 3), out, (stride, 1, 1), (dil, 1, 1), (lo, 1, 1))


#: Fewer tiles than a GEMM takes at once, as many, more; panels of output channels, full and in part; many
#: blocks, cut along each axis; dilation beyond the map; windows that span slices.
EDGES = [
    *(sizes(n, g, icg, ocg, (h, w), (3, 3), lo=lo) for n, g, icg, ocg, h, w, lo in (
        (1, 1, 1, 1, 1, 1, 1), (1, 1, 5, 9, 7, 7, 1), (1, 1, 33, 17, 3, 3, 1), (2, 1, 3, 8, 14, 14, 1),
        (3, 2, 4, 5, 13, 29, 0), (2, 1, 8, 8, 60, 5, 2), (1, 1, 8, 8, 9, 200, 1), (1, 1, 16, 40, 28, 28, 1),
        (1, 3, 2, 2, 4, 3, 2), (1, 1, 2, 3, 16, 65, 1), (1, 1, 2, 3, 5, 8, 4), (16, 1, 3, 3, 4, 4, 1),
        (1, 1, 17, 97, 12, 13, 1), (1, 1, 2, 3, 4, 300, 1), (2, 2, 20, 70, 18, 18, 1), (5, 1, 4, 4, 14, 14, 1),
    )),
    *(sizes(n, g, icg, ocg, (h, w), (5, 5), lo=lo, hi=hi) for n, g, icg, ocg, h, w, lo, hi in (
        (1, 1, 1, 1, 1, 1, 2, 2), (1, 1, 17, 33, 9, 9, 2, 2), (2, 2, 5, 8, 28, 12, 0, 3), (1, 1, 3, 9, 40, 41, 4, 0),
    )),
    *(sizes(1, 1, icg, ocg, (h, w), (k, k), dil=dil, lo=lo) for icg, ocg, h, w, k, dil, lo in (
        (7, 9, 15, 17, 3, 2, 2), (17, 5, 9, 40, 3, 3, 3), (3, 3, 5, 5, 3, 7, 7), (2, 18, 20, 20, 5, 2, 4),
        (3, 4, 12, 90, 3, 12, 12),
    )),
    slices(1, (4, 9, 9), 3, 1, 1, 1), slices(2, (9, 8, 8), 3, 2, 1, 0), slices(1, (7, 30, 6), 2, 1, 3, 2),
    slices(3, (5, 14, 14), 1, 1, 1, 0), slices(2, (5, 5, 5), 1, 2, 1, 1),
]  # fmt: skip


def weights_in_another_order(w: Any, groups: int) -> Any:
    """Return the same weights as (groups, OC / groups, C / groups, *kernel), the last axes first in memory."""
    turned = np.empty((*w.shape[2:], w.shape[1], w.shape[0]), w.dtype).transpose(-1, -2, *range(w.ndim - 2))
    turned[...] = w
    return turned.reshape(groups, -1, *w.shape[1:])


@pytest.mark.parametrize("problem", EDGES, ids=lambda p: f"{p.n}x{p.groups}x{p.icg}x{p.ocg} {p.size} {p.kernel} {p.lo}")
def test_at_its_edges(isa: str, problem: Problem) -> None:
    """The same bits by all ways through it: threads, scratch, order and packing of the weights, channels last."""
    rng = np.random.default_rng(sum(problem.size) + problem.icg)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in shapes(problem))
    bias = rng.standard_normal(len(w)).astype("f4")
    expected = reference(problem, x, w.astype("f8"), bias.astype("f8"))
    turned = weights_in_another_order(w, problem.groups)
    results = {}
    for (threads, given, packed), last in itertools.product(
        ((1, w, False), (2, turned, False), (5, w, False), (2, w, True)), (False, True)
    ):
        whole, y = target(problem, "float32", last)
        run(problem, "winograd", laid(x, last), given, bias, y, packed=packed, threads=threads,
            workspace=WORKSPACE if threads < 5 else 1)  # fmt: skip
        results[threads, packed, last] = y.tobytes()
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5 * np.sqrt(w[0].size), err_msg=str(problem))
        y[...] = 7
        assert (whole == 7).all(), f"memory beside the result was written: {problem}"
    assert len(set(results.values())) == 1, f"{problem}: bits differ"


@pytest.mark.parametrize(
    ("x", "w", "options", "call", "plan"),
    [
        ((1, 64, 56, 56), (64, 64, 3, 3), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 5, 5), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 2}, True, True),
        ((1, 32, 28, 28, 28), (32, 32, 3, 3, 3), {}, True, True),
        ((1, 56, 56, 64), (64, 64, 3, 3), {"layout": "NHWC"}, True, True),
        ((1, 512, 28, 28), (512, 16, 3, 3), {"groups": 32}, True, True),
        ((1, 512, 7, 7), (512, 512, 3, 3), {}, False, True),  # a call transforms too many weights
        ((1, 64, 56, 56), (64, 64, 3, 3), {"accuracy": "strict"}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 50}, False, False),  # one output to a tile
        ((1, 64, 56, 56), (64, 64, 3, 3), {"stride": 2}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dtype": "float64"}, False, False),
        ((1, 64, 56, 56), (64, 8, 3, 3), {"groups": 8}, False, False),
        ((1, 64, 56, 56), (64, 64, 7, 7), {}, False, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "amx"], indirect=True)  # whose unit takes some of these
def test_when_it_is_chosen(
    isa: str, x: tuple[int, ...], w: tuple[int, ...], options: dict[str, Any], call: bool, plan: bool
) -> None:
    rank = len(w) - 2
    options = {"padding": w[-1] // 2 * options.get("dilation", 1), "backend": "native", **options}
    dtype = options.setdefault("dtype", "float32")
    said = convlib.explain(f"conv{rank}d", x, w, **options)
    assert (said.algorithm == "winograd") == call
    ready = getattr(convlib, f"plan_conv{rank}d")(x, np.ones(w, dtype), **options)
    assert (ready.explain().algorithm == "winograd") == plan


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_infinities_stay_in_their_windows(isa: str, kernel: int, dilation: int) -> None:
    problem = sizes(2, 2, 3, 19, (17, 18), (kernel, kernel), dil=dilation, lo=2)
    rng = np.random.default_rng(kernel)
    x, w = rng.integers(-3, 4, (2, 6, 17, 18)).astype("f4"), rng.integers(-3, 4, (38, 3, kernel, kernel)).astype("f4")
    x[0, 1, 8, 9], x[1, 5, 0, 17], x[1, 0, 16, 0] = np.inf, np.nan, -np.inf
    _, y = target(problem, "float32")
    run(problem, "winograd", x, w, None, y)
    with np.errstate(invalid="ignore"):
        expected = reference(problem, x, w.astype("f8"), None)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "change", [{"kernel": (5, 3)}, {"stride": (2, 1)}, {"dtype": "f8"}], ids=str
)
def test_it_refuses_what_it_has_no_kernel_for(change: dict[str, Any]) -> None:
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "dtype": "f4", **change}
    kernel = given["kernel"]
    p = native.ConvProblem(1, 1, 2, 2, (9, 9), kernel, (3, 3), given["stride"], given["dilation"], (0, 0))
    x, w, y = (np.ones(s, given["dtype"]) for s in ((1, 2, 9, 9), (2, 2, *kernel), (1, 2, 3, 3)))
    with pytest.raises(ValueError, match="winograd serves float32 with windows"):
        native.conv(p, x, w, None, y, "winograd", 1, WORKSPACE)
    with pytest.raises(ValueError, match="winograd serves float32 with windows"):
        native.Weights(p, w, "winograd", 1)
