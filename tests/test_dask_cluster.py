"""Dask arrays under every scheduler: a cluster of processes, a worker that dies, a lost scheduler, two hosts."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib.backends.dask_tasks import share
from convlib.backends.naive import NaiveBackend

da = pytest.importorskip("dask.array", reason="Dask is not installed")
distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")

pytestmark = pytest.mark.filterwarnings("default")  # Dask's own

BIN = Path(sys.executable).parent


def values(*shape, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype("f4")


def chain(x):
    """Return several operators over one image, as arrays of NumPy or of Dask."""
    y = convlib.conv2d(x, values(2, 1, 9, 9, seed=1), padding="same", padding_mode="wrap")
    pooled, indices = convlib.max_pool2d(y, 3, stride=2, padding=1, return_indices=True)
    grown = convlib.conv_transpose2d(pooled, values(2, 1, 2, 2, seed=2), stride=2)
    return y, pooled, indices, grown, convlib.conv2d_grad_weight(y[:, :1], x, (1, 1, 1, 1))


def cluster(workers, threads=1):
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=threads, processes=True, dashboard_address=None, memory_limit="1GiB"
    )


# ------------------------------------------------------------------------------- threads


class Spy(NaiveBackend):
    """Says, for each block, how many threads it may use, and when it runs."""

    name = "spy"

    def _conv(self, spec, x, w, bias, y, algorithm):
        begun = time.monotonic()
        time.sleep(0.02)
        y[...] = 0
        y.flat[:4] = os.getpid(), convlib.get_num_threads(), begun, time.monotonic()


def most_threads(blocks):
    """Return the most threads that blocks, (process, threads, begin, end) each, may use at the same time."""
    return max(
        sum(threads for _, threads, begin, end in blocks if begin <= moment < end) for _, _, moment, _ in blocks
    )


def spied(**how):
    x = da.zeros((1, 1, 8, 96), chunks=(1, 1, 8, 8))
    y = convlib.conv2d(x, np.ones((1, 1, 1, 1)), backend="dask:spy").compute(**how)
    return [tuple(y[0, 0, 0, start : start + 4]) for start in range(0, 96, 8)]


@pytest.mark.parametrize("how", [
    {"scheduler": "synchronous"}, {"scheduler": "threads"}, {"scheduler": "threads", "num_workers": 3},
    {"scheduler": "threads", "num_workers": 8},
], ids=str)  # fmt: skip
def test_threads_of_tasks_and_tasks_share_the_processors(how, register):
    register(Spy)
    convlib.set_num_threads(8)
    try:
        blocks = spied(**how)
        assert most_threads(blocks) <= 8
        assert {threads for _, threads, _, _ in blocks} == {8 if how["scheduler"] == "synchronous" else 1}
    finally:
        convlib.set_num_threads(None)


@pytest.mark.slow
def test_processes_of_a_pool_use_one_thread_each():
    x = da.zeros((8,), chunks=2)
    found = x.map_blocks(lambda block: np.full(block.shape, share()), dtype=int)
    assert found.compute(scheduler="processes", num_workers=2).tolist() == [1] * 8


@pytest.mark.slow
def test_a_worker_shares_its_threads_among_its_tasks():
    def here(block):
        convlib.set_num_threads(8)
        return np.full(block.shape, share())

    with cluster(1, threads=2) as one, distributed.Client(one):
        assert da.zeros(8, chunks=2).map_blocks(here, dtype=int).compute().tolist() == [4] * 8


# ------------------------------------------------------------------------------- a cluster


@pytest.mark.slow
def test_a_cluster_of_processes_gives_the_bits_of_one_call():
    x = values(1, 1, 400, 500)
    expected = chain(x)
    with cluster(2) as two, distributed.Client(two) as client:
        found = client.gather(client.compute(chain(da.from_array(x, chunks=(1, 1, 64, 128)))))
        assert len(client.ncores()) == 2
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def slowly(block):
    time.sleep(0.1)
    return block


@pytest.mark.slow
def test_a_worker_is_killed_and_nothing_is_lost():
    x = values(1, 1, 320, 320)
    expected = convlib.conv2d(x, values(1, 1, 5, 5, seed=1), padding=2)
    with cluster(3) as three, distributed.Client(three) as client:
        source = da.from_array(x, chunks=(1, 1, 32, 32)).map_blocks(slowly)
        y = convlib.conv2d(source, values(1, 1, 5, 5, seed=1), padding=2)
        pids = client.run(os.getpid)
        y = y.persist()
        held = {}
        while len(held) < 3:  # until each worker has finished some blocks, which are lost with it
            held = {worker: keys for worker, keys in client.has_what().items() if keys}
        victim = max(held, key=lambda worker: len(held[worker]))
        done = sum(future.done() for future in distributed.futures_of(y))
        os.kill(pids[victim], signal.SIGKILL)
        assert done < y.npartitions
        np.testing.assert_array_equal(y.compute(), expected)
        assert pids[victim] not in client.run(os.getpid).values()


@pytest.mark.slow
def test_a_scheduler_that_is_gone():
    x = da.ones((1, 1, 40, 40), chunks=20)
    w = np.ones((1, 1, 3, 3))
    scheduler = subprocess.Popen(
        [BIN / "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = next(word for line in scheduler.stderr for word in line.split() if word.startswith("tcp://"))
        reader = threading.Thread(target=scheduler.stderr.read)
        reader.start()
        with distributed.Client(address) as client:
            y = convlib.conv2d(x, w)
            scheduler.kill()
            scheduler.wait()
            until = time.monotonic() + 20
            while client.status == "running" and time.monotonic() < until:
                time.sleep(0.05)
            with pytest.raises(convlib.BackendError, match=rf"lost its scheduler at {address}.*client\.close\(\)"):
                convlib.conv2d(x, w)
    finally:
        scheduler.kill()
        reader.join()
        scheduler.stderr.close()
    assert y.compute().max() == 9  # the graph is as good as before


# ------------------------------------------------------------------------------- two hosts

HOSTS = """
import sys, numpy as np, dask.array as da, distributed, convlib
sys.path.insert(0, {tests!r})
from test_dask_cluster import chain, values
x = values(1, 1, 300, 300)
with distributed.Client("tcp://10.77.0.1:8786", timeout=60) as client:
    client.wait_for_workers(2, timeout=60)
    hosts = sorted(address.split("/")[-1].split(":")[0] for address in client.ncores())
    lazy = chain(da.from_array(x, chunks=(1, 1, 50, 50)))
    for a, b in zip(client.gather(client.compute(lazy)), chain(x)):
        np.testing.assert_array_equal(a, b)
    print("hosts", *hosts)
