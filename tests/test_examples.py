"""The examples run, and do what they promise."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlib

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name, *arguments, cwd, **environment):
    """Run an example as a user does, with this package, and return what it prints."""
    here = Path(convlib.__file__).parents[1]  # not the checkout, which may lack the compiled parts
    path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    return done


def colours(path):
    """Return the size of a picture and how many colours it has."""
    image = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    return image.size, len(np.unique(np.asarray(image.resize((200, 200))).reshape(-1, 3), axis=0))


def test_learn_edge_kernel(tmp_path):
    done = run("learn_edge_kernel.py", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = map(float, re.search(r"loss before (\S+) and after (\S+)", done.stdout).groups())
    assert before >= 20 * after
    assert done.stdout.count("step") == 5


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_edges_of_any_photo(tmp_path, mode):
    image = pytest.importorskip("PIL.Image")
    suffix = "jpg" if mode == "RGB" else "png"
    image.linear_gradient("L").resize((90, 61)).convert(mode).save(tmp_path / f"photo.{suffix}")
    done = run("edges.py", f"photo.{suffix}", "--out", "result.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    size, seen = colours(tmp_path / "result.png")
    assert size[0] > 900
    assert size[1] > 600
    assert seen > 50


def test_edges_of_a_sample(tmp_path):
    pytest.importorskip("PIL")
    done = run("edges.py", cwd=tmp_path)
    if "no sample photo found" in done.stderr:
        pytest.skip("no package with a sample photo is installed")
    assert done.returncode == 0, done.stderr
    assert colours(tmp_path / "edges.png")[1] > 1000


def test_edges_of_what_is_no_photo(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "missing.png"):
        done = run("edges.py", name, cwd=tmp_path)
        assert done.returncode == 1
        assert f"cannot read {name}" in done.stderr
        assert "Traceback" not in done.stderr


def test_lenet_starts_to_learn(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("PIL")
    done = run("lenet_digits.py", "--epochs", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"([\d.]+)% of 359 held-out", done.stdout)[1]) > 60
    assert done.stdout.count("epoch") == 3
    assert colours(tmp_path / "lenet_digits.png")[1] > 50


@pytest.mark.slow
def test_lenet_reads_digits(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("PIL")
    done = run("lenet_digits.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"([\d.]+)% of 359 held-out", done.stdout)[1]) >= 98


@pytest.mark.slow
def test_large_image_within_its_memory(tmp_path):
    for library in ("PIL", "dask.array", "zarr"):
        pytest.importorskip(library)
    arguments = ["--size", 3000, "--memory", 600, "--folder", tmp_path / "stores", "--out", "result.png"]
    done = run("large_image.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    peak, memory = map(int, re.search(r"peak memory (\d+) MiB of (\d+)", done.stdout).groups())
    assert 0 < peak <= memory == 600
    assert "100% Completed" in done.stdout
    assert colours(tmp_path / "result.png")[1] > 50


@pytest.mark.slow
def test_large_image_says_when_it_needs_more(tmp_path):
    for library in ("PIL", "dask.array", "zarr"):
        pytest.importorskip(library)
    done = run("large_image.py", "--size", 1000, "--memory", 80, "--folder", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "is more than" in done.stderr or "too little" in done.stderr


def test_autograd(tmp_path):
    pytest.importorskip("torch")
    done = run("autograd_pytorch.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == 4


def test_autograd_without_pytorch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(convlib.__file__).parents[1])])
    done = run("autograd_pytorch.py", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("skipped: this example needs PyTorch")


def test_onnx_model_made_up(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    done = run("onnx_model.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "by a plan with Add node that gives 'sum', Relu node that gives 'both'" in done.stdout
    assert "convlib served 6 of 6 nodes" in done.stdout
    assert re.search(r"largest difference \S+ of the largest value|ONNX Runtime is not installed", done.stdout)


def test_onnx_model_from_a_file(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    text = '<ir_version: 8, opset_import: ["" : 17]> net (float[N, 2] x) => (float[N, 2] y) { y = Neg(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "net.onnx")
    done = run("onnx_model.py", "net.onnx", "--size", 3, "--threads", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ONNX's evaluator served 1 of 1 nodes" in done.stdout
    (tmp_path / "none.onnx").write_text("no model")
    for name in ("none.onnx", "missing.onnx"):
        done = run("onnx_model.py", name, cwd=tmp_path)
        assert done.returncode == 1
        assert f"cannot read {name}" in done.stderr


def test_onnx_model_without_onnx(tmp_path):
    (tmp_path / "onnx.py").write_text("raise ImportError('no onnx here')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(convlib.__file__).parents[1])])
    done = run("onnx_model.py", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stderr.startswith("skipped: this example needs onnx")


def test_keras_numpy_without_keras(tmp_path):
    if importlib.util.find_spec("keras"):
        pytest.skip("keras is installed: `nox -s keras` runs its own tests by convlib")
    done = run("keras_numpy/run_tests.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("this example needs the package keras")
