"""`TorchSegmenter`: encode and decode on torch, for any `PromptableModel`."""

import hashlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam_plugins.device import Numerics, precise, single_threaded_workers
from sam_plugins.errors import EmbeddingError
from sam_plugins.model.common import PromptableModel
from sam_plugins.model.decoding import Decoding, PromptTensors, decoding_of
from sam_plugins.ports import ImageEncoder, SegmenterInfo
from sam_plugins.transforms import (
    InputPrompt,
    checked_region,
    embedding_key,
    normalised,
    prompt_to_input,
    resize_longest_side,
    window_of,
)
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt
from sam_plugins.weights import encoder_and_model_hash

__all__ = ["TorchSegmenter"]

PREPROCESSING = "pillow-bilinear-1"
"""Part of `encoder_id`: changes whenever equal pixels no longer give equal model input."""


class TorchSegmenter:
    """A `Segmenter` around one model on one device. Safe to share between threads.

    Parameters
    ----------
    model
        In evaluation mode; it is moved to `device`.
    name
        Variant, for `info`.
    device
        Where it runs.
    numerics
        "fp32", or "bf16" for the matrix products over the image. Prompts themselves stay in
        fp32: bf16 cannot tell neighbouring pixels apart.
    encoder
        Another engine for the image encoder; the model's own by default.
    engine
        Name of that engine, for `info`, or a function that gives the name of what answers now.
    hashes
        What `encoder_and_model_hash` gave for the model, if it is known; needed where `encoder`
        has taken the encoder's weights over.
    encode_batch_size, decode_batch_size
        Images and prompts per forward pass. By default few on a CPU, where larger batches fall
        out of its caches, and 4 and 64 on an accelerator. Batches of another size change the last
        digits.
    decoding
        How prompts are answered; by default the fastest way that the model has.
    decode_workers
        Batches of prompts answered at the same time. By default on a CPU as many as torch has
        threads here, with one thread each: sharing out whole batches wastes less than sharing out
        every layer.
    max_cached_bytes
        Bound on what is kept on the device for embeddings used lately, the embeddings included.
    """

    def __init__(
        self,
        model: PromptableModel,
        *,
        name: str,
        device: torch.device | str = "cpu",
        numerics: Numerics = "fp32",
        encoder: ImageEncoder | None = None,
        engine: str | Callable[[], str] = "torch",
        hashes: tuple[str, str] | None = None,
        encode_batch_size: int | None = None,
        decode_batch_size: int | None = None,
        decoding: Decoding | None = None,
        decode_workers: int | None = None,
        max_cached_bytes: int = 1 << 28,
    ) -> None:
        self._device = torch.device(device)
        on_cpu = self._device.type == "cpu"
        encoder_hash, model_hash = hashes or encoder_and_model_hash(model)
        self._engine = engine if callable(engine) else None
        self._info = SegmenterInfo(
            name=name,
            encoder_id=_identity(encoder_hash, PREPROCESSING, numerics),
            model_id=_identity(model_hash, PREPROCESSING, numerics),
            image_size=model.image_size,
            low_res_size=model.low_res_size,
            numerics=numerics,
            device=str(self._device),
            engine=engine() if callable(engine) else engine,
        )
        self._numerics: Numerics = numerics
        self._model = model.to(self._device).eval()
        self._encoder = encoder or self._model.encode_image
        self._encode_batch_size = encode_batch_size or (1 if on_cpu else 4)
        self._decoding = decoding or decoding_of(
            self._model, torch.bfloat16 if numerics == "bf16" else torch.float32
        )
        self._decode_batch_size = decode_batch_size or (self._decoding.batch_size if on_cpu else 64)
        self._states = _ImageStates(self._device, self._decoding, max_cached_bytes)
        self._workers = decode_workers or (torch.get_num_threads() if on_cpu else 1)
        # A click must not wait until the next picture is encoded.
        self._encode_lock, self._decode_lock = Lock(), Lock()

    @property
    def info(self) -> SegmenterInfo:
        """Identity and capabilities."""
        return replace(self._info, engine=self._engine()) if self._engine else self._info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`."""
        return self._encode([image], [checked_region(image, region)])[0]

    def encode_many(self, images: Sequence[Image]) -> Iterator[Embedding]:
        """As `Segmenter.encode_many`; an image is looked at when its batch is reached."""
        remaining = iter(images)
        while batch := list(islice(remaining, self._encode_batch_size)):
            yield from self._encode(batch, [checked_region(image, None) for image in batch])

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        """As `Segmenter.decode`.

        Raises
        ------
        EmbeddingError
            If another encoder made the embedding.
        PromptError
            If the prompt does not fit the encoded window (`transforms.prompt_to_input`).
        """
        return next(self.decode_many(embedding, [prompt], multimask_output=multimask_output))

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`; all prompts are checked at the call, errors as in `decode`.

        Prompts of one kind are answered together, a batch at a time and no sooner than its first
        answer is asked for.
        """
        if embedding.encoder_id != self._info.encoder_id:
            raise EmbeddingError(
                f"The embedding was made by encoder {embedding.encoder_id}, this model "
                f"({self._info.name}) has encoder {self._info.encoder_id}: encode the image again."
            )
        size = self._info.low_res_size
        checked = [prompt_to_input(p, embedding, size, multimask_output) for p in prompts]
        return self._answers(embedding, checked, pred_iou_thresh)

    def _encode(self, images: Sequence[Image], regions: Sequence[Box]) -> list[Embedding]:
        windows = [window_of(image, box) for image, box in zip(images, regions, strict=True)]
        side, mean, std = self._model.image_size, self._model.pixel_mean, self._model.pixel_std
        resized = [resize_longest_side(window, side) for window in windows]
        pixels = torch.from_numpy(
            np.stack([normalised(picture, side, mean, std) for picture in resized])
        )
        with self._encode_lock, self._computing(self._numerics):
            maps = self._encoder(pixels.to(self._device))
            features = dict(zip(maps, _to_host(list(maps.values())), strict=True))
        return [
            Embedding(
                features={name: value[i] for name, value in features.items()},
                region=region,
                original_size=(image.shape[0], image.shape[1]),
                input_size=(picture.shape[0], picture.shape[1]),
                padded_size=(side, side),
                encoder_id=self._info.encoder_id,
                key=embedding_key(window, self._info.encoder_id),
            )
            for i, (image, region, window, picture) in enumerate(
                zip(images, regions, windows, resized, strict=True)
            )
        ]

    def _answers(
        self,
        embedding: Embedding,
        prompts: Sequence[InputPrompt],
        pred_iou_thresh: float | None,
    ) -> Iterator[Masks]:
        waiting: dict[tuple[int, bool, bool, bool], deque[int]] = defaultdict(deque)
        for index, prompt in enumerate(prompts):
            waiting[prompt.kind].append(index)
        ready: dict[int, Masks] = {}
        for index, prompt in enumerate(prompts):
            if index not in ready:
                group = waiting[prompt.kind]
                some = [group.popleft() for _ in range(min(self._at_once, len(group)))]
                answers = self._decode(embedding, [prompts[i] for i in some], pred_iou_thresh)
                ready.update(zip(some, answers, strict=True))
            yield ready.pop(index)

    @property
    def _at_once(self) -> int:
        """Prompts of one kind that are answered at the same time."""
        return self._decode_batch_size * self._workers

    def _decode(
        self, embedding: Embedding, prompts: Sequence[InputPrompt], pred_iou_thresh: float | None
    ) -> list[Masks]:
        """Answer prompts of one kind, in a forward pass for each batch."""
        size, small = self._decode_batch_size, self._decoding.is_small
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        with self._decode_lock:
            with self._computing("fp32"):
                state = self._states.of(embedding)
            answer = partial(self._decode_batch, embedding, state, pred_iou_thresh)
            if self._workers == 1 or (len(batches) == 1 and not small):
                return list(chain.from_iterable(map(answer, batches)))
            workers = single_threaded_workers(self._workers)
            return list(chain.from_iterable(workers.map(answer, batches)))

    def _decode_batch(
        self,
        embedding: Embedding,
        state: Any,
        pred_iou_thresh: float | None,
        batch: Sequence[InputPrompt],
    ) -> list[Masks]:
        """Answer prompts of one kind in one forward pass."""
        with self._computing("fp32"):
            prompts = PromptTensors(
                point_coords=self._stacked([prompt.point_coords for prompt in batch]),
                point_labels=self._stacked([prompt.point_labels for prompt in batch]),
                boxes=self._stacked([prompt.box for prompt in batch]),
                mask_input=self._stacked([prompt.mask_input for prompt in batch]),
                multimask_output=batch[0].multimask_output,
            )
            found = self._decoding.answer(state, prompts, pred_iou_thresh)
            parts = [found.low_res_logits, found.iou_predictions, found.kept]
            logits, scores, passed = _to_host(parts)
        kept = passed > 0
        ends = np.cumsum(kept.sum(1))
        return [
            Masks(
                low_res_logits=part,
                iou_predictions=scores[i][kept[i]],
                region=embedding.region,
                original_size=embedding.original_size,
                input_size=embedding.input_size,
                padded_size=embedding.padded_size,
                mask_threshold=self._model.mask_threshold,
            )
            for i, part in enumerate(np.split(logits, ends[:-1]))
        ]

    @contextmanager
    def _computing(self, numerics: Numerics) -> Iterator[None]:
        with torch.inference_mode(), precise(self._info.device, numerics):
            yield

    def _stacked(
        self, parts: Sequence[NDArray[np.float32] | NDArray[np.int32] | None]
    ) -> Tensor | None:
        arrays = [part for part in parts if part is not None]
        return torch.from_numpy(np.stack(arrays)).to(self._device) if arrays else None


class _ImageStates:
    """What prompts need of the embeddings used last, on the device; under the decoding lock."""

    def __init__(self, device: torch.device, decoding: Decoding, max_bytes: int) -> None:
        self._device = device
        self._decoding = decoding
        self._max_bytes = max_bytes
        self._nbytes = 0
        self._entries: OrderedDict[str, tuple[Embedding, Any, int]] = OrderedDict()

    def of(self, embedding: Embedding) -> Any:
        """What `Decoding.prepare` makes of this embedding.

        A key alone does not prove equal features (encoded in a batch, or kept with less precision
        by a store, they differ in the last digits), so they are compared.
        """
        known = self._entries.pop(embedding.key, None)
        if known is not None:
            self._nbytes -= known[2]
            if not _equal(known[0].features, embedding.features):
                known = None
        if known is None:
            state, size = self._decoding.prepare(self._copied(embedding))
            known = (embedding, state, size + embedding.nbytes)
        if known[2] > self._max_bytes:
            return known[1]
        self._entries[embedding.key] = known
        self._nbytes += known[2]
        while self._nbytes > self._max_bytes:
            _, (_, _, oldest) = self._entries.popitem(last=False)
            self._nbytes -= oldest
        return known[1]

    def _copied(self, embedding: Embedding) -> dict[str, Tensor]:
        return {
            name: torch.tensor(value, dtype=torch.float32, device=self._device)[None]
            for name, value in embedding.features.items()
        }


def _equal(
    first: Mapping[str, NDArray[np.float32]], second: Mapping[str, NDArray[np.float32]]
) -> bool:
    if first.keys() != second.keys():
        return False
    return all(first[k] is second[k] or np.array_equal(first[k], second[k]) for k in first)


def _to_host(values: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """float32 arrays of some tensors of one device, by one copy: each one waits for the device."""
    if values[0].device.type == "cpu":
        return [value.float().numpy() for value in values]
    flat = torch.cat([value.float().flatten() for value in values]).cpu().numpy()
    ends = np.cumsum([value.numel() for value in values])
    parts = np.split(flat, ends[:-1])
    return [part.reshape(value.shape) for part, value in zip(parts, values, strict=True)]


def _identity(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
