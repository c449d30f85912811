"""The race: how many rounds, what is kept after a crash or an interruption, what is gone on with."""

import signal
import textwrap
import time
from pathlib import Path

import pytest
from tools import python

from convlib.comparison import race, worker
from convlib.comparison.problems import Task
from convlib.comparison.race import FEW_ROUNDS, MOST_ROUNDS, ROUNDS, Race, Request
from convlib.comparison.result import from_json
from convlib.problem import parse

pytestmark = pytest.mark.usefixtures("small_probe")

TINY = parse("n1 ic2 ih6 iw5 oc3 kh3 kw3 ph1")
FINE = {"error": 1e-7, "bound": 1e-5, "algorithm": "", "scratch": 0, "effective": False, "part": None, "scale": 1.0}


class Watcher:
    """Notes what it is told."""

    def __init__(self):
        self.names = []

    def begin(self, report, total):
        self.total = total

    def step(self, comparison, doing):
        pass

    def done(self, report, comparison):
        self.names.append(comparison.name)


@pytest.fixture
def contenders(monkeypatch):
    """Give contenders whose answers come from functions: name -> (problem, number of times asked) -> seconds."""
    behaviour = {}

    class Fake:
        def __init__(self, name, threads):
            self.name, self.asked = name, 0

        def ask(self, **request):
            if "check" in request:
                self.problem, self.asked = request["check"], 0
                return dict(FINE)
            self.asked += 1
            said = behaviour[self.name](self.problem, self.asked)
            return {"times": [said]} if isinstance(said, float) else said

        def close(self):
            pass

    monkeypatch.setattr(race, "Worker", Fake)
    return behaviour


ONE = (Task("tiny", TINY),)


def request(*names, tasks=ONE, **words):
    return Request(tuple(tasks), names, **{"dtypes": ("float32",), "threads": (1,), "seconds": 0.01, **words})


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        (lambda problem, number: 1e-3, ROUNDS),
        (lambda problem, number: 1e-3 * number, MOST_ROUNDS),  # never steady
        (lambda problem, number: 1e-3 * (1 + (number < 3)), 9),  # steady when three quarters agree
        (lambda problem, number: 0.2 * number, FEW_ROUNDS),
    ],
)
def test_rounds_go_on_until_they_agree(contenders, seconds, rounds):
    contenders["a"] = seconds
    report = Race(request("a")).run(Watcher())
    (row,) = report.comparisons[0].rows
    assert len(row.rounds) == rounds
    assert report.complete


def test_a_crash_in_a_round_leaves_the_others_alone(contenders):
    contenders["a"] = lambda problem, number: 1e-3
    contenders["b"] = lambda problem, number: 1e-3 if number < 3 else {"crashed": "gone"}
    contenders["c"] = lambda problem, number: {"wrong": "ValueError: odd"}
    a, b, c = Race(request("a", "b", "c")).run(Watcher()).comparisons[0].rows
    assert (a.status, len(a.rounds)) == ("ok", ROUNDS)
    assert (b.status, b.note, len(b.rounds), b.timed) == ("crashed", "gone", 2, False)
    assert (c.status, c.note) == ("wrong", "ValueError: odd")


def test_the_peak_is_the_largest_of_all_probes(contenders, monkeypatch):
    contenders["a"] = lambda problem, number: 1e-3
    seen = iter([5.0, 9.0, *[7.0] * 100])
    monkeypatch.setattr("convlib.comparison.probe.fma_peak", lambda *_: next(seen))
    (peak,) = Race(request("a")).run(Watcher()).peaks
    assert (peak.threads, peak.flops, peak.probes) == (1, 9.0, ROUNDS + 3)  # before, after, and around each round
    assert peak.copy > 1e8


TASKS = [Task(str(problem), problem) for problem in (parse(f"n1 ic{c} ih6 oc3 kh3") for c in (1, 2, 3))]


def stop_at(place):
    """Return a contender that is interrupted in the third round of one of the tasks."""

    def seconds(problem, number):
        if problem == str(TASKS[place].problem) and number == 3:
            raise KeyboardInterrupt
        return 1e-3

    return seconds


def test_what_was_measured_is_kept_and_gone_on_with(contenders):
    contenders["a"] = stop_at(1)
    asked = request("a", tasks=TASKS, threads=(1, 2))
    first = Race(asked)
    with pytest.raises(KeyboardInterrupt):
        first.run(Watcher())
    stopped = from_json(first.report.to_json())
    assert [(c.complete, len(c.rows[0].rounds)) for c in stopped.comparisons] == [(True, ROUNDS), (False, 2)]
    assert not stopped.complete

    contenders["a"] = lambda problem, number: 2e-3
    watcher = Watcher()
    again = Request.from_data(stopped.arguments)
    assert again == asked
    report = Race(again, stopped).run(watcher)
    assert report.complete
    assert watcher.total == 6
    assert watcher.names == [task.name for task in (*TASKS[1:], *TASKS)]  # the first is there already
    assert [c.rows[0].seconds for c in report.comparisons] == [1e-3, *[2e-3] * 5]
    assert report.created == stopped.created


