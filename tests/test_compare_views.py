"""What a report looks like: on a terminal, as a picture, as a page in a browser."""

import html.parser
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from made_up import comparison, mixed, report, row

from convlib.commands import compare, main
from convlib.comparison.result import from_json


def sweep():
    """Return a report of a sweep over windows with two numbers of threads, where b overtakes a."""
    return report(
        *(
            comparison(row("a", 1e-5 * k * k / threads, 0.1), row("b", 2e-4 / threads, 0.02), row("<i>", 1e-3),
                       name=f"kh=kw={k}", problem=f"n1 ic8 ih32 oc8 kh{k}", threads=threads, value=k)
            for threads in (1, 2) for k in (1, 3, 5, 7, 9)
        ),
        sweep="kh=kw",
    )  # fmt: skip


# ------------------------------------------------------------------------------- terminal


def shown(made, width, **options):
    """Return what a terminal of this width shows of a report that grows."""
    console = pytest.importorskip("rich.console", reason="the package rich is not installed").Console
    from convlib.comparison.terminal import Terminal

    text = io.StringIO()
    view = Terminal(console(file=text, width=width, force_terminal=True, highlight=False, **options))
    view.begin(replace(made, comparisons=()), len(made.comparisons))
    for number, one in enumerate(made.comparisons, 1):
        view.step(replace(one, rows=one.rows[:1]), "round 2, torch")
        view.done(replace(made, comparisons=made.comparisons[:number]), one)
    view.finish(made)
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_bars_within_its_width(width):
    lines = re.split(r"[\r\n]", shown(mixed(), width, color_system=None))
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in lines]
    assert max(map(len, plain)) <= width
    fastest, slower = (next(line.count("█") for line in plain if name in line) for name in ("▸ native", "  im2col "))
    assert slower == pytest.approx(fastest / 2, abs=1)
    assert any("round 2, torch" in line for line in plain)
    assert any(line.startswith("Verdict: ") for line in plain)


def test_the_fastest_is_green_and_a_wrong_one_red():
    text = shown(mixed(), 100, color_system="standard")
    assert "\x1b[1;32m▸ native" in text
    assert re.search(r"\x1b\[31m- naive: WRONG", text)


