"""What counts mutants: a survivor and a kill are remembered, until the code or the tests change."""

import importlib
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / ".ci" / "mutate.py"
if not TOOL.exists():
    pytest.skip("needs a checkout, with .ci", allow_module_level=True)
pytest.importorskip("resource", reason="limits of a process are for POSIX")

CODE = "def larger(a, b):\n    return a if a > b else b\n"


class Bench:
    """A small tree, whose mutants a function judges."""

    def __init__(self, root, monkeypatch):
        self.root, self.tried = root, []
        monkeypatch.syspath_prepend(str(TOOL.parent))
        self.mutants, self.tool = importlib.import_module("mutants"), importlib.import_module("mutate")
        monkeypatch.setattr(self.mutants, "ROOT", root)
        monkeypatch.setattr(self.tool, "ROOT", root)
        monkeypatch.setattr(self.tool, "KEPT", root / "build")
        monkeypatch.setattr(self.tool, "noticed", lambda judge, mutant, seconds: judge(mutant))
        files = {"convlib/a.py": CODE, "tests/test_a.py": "", ".ci/equivalent_mutants.txt": "# none\n"}
        for name, text in files.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)

    def run(self, judge, seconds=float("inf"), seed=0):
        """Return the share of mutants that are killed, and which were tried; the code as it is is none of them."""
        self.tried = []

        def noting(mutant):
            namespace = {}
            exec(compile(mutant.tree(), "a.py", "exec"), namespace)
            if mutant.what != "nothing":
                self.tried.append(mutant.what)
            return judge(namespace["larger"])

        results = self.tool.Results("spec", seconds, seed)
        results.try_all(self.mutants.mutants(self.root / "convlib/a.py"), noting)
        return results.report(), sorted(self.tried)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


ALL = ["Gt -> GtE", "condition -> not", "return -> None"]


def with_a_larger_first(larger):
    return "" if larger(2, 1) == 2 else "with_a_larger_first"


def test_what_is_known_is_not_tried_again(bench, capsys):
    assert bench.run(with_a_larger_first) == (2 / 3, ALL)
    assert "a.py:2: return a if a > b else b | Gt -> GtE survives" in capsys.readouterr().out
    assert bench.run(with_a_larger_first) == (2 / 3, [])
    assert "survives" in capsys.readouterr().out
    (bench.root / "tests/test_a.py").write_text("# another test")
    assert bench.run(with_a_larger_first) == (2 / 3, ["Gt -> GtE"])
    (bench.root / "convlib/a.py").write_text(CODE + "# another line\n")
    assert bench.run(with_a_larger_first) == (2 / 3, ALL)


def test_what_none_can_notice_does_not_count(bench, capsys):
    title = "convlib/a.py | return a if a > b else b | Gt -> GtE"
    (bench.root / ".ci/equivalent_mutants.txt").write_text(f"    Of equals either is the larger.\n{title}\n")
    assert bench.run(with_a_larger_first) == (1, ALL)
    assert "1 equivalent" in capsys.readouterr().out


def test_without_time_none_is_tried(bench, capsys):
    assert bench.run(with_a_larger_first, seconds=-1) == (0, [])
    assert "3 left" in capsys.readouterr().out


def test_a_seed_draws_another_order(bench):
    orders = set()
    for seed in range(9):
        bench.run(lambda larger: "", seed=seed)
        orders.add(tuple(bench.tried))
        (bench.root / "build/spec.txt").unlink()
    assert len(orders) > 1


def test_nothing_is_tried_where_the_code_as_it_is_fails(bench):
    with pytest.raises(SystemExit, match="all fails on the code as it is"):
        bench.run(lambda larger: "all")
