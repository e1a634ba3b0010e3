"""What a form's fields hold, as a run's settings: from any JSON to `RunChoices`, or a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.values import BoxMode, Mode, RunConfig

__all__ = ["MODEL_FILE", "RunChoices", "choices_of"]

MODEL_FILE = "file"
"""Choice of the form's list of models: the field `model_path` names a file."""

_PRECISIONS = ("fp32", "bf16")
_USUAL = RunConfig(mode=Mode.PROMPTS, label_field="masks")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoices:
    """One filled form.

    Parameters
    ----------
    config
        What the run writes.
    overwrite
        Labels of others in the output field may be replaced.
    dry_run
        Only count.
    retry
        Work again on samples that failed in part or as a whole.
    """

    config: RunConfig
    overwrite: bool = False
    dry_run: bool = False
    retry: bool = False


def choices_of(params: Mapping[str, Any], mode: Mode) -> RunChoices:
    """Read a form.

    Parameters
    ----------
    params
        As the App, a script or a request gives them: names of `RunConfig` and of `RunChoices`, and
        `model_path`. What is missing, None or an empty text is the default.
    mode
        What the form is for.

    Raises
    ------
    FieldError
        If a value is of the wrong kind or out of its range, or what the mode needs is missing.
    """
    model = _text(params, "model") or _USUAL.model
    if model == MODEL_FILE:
        model = _text(params, "model_path")
        if not model:
            raise FieldError(
                "Expected the path of a checkpoint, found nothing: fill it in, or choose a model "
                "of the list."
            )
    asked = {name: _text(params, name) for name in ("box_field", "point_field", "mask_field")}
    _check_asked(mode, asked)
    config = RunConfig(
        mode=mode,
        label_field=_text(params, "label_field") or _USUAL.label_field,
        model=model,
        precision=_one_of(params, "precision", _PRECISIONS, _USUAL.precision),
        **asked,
        point_label_attribute=(
            _text(params, "point_label_attribute") or _USUAL.point_label_attribute
        ),
        link_attribute=_text(params, "link_attribute"),
        box_mode=BoxMode(_one_of(params, "box_mode", tuple(BoxMode), _USUAL.box_mode)),
        min_predicted_iou=_number(params, "min_predicted_iou", 0.0, 1.0),
        min_stability=_number(params, "min_stability", 0.0, 1.0),
        min_area=_whole(params, "min_area", 0),
        points_per_side=_whole(params, "points_per_side", 1, 256),
        max_inline_bytes=_whole(params, "max_inline_bytes", 0),
        folder=_text(params, "folder"),
    )
    flags = {name: _flag(params, name) for name in ("overwrite", "dry_run", "retry")}
    return RunChoices(config=config, **flags)


def _check_asked(mode: Mode, asked: Mapping[str, str]) -> None:
    if mode is Mode.PROMPTS and not any(asked.values()):
        raise FieldError(
            "Expected at least one field to ask with, found none: choose a field of boxes, of "
            "points or of masks."
        )
    if mode is Mode.EVERYTHING and (asked["point_field"] or asked["mask_field"]):
        raise FieldError(
            "Expected boxes to look into, or nothing, found points or masks: everything-mode asks "
            "by itself; leave them out."
        )
    if mode is Mode.VIDEO and not (asked["box_field"] or asked["mask_field"]):
        raise FieldError(
            "Expected a field of boxes or of masks to follow, found neither: choose one."
        )


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError(f"Expected a text for {name}, found {_shown(value)}.")
    return value.strip()


def _one_of(params: Mapping[str, Any], name: str, values: tuple[str, ...], usual: str) -> str:
    value = _text(params, name) or usual
    if value not in values:
        raise FieldError(f"Expected {' or '.join(values)} for {name}, found {_shown(value)}.")
    return value


def _flag(params: Mapping[str, Any], name: str) -> bool:
    value = params.get(name)
    if not isinstance(value, bool | None):
        raise FieldError(f"Expected true or false for {name}, found {_shown(value)}.")
    return bool(value)


def _number(params: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = params.get(name)
    if value is None:
        return float(getattr(_USUAL, name))
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or not least <= value <= most:
        raise FieldError(
            f"Expected a number from {least:g} to {most:g} for {name}, found {_shown(value)}."
        )
    return float(value)


def _whole(params: Mapping[str, Any], name: str, least: int, most: int | None = None) -> int:
    value = params.get(name)
    if value is None:
        return int(getattr(_USUAL, name))
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or value != value // 1 or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise FieldError(f"Expected a whole number {limits} for {name}, found {_shown(value)}.")
    return int(value)


def _shown(value: Any) -> str:
    return repr(value)[:80]
