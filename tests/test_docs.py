"""Examples are run: in docstrings, in the README, in docs/."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tables

import convlib
from convlib._ext import _native

ROOT = Path(__file__).parents[1]  # of the checkout, wherever the package lies
#: What asks for convlib by its name.
FROM_AN_INDEX = re.compile(r"pip install [^\n`&]*(?<![\w./-])convlib\b(?![\w./'-])")
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]
#: Pages for those who work on convlib, which hold no examples.
MAP = ROOT / "convlib/_ext/README.md"
LOG = ROOT / "benchmarks/log.md"
OTHERS = [path for path in (ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", MAP, LOG) if path.exists()]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules():
    """Return the modules that import everywhere."""
    found = []
    for info in pkgutil.walk_packages(convlib.__path__, "convlib."):
        if info.name.endswith("__main__") or "._ext" in info.name:
            continue
        try:
            found.append(importlib.import_module(info.name))
        except ImportError:
            continue  # a backend whose library is not here
    return found


def public_objects():
    """Yield (name, object) for all that users meet; functions made per rank live in no module's source."""
    for name in convlib.__all__:
        yield f"convlib.{name}", getattr(convlib, name)
    names = ["dask", "layers", "networks", "show", "testing", "textbook", "tuning"]
    names += ["onnx"] if importlib.util.find_spec("onnx") else []
    for module in (importlib.import_module(f"convlib.{name}") for name in names):
        names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        for name in names:
            if callable(getattr(module, name)):
                yield f"{module.__name__}.{name}", getattr(module, name)


def examples(name, value):
    """Return the doctests of an object and its methods."""
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=True)
    module = inspect.getmodule(value) or convlib
    return [test for test in finder.find(value, name, module=False, globs={}, extraglobs={"__name__": module.__name__})
            if test.examples]  # fmt: skip


OBJECTS = dict(public_objects())
SHARED = {id(value): name for name, value in reversed(OBJECTS.items())}


@pytest.mark.parametrize("name", [name for name, value in OBJECTS.items() if SHARED[id(value)] == name])
def test_examples_of_public_objects(name):
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in examples(name, OBJECTS[name]):
        test.globs.update(vars(inspect.getmodule(OBJECTS[name]) or convlib))
        result = runner.run(test)
        assert not result.failed, test.name


RUN_ABOVE = {test.docstring for name, value in OBJECTS.items() for test in examples(name, value)}
IN_MODULES = [
    test
    for module in modules()
    for test in doctest.DocTestFinder(exclude_empty=True).find(module)
    if test.docstring not in RUN_ABOVE
    # What starts with an underscore may be the template of several functions, whose examples are run above.
    if test.examples and not any(part.startswith("_") for part in test.name.split("."))
]


@pytest.mark.parametrize("test", IN_MODULES, ids=lambda test: test.name)
def test_examples_of_modules(test):
    assert not doctest.DocTestRunner(optionflags=FLAGS).run(test).failed


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_pages(path, tmp_path, monkeypatch):
    if path.name == "dask.md":
        pytest.importorskip("dask.array", reason="Dask is not installed")
    if path.name == "onnx.md":
        pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.chdir(tmp_path)  # what an example writes goes there
    text = path.read_text()
    # A fence ends an example, as a blank line does.
    text = "\n".join("" if line.lstrip().startswith("```") else line for line in text.splitlines())
    test = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    state = np.get_printoptions()
    try:
        result = doctest.DocTestRunner(optionflags=FLAGS).run(test)
    finally:
        np.set_printoptions(**state)
    assert not result.failed


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the README is not here")
def test_the_readme_shows_what_explain_prints():
    """The text was made with AVX-512; elsewhere other implementations serve. Predicted numbers may change."""
    if _native.active_isa() != "avx512":
        pytest.skip(f"the README shows AVX-512, and {_native.active_isa()} is what serves here")
    text = (ROOT / "README.md").read_text()
    shown = re.search(r"^```text\n(conv2d of .*?)^  \.\.\.\n```$", text, re.DOTALL | re.MULTILINE)[1]
    said = str(convlib.explain("conv2d", (1, 64, 56, 56), (64, 64, 3, 3), padding=1))
    plain = [re.sub(r"\d[\d.e-]*( [kmun]?s| [KM]iB)?", "#", words).splitlines() for words in (shown, said)]
    assert plain[0] == plain[1][: len(plain[0])]
    assert len(plain[0]) > 10


