"""The interactive page computes what the library does: asked in a browser, over random cases."""

import importlib.util
import itertools
import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import SpecError
from convlib.show import geometry
from convlib.spec import make_conv, make_transpose

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "learn/playground.html"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CASES = 2000

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the page is in the checkout, which is not here")
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def ask(tmp_path, script):
    """Run a script in the page, and return what it leaves in `answer`."""
    leave = "document.title = 'asked'; document.body.textContent = JSON.stringify(answer);"
    end = f"<script>{script};{leave}</script></body>"
    path = tmp_path / "asked.html"
    path.write_text(PAGE.read_text(encoding="utf-8").replace("</body>", end), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=60000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "<title>asked</title>" in done.stdout, done.stdout[:2000] + done.stderr[-2000:]
    return json.loads(re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)[1])


def case(rng):
    """Return the options of one call as the page has them, and those of the library."""
    transposed, groups = rng.random() < 0.4, rng.choice([1, 1, 1, 2, 3])
    axes = [
        {
            "size": rng.randint(1, 7), "kernel": rng.randint(1, 4), "stride": rng.randint(1, 3),
            "dilation": rng.randint(1, 3), "lo": rng.randint(0, 3), "hi": rng.randint(0, 3),
            "extra": rng.choice([0, 0, 1, 2]) if transposed else 0,
        }
        for _ in range(2)
    ]  # fmt: skip
    channels, outputs = (rng.randint(1, 2) * (groups if rng.random() < 0.9 else 1) for _ in range(2))
    mode = "constant" if transposed else rng.choice(["constant", "wrap", "reflect", "edge", "symmetric"])
    first, second = (channels, outputs) if transposed else (outputs, channels)
    numbers = np.random.default_rng(rng.randint(0, 10**6))
    x = numbers.integers(-4, 5, (channels, *(axis["size"] for axis in axes)))
    w = numbers.integers(-4, 5, (first, max(1, second // groups), *(axis["kernel"] for axis in axes)))
    page = {
        "axes": axes, "channels": channels, "outputs": outputs, "groups": groups, "mode": mode,
        "flip": rng.random() < 0.3, "transposed": transposed,
    }  # fmt: skip
    options = {
        "stride": tuple(axis["stride"] for axis in axes), "dilation": tuple(axis["dilation"] for axis in axes),
        "padding": tuple((axis["lo"], axis["hi"]) for axis in axes), "groups": groups, "flip": page["flip"],
    }  # fmt: skip
    options |= {"output_padding": tuple(a["extra"] for a in axes)} if transposed else {"padding_mode": mode}
    return {**page, "x": x.tolist(), "w": w.tolist()}, x, w, options


def expected(page, x, w, options):
    """Return what the library says of a case: None if it refuses."""
    transposed = page["transposed"]
    if page["channels"] % page["groups"] or page["outputs"] % page["groups"]:
        return None
    try:
        spec = (make_transpose if transposed else make_conv)(2, x.shape, w.shape, **options)
    except SpecError:
        return None
    y = (convlib.conv_transpose2d if transposed else convlib.conv2d)(x, w, **options)
    windows = [
        [[*tap.weight, *tap.place, *(tap.element or (None,))] for tap in geometry.taps(spec, step)]
        for step in geometry.steps(spec)
    ]
    return {"out": list(y.shape[1:]), "y": y.tolist(), "windows": windows}


def test_the_page_is_made_from_its_template_and_the_spec():
    spec = importlib.util.spec_from_file_location("make_playground", DOCS / "make_playground.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = PAGE.read_text(encoding="utf-8")
    assert text == module.page(), "make it again: python docs/make_playground.py"
    assert not re.search(r"(src|href)=|https?://|@import|fetch\(", text), "it must not need anything else"


@pytest.mark.slow
@in_a_browser
def test_sizes_windows_and_sums_are_those_of_the_library(tmp_path):
    rng = random.Random(0)
    cases = [case(rng) for _ in range(CASES)]
    answers = ask(
        tmp_path,
        "const cases = " + json.dumps([page for page, *_ in cases]) + """;
        const answer = cases.map((o) => {
          const g = geometry(o);
          if (g.error) { return null; }
          const windows = [];
          for (let i = 0; i < g.sides[0].narrow; i++) {
            for (let j = 0; j < g.sides[1].narrow; j++) {
              windows.push(taps(g, [i, j]).map((t) => [...t.weight, ...t.place, ...(t.element || [null])]));
            }
          }
          return {out: g.out, y: compute(g, o.x, o.w), windows};
        })""",
    )
    right = [expected(*one) for one in cases]
    assert len(answers) == CASES
    served = sum(one is not None for one in right)
    assert CASES - served > 100
    assert served >= 1000
    for (page, *_), found, truth in zip(cases, answers, right, strict=True):
        assert found == truth, page


SETTINGS = list(itertools.product(
    [{"height": 4, "width": 5}, {"height": 2, "width": 3}],
    [{}, {"stride": 2, "padding": 2}, {"dilation": 2, "kernel_height": 2, "kernel_width": 1},
     {"both": False, "stride_across": 2, "padding_across": 0, "dilation_across": 2, "kernel_width": 2}],
    [{}, {"channels_in": 2, "channels_out": 4, "groups": 2}, {"channels_in": 3, "channels_out": 2}],
    [{}, {"mode": "wrap"}, {"transposed": True, "output_padding": 1, "stride": 2}, {"flip": True}],
))  # fmt: skip


@pytest.mark.slow
@in_a_browser
def test_the_page_shows_true_formulas_and_calls(tmp_path):
    settings = [{"padding": 1} | a | b | c | d for a, b, c, d in SETTINGS]
    shown = ask(
        tmp_path,
        "const settings = " + json.dumps(settings) + """;
        const answer = settings.map((setting) => {
          form.reset();
          for (const [name, to] of Object.entries(setting)) {
            if (typeof to === "boolean") { field(name).checked = to; } else { field(name).value = to; }
          }
          field("height").dispatchEvent(new Event("input", {bubbles: true}));
          if (!state) { return {refused: field("formula").textContent}; }
          field("step").value = field("step").max;
          field("step").dispatchEvent(new Event("input"));
          const formula = field("formula").textContent;
          const cells = field("picture").querySelectorAll("[data-kind=output] rect");
          const marked = field("picture").querySelectorAll("[data-kind=output] .now").length;
          const weight = field("picture").querySelector("[data-kind=kernel]");
          weight.dispatchEvent(new Event("pointerover", {bubbles: true}));
          return {
            formula, cells: cells.length, marked, call: field("call").textContent,
            weight: field("formula").textContent,
            lit: field("picture").querySelectorAll("[data-kind=kernel] .now").length,
          };
        })""",
    )
    served = 0
    for setting, page in zip(settings, shown, strict=True):
        lines = page.get("call", "").splitlines()
        if not lines:
            assert page["refused"], setting
            continue
        served += 1
        names = {}
        exec("\n".join(lines), names)  # as copied into an empty file
        assert str(names["y"].shape) == lines[-1].partition("# ")[2], setting
        sums = page["formula"].split("\n  = ")
        assert eval(sums[1].replace("·", "*")) == int(sums[2]), page["formula"]
        assert page["marked"] == page["lit"] == 1
        assert page["cells"] >= names["y"].size
        assert page["weight"].startswith("w[")
        assert "takes w·" in page["weight"]
    assert served > 80


def test_the_words_are_the_same_in_both_languages():
    words = json.loads((DOCS / "playground.words.json").read_text(encoding="utf-8"))
    assert words.keys() == {"en", "ru"}
    assert words["en"].keys() == words["ru"].keys()
    numbers = [{word: sorted(re.findall(r"{\d}", text)) for word, text in said.items()} for said in words.values()]
    assert numbers[0] == numbers[1]
    template = (DOCS / "playground.template.html").read_text(encoding="utf-8")
    assert all(word in template for word in words["en"])


@pytest.mark.slow
@in_a_browser
def test_the_language_changes_and_axes_differ(tmp_path):
    seen = ask(
        tmp_path,
        """const set = (name, to, kind = "input") => {
          if (typeof to === "boolean") { field(name).checked = to; } else { field(name).value = to; }
          field(name).dispatchEvent(new Event(kind, {bubbles: true}));
        };
        const shown = () => [...form.querySelectorAll("label")].filter((l) => !l.hidden).length;
        const text = () => document.querySelector("main").textContent;
        const answer = {en: text(), together: shown()};
        set("stride", 2);
        set("both", false);
        answer.apart = shown();
        answer.alike = field("stride_across").value;
        set("padding_across", 3);
        answer.call = field("call").textContent;
        set("language", "ru");
        answer.ru = text();
        answer.lang = document.documentElement.lang;
        set("groups", 4);
        answer.refused = field("formula").textContent;""",
    )
    assert seen["apart"] == seen["together"] + 4
    assert seen["alike"] == "2"
    assert "stride=2, padding=(1, 3)" in seen["call"]
    assert not re.search("[а-я]", seen["en"].replace("русский", ""))
    latin = re.sub(r"import .*|convlib\.\w+\(.*|\w+ = np.*|y = .*|output_padding|groups|English", "", seen["ru"])
    assert seen["lang"] == "ru"
    assert re.search("[а-я]{5}", seen["ru"])
    assert not re.findall("[A-Za-z]{4,}", latin), latin
    assert re.search("[а-я]{5}", seen["refused"])
