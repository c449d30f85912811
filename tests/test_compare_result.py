"""Reports: kept as JSON and CSV, told as text, summed up in words, and compared with each other."""

import csv
import io
import json
import os
from dataclasses import replace

import made_up
import pytest
from made_up import comparison, mixed, report, row

from convlib import SpecError
from convlib.comparison import diff, result, text
from convlib.comparison.result import Row, from_json
from convlib.comparison.summary import against_peers, crossovers, scaling, standings, verdict, warnings


def test_a_report_survives_json():
    made = mixed()
    assert from_json(made.to_json()) == made
    data = json.loads(made.to_json())
    assert data["schema"] == result.SCHEMA
    assert data["comparisons"][0]["rows"][0]["rounds"] == list(made.comparisons[0].rows[0].rounds)
    assert data["machine"]["versions"]["torch"] == "2.0"
    assert (data["arguments"]["threads"], data["arguments"]["dtypes"]) == ([2], ["float32"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: "no json", "is no report of convlib compare"),
        (lambda data: "[]", "is no report of convlib compare"),
        (lambda data: json.dumps(data | {"schema": 99}), "has the schema 99; this version of convlib reads 1"),
        (lambda data: json.dumps({**data, "peaks": 3}), "is damaged"),
        (lambda data: json.dumps({**data, "more": 3}), "Report has no more"),
        (lambda data: json.dumps({k: v for k, v in data.items() if k != "machine"}), "is damaged"),
    ],
)
def test_what_is_no_report_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        from_json(change(json.loads(mixed().to_json())), "a.json")


def test_csv_has_a_line_per_contender_and_problem():
    lines = list(csv.DictReader(io.StringIO(mixed().to_csv())))
    assert [(line["name"], line["contender"], line["status"]) for line in lines[:2]] == [
        ("3x3", "native", "ok"), ("3x3", "im2col", "ok")
    ]  # fmt: skip
    assert len(lines) == 8
    assert float(lines[0]["seconds"]) == 1.5e-3
    assert float(lines[1]["times_fastest"]) == pytest.approx(2)
    naive = lines[2]
    assert (naive["seconds"], float(naive["estimate"])) == ("", pytest.approx(16.384))
    assert lines[6]["note"] == "error 0.3 exceeds the bound 1e-5"


def test_medians_quartiles_and_spread():
    made = Row("a", "ok", rounds=(1.0, 2.0, 3.0, 4.0, 9.0))
    assert (made.seconds, made.quartiles, made.spread, made.fold) == (3.0, (2.0, 4.0), 2 / 3, 9.0)
    assert Row("a", "ok", rounds=(2.0,)).quartiles == (2.0, 2.0)


