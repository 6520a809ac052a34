"""The benchmarks work; how long anything takes is no test's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import run
from benchmarks.measuring import Curve, Table, draw, load_tables, medians, save_tables, shown

CURVE = Curve("square", "A square", "side, px", "area, px²", ((1.0, 3.0), (2.0, 12.0), (10.0, 300.0)))
TABLE = Table("Areas", ("side", "area, px²", "ratio"), ((1, 3.0, None), (10, 1234.5, 0.012345)), "By hand.", CURVE)


def test_the_exponent_of_a_square_is_two() -> None:
    assert CURVE.exponent == pytest.approx(2)


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "–"), (0.012345, "0.0123"), (9.876, "9.88"), (1234.5, "1,234"), (1234, "1,234"), (-0.5, "-0.500")],
)
def test_a_cell_shows_three_digits_of_what_was_measured(cell: str | float | None, text: str) -> None:
    assert shown(cell) == text


def test_a_table_survives_its_file_and_prints_both_ways(tmp_path: Path) -> None:
    save_tables([TABLE], tmp_path / "tables.json")
    assert load_tables(tmp_path / "tables.json") == [TABLE]
    assert "| 10 | 1,234 | 0.0123 |" in TABLE.markdown()
    assert TABLE.text().splitlines()[1:3] == ["  side  area, px²   ratio", "     1       3.00       –"]


def test_a_plot_shows_what_was_measured_and_the_power_that_fits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr("matplotlib.pyplot.close", figures.append)
    path = draw(CURVE, tmp_path)
    assert path == tmp_path / "square.png"
    assert path.stat().st_size < 60_000
    (axes,) = figures[0].axes
    fitted, measured = (dict(zip(*line.get_data(), strict=True)) for line in axes.lines)
    assert measured == dict(CURVE.points)
    assert fitted == {x: pytest.approx(3 * x**2) for x, _ in CURVE.points}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("side, px", "area, px²")
    assert axes.get_title() == "A square: exponent 2.00"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["~ x^2.00", "measured"]
    assert [(text.get_text(), *text.xy) for text in axes.texts] == [("3.00", 1, 3), ("12.0", 2, 12), ("300", 10, 300)]
    low, high = axes.get_ylim()
    assert low < 3
    assert high > 300


def test_the_sides_take_turns() -> None:
    calls: list[str] = []
    medians({"ours": lambda: calls.append("ours"), "peer": lambda: calls.append("peer")}, repeats=2)
    assert calls == ["ours", "peer"] * 2


def test_a_script_that_fails_is_named_and_the_others_keep_their_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = run.Result("rewards", 1.0, [TABLE])
    bad = run.Result("metrics", 1.0, [], "metrics failed with exit code 1", "ValueError: /a/folder/of/mine")
    monkeypatch.setattr(run, "SCRIPTS", ("rewards", "metrics"))
    monkeypatch.setattr(run, "run_script", lambda script, form: good if script == "rewards" else bad)
    monkeypatch.setattr("sys.argv", ["run", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="1 of 2 benchmarks failed: metrics"):
        run.main()
    page = (tmp_path / "benchmarks.md").read_text()
    assert "### Areas" in page
    assert "![A square](benchmarks/square.png)" in page
    assert "Not measured: metrics failed with exit code 1." in page
    assert "folder/of/mine" not in page
    assert (tmp_path / "benchmarks/square.png").exists()
    assert "ValueError" in capsys.readouterr().out


def test_a_script_that_is_not_there_is_a_sentence() -> None:
    assert run.run_script("nobody", "smoke").failure == "nobody failed with exit code 1"


def test_a_script_that_hangs_is_ended() -> None:
    assert "took longer than 0.01 s" in run.run_script("rewards", "smoke", limit_s=0.01).failure


@pytest.mark.slow
@pytest.mark.parametrize("script", run.SCRIPTS)
def test_every_benchmark_works(script: str) -> None:
    result = run.run_script(script, "smoke")
    assert not result.failure, result.said
    assert result.tables
    assert all(table.rows and table.text() and table.markdown() for table in result.tables)
