"""Every sample is in exactly one shard, whatever comes and goes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.runs import open_run
from fiftyone_plugin.sharding import in_shard, shard_ids, work
from fiftyone_plugin.values import Mode, RunConfig

ids = st.lists(st.text("0123456789abcdef", min_size=24, max_size=24), unique=True, max_size=60)


@given(ids, st.integers(1, 12))
def test_every_sample_is_in_exactly_one_shard(sample_ids, count):
    shards = [shard_ids(sample_ids, index, count) for index in range(count)]
    assert sorted(itertools.chain.from_iterable(shards)) == sorted(sample_ids)
    for shard in shards:
        assert shard == [sample_id for sample_id in sample_ids if sample_id in shard]


@given(ids, ids, st.integers(1, 12))
def test_a_sample_stays_in_its_shard_when_others_come(first, second, count):
    for index in range(count):
        both = shard_ids(dict.fromkeys([*first, *second]), index, count)
        assert set(shard_ids(first, index, count)) <= set(both)


def test_shards_of_many_samples_are_about_equal():
    sample_ids = [f"{number:024x}" for number in range(4000)]
    sizes = [len(shard_ids(sample_ids, index, 8)) for index in range(8)]
    assert min(sizes) > 400
    assert max(sizes) < 600


@pytest.mark.parametrize(("index", "count"), [(-1, 3), (3, 3), (0, 0)])
def test_a_shard_that_is_not_there_is_refused(index, count):
    with pytest.raises(RunError, match="counted from 0"):
        in_shard("a", index, count)


def test_shards_of_grouped_samples_hold_the_pictures_of_all_slices(
    fiftyone_here, make_dataset, segmenter, monkeypatch
):
    fo = fiftyone_here
    monkeypatch.setattr(work, "segmenter_for", lambda *_: segmenter)
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="left")
    samples = []
    for sample in make_dataset(2, boxes=1):
        group = fo.Group()
        for name in ("left", "right"):
            boxes, element = sample.boxes.copy(), group.element(name)
            samples.append(fo.Sample(filepath=sample.filepath, boxes=boxes, group=element))
    dataset.add_samples(samples, progress=False)
    try:
        config = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
        run = open_run(dataset, config, segmenter.info.model_id)
        done = [work.run_shard(dataset.name, run.run_id, index, 3).done for index in range(3)]
        assert sum(done) == 4
    finally:
        dataset.delete()
