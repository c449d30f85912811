"""Backends that come from elsewhere, or do not come: plug-ins good and bad, broken answers, imports that fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tools import python

import convlib
from convlib import registry
from convlib.backends.naive import NaiveBackend
from convlib.registry import plugins

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
ROOT = Path(__file__).parent.parent

QUIET = ("-W", "error", "-c")


def served_by(**options):
    return convlib.explain("conv2d", X.shape, W.shape, **options)


# ------------------------------------------------------------------------------- broken and passing


def _raises(*args, **kwargs):
    raise KeyError("its own fault")


FAULTS = {
    "available raises": {"available": _raises},
    "available answers rubbish": {"available": lambda self: 3},
    "supports raises": {"supports": _raises},
    "supports answers rubbish": {"supports": lambda self, op, spec, dtype: True},
    "choose raises": {"choose": _raises},
    "choose answers rubbish": {"choose": lambda self, op, spec, dtype: "plain"},
    "choose answers too much": {"choose": lambda self, op, spec, dtype: ("plain", "why", 3)},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_backend_is_named_and_breaks_no_one_else(register, fault):
    register(type("Broken", (NaiveBackend,), {"name": "broken", **FAULTS[fault]}))
    (verdict,) = (verdict for verdict in served_by().others if verdict.backend == "broken")
    assert not verdict.serves
    assert "'broken' is broken" in verdict.reason
    assert convlib.show_config("dict")["backends"]["naive"] is None
    with pytest.raises(convlib.UnsupportedError, match=r"These can: .*naive") as caught:
        convlib.conv2d(X.astype(int), W.astype(int), backend="fft")
    assert "broken" not in str(caught.value)
    np.testing.assert_array_equal(convlib.conv2d(X, W), convlib.conv2d(X, W, backend="naive"))
    with pytest.raises(convlib.BackendError, match="'broken' is broken: "):
        convlib.conv2d(X, W, backend="broken")


@pytest.mark.parametrize("fault", ["supports_algorithm", "exact_algorithm", "workspace"])
def test_what_is_asked_of_a_named_backend_is_checked_too(register, fault):
    register(type("Broken", (NaiveBackend,), {"name": "broken", "algorithms": {"conv": ("odd",)}, fault: _raises}))
    with pytest.raises(convlib.BackendError, match=r"broken: .* raised KeyError: 'its own fault'"):
        served_by(backend="broken:odd", accuracy="strict")


@pytest.fixture
def unloaded(monkeypatch):
    """Return a function that makes the next import of the native backend fail, as if it had never been imported."""
    tried = []

    def fail(error):
        monkeypatch.delitem(plugins._loaded, "native", raising=False)
        plain = plugins.import_module

        def import_module(name):
            if name.endswith(".native"):
                tried.append(name)
                if len(tried) == 1:
                    raise error
            return plain(name)

        monkeypatch.setattr(plugins, "import_module", import_module)
        plugins.changed()
        return tried

    served_by()  # so that the backends that serve meanwhile are there
    yield fail
    plugins._failed.pop("native", None)
    plugins.changed()


PASSING = [
    OSError(24, "Too many open files"),
    MemoryError(),
    TimeoutError("the alarm of a signal handler"),
    RuntimeError("what a signal handler raised"),
    ImportError("x.so: cannot open shared object file: Too many open files"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_passing_failure_is_said_and_tried_again(unloaded, error):
    x = np.ones((1, 2, 7, 9), np.float32)
    tried = unloaded(error)
    with pytest.warns(RuntimeWarning, match=f"for now: backend 'native' could not be loaded .*{type(error).__name__}"):
        first = convlib.conv2d(x, W)
    np.testing.assert_array_equal(convlib.conv2d(x, W), first)
    assert len(tried) == 2
    assert convlib.explain("conv2d", x.shape, W.shape).backend == "native"


def test_an_interrupt_while_a_backend_is_imported_comes_through(unloaded):
    unloaded(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        convlib.conv2d(X, W)
    assert served_by().backend == "native"


def test_a_failure_that_lasts_is_remembered(unloaded):
    tried = unloaded(ImportError("No module named 'nothing'"))
    for _ in range(2):
        assert served_by().backend != "native"
        with pytest.raises(convlib.BackendError, match="No module named 'nothing'"):
            registry.get_backend("native")
    assert len(tried) == 1


def test_a_process_without_file_descriptors_recovers():
    code = """
import resource, numpy as np, convlib
x, w = np.ones((1, 2, 5, 5), "f4"), np.ones((3, 2, 3, 3), "f4")
few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
convlib.backends()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
try:
    convlib.conv2d(x, w)
except convlib.BackendError as error:
    assert "Too many open files" in str(error), error
else:
    raise AssertionError("imported without a file")
resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
assert convlib.conv2d(x, w).max() == 18
assert convlib.explain("conv2d", x.shape, w.shape).backend == "native"
"""
    done = python(*QUIET, code)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------- entry points


BAD = """
import sys, convlib
from convlib.backends.naive import NaiveBackend
class NotABackend: pass
class Misnamed(NaiveBackend): name = "another"
class Hookless(convlib.Backend): name, operations = "hookless", ("conv",)
class Raises(NaiveBackend):
    name = "raises"
    def available(self): raise KeyError("its own fault")
class Property(NaiveBackend):
    name = "property"
    @property
    def array_type(self): raise KeyError("its own fault")
class Quits(NaiveBackend):
    name = "quits"
    def __init__(self): sys.exit("no licence")
"""
ENTRIES = """
[convlib.backends]
broken = bad_module:Backend
impostor = bad_backends:NotABackend
misnamed = bad_backends:Misnamed
hookless = bad_backends:Hookless
raises = bad_backends:Raises
property = bad_backends:Property
quits = bad_backends:Quits
naive = bad_backends:Misnamed
"""


def install_bad(target):
    """Put a package of bad backends where pip would."""
    (target / "bad_backends.py").write_text(BAD)
    (target / "bad_module.py").write_text('raise RuntimeError("a library is missing")\n')
    about = target / "bad-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the example package into a folder of its own, as a user would with pip, and bad ones beside it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "examples" / "plugin", source, dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    install_bad(target)
    return target


@pytest.mark.parametrize("select", ["conv2d or transpose1d or pool2d", pytest.param("", marks=pytest.mark.slow)])
def test_a_plug_in_is_found_and_passes_the_conformance_suite(installed, select):
    code = f"""
import numpy as np, convlib
assert "shifts" in convlib.backends(), convlib.backends()
y = convlib.conv2d(np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3)), padding=1, backend="shifts")
assert y[0, 0, 2, 2] == 18
from convlib.testing import check_backend
report = check_backend("shifts", select={select!r})
assert report.passed > 50 and report.refused and not report.failed
print(report)
"""
    done = python(*QUIET, code, path=(installed,))
    assert done.returncode == 0, done.stderr
    assert "shifts" in done.stdout


def test_a_plug_in_can_be_named_by_the_environment(installed):
    code = 'import convlib; print(convlib.explain("conv2d", (1, 2, 5, 5), (3, 2, 3, 3)).backend)'
    done = python(*QUIET, code, path=(installed,), CONVLIB_BACKEND="shifts")
    assert done.stdout.strip() == "shifts", done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "RuntimeError: a library is missing"),
        ("impostor", "is no convlib.Backend but a NotABackend"),
        ("misnamed", "calls itself 'another'"),
        ("hookless", "the hook _conv(self, spec, x, w, bias, y, algorithm) is missing"),
        ("raises", "bad_backends:Raises.available raised KeyError: 'its own fault'"),
        ("property", "cannot be read: KeyError: 'its own fault'"),
        ("quits", "SystemExit: no licence"),
    ],
)
def test_a_broken_plug_in_breaks_nothing_but_itself(installed, name, reason):
    code = f"""
import numpy as np, convlib
x, w = np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3))
assert convlib.conv2d(x, w).shape == (1, 3, 3, 3)
assert {name!r} in convlib.backends()
said = str(convlib.explain("conv2d", x.shape, w.shape))
assert {reason!r} in said, said
assert {reason!r} in convlib.show_config("dict")["backends"][{name!r}]
for _ in range(2):
    try:
        convlib.conv2d(x, w, backend={name!r})
    except convlib.BackendError as error:
        assert {reason!r} in str(error), error
    else:
        raise AssertionError("no error")
"""
    done = python(*QUIET, code, path=(installed,))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["info", "explain", "compare", "check"])
def test_bad_plug_ins_break_no_command(installed, command):
    problem = "n1 ic2 ih6 iw5 oc3 kh3 kw3 ph1"
    more = {"explain": [problem], "compare": [problem, "--time", "0.01"], "check": ["cython", "-k", "conv2d-plain"]}
    done = python("-m", "convlib", command, *more.get(command, []), path=(installed,))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_plug_in_cannot_take_the_name_of_a_built_in(installed):
    code = 'import convlib; print(type(convlib.registry.get_backend("naive")).__module__)'
    done = python(*QUIET, code, path=(installed,))
    assert done.stdout.strip() == "convlib.backends.naive", done.stderr


def test_import_loads_no_plug_in_and_no_compiled_part_that_is_not_needed(installed):
    code = """
import sys, convlib
assert not [name for name in sys.modules if name.startswith(("convlib_shifts", "bad_", "scipy"))], "loaded on import"
"""
    done = python(*QUIET, code, path=(installed,))
    assert done.returncode == 0, done.stderr
