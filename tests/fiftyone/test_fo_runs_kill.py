"""Runs that are killed and go on: each sample is written once, and nothing is lost or left over."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from runs_process import Jobs, serving

from fiftyone_plugin.labels import shown_by
from fiftyone_plugin.values import Mode, RunConfig

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system does not fork processes"
)

SAMPLES = 12
KINDS = {"inline": 1 << 20, "files": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def jobs(fiftyone_environment: dict[str, str], tmp_path: Path) -> Iterator[Jobs]:
    with serving(fiftyone_environment, tmp_path) as started:
        yield started


@pytest.fixture
def dataset(make_dataset: Any, fiftyone_here: Any) -> Any:
    """Samples with masks, some without prompts, one that fails, one that does in part."""
    made = make_dataset(SAMPLES, boxes=2)
    outside = fiftyone_here.Detection(label="x", bounding_box=[0.1, -2, 0.2, 0.2])
    for number, sample in enumerate(made):
        if number % 6 == 1:
            sample.boxes = fiftyone_here.Detections()
        if number == 4:
            sample.filepath = "/no/such/picture.png"
        if number == 8:
            sample.boxes.detections.append(outside)
        sample.save()
    return made


def settings(kind: str, folder: Path) -> RunConfig:
    return RunConfig(
        mode=Mode.PROMPTS,
        label_field="masks",
        box_field="boxes",
        max_inline_bytes=KINDS[kind],
        folder=str(folder / "masks"),
    )


def state(dataset: Any, folder: Path) -> tuple[dict[str, Any], dict[str, bytes], list[str]]:
    """All that a run has written: documents, files, records, fields."""
    documents = {}
    for each in dataset._sample_collection.find({}):
        each.pop("last_modified_at")
        documents[str(each.pop("_id"))] = each
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    dataset.reload()
    names = [each.name for each in dataset._doc.sample_fields]
    assert len(names) == len(set(names))
    fields = sorted(dataset.get_field_schema(flat=True))
    return documents, files, [*dataset.list_runs(), *fields]


@contextmanager
def counted(dataset: Any) -> Iterator["Counter[str]"]:
    """How often MongoDB itself changed each document's status, counted by its profiler."""
    collection = dataset._sample_collection
    database = collection.database
    times: Counter[str] = Counter()
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.create_collection("system.profile", capped=True, size=32 << 20)
    database.command("profile", 2)
    try:
        yield times
    finally:
        database.command("profile", 0)
        seen = {"op": "update", "ns": collection.full_name, "nModified": {"$gte": 1}}
        for each in database["system.profile"].find(seen):
            update = each["command"].get("u")
            assert update, each
            if isinstance(update, list) and "masks_status" in update[0].get("$set", {}):
                times[str(each["command"]["q"]["_id"])] += 1


def uninterrupted(jobs: Jobs, dataset: Any, folder: Path, config: RunConfig) -> tuple[Any, int]:
    """What a run that nobody kills leaves, and how many instants it has; it is deleted again."""
    code, said = jobs.run(dataset=dataset.name, config=config.to_json())
    assert code == 0
    expected = state(dataset, folder)
    code, _ = jobs.run(dataset=dataset.name, config=config.to_json(), delete=True)
    assert code == 0
    return expected, said["instants"]


def ended(jobs: Jobs, dataset: Any, config: RunConfig, **job: Any) -> dict[str, Any]:
    code, said = jobs.run(dataset=dataset.name, config=config.to_json(), **job)
    assert code == 0
    return said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_inside_writes_each_sample_is_written_once(jobs, dataset, folder, kind):
    """At 10 seeded instants of each kind of storage: in commands to MongoDB and in files."""
    folder = folder / kind
    config = settings(kind, folder)
    before = state(dataset, folder)
    expected, instants = uninterrupted(jobs, dataset, folder, config)
    assert state(dataset, folder) == before
    assert bool(expected[1]) == (kind == "files")
    ended(jobs, dataset, config)
    with counted(dataset) as times:
        assert ended(jobs, dataset, config)["skipped"] == SAMPLES
    assert not times
    ended(jobs, dataset, config, delete=True)
    for deadly in random.Random(kind).sample(range(1, instants), 10):
        with counted(dataset) as times:
            job = {"dataset": dataset.name, "config": config.to_json()}
            code, _ = jobs.run(**job, deadly=deadly)
            assert code == -signal.SIGKILL
            said = ended(jobs, dataset, config)
            assert said["done"] + said["nothing"] + said["partial"] + said["failed"] <= SAMPLES
            assert state(dataset, folder) == expected, deadly
        assert set(times) == set(dataset.values("id")), deadly
        assert set(times.values()) == {1}, deadly
        ended(jobs, dataset, config, delete=True)
        assert state(dataset, folder) == before, deadly


