"""Attributes that no rule of ONNX allows are refused by name, and what results would be too large for any array."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import helper

import convlib.onnx
from convlib.onnx import NodeError

X, W, OFFSET = np.ones((1, 2, 6, 6), "f4"), np.ones((3, 2, 3, 3), "f4"), np.ones((1, 18, 4, 4), "f4")
WINDOWS = {
    "Conv": (X, W), "ConvTranspose": (X, np.ones((2, 3, 3, 3), "f4")), "ConvInteger": (X.astype("u1"), W.astype("i1")),
    "DeformConv": (X, W, OFFSET), "MaxPool": (X,), "AveragePool": (X,), "LpPool": (X,),
}  # fmt: skip


def run(op, inputs, **attributes):
    names = [f"input{number}" for number in range(len(inputs))]
    return convlib.onnx.run_node(helper.make_node(op, names, ["y"], **attributes), inputs)[0]


@pytest.mark.parametrize("bad", [0, -1, -3, -(2**62)])
@pytest.mark.parametrize("name", ["strides", "dilations"])
@pytest.mark.parametrize("op", WINDOWS)
def test_steps_are_at_least_1(op, name, bad):
    attributes = {"kernel_shape": [3, 3], "pads": [2**60] * 4 if bad < -9 else [0] * 4}
    with pytest.raises(NodeError, match=rf"{name}=\[1, {bad}\] must be at least 1 on every axis"):
        run(op, WINDOWS[op], **attributes, **{name: [1, bad]})


@pytest.mark.parametrize("bad", [0, -1])
@pytest.mark.parametrize(
    ("op", "name"), [(op, "group") for op in ("Conv", "ConvInteger", "DeformConv")] + [("DeformConv", "offset_group")]
)
def test_groups_are_at_least_1(op, name, bad):
    with pytest.raises(NodeError, match=f"{name}={bad} must be at least 1"):
        run(op, WINDOWS[op], **{name: bad})


def test_empty_results_too_large_for_any_array_are_refused():
    thin = np.ones((1, 2, 2, 1), "f4")
    with pytest.raises(NodeError, match="the result would have the shape"):
        run("Conv", (thin, np.ones((3, 2, 5, 1), "f4")), strides=[9, 1], pads=[0, 2**60, 0, 2**60])
    with pytest.raises(NodeError, match="the result would have the shape"):
        run("MaxPool", (thin,), kernel_shape=[5, 1], strides=[9, 1], pads=[0, 2**60, 0, 2**60])
