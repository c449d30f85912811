"""Tuning: what is measured is stored, chosen by, told of, and never trusted blindly."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from tools import python

import convlib
from convlib import registry, tuning
from convlib.backends.naive import NaiveBackend
from convlib.commands import main
from convlib.functional.described import describe
from convlib.tuning import racing, store

X, W = np.ones((1, 8, 12, 12), np.float32), np.ones((8, 8, 3, 3), np.float32)
PROBLEM = "n1 ic8 ih12 iw12 oc8 kh3 kw3"
CODE = "import numpy as np, convlib; convlib.conv2d(np.ones((1, 2, 6, 6)), np.ones((3, 2, 3, 3)))"


@pytest.fixture
def cache(environment, tmp_path):
    """Give an empty cache directory, with tuning switched on."""
    environment(CONVLIB_CACHE_DIR=str(tmp_path), CONVLIB_TUNING="on")
    yield tmp_path
    store._table.cache_clear()


def kind(prepared=False, threads=None, x=X.shape):
    op, spec, _ = describe("conv2d", x, W.shape)
    return op, spec, X.dtype, threads or convlib.get_num_threads(), prepared


def put(*rows, **which):
    """Store a ranking of names, the fastest first."""
    found = kind(**which)
    store.write({store.key(found): tuple((name, 1e-6 * at) for at, name in enumerate(rows, start=1))}, found[3])


def explained(**options):
    return convlib.explain("conv2d", X, W, **options)


class Marked(NaiveBackend):
    """Its convolutions say who made them."""

    name = "marked"

    def _conv(self, spec, x, w, bias, y, algorithm):
        y[...] = 1000


# ------------------------------------------------------------------------------- the choice


def test_what_was_measured_is_chosen_and_told(cache):
    assert explained().source == "automatic"
    put("cython", "native:direct", "native:winograd")
    said = explained()
    assert (said.backend, said.algorithm, said.source, said.measured) == ("cython", None, "measured", 1e-6)
    assert said.measurements == {"cython": 1e-6, "native:direct": 2e-6, "native:winograd": pytest.approx(3e-6)}
    (native,) = (verdict for verdict in said.others if verdict.backend == "native")
    assert native.rule == "measured: 2 us"
    assert "1 us measured on this machine" in str(said)
    put("native:direct", "cython")
    said = explained()
    assert (said.backend, said.algorithm) == ("native", "direct")
    assert "chosen native:direct: 1 us measured, " in str(said)


def test_calls_go_by_it(cache, register):
    register(Marked)
    assert convlib.conv2d(X, W).max() == 72
    put("marked")
    assert convlib.conv2d(X, W).max() == 1000
    assert convlib.conv2d(X[0], W).max() == 1000  # one image is a batch of one
    assert convlib.conv2d(X[..., :10], W).max() == 72
    with convlib.use_tuning(False):
        assert convlib.conv2d(X, W).max() == 72
    assert convlib.conv2d(X, W, backend="cython").max() == 72
    assert convlib.conv2d(X.astype(float), W).max() == 72
    assert convlib.plan_conv2d(X.shape, W)(X).max() == 72
    put("marked", prepared=True)
    assert convlib.plan_conv2d(X.shape, W)(X).max() == 1000
    tuning.forget()
    assert convlib.conv2d(X, W).max() == 72


def test_it_can_be_switched_off(cache, environment):
    put("cython")
    environment(CONVLIB_TUNING="off")
    assert explained().source == "automatic"
    with convlib.use_tuning(True):
        assert explained().source == "measured"
    environment(CONVLIB_TUNING="sometimes")
    with pytest.raises(convlib.SpecError, match="CONVLIB_TUNING='sometimes' is unknown; valid: 'on', 'off'"):
        convlib.conv2d(X, W)
    with pytest.raises(TypeError, match="wanted must be True or False"):
        convlib.use_tuning("off")


def test_accuracy_and_scratch_bind_it(cache):
    put("native:winograd", "im2col", "cython")
    assert explained().algorithm == "winograd"
    strict = explained(accuracy="strict")
    assert (strict.backend, strict.source) == ("im2col", "measured")
    with convlib.config.scratch(0):
        said = explained()
    assert said.algorithm != "winograd"
    assert said.workspace_nbytes == 0 or said.backend != "native"


def test_what_is_gone_or_refuses_is_passed_over(cache):
    put("nobody", "native:nothing", "fft:never", "cython")
    assert explained().backend == "cython"
    put("nobody")
    assert explained().source == "automatic"


@pytest.mark.parametrize("threads", [np.float32(2), 2.0, True, "2", 0, 65])
def test_a_file_is_of_a_whole_number_of_threads(cache, threads):
    """2.0 is equal to 2, so that what was remembered of the one stood for the other, and could not be written."""
    with pytest.raises((TypeError, convlib.SpecError), match="threads"):
        store.path(threads)


def test_it_holds_for_a_number_of_threads(cache):
    put("cython", threads=3)
    assert explained().source == "automatic"
    with convlib.num_threads(3):
        assert explained().backend == "cython"
    assert tuning.path(3) != tuning.path(2)


# ------------------------------------------------------------------------------- the file

DAMAGED = {
    "text": ("not json", "Expecting value"),
    "bytes": (b"\xff\xfe\x00", "decode"),
    "list": ("[1, 2]", "no format that this version reads"),
    "format": ({"format": 99}, "no format that this version reads"),
    "machine": ({"machine": {"processor": "another"}}, "measured on another machine"),
    "choices": ({"choices": {"conv": 3}}, "its choices are damaged"),
    "rows": ({"choices": {"conv": [["cython"]]}}, "not enough values"),
    "seconds": ({"choices": {"conv": [["cython", "soon"]]}}, "soon"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_or_foreign_file_is_ignored_with_a_warning(cache, damage):
    put("cython")
    file, (change, words) = Path(tuning.path()), DAMAGED[damage]
    data = json.loads(file.read_text())
    text = json.dumps({**data, **change}) if isinstance(change, dict) else change
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    store._table.cache_clear()
    registry.plugins.changed()
    with pytest.warns(RuntimeWarning, match=f"what was tuned is ignored: .*{words}"):
        assert explained().source == "automatic"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        assert convlib.conv2d(X, W).max() == 72
    put("cython")  # which writes it anew
    assert explained().source == "measured"


def test_writers_at_the_same_time_lose_nothing(cache):
    code = """
