"""Compiled forward passes for accelerators: shapes are few and fixed, and nobody waits for them.

`torch.compile` makes one program per set of shapes and takes up to a minute for each. So batches
are filled up to one of two sizes, only common kinds of prompt are compiled, and that happens in the
background: until a program is ready, and for everything else, the same function runs as it is.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from threading import Event, Thread
from typing import Any, TypeAlias

import torch
from torch import Tensor

from sam_plugins.device import Numerics, precise
from sam_plugins.model.decoding import Answers, FoldedDecoding, PromptTensors
from sam_plugins.model.folded_decoder import ImageState

__all__ = ["CompiledCalls", "CompiledDecoding", "CompiledEncoder"]

_log = logging.getLogger(__name__)

_Compile: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=False)


class CompiledCalls:
    """A function of tensors, compiled for some shapes in the background.

    Parameters
    ----------
    function
        Called as it is until its program is ready.
    device, numerics
        The arithmetic of the calls, as `precise` takes it.
    compile
        Makes a program of a function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        device: str,
        numerics: Numerics = "fp32",
        compile: _Compile = _compile,
    ) -> None:
        self._function = function
        self._device = device
        self._numerics = numerics
        self._compile = compile
        self._programs: dict[Hashable, Callable[..., Any]] = {}
        self._stop = Event()
        self._thread: Thread | None = None

    @property
    def ready(self) -> frozenset[Hashable]:
        """The shapes whose program is ready."""
        return frozenset(self._programs)

    @property
    def is_begun(self) -> bool:
        """Whether `prepare` was called."""
        return self._thread is not None

    def prepare(self, examples: Iterable[tuple[Hashable, tuple[Any, ...]]]) -> None:
        """Start to compile, one shape after the other: its name, and arguments to try it on.

        `examples` is read in the background. The first failure is a warning and ends the work:
        what could not be compiled runs as it is.
        """
        self._thread = Thread(target=self._prepare, args=(examples,), daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the work in the background."""
        if self._thread is not None:
            self._thread.join(timeout)

    def stop(self) -> None:
        """Compile no further shape."""
        self._stop.set()

    def __call__(self, shapes: Hashable, *arguments: Any) -> Any:
        """The function's result, by the program for these shapes if there is one."""
        return self._programs.get(shapes, self._function)(*arguments)

    def _prepare(self, examples: Iterable[tuple[Hashable, tuple[Any, ...]]]) -> None:
        try:
            program = self._compile(self._function)
            for shapes, arguments in examples:
                if self._stop.is_set():
                    return
                with torch.inference_mode(), precise(self._device, self._numerics):
                    program(*arguments)
                self._programs[shapes] = program
                _log.info("Compiled for %s: %s", self._device, shapes)
        except Exception as error:
            _log.warning(
                "PyTorch cannot compile for %s (%s: %s): the model runs uncompiled and slower.",
                self._device,
                type(error).__name__,
                f"{error}".splitlines()[0] if f"{error}" else "",
            )


class CompiledEncoder:
    """An `ImageEncoder` that fills batches up to one of few sizes.

    Parameters
    ----------
    encode
        (B, 3, S, S) to feature maps.
    image_size
        S.
    batch_sizes
        The sizes that are compiled, ascending.
    device, numerics, compile
        As in `CompiledCalls`.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], Mapping[str, Tensor]],
        image_size: int,
        batch_sizes: tuple[int, ...],
        *,
        device: str,
        numerics: Numerics,
        compile: _Compile = _compile,
    ) -> None:
        self._sizes = batch_sizes
        self.calls = CompiledCalls(encode, device=device, numerics=numerics, compile=compile)
        self.calls.prepare(
            (size, (torch.zeros(size, 3, image_size, image_size, device=device),))
            for size in batch_sizes
        )

    def __call__(self, pixels: Tensor) -> Mapping[str, Tensor]:
        """As `ImageEncoder`."""
        count = len(pixels)
        size = next((size for size in self._sizes if count <= size), count)
        if size not in self.calls.ready:
            maps: Mapping[str, Tensor] = self.calls(None, pixels)
            return maps
        maps = self.calls(size, _filled(pixels, size))
        return {name: value[:count] for name, value in maps.items()}


class CompiledDecoding:
    """A `Decoding` of SAM whose usual batches run as compiled programs.

    On an accelerator it costs more to wait for the scores than to compute all masks, so that
    a threshold is applied afterwards.

    Parameters
    ----------
    decoding
        Computes what is compiled.
    batch_sizes
        As in `CompiledEncoder`.
    device, compile
        As in `CompiledCalls`.
    """

    def __init__(
        self,
        decoding: FoldedDecoding,
        batch_sizes: tuple[int, ...],
        *,
        device: str,
        compile: _Compile = _compile,
    ) -> None:
        self.batch_size = batch_sizes[-1]
        self.is_small = decoding.is_small
        self._sizes = batch_sizes
        self._decoding = decoding
        self._device = device
        self.calls = CompiledCalls(decoding.every_answer, device=device, compile=compile)

    def prepare(self, features: Mapping[str, Tensor]) -> tuple[ImageState, int]:
        """As `Decoding.prepare`; the first image starts the compiling."""
        state, size = self._decoding.prepare(features)
        if not self.calls.is_begun:
            self.calls.prepare(self._examples(state))
        return state, size

    def answer(
        self, state: ImageState, prompts: PromptTensors, pred_iou_thresh: float | None
    ) -> Answers:
        """As `Decoding.answer`."""
        count = _count(prompts)
        size = next((size for size in self._sizes if count <= size), count)
        shapes = (size, *_kind(prompts))
        if shapes in self.calls.ready:
            prompts = _filled_prompts(prompts, size)
        scores, masks = self.calls(shapes, state, prompts)
        scores, masks = scores[:count], masks[:count]
        if pred_iou_thresh is None:
            return Answers(scores, torch.ones_like(scores, dtype=torch.bool), masks.flatten(0, 1))
        kept = scores > pred_iou_thresh
        return Answers(scores, kept, masks[kept])

    def _examples(
        self, state: ImageState
    ) -> Iterable[tuple[Hashable, tuple[ImageState, PromptTensors]]]:
        """One click and one box, by themselves and many at once."""
        for size in self._sizes:
            point = PromptTensors(
                point_coords=torch.zeros(size, 1, 2, device=self._device),
                point_labels=torch.ones(size, 1, dtype=torch.int32, device=self._device),
                boxes=None,
                mask_input=None,
                multimask_output=True,
            )
            box = PromptTensors(
                point_coords=None,
                point_labels=None,
                boxes=torch.tensor([[0.0, 0.0, 9.0, 9.0]], device=self._device).repeat(size, 1),
                mask_input=None,
                multimask_output=False,
            )
            for example in (point, box):
                yield (size, *_kind(example)), (state, example)


def _count(prompts: PromptTensors) -> int:
    given = (prompts.point_coords, prompts.boxes, prompts.mask_input)
    return next(len(value) for value in given if value is not None)


def _kind(prompts: PromptTensors) -> tuple[Hashable, ...]:
    points = 0 if prompts.point_coords is None else prompts.point_coords.shape[1]
    has_box, has_mask = prompts.boxes is not None, prompts.mask_input is not None
    return points, has_box, has_mask, prompts.multimask_output


def _filled_prompts(prompts: PromptTensors, size: int) -> PromptTensors:
    """The last prompt is repeated until there are `size`."""
    names = ("point_coords", "point_labels", "boxes", "mask_input")
    given = {name: getattr(prompts, name) for name in names}
    filled = {
        name: None if value is None else _filled(value, size) for name, value in given.items()
    }
    return PromptTensors(**filled, multimask_output=prompts.multimask_output)


def _filled(value: Tensor, size: int) -> Tensor:
    """The last row is repeated until there are `size`."""
    missing = size - len(value)
    return torch.cat((value, value[-1:].expand(missing, *value.shape[1:]))) if missing else value
