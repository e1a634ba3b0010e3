"""Processes that are killed, at seeded instants and inside writes: nothing reported is lost."""

import os
import random
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.journal import About, Journal
from napari_plugin.objects.recovery import recoverable, restore
from napari_plugin.values import Plane, PlaneMask

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
        labels = np.zeros((40, 50), np.uint16)
        mine = Journal.create(tmp_path, About("i", "f", "l", labels.shape, "uint16"))
        mask = PlaneMask(Plane(0, 1, (0, 0)), (1, 2, 4, 6), np.ones((4, 3), bool))
        Book(labels, journal=mine).accept(Acceptance((mask,)))
        mine.close()
        assert [found.path for found in recoverable(tmp_path)] == [mine.path]
        child.kill()
    assert len(recoverable(tmp_path)) == 2
