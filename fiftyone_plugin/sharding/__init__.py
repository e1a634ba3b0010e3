"""One run by many workers: the same shard, whoever runs it.

A shard is a part of a dataset's samples that follows from their ids alone. Working on one twice, or
by two workers at once, writes each sample once: `runs` sees to it. So a worker may be killed, and
another given its shard. Workers are `fiftyone delegated launch` processes or Ray, and share one
MongoDB and the pictures' folders.
"""

from fiftyone_plugin.sharding.on_ray import run_on_ray
from fiftyone_plugin.sharding.parts import in_shard, shard_ids
from fiftyone_plugin.sharding.queueing import SHARD_OPERATOR, queue_shards
from fiftyone_plugin.sharding.work import run_shard

__all__ = [
    "SHARD_OPERATOR",
    "in_shard",
    "queue_shards",
    "run_on_ray",
    "run_shard",
    "shard_ids",
]
