#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10.9"]
# ///
"""Tasks of a developer's day: ``nox -s lint types tests build docs``.  `.ci/run` is the whole gate."""

import pathlib

import nox

nox.needs_version = ">=2024.10.9"  # the first that reads dependency groups
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session, *groups):
    """Install the package and the named dependency groups."""
    session.install(*nox.project.dependency_groups(PROJECT, *groups), ".")


@nox.session
def lint(session):
    """Check style: ruff, cython-lint, tests that can fail, and numpydoc on every public docstring."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("cython-lint", "convlib/_ext")
    session.run("zizmor", "--offline", ".github")
    session.run("python", "-P", ".ci/check_tests.py")
    session.run("python", "-P", ".ci/check_docstrings.py")


@nox.session
def types(session):
    """Check types, and those that users see."""
    install(session, "lint")
    session.run("mypy", "--strict")
    session.run("python", "-P", ".ci/check_types.py")


@nox.session
def tests(session):
    """Run the tests; arguments behind ``--`` go to pytest."""
    install(session, "test")
    session.run("pytest", "-n", "auto", *session.posargs)


def compiled_here(session, *packages):
    """Install what the tests need, and compile the parts of the checkout, which is what is then tried."""
    session.install(*nox.project.dependency_groups(PROJECT, "test"), *PROJECT["build-system"]["requires"], *packages)
    session.run("python", "setup.py", "--quiet", "build_ext", "--inplace")


@nox.session(default=False)
def slow(session):
    """Run the reliability tests that take long."""
    compiled_here(session)
    session.run("pytest", "-m", "slow", "tests/reliability", *session.posargs, env={"PYTHONPATH": "."})


@nox.session(default=False)
def mutation(session):
    """Change the spec, and a backend, in one small way after another: the tests must notice 90 %; `--seconds 600`."""
    compiled_here(session)
    for target in ("spec", "naive"):
        session.run("python", ".ci/mutate.py", target, *session.posargs, env={"PYTHONPATH": "."})


@nox.session(python="3.11", default=False)
def fuzz(session):
    """Let coverage guide rubbish into the public functions for ten minutes; findings are kept in build/fuzz."""
    compiled_here(session, "atheris>=3")
    session.run("python", ".ci/fuzz.py", "build/fuzz", "-max_total_time=600", "-timeout=60", *session.posargs,
                env={"PYTHONPATH": ".", "CONVLIB_TUNING": "off"})  # fmt: skip


@nox.session(python="3.14t", default=False)
def free_threaded(session):
    """Run the heart of the tests without the GIL, each in several threads at once."""
    compiled_here(session, "pytest-run-parallel>=0.8")
    environment = {"PYTHONPATH": ".", "PYTHON_GIL": "0"}
    check = "import convlib, sys; convlib.registry.get_backend('native'); sys.exit(sys._is_gil_enabled())"
    session.run("python", "-W", "error", "-c", check, env=environment)
    session.run("pytest", "tests/reliability/test_races.py", "tests/reliability/test_same_bits.py", env=environment)
    files = [f"tests/{name}.py" for name in ("test_spec", "test_golden", "test_oracle", "test_geometry")]
    session.run("pytest", "--parallel-threads=4", "--iterations=2", *files, env=environment)


@nox.session(default=False)
def newest_onnx(session):
    """Run ONNX's own cases with the newest onnx: for a weekly job, as the tests' own version is pinned."""
    install(session, "test")
    session.install("--upgrade", "onnx", "onnxruntime")
    session.run("pytest", "tests/test_onnx_cases.py", "tests/test_onnx.py", "tests/test_onnx_runtime.py")


@nox.session(default=False)
def keras(session):
    """Run Keras's own tests of convolutions and poolings by convlib, where JAX is not: for a weekly job."""
    session.install("keras>=3.15", "pytest", "scipy", ".")
    session.chdir("examples/keras_numpy")
    session.run("python", "run_tests.py", *session.posargs)


@nox.session(default=False)
def docs(session):
    """Run every example of the README, of docs/ and of the docstrings, and build the site into build/site."""
    install(session, "docs")
    session.run("pytest", "tests/test_docs.py", "tests/test_learn.py", "tests/test_playground.py", *session.posargs)
    # The command, not the module, which would import the checkout, whose parts need not be compiled.
    session.run("sphinx-build", "-W", "-n", "-q", "-c", "docs", ".", "build/site")
    session.run("pytest", "tests/test_gallery.py")  # notebooks that it has made


@nox.session(default=False)
def build(session):
    """Build the sdist and, from it, the wheel, and check what they hold."""
    session.install(*nox.project.dependency_groups(PROJECT, "build"))
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder, ".")
    session.run("python", ".ci/check_archives.py", *sorted(map(str, pathlib.Path(folder).glob("convlib-*"))))


@nox.session(default=False)
def wheels(session):
    """Build this Python's wheels for Linux into dist/, twice, check them, try the one for here without a compiler."""
    session.install(*nox.project.dependency_groups(PROJECT, "wheels"), *PROJECT["build-system"]["requires"])
    session.run("python", ".ci/wheels.py", "dist", *session.posargs)


@nox.session(python="3.11", default=False)
def windows(session):
    """Make the wheel for Windows into dist/ and try it in Windows' own Python under Wine (Debian's wine64)."""
    session.install(*nox.project.dependency_groups(PROJECT, "wheels"), *PROJECT["build-system"]["requires"], "pip")
    session.run("python", ".ci/windows.py", "dist", *session.posargs)


@nox.session(default=False)
def arm(session):
    """Try the wheel for Arm in dist/ under QEMU: needs Debian, and its package qemu-user."""
    session.install("pip")
    (wheel,) = pathlib.Path("dist").glob("convlib-*-manylinux_2_28_aarch64.whl")
    session.run("python", ".ci/arm.py", wheel, *session.posargs)


@nox.session(default=False)
def musl(session):
    """Try the wheel for musl in dist/ in a Python compiled against musl, once; `.ci/musl.py` says what it needs."""
    session.install("pip")
    (wheel,) = pathlib.Path("dist").glob("convlib-*-musllinux_1_2_x86_64.whl")
    session.run("python", ".ci/musl.py", wheel, *session.posargs)


@nox.session(default=False)
def wasm(session):
    """Try the engine as WebAssembly, on the problems of tests/native, in Node.js, which must be there."""
    compiled_here(session, *nox.project.dependency_groups(PROJECT, "zig"))
    session.run("python", ".ci/wasm.py")


@nox.session(default=False)
def nightly(session):
    """Run the tests with the nightly NumPy, SciPy and Cython, from the index that PIP_EXTRA_INDEX_URL names."""
    install(session, "test")
    session.install("--upgrade", "--pre", "numpy", "scipy", "cython", "setuptools")
    session.install("--no-build-isolation", "--force-reinstall", "--no-deps", ".")
    session.run("pytest", "-n", "auto", *session.posargs)


if __name__ == "__main__":
    nox.main()
