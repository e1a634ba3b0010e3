"""Exports: which masks leave, names that no two share, and folders that continue."""

import gc
import json
import os

import numpy as np
import pytest
from exchange_labels import detection, donut, picture
from PIL import Image

from fiftyone_plugin.errors import ExchangeError, FieldError
from fiftyone_plugin.exchange import ExportSettings, Format, Pictures, Review, export_masks
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.pictures import export_names
from fiftyone_plugin.exchange.values import ExchangedPicture, ExportReport
from sam_plugins.evaluation import load_labelled, read_folder

SIZE = (40, 60)


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    """Two pictures of one name in two folders, one turned; accepted, rejected and unsure masks."""
    fo = fiftyone_here
    found = fo.Dataset()

    def labels():
        square = np.ones((10, 10))
        return fo.Detections(
            detections=[
                detection(fo, square, 2, 2, SIZE, label="a", review="accepted"),
                detection(fo, np.ones((4, 4)), 6, 6, SIZE, label="b", review="accepted"),
                detection(fo, square, 8, 8, SIZE, label="a", review="rejected"),
                detection(fo, square, 40, 20, SIZE, label="c"),
                fo.Detection(label="box", bounding_box=[0, 0, 0.5, 0.5]),
            ]
        )

    one = picture(tmp_path / "in/one/same.jpg", SIZE)
    two = picture(tmp_path / "in/two/same.jpg", SIZE, 6)
    found.add_samples(
        [fo.Sample(one, masks=labels()), fo.Sample(two, masks=labels())], progress=False
    )
    yield found
    found.delete()


def told(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}


def training(folder, **more):
    return ExportSettings(format=Format.TRAINING, label_field="masks", folder=folder, **more)


def test_a_training_set_has_accepted_masks_and_ignores_what_nobody_knows(dataset, tmp_path):
    report = export_masks(dataset, training(tmp_path / "out"))
    assert (report.pictures, report.objects) == (2, 4)
    assert report.reasons["masks that are rejected"] == 2
    assert report.reasons["masks that are unsure"] == 2
    assert report.reasons["labels without a mask: they are boxes only"] == 2
    items = read_folder(tmp_path / "out")
    assert len(items) == 2
    for item in items:
        known = load_labelled(item)
        assert known.labels.shape == known.image.shape[:2] == SIZE
        assert set(np.unique(known.labels)) == {0, 1, 2}
        assert (known.labels[6:10, 6:10] == 2).all(), "the smaller mask lies on top"
        assert (known.labels == 1).sum() == 100 - 16
        expected = np.zeros(SIZE, bool)
        expected[8:18, 8:18] = expected[20:30, 40:50] = True
        expected[2:12, 2:12] = False
        assert (known.ignore == expected).all()


def test_a_picture_without_an_accepted_mask_is_no_part_of_a_training_set(dataset, tmp_path):
    sample = dataset.first()
    sample["masks"].detections = sample["masks"].detections[2:]
    sample.save()
    report = export_masks(dataset, training(tmp_path / "out"))
    assert report.pictures == 1
    assert report.reasons["pictures without a mask to train on"] == 1
    assert len(read_folder(tmp_path / "out")) == 1


def test_equal_names_of_other_folders_get_names_of_their_own(dataset, tmp_path):
    for format in (Format.SA1B, Format.YOLO, Format.COCO):
        out = tmp_path / format.value
        settings = ExportSettings(
            format=format, label_field="masks", folder=out, pictures=Pictures.LINK
        )
        assert export_masks(dataset, settings).pictures == 2
        lines = [json.loads(line) for line in (out / "pictures.jsonl").read_text().splitlines()]
        assert {line["filepath"] for line in lines} == set(dataset.values("filepath"))
        assert {line["file_name"] for line in lines} == {
            f"same-{each}.jpg" for each in dataset.values("id")
        }
        links = [path for path in told(out).values() if path.is_symlink()]
        assert {os.readlink(path) for path in links} == set(dataset.values("filepath"))


def test_names_do_not_depend_on_the_order_and_no_two_have_one_stem():
    samples = [("i1", "/x/a.png"), ("i2", "/y/A.jpg"), ("i3", "/y/.b.png"), ("i4", "/z/c?.png")]
    names = export_names(samples)
    assert names == export_names(reversed(samples))
    assert names == {"i1": "a-i1.png", "i2": "A-i2.jpg", "i3": "b.png", "i4": "c_.png"}


@pytest.mark.parametrize("format", [Format.SA1B, Format.TRAINING, Format.YOLO])
def test_an_export_that_was_ended_halfway_is_completed(dataset, tmp_path, format):
    whole, out = tmp_path / "whole", tmp_path / "out"
    export_masks(dataset, ExportSettings(format=format, label_field="masks", folder=whole))
    settings = ExportSettings(format=format, label_field="masks", folder=out)
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 1

    halfway = export_masks(dataset, settings, stop=stop)
    assert halfway.stopped
    assert halfway.pictures == 1
    assert not (out / "pictures.jsonl").exists()
    with (out / "pictures.jsonl.begun").open("a") as stream:
        stream.write('{"files": ["half a li')  # as a killed process leaves it
    (next(out.rglob("*same-*")).parent / ".same.123.part.png").write_bytes(b"half")
    again = export_masks(dataset, settings)
    assert again.unchanged > 0
    assert not again.stopped
    assert sorted(told(out)) == sorted(told(whole))
    for name, path in told(whole).items():
        if name != "sam-plugins-export.json":
            assert (out / name).read_bytes() == path.read_bytes()
    times = {name: path.stat().st_mtime_ns for name, path in told(out).items()}
    export_masks(dataset, settings)
    for name in again_written(times, out):
        assert name in ("pictures.jsonl", "data.yaml")


