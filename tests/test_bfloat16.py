"""bfloat16 arrays: computed in float32, rounded once, by every backend."""

import subprocess
import sys

import numpy as np
import pytest

import convlib

ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 comes from ml_dtypes: pip install ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
BACKENDS = ["naive", "cython", "im2col", "native", None]
RNG = np.random.default_rng(0)

#: A call, and the shapes of its arrays.
CALLS = {
    "conv2d": (lambda x, w, b, **k: convlib.conv2d(x, w, b, padding=1, **k), (1, 3, 6, 7), (4, 3, 3, 3), (4,)),
    "nhwc": (lambda x, w, **k: convlib.conv2d(x, w, layout="NHWC", **k), (1, 6, 7, 3), (4, 3, 3, 3)),
    "reflect": (lambda x, w, **k: convlib.conv1d(x, w, padding=2, padding_mode="reflect", **k), (2, 3, 9), (4, 3, 3)),
    "hwio": (lambda x, w, **k: convlib.conv2d(x, w, w_layout="HWIO", **k), (1, 3, 6, 7), (3, 3, 3, 4)),
    "transposed": (lambda x, w, **k: convlib.conv_transpose2d(x, w, stride=2, **k), (1, 4, 3, 3), (4, 2, 3, 3)),
    "grad_input": (lambda g, w, **k: convlib.conv2d_grad_input(g, w, (1, 3, 6, 7), **k), (1, 4, 4, 5), (4, 3, 3, 3)),
    "grad_weight": (lambda g, x, **k: convlib.conv2d_grad_weight(g, x, (4, 3, 3, 3), **k), (1, 4, 4, 5), (1, 3, 6, 7)),
    "avg": (lambda x, **k: convlib.avg_pool2d(x, 3, stride=2, padding=1, **k), (2, 3, 7, 8)),
    "max": (lambda x, **k: convlib.max_pool2d(x, 3, **k), (2, 3, 7, 8)),
    "sum": (lambda x, **k: convlib.sum_pool1d(x, 4, **k), (2, 3, 9)),
    "lp": (lambda x, **k: convlib.lp_pool2d(x, 2, 2, **k), (1, 2, 6, 6)),
    "adaptive": (lambda x, **k: convlib.adaptive_avg_pool2d(x, 3, **k), (1, 2, 7, 8)),
    "grad": (lambda g, **k: convlib.avg_pool2d_grad_input(g, (1, 2, 6, 6), 2, **k), (1, 2, 3, 3)),
}


def serving(call, *arrays, **options):
    try:
        return call(*arrays, **options)
    except convlib.UnsupportedError as error:
        pytest.skip(f"{options['backend']}: {error.reason}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_float32_rounded_once(name, backend):
    call, *shapes = CALLS[name]
    narrow = [RNG.standard_normal(shape).astype(BF16) for shape in shapes]
    expected = serving(call, *(a.astype(np.float32) for a in narrow), backend=backend).astype(BF16)
    got = call(*narrow, backend=backend)
    assert got.dtype == BF16
    assert got.tobytes() == expected.tobytes()
    with convlib.max_workspace(1 << 20):
        assert call(*narrow, backend=backend).tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    assert call(*narrow, backend=backend, out=out) is out
    assert out.tobytes() == expected.tobytes()


def test_plans_maxima_and_endings():
    x, w = RNG.standard_normal((1, 3, 6, 7)).astype(BF16), RNG.standard_normal((4, 3, 3, 3)).astype(BF16)
    y = convlib.conv2d(x, w)
    plan = convlib.plan_conv2d(x.shape, w, activation="relu")
    assert plan(x, residual=y).tobytes() == np.maximum(y + y, 0).tobytes()
    for backend in ("naive", "native"):
        found = convlib.conv2d(x, w, activation="hardswish", residual=y, backend=backend)
        assert found.dtype == BF16
    top, places = convlib.max_pool2d(x, 2, return_indices=True)
    np.testing.assert_array_equal(x.reshape(1, 3, -1)[0, 1].take(places[0, 1]), top[0, 1])
    back = convlib.max_unpool2d(top, places, 2, output_size=(6, 7))
    assert back.dtype == BF16


def test_mixed_types():
    x = np.ones((1, 1, 4), BF16)
    for other, result in (("float32", "float32"), ("float64", "float64"), ("float16", "float32"), ("int8", BF16)):
        assert convlib.conv1d(x, np.ones((1, 1, 2), other)).dtype == result
    assert convlib.conv1d(x, [[[0.5, 1]]]).dtype == BF16
    with pytest.raises(TypeError, match=r"no common one \(x: bfloat16, w: int64\)"):
        convlib.conv1d(x, np.ones((1, 1, 2), np.int64))


def test_questions_know_the_type():
    said = convlib.explain("conv2d", (1, 3, 6, 7), (4, 3, 3, 3), dtype=BF16)
    assert said.workspace_nbytes > 0
    assert convlib.cost("conv2d", (1, 3, 6, 7), (4, 3, 3, 3), dtype=BF16).nbytes == 2 * (126 + 108 + 80)


def test_nothing_imports_it_unasked():
    code = "import sys, convlib, numpy; convlib.conv1d(numpy.ones((1, 1, 3)), numpy.ones((1, 1, 2))); " \
        "print('ml_dtypes' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_conformance_list_has_the_type():
    """A backend without it refuses it by name; one that rounds otherwise fails."""
    from convlib.backends.cupy import CupyBackend
    from convlib.testing import check_backend, integer_array

    report = check_backend("native", select="bfloat16")
    assert (report.passed, report.refused) == (7, [])
    a = integer_array((2, 3), "bfloat16", 0)
    assert a.dtype == BF16
    with pytest.raises(convlib.UnsupportedError, match="no kernels for bfloat16"):
        CupyBackend().from_numpy(a)


def test_rounding_is_checked():
    from convlib.backends.native import NativeBackend
    from convlib.testing import check_backend

    class Off(NativeBackend):
        name = "off"

        def _conv(self, spec, x, w, bias, y, algorithm):
            super()._conv(spec, x, w, bias, y, algorithm)
            y *= 1 + 2.0**-5

    failed = check_backend(Off, select="bfloat16", strict=False).failed
    assert {"conv2d-bfloat16", "conv2d-bfloat16_float32"} <= {name for name, _ in failed}
