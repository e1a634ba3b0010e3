"""Masks of video frames leave as pictures with masks: COCO, SA-1B, YOLO and training sets."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from app_server import link_plugin
from operating import execute, form
from PIL import Image
from typer.testing import CliRunner

from fiftyone_plugin.errors import ExchangeError, FieldError, SampleError
from fiftyone_plugin.exchange import (
    ExportSettings,
    Format,
    ImportSettings,
    Pictures,
    Review,
    export_masks,
    import_as_dataset,
    import_masks,
)
from fiftyone_plugin.labels import video_file
from fiftyone_plugin.quality import refs_of
from fiftyone_plugin.review import Verdict, decide
from fiftyone_plugin.start.plugin_folder import PLUGIN
from sam_plugins.cli.app import app as cli
from sam_plugins.evaluation import load_labelled, read_folder
from sam_plugins.formats import from_coco, rle_to_crop
from sam_plugins.masks import mask_iou

FIELD = "frames.masks"


@pytest.fixture
def dataset(masked_film: Any) -> Any:
    """Both discs in frames 2, 5 and 9; of frame 5 both are accepted, of 9 one."""
    made = masked_film((2, 5, 9))
    decide(made, FIELD, refs_of(made, FIELD)[2:5], Verdict.ACCEPTED, reviewer="ann")
    made.reload()
    return made


def settings(format: Format, folder: Path, **more: Any) -> ExportSettings:
    return ExportSettings(format=format, label_field=FIELD, folder=folder, **more)


def test_coco_has_a_picture_for_each_frame_with_its_very_masks(
    dataset: Any, tmp_path: Path
) -> None:
    chosen = settings(
        Format.COCO, tmp_path / "out", reviews=(Review.ACCEPTED,), pictures=Pictures.COPY
    )
    report = export_masks(dataset, chosen)
    assert (report.pictures, report.objects, report.failed) == (3, 3, 0)
    document = json.loads((tmp_path / "out/annotations.json").read_text())
    names = [f"images/discs-{number:06d}.png" for number in (2, 5, 9)]
    assert [each["file_name"] for each in document["images"]] == names
    assert [each["frame_number"] for each in document["images"]] == [2, 5, 9]
    masks = {
        (each["image_id"], each["index"]): each["segmentation"] for each in document["annotations"]
    }
    numbers = {each["id"]: each["frame_number"] for each in document["images"]}
    assert len(masks) == 3
    images = from_coco(document)
    for image in images:
        for record, extras in zip(image.records, image.extras, strict=True):
            crop, (x0, y0, x1, y1) = rle_to_crop(record.segmentation)
            whole = np.zeros((discs.HEIGHT, discs.WIDTH), bool)
            whole[y0:y1, x0:x1] = crop
            number = int(Path(image.file_name).stem[-6:])
            assert (whole == discs.truth(number - 1, extras["index"])).all()
    assert {numbers[image_id] for image_id, _ in masks} == {5, 9}
    for number, name in zip((2, 5, 9), names, strict=True):
        shown = np.asarray(Image.open(tmp_path / "out" / name).convert("RGB")).astype(int)
        assert np.abs(shown - discs.picture(number - 1)).mean() < 6


def test_a_training_set_of_accepted_masks_is_read_and_continues(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(Format.TRAINING, tmp_path / "out")
    told: list[Any] = []
    stopped = export_masks(dataset, chosen, progress=told.append, stop=lambda: len(told) == 2)
    assert stopped.stopped
    assert (told[-1].done, told[-1].total) == (2, 3)
    report = export_masks(dataset, chosen)
    assert (report.pictures, report.objects, report.unchanged) == (2, 3, 2)
    items = {each.image_path.stem: load_labelled(each) for each in read_folder(tmp_path / "out")}
    assert sorted(items) == ["discs-000005", "discs-000009"]
    both = items["discs-000005"].labels
    assert mask_iou(both > 0, discs.truth(4, 0) | discs.truth(4, 1)) == 1
    assert (items["discs-000009"].ignore == discs.truth(8, 1)).all(), "nobody has decided on it"

    def never(*_: Any) -> Any:
        raise AssertionError("decoded what is there")

    monkeypatch.setattr(video_file.VideoFile, "read", never)
    again = export_masks(dataset, chosen)
    assert (again.pictures, again.unchanged, again.failed) == (2, 4, 0)


def test_another_film_at_the_place_is_decoded_again(dataset: Any, tmp_path: Path) -> None:
    path = discs.write_video(tmp_path / "film.mp4", map(discs.picture, range(discs.FRAMES)))
    sample = dataset.first()
    sample.filepath = path
    sample.save()
    chosen = settings(Format.SA1B, tmp_path / "out", pictures=Pictures.COPY)
    export_masks(dataset, chosen)
    first = tmp_path / "out/film-000002.png"
    before = first.read_bytes()
    assert json.loads(first.with_suffix(".json").read_text())["image"]["width"] == discs.WIDTH
    discs.write_video(Path(path), (discs.picture(n, ()) for n in range(discs.FRAMES)))
    os.utime(path, (1, 1))
    assert export_masks(dataset, chosen).unchanged == 3
    assert first.read_bytes() != before


@pytest.mark.parametrize("first", ["in full", "unreadable", "killed"])
def test_a_film_of_the_same_name_and_time_is_another(
    masked_film: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Also where the first try left its line in the list and the other film's picture."""
    paths = []
    for folder, shown in (("a", (0, 1)), ("b", ())):
        (tmp_path / folder).mkdir()
        pictures = (discs.picture(n, shown) for n in range(discs.FRAMES))
        paths.append(discs.write_video(tmp_path / folder / "film.mp4", pictures))
        os.utime(paths[-1], (1, 1))
    dataset = masked_film((2,), paths[0])
    other = dataset.first().copy()
    other.filepath = paths[1]
    dataset.add_sample(other)
    chosen = settings(Format.SA1B, tmp_path / "out", pictures=Pictures.COPY)
    export_masks(dataset.limit(1), chosen)
    picture = tmp_path / "out/film-000002.png"
    before = picture.read_bytes()

    def failing(*_: Any) -> Any:
        raise KeyboardInterrupt if first == "killed" else SampleError("Expected a frame.")

    with monkeypatch.context() as trying:
        if first != "in full":
            trying.setattr(video_file.VideoFile, "read", failing)
        with suppress(KeyboardInterrupt):
            export_masks(dataset.skip(1), chosen)
    report = export_masks(dataset.skip(1), chosen)
    assert (report.pictures, report.failed) == (1, 0)
    assert picture.read_bytes() != before
    shown = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert np.abs(shown - discs.picture(1, ())).mean() < 6
    assert export_masks(dataset.skip(1), chosen).unchanged == 2


