"""The folder that training reads: every pixel right, only changes written, never half a pair."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import webhook_doubles as ls
from export_doubles import Pictures
from region_doubles import brush, polygon, rectangle, square

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.learning import Exported, Intake, export_annotations
from sam_plugins.evaluation import load_labelled, read_folder

SIZE = (60, 80)
HERE = Path(__file__).parent


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path / "state")


@pytest.fixture
def pictures() -> Pictures:
    return Pictures(SIZE)


def export(
    intake: Intake, pictures: Pictures, tmp_path: Path, **options: object
) -> dict[str, Exported]:
    told = export_annotations(intake, pictures, tmp_path / "out", **options)
    return {each.stem: each for outcomes in told for each in outcomes}


def states(outcomes: dict[str, Exported]) -> dict[str, str]:
    return {stem: each.state for stem, each in outcomes.items()}


def written(tmp_path: Path) -> dict[str, np.ndarray]:
    """Stem -> labels, as training reads them, each beside the picture it belongs to."""
    found = {}
    for item in read_folder(tmp_path / "out"):
        sample = load_labelled(item)
        assert sample.ignore is None
        assert sample.image.shape[:2] == sample.labels.shape
        found[item.id] = sample.labels
    return found


def test_masks_are_drawn_as_they_were_submitted(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    first, second = square(SIZE, 5, 5, 20), square(SIZE, 15, 15, 20)
    ring = polygon([(50, 10), (70, 10), (70, 40), (50, 40)], SIZE)
    intake.accept(ls.submitted(1, 3, [brush(first), brush(second), ring]))
    outcomes = export(intake, pictures, tmp_path)
    assert outcomes["1-3"].objects == 3
    labels = written(tmp_path)["1-3"]
    expected = np.zeros(SIZE, int)
    expected[first] = 1
    expected[second] = 2
    assert np.array_equal(np.where(labels == 3, 0, labels), expected)
    rows, columns = np.nonzero(labels == 3)
    # A polygon's edge may go either way by a pixel.
    assert abs(rows.min() - 10) <= 1
    assert abs(rows.max() - 40) <= 1
    assert abs(columns.min() - 50) <= 1
    assert abs(columns.max() - 70) <= 1


def test_the_picture_is_written_as_it_was_read(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))], image="/data/a.tif"))
    export(intake, pictures, tmp_path)
    (item,) = read_folder(tmp_path / "out")
    assert np.array_equal(load_labelled(item).image, pictures.image("/data/a.tif", 0))


def test_boxes_and_other_labels_are_left_out_and_counted(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    cell, dirt = brush(square(SIZE, 5, 5, 9)), brush(square(SIZE, 40, 5, 9), "Dirt")
    point = rectangle(SIZE) | {"type": "keypointlabels"}
    intake.accept(ls.submitted(1, 3, [cell, dirt, rectangle(SIZE), rectangle(SIZE), point]))
    (outcome,) = export(intake, pictures, tmp_path, labels=frozenset({"Cell"})).values()
    assert outcome.objects == 1
    assert outcome.left_out == {"boxes and ellipses": 2, "other labels": 1, "other regions": 1}
    assert np.array_equal(written(tmp_path)["1-3"] == 1, square(SIZE, 5, 5, 9))


def test_labels_chosen_otherwise_write_the_masks_again(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    cell, dirt = brush(square(SIZE, 5, 5, 9)), brush(square(SIZE, 40, 5, 9), "Dirt")
    intake.accept(ls.submitted(1, 3, [cell, dirt]))
    export(intake, pictures, tmp_path, labels=frozenset({"Cell"}))
    export(intake, pictures, tmp_path)
    assert set(np.unique(written(tmp_path)["1-3"])) == {0, 1, 2}


def test_a_covered_object_is_told(intake: Intake, pictures: Pictures, tmp_path: Path) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 9, 9, 5)), brush(square(SIZE, 5, 5, 20))]))
    (outcome,) = export(intake, pictures, tmp_path).values()
    assert (outcome.objects, dict(outcome.left_out)) == (1, {"covered by later ones": 1})


def test_a_tag_without_labels_finds_its_label_beside_it(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    config = """<View><Image name="image" value="$image"/><Brush name="brush" toName="image"/>
      <Labels name="labels" toName="image"><Label value="Cell"/><Label value="Dirt"/></Labels>
    </View>"""
    regions = []
    for x, label in ((5, "Cell"), (40, "Dirt")):
        region = brush(square(SIZE, x, 5, 9))
        rle = {"format": "rle", "rle": region["value"]["rle"]}
        regions.append(region | {"type": "brush", "value": rle})
        regions.append(
            region | {"type": "labels", "from_name": "labels", "value": rle | {"labels": [label]}}
        )
    intake.accept(ls.submitted(1, 3, regions, config=config))
    (outcome,) = export(intake, pictures, tmp_path, labels=frozenset({"Dirt"})).values()
    assert outcome.objects == 1
    assert np.array_equal(written(tmp_path)["1-3"] == 1, square(SIZE, 40, 5, 9))


def test_each_page_is_a_picture(intake: Intake, pictures: Pictures, tmp_path: Path) -> None:
    config = ls.CONFIG.replace('value="$image"', 'valueList="$image"')
    event = ls.submitted(
        1,
        3,
        [
            brush(square(SIZE, 5, 5, 9), item_index=0),
            brush(square(SIZE, 30, 5, 9), item_index=2),
        ],
        config=config,
    )
    event["task"]["data"]["image"] = ["/data/0.png", "/data/1.png", "/data/2.png"]
    intake.accept(event)
    outcomes = export(intake, pictures, tmp_path)
    assert states(outcomes) == {
        "1-3-image-0": "written",
        "1-3-image-1": "empty",
        "1-3-image-2": "written",
    }
    labels = written(tmp_path)
    assert np.array_equal(labels["1-3-image-0"] == 1, square(SIZE, 5, 5, 9))
    assert np.array_equal(labels["1-3-image-2"] == 1, square(SIZE, 30, 5, 9))


def modified(tmp_path: Path) -> dict[str, int]:
    files = (tmp_path / "out").glob("*s/*.png")
    return {str(file.relative_to(tmp_path)): file.stat().st_mtime_ns for file in files}


def test_only_what_changed_is_written_again(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    for task in (3, 4, 5):
        intake.accept(ls.submitted(task, task, [brush(square(SIZE, 5, 5, 9))], image=f"/{task}"))
    export(intake, pictures, tmp_path)
    before = modified(tmp_path)
    assert len(before) == 6
    pictures.loaded.clear()
    intake.accept(ls.submitted(4, 4, [brush(square(SIZE, 9, 9, 9))], at=5, image="/4"))
    outcomes = export(intake, pictures, tmp_path)
    assert states(outcomes) == {"1-3": "unchanged", "1-4": "written", "1-5": "unchanged"}
    after = modified(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"out/masks/1-4.png"}
    # Its picture is the same: nobody is asked for it.
    assert pictures.loaded == []
    assert np.array_equal(written(tmp_path)["1-4"] == 1, square(SIZE, 9, 9, 9))


def test_a_picture_at_another_address_is_read_again(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))], image="/a"))
    export(intake, pictures, tmp_path)
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))], at=3, image="/b"))
    assert states(export(intake, pictures, tmp_path)) == {"1-3": "written"}
    (item,) = read_folder(tmp_path / "out")
    assert np.array_equal(load_labelled(item).image, pictures.image("/b", 0))


def test_what_was_deleted_leaves_the_folder_and_strangers_stay(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    for task in (3, 4):
        intake.accept(ls.submitted(task, task, [brush(square(SIZE, 5, 5, 9))]))
    export(intake, pictures, tmp_path)
    for folder in ("images", "masks"):
        data = (tmp_path / "out" / folder / "1-3.png").read_bytes()
        (tmp_path / "out" / folder / "mine.png").write_bytes(data)
    intake.accept(ls.deleted(4))
    export(intake, pictures, tmp_path)
    assert set(written(tmp_path)) == {"1-3", "mine"}


def test_a_lost_file_is_written_again(intake: Intake, pictures: Pictures, tmp_path: Path) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))]))
    export(intake, pictures, tmp_path)
    (tmp_path / "out" / "images" / "1-3.png").unlink()
    assert states(export(intake, pictures, tmp_path)) == {"1-3": "written"}
    assert set(written(tmp_path)) == {"1-3"}


def test_one_that_fails_stops_no_other_and_keeps_what_was_there(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    for task in (3, 4, 5):
        intake.accept(ls.submitted(task, task, [brush(square(SIZE, 5, 5, 9))], image=f"/{task}"))
    pictures.missing.add("/4")
    outcomes = export(intake, pictures, tmp_path)
    assert states(outcomes) == {"1-3": "written", "1-4": "failed", "1-5": "written"}
    assert "/4" in (outcomes["1-4"].reason or "")
    # A labelling config that cannot be read any more.
    intake.accept(ls.submitted(5, 5, [brush(square(SIZE, 9, 9, 9))], at=9, config="<View"))
    pictures.missing.clear()
    outcomes = export(intake, pictures, tmp_path)
    assert states(outcomes) == {"1-3": "unchanged", "1-4": "written", "1-5": "failed"}
    assert set(written(tmp_path)) == {"1-3", "1-4", "1-5"}


def test_only_one_project(intake: Intake, pictures: Pictures, tmp_path: Path) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))]))
    intake.accept(ls.submitted(2, 4, [brush(square(SIZE, 5, 5, 9))], of_project=2))
    export(intake, pictures, tmp_path, project=2)
    assert set(written(tmp_path)) == {"2-4"}


def test_two_exports_at_once_are_refused(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    intake.accept(ls.submitted(1, 3, [brush(square(SIZE, 5, 5, 9))]))
    running = export_annotations(intake, pictures, tmp_path / "out")
    next(running)
    with pytest.raises(ConfigError, match="Another export"):
        export(intake, pictures, tmp_path)
    running.close()
    assert export(intake, pictures, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from export_doubles import Pictures
from labelstudio_backend.learning import Intake, export_annotations
steps = 0
def audit(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove") and "out" in str(arguments[0]):
        steps += 1
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
folder = Path(sys.argv[1])
for _ in export_annotations(Intake(folder / "state"), Pictures((60, 80)), folder / "out"):
    pass
sys.stdout.write(str(steps))
"""


