"""The conformance cases: one list, data only.

A case names a public function and what it is called with; `why` says which edge it stands on.  Arrays are given by
shape and filled with small integers, so that every backend must return the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One call that every backend must answer alike.

    Attributes
    ----------
    name : str
        Unique, readable: function and edge.
    call : str
        Name of a public function.
    arrays : tuple of shapes
        The positional array arguments, by shape.
    args : tuple
        Positional arguments after the arrays.
    options : dict
        Keyword arguments.
    dtypes : tuple of str
        Element type of each array; the last one holds for the rest.
    fill : str
        "small" integers, or "nan", "inf", "ties", "extremes" mixed into them; "large" adds 2**54 to the first array,
        where doubles are no longer exact; "indices" makes plane positions, and -1, of an integer array.
    why : str
        What could go wrong here.
    """

    name: str
    call: str
    arrays: tuple[Shape, ...]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float32",)
    fill: str = "small"
    why: str = ""


def _conv(name: str, x: Shape, w: Shape, why: str = "", *, bias: bool = False, call: str = "", **options: Any) -> Case:
    nd = len(w) - 2
    arrays = (x, w, (w[0],)) if bias else (x, w)
    return Case(f"conv{nd}d-{name}", call or f"conv{nd}d", arrays, (), options, why=why)


def _pool(name: str, op: str, x: Shape, *args: Any, why: str = "", **more: Any) -> Case:
    fields = {key: more.pop(key) for key in ("dtypes", "fill") if key in more}
    return Case(f"{op}-{name}", op, (x,), args, more, why=why, **fields)


