"""Nothing grows: memory and references after many calls, plans, refusals and errors are what they were."""

import pytest
from tools import python

CODE = """
import gc, os, sys, numpy as np, convlib

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 10  # KB

x, w = np.ones((1, 4, 12, 12), "f4"), np.ones((4, 4, 3, 3), "f4")
half, table = x.astype("f2"), np.ones((4, 4, 3, 3), ">f4")
fixed = w.copy()
fixed.flags.writeable = False
kept = []

def refused(error, *args, **options):
    try:
        convlib.conv2d(*args, **options)
    except error:
        return
    raise AssertionError("no error")

class Stop(Exception):
    pass

class Stopping(convlib.Backend):
    name, operations = "stopping", ("conv",)
    def _conv(self, *args):
        raise Stop

convlib.register_backend(Stopping)

def calls(number):
    convlib.conv2d(x, w, padding=1)
    convlib.conv2d(half, table)
    convlib.conv2d_grad_weight(x, x, (4, 4, 1, 1))
    convlib.max_pool2d(x, 3, return_indices=True)
    convlib.conv_transpose2d(x, w, stride=2, backend="cython")
    convlib.plan_conv2d(x.shape, w)(x)
    with convlib.plan_cache(2), convlib.num_threads(2), convlib.max_workspace(1 << 21):
        convlib.conv2d(x, fixed)
    refused(convlib.SpecError, x, w, stride=0)
    refused(convlib.SpecError, x, w, stride=-number - 1)
    refused(TypeError, x, None)
    refused(convlib.BackendError, x, w, backend="none")
    refused(convlib.UnsupportedError, half, half[:, :, :3, :3], backend="native:bf16x3", groups=1, flip=True, stride=5)
    refused(Stop, x, w, backend="stopping")
    if LEAK:
        kept.append(bytearray(1000))

def references():
    return [sys.getrefcount(a) for a in (x, w, half, table, fixed)]

for number in range(300):
    calls(number)
before, held = resident(), references()
for number in range(300, 300 + ROUNDS):
    calls(number)
    if LEAK and number % 100 == 0 and resident() - before > LEAK:
        break
grown, changed = resident() - before, [a - b for a, b in zip(references(), held)]
print(grown, *changed)
"""


def grown(rounds, leak=0):
    """Return by how many KB a process grows in so many rounds of 13 calls, and what became of the references.

    leak : lose a kilobyte in each round, until these are so many that it shows.
    """
    done = python("-c", f"ROUNDS, LEAK = {rounds}, {leak}\n{CODE}", CONVLIB_TUNING="off")
    assert done.returncode == 0, done.stderr[-3000:]
    kilobytes, *changed = map(int, done.stdout.split())
    return kilobytes, changed


#: What the caches of specs and choices, which have an end, and the allocator may take before they are full.
CACHES = 2048


def test_calls_plans_and_errors_leave_nothing_behind():
    kilobytes, changed = grown(3000)
    assert kilobytes < CACHES
    assert not any(changed)


@pytest.mark.slow
def test_a_hundred_thousand_calls_leave_nothing_behind():
    kilobytes, changed = grown(10_000)
    assert kilobytes < 2 * CACHES
    assert not any(changed)


def test_a_kilobyte_per_round_would_be_noticed():
    # more rounds: some of what is lost fills what the process had, and a system may take pages away
    assert grown(6000, leak=CACHES)[0] > CACHES