def test_every_public_function_has_an_example():
    missing = [
        name
        for name, value in OBJECTS.items()
        if inspect.isfunction(value) and name.startswith("convlib.") and name.count(".") == 1
        and ">>>" not in (value.__doc__ or "")
    ]  # fmt: skip
    settings = {"accuracy", "max_workspace", "num_threads", "register_backend", "set_num_threads", "unregister_backend"}
    assert set(missing) <= {f"convlib.{name}" for name in settings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_nothing_is_installed_from_an_index_that_has_no_convlib(path):
    assert not FROM_AN_INDEX.search(path.read_text())


def test_no_message_and_no_example_installs_from_an_index_that_has_no_convlib():
    """And the extras that they name are there."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in (*ROOT.glob("convlib/**/*.py"), *ROOT.glob("examples/**/*.py"), *ROOT.glob("examples/**/README*")):
        text = path.read_text()
        assert not FROM_AN_INDEX.search(text), path
        for names in re.findall(r"['\"]\.\[([\w,]+)\]", text):
            assert set(names.split(",")) <= set(known), path


def test_extras_that_pages_name_exist():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for path in PAGES for name in re.findall(r"\"\.\[(\w+)\]\"", path.read_text())}
    assert {"compare", "examples", "test"} <= named <= known.keys()


# ------------------------------------------------------------------------------- what pages speak of

in_the_checkout = pytest.mark.skipif(not tables.LIST.exists(), reason="pages speak of sources, which are not here")


def prose(path):
    """Return a page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@in_the_checkout
@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", prose(path)):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_rows_of_tables_have_as_many_cells_as_their_heads(path):
    head = None
    for line in path.read_text().splitlines():
        cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else None
        head = cells if None in (head, cells) else head
        assert cells == head, line


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the README is not here")
def test_pictures_of_the_readme_are_there_and_say_what_they_show():
    found = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert found
    # A README for a package index has absolute links.
    assert all(len(words) >= 20 and (target[:6] == "https:" or (ROOT / target).exists()) for words, target in found)


@in_the_checkout
def test_links_of_the_readme_can_be_made_absolute_for_a_package_index():
    spec = importlib.util.spec_from_file_location("readme_links", ROOT / ".ci/readme_links.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.README.read_text()
    made = script.absolute(text, "https://host/owner/name", "v1")
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", made)
    assert len(links) > 25
    for picture, link in links:
        path = link.removeprefix(f"https://host/owner/name/{'raw' if picture else 'blob'}/v1/")
        assert link.startswith("#") or (path != link and (ROOT / path.partition("#")[0]).exists()), link
    assert script.absolute(made, "https://host/owner/name", "v2") == made
    assert re.sub(r"https://host/owner/name/(raw|blob)/v1/", "", made) == text


#: A path or the name of a file of ours, in backticks; capitals stand for what a reader fills in.
NAMED = re.compile(r"`((?:[a-z_.][\w.-]*/)+(?:[a-z_.][\w.-]*)?|[a-z_][\w.]*\.(?:py|pyx|pxd|pyi|toml|md|c|h|def|cu))`")
#: What is not of the checkout: made by building it.
MADE = {"build/musl", "build/objects", "build/site"}


@in_the_checkout
@pytest.mark.parametrize("path", [path for path in (*PAGES, *OTHERS) if path != LOG], ids=lambda p: p.name)
def test_files_that_pages_name_exist(path):
    places = (path.parent, ROOT, ROOT / "convlib", ROOT / "convlib/_ext", ROOT / "convlib/_ext/c", ROOT / "tests")
    for name in NAMED.findall(prose(path)):
        found = any((place / name).exists() for place in places) or ("/" not in name and any(ROOT.rglob(name)))
        assert found or name in MADE, name


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_pages_use_exist(path):
    """As they stand there: `convlib.backends` is a function, and a package from which names are imported."""
    for name in re.findall(r"`(convlib(?:\.[A-Za-z_]\w*)+)", prose(path)):
        if name.startswith("convlib.onnx") and not importlib.util.find_spec("onnx"):
            continue
        assert pkgutil.resolve_name(name) is not None


@in_the_checkout
def test_the_engines_page_lists_what_the_engine_has():
    page = tables.PAGE.read_text()
    assert set(re.findall(r"implementations of (\w+), by", page)) == set(tables._native.OPERATIONS)
    assert tables.up_to_date(page) == page, f"make the tables anew: {tables.COMMAND}"


@in_the_checkout
def test_the_map_of_the_compiled_parts_names_every_file():
    text = MAP.read_text()
    files = [path for path in (MAP.parent / "c").rglob("*.*") if path.suffix in (".c", ".h", ".def", ".py")]
    assert len(files) > 50
    missing = {path.name for path in files if path.parent.name != "isa" and f"`{path.name}`" not in text}
    folders = {path.parent.name for path in files} - {"c", "__pycache__"}
    assert not missing | {folder for folder in folders if f"`{folder}/`" not in text}
