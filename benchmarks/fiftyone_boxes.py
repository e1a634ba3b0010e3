"""Boxes of a picture to Detections, beside the procedure of FiftyOne's own SAM wrapper.

    python benchmarks/fiftyone_boxes.py            # 50 boxes on 1024 x 768 and on 12 megapixels
    python benchmarks/fiftyone_boxes.py --quick    # one round on the small picture, 8 boxes

The wrapper's procedure, on the published model with the same random weights of vit_b: all boxes of
the picture are decoded at once, their logits brought to the size of the picture together,
thresholded, made float again, copied to NumPy and cut to each box, with one Detection each. Ours is
`mask_objects` as a run calls it, quality included, with one Detection each as well.

Random weights find nothing, so that what the decoder says is replaced in both alike after it ran,
by stars around the middle of each box. What the decoders themselves say is compared beforehand. The
programs take turns, and a ratio is the median of the rounds' own ratios. Where encoding is left
out, both get another embedding in every round, so that what is made once per picture counts. Where
it is not, both begin with the picture as an array, and ours encodes with OpenVINO where it is here.

Memory is measured in processes of their own, encoding left out: the most that is held above what
was held before. Needs the peers of the tests: segment_anything and transformers.
"""

import argparse
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from everything import resident, star
from measure import PEERS, machine, paired, picture, ratios, table
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(PEERS))
import peers

os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")

from fiftyone_plugin.geometry import pixels_to_relative_box
from fiftyone_plugin.masking import mask_objects
from fiftyone_plugin.values import AskedObject, BoxMode, Mode, RunConfig
from sam_plugins.engines.openvino_encoder import OpenVinoEncoder
from sam_plugins.engines.torch_vit import TorchViT
from sam_plugins.mask_statistics import compiled_kernel
from sam_plugins.masks import mask_iou
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt

PEER = "the wrapper's procedure, published model, fp32"
AIM = 3.0
SIZES = ((768, 1024), (3000, 4000))
CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_mode=BoxMode.KEEP)


@dataclass(frozen=True)
class Scene:
    """A picture, whole-number boxes on it, and the low-resolution logits of their answers."""

    image: Image
    boxes: tuple[Box, ...]
    logits: NDArray[np.float32]

    @property
    def asked(self) -> list[AskedObject]:
        """The boxes as a run asks them."""
        return [
            AskedObject(
                prompt_id=str(number),
                prompt=Prompt(box=box),
                given_box=tuple(float(value) for value in box),
            )
            for number, box in enumerate(self.boxes)
        ]


def scene(size: tuple[int, int], count: int) -> Scene:
    """Boxes of a twentieth to a fifth of the picture's longer side, a star in each."""
    height, width = size
    rng = np.random.default_rng(count)
    cell = max(size) / 256
    y, x = np.mgrid[:256, :256].astype(np.float32)
    boxes, logits = [], np.empty((count, 256, 256), np.float32)
    for number in range(count):
        half = rng.uniform(0.025, 0.1, 2) * max(size)
        at_x, at_y = (rng.uniform(h, n - h) for h, n in zip(half, (width, height), strict=True))
        x0, y0 = int(at_x - half[0]), int(at_y - half[1])
        boxes.append((max(x0, 0), max(y0, 0), int(at_x + half[0]), int(at_y + half[1])))
        radii = (0.6 * half.min() / cell, 0.9 * half.min() / cell)
        logits[number] = star(y, x, at_y / cell, at_x / cell, rng, radii)
    return Scene(picture(height, width, count), tuple(boxes), logits)


