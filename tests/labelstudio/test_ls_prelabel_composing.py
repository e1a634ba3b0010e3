"""The model as what a run calls: labels, scores, choices that cannot work, a model that changes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from labelstudio_backend.controls import read_config
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.prelabel.composing import TaskAnnotator, check_choices
from labelstudio_backend.values import Ask, Found
from sam_plugins import Interaction

VERSION = "nano-1a2b3c4d5e"


def config(*labels: str, attributes: str = "") -> Any:
    tags = "".join(f'<Label value="{label}"/>' for label in labels)
    return read_config(
        f"""<View><Image name="image" value="$image"/>
        <BrushLabels name="brush" toName="image" {attributes}>{tags}</BrushLabels></View>"""
    )


class Model:
    """Answers with one square per label it is given."""

    def __init__(self, *labels: str | None, scores: tuple[float, ...] = ()) -> None:
        self.model_version = VERSION
        self.labels, self.scores = labels, scores or (0.5,) * len(labels)
        self.modes: list[str | None] = []
        self.stop: Callable[[], bool] | None = None

    def annotate(
        self,
        config: Any,
        task: Mapping[str, Any],
        *,
        mode: str | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> list[tuple[Ask, Found]]:
        self.modes.append(mode)
        self.stop = stop
        interaction = Interaction(points=((2.0, 2.0, 1),))
        return [
            (
                Ask(label, interaction, "image"),
                Found(np.ones((4, 4), bool), (0, 0, 4, 4), (20, 30), score),
            )
            for label, score in zip(self.labels, self.scores, strict=True)
        ]


def labels_of(regions: list[dict[str, Any]]) -> list[str]:
    return [region["value"]["brushlabels"][0] for region in regions]


def test_answers_become_regions_with_the_mean_of_their_scores() -> None:
    model = Model("Cell", "Dirt", scores=(0.5, 0.9))
    regions, score = TaskAnnotator(model, config("Cell", "Dirt"), VERSION, None, None)({"id": 1})
    assert labels_of(regions) == ["Cell", "Dirt"]
    assert score == pytest.approx(0.7)
    assert all(region["original_width"] == 30 for region in regions)
    assert model.modes == [None]


def test_no_answers_are_no_regions_and_no_score() -> None:
    assert TaskAnnotator(Model(), config("Cell"), VERSION, None, None)({"id": 1}) == ([], None)


@pytest.mark.parametrize(
    ("mode", "expected"), [("prompts", ["Cell", "Dirt"]), ("everything", ["Dirt", "Dirt"])]
)
def test_a_label_is_given_to_what_has_none_or_to_everything(mode: str, expected: list[str]) -> None:
    annotate = TaskAnnotator(Model("Cell", None), config("Cell", "Dirt"), VERSION, mode, "Dirt")
    assert labels_of(annotate({"id": 1})[0]) == expected


def test_another_model_stops_the_run_and_answers_nothing() -> None:
    model, stopped = Model("Cell"), []
    annotate = TaskAnnotator(model, config("Cell"), VERSION, None, None)
    annotate.belongs_to(lambda: stopped.append(True), lambda: bool(stopped))
    assert annotate({"id": 1})[0]
    assert not annotate.replaced
    model.model_version = "nano-another"
    assert annotate({"id": 1}) == ([], None)
    assert annotate.replaced
    assert stopped == [True]
    assert model.stop is not None
    assert model.stop()


@pytest.mark.parametrize(
    ("made", "mode", "label"),
    [
        (config("Cell"), None, None),
        (config("Cell"), "everything", None),
        (config("Cell", "Dirt"), "prompts", None),
        (config("Cell", "Dirt"), "everything", "Dirt"),
        (config("Cell", "Dirt", attributes='sam_label="Dirt"'), "everything", None),
        (config("Cell", attributes='sam_predict="none"'), "prompts", None),
    ],
)
def test_choices_that_can_work(made: Any, mode: str | None, label: str | None) -> None:
    check_choices(made, mode, label)


@pytest.mark.parametrize(
    ("made", "mode", "label", "message"),
    [
        (config("Cell", "Dirt"), "everything", None, "--label"),
        (config("Cell"), None, "Dog", "'Dog'"),
        (config("Cell", attributes='sam_predict="none"'), None, None, "--mode"),
    ],
)
def test_choices_that_would_fail_for_every_task_are_refused(
    made: Any, mode: str | None, label: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_choices(made, mode, label)
