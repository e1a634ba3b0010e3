"""Tasks through a real Label Studio: imported, submitted by its API, exported, and read back."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_labels import detection, donut, known, picture

from fiftyone_plugin.exchange import (
    ExportSettings,
    Format,
    ImportSettings,
    export_masks,
    import_answers,
)
from labelstudio_backend.start import find_label_studio
from sam_plugins.formats import crop_to_brush_rle

SIZE = (40, 60)
LABEL_STUDIO_TESTS = Path(__file__).parents[1] / "labelstudio"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The programs that the tests of the Label Studio backend start too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(LABEL_STUDIO_TESTS))
        from real_programs import RealPrograms

        with RealPrograms(tmp_path_factory.mktemp("label-studio")) as programs:
            yield programs


@pytest.fixture
def programs(require: Any, request: pytest.FixtureRequest) -> Any:
    """A Label Studio that runs, its client and its folder of files."""
    require("label_studio", find_label_studio() is not None)
    found = request.getfixturevalue("started")
    assert found.label_studio.url
    return found


@pytest.fixture
def label_studio(programs: Any) -> Any:
    """A client of it."""
    return programs.client


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    """Two pictures, one turned by EXIF, with four masks each that nobody has decided on."""
    fo = fiftyone_here
    found = fo.Dataset()
    for name, orientation in (("a.png", 1), ("turned.jpg", 6)):
        labels = [
            detection(fo, np.eye(9), 2, 3, SIZE, label="cat", confidence=0.5),
            detection(fo, donut(), 12, 3, SIZE, label="d\u00f6g & <cow>", confidence=0.75),
            detection(fo, np.ones((5, 8)), 52, 35, SIZE, label="cat"),
            detection(fo, np.ones((40, 60)), 0, 0, SIZE),
        ]
        path = picture(tmp_path / "in" / name, SIZE, orientation)
        found.add_sample(fo.Sample(path, masks=fo.Detections(detections=labels)))
    yield found
    found.delete()


@pytest.mark.slow
def test_masks_go_to_label_studio_and_the_answers_come_back(label_studio, dataset, tmp_path):
    out = tmp_path / "tasks"
    export_masks(
        dataset,
        ExportSettings(
            format=Format.LABEL_STUDIO,
            label_field="masks",
            folder=out,
            image_root=str(tmp_path / "in"),
        ),
    )
    config = (out / "label_config.xml").read_text()
    project = int(label_studio.create_project("From FiftyOne", config)["id"])
    numbers = label_studio.import_tasks(project, json.loads((out / "tasks.json").read_text()))
    assert len(numbers) == 2
    sent = [list(each["masks"].detections) for each in dataset]
    for number, labels in zip(numbers, sent, strict=True):
        (prediction,) = label_studio.predictions(number)
        regions = prediction["result"]
        assert [each["id"] for each in regions] == [each.id for each in labels]
        assert [each.get("score") for each in regions] == [0.5, 0.75, None, None]
        changed = copy.deepcopy(regions[2])
        changed["value"]["rle"] = crop_to_brush_rle(donut(), (30, 20, 39, 29), SIZE)
        added = copy.deepcopy(changed)
        added |= {"id": "drawn_here", "origin": "manual"}
        answer = [regions[0], regions[1], changed, added]
        label_studio.post(f"/api/tasks/{number}/annotations/", {"result": answer})
    document = label_studio.get(f"/api/projects/{project}/export", {"exportType": "JSON"})
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))

    report = import_answers(
        dataset, ImportSettings(format=Format.LABEL_STUDIO, source=path, label_field="")
    )
    counts = (report.accepted, report.corrected, report.rejected, report.added)
    assert counts == (4, 2, 2, 2), report.reasons
    for sample, labels in zip(dataset, sent, strict=True):
        answers = {each.id: each for each in sample["masks_answers"].detections}
        assert {each.id for each in labels} < set(answers)
        reviews = [answers[each.id]["review"] for each in labels]
        assert reviews == ["accepted", "accepted", "accepted", "rejected"]
        found = known(sample, "masks_answers", SIZE)
        pixels = {name: mask["pixels"] for name, mask in zip(answers, found, strict=True)}
        before = [mask["pixels"] for mask in known(sample, "masks", SIZE)]
        assert [pixels[labels[place].id] for place in (0, 1, 3)] == [
            before[place] for place in (0, 1, 3)
        ]
        whole = np.zeros(SIZE, bool)
        whole[20:29, 30:39] = donut()
        new = set(pixels) - {each.id for each in labels}
        assert len(new) == 1
        assert pixels[labels[2].id] == pixels[new.pop()] == whole.tobytes()
        assert answers[labels[1].id].label == "d\u00f6g & <cow>"
        assert answers[labels[3].id].label is None


@pytest.mark.slow
def test_what_the_page_submits_unchanged_is_accepted(programs, chromium, dataset, tmp_path, shots):
    from browser_hands import BrowserHands

    served = programs.files / "fiftyone"
    for sample in dataset:
        place = served / Path(sample.filepath).name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(Path(sample.filepath).read_bytes())
        sample.filepath = str(place)
        sample.save()
    out = tmp_path / "tasks"
    settings = ExportSettings(
        format=Format.LABEL_STUDIO,
        label_field="masks",
        folder=out,
        image_root=str(programs.files),
    )
    export_masks(dataset, settings)
    client = programs.client
    config = (out / "label_config.xml").read_text()
    project = int(client.create_project("Submitted as it is", config)["id"])
    client.post("/api/storages/localfiles", {"project": project, "path": str(served)})
    numbers = client.import_tasks(project, json.loads((out / "tasks.json").read_text()))
    client.patch(f"/api/projects/{project}/", {"model_version": "fiftyone masks"})
    hands = BrowserHands(chromium, programs.label_studio.url, shots, "from-fiftyone")
    try:
        hands.log_in(programs.access.email, programs.access.password)
        for number in numbers:
            hands.open_task(project, number)
            if "fiftyone masks" not in hands.said():  # its first page may come without predictions
                hands.reload()
            hands.shot("opened")
            hands.submit()
            hands.shot("submitted")
    finally:
        hands.shot("end")
        hands.close()
    document = client.get(f"/api/projects/{project}/export", {"exportType": "JSON"})
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    report = import_answers(
        dataset, ImportSettings(format=Format.LABEL_STUDIO, source=path, label_field="")
    )
    counts = (report.accepted, report.corrected, report.rejected, report.added)
    assert counts == (8, 0, 0, 0), report.reasons
    for sample in dataset:
        before = [each["pixels"] for each in known(sample, "masks", SIZE)]
        assert [each["pixels"] for each in known(sample, "masks_answers", SIZE)] == before