import sys
from convlib.tuning import store
for number in range(20):
    store.write({f"{sys.argv[1]}-{number}": (("cython", 1e-6),)}, 2)
print(store.path(2))
"""
    names = [f"writer{number}" for number in range(4)]
    with_path = {"path": (), "CONVLIB_CACHE_DIR": str(cache)}
    assert python("-c", code, "first", **with_path).returncode == 0
    running = [
        subprocess.Popen([sys.executable, "-P", "-c", code, name], stdout=subprocess.PIPE, text=True, env=_env(cache))
        for name in names
    ]
    assert [process.communicate(timeout=200)[1] for process in running] == [None] * len(names)
    assert not any(process.returncode for process in running)
    found = store.read(store.path(2), store.machine(store._isa(), 2))
    assert set(found) == {f"{name}-{number}" for name in ("first", *names) for number in range(20)}
    left = {path.suffix for path in Path(store.path(2)).parent.iterdir()}
    assert left == {".json", ".lock"}


def _env(cache):
    import os

    path = os.pathsep.join(filter(None, [str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "CONVLIB_CACHE_DIR": str(cache)}


@pytest.mark.skipif(sys.platform != "linux", reason="the rules of XDG are those of Linux")
def test_the_cache_directory_follows_the_rules_of_the_platform(environment, monkeypatch, tmp_path):
    environment(XDG_CACHE_HOME=str(tmp_path))
    assert tuning.cache_directory() == str(tmp_path / "convlib")
    environment(XDG_CACHE_HOME="relative", HOME=str(tmp_path))
    assert tuning.cache_directory() == str(tmp_path / ".cache/convlib")
    environment(CONVLIB_CACHE_DIR=str(tmp_path / "own"))
    assert tuning.cache_directory() == str(tmp_path / "own")


# ------------------------------------------------------------------------------- measuring


def test_tuning_measures_all_that_serve(cache):
    steps = []
    first, plan = tuning.tune([PROBLEM], seconds=0.002, progress=lambda *step: steps.append(step))
    assert (first.what, plan.what) == (PROBLEM, f"{PROBLEM} (plan)")
    names = [name for name, _ in first.ranking]
    assert {"cython", "im2col", "native:direct", "native:winograd"} <= set(names)
    assert "naive" not in names
    assert first.after == names[0]
    assert first.gain >= 1
    assert [done for done, _, _ in steps] == [0, 1, 2]
    rest = [seconds for _, seconds in first.ranking[1:]]
    assert rest == sorted(rest)
    said = explained()
    assert said.source == "measured"
    assert said.measured == first.seconds_after
    assert f"{said.backend}:{said.algorithm}".startswith(first.after)
    np.testing.assert_allclose(convlib.conv2d(X, W), 72, rtol=1e-5)


def test_a_choice_changes_only_for_what_is_clearly_faster(cache, monkeypatch):
    took = {"cython": 0.99}  # all others take 1
    monkeypatch.setattr(racing, "_seconds", lambda call, budget: call())
    monkeypatch.setattr(racing, "_call", lambda kind, backend, *rest: lambda: took.get(backend.name, 1.0))
    (first, _) = tuning.tune([PROBLEM])
    assert first.before == first.after != "cython"
    took["cython"] = 0.5
    (first, _) = tuning.tune([PROBLEM])
    assert (first.after, first.gain) == ("cython", 2.0)
    assert explained().backend == "cython"


@pytest.mark.parametrize("problem", [
    "gradx n1 ic3 ih7 iw7 oc4 kh3 kw3 sh2 sw2", "gradw n1 ic3 ih7 iw7 oc4 kh3 kw3", "maxpool ic3 ih8 iw8 kh2",
    "avgpool n1 ic2 iw9 kw3",
])  # fmt: skip
def test_other_operations_can_be_tuned(cache, problem):
    (tuned,) = tuning.tune([problem], seconds=0.001, dtype="float64")
    assert len(tuned.ranking) > 1
    parsed = convlib.problem.parse(problem)
    shapes, words = parsed.call
    assert convlib.explain(parsed.function, *shapes, dtype="float64", **words).source == "measured"


def test_calls_are_recorded_and_tuned(cache):
    with tuning.recorded() as kinds:
        convlib.conv2d(X, W, padding=1, padding_mode="reflect")
        convlib.conv2d(X, W, padding=1, padding_mode="reflect")
        convlib.max_pool2d(X, 2, return_indices=True)
        convlib.max_pool2d(X, 2, backend="cython")
        convlib.im2col(X, 2)
        convlib.conv2d(X.astype(int), W.astype(int))
        convlib.plan_conv2d(X.shape, W)
    assert [(found[0], found[4]) for found in kinds] == [
        ("conv", False), ("pool", False), ("im2col", False), ("conv", False), ("conv", True)
    ]  # fmt: skip
    found = tuning.tune(kinds, seconds=0.001)
    assert len(found) == len(kinds)
    assert convlib.explain("conv2d", X, W, padding=1, padding_mode="reflect").source == "measured"
    assert convlib.conv2d(X.astype(int), W.astype(int)).max() == 72


@pytest.mark.parametrize("given", ["problem", "file", "code", "script"])
def test_the_command(cache, given, capsys, tmp_path):
    (tmp_path / "list.txt").write_text(f"# first\n{PROBLEM}\n")
    (tmp_path / "script.py").write_text(f"{CODE}\nimport sys\nsys.exit(0)\n")
    arguments = {
        "problem": [PROBLEM], "file": [str(tmp_path / "list.txt")], "code": ["--from-calls", CODE],
        "script": ["--from-calls", str(tmp_path / "script.py")],
    }[given]  # fmt: skip
    assert main(["tune", *arguments, "--time", "0.001"]) == 0
    shown = capsys.readouterr().out
    assert "choices changed" in shown
    assert f"stored in {tuning.path()}" in shown
    assert Path(tuning.path()).exists()
    assert main(["tune", "--forget"]) == 0
    assert not Path(tuning.path()).exists()


def test_the_command_takes_a_model(cache, capsys, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 2, 6, 6]), ("y", [1, 3, 4, 4])))
    w = helper.make_tensor("w", 1, [3, 2, 3, 3], np.ones(54, np.float32))
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "net", [x], [y], [w])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    assert main(["tune", "--onnx", str(tmp_path / "net.onnx"), "--time", "0.001"]) == 0
    assert "n1 ic2 ih6 iw6 oc3 kh3 kw3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one of a suite"), (["resnet5"], "did you mean 'resnet50'"), (["n1 xx3"], "unknown token"),
        (["lenet", "--onnx", "x"], "name one of"), (["--from-calls", "x = "], "neither a file nor Python"),
        (["--from-calls", "x = 1"], "makes no call"), (["--from-calls", "my_script.py"], "is no file that is there"),
    ],
)  # fmt: skip
def test_the_command_refuses(cache, arguments, words, capsys):
    assert main(["tune", *arguments]) == 2
    assert words in capsys.readouterr().err
