"""Everything-mode beside the published generator: time, agreement and memory.

    python benchmarks/everything.py            # a 32 x 32 grid on 1024 x 768, vit_b
    python benchmarks/everything.py --quick    # an 8 x 8 grid, once

Random weights of vit_b, the encoder left out: both programs get the same embedding and run their
whole decoder. Random weights find nothing, so what the decoder says is replaced in both alike after
it ran: the predicted IoUs by a table of which 10, 30 or 100 % pass, the logits by star shapes. The
programs take turns, and a ratio is the median of the rounds' own ratios: of seconds on the clock,
and of CPU seconds, which another program on the machine disturbs less. Nothing fails.

The memory row runs in a process of its own, on 4096 x 3072 with a thousand masks that survive.
Needs the peers of the tests: segment_anything and transformers.
"""

import argparse
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import machine
from numpy.typing import NDArray
from torch import Tensor, nn

from sam_plugins.automatic import AutomaticSettings, generate_masks
from sam_plugins.mask_statistics import compiled_kernel
from sam_plugins.model.decoding import Answers, FoldedDecoding, PromptTensors
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.types import Box, Embedding, Image, MaskRecord, Masks, Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))
import peers

TARGETS = {"fp32": 4.5, "bf16": 10.0}
LOW_RES_SIDE = 256
SIZE = (768, 1024)
"""(H, W) of the picture that both programs search."""


class ScoreTable(nn.Module):
    """Stands in for the head that predicts IoUs.

    The published generator asks point by point and gets the next rows at each call. Ours answers
    several batches at a time: each thread says which points it asks about (`TableDecoding`).
    """

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid, self.points, self.asked = grid, grid * grid, 0
        self.rows = torch.zeros(self.points, 4)
        self.asking = threading.local()

    def numbers(self, xy: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """Which points of the grid lie at (n, 2) xy of a picture of `SIZE`."""
        column, row = (
            (xy[:, axis] * self.grid / SIZE[1 - axis]).astype(np.int64) for axis in (0, 1)
        )
        return row * self.grid + column

    def fill(self, pass_rate: float) -> None:
        """A new table, of which this part of the answers passes the threshold."""
        rng = np.random.default_rng(1)
        good = rng.random((self.points, 4)) < pass_rate
        scores = np.where(good, rng.uniform(0.9, 1, good.shape), rng.uniform(0.2, 0.8, good.shape))
        self.rows = torch.from_numpy(scores.astype(np.float32))
        self.asked = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, C) to (B, 4)."""
        numbers = getattr(self.asking, "numbers", None)
        if numbers is not None:
            return self.rows[torch.from_numpy(numbers)]
        first, self.asked = self.asked, self.asked + len(tokens)
        return self.rows[first : self.asked].to(tokens.device)


class Stars:
    """Logits of star shapes by the number of the answer, from a pool that repeats."""

    def __init__(self, count: int, height: float, width: float) -> None:
        rng = np.random.default_rng(2)
        y, x = np.mgrid[:LOW_RES_SIDE, :LOW_RES_SIDE].astype(np.float32)
        self.pool = np.empty((count, LOW_RES_SIDE, LOW_RES_SIDE), np.float32)
        for logits in self.pool:
            logits[:] = star(y, x, rng.uniform(0, height), rng.uniform(0, width), rng)

    def __call__(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """(n, h, w) float32."""
        return self.pool[np.array(numbers, np.int64) * 7 % len(self.pool)]


def star(
    y: NDArray[np.float32],
    x: NDArray[np.float32],
    at_y: float,
    at_x: float,
    rng: np.random.Generator,
    radii: tuple[float, float] = (4, 30),
) -> NDArray[np.float32]:
    """Logits of a star, steep enough that half of them are stable."""
    angle, distance = np.arctan2(y - at_y, x - at_x), np.hypot(y - at_y, x - at_x)
    edge = rng.uniform(*radii) * (1 + 0.25 * np.sin(5 * angle + rng.uniform(0, 6)))
    result: NDArray[np.float32] = rng.choice((1.0, 8.0)) * (edge - distance)
    return result


class Substituted:
    """A segmenter whose answers get other logits after they were computed."""

    def __init__(self, inner: Segmenter, table: ScoreTable, stars: Stars) -> None:
        self._inner, self._table, self._stars = inner, table, stars
        self.info: SegmenterInfo = inner.info

    def encode(self, image: Image, *, region: Box | None = None) -> Embedding:
        """As `Segmenter.encode`."""
        return self._inner.encode(image, region=region)

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        answers = self._inner.decode_many(
            embedding, prompts, multimask_output=multimask_output, pred_iou_thresh=pred_iou_thresh
        )
        scores = self._table.rows[:, 1:].numpy()
        clicks = np.array([prompt.point_coords[0] for prompt in prompts])
        for number, masks in zip(self._table.numbers(clicks), answers, strict=True):
            kept = np.flatnonzero(scores[number] > (pred_iou_thresh or 0))
            logits = self._stars([3 * number + int(i) for i in kept])
            yield replace(masks, low_res_logits=logits) if len(kept) else masks


class TableDecoding(FoldedDecoding):
    """Tells the table which points a batch is about; `SIZE` is the model's input as well."""

    def __init__(self, model: Any, numerics: str, table: ScoreTable) -> None:
        super().__init__(model, torch.bfloat16 if numerics == "bf16" else torch.float32)
        self._table = table

    def answer(self, state: Any, prompts: PromptTensors, pred_iou_thresh: float | None) -> Answers:
        """As `Decoding.answer`."""
        self._table.asking.numbers = self._table.numbers(prompts.point_coords[:, 0].numpy())
        try:
            return super().answer(state, prompts, pred_iou_thresh)
        finally:
            self._table.asking.numbers = None


