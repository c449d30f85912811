"""The pages of docs/howto are carried out word by word, in an empty folder, as a reader would."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import convlib

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/howto/add_a_backend.md"
PLUGIN = ROOT / "examples/plugin"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here")

#: A block of a page: the file that the line above it names, its language, its text.
BLOCK = re.compile(r"(?:^`([\w./]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """Yield (file or "", language, text) of the page, in order."""
    return [match.groups(default="") for match in BLOCK.finditer(PAGE.read_text())]


def test_the_page_shows_the_files_of_the_example():
    shown = {name: text for name, _, text in blocks() if name}
    assert shown == {path.name: path.read_text() for path in PLUGIN.iterdir() if path.is_file()}


@pytest.fixture
def reader(tmp_path):
    """Return a function that runs commands in one shell after another, with pip installing into a folder of its own."""
    tools, site = tmp_path / "bin", tmp_path / "site"
    tools.mkdir()
    for name, module in (("convlib", "convlib"), ("pip", "pip"), ("pytest", "pytest")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m {module} "$@"\n')
        (tools / name).chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PIP_TARGET": str(site), "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [
            str(site), str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH", ""),
        ])),
    }  # fmt: skip
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(text):
        nonlocal folder
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{text}\npwd > '{tmp_path}/where'"], cwd=folder, env=environment,
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {text}\n{done.stdout}{done.stderr}"
        folder = Path((tmp_path / "where").read_text().strip())
        return done.stdout, folder

    return run


@pytest.mark.slow
def test_the_walk_from_an_empty_folder(reader):
    checker, said, folder, seen = doctest.OutputChecker(), "", None, 0
    for name, language, text in blocks():
        if name:
            (folder / name).write_text(text)
        elif language == "sh":
            said, folder = reader(text)
        elif language == "text":
            assert checker.check_output(text, said, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE), said
            seen += 1
    assert seen == 2
    assert "shifts" in reader("convlib info")[0]
