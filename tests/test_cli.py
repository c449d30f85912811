"""The command line as a user meets it: output, exit status, messages without tracebacks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import convlib
from convlib.commands import main
from convlib.commands.statuses import AGREE, DISAGREE, INTERRUPTED, REFUSED, UNREAD

TINY = "n1 ic2 ih6 iw5 oc3 kh3 kw3 ph1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "name either one problem or one --suite"),
        (["compare", "--suite", "resnet51"], "unknown suite 'resnet51'; valid: dilated, filters"),
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
    assert main(["explain", TINY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problem"] == TINY
    assert main(["info", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["backends"]["naive"] is None
    assert main(["info"]) == 0
    assert "naive: available" in capsys.readouterr().out


def test_info_holds_what_a_bug_report_needs(capsys, monkeypatch, tmp_path):
    """What decides how a call is served, and how fast: asked of the machine here by other means."""
    def info():
        assert main(["info", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    data = info()
    assert data["versions"]["convlib"].startswith(convlib.__version__)
    assert data["settings"]["backend"] == "automatic"
    assert data["settings"]["measured"].startswith("nothing")
    if sys.platform == "linux":
        total = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
        assert data["machine"]["memory"] == int(total) << 10
    package = tmp_path / "plugged-3.1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 3.1\n")
    (package / "entry_points.txt").write_text("[convlib.backends]\nplugged = somewhere:Backend\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CONVLIB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("CONVLIB_BACKEND", "naive")
    convlib.config.read_environment()
    file = Path(convlib.tuning.path())
    file.parent.mkdir()
    file.write_text("{}")
    data = info()
    monkeypatch.undo()
    convlib.config.read_environment()
    assert data["settings"]["backend"] == "naive, by CONVLIB_BACKEND"
    assert data["settings"]["measured"] == str(file)
    assert data["plug-ins"]["plugged"] == "somewhere:Backend of plugged 3.1"


def test_check(capsys):
    """A refusal is shown as one, and is no success."""
    assert main(["check", "fft", "--refusals", "-k", "conv1d or max_pool2d"]) == 0
    summary, *lines = capsys.readouterr().out.splitlines()
    assert summary.endswith(f" passed, {len(lines)} refused, 0 failed")
    assert all(line.startswith("  refused ") for line in lines)
    assert any("max_pool2d-plain: " in line and "does not implement pool" in line for line in lines)


def test_check_of_all():
    """Without names every backend runs that can; of the others it says why they do not."""
    # where no other test has brought a stand-in of cupy
    environment = {**os.environ, "PYTHONPATH": str(Path(convlib.__file__).parents[1])}
    command = [sys.executable, "-P", "-m", "convlib", "check", "-k", "conv2d-plain"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert list(lines) == list(convlib.backends())
    expected = r"[1-9]\d* passed, \d+ refused, 0 failed|not checked: backend .* is not available: .+"
    assert all(re.fullmatch(expected, said) for said in lines.values()), lines
    assert "passed" in lines["naive"]


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_reader_that_goes_away_and_errors_that_cannot_be_written():
    assert shell("info | true")[0] in (0, 141)  # if it wrote before its reader went away, all was well
    assert shell("info >/dev/full 2>/dev/full")[0] == 2


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
        (["compare", "--suite", ""], "unknown suite ''; valid: dilated, filters"),
        (["compare", ""], "lacks"),
        (["compare", "", "--suite", ""], "name either one problem or one --suite"),
        (["compare", TINY, "--backends", ""], "--backends names none; valid: plan, native"),
        (["compare", TINY, "--backends", " , "], "names none"),
        (["compare", TINY, "--backends", "native:nosuch"], "'native' has no algorithm 'nosuch'; valid: "),
        (["compare", TINY, "--backends", "native:gemm+nosuch"], "'native' has no algorithm 'nosuch'; valid: "),
        (["compare", TINY, "--backends", "naive:direct"], "no algorithm 'direct'; it has none to choose from"),
        (["compare", TINY, "--backends", "naive:*"], "naive has no algorithms to choose from"),
        (["explain", ""], "lacks"),
        (["explain", TINY, "--dtype", ""], "dtype="),
        (["explain", TINY, "--dtype", "<U3"], "dtype"),
        (["explain", TINY, "--backend", ""], "unknown backend"),
        (["check", ""], "unknown backend"),
        (["compare", TINY, "--json", "/"], "cannot write '/': it is a folder"),
        (["compare", TINY, "--csv", "/nowhere/a.csv"], "there is no folder '/nowhere'"),
        (["compare", TINY, "--threads", "1,0"], "--threads '1,0'"),
        (["compare", TINY, "--threads", "1000"], "must lie between 1 and 64"),
        (["compare", TINY, "--dtype", "int8"], "--dtype 'int8' is unknown; valid: float32, float64"),
        (["compare", TINY, "--layout", "CHWN"], "--layout 'CHWN' is unknown"),
        (["compare", TINY, "--op", "conv9d"], "unknown operation 'conv9d'"),
        (["compare", TINY, "--op", "max_pool1d"], "has 2 spatial axes"),
        (["compare", TINY, "--sweep", "kh=kw"], "is no range"),
        (["compare", TINY, "--sweep", "kq=3"], "unknown word 'kq'"),
        (["compare", TINY, "--sweep", "kh=5..3"], "'5..3' is no range"),
        (["compare", "--suite", "lenet", "--sweep", "kh=3"], "--sweep varies one problem"),
        (["compare", TINY, "--input-shape", "1,3,8,8"], "--input-shape is for --onnx"),
        (["compare", "--onnx", "/nowhere.onnx"], "onnx"),
        (["compare", TINY, "--resume", "/nowhere.json"], "leave out problem"),
        (["compare", "--resume", "/nowhere.json"], "cannot read '/nowhere.json'"),
        (["compare", TINY, "--diff", "a.json", "b.json"], "leave out problem"),
        (["compare", "--diff", "/nowhere.json", "b.json"], "cannot read '/nowhere.json'"),
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