CONVS: tuple[Case, ...] = (
    _conv("plain", (2, 3, 7, 6), (4, 3, 3, 3), "the ordinary call", bias=True),
    _conv("kernel_eq_input", (1, 2, 5, 4), (3, 2, 5, 4), "a single output element"),
    _conv("kernel_1x1", (2, 5, 4, 3), (6, 5, 1, 1), "a matrix product", bias=True),
    _conv("kernel_1x1_stride", (1, 4, 5, 6), (3, 4, 1, 1), "a strided matrix product", stride=2),
    _conv("kernel_1x1_padded", (1, 4, 3, 3), (3, 4, 1, 1), "outputs that see padding only", padding=1, bias=True),
    _conv("stride_gt_kernel", (1, 2, 9, 11), (2, 2, 2, 3), "gaps between windows", stride=(4, 5)),
    _conv("stride_asym", (1, 2, 9, 8), (3, 2, 3, 2), "a step per axis", stride=(2, 1), padding=(0, 2)),
    _conv("dilation_2_pad_asym", (2, 2, 8, 9), (3, 2, 3, 2), dilation=(2, 3), padding=((3, 0), (1, 2))),
    _conv("dilation_stride", (1, 1, 12, 11), (1, 1, 3, 3), dilation=2, stride=3, padding=2),
    _conv("pad_gt_kernel", (1, 1, 3, 3), (2, 1, 2, 2), "windows in the padding only", padding=3, bias=True),
    _conv("pad_low_only", (1, 2, 5, 5), (2, 2, 3, 3), padding=((2, 0), (2, 0))),
    _conv("pad_high_only", (1, 2, 5, 5), (2, 2, 3, 3), padding=((0, 2), (0, 2))),
    _conv("same", (1, 2, 6, 5), (2, 2, 4, 2), "even kernels: the odd element at the end", padding="same"),
    _conv("same_upper_stride", (1, 2, 7, 6), (2, 2, 3, 2), padding="same_upper", stride=2),
    _conv("same_lower_stride", (1, 2, 7, 6), (2, 2, 4, 3), padding="same_lower", stride=(2, 3)),
    _conv("full", (1, 2, 4, 3), (2, 2, 3, 2), padding="full"),
    _conv("causal", (1, 2, 4, 6), (2, 2, 3, 2), padding="causal", dilation=(1, 2)),
    _conv("valid", (1, 2, 4, 6), (2, 2, 3, 2), padding="valid"),
    _conv("groups_2", (2, 4, 6, 5), (6, 2, 3, 3), groups=2, padding=1, bias=True),
    _conv("groups_eq_channels", (2, 5, 6, 7), (5, 1, 3, 3), "depthwise", groups=5, padding=1),
    _conv("depthwise_multiplier", (1, 3, 6, 7), (6, 1, 3, 2), "two outputs per channel", groups=3, stride=2),
    _conv("depthwise_stride_2", (1, 4, 9, 9), (4, 1, 5, 5), groups=4, stride=2, padding=2, bias=True),
    _conv("ic_prime", (1, 13, 5, 5), (7, 13, 3, 3), "channel counts that no tile divides", padding=1),
    _conv("oc_17", (1, 9, 9, 9), (17, 9, 3, 3), padding=1),
    _conv("oc_1", (1, 8, 6, 6), (1, 8, 3, 3)),
    _conv("wide_row", (1, 1, 3, 130), (2, 1, 3, 3), "rows longer than any vector", padding=1),
    _conv("tall", (1, 2, 70, 2), (2, 2, 5, 1), padding=((2, 2), (0, 0))),
    _conv("w_1", (1, 2, 9, 1), (2, 2, 3, 1)),
    _conv("n_zero", (0, 3, 5, 5), (2, 3, 3, 3), "an empty batch is no error", padding=1),
    _conv("oc_zero", (1, 3, 5, 5), (0, 3, 3, 3), "no output channels"),
    _conv("ic_zero", (1, 0, 5, 5), (2, 0, 3, 3), "nothing to sum: the bias alone", bias=True),
    _conv("size_zero_padded", (1, 2, 0, 5), (2, 2, 2, 2), "only padding on one axis", padding=1, bias=True),
    _conv("unbatched", (3, 6, 5), (2, 3, 3, 3), bias=True),
    _conv("nhwc", (2, 6, 5, 3), (4, 3, 3, 3), layout="NHWC", padding=1, bias=True),
    _conv("nhwc_unbatched", (6, 5, 3), (4, 3, 2, 3), layout="NHWC", stride=2),
    _conv("nhwc_groups", (2, 6, 5, 4), (8, 2, 3, 3), layout="NHWC", groups=2, padding=(1, 0)),
    _conv("nhwc_depthwise", (1, 7, 6, 5), (5, 1, 3, 3), layout="NHWC", groups=5, padding=1, stride=2),
    _conv("nhwc_1x1", (2, 4, 3, 5), (6, 5, 1, 1), layout="NHWC", bias=True),
    _conv("flip", (1, 2, 6, 5), (3, 2, 3, 2), "true convolution", flip=True, padding=1),
    _conv("reflect", (1, 2, 5, 4), (2, 2, 3, 3), padding_mode="reflect", padding=2),
    _conv("symmetric", (1, 2, 5, 4), (2, 2, 3, 3), padding_mode="symmetric", padding=((1, 2), (0, 3))),
    _conv("edge", (1, 2, 5, 4), (2, 2, 3, 3), padding_mode="replicate", padding="same"),
    _conv("wrap", (1, 2, 5, 4), (2, 2, 3, 3), padding_mode="circular", padding=2, stride=2, layout="NCHW"),
    _conv("wrap_nhwc", (1, 5, 4, 2), (2, 2, 3, 3), padding_mode="wrap", padding=(1, 2), layout="NHWC"),
    _conv("pad_value", (1, 2, 4, 4), (2, 2, 3, 3), pad_value=3, padding=1, bias=True),
    _conv("large_kernel", (1, 2, 15, 13), (2, 1, 15, 13), groups=2, padding=(7, 6)),
    _conv("many_channels", (1, 40, 8, 8), (48, 40, 3, 3), "past any register tile", padding=1),
    _conv("deep_1x1", (1, 70, 7, 7), (66, 70, 1, 1)),
    _conv("plain", (2, 3, 11), (4, 3, 3), bias=True),
    _conv("audio", (1, 2, 100), (3, 2, 9), stride=3, padding="causal", dilation=2),
    _conv("nwc", (2, 11, 3), (4, 3, 4), layout="NWC", padding="same"),
    _conv("unbatched", (3, 11), (2, 3, 11)),
    _conv("depthwise", (1, 6, 20), (6, 1, 5), groups=6, padding=2),
    _conv("plain", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), bias=True, padding=1),
    _conv("stride_dilation", (2, 2, 6, 7, 5), (2, 2, 2, 2, 3), stride=(2, 1, 2), dilation=(1, 3, 2),
        padding=((0, 1), (2, 0), (1, 1))),
    _conv("ndhwc_groups", (1, 4, 3, 5, 4), (4, 2, 2, 2, 2), layout="NDHWC", groups=2),
    _conv("same_3x3x3", (1, 3, 5, 5, 5), (4, 3, 3, 3, 3), padding="same"),
    _conv("depthwise", (1, 3, 4, 5, 4), (3, 1, 3, 3, 3), groups=3, padding=1),
)  # fmt: skip

