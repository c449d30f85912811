"""The backend `cupy` without a GPU: its kernels compile, and the same source runs on the processor, host code included.

`tests/cuda_shim` holds a stand-in for CuPy and a grid that loops over blocks and threads.  What only a GPU can show
(streams, memory of the device, speed) is left to `benchmarks/gpu.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from tools import python

from convlib.backends.cupy import CupyBackend

SHIM = Path(__file__).parent / "cuda_shim"
CUDNN = SHIM / "frontend"
sys.path.insert(0, str(SHIM))
import nvrtc as compiler  # noqa: E402  # found by the line above

NVRTC = compiler.library()
USUAL, OTHERS = (75, 80, 90, 120), (60, 70, 86, 89, 100)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("g++") is None:
        pytest.skip("needs the C++ compiler g++, to run the kernels on the processor")
    # Under pytest-xdist the folder above is that of all workers, and the first of them builds.
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    folder = shared / "kernels" if shared else tmp_path_factory.mktemp("all") / "kernels"
    complaints = folder / "complaints"
    try:
        folder.mkdir()
    except FileExistsError:
        for _ in range(6000):
            if complaints.exists():
                break
            time.sleep(0.1)
    else:
        built = python(str(SHIM / "build.py"), str(folder))
        (folder / "new").write_text(built.stderr if built.returncode else "")
        (folder / "new").rename(complaints)
    assert complaints.read_text() == ""
    return str(folder)


CONFORMANCE = """
import collections, sys, expected
from convlib.testing import cases, check_backend
for name in sys.argv[1:]:
    report = check_backend(name)
    served = collections.Counter(expected.operator_of(c.call) for c in cases() if c.name not in dict(report.refused))
    assert served == expected.expected(name), f"{name}: {served}"
    print(report)
