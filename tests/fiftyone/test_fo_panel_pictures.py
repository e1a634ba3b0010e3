"""Clicks on pictures that are turned by EXIF, of a group, or shown in another shape."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marked_picture import GREEN, MARKS, SIZE, disc, picture
from panel_hands import PanelHands
from PIL import Image

from fiftyone_plugin.labels import mask_of

TURNS = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
}
"""EXIF orientations, and what makes of a picture as it is seen one as it is stored."""


@pytest.fixture
def make(fiftyone_here: Any) -> Iterator[Callable[..., Any]]:
    """``make(sample, ...)``: a dataset of samples; removed at the end."""
    names = []

    def dataset_of(*samples: Any, group: str = "") -> Any:
        dataset = fiftyone_here.Dataset(persistent=True)
        names.append(dataset.name)
        if group:
            dataset.add_group_field("group", default=group)
        dataset.add_samples(samples, progress=False)
        return dataset

    yield dataset_of
    for name in names:
        fiftyone_here.delete_dataset(name)


def turned(file: Path, orientation: int) -> str:
    """A file whose picture is seen as `picture` where its EXIF orientation is minded."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(picture()).transpose(TURNS[orientation])
    exact = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}
    stored.save(file, exif=exif, **exact.get(file.suffix, {}))
    return str(file)


def check_clicks(hands: PanelHands, sample_id: str, *, mirrored: bool = False) -> None:
    """A click on each mark that is seen is one on its pixel."""
    for colour, (x, y) in MARKS.items():
        place = hands.find(colour, 40)
        assert place is not None, colour
        said = hands.click(place)["asked"]
        assert said["sample_id"] == sample_id
        ((column, row, _),) = said["points"]
        across = SIZE[1] - x - 3 if mirrored else x + 3
        assert abs(column * SIZE[1] - across) < 1, colour
        assert abs(row * SIZE[0] - y - 3) < 1, colour
        hands.press("cancel")
        hands.settle()


def iou_with_disc(label: Any, *, mirrored: bool = False) -> float:
    crop, (x0, y0, x1, y1) = mask_of(label, SIZE)
    found = np.zeros(SIZE, bool)
    found[y0:y1, x0:x1] = crop
    truth = disc()[:, ::-1] if mirrored else disc()
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize(
    ("orientation", "ending", "known"), [(3, "jpg", True), (6, "jpg", False), (7, "png", True)]
)
def test_clicks_on_a_turned_picture_are_right(
    hands: PanelHands,
    make: Callable[..., Any],
    fiftyone_here: Any,
    tmp_path: Path,
    orientation: int,
    ending: str,
    known: bool,
) -> None:
    file = turned(tmp_path / f"turned.{ending}", orientation)
    dataset = make(fiftyone_here.Sample(filepath=file))
    if known:
        dataset.compute_metadata(progress=False)
    sample = dataset.first()
    hands.open(dataset, sample.id)
    check_clicks(hands, sample.id)
    hands.click(hands.find(GREEN, 40) or (0, 0))
    hands.page.fill("[data-cy=sam-reprompt-class]", "leaf")
    hands.accept()
    hands.shot("accepted")
    dataset.reload()
    sample.reload()
    assert iou_with_disc(sample["sam_masks"].detections[0]) > 0.8


def test_a_picture_that_browsers_do_not_turn_is_refused(
    hands: PanelHands, make: Callable[..., Any], fiftyone_here: Any, tmp_path: Path
) -> None:
    dataset = make(fiftyone_here.Sample(filepath=turned(tmp_path / "turned.webp", 3)))
    hands.open(dataset, dataset.first().id, wait="failed")
    hands.shot("refused")
    problem = hands.page.locator("[data-cy=sam-reprompt-error]").inner_text()
    assert "EXIF orientation 3" in problem
    assert "as JPEG" in problem


