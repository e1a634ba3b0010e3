"""Doubles around an `Annotator`: pictures, models that count or wait, meters that remember."""

import threading
import time
from collections import Counter
from dataclasses import replace
from types import ModuleType

import numpy as np

from labelstudio_backend.answering import Annotator, Question
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import Ask, LoadedPicture, Picture
from sam_plugins import CachedSegmenter, Interaction, Refiner, TiledImage, open_store
from sam_plugins.errors import ImageError, WorkerError
from sam_plugins.testing import FakeSegmenter, sample_image

SECONDS = 20.0


def wait_until(condition, what="the condition", seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true")
        time.sleep(0.002)


class Pictures:
    """Pictures by address; what is missing cannot be read."""

    def __init__(self, **sizes):
        self.arrays = {
            name: sample_image(*size, seed=number)
            for number, (name, size) in enumerate(sizes.items())
        }
        self.loads = Counter()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, picture):
        self.loads[picture.address] += 1
        if not self.gate.wait(SECONDS):
            raise TimeoutError
        if picture.address not in self.arrays:
            raise ImageError(f"There is no picture {picture.address}.")
        return LoadedPicture(self.arrays[picture.address], picture.address)


class Remembered:
    """Meters that can be asked."""

    def __init__(self):
        self.counts = Counter()
        self.times = Counter()
        self.levels = {}
        self._lock = threading.Lock()

    def seconds(self, name, value):
        with self._lock:
            self.times[name] += 1

    def count(self, name, n=1):
        with self._lock:
            self.counts[name] += n

    def level(self, name, value):
        with self._lock:
            self.levels[name] = value


class Model(FakeSegmenter):
    """A fake that counts, that can be held before it answers, and whose process can die."""

    def __init__(self, radius=20.0, **options):
        super().__init__(radius, **options)
        self.encodes = 0
        self.decodes = 0
        self.closed = False
        self.deaths = 0
        self.encoding = threading.Event()
        self.decoding = threading.Event()
        self.encode_gate = threading.Event()
        self.decode_gate = threading.Event()
        self.encode_gate.set()
        self.decode_gate.set()
        self._count = threading.Lock()
        self.at_once = 0
        self.most_at_once = 0

    @property
    def info(self):
        """Versions hold ten letters of the hash; those of fakes differ later."""
        return replace(super().info, model_id=f"{int(self._radius):010d}rest")

    def encode(self, image, *, region=None):
        with self._count:
            self.encodes += 1
        self.encoding.set()
        self._pass(self.encode_gate)
        return super().encode(image, region=region)

    def decode_many(self, embedding, prompts, **options):
        with self._count:
            self.decodes += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.decoding.set()
        try:
            self._pass(self.decode_gate)
            return iter(list(super().decode_many(embedding, prompts, **options)))
        finally:
            with self._count:
                self.at_once -= 1

    def close(self):
        self.closed = True

    def _pass(self, gate):
        if not gate.wait(SECONDS):
            raise TimeoutError
        with self._count:
            dies = self.deaths > 0
            self.deaths -= dies
        if dies or self.closed:
            raise WorkerError("The model's process ended unexpectedly.")


def above_store(model, folder):
    """What `open_worker` does with its store, in this process."""
    return lambda name: CachedSegmenter(model, open_store(folder))


def annotator(tmp_path, pictures, model, **options):
    settings = {"state_folder": tmp_path / "state"} | options.pop("settings", {})
    opener = options.pop("open_model", lambda name: model)
    store = open_store(tmp_path / "embeddings")
    made = Annotator(Settings(**settings), pictures, open_model=opener, store=store, **options)
    wait_until(lambda: made.model_version, "a model that is ready", 120)
    return made


def ask(*points, label="Cell", box=None, item=None):
    points = tuple((float(x), float(y), int(said)) for x, y, said in points)
    return Ask(label, Interaction(points=points, box=box), "image", item)


def question(picture, *asks, task="1"):
    prompts = frozenset(f"{one.label} {point}" for one in asks for point in one.interaction.points)
    labels = frozenset(one.label for one in asks)
    return Question(task, Picture(picture), prompts, labels, lambda size: list(asks))


def alone(model, rgb, one):
    """The mask that an ask gets from a model that nobody else uses."""
    return whole(Refiner(TiledImage(model, rgb)).answer(one.interaction), rgb.shape[:2])


def whole(found, size):
    mask = np.zeros(size, bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


class Config:
    """A labelling config of one image tag, or of pages."""

    def __init__(self, mode="prompts", label="Cell", pages=False):
        self.mode, self.label, self.pages = mode, label, pages

    def __repr__(self):
        return f"Config({self.mode}, {self.label}, {self.pages})"

    def pictures(self, data):
        if self.pages:
            return [("image", i, Picture(name)) for i, name in enumerate(data["images"])]
        return [("image", None, Picture(data["image"]))]

    def automatic(self, to_name):
        return self.mode, self.label


def controls():
    """A stand-in for `labelstudio_backend.controls`: prompts of a task are points in pixels."""
    module = ModuleType("labelstudio_backend.controls")

    def task_asks(config, task, to_name, item, size):
        return [
            ask((x, y, 1), label=label, item=item)
            for x, y, label, page in task.get("points", ())
            if page == item
        ]

    module.task_asks = task_asks
    module.task_data = lambda task: task.get("data") or {}
    return module