# ------------------------------------------------------------------------------- text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_text_fits_its_width(width):
    lines = text.whole(mixed(), width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("Verdict: ") or lines[-1].startswith("    ")
    shown = "\n".join(lines)
    assert ("scratch" in shown) is (width >= 100)
    assert "winograd" in shown


def test_the_text_is_this():
    made = report(*mixed().comparisons[:1])
    assert text.whole(made, 100) == """\
convlib 0.1.0, NumPy 2.4.0, Python 3.13.1, torch 2.0
Example 3000 (avx2, 2 processors), 2 threads, float32, 2026-01-02

3x3 ×2: n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1
  contender        time  × fastest    IQR   GFLOP/s  % peak    error    scratch  algorithm
* native        1.50 ms       1.00     2%      154e       -    1e-07    2.0 MiB  winograd
  torch         2.00 ms       1.33     1%       116      58    1e-07          -
  im2col        3.00 ms       2.00     1%      77.1      39    1e-07    1.0 MiB  packed
- naive: ≈ 16.4 s, extrapolated from 1/16384 of the work, n1 ic4 ih7 iw7 oc4 kh3 kw3 ph1

e: effective rate, of the operations of plain sums, where an algorithm does fewer or other ones
measured peak of 2 threads: 200 GFLOP/s of float32 multiply-adds, 20.0 GB/s of copies; the largest
    of 7 probes
Verdict: native is fastest; torch, the next, takes 1.33 × its time."""


def test_a_time_of_a_part_stands_in_no_column():
    """The part of the slow contender took less than anybody's whole."""
    made = mixed().comparisons[0]
    assert [r.contender for r in made.timed] == ["native", "torch", "im2col"]
    for line in text.whole(mixed()).splitlines():
        assert not (line.startswith(("* ", "  ")) and "naive" in line and "ms" in line)


def test_float64_has_half_the_peak():
    made = report(comparison(row("native", 4e-3), dtype="float64"))
    assert made.peak(made.comparisons[0]) == 100e9
    assert " 58 " in text.whole(made)


def test_why_rows_have_no_time():
    shown = text.whole(mixed())
    assert "- im2col: cannot: does not implement pool" in shown
    assert "- naive: WRONG: error 0.3 exceeds the bound 1e-5" in shown
    assert "- torch: CRASHED: its process ended with signal SIGSEGV" in shown
    assert "Verdict: naive, torch failed: see above." in shown


# ------------------------------------------------------------------------------- in words


def suite_of(*times):
    """Return comparisons of contenders a, b, ... with these times, by problem."""
    return [
        comparison(*(row(name, seconds, 0.01) for name, seconds in zip("abc", line, strict=False)), name=f"layer {at}")
        for at, line in enumerate(times)
    ]  # fmt: skip


def test_standings_count_wins_and_take_geometric_means():
    a, b = standings(suite_of((1, 2), (1, 8), (3, 1)))
    assert (a.contender, a.wins, a.ran, a.problems) == ("a", 2, 3, 3)
    assert a.mean == pytest.approx(3 ** (1 / 3))
    assert b.mean == pytest.approx(16 ** (1 / 3))
    assert (a.worst, b.worst) == (3, 8)


def test_the_verdict_of_many():
    said = verdict(report(*suite_of((1, 2), (1, 8), (3, 1))))
    assert said == "a is fastest in 2 of 3, b in 1; time over the fastest, geometric mean: a 1.44, b 2.52."


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((row("a", 1, 0.1), row("b", 1.04, 0.1)), "a and b cannot be told apart: their rounds overlap."),
        ((row("a", 1, 0.1), row("b", 2, 0.1)), "a is fastest; b, the next, takes 2.00 × its time."),
        ((row("a", 1), row("b", 0.1, part="n1")), "only a computed the whole problem."),
        ((row("b", 0.1, part="n1"),), "nobody computed the whole problem."),
    ],
)
def test_the_verdict_of_one(rows, said):
    assert verdict(report(comparison(*rows))) == said


def test_an_unfinished_report_says_so():
    made = replace(mixed(), complete=False)
    assert "Not everything was measured." in verdict(made)
    assert verdict(report(complete=False)) == "nothing was measured. Not everything was measured."
    assert text.whole(report(complete=False)).endswith("Verdict: nothing was measured. Not everything was measured.")


def test_ratios_to_peers_are_of_convlibs_best():
    made = [
        comparison(row("native", 1), row("plan", 2), row("torch", 2), row("onnxruntime", 3), name="x"),
        comparison(row("native", 4), row("plan", 2), row("torch", 1), name="y"),
    ]
    assert against_peers(made) == [
        "torch time / convlib's best: geometric mean 1.00 over 2, worst 0.50 (y)",
        "onnxruntime time / convlib's best: geometric mean 3.00 over 1, worst 3.00 (x)",
        "fastest peer time / convlib's best: geometric mean 1.00 over 2, worst 0.50 (y)",
    ]


def test_crossovers_are_runs_of_values():
    winners = {1: "a", 3: "a", 5: "b", 7: "a"}
    made = [comparison(row(name, 1), row("c", 2), name=f"kh={value}", value=value) for value, name in winners.items()]
    assert crossovers(made, "kh") == ["kh 1 to 3: a", "kh 5: b", "kh 7: a"]
    assert "fastest at kh 1 to 3: a" in text.whole(report(*made, sweep="kh"))


def test_more_threads_are_compared_with_the_fewest():
    made = [comparison(row("a", seconds), threads=threads) for threads, seconds in ((1, 3.0), (2, 2.0))]
    assert scaling(made) == ["a: 2 threads 1.50 × as fast as 1, over 1"]
    assert "(float32, 1 thread)" in text.whole(report(*made))


