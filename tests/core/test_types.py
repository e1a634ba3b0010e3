import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam_plugins.errors import EmbeddingError, PromptError
from sam_plugins.types import Embedding, MaskRecord, Masks, Prompt

POINT = {"point_coords": [(3, 4)], "point_labels": [1]}


def embedding(**changes):
    fields = {
        "features": {"image": np.arange(24, dtype=np.float32).reshape(2, 3, 4)},
        "region": (0, 0, 8, 6),
        "original_size": (6, 8),
        "input_size": (12, 16),
        "padded_size": (16, 16),
        "encoder_id": "e",
        "key": "k",
    }
    return Embedding(**(fields | changes))


def masks(logits, region, original_size, input_size, padded_size, **changes):
    logits = np.asarray(logits, np.float32)
    return Masks(
        low_res_logits=logits,
        iou_predictions=np.linspace(0.1, 0.9, len(logits), dtype=np.float32),
        region=region,
        original_size=original_size,
        input_size=input_size,
        padded_size=padded_size,
        **changes,
    )


class TestPrompt:
    def test_keeps_what_it_is_given(self):
        prompt = Prompt(
            point_coords=[(1, 2), (3.5, 4)],
            point_labels=[1, 0],
            box=[1, 2, 3, 4],
            mask_input=np.ones((1, 4, 4)),
            mask_region=[0, 0, 9, 9],
        )
        assert prompt.point_coords.dtype == np.float32
        assert prompt.point_coords.tolist() == [[1, 2], [3.5, 4]]
        assert prompt.point_labels.dtype == np.int32
        assert prompt.point_labels.tolist() == [1, 0]
        assert prompt.box.dtype == np.float32
        assert prompt.mask_input.shape == (1, 4, 4)
        assert prompt.mask_input.dtype == np.float32
        assert prompt.mask_region == (0, 0, 9, 9)

    def test_box_corners_come_in_any_order(self):
        assert Prompt(box=(9, 2, 3, 8)).box.tolist() == [3, 2, 9, 8]
        assert Prompt(box=[[9, 8, 3, 2]]).box.tolist() == [3, 2, 9, 8]

    def test_two_dimensional_mask_gains_an_axis(self):
        assert Prompt(mask_input=np.zeros((5, 7))).mask_input.shape == (1, 5, 7)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({}, "has none"),
            ({"point_coords": np.zeros((0, 2)), "point_labels": []}, "has none"),
            ({"point_labels": [1]}, "without point_coords"),
            ({"point_coords": [(1, 2)]}, "no point_labels"),
            ({"point_coords": [1, 2], "point_labels": [1]}, r"shape \(N, 2\)"),
            ({"point_coords": [(1, 2, 3)], "point_labels": [1]}, r"found \(1, 3\)"),
            ({"point_coords": [(1, 2)], "point_labels": [1, 0]}, "one label per point"),
            ({"point_coords": [(1, 2)], "point_labels": [2]}, r"found \[2"),
            ({"point_coords": [(1, 2)], "point_labels": [-1]}, r"found \[-1"),
            ({"point_coords": [(1, 2)], "point_labels": [0.5]}, "point_labels"),
            ({"point_coords": [(np.nan, 2)], "point_labels": [1]}, "finite"),
            ({"point_coords": [(1, 2)], "point_labels": [np.inf]}, "finite"),
            ({"point_coords": [("a", 2)], "point_labels": [1]}, "must be numbers"),
            ({"point_coords": [(1, 2), (3,)], "point_labels": [1, 1]}, "must be numbers"),
            ({"box": (1, 2, 3)}, "four numbers"),
            ({"box": [[1, 2, 3, 4], [1, 2, 3, 4]]}, "four numbers"),
            ({"box": (1, 2, 1, 4)}, "area"),
            ({"box": (1, 2, 3, np.inf)}, "finite"),
            ({"mask_input": np.zeros((2, 4, 4))}, "low-resolution"),
            ({"mask_input": np.zeros((0, 4))}, "low-resolution"),
            ({"mask_input": np.full((4, 4), np.nan)}, "finite"),
            ({**POINT, "mask_region": (1, 2, 3)}, "mask_region"),
            ({**POINT, "box": (1e300, 0, 1, 1)}, "finite"),
        ],
    )
    def test_refuses(self, fields, said):
        with pytest.raises(PromptError, match=said):
            Prompt(**fields)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            (POINT, True),
            ({**POINT, "mask_input": np.zeros((4, 4))}, True),
            ({**POINT, "box": (0, 0, 2, 2)}, False),
            ({"point_coords": [(1, 2), (3, 4)], "point_labels": [1, 0]}, False),
            ({"box": (0, 0, 2, 2)}, False),
            ({"mask_input": np.zeros((4, 4))}, False),
        ],
    )
    def test_only_one_point_is_ambiguous(self, fields, expected):
        assert Prompt(**fields).is_ambiguous is expected

    def test_does_not_follow_its_source(self):
        coords, box, mask = np.array([[1.0, 2.0]]), np.array([1.0, 2, 3, 4]), np.zeros((1, 3, 3))
        prompt = Prompt(point_coords=coords, point_labels=[1], box=box, mask_input=mask)
        coords[:], box[:], mask[:] = 9, 9, 9
        assert prompt.point_coords.tolist() == [[1, 2]]
        assert prompt.box.tolist() == [1, 2, 3, 4]
        assert not prompt.mask_input.any()

    def test_is_frozen(self):
        prompt = Prompt(box=(1, 2, 3, 4))
        with pytest.raises(FrozenInstanceError):
            prompt.box = None
        with pytest.raises(ValueError, match="read-only"):
            prompt.box[0] = 7

    @pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy])
    def test_survives_a_copy(self, again):
        prompt = again(Prompt(**POINT, box=(1, 2, 3, 4), mask_input=np.ones((4, 4))))
        assert prompt.point_coords.tolist() == [[3, 4]]
        assert prompt.point_labels.tolist() == [1]
        assert prompt.box.tolist() == [1, 2, 3, 4]
        assert prompt.mask_input.all()
        assert prompt.mask_region is None
        assert not prompt.box.flags.writeable


