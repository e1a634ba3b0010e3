"""Masks to COCO, SA-1B and YOLO and back, through a real FiftyOne: pixels, classes and scores."""

import numpy as np
import pytest
from exchange_labels import detection, donut, known, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fiftyone_plugin.exchange import (
    ExportSettings,
    Format,
    ImportSettings,
    export_masks,
    import_as_dataset,
    import_masks,
)

SIZE = (40, 60)
BACK = (Format.COCO, Format.SA1B, Format.YOLO)


@pytest.fixture
def dataset(fiftyone_here, tmp_path):
    """Two pictures, one turned by EXIF, with masks of several sorts; and one without."""
    fo = fiftyone_here
    found = fo.Dataset()
    labels = [
        detection(
            fo,
            donut(),
            3,
            5,
            SIZE,
            label="cat",
            confidence=0.75,
            tags=["seen"],
            index=4,
            stability_score=0.5,
            components=2,
            holes=1,
            touches_border=False,
            review="accepted",
            prompt_id="6b0d501879a29b8982847ed1",
            colour="red",
        ),
        detection(fo, np.eye(7, dtype=bool), 53, 33, SIZE, label='a dog, "big" <1>\u00e9'),
        detection(fo, np.ones((40, 60)), 0, 0, SIZE, confidence=0.0, touches_border=True),
    ]
    found.add_samples(
        [
            fo.Sample(picture(tmp_path / "in/a.png", SIZE), masks=fo.Detections(detections=labels)),
            fo.Sample(
                picture(tmp_path / "in/turned.jpg", SIZE, 6),
                masks=fo.Detections(detections=[labels[0].copy()]),
            ),
            fo.Sample(picture(tmp_path / "in/none.png", SIZE)),
        ],
        progress=False,
    )
    yield found
    found.delete()


@pytest.mark.parametrize("format", BACK)
def test_masks_come_back_into_a_new_field(dataset, tmp_path, format):
    out = tmp_path / "out"
    wrote = export_masks(dataset, ExportSettings(format=format, label_field="masks", folder=out))
    assert (wrote.pictures, wrote.objects, wrote.failed) == (3, 4, 0)
    read = import_masks(dataset, ImportSettings(format=format, source=out, label_field="back"))
    assert (read.pictures, read.objects, read.unknown, read.failed) == (3, 4, 0, 0), read.reasons
    scored = format is not Format.YOLO
    for sample in dataset:
        expected = known(sample, "masks", SIZE, scored=scored)
        if not scored:
            expected = [{**each, "label": each["label"] or "object"} for each in expected]
        assert known(sample, "back", SIZE, scored=scored) == expected
    if scored:
        assert dataset.first()["back"].detections[0]["colour"] == "red"
        assert dataset.first()["back"].detections[0]["area"] == donut().sum()
        assert "back.detections.stability_score" in dataset.get_field_schema(flat=True)


@pytest.mark.parametrize("format", BACK)
def test_masks_come_back_as_a_new_dataset(fiftyone_here, dataset, tmp_path, format):
    out = tmp_path / "out"
    export_masks(dataset, ExportSettings(format=format, label_field="masks", folder=out))
    name = f"{dataset.name}-new"
    read = import_as_dataset(
        name, tmp_path / "in", ImportSettings(format=format, source=out, label_field="back")
    )
    new = fiftyone_here.load_dataset(name)
    try:
        assert (len(new), read.pictures, read.objects) == (3, 3, 4), read.reasons
        for old in dataset:
            sample = new[old.filepath]
            ours = [each["pixels"] for each in known(old, "masks", SIZE)]
            assert [each["pixels"] for each in known(sample, "back", SIZE)] == ours
    finally:
        new.delete()


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
scores = st.none() | st.floats(0, 1)
objects = st.tuples(masks, st.integers(0, 40), st.integers(0, 20), scores, st.text(max_size=8))


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=st.lists(objects, max_size=4), inline=st.booleans())
def test_whatever_is_drawn_comes_back(fiftyone_here, dataset, tmp_path_factory, drawn, inline):
    fo = fiftyone_here
    sample = dataset.first()
    labels = []
    for mask, x, y, score, label in drawn:
        plain = "".join(c for c in label if c.isprintable()) or None
        labels.append(detection(fo, mask, x, y, SIZE, label=plain, confidence=score))
    sample["masks"] = fo.Detections(detections=labels)
    sample.save()
    expected = [each for each in known(sample, "masks", SIZE) if any(each["pixels"])]
    for format in BACK:
        out = tmp_path_factory.mktemp("out") / "export"
        export_masks(dataset, ExportSettings(format=format, label_field="masks", folder=out))
        read = import_masks(
            dataset,
            ImportSettings(
                format=format,
                source=out,
                label_field="back",
                overwrite=True,
                max_inline_bytes=1 << 20 if inline else 0,
                folder=str(out / "mask-files"),
            ),
        )
        assert read.failed == 0, read.reasons
        sample.reload()
        names = ("pixels",) if format is Format.YOLO else ("pixels", "label", "confidence")
        back = known(sample, "back", SIZE)
        assert [[b[n] for n in names] for b in back] == [[e[n] for n in names] for e in expected]
        for each in sample["back"].detections:
            assert bool(each.mask_path) is not (inline or each["area"] == 1)
