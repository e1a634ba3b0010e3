"""Label Studio's API: what is repeated, what is not, and what its refusals say."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from fetching_doubles import Handler, Server, server

from labelstudio_backend.errors import ConfigError, LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.fetching.exchange import Allowance
from labelstudio_backend.fetching.retrying import Patience, retry_after

KEY = "0123456789abcdef"


@pytest.fixture
def home() -> Iterator[Server]:
    with server() as double:
        yield double


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(home: Server, slept: list[float]) -> LabelStudioClient:
    return LabelStudioClient(
        home.url,
        KEY,
        patience=Patience(attempts=4, sleep=slept.append),
        allowance=Allowance(max_bytes=20_000, total_seconds=20),
    )


def in_turn(home: Server, path: str, *answers: tuple[int, dict[str, str]]) -> None:
    """Answers one after another; the last has content."""
    turn = iter(answers)

    def answer(handler: Handler) -> None:
        status, headers = next(turn)
        body = b'{"id": 7, "release": "1.23.2"}' if status < 300 else b'{"detail": "no"}'
        if status == 0:
            return  # closes the connection without a word
        handler.answer(status, body, headers)

    home.routes[path] = answer


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
def test_asking_is_repeated(
    home: Server, client: LabelStudioClient, slept: list[float], status: int
) -> None:
    in_turn(home, "/api/version", (status, {}), (status, {}), (200, {}))
    assert client.version() == "1.23.2"
    assert len(slept) == 2
    assert 0.25 <= slept[0] <= 0.5 <= slept[1] <= 1.0


def test_asking_is_not_repeated_for_ever(home: Server, client: LabelStudioClient) -> None:
    home.gives_json("/api/version", {"detail": "down"}, status=503)
    with pytest.raises(LabelStudioError, match="try again later") as caught:
        client.version()
    assert caught.value.status == 503
    assert len(home.seen) == 4


@pytest.mark.parametrize(("asked", "waits"), [("3", 3.0), ("900", 30.0), ("x", None)])
def test_retry_after_is_followed_up_to_a_bound(
    home: Server, client: LabelStudioClient, slept: list[float], asked: str, waits: float | None
) -> None:
    in_turn(home, "/api/version", (429, {"Retry-After": asked}), (200, {}))
    client.version()
    if waits is None:
        assert slept[0] <= 0.5
    else:
        assert slept == [waits]


def test_retry_after_as_a_date() -> None:
    assert retry_after({"retry-after": "Mon, 30 Nov 1990 06:00:00 GMT"}) == 0.0
    assert (retry_after({"retry-after": "Fri, 30 Nov 2096 06:00:00 GMT"}) or 0) > 1e6
    assert retry_after({"retry-after": "Fri, 30 Nov 2096 06:00:00"}) is not None
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def add(client: LabelStudioClient) -> int:
    return client.create_prediction(3, [{"a": 1}], score=0.5, model_version="m-1")


@pytest.mark.parametrize("status", [429, 503])
def test_changes_are_repeated_where_they_were_not_made(
    home: Server, client: LabelStudioClient, status: int
) -> None:
    in_turn(home, "/api/predictions/", (status, {}), (201, {}))
    assert add(client) == 7
    assert json.loads(home.seen[1].body) == {
        "task": 3,
        "result": [{"a": 1}],
        "score": 0.5,
        "model_version": "m-1",
    }


@pytest.mark.parametrize(("status", "known"), [(0, None), (500, 500), (502, 502), (504, 504)])
def test_changes_are_not_repeated_where_they_may_have_been_made(
    home: Server, client: LabelStudioClient, status: int, known: int | None
) -> None:
    in_turn(home, "/api/predictions/", (status, {}), (201, {}))
    with pytest.raises(LabelStudioError) as caught:
        add(client)
    assert caught.value.status == known
    assert len(home.seen) == 1


def test_nobody_listens(slept: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = LabelStudioClient(url, KEY, patience=Patience(attempts=3, sleep=slept.append))
    for call in (client.version, lambda: add(client)):
        with pytest.raises(LabelStudioError, match="cannot be reached") as caught:
            call()
        assert caught.value.status is None
    assert len(slept) == 4  # nothing was sent: changes may be tried again as well


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"detail": "Invalid token."}, r"Invalid token\..*does not accept the token"),
        (403, {"detail": "no"}, "the right to do this"),
        (403, {"detail": "URL resolves to a reserved network address"}, "BANNED_SUBNETS"),
        (404, {"detail": "No Project matches the given query."}, "there is no such thing"),
        (400, {"detail": "x", "validation_errors": {"title": ["too short"]}}, "title: too short"),
        (400, {"validation_errors": {"non_field_errors": ["bad"]}}, r'"bad"'),
        (400, ["x"], "correct what was sent"),
        (418, "x" * 5000, "correct what was sent"),
    ],
)
def test_refusals(
    home: Server, client: LabelStudioClient, status: int, body: object, says: str
) -> None:
    home.gives_json("/api/projects/3/", body, status=status)
    with pytest.raises(LabelStudioError, match=says) as caught:
        client.project(3)
    assert caught.value.status == status
    assert len(str(caught.value)) < 700
    assert len(home.seen) == 1


def test_a_traceback_is_not_repeated_to_people(home: Server, client: LabelStudioClient) -> None:
    content = {"detail": "broken", "exc_info": "Traceback (most recent call last) in secret.py"}
    home.gives_json("/api/projects/3/", content, status=400)
    with pytest.raises(LabelStudioError) as caught:
        client.project(3)
    assert "secret.py" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!doctype html><html></html>", "answered with a page"),
        (b"[1", "answered with no JSON"),
        (b"[1]", "something else than was asked for"),
        (b"", "something else than was asked for"),
        (b"[" * 9000, "answered with no JSON"),
        (b'{"a": 1}', "does not say that it is Label Studio"),
        (b"x" * 20_001, "larger than 20,000 bytes"),
    ],
)
def test_what_is_not_label_studio(
    home: Server, client: LabelStudioClient, body: bytes, says: str
) -> None:
    home.gives("/api/version", body)
    with pytest.raises(LabelStudioError, match=says) as caught:
        client.version()
    assert caught.value.status == 200


def test_redirects_of_changes_are_not_followed(home: Server, client: LabelStudioClient) -> None:
    home.redirects("/api/predictions/", "/api/other/", status=308)
    with pytest.raises(LabelStudioError, match="set LABEL_STUDIO_URL"):
        add(client)
    assert len(home.seen) == 1


def test_a_redirect_to_https_says_what_to_set(home: Server, client: LabelStudioClient) -> None:
    home.redirects("/api/version", home.url.replace("http", "https") + "/api/version")
    with pytest.raises(LabelStudioError, match="set LABEL_STUDIO_URL to https://127"):
        client.version()


def task(number: int, size: int = 10) -> dict[str, object]:
    return {"id": number, "predictions": [], "annotations": [], "data": {"image": "x" * size}}


def pages(home: Server, tasks: list[dict[str, object]], *, path: str = "/api/tasks") -> None:
    def page(handler: Handler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        number, size = int(query["page"][0]), int(query["page_size"][0])
        found = tasks[(number - 1) * size : number * size]
        if number > 1 and not found:
            handler.answer(404, b'{"detail": "Invalid page."}')
        else:
            content = json.dumps({"tasks": found, "total": len(tasks)})
            handler.answer(200, content.encode())

    home.routes[path] = page


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
def test_all_tasks_in_pages(home: Server, client: LabelStudioClient, count: int) -> None:
    tasks = [task(number) for number in range(count)]
    pages(home, tasks)
    assert list(client.tasks(4, page_size=10)) == tasks
    assert len(home.seen) == max(1, -(-count // 10))
    query = parse_qs(urlsplit(home.seen[0].target).query)
    assert (query["project"], query["fields"]) == (["4"], ["all"])
    assert json.loads(query["query"][0]) == {"ordering": ["tasks:id"]}


def test_tasks_that_are_too_large_together_come_in_smaller_pages(
    home: Server, client: LabelStudioClient
) -> None:
    tasks = [task(number, 10 if number < 12 else 6_000) for number in range(20)]
    pages(home, tasks)
    assert list(client.tasks(4, page_size=9)) == tasks
    pages(home, [task(1, 30_000)])
    with pytest.raises(LabelStudioError, match="ask for less at once"):
        list(client.tasks(4))


def test_tasks_deleted_meanwhile_end_the_pages(home: Server, client: LabelStudioClient) -> None:
    tasks = [task(number) for number in range(25)]
    pages(home, tasks)
    found = client.tasks(4, page_size=10)
    first = [next(found) for _ in range(10)]
    del tasks[10:]
    assert first + list(found) == tasks


def test_a_project_that_is_not_there(home: Server, client: LabelStudioClient) -> None:
    home.gives_json("/api/tasks", {"detail": "No Project matches"}, status=404)
    with pytest.raises(LabelStudioError, match="no such thing"):
        list(client.tasks(4))


@pytest.mark.parametrize("content", [{"tasks": 3}, {"tasks": [3]}, {"tasks": [{}]}, {}, [1]])
def test_tasks_that_are_none(home: Server, client: LabelStudioClient, content: object) -> None:
    home.gives_json("/api/tasks", content)
    with pytest.raises(LabelStudioError):
        list(client.tasks(4))


def test_below_a_sub_path_and_with_the_token(home: Server) -> None:
    client = LabelStudioClient(f"{home.url}/ls/", KEY)
    home.gives_json("/ls/api/tasks/5/", {"id": 5})
    assert client.task(5) == {"id": 5}
    pages(home, [task(1)], path="/ls/api/tasks")
    assert list(client.tasks(1)) == [task(1)]
    assert {seen.token for seen in home.seen} == {f"Token {KEY}"}


def test_the_other_methods(home: Server, client: LabelStudioClient) -> None:
    home.gives_json("/api/current-user/whoami", {"email": "a@b"})
    home.gives_json("/api/predictions/", [{"id": 1}])
    home.gives_json("/api/ml", [{"id": 2}])
    home.gives_json("/api/projects/", {"id": 3}, status=201)
    home.gives_json("/api/projects/3/import", {"task_ids": [4, 5]}, status=201)
    home.gives_json("/api/ml/", {"id": 6}, status=201)
    home.gives_json("/api/projects/3/", {"id": 3})
    assert client.whoami() == {"email": "a@b"}
    assert client.predictions(4) == [{"id": 1}]
    assert client.ml_backends(3) == [{"id": 2}]
    assert client.create_project("title", "<View/>", description="d") == {"id": 3}
    assert client.import_tasks(3, [{"data": {"image": "x"}}]) == [4, 5]
    assert client.create_ml_backend(3, "http://x", user="u", password="p") == {"id": 6}
    assert client.patch("/api/projects/3/", {"title": "new"}) == {"id": 3}
    client.close()
    targets = home.targets
    assert targets[1:3] == ["/api/predictions/?task=4", "/api/ml?project=3"]
    assert json.loads(home.seen[5].body) == {
        "project": 3,
        "url": "http://x",
        "title": "sam-plugins",
        "is_interactive": True,
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": "u",
        "basic_auth_pass": "p",
    }


def test_an_address_or_token_that_cannot_be_used() -> None:
    with pytest.raises(ConfigError):
        LabelStudioClient("ftp://x", KEY)
    with pytest.raises(LabelStudioError, match="no token"):
        LabelStudioClient("http://x", "two words")


def test_the_token_is_in_no_message(home: Server, client: LabelStudioClient) -> None:
    home.gives_json("/api/projects/3/", {"detail": "x"}, status=401)
    with pytest.raises(LabelStudioError) as caught:
        client.project(3)
    assert KEY not in str(caught.value)
    assert KEY not in repr(client)
