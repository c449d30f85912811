"""What threads share: the pool and its scratch under the thread sanitizer, and the settings and lists of Python."""

import contextlib
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import convlib
from convlib import config
from convlib.backends.naive import NaiveBackend
from convlib.registry import plugins

HERE = Path(__file__).parent
C = HERE.parents[1] / "convlib" / "_ext" / "c"
FLAGS = ["-std=gnu11", "-O1", "-g", "-pthread", "-fsanitize=thread", f"-I{C}"]


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """Return a function that builds the driver with the thread sanitizer, and runs it."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    if not C.is_dir():
        pytest.skip("needs a checkout, with the sources of the pool")
    folder = tmp_path_factory.mktemp("tsan")
    (folder / "empty.c").write_text("int main(void) { return 0; }")
    probe = [folder / "empty.c", "-o", folder / "empty"]
    built = subprocess.run(["cc", *FLAGS, *probe], capture_output=True, check=False).returncode
    if built or subprocess.run([folder / "empty"], capture_output=True, check=False).returncode:
        pytest.skip("this compiler or kernel has no thread sanitizer")

    def run(rounds, *flags):
        program = folder / f"race{len(flags)}"
        sources = [HERE / "pool_race.c", C / "runtime" / "threads.c", C / "runtime" / "scratch.c"]
        subprocess.run(["cc", *FLAGS, *flags, *sources, "-o", program], check=True)
        return subprocess.run(
            [program, str(rounds)], capture_output=True, text=True, timeout=300, check=False,
            env={"TSAN_OPTIONS": "exitcode=66"},
        )  # fmt: skip

    return run


@pytest.mark.parametrize("rounds", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_the_pool_has_no_races(sanitized, rounds):
    done = sanitized(rounds)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr[-3000:]


def test_a_race_is_reported(sanitized):
    done = sanitized(100, "-DRACE")
    assert "data race" in done.stderr
    assert "in unit_of" in done.stderr


def test_one_name_is_registered_once_by_threads_that_ask_together(monkeypatch):
    """Both see the name free before either takes it, unless one must wait for the other."""
    class Twin(NaiveBackend):
        name = "twin"

    both, refused, plain = threading.Barrier(2), [], plugins.backends

    def meeting():
        names = plain()
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        return names

    def register():
        try:
            convlib.register_backend(Twin)
        except convlib.BackendError as error:
            refused.append(str(error))

    monkeypatch.setattr(plugins, "backends", meeting)
    threads = [threading.Thread(target=register) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    convlib.unregister_backend("twin")
    assert len(refused) == 1
    assert "'twin'" in refused[0]


def test_a_setting_that_another_thread_enters_first_is_refused_without_waiting():
    class Taken:
        """A lock that another thread takes just after this one saw it free."""

        def locked(self):
            return False

        def acquire(self, blocking=True):
            assert not blocking, "waits for the other thread's block to end"
            return False

        def __exit__(self, *details):
            raise AssertionError("ends a block that did not begin")

    setting = convlib.max_workspace(1 << 20)
    setting._lock = Taken()
    before = config.get_max_workspace()
    with pytest.raises(convlib.SpecError, match="holds already"), setting:
        raise AssertionError("entered")
    assert config.get_max_workspace() == before


def test_who_reads_variables_sees_all_or_none_of_a_change(monkeypatch):
    """While the variables are read again, another thread meets the old values or the new, never none."""
    monkeypatch.setenv("CONVLIB_NUM_THREADS", "3")
    config.read_environment()
    stop, missing = threading.Event(), []

    def look():
        while not stop.is_set():
            if config.environment("CONVLIB_NUM_THREADS") is None:
                missing.append(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(300):
            config.read_environment()
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(before)
        monkeypatch.undo()
        config.read_environment()
    assert not missing
