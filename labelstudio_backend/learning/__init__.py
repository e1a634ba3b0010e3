"""What annotators submitted: taken in from Label Studio, and exported to train on."""

from labelstudio_backend.learning.export import Exported, export_annotations
from labelstudio_backend.learning.intake import Intake, Submitted

__all__ = ["Exported", "Intake", "Submitted", "export_annotations"]