class Substituted:
    """A segmenter whose answers get the logits of a scene, and whose embedding may be given."""

    def __init__(self, inner: Segmenter, of: Scene, embedding: Embedding | None) -> None:
        self._inner, self._scene, self._embedding = inner, of, embedding
        self._numbers = {box: number for number, box in enumerate(of.boxes)}
        self._keys = itertools.count()
        self.info: SegmenterInfo = inner.info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`, or the given one as if it were new."""
        if self._embedding is None:
            return self._inner.encode(image, region=region)
        return replace(self._embedding, key=str(next(self._keys)))

    def decode_many(
        self, embedding: Embedding, prompts: Sequence[Prompt], **options: Any
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        answers = self._inner.decode_many(embedding, prompts, **options)
        for prompt, masks in zip(prompts, answers, strict=True):
            number = self._numbers[tuple(int(value) for value in prompt.box)]
            yield replace(masks, low_res_logits=self._scene.logits[[number]])


class Wrapper:
    """The procedure of FiftyOne's wrapper."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.model = peers.SegmentAnything(peers.VIT_B, state).model
        transforms = importlib.import_module("segment_anything.utils.transforms")
        self._transform = transforms.ResizeLongestSide(1024)
        self._decode = self.model.mask_decoder.forward
        self.said: Tensor | None = None

    def encode(self, image: Image) -> Tensor:
        """(1, 256, 64, 64)."""
        pixels = torch.from_numpy(self._transform.apply_image(image)).permute(2, 0, 1)[None]
        return self.model.image_encoder(self.model.preprocess(pixels))

    def detections(self, of: Scene, embedding: Tensor | None = None) -> list[Any]:
        """One Detection per box."""
        if embedding is None:
            embedding = self.encode(of.image)
        size = of.image.shape[:2]
        boxes = torch.tensor(of.boxes, dtype=torch.float32)
        boxes = self._transform.apply_boxes_torch(boxes, size)
        sparse, dense = self.model.prompt_encoder(points=None, boxes=boxes, masks=None)
        logits, scores = self.model.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        self.said = logits
        logits = torch.from_numpy(of.logits)[:, None]
        input_size = self._transform.get_preprocess_shape(*size, 1024)
        masks = self.model.postprocess_masks(logits, input_size, size)
        masks = (masks > self.model.mask_threshold).float().squeeze(1).numpy()
        confidences = scores.squeeze(1).clamp(max=1).numpy()
        found = []
        for box, mask, confidence in zip(of.boxes, masks, confidences, strict=True):
            binary = mask > 0.5
            if binary.any():
                x0, y0, x1, y1 = box
                found.append(detection(box, binary[y0:y1, x0:x1], size, confidence=confidence))
        return found


def detection(box: Box, mask: NDArray[np.bool_], size: tuple[int, int], **more: Any) -> Any:
    """A Detection, which touches no database."""
    labels = importlib.import_module("fiftyone.core.labels")
    return labels.Detection(
        label="object", bounding_box=pixels_to_relative_box(box, size), mask=mask, **more
    )


def ours(segmenter: Segmenter, of: Scene) -> list[Any]:
    """As a run does."""
    answer = mask_objects(segmenter, of.image, of.asked, CONFIG)
    return [
        detection(
            one.box,
            one.crop,
            answer.size,
            confidence=one.quality.predicted_iou,
            stability_score=one.quality.stability_score,
            area=one.quality.area,
            components=one.quality.components,
            holes=one.quality.holes,
        )
        for one in answer.objects
    ]


def segmenter_of(model: Any, numerics: Any) -> TorchSegmenter:
    """With the fastest encoder that is here."""
    if importlib.util.find_spec("openvino"):
        encoder, name = OpenVinoEncoder(model, numerics), "openvino"
    else:
        encoder, name = TorchViT(model.image_encoder, numerics, pack=False), "torch"
    return TorchSegmenter(model, name="vit_b", numerics=numerics, encoder=encoder, engine=name)


def embedding_of(segmenter: Segmenter, of: Scene, features: Tensor) -> Embedding:
    """What the segmenter would have made of the scene's picture."""
    height, width = of.image.shape[:2]
    scale = 1024 / max(height, width)
    return Embedding(
        features={"image_embedding": features[0].numpy()},
        region=(0, 0, width, height),
        original_size=(height, width),
        input_size=(int(height * scale + 0.5), int(width * scale + 0.5)),
        padded_size=(1024, 1024),
        encoder_id=segmenter.info.encoder_id,
        key="given",
    )


def compare(size: tuple[int, int], count: int, rounds: int, *, encoding: bool) -> None:
    """Print one table: ours in both precisions beside the wrapper's procedure."""
    of = scene(size, count)
    model, state = peers.ours(peers.VIT_B)
    wrapper = Wrapper(state)
    features = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(3))
    given = None if encoding else features
    steps: dict[str, Callable[[], object]] = {PEER: lambda: wrapper.detections(of, given)}
    expected = wrapper.detections(of, features)
    said, notes = wrapper.said, {}
    for numerics in ("fp32", "bf16"):
        segmenter = segmenter_of(model, numerics)
        embedding = embedding_of(segmenter, of, features)
        name = f"mask_objects, {segmenter.info.engine}, {numerics}"
        stand_in = Substituted(segmenter, of, None if encoding else embedding)
        steps[name] = lambda stand_in=stand_in: ours(stand_in, of)
        asked = [one.prompt for one in of.asked]
        raw = np.stack([m.low_res_logits for m in segmenter.decode_many(embedding, asked)])
        same = float(((raw > 0) == (said.numpy() > 0)).mean())
        notes[name] = f"{ious(ours(stand_in, of), expected)}; decoders {same:.4%} same sign"
    taken = paired(steps, rounds)
    title = f"{count} boxes on {size[1]} x {size[0]}, encoding {'in' if encoding else 'ex'}cluded"
    aims = {name: AIM for name in steps if name != PEER}
    ratios(title, taken, PEER, targets=aims, deviations=notes)


def ious(found: list[Any], expected: list[Any]) -> str:
    """How equal the masks of two lists of Detections are."""
    if len(found) != len(expected):
        return f"{len(found)} masks beside {len(expected)}"
    each = [mask_iou(one.mask, other.mask) for one, other in zip(found, expected, strict=True)]
    return f"IoU of masks {min(each):.6f} at least"


def measure_memory(who: str, count: int, threads: int, answer: Any) -> None:
    """MB before, and MB above at most, of a picture of 12 megapixels, in this process alone."""
    torch.set_num_threads(threads)
    of, warm = scene(SIZES[1], count), scene((96, 128), 4)
    model, state = peers.ours(peers.VIT_B)
    features = torch.randn(1, 256, 64, 64)
    with torch.inference_mode():
        if who == "ours":
            compiled_kernel()
            segmenter = TorchSegmenter(model, name="vit_b")
            work = [
                lambda one=one: ours(
                    Substituted(segmenter, one, embedding_of(segmenter, one, features)), one
                )
                for one in (warm, of)
            ]
        else:
            wrapper = Wrapper(state)
            work = [lambda one=one: wrapper.detections(one, features) for one in (warm, of)]
        work[0]()
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        found = work[1]()
        answer.put((len(found), before, resident("VmHWM") - before))


def memory(counts: Sequence[tuple[str, int]], threads: int) -> None:
    """Print the table of memory."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for who, count in counts:
        answer = context.Queue()
        process = context.Process(target=measure_memory, args=(who, count, threads, answer))
        process.start()
        masks, before, above = answer.get()
        process.join()
        aim = "under 500" if who == "ours" else ""
        rows.append((f"{who}, {count} boxes", str(masks), f"{before:.0f}", f"{above:.0f}", aim))
    columns = ("on 4000 x 3000, encoding excluded", "masks", "MB before", "MB above", "aim")
    table("Memory", columns, rows)


def main() -> None:
    """Print the machine and the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, 8 boxes, small picture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boxes", type=int, default=50)
    parser.add_argument("--only", choices=("decoding", "encoding", "memory"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    compiled_kernel()
    count, rounds = (8, 1) if options.quick else (options.boxes, options.rounds)
    with torch.inference_mode():
        for size in SIZES[: 1 if options.quick else 2]:
            for encoding in (False, True):
                if options.only in (None, "encoding" if encoding else "decoding"):
                    compare(size, count, rounds, encoding=encoding)
    if options.only in (None, "memory") and not options.quick:
        memory((("the wrapper's procedure", 60), ("ours", 60), ("ours", 500)), options.threads)


if __name__ == "__main__":
    main()
