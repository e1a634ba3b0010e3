"""Labels by their ids, and their documents as the database has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fiftyone_plugin.labels import FRAMES, local_name
from fiftyone_plugin.quality.batches import sample_ids_of
from fiftyone_plugin.quality.places import LabelPlace, place_of

__all__ = ["LabelRef", "aggregate_labels", "by_sample", "find_labels", "refs_of", "selected_refs"]


class LabelRef(NamedTuple):
    """Where a label is: ids of its sample and of itself; of a label of a frame, of that frame.

    A frame's id is that which it has as a sample of `to_frames`.
    """

    sample_id: str
    label_id: str


def by_sample(refs: Iterable[LabelRef]) -> dict[str, list[str]]:
    """Ids of labels by the id of their sample or frame, each once."""
    found: dict[str, dict[str, None]] = {}
    for ref in refs:
        found.setdefault(ref.sample_id, {})[ref.label_id] = None
    return {sample_id: list(labels) for sample_id, labels in found.items()}


def selected_refs(
    collection: Any, labels: Iterable[Mapping[str, Any]]
) -> dict[str, list[LabelRef]]:
    """The labels that are selected in the App, by their field in the dataset.

    Parameters
    ----------
    collection
        The FiftyOne dataset or view that the App shows.
    labels
        As the App tells: `sample_id`, `label_id`, `field`, and `frame_number` of a video's. Of
        patches, clips and views of frames they are those of the view, not those of the dataset.

    Raises
    ------
    FieldError
        If labels of such a view are no Detections.
    """
    if collection._is_generated:
        return _in_generated(collection, labels)
    dataset = collection._root_dataset
    found: dict[str, list[LabelRef]] = {}
    frames: dict[str, dict[str, list[str]]] = {}
    for each in labels:
        sample_id, label_id, field = (str(each[n]) for n in ("sample_id", "label_id", "field"))
        if each.get("frame_number") is None:
            found.setdefault(field, []).append(LabelRef(sample_id, label_id))
        else:
            field = FRAMES + local_name(field)
            frames.setdefault(field, {}).setdefault(sample_id, []).append(label_id)
    for field, samples in frames.items():
        place = LabelPlace(dataset, field)
        for sample_id, label_ids in samples.items():
            found.setdefault(field, []).extend(_in_frames(place, sample_id, label_ids))
    return found


def _in_generated(view: Any, labels: Iterable[Mapping[str, Any]]) -> dict[str, list[LabelRef]]:
    """Labels of patches, clips or a view of frames. Those that are gone keep the ids they had."""
    chosen: dict[str, dict[str, str]] = {}
    for each in labels:
        sample_id, label_id, field = (str(each[n]) for n in ("sample_id", "label_id", "field"))
        if view._is_frames:
            field = local_name(field)
        elif each.get("frame_number") is not None:
            field = FRAMES + local_name(field)
        chosen.setdefault(field, {})[label_id] = sample_id
    found = {}
    for field, ids in chosen.items():
        place = place_of(view, field)
        holding = view.match_labels(ids=list(ids), fields=field)
        there = {ref.label_id: ref for ref in refs_of(holding, place.field)}
        found[place.field] = [there.get(each, LabelRef(ids[each], each)) for each in ids]
    return found


def _in_frames(place: LabelPlace, sample_id: str, label_ids: Sequence[str]) -> list[LabelRef]:
    """Some labels of a video's frames."""
    ids = set(label_ids)
    path = f"{place.path}._id"
    query = {"_sample_id": {"$in": _ids([sample_id])}, path: {"$in": _ids(label_ids)}}
    return [
        LabelRef(str(frame["_id"]), str(label["_id"]))
        for frame in place.documents.find(query, {path: True}).sort("frame_number", 1)
        for label in frame[place.name]["detections"]
        if str(label["_id"]) in ids
    ]


def refs_of(
    collection: Any, label_field: str, where: Mapping[str, Any] | None = None
) -> list[LabelRef]:
    """The labels of a field that a FiftyOne dataset or view shows.

    Parameters
    ----------
    collection, label_field
        The field, of samples or of frames.
    where
        Attributes and values that they must have.
    """
    wanted = {f"label.{name}": value for name, value in (where or {}).items()}
    found = aggregate_labels(collection, label_field, tuple(where or ()), [{"$match": wanted}])
    return [LabelRef(str(each["holder_id"]), str(each["label"]["_id"])) for each in found]


