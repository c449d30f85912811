"""`convlib compare` from end to end: files, pipes, interruptions, peers, and the function."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tools import python

import convlib
from convlib import SpecError
from convlib.commands import main
from convlib.comparison import result
from convlib.comparison.peers import PEERS, CannotError
from convlib.comparison.race import FEW_ROUNDS, Worker
from convlib.problem import parse

pytestmark = pytest.mark.usefixtures("small_probe")

TINY = "n1 ic2 ih6 iw5 oc3 kh3 kw3 ph1"
QUICK = ("--backends", "cython", "--time", "0.01")


def test_all_files_hold_what_was_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CONVLIB_ACCURACY", "strict")
    monkeypatch.delenv("COLUMNS", raising=False)  # a pipe's text is always as wide
    json_file, csv_file, page = (tmp_path / name for name in ("a.json", "a.csv", "a.html"))
    asked = ["compare", TINY, "--backends", "cython,im2col", "--time", "0.01", "--dtype", "float32,float64"]
    assert main([*asked, "--json", str(json_file), "--csv", str(csv_file), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    report = result.load(str(json_file))
    assert str(report) == shown.removesuffix("\n")
    assert report.complete
    assert report.arguments["contenders"] == ["cython", "im2col"]
    assert report.machine["versions"]["convlib"] == convlib.__version__
    assert report.machine["settings"]["CONVLIB_ACCURACY"] == "strict"
    assert [c.dtype for c in report.comparisons] == ["float32", "float64"]
    for comparison in report.comparisons:
        for row in comparison.rows:
            assert row.timed
            assert row.error <= row.bound
            assert row.calls >= len(row.rounds) >= FEW_ROUNDS
    with open(csv_file) as file:
        assert len(list(csv.DictReader(file))) == 4
    assert str(report.comparisons[0].timed[0].contender) in page.read_text()
    assert "█" not in shown
    assert main(["compare", "--diff", str(json_file), str(json_file)]) == 0
    assert "Verdict: 0 slower, 0 faster, 4 the same" in " ".join(capsys.readouterr().out.split())


def test_native_implementations_are_contenders(capsys):
    assert main(["compare", TINY, "--backends", "native:*,plan", "--time", "0.01"]) == 0
    shown = capsys.readouterr().out
    for row in convlib.explain("conv2d", (1, 2, 6, 5), (3, 2, 3, 3), padding=1, backend="native").implementations:
        assert (f"native:{row.name} " in shown) is (row.refusal is None)
    assert "plan " in shown


def test_the_function_takes_arrays_and_problems():
    x, w = np.ones((1, 2, 6, 5)), np.ones((3, 2, 3, 3))
    said = []
    report = convlib.compare(
        [x, w], op="conv2d", padding=1, backends=["cython"], seconds=0.01, threads=1, progress=said.append
    )
    (comparison,) = report.comparisons
    assert (comparison.problem, comparison.dtype, comparison.threads) == (TINY, "float64", 1)
    assert comparison.timed
    assert f"{TINY}: check cython" in said
    report = convlib.compare({"mine": TINY}, sweep="n=1,2", backends=["cython"], seconds=0.01)
    assert [c.name for c in report.comparisons] == ["n=1", "n=2"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"problem": TINY, "suite": "lenet"}, SpecError, "name either one problem or one --suite"),
        ({"problem": TINY, "backends": "native"}, TypeError, "backends must be a sequence of names"),
        ({"problem": TINY, "padding": 1}, TypeError, "which are for arrays"),
        ({"problem": [np.ones((1, 2, 6, 5))]}, SpecError, "arrays need op="),
        ({"problem": [np.ones((1, 2, 6, 5), int)], "op": "max_pool2d", "kernel_size": 2}, SpecError, "--dtype 'int64'"),
        ({"problem": TINY, "seconds": 0}, SpecError, "seconds=0"),
        ({"problem": []}, SpecError, "no problem"),
    ],
)
def test_wrong_arguments_of_the_function(arguments, error, message):
    with pytest.raises(error, match=message):
        convlib.compare(**arguments)


def test_importing_convlib_loads_nothing_of_the_comparison():
    done = python("-c", "import sys, convlib; print([m for m in sys.modules if m.startswith('convlib.comparison.')])")
    assert done.stdout.strip() == "[]", done.stderr


# ------------------------------------------------------------------------------- interruptions


def started(*arguments, **words):
    """Start ``convlib compare`` in a group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "convlib", "compare", *arguments], text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)}, stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts, **words,
    )  # fmt: skip


