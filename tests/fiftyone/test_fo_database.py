"""The tests' own FiftyOne is what it says."""


def test_datasets_live_in_the_tests_own_database(make_dataset, fiftyone_here, mongod):
    dataset = make_dataset(2, boxes=3)
    assert fiftyone_here.config.database_uri == mongod
    assert dataset.name in fiftyone_here.list_datasets()
    assert dataset.count("boxes.detections") == 6
    assert dataset.first().metadata.width == 128