def test_killed_at_any_step_every_picture_has_its_own_mask(
    intake: Intake, pictures: Pictures, tmp_path: Path
) -> None:
    for task in range(1, 7):
        intake.accept(ls.submitted(task, task, [brush(square(SIZE, task, 5, 9))], image=f"/{task}"))
    export(intake, pictures, tmp_path)
    # The second version: another mask and another picture for each.
    for task in range(1, 7):
        intake.accept(
            ls.submitted(task, task, [brush(square(SIZE, 30, 5, 9))], at=5, image=f"/{task}b")
        )
    versions = {
        task: (
            (pictures.image(f"/{task}", 0), square(SIZE, task, 5, 9)),
            (pictures.image(f"/{task}b", 0), square(SIZE, 30, 5, 9)),
        )
        for task in range(1, 7)
    }
    killed = 0
    for instant in sorted(random.Random(2).sample(range(1, 60), 12)):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(instant), str(HERE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode != 0
        for item in read_folder(tmp_path / "out"):
            sample = load_labelled(item)
            pairs = versions[int(item.id.split("-")[1])]
            assert any(
                np.array_equal(sample.image, image) and np.array_equal(sample.labels == 1, mask)
                for image, mask in pairs
            )
    assert killed >= 3
    export(intake, pictures, tmp_path)
    for stem, labels in written(tmp_path).items():
        assert np.array_equal(labels == 1, square(SIZE, 30, 5, 9)), stem
    assert len(written(tmp_path)) == 6
    leftovers = [name for name in os.listdir(tmp_path / "out" / "masks") if ".part" in name]
    assert leftovers == []
