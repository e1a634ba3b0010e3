"""Clicks through a real Label Studio's API on every kind of picture it serves: the core's masks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import real_api as api
from PIL import Image
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, make_project

from labelstudio_backend.start import Backend
from sam_plugins import Interaction, load_image

pytestmark = pytest.mark.slow


def click(programs: RealPrograms, project: RealProject, rgb: Any, xy: tuple[float, float]) -> None:
    """One click on the first task is answered as the core answers."""
    regions = api.answered(programs, project, project.tasks[0], [api.point(xy, rgb.shape)])
    api.same(api.one_mask(regions), core_answer(rgb, Interaction(points=((*xy, 1),))))


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: programs turn it by 90 degrees
    return api.encoded(np.rot90(api.coins()), "JPEG", quality=95, exif=exif)


def deep_grey() -> bytes:
    """16 bit, of which a camera uses a part."""
    grey = np.asarray(Image.fromarray(api.coins()).convert("L"), np.uint16) * 15 + 300
    return api.encoded(grey)


def see_through() -> bytes:
    """With pixels below the alpha channel, which are those of the picture."""
    alpha = np.full(api.coins().shape[:2], 255, np.uint8)
    alpha[:, 200:] = 120
    return api.encoded(np.dstack((api.coins(), alpha)))


UPLOADS: dict[str, Callable[[], bytes]] = {
    "turned.jpg": turned_jpeg,
    "deep.png": deep_grey,
    "alpha.png": see_through,
}


@pytest.mark.parametrize("name", UPLOADS)
def test_uploaded_pictures(name: str, backend: Any, real_programs: RealPrograms) -> None:
    content = UPLOADS[name]()
    rgb = load_image(content)
    assert rgb.shape == api.coins().shape, "the picture is not upright"
    project = make_project(real_programs, f"upload {name}", api.config(), {name: content})
    click(real_programs, project, rgb, api.middle(api.coin()))


class Bucket(api.Files):
    """As much of S3 as Label Studio asks for; objects only by links that are signed."""

    def answer(self, handler: Any) -> tuple[int, str, bytes]:
        where = urlsplit(handler.path)
        query = parse_qs(where.query)
        bucket, _, key = where.path.strip("/").partition("/")
        if bucket != "pictures":
            return 404, "application/xml", b""
        if not key:
            return 200, "application/xml", self._listed()
        if not query.get("X-Amz-Signature") or f"/{key}" not in self.content:
            return 403, "application/xml", b""
        return 200, "image/png", self.content[f"/{key}"]

    def _listed(self) -> bytes:
        entries = "".join(
            f"<Contents><Key>{path[1:]}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
            f"<Size>{len(content)}</Size></Contents>"
            for path, content in self.content.items()
        )
        return (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>pictures</Name><KeyCount>{len(self.content)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        ).encode()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[api.Files]:
    """A web server that is not Label Studio."""
    with api.serving(api.Files({"/a.png": api.encoded(api.coins(3))})) as files:
        yield files


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with api.serving(Bucket({"/set/b.png": api.encoded(api.coins(3))})) as files:
        yield files


@pytest.fixture(scope="module")
def personal_token(real_programs: RealPrograms) -> str:
    """A personal access token, beside the legacy one that the client uses."""
    client = real_programs.client
    kinds = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    client.post("/api/jwt/settings", kinds)
    token = str(client.post("/api/token/", {})["token"])
    assert token.count(".") == 2
    return token


@pytest.fixture(scope="module")
def liberal(
    real_programs: RealPrograms, elsewhere: api.Files, bucket: Bucket, personal_token: str
) -> Iterator[Backend]:
    """A backend that may read from both servers, and has a personal access token."""
    settings = replace(
        real_programs.backend.settings,
        api_key=personal_token,
        allowed_hosts=(elsewhere.netloc, bucket.netloc),
        port=0,
        state_folder=real_programs.folder / "liberal",
    )
    backend = Backend(settings)
    backend.start()
    yield backend
    backend.stop()


def test_another_host_is_refused_until_it_is_listed(
    backend: Any, real_programs: RealPrograms, elsewhere: api.Files, request: Any
) -> None:
    xy = api.middle(api.coin(3))
    data = [{"image": elsewhere.url("/a.png")}]
    project = make_project(real_programs, "refused", api.config(), data=data)
    regions = [api.point(xy, api.coins(3).shape)]
    (sentence,) = api.ask(real_programs, project, project.tasks[0], regions)["errors"]
    assert f"add {elsewhere.netloc} to SAM_PLUGINS_ALLOWED_HOSTS" in sentence
    assert elsewhere.asked == []

    liberal = request.getfixturevalue("liberal")
    allowed = make_project(real_programs, "allowed", api.config(), data=data, url=liberal.url)
    click(real_programs, allowed, api.coins(3), xy)
    assert all("authorization" not in headers for _, headers in elsewhere.asked)


def test_presigned_links_of_a_storage(
    backend: Any, real_programs: RealPrograms, liberal: Backend, bucket: Bucket
) -> None:
    project = make_project(real_programs, "bucket", api.config(), url=liberal.url)
    client = real_programs.client
    storage = client.post(
        "/api/storages/s3/",
        {
            "project": project.number,
            "bucket": "pictures",
            "prefix": "set",
            "s3_endpoint": bucket.url(""),
            "region_name": "eu-test-1",
            "aws_access_key_id": "somebody",
            "aws_secret_access_key": "secret",
            "use_blob_urls": True,
            "presign": True,
        },
    )
    client.post(f"/api/storages/s3/{storage['id']}/sync", {})

    def synchronised() -> list[int]:
        return [int(task["id"]) for task in client.tasks(project.number)]

    tasks = api.until(synchronised, "Label Studio's synchronisation")
    project = replace(project, tasks=tasks)
    click(real_programs, project, api.coins(3), api.middle(api.coin(3)))
    signed = [headers for path, headers in bucket.asked if "X-Amz-Signature" in path]
    assert signed
    assert all("authorization" not in headers for headers in signed), "the token went to a storage"
