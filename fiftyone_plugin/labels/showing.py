"""Which labels a FiftyOne view shows: those alone are asked.

What a view leaves out of the samples is known by their ids. What it leaves out of their labels is
kept here, as its stages that do so; of patches, frames and clips, whose labels are cut out, as ids.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels.asking import labels_in
from fiftyone_plugin.labels.checking import FRAMES, fields_needed, local_name
from fiftyone_plugin.values import Mode, RunConfig

__all__ = ["ALL_SHOWN", "Shown", "Visible", "asking_ids", "count_shown", "shown_by"]

Visible = Mapping[str, frozenset[str]]
"""By field, without "frames.", ids of labels that may ask."""

_MOST_IDS = 100_000
"""Labels that the record of a run names at most, 3 MB of it."""

_OF_SAMPLES = {
    *("Exclude", "ExcludeBy", "ExcludeGroups", "ExcludeGroupSlices", "Exists", "Flatten"),
    *("GeoNear", "GeoWithin", "GroupBy", "Limit", "Match", "MatchLabels", "MatchTags", "Select"),
    *("SelectBy", "SelectGroups", "SelectGroupSlices", "Shuffle", "Skip", "SortBy"),
    *("SortBySimilarity", "Take"),
}
"""Stages that choose samples and leave their labels as they are."""

_OF_FIELDS = {"ExcludeFields", "SelectFields"}
_OF_FRAMES = {"ExcludeFrames", "MatchFrames", "SelectFrames"}
_HIDING = {"ExcludeLabels", "FilterField", "FilterLabels", "LimitLabels", "SelectLabels"}
_CHANGING = {"MapLabels", "MapValues", "SetField"}
"""Stages that hide nothing, unless they set a whole list, and on which later ones may depend."""

_STAGES = "fiftyone.core.stages."
"""Where FiftyOne's stages are."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a view shows of the labels that ask; it is false where all are shown.

    Parameters
    ----------
    stages
        FiftyOne's stages that leave labels out, as JSON.
    ids
        (field, ids of labels) pairs: the only ones that are shown.
    """

    stages: tuple[str, ...] = ()
    ids: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stages or self.ids)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"stages": list(self.stages), "ids": [[f, list(ids)] for f, ids in self.ids]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Shown":
        """From `to_json`, or from nothing.

        Raises
        ------
        FieldError
            If a stage is none that `shown_by` keeps: FiftyOne would call whatever it names.
        """
        for each in values.get("stages") or ():
            _check_stage(each)
        ids = tuple((str(f), tuple(map(str, each))) for f, each in values.get("ids") or ())
        return cls(stages=tuple(map(str, values.get("stages") or ())), ids=ids)

    def of(self, collection: Any) -> Any:
        """The labels shown, as a view of a FiftyOne dataset or view; samples without may go.

        Of patches it is the samples that they are cut from.
        """
        from bson import ObjectId, json_util
        from fiftyone.core.stages import ViewStage

        view = collection
        for each in self.stages:
            view = view.add_stage(ViewStage._from_dict(json_util.loads(each)))
        if any(field.startswith(FRAMES) for field, _ in self.ids):
            ids = [label_id for _, each in self.ids for label_id in each]
            named = [field for field, _ in self.ids]
            return view.select_labels(ids=ids, fields=named) if ids else view.select([])
        if self.ids:  # whole samples: far quicker than to select thousands of labels
            holds = [
                {
                    _id_path(view, field).removesuffix("id") + "_id": {
                        "$in": list(map(ObjectId, ids))
                    }
                }
                for field, ids in self.ids
            ]
            return view.match({"$or": holds})
        return view

    def visible(
        self, pictures: Any, fields: Sequence[str], sample_ids: Sequence[str]
    ) -> Callable[[str], Visible | None]:
        """What of some samples may ask, by the sample's id; None where everything may.

        Parameters
        ----------
        pictures
            The samples that are worked on, all of their labels shown.
        fields
            That ask, as `fields_needed` names them.
        sample_ids
            Few enough to be read at once.
        """
        if not self:
            return lambda sample_id: None
        if self.ids:
            named = {local_name(field): frozenset(ids) for field, ids in self.ids}
            return lambda sample_id: named
        view = self.of(pictures.select(list(sample_ids)))
        names = {local_name(field): _id_path(view, field) for field in fields}
        rows = zip(*view.values(["id", *names.values()]), strict=True)
        found = {
            row[0]: {name: frozenset(_flat(ids)) for name, ids in zip(names, row[1:], strict=True)}
            for row in rows
        }
        nothing: Visible = {name: frozenset() for name in names}
        return lambda sample_id: found.get(sample_id, nothing)


ALL_SHOWN = Shown()


def shown_by(view: Any, config: RunConfig) -> Shown:
    """What a FiftyOne dataset or view shows of the labels that a run asks.

    Raises
    ------
    FieldError
        If it hides a field that asks, or changes labels in a way that cannot be gone by.
    """
    fields = fields_needed(config)
    if not fields:
        return ALL_SHOWN
    if view._is_generated:
        return _of_cut(view, fields)
    kept: list[Any] = []
    hides = False
    for stage in getattr(view, "_stages", ()):
        name = type(stage).__name__
        known = name in _HIDING or name in _CHANGING
        if (
            (name in _OF_SAMPLES and not dict(stage._kwargs()).get("stages"))
            or name in _OF_FIELDS
            or (known and not _touches(stage, fields))
        ):
            continue
        if name in _OF_FRAMES and config.mode is not Mode.VIDEO:
            continue
        if name == "FilterKeypoints" and not _touches(stage, fields):
            continue
        if not known and name not in _OF_FRAMES:
            raise FieldError(
                f"Expected a view that shows labels whole or not at all, found the stage {name}: "
                "take it out of the view, or choose the dataset."
            )
        hides = hides or name not in _CHANGING or _replaces(stage, fields)
        kept.append(stage)
    _check_shown(view, fields)
    return Shown(stages=tuple(map(_as_json, kept))) if hides else ALL_SHOWN


def count_shown(view: Any, shown: Shown, config: RunConfig) -> tuple[int, int]:
    """How many labels that ask a view shows, and how many there are in its dataset."""
    fields = fields_needed(config)
    whole = view._root_dataset
    every = sum(whole.count(_id_path(whole, field)) for field in fields)
    if shown.ids:
        return sum(len(ids) for _, ids in shown.ids), every
    return sum(view.count(_id_path(view, field)) for field in fields), every


def asking_ids(sample: Any, config: RunConfig, visible: Visible | None) -> Iterator[str]:
    """Ids of the labels of a sample, or of a video's frames, that may ask."""
    kinds = dict.fromkeys((config.box_field, config.mask_field), "Detection")
    kinds[config.point_field] = "Keypoint"
    for each in sample.frames.values() if config.mode is Mode.VIDEO else (sample,):
        for field, kind in kinds.items():
            shown = None if visible is None else visible.get(local_name(field), frozenset())
            for label in labels_in(each, field, kind):
                if shown is None or label.id in shown:
                    yield str(label.id)


