"""Find tests that can pass without testing anything: ``python .ci/check_tests.py`` reads all of tests/.

- A test returns nowhere: `if ...: return` passes where it should be skipped, with a reason, or not be there at all.
- A skip has a reason.
- A handler in a test does not just drop what it caught.
- A test checks something, and not only under an `if` without `else`: an assert, `pytest.raises` or `warns`, a function
  named assert_... or check..., or one of its own file that does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.with_name("tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(node: ast.expr) -> str:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield all calls in a piece of source."""
    return (part for part in ast.walk(node) if isinstance(part, ast.Call))


def certain(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a piece of source but what an `if` without `else` may leave out."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and not child.orelse:
            yield from certain(child.test)
        else:
            yield from certain(child)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield what belongs to a function itself, not to functions and classes in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (Function, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def checks(function: Function, known: set[str]) -> bool:
    """Return whether a function checks anything, given the names of others that do."""
    for node in certain(function):
        name = name_of(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Assert) or name in known or name in ("raises", "warns", "fail"):
            return True
        if name.startswith(("assert", "check")):
            return True
    return False


def checking(tree: ast.AST) -> set[str]:
    """Return the names of the functions of a file that check something, themselves or through each other."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    known: set[str] = set()
    while True:
        more = {function.name for function in functions if checks(function, known)}
        if more == known:
            return known
        known = more


def without_reason(call: ast.Call) -> bool:
    """Return whether a call of skip, or a mark that skips, says no reason."""
    name = name_of(call.func)
    marked = isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "mark"
    if name not in ("skip", "skipif") or (name == "skipif" and not marked):
        return False
    given = [keyword.value for keyword in call.keywords if keyword.arg in ("reason", "msg")]
    given += call.args if name == "skip" else call.args[1:]
    return not given or (isinstance(given[0], ast.Constant) and not given[0].value)


def drops(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler does nothing with what it caught."""
    return all(isinstance(node, (ast.Pass, ast.Continue, ast.Break, ast.Return)) for node in handler.body)


def complaints(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, complaint) for one file."""
    tree = ast.parse(text)
    known, called = checking(tree), {id(call.func) for call in calls(tree)}
    for node in ast.walk(tree):
        bare = isinstance(node, ast.Attribute) and node.attr == "skip" and name_of(node.value) == "mark"
        if (bare and id(node) not in called) or (isinstance(node, ast.Call) and without_reason(node)):
            yield node.lineno, "a skip without a reason"
        if not isinstance(node, Function) or not node.name.startswith("test_"):
            continue
        if not checks(node, known):
            yield node.lineno, f"{node.name} checks nothing"
        for part in own_nodes(node):
            if isinstance(part, ast.Return):
                yield part.lineno, f"{node.name} returns: skip with a reason, or choose its parameters"
            if isinstance(part, ast.ExceptHandler) and drops(part):
                yield part.lineno, f"{node.name} drops an error: skip with a reason, or expect it"


def main() -> int:
    """Print each complaint; return how many there are."""
    found = 0
    files = sorted(TESTS.rglob("*.py"))
    for path in files:
        for line, complaint in sorted(complaints(path.read_text())):
            found += 1
            print(f"{path.relative_to(TESTS.parent)}:{line}: {complaint}")
    print(f"{len(files)} files of tests, {found} complaints")
    return found


if __name__ == "__main__":
    sys.exit(main() > 0)
