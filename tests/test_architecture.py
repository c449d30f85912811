"""The house: imports go one way, names are listed once, sizes are computed in one place, files stay short."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

import convlib

#: That of the checkout: what is installed has no C.
PACKAGE = Path(__file__).resolve().parents[1] / "convlib"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: What is compiled, but for the C that Cython writes beside its sources.
COMPILED = sorted(
    path
    for kind in ("*.pyx", "*.pxd", "*.[ch]", "*.def", "*.cu")
    for path in PACKAGE.rglob(kind)
    if path.suffix != ".c" or not path.with_suffix(".pyx").exists()
)
TESTS = sorted(Path(__file__).parent.rglob("*.py"))

#: What each part may import: functional -> spec, registry -> storage -> backends -> _ext; nothing looks upward.
TOOLS = {"errors", "config", "dtypes", "threads"}
ALLOWED = {
    "errors": set(), "_interpreter": set(),
    "config": {"errors"},
    "dtypes": {"errors"},
    "threads": {"errors", "config"},
    "spec": {"errors", "spec"},
    "problem": {"errors", "spec"},
    "backends.base": {"errors", "dtypes", "spec", "backends.base"},
    "backends": {*TOOLS, "spec", "backends", "backends.base", "_ext"},
    "storage": {"errors", "config", "dtypes", "spec", "threads", "backends.base", "storage"},
    "registry": {*TOOLS, "spec", "backends.base", "storage", "registry"},
    "_ext": set(),
    "functional": {*TOOLS, "spec", "problem", "storage", "registry", "functional"},
}
#: Parts above the public functions, which may use all of it.
ABOVE = {
    "", "__main__", "commands", "comparison", "costs", "dask", "geometry", "info", "layers", "testing",
    "networks", "onnx", "padding", "pictures", "show", "textbook", "tuning",
}  # fmt: skip


def part(module):
    """Return the part of the house that a dotted module belongs to, or None if it is not ours."""
    names = module.split(".")
    if names[0] != "convlib":
        return None
    if names[1:3] == ["backends", "base"]:  # a package of its own: the floors above know it, and no other backend
        return "backends.base"
    return names[1] if len(names) > 1 else ""


def dotted(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def from_root(path):
    """Name a file from the root of the repository, wherever the package lies."""
    start = PACKAGE if path.is_relative_to(PACKAGE) else Path(__file__).parent
    return path.relative_to(start.parent).as_posix()


def imports(path):
    """Yield the dotted names that a module imports, wherever in it."""
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def known(name):
    """Cut a dotted name down to the module it lies in."""
    while name and not (
        (PACKAGE.parent / name.replace(".", "/")).with_suffix(".py").exists()
        or (PACKAGE.parent / name.replace(".", "/")).is_dir()
    ):
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("path", [path for path in MODULES if part(dotted(path)) not in ABOVE], ids=dotted)
def test_imports_go_down_only(path):
    here = part(dotted(path))
    assert here in ALLOWED, f"give {here!r} a place in the house: in ALLOWED or ABOVE of {Path(__file__).name}"
    for name in imports(path):
        there = part(known(name)) if name.startswith("convlib") else None
        assert there is None or there in ALLOWED[here], f"{dotted(path)} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if "spec" in path.parts], ids=dotted)
def test_the_spec_knows_no_arrays(path):
    roots = {name.partition(".")[0] for name in imports(path)}
    assert not roots & {"numpy", "scipy"}


def test_compiled_parts_import_nothing_of_ours():
    ours = re.compile(r"^\s*(from|import|cimport)\s+(convlib\.(?!_ext)|\.\.)", re.MULTILINE)
    assert not [from_root(path) for path in COMPILED if ours.search(path.read_text())]


def test_only_the_parts_that_need_scipy_load_it():
    users = {part(dotted(path)) for path in MODULES for name in imports(path) if name.startswith("scipy")}
    assert users <= {"backends", "comparison", "info", "show"}


# ------------------------------------------------------------------------------- one place for sizes

#: Window counts of something else than the call, with the reason.
OTHER_COUNTS = {"convlib.backends.fft": "outputs of one tile of a transform, which is no size of the call"}


def counts_windows(node):
    """Recognise ``(...) // ... + 1``, the number of windows that fit."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add)
        and isinstance(node.left, ast.BinOp)
        and isinstance(node.left.op, ast.FloorDiv)
        and isinstance(node.left.left, ast.BinOp)
        and isinstance(node.right, ast.Constant)
        and node.right.value == 1
    )


COUNT_NOTHING = [path for path in MODULES if part(dotted(path)) != "spec" and dotted(path) not in OTHER_COUNTS]


@pytest.mark.parametrize("path", COUNT_NOTHING, ids=dotted)
def test_output_sizes_are_computed_in_the_spec_only(path):
    found = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if counts_windows(node)]
    assert not found, f"lines {found} count windows; ask the spec"


def test_the_spec_itself_counts_windows_in_one_line():
    found = [
        f"{path.name}:{node.lineno}"
        for path in MODULES
        if part(dotted(path)) == "spec"
        for node in ast.walk(ast.parse(path.read_text()))
        if counts_windows(node)
    ]
    assert len(found) == 1, found


# ------------------------------------------------------------------------------- public names


