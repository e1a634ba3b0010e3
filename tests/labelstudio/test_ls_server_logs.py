"""Lines of JSON that hold no secret, whatever a library says."""

import io
import json
import logging

import pytest

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.server import logs
from labelstudio_backend.server.logs import JsonLines, Redaction, configure_logs

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    """What loggers write after `configure_logs`, and afterwards everything as it was."""
    root, own = logging.getLogger(), logging.getLogger("labelstudio_backend")
    before = list(root.handlers), root.level, own.level
    access = logging.getLogger("uvicorn.access").disabled
    stream = io.StringIO()
    handler = logging.StreamHandler
    monkeypatch.setattr(logs.logging, "StreamHandler", lambda: handler(stream))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    own.setLevel(before[2])
    logging.getLogger("uvicorn.access").disabled = access


def test_a_line_has_time_level_message_and_fields(lines) -> None:
    configure_logs("INFO")
    logging.getLogger("labelstudio_backend.x").info("request", extra={"fields": {"status": 200}})
    (line,) = lines()
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["message"], line["status"]) == ("INFO", "request", 200)


def test_several_lines_of_a_message_are_one_line_of_json(lines) -> None:
    configure_logs("INFO")
    logging.getLogger("labelstudio_backend").warning('one\ntwo\r\n{"level": "FAKE"} \u2028')
    assert [line["level"] for line in lines()] == ["WARNING"]


def test_no_secret_is_written_neither_in_words_nor_in_a_traceback(lines) -> None:
    configure_logs("DEBUG", (TOKEN, "a password", None, ""))
    log = logging.getLogger("labelstudio_backend")
    log.info("sent Token %s", TOKEN)
    try:
        raise ValueError(f"refused {TOKEN} and a password")
    except ValueError:
        log.exception("failed")
    said = json.dumps(lines())
    assert TOKEN not in said
    assert "a password" not in said
    assert "ValueError: refused *** and ***" in lines()[1]["traceback"]


def test_short_secrets_do_not_hide_every_word() -> None:
    assert Redaction(("e",))("the request") == "the request"


def test_libraries_are_quiet_even_where_we_are_not(lines) -> None:
    configure_logs("DEBUG")
    logging.getLogger("urllib3.connectionpool").debug("GET /a.png?X-Amz-Signature=abc")
    logging.getLogger("labelstudio_backend").debug("ours")
    assert [line["message"] for line in lines()] == ["ours"]


def test_a_level_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="LOUD"):
        configure_logs("LOUD")


def test_what_json_cannot_say_is_said_in_words() -> None:
    record = logging.makeLogRecord({"msg": "x", "fields": {"path": object}})
    assert "object" in json.loads(JsonLines(Redaction()).format(record))["path"]
