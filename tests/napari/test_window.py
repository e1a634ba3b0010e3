"""The main path in a real window: real clicks, drags and keys, the real `nano` in its process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)

from display_of_tests import has_display
from hands import Hands
from qtpy.QtWidgets import QAbstractButton, QComboBox, QSpinBox, QWidget

from napari_plugin.ui.keys import KEYS
from sam_plugins import load_sample, load_volume_sample
from sam_plugins.formats import read_label_tiff
from sam_plugins.masks import mask_iou, mask_to_box

pytestmark = [pytest.mark.window, pytest.mark.slow]


@pytest.fixture
def hands(window, wait_until, shots, request):
    made = Hands(window, wait_until, shots, request.node.name.removeprefix("test_"))
    yield made
    made.close()


def object_at(truth, xy):
    return truth == truth[int(xy[1]), int(xy[0])]


def whole_objects(truth, count):
    """Numbers of the largest objects that do not touch the edge."""
    edge = np.unique(np.concatenate((truth[0], truth[-1], truth[:, 0], truth[:, -1])))
    areas = np.bincount(truth.ravel())
    areas[edge] = 0
    return np.argsort(-areas)[:count].tolist()


def middle(mask):
    x0, y0, x1, y1 = mask_to_box(mask)
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_prompt_keep_undo_everything(hands, window):
    sample = load_sample("nuclei")
    (layer,) = window.open_sample("sam-plugins", "nuclei")
    hands.shot("opened")
    hands.use(layer)
    hands.shot("begun")
    assert hands.session.tools.prompting

    # A click, and one beside it.
    xy = sample.points[0][:2]
    hands.click(xy)
    shown = hands.session.preview.layer
    assert not hands.session.preview.is_empty
    hands.shot("clicked")
    outside = (mask_to_box(object_at(sample.truth, xy))[2] + 6, xy[1])
    hands.click(outside, ctrl=True)
    (said,) = hands.session.draft.objects[1].values()
    assert [point[2] for point in said.points] == [1, 0]
    assert np.allclose(said.points[0][:2], xy, atol=0.8)

    # Next answer, undo of a prompt, keep.
    hands.key("U")
    (said,) = hands.session.draft.objects[1].values()
    assert [point[2] for point in said.points] == [1]
    hands.click(outside, right=True)
    (said,) = hands.session.draft.objects[1].values()
    assert [point[2] for point in said.points] == [1, 0]
    hands.key("U")
    before = np.asarray(shown.data).sum()
    hands.key("G")
    assert hands.widget.prompts.answer.text().startswith("answer 2 of 3")
    assert np.asarray(shown.data).sum() != before
    hands.key("U")
    hands.key("K")
    assert not hands.session.has_draft
    assert mask_iou(hands.labels() == 1, object_at(sample.truth, xy)) > 0.7
    hands.shot("kept")

    # A box by dragging; panning while prompting draws nothing.
    centre = window.scene.camera.center
    hands.drag(xy, (xy[0] + 40, xy[1] + 30))
    assert window.scene.camera.center != centre
    assert not hands.session.has_draft
    boxed = whole_objects(sample.truth, 3)[1]
    x0, y0, x1, y1 = mask_to_box(sample.truth == boxed)
    hands.key("Shift+B")
    assert hands.session.tools.drawing == "box"
    hands.drag((x0 - 3, y0 - 3), (x1 + 2, y1 + 2))
    hands.key("Shift+B")
    hands.shot("boxed")
    hands.key("K")
    assert mask_iou(hands.labels() == 2, sample.truth == boxed) > 0.8

    # Undo and redo of what was kept; open again, with its prompts.
    hands.key("U")
    assert not (hands.labels() == 2).any()
    hands.key("U")
    hands.key("Shift+U")
    hands.key("Shift+U")
    assert (hands.labels() == 2).any()
    hands.click(xy, shift=True)
    assert hands.session.open_ids == (1,)
    hands.key("Q")
    hands.hover(xy)
    hands.key("Shift+D")
    assert not (hands.labels() == 1).any()
    hands.key("U")
    assert (hands.labels() == 1).any()

    # Everything, stopped half way, then the whole.
    hands.widget.tabs.setCurrentWidget(hands.widget.everything)
    hands.widget.everything.points.setValue(24)
    hands.press(hands.widget.everything.go)
    bar = hands.widget.everything.progress
    hands.wait(lambda: bar.isVisible() and bar.value() > 60, what="progress")
    hands.press(hands.widget.everything.halt)
    hands.wait(lambda: not hands.widget.jobs.running, what="the end of the search")
    stopped = len(hands.session.found.masks)
    assert stopped > 0
    hands.shot("everything-stopped")
    hands.key("Q")
    hands.widget.everything.points.setValue(10)
    hands.press(hands.widget.everything.go)
    hands.wait(lambda: not hands.widget.jobs.running, what="the end of the search")
    hands.shot("everything")
    kept = len(hands.session.target.book.records)
    hands.key("K")
    assert len(hands.session.target.book.records) > kept
    hands.shot("everything-kept")
    assert [text for kind, text in hands.said if kind == "error"] == []


def test_follow_through_z(hands, window):
    sample = load_volume_sample("z_stack")
    (layer,) = window.open_sample("sam-plugins", "z_stack")
    truth = sample.truth
    areas = [(truth == number).sum() for number in range(1, truth.max() + 1)]
    number = int(np.argmax(areas)) + 1
    there = np.flatnonzero((truth == number).any((1, 2)))
    frame = int(there[len(there) // 2])
    window.dims.set_current_step(0, frame)
    hands.use(layer)
    assert tuple(hands.session.target.labels.scale) == sample.scale
    hands.click(middle(truth[frame] == number))
    hands.shot("prompted")
    panel = hands.widget.volume
    hands.widget.tabs.setCurrentWidget(panel)
    assert panel.axis.currentText() == "z (24)"
    hands.press(panel.go)
    hands.wait(lambda: not hands.widget.jobs.running, what="the end of the run", timeout=120)
    hands.shot("followed")
    window.dims.set_current_step(0, frame + 2)
    hands.shot("two-slices-on")
    hands.key("K")
    kept = hands.labels()
    assert np.unique(kept).tolist() == [0, 1]
    found = np.flatnonzero((kept == 1).any((1, 2)))
    assert abs(found[0] - there[0]) <= 1
    assert abs(found[-1] - there[-1]) <= 1
    ious = [mask_iou(kept[z] == 1, truth[z] == number) for z in there]
    assert np.mean(ious) > 0.7
    hands.key("U")
    assert not hands.labels().any()


def test_a_killed_window_is_taken_up_by_the_next(hands, window, tmp_path):
    path = tmp_path / "labels.npy"
    script = Path(__file__).with_name("killed_window.py")
    first = subprocess.Popen(
        [sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        said = first.stdout.readline()
        assert said == "kept\n"
    finally:
        first.kill()
        first.wait()
    kept = np.load(path)
    assert set(np.unique(kept)) == {0, 1, 7}

    (layer,) = window.open_sample("sam-plugins", "nuclei")
    hands.use(layer)
    hands.wait(hands.widget.recovery.isVisible, what="the offer")
    hands.shot("offered")
    assert not hands.labels().any()
    hands.press(hands.widget.recovery.take)
    np.testing.assert_array_equal(hands.labels(), kept)
    # What was open is open again, with the click that was not kept.
    hands.wait(lambda: not hands.session.is_waiting)
    assert hands.session.open_ids == (1,)
    (said,) = hands.session.draft.objects[1].values()
    assert [point[2] for point in said.points] == [1, 0]
    assert not hands.widget.recovery.isVisible()
    hands.shot("restored")


def test_keys_work_whichever_layer_is_active_and_are_not_naparis(hands, window):
    (layer,) = window.open_sample("sam-plugins", "nuclei")
    hands.use(layer)
    from napari.settings import get_settings

    taken = {
        str(key).replace("Ctrl", "Control")
        for keys in get_settings().shortcuts.shortcuts.values()
        for key in keys
    }
    assert not taken & {key for key, _ in KEYS.values()}
    points, shapes = hands.session.prompts.points, hands.session.prompts.shapes
    for active in (layer, points, shapes, hands.session.target.labels):
        own = {str(key) for key in active.keymap} | {str(key) for key in active.class_keymap}
        assert not own & {key for key, _ in KEYS.values()}
        window.layers.selection.active = active
        hands.settle(0.05)
        before = hands.session.tools.prompting
        hands.key("W")
        assert hands.session.tools.prompting != before
        if hands.session.tools.prompting:
            hands.key("W")


def test_buttons_for_kept_objects_wait_for_a_click_and_panels_can_be_used(hands, window):
    sample = load_sample("nuclei")
    (layer,) = window.open_sample("sam-plugins", "nuclei")
    hands.use(layer)
    xy = sample.points[0][:2]
    hands.click(xy)
    hands.key("K")
    buttons = hands.widget.prompts.buttons
    hands.press(buttons["delete"])
    assert buttons["delete"].isChecked()
    hands.press(buttons["delete"])
    assert not buttons["delete"].isChecked()
    hands.press(buttons["delete"])
    hands.shot("picking")
    hands.click(xy)
    assert not (hands.labels() == 1).any()
    assert not hands.session.has_draft
    # The sign that is set counts for clicks, and Ctrl always says background.
    hands.press(buttons["background"])
    hands.click(xy)
    (said,) = hands.session.draft.objects[1].values()
    assert said.points[0][2] == 0
    assert any("click on the object first" in text for _, text in hands.said)
    hands.key("Q")
    hands.press(buttons["background"])
    # Every panel shows its controls at a size at which they can be used.
    tabs = hands.widget.tabs
    for index in range(tabs.count()):
        tabs.setCurrentIndex(index)
        hands.shot(f"tab-{index}")
        for child in tabs.widget(index).findChildren(QWidget):
            if child.isVisible() and isinstance(child, QComboBox | QAbstractButton | QSpinBox):
                assert child.width() >= 12, child
                assert child.height() >= 12, child


def test_a_model_that_cannot_be_had_is_a_sentence_and_the_window_lives(hands, window, tmp_path):
    (layer,) = window.open_sample("sam-plugins", "nuclei")
    hands.use(layer)
    wrong = tmp_path / "wrong.pth"
    wrong.write_bytes(b"no weights")
    models = hands.widget.models
    models.show_model(str(wrong))
    models._opened()
    hands.wait(lambda: hands.widget.service.state.phase == "failed", what="the failure")
    hands.wait(lambda: any(kind == "error" for kind, _ in hands.said), what="a sentence")
    assert "wrong.pth" in hands.widget.model_line.text()
    hands.shot("wrong-model")
    models.show_model("nano")
    models._opened()
    hands.wait(lambda: hands.widget.service.state.phase == "ready", what="nano")
    hands.click(load_sample("nuclei").points[0][:2])
    assert not hands.session.preview.is_empty


def test_make_napari_opens_a_window_that_is_ready_for_clicks(
    require, wait_until, monkeypatch, shots
):
    require("display", has_display())
    import napari

    from napari_plugin import __main__ as command

    seen = []

    def look():
        viewer = napari.current_viewer()
        names = [layer.name for layer in viewer.layers]
        (dock,) = viewer.window.dock_widgets.values()
        wait_until(lambda: dock.annotator.target is not None, what="the picture")
        wait_until(lambda: dock.service.state.phase == "ready", what="the model")
        viewer.screenshot(str(shots / "make-napari.png"), canvas_only=False, flash=False)
        seen.append((names, dock.annotator.tools.prompting))
        dock.shut()
        viewer.close()

    monkeypatch.setattr(napari, "run", look)
    assert command.main() == 0
    assert seen == [(["Nuclei through z", "Fluorescent nuclei"], True)]


def test_a_series_is_saved_as_one_goes_and_exported(hands, window, tmp_path):
    from PIL import Image

    sample = load_sample("nuclei")
    folder, out = tmp_path / "wells", tmp_path / "export"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(sample.image[..., 0]).save(folder / f"{name}.png")

    def begun(name):
        hands.wait(
            lambda: hands.session.target is not None and hands.session.target.name == name,
            what=f"the picture {name}",
        )
        hands.image = hands.session.target.layers[0]
        hands.settle()

    def pressed(text):
        (button,) = (b for b in panel.findChildren(QAbstractButton) if b.text() == text)
        hands.press(button)

    panel = hands.widget.folder
    hands.widget._open_series(folder)
    begun("a")
    hands.wait(lambda: hands.widget.service.state.phase == "ready", what="the model")
    hands.click(sample.points[0][:2])
    hands.key("K")
    kept = hands.labels().copy()
    assert kept.any()

    export = hands.widget.export
    hands.widget.tabs.setCurrentWidget(export)
    export.folder.setText(str(out))
    hands.press(export.go)
    hands.wait(lambda: hands.widget._export is None, what="the files")
    assert sorted(path.name for path in out.iterdir()) == ["a.labels.ome.tif", "a.sam.json"]
    np.testing.assert_array_equal(read_label_tiff(out / "a.labels.ome.tif").labels, kept)
    hands.press(export.go)
    hands.wait(lambda: hands.widget._export is None, what="the refusal")
    assert any("would have to be replaced" in text for kind, text in hands.said if kind == "error")

    hands.widget.tabs.setCurrentWidget(panel)
    pressed("Done")
    begun("b")
    assert not hands.labels().any()
    pressed("Skip")
    begun("c")
    hands.shot("third")
    assert [entry.state for entry in hands.widget.series.series.entries] == [
        "done",
        "skipped",
        "open",
    ]
    pressed("Previous")
    begun("b")
    pressed("Previous")
    begun("a")
    np.testing.assert_array_equal(hands.labels(), kept)
    assert [layer.name for layer in window.layers if type(layer).__name__ == "Image"] == ["a"]
