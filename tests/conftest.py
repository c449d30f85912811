"""What the tests share: every backend that runs here, hypothesis profiles, a clean environment."""

import os

for _name in [name for name in os.environ if name.startswith("CONVLIB_")]:
    del os.environ[_name]  # before the import below, which reads them
os.environ["CONVLIB_TUNING"] = "off"  # what was tuned on this machine is no matter of the tests

import hypothesis  # noqa: E402
import pytest  # noqa: E402

import convlib  # noqa: E402
from convlib import registry  # noqa: E402
from convlib.backends.base import arrays  # noqa: E402
from convlib.functional import conv, pool  # noqa: E402
from convlib.storage import job  # noqa: E402

#: How long an example takes says how busy the machine is, not whether the library is right.
hypothesis.settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("default"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure(config):
    """Say what pyproject.toml says, to who runs a copy of the tests without it, against an installed package."""
    if config.inipath is None:
        config.addinivalue_line("markers", "slow: takes more than a few seconds; run with -m slow")
        config.addinivalue_line("filterwarnings", "error")
        config.option.markexpr = config.option.markexpr or "not slow"


def available_backends():
    """Return the names of the backends that take NumPy arrays and run on this machine."""
    names = []
    for name in convlib.backends():
        try:
            if registry.get_backend(name).array_type == "numpy":
                names.append(name)
        except convlib.BackendError:
            continue
    return names


#: These have everything: a refusal of theirs is a failure, so that no test is skipped for all backends.
COMPLETE = ("naive", "cython")


@pytest.fixture(params=available_backends(), scope="session")
def backend(request):
    """Name each backend in turn; where one says that it does not serve a call, the test is skipped in its words."""
    return request.param


def skip_refusal(error, backend):
    """Skip the running test, unless the backend that refused may not refuse anything."""
    if backend in COMPLETE:
        raise error
    pytest.skip(f"{backend}: {error.reason}")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    try:
        return (yield)
    except convlib.UnsupportedError as error:
        if "backend" not in pyfuncitem.fixturenames:
            raise
        skip_refusal(error, pyfuncitem.funcargs["backend"])


@pytest.fixture
def register():
    """Return a function that registers a backend for the time of one test."""
    added = []

    def add(kind):
        registry.register_backend(kind)
        added.append(kind.name)
        return kind.name

    yield add
    for name in added:
        registry.unregister_backend(name)


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets variables as if the process had started with them."""

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        convlib.config.read_environment()

    yield put
    monkeypatch.undo()
    convlib.config.read_environment()


@pytest.fixture
def small_probe(monkeypatch):
    """Let a comparison copy little where it probes memory: what it finds is no matter of the tests of this process."""
    monkeypatch.setattr("convlib.comparison.probe.COPIED", 1 << 20)


@pytest.fixture(params=["copied in one piece", "borders alone"])
def way(request, monkeypatch):
    """Serve padding that is no zeros in both ways that small images have; a call with `out` leaves the short one."""
    kept = job._settled, conv._quick, pool._quick
    if request.param == "borders alone":
        monkeypatch.setattr(arrays, "SMALL_COPY", 0)
        monkeypatch.setattr(job, "GRADIENT_COPY", 0)
        for cached in kept:
            cached.cache_clear()
    yield request.param
    if request.param == "borders alone":
        for cached in kept:
            cached.cache_clear()  # what was settled so is no matter of the next test


@pytest.fixture
def cuts(monkeypatch):
    """Count the blocks of each call."""
    counts = []
    plain = job._settled

    def counted(*args):
        *rest, parts = plain(*args)
        counts.append(sum(1 for _ in parts))
        return *rest, parts

    monkeypatch.setattr(job, "_settled", counted)
    return counts
