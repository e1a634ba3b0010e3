"""The journal: nothing that was reported is lost, whatever happens to the process or the file."""

import contextlib
import json
import os
import random
import stat
import zlib
from itertools import pairwise

import numpy as np
import pytest

from napari_plugin.objects import frames
from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.errors import JournalError
from napari_plugin.objects.journal import About, Journal
from napari_plugin.objects.recovery import discard, journals_folder, recoverable, restore
from napari_plugin.values import Plane, PlaneMask, PromptSet

PLANE = Plane(1, 2, (0, 0, 0))
SAID = PromptSet(points=((3.0, 2.0, 1),), boxes=((0.0, 0.0, 4.0, 4.0),))


def about(labels, **more):
    said = {"image": "cells", "fingerprint": "f1", "layer": "objects", "settings": {"model": "n"}}
    return About(shape=labels.shape, dtype=str(labels.dtype), **{**said, **more})


def thing(x, y, size=4, depth=0):
    plane = PLANE.at(0, depth)
    mask = PlaneMask(plane, (x, y, x + size, y + size), np.ones((size, size), bool))
    return Acceptance((mask,), {plane: SAID}, model_id="n", score=0.5)


@pytest.fixture
def labels():
    return np.zeros((2, 40, 50), np.uint16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journals"


def agree(path, book):
    found = restore(path)
    assert (found.labels() == book.array).all()
    assert dict(found.records) == dict(book.records)
    return found


def test_every_change_is_in_the_file_when_the_call_returns(labels, folder):
    labels[1, 30:, 40:] = 500
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    agree(journal.path, book)
    book.accept_many([thing(0, 0), thing(10, 0), thing(20, 20, 9, depth=1)])
    agree(journal.path, book)
    for act in (
        lambda: book.merge([501, 502]),
        lambda: book.split(501),
        lambda: book.delete(503),
        lambda: book.relabel(500),
        book.undo,
        book.undo,
        book.redo,
        lambda: book.reopen(500, PLANE.at(0, 1)),
        lambda: book.accept(thing(44, 35, 5)),
    ):
        act()
        agree(journal.path, book)
    book.note_draft({"a": 1}, {"a": 2})
    journal.note_settings({"model": "b"})
    journal.note_about(layer="renamed")
    assert journal.compact()
    found = agree(journal.path, book)
    assert found.draft == {"a": 2}
    assert found.about.settings == {"model": "b"}
    assert found.about.layer == "renamed"
    assert not found.damage
    journal.close()


def test_a_mask_prompt_and_numbers_of_numpy_are_stored(labels, folder):
    labels[0, 3:9, 4:12] = 5
    told = []
    journal = Journal.create(folder, about(labels), warn=told.append)
    book = Book(labels, journal=journal)
    said = book.reopen(5, PLANE).prompts
    points = PromptSet(points=((np.float32(1), np.int64(2), np.int64(1)),))
    at = PLANE.at(0, 1)
    book.accept(
        Acceptance(
            (*thing(4, 3).masks, *thing(0, 0, depth=1).masks),
            {**said, at: points},
            object_id=np.int64(5),
            score=np.float32(0.5),
        )
    )
    found = agree(journal.path, book)
    assert found.records[5].prompts[PLANE].mask == said[PLANE].mask
    book.note_draft({}, {"wrong": object()})
    assert "cannot be stored" in told[0]
    assert not journal.works
    journal.close()


def test_a_closed_journal_stays_closed(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    journal.close(saved=True)
    assert book.accept(thing(10, 0)).id == 2
    assert not journal.compact()
    journal.close()
    assert list(folder.iterdir()) == []


def test_what_a_killed_rewrite_leaves_is_removed(labels, folder):
    journal = Journal.create(folder, about(labels))
    Book(labels, journal=journal).accept(thing(0, 0))
    partial = journal.path.with_suffix(".partial")
    partial.write_bytes(b"half")
    assert recoverable(folder) == []
    assert partial.exists()
    journal.close()
    assert len(recoverable(folder)) == 1
    assert not partial.exists()


def test_the_folder_and_file_are_the_users_alone(labels, folder, monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_JOURNALS", str(folder))
    assert journals_folder() == folder
    journal = Journal.create(journals_folder(), about(labels))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    journal.close()


def test_a_session_is_offered_once_it_ended_badly_and_not_while_it_lives(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    assert recoverable(folder) == []
    with pytest.raises(JournalError, match="is open"):
        discard(journal.path)
    journal.close(saved=False)
    (found,) = recoverable(folder)
    assert (found.image, found.objects, found.pixels) == ("cells", 1, 16)
    assert recoverable(folder, "f1") == [found]
    assert recoverable(folder, "f2") == []
    discard(found.path)
    assert recoverable(folder) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("work", [True, False])
def test_a_saved_or_empty_session_leaves_nothing(labels, folder, work):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    if work:
        book.accept(thing(0, 0))
    journal.close(saved=work)
    assert list(folder.iterdir()) == []


def test_a_session_that_is_taken_up_again_goes_on_where_it_was(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    book.note_draft({}, {"said": 1})
    journal.close()
    old = restore(journal.path)
    again = Journal.create(folder, old.about)
    book = Book(old.labels(), journal=again, records=old.records, draft=old.draft)
    agree(again.path, book)
    assert restore(again.path).draft == {"said": 1}
    discard(journal.path)
    assert book.accept(thing(10, 10)).id == 2
    again.close()
    (found,) = recoverable(folder)
    assert found.objects == 2


def test_a_torn_end_is_left_out_at_every_byte(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    before, size = labels.copy(), journal.path.stat().st_size
    book.accept(thing(10, 10))
    journal.close()
    whole = journal.path.read_bytes()
    end = size + 8 + int.from_bytes(whole[size : size + 4], "little")
    torn = folder / "torn.journal"
    for cut in range(size, end):
        torn.write_bytes(whole[:cut])
        found = restore(torn)
        assert (found.labels() == before).all()
        assert set(found.records) == {1}
        assert not found.damage
    torn.write_bytes(whole[:end])
    assert (restore(torn).labels() == labels).all()


def test_damage_in_the_middle_keeps_what_came_before_and_says_so(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    before, size = labels.copy(), journal.path.stat().st_size
    book.accept(thing(10, 10))
    book.accept(thing(20, 20))
    journal.close()
    whole = bytearray(journal.path.read_bytes())
    whole[size + 30] ^= 0xFF
    journal.path.write_bytes(whole)
    found = restore(journal.path)
    assert (found.labels() == before).all()
    assert f"damaged at byte {size}" in found.damage
    (offered,) = recoverable(folder)
    assert offered.damage == found.damage


def test_a_number_that_turned_into_another_is_noticed(labels, folder):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    book.accept(thing(10, 10))
    book.accept(thing(20, 20))
    journal.close()
    whole = journal.path.read_bytes()
    assert whole.count(b'"score":0.5') == 3
    second = whole.replace(b'"score":0.5', b'"score":0.7', 2).replace(b"0.7", b"0.5", 1)
    journal.path.write_bytes(second)
    found = restore(journal.path)
    assert set(found.records) == {1}
    assert "its checksum differs" in found.damage


def test_what_was_handed_over_is_put_on_the_disk_once(labels, folder, monkeypatch):
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(file) or real(file))
    book.note_draft({}, {"a": 1})
    assert synced == []
    assert journal.flush()
    assert journal.flush()
    assert len(synced) == 1
    book.accept(thing(0, 0))
    assert len(synced) == 2
    assert journal.flush()
    assert len(synced) == 2
    journal.close()
    assert not journal.flush()


def test_random_bytes_never_do_more_than_raise(labels, folder):
    journal = Journal.create(folder, about(labels))
    Book(labels, journal=journal).accept(thing(0, 0))
    journal.close()
    whole = journal.path.read_bytes()
    rng = random.Random(7)
    for _ in range(300):
        bad = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        journal.path.write_bytes(bad)
        with contextlib.suppress(JournalError):
            found = restore(journal.path)
            assert set(found.records) <= {1}
            assert found.labels().shape == labels.shape


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "begin"},
        {"kind": "begin", "about": {}, "whole": True, "actions": 0},
        {"kind": "accept", "records": {}},
        {"kind": "begin", "whole": True, "actions": 1, "about": "x"},
        ["begin"],
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, said):
    path = tmp_path / "x.journal"
    payload = json.dumps(said).encode()
    if isinstance(said, dict):
        path.write_bytes(frames.MAGIC + frames.pack(said))
    else:
        path.write_bytes(payload)
    with pytest.raises(JournalError):
        restore(path)
    assert recoverable(tmp_path) == []
    path.write_bytes(b"")
    with pytest.raises(JournalError):
        restore(path)


def test_labels_that_fit_in_no_memory_are_refused(tmp_path, labels):
    said = {**about(labels).to_json(), "shape": [1 << 20, 1 << 20, 1 << 20]}
    path = tmp_path / "x.journal"
    begin = {"kind": "begin", "about": said, "whole": True, "actions": 1}
    path.write_bytes(frames.MAGIC + frames.pack(begin))
    with pytest.raises(JournalError, match="do not fit in memory"):
        restore(path).labels()


def test_a_block_that_unpacks_to_more_than_it_says_is_refused(tmp_path, labels):
    path = tmp_path / "x.journal"
    begin = {"kind": "begin", "about": about(labels).to_json(), "whole": True, "actions": 1}
    bomb = frames.Block((0, 0, 0), (1, 2, 2), zlib.compress(bytes(1 << 24)))
    path.write_bytes(frames.MAGIC + frames.pack(begin, [bomb]))
    with pytest.raises(JournalError, match="damaged"):
        restore(path).labels()


def test_a_full_disk_is_told_once_and_made_good_later(labels, folder, monkeypatch):
    told = []
    journal = Journal.create(folder, about(labels), warn=told.append)
    book = Book(labels, journal=journal)
    book.accept(thing(0, 0))
    before = labels.copy()
    real = os.write

    def full(descriptor, data):
        if len(data) > 20:
            return real(descriptor, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frames.os, "write", full)
    book.accept(thing(10, 0))
    book.accept(thing(20, 0))
    assert (labels == 3).sum() == 16
    assert not journal.works
    assert len(told) == 1
    assert "No space left" in told[0]
    assert (restore(journal.path).labels() == before).all()
    monkeypatch.undo()
    book.accept(thing(30, 0))
    assert journal.works
    agree(journal.path, book)
    journal.close()


def test_a_folder_that_cannot_be_made_does_not_stop_the_work(labels, tmp_path):
    (tmp_path / "file").write_text("in the way")
    told = []
    journal = Journal.create(tmp_path / "file" / "journals", about(labels), warn=told.append)
    book = Book(labels, journal=journal)
    assert book.accept(thing(0, 0)).written == 16
    assert len(told) == 1
    assert not journal.works
    journal.close()


def test_a_journal_that_grows_is_written_anew(labels, folder):
    labels = np.zeros((1, 1024, 1024), np.uint32)
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    noise = np.random.default_rng(0).integers(1000, 1 << 30, labels.shape, np.uint32)
    sizes = []
    for _ in range(14):
        noise += 1
        labels[:] = noise
        journal.write("brush", [(slice(0, 1), slice(0, 1024), slice(0, 1024))])
        sizes.append(journal.path.stat().st_size)
    assert max(sizes) < 2 * (1 << 24)
    assert any(later < sooner for sooner, later in pairwise(sizes))
    agree(journal.path, book)
    journal.close()


def test_labels_on_the_disk_are_not_copied_but_their_changes_are(require, tmp_path, folder):
    zarr = require("zarr")
    labels = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=(2, 64, 64), chunks=(1, 32, 32), dtype="uint16"
    )
    labels[1, :5, :5] = 9
    journal = Journal.create(folder, about(labels))
    book = Book(labels, journal=journal)
    book.accept(thing(2, 2))
    journal.compact()
    journal.close()
    found = restore(journal.path)
    assert not found.whole
    over = np.zeros((2, 64, 64), np.uint16)
    found.write_into(over)
    assert (over == 10).sum() == 16
    with pytest.raises(JournalError, match="shape"):
        found.write_into(np.zeros((2, 64, 65), np.uint16))
