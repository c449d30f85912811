"""What authors of backends are told: before a call, at the first one, and of a class that is not installed."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib.backends.cython import CythonBackend
from convlib.backends.naive import NaiveBackend
from convlib.registry import plugins
from convlib.registry.vetting import faults
from convlib.testing import check_backend

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)


def _raises(*args, **kwargs):
    raise KeyError("its own fault")


# ------------------------------------------------------------------------------- what registration refuses


def hook(self, spec, x, w, bias, y, algorithm):
    y[...] = 0


#: Attributes of a backend that cannot be called, and what is said of it.
UNFIT = {
    "no name": ({"name": ""}, "must not be empty"),
    "colon": ({"name": "a:b"}, "must not be empty or hold a colon"),
    "no operations": ({"operations": ()}, "must be a tuple of what its hooks serve"),
    "one string": ({"operations": "conv"}, r"one string; write operations = \('conv',\)"),
    "rank": ({"operations": ("conv2d",)}, "'conv2d', which is no operation; .*; did you mean 'conv'?"),
    "hook missing": ({"_conv": None}, r"_conv must be a method _conv\(self, spec, x, .*, not None"),
    "second hook": ({"operations": ("conv", "pool")}, r"'pool', but the hook _pool\(self, spec, x, y"),
    "misnamed": ({"operations": ("pool",), "_max_pool": hook}, "hook _pool.* is missing; is _max_pool meant to be it?"),
    "public name": ({"conv": hook}, r"conv is no hook but what callers get.*rename the method to _conv\(self,"),
    "transposed": ({"conv_transpose": hook}, "conv_transpose is no hook.*rename the method to _conv_grad_input"),
    "too few": ({"_conv": lambda self, spec, x, w: 0}, r"_conv takes \(spec, x, w\); it is called as _conv\(self"),
    "stray": ({"_unpool": hook}, r"defines the hook _unpool, but operations = \('conv',\) does not name 'unpool'"),
    "algorithms": ({"algorithms": {"conv": "fast"}}, r"one string; write \('fast',\)"),
    "algorithm": ({"algorithms": {"conv2d": ("a",)}}, "no operation; did you mean 'conv'"),
    "algorithm name": ({"algorithms": {"conv": ("a+b",)}}, "names without plus"),
    "flag": ({"exact": "no"}, "exact = 'no' must be True or False"),
    "array type": ({"array_type": np}, "array_type = .* must be the top-level module"),
    "supports": ({"supports": lambda self, spec: None}, r"supports takes \(spec\); it is called as supports\(self"),
    "available": ({"available": True}, r"available must be a method available\(self\), not True"),
    "workspace": ({"workspace": lambda self, op, spec, dtype: 0}, "workspace takes .*; it is called as workspace"),
    "property": ({"strided": property(_raises)}, "cannot be read: KeyError: 'its own fault'"),
}  # fmt: skip


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_registration_refuses(unfit):
    attributes, words = UNFIT[unfit]
    made = {"name": "unfit", "operations": ("conv",), "_conv": hook, **attributes}
    with pytest.raises(convlib.BackendError, match=words) as caught:
        convlib.register_backend(type("Unfit", (convlib.Backend,), made))
    assert "Unfit is no backend yet" in str(caught.value)
    assert "unfit" not in convlib.backends()


def test_all_faults_are_said_at_once():
    made = {"name": "", "operations": ("conv2d", "pool")}
    with pytest.raises(convlib.BackendError) as caught:
        convlib.register_backend(type("Unfit", (convlib.Backend,), made))
    assert str(caught.value).count("\n  - ") == 3


@pytest.mark.parametrize("name", convlib.backends())
def test_our_own_backends_have_no_fault(name):
    pytest.importorskip("dask.array" if name == "dask" else "numpy", reason="Dask is not installed")
    assert faults(plugins.load(name)) == []


@pytest.mark.parametrize("thing", [3, int, "naive", object()])
def test_only_backends_are_registered(thing):
    with pytest.raises(TypeError, match=r"must be a convlib\.Backend or a subclass of it"):
        convlib.register_backend(thing)


def test_a_class_that_cannot_be_made_is_named():
    class Fails(NaiveBackend):
        name = "fails"

        def __init__(self):
            raise KeyError("its own fault")

    with pytest.raises(convlib.BackendError, match=r"Fails.* could not be made: KeyError: 'its own fault'"):
        convlib.register_backend(Fails)


RETURNING = {
    "conv": (lambda: convlib.conv2d(X, W, backend="returning"), "_conv returned ndarray; .*: y\\[...\\] = ..."),
    "pool": (lambda: convlib.max_pool2d(X, 2, backend="returning"), "_pool returned ndarray"),
    "im2col": (lambda: convlib.im2col(X, 2, backend="returning"), "_im2col returned ndarray; .*: cols"),
    "unpool": (
        lambda: convlib.max_pool2d_grad_input(X[:, :, :2], X[:, :, :2].astype(int), X.shape, backend="returning"),
        "_unpool returned ndarray",
    ),
}


@pytest.mark.parametrize("op", RETURNING)
def test_a_hook_that_returns_instead_of_filling_is_refused_at_its_first_call(register, op):
    call, words = RETURNING[op]
    register(type("Returning", (NaiveBackend,), {"name": "returning", f"_{op}": lambda self, spec, x, *rest: x}))
    with pytest.raises(convlib.BackendError, match=f"backend 'returning' is broken: .*{words}"):
        call()
    assert convlib.conv2d(X, W).shape == (1, 3, 3, 3)


def test_an_error_of_a_hook_says_whose_it_is(register):
    register(type("Failing", (NaiveBackend,), {"name": "failing", "_conv": _raises}))
    with pytest.raises(KeyError) as caught:
        convlib.conv2d(X, W, backend="failing")
    assert caught.value.__notes__ == ["raised by _conv of backend 'failing' (test_plugin_authors)"]


# ------------------------------------------------------------------------------- checking what is not installed


def test_a_class_is_checked_by_module_and_name(tmp_path):
    code = "from convlib.backends.cython import CythonBackend\nclass Mine(CythonBackend): name = 'mine'\n"
    (tmp_path / "mine.py").write_text(code)
    path = os.pathsep.join(filter(None, [str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    command = [sys.executable, "-P", "-m", "convlib", "check"]
    done = run([*command, "mine:Mine", "-k", "conv2d-plain"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mine: ")
    wrong = run([*command, "mine:Yours"])
    assert wrong.returncode == 2
    assert "the module 'mine' has no 'Yours'; its backends: Mine" in wrong.stderr
    (tmp_path / "mine.py").write_text(code + "raise ValueError('half written')\n")
    wrong = run([*command, "mine:Mine"])
    assert "'mine' could not be imported: ValueError: half written" in wrong.stderr
    (tmp_path / "mine.py").write_text("import convlib\nconvlib.Backends\n")
    wrong = run([*command, "mine:Mine"])
    assert "'mine' could not be imported: AttributeError: module 'convlib' has no attribute 'Backends'" in wrong.stderr
    wrong = run([*command, "nativ"])
    assert "unknown backend 'nativ'" in wrong.stderr
    assert "did you mean 'native'" in wrong.stderr


def test_a_backend_is_checked_without_being_registered():
    class Mine(CythonBackend):
        name = "mine"

    for thing in (Mine, Mine()):
        assert check_backend(thing, select="conv2d-plain").passed > 5
    assert "mine" not in convlib.backends()
