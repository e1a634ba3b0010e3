import io
import json

import pytest
from rich.console import Console

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.report import ObjectScore, Report, by_set, by_size


def score(method, image, label, iou, *, prompt="click", group="nuclei", area=100, oracle=None):
    return ObjectScore(
        method=method,
        prompt=prompt,
        group=group,
        image_id=image,
        label=label,
        area=area,
        iou=iou,
        oracle=oracle,
    )


@pytest.fixture
def report():
    return Report(
        (
            score("nano", "a/1", 1, 0.5, oracle=0.6),
            score("nano", "a/1", 2, 0.7, oracle=0.7, area=5000),
            score("nano", "b/2", 1, 0.9, oracle=1.0, area=50000),
            score("nano", "a/1", 1, 0.8, prompt="box"),
            score("flood", "a/1", 1, 0.3),
            score("flood", "a/1", 2, 0.4, area=5000),
            score("flood", "c/3", 1, 0.1, group="photographs"),
        ),
        {"seed": 0},
    )


def test_rows_are_means_over_objects_with_counts(report):
    rows = {(r.group, r.prompt, r.method): r for r in report.rows()}
    assert list(rows) == [
        ("nuclei", "click", "nano"),
        ("nuclei", "click", "flood"),
        ("nuclei", "box", "nano"),
        ("photographs", "click", "flood"),
    ]
    nano = rows["nuclei", "click", "nano"]
    assert nano.estimate.mean == pytest.approx(0.7)
    assert (nano.estimate.n_objects, nano.estimate.n_clusters) == (3, 2)
    assert nano.oracle == pytest.approx(2.3 / 3)
    assert rows["nuclei", "box", "nano"].oracle is None


def test_any_function_groups(report):
    assert {r.group for r in report.rows(by_set)} == {"a", "b", "c"}
    assert [r.group for r in report.rows(by_size)] == [
        "small",
        "small",
        "small",
        "medium",
        "medium",
        "large",
    ]
    pooled = report.rows(lambda s: "all")
    assert [r.estimate.n_objects for r in pooled] == [3, 3, 1]
    assert by_set(score("m", "plain", 1, 0.0, group="mine")) == "mine"


def test_margins_compare_the_same_objects_only(report):
    (margin,) = report.margins("nano")
    assert (margin.other, margin.group, margin.prompt) == ("flood", "nuclei", "click")
    assert margin.difference.mean == pytest.approx(0.25)
    assert margin.difference.n_objects == 2
    assert report.margins("unknown") == []


def test_markdown_shows_what_is_not_known_as_a_dash(report):
    lines = report.to_markdown().splitlines()
    assert lines[0].startswith("| group | prompt | method | objects | images | IoU |")
    assert lines[4] == "| nuclei | box | nano | 1 | 1 | 0.800 | – | – |"
    assert len({line.count("|") for line in lines}) == 1
    assert "| nuclei | click | flood | 2 | 1 | +0.250 | – |" in report.margins_to_markdown("nano")


def test_the_terminal_table_holds_every_row(report):
    shown = io.StringIO()
    Console(width=80, file=shown).print(report.to_table())
    text = shown.getvalue()
    for row in report.rows():
        assert any(
            row.method in line and f"{row.estimate.mean:.3f}" in line for line in text.splitlines()
        )


def test_json_there_and_back(report):
    content = json.loads(report.to_json())
    assert content["rows"][0]["mean_iou"] == 0.7
    assert content["rows"][3]["low"] is None
    again = Report.from_json(report.to_json())
    assert again == report
    assert again.to_json() == report.to_json()


def test_reports_join(report):
    other = Report((score("box", "a/1", 1, 0.2),), {"model": "none"})
    joined = report.joined(other)
    assert joined.scores == report.scores + other.scores
    assert joined.settings == {"seed": 0, "model": "none"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "settings": {}, "objects": [], "results": [{"method": "m"}]}',
        '{"version": 1, "settings": {}, "objects": [], "results": '
        '[{"method": "m", "prompt": "box", "object": [0], "iou": [1], "oracle": [1]}]}',
    ],
)
def test_other_files_are_refused(text):
    with pytest.raises(DatasetError, match="not an accuracy report"):
        Report.from_json(text)


def test_later_versions_are_refused(report):
    later = report.to_json().replace('"version": 1', '"version": 2')
    with pytest.raises(DatasetError, match="version 2; version 1"):
        Report.from_json(later)
