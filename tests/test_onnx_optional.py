"""Results and inputs that a prepared model leaves out: both have the name "", and are not the same value."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

import convlib.onnx

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w": (3, 2, 3, 3), "one": (3, 3, 1, 1), "s": (2, 1, 2), "u": (1, 12, 2), "v": (1, 12, 3), "high": (),
}  # fmt: skip
STATE = '"", h = LSTM <hidden_size=3>(s, u, v)'


def model(nodes):
    text = f'<ir_version: 8, opset_import: ["" : 17]> net (float[1, 2, 6, 6] x) => (float[N, 3, P, Q] y) {{ {nodes} }}'
    found = parser.parse_model(text)
    rng = np.random.default_rng(0)
    given = {name: rng.integers(-4, 5, shape).astype(np.float32) for name, shape in CONSTANTS.items()}
    found.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in given.items())
    return found


@pytest.mark.parametrize("last", ['Clip(t, "", high)', 'Clip(a, "", high)', 'Conv(a, one, "")'])
def test_a_result_that_is_left_out_is_no_input_that_is_left_out(last):
    nodes = f"t = Conv(x, w) a = Conv(t, one) y = {last}"
    x = RNG.integers(-4, 5, (1, 2, 6, 6)).astype(np.float32)
    expected = ReferenceEvaluator(model(nodes)).run(None, {"x": x})[0]
    np.testing.assert_array_equal(convlib.onnx.prepare(model(f"{STATE} {nodes}")).run([x])[0], expected)
