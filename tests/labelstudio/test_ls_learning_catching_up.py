"""What was submitted while no backend was there is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import webhook_doubles as ls

from labelstudio_backend.learning import Intake
from labelstudio_backend.learning.catching_up import catch_up


class Studio:
    def __init__(self, annotations: dict[int, list[dict[str, Any]]]) -> None:
        self.annotations = annotations
        self.meanwhile = lambda: None

    def project(self, number: int) -> dict[str, Any]:
        return ls.project(number)

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        self.meanwhile()
        for number, annotations in self.annotations.items():
            yield ls.task(number) | {"annotations": annotations, "predictions": []}


def region(name: str) -> dict[str, Any]:
    return {"id": name, "type": "brushlabels", "to_name": "image", "value": {}}


def kept(intake: Intake) -> dict[int, list[str]]:
    return {
        each.task: [region["id"] for region in each.result] for each in intake.read(intake.chosen())
    }


def without_task(annotation: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in annotation.items() if name != "task"}


def test_annotations_are_taken_in_and_those_that_are_no_more_leave(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    intake.accept(ls.submitted(1, 3, [region("old")], at=1))
    intake.accept(ls.submitted(2, 4, [region("deleted meanwhile")], at=1))
    intake.accept(ls.submitted(9, 9, [region("of another project")], at=1, of_project=2))
    studio = Studio(
        {
            3: [without_task(ls.annotation(1, 3, [region("new")], 5))],
            4: [],
            5: [ls.annotation(6, 5, [region("a")], 2), ls.annotation(7, 5, [region("b")], 3)],
        }
    )
    assert catch_up(studio, intake, 1) == 3
    assert kept(intake) == {3: ["new"], 5: ["b"], 9: ["of another project"]}


def test_what_is_submitted_meanwhile_does_not_count_as_deleted(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    studio = Studio({3: [ls.annotation(1, 3, [region("a")], 1)]})
    studio.meanwhile = lambda: intake.accept(ls.submitted(8, 8, [region("just now")], at=9))
    catch_up(studio, intake, 1)
    assert kept(intake) == {3: ["a"], 8: ["just now"]}


def test_what_the_webhook_brought_is_not_overwritten_by_an_older_list(tmp_path: Path) -> None:
    intake = Intake(tmp_path)
    studio = Studio({3: [ls.annotation(1, 3, [region("listed")], 1)]})
    studio.meanwhile = lambda: intake.accept(ls.submitted(1, 3, [region("newer")], at=9))
    catch_up(studio, intake, 1)
    assert kept(intake) == {3: ["newer"]}
