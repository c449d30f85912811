"""The number of threads: who decides, in which order, and what is refused."""

import threading
from pathlib import Path

import pytest

import convlib
from convlib import config, threads


@pytest.fixture(autouse=True)
def environ(monkeypatch):
    def set_variable(name, value):
        monkeypatch.setenv(name, value)
        config.read_environment()

    monkeypatch.delenv("CONVLIB_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    config.read_environment()
    yield set_variable
    convlib.set_num_threads(None)
    monkeypatch.undo()
    config.read_environment()


def test_precedence(environ):
    assert convlib.get_num_threads() == threads.machine_threads()
    environ("OMP_NUM_THREADS", "3,2")
    assert convlib.get_num_threads() == 3
    environ("CONVLIB_NUM_THREADS", "5")
    assert convlib.get_num_threads() == 5
    convlib.set_num_threads(6)
    assert convlib.get_num_threads() == 6
    with convlib.num_threads(7):
        assert convlib.get_num_threads() == 7
        with convlib.num_threads(1):
            assert convlib.get_num_threads() == 1
        assert convlib.get_num_threads() == 7
    assert convlib.get_num_threads() == 6


def test_the_block_is_this_threads_own():
    seen = []
    with convlib.num_threads(9):
        worker = threading.Thread(target=lambda: seen.append(convlib.get_num_threads()))
        worker.start()
        worker.join()
    assert seen == [threads.machine_threads()]


@pytest.mark.parametrize("count", [0, -1, 65])
def test_out_of_range(count):
    with pytest.raises(convlib.SpecError, match="between 1 and 64"):
        convlib.set_num_threads(count)


@pytest.mark.parametrize("count", [2.0, "2", True])
def test_no_integer(count):
    with pytest.raises(TypeError, match="count must be an integer"), convlib.num_threads(count):
        pass


def test_bad_environment(environ):
    environ("CONVLIB_NUM_THREADS", "many")
    with pytest.raises(convlib.SpecError, match="CONVLIB_NUM_THREADS='many'"):
        convlib.get_num_threads()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_cgroup_quota(tmp_path: Path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads._cgroup_quota(str(tmp_path)) == expected