DTYPES = tuple(
    Case(f"conv2d-dtype-{x}-{w}", "conv2d", ((2, 3, 6, 5), (4, 3, 3, 3), (4,)), (), {"padding": 1}, (x, w, w))
    for x, w in (
        ("float64", "float64"), ("float16", "float16"), ("float32", "float64"), ("complex64", "complex64"),
        ("complex128", "float32"), ("int8", "int8"), ("uint8", "int8"), ("int32", "int32"), ("int64", "int16"),
        ("uint64", "int64"), ("bool", "bool"), ("bool", "float32"), ("int16", "float16"),
    )
)  # fmt: skip

QUANTISED = tuple(
    Case(f"conv{len(w) - 2}d-zero_points_{name}", f"conv{len(w) - 2}d", (x, w, w[:1])[: len(dtypes)], (), options, dtypes, fill, why)
    for name, x, w, dtypes, fill, why, options in (
        ("u8s8", (2, 3, 7, 6), (4, 3, 3, 3), ("uint8", "int8", "int32"), "small", "padding adds nothing", {"padding": 1, "stride": 2, "x_zero_point": 2, "w_zero_point": -1, "out_dtype": "int32"}),
        ("per_channel", (2, 4, 6, 5), (6, 2, 3, 3), ("uint8", "int8", "int32"), "small", "one for each output channel of each group", {"padding": ((2, 0), (0, 1)), "groups": 2, "x_zero_point": 128, "w_zero_point": (0, -3, 2, 127, -128, 1), "out_dtype": "int32"}),
        ("extremes_u8s8", (1, 16, 5, 6), (8, 16, 3, 3), ("uint8", "int8"), "extremes", "pairs of products leave 16 bits", {"padding": 1, "out_dtype": "int32"}),
        ("extremes_s8s8", (1, 7, 5, 6), (5, 7, 3, 3), ("int8", "int8"), "extremes", "differences have 9 bits", {"padding": 1, "x_zero_point": 127, "w_zero_point": -128, "out_dtype": "int32"}),
        ("extremes_u8u8", (1, 17, 4, 4), (9, 17, 1, 1), ("uint8", "uint8"), "extremes", "", {"x_zero_point": 255, "w_zero_point": (0, 255, 1, 2, 3, 4, 5, 6, 7), "out_dtype": "int32"}),
        ("s8u8_int64", (1, 3, 6, 5), (4, 3, 2, 3), ("int8", "uint8", "int8"), "small", "the result is int64 unless it is asked for", {"x_zero_point": -3, "w_zero_point": 2}),
        ("nhwc", (2, 6, 5, 3), (4, 3, 3, 3), ("uint8", "int8", "int32"), "small", "", {"layout": "NHWC", "padding": 1, "x_zero_point": 3, "w_zero_point": (1, 0, -1, 2), "out_dtype": "int32"}),
        ("unbatched", (3, 6, 5), (2, 3, 3, 3), ("int8", "int8"), "small", "", {"x_zero_point": 1, "out_dtype": "int32"}),
        ("reflect", (1, 2, 5, 4), (2, 2, 3, 3), ("uint8", "int8"), "small", "padding is shifted as its origin", {"padding": 2, "padding_mode": "reflect", "x_zero_point": 7, "w_zero_point": 1, "out_dtype": "int32"}),
        ("wrap_nhwc", (1, 5, 4, 2), (2, 2, 3, 3), ("uint8", "int8"), "small", "", {"padding": (1, 2), "padding_mode": "wrap", "layout": "NHWC", "x_zero_point": 7}),
        ("pad_value", (1, 2, 4, 4), (2, 2, 3, 3), ("uint8", "int8", "int8"), "small", "padding counts from the zero point", {"padding": 1, "pad_value": 3, "x_zero_point": 100, "out_dtype": "int32"}),
        ("flip", (1, 2, 6, 5), (3, 2, 3, 2), ("uint8", "int8"), "small", "", {"flip": True, "padding": 1, "x_zero_point": 1, "w_zero_point": (1, 2, -3)}),
        ("depthwise", (2, 5, 6, 7), (5, 1, 3, 3), ("uint8", "int8", "int32"), "small", "", {"groups": 5, "padding": 1, "x_zero_point": 3, "w_zero_point": (0, 1, 2, 3, -3), "out_dtype": "int32"}),
        ("many_channels", (1, 40, 8, 9), (50, 40, 3, 3), ("uint8", "int8", "int32"), "small", "past any register tile", {"padding": 1, "x_zero_point": 120, "w_zero_point": tuple(range(-25, 25)), "out_dtype": "int32"}),
        ("deep_1x1", (1, 67, 7, 5), (66, 67, 1, 1), ("uint8", "int8"), "extremes", "channels that no vector divides", {"x_zero_point": 128, "w_zero_point": 3, "out_dtype": "int32"}),
        ("weights_only", (2, 3, 6, 5), (4, 3, 3, 3), ("int64", "int64"), "small", "nothing else needs a copy", {"padding": 1, "w_zero_point": 5, "padding_mode": "edge"}),
        ("large", (1, 3, 6, 5), (4, 3, 3, 3), ("int64", "int8"), "large", "numbers that floats round, differences that they hold", {"x_zero_point": 2**54, "w_zero_point": 1, "out_dtype": "int32"}),
        ("n_zero", (0, 3, 5, 5), (2, 3, 3, 3), ("uint8", "int8"), "small", "", {"padding": 1, "x_zero_point": 1, "out_dtype": "int32"}),
        ("ic_zero", (1, 0, 5, 5), (2, 0, 3, 3), ("uint8", "int8", "int32"), "small", "the bias alone", {"w_zero_point": (1, 2), "out_dtype": "int32"}),
        ("plain", (2, 3, 11), (4, 3, 3), ("uint8", "int8", "int32"), "small", "", {"padding": "same", "x_zero_point": 2, "w_zero_point": 1, "out_dtype": "int32"}),
        ("plain", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), ("uint8", "int8", "int32"), "small", "", {"padding": 1, "dilation": (1, 1, 2), "x_zero_point": 200, "w_zero_point": (1, 0, -1), "out_dtype": "int32"}),
    )
)  # fmt: skip

