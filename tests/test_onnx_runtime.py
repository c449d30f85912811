"""Random nodes by convlib and by ONNX Runtime: they agree, or the operator's specification says who is right."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip(
    "onnxruntime", minversion="1.32", reason="ONNX Runtime 1.32 or newer, the peer of this test, is not installed"
)

import onnx_nodes

import convlib.onnx

POOLS = ("MaxPool", "AveragePool", "LpPool")
CONVS = ("Conv", "ConvInteger", "QLinearConv")


class Seen:
    """A node that came out differently, with the sizes that the reasons below look at."""

    def __init__(self, op, inputs, opset, attributes):
        self.op, self.opset, self.attributes = op, opset, attributes
        self.size = inputs[0].shape[2:]
        nd = len(self.size)
        kernel = {"QLinearConv": 3}.get(op, 1)
        self.kernel = tuple(
            attributes.get("kernel_shape") or (inputs[kernel].shape[2:] if kernel < len(inputs) else ())
        )
        self.strides = attributes.get("strides", [1] * nd)
        self.dilations = attributes.get("dilations", [1] * nd)
        self.pads = attributes.get("pads", [0] * 2 * nd)
        self.auto_pad = attributes.get("auto_pad", "NOTSET")
        self.same = self.auto_pad.startswith("SAME")

    def room(self):
        """Return by how much each axis is longer than a window, padding included."""
        nd = len(self.size)
        return [
            self.size[a] + (0 if self.same else self.pads[a] + self.pads[a + nd])
            - (self.kernel[a] - 1) * self.dilations[a] - 1
            for a in range(nd)
        ]  # fmt: skip


def larger_window(node):
    """Return whether a window is larger than the padded input, but by no more than a stride."""
    return not node.same and min(node.room()) < 0 and not much_larger_window(node)


def much_larger_window(node):
    """Return whether a window is larger than the padded input by more than a stride."""
    return not node.same and any(r < -s for r, s in zip(node.room(), node.strides, strict=True))


def dilated(node):
    return max(node.dilations) > 1


def strides_leave_gaps(node):
    """Return whether SAME needs no padding on some axis, but less than none."""
    spans = [(k - 1) * d + 1 for k, d in zip(node.kernel, node.dilations, strict=True)]
    return any(s > span for s, span in zip(node.strides, spans, strict=True))


#: (operators, which nodes, how they differ, what the specification says), as of ONNX Runtime 1.32.
EXPLAINED = [
    (CONVS, lambda n: n.same and dilated(n), {"refused"},
     "SAME with dilations is defined: the window counts with its dilation; ONNX Runtime refuses it"),
    ((*CONVS, "DeformConv"), larger_window, {"refused"},
     "the size rounds down to 0: the result is empty; ONNX Runtime refuses it"),
    (POOLS, larger_window, {"refused", "shape"},
     "the size rounds down to 0; ONNX Runtime rounds towards zero and reads a window that is not there"),
    (POOLS, much_larger_window, {"convlib refuses"},
     "the size would be less than 0; ONNX Runtime rounds towards zero"),
    (POOLS, lambda n: n.same and dilated(n), {"refused", "shape", "values"},
     "SAME counts the window with its dilation, so that ceil(input / stride) come out; ONNX Runtime leaves it out"),
    (POOLS, lambda n: n.same and strides_leave_gaps(n), {"refused", "values"},
     "pads are at least 0; ONNX Runtime shifts the windows by negative ones, or refuses"),
    (POOLS, lambda n: n.auto_pad == "VALID" and n.attributes.get("ceil_mode"), {"shape"},
     "VALID gives ceil((input - window + 1) / stride) with ceil_mode, as without; ONNX Runtime rounds up once more"),
    (("ConvTranspose",), lambda n: n.same and strides_leave_gaps(n), {"shape"},
     "SAME gives input * stride elements; ONNX Runtime gives no more than the windows cover"),
    (("Col2Im",), lambda n: dilated(n), {"values"},
     "blocks lie as far apart as dilations say, on every axis; ONNX Runtime mixes the axes up beyond two"),
]  # fmt: skip


def difference(ours, theirs):
    """Return how two results differ, or None."""
    if isinstance(theirs, Exception):
        return None if isinstance(ours, Exception) else "refused"
    if isinstance(ours, Exception):
        return "convlib refuses"
    if [a.shape for a in ours] != [a.shape for a in theirs]:
        return "shape"
    if [a.dtype for a in ours] != [a.dtype for a in theirs]:
        return "dtype"
    close = (
        np.allclose(a.astype(float), b.astype(float), rtol=1e-4, atol=1e-4) for a, b in zip(ours, theirs, strict=True)
    )
    return None if all(close) else "values"


def both(seed):
    """Run the node of a seed by both; return it with what came out."""
    op, inputs, opset, outputs, attributes = onnx_nodes.Draw(seed).node()
    constants = len(inputs) - 1 if seed % 2 and op in CONVS else 0
    model = onnx_nodes.model(op, inputs, opset, outputs, constants, **attributes)
    feeds = onnx_nodes.feeds(inputs, constants)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        theirs = session.run(None, feeds)
    except Exception as error:  # its exceptions share no other class
        theirs = error
    try:
        ours = convlib.onnx.Prepared(model).run(feeds)
    except convlib.onnx.NodeError as error:
        ours = error
    return Seen(op, inputs, opset, attributes), ours, theirs


def check_nodes(seeds):
    """Compare the nodes of some seeds; return how many agreed."""
    agreed, faults = 0, []
    for seed in seeds:
        node, ours, theirs = both(seed)
        how = difference(ours, theirs)
        if how is None:
            agreed += 1
        elif not any(node.op in ops and how in kinds and which(node) for ops, which, kinds, _ in EXPLAINED):
            why = f": {ours}" if isinstance(ours, Exception) else ""
            faults.append(f"seed {seed}: {node.op} {node.opset} {node.attributes} of {node.size}: {how}{why}")
    assert not faults, "\n".join(faults)
    return agreed


@pytest.mark.parametrize("start", range(0, 100, 25))
def test_random_nodes(start):
    assert check_nodes(range(start, start + 25)) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 2100, 250))
def test_many_random_nodes(start):
    assert check_nodes(range(start, start + 250)) >= 225


def test_every_reason_is_met_and_every_operator_drawn():
    """Seeds that meet the reasons, one each: what ONNX Runtime has mended is struck off the list."""
    for place, seed in REASONS.items():
        node, ours, theirs = both(seed)
        operators, which, kinds, reason = EXPLAINED[place]
        assert node.op in operators, reason
        assert which(node), reason
        assert difference(ours, theirs) in kinds, reason
    assert REASONS.keys() == set(range(len(EXPLAINED)))
    assert {onnx_nodes.Draw(seed).node()[0] for seed in range(100)} == onnx_nodes.OPSETS.keys()


#: The seed of a node for each reason.
REASONS = {0: 23, 1: 179, 2: 1230, 3: 1003755, 4: 174, 5: 61, 6: 198, 7: 310, 8: 124}
