"""What a form or a command line says, as settings: from any JSON, or a sentence."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.values import (
    ExportSettings,
    Format,
    ImportSettings,
    Pictures,
    Review,
)

__all__ = ["export_settings_of", "import_settings_of"]

_Choice = TypeVar("_Choice", bound=StrEnum)
_PREFIX = "/data/local-files/?d="


def export_settings_of(params: Mapping[str, Any]) -> ExportSettings:
    """Names of `ExportSettings`; what is missing, None or empty is the default.

    Raises
    ------
    ExchangeError
        If a value is of the wrong kind, or the field or the folder is missing.
    """
    reviews = params.get("reviews") or ()
    if not isinstance(reviews, list | tuple):
        raise ExchangeError(f"Expected a list for reviews, found {str(reviews)[:80]!r}.")
    pictures = _text(params, "pictures")
    tolerance = params.get("tolerance") or 0
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or tolerance < 0:
        raise ExchangeError(f"Expected 0 or more pixels for tolerance, found {tolerance!r}.")
    return ExportSettings(
        format=_one_of(Format, _text(params, "format") or Format.COCO, "format"),
        label_field=_needed(params, "label_field", "the field to export"),
        folder=Path(_needed(params, "folder", "the folder to export to")),
        reviews=tuple(_one_of(Review, each, "reviews") for each in reviews),
        pictures=_one_of(Pictures, pictures, "pictures") if pictures else None,
        scores=params.get("scores") is True,
        tolerance=float(tolerance),
        image_prefix=_text(params, "image_prefix") or _PREFIX,
        image_root=_text(params, "image_root"),
    )


def import_settings_of(params: Mapping[str, Any]) -> ImportSettings:
    """Names of `ImportSettings`; what is missing, None or empty is the default.

    Raises
    ------
    ExchangeError
        If a value is of the wrong kind, or the source or a field that is needed is missing.
    """
    format = _one_of(Format, _text(params, "format") or Format.COCO, "format")
    if format is Format.TRAINING:
        raise ExchangeError(
            "Expected a format with classes and masks that overlap, found a training set: import "
            "what it was made from."
        )
    field = _text(params, "label_field")
    if not field and format is not Format.LABEL_STUDIO:
        raise ExchangeError("Expected a name for the new field, found nothing: fill it in.")
    inline = params.get("max_inline_bytes")
    inline = 1 << 20 if inline is None else inline
    if type(inline) is not int or inline < 0:
        raise ExchangeError(f"Expected 0 or more bytes for max_inline_bytes, found {inline!r}.")
    return ImportSettings(
        format=format,
        source=Path(_needed(params, "source", "the file or folder to import")).expanduser(),
        label_field=field,
        overwrite=params.get("overwrite") is True,
        max_inline_bytes=inline,
        folder=_text(params, "folder"),
    )


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ExchangeError(f"Expected a text for {name}, found {str(value)[:80]!r}.")
    return value.strip()


def _needed(params: Mapping[str, Any], name: str, what: str) -> str:
    value = _text(params, name)
    if not value:
        raise ExchangeError(f"Expected {what}, found nothing: fill in {name}.")
    return value


def _one_of(choices: type[_Choice], value: Any, name: str) -> _Choice:
    try:
        return choices(value)
    except ValueError as error:
        raise ExchangeError(
            f"Expected {' or '.join(choices)} for {name}, found {str(value)[:80]!r}."
        ) from error