@pytest.mark.slow
def test_killed_over_a_view_and_then_over_the_rest_each_sample_is_written_once(
    jobs, dataset, folder, fiftyone_here
):
    """The view hides one of two boxes; the rest is asked by the same run without a view."""
    folder = folder / "view"
    config = settings("files", folder)
    view = dataset.filter_labels("boxes", fiftyone_here.ViewField("group") == "a")
    job = {"dataset": dataset.name, "config": config.to_json()}
    parts = [{"shown": shown_by(view, config).to_json()}, {}]
    instants, states = [], []
    for part in parts:
        instants.append(ended(jobs, dataset, config, **part)["instants"])
        states.append(state(dataset, folder))
    ended(jobs, dataset, config, delete=True)
    rng = random.Random(7)
    for _ in range(3):
        for part, count, expected in zip(parts, instants, states, strict=True):
            with counted(dataset) as times:
                code, _ = jobs.run(**job, **part, deadly=rng.randrange(1, count))
                assert code == -signal.SIGKILL
                ended(jobs, dataset, config, **part)
                assert ended(jobs, dataset, config, **part)["skipped"] == SAMPLES
            assert state(dataset, folder) == expected
            assert set(times.values()) == {1}
        ended(jobs, dataset, config, delete=True)


@pytest.mark.slow
def test_killed_from_outside_each_sample_is_written_once(jobs, dataset, folder):
    folder = folder / "outside"
    config = settings("files", folder)
    expected, _ = uninterrupted(jobs, dataset, folder, config)
    rng = random.Random(3)
    for _ in range(4):
        with counted(dataset) as times:
            for _ in range(3):
                process, _ = jobs.start(dataset=dataset.name, config=config.to_json())
                time.sleep(rng.uniform(0.05, 1.0))
                os.kill(process, signal.SIGKILL)
                jobs.wait(process)
            ended(jobs, dataset, config)
        assert state(dataset, folder) == expected
        assert set(times.values()) == {1}
        ended(jobs, dataset, config, delete=True)


@pytest.mark.slow
def test_killed_while_it_is_deleted(jobs, dataset, folder, fiftyone_here):
    """At 10 seeded instants; what people added stays, and the next deletion removes the rest."""
    folder = folder / "deleting"
    config = settings("files", folder)
    job = {"dataset": dataset.name, "config": config.to_json()}
    before = state(dataset, folder)

    def worked_and_drawn_on() -> None:
        ended(jobs, dataset, config)
        dataset.reload()
        first = dataset.first()
        own = fiftyone_here.Detection(label="by hand", bounding_box=[0, 0, 0.5, 0.5])
        first.masks.detections.append(own)
        first.save()

    worked_and_drawn_on()
    instants = ended(jobs, dataset, config, delete=True)["instants"]
    dataset.reload()
    dataset.delete_sample_field("masks")
    for deadly in random.Random(5).sample(range(1, instants), 10):
        worked_and_drawn_on()
        assert jobs.run(**job, delete=True, deadly=deadly)[0] == -signal.SIGKILL
        dataset.reload()
        if dataset.list_runs():
            ended(jobs, dataset, config, delete=True)
        dataset.reload()
        assert [each.label for each in dataset.first().masks.detections] == ["by hand"]
        dataset.delete_sample_field("masks")
        assert state(dataset, folder) == before, deadly


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_on_one_run_double_nothing(jobs, dataset, folder, tmp_path, kind):
    folder = folder / f"two-{kind}"
    config = settings(kind, folder)
    expected, _ = uninterrupted(jobs, dataset, folder, config)
    meet = tmp_path / "meet"
    meet.mkdir()
    job = {"dataset": dataset.name, "config": config.to_json(), "meet": str(meet)}
    with counted(dataset) as times:
        begun = [jobs.start(**job, together=together) for together in (1, 3)]
        assert [jobs.wait(process) for process, _ in begun] == [0, 0]
    assert set(times.values()) == {1}
    assert len(times) == SAMPLES
    assert state(dataset, folder) == expected

    for name in os.listdir(meet):
        (meet / name).unlink()
    begun = [jobs.start(**job, together=together, retry=True) for together in (1, 3)]
    assert [jobs.wait(process) for process, _ in begun] == [0, 0]
    assert state(dataset, folder) == expected
