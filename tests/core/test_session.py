from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from sam_plugins import session
from sam_plugins.errors import (
    CheckpointError,
    DeviceError,
    DownloadError,
    ImageError,
    ModelError,
    PromptError,
)
from sam_plugins.ports import Segmenter
from sam_plugins.session import SamPredictor, best_model, open_segmenter
from sam_plugins.stores import MemoryStore, contents
from sam_plugins.testing import FakeSegmenter, sample_image, tiny_sam
from sam_plugins.testing.checks import check_same_features
from sam_plugins.types import Prompt
from sam_plugins.weights import CHECKPOINTS, LoadedModel

POINT = {"point_coords": [(60, 40)], "point_labels": [1]}


@dataclass
class Loading:
    """Notes what is loaded and gives a tiny model for it."""

    asked: list = field(default_factory=list)

    def __call__(self, name, *, device, cache_dir):
        self.asked.append((name, device, cache_dir))
        return LoadedModel(tiny_sam(), "vit_b", Path("weights.pth"), (), ("A note.",))


@pytest.fixture
def loading(monkeypatch):
    monkeypatch.delenv("SAM_PLUGINS_MODEL", raising=False)
    monkeypatch.delenv("SAM_PLUGINS_THREADS", raising=False)
    stand_in = Loading()
    monkeypatch.setattr(session, "load_model", stand_in)
    return stand_in


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


class TestStores:
    def test_none_is_the_plain_segmenter(self, loading, tmp_path, monkeypatch):
        monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path / "cache"))
        open_segmenter(device="cpu").encode(sample_image(30, 40))
        assert not (tmp_path / "cache").exists()

    def test_embeddings_outlive_the_segmenter_and_carry_the_models_name(
        self, loading, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path / "cache"))
        image = sample_image(30, 40)
        first = open_segmenter(device="cpu", store="default").encode(image)
        (found,) = contents(tmp_path / "cache" / "embeddings")
        assert (found.name, found.numerics, len(found.files)) == ("vit_b", "fp32", 1)
        again = open_segmenter(device="cpu", store="default")
        monkeypatch.setattr(type(again._segmenter), "encode", None)
        check_same_features(again.encode(image), first)

    def test_a_path_or_a_store_may_be_given(self, loading, tmp_path):
        image, store = sample_image(30, 40), MemoryStore()
        by_path = open_segmenter(device="cpu", store=tmp_path / "mine").encode(image)
        assert list((tmp_path / "mine").glob("*/*.safetensors"))
        by_store = open_segmenter(device="cpu", store=store)
        assert by_store.encode(image).key == by_path.key
        assert len(store) == 1


class TestOpenSegmenter:
    def test_opens_nano_unless_told_otherwise(self, loading, monkeypatch):
        segmenter = open_segmenter(device="cpu")
        assert isinstance(segmenter, Segmenter)
        assert loading.asked == [("nano", "cpu", None)]
        assert (segmenter.info.name, segmenter.info.device) == ("vit_b", "cpu")
        assert segmenter.info.numerics == "fp32"
        monkeypatch.setenv("SAM_PLUGINS_MODEL", "vit_t")
        open_segmenter(device="cpu")
        assert loading.asked[-1][0] == "vit_t"
        open_segmenter("vit_l", device="cpu", cache_dir="here")
        assert loading.asked[-1] == ("vit_l", "cpu", "here")

    def test_an_empty_variable_counts_as_not_set(self, loading, monkeypatch):
        monkeypatch.setenv("SAM_PLUGINS_MODEL", "")
        open_segmenter(device="cpu")
        assert loading.asked[0][0] == "nano"

    def test_takes_paths(self, loading, tmp_path):
        open_segmenter(tmp_path / "mine.pth", device="cpu")
        assert loading.asked[0][0] == str(tmp_path / "mine.pth")

    def test_says_what_the_weights_file_says(self, loading, caplog):
        with caplog.at_level("INFO", "sam_plugins"):
            open_segmenter(device="cpu")
        assert "A note." in caplog.text

    def test_best_is_chosen_and_explained(self, loading, empty_cache, caplog):
        (empty_cache / CHECKPOINTS["vit_t"].filename).touch()
        with caplog.at_level("INFO", "sam_plugins"):
            open_segmenter("best", device="cpu", cache_dir=empty_cache)
        assert loading.asked[0][0] == "vit_t"
        assert "vit_t" in caplog.text
        assert str(empty_cache) in caplog.text

    def test_precision_is_passed_on(self, loading):
        assert open_segmenter(device="cpu", precision="bf16").info.numerics == "bf16"

    @pytest.mark.parametrize("address", ["http://gpu:8000", "https://gpu.example"])
    def test_a_server_is_not_supported(self, loading, address):
        with pytest.raises(ModelError, match="server cannot be used as a model in this version"):
            open_segmenter(address)
        assert loading.asked == []

    def test_refuses_what_is_not_there(self, loading):
        with pytest.raises(ModelError, match="fp16"):
            open_segmenter(precision="fp16")
        with pytest.raises(DeviceError, match="cuda:99"):
            open_segmenter(device="cuda:99")
        assert loading.asked == []

    def test_unknown_names_and_missing_weights(self, empty_cache):
        with pytest.raises(CheckpointError, match="vit_x"):
            open_segmenter("vit_x", device="cpu", cache_dir=empty_cache)
        with pytest.raises(DownloadError, match="download vit_b"):
            open_segmenter("vit_b", device="cpu", cache_dir=empty_cache)

    def test_torch_keeps_to_the_threads_asked_for(self, loading, monkeypatch):
        before = torch.get_num_threads()
        try:
            open_segmenter(device="cpu")
            assert torch.get_num_threads() == before
            monkeypatch.setenv("SAM_PLUGINS_THREADS", str(before + 1))
            open_segmenter(device="cpu")
            assert torch.get_num_threads() == before + 1
        finally:
            torch.set_num_threads(before)


