"""The service between a window and its model: nothing that the model does reaches the window."""

import logging
import threading

import pytest
from service_doubles import PATIENCE, Openings, Stall, Window

from napari_plugin.service import ModelService
from sam_plugins.errors import CheckpointError, DownloadError, ModelError
from sam_plugins.worker import WorkerStatus


@pytest.fixture
def window():
    return Window()


@pytest.fixture
def openings():
    return Openings()


@pytest.fixture
def service(window, openings):
    made = ModelService(window.deliver, openings)
    yield made
    made.close()


def refuse(error):
    raise AssertionError(f"failed unexpectedly: {error!r}")


def ask(service, work, slot="decode"):
    """Two lists: answers and errors."""
    answers, errors = [], []
    service.latest(slot, work, answers.append, errors.append)
    return answers, errors


def test_an_answer_comes_on_the_windows_thread(window, service):
    service.open()
    threads = []
    service.latest(
        "decode",
        lambda segmenter: (segmenter.info.name, threading.current_thread()),
        lambda answer: threads.append((*answer, threading.current_thread())),
        refuse,
    )
    window.run_until(lambda: threads)
    name, worked, answered = threads[0]
    assert name == "fake"
    assert worked is not answered
    assert answered is threading.current_thread()


def test_what_is_asked_before_the_model_is_ready_waits_for_it(window):
    openings = Openings(gate=False)
    service = ModelService(window.deliver, openings)
    service.open("nano")
    answers, errors = ask(service, lambda segmenter: segmenter.info.name)
    assert service.state.phase == "opening"
    openings.gate.set()
    window.run_until(lambda: answers)
    assert (answers, errors) == (["fake"], [])
    service.close()


def test_the_newest_request_wins(window, service):
    service.open()
    first, ran = Stall(), []
    late, _ = ask(service, first)
    assert first.begun.wait(PATIENCE)
    dropped, _ = ask(service, lambda _: ran.append("dropped"))
    newest, _ = ask(service, lambda _: "newest")
    first.go_on.set()
    window.run_until(lambda: newest)
    window.run_waiting()
    assert (late, dropped, ran, newest) == ([], [], [], ["newest"])


def test_an_answer_on_its_way_gives_way_to_a_newer_request(window, service):
    service.open()
    finished = threading.Event()
    old, _ = ask(service, lambda _: "old")
    ask(service, lambda _: finished.set(), slot="other")
    assert finished.wait(PATIENCE)
    stall = Stall()
    ask(service, stall)
    assert stall.begun.wait(PATIENCE)  # the old one was answered or dropped before this one began
    window.run_waiting()
    assert old == []
    stall.go_on.set()


def test_forgotten_requests_are_not_answered(window, service):
    service.open()
    stall = Stall()
    answers, errors = ask(service, stall)
    assert stall.begun.wait(PATIENCE)
    service.forget("decode")
    stall.go_on.set()
    again, _ = ask(service, lambda _: "again")
    window.run_until(lambda: again)
    assert (answers, errors) == ([], [])


def test_a_stalled_slot_keeps_no_other_slot_waiting(window, service):
    service.open()
    stall = Stall()
    ask(service, stall)
    assert stall.begun.wait(PATIENCE)
    answers, _ = ask(service, lambda _: "other", slot="encode")
    window.run_until(lambda: answers)
    stall.go_on.set()


def test_an_error_of_the_model_is_delivered_and_the_next_request_works(window, service):
    service.open()

    def fail(segmenter):
        raise RuntimeError("out of memory")

    _, errors = ask(service, fail)
    window.run_until(lambda: errors)
    assert str(errors[0]) == "out of memory"
    answers, _ = ask(service, lambda _: "fine")
    window.run_until(lambda: answers)


def test_a_callback_that_fails_is_logged_and_nothing_else(window, service, caplog):
    service.open()

    def fail(answer):
        raise ZeroDivisionError("in the window")

    with caplog.at_level(logging.ERROR):
        service.latest("decode", lambda _: 1, fail, refuse)
        answers, _ = ask(service, lambda _: 2, slot="other")
        window.run_until(lambda: answers and "in the window" in caplog.text)
    again, _ = ask(service, lambda _: 3)
    window.run_until(lambda: again)


def test_a_window_that_is_gone_stops_no_thread(openings, caplog):
    gone, calls = True, []

    def deliver(call):
        if gone:
            raise RuntimeError("the window was destroyed")
        calls.append(call)

    service = ModelService(deliver, openings)
    service.open()
    worked = threading.Event()
    service.latest("decode", lambda _: worked.set(), refuse, refuse)
    assert worked.wait(PATIENCE)
    again = threading.Event()
    service.latest("decode", lambda _: again.set(), refuse, refuse)
    assert again.wait(PATIENCE)
    service.close()


def test_a_model_that_cannot_be_opened_is_a_sentence_and_fails_what_waits(window):
    service = ModelService(window.deliver, Openings(error=CheckpointError("Damaged: fetch again.")))
    service.open("nano")
    _, errors = ask(service, lambda _: "never")
    window.run_until(lambda: errors)
    assert isinstance(errors[0], CheckpointError)
    assert (service.state.phase, service.state.message) == ("failed", "Damaged: fetch again.")
    service.close()


