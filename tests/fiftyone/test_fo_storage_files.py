"""Masks as files: whole or not there, and never outside of the run's folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.storage import (
    DOCUMENT_LIMIT,
    MaskFiles,
    files_folder,
    inline_bytes,
    is_slug,
    room_for,
)

SAMPLE = "6b0d501879a29b8982847ed1"


def disc(side=40):
    rows, columns = np.mgrid[:side, :side]
    return (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < side**2 / 5


def test_fiftyone_reads_what_was_written(fiftyone_here, tmp_path):
    path = MaskFiles(tmp_path, "sam_1").write(SAMPLE, "p", 0, disc())
    assert path.is_absolute()
    label = fiftyone_here.Detection(bounding_box=[0, 0, 1, 1], mask_path=str(path))
    read = label.get_mask()
    assert set(np.unique(read)) == {0, 255}
    assert ((read > 0) == disc()).all()


def test_the_same_mask_has_the_same_name_and_another_has_another(tmp_path):
    files = MaskFiles(tmp_path, "sam_1")
    first = files.write(SAMPLE, "p", 0, disc())
    assert files.write(SAMPLE, "p", 0, disc()) == first
    assert files.write(SAMPLE, "p", 0, ~disc()) != first
    assert files.write(SAMPLE, "q", 0, disc()) != first
    assert files.write(SAMPLE, "p", 1, disc()) != first
    assert len(files.present(SAMPLE)) == 4
    assert files.samples() == [SAMPLE]


@given(st.text(max_size=80))
def test_no_name_leads_out_of_the_folder(name):
    files = MaskFiles(Path("/nowhere/masks"), "sam_1")
    assert not files.owns(Path("/nowhere/masks/sam_1") / name)
    assert not files.owns(Path(name))
    if not is_slug(name):
        with pytest.raises(RunError):
            MaskFiles(Path("/nowhere/masks"), name)
        with pytest.raises(RunError):
            files.write(name, "p", 0, disc(4))


def test_prompts_of_strangers_decide_no_path(tmp_path):
    files = MaskFiles(tmp_path / "masks", "sam_1")
    path = files.write(SAMPLE, "../../../../outside", 0, disc())
    assert path.parent == tmp_path / "masks" / "sam_1" / SAMPLE
    assert files.owns(path)
    assert not files.owns(tmp_path / "masks" / "sam_1" / ".." / SAMPLE / path.name)
    assert not MaskFiles(tmp_path / "masks", "sam_2").owns(path)


def test_only_its_own_are_removed_and_empty_folders_with_them(tmp_path):
    files = MaskFiles(tmp_path, "sam_1")
    path = files.write(SAMPLE, "p", 0, disc())
    kept = files.write(SAMPLE, "p", 1, disc())
    stray = path.with_name(f"{path.name}.{'0' * 16}.part")
    stray.write_bytes(b"")
    other = tmp_path / "other.png"
    other.write_bytes(b"")
    assert files.remove([path, path, other]) == 1
    assert other.exists()
    assert files.remove_all({kept}) == 1
    assert files.present(SAMPLE) == {kept}
    assert files.remove_all() == 1
    assert list(tmp_path.iterdir()) == [other]


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    files = MaskFiles(tmp_path / "masks", "sam_1")
    name = files.write(SAMPLE, "p", 0, disc()).name
    outside.mkdir()
    precious = outside / name
    precious.write_bytes(b"x")
    link = tmp_path / "masks" / "sam_1" / "linked"
    link.symlink_to(outside)
    assert files.samples() == [SAMPLE]
    assert files.remove([link / name]) == 0
    assert precious.exists()
    with pytest.raises(RunError, match="is a link"):
        files.write("linked", "p", 0, disc())


def test_a_file_that_was_edited_is_known(tmp_path):
    files = MaskFiles(tmp_path, "sam_1")
    path = files.write(SAMPLE, "p", 0, disc())
    assert files.unchanged(path)
    path.write_bytes(path.read_bytes() + b" ")
    assert not files.unchanged(path)
    assert not files.unchanged(path.with_name("other.png"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "masks").write_text("a file")
    with pytest.raises(RunError, match=r"Make room or name another folder.*it goes on"):
        MaskFiles(tmp_path / "masks", "sam_1").write(SAMPLE, "p", 0, disc())


def test_bytes_are_counted_as_fiftyone_keeps_them(fiftyone_here):
    label = fiftyone_here.Detection(label="x", bounding_box=[0, 0, 1, 1], mask=disc())
    assert inline_bytes([disc()], 1 << 20) == len(label.to_dict()["mask"])
    assert inline_bytes([disc()] * 3, 1 << 20) == 3 * len(label.to_dict()["mask"])
    one = inline_bytes([disc()], 0)
    assert inline_bytes([disc()] * 100, one + 1) == 2 * one


@given(st.integers(0, 1 << 25), st.integers(0, 1 << 40))
def test_a_document_never_reaches_mongodbs_limit(document, wanted):
    room = room_for(document, wanted)
    assert 0 <= room.inline <= min(wanted, room.labels)
    assert room.labels == max(DOCUMENT_LIMIT - document, 0)
    assert DOCUMENT_LIMIT < 16 << 20


def test_a_datasets_name_leads_nowhere_else(fiftyone_here):
    fo = fiftyone_here
    dataset = fo.Dataset("x/../../../outside")
    try:
        folder = files_folder(dataset, "masks")
        assert folder.resolve().is_relative_to(Path(fo.config.default_dataset_dir).resolve())
        assert folder.parts[-2:] == ("fields", "masks")
        assert files_folder(dataset, "masks", "/elsewhere") == Path("/elsewhere")
    finally:
        dataset.delete()
