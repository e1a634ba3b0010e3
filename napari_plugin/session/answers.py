"""The masks of a draft: asked for in the background, the newest draft first, remembered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from napari_plugin.session.draft import Draft
from napari_plugin.session.pictures import Pictures
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins.errors import PromptError
from sam_plugins.ports import Segmenter

__all__ = ["Answer", "Answers"]

Key: TypeAlias = tuple[int, Plane]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one object looks like on one plane.

    Parameters
    ----------
    said
        The prompts that were answered.
    mask
        The mask; None where the prompts do not say what the object is.
    problem
        Why there is no mask, in a sentence; empty if there is one.
    score
        The model's own estimate of the IoU.
    answer, answers
        Which of the ambiguous answers it is, from the best, and how many there are.
    model_id
        Which model answered.
    """

    said: PromptSet
    mask: PlaneMask | None
    problem: str = ""
    score: float = 0.0
    answer: int = 0
    answers: int = 1
    model_id: str = ""


class Answers:
    """Masks for the prompts of a draft. Used on one thread; the work is done on the service's.

    Parameters
    ----------
    service
        Runs the work: ``latest(slot, work, done, failed)``.
    pictures
        What the model sees.
    on_answer
        Called with the answers that have arrived.
    on_failed
        Called with an exception when the model could not answer what is asked now.
    """

    def __init__(
        self,
        service: Any,
        pictures: Pictures,
        on_answer: Callable[[Sequence[Answer]], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._service = service
        self._pictures = pictures
        self._on_answer = on_answer
        self._on_failed = on_failed
        self._known: dict[Key, Answer] = {}
        self._draft = Draft()
        self._asked: dict[Key, PromptSet] = {}
        self._failed: dict[Key, PromptSet] = {}
        self._request = 0

    @property
    def pending(self) -> bool:
        """Whether masks of the draft are still on their way."""
        return bool(self._asked)

    def get(self, number: int, plane: Plane) -> Answer | None:
        """The answer to what the draft says about an object on a plane; None while unknown."""
        found = self._known.get((number, plane))
        if found is None or found.said != self._draft.get(number, plane):
            return None
        return found

    def latest(self, number: int, plane: Plane) -> Answer | None:
        """The last answer for an object on a plane, perhaps to prompts that changed since."""
        return self._known.get((number, plane))

    def put(self, number: int, plane: Plane, answer: Answer) -> None:
        """Remember an answer that is known already."""
        self._known[number, plane] = answer

    def forget(self) -> None:
        """Forget every answer: the picture or the model is another one."""
        self._known.clear()
        self._asked.clear()
        self._failed.clear()
        self._request += 1

    def want(self, draft: Draft, view: Plane | None, *, again: bool = False) -> None:
        """Ask for all masks of a draft that are not known; those of the plane in view first.

        What the model could not answer is not asked a second time, unless `again` says so.
        """
        self._draft = draft
        alive = {(number, plane) for number, plane, _ in draft.prompts()}
        self._known = {key: answer for key, answer in self._known.items() if key in alive}
        missing = [
            (number, plane, said)
            for number, plane, said in draft.prompts()
            if self.get(number, plane) is None
        ]
        wanted = {(number, plane): said for number, plane, said in missing}
        if wanted and (wanted == self._asked or (wanted == self._failed and not again)):
            return
        self._asked, self._failed = wanted, {}
        self._request = request = self._request + 1
        if not missing:
            return
        missing.sort(key=lambda entry: entry[1] != view)
        pictures = self._pictures

        def work(segmenter: Segmenter) -> list[tuple[Key, Answer]]:
            return [
                ((number, plane), _answer(pictures, segmenter, number, plane, said))
                for number, plane, said in missing
            ]

        self._service.latest(
            "decode",
            work,
            lambda found: self._arrived(request, found),
            lambda error: self._broken(request, error),
        )

    def _arrived(self, request: int, answers: list[tuple[Key, Answer]]) -> None:
        if request != self._request:
            return
        self._asked.clear()
        self._known |= dict(answers)
        self._on_answer([answer for _, answer in answers])

    def _broken(self, request: int, error: Exception) -> None:
        if request != self._request:
            return
        self._asked, self._failed = {}, self._asked
        self._on_failed(error)


def _answer(
    pictures: Pictures, segmenter: Segmenter, number: int, plane: Plane, said: PromptSet
) -> Answer:
    try:
        found = pictures.refiner(segmenter, plane, number).answer(said.interaction())
    except PromptError as error:
        return Answer(said=said, mask=None, problem=str(error))
    return Answer(
        said=said,
        mask=PlaneMask(plane, found.box, found.crop),
        score=found.score,
        answer=found.answer,
        answers=found.answers,
        model_id=segmenter.info.model_id,
    )
