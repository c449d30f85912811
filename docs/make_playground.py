"""Make the interactive page of the course from its template, its words and the spec.

The words are in two languages, and the shape rule of the spec is translated to JavaScript.

Run:  python docs/make_playground.py
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convlib.spec import conv, padding

HERE = Path(__file__).parent
TEMPLATE, PAGE = HERE / "playground.template.html", HERE / "learn/playground.html"
WORDS = HERE / "playground.words.json"

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
COMPARISONS = {ast.Eq: "===", ast.NotEq: "!==", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def expression(node: ast.expr) -> str:
    """Translate an expression of integers; Python's // and % round down, JavaScript's do not."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=value):
            return repr(value)
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            return f"Math.floor({expression(left)} / {expression(right)})"
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return f"mod({expression(left)}, {expression(right)})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({expression(left)} {OPERATORS[type(op)]} {expression(right)})"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"(-{expression(operand)})"
        case ast.Compare(left=left, ops=ops, comparators=rights):
            sides = [expression(side) for side in (left, *rights)]
            pairs = zip(sides, ops, sides[1:], strict=False)
            return "(" + " && ".join(f"{a} {COMPARISONS[type(op)]} {b}" for a, op, b in pairs) + ")"
        case ast.BoolOp(op=op, values=values):
            return "(" + (" || " if isinstance(op, ast.Or) else " && ").join(map(expression, values)) + ")"
        case ast.IfExp(test=test, body=body, orelse=other):
            return f"({expression(test)} ? {expression(body)} : {expression(other)})"
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=args):
            return f"Math.{name}({', '.join(map(expression, args))})"
    raise ValueError(f"no translation for {ast.unparse(node)}")


def statement(node: ast.stmt) -> str:
    """Translate one statement of a function."""
    match node:
        case ast.Return(value=value) if value is not None:
            return f"return {expression(value)};"
        case ast.If(test=test, body=body, orelse=[]):
            return f"if ({expression(test)}) {{ {' '.join(map(statement, body))} }}"
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return f"let {name} = {expression(value)};"
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Mod(), value=value):
            return f"{name} = mod({name}, {expression(value)});"
        case ast.Expr(value=ast.Constant()):
            return ""
    raise ValueError(f"no translation for {ast.unparse(node)}")


def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the definition of a function."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, ast.FunctionDef)
    return node


def whole(name: str, function: Callable[..., Any]) -> str:
    """Translate a function."""
    node = definition(function)
    names = ", ".join(argument.arg for argument in node.args.args)
    return f"  {name}: ({names}) => {{ {' '.join(filter(None, map(statement, node.body)))} }},"


def element(name: str, function: Callable[..., Any], parameters: str, contains: str) -> str:
    """Translate what a function computes per axis: the element of its generator that contains a piece of source."""
    found = [
        node.elt for node in ast.walk(definition(function))
        if isinstance(node, ast.GeneratorExp) and contains in ast.unparse(node.elt)
    ]  # fmt: skip
    (elt,) = found
    used = {node.id for node in ast.walk(elt) if isinstance(node, ast.Name)}
    assert used == set(parameters.split(", ")), f"{name} uses {used}"
    return f"  {name}: ({parameters}) => {expression(elt)},"


def rule() -> str:
    """Return the rule of sizes as an object of JavaScript functions."""
    lines = [
        element("extent", padding.effective_kernel, "k, d", "k - 1"),
        whole("count", padding.window_count),
        element("grown", conv.make_transpose, "i, s, e", "(i - 1) * s"),
        whole("origin", padding.origin),
    ]
    return "const mod = (a, b) => ((a % b) + b) % b;\nconst RULE = {\n" + "\n".join(lines) + "\n};"


def page() -> str:
    """Return the page."""
    template = TEMPLATE.read_text(encoding="utf-8")
    assert template.count("/*RULE*/") == template.count("/*WORDS*/") == 1
    return template.replace("/*RULE*/", rule()).replace("/*WORDS*/", WORDS.read_text(encoding="utf-8").rstrip())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(HERE.parent)}: {PAGE.stat().st_size / 1024:.0f} kB")
