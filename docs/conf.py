"""The site: ``nox -s docs``, or ``sphinx-build -W -n -c docs . build/site`` with the group `docs` installed.

The source is the whole checkout, so that links of pages to files outside docs/ lead somewhere here as they do there.
"""

import importlib
import re
from pathlib import Path

import convlib

ROOT = Path(__file__).parents[1]

project, author, release = "convlib", "the authors of convlib", convlib.__version__
root_doc = "docs/contents"
include_patterns = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "benchmarks/log.md", "convlib/_ext/README.md",
]  # fmt: skip
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_theme = "pydata_sphinx_theme"
html_title = "convlib"
html_extra_path = ["learn/playground.html"]
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "footer_start": [], "footer_end": []}
html_show_sourcelink = False

autosummary_generate = False  # the pages of names are written below
autodoc_typehints = "none"  # numpydoc says the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
#: What docstrings mention and no page of ours or of others (which are not asked) defines.
nitpick_ignore_regex = [("py:.*", r"(numpy|scipy|matplotlib|dask|distributed)\..*")]
#: Headings of the reference, with the module and what names of it stand there.
CONVOLUTION = ("conv1d", "conv2d", "conv3d", "conv_", "filter2d", "im2col", "col2im", "requantize")
POOLING = ("pool", "unpool")


def group(name):
    """Return the heading under which a name of `convlib` stands."""
    if any(word in name for word in POOLING):
        return "Pooling"
    if name.startswith(CONVOLUTION) and "shape" not in name:
        return "Convolution"
    if "plan" in name.lower():
        return "Plans"
    if isinstance(getattr(convlib, name), type) and issubclass(getattr(convlib, name), Exception):
        return "Errors"
    words = ("shape", "Spec", "cost", "receptive")
    return "Shapes and cost" if any(word in name for word in words) else "Backends, settings, explanations"


def write(path, text):
    """Write a file that says something new; Sphinx reads again what is newer."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_reference(app):
    """List every public name, and give each a page of its own."""
    headings = {}
    for name in convlib.__all__:
        headings.setdefault(group(name), []).append(f"convlib.{name}")
    for module in ("layers", "show", "textbook", "testing", "dask"):
        names = importlib.import_module(f"convlib.{module}").__all__
        headings[f"convlib.{module}"] = [f"convlib.{module}.{name}" for name in names]
    folder = ROOT / "docs/reference"
    text = ["Reference", "=========", "", "Every public name; each page has the same sections in the same order.", ""]
    order = ("Convolution", "Pooling", "Plans", "Shapes and cost", "Backends, settings, explanations", "Errors")
    for heading in (*order, *(name for name in headings if name not in order)):
        names = sorted(headings[heading])
        text += [heading, "-" * len(heading), "", ".. autosummary::", "", *(f"   ~{name}" for name in names), ""]
        text += [".. toctree::", "   :hidden:", "", *(f"   {name}" for name in names), ""]
        for name in names:
            module, _, last = name.rpartition(".")
            thing = getattr(importlib.import_module(module), last)
            kind, members = ("autoclass", "   :members:\n") if isinstance(thing, type) else ("autofunction", "")
            write(folder / f"{name}.rst", f"{last}\n{'=' * len(last)}\n\n.. {kind}:: {name}\n{members}")
    write(folder / "index.rst", "\n".join(text))


def escape_stars(app, what, name, thing, options, lines):
    """Keep a star of a shape, as in (C, *spatial), from beginning an emphasis."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = re.sub(r"(?<=[(, ])\*(?=\w+[,)])", r"\\*", line)


def add_contents(app, docname, source):
    """Make the links of a section's first page its table of contents, which Markdown elsewhere does not know."""
    if docname.startswith("docs/") and docname.endswith("/index"):
        pages = re.findall(r"^(?:- |\d+\. )\[[^\]]*\]\(([^)]+)\.md\)", source[0], re.MULTILINE)
        source[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n" if pages else ""


def setup(app):
    """Write the reference before pages are read, and hook in what changes pages and docstrings."""
    write_reference(app)
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", escape_stars, priority=400)
