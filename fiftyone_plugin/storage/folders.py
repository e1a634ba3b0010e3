"""Where FiftyOne keeps what belongs to a dataset."""

from pathlib import Path
from typing import Any

__all__ = ["files_folder"]


def files_folder(dataset: Any, label_field: str, folder: str = "") -> Path:
    """Absolute path of the folder for the masks of a field; it need not exist.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        The field that the masks are for.
    folder
        Where the user wants them; empty means below FiftyOne's folder of datasets.

    Notes
    -----
    A dataset's name may hold slashes and dots; its slug holds neither, so the path stays below
    FiftyOne's folder.
    """
    if folder:
        return Path(folder).expanduser().absolute()
    import fiftyone as fo

    folder_of_datasets = Path(str(fo.config.default_dataset_dir)).absolute()
    return folder_of_datasets / str(dataset.slug) / "fields" / label_field
