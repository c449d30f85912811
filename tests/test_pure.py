"""The pure-Python build: it is asked for, it says so, and its loops by NumPy are the compiled ones."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib._ext import _im2col, _loops
from convlib.backends import plain
from convlib.backends.taps import lift, lifted, tap_table
from convlib.testing import cases

HERE = Path(convlib.__file__).parent
ROOT = Path(__file__).parents[1]
ALL = "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np, convlib\n"


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies the package, as Python modules alone, and runs a program with it."""

    def run(code, *, pure):
        for path in HERE.rglob("*"):
            if path.suffix in (".py", ".txt"):
                target = tmp_path / "convlib" / path.relative_to(HERE)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        if pure:
            (tmp_path / "convlib/_ext/_pure.py").write_text("")
        command = [sys.executable, "-P", "-W", "error", "-c", ALL + code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    return run


def test_missing_compiled_parts_are_an_error_and_no_slower_library(copy):
    done = copy("", pure=False)
    assert done.returncode == 1
    assert "ImportError: convlib's compiled parts for this Python are not in" in done.stderr
    assert "CONVLIB_PURE=1" in done.stderr


def test_a_checkout_tells_who_has_installed_it_where_to_start(copy, tmp_path):
    """After ``pip install .`` Python still finds the sources first, if it starts among them."""
    (tmp_path / "setup.py").write_text("")
    done = copy("", pure=False)
    assert done.returncode == 1
    assert f"ImportError: this is the checkout, {tmp_path}, and not a convlib that is installed" in done.stderr
    assert "`python -P`" in done.stderr


def test_the_pure_build_says_so(copy):
    done = copy("convlib.show_config()", pure=True)
    assert done.returncode == 0, done.stderr
    assert "kind: pure Python (CONVLIB_PURE=1)" in done.stdout
    assert "instruction_set: none" in done.stdout
    for name in ("naive", "im2col", "fft"):
        assert f"  {name}: available" in done.stdout
    for name in ("native", "cython"):
        assert f"  {name}: not available: backend '{name}' could not be loaded" in done.stdout
    assert "this is the pure-Python build of convlib" in done.stdout


def test_the_pure_build_runs_operators_of_onnx(copy):
    pytest.importorskip("onnx", reason="needs onnx")
    done = copy(
        """
import convlib.onnx
from onnx import helper, TensorProto
from onnx.reference import ReferenceEvaluator
nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Relu", ["y"], ["z"]),
         helper.make_node("Add", ["y", "z"], ["s"])]
given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 3, 3]) for name in "xw"]
wanted = [helper.make_tensor_value_info("s", TensorProto.FLOAT, None)]
model = helper.make_model(helper.make_graph(nodes, "g", given, wanted))
x, w = np.arange(9, dtype="f4").reshape(1, 1, 3, 3), np.ones((1, 1, 3, 3), "f4")
print(ReferenceEvaluator(model, new_ops=convlib.onnx.OPS).run(None, {"x": x, "w": w})[0].ravel())
""",
        pure=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[72.]\n"


def test_the_pure_build_serves_every_case_by_numpy(copy):
    """Each conformance case by the automatic choice; its results are those of the compiled build, bit for bit."""
    done = copy(
        "from convlib import testing\n"
        "for case in testing.cases():\n"
        "    arrays = testing.case_arrays(case.name)\n"
        "    who = convlib.explain(case.call, *arrays, *case.args, **case.options).backend\n"
        "    found = getattr(convlib, case.call)(*arrays, *case.args, **case.options)\n"
        "    parts = found if isinstance(found, tuple) else (found,)\n"
        "    print(case.name, who, *(np.asarray(part).tobytes().hex() for part in parts), sep='|')\n",
        pure=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert {who for _, who, *_ in lines} <= {"im2col", "fft", "naive"}
    # Plain Python loops serve only what nothing else does: adaptive windows of several sizes.
    assert all("adaptive" in name for name, who, *_ in lines if who == "naive"), lines
    assert len(lines) == len(cases())


SPECS = [
    convlib.ConvSpec.make((2, 4, 7), (3, 4, 3), stride=2, padding=2),
    convlib.ConvSpec.make((3, 4, 7, 6), (6, 2, 3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2),
    convlib.ConvSpec.make((2, 2, 5, 4, 6), (4, 2, 2, 3, 3), padding=1, stride=(1, 2, 1)),
    convlib.ConvSpec.make((1, 1, 3, 3), (1, 1, 3, 3), padding=3),  # windows that hold nothing but padding
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_loops_by_numpy_give_the_bits_of_the_compiled_ones(spec, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, (spec.n, spec.c, *spec.in_size)).astype(dtype)
    w = rng.integers(-9, 10, (spec.oc, spec.icg, *spec.kernel)).astype(dtype)
    x3, w3 = lift(x, spec), lift(w, spec)
    kernel, stride, taps = lifted(spec, spec.kernel), lifted(spec, spec.stride), tap_table(spec)
    _, oh, ow = lifted(spec, spec.out_size)
    # All outputs, and ranges that begin or end within a row or a plane.
    for start, stop in {(0, spec.out_count), (1, spec.out_count), (ow // 2, spec.out_count - 1), (ow + 1, 2 * ow)}:
        if stop <= start or stop > spec.out_count:
            continue
        shape = spec.c * spec.taps_count, spec.n * (stop - start)
        for add in (False, True):
            ends = []
            for loops in (_im2col, plain):
                cols = np.arange(shape[0] * shape[1]).reshape(shape).astype(dtype) if add else np.full(shape, 7, dtype)
                images = x3.copy()
                loops.columns(images, cols, taps, kernel, stride, oh, ow, start, stop - start, add)
                ends.append(images.tobytes() if add else cols.tobytes())
            assert ends[0] == ends[1]
    ends = []
    for loops in (_loops, plain):
        y = np.ones((spec.n, spec.oc, *spec.out_size), dtype)
        loops.conv(0, x3, w3, lift(y, spec), taps, spec.groups, *stride)
        ends.append(y.tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(("ta", "tb"), [(False, False), (True, False), (False, True), (True, True)])
def test_products_by_numpy_are_those_of_blas(ta, tb, add):
    rng = np.random.default_rng(1)
    a, b = rng.integers(-5, 6, (300, 70)).astype("float32"), rng.integers(-5, 6, (70, 90)).astype("float32")
    ends = []
    for loops in (_im2col, plain):
        c = np.zeros((2, 300, 90), "float32")[1]  # rows of a larger array
        c += 3
        loops.gemm(np.ascontiguousarray(a.T) if ta else a, ta, np.ascontiguousarray(b.T) if tb else b, tb, c, add)
        ends.append(c.tobytes())
    assert ends[0] == ends[1]
    assert (np.frombuffer(ends[1], "float32").reshape(300, 90) == a @ b + 3 * add).all()


def build(wanted, folder):
    """Run setup.py's build of the modules with `CONVLIB_PURE`."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("setup.py is not here")
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(folder)]
    environment = {**os.environ, "CONVLIB_PURE": wanted}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("wanted", "pure"), [("1", True), ("0", False), ("", False)])
def test_only_the_variable_makes_a_build_without_compiled_parts(wanted, pure, tmp_path):
    done = build(wanted, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "convlib/_ext/_pure.py").exists() is pure
    assert (tmp_path / "convlib/_ext/__init__.py").exists()


def test_a_variable_that_says_neither_is_refused(tmp_path):
    done = build("yes", tmp_path)
    assert done.returncode != 0
    assert "CONVLIB_PURE='yes' must be 1" in done.stderr