def test_a_request_survives_its_data():
    asked = request("a", "b", tasks=[Task("x", TINY, 3, 7)], sweep="kh", dtypes=("float32", "float64"))
    assert Request.from_data(asked.as_data()) == asked


# ------------------------------------------------------------------------------- processes


def test_a_slow_backend_is_timed_on_a_part():
    answer = race.Worker("naive", 1)
    try:
        checked = answer.ask(check="n1 ic16 ih32 iw32 oc16 kh3 kw3", dtype="float32")
    finally:
        answer.close()
    assert parse(checked["part"]).work * checked["scale"] == pytest.approx(32 * 32 * 16 * 16 * 9, rel=0.2)


@pytest.mark.parametrize(("speed", "part"), [(2e10, False), (1e9, True)])
def test_the_cost_of_a_call_is_no_sign_of_a_slow_backend(monkeypatch, speed, part):
    """A clock that gives each call 100 microseconds and the time of its work."""
    problem = parse("n1 ic64 ih224 iw224 oc64 kh3 kw3 ph1")
    prepared = worker.prepare("native", TINY, worker.inputs(TINY, "float32"), 1)
    monkeypatch.setattr(worker, "_seconds", lambda call: call())
    monkeypatch.setattr(
        worker, "prepare", lambda name, part, *rest: prepared._replace(call=lambda: 1e-4 + part.work / speed)
    )
    chosen = worker.Worker("native", 2)._fitting(problem, "float32")
    assert (chosen != problem) is part
    assert chosen.work / speed < worker.LONGEST


HOOK = """
import convlib
from convlib.backends.naive import NaiveBackend

class Flipped(NaiveBackend):
    name = "flipped"

    def _conv(self, spec, x, w, bias, y, algorithm):
        super()._conv(spec, x, w[..., ::-1], bias, y, algorithm)

class Dying(NaiveBackend):
    name = "dying"

    def _conv(self, spec, x, w, bias, y, algorithm):
        import os, sys
        print("out of cheese", file=sys.stderr, flush=True)
        os.abort()

convlib.register_backend(Flipped)
convlib.register_backend(Dying)
"""


def test_disagreements_and_crashes_are_shown_and_fail(tmp_path):
    """Backends that are registered in every process by a site hook."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(HOOK))
    done = python(
        "-m", "convlib", "compare", str(TINY), "--backends", "flipped,dying,cython", "--time", "0.01", path=(tmp_path,)
    )
    assert done.returncode == 1, done.stderr
    assert "- flipped: WRONG: error" in done.stdout
    assert "- dying: CRASHED: its process ended with signal SIGABRT" in done.stdout
    assert "* cython" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(("Verdict: flipped, dying failed", "    "))
    assert f"DISAGREEMENT: flipped on {TINY}" in done.stderr
    assert f"CRASH: dying on {TINY}: its process ended with signal SIGABRT" in done.stderr
    assert "Traceback" not in done.stderr


def state_of(pid):
    """Return the letter by which Linux tells what a process does, None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def wait_for(pid, state):
    """Wait until a process is in a state, for ten seconds at most; return the one it is in."""
    end = time.monotonic() + 10
    while state_of(pid) != state and time.monotonic() < end:
        time.sleep(0.01)
    return state_of(pid)


@pytest.mark.skipif(not race.STOPS, reason="contenders are stopped on Linux only")
def test_a_contender_is_stopped_until_it_is_asked_again():
    """Whatever its threads do: they take no processor from the next one."""
    contender = race.Worker("native", 1)
    try:
        for _ in range(2):
            assert "error" in contender.ask(check=str(TINY), dtype="float32")
            assert wait_for(contender._process.pid, "T") == "T"
    finally:
        contender.close()


@pytest.mark.skipif(not race.STOPS, reason="contenders are stopped on Linux only")
def test_a_stopped_contender_ends_with_the_race():
    done = python("-c", textwrap.dedent(f"""
        import os, signal
        from convlib.comparison import race

        contender = race.Worker("native", 1)
        contender.ask(check="{TINY}", dtype="float32")
        print(contender._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """))  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert wait_for(int(done.stdout), None) in (None, "Z")


def test_a_contender_that_does_not_answer_is_ended(monkeypatch):
    monkeypatch.setattr(race, "PATIENCE", 0.001)
    slow = race.Worker("cython", 1)
    assert slow.ask(check=str(TINY), dtype="float32") == {"crashed": "gave no answer within 0 s and was ended"}
    monkeypatch.undo()
    assert "error" in slow.ask(check=str(TINY), dtype="float32")  # in a new process
    slow.close()
