"""Tasks of a developer's day: ``nox -s lint types tests build docs``.  `.ci/run` is the whole gate."""

import pathlib

import nox

nox.needs_version = ">=2024.10.9"  # the first that reads dependency groups
nox.options.sessions = ["lint", "types", "tests"]
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


@nox.session
def newest_onnx(session):
    """Run ONNX's own cases with the newest onnx: for a weekly job, as the tests' own version is pinned."""
    install(session, "test")
    session.install("--upgrade", "onnx", "onnxruntime")
    session.run("pytest", "tests/test_onnx_cases.py", "tests/test_onnx.py", "tests/test_onnx_runtime.py")


@nox.session
def docs(session):
    """Run every example of the README, of docs/ and of the docstrings, and build the site into build/site."""
    install(session, "docs")
    session.run("pytest", "tests/test_docs.py", "tests/test_learn.py", "tests/test_playground.py", *session.posargs)
    # The command, not the module, which would import the checkout, whose parts need not be compiled.
    session.run("sphinx-build", "-W", "-n", "-q", "-c", "docs", ".", "build/site")
    session.run("pytest", "tests/test_gallery.py")  # notebooks that it has made


@nox.session
def build(session):
    """Build the sdist and, from it, the wheel, and check what they hold."""
    session.install(*nox.project.dependency_groups(PROJECT, "build"))
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder, ".")
    session.run("python", ".ci/check_archives.py", *sorted(map(str, pathlib.Path(folder).glob("convlib-*"))))
