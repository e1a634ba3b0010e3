"""The values that rooms of this adapter pass to each other: frozen, no FiftyOne inside.

A sample's labels become `AskedObject`s, a picture and those become `MaskedObject`s and
`UnansweredObject`s, and those become Detections. Boxes are xyxy in pixels, x1 and y1 exclusive.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.types import Box, Prompt

__all__ = [
    "AskedObject",
    "BoxMode",
    "MaskedObject",
    "Mode",
    "Quality",
    "RunConfig",
    "SampleAnswer",
    "Status",
    "UnansweredObject",
]


class Mode(StrEnum):
    """What a run does with a sample."""

    PROMPTS = "prompts"
    EVERYTHING = "everything"
    VIDEO = "video"


class BoxMode(StrEnum):
    """What becomes of the box that an object was asked with.

    `KEEP`: it stays, and the mask is cut to it. `TIGHTEN`: the label's box becomes the mask's own.
    `EXPAND`: where the mask reaches the box's edge, a larger box is asked, then as `TIGHTEN`.
    """

    KEEP = "keep"
    TIGHTEN = "tighten"
    EXPAND = "expand"


class Status(StrEnum):
    """What a run made of one sample. A sample without one has not been worked on.

    `NOTHING`: done, and there was nothing to ask or to find. `PARTIAL`: some of its objects have
    no mask, and the reason field says why. `FAILED`: none could be asked.
    """

    DONE = "done"
    NOTHING = "nothing"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run writes. Two equal ones, and one model, are one run.

    Parameters
    ----------
    mode
        What is done with a sample.
    label_field
        The Detections field that is written, and owned by the run. In `Mode.VIDEO` a field of the
        frames, whose "frames." is left out.
    model
        "nano", "vit_b", ..., or the path of a checkpoint.
    precision
        "fp32" or "bf16".
    box_field, point_field, mask_field
        Detections (their boxes), Keypoints and Detections (their masks) to ask with; at least one
        in `Mode.PROMPTS`, and boxes or masks in `Mode.VIDEO`. In `Mode.EVERYTHING` boxes alone may
        be given: everything inside each of them is found, as in a picture of its own.
    point_label_attribute
        The Keypoint attribute that holds one sign per point, 1 foreground and 0 background; where
        a keypoint has none, all its points are foreground.
    link_attribute
        Boxes and keypoints with an equal value of it ("index", or an attribute) are one object.
        Empty: each label is an object of its own.
    box_mode
        What becomes of a given box.
    min_predicted_iou, min_stability, min_area
        Masks below are not written; the last in pixels.
    points_per_side
        Grid of everything-mode.
    max_inline_bytes
        A sample whose masks take more bytes has them as files beside the dataset; see `storage`.
    folder
        Where such files go; empty means FiftyOne's own folder for fields of the dataset.
    """

    mode: Mode
    label_field: str
    model: str = "nano"
    precision: str = "fp32"
    box_field: str = ""
    point_field: str = ""
    mask_field: str = ""
    point_label_attribute: str = "sam_labels"
    link_attribute: str = ""
    box_mode: BoxMode = BoxMode.TIGHTEN
    min_predicted_iou: float = 0.0
    min_stability: float = 0.0
    min_area: int = 0
    points_per_side: int = 32
    max_inline_bytes: int = 1 << 20
    folder: str = ""

    def __post_init__(self) -> None:
        if self.mode is Mode.VIDEO:
            object.__setattr__(self, "label_field", self.label_field.removeprefix("frames."))

    def run_id(self, model_id: str) -> str:
        """Name of the run of this configuration with a model of that content hash.

        Returns
        -------
        "sam_" and 16 hexadecimal digits: a name that FiftyOne takes as the key of a run.
        """
        content = json.dumps([self.to_json(), model_id], sort_keys=True, separators=(",", ":"))
        return "sam_" + hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with plain strings for variants."""
        return {name: v.value if isinstance(v, StrEnum) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunConfig":
        """From `to_json`; names that this version does not know are refused with a TypeError."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise TypeError(f"A run's settings hold unknown names: {', '.join(sorted(unknown))}.")
        known = dict(values)
        known["mode"] = Mode(known["mode"])
        known["box_mode"] = BoxMode(known.get("box_mode", BoxMode.TIGHTEN))
        return cls(**known)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AskedObject:
    """One object that a sample's labels ask for.

    Parameters
    ----------
    prompt_id
        Id of the FiftyOne label that asks: of the Detection, or of the Keypoint alone.
    linked
        Ids of the other labels that are the same object.
    prompt
        What the model is asked, in pixels and inside the picture.
    given_box
        The box as the label gives it, xyxy float pixels, before it was clipped to the picture;
        None where no box was given.
    mask
        (crop, box): bool pixels of a mask that asks and where they are; None where none does. The
        model's own mask prompt is made from it by `masking`.
    carried
        Label, attributes, tags, index of the asking label: what the new label takes over.
    """

    prompt_id: str
    prompt: Prompt | None
    given_box: tuple[float, float, float, float] | None = None
    mask: tuple[NDArray[np.bool_], Box] | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)
    linked: tuple[str, ...] = ()

    @property
    def label_ids(self) -> tuple[str, ...]:
        """Ids of all labels that are this object."""
        return (self.prompt_id, *self.linked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known about one mask; each becomes an attribute of its Detection.

    Parameters
    ----------
    predicted_iou
        The model's own estimate; FiftyOne's `confidence`. None where no model answered.
    stability_score
        IoU of the masks at threshold plus and minus one, at full resolution; None likewise.
    area
        Pixels.
    components, holes
        Pieces, and enclosed pieces of background.
    touches_border
        Whether it reaches the picture's edge.
    box_iou_before, box_iou_after
        IoU of the box that was asked with the box of the answer: of the first answer, and of the
        one that is kept. None without a box.
    outside_box
        Part of the answer's pixels that lie outside the given box, 0 to 1; None without a box.
    """

    predicted_iou: float | None
    stability_score: float | None
    area: int
    components: int
    holes: int
    touches_border: bool
    box_iou_before: float | None = None
    box_iou_after: float | None = None
    outside_box: float | None = None


class _Bits:
    """A field for a bool array that is kept as bits: many large masks then take little memory."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: object, owner: type | None = None) -> NDArray[np.bool_]:
        if instance is None:
            raise AttributeError("Only an object has pixels.")
        bits, shape = instance.__dict__[self._name]
        return np.unpackbits(bits, count=shape[0] * shape[1]).view(bool).reshape(shape)

    def __set__(self, instance: object, value: NDArray[np.bool_]) -> None:
        instance.__dict__[self._name] = np.packbits(value), value.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedObject:
    """One object with its mask.

    Parameters
    ----------
    prompt_id
        Of the `AskedObject`, "" where nothing asked (everything-mode).
    crop
        (h, w) bool, h and w those of `box`, at least one pixel. Kept as bits: each look at it
        makes the array anew.
    box
        xyxy whole pixels inside the picture: the mask's own box, or the given one (`BoxMode.KEEP`).
    quality
        What is known about it.
    asked
        What asked, or None.
    """

    prompt_id: str
    crop: _Bits = _Bits()
    box: Box
    quality: Quality
    asked: AskedObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnansweredObject:
    """One object without a mask, and why, in a sentence."""

    prompt_id: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SampleAnswer:
    """All that was found in one picture.

    Parameters
    ----------
    objects
        With masks, in the order of their asking.
    unanswered
        Without.
    size
        (H, W) of the picture.
    """

    objects: tuple[MaskedObject, ...]
    unanswered: tuple[UnansweredObject, ...]
    size: tuple[int, int]

    @property
    def status(self) -> Status:
        """What that makes of the sample."""
        if self.unanswered:
            return Status.PARTIAL if self.objects else Status.FAILED
        return Status.DONE if self.objects else Status.NOTHING
