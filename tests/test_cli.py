"""The command line as a user meets it: output, exit status, messages without tracebacks."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import convlib
from convlib.commands import main
from convlib.commands.statuses import AGREE, DISAGREE, INTERRUPTED, REFUSED, UNREAD
from convlib.comparison import run, worker
from convlib.comparison.truth import inputs, truth
from convlib.problem import OPERATIONS, parse

TINY = "n1 ic2 ih6 iw5 oc3 kh3 kw3 ph1"


def test_compare_times_and_writes_json(tmp_path, capsys):
    path = tmp_path / "numbers.json"
    assert main(["compare", TINY, "--backends", "cython,naive", "--time", "0.01", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "cython" in shown
    assert "FMA peak" in shown
    data = json.loads(path.read_text())
    (comparison,) = data["comparisons"]
    assert [row["status"] for row in comparison["rows"]] == ["ok", "ok"]
    assert all(row["error"] <= row["bound"] and row["times"] for row in comparison["rows"])
    assert comparison["fma_peak"] > 1e8


def test_a_slow_backend_is_timed_on_a_part(capsys):
    assert main(["compare", "n1 ic16 ih32 iw32 oc16 kh3 kw3", "--backends", "naive", "--time", "0.01"]) == 0
    assert "slow: a part was timed" in capsys.readouterr().out


@pytest.mark.parametrize(("speed", "part"), [(2e10, False), (1e9, True)])
def test_the_cost_of_a_call_is_no_sign_of_a_slow_backend(monkeypatch, speed, part):
    """A clock that gives each call 100 microseconds and the time of its work."""
    problem = parse("n1 ic64 ih224 iw224 oc64 kh3 kw3 ph1")
    monkeypatch.setattr(worker, "_seconds", lambda call: call())
    monkeypatch.setattr(worker, "prepare", lambda name, part, *rest: (lambda: 1e-4 + part.work / speed, None, 0))
    chosen = worker.Worker("native", 2)._fitting(problem, "float32")
    assert (chosen != problem) is part
    assert chosen.work / speed < worker.LONGEST


def test_a_disagreement_is_shown_and_fails(tmp_path):
    """A backend that flips the kernel, registered in the worker's process by a site hook."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(
            """
            import convlib
            from convlib.backends.naive import NaiveBackend

            class Flipped(NaiveBackend):
                name = "flipped"

                def _conv(self, spec, x, w, bias, y, algorithm):
                    super()._conv(spec, x, w[..., ::-1], bias, y, algorithm)

            convlib.register_backend(Flipped)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "convlib", "compare", TINY, "--backends", "flipped,naive", "--time", "0.01"],
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "WRONG" in done.stdout
    assert "DISAGREEMENT: flipped" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "name either one problem or one --suite"),
        (["compare", "--suite", "resnet51"], "unknown suite 'resnet51'; valid: filters"),
        (["compare", TINY, "--backends", "nobody"], "unknown backend 'nobody'"),
        (["compare", TINY, "--vs", "caffe"], "unknown peer 'caffe'"),
        (["compare", "n1 ic2 xx3"], "unknown token 'xx3'"),
        (["explain", "n1 ic2 ih6 oc3 kh9"], "larger than the padded input"),
        (["check", "nobody"], "unknown backend 'nobody'"),
    ],
)
def test_mistakes_get_a_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_explain_and_info(capsys):
    assert main(["explain", TINY]) == 0
    assert "decided by: automatic" in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["backends"]["naive"] is None
    assert main(["info"]) == 0
    assert "naive: available" in capsys.readouterr().out


def test_check(capsys):
    """A refusal is shown as one, and is no success."""
    assert main(["check", "fft", "--refusals"]) == 0
    summary, *lines = capsys.readouterr().out.splitlines()
    assert summary.endswith(f" passed, {len(lines)} refused, 0 failed")
    assert all(line.startswith("  refused ") for line in lines)
    assert any("max_pool2d-plain: " in line and "does not implement pool" in line for line in lines)


def test_every_suite_parses_and_serves_every_layer():
    for name in run.suites():
        problems = run.suite(name)
        assert problems
        for _, problem in problems:
            shapes, words = problem.call
            assert convlib.explain(problem.function, *shapes, **words).backend
            assert parse(str(problem)) == problem
    assert run.suite("lenet", batch=3)[0][1].n == 3


@pytest.mark.parametrize("options", ["", " sh2 ph1 pw0:2", " dh2 ph2", " nhwc"])
@pytest.mark.parametrize("op", OPERATIONS)
def test_the_truth_is_what_naive_says(op, options):
    channels = "ic4" if op.endswith("pool") else "ic4 oc6 g2"
    if op.endswith("pool"):
        options = options.replace("ph2", "ph1").replace("pw0:2", "pw0:1")
    problem = parse(f"{op} n2 {channels} ih7 iw8 kh3 kw2{options}")
    arrays = inputs(problem, "float64")
    expected, size = truth(problem, arrays)
    shapes, words = problem.call
    count = 1 if problem.is_pool else 2
    got = getattr(convlib, problem.function)(*arrays, *shapes[count:], backend="naive", **words)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-13 * size)


@pytest.mark.parametrize("text", ["avgpool ic2 ih4 kh3 sh2", "avgpool ic2 ih4 kh3 nopad", "maxpool ic2 ih9 kh3 sh4"])
def test_the_truth_knows_ceil_mode(text):
    problem = parse(f"{text} ph1 ceil")
    (x,) = inputs(problem, "float64")
    got = getattr(convlib, problem.function)(x, problem.k, backend="naive", **problem.keywords)
    np.testing.assert_allclose(got, truth(problem, [x])[0])


def shell(command):
    """Run ``convlib`` in a shell; return the exit status of its process and what it said."""
    line = f"{sys.executable} -P -m convlib {command}; echo status ${{PIPESTATUS[0]}} >&2"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env=environment)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    *said, status = done.stderr.splitlines()
    return int(status.removeprefix("status ")), "\n".join(said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["info", f"explain '{TINY}'", f"compare '{TINY}' --backends cython --time 0.01"])
def test_an_output_that_cannot_be_written(command):
    status, said = shell(f"{command} >/dev/full")
    assert status == 2
    assert "No space left on device" in said
    assert shell(f"{command} | true")[0] in (0, 141)  # if it wrote before its reader went away, all was well
    assert shell(f"{command} >/dev/full 2>/dev/full")[0] == 2


def test_a_reader_that_goes_away_is_not_a_disagreement(monkeypatch):
    """Status 1 says that a contender is wrong."""

    class Gone:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["info"]) == 141


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--suite", ""], "unknown suite ''; valid: filters"),
        (["compare", ""], "lacks"),
        (["compare", "", "--suite", ""], "name either one problem or one --suite"),
        (["compare", TINY, "--backends", ""], "--backends '' names none; valid: native"),
        (["compare", TINY, "--backends", " , "], "names none"),
        (["explain", ""], "lacks"),
        (["explain", TINY, "--dtype", ""], "dtype="),
        (["explain", TINY, "--dtype", "<U3"], "dtype"),
        (["explain", TINY, "--backend", ""], "unknown backend"),
        (["check", ""], "unknown backend"),
        (["compare", TINY, "--backends", "naive", "--time", "0.01", "--json", "/"], "cannot write '/'"),
    ],
)
def test_empty_and_odd_arguments_get_a_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "soon"])
def test_times_are_numbers_of_seconds(seconds, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", TINY, "--time", seconds])
    assert stop.value.code == 2
    assert "must be a number of seconds" in capsys.readouterr().err


def test_the_help_explains_every_exit_status(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for status in (AGREE, DISAGREE, REFUSED, INTERRUPTED, UNREAD):
        assert f" {status} if " in shown


def test_an_interrupt_has_a_status_of_its_own(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("convlib.commands.info.run", interrupt)
    assert main(["info"]) == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
