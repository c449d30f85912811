"""The notebooks that the site makes of the examples run as in Jupyter."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs/gallery"

pytestmark = pytest.mark.skipif(not GALLERY.exists(), reason="notebooks are made with the site: nox -s docs")


@pytest.mark.parametrize(("name", "pictures"), [("learn_edge_kernel", 0), ("edges", 1), ("onnx_model", 0)])
def test_notebooks_run(name, pictures, tmp_path, monkeypatch, capsys):
    needed = {"edges": "PIL", "onnx_model": "onnx"}
    if name in needed:
        pytest.importorskip(needed[name], reason=f"the example needs {needed[name]}")
    shown = []
    display = ModuleType("IPython.display")  # Jupyter brings it
    display.Image, display.display = str, shown.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(sys, "argv", ["ipykernel", "-f", "kernel.json"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copy(ROOT / "examples/sheet.py", tmp_path)
    names = {"__name__": "__main__"}
    cells = json.loads((GALLERY / f"{name}.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 4
    for text in code:
        exec(compile(text, name, "exec"), names)
    assert len(shown) == pictures
    assert len(capsys.readouterr().out) > 30


@pytest.mark.parametrize("name", ["edges", "large_image", "lenet_digits"])
def test_pages_of_examples_say_what_is_drawn_and_name_no_folder(name):
    text = (GALLERY / f"{name}.rst").read_text()
    assert len(re.search(r"image-sg::[^\n]*\n +:alt: (.*)", text)[1]) > 40
    said = text.partition(".. rst-class:: sphx-glr-script-out")[2]
    assert "wrote" in said
    assert str(Path.home()) not in said
    assert not re.search(r"(^|[\s'\"])/\w+/", said), said
