"""What the session says about itself: the hint on the canvas, the answer shown, the objects."""

from napari_plugin.session.annotator import Annotator

__all__ = ["answer_words", "hint", "object_words"]


def hint(annotator: Annotator) -> str:
    """What a click on the canvas does now; empty if it does nothing of ours."""
    if annotator.target is None:
        return ""
    if not annotator.tools.prompting:
        return "SAM: press W to prompt"
    if annotator.plane is None:
        if annotator.viewer.dims.ndisplay > 2:
            return "SAM: switch to 2D to prompt"
        return "SAM: nothing can be prompted in this view, a click says why"
    if annotator.tools.drawing == "box":
        return "SAM: drag a box around an object  |  Shift+B: back to clicks"
    if annotator.tools.drawing == "scribble":
        what = "the object" if annotator.tools.sign == "object" else "the background"
        return f"SAM: drag a line over {what}  |  Shift+S: back to clicks"
    if annotator.tools.blocked_by is not None:
        return f"SAM: paused, {annotator.tools.blocked_by} has a tool of its own in hand"
    if annotator.is_waiting:
        return "SAM: working ..."
    if annotator.has_draft:
        return (
            "SAM: click = more, Ctrl+click or right click = less  |  K keep, Q clear, G next answer"
        )
    return "SAM: click an object  |  Shift+B box, Shift+S scribble, Shift+click opens a kept object"


def answer_words(annotator: Annotator) -> str:
    """Which of the answers is shown on the plane in view, and how good the model thinks it is."""
    plane, answers = annotator.plane, annotator.answers
    if plane is None or answers is None:
        return ""
    for number, planes in annotator.draft.objects.items():
        answer = answers.get(number, plane) if plane in planes else None
        if answer is None:
            continue
        if answer.mask is None:
            return answer.problem
        which = f"answer {answer.answer + 1} of {answer.answers}, " if answer.answers > 1 else ""
        return f"{which}predicted IoU {answer.score:.2f}"
    return "working ..." if annotator.is_waiting else ""


def object_words(annotator: Annotator) -> str:
    """How many objects were kept, and which of them are open."""
    if annotator.target is None:
        return ""
    count = len(annotator.target.book.records)
    words = f"{count} object{'' if count == 1 else 's'} kept in {annotator.target.labels.name!r}."
    if annotator.open_ids:
        words += f" Open: {', '.join(map(str, annotator.open_ids))}."
    return words
