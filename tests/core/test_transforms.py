import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from sam_plugins.errors import ImageError, PromptError
from sam_plugins.masks import mask_iou
from sam_plugins.testing import sample_image
from sam_plugins.transforms import (
    boxes_from_input,
    boxes_to_input,
    checked_region,
    embedding_key,
    mask_to_logits,
    normalised,
    points_to_input,
    prompt_to_input,
    resize_longest_side,
    resized_size,
    window_of,
)
from sam_plugins.types import Embedding, Masks, Prompt

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def embedding(region=(0, 0, 60, 40), original_size=(40, 60), side=64):
    x0, y0, x1, y1 = region
    return Embedding(
        features={"image": np.zeros((1, 2, 2), np.float32)},
        region=region,
        original_size=original_size,
        input_size=resized_size((y1 - y0, x1 - x0), side),
        padded_size=(side, side),
        encoder_id="e",
        key="k",
    )


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1500, 2000), (768, 1024)),
        ((2000, 1500), (1024, 768)),
        ((1024, 1024), (1024, 1024)),
        ((333, 500), (682, 1024)),
        ((1, 5000), (1, 1024)),
        ((3, 4), (768, 1024)),
        ((427, 640), (683, 1024)),
    ],
)
def test_resized_size(size, expected):
    assert resized_size(size, 1024) == expected


def test_resizing_is_pillows_and_rounded_to_bytes():
    image = sample_image(90, 120)
    found = resize_longest_side(image, 64)
    expected = PillowImage.fromarray(image).resize((64, 48), PillowImage.Resampling.BILINEAR)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.asarray(expected))


def test_resizing_is_antialiased():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert resize_longest_side(stripes, 64)[:, 4:-4].std() < 3


def test_an_image_of_the_right_size_stays_as_it_is():
    image = sample_image(30, 64)
    assert np.array_equal(resize_longest_side(image, 64), image)


def test_pixels_are_normalised_before_they_are_padded():
    image = sample_image(20, 32)
    found = normalised(image, 32, MEAN, STD)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = (tensor - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert found.shape == (3, 32, 32)
    assert found.dtype == np.float32
    assert np.array_equal(found[:, :20], expected.numpy())
    assert not found[:, 20:].any()


def test_window_is_a_view():
    image = sample_image(20, 30)
    window = window_of(image, (5, 2, 12, 9))
    assert np.shares_memory(window, image)
    assert np.array_equal(window, image[2:9, 5:12])


def test_region_defaults_to_the_whole_image():
    assert checked_region(sample_image(20, 30), None) == (0, 0, 30, 20)
    assert checked_region(sample_image(20, 30), np.array([1, 2, 3, 4])) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "uint8"),
        ("cells.tif", "load_image"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4), np.uint8), r"found \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"found \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
    ],
)
def test_refuses_what_is_no_image(image, said):
    with pytest.raises(ImageError, match=said):
        checked_region(image, None)


@pytest.mark.parametrize("region", [(0, 0, 4), (0, 0, 31, 4), (5, 5, 5, 9), (-1, 0, 3, 3)])
def test_refuses_a_region_outside(region):
    with pytest.raises(ImageError, match=r"[Rr]egion"):
        checked_region(sample_image(20, 30), region)


def test_keys_follow_pixels_shape_and_encoder_only():
    image = sample_image(20, 30)
    key = embedding_key(image, "a")
    assert key == embedding_key(image.copy(), "a")
    assert key == embedding_key(np.pad(image, ((3, 3), (2, 2), (0, 0)))[3:-3, 2:-2], "a")
    changed = image.copy()
    changed[7, 7, 0] ^= 1
    others = {
        embedding_key(changed, "a"),
        embedding_key(image, "b"),
        embedding_key(image.reshape(30, 20, 3), "a"),
        embedding_key(image[:-1], "a"),
    }
    assert len(others | {key}) == 5