class TestBestModel:
    @pytest.mark.parametrize(
        ("here", "device", "expected"),
        [
            ([], "cpu", "nano"),
            ([], "cuda", "nano"),
            (["vit_t", "vit_b", "vit_h"], "cpu", "vit_b"),
            (["vit_t", "vit_h"], "cpu", "vit_t"),
            (["vit_h", "vit_l"], "cpu", "nano"),
            (["vit_t", "vit_b", "vit_h"], "cuda", "vit_h"),
            (["vit_t", "vit_l"], "cuda:1", "vit_l"),
            (["vit_t", "vit_b"], "mps", "vit_b"),
        ],
    )
    def test_is_the_best_that_is_here_and_practical(self, empty_cache, here, device, expected):
        for name in here:
            (empty_cache / CHECKPOINTS[name].filename).touch()
        best = best_model(device, empty_cache)
        assert best.name == expected
        assert best.reason.endswith(".")


class TestSamPredictor:
    @pytest.fixture
    def predictor(self):
        predictor = SamPredictor(FakeSegmenter())
        predictor.set_image(sample_image(90, 120))
        return predictor

    def test_answers_as_the_segmenter_does(self, predictor):
        masks, scores, logits = predictor.predict(**POINT)
        expected = predictor.segmenter.decode(predictor.embedding, Prompt(**POINT))
        assert masks.dtype == np.bool_
        assert np.array_equal(masks, expected.masks)
        assert np.array_equal(scores, expected.iou_predictions)
        assert np.array_equal(logits, expected.low_res_logits)
        assert masks.shape == (3, 90, 120)

    def test_three_answers_unless_one_is_wanted(self, predictor):
        assert len(predictor.predict(box=(10, 10, 80, 60))[0]) == 3
        assert len(predictor.predict(box=(10, 10, 80, 60), multimask_output=False)[0]) == 1

    def test_logits_instead_of_masks(self, predictor):
        masks, _, _ = predictor.predict(**POINT)
        logits, _, _ = predictor.predict(**POINT, return_logits=True)
        assert logits.dtype == np.float32
        assert np.array_equal(logits > 0, masks)

    def test_refines_with_its_own_logits(self, predictor):
        _, scores, logits = predictor.predict(**POINT)
        mask, _, _ = predictor.predict(
            mask_input=logits[[np.argmax(scores)]], multimask_output=False
        )
        assert np.array_equal(mask[0], predictor.predict(**POINT)[0][np.argmax(scores)])

    def test_many_prompts_at_once(self, predictor):
        prompts = [Prompt(**POINT), Prompt(box=(10, 10, 80, 60))]
        answers = predictor.predict_batch(prompts, multimask_output=False)
        alone = predictor.predict(**POINT, multimask_output=False)
        assert len(answers) == 2
        for found, expected in zip(answers[0], alone, strict=True):
            assert np.array_equal(found, expected)

    def test_without_an_image_it_says_so(self, predictor):
        assert predictor.is_image_set
        predictor.reset_image()
        assert not predictor.is_image_set
        for ask in (lambda: predictor.predict(**POINT), lambda: predictor.predict_batch([])):
            with pytest.raises(ImageError, match="call set_image"):
                ask()

    def test_an_image_that_cannot_be_read_leaves_none(self, predictor):
        with pytest.raises(ImageError):
            predictor.set_image(np.zeros((0, 0, 3), np.uint8))
        assert not predictor.is_image_set

    def test_an_empty_prompt_is_refused(self, predictor):
        with pytest.raises(PromptError, match="has none"):
            predictor.predict()

    def test_takes_files(self, predictor, tmp_path):
        PillowImage.fromarray(sample_image(30, 40)).save(tmp_path / "picture.png")
        predictor.set_image(tmp_path / "picture.png")
        assert predictor.embedding.original_size == (30, 40)

    @pytest.mark.parametrize("model", ["vit_b", Path("mine.pth"), None])
    def test_opens_what_open_segmenter_opens(self, loading, model):
        SamPredictor(model)
        assert loading.asked[0][0] == str(model or "nano")
