"""What the handlers answer, with doubles of the model and of the learning queue."""

import pytest
from annotator_doubles import (
    CONFIG,
    EVERYTHING,
    AnnotatorDouble,
    IntakeDouble,
    answer,
    body,
    region,
)

from labelstudio_backend.answering import Answers
from labelstudio_backend.errors import BusyError, ConfigError, RequestError
from labelstudio_backend.server import Handlers
from labelstudio_backend.server import handlers as module
from labelstudio_backend.values import Picture

VERSION = "nano-0123456789"


@pytest.fixture
def annotator() -> AnnotatorDouble:
    return AnnotatorDouble()


@pytest.fixture
def intake() -> IntakeDouble:
    return IntakeDouble()


@pytest.fixture
def handlers(annotator: AnnotatorDouble, intake: IntakeDouble) -> Handlers:
    return Handlers(annotator, intake, batch_seconds=70.0)


def tasks(count: int) -> list[dict]:
    return [{"id": n, "data": {"image": f"/data/upload/1/{n}.png"}} for n in range(1, count + 1)]


def test_a_click_asks_for_its_picture_and_its_prompts(handlers, annotator) -> None:
    first, second = region(), region("rectanglelabels", "Dirt")
    handlers.predict(body(first, second))
    (question,) = annotator.questions
    assert question.task == "1"
    assert question.picture == Picture("/data/upload/1/a.png")
    assert question.labels == {"Cell", "Dirt"}
    assert len(question.prompts) == 2


def test_prompts_of_a_click_are_known_again_in_the_next_one(handlers, annotator) -> None:
    first, second = region(x=10.0), region(x=20.0)
    handlers.predict(body(first))
    handlers.predict(body({**first, "id": "another"}, second))
    before, after = annotator.questions
    assert before.prompts < after.prompts


def test_a_click_is_answered_with_regions_score_and_version(handlers, annotator) -> None:
    annotator.answers = [answer("Cell", 0.5), answer("Dirt", 0.75)]
    said = handlers.predict(body(region()))
    assert said["model_version"] == VERSION
    (found,) = said["results"]
    assert found["model_version"] == VERSION
    assert found["score"] == 0.625
    assert [r["meta"]["model_version"] for r in found["result"]] == [VERSION, VERSION]


def test_a_click_that_nothing_is_found_for_is_an_empty_prediction(handlers, annotator) -> None:
    annotator.answers = []  # as where a newer click has superseded it
    (found,) = handlers.predict(body(region()))["results"]
    assert found == {"result": [], "score": None, "model_version": VERSION}


def test_a_task_without_a_number_is_known_by_its_picture(handlers, annotator) -> None:
    for name in ("a.png", "b.png"):
        handlers.predict(body(region(), tasks=[{"data": {"image": name}}]))
    first, second = annotator.questions
    assert first.task != second.task


@pytest.mark.parametrize("before", [VERSION, ""])
def test_the_version_is_that_of_the_model_that_found_it(handlers, annotator, before: str) -> None:
    annotator.answers = Answers([answer()], "nano-ffffffffff")
    annotator.model_version = before  # another is in use already, or none is open
    said = handlers.predict(body(region()))
    versions = {said["model_version"], said["results"][0]["model_version"]} | {
        r["meta"]["model_version"] for r in said["results"][0]["result"]
    }
    assert versions == {"nano-ffffffffff"}


def test_an_opened_task_is_answered_soon(handlers, annotator) -> None:
    assert handlers.predict(body())["results"] == [[]]
    assert annotator.batches == [(1, module.OPEN_SECONDS)]


def test_an_empty_context_is_no_click(handlers, annotator) -> None:
    for context in (None, {}, {"result": []}, {"result": None}):
        handlers.predict(body(params={"context": context}))
    handlers.predict({k: v for k, v in body().items() if k != "params"})
    assert not annotator.questions
    assert len(annotator.batches) == 5


def test_several_tasks_get_one_element_each_and_the_unfinished_none(handlers, annotator) -> None:
    annotator.found = [[answer()], None, [answer(), answer()]]
    results = handlers.predict(body(tasks=tasks(3)))["results"]
    assert annotator.batches == [(3, 70.0)]
    assert [len(found["result"]) if found else found for found in results] == [1, [], 2]


