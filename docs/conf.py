"""The site: ``nox -s docs``, or ``sphinx-build -W -n -c docs . build/site`` with the group `docs` installed.

The source is the whole checkout, so that links of pages to files outside docs/ lead somewhere here as they do there.
"""

import functools
import gettext
import importlib.util
import re
import shutil
import tempfile
import textwrap
from pathlib import Path

import convlib
from convlib.functional.described import public
from convlib.testing import cases

ROOT = Path(__file__).parents[1]

project, author, release = "convlib", "the authors of convlib", convlib.__version__
root_doc = "docs/index"
html_math_renderer = "mathml"
include_patterns = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "benchmarks/log.md", "convlib/_ext/README.md",
]  # fmt: skip
extensions = [
    "myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_gallery.gen_gallery",
]  # fmt: skip
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_theme = "pydata_sphinx_theme"
html_title = "convlib"
html_extra_path = ["learn/playground.html"]
html_static_path, html_css_files = ["_static"], ["site.css"]
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "footer_start": [], "footer_end": []}
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("README", "docs/index", "docs/benchmarks")}  # no other page stands beside them
smartquotes_action = "qe"  # quotes and ellipses; two hyphens begin an option

#: Where examples leave their pictures while the site is made, and how each is called; one that is not here is not run.
DRAWN = Path(tempfile.mkdtemp())
CALLS = {
    "learn_edge_kernel": [], "edges": ["--out", f"{DRAWN}/edges.png"], "onnx_model": [],
    "lenet_digits": ["--epochs", "6", "--picture", f"{DRAWN}/lenet_digits.png"],
    "large_image": ["--size", "2000", "--memory", "600", "--folder", f"{DRAWN}/stores", "--out", f"{DRAWN}/large.png"],
}  # fmt: skip


#: What their pictures show, for who cannot see them.
SHOWN = {
    "edges": "A photo; beside each kernel its result: blur, sharpening, vertical and horizontal edges; below, poolings",
    "lenet_digits": "A digit, how sure LeNet is of each answer, its kernels and feature maps; digits it has read",
    "large_image": "An image of grey discs, and the outlines of all of them, bright on black",
}


def drawn(block, variables, gallery):
    """Move the pictures that an example has drawn into its page."""
    from sphinx_gallery.scrapers import figure_rst

    names = []
    for path, name in zip(sorted(DRAWN.glob("*.png")), variables["image_path_iterator"], strict=False):
        shutil.move(path, name)
        names.append(name)
    text = figure_rst(names, gallery["src_dir"], SHOWN.get(Path(variables["src_file"]).stem, ""))
    return "\n.. container:: drawn\n" + textwrap.indent(text, "   ") if names else ""


#: Around the cells of a notebook: it has no command line, and shows what was drawn.
FIRST = "# Put sheet.py, which draws pictures, beside this notebook.\nimport sys\n\nsys.argv = ['notebook']"
LAST = """# What was drawn.
from pathlib import Path

from IPython.display import Image, display

for picture in Path().glob('*.png'):
    display(Image(str(picture)))"""
sphinx_gallery_conf = {
    "examples_dirs": "examples", "gallery_dirs": "docs/gallery", "ignore_pattern": "sheet|plugin",
    "filename_pattern": f"({'|'.join(CALLS)})", "image_scrapers": (drawn,), "download_all_examples": False,
    "reset_argv": lambda gallery, variables: CALLS[Path(variables["src_file"]).stem],
    "write_computation_times": False, "show_signature": False, "min_reported_time": 1e9,
    "abort_on_example_error": True, "default_thumb_file": str(ROOT / "docs/pictures/correlation.svg"),
    "first_notebook_cell": FIRST, "last_notebook_cell": LAST,
}  # fmt: skip
suppress_warnings = ["config.cache"]  # functions above
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


#: The modules of the reference, and the names of those that list none.
MODULES = {
    "layers": (), "textbook": (), "show": (), "networks": (), "costs": ("Cost", "Connections", "connections"),
    "problem": ("Problem", "parse"), "tuning": (), "dask": (), "onnx": (), "testing": (),
}  # fmt: skip