def test_a_view_leaves_what_it_shows(dataset: Any, tmp_path: Path) -> None:
    from fiftyone import ViewField as F

    view = dataset.filter_labels(FIELD, F("index") == 1).match_frames(F("frame_number") > 2)
    report = export_masks(view, settings(Format.YOLO, tmp_path / "out"))
    assert (report.pictures, report.objects) == (2, 2)
    assert sorted(path.stem for path in (tmp_path / "out/labels").iterdir()) == [
        "discs-000005",
        "discs-000009",
    ]
    none = export_masks(dataset.limit(0), settings(Format.SA1B, tmp_path / "none"))
    assert none.pictures == 0


def test_frames_that_are_pictures_stand_in_and_a_short_film_costs_one_frame(
    dataset: Any, tmp_path: Path
) -> None:
    sample = dataset.first()
    short = discs.write_video(tmp_path / "short.mp4", map(discs.picture, range(6)))
    sample.filepath = short
    sample.save()
    report = export_masks(dataset, settings(Format.YOLO, tmp_path / "one"))
    assert (report.pictures, report.failed) == (2, 1)
    assert any("frame 9 in short.mp4" in each for each in report.reasons)
    sample.filepath = str(tmp_path / "gone.mp4")
    picture = tmp_path / "two.jpg"
    Image.fromarray(discs.picture(1)).save(picture)
    sample.frames[2]["filepath"] = str(picture)
    sample.save()
    report = export_masks(dataset, settings(Format.YOLO, tmp_path / "two"))
    assert (report.pictures, report.failed) == (1, 2)
    assert (tmp_path / "two/images/gone-000002.jpg").read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(
    ("format", "more", "said"),
    [
        (Format.LABEL_STUDIO, {}, "Label Studio"),
        (Format.COCO, {"pictures": Pictures.LINK}, "let them be copied"),
    ],
)
def test_what_cannot_be_done_with_frames_is_said_first(
    dataset: Any, tmp_path: Path, format: Format, more: Any, said: str
) -> None:
    with pytest.raises(ExchangeError, match=said):
        export_masks(dataset, settings(format, tmp_path / "out", **more))
    with pytest.raises(ExchangeError, match="cut from them"):
        export_masks(dataset.to_clips([[(1, 3)]]), settings(Format.COCO, tmp_path / "out"))
    with pytest.raises(FieldError, match=r"frames\.nothing"):
        export_masks(
            dataset,
            ExportSettings(
                format=Format.COCO, label_field="frames.nothing", folder=tmp_path / "out"
            ),
        )
    assert not (tmp_path / "out").exists()


def test_what_left_comes_back_as_a_dataset_of_pictures(
    dataset: Any, tmp_path: Path, fiftyone_here: Any
) -> None:
    export_masks(dataset, settings(Format.SA1B, tmp_path / "out", pictures=Pictures.COPY))
    source = ImportSettings(format=Format.SA1B, source=tmp_path / "out", label_field="back")
    with pytest.raises(ExchangeError, match="--new-from"):
        import_masks(dataset, source)
    name = f"{dataset.name}-pictures"
    try:
        assert import_as_dataset(name, tmp_path / "out", source).objects == 6
        back = fiftyone_here.load_dataset(name)
        assert {Path(each).name for each in back.values("filepath")} == {
            f"discs-{number:06d}.png" for number in (2, 5, 9)
        }
    finally:
        fiftyone_here.delete_dataset(name)


def test_the_form_and_the_command_export_frames(
    dataset: Any, tmp_path: Path, fiftyone_folder: Path
) -> None:
    link_plugin(fiftyone_folder / "plugins")
    name = f"{PLUGIN}/export_masks"
    assert form(name, dataset)["label_field"]["type"]["values"] == [FIELD]
    params = {"label_field": FIELD, "format": "coco", "folder": str(tmp_path / "form")}
    assert execute(name, dataset, **params)["objects"] == 6
    words = ["fiftyone", "export", dataset.name, str(tmp_path / "out"), "--field", FIELD]
    said = CliRunner().invoke(cli, [*words, "--format", "training", "--json"])
    assert said.exit_code == 0, said.stderr
    assert json.loads(said.stdout)["pictures"] == 2
