"""What a chart shows: its lines lie at their values, each under its name and in its colour."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.params.report import ReportParams
from components.report.plots import SHARE, SMOOTHED_FROM, Line, chart, round_ticks
from components.stages import report
from tests.support.charts import Shown, Values, charts_of
from tests.support.scored import page_settings, scored_inputs


def near(values: Values) -> list[object]:
    """A chart has a tenth of a pixel: three thousandths of an axis."""
    return [pytest.approx(value, rel=0.01, abs=0.004) for value in values]


def only(page: str) -> Shown:
    ((_, shown),) = charts_of(page).items()
    return shown


def test_lines_lie_at_their_values_and_the_legend_names_them_in_their_colours() -> None:
    first, second = [(0.0, 0.0), (5.0, 0.8), (10.0, 1.0)], [(0.0, 0.5), (10.0, 0.25)]
    shown = only(chart("F1 by <IoU>", [Line("base", first), Line("a & b", second)], "IoU", SHARE))
    assert shown.lines == {"line0": near(first), "line1": near(second)}
    assert shown.names == ["base", "a & b"]
    assert shown.x_label == "IoU"
    assert (shown.ticks[0], shown.ticks[-1]) == SHARE
    assert shown.spoken == "F1 by <IoU>: base from 0 to 1; a & b from 0.5 to 0.25"
    assert shown.dots == {}


def test_dots_mark_each_point_and_a_line_without_one_keeps_its_colour() -> None:
    points = [(10.0, 0.2), (20.0, 0.4)]
    nothing = [(10.0, float("nan")), (float("inf"), 0.3)]
    shown = only(chart("F1", [Line("base", nothing), Line("sft", points)], "px", SHARE, dots=True))
    assert shown.dots == shown.lines == {"line1": near(points)}
    assert shown.names == ["base", "sft"]
    assert shown.spoken == "F1: sft from 0.2 to 0.4"


def test_a_value_beyond_the_range_is_drawn_and_the_axis_reaches_it() -> None:
    shown = only(chart("Reward", [Line("total", [(1.0, 0.5), (2.0, 1.4)])], "step", SHARE))
    assert shown.lines == {"line0": near([(1.0, 0.5), (2.0, 1.4)])}
    assert shown.ticks[-1] >= 1.4
    assert shown.names == []  # one line needs no legend


def test_a_long_curve_is_pale_with_its_running_mean_on_top() -> None:
    points = [(float(step), float(step % 2)) for step in range(SMOOTHED_FROM)]
    shown = only(chart("Loss", [Line("loss", points)], "step", SHARE, smooth=True))
    assert shown.lines["line0 pale"] == near(points)
    mean = [y for _, y in shown.lines["line0"]]
    assert len(mean) == len(points)
    assert all(0.3 < y < 0.7 for y in mean)  # a mean of five: two or three ones
    assert set(only(chart("Loss", [Line("loss", points[1:])], "step", SHARE, smooth=True)).lines) == {"line0"}


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_are_few_evenly_apart_and_enclose_the_values(low: float, extent: float) -> None:
    ticks = round_ticks(low, low + extent)
    assert 3 <= len(ticks) <= 6
    slack = 1e-6 * max(1.0, abs(low), extent)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + extent - slack
    steps = [after - before for before, after in pairwise(ticks)]
    assert steps == [pytest.approx(steps[0], rel=1e-6)] * len(steps)


def rows(path: Path, x: str, y: str, **of: str) -> list[object]:
    with path.open(newline="") as file:
        kept = [row for row in csv.DictReader(file) if row[y] and all(row[key] == word for key, word in of.items())]
    return near([(float(row[x]), float(row[y])) for row in kept])


def test_the_reports_charts_show_the_numbers_of_their_files(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    inputs = scored_inputs(prepared, tmp_path)
    for name, told in (("base", "0.125"), ("sft", "0.25"), ("grpo", "0.5")):  # three models, three heights
        (inputs.scores / name / "plots/f1_by_iou.csv").write_text(f"iou,f1\n0.5,{told}\n0.75,0.0625\n")
    logged = "step,loss,mean_token_accuracy,reward_total,reward_looking,kl\n1,2.0,0.5,0.1,0.2,\n2,1.0,0.75,0.3,0.4,\n"
    for stage in ("sft", "grpo"):
        (inputs.training / stage / "curves.csv").write_text(logged)
    report.run(inputs, tmp_path / "out", page_settings(), ReportParams(gallery_images=4))
    page = (tmp_path / "out/report.html").read_text()
    shown = charts_of(page)
    by_iou = shown["F1 by IoU threshold"]
    assert by_iou.names == ["base", "sft", "grpo"]
    assert by_iou.lines == {f"line{n}": near([(0.5, f1), (0.75, 0.0625)]) for n, f1 in enumerate((0.125, 0.25, 0.5))}
    plots = inputs.scores / "grpo/plots"
    for title, name, x, y in (
        ("Precision over recall at IoU .5", "pr_curve", "recall", "precision"),
        ("F1 by people in the image", "by_crowd_size", "from", "f1"),
        ("F1 by height", "by_height", "from", "f1"),
        ("Recall by how much of a person is seen", "by_visible", "from", "recall"),
    ):
        assert shown[title].lines["line2"] == rows(plots / f"{name}.csv", x, y), title
        assert ("line2" in shown[title].dots) is (x == "from"), title
    told = shown["Share of right boxes by confidence, grpo"]
    assert told.lines["line0"] == near([(0.0, 0.0), (1.0, 1.0)])
    for number, of in enumerate(told.names[1:], 1):
        assert told.dots[f"line{number}"] == rows(plots / "reliability.csv", "confidence", "precision", of=of)
    assert shown["SFT loss"].lines == {"line0": near([(1.0, 2.0), (2.0, 1.0)])}
    assert shown["SFT token accuracy"].lines == {"line0": near([(1.0, 0.5), (2.0, 0.75)])}
    assert shown["Total reward"].lines == {"line0": near([(1.0, 0.1), (2.0, 0.3)])}
    assert shown["Rewards"].lines == {"line0": near([(1.0, 0.2), (2.0, 0.4)])}
    assert "KL to the reference (beta &gt; 0 only)</figcaption><p class='note'>not logged</p>" in page
