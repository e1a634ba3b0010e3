"""Clicks through a real Label Studio's API on every kind of picture it serves: the core's masks."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
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
    "palette.gif": lambda: api.encoded(Image.fromarray(api.coins()).quantize(), "GIF"),
    "Bild #1 & 50% (ü)+?.png": lambda: api.encoded(api.coins(1)),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_uploaded_pictures(name: str, backend: Any, real_programs: RealPrograms) -> None:
    content = UPLOADS[name]()
    rgb = load_image(content)
    assert rgb.shape == api.coins().shape, "the picture is not upright"
    project = make_project(real_programs, f"upload {name}", api.config(), {name: content})
    click(real_programs, project, rgb, api.middle(api.coin(1 if "Bild" in name else 0)))


STORED: dict[str, Callable[[], bytes]] = {
    "deep.tif": lambda: api.encoded(Image.open(io.BytesIO(deep_grey())), "TIFF"),
    "Bild #1 & 50% (ü)+ %23?.png": lambda: api.encoded(api.coins()),
}


@pytest.mark.parametrize("name", STORED)
def test_files_of_a_folder(name: str, backend: Any, real_programs: RealPrograms) -> None:
    """With the addresses that Label Studio writes when it synchronises a folder."""
    content = STORED[name]()
    folder = real_programs.files / f"a folder of {Path(name).suffix[1:]}"
    folder.mkdir()
    (folder / name).write_bytes(content)
    project = make_project(real_programs, f"folder {name}", api.config())
    client = real_programs.client
    stored = {"project": project.number, "path": str(folder), "use_blob_urls": True}
    storage = client.post("/api/storages/localfiles", stored)
    client.post(f"/api/storages/localfiles/{storage['id']}/sync", {})
    tasks = [int(task["id"]) for task in client.tasks(project.number)]
    project = replace(project, tasks=tasks)
    click(real_programs, project, load_image(content), api.middle(api.coin()))


def test_annotators_at_the_same_time(backend: Any, real_programs: RealPrograms) -> None:
    """On different pictures, and on the same one at different places: each gets its own mask."""
    pictures = [api.coins(turn) for turn in range(4)]
    files = {f"{turn}.png": api.encoded(rgb) for turn, rgb in enumerate(pictures)}
    project = make_project(real_programs, "many", api.config(), files)
    asked = [(turn, shift) for shift in (-9.0, 0.0, 9.0) for turn in range(4)]

    def one(which: tuple[int, float]) -> Any:
        turn, shift = which
        x, y = api.middle(api.coin(turn))
        context = [api.point((x + shift, y), pictures[turn].shape)]
        return api.one_mask(api.answered(real_programs, project, project.tasks[turn], context))

    with ThreadPoolExecutor(6) as pool:
        masks = list(pool.map(one, asked))
    for (turn, shift), mask in zip(asked, masks, strict=True):
        x, y = api.middle(api.coin(turn))
        api.same(mask, core_answer(pictures[turn], Interaction(points=((x + shift, y, 1),))))


class Bucket(api.Files):
    """As much of S3 as Label Studio asks for; objects only for those who sign."""

    def answer(self, handler: Any) -> tuple[int, str, bytes]:
        where = urlsplit(handler.path)
        query = parse_qs(where.query)
        bucket, _, key = where.path.strip("/").partition("/")
        if bucket != "pictures":
            return 404, "application/xml", b""
        if not key:
            return 200, "application/xml", self._listed()
        signed = query.get("X-Amz-Signature") or "Signature=" in str(
            handler.headers.get("Authorization")
        )
        if not signed or f"/{key}" not in self.content:
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
def personal_token(real_programs: RealPrograms) -> Iterator[str]:
    """A personal access token, beside the legacy one that the client uses; a user has one."""
    client = real_programs.client

    def revoke() -> None:
        for each in client.get("/api/token/"):
            client.post("/api/token/blacklist/", {"refresh": each["token"]})

    kinds = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    client.post("/api/jwt/settings", kinds)
    revoke()
    token = str(client.post("/api/token/", {})["token"])
    assert token.count(".") == 2
    yield token
    revoke()


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


@pytest.mark.parametrize("presign", [True, False])
def test_pictures_of_a_cloud_storage(
    presign: bool,
    backend: Any,
    real_programs: RealPrograms,
    liberal: Backend,
    bucket: Bucket,
    tmp_path: Path,
) -> None:
    """By links that Label Studio signs, and through Label Studio; also in what is submitted."""
    project = make_project(real_programs, f"bucket {presign}", api.config(), url=liberal.url)
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
            "presign": presign,
        },
    )
    client.post(f"/api/storages/s3/{storage['id']}/sync", {})

    def synchronised() -> list[int]:
        return [int(task["id"]) for task in client.tasks(project.number)]

    tasks = api.until(synchronised, "Label Studio's synchronisation")
    project = replace(project, tasks=tasks)
    bucket.asked.clear()
    click(real_programs, project, api.coins(3), api.middle(api.coin(3)))
    links = [headers for path, headers in bucket.asked if "X-Amz-Signature" in path]
    assert bool(links) == presign
    assert all("authorization" not in headers for headers in links), "a token went to the storage"

    context = [api.box(api.coin(3), api.coins(3).shape)]
    accepted = api.answered(real_programs, project, tasks[0], context)
    client.post(f"/api/tasks/{tasks[0]}/annotations/", {"result": accepted})
    words = ("labelstudio", "export", "--out", str(tmp_path), "--json")

    def exported() -> Any:
        told = api.run(liberal.settings, *words, "--project", str(project.number))
        return json.loads(told)["pictures"]

    # Label Studio tells the webhook before it answers, but does not wait for longer than a second.
    assert api.until(exported, "the webhook") == {"written": 1}
    stem = f"{project.number}-{tasks[0]}.png"
    assert (np.asarray(Image.open(tmp_path / "images" / stem)) == api.coins(3)).all()
    expected = core_answer(api.coins(3), Interaction(box=api.coin(3)))
    api.same(np.asarray(Image.open(tmp_path / "masks" / stem)) > 0, expected)
