"""Winograd's transforms: one result by all ways through them, their error, and when they are chosen."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import convlib
from convlib._ext import _native_conv as conv

from .common import ISAS, WORKSPACE, Problem, Way, check_bits, laid, reference, run, shapes, sizes, target
from .shapes import WINOGRAD, lines


@pytest.mark.parametrize(
    "problem", WINOGRAD, ids=lambda p: f"{p.n}x{p.groups}x{p.icg}x{p.ocg} {p.size} {p.kernel} {p.lo}"
)
def test_one_result_by_all_ways(isa: str, problem: Problem) -> None:
    """Threads, scratch, order and packing of the weights, channels last: the same bits, near those of sums."""
    ways = [
        Way(threads=threads, turned=turned, packed=packed, last=last, workspace=workspace)
        for (threads, turned, packed, workspace), last in itertools.product(
            (
                (1, False, False, WORKSPACE), (2, True, False, WORKSPACE), (5, False, False, 1 << 20),
                (2, False, True, WORKSPACE),
            ),
            (False, True),
        )
    ]  # fmt: skip
    assert check_bits(problem, "winograd", ways) >= 6
    rng = np.random.default_rng(sum(problem.size) + problem.icg)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in shapes(problem))
    bias = rng.standard_normal(len(w)).astype("f4")
    expected = reference(problem, x, w.astype("f8"), bias.astype("f8"))
    _, y = target(problem, "float32")
    assert run(problem, "winograd", x, w, bias, y) is not None
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5 * np.sqrt(w[0].size), err_msg=str(problem))


@pytest.mark.parametrize(
    ("x", "w", "options", "call", "plan"),
    [
        ((1, 64, 56, 56), (64, 64, 3, 3), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 5, 5), {}, True, True),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 2}, True, True),
        ((1, 32, 28, 28, 28), (32, 32, 3, 3, 3), {}, True, True),
        ((1, 56, 56, 64), (64, 64, 3, 3), {"layout": "NHWC"}, True, True),
        ((1, 512, 28, 28), (512, 16, 3, 3), {"groups": 32}, True, True),
        ((1, 192, 17, 17), (192, 192, 7, 1), {"padding": (3, 0)}, True, True),
        ((1, 128, 17, 17), (192, 128, 1, 7), {"padding": (0, 3)}, True, True),
        ((1, 64, 56, 56), (64, 64, 1, 3), {"padding": (0, 1)}, True, True),
        ((1, 256, 2000), (256, 256, 5), {}, True, True),
        ((1, 192, 17, 17), (192, 192, 7, 1), {"padding": (3, 0), "accuracy": "strict"}, False, False),
        ((1, 4, 17, 17), (4, 4, 1, 7), {"padding": (0, 3)}, False, False),  # few channels
        ((1, 512, 7, 7), (512, 512, 3, 3), {}, False, True),  # a call transforms too many weights
        ((1, 64, 56, 56), (64, 64, 3, 3), {"accuracy": "strict"}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dilation": 50}, False, False),  # one output to a tile
        ((1, 64, 56, 56), (64, 64, 3, 3), {"stride": 2}, True, True),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"stride": 2, "dilation": 2}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"stride": 3}, False, False),
        ((1, 3, 56, 56), (64, 3, 3, 3), {"stride": 2}, False, False),
        ((1, 64, 56, 56), (64, 64, 3, 3), {"dtype": "float64"}, False, False),
        ((1, 64, 56, 56), (64, 2, 3, 3), {"groups": 32}, False, False),
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


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [*((kernel, 1, dilation) for kernel in [(3, 3), (5, 5), *lines] for dilation in (1, 2)), ((3, 3), 2, 1)],
    ids=str,
)
@pytest.mark.parametrize(("images", "size"), [(2, (17, 18)), (1, (9, 9))])
def test_infinities_stay_in_their_windows(
    isa: str, images: int, size: tuple[int, int], kernel: tuple[int, int], stride: int, dilation: int
) -> None:
    height, width = size
    problem = sizes(images, 2, 3, 19, size, kernel, stride, dilation, lo=2)
    rng = np.random.default_rng(sum(kernel))
    x, w = rng.integers(-3, 4, (images, 6, *size)).astype("f4"), rng.integers(-3, 4, (38, 3, *kernel)).astype("f4")
    x[0, 1, height // 2, width // 2], x[-1, 5, 0, width - 1], x[-1, 0, height - 1, 0] = np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        expected = reference(problem, x, w.astype("f8"), None)
    for last, packed in itertools.product((False, True), (False, True)):
        _, y = target(problem, "float32", last)
        assert run(problem, "winograd", laid(x, last), w, None, y, Way(last=last, packed=packed)) is not None
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [
        ((3, 3), 1, 1), ((3, 3), 2, 1), ((5, 5), 1, 1), ((3, 3), 1, 2), ((1, 3), 1, 2), ((5, 1), 1, 1), ((7, 1), 1, 2),
        ((1, 7), 1, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("bad", [100.0, 1e6, -1e30, np.inf, np.nan])
@pytest.mark.parametrize(("images", "size"), [(1, (30, 31)), (40, (30, 31)), (1, (9, 10))])
def test_beside_an_element_that_towers_above_the_others(
    isa: str, kernel: tuple[int, int], stride: int, dilation: int, layout: str, bad: float, images: int,
    size: tuple[int, int],
) -> None:  # fmt: skip
    """Few such tiles are summed again, many make the whole call direct: either way as exact as among equals."""
    rng = np.random.default_rng(sum(kernel))
    x, w = np.ones((images, 3, *size), "f4"), rng.uniform(0.5, 1, (16, 3, *kernel)).astype("f4")
    x[0, 1, size[0] * 2 // 5, size[1] * 3 // 7] = bad
    given = x if layout == "NCHW" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    options: dict[str, Any] = {"stride": stride, "padding": 2, "dilation": dilation}
    y = convlib.conv2d(given, w, **options, layout=layout, backend="native:winograd")
    expected = convlib.conv2d(x.astype("f8"), w, **options, backend="cython")
    found = y if layout == "NCHW" else np.moveaxis(y, -1, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("kernel", "stride"), [*((kernel, 1) for kernel in [(3, 3), (5, 5), *lines]), ((3, 3), 2)], ids=str
)
@pytest.mark.parametrize("sign", ["both", "one"])
def test_error_is_a_few_units_of_a_tile(isa: str, kernel: tuple[int, int], stride: int, sign: str) -> None:
    """What docs/use/accuracy.md says: ten units of its largest element times the absolute sum of the weights."""
    rng = np.random.default_rng(sum(kernel))
    draw = rng.random if sign == "one" else rng.standard_normal
    outs = 2 if kernel == (5, 5) or 7 in kernel else 4  # of a tile
    size = (k + (outs - 1) * stride if k > 1 else 1 for k in kernel)
    x, w = draw((2000, 8, *size)).astype("f4"), draw((16, 8, *kernel)).astype("f4")
    exact = convlib.conv2d(x.astype("f8"), w, stride=stride, backend="cython")
    error = np.abs(convlib.conv2d(x, w, stride=stride, backend="native:winograd") - exact)
    largest = np.abs(x).max((1, 2, 3))[:, None, None, None] * np.abs(w).sum((1, 2, 3))[:, None, None]
    assert 0 < (error / largest).max() < 10 * 2.0**-24


def test_error_of_tiles_of_4x2_is_a_few_units_of_them(isa: str) -> None:
    rng, most = np.random.default_rng(0), 0.0
    for _ in range(100):
        x, w = rng.standard_normal((1, 8, 8, 10)).astype("f4"), rng.standard_normal((32, 8, 3, 3)).astype("f4")
        plain = convlib.conv2d(x.astype("f8"), w, backend="cython")
        error = np.abs(convlib.conv2d(x, w, backend="native:winograd") - plain)
        for top, left in itertools.product((0, 4), range(0, 8, 2)):
            largest = np.abs(x[:, :, top : top + 6, left : left + 4]).max() * np.abs(w).sum((1, 2, 3))
            most = max(most, (error[0, :, top : top + 4, left : left + 2].max((1, 2)) / largest).max())
    assert 0 < most < 10 * 2.0**-24


@pytest.mark.parametrize("channels", [5, 16, 37])
@pytest.mark.parametrize("order", ["rows", "channels last", "every second column", "slices"])
def test_however_the_tiles_with_towering_elements_are_read(isa: str, channels: int, order: str) -> None:
    rng = np.random.default_rng(channels)
    nd = 3 if order == "slices" else 2
    x = rng.uniform(0.5, 1, (2, channels, *(4,) * (nd - 2), 21, 2 * 37)).astype("f4")
    x = x[..., ::2] if order == "every second column" else np.ascontiguousarray(x[..., :37])
    for at in (0, 17, 36):  # in a whole vector of columns, in the last one, at the end of a row
        x[(1, channels - 1, *(2,) * (nd - 2), at % 21, at)] = 1e7
    w = rng.uniform(0.5, 1, (16, channels, *(3,) * nd)).astype("f4")
    last = order == "channels last"
    given = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x
    conv_nd = convlib.conv3d if nd == 3 else convlib.conv2d
    y = conv_nd(given, w, padding=1, layout="NHWC" if last else "NC" + "DHW"[-nd:], backend="native:winograd")
    expected = conv_nd(x.astype("f8"), w, padding=1, backend="cython")
    np.testing.assert_allclose(np.moveaxis(y, -1, 1) if last else y, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "change", [{"kernel": (5, 3)}, {"kernel": (1, 9)}, {"kernel": (7, 7)}, {"stride": (2, 1)}, {"dtype": "f8"}], ids=str
)
def test_it_refuses_what_it_has_no_kernel_for(isa: str, change: dict[str, Any]) -> None:
    given = {"kernel": (3, 3), "stride": (1, 1), "dtype": "f4", **change}
    kernel = given["kernel"]
    p = conv.ConvProblem(1, 1, 2, 2, (9, 9), kernel, (3, 3), given["stride"], (1, 1), (0, 0))
    x, w, y = (np.full(s, 5, given["dtype"]) for s in ((1, 2, 9, 9), (2, 2, *kernel), (1, 2, 3, 3)))
    with pytest.raises(MemoryError, match="winograd cannot serve these arrays"):
        conv.conv(p, x, w, None, y, "winograd", False, 1, WORKSPACE)
    with pytest.raises(MemoryError, match="winograd cannot serve these arrays"):
        conv.Packed(p, w, None, "winograd", False, 1, WORKSPACE)
    assert (y == 5).all()
