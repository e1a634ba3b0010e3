"""What Label Studio makes of a backend's errors, and what annotators see of them."""

from typing import Any

import pytest
from browser_hands import BrowserHands
from real_programs import RealPrograms
from real_projects import make_project, png
from refusing_backend import RefusingBackend

from labelstudio_backend.start.sample_projects import BRUSH
from sam_plugins import load_sample

SENTENCE = "The label 'Object' has no tag: add BrushLabels."


@pytest.mark.parametrize("status", [400, 401, 422, 500, 503])
def test_error_is_told_to_the_page_and_not_to_the_annotator(
    annotator: BrowserHands, real_programs: RealPrograms, status: int
) -> None:
    """Label Studio answers the page with 200 and the status line; the page shows no mask.

    So an annotator who gets no mask has to look into the backend's log, or ask the doctor.
    """
    sample = load_sample("objects")
    with RefusingBackend() as backend:
        backend.status, backend.sentence = status, SENTENCE
        project = make_project(
            real_programs,
            f"refused {status}",
            BRUSH.label_config,
            {"a.png": png(sample.image)},
            url=backend.url,
        )
        annotator.open_task(project.number, project.tasks[0])
        annotator.auto_annotation()
        annotator.smart_click(0)
        asked = annotator.click(200.0, 100.0)
        annotator.shot(str(status))
    assert asked["status"] == 200
    (error,) = asked["answer"]["errors"]
    assert error.startswith(f"{status} ")
    assert SENTENCE in error
    assert "suggestions" not in annotator.said()
    assert SENTENCE not in annotator.said()


def test_accepted_objects_are_not_sent_with_the_next_click(
    annotator: BrowserHands, backend: Any, real_programs: RealPrograms
) -> None:
    sample = load_sample("objects")
    project = make_project(real_programs, "next", BRUSH.label_config, {"a.png": png(sample.image)})
    annotator.open_task(project.number, project.tasks[0])
    annotator.auto_annotation()
    annotator.smart_click(0)
    annotator.click(245.0, 90.0)
    annotator.accept()
    annotator.choose(0)
    asked = annotator.click(510.0, 320.0)
    annotator.shot("second-object")
    assert [region["type"] for region in asked["asked"]["context"]["result"]] == ["keypointlabels"]
