"""Masks to files and back: COCO, YOLO, SA-1B, training sets, and tasks of Label Studio.

`export_masks` writes what a dataset or view holds, `import_masks` and `import_as_dataset` read what
anybody wrote, and `import_answers` what people made of the tasks.
"""

from fiftyone_plugin.exchange.answers import import_answers
from fiftyone_plugin.exchange.exporting import export_masks
from fiftyone_plugin.exchange.importing import import_as_dataset, import_masks
from fiftyone_plugin.exchange.values import (
    ExportReport,
    ExportSettings,
    Format,
    ImportReport,
    ImportSettings,
    Pictures,
    Review,
)

__all__ = [
    "ExportReport",
    "ExportSettings",
    "Format",
    "ImportReport",
    "ImportSettings",
    "Pictures",
    "Review",
    "export_masks",
    "import_answers",
    "import_as_dataset",
    "import_masks",
]
