"""Prompts in layers: what is drawn is what is asked, and what is written can be read again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_plugin.session.draft import Draft
from napari_plugin.session.prompt_layers import PromptLayers
from napari_plugin.values import Plane, PromptSet, Scribble

PLANE = Plane(1, 2, (3, 0, 0))


def made(ndim=3):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((8, 40, 50), np.uint8))
    changes = []
    layers = PromptLayers(viewer, ndim, {"scale": (2, 1, 1)}, lambda: changes.append(1))
    return viewer, layers, changes


numbers = st.integers(-400, 4000).map(lambda n: n / 8)
points = st.tuples(numbers, numbers, st.integers(0, 1))
boxes = st.tuples(numbers, numbers, st.integers(1, 90), st.integers(1, 90)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
lines = st.builds(
    Scribble,
    st.lists(st.tuples(numbers, numbers), min_size=2, max_size=4, unique=True).map(tuple),
    st.integers(0, 1),
)
said = st.builds(
    PromptSet,
    st.lists(points, max_size=3).map(tuple),
    # A second box of an object on a plane becomes an object of its own.
    st.lists(boxes, max_size=1).map(tuple),
    st.lists(lines, max_size=2).map(tuple),
)
planes = st.integers(0, 7).map(lambda z: Plane(1, 2, (z, 0, 0)))
drafts = st.dictionaries(
    st.integers(1, 4), st.dictionaries(planes, said, max_size=2), max_size=2
).map(Draft)


@settings(max_examples=40, deadline=None)
@given(drafts)
def test_what_is_written_is_read(draft):
    _, layers, changes = made()
    layers.write(draft)
    assert layers.read(1, 2, Draft()) == draft
    assert changes == []
    assert Draft.from_json(draft.to_json()) == draft


def test_a_click_is_read_with_its_sign_object_and_plane():
    _, layers, changes = made()
    layers.set_number(2)
    layers.add_point(PLANE, (7.25, 5.0), "background")
    layers.add_point(PLANE.at(0, 5), (1, 2), "object")
    draft = layers.read(1, 2, Draft())
    assert draft.get(2, PLANE) == PromptSet(points=((7.25, 5.0, 0),))
    assert draft.get(2, PLANE.at(0, 5)) == PromptSet(points=((1, 2, 1),))
    assert len(changes) == 2


def test_edits_of_the_user_are_changes():
    viewer, layers, changes = made()
    layers.add_point(PLANE, (7, 5), "object")
    layers.add_point(PLANE, (9, 5), "object")
    changes.clear()
    layers.points.features = {"label": ["object", "background"], "object": [1, 1]}
    assert changes
    assert layers.read(1, 2, Draft()).get(1, PLANE).points == ((7, 5, 1), (9, 5, 0))
    assert not np.allclose(*layers.points.face_color)
    changes.clear()
    layers.points.selected_data = {0}
    layers.points.remove_selected()
    assert changes
    assert layers.read(1, 2, Draft()).get(1, PLANE).points == ((9, 5, 0),)
    changes.clear()
    viewer.layers.remove(layers.points)
    assert changes
    assert not layers.read(1, 2, Draft())
    layers.add_point(PLANE, (1, 1), "object")
    assert layers.read(1, 2, Draft()).get(1, PLANE).points == ((1, 1, 1),)


def test_layers_keep_their_meaning_when_renamed_and_do_not_take_the_selection():
    viewer, layers, _ = made()
    image = viewer.layers[0]
    viewer.layers.selection.active = image
    layers.add_point(PLANE, (7, 5), "object")
    assert viewer.layers.selection.active is image
    layers.points.name = "renamed"
    assert layers.read(1, 2, Draft()).get(1, PLANE).points == ((7, 5, 1),)
    assert layers.points.name == "renamed"


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "polygon"])
def test_closed_shapes_are_boxes_by_the_edges_of_pixels(kind):
    _, layers, changes = made()
    corners = np.array([[3, 9.5, 19.5], [3, 9.5, 29.5], [3, 14.5, 29.5], [3, 14.5, 19.5]])
    layers.shapes.add(corners, shape_type=kind)
    assert layers.read(1, 2, Draft()).get(1, PLANE).boxes == ((20, 10, 30, 15),)
    assert changes


def test_a_box_without_area_is_a_pixel():
    _, layers, _ = made()
    layers.shapes.add(np.array([[3, 9, 19]] * 4), shape_type="rectangle")
    x0, y0, x1, y1 = layers.read(1, 2, Draft()).get(1, PLANE).boxes[0]
    assert (x1 - x0, y1 - y0) == (1, 1)


def test_a_chosen_answer_lasts_until_the_first_step_changes():
    _, layers, _ = made()
    layers.add_point(PLANE, (7, 5), "object")
    draft = layers.read(1, 2, Draft()).with_answer(1, PLANE, 2)
    layers.add_point(PLANE, (8, 5), "background")
    draft = layers.read(1, 2, draft)
    assert draft.get(1, PLANE).answer == 2
    layers.points.data = np.array([[3, 6, 7], [3, 5, 8]])
    assert layers.read(1, 2, draft).get(1, PLANE).answer is None


def test_a_mask_to_start_from_is_kept():
    _, layers, _ = made()
    mask = {"size": [40, 50], "counts": "abc"}
    draft = Draft({1: {PLANE: PromptSet(mask=mask)}})
    layers.write(draft)
    layers.add_point(PLANE, (7, 5), "background")
    assert layers.read(1, 2, draft).get(1, PLANE) == PromptSet(points=((7, 5, 0),), mask=mask)


def test_interactions_are_what_was_said():
    said = PromptSet(
        points=((1, 2, 1),),
        boxes=((0, 0, 5, 5), (1, 1, 6, 6)),
        scribbles=(Scribble(((1, 1), (4, 4)), 0),),
        answer=1,
    )
    asked = said.interaction()
    assert asked.points == said.points
    assert asked.box == (1, 1, 6, 6)
    assert asked.scribbles == ((((1, 1), (4, 4)), 0),)
    assert asked.answer == 1
