"""What PyTorch and ONNX's own test cases answer, recorded, through every backend.

The start of the chain of trust: `naive` is judged by these, and everything else by `naive`.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

import convlib

FILES = sorted((Path(__file__).parent / "golden").glob("*.json"))
RECORDS = {path.stem: json.loads(path.read_text()) for path in FILES}
CASES = {f"{tool}-{case['name']}": case for tool, record in RECORDS.items() for case in record["cases"]}


def decode(data):
    shape, dtype = data["shape"], np.dtype(data["dtype"])
    if "arange" in data:
        return np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    if "base64" in data:
        return np.frombuffer(base64.b64decode(data["base64"]), dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    values = [float(value) if isinstance(value, str) else value for value in data["data"]]
    return np.array(values, dtype).reshape(shape)


def call(case, **more):
    arrays = [decode(a) for a in case["arrays"]]
    result = getattr(convlib, case["call"])(*arrays, *case["args"], **case["options"], **more)
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", CASES)
def test_recorded_answers(name, backend):
    case = CASES[name]
    results, expected = call(case, backend=backend), [decode(a) for a in case["expected"]]
    assert len(results) == len(expected)
    exact = case["exact"] and convlib.registry.get_backend(backend).exact
    for result, truth in zip(results, expected, strict=True):
        assert result.shape == truth.shape
        assert result.dtype == truth.dtype
        if exact or truth.dtype.kind in "iu":
            np.testing.assert_array_equal(result, truth)
        else:
            scale = np.abs(truth[np.isfinite(truth)]).max(initial=1)
            np.testing.assert_allclose(result, truth, rtol=case.get("rtol", 2e-5), atol=2e-6 * scale)


@pytest.mark.parametrize("tool", RECORDS)
def test_records_say_where_they_come_from(tool):
    record = RECORDS[tool]
    assert record["tool"] == tool
    assert record["version"]
    assert record["command"] == f"python tests/golden/generate.py {tool}"
    assert len(record["cases"]) > 40


def test_records_stay_small():
    assert sum(path.stat().st_size for path in FILES) < 250_000


# ------------------------------------------------------------------------------- by hand


def plane(*rows):
    return np.array([[rows]], float)


@pytest.mark.parametrize(
    ("op", "x", "args", "options", "expected"),
    [
        ("max_pool2d", plane([0, 1, 2], [3, 4, 5], [6, 7, 8]), (2,), {"stride": 1}, plane([4, 5], [7, 8])),
        ("avg_pool2d", plane([0, 1, 2], [3, 4, 5], [6, 7, 8]), (2,), {"stride": 1}, plane([2, 3], [5, 6])),
        (
            "max_pool2d", np.arange(16.0).reshape(1, 1, 4, 4) + np.arange(2).reshape(1, 2, 1, 1), (3,),
            {"padding": 1, "stride": 2}, np.array([[[[5, 7], [13, 15]], [[6, 8], [14, 16]]]]),
        ),
        (
            "avg_pool2d", np.arange(1.0, 17).reshape(1, 1, 4, 4), (3,), {"stride": 2, "padding": 1, "ceil_mode": True},
            plane([14 / 9, 10 / 3, 2], [19 / 3, 11, 6], [4.5, 7.5, 4]),
        ),
        (
            "avg_pool2d", np.arange(1.0, 17).reshape(1, 1, 4, 4), (3,), {"stride": 2, "ceil_mode": True},
            plane([6, 7.5], [12, 13.5]),
        ),
        ("lp_pool1d", np.array([[[-1.0, -2, -3, 1, 2, 3]]]), (3, 1), {}, np.array([[[1.0, 2, 3, 1, 2, 3]]])),
        ("sum_pool1d", np.array([[[1.0, 2, 3]]]), (2,), {"stride": 1, "padding": 1}, np.array([[[1.0, 3, 5, 3]]])),
        ("min_pool1d", np.array([[[3.0, 1, 2]]]), (2,), {"stride": 1, "padding": 1}, np.array([[[3.0, 1, 1, 2]]])),
    ],
)  # fmt: skip
def test_pooling_by_hand(op, x, args, options, expected, backend):
    np.testing.assert_allclose(getattr(convlib, op)(x, *args, **options, backend=backend), expected, rtol=1e-14)


def test_convolution_by_hand(backend):
    x, w = plane([0, 1, 2], [3, 4, 5], [6, 7, 8]), plane([0, 1], [2, 3])
    np.testing.assert_allclose(convlib.conv2d(x, w, backend=backend), plane([19, 25], [37, 43]), rtol=1e-13)
    flipped = plane([3 * 0 + 2 * 1 + 1 * 3 + 0, 3 * 1 + 2 * 2 + 1 * 4], [3 * 3 + 2 * 4 + 1 * 6, 3 * 4 + 2 * 5 + 1 * 7])
    np.testing.assert_allclose(convlib.conv2d(x, w, flip=True, backend=backend), flipped, rtol=1e-13)


def test_the_edge_detector_of_the_notes(backend):
    """Six rows of 1 1 0 0 0 0 1 1: white to black is 1, black to white is -1."""
    x = np.ones((1, 1, 6, 8))
    x[..., 2:6] = 0
    y = convlib.conv2d(x, plane([1, -1]), backend=backend)
    expected = np.tile([0.0, 1, 0, 0, 0, -1, 0], (1, 1, 6, 1))
    np.testing.assert_allclose(y, expected, atol=1e-14)
    np.testing.assert_allclose(convlib.conv2d(x.transpose(0, 1, 3, 2), plane([1, -1]), backend=backend), 0, atol=1e-14)


@pytest.mark.parametrize(
    ("x", "value", "place"), [([1, np.nan, 5, 6], np.nan, 1), ([3, 4, np.nan, np.nan], np.nan, 3), ([7, 7, 1, 7], 7, 0)]
)
def test_the_place_of_a_maximum_by_hand(x, value, place, backend):
    y, where = convlib.max_pool1d(np.array([[x]], np.float32), 4, return_indices=True, backend=backend)
    np.testing.assert_array_equal(y, [[[value]]])
    assert where.item() == place


def test_a_window_that_sees_nothing(backend):
    """Two taps, three apart, around two elements: the middle window falls on both sides of them."""
    options = {"stride": 1, "padding": 1, "dilation": 3, "backend": backend}
    x = np.array([[[1.0, 2.0]]])
    y, where = convlib.max_pool1d(x, 2, return_indices=True, **options)
    np.testing.assert_array_equal(y, [[[-np.inf]]])
    np.testing.assert_array_equal(where, [[[-1]]])
    assert convlib.min_pool1d(x, 2, **options).item() == np.inf
    assert convlib.sum_pool1d(x, 2, **options).item() == 0
    assert convlib.avg_pool1d(x, 2, count_include_pad=False, **options).item() == 0
    assert convlib.max_pool1d(x.astype(np.int8), 2, **options).item() == -128
    assert convlib.min_pool1d(x.astype(np.uint16), 2, **options).item() == 65535
