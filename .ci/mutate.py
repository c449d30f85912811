"""Mutation testing: change the code in one small way after another, and see whether the tests notice.

``python .ci/mutate.py spec`` mutates convlib/spec and runs the tests that judge it; ``python .ci/mutate.py naive``
mutates the naive backend and lets the conformance suite judge it as if it were a new one.  Names of files behind the
target take only these; ``--seconds N`` begins no mutant after so long, but for the tests of the code as it is, which
come first; ``--seed N`` draws them in another order.  What was killed is kept in build/mutation, and what survived the
code and tests as they are: the next run goes on from there.  Prints each survivor, and the score by file; exits with an
error below 90 %.  Mutants that no test can notice stand with their reasons in `.ci/equivalent_mutants.txt` and do not
count.

mutmut leaves out functions under decorators, as most of the spec are, and Cosmic Ray starts Python for each mutant:
here the tests are collected once, a child is forked for each mutant, gets the changed code in the functions that are
there, and runs the test first that killed the last one.  Only what runs while modules are imported begins anew.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import importlib.util
import io
import math
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType

from mutants import ROOT, Mutant, mutants

KEPT = ROOT / "build/mutation"
WANTED = 0.9
PATIENCE = 3  # times the processor's time that the code as it is takes; what takes longer loops forever
MEMORY = 4 << 30  # bytes for one mutant; what takes more never stops to grow
IMPORTED = 0.1  # of the time is for the few mutants of what runs while modules are imported, each of which takes long

#: The quickest judges first: most mutants fall to them.
JUDGES = (
    "test_refusals", "test_spec", "test_spec_parts", "test_geometry", "test_weight_orders", "test_adjoints",
    "test_blocks", "test_advice", "test_golden", "reliability/test_sizes", "test_oracle",
)  # fmt: skip
BACKENDS = ("naive", "native")  # of the tests that take each in turn; the others ask nothing else of the spec
#: Not the draws that other processes serve, which import the code as it is.
OPTIONS = ("-q", "-q", "-s", "-p", "no:cacheprovider", "--assert=plain", "-k", "not test_drawn_sizes")


def judged_by_import(mutant: Mutant) -> str:
    """Return which tests notice the change, or nothing; this process has not imported convlib yet."""
    import pytest

    sys.meta_path.insert(0, mutant.loader())
    for name in JUDGES:
        if pytest.main(["-x", *OPTIONS, str(ROOT / "tests" / f"{name}.py")]) != 0:
            return name
    return ""


def judged_by_conformance(mutant: Mutant) -> str:
    """Return which check of the conformance suite notices the change in a backend that a module defines, or nothing."""
    from convlib.testing import check_backend

    loader = mutant.loader()
    module = importlib.util.module_from_spec(loader.find_spec(loader.name))
    loader.exec_module(module)
    module.NaiveBackend.name = "mutant"
    failed = check_backend(module.NaiveBackend, strict=False, stop=True).failed
    return failed[0][0] if failed else ""


class Session:
    """A plugin of pytest that runs the collected tests once for each mutant, in a child that has its functions."""

    def __init__(self, tries: Callable[[Callable[[Mutant], str]], None]) -> None:
        self.tries = tries
        self.failed = ""

    def pytest_runtestloop(self, session) -> bool:
        """Try all mutants instead of running the tests once."""
        self.items = [item for item in session.items if backend_of(item) in (None, *BACKENDS)]
        objects = gc.get_objects()
        self.functions: dict[str, list[FunctionType]] = {}
        for thing in objects:
            if isinstance(thing, FunctionType):
                self.functions.setdefault(thing.__code__.co_filename, []).append(thing)
        self.caches = [thing for thing in objects if isinstance(thing, type(lru_cache(len)))]
        del objects
        gc.freeze()  # a child that looks through all of them would copy their pages
        self.tries(self.judge)
        return True

    def pytest_runtest_logreport(self, report) -> None:
        """Note the test that fails."""
        if report.failed:
            self.failed = report.nodeid

    def judge(self, mutant: Mutant) -> str:
        """Return the first test that notices the change, or nothing."""
        try:
            self.put(mutant)
        except (KeyError, ValueError):
            return ""  # a function that cannot take the code, so that nothing is known: it counts as unnoticed
        for item, following in zip(self.items, [*self.items[1:], None], strict=True):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return self.failed
        return ""

    def put(self, mutant: Mutant) -> None:
        """Give the functions of a file the changed code, and forget what they have answered."""
        codes = {(code.co_qualname, code.co_firstlineno): code
                 for code in all_codes(compile(mutant.tree(), str(mutant.path), "exec"))}  # fmt: skip
        for function in self.functions.get(str(mutant.path), ()):
            function.__code__ = codes[function.__code__.co_qualname, function.__code__.co_firstlineno]
        for cache in self.caches:
            cache.cache_clear()

    def prefer(self, name: str) -> None:
        """Begin with this test from now on."""
        self.items.sort(key=lambda item: item.nodeid != name)


def backend_of(item) -> str | None:
    """Return the backend that a test tries, if it is one of those that take each in turn."""
    return item.callspec.params.get("backend") if hasattr(item, "callspec") else None


def all_codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_codes(constant)


def noticed(judge: Callable[[Mutant], str], mutant: Mutant, seconds: int) -> str:
    """Return what notices a change in a process of its own, or nothing; more seconds of a processor it has not."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        by = "an error outside of the tests"
        with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
            by = judge(mutant)
        os.write(writing, by.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        by = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return by if status == 0 else f"its end with status {status}"


class Results:
    """What happened to the mutants, of this run and those before it."""

    def __init__(self, target: str, seconds: float, seed: int) -> None:
        self.kept = KEPT / f"{target}.txt"
        KEPT.mkdir(parents=True, exist_ok=True)
        self.kept.touch()
        self.known = set(self.kept.read_text().splitlines())
        read = sorted(path for name in ("convlib", "tests") for path in (ROOT / name).rglob("*.py"))
        self.tree = hashlib.sha256(b"".join(path.read_bytes() for path in read)).hexdigest()[:24]
        self.seed = seed
        excused = (ROOT / ".ci/equivalent_mutants.txt").read_text().splitlines()
        self.excused = {line for line in excused if " | " in line}
        self.counts: dict[str, Counter[str]] = {}
        self.seconds = seconds

    def try_all(
        self, mutants: Iterable[Mutant], judge: Callable[[Mutant], str], share: float = 1, prefer=lambda name: None
    ) -> None:
        """Try those that nothing is known of, as long as there is time, of which they have a share."""
        # In no order: those of a short time are a fair sample.
        mutants = sorted(mutants, key=lambda mutant: hashlib.sha256(f"{self.seed} {mutant.key}".encode()).digest())
        new = [mutant for mutant in mutants if not {mutant.key, self.survival(mutant)} & self.known]
        seconds = self.patience(new[0], judge) if new else 0
        until = time.monotonic() + share * self.seconds
        for mutant in mutants:
            counts = self.counts.setdefault(mutant.file, Counter())
            if mutant.key in self.known:
                counts["killed"] += 1
            elif time.monotonic() > until and self.survival(mutant) not in self.known:
                counts["left"] += 1
            elif self.survival(mutant) not in self.known and (by := noticed(judge, mutant, seconds)):
                counts["killed"] += 1
                prefer(by)
                self.keep(mutant.key)
                if mutant.title in self.excused:
                    print(f"{mutant.title}: {by} notices it, though it is listed as equivalent", flush=True)
            else:
                self.keep(self.survival(mutant))
                counts["equivalent" if mutant.title in self.excused else "survived"] += 1
                if mutant.title not in self.excused:
                    print(f"{mutant.file}:{mutant.line}: {mutant.title.partition(' | ')[2]} survives", flush=True)

    def patience(self, mutant: Mutant, judge: Callable[[Mutant], str]) -> int:
        """Return how many seconds of a processor a mutant has, once the tests pass on the code as it is."""
        head = f"{judge.__name__} passes {self.tree} "
        if not (kept := [line for line in self.known if line.startswith(head)]):
            began = os.times()
            if by := noticed(judge, Mutant(mutant.path, 1, "nothing", ("body", "same"), False), 600):
                raise SystemExit(f"{by} fails on the code as it is: no mutant would tell anything")
            done = os.times()
            used = done.children_user + done.children_system - began.children_user - began.children_system
            kept = [f"{head}{math.ceil(PATIENCE * used)}"]
            self.keep(kept[0])
        return int(kept[0].removeprefix(head))

    def survival(self, mutant: Mutant) -> str:
        """Return what is kept of a mutant that the tests as they are do not notice."""
        return f"{mutant.key} survives {self.tree}"

    def keep(self, line: str) -> None:
        """Remember something for the next run."""
        if line not in self.known:
            with self.kept.open("a") as file:
                print(line, file=file)

    def report(self) -> float:
        """Print the score by file, and return that of all."""
        total: Counter[str] = Counter()
        for file, counts in [*sorted(self.counts.items()), ("all", total)]:
            if counts is not total:
                total += counts
            tried = counts["killed"] + counts["survived"]
            said = [f"{counts[name]} {name}" for name in ("survived", "equivalent", "left") if counts[name]]
            print(f"{file}: {counts['killed'] / max(1, tried):.1%} of {tried} killed", *said, sep=", ")
        return total["killed"] / max(1, total["killed"] + total["survived"])


def main() -> int:
    """Run what the command line asks for; return 1 if too many survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=("spec", "naive"))
    parser.add_argument("files", nargs="*", help="files of the spec, such as blocks.py; all if none is named")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.chdir(ROOT)
    os.environ["CI"] = "1"  # the same draws every time: scores can be compared
    results = Results(asked.target, asked.seconds, asked.seed)
    if asked.target == "spec":
        import hypothesis.strategies, numpy, pytest, scipy.fft, scipy.linalg.cython_blas, scipy.signal  # noqa: E401, F401, I001

        names = asked.files or sorted(path.name for path in (ROOT / "convlib/spec").glob("*.py"))
        found = [mutant for name in names for mutant in mutants(ROOT / "convlib/spec" / name)]
        results.try_all([mutant for mutant in found if not mutant.in_function], judged_by_import, IMPORTED)
        session = Session(lambda judge: results.try_all(
            [mutant for mutant in found if mutant.in_function], judge, 1 - IMPORTED, session.prefer
        ))  # fmt: skip
        files = [str(ROOT / "tests" / f"{name}.py") for name in JUDGES]
        if pytest.main([*OPTIONS, *files], plugins=[session]) != 0:
            return 1  # pytest has said why
    else:
        from convlib.testing import check_backend

        check_backend("cython")  # what the oracle answers is computed here, once
        results.try_all(mutants(ROOT / "convlib/backends/naive.py"), judged_by_conformance)
    return results.report() < WANTED


if __name__ == "__main__":
    sys.exit(main())