def test_noise_is_warned_of():
    assert warnings(mixed()) == []
    assert "before the start, above the 2 processors" in warnings(replace(mixed(), load=2.5))[0]
    noisy = report(comparison(row("a", 1, 0.5), row("b", 2), load=3.5, name="x"))
    assert warnings(noisy) == [
        "the load rose to 3.5 on 2 processors during x", "rounds of a on x differ 3.0-fold"
    ]  # fmt: skip
    fast = report(comparison(row("a", 1e-4)))
    assert "went beyond the FMA peak that was measured" in warnings(fast)[0]
    assert warnings(report(comparison(row("a", 1e-4, effective=True)))) == []
    assert "The machine was noisy: measure again." in verdict(fast)


# ------------------------------------------------------------------------------- two reports


def two(old, new, **words):
    return diff.compare(report(comparison(*old)), report(comparison(*new), **words))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (row("a", 1.0, 0.01), row("a", 1.2, 0.01), "slower"),
        (row("a", 1.2, 0.01), row("a", 1.0, 0.01), "faster"),
        (row("a", 1.0, 0.2), row("a", 1.2, 0.2), "same"),  # as far apart as the rounds of one run
        (row("a", 1.0, 0.0), row("a", 1.02, 0.0), "same"),  # less than two runs ever differ
    ],
)
def test_only_what_exceeds_the_noise_is_a_change(old, new, said):
    found = two([old], [new])
    assert [change.verdict for change in found.changes] == [said]
    assert found.worse is (said == "slower")


def test_the_difference_in_words():
    old = [row("a", 1e-3, 0.01, algorithm="a:x"), row("b", 1e-3, 0.01), row("c", 1), Row("d", "wrong", "error")]
    new = [row("a", 2e-3, 0.01, algorithm="a:y"), row("b", 5e-4, 0.01), Row("c", "crashed", "gone"), row("d", 1)]
    found = two(old, new)
    lines = diff.text(found, 200)
    name = made_up.CONV
    assert f"a on {name}: slower, 1.00 ms to 2.00 ms: 2.00 ×, noise 3%; a:x before, a:y now" in lines
    assert f"b on {name}: faster, 1.00 ms to 0.500 ms: 0.50 ×, noise 3%" in lines
    assert f"c on {name} is now crashed: gone" in lines
    assert f"d on {name} is no longer wrong" in lines
    assert lines[-1] == (
        "Verdict: 1 slower, 1 faster, 0 the same within the noise; new time over old, geometric mean of 2: 1.000"
    )
    assert max(map(len, diff.text(found, 80))) <= 80


def test_another_machine_is_cautioned_of():
    old, new = report(comparison(row("a", 1))), report(comparison(row("a", 1)))
    new = replace(
        new, machine={**new.machine, "processor": "Other"}, peaks=(replace(new.peaks[0], flops=150e9),)
    )  # fmt: skip
    assert diff.compare(old, new).cautions == (
        "processor differs: Example 3000, then Other",
        "the FMA peak at 2 threads went from 200 to 150 GFLOP/s (0.75 ×): the clock or the load was another",
    )
    apart = diff.compare(old, report(comparison(row("a", 1), threads=1)))
    assert (apart.changes, apart.unmatched) == ((), 2)
    assert diff.text(apart, 100)[-1] == "Verdict: nothing was timed in both reports."


# ------------------------------------------------------------------------------- files


def test_files_hold_the_old_or_the_new(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    result.save(str(path), "old\n")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convlib.comparison.result.os.replace", fail)
    with pytest.raises(SpecError, match="No space left on device"):
        result.save(str(path), "new\n")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SpecError, match="no permission"):
        result.writable([str(tmp_path / "a.json")])


def test_noise_of_a_contender_far_behind_leaves_the_verdict_alone():
    far = report(comparison(row("a", 1, 0.01), row("b", 5, 0.5), name="x"))
    assert warnings(far) == ["rounds of b on x differ 3.0-fold"]
    assert "noisy" not in verdict(far)
    near = report(comparison(row("a", 1, 0.01), row("b", 1.5, 0.5), name="x"))
    assert "The machine was noisy" in verdict(near)
