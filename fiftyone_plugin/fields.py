"""Names of what this adapter writes into a dataset: one place, so that views and rooms agree."""

__all__ = [
    "AGREEMENT",
    "AGREEMENT_WITH",
    "BOX_IOU",
    "DUPLICATES",
    "DUPLICATE_OF",
    "FINDINGS",
    "GROWTH",
    "JUDGED_ATTRIBUTES",
    "MASK_ATTRIBUTES",
    "MISTAKES",
    "MISTAKE_REASON",
    "MISTAKE_SCORE",
    "MISTAKE_WITH",
    "MODEL_ID",
    "PROMPT_ID",
    "RAGGEDNESS",
    "REMOVED_STORE",
    "REPROMPTED",
    "REPROMPT_STORE",
    "REVIEW",
    "REVIEWED_BY",
    "REVIEW_ATTRIBUTES",
    "REVIEW_STEP",
    "REVIEW_TAGS",
    "RUN_ID",
    "SHIFT",
    "WRITTEN",
    "asked_field",
    "fields_beside",
    "reason_field",
    "run_field",
    "status_field",
]

PROMPT_ID = "prompt_id"
"""Attribute of a Detection: id of the label that asked for it."""

RUN_ID = "run_id"
"""Attribute of a Detection: the run that wrote it."""

MODEL_ID = "model_id"
"""Attribute of a Detection: content hash of the model that answered."""

WRITTEN = "written"
"""Attribute of a Detection, not declared in the schema and so not shown: a hash of its name, box
and mask as the run wrote them. Where it does not fit any more, somebody has edited the label."""

REVIEW = "review"
"""Attribute of a Detection: "accepted" or "rejected"; missing while nobody has said."""

REPROMPTED = "reprompted"
"""Attribute of a Detection: True where somebody has asked for its mask by hand."""

MASK_ATTRIBUTES = (
    "stability_score",
    "area",
    "components",
    "holes",
    "touches_border",
    "box_iou_before",
    "box_iou_after",
    "outside_box",
)
"""Attributes of a Detection that are named as the fields of `Quality`; `predicted_iou` is its
`confidence`."""

REVIEWED_BY = "reviewed_by"
"""Attribute of a Detection: who decided `REVIEW`."""

REVIEW_STEP = "review_step"
"""Attribute of a Detection: the step of the history of reviews that decided it last."""

FINDINGS = "findings"
"""Attribute of a Detection: what speaks against its mask, a list of values of `Finding`."""

RAGGEDNESS = "raggedness"
"""Attribute of a Detection: outline of its mask over that of its box; 1 is smooth."""

BOX_IOU = "box_iou"
"""Attribute of a Detection: IoU of the box that was given with the box of its mask."""

SHIFT = "shift"
"""Attribute of a Detection in a frame: how far it is from where its object was, and was heading to,
in lengths of it."""

GROWTH = "growth"
"""Attribute of a Detection in a frame: its area over that in the frame before, or the inverse
where that is more."""

DUPLICATE_OF = "duplicate_of"
"""Attribute of a Detection: id of the better one in its field that has the same object."""

DUPLICATES = "duplicates"
"""Attribute of a Detection: how many others in its field are duplicates of it."""

AGREEMENT = "agreement"
"""Attribute of a Detection: IoU with its partner in the field it was compared with."""

AGREEMENT_WITH = "agreement_with"
"""Attribute of a Detection: the field it was compared with."""

JUDGED_ATTRIBUTES = (
    FINDINGS,
    RAGGEDNESS,
    BOX_IOU,
    DUPLICATE_OF,
    DUPLICATES,
    AGREEMENT,
    AGREEMENT_WITH,
    SHIFT,
    GROWTH,
)
"""What `quality` writes about a mask."""

REVIEW_ATTRIBUTES = (REVIEW, REVIEWED_BY, REVIEW_STEP)
"""What `review` writes about a mask, besides the tag."""

REVIEW_TAGS = ("accepted", "rejected")
"""Values of `REVIEW`, and tags of the labels that have them."""

MISTAKES = "mistakes"
"""Attribute of a Detection: what seems wrong with it, a list of kinds in plain words."""

MISTAKE_REASON = "mistake_reason"
"""Attribute of a Detection: a sentence for each of its `MISTAKES`."""

MISTAKE_SCORE = "mistake_score"
"""Attribute of a Detection: how much there is to see, 0 to 1; the highest of its `MISTAKES`."""

MISTAKE_WITH = "mistake_with"
"""Attribute of a Detection: the field that `MISTAKES` were found with."""

REMOVED_STORE = "sam_plugins_removed"
"""FiftyOne's store of the labels that were taken out of a dataset and can be put back."""

REPROMPT_STORE = "sam_plugins_reprompt"
"""FiftyOne's stores, one a sample, of labels as they were before masks were asked for by hand."""


def status_field(label_field: str) -> str:
    """Sample field with what a run made of the sample: a value of `Status`."""
    return f"{label_field}_status"


def reason_field(label_field: str) -> str:
    """Sample field with the sentence that says why objects, or all of it, have no masks."""
    return f"{label_field}_reason"


def run_field(label_field: str) -> str:
    """Sample field with the id of the run that wrote the sample's labels."""
    return f"{label_field}_run"


def asked_field(label_field: str) -> str:
    """Sample field with what a run remembers to have asked, where it has not asked everything.

    A dict, or None where there is nothing left to ask: "answered" and "unanswered", lists of ids
    of labels that asked, and "of_view", whether a view hid others.
    """
    return f"{label_field}_asked"


def fields_beside(label_field: str) -> tuple[str, str, str, str]:
    """All sample fields that a run writes beside its labels."""
    return (
        status_field(label_field),
        reason_field(label_field),
        run_field(label_field),
        asked_field(label_field),
    )
