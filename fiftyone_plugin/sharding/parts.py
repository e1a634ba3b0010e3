"""Which samples belong to which shard."""

import hashlib
from collections.abc import Iterable

from fiftyone_plugin.errors import RunError

__all__ = ["in_shard", "shard_ids"]


def in_shard(sample_id: str, index: int, count: int) -> bool:
    """Whether a sample belongs to shard `index` of `count`.

    It depends on the sample's id and on nothing else: samples that come or go move no other.

    Raises
    ------
    RunError
        If there is no such shard.
    """
    if not 0 <= index < count:
        raise RunError(
            f"Shards are counted from 0 to one less than their number, found {index} of {count}."
        )
    digest = hashlib.blake2b(sample_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count == index


def shard_ids(sample_ids: Iterable[str], index: int, count: int) -> list[str]:
    """The samples of shard `index` of `count`, in their order.

    Every sample is in exactly one of the `count` shards; their sizes differ as random draws do.

    Raises
    ------
    RunError
        If there is no such shard.
    """
    in_shard("", index, count)
    return [sample_id for sample_id in sample_ids if in_shard(sample_id, index, count)]
