"""Cases of pooling, of its gradients and of its inverse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .case import Case, Shape

#: The ordinary input.
X = (2, 3, 7, 8)


def _pool(name: str, op: str, x: Shape, *args: Any, why: str = "", **more: Any) -> Case:
    fields = {key: more.pop(key) for key in ("dtypes", "fill") if key in more}
    return Case(f"{op}-{name}", op, (x,), args, more, why=why, **fields)


def pools() -> Iterator[Case]:
    """Yield the cases of pooling itself."""
    for kind in ("max", "min", "avg", "sum"):
        yield from _windows(kind)
    for part in (_types, _values, _averages, _norms):
        yield from part()
    for kind in ("avg", "max"):
        yield from _adaptive(kind)


def _windows(kind: str) -> Iterator[Case]:
    op = f"{kind}_pool2d"
    extra: dict[str, Any] = {"return_indices": True} if kind in ("max", "min") else {}
    yield _pool("plain", op, X, 2, **extra)
    yield _pool("overlap_pad", op, X, 3, stride=2, padding=1, **extra)
    yield _pool("stride_1", op, X, (4, 5), stride=1, padding=(2, 1), **extra)
    yield _pool("stride_gt_kernel", op, X, 2, stride=(3, 4), **extra)
    yield _pool("ceil", op, X, 3, stride=2, ceil_mode=True, **extra)
    yield _pool("ceil_pad", op, (1, 1, 9, 9), 4, stride=4, padding=2, ceil_mode=True,
        why="the last window is dropped", **extra)
    yield _pool("ceil_larger_than_input", op, (1, 1, 2, 2), 3, stride=2, ceil_mode=True, **extra)
    yield _pool("dilation", op, X, 3, stride=2, dilation=(2, 3), padding=1, **extra)
    yield _pool("empty_window", op, (1, 1, 2, 2), 2, dilation=3, padding=1, stride=1,
        why="taps on both sides of the input", **extra)
    yield _pool("pad_asym", op, X, (3, 2), stride=2, padding=((2, 0), (0, 1)), **extra)
    yield _pool("same_upper", op, X, 3, stride=2, padding="same_upper", **extra)
    yield _pool("same_lower", op, X, 2, stride=3, padding="same_lower", **extra)
    yield _pool("kernel_1", op, X, 1, why="the identity", **extra)
    yield _pool("kernel_eq_input", op, X, (7, 8), **extra)
    yield _pool("large_stride_1", op, (1, 2, 20, 23), 13, stride=1, padding=6, **extra)
    yield _pool("nhwc", op, (2, 7, 8, 3), 3, stride=2, padding=1, layout="NHWC", **extra)
    yield _pool("unbatched", op, (3, 7, 8), 2, **extra)
    yield _pool("n_zero", op, (0, 3, 7, 8), 2, **extra)
    yield _pool("size_zero_padded", op, (1, 2, 0, 4), 2, padding=1, stride=1, why="empty windows only", **extra)
    yield _pool("wide", op, (1, 1, 4, 70), 3, stride=2, padding=1, **extra)
    yield _pool("reflect", op, X, 3, stride=2, padding=1, padding_mode="reflect", ceil_mode=True, **extra)
    yield _pool("symmetric", op, X, 4, stride=1, padding=((3, 1), (0, 2)), padding_mode="symmetric", **extra)
    yield _pool("edge_nhwc", op, (2, 7, 8, 3), 3, stride=2, padding=1, padding_mode="edge", layout="NHWC", **extra)
    yield _pool("wrap", op, X, 2, dilation=3, stride=1, padding=2, padding_mode="wrap", **extra)
    yield _pool("pad_value", op, X, 3, stride=2, padding=1, pad_value=2, why="it takes part", **extra)
    yield _pool("1d", f"{kind}_pool1d", (2, 3, 11), 3, stride=2, padding=1, **extra)
    yield _pool("1d_wrap", f"{kind}_pool1d", (3, 11), 3, stride=1, padding=1, padding_mode="wrap", **extra)
    yield _pool("3d", f"{kind}_pool3d", (1, 2, 5, 4, 6), (2, 3, 2), stride=(1, 2, 2), padding=(1, 1, 0),
        ceil_mode=True, **extra)


def _types() -> Iterator[Case]:
    for dtype in ("float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
        "bool"):
        for op in ("max_pool2d", "min_pool2d"):
            yield _pool(f"dtype-{dtype}", op, X, 3, stride=2, padding=1, return_indices=True, dtypes=(dtype,))
            yield _pool(f"empty-{dtype}", op, (1, 1, 2, 2), 2, dilation=3, padding=1, stride=1, dtypes=(dtype,))
        yield _pool(f"dtype-{dtype}", "avg_pool2d", X, 2, dtypes=(dtype,))
        yield _pool(f"dtype-{dtype}", "sum_pool2d", X, 3, padding=1, dtypes=(dtype,))
    yield _pool("dtype-complex64", "avg_pool2d", X, 2, dtypes=("complex64",))
    yield _pool("dtype-complex128", "sum_pool2d", X, 2, dtypes=("complex128",))


def _values() -> Iterator[Case]:
    for fill in ("nan", "inf", "ties", "extremes"):
        for op in ("max_pool2d", "min_pool2d"):
            for dtype in ("float32", "float64"):
                yield _pool(f"{fill}-{dtype}", op, (2, 3, 9, 9), 3, stride=2, padding=1, return_indices=True, fill=fill,
                    dtypes=(dtype,))
            yield _pool(f"{fill}-no-indices", op, (2, 3, 9, 20), 3, stride=1, padding=1, fill=fill)
            yield _pool(f"{fill}-2x2", op, (1, 2, 8, 34), 2, fill=fill)
        yield _pool(f"{fill}-3", "max_pool1d", (1, 2, 40), 9, stride=1, padding=4, return_indices=True, fill=fill)
    for fill in ("nan", "inf"):
        yield _pool(fill, "avg_pool2d", (2, 3, 9, 9), 3, stride=2, padding=1, fill=fill)
        yield _pool(f"{fill}-large", "sum_pool2d", (1, 2, 20, 20), 9, stride=1, padding=4, fill=fill,
            why="a running sum would smear it")
    for dtype in ("int8", "int64"):
        yield _pool(f"extremes-{dtype}", "max_pool2d", (1, 2, 6, 6), 3, stride=2, padding=1, fill="extremes",
            dtypes=(dtype,))
    yield _pool("3d_reflect", "max_pool3d", (1, 2, 4, 3, 5), 3, stride=1, padding=1, padding_mode="reflect",
        return_indices=True)


def _averages() -> Iterator[Case]:
    yield _pool("no_pad_count", "avg_pool2d", X, 3, stride=2, padding=1, count_include_pad=False)
    yield _pool("no_pad_count_ceil", "avg_pool2d", (1, 2, 4, 4), 3, stride=2, padding=1, ceil_mode=True,
        count_include_pad=False)
    yield _pool("ceil_overhang", "avg_pool2d", (1, 1, 4, 4), 3, stride=2, padding=1, ceil_mode=True,
        why="what lies behind the padding never counts")
    yield _pool("divisor", "avg_pool2d", X, 3, stride=2, padding=1, divisor_override=4)
    yield _pool("divisor_negative", "avg_pool2d", X, 2, divisor_override=-2, dtypes=("float64",))
    yield _pool("dilation_count", "avg_pool2d", X, 3, dilation=2, padding=((3, 1), (0, 4)), stride=2, ceil_mode=True)


def _norms() -> Iterator[Case]:
    for p in (1, 2, 3, 0.5, math.inf):
        yield _pool(f"p{p}", "lp_pool2d", (1, 2, 6, 7), p, 2, stride=2, dtypes=("float64",))
    yield _pool("edge", "lp_pool2d", (1, 2, 6, 7), 2, 3, padding=1, padding_mode="edge", dtypes=("float64",))
    yield _pool("int", "lp_pool1d", (1, 2, 9), 2, 3, padding=1, dtypes=("int32",))
    yield _pool("nan", "lp_pool2d", (1, 2, 6, 7), 2, 2, fill="nan")
    yield _pool("3d", "lp_pool3d", (1, 1, 4, 4, 4), 1, 2, ceil_mode=True)


def _adaptive(kind: str) -> Iterator[Case]:
    extra: dict[str, Any] = {"return_indices": True} if kind == "max" else {}
    yield _pool("uneven", f"adaptive_{kind}_pool2d", (2, 3, 7, 10), (3, 4), **extra)
    yield _pool("even", f"adaptive_{kind}_pool2d", (1, 2, 8, 6), (4, 3), **extra)
    yield _pool("larger", f"adaptive_{kind}_pool2d", (1, 2, 3, 5), (5, 7), why="more outputs than inputs", **extra)
    yield _pool("none", f"adaptive_{kind}_pool2d", (1, 2, 6, 5), (None, 2), **extra)
    yield _pool("nhwc", f"adaptive_{kind}_pool2d", (1, 7, 5, 3), 2, layout="NHWC", **extra)
    yield _pool("1d", f"adaptive_{kind}_pool1d", (2, 3, 11), 4, **extra)
    yield _pool("3d", f"adaptive_{kind}_pool3d", (1, 2, 5, 4, 3), (2, 3, 2), **extra)
    yield _pool("int", f"adaptive_{kind}_pool2d", (1, 2, 7, 5), 3, dtypes=("int16",), **extra)
    for nd in (1, 2, 3):
        yield _pool("plain", f"global_{kind}_pool{nd}d", (2, 3, 4, 5, 3)[: nd + 2])
    yield _pool("nhwc", f"global_{kind}_pool2d", (2, 4, 5, 3), layout="NHWC")
    yield _pool("nan", f"global_{kind}_pool2d", (2, 3, 8, 9), fill="nan")


POOL_GRADIENTS = (
    *(
        Case(f"{op}_grad_input-{name}", f"{op}_grad_input", (grad_y, grad_y), (x,), options, (dtype, "uint8"), why=why)
        for op in ("max_pool2d", "min_pool2d", "adaptive_max_pool2d")
        for name, grad_y, x, dtype, options, why in (
            ("plain", (2, 3, 3, 4), (2, 3, 6, 8), "float32", {}, "many gradients meet in the same few places"),
            ("nhwc", (2, 3, 4, 3), (2, 6, 8, 3), "float64", {"layout": "NHWC"}, "places count per channel"),
            ("int", (1, 2, 3, 4), (1, 2, 5, 7), "int16", {}, "sums of integers are int64"),
            ("float16", (1, 2, 3, 4), (1, 2, 5, 7), "float16", {}, ""),
            ("unbatched", (2, 3, 4), (2, 5, 7), "float32", {}, ""),
            ("larger_than_input", (1, 2, 6, 6), (1, 2, 3, 3), "float32", {}, "padding makes more windows than elements"),
            ("n_zero", (0, 2, 3, 4), (0, 2, 5, 7), "float32", {}, ""),
        )
    ),
    Case("max_pool1d_grad_input-plain", "max_pool1d_grad_input", ((2, 3, 5), (2, 3, 5)), ((2, 3, 9),), {}, ("float32", "uint8")),
    Case("max_pool3d_grad_input-plain", "max_pool3d_grad_input", ((1, 2, 2, 2, 3), (1, 2, 2, 2, 3)), ((1, 2, 4, 3, 5),), {}, ("float32", "uint8")),
    *(
        # Windows of 2**k elements: their quotients and sums are exact.
        Case(f"{op}_grad_input-{name}", f"{op}_grad_input", (grad_y,), (x, kernel), options, (dtype,), why=why)
        for op in ("avg_pool2d", "sum_pool2d")
        for name, grad_y, x, kernel, dtype, options, why in (
            ("plain", (2, 3, 3, 4), (2, 3, 7, 8), 2, "float32", {}, "a row that no window holds"),
            ("overlap_pad", (1, 2, 8, 4), (1, 2, 8, 7), (4, 2), "float64", {"stride": (1, 2), "padding": ((2, 1), (0, 1))}, ""),
            ("dilation", (1, 2, 6, 2), (1, 2, 6, 7), (2, 4), "float32", {"stride": (1, 2), "dilation": (2, 1), "padding": (1, 0)}, ""),
            ("stride_gt_kernel", (1, 2, 2, 3), (1, 2, 5, 8), 2, "float32", {"stride": 3}, "elements between the windows get 0"),
            ("nhwc", (2, 3, 4, 3), (2, 6, 8, 3), 2, "float32", {"layout": "NHWC"}, ""),
            ("unbatched", (3, 3, 4), (3, 6, 8), 2, "float32", {}, ""),
            ("kernel_eq_input", (1, 2, 1, 1), (1, 2, 4, 8), (4, 8), "float32", {}, ""),
            ("int", (1, 2, 5, 3), (1, 2, 6, 6), 2, "int32", {"stride": (1, 2)}, ""),
            ("float16", (1, 2, 3, 4), (1, 2, 6, 8), 2, "float16", {}, ""),
            ("n_zero", (0, 2, 3, 4), (0, 2, 6, 8), 2, "float32", {}, ""),
        )
    ),
    Case("avg_pool2d_grad_input-divisor", "avg_pool2d_grad_input", ((1, 2, 4, 4),), ((1, 2, 7, 8), 3), {"stride": 2, "padding": 1, "divisor_override": 4}),
    Case("avg_pool2d_grad_input-no_pad_count", "avg_pool2d_grad_input", ((1, 2, 3, 3),), ((1, 2, 4, 4), 2), {"padding": 1, "count_include_pad": False}),
    Case("avg_pool2d_grad_input-reflect", "avg_pool2d_grad_input", ((1, 2, 3, 4),), ((1, 2, 7, 8), 4), {"stride": 2, "padding": 1, "padding_mode": "reflect"}),
    Case("sum_pool2d_grad_input-wrap_nhwc", "sum_pool2d_grad_input", ((1, 7, 8, 2),), ((1, 7, 8, 2), 3), {"stride": 1, "padding": 1, "padding_mode": "wrap", "layout": "NHWC"}),
    Case("sum_pool2d_grad_input-pad_value", "sum_pool2d_grad_input", ((1, 2, 7, 8),), ((1, 2, 7, 8), 3), {"stride": 1, "padding": 1, "pad_value": 5}),
    Case("avg_pool1d_grad_input-plain", "avg_pool1d_grad_input", ((2, 3, 5),), ((2, 3, 8), 4), {"stride": 2, "padding": 2}),
    Case("sum_pool3d_grad_input-ceil", "sum_pool3d_grad_input", ((1, 2, 3, 2, 3),), ((1, 2, 5, 4, 6), (2, 3, 2)), {"ceil_mode": True}, why="windows reach behind the input"),
    Case("sum_pool2d_grad_input-nan", "sum_pool2d_grad_input", ((1, 2, 9, 9),), ((1, 2, 9, 9), 3), {"stride": 1, "padding": 1}, fill="nan"),
    Case("adaptive_avg_pool2d_grad_input-uneven", "adaptive_avg_pool2d_grad_input", ((2, 3, 4, 2),), ((2, 3, 7, 6),), {}, ("float64",), fill="ties"),
    Case("adaptive_avg_pool2d_grad_input-larger", "adaptive_avg_pool2d_grad_input", ((1, 2, 3, 3),), ((1, 2, 2, 1),), {}),
    Case("global_max_pool2d_grad_input-plain", "global_max_pool2d_grad_input", ((2, 3, 1, 1), (2, 3, 1, 1)), ((2, 3, 4, 8),), {}, ("float32", "uint8")),
    Case("global_avg_pool2d_grad_input-plain", "global_avg_pool2d_grad_input", ((2, 3, 1, 1),), ((2, 3, 4, 8),), {}),
    Case("global_avg_pool3d_grad_input-ndhwc", "global_avg_pool3d_grad_input", ((2, 1, 1, 1, 3),), ((2, 2, 4, 8, 3),), {"layout": "NDHWC"}),
)  # fmt: skip

#: Name, rank, input, result, p, kernel, options, element types, what could go wrong.
_NORM_CALLS: tuple[tuple[str, int, Shape, Shape, float, int, dict[str, Any], tuple[str, ...], str], ...] = (
    *((f"p{p}", 2, (1, 2, 6, 7), (1, 2, 3, 3), p, 2, {}, ("float64",), "a column that no window holds") for p in (1, 2, 3, 0.5)),
    ("pinf", 2, (1, 2, 6, 7), (1, 2, 3, 3), math.inf, 2, {}, ("float64",), "the first of equals takes it all"),
    ("pinf_overlap", 2, (2, 3, 7, 8), (2, 3, 7, 8), math.inf, 3, {"stride": 1, "padding": 1}, ("float32",), "one element leads in many windows"),
    ("overlap_pad", 2, (2, 3, 7, 8), (2, 3, 4, 4), 2, 3, {"stride": 2, "padding": 1}, ("float32",), "windows share elements"),
    ("ceil", 2, (1, 2, 6, 7), (1, 2, 3, 4), 2, 2, {"ceil_mode": True}, ("float32",), "windows reach behind the input"),
    ("dilation", 2, (1, 2, 7, 7), (1, 2, 3, 3), 3, 3, {"dilation": 2, "stride": 2, "padding": ((1, 2), (1, 2))}, ("float64",), ""),
    ("stride_gt_kernel", 2, (1, 2, 5, 8), (1, 2, 2, 3), 2, 2, {"stride": 3}, ("float32",), "elements between the windows get 0"),
    ("edge", 2, (1, 2, 6, 7), (1, 2, 6, 7), 2, 3, {"stride": 1, "padding": 1, "padding_mode": "edge"}, ("float64",), "what a border repeats gets the sum"),
    ("nhwc", 2, (2, 6, 8, 3), (2, 3, 4, 3), 2, 2, {"layout": "NHWC"}, ("float32",), ""),
    ("unbatched", 2, (3, 6, 8), (3, 3, 4), 2, 2, {}, ("float32",), ""),
    ("int", 2, (1, 2, 6, 6), (1, 2, 3, 3), 2, 2, {}, ("float64", "int32", "float64"), "norms of integers are floats"),
    ("float16", 2, (1, 2, 6, 8), (1, 2, 3, 4), 2, 2, {}, ("float16",), ""),
    ("n_zero", 2, (0, 2, 6, 8), (0, 2, 3, 4), 2, 2, {}, ("float32",), ""),
    ("plain", 1, (2, 3, 9), (2, 3, 3), 3, 3, {}, ("float64",), ""),
    ("plain", 3, (1, 2, 4, 3, 5), (1, 2, 2, 1, 2), 2, 2, {}, ("float32",), ""),
)  # fmt: skip

NORM_GRADIENTS = tuple(
    Case(f"lp_pool{nd}d_grad_input-{name}", f"lp_pool{nd}d_grad_input", (y, x, y), (p, kernel), options, dtypes, "norms", why)
    for name, nd, x, y, p, kernel, options, dtypes, why in _NORM_CALLS
)

UNPOOLS = tuple(
    Case(f"max_unpool{nd}d-{name}", f"max_unpool{nd}d", (x, x), args, options, dtypes, "indices", why)
    for name, nd, x, args, options, dtypes, why in (
        ("plain", 2, (2, 3, 3, 4), (2,), {}, ("float32", "int64"), "the last of equal places stays, -1 is skipped"),
        ("output_size", 2, (1, 2, 3, 3), (2,), {"stride": 2, "output_size": (7, 6)}, ("int16", "int32"), ""),
        ("nhwc", 2, (2, 3, 4, 2), ((2, 3),), {"layout": "NHWC"}, ("float64", "int64"), ""),
        ("unbatched", 2, (2, 3, 4), (3,), {"stride": 2, "padding": 1}, ("float16", "int64"), ""),
        ("n_zero", 2, (0, 2, 3, 4), (2,), {}, ("float32", "int64"), ""),
        ("bool", 1, (1, 2, 6), (2,), {}, ("bool", "int8"), ""),
        ("3d", 3, (1, 2, 2, 3, 2), (2,), {"stride": (2, 1, 2)}, ("uint8", "int64"), ""),
    )
)