def aggregate_labels(
    collection: Any, label_field: str, attributes: Sequence[str], stages: Sequence[Any]
) -> list[dict[str, Any]]:
    """Run stages of MongoDB over one document for each label that a dataset or view shows.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view. Patches of the field show those labels alone; patches of another
        field, and everything else that is cut from samples, all of their samples or frames.
    label_field
        A field of Detections, of samples or of frames.
    attributes
        What `label` of the documents holds, besides `_id`. `holder_id` is the id of its sample or
        frame, `sample_id` that of the sample, `frame_number` that of a frame.
    stages
        What is done with them.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    place = place_of(collection, label_field)
    each = {name: f"$$label.{name}" for name in ("_id", *attributes)}
    labels = {"$map": {"input": f"${place.path}", "as": "label", "in": each}}
    shown = {"_id": False, "holder_id": "$_id", "sample_id": f"${place.holder}", "label": labels}
    if place.in_frames:
        shown["frame_number"] = True
    pipeline = [{"$project": shown}, {"$unwind": "$label"}, *stages]
    if not place.in_frames:
        return list(_shown_samples(collection, label_field)._aggregate(post_pipeline=pipeline))
    return _of_frames(collection, place, pipeline)


def _shown_samples(collection: Any, label_field: str) -> Any:
    """A dataset or view as a view of its dataset's samples with the labels it shows."""
    if not collection._is_generated:
        return collection
    dataset = collection._root_dataset
    kind = getattr(collection.get_field(label_field), "document_type", None)
    if kind is None:
        return dataset.select(sample_ids_of(collection))
    path = "id" if kind.__name__ == "Detection" else "detections.id"
    ids = collection.values(f"{label_field}.{path}", unwind=True)
    return dataset.select_labels(ids=[each for each in ids if each], fields=label_field)


def _of_frames(collection: Any, place: LabelPlace, pipeline: Sequence[Any]) -> list[Any]:
    """Run a pipeline over the documents of frames that a dataset or view shows.

    Only views that choose among frames or their labels have MongoDB join samples and frames: a
    document that holds all frames of a long video is large.
    """
    from fiftyone.core.odm import aggregate

    if not collection._is_generated and collection is not place.dataset:
        if collection._needs_frames():
            return list(collection._aggregate(frames_only=True, post_pipeline=list(pipeline)))
        samples = {"_sample_id": {"$in": _ids(collection.values("id"))}}
        pipeline = [{"$match": samples}, *pipeline]
    elif collection._is_generated:
        pipeline = _cut(collection, place, pipeline)
    return list(aggregate(place.documents, list(pipeline)))


def _cut(collection: Any, place: LabelPlace, pipeline: Sequence[Any]) -> list[Any]:
    """The same for what frames, patches of frames, or clips show."""
    field = place.name if collection._is_frames else place.field
    kind = getattr(collection.get_field(field), "document_type", None)
    if kind is None:
        frames = {"_id": {"$in": _ids(collection.values("frame_id"))}}
        return [{"$match": frames}, *pipeline]
    path = "id" if kind.__name__ == "Detection" else "detections.id"
    ids = _ids(collection.values(f"{field}.{path}", unwind=True))
    project, unwind, *stages = pipeline
    holding = {"$match": {f"{place.path}._id": {"$in": ids}}}
    return [holding, project, unwind, {"$match": {"label._id": {"$in": ids}}}, *stages]


def _ids(values: Iterable[Any]) -> list[Any]:
    from bson import ObjectId

    return [ObjectId(each) for each in values if each]


def find_labels(
    dataset: Any,
    label_field: str,
    wanted: Mapping[str, Sequence[str]],
    attributes: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Labels as the database has them, by id of sample or frame; without those that are gone.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        A field of Detections, of samples or of frames.
    wanted
        Ids of labels by id of their sample or frame.
    attributes
        What to read of each, besides its id; nothing named means everything.
    """
    place = LabelPlace(dataset, label_field)
    inner = [f"{place.path}.{name}" for name in ("_id", *attributes)]
    shown = inner if attributes else [place.path]
    query = {"_id": {"$in": _ids(wanted)}}
    found = {}
    for document in place.documents.find(query, dict.fromkeys(shown, True)):
        holder_id = str(document["_id"])
        ids = set(wanted[holder_id])
        labels = (document.get(place.name) or {}).get("detections") or ()
        found[holder_id] = [label for label in labels if str(label["_id"]) in ids]
    return found
