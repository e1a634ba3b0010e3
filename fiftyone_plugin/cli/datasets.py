"""FiftyOne and its datasets for the commands, or a sentence that says what is missing."""

from typing import Any

from fiftyone_plugin.errors import FiftyOneError

__all__ = ["fiftyone", "open_dataset", "open_view"]


def fiftyone() -> Any:
    """The module `fiftyone`.

    Raises
    ------
    FiftyOneError
        If it is not installed.
    """
    try:
        import fiftyone as fo
    except ModuleNotFoundError as error:
        if error.name != "fiftyone":
            raise
        raise FiftyOneError(
            'FiftyOne is not installed here: run pip install "sam-plugins[fiftyone]".'
        ) from error
    return fo


def open_dataset(name: str) -> Any:
    """A dataset of FiftyOne's database by its name.

    Raises
    ------
    FiftyOneError
        If the database does not answer, or has no such dataset.
    """
    fo = fiftyone()
    try:
        names = fo.list_datasets()
    except Exception as error:  # it raises what its driver, its own program or its settings raise
        where = fo.config.database_uri or f"of {fo.config.database_dir}"
        raise FiftyOneError(
            f"FiftyOne's database {where} does not answer ({_first_line(error)}): start it, or set "
            "FIFTYONE_DATABASE_URI to one that runs."
        ) from error
    if name not in names:
        there = ", ".join(map(repr, names[:10])) or "none"
        raise FiftyOneError(
            f"Expected a dataset of FiftyOne, found no {name!r}; there are: {there}."
        )
    return fo.load_dataset(name)


def open_view(dataset: Any, name: str | None) -> Any:
    """A saved view of a dataset, or all of it.

    Raises
    ------
    FiftyOneError
        If it has no such view.
    """
    if name is None:
        return dataset
    if not dataset.has_saved_view(name):
        there = ", ".join(map(repr, dataset.list_saved_views()[:10])) or "none"
        raise FiftyOneError(
            f"Expected a saved view of {dataset.name!r}, found no {name!r}; there are: {there}."
        )
    return dataset.load_saved_view(name)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
