"""The ports: what a model, an encoder engine, a store and an image source must be able to do.

Each has a fake and a contract suite in `sam_plugins.testing`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from sam_plugins.types import Box, Embedding, Image, MaskRecord, Masks, Prompt, Rle, Size

if TYPE_CHECKING:
    import torch

__all__ = [
    "EmbeddingStore",
    "EngineStatus",
    "Followed",
    "ImageEncoder",
    "ImageSource",
    "Key",
    "Lost",
    "Propagator",
    "Segmenter",
    "SegmenterInfo",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterInfo:
    """What a segmenter is.

    Parameters
    ----------
    name
        Variant: "nano", "vit_b", ...
    encoder_id
        Hash of encoder weights, preprocessing and numerics; embeddings carry it.
    model_id
        Hash that adds prompt encoder and mask decoder.
    image_size
        Longest side the encoder sees, pixels.
    low_res_size
        (h, w) of `Masks.low_res_logits` and of `Prompt.mask_input`.
    numerics
        "fp32" or "bf16".
    device, engine
        Where and with what it runs: "cpu", "torch".
    prompt_kinds
        Of "points", "box", "mask", "text".
    """

    name: str
    encoder_id: str
    model_id: str
    image_size: int
    low_res_size: Size
    numerics: str
    device: str
    engine: str
    prompt_kinds: tuple[str, ...] = ("points", "box", "mask")


@runtime_checkable
class Segmenter(Protocol):
    """A promptable model without a hidden "current image": safe to share between threads."""

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities."""
        ...

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """Encode one window (`region`, xyxy; the whole by default) of an image.

        Raises
        ------
        ImageError
            If `image` is not (H, W, 3) uint8, or `region` is empty or outside it.
        """
        ...

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """Encode whole images, in order, several per forward pass where that is faster."""
        ...

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """Answer one prompt.

        `multimask_output` None means three answers for exactly one point, otherwise one.

        Raises
        ------
        EmbeddingError
            If another encoder made the embedding.
        PromptError
            If a point or the whole box lies outside the encoded window, or `prompt.mask_input` has
            another size or region than this embedding's.
        """
        ...

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """Answer many prompts on one embedding, in order, batched inside.

        All are checked at the call, with the errors of `decode`. With `pred_iou_thresh` only
        answers whose predicted IoU is greater come back, so that a `Masks` may hold fewer or none:
        hopeless prompts then cost no mask.
        """
        ...


class ImageEncoder(Protocol):
    """An engine: preprocessed pixels to feature maps, and nothing else."""

    def __call__(self, pixels: "torch.Tensor") -> Mapping[str, "torch.Tensor"]:
        """(B, 3, S, S) float32 normalised and padded -> {name: (B, c, h, w)}."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """How far a faster engine is.

    Parameters
    ----------
    engine
        What answers now: "openvino", "torch".
    phase
        "preparing": another engine is on its way; "ready": it answers; "failed": it never will.
    fraction
        Of the preparation that is done, 0 to 1.
    message
        What is being done, or what happened, in some words.
    """

    engine: str
    phase: Literal["preparing", "ready", "failed"]
    fraction: float
    message: str


@runtime_checkable
class EmbeddingStore(Protocol):
    """Embeddings by their content key, `Embedding.key`."""

    def get(self, key: str) -> Embedding | None:
        """The embedding stored under `key`, or None."""
        ...

    def put(self, key: str, embedding: Embedding) -> Embedding:
        """Store an embedding under `key`, which is its own, and give it back as `get` will.

        A store that rounds features gives them back rounded, so that the first answer agrees with
        every later one, whether or not there was room to keep them.
        """
        ...


class ImageSource(Protocol):
    """Pictures too large or too many to hold: dask, zarr, pages, memory maps."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        ...

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame as (h, w, 3) uint8 RGB, with intensity limits fixed once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One object on one frame.

    Parameters
    ----------
    frame, object_id
        Where, and which.
    record
        Its mask; `predicted_iou` is the model's estimate, `stability_score` how much of it is as
        on the frame that it was followed from.
    is_key
        Whether the frame is one of the given ones.
    """

    frame: int
    object_id: int
    record: MaskRecord
    is_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An object that is not followed any further in one direction.

    Parameters
    ----------
    frame, object_id
        The first frame where it is not, and which.
    reason
        In some words.
    """

    frame: int
    object_id: int
    reason: str


Key: TypeAlias = Prompt | Rle
"""What is known of an object on a frame: a prompt, or its mask as run lengths of the frame."""


class Propagator(Protocol):
    """Objects followed through z or t."""

    def propagate(
        self,
        source: ImageSource,
        keys: Mapping[int, Mapping[int, Key]],
        *,
        frames: range | None = None,
    ) -> Iterator[Any]:
        """Follow objects from the frames where they are known, both ways.

        Parameters
        ----------
        source
            The frames.
        keys
            {frame: {object_id: Key}}.
        frames
            Which frames to follow to, a step of 1; all by default. Keys outside are not used.

        Yields
        ------
        Progress, Followed, Lost
            Each object at most once on each frame, as they are found. Closing the generator stops
            the work at the next step.

        Raises
        ------
        PromptError
            At the call: if there is no key, a key names no frame of the source, or is empty.
        """
        ...