def test_a_picture_that_is_shown_in_another_shape_takes_no_clicks(
    hands: PanelHands, make: Callable[..., Any], fiftyone_here: Any, tmp_path: Path
) -> None:
    file, small, cut = (tmp_path / name for name in ("whole.png", "small.png", "cut.png"))
    Image.fromarray(picture()).save(file)
    Image.fromarray(picture()).resize((200, 150)).save(small)
    Image.fromarray(picture()[:, 100:]).save(cut)
    for shown in (small, cut):
        dataset = make(fiftyone_here.Sample(filepath=str(file), preview=str(shown)))
        dataset.app_config.media_fields = ["filepath", "preview"]
        dataset.app_config.modal_media_field = "preview"
        dataset.save()
        hands.open(dataset, dataset.first().id)
        problem = hands.page.locator("[data-cy=sam-reprompt-error]")
        if shown == small:
            hands.click(hands.find(GREEN, 8) or hands.middle())
            assert not problem.count()
        else:
            assert "clicks would land elsewhere" in problem.inner_text()
            hands.page.mouse.click(*(hands.find(GREEN) or hands.middle()))
            hands.settle()
            assert hands.page.locator("[data-cy=sam-reprompt-unsay]").is_disabled()
            hands.shot("refused")


def test_a_click_before_the_shape_is_known_is_not_accepted_once_it_is_another(
    hands: PanelHands, make: Callable[..., Any], fiftyone_here: Any, tmp_path: Path
) -> None:
    file, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    Image.fromarray(picture()).save(file)
    Image.fromarray(picture()[:, 100:]).save(cut)
    dataset = make(fiftyone_here.Sample(filepath=str(file), preview=str(cut)))
    dataset.app_config.media_fields = ["filepath", "preview"]
    dataset.app_config.modal_media_field = "preview"
    dataset.save()
    preparing = {"state": "preparing", "fields": [], "labels": [], "classes": [], "undo": 0}
    ends = [hands.say(f"reprompt_{name}", preparing) for name in ("open", "click")]
    hands.open(dataset, dataset.first().id, wait="preparing")
    hands.page.mouse.click(*(hands.find(GREEN) or hands.middle()))
    hands.page.wait_for_selector("[data-cy=sam-reprompt-unsay]:enabled")
    hands.page.fill("[data-cy=sam-reprompt-class]", "leaf")
    hands.page.locator("[data-cy=sam-reprompt-class]").blur()
    for end in ends:
        end()
    hands.page.wait_for_selector("[data-cy=sam-reprompt-status]:has-text('Predicted IoU')")
    problem = hands.page.locator("[data-cy=sam-reprompt-error]").inner_text()
    assert "clicks would land elsewhere" in problem
    assert hands.page.locator("[data-cy=sam-reprompt-accept]").is_disabled()
    hands.page.keyboard.press("Enter")
    hands.settle()
    dataset.reload()
    assert not dataset.has_sample_field("sam_masks")


def test_each_slice_of_a_group_gets_its_own_clicks_and_masks(
    hands: PanelHands, make: Callable[..., Any], fiftyone_here: Any, tmp_path: Path
) -> None:
    fo = fiftyone_here
    group = fo.Group()
    samples = []
    for name, pixels in (("left", picture()), ("right", picture()[:, ::-1])):
        file = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(file)
        samples.append(fo.Sample(filepath=str(file), group=group.element(name)))
    dataset = make(*samples, group="left")
    left, right = (dataset[sample.id] for sample in samples)
    hands.open_from_grid(dataset)
    check_clicks(hands, left.id)
    hands.page.locator("[data-cy=group-carousel] [data-cy=looker]").nth(1).click()
    hands.settle()
    hands.page.wait_for_selector("[data-cy=sam-reprompt-overlay]")
    middle = hands.middle()[0]
    hands.wait_for(lambda: (hands.find(GREEN) or (middle, 0))[0] < middle)
    check_clicks(hands, right.id, mirrored=True)
    hands.click(hands.find(GREEN) or (0, 0))
    hands.page.fill("[data-cy=sam-reprompt-class]", "leaf")
    hands.accept()
    hands.shot("accepted")
    hands.wait_for(lambda: hands.find(GREEN) is None)  # the App shows the mask upon it
    dataset.reload()
    for sample in (left, right):
        sample.reload()
    assert left["sam_masks"] is None
    assert iou_with_disc(right["sam_masks"].detections[0], mirrored=True) > 0.8
    hands.take_back()
    right.reload()
    assert right["sam_masks"].detections == []
