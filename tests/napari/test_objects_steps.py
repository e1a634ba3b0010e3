"""Anything a person may do with a book, in any order: undo is exact, and paint survives it."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.errors import LabelsError
from napari_plugin.values import Plane, PlaneMask, PromptSet

PLANE = Plane(1, 2, (0, 0, 0))


def thing(x0, y0, x1, y1, plane=PLANE, object_id=None):
    mask = PlaneMask(plane, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), bool))
    return Acceptance((mask,), {plane: PromptSet(points=((x0, y0, 1),))}, object_id)


BOXES = st.tuples(st.integers(0, 8), st.integers(0, 6), st.integers(1, 6), st.integers(1, 5)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


class Work(RuleBasedStateMachine):
    """Anything a person does, against copies of the array: undo is exact where nobody painted."""

    def __init__(self):
        super().__init__()
        self.labels = np.zeros((2, 12, 16), np.uint16)
        # So that no number that is given out is a colour that is painted with.
        self.labels[1, 11, 15] = 1999
        self.book = Book(self.labels)
        self.before = []
        self.undone = []
        self.painted = np.zeros(self.labels.shape, bool)
        self.paint = np.zeros_like(self.labels)
        self.ever = np.zeros(self.labels.shape, bool)
        self.colour = 1000

    def step(self, act):
        before = self.labels.copy(), dict(self.book.records)
        act()
        self.before.append((before, (self.labels.copy(), dict(self.book.records))))
        self.undone.clear()

    def ids(self):
        return [int(v) for v in np.unique(self.labels) if v > 1999]

    @rule(box=BOXES, depth=st.integers(0, 1), over=st.booleans())
    def accept(self, box, depth, over):
        policy = "overwrite" if over else "keep"
        item = thing(*box, plane=PLANE.at(0, depth))
        if not over and self.labels[depth, box[1] : box[3], box[0] : box[2]].all():
            assert self.book.accept(item).id == 0
            return
        if over:
            self.painted[depth, box[1] : box[3], box[0] : box[2]] = False
        self.step(lambda: self.book.accept(item, policy=policy))

    @precondition(lambda self: self.ids())
    @rule(data=st.data(), box=BOXES)
    def accept_again(self, data, box):
        number = data.draw(st.sampled_from(self.ids()))
        self.book.reopen(number, PLANE)
        held = self.labels[0, box[1] : box[3], box[0] : box[2]]
        if ((held != 0) & (held != number)).all():
            return
        self.step(lambda: self.book.accept(thing(*box, object_id=number)))

    @precondition(lambda self: self.ids())
    @rule(data=st.data())
    def delete(self, data):
        self.step(lambda: self.book.delete(data.draw(st.sampled_from(self.ids()))))

    @precondition(lambda self: len(self.ids()) > 1)
    @rule(data=st.data())
    def merge(self, data):
        some = data.draw(st.lists(st.sampled_from(self.ids()), min_size=2, max_size=3, unique=True))
        self.step(lambda: self.book.merge(some))

    @precondition(lambda self: self.ids())
    @rule(data=st.data())
    def split(self, data):
        number = data.draw(st.sampled_from(self.ids()))
        count = int((self.labels == number).sum())
        before = self.labels.copy()
        try:
            ids = self.book.split(number)
        except LabelsError:
            assert (self.labels == before).all()
            return
        records = dict(self.book.records)
        assert sum(int((self.labels == part).sum()) for part in ids) == count
        self.book.undo()
        assert (self.labels == before).all()
        earlier = dict(self.book.records)
        self.book.redo()
        assert self.book.records == records
        self.before.append(((before, earlier), (self.labels.copy(), records)))
        self.undone.clear()

    @rule(box=BOXES)
    def brush(self, box):
        where = (slice(0, 1), slice(box[1], box[3]), slice(box[0], box[2]))
        self.colour += 1
        self.labels[where] = self.colour
        self.painted[where] = self.ever[where] = True
        self.paint[where] = self.colour

    @precondition(lambda self: self.before)
    @rule()
    def undo(self):
        (labels, _), later = self.before.pop()
        self.undone.append(((labels, _), later))
        self.book.undo()
        assert (self.labels[~self.ever] == labels[~self.ever]).all()

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self):
        earlier, later = self.undone.pop()
        self.before.append((earlier, later))
        self.book.redo()
        assert (self.labels[~self.ever] == later[0][~self.ever]).all()

    @invariant()
    def paint_is_there(self):
        assert (self.labels[self.painted] == self.paint[self.painted]).all()


Work.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestWork = Work.TestCase