def test_all_lists_every_public_name_once():
    assert len(set(convlib.__all__)) == len(convlib.__all__)
    submodules = {path.stem if path.name != "__init__.py" else path.parent.name for path in MODULES}
    public = {name for name in vars(convlib) if not name.startswith("_")} - submodules - {"annotations"}
    assert public == set(convlib.__all__) - submodules


def test_functional_exports_every_function_it_makes():
    functional = convlib.functional
    assert len(set(functional.__all__)) == len(functional.__all__)
    for name in functional.__all__:
        assert callable(getattr(functional, name)) or isinstance(getattr(functional, name), type)
        assert getattr(functional, name) is getattr(convlib, name)
    made = {
        name
        for module in vars(functional).values()
        if getattr(module, "__name__", "").startswith("convlib.functional.")
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == "convlib"
    }
    assert made <= set(functional.__all__)


def test_ranks_come_in_threes():
    families = {re.sub(r"[123]d", "nd", name) for name in convlib.functional.__all__ if re.search(r"[123]d", name)}
    for family in families - {"filternd"}:
        for rank in "123":
            assert family.replace("nd", f"{rank}d") in convlib.functional.__all__


# ------------------------------------------------------------------------------- length

#: Lines of a file, all of them, and lines of code of a function: about what one can read in one go.
FILE, FUNCTION = 400, 45


def code_lines(path):
    """Count the lines that hold code: no blank lines, comments or docstrings."""
    text = path.read_text()
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return lines


def test_files_stay_short():
    counts = {from_root(path): len(path.read_text().splitlines()) for path in (*MODULES, *COMPILED, *TESTS)}
    assert not {name: count for name, count in counts.items() if count > FILE}


#: Columns of C and its lists; Python and Cython are checked by their linters.
COLUMNS = 100


def test_lines_of_c_stay_short():
    lines = {
        f"{from_root(path)}:{number}": len(line)
        for path in COMPILED
        if path.suffix in {".c", ".h", ".def"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    }
    assert not {place: length for place, length in lines.items() if length > COLUMNS}


@pytest.mark.parametrize("isa", ["neon", "simd128", "avx512"])
def test_every_instruction_set_compiles_every_family(isa):
    """Those of AVX2 at least; what one lacks is missed by the linker, on processors that are not at hand."""
    names = [path.stem for path in COMPILED if path.parent.name == "isa"]
    families = {name.removesuffix("_avx2") for name in names if name.endswith("_avx2")}
    assert "border" in families
    assert not {f"{family}_{isa}" for family in families} - set(names)


def test_jobs_are_reached_by_the_macro_that_checks_their_size():
    assert {path.name for path in COMPILED if "->job" in path.read_text()} == {"engine.h"}


def test_no_kernel_asks_the_compiler_what_it_compiles_for():
    """Clang defines `__AVX2__` and its like by a file's options, not where the file switches its target."""
    assert not {path.name for path in COMPILED if re.search(r"\b__(AVX|FMA|SSE)\w*__\b", path.read_text())}


def test_no_kernel_asks_a_library_what_the_processor_has():
    """The library that comes with zig says that it has nothing: what it made ran without AVX2 everywhere."""
    assert not {path.name for path in COMPILED if re.search(r"__builtin_cpu_supports\(", path.read_text())}


def test_a_file_switches_its_target_once():
    """Of two switches, one within the other, Clang heeds the outer one alone."""
    switches = {path.name: path.read_text().count("CV_TARGET(") for path in COMPILED if path.parent.name == "simd"}
    assert {name for name, count in switches.items() if count} == {"system.h", "avx2.h", "avx512.h"}
    assert "CV_TARGET(" not in "".join(path.read_text() for path in COMPILED if path.parent.name != "simd")


@pytest.mark.parametrize("path", [p for p in COMPILED if p.name.endswith("_scalar.c")], ids=from_root)
def test_the_floor_is_plain_c(path, tmp_path):
    """Where the compiler is told of no x86-64, as for Arm and WebAssembly, no intrinsic of it is left."""
    headers = ("limits", "math", "stdatomic", "stdint", "stdlib", "string")
    before = tmp_path / "before.h"
    before.write_text("".join(f"#include <{name}.h>\n" for name in headers) + "#undef __x86_64__\n")
    command = ["cc", "-std=gnu11", "-fsyntax-only", "-w", "-Werror=implicit-function-declaration", "-include", before]
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_systems_differ_in_one_header():
    asks = re.compile(r"#include <(pthread|signal|malloc)\.h>|posix_memalign|\b_WIN32\b|__wasm__")
    assert {path.name for path in COMPILED if asks.search(path.read_text())} == {"port.h"}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_functions_stay_short(path):
    lines, tree = code_lines(path), ast.parse(path.read_text())
    found = {
        node.name: len(lines & set(range(node.body[0].lineno, node.end_lineno + 1)))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert not {name: count for name, count in found.items() if count > FUNCTION}


@pytest.mark.parametrize("path", [*MODULES, *COMPILED], ids=lambda path: path.name)
def test_no_attic(path):
    """Nothing is switched off, left to do, or about the place where it was written."""
    text = path.read_text()
    for word in ("#if 0", "TODO", "FIXME", "XXX", "HACK"):
        assert not re.search(rf"(?<![A-Za-z]){re.escape(word)}\b", text), word