def _touches(stage: Any, fields: Sequence[str]) -> bool:
    """Whether a stage is about one of these fields."""
    if type(stage).__name__ == "SelectLabels":
        return True  # it empties the fields that it does not name
    given = dict(stage._kwargs())
    names = given.get("field") or given.get("fields") or fields
    names = [names] if isinstance(names, str) else names
    return any(n == f or n.startswith(f"{f}.") for n in names for f in fields)


def _replaces(stage: Any, fields: Sequence[str]) -> bool:
    """Whether a stage sets a whole field of labels, or its list."""
    lists = {f"{f}{inner}" for f in fields for inner in ("", ".detections", ".keypoints")}
    return dict(stage._kwargs()).get("field") in lists and type(stage).__name__ == "SetField"


def _as_json(stage: Any) -> str:
    from bson import json_util

    return str(json_util.dumps(stage._serialize(include_uuid=False)))


def _check_stage(text: object) -> None:
    """FieldError unless it is JSON of one of FiftyOne's stages that are kept."""
    try:
        stage = json.loads(str(text))
    except ValueError:
        stage = None
    name = str(stage.get("_cls")) if isinstance(stage, dict) else ""
    kept = _HIDING | _CHANGING | _OF_FRAMES
    if name.removeprefix(_STAGES) not in kept or not name.startswith(_STAGES):
        raise FieldError(
            f"Expected a stage of a view that hides labels, found {str(text)[:80]!r}: begin the "
            "run again over its view."
        )


def _check_shown(view: Any, fields: Sequence[str]) -> None:
    for field in fields:
        if view.get_field(field) is None and view._dataset.get_field(field) is not None:
            raise FieldError(
                f"Expected a view that shows the field {field!r}, found one that hides it: show "
                "it, or choose the dataset."
            )


def _of_cut(view: Any, fields: Sequence[str]) -> Shown:
    """The labels that patches, frames or clips show."""
    found = []
    for field in fields:
        name = next((n for n in (field, local_name(field)) if view.get_field(n)), None)
        if name is not None:
            ids = dict.fromkeys(_flat(view.values(_id_path(view, name))))
            found.append((field, tuple(ids)))
    if not found:
        raise FieldError(
            f"Expected patches, frames or clips that show {' or '.join(map(repr, fields))}, found "
            "a view without: choose another view, or the dataset."
        )
    count = sum(len(ids) for _, ids in found)
    if count > _MOST_IDS:
        raise FieldError(
            f"Expected at most {_MOST_IDS} labels in a view of patches, frames or clips, found "
            f"{count}: filter the labels of the samples themselves, or choose the dataset."
        )
    return Shown(ids=tuple(found))


def _id_path(collection: Any, field: str) -> str:
    kind = getattr(collection.get_field(field), "document_type", None)
    inner = {"Detections": ".detections", "Keypoints": ".keypoints"}
    return f"{field}{inner.get(getattr(kind, '__name__', ''), '')}.id"


def _flat(values: Any) -> Iterator[str]:
    """The ids in lists of lists, however deep."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, Collection):
        for each in values:
            yield from _flat(each)
