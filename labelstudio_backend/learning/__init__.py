"""What annotators submitted: taken in from Label Studio, and exported to train on."""

from labelstudio_backend.learning.intake import Intake, Submitted

__all__ = ["Intake", "Submitted"]