"""


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def two_hosts():
    """Make two network namespaces of our own, joined by one wire."""
    if shutil.which("ip") is None:
        pytest.skip("the command ip is not installed")
    one, two = (f"convlib-{os.getpid()}-{number}" for number in (1, 2))
    try:
        ip("netns", "add", one)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this user may make no network namespaces: {error.stderr.strip()}")
    try:
        ip("netns", "add", two)
        ip("-n", one, "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", two)
        for number, name in enumerate((one, two), start=1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", f"wire{number}")
            for link in ("lo", f"wire{number}"):
                ip("-n", name, "link", "set", link, "up")
        yield one, two
    finally:
        for name in (one, two):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.slow
def test_two_hosts(two_hosts):
    one, two = two_hosts
    package = Path(convlib.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])}

    def start(host, *command, stdout=subprocess.DEVNULL):
        inside = ["ip", "netns", "exec", host, *command]
        return subprocess.Popen(inside, env=environment, stdout=stdout, stderr=subprocess.DEVNULL, text=True)

    worker = ["worker", "tcp://10.77.0.1:8786", "--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    running = [
        start(one, BIN / "dask", "scheduler", "--host", "10.77.0.1", "--no-dashboard", "--no-show"),
        start(one, BIN / "dask", *worker, "--host", "10.77.0.1"),
        start(two, BIN / "dask", *worker, "--host", "10.77.0.2"),
    ]
    try:
        code = HOSTS.format(tests=str(Path(__file__).parent))
        client = start(one, sys.executable, "-P", "-c", code, stdout=subprocess.PIPE)
        running.append(client)
        said, _ = client.communicate(timeout=180)
        assert client.returncode == 0
        assert said.split() == ["hosts", "10.77.0.1", "10.77.0.2"]
    finally:
        for process in running:
            process.kill()
            process.wait()