def again_written(times, folder):
    return [name for name, path in told(folder).items() if path.stat().st_mtime_ns != times[name]]


def test_files_of_samples_that_are_gone_are_removed_and_others_stay(dataset, tmp_path):
    export_masks(dataset, training(tmp_path / "out"))
    own = tmp_path / "out/images/of-the-user.png"
    own.write_bytes(b"")
    dataset.delete_samples(dataset.first().id)
    report = export_masks(dataset, training(tmp_path / "out"))
    assert report.removed == 4, "both pictures have other names now: only one is left of each"
    assert own.exists()
    assert len(list((tmp_path / "out/masks").iterdir())) == 1


def test_a_list_that_somebody_changed_removes_nothing_outside_of_the_folder(dataset, tmp_path):
    outside = tmp_path / "precious.txt"
    outside.write_text("mine")
    export_masks(dataset, training(tmp_path / "out"))
    with (tmp_path / "out/pictures.jsonl").open("a") as stream:
        stream.write(json.dumps({"files": ["../precious.txt", str(outside)]}) + "\n")
    export_masks(dataset, training(tmp_path / "out"))
    assert outside.read_text() == "mine"


def test_a_link_in_the_folder_leads_nowhere(tmp_path):
    report = ExportReport(folder="")
    (tmp_path / "elsewhere").mkdir()
    with ExportFolder(tmp_path / "out", {"a": 1}, report) as folder:
        (tmp_path / "out/images").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ExchangeError, match="leads out of it"):
            folder.put("images/a.txt", b"")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_folder_with_other_things_is_refused(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(ExchangeError, match="other things in it"):
        export_masks(dataset, training(tmp_path / "out"))
    export_masks(dataset, training(tmp_path / "new"))
    with pytest.raises(ExchangeError, match="other settings"):
        export_masks(dataset, training(tmp_path / "new", reviews=tuple(Review)))


def test_a_sample_that_cannot_be_read_costs_no_other_its_masks(dataset, tmp_path):
    sample = dataset.first()
    with open(sample.filepath, "wb") as stream:
        stream.write(b"no picture")
    report = export_masks(dataset, training(tmp_path / "out"))
    assert (report.pictures, report.failed) == (1, 1)
    assert any("cannot be read" in reason for reason in report.reasons)


def test_the_field_must_hold_masks(dataset, tmp_path):
    with pytest.raises(FieldError, match="there are: masks"):
        export_masks(
            dataset,
            ExportSettings(format=Format.COCO, label_field="none", folder=tmp_path / "out"),
        )


def test_yolo_lines_end_with_a_score_only_where_asked(dataset, tmp_path):
    for scores in (False, True):
        sample = dataset.first()
        sample["masks"].detections[0].confidence = 0.5
        sample.save()
        out = tmp_path / str(scores)
        export_masks(
            dataset.limit(1),
            ExportSettings(format=Format.YOLO, label_field="masks", folder=out, scores=scores),
        )
        (labels,) = (out / "labels").iterdir()
        lines = labels.read_text().splitlines()
        assert len(lines) == 4
        assert lines[0].endswith(" 0.5") is scores


@pytest.mark.parametrize("format", list(Format))
def test_one_sample_at_a_time_is_in_memory(dataset, tmp_path, format):
    path = dataset.first().filepath
    samples = []
    for number in range(30):
        sample = dataset.first().copy()
        sample.filepath = f"{path.removesuffix('.jpg')}-{number}.jpg"
        os.link(path, sample.filepath)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    held, said = [], []

    def tell(made):
        said.append((made.done, made.total))
        held.append(sum(type(each) is ExchangedPicture for each in gc.get_objects()))

    settings = ExportSettings(format=format, label_field="masks", folder=tmp_path / "out")
    export_masks(dataset, settings, progress=tell)
    assert said == [(number, 32) for number in range(1, 33)]
    assert max(held) <= 2


@pytest.mark.slow
def test_sam_plugins_train_takes_the_training_set(fiftyone_here, tmp_path):
    from typer.testing import CliRunner

    from sam_plugins.cli.app import app

    fo = fiftyone_here
    dataset = fo.Dataset()
    for number in range(4):
        path = tmp_path / f"in/{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.full((*SIZE, 3), 40, np.uint8)
        pixels[10:19, 10:19][donut()] = 200
        Image.fromarray(pixels).save(path)
        labels = [
            detection(fo, donut(), 10, 10, SIZE, review="accepted"),
            detection(fo, np.ones((8, 8)), 40, 20, SIZE, review="rejected"),
        ]
        dataset.add_sample(fo.Sample(str(path), masks=fo.Detections(detections=labels)))
    export_masks(dataset, training(tmp_path / "out"))
    dataset.delete()
    arguments = ["train", str(tmp_path / "out"), "--out", str(tmp_path / "run"), "--steps", "2"]
    result = CliRunner().invoke(app, [*arguments, "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert any((tmp_path / "run").iterdir())
