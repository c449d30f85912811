"""The native engine under forks, several Python threads, Ctrl-C and lack of memory, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tools import CLOCK, clock_of, python

HEAD = """
import os, sys, threading, time
import numpy as np
import convlib

convlib.set_num_threads(3)
rng = np.random.default_rng(0)
x = rng.integers(-3, 4, (2, 16, 40, 40)).astype("f4")
w = rng.integers(-3, 4, (32, 16, 3, 3)).astype("f4")

def everything():
    y = convlib.conv2d(x, w, padding=1, backend="native:gemm")
    return [
        y, convlib.conv2d(x, w, padding=1, backend="native:direct"),
        convlib.conv2d_grad_input(y, w, x.shape, padding=1, backend="native"),
        convlib.conv2d_grad_weight(y, x, w.shape, padding=1, backend="native"),
        convlib.max_pool2d(x, 3, backend="native"),
        convlib.avg_pool2d_grad_input(x, (2, 16, 80, 80), 2, backend="native"),
    ]

def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
"""


def run(code: str) -> str:
    done = python("-c", HEAD + textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_on() -> None:
    assert run("""
        expected = everything()
        child = os.fork()
        if child == 0:
            os._exit(0 if same(everything(), expected) else 3)
        print(os.waitpid(child, 0)[1], same(everything(), expected))
    """) == "0 True"  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_handler_forks_during_a_call() -> None:
    """The child finishes the call without workers, then computes on with its own; the parent goes on with both."""
    assert run("""
        import signal
        from convlib._ext import _threads

        _threads.ask_for_signals(milliseconds=0)
        w = rng.integers(-3, 4, (64, 16, 3, 3)).astype("f4")
        call = lambda: convlib.conv2d(x, w, padding=1, backend="native:direct", out=y)
        y = np.empty((2, 64, 40, 40), "f4")
        expected = call().copy()
        durations, inside, children, good, last = [], 0, [], 0, False

        def fork(*_):
            global inside, last
            inside += 0 < np.count_nonzero(y == 0.5) < y.size  # some units have run, some have not
            child = os.fork()
            last = child == 0
            if child:
                children.append(child)

        signal.signal(signal.SIGALRM, fork)
        for _ in range(10):
            start = time.perf_counter()
            call()
            durations.append(time.perf_counter() - start)
        while len(children) < 200 or inside <= 20 and len(children) < 3000:  # on a busy machine few come during a call
            i = len(children)
            y[...] = 0.5
            signal.setitimer(signal.ITIMER_REAL, min(durations) * rng.uniform(0.2, 0.7))
            call()
            while len(children) == i and not last:
                time.sleep(1e-4)
            same_here = np.array_equal(y, expected)
            if last:
                again = np.array_equal(call(), expected) and _threads.live_workers() == 2
                os._exit(0 if same_here and again else 3)
            good += same_here
        print(good == len(children), {os.waitpid(child, 0)[1] for child in children}, inside > 20)
    """) == "True {0} True"  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_during_the_call_of_another_thread() -> None:
    assert run("""
        import multiprocessing

        expected, stop, good = everything(), threading.Event(), []
        def child(queue):
            queue.put([same(everything(), expected) for _ in range(3)])
        def repeat():
            while not stop.is_set():
                good.append(same(everything(), expected))
        thread = threading.Thread(target=repeat)
        thread.start()
        fork, found = multiprocessing.get_context("fork"), []
        for _ in range(10):
            queue = fork.SimpleQueue()
            process = fork.Process(target=child, args=(queue,))
            process.start()
            found += queue.get()
            process.join()
        stop.set()
        thread.join()
        print(len(found), all(found), all(good))
    """) == "30 True True"  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("dtype", ["f4", "i1"])
def test_forks_while_other_threads_multiply_by_blas(dtype: str) -> None:
    """OpenBLAS waits for ever where a fork meets products of other threads; half of the forks are a handler's."""
    assert run(f"""
        import faulthandler, signal
        faulthandler.dump_traceback_later(240, exit=True)
        a, b = x.astype({dtype!r}), w.astype({dtype!r})
        call = lambda: convlib.conv2d(a, b, padding=1, backend="im2col")
        expected, stop, good, children = call(), threading.Event(), [], []
        def repeat():
            while not stop.is_set():
                good.append(np.array_equal(call(), expected))
        def fork(*_):
            child = os.fork()
            if not child:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(100)
                os._exit(0 if np.array_equal(call(), expected) else 3)
            children.append(child)
        signal.signal(signal.SIGALRM, fork)
        threads = [threading.Thread(target=repeat) for _ in range(3)]
        for thread in threads: thread.start()
        for i in range(1, 11):
            fork()
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, 1e-2))
            while len(children) < 2 * i:
                good.append(np.array_equal(call(), expected))
        stop.set()
        for thread in threads: thread.join()
        print(len(children), {{os.waitpid(child, 0)[1] for child in children}}, all(good))
    """) == "20 {0} True"  # fmt: skip


