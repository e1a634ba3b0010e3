"""Each thing that goes wrong between Label Studio and the backend has its line and its remedy."""

import base64
import dataclasses
import ipaddress
import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from doctor_doubles import CONFIG, Studio, refusal
from export_doubles import Pictures

from labelstudio_backend.doctor import CHECKS, Finding, examine, networks
from labelstudio_backend.doctor.visit import Visit
from labelstudio_backend.errors import AddressError
from labelstudio_backend.settings import Settings

LEGACY = "0123456789abcdef0123456789abcdef01234567"


class Backend(BaseHTTPRequestHandler):
    """`sam-plugins labelstudio serve` from outside."""

    health: ClassVar[dict[str, Any]] = {}
    password: str | None = None

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        expected = f"Basic {base64.b64encode((self.password or '').encode()).decode()}"
        status, body = 200, self.health
        if self.path == "/versions" and self.password is not None and given != expected:
            status, body = 401, {"error": "Who is this?"}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def served() -> Iterator[Any]:
    handler = type("Handler", (Backend,), {"health": {"status": "UP", "model_version": "nano-1"}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield SimpleNamespace(handler=handler, url=f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


class Ward:
    """A Label Studio, a backend and settings, all well until something is changed."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.studio = Studio(
            backends=[
                {"url": url, "state": "CO", "title": "sam", "is_interactive": True}
                | {"auth_method": "NONE", "readable_state": "Connected", "error_message": None}
            ],
            webhooks=[
                {"url": f"{url}/webhook", "is_active": True, "send_payload": True}
                | {"send_for_all_actions": True, "headers": {}, "actions": []}
            ],
        )
        self.pictures = Pictures((40, 60))
        self.settings = Settings(
            label_studio_url="http://studio.test:8080", api_key=LEGACY, state_folder=folder
        )
        self.project: int | None = 1
        self.backend: str | None = None

    def change(self, **fields: Any) -> None:
        self.settings = dataclasses.replace(self.settings, **fields)

    def look(self) -> dict[str, Finding]:
        visit = Visit(
            self.settings, self.project, self.backend, client=self.studio, pictures=self.pictures
        )
        return {check.name: finding for check, finding in examine(visit)}


@pytest.fixture
def ward(tmp_path: Path, served: Any) -> Ward:
    return Ward(tmp_path / "state", served.url)


def grades(found: dict[str, Finding]) -> set[str]:
    return {finding.grade for finding in found.values()}


def test_where_all_is_well_nothing_is_to_be_done(ward: Ward) -> None:
    found = ward.look()
    assert list(found) == [check.name for check in CHECKS]
    assert grades(found) == {"ok"}
    assert all(finding.found and not finding.change for finding in found.values())
    assert "nano-1" in found["backend"].found
    assert "60 x 40" in found["picture"].found


def case(spoil: Any, check: str, grade: str, found: str, change: str) -> Any:
    return pytest.param(spoil, check, grade, found, change, id=f"{check}: {found[:30]}")


def attach(**fields: Any) -> Any:
    return lambda ward: ward.studio.backends[0].update(fields)


def hook(**fields: Any) -> Any:
    return lambda ward: ward.studio.webhooks[0].update(fields)


def studio(**fields: Any) -> Any:
    return lambda ward: [setattr(ward.studio, name, value) for name, value in fields.items()]


def config(xml: str) -> Any:
    return lambda ward: ward.studio.projects[1].update(label_config=xml)


def with_password(ward: Ward) -> None:
    ward.change(user="me", password="secret")


def no_picture(ward: Ward) -> None:
    def load(picture: Any) -> Any:
        raise AddressError(
            "'https://pics.test/a.png' is on pics.test, which this backend may not read from: add "
            "pics.test to SAM_PLUGINS_ALLOWED_HOSTS if you trust it."
        )

    ward.pictures = SimpleNamespace(load=load)


def jwt(until: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": until}).encode()).decode().rstrip("=")
    return f"eyJ0eXAiOiJKV1QifQ.{claims}.signature"


ONLY_CLICKS = """<View><Image name="image" value="$image"/>
  <KeyPointLabels name="kp" toName="image" smart="true"><Label value="Cell"/></KeyPointLabels>
</View>"""
OTHER_LABEL = CONFIG.replace(
    'smart="true"><Label value="Cell"/>', 'smart="true"><Label value="X"/>'
)
NOT_SMART = CONFIG.replace('smart="true"', "")
DISABLED = (
    "Authentication token no longer valid: legacy token authentication has been disabled for this "
    "organization"
)
S3 = {"type": "s3", "title": "bucket", "presign": True}

CASES = [
    case(lambda w: w.change(label_studio_url=None), "settings", "fail", "not set", "sub-path"),
    case(lambda w: w.change(host="0.0.0.0"), "settings", "fail", "password", ""),
    case(lambda w: w.change(user="me"), "settings", "fail", "belong together", ""),
    case(lambda w: w.change(allowed_hosts=("https://x y",)), "settings", "fail", "x y", ""),
    case(
        lambda w: w.change(local_files_root=Path("/nowhere/at/all")),
        "settings",
        "fail",
        "/nowhere/at/all",
        "Mount",
    ),
    case(
        studio(release=refusal(None, "refused")),
        "Label Studio",
        "fail",
        "None",
        "inside a container",
    ),
    case(studio(release=refusal(404, "no")), "Label Studio", "fail", "404", "sub-path"),
    case(studio(release="1.9.1"), "Label Studio", "warn", "1.9.1", "update"),
    case(lambda w: w.change(api_key=None), "token", "fail", "not set", "personal access token"),
    case(studio(user=refusal(401, "Invalid token.")), "token", "fail", "legacy token", "two dots"),
    case(studio(user=refusal(401, DISABLED)), "token", "fail", "organisation", "Organization"),
    case(studio(user=refusal(404, "x")), "token", "fail", "404", "/projects"),
    case(lambda w: w.change(api_key=jwt(5)), "token", "fail", "expired", "new one"),
    case(lambda w: w.change(api_key=jwt(time.time() + 86400)), "token", "warn", "ends in", "new"),
    case(lambda w: setattr(w, "project", 9), "project", "fail", "no project 9", "/projects/NUMBER"),
    case(config(ONLY_CLICKS), "labelling config", "fail", "'Cell'", "BrushLabels"),
    case(config(OTHER_LABEL), "labelling config", "fail", "'X'", "BrushLabels"),
    case(config(NOT_SMART), "labelling config", "warn", "No tag is smart", "KeyPointLabels"),
    case(config("<View>"), "labelling config", "fail", "", ""),
    case(studio(held=[]), "picture", "skip", "no task", "Import"),
    case(studio(held=[{"id": 7, "data": {}}]), "picture", "fail", "image", "Import tasks"),
    case(no_picture, "picture", "fail", "pics.test", "SAM_PLUGINS_ALLOWED_HOSTS"),
    case(studio(storages=[S3]), "storage", "warn", "s3 'bucket'", "SAM_PLUGINS_ALLOWED_HOSTS"),
    case(studio(storages=[S3 | {"status": "failed"}]), "storage", "warn", "failed", "Cloud"),
    case(studio(backends=[]), "attached", "fail", "no model", "Connect Model"),
    case(attach(is_interactive=False), "attached", "fail", "clicks", "Interactive"),
    case(
        attach(state="ER", readable_state="Error", error_message="400 Client Error"),
        "attached",
        "fail",
        "400 Client Error",
        "network",
    ),
    case(with_password, "attached", "fail", "without a password", "Basic Authentication"),
    case(with_password, "webhook", "warn", "does not log in", "Authorization"),
    case(studio(webhooks=[]), "webhook", "warn", "do not reach", "Webhooks"),
    case(hook(is_active=False), "webhook", "warn", "is off", "all actions"),
    case(hook(send_payload=False), "webhook", "warn", "no payload", "all actions"),
    case(hook(send_for_all_actions=False), "webhook", "warn", "is off", "all actions"),
    case(
        studio(banned={"model": "127.0.0.0/8"}), "network", "fail", "as a model", "ML_BLOCK_LOCAL"
    ),
    case(studio(banned={"webhook": "127.0.0.0/8"}), "network", "fail", "as a webhook", "SSRF_PROT"),
    case(studio(unknown_host=True), "network", "fail", "does not know the host", "container"),
    case(
        lambda w: setattr(w, "backend", "http://127.0.0.1:1"), "backend", "fail", "answer", "serve"
    ),
]


@pytest.mark.parametrize(("spoil", "check", "grade", "found", "change"), CASES)
def test_what_is_wrong_is_named_and_what_to_do(
    ward: Ward, spoil: Any, check: str, grade: str, found: str, change: str
) -> None:
    spoil(ward)
    finding = ward.look()[check]
    assert finding.grade == grade, finding
    assert found in finding.found
    assert change in finding.change
    if grade != "skip":
        assert finding.change


@pytest.mark.parametrize(
    ("health", "password", "grade", "found"),
    [
        ({"status": "UP", "model_version": "", "error": None}, None, "warn", "not open yet"),
        ({"status": "UP", "model_version": "", "error": "No such file."}, None, "fail", "No such"),
        ({"hello": "world"}, None, "fail", "not as an ML backend"),
        ({"status": "UP", "model_version": "nano-1"}, "me:other", "fail", "another user"),
    ],
)
def test_the_backend_itself(
    ward: Ward, served: Any, health: dict[str, Any], password: str | None, grade: str, found: str
) -> None:
    served.handler.health, served.handler.password = health, password
    finding = ward.look()["backend"]
    assert (finding.grade, found in finding.found) == (grade, True), finding


def test_a_backend_with_a_password_is_asked_with_it(ward: Ward, served: Any) -> None:
    served.handler.password = "me:secret"
    with_password(ward)
    ward.studio.backends[0]["auth_method"] = "BASIC_AUTH"
    ward.studio.webhooks[0]["headers"] = {"Authorization": "Basic bWU6c2VjcmV0"}
    assert grades(ward.look()) == {"ok"}


def test_a_host_without_a_dot_gets_no_webhook(ward: Ward) -> None:
    ward.backend = "http://backend:9090"
    ward.studio.backends[0]["url"] = ward.backend
    ward.studio.webhooks.clear()
    found = ward.look()
    assert found["network"].grade == "warn"
    assert "no dot" in found["network"].found
    assert "no dot" in found["webhook"].found


def test_a_full_disk_and_a_folder_that_cannot_be_written(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for free, grade in ((10**6, "fail"), (10**9, "warn"), (10**12, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert ward.look()["state folder"].grade == grade
    (tmp_path / "file").write_text("")
    ward.change(state_folder=tmp_path / "file" / "state")
    finding = ward.look()["state folder"]
    assert finding.grade == "fail"
    assert "MODEL_DIR" in finding.change
    assert list((tmp_path / "state").iterdir()) == []


def test_without_a_project_the_rest_is_looked_at(ward: Ward) -> None:
    ward.project, ward.backend = None, ward.url
    found = ward.look()
    assert {name for name, each in found.items() if each.grade == "skip"} == {
        "project",
        "labelling config",
        "storage",
        "picture",
        "attached",
        "webhook",
    }
    assert found["network"].grade == "ok"
    assert found["backend"].grade == "ok"


def test_what_stands_on_something_broken_is_skipped(ward: Ward) -> None:
    ward.studio.user = refusal(401, "Invalid token.")
    found = ward.look()
    failed = {name for name, each in found.items() if each.grade == "fail"}
    assert failed == {"token"}
    assert found["picture"].found == "Needs 'project'."


def test_looking_changes_nothing(ward: Ward) -> None:
    """The double raises if the doctor stores anything; both guards are asked."""
    ward.look()
    assert ward.studio.posted == ["model", "webhook"]


def test_the_advice_opens_one_address_and_no_other(ward: Ward) -> None:
    ward.studio.banned = {"model": "127.0.0.0/8"}
    pasted = dict(line.split("=", 1) for line in ward.look()["network"].paste.splitlines())
    assert pasted["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    refused = [ipaddress.ip_network(n) for n in pasted["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")]

    def is_refused(text: str) -> bool:
        address = ipaddress.ip_address(text)
        return any(address in network for network in refused if network.version == address.version)

    assert not is_refused("127.0.0.1")
    for other in ("127.0.0.2", "127.0.0.0", "10.0.0.1", "169.254.169.254", "192.168.1.1", "::1"):
        assert is_refused(other), other


@pytest.mark.parametrize("address", ["172.31.250.10", "10.0.0.255", "fd00::7", "192.168.0.1"])
def test_a_recipe_refuses_all_that_label_studio_refuses_but_one(address: str) -> None:
    hole = ipaddress.ip_address(address)
    made = [ipaddress.ip_network(text) for text in networks.recipe(address).split(",")]
    assert not any(hole in network for network in made if network.version == hole.version)
    # Together with the hole they are the usual list again.
    whole = [*made, ipaddress.ip_network(address)]
    for version in (4, 6):
        usual = [n for n in map(ipaddress.ip_network, networks.REFUSED) if n.version == version]
        again = [network for network in whole if network.version == version]
        collapse = ipaddress.collapse_addresses
        assert list(collapse(again)) == list(collapse(usual))
