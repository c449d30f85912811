"""What type checkers see: the stub of the public functions is as they are, and what mypy infers is what comes back."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stubs

import convlib

HERE = Path(__file__).parent
CASES = HERE / "typing_cases.py"


def test_the_stub_is_that_of_the_functions():
    assert stubs.FILE.read_text() == stubs.text(), "write it anew: PYTHONPATH=. python tests/stubs.py"


def checked(path, tmp_path):
    if shutil.which("mypy", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("mypy is not installed: the group `lint` has it")
    config = ["--strict", "--config-file=", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *config, str(path)], cwd=Path(convlib.__file__).parents[1],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow  # without a cache; .ci/check_types.py does the same
def test_mypy_infers_what_the_cases_say(tmp_path):
    done = checked(CASES, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_wrong_case_is_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(CASES.read_text().replace("2), NDArray[np.uint8])", "2), NDArray[np.int8])"))
    done = checked(wrong, tmp_path)
    assert "Expression is of type" in done.stdout


ARRAYS = [np.ones((1, 1, 4, 4), dtype) for dtype in ("f2", "f4", "f8", "c8", "c16")]


@pytest.mark.parametrize("a", ARRAYS, ids=lambda a: a.dtype.name)
def test_floats_come_back_as_they_went_in(a):
    """What the first overload of each function says."""
    for y in (convlib.conv2d(a, a), convlib.conv2d_grad_input(a[..., :1, :1], a, a.shape), convlib.sum_pool2d(a, 2),
              convlib.avg_pool2d(a, 2), convlib.conv_transpose2d(a, a), convlib.filter2d(a[0, 0], a[0, 0]),
              convlib.im2col(a, 2)):  # fmt: skip
        assert y.dtype == a.dtype


@pytest.mark.parametrize("dtype", ["i1", "u8", "i4", "?"])
def test_sums_of_integers_come_back_as_int64(dtype):
    a = np.ones((1, 1, 4, 4), dtype)
    sums = convlib.conv2d(a, a), convlib.conv_transpose2d(a, a), convlib.sum_pool2d(a, 2)
    for y in (*sums, convlib.filter2d(a[0, 0], a[0, 0])):
        assert y.dtype == np.int64
    top, places = convlib.max_pool2d(a, 2, return_indices=True)
    assert (top.dtype, places.dtype) == (a.dtype, np.int64)
