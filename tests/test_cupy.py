"""The backend `cupy` without a GPU: its kernels compile, and the same source runs on the processor, host code included.

`tests/cuda_shim` holds a stand-in for CuPy and a grid that loops over blocks and threads.  What only a GPU can show
(streams, memory of the device, speed) is left to `benchmarks/gpu.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SHIM = Path(__file__).parent / "cuda_shim"
sys.path.insert(0, str(SHIM))
import nvrtc as compiler  # noqa: E402  # found by the line above

NVRTC = compiler.library()
USUAL, OTHERS = (75, 80, 90, 120), (60, 70, 86, 89, 100)


def python(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a folder in front of its path, and without the current one: the package may be installed."""
    paths = [str(path), os.environ.get("PYTHONPATH", "")] if path else [os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    return subprocess.run([sys.executable, "-P", *arguments], env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("g++") is None:
        pytest.skip("needs the C++ compiler g++, to run the kernels on the processor")
    folder = tmp_path_factory.mktemp("kernels")
    built = python(str(SHIM / "build.py"), str(folder))
    assert built.returncode == 0, built.stderr
    return str(folder)


@pytest.mark.parametrize("backend", ["cupy", "cupy:direct", "cupy:gemm", "cupy:pointwise"])
def test_conformance_on_the_processor(kernels: str, backend: str) -> None:
    done = python("-m", "convlib", "check", backend, path=SHIM, CONVLIB_SHIM=kernels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


def run(kernels: str, code: str, **environment: str) -> str:
    """Return what a program prints that has the stand-in for CuPy."""
    head = "import numpy as np, cupy, convlib\nx, w = np.ones((1, 2, 5, 5), 'f4'), np.ones((3, 2, 3, 3), 'f4')\n"
    done = python("-c", head + textwrap.dedent(code), path=SHIM, CONVLIB_SHIM=kernels, **environment)
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
        ours = answers(cupy.asarray, cupy.asnumpy, "cupy:gemm")
        print([np.array_equal(a, b) for a, b in zip(ours, answers(np.array, np.array, "cython"))])
    """, CONVLIB_MAX_WORKSPACE=str(1 << 20)).strip() == "[True, True, True]"  # fmt: skip


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


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_both_sides(kernels: str, name: str) -> None:
    code, words = REFUSED[name]
    caught = "\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    said = run(kernels, "try:\n" + textwrap.indent(code, "    ") + caught)
    for word in words:
        assert word in said


def test_out_of_device_memory(kernels: str) -> None:
    said = run(kernels, """
        large = cupy.asarray(np.ones((1, 2, 200, 200), 'f4'))
        try:
            convlib.conv2d(large, cupy.asarray(w))
        except MemoryError as error:
            print(error)
        print(convlib.conv2d(cupy.asarray(x), cupy.asarray(w)).get().sum())
    """, CONVLIB_SHIM_MEMORY="100000")  # fmt: skip
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
    done = python("-m", "convlib", "check", "cupy", path=tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_convlib_does_not_import_cupy(kernels: str) -> None:
    code = "import sys, numpy as np, convlib; convlib.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)));"
    done = python("-c", code + "print('cupy' in sys.modules)", path=SHIM)
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
