"""How setup.py builds the compiled parts: side by side, only what changed, and saying how far it is.

Each file made on the way lies in build/objects, named by a digest of how it is made: the command, the compiler's
version, and for Cython's code the versions of Python and of what it is compiled against.  A record beside it holds the
digests of the file and of all files of the checkout that went into it, as the compiler listed them.  What agrees with
its record is not made again: times, temporary folders and other ways to build in the same checkout do not matter.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TextIO

FOLDER = "build/objects"
# What stands in a command for the file to make (what it was made from is listed in that name + ".dep"), and for Python.
OUT, PYTHON = "{out}", "{python}"
VARIABLES = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "SDKROOT", "MACOSX_DEPLOYMENT_TARGET")


class BuildError(Exception):
    """A command failed; the message holds what it said."""


@dataclass(frozen=True)
class Step:
    """A file to make.

    Attributes
    ----------
    title : str
        What the step is called if it fails.
    output : str
        The file, relative to the checkout.
    command : tuple of str
        What makes it, with `OUT` for its name and `PYTHON` for the interpreter.
    inputs : tuple of str
        The files that go into it and that are known beforehand.
    """

    title: str
    output: str
    command: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def record(self) -> Path:
        """Where the digests of the output and of what went into it stand."""
        return Path(self.output + ".json")


@cache
def identify(*command: str) -> str:
    """Return what the compiler of a command says of itself, and the variables that it reads."""
    # may be several words: ccache gcc, python -m ziglang cc
    program = list(takewhile(lambda word: word == "-m" or not word.startswith("-"), command))
    asked = [*program, "--version"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"no C compiler: {error}; install one, or name another in the variable CC") from None
    return said.stdout + "".join(f"{name}={os.environ[name]}\n" for name in VARIABLES if name in os.environ)


def step(title: str, command: Sequence[str], inputs: Sequence[str], outside: Sequence[str], *key: str) -> Step:
    """Return the step that makes what `title` names, like ``gemm_avx512.o``.

    `outside` are options with paths to what is not of the checkout; they may differ from one build to the next, and
    `key` holds the versions of what lies there.
    """
    stem, _, suffix = title.partition(".")
    name = hashlib.sha256("\0".join([*command, *inputs, *key]).encode()).hexdigest()[:16]
    return Step(title, f"{FOLDER}/{stem}-{name}.{suffix}", (*command, *outside), tuple(inputs))


# ------------------------------------------------------------------ what is up to date


def digest(path: str | Path) -> str:
    """Return what tells a file's content from any other."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def is_fresh(step: Step) -> bool:
    """Say whether the output is the one that was made, and all that went into it is as it was."""
    try:
        record = json.loads(step.record.read_text())
        return {step.output, *step.inputs} <= record.keys() and all(digest(path) == record[path] for path in record)
    except (OSError, ValueError, AttributeError):  # a file is gone; the record is no JSON; it is no object
        return False


def listed(dependencies: Path) -> set[str]:
    """Return those files of a makefile rule that belong to the checkout, relative to it.

    What lies outside of it or was installed into it is told by versions.
    """
    text = dependencies.read_text().replace("\\\n", " ").partition(": ")[2]
    here = os.getcwd() + os.sep
    paths = (os.path.abspath(path.replace("\\ ", " ")) for path in re.findall(r"(?:\\ |\S)+", text))
    inside = {path.removeprefix(here) for path in paths if path.startswith(here)}
    return {path for path in inside if "site-packages" not in Path(path).parts}


def make(step: Step, scratch: str) -> None:
    """Run the step's command, then put the output and its record in place, each as a whole.

    Nothing is recorded if an input was written meanwhile, as nobody knows which of its contents the command read, nor
    if the compiler ran for two architectures, as it lists the inputs of one.
    """
    made = Path(scratch, Path(step.output).name)
    began = time.time_ns()
    command = [word.replace(OUT, str(made)).replace(PYTHON, sys.executable) for word in step.command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BuildError(f"cannot make {step.title}\n$ {shlex.join(command)}\n{done.stdout.strip()}")
    sys.stderr.write(done.stdout)  # warnings
    rule = made.with_name(made.name + ".dep")
    inputs = {*step.inputs, *(listed(rule) if rule.exists() else ())}
    record = {**{path: digest(path) for path in sorted(inputs)}, step.output: digest(made)}
    step.record.unlink(missing_ok=True)
    os.replace(made, step.output)
    if all(os.stat(path).st_mtime_ns <= began for path in inputs) and command.count("-arch") < 2:
        note = Path(scratch, step.record.name)
        note.write_text(json.dumps(record, indent=1))
        os.replace(note, step.record)


# ------------------------------------------------------------------ side by side


class Progress:
    """How far a build is: a line that changes, on the terminal if one watches, else a line per object on stderr.

    pip shows nothing of what a build writes unless asked to, so the terminal is opened by its name.
    """

    def __init__(self, total: int, terminal: TextIO | None):
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.terminal = terminal
        self.running: dict[str, float] = {}

    def show(self) -> None:
        """Bring the line on the terminal up to date."""
        if self.terminal:
            now = time.monotonic()
            line = f"[{self.done}/{self.total}] {now - self.began:.0f} s"
            line += "".join(f"  {title}" for title in list(self.running))
            self.terminal.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
            self.terminal.flush()

    @contextlib.contextmanager
    def working_on(self, title: str) -> Iterator[None]:
        """Count what is made within."""
        began = self.running[title] = time.monotonic()
        yield
        del self.running[title]
        self.done += 1
        if not self.terminal:
            line = f"[{self.done}/{self.total}] {title}  {time.monotonic() - began:.0f} s"
            print(line, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Say what came of it."""
        seconds = time.monotonic() - self.began
        said = f"compiled {self.done} of {self.total} parts in {seconds:.0f} s" if self.total else "nothing to compile"
        print(f"\r\x1b[K{said}" if self.terminal else said, file=self.terminal or sys.stderr, flush=True)


@contextlib.contextmanager
def open_terminal() -> Iterator[TextIO | None]:
    """Open the terminal on which somebody waits for this build, if there is one."""
    with contextlib.ExitStack() as stack:
        try:
            terminal = stack.enter_context(open("/dev/tty", "w"))
            watched = os.tcgetpgrp(terminal.fileno()) == os.getpgrp()  # not a job in the background
        except OSError:
            watched = False
        yield terminal if watched else None


def source(chain: Sequence[Step]) -> str:
    """Return the name of what a chain begins with."""
    return Path(chain[0].inputs[0]).name


def run(chains: Sequence[Sequence[Step]], links: Sequence[Step], workers: int, *, force: bool = False) -> None:
    """Make what is not up to date: the chains side by side, the first first, their steps in turn; then the links."""

    def is_stale(step: Step) -> bool:
        return force or not is_fresh(step)

    os.makedirs(FOLDER, exist_ok=True)
    with open_terminal() as terminal, tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        stale = [chain for chain in chains if any(map(is_stale, chain))]
        progress = Progress(len(stale), terminal)

        def work(chain: Sequence[Step]) -> None:
            with progress.working_on(source(chain)):
                for step in filter(is_stale, chain):
                    make(step, scratch)

        with ThreadPoolExecutor(workers) as pool:
            pending = {pool.submit(work, chain) for chain in stale}
            try:
                while pending:
                    progress.show()
                    done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            finally:  # after a failure: what runs may end, nothing more begins
                pool.shutdown(cancel_futures=True)
                progress.finish()
        for step in filter(is_stale, links):
            make(step, scratch)
