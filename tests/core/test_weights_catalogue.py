import pytest

from sam_plugins import download_weights, known_models
from sam_plugins.errors import CheckpointError
from sam_plugins.weights import CHECKPOINTS


def by_name(folder):
    return {model.name: model for model in known_models(folder)}


def test_every_known_model_is_listed_with_whether_it_is_here(tmp_path):
    models = by_name(tmp_path)
    assert list(models) == list(CHECKPOINTS)
    assert [name for name, model in models.items() if model.here] == ["nano"]
    assert all(model.licence and model.note for model in models.values())
    (tmp_path / CHECKPOINTS["vit_t"].filename).write_bytes(b"weights")
    assert by_name(tmp_path)["vit_t"].here


def test_what_is_here_is_not_downloaded_again(tmp_path):
    path = tmp_path / CHECKPOINTS["vit_t"].filename
    path.write_bytes(b"weights")
    assert download_weights("vit_t", cache_dir=tmp_path) == path
    assert download_weights("nano").is_file()


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="vit_bb"):
        download_weights("vit_bb", cache_dir=tmp_path)
