"""No kernel reads or writes outside its arrays: each lies between pages that can be neither read nor written."""

import signal
import sys
from pathlib import Path

import expected
import pytest
from tools import python

from convlib._ext import _native

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="protects pages by mprotect")
SCRIPT = str(Path(__file__).with_name("guarded.py"))
CPU = [name for name in expected.names() if name.partition(":")[0] in ("native", "im2col", "fft", "cython")]


def between_guards(*names, **environment):
    done = python(SCRIPT, *names, **environment)
    said = done.stdout.splitlines()[-1:] or [""]
    assert done.returncode == 0, f"signal or error {done.returncode} in {said[0]}: {done.stderr[-2000:]}"
    counts = dict(part.split("=") for part in said[0].split()[1:])
    return {name: int(count) for name, count in counts.items()}


@pytest.mark.parametrize("isa", _native.detected_isas())
def test_the_engine_stays_inside_under_every_instruction_set(isa):
    assert between_guards("native", CONVLIB_ISA=isa)["native"] > 400


def test_the_other_compiled_backends_stay_inside():
    counts = between_guards("cython", "im2col")
    assert min(counts.values()) > 400, counts


@pytest.mark.slow
@pytest.mark.parametrize("isa", _native.detected_isas())
def test_every_algorithm_stays_inside(isa):
    """Each that serves anything under this instruction set; nothing at all would be a fault of the test."""
    assert sum(between_guards(*CPU, CONVLIB_ISA=isa, CONVLIB_NUM_THREADS="1").values()) > 2000


@pytest.mark.parametrize("access", ["read", "write"])
@pytest.mark.parametrize("side", ["end", "beginning"])
def test_one_byte_outside_is_noticed(side, access):
    assert python(SCRIPT, "stray", side, access).returncode == -signal.SIGSEGV
