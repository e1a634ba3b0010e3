"""Two launchers that share one database share a run's shards."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from launchers import DONE, launchers, states, wait_until
from operating import in_a_thread

from fiftyone_plugin.runs import open_run, run_counts
from fiftyone_plugin.sharding import queue_shards
from fiftyone_plugin.values import Mode, RunConfig, Status
from sam_plugins import open_segmenter


@pytest.mark.slow
def test_two_launchers_share_the_shards_and_write_each_sample_once(
    make_dataset: Any,
    fiftyone_here: Any,
    fiftyone_environment: dict[str, str],
    fiftyone_folder: Path,
    tmp_path: Path,
) -> None:
    link_plugin(fiftyone_folder / "plugins")
    dataset = make_dataset(40, boxes=2)
    config = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
    run = open_run(dataset, config, open_segmenter("nano").info.model_id)

    async def in_a_notebook() -> list[str]:
        return queue_shards(dataset, run, 4)

    operations = in_a_thread(lambda: asyncio.run(in_a_notebook()))()
    assert len(set(operations)) == 4
    with launchers(2, fiftyone_environment, tmp_path) as both:
        wait_until(lambda: set(states(operations)) <= DONE, "four shards")
        assert all(launcher.process.poll() is None for launcher in both)
    said = "".join(path.read_text()[-2000:] for path in tmp_path.glob("launcher-*.log"))
    assert states(operations) == ["completed"] * 4, said
    counts = run_counts(dataset, run.run_id)
    assert {status: number for status, number in counts.items() if number} == {Status.DONE: 40}
    reports = _results(operations)
    assert sum(report["done"] for report in reports) == 40
    assert sum(report["objects"] for report in reports) == 80
    dataset.reload()
    for sample in dataset:
        wanted = sorted(str(label.id) for label in sample.boxes.detections)
        assert sorted(label.prompt_id for label in sample.masks.detections) == wanted


def _results(operations: list[str]) -> list[dict[str, Any]]:
    from bson import ObjectId
    from fiftyone.operators.delegated import DelegatedOperationService

    service = DelegatedOperationService()
    return [dict(service.get(ObjectId(each)).result.result) for each in operations]
