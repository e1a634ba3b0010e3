"""Questions about pictures, answered by one model: everything behind the routes."""

from labelstudio_backend.answering.annotator import Annotator
from labelstudio_backend.answering.kept_models import rollback
from labelstudio_backend.answering.meters import Meters, NoMeters
from labelstudio_backend.answering.model import CurrentModel, OpenModel
from labelstudio_backend.answering.values import Answers, Question
from labelstudio_backend.answering.waiting_room import StoppedError

__all__ = [
    "Annotator",
    "Answers",
    "CurrentModel",
    "Meters",
    "NoMeters",
    "OpenModel",
    "Question",
    "StoppedError",
    "rollback",
]
