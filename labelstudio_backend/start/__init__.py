"""Label Studio and the backend on this machine, with sample projects: `make labelstudio`.

The tests with the real program start theirs by the same code.
"""

from labelstudio_backend.start.access import Access
from labelstudio_backend.start.backend import Backend
from labelstudio_backend.start.label_studio import LabelStudio, find_label_studio

__all__ = ["Access", "Backend", "LabelStudio", "find_label_studio"]
