"""Every line of the tables for those who come from other libraries, asked of both."""

import re
from pathlib import Path

import numpy as np
import pytest

import convlib

USE = Path(__file__).parents[1] / "docs/use"
pytestmark = pytest.mark.skipif(not USE.exists(), reason="the pages are in the checkout, which is not here")

#: Rows of two cells, both code.
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
ROWS = [row for name in ("migrating.md", "padding.md") if USE.exists() for row in ROW.findall((USE / name).read_text())]


def scipy_names():
    from scipy import ndimage, signal

    return {"signal": signal, "ndimage": ndimage}


class Torch:
    """torch.nn.functional for arrays."""

    def __getattr__(self, name):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        function = getattr(torch.nn.functional, name)

        def call(*args, **options):
            return function(*(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in args), **options)

        return call


class TensorFlow:
    """TensorFlow, where it is asked for."""

    def __getattr__(self, name):
        return getattr(pytest.importorskip("tensorflow", reason="TensorFlow is not installed"), name)


def onnx_conv(x, w):
    """Return what makes a node of Conv, and runs it."""
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

    def call(**attributes):
        value = lambda name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)  # noqa: E731
        node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
        graph = onnx.helper.make_graph([node], "conv", [value("x"), value("w")], [value("y")])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x.astype(np.float32), "w": w.astype(np.float32)})[0]

    return call


@pytest.mark.parametrize(("peer", "ours"), ROWS, ids=[peer for peer, _ in ROWS])
def test_both_say_the_same(peer, ours):
    rng = np.random.default_rng(0)
    x, w, v = (rng.integers(-4, 5, shape).astype(float) for shape in ((1, 2, 6, 7), (3, 2, 3, 3), (2, 3, 3, 3)))
    names = {"np": np, "x": x, "w": w, "v": v, "a": x[0, 0], "k": w[0, 0], **vars(convlib)}
    names |= {"xl": np.ascontiguousarray(x.transpose(0, 2, 3, 1)), "wl": w.transpose(2, 3, 1, 0)}
    if peer.startswith("cv2"):
        names["cv2"] = pytest.importorskip("cv2", reason="OpenCV is not installed")
    if peer.startswith("Conv("):
        names["Conv"] = onnx_conv(x, w)
    theirs = eval(peer, {**names, **scipy_names(), "F": Torch(), "tf": TensorFlow()})
    np.testing.assert_allclose(np.asarray(theirs), eval(ours, names), rtol=0, atol=1e-9 if "fft" in peer else 1e-12)


def test_there_are_lines_for_each_library():
    firsts = {re.match(r"\w+", peer)[0] for peer, _ in ROWS}
    assert firsts == {"signal", "ndimage", "F", "cv2", "Conv", "tf"}
    assert len(ROWS) > 40


def test_each_cell_of_the_summary_stands_in_a_line_that_is_run():
    text = (USE / "padding.md").read_text()
    lines = re.findall(r"^\| [a-z`(].*\|$", text[: text.index("## ONNX")], re.MULTILINE)[1:]
    assert len(lines) == 11
    run = ROW.findall(text)
    columns = (("", 1), ("F.", 0), ("tf.", 0), ("Conv(", 0), ("signal.", 0))
    for line in lines:
        _, _, *cells = (cell.strip() for cell in line.split("|")[:-1])
        for cell, (library, side) in zip(cells, columns, strict=False):
            for code in re.findall("`([^`]+)`", cell):
                assert any(code in row[side] and row[0].startswith(library) for row in run), (library, code)
