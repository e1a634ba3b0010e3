"""Objects for QuPath: what goes out comes back, and foreign documents are read or named."""

import json
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from label_stacks import label_stacks, run

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats import (
    LabelStack,
    ObjectNote,
    from_geojson,
    read_geojson,
    to_feature,
    write_geojson,
)

RING_LABELS = np.array([[7, 7, 7, 0], [7, 0, 7, 0], [7, 7, 7, 0], [0, 0, 0, 7]])


@given(label_stacks(axes=("YX", "XY", "ZYX", "TZYX", "ZTXY")))
@settings(max_examples=80, deadline=None)
def test_labels_round_trip_exactly(tmp_path_factory, stack):
    path = tmp_path_factory.mktemp("geojson") / "a.geojson"
    assert run(write_geojson(path, stack)) == stack.plane_count
    back = read_geojson(path, stack.labels.shape, stack.axes)
    np.testing.assert_array_equal(back.labels, stack.labels)
    features = json.loads(path.read_text("utf-8"))["features"]
    assert len({uuid.UUID(feature["id"]) for feature in features}) == len(features)
    assert [file.name for file in path.parent.iterdir()] == ["a.geojson"]


def test_a_file_is_exactly_what_qupath_writes_and_reads(tmp_path):
    path, notes = (
        tmp_path / "a.geojson",
        {
            7: ObjectNote(
                name="ä cell", classification="Tumor", measurements={"Area": 9, "X": np.nan}
            )
        },
    )
    run(write_geojson(path, LabelStack(RING_LABELS), notes=notes, seed="picture"))
    (feature,) = json.loads(path.read_text("utf-8"))["features"]
    ring = [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]]
    first, second = feature["geometry"]["coordinates"]
    assert first[0] == ring
    assert {tuple(corner) for corner in first[1]} == {(1, 1), (1, 2), (2, 2), (2, 1)}
    assert second == [[[3, 3], [4, 3], [4, 4], [3, 4], [3, 3]]]
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert feature["geometry"]["plane"] == {"c": -1, "z": 0, "t": 0}
    assert feature["properties"] == {
        "objectType": "annotation",
        "name": "ä cell",
        "classification": {"name": "Tumor"},
        "measurements": {"Area": 9.0},
        "metadata": {"label": "7"},
    }
    before = path.read_bytes()
    run(write_geojson(path, LabelStack(RING_LABELS), notes=notes, seed="picture"))
    assert path.read_bytes() == before
    assert to_feature(1, np.ones((1, 1), bool), (0, 0, 1, 1), seed="other")["id"] != feature["id"]


def test_stopping_in_between_leaves_nothing(tmp_path):
    writing = write_geojson(tmp_path / "a.geojson", LabelStack(np.ones((3, 2, 2), int), "ZYX"))
    assert next(writing) == 1
    assert [file.suffix for file in tmp_path.iterdir()] == [".geojson"]
    writing.close()
    assert list(tmp_path.iterdir()) == []


def test_polygons_of_others_are_read_by_their_pixel_centres():
    square = {"type": "Polygon", "coordinates": [[[0.4, 0.4], [2.6, 0.4], [2.6, 1.6], [0.4, 1.6]]]}
    outside = {"type": "Polygon", "coordinates": [[[-9, -9], [90, -9], [90, 1], [-9, 1]]]}
    named = {"type": "Feature", "geometry": outside, "properties": {"name": "40"}}
    bare = {"type": "Feature", "geometry": square, "properties": None}
    for document in ({"features": [named, bare]}, [named, bare]):
        labels = from_geojson(document, (3, 4)).labels
        assert labels.tolist() == [[41, 41, 41, 40], [41, 41, 41, 0], [0, 0, 0, 0]]
    only = {"type": "GeometryCollection", "geometries": [square]}
    assert from_geojson({"geometry": only}, (3, 4)).labels.sum() == 6


POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (3, "list 'features'"),
        ({"features": 3}, "list 'features'"),
        ({"features": [3]}, "list 'features'"),
        ([{"geometry": None}], "Feature 0 cannot be read"),
        ([{"geometry": {"type": "Point", "coordinates": [1, 2]}}], "found 'Point'"),
        ([{"geometry": POLYGON | {"plane": {"z": 4}}}], "z=4"),
        ([{"geometry": POLYGON | {"plane": 5}}], "Feature 0"),
        ([{"geometry": {"type": "Polygon", "coordinates": [[["x", 1]]]}}], "Feature 0"),
        ([{"geometry": {"type": "Polygon", "coordinates": []}}], "rings"),
        ([{"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}], "three"),
        ([{"geometry": {"type": "Polygon", "coordinates": [[[1e999, 0], [1, 1]]]}}], "finite"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(document, words):
    with pytest.raises(DatasetError, match=words):
        from_geojson(document, (3, 4))


def test_a_file_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "notes.geojson"
    path.write_text("[" * 100_000)
    with pytest.raises(DatasetError, match=r"notes\.geojson"):
        read_geojson(path, (3, 4))


def test_an_object_without_pixels_is_refused():
    with pytest.raises(ImageError, match="no pixel"):
        to_feature(3, np.zeros((2, 2), bool), (0, 0, 2, 2))
