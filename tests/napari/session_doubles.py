"""A model's service that answers when the test says so, and an annotator on a viewer without Qt."""

from napari.components import ViewerModel

from napari_plugin.layers import ImageChoice
from napari_plugin.service.state import Request, ServiceState
from napari_plugin.session.annotator import Annotator
from napari_plugin.session.jobs import Jobs
from napari_plugin.session.kept import KeptObjects
from sam_plugins.testing import FakeSegmenter


class Work:
    """A job that goes on when it is told to."""

    def __init__(self, events, on_event, on_done, on_failed):
        self.events, self._on_event = events, on_event
        self._on_done, self._on_failed = on_done, on_failed
        self.running = True

    def step(self, count=1):
        """Deliver up to `count` events."""
        for _ in range(count):
            if not self.running:
                return
            try:
                event = next(self.events)
            except StopIteration:
                self.running = False
                self._on_done(False)
            except Exception as error:
                self.running = False
                self._on_failed(error)
            else:
                self._on_event(event)

    def finish(self):
        while self.running:
            self.step()

    def cancel(self):
        if self.running:
            self.running = False
            self._on_done(True)


class Desk:
    """Stands for `ModelService`: answers at once, or, while `holds`, when asked to."""

    def __init__(self, segmenter=None, holds=False):
        self.segmenter = segmenter or FakeSegmenter(radius=6.0)
        self.holds = holds
        self.error = None
        self.waiting = []
        self.works = []
        self.prepared = []

    @property
    def state(self):
        return ServiceState(phase="ready", message="", request=Request(), info=self.segmenter.info)

    def latest(self, slot, work, done, failed):
        self.waiting.append((work, done, failed))
        if not self.holds:
            self.answer()

    def answer(self):
        """Answer what was asked last; what was asked before is dropped, as the service does."""
        work, done, failed = self.waiting.pop()
        self.waiting.clear()
        try:
            if self.error is not None:
                raise self.error
            found = work(self.segmenter)
        except Exception as error:
            failed(error)
        else:
            done(found)

    def answer_first(self):
        """Answer what was asked first, though newer things were asked since."""
        work, done, _ = self.waiting.pop(0)
        done(work(self.segmenter))

    def job(self, title, make, on_event, on_done, on_failed):
        self.works.append(Work(make(self.segmenter), on_event, on_done, on_failed))
        if not self.holds:
            self.works[-1].finish()
        return self.works[-1]

    def prepare(self, requests, on_prepared=None):
        self.prepared = [key for key, _ in requests]


class Session:
    """An annotator, its jobs and kept objects, and everything that was said."""

    def __init__(self, *, viewer=None, desk=None):
        self.viewer = viewer if viewer is not None else ViewerModel()
        self.desk = desk or Desk()
        self.said = []
        self.annotator = Annotator(self.viewer, self.desk, lambda *said: self.said.append(said))
        self.jobs = Jobs(self.annotator, lambda progress: None)
        self.kept = KeptObjects(self.annotator)

    def open(self, *layers, **options):
        labels = options.pop("labels", None)
        choice = ImageChoice(tuple(layer.name for layer in layers), **options)
        opened = self.annotator.open_image(list(layers), choice, labels=labels)
        if opened:
            self.annotator.tools.set_prompting(True)
        return opened

    @property
    def target(self):
        return self.annotator.target

    @property
    def labels(self):
        return self.annotator.target.labels.data

    def sentences(self, kind=None):
        """What was said since the last call."""
        said, self.said = self.said, []
        return [sentence for how, sentence in said if kind in (None, how)]

    def world(self, *position):
        """Data coordinates of the labels -> world."""
        return tuple(float(v) for v in self.target.labels.data_to_world(position))

    def click(self, *position, sign="object"):
        """At data coordinates of the labels, on the plane in view."""
        return self.annotator.tools.click(self.world(*position), sign)

    def draw_box(self, *corners, plane=()):
        """y0, x0, y1, x1 of pixels, both inside."""
        y0, x0, y1, x1 = corners
        shapes = self.annotator.prompts.shapes
        around = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
        shapes.add_rectangles([[(*plane, *each) for each in around]])

    def scribble(self, *vertices):
        self.annotator.prompts.shapes.add_paths([list(vertices)])

    def shown(self):
        """Pixels of the preview: {(y, x), ...} by their number."""
        layer = self.annotator.preview.layer
        if layer is None or not layer.visible:
            return {}
        found = {}
        for where in zip(*layer.data.nonzero(), strict=True):
            world = layer.data_to_world([float(n) for n in where])
            number = int(layer.data[where])
            back = self.target.labels.world_to_data(world)
            found.setdefault(number, set()).add(tuple(round(v) for v in back))
        return found
