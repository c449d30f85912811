"""Figures in pages are those of the committed results."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = DOCS / "make_figures.py"

RESULTS = Path(__file__).parents[1] / "benchmarks/results"
pytestmark = pytest.mark.skipif(not RESULTS.exists(), reason="the results are in the checkout, which is not here")


@pytest.fixture(scope="module")
def figures():
    """Return the script that writes them, as a module."""
    spec = importlib.util.spec_from_file_location("make_figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_show_what_was_measured(figures):
    for path in figures.PAGES:
        assert figures.up_to_date(path.read_text()) == path.read_text(), "make it again: python docs/make_figures.py"
    for name, draw in figures.CHARTS.items():
        assert (figures.FIGURES / name).read_text() == draw(), "make it again: python docs/make_figures.py"


def test_every_table_stands_in_a_page_and_every_result_in_a_table(figures):
    shown = [found[2] for path in figures.PAGES for found in figures.MARKED.finditer(path.read_text())]
    assert set(shown) == set(figures.TABLES)
    assert {path.stem for path in figures.RESULTS.glob("*.json")} == {*figures.SUITES, "accuracy"}
    assert {path.name for path in figures.FIGURES.iterdir()} == set(figures.CHARTS)


def test_a_problem_where_a_peer_is_faster_is_told(figures):
    """The first row of the table of lost problems is the worst of the table of ratios, if that is one."""
    ends = [re.search(r"\| ([\d.]+), ([^|]*) \|$", line) for line in figures.speed().splitlines()[2:]]
    worst, name = min((float(end[1]), end[2]) for end in ends)
    rows = [line for line in figures.lost().splitlines() if line.startswith("| ")][1:]
    assert rows or worst >= 1
    if worst < 1:
        assert rows[0].startswith(f"| {name} |")
        assert f"| {1 / worst:.1f}" in rows[0] or "cannot be told apart" in rows[0]


def test_a_chart_places_its_values(figures):
    text = figures.chart("t", {"a": {"x": 1.0}, "b": {"x": 100.0}}, {"x": "#123456"}, 10.0)
    left, right = (float(at) for at in re.findall(r'<circle cx="([\d.]+)" cy="\d+" r="5.5"', text))
    middle = float(re.search(r'<path d="M([\d.]+) \d+V\d+" stroke="#1c1c1c"', text)[1])
    assert left < middle < right
    assert abs((left + right) / 2 - middle) < 0.2  # the axis is logarithmic
