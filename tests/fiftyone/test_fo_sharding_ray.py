"""The same shards on a Ray cluster, one of whose nodes is killed midway."""

from collections.abc import Iterator
from typing import Any

import pytest

from fiftyone_plugin.runs import open_run, run_counts
from fiftyone_plugin.sharding import run_on_ray
from fiftyone_plugin.values import Mode, RunConfig, Status
from sam_plugins import open_segmenter


@pytest.fixture
def cluster(require: Any, fiftyone_environment: dict[str, str]) -> Iterator[Any]:
    """A head without cores of its own, and two nodes with one each."""
    require("ray")
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=made.address, log_to_driver=False)
    yield made, nodes
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_node_that_is_killed_costs_no_mask(
    make_dataset: Any, cluster: Any, fiftyone_environment: dict[str, str], require: Any
) -> None:
    made, nodes = cluster
    dataset = make_dataset(60, boxes=3)
    config = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
    run = open_run(dataset, config, open_segmenter("nano").info.model_id)
    killed = []

    def kill_one(fraction: float, sentence: str) -> None:
        if not killed:
            made.remove_node(nodes[0], allow_graceful=False)
            killed.append(fraction)

    passed = ("HOME", "PYTHONPATH", "SAM_PLUGINS_CACHE")
    report = run_on_ray(
        run,
        shards=12,
        progress=kill_one,
        environment={
            name: fiftyone_environment[name] for name in passed if name in fiftyone_environment
        },
    )
    assert killed
    assert killed[0] < 1
    assert not report.stopped
    counts = run_counts(dataset, run.run_id)
    assert counts.get(Status.DONE) == 60
    dataset.reload()
    for sample in dataset:
        wanted = sorted(str(label.id) for label in sample.boxes.detections)
        assert sorted(label.prompt_id for label in sample.masks.detections) == wanted
