"""The model off the window's thread: newest request wins, jobs, background work. No Qt here."""

from napari_plugin.service.jobs import Job
from napari_plugin.service.model_service import ModelService
from napari_plugin.service.state import Request, ServiceState

__all__ = ["Job", "ModelService", "Request", "ServiceState"]
