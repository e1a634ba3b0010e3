"""`sam-plugins fiftyone ...`: the plugin, and what its operators do, without FiftyOne's App.

What a command needs is imported when it runs.
"""

from fiftyone_plugin.cli import commands_runs  # isort: skip
from fiftyone_plugin.cli import commands_exchange  # isort: skip
from fiftyone_plugin.cli import commands_evaluating
from fiftyone_plugin.cli.root import app

__all__ = ["app", "commands_evaluating", "commands_exchange", "commands_runs"]