def headings():
    """Return every public name by its heading, in the order of the page."""
    order = ("Convolution", "Pooling", "Plans", "Shapes and cost", "Backends, settings, explanations", "Errors")
    found = {heading: [] for heading in order}
    for name in convlib.__all__:
        found[group(name)].append(f"convlib.{name}")
    for module, names in MODULES.items():
        names = names or importlib.import_module(f"convlib.{module}").__all__
        found[f"convlib.{module}"] = [f"convlib.{module}.{name}" for name in names]
    return {heading: sorted(names) for heading, names in found.items()}


def write_reference(app):
    """List every public name, and give each a page of its own."""
    folder = ROOT / "docs/reference"
    text = ["Reference", "=========", ""]
    text += ["Every public name. The pages of operators have the same sections in the same order.", ""]
    for heading, names in headings().items():
        text += [heading, "-" * len(heading), "", ".. autosummary::", "", *(f"   ~{name}" for name in names), ""]
        text += [".. toctree::", "   :hidden:", "", *(f"   {name}" for name in names), ""]
        for name in names:
            module, _, last = name.rpartition(".")
            thing = getattr(importlib.import_module(module), last)
            kind, members = ("autoclass", "   :members:\n") if isinstance(thing, type) else ("autofunction", "")
            kind = kind if callable(thing) else "autodata"
            write(folder / f"{name}.rst", f"{last}\n{'=' * len(last)}\n\n.. {kind}:: {name}\n{members}")
    write(folder / "index.rst", "\n".join(text))


@functools.cache
def served():
    """Return the backends that serve some case of the conformance suite, by function, whatever its rank."""
    found = {}
    for case in (case for case in cases() if case.dtypes[0].startswith("float")):
        said = convlib.explain(case.call, *case.arrays, *case.args, dtype=case.dtypes[0], **case.options)
        able = [said.backend, *(verdict.backend for verdict in said.others if verdict.serves)]
        found.setdefault(stem(case.call), set()).update(able)
    order = ("native", "im2col", "fft", "cython", "naive")
    return {call: [name for name in order if name in able] for call, able in found.items()}


def stem(name):
    """Return the name of a function without its rank."""
    return re.sub("[123]d", "", name)


def related(name):
    """Return the functions that belong to an operator: its gradients, its inverse, else its other ranks."""
    root = re.sub("_grad_(input|weight)", "", name)
    family = [other for other in public() if re.sub("_grad_(input|weight)", "", other) == root]
    family += {"filter2d": ["conv2d"], "im2col": ["col2im"], "col2im": ["im2col"]}.get(name, [])
    if stem(root) in ("max_pool", "max_unpool"):
        family += [kind + root[-2:] for kind in ("max_pool", "max_unpool")]
    ranks = {other for other in public() if stem(other) == stem(name)}
    return sorted({other for other in family if other != name} or ranks - {name})


def complete(name, lines):
    """Give an operator's docstring what it lacks, so that all have the same sections: See Also and Notes."""
    heads = [i for i, line in enumerate(lines[:-1]) if line and set(lines[i + 1]) == {"-"}]
    sections = {lines[i]: i for i in heads}
    also = ["See Also", "--------", ", ".join(related(name)), ""]
    where = "Rules: :doc:`sizes </docs/shapes>`, :doc:`types, NaN, errors </docs/conventions>`."
    # A global pooling is one whose window is the plane.
    able = served().get(stem(name)) or served().get(stem(name).removeprefix("global_"), ())
    who = f"Backends: {', '.join(f'``{one}``' for one in able)}. " if able else ""
    notes = [who + where, ""]
    if "Notes" not in sections:
        lines[sections["Examples"]:sections["Examples"]] = ["Notes", "-----", *notes]
    else:
        lines[sections["Examples"]:sections["Examples"]] = notes
    if "See Also" not in sections:
        at = sections.get("Notes", sections["Examples"])
        lines[at:at] = also
    else:
        at = sections["See Also"] + 2
        said = re.findall(r"\w+", " ".join(lines[at:min(i for i in heads if i >= at)]))
        missing = [other for other in related(name) if other not in said]
        lines[at:at] = [", ".join(missing)] if missing else []