def test_without_a_model_the_error_says_to_choose_one(window, service):
    _, errors = ask(service, lambda _: "never")
    window.run_until(lambda: errors)
    assert isinstance(errors[0], ModelError)
    assert "choose one" in str(errors[0])


def test_states_are_delivered_in_order_with_what_the_model_is(window, openings):
    states = []
    service = ModelService(window.deliver, openings, on_state=states.append)
    service.open("nano", device="cpu", engine="torch", precision="bf16")
    window.run_until(lambda: states and states[-1].phase == "ready")
    assert [state.phase for state in states] == ["opening", "ready"]
    assert states[-1].info.name == "fake"
    assert states[-1].message == "fake answers on cpu with numpy."
    assert openings.asked == [("nano", "cpu", "bf16", "torch")]
    service.close()


def test_what_the_models_process_says_becomes_the_state(window, openings):
    service = ModelService(window.deliver, openings)
    service.open()
    answers, _ = ask(service, lambda segmenter: segmenter.info)
    window.run_until(lambda: answers)
    report = openings.reports[0]
    report(WorkerStatus(phase="stopped", message="The process ended."))
    assert (service.state.phase, service.state.message) == ("stopped", "The process ended.")
    assert service.state.info == answers[0]
    report(WorkerStatus(phase="starting", message="Starting."))
    again, _ = ask(service, lambda _: "asked while it starts")
    window.run_until(lambda: again)
    report(WorkerStatus(phase="ready", message="Ready.", info=answers[0]))
    assert service.state.phase == "ready"
    service.close()


def test_another_model_closes_the_former_and_drops_its_work(window, service, openings):
    service.open("nano")
    stall = Stall()
    late, errors = ask(service, stall)
    assert stall.begun.wait(PATIENCE)
    service.open("nano", engine="torch")
    answers, _ = ask(service, lambda segmenter: segmenter)
    window.run_until(lambda: answers)  # though the former one still stalls
    assert openings.opened[0].closed.is_set()
    assert answers == [openings.opened[1]]
    stall.go_on.set()
    stall.thread.join(PATIENCE)  # what held it is over, and a dropped slot ends
    assert not stall.thread.is_alive()
    window.run_waiting()
    assert (late, errors) == ([], [])
    openings.reports[0](WorkerStatus(phase="stopped", message="The former one."))
    assert service.state.phase == "ready"


def test_a_model_that_was_replaced_while_it_was_opened_is_closed(window):
    openings = Openings(gate=False)
    service = ModelService(window.deliver, openings)
    service.open("nano")
    service.open("nano", engine="torch")
    openings.gate.set()
    answers, _ = ask(service, lambda segmenter: segmenter)
    window.run_until(lambda: answers and service.state.phase == "ready")
    window.run_until(lambda: len(openings.opened) < 2 or any_closed(openings))
    assert not answers[0].closed.is_set()
    service.close()


def any_closed(openings):
    return any(segmenter.closed.is_set() for segmenter in openings.opened)


def test_nothing_is_delivered_after_close(window, openings):
    service = ModelService(window.deliver, openings, on_state=lambda state: states.append(state))
    states = []
    service.open()
    stall = Stall()
    answers, errors = ask(service, stall)
    assert stall.begun.wait(PATIENCE)
    window.run_waiting()
    before = len(states)
    service.close()
    stall.go_on.set()
    assert openings.opened[0].closed.wait(PATIENCE)
    window.run_waiting()
    assert (answers, errors, len(states)) == ([], [], before)
    service.latest("decode", lambda _: 1, refuse, refuse)
    service.open()
    window.run_waiting()
    assert len(openings.asked) == 1


def test_missing_weights_are_downloaded_first(window, openings, tmp_path, monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path))
    states, fetched = [], []

    def download(name, *, progress, cancelled):
        for done in (0, 100, 400):
            progress(done, 400)
        fetched.append((name, len(openings.asked)))

    service = ModelService(window.deliver, openings, on_state=states.append, download=download)
    service.open("vit_t")
    window.run_until(lambda: states and states[-1].phase == "ready")
    assert fetched == [("vit_t", 0)]
    loading = [state for state in states if state.phase == "downloading"]
    assert loading[-1].fraction == 1.0
    assert loading[0].bytes_total == 40_728_226
    service.close()


def test_a_download_can_be_cancelled(window, openings, tmp_path, monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path))
    begun, asked = threading.Event(), threading.Event()

    def download(name, *, progress, cancelled):
        begun.set()
        while not cancelled():
            asked.wait(0.01)
        raise DownloadError("The download was cancelled at 0 bytes, which are kept.")

    service = ModelService(window.deliver, openings, download=download)
    service.open("vit_t")
    assert begun.wait(PATIENCE)
    service.cancel_download()
    window.run_until(lambda: service.state.phase == "failed")
    assert "cancelled" in service.state.message
    assert openings.asked == []
    service.close()
