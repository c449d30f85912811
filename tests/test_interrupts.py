"""Ctrl-C during a long call: the loops in Python and Cython, and NumPy's passes, let the handler run soon."""

import signal
import subprocess
import sys
import time

import pytest

CALL = """
import numpy as np, convlib, sys
x, w = np.ones((1, 1, 3000, 3000), np.float32), np.ones((1, 1, 1500, 1500), np.float32)
y = np.ones((1, 1, 1501, 1501), np.float32)
line = np.ones((1, 1, 2, 10**6), np.float32)
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("stopped", flush=True)
"""

CALLS = [
    'convlib.conv2d(x, w, backend="cython")',
    'convlib.conv2d_grad_input(y, w, x.shape, backend="cython")',
    'convlib.conv2d_grad_weight(y, x, w.shape, backend="cython")',
    'convlib.max_pool2d(x, 1500, stride=1, backend="cython")',
    'convlib.avg_pool2d(x, 1500, stride=1, backend="cython")',
    'convlib.lp_pool2d(x, 3.5, (2, 1500), stride=1, dilation=(1, 2), padding=(0, 1499), backend="cython")',
    'convlib.conv2d(x, w, backend="naive")',
    'convlib.avg_pool2d(x, 2900, stride=1, backend="naive")',
    'convlib.max_pool2d(line, (2, 40000), stride=1, return_indices=True, backend="im2col")',
]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("call", CALLS)
def test_interrupt_is_answered(call):
    with subprocess.Popen(
        [sys.executable, "-P", "-c", CALL.format(call=call)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.5)
            child.send_signal(signal.SIGINT)
            start = time.monotonic()
            out, err = child.communicate(timeout=20)
            waited = time.monotonic() - start
        finally:
            child.kill()
    assert out == "stopped\n", err
    assert waited < 5  # a second, on a machine that does nothing else