LARGE = (
    Case("conv2d-large_integers", "conv2d", ((1, 3, 6, 5), (4, 3, 3, 3), (4,)), (), {"padding": 1}, ("int64", "int8"), "large", "a detour over doubles rounds"),
    Case("conv2d_grad_input-large_integers", "conv2d_grad_input", ((1, 4, 4, 3), (4, 3, 3, 3)), ((1, 3, 6, 5),), {}, ("int64", "int8"), "large"),
    Case("conv2d_grad_weight-large_integers", "conv2d_grad_weight", ((1, 4, 4, 3), (1, 3, 6, 5)), ((4, 3, 3, 3),), {}, ("int64", "int8"), "large"),
    Case("max_pool2d-large_integers", "max_pool2d", ((1, 3, 6, 5),), (3,), {"stride": 2, "return_indices": True}, ("int64",), "large"),
    Case("min_pool2d-large_integers", "min_pool2d", ((1, 3, 6, 5),), (3,), {"stride": 2, "return_indices": True}, ("uint64",), "large"),
    Case("sum_pool2d-large_integers", "sum_pool2d", ((1, 3, 6, 5),), (3,), {"padding": 1}, ("int64",), "large"),
    Case("col2im-large_integers", "col2im", ((1, 12, 12),), ((5, 4), 2), {}, ("int64",), "large"),
)  # fmt: skip

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

