"""`TiledImage`: prompts on a picture of any size, each answered from a window that fits it."""

import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from sam_plugins.automatic import Progress
from sam_plugins.errors import ImageError, PromptError
from sam_plugins.ports import EmbeddingStore, ImageSource, Segmenter
from sam_plugins.sources import open_source
from sam_plugins.stores import CachedSegmenter
from sam_plugins.tiling.grid import Extent, TileGrid, automatic_tile, centred, hull, margin_of
from sam_plugins.tiling.logits import moved_logits
from sam_plugins.types import Box, Embedding, Image, Masks, Prompt, Size

__all__ = ["TiledImage"]

_THRESHOLD_TILES = 3
_MOST_TILES = 4
_MOST_WINDOWS = 6
_KEPT_BYTES = 1 << 28
_ROWS_AT_ONCE = 512
_PROMPTS_AT_ONCE = 64


class TiledImage:
    """One frame of a source with a segmenter above it. Safe to share between threads.

    Nothing is read or encoded before it is needed. Prompts and answers are in pixels of the whole
    picture; `Masks.crop` costs no more than the window that was answered from.

    Parameters
    ----------
    segmenter
        Any model.
    source
        Where the pixels come from, or whatever `sam_plugins.sources.open_source` takes; its
        intensity limits hold for all windows.
    index
        The frame.
    tile, halo
        Side of a tile and the overlap around its core, pixels; by default what suits the model
        (`automatic_tile`), with another `tile` a sixth of it. Smaller tiles show the model more
        detail and take longer.
    threshold
        A picture whose longest side is no more is one window; by default three tiles.
    store
        Where embeddings are kept by content, so that a second visit encodes nothing.
    max_bytes
        Bound on the embeddings of the windows used last, which are kept here.

    Raises
    ------
    ImageError
        If there is no such frame, or tile and halo do not fit each other.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        source: ImageSource | Any,
        *,
        index: int = 0,
        tile: int | None = None,
        halo: int | None = None,
        threshold: int | None = None,
        store: EmbeddingStore | None = None,
        max_bytes: int = _KEPT_BYTES,
    ) -> None:
        source = open_source(source)
        frames, height, width = source.shape
        if not 0 <= index < frames:
            raise ImageError(f"The source has frames 0 to {frames - 1}, found index={index}.")
        self.segmenter = segmenter if store is None else CachedSegmenter(segmenter, store)
        self.source: ImageSource = source
        self.index = index
        side, overlap = automatic_tile(segmenter.info.image_size)
        if tile is not None:
            side, overlap = tile, tile // 6
        longest = max(height, width)
        whole = longest <= (_THRESHOLD_TILES * side if threshold is None else threshold)
        if whole:
            side, overlap = longest, longest // 6
        self.grid = TileGrid((height, width), side, overlap if halo is None or whole else halo)
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Box, Embedding] = OrderedDict()
        self._nbytes = 0
        self._lock = Lock()

    @property
    def size(self) -> Size:
        """(H, W) of the picture."""
        return self.grid.size

    def pixels(self, region: Box) -> Image:
        """What the model is shown of a region, (h, w, 3) uint8.

        A region of more than four tiles is averaged down while it is read, so that it fits.
        """
        x0, y0, x1, y1 = region
        factor = max(x1 - x0, y1 - y0) // (_MOST_TILES * self.grid.tile)
        if factor < 2:
            return self.source.read(self.index, region)
        bands = []
        for top in range(y0, y1, _ROWS_AT_ONCE * factor):
            bottom = min(top + _ROWS_AT_ONCE * factor, y1)
            band = PillowImage.fromarray(self.source.read(self.index, (x0, top, x1, bottom)))
            bands.append(np.asarray(band.reduce(factor)))
        return np.concatenate(bands)

    def embedding(self, region: Box) -> Embedding:
        """The embedding of a window, made now if it is not kept.

        Parameters
        ----------
        region
            xyxy in pixels, within the picture.
        """
        with self._lock:
            if region in self._kept:
                self._kept.move_to_end(region)
                return self._kept[region]
        placed = self._encoded(region, self.pixels(region))
        self._keep(region, placed)
        return placed

    def tile_embedding(self, number: int) -> Embedding | None:
        """The embedding of a tile; None if all its pixels are equal and nothing can be there.

        Whoever goes through all tiles needs each of them once: it is not kept.
        """
        region = self.grid.region(number)
        with self._lock:
            kept = self._kept.get(region)
        if kept is not None:
            return kept
        pixels = self.pixels(region)
        if (pixels == pixels[0, 0]).all():
            return None
        return self._encoded(region, pixels)

    def _encoded(self, region: Box, pixels: Image) -> Embedding:
        made = self.segmenter.encode(pixels)
        return replace(made, region=region, original_size=self.size)

    def _keep(self, region: Box, placed: Embedding) -> None:
        with self._lock:
            if region not in self._kept and placed.nbytes <= self._max_bytes:
                self._kept[region] = placed
                self._nbytes += placed.nbytes
            while self._nbytes > self._max_bytes:
                self._nbytes -= self._kept.popitem(last=False)[1].nbytes

    def embed_all(self, nearest: tuple[float, float] | None = None) -> Iterator[Progress]:
        """Encode every tile, for a store or for the windows kept here.

        Parameters
        ----------
        nearest
            xy that the user looks at: tiles there come first.

        Yields
        ------
        Progress
            Before each tile and at the end. Closing the generator stops the work.
        """
        order = list(range(len(self.grid)))
        if nearest is not None:
            x, y = nearest
            order.sort(key=lambda number: _distance(self.grid.core(number), x, y))
        for done, number in enumerate(order):
            yield Progress(done, len(order), "Encoding tiles")
            self.embedding(self.grid.region(number))
        yield Progress(len(order), len(order), "Encoding tiles")

    def window_for(self, prompt: Prompt) -> Box:
        """The window that a prompt is answered from at first.

        The tile that holds foreground points and box with the greatest margin; where that is less
        than half a halo, a window around them; a larger one where they do not fit into a tile. A
        mask prompt is answered where it lies.

        Raises
        ------
        PromptError
            If a point or the whole box lies outside the picture, or `mask_input` comes without
            `mask_region`.
        """
        extent = _extent(prompt, self.size)
        if prompt.mask_input is not None:
            region = self._mask_region(prompt)
            if extent is None or margin_of(region, extent, self.size) >= 0:
                return region
            return self._around(hull(region, extent))
        if extent is None:
            raise PromptError("A prompt on a large picture needs points, a box or a mask.")
        left, top, right, bottom = extent
        around = (math.floor(left), math.floor(top), math.ceil(right) + 1, math.ceil(bottom) + 1)
        found = [
            self.grid.region(number) for number in self.grid.meeting(_inside(around, self.size))
        ]
        margins = [margin_of(region, extent, self.size) for region in found]
        best = max(range(len(found)), key=lambda number: margins[number])
        if margins[best] >= self.grid.halo / 2:
            return found[best]
        return self._around(extent)

    def decode(self, prompt: Prompt, *, multimask_output: bool | None = None) -> Masks:
        """Answer one prompt, in pixels of the whole picture.

        Where the best answer is cut off by its window, the prompt is answered again from a window
        around the answer, and from larger ones (which the model sees with less detail) until the
        object is whole or the window is four tiles wide. Background points outside the window are
        left out.

        Parameters
        ----------
        prompt
            `mask_input` is an earlier answer's, with its `mask_region`.
        multimask_output
            None means three answers for exactly one point, otherwise one.

        Raises
        ------
        PromptError
            As `window_for` and `Segmenter.decode`.
        """
        return next(self.decode_many([prompt], multimask_output=multimask_output))

    def decode_many(
        self, prompts: Sequence[Prompt], *, multimask_output: bool | None = None
    ) -> Iterator[Masks]:
        """Answer many prompts, in order; those of one window together. Checked at the call."""
        windows = [self.window_for(prompt) for prompt in prompts]
        return self._answers(prompts, windows, multimask_output)

    def _answers(
        self, prompts: Sequence[Prompt], windows: Sequence[Box], multimask_output: bool | None
    ) -> Iterator[Masks]:
        together: dict[Box, deque[int]] = defaultdict(deque)
        for number, window in enumerate(windows):
            together[window].append(number)
        ready: dict[int, Masks] = {}
        for number, window in enumerate(windows):
            if number not in ready:
                embedding = self.embedding(window)
                waiting = together[window]
                group = [waiting.popleft() for _ in range(min(len(waiting), _PROMPTS_AT_ONCE))]
                asked = [self._within(prompts[i], embedding) for i in group]
                answers = self.segmenter.decode_many(
                    embedding, asked, multimask_output=multimask_output
                )
                ready.update(zip(group, answers, strict=True))
            yield self._whole(prompts[number], ready.pop(number), multimask_output)

    def _whole(self, prompt: Prompt, answer: Masks, multimask_output: bool | None) -> Masks:
        """Follow an answer that its window cuts off."""
        extent = _extent(prompt, self.size)
        seen = {answer.region}
        uncut: Masks | None = None
        for _ in range(_MOST_WINDOWS):
            window, cut = self._better_window(answer, extent, moved=len(seen) > 1)
            if not cut:
                uncut = answer
            if window is None or window in seen:
                break
            seen.add(window)
            embedding = self.embedding(window)
            asked = self._within(prompt, embedding)
            answer = self.segmenter.decode(embedding, asked, multimask_output=multimask_output)
        return answer if uncut is None else uncut

    def _better_window(
        self, answer: Masks, extent: Extent | None, *, moved: bool
    ) -> tuple[Box | None, bool]:
        """Where to ask again, or None, and whether the answer is cut off by its window."""
        crop, box = answer.crop(answer.best_index)
        if not crop.size:
            return None, False
        region = answer.region
        side = max(region[2] - region[0], region[3] - region[1])
        cell = math.ceil(side / max(answer.low_res_logits.shape[1:]))
        cut = margin_of(region, box, self.size) <= cell
        if not cut and not moved:
            return None, False
        wanted: Extent = box if extent is None else hull(box, extent)
        around = self._around(wanted)
        shift = max(abs(a - b) for a, b in zip(around, region, strict=True))
        if not cut:
            # A window that was moved once already is worth moving to the middle of the object.
            return (around if shift > self.grid.tile // 16 else None), False
        most = min(_MOST_TILES * self.grid.tile, max(self.size))
        if side >= most:
            return None, True
        if max(around[2] - around[0], around[3] - around[1]) > side:
            return centred(
                wanted, min(max(around[2] - around[0], around[3] - around[1]), most), self.size
            ), True
        if shift > self.grid.tile // 16 and side <= self.grid.tile:
            return around, True
        return centred(wanted, min(side * 3 // 2, most), self.size), True

    def _around(self, extent: Extent) -> Box:
        """A tile around the middle of what lies at `extent`, or as much more as it needs."""
        tile = self.grid.tile
        longest = max(extent[2] - extent[0], extent[3] - extent[1])
        side = tile
        if longest > tile - tile // 8:
            side = math.ceil(longest * tile / (tile - 2 * self.grid.halo))
        return centred(extent, side, self.size)

    def _within(self, prompt: Prompt, embedding: Embedding) -> Prompt:
        """What of a prompt can be said about one window."""
        region = embedding.region
        coords, labels = prompt.point_coords, prompt.point_labels
        if coords is not None and labels is not None:
            inside = (coords >= np.subtract(region[:2], 0.5)).all(1) & (coords <= region[2:]).all(1)
            coords, labels = coords[inside | (labels == 1)], labels[inside | (labels == 1)]
        mask, covered = prompt.mask_input, prompt.mask_region
        if mask is not None:
            covered = self._mask_region(prompt)
            if covered != region:
                mask, covered = moved_logits(mask, covered, embedding), region
        return Prompt(
            point_coords=coords,
            point_labels=labels,
            box=prompt.box,
            mask_input=mask,
            mask_region=covered,
        )

    def _mask_region(self, prompt: Prompt) -> Box:
        if prompt.mask_region is not None:
            x0, y0, x1, y1 = prompt.mask_region
            if 0 <= x0 < x1 <= self.size[1] and 0 <= y0 < y1 <= self.size[0]:
                return prompt.mask_region
        elif len(self.grid) == 1:
            return self.grid.region(0)
        raise PromptError(
            "On a large picture mask_input must come with the mask_region that it covers, within "
            f"the picture, found {prompt.mask_region}: pass Masks.region of the earlier answer."
        )


def _extent(prompt: Prompt, size: Size) -> Extent | None:
    """Where a prompt says the object is: by its box and foreground points, or by all points."""
    height, width = size
    found: Extent | None = None
    coords, labels = prompt.point_coords, prompt.point_labels
    if coords is not None and labels is not None:
        outside = (coords < -0.5).any(1) | (coords > (width, height)).any(1)
        if outside.any():
            raise PromptError(
                f"Point {tuple(coords[outside][0].tolist())} lies outside the image, which is "
                f"{width} wide and {height} high: give xy in pixels."
            )
        some = coords[labels == 1] if (labels == 1).any() else coords
        (left, top), (right, bottom) = some.min(0).tolist(), some.max(0).tolist()
        found = (left, top, right, bottom)
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box.tolist()
        clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
        if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
            raise PromptError(
                f"Box {(x0, y0, x1, y1)} lies outside the image, which is {width} wide and "
                f"{height} high: give xyxy in pixels."
            )
        found = clipped if found is None else hull(found, clipped)
    return found


def _inside(region: Box, size: Size) -> Box:
    """A region that has an area within the picture, even where points lie on its far edge."""
    x0, y0, x1, y1 = region
    x0, y0 = min(max(x0, 0), size[1] - 1), min(max(y0, 0), size[0] - 1)
    return x0, y0, min(max(x1, x0 + 1), size[1]), min(max(y1, y0 + 1), size[0])


def _distance(core: Box, x: float, y: float) -> float:
    x0, y0, x1, y1 = core
    return math.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y)
