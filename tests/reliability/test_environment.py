"""Rubbish in every variable of the environment: a call answers, or its error names the variable; nothing crashes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import config
from convlib.commands import main
from convlib.tuning import store

VARIABLES = sorted({f"CONVLIB_{name}" for name in config._NAMES} | {"OMP_NUM_THREADS"})
RUBBISH = (
    "", " ", "0", "-1", "1e3", "nan", "many", "native:", ":", "\N{SNOWMAN}", "9" * 5000, "on,off", "../..", "\x01",
    "x" * 10**5,
)  # fmt: skip

X, W = np.ones((1, 2, 6, 6), np.float32), np.ones((3, 2, 3, 3), np.float32)
W.flags.writeable = False


def outcome():
    """Make some calls; return the words in which they were refused, "" if they were not."""
    try:
        assert convlib.conv2d(X, W).max() == 18
        assert convlib.max_pool2d(X, 2).max() == 1
        convlib.plan_conv2d(X.shape, W)(X)
        convlib.explain("conv2d", X.shape, W.shape)
        convlib.get_num_threads()
    except (convlib.SpecError, convlib.BackendError) as error:
        return str(error)
    return ""


def unnamed(name, said):
    """Return whether an error leaves out which variable is to blame."""
    return bool(said) and name not in said


@pytest.mark.parametrize("value", RUBBISH, ids=range(len(RUBBISH)))
@pytest.mark.parametrize("name", VARIABLES)
def test_rubbish_is_ignored_or_named(environment, name, value):
    environment(**{name: value})
    said = outcome()
    assert not unnamed(name, said)
    assert len(said) < 2000


def test_an_error_that_does_not_name_its_variable_would_be_noticed():
    assert unnamed("CONVLIB_ACCURACY", "accuracy='?' is unknown")
    assert not unnamed("CONVLIB_ACCURACY", "CONVLIB_ACCURACY='?' is unknown")


@pytest.mark.parametrize("name", sorted({*VARIABLES} - {"CONVLIB_BACKEND", "CONVLIB_CACHE_DIR", "OMP_NUM_THREADS"}))
def test_commands_name_the_variable_and_blame_no_backend(name, environment, capsys):
    environment(**{name: "rubbish"})
    assert (main(["info"]), main(["check", "naive", "-k", "kernel_1x1"])) == (2, 2)
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count(f"{name}='rubbish'") == 2


def test_info_says_that_no_backend_has_the_name_in_the_environment(environment, capsys):
    environment(CONVLIB_BACKEND="rubbish")
    assert main(["info"]) == 0
    assert "rubbish, by CONVLIB_BACKEND, which calls refuse: unknown backend 'rubbish'" in capsys.readouterr().out


def test_a_file_in_place_of_the_folder_of_caches_is_a_warning_that_names_the_variable(environment, tmp_path):
    (tmp_path / "file").touch()
    environment(CONVLIB_CACHE_DIR=str(tmp_path / "file"))
    kind = "conv", convlib.explain("conv2d", X.shape, W.shape).spec, X.dtype, 1, False
    store._table.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"'.*file.tuning.*', which lies where CONVLIB_CACHE_DIR says: "):
        assert not store.ranking(kind)


CALL = """
import sys, numpy as np, convlib
try:
    print(convlib.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))).item(), file=sys.stderr)
    convlib.show_config()
except convlib.ConvlibError as error:
    print(error, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="variables of the environment are bytes on POSIX")
def test_rubbish_before_the_start_crashes_nothing():
    """All at once, in bytes that are no text; CONVLIB_ISA is read by C."""
    names = (*VARIABLES, "CONVLIB_ISA", "CONVLIB_CFLAGS", "CONVLIB_UNKNOWN")
    path = os.pathsep.join((str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    said = set()
    for value in (b"\xff\xfe\x80", b"%s%n", b"avx9000"):
        env = {name.encode(): value for name in names} | {b"PYTHONPATH": os.fsencode(path)}
        done = subprocess.run([sys.executable, "-P", "-c", CALL], env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        said.add(re.search(rb"CONVLIB_[A-Z_]+|9\.0", done.stderr).group())
    assert b"9.0" not in said


@pytest.mark.parametrize("value", ["avx9000", "", "scalar", "x" * 10**5])
def test_an_unknown_instruction_set_is_refused_by_name(value):
    env = {**os.environ, "CONVLIB_ISA": value, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-P", "-c", CALL], env=env, capture_output=True, text=True, check=True)
    assert ("9.0" in done.stderr) or ("CONVLIB_ISA" in done.stderr and "scalar" in done.stderr), done.stderr
