"""How long a model encodes, and for which thread."""

import threading
import time
from collections.abc import Iterator, Sequence

from labelstudio_backend.answering.meters import Meters
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt

__all__ = ["Encoded", "MeasuredSegmenter"]


class Encoded(threading.local):
    """What was encoded so far for the thread that looks."""

    count = 0
    seconds = 0.0


class MeasuredSegmenter:
    """Measures each encoding of the segmenter inside.

    Parameters
    ----------
    segmenter
        Does the work.
    meters
        Get "encode" seconds.
    encoded
        Is added to.
    """

    def __init__(self, segmenter: Segmenter, meters: Meters, encoded: Encoded) -> None:
        self._segmenter = segmenter
        self._meters = meters
        self._encoded = encoded

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities."""
        return self._segmenter.info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`."""
        start = time.perf_counter()
        embedding = self._segmenter.encode(image, region=region)
        seconds = time.perf_counter() - start
        self._encoded.count += 1
        self._encoded.seconds += seconds
        self._meters.seconds("encode", seconds)
        return embedding

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`."""
        return (self.encode(image) for image in images)

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`."""
        return self._segmenter.decode(embedding, prompt, multimask_output=multimask_output)

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        return self._segmenter.decode_many(
            embedding,
            prompts,
            multimask_output=multimask_output,
            pred_iou_thresh=pred_iou_thresh,
        )
