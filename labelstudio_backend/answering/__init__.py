"""Questions about pictures, answered by one model: everything behind the routes."""

from labelstudio_backend.answering.kept_models import rollback
from labelstudio_backend.answering.meters import Meters, NoMeters
from labelstudio_backend.answering.model import CurrentModel, OpenModel

__all__ = ["CurrentModel", "Meters", "NoMeters", "OpenModel", "rollback"]
