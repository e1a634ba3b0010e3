"""A session on the service that works on threads: nothing waits for it, and nothing old arrives."""

import numpy as np
import pytest

pytest.importorskip("napari")

from service_doubles import Openings, Window
from session_doubles import Session

from napari_plugin.service import ModelService
from sam_plugins.errors import ModelError


@pytest.fixture
def started():
    services = []

    def start(openings):
        window = Window()
        service = ModelService(window.deliver, openings)
        services.append(service)
        session = Session(desk=service)
        layer = session.viewer.add_image(np.zeros((96, 128), np.uint8), name="cells")
        assert session.open(layer)
        service.open()
        return session, window

    yield start
    for service in services:
        service.close()


def test_prompts_before_the_model_is_ready_are_answered_when_it_is(started):
    openings = Openings(gate=False)
    session, window = started(openings)
    session.click(40, 50)
    session.click(40, 70)
    assert session.annotator.accept() is False
    session.click(70, 100)
    assert session.annotator.is_waiting
    assert not session.labels.any()
    openings.gate.set()
    window.run_until(lambda: session.labels.any())
    assert session.labels[40, 50] == session.labels[40, 70] == session.labels[70, 100] == 1
    assert not session.annotator.has_draft
    assert session.sentences() == []


def test_a_model_that_cannot_be_opened_is_one_sentence_for_each_try(started):
    openings = Openings(error=ModelError("There is no network."))
    session, window = started(openings)
    session.click(40, 50)
    window.run_until(lambda: session.said)
    window.run_waiting()
    assert session.sentences() == ["There is no network."]
    assert session.annotator.accept() is False
    window.run_until(lambda: session.said)
    assert session.sentences() == ["There is no network."]
    openings.error = None
    session.desk.open("another")
    session.annotator.model_changed()
    window.run_until(lambda: session.shown())
    assert session.annotator.accept()


def test_another_model_takes_over_what_is_on_its_way(started):
    openings = Openings(gate=False)
    session, window = started(openings)
    session.click(40, 50)
    session.annotator.accept()
    session.desk.open("another")
    session.annotator.model_changed()
    openings.gate.set()
    window.run_until(lambda: not session.annotator.is_waiting)
    assert [asked[0] for asked in openings.asked][-1] == "another"
    assert session.shown() or session.labels.any()
    assert session.sentences() == []


def test_the_picture_is_prepared_and_answers_come_meanwhile(started):
    session, window = started(Openings())
    for place in ((40, 50), (41, 52), (70, 100)):
        session.click(*place)
    window.run_until(lambda: not session.annotator.is_waiting)
    (shown,) = session.shown().values()
    assert {(40, 50), (41, 52), (70, 100)} <= shown
    session.annotator.close_image()
    window.run_waiting()
    assert session.sentences() == []
