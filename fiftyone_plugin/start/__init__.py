"""FiftyOne on this machine with a sample dataset and the plugin: `make fiftyone`."""

from fiftyone_plugin.start.plugin_folder import PLUGIN, install_plugin, uninstall_plugin
from fiftyone_plugin.start.sample_dataset import SAMPLE_DATASET, sample_dataset
from fiftyone_plugin.start.zoo_source import install_zoo_source, uninstall_zoo_source

__all__ = [
    "PLUGIN",
    "SAMPLE_DATASET",
    "install_plugin",
    "install_zoo_source",
    "sample_dataset",
    "uninstall_plugin",
    "uninstall_zoo_source",
]