def test_several_python_threads_at_once() -> None:
    assert run("""
        expected, found = everything(), []
        def repeat():
            found.append(all(same(everything(), expected) for _ in range(20)))
        threads = [threading.Thread(target=repeat) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(found)
    """) == "[True, True, True, True]"  # fmt: skip


def test_one_plan_in_several_python_threads() -> None:
    assert run("""
        plan = convlib.plan_conv2d(x.shape, w, padding=1, backend="native")
        inputs = [x + i for i in range(4)]
        expected, found = [plan(a) for a in inputs], [None] * 4
        def repeat(i):
            found[i] = all(np.array_equal(plan(inputs[i]), expected[i]) for _ in range(50))
        threads = [threading.Thread(target=repeat, args=(i,)) for i in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(found)
    """) == "[True, True, True, True]"  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        "convlib.conv2d(large, kernels, padding=1, backend='native:gemm')",
        "convlib.conv2d(large, kernels, padding=1, backend='native:winograd')",
        "convlib.conv2d_grad_weight(large, large, kernels.shape, padding=1, backend='native')",
    ],
)
def test_ctrl_c_is_answered_soon(call: str) -> None:
    code = f"""
        large = np.ones((4, 256, 128, 128), "f4")
        kernels = np.ones((256, 256, 3, 3), "f4")
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would Python
        expected = everything()
        print("ready", flush=True)
        try:
            while True:
                {call}
        except KeyboardInterrupt:
            answered = {CLOCK}
            print(answered, same(everything(), expected), flush=True)
    """
    program = [sys.executable, "-P", "-c", HEAD + textwrap.dedent(code)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    sent = clock_of(process.pid)
    process.send_signal(signal.SIGINT)
    try:
        answered, works = process.communicate(timeout=60)[0].split()
    finally:
        process.kill()
    assert works == "True"
    assert float(answered) - sent < 3  # a second is promised, of three threads


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the address space as Linux does")
def test_no_memory_for_scratch_is_a_memory_error() -> None:
    assert run("""
        import resource
        expected = everything()
        deep = np.ones((1, 1000, 10, 10), "f4")
        kernels = np.ones((600, 1000, 3, 3), "f4")
        target = np.empty((1, 600, 8, 8), "f4")
        convlib.conv2d(x, w, padding=1, backend="native")
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), limits[1]))
        try:
            convlib.conv2d(deep, kernels, out=target, backend="native:gemm")
            print("no error")
        except MemoryError:
            resource.setrlimit(resource.RLIMIT_AS, limits)
            print("MemoryError", same(everything(), expected), convlib.conv2d(deep, kernels, backend="native").max())
    """) == "MemoryError True 9000.0"  # fmt: skip


SHARED = '''
def child(queue, numbers):
    """Compute in a child, however it came to be."""
    import convlib
    convlib.set_num_threads(3)
    queue.put(convlib.conv2d(*numbers, padding=1, backend="native:gemm").tobytes())
'''


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_every_kind_compute_the_same(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    (tmp_path / "shared_child.py").write_text(SHARED)
    done = python("-c", HEAD + textwrap.dedent(f"""
        import multiprocessing
        from shared_child import child

        if __name__ == "__main__":
            x = x[:, :, :8, :8].copy()  # what is handed over fits a pipe
            expected, found = convlib.conv2d(x, w, padding=1, backend="native:gemm").tobytes(), []
            context = multiprocessing.get_context({method!r})
            for _ in range(3):
                queue = context.SimpleQueue()
                process = context.Process(target=child, args=(queue, (x, w)))
                process.start()
                found.append(queue.get() == expected)
                process.join()
                found.append(process.exitcode)
            print(found)
    """), path=(tmp_path,))  # fmt: skip
    assert done.stdout.strip() == str([True, 0] * 3), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_thousand_forks_between_and_during_calls() -> None:
    assert run("""
        expected, stop, bad = everything(), threading.Event(), 0
        def work():
            while not stop.is_set():
                everything()  # and keep nothing: each fork would copy the tables of all its pages
        thread = threading.Thread(target=work)
        thread.start()
        for i in range(1000):
            child = os.fork()
            if child == 0:
                os._exit(0 if same(everything(), expected) else 3)
            bad += os.waitpid(child, 0)[1] != 0
        stop.set()
        thread.join()
        print(bad, same(everything(), expected))
    """) == "0 True"  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_waits_for_what_only_the_parent_has_would_be_noticed() -> None:
    """As a pool does that forgets to forget its workers: a lock that a thread held at the fork stays held."""
    assert run("""
        lock, held, leave = threading.Lock(), threading.Event(), threading.Event()
        def hold():
            with lock:
                held.set()
                leave.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        if child == 0:
            os._exit(0 if lock.acquire(timeout=0.5) else 3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        leave.set()
        thread.join()
    """) == "3"  # fmt: skip
