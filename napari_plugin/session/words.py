"""What the session says about itself: the hint on the canvas, the answer shown, the objects."""

from napari_plugin.session.annotator import Annotator

__all__ = ["answer_words", "hint", "object_words"]


def hint(annotator: Annotator) -> str:
    """What a click on the canvas does now; empty if it does nothing of ours."""
    if annotator.target is None:
        return ""
    if annotator.tools.picking is not None:
        return f"SAM: click the object to {annotator.tools.picking[0]}"
    if not annotator.tools.prompting:
        return "SAM: press W to prompt"
    if annotator.plane is None:
        if annotator.viewer.dims.ndisplay > 2:
            return "SAM: switch to 2D to prompt"
        return "SAM: nothing can be prompted in this view, a click says why"
    if annotator.tools.drawing == "box":
        return "SAM: drag a box around an object\nShift+B: back to clicks"
    if annotator.tools.drawing == "scribble":
        what = "the object" if annotator.tools.sign == "object" else "the background"
        return f"SAM: drag a line over {what}\nShift+S: back to clicks"
    if annotator.tools.blocked_by is not None:
        return f"SAM: paused, {annotator.tools.blocked_by}\nhas a tool of its own in hand"
    if annotator.draft:
        return "SAM: click = more, Ctrl+click = less\nK keep, Q clear, G next answer"
    if annotator.has_draft:
        return "SAM: K keeps what was found, Q clears it"
    return "SAM: click an object\nShift+B box, Shift+S scribble"


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
        return f"{which}the model's own guess of its IoU: {answer.score:.2f}"
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
