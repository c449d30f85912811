"""Cases of convolution, of its gradients, and of integers with zero points."""

from __future__ import annotations

from typing import Any

from .case import Case, Shape


def _conv(name: str, x: Shape, w: Shape, why: str = "", *, bias: bool = False, call: str = "", **options: Any) -> Case:
    nd = len(w) - 2
    arrays = (x, w, (w[0],)) if bias else (x, w)
    return Case(f"conv{nd}d-{name}", call or f"conv{nd}d", arrays, (), options, why=why)


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

DTYPES += (
    Case("conv2d-dtype-complex64_depthwise_1x1", "conv2d", ((2, 5, 3, 4), (10, 1, 1, 1)), (), {"groups": 5}, ("complex64",)),
)

#: Of a type that the package ml_dtypes brings: computed in float32; these sums need no rounding.
BFLOAT16 = tuple(
    Case(f"{call}-bfloat16{name}", call, arrays, args, options, dtypes) for call, name, arrays, args, options, dtypes in (
        ("conv2d", "", ((2, 3, 6, 5), (4, 3, 3, 3), (4,)), (), {"padding": 1}, ("bfloat16",)),
        ("conv2d", "_float32", ((2, 3, 6, 5), (4, 3, 3, 3)), (), {}, ("bfloat16", "float32")),
        ("conv1d", "_nwc_reflect", ((2, 9, 3), (4, 3, 3)), (), {"layout": "NWC", "padding": 2, "padding_mode": "reflect"}, ("bfloat16",)),
        ("conv2d_grad_input", "", ((2, 4, 4, 3), (4, 3, 3, 3)), ((2, 3, 6, 5),), {}, ("bfloat16",)),
        ("conv_transpose2d", "", ((1, 4, 3, 3), (4, 2, 3, 3)), (), {"stride": 2}, ("bfloat16",)),
        ("max_pool2d", "", ((2, 3, 7, 8),), (3,), {"padding": 1}, ("bfloat16",)),
        ("avg_pool2d", "", ((2, 3, 7, 8),), (4,), {}, ("bfloat16",)),
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
    Case("conv_transpose2d_grad_input-output_padding_1x1", "conv_transpose2d_grad_input", ((1, 3, 4, 5), (2, 3, 1, 1)),
        ((1, 2, 3, 4),), {"dilation": 2, "output_padding": 1}),
    Case("conv_transpose2d_grad_weight-output_padding_1x1", "conv_transpose2d_grad_weight", ((1, 3, 4, 5), (1, 2, 3, 4)),
        ((2, 3, 1, 1),), {"dilation": 2, "output_padding": 1}),
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
        ("output_padding_1x1", (1, 2, 3, 4), (2, 3, 1, 1), (3,), {"dilation": 2, "output_padding": 1}),
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
        ("conv2d", "hwio_many_channels", "HWIO", ((1, 40, 3, 8), (3, 3, 40, 48)), (), {"padding": 1}, ("float32",), "enough to be packed from where they lie"),
        ("conv2d", "hwio_pointwise", "HWIO", ((1, 130, 7, 7), (1, 1, 130, 70), (70,)), (), {}, ("float64",), "a matrix the other way round"),
        ("conv2d", "hwio_groups", "HWIO", ((1, 64, 6, 5), (3, 3, 32, 70)), (), {"groups": 2, "stride": 2}, ("float32",), "groups lie beside each other"),
        ("conv2d", "hwio_flip", "HWIO", ((1, 2, 6, 5), (3, 2, 2, 3)), (), {"flip": True}, ("float32",), ""),
        ("conv2d", "hwio_integers", "HWIO", ((1, 3, 6, 5), (3, 2, 3, 4)), (), {}, ("int8",), ""),
        ("conv2d", "hwio_halves", "HWIO", ((1, 3, 6, 5), (3, 2, 3, 4)), (), {"padding": 1}, ("float16",), ""),
        ("conv2d", "ohwi_nhwc", "OHWI", ((2, 6, 5, 3), (4, 3, 2, 3)), (), {"layout": "NHWC"}, ("float32",), ""),
        ("conv2d", "ohwi_many_channels", "OHWI", ((1, 40, 3, 8), (48, 3, 3, 40)), (), {"padding": 1}, ("float32",), ""),
        ("conv2d", "hwcm", "HWCM", ((1, 3, 6, 7), (3, 2, 3, 2), (6,)), (), {"groups": 3, "padding": 1}, ("float32",), "depthwise with a multiplier"),
        ("conv1d", "wio", "WIO", ((2, 3, 11), (3, 3, 4)), (), {}, ("float32",), ""),
        ("conv1d", "wcm", "WCM", ((2, 3, 11), (3, 3, 1)), (), {"groups": 3}, ("float32",), ""),
        ("conv3d", "dhwio", "DHWIO", ((1, 2, 4, 5, 6), (2, 3, 2, 2, 3)), (), {}, ("float32",), ""),
        ("conv3d", "odhwi", "ODHWI", ((1, 24, 3, 4, 5), (24, 2, 3, 3, 24)), (), {"padding": 1}, ("float32",), ""),
        ("conv2d_grad_input", "hwio", "HWIO", ((2, 4, 4, 3), (3, 3, 3, 4)), ((2, 3, 6, 5),), {}, ("float32",), ""),
        ("conv2d_grad_input", "ohwi_stride", "OHWI", ((1, 32, 3, 4), (32, 3, 3, 34)), ((1, 34, 7, 9),), {"stride": 2}, ("float32",), "phases of weights that lie elsewhere"),
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