GRADIENTS = (
    *(
        Case(f"conv2d_grad_input-{name}", "conv2d_grad_input", (grad_y, w), (x,), options)
        for name, x, w, grad_y, options in (
            ("plain", (2, 3, 6, 5), (4, 3, 3, 3), (2, 4, 4, 3), {}),
            ("stride_pad", (1, 2, 7, 8), (3, 2, 3, 2), (1, 3, 4, 4), {"stride": 2, "padding": ((1, 1), (0, 1))}),
            ("dilation_groups", (1, 4, 7, 7), (4, 2, 3, 3), (1, 4, 5, 5), {"dilation": 2, "groups": 2, "padding": 1}),
            ("nhwc", (1, 5, 5, 2), (3, 2, 3, 3), (1, 5, 5, 3), {"layout": "NHWC", "padding": 1}),
            ("reflect", (1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 5, 5), {"padding": 1, "padding_mode": "reflect"}),
            ("flip_wrap", (1, 2, 5, 4), (3, 2, 3, 2), (1, 3, 7, 5),
                {"padding": ((2, 2), (1, 1)), "padding_mode": "wrap", "flip": True}),
            ("depthwise", (2, 5, 6, 6), (5, 1, 3, 3), (2, 5, 3, 3), {"groups": 5, "stride": 2, "padding": 1}),
            ("rows_unseen", (1, 1, 6, 6), (1, 1, 2, 2), (1, 1, 2, 2), {"stride": 3}),
            ("1x1", (2, 6, 4, 4), (5, 6, 1, 1), (2, 5, 4, 4), {}),
            ("n_zero", (0, 2, 4, 4), (3, 2, 3, 3), (0, 3, 2, 2), {}),
        )
    ),
    *(
        Case(f"conv2d_grad_weight-{name}", "conv2d_grad_weight", (grad_y, x), (w,), options)
        for name, x, w, grad_y, options in (
            ("plain", (2, 3, 6, 5), (4, 3, 3, 3), (2, 4, 4, 3), {}),
            ("stride_pad", (1, 2, 7, 8), (3, 2, 3, 2), (1, 3, 4, 4), {"stride": 2, "padding": ((1, 1), (0, 1))}),
            ("dilation_groups", (1, 4, 7, 7), (4, 2, 3, 3), (1, 4, 5, 5), {"dilation": 2, "groups": 2, "padding": 1}),
            ("nhwc", (1, 5, 5, 2), (3, 2, 3, 3), (1, 5, 5, 3), {"layout": "NHWC", "padding": 1}),
            ("reflect_flip", (1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 5, 5),
                {"padding": 1, "padding_mode": "reflect", "flip": True}),
            ("depthwise", (2, 5, 6, 6), (5, 1, 3, 3), (2, 5, 3, 3), {"groups": 5, "stride": 2, "padding": 1}),
            ("1x1", (2, 6, 4, 4), (5, 6, 1, 1), (2, 5, 4, 4), {}),
            ("n_zero", (0, 2, 4, 4), (3, 2, 3, 3), (0, 3, 2, 2), {}),
        )
    ),
    Case("conv1d_grad_input-plain", "conv1d_grad_input", ((2, 4, 9), (4, 3, 3)), ((2, 3, 11),), {}),
    Case("conv1d_grad_weight-plain", "conv1d_grad_weight", ((2, 4, 9), (2, 3, 11)), ((4, 3, 3),), {}),
    Case("conv3d_grad_input-plain", "conv3d_grad_input", ((1, 2, 2, 2, 3), (2, 3, 2, 2, 2)), ((1, 3, 4, 4, 5),),
        {"stride": 2, "padding": ((0, 1), (0, 0), (0, 1))}),
    Case("conv3d_grad_weight-plain", "conv3d_grad_weight", ((1, 2, 2, 2, 3), (1, 3, 4, 4, 5)), ((2, 3, 2, 2, 2),),
        {"stride": 2, "padding": ((0, 1), (0, 0), (0, 1))}),
    Case("conv2d_grad_input-int", "conv2d_grad_input", ((2, 4, 4, 3), (4, 3, 3, 3)), ((2, 3, 6, 5),), {}, ("int32",)),
    Case("conv2d_grad_weight-float16", "conv2d_grad_weight", ((2, 4, 4, 3), (2, 3, 6, 5)), ((4, 3, 3, 3),), {},
        ("float16",)),
)  # fmt: skip

TRANSPOSED = tuple(
    Case(f"conv_transpose{len(x) - 2}d-{name}", f"conv_transpose{len(x) - 2}d", (x, w, b) if b else (x, w), (), options)
    for name, x, w, b, options in (
        ("plain", (2, 3, 4, 5), (3, 4, 3, 3), (4,), {}),
        ("stride_output_padding", (1, 2, 3, 4), (2, 3, 3, 2), None,
            {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}),
        ("output_padding_dilation", (1, 2, 3, 3), (2, 1, 2, 2), None, {"dilation": 3, "output_padding": 2}),
        ("output_size", (1, 2, 3, 3), (2, 1, 3, 3), (1,), {"stride": 2, "output_size": (8, 7)}),
        ("groups", (1, 4, 3, 3), (4, 3, 3, 3), (6,), {"groups": 2, "padding": 1, "stride": 2}),
        ("same_upper", (1, 1, 3, 3), (1, 2, 3, 3), None, {"stride": 2, "padding": "same_upper"}),
        ("same_lower", (1, 1, 3, 3), (1, 2, 3, 3), None, {"stride": 2, "padding": "same_lower"}),
        ("same_upper_gap", (1, 1, 3, 3), (1, 2, 2, 2), None, {"stride": 3, "padding": "same_upper"}),
        ("1d", (1, 2, 5), (2, 3, 4), (3,), {"stride": 3, "padding": ((1, 2),)}),
        ("3d", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3), None, {"stride": 2, "padding": (0, 1, 1)}),
    )
)  # fmt: skip


