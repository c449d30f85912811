"""What type checkers know of results; mypy and `test_types.py` read this file."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import convlib


class OnDevice:
    """Looks like a CuPy array."""

    @property
    def device(self) -> str:
        return "gpu"

    def get(self) -> NDArray[Any]:
        return np.ones(1)


class Lazy:
    """Looks like a Dask array."""

    @property
    def chunks(self) -> tuple[int, ...]:
        return (1,)

    def compute(self) -> NDArray[Any]:
        return np.ones(1)


single, double = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 4, 4))
whole, byte = np.ones((1, 1, 4, 4), np.int32), np.ones((1, 1, 4, 4), np.uint8)
line, image, bias = np.ones((1, 1, 4), np.float32), np.ones((4, 4), np.float32), np.ones(1, np.float32)
lazy, there = Lazy(), OnDevice()

assert_type(convlib.conv2d(single, single), NDArray[np.float32])
assert_type(convlib.conv2d(x=single, w=single, bias=bias, stride=2, padding="same"), NDArray[np.float32])
assert_type(convlib.conv2d(double, double), NDArray[np.float64])
assert_type(convlib.conv2d(single, double), NDArray[Any])
assert_type(convlib.conv2d(byte, whole), NDArray[np.int64])
assert_type(convlib.conv2d(byte, byte, out_dtype="int32"), NDArray[Any])
assert_type(convlib.conv2d([[[1.0]]], [[[1.0]]]), NDArray[Any])
assert_type(convlib.conv2d(lazy, single), Lazy)
assert_type(convlib.conv3d(there, there), OnDevice)
assert_type(convlib.conv_transpose1d(line, line), NDArray[np.float32])
assert_type(convlib.conv2d_grad_weight(single, single, (1, 1, 1, 1)), NDArray[np.float32])
assert_type(convlib.filter2d(image, image), NDArray[np.float32])
assert_type(convlib.max_pool2d(byte, 2), NDArray[np.uint8])
assert_type(convlib.max_pool2d(single, 2, return_indices=True), tuple[NDArray[np.float32], NDArray[np.int64]])
assert_type(convlib.max_pool2d(lazy, 2, return_indices=True), tuple[Lazy, Lazy])
assert_type(convlib.avg_pool2d(single, 2), NDArray[np.float32])
assert_type(convlib.avg_pool2d(there, 2), OnDevice)
assert_type(convlib.im2col(byte, 2), NDArray[np.uint8])
assert_type(convlib.plan_conv2d((1, 1, 4, 4), single), convlib.functional.ConvPlan)

convlib.conv2d(single)  # type: ignore[call-overload]
convlib.conv2d(single, single, strides=1)  # type: ignore[call-overload]
convlib.max_pool2d(single, 2, layout=3)  # type: ignore[call-overload]
