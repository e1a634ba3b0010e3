"""What a run would find to do, counted without asking the model and without writing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fiftyone_plugin.fields import asked_field, run_field, status_field
from fiftyone_plugin.labels import (
    ALL_SHOWN,
    Shown,
    Visible,
    fields_needed,
    identity,
    picture_size,
    read_asked,
    read_keys,
)
from fiftyone_plugin.operators.choices import RunChoices
from fiftyone_plugin.operators.running import check
from fiftyone_plugin.runs import (
    Memory,
    Stop,
    Tell,
    WorkProgress,
    list_runs,
    pictures_of,
    to_ask,
)
from fiftyone_plugin.values import Mode, RunConfig, Status, UnansweredObject

__all__ = ["Estimate", "count"]

_REASONS = 5
_UNKNOWN = (1080, 1920)
"""(H, W) that stands for the size of a video whose metadata was not computed."""

_DONE = (Status.DONE.value, Status.NOTHING.value, Status.PARTIAL.value)


@dataclass(slots=True)
class Estimate:
    """What a run would find to do, counted from the labels; nothing is written.

    Parameters
    ----------
    samples
        That would be worked on.
    before
        That an equal run has done; they would be left as they are.
    failed
        That an equal run failed on; they would be left unless it is asked to retry.
    objects
        That would be asked for.
    without
        Samples that ask for nothing.
    unanswered
        Objects that cannot be asked for.
    unmeasured
        Samples whose size is unknown yet: their objects are counted when they are opened.
    reasons
        Why objects cannot be asked for, the most frequent first: sentence -> number.
    """

    samples: int = 0
    before: int = 0
    failed: int = 0
    objects: int = 0
    without: int = 0
    unanswered: int = 0
    unmeasured: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the output form takes it."""
        return {"dry_run": True, **asdict(self)}


def count(
    dataset: Any,
    ids: Sequence[str],
    choices: RunChoices,
    *,
    shown: Shown = ALL_SHOWN,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Estimate:
    """Count what `perform` would do with these samples, and write nothing.

    Raises
    ------
    FieldError
        If the fields do not fit.
    """
    config = choices.config
    check(dataset, config)
    counting = _Counting(choices)
    left = counting.left_of(dataset, ids)
    estimate = counting.estimate
    estimate.samples = len(left)
    if fields_needed(config):
        look = counting.look_at_video if config.mode is Mode.VIDEO else counting.look_at_picture
        for number, (sample, memory, visible) in enumerate(to_ask(dataset, config, left, shown), 1):
            if stop is not None and stop():
                break
            look(sample, memory, visible)
            if progress is not None:
                progress(_counted(number, len(left), estimate.objects))
    estimate.reasons = dict(counting.reasons.most_common(_REASONS))
    return estimate


class _Counting:
    """Samples looked at one after the other, and the counts so far."""

    def __init__(self, choices: RunChoices) -> None:
        self.estimate = Estimate()
        self.reasons = Counter[str]()
        self._choices = choices

    def left_of(self, dataset: Any, ids: Sequence[str]) -> list[str]:
        """Ids that a run of these choices would work on; the others are counted."""
        states = _states(dataset, self._choices.config)
        left = []
        for each in ids:
            state = states.get(each)
            if state == Status.FAILED and not self._choices.retry:
                self.estimate.failed += 1
            elif state in _DONE and not (state == Status.PARTIAL and self._choices.retry):
                self.estimate.before += 1
            else:
                left.append(each)
        return left

    def look_at_picture(self, sample: Any, memory: Memory, visible: Visible | None) -> None:
        """Count the objects that a picture asks for."""
        size = picture_size(sample)
        if size is None:
            self.estimate.unmeasured += 1
            return
        asked, unanswered = read_asked(sample, size, self._choices.config, visible)
        self._add([each.label_ids for each in asked], unanswered, memory)

    def look_at_video(self, sample: Any, memory: Memory, visible: Visible | None) -> None:
        """As for a picture; whether labels lie in the frames is seen when the video is opened."""
        size = picture_size(sample) or _UNKNOWN
        keys, unanswered = read_keys(sample, size, self._choices.config, visible)
        objects: dict[tuple[str, int], list[str]] = {}
        for each in (each for asked in keys.values() for each in asked):
            objects.setdefault(identity(each), []).extend(each.label_ids)
        self._add(list(objects.values()), [each for _, each in unanswered], memory)

    def _add(
        self,
        objects: Sequence[Sequence[str]],
        unanswered: Sequence[UnansweredObject],
        memory: Memory,
    ) -> None:
        """Add what was never answered, of a sample's objects as ids of their labels."""
        estimate, retry = self.estimate, self._choices.retry
        left = [each for each in objects if memory.is_open(each, retry=retry)]
        refused = [e for e in unanswered if memory.is_open((e.prompt_id,), retry=retry)]
        if memory.of_view and not left and not refused:
            estimate.samples, estimate.before = estimate.samples - 1, estimate.before + 1
            return
        estimate.objects += len(left)
        estimate.unanswered += len(refused)
        estimate.without += not left and not refused
        self.reasons.update(each.reason for each in refused)


def _counted(number: int, total: int, objects: int) -> WorkProgress:
    return WorkProgress(done=number, total=total, objects=objects, label="counted")


def _states(dataset: Any, config: RunConfig) -> Mapping[str, str]:
    """Sample id -> status, of samples that a run of equal settings has worked on as a whole.

    Those where a view hid labels are left out: there may be more to ask.
    """
    from fiftyone import ViewField

    runs = {run.run_id for run in list_runs(dataset) if run.config == config}
    if not runs:
        return {}
    names = ["id", run_field(config.label_field), status_field(config.label_field)]
    whole = ~ViewField(f"{asked_field(config.label_field)}.of_view").is_in([True])
    rows = zip(*pictures_of(dataset, config.mode).match(whole).values(names), strict=True)
    return {each: state for each, run, state in rows if run in runs}
