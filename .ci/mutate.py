"""Mutation testing: change the code in one small way after another, and see whether the tests notice.

``python .ci/mutate.py spec`` mutates convlib/spec and runs the tests that judge it; ``python .ci/mutate.py naive``
mutates the naive backend and lets the conformance suite judge it as if it were a new one. ``--every N`` takes each N-th
mutant, ``--first N`` begins there, ``--file NAME`` takes those of one file of the spec. Prints each survivor with its
line, and the score; exits with an error below 90 %. mutmut leaves out functions under decorators, as most of the spec
are, and Cosmic Ray starts Python for each mutant: here a child is forked from a process that has imported all but
convlib.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.util
import io
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WANTED = 0.9
SECONDS = 90  # of a processor for one mutant; what takes longer loops forever.  Of a clock, a busy machine would tell.
MEMORY = 8 << 30  # bytes for one mutant; what takes more never stops to grow

#: The quickest judges first: most mutants fall to them.
JUDGES = (
    "test_refusals", "test_spec", "test_advice", "test_adjoints", "test_blocks", "test_geometry", "test_weight_orders",
    "test_golden", "reliability/test_sizes", "test_oracle",
)  # fmt: skip

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,),
    ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,), ast.Lt: (ast.LtE,), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE,),
    ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip


class Mutants(ast.NodeVisitor):
    """All places of a module that can be changed, each with how."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str, list[tuple[str | int, ...]]]] = []
        self._path: list[str | int] = []
        self._line = 0  # operators have none of their own

    def generic_visit(self, node: ast.AST) -> None:
        """Visit the children of a node, but texts for people, types and decorators."""
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases") or isinstance(node, ast.Raise):
                continue
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    step = (field, place) if isinstance(value, list) else (field,)
                    self._path.extend(step)
                    self.offer(child)
                    self.visit(child)
                    del self._path[-len(step):]

    def visit_keyword(self, node: ast.keyword) -> None:
        """Leave alone what only guards against faults of the code itself: ``zip(..., strict=True)``."""
        if node.arg != "strict":
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    def offer(self, node: ast.AST) -> None:
        """Note the changes that a node allows."""
        line = self._line = getattr(node, "lineno", self._line)
        path = list(self._path)
        for new in SWAPS.get(type(node), ()):
            self.found.append((line, f"{type(node).__name__} -> {new.__name__}", [*path, new.__name__]))
        if isinstance(node, ast.Constant) and type(node.value) in (bool, int):
            self.found.append((line, f"{node.value} -> other", [*path, "constant"]))
        if isinstance(node, (ast.If, ast.IfExp)):
            self.found.append((line, "condition -> not", [*path, "negate"]))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            self.found.append((line, f"{type(node.op).__name__} dropped", [*path, "drop"]))
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
            self.found.append((line, "return -> None", [*path, "nothing"]))
        if isinstance(node, ast.Raise):
            self.found.append((line, "raise dropped", [*path, "pass"]))


def mutated(tree: ast.Module, path: list) -> ast.Module:
    """Return a copy of a module with one change."""
    *steps, how = path
    tree = copy.deepcopy(tree)
    parents: list = [tree]
    for step in steps:
        parents.append(parents[-1][step] if isinstance(step, int) else getattr(parents[-1], step))
    node, new = parents[-1], None
    if how == "constant":
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif how == "negate":
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif how == "drop":
        new = node.operand
    elif how == "nothing":
        node.value = None
    elif how == "pass":
        new = ast.Pass()
    else:
        new = getattr(ast, how)()
    if new is not None:
        last = steps[-1]
        if isinstance(last, int):
            parents[-2][last] = new
        else:
            setattr(parents[-2], last, new)
    return ast.fix_missing_locations(tree)


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Give one module with other code than its file has."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, name, path=None, target=None):
        """Answer for the one module."""
        if name != self.name:
            return None
        folder = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, self.path, loader=self, submodule_search_locations=folder)

    def create_module(self, spec):
        """Leave that to Python."""

    def exec_module(self, module) -> None:
        """Run the changed code."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


def judged_by_tests(loader: Loader) -> bool:
    """Return whether the tests of the spec notice the change; this process has not imported convlib yet."""
    import pytest

    sys.meta_path.insert(0, loader)
    # Not the draws that other processes serve, which import the code as it is.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "-k", "not test_drawn_sizes"]
    return any(pytest.main([*options, str(ROOT / "tests" / f"{name}.py")]) != 0 for name in JUDGES)


def judged_by_conformance(loader: Loader) -> bool:
    """Return whether the conformance suite notices the change in a backend that a module defines."""
    from convlib.testing import check_backend

    module = importlib.util.module_from_spec(loader.find_spec(loader.name))
    try:
        loader.exec_module(module)
        module.NaiveBackend.name = "mutant"
        return bool(check_backend(module.NaiveBackend, strict=False, stop=True).failed)
    except Exception:
        return True


def survives(judge, loader: Loader) -> bool:
    """Return whether a change passes unnoticed, in a process of its own."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        noticed = True
        with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
            noticed = judge(loader)
        os._exit(0 if noticed else 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def module_of(path: Path) -> str:
    """Return the name of the module that a file holds."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def mutants(path: Path) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield (line, change, changed module) for all changes of a file, in the order of their lines."""
    tree = ast.parse(path.read_text())
    visitor = Mutants()
    visitor.visit(tree)
    for line, what, where in visitor.found:
        yield line, what, mutated(tree, where)


def main() -> int:
    """Run what the command line asks for; return 1 if too many survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=("spec", "naive"))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--file", help="one file of the spec, such as blocks.py")
    asked = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.chdir(ROOT)
    os.environ["CI"] = "1"  # the same draws every time: scores can be compared
    if asked.target == "spec":
        import hypothesis.strategies, numpy, pytest, scipy.fft, scipy.linalg.cython_blas, scipy.signal  # noqa: E401, F401, I001

        files, judge = sorted((ROOT / "convlib/spec").glob(asked.file or "*.py")), judged_by_tests
    else:
        from convlib.testing import check_backend

        check_backend("cython")  # what the oracle answers is computed here, once
        files, judge = [ROOT / "convlib/backends/naive.py"], judged_by_conformance
    first = Loader(module_of(files[-1]), files[-1], ast.parse(files[-1].read_text()))
    if not survives(judge, first):
        raise SystemExit("the code as it is does not pass: no mutant would tell anything")
    counts, started = {"killed": 0, "survived": 0}, time.monotonic()
    numbered = 0
    for path in files:
        name = module_of(path)
        for line, what, tree in mutants(path):
            numbered += 1
            if (numbered - 1 - asked.first) % asked.every:
                continue
            alive = survives(judge, Loader(name, path, tree))
            counts["survived" if alive else "killed"] += 1
            if alive:
                print(f"{path.relative_to(ROOT)}:{line}: {what} survives", flush=True)
    score = counts["killed"] / max(1, sum(counts.values()))
    print(f"{asked.target}: {counts}, of {numbered} mutants: {score:.1%} in {time.monotonic() - started:.0f} s")
    return score < WANTED


if __name__ == "__main__":
    sys.exit(main())
