"""Requests that are not as they should be, and what each of them gets.

Data only: `test_ls_server_bad_requests.py` sends them. A row is what is sent to `/predict` (another
path where it is said), the HTTP status, and a part of the sentence in the answer.
"""

from dataclasses import dataclass, field
from typing import Any

from annotator_doubles import CONFIG, body, region


@dataclass(frozen=True)
class Row:
    name: str
    sent: Any
    status: int
    says: str
    path: str = "/predict"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


def task(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": "/data/upload/1/a.png"}, **fields}


def click_on(address: Any) -> dict[str, Any]:
    """A click on a task whose picture is at `address`."""
    return body(region(), tasks=[task(data={"image": address})])


def with_config(text: Any) -> dict[str, Any]:
    return body(region(), config=text)


def with_region(**fields: Any) -> dict[str, Any]:
    """A click whose one region has other fields; None takes one away."""
    changed = {**region(), **fields}
    return body({name: value for name, value in changed.items() if value is not None})


def with_value(kind: str = "keypointlabels", **value: Any) -> dict[str, Any]:
    return body(region(kind, **value))


BILLION_LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><View><Image name="image" value="&c;"/></View>'
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View><Text value="&a;"/></View>'

BODIES = [
    Row("no body", b"", 400, "not JSON"),
    Row("half a body", b'{"tasks": [', 400, "not JSON"),
    Row("not UTF-8", b'{"tasks": "\xff\xfe"}', 400, "not JSON"),
    Row("a list", b"[]", 400, "JSON object"),
    Row("a text", b'"predict"', 400, "JSON object"),
    Row("null", b"null", 400, "JSON object"),
    Row("NaN", b'{"tasks": [NaN]}', 400, "NaN"),
    Row("deep lists", b"[" * 200_000, 400, "deep"),
    Row("deep tasks", b'{"tasks":' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400, "deep"),
    Row("a number of 5000 digits", b'{"tasks": ' + b"7" * 5000 + b"}", 400, "not JSON"),
    Row("not JSON by its header", {}, 415, "JSON", headers={"content-type": "text/plain"}),
    Row("compressed", {}, 415, "compressed", headers={"content-encoding": "gzip"}),
]

SHAPES = [
    Row("nothing in it", {}, 400, "tasks must be a list"),
    Row("tasks are an object", body(tasks={"id": 1}), 400, "tasks must be a list"),
    Row("tasks are a number", body(tasks=7), 400, "tasks must be a list"),
    Row("no tasks", body(tasks=[]), 400, "at least one task"),
    Row("a task is a number", body(tasks=[7]), 400, "tasks[0] must be an object"),
    Row("a task is null", body(tasks=[task(), None]), 400, "tasks[1] must be an object"),
    Row("a task without data", body(tasks=[{"id": 1}]), 400, "tasks[0].data must be an object"),
    Row("data are a list", body(tasks=[task(data=[])]), 400, "tasks[0].data must be"),
    Row("a number is a list", body(tasks=[task(id=[1])]), 400, "tasks[0].id must be"),
    Row("a number is an object", body(tasks=[task(id={})]), 400, "tasks[0].id must be"),
    Row("a number is true", body(tasks=[task(id=True)]), 400, "tasks[0].id must be"),
    Row("a number is a fraction", body(tasks=[task(id=1.5)]), 400, "tasks[0].id must be"),
    Row("a number is a book", body(tasks=[task(id="x" * 5000)]), 400, "tasks[0].id must be"),
    Row("params are a list", body(params=[1]), 400, "params must be an object"),
    Row("params are a text", body(params="x"), 400, "params must be an object"),
    Row("context is a text", body(params={"context": "x"}), 400, "params.context must be"),
    Row("context is a list", body(params={"context": [1]}), 400, "params.context must be"),
    Row(
        "result is an object", body(params={"context": {"result": {"a": 1}}}), 400, "must be a list"
    ),
    Row("a region is a number", body(1), 400, "params.context.result[0] must be an object"),
    Row("a region is null", body(region(), None), 400, "params.context.result[1] must be"),
    Row("a click on two tasks", body(region(), tasks=[task(), task(id=2)]), 400, "one task"),
]

CONFIGS = [
    Row("no config", {k: v for k, v in body().items() if k != "label_config"}, 400, "label_config"),
    Row("config is null", with_config(None), 400, "label_config must be"),
    Row("config is empty", with_config(" "), 400, "label_config must be"),
    Row("config is a list", with_config([]), 400, "label_config must be"),
    Row("config is half a character", with_config("<View>\ud800</View>"), 400, "half a character"),
    Row("config is no XML", with_config("<View>"), 400, ""),
    Row("config without a picture", with_config("<View></View>"), 400, ""),
    Row("entities that grow", with_config(BILLION_LAUGHS), 400, ""),
    Row("entities of files", with_config(OUTSIDE), 400, ""),
    Row("a config of 20 MB", with_config(CONFIG + " " * 20_000_000), 400, ""),
    Row("a deep config", with_config("<View>" * 20_000 + "</View>" * 20_000), 400, ""),
    Row(
        "no tag to write with",
        with_config(
            '<View><Image name="image" value="$image"/><KeyPointLabels name="point" '
            'toName="image"><Label value="Cell"/></KeyPointLabels></View>'
        ),
        400,
        "",
    ),
]

REGIONS = [
    Row("without a value", with_region(value=None), 400, ""),
    Row("a value that is a list", with_region(value=[1]), 400, ""),
    Row("a point without x", with_value(x=None), 400, "x"),
    Row("a point at a text", with_value(x="12"), 400, "x"),
    Row("a point at true", with_value(x=True), 400, "x"),
    Row("a point at infinity", b"1e999", 400, ""),
    Row("1000 points", body(*[region(x=n / 10, y=5.0) for n in range(1000)]), 400, "at most 100"),
    Row("a box without a width", with_value("rectanglelabels", width=None), 400, "width"),
]
"""Prompts that cannot be understood."""

NO_PROMPTS = [
    Row("of an unknown type", with_region(type="hologramlabels"), 200, ""),
    Row("run lengths that are text", with_value("brushlabels", format="rle", rle="abc"), 200, ""),
    Row("run lengths that end", with_value("brushlabels", format="rle", rle=[1, 2, 3]), 200, ""),
    Row("only a negative point", with_region(is_positive=False), 200, ""),
]
"""Nothing in these says what the object is: the answer has no regions."""

TOLERATED = [
    ("a polygon", {"type": "polygonlabels", "value": {"points": [[1, 1], [9, 1], [9, 9]]}}),
    ("an ellipse", {"type": "ellipselabels", "value": {"x": 1, "y": 1, "radiusX": 1}}),
    ("choices", {"type": "choices", "value": {"choices": ["good"]}}),
    ("a text", {"type": "textarea", "value": {"text": ["said"]}}),
    ("a relation", {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}),
    ("an unknown type", {"type": "hologram", "value": {"x": 1}}),
    ("no type at all", {"value": {"x": 1}}),
    ("a stroke that is damaged", {"type": "brushlabels", "value": {"format": "rle", "rle": [1]}}),
    ("a bitmask that is none", {"type": "bitmasklabels", "value": {"imageDataURL": "data:,x"}}),
    ("a number for a name", {"type": "polygonlabels", "from_name": 1, "to_name": 2, "value": {}}),
    ("nothing", {}),
]
"""Regions beside a point that are no prompts, and are no reason to refuse it."""

ADDRESSES = [
    Row("no picture in the data", body(region(), tasks=[task(data={"other": "x"})]), 400, "image"),
    Row("a picture that is a number", click_on(7), 400, ""),
    Row("a picture that is null", click_on(None), 400, ""),
    Row("an empty address", click_on(""), 400, "address"),
    Row("loopback", click_on("http://127.0.0.1:1/a.png"), 502, "SAM_PLUGINS_ALLOWED_HOSTS"),
    Row("loopback by name", click_on("http://localhost:1/a.png"), 502, "ALLOWED_HOSTS"),
    Row("loopback in one number", click_on("http://2130706433/a.png"), 502, ""),
    Row("loopback in hexadecimal", click_on("http://0x7f.1/a.png"), 502, ""),
    Row("loopback of version 6", click_on("http://[::1]:1/a.png"), 502, "ALLOWED_HOSTS"),
    Row("mapped loopback", click_on("http://[::ffff:127.0.0.1]:1/a.png"), 502, "ALLOWED_HOSTS"),
    Row("link-local", click_on("http://169.254.169.254/latest/meta-data/"), 502, "ALLOWED_HOSTS"),
    Row("everything", click_on("http://0.0.0.0:1/a.png"), 502, "ALLOWED_HOSTS"),
    Row("private", click_on("http://10.0.0.1/a.png"), 502, "ALLOWED_HOSTS"),
    Row("public, not listed", click_on("http://93.184.216.34/a.png"), 502, "ALLOWED_HOSTS"),
    Row("a file", click_on("file:///etc/passwd"), 502, "not read"),
    Row("a path of this machine", click_on("/etc/passwd"), 502, ""),
    Row("a way up", click_on("/data/local-files/?d=../../etc/passwd"), 502, ""),
    Row("a way up, encoded", click_on("/data/upload/%2e%2e/%2e%2e/etc/passwd"), 502, ""),
    Row("ftp", click_on("ftp://127.0.0.1/a.png"), 502, "not read"),
    Row("gopher", click_on("gopher://127.0.0.1:25/_HELO"), 502, "not read"),
    Row("a script", click_on("javascript:alert(1)"), 502, "not read"),
    Row("a bucket", click_on("s3://bucket/a.png"), 502, "storage"),
    Row("credentials in it", click_on("http://user:secret-word@127.0.0.1:1/a.png"), 502, ""),
    Row("half a character", click_on("/data/upload/1/\ud800.png"), 502, "half a character"),
    Row("half of a host", click_on("http://\ud800.example/a.png"), 502, "half a character"),
    Row("lines in it", click_on("http://127.0.0.1:1/a\r\nHost: evil"), 502, ""),
    Row("data that are a page", click_on("data:text/html,<script>alert(1)</script>"), 502, ""),
    Row("data that are no picture", click_on("data:image/png;base64,AAAA"), 422, ""),
    Row("data that are no base 64", click_on("data:image/png;base64,!!!!"), 502, ""),
]

SERVED = [
    Row("a redirect to a private address", click_on("/data/upload/1/private.png"), 502, "10.1.2.3"),
    Row("a redirect to metadata", click_on("/data/upload/1/metadata.png"), 502, "169.254"),
    Row("a redirect to a file", click_on("/data/upload/1/file.png"), 502, ""),
    Row("a redirect in a circle", click_on("/data/upload/1/circle.png"), 502, "redirect"),
    Row("a page", click_on("/data/upload/1/page.png"), 502, "page"),
    Row("ten terabytes", click_on("/data/upload/1/huge.png"), 422, ""),
    Row("a bomb of pixels", click_on("/data/upload/1/bomb.png"), 422, ""),
    Row("text for a picture", click_on("/data/upload/1/text.png"), 502, "no picture"),
    Row("nothing there", click_on("/data/upload/1/missing.png"), 502, "404"),
    Row("half an answer", click_on("/data/upload/1/half.png"), 502, ""),
    Row("no answer", click_on("/data/upload/1/silent.png"), 502, ""),
]
"""What Label Studio's own address answers with; `hostile_pictures` serves it."""

OTHER_WAYS = [
    Row("setup without a config", {"project": "1.1"}, 400, "schema", path="/setup"),
    Row("setup with no XML", {"schema": "<View>"}, 400, "", path="/setup"),
    Row("setup of nothing", b"", 400, "not JSON", path="/setup"),
    Row("an event without a name", {"annotation": {}}, 400, "action", path="/webhook"),
    Row("an event named by a number", {"action": 7}, 400, "action", path="/webhook"),
    Row("no event", b"[1]", 400, "JSON object", path="/webhook"),
    Row("a GET of predict", {}, 405, "POST /setup, /predict", method="GET"),
    Row("a way that is none", {}, 404, "/predict", path="/train"),
    Row("another page's", {}, 403, "web pages", headers={"origin": "http://evil.example"}),
    Row("a rebound name", {}, 403, "localhost", headers={"host": "evil.example"}),
]
