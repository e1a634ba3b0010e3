"""The service over a model in a process of its own."""

import os
import signal
from functools import partial

import pytest
from service_doubles import Window

from napari_plugin.service import ModelService
from sam_plugins import open_worker
from sam_plugins.errors import WorkerError
from sam_plugins.testing import sample_image
from sam_plugins.types import Prompt

CLICK = Prompt(point_coords=[(30, 30)], point_labels=[1])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_nano_answers_and_a_killed_process_is_a_sentence_and_comes_back():
    window, states, answers, errors = Window(), [], [], []
    service = ModelService(
        window.deliver,
        partial(open_worker, store=None, threads=1),
        on_state=lambda state: states.append(state.phase),
    )
    image = sample_image(64, 64)

    def click(segmenter):
        return segmenter.decode(segmenter.encode(image), CLICK).crop(0), segmenter.pid

    def ask():
        service.latest("decode", click, answers.append, errors.append)

    service.open("nano", engine="torch")
    ask()
    window.run_until(lambda: answers, patience=120)
    assert service.state.info.name == "nano"
    pid = answers[0][1]
    os.kill(pid, signal.SIGKILL)
    window.run_until(lambda: service.state.phase == "stopped")
    assert "started again at the next request" in service.state.message
    ask()
    window.run_until(lambda: len(answers) == 2, patience=120)
    window.run_until(lambda: states[-1] == "ready", patience=120)
    assert answers[1][1] != pid
    assert errors == []
    service.close()


def test_an_unexpected_error_while_opening_is_a_sentence():
    window, states = Window(), []
    service = ModelService(
        window.deliver,
        partial(open_worker, target="os:_exit"),  # as called, it raises: no keywords are taken
        on_state=states.append,
    )
    service.open("nano")
    window.run_until(lambda: states and states[-1].phase == "failed", patience=60)
    assert isinstance(states[-1].error, WorkerError)
    assert "TypeError" in states[-1].message
    service.close()