@pytest.mark.parametrize("found", [[], [[answer()]], [[answer()]] * 5])
def test_there_is_one_element_per_task_whatever_is_found(handlers, annotator, found) -> None:
    annotator.found = found
    assert len(handlers.predict(body(tasks=tasks(3)))["results"]) == 3


def test_a_task_that_has_no_prompts_stays_unpredicted(handlers, annotator) -> None:
    annotator.found = [[], []]
    assert handlers.predict(body(tasks=tasks(2)))["results"] == [[], []]


def test_where_everything_is_looked_for_nothing_is_an_answer(handlers, annotator) -> None:
    annotator.found = [[], None]
    first, second = handlers.predict(body(tasks=tasks(2), config=EVERYTHING))["results"]
    assert first == {"result": [], "score": None, "model_version": VERSION}
    assert second == []


def test_each_task_has_the_version_of_the_model_that_found_it(handlers, annotator) -> None:
    annotator.found = [Answers([answer()], "nano-1"), Answers([answer()], "nano-2")]
    results = handlers.predict(body(tasks=tasks(2)))["results"]
    assert [found["model_version"] for found in results] == ["nano-1", "nano-2"]
    assert [found["result"][0]["meta"]["model_version"] for found in results] == [
        "nano-1",
        "nano-2",
    ]


def test_errors_of_the_model_come_through(handlers, annotator) -> None:
    annotator.error = BusyError("Too many wait.")
    for request in (body(region()), body()):
        with pytest.raises(BusyError):
            handlers.predict(request)


def test_setup_says_the_version_and_remembers_no_token(handlers, annotator) -> None:
    said = {
        "project": "1.1",
        "schema": CONFIG,
        "hostname": "http://localhost:8080",
        "access_token": "a-secret-token",
        "extra_params": None,
    }
    assert handlers.setup(said) == {"model_version": VERSION}
    assert "a-secret-token" not in repr(vars(handlers)) + repr(vars(annotator))
    annotator.model_version = ""
    assert handlers.setup(said) == {"model_version": ""}


@pytest.mark.parametrize("schema", ["<View>", "<View></View>", "not XML"])
def test_setup_refuses_a_config_that_nothing_can_be_done_with(handlers, schema: str) -> None:
    with pytest.raises(ConfigError):
        handlers.setup({"schema": schema})


def test_a_config_is_read_once(handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        module,
        "read_config",
        lambda text, known=module.read_config: read.append(text) or known(text),
    )
    fresh = Handlers(AnnotatorDouble(), IntakeDouble())
    for _ in range(3):
        fresh.predict(body(region()))
    fresh.setup({"schema": CONFIG})
    assert read == [CONFIG]


def test_health_says_that_the_model_is_not_ready(handlers, annotator) -> None:
    assert handlers.health()["status"] == "UP"
    assert handlers.health()["ready"] is True
    annotator.model_version = ""
    assert handlers.health()["ready"] is False
    assert handlers.health()["model_version"] == ""


def test_a_webhook_goes_to_the_learning_queue(handlers, intake) -> None:
    event = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}}
    assert handlers.webhook(event) == {"accepted": True}
    assert intake.events == [event]


@pytest.mark.parametrize("event", [{}, {"action": None}, {"action": ""}, {"action": [1]}])
def test_what_is_no_event_is_refused(handlers, intake, event) -> None:
    with pytest.raises(RequestError):
        handlers.webhook(event)
    assert not intake.events


def test_versions(handlers) -> None:
    assert handlers.versions() == {
        "versions": ["nano-0123456789", "nano-9876543210"],
        "model_version": VERSION,
    }


def test_the_next_tasks_are_looked_for_when_a_task_is_opened() -> None:
    opened = []
    handlers = Handlers(
        AnnotatorDouble(),
        IntakeDouble(),
        look_ahead=lambda project, task, config: opened.append((project, task["id"])),
    )
    handlers.predict(body())
    handlers.predict(body(region()))
    handlers.predict(body(tasks=tasks(2)))
    handlers.predict(body(project=None))
    assert opened == [(17, 1)]


def test_closing_ends_the_model_before_what_it_reads_from() -> None:
    annotator = AnnotatorDouble()
    closed = []
    handlers = Handlers(
        annotator, IntakeDouble(), closing=[lambda: closed.append(list(annotator.closed))]
    )
    handlers.close(3.0)
    assert closed == [[3.0]]
