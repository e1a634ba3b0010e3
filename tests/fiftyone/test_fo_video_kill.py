"""Runs on videos that are killed inside their writes and go on, and two processes on one video."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runs_process import Jobs, serving

from fiftyone_plugin.values import Mode, RunConfig

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system does not fork processes"
)


@pytest.fixture
def jobs(fiftyone_environment: dict[str, str], tmp_path: Path) -> Iterator[Jobs]:
    with serving(fiftyone_environment, tmp_path) as started:
        yield started


def state(dataset: Any, folder: Path) -> Any:
    """All that is in the database and in files, without times."""
    documents = []
    for collection in (dataset._sample_collection, dataset._frame_collection):
        for each in collection.find({}).sort("_id"):
            each.pop("last_modified_at")
            each.pop("created_at", None)
            documents.append(each)
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    dataset.reload()
    names = [*dataset.get_field_schema(flat=True), *dataset.get_frame_field_schema(flat=True)]
    return documents, files, sorted(names), dataset.list_runs()


def job_of(dataset: Any, folder: Path, kind: str) -> dict[str, Any]:
    config = RunConfig(
        mode=Mode.VIDEO,
        label_field="masks",
        box_field="frames.boxes",
        max_inline_bytes={"inline": 1 << 20, "files": 0}[kind],
        folder=str(folder),
    )
    return {"dataset": dataset.name, "config": config.to_json(), "frames": 4}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["inline", "files"])
def test_killed_inside_writes_a_video_ends_as_if_nobody_had(
    jobs: Jobs, make_video: Any, tmp_path: Path, kind: str
) -> None:
    """At 6 seeded instants: in commands to MongoDB and in files; deletions are killed as well."""
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]})
    folder = tmp_path / "masks"
    job = job_of(dataset, folder, kind)
    before = state(dataset, folder)
    code, said = jobs.run(**job)
    assert code == 0
    assert said["objects"] > 9
    expected = state(dataset, folder)
    assert bool(expected[1]) == (kind == "files")
    code, deleted = jobs.run(**job, delete=True)
    assert code == 0
    assert state(dataset, folder) == before
    rng = random.Random(kind)
    for deadly in rng.sample(range(1, said["instants"]), 6):
        assert jobs.run(**job, deadly=deadly)[0] == -signal.SIGKILL
        if deadly < said["instants"] - 2:
            dataset.reload()
            assert not dataset.has_field("masks_run") or dataset.values("masks_run") == [None]
        assert jobs.run(**job)[0] == 0
        assert state(dataset, folder) == expected, deadly
        assert jobs.run(**job)[1]["skipped"] == 1
        instant = rng.randrange(1, deleted["instants"])
        assert jobs.run(**job, delete=True, deadly=instant)[0] == -signal.SIGKILL
        dataset.reload()
        if dataset.list_runs():
            assert jobs.run(**job, delete=True)[0] == 0
        assert state(dataset, folder) == before, instant


@pytest.mark.slow
def test_a_run_that_was_killed_and_never_went_on_is_deleted_whole(
    jobs: Jobs, make_video: Any, tmp_path: Path
) -> None:
    dataset = make_video({2: [(0, {"index": 1})]})
    folder = tmp_path / "masks"
    job = job_of(dataset, folder, "files")
    before = state(dataset, folder)
    _, said = jobs.run(**job)
    jobs.run(**job, delete=True)
    for deadly in random.Random(2).sample(range(said["instants"] // 2, said["instants"]), 3):
        assert jobs.run(**job, deadly=deadly)[0] == -signal.SIGKILL
        assert jobs.run(**job, delete=True)[0] == 0
        assert state(dataset, folder) == before, deadly


def test_two_processes_on_one_video_double_nothing(
    jobs: Jobs, make_video: Any, tmp_path: Path
) -> None:
    dataset = make_video({2: [(0, {"index": 1}), (1, {"index": 2})]})
    folder = tmp_path / "masks"
    job = job_of(dataset, folder, "files")
    assert jobs.run(**job)[0] == 0
    expected = state(dataset, folder)
    assert jobs.run(**job, delete=True)[0] == 0
    meet = tmp_path / "meet"
    meet.mkdir()
    begun = [jobs.start(**job, meet=str(meet)) for _ in range(2)]
    assert [jobs.wait(process) for process, _ in begun] == [0, 0]
    assert state(dataset, folder) == expected
