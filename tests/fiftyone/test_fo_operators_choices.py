"""Forms become a run's settings, or a sentence: never another exception."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators.choices import RunChoices, choices_of
from fiftyone_plugin.values import BoxMode, Mode, RunConfig

NAMES = [field.name for cls in (RunConfig, RunChoices) for field in fields(cls)]
NAMES += ["model_path"]


def test_an_empty_form_is_the_defaults_of_a_run() -> None:
    assert choices_of({}, Mode.EVERYTHING) == RunChoices(
        config=RunConfig(mode=Mode.EVERYTHING, label_field="masks")
    )


def test_a_full_form_is_a_full_run() -> None:
    params = {
        "box_field": " boxes ",
        "point_field": "points",
        "label_field": "sam",
        "model": "file",
        "model_path": "/weights.pt",
        "precision": "bf16",
        "link_attribute": "index",
        "point_label_attribute": "signs",
        "box_mode": "expand",
        "min_predicted_iou": 0.5,
        "min_stability": 1,
        "min_area": 9.0,
        "max_inline_bytes": 0,
        "folder": "/masks",
        "dry_run": True,
        "retry": True,
        "overwrite": True,
        "view_target": "DATASET",
        "more": True,
    }
    made = choices_of(params, Mode.PROMPTS)
    assert made == RunChoices(
        config=RunConfig(
            mode=Mode.PROMPTS,
            label_field="sam",
            model="/weights.pt",
            precision="bf16",
            box_field="boxes",
            point_field="points",
            point_label_attribute="signs",
            link_attribute="index",
            box_mode=BoxMode.EXPAND,
            min_predicted_iou=0.5,
            min_stability=1.0,
            min_area=9,
            max_inline_bytes=0,
            folder="/masks",
        ),
        overwrite=True,
        dry_run=True,
        retry=True,
    )


@pytest.mark.parametrize(
    ("mode", "params", "told"),
    [
        (Mode.PROMPTS, {}, "at least one field to ask with"),
        (Mode.VIDEO, {"point_field": "points"}, "boxes or of masks to follow"),
        (Mode.EVERYTHING, {"model": "file"}, "path of a checkpoint"),
        (Mode.EVERYTHING, {"precision": "fp8"}, "fp32 or bf16 for precision, found 'fp8'"),
        (Mode.EVERYTHING, {"box_mode": "shrink"}, "for box_mode, found 'shrink'"),
        (Mode.EVERYTHING, {"min_stability": 1.5}, "from 0 to 1 for min_stability, found 1.5"),
        (Mode.EVERYTHING, {"min_stability": float("nan")}, "found nan"),
        (Mode.EVERYTHING, {"min_area": -1}, "of at least 0 for min_area, found -1"),
        (Mode.EVERYTHING, {"min_area": 1.5}, "whole number"),
        (Mode.EVERYTHING, {"min_area": True}, "found True"),
        (Mode.EVERYTHING, {"points_per_side": 257}, "from 1 to 256"),
        (Mode.EVERYTHING, {"dry_run": "yes"}, "true or false for dry_run"),
        (Mode.EVERYTHING, {"label_field": ["a"]}, "a text for label_field"),
    ],
)
def test_what_is_wrong_is_said(mode: Mode, params: dict[str, Any], told: str) -> None:
    with pytest.raises(FieldError, match=told):
        choices_of(params, mode)


JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([1]),
    st.just({"a": 1}),
)


@given(params=st.dictionaries(st.sampled_from(NAMES), JSON), mode=st.sampled_from(Mode))
def test_any_json_is_a_run_or_a_sentence(params: dict[str, Any], mode: Mode) -> None:
    try:
        config = choices_of(params, mode).config
    except FieldError:
        return
    assert RunConfig.from_json(config.to_json()) == config