WEIGHTS = tuple(
    Case(f"{call}-{name}", call, arrays, args, {"w_layout": order, **options}, dtypes, why=why)
    for call, name, order, arrays, args, options, dtypes, why in (
        ("conv2d", "hwio", "HWIO", ((2, 3, 7, 6), (3, 2, 3, 4), (4,)), (), {"padding": 1}, ("float32",), "as Keras holds them"),
        ("conv2d", "hwio_many_channels", "HWIO", ((1, 40, 8, 8), (3, 3, 40, 48)), (), {"padding": 1}, ("float32",), "enough to be packed from where they lie"),
        ("conv2d", "hwio_pointwise", "HWIO", ((1, 130, 7, 7), (1, 1, 130, 70), (70,)), (), {}, ("float64",), "a matrix the other way round"),
        ("conv2d", "hwio_groups", "HWIO", ((1, 64, 6, 5), (3, 3, 32, 70)), (), {"groups": 2, "stride": 2}, ("float32",), "groups lie beside each other"),
        ("conv2d", "hwio_flip", "HWIO", ((1, 2, 6, 5), (3, 2, 2, 3)), (), {"flip": True}, ("float32",), ""),
        ("conv2d", "hwio_integers", "HWIO", ((1, 3, 6, 5), (3, 2, 3, 4)), (), {}, ("int8",), ""),
        ("conv2d", "hwio_halves", "HWIO", ((1, 3, 6, 5), (3, 2, 3, 4)), (), {"padding": 1}, ("float16",), ""),
        ("conv2d", "ohwi_nhwc", "OHWI", ((2, 6, 5, 3), (4, 3, 2, 3)), (), {"layout": "NHWC"}, ("float32",), ""),
        ("conv2d", "ohwi_many_channels", "OHWI", ((1, 40, 8, 8), (48, 3, 3, 40)), (), {"padding": 1}, ("float32",), ""),
        ("conv2d", "hwcm", "HWCM", ((1, 3, 6, 7), (3, 2, 3, 2), (6,)), (), {"groups": 3, "padding": 1}, ("float32",), "depthwise with a multiplier"),
        ("conv1d", "wio", "WIO", ((2, 3, 11), (3, 3, 4)), (), {}, ("float32",), ""),
        ("conv1d", "wcm", "WCM", ((2, 3, 11), (3, 3, 1)), (), {"groups": 3}, ("float32",), ""),
        ("conv3d", "dhwio", "DHWIO", ((1, 2, 4, 5, 6), (2, 3, 2, 2, 3)), (), {}, ("float32",), ""),
        ("conv3d", "odhwi", "ODHWI", ((1, 24, 4, 5, 6), (24, 2, 3, 3, 24)), (), {"padding": 1}, ("float32",), ""),
        ("conv2d_grad_input", "hwio", "HWIO", ((2, 4, 4, 3), (3, 3, 3, 4)), ((2, 3, 6, 5),), {}, ("float32",), ""),
        ("conv2d_grad_input", "ohwi_stride", "OHWI", ((1, 90, 3, 4), (90, 3, 3, 90)), ((1, 90, 7, 9),), {"stride": 2}, ("float32",), "phases of weights that lie elsewhere"),
        ("conv2d_grad_weight", "hwio", "HWIO", ((2, 4, 4, 3), (2, 3, 6, 5)), ((3, 3, 3, 4),), {}, ("float32",), ""),
        ("conv2d_grad_weight", "hwcm", "HWCM", ((1, 6, 4, 5), (1, 3, 6, 7)), ((3, 3, 3, 2),), {"groups": 3}, ("float32",), ""),
        ("conv_transpose2d", "hwoi", "HWOI", ((2, 3, 4, 5), (3, 3, 4, 3), (4,)), (), {"stride": 2}, ("float32",), "as Keras holds them"),
        ("conv_transpose2d", "ihwo", "IHWO", ((1, 4, 3, 3), (4, 3, 3, 3)), (), {"groups": 2}, ("float32",), ""),
        ("conv_transpose1d", "woi", "WOI", ((1, 2, 5), (4, 3, 2)), (), {"stride": 3}, ("float32",), ""),
        ("conv_transpose3d", "dhwoi", "DHWOI", ((1, 2, 2, 3, 2), (2, 2, 3, 2, 2)), (), {"stride": 2}, ("float32",), ""),
        ("conv_transpose2d_grad_input", "hwoi", "HWOI", ((1, 3, 7, 7), (3, 3, 3, 2)), ((1, 2, 3, 3),), {"stride": 2}, ("float32",), ""),
        ("conv_transpose2d_grad_weight", "ihwo", "IHWO", ((1, 3, 7, 7), (1, 2, 3, 3)), ((2, 3, 3, 3),), {"stride": 2}, ("float32",), ""),
    )
)  # fmt: skip