def prepare(app, what, name, thing, options, lines):
    """Complete the docstrings of operators; keep a star of a shape, as in (C, *spatial), from beginning an emphasis."""
    if name.startswith("convlib.") and name.removeprefix("convlib.") in public():
        complete(name.removeprefix("convlib."), lines)
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = re.sub(r"(?<=[(, ])\*(?=\w+[,)])", r"\\*", line)


#: What the first page leads to, with the titles of the bar on top of the site.
PARTS = {
    "Learn": "learn/index", "По-русски": "ru/index", "Use": "use/index", "Examples": "gallery/index",
    "Benchmarks": "benchmarks", "Reference": "reference/index", "Extend": "howto/index", "README": "/README",
}  # fmt: skip


def close_examples(app, docname, source):
    """Take away the blank lines that end examples: `doctest` needs them, and a reader sees them as an empty line."""
    source[0] = re.sub(r"\n\n+```$", "\n```", source[0], flags=re.MULTILINE)


def add_contents(app, docname, source):
    """Make the links of a section's first page its table of contents, which Markdown elsewhere does not know."""
    if docname.startswith("docs/") and docname.endswith("/index"):
        pages = re.findall(r"^(?:- |\d+\. )\[[^\]]*\]\(([^)]+)\.md\)", source[0], re.MULTILINE)
        pages = [f"{title} <{page}>" for title, page in PARTS.items()] if docname == root_doc else pages
        source[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n" if pages else ""


def open_pages(app, doctree, docname):
    """Let links to the interactive page open it, as in the checkout, where Sphinx would offer it for download."""
    from docutils import nodes
    from sphinx import addnodes

    for link in list(doctree.findall(addnodes.download_reference)):
        if link["reftarget"].endswith("playground.html"):
            up = "../" * docname.count("/")
            link.replace_self(nodes.reference("", "", *link.children, refuri=f"{up}playground.html"))


def lead_to_the_first_page(app, error):
    """Let the folder of the site open on its first page, which lies deeper, as it does in the checkout."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(f'<meta http-equiv="refresh" content="0; url={root_doc}.html">\n')


def speak_russian(app, page, template, context, doctree):
    """Let the frame of the Russian pages be Russian, and say so to programs that read aloud."""
    import pydata_sphinx_theme
    import sphinx

    if page.startswith("docs/ru/"):
        words = gettext.translation("sphinx", Path(pydata_sphinx_theme.__file__).with_name("locale"), ["ru"])
        words.add_fallback(gettext.translation("sphinx", Path(sphinx.__file__).with_name("locale"), ["ru"]))
        context |= {"language": "ru", "_": words.gettext, "gettext": words.gettext}


def write_formula(translator, node):
    """Write a formula as MathML."""
    from docutils import nodes
    from docutils.utils.math.latex2mathml import tex2mathml

    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    # The word joiner keeps a full stop on the formula's line.
    translator.body.append(f'<div class="math">{formula}</div>' if block else formula + "\u2060")
    raise nodes.SkipNode


def setup(app):
    """Write the reference before pages are read, and hook in what changes pages and docstrings."""
    write_reference(app)
    # Formulas are MathML, which browsers draw themselves if they have a font for it: it comes along.
    fonts = Path(importlib.util.find_spec("ziamath").origin).with_name("fonts")
    app.config.html_static_path.append(str(fonts / "STIXTwoMath-Regular.ttf"))
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("source-read", close_examples)
    app.connect("source-read", add_contents)
    app.connect("doctree-resolved", open_pages)
    app.connect("html-page-context", speak_russian)
    app.connect("build-finished", lead_to_the_first_page)
    app.connect("autodoc-process-docstring", prepare, priority=400)