def test_points_follow_the_published_arithmetic():
    """Per axis by new / old, in float64, then float32."""
    points = np.array([(0, 0), (1999, 1499), (123.4, 567.8)])
    found = points_to_input(points, (0, 0, 2000, 1500), (768, 1024))
    expected = points.copy()
    expected[:, 0] = expected[:, 0] * (1024 / 2000)
    expected[:, 1] = expected[:, 1] * (768 / 1500)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected.astype(np.float32))


def test_boxes_move_like_their_corners():
    region, size = (10, 20, 110, 70), (32, 64)
    boxes = np.array([[15, 25, 60, 65], [10, 20, 110, 70]])
    found = boxes_to_input(boxes, region, size)
    assert np.array_equal(found[:, :2], points_to_input(boxes[:, :2], region, size))
    assert np.array_equal(found[:, 2:], points_to_input(boxes[:, 2:], region, size))
    assert found[1].tolist() == [0, 0, 64, 32]
    np.testing.assert_allclose(boxes_from_input(found, region, size), boxes, atol=1e-4)
    assert boxes_to_input(boxes[0], region, size).shape == (4,)


class TestPromptToInput:
    def test_moves_everything_into_the_window(self):
        window = embedding(region=(20, 10, 52, 26))
        prompt = Prompt(point_coords=[(36, 18)], point_labels=[0], box=(20, 10, 36, 26))
        found = prompt_to_input(prompt, window, (16, 16))
        assert found.point_coords.tolist() == [[32, 16]]
        assert found.point_labels.tolist() == [0]
        assert found.box.tolist() == [0, 0, 32, 32]
        assert found.mask_input is None

    @pytest.mark.parametrize(
        ("prompt", "wish", "expected"),
        [
            (Prompt(point_coords=[(1, 1)], point_labels=[1]), None, (1, False, False, True)),
            (Prompt(point_coords=[(1, 1)], point_labels=[1]), False, (1, False, False, False)),
            (
                Prompt(point_coords=[(1, 1)] * 3, point_labels=[1] * 3),
                None,
                (3, False, False, False),
            ),
            (Prompt(box=(1, 1, 9, 9)), None, (0, True, False, False)),
            (Prompt(box=(1, 1, 9, 9)), True, (0, True, False, True)),
            (Prompt(mask_input=np.zeros((16, 16))), None, (0, False, True, False)),
        ],
    )
    def test_kind(self, prompt, wish, expected):
        assert prompt_to_input(prompt, embedding(), (16, 16), wish).kind == expected

    @pytest.mark.parametrize("point", [(-0.5, -0.5), (60, 40), (0, 0), (59.5, 39.5)])
    def test_the_border_belongs_to_the_image(self, point):
        prompt = Prompt(point_coords=[point], point_labels=[1])
        assert prompt_to_input(prompt, embedding(), (16, 16)).point_coords.shape == (1, 2)

    @pytest.mark.parametrize("point", [(-0.6, 3), (3, -0.6), (60.1, 3), (3, 40.1)])
    def test_points_outside_are_refused_with_the_size(self, point):
        prompt = Prompt(point_coords=[(5, 5), point], point_labels=[1, 0])
        with pytest.raises(PromptError, match="60 wide and 40 high"):
            prompt_to_input(prompt, embedding(), (16, 16))

    def test_points_outside_the_window_are_refused_with_the_window(self):
        prompt = Prompt(point_coords=[(5, 5)], point_labels=[1])
        with pytest.raises(PromptError, match=r"window \(20, 10, 52, 26\)"):
            prompt_to_input(prompt, embedding(region=(20, 10, 52, 26)), (16, 16))

    def test_boxes_are_clipped(self):
        found = prompt_to_input(Prompt(box=(-50, 10, 30, 99)), embedding(), (16, 16))
        expected = boxes_to_input((0, 10, 30, 40), (0, 0, 60, 40), embedding().input_size)
        assert np.array_equal(found.box, expected)

    @pytest.mark.parametrize("box", [(60, 0, 70, 9), (-9, 0, 0, 9), (0, 40, 9, 50), (0, -5, 9, 0)])
    def test_boxes_that_only_touch_are_refused(self, box):
        with pytest.raises(PromptError, match="60 wide and 40 high"):
            prompt_to_input(Prompt(box=box), embedding(), (16, 16))

    def test_masks_of_another_size_or_window_are_refused(self):
        with pytest.raises(PromptError, match=r"\(1, 16, 16\).*found \(1, 8, 16\)"):
            prompt_to_input(Prompt(mask_input=np.zeros((8, 16))), embedding(), (16, 16))
        fitting = np.zeros((16, 16))
        with pytest.raises(PromptError, match=r"\(0, 0, 30, 40\)"):
            prompt_to_input(
                Prompt(mask_input=fitting, mask_region=(0, 0, 30, 40)), embedding(), (16, 16)
            )
        same = Prompt(mask_input=fitting, mask_region=(0, 0, 60, 40))
        assert prompt_to_input(same, embedding(), (16, 16)).mask_input is same.mask_input


