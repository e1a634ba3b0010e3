"""What is wrong between Label Studio and this backend, and what to change."""

from labelstudio_backend.doctor.finding import Check, Finding
from labelstudio_backend.doctor.running import CHECKS, examine

__all__ = ["CHECKS", "Check", "Finding", "examine"]