class TestEmbedding:
    def test_is_frozen_and_owns_its_features(self):
        source = np.zeros((1, 2, 2), np.float32)
        value = embedding(features={"image": source})
        source[:] = 1
        assert not value.features["image"].any()
        with pytest.raises(ValueError, match="read-only"):
            value.features["image"][:] = 2
        with pytest.raises(TypeError):
            value.features["other"] = source
        with pytest.raises(FrozenInstanceError):
            value.key = "other"

    def test_a_read_only_view_of_somebody_elses_array_is_copied(self):
        source = np.zeros((1, 2, 2), np.float32)
        view = source[:]
        view.setflags(write=False)
        value = embedding(features={"image": view})
        source[:] = 1
        assert not value.features["image"].any()

    def test_counts_its_bytes(self):
        maps = {"a": np.zeros((2, 3, 4), np.float32), "b": np.zeros((1, 5, 5), np.float32)}
        assert embedding(features=maps).nbytes == 4 * (24 + 25)

    @pytest.mark.parametrize(
        "features", [{}, {"a": np.zeros((2, 3))}, {"a": np.zeros((1, 2, 3, 4))}]
    )
    def test_refuses_what_is_no_map(self, features):
        with pytest.raises(EmbeddingError, match=r"\(c, h, w\)"):
            embedding(features=features)

    def test_survives_pickling_and_replacing(self):
        value = embedding()
        for other in (pickle.loads(pickle.dumps(value)), replace(value)):
            assert np.array_equal(other.features["image"], value.features["image"])
            for name in (
                "region",
                "original_size",
                "input_size",
                "padded_size",
                "encoder_id",
                "key",
            ):
                assert getattr(other, name) == getattr(value, name)

    def test_sizes_become_plain_integers(self):
        value = embedding(region=np.array([0, 0, 8, 6]), original_size=np.array([6, 8]))
        assert value.region == (0, 0, 8, 6)
        assert all(type(v) is int for v in (*value.region, *value.original_size))


