"""Objects followed through videos of a dataset: what is written, kept, told and taken away."""

from collections.abc import Iterator
from typing import Any

import discs
import pytest

from fiftyone_plugin.runs import open_run, run_counts, work_on
from fiftyone_plugin.values import Mode, RunConfig, Status
from sam_plugins import open_segmenter
from sam_plugins.masks import mask_iou

FRAMES = 9
CONFIG = RunConfig(mode=Mode.VIDEO, label_field="frames.masks", box_field="frames.boxes")


@pytest.fixture(scope="module")
def nano() -> Any:
    return open_segmenter("nano", engine="torch")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("film") / "discs.mp4"
    return discs.write_video(path, map(discs.picture, range(FRAMES)))


@pytest.fixture
def make(fiftyone_here: Any, film: str) -> Iterator[Any]:
    """``make(asked, path)``: a dataset of one video; asked is {frame number: [(disc, values)]}."""
    fo = fiftyone_here
    names = []

    def dataset_of(asked: dict[int, list[tuple[int, dict[str, Any]]]], path: str = film) -> Any:
        dataset = fo.Dataset(persistent=True)
        names.append(dataset.name)
        sample = fo.Sample(filepath=path)
        for number, labels in asked.items():
            sample.frames[number] = fo.Frame(
                boxes=fo.Detections(
                    detections=[
                        fo.Detection(
                            label="disc", bounding_box=discs.box(number - 1, disc), **values
                        )
                        for disc, values in labels
                    ]
                )
            )
        dataset.add_sample(sample)
        return dataset

    yield dataset_of
    for name in names:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


def worked(dataset: Any, segmenter: Any, config: RunConfig = CONFIG, **options: Any) -> Any:
    run = open_run(dataset, config, segmenter.info.model_id, **options)
    return run, work_on(dataset, run, dataset.values("id"), segmenter)


def test_discs_are_followed_from_a_frame_in_the_middle_and_not_swapped(
    make: Any, nano: Any
) -> None:
    dataset = make({4: [(0, {"index": 7, "tags": ["drawn"]}), (1, {})]})
    steps: list[Any] = []
    run = open_run(dataset, CONFIG, nano.info.model_id)
    report = work_on(dataset, run, dataset.values("id"), nano, progress=steps.append)
    assert (report.done, report.objects) == (1, 2 * FRAMES)
    sample = dataset.first()
    assert (sample.masks_status, sample.masks_reason) == (Status.DONE, None)
    assert sorted(sample.frames) == list(range(1, FRAMES + 1))
    asked = {each.index: each.id for each in sample.frames[4].boxes.detections}
    for number, frame in sample.frames.items():
        found = {each.index: each for each in frame.masks.detections}
        assert sorted(found) == [7, 8]
        for index, disc in ((7, 0), (8, 1)):
            assert mask_iou(discs.whole(found[index]), discs.truth(number - 1, disc)) > 0.7
            assert found[index].run_id == run.run_id
            assert found[index].label == "disc"
        assert found[7].prompt_id == asked[7]
        assert found[7].tags == ["drawn"]
    parts = [each.done + each.part for each in steps]
    assert parts == sorted(parts)
    assert len({round(each, 3) for each in parts}) > FRAMES / 2
    assert steps[-1].done == 1
    assert any("frame" in each.label for each in steps)
    again = work_on(dataset, run, dataset.values("id"), nano)
    assert (again.skipped, again.objects) == (1, 0)
    assert run_counts(dataset, run.run_id)[Status.DONE] == 1
