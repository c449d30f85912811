"""What mutation testing can change in a module: `.ci/mutate.py` tries it."""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib.abc
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,),
    ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,), ast.Lt: (ast.LtE,), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE,),
    ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip


class Mutants(ast.NodeVisitor):
    """All places of a module that can be changed, each with how."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str, list[str | int], bool]] = []
        self._path: list[str | int] = []
        self._line = 0  # operators have none of their own
        self._functions = 0  # how many are around

    def generic_visit(self, node: ast.AST) -> None:
        """Visit the children of a node, but texts for people, types and decorators."""
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases") or isinstance(node, ast.Raise):
                continue
            inside = isinstance(node, ast.FunctionDef) and field == "body"
            self._functions += inside
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    step = (field, place) if isinstance(value, list) else (field,)
                    self._path.extend(step)
                    self.offer(child)
                    self.visit(child)
                    del self._path[-len(step):]
            self._functions -= inside

    def visit_keyword(self, node: ast.keyword) -> None:
        """Leave alone what only guards against faults of the code itself: ``zip(..., strict=True)``."""
        if node.arg != "strict":
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    def offer(self, node: ast.AST) -> None:
        """Note the changes that a node allows."""
        self._line = getattr(node, "lineno", self._line)
        for new in SWAPS.get(type(node), ()):
            self.note(f"{type(node).__name__} -> {new.__name__}", new.__name__)
        if isinstance(node, ast.Constant) and type(node.value) in (bool, int):
            self.note(f"{node.value} -> other", "constant")
        if isinstance(node, (ast.If, ast.IfExp)):
            self.note("condition -> not", "negate")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            self.note(f"{type(node.op).__name__} dropped", "drop")
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
            self.note("return -> None", "nothing")
        if isinstance(node, ast.Raise):
            self.note("raise dropped", "pass")

    def note(self, what: str, how: str) -> None:
        """Note a change here, and whether it changes only what a function does when it is called."""
        self.found.append((self._line, what, [*self._path, how], self._functions > 0))


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
    elif how != "same":
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


@dataclass(frozen=True)
class Mutant:
    """One change of a file."""

    path: Path
    line: int
    what: str
    where: tuple[str | int, ...]
    in_function: bool

    @property
    def file(self) -> str:
        """The file as people call it."""
        return str(self.path.relative_to(ROOT))

    @property
    def module(self) -> str:
        """The name of the module that the file holds."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    @cached_property
    def title(self) -> str:
        """The file, the line's text, and the change: what stands in the list of those that nobody can notice."""
        return f"{self.file} | {self.path.read_text().splitlines()[self.line - 1].strip()} | {self.what}"

    @cached_property
    def key(self) -> str:
        """What it is kept by: the whole file, and the place in it."""
        return hashlib.sha256(f"{self.file} {self.path.read_text()} {self.where}".encode()).hexdigest()[:24]

    def tree(self) -> ast.Module:
        """Return the changed module."""
        return mutated(ast.parse(self.path.read_text()), list(self.where))

    def loader(self) -> Loader:
        """Return what gives the changed module to an import."""
        return Loader(self.module, self.path, self.tree())


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield all changes of a file, in the order of their lines; the second alike on a line is called so."""
    visitor = Mutants()
    visitor.visit(ast.parse(path.read_text()))
    seen: Counter[tuple[int, str]] = Counter()
    for line, what, where, in_function in visitor.found:
        seen[line, what] += 1
        number = seen[line, what]
        yield Mutant(path, line, what + (f" ({number})" if number > 1 else ""), tuple(where), in_function)
