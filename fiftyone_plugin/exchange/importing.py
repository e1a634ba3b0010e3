"""Masks of files into a dataset: into a field of one that is there, or as a new one."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.coco_file import read_coco_pictures
from fiftyone_plugin.exchange.matching import AmbiguousError, Found, Matcher, files_below
from fiftyone_plugin.exchange.pictures import displayed_size, export_names
from fiftyone_plugin.exchange.sa1b_folder import read_sa1b_pictures
from fiftyone_plugin.exchange.values import Format, ImportReport, ImportSettings
from fiftyone_plugin.exchange.writing import FieldWriter
from fiftyone_plugin.exchange.yolo_folder import read_yolo_pictures
from fiftyone_plugin.runs import Stop, Tell, WorkProgress
from sam_plugins.errors import SamPluginsError

__all__ = ["import_as_dataset", "import_masks"]

_READERS: Mapping[Format, Callable[[ImportSettings], Iterator[Found]]] = {
    Format.COCO: read_coco_pictures,
    Format.SA1B: read_sa1b_pictures,
    Format.YOLO: read_yolo_pictures,
}
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_TOGETHER = 1000

NO_PIXELS = "masks without pixels, and boxes without masks"
UNKNOWN = "pictures of the files that no sample of the dataset has"
TWICE = "pictures that the files speak of twice: the first counts"


def import_masks(
    dataset: Any,
    settings: ImportSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> ImportReport:
    """Read COCO, YOLO or SA-1B into a field; samples are found by the names of their pictures.

    A picture that cannot be read costs no other its masks. Samples that the files do not speak of
    stay as they are.

    Parameters
    ----------
    dataset
        A FiftyOne dataset of pictures.
    settings
        What, from where, and into which field.
    progress, stop
        As `work_on` takes them; how many pictures the files speak of is known at the end.

    Raises
    ------
    FieldError
        If the field holds something else, or labels that may not be replaced.
    ExchangeError
        If the files are not there, or not what they should be as a whole.
    """
    if settings.format not in _READERS:
        raise ExchangeError(
            f"Expected {', '.join(_READERS)} to import, found {settings.format.value}."
        )
    if dataset.media_type == "video":
        raise ExchangeError(
            "Expected a dataset of pictures, found videos: masks of frames do not come back into "
            "them. Import them with their pictures as a dataset of its own (--new-from)."
        )
    writer = FieldWriter(
        dataset,
        settings.label_field,
        overwrite=settings.overwrite,
        max_inline_bytes=settings.max_inline_bytes,
        folder=settings.folder,
    )
    report = ImportReport(label_field=settings.label_field)
    matcher = Matcher(dataset, export_names)
    done: set[str] = set()
    try:
        for number, found in enumerate(_READERS[settings.format](settings), 1):
            if stop is not None and stop():
                report.stopped = True
                break
            _one(dataset, found, matcher, writer, report, done)
            if progress is not None:
                total = max(number, len(matcher))
                progress(WorkProgress(number, total, report.objects, "read"))
    finally:
        writer.finish()
    return report


def _one(
    dataset: Any,
    found: Found,
    matcher: Matcher,
    writer: FieldWriter,
    report: ImportReport,
    done: set[str],
) -> None:
    try:
        if found.reason:
            raise ExchangeError(found.reason)
        sample_id = matcher.sample_of(found)
        if sample_id is None:
            report.unknown += 1
            report.reasons[UNKNOWN] += 1
            return
        if sample_id in done:
            report.reasons[TWICE] += 1
            return
        size = displayed_size(dataset[sample_id])
        objects = list(found.objects(size))
        count = writer.add(sample_id, size, objects)
    except AmbiguousError as error:
        report.ambiguous += 1
        report.reasons[str(error)] += 1
        return
    except (SamPluginsError, KeyError) as error:
        report.failed += 1
        report.reasons[str(error)] += 1
        return
    done.add(sample_id)
    report.pictures += 1
    report.objects += count
    if count < len(objects):
        report.reasons[NO_PIXELS] += len(objects) - count


def import_as_dataset(
    name: str,
    pictures: Path,
    settings: ImportSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> ImportReport:
    """Make a dataset of the pictures of a folder, and read the masks of files into it.

    Parameters
    ----------
    name
        Of the dataset, which must not exist.
    pictures
        A folder with pictures; those of its subfolders too.
    settings
        As `import_masks` takes them.
    progress, stop
        Likewise.

    Raises
    ------
    ExchangeError
        If there is a dataset of that name, no picture in the folder, or the files are not right;
        no dataset is made then.
    """
    import fiftyone as fo

    if fo.dataset_exists(name):
        raise ExchangeError(
            f"Expected a name for a new dataset, found {name!r}, which there is: choose another, "
            "or import into that one."
        )
    folder = Path(pictures).expanduser().absolute()
    paths = files_below(folder, _ENDINGS) if folder.is_dir() else iter(())
    dataset = fo.Dataset(name, persistent=True)
    try:
        batch: list[Any] = []
        for path in paths:
            batch.append(fo.Sample(filepath=str(path)))
            if len(batch) >= _TOGETHER:
                dataset.add_samples(batch, progress=False)
                batch = []
        dataset.add_samples(batch, progress=False)
        if not len(dataset):
            raise ExchangeError(f"Expected a folder with pictures, found none in '{folder}'.")
        return import_masks(dataset, settings, progress=progress, stop=stop)
    except BaseException:
        dataset.delete()
        raise