def back(logits, region, original_size, input_size, side):
    return Masks(
        low_res_logits=logits,
        iou_predictions=np.ones(1, np.float32),
        region=region,
        original_size=original_size,
        input_size=input_size,
        padded_size=(side, side),
    )


class TestMaskToLogits:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_there_and_back_is_the_same_mask(self, data):
        """A large enough ellipse survives the way to low resolution and back."""
        height, width = data.draw(st.integers(40, 300)), data.draw(st.integers(40, 300))
        side, low = data.draw(st.sampled_from([(64, 64), (128, 32), (256, 64), (100, 50)]))
        x0, y0 = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
        y, x = np.mgrid[: height + 12, : width + 15]
        mask = ((x - x0 - width / 2) / (0.4 * width)) ** 2 + (
            (y - y0 - height / 2) / (0.4 * height)
        ) ** 2 < 1
        region = (x0, y0, x0 + width, y0 + height)
        size = resized_size((height, width), side)
        logits = mask_to_logits(mask, region, size, (side, side), (low, low))
        assert logits.shape == (1, low, low)
        assert logits.dtype == np.float32
        found = back(logits, region, mask.shape, size, side).mask(0)
        cells_across = 0.8 * min(size) * low / side
        assert mask_iou(found, mask) > 1 - 3 / cells_across

    def test_cells_hold_their_covered_fraction(self):
        mask = np.zeros((32, 64), bool)
        mask[:8, :6] = True
        logits = mask_to_logits(mask, (0, 0, 64, 32), (32, 64), (64, 64), (16, 16), magnitude=4)
        expected = np.full((16, 16), -4.0)
        expected[:2, 0] = 4
        expected[:2, 1] = 0
        np.testing.assert_allclose(logits[0], expected, atol=1e-5)

    def test_only_the_window_counts(self):
        mask = np.zeros((40, 60), bool)
        mask[:, :20] = True
        outside = mask_to_logits(mask, (20, 0, 60, 40), (64, 64), (64, 64), (16, 16))
        assert (outside == -7).all()
        inside = mask_to_logits(mask, (0, 0, 20, 20), (64, 64), (64, 64), (16, 16))
        np.testing.assert_allclose(inside, 7)

    def test_padding_is_outside(self):
        mask = np.ones((33, 50), bool)
        size = resized_size(mask.shape, 64)
        logits = mask_to_logits(mask, (0, 0, 50, 33), size, (64, 64), (16, 16))
        rows = int(np.ceil(size[0] / 4))
        assert (logits[0, rows:] == -7).all()
        assert (logits[0, : rows - 1] == 7).all()

    def test_a_mask_of_another_image_is_refused(self):
        with pytest.raises(ImageError, match="whole image"):
            mask_to_logits(np.ones((9, 9), bool), (0, 0, 20, 20), (64, 64), (64, 64), (16, 16))