def _pools() -> Iterator[Case]:
    x = (2, 3, 7, 8)
    for kind in ("max", "min", "avg", "sum"):
        op = f"{kind}_pool2d"
        extra: dict[str, Any] = {"return_indices": True} if kind in ("max", "min") else {}
        yield _pool("plain", op, x, 2, **extra)
        yield _pool("overlap_pad", op, x, 3, stride=2, padding=1, **extra)
        yield _pool("stride_1", op, x, (4, 5), stride=1, padding=(2, 1), **extra)
        yield _pool("stride_gt_kernel", op, x, 2, stride=(3, 4), **extra)
        yield _pool("ceil", op, x, 3, stride=2, ceil_mode=True, **extra)
        yield _pool("ceil_pad", op, (1, 1, 9, 9), 4, stride=4, padding=2, ceil_mode=True,
            why="the last window is dropped", **extra)
        yield _pool("ceil_larger_than_input", op, (1, 1, 2, 2), 3, stride=2, ceil_mode=True, **extra)
        yield _pool("dilation", op, x, 3, stride=2, dilation=(2, 3), padding=1, **extra)
        yield _pool("empty_window", op, (1, 1, 2, 2), 2, dilation=3, padding=1, stride=1,
            why="taps on both sides of the input", **extra)
        yield _pool("pad_asym", op, x, (3, 2), stride=2, padding=((2, 0), (0, 1)), **extra)
        yield _pool("same_upper", op, x, 3, stride=2, padding="same_upper", **extra)
        yield _pool("same_lower", op, x, 2, stride=3, padding="same_lower", **extra)
        yield _pool("kernel_1", op, x, 1, why="the identity", **extra)
        yield _pool("kernel_eq_input", op, x, (7, 8), **extra)
        yield _pool("large_stride_1", op, (1, 2, 20, 23), 13, stride=1, padding=6, **extra)
        yield _pool("nhwc", op, (2, 7, 8, 3), 3, stride=2, padding=1, layout="NHWC", **extra)
        yield _pool("unbatched", op, (3, 7, 8), 2, **extra)
        yield _pool("n_zero", op, (0, 3, 7, 8), 2, **extra)
        yield _pool("size_zero_padded", op, (1, 2, 0, 4), 2, padding=1, stride=1, why="empty windows only", **extra)
        yield _pool("wide", op, (1, 1, 4, 70), 3, stride=2, padding=1, **extra)
        yield _pool("reflect", op, x, 3, stride=2, padding=1, padding_mode="reflect", ceil_mode=True, **extra)
        yield _pool("symmetric", op, x, 4, stride=1, padding=((3, 1), (0, 2)), padding_mode="symmetric", **extra)
        yield _pool("edge_nhwc", op, (2, 7, 8, 3), 3, stride=2, padding=1, padding_mode="edge", layout="NHWC", **extra)
        yield _pool("wrap", op, x, 2, dilation=3, stride=1, padding=2, padding_mode="wrap", **extra)
        yield _pool("pad_value", op, x, 3, stride=2, padding=1, pad_value=2, why="it takes part", **extra)
        yield _pool("1d", f"{kind}_pool1d", (2, 3, 11), 3, stride=2, padding=1, **extra)
        yield _pool("1d_wrap", f"{kind}_pool1d", (3, 11), 3, stride=1, padding=1, padding_mode="wrap", **extra)
        yield _pool("3d", f"{kind}_pool3d", (1, 2, 5, 4, 6), (2, 3, 2), stride=(1, 2, 2), padding=(1, 1, 0),
            ceil_mode=True, **extra)
    for dtype in ("float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
        "bool"):
        for op in ("max_pool2d", "min_pool2d"):
            yield _pool(f"dtype-{dtype}", op, x, 3, stride=2, padding=1, return_indices=True, dtypes=(dtype,))
            yield _pool(f"empty-{dtype}", op, (1, 1, 2, 2), 2, dilation=3, padding=1, stride=1, dtypes=(dtype,))
        yield _pool(f"dtype-{dtype}", "avg_pool2d", x, 2, dtypes=(dtype,))
        yield _pool(f"dtype-{dtype}", "sum_pool2d", x, 3, padding=1, dtypes=(dtype,))
    yield _pool("dtype-complex64", "avg_pool2d", x, 2, dtypes=("complex64",))
    yield _pool("dtype-complex128", "sum_pool2d", x, 2, dtypes=("complex128",))
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
    yield _pool("no_pad_count", "avg_pool2d", x, 3, stride=2, padding=1, count_include_pad=False)
    yield _pool("no_pad_count_ceil", "avg_pool2d", (1, 2, 4, 4), 3, stride=2, padding=1, ceil_mode=True,
        count_include_pad=False)
    yield _pool("ceil_overhang", "avg_pool2d", (1, 1, 4, 4), 3, stride=2, padding=1, ceil_mode=True,
        why="what lies behind the padding never counts")
    yield _pool("divisor", "avg_pool2d", x, 3, stride=2, padding=1, divisor_override=4)
    yield _pool("divisor_negative", "avg_pool2d", x, 2, divisor_override=-2, dtypes=("float64",))
    yield _pool("dilation_count", "avg_pool2d", x, 3, dilation=2, padding=((3, 1), (0, 4)), stride=2, ceil_mode=True)
    for p in (1, 2, 3, 0.5, math.inf):
        yield _pool(f"p{p}", "lp_pool2d", (1, 2, 6, 7), p, 2, stride=2, dtypes=("float64",))
    yield _pool("edge", "lp_pool2d", (1, 2, 6, 7), 2, 3, padding=1, padding_mode="edge", dtypes=("float64",))
    yield _pool("3d_reflect", "max_pool3d", (1, 2, 4, 3, 5), 3, stride=1, padding=1, padding_mode="reflect",
        return_indices=True)
    yield _pool("int", "lp_pool1d", (1, 2, 9), 2, 3, padding=1, dtypes=("int32",))
    yield _pool("nan", "lp_pool2d", (1, 2, 6, 7), 2, 2, fill="nan")
    yield _pool("3d", "lp_pool3d", (1, 1, 4, 4, 4), 1, 2, ceil_mode=True)
    for kind in ("avg", "max"):
        extra = {"return_indices": True} if kind == "max" else {}
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
    Case("global_avg_pool2d_grad_input-plain", "global_avg_pool2d_grad_input", ((2, 3, 1, 1),), ((2, 3, 4, 8),), {}),
    Case("global_avg_pool3d_grad_input-ndhwc", "global_avg_pool3d_grad_input", ((2, 1, 1, 1, 3),), ((2, 2, 4, 8, 3),), {"layout": "NDHWC"}),
)  # fmt: skip