def heed_interrupts():
    """Let Ctrl-C end what is started: a shell's background ignores it, and so would Python and all its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_run_is_kept_and_gone_on_with(tmp_path, capsys):
    path = tmp_path / "a.json"
    process = started(TINY, "--sweep", "n=1..4", "--json", str(path), *QUICK, stdout=subprocess.PIPE)
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    stopped = result.load(str(path))
    if stopped.complete:
        pytest.skip("the run was over before it could be interrupted")
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "n=1: " in out
    assert "Not everything was measured." in " ".join(out.split())
    assert main(["compare", "--resume", str(path)]) == 0
    capsys.readouterr()
    whole = result.load(str(path))
    assert whole.complete
    assert [c.value for c in whole.comparisons] == [1, 2, 3, 4]
    done = sum(c.complete for c in stopped.comparisons)
    assert whole.comparisons[:done] == stopped.comparisons[:done]


def test_a_reader_that_goes_away_ends_the_run_and_the_file_is_kept(tmp_path):
    path = tmp_path / "a.json"
    with started(TINY, "--sweep", "n=1..50", "--json", str(path), *QUICK, stdout=subprocess.PIPE) as process:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == ""
    report = result.load(str(path))
    assert 1 <= len(report.comparisons) < 50


def test_a_report_with_a_peer_that_is_gone_is_not_gone_on_with(tmp_path, capsys):
    path = tmp_path / "a.json"
    assert main(["compare", TINY, "--json", str(path), "--vs", "scipy", *QUICK]) == 0
    path.write_text(path.read_text().replace('"scipy"', '"ncnn"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convlib.comparison.peers.importlib.util.find_spec", lambda module: None)
        assert main(["compare", "--resume", str(path)]) == 2
    assert "the peer 'ncnn' is not installed; pip install ncnn" in capsys.readouterr().err


def test_a_report_of_another_machine_is_not_gone_on_with(tmp_path, capsys):
    path = tmp_path / "a.json"
    assert main(["compare", TINY, "--json", str(path), *QUICK]) == 0
    data = json.loads(path.read_text())
    data["machine"]["processor"] = "Example 3000"
    path.write_text(json.dumps(data))
    assert main(["compare", "--resume", str(path)]) == 2
    assert "was measured elsewhere: processor differ" in capsys.readouterr().err


# ------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("name", PEERS)
def test_an_absent_peer_is_named_with_how_to_get_it(name, monkeypatch, capsys):
    monkeypatch.setattr("convlib.comparison.peers.importlib.util.find_spec", lambda module: None)
    assert main(["compare", TINY, "--vs", name]) == 2
    packages = " ".join(package for _, package in PEERS[name].packages)
    assert f"the peer {name!r} is not installed; pip install {packages}" in capsys.readouterr().err


#: Problems, and whether peers that filter images take them.
LAYERS = {TINY: False, "n2 ic4 ih9 iw8 oc4 g4 kh3 kw2 sh2 ph1 bias": False, "n1 ic1 ih9 iw9 oc1 kh5 kw5 ph2": True}


@pytest.mark.parametrize("name", PEERS)
def test_peers_agree_with_the_truth(name):
    if PEERS[name].missing is not None:
        pytest.skip(f"{name} is {PEERS[name].missing}")
    peer = Worker(name, 1)
    try:
        for text, is_filter in LAYERS.items():
            answer = peer.ask(check=text, dtype="float32")
            assert ("cannot" in answer) is (name in ("opencv", "scipy") and not is_filter), answer
            if "cannot" not in answer:
                assert answer["error"] <= answer["bound"], answer
                assert len(peer.ask(time=0.001)["times"]) >= 1
    finally:
        peer.close()


@pytest.mark.parametrize(
    ("name", "text"), [("ncnn", "maxpool n1 ic4 ih8 kh2"), ("ncnn", "n1 ic4 iw8 oc4 kw3"), ("ncnn", f"{TINY} nhwc")]
)
def test_what_a_peer_does_not_offer(name, text):
    with pytest.raises(CannotError):
        PEERS[name].prepare(parse(text), [np.ones(parse(text).x_shape, "f4")], 1)