def published_generator(
    state: dict[str, Tensor], table: ScoreTable, stars: Stars, grid: int
) -> Any:
    """The published generator with the same substitutions."""
    module = peers.require("segment_anything")
    model = peers.SegmentAnything(peers.VIT_B, state).model
    model.image_encoder = FixedEncoder()
    model.mask_decoder.iou_prediction_head = table
    decode = model.mask_decoder.forward

    def substituted(**arguments: Any) -> tuple[Tensor, Tensor]:
        first = table.asked
        logits, scores = decode(**arguments)
        numbers = [3 * number + i for number in range(first, table.asked) for i in range(3)]
        return torch.from_numpy(stars(numbers)).reshape(logits.shape), scores

    model.mask_decoder.forward = substituted
    return module.SamAutomaticMaskGenerator(model, points_per_side=grid, output_mode="coco_rle")


class FixedEncoder(nn.Module):
    """The same embedding for any picture."""

    img_size = 1024

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.embedding = torch.randn(1, 256, 64, 64, generator=generator)

    def forward(self, _pixels: Tensor) -> Tensor:
        """(1, 256, 64, 64)."""
        return self.embedding

    def features(self, _pixels: Tensor) -> dict[str, Tensor]:
        """As an `ImageEncoder`."""
        return {"image_embedding": self.embedding}


def our_segmenter(numerics: Any, table: ScoreTable) -> tuple[TorchSegmenter, dict[str, Tensor]]:
    """Ours with the table in place of its head, and the weights."""
    model, state = peers.ours(peers.VIT_B)
    model.mask_decoder.iou_prediction_head = table  # type: ignore[assignment]
    encoder, decoding = FixedEncoder().features, TableDecoding(model, numerics, table)
    segmenter = TorchSegmenter(
        model, name="vit_b", numerics=numerics, encoder=encoder, decoding=decoding
    )
    return segmenter, state


def compare(grid: int, rounds: int, rates: Sequence[float], numerics: str) -> None:
    """Print one row per pass rate."""
    table = ScoreTable(grid)
    segmenter, state = our_segmenter(numerics, table)
    stars = Stars(300, LOW_RES_SIDE * 0.75, LOW_RES_SIDE)
    ours = Substituted(segmenter, table, stars)
    theirs = published_generator(state, table, stars, grid)
    image = np.zeros((*SIZE, 3), np.uint8)
    settings = AutomaticSettings(points_per_side=grid, max_area_fraction=1.0)
    compiled_kernel()
    for rate in rates:
        wall: dict[str, list[float]] = {"ours": [], "published": []}
        cpu: dict[str, list[float]] = {"ours": [], "published": []}
        for _ in range(rounds):
            table.fill(rate)
            with timed(wall["published"], cpu["published"]):
                published = theirs.generate(image)
            table.fill(rate)
            with timed(wall["ours"], cpu["ours"]):
                found = records_of(generate_masks(ours, image, settings))
        print(
            f"| {numerics} | {rate:.0%} | {statistics.median(wall['published']):.2f} "
            f"| {statistics.median(wall['ours']):.2f} | {ratio(wall):.2f} | {ratio(cpu):.2f} "
            f"| {TARGETS[numerics]} | {agreement(found, published)} |",
            flush=True,
        )