class TestMasks:
    def test_ranks_by_predicted_iou(self):
        value = masks(np.ones((3, 4, 4)), (0, 0, 4, 4), (4, 4), (4, 4), (4, 4))
        assert len(value) == 3
        assert value.best_index == 2
        assert value.ranked == (2, 1, 0)

    def test_equal_scores_keep_their_order(self):
        value = masks(np.ones((3, 4, 4)), (0, 0, 4, 4), (4, 4), (4, 4), (4, 4))
        value = replace(value, iou_predictions=np.full(3, 0.5, np.float32))
        assert value.best_index == 0
        assert value.ranked == (0, 1, 2)

    def test_is_false_outside_its_region(self):
        value = masks(np.ones((1, 4, 4)), (3, 2, 7, 5), (9, 11), (12, 16), (16, 16))
        expected = np.zeros((9, 11), bool)
        expected[2:5, 3:7] = True
        assert np.array_equal(value.best(), expected)
        crop, box = value.crop(0)
        assert box == (3, 2, 7, 5)
        assert crop.all()
        assert crop.shape == (3, 4)

    def test_threshold_is_exclusive(self):
        value = masks(np.full((1, 2, 2), 0.5), (0, 0, 4, 4), (4, 4), (4, 4), (4, 4))
        assert replace(value, mask_threshold=0.49).best().all()
        assert not replace(value, mask_threshold=0.5).best().any()

    def test_empty_mask(self):
        value = masks(np.full((1, 4, 4), -1), (2, 1, 6, 5), (8, 8), (4, 4), (4, 4))
        crop, (x0, y0, x1, y1) = value.crop(0)
        assert crop.shape == (0, 0)
        assert (x1 - x0) * (y1 - y0) == 0
        assert not value.masks.any()
        assert value.masks.shape == (1, 8, 8)

    def test_padding_is_never_seen(self):
        logits = np.full((1, 16, 16), -5.0)
        logits[:, 9:] = 50
        value = masks(logits, (0, 0, 20, 10), (10, 20), (32, 64), (64, 64))
        assert not value.masks.any()

    def test_refuses_scores_that_do_not_match(self):
        with pytest.raises(ValueError, match=r"\(C, h, w\)"):
            Masks(
                low_res_logits=np.zeros((2, 4, 4), np.float32),
                iou_predictions=np.zeros(3, np.float32),
                region=(0, 0, 4, 4),
                original_size=(4, 4),
                input_size=(4, 4),
                padded_size=(4, 4),
            )

    def test_survives_pickling(self):
        value = masks(np.random.randn(3, 8, 8), (0, 0, 9, 7), (7, 9), (12, 16), (16, 16))
        other = pickle.loads(pickle.dumps(replace(value, mask_threshold=0.25)))
        assert np.array_equal(other.low_res_logits, value.low_res_logits)
        assert np.array_equal(other.iou_predictions, value.iou_predictions)
        assert other.mask_threshold == 0.25
        assert not other.low_res_logits.flags.writeable

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_crop_is_the_whole_mask_cut_out(self, data):
        """Sparse logits at any size: the crop computes a part, `logits` the whole."""
        padded = data.draw(st.integers(4, 40), label="padded")
        low = data.draw(st.integers(2, padded + 8), label="low_res")
        height = data.draw(st.integers(1, 70), label="height")
        width = data.draw(st.integers(1, 70), label="width")
        scale = padded / max(height, width)
        inside = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        x0, y0 = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
        logits = np.full((low, low), -1.0, np.float32)
        cells = data.draw(
            st.lists(st.tuples(st.integers(0, low - 1), st.integers(0, low - 1)), max_size=4)
        )
        for row, column in cells:
            logits[row, column] = data.draw(st.sampled_from([0.01, 1.0, 100.0]))
        value = masks(
            logits[None],
            (x0, y0, x0 + width, y0 + height),
            (y0 + height + 3, x0 + width + 2),
            inside,
            (padded, padded),
        )
        expected = np.zeros(value.original_size, bool)
        expected[y0 : y0 + height, x0 : x0 + width] = value.logits(0) > 0
        assert np.array_equal(value.mask(0), expected)
        crop, box = value.crop(0)
        if expected.any():
            rows, columns = np.nonzero(expected)
            assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.array_equal(crop, expected[box[1] : box[3], box[0] : box[2]])
        else:
            assert crop.size == 0

    @settings(max_examples=40, deadline=None)
    @given(
        hnp.arrays(np.float32, (5, 6), elements=st.floats(-4, 4, width=32)),
        st.floats(-3, 3, width=32),
    )
    def test_crop_heeds_the_threshold(self, logits, threshold):
        value = masks(
            logits[None], (0, 0, 37, 23), (23, 37), (20, 32), (32, 32), mask_threshold=threshold
        )
        assert np.array_equal(value.mask(0), value.logits(0) > threshold)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, (4, 4), elements=st.sampled_from([-3.0, -0.5, 2.0])),
    st.sampled_from([-1.0, 0.0, 1.0, 5.0]),
)
def test_logits_above_leaves_out_nothing_that_is_above(logits, threshold):
    value = masks(logits[None], (3, 2, 40, 25), (30, 50), (20, 32), (32, 32))
    found, (x0, y0, x1, y1) = value.logits_above(0, threshold)
    above = np.zeros((30, 50), bool)
    above[y0:y1, x0:x1] = found > threshold
    expected = np.zeros((30, 50), bool)
    expected[2:25, 3:40] = value.logits(0) > threshold
    assert np.array_equal(above, expected)


def test_mask_record_hides_its_pixels_in_repr():
    record = MaskRecord(
        segmentation={"size": [4, 4], "counts": "secret"},
        box=(0, 0, 1, 1),
        area=1,
        predicted_iou=0.5,
        stability_score=0.5,
        point_coords=(0.0, 0.0),
        crop_box=(0, 0, 4, 4),
    )
    assert "secret" not in repr(record)
    assert asdict(pickle.loads(pickle.dumps(record))) == asdict(record)
