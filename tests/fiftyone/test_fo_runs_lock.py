"""Fields of a dataset are declared by one process at a time."""

import subprocess
import sys
from typing import Any

import pytest

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.runs import fields_locked, lock

DECLARING = """
import sys
import fiftyone as fo
from fiftyone_plugin.runs import fields_locked
dataset = fo.load_dataset(sys.argv[1])
for number in range(8):
    with fields_locked(dataset):
        dataset.add_sample_field(f"{sys.argv[2]}_{number}", fo.StringField)
"""


def held(dataset: Any) -> int:
    return int(dataset._sample_collection.database["sam_plugins.locks"].count_documents({}))


def test_processes_that_declare_at_once_lose_no_field(
    make_dataset: Any, fiftyone_environment: dict[str, str]
) -> None:
    dataset = make_dataset(1)
    command = [sys.executable, "-W", "ignore", "-c", DECLARING, dataset.name]
    names = ("one", "two", "three")
    started = [subprocess.Popen([*command, name], env=fiftyone_environment) for name in names]
    assert [process.wait(300) for process in started] == [0, 0, 0]
    dataset.reload()
    wanted = {f"{name}_{number}" for name in names for number in range(8)}
    assert wanted <= dataset.get_field_schema().keys()
    assert held(dataset) == 0


def test_the_lock_of_a_process_that_died_is_taken(
    make_dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(1)
    monkeypatch.setattr(lock, "_HELD", 50)
    dead = fields_locked(dataset)  # its holder never comes to the end of the block
    dead.__enter__()
    with fields_locked(dataset):
        assert held(dataset) == 1
    assert held(dataset) == 0


def test_a_lock_that_is_never_free_is_said(
    make_dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(1)
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)
    with (
        fields_locked(dataset),
        pytest.raises(RunError, match="other processes do so all the time"),
        fields_locked(dataset),
    ):
        pass
    assert held(dataset) == 0
