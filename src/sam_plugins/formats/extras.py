"""Keys of a JSON object that a format does not have: written beside its own, and found again."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sam_plugins.errors import DatasetError

__all__ = ["other_keys", "with_extras"]


def with_extras(
    values: Mapping[str, Any], extras: Mapping[str, Any], own: Collection[str]
) -> dict[str, Any]:
    """An object with extras after its own values; a key of both has the value of the extra.

    Parameters
    ----------
    values
        What the format has.
    extras
        Name -> any JSON value.
    own
        Names that no extra may have.

    Raises
    ------
    DatasetError
        If an extra has such a name, or is no JSON value.
    """
    taken = sorted(set(extras) & set(own))
    if taken:
        raise DatasetError(
            f"An extra may not be called {', '.join(taken)}, which the format has already: give it "
            "another name."
        )
    try:
        json.dumps(dict(extras), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DatasetError(f"Extras must be JSON values, and are not: {error}.") from error
    return {**values, **extras}


def other_keys(found: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """The keys of an object that the format does not have, with their values."""
    return {name: value for name, value in found.items() if name not in own}