@contextmanager
def timed(wall: list[float], cpu: list[float]) -> Iterator[None]:
    """Append seconds on the clock and seconds of all cores."""
    start, used = time.perf_counter(), time.process_time()
    yield
    wall.append(time.perf_counter() - start)
    cpu.append(time.process_time() - used)


def ratio(seconds: dict[str, list[float]]) -> float:
    """Median over the rounds of how many times longer the published generator took."""
    pairs = zip(seconds["published"], seconds["ours"], strict=True)
    return statistics.median(published / ours for published, ours in pairs)


def records_of(events: Iterator[Any]) -> list[MaskRecord]:
    """The masks among the events."""
    return [event for event in events if isinstance(event, MaskRecord)]


def agreement(ours: list[MaskRecord], theirs: list[dict[str, Any]]) -> str:
    """How many masks of both are the same, with boxes, areas and stability."""
    if len(ours) != len(theirs):
        return f"{len(ours)} masks beside {len(theirs)}"
    equal = sum(
        one.segmentation == other["segmentation"]
        and one.area == other["area"]
        and one.stability_score == other["stability_score"]
        for one, other in zip(ours, theirs, strict=True)
    )
    return f"{equal} of {len(ours)} masks identical"


class Lattice(Substituted):
    """Answers with one small stable star around each point, none in another's way."""

    def __init__(self, inner: Segmenter, table: ScoreTable, grid: int) -> None:
        super().__init__(inner, table, Stars(0, 1, 1))
        self._grid = grid

    def decode_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool | None = None,
        pred_iou_thresh: float | None = None,
    ) -> Iterator[Masks]:
        """As `Segmenter.decode_many`."""
        answers = self._inner.decode_many(
            embedding, prompts, multimask_output=multimask_output, pred_iou_thresh=pred_iou_thresh
        )
        y, x = np.mgrid[:LOW_RES_SIDE, :LOW_RES_SIDE].astype(np.float32)
        x0, _, x1, _ = embedding.region
        scale = LOW_RES_SIDE / (x1 - x0)
        for prompt, masks in zip(prompts, answers, strict=True):
            point = prompt.point_coords
            if point is None or not len(masks):
                yield masks
                continue
            at_x, at_y = (point[0] * scale).tolist()
            edge = 0.45 * LOW_RES_SIDE / self._grid * 0.75
            shape = 100 * (edge - np.hypot(y - at_y, x - at_x))
            logits = np.stack([shape - 200 * i for i in range(len(masks))])
            yield replace(masks, low_res_logits=logits)


def measure_memory(grid: int, answer: Any) -> None:
    """Peak memory above the model for a picture of 4096 x 3072, in this process alone."""
    table = ScoreTable(grid)
    segmenter, _ = our_segmenter("fp32", table)
    compiled_kernel()
    ours = Lattice(segmenter, table, grid)
    settings = AutomaticSettings(points_per_side=grid, min_mask_region_area=0)
    warm = np.zeros((768, 1024, 3), np.uint8)
    table.fill(1)
    next(
        iter(ours.decode_many(ours.encode(warm), [Prompt(point_coords=[(5, 5)], point_labels=[1])]))
    )
    image = np.zeros((3072, 4096, 3), np.uint8)
    image[:] = 1
    table.fill(1)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    records = records_of(generate_masks(ours, image, settings))
    answer.put((len(records), before, resident("VmHWM")))


def resident(name: str) -> float:
    """MB of this process: VmRSS now, VmHWM the most since the mark was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Print the machine and the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="an 8 x 8 grid, once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--numerics", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3, 1.0])
    parser.add_argument("--only", choices=("time", "memory"), help="one of the two tables")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    grid, rounds = (8, 1) if options.quick else (32, options.rounds)
    print(machine(options.threads), end="\n\n")
    if options.only != "memory":
        print(f"{grid} x {grid} points on 1024 x 768, vit_b, encoder left out, {rounds} rounds\n")
        print("| numerics | pass | published s | ours s | ratio | of CPU s | target | agreement |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for numerics in options.numerics:
            compare(grid, rounds, options.rates, numerics)
    if options.only != "time":
        context = multiprocessing.get_context("spawn")
        answer = context.Queue()
        process = context.Process(target=measure_memory, args=(grid, answer))
        process.start()
        masks, before, peak = answer.get()
        process.join()
        print("\n| picture | masks that survive | MB before | MB at most | MB above | target |")
        print("| --- | --- | --- | --- | --- | --- |")
        print(
            f"| 4096 x 3072 | {masks} | {before:.0f} | {peak:.0f} | {peak - before:.0f} "
            "| under 2048 |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