COLUMNS = (
    *(
        Case(f"im2col-{name}", "im2col", (x,), (kernel,), options, dtypes)
        for name, x, kernel, options, dtypes in (
            ("2d", (2, 3, 6, 5), (3, 2), {"stride": 2, "padding": 1}, ("float32",)),
            ("1d", (2, 3, 9), (4,), {"dilation": 2, "padding": "same"}, ("float64",)),
            ("3d", (1, 2, 4, 3, 5), 2, {"padding": ((1, 0), (0, 1), (2, 2))}, ("int16",)),
            ("4d", (1, 1, 3, 3, 2, 3), (2, 2, 1, 2), {}, ("float32",)),
            ("unbatched", (2, 5, 4), (2, 2), {}, ("bool",)),
            ("complex", (1, 2, 5, 4), (2, 2), {}, ("complex64",)),
            ("n_zero", (0, 2, 5, 4), (2, 2), {}, ("float32",)),
        )
    ),
    *(
        Case(f"col2im-{name}", "col2im", (cols,), (size, kernel), options, dtypes)
        for name, cols, size, kernel, options, dtypes in (
            ("2d", (2, 18, 9), (6, 5), (3, 2), {"stride": 2, "padding": 1}, ("float32",)),
            ("1d", (2, 6, 8), (9,), (2,), {}, ("int8",)),
            ("3d", (1, 16, 9), (2, 3, 4), 2, {"padding": ((0, 0), (0, 1), (0, 0)), "stride": (1, 1, 1)}, ("float64",)),
            ("unbatched", (8, 12), (5, 4), (2, 2), {}, ("float16",)),
        )
    ),
)  # fmt: skip

IMAGES = tuple(
    Case(f"filter2d-{name}", "filter2d", shapes, (), options, dtypes)
    for name, shapes, options, dtypes in (
        ("grey", ((7, 6), (3, 3)), {}, ("float32",)),
        ("colour", ((7, 6, 3), (3, 3)), {"boundary": "symmetric"}, ("float32",)),
        ("even_flip", ((7, 6), (2, 4)), {"flip": True, "boundary": "wrap"}, ("float64",)),
        ("full", ((4, 5, 3), (3, 2)), {"mode": "full", "boundary": "constant"}, ("float32",)),
        ("valid_int", ((6, 5), (3, 2)), {"mode": "valid"}, ("uint8", "int8")),
    )
)


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Return all conformance cases.

    Returns
    -------
    cases : tuple of Case
        In the order in which they run.
    """
    return (
        *CONVS, *DTYPES, *QUANTISED, *LARGE, *UNPOOLS, *GRADIENTS, *TRANSPOSED, *WEIGHTS, *_pools(), *POOL_GRADIENTS, *COLUMNS,
        *IMAGES,
    )  # fmt: skip
