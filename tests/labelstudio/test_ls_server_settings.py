"""Settings go to worker processes through their environment, and come back as they were."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.settings import Settings

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)
maybe = st.none() | text
names = st.text("abc.", min_size=1, max_size=9)
settings = st.builds(
    Settings,
    label_studio_url=st.sampled_from([None, "http://localhost:8080", "https://ls.example/sub"]),
    api_key=maybe,
    host=names,
    port=st.integers(0, 65535),
    user=maybe,
    password=maybe,
    allowed_hosts=st.lists(names, max_size=3).map(tuple),
    local_files_root=st.none() | names.map(Path),
    state_folder=names.map(Path),
    model=maybe,
    workers=st.integers(1, 99),
    log_level=st.sampled_from(["DEBUG", "INFO"]),
    queue_length=st.integers(1, 9999),
    batch_seconds=st.floats(0, 1e6),
)


@given(settings)
def test_there_and_back(before: Settings) -> None:
    assert Settings.from_environment(before.as_environment()) == before


def test_other_names_do_not_come_through_from_outside() -> None:
    outside = {"LABEL_STUDIO_ACCESS_TOKEN": "old", "LABEL_STUDIO_HOST": "http://old"}
    inside = {**outside, **Settings().as_environment()}
    assert Settings.from_environment(inside).api_key is None
    assert Settings.from_environment(inside).label_studio_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("WORKERS", "nan"),
        ("SAM_PLUGINS_QUEUE_LENGTH", "0"),
        ("SAM_PLUGINS_BATCH_SECONDS", "inf"),
        ("LABEL_STUDIO_URL", "localhost:8080"),
        ("LABEL_STUDIO_URL", "ftp://host"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.from_environment({name: value})


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(api_key="a token", password="a password"))
    assert "a token" not in shown
    assert "a password" not in shown
