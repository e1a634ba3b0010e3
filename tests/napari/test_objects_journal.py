"""The journal: nothing that was reported is lost, whatever happens to the process or the file."""

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

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


# A process that works until it is killed. After each call of the book it says what it holds: what
# was said was reported to the user. Bytes go to the disk in small parts, so that it dies in writes.
CHILD = """
import os, sys, zlib, random
from pathlib import Path
import numpy as np
from napari_plugin.objects import frames
from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.journal import About, Journal
from napari_plugin.values import Plane, PlaneMask, PromptSet

real = os.write
left = int(sys.argv[3])
def write(descriptor, data):
    global left
    left -= 1
    done = real(descriptor, data[:97])
    if left == 0:
        os.kill(os.getpid(), 9)
    return done
frames.os = type("os", (), {**vars(os), "write": staticmethod(write)})
seed = int(sys.argv[2])
rng = random.Random(seed)
labels = np.zeros((2, 96, 96), np.uint16)
labels[1, 80:, 80:] = 300
journal = Journal.create(Path(sys.argv[1]), About("i", "f", "l", labels.shape, "uint16"))
book = Book(labels, journal=journal)
plane = Plane(1, 2, (0, 0, 0))
n = 0
def say():
    global n
    n += 1
    records = ",".join(map(str, sorted(book.records)))
    line = f"{n} {zlib.crc32(labels.tobytes())} {records}\\n"
    real(1, line.encode())
say()
while True:
    acts = ["many", "delete", "merge", "undo", "redo", "compact", "brush"]
    act = rng.choice(["accept"] * 4 + acts)
    def item():
        x, y, s = rng.randrange(80), rng.randrange(80), rng.randrange(2, 16)
        at = plane.at(0, rng.randrange(2))
        crop = np.random.default_rng(rng.randrange(1 << 30)).random((s, s)) > 0.2
        crop[0, 0] = True
        return Acceptance((PlaneMask(at, (x, y, x + s, y + s), crop),),
                          {at: PromptSet(points=((x, y, 1),))})
    ids = sorted(book.records)
    ids = [i for i in ids if (labels == i).any()]
    if act == "accept": book.accept(item(), policy="overwrite")
    elif act == "many": book.accept_many([item() for _ in range(6)])
    elif act == "delete" and ids: book.delete(rng.choice(ids))
    elif act == "merge" and len(ids) > 1: book.merge(rng.sample(ids, 2))
    elif act == "undo": book.undo()
    elif act == "redo": book.redo()
    elif act == "compact": journal.compact()
    elif act == "brush":
        where = (slice(0, 1), slice(10, 40), slice(20, 50))
        labels[where] = rng.randrange(1000, 2000)
        journal.write("brush", [where])
    say()
"""


def _spawn(code, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=Path(__file__).parents[2],
    )


NEVER = 1 << 60
KILLABLE = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="this system kills no process with a signal"
)


def nothing_is_lost(folder, seed, said):
    """What is restored is what was reported last, or what was done next and not yet reported."""
    lines = [line.decode().split(" ") for line in said if line.endswith(b"\n")]
    offered = recoverable(folder)
    if not offered:  # It had done nothing, or had said nothing at all.
        assert all(line[2] == "\n" for line in lines)
        return
    (found,) = offered
    assert not found.damage
    state = restore(found.path)
    held = f"{zlib.crc32(state.labels().tobytes())} {','.join(map(str, sorted(state.records)))}"
    if lines and held == f"{lines[-1][1]} {lines[-1][2].strip()}":
        return
    # A second run with the same seed tells what was done next.
    with _spawn(CHILD, folder / "second", seed, NEVER) as second:
        after = [second.stdout.readline() for _ in range(len(lines) + 1)][-1].decode().split(" ")
        second.kill()
    assert held == f"{after[1]} {after[2].strip()}"


@KILLABLE
@pytest.mark.parametrize("seed", range(20))
def test_killed_inside_a_write_nothing_that_was_reported_is_lost(tmp_path, seed):
    with _spawn(CHILD, tmp_path, seed, random.Random(seed).randrange(1, 500)) as child:
        said = child.stdout.readlines()
        assert child.wait(120) == -signal.SIGKILL
    nothing_is_lost(tmp_path, seed, said)


@KILLABLE
@pytest.mark.parametrize("seed", range(100, 106))
def test_killed_from_outside_nothing_that_was_reported_is_lost(tmp_path, seed):
    with _spawn(CHILD, tmp_path, seed, NEVER) as child:
        said = [child.stdout.readline() for _ in range(random.Random(seed).randrange(1, 40))]
        child.kill()
        said += child.stdout.readlines()
    nothing_is_lost(tmp_path, seed, said)


PAINTER = """
import os, sys, signal
from pathlib import Path
import numpy as np
from napari.components import ViewerModel
from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.journal import About, Journal
from napari_plugin.objects.watch import LabelsWatch
from napari_plugin.values import Plane, PlaneMask

labels = np.zeros((40, 50), np.uint16)
layer = ViewerModel().add_labels(labels, name="objects")
journal = Journal.create(Path(sys.argv[1]), About("i", "f", "l", labels.shape, "uint16"))
book = Book(layer.data, journal=journal)
watch = LabelsWatch(layer, book)
plane = Plane(0, 1, (0, 0))
book.accept(Acceptance((PlaneMask(plane, (0, 0, 20, 20), np.ones((20, 20), bool)),), {}))
layer.brush_size = 5
layer.paint((10, 10), 7)
book.undo()
np.save(Path(sys.argv[1]) / "then.npy", labels)
os.kill(os.getpid(), signal.SIGKILL)
"""


@KILLABLE
def test_accept_paint_undo_kill_restore(require, tmp_path):
    require("napari")
    with _spawn(PAINTER, tmp_path) as child:
        assert child.wait(120) == -signal.SIGKILL
    then = np.load(tmp_path / "then.npy")
    assert set(np.unique(then)) == {0, 7}
    (found,) = recoverable(tmp_path)
    assert found.pixels == (then == 7).sum() > 10
    assert (restore(found.path).labels() == then).all()


def test_two_processes_do_not_share_a_journal(tmp_path):
    with _spawn(CHILD, tmp_path, 1, NEVER) as child:
        for _ in range(5):
            child.stdout.readline()
        assert len(list(tmp_path.glob("*.journal"))) == 1
        assert recoverable(tmp_path) == []
        labels = np.zeros((2, 40, 50), np.uint16)
        mine = Journal.create(tmp_path, about(labels))
        Book(labels, journal=mine).accept(thing(0, 0))
        mine.close()
        assert [found.path for found in recoverable(tmp_path)] == [mine.path]
        child.kill()
    assert len(recoverable(tmp_path)) == 2
