"""What goes wrong in FiftyOne, in sentences that its App can show.

    FiftyOneError
    |-- FieldError      a field is missing, holds something else, or would be overwritten
    |-- SampleError     one sample cannot be worked on; the others can
    |-- RunError        a run is unknown, differs from its record, or is worked on elsewhere
    |-- ExchangeError   a file or folder to import from, or to export to, is not right
    `-- ReviewError     a review action does not fit what is there
        `-- LabelChangedError   somebody else has changed the label meanwhile

Each says what was expected, what was found and what to do next.
"""

from sam_plugins.errors import SamPluginsError

__all__ = [
    "ExchangeError",
    "FieldError",
    "FiftyOneError",
    "LabelChangedError",
    "ReviewError",
    "RunError",
    "SampleError",
]


class FiftyOneError(SamPluginsError):
    """Anything that the FiftyOne adapter refuses or cannot do."""


class FieldError(FiftyOneError):
    """A field is missing, holds something else than expected, or would be overwritten."""


class SampleError(FiftyOneError):
    """One sample cannot be worked on; the others can."""


class RunError(FiftyOneError):
    """A run is unknown, differs from its record, or is worked on elsewhere."""


class ExchangeError(FiftyOneError):
    """A file or folder to import from, or to export to, is not right."""


class ReviewError(FiftyOneError):
    """A review action does not fit what is there."""


class LabelChangedError(ReviewError):
    """Somebody else has changed the label meanwhile."""
