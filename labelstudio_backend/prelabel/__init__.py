"""Predictions for a whole project, pushed to Label Studio; stopped and killed runs go on."""

from labelstudio_backend.prelabel.journal import Journal, RunKey
from labelstudio_backend.prelabel.runner import Outcome, Plan, Prelabelling, Summary

__all__ = ["Journal", "Outcome", "Plan", "Prelabelling", "RunKey", "Summary"]
