"""Sessions that work until they are killed, one forked for each seed: run as a program.

What a session holds is written down after each thing that a user does, in ``SEED.said``: a line
each with the labels, the objects and the prompts, as checksums.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from session_doubles import Session

from napari_plugin.objects import frames
from sam_plugins import AutomaticSettings

SHAPE = (64, 96)
KINDS = ["click", "box", "keep", "keep", "keep", "paint", "erase", "undo", "redo", "delete"]
KINDS += ["click", "everything", "scribble", "merge", "open", "clear"]


def picture():
    return (np.indices(SHAPE).sum(0) % 200).astype(np.uint8)


def held(session):
    """What there is, in a line."""
    ids = ",".join(map(str, sorted(session.target.book.records)))
    prompts = json.dumps(session.annotator.draft.to_json(), sort_keys=True)
    return f"{zlib.crc32(session.labels.tobytes())} {ids or '-'} {zlib.crc32(prompts.encode())}"


def work(journals, seed, say, slowly):
    """Do what a user may do, for ever; `say` is told after each thing."""
    os.environ["SAM_PLUGINS_JOURNALS"] = str(journals)
    if slowly:
        # Bytes reach the file in small parts, so that a session dies in the middle of a write.
        whole = os.write
        frames.os = Slow(whole)
    rng = random.Random(seed)
    session = Session()
    assert session.open(session.viewer.add_image(picture(), name="cells"))
    say(held(session))
    while True:
        one_thing(session, rng)
        say(held(session))


class Slow:
    """`os` whose writes stop after some bytes."""

    def __init__(self, write):
        self._write = write

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, file, data):
        return self._write(file, data[:512])


def one_thing(session, rng):
    """One action: of two, the first alone might be there again, and rightly so."""
    annotator, place = session.annotator, (rng.randrange(SHAPE[0]), rng.randrange(SHAPE[1]))
    at = session.world(*place)
    kind = rng.choice(KINDS)
    labels = session.target.labels
    if kind == "click":
        session.click(*place, sign=rng.choice(["object", "object", "background"]))
    elif kind == "box":
        y, x = rng.randrange(40), rng.randrange(70)
        session.draw_box(y, x, y + 20, x + 20)
    elif kind == "keep":
        annotator.accept()
    elif kind in ("paint", "erase"):
        labels.brush_size = rng.randrange(2, 9)
        labels.paint(place, 0 if kind == "erase" else rng.choice([1, 2, 50]))
    elif kind in ("undo", "redo"):
        getattr(annotator, kind)()
    elif kind == "everything":
        settings = AutomaticSettings(
            points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0
        )
        session.jobs.everything(settings, inside=False)
        annotator.accept()
    elif kind == "merge":
        session.kept.merge(at)
    elif kind == "scribble":
        session.scribble((5, 5), place)
    elif kind == "open":
        session.kept.reopen(at)
    elif kind == "delete":
        session.kept.delete(at)
    else:
        annotator.discard()


def killed(folder, seed):
    """Fork a session, kill it at some instant; the lines that it said."""
    come, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(come)
        with os.fdopen(go, "w", buffering=1) as out:
            work(folder / str(seed), seed, lambda line: out.write(f"{line}\n"), True)
    os.close(go)
    rng = random.Random(seed)
    with os.fdopen(come) as said:
        lines = [said.readline() for _ in range(rng.randrange(2, 40))]
        # Some instant of the next few things: instants are what is tried, none is waited for.
        time.sleep(rng.random() * 0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines += said.readlines()
    return [line.strip() for line in lines if line.endswith("\n")]


def undisturbed(folder, seed, count):
    """The line number `count` of a session of the same seed that nobody kills."""
    lines = []

    def say(line):
        lines.append(line)
        if len(lines) == count:
            raise StopIteration

    with contextlib.suppress(StopIteration):
        work(folder, seed, say, False)
    return lines[-1]


if __name__ == "__main__":
    here, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for number in range(first, last):
        told = killed(here, number)
        (here / f"{number}.said").write_text("\n".join(told), "utf-8")
