"""A segmenter whose model lives in another process."""

import os
from collections.abc import Callable, Iterator, Sequence

from sam_plugins.automatic import AutomaticSettings, Progress
from sam_plugins.ports import SegmenterInfo
from sam_plugins.types import Box, Embedding, Image, MaskRecord, Masks, Prompt
from sam_plugins.worker.status import WorkerStatus


class WorkerSegmenter:
    """A segmenter whose model lives in another process; made by `open_worker`."""

    def wait_ready(self, timeout: float | None = None) -> SegmenterInfo:
        """Wait until the model answers; raises what went wrong, or TimeoutError."""

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities; waits until the model is ready."""

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding: ...
    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]: ...
    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks: ...
    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]: ...
    def generate_masks(
        self,
        image: Image,
        settings: AutomaticSettings | None = None,
        *,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Progress | MaskRecord]:
        """As `sam_plugins.generate_masks`, run whole in the other process."""

    def close(self) -> None:
        """End the process, also in the middle of work."""


def open_worker(
    model: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    precision: str = "fp32",
    engine: str = "auto",
    store: str | os.PathLike[str] | None = "default",
    threads: int | None = None,
    on_status: Callable[[WorkerStatus], None] | None = None,
    target: str = "sam_plugins.session:open_segmenter",
) -> WorkerSegmenter:
    """A model in a process of its own, on its way; returns at once."""
