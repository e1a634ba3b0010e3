"""The table of bad requests, sent over real HTTP: real routes, handlers, config and reader."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from annotator_doubles import AnnotatorDouble, IntakeDouble, answer, body, region
from bad_requests import (
    ADDRESSES,
    BODIES,
    CONFIGS,
    NO_PROMPTS,
    OTHER_WAYS,
    REGIONS,
    SERVED,
    SHAPES,
    TOLERATED,
    Row,
)
from hostile_pictures import hostile_pictures
from server_doubles import served

from labelstudio_backend.fetching import PictureReader
from labelstudio_backend.server import Handlers
from labelstudio_backend.settings import Settings

TOKEN = "0123456789abcdef0123456789abcdef01234567"


class Annotator(AnnotatorDouble):
    """Reads the picture that it is asked about, as the real one does."""

    def __init__(self, reader: PictureReader) -> None:
        super().__init__()
        self.reader = reader
        self.reads = False

    def click(self, question):
        if self.reads:
            self.reader.load(question.picture)
        return super().click(question)


@pytest.fixture(scope="module")
def annotator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Annotator]:
    with hostile_pictures() as label_studio:
        settings = Settings(
            label_studio_url=label_studio,
            api_key=TOKEN,
            state_folder=tmp_path_factory.mktemp("state"),
            local_files_root=Path(__file__).parent,
        )
        yield Annotator(PictureReader(settings))


@pytest.fixture(scope="module")
def address(annotator: Annotator) -> Iterator[str]:
    with served(Handlers(annotator, IntakeDouble()), Settings(api_key=TOKEN)) as address:
        yield address


def send(address: str, row: Row) -> requests.Response:
    raw = row.sent if isinstance(row.sent, bytes) else json.dumps(row.sent).encode()
    headers = {"content-type": "application/json", **row.headers}
    return requests.request(row.method, address + row.path, data=raw, headers=headers, timeout=60)


def check(found: requests.Response, row: Row) -> None:
    assert found.status_code == row.status, found.text
    said = found.json()
    assert list(said) == ["error"]
    assert row.says in said["error"]
    assert len(said["error"]) > 10
    for secret in (TOKEN, "secret-word", "Traceback", "root:"):
        assert secret not in found.text + found.reason


def rows(table: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", table, ids=[row.name for row in table])


@rows(BODIES + SHAPES + CONFIGS + OTHER_WAYS)
def test_a_bad_request(address: str, annotator: Annotator, row: Row) -> None:
    annotator.reads = False
    check(send(address, row), row)


@rows(REGIONS)
def test_a_bad_region(address: str, annotator: Annotator, row: Row) -> None:
    annotator.reads = False
    if row.sent == b"1e999":  # a number that JSON can write and Python cannot hold
        text = json.dumps(body(region(x=123.25))).replace("123.25", "1e999")
        row = dataclasses.replace(row, sent=text.encode())
    check(send(address, row), row)


@rows(NO_PROMPTS)
def test_a_click_in_which_nothing_is_a_prompt(address: str, annotator: Annotator, row: Row) -> None:
    annotator.reads = False
    found = send(address, row)
    assert found.status_code == 200, found.text
    assert [said["result"] for said in found.json()["results"]] == [[]]


@rows(ADDRESSES + SERVED)
def test_a_bad_address(address: str, annotator: Annotator, row: Row) -> None:
    annotator.reads = True
    check(send(address, row), row)


@pytest.mark.parametrize(("name", "other"), TOLERATED, ids=[name for name, _ in TOLERATED])
def test_a_region_that_is_no_prompt_disturbs_no_click(
    address: str, annotator: Annotator, name: str, other: dict
) -> None:
    annotator.reads = False
    beside = {"id": "other", "from_name": "other", "to_name": "image", **other}
    for regions in ([region(), beside], [beside, region()]):
        found = requests.post(f"{address}/predict", json=body(*regions))
        assert found.status_code == 200, found.text
        assert len(found.json()["results"]) == 1


def test_the_backend_is_as_well_as_before(address: str, annotator: Annotator) -> None:
    annotator.reads = False
    annotator.answers = [answer()]
    found = requests.post(f"{address}/predict", json=body(region()))
    assert found.json()["results"][0]["result"][0]["type"] == "brushlabels"
