"""Links of cloud storage in a task's data."""

from base64 import urlsafe_b64decode

import pytest

from labelstudio_backend.controls import task_data


@pytest.mark.parametrize(
    "link", ["s3://bucket/a b.png", "gs://bucket/é.png", "azure-blob://box/a?b=c.png"]
)
def test_stored_links_become_what_label_studio_resolves(link: str) -> None:
    data = {"image": link, "pages": ["/data/upload/1/a.png", link], "deep": {"er": link}}
    found = task_data({"id": 7, "data": data})
    begin, _, encoded = found["image"].partition("?fileuri=")
    assert begin == "/tasks/7/resolve/"
    assert urlsafe_b64decode(encoded).decode() == link
    assert found["pages"] == ["/data/upload/1/a.png", found["image"]]
    assert found["deep"] == {"er": found["image"]}
    assert data["image"] == link, "the task itself was changed"


@pytest.mark.parametrize(
    "value", ["https://h/s3://a.png", "/data/upload/1/a.png", "data:image/png;base64,AA", 3, None]
)
def test_everything_else_stays(value: object) -> None:
    assert task_data({"id": 7, "data": {"image": value}}) == {"image": value}


@pytest.mark.parametrize("number", [None, "", "../1", "７", True])
def test_without_a_number_links_stay(number: object) -> None:
    data = {"image": "s3://bucket/a.png"}
    assert task_data({"id": number, "data": data}) == data


def test_no_data() -> None:
    assert task_data({"id": 1}) == {}
    assert task_data({"id": 1, "data": None}) == {}
