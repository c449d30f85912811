"""The reference names everything that is public, and the pages of operators have the same sections."""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import convlib
from convlib.functional.described import public

CONF = Path(__file__).parents[1] / "docs/conf.py"
pytestmark = pytest.mark.skipif(not CONF.exists(), reason="the pages are in the checkout, which is not here")


@pytest.fixture(scope="module")
def conf():
    """Return the settings of the site, as a module."""
    pytest.importorskip("onnx", reason="convlib.onnx is in the reference, and onnx is not installed")
    spec = importlib.util.spec_from_file_location("conf", CONF)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_one_page(conf):
    listed = [name for names in conf.headings().values() for name in names]
    assert len(listed) == len(set(listed))
    assert {f"convlib.{name}" for name in convlib.__all__} <= set(listed)
    modules = {*convlib._MODULES, "tuning"}
    assert set(conf.MODULES) == modules
    for name in modules:
        module = importlib.import_module(f"convlib.{name}")
        public_here = getattr(module, "__all__", None) or [
            other for other, value in vars(module).items()
            if not other.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
        ]  # fmt: skip
        pages = {page.rpartition(".")[2] for page in listed if page.rpartition(".")[0] == module.__name__}
        # What convlib itself lists, such as cost, has its page there; cost_of is for the modules of convlib.
        assert set(public_here) - (set(convlib.__all__) - set(getattr(module, "__all__", ()))) - {"cost_of"} <= pages
        assert all(hasattr(module, page) for page in pages)


def test_pages_of_operators_have_the_same_sections(conf):
    seen = set()
    for name in public():
        lines = [*inspect.getdoc(getattr(convlib, name)).splitlines(), ""]
        conf.complete(name, lines)
        sections = tuple(re.findall(r"^([A-Z][\w ]+)\n-{3,}$", "\n".join(lines), re.MULTILINE))
        seen.add(sections)
    assert seen == {("Parameters", "Returns", "Raises", "See Also", "Notes", "Examples")}


def test_related_functions_and_backends_are_told(conf):
    assert conf.related("conv2d") == ["conv2d_grad_input", "conv2d_grad_weight"]
    assert "max_unpool2d" in conf.related("max_pool2d")
    assert all(conf.related(name) for name in public())
    assert conf.served()["conv"] == ["native", "im2col", "fft", "cython", "naive"]
    assert conf.served()["im2col"] == ["im2col", "cython", "naive"]