"""
#: Checked together, as one process works out the truth once.
OURS = ("cupy", "cupy:direct", "cupy:columns", "cupy:gemm", "cupy:pointwise")
WITH_CUDNN = ("cupy", "cupy:cudnn")


@pytest.mark.parametrize(
    ("names", "path"),
    [
        pytest.param(OURS[:1], (SHIM,), id="what it chooses"),
        pytest.param(OURS[1:], (SHIM,), id="each algorithm", marks=pytest.mark.slow),
        pytest.param(WITH_CUDNN, (SHIM, CUDNN), id="with cuDNN", marks=pytest.mark.slow),
    ],
)
def test_conformance_on_the_processor(kernels: str, names: tuple[str, ...], path: tuple[Path, ...]) -> None:
    done = python("-c", CONFORMANCE, *names, path=(*path, SHIM.parent), CONVLIB_SHIM=kernels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 failed") == len(names)


def test_no_algorithm_is_left_out() -> None:
    algorithms = {f"cupy:{name}" for names in CupyBackend.algorithms.values() for name in names}
    assert algorithms == {*OURS, *WITH_CUDNN} - {"cupy"}


def run(kernels: str, code: str, cudnn: bool = False, **environment: str) -> str:
    """Return what a program prints that has the stand-in for CuPy, and that for cuDNN if asked for."""
    head = "import numpy as np, cupy, convlib\nx, w = np.ones((1, 2, 5, 5), 'f4'), np.ones((3, 2, 3, 3), 'f4')\n"
    path = (SHIM, CUDNN) if cudnn else (SHIM,)
    done = python("-c", head + textwrap.dedent(code), path=path, CONVLIB_SHIM=kernels, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_little_scratch_gives_the_same_answers(kernels: str) -> None:
    """Columns of 4 MB in blocks of at most 1 MiB, forwards and backwards."""
    assert run(kernels, """
        rng = np.random.default_rng(0)
        x = rng.integers(-3, 4, (2, 8, 60, 60)).astype("f4")
        w = rng.integers(-3, 4, (8, 8, 3, 3)).astype("f4")
        g = rng.integers(-3, 4, (2, 8, 60, 60)).astype("f4")
        def answers(move, take, backend):
            a, b, c = move(x), move(w), move(g)
            yield take(convlib.conv2d(a, b, padding=1, backend=backend))
            yield take(convlib.conv2d_grad_input(c, b, x.shape, padding=1, backend=backend))
            yield take(convlib.conv2d_grad_weight(c, a, w.shape, padding=1, backend=backend))
        ours = answers(cupy.asarray, cupy.asnumpy, "cupy:columns")
        print([np.array_equal(a, b) for a, b in zip(ours, answers(np.array, np.array, "cython"))])
    """, CONVLIB_MAX_WORKSPACE=str(1 << 20)).strip() == "[True, True, True]"  # fmt: skip


def test_the_implicit_product_at_the_edges_of_its_tiles(kernels: str) -> None:
    """Tiles of 64 channels and positions, steps of 16 products: sizes around them, in every layout and type."""
    assert run(kernels, """
        rng = np.random.default_rng(0)
        wrong = []
        for dtype in ("f2", "f4", "f8", "c8"):
            for n, c, o, k, g, rows in (
                (1, 16, 64, 1, 1, 8), (2, 15, 65, 1, 1, 8), (3, 2, 63, 3, 1, 9), (1, 34, 130, 2, 2, 7),
            ):
                a = rng.integers(-2, 3, (n, c, rows, 9)).astype(dtype)
                b = rng.integers(-2, 3, (o, c // g, k, k)).astype(dtype)
                d = rng.integers(-2, 3, o).astype(dtype)
                for layout in ("NCHW", "NHWC"):
                    x = a if layout == "NCHW" else np.moveaxis(a, 1, -1).copy()
                    options = {"groups": g, "padding": 1, "stride": (1, 2), "layout": layout}
                    y = convlib.conv2d(*map(cupy.asarray, (x, b, d)), backend="cupy:gemm", **options).get()
                    same = np.array_equal(y, convlib.conv2d(x, b, d, backend="cython", **options))
                    wrong += [] if same else [(dtype, n, layout)]
        print(wrong)
    """).strip() == "[]"  # fmt: skip


def test_float16_is_rounded_once(kernels: str) -> None:
    """Sums of many float16 products, and a bias, are those of float32, rounded at the end."""
    assert run(kernels, """
        rng = np.random.default_rng(0)
        x, w, b = (rng.standard_normal(s).astype("f2") for s in ((1, 64, 9, 9), (8, 64, 3, 3), (8,)))
        exact = convlib.conv2d(x.astype("f8"), w.astype("f8"), b.astype("f8")).astype("f2")
        for name in ("cupy:gemm", "cupy:columns", "cupy:cudnn", "cupy"):
            y = convlib.conv2d(*map(cupy.asarray, (x, w, b)), backend=name).get()
            print(y.dtype, np.abs(y.view("i2").astype(int) - exact.view("i2")).max() <= 1, (y == exact).mean() > 0.99)
    """, cudnn=True).split() == ["float16", "True", "True"] * 4  # fmt: skip


def test_half_conversions_of_the_shim_are_those_of_numpy(kernels: str) -> None:
    """All float16 numbers, and floats at and beside what lies between two of them."""
    assert run(kernels, """
        every = np.arange(1 << 16, dtype="u2").view("f2").reshape(1, 1, 256, 256)
        one = np.ones((1, 1, 1, 1), "f2")
        same = convlib.conv2d(*map(cupy.asarray, (every, one)), backend="cupy:gemm").get()
        print(np.array_equal(same, every + 0 * one, equal_nan=True))
        half = np.full((1, 1, 1, 1), 0.50048828125, "f2")  # products fall between two numbers
        close = convlib.conv2d(*map(cupy.asarray, (every, half)), backend="cupy:gemm").get()
        print(np.array_equal(close, (every.astype("f4") * half.astype("f4")).astype("f2"), equal_nan=True))
    """).split() == ["True", "True"]  # fmt: skip


def test_cudnn_graphs(kernels: str) -> None:
    """One graph per problem, TF32 only if asked for, float16 as it is, channels last without a copy."""
    code = """
        import cudnn
        rng = np.random.default_rng(0)
        x = cupy.asarray(rng.integers(-2, 3, (2, 8, 9, 9)).astype("f4"))
        w = cupy.asarray(rng.integers(-2, 3, (16, 8, 3, 3)).astype("f4"))
        for _ in range(3):
            y = convlib.conv2d(x, w, padding=1)
        print(len(cudnn.graphs), "TENSOR_CORE" in cudnn.graphs[0].barred, "WINOGRAD" in cudnn.graphs[0].barred)
        print(cudnn.graphs[0].bound == convlib.config.get_max_workspace(), cudnn.graphs[0].operation[0])
        convlib.conv2d_grad_input(y, w, x.shape, padding=1)
        convlib.conv2d_grad_weight(y, x, w.shape, padding=1)
        print([graph.operation[0] for graph in cudnn.graphs])
        half = convlib.conv2d(x.astype("f2"), w.astype("f2"), padding=1)
        graph = cudnn.graphs[-1]
        print(half.dtype, graph.tensors[0].dtype.name, graph.compute.name, "TENSOR_CORE" in graph.barred)
        print(np.array_equal(half.get(), y.get()))
        last = cupy.asarray(np.moveaxis(x.get(), 1, -1).copy())
        print(np.array_equal(np.moveaxis(convlib.conv2d(last, w, padding=1, layout="NHWC").get(), -1, 1), y.get()))
        print(cudnn.graphs[-1].tensors[0].stride)
    """
    expected = [
        "1 True True", "True fprop", "['fprop', 'dgrad', 'wgrad']", "float16 HALF FLOAT False", "True", "True",
        "[648, 1, 72, 8]",
    ]  # fmt: skip
    assert run(kernels, code, cudnn=True).splitlines() == expected
    expected[0] = "1 False True"
    assert run(kernels, code, cudnn=True, CUPY_TF32="1").splitlines() == expected


@pytest.mark.slow
def test_cudnn_says_what_it_lacks(kernels: str, tmp_path: Path) -> None:
    ask = """
        from convlib.registry import get_backend
        spec = convlib.ConvSpec.make((1, 8, 9, 9), (8, 8, 3, 3), padding=1)
        other = convlib.ConvSpec.make((1, 8, 9, 9), (8, 8, 3, 3), padding=((1, 2), (0, 0)))
        backend = get_backend("cupy")
        for s, dtype in ((spec, "f4"), (other, "f4"), (spec, "c8")):
            print(backend.supports_algorithm("cudnn", "conv", s, np.dtype(dtype)))
        print(backend.choose("conv", spec, np.dtype("f4"))[0])
        try:
            convlib.conv2d(cupy.asarray(x), cupy.asarray(w), backend="cupy:cudnn")
        except convlib.UnsupportedError as error:
            print(error)
    """
    said = run(kernels, ask).splitlines()
    how = "not installed: pip install nvidia-cudnn-frontend nvidia-cudnn-cu12"
    assert all(how in line for line in (*said[:3], said[4]))
    assert said[3] == "columns"
    said = run(kernels, ask, cudnn=True).splitlines()
    assert said[0] == "None"
    assert "both ends of an axis alike" in said[1]
    assert "complex64" in said[2]
    assert said[3] == "cudnn"
    (tmp_path / "cudnn.py").write_text(
        "__version__ = '1'\ndef backend_version(): raise RuntimeError('Unable to find symbol cudnnGetVersion')\n"
    )
    done = python("-c", "import numpy as np, cupy, convlib\nx = w = None" + textwrap.dedent(ask.partition("try:")[0]),
                  path=(SHIM, tmp_path), CONVLIB_SHIM=kernels)  # fmt: skip
    assert "finds no cuDNN (Unable to find symbol cudnnGetVersion): pip install" in done.stdout.splitlines()[0]
    done = python("-m", "convlib", "check", "cupy:cudnn", path=(SHIM,), CONVLIB_SHIM=kernels)
    assert done.returncode == 1
    assert "pip install nvidia-cudnn-frontend" in done.stdout
    assert "Traceback" not in done.stderr


def test_explain_answers_for_the_arrays_that_the_backend_takes(kernels: str) -> None:
    def explain(backend: str, *path: Path) -> subprocess.CompletedProcess[str]:
        problem = "n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1"
        words = "-m", "convlib", "explain", problem, "--backend", backend
        return python(*words, path=(SHIM, *path), CONVLIB_SHIM=kernels)

    said = explain("cupy").stdout
    assert "float32: cupy:columns (decided by: argument)" in said
    assert "not native: takes numpy arrays" in said
    said = explain("cupy", CUDNN).stdout
    assert "float32: cupy:cudnn (decided by: argument)" in said
    assert "scratch: 1024 bytes" in said
    lacking = explain("cupy:cudnn")
    assert lacking.returncode
    assert "pip install nvidia-cudnn-frontend nvidia-cudnn-cu12" in lacking.stderr


REAL = """
import itertools, numpy as np, cudnn, convlib
from convlib.backends.cupy_cudnn import Key, _graph, shapes
handle = cudnn.Handle(4096, 0, 0)  # none is read before a plan is chosen
specs = [convlib.ConvSpec.make(*shapes, **options) for shapes, options in (
    (((2, 8, 9, 11), (16, 8, 3, 3)), {"padding": 1, "stride": 2}),
    (((2, 8, 30), (6, 4, 5)), {"groups": 2, "dilation": 2}),
    (((1, 4, 5, 6, 7), (8, 4, 2, 3, 1)), {"padding": (0, 1, 0)}),
)]
done = 0
for op, spec, dtype, last in itertools.product(
    ("conv", "conv_grad_input", "conv_grad_weight"), specs, ("float16", "float32", "float64"), (False, True)
):
    graph = _graph(Key(op, spec, np.dtype(dtype), last, 0, 1 << 26, False), handle)
    graph.validate()
    done += 1
print("validated", done)
"""


def test_the_real_cudnn_frontend_takes_the_graphs() -> None:
    done = python("-c", "import cudnn; print(cudnn.Handle, cudnn.backend_version())")
    if done.returncode:
        pytest.skip("needs cuDNN, though no GPU: pip install nvidia-cudnn-frontend nvidia-cudnn-cu12")
    done = python("-c", REAL)
    assert done.stdout.strip() == "validated 54", done.stderr


def test_cupy_in_cupy_out_by_array_type(kernels: str) -> None:
    assert run(kernels, """
        y = convlib.conv2d(cupy.asarray(x), cupy.asarray(w))
        print(type(y) is cupy.ndarray, y.get().shape, y.get()[0, 0, 0, 0])
        y, places = convlib.max_pool2d(cupy.asarray(x), 2, return_indices=True)
        print(type(y) is cupy.ndarray, type(places) is cupy.ndarray)
        print(type(convlib.conv2d(x, w)) is np.ndarray)
    """).split("\n")[:3] == ["True (1, 3, 3, 3) 18.0", "True True", "True"]  # fmt: skip


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "mixed": ("convlib.conv2d(cupy.asarray(x), w)", ("TypeError", "x: cupy", "w: numpy")),
    "numpy for cupy": ("convlib.conv2d(x, w, backend='cupy')", ("UnsupportedError", "cupy", "numpy")),
    "cupy for another": (
        "convlib.conv2d(cupy.asarray(x), cupy.asarray(w), backend='native')", ("UnsupportedError", "numpy"),
    ),
    "out on the host": (
        "convlib.conv2d(cupy.asarray(x), cupy.asarray(w), out=np.ones((1, 3, 3, 3), 'f4'))",
        ("TypeError", "out", "ndarray"),
    ),
    "two devices": (
        "a = cupy.asarray(w)\nwith cupy.cuda.Device(1):\n    convlib.conv2d(cupy.asarray(x), a)",
        ("SpecError", "GPU 0", "GPU 1", "cupy.asarray(a)"),
    ),
    "gradients on two devices": (
        "a = cupy.asarray(w)\nwith cupy.cuda.Device(1):\n    g = cupy.asarray(np.ones((1, 3, 3, 3), 'f4'))\n"
        "convlib.conv2d_grad_input(g, a, x.shape)",
        ("SpecError", "GPU 0", "GPU 1", "cupy.asarray(a)"),
    ),
    "mixed indices": (
        "convlib.max_unpool2d(cupy.asarray(x), np.zeros(x.shape, int), 2)", ("TypeError", "x: cupy", "indices: numpy"),
    ),
    "another device": (
        "with cupy.cuda.Device(1):\n    a, b = cupy.asarray(x), cupy.asarray(w)\nconvlib.conv2d(a, b)",
        ("SpecError", "GPU 1", "current device is GPU 0", "with cupy.cuda.Device(1):"),
    ),
    "plan and call": ("convlib.plan_conv2d(x.shape, cupy.asarray(w))(x)", ("TypeError", "numpy", "cupy")),
    "indices": (
        "convlib.max_unpool2d(cupy.asarray(x), cupy.asarray(np.full(x.shape, 100)), 2)",
        ("SpecError", "between -1", "100"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def refusals(kernels: str) -> dict[str, str]:
    """Return what each call of `REFUSED` raises, all of them in one process."""
    codes = {name: code for name, (code, _) in REFUSED.items()}
    said: dict[str, str] = json.loads(run(kernels, f"""
        import json
        said = {{}}
        for name, code in {codes!r}.items():
            try:
                exec(code, dict(globals()))
            except Exception as error:
                said[name] = f"{{type(error).__name__}} {{error}}"
        print(json.dumps(said))
    """))  # fmt: skip
    return said


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_both_sides(refusals: dict[str, str], name: str) -> None:
    for word in REFUSED[name][1]:
        assert word in refusals[name]


@pytest.mark.parametrize("cudnn", [False, True])
def test_out_of_device_memory(kernels: str, cudnn: bool) -> None:
    said = run(kernels, """
        large = cupy.asarray(np.ones((1, 2, 200, 200), 'f4'))
        try:
            convlib.conv2d(large, cupy.asarray(w))
        except MemoryError as error:
            print(error)
        print(convlib.conv2d(cupy.asarray(x), cupy.asarray(w)).get().sum())
    """, cudnn=cudnn, CONVLIB_SHIM_MEMORY="100000")  # fmt: skip
    assert "device 0 is out of memory" in said
    assert "free_all_blocks" in said
    assert said.split("\n")[-2] == "486.0"


MISSING = {
    "no CuPy": (
        "raise ModuleNotFoundError('No module named cupy', name='cupy')", ("CuPy is not installed", "pip install"),
    ),
    "broken CuPy": ("raise ImportError('libcudart')", ("cannot be imported", "libcudart", "pip install")),
    "old CuPy": ("__version__ = '13.6.0'", ("too old", "14")),
    "no GPU": ("NoDevice: no CUDA-capable device is detected", ("finds no GPU", "CUDA_VISIBLE_DEVICES")),
    "no driver": ("InsufficientDriver: CUDA driver version is insufficient", ("driver", "nvidia-smi")),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_check_says_what_is_missing(tmp_path: Path, name: str) -> None:
    text, words = MISSING[name]
    if name in ("no GPU", "no driver"):
        text = f"""
            from types import SimpleNamespace
            __version__ = "14.0.0"
            class CUDARuntimeError(RuntimeError): pass
            def count(): raise CUDARuntimeError("cudaError{text}")
            cuda = SimpleNamespace(runtime=SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count))
        """
    (tmp_path / "cupy.py").write_text(textwrap.dedent(text))
    done = python("-m", "convlib", "check", "cupy", path=(tmp_path,))
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    for word in words:
        assert word in done.stderr


def test_convlib_does_not_import_cupy(kernels: str) -> None:
    code = "import sys, numpy as np, convlib; convlib.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)));"
    done = python("-c", code + "print('cupy' in sys.modules)", path=(SHIM,))
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(NVRTC is None, reason="needs NVRTC: pip install '.[nvrtc]'")
@pytest.mark.parametrize("architecture", [*USUAL, *(pytest.param(number, marks=pytest.mark.slow) for number in OTHERS)])
def test_every_kernel_compiles(architecture: int) -> None:
    nvrtc: Any = NVRTC
    if architecture not in compiler.architectures(nvrtc):
        pytest.skip(f"this NVRTC does not know the architecture {architecture}")
    made, complaints = compiler.compile_all(nvrtc, architecture)
    assert not complaints
    assert made == len(list(compiler.expressions()))
