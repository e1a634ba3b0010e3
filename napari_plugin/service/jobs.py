"""Work that takes long and tells what it finds."""


class Job:
    """A piece of long work that was started; see `ModelService.job`."""

    title: str

    def cancel(self) -> None:
        """End it at once: what was found is delivered, then `on_done(True)`. From any thread."""

    @property
    def running(self) -> bool:
        """Whether neither `on_done` nor `on_failed` is on its way yet."""
