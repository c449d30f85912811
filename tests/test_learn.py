"""The course: the same code in both languages, and pictures that show what the library computes."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LEARN, RUSSIAN, PICTURES = DOCS / "learn", DOCS / "ru", DOCS / "pictures"

pytestmark = pytest.mark.skipif(not LEARN.exists(), reason="the course is in the checkout, which is not here")

PAGES = sorted(LEARN.glob("*.md"))
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def drawing():
    """Return the script that draws the pictures, as a module."""
    spec = importlib.util.spec_from_file_location("draw_pictures", DOCS / "draw_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = sorted(drawing().PICTURES) if LEARN.exists() else []


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def test_there_is_a_twin_of_each_page():
    assert len(PAGES) == 13
    assert [path.name for path in PAGES] == [path.name for path in sorted(RUSSIAN.glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_twins_run_the_same_code_and_show_the_same_pictures(path):
    twin = RUSSIAN / path.name
    assert blocks(path, "python") == blocks(twin, "python")
    assert blocks(path, "text") == blocks(twin, "text")
    ours, theirs = ([image for _, image in IMAGE.findall(page.read_text())] for page in (path, twin))
    assert [image.replace("pictures/", "pictures/ru/") for image in ours] == theirs
    assert re.search("[а-я]{5}", twin.read_text())


@pytest.mark.parametrize("path", [path for path in PAGES if path.stem != "index"], ids=lambda path: path.stem)
def test_each_page_has_its_parts(path):
    text = path.read_text()
    assert text.count("$$") >= 2, "no formula"
    assert IMAGE.search(text), "no picture"
    assert text.count(">>>") >= 5, "no lines that run"
    exercise = text.partition("## Exercise")[2]
    assert "<details>" in exercise, "no exercise with an answer"
    assert ">>>" in exercise.partition("<details>")[2], "an answer that nothing checks"


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_images_are_there_and_say_what_they_show(path):
    found = IMAGE.findall(path.read_text())
    assert all(len(words) >= 20 and (path.parent / target).exists() for words, target in found), found


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_have_a_size(path):
    """Without one a browser squeezes them into a narrow screen, whatever is in them."""
    assert ' width="' in re.search("<svg[^>]*>", path.read_text())[0]


def test_every_picture_is_shown_and_drawn():
    targets = {
        (path.parent / target).resolve() for path in DOCS.rglob("*.md") for _, target in IMAGE.findall(path.read_text())
    }
    shown = {path.relative_to(PICTURES).as_posix() for path in targets if path.is_relative_to(PICTURES)}
    files = {path.relative_to(PICTURES).as_posix() for path in PICTURES.rglob("*.*")} - {"scenes.json"}
    assert files == set(NAMES) == set(json.loads((PICTURES / "scenes.json").read_text()))
    assert files <= shown


@pytest.mark.parametrize("name", NAMES)
def test_pictures_show_what_the_library_computes(name):
    if name.endswith("where_is_it.png"):
        pytest.importorskip("matplotlib", reason="the photo comes with Matplotlib")
    digests = json.loads((PICTURES / "scenes.json").read_text())
    assert drawing().digest(name) == digests[name], f"draw it again: python docs/draw_pictures.py {name}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".svg")])
def test_letters_of_pictures(name, tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    scene, step = drawing().PICTURES[name]()
    (tmp_path / "ru").mkdir()
    scene.save(tmp_path / name, step)
    letters = [re.findall(r"<text[^>]*>([^<]*)", (folder / name).read_text()) for folder in (tmp_path, PICTURES)]
    assert letters[0] == letters[1] != []


#: Names of functions and arguments are the same in every language; the sign "add" is drawn as an arrow.
STAY = {
    "conv2d", "conv_transpose2d", "max_pool2d", "im2col", "toeplitz", "output_padding", "flip", "True", "max", "add",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ru/")])
def test_russian_pictures_say_the_same_in_russian(name):
    if name.endswith("where_is_it.png"):
        pytest.importorskip("matplotlib", reason="the photo comes with Matplotlib")
    pictures = drawing().PICTURES
    (scene, step), (english, same) = pictures[name](), pictures[name.removeprefix("ru/")]()
    assert (step, len(scene)) == (same, len(english))
    for frame, original in zip(scene, english, strict=True):
        panels = [panel for column in frame.columns for panel in column]
        said = " ".join([scene.title, frame.caption, *frame.signs, *(panel.title for panel in panels)])
        assert set(re.findall(r"[A-Za-z]\w{2,}", said)) <= STAY, said
        assert re.search("[а-я]{2}", said)
        cells = [(panel.text, panel.role, panel.hue, panel.shade) for panel in panels]
        assert cells == [(p.text, p.role, p.hue, p.shade) for column in original.columns for p in column]
