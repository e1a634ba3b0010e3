"""Labels by their ids, and their documents as the database has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fiftyone_plugin.quality.batches import root_of, sample_ids_of

__all__ = ["LabelRef", "by_sample", "find_labels", "refs_of", "shown_labels"]


class LabelRef(NamedTuple):
    """Where a label is: ids of its sample and of itself."""

    sample_id: str
    label_id: str


def by_sample(refs: Iterable[LabelRef]) -> dict[str, list[str]]:
    """Ids of labels by the id of their sample, each once."""
    found: dict[str, dict[str, None]] = {}
    for ref in refs:
        found.setdefault(ref.sample_id, {})[ref.label_id] = None
    return {sample_id: list(labels) for sample_id, labels in found.items()}


def shown_labels(collection: Any, label_field: str) -> Any:
    """A FiftyOne dataset or view as a view of its dataset's samples with the labels it shows.

    Patches of the field become samples with those labels alone; patches of another field, and
    everything else that is cut from samples, the whole samples.
    """
    if not collection._is_generated:
        return collection
    dataset = root_of(collection)
    kind = getattr(collection.get_field(label_field), "document_type", None)
    if kind is None:
        return dataset.select(sample_ids_of(collection))
    path = "id" if kind.__name__ == "Detection" else "detections.id"
    ids = collection.values(f"{label_field}.{path}", unwind=True)
    return dataset.select_labels(ids=[each for each in ids if each], fields=label_field)


def refs_of(collection: Any, label_field: str) -> list[LabelRef]:
    """The labels of a field that a FiftyOne dataset or view shows."""
    view = shown_labels(collection, label_field)
    rows = zip(*view.values(["id", f"{label_field}.detections.id"]), strict=True)
    return [LabelRef(sample, label) for sample, labels in rows for label in labels or ()]


def find_labels(
    dataset: Any,
    label_field: str,
    wanted: Mapping[str, Sequence[str]],
    attributes: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Labels as the database has them, by sample id; those that are gone are left out.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections.
    wanted
        Ids of labels by sample id.
    attributes
        What to read of each, besides its id; nothing named means everything.
    """
    from bson import ObjectId

    path = f"{label_field}.detections"
    shown = [f"{path}.{name}" for name in ("_id", *attributes)] if attributes else [path]
    samples = dataset._sample_collection.find(
        {"_id": {"$in": [ObjectId(each) for each in wanted]}}, dict.fromkeys(shown, True)
    )
    found = {}
    for sample in samples:
        sample_id = str(sample["_id"])
        ids = set(wanted[sample_id])
        labels = (sample.get(label_field) or {}).get("detections") or ()
        found[sample_id] = [label for label in labels if str(label["_id"]) in ids]
    return found