def test_without_rich_the_text_is_plain(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("convlib.comparison.terminal.importlib.util.find_spec", lambda name: None)
    assert main(["compare", "n1 ic2 ih6 oc3 kh3", "--backends", "cython", "--time", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("* cython") for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_dumb_terminal_gets_plain_text(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(compare._view(None), compare._Lines)


# ------------------------------------------------------------------------------- picture


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="Matplotlib is not installed")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_pictures_are_written(matplotlib, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    mixed().plot(str(path))
    start = path.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if ending == "png" else b"<?xml" in start


def texts(tmp_path, made):
    """Return what is written in the picture of a report."""
    import matplotlib as mpl

    path = tmp_path / "a.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):
        made.plot(str(path))
    return " ".join("".join(element.itertext()) for element in ElementTree.parse(path).iter() if "text" in element.tag)


def test_a_picture_says_what_was_measured_where_and_how(matplotlib, tmp_path):
    said = texts(tmp_path, mixed())
    for part in (
        "3x3", "max", "native", "im2col", "torch", "1.50 ms", "3.00 ms", "Example 3000", "float32", "roofline",
        "200 GFLOP/s", "error against time", "naive, torch failed", "not shown where only a",
    ):  # fmt: skip
        assert part in said, part
    assert "16.4 s" not in said  # extrapolated times are no dots


def test_a_sweep_is_drawn_as_curves(matplotlib, tmp_path):
    said = texts(tmp_path, sweep())
    for part in ("kh=kw (lines", "a, float32, 1 thread", "b, float32, 2 threads", "810 us", "100 us"):
        assert part in said, part


def test_noise_stands_under_the_picture(matplotlib, tmp_path):
    assert "the load was 9.0 before the start" in texts(tmp_path, replace(mixed(), load=9.0))


def test_pictures_that_cannot_be_drawn_are_refused_before_the_race(matplotlib, monkeypatch, capsys):
    monkeypatch.setattr("convlib.comparison.race.Race.run", lambda *_: pytest.fail("it was raced"))
    assert main(["compare", "n1 ic2 ih6 oc3 kh3", "--plot", "a.xyz"]) == 2
    assert "the ending must be one of" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.backend_bases", None)
    assert main(["compare", "n1 ic2 ih6 oc3 kh3", "--plot", "a.png"]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err


def test_a_report_without_a_time_can_be_drawn(matplotlib, tmp_path):
    made = report(*(replace(c, rows=c.rows[2:3]) for c in mixed().comparisons))
    assert "nobody computed a whole problem" in texts(tmp_path, made)


# ------------------------------------------------------------------------------- page


class Page(html.parser.HTMLParser):
    """Collects a page's tags, and complains of what is not closed."""

    VOID = ("meta", "br", "line", "circle", "polyline")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("made", [mixed(), sweep(), report(complete=False)], ids=["mixed", "sweep", "empty"])
def test_a_page_is_whole_and_needs_no_other_file(made):
    text = made.to_html()
    page = Page(text)
    assert not page.open
    assert not [tag for tag, attrs in page.tags if "src" in attrs or tag == "link" or attrs.get("href", "#") != "#"]
    assert "url(" not in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert from_json(data) == made
    assert "<i>" not in text.replace(data, "").replace('<i class="', "")  # names are text, not tags


def test_a_page_shows_each_row():
    text = mixed().to_html()
    assert text.count("<tr") - text.count("<thead><tr") == 8 + 3  # and three standings
    assert text.count('<tr class="fastest">') == 2
    assert "≈ 16.4 s, extrapolated from" in text
    assert "wrong: error 0.3" in text
    assert "naive, torch failed" in text
    assert "polyline" in sweep().to_html()


#: Clicks as a reader would, and leaves what the page then shows in its title.
CLICKS = """
<script>
addEventListener("load", () => {
  const table = document.querySelector("table.times");
  const column = name => [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === name);
  const order = name => {
    table.tHead.rows[0].cells[column(name)].querySelector("button").click();
    return [...table.tBodies[0].rows].map(row => row.cells[1].textContent);
  };
  const back = () => getComputedStyle(document.body).backgroundColor;
  const result = {up: order("time"), down: order("time"), by_name: order("contender"), before: back()};
  document.getElementById("theme").click();
  result.after = back();
  result.wide = document.documentElement.scrollWidth <= innerWidth;
  result.saved = document.getElementById("json").href.startsWith("blob:");
  document.title = JSON.stringify(result);
});
addEventListener("error", event => { document.title = JSON.stringify({failed: event.message}); });
</script>
"""


def browser():
    """Return the command of a Chromium, or skip."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed; Debian's package is chromium")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_sorts_and_colours_the_page(tmp_path, dark):
    path = tmp_path / "a.html"
    path.write_text(mixed().to_html().replace("</body>", CLICKS + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,800", "--virtual-time-budget=5000",
               f"--user-data-dir={tmp_path / 'profile'}", *(["--force-dark-mode"] if dark else [])]  # fmt: skip
    done = subprocess.run(
        [browser(), *options, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=300, check=True
    )
    seen = json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))
    assert "failed" not in seen
    times = ["native", "native", "torch", "im2col"]  # 20 us and 1.5, 2, 3 ms; what has no time stays behind
    assert seen["up"][:4] == times
    assert seen["down"][:4] == times[::-1]
    assert sorted(seen["up"][4:]) == sorted(seen["down"][4:]) == ["im2col", "naive", "naive", "torch"]
    assert seen["by_name"] == sorted(seen["by_name"])
    assert {seen["before"], seen["after"]} == {"rgb(255, 255, 255)", "rgb(20, 23, 26)"}
    assert (seen["before"] == "rgb(20, 23, 26)") is dark
    assert seen["wide"]
    assert seen["saved"]
